//! What `init` found, what it left out and why, and what to type next.

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::report::{OutputFormat, Report};
use super::text::{count, count_u64, pretty, print, table};
use crate::init::Initialized;
use crate::session::Requests;

impl Report {
    /// What `init` found and wrote, and what to type next.
    pub(crate) fn initialized(&self, found: &Initialized, requests: &Requests) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&initialized_json(found, requests)));
        }
        let header = ["table", "format", "files", "bytes", "rows", "columns", "partitioned by", "sorted by"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        let names = |names: &[String]| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
        rows.extend(found.tables.iter().map(|table| {
            let about = if table.rows.1 { "" } else { "~" };
            vec![
                table.table.clone(),
                table.format.to_owned(),
                HumanCount(table.files).to_string(),
                HumanBytes(table.bytes).to_string(),
                format!("{about}{}", HumanCount(table.rows.0)),
                table.columns.to_string(),
                names(&table.partitioned_by),
                names(&table.sorted_by),
            ]
        }));
        print(&table(&rows));
        for ignored in &found.ignored {
            let more =
                if ignored.files > 1 { format!(" and {} more", HumanCount(ignored.files - 1)) } else { String::new() };
            let what = if ignored.may_have_rows { "not read" } else { "ignored" };
            print(&format!("{what} {}{more}: {}", ignored.example, ignored.reason));
        }
        let config = found.config.display();
        if found.is_database {
            self.line("read the catalogue of the database");
            self.line(&format!("wrote {config} and {}", count(found.written.len().saturating_sub(1), "model")));
            return self.line(&format!("next: review them, then run\n  snaplake run {config}"));
        }
        let read = format!(
            "read {} of {} in {}",
            HumanBytes(found.read.bytes),
            HumanBytes(found.bytes),
            count_u64(found.read.requests, "read")
        );
        self.line(&read);
        self.line(&format!("wrote {config} and {}", count(found.written.len().saturating_sub(1), "model")));
        self.line(&format!("next: review them, then run\n  snaplake plan {config}\n  snaplake run {config}"));
    }
}

fn initialized_json(found: &Initialized, requests: &Requests) -> Value {
    let tables = found.tables.iter().map(|table| {
        json!({
            "table": table.table, "format": table.format, "locations": table.locations, "files": table.files,
            "bytes": table.bytes, "rows": table.rows.0, "rows_are_exact": table.rows.1, "columns": table.columns,
            "partitioned_by": table.partitioned_by, "sorted_by": table.sorted_by,
        })
    });
    let ignored = found.ignored.iter().map(|ignored| {
        json!({ "reason": ignored.reason, "files": ignored.files, "bytes": ignored.bytes, "example": ignored.example,
            "may_have_rows": ignored.may_have_rows,
        })
    });
    json!({
        "version": 1,
        "location": found.location,
        "database": found.database,
        "snapshot_time": found.snapshot_time,
        "files": found.files,
        "bytes": found.bytes,
        "read": { "files": found.read.files, "bytes": found.read.bytes, "reads": found.read.requests },
        "requests": { "sent": requests.sent, "failed": requests.failed },
        "tables": tables.collect::<Vec<_>>(),
        "ignored": ignored.collect::<Vec<_>>(),
        "config": found.config,
        "written": found.written,
    })
}
