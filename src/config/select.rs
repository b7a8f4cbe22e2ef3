//! The SELECT of a lake table as a checked logical plan.
//!
//! DataFusion plans it over the schemas that the caller registered; this module asks what snaplake must know before
//! any task runs: that the SELECT is row-wise (see `rowwise`), that a retry gives the same rows, and that partition and sort
//! columns come out of it. It reads no data.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, FieldRef, IntervalUnit, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility, WindowFunctionDefinition};
use datafusion::parquet::arrow::ArrowSchemaConverter;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, visit_expressions};

use super::planner_error::{explain, written};
use super::resolve::Project;
use super::rowwise::{self, Reads};
use super::star::{narrowed, whole_scan, widened};
use super::tables::{LakeTable, View};
use super::values::GroupSize;
use crate::error::{ConfigError, Position, Result, nearest};
use crate::partition;

/// A SELECT that may run.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// As planned, not optimized: scans still carry the names of the SQL.
    pub(crate) plan: LogicalPlan,
    /// Bare name of the snapshot table whose files are dealt out to tasks.
    pub(crate) driving: String,
    /// Bare names of the other snapshot tables, which every task reads whole; sorted.
    pub(crate) reads_whole: Vec<String>,
}

/// Plans and checks the SELECT of `lake`; `state` has the schemas and views registered, and collects spans.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) at the place in the SELECT or its properties.
pub(crate) async fn plan_select(state: &SessionState, project: &Project, lake: &LakeTable) -> Result<Select> {
    let plan = plan_query(state, project, &lake.query, &lake.query_at).await?;
    let all = lake.file_group_size == GroupSize::All;
    let Reads { driving, whole } =
        rowwise::reads(&plan, &lake.name, all).map_err(|problem| problem.at(&lake.query_at))?;
    if let Some(function) = volatile_function(&plan) {
        let at = function_place(lake, &function);
        return Err(ConfigError::Volatile { function }.at(&at));
    }
    // Types that do not go together are only found by the analyzer.
    if whole_scan(&plan).is_none() {
        state.optimize(&plan).map_err(|error| explain(&error, project, &lake.query_at))?;
    }
    let schema = Arc::clone(plan.schema().inner());
    check_columns(&schema, lake)?;
    Ok(Select { plan, driving, reads_whole: whole })
}

/// Plans the query of a view, for the caller to register it; views that it reads are registered before.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) at the place in the view.
pub(crate) async fn plan_view(state: &SessionState, project: &Project, view: &View) -> Result<LogicalPlan> {
    plan_query(state, project, &view.query, &view.query_at).await
}

pub(super) async fn plan_query(
    state: &SessionState,
    project: &Project,
    query: &ast::Query,
    at: &Position,
) -> Result<LogicalPlan> {
    let planned = async |query: ast::Query| {
        let query = ast::Statement::Query(Box::new(query));
        let planned = state.statement_to_plan(Statement::Statement(Box::new(query))).await;
        planned.map_err(|error| explain(&error, project, at))
    };
    if let Some(narrowed) = narrowed(query)
        && let Some(plan) = widened(planned(narrowed).await?).map_err(|error| explain(&error, project, at))?
    {
        return Ok(plan);
    }
    planned(query.clone()).await
}

/// The first function, subqueries included, that gives another value each time it is called.
fn volatile_function(plan: &LogicalPlan) -> Option<String> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let (name, volatility) = match expr {
                    Expr::ScalarFunction(call) => (call.name(), call.func.signature().volatility),
                    Expr::AggregateFunction(call) => (call.func.name(), call.func.signature().volatility),
                    Expr::WindowFunction(call) => match &call.fun {
                        WindowFunctionDefinition::WindowUDF(function) => {
                            (function.name(), function.signature().volatility)
                        }
                        WindowFunctionDefinition::AggregateUDF(function) => {
                            (function.name(), function.signature().volatility)
                        }
                    },
                    _ => return Ok(TreeNodeRecursion::Continue),
                };
                if volatility == Volatility::Volatile {
                    found = Some(name.to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    // The closures above never fail.
    walked.ok().and(found)
}

/// Where the SELECT calls a function; its start if a view does.
fn function_place(lake: &LakeTable, name: &str) -> Position {
    let found = visit_expressions(lake.query.as_ref(), |expr| match expr {
        ast::Expr::Function(call) => {
            let last = call.name.0.last().and_then(|part| part.as_ident());
            match last.filter(|ident| ident.value.eq_ignore_ascii_case(name)) {
                Some(ident) => ControlFlow::Break(ident.span.start),
                None => ControlFlow::Continue(()),
            }
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(start) => {
            Position { file: Arc::clone(&lake.at.file), line: start.line, column: start.column }
        }
        ControlFlow::Continue(()) => lake.query_at.clone(),
    }
}

/// Whether the properties name columns that the SELECT yields, and its columns can be written.
fn check_columns(schema: &Schema, lake: &LakeTable) -> Result<()> {
    let table = || lake.name.clone();
    let mut names = HashSet::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if !names.insert(field.name()) {
            let column = field.name().clone();
            return Err(ConfigError::DuplicateColumn { table: table(), column }.at(&lake.query_at));
        }
    }
    let missing = |property, column: &str| not_selected(schema, lake, property, column);
    for (column, at) in &lake.partitioned_by {
        let Ok(field) = schema.field_with_name(column) else {
            return Err(missing("partitioned_by", column).at(at));
        };
        if !partition::is_allowed(field.data_type()) {
            let (column, data_type) = (column.clone(), field.data_type().to_string());
            return Err(ConfigError::PartitionType { column, data_type }.at(at));
        }
    }
    for (key, at) in &lake.sorted_by {
        if schema.field_with_name(&key.column).is_err() {
            return Err(missing("sorted_by", &key.column).at(at));
        }
    }
    let data = |name: &str| lake.partitioned_by.iter().all(|(column, _)| column != name);
    let columns: Vec<_> = schema.fields().iter().filter(|field| data(field.name())).cloned().collect();
    if columns.is_empty() {
        let at = lake.partitioned_by.first().map_or(&lake.query_at, |(_, at)| at);
        return Err(ConfigError::OnlyPartitionColumns { table: table() }.at(at));
    }
    for field in columns {
        let (column, data_type) = (field.name().clone(), field.data_type().to_string());
        if !has_parquet_type(field) {
            return Err(ConfigError::ColumnType { column, data_type }.at(&lake.query_at));
        }
    }
    Ok(())
}

/// The mistake of a property that names a column which the SELECT does not yield.
pub(super) fn not_selected(schema: &Schema, lake: &LakeTable, property: &'static str, column: &str) -> ConfigError {
    let nearest = nearest(column, schema.fields().iter().map(|field| field.name().as_str()));
    let (column, nearest) = (column.to_owned(), nearest.map(|name| written(&name)));
    ConfigError::ColumnNotSelected { property, column, table: lake.name.clone(), nearest }
}

/// Whether Parquet has a type for a column; the writer would find out in the middle of a task.
pub(super) fn has_parquet_type(field: FieldRef) -> bool {
    fn is_hopeless(data_type: &DataType) -> bool {
        match data_type {
            DataType::Union(_, _) | DataType::Interval(IntervalUnit::MonthDayNano) => true,
            DataType::Struct(fields) => fields.iter().any(|field| is_hopeless(field.data_type())),
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::Map(field, _) => is_hopeless(field.data_type()),
            _ => false,
        }
    }
    !is_hopeless(field.data_type()) && ArrowSchemaConverter::new().convert(&Schema::new(vec![field])).is_ok()
}

/// Replaces `now()`, `current_timestamp`, `current_date`, `current_time` and `today()` by what they are at `at`, under
/// the same names and types, so that each task and each retry sees one time.
///
/// # Errors
/// What DataFusion says when the plan cannot be rewritten.
pub(crate) fn freeze_now(plan: LogicalPlan, at: DateTime<Utc>) -> Result<LogicalPlan> {
    let context = SimplifyContext::builder().with_query_execution_start_time(Some(at)).build();
    let freeze = |expr: Expr| -> Result<Transformed<Expr>, DataFusionError> {
        match expr {
            Expr::ScalarFunction(call) if ["now", "current_date", "current_time"].contains(&call.name()) => {
                match call.func.simplify(call.args.clone(), &context)? {
                    ExprSimplifyResult::Simplified(literal) => Ok(Transformed::yes(literal)),
                    ExprSimplifyResult::Original(_) => Ok(Transformed::no(Expr::ScalarFunction(call))),
                }
            }
            other => Ok(Transformed::no(other)),
        }
    };
    let frozen = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(freeze)?.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(frozen?.data)
}
