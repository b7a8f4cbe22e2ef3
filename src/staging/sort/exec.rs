//! Cuts a stream into sorted runs: the plan node between a stage task's SELECT and its writer.
//!
//! ```text
//! input     batch batch batch batch | batch batch ...      a run ends when it holds `run_bytes`
//! output    run 0: partition 1 | partition 2 | ...         then run 1: partition 1 | partition 2 | ...
//! ```
//!
//! A run is collected ([`super::collect`]), ordered and given out in batches of one partition each, or of small ones
//! that share a file ([`super::units`]): by two streams, each of which takes the next when it is done with one. Which
//! of them has it does not matter to what is written. Columns are added for the writer, see [`RunRows`]. Nothing is
//! spilled: a run goes straight into staging files, where it is durable, and the second step merges all runs of a
//! partition anyway. Where runs end follows from the rows and `run_bytes` alone, so a retry makes the same runs.
//!
//! Memory: one run, a quarter of it for order and the piece that is being ordered, and some batches of each stream on
//! their way; and some 50 bytes per row of the partitions that are being sorted, one by each stream.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PlanProperties,
};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendError;

use super::bundles::BundleBatches;
use super::order::RunOrder;
use super::runs::{Runs, STREAMS, Shares, Sorting};
use super::units::Unit;
use crate::manifest::checksum::Checksum;
use crate::session::node_above;
use crate::write::RunRows;

/// Plan node that cuts a stream of rows into sorted runs.
#[derive(Debug)]
pub(crate) struct SortRunsExec {
    sorting: Sorting,
    metrics: ExecutionPlanMetricsSet,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    /// Of all its streams.
    runs: OnceLock<Arc<Runs>>,
}

impl SortRunsExec {
    /// `input` has one partition; `checksum` adds up its values.
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        order: Arc<RunOrder>,
        run_bytes: u64,
        checksum: Option<Arc<Checksum>>,
    ) -> Self {
        let mut fields: Vec<_> = input.schema().fields().iter().cloned().collect();
        fields.extend(RunRows::COLUMNS.map(|name| Arc::new(Field::new(name, DataType::UInt32, false))));
        let schema = Arc::new(Schema::new(fields));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(STREAMS),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            sorting: Sorting { input, order, run_bytes, checksum },
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
        let partition: Vec<&str> = self.sorting.order.partition.iter().map(|&column| name(column)).collect();
        let keys: Vec<String> =
            self.sorting.order.keys.iter().map(|&(column, options)| format!("{} {options}", name(column))).collect();
        write!(f, "SortRunsExec: partitioned_by=[{}] ", partition.join(", "))?;
        write!(f, "sorted_by=[{}] run_bytes={}", keys.join(", "), self.sorting.run_bytes)
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

    node_above!(sorting.input, |node, input| {
        let Sorting { order, run_bytes, checksum, .. } = &node.sorting;
        Self::new(input, Arc::clone(order), *run_bytes, checksum.clone())
    });

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, stream: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let runs = Arc::clone(self.runs.get_or_init(|| Arc::new(Runs::new(&self.sorting, &self.metrics, &context))));
        let shares = runs.stream(stream)?;
        let compute = MetricBuilder::new(&self.metrics).elapsed_compute(stream);
        let mut output = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), 2);
        output.spawn(give_out(shares, Arc::clone(&self.schema), compute, output.tx()));
        Ok(output.build())
    }
}

/// Gives out one unit after the other, with the columns for the writer.
async fn give_out(shares: Shares, schema: SchemaRef, compute: Time, output: Sender<Result<RecordBatch>>) -> Result<()> {
    while let Some(share) = shares.next().await? {
        let given = match share.unit()? {
            (run, Unit::Partition(number)) => {
                let partition = run.partition(*number);
                // A run has fewer than 2^32 rows.
                let rows = u32::try_from(partition.rows).unwrap_or(u32::MAX);
                let in_order = if partition.came_in_order { rows } else { 0 };
                let timer = compute.timer();
                let batches = partition.batches()?;
                drop(timer);
                let rows = RunRows { run: share.number, in_order, bundle: None };
                give_batches(batches, rows, &schema, &compute, &output).await
            }
            (run, Unit::Bundle { number, partitions }) => {
                let rows = RunRows { run: share.number, in_order: 0, bundle: Some(*number) };
                give_batches(BundleBatches { run, partitions }, rows, &schema, &compute, &output).await
            }
        };
        // Nobody listens any more when the task was cancelled or the writer failed, which then says why.
        if given.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn give_batches(
    mut batches: impl Iterator<Item = Result<RecordBatch>>,
    rows: RunRows,
    schema: &SchemaRef,
    compute: &Time,
    output: &Sender<Result<RecordBatch>>,
) -> Result<(), SendError<Result<RecordBatch>>> {
    while let Some(batch) = next_batch(&mut batches, compute) {
        let batch = batch.and_then(|batch| {
            let columns = rows.columns(batch.num_rows());
            let columns = batch.columns().iter().cloned().chain(columns);
            Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
        });
        output.send(batch).await?;
    }
    Ok(())
}

fn next_batch(batches: &mut impl Iterator<Item = Result<RecordBatch>>, compute: &Time) -> Option<Result<RecordBatch>> {
    let _timer = compute.timer();
    batches.next()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use datafusion::arrow::array::{ArrayRef, AsArray, Int32Array};
    use datafusion::arrow::compute::SortOptions;
    use datafusion::arrow::datatypes::{Int32Type, UInt32Type};
    use datafusion::error::DataFusionError;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
    use futures::stream::{self, BoxStream};
    use futures::{StreamExt, TryStreamExt, future};

    use super::*;
    use crate::write::used_bytes;

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
        rows_of(5, first)
    }

    /// Two rows of each partition.
    fn rows_of(partitions: i32, first: i32) -> RecordBatch {
        let keys: Int32Array = (0..2 * partitions).map(|row| first - row).collect();
        let partitions: Int32Array = (0..2 * partitions).map(|row| row % partitions).collect();
        RecordBatch::try_from_iter([("p", Arc::new(partitions) as ArrayRef), ("k", Arc::new(keys))]).unwrap()
    }

    /// The streams of a plan whose runs are of three batches.
    fn streams(
        rows: impl Fn() -> BoxStream<'static, Result<RecordBatch>> + Send + Sync + 'static,
    ) -> Vec<SendableRecordBatchStream> {
        let schema = batch(0).schema();
        let source = Arc::new(Source(Arc::clone(&schema), Box::new(rows)));
        let input = StreamingTableExec::try_new(schema, vec![source], None, [], false, None).unwrap();
        let order = RunOrder { partition: vec![0], keys: vec![(1, SortOptions::default())], bundles: 0 };
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
    async fn failed_input_is_reported_by_one_stream_and_ends_the_other() {
        let failure = || Err(DataFusionError::Execution("no more".to_owned()));
        let streams = streams(move || stream::iter([Ok(batch(0)), failure(), Ok(batch(1))]).boxed());
        let given = future::join_all(streams.into_iter().map(TryStreamExt::try_collect::<Vec<_>>)).await;
        let reported: Vec<String> =
            given.iter().filter_map(|rows| rows.as_ref().err().map(ToString::to_string)).collect();
        assert_eq!(reported, ["Execution error: no more"]);
        assert!(given.iter().flatten().all(Vec::is_empty));
    }

    #[tokio::test]
    async fn stream_that_nobody_listens_to_ends_the_other() {
        let mut streams = streams(|| stream::repeat_with(|| Ok(rows_of(100, 0))).boxed());
        let other = streams.pop().unwrap();
        let mut one = streams.pop().unwrap();
        one.next().await.unwrap().unwrap();
        drop(one);
        let rest = tokio::time::timeout(Duration::from_secs(60), other.count()).await.unwrap();
        // What was on its way: of the endless rest, not even the other partitions of this run.
        assert!(rest <= 5, "{rest}");
    }

    #[tokio::test]
    async fn stream_is_given_out_once() {
        let schema = batch(0).schema();
        let source = Arc::new(Source(Arc::clone(&schema), Box::new(|| stream::empty().boxed())));
        let input = StreamingTableExec::try_new(schema, vec![source], None, [], false, None).unwrap();
        let order = Arc::new(RunOrder { partition: vec![0], keys: Vec::new(), bundles: 0 });
        let sort = SortRunsExec::new(Arc::new(input), order, 1, None);
        assert!(sort.execute(0, Arc::default()).is_ok());
        assert!(sort.execute(0, Arc::default()).is_err());
        assert!(sort.execute(STREAMS, Arc::default()).is_err());
    }
}
