//! Drops whole snapshots of tables: lake, staging files and manifests.
//!
//! ```text
//! rule          keep 2          older than 30 days, on March 15      named
//! 03-14  staged    |               |
//! 03-13  complete  | kept          | kept                             refused: the newest that readers have
//! 03-12  complete  | kept          | kept                             dropped, if it is the name
//! 03-11  staged    | dropped       | kept
//! 01-31  complete  | dropped       | dropped
//! ```
//!
//! Never dropped: the newest complete snapshot, and, unless it is named, any newer one; one that a process is working
//! on; one whose folder says that it is of another table or snapshot, is a link, or holds somebody's folder; a table
//! with `external_location`, whose snapshots share a folder. Exports of running databases, and merges of exports, are
//! not removed. A crash leaves a snapshot that is not complete, which the same rule drops.

mod choose;
mod erase;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use self::choose::ExpireRule;
use self::choose::{KnownSnapshot, choose};
use self::erase::{FolderSize, erase, refuse, size};
use super::event::Event;
use super::run::Pipeline;
use crate::concurrency::read_tables;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::manifest::Ledger;
use crate::staging::plan::{self, PlanDetails};

/// A snapshot of a table that may be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiredSnapshot {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// RFC 3339, UTC.
    pub snapshot_time: String,
    /// Whether its lake is published and proven.
    pub is_complete: bool,
    /// Files of lake, staging and manifests.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lake location.
    pub location: String,
}

/// The snapshots that a rule drops, by table, the oldest first. Nothing is changed.
///
/// # Errors
/// [`Error::NewestSnapshot`] and [`Error::NoSuchSnapshot`] for a name; [`Error::RunGoesOn`], [`Error::LocationOwned`],
/// [`Error::LocationHolds`]; those of the ledger.
pub async fn find(pipeline: &Pipeline, rule: &ExpireRule) -> Result<Vec<ExpiredSnapshot>> {
    let (mut found, mut is_known) = (Vec::new(), false);
    for lake in &pipeline.project().lakes {
        let all = candidates(pipeline, lake).await?;
        is_known |= matches!(rule, ExpireRule::Named(time) if all.iter().any(|one| one.time == *time));
        let chosen = choose(rule, &all, Utc::now())
            .map_err(|newest| Error::NewestSnapshot { table: lake.name.clone(), snapshot_time: newest.time.clone() })?;
        if lake.external_location.is_some() && !chosen.is_empty() {
            let problem = "no snapshot was dropped, because all of them share the folder of external_location";
            pipeline.tell(&Event::Warned { table: &lake.name, problem, advice: "remove their files yourself" });
            continue;
        }
        found.extend(read_tables(chosen.into_iter().map(|one| expired(pipeline, lake, one))).await?);
    }
    match rule {
        ExpireRule::Named(snapshot_time) if !is_known => {
            Err(Error::NoSuchSnapshot { snapshot_time: snapshot_time.clone() })
        }
        _ => Ok(found),
    }
}

/// Drops what [`find`] found, as far as the rule still says so; gives what was dropped.
///
/// # Errors
/// As [`find`]; [`Error::Store`], [`Error::Io`].
pub async fn remove(pipeline: &Pipeline, rule: &ExpireRule, found: &[ExpiredSnapshot]) -> Result<Vec<ExpiredSnapshot>> {
    let known: HashSet<(&str, &str)> =
        found.iter().map(|one| (one.table.as_str(), one.snapshot_time.as_str())).collect();
    let mut expired = find(pipeline, rule).await?;
    expired.retain(|one| known.contains(&(one.table.as_str(), one.snapshot_time.as_str())));
    for one in &expired {
        let lake = pipeline.lake(&one.table)?;
        erase(pipeline, lake, &at(pipeline, lake, &one.snapshot_time).await?, &one.snapshot_time).await?;
        tracing::info!(table = one.table, snapshot = one.snapshot_time, files = one.files, "dropped");
    }
    Ok(expired)
}

/// The ledger of a snapshot of the table.
async fn at(pipeline: &Pipeline, lake: &LakeTable, time: &str) -> Result<Ledger> {
    let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
    Ok(ledger.beside(pipeline.project().layout_at(lake, time)))
}

/// All snapshots of a table, the oldest first.
async fn candidates(pipeline: &Pipeline, lake: &LakeTable) -> Result<Vec<KnownSnapshot>> {
    let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
    let times = ledger.snapshot_times().await?.into_iter();
    read_tables(times.map(|time| {
        let ledger = ledger.beside(pipeline.project().layout_at(lake, &time));
        async move {
            let Ok(taken_at) = DateTime::parse_from_rfc3339(&time) else { return Ok(None) };
            let is_complete = match ledger.head::<PlanDetails>(&ledger.layout().snapshot_manifest()).await {
                Ok(Some((_, plan))) => pipeline.stands(&ledger, &plan.id).await?.is_some(),
                Ok(None) | Err(Error::Damaged { .. }) => false,
                Err(error) => return Err(error),
            };
            Ok(Some(KnownSnapshot { time, taken_at: taken_at.to_utc(), is_complete }))
        }
    }))
    .await
    .map(|all| all.into_iter().flatten().collect())
}

async fn expired(pipeline: &Pipeline, lake: &LakeTable, one: &KnownSnapshot) -> Result<ExpiredSnapshot> {
    let ledger = at(pipeline, lake, &one.time).await?;
    refuse(pipeline, lake, &ledger, &one.time).await?;
    let FolderSize { files, bytes } = size(pipeline, &ledger).await?;
    Ok(ExpiredSnapshot {
        table: lake.name.clone(),
        snapshot_time: one.time.clone(),
        is_complete: one.is_complete,
        files,
        bytes,
        location: ledger.layout().lake().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::in_memory::{Job, TABLE};

    const TIMES: [&str; 3] = ["2026-01-29T00:00:00Z", "2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z"];

    /// Three nights, published; the job is that of the last.
    async fn nights() -> Job {
        let last = Job::new(TABLE);
        last.put("export/1.csv", "id,k,v\n1,a,x\n2,b,y\n").await;
        for time in TIMES {
            last.again(TABLE, time).pipeline.run().await.unwrap();
        }
        last
    }

    fn times(found: &[ExpiredSnapshot]) -> Vec<&str> {
        found.iter().map(|one| one.snapshot_time.as_str()).collect()
    }

    async fn found(job: &Job, rule: &ExpireRule) -> Vec<String> {
        find(&job.pipeline, rule).await.unwrap().into_iter().map(|one| one.snapshot_time).collect()
    }

    #[tokio::test]
    async fn snapshots_beyond_those_to_keep_are_dropped_with_all_files_and_the_others_keep_theirs() {
        let job = nights().await;
        let rule = ExpireRule::Keep(1);
        let old: Vec<String> = job.keys("").await.into_iter().filter(|key| !key.contains(TIMES[2])).collect();
        let all = find(&job.pipeline, &rule).await.unwrap();
        assert_eq!(times(&all), TIMES[..2]);
        // But for the export.
        assert_eq!(all.iter().map(|one| one.files).sum::<u64>(), old.len() as u64 - 1);
        assert!(all.iter().all(|one| one.is_complete && one.bytes > 0));
        let before = job.keys(TIMES[2]).await;
        let dropped = remove(&job.pipeline, &rule, &all[..1]).await.unwrap();
        assert_eq!(times(&dropped), TIMES[..1], "only what was shown");
        assert_eq!(times(&remove(&job.pipeline, &rule, &all).await.unwrap()), TIMES[1..2]);
        let mut left = before.clone();
        left.insert(0, "export/1.csv".to_owned());
        assert_eq!(job.keys("").await, left);
        assert_eq!(found(&job, &rule).await, [""; 0]);
    }

    #[tokio::test]
    async fn newest_complete_snapshot_is_refused_by_name_and_a_name_of_none_is_an_error() {
        let job = nights().await;
        let named = |time: &str| ExpireRule::Named(time.to_owned());
        let error = find(&job.pipeline, &named(TIMES[2])).await.unwrap_err();
        assert!(matches!(&error, Error::NewestSnapshot { table, .. } if table == "t"), "{error:?}");
        let error = find(&job.pipeline, &named("2026-01-01T00:00:00Z")).await.unwrap_err();
        assert!(matches!(error, Error::NoSuchSnapshot { .. }), "{error:?}");
        assert_eq!(found(&job, &named(TIMES[1])).await, TIMES[1..2]);
    }

    #[tokio::test]
    async fn damaged_newest_lake_does_not_count_and_the_one_before_is_kept() {
        let job = nights().await;
        job.delete(&job.lake_files().await.pop().unwrap()).await;
        assert_eq!(found(&job, &ExpireRule::Keep(1)).await, TIMES[..1]);
        assert_eq!(found(&job, &ExpireRule::OlderThan(Duration::ZERO)).await, TIMES[..1]);
    }

    #[tokio::test]
    async fn each_half_of_a_drop_is_dropped_again_to_its_end() {
        // Of any one file that a crash left.
        let whole = nights().await;
        let of_first = whole.keys(TIMES[0]).await;
        for left in of_first.iter().filter(|key| key.starts_with("staging/")) {
            let job = nights().await;
            for key in &of_first {
                if key != left {
                    job.delete(key).await;
                }
            }
            let rule = ExpireRule::Keep(2);
            match find(&job.pipeline, &rule).await {
                Ok(all) => assert_eq!(times(&remove(&job.pipeline, &rule, &all).await.unwrap()), TIMES[..1], "{left}"),
                Err(error) => panic!("{left}: {error:?}"),
            }
            assert_eq!(job.keys(TIMES[0]).await, [""; 0], "{left}");
        }
    }

    #[tokio::test]
    async fn folder_that_is_a_copy_of_another_snapshot_is_refused() {
        let job = nights().await;
        let copied = job.keys(&format!("staging/d/t/snapshot={}", TIMES[1])).await;
        for key in copied {
            let bytes = job.bytes(&key).await;
            job.put(&key.replace(TIMES[1], "2026-01-02T00:00:00Z"), bytes).await;
        }
        let error = find(&job.pipeline, &ExpireRule::Keep(3)).await.unwrap_err();
        assert!(matches!(&error, Error::LocationOwned { owner, .. } if owner.contains(TIMES[1])), "{error:?}");
    }

    #[tokio::test]
    async fn file_of_somebody_else_in_the_lake_stays() {
        let job = nights().await;
        let lake = job.lake_files().await.remove(0);
        let theirs = format!("{}/part-0.parquet", lake.rsplit_once('/').unwrap().0);
        job.put(&theirs, "theirs").await;
        let rule = ExpireRule::Named(TIMES[0].to_owned());
        let all = find(&job.pipeline, &rule).await.unwrap();
        remove(&job.pipeline, &rule, &all).await.unwrap();
        assert_eq!(job.keys(TIMES[0]).await, [theirs]);
    }
}
