//! Audits are planned before any data is read, over tables that have columns and no rows.

use super::tables::{AuditTable, session};
use super::{Audit, SCHEMAS, audits};
use crate::config::{Project, StagedCounts, check_rules};
use crate::error::Result;
use crate::session::Engine;
use crate::staging::plan::{Planner, StagePlan};

/// Whether all audits that hold back the planned tables can run: their tables, columns, functions and types exist.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) at the place of the first mistake; those of planning a table that
/// only an audit reads.
pub(crate) async fn check(
    engine: &Engine,
    project: &Project,
    planner: &Planner<'_>,
    plans: &[&StagePlan],
) -> Result<()> {
    let audits = audits(project)?;
    for plan in plans {
        check_rules(plan.details.output_schema.decode()?.as_ref(), &plan.lake)?;
    }
    let all: Vec<&Audit<'_>> = audits.iter().collect();
    if all.is_empty() {
        return Ok(());
    }
    let tables = tables(project, planner, plans, &all).await?;
    let session = session(engine, project, tables, &all).await?;
    for audit in &all {
        audit.plan(&session, project, StagedCounts::default()).await?;
    }
    Ok(())
}

/// What the audits read, without rows; a name that is none of ours is left to the planner.
async fn tables(
    project: &Project,
    planner: &Planner<'_>,
    plans: &[&StagePlan],
    audits: &[&Audit<'_>],
) -> Result<Vec<AuditTable>> {
    let mut tables = Vec::new();
    for lake in project.all_lakes() {
        let is_read = |schema: &&'static str| audits.iter().any(|audit| audit.reads(schema, &lake.name));
        let schemas: Vec<&'static str> = SCHEMAS.into_iter().filter(is_read).collect();
        if schemas.is_empty() {
            continue;
        }
        let columns = match plans.iter().find(|plan| plan.lake.name == lake.name) {
            Some(plan) => plan.columns()?,
            None => planner.plan(lake).await?.columns()?,
        };
        for schema in schemas {
            tables.push(AuditTable::of_lake(schema, &lake.name, columns.clone(), Vec::new()));
        }
    }
    tables.extend(snapshots(planner, plans, audits).await?.into_iter().map(AuditTable::without_files));
    Ok(tables)
}

/// The snapshot tables that the audits read, as they were planned; those that no plan has are looked up.
pub(super) async fn snapshots(
    planner: &Planner<'_>,
    plans: &[&StagePlan],
    audits: &[&Audit<'_>],
) -> Result<Vec<AuditTable>> {
    let mut names: Vec<&String> = audits.iter().flat_map(|audit| &audit.reads.snapshots).collect();
    names.sort_unstable();
    names.dedup();
    let mut tables = Vec::new();
    for name in names {
        let planned = plans.iter().find_map(|plan| plan.source(name).transpose()).transpose()?;
        let table = match planned {
            None => planner.find(name).await?,
            planned => planned,
        };
        tables.extend(table.map(AuditTable::snapshot));
    }
    Ok(tables)
}
