//! The kinds of database exports that have a manifest or a catalogue of their own, as STORED AS names them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::layout::partition;

/// A kind of export: which tables and files it has is read from it, not guessed from names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportKind {
    /// A snapshot export of RDS or Aurora: Parquet files, `export_info_*.json` and `export_tables_info_*.json`.
    Rds,
    /// A DynamoDB export to S3: `manifest-summary.json`, `manifest-files.json` and data files.
    DynamoDb,
    /// What `pg_dump` wrote: plain SQL, custom, directory or tar.
    PgDump,
    /// What `mysqldump`, `mariadb-dump` or `mydumper` wrote: SQL.
    MySqlDump,
    /// The folder that `mongodump` wrote: BSON files and metadata.
    MongoDbDump,
    /// What Redshift's `UNLOAD ... MANIFEST` wrote: a manifest, and files of one table.
    RedshiftUnload,
    /// What a full load of AWS DMS wrote to S3: numbered files in a folder per table.
    Dms,
    /// A running PostgreSQL database, which is exported into the staging folder first.
    Postgres,
}

/// A running database, as LOCATION names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatabaseUrl {
    /// Without a password, such as `postgres://user@host:5432/shop`.
    pub url: String,
    /// Folder of the config, where relative paths of certificates begin.
    pub folder: PathBuf,
}

impl DatabaseUrl {
    /// What the folder of its export is called: the address without parameters, but for the service.
    pub(crate) fn folder_name(&self) -> String {
        let address = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let (address, parameters) = address.split_once('?').unwrap_or((address, ""));
        let service = parameters.split('&').find(|parameter| parameter.starts_with("service="));
        partition::encode(&[address, service.unwrap_or_default()].concat())
    }
}

/// Which table of which kind of export a snapshot table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportTable {
    /// Kind of the export at LOCATION.
    pub kind: ExportKind,
    /// Its name there, such as `public.orders`; `None`: that of the snapshot table.
    pub table: Option<String>,
    /// The database, if the export is one of a running database.
    pub database: Option<DatabaseUrl>,
    /// Whether it is known how files of text are written, by OPTIONS or by the kind.
    pub is_text_known: bool,
}

impl ExportKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Rds,
        Self::DynamoDb,
        Self::PgDump,
        Self::MySqlDump,
        Self::MongoDbDump,
        Self::RedshiftUnload,
        Self::Dms,
        Self::Postgres,
    ];

    /// The word after STORED AS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rds => "RDS_EXPORT",
            Self::DynamoDb => "DYNAMODB_EXPORT",
            Self::PgDump => "PG_DUMP",
            Self::MySqlDump => "MYSQL_DUMP",
            Self::MongoDbDump => "MONGODB_DUMP",
            Self::RedshiftUnload => "REDSHIFT_UNLOAD",
            Self::Dms => "DMS_EXPORT",
            Self::Postgres => "POSTGRES",
        }
    }

    /// Whether OPTIONS say how its files of text are written: the export itself does not.
    #[must_use]
    pub fn takes_csv_options(self) -> bool {
        matches!(self, Self::RedshiftUnload | Self::Dms)
    }

    /// Whether it is one table, whatever that is called.
    pub(crate) fn is_one_table(self) -> bool {
        matches!(self, Self::DynamoDb | Self::RedshiftUnload)
    }

    /// Whether its own manifest names its files, which need not be below LOCATION.
    pub(crate) fn names_its_files(self) -> bool {
        matches!(self, Self::DynamoDb | Self::RedshiftUnload | Self::Postgres)
    }

    /// The kind with this name, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text))
    }
}

/// Which dialect a dump is written in: it decides quotes, comments, keywords, types and what a backslash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SqlFamily {
    /// pg_dump: `"name"`, `$$text$$`; a backslash in `'text'` is a character, in `E'text'` an escape.
    Postgres,
    /// mysqldump and mydumper of MySQL and MariaDB: `` `name` ``, `/*!50001 .. */` is code; a backslash is an escape.
    MySql,
}
