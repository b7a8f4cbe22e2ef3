//! Nothing that a query says may write, or take away the session's limits.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, Statement};

/// Refuses a statement that creates, writes or drops, and settings of the session's memory, disk and catalogs.
///
/// # Errors
/// [`DataFusionError::Plan`], which says what to do.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).verify_plan(plan);
    // The engine's own words name its plan nodes.
    allowed.map_err(|_| refused("statements that create, write or drop are refused"))?;
    let variable = match plan {
        LogicalPlan::Statement(Statement::SetVariable(set)) => &set.variable,
        LogicalPlan::Statement(Statement::ResetVariable(reset)) => &reset.variable,
        _ => return Ok(()),
    };
    let variable = variable.to_lowercase();
    if variable.starts_with("datafusion.runtime.") {
        return Err(refused(&format!("{variable} stays as it is; --memory-limit sets the memory")));
    }
    if variable.starts_with("datafusion.catalog.") {
        return Err(refused(&format!("{variable} stays as it is")));
    }
    Ok(())
}

fn refused(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("query is read-only: {what}"))
}
