//! What would be done, before anything is: the plans of all tables and what of them is done already.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::status::published;
use super::{Pipeline, not_planned};
use crate::audit;
use crate::compaction::plan::PartitionGroup;
use crate::error::Result;
use crate::layout::Step;
use crate::manifest::FileEntry;
use crate::staging::plan::{Planner, StagePlan};

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

impl Pipeline {
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
        audit::check(&self.engine, &self.project, &mut planner, &plans.iter().collect::<Vec<_>>()).await?;
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

    /// The committed plan of every table.
    ///
    /// # Errors
    /// [`Error::NotPlanned`](crate::Error::NotPlanned); mistakes in audits.
    pub(super) async fn plan_committed(&self) -> Result<Vec<StagePlan>> {
        let mut planner = Planner::new(&self.engine, &self.project);
        let mut plans = Vec::new();
        for lake in &self.project.lakes {
            plans.push(planner.committed(lake).await?.ok_or_else(|| not_planned(&lake.name))?);
        }
        audit::check(&self.engine, &self.project, &mut planner, &plans.iter().collect::<Vec<_>>()).await?;
        Ok(plans)
    }
}
