//! Values of the environment in queries are never kept or shown, so that no column may be named by one.
//!
//! The engine names a column without AS after its expression, literals included, and a struct's fields after the
//! literals that say so; names are in manifests, files and messages. Both are refused at their place. What a column
//! *holds* is data, which goes where the SELECT puts it.

use datafusion::arrow::datatypes::{DataType, Field, Schema};

use crate::config::resolve::Project;
use crate::config::text::variables::Held;
use crate::error::{ConfigError, Position, Result};

/// A shorter value is part of many a name by chance.
const MIN_PART: usize = 8;

/// Refuses columns, and fields of their types, that are named by a value of the environment in any way.
///
/// # Errors
/// [`ConfigError::NamedByValue`] at the query.
pub(super) fn check_names(schema: &Schema, project: &Project, at: &Position) -> Result<()> {
    let held: Vec<&Held> = project.held().collect();
    if held.is_empty() {
        return Ok(());
    }
    let found = schema.fields().iter().find_map(|field| named_by(field, &held, false));
    found.map_or(Ok(()), |held| Err(ConfigError::NamedByValue { variable: held.variable.clone() }.at(at)))
}

fn named_by<'a>(field: &Field, held: &[&'a Held], is_nested: bool) -> Option<&'a Held> {
    let name = field.name();
    let is_named = |held: &&&Held| {
        let value = held.value.as_str();
        let whole = is_nested && name == value;
        whole || name.contains(&format!("(\"{value}\")")) || (value.len() >= MIN_PART && name.contains(value))
    };
    let nested = || match field.data_type() {
        DataType::Struct(fields) => fields.iter().find_map(|field| named_by(field, held, true)),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            named_by(field, held, false)
        }
        DataType::Map(field, _) => named_by(field, held, false),
        _ => None,
    };
    held.iter().find(is_named).copied().or_else(nested)
}

impl Project {
    /// All values of the environment in SELECTs and views.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.all_lakes().flat_map(|lake| &lake.held).chain(self.views.iter().flat_map(|view| &view.held))
    }

    /// The project with `${env:NAME}` in place of the values, to plan what is shown.
    pub(crate) fn shown(&self) -> Self {
        let mut shown = self.clone();
        for lake in shown.lakes.iter_mut().chain(&mut shown.unselected) {
            lake.query = lake.shown.clone();
        }
        for view in &mut shown.views {
            view.query = view.shown.clone();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use crate::config::text::unnamed::unnamed;
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::text::parse::parse;
    use crate::config::text::statement::StatementKind;
    use crate::config::text::variables::Variables;

    fn refused(select: &str) -> Option<String> {
        let variables = Variables { environment: |_| Some("hunter2hunter2".to_owned()), ..Variables::default() };
        let text = format!("CREATE VIEW v AS\n{select}");
        let found = parse(&text, &"a.sql".into(), &variables, &mut BTreeSet::new()).unwrap().remove(0);
        let StatementKind::CreateView(view) = found.kind else { panic!("not a view") };
        unnamed(&view.query.shown, &view.query.held, &view.query.at).err().map(|error| error.to_string())
    }

    #[test]
    fn column_named_after_a_value_is_refused_at_its_place_wherever_it_stands() {
        for (select, place) in [
            ("SELECT md5('${env:P}') FROM t", "a.sql:2:8"),
            ("SELECT a, '${env:P}' FROM t", "a.sql:2:11"),
            ("SELECT 1 AS a UNION ALL SELECT '${env:P}'", "a.sql:2:32"),
            ("SELECT * FROM (SELECT k, concat(k, '${env:P:-it''s}') FROM t)", "a.sql:2:26"),
            ("WITH c AS (SELECT '${env:P}') SELECT * FROM c", "a.sql:2:19"),
        ] {
            let reported = refused(select).unwrap_or_else(|| panic!("not refused: {select}"));
            assert!(reported.starts_with(&format!("{place}: ")) && reported.contains("${env:P"), "{reported}");
            assert!(!reported.contains("hunter2"), "{reported}");
        }
        for select in [
            "SELECT md5('${env:P}') AS h FROM t WHERE a = '${env:P}'",
            "SELECT a FROM t WHERE a IN ('${env:P}')",
            "SELECT * REPLACE ('${env:P}' AS a) FROM t",
            "SELECT 'a$${env:P}' FROM t",
        ] {
            assert_eq!(refused(select), None, "{select}");
        }
    }

    #[test]
    fn fields_named_by_a_value_are_found_at_any_depth() {
        let held = Held { variable: "${env:P}".to_owned(), value: "ab".to_owned() };
        let found = |field: Field| named_by(&field, &[&held], false).is_some();
        let list = |of: Field| Field::new("x", DataType::new_list(of.data_type().clone(), true), true);
        let of = |name: &str| {
            let fields = vec![Field::new(name, DataType::Int64, true)];
            Field::new("s", DataType::Struct(fields.into()), true)
        };
        assert!(found(of("ab")) && found(list(of("ab"))) && found(Field::new("f(Utf8(\"ab\"))", DataType::Utf8, true)));
        assert!(!found(of("abc")) && !found(Field::new("ab", DataType::Utf8, true)));
    }
}
