//! How the audits of each table stand, for people who look: from what is remembered of them, without reading a row.
//!
//! What was found counts while nothing has changed that an audit reads. Afterwards, and while it reads a table that is
//! not complete, it is stale; an audit that nothing is remembered of has not run.

use std::collections::HashMap;

use super::inputs::{complete, fingerprint};
use super::record::Records;
use super::{Audit, Query, audits};
use crate::config::Project;
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

/// How an audit of a table stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStatus {
    /// Which.
    pub view: AuditView,
    /// How it stands.
    pub state: AuditState,
    /// Rows that it found when it ran last.
    pub rows: Option<u64>,
    /// When that was, RFC 3339.
    pub audited_at: Option<String>,
}

/// Whether an audit passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditState {
    /// Nobody knows: it never ran, or before it was in the config.
    NotRun,
    /// It found no rows in what is staged now.
    Passed,
    /// It found rows in what is staged now.
    Failed,
    /// It ran, but its text has changed since, or what it reads.
    Stale,
}

impl AuditState {
    /// The word for it in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotRun => "not_run",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Stale => "stale",
        }
    }
}

impl AuditView {
    fn of(audit: &Audit<'_>) -> Self {
        let kind = match audit.query {
            Query::View(_) => "view",
            Query::Rule(_, rule) => rule.check.property(),
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

/// How the audits of each table stand; a config without audits costs no request.
///
/// # Errors
/// As [`views`]; those of the ledger.
pub(crate) async fn statuses(engine: &Engine, project: &Project) -> Result<HashMap<String, Vec<AuditStatus>>> {
    let audits = audits(project)?;
    let records = Records::read(engine, project, &audits).await?;
    let inputs = if records.is_empty() { Vec::new() } else { complete(engine, project, &audits).await? };
    let mut statuses: HashMap<String, Vec<AuditStatus>> = HashMap::new();
    for audit in &audits {
        let has_all = audit.inputs(project).all(|(schema, lake)| inputs.iter().any(|input| input.is(schema, lake)));
        let fingerprint = has_all.then(|| fingerprint(project, audit, &inputs));
        for table in &audit.gates {
            let entry = records.of(audit, table);
            let state = match entry {
                None => AuditState::NotRun,
                Some(entry) if fingerprint.as_ref() != Some(&entry.fingerprint) => AuditState::Stale,
                Some(entry) if entry.rows == 0 => AuditState::Passed,
                Some(_) => AuditState::Failed,
            };
            statuses.entry(table.name.clone()).or_default().push(AuditStatus {
                view: AuditView::of(audit),
                state,
                rows: entry.map(|entry| entry.rows),
                audited_at: entry.map(|entry| entry.audited_at.clone()),
            });
        }
    }
    Ok(statuses)
}
