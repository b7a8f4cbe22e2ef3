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
    #[error("cannot connect: {reason}")]
    Connect {
        /// What the server or the network said.
        reason: String,
        /// What to do about it.
        help: String,
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
         begin again: nothing from this attempt is kept"
    )]
    HolderLost {
        /// What the server or the network said.
        reason: String,
    },
    /// A connection that reads rows ended.
    #[error(
        "the connection ended in the attempt to {doing} ({reason}); the export has to begin again: nothing from this \
         attempt is kept"
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
        /// The column that can be read as text instead.
        column: Option<String>,
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
    #[error("{path}: another run finished the export first; run again to use it")]
    Lost {
        /// The manifest.
        path: String,
    },
}

impl LiveFault {
    /// What a user can do about it, where the message does not say it.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::Connect { help, .. } => help.clone(),
            Self::HolderLost { .. } | Self::WorkerLost { .. } => {
                "run again; if the server ends long transactions or idle connections, raise its limits first".to_owned()
            }
            Self::Rewritten { .. } => "run again when nobody changes the table's definition".to_owned(),
            Self::Rows { column: Some(column), .. } => format!(
                "write OPTIONS ('on_invalid' '{column} = text'), which reads the column as text, and convert it in the \
                 SELECT"
            ),
            Self::NoTable { .. } => {
                "write OPTIONS ('table' '...') with a name that is there; the user needs SELECT on the table".to_owned()
            }
            Self::Count { .. } => "run again; a partition that was attached or detached meanwhile explains it. If it \
                                   happens again without one, this is a bug: please report it"
                .to_owned(),
            _ => return None,
        })
    }
}

/// A column as `on_invalid` names it.
pub(crate) fn named(column: &str) -> String {
    let is_plain = column.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if is_plain { column.to_owned() } else { format!("\"{}\"", column.replace('"', "\"\"").replace('\'', "''")) }
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
    /// The disk's.
    #[error(transparent)]
    Disk(#[from] Box<crate::error::Error>),
}

/// What is wrong with an address. Never has the address itself, which may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AddressFault {
    /// Not a url.
    #[error("not an address such as {example} ({reason})")]
    Url {
        /// One that is right.
        example: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Another scheme.
    #[error("{scheme}:// is not {known}")]
    Scheme {
        /// As written.
        scheme: String,
        /// Those that are taken.
        known: &'static str,
    },
    /// A password where configs, logs and plans would show it.
    #[error("a password does not belong in an address: put it into {places}")]
    Password {
        /// Where it belongs.
        places: &'static str,
    },
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
