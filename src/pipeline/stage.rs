//! The first step: every file group of every table becomes staging files.

use std::sync::Arc;

use super::event::Event;
use super::run::{Known, Pipeline, Table};
use super::under_way::Job;
use super::{arrivals, covered};
use crate::compaction::prepare::StagedGroup;
use crate::concurrency::{read_tables, write_tables};
use crate::error::Result;
use crate::layout::Step;
use crate::manifest::FileEntry;
use crate::manifest::ledger::SummaryListing;
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

    pub(crate) fn stage_task<'a>(&'a self, plan: &'a StagePlan, group: usize, files: &'a [FileEntry]) -> StageTask<'a> {
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
        let plans = self.plan().await?;
        let is_old: Vec<bool> = plans.iter().map(|plan| plan.committed).collect();
        for plan in write_tables(plans.into_iter().map(plan::commit)).await? {
            self.warn(&plan.lake.name, plan.warnings().iter().filter(|found| covered::is_told_by_run(found)));
            tables.push(Arc::new(plan));
        }
        let mut all: Vec<(usize, usize, bool)> = Vec::new();
        let mut todos = Vec::new();
        let seen = read_tables(tables.iter().map(|plan| plan.ledger.look(Step::StagingFileGroups))).await?;
        for (index, (plan, SummaryListing { done, failed, .. })) in tables.iter().zip(seen).enumerate() {
            let todo: Vec<usize> = (1..=plan.groups.len()).filter(|number| !done.contains(number)).collect();
            let files = || todo.iter().flat_map(|number| plan.groups.of(number - 1));
            self.reporter.on(&Event::Step {
                table: &plan.lake.name,
                step: Step::StagingFileGroups,
                tasks: plan.groups.len(),
                done: plan.groups.len() - todo.len(),
                files: files().count(),
                bytes: files().map(|file| file.size).sum(),
            });
            all.extend(todo.iter().map(|&number| (index, number, failed.contains(&number))));
            todos.push(todo);
        }
        // A new plan has just listed them.
        let old: Vec<usize> = (0..tables.len()).filter(|&index| is_old[index]).collect();
        let plans: Vec<_> = old.iter().map(|&index| (&*tables[index], todos[index].as_slice())).collect();
        let mut late = vec![Vec::new(); tables.len()];
        for (&index, found) in old.iter().zip(self.arrivals(&plans).await) {
            let (urgent, others): (Vec<_>, _) = found.into_iter().partition(arrivals::is_urgent);
            self.warn(&tables[index].lake.name, &urgent);
            late[index] = others;
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
                let details = &manifest.details.task;
                pipeline.told(
                    Step::StagingFileGroups,
                    &plan.lake,
                    number,
                    &files,
                    details.rows_written,
                    details.seconds,
                );
                Ok((index, number, StagedGroup { files: manifest.files, columns: manifest.details.columns }))
            })
        });
        let mut known = vec![Known::new(); tables.len()];
        for (table, number, staged) in self.run_all(tasks, at_once).await? {
            known[table].insert(number, staged);
        }
        self.engine.stores().settle().await?;
        let tables = tables.into_iter().zip(known).zip(late);
        Ok(tables.map(|((plan, known), late)| Table { plan, late, tasks: known.len(), known }).collect())
    }
}
