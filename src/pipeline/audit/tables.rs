//! The session that audits run in: the tables that they read, and the helper views.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::TableReference;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use super::{Audit, AuditQuery};
use crate::config::{FileFormat, Project, StagedCounts, plan_audit, plan_rule};
use crate::error::Result;
use crate::lake::LakeColumns;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{FileListTable, ScanSize, TableFiles, register};
use crate::staging::plan::{register_views, relations};

/// A table as an audit names it.
#[derive(Debug)]
pub(super) struct AuditTable {
    pub(super) schema: &'static str,
    files: TableFiles,
}

impl AuditTable {
    /// `snapshot.t`
    pub(super) fn snapshot(files: TableFiles) -> Self {
        Self { schema: "snapshot", files }
    }

    /// `staging.t` or `lake.t`
    pub(super) fn of_lake(schema: &'static str, name: &str, columns: LakeColumns, files: Vec<FileEntry>) -> Self {
        let LakeColumns { file, partition } = columns;
        let (name, format) = (name.to_owned(), FileFormat::Parquet);
        Self { schema, files: TableFiles { name, format, schema: file, partition, files } }
    }

    /// Its files, if the audit reads it.
    pub(super) fn files_for(&self, audit: &Audit<'_>) -> &[FileEntry] {
        let is_read = match self.schema {
            "snapshot" => audit.reads.snapshots.contains(&self.files.name),
            schema => audit.reads(schema, &self.files.name),
        };
        if is_read { &self.files.files } else { &[] }
    }

    /// The same columns, and no rows.
    pub(super) fn without_files(mut self) -> Self {
        self.files.files = Vec::new();
        self
    }
}

/// A session with these tables and the helper views that the audits read.
pub(super) async fn session(
    engine: &Engine,
    project: &Project,
    tables: Vec<AuditTable>,
    audits: &[&Audit<'_>],
) -> Result<SessionContext> {
    let session = engine.query_session(tables.iter().flat_map(|table| &table.files.files)).await?;
    for AuditTable { schema, files } in tables {
        let name = files.name.clone();
        let table = match schema {
            "snapshot" => FileListTable::of_export(files, ScanSize::AsListed),
            _ => FileListTable::new(files, ScanSize::AsListed),
        };
        register(&session, schema, &name, table)?;
    }
    let views: Vec<String> = audits.iter().flat_map(|audit| audit.reads.views.clone()).collect();
    register_views(&session, project, &views).await?;
    Ok(session)
}

impl Audit<'_> {
    /// Its query over the tables of `session`, checked; `counts` are those of the one table of an audit in WITH.
    pub(super) async fn plan(
        &self,
        session: &SessionContext,
        project: &Project,
        counts: StagedCounts,
    ) -> Result<LogicalPlan> {
        match self.query {
            AuditQuery::View(view) => plan_audit(&session.state(), project, view).await,
            AuditQuery::Rule(lake, rule) => plan_rule(&session.state(), lake, rule, counts).await,
        }
    }
}

/// Registers the audits that are views, as far as a session has what they read.
///
/// # Errors
/// Those of sessions.
pub(crate) async fn register_audits(session: &SessionContext, project: &Project) -> Result<()> {
    for view in project.views.iter().filter(|view| view.schema.is_some()) {
        if !relations(project, &view.query)?.are_in(session)? {
            continue;
        }
        match plan_audit(&session.state(), project, view).await {
            Ok(plan) => {
                let table = ViewTable::new(plan, Some(view.shown.to_string()));
                session.register_table(TableReference::partial("audit", view.name.as_str()), Arc::new(table))?;
            }
            // What it reads can still be asked, to find out what is wrong with it.
            Err(error) => tracing::warn!(audit = view.name, %error, "left out an audit"),
        }
    }
    Ok(())
}
