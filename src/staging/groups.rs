//! The file groups of a plan, in the memory of one list.

use std::ops::Index;

use crate::config::GroupSize;
use crate::group;
use crate::layout::store_of;
use crate::manifest::FileEntry;

/// A group has at most this many files however small they are: what a task holds per file stays bounded.
const FILES_PER_GROUP: u64 = 10_000;

/// Files in groups: those of the first group, those of the second, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    files: Vec<FileEntry>,
    /// Where each group ends.
    ends: Vec<usize>,
}

impl Groups {
    /// Groups of files of one store each, since a scan reads from one store. `files` are sorted by uri, and so are those
    /// of a group.
    pub(crate) fn pack(files: Vec<FileEntry>, size: GroupSize) -> Self {
        let limit = match size {
            GroupSize::All => {
                let ends = if files.is_empty() { Vec::new() } else { vec![files.len()] };
                return Self { files, ends };
            }
            GroupSize::Bytes(limit) => limit,
        };
        let cost = |file: &FileEntry| file.size.max(limit / FILES_PER_GROUP);
        let (mut place, mut ends) = (vec![0; files.len()], Vec::new());
        let (mut start, mut placed) = (0, 0);
        // Sorted by uri, the files of one store stand together.
        for of_store in files.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
            let costs: Vec<(&str, u64)> = of_store.iter().map(|file| (file.uri.as_ref(), cost(file))).collect();
            for file in group::pack(&costs, limit).into_iter().flat_map(|group| {
                ends.push(ends.last().map_or(0, |end| *end) + group.len());
                group
            }) {
                place[start + file] = placed;
                placed += 1;
            }
            start += of_store.len();
        }
        Self { files: permute(files, place), ends }
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

    /// Files of each group.
    pub fn iter(&self) -> impl Iterator<Item = &[FileEntry]> {
        (0..self.len()).map(|group| &self[group])
    }

    /// Files of all groups.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }
}

impl Index<usize> for Groups {
    type Output = [FileEntry];

    fn index(&self, group: usize) -> &[FileEntry] {
        let start = if group == 0 { 0 } else { self.ends[group - 1] };
        &self.files[start..self.ends[group]]
    }
}

/// Puts each file at its place, which is a permutation, without a second list.
fn permute(mut files: Vec<FileEntry>, mut place: Vec<usize>) -> Vec<FileEntry> {
    for at in 0..files.len() {
        // Each swap brings one file home for good.
        while place[at] != at {
            let home = place[at];
            files.swap(at, home);
            place.swap(at, home);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(uri: String, size: u64) -> FileEntry {
        FileEntry { uri: uri.into(), etag: "e".into(), size, n_record: None, partition: None }
    }

    #[test]
    fn group_of_tiny_files_is_bounded_in_their_number() {
        let files: Vec<_> = (0..25_000).map(|number| file(format!("s3://b/{number:06}"), 1)).collect();
        let counts: Vec<_> = Groups::pack(files, GroupSize::Bytes(1 << 30)).iter().map(<[FileEntry]>::len).collect();
        assert_eq!(counts, [10_000, 10_000, 5_000]);
    }

    #[test]
    fn all_files_are_one_group_and_none_are_no_group() {
        let files = vec![file("s3://a/1".into(), 1), file("s3://b/1".into(), 1)];
        assert_eq!(Groups::pack(files, GroupSize::All).iter().map(<[FileEntry]>::len).collect::<Vec<_>>(), [2]);
        assert!(Groups::pack(Vec::new(), GroupSize::All).is_empty());
        assert!(Groups::pack(Vec::new(), GroupSize::Bytes(1)).is_empty());
    }

    #[test]
    fn files_of_two_stores_are_in_two_groups() {
        let files = vec![file("s3://a/1".into(), 1), file("s3://a/2".into(), 1), file("s3://b/1".into(), 1)];
        let groups = Groups::pack(files, GroupSize::Bytes(10));
        assert_eq!((groups.len(), groups[0].len(), groups[1].len()), (2, 2, 1));
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
            prop_assert_eq!(groups.iter().map(<[FileEntry]>::len).sum::<usize>(), files.len());
            for group in groups.iter() {
                prop_assert!(group.is_sorted_by(|a, b| a.uri < b.uri));
                prop_assert!(group.iter().all(|file| store_of(&file.uri) == store_of(&group[0].uri)));
                prop_assert!(group.len() == 1 || group.iter().map(|file| file.size).sum::<u64>() <= limit);
            }
            let mut all = groups.files().to_vec();
            all.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
            prop_assert_eq!(all, files);
        }
    }
}
