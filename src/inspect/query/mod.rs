//! One SQL session over everything that a project has so far: `snapshot.*`, `staging.*`, `lake.*` and `manifest.*`.
//!
//! Only committed files are seen: staging and lake tables are the files that manifests of one plan list when the
//! session begins, so a table can be queried while it is being staged, and the same row is never seen twice. Of the
//! lake, partitions are seen that are whole ([`committed`]). Partition columns have their real types and NULLs. Of
//! these files a query opens those that its filters leave ([`prune`]), and none for what manifests answer ([`index`]).
//! Local files are compared with their hashes before they are read, unless they are as old as a proven lake. The
//! session is read-only ([`guard`]).

pub(crate) mod committed;
pub(crate) mod guard;
pub(crate) mod index;
pub(crate) mod manifests;
pub(crate) mod mistakes;
pub(crate) mod prune;
pub(crate) mod table;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion_cli::cli_context::CliSessionContext;
use object_store::ObjectStore;

pub(crate) use self::committed::Committed;
use self::committed::{CommittedTable, CommittedTask};
pub(crate) use self::index::FileIndex;
use self::manifests::{FileRow, StatisticsStream, TaskRow, files, tasks};
use self::table::ManifestTable;
use crate::concurrency::read_tables;
use crate::config::{ColumnSet, FileFormat, Held};
use crate::error::Result;
use crate::lake::HiveLake;
use crate::layout::Step;
use crate::manifest::{FileEntry, TaskDetails};
use crate::pipeline::Pipeline;
use crate::pipeline::audit::register_audits;
use crate::session::ContentCheck;
use crate::snapshot::TableFiles;
use crate::staging::plan::{Planner, StagePlan, register_helpers};

/// A read-only session, also for `datafusion-cli`'s shell.
pub(crate) struct QuerySession {
    session: SessionContext,
    /// Values of the environment in views.
    held: Vec<Held>,
}

/// Names in `manifest` of the tables of files.
const FILE_TABLES: [&str; 5] =
    ["snapshot_files", "snapshot_file_groups", "staging_files", "partition_file_groups", "lake_files"];

/// What the session will hold.
#[derive(Default)]
struct QueryTables {
    snapshots: HashMap<String, TableFiles>,
    tables: Vec<(&'static str, String, ManifestTable, ContentCheck)>,
    files: HashMap<&'static str, Vec<FileRow>>,
    tasks: Vec<TaskRow>,
}

impl QuerySession {
    /// Registers all tables of a project as far as they exist.
    ///
    /// # Errors
    /// Those of planning and of the ledger.
    pub(crate) async fn open(pipeline: &Pipeline) -> Result<Self> {
        let project = pipeline.project();
        let planner = Planner::new(pipeline.engine(), project);
        let mut found = QueryTables::default();
        let states = project.lakes.iter().map(|lake| async {
            let Some(state) = CommittedTable::read(&planner, lake).await? else { return Ok(None) };
            let check = content_check(pipeline, &state).await?;
            Ok(Some((state, check)))
        });
        for (state, check) in read_tables(states).await?.into_iter().flatten() {
            found.add(state, check)?;
        }
        let others = project.snapshots.iter().filter(|snapshot| !found.snapshots.contains_key(&snapshot.name));
        let others: Vec<_> = others.collect();
        let looked_up = others.iter().map(|snapshot| async { Ok(planner.find(&snapshot.name).await) });
        for (snapshot, looked_up) in others.iter().zip(read_tables(looked_up).await?) {
            match looked_up {
                Ok(Some(table)) => {
                    found.snapshots.insert(snapshot.name.clone(), table);
                }
                Ok(None) => {}
                // All other tables can still be asked.
                Err(error) => tracing::warn!(table = snapshot.name, %error, "left out a snapshot table"),
            }
        }
        let QueryTables { snapshots, mut tables, files: mut rows, tasks: task_rows } = found;
        for (name, table) in snapshots {
            let table = ManifestTable::new("snapshot", table, Vec::new());
            tables.push(("snapshot", name, table, ContentCheck::Never));
        }
        let listed = tables.iter().flat_map(|(.., table, check)| table.index().files.iter().map(|file| (file, *check)));
        let session = pipeline.engine().checked_query_session(listed).await?;
        let written = tables.iter().filter(|(schema, ..)| *schema != "snapshot");
        let written = written.map(|(_, name, table, _)| (name.clone(), Arc::clone(table.index()))).collect();
        let statistics = StatisticsStream::table(written)?;
        session.register_table(TableReference::partial("manifest", "column_statistics"), Arc::new(statistics))?;
        session.register_table(TableReference::partial("manifest", "tasks"), Arc::new(tasks(&task_rows)?))?;
        for name in FILE_TABLES {
            let table = files(&rows.remove(name).unwrap_or_default())?;
            session.register_table(TableReference::partial("manifest", name), Arc::new(table))?;
        }
        for (schema, name, table, _) in tables {
            session.register_table(TableReference::partial(schema, name), Arc::new(table))?;
        }
        register_helpers(&session, project).await?;
        register_audits(&session, project).await?;
        Ok(Self { session, held: project.views.iter().flat_map(|view| view.held.clone()).collect() })
    }

    /// The statements of a text.
    ///
    /// # Errors
    /// Of its syntax, with line and column.
    pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>, DataFusionError> {
        Ok(DFParserBuilder::new(sql).build()?.parse_statements()?.into_iter().collect())
    }

    /// Plans a statement and begins to run it; what it gives streams.
    ///
    /// # Errors
    /// Of planning, and of a statement that may not be run; names that nothing has come with the nearest ones.
    pub(crate) async fn run(&self, statement: Statement) -> Result<SendableRecordBatchStream, DataFusionError> {
        self.begin(statement).await.map_err(|error| mistakes::explained(error, &self.session))
    }

    async fn begin(&self, statement: Statement) -> Result<SendableRecordBatchStream, DataFusionError> {
        let plan = self.session.state().statement_to_plan(statement).await?;
        let plan = self.execute_logical_plan(plan).await?.create_physical_plan().await?;
        execute_stream(plan, self.session.task_ctx())
    }
}

/// How lake files are checked: what was proven is as its manifest says at that time.
async fn content_check(pipeline: &Pipeline, state: &CommittedTable) -> Result<ContentCheck> {
    let layout = state.plan.ledger.layout();
    if !layout.lake().is_local() {
        // The clock of a store is another one.
        return Ok(ContentCheck::Always);
    }
    let completed = HiveLake::open(pipeline.engine().stores(), layout).await?.completed_at().await?;
    Ok(completed.map_or(ContentCheck::Always, ContentCheck::IfChangedAfter))
}

impl QueryTables {
    /// Adds all that a planned table has.
    fn add(&mut self, state: CommittedTable, check: ContentCheck) -> Result<()> {
        let CommittedTable { plan, snapshot_groups, staged, partitions, mut published } = state;
        self.add_sources(&plan)?;
        let name = &plan.lake.name;
        let rows = plan.groups.files().iter().map(|file| (name.clone(), None, file.clone()));
        self.files.entry("snapshot_files").or_default().extend(rows);
        self.add_files("snapshot_file_groups", name, &snapshot_groups);
        self.add_files("staging_files", name, &staged);
        let groups = (1..).zip(plan.groups.iter());
        let groups = groups.map(|(number, files)| (number, None, CommittedTask::of(files, ())));
        // Nothing proves staging files anew when the mark is put again.
        self.add_written("staging", &plan, staged, groups.collect(), ContentCheck::Always)?;
        self.add_files("partition_file_groups", name, &partitions);
        self.add_files("lake_files", name, &published);
        published.retain_whole_partitions(&partitions.tasks);
        let groups = partitions.tasks.into_iter().map(|(number, CommittedTask { files, bytes, rows, details })| {
            (number, Some(details.partition), CommittedTask { files, bytes, rows, details: () })
        });
        self.add_written("lake", &plan, published, groups.collect(), check)
    }

    fn add_files<D>(&mut self, table: &'static str, name: &str, committed: &Committed<D>) {
        let files = committed.groups.iter().zip(&committed.files);
        let rows = files.map(|(&group, file)| (name.to_owned(), Some(group), file.clone()));
        self.files.entry(table).or_default().extend(rows);
    }

    /// Files that tasks wrote, as a table of their rows, and the tasks.
    fn add_written(
        &mut self,
        schema: &'static str,
        plan: &StagePlan,
        mut committed: Committed<TaskDetails>,
        planned: Vec<(usize, Option<String>, CommittedTask<()>)>,
        check: ContentCheck,
    ) -> Result<()> {
        let name = &plan.lake.name;
        let step = if schema == "lake" { Step::DatalakeFileGroups } else { Step::StagingFileGroups };
        let columns = plan.columns()?;
        let files = TableFiles {
            name: name.clone(),
            format: FileFormat::Parquet,
            schema: columns.file,
            partition: columns.partition,
            null_invalid: ColumnSet::None,
            files: std::mem::take(&mut committed.files),
        };
        let statistics = std::mem::take(&mut committed.statistics);
        let table = ManifestTable::new(schema, files, statistics);
        self.tables.push((schema, name.clone(), table, check));
        self.tasks.extend(TaskRow::of_step(name, step, planned, committed));
        Ok(())
    }

    fn add_sources(&mut self, plan: &StagePlan) -> Result<()> {
        let driving: Vec<FileEntry> = plan.groups.files().to_vec();
        let whole = plan.details.whole.iter().map(|(source, files)| (source, files.clone()));
        for (source, files) in whole.chain([(&plan.details.driving, driving)]) {
            let of_files = source.table_files(&files)?;
            self.snapshots.entry(source.table.clone()).or_insert(of_files);
        }
        Ok(())
    }
}

#[async_trait]
impl CliSessionContext for QuerySession {
    fn task_ctx(&self) -> Arc<TaskContext> {
        self.session.task_ctx()
    }

    fn session_state(&self) -> SessionState {
        self.session.state()
    }

    fn register_object_store(&self, _: &url::Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn register_table_options_extension_from_scheme(&self, _: &str) {}

    async fn execute_logical_plan(&self, plan: LogicalPlan) -> Result<DataFrame, DataFusionError> {
        guard::check(&plan, &self.held)?;
        self.session.execute_logical_plan(plan).await
    }
}
