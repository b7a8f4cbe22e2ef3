//! Errors of the driver: what the server or the network reports, and what that means for an export.
//!
//! Numbers of errors: "Server Error Message Reference" of the MySQL Reference Manual, "MariaDB Error Codes".

use mysql_async::{DriverError, Error, IoError};

use crate::live::fault::LiveFault;

const TLS_HELP: &str = "name the certificate of the authority with ?ssl-ca=FILE; the server's certificate must name the \
                        host in its subject alternative names";

/// What the server or the network reports, without the driver's wrapping.
pub(super) fn server_text(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("{} (error {}, SQLSTATE {})", error.message, error.code, error.state),
        Error::Io(IoError::Io(error)) => error.to_string(),
        Error::Io(IoError::Tls(error)) => error.to_string(),
        Error::Driver(DriverError::ConnectionClosed) => "the connection was closed".to_owned(),
        Error::Driver(error) => error.to_string().trim_end_matches('.').to_owned(),
        other => other.to_string(),
    }
}

/// What to do when there is no connection.
pub(super) fn connect_help(error: &Error) -> &'static str {
    match error {
        Error::Server(error) => match error.code {
            1045 | 1698 => "check the user, and the password in ~/.my.cnf or MYSQL_PWD",
            1044 => "GRANT SELECT on the tables of the database to the user",
            1049 => "check the database in LOCATION, the part after the last /",
            1040 | 1203 | 1226 => "wait until the server has a free connection",
            1130 => "create the user for this machine: CREATE USER ...@'this host'",
            _ => "see the log of the server",
        },
        Error::Io(IoError::Tls(_)) => TLS_HELP,
        // The handshake's errors come as those of the network.
        Error::Io(IoError::Io(error)) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => TLS_HELP,
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            "switch TLS on in the server; on a network that you trust, write ?ssl-mode=DISABLED"
        }
        Error::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled) => {
            "use a user that is IDENTIFIED WITH caching_sha2_password or mysql_native_password"
        }
        _ => "check host and port in LOCATION, and that the server runs and takes connections from this machine",
    }
}

/// The connection is gone, the table is another one, or the server refused the statement. `table` is its whole name.
pub(super) fn fault(doing: &str, table: Option<&str>, error: &Error) -> LiveFault {
    let reason = server_text(error);
    let server = |doing: String| LiveFault::Server { doing, reason: reason.clone() };
    match error {
        Error::Server(error) => match (error.code, table) {
            // Shutdown; a query or connection that somebody has ended; a time limit of the connection.
            (1053 | 1079 | 1152 | 1158..=1161 | 1184 | 1317 | 1927 | 3169 | 4031, _) => {
                LiveFault::HolderLost { reason }
            }
            // The table's definition has changed; it was truncated, or is gone.
            (1412 | 1146, Some(table)) => LiveFault::Rewritten { table: table.to_owned() },
            (1142 | 1143 | 1044, Some(table)) => LiveFault::Table {
                table: table.to_owned(),
                reason: format!("this user may not read all of it: GRANT SELECT on the whole table ({reason})"),
            },
            (1205, Some(table)) => LiveFault::Table {
                table: table.to_owned(),
                reason: "another connection changes its definition (ALTER TABLE or the like) and does not end; run \
                         again when it has ended"
                    .to_owned(),
            },
            _ => server(format!("the server refused to {doing}")),
        },
        _ => LiveFault::HolderLost { reason },
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;

    use super::*;

    #[test]
    fn errors_of_the_server_mean_a_lost_snapshot_a_changed_table_or_a_refusal() {
        let of = |code| Error::Server(ServerError { code, message: "m".into(), state: "HY000".into() });
        let fault = |code| fault("read shop.t", Some("shop.t"), &of(code));
        assert!(matches!(fault(1317), LiveFault::HolderLost { .. }));
        assert!(matches!(fault(1412), LiveFault::Rewritten { .. }));
        assert!(matches!(fault(1142), LiveFault::Table { .. }));
        assert_eq!(fault(1064).to_string(), "the server refused to read shop.t: m (error 1064, SQLSTATE HY000)");
        assert!(matches!(super::fault("x", None, &DriverError::ConnectionClosed.into()), LiveFault::HolderLost { .. }));
    }
}
