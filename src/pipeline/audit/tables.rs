//! The session that audits run in: the tables that they read, and the helper views.

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::common::TableReference;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use super::{Audit, AuditQuery};
use crate::config::{ColumnSet, FileFormat, Project, StagedCounts, plan_audit, plan_rule};
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
        Self {
            schema,
            files: TableFiles { name, format, schema: file, partition, null_invalid: ColumnSet::None, files },
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;

    use super::super::audits;
    use super::super::tests::AUDITED;
    use super::*;
    use crate::layout::FilePartition;
    use crate::pipeline::in_memory::Job;

    fn table(schema: &'static str, name: &str) -> AuditTable {
        let columns = LakeColumns { file: Arc::new(Schema::empty()), partition: Vec::new() };
        let uri = format!("s3://b/{schema}/{name}").into();
        let file = FileEntry { uri, etag: "e".into(), size: 1, n_record: Some(1), partition: FilePartition::None };
        match schema {
            "snapshot" => {
                let files = AuditTable::of_lake(schema, name, columns, vec![file]).files;
                AuditTable::snapshot(files)
            }
            _ => AuditTable::of_lake(schema, name, columns, vec![file]),
        }
    }

    #[test]
    fn audit_opens_the_files_of_the_tables_that_it_reads_and_no_others() {
        let job = Job::new(AUDITED);
        let audits = audits(job.pipeline.project()).unwrap();
        let tables = [
            table("snapshot", "t"),
            table("staging", "t"),
            table("staging", "u"),
            table("lake", "t"),
            table("lake", "u"),
        ];
        let read = |name: &str| -> Vec<usize> {
            let audit = audits.iter().find(|audit| audit.name == name).unwrap();
            (0..tables.len()).filter(|&at| !tables[at].files_for(audit).is_empty()).collect()
        };
        assert_eq!(read("t.not_null(id)"), [1]);
        assert_eq!(read("audit.source"), [0]);
        assert_eq!(read("audit.of_u"), [2]);
        assert_eq!(read("audit.both"), [1, 2]);
        let source = audits.iter().find(|audit| audit.name == "audit.source").unwrap();
        assert_eq!(table("snapshot", "t").without_files().files_for(source), []);
    }

    #[tokio::test]
    async fn audits_are_registered_as_far_as_their_tables_are_there() {
        let job = Job::new(AUDITED);
        job.put("export/1.csv", "id,k,v\n1,a,x\n").await;
        let project = job.pipeline.project();
        let planned = job.pipeline.plan().await.unwrap().remove(0);
        let columns = planned.columns().unwrap();
        let audits = audits(project).unwrap();
        let both: Vec<&Audit<'_>> = audits.iter().filter(|audit| audit.name == "audit.both").collect();
        let names = async |names: &[&str]| {
            let tables = names.iter().map(|name| AuditTable::of_lake("staging", name, columns.clone(), Vec::new()));
            let session = session(job.pipeline.engine(), project, tables.collect(), &both).await.unwrap();
            register_audits(&session, project).await.unwrap();
            let has = |audit: &&str| session.table_exist(TableReference::partial("audit", *audit)).unwrap();
            ["source", "both"].iter().filter(|audit| has(audit)).copied().collect::<Vec<_>>()
        };
        assert_eq!(names(&["t"]).await, [] as [&str; 0]);
        assert_eq!(names(&["t", "u"]).await, ["both"]);
    }
}
