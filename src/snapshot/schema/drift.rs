//! Columns whose type is not the same in all files: what `schema::merge` widens, for people to see. Pure.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use serde::{Deserialize, Serialize};

use crate::types::lake::list_item;
use crate::types::type_name;

/// Columns that are reported.
const MOST: usize = 100;

/// A column that is read as a wider type than some files have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WidenedColumn {
    /// Column, dotted for nested fields.
    pub column: String,
    /// The types in files, each with one of the files.
    pub types: Vec<(String, String)>,
    /// The type as which it is read.
    pub read_as: String,
}

/// Collects the types of each column, file by file.
#[derive(Debug, Default)]
pub(crate) struct TypeDrift {
    /// Each type with the first file that has it; most columns have one.
    columns: BTreeMap<String, Vec<(DataType, String)>>,
    last: Option<Fields>,
}

impl TypeDrift {
    /// Takes in the schema of one file.
    pub(crate) fn add(&mut self, uri: &str, schema: &Schema) {
        if self.last.as_ref() == Some(schema.fields()) {
            return;
        }
        each_leaf(schema.fields(), "", &mut |column, data_type| {
            let types = self.columns.entry(column).or_default();
            if !types.iter().any(|(known, _)| known == data_type) {
                types.push((data_type.clone(), uri.to_owned()));
            }
        });
        self.last = Some(schema.fields().clone());
    }

    /// The columns of several types. Two spellings of one type, such as two layouts of text, are none.
    pub(crate) fn finish(self, merged: &Schema) -> Vec<WidenedColumn> {
        let mut read_as = BTreeMap::new();
        each_leaf(merged.fields(), "", &mut |column, data_type| {
            read_as.insert(column, type_name(data_type));
        });
        let widened = self.columns.into_iter().filter_map(|(column, types)| {
            let mut named: Vec<(String, String)> = Vec::new();
            for (data_type, uri) in types.into_iter().filter(|(data_type, _)| *data_type != DataType::Null) {
                let name = type_name(&data_type);
                if !named.iter().any(|(known, _)| *known == name) {
                    named.push((name, uri));
                }
            }
            let read_as = read_as.get(&column)?.clone();
            (named.len() > 1).then_some(WidenedColumn { column, types: named, read_as })
        });
        widened.take(MOST).collect()
    }
}

/// Calls `leaf` for each column that has no fields of its own.
fn each_leaf(fields: &Fields, above: &str, leaf: &mut dyn FnMut(String, &DataType)) {
    for field in fields {
        of_type(field, &format!("{above}{}", field.name()), leaf);
    }
}

fn of_type(field: &FieldRef, column: &str, leaf: &mut dyn FnMut(String, &DataType)) {
    match (field.data_type(), list_item(field.data_type())) {
        (DataType::Struct(fields), _) => each_leaf(fields, &format!("{column}."), leaf),
        (_, Some(item)) => of_type(item, &format!("{column}[]"), leaf),
        (data_type, None) => leaf(column.to_owned(), data_type),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;

    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn columns_of_several_types_are_reported_at_every_depth_and_spellings_of_one_type_are_not() {
        let object = |of: DataType| DataType::Struct(Fields::from(vec![Field::new("x", of, true)]));
        let list = |of: DataType| DataType::List(Arc::new(Field::new_list_field(of, true)));
        let old = schema(&[("a", DataType::Int32), ("t", DataType::Utf8), ("o", list(object(DataType::Int64)))]);
        let new = schema(&[("a", DataType::Int64), ("t", DataType::LargeUtf8), ("o", list(object(DataType::Float64)))]);
        let merged = schema(&[("a", DataType::Int64), ("t", DataType::Utf8), ("o", list(object(DataType::Float64)))]);
        let mut drift = TypeDrift::default();
        for (uri, schema) in [("1", &old), ("2", &old), ("3", &new), ("4", &schema(&[("a", DataType::Null)]))] {
            drift.add(uri, schema);
        }
        let widened = |column: &str, one: &str, other: &str| WidenedColumn {
            column: column.to_owned(),
            types: vec![(one.to_owned(), "1".to_owned()), (other.to_owned(), "3".to_owned())],
            read_as: other.to_owned(),
        };
        assert_eq!(drift.finish(&merged), [widened("a", "INT", "BIGINT"), widened("o[].x", "BIGINT", "DOUBLE")]);
    }
}
