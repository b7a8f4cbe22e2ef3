//! The SELECT as each task runs it: its tables bound to files, `now()` fixed, its columns in types that readers know.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::TableReference;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{Expr, SessionContext};

use super::details::PlanDetails;
use super::frozen::freeze;
use super::grouping::by_name;
use super::relations::{register_views, relations};
use super::stored::StoreColumn;
use crate::config::{EmptyPartition, LakeTable, Project, Select, StoredColumn, plan_select, whole_scan};
use crate::error::Result;
use crate::error::unwrap_engine;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{CountedTable, FileListTable, ScanSize};
use crate::types::width::batch_rows;

/// The SELECT with `now()` fixed and its columns in types that every Parquet reader knows. With `views` text may stay
/// in the engine's own form, which the Parquet writer takes for text.
pub(crate) fn output_plan(select: &Select, lake: &LakeTable, planned_at: &str, views: bool) -> Result<LogicalPlan> {
    let fields = select.plan.schema().fields().iter().zip(&select.columns);
    let changes: Vec<_> = fields.map(|(field, stored)| change(field, stored, lake, views)).collect();
    if whole_scan(&select.plan).is_some() && changes.iter().all(Option::is_none) {
        return Ok(select.plan.clone());
    }
    let plan = freeze(select.plan.clone(), planned_at)?;
    let columns = plan.schema().columns().into_iter().zip(plan.schema().fields()).zip(changes);
    let columns = columns.map(|((column, field), change)| {
        let (name, column) = (field.name().clone(), Expr::Column(column));
        match change {
            None => column.alias(name),
            Some((to, empty)) => StoreColumn::new(&lake.name, &name, to, empty).call(column).alias(name),
        }
    });
    let columns: Vec<Expr> = columns.collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// What is to be done to a column before it is stored: its type, and what becomes of empty texts that name folders.
fn change(
    field: &Field,
    StoredColumn { data_type, .. }: &StoredColumn,
    lake: &LakeTable,
    views: bool,
) -> Option<(DataType, Option<EmptyPartition>)> {
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8);
    let is_key = || lake.partitioned_by.iter().any(|(of, _)| of == field.name());
    let empty = (is_text && is_key()).then_some(lake.empty_partition);
    let is_view = matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView);
    let to = if views && is_view { field.data_type() } else { data_type };
    (to != field.data_type() || empty.is_some()).then(|| (to.clone(), empty))
}

/// Its columns where no view stays.
pub(super) fn output_schema(select: &Select, lake: &LakeTable, planned_at: &str) -> Result<Schema> {
    if whole_scan(&select.plan).is_none() {
        return Ok(output_plan(select, lake, planned_at, false)?.schema().as_arrow().clone());
    }
    let fields = select.plan.schema().fields().iter().zip(&select.columns);
    let stored = fields.map(|(field, stored)| field.as_ref().clone().with_data_type(stored.data_type.clone()));
    Ok(Schema::new(stored.collect::<Vec<_>>()))
}

/// The SELECT as the engine runs it. What is a whole table, the engine need not look at.
pub(crate) async fn physical_plan(session: &SessionContext, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let state = session.state();
    let planned = match whole_scan(plan) {
        Some(scan) => source_as_provider(&scan.source)?.scan(&state, None, &[], None).await,
        None => state.create_physical_plan(plan).await,
    };
    planned.map_err(unwrap_engine)
}

fn register_counted(session: &SessionContext, name: &str, table: FileListTable) -> Result<()> {
    let counted = Arc::new(CountedTable::new(name, table));
    session.register_table(TableReference::partial("snapshot", name), counted)?;
    Ok(())
}

/// Binds a committed plan's tables in a session: the driving one to `files`, the others whole.
///
/// # Errors
/// Those of sessions and of planning the SELECT.
pub(crate) async fn bind(
    engine: &Engine,
    project: &Project,
    lake: &LakeTable,
    details: &PlanDetails,
    files: &[FileEntry],
) -> Result<(SessionContext, Select)> {
    let whole = details.whole.iter().flat_map(|(_, files)| files);
    let mut driving = details.driving.table_files(files)?;
    // A SELECT may add columns to the table's, or take most away.
    let rows = batch_rows(&driving.schema).min(batch_rows(details.output_schema.decode()?.as_ref()));
    let session = engine.batch_session(files.iter().chain(whole), rows).await?;
    // Rows mostly are in the order in which an export numbered its files.
    driving.files.sort_by(|one, other| by_name(&one.uri, &other.uri));
    let driving = FileListTable::of_export(driving, ScanSize::Driving);
    register_counted(&session, &details.driving.table, driving)?;
    for (source, files) in &details.whole {
        let whole = FileListTable::of_export(source.table_files(files)?, ScanSize::AsListed);
        register_counted(&session, &source.table, whole)?;
    }
    register_views(&session, project, &relations(project, &lake.query)?.views).await?;
    let mut select = plan_select(&session.state(), project, lake).await?;
    select.plan = output_plan(&select, lake, &details.planned_at, true)?;
    Ok((session, select))
}
