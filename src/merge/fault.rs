//! The errors of a merge, with the table, the place and the export that they are about.

use crate::error::{Error, ExportFault, Position};
use crate::layout::Location;
use crate::snapshot::exports::Trouble;

/// Exports whose records contradict one another.
pub(super) const CONTRADICTION: &str = "export again: a full export, and incremental ones from its time on";

/// An export at one of the LOCATIONs cannot be read or does not go together with the others.
pub(super) fn refused(table: &str, at: &Position, location: &Location, trouble: impl Into<Trouble>) -> Error {
    match trouble.into() {
        Trouble::Fault(fault) => {
            Error::Export { at: at.clone(), table: table.to_owned(), location: location.to_string(), fault }
        }
        Trouble::Other(error) => *error,
    }
}

/// What does not go together.
pub(super) fn unmergeable(reason: String, help: &'static str) -> ExportFault {
    ExportFault::Unmergeable { reason, help }
}

/// A file of the local disk, where records are while they are merged, fails.
pub(super) fn scratch(action: &str, source: std::io::Error) -> Error {
    Error::Io { action: format!("{action} a temporary file of a merge"), source }
}
