//! Whether files on a local disk still have the content that was written: by the hash that their manifest has.
//!
//! Object stores answer with an etag that follows the content, which every read is pinned to ([`super::pinned`]); a
//! disk says nothing of the kind. Each staging file is read by one task, so it is hashed once, right before; what was
//! written lately is still in memory then. The etag that the disk gives right before the hash is what the task's reads
//! are pinned to ([`pin_content`]), so a file that is swapped after its hash is not read. A query hashes what it opens,
//! unless it has not changed since the lake was proven. Files whose manifest has no hash are passed over.

use std::fs::File;
use std::hash::Hasher;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStoreExt;
use twox_hash::XxHash64;

use super::pin::{ContentCheck, Pin};
use super::stores::Stores;
use crate::error::{Error, Result};
use crate::layout::Location;
use crate::layout::store_error;
use crate::manifest::{CONTENT_TAG, FileEntry};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Reads local files whole and compares their content with what their manifests say.
///
/// # Errors
/// [`Error::ContentChanged`] for the first file that differs or is gone, [`Error::Io`].
pub(crate) async fn check_content(files: &[FileEntry]) -> Result<()> {
    let mut local = Vec::new();
    for file in files.iter().filter(|file| file.etag.starts_with(CONTENT_TAG)) {
        let location = Location::from_uri(&file.uri)?;
        if location.is_local() {
            local.push((location.to_string(), file.clone()));
        }
    }
    if local.is_empty() {
        return Ok(());
    }
    blocking(move || {
        let mut buffer = vec![0; CHUNK];
        local.iter().try_for_each(|(path, file)| compare(path, &file.etag, file.size, &mut buffer))
    })
    .await
}

/// Compares as [`check_content`] does. The returned files have the etags that the disk gave before, so a read with
/// these etags reads the bytes that were compared.
///
/// # Errors
/// As [`check_content`], and [`Error::Store`].
pub(crate) async fn pin_content(stores: &Stores, files: &[FileEntry]) -> Result<Vec<FileEntry>> {
    let mut pinned = files.to_vec();
    for file in pinned.iter_mut().filter(|file| file.etag.starts_with(CONTENT_TAG)) {
        let location = Location::from_uri(&file.uri)?;
        if location.is_local()
            && let Some(etag) = disk_etag(stores, &location).await?
        {
            file.etag = etag.into();
        }
    }
    check_content(files).await?;
    Ok(pinned)
}

/// Whether any of these files has another etag by now than [`pin_content`] found.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn is_any_replaced(stores: &Stores, pinned: &[FileEntry]) -> Result<bool> {
    for file in pinned.iter().filter(|file| !file.etag.starts_with(CONTENT_TAG)) {
        let location = Location::from_uri(&file.uri)?;
        if location.is_local() && disk_etag(stores, &location).await?.as_deref() != Some(&*file.etag) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The etag that a local file has; `None` if it is gone.
async fn disk_etag(stores: &Stores, location: &Location) -> Result<Option<String>> {
    match stores.open(location).await?.head(&location.key()?).await {
        Ok(meta) => Ok(meta.e_tag),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(store_error("read", location, source)),
    }
}

/// Compares one file with what its manifest says, if it is local and the manifest has a hash.
///
/// # Errors
/// As [`check_content`].
pub(crate) async fn check_file(file: &FileEntry, check: ContentCheck) -> Result<()> {
    let location = Location::from_uri(&file.uri)?;
    if !location.is_local() || !file.etag.starts_with(CONTENT_TAG) || check == ContentCheck::Never {
        return Ok(());
    }
    check_local(
        PathBuf::from(location.to_string()),
        &Pin { etag: Arc::clone(&file.etag), size: Some(file.size) },
        check,
    )
    .await
}

/// Compares a local file with what its manifest says.
///
/// # Errors
/// As [`check_content`].
pub(super) async fn check_local(path: PathBuf, pin: &Pin, check: ContentCheck) -> Result<()> {
    let pin = pin.clone();
    blocking(move || {
        if let ContentCheck::IfChangedAfter(proven) = check
            && changed_at(&path).is_some_and(|changed| changed < proven)
        {
            return Ok(());
        }
        match pin.size.filter(|_| path.exists()) {
            Some(size) => compare(&path.display().to_string(), &pin.etag, size, &mut vec![0; CHUNK]),
            // The following read reports it.
            None => Ok(()),
        }
    })
    .await
}

/// When the file system last saw a change of a file's content or name.
#[cfg(unix)]
fn changed_at(path: &Path) -> Option<DateTime<Utc>> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    DateTime::from_timestamp(meta.ctime(), u32::try_from(meta.ctime_nsec()).ok()?)
}

/// Other systems do not say.
#[cfg(not(unix))]
fn changed_at(_: &Path) -> Option<DateTime<Utc>> {
    None
}

async fn blocking(check: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let checked = tokio::task::spawn_blocking(check).await;
    checked.unwrap_or_else(|error| Err(Error::Engine(datafusion::error::DataFusionError::External(error.into()))))
}

fn compare(path: &str, etag: &str, size: u64, buffer: &mut [u8]) -> Result<()> {
    let changed =
        |found: String| Error::ContentChanged { uri: path.to_owned(), found, written: format!("{size} bytes, {etag}") };
    let (bytes, hash) = match hash_of(Path::new(path), buffer) {
        Ok(found) => found,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Err(changed("no file".to_owned())),
        Err(source) => return Err(Error::Io { action: format!("reading {path}"), source }),
    };
    let tag = format!("{CONTENT_TAG}{hash:016x}");
    if bytes == size && tag == etag { Ok(()) } else { Err(changed(format!("{bytes} bytes, {tag}"))) }
}

fn hash_of(path: &Path, buffer: &mut [u8]) -> std::io::Result<(u64, u64)> {
    let (mut file, mut hash, mut bytes) = (File::open(path)?, XxHash64::with_seed(0), 0);
    loop {
        match file.read(buffer)? {
            0 => return Ok((bytes, hash.finish())),
            read => {
                hash.write(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PinnedStore;
    use super::*;
    use crate::layout::FilePartition;
    use crate::manifest::codec::content_tag;

    #[tokio::test]
    async fn changed_cut_swapped_and_missing_files_are_reported_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let entry = |name: &str, bytes: &[u8]| FileEntry {
            uri: format!("file://{}", path(name).display()).into(),
            etag: content_tag(bytes).into(),
            size: bytes.len() as u64,
            n_record: None,
            partition: FilePartition::None,
        };
        let (a, b) = (vec![7; CHUNK + 5], vec![8; CHUNK + 5]);
        let files = [entry("a", &a), entry("b", &b)];
        let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).unwrap();
        write("a", &a);
        write("b", &b);
        check_content(&files).await.unwrap();
        let mut flipped = b.clone();
        flipped[CHUNK] ^= 1;
        for wrong in [&flipped[..], &b[..9], &a, &[]] {
            write("b", wrong);
            let message = check_content(&files).await.unwrap_err().to_string();
            assert!(message.contains("/b ") && message.contains(&files[1].etag[..]), "{message}");
        }
        std::fs::remove_file(path("b")).unwrap();
        assert!(check_content(&files).await.unwrap_err().to_string().contains("no file"));
        let unknown = FileEntry { etag: "".into(), ..files[1].clone() };
        check_content(&[unknown]).await.unwrap();
    }

    #[tokio::test]
    async fn file_that_is_swapped_after_its_hash_is_not_read_by_its_pin() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::default();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "abc").unwrap();
        std::fs::write(path("b"), "abd").unwrap();
        let file = FileEntry {
            uri: format!("file://{}", path("a").display()).into(),
            etag: content_tag(b"abc").into(),
            size: 3,
            n_record: None,
            partition: FilePartition::None,
        };
        let pinned = pin_content(&stores, std::slice::from_ref(&file)).await.unwrap();
        let location = Location::from_uri(&file.uri).unwrap();
        let read = async || {
            let store = stores.open(&location).await.unwrap();
            PinnedStore::of_file(&store, &location, &pinned[0]).unwrap().get(&location.key().unwrap()).await
        };
        assert!(read().await.is_ok() && !is_any_replaced(&stores, &pinned).await.unwrap());
        std::fs::rename(path("b"), path("a")).unwrap();
        assert!(matches!(read().await, Err(object_store::Error::Precondition { .. })));
        assert!(is_any_replaced(&stores, &pinned).await.unwrap());
        assert!(pin_content(&stores, &[file]).await.is_err());
    }
}
