//! Posts events to an OpenLineage endpoint, one after the other: each is reported before the next.
//!
//! The token of the variable `OPENLINEAGE_API_KEY`, if it is set, is sent as bearer. What the endpoint does not take is
//! an error that has how many were sent; all events are the same when they are sent again, so a second try is safe. A
//! redirect is such an error, too: most of them turn a POST into a GET, which loses the event and looks like success.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Request, Response, Url};
use serde_json::Value;

use crate::error::redact::REDACTOR;
use crate::error::{Error, Result};

/// Variable with the endpoint's token.
const TOKEN: &str = "OPENLINEAGE_API_KEY";

/// How long one event may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a refusal that are read, about.
const READ_BYTES: usize = 64 << 10;

/// Bytes of it that are shown.
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
    let address: Url = url.parse().map_err(|_| failed(0, "it is not a URL".to_owned()))?;
    let bearer = match std::env::var(TOKEN) {
        Ok(token) => {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| failed(0, format!("{TOKEN} holds what no header may hold")))?;
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => None,
    };
    let client = Client::builder().user_agent(concat!("snaplake/", env!("CARGO_PKG_VERSION"))).redirect(Policy::none());
    let client =
        client.timeout(PATIENCE).connect_timeout(PATIENCE).build().map_err(|error| failed(0, causes(&error)))?;
    for (sent, event) in events.iter().enumerate() {
        let mut request = Request::new(Method::POST, address.clone());
        *request.body_mut() = Some(event.to_string().into());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(bearer) = &bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        let response = client.execute(request).await.map_err(|error| failed(sent, causes(&error.without_url())))?;
        if !response.status().is_success() {
            return Err(failed(sent, refusal(response).await));
        }
    }
    Ok(events.len())
}

/// What an endpoint answered that did not take an event.
async fn refusal(mut response: Response) -> String {
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    if let Some(location) = location.filter(|_| status.is_redirection()) {
        // It may be relative to what was asked.
        let location = response.url().join(location).map_or_else(|_| location.to_owned(), String::from);
        return format!("it answered {status}, that they belong to {location}");
    }
    let (mut bytes, mut is_whole) = (Vec::new(), false);
    while !is_whole && bytes.len() < READ_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => is_whole = true,
            Err(_) => break,
        }
    }
    format!("it answered {status} {}", beginning(&String::from_utf8_lossy(&bytes), is_whole)).trim_end().to_owned()
}

/// The beginning of an answer without secrets. They are taken out before it is cut, and the last word of an answer that
/// is not whole is left out: nobody knows half a secret again.
fn beginning(answer: &str, is_whole: bool) -> String {
    let end = if is_whole { answer.len() } else { answer.rfind(char::is_whitespace).unwrap_or(0) };
    let mut text = REDACTOR.redact(answer[..end].trim()).into_owned();
    text.truncate(text.floor_char_boundary(TOLD_BYTES));
    text
}

/// An error with its causes: a client's own words are only that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let reported = source.to_string();
        if !text.contains(&reported) {
            text = format!("{text}: {reported}");
        }
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_cut_between_characters_and_without_the_half_of_a_word() {
        let long = "é".repeat(200);
        assert_eq!(beginning(&long, true), "é".repeat(150));
        assert_eq!(beginning(&format!("x{long}"), true), format!("x{}", "é".repeat(149)));
        assert_eq!(beginning(" no such job \n", true), "no such job");
        assert_eq!(beginning("no such job: sesa", false), "no such job:");
        assert_eq!(beginning("sesa", false), "");
    }
}
