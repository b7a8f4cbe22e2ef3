//! Posts events to an OpenLineage endpoint, one after the other: each is told before the next.
//!
//! The token of the variable `OPENLINEAGE_API_KEY`, if it is set, is sent as bearer. What the endpoint does not take is an
//! error that tells how far it came; all events are the same when they are sent again, so a second try is safe.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Uri};
use object_store::ClientOptions;
use object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::redact::REDACTOR;

/// Variable with the endpoint's token.
const TOKEN: &str = "OPENLINEAGE_API_KEY";

/// How long one event may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer that are told.
const TOLD_BYTES: usize = 300;

/// Posts the events to `url`; gives how many.
///
/// # Errors
/// [`Error::Endpoint`].
pub(crate) async fn send(url: &str, events: &[Value]) -> Result<usize> {
    let failed = |sent: usize, reason: String| Error::Endpoint {
        url: REDACTOR.redact(url).into_owned(),
        sent,
        total: events.len(),
        reason: REDACTOR.redact(&reason).into_owned(),
    };
    let uri: Uri = url.parse().map_err(|_| failed(0, "it is not a URL".to_owned()))?;
    let bearer = match std::env::var(TOKEN) {
        Ok(token) => {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| failed(0, format!("{TOKEN} holds what no header may hold")))?;
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => None,
    };
    let options = ClientOptions::new().with_allow_http(true).with_timeout(PATIENCE).with_connect_timeout(PATIENCE);
    let client = ReqwestConnector::default().connect(&options).map_err(|error| failed(0, causes(&error)))?;
    for (sent, event) in events.iter().enumerate() {
        let mut request = HttpRequest::new(event.to_string().into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(bearer) = &bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        let response = client.execute(request).await.map_err(|error| failed(sent, causes(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let text = response.into_body().bytes().await.unwrap_or_default();
            let text = String::from_utf8_lossy(&text[..text.len().min(TOLD_BYTES)]).trim().to_owned();
            return Err(failed(sent, format!("it answered {status} {text}").trim_end().to_owned()));
        }
    }
    Ok(events.len())
}

/// An error with its causes: a client's own words are only that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let told = source.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = source.source();
    }
    text
}
