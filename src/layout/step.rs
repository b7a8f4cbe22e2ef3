//! The places where tasks commit, and the names of the files there.

use crate::error::TaskStep;

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

    /// The step whose tasks read or write these.
    #[must_use]
    pub fn task(self) -> TaskStep {
        match self {
            Self::SnapshotFileGroups | Self::StagingFileGroups => TaskStep::Stage,
            Self::PartitionFileGroups | Self::DatalakeFileGroups => TaskStep::Publish,
        }
    }

    /// Where the tasks of a step commit what they wrote.
    #[must_use]
    pub fn results(of: TaskStep) -> Self {
        match of {
            TaskStep::Stage => Self::StagingFileGroups,
            TaskStep::Publish => Self::DatalakeFileGroups,
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

/// First part of a lake file's name, or of one that is not whole: `000001-5f3a09c1d2e4`; empty for other names.
#[must_use]
pub fn lake_stem(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or_default().trim_start_matches('.');
    name.rsplit_once('-').map_or("", |(stem, _)| stem)
}

/// Whether a staging file may have this name: `000001-5f3a09c1d2e4-000000.parquet`.
#[must_use]
pub fn is_staging_name(name: &str) -> bool {
    is_data_name(name, 6)
}

/// Whether a lake file may have this name, or one that is not whole: `000001-5f3a09c1d2e4-0000.parquet`.
#[must_use]
pub fn is_lake_name(name: &str) -> bool {
    is_data_name(name.trim_start_matches('.'), 4)
}

/// Number of the group, hash, and number of the file with at least so many digits.
fn is_data_name(name: &str, digits: usize) -> bool {
    let is_number = |text: &str, digits| text.len() >= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_hash = |text: &str| text.len() == 12 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let name = name.split_once('#').map_or(name, |(name, _)| name);
    let Some(name) = name.strip_suffix(".parquet") else { return false };
    matches!(name.split('-').collect::<Vec<_>>()[..], [group, hash, number]
        if is_number(group, 6) && is_hash(hash) && is_number(number, digits))
}

/// Whether this is the name of the file with the running tasks of a process.
#[must_use]
pub fn is_running(file_name: &str) -> bool {
    file_name.starts_with("running-") && file_name.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_our_data_files_are_distinguished_from_all_others() {
        for name in ["000001-5f3a09c1d2e4-000000.parquet", "1000000-5f3a09c1d2e4-000000.parquet"] {
            assert!(is_staging_name(name), "{name}");
        }
        for name in ["000001-5f3a09c1d2e4-0000.parquet", ".000001-5f3a09c1d2e4-0000.parquet#1"] {
            assert!(is_lake_name(name) && !is_staging_name(name), "{name}");
        }
        for name in
            ["part-0.parquet", "000001-5f3a09c1d2-0000.parquet", "000001-5F3A09C1D2E4-0000.parquet", "a.csv", ""]
        {
            assert!(!is_lake_name(name) && !is_staging_name(name), "{name}");
        }
    }
}
