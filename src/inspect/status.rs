//! How far tables are: what is done, from their manifests; what is running or failed, from the traces beside them.
//!
//! Manifests decide. A trace of a task that is done, or of another plan, is passed over; so a status is right about
//! what is done even when every trace is lost. Sums over tasks are read from their summaries, each once: a second look
//! costs as many requests as there are new ones. The state of audits is known from what is remembered of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::Utc;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::compaction::plan::PartitionDetails;
use crate::concurrency::read_tables;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::Step;
use crate::manifest::codec::SummaryHead;
use crate::manifest::ledger::SummaryListing;
use crate::manifest::trace::{self, Failure, RunningTasks};
use crate::manifest::{Ledger, TaskDetails};
use crate::pipeline::audit::{self, AuditStatus};
use crate::pipeline::validate::Validation;
use crate::pipeline::{Pipeline, Warning};
use crate::snapshot::LeftOut;
use crate::staging::plan::{self, PlanDetails};

/// Traces of one step that are read; more are only counted.
const TRACES: usize = 100;

/// How far a table is.
#[derive(Debug, Clone, PartialEq)]
pub struct TableStatus {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Lake location.
    pub location: String,
    /// When the plan was committed.
    pub planned_at: Option<String>,
    /// The first step.
    pub stage: StepStatus,
    /// The second step.
    pub publish: StepStatus,
    /// The audits that hold it back, in the order of the config.
    pub audits: Vec<AuditStatus>,
    /// Whether `_SUCCESS` exists.
    pub complete: bool,
    /// Files of each snapshot table that are not read.
    pub left_out: Vec<(String, Vec<LeftOut>)>,
    /// What is wrong with manifests and folders, and what to do.
    pub problems: Vec<String>,
    /// Files that came, went or changed after they were planned.
    pub warnings: Vec<Warning>,
}

/// How far a step of a table is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepStatus {
    /// Tasks that are committed.
    pub done: usize,
    /// Tasks; `None` before they are planned.
    pub total: Option<usize>,
    /// Tasks that processes say they are running.
    pub running: Vec<RunningStatus>,
    /// Tasks whose last attempt failed.
    pub failed: usize,
    /// Why, of the first hundred.
    pub failures: Vec<Failure>,
    /// Over committed tasks, if they were asked for.
    pub sums: Option<Sums>,
}

/// A task that is under way, as last reported by its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningStatus {
    /// Group number.
    pub group: usize,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When its process last gave a sign of life, RFC 3339.
    pub seen_at: String,
    /// Whether that is so short ago that the process is taken to live.
    pub is_alive: bool,
    /// Rows written until then.
    pub rows: u64,
}

/// What committed tasks of a step read and wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Rows read.
    pub rows_read: u64,
    /// Bytes of the files that were read.
    pub bytes_read: u64,
    /// Rows written.
    pub rows_written: u64,
    /// Bytes of the files that were written.
    pub bytes_written: u64,
}

/// Reads how far tables are, again and again.
#[derive(Debug)]
pub struct StatusReader {
    pipeline: Arc<Pipeline>,
    /// By table, of both steps.
    counted: HashMap<String, [Counted; 2]>,
    /// By table and plan: listing a snapshot takes long, so a watch lists it once.
    arrived: HashMap<(String, String), Vec<Warning>>,
}

/// Tasks of a step whose summaries were read.
#[derive(Debug, Default)]
struct Counted {
    plan: String,
    groups: BTreeSet<usize>,
    sums: Sums,
}

impl StatusReader {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(pipeline: &Arc<Pipeline>) -> Self {
        Self { pipeline: Arc::clone(pipeline), counted: HashMap::new(), arrived: HashMap::new() }
    }

    /// How far every table is now, with sums.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn read(&mut self) -> Result<Vec<TableStatus>> {
        let pipeline = Arc::clone(&self.pipeline);
        let mut looked = read_tables(pipeline.project().lakes.iter().map(|lake| pipeline.look(lake))).await?;
        let key = |looked: &InspectedTable| Some((looked.status.table.clone(), looked.planned.as_ref()?.1.id.clone()));
        let new: Vec<&InspectedTable> =
            looked.iter().filter(|looked| key(looked).is_some_and(|key| !self.arrived.contains_key(&key))).collect();
        let arrived = pipeline.arrived(&new).await;
        self.arrived.extend(new.into_iter().filter_map(key).zip(arrived));
        for looked in &mut looked {
            looked.status.warnings = key(looked).and_then(|key| self.arrived.get(&key).cloned()).unwrap_or_default();
        }
        let summed = looked.into_iter().map(|looked| {
            let mut counted = self.counted.remove(&looked.status.table).unwrap_or_default();
            async move {
                let status = summed(looked, &mut counted).await?;
                Ok((status, counted))
            }
        });
        let (statuses, counted): (Vec<_>, Vec<_>) = read_tables(summed).await?.into_iter().unzip();
        self.counted = statuses.iter().map(|status: &TableStatus| status.table.clone()).zip(counted).collect();
        pipeline.audited(statuses).await
    }
}

/// Adds the sums of both steps; of tasks that were counted before, no summary is read.
async fn summed(looked: InspectedTable, [staged_before, published_before]: &mut [Counted; 2]) -> Result<TableStatus> {
    let InspectedTable { ledger, planned, staged, published, proof, mut status } = looked;
    let Some((_, PlanDetails { id: plan, .. })) = planned else { return Ok(status) };
    if let Some(validation) = proof {
        (status.stage.sums, status.publish.sums) = of_validation(&validation);
        return Ok(status);
    }
    let problems = &mut status.problems;
    let (stage, publish) = (Step::StagingFileGroups, Step::DatalakeFileGroups);
    status.stage.sums = Some(staged_before.sums(&ledger, stage, &plan, &staged, problems).await?);
    status.publish.sums = Some(published_before.sums(&ledger, publish, &plan, &published, problems).await?);
    Ok(status)
}

impl Counted {
    /// Adds the tasks that are done since.
    async fn sums(
        &mut self,
        ledger: &Ledger,
        step: Step,
        plan: &str,
        done: &BTreeSet<usize>,
        problems: &mut Vec<String>,
    ) -> Result<Sums> {
        if self.plan != plan || !self.groups.is_subset(done) {
            *self = Self { plan: plan.to_owned(), ..Self::default() };
        }
        let new: Vec<usize> = done.difference(&self.groups).copied().collect();
        let mut heads = std::pin::pin!(ledger.heads::<TaskDetails>(step, new));
        while let Some(head) = heads.next().await {
            let Some((number, head, details)) = unless_damaged(problems, head)? else { continue };
            self.groups.insert(number);
            self.sums.rows_read += details.rows_read;
            self.sums.bytes_read += details.bytes_read;
            self.sums.rows_written += details.rows_written;
            self.sums.bytes_written += head.size;
        }
        Ok(self.sums)
    }
}

/// Sums of a complete table, without reading its tasks.
fn of_validation(validation: &Validation) -> (Option<Sums>, Option<Sums>) {
    let staged = Sums {
        rows_read: validation.rows_read,
        bytes_read: validation.snapshot.bytes,
        rows_written: validation.rows_selected,
        bytes_written: validation.staging.bytes,
    };
    let published = Sums {
        rows_read: validation.rows_selected,
        bytes_read: validation.staging.bytes,
        rows_written: validation.footer_rows,
        bytes_written: validation.lake.bytes,
    };
    (Some(staged), Some(published))
}

/// A table's status without sums, and what they are made from.
pub(crate) struct InspectedTable {
    pub(crate) ledger: Ledger,
    /// Its committed plan.
    pub(super) planned: Option<(SummaryHead, PlanDetails)>,
    /// Stage tasks that are done.
    pub(crate) staged: BTreeSet<usize>,
    /// Publish tasks that are done.
    pub(crate) published: BTreeSet<usize>,
    /// Of a lake that is complete.
    proof: Option<Validation>,
    pub(crate) status: TableStatus,
}

impl Pipeline {
    /// How far every table is, without sums: no task's summary is read.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn status(&self) -> Result<Vec<TableStatus>> {
        let all = read_tables(self.project.lakes.iter().map(|lake| self.look(lake))).await?;
        let arrived = self.arrived(&all.iter().collect::<Vec<_>>()).await;
        let all = all.into_iter().zip(arrived);
        self.audited(all.map(|(looked, warnings)| TableStatus { warnings, ..looked.status }).collect()).await
    }

    /// Adds the state of the audits.
    async fn audited(&self, mut statuses: Vec<TableStatus>) -> Result<Vec<TableStatus>> {
        let mut audits = audit::statuses(&self.engine, &self.project).await?;
        for status in &mut statuses {
            status.audits = audits.remove(&status.table).unwrap_or_default();
        }
        Ok(statuses)
    }

    /// How far a table is, with the numbers of the tasks that are done.
    pub(crate) async fn look(&self, lake: &LakeTable) -> Result<InspectedTable> {
        let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
        let status = TableStatus {
            table: lake.name.clone(),
            location: ledger.layout().lake().to_string(),
            planned_at: None,
            stage: StepStatus::default(),
            publish: StepStatus::default(),
            audits: Vec::new(),
            complete: false,
            left_out: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let head = ledger.head::<PlanDetails>(&ledger.layout().snapshot_manifest()).await;
        let nothing = BTreeSet::new;
        let mut looked =
            InspectedTable { ledger, planned: None, staged: nothing(), published: nothing(), proof: None, status };
        let Some((head, details)) = looked.status.unless_damaged(head)?.flatten() else { return Ok(looked) };
        let ledger = &looked.ledger;
        let seen = ledger.look(Step::StagingFileGroups).await?;
        looked.status.stage = step_status(ledger, Step::StagingFileGroups, &details.id, &seen).await;
        looked.status.stage.total = Some(details.groups);
        looked.staged = seen.done;
        let seen = published(ledger).await;
        if let Some((total, seen)) = looked.status.unless_damaged(seen)?.flatten() {
            looked.status.publish = step_status(ledger, Step::DatalakeFileGroups, &details.id, &seen).await;
            looked.status.publish.total = Some(total);
            looked.published = seen.done;
        }
        looked.proof = self.proof(ledger, lake, &details, &mut looked.status.problems).await?;
        looked.status.complete = looked.proof.is_some();
        let sources = std::iter::once(&details.driving).chain(details.whole.iter().map(|(source, _)| source));
        let left_out = sources.map(|source| (source.table.clone(), source.coverage.left_out.clone()));
        looked.status.left_out = left_out.collect();
        looked.status.planned_at = Some(details.planned_at.clone());
        looked.planned = Some((head, details));
        Ok(looked)
    }
}

impl TableStatus {
    /// Keeps word of a manifest or folder that cannot be used: the rest is reported all the same.
    fn unless_damaged<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        unless_damaged(&mut self.problems, result)
    }
}

fn unless_damaged<T>(problems: &mut Vec<String>, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Error::Damaged { .. } | Error::PlanChanged { .. } | Error::LocationOwned { .. })) => {
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            problems.push(format!("{error}{help}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Pipeline {
    /// The proof of a lake that is marked as complete and is what was proven.
    async fn proof(
        &self,
        ledger: &Ledger,
        lake: &LakeTable,
        plan: &PlanDetails,
        problems: &mut Vec<String>,
    ) -> Result<Option<Validation>> {
        if unless_damaged(problems, self.check_place_of(ledger, lake, plan).await)?.is_none() {
            return Ok(None);
        }
        let folder = HiveLake::open(self.engine.stores(), ledger.layout()).await?;
        if !folder.is_complete().await? {
            return Ok(None);
        }
        let proof = self.last_proof(&folder, ledger, &plan.id).await?;
        if proof.is_none() {
            problems.push(format!(
                "{} has _SUCCESS, but its files are not the validated files; run `snaplake validate` to see the \
                 differences",
                ledger.layout().lake()
            ));
        }
        Ok(proof)
    }
}

/// A step without its total and sums.
async fn step_status(ledger: &Ledger, step: Step, plan: &str, seen: &SummaryListing) -> StepStatus {
    let mut status = StepStatus { done: seen.done.len(), ..StepStatus::default() };
    for place in seen.running.iter().take(TRACES) {
        let Some(reported) = trace::read::<RunningTasks>(ledger, place).await else { continue };
        if reported.plan != plan {
            continue;
        }
        let is_alive = reported.is_alive(Utc::now());
        let tasks = reported.tasks.into_iter().filter(|task| !seen.done.contains(&task.group));
        status.running.extend(tasks.map(|task| RunningStatus {
            group: task.group,
            started_at: task.started_at,
            seen_at: reported.at.clone(),
            is_alive,
            rows: task.rows,
        }));
    }
    status.running.sort_by_key(|task| task.group);
    for &group in seen.failed.iter().take(TRACES) {
        let failure = trace::read::<Failure>(ledger, &ledger.layout().failed(step, group)).await;
        status.failures.extend(failure.filter(|failure| failure.plan == plan));
    }
    status.failed = status.failures.len() + seen.failed.len().saturating_sub(TRACES);
    status
}

/// Publish tasks planned, and what is seen of them; `None` if they are not planned yet.
pub(super) async fn published(ledger: &Ledger) -> Result<Option<(usize, SummaryListing)>> {
    let first = ledger.layout().manifest(Step::PartitionFileGroups, 1);
    let Some((_, first)) = ledger.head::<PartitionDetails>(&first).await? else { return Ok(None) };
    Ok(Some((first.groups, ledger.look(Step::DatalakeFileGroups).await?)))
}
