//! A table of the files that manifests list, of which a query opens only those that its filters leave.
//!
//! ```text
//! ManifestScanExec: lake.flights, files=1 of 13       what EXPLAIN shows; hands everything through
//!   DataSourceExec                                    the files that are left, with what is known of them
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::index::FileIndex;
use crate::config::FileFormat;
use crate::layout::store_of;
use crate::snapshot::{FileListTable, ScanSize, TableFiles};

/// Table provider that prunes the files of a lake or staging table by their manifest statistics.
#[derive(Debug)]
pub(super) struct ManifestTable {
    /// With its schema, for EXPLAIN.
    name: Arc<str>,
    /// How the files are decoded; it lists none.
    files: TableFiles,
    index: Arc<FileIndex>,
    /// Somebody else wrote them.
    is_export: bool,
}

impl ManifestTable {
    /// `statistics` has a text per file of `table`, or none at all.
    pub(super) fn new(schema: &str, mut table: TableFiles, statistics: Vec<String>) -> Self {
        let files = std::mem::take(&mut table.files).into();
        let all = FileListTable::new(table.clone(), ScanSize::AsListed).schema();
        let partition = table.partition.clone();
        let name = format!("{schema}.{}", table.name).into();
        Self {
            is_export: schema == "snapshot",
            name,
            files: table,
            index: Arc::new(FileIndex::new(files, statistics, all, partition)),
        }
    }

    /// What manifests say of its files.
    pub(super) fn index(&self) -> &Arc<FileIndex> {
        &self.index
    }

    /// Text files are not counted before they are read, what an export says of its rows is not taken for them, and each
    /// store is scanned by itself, as are files of several partitions.
    fn is_counted(&self) -> bool {
        let first = self.index.files.first().map_or("", |file| store_of(&file.uri));
        matches!(self.files.format, FileFormat::Parquet)
            && !self.is_export
            && self.index.one_partition_each
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
        let mut list = match self.is_export {
            true => FileListTable::of_export(table, ScanSize::AsListed),
            false => FileListTable::new(table, ScanSize::AsListed),
        };
        if self.is_counted() {
            list = list.with_statistics(self.index.statistics(&kept, projection)?);
        }
        let message = format!("{}, files={} of {}", self.name, kept.len(), self.index.files.len());
        list.of_manifest(message, self.index.may_be_nan(&kept)?).scan(state, projection, &[], limit).await
    }
}
