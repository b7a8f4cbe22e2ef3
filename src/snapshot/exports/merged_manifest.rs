//! The manifest of a merge: which exports became which files, and where every record of them went.
//!
//! It is written last and only if there is none: it IS the merge. Files of a try that no manifest names are garbage.
//! [`MergedManifest::check`] holds its arithmetic: no item and no change goes without a trace. Versioned: another
//! version is refused, as are unknown keys.

use serde::{Deserialize, Serialize};

/// The version that this module writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The exports of one table as one set of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergedManifest {
    /// Of this form.
    pub(crate) version: u32,
    /// The table, as the exports name it.
    pub(crate) table: String,
    /// When the table was so: the end of the last incremental export.
    pub(crate) time: String,
    /// What was merged, the full export first.
    pub(crate) sources: Vec<MergedSource>,
    /// Where the records went.
    pub(crate) counts: MergedCounts,
    /// The folder of the files, beside the manifest.
    pub(crate) folder: String,
    /// The items of the table, as lines of a full export.
    pub(crate) files: Vec<MergedFile>,
}

/// One export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergedSource {
    /// Its LOCATION.
    pub(crate) location: String,
    /// Where its stretch of time begins; `None`: it is the full one.
    pub(crate) from: Option<String>,
    /// The end of it, or the time of the full one.
    pub(crate) to: String,
    /// MD5 of its list of files, in base64.
    pub(crate) md5: String,
    /// Its items or changes, as its manifest counts them and as they were read.
    pub(crate) records: u64,
}

/// Where records went. Each change is in one of the counts after `changes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergedCounts {
    /// Items of the full export.
    pub(crate) items: u64,
    /// Changes of all incremental exports.
    pub(crate) changes: u64,
    /// Changes that a later one of the same key undid, or that are there twice.
    pub(crate) superseded: u64,
    /// Last changes from before the full export, which has them.
    pub(crate) known: u64,
    /// Items that a put replaced.
    pub(crate) replaced: u64,
    /// Items that a put added.
    pub(crate) added: u64,
    /// Items of the full export that were deleted.
    pub(crate) deleted: u64,
    /// Deletes of items that the full export does not have.
    pub(crate) deleted_before: u64,
    /// Items of the table.
    pub(crate) rows: u64,
}

impl MergedCounts {
    /// Adds those of a part of the keys.
    pub(crate) fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.changes += other.changes;
        self.superseded += other.superseded;
        self.known += other.known;
        self.replaced += other.replaced;
        self.added += other.added;
        self.deleted += other.deleted;
        self.deleted_before += other.deleted_before;
        self.rows += other.rows;
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergedFile {
    /// Below the folder.
    pub(crate) name: String,
    /// Of the file.
    pub(crate) size: u64,
    /// In it.
    pub(crate) rows: u64,
    /// Of the file, in hexadecimal digits.
    pub(crate) md5: String,
    /// As the store says it, without quotes.
    pub(crate) etag: Option<String>,
}

impl MergedManifest {
    /// That every record has gone somewhere.
    ///
    /// # Errors
    /// The sum that is wrong, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let counts = &self.counts;
        let (full, incremental): (Vec<_>, Vec<_>) = self.sources.iter().partition(|source| source.from.is_none());
        let records = |of: &[&MergedSource]| sum(of.iter().map(|source| source.records));
        let MergedCounts { superseded, known, replaced, added, deleted, deleted_before, .. } = *counts;
        let went = sum([superseded, known, replaced, added, deleted, deleted_before]);
        let left = sum([counts.items, added]).and_then(|rows| rows.checked_sub(deleted));
        let equations = [
            ("items of the full export", records(&full), counts.items),
            ("changes of the incremental exports", records(&incremental), counts.changes),
            ("changes that went somewhere", went, counts.changes),
            ("items, less those deleted, and those added", left, counts.rows),
            ("rows of the files", sum(self.files.iter().map(|file| file.rows)), counts.rows),
        ];
        let wrong = equations.into_iter().find(|(_, found, stated)| *found != Some(*stated));
        let Some((what, found, stated)) = wrong else { return Ok(()) };
        let found = found.map_or_else(|| "no number".to_owned(), |found| found.to_string());
        Err(format!("{what}: {found}, but {stated} are counted"))
    }
}

fn sum(numbers: impl IntoIterator<Item = u64>) -> Option<u64> {
    numbers.into_iter().try_fold(0_u64, u64::checked_add)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Five items; six changes, of which one item was replaced, one deleted, one added.
    pub(crate) fn manifest() -> MergedManifest {
        let source = |location: &str, from: Option<&str>, records| MergedSource {
            location: location.to_owned(),
            from: from.map(str::to_owned),
            to: "2026-01-01T00:00:00.000Z".to_owned(),
            md5: "x".to_owned(),
            records,
        };
        MergedManifest {
            version: VERSION,
            table: "users".to_owned(),
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            sources: vec![source("/a", None, 5), source("/b", Some("2025-01-01T00:00:00.000Z"), 6)],
            counts: MergedCounts {
                items: 5,
                changes: 6,
                superseded: 1,
                known: 1,
                replaced: 1,
                added: 1,
                deleted: 1,
                deleted_before: 1,
                rows: 5,
            },
            folder: "try-1".to_owned(),
            files: vec![MergedFile {
                name: "a".to_owned(),
                size: 1,
                rows: 5,
                md5: "19e66074914254bf29855712bb37a600".to_owned(),
                etag: None,
            }],
        }
    }

    #[test]
    fn every_record_that_goes_without_a_trace_is_seen() {
        assert_eq!(manifest().check(), Ok(()));
        let changes: [fn(&mut MergedManifest); 7] = [
            |of| of.counts.items += 1,
            |of| of.counts.changes += 1,
            |of| of.counts.superseded -= 1,
            |of| of.counts.added += 1,
            |of| of.counts.rows -= 1,
            |of| of.files[0].rows += 1,
            |of| of.sources[1].records -= 1,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut wrong = manifest();
            change(&mut wrong);
            assert!(wrong.check().is_err(), "{number}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_and_known_ones_come_back() {
        let text = serde_json::to_string(&manifest()).unwrap();
        assert_eq!(serde_json::from_str::<MergedManifest>(&text).unwrap(), manifest());
        assert!(serde_json::from_str::<MergedManifest>(&text.replace("\"known\"", "\"other\"")).is_err());
    }
}
