//! The steps in order: plan, stage, audit, publish, validate; concurrency, resume and nothing else.
//!
//! All tables are planned and checked before the first file is written. Then all tables' tasks run, as many at once as
//! threads and memory allow; small ones that wait for a remote store count as a part of one. Nothing is published of any
//! table before all audits have passed. What is done is read from the manifests, so a second run does what is missing. When
//! a task fails, no further one is started, those under way are finished (and committed), and the error of the first of them
//! in order is returned.
//!
//! What is asked of every table (its plan, what of it is done, its proof) is asked of many tables at once, and told in the
//! order of the config.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::event::{Event, Reporter};
use super::runner::TaskRunner;
use super::table_report::TableReport;
use super::under_way::Attempts;
use super::warning::Warning;
use crate::compaction::prepare::StagedGroup;
use crate::config::{LakeTable, Project};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::{FileEntry, TaskDetails};
use crate::session::Engine;
use crate::staging::plan::StagePlan;

/// A project, an engine to run it, and somebody to tell.
pub struct Pipeline {
    pub(crate) project: Project,
    pub(crate) engine: Arc<Engine>,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) attempts: Attempts,
    /// Where tasks run, if not in this process.
    pub(super) runner: Option<Arc<dyn TaskRunner>>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("project", &self.project).finish_non_exhaustive()
    }
}

/// Staging files per group of the tasks that this process ran.
pub(super) type Known = HashMap<usize, StagedGroup>;

/// A planned table and what this process staged of it.
pub(super) struct Table {
    pub(super) plan: Arc<StagePlan>,
    /// What is told at the end, so that it is not lost above all else.
    pub(super) late: Vec<Warning>,
    pub(super) known: Known,
    pub(super) tasks: usize,
}

impl Pipeline {
    /// Puts the parts together; nothing is read yet.
    #[must_use]
    pub fn new(project: Project, engine: impl Into<Arc<Engine>>, reporter: Arc<dyn Reporter>) -> Arc<Self> {
        let engine = engine.into();
        Arc::new(Self { project, engine, reporter, attempts: Attempts::default(), runner: None })
    }

    /// The same, with tasks that run elsewhere.
    #[must_use]
    pub fn with_runner(
        project: Project,
        engine: impl Into<Arc<Engine>>,
        reporter: Arc<dyn Reporter>,
        runner: Arc<dyn TaskRunner>,
    ) -> Arc<Self> {
        let engine = engine.into();
        Arc::new(Self { project, engine, reporter, attempts: Attempts::default(), runner: Some(runner) })
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

    /// Both steps of all tables with the audits between them, then validation.
    ///
    /// # Errors
    /// As [`Pipeline::stage`] and [`Pipeline::publish`].
    pub async fn run(self: &Arc<Self>) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let mut tables = self.stage_tables().await?;
        let late: Vec<_> =
            tables.iter_mut().map(|table| (Arc::clone(&table.plan), std::mem::take(&mut table.late))).collect();
        let reports = self.publish_tables(tables, started).await?;
        late.iter().for_each(|(plan, late)| self.warn(&plan.lake.name, late));
        Ok(reports)
    }

    pub(super) fn warn<'a>(&self, table: &str, warnings: impl IntoIterator<Item = &'a Warning>) {
        for Warning { problem, advice, .. } in warnings {
            self.reporter.on(&Event::Warned { table, problem, advice });
        }
    }

    /// Tells the reporter.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.reporter.on(event);
    }

    pub(crate) fn lake(&self, name: &str) -> Result<&LakeTable> {
        self.project.lakes.iter().find(|lake| lake.name == name).ok_or_else(|| not_planned(name))
    }

    /// Reports a task that was committed.
    pub(super) fn report_task(
        &self,
        step: Step,
        lake: &LakeTable,
        group: usize,
        files: &[FileEntry],
        TaskDetails { rows_written, seconds, .. }: &TaskDetails,
    ) {
        let bytes = files.iter().map(|file| file.size).sum();
        let (rows, seconds) = (*rows_written, *seconds);
        tracing::info!(
            table = lake.name,
            step = step.task_name(),
            group,
            files = files.len(),
            bytes,
            rows,
            seconds,
            "task committed"
        );
        self.reporter.on(&Event::Task { table: &lake.name, step, group, files: files.len(), bytes, rows, seconds });
    }
}

pub(crate) fn not_planned(table: &str) -> Error {
    Error::NotPlanned { table: table.to_owned() }
}
