//! What would be done, for people and for outside schedulers.

use std::path::Path;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::text::{pretty, print, table};
use super::{OutputFormat, Report};
use crate::pipeline::PlanView;

impl Report {
    /// What `plan` found.
    pub(crate) fn plans(&self, plans: &[PlanView], config: &Path) {
        self.bar.finish_and_clear();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = plans.iter().map(|plan| plan_json(plan, config)).collect();
            return print(&pretty(&json!({ "version": 1, "tables": tables })));
        }
        let mut rows = vec![
            ["table", "from", "files", "bytes", "rows", "stage groups", "publish groups"].map(str::to_owned).to_vec(),
        ];
        for plan in plans {
            rows.push(vec![
                plan.table.clone(),
                plan.driving.clone(),
                HumanCount(plan.files as u64).to_string(),
                HumanBytes(plan.bytes).to_string(),
                plan.rows.map_or_else(|| "?".to_owned(), |rows| HumanCount(rows).to_string()),
                format!("{} ({} done)", plan.groups.len(), plan.groups.iter().filter(|group| group.done).count()),
                plan.publish
                    .map_or_else(|| "known after stage".to_owned(), |(done, total)| format!("{total} ({done} done)")),
            ]);
        }
        print(&table(&rows));
        for plan in plans {
            print(&format!("lake.{} -> {}", plan.table, plan.location));
        }
        for plan in plans {
            if let Some(explain) = &plan.explain {
                print(&format!("\nlake.{}, stage group 1:\n{}", plan.table, explain.stage));
                print(&format!("lake.{}, publish of a partition with two runs:\n{}", plan.table, explain.publish));
            }
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
    json!({
        "table": plan.table,
        "driving": plan.driving,
        "reads_whole": plan.whole,
        "planned_at": plan.planned_at,
        "files": plan.files,
        "bytes": plan.bytes,
        "rows": plan.rows,
        "columns": plan.columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect::<Vec<_>>(),
        "staging": plan.staging,
        "location": plan.location,
        "tasks": stage.collect::<Vec<_>>(),
        "publish": plan.publish.map(|(done, total)| json!({
            "done": done, "total": total,
            "commands": (1..=total).map(|group| command("publish", group)).collect::<Vec<_>>(),
        })),
        "explain": plan.explain.as_ref().map(|explain| json!({ "stage": explain.stage, "publish": explain.publish })),
    })
}
