//! Grouping files into tasks: pure, deterministic, independent of the order in which files were listed.
//!
//! First-fit decreasing: files sorted by size (largest first) and then by name go each into the first group with room.
//!
//! ```text
//! limit 10, files a=6 b=5 c=4 d=4 e=1      group 1: a c      (6 + 4)
//!                                          group 2: b d e    (5 + 4 + 1)
//! ```
//!
//! A file larger than the limit is a group of its own. No I/O, no knowledge of what the files hold.

use std::cmp::Reverse;

/// Indices into `files` per group; within a group by name, so that a task reads files in a fixed order.
///
/// Takes `O(n log n)` for any number of groups: a tournament tree over the free bytes of the groups finds the first fit.
#[must_use]
pub fn pack(files: &[(&str, u64)], limit_bytes: u64) -> Vec<Vec<usize>> {
    // Names are compared once; after that, files go by their rank among the names.
    let mut by_name: Vec<usize> = (0..files.len()).collect();
    by_name.sort_unstable_by_key(|&file| files[file].0);
    let size = |rank: usize| files[by_name[rank]].1;
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|&rank| Reverse(size(rank)));
    let mut free = FreeBytes::new(groups_at_most(files, limit_bytes));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for rank in order {
        let size = size(rank);
        if size > limit_bytes {
            // Not even an empty file joins it.
            groups.push(vec![rank]);
            continue;
        }
        let group = free.first_with(size).unwrap_or_else(|| {
            groups.push(Vec::new());
            free.set(groups.len() - 1, limit_bytes);
            groups.len() - 1
        });
        free.set(group, free.get(group) - size);
        groups[group].push(rank);
    }
    for group in &mut groups {
        group.sort_unstable();
        group.iter_mut().for_each(|file| *file = by_name[*file]);
    }
    groups
}

/// Files over the limit are alone. Of the other groups, any two hold more than the limit together: the first file of the
/// later one did not fit into the earlier one.
fn groups_at_most(files: &[(&str, u64)], limit_bytes: u64) -> usize {
    let (alone, shared): (Vec<u64>, Vec<u64>) = files.iter().map(|file| file.1).partition(|size| *size > limit_bytes);
    let bytes: u128 = shared.iter().map(|size| u128::from(*size)).sum();
    let pairs = bytes / u128::from(limit_bytes.max(1));
    alone.len() + usize::try_from(2 * pairs + 1).unwrap_or(usize::MAX).min(shared.len())
}

/// A complete binary tree whose inner nodes hold the largest number of free bytes below them; unopened groups have none.
struct FreeBytes {
    leaves: usize,
    tree: Vec<Option<u64>>,
}

impl FreeBytes {
    fn new(groups: usize) -> Self {
        let leaves = groups.max(1).next_power_of_two();
        Self { leaves, tree: vec![None; 2 * leaves] }
    }

    fn get(&self, group: usize) -> u64 {
        self.tree[self.leaves + group].unwrap_or(0)
    }

    fn set(&mut self, group: usize, bytes: u64) {
        let mut node = self.leaves + group;
        self.tree[node] = Some(bytes);
        while node > 1 {
            node /= 2;
            self.tree[node] = self.tree[2 * node].max(self.tree[2 * node + 1]);
        }
    }

    fn first_with(&self, bytes: u64) -> Option<usize> {
        let fits = |node: usize| self.tree[node].is_some_and(|free| free >= bytes);
        if !fits(1) {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node = if fits(2 * node) { 2 * node } else { 2 * node + 1 };
        }
        Some(node - self.leaves)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(files: &[(&str, u64)], limit: u64) -> Vec<String> {
        pack(files, limit).iter().map(|group| group.iter().map(|&file| files[file].0).collect()).collect()
    }

    #[test]
    fn first_fit_decreasing_as_drawn_above() {
        assert_eq!(named(&[("a", 6), ("b", 5), ("c", 4), ("d", 4), ("e", 1)], 10), ["ac", "bde"]);
    }

    #[test]
    fn file_larger_than_the_limit_is_alone_and_nothing_is_no_group() {
        assert_eq!(named(&[("a", 1), ("big", 99), ("b", 1)], 10), ["big", "ab"]);
        assert!(named(&[], 10).is_empty());
    }

    #[test]
    fn files_of_one_size_fill_groups_in_the_order_of_their_names() {
        assert_eq!(named(&[("d", 5), ("a", 5), ("c", 5), ("b", 5)], 10), ["ab", "cd"]);
    }

    #[test]
    fn empty_files_share_a_group() {
        assert_eq!(named(&[("a", 0), ("b", 0)], 10), ["ab"]);
    }

    proptest! {
        /// Every file is in exactly one group, and no group of two or more files exceeds the limit.
        #[test]
        fn files_and_bytes_are_conserved_within_the_limit(sizes in prop::collection::vec(0u64..50, 0..60), limit in 1u64..60) {
            let names: Vec<String> = (0..sizes.len()).map(|i| format!("f{i:03}")).collect();
            let files: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(sizes.iter().copied()).collect();
            let groups = pack(&files, limit);
            let mut seen: Vec<usize> = groups.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..files.len()).collect::<Vec<_>>());
            for group in &groups {
                let bytes: u64 = group.iter().map(|&file| files[file].1).sum();
                prop_assert!(bytes <= limit || group.len() == 1);
            }
        }

        /// The tree has room for all groups, whatever the sizes; a limit of nothing still takes empty files.
        #[test]
        fn number_of_groups_is_bounded(sizes in prop::collection::vec(0u64..12, 0..200), limit in 0u64..12) {
            let files: Vec<(&str, u64)> = sizes.iter().map(|size| ("f", *size)).collect();
            let groups = pack(&files, limit);
            prop_assert!(groups.len() <= groups_at_most(&files, limit));
            prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), files.len());
        }

        /// The groups, read as lists of names, do not depend on the order of the input.
        #[test]
        fn order_of_the_listing_does_not_matter(
            files in prop::collection::btree_map("[a-z]{1,3}", 0u64..50, 0..40)
                .prop_flat_map(|files| (Just(files.clone().into_iter().collect::<Vec<_>>()), Just(files.into_iter().collect::<Vec<_>>()).prop_shuffle())),
            limit in 1u64..60,
        ) {
            let (sorted, shuffled) = files;
            let view = |files: &[(String, u64)]| {
                let files: Vec<(&str, u64)> = files.iter().map(|(name, size)| (name.as_str(), *size)).collect();
                pack(&files, limit).iter().map(|group| group.iter().map(|&f| files[f].0.to_owned()).collect::<Vec<_>>()).collect::<Vec<_>>()
            };
            prop_assert_eq!(view(&sorted), view(&shuffled));
        }
    }
}
