//! When to start the next file, or row group: pure arithmetic.
//!
//! The rows of a partition are known before its first byte is written, so the bytes still to come can be predicted from
//! the bytes per row so far, and the rest can be dealt out evenly:
//!
//! ```text
//! target 100, written 70 with 70 rows, 160 rows left:  whole = 230 = 2 files of 115  -> go on to 115
//! target 100, written 70 with 70 rows,  60 rows left:  whole = 130 = 1 file  of 130  -> never roll
//! ```
//!
//! With exact predictions every file has 75 % to 150 % of the target, the last one too, unless the partition is
//! smaller. Row groups end where that leaves enough for another one: a file has one, or all of its row groups are
//! large.

/// Row groups of lake files: what readers skip and decode at once.
const ROW_GROUP_BYTES: u64 = 64_000_000;

/// Decides where files end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RollRule {
    /// Wanted bytes per file.
    pub(crate) target_bytes: u64,
    /// No file is cut below this many bytes.
    pub(crate) min_bytes: u64,
    /// A file that reaches this many bytes is cut even if little is left.
    pub(crate) max_bytes: u64,
}

impl RollRule {
    /// Whether the open file of `bytes` and `rows` is to be finished, with `rows_left` (if known) still to come.
    pub(crate) fn is_full(&self, bytes: u64, rows: u64, rows_left: Option<u64>) -> bool {
        if bytes < self.min_bytes || rows == 0 || rows_left == Some(0) {
            return false;
        }
        let Some(rows_left) = rows_left else { return bytes >= self.target_bytes };
        let (files, each) = self.deal(bytes, rows, rows_left);
        bytes >= each.clamp(self.min_bytes, self.max_bytes) && (files > 1 || bytes >= self.max_bytes)
    }

    /// Whether the row group of `group_bytes` at the end of that file is to be finished.
    pub(crate) fn ends_row_group(&self, group_bytes: u64, bytes: u64, rows: u64, rows_left: Option<u64>) -> bool {
        if group_bytes < ROW_GROUP_BYTES {
            return false;
        }
        let file_bytes = rows_left.map_or(self.target_bytes, |left| self.deal(bytes, rows, left).1).min(self.max_bytes);
        file_bytes.saturating_sub(bytes) >= ROW_GROUP_BYTES
    }

    /// How many files the rest makes, the open one with it, and the bytes of each.
    fn deal(&self, bytes: u64, rows: u64, rows_left: u64) -> (u64, u64) {
        let rest = u128::from(bytes) * u128::from(rows_left) / u128::from(rows.max(1));
        let whole = u128::from(bytes) + rest;
        let target = u128::from(self.target_bytes.max(1));
        let files = ((whole + target / 2) / target).max(1);
        (u64::try_from(files).unwrap_or(u64::MAX), u64::try_from(whole / files).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: RollRule = RollRule { target_bytes: 100, min_bytes: 75, max_bytes: 180 };

    #[test]
    fn examples_of_the_drawing() {
        assert!(!RULE.is_full(70, 70, Some(160)));
        assert!(!RULE.is_full(114, 114, Some(116)));
        assert!(RULE.is_full(115, 115, Some(115)));
        assert!(!RULE.is_full(129, 129, Some(1)));
    }

    #[test]
    fn unknown_rest_is_cut_at_the_target() {
        assert!(RULE.is_full(100, 1, None));
        assert!(!RULE.is_full(99, 1, None));
    }

    /// MB of the row groups of a partition of so many rows of a MB each, file by file.
    fn row_groups(rule: RollRule, rows: u64) -> Vec<Vec<u64>> {
        const MB: u64 = 1_000_000;
        let (mut files, mut file, mut group) = (Vec::new(), Vec::new(), 0);
        for row in 1..=rows {
            group += 1;
            let in_file = group + file.iter().sum::<u64>();
            let left = Some(rows - row);
            if rule.is_full(in_file * MB, in_file, left) || left == Some(0) {
                file.push(std::mem::take(&mut group));
                files.push(std::mem::take(&mut file));
            } else if rule.ends_row_group(group * MB, in_file * MB, in_file, left) {
                file.push(std::mem::take(&mut group));
            }
        }
        files
    }

    #[test]
    fn row_group_ends_only_where_another_large_one_follows() {
        let rule =
            |mb: u64| RollRule { target_bytes: mb * 1_000_000, min_bytes: mb * 750_000, max_bytes: mb * 1_800_000 };
        assert_eq!(row_groups(rule(128), 127), [[127]]);
        assert_eq!(row_groups(rule(128), 128), [[64, 64]]);
        assert_eq!(row_groups(rule(128), 143), [[64, 79]]);
        assert_eq!(row_groups(rule(128), 256), [[64, 64], [64, 64]]);
        assert_eq!(row_groups(rule(1000), 200), [[64, 64, 72]]);
        assert_eq!(row_groups(rule(4), 9), [[5], [4]]);
    }

    proptest! {
        /// With rows of one size, every file of a partition of at least 75 % of the target has 75 % to 180 % of it, up
        /// to the one row at which a file is cut.
        #[test]
        fn files_of_equal_rows_stay_in_the_band(row_bytes in 1u64..4, rows in 1u64..3000) {
            let (mut files, mut in_file) = (Vec::new(), 0u64);
            for row in 1..=rows {
                in_file += 1;
                if RULE.is_full(in_file * row_bytes, in_file, Some(rows - row)) {
                    files.push(in_file * row_bytes);
                    in_file = 0;
                }
            }
            if in_file > 0 { files.push(in_file * row_bytes); }
            prop_assert_eq!(files.iter().sum::<u64>(), rows * row_bytes);
            if rows * row_bytes >= 75 {
                prop_assert!(files.iter().all(|size| (76 - row_bytes..=180).contains(size)), "{:?}", files);
            } else {
                prop_assert_eq!(files.len(), 1);
            }
        }
    }
}
