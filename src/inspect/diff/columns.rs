//! Which columns two schemas do not share. Pure.

use datafusion::arrow::datatypes::Schema;
use serde::Serialize;

use crate::types::type_name;

/// Columns that one side has and the other has not, or has as another type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ColumnChanges {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    /// Name, type before, type after.
    pub(crate) retyped: Vec<(String, String, String)>,
    /// A removed column and an added one of the same type in its place: perhaps one that was renamed.
    pub(crate) perhaps_renamed: Vec<(String, String)>,
}

/// Changes of the columns of a snapshot table, which files have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SourceChanges {
    /// Bare name of the snapshot table.
    pub(crate) table: String,
    pub(crate) columns: ColumnChanges,
}

impl ColumnChanges {
    /// Compares by name, whatever the order.
    pub(crate) fn between(before: &Schema, after: &Schema) -> Self {
        let only_in = |one: &Schema, other: &Schema| -> Vec<String> {
            let names = one.fields().iter().map(|field| field.name());
            names.filter(|name| other.index_of(name).is_err()).cloned().collect()
        };
        let retyped = before.fields().iter().filter_map(|field| {
            let now = after.field_with_name(field.name()).ok()?;
            let types = (type_name(field.data_type()), type_name(now.data_type()));
            (field.data_type() != now.data_type()).then(|| (field.name().clone(), types.0, types.1))
        });
        let in_place = before.fields().iter().zip(after.fields()).filter(|(old, new)| {
            let is_new = before.index_of(new.name()).is_err() && after.index_of(old.name()).is_err();
            is_new && old.data_type() == new.data_type()
        });
        Self {
            added: only_in(after, before),
            removed: only_in(before, after),
            retyped: retyped.collect(),
            perhaps_renamed: in_place.map(|(old, new)| (old.name().clone(), new.name().clone())).collect(),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_compared_by_name_whatever_their_order() {
        let before = schema(&[("a", DataType::Int32), ("b", DataType::Utf8), ("c", DataType::Date32)]);
        let after = schema(&[("d", DataType::Utf8), ("c", DataType::Date32), ("a", DataType::Int64)]);
        let changes = ColumnChanges::between(&before, &after);
        assert_eq!((changes.added, changes.removed), (vec!["d".to_owned()], vec!["b".to_owned()]));
        assert_eq!(changes.retyped, [("a".to_owned(), "INT".to_owned(), "BIGINT".to_owned())]);
        assert_eq!(changes.perhaps_renamed, []);
        assert!(ColumnChanges::between(&before, &before).is_empty());
    }

    #[test]
    fn column_of_the_same_type_in_the_place_of_a_removed_one_is_perhaps_renamed() {
        let before = schema(&[("id", DataType::Int64), ("note", DataType::Utf8), ("n", DataType::Int32)]);
        let after = schema(&[("id", DataType::Int64), ("remark", DataType::Utf8), ("m", DataType::Int64)]);
        let changes = ColumnChanges::between(&before, &after);
        assert_eq!(changes.perhaps_renamed, [("note".to_owned(), "remark".to_owned())]);
        assert_eq!(changes.removed, ["note", "n"]);
    }
}
