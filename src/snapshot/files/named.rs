//! What a LOCATION names: a file, the files of a manifest, a folder, or what a glob means below one. At most one
//! request, or those that a manifest takes.

use std::sync::Arc;

use glob::Pattern;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::unlisted::is_reserved;
use crate::error::{Error, Result};
use crate::layout::FilePartition;
use crate::layout::store_error;
use crate::layout::{Location, store_of};
use crate::manifest::codec::decode_foreign_summary;
use crate::manifest::decode_files;
use crate::manifest::{FileEntry, bare_etag};
use crate::session::Stores;

/// What a location names.
#[derive(Debug)]
pub(crate) enum NamedFiles {
    /// The files that a manifest lists.
    Manifest(Vec<FileEntry>),
    File(FileEntry),
    /// A folder's key, and which files below it are meant if not all.
    Folder(String, Option<Pattern>),
}

/// What this location names: a file if there is one, otherwise a folder, whether there is one or not.
///
/// # Errors
/// [`Error::Location`], [`Error::Manifest`], [`Error::Store`].
pub(crate) async fn named(stores: &Stores, store: &Arc<dyn ObjectStore>, location: &Location) -> Result<NamedFiles> {
    let key = location.raw_key();
    if is_manifest(location) {
        return read_manifest(stores, store, location).await.map(NamedFiles::Manifest);
    }
    if let Some((folder, pattern)) = glob_of(location)? {
        return Ok(NamedFiles::Folder(folder.trim_end_matches('/').to_owned(), Some(pattern)));
    }
    if !location.is_folder() {
        if location.is_local() && is_reserved(key.rsplit('/').next().unwrap_or_default()) {
            let reason = "files whose names end with # and digits cannot be read; rename it";
            return Err(Error::Location { location: location.to_string(), reason });
        }
        match store.head(&location.key()?).await {
            Ok(meta) => return Ok(NamedFiles::File(entry(location, &meta))),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(store_error("read", location, source)),
        }
    }
    Ok(NamedFiles::Folder(key.trim_end_matches('/').to_owned(), None))
}

/// The folder where a glob begins, and the glob.
pub(crate) fn glob_of(location: &Location) -> Result<Option<(&str, Pattern)>> {
    let key = location.raw_key();
    let Some(wildcard) = key.find(['*', '?', '[']).filter(|_| !is_manifest(location)) else { return Ok(None) };
    let reason = "it is not a glob; use *, **, ? and [abc]";
    let pattern = Pattern::new(key).map_err(|_| Error::Location { location: location.to_string(), reason })?;
    Ok(Some((key[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder), pattern)))
}

/// Whether a location names a summary in the form of `s3manifesto`.
fn is_manifest(location: &Location) -> bool {
    let name = location.raw_key().rsplit('/').next().unwrap_or_default();
    name.starts_with("manifest-summary") && name.ends_with(".json")
}

pub(crate) fn entry(location: &Location, meta: &ObjectMeta) -> FileEntry {
    FileEntry {
        uri: location.with_key(meta.location.as_ref()).uri().into(),
        etag: bare_etag(meta.e_tag.as_deref().unwrap_or_default()).into(),
        size: meta.size,
        n_record: None,
        partition: FilePartition::None,
    }
}

/// The files that a manifest lists, given the location of its summary.
///
/// # Errors
/// [`Error::Manifest`], [`Error::Store`], [`Error::Location`].
pub(crate) async fn read_manifest(
    stores: &Stores,
    store: &Arc<dyn ObjectStore>,
    location: &Location,
) -> Result<Vec<FileEntry>> {
    let get = async |store: &Arc<dyn ObjectStore>, location: &Location| {
        let failed = |source| store_error("read", location, source);
        store.get(&location.key()?).await.map_err(failed)?.bytes().await.map_err(failed)
    };
    let head = decode_foreign_summary(&get(store, location).await?, &location.to_string())?;
    let data = if head.manifest.contains("://") {
        Location::from_uri(&head.manifest)?
    } else {
        Location::parse(&head.manifest, std::path::Path::new("/"))?
    };
    let mut files = decode_files(get(&stores.open(&data).await?, &data).await?, &data.to_string())?;
    let rows = files.iter().map(|file| file.n_record).sum::<Option<u64>>();
    if let (Some(stated), Some(listed)) = (head.n_record, rows)
        && stated != listed
    {
        let reason = format!("its summary says {stated} rows, its files have {listed}");
        return Err(Error::Manifest { uri: data.to_string(), reason });
    }
    let size: u64 = files.iter().map(|file| file.size).sum();
    if size != head.size {
        let reason = format!("its summary says {} bytes, its files have {size}", head.size);
        return Err(Error::Manifest { uri: data.to_string(), reason });
    }
    // Each bucket, and each key with a query: what cannot be read, or holds a credential, gets into no manifest of
    // ours.
    for of_store in files.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
        Location::from_uri(&of_store[0].uri)?;
    }
    for file in files.iter().filter(|file| file.uri.contains('?')) {
        Location::from_uri(&file.uri)?;
    }
    files.iter_mut().for_each(|file| file.partition = FilePartition::None);
    Ok(files)
}
