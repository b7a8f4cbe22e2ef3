//! The SELECT as each task runs it: its tables bound to files, `now()` fixed, its columns in types that readers know.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::prelude::{Expr, SessionContext};

use super::details::PlanDetails;
use super::relations::{register_views, relations};
use super::stored::StoreColumn;
use crate::config::{LakeTable, Project, Select, StoredColumn, freeze_now, plan_select};
use crate::error::{Error, Result};
use crate::group::by_name;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{CountedTable, FileListTable, Size};

/// The SELECT with `now()` fixed.
pub(super) fn freeze(plan: LogicalPlan, planned_at: &str) -> Result<LogicalPlan> {
    let at = DateTime::parse_from_rfc3339(planned_at)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| Error::Manifest { uri: "details.planned_at".to_owned(), reason: error.to_string() })?;
    freeze_now(plan, at)
}

/// The SELECT with `now()` fixed and its columns in types that every Parquet reader knows. With `views` text may stay in the
/// engine's own form, which the Parquet writer takes for text.
pub(crate) fn output_plan(select: &Select, lake: &LakeTable, planned_at: &str, views: bool) -> Result<LogicalPlan> {
    let plan = freeze(select.plan.clone(), planned_at)?;
    let fields = plan.schema().columns().into_iter().zip(plan.schema().fields());
    let columns = fields.zip(&select.columns).map(|((column, field), StoredColumn { data_type, .. })| {
        let (name, column) = (field.name().clone(), Expr::Column(column));
        let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8);
        let empty = (is_text && lake.partitioned_by.iter().any(|(of, _)| *of == name)).then_some(lake.empty_partition);
        let is_view = matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView);
        let to = if views && is_view { field.data_type() } else { data_type };
        if to == field.data_type() && empty.is_none() {
            return column.alias(name);
        }
        StoreColumn::new(&lake.name, &name, to.clone(), empty).call(column).alias(name)
    });
    let columns: Vec<Expr> = columns.collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
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
    let session = engine.task_session(files.iter().chain(whole)).await?;
    let mut driving = details.driving.table_files(files)?;
    // Rows mostly stand in the order in which an export numbered its files.
    driving.files.sort_by(|one, other| by_name(&one.uri, &other.uri));
    let driving = FileListTable::of_export(driving, Size::Driving);
    register_counted(&session, &details.driving.table, driving)?;
    for (source, files) in &details.whole {
        let whole = FileListTable::of_export(source.table_files(files)?, Size::AsListed);
        register_counted(&session, &source.table, whole)?;
    }
    register_views(&session, project, &relations(project, &lake.query)?.views).await?;
    let mut select = plan_select(&session.state(), project, lake).await?;
    select.plan = output_plan(&select, lake, &details.planned_at, true)?;
    Ok((session, select))
}
