//! What would be done, for people and for outside schedulers.
//!
//! The JSON has a version, and docs/json.md describes it: keys are added to it, none is taken away or changes its
//! meaning.

use std::path::Path;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::report::{OutputFormat, Report};
use super::text::{count, pretty, print, table};
use crate::inspect::PlanView;
use crate::pipeline::Warning;
use crate::snapshot::LeftOut;

impl Report {
    /// What `plan` found.
    pub(crate) fn plans(&self, plans: &[PlanView], config: &Path) {
        self.board.clear();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = plans.iter().map(|plan| plan_json(plan, config)).collect();
            return print(&pretty(&json!({ "version": 1, "tables": tables })));
        }
        let head =
            ["table", "from", "files", "bytes", "rows", "stage tasks", "publish tasks", "partitions", "time left"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(plans.iter().map(row));
        print(&table(&rows));
        for plan in plans {
            print(&format!("lake.{} -> {} ({})", plan.table, plan.location, state(plan)));
        }
        for line in left_out(plans) {
            print(&line);
        }
        for plan in plans {
            for Warning { problem, advice, .. } in &plan.warnings {
                print(&format!("warning: lake.{}: {problem}; {advice}", plan.table));
            }
        }
        for plan in plans {
            if let Some(explain) = &plan.explain {
                print(&format!("\nlake.{}, stage group 1:\n{}", plan.table, explain.stage));
                print(&format!("lake.{}, publish of a partition with two runs:\n{}", plan.table, explain.publish));
            }
        }
    }
}

/// Files that are left out for usual reasons; warnings show the others.
fn left_out(plans: &[PlanView]) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, coverage) in plans.iter().flat_map(|plan| &plan.coverage) {
        for note in &coverage.notes {
            let line = format!("snapshot.{table}: {note}");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let reported = coverage.left_out.iter().filter(|left| !left.reason.is_reported());
        let reported: Vec<String> = reported.map(|left| left.sentence()).collect();
        let line = format!("snapshot.{table}: not read: {}", reported.join(", "));
        if !reported.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// Files that are not read, by snapshot table and reason.
pub(super) fn left_out_json<'a>(tables: impl Iterator<Item = (&'a String, &'a Vec<LeftOut>)>) -> Value {
    let one = |table: &String, left: &LeftOut| {
        let mut one = json!({
            "table": table, "reason": left.reason, "files": left.files, "bytes": left.bytes, "examples": left.examples,
        });
        if let Some(read_as) = &left.read_as {
            one["read_as"] = json!(read_as);
        }
        one
    };
    tables.flat_map(|(table, all)| all.iter().map(move |left| one(table, left))).collect()
}

pub(super) fn warnings_json(warnings: &[Warning]) -> Value {
    let one =
        |Warning { code, problem, advice }: &Warning| json!({ "code": code, "problem": problem, "advice": advice });
    warnings.iter().map(one).collect()
}

fn row(plan: &PlanView) -> Vec<String> {
    let tasks = |done: usize, total: usize| format!("{total} ({done} done)");
    let partitions = plan.partitions.as_ref().map(|partitions| {
        let count = HumanCount(partitions.count);
        if partitions.is_whole { count.to_string() } else { format!("at least {count}") }
    });
    let unknown = || "not yet known".to_owned();
    let no_partitions = || if plan.partitioned_by.is_empty() { "-" } else { "?" }.to_owned();
    vec![
        plan.table.clone(),
        plan.driving.clone(),
        HumanCount(plan.files as u64).to_string(),
        HumanBytes(plan.bytes).to_string(),
        plan.rows.map_or_else(|| "?".to_owned(), |rows| HumanCount(rows).to_string()),
        tasks(plan.groups.iter().filter(|group| group.done).count(), plan.groups.len()),
        plan.publish.total.map_or_else(unknown, |total| tasks(plan.publish.done.len(), total)),
        partitions.unwrap_or_else(no_partitions),
        time_left(plan),
    ]
}

/// What the times of done tasks say, and nothing where there are none.
fn time_left(plan: &PlanView) -> String {
    let Some(estimate) = &plan.estimate else {
        return if plan.complete { "none" } else { "?" }.to_owned();
    };
    // Round up to one second.
    let text = |seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds.ceil().max(1.0)).unwrap_or_default();
        indicatif::HumanDuration(time).to_string()
    };
    match estimate.publish_seconds {
        Some(publish) => text(estimate.stage_seconds + publish),
        None if estimate.stage_seconds > 0.0 => format!("{} + publish", text(estimate.stage_seconds)),
        None => "?".to_owned(),
    }
}

fn state(plan: &PlanView) -> String {
    let done = plan.groups.iter().filter(|group| group.done).count();
    match &plan.planned_at {
        _ if plan.complete => "complete, nothing to do".to_owned(),
        None if plan.replaces => "new; replaces the plan of another config without staged files".to_owned(),
        None => "new".to_owned(),
        Some(at) if done < plan.groups.len() => {
            format!("planned {at}; {done} of {} staged", count(plan.groups.len(), "group"))
        }
        Some(at) => {
            let total = count(plan.publish.total.unwrap_or_default(), "group");
            format!("planned {at}; staged, {} of {total} published", plan.publish.done.len())
        }
    }
}

fn plan_json(plan: &PlanView, config: &Path) -> Value {
    let command = |step: &str, group: usize| {
        let config = config.display().to_string();
        json!(["snaplake", step, config, "--table", plan.table, "--group", group.to_string()])
    };
    let stage = plan.groups.iter().map(|group| {
        json!({
            "step": "stage", "group": group.number, "files": group.files, "bytes": group.bytes, "done": group.done,
            "command": command("stage", group.number),
        })
    });
    let publish = (1..=plan.publish.total.unwrap_or(0)).map(|group| {
        json!({
            "step": "publish", "group": group, "done": plan.publish.done.contains(&group),
            "command": command("publish", group),
        })
    });
    let done = |done: usize, total: Option<usize>| json!({ "done": done, "total": total });
    json!({
        "table": plan.table,
        "driving": plan.driving,
        "reads_whole": plan.whole,
        "planned_at": plan.planned_at,
        "replaces": plan.replaces,
        "complete": plan.complete,
        "files": plan.files,
        "bytes": plan.bytes,
        "rows": plan.rows,
        "columns": plan.columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect::<Vec<_>>(),
        "partitioned_by": plan.partitioned_by,
        "staging": plan.staging,
        "location": plan.location,
        "stage": done(plan.groups.iter().filter(|group| group.done).count(), Some(plan.groups.len())),
        "publish": done(plan.publish.done.len(), plan.publish.total),
        "partitions": plan.partitions.as_ref().map(|partitions| json!({
            "count": partitions.count, "all_known": partitions.is_whole, "staging_bytes": partitions.bytes,
            "median_bytes": partitions.median_bytes,
            "largest": {
                "partition": partitions.largest.partition, "files": partitions.largest.files,
                "rows": partitions.largest.rows, "bytes": partitions.largest.bytes,
            },
        })),
        "estimate": plan.estimate.as_ref().map(|estimate| json!({
            "stage_seconds": estimate.stage_seconds, "publish_seconds": estimate.publish_seconds,
            "tasks_at_once": estimate.tasks_at_once, "of_snapshot": estimate.of_snapshot, "of_tasks": estimate.of_tasks,
        })),
        "audits": plan.audits.iter().map(|audit| json!({ "audit": audit.audit, "kind": audit.kind })).collect::<Vec<_>>(),
        "warnings": warnings_json(&plan.warnings),
        "left_out": left_out_json(plan.coverage.iter().map(|(table, coverage)| (table, &coverage.left_out))),
        "export_notes": plan.coverage.iter().flat_map(|(table, coverage)| coverage.notes.iter().map(move |note| json!({
            "table": table, "note": note,
        }))).collect::<Vec<_>>(),
        "lacking_columns": plan.coverage.iter().flat_map(|(table, coverage)| coverage.lacking.iter().map(move |lacking| json!({
            "table": table, "column": lacking.column, "files": lacking.files, "of_files": lacking.of_files,
            "example": lacking.example,
        }))).collect::<Vec<_>>(),
        "widened_columns": plan.coverage.iter().flat_map(|(table, coverage)| coverage.widened.iter().map(move |widened| json!({
            "table": table, "column": widened.column, "types": widened.types, "read_as": widened.read_as,
        }))).collect::<Vec<_>>(),
        "unread_columns": plan.coverage.iter().flat_map(|(table, coverage)| coverage.unread.iter().map(move |unread| json!({
            "table": table, "column": unread.column, "example": unread.example,
        }))).collect::<Vec<_>>(),
        "tasks": stage.chain(publish).collect::<Vec<_>>(),
        "explain": plan.explain.as_ref().map(|explain| json!({ "stage": explain.stage, "publish": explain.publish })),
    })
}
