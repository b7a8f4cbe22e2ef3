//! Reads and writes small files in a store. A missing file is not an error; an unsupported request is.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::Ledger;
use crate::concurrency::turn;
use crate::error::{Error, Result};
use crate::layout::{Location, ManifestFiles, store_error};

impl Ledger {
    /// Replaces a small file beside the manifests.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn write_file(&self, location: &Location, bytes: Bytes) -> Result<()> {
        self.put(location, bytes, PutMode::Overwrite).await
    }

    /// Removes a small file beside the manifests, if it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_file(&self, location: &Location) -> Result<()> {
        let _turn = turn().await;
        match self.store.delete(&location.key()?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(store_error("delete", location, source)),
        }
    }

    /// Whether a manifest is committed: one HEAD.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_committed(&self, files: &ManifestFiles) -> Result<bool> {
        let _turn = turn().await;
        match self.store.head(&files.summary.key()?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(store_error("read", &files.summary, source)),
        }
    }

    /// A small file beside the manifests; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn read_file(&self, location: &Location) -> Result<Option<Bytes>> {
        self.get(location).await
    }

    pub(super) async fn get(&self, location: &Location) -> Result<Option<Bytes>> {
        let failed = |source| store_error("read", location, source);
        let _turn = turn().await;
        match self.store.get(&location.key()?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    pub(super) async fn put(&self, location: &Location, bytes: Bytes, mut mode: PutMode) -> Result<()> {
        let _turn = turn().await;
        if self.single_writer && mode == PutMode::Create {
            mode = PutMode::Overwrite;
            match self.store.head(&location.key()?).await {
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(store_error("read", location, source)),
                Ok(found) => {
                    let (path, source) = (found.location.to_string(), "it was there before".into());
                    return Err(store_error("write", location, object_store::Error::AlreadyExists { path, source }));
                }
            }
        }
        let is_create = mode == PutMode::Create;
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(&location.key()?, PutPayload::from(bytes), options).await.map(|_| ()).map_err(|source| {
            match source {
                object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } if is_create => {
                    no_conditional_put(location)
                }
                source => store_error("write", location, source),
            }
        })
    }
}

pub(super) fn no_conditional_put(location: &Location) -> Error {
    Error::NoConditionalPut { store: location.store().to_owned() }
}

pub(super) fn already_exists(error: &Error) -> bool {
    matches!(error, Error::Store { source: object_store::Error::AlreadyExists { .. }, .. })
}

/// Deletes what is there of `keys`, all of which lie below `folder`.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn delete_all(store: &Arc<dyn ObjectStore>, folder: &Location, keys: Vec<Key>) -> Result<()> {
    let mut removals = store.delete_stream(futures::stream::iter(keys).map(Ok).boxed());
    while let Some(removed) = removals.next().await {
        match removed {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(store_error("delete", folder, source)),
        }
    }
    Ok(())
}
