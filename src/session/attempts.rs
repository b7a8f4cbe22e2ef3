//! Counts what is sent to object stores over HTTP, and what of it failed: the client below repeats failed requests by
//! itself, with backoff and jitter, and says nothing of it.
//!
//! The first failures of a process are logged as warnings, so that a wrong endpoint is seen before the client has given
//! up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// Failures that are logged; later ones are only counted.
const TOLD: u64 = 5;

/// Requests to object stores so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// All that were sent, repeated ones too.
    pub sent: u64,
    /// Of these, failed for a reason that is worth a repetition: by HTTP status or by what happened.
    pub failed: BTreeMap<String, u64>,
}

/// Requests of all clients of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestAttempts(Arc<Mutex<Requests>>);

impl RequestAttempts {
    pub(crate) fn so_far(&self) -> Requests {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, host: &str, failure: Option<String>) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.sent += 1;
        let Some(failure) = failure else { return };
        if requests.failed.values().sum::<u64>() < TOLD {
            tracing::warn!(host, failure, "a request failed; it is sent again if it can be");
        }
        *requests.failed.entry(failure).or_default() += 1;
    }
}

impl HttpConnector for RequestAttempts {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CountingService { inner, attempts: self.clone() }))
    }
}

#[derive(Debug)]
struct CountingService {
    inner: HttpClient,
    attempts: RequestAttempts,
}

#[async_trait]
impl HttpService for CountingService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Neither path nor query: a query may be signed.
        let host = request.uri().authority().map_or_else(String::new, |authority| authority.host().to_owned());
        let result = self.inner.execute(request).await;
        let failure = match &result {
            Ok(answer) if answer.status().is_server_error() || answer.status().as_u16() == 429 => {
                Some(answer.status().as_u16().to_string())
            }
            Ok(_) => None,
            Err(error) => Some(kind(error.kind()).to_owned()),
        };
        self.attempts.add(&host, failure);
        result
    }
}

fn kind(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "no connection",
        HttpErrorKind::Request => "not sent",
        HttpErrorKind::Timeout => "timeout",
        HttpErrorKind::Interrupted => "interrupted",
        _ => "other",
    }
}
