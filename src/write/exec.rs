//! The plan node that writes: sorted rows in, manifest rows out.
//!
//! Guarantees:
//! * one open file per stream, whatever the number of partitions: each stream is sorted by partition, so a file is
//!   finished before the next one is opened;
//! * file names depend on the task's input, the partition and a sequence number, never on time or chance;
//! * partition columns are in the path and not in the file, but in staging files of several partitions, where they are
//!   the last; all other columns keep their order;
//! * a failed write aborts its upload; finished files of a failed task are garbage until a retry writes them again.
//!
//! It does not commit anything: the caller puts the output rows into a manifest.

use std::fmt;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};

use super::files::output_schema;
use super::spec::{Numbering, WriteSpec};
use super::writer::{Writer, WriterColumns};
use crate::session::node_above;

/// Plan node that writes sorted rows to files and returns one manifest row per file.
#[derive(Debug)]
pub(crate) struct LakeWriteExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<WriteSpec>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LakeWriteExec {
    /// Each stream of `input` is sorted by the partition columns. Only runs may come in several streams, of which one
    /// has all rows of a run and partition.
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

    node_above!(input, |node, input| Self::new(input, Arc::clone(&node.spec)));

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
        let columns = WriterColumns::of(&input.schema(), &self.spec)?;
        let rows = MetricBuilder::new(&self.metrics).counter("rows_written", stream);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes_written", stream);
        let writer = Writer::new(Arc::clone(&self.spec), columns, output.tx(), rows, bytes);
        output.spawn(writer.run(input));
        Ok(output.build())
    }
}
