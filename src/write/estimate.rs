//! How many bytes a file will have, known before it is closed.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::metadata::RowGroupMetaData;
use datafusion::parquet::file::properties::WriterProperties;

/// Rows from which on nearly all pages of a file are compressed: eight pages of the Parquet writer's 20,000 rows.
pub(super) const SETTLED_ROWS: u64 = 160_000;

/// Estimate of the bytes of a file that is being written: pages that are still open are counted before compression,
/// which is most of a short file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SizeEstimate {
    /// Nothing is known.
    AsExpected,
    /// Stored bytes per row, and per expected byte of a long file, in the last file or a sample.
    Learnt { per_row: f64, per_expected: f64 },
    /// Stored bytes per byte of rows, in the last row group of a wide table or a sample: its writer expects by that.
    Share(f64),
}

impl SizeEstimate {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    pub(super) fn correct(self, expected: u64, rows: u64) -> u64 {
        match self {
            Self::AsExpected | Self::Share(_) => expected,
            Self::Learnt { per_expected, .. } if rows >= SETTLED_ROWS => (expected as f64 * per_expected) as u64,
            // Rows may become longer than those before: no more than this is believed to be gained by compression.
            Self::Learnt { per_row, .. } => expected.min((per_row * rows as f64) as u64).max(expected / 4),
        }
    }
}

/// Encodes rows to learn their stored size.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn sample(rows: &RecordBatch, schema: &SchemaRef, properties: WriterProperties) -> Result<SizeEstimate> {
    let mut writer = ArrowWriter::try_new(std::io::sink(), Arc::clone(schema), Some(properties))?;
    writer.write(rows)?;
    let bytes: i64 = writer.close()?.row_groups().iter().map(RowGroupMetaData::compressed_size).sum();
    Ok(SizeEstimate::Learnt { per_row: bytes as f64 / rows.num_rows().max(1) as f64, per_expected: 1.0 })
}
