//! What can be wrong with an archive, in words for the person who made it.
//!
//! Each fault says what and where. There are four kinds: the file is none of ours (`NotAnArchive`, `Newer`,
//! `Older`), it holds something that this program does not read (`Unread`, `Encoding`), its bytes contradict
//! themselves (`Damaged`), or it ends too early (`Cut`). No fault is ever turned into fewer rows.
//!
//! ```text
//! cut archive: entry 3396 has its data at byte 121130, and it ends at byte 20480
//! ```

use thiserror::Error;

/// Why an archive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ArchiveFault {
    /// The magic is missing: another kind of file.
    #[error("not a pg_dump archive: the file does not begin with PGDMP")]
    NotAnArchive,
    /// A later pg_dump may have added fields, and all fields go by position.
    #[error("written by pg_dump of a newer archive version {major}.{minor}; this program reads up to 1.16")]
    Newer { major: u8, minor: u8 },
    /// Before PostgreSQL 9.0.
    #[error("archive version {major}.{minor} is of pg_dump before 9.0; this program reads 1.12 and later")]
    Older { major: u8, minor: u8 },
    /// Understood, but not read by this program.
    #[error("{what} at byte {at}")]
    Unread { what: String, at: u64 },
    /// A text that is needed as UTF-8 and is in another encoding.
    #[error("the text {text:?} is not UTF-8; make the dump with --encoding=UTF8")]
    Encoding { text: String },
    /// Bytes that no pg_dump writes.
    #[error("damaged archive: {what} at byte {at}")]
    Damaged { what: String, at: u64 },
    /// The file ends before its content does.
    #[error("cut archive: {what}, and it ends at byte {at}")]
    Cut { what: String, at: u64 },
}

impl ArchiveFault {
    /// Bytes at `at` that no pg_dump writes.
    pub(crate) fn damaged(what: impl Into<String>, at: u64) -> Self {
        Self::Damaged { what: what.into(), at }
    }

    /// The file is over at `at` while `what` is still open.
    pub(crate) fn cut(what: impl Into<String>, at: u64) -> Self {
        Self::Cut { what: what.into(), at }
    }

    /// A thing at `at` that this program leaves unread.
    pub(crate) fn unread(what: impl Into<String>, at: u64) -> Self {
        Self::Unread { what: what.into(), at }
    }
}
