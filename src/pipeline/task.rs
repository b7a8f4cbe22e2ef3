//! One task by its number, as an outside scheduler runs it.

use std::sync::Arc;

use super::audit;
use super::run::{Known, Pipeline, not_planned};
use super::under_way::Job;
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::staging::plan::{self, GroupDetails, Planner};
use crate::staging::run::StageTask;

/// One task, as an outside scheduler names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// [`Step::StagingFileGroups`] or [`Step::DatalakeFileGroups`].
    pub step: Step,
    /// Group number, from 1.
    pub group: usize,
}

impl Pipeline {
    /// Exactly one task, whatever the others' state; `false` if it was done before. One of the second step runs no audits:
    /// they must have passed.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], [`Error::Task`]; for the second step also [`Error::NotStaged`], [`Error::NotAudited`],
    /// [`Error::AuditsFailed`].
    pub async fn run_task(self: &Arc<Self>, task: &TaskSpec) -> Result<bool> {
        let is_new = Box::pin(self.alive(self.try_task(task))).await?;
        self.engine.stores().settle().await?;
        Ok(is_new)
    }

    async fn try_task(&self, task: &TaskSpec) -> Result<bool> {
        let lake = self.lake(&task.table)?;
        if task.step == Step::DatalakeFileGroups {
            let planner = Planner::new(&self.engine, &self.project);
            let plan = planner.committed(lake).await?.ok_or_else(|| not_planned(&task.table))?;
            audit::gate(&self.engine, &self.project, lake).await?;
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
                let planner = Planner::new(&self.engine, &self.project);
                let plan = planner.plan(lake).await?;
                audit::check(&self.engine, &self.project, &planner, &[&plan]).await?;
                plan::commit(plan).await?.details
            }
            head => head?,
        };
        Planner::new(&self.engine, &self.project).check_unchanged(&details, lake)?;
        let count = details.groups;
        let none = || Error::NoSuchGroup { table: task.table.clone(), step: "stage", number: task.group, count };
        if task.group == 0 || task.group > count {
            return Err(none());
        }
        if ledger.is_committed(&ledger.layout().manifest(Step::StagingFileGroups, task.group)).await? {
            return Ok(false);
        }
        let target = ledger.layout().manifest(Step::SnapshotFileGroups, task.group);
        let files = match ledger.read::<GroupDetails>(&target).await {
            Ok(Some(group)) if group.details.plan == details.id => group.files,
            // Who planned at the same moment and lost has written its own groups over those of the plan, and not yet put
            // them back. The plan itself says the same.
            Ok(_) | Err(Error::Damaged { .. }) => {
                let plan = Planner::new(&self.engine, &self.project).committed(lake).await?.ok_or_else(none)?;
                plan.groups.of(task.group - 1).cloned().collect()
            }
            Err(error) => return Err(error),
        };
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
            files: &files,
        };
        let result = task.run(attempt.on_rows()).await;
        let manifest = attempt.end(result).await?;
        self.told(
            Step::StagingFileGroups,
            lake,
            task.group,
            &files,
            manifest.details.task.rows_written,
            manifest.details.task.seconds,
        );
        Ok(true)
    }
}
