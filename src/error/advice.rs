//! What a user can do about a limit of the machine: disk space, open files, threads, memory.
//!
//! Looks for the operating system's error among the causes of an error; the engine, the Parquet writer and the stores
//! wrap it in errors of their own. All other advice is [`Error::help`](super::Error::help).

use std::error::Error;
use std::io::{self, ErrorKind};

use datafusion::error::DataFusionError;

use super::Error as Failure;

/// `EMFILE` and `ENFILE` of Linux, macOS and the BSDs, for which [`ErrorKind`] has no name.
const TOO_MANY_OPEN_FILES: [i32; 2] = [24, 23];

/// What to do, for an error or one of its causes.
pub(crate) fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(Failure::Store { action: "read" | "list", source, .. }) = error.downcast_ref()
        && is_denied(source)
    {
        return Some("make it readable for this user, or choose another location");
    }
    let here = error.downcast_ref::<io::Error>().and_then(about_io);
    let here = here.or_else(|| error.downcast_ref::<DataFusionError>().and_then(about_engine));
    here.or_else(|| error.source().and_then(advice))
}

/// Whether the operating system denied the permission.
fn is_denied(error: &(dyn Error + 'static)) -> bool {
    let here = error.downcast_ref::<io::Error>().map(io::Error::kind);
    here == Some(ErrorKind::PermissionDenied) || error.source().is_some_and(is_denied)
}

fn about_io(error: &io::Error) -> Option<&'static str> {
    if error.raw_os_error().is_some_and(|code| TOO_MANY_OPEN_FILES.contains(&code)) {
        return Some("raise the limit of open files (ulimit -n) or set --threads lower");
    }
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free disk space there (temporary files are in $TMPDIR)")
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Some(
            "make it writable for this user, or choose another location (snaplake.staging, snaplake.datalake, $TMPDIR)",
        ),
        ErrorKind::WouldBlock => Some("raise the limit of threads (ulimit -u) or set --threads lower"),
        // The Parquet writer and the spill files wrap an error in an I/O error.
        _ => error.get_ref().and_then(|inner| advice(inner)),
    }
}

fn about_engine(error: &DataFusionError) -> Option<&'static str> {
    matches!(error, DataFusionError::ResourcesExhausted(_)).then_some("raise --memory-limit or set --threads lower")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_found_below_errors_of_store_and_engine() {
        let full = io::Error::from(ErrorKind::StorageFull);
        let store = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(full) };
        let engine = DataFusionError::External(Box::new(store));
        assert!(advice(&engine).is_some_and(|advice| advice.starts_with("free disk space")));
        let in_io = io::Error::other(engine);
        assert!(advice(&in_io).is_some_and(|advice| advice.starts_with("free disk space")));
    }

    #[test]
    fn what_may_not_be_read_is_to_be_made_readable_not_writable() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let source = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(denied) };
        let error = Failure::Store { action: "list", uri: "/x".to_owned(), source };
        assert!(advice(&error).is_some_and(|advice| advice.contains("readable")));
    }

    #[test]
    fn open_files_are_distinguished_from_other_errors() {
        assert!(advice(&io::Error::from_raw_os_error(24)).is_some_and(|advice| advice.contains("ulimit -n")));
        assert_eq!(advice(&io::Error::from(ErrorKind::NotFound)), None);
    }
}
