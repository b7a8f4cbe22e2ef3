//! The kinds of database exports that have a manifest or a catalogue of their own, as STORED AS names them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Position;
use crate::layout::{Location, partition};

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
    /// The same of MySQL or MariaDB.
    MySql,
}

/// How LOCATION names running databases of a kind.
#[derive(Debug)]
pub(crate) struct AddressForm {
    /// What its URLs begin with.
    pub(crate) schemes: &'static [&'static str],
    /// What is said of something else.
    pub(crate) no_url: &'static str,
    /// What is said of a URL that begins with something else.
    pub(crate) other_scheme: &'static str,
    /// What is said of a URL with a password.
    pub(crate) password: &'static str,
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
    /// Reads an address, where relative paths are relative to `folder`. Its password is never in it: configs, logs and
    /// manifests show addresses.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &str, form: &AddressForm, folder: &Path) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| form.no_url)?;
        if !form.schemes.contains(&url.scheme()) {
            return Err(form.other_scheme);
        }
        if url.password().is_some() || url.query_pairs().any(|(name, _)| name.ends_with("password")) {
            return Err(form.password);
        }
        Ok(Self { url: text.to_owned(), folder: folder.to_owned() })
    }

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
    /// The exports at several LOCATIONs that are merged into one before they are read, if there are several.
    pub merged: Vec<(Location, Position)>,
    /// Whether it is known how files of text are written, by OPTIONS or by the kind.
    pub is_text_known: bool,
}

impl ExportTable {
    /// A table of an export at one LOCATION, whose text files are known to be written as the kind does it.
    pub(crate) fn of(kind: ExportKind, table: Option<String>) -> Self {
        Self { kind, table, database: None, merged: Vec::new(), is_text_known: true }
    }
}

impl ExportKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Rds,
        Self::DynamoDb,
        Self::PgDump,
        Self::MySqlDump,
        Self::MongoDbDump,
        Self::RedshiftUnload,
        Self::Dms,
        Self::Postgres,
        Self::MySql,
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
            Self::MySql => "MYSQL",
        }
    }

    /// How the address of a running database of this kind is written; none if LOCATION is a place of files.
    pub(crate) fn address(self) -> Option<&'static AddressForm> {
        match self {
            Self::Postgres => Some(&AddressForm {
                schemes: &["postgres", "postgresql"],
                no_url: "it is no URL such as postgres://user@host:5432/database",
                other_scheme: "its scheme is not postgres://",
                password: "write the password into PGPASSWORD or ~/.pgpass, not into a URL",
            }),
            Self::MySql => Some(&AddressForm {
                schemes: &["mysql", "mariadb"],
                no_url: "it is no URL such as mysql://user@host:3306/database",
                other_scheme: "its scheme is not mysql:// or mariadb://",
                password: "write the password into ~/.my.cnf or MYSQL_PWD, not into a URL",
            }),
            _ => None,
        }
    }

    /// Whether it is a database that runs, which has to be exported first.
    pub(crate) fn is_running(self) -> bool {
        self.address().is_some()
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
        matches!(self, Self::DynamoDb | Self::RedshiftUnload) || self.is_running()
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

/// Whether the last of a table's names, the outermost first, are so with dots between.
pub(crate) fn is_called(names: &[String], name: &str) -> bool {
    (0..names.len()).any(|from| names[from..].join(".") == name)
}
