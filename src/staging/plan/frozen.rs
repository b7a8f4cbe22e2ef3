//! A SELECT with `now()` fixed, so that all tasks and retries of a plan give the same rows.

use chrono::{DateTime, Utc};
use datafusion::logical_expr::LogicalPlan;

use crate::config::freeze_now;
use crate::error::{Error, Result};

/// The SELECT with `now()` fixed.
pub(super) fn freeze(plan: LogicalPlan, planned_at: &str) -> Result<LogicalPlan> {
    let at = DateTime::parse_from_rfc3339(planned_at)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| Error::Manifest { uri: "details.planned_at".to_owned(), reason: error.to_string() })?;
    freeze_now(plan, at)
}
