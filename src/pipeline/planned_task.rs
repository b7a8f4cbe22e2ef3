//! A task that is ready to run, with what this process knows of it.

use std::sync::Arc;

use super::task_spec::TaskSpec;
use crate::compaction::plan::PartitionGroup;
use crate::lake::LakeColumns;
use crate::manifest::FileEntry;
use crate::staging::plan::{PlanHead, StagePlan};

/// A task of a committed plan, with what this process knows of it.
#[derive(Debug)]
pub struct PlannedTask {
    /// All that another process needs.
    pub spec: TaskSpec,
    /// Whether an earlier attempt left word that it failed.
    pub(super) has_failed: bool,
    pub(super) input: TaskInput,
}

/// What a task reads.
#[derive(Debug)]
pub(super) enum TaskInput {
    Stage(SnapshotFiles),
    Publish { head: Arc<PlanHead>, columns: Arc<LakeColumns>, group: PartitionGroup },
}

/// The snapshot files of a stage task.
#[derive(Debug)]
pub(super) enum SnapshotFiles {
    /// Those that the plan has for the task's group.
    OfPlan(Arc<StagePlan>),
    /// Those of the group's manifest.
    Read(Arc<PlanHead>, Vec<FileEntry>),
}

impl TaskInput {
    pub(super) fn head(&self) -> &Arc<PlanHead> {
        match self {
            Self::Stage(SnapshotFiles::OfPlan(plan)) => &plan.head,
            Self::Stage(SnapshotFiles::Read(head, _)) | Self::Publish { head, .. } => head,
        }
    }

    pub(super) fn is_remote(&self) -> bool {
        self.head().ledger.layout().is_remote()
    }

    /// All files that the task reads.
    pub(super) fn files(&self, group: usize) -> Vec<&FileEntry> {
        let whole = || self.head().details.whole.iter().flat_map(|(_, files)| files);
        match self {
            Self::Stage(SnapshotFiles::OfPlan(plan)) => plan.groups.of(group - 1).chain(whole()).collect(),
            Self::Stage(SnapshotFiles::Read(_, files)) => files.iter().chain(whole()).collect(),
            Self::Publish { group, .. } => group.files.iter().collect(),
        }
    }
}
