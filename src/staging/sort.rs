//! Cuts a stream into sorted runs: the plan node between a stage task's SELECT and its writer.
//!
//! ```text
//! input     batch batch batch batch | batch batch ...      a run ends when it holds `run_bytes`
//! output    run 0: partition 1 | partition 2 | ...         then run 1: partition 1 | partition 2 | ...
//! ```
//!
//! A run is collected ([`super::collect`]), ordered and given out in batches of one partition each. Two columns are added for
//! the writer: the run's number, and the partition's rows in this run where they came in order (else 0).
//! Nothing is spilled: a run goes straight into staging files, where it is durable, and the second step merges all runs of
//! a partition anyway. Where runs end follows from the rows and `run_bytes` alone, so a retry makes the same runs.
//!
//! Memory: one run, a quarter of it for order and the piece that is being ordered, and two batches on their way; and some 50 bytes
//! per row of a partition that is sorted.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PhysicalExpr,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::collect::{Batches, Collector, PIECES};
use super::order::RunOrder;
use crate::checksum::Checksum;
use crate::session::BATCH_ROWS;
use crate::write::used_bytes;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct SortRunsExec {
    input: Arc<dyn ExecutionPlan>,
    order: Arc<RunOrder>,
    run_bytes: u64,
    checksum: Option<Arc<Checksum>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SortRunsExec {
    /// Names of the columns for the writer. They stand last and are found by their index, so a user's column may have such a
    /// name too.
    const COLUMNS: [&str; 2] = ["__run", "__in_order"];

    /// `input` has one partition; `checksum` adds up its values.
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        order: Arc<RunOrder>,
        run_bytes: u64,
        checksum: Option<Arc<Checksum>>,
    ) -> Self {
        let mut fields: Vec<_> = input.schema().fields().iter().cloned().collect();
        fields.extend(Self::COLUMNS.map(|name| Arc::new(Field::new(name, DataType::UInt32, false))));
        let schema = Arc::new(Schema::new(fields));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            order,
            run_bytes,
            checksum,
            schema,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for SortRunsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |column: usize| self.schema.field(column).name().as_str();
        let partition: Vec<&str> = self.order.partition.iter().map(|&column| name(column)).collect();
        let keys: Vec<String> =
            self.order.keys.iter().map(|&(column, options)| format!("{} {options}", name(column))).collect();
        write!(f, "SortRunsExec: partitioned_by=[{}] ", partition.join(", "))?;
        write!(f, "sorted_by=[{}] run_bytes={}", keys.join(", "), self.run_bytes)
    }
}

impl ExecutionPlan for SortRunsExec {
    fn name(&self) -> &'static str {
        "SortRunsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
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
        Ok(Arc::new(Self::new(children.swap_remove(0), Arc::clone(&self.order), self.run_bytes, self.checksum.clone())))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(partition, Arc::clone(&context))?;
        let mut output = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), 2);
        let sorter = Sorter {
            order: Arc::clone(&self.order),
            input: self.input.schema(),
            schema: Arc::clone(&self.schema),
            run_bytes: usize::try_from(self.run_bytes).unwrap_or(usize::MAX),
            checksum: self.checksum.clone(),
            run: None,
            bytes: 0,
            rows: 0,
            number: 0,
            reservation: MemoryConsumer::new("SortRuns").register(context.memory_pool()),
            output: output.tx(),
            runs: MetricBuilder::new(&self.metrics).counter("runs", partition),
            compute: MetricBuilder::new(&self.metrics).elapsed_compute(partition),
        };
        output.spawn(async move {
            let mut sorter = sorter;
            while let Some(batch) = input.next().await {
                sorter.push(batch?).await?;
            }
            sorter.finish().await
        });
        Ok(output.build())
    }
}

/// A run ends with this many rows, and a batch, so that 32 bits number them.
const MAX_RUN_ROWS: usize = 1 << 31;

struct Sorter {
    order: Arc<RunOrder>,
    input: SchemaRef,
    schema: SchemaRef,
    run_bytes: usize,
    checksum: Option<Arc<Checksum>>,
    run: Option<Collector>,
    /// Of the run that is being collected: what its rows need, strings counted by their length, and how many they are.
    bytes: usize,
    rows: usize,
    number: u32,
    reservation: MemoryReservation,
    output: Sender<Result<RecordBatch>>,
    runs: Count,
    compute: Time,
}

impl Sorter {
    async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let timer = self.compute.timer();
        if let Some(checksum) = &self.checksum {
            checksum.add(&batch)?;
        }
        let bytes = used_bytes(&batch);
        self.bytes += bytes;
        self.rows += batch.num_rows();
        let run = match &mut self.run {
            Some(run) => run,
            None => {
                let row_bytes = (bytes / batch.num_rows()).max(1);
                let piece_bytes = self.run_bytes / PIECES;
                let piece_rows = (piece_bytes / row_bytes).max(BATCH_ROWS);
                // Rows can become much longer than the first ones were.
                self.run.insert(Collector::new(&self.order, &self.input, piece_rows, 2 * piece_bytes)?)
            }
        };
        run.push(batch, bytes)?;
        self.reservation.resize(run.bytes() + run.bytes() / 4);
        drop(timer);
        if self.bytes >= self.run_bytes || self.rows >= MAX_RUN_ROWS { self.finish().await } else { Ok(()) }
    }

    /// Ends the run that is being collected, and gives it out.
    async fn finish(&mut self) -> Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let timer = self.compute.timer();
        let run = run.finish()?;
        drop(timer);
        for partition in run.partitions() {
            // A run has fewer than 2^32 rows.
            let in_order = if partition.came_in_order { u32::try_from(partition.rows).unwrap_or(u32::MAX) } else { 0 };
            let timer = self.compute.timer();
            let mut batches = partition.batches()?;
            drop(timer);
            while let Some(batch) = self.next(&mut batches, in_order) {
                // Nobody listens any more when the task was cancelled or the writer failed, which then says why.
                if self.output.send(batch).await.is_err() {
                    return Ok(());
                }
            }
        }
        (self.bytes, self.rows) = (0, 0);
        self.number += 1;
        self.runs.add(1);
        self.reservation.resize(0);
        Ok(())
    }

    /// The next batch of a partition, with the columns for the writer.
    fn next(&self, batches: &mut Batches<'_>, in_order: u32) -> Option<Result<RecordBatch>> {
        let _timer = self.compute.timer();
        batches.next().map(|batch| {
            let batch = batch?;
            let columns = [self.number, in_order].map(|n| UInt32Array::from_value(n, batch.num_rows()));
            let columns = batch.columns().iter().cloned().chain(columns.map(|column| Arc::new(column) as ArrayRef));
            Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())?)
        })
    }
}
