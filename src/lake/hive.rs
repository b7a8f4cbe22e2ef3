//! A lake that is a folder: complete when `_SUCCESS` is at its root.
//!
//! The mark is written last, after validation. Publishing into a folder with files of somebody else is refused: readers
//! of the folder would see both. What a crashed run of ours left has names that this plan gives, and is overwritten.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::concurrency::turn;
use crate::error::{Error, Result};
use crate::layout::store_error;
use crate::layout::{Location, TableLayout};
use crate::manifest::{LakeContent, owner};
use crate::session::Stores;

/// The published folder of one table.
#[derive(Debug)]
pub(crate) struct HiveLake<'a> {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) layout: &'a TableLayout,
}

/// What lies in a lake's folder.
#[derive(Debug, Default)]
pub(crate) struct LakeFiles {
    /// Data files that are ours.
    pub(crate) ours: usize,
    /// All others.
    pub(crate) others: usize,
    /// Key of one of the others.
    pub(crate) example: Option<String>,
    /// Key of a folder in it that is somebody's.
    inner: Option<String>,
}

impl LakeFiles {
    /// Whether another lake has taken the place of ours.
    pub(crate) fn is_of_others(&self) -> bool {
        self.ours == 0 && self.others > 0
    }
}

impl<'a> HiveLake<'a> {
    /// Opens the store of the lake's location.
    ///
    /// # Errors
    /// Those of [`Stores::open`].
    pub(crate) async fn open(stores: &Stores, layout: &'a TableLayout) -> Result<Self> {
        Ok(Self { store: stores.open(layout.lake()).await?, layout })
    }

    /// Whether the mark is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn is_complete(&self) -> Result<bool> {
        Ok(self.completed_at().await?.is_some())
    }

    /// When the mark was put, if it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn completed_at(&self) -> Result<Option<DateTime<Utc>>> {
        let mark = self.layout.success();
        let _turn = turn().await;
        match self.store.head(&mark.key()?).await {
            Ok(found) => Ok(Some(found.last_modified)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(store_error("read", &mark, source)),
        }
    }

    /// Puts the mark.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn complete(&self) -> Result<()> {
        let mark = self.layout.success();
        let put = self.store.put(&mark.key()?, PutPayload::from(Bytes::new())).await;
        put.map(|_| ()).map_err(|source| store_error("write", &mark, source))
    }

    /// Takes the mark away, if it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn withdraw(&self) -> Result<()> {
        self.delete(&self.layout.success()).await
    }

    pub(super) async fn delete(&self, file: &Location) -> Result<()> {
        match self.store.delete(&file.key()?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(store_error("delete", file, source)),
        }
    }

    /// What the folder holds now: one LIST.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn content(&self) -> Result<LakeContent> {
        LakeContent::of_folder(&self.store, self.layout.lake()).await
    }

    /// Files in the folder; `is_ours` decides by the key which data files are ours: one LIST. Names that begin with
    /// a dot or `_` are passed over, as readers do.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn files(&self, is_ours: impl Fn(&str) -> bool) -> Result<LakeFiles> {
        let (location, key) = (self.layout.lake(), self.layout.lake().key()?);
        let mut listing = self.store.list(Some(&key));
        let mut files = LakeFiles::default();
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", location, source))? {
            if let Some(inner) = owner::marked(&meta.location).filter(|inner| *inner != key.as_ref()) {
                files.inner.get_or_insert_with(|| inner.to_owned());
            }
            if meta.location.filename().unwrap_or_default().starts_with(['.', '_']) {
                continue;
            }
            if is_ours(meta.location.as_ref()) {
                files.ours += 1;
            } else {
                files.others += 1;
                files.example.get_or_insert_with(|| meta.location.to_string());
            }
        }
        Ok(files)
    }

    /// Refuses a folder that holds one of somebody else.
    ///
    /// # Errors
    /// [`Error::LocationHolds`], [`Error::Store`].
    pub(crate) async fn refuse_inner(&self, table: &str, files: &LakeFiles) -> Result<()> {
        match &files.inner {
            Some(inner) => Err(owner::holds(&self.store, self.layout.lake(), inner, table).await?),
            None => Ok(()),
        }
    }

    /// Refuses a folder with data files that are not ours.
    ///
    /// # Errors
    /// [`Error::ForeignFiles`].
    pub(crate) fn refuse_others(&self, table: &str, files: &LakeFiles) -> Result<()> {
        let Some(example) = &files.example else { return Ok(()) };
        let (table, location) = (table.to_owned(), self.layout.lake().to_string());
        let example = example.rsplit('/').next().unwrap_or_default().to_owned();
        Err(Error::ForeignFiles { table, location, count: files.others, example })
    }
}
