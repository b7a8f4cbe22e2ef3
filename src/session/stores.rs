//! Opens object stores by location and keeps them: one client per bucket and process, so connections are reused.
//!
//! Credentials never come from a config: S3 takes them from the environment, profile files, web identity, container or
//! instance roles (through `datafusion-cli`'s use of the AWS SDK); Google and Azure from the environment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::DataFusionError;
use datafusion_cli::object_storage::{AwsOptions, get_s3_object_store_builder};
use object_store::ObjectStore;
use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use url::Url;

use super::attempts::{RequestAttempts, Requests};
use super::local::{LocalStore, Syncs};
use super::unfinished::{Bucket, Keeping, Unfinished};
use crate::config::{Durability, S3Settings};
use crate::error::{Error, Result};
use crate::layout::store_error;
use crate::layout::{Location, store_of};
use crate::manifest::FileEntry;

/// All stores that a process has opened.
#[derive(Debug, Default)]
pub struct Stores {
    s3: S3Settings,
    attempts: RequestAttempts,
    /// What puts local files on disk, if that is asked for.
    syncs: Option<Arc<Syncs>>,
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

impl Stores {
    /// No store is opened yet.
    #[must_use]
    pub fn new(s3: S3Settings) -> Self {
        Self { s3, ..Self::default() }
    }

    /// Puts what is written into local files on disk, before `Stores::settle` ends.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { syncs: (durability == Durability::Fsync).then(Arc::default), ..self }
    }

    /// Waits until local files are on disk.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refused one.
    pub(crate) async fn settle(&self) -> Result<()> {
        let Some(syncs) = self.syncs.clone() else { return Ok(()) };
        let settled = tokio::task::spawn_blocking(move || syncs.settle()).await;
        settled.unwrap_or_else(|error| Err(Error::Engine(DataFusionError::External(error.into()))))
    }

    /// The store of a location for files that can be made again: they are not put on disk.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub(crate) async fn open_scratch(&self, location: &Location) -> Result<Arc<dyn ObjectStore>> {
        let is_own = self.open.lock().unwrap_or_else(PoisonError::into_inner).contains_key(location.store());
        if location.is_local() && self.syncs.is_some() && !is_own {
            return Ok(Arc::new(LocalStore::new(None)));
        }
        self.open(location).await
    }

    /// Puts a store of the caller's in place; `url` is scheme and bucket. Unless that is `file://`, the store must take
    /// etags in quotes, as HTTP does.
    pub fn insert(&self, url: &str, store: Arc<dyn ObjectStore>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned(), store);
    }

    /// Requests that were sent over HTTP so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.attempts.so_far()
    }

    /// The store of a location.
    ///
    /// # Errors
    /// [`Error::OpenStore`] when credentials, region or endpoint do not make a client. No request is sent to the store.
    pub async fn open(&self, location: &Location) -> Result<Arc<dyn ObjectStore>> {
        let url = location.store();
        if let Some(store) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(url) {
            return Ok(Arc::clone(store));
        }
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| Error::OpenStore { url: url.to_owned(), source };
        let store: Arc<dyn ObjectStore> = match url.split_once("://") {
            Some(("file", _)) => return Ok(Arc::new(LocalStore::new(self.syncs.clone()))),
            Some(("s3", _)) => self.open_s3(url).await.map_err(failed)?,
            Some(("gs", _)) => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url);
                Arc::new(builder.with_http_connector(self.attempts.clone()).build().map_err(|e| failed(e.into()))?)
            }
            Some(_) => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url);
                Arc::new(builder.with_http_connector(self.attempts.clone()).build().map_err(|e| failed(e.into()))?)
            }
            None => return Err(Error::Location { location: url.to_owned(), reason: "it has no scheme" }),
        };
        self.insert(url, Arc::clone(&store));
        Ok(store)
    }

    /// The stores of all `files`.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub(crate) async fn open_all(&self, files: &[FileEntry]) -> Result<Arc<OpenStores>> {
        let mut opened = HashMap::new();
        // Files of one store are together, so most of a million need no look at the map.
        for of_store in files.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
            let location = Location::from_uri(&of_store[0].uri)?;
            if !opened.contains_key(location.store()) {
                opened.insert(location.store().to_owned(), self.open(&location).await?);
            }
        }
        Ok(Arc::new(OpenStores(opened)))
    }

    async fn open_s3(&self, url: &str) -> Result<Arc<dyn ObjectStore>, Box<dyn std::error::Error + Send + Sync>> {
        let set = |names: &[&str]| names.iter().any(|name| std::env::var_os(name).is_some());
        let custom = self.s3.endpoint.is_some() || set(&["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]);
        // Servers other than AWS take any region, and asking AWS for the bucket's region would leave the network.
        let region = self
            .s3
            .region
            .clone()
            .or_else(|| (custom && !set(&["AWS_REGION", "AWS_DEFAULT_REGION"])).then(|| "us-east-1".to_owned()));
        let options = AwsOptions {
            region,
            endpoint: self.s3.endpoint.clone(),
            allow_http: self.s3.allow_http.then_some(true),
            ..AwsOptions::default()
        };
        let builder = get_s3_object_store_builder(&Url::parse(url)?, &options, false).await?;
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
        let keeping = Keeping { attempts: self.attempts.clone(), last: Arc::default() };
        let client = builder.with_http_connector(keeping.clone()).build()?;
        if let Some(http) = keeping.last.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let bucket = Arc::new(Bucket { client: client.clone(), http, region });
            self.buckets.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned(), bucket);
        }
        Ok(Arc::new(client))
    }

    fn bucket(&self, location: &Location) -> Option<Arc<Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).get(location.store()).cloned()
    }

    /// Multipart uploads below a folder that nobody ended; none where the store is not S3 or not open.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn unfinished(&self, folder: &Location) -> Result<Vec<Unfinished>> {
        let Some(bucket) = self.bucket(folder) else { return Ok(Vec::new()) };
        bucket.unfinished(folder.raw_key()).await.map_err(|source| store_error("list uploads of", folder, source))
    }

    /// Aborts the upload.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn abort(&self, folder: &Location, upload: &Unfinished) -> Result<()> {
        let Some(bucket) = self.bucket(folder) else { return Ok(()) };
        bucket.abort(upload).await.map_err(|source| store_error("delete", &folder.with_key(&upload.key), source))
    }
}

/// Stores of known files, to be used by many tasks.
#[derive(Debug)]
pub(crate) struct OpenStores(HashMap<String, Arc<dyn ObjectStore>>);

impl OpenStores {
    /// The store of a location.
    ///
    /// # Errors
    /// [`Error::Location`] if it is not one of those that were opened.
    pub(crate) fn of(&self, location: &Location) -> Result<&Arc<dyn ObjectStore>> {
        self.0
            .get(location.store())
            .ok_or_else(|| Error::Location { location: location.uri(), reason: "its store is not open" })
    }
}
