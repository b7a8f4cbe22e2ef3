//! Result of a command: published tables, one task, garbage.

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::report::{OutputFormat, Report};
use super::text::{count, count_u64, pretty, print, say, table};
use crate::error::Result;
use crate::pipeline::clean::{Garbage, Why};
use crate::pipeline::repair::Repair;
use crate::pipeline::{TableReport, TaskReport, TaskSpec};
use crate::session::Requests;

impl Report {
    /// Result of `run` or `publish`.
    pub(crate) fn tables(&self, reports: &[TableReport], requests: &Requests) {
        self.validations(reports, requests);
        if self.format == OutputFormat::Human && reports.iter().all(|report| report.tasks == 0) {
            print("nothing to do: all tables are complete");
        }
    }

    /// Result of `validate`.
    pub(crate) fn validations(&self, reports: &[TableReport], requests: &Requests) {
        self.board.clear();
        let failed: u64 = requests.failed.values().sum();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = reports.iter().map(report_json).collect();
            let requests = json!({ "sent": requests.sent, "failed": requests.failed });
            return print(&pretty(&json!({ "version": 1, "tables": tables, "requests": requests })));
        }
        if failed > 0 {
            let kinds: Vec<String> = requests.failed.iter().map(|(kind, times)| format!("{kind}: {times}")).collect();
            self.line(&format!(
                "{} of {} failed and were retried ({})",
                HumanCount(failed),
                count_u64(requests.sent, "request"),
                kinds.join(", ")
            ));
        }
        let mut rows = vec![
            ["table", "rows in", "rows out", "files", "bytes", "partitions", "seconds"].map(str::to_owned).to_vec(),
        ];
        for report in reports {
            let (from, to) = (&report.validation.snapshot, &report.validation.lake);
            rows.push(vec![
                report.table.clone(),
                HumanCount(report.validation.rows_read).to_string(),
                HumanCount(report.validation.footer_rows).to_string(),
                format!("{} -> {}", HumanCount(from.files), HumanCount(to.files)),
                format!("{} -> {}", HumanBytes(from.bytes), HumanBytes(to.bytes)),
                HumanCount(report.validation.partitions).to_string(),
                format!("{:.1}", report.seconds),
            ]);
        }
        print(&table(&rows));
        for report in reports.iter().filter(|report| report.validation.footer_rows == 0) {
            print(&format!("lake.{} is empty: its snapshot or its SELECT has no rows", report.table));
        }
    }

    /// Result of a single task; JSON is one line, since several tasks may follow each other.
    pub(crate) fn task(&self, TaskReport { table, step, group, ran, rows, seconds, .. }: &TaskReport) {
        self.board.clear();
        match self.format {
            OutputFormat::Json => print(
                &json!({ "version": 1, "table": table, "step": step, "group": group, "ran": ran, "rows": rows,
                    "seconds": seconds })
                .to_string(),
            ),
            OutputFormat::Human => {
                let what = if *ran { "done" } else { "nothing to do: it is already done" };
                print(&format!("lake.{table} {step} group {group}: {what}"));
            }
        }
    }

    /// Tasks for `snaplake task`, one per line.
    ///
    /// # Errors
    /// As [`TaskSpec::to_json`].
    pub(crate) fn specs(&self, specs: &[TaskSpec]) -> Result<()> {
        self.board.clear();
        specs.iter().try_for_each(|spec| spec.to_json().map(|line| print(&line)))
    }

    /// What `clean` found: a line per file, to be piped on; how many, to standard error.
    pub(crate) fn garbage(&self, garbage: &[Garbage], removed: bool) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&json!({ "version": 1, "removed": removed, "files": garbage })));
        }
        for file in garbage {
            let why = match file.why {
                Why::Uncommitted => "uncommitted",
                Why::Unfinished => "unfinished",
                Why::Published => "published",
            };
            let (bytes, upload) = match &file.upload {
                Some(id) => (String::new(), format!(" (upload {id})")),
                None => (HumanBytes(file.bytes).to_string(), String::new()),
            };
            print(&format!("{why:11}  {bytes:>10}  {}{upload}", file.uri));
        }
        match garbage {
            [] => print("no files to remove"),
            _ if removed => self.removed(garbage),
            _ if self.quiet => {}
            _ => say(&format!("{}: nothing removed; add --remove to remove them", total(garbage))),
        }
    }

    /// What `repair` found: two lines each.
    pub(crate) fn repairs(&self, repairs: &[Repair]) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&json!({ "version": 1, "repairs": repairs })));
        }
        for Repair { table, problem, action, .. } in repairs {
            print(&format!("lake.{table}: {problem}\n  {action}"));
        }
        if repairs.is_empty() {
            print("nothing is damaged");
        } else if !self.quiet && repairs.iter().any(|repair| repair.done) {
            say("run `snaplake run` to make the revoked files again");
        }
    }

    /// How much was removed.
    pub(crate) fn removed(&self, garbage: &[Garbage]) {
        if !self.quiet {
            say(&format!("{}: removed", total(garbage)));
        }
    }

    /// Asks on the terminal; anything but yes is no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        say(&format!("{question} [y/N]"));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
    }
}

fn total(garbage: &[Garbage]) -> String {
    let bytes = HumanBytes(garbage.iter().map(|file| file.bytes).sum());
    format!("{}, {bytes}", count(garbage.len(), "file"))
}

fn report_json(report: &TableReport) -> Value {
    json!({
        "table": report.table,
        "location": report.location,
        "tasks_run": report.tasks,
        "seconds": report.seconds,
        "validation": report.validation,
    })
}
