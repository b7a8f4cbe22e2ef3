//! Multipart uploads to S3 that nobody ended, as a killed process leaves them: what is stored of them costs money, and
//! shows in no listing of objects.
//!
//! The client has a method to abort an upload but none to list them, so that one request is made and signed here. It is
//! sent once: who cleans can do it again. Google and Azure have no such request in their clients; Azure forgets blocks
//! after a week.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::http::{Method, Request};
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ClientOptions, Result};
use serde::Deserialize;
use url::Url;

use super::attempts::RequestAttempts;

/// One upload that was begun and neither ended nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// Raw key of the object that it would become.
    pub(crate) key: String,
    /// The server's name for it.
    pub(crate) id: String,
    /// When it was begun.
    pub(crate) at: DateTime<Utc>,
}

/// A bucket with what is needed to sign a request.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) client: AmazonS3,
    pub(super) http: HttpClient,
    pub(super) region: String,
}

/// Makes clients as `attempts` does, and keeps the last one.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    pub(super) attempts: RequestAttempts,
    pub(super) last: Arc<Mutex<Option<HttpClient>>>,
}

impl HttpConnector for Keeping {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let client = self.attempts.connect(options)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
        Ok(client)
    }
}

/// What the server answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadPage {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
    #[serde(default)]
    upload: Vec<UnfinishedUpload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UnfinishedUpload {
    key: String,
    upload_id: String,
    initiated: DateTime<Utc>,
}

impl Bucket {
    /// Uploads to keys below the folder with this raw key.
    ///
    /// # Errors
    /// What the server or the credentials' provider says; [`object_store::Error::Generic`].
    pub(super) async fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>> {
        let prefix = format!("{}{}", folder.trim_end_matches('/'), object_store::path::DELIMITER);
        let (mut found, mut key, mut id) = (Vec::new(), String::new(), String::new());
        loop {
            let page = self.page(&[("key-marker", &key), ("prefix", &prefix), ("upload-id-marker", &id)]).await?;
            let uploads = page.upload.into_iter();
            found.extend(uploads.map(|upload| Unfinished {
                key: upload.key,
                id: upload.upload_id,
                at: upload.initiated,
            }));
            let is_new = (&page.next_key_marker, &page.next_upload_id_marker) != (&key, &id);
            if !page.is_truncated || !is_new {
                return Ok(found);
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    async fn page(&self, query: &[(&str, &String)]) -> Result<UploadPage> {
        let mut url = self.url().await?;
        url.query_pairs_mut()
            .append_pair("uploads", "")
            .extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        let credential = self.client.credentials().get_credential().await?;
        let mut request =
            Request::builder().method(Method::GET).uri(url.as_str()).body(HttpRequestBody::empty()).map_err(failed)?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = self.http.execute(request).await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(failed(format!("the server answers {status}")));
        }
        let body = answer.into_body().bytes().await.map_err(failed)?;
        quick_xml::de::from_reader(body.as_ref()).map_err(failed)
    }

    /// The bucket's own URL, which the client knows and reports only as part of a signed one.
    async fn url(&self) -> Result<Url> {
        let mut url = self.client.signed_url(Method::GET, &Path::from("x"), Duration::from_secs(1)).await?;
        url.set_query(None);
        let path = url.path().trim_end_matches('x').to_owned();
        url.set_path(if path.len() > 1 { path.trim_end_matches(object_store::path::DELIMITER) } else { &path });
        Ok(url)
    }

    /// Lets the server forget an upload.
    ///
    /// # Errors
    /// Those of the store; an upload that is gone is none.
    pub(super) async fn abort(&self, upload: &Unfinished) -> Result<()> {
        match self.client.abort_multipart(&Path::parse(&upload.key)?, &upload.id).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_none_one_and_some_uploads_are_read() {
        let upload = |key: &str| {
            format!(
                "<Upload><Key>{key}</Key><UploadId>i</UploadId><FolderOwner><ID>o</ID></FolderOwner>\
                     <Initiated>2026-01-31T00:00:00.000Z</Initiated></Upload>"
            )
        };
        for keys in [&[][..], &["a%3Ab/k=1"], &["a&amp;b", "c"]] {
            let uploads: String = keys.iter().map(|key| upload(key)).collect();
            let text = format!(
                "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Bucket>b</Bucket><KeyMarker></KeyMarker><IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"
            );
            let page: UploadPage = quick_xml::de::from_reader(text.as_bytes()).unwrap();
            let found: Vec<_> = page.upload.iter().map(|upload| upload.key.replace('&', "&amp;")).collect();
            assert_eq!(found, keys);
            assert!(!page.is_truncated);
        }
    }
}
