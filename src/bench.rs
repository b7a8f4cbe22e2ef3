//! The hot parts of both steps, as `tests/bench/micro.rs` calls them: nothing here is part of the program.
//!
//! Each function leads to the very code that the steps run, and adds none of its own to what is measured.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::RowGroupMetaData;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::ExecutionPlan;

use crate::compaction::merge::exec::{MergeRunsExec, Reading};
use crate::config::{CsvOptions, FileFormat};
use crate::snapshot::decode_file;
pub use crate::staging::plan::grouping::pack;
use crate::staging::sort::collect::{Collector, PIECES};
use crate::staging::sort::order::RunOrder;
use crate::types::width::BATCH_ROWS;
use crate::write::{FileEncoding, FileRanges};

/// Indices of columns, and how each is sorted.
pub type SortKeys = Vec<(usize, SortOptions)>;

/// Orders a run as a stage task does; the number of its partitions.
///
/// # Errors
/// For types that have no order.
pub fn order_run(run: &RecordBatch, partition: &[usize], keys: &SortKeys) -> Result<usize> {
    let order = RunOrder { partition: partition.to_vec(), keys: keys.clone(), bundles: 0 };
    let piece_rows = (run.num_rows() / PIECES).max(BATCH_ROWS);
    let mut collector = Collector::new(&order, run.schema_ref(), piece_rows, usize::MAX)?;
    for start in (0..run.num_rows()).step_by(BATCH_ROWS) {
        collector.push(run.slice(start, BATCH_ROWS.min(run.num_rows() - start)), 0)?;
    }
    let run = collector.finish(1.0)?;
    for number in 0..run.count() {
        run.partition(number).batches()?.try_for_each(|batch| batch.map(drop))?;
    }
    Ok(run.count())
}

/// The plan that merges sorted runs, the partitions of `runs`, as a publish task does.
#[must_use]
pub fn merge_runs(runs: Arc<dyn ExecutionPlan>, keys: SortKeys) -> Arc<dyn ExecutionPlan> {
    Arc::new(MergeRunsExec::new(runs, keys, Reading::Ahead))
}

/// Decodes a CSV file with a header, as a stage task does; its rows.
///
/// # Errors
/// For text that is not as the schema says.
pub fn decode_csv(schema: &SchemaRef, chunks: &[Bytes]) -> Result<usize> {
    decode_file(&FileFormat::Csv(CsvOptions::default()), schema, chunks)
}

/// Which files an encoding is for.
#[derive(Debug, Clone, Copy)]
pub enum EncodedFiles {
    /// Written and read once.
    Staging,
    /// Published, with zstd level 3.
    Lake,
}

/// Encodes batches as one file, the choice of encodings included; its compressed bytes. Stores nothing.
///
/// # Errors
/// For types that Parquet does not have.
pub fn encode(files: EncodedFiles, batches: &[RecordBatch]) -> Result<i64> {
    let Some(first) = batches.first() else { return Ok(0) };
    let encoding = match files {
        EncodedFiles::Staging => FileEncoding::staging(first.schema_ref(), None, None)?,
        EncodedFiles::Lake => {
            let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
            let properties =
                WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(None).build();
            FileEncoding::lake(first.schema_ref(), properties)?
        }
    };
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let properties = encoding.properties(first, rows as u64, 0)?;
    let mut writer = ArrowWriter::try_new(std::io::sink(), first.schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.close()?.row_groups().iter().map(RowGroupMetaData::compressed_size).sum())
}

/// Finds the smallest and largest values of each column, as a stage task does beside encoding; the NULLs.
///
/// # Errors
/// For values that have no order.
pub fn ranges(batches: &[RecordBatch]) -> Result<u64> {
    let Some(first) = batches.first() else { return Ok(0) };
    let none = ArrowWriter::try_new(std::io::sink(), first.schema(), None)?.close()?;
    let mut ranges = FileRanges::new(first.schema_ref(), |_| false);
    for batch in batches {
        ranges.add(batch)?;
    }
    Ok(ranges.finish(first.schema_ref(), &none)?.values().map(|range| range.nulls).sum())
}
