//! What can go wrong between LOCATION and the manifest of a live export.
//!
//! No message has a secret: addresses print without a password, errors of the driver are taken apart into what the
//! server said. Where a new try may help, the message says that the export begins again, because a snapshot dies with
//! the connection that holds it.

use std::path::PathBuf;

/// Why a live database was not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LiveFault {
    /// LOCATION is not an address.
    #[error("{0}")]
    Address(#[from] AddressFault),
    /// A password file, service file or certificate cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No connection.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Without a password.
        address: String,
        /// What the server or the network said.
        reason: String,
    },
    /// The server refused a statement.
    #[error("{doing}: {reason}")]
    Server {
        /// What was asked of it.
        doing: String,
        /// What it said.
        reason: String,
    },
    /// The connection that holds the snapshot ended.
    #[error(
        "the connection that holds the snapshot ended ({reason}); the snapshot is gone with it, so the export has to \
         begin again: nothing of this try is used"
    )]
    HolderLost {
        /// What the server or the network said.
        reason: String,
    },
    /// A connection that reads rows ended.
    #[error(
        "the connection ended in the attempt to {doing} ({reason}); the export has to begin again: nothing of this try is used"
    )]
    WorkerLost {
        /// What was read.
        doing: String,
        /// What the server or the network said.
        reason: String,
    },
    /// A table was truncated or rewritten after the snapshot was taken.
    #[error(
        "{table} was truncated or rewritten while it was read, so the snapshot no longer has its rows; the export has \
         to begin again"
    )]
    Rewritten {
        /// Name of the table.
        table: String,
    },
    /// A table that the database has not.
    #[error("there is no table {name:?}{}", nearest(tables))]
    NoTable {
        /// As asked for.
        name: String,
        /// Those that there are.
        tables: Vec<String>,
    },
    /// A name that fits more than one table.
    #[error("{name:?} may be {}: write one of these", tables.join(" or "))]
    Ambiguous {
        /// As asked for.
        name: String,
        /// Those that it fits.
        tables: Vec<String>,
    },
    /// A table that cannot be exported.
    #[error("{table}: {reason}")]
    Table {
        /// Name of the table.
        table: String,
        /// Why not.
        reason: String,
    },
    /// What the server sent is not what it should be, or a value does not fit its type.
    #[error("{place}: {reason}")]
    Rows {
        /// Table and range.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows that were read are not those that the server counted.
    #[error("{table}: {read} rows were read, but the server counts {counted} in the same snapshot")]
    Count {
        /// Name of the table.
        table: String,
        /// Rows of all files.
        read: u64,
        /// What the server counted.
        counted: u64,
    },
    /// Parquet or the store.
    #[error("cannot write {path}")]
    Write {
        /// Path of the file.
        path: String,
        /// What the writer or reader met.
        #[source]
        source: WriteFault,
    },
    /// Cannot read a manifest that is there.
    #[error("cannot read {path}")]
    Manifest {
        /// Path of the file.
        path: String,
        /// What the writer or reader met.
        #[source]
        source: WriteFault,
    },
    /// Another process has exported to the same place meanwhile.
    #[error("{path} was written by another export meanwhile, which is used; this one is not")]
    Lost {
        /// The manifest.
        path: String,
    },
}

/// What stands behind a file that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WriteFault {
    /// The store's.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// Parquet's.
    #[error(transparent)]
    Parquet(#[from] datafusion::parquet::errors::ParquetError),
    /// Arrow's.
    #[error(transparent)]
    Arrow(#[from] datafusion::arrow::error::ArrowError),
    /// JSON's.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What is wrong with an address. Never has the address itself, which may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AddressFault {
    /// Not a url.
    #[error("not an address such as postgres://user@host:5432/database?sslmode=verify-full ({0})")]
    Url(String),
    /// Another scheme.
    #[error("{0}:// is not postgres:// or postgresql://")]
    Scheme(String),
    /// A password where configs, logs and plans would show it.
    #[error(
        "a password does not belong into an address: put it into PGPASSWORD, into ~/.pgpass (or the file that PGPASSFILE \
         names) or into a service file (?service=name)"
    )]
    Password,
    /// A parameter that is not known.
    #[error("unknown parameter {name:?}; known are {known}")]
    Parameter {
        /// Its name.
        name: String,
        /// All that are known.
        known: String,
    },
    /// A parameter's value.
    #[error("parameter {name} has the value {value:?}: {reason}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// As written.
        value: String,
        /// Why not.
        reason: String,
    },
    /// Something that has to be there.
    #[error("no {what}: {way}")]
    Missing {
        /// Such as `host`.
        what: &'static str,
        /// Where it may be said.
        way: &'static str,
    },
    /// A service that no file has.
    #[error("there is no service {name:?} in {files}")]
    Service {
        /// As asked for.
        name: String,
        /// Where it was looked for.
        files: String,
    },
}

fn nearest(tables: &[String]) -> String {
    const SHOWN: usize = 20;
    match tables {
        [] => " that this user can see".to_owned(),
        some if some.len() <= SHOWN => format!("; there are {}", some.join(", ")),
        many => format!("; there are {} and {} more", many[..SHOWN].join(", "), many.len() - SHOWN),
    }
}

/// What the server or the network said, without the driver's wrapping.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    if let Some(db) = error.as_db_error() {
        let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        for more in [db.detail(), db.hint()].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more);
        }
        return text;
    }
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        inner = cause.source();
    }
    text
}

/// Whether the connection is gone, rather than the statement refused.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || match error.as_db_error() {
            // Class 57P: the server is shutting down, crashed, or ended this connection. Class 08: connection
            // exceptions.
            Some(db) => db.code().code().starts_with("57P") || db.code().code().starts_with("08"),
            None => std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>()),
        }
}
