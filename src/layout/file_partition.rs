//! The partitions that the rows of one file belong to, in memory and as a manifest stores them.
//!
//! ```text
//! manifest, column partition                       FilePartition
//! NULL                                             None           a snapshot file
//! day=2026-01-01                                   One(path)      empty for an unpartitioned table
//! day=2026-01-01*857,day=2026-01-07*12             Many(rows)     a file of a bundle, see `super::bundle`
//! ```
//!
//! Neither `*` nor `,` occurs in a Hive path ([`super::partition::encode`]), so the text has one meaning. A text of
//! several partitions in which one has no number of rows is an error.

use std::fmt::Write;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The partitions of a file's rows. Texts are shared: a clone costs no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FilePartition {
    /// A snapshot file: it has no partition.
    #[default]
    None,
    /// All rows are in one partition: its Hive path `k1=v1/k2=v2`, empty for an unpartitioned table.
    One(Arc<str>),
    /// The rows are in several small partitions.
    Many(ManyPartitions),
}

/// Several partitions and the rows of each. It stays one text: a list of a million files fits into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManyPartitions(Arc<str>);

/// A text names several partitions, but not the rows of each.
#[derive(Debug, thiserror::Error)]
#[error("'{text}' does not have a number of rows for each partition")]
pub struct BadPartition {
    text: String,
}

impl FilePartition {
    /// The partition with this Hive path.
    #[must_use]
    pub fn one(path: &str) -> Self {
        Self::One(path.into())
    }

    /// These partitions, each a Hive path and its rows.
    #[must_use]
    pub fn many<'a>(partitions: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut text = String::new();
        for (path, rows) in partitions {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a text cannot fail.
            let _ = write!(text, "{comma}{path}*{rows}");
        }
        Self::Many(ManyPartitions(text.into()))
    }

    /// Reads the form of a manifest.
    ///
    /// # Errors
    /// When a text of several partitions does not have the rows of each.
    pub fn parse(text: Option<&str>) -> Result<Self, BadPartition> {
        let Some(text) = text else { return Ok(Self::None) };
        if !text.contains('*') {
            return Ok(Self::one(text));
        }
        let is_whole = text.split(',').all(|member| parse_member(member).is_some());
        if is_whole { Ok(Self::Many(ManyPartitions(text.into()))) } else { Err(BadPartition { text: text.to_owned() }) }
    }

    /// The form of a manifest.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::One(path) => Some(path),
            Self::Many(ManyPartitions(text)) => Some(text),
        }
    }

    /// The Hive path, if all rows are in one partition.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        if let Self::One(path) = self { Some(path) } else { None }
    }

    /// Whether it is a snapshot file.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether the rows are in several partitions.
    #[must_use]
    pub fn is_many(&self) -> bool {
        matches!(self, Self::Many(_))
    }

    /// The Hive path of each partition, with its rows where the file has several. A snapshot file has one empty path.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        self.text().unwrap_or_default().split(',').map(|member| match parse_member(member) {
            Some((path, rows)) => (path, Some(rows)),
            None => (member, None),
        })
    }
}

impl ManyPartitions {
    /// The rows of all partitions; `None` if they are more than a number holds.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.0.split(',').try_fold(0u64, |sum, member| sum.checked_add(parse_member(member)?.1))
    }
}

/// A partition of several: `path*rows`.
fn parse_member(text: &str) -> Option<(&str, u64)> {
    let (path, rows) = text.split_once('*')?;
    Some((path, rows.parse().ok()?))
}

impl Serialize for FilePartition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(to)
    }
}

impl<'de> Deserialize<'de> for FilePartition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        Self::parse(text.as_deref()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::partition;
    use super::*;

    fn total(text: &str) -> Option<u64> {
        match FilePartition::parse(Some(text)).ok()? {
            FilePartition::Many(rows) => rows.total(),
            _ => None,
        }
    }

    #[test]
    fn total_is_the_sum_of_the_rows_of_each_partition() {
        assert_eq!(total("k=1*5,k=2*3"), Some(8));
        assert_eq!(total("k=1*18446744073709551615,k=2*9"), None);
    }

    #[test]
    fn partition_without_its_rows_among_several_is_an_error() {
        for text in ["k=1*5,k=2", "k=1*x,k=2*8", "*", "k=1*8,", "k=1*-1"] {
            assert!(FilePartition::parse(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn json_form_is_the_text_of_the_manifest() {
        let all = [FilePartition::None, FilePartition::one("k=1"), FilePartition::many([("k=1", 5), ("k=2", 3)])];
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, r#"[null,"k=1","k=1*5,k=2*3"]"#);
        assert_eq!(serde_json::from_str::<[FilePartition; 3]>(&text).unwrap(), all);
        assert!(serde_json::from_str::<FilePartition>(r#""k=1*x""#).is_err());
    }

    proptest! {
        /// Whatever partitions are called, the text gives them back.
        #[test]
        fn several_partitions_come_back(values in prop::collection::vec((".*", any::<u64>()), 1..5)) {
            let paths: Vec<(String, u64)> =
                values.into_iter().map(|(value, rows)| (partition::segment("k", Some(&value)), rows)).collect();
            let file = FilePartition::many(paths.iter().map(|(path, rows)| (path.as_str(), *rows)));
            let back = FilePartition::parse(file.text()).unwrap();
            prop_assert!(back.is_many());
            let back: Vec<_> = back.members().map(|(path, rows)| (path.to_owned(), rows.unwrap())).collect();
            prop_assert_eq!(back, paths);
        }

        /// A single partition stays one, whatever it is called.
        #[test]
        fn one_partition_comes_back(value in ".*") {
            let file = FilePartition::one(&partition::segment("k", Some(&value)));
            let back = FilePartition::parse(file.text()).unwrap();
            prop_assert_eq!(back.members().collect::<Vec<_>>(), [(file.path().unwrap(), None)]);
            prop_assert_eq!(back, file);
        }
    }
}
