//! Parts of a plan as people see them: tasks of both steps, and partitions.

use std::collections::BTreeSet;

/// A stage task in a [`PlanView`](super::PlanView).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// From 1.
    pub number: usize,
    /// Snapshot files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whether its manifest is committed.
    pub done: bool,
}

/// Publish tasks in a [`PlanView`](super::PlanView).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishView {
    /// Tasks; `None` while stage tasks that decide it are not done.
    pub total: Option<usize>,
    /// Numbers of those that are committed.
    pub done: BTreeSet<usize>,
}

/// Partitions of a table by their staging files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionsView {
    /// Number of partitions.
    pub count: u64,
    /// Bytes of all staging files.
    pub bytes: u64,
    /// Bytes of the partition in the middle.
    pub median_bytes: u64,
    /// The one with the most bytes.
    pub largest: PartitionView,
    /// Whether all stage tasks are done, so that no partition is missing.
    pub is_whole: bool,
}

/// One partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionView {
    /// Hive path.
    pub partition: String,
    /// Staging files.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl PartitionsView {
    /// `None` if there is no partition.
    pub(super) fn of(mut partitions: Vec<PartitionView>, is_whole: bool) -> Option<Self> {
        partitions.sort_by_key(|partition| partition.bytes);
        Some(Self {
            count: partitions.len() as u64,
            bytes: partitions.iter().map(|partition| partition.bytes).sum(),
            median_bytes: partitions.get(partitions.len() / 2)?.bytes,
            is_whole,
            largest: partitions.pop()?,
        })
    }
}
