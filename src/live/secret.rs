//! Secrets: a type that does not show them, and files that must be their owner's alone.

use std::fmt;
use std::path::Path;

use super::fault::LiveFault;

/// A text that no log, plan, manifest or error shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Hides a text.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one who connects.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A file with secrets must be its owner's alone, as `chmod 600` makes it.
///
/// # Errors
/// [`LiveFault::File`].
pub(crate) fn check_mode(path: &Path) -> Result<(), LiveFault> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let fault = |reason: String| LiveFault::File { path: path.to_owned(), reason };
        let mode = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(fault(format!("others may read it (mode {:03o}); `chmod 600` it", mode & 0o777)));
        }
    }
    Ok(())
}
