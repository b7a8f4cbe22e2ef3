//! One compaction task: the sorted runs of a partition, merged into lake files.
//!
//! ```text
//! LakeWriteExec          rolls at the target size
//!   MergeRunsExec        equal keys keep the order of the stage tasks
//!     DataSourceExec     one partition per run
//! ```
//!
//! The merge streams: memory is some batches per run and one open row group. Nothing is sorted again; a partition of more
//! runs than the memory holds batches of is merged in [`passes`](super::passes).

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::parquet::arrow::ArrowSchemaConverter;
use datafusion::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use datafusion::parquet::file::metadata::SortingColumn;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::merge::MergeRunsExec;
use super::passes::{Merged, Passes};
use super::plan::PartitionGroup;
use crate::checksum::{Checksum, ColumnSums};
use crate::config::{LakeTable, SortKey, Verify, WriteCompression};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::{FileEntry, Ledger, Manifest};
use crate::session::Engine;
use crate::snapshot::parquet_scan;
use crate::write::{
    FileEncoding, LakeColumns, LakeWriteExec, Numbering, OnRows, Operator, RollRule, WriteSpec, builder, collect_files,
    operators, unwrap_engine,
};

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
    /// Bytes that merging put on disk, where there were too many runs to merge at once.
    pub bytes_spilled: u64,
    /// Wall time of the task.
    pub seconds: f64,
    /// Sums over the values that were written, where `snaplake.verify` asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<ColumnSums>,
    /// What each operator measured, the writer first.
    pub operators: Vec<Operator>,
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
    /// [`PlanDetails::result`](crate::staging::plan::PlanDetails) of that plan.
    pub(crate) result: &'a str,
    /// Group number, from 1.
    pub(crate) number: usize,
    pub(crate) group: &'a PartitionGroup,
    pub(crate) verify: Verify,
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
        let Planned { session, plan, runs, checksum } = self.plan(on_rows).await.map_err(failed)?;
        let files =
            collect_files(Arc::clone(&plan), session.task_ctx()).await.map_err(|error| failed(unwrap_engine(error)))?;
        let operators = operators(&plan);
        let details = CompactDetails {
            table: self.lake.name.clone(),
            group: self.number,
            partition: self.group.partition.clone(),
            plan: self.plan.to_owned(),
            rows_read: self.group.files.iter().filter_map(|file| file.n_record).sum(),
            rows_written: files.iter().filter_map(|file| file.n_record).sum(),
            bytes_read: self.group.files.iter().map(|file| file.size).sum(),
            bytes_spilled: runs.bytes_spilled,
            seconds: started.elapsed().as_secs_f64(),
            checksums: checksum.map(|checksum| checksum.sums()),
            operators,
        };
        let manifest = Manifest::new(files, details);
        let target = self.ledger.layout().manifest(Step::DatalakeFileGroups, self.number);
        self.ledger.commit(&target, &manifest).await.map_err(failed)?;
        Ok(manifest)
    }

    /// The whole task as a physical plan.
    pub(crate) async fn plan(&self, on_rows: OnRows) -> Result<Planned> {
        let merge_keys = self.merge_keys()?;
        let runs = self.runs(&merge_keys).await?;
        let keys = sort_keys(self.lake);
        let schema = &self.columns.file;
        let session = self.engine.merge_session(&runs.files, runs.batch_rows).await?;
        let input = self.merged(&session, &runs.files, merge_keys)?;
        let folder = self.ledger.layout().lake().clone();
        let checksum = (self.verify == Verify::Checksum).then(|| Arc::new(Checksum::of_all(schema)));
        let spec = WriteSpec {
            table: self.lake.name.clone(),
            store: self.engine.stores().open(&folder).await?,
            folder,
            file_stem: file_stem(self.result, self.number, self.group),
            partition_columns: Vec::new(),
            fixed_partition: self.group.partition.clone(),
            file_schema: Arc::clone(schema),
            encoding: FileEncoding::lake(schema, properties(self.lake, schema, &keys)?)
                .map_err(|source| Error::Parquet { uri: format!("schema of lake.{}", self.lake.name), source })?,
            numbering: Numbering::Rolling(RollRule {
                target_bytes: self.lake.target_file_size,
                min_bytes: self.lake.min_file_size,
                max_bytes: self.lake.max_file_size,
            }),
            total_rows: self.group.files.iter().map(|file| file.n_record).sum(),
            is_published: true,
            checksum: checksum.clone(),
            // An unpartitioned table without rows still has its columns; a partition without rows does not exist.
            write_empty: self.columns.partition.is_empty(),
            on_rows,
        };
        Ok(Planned { session, plan: Arc::new(LakeWriteExec::new(input, Arc::new(spec))), runs, checksum })
    }

    /// The group's staging files, or longer runs that were made of them.
    async fn runs(&self, keys: &[(usize, SortOptions)]) -> Result<Merged> {
        if keys.is_empty() {
            return Ok(Merged::all(&self.group.files));
        }
        let passes = Passes { engine: self.engine, table: &self.lake.name, schema: &self.columns.file, keys };
        passes.merge(&self.group.files).await
    }

    /// All rows of these runs in their order.
    fn merged(
        &self,
        session: &SessionContext,
        runs: &[FileEntry],
        keys: Vec<(usize, SortOptions)>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = |runs: &[Vec<FileEntry>]| parquet_scan(session, &self.columns.file, runs).map_err(unwrap_engine);
        if keys.is_empty() || runs.len() < 2 {
            return scan(&[runs.to_vec()]);
        }
        let runs: Vec<Vec<FileEntry>> = runs.iter().map(|file| vec![file.clone()]).collect();
        Ok(Arc::new(MergeRunsExec::new(scan(&runs)?, keys)))
    }

    /// Columns of the files that runs are sorted by.
    fn merge_keys(&self) -> Result<Vec<(usize, SortOptions)>> {
        let index = |name: &str| self.columns.file.index_of(name).map_err(|error| Error::Engine(error.into()));
        let keys = sort_keys(self.lake).into_iter();
        keys.map(|key| Ok((index(&key.column)?, SortOptions::new(key.descending, key.nulls_first)))).collect()
    }
}

/// A task that can be run.
pub(crate) struct Planned {
    pub(crate) session: SessionContext,
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// What the plan reads, kept until it has run.
    runs: Merged,
    checksum: Option<Arc<Checksum>>,
}

/// First part of a lake file's name: the group's number, and a hash of what decides its rows. Not of the staging files, so
/// memory and store make no difference.
pub(crate) fn file_stem(result: &str, number: usize, group: &PartitionGroup) -> String {
    let rows: u64 = group.files.iter().filter_map(|file| file.n_record).sum();
    let text = format!("{result} {} {} {rows}", group.partition, group.first_row);
    let hash: String = Md5::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{number:06}-{hash}")
}

/// Sort keys within a partition: its partition columns are constant and not in the files.
fn sort_keys(lake: &LakeTable) -> Vec<&SortKey> {
    let is_partition = |key: &SortKey| lake.partitioned_by.iter().any(|(name, _)| *name == key.column);
    lake.sorted_by.iter().map(|(key, _)| key).filter(|key| !is_partition(key)).collect()
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
    Ok(builder()
        .set_compression(compression)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(row_group))
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(staging: &str) -> PartitionGroup {
        let uri = format!("{staging}/k=1/000001-ab-000000.parquet");
        let file = FileEntry {
            uri: uri.into(),
            etag: staging.into(),
            size: 1,
            n_record: Some(1),
            partition: Some("k=1".into()),
        };
        PartitionGroup { partition: "k=1".into(), first_row: 0, files: vec![file] }
    }

    #[test]
    fn file_stem_depends_on_the_rows_and_not_on_where_staging_lies() {
        assert_eq!(file_stem("r", 1, &group("s3://b")), file_stem("r", 1, &group("file:///x")));
        assert_ne!(file_stem("r", 1, &group("s3://b")), file_stem("other", 1, &group("s3://b")));
        let later = PartitionGroup { first_row: 5, ..group("s3://b") };
        assert_ne!(file_stem("r", 1, &group("s3://b")), file_stem("r", 1, &later));
    }
}
