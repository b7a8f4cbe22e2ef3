//! The plan node that writes: sorted rows in, manifest rows out.
//!
//! Guarantees:
//! * one open file per stream, whatever the number of partitions: each stream is sorted by partition, so a file is
//!   finished before the next one is opened;
//! * file names depend on the task's input, the partition and a sequence number, never on time or chance;
//! * partition columns stand in the path and not in the file, but in staging files of several partitions, where they are the last;
//!   all other columns keep their order;
//! * a failed write aborts its upload; finished files of a failed task are garbage until a retry writes them again.
//!
//! It does not commit anything: the caller puts the output rows into a manifest.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::errors::ParquetError;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    Partitioning, PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use object_store::ObjectStore;

use super::encoding::FileEncoding;
use super::roll::RollRule;
use super::upload::Upload;
use super::writer::{Columns, Writer};
use crate::error::Error;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::manifest::checksum::Checksum;

/// Called with the rows of each batch written.
pub(crate) type OnRows = Arc<dyn Fn(u64) + Send + Sync>;

/// Where and how one task writes.
#[derive(Clone)]
pub(crate) struct WriteSpec {
    /// Lake table, for errors.
    pub(crate) table: String,
    /// Store of `folder`.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Folder above the partitions.
    pub(crate) folder: Location,
    /// First part of every file name; decided by the task's input alone.
    pub(crate) file_stem: String,
    /// Columns of the input that become path segments, in path order.
    pub(crate) partition_columns: Vec<String>,
    /// Hive path that all rows belong to, when the input has no partition columns.
    pub(crate) fixed_partition: String,
    /// By Hive path, when several partitions are published together: no other may come.
    pub(crate) planned: HashMap<String, PlannedPartition>,
    /// How files of several partitions are written, when there may be some.
    pub(crate) bundled: Option<Bundled>,
    /// Columns of the files; the input may have more.
    pub(crate) file_schema: SchemaRef,
    /// Encodings, compression, row-group size, sorting columns.
    pub(crate) encoding: FileEncoding,
    /// What the number in a file name counts.
    pub(crate) numbering: Numbering,
    /// Rows of the whole input, if known; makes files of even size.
    pub(crate) total_rows: Option<u64>,
    /// Whether others read the folder while it is written.
    pub(crate) is_published: bool,
    /// Whether to write a file without rows when there are none.
    pub(crate) write_empty: bool,
    /// What adds up the values that are written, if anything does; its columns are those of the input.
    pub(crate) checksum: Option<Arc<Checksum>>,
    /// Progress.
    pub(crate) on_rows: OnRows,
}

/// A partition of which it is known beforehand what comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPartition {
    /// First part of its files' names.
    pub(crate) file_stem: String,
    pub(crate) rows: u64,
}

/// Files that hold the rows of several partitions ([`crate::layout::bundle`]).
#[derive(Debug, Clone)]
pub(crate) struct Bundled {
    /// With the partition columns.
    pub(crate) schema: SchemaRef,
    pub(crate) encoding: FileEncoding,
}

/// What the number at the end of a file name counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Runs, one file per run and partition or bundle. The input's last columns are [`RunRows`](super::RunRows).
    Runs,
    /// Files of a partition, each ended by the rule.
    Rolling(RollRule),
}

impl fmt::Debug for WriteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteSpec({} {})", self.table, self.folder)
    }
}

impl WriteSpec {
    /// Begins file `number` in a folder: the Hive path of a partition, or that of a bundle.
    ///
    /// # Errors
    /// For paths that the store cannot have.
    pub(crate) fn create(&self, folder: &str, number: u32) -> Result<(Location, Upload), Error> {
        let stem = self.planned.get(folder).map_or(&self.file_stem, |planned| &planned.file_stem);
        let name = match self.numbering {
            Numbering::Runs => format!("{stem}-{number:06}.parquet"),
            Numbering::Rolling(_) => format!("{stem}-{number:04}.parquet"),
        };
        let location = self.folder.join(folder).join(&name);
        let is_local = location.is_local();
        let mut upload = Upload::new(Arc::clone(&self.store), location.key()?, is_local);
        if is_local && self.is_published {
            upload = upload.by_way_of(location.hidden().key()?);
        }
        Ok((location, upload))
    }
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct LakeWriteExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<WriteSpec>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LakeWriteExec {
    /// Each stream of `input` is sorted by the partition columns. Only runs may come in several streams, of which one has all
    /// rows of a run and partition.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, spec: Arc<WriteSpec>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(output_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, spec, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for LakeWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeWriteExec: partitioned_by=[{}]", self.spec.partition_columns.join(", "))
    }
}

impl ExecutionPlan for LakeWriteExec {
    fn name(&self) -> &'static str {
        "LakeWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![match self.spec.numbering {
            Numbering::Runs => Distribution::UnspecifiedDistribution,
            Numbering::Rolling(_) => Distribution::SinglePartition,
        }]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), Arc::clone(&self.spec))))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, stream: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if stream > 0 && matches!(self.spec.numbering, Numbering::Rolling(_)) {
            return Err(DataFusionError::Internal("two streams would number their files alike".to_owned()));
        }
        // On a task of its own: what makes the rows and what encodes them are two threads.
        let input = spawn_buffered(self.input.execute(stream, context)?, 1);
        let mut output = RecordBatchReceiverStream::builder(output_schema(), 2);
        let columns = Columns::of(&input.schema(), &self.spec)?;
        let rows = MetricBuilder::new(&self.metrics).counter("rows_written", stream);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes_written", stream);
        let writer = Writer::new(Arc::clone(&self.spec), columns, output.tx(), rows, bytes);
        output.spawn(writer.run(input));
        Ok(output.build())
    }
}

/// Schema of the rows that come out: one per file.
pub(crate) fn output_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("uri", DataType::Utf8, false),
        Field::new("etag", DataType::Utf8, false),
        Field::new("size", DataType::UInt64, false),
        Field::new("n_record", DataType::UInt64, false),
        Field::new("partition", DataType::Utf8, false),
        Field::new("column_statistics", DataType::Utf8, false),
    ]))
}

/// Runs a plan that ends in [`LakeWriteExec`] and gives its rows as manifest entries, each with its column statistics, in the
/// order of their uris.
pub(crate) async fn collect_files(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<Vec<(FileEntry, String)>> {
    let streams = 0..plan.output_partitioning().partition_count();
    let streams = streams.map(|stream| plan.execute(stream, Arc::clone(&context))).collect::<Result<Vec<_>>>()?;
    let mut batches = stream::select_all(streams);
    let (mut files, mut failed) = (Vec::new(), None);
    while let Some(batch) = batches.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                // The others end soon, and by themselves: none leaves half an upload behind. Which one is told, when several
                // fail, is chance.
                failed.get_or_insert(error);
                continue;
            }
        };
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let file = FileEntry {
                uri: text(0).value(row).into(),
                etag: text(1).value(row).into(),
                size: number(2).value(row),
                n_record: Some(number(3).value(row)),
                partition: Some(text(4).value(row).into()),
            };
            files.push((file, text(5).value(row).to_owned()));
        }
    }
    files.sort_unstable_by(|(one, _), (other, _)| one.uri.cmp(&other.uri));
    failed.map_or(Ok(files), Err)
}

/// Our own error inside the engine's wrappings, or the engine's.
pub(crate) fn unwrap_engine(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(inner) => Error::Engine(DataFusionError::External(inner)),
        },
        // What a file's reader found.
        DataFusionError::ParquetError(inner) => match *inner {
            ParquetError::External(inner) if inner.is::<Error>() => unwrap_engine(DataFusionError::External(inner)),
            ParquetError::External(inner) => match inner.downcast::<object_store::Error>() {
                Ok(inner) => unwrap_engine(DataFusionError::ObjectStore(inner)),
                Err(inner) => Error::Engine(ParquetError::External(inner).into()),
            },
            inner => Error::Engine(inner.into()),
        },
        // What a store of ours found.
        DataFusionError::ObjectStore(inner) => match *inner {
            object_store::Error::Generic { source, .. } if source.is::<Error>() => {
                unwrap_engine(DataFusionError::External(source))
            }
            inner => Error::Engine(inner.into()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => unwrap_engine(*inner),
        // Its own text is that of a Rust value.
        DataFusionError::SQL(inner, _) => Error::Engine(DataFusionError::Plan(inner.to_string())),
        DataFusionError::ArrowError(inner, context) => match *inner {
            ArrowError::ExternalError(inner) => unwrap_engine(DataFusionError::External(inner)),
            inner => Error::Engine(DataFusionError::ArrowError(Box::new(inner), context)),
        },
        error => Error::Engine(error),
    }
}
