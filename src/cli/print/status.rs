//! How far tables are: once, or again and again in the same place.
//!
//! ```text
//! table   staged  published  running  failed  complete               audits  rows staged      bytes ...
//! orders  2 of 4          -        1       1        no  1 stale, 3 not run      200,000  12.30 MiB ...
//! orders: stage group 4 runs for 12 s, 1,024 rows so far
//! orders: stage group 3 failed, attempt 2, 2026-01-31T00:00:00.000Z: ...
//! orders: orders.not_null(id) is stale: ...
//! ```

use chrono::{DateTime, Utc};
use console::Term;
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::plan::{left_out_json, warnings_json};
use super::report::{OutputFormat, Report};
use super::text::{count_u64, cut, is_printed, pretty, print, table};
use crate::inspect::{StepStatus, TableStatus};
use crate::pipeline::{AuditState, AuditStatus, Warning};

/// Failures and running tasks that are shown; all are in the JSON.
const TOLD: usize = 10;

/// What a watch has shown last.
#[derive(Debug)]
pub(crate) struct Watch {
    terminal: Option<Term>,
    /// Lines in the terminal, or the last one of each table.
    shown: Vec<String>,
}

impl Report {
    /// Result of `status` and `stage`.
    pub(crate) fn statuses(&self, statuses: &[TableStatus]) {
        self.board.clear();
        match self.format {
            OutputFormat::Json => print(&pretty(&statuses_json(statuses))),
            OutputFormat::Human => print(&lines(statuses, Utc::now()).join("\n")),
        }
    }

    /// Begins to watch: in place on a terminal, otherwise a line per table whenever something has changed.
    pub(crate) fn watch(&self) -> Watch {
        self.board.clear();
        let terminal = (self.format == OutputFormat::Human).then(Term::buffered_stdout).filter(Term::is_term);
        Watch { terminal, shown: Vec::new() }
    }

    /// Shows what has changed; `false` when nobody reads any more.
    pub(crate) fn watched(&self, watch: &mut Watch, statuses: &[TableStatus]) -> bool {
        if let Some(terminal) = &watch.terminal {
            let (height, width) = terminal.size();
            let mut lines = lines(statuses, Utc::now());
            let room = usize::from(height).saturating_sub(1).max(1);
            if lines.len() > room {
                let more = lines.len() - (room - 1);
                lines.truncate(room - 1);
                lines.push(format!("and {more} more lines"));
            }
            lines.iter_mut().for_each(|line| *line = cut(line, usize::from(width)));
            let drawn = terminal
                .clear_last_lines(watch.shown.len())
                .and_then(|()| lines.iter().try_for_each(|line| terminal.write_line(line)))
                .and_then(|()| terminal.flush());
            watch.shown = lines;
            return drawn.is_ok();
        }
        let lines: Vec<String> = match self.format {
            OutputFormat::Json => vec![statuses_json(statuses).to_string()],
            OutputFormat::Human => statuses.iter().map(sentence).collect(),
        };
        let is_read = changed(&watch.shown, &lines).all(|line| is_printed(line));
        watch.shown = lines;
        is_read
    }
}

/// Lines that are not the ones that were shown last in their places.
fn changed<'a>(shown: &'a [String], lines: &'a [String]) -> impl Iterator<Item = &'a String> {
    let is_new = |(index, line): &(usize, &String)| shown.get(*index) != Some(*line);
    lines.iter().enumerate().filter(is_new).map(|(_, line)| line)
}

/// A table of all tables, then what is running and what failed.
fn lines(statuses: &[TableStatus], now: DateTime<Utc>) -> Vec<String> {
    let with_sums = statuses.iter().any(|status| status.stage.sums.is_some());
    // Cut at the right on a narrow terminal.
    let mut head = vec!["table", "staged", "published", "running", "failed", "complete"];
    let with_audits = statuses.iter().any(|status| !status.audits.is_empty());
    if with_audits {
        head.push("audits");
    }
    if with_sums {
        head.extend(["rows staged", "bytes", "rows published", "bytes"]);
    }
    let mut rows: Vec<Vec<String>> = vec![head.into_iter().map(str::to_owned).collect()];
    for status in statuses {
        let [staged, published] = [&status.stage, &status.publish];
        let tasks = |step: &StepStatus| step.total.map(|total| format!("{} of {total}", step.done));
        let rows_of = |step: &StepStatus| {
            let running: u64 = step.running.iter().filter(|task| task.is_alive).map(|task| task.rows).sum();
            let sums = step.total.and(step.sums);
            sums.map_or_else(|| "-".to_owned(), |sums| HumanCount(sums.rows_written + running).to_string())
        };
        let bytes_of = |step: &StepStatus| {
            let sums = step.total.and(step.sums);
            sums.map_or_else(|| "-".to_owned(), |sums| HumanBytes(sums.bytes_written).to_string())
        };
        let running = [staged, published].map(|step| step.running.iter().filter(|task| task.is_alive).count());
        let mut row = vec![
            status.table.clone(),
            tasks(staged).unwrap_or_else(|| "not planned".to_owned()),
            tasks(published).unwrap_or_else(|| "-".to_owned()),
            running.iter().sum::<usize>().to_string(),
            (staged.failed + published.failed).to_string(),
            if status.complete { "yes" } else { "no" }.to_owned(),
        ];
        if with_audits {
            row.push(audits(&status.audits).unwrap_or_else(|| "-".to_owned()));
        }
        if with_sums {
            row.extend([rows_of(staged), bytes_of(staged), rows_of(published), bytes_of(published)]);
        }
        rows.push(row);
    }
    let mut lines: Vec<String> = table(&rows).lines().map(str::to_owned).collect();
    let steps = || {
        statuses.iter().flat_map(|status| {
            [("stage", &status.stage), ("publish", &status.publish)].map(|step| (&status.table, step))
        })
    };
    let running = steps().flat_map(|(table, (name, step))| {
        step.running.iter().map(move |task| {
            let begin = format!("{table}: {name} group {}", task.group);
            let seconds = DateTime::parse_from_rfc3339(&task.started_at)
                .map_or(0, |at| now.signed_duration_since(at).num_seconds());
            if task.is_alive {
                format!("{begin} runs for {seconds} s, {} rows so far", HumanCount(task.rows))
            } else {
                format!("{begin} was running; last seen at {}", task.seen_at)
            }
        })
    });
    let failed = steps().flat_map(|(table, (name, step))| {
        step.failures.iter().map(move |failure| {
            let (group, attempt, at) = (failure.group, failure.attempt, &failure.at);
            format!("{table}: {name} group {group} failed, attempt {attempt}, {at}: {}", failure.error)
        })
    });
    let audited = statuses.iter().flat_map(|status| status.audits.iter().filter_map(|audit| concern(status, audit)));
    let left_out = statuses.iter().filter_map(|status| {
        let all = status.left_out.iter().flat_map(|(source, left)| left.iter().map(move |left| (source, left)));
        let reported = all.filter(|(_, left)| left.reason.is_reported());
        let reported: Vec<String> =
            reported.map(|(source, left)| format!("snapshot.{source} {}", left.sentence())).collect();
        (!reported.is_empty()).then(|| format!("{}: not read: {}", status.table, reported.join(", ")))
    });
    let problems =
        statuses.iter().flat_map(|status| status.problems.iter().map(|problem| format!("{}: {problem}", status.table)));
    let warned = statuses.iter().flat_map(|status| {
        let line = |Warning { problem, advice, .. }: &Warning| format!("{}: {problem}; {advice}", status.table);
        status.warnings.iter().map(line)
    });
    let reported = [
        problems.collect::<Vec<_>>(),
        running.collect(),
        failed.collect(),
        audited.collect(),
        left_out.collect(),
        warned.collect(),
    ];
    for reported in reported {
        let more = reported.len().saturating_sub(TOLD);
        lines.extend(
            reported.into_iter().take(TOLD).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()),
        );
        if more > 0 {
            lines.push(format!("and {more} more; --format json shows all"));
        }
    }
    lines
}

/// Number of audits per state, the worst first; `None` if there are none.
fn audits(audits: &[AuditStatus]) -> Option<String> {
    let states = [
        (AuditState::Failed, "failed"),
        (AuditState::Stale, "stale"),
        (AuditState::NotRun, "not run"),
        (AuditState::Passed, "passed"),
    ];
    let counts = states.map(|(state, word)| (audits.iter().filter(|audit| audit.state == state).count(), word));
    let reported = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    (!audits.is_empty()).then(|| reported.collect::<Vec<_>>().join(", "))
}

/// Message about an audit that did not pass.
fn concern(TableStatus { table, complete, .. }: &TableStatus, status: &AuditStatus) -> Option<String> {
    let audit = &status.view.audit;
    match status.state {
        AuditState::Failed => {
            let rows = count_u64(status.rows.unwrap_or_default(), "row");
            let why = if *complete { "" } else { "not published, because " };
            Some(format!("{table}: {why}{audit} failed: {rows} found"))
        }
        AuditState::Stale => Some(format!("{table}: {audit} is stale: its query or its input changed after it ran")),
        AuditState::NotRun | AuditState::Passed => None,
    }
}

/// A table's status in one line without times, so that it is printed again only when something has changed.
fn sentence(status: &TableStatus) -> String {
    let Some(total) = status.stage.total else {
        return match status.problems.join("; ") {
            problems if problems.is_empty() => format!("{}: not planned", status.table),
            problems => format!("{}: {problems}", status.table),
        };
    };
    let mut text = format!("{}: staged {} of {total}", status.table, status.stage.done);
    if let Some(total) = status.publish.total {
        text.push_str(&format!(", published {} of {total}", status.publish.done));
    }
    for (name, step) in [("stage", &status.stage), ("publish", &status.publish)] {
        for task in step.running.iter().filter(|task| task.is_alive).take(TOLD) {
            text.push_str(&format!("; {name} group {} runs", task.group));
        }
        for failure in step.failures.iter().take(TOLD) {
            text.push_str(&format!("; {name} group {} failed, attempt {}", failure.group, failure.attempt));
        }
    }
    if let Some(audits) = audits(&status.audits) {
        text.push_str(&format!("; audits: {audits}"));
    }
    if status.complete {
        text.push_str(", complete");
    }
    for problem in &status.problems {
        text.push_str(&format!("; {problem}"));
    }
    text
}

fn statuses_json(statuses: &[TableStatus]) -> Value {
    let tables: Vec<Value> = statuses.iter().map(status_json).collect();
    json!({ "version": 1, "tables": tables })
}

fn status_json(status: &TableStatus) -> Value {
    json!({
        "table": status.table,
        "location": status.location,
        "planned_at": status.planned_at,
        "stage": step_json(&status.stage),
        "publish": step_json(&status.publish),
        "audits": status.audits.iter().map(audit_json).collect::<Vec<_>>(),
        "complete": status.complete,
        "problems": status.problems,
        "left_out": left_out_json(status.left_out.iter().map(|(source, left)| (source, left))),
        "warnings": warnings_json(&status.warnings),
    })
}

fn audit_json(audit: &AuditStatus) -> Value {
    json!({
        "audit": audit.view.audit,
        "kind": audit.view.kind,
        "state": audit.state,
        "rows": audit.rows,
        "audited_at": audit.audited_at,
    })
}

fn step_json(step: &StepStatus) -> Value {
    let running = step.running.iter().map(|task| {
        json!({
            "group": task.group, "started_at": task.started_at, "seen_at": task.seen_at, "alive": task.is_alive,
            "rows": task.rows,
        })
    });
    let failures = step.failures.iter().map(|failure| {
        json!({
            "group": failure.group, "attempt": failure.attempt, "at": failure.at, "seconds": failure.seconds,
            "error": failure.error, "file": failure.file, "partition": failure.partition,
        })
    });
    json!({
        "done": step.done,
        "total": step.total,
        "running": running.collect::<Vec<_>>(),
        "failed": step.failed,
        "failures": failures.collect::<Vec<_>>(),
        "sums": step.sums,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{RunningStatus, Sums};
    use crate::manifest::trace::Failure;
    use crate::pipeline::AuditView;

    fn status() -> TableStatus {
        let running = |group, seen_at: &str, is_alive| RunningStatus {
            group,
            started_at: "2026-01-31T00:00:00Z".to_owned(),
            seen_at: seen_at.to_owned(),
            is_alive,
            rows: 1024,
        };
        let failure = Failure {
            group: 3,
            plan: "p".to_owned(),
            attempt: 2,
            at: "2026-01-31T00:00:05Z".to_owned(),
            seconds: 5.0,
            error: "stage of lake.orders group 3 failed at a.csv\n  because no".to_owned(),
            file: Some("a.csv".to_owned()),
            partition: None,
        };
        let stage = StepStatus {
            done: 2,
            total: Some(5),
            running: vec![running(4, "2026-01-31T00:00:10Z", true), running(5, "2026-01-30T00:00:00Z", false)],
            failed: 1,
            failures: vec![failure],
            sums: Some(Sums { rows_written: 200_000, bytes_written: 12 << 20, ..Sums::default() }),
        };
        TableStatus {
            table: "orders".to_owned(),
            location: "/lake".to_owned(),
            planned_at: Some("2026-01-31T00:00:00Z".to_owned()),
            stage,
            publish: StepStatus { sums: Some(Sums::default()), ..StepStatus::default() },
            audits: Vec::new(),
            complete: false,
            left_out: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn running_failed_and_silent_tasks_are_reported_below_the_table() {
        let now = DateTime::parse_from_rfc3339("2026-01-31T00:00:12Z").unwrap().with_timezone(&Utc);
        insta::assert_snapshot!(lines(&[status()], now).join("\n"), @"
        table   staged  published  running  failed  complete  rows staged      bytes  rows published  bytes
        orders  2 of 5          -        1       1        no      201,024  12.00 MiB               -      -
        orders: stage group 4 runs for 12 s, 1,024 rows so far
        orders: stage group 5 was running; last seen at 2026-01-30T00:00:00Z
        orders: stage group 3 failed, attempt 2, 2026-01-31T00:00:05Z: stage of lake.orders group 3 failed at a.csv
          because no
        ");
    }

    #[test]
    fn watch_without_a_terminal_prints_what_has_changed() {
        let [first, second] = [["a", "b", ""], ["a", "c", "d"]].map(|lines| lines.map(str::to_owned));
        let reported = |shown: &[String]| changed(shown, &second).map(String::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!([reported(&[]), reported(&first), reported(&second)], ["a c d", "c d", ""]);
    }

    #[test]
    fn audits_are_counted_and_those_that_did_not_pass_are_reported() {
        let audit = |name: &str, state, rows| AuditStatus {
            view: AuditView { audit: name.to_owned(), kind: "view" },
            state,
            rows,
            audited_at: None,
        };
        let audits = vec![
            audit("audit.a", AuditState::Passed, Some(0)),
            audit("audit.b", AuditState::Stale, Some(1)),
            audit("audit.c", AuditState::Failed, Some(1)),
            audit("audit.d", AuditState::NotRun, None),
            audit("audit.e", AuditState::Passed, Some(0)),
        ];
        let [none, some] = [Vec::new(), audits].map(|audits| TableStatus {
            stage: StepStatus { done: 1, total: Some(1), ..StepStatus::default() },
            publish: StepStatus::default(),
            audits,
            ..status()
        });
        insta::assert_snapshot!(lines(&[none, some.clone()], Utc::now()).join("\n"), @"
        table   staged  published  running  failed  complete                                  audits
        orders  1 of 1          -        0       0        no                                       -
        orders  1 of 1          -        0       0        no  1 failed, 1 stale, 1 not run, 2 passed
        orders: audit.b is stale: its query or its input changed after it ran
        orders: not published, because audit.c failed: 1 row found
        ");
        assert_eq!(sentence(&some), "orders: staged 1 of 1; audits: 1 failed, 1 stale, 1 not run, 2 passed");
    }

    #[test]
    fn sentence_of_a_table_has_no_times() {
        let text = "orders: staged 2 of 5; stage group 4 runs; stage group 3 failed, attempt 2";
        assert_eq!(sentence(&status()), text);
    }
}
