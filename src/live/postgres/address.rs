//! The address of a PostgreSQL database: LOCATION, what a service file and the environment add, and how TLS is checked.
//!
//! ```text
//! postgres://user@host:5432/shop?sslmode=verify-full      postgres:///shop?service=prod
//! postgres://user@/shop?host=/var/run/postgresql          a Unix socket
//! ```
//!
//! The order is that of libpq: the address, the service, `PG...` variables, defaults. Two things differ on purpose. A
//! password in the address is refused: configs, logs, plans and manifests show addresses. And TLS is verified in full
//! unless the host is this machine: libpq's default `prefer` takes an unencrypted connection from whoever answers.
//! `require` encrypts and does not verify, as with libpq; it has to be said. Several hosts are refused, as are
//! parameters that would change what is read (`options`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::password::{PasswordFor, password};
use super::service::{Service, read_service};
use crate::config::DatabaseUrl;
use crate::live::fault::{AddressFault, LiveFault};
use crate::live::patience::connect_limit;
use crate::live::protection::{TlsMode, is_this_machine};
use crate::live::secret::Secret;
use crate::live::surroundings::Surroundings;

const PORT: u16 = 5432;
const PASSWORD_PLACES: &str =
    "PGPASSWORD, into ~/.pgpass (or the file that PGPASSFILE names) or into a service file (?service=name)";
const KNOWN: &[&str] = &[
    "host",
    "port",
    "user",
    "dbname",
    "service",
    "passfile",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
    "application_name",
];

/// Files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// Certificates to trust; without it `~/.postgresql/root.crt`, then those of the system.
    pub(crate) roots: Option<PathBuf>,
    /// Whether the system's certificates were asked for (`sslrootcert=system`).
    pub(crate) system: bool,
    /// The client's own certificate.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// Where a database is and how to get in. Prints without secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PgAddress {
    /// A name, an IP address, or the folder of a Unix socket.
    pub(crate) host: String,
    /// Also part of the socket's name.
    pub(crate) port: u16,
    /// The role.
    pub(crate) user: String,
    /// The database.
    pub(crate) database: String,
    /// How the connection is protected.
    pub(crate) tls: TlsMode,
    /// With which files.
    pub(crate) files: TlsFiles,
    /// How long to wait for a connection; None: without end.
    pub(crate) connect_timeout: Option<Duration>,
    /// None where the server asks for none, or knows the user otherwise.
    pub(crate) password: Option<Secret>,
}

impl fmt::Display for PgAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_socket() {
            write!(f, "postgres://{}@/{}?host={}&port={}", self.user, self.database, self.host, self.port)
        } else if self.host.contains(':') {
            write!(f, "postgres://{}@[{}]:{}/{}", self.user, self.host, self.port, self.database)
        } else {
            write!(f, "postgres://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
        }
    }
}

impl fmt::Debug for PgAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgAddress({self}, {:?})", self.tls)
    }
}

impl PgAddress {
    /// Reads LOCATION. Relative paths of certificates are relative to `folder`.
    ///
    /// # Errors
    /// [`LiveFault::Address`], [`LiveFault::File`]. None shows the text: it may have a password.
    pub(crate) fn parse(text: &str, folder: &Path, surroundings: &Surroundings) -> Result<Self, LiveFault> {
        let mut given = Given { folder, ..Given::read(text)? };
        let named = given.take("service").or_else(|| surroundings.var("PGSERVICE"));
        let service = named.map(|name| read_service(&name, surroundings)).transpose()?.unwrap_or_default();
        check_known(&service.parameters)?;
        given.resolve(&service, surroundings)
    }

    /// Whether the host is the folder of a Unix socket.
    pub(crate) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Parameters of the address; those of its authority and path come first.
struct Given<'a> {
    parameters: Vec<(String, String)>,
    folder: &'a Path,
}

impl Given<'_> {
    fn read(text: &str) -> Result<Self, LiveFault> {
        let (url, has_host) = DatabaseUrl::read(text).map_err(|error| not_a_url(error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(AddressFault::Scheme {
                scheme: url.scheme().to_owned(),
                known: "postgres:// or postgresql://",
            }
            .into());
        }
        if url.password().is_some() {
            return Err(AddressFault::Password { places: PASSWORD_PLACES }.into());
        }
        if url.fragment().is_some() {
            return Err(not_a_url("a # has to be written as %23".to_owned()).into());
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, text: &str| -> Result<(), AddressFault> {
            let bad = |_| not_a_url(format!("the {name} is not UTF-8"));
            let text = percent_decode_str(text).decode_utf8().map_err(bad)?;
            if !text.is_empty() {
                parameters.push((name.to_owned(), text.into_owned()));
            }
            Ok(())
        };
        let host = url.host_str().filter(|_| has_host).unwrap_or_default();
        add("host", host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))?;
        add("user", url.username())?;
        add("dbname", url.path().strip_prefix('/').unwrap_or_default())?;
        parameters.extend(url.port().map(|port| ("port".to_owned(), port.to_string())));
        for (name, value) in url.query_pairs() {
            if DatabaseUrl::is_password(&name) {
                return Err(AddressFault::Password { places: PASSWORD_PLACES }.into());
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        check_known(&parameters)?;
        Ok(Self { parameters, folder: Path::new("") })
    }

    /// The last one wins, as with libpq.
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.parameters.iter().rposition(|(given, _)| given == name)?;
        Some(self.parameters.remove(at).1)
    }

    fn resolve(mut self, service: &Service, surroundings: &Surroundings) -> Result<PgAddress, LiveFault> {
        let folder = self.folder;
        let mut find = |name: &str, var: &str| {
            let of_service = || service.parameters.iter().rev().find(|(given, _)| given == name);
            self.take(name)
                .or_else(|| of_service().map(|(_, value)| value.clone()))
                .or_else(|| surroundings.var(var))
                .filter(|value| !value.is_empty())
        };
        let missing = |what, way| AddressFault::Missing { what, way };
        let host = find("host", "PGHOST")
            .ok_or(missing("host", "write postgres://user@host/database, ?host=, ?service=, or set PGHOST"))?;
        if host.contains(',') {
            let reason = "only one host is read: every connection has to see the same snapshot".to_owned();
            return Err(AddressFault::Value { name: "host", value: host, reason }.into());
        }
        let port = match find("port", "PGPORT") {
            Some(value) => number("port", &value)?,
            None => PORT,
        };
        let user =
            find("user", "PGUSER").ok_or(missing("user", "write postgres://user@host/database, or set PGUSER"))?;
        let database = find("dbname", "PGDATABASE")
            .ok_or(missing("database", "write postgres://user@host/database, or set PGDATABASE"))?;
        let tls = match find("sslmode", "PGSSLMODE") {
            Some(value) => tls_mode(&value)?,
            None if is_this_machine(&host) => TlsMode::Disable,
            None => TlsMode::VerifyFull,
        };
        let connect_timeout = find("connect_timeout", "PGCONNECT_TIMEOUT");
        let connect_timeout = connect_timeout.map(|value| number("connect_timeout", &value)).transpose()?;
        let connect_timeout = connect_limit(connect_timeout);
        let path = |text: String| folder.join(text);
        let passfile = find("passfile", "PGPASSFILE");
        let (roots, certificate, key) =
            (find("sslrootcert", "PGSSLROOTCERT"), find("sslcert", "PGSSLCERT"), find("sslkey", "PGSSLKEY"));
        let system = roots.as_deref() == Some("system");
        let roots = roots.filter(|_| !system).map(path);
        let own = |name: &str| surroundings.home().map(|home| home.join(".postgresql").join(name));
        let there = |name: &str| own(name).filter(|path| path.exists());
        let files = TlsFiles {
            roots: roots.or_else(|| there("root.crt").filter(|_| !system)),
            system,
            certificate: certificate.map(path).or_else(|| there("postgresql.crt")),
            key: key.map(path).or_else(|| there("postgresql.key")),
        };
        let wanted = PasswordFor { host: &host, port, database: &database, user: &user };
        let password = match &service.password {
            Some(secret) => Some(secret.clone()),
            None => password(surroundings, &wanted, passfile.map(path).as_deref())?,
        };
        Ok(PgAddress { host, port, user, database, tls, files, connect_timeout, password })
    }
}

fn not_a_url(reason: String) -> AddressFault {
    AddressFault::Url { example: "postgres://user@host:5432/database?sslmode=verify-full", reason }
}

fn check_known(parameters: &[(String, String)]) -> Result<(), AddressFault> {
    match parameters.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        Some((name, _)) => Err(AddressFault::Parameter { name: name.clone(), known: KNOWN.join(", ") }),
        None => Ok(()),
    }
}

fn number<T: std::str::FromStr>(name: &'static str, value: &str) -> Result<T, AddressFault> {
    let bad = |_| AddressFault::Value { name, value: value.to_owned(), reason: "is not a number that fits".to_owned() };
    value.parse().map_err(bad)
}

fn tls_mode(value: &str) -> Result<TlsMode, AddressFault> {
    Ok(match value {
        "disable" => TlsMode::Disable,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => {
            let reason = match value {
                "allow" | "prefer" => "may end up without encryption; say disable or verify-full",
                _ => "is not disable, require, verify-ca or verify-full",
            };
            return Err(AddressFault::Value { name: "sslmode", value: value.to_owned(), reason: reason.to_owned() });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PgAddress, LiveFault> {
        PgAddress::parse(text, Path::new("/conf"), &Surroundings::default())
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_address_is_read() {
        let address =
            parse("postgres://me%40x@db.example:5433/my%20shop?sslmode=verify-ca&sslrootcert=ca.pem").unwrap();
        assert_eq!((address.user.as_str(), address.host.as_str(), address.port), ("me@x", "db.example", 5433));
        assert_eq!((address.database.as_str(), address.tls), ("my shop", TlsMode::VerifyCa));
        assert_eq!(address.files.roots.as_deref(), Some(Path::new("/conf/ca.pem")));
    }

    #[test]
    fn tls_is_verified_unless_the_host_is_this_machine() {
        let tls = |text: &str| parse(text).unwrap().tls;
        assert_eq!(tls("postgres://u@db/shop"), TlsMode::VerifyFull);
        assert_eq!(tls("postgres://u@10.0.0.1/shop"), TlsMode::VerifyFull);
        for local in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert_eq!(tls(&format!("postgresql://u@{local}/shop")), TlsMode::Disable, "{local}");
        }
        assert_eq!(tls("postgres://u@/shop?host=/var/run/postgresql"), TlsMode::Disable);
        assert_eq!(tls("postgres://u@127.0.0.1/shop?sslmode=verify-full"), TlsMode::VerifyFull);
        assert!(error("postgres://u@db/shop?sslmode=prefer").contains("without encryption"));
    }

    #[test]
    fn a_password_is_refused_and_never_shown() {
        for text in [
            "postgres://me:geheim@db/shop",
            "postgres://me@db/shop?password=geheim",
            "postgres://me@db/shop?sslPassword=geheim",
            "postgres://me@db/shop?pwd=geheim",
            "postgres://me:geheim@db:99999/shop",
            "postgres://me:geheim@db/shop?sslmode=nonsense",
        ] {
            assert!(!error(text).contains("geheim"), "{text}");
        }
        assert!(error("postgres://me:geheim@db/shop").contains("~/.pgpass"));
    }

    #[test]
    fn connection_waits_as_long_as_it_is_said() {
        let limit = |text: &str, vars: &[(&str, &str)]| {
            let address = PgAddress::parse(text, Path::new(""), &Surroundings::of(vars, None));
            address.unwrap().connect_timeout.map(|limit| limit.as_secs())
        };
        assert_eq!(limit("postgres://u@db/shop", &[]), Some(30));
        assert_eq!(limit("postgres://u@db/shop?connect_timeout=5", &[("PGCONNECT_TIMEOUT", "0")]), Some(5));
        assert_eq!(limit("postgres://u@db/shop", &[("PGCONNECT_TIMEOUT", "0")]), None);
    }

    #[test]
    fn unknown_parameters_and_several_hosts_are_refused() {
        assert!(error("postgres://u@db/shop?options=-c%20x").contains("unknown parameter \"options\"; known are host"));
        assert!(error("postgres://u@/shop?host=a,b").contains("only one host"));
        assert!(error("mysql://u@db/shop").contains("mysql:// is not"));
        assert!(error("postgres:///shop").starts_with("no host"));
        assert!(error("postgres://db/shop").starts_with("no user"));
        assert!(error("postgres://u@db").starts_with("no database"));
    }

    #[test]
    fn what_the_address_leaves_out_comes_from_service_then_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".pg_service.conf"), "[prod]\nhost=db1\nport=6000\nsslmode=verify-ca\n")
            .unwrap();
        let vars = [("PGUSER", "envuser"), ("PGHOST", "envhost"), ("PGPASSWORD", "geheim")];
        let surroundings = Surroundings::of(&vars, Some(folder.path()));
        let address = PgAddress::parse("postgres:///shop?service=prod", Path::new(""), &surroundings).unwrap();
        assert_eq!(address.to_string(), "postgres://envuser@db1:6000/shop");
        assert_eq!(address.tls, TlsMode::VerifyCa);
        assert_eq!(address.password.as_ref().unwrap().reveal(), "geheim");
        assert!(!format!("{address:?}").contains("geheim"));
        let error = PgAddress::parse("postgres:///shop?service=none", Path::new(""), &surroundings).unwrap_err();
        assert!(error.to_string().starts_with("there is no service \"none\" in "), "{error}");
    }

    #[test]
    fn a_socket_and_an_ipv6_host_print_as_addresses_again() {
        for text in ["postgres://u@/shop?host=/run/pg&port=5433", "postgres://u@[::1]:5432/shop"] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(parse(&address.to_string()).unwrap(), address);
        }
        let address = parse("postgres://u@:5433/shop?host=/run/pg").unwrap();
        assert_eq!(address.to_string(), "postgres://u@/shop?host=/run/pg&port=5433");
    }
}
