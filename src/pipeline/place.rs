//! Whether the folders of a table are still those of its plan, and the lake still what was published.
//!
//! Configs are edited, folders are moved, linked, copied and emptied between two commands. What is found here is what
//! is there now, never what a manifest says was there.

use super::run::Pipeline;
use super::validate::{VERSION, Validation};
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::Step;
use crate::manifest::Ledger;
use crate::staging::plan::{PlanDetails, Planner};

impl Pipeline {
    /// Whether staging and lake folder of the config are those of the current plan, if there is one.
    ///
    /// # Errors
    /// [`Error::PlanChanged`] when the plan is of another snapshot or lake, [`Error::LocationOwned`] when the lake's
    /// folder is that of another plan; those of the ledger.
    pub(crate) async fn check_place(&self, ledger: &Ledger, lake: &LakeTable) -> Result<()> {
        let head = ledger.head::<PlanDetails>(&ledger.layout().snapshot_manifest()).await?;
        match head {
            Some((_, plan)) => self.check_place_of(ledger, lake, &plan).await,
            None => Ok(()),
        }
    }

    /// As [`Pipeline::check_place`], of the current plan.
    ///
    /// # Errors
    /// As [`Pipeline::check_place`].
    pub(crate) async fn check_place_of(&self, ledger: &Ledger, lake: &LakeTable, plan: &PlanDetails) -> Result<()> {
        Planner::new(&self.engine, &self.project).check_identity(plan, lake)?;
        if let Some(then) = ledger.lake_elsewhere().await? {
            return Err(Error::PlanChanged {
                table: lake.name.clone(),
                planned_at: plan.planned_at.clone(),
                what: "lake location",
                change: Some((then, ledger.layout().lake().to_string())),
                published: ledger.done(Step::DatalakeFileGroups).await?.len(),
            });
        }
        let folder = HiveLake::open(self.engine.stores(), ledger.layout()).await?;
        folder.check_owner(&lake.name, &plan.result, None).await
    }

    /// The proof of a lake that is complete and holds the files that were proven, no more and no less: two small
    /// requests and one LIST.
    ///
    /// # Errors
    /// [`Error::Store`]; those of the ledger.
    pub(crate) async fn stands(&self, ledger: &Ledger, plan: &str) -> Result<Option<Validation>> {
        let folder = HiveLake::open(self.engine.stores(), ledger.layout()).await?;
        if folder.is_complete().await? { self.last_proof(&folder, ledger, plan).await } else { Ok(None) }
    }

    /// The last proof, if the folder of a complete lake still holds the files that were proven.
    ///
    /// # Errors
    /// [`Error::Store`]; those of the ledger.
    pub(crate) async fn last_proof(
        &self,
        folder: &HiveLake<'_>,
        ledger: &Ledger,
        plan: &str,
    ) -> Result<Option<Validation>> {
        let Some(last) = ledger.read_file(&ledger.layout().validation()).await? else { return Ok(None) };
        let Ok(validation) = serde_json::from_slice::<Validation>(&last) else { return Ok(None) };
        let is_same = validation.content == Some(folder.content().await?);
        Ok((validation.version == VERSION && validation.valid && validation.plan == plan && is_same)
            .then_some(validation))
    }
}
