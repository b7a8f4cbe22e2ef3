//! Why an Iceberg table does not get its next version.

/// Why an Iceberg table does not get its next version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IcebergFault {
    /// A column had another type, which the new one is no widening of.
    #[error("column {column} is {from} in the table, and {to} in the SELECT")]
    TypeChanged {
        /// Dotted for nested fields.
        column: String,
        /// Iceberg's name of the type.
        from: String,
        /// Iceberg's name of the type.
        to: String,
    },
    /// Two columns whose names have the same hash.
    #[error("columns {column} and {other} would have the same id")]
    SameId {
        /// Dotted for nested fields.
        column: String,
        /// Dotted for nested fields.
        other: String,
    },
    /// Metadata that cannot be read.
    #[error("{file}: {reason}")]
    Metadata {
        /// Uri of the metadata or manifest.
        file: String,
        /// What is wrong with it, in words.
        reason: String,
    },
    /// Its versions are named by a catalog.
    #[error("a catalog writes its metadata ({file})")]
    OfCatalog {
        /// Name of a metadata file.
        file: String,
    },
    /// A complete snapshot that is no version.
    #[error("it is missing")]
    NoVersion,
    /// A version that lists other files than the snapshot has.
    #[error("it lists {listed} files, and they are not the {published} that were published")]
    OtherFiles {
        /// Files of the version.
        listed: u64,
        /// Files of the snapshot.
        published: u64,
    },
    /// Others wrote a version each time.
    #[error("others wrote a new version {0} times while this one was written")]
    Busy(usize),
}

impl IcebergFault {
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::TypeChanged { .. } => "cast it to the type of before, or give the column another name",
            Self::SameId { .. } => "give one of the two another name",
            Self::Metadata { .. } => "restore the file, or remove the folder metadata/ to begin a new table",
            Self::OfCatalog { .. } => "set another snaplake.datalake; snaplake writes tables that lie in a folder",
            Self::NoVersion => "run again, which adds it",
            Self::OtherFiles { .. } => "make it again with run --replan --withdraw",
            Self::Busy(_) => "run again when no one else writes the table",
        }
    }
}
