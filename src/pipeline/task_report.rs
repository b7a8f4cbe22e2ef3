//! What became of a task.

use serde::{Deserialize, Serialize};

use super::task_spec::TaskSpec;
use crate::compaction::prepare::StagedGroup;
use crate::error::TaskStep;

/// Rows and time of a task; its files are in the manifest that it committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskReport {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Of the task.
    pub step: TaskStep,
    /// Group number, from 1.
    pub group: usize,
    /// Whether it ran: it may have been done before.
    pub ran: bool,
    /// Rows written.
    pub rows: u64,
    /// Of the task's work.
    pub seconds: f64,
    /// What a stage task that ran in this process wrote, so that nobody reads its manifest again.
    #[serde(skip)]
    pub(crate) staged: Option<StagedGroup>,
}

impl TaskReport {
    /// Of a task that was done before.
    pub(super) fn done_before(spec: &TaskSpec) -> Self {
        let (table, step) = (spec.table.clone(), spec.step);
        Self { table, step, group: spec.group, ran: false, rows: 0, seconds: 0.0, staged: None }
    }
}
