//! The SELECT as each task runs it: its tables bound to files, `now()` fixed, its columns in types that readers know.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{Expr, SessionContext};

use super::details::PlanDetails;
use super::relations::{register_views, relations};
use crate::config::{LakeTable, Project, Select, freeze_now, plan_select, whole_scan};
use crate::error::{Error, Result};
use crate::group::by_name;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{FileListTable, Size, register};
use crate::width::batch_rows;
use crate::write::unwrap_engine;

/// The SELECT with `now()` fixed.
pub(super) fn freeze(plan: LogicalPlan, planned_at: &str) -> Result<LogicalPlan> {
    let at = DateTime::parse_from_rfc3339(planned_at)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|error| Error::Manifest { uri: "details.planned_at".to_owned(), reason: error.to_string() })?;
    freeze_now(plan, at)
}

/// The SELECT with `now()` fixed and its columns in types that every Parquet reader knows. With `views` text may stay in the
/// engine's own form, which the Parquet writer takes for text.
fn output_plan(plan: LogicalPlan, planned_at: &str, views: bool) -> Result<LogicalPlan> {
    if whole_scan(&plan).is_some() && plan.schema().fields().iter().all(|field| is_stored(field, views)) {
        return Ok(plan);
    }
    let plan = freeze(plan, planned_at)?;
    let columns: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .zip(plan.schema().fields())
        .map(|(column, field)| {
            let name = field.name().clone();
            match stored_type(field.data_type()) {
                Some(stored) if !is_stored(field, views) => cast(Expr::Column(column), stored).alias(name),
                _ => Expr::Column(column).alias(name),
            }
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// Whether values are stored in the type that they have.
fn is_stored(field: &Field, views: bool) -> bool {
    match field.data_type() {
        DataType::Utf8View | DataType::BinaryView => views,
        data_type => stored_type(data_type).is_none(),
    }
}

/// Its columns where no view stays.
pub(super) fn output_schema(plan: &LogicalPlan, planned_at: &str) -> Result<Schema> {
    if whole_scan(plan).is_none() {
        return Ok(output_plan(plan.clone(), planned_at, false)?.schema().as_arrow().clone());
    }
    let stored = |field: &Arc<Field>| match stored_type(field.data_type()) {
        Some(stored) => Arc::new(field.as_ref().clone().with_data_type(stored)),
        None => Arc::clone(field),
    };
    Ok(Schema::new(plan.schema().fields().iter().map(stored).collect::<Vec<_>>()))
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

/// The type to store instead, if there is one that more readers know.
fn stored_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Utf8View | DataType::Null => Some(DataType::Utf8),
        DataType::BinaryView => Some(DataType::Binary),
        DataType::Dictionary(_, values) => Some(stored_type(values).unwrap_or_else(|| values.as_ref().clone())),
        _ => None,
    }
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
    // Rows mostly stand in the order in which an export numbered its files.
    driving.files.sort_by(|one, other| by_name(&one.uri, &other.uri));
    let driving = FileListTable::new(driving, Vec::new(), Size::Driving);
    register(&session, "snapshot", &details.driving.table, driving)?;
    for (source, files) in &details.whole {
        let whole = FileListTable::new(source.table_files(files)?, Vec::new(), Size::AsListed);
        register(&session, "snapshot", &source.table, whole)?;
    }
    register_views(&session, project, &relations(project, &lake.query)?.views).await?;
    let mut select = plan_select(&session.state(), project, lake).await?;
    select.plan = output_plan(select.plan, &details.planned_at, true)?;
    Ok((session, select))
}
