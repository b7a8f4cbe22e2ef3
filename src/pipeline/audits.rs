//! Between the steps: what is staged is audited, and a table that a failed audit holds back is not published.

use super::audit;
use super::event::Event;
use super::run::{Pipeline, Table};
use crate::error::Verdict;
use crate::error::{Error, Result};
use crate::staging::plan::StagePlan;

impl Pipeline {
    /// All audits over what is staged; one that passed before over the same does not run again.
    ///
    /// # Errors
    /// [`Error::NotPlanned`], [`Error::NotStaged`], [`Error::Audit`]; [`Error::AuditsFailed`] when one found rows.
    pub async fn audit(&self) -> Result<Vec<Verdict>> {
        let plans = self.plan_committed().await?;
        all_passed(self.verdicts(&plans.iter().collect::<Vec<_>>()).await?)
    }

    /// Results of all audits of these tables, also of those that failed.
    pub(super) async fn verdicts(&self, plans: &[&StagePlan]) -> Result<Vec<Verdict>> {
        let on_audit = |audit: &str, verdict: Option<&Verdict>| {
            if let Some(Verdict { rows, seconds, ran, .. }) = verdict {
                tracing::info!(audit, rows, seconds, ran, "audited");
            }
            self.reporter.on(&Event::Audit { audit, verdict });
        };
        audit::run(&self.engine, &self.project, plans, &on_audit).await
    }

    /// The tables that no failed audit holds back, and the results if one failed.
    ///
    /// # Errors
    /// Those of [`Pipeline::audit`]; [`Error::AuditsFailed`] only if no table is left.
    pub(super) async fn free_to_publish(&self, mut tables: Vec<Table>) -> Result<(Vec<Table>, Option<Vec<Verdict>>)> {
        let verdicts = self.verdicts(&tables.iter().map(|table| table.plan.as_ref()).collect::<Vec<_>>()).await?;
        if verdicts.iter().all(Verdict::passed) {
            return Ok((tables, None));
        }
        let failed = || verdicts.iter().filter(|verdict| !verdict.passed());
        tables.retain(|table| !failed().any(|verdict| verdict.tables.contains(&table.plan.lake.name)));
        if self.project.settings.fail_fast || tables.is_empty() {
            return all_passed(verdicts).map(|_| (tables, None));
        }
        Ok((tables, Some(verdicts)))
    }
}

/// The results, if there is none that failed.
pub(super) fn all_passed(verdicts: Vec<Verdict>) -> Result<Vec<Verdict>> {
    if verdicts.iter().all(Verdict::passed) {
        Ok(verdicts)
    } else {
        Err(Error::AuditsFailed { verdicts, published: Vec::new() })
    }
}
