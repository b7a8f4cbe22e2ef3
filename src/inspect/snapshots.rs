//! The snapshots of a lake table: their times, how far each is, and what is published of it. Read-only.
//!
//! A snapshot is known by its folder in the staging location: one whose staging folder was removed is not listed,
//! though its lake may be there. What it holds is what its last validation proved. Cost: one LIST per table, and at
//! most seven requests per snapshot.

use serde::Serialize;

use super::status::published;
use crate::concurrency::read_tables;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::Step;
use crate::manifest::Ledger;
use crate::pipeline::Pipeline;
use crate::staging::plan::{self, PlanDetails};

/// How far a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SnapshotState {
    /// No plan is committed; a report shows the plan that a run would make.
    NotPlanned,
    /// Not all stage tasks are done.
    Staging,
    /// All are, but not all publish tasks.
    Staged,
    /// All are, but the lake is not proven.
    Published,
    /// The lake is published and proven.
    Complete,
}

/// One snapshot of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SnapshotView {
    /// Name of the lake table, without `lake.`.
    pub(crate) table: String,
    /// RFC 3339, UTC.
    pub(crate) snapshot_time: String,
    /// `None` when its manifests cannot be read.
    pub(crate) state: Option<SnapshotState>,
    /// When its plan was committed, RFC 3339.
    pub(crate) planned_at: Option<String>,
    /// When `_SUCCESS` was written, RFC 3339.
    pub(crate) completed_at: Option<String>,
    /// Number of its version, in formats that have versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    /// Of the lake, as proven.
    pub(crate) files: Option<u64>,
    /// Of the lake, as proven.
    pub(crate) rows: Option<u64>,
    /// Of the lake, as proven.
    pub(crate) bytes: Option<u64>,
    /// Lake location.
    pub(crate) location: String,
    /// Whether it is the snapshot of the config.
    pub(crate) is_current: bool,
    /// Why its manifests cannot be read.
    pub(crate) problem: Option<String>,
}

/// All snapshots of the chosen tables, by table, the newest first.
///
/// # Errors
/// [`Error::Store`]; a damaged manifest is the problem of its snapshot.
pub(crate) async fn snapshots(pipeline: &Pipeline) -> Result<Vec<SnapshotView>> {
    let mut all = Vec::new();
    for lake in &pipeline.project().lakes {
        let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
        let times = ledger.snapshot_times().await?.into_iter().rev();
        let mut views = read_tables(times.map(|time| snapshot(pipeline, lake, &ledger, time))).await?;
        if let Some(table) = pipeline.versions(lake, ledger.layout()).await? {
            let versions = table.times().await?;
            views.iter_mut().for_each(|view| view.version = versions.get(&view.snapshot_time).copied());
        }
        all.extend(views);
    }
    Ok(all)
}

async fn snapshot(pipeline: &Pipeline, lake: &LakeTable, ledger: &Ledger, time: String) -> Result<SnapshotView> {
    let ledger = ledger.beside(pipeline.project().layout_at(lake, &time));
    let mut view = SnapshotView {
        table: lake.name.clone(),
        is_current: time == pipeline.project().settings.snapshot_time,
        snapshot_time: time,
        state: Some(SnapshotState::NotPlanned),
        planned_at: None,
        completed_at: None,
        version: None,
        files: None,
        rows: None,
        bytes: None,
        location: ledger.layout().lake().to_string(),
        problem: None,
    };
    match fill(&mut view, pipeline, &ledger).await {
        Ok(state) => view.state = Some(state),
        Err(error @ Error::Damaged { .. }) => (view.state, view.problem) = (None, Some(error.to_string())),
        Err(error) => return Err(error),
    }
    Ok(view)
}

async fn fill(view: &mut SnapshotView, pipeline: &Pipeline, ledger: &Ledger) -> Result<SnapshotState> {
    let head = ledger.head::<PlanDetails>(&ledger.layout().snapshot_manifest()).await?;
    let Some((_, details)) = head else { return Ok(SnapshotState::NotPlanned) };
    view.planned_at = Some(details.planned_at);
    if ledger.done(Step::StagingFileGroups).await?.len() < details.groups {
        return Ok(SnapshotState::Staging);
    }
    if published(ledger).await?.is_none_or(|(groups, seen)| seen.done.len() < groups) {
        return Ok(SnapshotState::Staged);
    }
    let folder = HiveLake::open(pipeline.engine().stores(), ledger.layout()).await?;
    let Some(completed_at) = folder.completed_at().await? else { return Ok(SnapshotState::Published) };
    let Some(proof) = pipeline.last_proof(&folder, ledger, &details.id).await? else {
        return Ok(SnapshotState::Published);
    };
    view.completed_at = Some(completed_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    (view.files, view.rows, view.bytes) = (Some(proof.lake.files), Some(proof.footer_rows), Some(proof.lake.bytes));
    Ok(SnapshotState::Complete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::in_memory::{Job, TABLE};

    type Told = (String, Option<SnapshotState>, Option<u64>);

    async fn told(job: &Job) -> Vec<Told> {
        let all = snapshots(&job.pipeline).await.unwrap().into_iter();
        all.map(|view| (view.snapshot_time, view.state, view.rows)).collect()
    }

    fn told_of(day: &str, state: Option<SnapshotState>, rows: Option<u64>) -> Told {
        (format!("2026-{day}T00:00:00Z"), state, rows)
    }

    #[tokio::test]
    async fn each_snapshot_is_as_far_as_its_own_manifests_say_the_newest_first() {
        let january = Job::published().await;
        let february = january.again(TABLE, "2026-02-28T00:00:00Z");
        february.pipeline.stage().await.unwrap();
        let complete = told_of("01-31", Some(SnapshotState::Complete), Some(3));
        let staged = told_of("02-28", Some(SnapshotState::Staged), None);
        // The config's own snapshot makes no difference.
        assert_eq!(told(&january).await, [staged.clone(), complete.clone()]);
        let march = january.again(TABLE, "2026-03-31T00:00:00Z");
        assert_eq!(told(&march).await, [staged, complete.clone()]);
        let views = snapshots(&february.pipeline).await.unwrap();
        assert_eq!(views.iter().map(|view| view.is_current).collect::<Vec<_>>(), [true, false]);
        february.pipeline.run().await.unwrap();
        assert_eq!(told(&march).await, [told_of("02-28", Some(SnapshotState::Complete), Some(3)), complete]);
    }

    #[tokio::test]
    async fn lake_whose_files_changed_is_not_complete_and_a_damaged_plan_is_a_problem_of_its_snapshot() {
        let job = Job::published().await;
        let first = job.lake_files().await.remove(0);
        job.delete(&first).await;
        assert_eq!(told(&job).await, [told_of("01-31", Some(SnapshotState::Published), None)]);
        job.put("staging/d/t/snapshot=2026-01-31T00:00:00Z/manifests/manifest-summary.json", "{").await;
        let view = snapshots(&job.pipeline).await.unwrap().remove(0);
        assert_eq!((view.state, view.problem.is_some()), (None, true), "{view:?}");
    }

    #[tokio::test]
    async fn table_without_snapshots_has_none() {
        assert_eq!(told(&Job::new(TABLE)).await, []);
    }
}
