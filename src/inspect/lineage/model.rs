//! The form of what is known, which is also that of `report --format json`: keys are added to it, none is taken away or
//! changes its meaning.

use serde::Serialize;

use crate::error::TaskStep;
use crate::inspect::snapshots::SnapshotState;
use crate::pipeline::audit::AuditSummary;
use crate::pipeline::validate::{Hop, Validation};
use crate::snapshot::{Lacking, LeftOut, UnreadColumn};

/// Form of the JSON.
pub(crate) const VERSION: u32 = 1;

/// What is known of a project's tables.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Lineage {
    pub(crate) version: u32,
    /// When this was gathered, RFC 3339.
    pub(crate) generated_at: String,
    /// Version of the program.
    pub(crate) snaplake: &'static str,
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) snapshot_time: String,
    pub(crate) tables: Vec<TableLineage>,
    pub(crate) audits: Vec<AuditSummary>,
}

/// One lake table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TableLineage {
    pub(crate) table: String,
    pub(crate) state: SnapshotState,
    /// Id of the plan.
    pub(crate) plan: String,
    /// When it was committed, RFC 3339.
    pub(crate) planned_at: Option<String>,
    /// Staging folder.
    pub(crate) staging: String,
    /// Lake location.
    pub(crate) location: String,
    /// The SELECT as it was planned, with the helper views that it reads.
    pub(crate) select: String,
    pub(crate) partitioned_by: Vec<String>,
    /// As in the config, such as `time_hour DESC`.
    pub(crate) sorted_by: Vec<String>,
    /// Bytes that a lake file should have.
    pub(crate) target_file_size: u64,
    /// Snapshot tables that the SELECT reads, the one whose files are grouped first.
    pub(crate) sources: Vec<LineageSource>,
    pub(crate) hops: Hops,
    pub(crate) columns: Vec<LineageColumn>,
    /// What the estimates of distinct values were made from.
    pub(crate) distinct_sample: Option<LakeSample>,
    /// By their bytes, the largest first.
    pub(crate) partitions: Vec<LineagePartition>,
    pub(crate) tasks: Vec<LineageTask>,
    pub(crate) snapshot_files: Vec<File>,
    pub(crate) staging_files: Vec<File>,
    pub(crate) lake_files: Vec<File>,
    /// What the last validation of this plan found.
    pub(crate) validation: Option<Validation>,
}

/// A snapshot table that a SELECT reads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LineageSource {
    pub(crate) table: String,
    /// `driving`: its files are grouped; `whole`: every task reads all of it.
    pub(crate) role: &'static str,
    pub(crate) locations: Vec<String>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Where the counts of all files are known.
    pub(crate) rows: Option<u64>,
    pub(crate) columns: Vec<SourceColumn>,
    /// Files below its locations that are not read, by reason.
    pub(crate) left_out: Vec<LeftOut>,
    /// Columns that some files lack, as far as files were looked at.
    pub(crate) lacking: Vec<Lacking>,
    /// Columns that files have and that are not read, as far as files were looked at.
    pub(crate) unread: Vec<UnreadColumn>,
}

/// A column of a snapshot table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SourceColumn {
    pub(crate) name: String,
    /// Arrow type.
    pub(crate) r#type: String,
}

/// What is at each hop, and what the SELECT did between the first two.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Hops {
    /// As planned, before any task.
    pub(crate) snapshot: Hop,
    /// Rows that the stage tasks that are done have read; `None` before the first.
    pub(crate) rows_read: Option<u64>,
    /// Rows that the SELECT gave for them.
    pub(crate) rows_selected: Option<u64>,
    pub(crate) staging: Hop,
    pub(crate) lake: Hop,
}

/// A column of the lake table over all its files; while none is published, of the staging files.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LineageColumn {
    pub(crate) name: String,
    /// Arrow type.
    pub(crate) r#type: String,
    pub(crate) nulls: Option<u64>,
    /// No value is smaller.
    pub(crate) min: Option<String>,
    /// No value is larger.
    pub(crate) max: Option<String>,
    /// Whether both are values of the column, not only bounds of them.
    pub(crate) is_exact: bool,
    /// About so many distinct values; of a sample, not of all rows, where [`LakeSample::is_whole`] does not say
    /// otherwise.
    pub(crate) distinct: Option<u64>,
}

/// Rows of the lake that were read to estimate distinct values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct LakeSample {
    pub(crate) rows: u64,
    pub(crate) of_rows: u64,
    pub(crate) files: u64,
    /// Whether all rows were read.
    pub(crate) is_whole: bool,
}

/// A partition by what is furthest: of the lake once its publish tasks are done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LineagePartition {
    /// Hive path; empty for an unpartitioned table.
    pub(crate) partition: String,
    /// In the order of `partitioned_by`; `None` is NULL.
    pub(crate) values: Vec<Option<String>>,
    pub(crate) staging_files: u64,
    pub(crate) staging_bytes: u64,
    pub(crate) lake_files: u64,
    pub(crate) lake_bytes: u64,
    /// Rows of the staging files.
    pub(crate) rows: u64,
}

impl LineagePartition {
    /// Bytes in the lake, or in staging while nothing of it is published.
    pub(crate) fn bytes(&self) -> u64 {
        if self.lake_files > 0 { self.lake_bytes } else { self.staging_bytes }
    }
}

/// One task of either step.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct LineageTask {
    /// Of the task.
    pub(crate) step: TaskStep,
    /// From 1, in its step.
    pub(crate) group: u64,
    /// Hive path, of a publish task.
    pub(crate) partition: Option<String>,
    /// `done`, `running`, `failed`, or `open`.
    pub(crate) state: &'static str,
    /// RFC 3339; of a task that failed, of its last attempt.
    pub(crate) started_at: Option<String>,
    pub(crate) seconds: Option<f64>,
    pub(crate) files_read: u64,
    pub(crate) bytes_read: u64,
    pub(crate) rows_read: Option<u64>,
    pub(crate) files_written: Option<u64>,
    pub(crate) bytes_written: Option<u64>,
    pub(crate) rows_written: Option<u64>,
    /// Bytes that sorting or merging put on disk.
    pub(crate) bytes_spilled: Option<u64>,
    /// How often it failed.
    pub(crate) attempts: Option<u64>,
    /// Why, the last time.
    pub(crate) error: Option<String>,
}

/// One file. Files of two hops belong together when they have the same group: see the module's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct File {
    pub(crate) uri: String,
    pub(crate) bytes: u64,
    pub(crate) rows: Option<u64>,
    /// Hive path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partition: Option<String>,
    /// The stage task that read this snapshot file, or wrote this staging file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage_group: Option<u64>,
    /// The publish task that reads this staging file, or wrote this lake file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publish_group: Option<u64>,
}

#[cfg(test)]
impl Lineage {
    /// A project without tables.
    pub(crate) fn of_nothing(database: &str) -> Self {
        Self {
            version: VERSION,
            generated_at: "2026-01-31T00:00:00Z".to_owned(),
            snaplake: "0.1.0",
            database: database.to_owned(),
            schema: "public".to_owned(),
            snapshot_time: "2026-01-31T00:00:00Z".to_owned(),
            tables: Vec::new(),
            audits: Vec::new(),
        }
    }
}
