//! What became of a table.

use super::validate::Validation;

/// What a run did for one table.
#[derive(Debug, Clone)]
pub struct TableReport {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Lake location.
    pub location: String,
    /// Tasks that this run ran; 0: all was done before.
    pub tasks: usize,
    /// Seconds since this run began until the table was complete.
    pub seconds: f64,
    /// What validation found.
    pub validation: Validation,
    /// Files in the locations that may have rows and were not read, without an `exclude` that asks for it.
    pub files_left_out: u64,
    /// One of them.
    pub left_out: Option<String>,
}
