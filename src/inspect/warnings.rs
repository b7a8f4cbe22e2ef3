//! What about a plan will cost time or trouble, and what to do about it: pure, from numbers that planning has anyway.
//!
//! | code | when |
//! | --- | --- |
//! | `tiny_files` | more than 1,000 snapshot files, of less than 1 MiB on average |
//! | `file_exceeds_group` | a snapshot file is larger than `file_group_size` |
//! | `one_task` | `file_group_size = 'all'` over more than 1 GB |
//! | `small_partitions` | more than 100 partitions, of less than 1 MiB of staging files on average |
//! | `too_many_partitions` | more than 10,000 partitions |
//! | `skewed_partitions` | one partition is ten times the median, and larger than the target size of a file |
//! | `nanoseconds` | columns have nanoseconds without TIMESTAMP(9) in the config |
//!
//! Those about the files of a snapshot table are in `covered`.
//!
//! Codes are stable. Partitions are known once stage tasks are done: until all are, only those that were seen count.

use std::borrow::Cow;

use indicatif::{HumanBytes, HumanCount};

use super::views::{GroupView, PartitionsView};
use crate::config::GroupSize;
use crate::pipeline::Warning;

const MIB: u64 = 1 << 20;

/// Opening so many files takes longer than reading them when they are small.
const MANY_FILES: u64 = 1_000;

/// A SELECT over more than this is worth the cores that one task leaves idle.
const LARGE_TASK: u64 = 1_000_000_000;

/// Fewer small partitions do not hurt a reader.
const SOME_PARTITIONS: u64 = 100;

/// Above this, catalogs and readers of a lake become slow by the number of partitions alone.
const MANY_PARTITIONS: u64 = 10_000;

/// How often the median the largest partition may have.
const SKEW: u64 = 10;

/// What warnings are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(super) groups: &'a [GroupView],
    pub(super) group_size: GroupSize,
    pub(super) target_file_size: u64,
    pub(super) partitions: Option<&'a PartitionsView>,
    /// Columns with nanoseconds that come from snapshot files.
    pub(super) nanoseconds: &'a [String],
}

/// All that apply, in the order of the table above.
pub(crate) fn warnings(facts: Facts<'_>) -> Vec<Warning> {
    let lake = facts.partitions.map_or_else(Vec::new, |partitions| lake(partitions, facts.target_file_size));
    [snapshot(facts), lake, types(facts)].concat()
}

/// Types that some readers lack.
fn types(facts: Facts<'_>) -> Vec<Warning> {
    if facts.nanoseconds.is_empty() {
        return Vec::new();
    }
    vec![Warning {
        code: "nanoseconds",
        problem: format!("nanoseconds in {}: Spark and Athena cannot read them", facts.nanoseconds.join(", ")),
        advice: Cow::Borrowed(
            "write CAST(t AS TIMESTAMP(6)) in the SELECT to cut them to microseconds, or CAST(t AS TIMESTAMP(9)) to \
             keep them",
        ),
    }]
}

fn snapshot(facts: Facts<'_>) -> Vec<Warning> {
    let files: u64 = facts.groups.iter().map(|group| group.files as u64).sum();
    let bytes: u64 = facts.groups.iter().map(|group| group.bytes).sum();
    let mut found = Vec::new();
    if files > MANY_FILES && bytes / files < MIB {
        found.push(Warning {
            code: "tiny_files",
            problem: format!("{} snapshot files have {} on average", HumanCount(files), HumanBytes(bytes / files)),
            advice: "export fewer, larger files: opening a small file takes longer than reading it".into(),
        });
    }
    match facts.group_size {
        GroupSize::All if bytes > LARGE_TASK => found.push(Warning {
            code: "one_task",
            problem: format!("one task reads all {}, because of file_group_size = 'all'", HumanBytes(bytes)),
            advice: "write a row-wise SELECT and remove file_group_size, so that several tasks share the work".into(),
        }),
        GroupSize::Bytes(limit) => {
            // Only a file that is alone in its group can be larger than it.
            let large = || facts.groups.iter().filter(|group| group.files == 1 && group.bytes > limit);
            if let Some(largest) = large().map(|group| group.bytes).max() {
                let count = large().count();
                let (files, have) = if count == 1 { ("file", "is") } else { ("files", "are") };
                let (limit, largest) = (HumanBytes(limit), HumanBytes(largest));
                found.push(Warning {
                    code: "file_exceeds_group",
                    problem: format!(
                        "{count} snapshot {files} {have} larger than file_group_size ({limit}), up to {largest}"
                    ),
                    advice:
                        "export smaller files, or raise file_group_size: one task reads a whole file and takes longer \
                             than the others"
                            .into(),
                });
            }
        }
        GroupSize::All => {}
    }
    found
}

fn lake(partitions: &PartitionsView, target_file_size: u64) -> Vec<Warning> {
    let PartitionsView { count, bytes, median_bytes, largest, .. } = partitions;
    let mut found = Vec::new();
    let average = bytes / (*count).max(1);
    if *count > SOME_PARTITIONS && average < MIB {
        found.push(Warning {
            code: "small_partitions",
            problem: format!("{} partitions have {} on average", HumanCount(*count), HumanBytes(average)),
            advice:
                "partition by fewer columns or coarser values, such as month instead of day: each partition has at \
                     least one file"
                    .into(),
        });
    }
    if *count > MANY_PARTITIONS {
        found.push(Warning {
            code: "too_many_partitions",
            problem: format!("{} partitions", HumanCount(*count)),
            advice: "partition by fewer columns or coarser values, and move the rest to sorted_by: readers skip row \
                     groups by statistics"
                .into(),
        });
    }
    if largest.bytes > SKEW * (*median_bytes).max(1) && largest.bytes > target_file_size {
        found.push(Warning {
            code: "skewed_partitions",
            problem: format!(
                "partition {} has {}, but the median partition has {}",
                largest.partition,
                HumanBytes(largest.bytes),
                HumanBytes(*median_bytes)
            ),
            advice: "add a partition column that divides it, or choose another one: a single task merges it after the \
                     others have ended"
                .into(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::PartitionView;
    use super::*;

    fn group(files: usize, bytes: u64) -> GroupView {
        GroupView { number: 1, files, bytes, done: false }
    }

    fn codes(groups: &[GroupView], group_size: GroupSize, partitions: Option<&PartitionsView>) -> Vec<&'static str> {
        let facts = Facts { groups, group_size, target_file_size: 128 * MIB, partitions, nanoseconds: &[] };
        warnings(facts).iter().map(|warning| warning.code).collect()
    }

    fn partitions(sizes: &[u64]) -> PartitionsView {
        let sizes = sizes.iter().enumerate();
        let all = sizes.map(|(n, &bytes)| PartitionView { partition: format!("k={n}"), files: 1, rows: 1, bytes });
        PartitionsView::of(all.collect(), true).unwrap()
    }

    #[test]
    fn each_warning_comes_above_its_limit_and_not_at_it() {
        let limit = GroupSize::Bytes(96_000_000);
        assert_eq!(codes(&[group(999, 1000), group(1, 96_000_000)], limit, None), [""; 0]);
        assert_eq!(codes(&[group(1001, 1001 * 1000)], limit, None), ["tiny_files"]);
        assert_eq!(codes(&[group(1001, 1001 * MIB)], limit, None), [""; 0]);
        assert_eq!(codes(&[group(1, 96_000_001)], limit, None), ["file_exceeds_group"]);
        assert_eq!(codes(&[group(2, 1_000_000_001)], GroupSize::All, None), ["one_task"]);
        assert_eq!(codes(&[group(2, 1_000_000_000)], GroupSize::All, None), [""; 0]);
        let of = |sizes: &[u64]| codes(&[], limit, Some(&partitions(sizes)));
        assert_eq!(of(&[1000; 100]), [""; 0]);
        assert_eq!(of(&[1000; 101]), ["small_partitions"]);
        assert_eq!(of(&[MIB; 10_000]), [""; 0]);
        assert_eq!(of(&[MIB; 10_001]), ["too_many_partitions"]);
        assert_eq!(of(&[13 * MIB, 13 * MIB, 130 * MIB]), [""; 0]);
        assert_eq!(of(&[12 * MIB, 13 * MIB, 131 * MIB]), ["skewed_partitions"]);
        assert_eq!(of(&[MIB, MIB, 100 * MIB]), [""; 0], "one file holds it");
    }

    #[test]
    fn warnings_say_what_to_do() {
        let facts = Facts {
            groups: &[group(2000, 4_000_000), group(1, 200_000_000), group(1, 100_000_000)],
            group_size: GroupSize::Bytes(96_000_000),
            target_file_size: MIB,
            partitions: Some(&partitions(&[MIB, MIB, MIB, 40 * MIB])),
            nanoseconds: &["t".to_owned(), "u".to_owned()],
        };
        let reported = warnings(facts)
            .iter()
            .map(|warning| format!("{}; {}\n", warning.problem, warning.advice))
            .collect::<String>();
        insta::assert_snapshot!(reported, @"
        2,002 snapshot files have 148.29 KiB on average; export fewer, larger files: opening a small file takes longer than reading it
        2 snapshot files are larger than file_group_size (91.55 MiB), up to 190.73 MiB; export smaller files, or raise file_group_size: one task reads a whole file and takes longer than the others
        partition k=3 has 40.00 MiB, but the median partition has 1.00 MiB; add a partition column that divides it, or choose another one: a single task merges it after the others have ended
        nanoseconds in t, u: Spark and Athena cannot read them; write CAST(t AS TIMESTAMP(6)) in the SELECT to cut them to microseconds, or CAST(t AS TIMESTAMP(9)) to keep them
        ");
    }
}
