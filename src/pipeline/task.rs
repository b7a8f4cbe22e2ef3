//! Runs one task: the only way in which a task runs, whether a run has just planned it or all that there is of it is
//! a spec.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use tokio::runtime::Handle;

use super::audit;
use super::event::{Event, Reporter};
use super::planned_task::{PlannedTask, SnapshotFiles, TaskInput};
use super::run::{Known, Pipeline};
use super::task_report::TaskReport;
use super::task_spec::TaskSpec;
use super::under_way::Job;
use crate::compaction::prepare::StagedGroup;
use crate::error::{Error, Result, TaskStep};
use crate::layout::Step;
use crate::session::Engine;
use crate::staging::plan::{self, GroupDetails, PlanHead, Planner};

/// A reporter that reports nothing.
#[derive(Debug)]
struct Silent;

impl Reporter for Silent {
    fn on(&self, _: &Event<'_>) {}
}

/// Runs exactly one task, whatever the others' state, from its spec and the stores alone. One of the second step runs
/// no audits: they must have passed.
///
/// # Errors
/// As [`Pipeline::run_task`], and those of reading the project.
pub async fn run_task(spec: &TaskSpec, engine: &Arc<Engine>) -> Result<TaskReport> {
    let pipeline = Pipeline::new(spec.project()?, Arc::clone(engine), Arc::new(Silent));
    let (spec, runtime) = (spec.clone(), Handle::current());
    // The compiler does not see that this future may move between threads (rust-lang/rust#102211), so it stays on
    // one; what takes long in it spawns tasks of its own.
    let task = tokio::task::spawn_blocking(move || runtime.block_on(pipeline.run_task(&spec)));
    task.await.unwrap_or_else(|error| Err(Error::Engine(DataFusionError::ExecutionJoin(Box::new(error)))))
}

impl Pipeline {
    /// Exactly one task of this project, whatever the others' state. One of the second step runs no audits: they must
    /// have passed.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], [`Error::Task`]; for the second step also [`Error::NotStaged`], [`Error::NotAudited`],
    /// [`Error::AuditsFailed`].
    pub async fn run_task(self: &Arc<Self>, spec: &TaskSpec) -> Result<TaskReport> {
        let report = Box::pin(self.alive(async {
            match self.read_task(spec).await? {
                Some(task) => self.run_planned(task).await,
                None => Ok(TaskReport::done_before(spec)),
            }
        }));
        let report = report.await?;
        self.engine.stores().settle().await?;
        Ok(report)
    }

    /// What a spec leads to; `None` if the task is done.
    async fn read_task(&self, spec: &TaskSpec) -> Result<Option<PlannedTask>> {
        let lake = self.lake(&spec.table)?;
        let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
        let planner = Planner::new(&self.engine, &self.project);
        let details = match plan::committed_head(&ledger, &spec.table).await {
            Err(Error::NotPlanned { .. }) if spec.step == TaskStep::Stage => {
                let plan = planner.plan(lake).await?;
                audit::check(&self.engine, &self.project, &planner, &[&plan]).await?;
                plan::commit(plan).await?.details.clone()
            }
            head => head?,
        };
        planner.check_still(&ledger, &details, lake).await?;
        let head = Arc::new(PlanHead { lake: lake.clone(), ledger, details });
        if spec.step == TaskStep::Stage {
            self.read_stage(spec, head).await
        } else {
            self.read_publish(spec, head).await
        }
    }

    async fn read_stage(&self, spec: &TaskSpec, head: Arc<PlanHead>) -> Result<Option<PlannedTask>> {
        let (ledger, count) = (&head.ledger, head.details.groups);
        let none = || Error::NoSuchGroup { table: spec.table.clone(), step: spec.step, number: spec.group, count };
        if spec.group == 0 || spec.group > count {
            return Err(none());
        }
        if ledger.is_committed(&ledger.layout().manifest(Step::StagingFileGroups, spec.group)).await? {
            return Ok(None);
        }
        let target = ledger.layout().manifest(Step::SnapshotFileGroups, spec.group);
        let files = match ledger.read::<GroupDetails>(&target).await {
            Ok(Some(group)) if group.details.plan == head.details.id => group.files,
            // Who planned at the same moment and lost has written its own groups over those of the plan, and not yet
            // put them back. The plan itself says the same.
            Ok(_) | Err(Error::Damaged { .. }) => {
                let plan = Planner::new(&self.engine, &self.project).committed(&head.lake).await?.ok_or_else(none)?;
                plan.groups.of(spec.group - 1).cloned().collect()
            }
            Err(error) => return Err(error),
        };
        let input = TaskInput::Stage(SnapshotFiles::Read(head, files));
        // It is not asked for: word of a failure is passed over once the task is done.
        Ok(Some(PlannedTask { spec: spec.clone(), has_failed: false, input }))
    }

    async fn read_publish(&self, spec: &TaskSpec, head: Arc<PlanHead>) -> Result<Option<PlannedTask>> {
        audit::gate(&self.engine, &self.project, &head.lake).await?;
        let prepared = self.prepare(&head, &Known::new(), Some(spec.group)).await?;
        let Some((number, group)) = prepared.todo.into_iter().next() else { return Ok(None) };
        let columns = head.columns()?.into();
        let has_failed = prepared.failed.contains(&number);
        let input = TaskInput::Publish { head, columns, group };
        Ok(Some(PlannedTask { spec: spec.clone(), has_failed, input }))
    }

    /// Runs a task and commits it.
    ///
    /// # Errors
    /// [`Error::Task`].
    pub(super) async fn run_planned(&self, task: PlannedTask) -> Result<TaskReport> {
        let PlannedTask { spec: TaskSpec { table, step: of, group, .. }, has_failed, input } = task;
        let step = Step::results(of);
        let head = Arc::clone(input.head());
        let (ledger, plan) = (head.ledger.clone(), head.details.id.clone());
        let attempt = self.attempt(Job { ledger, table: table.clone(), plan, step, group, has_failed });
        let on_rows = attempt.on_rows();
        let (done, read, staged) = match input {
            TaskInput::Stage(files) => {
                let files = match files {
                    SnapshotFiles::OfPlan(plan) => plan.groups.of(group - 1).cloned().collect(),
                    SnapshotFiles::Read(_, files) => files,
                };
                let result = self.stage_task(&head, group, &files).run(on_rows).await;
                let manifest = attempt.end(result).await?;
                let details = manifest.details;
                (details.task, files, Some(StagedGroup { files: manifest.files, columns: details.columns }))
            }
            TaskInput::Publish { columns, group: partition, .. } => {
                let result = self.compact_task(&head, &columns, group, &partition).run(on_rows).await;
                (attempt.end(result).await?.details, partition.files, None)
            }
        };
        self.report_task(step, &head.lake, group, &read, &done);
        let (rows, seconds) = (done.rows_written, done.seconds);
        Ok(TaskReport { table, step: of, group, ran: true, rows, seconds, staged })
    }
}
