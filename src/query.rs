//! One SQL session over everything that a project has so far: `snapshot.*`, `staging.*`, `lake.*` and `manifest.*`.
//!
//! Only committed files are seen: staging and lake tables are the files that manifests list, so a table can be queried
//! while it is being staged, and the same row is never seen twice. Partition columns have their real types and NULLs.
//! The session is read-only: statements that write or create are refused.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion_cli::cli_context::CliSessionContext;
use futures::TryStreamExt;
use object_store::ObjectStore;
use serde_json::Value;

use crate::audit::register_audits;
use crate::config::FileFormat;
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::FileEntry;
use crate::pipeline::Pipeline;
use crate::snapshot::{FileListTable, Size, TableFiles, register};
use crate::staging::plan::{Planner, StagePlan, register_helpers};

/// A read-only session for `datafusion-cli`'s shell and printers.
pub(crate) struct QuerySession(SessionContext);

/// Names in `manifest` and the step whose manifests they show.
const MANIFEST_TABLES: [(&str, Step); 4] = [
    ("snapshot_file_groups", Step::SnapshotFileGroups),
    ("staging_files", Step::StagingFileGroups),
    ("partition_file_groups", Step::PartitionFileGroups),
    ("lake_files", Step::DatalakeFileGroups),
];

/// A row of a manifest table: lake table, group, file.
type Row = (String, Option<u64>, FileEntry);

impl QuerySession {
    /// Registers all tables of a project as far as they exist.
    ///
    /// # Errors
    /// Those of planning and of the ledger.
    pub(crate) async fn open(pipeline: &Pipeline) -> Result<Self> {
        let project = pipeline.project();
        let mut planner = Planner::new(pipeline.engine(), project);
        let mut tables: Vec<(&str, FileListTable)> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut files: Vec<FileEntry> = Vec::new();
        let mut manifests: HashMap<&str, Vec<Row>> = HashMap::new();
        let mut snapshots: HashMap<String, TableFiles> = HashMap::new();
        for lake in &project.lakes {
            let Some(plan) = planner.committed(lake).await? else { continue };
            remember_sources(&plan, &mut snapshots)?;
            let rows = plan.groups.files().iter().map(|file| (lake.name.clone(), None, file.clone()));
            manifests.entry("snapshot_files").or_default().extend(rows);
            let columns = plan.columns()?;
            for (name, step) in MANIFEST_TABLES {
                let committed = committed_files(&plan, step).await?;
                let schema = match step {
                    Step::StagingFileGroups => "staging",
                    Step::DatalakeFileGroups => "lake",
                    _ => "",
                };
                if !schema.is_empty() {
                    let of_table: Vec<_> = committed.iter().map(|(_, file)| file.clone()).collect();
                    files.extend(of_table.iter().cloned());
                    let table = TableFiles {
                        name: lake.name.clone(),
                        format: FileFormat::Parquet,
                        schema: Arc::clone(&columns.file),
                        files: of_table,
                    };
                    tables.push((schema, FileListTable::new(table, columns.partition.clone(), Size::AsListed)));
                    names.push(lake.name.clone());
                }
                let rows = committed.into_iter().map(|(number, file)| (lake.name.clone(), Some(number as u64), file));
                manifests.entry(name).or_default().extend(rows);
            }
        }
        for snapshot in &project.snapshots {
            if snapshots.contains_key(&snapshot.name) {
                continue;
            }
            match planner.find(&snapshot.name).await {
                Ok(Some(found)) => {
                    snapshots.insert(snapshot.name.clone(), found.clone());
                }
                Ok(None) => {}
                // All other tables can still be asked.
                Err(error) => tracing::warn!(table = snapshot.name, %error, "left out a snapshot table"),
            }
        }
        files.extend(snapshots.values().flat_map(|table| table.files.iter().cloned()));
        let session = pipeline.engine().query_session(&files).await?;
        for (name, table) in snapshots {
            register(&session, "snapshot", &name, FileListTable::new(table, Vec::new(), Size::AsListed))?;
        }
        for ((schema, table), name) in tables.into_iter().zip(names) {
            register(&session, schema, &name, table)?;
        }
        for name in ["snapshot_files"].into_iter().chain(MANIFEST_TABLES.map(|(name, _)| name)) {
            let table = manifest_table(&manifests.remove(name).unwrap_or_default())?;
            session.register_table(TableReference::partial("manifest", name), Arc::new(table))?;
        }
        register_helpers(&session, project).await?;
        register_audits(&session, project).await?;
        Ok(Self(session))
    }

    fn refuse_writing(plan: &LogicalPlan) -> Result<(), DataFusionError> {
        let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).verify_plan(plan);
        // The engine's own words name its plan nodes.
        allowed.map_err(|_| {
            DataFusionError::Plan("query is read-only: statements that create, write or drop are refused".to_owned())
        })
    }
}

fn remember_sources(plan: &StagePlan, snapshots: &mut HashMap<String, TableFiles>) -> Result<()> {
    let driving: Vec<FileEntry> = plan.groups.files().to_vec();
    let whole = plan.details.whole.iter().map(|(source, files)| (source, files.clone()));
    for (source, files) in whole.chain([(&plan.details.driving, driving)]) {
        snapshots.entry(source.table.clone()).or_insert(TableFiles {
            name: source.table.clone(),
            format: source.format.clone(),
            schema: source.schema.decode()?,
            files,
        });
    }
    Ok(())
}

async fn committed_files(plan: &StagePlan, step: Step) -> Result<Vec<(usize, FileEntry)>> {
    let mut files = Vec::new();
    let done = plan.ledger.done(step).await?;
    let mut manifests = plan.ledger.read_all::<Value>(step, done);
    while let Some((number, manifest)) = manifests.try_next().await? {
        files.extend(manifest.into_iter().flat_map(|manifest| manifest.files).map(|file| (number, file)));
    }
    Ok(files)
}

fn manifest_table(rows: &[Row]) -> Result<MemTable> {
    let text = |value: fn(&Row) -> Option<&str>| Arc::new(rows.iter().map(value).collect::<StringArray>()) as ArrayRef;
    let number = |value: fn(&Row) -> Option<u64>| Arc::new(rows.iter().map(value).collect::<UInt64Array>()) as ArrayRef;
    let columns = [
        ("table_name", DataType::Utf8, text(|row| Some(&row.0))),
        ("group_number", DataType::UInt64, number(|row| row.1)),
        ("uri", DataType::Utf8, text(|row| Some(&row.2.uri))),
        ("etag", DataType::Utf8, text(|row| Some(&row.2.etag))),
        ("size", DataType::UInt64, number(|row| Some(row.2.size))),
        ("n_record", DataType::UInt64, number(|row| row.2.n_record)),
        ("partition", DataType::Utf8, text(|row| row.2.partition.as_deref())),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| Error::Engine(error.into()))?;
    Ok(MemTable::try_new(schema, vec![vec![batch]])?)
}

#[async_trait]
impl CliSessionContext for QuerySession {
    fn task_ctx(&self) -> Arc<TaskContext> {
        self.0.task_ctx()
    }

    fn session_state(&self) -> SessionState {
        self.0.state()
    }

    fn register_object_store(&self, _: &url::Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn register_table_options_extension_from_scheme(&self, _: &str) {}

    async fn execute_logical_plan(&self, plan: LogicalPlan) -> Result<DataFrame, DataFusionError> {
        Self::refuse_writing(&plan)?;
        self.0.execute_logical_plan(plan).await
    }
}
