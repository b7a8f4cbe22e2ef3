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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store::memory::InMemory;
    use object_store::path::Path as Key;

    use super::*;
    use crate::layout::SnapshotFolder;

    const FOLDER: &str = "lake/d/t/snapshot=2013-01-01T00:00:00Z/d/public/t";

    fn layout() -> TableLayout {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let table = ("d", "public", "t");
        TableLayout::new(
            &at("s3://b/st"),
            &at("s3://b/lake"),
            table,
            (&SnapshotFolder::default(), "2013-01-01T00:00:00Z"),
            None,
        )
    }

    async fn lake<'a>(layout: &'a TableLayout, keys: &[&str]) -> HiveLake<'a> {
        let store = InMemory::new();
        for key in keys {
            store.put(&Key::from(format!("{FOLDER}/{key}")), PutPayload::default()).await.unwrap();
        }
        HiveLake { store: Arc::new(store), layout }
    }

    #[tokio::test]
    async fn files_of_others_are_counted_and_the_refusal_names_one_of_them() {
        let layout = layout();
        let keys = ["k=1/ours.parquet", "k=1/theirs.parquet", "k=2/theirs.parquet", "_SUCCESS", "k=1/.hidden", "_x"];
        let lake = lake(&layout, &keys).await;
        let files = lake.files(|key| key.ends_with("/ours.parquet")).await.unwrap();
        assert_eq!((files.ours, files.others, files.is_of_others()), (1, 2, false));
        let error = lake.refuse_others("t", &files).unwrap_err();
        assert!(
            matches!(&error, Error::ForeignFiles { count: 2, example, .. } if example == "theirs.parquet"),
            "{error:?}"
        );
        // The key is the whole one, so that a file of the same name elsewhere is none of ours.
        let expected = format!("{FOLDER}/k=2/theirs.parquet");
        assert_eq!(lake.files(|key| key == expected).await.unwrap().ours, 1);
    }

    #[tokio::test]
    async fn lake_is_of_others_only_if_no_file_is_ours() {
        let layout = layout();
        let lake = lake(&layout, &["k=1/a.parquet", "k=1/b.parquet"]).await;
        for (ours, is_of_others) in [("none", true), ("a.parquet", false), (".parquet", false)] {
            let files = lake.files(|key| key.ends_with(ours)).await.unwrap();
            assert_eq!(files.is_of_others(), is_of_others, "{ours}");
        }
        let none = self::lake(&layout, &["_SUCCESS"]).await.files(|_| false).await.unwrap();
        assert!(!none.is_of_others());
        lake_accepts(&layout, &none).await;
    }

    async fn lake_accepts(layout: &TableLayout, files: &LakeFiles) {
        let lake = lake(layout, &[]).await;
        lake.refuse_others("t", files).unwrap();
        lake.refuse_inner("t", files).await.unwrap();
    }

    #[tokio::test]
    async fn folder_of_another_in_ours_is_refused_and_our_own_marks_are_not() {
        let layout = layout();
        let own = lake(&layout, &["_SUCCESS", "_snaplake.json"]).await;
        lake_accepts(&layout, &own.files(|_| true).await.unwrap()).await;
        for mark in ["k=1/_SUCCESS", "inner/_snaplake.json"] {
            let lake = lake(&layout, &["k=1/ours.parquet", mark]).await;
            let files = lake.files(|_| true).await.unwrap();
            let error = lake.refuse_inner("t", &files).await.unwrap_err();
            let folder = mark.split('/').next().unwrap();
            assert!(
                matches!(&error, Error::LocationHolds { inner, .. } if inner.ends_with(folder)),
                "{mark}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn mark_is_put_and_taken_away_as_often_as_one_likes() {
        let layout = layout();
        let lake = lake(&layout, &["k=1/_SUCCESS"]).await;
        lake.withdraw().await.unwrap();
        for is_complete in [true, false] {
            for _ in 0..2 {
                if is_complete {
                    lake.complete().await.unwrap()
                } else {
                    lake.withdraw().await.unwrap()
                }
                assert_eq!(lake.is_complete().await.unwrap(), is_complete);
            }
        }
    }
}
