//! The first step: every file group of every table becomes staging files.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::event::Event;
use super::planned_task::{PlannedTask, SnapshotFiles, TaskInput};
use super::run::{Known, Pipeline, Table};
use super::task_report::TaskReport;
use super::task_spec::TaskSpec;
use super::warning::Warning;
use super::{arrivals, covered};
use crate::concurrency::{read_tables, write_tables};
use crate::error::Result;
use crate::error::TaskStep;
use crate::layout::Step;
use crate::live::job::export_databases;
use crate::manifest::FileEntry;
use crate::manifest::ledger::SummaryListing;
use crate::merge::job::merge_exports;
use crate::staging::plan::{self, PlanHead, StagePlan};
use crate::staging::run::StageTask;

/// Plans, tasks, and warnings per plan.
type StageTodo = (Vec<Arc<StagePlan>>, Vec<PlannedTask>, Vec<Vec<Warning>>);

impl Pipeline {
    /// First step of all tables.
    ///
    /// # Errors
    /// Those of planning, and [`Error::Task`](crate::Error::Task).
    pub async fn stage(self: &Arc<Self>) -> Result<()> {
        self.stage_tables().await.map(|_| ())
    }

    pub(crate) fn stage_task<'a>(&'a self, plan: &'a PlanHead, group: usize, files: &'a [FileEntry]) -> StageTask<'a> {
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

    /// Exports the running databases of the config that were not exported for this snapshot.
    async fn export_databases(&self) -> Result<()> {
        let started = Instant::now();
        let exported = export_databases(&self.project, self.engine.stores(), self.engine.parallel_tasks()).await?;
        for database in &exported {
            self.reporter.on(&Event::Exported {
                address: &database.address,
                time: &database.time,
                tables: database.tables,
                rows: database.rows,
                bytes: database.bytes,
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        Ok(())
    }

    /// Merges the exports of the config that were not merged for this snapshot.
    async fn merge_exports(&self) -> Result<()> {
        let started = Instant::now();
        let merged = merge_exports(&self.project, &self.engine).await?;
        for table in &merged {
            self.reporter.on(&Event::Merged {
                table: &table.table,
                time: &table.time,
                exports: table.exports,
                rows: table.rows,
                bytes: table.bytes,
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        Ok(())
    }

    /// Plans of all tables, committed, and their tasks that are not done; with each table's warnings for the end.
    async fn stage_todo(self: &Arc<Self>) -> Result<StageTodo> {
        self.export_databases().await?;
        self.merge_exports().await?;
        let mut tables = Vec::new();
        let plans = self.plan().await?;
        read_tables(plans.iter().map(|plan| self.check_version(plan))).await?;
        let is_old: Vec<bool> = plans.iter().map(|plan| plan.committed).collect();
        for plan in write_tables(plans.into_iter().map(plan::commit)).await? {
            self.warn(&plan.lake.name, plan.warnings().iter().filter(|found| covered::is_reported_by_run(found)));
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
        let task = |(index, number, has_failed): (usize, usize, bool)| {
            let plan = Arc::clone(&tables[index]);
            let spec = TaskSpec::new(&self.project, &plan.lake.name, TaskStep::Stage, number);
            PlannedTask { spec, has_failed, input: TaskInput::Stage(SnapshotFiles::OfPlan(plan)) }
        };
        let tasks = all.into_iter().map(task).collect();
        Ok((tables, tasks, late))
    }

    /// The stage tasks that are not done, of tables that are planned first where they are not.
    ///
    /// # Errors
    /// Those of planning.
    pub async fn stage_specs(self: &Arc<Self>) -> Result<Vec<TaskSpec>> {
        let (_, tasks, _) = self.stage_todo().await?;
        self.engine.stores().settle().await?;
        Ok(tasks.into_iter().map(|task| task.spec).collect())
    }

    pub(super) async fn stage_tables(self: &Arc<Self>) -> Result<Vec<Table>> {
        let (tables, tasks, late) = self.stage_todo().await?;
        let mut ran: HashMap<String, (usize, Known)> = HashMap::new();
        for TaskReport { table, group, staged, .. } in self.run_tasks(tasks).await? {
            let (tasks, known) = ran.entry(table).or_default();
            *tasks += 1;
            known.extend(staged.map(|staged| (group, staged)));
        }
        self.engine.stores().settle().await?;
        let tables = tables.into_iter().zip(late).map(|(plan, late)| {
            let (tasks, known) = ran.remove(plan.lake.name.as_str()).unwrap_or_default();
            Table { plan, late, known, tasks }
        });
        Ok(tables.collect())
    }
}
