//! The first step: every file group of every table becomes staging files.

use std::sync::Arc;

use super::attempt::Job;
use super::{Event, Known, Pipeline, Table, Warning, covered};
use crate::compaction::prepare::StagedGroup;
use crate::error::Result;
use crate::layout::Step;
use crate::manifest::FileEntry;
use crate::manifest::ledger::Seen;
use crate::spread::{read_tables, write_tables};
use crate::staging::plan::{self, StagePlan};
use crate::staging::run::StageTask;

impl Pipeline {
    /// First step of all tables.
    ///
    /// # Errors
    /// Those of planning, and [`Error::Task`](crate::Error::Task).
    pub async fn stage(self: &Arc<Self>) -> Result<()> {
        self.stage_tables().await.map(|_| ())
    }

    pub(super) fn stage_task<'a>(&'a self, plan: &'a StagePlan, group: usize, files: &'a [FileEntry]) -> StageTask<'a> {
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

    pub(super) async fn stage_tables(self: &Arc<Self>) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for plan in write_tables(self.plan().await?.into_iter().map(plan::commit)).await? {
            for Warning { problem, advice, .. } in plan.warnings().iter().filter(|found| covered::is_told_by_run(found))
            {
                self.reporter.on(&Event::Warned { table: &plan.lake.name, problem, advice });
            }
            tables.push(Arc::new(plan));
        }
        let mut all: Vec<(usize, usize, bool)> = Vec::new();
        let seen = read_tables(tables.iter().map(|plan| plan.ledger.look(Step::StagingFileGroups))).await?;
        for (index, (plan, Seen { done, failed, .. })) in tables.iter().zip(seen).enumerate() {
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
            all.extend(todo.iter().map(|&number| (index, number, failed.contains(&number))));
        }
        let at_once = tables.iter().map(|plan| self.engine.tasks_at_once(plan.details.run_bytes)).min().unwrap_or(1);
        let tasks = all.into_iter().map(|(index, number, has_failed)| {
            let (pipeline, plan) = (Arc::clone(self), Arc::clone(&tables[index]));
            let files = plan.groups.of(number - 1).chain(plan.details.whole.iter().flat_map(|(_, files)| files));
            let parts = self.engine.task_parts(plan.ledger.layout().is_remote(), at_once, files);
            (parts, async move {
                let files: Vec<FileEntry> = plan.groups.of(number - 1).cloned().collect();
                let attempt = pipeline.attempt(Job {
                    ledger: plan.ledger.clone(),
                    table: plan.lake.name.clone(),
                    plan: plan.details.id.clone(),
                    step: Step::StagingFileGroups,
                    group: number,
                    has_failed,
                });
                let result = pipeline.stage_task(&plan, number, &files).run(attempt.on_rows()).await;
                let manifest = attempt.end(result).await?;
                let details = &manifest.details;
                pipeline.told("stage", &plan.lake, number, &files, details.rows_written, details.seconds);
                Ok((index, number, StagedGroup { files: manifest.files, columns: manifest.details.columns }))
            })
        });
        let mut known = vec![Known::new(); tables.len()];
        for (table, number, staged) in self.run_all(tasks, at_once).await? {
            known[table].insert(number, staged);
        }
        self.engine.stores().settle().await?;
        let tables = tables.into_iter().zip(known);
        Ok(tables.map(|(plan, known)| Table { plan, tasks: known.len(), known }).collect())
    }
}
