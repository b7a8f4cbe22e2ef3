//! Staging files that hold the rows of several small partitions of one run.
//!
//! A file per run and partition costs an open, a footer and a writer per column, and the same again to be read: with
//! thousands of partitions more than their rows do. So small partitions that fall into the same bundle share a file;
//! which bundle a partition falls into is decided by its Hive path alone, in every run of every task, so that one
//! publish task finds all its rows in the files of that bundle.
//!
//! ```text
//! run 0    day=2026-01-01  day=2026-01-07  day=2026-01-09      bundle-011/000001-ab-000000.parquet
//! run 1    day=2026-01-07  day=2026-01-08                      bundle-011/000002-cd-000000.parquet
//!
//! manifest, column partition    day=2026-01-01*857,day=2026-01-07*12,day=2026-01-09*790
//! ```
//!
//! In a bundle's files partition columns are next to the others; rows are sorted by them first. What a manifest says of
//! such a file instead of one Hive path are the paths of its partitions and their rows: neither `*` nor `,` occurs in a
//! path ([`super::partition::encode`]).

use std::hash::Hasher;

use datafusion::arrow::compute::SortOptions;
use twox_hash::XxHash64;

/// Bundles of a new plan. The plan says how many it has: all of its tasks must agree.
pub(crate) const BUNDLES: u32 = 128;

/// Small partitions of a run per bundle from which on they share files: with fewer, it is not worth it.
pub(crate) const SHARED_FROM: usize = 4;

/// How a bundle's rows are sorted by each partition column, before the sort keys.
pub(crate) const ORDER: SortOptions = SortOptions { descending: false, nulls_first: true };

/// The bundle of a partition, one of so many, by its Hive path.
#[must_use]
pub(crate) fn bundle_of(path: &str, bundles: u32) -> u32 {
    let mut hash = XxHash64::with_seed(0);
    hash.write(path.as_bytes());
    // Below `bundles`, which 32 bits hold.
    u32::try_from(hash.finish() % u64::from(bundles.max(1))).unwrap_or(0)
}

/// Folder of a bundle's files.
pub(crate) fn folder(bundle: u32) -> String {
    format!("bundle-{bundle:03}")
}

/// What a manifest says of a file that holds these partitions, each with its rows.
pub(crate) fn text<'a>(members: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    members.into_iter().map(|(path, rows)| format!("{path}*{rows}")).collect::<Vec<_>>().join(",")
}

/// Whether a manifest says this of a file that holds several partitions.
pub(crate) fn is_bundle(partition: &str) -> bool {
    partition.contains('*')
}

/// Hive paths of a file's partitions and their rows; one path, without its rows, if the file is not a bundle's.
pub(crate) fn members(partition: &str) -> impl Iterator<Item = (&str, Option<u64>)> {
    partition.split(',').map(|member| match member.split_once('*') {
        Some((path, rows)) => (path, rows.parse().ok()),
        None => (member, None),
    })
}

/// Whether what a manifest says of a file of several partitions holds together: each has its rows, which are those of
/// the file.
pub(crate) fn is_sound(partition: &str, rows: Option<u64>) -> bool {
    let sum = members(partition).try_fold(0u64, |sum, (_, rows)| sum.checked_add(rows?));
    sum.is_some() && sum == rows
}

/// Partitions, by their paths, for people.
pub(crate) fn label<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let mut paths = paths.into_iter();
    let first = paths.next().unwrap_or_default();
    match paths.count() {
        0 => first.to_owned(),
        others => format!("{first} and {others} more"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::partition;
    use super::*;

    #[test]
    fn bundle_of_a_partition_never_changes() {
        let bundles =
            ["day=2026-01-01", "day=2026-01-02", "k=__HIVE_DEFAULT_PARTITION__"].map(|path| bundle_of(path, 128));
        assert_eq!(bundles, [103, 52, 112]);
    }

    #[test]
    fn label_names_the_first_partition_and_counts_the_others() {
        assert_eq!(label(["k=1", "k=2", "k=3"]), "k=1 and 2 more");
        assert_eq!(label(["k=1"]), "k=1");
        assert_eq!(label([]), "");
    }

    #[test]
    fn text_that_does_not_add_up_is_not_sound() {
        assert!(is_sound("k=1*5,k=2*3", Some(8)));
        let others = ["k=1*5,k=2*4", "k=1*5,k=2", "k=1*x,k=2*8", "k=1*18446744073709551615,k=2*9", "*", "k=1*8,"];
        others.into_iter().for_each(|text| assert!(!is_sound(text, Some(8)), "{text}"));
        assert!(!is_sound("k=1*8", None));
    }

    proptest! {
        /// Whatever partitions are called, the text gives them back.
        #[test]
        fn members_come_back(values in prop::collection::vec((".*", any::<u64>()), 1..5)) {
            let paths: Vec<(String, u64)> =
                values.into_iter().map(|(value, rows)| (partition::segment("k", Some(&value)), rows)).collect();
            let text = text(paths.iter().map(|(path, rows)| (path.as_str(), *rows)));
            let back: Vec<_> = members(&text).map(|(path, rows)| (path.to_owned(), rows.unwrap())).collect();
            prop_assert_eq!(back, paths);
            prop_assert!(is_bundle(&text));
        }

        /// A single partition is no bundle, whatever it is called.
        #[test]
        fn one_path_is_no_bundle(value in ".*") {
            let path = partition::segment("k", Some(&value));
            prop_assert!(!is_bundle(&path));
            prop_assert_eq!(members(&path).collect::<Vec<_>>(), [(path.as_str(), None)]);
        }
    }
}
