//! Local files: etags that follow every change that the file system reports, and files that survive a power cut.
//!
//! The client's own etag is made of inode, size and time of change, and that time anybody can set. The time of the last
//! change of the inode (ctime) nobody can, so it is added: a file that was written in place is another one.
//!
//! What is written is put on disk by threads in the background while the rest goes on, as soon as it is whole;
//! [`Syncs::settle`] waits for that and then puts the names on disk. Nothing is called complete before. A power cut
//! before it may leave damaged files, which their hashes show. Staging files are not synced: they can be staged again.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// Threads that put files on disk: the disk does many at once in the time of one.
const THREADS: usize = 8;

/// How long such a thread waits for the next file.
const IDLE: Duration = Duration::from_secs(1);

/// Store of local files with stronger etags and fsync.
#[derive(Debug, Clone)]
pub(crate) struct LocalStore {
    inner: Arc<LocalFileSystem>,
    /// What puts written files on disk, if anything does.
    syncs: Option<Arc<Syncs>>,
}

impl LocalStore {
    pub(crate) fn new(syncs: Option<Arc<Syncs>>) -> Self {
        Self { inner: Arc::new(LocalFileSystem::new()), syncs }
    }

    fn written(&self, location: &Path) -> Result<()> {
        if let Some(syncs) = &self.syncs {
            syncs.add(self.inner.path_to_filesystem(location)?);
        }
        Ok(())
    }

    /// With the time of the last change of the inode.
    fn tagged(&self, meta: ObjectMeta) -> ObjectMeta {
        let path = self.inner.path_to_filesystem(&meta.location);
        let changed = path.ok().and_then(|path| changed_at(&std::fs::metadata(path).ok()?));
        tag(meta, changed)
    }
}

#[cfg(unix)]
fn changed_at(meta: &std::fs::Metadata) -> Option<u128> {
    use std::os::unix::fs::MetadataExt;
    Some(u128::from(meta.ctime().unsigned_abs()) * 1_000_000_000 + u128::from(meta.ctime_nsec().unsigned_abs()))
}

#[cfg(not(unix))]
fn changed_at(_: &std::fs::Metadata) -> Option<u128> {
    None
}

fn tag(meta: ObjectMeta, changed_at: Option<u128>) -> ObjectMeta {
    let e_tag = meta.e_tag.clone().zip(changed_at).map(|(tag, at)| format!("{tag}-{at:x}"));
    ObjectMeta { e_tag: e_tag.or(meta.e_tag), ..meta }
}

/// The client's part of an etag.
fn of_client(tag: &str) -> &str {
    tag.match_indices('-').nth(2).map_or(tag, |(end, _)| &tag[..end])
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LocalStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let wanted = options.if_match.clone();
        let if_match = wanted.as_deref().map(|tag| of_client(tag).to_owned());
        let mut found = self.inner.get_opts(location, GetOptions { if_match, ..options }).await?;
        let changed = match &found.payload {
            GetResultPayload::File(file, _) => file.metadata().ok().and_then(|meta| changed_at(&meta)),
            GetResultPayload::Stream(_) => None,
        };
        found.meta = tag(found.meta, changed);
        match (&wanted, &found.meta.e_tag) {
            // A tag of an earlier version has the client's part only.
            (Some(wanted), Some(found)) if wanted != found && wanted != of_client(found) => Err(Error::Precondition {
                path: location.to_string(),
                source: format!("its etag is '{found}', planned was '{wanted}'").into(),
            }),
            _ => Ok(found),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let put = self.inner.put_opts(location, payload, options).await?;
        self.written(location)?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(LocalUpload { inner, store: self.clone(), location: location.clone() }))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        self.inner.list(prefix).map_ok(move |meta| store.tagged(meta)).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        self.inner.list_with_offset(prefix, offset).map_ok(move |meta| store.tagged(meta)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        listed.objects = listed.objects.into_iter().map(|meta| self.tagged(meta)).collect();
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.written(to)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        self.written(to)
    }
}

#[derive(Debug)]
struct LocalUpload {
    inner: Box<dyn MultipartUpload>,
    store: LocalStore,
    location: Path,
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.inner.complete().await?;
        self.store.written(&self.location)?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Files on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    state: Mutex<Unsynced>,
    /// A file was added.
    added: Condvar,
    /// A thread has nothing to do.
    rested: Condvar,
}

#[derive(Debug, Default)]
struct Unsynced {
    files: VecDeque<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// Threads that there are, and those of them that wait for a file.
    threads: usize,
    idle: usize,
    failed: Option<(PathBuf, io::Error)>,
}

impl Syncs {
    fn add(self: &Arc<Self>, file: PathBuf) {
        let mut state = self.lock();
        // Of a folder that is new the name is new, too.
        let folders = file.ancestors().skip(1).take_while(|folder| !state.folders.contains(*folder));
        let folders: Vec<PathBuf> = folders.map(FilePath::to_path_buf).collect();
        state.folders.extend(folders);
        state.files.push_back(file);
        if state.idle >= state.files.len() {
            self.added.notify_one();
        } else if state.threads < THREADS {
            let syncs = Arc::clone(self);
            // Without a thread, who waits does the work.
            state.threads += usize::from(std::thread::Builder::new().spawn(move || syncs.work()).is_ok());
        }
    }

    /// Puts files on disk, and waits a moment for more: a thread per file costs more than small files do.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            while let Some(file) = state.files.pop_front() {
                drop(state);
                let result = sync(&file);
                state = self.lock();
                if let Err(error) = result {
                    state.failed.get_or_insert((file, error));
                }
            }
            state.idle += 1;
            self.rested.notify_all();
            let waited = self.added.wait_timeout_while(state, IDLE, |state| state.files.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            if state.files.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        self.rested.notify_all();
    }

    /// Waits until all that was written is on disk, with its name.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the disk refused one.
    pub(crate) fn settle(&self) -> crate::Result<()> {
        let mut state = self.lock();
        while state.threads > state.idle || (state.threads > 0 && !state.files.is_empty()) {
            state = self.rested.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (rest, folders) = (std::mem::take(&mut state.files), std::mem::take(&mut state.folders));
        let mut failed = state.failed.take();
        drop(state);
        for path in rest.into_iter().chain(folders) {
            if let Err(error) = sync(&path) {
                failed.get_or_insert((path, error));
            }
        }
        let io = |(path, source): (PathBuf, io::Error)| crate::Error::Io {
            action: format!("putting {} on disk", path.display()),
            source,
        };
        failed.map_or(Ok(()), |failed| Err(io(failed)))
    }

    fn lock(&self) -> MutexGuard<'_, Unsynced> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a file or folder on disk. One that is gone needs it no more; folders above ours may not be ours to open.
fn sync(path: &FilePath) -> io::Result<()> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(()),
        // Some file systems do not sync folders.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && path.is_dir() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn file_written_in_place_with_its_old_time_has_another_etag() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, "abc").unwrap();
        let store = LocalStore::new(None);
        let path = Path::from_absolute_path(&file).unwrap();
        let before = store.head(&path).await.unwrap();
        let listed = store.list(Some(&Path::from_absolute_path(folder.path()).unwrap())).next().await.unwrap().unwrap();
        assert_eq!(before.e_tag, listed.e_tag);
        let tag = before.e_tag.unwrap();
        let get = async |tag: &str| {
            let options = GetOptions { if_match: Some(tag.to_owned()), ..GetOptions::default() };
            store.get_opts(&path, options).await.map(drop)
        };
        get(&tag).await.unwrap();
        get(of_client(&tag)).await.unwrap();
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "abd").unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        assert!(matches!(get(&tag).await, Err(Error::Precondition { .. })));
        get(of_client(&tag)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_and_renamed_settles_and_what_is_gone_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let syncs = Arc::new(Syncs::default());
        let store = LocalStore::new(Some(Arc::clone(&syncs)));
        let path = |name: &str| Path::from_absolute_path(folder.path().join(name)).unwrap();
        for number in 0..50 {
            store.put(&path(&format!("k={number}/.f")), "abc".into()).await.unwrap();
            store.rename(&path(&format!("k={number}/.f")), &path(&format!("k={number}/f"))).await.unwrap();
        }
        store.put(&path("gone"), "abc".into()).await.unwrap();
        store.delete(&path("gone")).await.unwrap();
        syncs.settle().unwrap();
        let state = syncs.lock();
        assert!(state.files.is_empty() && state.folders.is_empty() && state.threads == state.idle);
    }
}
