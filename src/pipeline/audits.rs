//! Between the steps: what is staged is audited, and nothing is published that fails.

use super::audit;
use super::event::Event;
use super::run::Pipeline;
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
        self.audit_plans(&plans.iter().collect::<Vec<_>>()).await
    }

    pub(super) async fn audit_plans(&self, plans: &[&StagePlan]) -> Result<Vec<Verdict>> {
        let on_audit = |audit: &str, verdict: Option<&Verdict>| {
            if let Some(Verdict { rows, seconds, ran, .. }) = verdict {
                tracing::info!(audit, rows, seconds, ran, "audited");
            }
            self.reporter.on(&Event::Audit { audit, verdict });
        };
        let verdicts = audit::run(&self.engine, &self.project, plans, &on_audit).await?;
        if verdicts.iter().all(Verdict::passed) { Ok(verdicts) } else { Err(Error::AuditsFailed { verdicts }) }
    }
}
