//! The places where tasks commit, and the names of the files there.

/// The four places where tasks commit; the folder below `manifests/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Which snapshot files a stage task reads.
    SnapshotFileGroups,
    /// Which staging files a stage task wrote.
    StagingFileGroups,
    /// Which staging files a compaction task reads.
    PartitionFileGroups,
    /// Which lake files a compaction task wrote.
    DatalakeFileGroups,
}

impl Step {
    /// Folder name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::SnapshotFileGroups => "snapshot-file-groups",
            Self::StagingFileGroups => "staging-file-groups",
            Self::PartitionFileGroups => "partition-file-groups",
            Self::DatalakeFileGroups => "datalake-file-groups",
        }
    }

    /// What the tasks are called that read or write these: `stage` or `publish`.
    #[must_use]
    pub fn task_name(self) -> &'static str {
        match self {
            Self::SnapshotFileGroups | Self::StagingFileGroups => "stage",
            Self::PartitionFileGroups | Self::DatalakeFileGroups => "publish",
        }
    }
}

/// The number in `manifest-summary-12.json`.
#[must_use]
pub fn manifest_number(file_name: &str) -> Option<usize> {
    file_name.strip_prefix("manifest-summary-")?.strip_suffix(".json")?.parse().ok()
}

/// The number in `failed-12.json`.
#[must_use]
pub fn failed_number(file_name: &str) -> Option<usize> {
    file_name.strip_prefix("failed-")?.strip_suffix(".json")?.parse().ok()
}

/// Whether this is the name of what a process tells of its running tasks.
#[must_use]
pub fn is_running(file_name: &str) -> bool {
    file_name.starts_with("running-") && file_name.ends_with(".json")
}
