//! One stage task: the SELECT over one file group, sorted, written, committed.
//!
//! The engine sorts within the process's memory pool and spills; the writer has one file open. What a task writes is
//! decided by its files and the committed plan alone, so a retry writes the same files. A task that fails commits
//! nothing. When a value of one of several files cannot be cast, the SELECT is run once more file by file, to name it.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, execute_stream};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::plan::{PlanDetails, bind};
use crate::config::{FileFormat, LakeTable, Project};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::{FileEntry, Ledger, Manifest};
use crate::session::Engine;
use crate::write::{
    LakeColumns, LakeWriteExec, OnRows, OrdinalExec, RollRule, WriteSpec, collect_files, unwrap_engine,
};

/// Row groups of staging files: large enough to read well, small enough to hold one per task.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// What a staging file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageDetails {
    /// Lake table.
    pub table: String,
    /// Number of the snapshot file group.
    pub group: usize,
    /// Id of the plan that it belongs to.
    pub plan: String,
    /// Rows of the group's snapshot files.
    pub rows_read: u64,
    /// Rows that the SELECT gave.
    pub rows_written: u64,
    /// Bytes of the group's snapshot files.
    pub bytes_read: u64,
    /// Bytes that sorting put on disk.
    pub bytes_spilled: u64,
    /// Wall time of the task.
    pub seconds: f64,
}

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
            step: "stage",
            table: self.lake.name.clone(),
            group: self.group,
            file,
            source: Box::new(source),
        };
        let manifest = match self.write(on_rows).await {
            Ok(manifest) => manifest,
            Err(error) => return Err(failed(self.locate(&error).await, error)),
        };
        let target = self.ledger.layout().manifest(Step::StagingFileGroups, self.group);
        self.ledger.commit(&target, &manifest).await.map_err(|error| failed(None, error))?;
        Ok(manifest)
    }

    async fn write(&self, on_rows: OnRows) -> Result<Manifest<StageDetails>> {
        let started = Instant::now();
        let (session, plan) = self.plan(on_rows).await?;
        let files = collect_files(Arc::clone(&plan), session.task_ctx()).await.map_err(unwrap_engine)?;
        let details = StageDetails {
            table: self.lake.name.clone(),
            group: self.group,
            plan: self.plan.to_owned(),
            rows_read: self.rows_read(&plan),
            rows_written: files.iter().filter_map(|file| file.n_record).sum(),
            bytes_read: self.files.iter().map(|file| file.size).sum(),
            bytes_spilled: spilled(&plan),
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok(Manifest::new(files, details))
    }

    /// The whole task as a physical plan.
    pub(crate) async fn plan(
        &self,
        on_rows: OnRows,
    ) -> Result<(datafusion::prelude::SessionContext, Arc<dyn ExecutionPlan>)> {
        let (session, select) = bind(self.engine, self.project, self.lake, self.details, self.files).await?;
        let mut input = session.state().create_physical_plan(&select.plan).await.map_err(unwrap_engine)?;
        if input.output_partitioning().partition_count() > 1 {
            input = Arc::new(CoalescePartitionsExec::new(input));
        }
        let output = self.details.output_schema.decode()?;
        let columns = LakeColumns::new(&output, self.lake)?;
        let folder = self.ledger.layout().staging_data().clone();
        let spec = WriteSpec {
            table: self.lake.name.clone(),
            store: self.engine.stores().open(&folder).await?,
            folder,
            file_stem: format!("{:06}-{}", self.group, &crate::manifest::codec::fingerprint(self.files)[..12]),
            partition_columns: columns.partition.iter().map(|field| field.name().clone()).collect(),
            fixed_partition: String::new(),
            file_schema: columns.file,
            properties: properties(),
            roll: RollRule { target_bytes: STAGING_FILE_BYTES, min_bytes: STAGING_FILE_BYTES, max_bytes: u64::MAX },
            total_rows: None,
            write_empty: false,
            on_rows,
        };
        if let Some(ordering) = self.ordering(&input)? {
            let numbered = Arc::new(OrdinalExec::new(input));
            input = Arc::new(SortExec::new(ordering, numbered));
        }
        Ok((session, Arc::new(LakeWriteExec::new(input, Arc::new(spec)))))
    }

    /// Partition columns, sort columns, then the ordinal that [`OrdinalExec`] puts last; `None` if no order is asked for.
    fn ordering(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Option<LexOrdering>> {
        let schema = input.schema();
        let partitions = self.lake.partitioned_by.iter().map(|(name, _)| (name, SortOptions::new(false, true)));
        let keys =
            self.lake.sorted_by.iter().map(|(key, _)| (&key.column, SortOptions::new(key.descending, key.nulls_first)));
        let mut expressions = Vec::new();
        for (name, options) in partitions.chain(keys) {
            let index = schema.index_of(name).map_err(|error| Error::Engine(error.into()))?;
            expressions.push(PhysicalSortExpr::new(Arc::new(Column::new(name, index)), options));
        }
        if expressions.is_empty() {
            return Ok(None);
        }
        let ordinal = Column::new(OrdinalExec::COLUMN, schema.fields().len());
        expressions.push(PhysicalSortExpr::new(Arc::new(ordinal), SortOptions::default()));
        Ok(LexOrdering::new(expressions))
    }

    /// Parquet files say it themselves; text files are counted by their scan.
    fn rows_read(&self, plan: &Arc<dyn ExecutionPlan>) -> u64 {
        if matches!(self.details.driving.format, FileFormat::Parquet)
            && let Some(rows) = self.files.iter().map(|file| file.n_record).sum()
        {
            return rows;
        }
        crate::snapshot::rows_scanned(plan, &self.details.driving.table)
    }

    /// The one file of the group on which the SELECT fails by itself, if the error is about data.
    async fn locate(&self, error: &Error) -> Option<String> {
        let Error::Engine(DataFusionError::ArrowError(..) | DataFusionError::Execution(_)) = error else { return None };
        for file in self.files {
            let alone = StageTask { files: std::slice::from_ref(file), ..*self };
            let (session, select) =
                bind(alone.engine, alone.project, alone.lake, alone.details, alone.files).await.ok()?;
            let plan = session.state().create_physical_plan(&select.plan).await.ok()?;
            let mut rows = execute_stream(plan, session.task_ctx()).ok()?;
            while let Some(batch) = rows.next().await {
                if batch.is_err() {
                    return Some(file.uri.to_string());
                }
            }
        }
        None
    }
}

/// Staging files end here; what a task writes into one partition is rarely as large.
const STAGING_FILE_BYTES: u64 = 256 << 20;

/// Written for speed: plain values, LZ4, no statistics and no index, since each file is read once and whole.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_created_by(concat!("snaplake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .build()
}

fn spilled(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let mut bytes = 0;
    let _ = plan.apply(|node| {
        bytes += node.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
        Ok(TreeNodeRecursion::Continue)
    });
    bytes
}
