//! Many runs become few: a merge that the memory cannot hold at once is made in passes.
//!
//! ```text
//! runs of the partition   1 2 3 4 5 6 7      a merge holds 4
//! first pass              1+2+3+4 5 6 7      a longer run, in a temporary folder
//! last pass               all four           read by the merge that writes the lake
//! ```
//!
//! A pass writes only as many rows once more as it must, for one merge to hold what is left. Neighbours stay
//! neighbours, so equal keys keep their order and the result is that of one merge. Before a pass is made, runs are not
//! read ahead any more and batches are made smaller: that costs less than writing rows once more. What it does not do:
//! keep the temporary files for a retry, which makes them anew. They are removed with the [`Merged`] that names them.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use object_store::ObjectStoreExt;
use tempfile::TempDir;

use super::exec::{BATCHES_AHEAD, MergeRunsExec, Reading};
use crate::error::unwrap_engine;
use crate::error::{Error, Result};
use crate::lake::LakeColumns;
use crate::layout::FilePartition;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{parquet_scan, staged_scan};
use crate::types::width::{batch_rows, is_wide};
use crate::write::{
    FileEncoding, LakeWriteExec, MERGED_PAGE_ROWS, Numbering, PAGE_ROWS, RollRule, WriteSpec, collect_files,
    staging_row_group_bytes,
};

/// Smaller batches cost more than a pass.
const MIN_BATCH_ROWS: usize = 512;

/// Larger batches do not stay in cache until they are merged; smaller ones are not worth to be read ahead.
const MAX_ROWS_WHEN_NEEDED: usize = 2048;

/// Narrower merges make too many passes, so a little too much memory is used instead.
const MIN_RUNS: usize = 4;

/// What the reader of a column holds besides its pages.
const READER_BYTES: u64 = 4 << 10;

/// What a merge needs of one of its runs.
#[derive(Debug, Clone, Copy)]
struct RunMemory {
    /// As stored.
    bytes: u64,
    rows: u64,
    /// Rows of a page, about.
    page_rows: u64,
    /// Of a row in a batch.
    row_bytes: u64,
    /// Rows of a batch, at most.
    batch_rows: usize,
    /// Of a row group, as stored, at most.
    group_bytes: u64,
    /// What readers of its columns need besides, which counts where there are thousands.
    reader_bytes: u64,
}

impl RunMemory {
    fn of(file: &FileEntry, schema: &SchemaRef) -> Self {
        let fixed: usize = schema
            .fields()
            .iter()
            .map(|field| field.data_type().primitive_width().unwrap_or(view(field.data_type())))
            .sum();
        let rows = file.n_record.unwrap_or(0);
        // Only bundles and passes have small pages.
        let is_alone = file.partition.path().is_some();
        Self {
            bytes: file.size,
            rows,
            page_rows: if is_alone { PAGE_ROWS } else { MERGED_PAGE_ROWS },
            // Texts are known by what they need stored; four times that is what LZ4 makes of common ones.
            row_bytes: (file.size / rows.max(1)).saturating_mul(4).saturating_add(fixed as u64),
            batch_rows: batch_rows(schema),
            group_bytes: staging_row_group_bytes(schema),
            reader_bytes: if is_wide(schema) { READER_BYTES * schema.flattened_fields().len() as u64 } else { 0 },
        }
    }

    /// Of a run that is made of this one and another.
    fn merged_with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            rows: self.rows.saturating_add(other.rows),
            page_rows: MERGED_PAGE_ROWS,
            row_bytes: self.row_bytes.max(other.row_bytes),
            ..self
        }
    }

    /// Bytes of a row group, or of the file where that is smaller, as stored, and of a page of each column: twice that.
    fn read_bytes(self) -> u64 {
        let group = self.bytes.min(self.group_bytes);
        let pages = (self.bytes / self.rows.max(1)).saturating_mul(self.rows.min(self.page_rows));
        group + 2 * pages.min(group) + self.reader_bytes
    }

    /// Rows of the smallest batch, and of one that is read when it is needed.
    fn small_batches(&self) -> (usize, usize) {
        (MIN_BATCH_ROWS.min(self.batch_rows), MAX_ROWS_WHEN_NEEDED.min(self.batch_rows))
    }

    /// With one of the smallest batches. No more than a terabyte, whatever a manifest says: sums of many must have
    /// room.
    fn least(&self) -> u64 {
        let batch = self.row_bytes.saturating_mul(self.rows.min(self.small_batches().0 as u64));
        self.read_bytes().saturating_add(batch).min(1 << 40)
    }
}

/// How runs are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MergeBatches {
    pub(crate) reading: Reading,
    pub(crate) rows: usize,
}

impl MergeBatches {
    /// The largest ones with which these runs fit in so many bytes. Read ahead where that is wanted and they are not
    /// small then.
    fn of(runs: &[RunMemory], bytes: u64, ahead: bool) -> Self {
        let sum = |of: fn(RunMemory) -> u64| runs.iter().fold(0u64, |sum, run| sum.saturating_add(of(*run)));
        let (read, row) = (sum(RunMemory::read_bytes), sum(|run| run.row_bytes));
        let rows = |batches: u64| {
            let rows = bytes.saturating_sub(read) / row.saturating_mul(batches).max(1);
            usize::try_from(rows).unwrap_or(usize::MAX)
        };
        // All have the same columns.
        let Some(run) = runs.first() else { return Self { reading: Reading::WhenNeeded, rows: MIN_BATCH_ROWS } };
        let (least, when_needed) = run.small_batches();
        if ahead && rows(BATCHES_AHEAD) >= when_needed {
            return Self { reading: Reading::Ahead, rows: rows(BATCHES_AHEAD).min(run.batch_rows) };
        }
        Self { reading: Reading::WhenNeeded, rows: rows(1).clamp(least, when_needed) }
    }
}

/// Neighbouring runs to be merged so that all fit in so many bytes; nothing when they do. Each merge has as many as
/// fit, the last one no more than must be. Where a pass is needed, an eighth is left free: merged rows need other
/// bytes.
fn to_be_merged(runs: &[RunMemory], bytes: u64) -> Vec<Range<usize>> {
    let mut needed: u64 = runs.iter().map(RunMemory::least).sum();
    let (mut merges, mut start) = (Vec::new(), 0);
    if needed <= bytes {
        return merges;
    }
    let enough = bytes / 8 * 7;
    // One run alone cannot be merged.
    while needed > enough && merges.len() + runs.len() - start > MIN_RUNS && runs.len() - start > 1 {
        let (mut end, mut of_merge) = (start + 1, runs[start].least());
        let (mut merged, mut after) = (runs[start], needed);
        while end < runs.len() && after > enough && (end - start < MIN_RUNS || of_merge + runs[end].least() <= bytes) {
            of_merge += runs[end].least();
            merged = merged.merged_with(runs[end]);
            end += 1;
            after = needed - of_merge + merged.least();
        }
        merges.push(start..end);
        (needed, start) = (after, end);
    }
    merges
}

/// Bytes in the array of a type without fixed width.
fn view(kind: &DataType) -> usize {
    if *kind == DataType::Boolean { 1 } else { 16 }
}

/// Runs that one merge can hold.
#[derive(Debug)]
pub(crate) struct Merged {
    /// One file per run, in the order that equal keys keep.
    pub(crate) files: Vec<FileEntry>,
    /// With which they fit.
    pub(crate) batches: MergeBatches,
    /// Bytes that passes wrote.
    pub(crate) bytes_spilled: u64,
    /// Where those are that passes made; removed when this is dropped.
    folder: Option<TempDir>,
}

impl Merged {
    /// Files that are read one after the other.
    pub(crate) fn all(files: &[FileEntry], schema: &SchemaRef) -> Self {
        let batches = MergeBatches { reading: Reading::Ahead, rows: batch_rows(schema) };
        Self { files: files.to_vec(), batches, bytes_spilled: 0, folder: None }
    }
}

/// How the rows of runs are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunScan<'a> {
    pub(crate) columns: &'a LakeColumns,
    /// Whether the partition columns are wanted, after the others: the runs are of several partitions.
    pub(crate) with_partition: bool,
}

impl RunScan<'_> {
    fn schema(&self) -> SchemaRef {
        if self.with_partition { self.columns.bundled() } else { Arc::clone(&self.columns.file) }
    }

    /// The rows of each run as a partition of their own.
    pub(crate) fn of(&self, session: &SessionContext, runs: &[FileEntry]) -> Result<Arc<dyn ExecutionPlan>> {
        if self.with_partition {
            return staged_scan(session, &self.columns.file, &self.columns.partition, runs).map_err(unwrap_engine);
        }
        let runs: Vec<Vec<FileEntry>> = runs.iter().map(|file| vec![file.clone()]).collect();
        parquet_scan(session, &self.columns.file, &runs).map_err(unwrap_engine)
    }
}

/// The sorted runs of one partition, or of several.
pub(crate) struct Passes<'a> {
    pub(crate) engine: &'a Engine,
    /// Bytes that a merge may need for its runs.
    pub(crate) budget: u64,
    /// Lake table, for errors.
    pub(crate) table: &'a str,
    pub(crate) scan: RunScan<'a>,
    /// Columns that the runs are sorted by.
    pub(crate) keys: &'a [(usize, SortOptions)],
}

impl Passes<'_> {
    /// Merges `runs` until one more merge can hold all.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no temporary folder; those of reading and writing.
    pub(crate) async fn merge(&self, runs: &[FileEntry]) -> Result<Merged> {
        let schema = self.scan.schema();
        let mut merged = Merged::all(runs, &schema);
        // Merges that were made, and how many of the files are theirs: the first ones.
        let (mut passes, mut temporary) = (0, 0);
        loop {
            let memory: Vec<_> = merged.files.iter().map(|file| RunMemory::of(file, &schema)).collect();
            let merges = to_be_merged(&memory, self.budget);
            if merges.is_empty() {
                merged.batches = self.batches(&memory);
                return Ok(merged);
            }
            let folder = match merged.folder.take() {
                Some(folder) => folder,
                None => temporary_folder()?,
            };
            let mut longer = Vec::new();
            let end = merges.last().map_or(0, |merge| merge.end);
            for merge in merges {
                let batches = self.batches(&memory[merge.clone()]);
                longer.push(self.pass(&merged.files[merge], batches, folder.path(), passes).await?);
                passes += 1;
            }
            let merged_away: Vec<FileEntry> = merged.files.splice(..end, longer.iter().cloned()).collect();
            for file in &merged_away[..temporary.min(end)] {
                self.remove(file).await?;
            }
            temporary = longer.len() + temporary.saturating_sub(end);
            merged.bytes_spilled += longer.iter().map(|file| file.size).sum::<u64>();
            merged.folder = Some(folder);
        }
    }

    /// Bundles are many: where memory lets each thread have one, nothing is gained by reading ahead.
    fn batches(&self, runs: &[RunMemory]) -> MergeBatches {
        MergeBatches::of(runs, self.budget, !self.scan.with_partition)
    }

    /// Removes a file that a pass made and another one merged.
    async fn remove(&self, file: &FileEntry) -> Result<()> {
        let location = Location::from_uri(&file.uri)?;
        let failed = |source| Error::Store { action: "remove", uri: file.uri.to_string(), source };
        self.engine.stores().open(&location).await?.delete(&location.key()?).await.map_err(failed)
    }

    /// Some runs, merged into one file.
    async fn pass(&self, runs: &[FileEntry], batches: MergeBatches, folder: &Path, number: usize) -> Result<FileEntry> {
        let session = self.engine.batch_session(runs, batches.rows).await?;
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
        let merge = Arc::new(MergeRunsExec::new(scan, self.keys.to_vec(), batches.reading));
        let plan = Arc::new(LakeWriteExec::new(merge, Arc::new(spec)));
        let mut files = collect_files(plan, session.task_ctx()).await.map_err(unwrap_engine)?;
        // One file without end, written even when it is empty. No path says anything of its rows.
        Ok(FileEntry { partition: FilePartition::None, ..files.swap_remove(0).0 })
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
    use crate::types::width::BATCH_ROWS;
    use crate::write::STAGING_ROW_GROUP_BYTES;

    fn schema() -> SchemaRef {
        let fields = [("id", DataType::Int64), ("price", DataType::Decimal128(15, 2)), ("note", DataType::Utf8)];
        Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
    }

    fn file(size: u64, rows: u64) -> FileEntry {
        FileEntry { uri: "".into(), etag: "".into(), size, n_record: Some(rows), partition: FilePartition::None }
    }

    fn memory(count: usize, size: u64, rows: u64) -> Vec<RunMemory> {
        vec![RunMemory::of(&file(size, rows), &schema()); count]
    }

    #[test]
    fn little_memory_means_smaller_batches_first_and_fewer_runs_then() {
        let runs = memory(60, 500_000, 7_000);
        assert_eq!(runs[0].row_bytes, 8 + 16 + 16 + 4 * 71);
        let batches = |bytes, ahead| {
            let MergeBatches { reading, rows } = MergeBatches::of(&runs, bytes, ahead);
            (reading, rows)
        };
        assert_eq!(batches(4 << 30, true), (Reading::Ahead, BATCH_ROWS));
        assert_eq!(batches(4 << 30, false), (Reading::WhenNeeded, MAX_ROWS_WHEN_NEEDED));
        let (reading, rows) = batches(256 << 20, true);
        assert!(reading == Reading::Ahead && (MAX_ROWS_WHEN_NEEDED..BATCH_ROWS).contains(&rows), "{rows}");
        let (reading, rows) = batches(64 << 20, true);
        assert!(reading == Reading::WhenNeeded && (MIN_BATCH_ROWS + 1..MAX_ROWS_WHEN_NEEDED).contains(&rows), "{rows}");
        assert!(to_be_merged(&runs, 64 << 20).is_empty());
        assert_eq!(to_be_merged(&runs, 40 << 20).first(), Some(&(0..27)));
        assert_eq!(to_be_merged(&runs[..9], 1 << 20), [0..4, 4..8]);
        assert_eq!(to_be_merged(&runs[..6], 1 << 20).len(), 1);
        assert!(to_be_merged(&runs[..4], 1 << 20).is_empty());
    }

    #[test]
    fn run_needs_its_row_group_its_pages_and_its_rows_in_batches() {
        let run = memory(1, 1_000_000, 10_000)[0];
        assert_eq!(run.read_bytes(), 1_000_000 + 2 * 100 * MERGED_PAGE_ROWS);
        assert_eq!(run.least() - run.read_bytes(), 512 * run.row_bytes);
        let short = memory(1, 10_000, 100)[0];
        assert_eq!(short.least() - short.read_bytes(), 100 * short.row_bytes);
        let mut file = file(1_000_000, 10_000);
        file.partition = FilePartition::many([("k=1", 10_000)]);
        assert_eq!(RunMemory::of(&file, &schema()).read_bytes(), run.read_bytes());
        // A partition's own file has large pages.
        file.partition = FilePartition::one("k=1");
        assert_eq!(RunMemory::of(&file, &schema()).read_bytes(), 3_000_000);
        // Pages are in a row group, however wide rows are.
        let wide = FileEntry { size: 100_000_000, n_record: Some(20_000), ..file };
        assert_eq!(RunMemory::of(&wide, &schema()).read_bytes(), 3 * STAGING_ROW_GROUP_BYTES);
        let damaged = FileEntry { size: u64::MAX, ..wide };
        assert_eq!(RunMemory::of(&damaged, &schema()).least(), 1 << 40);
    }

    #[test]
    fn merged_run_has_all_rows_as_wide_as_the_widest_and_is_read_by_the_row_group() {
        let (small, large) = (memory(1, 7_000, 100)[0], memory(1, 9_000_000, 60_000)[0]);
        for merged in [small.merged_with(large), large.merged_with(small)] {
            assert_eq!((merged.bytes, merged.rows, merged.row_bytes), (9_007_000, 60_100, large.row_bytes));
            assert_eq!(merged.read_bytes(), STAGING_ROW_GROUP_BYTES + 2 * (9_007_000 / 60_100) * MERGED_PAGE_ROWS);
        }
        assert_eq!(small.merged_with(small).read_bytes(), 3 * 14_000);
    }

    #[test]
    fn thousands_of_tiny_runs_fit_as_what_they_are() {
        assert!(to_be_merged(&memory(2_000, 4_000, 50), 128 << 20).is_empty());
    }

    proptest! {
        /// Neighbours are merged with neighbours, each run at most once and from the first on, no more at once than
        /// fit; and if it is not the first run that is left over, the rest fits.
        #[test]
        fn merges_fit_and_so_does_what_is_left(
            sizes in prop::collection::vec((1u64..9_000_000, 1u64..60_000), 1..400), bytes in 1u64 << 20..256 << 20,
        ) {
            let runs: Vec<RunMemory> = sizes.into_iter().flat_map(|(size, rows)| memory(1, size, rows)).collect();
            let merges = to_be_merged(&runs, bytes);
            let least = |runs: &[RunMemory]| runs.iter().map(RunMemory::least).sum::<u64>();
            let mut end = 0;
            for merge in &merges {
                prop_assert_eq!(merge.start, end);
                prop_assert!(merge.len() > 1);
                end = merge.end;
                prop_assert!(merge.len() <= MIN_RUNS || least(&runs[merge.clone()]) <= bytes);
            }
            let longer = |merge: &Range<usize>| runs[merge.clone()].iter().copied().reduce(RunMemory::merged_with).unwrap();
            let longer: u64 = merges.iter().map(|merge| longer(merge).least()).sum();
            let left = merges.len() + runs.len() - end;
            prop_assert!(left <= MIN_RUNS || runs.len() - end <= 1 || longer + least(&runs[end..]) <= bytes);
            prop_assert!(!merges.is_empty() || runs.len() <= MIN_RUNS || least(&runs) <= bytes);
        }
    }
}
