//! Whose a folder is: a small file at the root of each staging folder and each lake folder names plan, config and
//! snapshot.
//!
//! ```text
//! {staging}/d/t/snapshot=../_snaplake.json                 written once, before the first plan
//! {datalake}/d/t/snapshot=../d/public/t/_snaplake.json     from before the first byte is published until the lake is complete
//! ```
//!
//! Two configs, snapshots or tables that would write into one folder, or into folders of which one holds the other, are
//! seen by it, whatever paths lead there. It also reports that a folder was moved or copied whole. A file that cannot
//! be read is passed over: it protects, it decides nothing about rows.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::try_join_all;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::version::check_version;
use crate::concurrency::turn;
use crate::error::{Error, Result};
use crate::layout::store_error;
use crate::layout::{Location, OWNER, SUCCESS, completed, owned_by};

const VERSION: u32 = 1;

/// What kind of folder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FolderKind {
    /// Manifests and staging files.
    Staging,
    /// Published files.
    Lake,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FolderOwner {
    version: u32,
    pub(crate) place: FolderKind,
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) table: String,
    /// Time of the snapshot.
    pub(crate) snapshot: String,
    /// What the plan that publishes makes: [`PlanDetails::result`](crate::staging::plan::PlanDetails), so that the same
    /// lake has the same file. A staging folder has its plan beside this file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) plan: String,
    /// File sizes and compression of the lake.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) properties: String,
    /// The config file, as it was named.
    pub(crate) config: String,
}

impl FolderOwner {
    /// Of a staging folder.
    pub(crate) fn of_staging((database, schema, table): (&str, &str, &str), snapshot: &str, config: &str) -> Self {
        Self {
            version: VERSION,
            place: FolderKind::Staging,
            database: database.to_owned(),
            schema: schema.to_owned(),
            table: table.to_owned(),
            snapshot: snapshot.to_owned(),
            plan: String::new(),
            properties: String::new(),
            config: config.to_owned(),
        }
    }

    /// Of the lake of a plan of the same table.
    pub(crate) fn of_lake(self, result: &str, properties: String) -> Self {
        Self { place: FolderKind::Lake, plan: result.to_owned(), properties, ..self }
    }

    /// Whether both are of the same table of the same snapshot.
    pub(crate) fn is_of_same_table(&self, other: &Self) -> bool {
        (&self.database, &self.table, &self.snapshot) == (&other.database, &other.table, &other.snapshot)
    }

    /// For messages: table, snapshot and config.
    pub(crate) fn name(&self) -> String {
        let Self { database, schema, table, snapshot, config, .. } = self;
        format!("{database}.{schema}.{table} of snapshot {snapshot} (config {config})")
    }
}

/// What the file at the root of a folder says; `None` if it is not there or cannot be read.
///
/// # Errors
/// [`Error::Store`], [`Error::OtherVersion`].
pub(crate) async fn read(store: &Arc<dyn ObjectStore>, place: &Location) -> Result<Option<FolderOwner>> {
    let failed = |source| store_error("read", place, source);
    let _turn = turn().await;
    let bytes = match store.get(&place.key()?).await {
        Ok(found) => found.bytes().await.map_err(failed)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    check_version(&bytes, &place.to_string(), VERSION)?;
    match serde_json::from_slice::<FolderOwner>(&bytes) {
        Ok(owner) => Ok(Some(owner)),
        Err(error) => {
            tracing::warn!(%place, %error, "this file says whose the folder is, and cannot be read");
            Ok(None)
        }
    }
}

/// Writes the file, or replaces it.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn write(store: &Arc<dyn ObjectStore>, place: &Location, owner: &FolderOwner) -> Result<()> {
    put(store, place, owner, PutMode::Overwrite).await.map(drop)
}

/// Writes the file if there is none; gives what it says afterwards.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn create(store: &Arc<dyn ObjectStore>, place: &Location, owner: &FolderOwner) -> Result<FolderOwner> {
    if !put(store, place, owner, PutMode::Create).await?
        && let Some(found) = read(store, place).await?
    {
        return Ok(found);
    }
    // It is there and cannot be read, or the store cannot create if absent, or gave no answer.
    if read(store, place).await?.is_none() {
        write(store, place, owner).await?;
    }
    Ok(owner.clone())
}

/// Whether it was surely written: not if it was there, or if the store does not know the mode, or gave no answer.
async fn put(store: &Arc<dyn ObjectStore>, place: &Location, owner: &FolderOwner, mode: PutMode) -> Result<bool> {
    let mut text = serde_json::to_vec_pretty(owner)
        .map_err(|source| Error::DecodeManifest { uri: place.to_string(), source: source.into() })?;
    text.push(b'\n');
    let options = PutOptions { mode, ..PutOptions::default() };
    let is_create = options.mode == PutMode::Create;
    match store.put_opts(&place.key()?, PutPayload::from(Bytes::from(text)), options).await {
        Ok(_) => Ok(true),
        // A store's client does not repeat a conditional write whose answer was lost: so the file is read again.
        Err(object_store::Error::Generic { .. }) if is_create => Ok(false),
        Err(
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::NotImplemented { .. }
            | object_store::Error::NotSupported { .. },
        ) => Ok(false),
        Err(source) => Err(store_error("write", place, source)),
    }
}

/// The nearest folder around `folder` that is somebody's, and whose: it has an owner, or is a complete lake.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn around(store: &Arc<dyn ObjectStore>, folder: &Location) -> Result<Option<(Location, String)>> {
    let key = folder.raw_key().trim_end_matches('/');
    let ends = key.match_indices('/').map(|(end, _)| end);
    let above: Vec<Location> = ends.map(|end| folder.with_key(&key[..end])).collect();
    let found = above.into_iter().map(|above| async move {
        match of(store, &above).await {
            Ok(owner) => Ok(owner.map(|owner| (above, owner))),
            // Who may write to a folder need not be allowed to look around it.
            Err(error) if is_not_allowed(&error) => {
                tracing::debug!(%above, %error, "whose this folder is cannot be asked");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    });
    Ok(try_join_all(found).await?.into_iter().flatten().last())
}

/// Whose a folder is, for messages.
async fn of(store: &Arc<dyn ObjectStore>, folder: &Location) -> Result<Option<String>> {
    if let Some(owner) = read(store, &folder.join(OWNER)).await? {
        return Ok(Some(owner.name()));
    }
    let mark = folder.join(SUCCESS);
    let _turn = turn().await;
    match store.head(&mark.key()?).await {
        Ok(_) => Ok(Some("a complete lake, as its _SUCCESS says".to_owned())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(store_error("read", &mark, source)),
    }
}

/// The folder that a file in a listing shows to be somebody's.
pub(crate) fn marked(file: &Key) -> Option<&str> {
    owned_by(file.as_ref()).or_else(|| completed(file.as_ref()))
}

/// The error for a folder that holds one of somebody.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn holds(store: &Arc<dyn ObjectStore>, folder: &Location, inner: &str, table: &str) -> Result<Error> {
    let inner = folder.with_key(inner);
    let owner = of(store, &inner).await?.unwrap_or_else(|| "another table".to_owned());
    let (table, location) = (table.to_owned(), folder.to_string());
    Ok(Error::LocationHolds { table, location, inner: inner.to_string(), owner })
}

fn is_not_allowed(error: &(dyn std::error::Error + 'static)) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    let of_store =
        error.downcast_ref().is_some_and(|error| matches!(error, PermissionDenied { .. } | Unauthenticated { .. }));
    let of_disk =
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    of_store || of_disk || error.source().is_some_and(is_not_allowed)
}

/// Refuses a folder that lies in one that has an owner.
///
/// # Errors
/// [`Error::LocationOwned`], [`Error::Store`].
pub(crate) async fn refuse_around(store: &Arc<dyn ObjectStore>, folder: &Location, ours: &FolderOwner) -> Result<()> {
    match around(store, folder).await? {
        None => Ok(()),
        Some((around, found)) => Err(Error::LocationOwned {
            table: ours.table.clone(),
            location: folder.to_string(),
            owner: found,
            within: Some(around.to_string()),
            changed: None,
        }),
    }
}

/// Refuses a folder that holds one that has an owner: one LIST.
///
/// # Errors
/// [`Error::LocationHolds`], [`Error::Store`].
pub(crate) async fn refuse_inside(store: &Arc<dyn ObjectStore>, folder: &Location, ours: &FolderOwner) -> Result<()> {
    let own = folder.key()?;
    let mut listing = store.list(Some(&own));
    while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", folder, source))? {
        if let Some(inner) = marked(&meta.location).filter(|inner| *inner != own.as_ref()) {
            return Err(holds(store, folder, inner, &ours.table).await?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store::memory::InMemory;

    use super::*;

    fn owner(table: &str) -> FolderOwner {
        FolderOwner::of_staging(("d", "public", table), "2026-01-31T00:00:00Z", "shop.sql")
    }

    fn at(text: &str) -> Location {
        Location::parse(text, Path::new("/")).unwrap()
    }

    #[tokio::test]
    async fn first_owner_stays_and_a_damaged_file_is_replaced() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let place = at("s3://b/x/_snaplake.json");
        assert_eq!(create(&store, &place, &owner("a")).await.unwrap(), owner("a"));
        assert_eq!(create(&store, &place, &owner("b")).await.unwrap(), owner("a"));
        for damaged in ["", "{", "{}"] {
            store.put(&place.key().unwrap(), damaged.into()).await.unwrap();
            assert_eq!(read(&store, &place).await.unwrap(), None);
            assert_eq!(create(&store, &place, &owner("b")).await.unwrap(), owner("b"));
        }
    }

    #[tokio::test]
    async fn nearest_owner_around_a_folder_is_found_and_its_own_is_not() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for (place, table) in [("s3://b/x/_snaplake.json", "a"), ("s3://b/x/y/_snaplake.json", "b")] {
            write(&store, &at(place), &owner(table)).await.unwrap();
        }
        for (folder, found) in [("s3://b/x", None), ("s3://b/x/y/", Some("a")), ("s3://b/x/y/z/k=1", Some("b"))] {
            let around = around(&store, &at(folder)).await.unwrap();
            let whose = around.map(|(_, owner)| owner);
            assert_eq!(whose, found.map(|table| owner(table).name()), "{folder}");
        }
    }

    #[test]
    fn folder_that_may_not_be_read_is_distinguished_from_a_store_that_fails() {
        let store = |source| Error::Store { action: "read", uri: "u".into(), source };
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let generic =
            |source: io::Error| object_store::Error::Generic { store: "LocalFileSystem", source: source.into() };
        assert!(is_not_allowed(&store(object_store::Error::PermissionDenied {
            path: "p".into(),
            source: "no".into()
        })));
        assert!(is_not_allowed(&store(generic(denied()))));
        assert!(!is_not_allowed(&store(generic(io::Error::from(io::ErrorKind::TimedOut)))));
    }

    #[test]
    fn golden_form_of_a_lake_owner() {
        let owner =
            FolderOwner { place: FolderKind::Lake, plan: "ab".into(), properties: "target 1".into(), ..owner("t") };
        let text = r#"{"version":1,"place":"lake","database":"d","schema":"public","table":"t","snapshot":"2026-01-31T00:00:00Z","plan":"ab","properties":"target 1","config":"shop.sql"}"#;
        assert_eq!(serde_json::to_string(&owner).unwrap(), text);
        assert_eq!(serde_json::from_str::<FolderOwner>(text).unwrap(), owner);
    }
}
