//! The snapshots of each table, and those that are dropped.

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use super::report::{OutputFormat, Report};
use super::text::{count, count_u64, pretty, print, say, table};
use crate::inspect::snapshots::{SnapshotState, SnapshotView};
use crate::pipeline::expire::ExpiredSnapshot;

impl Report {
    /// What `snapshots` found.
    pub(crate) fn snapshots(&self, views: &[SnapshotView]) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&json!({ "version": 1, "snapshots": views })));
        }
        if views.is_empty() {
            return print("these tables have no snapshots");
        }
        let head = ["table", "snapshot", "state", "rows", "files", "bytes", "completed", "version"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(views.iter().map(row));
        if views.iter().all(|view| view.version.is_none()) {
            rows.iter_mut().for_each(|row| drop(row.pop()));
        }
        print(&table(&rows));
        for SnapshotView { table, snapshot_time, problem, .. } in views {
            if let Some(problem) = problem {
                say(&format!("{table}: {snapshot_time}: {problem}"));
            }
        }
    }
}

impl Report {
    /// Snapshots that `drop` or `expire` would remove, or has removed.
    pub(crate) fn expired(&self, expired: &[ExpiredSnapshot], removed: bool) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&json!({ "version": 1, "removed": removed, "snapshots": expired })));
        }
        if expired.is_empty() {
            return print("no snapshots to drop");
        }
        let head = ["table", "snapshot", "state", "files", "bytes"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(expired.iter().map(|one| {
            let state = if one.is_complete { "complete" } else { "not complete" };
            let (files, bytes) = (HumanCount(one.files).to_string(), HumanBytes(one.bytes).to_string());
            vec![one.table.clone(), one.snapshot_time.clone(), state.to_owned(), files, bytes]
        }));
        print(&table(&rows));
        if removed {
            self.dropped(expired);
        } else if !self.quiet {
            say(&format!("{}: nothing removed; add --remove to remove them", total(expired)));
        }
    }

    /// How much was removed.
    pub(crate) fn dropped(&self, expired: &[ExpiredSnapshot]) {
        if !self.quiet {
            say(&format!("{}: removed", total(expired)));
        }
    }
}

fn total(expired: &[ExpiredSnapshot]) -> String {
    let files = expired.iter().map(|one| one.files).sum();
    let bytes = HumanBytes(expired.iter().map(|one| one.bytes).sum());
    format!("{}, {}, {bytes}", count(expired.len(), "snapshot"), count_u64(files, "file"))
}

fn row(view: &SnapshotView) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let count = |number: Option<u64>| or_none(number.map(|number| HumanCount(number).to_string()));
    let state = match view.state {
        None => "damaged",
        Some(SnapshotState::NotPlanned) => "not planned",
        Some(SnapshotState::Staging) => "staging",
        Some(SnapshotState::Staged) => "staged",
        Some(SnapshotState::Published) => "published, not proven",
        Some(SnapshotState::Complete) => "complete",
    };
    vec![
        view.table.clone(),
        view.snapshot_time.clone(),
        state.to_owned(),
        count(view.rows),
        count(view.files),
        or_none(view.bytes.map(|bytes| HumanBytes(bytes).to_string())),
        or_none(view.completed_at.clone()),
        or_none(view.version.map(|version| version.to_string())),
    ]
}
