//! The versions of documents that outlive a program: each says in which form it is written, and by whom.

use serde::Deserialize;

use crate::error::{Error, Result};

/// This program, as documents name it.
pub(crate) const WRITER: &str = concat!("snaplake ", env!("CARGO_PKG_VERSION"));

/// What any form of a document says about itself.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Form {
    version: Option<u32>,
    written_by: Option<String>,
}

impl Form {
    /// Whether the document has a version at all; without one it is not ours.
    pub(super) fn is_known(&self) -> bool {
        self.version.is_some()
    }

    /// Refuses every version but `reads`.
    ///
    /// # Errors
    /// [`Error::OtherVersion`].
    pub(crate) fn check(self, uri: &str, reads: u32) -> Result<()> {
        match self.version {
            Some(version) if version != reads => {
                Err(Error::OtherVersion { uri: uri.to_owned(), version, written_by: self.written_by, reads })
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a JSON document of another version; what is no JSON is for its reader to refuse.
///
/// # Errors
/// [`Error::OtherVersion`].
pub(crate) fn check_version(document: &[u8], uri: &str, reads: u32) -> Result<()> {
    serde_json::from_slice::<Form>(document).unwrap_or_default().check(uri, reads)
}
