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
//! In a bundle's files partition columns are next to the others; rows are sorted by them first. Its manifest has the
//! paths of such a file's partitions and their rows ([`super::file_partition`]).

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
}
