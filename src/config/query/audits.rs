//! The queries of audits as checked logical plans.
//!
//! DataFusion plans them over the schemas that the caller registered. An audit only reads, and what it finds can be
//! written as Parquet: both is known here, before any data is read.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, IntervalUnit, Schema};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::parquet::arrow::ArrowSchemaConverter;
use datafusion::sql::sqlparser::ast::SetExpr;

use super::planner_error::explain;
use super::select::{not_selected, plan_query};
use super::withheld::check_names;
use crate::config::resolve::Project;
use crate::config::rules::{Rule, StagedCounts};
use crate::config::tables::{LakeTable, View};
use crate::error::{ConfigError, Result};
use crate::types::lake::has;
use crate::types::sqltype::type_name;

/// Plans and checks an audit that is a view; `state` has the tables and helper views that it reads.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) at the place in the view.
pub(crate) async fn plan_audit(state: &SessionState, project: &Project, view: &View) -> Result<LogicalPlan> {
    // The grammar takes these for queries.
    if let SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) = view.query.body.as_ref() {
        let clause = "a statement that writes";
        let reason = "an audit is a SELECT that must return no rows";
        return Err(ConfigError::UnsupportedClause { clause, reason }.at(&view.query_at));
    }
    let plan = plan_query(state, project, &view.query, &view.query_at).await?;
    check_names(plan.schema().as_arrow(), project, &view.query_at)?;
    // Types that do not go together are only found by the analyzer.
    state.optimize(&plan).map_err(|error| explain(&error, project, &view.query_at))?;
    for field in plan.schema().fields() {
        if !has_parquet_type(field) {
            let (column, why) = (field.name().clone(), format!("is of type {}", type_name(field.data_type())));
            let advice = "what an audit finds is written as Parquet, so CAST it or leave it out".to_owned();
            return Err(ConfigError::ColumnType { column, why, advice }.at(&view.query_at));
        }
    }
    Ok(plan)
}

/// Whether Parquet has a type for a column; the writer would find out when there is something to write.
fn has_parquet_type(field: &FieldRef) -> bool {
    let hopeless = |of: &DataType| matches!(of, DataType::Union(_, _) | DataType::Interval(IntervalUnit::MonthDayNano));
    !has(field.data_type(), &hopeless)
        && ArrowSchemaConverter::new().convert(&Schema::new(vec![Arc::clone(field)])).is_ok()
}

/// Plans an audit that is a property in WITH.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) at its place when the type of a column does not go with it.
pub(crate) async fn plan_rule(
    state: &SessionState,
    lake: &LakeTable,
    rule: &Rule,
    counts: StagedCounts,
) -> Result<LogicalPlan> {
    let failed = |error: datafusion::error::DataFusionError| {
        ConfigError::Plan { message: format!("{}: {}", rule.name(&lake.name), error.find_root().message()) }
            .at(&rule.at)
    };
    let plan = state.create_logical_plan(&rule.query(&lake.name, counts)).await.map_err(failed)?;
    state.optimize(&plan).map_err(failed)?;
    Ok(plan)
}

/// Whether the SELECT of `lake` yields the columns that its audits in WITH name.
///
/// # Errors
/// [`ConfigError::ColumnNotSelected`] at the column.
pub(crate) fn check_rules(schema: &Schema, lake: &LakeTable) -> Result<()> {
    for rule in &lake.rules {
        if let Some((column, at)) = rule.columns.iter().find(|(column, _)| schema.field_with_name(column).is_err()) {
            return Err(not_selected(schema, lake, rule.check.property(), column).at(at));
        }
    }
    Ok(())
}
