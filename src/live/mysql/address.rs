//! The address of a MySQL or MariaDB database: LOCATION, what option files add, and how TLS is checked.
//!
//! ```text
//! mysql://user@host:3306/shop?ssl-ca=ca.pem      mariadb://user@host/shop
//! mysql://user@localhost/shop?socket=/run/mysqld/mysqld.sock
//! ```
//!
//! Parameters have the names of the clients' options. What the address leaves out comes from the option file: the one
//! that `defaults-file` names, or `~/.my.cnf`; the password from there or from `MYSQL_PWD`, in the clients' order. A
//! password in the address is refused: configs, logs, plans and manifests show addresses. TLS is verified in full
//! unless the host is this machine: the clients' default `PREFERRED` takes an unencrypted connection from whoever
//! answers. `VERIFY_CA` is refused: the driver checks the name of the host with the certificate, or neither. The
//! variables of the environment but `MYSQL_PWD` are not read, as the clients do not all read them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::option_file::OptionFile;
use crate::config::DatabaseUrl;
use crate::live::fault::{AddressFault, LiveFault};
use crate::live::patience::connect_limit;
use crate::live::protection::{TlsMode, is_this_machine};
use crate::live::secret::Secret;
use crate::live::surroundings::Surroundings;

const PORT: u16 = 3306;
const EXAMPLE: &str = "mysql://user@host:3306/database?ssl-ca=ca.pem";
const PASSWORD_PLACES: &str = "~/.my.cnf, as [client] and password=..., or into MYSQL_PWD";
const KNOWN: &[&str] = &["socket", "defaults-file", "ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "connect-timeout"];

/// Where a database is and how to get in. Prints without secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MySqlAddress {
    /// A name or an IP address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A Unix socket, which is used instead of host and port.
    pub(crate) socket: Option<String>,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) tls: TlsMode,
    /// Certificates to trust; without it those of the system.
    pub(crate) ssl_ca: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub(crate) ssl_own: Option<(PathBuf, PathBuf)>,
    /// How long to wait for a connection; None: without end.
    pub(crate) connect_timeout: Option<Duration>,
    /// None where the server asks for none.
    pub(crate) password: Option<Secret>,
}

impl fmt::Display for MySqlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.socket {
            write!(f, "mysql://{}@localhost/{}?socket={socket}", self.user, self.database)
        } else if self.host.contains(':') {
            write!(f, "mysql://{}@[{}]:{}/{}", self.user, self.host, self.port, self.database)
        } else {
            write!(f, "mysql://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
        }
    }
}

impl fmt::Debug for MySqlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySqlAddress({self}, {:?})", self.tls)
    }
}

impl MySqlAddress {
    /// Reads LOCATION. Relative paths of certificates are relative to `folder`.
    ///
    /// # Errors
    /// [`LiveFault::Address`], [`LiveFault::File`]. None shows the text: it may have a password.
    pub(crate) fn parse(text: &str, folder: &Path, surroundings: &Surroundings) -> Result<Self, LiveFault> {
        let (url, has_host) = DatabaseUrl::read(text).map_err(|error| not_a_url(error.to_string()))?;
        let parameters = parameters(&url, has_host)?;
        let given = |name: &str| parameters.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value);
        let file = match (given("defaults-file"), surroundings.home()) {
            (Some(path), _) => OptionFile::read(&folder.join(path), true)?,
            (None, Some(home)) => OptionFile::read(&home.join(".my.cnf"), false)?,
            (None, None) => OptionFile::default(),
        };
        let find = |name: &str| {
            let value = given(name).map(String::as_str).filter(|value| !value.is_empty());
            value.or_else(|| file.get(name)).map(str::to_owned)
        };
        let missing = |what, way| AddressFault::Missing { what, way };
        // A socket in the file is for who names no host, neither in the address nor in the file.
        let host = find("host");
        let names_host = host.as_deref().is_some_and(|host| host != "localhost");
        let socket =
            given("socket").cloned().or_else(|| find("socket").filter(|_| !names_host && given("port").is_none()));
        let host = host.or_else(|| socket.is_some().then(|| "localhost".to_owned()));
        let host = host.ok_or(missing("host", "write mysql://user@host/database, ?socket=, or host= in ~/.my.cnf"))?;
        let port = match find("port") {
            Some(value) => number("port", &value)?,
            None => PORT,
        };
        let user = find("user").ok_or(missing("user", "write mysql://user@host/database, or user= in ~/.my.cnf"))?;
        let database = given("database").cloned();
        let database = database.ok_or(missing("database", "write mysql://user@host/database"))?;
        let tls = match find("ssl-mode") {
            Some(value) => tls_mode(&value)?,
            None if socket.is_some() || is_this_machine(&host) => TlsMode::Disable,
            None => TlsMode::VerifyFull,
        };
        let connect_timeout = find("connect-timeout").map(|value| number("connect-timeout", &value)).transpose()?;
        let connect_timeout = connect_limit(connect_timeout);
        let path = |name: &str| find(name).map(|path| folder.join(path));
        let ssl_own = match (path("ssl-cert"), path("ssl-key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(missing("ssl-key", "ssl-cert needs it, as ?ssl-key=FILE").into()),
            (None, Some(_)) => return Err(missing("ssl-cert", "ssl-key needs it, as ?ssl-cert=FILE").into()),
        };
        let password = file.password.clone().or_else(|| surroundings.var("MYSQL_PWD").map(Secret::new));
        let ssl_ca = path("ssl-ca");
        Ok(Self { host, port, socket, user, database, tls, ssl_ca, ssl_own, connect_timeout, password })
    }
}

/// What the address says, by the names of the options.
fn parameters(url: &Url, has_host: bool) -> Result<Vec<(String, String)>, AddressFault> {
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err(AddressFault::Scheme { scheme: url.scheme().to_owned(), known: "mysql:// or mariadb://" });
    }
    if url.password().is_some() {
        return Err(AddressFault::Password { places: PASSWORD_PLACES });
    }
    if url.fragment().is_some() {
        return Err(not_a_url("a # has to be written as %23".to_owned()));
    }
    let mut parameters: Vec<(String, String)> = Vec::new();
    let host = url.host_str().filter(|_| has_host).unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let database = url.path().strip_prefix('/').unwrap_or_default();
    for (name, text) in [("host", host), ("user", url.username()), ("database", database)] {
        let bad = |_| not_a_url(format!("the {name} is not UTF-8"));
        let text = percent_decode_str(text).decode_utf8().map_err(bad)?;
        if !text.is_empty() {
            parameters.push((name.to_owned(), text.into_owned()));
        }
    }
    parameters.extend(url.port().map(|port| ("port".to_owned(), port.to_string())));
    for (name, value) in url.query_pairs() {
        let name = name.replace('_', "-");
        if DatabaseUrl::is_password(&name) {
            return Err(AddressFault::Password { places: PASSWORD_PLACES });
        }
        if !KNOWN.contains(&name.as_str()) {
            return Err(AddressFault::Parameter { name, known: KNOWN.join(", ") });
        }
        parameters.push((name, value.into_owned()));
    }
    Ok(parameters)
}

fn not_a_url(reason: String) -> AddressFault {
    AddressFault::Url { example: EXAMPLE, reason }
}

fn number<T: std::str::FromStr>(name: &'static str, value: &str) -> Result<T, AddressFault> {
    let bad = |_| AddressFault::Value { name, value: value.to_owned(), reason: "is not a number that fits".to_owned() };
    value.parse().map_err(bad)
}

fn tls_mode(value: &str) -> Result<TlsMode, AddressFault> {
    let reason = match value.to_ascii_uppercase().as_str() {
        "DISABLED" => return Ok(TlsMode::Disable),
        "REQUIRED" => return Ok(TlsMode::Require),
        "VERIFY_IDENTITY" => return Ok(TlsMode::VerifyFull),
        "PREFERRED" => "may end up without encryption; say DISABLED or VERIFY_IDENTITY",
        "VERIFY_CA" => "is not supported; say VERIFY_IDENTITY, with a certificate that names the host, or REQUIRED",
        _ => "is not DISABLED, REQUIRED or VERIFY_IDENTITY",
    };
    Err(AddressFault::Value { name: "ssl-mode", value: value.to_owned(), reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MySqlAddress, LiveFault> {
        MySqlAddress::parse(text, Path::new("/conf"), &Surroundings::default())
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_address_is_read() {
        let address =
            parse("mariadb://me%40x@db.example:3307/my%20shop?ssl-ca=ca.pem&ssl_mode=verify_identity").unwrap();
        assert_eq!((address.user.as_str(), address.host.as_str(), address.port), ("me@x", "db.example", 3307));
        assert_eq!((address.database.as_str(), address.tls), ("my shop", TlsMode::VerifyFull));
        assert_eq!(address.ssl_ca.as_deref(), Some(Path::new("/conf/ca.pem")));
        assert_eq!(address.to_string(), "mysql://me@x@db.example:3307/my shop");
        let address = parse("mysql://u@localhost/shop?socket=/run/my.sock").unwrap();
        assert_eq!(address.to_string(), "mysql://u@localhost/shop?socket=/run/my.sock");
        assert_eq!(parse("mysql://u@/shop?socket=/run/my.sock").unwrap(), address);
    }

    #[test]
    fn connection_waits_as_long_as_it_is_said() {
        let limit = |text: &str| parse(text).unwrap().connect_timeout.map(|limit| limit.as_secs());
        assert_eq!(limit("mysql://u@db/shop"), Some(30));
        assert_eq!(limit("mysql://u@db/shop?connect-timeout=5"), Some(5));
        assert_eq!(limit("mysql://u@db/shop?connect_timeout=0"), None);
    }

    #[test]
    fn certificate_and_key_are_both_there_or_neither() {
        let address = parse("mysql://u@db/shop?ssl-cert=c.pem&ssl-key=k.pem").unwrap();
        assert_eq!(address.ssl_own, Some(("/conf/c.pem".into(), "/conf/k.pem".into())));
        assert!(error("mysql://u@db/shop?ssl-cert=c.pem").starts_with("no ssl-key: ssl-cert needs it"));
        assert!(error("mysql://u@db/shop?ssl-key=k.pem").starts_with("no ssl-cert: ssl-key needs it"));
    }

    #[test]
    fn tls_is_verified_unless_the_host_is_this_machine() {
        let tls = |text: &str| parse(text).unwrap().tls;
        assert_eq!(tls("mysql://u@db/shop"), TlsMode::VerifyFull);
        assert_eq!(tls("mysql://u@10.0.0.1/shop"), TlsMode::VerifyFull);
        for local in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(tls(&format!("mysql://u@{local}/shop")), TlsMode::Disable, "{local}");
        }
        assert_eq!(tls("mysql://u@db/shop?ssl-mode=REQUIRED"), TlsMode::Require);
        assert!(error("mysql://u@db/shop?ssl-mode=preferred").contains("without encryption"));
        assert!(error("mysql://u@db/shop?ssl-mode=VERIFY_CA").contains("say VERIFY_IDENTITY"));
    }

    #[test]
    fn a_password_is_refused_and_never_shown() {
        for text in [
            "mysql://me:geheim@db/shop",
            "mysql://me@db/shop?password=geheim",
            "mysql://me@db/shop?PassWd=geheim",
            "mysql://me@db/shop?PWD=geheim",
            "mysql://me:geheim@db:99999/shop",
            "mysql://me:geheim@db/shop?ssl-mode=nonsense",
        ] {
            assert!(!error(text).contains("geheim"), "{text}");
        }
        assert!(error("mysql://me:geheim@db/shop").contains("MYSQL_PWD"));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert!(
            error("mysql://u@db/shop?init-command=x").contains("unknown parameter \"init-command\"; known are socket")
        );
        assert!(error("postgres://u@db/shop").contains("postgres:// is not mysql://"));
        assert!(error("mysql://db/shop").starts_with("no user"));
        assert!(error("mysql://u@db").starts_with("no database"));
        assert!(error("mysql://u@db/shop?connect-timeout=soon").contains("is not a number that fits"));
    }

    #[test]
    fn what_the_address_leaves_out_comes_from_the_option_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".my.cnf");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            }
        };
        let surroundings = Surroundings::of(&[("MYSQL_PWD", "umgebung")], Some(folder.path()));
        let parse = |text: &str| MySqlAddress::parse(text, Path::new(""), &surroundings).unwrap();
        write("[client]\nuser=reader\nport=3310\nsocket=/run/my.sock\npassword=geheim\n");
        let address = parse("mysql://db.example/shop");
        assert_eq!(address.to_string(), "mysql://reader@db.example:3310/shop");
        assert_eq!(address.password.as_ref().unwrap().reveal(), "geheim");
        assert!(!format!("{address:?}").contains("geheim"));
        assert_eq!(parse("mysql://localhost/shop").socket.as_deref(), Some("/run/my.sock"));
        assert_eq!(parse("mysql://localhost:3306/shop").to_string(), "mysql://reader@localhost:3306/shop");
        write("[client]\nuser=reader\nhost=db.example\nsocket=/run/my.sock\n");
        assert_eq!(parse("mysql:///shop").to_string(), "mysql://reader@db.example:3306/shop");
        assert_eq!(parse("mysql://localhost/shop").socket.as_deref(), Some("/run/my.sock"));
        write("[client]\nuser=reader\n");
        assert_eq!(parse("mysql://127.0.0.1/shop").password.unwrap().reveal(), "umgebung");
    }
}
