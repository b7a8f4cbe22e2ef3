//! The sorted runs of one stage task: collected one at a time, each shared by the task's streams.
//!
//! ```text
//! stream 0    collects run 0   unit 1   unit 3        waits    unit 1
//! stream 1    waits            unit 2   unit 4 ......          unit 2
//!                                          collects run 1 when all are given out
//! ```
//!
//! Each stream takes the next unit (a partition, or several small ones) when it is done with one. The stream that finds
//! none left collects the next run, when the other has given out its last unit: there is memory for one run. When a
//! stream fails or is dropped, the other ends soon.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, mem};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, Time};
use futures::StreamExt;
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use super::collect::{Collector, PIECES, SortedRun};
use super::order::RunOrder;
use super::units::Unit;
use crate::manifest::checksum::Checksum;
use crate::types::width::batch_rows;
use crate::write::used_bytes;

/// Streams of a task. With two, the last task of all keeps two cores busy while it orders and encodes.
pub(super) const STREAMS: usize = 2;

/// A run ends with this many rows, and a batch, so that 32 bits number them.
const MAX_RUN_ROWS: usize = 1 << 31;

/// What is cut into sorted runs, and how.
#[derive(Debug)]
pub(super) struct Sorting {
    pub(super) input: Arc<dyn ExecutionPlan>,
    pub(super) order: Arc<RunOrder>,
    /// Of one run in memory.
    pub(super) run_bytes: u64,
    /// Adds up the values of the input.
    pub(super) checksum: Option<Arc<Checksum>>,
}

/// The sorted runs of one stage task, shared by its output streams.
#[derive(Debug)]
pub(super) struct Runs {
    sorter: Mutex<Sorter>,
    /// Which streams were asked for.
    begun: [AtomicBool; STREAMS],
    /// Whether a stream has ended. Before the last row that means that the task has failed: nothing more is given out.
    is_over: AtomicBool,
}

/// One of the streams; when it ends, however that is, the others do, too.
pub(super) struct Shares(Arc<Runs>);

/// A unit that one stream gives out. The next run waits for it.
pub(super) struct Share {
    run: OwnedRwLockReadGuard<Option<SortedRun>>,
    unit: usize,
    /// Of the run.
    pub(super) number: u32,
}

impl Share {
    /// # Errors
    /// Internal error if the run of a unit is gone; rows are never dropped silently.
    pub(super) fn unit(&self) -> Result<(&SortedRun, &Unit)> {
        let run = self.run.as_ref();
        let unit = run.and_then(|run| Some((run, run.units.get(self.unit)?)));
        unit.ok_or_else(|| DataFusionError::Internal("a unit without its run".to_owned()))
    }
}

impl Shares {
    /// The next unit; the first of a run when all rows of the one before are on their way.
    ///
    /// # Errors
    /// Those of the plan below, and of types that have no order.
    pub(super) async fn next(&self) -> Result<Option<Share>> {
        self.0.next().await
    }
}

impl Drop for Shares {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Runs {
    pub(super) fn new(sorting: &Sorting, metrics: &ExecutionPlanMetricsSet, context: &Arc<TaskContext>) -> Self {
        let sorter = Sorter {
            order: Arc::clone(&sorting.order),
            plan: Arc::clone(&sorting.input),
            context: Arc::clone(context),
            input: SortInput::Unasked,
            run_bytes: usize::try_from(sorting.run_bytes).unwrap_or(usize::MAX),
            checksum: sorting.checksum.clone(),
            run: Arc::default(),
            units: 0..0,
            number: 0,
            reservation: MemoryConsumer::new("SortRuns").register(context.memory_pool()),
            runs: MetricBuilder::new(metrics).counter("runs", 0),
            compute: MetricBuilder::new(metrics).elapsed_compute(0),
        };
        Self { sorter: Mutex::new(sorter), begun: Default::default(), is_over: AtomicBool::new(false) }
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// For one that was begun before: its rows are given out once.
    pub(super) fn stream(self: Arc<Self>, stream: usize) -> Result<Shares> {
        if self.begun.get(stream).is_none_or(|begun| begun.swap(true, Ordering::Relaxed)) {
            return Err(DataFusionError::Internal(format!("stream {stream} of runs that are given out once")));
        }
        Ok(Shares(self))
    }

    async fn next(&self) -> Result<Option<Share>> {
        let mut sorter = self.sorter.lock().await;
        if self.is_over.load(Ordering::Relaxed) {
            return Ok(None);
        }
        while sorter.units.is_empty() {
            let mut run = Arc::clone(&sorter.run).write_owned().await;
            // Before the next one is collected: there is memory for one.
            *run = None;
            sorter.reservation.resize(0);
            let Some(collected) = sorter.collect(&self.is_over).await? else { return Ok(None) };
            sorter.units = 0..collected.units.len();
            *run = Some(collected);
        }
        let unit = sorter.units.start;
        sorter.units.start += 1;
        Ok(Some(Share { number: sorter.number - 1, unit, run: Arc::clone(&sorter.run).read_owned().await }))
    }
}

/// Rows of the plan below. Once they have ended or failed, nobody asks for more.
enum SortInput {
    Unasked,
    Running(SendableRecordBatchStream),
    Ended,
}

struct Sorter {
    order: Arc<RunOrder>,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    input: SortInput,
    run_bytes: usize,
    checksum: Option<Arc<Checksum>>,
    /// The run that is being given out.
    run: Arc<RwLock<Option<SortedRun>>>,
    /// Its units that no stream has taken yet.
    units: Range<usize>,
    /// Runs so far.
    number: u32,
    reservation: MemoryReservation,
    runs: Count,
    compute: Time,
}

impl fmt::Debug for Sorter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sorter(run {} {:?})", self.number, self.units)
    }
}

impl Sorter {
    /// The next run; `None` when there are no more rows, or the task is over.
    async fn collect(&mut self, is_over: &AtomicBool) -> Result<Option<SortedRun>> {
        let mut input = match mem::replace(&mut self.input, SortInput::Ended) {
            SortInput::Unasked => self.plan.execute(0, Arc::clone(&self.context))?,
            SortInput::Running(input) => input,
            SortInput::Ended => return Ok(None),
        };
        let mut run: Option<Collector> = None;
        // What the run's rows need, strings counted by their length, and how many they are.
        let (mut run_bytes, mut run_rows) = (0, 0);
        while let Some(batch) = input.next().await {
            let batch = batch?;
            if is_over.load(Ordering::Relaxed) {
                return Ok(None);
            }
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
                    let piece_rows = (piece_bytes / row_bytes).max(batch_rows(&self.plan.schema()));
                    // Rows can become much longer than the first ones were.
                    run.insert(Collector::new(&self.order, &self.plan.schema(), piece_rows, 2 * piece_bytes)?)
                }
            };
            run.push(batch, bytes)?;
            self.reservation.resize(run.bytes() + run.bytes() / 4);
            if run_bytes >= self.run_bytes || run_rows >= MAX_RUN_ROWS {
                self.input = SortInput::Running(input);
                break;
            }
        }
        let Some(run) = run else { return Ok(None) };
        let _timer = self.compute.timer();
        self.number += 1;
        self.runs.add(1);
        // The first run of a task is mostly its only one, however large a run may be.
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let fullness = if self.number == 1 { 1.0 } else { run_bytes as f64 / self.run_bytes.max(1) as f64 };
        run.finish(fullness).map(Some)
    }
}
