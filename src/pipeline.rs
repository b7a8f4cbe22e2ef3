//! The steps in order: plan, stage, publish, validate; concurrency, resume and nothing else.
//!
//! All tables are planned and checked before the first file is written. Then all tables' tasks run, as many at once as
//! threads and memory allow. What is done is read from the manifests, so a second run does what is missing. When a task
//! fails, no further one is started, those under way are finished (and committed), and the first error is returned.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use datafusion::physical_plan::{ExecutionPlan, displayable};
use tokio::task::JoinSet;

use crate::compaction::plan::{PartitionDetails, PartitionGroup};
use crate::compaction::prepare::{Prepared, Staged, prepare};
use crate::compaction::run::CompactTask;
use crate::config::{LakeTable, Project, Verify};
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::Step;
use crate::manifest::{FileEntry, Ledger};
use crate::session::Engine;
use crate::staging::plan::{self, GroupDetails, Planner, StagePlan};
use crate::staging::run::StageTask;
use crate::validate::{Proof, Validation, validate};
use crate::write::{LakeColumns, OnRows};

/// Is told what happens; called from many threads.
pub trait Reporter: Send + Sync {
    /// Something happened.
    fn on(&self, event: &Event<'_>);
}

/// What a [`Reporter`] is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step of a table begins, with so much to do; `done` of `tasks` were done before.
    Step {
        /// Lake table.
        table: &'a str,
        /// `stage` or `publish`.
        step: &'static str,
        /// Tasks of the step.
        tasks: usize,
        /// Of these, done by earlier runs.
        done: usize,
        /// Input files of the tasks to run.
        files: usize,
        /// Input bytes of the tasks to run.
        bytes: u64,
    },
    /// Rows were written.
    Rows(u64),
    /// A task is committed.
    Task {
        /// Lake table.
        table: &'a str,
        /// `stage` or `publish`.
        step: &'static str,
        /// Group number.
        group: usize,
        /// Input files.
        files: usize,
        /// Input bytes.
        bytes: u64,
        /// Rows written.
        rows: u64,
        /// Wall time.
        seconds: f64,
    },
    /// A table was validated and is complete.
    Complete {
        /// Lake table.
        table: &'a str,
        /// Rows of its lake files.
        rows: u64,
    },
}

/// What a run did for one table.
#[derive(Debug, Clone)]
pub struct TableReport {
    /// Lake table.
    pub table: String,
    /// Lake location.
    pub location: String,
    /// Tasks that this run ran; 0: all was done before.
    pub tasks: usize,
    /// Seconds since this run began until the table was complete.
    pub seconds: f64,
    /// What validation found.
    pub validation: Validation,
}

/// How far a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStatus {
    /// Lake table.
    pub table: String,
    /// Lake location.
    pub location: String,
    /// When the plan was committed.
    pub planned_at: Option<String>,
    /// Stage tasks done and planned.
    pub staged: (usize, usize),
    /// Publish tasks done and planned; none planned before staging is done.
    pub published: (usize, usize),
    /// Whether `_SUCCESS` stands.
    pub complete: bool,
}

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

/// What would be done for one table.
#[derive(Debug, Clone)]
pub struct PlanView {
    /// Lake table.
    pub table: String,
    /// Snapshot table whose files are grouped.
    pub driving: String,
    /// Snapshot tables that every task reads whole.
    pub whole: Vec<String>,
    /// When the plan was committed; `None`: it is not.
    pub planned_at: Option<String>,
    /// Snapshot files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, if all are known.
    pub rows: Option<u64>,
    /// Columns of the lake table, with Arrow types.
    pub columns: Vec<(String, String)>,
    /// Stage tasks.
    pub groups: Vec<GroupView>,
    /// Publish tasks done and planned; `None` before staging is done.
    pub publish: Option<(usize, usize)>,
    /// Staging folder.
    pub staging: String,
    /// Lake location.
    pub location: String,
    /// The engine's plans, if they were asked for and there are files.
    pub explain: Option<Explain>,
}

/// The engine's plans of one task of each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// Of the first stage task.
    pub stage: String,
    /// Of a publish task: the merge of a partition that has two sorted runs.
    pub publish: String,
}

/// A stage task in a [`PlanView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// From 1.
    pub number: usize,
    /// Snapshot files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whether its manifest is committed.
    pub done: bool,
}

/// A project, an engine to run it, and somebody to tell.
pub struct Pipeline {
    project: Project,
    engine: Engine,
    reporter: Arc<dyn Reporter>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("project", &self.project).finish_non_exhaustive()
    }
}

/// Staging files per group of the tasks that this process ran.
type Known = HashMap<usize, Vec<FileEntry>>;

/// A planned table and what this process staged of it.
struct Table {
    plan: Arc<StagePlan>,
    known: Known,
    tasks: usize,
}

impl Pipeline {
    /// Puts the parts together; nothing is read yet.
    #[must_use]
    pub fn new(project: Project, engine: Engine, reporter: Arc<dyn Reporter>) -> Arc<Self> {
        Arc::new(Self { project, engine, reporter })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The first step's plan of every table; writes nothing.
    ///
    /// # Errors
    /// Every mistake in config and snapshot.
    pub async fn plan(&self) -> Result<Vec<StagePlan>> {
        let mut planner = Planner::new(&self.engine, &self.project);
        let mut plans = Vec::new();
        for lake in &self.project.lakes {
            plans.push(planner.plan(lake).await?);
        }
        Ok(plans)
    }

    /// A plan with what of it is done; writes nothing.
    ///
    /// # Errors
    /// Those of the ledger, and of planning the SELECT.
    pub async fn plan_view(&self, plan: &StagePlan, explain: bool) -> Result<PlanView> {
        let mut done = BTreeSet::new();
        let mut publish = None;
        if plan.committed {
            done = plan.ledger.done(Step::StagingFileGroups).await?;
            publish = published(&plan.ledger).await?;
        }
        let groups = plan.groups.iter().enumerate().map(|(index, files)| GroupView {
            number: index + 1,
            files: files.len(),
            bytes: files.map(|file| file.size).sum(),
            done: done.contains(&(index + 1)),
        });
        let explain = match plan.groups.iter().next() {
            Some(files) if explain => {
                let files: Vec<FileEntry> = files.cloned().collect();
                Some(self.explain(plan, &files).await?)
            }
            _ => None,
        };
        Ok(PlanView {
            table: plan.lake.name.clone(),
            driving: plan.details.driving.table.clone(),
            whole: plan.details.whole.iter().map(|(source, _)| source.table.clone()).collect(),
            planned_at: plan.committed.then(|| plan.details.planned_at.clone()),
            files: plan.files(),
            bytes: plan.bytes(),
            rows: plan.groups.files().iter().map(|file| file.n_record).sum(),
            columns: plan.details.columns.clone(),
            groups: groups.collect(),
            publish,
            staging: plan.ledger.layout().root().to_string(),
            location: plan.ledger.layout().lake().to_string(),
            explain,
        })
    }

    async fn explain(&self, plan: &StagePlan, files: &[FileEntry]) -> Result<Explain> {
        let text = |plan: Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(false).to_string();
        let (_, stage) = self.stage_task(plan, 1, files).plan(self.on_rows(), None).await?;
        // What is staged is not known yet; the plan of any two runs is alike, and nothing is opened for it.
        let run = |name: &str| {
            let uri = plan.ledger.layout().staging_data().join(name).uri().into();
            FileEntry { uri, etag: "".into(), size: 1, n_record: Some(1), partition: None }
        };
        let files = vec![run("run-1.parquet"), run("run-2.parquet")];
        let group = PartitionGroup { partition: String::new(), first_row: 0, files };
        let columns = plan.columns()?;
        let publish = self.compact_task(plan, &columns, 1, &group).plan(self.on_rows()).await?.plan;
        Ok(Explain { stage: text(stage), publish: text(publish) })
    }

    fn stage_task<'a>(&'a self, plan: &'a StagePlan, group: usize, files: &'a [FileEntry]) -> StageTask<'a> {
        StageTask {
            engine: &self.engine,
            project: &self.project,
            lake: &plan.lake,
            ledger: &plan.ledger,
            details: &plan.details,
            plan: &plan.details.id,
            group,
            files,
        }
    }

    /// First step of all tables.
    ///
    /// # Errors
    /// Those of planning, and [`Error::Task`].
    pub async fn stage(self: &Arc<Self>) -> Result<()> {
        self.stage_tables().await.map(|_| ())
    }

    /// Second step of all tables, then validation.
    ///
    /// # Errors
    /// [`Error::NotPlanned`], [`Error::NotStaged`], [`Error::Task`], [`Error::Validation`].
    pub async fn publish(self: &Arc<Self>) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let mut tables = Vec::new();
        for plan in self.plan_committed().await? {
            tables.push(Table { plan: Arc::new(plan), known: Known::new(), tasks: 0 });
        }
        self.publish_tables(tables, started).await
    }

    /// Both steps of all tables, then validation.
    ///
    /// # Errors
    /// As [`Pipeline::stage`] and [`Pipeline::publish`].
    pub async fn run(self: &Arc<Self>) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let tables = self.stage_tables().await?;
        self.publish_tables(tables, started).await
    }

    /// Exactly one task, whatever the others' state; `false` if it was done before.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`], [`Error::Task`]; for the second step also [`Error::NotStaged`].
    pub async fn run_task(self: &Arc<Self>, task: &TaskSpec) -> Result<bool> {
        let lake = self.lake(&task.table)?;
        if task.step == Step::DatalakeFileGroups {
            let planner = Planner::new(&self.engine, &self.project);
            let plan = planner.committed(lake).await?.ok_or_else(|| not_planned(&task.table))?;
            let prepared = self.prepare(&plan, &Known::new(), Some(task.group)).await?;
            for (number, group) in &prepared.todo {
                self.compact(&plan, &plan.columns()?, *number, group).await?;
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
        let manifest = task.run(self.on_rows()).await?;
        self.told("stage", lake, task.group, &group.files, manifest.details.rows_written, manifest.details.seconds);
        Ok(true)
    }

    /// How far every table is.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn status(&self) -> Result<Vec<TableStatus>> {
        let mut all = Vec::new();
        for lake in &self.project.lakes {
            let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
            let mut status = TableStatus {
                table: lake.name.clone(),
                location: ledger.layout().lake().to_string(),
                planned_at: None,
                staged: (0, 0),
                published: (0, 0),
                complete: false,
            };
            let head = match plan::committed_head(&ledger, &lake.name).await {
                Err(Error::NotPlanned { .. }) => None,
                head => Some(head?),
            };
            if let Some(details) = head {
                status.staged = (ledger.done(Step::StagingFileGroups).await?.len(), details.groups);
                status.planned_at = Some(details.planned_at);
                status.published = published(&ledger).await?.unwrap_or_default();
                status.complete = HiveLake::open(self.engine.stores(), ledger.layout()).await?.is_complete().await?;
            }
            all.push(status);
        }
        Ok(all)
    }

    /// Compares all hops of every table, and marks complete ones; a deep one reads every published value.
    ///
    /// # Errors
    /// [`Error::Validation`] of the first table that differs.
    pub async fn validate(&self, deep: bool) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let mut reports = Vec::new();
        for lake in &self.project.lakes {
            let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
            let proof = Proof { engine: &self.engine, lake, ledger: &ledger, deep };
            let validation = validate(proof).await?;
            reports.push(TableReport {
                table: lake.name.clone(),
                location: ledger.layout().lake().to_string(),
                tasks: 0,
                seconds: started.elapsed().as_secs_f64(),
                validation,
            });
        }
        Ok(reports)
    }

    async fn plan_committed(&self) -> Result<Vec<StagePlan>> {
        let planner = Planner::new(&self.engine, &self.project);
        let mut plans = Vec::new();
        for lake in &self.project.lakes {
            plans.push(planner.committed(lake).await?.ok_or_else(|| not_planned(&lake.name))?);
        }
        Ok(plans)
    }

    async fn stage_tables(self: &Arc<Self>) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for plan in self.plan().await? {
            tables.push(Arc::new(plan::commit(plan).await?));
        }
        let mut all: Vec<(usize, usize)> = Vec::new();
        for (index, plan) in tables.iter().enumerate() {
            let done = plan.ledger.done(Step::StagingFileGroups).await?;
            let todo: Vec<usize> = (1..=plan.groups.len()).filter(|number| !done.contains(number)).collect();
            let files = || todo.iter().flat_map(|number| plan.groups.of(number - 1));
            self.reporter.on(&Event::Step {
                table: &plan.lake.name,
                step: "stage",
                tasks: plan.groups.len(),
                done: plan.groups.len() - todo.len(),
                files: files().count(),
                bytes: files().map(|file| file.size).sum(),
            });
            all.extend(todo.iter().map(|&number| (index, number)));
        }
        let tasks = all.into_iter().map(|(index, number)| {
            let (pipeline, plan) = (Arc::clone(self), Arc::clone(&tables[index]));
            async move {
                let files: Vec<FileEntry> = plan.groups.of(number - 1).cloned().collect();
                let manifest = pipeline.stage_task(&plan, number, &files).run(pipeline.on_rows()).await?;
                let details = &manifest.details;
                pipeline.told("stage", &plan.lake, number, &files, details.rows_written, details.seconds);
                Ok((index, number, manifest.files))
            }
        });
        let mut known = vec![Known::new(); tables.len()];
        let at_once = tables.iter().map(|plan| self.engine.tasks_at_once(plan.details.run_bytes)).min();
        for (table, number, files) in self.run_all(tasks, at_once.unwrap_or(1)).await? {
            known[table].insert(number, files);
        }
        let tables = tables.into_iter().zip(known);
        Ok(tables.map(|(plan, known)| Table { plan, tasks: known.len(), known }).collect())
    }

    async fn publish_tables(self: &Arc<Self>, tables: Vec<Table>, started: Instant) -> Result<Vec<TableReport>> {
        let (mut all, mut columns) = (Vec::new(), Vec::new());
        for (index, table) in tables.iter().enumerate() {
            let prepared = self.prepare(&table.plan, &table.known, None).await?;
            let files = || prepared.todo.iter().flat_map(|(_, group)| &group.files);
            self.reporter.on(&Event::Step {
                table: &table.plan.lake.name,
                step: "publish",
                tasks: prepared.total,
                done: prepared.total - prepared.todo.len(),
                files: files().count(),
                bytes: files().map(|file| file.size).sum(),
            });
            columns.push(Arc::new(table.plan.columns()?));
            all.extend(prepared.todo.into_iter().map(|(number, group)| (index, number, group)));
        }
        let tasks = all.into_iter().map(|(index, number, group)| {
            let (pipeline, plan, columns) =
                (Arc::clone(self), Arc::clone(&tables[index].plan), Arc::clone(&columns[index]));
            async move {
                pipeline.compact(&plan, &columns, number, &group).await?;
                Ok(index)
            }
        });
        let mut ran: Vec<usize> = tables.iter().map(|table| table.tasks).collect();
        for table in self.run_all(tasks, self.engine.parallel_tasks()).await? {
            ran[table] += 1;
        }
        let mut reports = Vec::new();
        for (Table { plan, .. }, tasks) in tables.iter().zip(ran) {
            let validation = self.finish(plan, tasks).await?;
            reports.push(TableReport {
                table: plan.lake.name.clone(),
                location: plan.ledger.layout().lake().to_string(),
                tasks,
                seconds: started.elapsed().as_secs_f64(),
                validation,
            });
        }
        Ok(reports)
    }

    /// Validates and marks a table, unless this run changed nothing of a complete one.
    async fn finish(&self, plan: &StagePlan, tasks: usize) -> Result<Validation> {
        let lake = HiveLake::open(self.engine.stores(), plan.ledger.layout()).await?;
        if tasks == 0
            && lake.is_complete().await?
            && let Some(last) = plan.ledger.read_file(&plan.ledger.layout().validation()).await?
            && let Ok(validation) = serde_json::from_slice::<Validation>(&last)
            && validation.valid
        {
            return Ok(validation);
        }
        let deep = self.project.settings.verify == Verify::Checksum;
        let proof = Proof { engine: &self.engine, lake: &plan.lake, ledger: &plan.ledger, deep };
        let validation = validate(proof).await?;
        self.reporter.on(&Event::Complete { table: &plan.lake.name, rows: validation.footer_rows });
        Ok(validation)
    }

    async fn prepare(&self, plan: &StagePlan, known: &Known, only: Option<usize>) -> Result<Prepared> {
        let staged = Staged {
            plan: &plan.details.id,
            result: &plan.details.result,
            planned_at: &plan.details.planned_at,
            groups: plan.groups.len(),
            known,
        };
        prepare(self.engine.stores(), &plan.ledger, &plan.lake, staged, only).await
    }

    fn compact_task<'a>(
        &'a self,
        plan: &'a StagePlan,
        columns: &'a LakeColumns,
        number: usize,
        group: &'a PartitionGroup,
    ) -> CompactTask<'a> {
        CompactTask {
            engine: &self.engine,
            lake: &plan.lake,
            ledger: &plan.ledger,
            columns,
            plan: &plan.details.id,
            result: &plan.details.result,
            number,
            group,
            verify: self.project.settings.verify,
        }
    }

    async fn compact(
        &self,
        plan: &StagePlan,
        columns: &LakeColumns,
        number: usize,
        group: &PartitionGroup,
    ) -> Result<()> {
        let task = self.compact_task(plan, columns, number, group);
        let manifest = task.run(self.on_rows()).await?;
        let details = &manifest.details;
        self.told("publish", &plan.lake, number, &group.files, details.rows_written, details.seconds);
        Ok(())
    }

    /// Runs tasks, so many at once; after the first error no further one is started. A task that is not started yet is not
    /// even made: there may be one per partition.
    async fn run_all<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = F>,
        at_once: usize,
    ) -> Result<Vec<T>> {
        let mut waiting = tasks.into_iter();
        let mut running = JoinSet::new();
        let (mut results, mut first_error) = (Vec::new(), None);
        loop {
            while first_error.is_none()
                && running.len() < at_once
                && let Some(task) = waiting.next()
            {
                running.spawn(task);
            }
            match running.join_next().await {
                None => return first_error.map_or(Ok(results), Err),
                Some(Ok(Ok(result))) => results.push(result),
                Some(Ok(Err(error))) => {
                    first_error.get_or_insert(error);
                }
                Some(Err(panic)) => {
                    first_error.get_or_insert(Error::Engine(datafusion::error::DataFusionError::ExecutionJoin(
                        Box::new(panic),
                    )));
                }
            }
        }
    }

    fn lake(&self, name: &str) -> Result<&LakeTable> {
        self.project.lakes.iter().find(|lake| lake.name == name).ok_or_else(|| not_planned(name))
    }

    fn on_rows(&self) -> OnRows {
        let reporter = Arc::clone(&self.reporter);
        Arc::new(move |rows| reporter.on(&Event::Rows(rows)))
    }

    fn told(&self, step: &'static str, lake: &LakeTable, group: usize, files: &[FileEntry], rows: u64, seconds: f64) {
        let bytes = files.iter().map(|file| file.size).sum();
        tracing::info!(table = lake.name, step, group, files = files.len(), bytes, rows, seconds, "task committed");
        self.reporter.on(&Event::Task { table: &lake.name, step, group, files: files.len(), bytes, rows, seconds });
    }
}

/// Publish tasks done and planned; `None` if they are not planned yet.
async fn published(ledger: &Ledger) -> Result<Option<(usize, usize)>> {
    let first = ledger.layout().manifest(Step::PartitionFileGroups, 1);
    let Some((_, first)) = ledger.head::<PartitionDetails>(&first).await? else { return Ok(None) };
    Ok(Some((ledger.done(Step::DatalakeFileGroups).await?.len(), first.groups)))
}

fn not_planned(table: &str) -> Error {
    Error::NotPlanned { table: table.to_owned() }
}
