//! How far tables are.

use serde_json::{Value, json};

use super::text::{pretty, print, table};
use super::{OutputFormat, Report};
use crate::pipeline::TableStatus;

impl Report {
    /// What `status` and `stage` came to.
    pub(crate) fn statuses(&self, statuses: &[TableStatus]) {
        self.bar.finish_and_clear();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = statuses.iter().map(status_json).collect();
            return print(&pretty(&json!({ "version": 1, "tables": tables })));
        }
        let mut rows = vec![["table", "planned", "staged", "published", "complete"].map(str::to_owned).to_vec()];
        for status in statuses {
            rows.push(vec![
                status.table.clone(),
                status.planned_at.clone().unwrap_or_else(|| "no".to_owned()),
                format!("{} of {}", status.staged.0, status.staged.1),
                format!("{} of {}", status.published.0, status.published.1),
                if status.complete { "yes" } else { "no" }.to_owned(),
            ]);
        }
        print(&table(&rows));
    }
}

fn status_json(status: &TableStatus) -> Value {
    json!({
        "table": status.table,
        "location": status.location,
        "planned_at": status.planned_at,
        "stage": { "done": status.staged.0, "total": status.staged.1 },
        "publish": { "done": status.published.0, "total": status.published.1 },
        "complete": status.complete,
    })
}
