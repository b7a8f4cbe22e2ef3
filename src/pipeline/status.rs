//! How far tables are, from their manifests.

use super::Pipeline;
use crate::compaction::plan::PartitionDetails;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::Step;
use crate::manifest::Ledger;
use crate::staging::plan;

/// How far a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStatus {
    /// Lake table.
    pub table: String,
    /// Lake location.
    pub location: String,
    /// When the plan was committed.
    pub planned_at: Option<String>,
    /// Stage tasks done and planned.
    pub staged: (usize, usize),
    /// Publish tasks done and planned; none planned before staging is done.
    pub published: (usize, usize),
    /// Whether `_SUCCESS` stands.
    pub complete: bool,
}

impl Pipeline {
    /// How far every table is.
    ///
    /// # Errors
    /// Those of the ledger.
    pub async fn status(&self) -> Result<Vec<TableStatus>> {
        let mut all = Vec::new();
        for lake in &self.project.lakes {
            let ledger = plan::ledger(&self.engine, &self.project, lake).await?;
            let mut status = TableStatus {
                table: lake.name.clone(),
                location: ledger.layout().lake().to_string(),
                planned_at: None,
                staged: (0, 0),
                published: (0, 0),
                complete: false,
            };
            let head = match plan::committed_head(&ledger, &lake.name).await {
                Err(Error::NotPlanned { .. }) => None,
                head => Some(head?),
            };
            if let Some(details) = head {
                status.staged = (ledger.done(Step::StagingFileGroups).await?.len(), details.groups);
                status.planned_at = Some(details.planned_at);
                status.published = published(&ledger).await?.unwrap_or_default();
                status.complete = HiveLake::open(self.engine.stores(), ledger.layout()).await?.is_complete().await?;
            }
            all.push(status);
        }
        Ok(all)
    }
}

/// Publish tasks done and planned; `None` if they are not planned yet.
pub(super) async fn published(ledger: &Ledger) -> Result<Option<(usize, usize)>> {
    let first = ledger.layout().manifest(Step::PartitionFileGroups, 1);
    let Some((_, first)) = ledger.head::<PartitionDetails>(&first).await? else { return Ok(None) };
    Ok(Some((ledger.done(Step::DatalakeFileGroups).await?.len(), first.groups)))
}
