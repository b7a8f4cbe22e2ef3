//! Plans tables anew, and gives up what was staged of their old plans; if asked to, also what is published of them.
//!
//! ```text
//! all tables:      refuse if anything is published and may not be taken back
//!                  -> make the new plans, so that a mistake costs nothing
//! each table:      take back what is published: _SUCCESS first, then the publish manifests. Its files are then what
//!                  unfinished publish tasks left
//!                  -> remove what unfinished publish tasks left in the lake
//!                  -> revoke the partition file groups, the first one (their commit) first -> revoke the stage tasks
//!                  -> revoke the old plan -> commit the new one
//! ```
//!
//! A crash in between leaves the old plan with less of it done, no plan, or the new plan: any run goes on from each of
//! them, and given again this does the rest. From the removal of `_SUCCESS` on readers who wait for it see no lake. The
//! files of the old plan in staging are garbage then, for `clean`. In the lake only files are removed that its publish
//! manifests list or whose names the old plan gives; of an unfinished lake also those of other plans, if its owner is
//! this table. A lake whose place another one has taken, or in which another one lies, is refused before anything is
//! changed. Refused as well while another process says that it works on the old plan; one that sleeps meanwhile commits
//! nothing when it wakes up.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;

use super::Pipeline;
use super::clean::{Unnamed, check_lake, clear_lake, remove_published};
use crate::concurrency::{read_tables, write_tables};
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::{Location, Step};
use crate::manifest::ledger::TaskPlan;
use crate::manifest::{Ledger, trace};
use crate::staging::plan::{self, Planner, StagePlan};

/// What becomes of tables that are published, wholly or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedTables {
    /// They are a reason to refuse.
    Keep,
    /// They are taken back.
    Withdraw,
}

/// Replaces the plans of all tables of the project by new ones.
///
/// # Errors
/// [`Error::AlreadyPublished`], [`Error::PublishedElsewhere`], [`Error::ForeignFiles`] and [`Error::LocationHolds`],
/// before anything is changed; those of planning, also before; those of the ledger.
pub async fn replan(pipeline: &Pipeline, published: PublishedTables) -> Result<()> {
    let (engine, project) = (pipeline.engine(), pipeline.project());
    let withdrawn = read_tables(project.lakes.iter().map(|lake| async move {
        let ledger = plan::ledger(engine, project, lake).await?;
        let done = ledger.done(Step::DatalakeFileGroups).await?;
        if !done.is_empty() && published == PublishedTables::Keep {
            let location = ledger.layout().lake().to_string();
            return Err(Error::AlreadyPublished { table: lake.name.clone(), done: done.len(), location });
        }
        trace::refuse_running(&ledger, &lake.name).await?;
        Withdrawn::check(pipeline, &ledger, lake, done).await
    }))
    .await?;
    let planner = Planner::new(engine, project);
    let plans = read_tables(project.lakes.iter().map(|lake| planner.plan_anew(lake))).await?;
    let tables = plans.into_iter().zip(withdrawn);
    write_tables(tables.map(|(plan, withdrawn)| replace(pipeline, plan, published, withdrawn))).await.map(drop)
}

/// Plans one table anew of which nothing is published, and gives up what is staged of it.
///
/// # Errors
/// As [`replan`].
pub(crate) async fn plan_again(pipeline: &Pipeline, lake: &LakeTable) -> Result<()> {
    let plan = Planner::new(pipeline.engine(), pipeline.project()).plan_anew(lake).await?;
    replace(pipeline, plan, PublishedTables::Keep, Withdrawn::default()).await
}

/// What is taken back of a lake.
#[derive(Default)]
struct Withdrawn {
    /// Publish tasks.
    done: BTreeSet<usize>,
    unnamed: Unnamed,
}

impl Withdrawn {
    /// Refuses a lake that cannot be taken back.
    async fn check(pipeline: &Pipeline, ledger: &Ledger, lake: &LakeTable, done: BTreeSet<usize>) -> Result<Self> {
        if done.is_empty() {
            return Ok(Self::default());
        }
        let published = published_files(ledger, lake, done.iter().copied()).await?;
        Ok(Self { done, unnamed: check_lake(pipeline, ledger, &lake.name, published).await? })
    }
}

async fn replace(
    pipeline: &Pipeline,
    plan: StagePlan,
    published: PublishedTables,
    mut withdrawn: Withdrawn,
) -> Result<()> {
    let withdraw = published == PublishedTables::Withdraw;
    // Before each step: another run may have done all this meanwhile, and its work is not to be given up.
    let check = || plan.ledger.check_stamp(&plan.lake.name, &plan.stamp);
    check().await?;
    if withdraw && let Some(table) = pipeline.versions(&plan.lake, plan.ledger.layout()).await? {
        table.forget(&plan.details.snapshot_time).await?;
    }
    if plan.replaces {
        tracing::info!(table = plan.lake.name, "giving up the old plan");
        let done = plan.ledger.done(Step::DatalakeFileGroups).await?;
        if !done.is_empty() && !withdraw {
            // Another run has published since it was looked up.
            let (table, location) = (plan.lake.name.clone(), plan.ledger.layout().lake().to_string());
            return Err(Error::AlreadyPublished { table, done: done.len(), location });
        }
        if !done.is_empty() {
            if done != withdrawn.done {
                withdrawn = Withdrawn::check(pipeline, &plan.ledger, &plan.lake, done).await?;
            }
            let folder = HiveLake::open(pipeline.engine().stores(), plan.ledger.layout()).await?;
            folder.withdraw().await?;
            if withdrawn.unnamed.has_strays {
                // So that files which only damaged manifests named are known as this table's, also after a crash.
                folder.claim_again(&plan::owner_of_staging(pipeline.project(), &plan.lake)).await?;
            }
            check().await?;
            remove_published(pipeline, &plan.ledger, &withdrawn.unnamed.files).await?;
            plan.ledger.revoke_all(Step::DatalakeFileGroups).await?;
            check().await?;
        }
        clear_lake(pipeline, &plan.lake, withdraw).await?;
        for step in [Step::PartitionFileGroups, Step::StagingFileGroups] {
            check().await?;
            plan.ledger.revoke_all(step).await?;
        }
    } else if withdraw {
        // Its staging folder is lost.
        clear_lake(pipeline, &plan.lake, true).await?;
    }
    plan::commit(plan).await.map(drop)
}

/// The published files of a table, all of which lie where the config says: elsewhere they would be left behind.
async fn published_files(
    ledger: &Ledger,
    lake: &LakeTable,
    done: impl IntoIterator<Item = usize>,
) -> Result<HashSet<Arc<str>>> {
    let (location, mut published) = (ledger.layout().lake(), HashSet::new());
    let mut manifests = pin!(ledger.read_all::<TaskPlan>(Step::DatalakeFileGroups, done));
    while let Some(manifest) = manifests.next().await {
        let manifest = match manifest {
            Ok((_, manifest)) => manifest,
            // The plan knows the names of its files.
            Err(Error::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        };
        for file in manifest.into_iter().flat_map(|manifest| manifest.files) {
            if !location.holds(&Location::from_uri(&file.uri)?) {
                let (table, location) = (lake.name.clone(), location.to_string());
                return Err(Error::PublishedElsewhere { table, uri: file.uri.to_string(), location });
            }
            published.insert(file.uri);
        }
    }
    Ok(published)
}
