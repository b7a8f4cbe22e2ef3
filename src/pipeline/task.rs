//! One task by its number, as an outside scheduler runs it.

use std::sync::Arc;

use super::attempt::Job;
use super::{Known, Pipeline, not_planned};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::staging::plan::{self, GroupDetails, Planner};
use crate::staging::run::StageTask;

/// One task, as an outside scheduler names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// Lake table.
    pub table: String,
    /// [`Step::StagingFileGroups`] or [`Step::DatalakeFileGroups`].
    pub step: Step,
    /// Group number, from 1.
    pub group: usize,
}

impl Pipeline {
    /// Exactly one task, whatever the others' state; `false` if it was done before.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], [`Error::Task`]; for the second step also [`Error::NotStaged`].
    pub async fn run_task(self: &Arc<Self>, task: &TaskSpec) -> Result<bool> {
        Box::pin(self.alive(self.try_task(task))).await
    }

    async fn try_task(&self, task: &TaskSpec) -> Result<bool> {
        let lake = self.lake(&task.table)?;
        if task.step == Step::DatalakeFileGroups {
            let planner = Planner::new(&self.engine, &self.project);
            let plan = planner.committed(lake).await?.ok_or_else(|| not_planned(&task.table))?;
            let prepared = self.prepare(&plan, &Known::new(), Some(task.group)).await?;
            for (number, group) in &prepared.todo {
                let has_failed = prepared.failed.contains(number);
                self.compact(&plan, &plan.columns()?, (*number, group), has_failed).await?;
            }
            return Ok(!prepared.todo.is_empty());
        }
        let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
        let details = match plan::committed_head(&ledger, &task.table).await {
            Err(Error::NotPlanned { .. }) => {
                plan::commit(Planner::new(&self.engine, &self.project).plan(lake).await?).await?.details
            }
            head => head?,
        };
        Planner::new(&self.engine, &self.project).check_unchanged(&details, lake, &ledger)?;
        let count = details.groups;
        let none = || Error::NoSuchGroup { table: task.table.clone(), step: "stage", number: task.group, count };
        if task.group == 0 || task.group > count {
            return Err(none());
        }
        if ledger.is_committed(&ledger.layout().manifest(Step::StagingFileGroups, task.group)).await? {
            return Ok(false);
        }
        let target = ledger.layout().manifest(Step::SnapshotFileGroups, task.group);
        let group = ledger.read::<GroupDetails>(&target).await?.ok_or_else(none)?;
        if group.details.plan != details.id {
            let reason = "it belongs to another plan; run `snaplake stage` once without --group".to_owned();
            return Err(Error::Manifest { uri: target.summary.to_string(), reason });
        }
        let attempt = self.attempt(Job {
            ledger: ledger.clone(),
            table: task.table.clone(),
            plan: details.id.clone(),
            step: task.step,
            group: task.group,
            // It is not asked for: word of a failure is passed over once the task is done.
            has_failed: false,
        });
        let task = StageTask {
            engine: &self.engine,
            project: &self.project,
            lake,
            ledger: &ledger,
            details: &details,
            plan: &details.id,
            group: task.group,
            files: &group.files,
        };
        let result = task.run(attempt.on_rows()).await;
        let manifest = attempt.end(result).await?;
        self.told("stage", lake, task.group, &group.files, manifest.details.rows_written, manifest.details.seconds);
        Ok(true)
    }
}
