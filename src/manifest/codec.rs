//! On-disk form of a manifest, readable by the Python package `s3manifesto` 0.4.
//!
//! ```text
//! manifest-summary-7.json   {"manifest": "s3://../manifest-data-7.parquet", "size": 9, "n_record": 3,
//!                            "fingerprint": "0f..", "details": {"version": 2, "written_by": "snaplake 0.1.0", "roots": {..},
//!                            "data": "xxh64-..", ...,
//!                            "check": "xxh64-.."}}
//! manifest-data-7.parquet   uri | etag | size | n_record [| partition | column_statistics]     one row per file, sorted by uri
//! ```
//!
//! The same files give the same bytes. `details` is ours and versioned: another version is an error that names its
//! writer. `check` is a hash of all bytes of the summary before it, `data` one of the data file: what a disk lost or
//! changed is seen. `roots` are the folders below which our own files lay when it was written (`super::moved`). This
//! module does no I/O: [`super::ledger`] does. The data file's form is in
//! `super::data`.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use super::data::{decode_files, decode_with_statistics, encode_files, encode_with_statistics};
pub(crate) use super::entry::content_tag;
pub use super::entry::{FileEntry, fingerprint};
use super::moved::Roots;
use super::version::{Form, WRITER};
use crate::error::{Error, Result};

/// Version of `details`.
pub(crate) const VERSION: u32 = 2;

/// The text between a summary and its own hash.
const CHECK: &str = ",\n    \"check\": \"";

/// What ends it.
const END: &str = "\"\n  }\n}\n";

/// A list of files and what a task says about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest<D> {
    /// The files, sorted by uri.
    pub files: Vec<FileEntry>,
    /// What is known of the columns of each file, in the same order and the form of [`super::statistics`]; empty where
    /// it is not known or was not asked for.
    pub statistics: Vec<String>,
    /// What is ours.
    pub details: D,
}

#[derive(Serialize, Deserialize)]
struct Summary<D> {
    manifest: String,
    size: Option<u64>,
    n_record: Option<u64>,
    fingerprint: Option<String>,
    #[serde(bound(deserialize = "D: Deserialize<'de>"))]
    details: D,
}

#[derive(Serialize, Deserialize)]
struct VersionedManifest<D> {
    version: u32,
    written_by: String,
    roots: Roots,
    data: String,
    /// Read by [`check_whole`], which needs the bytes before it.
    #[serde(default, skip_serializing, rename = "check")]
    _check: Option<String>,
    #[serde(flatten)]
    details: D,
}

/// What a summary says without its data file.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryHead {
    /// URI of the data file.
    pub manifest: String,
    /// Bytes of all files.
    pub size: u64,
    /// Rows of all files; `None` when one of them is unknown.
    pub n_record: Option<u64>,
    /// See [`Manifest::fingerprint`].
    pub fingerprint: String,
    /// Where our own files lay when it was written; unknown of a manifest that somebody else wrote.
    pub roots: Option<Roots>,
    /// Hash of the data file; unknown of a manifest that somebody else wrote.
    pub data_hash: Option<String>,
}

impl<D> Manifest<D> {
    /// Sorts the files by uri, as the data file holds them.
    pub fn new(mut files: Vec<FileEntry>, details: D) -> Self {
        files.sort_unstable_by(|a, b| a.uri.cmp(&b.uri));
        Self { files, statistics: Vec::new(), details }
    }

    /// As [`Manifest::new`], with what is known of the columns of each file.
    pub fn with_statistics(mut files: Vec<(FileEntry, String)>, details: D) -> Self {
        files.sort_unstable_by(|(a, _), (b, _)| a.uri.cmp(&b.uri));
        let (files, statistics) = files.into_iter().unzip();
        Self { files, statistics, details }
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Rows of all files; `None` when one of them is unknown.
    pub fn n_record(&self) -> Option<u64> {
        self.files.iter().try_fold(0_u64, |sum, file| Some(sum.saturating_add(file.n_record?)))
    }

    /// MD5 over uri then etag of all files sorted by uri, in hex: `s3manifesto`'s formula.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.files)
    }
}

impl<D: Serialize + DeserializeOwned> Manifest<D> {
    /// The summary's JSON. `data_uri` is where the data file lies, and `data` are its bytes; `fingerprint` is that of
    /// [`Manifest::fingerprint`].
    ///
    /// # Errors
    /// [`Error::DecodeManifest`] if `details` has no JSON form.
    pub fn encode_summary(&self, data_uri: &str, data: &[u8], fingerprint: &str, roots: &Roots) -> Result<Bytes> {
        let summary = Summary {
            manifest: data_uri.to_owned(),
            size: Some(self.size()),
            n_record: self.n_record(),
            fingerprint: Some(fingerprint.to_owned()),
            details: VersionedManifest {
                version: VERSION,
                written_by: WRITER.to_owned(),
                roots: roots.clone(),
                data: content_tag(data),
                _check: None,
                details: &self.details,
            },
        };
        let text = serde_json::to_string_pretty(&summary).map_err(|source| undecodable(data_uri, source))?;
        let text = text.strip_suffix("\n  }\n}").unwrap_or(&text);
        Ok(format!("{text}{CHECK}{}{END}", content_tag(text.as_bytes())).into())
    }

    /// Head and details of a summary.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::DecodeManifest`] for other JSON, [`Error::OtherVersion`]; [`Error::Manifest`] for a
    /// manifest that somebody else wrote.
    pub fn decode_summary(bytes: &[u8], uri: &str) -> Result<(SummaryHead, D)> {
        let is_checked = check_whole(bytes, uri)?;
        let probe: Summary<Form> = serde_json::from_slice(bytes).map_err(|source| undecodable(uri, source))?;
        if !probe.details.is_known() {
            return Err(Error::Manifest { uri: uri.to_owned(), reason: "it was not written by snaplake".to_owned() });
        }
        probe.details.check(uri, VERSION)?;
        if !is_checked {
            return Err(damaged(uri, "its check is gone"));
        }
        let summary: Summary<VersionedManifest<D>> =
            serde_json::from_slice(bytes).map_err(|source| undecodable(uri, source))?;
        let head = SummaryHead {
            manifest: summary.manifest,
            size: summary.size.unwrap_or(0),
            n_record: summary.n_record,
            fingerprint: summary.fingerprint.unwrap_or_default(),
            roots: Some(summary.details.roots),
            data_hash: Some(summary.details.data),
        };
        Ok((head, summary.details.details))
    }
}

/// Head of any `s3manifesto` summary, whoever wrote it.
///
/// # Errors
/// [`Error::DecodeManifest`] when it is not such a summary.
pub fn decode_foreign_summary(bytes: &[u8], uri: &str) -> Result<SummaryHead> {
    #[derive(Deserialize)]
    struct Foreign {
        manifest: String,
        size: Option<u64>,
        n_record: Option<u64>,
        fingerprint: Option<String>,
    }
    let foreign: Foreign = serde_json::from_slice(bytes).map_err(|source| undecodable(uri, source))?;
    Ok(SummaryHead {
        manifest: foreign.manifest,
        size: foreign.size.unwrap_or(0),
        n_record: foreign.n_record,
        fingerprint: foreign.fingerprint.unwrap_or_default(),
        roots: None,
        data_hash: None,
    })
}

/// Whether a summary says its own hash, which it then has.
fn check_whole(bytes: &[u8], uri: &str) -> Result<bool> {
    let text = std::str::from_utf8(bytes).map_err(|_| damaged(uri, "it is not text"))?;
    match text.rsplit_once(CHECK).map(|(message, check)| (message, check.strip_suffix(END))) {
        Some((message, Some(check))) if check == content_tag(message.as_bytes()) => Ok(true),
        Some(_) => Err(damaged(uri, "its content is not what its check says")),
        None if text.trim().is_empty() => Err(damaged(uri, "it is empty")),
        None if !text.trim_end().ends_with('}') => Err(damaged(uri, "it is cut off")),
        None => Ok(false),
    }
}

fn damaged(uri: &str, reason: &str) -> Error {
    Error::Damaged { uri: uri.to_owned(), reason: reason.to_owned() }
}

/// Whether the data file is the one that a summary was written for.
///
/// # Errors
/// [`Error::Damaged`].
pub(crate) fn check_data(head: &SummaryHead, bytes: &[u8], uri: &str) -> Result<()> {
    match &head.data_hash {
        Some(hash) if *hash != content_tag(bytes) => Err(damaged(uri, "its content is not what its summary says")),
        _ => Ok(()),
    }
}

pub(super) fn undecodable(uri: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::DecodeManifest { uri: uri.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FilePartition;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Note {
        table: String,
    }

    fn file(uri: &str, etag: &str, n_record: Option<u64>) -> FileEntry {
        FileEntry { uri: uri.into(), etag: etag.into(), size: 5, n_record, partition: FilePartition::None }
    }

    fn manifest() -> Manifest<Note> {
        let files = vec![file("s3://bucket/b", "2", Some(2)), file("s3://bucket/a", "1", Some(1))];
        Manifest::new(files, Note { table: "t".into() })
    }

    #[test]
    fn fingerprint_is_md5_over_uri_and_etag_sorted_by_uri() {
        // md5("s3://bucket/a1s3://bucket/b2"), computed with Python's hashlib.
        assert_eq!(manifest().fingerprint(), "4b92f5bb46dddb96f2203d3fbda6888f");
        assert_eq!(fingerprint(&[]), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn summary_and_files_round_trip() {
        let manifest = manifest();
        let bytes = encode_files(&manifest.files, "u").unwrap();
        let summary =
            manifest.encode_summary("s3://b/data.parquet", &bytes, &manifest.fingerprint(), &roots()).unwrap();
        let (head, details) = Manifest::<Note>::decode_summary(&summary, "u").unwrap();
        assert_eq!(head.roots, Some(roots()));
        check_data(&head, &bytes, "u").unwrap();
        assert_eq!((head.size, head.n_record, details.table.as_str()), (10, Some(3), "t"));
        assert_eq!(decode_files(bytes.clone(), "u").unwrap(), manifest.files);
        assert_eq!(bytes, encode_files(&manifest.files, "u").unwrap());
    }

    fn roots() -> Roots {
        Roots { staging: "s3://b/staging".into(), lake: "s3://b/lake".into() }
    }

    #[test]
    fn every_cut_and_every_changed_bit_of_a_manifest_is_seen() {
        let manifest = manifest();
        let data = encode_files(&manifest.files, "u").unwrap();
        let summary = manifest.encode_summary("s3://b/d", &data, &manifest.fingerprint(), &roots()).unwrap();
        let read = |bytes: &[u8]| Manifest::<Note>::decode_summary(bytes, "u").map(drop);
        read(&summary).unwrap();
        for length in 0..summary.len() {
            assert!(read(&summary[..length]).is_err(), "cut to {length} bytes");
        }
        for bit in 0..8 * summary.len() {
            let mut changed = summary.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed).is_err(), "bit {bit}");
        }
        let (head, _) = Manifest::<Note>::decode_summary(&summary, "u").unwrap();
        for bit in 0..8 * data.len() {
            let mut changed = data.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(check_data(&head, &changed, "u").is_err(), "bit {bit}");
        }
        assert!(check_data(&head, &[], "u").is_err());
    }

    #[test]
    fn other_version_or_foreign_summary_is_refused_by_name() {
        let other = "{\"version\":1,\"written_by\":\"snaplake 0.0.9\"}";
        for (text, reason) in [(other, "written by snaplake 0.0.9 in version 1"), ("{}", "not written by snaplake")] {
            let json = format!(r#"{{"manifest":"m","size":1,"n_record":1,"fingerprint":"f","details":{text}}}"#);
            let error = Manifest::<Note>::decode_summary(json.as_bytes(), "s3://b/x").unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("s3://b/x"), "{error}");
        }
    }
}
