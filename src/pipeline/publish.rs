//! The second step: staging files become lake files, which are then proven and marked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::audits::all_passed;
use super::covered::set_to_null;
use super::event::Event;
use super::planned_task::{PlannedTask, TaskInput};
use super::run::{Known, Pipeline, Table, not_planned};
use super::table_report::TableReport;
use super::task_spec::TaskSpec;
use super::validate::{Proof, Validation, validate};
use crate::compaction::plan::PartitionGroup;
use crate::compaction::prepare::{Prepared, StagedTable, prepare};
use crate::compaction::run::{CompactTask, properties_text};
use crate::concurrency::{TABLES_AT_ONCE, in_order, write_tables};
use crate::error::TaskStep;
use crate::error::{Error, Result};
use crate::lake::LakeColumns;
use crate::layout::Step;
use crate::manifest::owner::FolderOwner;
use crate::staging::plan::{self, PlanHead, StagePlan};

impl Pipeline {
    /// Audits, then the second step of all tables that no failed audit holds back, then validation.
    ///
    /// # Errors
    /// Those of [`Pipeline::audit`], also if other tables were published; [`Error::Task`],
    /// [`Error::Validation`].
    pub async fn publish(self: &Arc<Self>) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        self.publish_tables(self.staged_tables().await?, started).await
    }

    async fn staged_tables(&self) -> Result<Vec<Table>> {
        let plans = self.plan_committed().await?.into_iter();
        Ok(plans.map(|plan| Table { plan: plan.into(), late: Vec::new(), known: Known::new(), tasks: 0 }).collect())
    }

    /// Compares all hops of every table, and marks complete ones; a deep one reads every published value.
    ///
    /// # Errors
    /// [`Error::Validation`] of the first table that differs.
    pub async fn validate(&self, deep: bool) -> Result<Vec<TableReport>> {
        let started = Instant::now();
        let reports = write_tables(self.project.lakes.iter().map(|lake| async move {
            let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
            self.check_place(&ledger, lake).await?;
            let proof = Proof { engine: &self.engine, lake, ledger: &ledger, deep };
            let validation = validate(proof).await?;
            self.validate_version(lake, &ledger).await?;
            Ok(TableReport {
                table: lake.name.clone(),
                location: ledger.layout().lake().to_string(),
                tasks: 0,
                seconds: started.elapsed().as_secs_f64(),
                validation,
                files_left_out: 0,
                left_out: None,
            })
        }));
        let reports = reports.await?;
        self.engine.stores().settle().await?;
        Ok(reports)
    }

    /// The publish tasks that are not done, after the audits.
    async fn publish_todo(&self, tables: &[Table]) -> Result<Vec<PlannedTask>> {
        let prepared = write_tables(tables.iter().map(|table| self.prepare(&table.plan, &table.known, None))).await?;
        let mut tasks = Vec::new();
        for (table, prepared) in tables.iter().zip(prepared) {
            let files = || prepared.todo.iter().flat_map(|(_, group)| &group.files);
            self.reporter.on(&Event::Step {
                table: &table.plan.lake.name,
                step: Step::DatalakeFileGroups,
                tasks: prepared.total,
                done: prepared.total - prepared.todo.len(),
                files: files().count(),
                bytes: files().map(|file| file.size).sum(),
            });
            let (plan, columns) = (&table.plan, Arc::new(table.plan.columns()?));
            tasks.extend(prepared.todo.into_iter().map(|(number, group)| PlannedTask {
                spec: TaskSpec::new(&self.project, &plan.lake.name, TaskStep::Publish, number),
                has_failed: prepared.failed.contains(&number),
                input: TaskInput::Publish { head: Arc::clone(&plan.head), columns: Arc::clone(&columns), group },
            }));
        }
        Ok(tasks)
    }

    /// The publish tasks that are not done, of tables that are staged, after the audits.
    ///
    /// # Errors
    /// Those of [`Pipeline::audit`]; [`Error::NotStaged`].
    pub async fn publish_specs(self: &Arc<Self>) -> Result<Vec<TaskSpec>> {
        let tables = self.staged_tables().await?;
        all_passed(self.verdicts(&tables.iter().map(|table| table.plan.as_ref()).collect::<Vec<_>>()).await?)?;
        let tasks = self.publish_todo(&tables).await?;
        self.engine.stores().settle().await?;
        Ok(tasks.into_iter().map(|task| task.spec).collect())
    }

    pub(super) async fn publish_tables(
        self: &Arc<Self>,
        tables: Vec<Table>,
        started: Instant,
    ) -> Result<Vec<TableReport>> {
        let (tables, failed_audits) = self.free_to_publish(tables).await?;
        let tasks = self.publish_todo(&tables).await?;
        let mut ran: HashMap<String, usize> = HashMap::new();
        for report in self.run_tasks(tasks).await? {
            *ran.entry(report.table).or_default() += 1;
        }
        // Before anything is called complete.
        self.engine.stores().settle().await?;
        let mut reports = Vec::new();
        let ran = |table: &Table| table.tasks + ran.get(&table.plan.lake.name).copied().unwrap_or_default();
        let finished = tables.iter().map(|table| (&table.plan, ran(table))).map(|(plan, tasks)| async move {
            let (validation, is_new) = self.finish(plan, tasks).await?;
            let (files_left_out, left_out) = plan.details.left_out();
            let report = TableReport {
                files_left_out,
                left_out,
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
        match failed_audits {
            None => Ok(reports),
            Some(verdicts) => {
                let published = reports.into_iter().map(|report| report.table).collect();
                Err(Error::AuditsFailed { verdicts, published })
            }
        }
    }

    /// Validates and marks a table, unless this run changed nothing of a complete one; also says whether it did.
    async fn finish(&self, plan: &StagePlan, tasks: usize) -> Result<(Validation, bool)> {
        if tasks == 0
            && let Some(validation) = self.stands(&plan.ledger, &plan.details.id).await?
        {
            let is_new = self.add_version(plan).await?;
            return Ok((validation, is_new));
        }
        plan.ledger.check_plan(&plan.lake.name, &plan.details.id).await?;
        // Where checksums are asked for, each task has read again what it published.
        let proof = Proof { engine: &self.engine, lake: &plan.lake, ledger: &plan.ledger, deep: false };
        let validation = validate(proof).await?;
        self.warn(&plan.lake.name, set_to_null(&plan.details.driving.table, &validation).as_slice());
        self.add_version(plan).await?;
        Ok((validation, true))
    }

    pub(super) async fn prepare(&self, plan: &PlanHead, known: &Known, only: Option<usize>) -> Result<Prepared> {
        let driving = &plan.details.driving.table;
        let declared = self.project.snapshot(driving).ok_or_else(|| not_planned(&plan.lake.name))?;
        let owner = self.lake_owner(plan);
        let staged = StagedTable {
            plan: &plan.details.id,
            result: &plan.details.result,
            owner: &owner,
            planned_at: &plan.details.planned_at,
            groups: plan.details.groups,
            driving: (driving, &declared.at),
            known,
        };
        prepare(self.engine.stores(), &plan.ledger, &plan.lake, staged, only).await
    }

    /// What the file at the root of the lake of a plan says.
    fn lake_owner(&self, plan: &PlanHead) -> FolderOwner {
        plan::owner_of_lake(&self.project, &plan.lake, &plan.details, properties_text(&plan.lake))
    }

    pub(crate) fn compact_task<'a>(
        &'a self,
        plan: &'a PlanHead,
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
}
