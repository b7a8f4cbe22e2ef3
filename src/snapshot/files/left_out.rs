//! The files below a LOCATION that are not read, and why: counted, with a few names, however many they are. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names that are kept for one reason: the first by name, whatever the order of the listing.
const EXAMPLES: usize = 5;

/// Why a file is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// A mark that something else wrote: `_SUCCESS`, the marks of folders in a bucket.
    Mark,
    /// The name of the file or of a folder begins with `_` or `.`.
    Hidden,
    /// So it does, and the ending is that of data of the table.
    HiddenData,
    /// No bytes.
    Empty,
    /// OPTIONS ('exclude' ...).
    Excluded,
    /// A README, a picture, a web page.
    Document,
    /// A checksum or signature.
    Checksum,
    /// A program, a schema, settings.
    Code,
    /// Something that an operating system leaves in folders.
    System,
    /// A list of files, or metadata of an export.
    Manifest,
    /// Data, but not in the format of the table.
    OtherFormat,
    /// A file that is read already, under another name.
    OtherName,
}

impl LeftOutReason {
    /// What files with this reason are, in words that follow their number.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Mark => "a mark",
            Self::Hidden => "hidden: its name or that of a folder begins with '_' or '.'",
            Self::HiddenData => "data, but hidden: its name or that of a folder begins with '_' or '.'",
            Self::Empty => "an empty file",
            Self::Excluded => "excluded",
            Self::Document => "a document",
            Self::Checksum => "a checksum or signature",
            Self::Code => "code or settings",
            Self::System => "a file of the operating system",
            Self::Manifest => "a manifest or metadata",
            Self::OtherFormat => "of another format",
            Self::OtherName => "another name of a file that is read",
        }
    }

    /// Whether it is reported without being asked for; what every export has is not.
    #[must_use]
    pub fn is_reported(self) -> bool {
        !matches!(self, Self::Mark | Self::Hidden | Self::Excluded)
    }
}

impl LeftOutReason {
    /// Whether such a file may have rows of the snapshot, and nobody said that it is to be left out.
    #[must_use]
    pub fn may_have_rows(self) -> bool {
        matches!(self, Self::HiddenData | Self::OtherFormat)
    }
}

/// Files that are not read, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Why they are left out.
    pub reason: LeftOutReason,
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Some of them: store URL and key.
    pub examples: Vec<String>,
    /// The name by which the first of them is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<String>,
}

impl LeftOut {
    /// `3 files are documents`, with a name: `a document: 3 files, such as README.md`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let name = |uri: &String| uri.rsplit('/').next().unwrap_or_default().to_owned();
        let example = self.examples.first().map(name).unwrap_or_default();
        let words = self.reason.words();
        let read_as = self.read_as.as_ref().map(|uri| uri.trim_start_matches("file://"));
        match (self.files, read_as) {
            (1, None) => format!("1 file ({example}): {words}"),
            (1, Some(read_as)) => format!("1 file ({example}): another name of {read_as}"),
            (files, None) => format!("{files} files ({example}, ...): {words}"),
            (files, Some(read_as)) => {
                format!("{files} files ({example}, ...): other names of files that are read, such as {read_as}")
            }
        }
    }
}

/// Counts files by reason.
#[derive(Debug, Default)]
pub(crate) struct LeftOutTally(BTreeMap<LeftOutReason, LeftOutCount>);

#[derive(Debug, Default)]
struct LeftOutCount {
    files: u64,
    bytes: u64,
    /// With the name that is read, if that is another one.
    examples: BTreeMap<String, Option<String>>,
}

impl LeftOutTally {
    pub(crate) fn add(&mut self, reason: LeftOutReason, uri: &str, bytes: u64) {
        self.count(reason, uri, bytes, None);
    }

    /// A file that is read under another name.
    pub(crate) fn add_other_name(&mut self, uri: &str, bytes: u64, read_as: &str) {
        self.count(LeftOutReason::OtherName, uri, bytes, Some(read_as));
    }

    fn count(&mut self, reason: LeftOutReason, uri: &str, bytes: u64, read_as: Option<&str>) {
        let counted = self.0.entry(reason).or_default();
        counted.files += 1;
        counted.bytes += bytes;
        let is_early = counted.examples.last_key_value().is_none_or(|(last, _)| uri < last.as_str());
        if counted.examples.len() < EXAMPLES || is_early {
            counted.examples.insert(uri.to_owned(), read_as.map(str::to_owned));
        }
        if counted.examples.len() > EXAMPLES {
            counted.examples.pop_last();
        }
    }

    /// An empty file turned out to be the mark of a folder.
    pub(crate) fn is_mark_after_all(&mut self, uri: &str) {
        if let Some(empty) = self.0.get_mut(&LeftOutReason::Empty) {
            empty.files = empty.files.saturating_sub(1);
            empty.examples.remove(uri);
            if empty.files == 0 {
                self.0.remove(&LeftOutReason::Empty);
            }
        }
        self.add(LeftOutReason::Mark, uri, 0);
    }

    pub(crate) fn finish(self) -> Vec<LeftOut> {
        let reported = |(reason, LeftOutCount { files, bytes, examples }): (_, LeftOutCount)| LeftOut {
            reason,
            files,
            bytes,
            read_as: examples.values().next().cloned().flatten(),
            examples: examples.into_keys().collect(),
        };
        self.0.into_iter().map(reported).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_million_files_are_a_count_and_a_few_names() {
        let mut tally = LeftOutTally::default();
        for number in (0..1_000_000).rev() {
            tally.add(LeftOutReason::Document, &format!("s3://b/{number:07}.md"), 2);
        }
        let found = tally.finish();
        assert_eq!((found.len(), found[0].files, found[0].bytes), (1, 1_000_000, 2_000_000));
        assert_eq!(found[0].examples.len(), EXAMPLES);
        assert_eq!(found[0].sentence(), "1000000 files (0000000.md, ...): a document");
    }

    #[test]
    fn other_names_are_reported_with_the_one_that_is_read() {
        let mut tally = LeftOutTally::default();
        tally.add_other_name("file:///in/b.csv", 2, "file:///in/a.csv");
        let reported = |tally: LeftOutTally| tally.finish()[0].sentence();
        assert_eq!(reported(tally), "1 file (b.csv): another name of /in/a.csv");
        let mut tally = LeftOutTally::default();
        tally.add_other_name("file:///in/b.csv", 2, "file:///in/a.csv");
        tally.add_other_name("file:///in/0.csv", 2, "file:///in/c.csv");
        assert_eq!(reported(tally), "2 files (0.csv, ...): other names of files that are read, such as /in/c.csv");
    }

    proptest! {
        /// The result does not depend on the order of the listing.
        #[test]
        fn the_order_of_a_listing_does_not_matter(
            (files, shuffled) in prop::collection::btree_set("[a-z]{1,3}", 0..20)
                .prop_map(|files| files.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|files| (Just(files.clone()), Just(files).prop_shuffle()))
        ) {
            let all = |files: &[String]| {
                let mut tally = LeftOutTally::default();
                for file in files {
                    let reason = if file.len() == 1 { LeftOutReason::Empty } else { LeftOutReason::Code };
                    tally.add(reason, file, 1);
                }
                tally.finish()
            };
            prop_assert_eq!(all(&files), all(&shuffled));
        }
    }
}
