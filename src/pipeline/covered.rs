//! Warnings about the files of a snapshot table, from what planning found and stored. Pure.
//!
//! | code | when |
//! | --- | --- |
//! | `left_out_files` | files below LOCATION are not read, and no `exclude` asks for it |
//! | `undeclared_folders` | folders are named `k=v`, and `k` is no column |
//! | `folder_replaces_column` | a column that PARTITIONED BY declares is in the files, too |
//! | `lacking_column` | some files lack a column, so it is NULL for their rows |
//! | `widened_column` | the type of a column is not the same in all files |
//! | `unread_columns` | files have columns that the table does not declare |
//! | `set_to_null` | values are NULL because their type cannot hold them, and `on_invalid` asks for that |
//! | `case_only` | two columns differ only in case, which readers of the lake ignore |

use std::collections::HashMap;

use indicatif::HumanCount;

use super::validate::Validation;
use super::warning::Warning;
use crate::snapshot::{Coverage, WidenedColumn};
use crate::types::ident;

/// Columns with a warning of their own.
const TOLD: usize = 10;

/// All that apply, in the order of the table above.
pub(crate) fn warnings(table: &str, coverage: &Coverage) -> Vec<Warning> {
    let once = [left_out(table, coverage), folders(table, coverage), replaced(table, coverage)];
    once.into_iter()
        .flatten()
        .chain(lacking(table, coverage))
        .chain(widened(table, coverage))
        .chain(unread(table, coverage))
        .collect()
}

/// Whether a run shows it too, not only a plan.
pub(super) fn is_reported_by_run(warning: &Warning) -> bool {
    ["left_out_files", "undeclared_folders", "unread_columns"].contains(&warning.code)
}

fn left_out(table: &str, coverage: &Coverage) -> Option<Warning> {
    let reported: Vec<_> = coverage.left_out.iter().filter(|left| left.reason.is_reported()).collect();
    let files: u64 = reported.iter().map(|left| left.files).sum();
    let problem = reported.iter().map(|left| left.sentence()).collect::<Vec<_>>().join(", ");
    let (count, verb) = if files == 1 { ("1 file".to_owned(), "is") } else { (format!("{files} files"), "are") };
    (files > 0).then(|| Warning {
        code: "left_out_files",
        problem: format!("{count} in the LOCATION of snapshot.{table} {verb} not read ({problem})"),
        advice: "to accept that, list them in OPTIONS ('exclude' '...')".into(),
    })
}

fn folders(table: &str, coverage: &Coverage) -> Option<Warning> {
    let keys = &coverage.undeclared;
    let names: Vec<String> = keys.iter().map(|(key, _)| format!("{key}=")).collect();
    let columns: Vec<String> = keys.iter().map(|(key, sql)| [&ident(key), sql.as_str()].join(" ")).collect();
    (!keys.is_empty()).then(|| Warning {
        code: "undeclared_folders",
        problem: format!(
            "values of the folder names {} in the LOCATION of snapshot.{table} are not read",
            names.join(", ")
        ),
        advice: format!("add PARTITIONED BY ({}) to CREATE EXTERNAL TABLE", columns.join(", ")).into(),
    })
}

fn replaced(table: &str, coverage: &Coverage) -> Option<Warning> {
    let names = coverage.replaced.join(", ");
    (!names.is_empty()).then(|| Warning {
        code: "folder_replaces_column",
        problem: format!("column {names} of snapshot.{table} is in the files and in PARTITIONED BY"),
        advice: "the value of the folder is used; to read the value of the file, remove the column from PARTITIONED BY"
            .into(),
    })
}

fn lacking(table: &str, coverage: &Coverage) -> Vec<Warning> {
    let one = |column: &str, files: u64, of_files: u64, example: &str| Warning {
        code: "lacking_column",
        problem: format!(
            "{files} of {of_files} inspected files of snapshot.{table} do not have column '{column}', such as {example}"
        ),
        advice: "it is NULL in their rows".into(),
    };
    let all = coverage.lacking.iter().take(TOLD);
    all.map(|lacking| one(&lacking.column, lacking.files, lacking.of_files, &lacking.example)).collect()
}

fn widened(table: &str, coverage: &Coverage) -> Vec<Warning> {
    let one = |of: &WidenedColumn| {
        let types: Vec<_> = of.types.iter().map(|(name, example)| format!("{name} in {example}")).collect();
        Warning {
            code: "widened_column",
            problem: format!(
                "the type of '{}' differs between files of snapshot.{table}: {}",
                of.column,
                types.join(", ")
            ),
            advice: format!("it is read as {}", of.read_as).into(),
        }
    };
    coverage.widened.iter().take(TOLD).map(one).collect()
}

fn unread(table: &str, coverage: &Coverage) -> Option<Warning> {
    let first = coverage.unread.first()?;
    let names: Vec<_> = coverage.unread.iter().take(TOLD).map(|unread| unread.column.as_str()).collect();
    let more = coverage.unread.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(Warning {
        code: "unread_columns",
        problem: format!(
            "files of snapshot.{table} have columns that are not declared, so they are not read: {}{more}, such as in {}",
            names.join(", "),
            first.example
        ),
        advice: "declare those that you want; OPTIONS ('undeclared' 'error') refuses such files".into(),
    })
}

/// Values that `on_invalid` made NULL.
pub(super) fn set_to_null(table: &str, validation: &Validation) -> Option<Warning> {
    let columns = validation.set_to_null.iter();
    let columns: Vec<_> = columns.map(|(column, values)| format!("{column}: {}", HumanCount(*values))).collect();
    (!columns.is_empty()).then(|| Warning {
        code: "set_to_null",
        problem: format!(
            "values of snapshot.{table} are NULL because their type cannot hold them ({})",
            columns.join(", ")
        ),
        advice: "that is what on_invalid asks for; 'text' keeps such values".into(),
    })
}

/// Columns of a lake table that differ by case only.
pub(crate) fn case_only<'a>(table: &str, columns: impl Iterator<Item = &'a str>) -> Option<Warning> {
    let mut folded: HashMap<String, &str> = HashMap::new();
    let pair = columns
        .map(|name| (name, folded.insert(name.to_lowercase(), name)))
        .find_map(|(name, other)| other.map(|other| (other, name)))?;
    Some(Warning {
        code: "case_only",
        problem: format!("columns '{}' and '{}' of lake.{table} differ only in case", pair.0, pair.1),
        advice: "DuckDB, Spark and Athena ignore case; rename one of them with AS".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Lacking, LeftOut, LeftOutReason, UnreadColumn, WidenedColumn};

    #[test]
    fn what_is_found_is_reported_with_what_to_do() {
        let left = |reason, files, name: &str| LeftOut {
            reason,
            files,
            bytes: 1,
            examples: vec![name.to_owned()],
            read_as: None,
        };
        let coverage = Coverage {
            left_out: vec![
                left(LeftOutReason::Mark, 1, "s3://b/_SUCCESS"),
                left(LeftOutReason::Empty, 1, "s3://b/a.csv"),
                left(LeftOutReason::Document, 2, "s3://b/README.md"),
            ],
            undeclared: vec![("year".into(), "INT".into()), ("Day".into(), "DATE".into())],
            replaced: vec!["month".into()],
            lacking: vec![Lacking { column: "o.x".into(), files: 1, of_files: 3, example: "s3://b/a.csv".into() }],
            widened: vec![WidenedColumn {
                column: "n".into(),
                types: vec![("INT".into(), "s3://b/a".into()), ("BIGINT".into(), "s3://b/b".into())],
                read_as: "BIGINT".into(),
            }],
            unread: vec![UnreadColumn { column: "o.y".into(), example: "s3://b/a.csv".into() }],
            ..Coverage::default()
        };
        let reported: Vec<String> = warnings("t", &coverage)
            .iter()
            .map(|Warning { code, problem, advice }| format!("{code}: {problem}; {advice}"))
            .collect();
        insta::assert_snapshot!(reported.join("\n"), @r#"
        left_out_files: 3 files in the LOCATION of snapshot.t are not read (1 file (a.csv): an empty file, 2 files (README.md, ...): a document); to accept that, list them in OPTIONS ('exclude' '...')
        undeclared_folders: values of the folder names year=, Day= in the LOCATION of snapshot.t are not read; add PARTITIONED BY (year INT, "Day" DATE) to CREATE EXTERNAL TABLE
        folder_replaces_column: column month of snapshot.t is in the files and in PARTITIONED BY; the value of the folder is used; to read the value of the file, remove the column from PARTITIONED BY
        lacking_column: 1 of 3 inspected files of snapshot.t do not have column 'o.x', such as s3://b/a.csv; it is NULL in their rows
        widened_column: the type of 'n' differs between files of snapshot.t: INT in s3://b/a, BIGINT in s3://b/b; it is read as BIGINT
        unread_columns: files of snapshot.t have columns that are not declared, so they are not read: o.y, such as in s3://b/a.csv; declare those that you want; OPTIONS ('undeclared' 'error') refuses such files
        "#);
        assert_eq!(warnings("t", &Coverage::default()), []);
        let marks = Coverage { left_out: coverage.left_out[..1].to_vec(), ..Coverage::default() };
        assert_eq!(warnings("t", &marks), []);
    }

    #[test]
    fn columns_that_differ_by_case_only_are_reported() {
        assert!(case_only("t", ["a", "b", "A"].into_iter()).unwrap().problem.contains("'a' and 'A'"));
        assert_eq!(case_only("t", ["a", "b"].into_iter()), None);
    }
}
