//! Cuts a stream into sorted runs: the plan node between a stage task's SELECT and its writer.
//!
//! ```text
//! input     batch batch batch batch | batch batch ...      a run ends when it holds `run_bytes`
//! output    run 0: partition 1 | partition 2 | ...         then run 1: partition 1 | partition 2 | ...
//! ```
//!
//! A run is collected ([`super::collect`]), ordered and given out in batches of one partition each: by two streams, each of
//! which takes the next partition when it is done with one. Which of them has it does not matter to what is written. Two
//! columns are added for the writer: the run's number, and the partition's rows in this run where they came in order (else 0).
//! Nothing is spilled: a run goes straight into staging files, where it is durable, and the second step merges all runs of
//! a partition anyway. Where runs end follows from the rows and `run_bytes` alone, so a retry makes the same runs.
//!
//! Memory: one run, a quarter of it for order and the piece that is being ordered, and two batches on their way; and some 50 bytes
//! per row of a partition that is sorted.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

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
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use super::collect::{Batches, Collector, PIECES, Run};
use super::order::RunOrder;
use crate::checksum::Checksum;
use crate::session::BATCH_ROWS;
use crate::write::used_bytes;

/// Streams of a task. With two, the last task of all keeps two cores busy, and so does one whose next rows are waited for.
const STREAMS: usize = 2;

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
    /// Of all its streams.
    runs: OnceLock<Arc<Runs>>,
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
            Partitioning::UnknownPartitioning(STREAMS),
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
            runs: OnceLock::new(),
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

    fn execute(&self, stream: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let runs = Arc::clone(self.runs.get_or_init(|| Arc::new(Runs::new(self, &context))));
        let compute = MetricBuilder::new(&self.metrics).elapsed_compute(stream);
        let mut output = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), 2);
        output.spawn(give_out(runs, Arc::clone(&self.schema), compute, output.tx()));
        Ok(output.build())
    }
}

/// A run ends with this many rows, and a batch, so that 32 bits number them.
const MAX_RUN_ROWS: usize = 1 << 31;

/// The runs of a task, one at a time, shared by its streams.
#[derive(Debug)]
struct Runs {
    next: Mutex<Sorter>,
    /// Whether a stream has ended. Before the last row that means that the task has failed, and no more runs are collected.
    is_over: AtomicBool,
}

/// Ends the other streams with this one.
struct Listener(Arc<Runs>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// A partition that one stream gives out.
struct Share {
    number: u32,
    partition: usize,
    run: OwnedRwLockReadGuard<Option<Run>>,
}

impl Runs {
    fn new(node: &SortRunsExec, context: &Arc<TaskContext>) -> Self {
        let sorter = Sorter {
            order: Arc::clone(&node.order),
            plan: Arc::clone(&node.input),
            context: Arc::clone(context),
            input: None,
            run_bytes: usize::try_from(node.run_bytes).unwrap_or(usize::MAX),
            checksum: node.checksum.clone(),
            run: Arc::default(),
            partitions: 0..0,
            number: 0,
            reservation: MemoryConsumer::new("SortRuns").register(context.memory_pool()),
            runs: MetricBuilder::new(&node.metrics).counter("runs", 0),
            compute: MetricBuilder::new(&node.metrics).elapsed_compute(0),
        };
        Self { next: Mutex::new(sorter), is_over: AtomicBool::new(false) }
    }

    /// The next partition; the first of a run when all rows of the one before are on their way.
    async fn next(&self) -> Result<Option<Share>> {
        let mut sorter = self.next.lock().await;
        while sorter.partitions.is_empty() {
            let mut run = Arc::clone(&sorter.run).write_owned().await;
            // Before the next one is collected: there is memory for one.
            *run = None;
            sorter.reservation.resize(0);
            let Some(collected) = sorter.collect(&self.is_over).await? else { return Ok(None) };
            sorter.partitions = 0..collected.count();
            *run = Some(collected);
        }
        let partition = sorter.partitions.start;
        sorter.partitions.start += 1;
        Ok(Some(Share { number: sorter.number - 1, partition, run: Arc::clone(&sorter.run).read_owned().await }))
    }
}

/// Gives out one partition after the other, with the columns for the writer.
async fn give_out(
    runs: Arc<Runs>,
    schema: SchemaRef,
    compute: Time,
    output: Sender<Result<RecordBatch>>,
) -> Result<()> {
    let runs = Listener(runs);
    while let Some(Share { number, partition, run }) = runs.0.next().await? {
        // Never the case: what has partitions is there.
        let Some(run) = &*run else { continue };
        let partition = run.partition(partition);
        // A run has fewer than 2^32 rows.
        let in_order = if partition.came_in_order { u32::try_from(partition.rows).unwrap_or(u32::MAX) } else { 0 };
        let timer = compute.timer();
        let mut batches = partition.batches()?;
        drop(timer);
        while let Some(batch) = next(&mut batches, &compute) {
            let batch = batch.and_then(|batch| {
                let columns = [number, in_order].map(|n| UInt32Array::from_value(n, batch.num_rows()));
                let columns = batch.columns().iter().cloned().chain(columns.map(|column| Arc::new(column) as ArrayRef));
                Ok(RecordBatch::try_new(Arc::clone(&schema), columns.collect())?)
            });
            // Nobody listens any more when the task was cancelled or the writer failed, which then says why.
            if output.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn next(batches: &mut Batches<'_>, compute: &Time) -> Option<Result<RecordBatch>> {
    let _timer = compute.timer();
    batches.next()
}

struct Sorter {
    order: Arc<RunOrder>,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    /// Rows of `plan`, once they are asked for.
    input: Option<SendableRecordBatchStream>,
    run_bytes: usize,
    checksum: Option<Arc<Checksum>>,
    /// The run that is being given out.
    run: Arc<RwLock<Option<Run>>>,
    /// Its partitions that no stream has taken yet.
    partitions: Range<usize>,
    /// Runs so far.
    number: u32,
    reservation: MemoryReservation,
    runs: Count,
    compute: Time,
}

impl fmt::Debug for Sorter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sorter(run {} {:?})", self.number, self.partitions)
    }
}

impl Sorter {
    /// The next run; `None` when there are no more rows, or the task is over.
    async fn collect(&mut self, is_over: &AtomicBool) -> Result<Option<Run>> {
        let mut run: Option<Collector> = None;
        // What the run's rows need, strings counted by their length, and how many they are.
        let (mut run_bytes, mut run_rows) = (0, 0);
        while run_bytes < self.run_bytes && run_rows < MAX_RUN_ROWS {
            if is_over.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let input = match &mut self.input {
                Some(input) => input,
                None => self.input.insert(self.plan.execute(0, Arc::clone(&self.context))?),
            };
            let Some(batch) = input.next().await else { break };
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let _timer = self.compute.timer();
            if let Some(checksum) = &self.checksum {
                checksum.add(&batch)?;
            }
            let bytes = used_bytes(&batch);
            run_bytes += bytes;
            run_rows += batch.num_rows();
            let run = match &mut run {
                Some(run) => run,
                None => {
                    let row_bytes = (bytes / batch.num_rows()).max(1);
                    let piece_bytes = self.run_bytes / PIECES;
                    let piece_rows = (piece_bytes / row_bytes).max(BATCH_ROWS);
                    // Rows can become much longer than the first ones were.
                    run.insert(Collector::new(&self.order, &self.plan.schema(), piece_rows, 2 * piece_bytes)?)
                }
            };
            run.push(batch, bytes)?;
            self.reservation.resize(run.bytes() + run.bytes() / 4);
        }
        let Some(run) = run else { return Ok(None) };
        let _timer = self.compute.timer();
        self.number += 1;
        self.runs.add(1);
        run.finish().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use datafusion::arrow::array::{AsArray, Int32Array};
    use datafusion::arrow::compute::SortOptions;
    use datafusion::arrow::datatypes::{Int32Type, UInt32Type};
    use datafusion::error::DataFusionError;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
    use futures::stream::{self, BoxStream};
    use futures::{TryStreamExt, future};

    use super::*;

    type Rows = dyn Fn() -> BoxStream<'static, Result<RecordBatch>> + Send + Sync;

    struct Source(SchemaRef, Box<Rows>);

    impl fmt::Debug for Source {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Source")
        }
    }

    impl PartitionStream for Source {
        fn schema(&self) -> &SchemaRef {
            &self.0
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.0), self.1()))
        }
    }

    /// Ten rows: each of five partitions twice.
    fn batch(first: i32) -> RecordBatch {
        let partitions: Int32Array = (0..10).map(|row| row % 5).collect();
        let keys: Int32Array = (0..10).map(|row| first - row).collect();
        RecordBatch::try_from_iter([("p", Arc::new(partitions) as ArrayRef), ("k", Arc::new(keys))]).unwrap()
    }

    /// The streams of a plan whose runs are of three batches.
    fn streams(
        rows: impl Fn() -> BoxStream<'static, Result<RecordBatch>> + Send + Sync + 'static,
    ) -> Vec<SendableRecordBatchStream> {
        let schema = batch(0).schema();
        let source = Arc::new(Source(Arc::clone(&schema), Box::new(rows)));
        let input = StreamingTableExec::try_new(schema, vec![source], None, [], false, None).unwrap();
        let order = RunOrder { partition: vec![0], keys: vec![(1, SortOptions::default())] };
        let run_bytes = 3 * used_bytes(&batch(0)) as u64;
        let sort = SortRunsExec::new(Arc::new(input), Arc::new(order), run_bytes, None);
        (0..STREAMS).map(|stream| sort.execute(stream, Arc::default()).unwrap()).collect()
    }

    #[tokio::test]
    async fn partition_of_a_run_comes_out_of_one_stream_in_order() {
        let streams = streams(|| stream::iter((0..7).map(|number| Ok(batch(100 * number)))).boxed());
        let given = future::try_join_all(streams.into_iter().map(TryStreamExt::try_collect::<Vec<_>>)).await.unwrap();
        let mut keys: HashMap<(u32, i32), Vec<i32>> = HashMap::new();
        for batches in given {
            let mut of_stream: HashMap<(u32, i32), Vec<i32>> = HashMap::new();
            for batch in batches {
                let partition = batch.column(0).as_primitive::<Int32Type>();
                assert!(partition.values().iter().all(|one| *one == partition.value(0)));
                let run = batch.column(2).as_primitive::<UInt32Type>().value(0);
                let keys = batch.column(1).as_primitive::<Int32Type>().values();
                of_stream.entry((run, partition.value(0))).or_default().extend(keys);
            }
            for (key, found) in of_stream {
                assert!(keys.insert(key, found).is_none(), "{key:?} in both streams");
            }
        }
        let of_run = |run: u32, partition: i32| {
            let batches = (3 * run..(3 * run + 3).min(7)).map(|number| i32::try_from(number).unwrap());
            batches.flat_map(|number| [5, 0].map(|row| 100 * number - partition - row)).collect::<Vec<_>>()
        };
        assert_eq!(keys.len(), 3 * 5);
        assert!(keys.iter().all(|(&(run, partition), keys)| *keys == of_run(run, partition)), "{keys:?}");
    }

    #[tokio::test]
    async fn failed_input_is_told_by_one_stream_and_ends_the_other() {
        let failure = || Err(DataFusionError::Execution("no more".to_owned()));
        let streams = streams(move || stream::iter([Ok(batch(0)), failure(), Ok(batch(1))]).boxed());
        let given = future::join_all(streams.into_iter().map(TryStreamExt::try_collect::<Vec<_>>)).await;
        let told: Vec<String> = given.iter().filter_map(|rows| rows.as_ref().err().map(ToString::to_string)).collect();
        assert_eq!(told, ["Execution error: no more"]);
        assert!(given.iter().flatten().all(Vec::is_empty));
    }

    #[tokio::test]
    async fn stream_that_nobody_listens_to_ends_the_other() {
        let mut streams = streams(|| stream::repeat_with(|| Ok(batch(0))).boxed());
        let mut other = streams.pop().unwrap();
        let mut one = streams.pop().unwrap();
        one.next().await.unwrap().unwrap();
        drop(one);
        let rest = async { while other.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(60), rest).await.unwrap();
    }
}
