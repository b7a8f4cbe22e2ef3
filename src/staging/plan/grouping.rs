//! Grouping files into tasks: pure, deterministic, independent of the order in which files were listed.
//!
//! Neighbours by name go together, if that takes few more groups than there must be: an export is mostly in the order
//! of a key, and then the rows of one task are before those of the next. They are cut where the groups come nearest to
//! one size, so that no thread works on a large last group while the others have none.
//!
//! ```text
//! limit 10, files a=3 b=3 c=3 d=3          group 1: a b      group 2: c d      (not a b c, d)
//! ```
//!
//! Otherwise first-fit decreasing: files sorted by size (largest first) and then by name go each into the first group
//! with room.
//!
//! ```text
//! limit 10, files a=6 b=5 c=4 d=4 e=1      group 1: a c      (6 + 4)
//!                                          group 2: b d e    (5 + 4 + 1)
//! ```
//!
//! A file larger than the limit is a group of its own. No I/O, no knowledge of what the files hold.

use std::cmp::{Ordering, Reverse};

/// Indices into `files` per group, in the order of [`by_name`].
///
/// Takes `O(n log n)` for any number of groups: a tournament tree over the free bytes of the groups finds the first
/// fit.
#[must_use]
pub fn pack(files: &[(&str, u64)], limit_bytes: u64) -> Vec<Vec<usize>> {
    // Names are compared once; after that, files go by their rank among the names.
    let mut ranked: Vec<usize> = (0..files.len()).collect();
    ranked.sort_unstable_by(|&one, &other| by_name(files[one].0, files[other].0));
    let size = |rank: usize| files[ranked[rank]].1;
    let least = groups_at_least(files, limit_bytes);
    let mut groups = neighbours(files.len(), size, limit_bytes);
    if groups.len() > least + least / 4 {
        groups = first_fit(files, size, limit_bytes);
    } else if let Some(even) = evenly(files.len(), size, limit_bytes, groups.len()) {
        groups = even;
    }
    for group in &mut groups {
        group.iter_mut().for_each(|file| *file = ranked[*file]);
    }
    groups
}

/// The order of names in which numbers count as such: `part-9` comes before `part-10`.
#[must_use]
pub fn by_name(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let start = one[..same].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
    let number = |name: &'_ [u8]| {
        let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let zeros = name[..digits].iter().take_while(|byte| **byte == b'0').count();
        (digits - zeros, zeros..digits, digits > 0)
    };
    let ((a_length, a, a_is), (b_length, b, b_is)) = (number(&one[start..]), number(&other[start..]));
    let by_number = if a_is && b_is {
        a_length.cmp(&b_length).then_with(|| one[start..][a].cmp(&other[start..][b]))
    } else {
        Ordering::Equal
    };
    by_number.then_with(|| one[same..].cmp(&other[same..]))
}

/// Ranks in groups of neighbours, each as full as it gets.
fn neighbours(files: usize, size: impl Fn(usize) -> u64, limit_bytes: u64) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut free = None;
    for rank in 0..files {
        let left = free.and_then(|free: u64| free.checked_sub(size(rank)));
        match (left, groups.last_mut()) {
            (Some(_), Some(group)) => group.push(rank),
            _ => groups.push(vec![rank]),
        }
        // A file over the limit leaves no room, not even for an empty one.
        free = left.or_else(|| limit_bytes.checked_sub(size(rank)));
    }
    groups
}

/// Ranks in `groups` groups of neighbours, cut where the bytes so far come nearest to the same part of all bytes;
/// `None` if one of them is over the limit, or has no file.
fn evenly(files: usize, size: impl Fn(usize) -> u64, limit_bytes: u64, groups: usize) -> Option<Vec<Vec<usize>>> {
    let total: u128 = (0..files).map(|rank| u128::from(size(rank))).sum();
    let (mut cut, mut start, mut before) = (Vec::with_capacity(groups), 0, 0u128);
    for group in 1..=groups as u128 {
        let wanted = total * group / groups as u128;
        let (mut end, mut bytes) = (start, 0u128);
        while end < files {
            let with_it = before + bytes + u128::from(size(end));
            // Past the place, and no nearer to it than without this file.
            if with_it > wanted && with_it - wanted > wanted.abs_diff(before + bytes) {
                break;
            }
            bytes = with_it - before;
            end += 1;
        }
        if start == end || bytes > u128::from(limit_bytes) {
            return None;
        }
        cut.push((start..end).collect());
        (start, before) = (end, before + bytes);
    }
    (start == files).then_some(cut)
}

/// Ranks in groups, the largest file first.
fn first_fit(files: &[(&str, u64)], size: impl Fn(usize) -> u64, limit_bytes: u64) -> Vec<Vec<usize>> {
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
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups
}

/// No way of grouping has fewer.
fn groups_at_least(files: &[(&str, u64)], limit_bytes: u64) -> usize {
    let (alone, shared): (Vec<u64>, Vec<u64>) = files.iter().map(|file| file.1).partition(|size| *size > limit_bytes);
    let bytes: u128 = shared.iter().map(|size| u128::from(*size)).sum();
    let least = bytes.div_ceil(u128::from(limit_bytes.max(1)));
    alone.len() + usize::try_from(least).unwrap_or(usize::MAX).max(usize::from(!shared.is_empty()))
}

/// Files over the limit are alone. Of the other groups, any two hold more than the limit together: the first file of
/// the later one did not fit into the earlier one.
fn groups_at_most(files: &[(&str, u64)], limit_bytes: u64) -> usize {
    let (alone, shared): (Vec<u64>, Vec<u64>) = files.iter().map(|file| file.1).partition(|size| *size > limit_bytes);
    let bytes: u128 = shared.iter().map(|size| u128::from(*size)).sum();
    let pairs = bytes / u128::from(limit_bytes.max(1));
    alone.len() + usize::try_from(2 * pairs + 1).unwrap_or(usize::MAX).min(shared.len())
}

/// A complete binary tree whose inner nodes hold the largest number of free bytes below them; unopened groups have
/// none.
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
        assert_eq!(named(&[("a", 1), ("big", 99), ("c", 1)], 10), ["big", "ac"]);
        assert!(named(&[], 10).is_empty());
    }

    #[test]
    fn files_of_one_size_fill_groups_in_the_order_of_their_names() {
        assert_eq!(named(&[("d", 5), ("a", 5), ("c", 5), ("b", 5)], 10), ["ab", "cd"]);
    }

    #[test]
    fn numbers_in_names_count_as_such() {
        let mut names = ["b", "a10", "a9", "a", "a09b", "a1x2", "a1x10", "10", "9", ""];
        names.sort_unstable_by(|one, other| by_name(one, other));
        assert_eq!(names, ["", "9", "10", "a", "a1x2", "a1x10", "a09b", "a9", "a10", "b"]);
        assert_eq!(named(&[("p1", 5), ("p10", 5), ("p9", 5), ("p2", 5)], 10), ["p1p2", "p9p10"]);
    }

    #[test]
    fn neighbours_are_cut_into_groups_of_about_one_size_where_the_limit_allows_that() {
        assert_eq!(named(&[("a", 3), ("b", 3), ("c", 3), ("d", 3)], 10), ["ab", "cd"]);
        let forty: Vec<String> = (10..50).map(|number| format!("f{number}")).collect();
        let forty: Vec<(&str, u64)> = forty.iter().map(|name| (name.as_str(), 30)).collect();
        let sizes: Vec<usize> = pack(&forty, 100).iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 3, 3, 2, 3, 3, 3, 3, 3, 3, 2, 3, 3, 3]);
        assert_eq!(named(&[("a", 1), ("b", 9), ("c", 9), ("d", 1)], 10), ["ab", "cd"]);
        // Nearest to halves would be a, bc, which is too much.
        assert_eq!(named(&[("a", 8), ("b", 2), ("c", 9)], 10), ["ab", "c"]);
        assert_eq!(named(&[("a", 0), ("b", 0), ("c", 10), ("d", 10)], 10), ["abc", "d"]);
    }

    #[test]
    fn neighbours_stay_together_unless_that_takes_many_more_groups() {
        assert_eq!(named(&[("a", 3), ("b", 4), ("c", 3), ("d", 4), ("e", 3)], 10), ["ab", "cde"]);
        assert_eq!(named(&[("a", 9), ("b", 2), ("c", 9), ("d", 2), ("e", 9), ("f", 2)], 10), ["a", "c", "e", "bdf"]);
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

        /// The order of names is total, and agrees with the plain one where there are no digits.
        #[test]
        fn order_of_names_is_total(names in prop::collection::vec("[ab0-2]{0,6}", 3), words in prop::collection::vec("[a-c/]{0,4}", 2)) {
            let order = |one: usize, other: usize| by_name(&names[one], &names[other]);
            prop_assert_eq!(order(0, 1), order(1, 0).reverse());
            prop_assert_eq!(order(0, 1) == Ordering::Equal, names[0] == names[1]);
            if order(0, 1) == Ordering::Less && order(1, 2) == Ordering::Less {
                prop_assert_eq!(order(0, 2), Ordering::Less);
            }
            prop_assert_eq!(by_name(&words[0], &words[1]), words[0].cmp(&words[1]));
        }

        /// The tree has room for all groups, whatever the sizes; a limit of nothing still takes empty files.
        #[test]
        fn number_of_groups_is_bounded(sizes in prop::collection::vec(0u64..12, 0..200), limit in 0u64..12) {
            let files: Vec<(&str, u64)> = sizes.iter().map(|size| ("f", *size)).collect();
            let groups = pack(&files, limit);
            let (least, most) = (groups_at_least(&files, limit), groups_at_most(&files, limit));
            prop_assert!(first_fit(&files, |rank| files[rank].1, limit).len() <= most);
            prop_assert!((least..=most.max(least + least / 4)).contains(&groups.len()));
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
