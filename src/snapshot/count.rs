//! Counts the rows that come out of a plan node, and says whether all of them came.
//!
//! What a file states about itself (the footer of a Parquet file, a manifest) is a claim; the rows that its decoder
//! gives are the evidence. [`CountedTable`] puts a [`CountRowsExec`] above each scan of a snapshot table, and a stage
//! task compares. A scan counts as complete when each of its streams was polled to its end: a LIMIT or a join with
//! nothing may stop earlier, and then the number says nothing about the files.
//!
//! ```text
//! FilterExec                              filters stay above: no row is left out before it is counted
//!   CountRowsExec: snapshot.flights
//!     DataSourceExec | TextScanExec
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::{Stream, StreamExt};

use super::table::FileListTable;
use crate::session::node_above;

/// What a [`CountRowsExec`] counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountedRows {
    /// The snapshot table with its schema, or what else the node counts.
    pub(crate) of: Arc<str>,
    /// Rows given.
    pub(crate) rows: u64,
    /// Whether these are all rows of the input.
    pub(crate) is_complete: bool,
}

impl CountedRows {
    /// Whether they are rows of that snapshot table.
    pub(crate) fn is_of_snapshot(&self, table: &str) -> bool {
        self.of.strip_prefix(SNAPSHOT) == Some(table)
    }
}

/// Prefix of the name of a snapshot table.
const SNAPSHOT: &str = "snapshot.";

/// The counts of all [`CountRowsExec`] nodes of a plan that was executed, from its root down.
pub(crate) fn counted_rows(plan: &Arc<dyn ExecutionPlan>) -> Vec<CountedRows> {
    let mut all = Vec::new();
    if let Some(node) = plan.downcast_ref::<CountRowsExec>() {
        all.push(node.counted());
    }
    all.extend(plan.children().into_iter().flat_map(counted_rows));
    all
}

/// A snapshot table whose scans count their rows.
#[derive(Debug)]
pub(crate) struct CountedTable {
    name: Arc<str>,
    table: FileListTable,
}

impl CountedTable {
    pub(crate) fn new(name: &str, table: FileListTable) -> Self {
        Self { name: format!("{SNAPSHOT}{name}").into(), table }
    }
}

#[async_trait]
impl TableProvider for CountedTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn statistics(&self) -> Option<Statistics> {
        TableProvider::statistics(&self.table)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = self.table.scan(state, projection, filters, limit).await?;
        Ok(Arc::new(CountRowsExec::new(scan, Arc::clone(&self.name))))
    }
}

/// Hands rows through and counts them. Takes neither filters nor a limit, which would leave out rows uncounted.
#[derive(Debug)]
pub(crate) struct CountRowsExec {
    input: Arc<dyn ExecutionPlan>,
    of: Arc<str>,
    /// Shared by the node and those that the optimizer makes of it.
    counts: Arc<RowCounts>,
}

#[derive(Debug, Default)]
struct RowCounts {
    rows: AtomicU64,
    streams_ended: AtomicU64,
}

impl CountRowsExec {
    /// Counts the rows of `input`, which are those of `of`.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, of: Arc<str>) -> Self {
        Self { input, of, counts: Arc::default() }
    }

    fn counted(&self) -> CountedRows {
        let streams = self.input.output_partitioning().partition_count() as u64;
        CountedRows {
            of: Arc::clone(&self.of),
            rows: self.counts.rows.load(Ordering::Relaxed),
            is_complete: self.counts.streams_ended.load(Ordering::Relaxed) == streams,
        }
    }
}

impl DisplayAs for CountRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountRowsExec: {}", self.of)
    }
}

impl ExecutionPlan for CountRowsExec {
    fn name(&self) -> &'static str {
        "CountRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    /// It does, but a sort with a limit would be put below this node, and rows would be left out uncounted.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    node_above!(input, |node, input| Self { input, of: Arc::clone(&node.of), counts: Arc::clone(&node.counts) });

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(CountedStream { input, counts: Arc::clone(&self.counts), has_ended: false }))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        // A scan takes columns; what computes values stays above, where its errors belong.
        if projection.expr().iter().any(|column| column.expr.downcast_ref::<Column>().is_none()) {
            return Ok(None);
        }
        let input = self.input.try_swapping_with_projection(projection)?;
        Ok(input.map(|input| Arc::new(Self { input, of: Arc::clone(&self.of), counts: Arc::clone(&self.counts) }) as _))
    }
}

struct CountedStream {
    input: SendableRecordBatchStream,
    counts: Arc<RowCounts>,
    has_ended: bool,
}

impl Stream for CountedStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.input.poll_next_unpin(context);
        match &polled {
            Poll::Ready(Some(Ok(batch))) => {
                self.counts.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            }
            Poll::Ready(None) if !self.has_ended => {
                self.has_ended = true;
                self.counts.streams_ended.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        polled
    }
}

impl RecordBatchStream for CountedStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
