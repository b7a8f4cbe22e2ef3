//! The plan node above a scan of Parquet files: keeps filters away from it that would lose rows, hands all else
//! through.
//!
//! Files of an export may have any statistics: bounds of an unknown order, cut, or wrong. No filter
//! gets to their scan, be it of the query, of a join or of a sort with a limit; each is applied to the rows.
//!
//! Our own files say the truth, but for one thing. A footer's least and largest value pass over NaN (`ColumnOrder` in
//! parquet.thrift), in SQL it is larger than all others. So a row group in which `x` is 1, 2 and NaN says "1 to 2", and
//! an engine that trusts it passes over the row group for `WHERE x > 100`, though the row of the NaN is wanted. Filters
//! of such columns are applied to the rows alone:
//!
//! ```text
//! FilterExec: x@1 > 100 AND id@0 > 7
//!   FileScanExec: may_be_nan=[x]
//!     DataSourceExec: predicate=id@0 > 7
//! ```

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};

use crate::session::node_above;
use crate::snapshot::presence::PresenceCounter;

/// Plan node above a Parquet scan that keeps filters away from it.
#[derive(Debug, Clone)]
pub(crate) struct FileScanExec {
    /// The files' scan.
    pub(crate) input: Arc<dyn ExecutionPlan>,
    /// Of files that a manifest lists: what EXPLAIN shows.
    pub(crate) of_manifest: Option<Arc<str>>,
    /// Which columns they have, if somebody else wrote them.
    pub(crate) export: Option<PresenceCounter>,
    /// Float columns by whose footers nothing may be passed over.
    pub(crate) may_be_nan: Arc<[String]>,
}

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of_manifest {
            Some(message) => write!(f, "{}: {message}", self.name()),
            None if self.export.is_some() => write!(f, "{}: of an export, filters see its rows alone", self.name()),
            None => write!(f, "{}: may_be_nan=[{}]", self.name(), self.may_be_nan.join(", ")),
        }
    }
}

impl ExecutionPlan for FileScanExec {
    fn name(&self) -> &'static str {
        if self.of_manifest.is_some() { "ManifestScanExec" } else { "FileScanExec" }
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    /// It does, but with a sort below this node, the filter that a sort with a limit makes would get to the scan.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    node_above!(input, |node, input| Self { input, ..node.clone() });

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let is_renamed = projection
            .expr()
            .iter()
            .any(|column| column.expr.downcast_ref::<Column>().is_none_or(|plain| plain.name() != column.alias));
        // A scan that reads no column believes what footers say of rows.
        let reads_nothing = self.export.is_some() && !projection.expr().iter().any(|column| has_column(&column.expr));
        if is_renamed && !self.may_be_nan.is_empty() || reads_nothing {
            return Ok(None);
        }
        let input = self.input.try_swapping_with_projection(projection)?;
        Ok(input.map(|input| Arc::new(Self { input, ..self.clone() }) as _))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        if self.export.is_some() {
            return Ok(FilterDescription::all_unsupported(&filters, &self.children()));
        }
        let schema = self.input.schema();
        let columns = schema.fields().iter().enumerate();
        let allowed = columns.filter(|(_, field)| !self.may_be_nan.contains(field.name())).map(|(index, _)| index);
        let child = ChildFilterDescription::from_child_with_allowed_indices(&filters, allowed.collect(), &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

fn has_column(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is::<Column>() || expr.children().into_iter().any(has_column)
}
