//! One stage task: the SELECT over one file group, sorted, written, committed.
//!
//! ```text
//! LakeWriteExec      one file per run and partition, or several small partitions
//!   SortRunsExec     runs of bounded size, each in order
//!     the SELECT     over the files of the group
//! ```
//!
//! Two streams write, each with one file open. What a task writes is decided by its files and the committed plan alone,
//! so a retry writes the same files. A task that fails commits nothing. When a value of one of several files cannot be
//! cast, the SELECT is run once more file by file, to name it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use datafusion::arrow::compute::SortOptions;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, execute_stream};
use futures::StreamExt;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::plan::{PlanDetails, PlannedSource, bind, physical_plan};
use crate::config::{LakeTable, Project, Verify};
use crate::error::unwrap_engine;
use crate::error::{Error, Result, TaskStep, caught, within};
use crate::lake::LakeColumns;
use crate::layout::store_error;
use crate::layout::{Location, Step};
use crate::manifest::checksum::Checksum;
use crate::manifest::fingerprint;
use crate::manifest::{FileEntry, Ledger, Manifest, TaskDetails};
use crate::session::Engine;
use crate::session::{bytes_spilled, operators};
use crate::snapshot::{
    ColumnPresence, CountRowsExec, CountedRows, FileListTable, ScanSize, column_presence, counted_rows,
};
use crate::staging::sort::exec::SortRunsExec;
use crate::staging::sort::order::RunOrder;
use crate::write::{
    Bundled, FileEncoding, LakeWriteExec, Numbering, OnRows, RollRule, WriteSpec, collect_files, staging_encoding,
};

/// What a staging file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageDetails {
    /// As of any task.
    #[serde(flatten)]
    pub task: TaskDetails,
    /// Whether `rows_read` are all rows of the group's files: a LIMIT, or a join with nothing, reads fewer.
    pub read_all: bool,
    /// Which columns the group's text files have.
    #[serde(default, skip_serializing_if = "is_default")]
    pub columns: ColumnPresence,
}

/// What is counted of a task's rows, beside its files.
struct TaskRows {
    read: u64,
    read_all: bool,
    selected: u64,
    columns: ColumnPresence,
}

fn is_default(columns: &ColumnPresence) -> bool {
    *columns == ColumnPresence::default()
}

/// What the count of the SELECT's rows goes by; no table has this name.
const SELECTED: &str = "the SELECT";

/// A stage task's surroundings.
#[derive(Clone, Copy)]
pub(crate) struct StageTask<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) project: &'a Project,
    pub(crate) lake: &'a LakeTable,
    pub(crate) ledger: &'a Ledger,
    pub(crate) details: &'a PlanDetails,
    /// Id of the plan.
    pub(crate) plan: &'a str,
    /// Group number, from 1.
    pub(crate) group: usize,
    pub(crate) files: &'a [FileEntry],
}

impl StageTask<'_> {
    /// Runs and commits the task.
    ///
    /// # Errors
    /// [`Error::Task`] with the snapshot file at fault, where there is one.
    pub(crate) async fn run(&self, on_rows: OnRows) -> Result<Manifest<StageDetails>> {
        let failed = |file, source| Error::Task {
            step: TaskStep::Stage,
            table: self.lake.name.clone(),
            group: self.group,
            partition: None,
            file,
            source: Box::new(source),
        };
        match within(self.project.settings.task_timeout, Box::pin(caught(self.write_and_commit(on_rows)))).await {
            Ok(manifest) => Ok(manifest),
            Err(error) => Err(failed(self.locate(&error).await, self.named(error))),
        }
    }

    /// A file that is gone or was changed since it was planned, by name: the engine reports only a key.
    fn named(&self, error: Error) -> Error {
        let (path, reason) = match reported_by_store(&error) {
            Some(object_store::Error::Precondition { path, source }) => (path.clone(), source.to_string()),
            Some(object_store::Error::NotFound { path, .. }) => (path.clone(), "it is gone".to_owned()),
            _ => return error,
        };
        let planned = self.files.iter().chain(self.details.whole.iter().flat_map(|(_, files)| files));
        let mut planned = planned.filter_map(|file| Location::from_uri(&file.uri).ok());
        match planned.find(|file| file.raw_key().trim_matches('/') == path.trim_matches('/')) {
            Some(file) => {
                let (path, source) = (file.to_string(), reason.into());
                store_error("read", &file, object_store::Error::Precondition { path, source })
            }
            None => error,
        }
    }

    async fn write_and_commit(&self, on_rows: OnRows) -> Result<Manifest<StageDetails>> {
        let manifest = self.write(on_rows).await?;
        let target = self.ledger.layout().manifest(Step::StagingFileGroups, self.group);
        self.ledger.check_plan(&self.lake.name, self.plan).await?;
        self.ledger.commit(&target, &manifest).await?;
        Ok(manifest)
    }

    async fn write(&self, on_rows: OnRows) -> Result<Manifest<StageDetails>> {
        let (started, started_at) = (Instant::now(), Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
        let checksum = self.checksum()?;
        let (session, plan) = self.plan(on_rows, checksum.clone()).await?;
        let files = collect_files(Arc::clone(&plan), session.task_ctx()).await.map_err(unwrap_engine)?;
        let rows = self.check_rows(&plan, &files).await?;
        let operators = operators(&plan);
        let task = TaskDetails {
            table: self.lake.name.clone(),
            group: self.group,
            partition: String::new(),
            plan: self.plan.to_owned(),
            rows_read: rows.read,
            rows_written: rows.selected,
            bytes_read: self.files.iter().map(|file| file.size).sum(),
            bytes_spilled: bytes_spilled(&operators),
            seconds: started.elapsed().as_secs_f64(),
            started_at,
            checksums: checksum.map(|checksum| checksum.sums()),
            operators,
        };
        let details = StageDetails { task, read_all: rows.read_all, columns: rows.columns };
        Ok(Manifest::with_statistics(files, details))
    }

    /// Of the columns that are in files; those in the path are seen by their partition.
    fn checksum(&self) -> Result<Option<Arc<Checksum>>> {
        if self.project.settings.verify != Verify::Checksum {
            return Ok(None);
        }
        let output = self.details.output_schema.decode()?;
        let columns = LakeColumns::new(&output, self.lake)?.file;
        let in_files: HashSet<&String> = columns.fields().iter().map(|field| field.name()).collect();
        let places = output.fields().iter().map(|field| field.name().clone()).enumerate();
        Ok(Some(Arc::new(Checksum::new(places.filter(|(_, name)| in_files.contains(name)).collect()))))
    }

    /// The whole task as a physical plan.
    pub(crate) async fn plan(
        &self,
        on_rows: OnRows,
        checksum: Option<Arc<Checksum>>,
    ) -> Result<(datafusion::prelude::SessionContext, Arc<dyn ExecutionPlan>)> {
        let (session, select) = bind(self.engine, self.project, self.lake, self.details, self.files).await?;
        let mut input = physical_plan(&session, &select.plan).await?;
        if input.output_partitioning().partition_count() > 1 {
            input = Arc::new(CoalescePartitionsExec::new(input));
        }
        input = Arc::new(CountRowsExec::new(input, SELECTED.into()));
        let output = self.details.output_schema.decode()?;
        let columns = LakeColumns::new(&output, self.lake)?;
        let folder = self.ledger.layout().staging_data().clone();
        let bundled = self.bundled(&columns);
        let order = self.order(&input, if bundled.is_some() { self.details.bundles } else { 0 })?;
        let spec = WriteSpec {
            table: self.lake.name.clone(),
            store: self.engine.stores().open_scratch(&folder).await?,
            folder,
            file_stem: self.file_stem(),
            partition_columns: columns.partition.iter().map(|field| field.name().clone()).collect(),
            fixed_partition: String::new(),
            planned: HashMap::new(),
            bundled,
            file_schema: Arc::clone(&columns.file),
            encoding: staging_encoding(self.lake, &columns.file)?,
            numbering: if order.is_some() { Numbering::Runs } else { Numbering::Rolling(STAGING_FILES) },
            total_rows: None,
            is_published: false,
            write_empty: false,
            checksum: checksum.clone().filter(|_| order.is_none()),
            on_rows,
        };
        if let Some(order) = order {
            input = Arc::new(SortRunsExec::new(input, Arc::new(order), self.details.run_bytes, checksum));
        }
        Ok((session, Arc::new(LakeWriteExec::new(input, Arc::new(spec)))))
    }

    /// First part of the names of its files: its number, and a hash of all that decides their bytes. A process that
    /// still works on another plan writes none of these, or the same.
    fn file_stem(&self) -> String {
        let PlanDetails { result, run_bytes, bundles, .. } = self.details;
        let hash = Md5::digest(format!("{result} {run_bytes} {bundles} {}", fingerprint(self.files)));
        let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{:06}-{hash}", self.group)
    }

    /// Files of several partitions, if there are partitions, and Parquet has their types.
    fn bundled(&self, columns: &LakeColumns) -> Option<Bundled> {
        let schema = Some(columns.bundled()).filter(|_| !columns.partition.is_empty())?;
        Some(Bundled { encoding: FileEncoding::merged(&schema).ok()?, schema })
    }

    /// What runs are ordered by; `None` if the table has neither partitions nor sort keys.
    fn order(&self, input: &Arc<dyn ExecutionPlan>, bundles: u32) -> Result<Option<RunOrder>> {
        let schema = input.schema();
        let column = |name: &str| schema.index_of(name).map_err(|error| Error::Engine(error.into()));
        let partition = self.lake.partitioned_by.iter().map(|(name, _)| column(name)).collect::<Result<Vec<_>>>()?;
        let keys = self.lake.sorted_by.iter();
        let keys = keys
            .map(|(key, _)| Ok((column(&key.column)?, SortOptions::new(key.descending, key.nulls_first))))
            .collect::<Result<Vec<_>>>()?;
        Ok((!partition.is_empty() || !keys.is_empty()).then_some(RunOrder { partition, keys, bundles }))
    }

    /// Compares what came out of the decoder with what footers and manifests state, and what the SELECT gave with what
    /// was written.
    async fn check_rows(&self, plan: &Arc<dyn ExecutionPlan>, files: &[(FileEntry, String)]) -> Result<TaskRows> {
        let counted = counted_rows(plan);
        let whole = self.details.whole.iter().map(|(source, files)| (source, files.as_slice()));
        for (source, files) in whole.chain([(&self.details.driving, self.files)]) {
            let Some(stated) = files.iter().map(|file| file.n_record).sum::<Option<u64>>() else { continue };
            let of_table = |rows: &&CountedRows| rows.is_of_snapshot(&source.table) && rows.is_complete;
            if let Some(wrong) = counted.iter().filter(of_table).find(|rows| rows.rows != stated) {
                return Err(self.differing_file(source, files, stated, wrong.rows).await?);
            }
        }
        let columns = |table: &str| {
            let mut columns = column_presence(plan, table);
            columns.is_partial = counted.iter().any(|rows| rows.is_of_snapshot(table) && !rows.is_complete);
            columns
        };
        for (source, _) in &self.details.whole {
            self.check_columns(&source.table, &columns(&source.table))?;
        }
        let columns = columns(&self.details.driving.table);
        if self.details.groups == 1 {
            self.check_columns(&self.details.driving.table, &columns)?;
        }
        let selected = counted.iter().find(|rows| &*rows.of == SELECTED).map_or(0, |rows| rows.rows);
        let written = files.iter().filter_map(|(file, _)| file.n_record).sum();
        if selected != written {
            return Err(Error::RowsLost { table: self.lake.name.clone(), given: selected, written });
        }
        let driving = counted.iter().filter(|rows| rows.is_of_snapshot(&self.details.driving.table));
        // A table that the SELECT reads twice is scanned twice.
        let most = driving.max_by_key(|rows| (rows.is_complete, rows.rows));
        Ok(TaskRows {
            read: most.map_or(0, |rows| rows.rows),
            read_all: most.is_some_and(|rows| rows.is_complete),
            selected,
            columns,
        })
    }

    fn check_columns(&self, table: &str, columns: &ColumnPresence) -> Result<()> {
        self.project.snapshot(table).map_or(Ok(()), |declared| columns.check(table, &declared.at))
    }

    /// The error for files that gave other rows than they state: each is read alone, to name the one.
    async fn differing_file(
        &self,
        source: &PlannedSource,
        files: &[FileEntry],
        stated: u64,
        read: u64,
    ) -> Result<Error> {
        // That footers and pages agree is checked when a file is opened.
        let statement = "the manifest that lists it";
        let differs = |uri: &str, stated, read| Error::RowsDiffer {
            of: format!("snapshot.{}", source.table),
            uri: uri.to_owned(),
            statement,
            stated,
            read,
        };
        for file in files {
            let session = self.engine.task_session([file]).await?;
            let table = FileListTable::of_export(source.table_files(std::slice::from_ref(file))?, ScanSize::AsListed);
            let scan = table.scan(&session.state(), None, &[], None).await.map_err(unwrap_engine)?;
            let mut rows = 0;
            let mut batches = execute_stream(scan, session.task_ctx()).map_err(unwrap_engine)?;
            while let Some(batch) = batches.next().await {
                rows += batch.map_err(unwrap_engine)?.num_rows() as u64;
            }
            if let Some(stated) = file.n_record.filter(|stated| *stated != rows) {
                return Ok(differs(&file.uri, stated, rows));
            }
        }
        let names: Vec<&str> = files.iter().take(3).map(|file| &*file.uri).collect();
        Ok(differs(&names.join(", "), stated, read))
    }

    /// The one file of the group on which the SELECT fails by itself, if the error is about data.
    async fn locate(&self, error: &Error) -> Option<String> {
        let (Error::Engine(DataFusionError::ArrowError(..) | DataFusionError::Execution(_))
        | Error::Unstorable { .. }
        | Error::PartitionText { .. }
        | Error::Panicked { .. }) = error
        else {
            return None;
        };
        for file in self.files {
            let alone = StageTask { files: std::slice::from_ref(file), ..*self };
            let (session, select) =
                bind(alone.engine, alone.project, alone.lake, alone.details, alone.files).await.ok()?;
            let plan = physical_plan(&session, &select.plan).await.ok()?;
            let mut rows = execute_stream(plan, session.task_ctx()).ok()?;
            let read = caught(async {
                while let Some(batch) = rows.next().await {
                    batch?;
                }
                Ok(())
            });
            if read.await.is_err() {
                return Some(file.uri.to_string());
            }
        }
        None
    }
}

/// Error of a store, if an error comes from one.
fn reported_by_store<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a object_store::Error> {
    error.downcast_ref().or_else(|| error.source().and_then(reported_by_store))
}

/// Where the files of a table without partitions and order end.
const STAGING_FILES: RollRule = RollRule { target_bytes: 256 << 20, min_bytes: 256 << 20, max_bytes: u64::MAX };
