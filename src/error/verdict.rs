//! Result of an audit: how many rows it found, and the first of them.

use datafusion::arrow::record_batch::RecordBatch;

/// Result of an audit.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Its name: `audit.name` of a view, `table.property(column)` of a property.
    pub audit: String,
    /// Lake tables, of those that were chosen, which are not published before it passes.
    pub tables: Vec<String>,
    /// Rows that it found.
    pub rows: u64,
    /// Wall time.
    pub seconds: f64,
    /// Whether it ran; otherwise it passed before, and nothing that it reads has changed since.
    pub ran: bool,
    /// The first rows, some of those in the file; empty when they were found before.
    pub sample: Vec<RecordBatch>,
    /// Parquet file with the first rows.
    pub rows_at: Option<String>,
}

impl Verdict {
    /// Whether it found no rows.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.rows == 0
    }
}
