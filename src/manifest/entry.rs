//! One file of a manifest, in a form of which a million fit into memory.

use std::sync::Arc;

use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use twox_hash::XxHash64;

use crate::layout::bundle;

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
    /// Hive path of its partition (`k1=v1/k2=v2`, empty for an unpartitioned table), or what a file of several
    /// partitions has instead (`crate::layout::bundle`); `None` for snapshot files.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_partition",
        deserialize_with = "read_partition"
    )]
    pub partition: Option<Arc<str>>,
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
        let text = self.partition.as_deref().filter(|text| bundle::is_bundle(text));
        text.is_none_or(|text| bundle::is_sound(text, self.n_record))
    }

    /// The partitions that it has rows of.
    pub(crate) fn parts(&self) -> impl Iterator<Item = FilePart<'_>> {
        let all = self.n_record.unwrap_or(0);
        bundle::members(self.partition.as_deref().unwrap_or_default()).map(move |(partition, rows)| match rows {
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

fn write_partition<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

fn read_partition<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Arc::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_form_is_plain_text_and_round_trips() {
        let mut file = FileEntry { uri: "s3://b/f".into(), etag: "e".into(), size: 1, n_record: None, partition: None };
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(text, r#"{"uri":"s3://b/f","etag":"e","size":1,"n_record":null}"#);
        assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), file);
        file.partition = Some("k=1".into());
        let text = serde_json::to_string(&file).unwrap();
        assert!(text.ends_with(r#""partition":"k=1"}"#), "{text}");
        assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), file);
    }
}
