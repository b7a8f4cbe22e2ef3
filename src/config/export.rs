//! The kinds of database exports that have a manifest or a catalogue of their own, as STORED AS names them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use url::{ParseError, Url, form_urlencoded};

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

/// Parameters that choose a server, a database or a user, as the service does. `_` is written as `-` here.
const CHOOSING: [&str; 6] = ["host", "port", "user", "dbname", "socket", "defaults-file"];

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
        let (url, _) = Self::read(text).map_err(|_| form.no_url)?;
        if !form.schemes.contains(&url.scheme()) {
            return Err(form.other_scheme);
        }
        if url.password().is_some() || url.query_pairs().any(|(name, _)| Self::is_password(&name)) {
            return Err(form.password);
        }
        Ok(Self { url: text.to_owned(), folder: folder.to_owned() })
    }

    /// Reads the URL of a database, and tells whether it has a host. `postgres://user@/shop`, as libpq takes it, has
    /// none: a URL must have one after a user, so it gets one that stands for none.
    ///
    /// # Errors
    /// Those of the URL.
    pub(crate) fn read(text: &str) -> Result<(Url, bool), ParseError> {
        let text = text.trim();
        let start = text.find("://").map_or(0, |at| at + 3);
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        match text[start..end].rfind('@').map(|at| start + at + 1) {
            Some(host) if host == end || text[host..end].starts_with(':') => {
                Ok((Url::parse(&[&text[..host], "none", &text[host..]].concat())?, false))
            }
            _ => Ok((Url::parse(text)?, true)),
        }
    }

    /// Whether a parameter of this name has a password, which does not belong in an address.
    pub(crate) fn is_password(name: &str) -> bool {
        let name = name.to_lowercase();
        name.contains("passw") || name == "pwd"
    }

    /// What the folder of its export is called: the address without parameters, the service, and a hash of the other
    /// parameters that choose a server.
    pub(crate) fn folder_name(&self) -> String {
        let address = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
        // The last one wins.
        let value = |wanted: &str| {
            let found = parameters.iter().rev().find(|(name, _)| name.replace('_', "-") == wanted);
            found.map(|(_, value)| &**value)
        };
        let service = value("service").map(|service| format!("service={service}")).unwrap_or_default();
        let chosen = |name: &&str| value(name).map(|value| format!("{name} {value}\n"));
        let chosen: String = CHOOSING.iter().filter_map(chosen).collect();
        let mark = if chosen.is_empty() {
            String::new()
        } else {
            let hash: String = Md5::digest(&chosen).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            format!("-{hash}")
        };
        partition::encode(&[address, &service, &mark].concat())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: ExportKind, text: &str) -> Result<DatabaseUrl, &'static str> {
        kind.address().map_or(Err("no address"), |form| DatabaseUrl::parse(text, form, Path::new("/conf")))
    }

    fn folder(text: &str) -> String {
        DatabaseUrl { url: text.to_owned(), folder: PathBuf::new() }.folder_name()
    }

    #[test]
    fn url_may_have_no_host() {
        for (kind, text) in [
            (ExportKind::Postgres, "postgres://u@/shop?host=/var/run/postgresql"),
            (ExportKind::Postgres, "postgres://u@:5433/shop?host=/var/run/postgresql"),
            (ExportKind::Postgres, "postgres:///shop?service=prod"),
            (ExportKind::MySql, "mysql://u@/shop?socket=/run/mysqld/mysqld.sock"),
        ] {
            assert_eq!(parse(kind, text).map(|url| url.url), Ok(text.to_owned()));
        }
        let (url, has_host) = DatabaseUrl::read("postgres://u@:5433/shop").unwrap();
        assert_eq!((url.port(), url.username(), has_host), (Some(5433), "u", false));
        assert!(DatabaseUrl::read("postgres://u@db/shop").unwrap().1);
        assert!(DatabaseUrl::read("exports/shop@/").is_err());
    }

    #[test]
    fn parameters_with_passwords_are_refused_in_any_case() {
        for name in ["password", "PassWord", "sslpassword", "passwd", "PWD"] {
            let found = parse(ExportKind::Postgres, &format!("postgres://u@h/d?{name}=geheim"));
            assert!(found.is_err_and(|why| why.contains("PGPASSWORD")), "{name}");
        }
        assert!(parse(ExportKind::Postgres, "postgres://u@h/d?passfile=x").is_ok());
    }

    #[test]
    fn folder_is_called_as_what_chooses_the_server() {
        assert_eq!(folder("postgres://u@h:5432/d?sslmode=require"), partition::encode("u@h:5432/d"));
        assert_eq!(folder("postgres:///d?service=prod&sslmode=require"), partition::encode("/dservice=prod"));
        let one = folder("postgres://u@/d?host=/run/a&sslmode=require");
        assert_eq!(one, folder("postgres://u@/d?host=%2Frun%2Fa"));
        assert!(one.starts_with(&partition::encode("u@/d-")), "{one}");
        let others = [
            "postgres://u@/d?host=/run/b",
            "postgres://u@/d?host=/run/a&port=5433",
            "postgres://u@/d?host=/run/a&service=prod",
            "mysql://u@/d?socket=/run/a",
            "mysql://u@/d?defaults-file=a",
        ];
        let mut names: Vec<String> = others.iter().map(|url| folder(url)).chain([one]).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), others.len() + 1, "{names:?}");
        assert_eq!(folder("mysql://u@/d?defaults_file=a"), folder("mysql://u@/d?defaults-file=a"));
    }
}
