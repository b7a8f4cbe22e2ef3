//! Groups staging files for compaction: pure, from manifests alone, the same whatever their order.
//!
//! ```text
//! group 1 wrote year=2013/month=1, month=2         partition group 1: month=1 of groups 1, 2
//! group 2 wrote year=2013/month=1, month=3   ->    partition group 2: month=2 of group 1
//!                                                  partition group 3: month=3 of group 2
//! ```
//!
//! With an order asked for, all files of a partition are one group: a single merge gives files that do not overlap.
//! Without one, a large partition is cut into groups of even size, so that several tasks share it. A table without rows
//! has one group without files: the first manifest is the commit of the plan and must exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::FileEntry;

/// Staging bytes per group, in target file sizes, when no order is asked for. Plain LZ4 is about 1.4 times the final size.
const TARGETS_PER_GROUP: u64 = 8;

/// What a partition file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionDetails {
    /// Lake table.
    pub table: String,
    /// Number of this group over the table, from 1.
    pub group: usize,
    /// Number of groups of the table. Group 1 is written last: where it exists, all others do.
    pub groups: usize,
    /// Hive path of the partition.
    pub partition: String,
    /// Rows of the partition that earlier groups have.
    pub first_row: u64,
    /// Id of the plan that it belongs to.
    pub plan: String,
    /// File sizes and compression that the lake files are written with.
    pub properties: String,
}

/// Files of one partition that one task merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionGroup {
    /// Hive path.
    pub partition: String,
    /// Rows of the partition that earlier groups have.
    pub first_row: u64,
    /// Staging files, sorted by uri and thereby by the stage task that wrote them.
    pub files: Vec<FileEntry>,
}

/// The groups in order: group `n` is at `n - 1`.
#[must_use]
pub fn group(files: impl IntoIterator<Item = FileEntry>, is_sorted: bool, target_bytes: u64) -> Vec<PartitionGroup> {
    let mut partitions: BTreeMap<Arc<str>, Vec<FileEntry>> = BTreeMap::new();
    for file in files {
        partitions.entry(file.partition.clone().unwrap_or_default()).or_default().push(file);
    }
    let limit = target_bytes.saturating_mul(TARGETS_PER_GROUP).max(1);
    let mut groups = Vec::new();
    for (partition, mut files) in partitions {
        files.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        let parts = if is_sorted { 1 } else { bytes.div_ceil(limit).max(1) };
        let mut first_row = 0;
        for files in cut(files, bytes, parts) {
            let rows: u64 = files.iter().filter_map(|file| file.n_record).sum();
            groups.push(PartitionGroup { partition: partition.to_string(), first_row, files });
            first_row += rows;
        }
    }
    if groups.is_empty() {
        groups.push(PartitionGroup { partition: String::new(), first_row: 0, files: Vec::new() });
    }
    groups
}

/// Cuts a list into at most `parts` runs of about equal bytes, keeping its order.
fn cut(files: Vec<FileEntry>, bytes: u64, parts: u64) -> Vec<Vec<FileEntry>> {
    let mut cut: Vec<Vec<FileEntry>> = Vec::new();
    let (mut part, mut seen) = (u64::MAX, 0u64);
    for file in files {
        // A file belongs to the part in which its middle lies.
        let middle = u128::from(seen) + u128::from(file.size / 2);
        let of_file = u64::try_from(middle * u128::from(parts) / u128::from(bytes.max(1))).unwrap_or(0).min(parts - 1);
        seen += file.size;
        if of_file != part || cut.is_empty() {
            part = of_file;
            cut.push(Vec::new());
        }
        if let Some(last) = cut.last_mut() {
            last.push(file);
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(partition: &str, group: usize, size: u64) -> FileEntry {
        let uri = format!("s3://b/{partition}/{group:06}.parquet");
        FileEntry { uri: uri.into(), etag: "e".into(), size, n_record: Some(1), partition: Some(partition.into()) }
    }

    #[test]
    fn each_partition_is_a_group_as_drawn_above() {
        let files = [file("m=1", 1, 5), file("m=2", 1, 5), file("m=1", 2, 5), file("m=3", 2, 5)];
        let groups = group(files, true, 1);
        let seen: Vec<_> = groups.iter().map(|group| (group.partition.as_str(), group.files.len())).collect();
        assert_eq!(seen, [("m=1", 2), ("m=2", 1), ("m=3", 1)]);
    }

    #[test]
    fn table_without_rows_has_one_group_without_files() {
        assert_eq!(group([], true, 1), [PartitionGroup { partition: String::new(), first_row: 0, files: Vec::new() }]);
    }

    #[test]
    fn unsorted_large_partition_is_cut_into_even_groups() {
        let files: Vec<_> = (0..40).map(|n| file("", n, 10)).collect();
        let sizes: Vec<usize> = group(files, false, 10).iter().map(|group| group.files.len()).collect();
        assert_eq!(sizes, [8, 8, 8, 8, 8]);
    }

    proptest! {
        /// Every file is in exactly one group, groups hold one partition each, and the order of the input does not matter.
        #[test]
        fn files_are_conserved_and_order_does_not_matter(
            (sorted, shuffled) in prop::collection::btree_map((0usize..4, 0usize..20), 0u64..100, 0..40).prop_flat_map(|files| {
                let files: Vec<FileEntry> = files.into_iter().map(|((p, n), size)| file(&format!("p={p}"), n, size)).collect();
                (Just(files.clone()), Just(files).prop_shuffle())
            }),
            is_sorted: bool,
            target in 1u64..30,
        ) {
            let groups = group(sorted.clone(), is_sorted, target);
            prop_assert_eq!(&groups, &group(shuffled, is_sorted, target));
            for group in &groups {
                prop_assert!(group.files.iter().all(|file| file.partition.as_deref() == Some(group.partition.as_str())));
            }
            let mut seen: Vec<FileEntry> = groups.into_iter().flat_map(|group| group.files).collect();
            seen.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
            let mut all = sorted;
            all.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
            prop_assert_eq!(seen, all);
        }
    }
}
