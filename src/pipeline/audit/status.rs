//! State of the audits of each table, for people who look: from what is remembered of them, without reading a row.
//!
//! What was found counts while nothing has changed that an audit reads. Afterwards, and while it reads a table that is
//! not complete, it is stale; an audit that nothing is remembered of has not run.

use std::collections::HashMap;

use serde::Serialize;

use super::inputs::{complete, fingerprint};
use super::record::{Entry, Records};
use super::{Audit, AuditQuery, audits};
use crate::config::{LakeTable, Project};
use crate::error::Result;
use crate::session::Engine;

/// An audit that holds back a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditView {
    /// Its name: `audit.name` of a view, `table.property(column)` of a property.
    pub audit: String,
    /// The property in WITH, such as `not_null`; `view` of a CREATE VIEW.
    pub kind: &'static str,
}

/// State of an audit of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStatus {
    /// Name and kind of the audit.
    pub view: AuditView,
    /// Whether it passed, and over the current staging files.
    pub state: AuditState,
    /// Rows that it found when it ran last.
    pub rows: Option<u64>,
    /// When that was, RFC 3339.
    pub audited_at: Option<String>,
}

/// Whether an audit passes; the worst first. JSON has the names in snake case, such as `not_run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditState {
    /// It found rows in the current staging lake.
    Failed,
    /// Its query or its input changed after it ran.
    Stale,
    /// It did not run since it is in the config.
    NotRun,
    /// It found no rows in the current staging lake.
    Passed,
}

/// What is known of an audit, over all of the chosen tables that it holds back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AuditSummary {
    /// Its name, as in [`AuditView`].
    audit: String,
    /// The tables, in the order of the config.
    tables: Vec<String>,
    /// The worst state of its tables; the following fields are those of that table.
    state: AuditState,
    /// Rows that it found when it ran.
    rows: Option<u64>,
    /// Wall time.
    seconds: Option<f64>,
    /// When it ran, RFC 3339.
    audited_at: Option<String>,
    /// Parquet file with the first rows that it found.
    rows_at: Option<String>,
}

impl AuditView {
    fn of(audit: &Audit<'_>) -> Self {
        let kind = match audit.query {
            AuditQuery::View(_) => "view",
            AuditQuery::Rule(_, rule) => rule.check.property(),
        };
        Self { audit: audit.name.clone(), kind }
    }
}

/// The audits that hold back a table, in the order of the config.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) for an audit that could never run.
pub(crate) fn views(project: &Project, table: &str) -> Result<Vec<AuditView>> {
    let audits = audits(project)?;
    let of_table = audits.iter().filter(|audit| audit.gates.iter().any(|lake| lake.name == table));
    Ok(of_table.map(AuditView::of).collect())
}

/// An audit by the record of one of the tables that it holds back.
struct Standing<'a> {
    table: &'a LakeTable,
    state: AuditState,
    entry: Option<&'a Entry>,
}

/// Calls `on_audit` with the state of each audit by the record of each table; a config without audits costs no request.
async fn stand(
    engine: &Engine,
    project: &Project,
    mut on_audit: impl FnMut(&Audit<'_>, &[Standing<'_>]),
) -> Result<()> {
    let audits = audits(project)?;
    let records = Records::readable(engine, project, &audits).await?;
    let inputs = if records.is_empty() { Vec::new() } else { complete(engine, project, &audits).await? };
    for audit in &audits {
        let has_all = audit.inputs(project).all(|(schema, lake)| inputs.iter().any(|input| input.is(schema, lake)));
        let fingerprint = has_all.then(|| fingerprint(project, audit, &inputs)).transpose()?;
        let of_table = |&table| {
            let entry = records.of(audit, table);
            let state = match entry {
                None => AuditState::NotRun,
                Some(entry) if fingerprint.as_ref() != Some(&entry.fingerprint) => AuditState::Stale,
                Some(entry) if entry.rows == 0 => AuditState::Passed,
                Some(_) => AuditState::Failed,
            };
            Standing { table, state, entry }
        };
        on_audit(audit, &audit.gates.iter().map(of_table).collect::<Vec<_>>());
    }
    Ok(())
}

/// State of the audits of each table.
///
/// # Errors
/// As [`views`]; those of the ledger.
pub(crate) async fn statuses(engine: &Engine, project: &Project) -> Result<HashMap<String, Vec<AuditStatus>>> {
    let mut statuses: HashMap<String, Vec<AuditStatus>> = HashMap::new();
    let on_audit = |audit: &Audit<'_>, standings: &[Standing<'_>]| {
        for &Standing { table, state, entry } in standings {
            statuses.entry(table.name.clone()).or_default().push(AuditStatus {
                view: AuditView::of(audit),
                state,
                rows: entry.map(|entry| entry.rows),
                audited_at: entry.map(|entry| entry.audited_at.clone()),
            });
        }
    };
    stand(engine, project, on_audit).await?;
    Ok(statuses)
}

/// What is known of all audits that hold back the project's tables.
///
/// # Errors
/// As [`statuses`].
pub(crate) async fn known(engine: &Engine, project: &Project) -> Result<Vec<AuditSummary>> {
    let mut known = Vec::new();
    let on_audit = |audit: &Audit<'_>, standings: &[Standing<'_>]| {
        known.extend(standings.iter().min_by_key(|standing| standing.state).map(
            |&Standing { state, entry, .. }| AuditSummary {
                audit: audit.name.clone(),
                tables: audit.tables(),
                state,
                rows: entry.map(|entry| entry.rows),
                seconds: entry.map(|entry| entry.seconds),
                audited_at: entry.map(|entry| entry.audited_at.clone()),
                rows_at: entry.and_then(|entry| entry.rows_at.clone()),
            },
        ));
    };
    stand(engine, project, on_audit).await?;
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{AUDITED, staged};
    use super::*;
    use crate::layout::Step;
    use crate::pipeline::in_memory::Job;

    /// How the audits of a table stand, in the order of the config.
    async fn states(job: &Job, table: &str) -> Vec<AuditState> {
        let all = statuses(job.pipeline.engine(), job.pipeline.project()).await.unwrap();
        all[table].iter().map(|status| status.state).collect()
    }

    #[tokio::test]
    async fn audit_is_not_run_then_passed_then_stale_and_failed_when_it_found_rows() {
        use AuditState::{Failed, NotRun, Passed, Stale};
        let job = staged(AUDITED).await;
        assert_eq!(states(&job, "t").await, [NotRun; 3]);
        job.pipeline.audit().await.unwrap();
        assert_eq!(states(&job, "t").await, [Passed; 3]);
        assert_eq!(states(&job, "u").await, [Passed; 3]);
        let more = format!("{AUDITED} CREATE VIEW audit.x AS SELECT id FROM staging.t;");
        let more = job.again(&more.replace("t.v <> u.v", "t.v = u.v"), "2026-01-31T00:00:00Z");
        assert_eq!(states(&more, "t").await, [Passed, Passed, Stale, NotRun]);
        more.pipeline.audit().await.unwrap_err();
        assert_eq!(states(&more, "t").await, [Passed, Passed, Failed, Failed]);
        // A task less: what reads the table is stale, whatever it came to.
        let ledger = job.ledger().await;
        ledger.revoke(&ledger.layout().manifest(Step::StagingFileGroups, 1)).await.unwrap();
        assert_eq!(states(&more, "t").await, [Stale, Passed, Stale, Stale]);
    }

    #[tokio::test]
    async fn of_records_that_differ_the_worst_is_known() {
        let job = staged(AUDITED).await;
        job.pipeline.audit().await.unwrap();
        let known = async || {
            let known = known(job.pipeline.engine(), job.pipeline.project()).await.unwrap();
            known.into_iter().map(|known| (known.audit, known.state)).collect::<HashMap<_, _>>()
        };
        assert!(known().await.values().all(|state| *state == AuditState::Passed));
        job.delete(job.ledger().await.layout().audits().raw_key()).await;
        let known = known().await;
        // Of `t` nothing is remembered, of `u` all is.
        assert_eq!([known["audit.both"], known["audit.of_u"]], [AuditState::NotRun, AuditState::Passed]);
        assert!(AuditState::Failed < AuditState::Stale && AuditState::Stale < AuditState::NotRun);
    }

    #[test]
    fn audits_of_a_table_have_the_order_of_the_config_and_their_kind() {
        let job = Job::new(AUDITED);
        let kinds = |table| -> Vec<(String, &str)> {
            let views = views(job.pipeline.project(), table).unwrap();
            views.into_iter().map(|view| (view.audit, view.kind)).collect()
        };
        let expected = [("t.not_null(id)", "not_null"), ("audit.source", "view"), ("audit.both", "view")];
        assert_eq!(kinds("t"), expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(kinds("u").len(), 3);
        assert_eq!(kinds("none"), []);
    }
}
