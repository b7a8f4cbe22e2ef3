//! Nothing that a query says may write, take away the session's limits, or show what views have of the environment.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan, Statement};

use crate::config::Held;

/// Refuses a statement that creates, writes or drops, settings of the session's memory, disk and catalogs, and EXPLAIN
/// of a view that has one of the values.
///
/// # Errors
/// [`DataFusionError::Plan`], which says what to do.
pub(super) fn check(plan: &LogicalPlan, held: &[Held]) -> Result<()> {
    let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).verify_plan(plan);
    // The engine's own words name its plan nodes.
    allowed.map_err(|_| refused("statements that create, write or drop are refused"))?;
    if let LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) = plan
        && let Some(held) = read(plan, held)?
    {
        let what = format!("EXPLAIN would show the value of {}, which a view reads", held.variable);
        return Err(DataFusionError::Plan(format!("{what}; explain the query without that view")));
    }
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

/// The first value of the environment that a literal of the plan has.
fn read<'a>(plan: &LogicalPlan, held: &'a [Held]) -> Result<Option<&'a Held>> {
    let mut found = None;
    if !held.is_empty() {
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    let Expr::Literal(value, _) = expr else { return Ok(TreeNodeRecursion::Continue) };
                    let text = value.try_as_str().flatten().unwrap_or_default();
                    found = held.iter().find(|held| !held.value.is_empty() && text.contains(&held.value));
                    Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
                })
            })
        })?;
    }
    Ok(found)
}

fn refused(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("query is read-only: {what}"))
}
