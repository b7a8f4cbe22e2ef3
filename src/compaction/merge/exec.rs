//! Merges sorted runs into one stream, in stretches.
//!
//! ```text
//! run 0   1 2 3 | 7 8           stretches   0: 1 2 3   1: 4 5 6   0: 7 8   1: 9
//! run 1   4 5 6 | 9
//! ```
//!
//! The run with the smallest row gives all its rows up to the next run's smallest at once, found by doubling steps and
//! then halving them. Where runs do not interleave (an export in key order), that is a comparison per batch instead of
//! per row, and rows are copied as slices. Equal keys come in the order of the runs. Keys are compared in the row
//! format of `arrow_row`, as the runs were sorted.
//!
//! Output batches have exactly [`batch_rows`], the last one fewer: what is written does not depend on how the runs were
//! cut into batches. Memory: the batches of each run that [`Reading`] says, and two batches of output; see
//! [`super::passes`] for how many runs are merged at once. A batch that is used up stays until its last rows are given
//! out, with the next ones: where runs come to the ends of their batches together, two of each for a moment.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortOptions, concat_batches, interleave_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, Time};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;
use futures::future::try_join_all;
use tokio::sync::mpsc::Sender;

use crate::session::node_above;
use crate::types::width::batch_rows;

/// Rows per stretch from which on slices are copied faster than single rows.
const LONG_STRETCH_ROWS: usize = 32;

/// When the rows of runs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// While others are merged, on all threads: [`BATCHES_AHEAD`] batches of each run are in memory.
    Ahead,
    /// When the next ones are needed: one batch, as a rule.
    WhenNeeded,
}

/// Batches of each run in memory: one being merged, one that waits or is being decoded, one that is used up.
pub(crate) const BATCHES_AHEAD: u64 = 3;

/// Plan node that merges sorted runs into one sorted stream.
#[derive(Debug)]
pub(crate) struct MergeRunsExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<(usize, SortOptions)>,
    reading: Reading,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl MergeRunsExec {
    /// Each partition of `input` is a run, sorted by `keys`.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, keys: Vec<(usize, SortOptions)>, reading: Reading) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, keys, reading, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for MergeRunsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.input.schema();
        let keys: Vec<String> =
            self.keys.iter().map(|&(column, options)| format!("{} {options}", schema.field(column).name())).collect();
        let runs = self.input.output_partitioning().partition_count();
        write!(f, "MergeRunsExec: runs={runs} sorted_by=[{}]", keys.join(", "))
    }
}

impl ExecutionPlan for MergeRunsExec {
    fn name(&self) -> &'static str {
        "MergeRunsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    node_above!(input, |node, input| Self::new(input, node.keys.clone(), node.reading));

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        let field = |&(column, options): &(usize, SortOptions)| {
            SortField::new_with_options(schema.field(column).data_type().clone(), options)
        };
        let runs = (0..self.input.output_partitioning().partition_count())
            .map(|run| {
                let rows = self.input.execute(run, Arc::clone(&context))?;
                Ok(MergeRun::new(match self.reading {
                    Reading::Ahead => spawn_buffered(rows, 1),
                    Reading::WhenNeeded => rows,
                }))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut output = RecordBatchReceiverStream::builder(Arc::clone(&schema), 2);
        let merger = Merger {
            keys: self.keys.iter().map(|&(column, _)| column).collect(),
            converter: RowConverter::new(self.keys.iter().map(field).collect())?,
            runs,
            heap: Vec::new(),
            batch_rows: batch_rows(&schema),
            pending: Pending::new(schema),
            output: output.tx(),
            stretches: MetricBuilder::new(&self.metrics).counter("stretches", partition),
            compute: MetricBuilder::new(&self.metrics).elapsed_compute(partition),
        };
        output.spawn(merger.run());
        Ok(output.build())
    }
}

/// A run and its next row.
struct MergeRun {
    stream: SendableRecordBatchStream,
    keys: Option<Rows>,
    /// Index in [`Pending::batches`] of the batch that `keys` belong to.
    batch: usize,
    next: usize,
}

impl MergeRun {
    fn new(stream: SendableRecordBatchStream) -> Self {
        Self { stream, keys: None, batch: 0, next: 0 }
    }

    /// Its next rows; `None` at its end.
    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(batch) = self.stream.next().await {
            let batch = batch?;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn rows(&self) -> usize {
        self.keys.as_ref().map_or(0, Rows::num_rows)
    }

    fn compare(&self, row: usize, other: &Self) -> Ordering {
        match (&self.keys, &other.keys) {
            (Some(keys), Some(others)) => keys.row(row).cmp(&others.row(other.next)),
            // A run without rows is not in the heap.
            _ => Ordering::Equal,
        }
    }

    /// How many rows from the next one on come before the other's next row; those equal to it do if `ties`.
    fn stretch(&self, other: &Self, ties: bool) -> usize {
        let comes_first = |row: usize| match self.compare(row, other) {
            Ordering::Less => true,
            Ordering::Equal => ties,
            Ordering::Greater => false,
        };
        let left = self.rows() - self.next;
        if comes_first(self.rows() - 1) {
            return left;
        }
        // Invariant: rows below `low` come first, row `high` does not.
        let (mut low, mut high) = (1, 1);
        while high < left && comes_first(self.next + high) {
            low = high + 1;
            high *= 2;
        }
        high = high.min(left);
        while low < high {
            let middle = low + (high - low) / 2;
            if comes_first(self.next + middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Rows in their final order that are not given out yet.
struct Pending {
    schema: SchemaRef,
    /// Batches that stretches or runs refer to.
    batches: Vec<RecordBatch>,
    /// Batch, first row, rows.
    stretches: Vec<(usize, usize, usize)>,
    rows: usize,
}

impl Pending {
    fn new(schema: SchemaRef) -> Self {
        Self { schema, batches: Vec::new(), stretches: Vec::new(), rows: 0 }
    }

    /// Builds the first `rows` rows.
    fn take(&mut self, rows: usize) -> Result<RecordBatch> {
        let mut parts = Vec::new();
        let mut wanted = rows;
        let mut whole = 0;
        for stretch in &mut self.stretches {
            let part = stretch.2.min(wanted);
            if part > 0 {
                parts.push((stretch.0, stretch.1, part));
            }
            wanted -= part;
            if part < stretch.2 {
                *stretch = (stretch.0, stretch.1 + part, stretch.2 - part);
                break;
            }
            whole += 1;
        }
        self.stretches.drain(..whole);
        self.rows -= rows;
        if let [(batch, start, rows)] = parts[..] {
            return Ok(self.batches[batch].slice(start, rows));
        }
        if rows / LONG_STRETCH_ROWS >= parts.len() {
            let slices: Vec<RecordBatch> =
                parts.iter().map(|&(batch, start, rows)| self.batches[batch].slice(start, rows)).collect();
            return Ok(concat_batches(&self.schema, &slices)?);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let indices: Vec<(usize, usize)> =
            parts.iter().flat_map(|&(batch, start, rows)| (start..start + rows).map(move |row| (batch, row))).collect();
        Ok(interleave_record_batch(&batches, &indices)?)
    }
}

struct Merger {
    keys: Vec<usize>,
    converter: RowConverter,
    runs: Vec<MergeRun>,
    /// Runs that have a next row, as a binary heap with the smallest first.
    heap: Vec<usize>,
    /// Of the output.
    batch_rows: usize,
    pending: Pending,
    output: Sender<Result<RecordBatch>>,
    stretches: Count,
    compute: Time,
}

impl Merger {
    async fn run(mut self) -> Result<()> {
        let first = try_join_all(self.runs.iter_mut().map(MergeRun::read)).await?;
        for (run, batch) in first.into_iter().enumerate() {
            if self.accept(run, batch)? {
                self.heap.push(run);
            }
        }
        for parent in (0..self.heap.len() / 2).rev() {
            self.sift_down(parent);
        }
        while let Some(&first) = self.heap.first() {
            let is_empty = self.take_stretch(first);
            while self.pending.rows >= self.batch_rows {
                if !self.give(self.batch_rows).await? {
                    return Ok(());
                }
            }
            if is_empty {
                let batch = self.runs[first].read().await?;
                if !self.accept(first, batch)? {
                    self.heap.swap_remove(0);
                }
            }
            self.sift_down(0);
        }
        if self.pending.rows > 0 {
            self.give(self.pending.rows).await?;
        }
        Ok(())
    }

    /// Moves the first run's stretch to the pending rows; whether its batch is used up.
    fn take_stretch(&mut self, first: usize) -> bool {
        let run = &self.runs[first];
        let second = match (self.heap.get(1), self.heap.get(2)) {
            (Some(&left), Some(&right)) => Some(if self.comes_before(right, left) { right } else { left }),
            (Some(&left), None) => Some(left),
            (None, _) => None,
        };
        let rows = second.map_or(run.rows() - run.next, |second| run.stretch(&self.runs[second], first < second));
        self.pending.stretches.push((run.batch, run.next, rows));
        self.pending.rows += rows;
        self.stretches.add(1);
        let run = &mut self.runs[first];
        run.next += rows;
        run.next == run.rows()
    }

    async fn give(&mut self, rows: usize) -> Result<bool> {
        let started = Instant::now();
        let batch = self.pending.take(rows)?;
        self.forget_batches();
        self.compute.add_elapsed(started);
        // Nobody listens any more when the task was cancelled or the writer failed, which then says why.
        Ok(self.output.send(Ok(batch)).await.is_ok())
    }

    /// Lets go of batches that nothing refers to.
    fn forget_batches(&mut self) {
        let mut new_index = vec![usize::MAX; self.pending.batches.len()];
        let used = self.heap.iter().map(|&run| self.runs[run].batch);
        for batch in used.chain(self.pending.stretches.iter().map(|stretch| stretch.0)) {
            new_index[batch] = 0;
        }
        let (mut old, mut kept) = (0, 0);
        self.pending.batches.retain(|_| {
            let is_used = new_index[old] == 0;
            if is_used {
                new_index[old] = kept;
                kept += 1;
            }
            old += 1;
            is_used
        });
        for &run in &self.heap {
            self.runs[run].batch = new_index[self.runs[run].batch];
        }
        for stretch in &mut self.pending.stretches {
            stretch.0 = new_index[stretch.0];
        }
    }

    /// Takes the next rows of a run; `false` at its end.
    fn accept(&mut self, run: usize, batch: Option<RecordBatch>) -> Result<bool> {
        let run = &mut self.runs[run];
        let Some(batch) = batch else {
            run.keys = None;
            return Ok(false);
        };
        let _timer = self.compute.timer();
        let columns: Vec<ArrayRef> = self.keys.iter().map(|&column| Arc::clone(batch.column(column))).collect();
        run.keys = Some(self.converter.convert_columns(&columns)?);
        run.batch = self.pending.batches.len();
        run.next = 0;
        self.pending.batches.push(batch);
        Ok(true)
    }

    fn comes_before(&self, one: usize, other: usize) -> bool {
        self.runs[one].compare(self.runs[one].next, &self.runs[other]).then(one.cmp(&other)) == Ordering::Less
    }

    fn sift_down(&mut self, mut parent: usize) {
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            let Some(&child) = self.heap.get(left) else { return };
            let smaller = match self.heap.get(right) {
                Some(&other) if self.comes_before(other, child) => right,
                _ => left,
            };
            if !self.comes_before(self.heap[smaller], self.heap[parent]) {
                return;
            }
            self.heap.swap(parent, smaller);
            parent = smaller;
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, StringArray};
    use datafusion::arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_plan::collect;
    use proptest::prelude::*;

    use super::*;
    use crate::types::width::BATCH_ROWS;

    fn batch(rows: &[(Option<i32>, usize)]) -> RecordBatch {
        let keys: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>());
        let texts: ArrayRef = Arc::new(rows.iter().map(|row| Some(format!("row {}", row.1))).collect::<StringArray>());
        RecordBatch::try_from_iter_with_nullable([("key", keys, true), ("text", texts, true)]).unwrap()
    }

    async fn merge(runs: &[Vec<RecordBatch>], options: SortOptions, reading: Reading) -> Vec<RecordBatch> {
        let input = MemorySourceConfig::try_new_exec(runs, batch(&[]).schema(), None).unwrap();
        collect(Arc::new(MergeRunsExec::new(input, vec![(0, options)], reading)), Arc::default()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn runs_that_do_not_interleave_are_copied_in_stretches() {
        let rows = |from: i32| (from..from + 5000).map(|key| (Some(key), 0)).collect::<Vec<_>>();
        let runs = [vec![batch(&rows(5000))], vec![batch(&rows(0)), batch(&rows(10_000))]];
        let input = MemorySourceConfig::try_new_exec(&runs, batch(&[]).schema(), None).unwrap();
        let merge = Arc::new(MergeRunsExec::new(input, vec![(0, SortOptions::default())], Reading::WhenNeeded));
        let merged = collect(Arc::clone(&merge) as _, Arc::default()).await.unwrap();
        assert_eq!(merged.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8192, 6808]);
        assert_eq!(
            concat_batches(&merged[0].schema(), &merged).unwrap(),
            batch(&(0..15_000).map(|key| (Some(key), 0)).collect::<Vec<_>>())
        );
        assert_eq!(merge.metrics().unwrap().sum_by_name("stretches").unwrap().as_usize(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The merge is the stable sort of the runs one after another, in full batches, however runs are cut.
        #[test]
        fn merge_equals_a_stable_sort_of_all_runs(
            runs in prop::collection::vec(prop::collection::vec(prop::option::of(0i32..60), 0..1000), 1..50),
            cut in 1usize..3000,
            descending: bool,
            nulls_first: bool,
            ahead: bool,
        ) {
            let options = SortOptions::new(descending, nulls_first);
            let (mut row, mut all, mut sorted) = (0, Vec::new(), Vec::new());
            for keys in runs {
                let rows: Vec<_> = keys.into_iter().map(|key| { row += 1; (key, row) }).collect();
                let run = batch(&rows);
                let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..run.num_rows() as i32));
                let sort = [SortColumn { values: Arc::clone(run.column(0)), options: Some(options) }, SortColumn { values: numbers, options: None }];
                let run = take_record_batch(&run, &lexsort_to_indices(&sort, None).unwrap()).unwrap();
                let starts = (0..run.num_rows()).step_by(cut);
                let batches = starts.flat_map(|start| [run.slice(start, 0), run.slice(start, cut.min(run.num_rows() - start))]);
                sorted.push(batches.collect::<Vec<_>>());
                all.push(run);
            }
            let all = concat_batches(&all[0].schema(), &all).unwrap();
            let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..all.num_rows() as i32));
            let sort = [SortColumn { values: Arc::clone(all.column(0)), options: Some(options) }, SortColumn { values: numbers, options: None }];
            let expected = take_record_batch(&all, &lexsort_to_indices(&sort, None).unwrap()).unwrap();

            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let merged = runtime.block_on(merge(&sorted, options, if ahead { Reading::Ahead } else { Reading::WhenNeeded }));
            let (last, full) = merged.split_last().map_or((None, &[][..]), |(last, full)| (Some(last), full));
            prop_assert!(full.iter().all(|batch| batch.num_rows() == BATCH_ROWS));
            prop_assert!(last.is_none_or(|batch| (1..=BATCH_ROWS).contains(&batch.num_rows())));
            prop_assert_eq!(concat_batches(&all.schema(), &merged).unwrap(), expected);
        }
    }
}
