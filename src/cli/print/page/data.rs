//! The part of what is known that a page holds: short forms, and no more than a browser bears.
//!
//! A page holds at most [`FILES`] files, [`PARTITIONS`] partitions and [`TASKS`] tasks, shared evenly by its tables:
//! some 20 MB. What is left out is counted, the page says so, and sums and histograms are over all. `--format json` has
//! everything.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::TaskStep;
use crate::inspect::lineage::{File, LineagePartition, LineageTask};
use crate::inspect::lineage::{Lineage, TableLineage};

const FILES: usize = 100_000;
const PARTITIONS: usize = 50_000;
const TASKS: usize = 5_000;

/// Label of NULL, which charts put last.
const NULL: &str = "NULL";
/// Label of a text without characters.
const EMPTY: &str = "(empty)";

/// What the page's script reads.
pub(super) fn of_page(lineage: &Lineage) -> Value {
    let tables = lineage.tables.len().max(1);
    json!({
        "generated_at": lineage.generated_at,
        "snaplake": lineage.snaplake,
        "database": lineage.database,
        "schema": lineage.schema,
        "snapshot_time": lineage.snapshot_time,
        "audits": lineage.audits,
        "tables": lineage.tables.iter().map(|table| of_table(table, tables)).collect::<Vec<_>>(),
    })
}

fn of_table(table: &TableLineage, tables: usize) -> Value {
    let files = FILES / tables / 3;
    json!({
        "table": table.table,
        "state": table.state,
        "plan": table.plan,
        "planned_at": table.planned_at,
        "staging": table.staging,
        "location": table.location,
        "select": table.select,
        "partitioned_by": table.partitioned_by,
        "sorted_by": table.sorted_by,
        "target_file_size": table.target_file_size,
        "sources": table.sources,
        "hops": table.hops,
        "columns": table.columns,
        "distinct_sample": table.distinct_sample,
        "validation": table.validation,
        "sizes": {
            "snapshot": histogram(&table.snapshot_files),
            "staging": histogram(&table.staging_files),
            "lake": histogram(&table.lake_files),
        },
        "partitions": partitions(&table.partitions, PARTITIONS / tables),
        "tasks": tasks(&table.tasks, TASKS / tables),
        "files": {
            "snapshot": list(&table.snapshot_files, files),
            "staging": list(&table.staging_files, files),
            "lake": list(&table.lake_files, files),
        },
    })
}

/// Files by size: `[k, files, bytes]` of those of 2^(k/2) to 2^((k+1)/2) bytes.
fn histogram(files: &[File]) -> Value {
    let mut bins: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for file in files {
        // The square's bits: halves of a power of two, exactly.
        let square = u128::from(file.bytes.max(1)) * u128::from(file.bytes.max(1));
        let bin = bins.entry(i64::from(square.ilog2())).or_default();
        bin.0 += 1;
        bin.1 += file.bytes;
    }
    bins.into_iter().map(|(bin, (files, bytes))| json!([bin, files, bytes])).collect()
}

/// The largest partitions: `[labels, rows, files, bytes]`, of the lake where it has them, else of staging.
fn partitions(all: &[LineagePartition], most: usize) -> Value {
    let row = |of: &LineagePartition| {
        let files = if of.lake_files > 0 { of.lake_files } else { of.staging_files };
        let labels: Vec<String> = of.values.iter().map(|value| label(value.as_deref())).collect();
        json!([labels, of.rows, files, of.bytes()])
    };
    let middle = all.get(all.len() / 2).map(LineagePartition::bytes);
    json!({
        "total": all.len(),
        "median_bytes": middle,
        "rows": all.iter().take(most).map(row).collect::<Vec<_>>(),
    })
}

/// A distinct label for each partition value: a text that looks like the label of NULL is in quotes.
fn label(value: Option<&str>) -> String {
    match value {
        None => NULL.to_owned(),
        Some("") => EMPTY.to_owned(),
        Some(text) if text == NULL || text == EMPTY || text.starts_with('\'') => format!("'{text}'"),
        Some(text) => text.to_owned(),
    }
}

/// What is to be looked at first: tasks that failed or run, then those that took longest.
fn tasks(all: &[LineageTask], most: usize) -> Value {
    let sums = [TaskStep::Stage, TaskStep::Publish].map(|step| {
        let of_step = || all.iter().filter(|task| task.step == step);
        let states = ["done", "running", "failed", "open"];
        let states =
            states.map(|state| (state.to_owned(), json!(of_step().filter(|task| task.state == state).count())));
        let mut sums = serde_json::Map::from_iter(states);
        sums.insert("total".to_owned(), json!(of_step().count()));
        sums.insert("seconds".to_owned(), json!(of_step().filter_map(|task| task.seconds).sum::<f64>()));
        let spilled = || of_step().filter_map(|task| task.bytes_spilled);
        sums.insert("bytes_spilled".to_owned(), json!(spilled().sum::<u64>()));
        sums.insert("tasks_spilled".to_owned(), json!(spilled().filter(|&bytes| bytes > 0).count()));
        (step.name().to_owned(), Value::Object(sums))
    });
    let mut order: Vec<&LineageTask> = all.iter().filter(|task| task.state != "open").collect();
    order.sort_by(|a, b| {
        let of = |task: &LineageTask| (task.state == "done", -task.seconds.unwrap_or(0.0));
        of(a).partial_cmp(&of(b)).unwrap_or(std::cmp::Ordering::Equal)
    });
    json!({ "sums": serde_json::Map::from_iter(sums), "rows": order.into_iter().take(most).collect::<Vec<_>>() })
}

/// Files by name: `[name below prefix, bytes, rows, stage group, publish group]`.
fn list(files: &[File], most: usize) -> Value {
    let shown = &files[..files.len().min(most)];
    let prefix = common_folder(shown.iter().map(|file| file.uri.as_str()));
    let row =
        |file: &File| json!([&file.uri[prefix.len()..], file.bytes, file.rows, file.stage_group, file.publish_group]);
    json!({ "total": files.len(), "prefix": prefix, "rows": shown.iter().map(row).collect::<Vec<_>>() })
}

/// The longest folder, with its slash, that all have in common.
fn common_folder<'a>(mut uris: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(mut common) = uris.next().map(folder) else { return "" };
    for uri in uris {
        while !uri.starts_with(common) {
            common = folder(common.strip_suffix('/').unwrap_or(common));
        }
    }
    common
}

fn folder(uri: &str) -> &str {
    uri.rfind('/').map_or("", |slash| &uri[..=slash])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(uri: &str, bytes: u64) -> File {
        File { uri: uri.to_owned(), bytes, rows: Some(1), partition: None, stage_group: Some(1), publish_group: None }
    }

    #[test]
    fn names_are_cut_at_the_folder_that_all_share() {
        for (uris, folder) in [
            (vec!["s3://b/x/a=1/f", "s3://b/x/a=10/f"], "s3://b/x/"),
            (vec!["s3://b/x/f"], "s3://b/x/"),
            (vec!["s3://b/f", "s3://c/f"], "s3://"),
            (vec!["a/é", "b/é"], ""),
            (vec![], ""),
        ] {
            assert_eq!(common_folder(uris.iter().copied()), folder, "{uris:?}");
        }
        let list = list(&[file("s3://b/x/a", 5), file("s3://b/x/b", 7), file("s3://b/x/c", 9)], 2);
        assert_eq!(list.to_string(), r#"{"total":3,"prefix":"s3://b/x/","rows":[["a",5,1,1,null],["b",7,1,1,null]]}"#);
    }

    #[test]
    fn bins_of_sizes_are_halves_of_powers_of_two() {
        let files = [0, 1, 2, 3, 4, 5, 6, u64::MAX].map(|bytes| file("f", bytes));
        // 2, 2.8, 4, 5.7
        assert_eq!(
            histogram(&files).to_string(),
            format!("[[0,2,1],[2,1,2],[3,1,3],[4,2,9],[5,1,6],[127,1,{}]]", u64::MAX)
        );
    }

    #[test]
    fn text_that_looks_like_null_or_nothing_is_in_quotes() {
        let values = [None, Some(""), Some("NULL"), Some("(empty)"), Some("'NULL'"), Some("2"), Some("o'clock")];
        let labels = values.map(label);
        assert_eq!(labels, ["NULL", "(empty)", "'NULL'", "'(empty)'", "''NULL''", "2", "o'clock"]);
    }

    proptest! {
        /// Two values have the same label only if they are the same.
        #[test]
        fn labels_are_as_different_as_values(
            a in proptest::option::of("'{0,2}(NULL|\\(empty\\)|)'{0,2}"),
            b in proptest::option::of("'{0,2}(NULL|\\(empty\\)|)'{0,2}"),
        ) {
            prop_assert_eq!(label(a.as_deref()) == label(b.as_deref()), a == b);
        }
    }

    #[test]
    fn tasks_to_look_at_come_first_and_all_are_counted() {
        let task = |group, state, seconds| LineageTask {
            step: TaskStep::Stage,
            group,
            state,
            seconds: Some(seconds),
            ..LineageTask::default()
        };
        let all = [task(1, "done", 1.0), task(2, "open", 0.0), task(3, "failed", 0.5), task(4, "done", 9.0)];
        let reported = tasks(&all, 2);
        let groups: Vec<&Value> = reported["rows"].as_array().unwrap().iter().map(|task| &task["group"]).collect();
        assert_eq!(groups, [3, 4]);
        assert_eq!(reported["sums"]["stage"]["done"], 2);
        assert_eq!(reported["sums"]["stage"]["seconds"], 10.5);
    }
}
