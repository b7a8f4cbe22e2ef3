//! One compaction task: the sorted runs of a partition, merged into lake files.
//!
//! ```text
//! LakeWriteExec                  rolls at the target size
//!   SortPreservingMergeExec      equal keys keep the order of the stage tasks
//!     DataSourceExec             one partition per run; a run's own files follow one another
//! ```
//!
//! The merge streams: memory is a batch per run and one open row group. Nothing is sorted again.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::parquet::arrow::ArrowSchemaConverter;
use datafusion::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use datafusion::parquet::file::metadata::SortingColumn;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::plan::PartitionGroup;
use crate::config::{LakeTable, SortKey, WriteCompression};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::{FileEntry, Ledger, Manifest};
use crate::session::Engine;
use crate::snapshot::parquet_scan;
use crate::write::{LakeColumns, LakeWriteExec, OnRows, RollRule, WriteSpec, collect_files, unwrap_engine};

/// Row groups of lake files: what readers skip and decode at once.
const ROW_GROUP_BYTES: u64 = 64 << 20;

/// What a data lake file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompactDetails {
    /// Lake table.
    pub table: String,
    /// Number of the partition file group.
    pub group: usize,
    /// Hive path of the partition.
    pub partition: String,
    /// Id of the plan that it belongs to.
    pub plan: String,
    /// Rows of the staging files.
    pub rows_read: u64,
    /// Rows of the lake files.
    pub rows_written: u64,
    /// Bytes of the staging files.
    pub bytes_read: u64,
    /// Wall time of the task.
    pub seconds: f64,
}

/// A compaction task's surroundings.
#[derive(Clone, Copy)]
pub(crate) struct CompactTask<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) lake: &'a LakeTable,
    pub(crate) ledger: &'a Ledger,
    pub(crate) columns: &'a LakeColumns,
    /// Id of the plan that it belongs to.
    pub(crate) plan: &'a str,
    /// Group number, from 1.
    pub(crate) number: usize,
    pub(crate) group: &'a PartitionGroup,
}

impl CompactTask<'_> {
    /// Runs and commits the task.
    ///
    /// # Errors
    /// [`Error::Task`].
    pub(crate) async fn run(&self, on_rows: OnRows) -> Result<Manifest<CompactDetails>> {
        let failed = |source| Error::Task {
            step: "publish",
            table: self.lake.name.clone(),
            group: self.number,
            file: None,
            source: Box::new(source),
        };
        let started = Instant::now();
        let plan = self.physical_plan(on_rows).await.map_err(failed)?;
        let session = self.engine.task_session(&self.group.files).await.map_err(failed)?;
        let files = collect_files(plan, session.task_ctx()).await.map_err(|error| failed(unwrap_engine(error)))?;
        let details = CompactDetails {
            table: self.lake.name.clone(),
            group: self.number,
            partition: self.group.partition.clone(),
            plan: self.plan.to_owned(),
            rows_read: self.group.files.iter().filter_map(|file| file.n_record).sum(),
            rows_written: files.iter().filter_map(|file| file.n_record).sum(),
            bytes_read: self.group.files.iter().map(|file| file.size).sum(),
            seconds: started.elapsed().as_secs_f64(),
        };
        let manifest = Manifest::new(files, details);
        let target = self.ledger.layout().manifest(Step::DatalakeFileGroups, self.number);
        self.ledger.commit(&target, &manifest).await.map_err(failed)?;
        Ok(manifest)
    }

    /// The task as a physical plan.
    pub(crate) async fn physical_plan(&self, on_rows: OnRows) -> Result<Arc<dyn ExecutionPlan>> {
        let keys = sort_keys(self.lake);
        let runs = runs(&self.group.files);
        let schema = &self.columns.file;
        let input = match ordering(schema, &keys)? {
            Some(ordering) if runs.len() > 1 => {
                let scan = parquet_scan(schema, &runs).map_err(unwrap_engine)?;
                // Without the round-robin tie-breaker, equal keys come in the order of the runs.
                let merge = SortPreservingMergeExec::new(ordering, scan).with_round_robin_repartition(false);
                Arc::new(merge) as Arc<dyn ExecutionPlan>
            }
            _ => parquet_scan(schema, &[runs.concat()]).map_err(unwrap_engine)?,
        };
        let folder = self.ledger.layout().lake().clone();
        let spec = WriteSpec {
            table: self.lake.name.clone(),
            store: self.engine.stores().open(&folder).await?,
            folder,
            file_stem: file_stem(self.number, &self.group.files),
            partition_columns: Vec::new(),
            fixed_partition: self.group.partition.clone(),
            file_schema: Arc::clone(schema),
            properties: properties(self.lake, schema, &keys)?,
            roll: RollRule {
                target_bytes: self.lake.target_file_size,
                min_bytes: self.lake.min_file_size,
                max_bytes: self.lake.max_file_size,
            },
            total_rows: self.group.files.iter().map(|file| file.n_record).sum(),
            // An unpartitioned table without rows still has its columns; a partition without rows does not exist.
            write_empty: self.columns.partition.is_empty(),
            on_rows,
        };
        Ok(Arc::new(LakeWriteExec::new(input, Arc::new(spec))))
    }
}

/// First part of a lake file's name: the group's number and what its staging files are, wherever staging lies.
pub(crate) fn file_stem(number: usize, files: &[FileEntry]) -> String {
    let mut hash = Md5::new();
    for file in files {
        let name = file.uri.rsplit('/').next().unwrap_or_default();
        hash.update(file.partition.as_deref().unwrap_or_default().as_bytes());
        hash.update(name.as_bytes());
        hash.update(file.etag.as_bytes());
    }
    let hash: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{number:06}-{hash}")
}

/// Files of one stage task are one sorted run: their names are alike up to the sequence number.
fn runs(files: &[FileEntry]) -> Vec<Vec<FileEntry>> {
    let run = |file: &FileEntry| file.uri.rsplit_once('-').map_or(file.uri.to_string(), |(run, _)| run.to_owned());
    files.chunk_by(|a, b| run(a) == run(b)).map(<[FileEntry]>::to_vec).collect()
}

/// Sort keys within a partition: its partition columns are constant and not in the files.
fn sort_keys(lake: &LakeTable) -> Vec<&SortKey> {
    let is_partition = |key: &SortKey| lake.partitioned_by.iter().any(|(name, _)| *name == key.column);
    lake.sorted_by.iter().map(|(key, _)| key).filter(|key| !is_partition(key)).collect()
}

fn ordering(schema: &Schema, keys: &[&SortKey]) -> Result<Option<LexOrdering>> {
    let mut expressions = Vec::new();
    for key in keys {
        let index = schema.index_of(&key.column).map_err(|error| Error::Engine(error.into()))?;
        let options = SortOptions::new(key.descending, key.nulls_first);
        expressions.push(PhysicalSortExpr::new(Arc::new(Column::new(&key.column, index)), options));
    }
    Ok(LexOrdering::new(expressions))
}

/// Text of what decides the form of lake files; a change after planning is refused.
pub(crate) fn properties_text(lake: &LakeTable) -> String {
    format!(
        "target {} min {} max {} {:?}",
        lake.target_file_size, lake.min_file_size, lake.max_file_size, lake.compression
    )
}

fn properties(lake: &LakeTable, schema: &Schema, keys: &[&SortKey]) -> Result<WriterProperties> {
    let failed = |source| Error::Parquet { uri: format!("schema of lake.{}", lake.name), source };
    let leaves = ArrowSchemaConverter::new().convert(schema).map_err(failed)?;
    let sorting = keys
        .iter()
        .map_while(|key| {
            let leaf = leaves.columns().iter().position(|leaf| leaf.path().parts() == [key.column.clone()])?;
            Some(SortingColumn {
                column_idx: i32::try_from(leaf).ok()?,
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
        })
        .collect::<Vec<_>>();
    let compression = match lake.compression {
        WriteCompression::Uncompressed => Compression::UNCOMPRESSED,
        WriteCompression::Snappy => Compression::SNAPPY,
        WriteCompression::Lz4 => Compression::LZ4_RAW,
        WriteCompression::Gzip(level) => Compression::GZIP(GzipLevel::try_new(level.into()).map_err(failed)?),
        WriteCompression::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level.into()).map_err(failed)?),
    };
    let row_group = usize::try_from(ROW_GROUP_BYTES.min(lake.target_file_size)).unwrap_or(usize::MAX);
    Ok(WriterProperties::builder()
        .set_created_by(concat!("snaplake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(row_group))
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileEntry {
        let uri = format!("s3://b/k=1/{name}.parquet");
        FileEntry { uri: uri.into(), etag: "e".into(), size: 1, n_record: Some(1), partition: Some("k=1".into()) }
    }

    #[test]
    fn files_of_one_stage_task_are_one_run() {
        let files = [file("000001-ab-0000"), file("000001-ab-0001"), file("000002-cd-0000")];
        let lengths: Vec<usize> = runs(&files).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn file_stem_does_not_depend_on_where_staging_lies() {
        let mut moved = file("000001-ab-0000");
        moved.uri = moved.uri.replace("s3://b", "file:///x").into();
        assert_eq!(file_stem(1, &[moved]), file_stem(1, &[file("000001-ab-0000")]));
        assert_ne!(file_stem(1, &[file("000001-ab-0001")]), file_stem(1, &[file("000001-ab-0000")]));
    }
}
