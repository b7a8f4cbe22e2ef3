//! What the tasks of both steps write into their manifests besides their files.

use serde::{Deserialize, Serialize};

use super::checksum::ColumnSums;

/// One finished task: what it read and wrote, and how long that took. The same fields for both steps; a stage task adds
/// its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskDetails {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Number of the file group that it read, from 1.
    pub group: usize,
    /// Hive path of the partition that a publish task wrote; of several, words that name them. Empty for a stage task.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub partition: String,
    /// Id of the plan that it belongs to.
    pub plan: String,
    /// Rows of the files that it read: of the driving table as they came out of the decoder, or of staging files.
    pub rows_read: u64,
    /// Rows that it wrote; of a stage task those that the SELECT gave, counted before they were sorted and written.
    pub rows_written: u64,
    /// Bytes of the files that it read.
    pub bytes_read: u64,
    /// Bytes that sorting and merging put on disk for want of memory.
    pub bytes_spilled: u64,
    /// Wall time, seconds.
    pub seconds: f64,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// Sums over the values of each column, where `snaplake.verify` asks for them: as the SELECT gave them, or as they
    /// were read again from the published files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<ColumnSums>,
    /// What each operator measured, the writer first.
    pub operators: Vec<Operator>,
}

/// What one operator of a task's plan measured; what it does not measure is 0 and left out of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operator {
    /// Name of the plan node.
    pub operator: String,
    /// Time that it computed, without its input, in seconds.
    pub seconds: f64,
    /// Rows that it gave out.
    #[serde(skip_serializing_if = "is_zero")]
    pub rows: u64,
    /// Bytes that it read from the store.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_read: u64,
    /// Bytes that it put on disk for want of memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_spilled: u64,
    /// Bytes that it wrote to the store.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_written: u64,
    /// Sorted runs that it made.
    #[serde(skip_serializing_if = "is_zero")]
    pub runs: u64,
    /// Stretches of rows that it took from one run at once.
    #[serde(skip_serializing_if = "is_zero")]
    pub stretches: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
