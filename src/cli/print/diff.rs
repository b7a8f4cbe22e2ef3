//! What changed between two snapshots.

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::report::{OutputFormat, Report};
use super::text::{count, pretty, print, table};
use crate::inspect::diff::{Change, ColumnChanges, DataSize, RowChanges, RowSample, TableDiff};

/// Partitions that are shown; all are in the JSON.
const PARTITIONS: usize = 40;

impl Report {
    /// What `diff` found.
    pub(crate) fn diffs(&self, diffs: &[TableDiff], against: &str) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&json!({ "version": 1, "against": against, "tables": diffs })));
        }
        let mut rows = vec![
            ["table", "rows", "files", "bytes", "partitions", "added", "removed", "changed"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for diff in diffs {
            let mut row = vec![diff.table.clone()];
            row.extend(contents(&diff.before, &diff.after));
            row.push(match diff.partitions.len() {
                0 => "identical".to_owned(),
                differ => format!("{differ} of {} differ", differ + diff.same_partitions),
            });
            row.extend(changes(diff.rows));
            rows.push(row);
        }
        print(&table(&rows));
        diffs.iter().for_each(details);
    }
}

/// Columns, partitions and samples of one table.
fn details(diff: &TableDiff) {
    let name = &diff.table;
    for source in &diff.sources {
        columns(&format!("snapshot.{}", source.table), &source.columns);
    }
    columns(&format!("lake.{name}"), &diff.columns);
    let is_partitioned = diff.partitions.iter().any(|partition| !partition.partition.is_empty());
    if is_partitioned {
        let head = ["partition", "rows", "files", "bytes", "added", "removed", "changed"].map(str::to_owned).to_vec();
        let rows = diff.partitions.iter().take(PARTITIONS).map(|partition| {
            let mut row = vec![partition.partition.clone()];
            row.extend(contents(&partition.before, &partition.after));
            row.extend(changes(partition.rows));
            row
        });
        let rows: Vec<Vec<String>> = [head].into_iter().chain(rows).collect();
        print(&format!("\nlake.{name}:\n{}", table(&rows)));
        if diff.partitions.len() > PARTITIONS {
            let more = count(diff.partitions.len() - PARTITIONS, "more partition");
            print(&format!("and {more}; --format json shows all"));
        }
    }
    if !diff.samples.is_empty() {
        print(&format!("\nlake.{name}, example rows:"));
        diff.samples.iter().for_each(|row| print(&sample(row)));
    }
}

fn columns(table: &str, changes: &ColumnChanges) {
    for (what, columns) in [("added", &changes.added), ("removed", &changes.removed)] {
        if !columns.is_empty() {
            print(&format!("{table}: {what} {}", columns.join(", ")));
        }
    }
    for (column, before, after) in &changes.retyped {
        print(&format!("{table}: the type of {column} changed from {before} to {after}"));
    }
    for (before, after) in &changes.perhaps_renamed {
        print(&format!("{table}: {before} was perhaps renamed to {after}, which has its type and its place"));
    }
}

fn contents(before: &DataSize, after: &DataSize) -> [String; 3] {
    let arrow = |before: String, after: String| if before == after { after } else { format!("{before} -> {after}") };
    [
        arrow(HumanCount(before.rows).to_string(), HumanCount(after.rows).to_string()),
        arrow(before.files.to_string(), after.files.to_string()),
        arrow(HumanBytes(before.bytes).to_string(), HumanBytes(after.bytes).to_string()),
    ]
}

fn changes(rows: Option<RowChanges>) -> [String; 3] {
    let unknown = || ["-", "-", "-"].map(str::to_owned);
    rows.map_or_else(unknown, |rows| [rows.added, rows.removed, rows.changed].map(|rows| HumanCount(rows).to_string()))
}

fn sample(sample: &RowSample) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| "NULL".to_owned(), str::to_owned);
    let all = |columns: &std::collections::BTreeMap<String, Value>| {
        columns.iter().map(|(name, value)| format!("{name} {}", text(value))).collect::<Vec<_>>().join(", ")
    };
    let key = all(&sample.key);
    match sample.change {
        Change::Added => format!("+ {key}: {}", all(&sample.after)),
        Change::Removed => format!("- {key}: {}", all(&sample.before)),
        Change::Changed => {
            let changed = sample.before.iter().map(|(name, before)| {
                let after = sample.after.get(name).map_or_else(|| "NULL".to_owned(), text);
                format!("{name} {} -> {after}", text(before))
            });
            format!("~ {key}: {}", changed.collect::<Vec<_>>().join(", "))
        }
    }
}
