//! How long a server may take to make a connection.

use std::time::Duration;

use super::fault::LiveFault;

/// A host that does not answer is an error long before a person gives up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The limit for a connection: in seconds as it is set, if it is. 0 is no limit, as for the clients of the servers.
pub(crate) fn connect_limit(seconds: Option<u64>) -> Option<Duration> {
    match seconds {
        None => Some(CONNECT_TIMEOUT),
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds)),
    }
}

/// What connecting leads to, up to the limit.
///
/// # Errors
/// [`LiveFault::Connect`] after it.
pub(crate) async fn connected<T>(limit: Option<Duration>, connecting: impl Future<Output = T>) -> Result<T, LiveFault> {
    let connecting = Box::pin(connecting);
    let Some(limit) = limit else { return Ok(connecting.await) };
    tokio::time::timeout(limit, connecting).await.map_err(|_| LiveFault::Connect {
        reason: format!("no answer in {} s", limit.as_secs()),
        help: "check host and port in LOCATION, and that no firewall is in between".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn zero_is_no_limit_and_a_limit_ends_what_takes_longer() {
        assert_eq!(connect_limit(None), Some(CONNECT_TIMEOUT));
        assert_eq!(connect_limit(Some(7)), Some(Duration::from_secs(7)));
        assert_eq!(connect_limit(Some(0)), None);
        assert_eq!(connected(None, async { 1 }).await.ok(), Some(1));
        let never = connected(Some(Duration::from_millis(1)), std::future::pending::<()>()).await;
        assert!(never.is_err_and(|fault| fault.to_string().contains("no answer in 0 s")));
    }
}
