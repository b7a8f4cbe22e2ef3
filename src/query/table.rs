//! A table of the files that manifests list, of which a query opens only those that its filters leave.
//!
//! ```text
//! ManifestScanExec: lake.flights, files=1 of 13       what EXPLAIN shows; hands everything through
//!   DataSourceExec                                    the files that are left, with what is known of them
//! ```

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};

use super::index::FileIndex;
use crate::config::FileFormat;
use crate::layout::store_of;
use crate::snapshot::{FileListTable, Size, TableFiles};

/// See the module's head.
#[derive(Debug)]
pub(super) struct ManifestTable {
    /// With its schema, for EXPLAIN.
    name: Arc<str>,
    /// How the files are decoded; it lists none.
    files: TableFiles,
    index: Arc<FileIndex>,
}

impl ManifestTable {
    /// `statistics` has a text per file of `table`, or none at all; `partition` fields stand in the files' paths.
    pub(super) fn new(schema: &str, mut table: TableFiles, statistics: Vec<String>, partition: Vec<FieldRef>) -> Self {
        let files = std::mem::take(&mut table.files).into();
        let all = FileListTable::new(table.clone(), partition.clone(), Size::AsListed).schema();
        let name = format!("{schema}.{}", table.name).into();
        Self { name, files: table, index: Arc::new(FileIndex::new(files, statistics, all, partition)) }
    }

    /// What manifests say of its files.
    pub(super) fn index(&self) -> &Arc<FileIndex> {
        &self.index
    }

    /// Text files are not counted before they are read, and each store is scanned by itself.
    fn is_counted(&self) -> bool {
        let first = self.index.files.first().map_or("", |file| store_of(&file.uri));
        matches!(self.files.format, FileFormat::Parquet)
            && self.index.files.iter().all(|file| file.n_record.is_some() && store_of(&file.uri) == first)
    }
}

#[async_trait]
impl TableProvider for ManifestTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.index.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|filter| self.index.support(filter)).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = self.index.prune(state, filters)?;
        let files = kept.values().iter().map(|&row| self.index.files[row as usize].clone()).collect();
        let table = TableFiles { files, ..self.files.clone() };
        let mut list = FileListTable::new(table, self.index.partition.clone(), Size::AsListed);
        if self.is_counted() {
            list = list.with_statistics(self.index.statistics(&kept, projection)?);
        }
        let input = list.scan(state, projection, &[], limit).await?;
        let files = (kept.len(), self.index.files.len());
        let may_be_nan = self.index.may_be_nan(&kept)?.into();
        Ok(Arc::new(ManifestScanExec { input, name: Arc::clone(&self.name), files, may_be_nan }))
    }
}

/// Says how many of a table's files are read.
#[derive(Debug, Clone)]
struct ManifestScanExec {
    input: Arc<dyn ExecutionPlan>,
    name: Arc<str>,
    /// Read and listed.
    files: (usize, usize),
    /// Float columns by whose footers nothing may be passed over: footers pass over NaN, which is larger than all.
    may_be_nan: Arc<[String]>,
}

impl DisplayAs for ManifestScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestScanExec: {}, files={} of {}", self.name, self.files.0, self.files.1)
    }
}

impl ExecutionPlan for ManifestScanExec {
    fn name(&self) -> &'static str {
        "ManifestScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        Ok(Arc::new(Self { input: children.swap_remove(0), ..Self::clone(&self) }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

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
        if is_renamed && !self.may_be_nan.is_empty() {
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
