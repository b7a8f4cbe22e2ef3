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

#[cfg(test)]
mod tests {
    use super::super::tests::AUDITED;
    use super::*;
    use crate::error::Error;
    use crate::pipeline::in_memory::Job;

    /// What is wrong with the audits of the chosen tables, before anything is staged.
    async fn mistake_of(chosen: &[&str], tables: &str) -> Option<String> {
        let job = Job::new(tables);
        job.put("export/1.csv", "id,k,v\n1,a,x\n").await;
        let (engine, mut project) = (job.pipeline.engine(), job.pipeline.project().clone());
        project.select_tables(&chosen.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        let (project, planner) = (&project, Planner::new(engine, &project));
        let mut plans = Vec::new();
        for lake in &project.lakes {
            plans.push(planner.plan(lake).await.unwrap());
        }
        match check(engine, project, &planner, &plans.iter().collect::<Vec<_>>()).await {
            Ok(()) => None,
            Err(Error::Config { problem, .. }) => Some(problem.to_string()),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn mistake(tables: &str) -> Option<String> {
        mistake_of(&["t", "u"], tables).await
    }

    #[tokio::test]
    async fn audits_that_can_run_are_no_mistake_before_there_is_a_row() {
        assert_eq!(mistake(AUDITED).await, None);
        // It reads the lake of a table that was not chosen.
        let lake = "CREATE VIEW audit.x AS SELECT s.id FROM staging.t AS s JOIN lake.u AS l ON s.id = l.id;";
        assert_eq!(mistake_of(&["t"], &format!("{AUDITED} {lake}")).await, None);
    }

    #[tokio::test]
    async fn column_function_or_type_that_there_is_none_of_is_a_mistake_of_the_audit() {
        for (from, to, word) in [
            ("t.v <> u.v", "t.w <> u.v", "w"),
            ("t.v <> u.v", "no_function(t.v)", "no_function"),
            ("staging.u WHERE id < 0", "staging.u WHERE ident < 0", "ident"),
            ("not_null = ARRAY['id']", "not_null = ARRAY['idd']", "idd"),
        ] {
            let message = mistake(&AUDITED.replace(from, to)).await;
            assert!(message.as_ref().is_some_and(|message| message.contains(word)), "{to}: {message:?}");
        }
    }
}
