//! The plan node that writes: sorted rows in, manifest rows out.
//!
//! Guarantees:
//! * one open file per stream, whatever the number of partitions: the input is sorted by partition, so a file is
//!   finished before the next one is opened;
//! * file names depend on the task's input, the partition and a sequence number, never on time or chance;
//! * partition columns stand in the path and not in the file; all other columns keep their order;
//! * a failed write aborts its upload; finished files of a failed task are garbage until a retry writes them again.
//!
//! It does not commit anything: the caller puts the output rows into a manifest.

use std::fmt;
use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PhysicalExpr,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use object_store::ObjectStore;
use tokio::sync::mpsc::Sender;

use super::roll::RollRule;
use super::upload::Upload;
use crate::error::Error;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::partition::{self as hive, SEGMENT_LIMIT};

/// Rows after which the size of the open file is looked at again.
const CHECK_ROWS: usize = 1024;

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
    /// Columns of the files; the input may have more.
    pub(crate) file_schema: SchemaRef,
    /// Encoding, compression, row-group size, sorting columns.
    pub(crate) properties: WriterProperties,
    /// When to start the next file.
    pub(crate) roll: RollRule,
    /// Rows of the whole input, if known; makes files of even size.
    pub(crate) total_rows: Option<u64>,
    /// Whether to write a file without rows when there are none.
    pub(crate) write_empty: bool,
    /// Progress.
    pub(crate) on_rows: OnRows,
}

impl fmt::Debug for WriteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteSpec({} {})", self.table, self.folder)
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
    /// `input` has one partition, and is sorted by the partition columns.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, spec: Arc<WriteSpec>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(output_schema()),
            Partitioning::UnknownPartitioning(1),
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
        vec![Distribution::SinglePartition]
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
        let input = self.input.execute(stream, context)?;
        let mut output = RecordBatchReceiverStream::builder(output_schema(), 2);
        let writer = Writer {
            spec: Arc::clone(&self.spec),
            columns: Columns::of(&input.schema(), &self.spec)?,
            open: None,
            last: None,
            rows_left: self.spec.total_rows,
            estimate: Estimate::default(),
            output: output.tx(),
            rows_written: MetricBuilder::new(&self.metrics).counter("rows_written", stream),
            bytes_written: MetricBuilder::new(&self.metrics).counter("bytes_written", stream),
        };
        output.spawn(writer.run(input));
        Ok(output.build())
    }
}

/// Schema of the rows that come out: one per file.
fn output_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("uri", DataType::Utf8, false),
        Field::new("etag", DataType::Utf8, false),
        Field::new("size", DataType::UInt64, false),
        Field::new("n_record", DataType::UInt64, false),
        Field::new("partition", DataType::Utf8, false),
    ]))
}

/// Runs a plan that ends in [`LakeWriteExec`] and gives its rows as manifest entries.
pub(crate) async fn collect_files(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<Vec<FileEntry>> {
    let mut stream = plan.execute(0, context)?;
    let mut files = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            files.push(FileEntry {
                uri: text(0).value(row).into(),
                etag: text(1).value(row).into(),
                size: number(2).value(row),
                n_record: Some(number(3).value(row)),
                partition: Some(text(4).value(row).into()),
            });
        }
    }
    Ok(files)
}

/// Indices into the input.
struct Columns {
    partition: Vec<usize>,
    file: Vec<usize>,
}

impl Columns {
    fn of(input: &Schema, spec: &WriteSpec) -> Result<Self> {
        let partition = spec.partition_columns.iter().map(|name| Ok(input.index_of(name)?)).collect::<Result<_>>()?;
        let file =
            spec.file_schema.fields().iter().map(|field| Ok(input.index_of(field.name())?)).collect::<Result<_>>()?;
        Ok(Self { partition, file })
    }
}

/// How the bytes that a writer expects compare with those that a file then had: pages are counted before compression.
#[derive(Debug, Default)]
struct Estimate {
    expected: u64,
    stored: u64,
}

impl Estimate {
    fn correct(&self, expected: u64) -> u64 {
        if self.expected == 0 {
            return expected;
        }
        u64::try_from(u128::from(expected) * u128::from(self.stored) / u128::from(self.expected)).unwrap_or(expected)
    }
}

struct OpenFile {
    values: hive::Values,
    partition: String,
    location: Location,
    writer: AsyncArrowWriter<Upload>,
    outcome: Arc<std::sync::Mutex<super::upload::Stored>>,
    rows: u64,
}

impl OpenFile {
    fn expected_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }
}

struct Writer {
    spec: Arc<WriteSpec>,
    columns: Columns,
    open: Option<OpenFile>,
    /// Partition and number of the file that was opened last: one partition never uses a number twice.
    last: Option<(hive::Values, usize)>,
    rows_left: Option<u64>,
    estimate: Estimate,
    output: Sender<Result<RecordBatch>>,
    rows_written: Count,
    bytes_written: Count,
}

impl Writer {
    async fn run(mut self, mut input: SendableRecordBatchStream) -> Result<()> {
        let result = self.write_all(&mut input).await;
        if result.is_err()
            && let Some(open) = self.open.take()
        {
            open.writer.into_inner().abort().await;
        }
        result
    }

    async fn write_all(&mut self, input: &mut SendableRecordBatchStream) -> Result<()> {
        while let Some(batch) = input.next().await {
            self.write_batch(&batch?).await?;
        }
        if self.open.is_none() && self.spec.write_empty && self.rows_written.value() == 0 {
            self.open(Vec::new())?;
        }
        self.finish().await
    }

    async fn write_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys: Vec<ArrayRef> =
            self.columns.partition.iter().map(|&column| Arc::clone(batch.column(column))).collect();
        let whole = 0..batch.num_rows();
        let ranges = if keys.is_empty() { Vec::from([whole]) } else { partition(&keys)?.ranges() };
        let rows = batch.project(&self.columns.file)?.with_schema(Arc::clone(&self.spec.file_schema))?;
        for range in ranges {
            let values = hive::values_at(&keys, range.start).map_err(|source| {
                let columns = self.spec.partition_columns.join(", ");
                external(Error::PartitionValue { table: self.spec.table.clone(), columns, source })
            })?;
            if self.open.as_ref().is_some_and(|open| open.values != values) {
                self.finish().await?;
            }
            if self.open.is_none() {
                self.open(values)?;
            }
            self.write_rows(&rows.slice(range.start, range.len())).await?;
        }
        (self.spec.on_rows)(batch.num_rows() as u64);
        Ok(())
    }

    /// All rows of one partition.
    async fn write_rows(&mut self, rows: &RecordBatch) -> Result<()> {
        let mut done = 0;
        while done < rows.num_rows() {
            let step = CHECK_ROWS.min(rows.num_rows() - done);
            // Never the case; but rows that no file takes must not pass for filtered ones.
            let Some(open) = &mut self.open else {
                return Err(DataFusionError::Internal("rows without an open file".to_owned()));
            };
            if let Err(source) = open.writer.write(&rows.slice(done, step)).await {
                return Err(upload_error(&open.location, source));
            }
            open.rows += step as u64;
            done += step;
            self.rows_written.add(step);
            self.rows_left = self.rows_left.map(|left| left.saturating_sub(step as u64));
            let bytes = self.estimate.correct(open.expected_bytes());
            if self.spec.roll.is_full(bytes, open.rows, self.rows_left) {
                let values = open.values.clone();
                self.finish().await?;
                if done < rows.num_rows() {
                    self.open(values)?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, values: hive::Values) -> Result<()> {
        let spec = &self.spec;
        self.check_length(&values)?;
        let sequence = match &self.last {
            Some((last, sequence)) if *last == values => sequence + 1,
            _ => 0,
        };
        let partition = if spec.partition_columns.is_empty() {
            spec.fixed_partition.clone()
        } else {
            hive::path(spec.partition_columns.iter().map(String::as_str), &values)
        };
        let location = spec.folder.join(&partition).join(&format!("{}-{sequence:04}.parquet", spec.file_stem));
        let path = location.key().map_err(external)?;
        let upload = Upload::new(Arc::clone(&spec.store), path, location.store() == "file://");
        let outcome = upload.outcome();
        let options = ArrowWriterOptions::new().with_properties(spec.properties.clone());
        let writer = AsyncArrowWriter::try_new_with_options(upload, Arc::clone(&spec.file_schema), options)?;
        self.last = Some((values.clone(), sequence));
        self.open = Some(OpenFile { values, partition, location, writer, outcome, rows: 0 });
        Ok(())
    }

    fn check_length(&self, values: &[Option<String>]) -> Result<()> {
        for (column, value) in self.spec.partition_columns.iter().zip(values) {
            let length = hive::segment(column, value.as_deref()).len();
            if length > SEGMENT_LIMIT {
                return Err(external(Error::PartitionValueTooLong {
                    table: self.spec.table.clone(),
                    column: column.clone(),
                    length,
                    start: value.iter().flat_map(|value| value.chars()).take(40).collect(),
                    limit: SEGMENT_LIMIT,
                }));
            }
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let expected = open.expected_bytes();
        if let Err(source) = open.writer.finish().await {
            open.writer.into_inner().abort().await;
            return Err(upload_error(&open.location, source));
        }
        let stored = open.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.estimate = Estimate { expected, stored: stored.bytes };
        self.bytes_written.add(usize::try_from(stored.bytes).unwrap_or(usize::MAX));
        let row = RecordBatch::try_new(
            output_schema(),
            vec![
                Arc::new(StringArray::from(vec![open.location.uri()])) as Arc<dyn Array>,
                Arc::new(StringArray::from(vec![stored.etag])),
                Arc::new(UInt64Array::from(vec![stored.bytes])),
                Arc::new(UInt64Array::from(vec![open.rows])),
                Arc::new(StringArray::from(vec![open.partition])),
            ],
        )?;
        // Nobody listens any more when the task was cancelled; then nothing of it is committed.
        let _ = self.output.send(Ok(row)).await;
        Ok(())
    }
}

/// Our own error inside the engine's wrappings, or the engine's.
pub(crate) fn unwrap_engine(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(inner) => Error::Engine(DataFusionError::External(inner)),
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

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A store's refusal comes wrapped by the Parquet writer; anything else is the writer's own.
fn upload_error(location: &Location, source: datafusion::parquet::errors::ParquetError) -> DataFusionError {
    use datafusion::parquet::errors::ParquetError;
    match source {
        ParquetError::External(inner) => match inner.downcast::<object_store::Error>() {
            Ok(source) => external(Error::Store { action: "write", uri: location.to_string(), source: *source }),
            Err(inner) => external(Error::Parquet { uri: location.to_string(), source: ParquetError::External(inner) }),
        },
        source => external(Error::Parquet { uri: location.to_string(), source }),
    }
}
