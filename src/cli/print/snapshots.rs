//! The snapshots of each table.

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use super::report::{OutputFormat, Report};
use super::text::{pretty, print, say, table};
use crate::inspect::snapshots::{SnapshotState, SnapshotView};

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
        let head = ["table", "snapshot", "state", "rows", "files", "bytes", "completed", "location"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(views.iter().map(row));
        print(&table(&rows));
        for SnapshotView { table, snapshot_time, problem, .. } in views {
            if let Some(problem) = problem {
                say(&format!("{table}: {snapshot_time}: {problem}"));
            }
        }
    }
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
        view.location.clone(),
    ]
}
