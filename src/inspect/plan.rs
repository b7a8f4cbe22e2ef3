//! What would be done, before anything is: the plans of all tables, what of them is done already, how long the rest
//! will take as far as tasks that were done before tell, and what will cost trouble.
//!
//! Nothing is written. Partitions are known from the manifests of the stage tasks that are done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::TryStreamExt;

use super::estimate::{TimeEstimate, Timings};
use super::status::published;
pub(crate) use super::views::{GroupView, PartitionView, PartitionsView, PublishView};
use super::warnings::{Facts, warnings};
use crate::compaction::plan::{PartitionGroup, group};
use crate::concurrency::read_tables;
use crate::config::LakeTable;
use crate::error::Result;
use crate::layout::FilePartition;
use crate::layout::Step;
use crate::manifest::{FileEntry, TaskDetails};
use crate::pipeline::audit::{self, AuditView};
use crate::pipeline::{Pipeline, Warning, covered, not_planned};
use crate::snapshot::Coverage;
use crate::staging::plan::{PlannedSource, Planner, StagePlan};
use crate::staging::run::StageTask;
use crate::write::OnRows;

/// What would be done for one table.
#[derive(Debug, Clone)]
pub struct PlanView {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Snapshot table whose files are grouped.
    pub driving: String,
    /// Snapshot tables that every task reads whole.
    pub whole: Vec<String>,
    /// When the plan was committed; `None`: it is not.
    pub planned_at: Option<String>,
    /// Whether a plan of an earlier config, of which nothing is staged, would be replaced.
    pub replaces: bool,
    /// Whether the lake is published and proven.
    pub complete: bool,
    /// Snapshot files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, if all are known.
    pub rows: Option<u64>,
    /// Columns of the lake table, with Arrow types.
    pub columns: Vec<(String, String)>,
    /// Partition columns in path order.
    pub partitioned_by: Vec<String>,
    /// Stage tasks.
    pub groups: Vec<GroupView>,
    /// Publish tasks.
    pub publish: PublishView,
    /// Partitions, as far as stage tasks are done; `None` for an unpartitioned table.
    pub partitions: Option<PartitionsView>,
    /// The audits that hold it back, in the order of the config.
    pub audits: Vec<AuditView>,
    /// How long the rest will take, if tasks that were done tell.
    pub estimate: Option<TimeEstimate>,
    /// What will cost time or trouble.
    pub warnings: Vec<Warning>,
    /// The files of each snapshot table that are left out, and the columns that some files lack.
    pub coverage: Vec<(String, Coverage)>,
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

/// What the manifests of the stage tasks that are done say.
#[derive(Default)]
struct StagedSums {
    /// Without their names: those are of no use here.
    partitions: BTreeMap<Arc<str>, PartitionView>,
    files: Vec<FileEntry>,
    timings: Timings,
}

impl StagePlan {
    /// Snapshot tables that the SELECT reads, the one whose files are grouped first.
    fn sources(&self) -> impl Iterator<Item = &PlannedSource> {
        std::iter::once(&self.details.driving).chain(self.details.whole.iter().map(|(source, _)| source))
    }

    /// Warnings about its snapshot files and its columns.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let of_files = self.sources().flat_map(|source| covered::warnings(&source.table, &source.coverage));
        let columns = self.details.columns.iter().map(|(name, _)| name.as_str());
        of_files.chain(covered::case_only(&self.lake.name, columns)).collect()
    }
}

impl Pipeline {
    /// The first step's plan of every table; writes nothing.
    ///
    /// # Errors
    /// Every mistake in config and snapshot.
    pub async fn plan(&self) -> Result<Vec<StagePlan>> {
        let planner = Planner::new(&self.engine, &self.project);
        let plans = read_tables(self.project.lakes.iter().map(|lake| planner.plan(lake))).await?;
        audit::check(&self.engine, &self.project, &planner, &plans.iter().collect::<Vec<_>>()).await?;
        Ok(plans)
    }

    /// Plans with what of them is done; writes nothing.
    ///
    /// # Errors
    /// As [`Pipeline::plan_view`].
    pub async fn plan_views(&self, plans: &[StagePlan], explain: bool) -> Result<Vec<PlanView>> {
        read_tables(plans.iter().map(|plan| self.plan_view(plan, explain))).await
    }

    /// A plan with what of it is done; writes nothing.
    ///
    /// # Errors
    /// Those of the ledger, and of planning the SELECT.
    pub async fn plan_view(&self, plan: &StagePlan, explain: bool) -> Result<PlanView> {
        let (mut done, mut staged, mut publish, mut complete) = (BTreeSet::new(), StagedSums::default(), None, false);
        if plan.committed {
            done = plan.ledger.done(Step::StagingFileGroups).await?;
            staged = self.staged(plan, &done).await?;
            publish = published(&plan.ledger).await?;
            complete = self.stands(&plan.ledger, &plan.details.id).await?.is_some();
        }
        let groups = plan.groups.iter().enumerate().map(|(index, files)| GroupView {
            number: index + 1,
            files: files.len(),
            bytes: files.map(|file| file.size).sum(),
            done: done.contains(&(index + 1)),
        });
        let groups: Vec<GroupView> = groups.collect();
        let is_staged = plan.committed && groups.iter().all(|group| group.done);
        let (is_sorted, is_partitioned) = (!plan.lake.sorted_by.is_empty(), !plan.lake.partitioned_by.is_empty());
        let publish = match publish {
            Some((total, seen)) => PublishView { total: Some(total), done: seen.done },
            None if is_staged => {
                let groups = group(staged.files, is_sorted, plan.lake.target_file_size);
                PublishView { total: Some(groups.len()), done: BTreeSet::new() }
            }
            // All sorted rows of an unpartitioned table are one merge.
            None => PublishView { total: (is_sorted && !is_partitioned).then_some(1), done: BTreeSet::new() },
        };
        let partitions =
            is_partitioned.then(|| PartitionsView::of(staged.partitions.into_values().collect(), is_staged)).flatten();
        let facts = Facts {
            groups: &groups,
            group_size: plan.lake.file_group_size,
            target_file_size: plan.lake.target_file_size,
            partitions: partitions.as_ref(),
            nanoseconds: &plan.details.nanoseconds,
        };
        let warnings = [plan.warnings(), warnings(facts)].concat();
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
            replaces: plan.replaces,
            complete,
            files: plan.files(),
            bytes: plan.bytes(),
            rows: plan.groups.files().iter().map(|file| file.n_record).sum(),
            columns: plan.details.columns.clone(),
            partitioned_by: plan.lake.partitioned_by.iter().map(|(name, _)| name.clone()).collect(),
            estimate: self.estimate(plan, &groups, &publish, staged.timings).await?,
            audits: audit::views(&self.project, &plan.lake.name)?,
            groups,
            publish,
            partitions,
            warnings,
            coverage: plan.sources().map(|source| (source.table.clone(), source.coverage.clone())).collect(),
            staging: plan.ledger.layout().root().to_string(),
            location: plan.ledger.layout().lake().to_string(),
            explain,
        })
    }

    /// Reads the manifests of the stage tasks that are done.
    async fn staged(&self, plan: &StagePlan, done: &BTreeSet<usize>) -> Result<StagedSums> {
        let mut staged = StagedSums::default();
        let mut manifests = plan.ledger.read_all::<TaskDetails>(Step::StagingFileGroups, done.iter().copied());
        while let Some((_, manifest)) = manifests.try_next().await? {
            let Some(manifest) = manifest else { continue };
            staged.timings.add(&manifest.details, manifest.size());
            for file in manifest.files {
                for part in file.parts() {
                    let view = staged.partitions.entry(part.partition.into()).or_default();
                    if view.files == 0 {
                        part.partition.clone_into(&mut view.partition);
                    }
                    view.files += 1;
                    view.rows += part.rows;
                    view.bytes += part.bytes;
                }
                staged.files.push(file);
            }
        }
        Ok(staged)
    }

    async fn explain(&self, plan: &StagePlan, files: &[FileEntry]) -> Result<Explain> {
        // The plans are not run.
        let on_rows = || -> OnRows { Arc::new(|_| ()) };
        let text = |plan: Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(false).to_string();
        let stage = match self.project.held().next() {
            None => text(self.stage_task(plan, 1, files).plan(on_rows(), None).await?.1),
            // The engine would show what it makes of the values of the environment, and of the variables if they are
            // there.
            Some(_) => {
                let project = self.project.shown();
                let lake = LakeTable { query: plan.lake.shown.clone(), ..plan.lake.clone() };
                let task = StageTask { project: &project, lake: &lake, ..self.stage_task(plan, 1, files) };
                let planned = task.plan(on_rows(), None).await;
                planned.map_or_else(
                    |_| "not shown: it cannot be planned without values of ${env:...}".to_owned(),
                    |(_, plan)| text(plan),
                )
            }
        };
        // What is staged is not known yet; the plan of any two runs is alike, and nothing is opened for it.
        let run = |name: &str| {
            let uri = plan.ledger.layout().staging_data().join(name).uri().into();
            FileEntry { uri, etag: "".into(), size: 1, n_record: Some(1), partition: FilePartition::None }
        };
        let files = vec![run("run-1.parquet"), run("run-2.parquet")];
        let group = PartitionGroup { partition: String::new(), first_row: 0, number: 1, bundled: Vec::new(), files };
        let columns = plan.columns()?;
        let publish = self.compact_task(plan, &columns, 1, &group).plan(on_rows()).await?.plan;
        Ok(Explain { stage, publish: text(publish) })
    }

    /// The committed plan of every table.
    ///
    /// # Errors
    /// [`Error::NotPlanned`](crate::Error::NotPlanned); mistakes in audits.
    pub(crate) async fn plan_committed(&self) -> Result<Vec<StagePlan>> {
        let planner = Planner::new(&self.engine, &self.project);
        let committed = self.project.lakes.iter().map(|lake| {
            let planner = &planner;
            async move { planner.committed(lake).await?.ok_or_else(|| not_planned(&lake.name)) }
        });
        let plans = read_tables(committed).await?;
        audit::check(&self.engine, &self.project, &planner, &plans.iter().collect::<Vec<_>>()).await?;
        Ok(plans)
    }
}
