//! The second step: staging files become lake files, which are then proven and marked.

use std::sync::Arc;
use std::time::Instant;

use super::event::Event;
use super::run::{Known, Pipeline, Table, not_planned};
use super::table_report::TableReport;
use super::under_way::Job;
use super::validate::{Proof, Validation, validate};
use crate::compaction::plan::PartitionGroup;
use crate::compaction::prepare::{Prepared, StagedTable, prepare};
use crate::compaction::run::{CompactTask, properties_text};
use crate::concurrency::{TABLES_AT_ONCE, in_order, write_tables};
use crate::error::Result;
use crate::lake::LakeColumns;
use crate::layout::Step;
use crate::manifest::owner::FolderOwner;
use crate::staging::plan::{self, StagePlan};

impl Pipeline {
    /// Audits, then the second step of all tables, then validation.
    ///
    /// # Errors
    /// Those of [`Pipeline::audit`]; [`Error::Task`](crate::Error::Task),
    /// [`Error::Validation`](crate::Error::Validation).
    pub async fn publish(self: &Arc<Self>) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let mut tables = Vec::new();
        for plan in self.plan_committed().await? {
            tables.push(Table { plan: Arc::new(plan), late: Vec::new(), known: Known::new(), tasks: 0 });
        }
        self.publish_tables(tables, started).await
    }

    /// Compares all hops of every table, and marks complete ones; a deep one reads every published value.
    ///
    /// # Errors
    /// [`Error::Validation`](crate::Error::Validation) of the first table that differs.
    pub async fn validate(&self, deep: bool) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let reports = write_tables(self.project.lakes.iter().map(|lake| async move {
            let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
            self.check_place(&ledger, lake).await?;
            let proof = Proof { engine: &self.engine, lake, ledger: &ledger, deep };
            let validation = validate(proof).await?;
            Ok(TableReport {
                table: lake.name.clone(),
                location: ledger.layout().lake().to_string(),
                tasks: 0,
                seconds: started.elapsed().as_secs_f64(),
                validation,
            })
        }));
        let reports = reports.await?;
        self.engine.stores().settle().await?;
        Ok(reports)
    }

    pub(super) async fn publish_tables(
        self: &Arc<Self>,
        tables: Vec<Table>,
        started: Instant,
    ) -> Result<Vec<TableReport>> {
        self.audit_plans(&tables.iter().map(|table| table.plan.as_ref()).collect::<Vec<_>>()).await?;
        let (mut all, mut columns) = (Vec::new(), Vec::new());
        let prepared = write_tables(tables.iter().map(|table| self.prepare(&table.plan, &table.known, None))).await?;
        // Merges of a local table take the memory that is theirs when no more tasks than threads go on.
        let is_remote = tables.iter().all(|table| table.plan.ledger.layout().is_remote());
        let at_once = self.engine.publish_tasks(is_remote);
        for (index, (table, prepared)) in tables.iter().zip(prepared).enumerate() {
            let files = || prepared.todo.iter().flat_map(|(_, group)| &group.files);
            self.reporter.on(&Event::Step {
                table: &table.plan.lake.name,
                step: Step::DatalakeFileGroups,
                tasks: prepared.total,
                done: prepared.total - prepared.todo.len(),
                files: files().count(),
                bytes: files().map(|file| file.size).sum(),
            });
            columns.push(Arc::new(table.plan.columns()?));
            let failed = prepared.failed;
            let todo = prepared.todo.into_iter();
            all.extend(todo.map(|(number, group)| (index, number, group, failed.contains(&number))));
        }
        let tasks = all.into_iter().map(|(index, number, group, has_failed)| {
            let (pipeline, plan, columns) =
                (Arc::clone(self), Arc::clone(&tables[index].plan), Arc::clone(&columns[index]));
            let parts = self.engine.task_parts(plan.ledger.layout().is_remote(), at_once, &group.files);
            (parts, async move {
                pipeline.compact(&plan, &columns, (number, &group), has_failed).await?;
                Ok(index)
            })
        });
        let mut ran: Vec<usize> = tables.iter().map(|table| table.tasks).collect();
        for table in self.run_all(tasks, at_once).await? {
            ran[table] += 1;
        }
        // Before anything is called complete.
        self.engine.stores().settle().await?;
        let mut reports = Vec::new();
        let finished = tables.iter().zip(ran).map(|(Table { plan, .. }, tasks)| async move {
            let (validation, is_new) = self.finish(plan, tasks).await?;
            let report = TableReport {
                table: plan.lake.name.clone(),
                location: plan.ledger.layout().lake().to_string(),
                tasks,
                seconds: started.elapsed().as_secs_f64(),
                validation,
            };
            Ok((report, is_new))
        });
        in_order(finished.map(|job| (1, job)), TABLES_AT_ONCE, |(report, is_new)| {
            if is_new {
                let TableReport { table, validation, .. } = &report;
                self.reporter.on(&Event::Complete { table, rows: validation.footer_rows });
            }
            reports.push(report);
        })
        .await?;
        self.engine.stores().settle().await?;
        Ok(reports)
    }

    /// Validates and marks a table, unless this run changed nothing of a complete one; also says whether it did.
    async fn finish(&self, plan: &StagePlan, tasks: usize) -> Result<(Validation, bool)> {
        if tasks == 0
            && let Some(validation) = self.stands(&plan.ledger, &plan.details.id).await?
        {
            return Ok((validation, false));
        }
        plan.ledger.check_plan(&plan.lake.name, &plan.details.id).await?;
        // Where checksums are asked for, each task has read again what it published.
        let proof = Proof { engine: &self.engine, lake: &plan.lake, ledger: &plan.ledger, deep: false };
        Ok((validate(proof).await?, true))
    }

    pub(super) async fn prepare(&self, plan: &StagePlan, known: &Known, only: Option<usize>) -> Result<Prepared> {
        let driving = &plan.details.driving.table;
        let declared = self.project.snapshot(driving).ok_or_else(|| not_planned(&plan.lake.name))?;
        let owner = self.lake_owner(plan);
        let staged = StagedTable {
            plan: &plan.details.id,
            result: &plan.details.result,
            owner: &owner,
            planned_at: &plan.details.planned_at,
            groups: plan.groups.len(),
            driving: (driving, &declared.at),
            known,
        };
        prepare(self.engine.stores(), &plan.ledger, &plan.lake, staged, only).await
    }

    /// What the file at the root of the lake of a plan says.
    fn lake_owner(&self, plan: &StagePlan) -> FolderOwner {
        plan::owner_of_lake(&self.project, &plan.lake, &plan.details, properties_text(&plan.lake))
    }

    pub(crate) fn compact_task<'a>(
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
            timeout: self.project.settings.task_timeout,
        }
    }

    pub(super) async fn compact(
        &self,
        plan: &StagePlan,
        columns: &LakeColumns,
        (number, group): (usize, &PartitionGroup),
        has_failed: bool,
    ) -> Result<()> {
        let attempt = self.attempt(Job {
            ledger: plan.ledger.clone(),
            table: plan.lake.name.clone(),
            plan: plan.details.id.clone(),
            step: Step::DatalakeFileGroups,
            group: number,
            has_failed,
        });
        let result = self.compact_task(plan, columns, number, group).run(attempt.on_rows()).await;
        let manifest = attempt.end(result).await?;
        let details = &manifest.details;
        self.told(Step::DatalakeFileGroups, &plan.lake, number, &group.files, details.rows_written, details.seconds);
        Ok(())
    }
}
