//! One connection: how it is made, and what is pinned in it.
//!
//! What a server, a user or a role has set for itself (SQL mode, time zone, character set, limits of rows and time)
//! must not change what is read. `sql_mode` is empty: PAD_CHAR_TO_FULL_LENGTH and ANSI_QUOTES would change values and
//! names. Times print and come in UTC, and texts in utf8mb4, whatever they are stored in.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Error, OptsBuilder, Row, SslOpts};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::address::MySqlAddress;
use super::driver_error::{self, connect_help, server_text};
use crate::live::fault::LiveFault;
use crate::live::patience::connected;
use crate::live::protection::TlsMode;
use crate::live::secret::check_mode;

/// Routers forget idle connections, mostly after five minutes or more.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// The protocol's own limit of a value.
const MAX_PACKET: usize = 1 << 30;
/// How long the server waits for us to take rows; an upload may take its time.
const PATIENCE: u32 = 24 * 3600;

/// A connection to MySQL or MariaDB.
pub(super) struct MySqlSession {
    conn: Conn,
    /// As the server says it, such as `10.11.19-MariaDB`.
    pub(super) version: String,
    pub(super) is_mariadb: bool,
}

impl MySqlSession {
    /// # Errors
    /// [`LiveFault::Connect`], [`LiveFault::File`].
    pub(super) async fn connect(address: &MySqlAddress, lock_timeout: Duration) -> Result<Self, LiveFault> {
        let options = OptsBuilder::default()
            .ip_or_hostname(&address.host)
            .tcp_port(address.port)
            .socket(address.socket.clone())
            .user(Some(&address.user))
            .pass(address.password.as_ref().map(|password| password.reveal()))
            .db_name(Some(&address.database))
            .ssl_opts(ssl_options(address)?)
            // A socket that the server names would be another server behind a tunnel.
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(PATIENCE as usize))
            .tcp_keepalive(Some(KEEPALIVE));
        let failed =
            |error: &Error| LiveFault::Connect { reason: server_text(error), help: connect_help(error).to_owned() };
        let conn = connected(address.connect_timeout, Conn::new(options)).await?;
        let mut conn = conn.map_err(|error| failed(&error))?;
        let version: Option<Row> = conn.query_first("SELECT VERSION()").await.map_err(|error| failed(&error))?;
        let version = version.and_then(|row| text(&row, 0)).unwrap_or_default();
        let is_mariadb = version.contains("MariaDB");
        let mut session = Self { conn, version, is_mariadb };
        session.pin(lock_timeout).await?;
        Ok(session)
    }

    async fn pin(&mut self, lock_timeout: Duration) -> Result<(), LiveFault> {
        let values = format!(
            "SET SESSION sql_mode = '', time_zone = '+00:00', sql_select_limit = 18446744073709551615, \
             net_read_timeout = {PATIENCE}, net_write_timeout = {PATIENCE}, wait_timeout = {PATIENCE}, \
             lock_wait_timeout = {}",
            lock_timeout.as_secs().max(1)
        );
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        for statement in ["SET NAMES utf8mb4", &values, isolation] {
            self.execute(statement)
                .await
                .map_err(|error| driver_error::fault(&format!("run {statement}"), None, &error))?;
        }
        // Older versions do not have all of these; a limit that stays is an error that names it.
        let limits: &[&str] = if self.is_mariadb {
            &["max_statement_time = 0", "idle_transaction_timeout = 0", "idle_readonly_transaction_timeout = 0"]
        } else {
            &["max_execution_time = 0"]
        };
        for limit in limits {
            let asked = self.ask(&format!("SET SESSION {limit}")).await;
            asked.map_err(|error| driver_error::fault("lift its limits of time", None, &error))?;
        }
        Ok(())
    }

    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// A statement without rows, or whose rows do not matter.
    ///
    /// # Errors
    /// Those of the server.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), Error> {
        self.conn.query_drop(sql).await
    }

    /// Rows of a statement; all of them are in memory.
    ///
    /// # Errors
    /// Those of the server.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        self.conn.query(sql).await
    }

    /// A question that some servers or users do not get an answer to. A refusal does not end the transaction.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        match self.rows(sql).await {
            Err(Error::Server(_)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Ends the transaction and the connection.
    ///
    /// # Errors
    /// Those of the server.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.conn.query_drop("COMMIT").await?;
        // Everything is read; how the connection ends does not matter any more.
        let _ = self.conn.disconnect().await;
        Ok(())
    }
}

/// A text of a row; none for NULL.
pub(super) fn text(row: &Row, at: usize) -> Option<String> {
    row.get_opt::<Option<String>, _>(at).and_then(Result::ok).flatten()
}

/// None where the connection is not encrypted.
fn ssl_options(address: &MySqlAddress) -> Result<Option<SslOpts>, LiveFault> {
    if address.tls == TlsMode::Disable || address.socket.is_some() {
        return Ok(None);
    }
    // The driver takes the provider of the process; an error says that there is one.
    let _ = ring::default_provider().install_default();
    let mut options = SslOpts::default().with_disable_built_in_roots(true);
    options = match (&address.ssl_ca, address.tls) {
        (Some(path), _) => {
            let fault = |reason: String| LiveFault::File { path: path.clone(), reason };
            let found: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<_, _>>)
                .map_err(|error| fault(error.to_string()))?;
            if found.is_empty() {
                return Err(fault("has no PEM certificate".to_owned()));
            }
            options.with_root_certs(usable(found).into_iter().map(Into::into).collect())
        }
        // As asked for: whoever answers is believed. The driver wants a list of authorities all the same.
        (None, TlsMode::Require) => options
            .with_disable_built_in_roots(false)
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true),
        (None, _) => options.with_root_certs(
            usable(rustls_native_certs::load_native_certs().certs).into_iter().map(Into::into).collect(),
        ),
    };
    if let Some((certificate, key)) = &address.ssl_own {
        check_mode(key)?;
        options =
            options.with_client_identity(Some(ClientIdentity::new(certificate.clone().into(), key.clone().into())));
    }
    Ok(Some(options))
}

/// Those that rustls can trust: one of the system's that it cannot read would be an error of the driver.
fn usable(certificates: Vec<CertificateDer<'static>>) -> Vec<Vec<u8>> {
    let can_be_read = |one: &CertificateDer<'_>| RootCertStore::empty().add(one.clone().into_owned()).is_ok();
    certificates.into_iter().filter(can_be_read).map(|one| one.to_vec()).collect()
}
