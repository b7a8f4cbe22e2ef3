//! Cuts a stream into sorted runs: the plan node between a stage task's SELECT and its writer.
//!
//! ```text
//! input     batch batch batch batch | batch batch ...      a run ends when it holds `run_bytes`
//! output    run 0: partition 1 | partition 2 | ...         then run 1: partition 1 | partition 2 | ...
//! ```
//!
//! A run is held in memory, ordered and given out in batches of one partition each. Two columns are added for the writer: the
//! run's number, and the partition's rows in this run where they came in order (else 0).
//! Nothing is spilled: a run goes straight into staging files, where it is durable, and the second step merges all runs of
//! a partition anyway. Where runs end follows from the rows and `run_bytes` alone, so a retry makes the same runs.
//!
//! Memory: one run, a quarter of it for order and keys, and two batches on their way.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{BatchCoalescer, take_arrays};
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

use super::order::{RunOrder, Stretch};
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
            schema: Arc::clone(&self.schema),
            run_bytes: usize::try_from(self.run_bytes).unwrap_or(usize::MAX),
            checksum: self.checksum.clone(),
            run: None,
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

/// Rows that are collected for one run.
struct Run {
    rows: BatchCoalescer,
    /// What the rows need, strings counted by their length.
    bytes: usize,
}

struct Sorter {
    order: Arc<RunOrder>,
    schema: SchemaRef,
    run_bytes: usize,
    checksum: Option<Arc<Checksum>>,
    run: Option<Run>,
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
        let run = self.run.get_or_insert_with(|| {
            // Room for a quarter more rows than this first batch lets expect, so that a run seldom ends for want of it.
            let rows = self.run_bytes / (bytes / batch.num_rows()).max(1);
            let rows = (rows + rows / 32).max(batch.num_rows()).min(u32::MAX as usize);
            Run { rows: BatchCoalescer::new(batch.schema(), rows), bytes: 0 }
        });
        run.rows.push_batch(batch)?;
        run.bytes += bytes;
        let is_full = run.bytes >= self.run_bytes;
        self.reservation.resize(run.rows.size() + run.rows.size() / 4);
        drop(timer);
        if is_full { self.finish().await } else { self.give_completed().await }
    }

    /// Ends the run that is being collected.
    async fn finish(&mut self) -> Result<()> {
        let Some(mut run) = self.run.take() else { return Ok(()) };
        run.rows.finish_buffered_batch()?;
        while let Some(rows) = run.rows.next_completed_batch() {
            self.give(rows).await?;
        }
        self.reservation.resize(0);
        Ok(())
    }

    /// Gives out a run that has as many rows as there was room for.
    async fn give_completed(&mut self) -> Result<()> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(rows) = run.rows.next_completed_batch() else { return Ok(()) };
        let left = run.rows.get_buffered_rows();
        run.bytes = run.bytes / (rows.num_rows() + left) * left;
        self.give(rows).await
    }

    async fn give(&mut self, run: RecordBatch) -> Result<()> {
        let timer = self.compute.timer();
        let ordered = self.order.apply(&run)?;
        drop(timer);
        let mut start = 0;
        for Stretch { end, came_in_order } in ordered.partitions {
            // A run has fewer than 2^32 rows.
            let in_order = if came_in_order { u32::try_from(end - start).unwrap_or(u32::MAX) } else { 0 };
            for rows in ordered.rows[start..end].chunks(BATCH_ROWS) {
                let timer = self.compute.timer();
                let mut columns = take_arrays(run.columns(), &UInt32Array::from(rows.to_vec()), None)?;
                columns.extend(
                    [self.number, in_order].map(|n| Arc::new(UInt32Array::from_value(n, rows.len())) as ArrayRef),
                );
                let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
                drop(timer);
                // Nobody listens any more when the task was cancelled or the writer failed, which then says why.
                if self.output.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
            start = end;
        }
        self.number += 1;
        self.runs.add(1);
        Ok(())
    }
}
