//! The SELECT of a lake table as a checked logical plan.
//!
//! DataFusion plans it over the schemas that the caller registered; this module asks what snaplake must know before any
//! task runs: that the SELECT is row-wise (see `rowwise`), that a retry gives the same rows, and that partition and
//! sort columns come out of it. It reads no data.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility, WindowFunctionDefinition};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Spanned};

use super::nanoseconds::{NanosecondOrigin, origin};
use super::planner_error::{explain, written};
use super::rowwise::{self, Reads};
use super::star::{narrowed, whole_scan, widened};
use super::withheld::check_names;
use crate::config::resolve::Project;
use crate::config::tables::{LakeTable, View};
use crate::config::text::walk::{SyntaxPart, walk};
use crate::config::values::{GroupSize, LakeKind};
use crate::error::{ConfigError, Position, Result, nearest};
use crate::layout::partition;
use crate::types::iceberg::iceberg_type;
use crate::types::lake::{Nanoseconds, NoLakeType, TypeProblem, has_nanoseconds, lake_type};
use crate::types::sqltype::type_name;

/// A SELECT that may run.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// As planned, not optimized: scans still carry the names of the SQL.
    pub(crate) plan: LogicalPlan,
    /// Bare name of the snapshot table whose files are dealt out to tasks.
    pub(crate) driving: String,
    /// Bare names of the other snapshot tables, which every task reads whole; sorted.
    pub(crate) reads_whole: Vec<String>,
    /// What is stored of each column of `plan`, in its order.
    pub(crate) columns: Vec<StoredColumn>,
}

/// How a column of a SELECT is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredColumn {
    /// The type in files.
    pub(crate) data_type: DataType,
    /// Whether it has nanoseconds without TIMESTAMP(9) in the config.
    pub(crate) unasked_nanoseconds: bool,
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
    check_names(plan.schema().as_arrow(), project, &lake.query_at)?;
    let columns = stored_columns(&plan, project, lake)?;
    check_columns(plan.schema().as_arrow(), &columns, lake)?;
    Ok(Select { plan, driving, reads_whole: whole, columns })
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
    let mut found = None;
    walk(lake.query.as_ref(), &mut |part| {
        if let SyntaxPart::Expr(ast::Expr::Function(call)) = part
            && let Some(ident) = call.name.0.last().and_then(|part| part.as_ident())
            && ident.value.eq_ignore_ascii_case(name)
        {
            found = Some(ident.span.start);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    match found {
        Some(start) => Position { file: Arc::clone(&lake.at.file), line: start.line, column: start.column },
        None => lake.query_at.clone(),
    }
}

/// The type of each column in files.
fn stored_columns(plan: &LogicalPlan, project: &Project, lake: &LakeTable) -> Result<Vec<StoredColumn>> {
    let columns = plan.schema().columns().into_iter().zip(plan.schema().fields());
    columns
        .map(|(column, field)| {
            let origin = has_nanoseconds(field.data_type()).then(|| origin(plan, &column, project));
            let nanoseconds = match origin {
                Some(NanosecondOrigin::Function) => Nanoseconds::AsMicroseconds,
                _ => Nanoseconds::Keep,
            };
            let data_type = lake_type(field.data_type(), nanoseconds)
                .and_then(|of| match lake.kind {
                    LakeKind::Parquet => Ok(of),
                    LakeKind::Iceberg => iceberg_type(&of),
                })
                .map_err(|none| no_type(field, none).at(&column_place(lake, field.name())))?;
            Ok(StoredColumn { data_type, unasked_nanoseconds: origin == Some(NanosecondOrigin::File) })
        })
        .collect()
}

/// The mistake of a column that has no type in files.
fn no_type(field: &Field, none: NoLakeType) -> ConfigError {
    let name = written(field.name());
    let advice = match &none.why {
        TypeProblem::NoneInParquet { cast: Some((to, what)), .. } if none.place.is_empty() => {
            format!("write CAST({name} AS {to}) AS {name}, its {what}")
        }
        TypeProblem::TooManyDigits(_, scale) if none.place.is_empty() => {
            let scale = (*scale).clamp(0, 38);
            format!("write CAST({name} AS DECIMAL(38,{scale})) AS {name}, which fails where a value needs more")
        }
        TypeProblem::NoneInIceberg { cast, .. } if none.place.is_empty() => {
            format!("write CAST({name} AS {cast}) AS {name}")
        }
        TypeProblem::NoneInParquet { .. } | TypeProblem::NoneInIceberg { .. } | TypeProblem::TooManyDigits(..) => {
            "leave it out of the SELECT, or select the parts of it that have a type".to_owned()
        }
        TypeProblem::FieldTwice(_) => "give one of them another name".to_owned(),
        TypeProblem::TooDeep(_) => "leave it out of the SELECT, or select a part of it".to_owned(),
    };
    ConfigError::ColumnType { column: format!("{}{}", field.name(), none.place), why: none.why.to_string(), advice }
}

/// Where the SELECT makes a column; its start if only `*` does.
fn column_place(lake: &LakeTable, column: &str) -> Position {
    let named = |ident: &ast::Ident| {
        if ident.quote_style.is_some() { ident.value == column } else { ident.value.to_lowercase() == column }
    };
    let start = match lake.query.body.as_ref() {
        ast::SetExpr::Select(select) => select.projection.iter().find_map(|item| match item {
            ast::SelectItem::ExprWithAlias { expr, alias } if named(alias) => {
                Some(expr.span().start).filter(|start| start.line > 0).or(Some(alias.span.start))
            }
            ast::SelectItem::UnnamedExpr(ast::Expr::Identifier(ident)) if named(ident) => Some(ident.span.start),
            ast::SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(parts)) => {
                parts.last().filter(|ident| named(ident)).and(parts.first()).map(|first| first.span.start)
            }
            _ => None,
        }),
        _ => None,
    };
    match start {
        Some(start) if start.line > 0 => {
            Position { file: Arc::clone(&lake.at.file), line: start.line, column: start.column }
        }
        _ => lake.query_at.clone(),
    }
}

/// Whether the properties name columns that the SELECT yields.
fn check_columns(schema: &Schema, stored: &[StoredColumn], lake: &LakeTable) -> Result<()> {
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
        let Some(stored) = schema.index_of(column).ok().and_then(|index| stored.get(index)) else {
            return Err(missing("partitioned_by", column).at(at));
        };
        if !partition::is_allowed(&stored.data_type) {
            let (column, data_type) = (column.clone(), type_name(&stored.data_type));
            return Err(ConfigError::PartitionType { column, data_type }.at(at));
        }
    }
    for (key, at) in &lake.sorted_by {
        if schema.field_with_name(&key.column).is_err() {
            return Err(missing("sorted_by", &key.column).at(at));
        }
    }
    let data = |name: &str| lake.partitioned_by.iter().all(|(column, _)| column != name);
    if !schema.fields().iter().any(|field| data(field.name())) {
        let at = lake.partitioned_by.first().map_or(&lake.query_at, |(_, at)| at);
        return Err(ConfigError::OnlyPartitionColumns { table: table() }.at(at));
    }
    Ok(())
}

/// The mistake of a property that names a column which the SELECT does not yield.
pub(super) fn not_selected(schema: &Schema, lake: &LakeTable, property: &'static str, column: &str) -> ConfigError {
    let nearest = nearest(column, schema.fields().iter().map(|field| field.name().as_str()));
    let (column, nearest) = (column.to_owned(), nearest.map(|name| written(&name)));
    ConfigError::ColumnNotSelected { property, column, table: lake.name.clone(), nearest }
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
