//! A store that refuses files which changed since they were planned.
//!
//! Every read of a pinned file carries `If-Match` with the planned etag, and the etag and size that come back must be
//! the planned ones: some stores ignore conditions, and some refuse their own etags in quotes or as weak etags. What is
//! refused is therefore asked for once more without the condition, and its etag decides. Files that are not pinned
//! cannot be read at all: a task reads what its manifest lists, nothing else. It writes and lists nothing.
//!
//! A disk gives no etag that follows the content. Local files of ours whose manifest has a hash can be compared with it
//! once, before their first byte is read ([`ContentCheck`]): a query does so, a task has hashed its files before.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, coalesce_ranges,
};
use tokio::sync::OnceCell;

use super::content;
use super::pin::{ContentCheck, Pin};
use crate::layout::Location;
use crate::layout::split::is_whole_file;
use crate::manifest::{CONTENT_TAG, FileEntry, bare_etag};

/// Store that returns a file only if its etag is the planned one.
#[derive(Debug)]
pub(crate) struct PinnedStore {
    inner: Arc<dyn ObjectStore>,
    pins: HashMap<Path, Pin>,
    /// Files whose content is compared.
    contents: HashMap<Path, (ContentCheck, OnceCell<()>)>,
    /// Local stores compare etags as they are, all others speak HTTP and want quotes.
    quoted: bool,
    /// Whether conditions are of no use here.
    refuses_own_etags: AtomicBool,
}

impl PinnedStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, pins: HashMap<Path, Pin>, local: bool) -> Self {
        Self { inner, pins, contents: HashMap::new(), quoted: !local, refuses_own_etags: AtomicBool::new(false) }
    }

    /// Also compares the content of these files.
    pub(crate) fn with_content_checks(mut self, checks: impl IntoIterator<Item = (Path, ContentCheck)>) -> Self {
        let wanted = checks.into_iter().filter(|(_, check)| *check != ContentCheck::Never);
        self.contents = wanted.map(|(path, check)| (path, (check, OnceCell::new()))).collect();
        self
    }

    /// A store of one file at `location`.
    ///
    /// # Errors
    /// [`crate::error::Error::Location`] when no key can be made of it.
    pub(crate) fn of_file(
        inner: &Arc<dyn ObjectStore>,
        location: &Location,
        file: &FileEntry,
    ) -> crate::error::Result<Self> {
        let pin = Pin { etag: Arc::clone(&file.etag), size: is_whole_file(&file.uri).then_some(file.size) };
        Ok(Self::new(Arc::clone(inner), HashMap::from([(location.key()?, pin)]), location.is_local()))
    }

    /// Reads with the condition, or, where that is refused, without it; and whether it was.
    async fn get_if_match(&self, location: &Path, etag: &str, options: GetOptions) -> Result<(GetResult, bool)> {
        if !self.refuses_own_etags.load(Ordering::Relaxed) {
            let etag = if self.quoted { format!("\"{etag}\"") } else { etag.to_owned() };
            let conditional = GetOptions { if_match: Some(etag), ..options.clone() };
            match self.inner.get_opts(location, conditional).await {
                Err(Error::Precondition { .. }) => {}
                other => return Ok((other?, false)),
            }
        }
        Ok((self.inner.get_opts(location, options).await?, true))
    }

    /// Compares the content of a file before its first read.
    async fn check_content(&self, path: &Path, pin: &Pin) -> Result<()> {
        let Some((check, once)) = self.contents.get(path).filter(|_| pin.etag.starts_with(CONTENT_TAG)) else {
            return Ok(());
        };
        let checked = once
            .get_or_try_init(|| content::check_local(std::path::Path::new("/").join(path.as_ref()), pin, *check))
            .await
            .copied();
        checked.map_err(|source| Error::Generic { store: "local", source: Box::new(source) })
    }

    fn read_only<T>(operation: &str) -> Result<T> {
        Err(Error::NotSupported { source: format!("a pinned store does not {operation}").into() })
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(pin) = self.pins.get(location) else {
            return Err(Error::NotFound {
                path: location.to_string(),
                source: "it is not in the task's manifest".into(),
            });
        };
        let changed = |source: String| Error::Precondition { path: location.to_string(), source: source.into() };
        self.check_content(location, pin).await?;
        let has_etag = !pin.etag.is_empty() && !pin.etag.starts_with(CONTENT_TAG);
        let (result, was_refused) = match has_etag {
            true => self.get_if_match(location, &pin.etag, options).await?,
            false => (self.inner.get_opts(location, options).await?, false),
        };
        if let Some(planned) = pin.size.filter(|planned| *planned != result.meta.size) {
            return Err(changed(format!("it has {} bytes, planned were {planned}", result.meta.size)));
        }
        let found = bare_etag(result.meta.e_tag.as_deref().unwrap_or_default());
        // Of local files, earlier versions kept the first part.
        let is_same = found == &*pin.etag
            || !self.quoted && found.strip_prefix(&*pin.etag).is_some_and(|rest| rest.starts_with('-'));
        if has_etag && !is_same && (was_refused || !found.is_empty()) {
            return Err(changed(format!("its etag is '{found}', planned was '{}'", pin.etag)));
        }
        if was_refused {
            self.refuses_own_etags.store(true, Ordering::Relaxed);
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(
            ranges,
            |range| async move {
                let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
                self.get_opts(location, options).await?.bytes().await
            },
            OBJECT_STORE_COALESCE_DEFAULT,
        )
        .await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Self::read_only("write")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Self::read_only("write")
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        Box::pin(futures::stream::once(async { Self::read_only("delete") }))
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        Box::pin(futures::stream::once(async { Self::read_only("list") }))
    }

    fn list_with_offset(&self, _: Option<&Path>, _: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list(None)
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Self::read_only("list")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Self::read_only("copy")
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: object_store::RenameOptions) -> Result<()> {
        Self::read_only("rename")
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;

    use super::*;
    use crate::manifest::codec::content_tag;

    async fn pinned(folder: &std::path::Path) -> (Arc<LocalFileSystem>, PinnedStore, Path) {
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder).unwrap());
        let path = Path::from("f");
        store.put(&path, "abc".into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        let pin = Pin { etag: meta.e_tag.unwrap().into(), size: Some(meta.size) };
        let pinned = PinnedStore::new(Arc::clone(&store) as _, HashMap::from([(path.clone(), pin)]), true);
        (store, pinned, path)
    }

    #[tokio::test]
    async fn unchanged_file_is_read_whole_and_in_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let (_, pinned, path) = pinned(folder.path()).await;
        assert_eq!(pinned.get(&path).await.unwrap().bytes().await.unwrap(), "abc");
        assert_eq!(pinned.get_ranges(&path, &[0..1, 2..3]).await.unwrap(), ["a", "c"]);
    }

    #[tokio::test]
    async fn replaced_file_is_refused_also_in_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let (store, pinned, path) = pinned(folder.path()).await;
        store.put(&path, "abd".into()).await.unwrap();
        assert!(matches!(pinned.get(&path).await, Err(Error::Precondition { .. })));
        assert!(matches!(
            pinned.get_ranges(&path, std::slice::from_ref(&(0..1))).await,
            Err(Error::Precondition { .. })
        ));
    }

    #[tokio::test]
    async fn file_that_no_manifest_lists_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (_, pinned, _) = pinned(folder.path()).await;
        assert!(matches!(pinned.get(&Path::from("other")).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn content_tag_pins_by_size() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _, path) = pinned(folder.path()).await;
        let pin = Pin { etag: format!("{CONTENT_TAG}1").into(), size: Some(3) };
        let pinned = PinnedStore::new(Arc::clone(&store) as _, HashMap::from([(path.clone(), pin)]), true);
        assert!(pinned.get(&path).await.is_ok());
        store.put(&path, "longer".into()).await.unwrap();
        assert!(matches!(pinned.get(&path).await, Err(Error::Precondition { .. })));
    }

    #[tokio::test]
    async fn file_that_changed_after_it_was_proven_is_hashed_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let path = Path::from_filesystem_path(folder.path()).unwrap().join("f");
        store.put(&path, "abc".into()).await.unwrap();
        let read = async |check| {
            let pin = Pin { etag: content_tag(b"abc").into(), size: Some(3) };
            let pinned = PinnedStore::new(Arc::clone(&store), HashMap::from([(path.clone(), pin)]), true);
            pinned.with_content_checks([(path.clone(), check)]).get(&path).await
        };
        let (before, after) = (DateTime::UNIX_EPOCH, Utc::now() + chrono::TimeDelta::hours(1));
        assert!(read(ContentCheck::Always).await.is_ok());
        store.put(&path, "abd".into()).await.unwrap();
        assert!(read(ContentCheck::Never).await.is_ok());
        assert!(read(ContentCheck::IfChangedAfter(after)).await.is_ok());
        for check in [ContentCheck::Always, ContentCheck::IfChangedAfter(before)] {
            let error = read(check).await.unwrap_err().to_string();
            assert!(error.contains("changed after it was written"), "{error}");
        }
    }
}
