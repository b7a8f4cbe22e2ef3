//! Warnings about files that came, went or changed since planning, of tables whose status was read.

use futures::StreamExt;

use super::status::InspectedTable;
use crate::error::Result;
use crate::pipeline::arrivals::{AT_ONCE, logged};
use crate::pipeline::{Pipeline, Warning};
use crate::snapshot::Present;
use crate::staging::plan::Planner;

impl Pipeline {
    /// Of tables that were looked at, in their order.
    pub(crate) async fn arrived(&self, all: &[&InspectedTable]) -> Vec<Vec<Warning>> {
        let all = all.iter().map(|looked| async move { logged(&looked.status.table, self.of_look(looked).await) });
        futures::stream::iter(all).buffered(AT_ONCE).collect().await
    }

    async fn of_look(&self, looked: &InspectedTable) -> Result<Vec<Warning>> {
        let Some((head, details)) = &looked.planned else { return Ok(Vec::new()) };
        let Some(driving) = self.project.snapshot(&details.driving.table) else { return Ok(Vec::new()) };
        // The list of the files is read only if something has changed.
        let present = Present::look(self.engine.stores(), driving).await?;
        if present.is(&head.fingerprint, &details.driving.coverage.left_out) {
            let is_todo = looked.staged.len() < details.groups;
            return self.of_whole(&looked.status.table, &details.whole, is_todo).await;
        }
        let lake = self.lake(&looked.status.table)?;
        let Some(plan) = Planner::new(&self.engine, &self.project).committed(lake).await? else {
            return Ok(Vec::new());
        };
        let todo: Vec<usize> = (1..=plan.groups.len()).filter(|number| !looked.staged.contains(number)).collect();
        self.of_plan(&plan, &todo, Some(present)).await
    }
}
