//! Errors of the driver: what the server or the network reports, and whether the connection is gone.

/// What the server or the network reports, without the driver's wrapping.
pub(crate) fn server_text(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    if let Some(db) = error.as_db_error() {
        let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        for more in [db.detail(), db.hint()].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more);
        }
        return text;
    }
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        inner = cause.source();
    }
    text
}

/// Whether the connection is gone, rather than the statement refused.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || match error.as_db_error() {
            // Class 57P: the server is shutting down, crashed, or ended this connection. Class 08: connection
            // exceptions.
            Some(db) => db.code().code().starts_with("57P") || db.code().code().starts_with("08"),
            None => std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>()),
        }
}
