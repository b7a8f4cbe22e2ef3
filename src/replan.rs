//! Plans tables anew of which nothing is published, and gives up what was staged of their old plans.
//!
//! ```text
//! all tables:      refuse if anything is published -> make the new plans, so that a mistake costs nothing
//! table by table:  remove what unfinished publish tasks left in the lake
//!                  -> revoke the partition file groups, the first one (their commit) first -> revoke the stage tasks
//!                  -> revoke the old plan -> commit the new one
//! ```
//!
//! A crash in between leaves the old plan with less of it done, no plan, or the new plan: any run goes on from each of them.
//! The files of the old plan in staging are garbage then, for `clean`. It is for one process at a time: what another run
//! still commits of the old plan is found by validation, not prevented.

use crate::clean::clear_lake;
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::pipeline::Pipeline;
use crate::staging::plan::{self, Planner};

/// Replaces the plans of all tables of the project by new ones.
///
/// # Errors
/// [`Error::AlreadyPublished`], before anything is changed; those of planning, also before; those of the ledger.
pub async fn replan(pipeline: &Pipeline) -> Result<()> {
    let (engine, project) = (pipeline.engine(), pipeline.project());
    for lake in &project.lakes {
        let ledger = plan::ledger(engine, project, lake).await?;
        let done = ledger.done(Step::DatalakeFileGroups).await?.len();
        if done > 0 {
            let location = ledger.layout().lake().to_string();
            return Err(Error::AlreadyPublished { table: lake.name.clone(), done, location });
        }
    }
    let mut planner = Planner::new(engine, project);
    let mut plans = Vec::new();
    for lake in &project.lakes {
        plans.push(planner.plan_anew(lake).await?);
    }
    for plan in plans {
        if plan.replaces {
            tracing::info!(table = plan.lake.name, "giving up the old plan");
            clear_lake(pipeline, &plan.lake).await?;
            plan.ledger.revoke_all(Step::PartitionFileGroups).await?;
            plan.ledger.revoke_all(Step::StagingFileGroups).await?;
        }
        plan::commit(plan).await?;
    }
    Ok(())
}
