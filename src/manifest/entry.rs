//! One file of a manifest, in a form of which a million fit into memory.

use std::sync::Arc;

use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use twox_hash::XxHash64;

use crate::layout::FilePartition;

/// One file of a manifest. Its texts are shared: a clone costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Store URL and raw key.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub uri: Arc<str>,
    /// ETag without quotes; `xxh64-...` where the store has none that follows the content.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub etag: Arc<str>,
    /// Bytes as stored.
    pub size: u64,
    /// Rows, where they are known without decoding the file.
    pub n_record: Option<u64>,
    /// The partitions of its rows.
    #[serde(default, skip_serializing_if = "FilePartition::is_none")]
    pub partition: FilePartition,
}

/// What of a file is of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilePart<'a> {
    /// Hive path.
    pub(crate) partition: &'a str,
    pub(crate) rows: u64,
    /// Where a file has several parts, in proportion to the rows.
    pub(crate) bytes: u64,
}

impl FileEntry {
    /// Whether the rows of its partitions, if it has several, are its rows.
    pub(crate) fn has_sound_parts(&self) -> bool {
        let FilePartition::Many(rows) = &self.partition else { return true };
        let total = rows.total();
        total.is_some() && total == self.n_record
    }

    /// The partitions that it has rows of.
    pub(crate) fn parts(&self) -> impl Iterator<Item = FilePart<'_>> {
        let all = self.n_record.unwrap_or(0);
        self.partition.members().map(move |(partition, rows)| match rows {
            None => FilePart { partition, rows: all, bytes: self.size },
            Some(rows) => {
                let bytes = u128::from(self.size) * u128::from(rows) / u128::from(all.max(1));
                FilePart { partition, rows, bytes: u64::try_from(bytes).unwrap_or(self.size) }
            }
        })
    }
}

/// MD5 over uri then etag of `files`, which must be sorted by uri.
#[must_use]
pub fn fingerprint(files: &[FileEntry]) -> String {
    let mut hash = Md5::new();
    for file in files {
        hash.update(file.uri.as_bytes());
        hash.update(file.etag.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Prefix of a content hash. It replaces the etag if the store's etag does not depend on the content.
pub(crate) const CONTENT_TAG: &str = "xxh64-";

/// Hash of bytes in the form of an etag.
pub(crate) fn content_tag(bytes: &[u8]) -> String {
    format!("{CONTENT_TAG}{:016x}", XxHash64::oneshot(0, bytes))
}

/// An etag as manifests have it: without quotes, and without the mark of a weak one.
pub(crate) fn bare_etag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

fn write_text<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn read_text<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(from).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_form_is_plain_text_and_round_trips() {
        let mut file = FileEntry {
            uri: "s3://b/f".into(),
            etag: "e".into(),
            size: 1,
            n_record: None,
            partition: FilePartition::None,
        };
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(text, r#"{"uri":"s3://b/f","etag":"e","size":1,"n_record":null}"#);
        assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), file);
        file.partition = FilePartition::one("k=1");
        let text = serde_json::to_string(&file).unwrap();
        assert!(text.ends_with(r#""partition":"k=1"}"#), "{text}");
        assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), file);
    }

    #[test]
    fn rows_of_several_partitions_are_the_rows_of_the_file() {
        let file =
            |n_record, partition| FileEntry { uri: "s3://b/f".into(), etag: "e".into(), size: 1, n_record, partition };
        let two = FilePartition::many([("k=1", 5), ("k=2", 3)]);
        assert!(file(Some(8), two.clone()).has_sound_parts());
        assert!(!file(Some(9), two.clone()).has_sound_parts());
        assert!(!file(None, two).has_sound_parts());
        assert!(file(None, FilePartition::one("k=1")).has_sound_parts());
    }
}
