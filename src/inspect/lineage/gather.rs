//! Reads the manifests of all tables, each once.
//!
//! Of a table whose plan is not committed only the plan is reported, made anew without writing it: it lists the
//! snapshot files, which no manifest holds yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use datafusion::arrow::datatypes::{FieldRef, Schema};

use super::distinct;
use super::model::{
    File, Hops, LakeSample, Lineage, LineageColumn, LineagePartition, LineageSource, LineageTask, SourceColumn,
    TableLineage, VERSION,
};
use crate::compaction::plan::PartitionDetails;
use crate::concurrency::read_tables;
use crate::error::Result;
use crate::error::TaskStep;
use crate::error::redact::REDACTOR;
use crate::error::unwrap_engine;
use crate::inspect::query::{Committed, FileIndex};
use crate::inspect::snapshots::SnapshotState;
use crate::inspect::{InspectedTable, StepStatus};
use crate::layout::Step;
use crate::layout::bundle::label;
use crate::layout::partition;
use crate::manifest::trace::Failure;
use crate::manifest::{Extent, FileEntry, TaskDetails};
use crate::pipeline::Pipeline;
use crate::pipeline::audit;
use crate::pipeline::validate::{Hop, Validation};
use crate::staging::plan::{Planner, StagePlan};

/// What is gathered besides what manifests say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Whether a part of each lake is read to estimate distinct values.
    pub(crate) distinct: bool,
}

/// What is known of all tables of the project.
///
/// # Errors
/// Those of planning, of the ledger, and of reading the lake for the estimate.
pub(crate) async fn gather(pipeline: &Arc<Pipeline>, options: Options) -> Result<Lineage> {
    let project = pipeline.project();
    let planner = Planner::new(pipeline.engine(), project);
    let tables = project.lakes.iter().map(|lake| async {
        let plan = planner.plan(lake).await?;
        Box::pin(of_table(pipeline, &plan, options)).await
    });
    let tables = read_tables(tables).await?;
    let settings = &project.settings;
    Ok(Lineage {
        version: VERSION,
        generated_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        snaplake: env!("CARGO_PKG_VERSION"),
        database: settings.database.clone(),
        schema: settings.schema.clone(),
        snapshot_time: settings.snapshot_time.clone(),
        tables,
        audits: audit::known(pipeline.engine(), project).await?,
    })
}

/// What a table has so far.
#[derive(Default)]
struct GatheredTable {
    staged: Committed<TaskDetails>,
    /// What publish tasks read.
    groups: Committed<PartitionDetails>,
    published: Committed<TaskDetails>,
    stage: StepStatus,
    publish: StepStatus,
    complete: bool,
    validation: Option<Validation>,
}

impl GatheredTable {
    async fn read(pipeline: &Pipeline, plan: &StagePlan) -> Result<Self> {
        if !plan.committed {
            return Ok(Self::default());
        }
        let InspectedTable { ledger, staged, published, status, .. } = pipeline.look(&plan.lake).await?;
        let total = status.publish.total.unwrap_or(0);
        let validation = ledger.read_file(&ledger.layout().validation()).await?;
        let validation = validation.and_then(|text| serde_json::from_slice::<Validation>(&text).ok());
        // The columns are those of one hop: the last complete one.
        let (of_staged, of_published) = if is_done(&status.publish) {
            (Extent::Files, Extent::Statistics)
        } else {
            (Extent::Statistics, Extent::Files)
        };
        let staged = Committed::of(&ledger, Step::StagingFileGroups, staged, of_staged).await?;
        let published = Committed::of(&ledger, Step::DatalakeFileGroups, published, of_published).await?;
        Ok(Self {
            staged,
            groups: Committed::of(&ledger, Step::PartitionFileGroups, 1..=total, Extent::Files).await?,
            published,
            stage: status.stage,
            publish: status.publish,
            complete: status.complete,
            validation: validation.filter(|validation| validation.plan == plan.details.id),
        })
    }

    fn state(&self, plan: &StagePlan) -> SnapshotState {
        match () {
            () if !plan.committed => SnapshotState::NotPlanned,
            () if self.complete => SnapshotState::Complete,
            () if is_done(&self.publish) => SnapshotState::Published,
            () if is_done(&self.stage) => SnapshotState::Staged,
            () => SnapshotState::Staging,
        }
    }
}

/// Whether all tasks of the step are done.
fn is_done(step: &StepStatus) -> bool {
    step.total == Some(step.done)
}

async fn of_table(pipeline: &Pipeline, plan: &StagePlan, options: Options) -> Result<TableLineage> {
    let mut found = GatheredTable::read(pipeline, plan).await?;
    let (columns, distinct_sample) = columns(pipeline, plan, &mut found, options).await?;
    let layout = plan.ledger.layout();
    let sorted_by = plan.lake.sorted_by.iter().map(|(key, _)| {
        let direction = if key.descending { " DESC" } else { "" };
        format!("{}{direction}", key.column)
    });
    let tasks = tasks(plan, &found);
    let rows = |of: fn(&LineageTask) -> Option<u64>| {
        let done = || tasks.iter().filter(|task| task.step == TaskStep::Stage && task.state == "done");
        done().next().map(|_| done().filter_map(of).sum())
    };
    let hops = Hops {
        snapshot: Hop::of(plan.groups.files()),
        rows_read: rows(|task| task.rows_read),
        rows_selected: rows(|task| task.rows_written),
        staging: Hop::of(&found.staged.files),
        lake: Hop::of(&found.published.files),
    };
    let snapshot_files = (1..)
        .zip(plan.groups.iter())
        .flat_map(|(group, files)| files.map(move |file| File { stage_group: Some(group), ..of_entry(file) }));
    let lake_files = found.published.files.iter().zip(&found.published.groups);
    Ok(TableLineage {
        table: plan.lake.name.clone(),
        state: found.state(plan),
        plan: plan.details.id.clone(),
        planned_at: plan.committed.then(|| plan.details.planned_at.clone()),
        staging: redacted(&layout.root().to_string()),
        location: redacted(&layout.lake().to_string()),
        select: redacted(&plan.details.select),
        partitioned_by: plan.lake.partitioned_by.iter().map(|(name, _)| name.clone()).collect(),
        sorted_by: sorted_by.collect(),
        target_file_size: plan.lake.target_file_size,
        sources: sources(pipeline, plan)?,
        hops,
        columns,
        distinct_sample,
        partitions: partitions(&found),
        snapshot_files: snapshot_files.collect(),
        staging_files: staging_files(&found),
        lake_files: lake_files.map(|(file, &group)| File { publish_group: Some(group), ..of_entry(file) }).collect(),
        tasks,
        validation: found.validation,
    })
}

fn sources(pipeline: &Pipeline, plan: &StagePlan) -> Result<Vec<LineageSource>> {
    let whole = plan.details.whole.iter().map(|(source, files)| (source, files.as_slice(), "whole"));
    let all = [(&plan.details.driving, plan.groups.files(), "driving")].into_iter().chain(whole);
    all.map(|(of, files, role)| {
        let hop = Hop::of(files);
        let snapshot = pipeline.project().snapshot(&of.table);
        let locations = snapshot.iter().flat_map(|table| &table.locations);
        Ok(LineageSource {
            table: of.table.clone(),
            role,
            locations: locations.map(|(location, _)| redacted(&location.to_string())).collect(),
            files: hop.files,
            bytes: hop.bytes,
            rows: hop.rows,
            columns: of.columns()?.iter().map(column).collect(),
            left_out: of.coverage.left_out.clone(),
            lacking: of.coverage.lacking.clone(),
            unread: of.coverage.unread.clone(),
        })
    })
    .collect()
}

/// With the task that wrote each, and the one that reads it, as far as it is planned.
fn staging_files(found: &GatheredTable) -> Vec<File> {
    let read = found.groups.files.iter().zip(&found.groups.groups);
    let publish_groups: HashMap<&str, u64> = read.map(|(file, &group)| (&*file.uri, group)).collect();
    let written = found.staged.files.iter().zip(&found.staged.groups);
    let file = |(file, &group): (&FileEntry, &u64)| File {
        stage_group: Some(group),
        publish_group: publish_groups.get(&*file.uri).copied(),
        ..of_entry(file)
    };
    written.map(file).collect()
}

fn column(field: &FieldRef) -> SourceColumn {
    SourceColumn { name: field.name().clone(), r#type: field.data_type().to_string() }
}

/// The columns in the order of the SELECT, with what is known of those of the furthest hop.
async fn columns(
    pipeline: &Pipeline,
    plan: &StagePlan,
    found: &mut GatheredTable,
    options: Options,
) -> Result<(Vec<LineageColumn>, Option<LakeSample>)> {
    let columns = plan.columns()?;
    let is_published = is_done(&found.publish);
    let from = if is_published { &mut found.published } else { &mut found.staged };
    let statistics = std::mem::take(&mut from.statistics);
    let fields = columns.file.fields().iter().chain(&columns.partition).cloned().collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let index = FileIndex::new(from.files.as_slice().into(), statistics, schema, columns.partition.clone());
    let (distinct, sample) = if options.distinct && is_published {
        let lake = (plan.lake.name.as_str(), from.files.as_slice());
        distinct::estimate(pipeline.engine(), &columns, lake).await.unwrap_or_else(|error| {
            // All else is still worth a report.
            tracing::warn!(table = plan.lake.name, %error, "left out the estimates of distinct values");
            Default::default()
        })
    } else {
        Default::default()
    };
    let columns = plan.details.columns.iter().map(|(name, kind)| {
        let range = if from.files.is_empty() { None } else { Some(index.range(name).map_err(unwrap_engine)?) };
        let range = range.unwrap_or_default();
        Ok(LineageColumn {
            name: name.clone(),
            r#type: kind.clone(),
            nulls: range.nulls,
            min: range.min,
            max: range.max,
            is_exact: range.is_exact,
            distinct: distinct.get(name).copied(),
        })
    });
    Ok((columns.collect::<Result<_>>()?, sample))
}

fn partitions(found: &GatheredTable) -> Vec<LineagePartition> {
    let mut all: BTreeMap<&str, LineagePartition> = BTreeMap::new();
    for file in &found.staged.files {
        for part in file.parts() {
            let of = all.entry(part.partition).or_default();
            of.staging_files += 1;
            of.staging_bytes += part.bytes;
            of.rows += part.rows;
        }
    }
    for file in &found.published.files {
        let of = all.entry(file.partition.path().unwrap_or_default()).or_default();
        of.lake_files += 1;
        of.lake_bytes += file.size;
    }
    let named = all.into_iter().map(|(path, of)| LineagePartition {
        partition: path.to_owned(),
        values: partition::parse_path(path).unwrap_or_default(),
        ..of
    });
    let mut partitions: Vec<LineagePartition> = named.collect();
    partitions.sort_by_key(|of| std::cmp::Reverse(of.bytes()));
    partitions
}

/// Stage tasks, then publish tasks as far as they are planned.
fn tasks(plan: &StagePlan, found: &GatheredTable) -> Vec<LineageTask> {
    let stage = (1u64..).zip(plan.groups.iter()).map(|(group, files)| {
        let task = LineageTask { step: TaskStep::Stage, group, ..reads(Hop::of(files)) };
        with_result(task, &found.staged, &found.stage)
    });
    let publish = found.groups.tasks.iter().map(|(&group, planned)| {
        let read = Hop { files: planned.files, rows: planned.rows, bytes: planned.bytes };
        let partition = Some(planned.details.partition.clone()).filter(|path| !path.is_empty());
        let task = LineageTask { step: TaskStep::Publish, group: group as u64, partition, ..reads(read) };
        with_result(task, &found.published, &found.publish)
    });
    stage.chain(publish).collect()
}

fn reads(hop: Hop) -> LineageTask {
    LineageTask {
        state: "open",
        files_read: hop.files,
        bytes_read: hop.bytes,
        rows_read: hop.rows,
        ..LineageTask::default()
    }
}

/// A planned task with what became of it.
fn with_result(task: LineageTask, done: &Committed<TaskDetails>, status: &StepStatus) -> LineageTask {
    let number = usize::try_from(task.group).unwrap_or(usize::MAX);
    if let Some(wrote) = done.tasks.get(&number) {
        return LineageTask {
            state: "done",
            started_at: Some(wrote.details.started_at.clone()),
            seconds: Some(wrote.details.seconds),
            rows_read: Some(wrote.details.rows_read),
            files_written: Some(wrote.files),
            bytes_written: Some(wrote.bytes),
            rows_written: wrote.rows,
            bytes_spilled: Some(wrote.details.bytes_spilled),
            ..task
        };
    }
    // One that runs again has failed before: both are reported.
    let running = status.running.iter().find(|running| running.group == number && running.is_alive);
    let failure = status.failures.iter().find(|failure| failure.group == number);
    LineageTask {
        state: if running.is_some() {
            "running"
        } else if failure.is_some() {
            "failed"
        } else {
            "open"
        },
        started_at: running.map(|running| running.started_at.clone()).or_else(|| failure.and_then(began)),
        seconds: if running.is_some() { None } else { failure.map(|failure| failure.seconds) },
        rows_written: running.map(|running| running.rows),
        attempts: failure.map(|failure| failure.attempt),
        error: failure.map(|failure| redacted(&failure.error)),
        ..task
    }
}

/// When the attempt began that failed.
fn began(failure: &Failure) -> Option<String> {
    let ended = DateTime::parse_from_rfc3339(&failure.at).ok()?.with_timezone(&Utc);
    let lasted = Duration::try_from_secs_f64(failure.seconds).ok()?;
    let began = ended.checked_sub_signed(TimeDelta::from_std(lasted).ok()?)?;
    Some(began.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn of_entry(file: &FileEntry) -> File {
    File {
        uri: file.uri.to_string(),
        bytes: file.size,
        rows: file.n_record,
        partition: Some(label(file.parts().map(|part| part.partition))).filter(|label| !label.is_empty()),
        stage_group: None,
        publish_group: None,
    }
}

fn redacted(text: &str) -> String {
    REDACTOR.redact(text).into_owned()
}
