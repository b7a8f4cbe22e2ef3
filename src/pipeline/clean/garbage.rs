//! A file that may be removed, and why.

use serde::Serialize;

/// Why a file is garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No manifest lists it.
    Uncommitted,
    /// Half a local file, or a multipart upload that nobody ended.
    Unfinished,
    /// A staging file of a complete lake table.
    Published,
}

/// A file that may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Name of the lake table, without `lake.`; of a try of an export, the name of the export's folder.
    pub table: String,
    /// URI of the file.
    pub uri: String,
    /// Bytes.
    pub bytes: u64,
    /// Why it is garbage.
    pub why: Why,
    /// The server's name for a multipart upload that nobody ended; its bytes are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}
