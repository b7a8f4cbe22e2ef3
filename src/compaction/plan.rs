//! Groups staging files for compaction: pure, from manifests alone, the same whatever their order.
//!
//! ```text
//! group 1 wrote year=2013/month=1, month=2         partition group 1: month=1 of groups 1, 2
//! group 2 wrote year=2013/month=1, month=3   ->    partition group 2: month=2 of group 1
//!                                                  partition group 3: month=3 of group 2
//! ```
//!
//! With an order asked for, all files of a partition are one group: a single merge gives files that do not overlap.
//! Without one, a large partition is cut into groups of even size, so that several tasks share it. Partitions that
//! share staging files (`crate::layout::bundle`) are one group, with the files that some of them have to themselves,
//! unless these are large and need no merging. A table without rows has one group without files: the first manifest is
//! the commit of the plan and must exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::layout::FilePartition;
use crate::layout::bundle::label;
use crate::manifest::FileEntry;

/// Staging bytes per group, in target file sizes, when no order is asked for. Plain LZ4 is about 1.4 times the final
/// size.
const TARGETS_PER_GROUP: u64 = 8;

/// What a partition file group's manifest says besides its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionDetails {
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Number of this group over the table, from 1.
    pub group: usize,
    /// Number of groups of the table. Group 1 is written last: where it exists, all others do.
    pub groups: usize,
    /// Hive path of the partition; of several, words that name them.
    pub partition: String,
    /// Rows of the partition that earlier groups have.
    pub first_row: u64,
    /// As [`PartitionGroup::number`]; absent where it is that of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lake_number: Option<usize>,
    /// As [`PartitionGroup::bundled`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundled: Vec<BundledPartition>,
    /// Id of the plan that it belongs to.
    pub plan: String,
    /// File sizes and compression that the lake files are written with.
    pub properties: String,
}

impl PartitionDetails {
    /// The group that has these files.
    #[must_use]
    pub fn into_group(self, files: Vec<FileEntry>) -> PartitionGroup {
        let number = self.lake_number.unwrap_or(self.group);
        PartitionGroup { partition: self.partition, first_row: self.first_row, number, bundled: self.bundled, files }
    }
}

/// Files of one partition, or of several small ones, that one task merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionGroup {
    /// Hive path; of several partitions, words that name them.
    pub partition: String,
    /// Rows of the partition that earlier groups have.
    pub first_row: u64,
    /// Number in the names of lake files: counts the parts of partitions, in the order of these. That of the group,
    /// unless partitions share staging files, which memory decides: names of a table with an order do not tell.
    pub number: usize,
    /// The partitions, if they share staging files.
    pub bundled: Vec<BundledPartition>,
    /// Staging files, sorted by uri and thereby, in one partition, by the stage task that wrote them.
    pub files: Vec<FileEntry>,
}

/// One of the partitions that are published together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledPartition {
    /// Hive path.
    pub partition: String,
    /// As [`PartitionGroup::number`].
    pub number: usize,
    /// Rows of the partition that other groups have.
    #[serde(default)]
    pub first_row: u64,
    /// Its rows in this group.
    pub rows: u64,
}

/// Where the rows of a partition are.
#[derive(Default)]
struct RowsPlace {
    /// In files of its own.
    files: Vec<FileEntry>,
    /// The folder of its bundle, and its rows in the files there.
    bundle: Option<(Arc<str>, u64)>,
}

/// The groups in order: group `n` is at `n - 1`.
#[must_use]
pub fn group(files: impl IntoIterator<Item = FileEntry>, is_sorted: bool, target_bytes: u64) -> Vec<PartitionGroup> {
    let mut partitions: BTreeMap<Arc<str>, RowsPlace> = BTreeMap::new();
    let mut bundles: BTreeMap<Arc<str>, PartitionGroup> = BTreeMap::new();
    for file in files {
        if !file.partition.is_many() {
            let path = if let FilePartition::One(path) = &file.partition { Arc::clone(path) } else { Arc::default() };
            partitions.entry(path).or_default().files.push(file);
            continue;
        }
        let folder: Arc<str> = file.uri.rsplit_once('/').map_or("", |(folder, _)| folder).into();
        for part in file.parts() {
            let place = partitions.entry(part.partition.into()).or_default();
            place.bundle.get_or_insert_with(|| (Arc::clone(&folder), 0)).1 += part.rows;
        }
        bundles.entry(folder).or_insert_with(PartitionGroup::without_files).files.push(file);
    }
    let limit = target_bytes.saturating_mul(TARGETS_PER_GROUP).max(1);
    let (mut groups, mut number) = (Vec::new(), 0);
    for (partition, RowsPlace { mut files, bundle }) in partitions {
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        let mut first_row = 0;
        // Without an order, what fills files of its own is not merged with the rest.
        let (alone, with_others) = match bundle {
            Some(_) if is_sorted || bytes < target_bytes => (Vec::new(), files),
            _ => {
                files.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
                (files, Vec::new())
            }
        };
        let parts = if is_sorted { 1 } else { bytes.div_ceil(limit).max(1) };
        for files in cut(alone, bytes, parts) {
            number += 1;
            let rows: u64 = files.iter().filter_map(|file| file.n_record).sum();
            let partition = partition.to_string();
            groups.push(PartitionGroup { partition, first_row, number, bundled: Vec::new(), files });
            first_row += rows;
        }
        if let Some((folder, rows)) = bundle {
            number += 1;
            let rows = rows + with_others.iter().filter_map(|file| file.n_record).sum::<u64>();
            let group = bundles.entry(folder).or_insert_with(PartitionGroup::without_files);
            group.bundled.push(BundledPartition { partition: partition.to_string(), number, first_row, rows });
            group.files.extend(with_others);
        }
    }
    groups.extend(bundles.into_values().map(|mut group| {
        group.files.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
        group.partition = label(group.bundled.iter().map(|of| of.partition.as_str()));
        group
    }));
    if groups.is_empty() {
        groups.push(PartitionGroup { number: 1, ..PartitionGroup::without_files() });
    }
    groups
}

impl PartitionGroup {
    fn without_files() -> Self {
        Self { partition: String::new(), first_row: 0, number: 0, bundled: Vec::new(), files: Vec::new() }
    }
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::layout::bundle::{self, bundle_of};

    fn file(partition: &str, group: usize, size: u64) -> FileEntry {
        let uri = format!("s3://b/{partition}/{group:06}.parquet");
        FileEntry {
            uri: uri.into(),
            etag: "e".into(),
            size,
            n_record: Some(1),
            partition: FilePartition::one(partition),
        }
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
        assert_eq!(group([], true, 1), [PartitionGroup { number: 1, ..PartitionGroup::without_files() }]);
    }

    #[test]
    fn unsorted_large_partition_is_cut_into_even_groups() {
        let files: Vec<_> = (0..40).map(|n| file("", n, 10)).collect();
        let sizes: Vec<usize> = group(files, false, 10).iter().map(|group| group.files.len()).collect();
        assert_eq!(sizes, [8, 8, 8, 8, 8]);
    }

    /// Staging files of tasks that each have rows of some partitions: one file for each, or one per bundle where the
    /// task shares.
    fn files_of(tasks: &[(bool, BTreeMap<usize, u64>)], may_share: bool) -> Vec<FileEntry> {
        let mut files = Vec::new();
        for (task, (shares, partitions)) in tasks.iter().enumerate() {
            let mut bundles: BTreeMap<u32, Vec<(String, u64)>> = BTreeMap::new();
            for (&partition, &rows) in partitions {
                let path = format!("p={partition}");
                if *shares && may_share {
                    bundles.entry(bundle_of(&path, 8)).or_default().push((path, rows));
                } else {
                    files.push(FileEntry { n_record: Some(rows), ..file(&path, task, rows) });
                }
            }
            for (number, of) in bundles {
                let rows = of.iter().map(|(_, rows)| rows).sum();
                let partition = FilePartition::many(of.iter().map(|(path, rows)| (path.as_str(), *rows)));
                let uri = format!("s3://b/{}/{task:06}.parquet", bundle::folder(number));
                let entry = file("", task, rows);
                files.push(FileEntry { uri: uri.into(), n_record: Some(rows), partition, ..entry });
            }
        }
        files
    }

    /// Partition, number in names and rows of all that is published.
    fn published(groups: &[PartitionGroup]) -> Vec<(String, usize, u64)> {
        let mut all: Vec<_> = groups
            .iter()
            .flat_map(|group| match &group.bundled[..] {
                [] => {
                    let rows = group.files.iter().filter_map(|file| file.n_record).sum();
                    vec![(group.partition.clone(), group.number, rows)]
                }
                of => of.iter().map(|of| (of.partition.clone(), of.number, of.rows)).collect(),
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn partition_in_a_bundle_brings_the_files_that_it_has_to_itself() {
        let shared = [(true, BTreeMap::from([(1, 5), (2, 6), (3, 7)])), (false, BTreeMap::from([(2, 8), (9, 1)]))];
        let groups = group(files_of(&shared, true), true, 1);
        let bundles: BTreeSet<u32> = ["p=1", "p=2", "p=3"].into_iter().map(|path| bundle_of(path, 8)).collect();
        assert_eq!(groups.len(), 1 + bundles.len());
        assert_eq!((groups[0].partition.as_str(), groups[0].number), ("p=9", 4));
        let with_two = groups.iter().find(|group| group.bundled.iter().any(|of| of.partition == "p=2")).unwrap();
        assert_eq!(with_two.files.len(), 2);
        assert_eq!(published(&groups), published(&group(files_of(&shared, false), true, 1)));
    }

    proptest! {
        /// Whichever tasks share files, without an order too, all rows of a partition are published.
        #[test]
        fn no_row_is_left_out_or_taken_twice(
            tasks in prop::collection::vec((any::<bool>(), prop::collection::btree_map(0usize..60, 1u64..9, 0..40)), 0..6),
            is_sorted: bool,
            target in 1u64..30,
        ) {
            let sums = |groups: &[PartitionGroup]| {
                let mut sums = BTreeMap::<String, u64>::new();
                published(groups).into_iter().for_each(|(path, _, rows)| *sums.entry(path).or_default() += rows);
                sums
            };
            let groups = group(files_of(&tasks, true), is_sorted, target);
            prop_assert_eq!(sums(&groups), sums(&group(files_of(&tasks, false), is_sorted, target)));
            let numbers: BTreeSet<usize> = published(&groups).into_iter().map(|(_, number, _)| number).collect();
            prop_assert_eq!(numbers.len(), published(&groups).len());
        }

        /// Whichever tasks share files, every file is in one group, every partition is published once with all of its
        /// rows, and under the names that it would have if none did.
        #[test]
        fn names_and_rows_do_not_depend_on_who_shares_files(
            tasks in prop::collection::vec((any::<bool>(), prop::collection::btree_map(0usize..600, 1u64..9, 0..40)), 0..6),
        ) {
            let files = files_of(&tasks, true);
            let groups = group(files.clone(), true, 1);
            if !files.is_empty() {
                prop_assert_eq!(published(&groups), published(&group(files_of(&tasks, false), true, 1)));
            }
            let mut seen: Vec<_> = groups.into_iter().flat_map(|group| group.files).map(|file| file.uri).collect();
            let mut all: Vec<_> = files.into_iter().map(|file| file.uri).collect();
            seen.sort();
            all.sort();
            prop_assert_eq!(seen, all);
        }

        /// Every file is in exactly one group, groups hold one partition each, and the order of the input does not
        /// matter.
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
                prop_assert!(group.files.iter().all(|file| file.partition.path() == Some(group.partition.as_str())));
            }
            let mut seen: Vec<FileEntry> = groups.into_iter().flat_map(|group| group.files).collect();
            seen.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
            let mut all = sorted;
            all.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
            prop_assert_eq!(seen, all);
        }
    }
}
