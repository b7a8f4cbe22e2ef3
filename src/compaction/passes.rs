//! Many runs become few: a merge that the memory cannot hold at once is made in passes.
//!
//! ```text
//! runs of the partition   1 2 3 4 5 6 7      a merge holds 3
//! first pass              1+2+3 4+5 6+7      longer runs, in a temporary folder, neighbours with neighbours
//! last pass               all three          read by the merge that writes the lake
//! ```
//!
//! Neighbours stay neighbours, so equal keys keep their order and the result is that of one merge. Batches are made smaller
//! before a second pass is: that costs less than writing rows once more. What it does not do: keep the temporary files for
//! a retry, which makes them anew. They are removed with the [`Merged`] that names them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use super::merge::MergeRunsExec;
use crate::error::{Error, Result};
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::session::{BATCH_ROWS, Engine};
use crate::snapshot::{parquet_scan, staged_scan};
use crate::write::{
    FileEncoding, LakeColumns, LakeWriteExec, Numbering, RollRule, STAGING_ROW_GROUP_BYTES, WriteSpec, collect_files,
    unwrap_engine,
};

/// Smaller batches cost more than a pass.
const MIN_BATCH_ROWS: usize = 512;

/// Batches that a merge holds of each run: one being merged, one waiting, one being decoded.
const BATCHES_PER_RUN: u64 = 3;

/// Narrower merges make too many passes, so a little too much memory is used instead.
const MIN_RUNS: usize = 4;

/// What a merge needs of each of its runs.
#[derive(Debug, Clone, Copy)]
struct RunMemory {
    /// Bytes of a row group, or of the file where that is smaller: as stored, and its pages while they are decoded.
    read_bytes: u64,
    row_bytes: u64,
    /// Rows of the longest run.
    rows: u64,
}

impl RunMemory {
    fn of(files: &[FileEntry], schema: &SchemaRef) -> Self {
        let largest = files.iter().map(|file| file.size).max().unwrap_or(0);
        let rows: u64 = files.iter().filter_map(|file| file.n_record).sum();
        let stored: u64 = files.iter().map(|file| file.size).sum();
        let fixed: usize = schema
            .fields()
            .iter()
            .map(|field| field.data_type().primitive_width().unwrap_or(view(field.data_type())))
            .sum();
        Self {
            read_bytes: 2 * largest.min(STAGING_ROW_GROUP_BYTES),
            // Texts are known by what they need stored; four times that is what LZ4 makes of common ones.
            row_bytes: fixed as u64 + 4 * (stored / rows.max(1)),
            rows: files.iter().filter_map(|file| file.n_record).max().unwrap_or(0),
        }
    }

    fn bytes(self, batch_rows: usize) -> u64 {
        self.read_bytes + BATCHES_PER_RUN * self.row_bytes * self.rows.min(batch_rows as u64)
    }

    /// Runs that fit in so many bytes, with the smallest batches.
    fn width(self, bytes: u64) -> usize {
        usize::try_from(bytes / self.bytes(MIN_BATCH_ROWS).max(1)).unwrap_or(usize::MAX).max(MIN_RUNS)
    }

    /// The largest batches with which so many runs fit.
    fn batch_rows(self, runs: usize, bytes: u64) -> usize {
        let of_batch = (bytes / runs.max(1) as u64).saturating_sub(self.read_bytes) / BATCHES_PER_RUN;
        usize::try_from(of_batch / self.row_bytes.max(1)).unwrap_or(BATCH_ROWS).clamp(MIN_BATCH_ROWS, BATCH_ROWS)
    }
}

/// Bytes in the array of a type without fixed width.
fn view(kind: &DataType) -> usize {
    if *kind == DataType::Boolean { 1 } else { 16 }
}

/// Neighbouring runs that are merged with each other: as few merges as `width` allows, of about equal length.
fn neighbours(runs: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let merges = runs.div_ceil(width);
    (0..merges).map(move |merge| runs * merge / merges..runs * (merge + 1) / merges)
}

/// Runs that one merge can hold.
#[derive(Debug)]
pub(super) struct Merged {
    /// One file per run, in the order that equal keys keep.
    pub(super) files: Vec<FileEntry>,
    /// Rows per batch with which they fit.
    pub(super) batch_rows: usize,
    /// Bytes that passes wrote.
    pub(super) bytes_spilled: u64,
    /// Where the files are, if passes were made; removed when this is dropped.
    folder: Option<TempDir>,
}

impl Merged {
    /// Files that are read one after the other.
    pub(super) fn all(files: &[FileEntry]) -> Self {
        Self { files: files.to_vec(), batch_rows: BATCH_ROWS, bytes_spilled: 0, folder: None }
    }
}

/// How the rows of runs are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunScan<'a> {
    pub(super) columns: &'a LakeColumns,
    /// Whether the partition columns are wanted, after the others: the runs are of several partitions.
    pub(super) with_partition: bool,
}

impl RunScan<'_> {
    fn schema(&self) -> SchemaRef {
        if self.with_partition { self.columns.bundled() } else { Arc::clone(&self.columns.file) }
    }

    /// The rows of each run as a partition of their own.
    pub(super) fn of(&self, session: &SessionContext, runs: &[FileEntry]) -> Result<Arc<dyn ExecutionPlan>> {
        if self.with_partition {
            return staged_scan(session, &self.columns.file, &self.columns.partition, runs).map_err(unwrap_engine);
        }
        let runs: Vec<Vec<FileEntry>> = runs.iter().map(|file| vec![file.clone()]).collect();
        parquet_scan(session, &self.columns.file, &runs).map_err(unwrap_engine)
    }
}

/// The sorted runs of one partition, or of several.
pub(super) struct Passes<'a> {
    pub(super) engine: &'a Engine,
    /// Bytes that a merge may need for its runs.
    pub(super) budget: u64,
    /// Lake table, for errors.
    pub(super) table: &'a str,
    pub(super) scan: RunScan<'a>,
    /// Columns that the runs are sorted by.
    pub(super) keys: &'a [(usize, SortOptions)],
}

impl Passes<'_> {
    /// Merges `runs` until one more merge can hold all.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no temporary folder; those of reading and writing.
    pub(super) async fn merge(&self, runs: &[FileEntry]) -> Result<Merged> {
        let budget = self.budget;
        let mut merged = Merged::all(runs);
        loop {
            let memory = RunMemory::of(&merged.files, &self.scan.schema());
            let width = memory.width(budget);
            if merged.files.len() <= width {
                merged.batch_rows = memory.batch_rows(merged.files.len(), budget);
                return Ok(merged);
            }
            let folder = temporary_folder()?;
            let mut longer = Vec::new();
            for (number, range) in neighbours(merged.files.len(), width).enumerate() {
                let rows = memory.batch_rows(range.len(), budget);
                longer.push(self.pass(&merged.files[range], rows, folder.path(), number).await?);
            }
            merged.bytes_spilled += longer.iter().map(|file| file.size).sum::<u64>();
            merged.files = longer;
            merged.folder = Some(folder);
        }
    }

    /// Some runs, merged into one file.
    async fn pass(&self, runs: &[FileEntry], batch_rows: usize, folder: &Path, number: usize) -> Result<FileEntry> {
        let session = self.engine.merge_session(runs, batch_rows).await?;
        let scan = self.scan.of(&session, runs)?;
        let schema = self.scan.schema();
        let folder = Location::parse("runs/", folder)?;
        let spec = WriteSpec {
            table: self.table.to_owned(),
            store: self.engine.stores().open(&folder).await?,
            folder,
            file_stem: format!("{number:06}"),
            partition_columns: Vec::new(),
            fixed_partition: String::new(),
            planned: HashMap::new(),
            bundled: None,
            encoding: FileEncoding::merged(&schema)
                .map_err(|source| Error::Parquet { uri: format!("schema of lake.{}", self.table), source })?,
            file_schema: schema,
            numbering: Numbering::Rolling(RollRule { target_bytes: u64::MAX, min_bytes: 0, max_bytes: u64::MAX }),
            total_rows: None,
            is_published: false,
            checksum: None,
            write_empty: true,
            on_rows: Arc::new(|_| ()),
        };
        let merge = Arc::new(MergeRunsExec::new(scan, self.keys.to_vec()));
        let plan = Arc::new(LakeWriteExec::new(merge, Arc::new(spec)));
        let mut files = collect_files(plan, session.task_ctx()).await.map_err(unwrap_engine)?;
        // One file without end, written even when it is empty. No path says anything of its rows.
        Ok(FileEntry { partition: None, ..files.swap_remove(0).0 })
    }
}

fn temporary_folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("snaplake-").tempdir().map_err(|source| Error::Io {
        action: format!("making a folder in {}", std::env::temp_dir().display()),
        source,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Schema};
    use proptest::prelude::*;

    use super::*;

    fn runs(count: usize, size: u64, rows: u64) -> Vec<FileEntry> {
        let file = FileEntry { uri: "".into(), etag: "".into(), size, n_record: Some(rows), partition: None };
        vec![file; count]
    }

    fn schema() -> SchemaRef {
        let fields = [("id", DataType::Int64), ("price", DataType::Decimal128(15, 2)), ("note", DataType::Utf8)];
        Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
    }

    #[test]
    fn little_memory_means_smaller_batches_first_and_fewer_runs_then() {
        let memory = RunMemory::of(&runs(60, 500_000, 7_000), &schema());
        assert_eq!(memory.row_bytes, 8 + 16 + 16 + 4 * 71);
        assert_eq!(memory.batch_rows(60, 4 << 30), BATCH_ROWS);
        assert!((MIN_BATCH_ROWS..2_000).contains(&memory.batch_rows(60, 128 << 20)));
        assert!((80..100).contains(&memory.width(128 << 20)));
        assert_eq!(memory.width(1 << 20), MIN_RUNS);
    }

    #[test]
    fn thousands_of_tiny_runs_fit_as_what_they_are() {
        assert!(RunMemory::of(&runs(3_000, 4_000, 50), &schema()).width(128 << 20) > 2_000);
    }

    proptest! {
        /// Each run is merged once, neighbours with neighbours, never more at once than the width.
        #[test]
        fn neighbours_are_all_runs_in_order(runs in 1usize..5_000, width in 2usize..300) {
            let ranges: Vec<Range<usize>> = neighbours(runs, width).collect();
            prop_assert_eq!(ranges.len(), runs.div_ceil(width));
            prop_assert!(ranges.iter().all(|range| (1..=width).contains(&range.len())));
            let all: Vec<usize> = ranges.into_iter().flatten().collect();
            prop_assert_eq!(all, (0..runs).collect::<Vec<_>>());
        }
    }
}
