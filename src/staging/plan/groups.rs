//! The file groups of a plan: one list of files, and which of them each group has.

use super::grouping as group;
use crate::config::GroupSize;
use crate::layout::store_of;
use crate::manifest::FileEntry;

/// A group has at most this many files however small they are: what a task holds per file stays bounded.
const FILES_PER_GROUP: u64 = 10_000;

/// Files in groups. A list of a million is in memory once, in the order of the snapshot manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Sorted by uri.
    files: Vec<FileEntry>,
    /// Indices of files: those of the first group, those of the second, and so on.
    members: Vec<usize>,
    /// Where each group ends in `members`.
    ends: Vec<usize>,
}

impl Groups {
    /// Groups of files of one store each, since a scan reads from one store. `files` are sorted by uri, and so are
    /// those of a group.
    pub(crate) fn pack(files: Vec<FileEntry>, size: GroupSize) -> Self {
        let limit = match size {
            GroupSize::All => {
                let ends = if files.is_empty() { Vec::new() } else { vec![files.len()] };
                return Self { members: (0..files.len()).collect(), files, ends };
            }
            GroupSize::Bytes(limit) => limit,
        };
        let cost = |file: &FileEntry| file.size.max(limit / FILES_PER_GROUP);
        let (mut members, mut ends) = (Vec::with_capacity(files.len()), Vec::new());
        let mut start = 0;
        // Sorted by uri, the files of one store are together.
        for of_store in files.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
            let costs: Vec<(&str, u64)> = of_store.iter().map(|file| (file.uri.as_ref(), cost(file))).collect();
            for group in group::pack(&costs, limit) {
                let first = members.len();
                members.extend(group.iter().map(|file| start + file));
                members[first..].sort_unstable();
                ends.push(members.len());
            }
            start += of_store.len();
        }
        Self { files, members, ends }
    }

    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Files of a group; group `n` is at `n - 1`.
    ///
    /// # Panics
    /// When there is no such group.
    pub fn of(&self, group: usize) -> impl ExactSizeIterator<Item = &FileEntry> {
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        self.members[start..self.ends[group]].iter().map(|&file| &self.files[file])
    }

    /// Files of each group.
    pub fn iter(&self) -> impl Iterator<Item = impl ExactSizeIterator<Item = &FileEntry>> {
        (0..self.len()).map(|group| self.of(group))
    }

    /// Files of all groups, sorted by uri.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Takes all files for a while, so that a manifest can have them without a second list.
    pub(crate) fn take_files(&mut self) -> Vec<FileEntry> {
        std::mem::take(&mut self.files)
    }

    /// Gives back what [`Groups::take_files`] took.
    pub(crate) fn put_back(&mut self, files: Vec<FileEntry>) {
        self.files = files;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::FilePartition;

    fn file(uri: String, size: u64) -> FileEntry {
        FileEntry { uri: uri.into(), etag: "e".into(), size, n_record: None, partition: FilePartition::None }
    }

    #[test]
    fn group_of_tiny_files_is_bounded_in_their_number() {
        let files: Vec<_> = (0..25_000).map(|number| file(format!("s3://b/{number:06}"), 1)).collect();
        let counts: Vec<_> = Groups::pack(files, GroupSize::Bytes(1 << 30)).iter().map(|group| group.len()).collect();
        assert_eq!(counts, [8_333, 8_334, 8_333]);
    }

    #[test]
    fn all_files_are_one_group_and_none_are_no_group() {
        let files = vec![file("s3://a/1".into(), 1), file("s3://b/1".into(), 1)];
        assert_eq!(Groups::pack(files, GroupSize::All).iter().map(|group| group.len()).collect::<Vec<_>>(), [2]);
        assert!(Groups::pack(Vec::new(), GroupSize::All).is_empty());
        assert!(Groups::pack(Vec::new(), GroupSize::Bytes(1)).is_empty());
    }

    #[test]
    fn files_of_two_stores_are_in_two_groups() {
        let files = vec![file("s3://a/1".into(), 1), file("s3://a/2".into(), 1), file("s3://b/1".into(), 1)];
        let groups = Groups::pack(files, GroupSize::Bytes(10));
        assert_eq!((groups.len(), groups.of(0).len(), groups.of(1).len()), (2, 2, 1));
    }

    proptest! {
        /// Each file is in one group, groups are within the limit and of one store, and files stay in their order.
        #[test]
        fn files_are_moved_into_groups_as_they_were_packed(
            files in prop::collection::btree_map("(s3://[ab]|file://)/[a-z]{1,4}", 0u64..50, 0..60),
            limit in 1u64..60,
        ) {
            let files: Vec<_> = files.into_iter().map(|(uri, size)| file(uri, size)).collect();
            let groups = Groups::pack(files.clone(), GroupSize::Bytes(limit));
            prop_assert_eq!(groups.iter().map(|group| group.len()).sum::<usize>(), files.len());
            for group in groups.iter() {
                let group: Vec<&FileEntry> = group.collect();
                prop_assert!(group.is_sorted_by(|a, b| a.uri < b.uri));
                prop_assert!(group.iter().all(|file| store_of(&file.uri) == store_of(&group[0].uri)));
                prop_assert!(group.len() == 1 || group.iter().map(|file| file.size).sum::<u64>() <= limit);
            }
            let mut all: Vec<FileEntry> = groups.iter().flatten().cloned().collect();
            all.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
            prop_assert_eq!(&all, &files);
            prop_assert_eq!(groups.files(), files);
        }
    }
}
