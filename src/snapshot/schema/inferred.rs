//! What one CSV or NDJSON file says about itself.

use datafusion::arrow::datatypes::Schema;

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inferred {
    /// Columns in order of appearance, nullable. A column of no value is Null.
    pub(crate) schema: Schema,
    /// Records that were read.
    pub(crate) rows: u64,
    /// Whether these are all records of the file.
    pub(crate) exact_rows: bool,
}
