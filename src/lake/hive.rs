//! A lake that is a folder: complete when `_SUCCESS` stands at its root.
//!
//! The mark is written last, after validation. Publishing into a folder with files of somebody else is refused: readers
//! of the folder would see both. What a crashed run of ours left has names that this plan gives, and is overwritten.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::error::{Error, Result};
use crate::layout::{Location, TableLayout};
use crate::manifest::ledger::store_error;
use crate::manifest::{LakeContent, owner};
use crate::session::Stores;
use crate::spread::turn;

/// The published folder of one table.
#[derive(Debug)]
pub(crate) struct HiveLake<'a> {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) layout: &'a TableLayout,
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
        let mark = self.layout.success();
        let _turn = turn().await;
        match self.store.head(&mark.key()?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
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

    /// Refuses a folder with data files whose names do not start with one of `stems`: one LIST.
    ///
    /// # Errors
    /// [`Error::ForeignFiles`], [`Error::LocationHolds`], [`Error::Store`].
    pub(crate) async fn check_foreign(&self, table: &str, stems: &BTreeSet<String>) -> Result<()> {
        let location = self.layout.lake();
        let mut listing = self.store.list(Some(&location.key()?));
        let (mut count, mut example) = (0, None);
        let own = location.key()?;
        let own = own.as_ref();
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", location, source))? {
            let name = meta.location.filename().unwrap_or_default();
            let stem = name.rsplit_once('-').map_or("", |(stem, _)| stem);
            if let Some(inner) = owner::marked(&meta.location).filter(|inner| *inner != own) {
                return Err(owner::holds(&self.store, location, inner, table).await?);
            }
            // Readers pass over these names, of which some are ours.
            if !name.starts_with(['.', '_']) && !stems.contains(stem) {
                count += 1;
                example.get_or_insert_with(|| name.to_owned());
            }
        }
        match example {
            None => Ok(()),
            Some(example) => {
                Err(Error::ForeignFiles { table: table.to_owned(), location: location.to_string(), count, example })
            }
        }
    }

    /// Data files of the folder that are not among these URIs: how many, and one of them. One LIST.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn unlisted(&self, listed: &HashSet<&str>) -> Result<Option<(usize, String)>> {
        let location = self.layout.lake();
        let mut listing = self.store.list(Some(&location.key()?));
        let mut found: Option<(usize, String)> = None;
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", location, source))? {
            let name = meta.location.filename().unwrap_or_default();
            if !name.starts_with(['.', '_'])
                && !listed.contains(location.with_key(meta.location.as_ref()).uri().as_str())
            {
                found.get_or_insert_with(|| (0, meta.location.to_string())).0 += 1;
            }
        }
        Ok(found)
    }
}
