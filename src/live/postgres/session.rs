//! One connection: how it is made, what is pinned in it, and how it ends.
//!
//! All settings are those of one transaction (SET LOCAL): a pooler in between gives back what it lent. What a role or a
//! database has set for itself (date style, time limits, search path, row security) must not change what is read.
//! Dropping a [`PgSession`] closes the socket at once, in the middle of a COPY too; the driver alone would first read
//! the rest of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, NoTls, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::PgAddress;
use super::driver_error::{is_lost, server_text};
use super::tls::client_config;
use crate::live::fault::LiveFault;
use crate::live::patience::connected;
use crate::live::protection::TlsMode;

/// Routers forget idle connections, mostly after five minutes or more; the holder of a snapshot is idle for hours.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Ends a transaction's time limits, and gives every value one form, whatever the role's own settings are.
const PINNED: &str = "SET LOCAL search_path = pg_catalog; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; \
    SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL row_security = off; SET LOCAL synchronize_seqscans = off; SET LOCAL enable_tidscan = on; \
    SET LOCAL xmlbinary = 'base64'; SET LOCAL quote_all_identifiers = off;";

/// A connection to PostgreSQL.
pub(crate) struct PgSession {
    client: Client,
    driver: JoinHandle<()>,
    ended: watch::Receiver<bool>,
    why: Arc<Mutex<String>>,
    /// Such as 150018; 0 where the server's word is not understood.
    version: u32,
    version_text: String,
}

impl Drop for PgSession {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl PgSession {
    /// # Errors
    /// [`LiveFault::Connect`], [`LiveFault::File`].
    pub(crate) async fn connect(address: &PgAddress) -> Result<Self, LiveFault> {
        let mut config = Config::new();
        config.user(&address.user).dbname(&address.database).port(address.port);
        config.application_name("snaplake");
        config.keepalives(true).keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 4).keepalives_retries(4);
        if address.is_socket() {
            config.host_path(&address.host);
        } else {
            config.host(&address.host);
        }
        if let Some(password) = &address.password {
            config.password(password.reveal());
        }
        let tls = match address.tls {
            TlsMode::Disable => None,
            _ if address.is_socket() => None,
            _ => Some(MakeRustlsConnect::new(client_config(address)?)),
        };
        // The limit is for all of it: a server that takes the connection and says nothing is none, too.
        let starting = async {
            match tls {
                Some(tls) => start(config.ssl_mode(SslMode::Require), tls).await,
                None => start(config.ssl_mode(SslMode::Disable), NoTls).await,
            }
        };
        connected(address.connect_timeout, starting)
            .await?
            .map_err(|error| LiveFault::Connect { reason: server_text(&error), help: connect_help(&error).to_owned() })
    }

    /// The server's version as a number, such as 150018.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// As the server says it, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub(crate) fn version_text(&self) -> &str {
        &self.version_text
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a transaction that sees one snapshot of the database, with everything pinned that changes how values
    /// print or how long it may take. No snapshot is taken yet.
    ///
    /// # Errors
    /// Those of the server.
    pub(crate) async fn begin(&self, lock_timeout: Duration) -> Result<(), tokio_postgres::Error> {
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {PINNED} SET LOCAL lock_timeout = {};",
            lock_timeout.as_millis()
        );
        // Expressions are compiled for nothing in a COPY; the parallel plan of one has no order.
        if self.version >= 110_000 {
            sql.push_str(" SET LOCAL jit = off;");
        }
        sql.push_str(" SET LOCAL max_parallel_workers_per_gather = 0;");
        if self.version >= 170_000 {
            sql.push_str(" SET LOCAL transaction_timeout = 0;");
        }
        self.client.batch_execute(&sql).await?;
        if self.version >= 140_000 {
            // The server notices within a long sort that nobody listens any more. Not every system lets it.
            self.try_setting("client_connection_check_interval = '10s'").await?;
        }
        Ok(())
    }

    /// A setting that some servers refuse. The transaction goes on without it, and no snapshot is taken.
    async fn try_setting(&self, setting: &str) -> Result<(), tokio_postgres::Error> {
        let sql = format!("SAVEPOINT tried; SET LOCAL {setting}; RELEASE SAVEPOINT tried");
        match self.client.batch_execute(&sql).await {
            Err(error) if !is_lost(&error) => {
                self.client.batch_execute("ROLLBACK TO SAVEPOINT tried; RELEASE SAVEPOINT tried").await
            }
            other => other,
        }
    }

    /// A question that some servers or roles do not answer. The transaction goes on as if it had not been asked.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(crate) async fn ask(&self, sql: &str) -> Result<Option<Row>, tokio_postgres::Error> {
        self.client.batch_execute("SAVEPOINT asked").await?;
        if let Ok(row) = self.client.query_opt(sql, &[]).await {
            self.client.batch_execute("RELEASE SAVEPOINT asked").await?;
            return Ok(row);
        }
        self.client.batch_execute("ROLLBACK TO SAVEPOINT asked; RELEASE SAVEPOINT asked").await?;
        Ok(None)
    }

    /// Waits until the connection is gone, and says why.
    pub(crate) async fn lost(&self) -> String {
        let mut ended = self.ended.clone();
        // An error means that the driver is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What to do when there is no connection.
fn connect_help(error: &tokio_postgres::Error) -> &'static str {
    const PASSWORD: &str = "check the user, and the password in PGPASSWORD, ~/.pgpass or a service file";
    match error.as_db_error().map(|db| db.code().code()) {
        Some(code) if code.starts_with("28") => PASSWORD,
        Some("3D000") => "check the database in LOCATION, the part after the last /",
        Some("53300") => "wait until the server has a free connection, or lower the number of --threads",
        Some(_) => "see the log of the server",
        None if server_text(error).contains("password missing") => PASSWORD,
        None => {
            "check host, port and sslmode in LOCATION, and that the server runs and takes connections from this machine"
        }
    }
}

async fn start<T>(config: &Config, tls: T) -> Result<PgSession, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    let version_text = connection.parameter("server_version").unwrap_or_default().to_owned();
    let (tell, ended) = watch::channel(false);
    let why = Arc::new(Mutex::new("the connection was closed".to_owned()));
    let reason = Arc::clone(&why);
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            *reason.lock().unwrap_or_else(PoisonError::into_inner) = server_text(&error);
        }
        let _ = tell.send(true);
    });
    Ok(PgSession { client, driver, ended, why, version: version_number(&version_text), version_text })
}

/// `15.18 (Debian)` -> 150018, `9.6.24` -> 90624, `17beta1` -> 170000.
fn version_number(text: &str) -> u32 {
    let digits = |part: &str| {
        let end = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse::<u32>().unwrap_or(0).min(9999)
    };
    let mut parts = text.split(['.', ' ']).map(digits);
    let mut next = || parts.next().unwrap_or(0);
    let (major, minor, patch) = (next(), next(), next());
    if major >= 10 { major * 10_000 + minor } else { major * 10_000 + minor * 100 + patch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_server_counts_them() {
        for (text, number) in [
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("9.6.24", 90_624),
            ("17beta1", 170_000),
            ("18devel", 180_000),
            ("13.0.0", 130_000),
            ("", 0),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }
}
