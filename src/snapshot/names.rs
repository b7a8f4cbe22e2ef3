//! Whether the files have the columns that are declared: names are compared exactly, in every format and at every
//! depth. Pure.
//!
//! A declared column that no file has would be NULL throughout, and so would one whose name differs by case only: both
//! are errors. A column that some files lack is reported. Without declared columns that is the only check.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use datafusion::arrow::datatypes::{DataType, Fields, Schema};
use serde::{Deserialize, Serialize};

use crate::config::{SnapshotTable, Undeclared};
use crate::error::{Error, Result, nearest};
use crate::types::lake::list_item;

/// Columns that are reported as missing from some files.
const TOLD: usize = 100;

/// Names kept to find the nearest one among.
const NEAR: usize = 1_000;

/// A file that has a declared column in other letters only.
#[derive(Debug, thiserror::Error)]
#[error("the file has '{found}', not '{column}'")]
pub(crate) struct OtherCase {
    /// As declared, dotted for nested fields.
    pub(crate) column: String,
    /// The name that the file has.
    pub(crate) found: String,
}

impl OtherCase {
    /// With the names of table and file.
    pub(crate) fn into_error(self, table: String, uri: String) -> Error {
        Error::ColumnCase { at: None, table, column: self.column, uri, found: self.found }
    }
}

/// A column that some files lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Column, dotted for nested fields.
    pub column: String,
    /// How many files lack it.
    pub files: u64,
    /// Of how many that were looked at.
    pub of_files: u64,
    /// One of them.
    pub example: String,
}

/// A column that files have and the table does not declare: it is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadColumn {
    /// Column, dotted for nested fields.
    pub column: String,
    /// One of the files that have it.
    pub example: String,
}

/// The names in a file, nested; `None` where there are none, as in a number, or where they are not known, as in a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NameTree(Option<BTreeMap<String, Self>>);

impl NameTree {
    pub(crate) fn of_names(names: Vec<String>) -> Self {
        Self(Some(names.into_iter().map(|name| (name, Self::default())).collect()))
    }

    pub(crate) fn of_fields(fields: &Fields) -> Self {
        Self(Some(fields.iter().map(|field| (field.name().clone(), Self::of_type(field.data_type()))).collect()))
    }

    fn of_type(data_type: &DataType) -> Self {
        match (data_type, list_item(data_type)) {
            (DataType::Struct(fields), _) => Self::of_fields(fields),
            (_, Some(item)) => Self::of_type(item.data_type()),
            _ => Self::default(),
        }
    }

    /// Takes in the names of a JSON value.
    pub(crate) fn add(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(members) => {
                let names = self.0.get_or_insert_default();
                for (name, value) in members {
                    if !names.contains_key(name) {
                        names.insert(name.clone(), Self::default());
                    }
                    if let Some(below) = names.get_mut(name) {
                        below.add(value);
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            _ => {}
        }
    }
}

/// A column that files are looked through for.
#[derive(Debug)]
struct WantedColumn {
    path: Vec<String>,
    has: u64,
    lacks: u64,
    example: Option<String>,
    /// What files have that lack it.
    near: BTreeSet<String>,
}

/// What a file says of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Has,
    Lacks,
    /// Its parent is missing, or it is not known.
    Nothing,
}

/// Counts which files have which columns, one file after the other.
#[derive(Debug)]
pub(crate) struct NameCheck<'a> {
    table: &'a SnapshotTable,
    wanted: Vec<WantedColumn>,
    /// Without declared columns: place of each column that was seen.
    seen: Option<HashMap<String, usize>>,
    files: u64,
    first: Option<String>,
    /// The schema of the last file, what it says, and how many files more have the same.
    last: Option<(Fields, Vec<Says>, u64)>,
    /// Columns of the files that are not declared, with a file that has each.
    unread: BTreeMap<String, String>,
}

impl<'a> NameCheck<'a> {
    pub(crate) fn new(table: &'a SnapshotTable) -> Self {
        let mut wanted = Vec::new();
        if let Some(declared) = &table.declared {
            want(declared.fields(), &mut Vec::new(), &mut wanted);
        }
        let seen = table.declared.is_none().then(HashMap::new);
        Self { table, wanted, seen, files: 0, first: None, last: None, unread: BTreeMap::new() }
    }

    /// Takes in a file that says its schema.
    ///
    /// # Errors
    /// [`Error::ColumnCase`].
    pub(crate) fn add_schema(&mut self, uri: &str, schema: &Schema) -> Result<()> {
        if let Some((fields, _, more)) = &mut self.last
            && fields == schema.fields()
        {
            *more += 1;
            return Ok(());
        }
        self.settle();
        let says = self.add(uri, &NameTree::of_fields(schema.fields()), true)?;
        self.last = Some((schema.fields().clone(), says, 0));
        Ok(())
    }

    /// Takes in a file of which these names were seen; `is_whole`: there are no others.
    ///
    /// # Errors
    /// [`Error::ColumnCase`].
    pub(crate) fn add_names(&mut self, uri: &str, names: &NameTree, is_whole: bool) -> Result<()> {
        self.settle();
        self.add(uri, names, is_whole).map(|_| ())
    }

    /// Counts the files that are as the last one.
    fn settle(&mut self) {
        let Some((_, says, more)) = self.last.take() else { return };
        for (wanted, says) in self.wanted.iter_mut().zip(says) {
            match says {
                Says::Has => wanted.has += more,
                Says::Lacks => wanted.lacks += more,
                Says::Nothing => {}
            }
        }
        self.files += more;
    }

    fn add(&mut self, uri: &str, names: &NameTree, is_whole: bool) -> Result<Vec<Says>> {
        if let (Some(seen), Some(names)) = (&mut self.seen, &names.0) {
            for name in names.keys().filter(|name| !seen.contains_key(*name)).collect::<Vec<_>>() {
                seen.insert(name.clone(), self.wanted.len());
                let example = self.first.clone().filter(|_| self.files > 0);
                let path = vec![name.clone()];
                self.wanted.push(WantedColumn { path, has: 0, lacks: self.files, example, near: BTreeSet::new() });
            }
        }
        self.first.get_or_insert_with(|| uri.to_owned());
        self.files += 1;
        let paths: BTreeSet<&[String]> = match self.seen {
            None => self.wanted.iter().map(|wanted| wanted.path.as_slice()).collect(),
            Some(_) => BTreeSet::new(),
        };
        if self.seen.is_none() {
            let of_folders = &self.table.partitioned_by;
            for column in names.not_among(&paths, &mut Vec::new()) {
                let is_of_folder = of_folders.iter().any(|field| *field.name() == column);
                if self.unread.len() < TOLD && !is_of_folder {
                    self.unread.entry(column).or_insert_with(|| uri.to_owned());
                }
            }
        }
        let mut all = Vec::with_capacity(self.wanted.len());
        let mut folded: HashMap<&[String], HashMap<String, Vec<&String>>> = HashMap::new();
        for wanted in &self.wanted {
            let (level, name) = match wanted.path.split_last() {
                Some((name, parents)) => (names.below(parents), name),
                None => (None, &wanted.path[0]),
            };
            let Some(level) = level else {
                all.push(Says::Nothing);
                continue;
            };
            if level.contains_key(name) {
                all.push(Says::Has);
                continue;
            }
            let parents = &wanted.path[..wanted.path.len() - 1];
            let is_wanted = |other: &String| paths.contains([parents, std::slice::from_ref(other)].concat().as_slice());
            let same = folded.entry(parents).or_insert_with(|| fold(level)).get(&name.to_lowercase());
            let other_case = same.and_then(|names| names.iter().find(|other| !is_wanted(other)));
            if let Some(found) = other_case.filter(|_| self.seen.is_none()) {
                return Err(Error::ColumnCase {
                    at: Some(self.table.at.clone()),
                    table: self.table.name.clone(),
                    column: wanted.path.join("."),
                    uri: uri.to_owned(),
                    found: (*found).clone(),
                });
            }
            all.push(if is_whole { Says::Lacks } else { Says::Nothing });
        }
        let is_declared = self.seen.is_none();
        for (wanted, says) in self.wanted.iter_mut().zip(&all) {
            match says {
                Says::Has => wanted.has += 1,
                Says::Lacks => {
                    wanted.lacks += 1;
                    wanted.example.get_or_insert_with(|| uri.to_owned());
                    if is_declared && wanted.has == 0 && wanted.near.len() < NEAR {
                        let level = names.below(&wanted.path[..wanted.path.len() - 1]);
                        wanted.near.extend(level.into_iter().flat_map(BTreeMap::keys).take(NEAR).cloned());
                    }
                }
                Says::Nothing => {}
            }
        }
        Ok(all)
    }

    /// What some files lack, and what they have that is not declared; `is_all`: no file was left unseen.
    ///
    /// # Errors
    /// [`Error::ColumnInNoFile`], [`Error::UndeclaredColumn`].
    pub(crate) fn finish(mut self, is_all: bool) -> Result<(Vec<Lacking>, Vec<UnreadColumn>)> {
        self.settle();
        let unread = std::mem::take(&mut self.unread).into_iter();
        let unread: Vec<_> = unread.map(|(column, example)| UnreadColumn { column, example }).collect();
        let mut reported = Vec::new();
        for wanted in self.wanted.into_iter().filter(|wanted| wanted.lacks > 0) {
            let column = wanted.path.join(".");
            if is_all && wanted.has == 0 && self.seen.is_none() {
                let name = wanted.path.last().map_or("", String::as_str);
                let parents = &wanted.path[..wanted.path.len().saturating_sub(1)];
                let near = nearest(name, wanted.near.iter().map(String::as_str));
                let near = near.map(|near| [parents, &[near]].concat().join("."));
                let (at, table) = (self.table.at.clone(), self.table.name.clone());
                return Err(Error::ColumnInNoFile { at, table, column, nearest: near });
            }
            let of_files = wanted.has + wanted.lacks;
            let example = wanted.example.unwrap_or_default();
            reported.push(Lacking { column, files: wanted.lacks, of_files, example });
        }
        reported.truncate(TOLD);
        if let (Undeclared::Error, [UnreadColumn { column, example }, ..]) = (self.table.undeclared, &*unread) {
            let (at, table) = (self.table.at.clone(), self.table.name.clone());
            return Err(Error::UndeclaredColumn { at, table, column: column.clone(), uri: example.clone() });
        }
        Ok((reported, unread))
    }
}

impl NameTree {
    /// The names that are none of these paths, dotted; below a name that is one without fields, all are.
    fn not_among(&self, paths: &BTreeSet<&[String]>, parents: &mut Vec<String>) -> Vec<String> {
        let mut found = Vec::new();
        let has_fields =
            |path: &[String]| paths.iter().any(|other| other.len() > path.len() && other.starts_with(path));
        for (name, below) in self.0.iter().flatten() {
            parents.push(name.clone());
            if !paths.contains(parents.as_slice()) {
                found.push(parents.join("."));
            } else if has_fields(parents) {
                found.extend(below.not_among(paths, parents));
            }
            parents.pop();
        }
        found
    }

    /// The names below these parents.
    fn below(&self, parents: &[String]) -> Option<&BTreeMap<String, Self>> {
        match parents.split_first() {
            None => self.0.as_ref(),
            Some((first, rest)) => self.0.as_ref()?.get(first)?.below(rest),
        }
    }
}

/// The declared columns that a whole file lacks, and those of which it cannot tell since it lacks what they are in, as
/// dotted paths.
///
/// # Errors
/// [`OtherCase`].
pub(crate) fn lacked(declared: &Fields, file: &NameTree) -> Result<(Vec<String>, Vec<String>), OtherCase> {
    let mut wanted = Vec::new();
    want(declared, &mut Vec::new(), &mut wanted);
    let (mut absent, mut unknown) = (Vec::new(), Vec::new());
    let mut folded: HashMap<&[String], HashMap<String, Vec<&String>>> = HashMap::new();
    for WantedColumn { path, .. } in &wanted {
        let Some((name, parents)) = path.split_last() else { continue };
        let Some(level) = file.below(parents) else {
            unknown.push(path.join("."));
            continue;
        };
        if level.contains_key(name) {
            continue;
        }
        let is_wanted =
            |other: &String| wanted.iter().any(|WantedColumn { path, .. }| path.split_last() == Some((other, parents)));
        let same = folded.entry(parents).or_insert_with(|| fold(level)).get(&name.to_lowercase());
        if let Some(found) = same.and_then(|names| names.iter().find(|other| !is_wanted(other))) {
            return Err(OtherCase { column: path.join("."), found: (*found).clone() });
        }
        absent.push(path.join("."));
    }
    Ok((absent, unknown))
}

/// The names by what they are in lower case.
fn fold(names: &BTreeMap<String, NameTree>) -> HashMap<String, Vec<&String>> {
    let mut folded: HashMap<String, Vec<&String>> = HashMap::with_capacity(names.len());
    for name in names.keys() {
        folded.entry(name.to_lowercase()).or_default().push(name);
    }
    folded
}

/// All columns and nested fields, parents first.
fn want(fields: &Fields, parents: &mut Vec<String>, wanted: &mut Vec<WantedColumn>) {
    for field in fields {
        parents.push(field.name().clone());
        wanted.push(WantedColumn { path: parents.clone(), has: 0, lacks: 0, example: None, near: BTreeSet::new() });
        let mut inner = field.data_type();
        while let DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) = inner {
            inner = item.data_type();
        }
        if let DataType::Struct(fields) = inner {
            want(fields, parents, wanted);
        }
        parents.pop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;

    use super::*;
    use crate::config::{Variables, load};

    /// A table with these columns, or without declared ones.
    fn table(columns: &str) -> SnapshotTable {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sql");
        let text = format!(
            "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
             SET snaplake.staging = 's'; SET snaplake.datalake = 'l';
             CREATE EXTERNAL TABLE snapshot.t {columns} STORED AS PARQUET LOCATION 'x/'; CREATE TABLE lake.t AS SELECT 1;"
        );
        std::fs::write(&path, text).unwrap();
        load(&path, &Variables::default()).unwrap().snapshots.remove(0)
    }

    fn json(text: &str) -> NameTree {
        let mut names = NameTree::default();
        names.add(&serde_json::from_str(text).unwrap());
        names
    }

    fn checked(table: &SnapshotTable, files: &[(&str, bool)], is_all: bool) -> Result<Vec<Lacking>> {
        let mut check = NameCheck::new(table);
        for (number, (text, is_whole)) in files.iter().enumerate() {
            check.add_names(&format!("f{number}"), &json(text), *is_whole)?;
        }
        check.finish(is_all).map(|(lacking, _)| lacking)
    }

    #[test]
    fn column_that_no_file_has_is_an_error_with_the_nearest_name_at_every_depth() {
        let nested = table("(o STRUCT<amt INT>, l STRUCT<x INT>[])");
        let error = checked(&nested, &[(r#"{"o":{"amount":1,"b":2},"l":[]}"#, true)], true).unwrap_err().to_string();
        assert!(error.contains("column 'o.amt' is declared for snapshot.t, but no file has it"), "{error}");
        assert!(error.contains("did you mean 'o.amount'?"), "{error}");
        let error = checked(&nested, &[(r#"{"o":null,"l":[{"y":1},{"z":1}]}"#, true)], true).unwrap_err().to_string();
        assert!(error.contains("'l.x'"), "{error}");
        assert!(checked(&nested, &[(r#"{"o":{"amt":1},"l":[{"x":1}]}"#, true)], true).unwrap().is_empty());
    }

    #[test]
    fn name_of_other_case_is_an_error_even_where_another_file_has_the_right_one() {
        let error = checked(&table("(id INT)"), &[(r#"{"id":1}"#, true), (r#"{"Id":1}"#, false)], false).unwrap_err();
        assert!(error.to_string().contains("f1 has 'Id'"), "{error}");
        assert!(error.help().unwrap().contains("double quotes"));
        let both = table(r#"(id INT, "Id" INT)"#);
        assert_eq!(checked(&both, &[(r#"{"id":1}"#, true), (r#"{"Id":1}"#, true)], true).unwrap().len(), 2);
    }

    #[test]
    fn column_that_was_not_seen_yet_is_reported_and_no_error() {
        let of_one = table("(id INT, late INT)");
        assert_eq!(checked(&of_one, &[(r#"{"id":1}"#, false)], true).unwrap(), []);
        let lacking = checked(&of_one, &[(r#"{"id":1}"#, true), (r#"{"id":1,"late":2}"#, true)], true).unwrap();
        let expected = Lacking { column: "late".into(), files: 1, of_files: 2, example: "f0".into() };
        assert_eq!(lacking, [expected]);
        assert_eq!(checked(&of_one, &[(r#"{"id":1}"#, true)], false).unwrap()[0].files, 1);
    }

    #[test]
    fn files_of_the_same_schema_are_counted_and_columns_that_come_later_are_lacked_by_those_before() {
        let inferred = table("");
        let mut check = NameCheck::new(&inferred);
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|name| Arc::new(Field::new(*name, DataType::Null, true))).collect::<Vec<_>>())
        };
        for (number, names) in [&["a"][..], &["a"], &["a"], &["a", "b"], &["a", "b"], &["b"]].into_iter().enumerate() {
            check.add_schema(&format!("f{number}"), &schema(names)).unwrap();
        }
        let lacking: Vec<_> =
            check.finish(true).unwrap().0.into_iter().map(|l| (l.column, l.files, l.example)).collect();
        assert_eq!(lacking, [("a".into(), 1, "f5".into()), ("b".into(), 3, "f0".to_owned())]);
    }
}
