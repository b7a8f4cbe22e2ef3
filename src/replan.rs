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
//! files of the old plan in staging are garbage then, for `clean`. In the lake only files are removed whose names the
//! old plan gives, or, where the lake is taken back and its folder is of this table and snapshot, any plan. Refused while
//! another process says that it works on the old plan; one that sleeps meanwhile commits nothing when it wakes up.

use std::pin::pin;

use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::clean::clear_lake;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::{Location, Step};
use crate::manifest::{Ledger, trace};
use crate::pipeline::Pipeline;
use crate::spread::{read_tables, write_tables};
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
/// [`Error::AlreadyPublished`] and [`Error::PublishedElsewhere`], before anything is changed; those of planning, also
/// before; those of the ledger.
pub async fn replan(pipeline: &Pipeline, published: PublishedTables) -> Result<()> {
    let (engine, project) = (pipeline.engine(), pipeline.project());
    read_tables(project.lakes.iter().map(|lake| async move {
        let ledger = plan::ledger(engine, project, lake).await?;
        let done = ledger.done(Step::DatalakeFileGroups).await?;
        if !done.is_empty() && published == PublishedTables::Keep {
            let location = ledger.layout().lake().to_string();
            return Err(Error::AlreadyPublished { table: lake.name.clone(), done: done.len(), location });
        }
        trace::refuse_running(&ledger, &lake.name).await?;
        check_place(&ledger, lake, done).await
    }))
    .await?;
    let planner = Planner::new(engine, project);
    let plans = read_tables(project.lakes.iter().map(|lake| planner.plan_anew(lake))).await?;
    write_tables(plans.into_iter().map(|plan| replace(pipeline, plan, published))).await.map(drop)
}

/// Plans one table anew of which nothing is published, and gives up what is staged of it.
///
/// # Errors
/// As [`replan`].
pub(crate) async fn plan_again(pipeline: &Pipeline, lake: &LakeTable) -> Result<()> {
    let plan = Planner::new(pipeline.engine(), pipeline.project()).plan_anew(lake).await?;
    replace(pipeline, plan, PublishedTables::Keep).await
}

async fn replace(pipeline: &Pipeline, plan: StagePlan, published: PublishedTables) -> Result<()> {
    let withdraw = published == PublishedTables::Withdraw;
    // Before each step: another run may have done all this meanwhile, and its work is not to be given up.
    let check = || plan.ledger.check_stamp(&plan.lake.name, &plan.stamp);
    check().await?;
    if plan.replaces {
        tracing::info!(table = plan.lake.name, "giving up the old plan");
        if withdraw {
            HiveLake::open(pipeline.engine().stores(), plan.ledger.layout()).await?.withdraw().await?;
            check().await?;
            plan.ledger.revoke_all(Step::DatalakeFileGroups).await?;
            check().await?;
        }
        let done = plan.ledger.done(Step::DatalakeFileGroups).await?.len();
        if done > 0 {
            // Another run has published since it was looked up.
            let (table, location) = (plan.lake.name.clone(), plan.ledger.layout().lake().to_string());
            return Err(Error::AlreadyPublished { table, done, location });
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

/// Whether all published files lie where the config says: elsewhere they would be left behind.
async fn check_place(ledger: &Ledger, lake: &LakeTable, done: impl IntoIterator<Item = usize>) -> Result<()> {
    /// Details are of no interest here.
    #[derive(Debug, Serialize, Deserialize)]
    struct Anything {}
    let location = ledger.layout().lake();
    let mut manifests = pin!(ledger.read_all::<Anything>(Step::DatalakeFileGroups, done));
    while let Some(manifest) = manifests.next().await {
        let manifest = match manifest {
            Ok((_, manifest)) => manifest,
            // Its files are known by their folder's owner alone.
            Err(Error::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        };
        for file in manifest.into_iter().flat_map(|manifest| manifest.files) {
            if !location.holds(&Location::from_uri(&file.uri)?) {
                let (table, location) = (lake.name.clone(), location.to_string());
                return Err(Error::PublishedElsewhere { table, uri: file.uri.to_string(), location });
            }
        }
    }
    Ok(())
}
