//! A store in memory that fails when it is reported to: the crash of a process between any two of its writes, and a bad day of
//! the network.
//!
//! It counts what changes something (PUT, parts, completions, deletions), so a test can stop at each of them in turn.
//! Etags are in quotes, as HTTP has them.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    coalesce_ranges,
};

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request fails, once.
    Error,
    /// The code behind the request panics, once.
    Panic,
    /// The process is gone: neither this request nor any later one, of any kind, succeeds.
    Death,
    /// The request gets no answer, ever.
    Hang,
}

/// A break point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Number of the write, from 1.
    pub(crate) at: usize,
    /// Whether the store does it before it fails, so that only the answer is lost.
    pub(crate) is_done: bool,
    pub(crate) fault: Fault,
}

#[derive(Debug, Default)]
struct State {
    writes: Vec<String>,
    /// Objects that were read since the stop.
    looked_at: BTreeSet<String>,
    stop: Option<Stop>,
    is_dead: bool,
}

/// See the module's head; clones share all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faulty {
    inner: Arc<InMemory>,
    forgets_conditions: Arc<AtomicBool>,
    panics_reading: Arc<Mutex<Option<Path>>>,
    state: Arc<Mutex<State>>,
}

/// What to do with one write.
enum Verdict {
    Go,
    Fail { is_done: bool, fault: Fault },
}

impl Faulty {
    /// Works from now on, but for this; the count of writes begins anew.
    pub(crate) fn revive(&self, stop: Option<Stop>) {
        *self.state.lock().unwrap() = State { stop, ..State::default() };
    }

    /// From now on a PUT overwrites what is there, whatever was asked.
    pub(crate) fn forget_conditions(&self) {
        self.forgets_conditions.store(true, Ordering::Relaxed);
    }

    /// From now on the code behind a read of this object panics, as a decoder may over a footer.
    pub(crate) fn panic_reading(&self, key: &str) {
        *self.panics_reading.lock().unwrap() = Some(Path::from(key));
    }

    /// Writes since the last [`Faulty::revive`], in their order: what, and the key.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.state.lock().unwrap().writes.clone()
    }

    /// Whether an object was read after the stop.
    pub(crate) fn was_looked_at(&self, key: &str) -> bool {
        self.state.lock().unwrap().looked_at.contains(key)
    }

    /// All objects below a prefix.
    pub(crate) async fn objects(&self, prefix: &str) -> std::collections::BTreeMap<String, Bytes> {
        let mut found = std::collections::BTreeMap::new();
        let mut listing = self.inner.list(Some(&Path::from(prefix)));
        while let Some(meta) = listing.next().await {
            let path = meta.unwrap().location;
            found.insert(path.to_string(), self.inner.get(&path).await.unwrap().bytes().await.unwrap());
        }
        found
    }

    /// Puts an object without counting it.
    pub(crate) async fn set(&self, key: &str, bytes: impl Into<Bytes>) {
        self.inner.put(&Path::parse(key).unwrap(), PutPayload::from(bytes.into())).await.unwrap();
    }

    /// Removes an object without counting it.
    pub(crate) async fn unset(&self, key: &str) {
        self.inner.delete(&Path::parse(key).unwrap()).await.unwrap();
    }

    fn write(&self, what: &str, path: &Path) -> Result<Verdict> {
        let mut state = self.state.lock().unwrap();
        alive(&state)?;
        state.writes.push(format!("{what} {path}"));
        let Some(Stop { at, is_done, fault }) = state.stop else { return Ok(Verdict::Go) };
        if state.writes.len() != at {
            return Ok(Verdict::Go);
        }
        state.is_dead = fault == Fault::Death;
        Ok(Verdict::Fail { is_done, fault })
    }

    fn look_at(&self, path: &Path) {
        let mut state = self.state.lock().unwrap();
        if state.stop.is_some_and(|stop| state.writes.len() >= stop.at) {
            state.looked_at.insert(path.to_string());
        }
    }

    fn read(&self) -> Result<()> {
        alive(&self.state.lock().unwrap())
    }
}

fn alive(state: &State) -> Result<()> {
    if state.is_dead { Err(failure("the process is dead")) } else { Ok(()) }
}

fn failure(why: &str) -> Error {
    Error::Generic { store: "faulty", source: why.into() }
}

fn fail<T>(fault: Fault) -> Result<T> {
    assert!(fault != Fault::Panic, "a panic that the test asked for");
    Err(failure("an error that the test asked for"))
}

/// Does a write, or not, or fails after it.
async fn guarded<T>(verdict: Result<Verdict>, write: impl Future<Output = Result<T>>) -> Result<T> {
    match verdict? {
        Verdict::Go => write.await,
        Verdict::Fail { is_done, fault } => {
            if is_done {
                // It may be refused, as a second creation is; the fault comes all the same.
                let _ = write.await;
            }
            if fault == Fault::Hang {
                std::future::pending::<()>().await;
            }
            fail(fault)
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if self.forgets_conditions.load(Ordering::Relaxed) {
            options.mode = PutMode::Overwrite;
        }
        guarded(self.write("put", path), self.inner.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = guarded(self.write("begin", path), self.inner.put_multipart_opts(path, options)).await?;
        Ok(Box::new(FaultyUpload { inner, path: path.clone(), store: self.clone() }))
    }

    async fn get_opts(&self, path: &Path, mut options: GetOptions) -> Result<GetResult> {
        self.read()?;
        self.look_at(path);
        let panics = self.panics_reading.lock().unwrap().as_ref() == Some(path);
        assert!(!panics, "a panic that the test asked for");
        options.if_match = options.if_match.map(|etag| etag.trim_matches('"').to_owned());
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = |range| async move { self.get_range(path, range).await };
        coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        paths
            .then(move |path| {
                let store = store.clone();
                async move {
                    let path = path?;
                    guarded(store.write("delete", &path), store.inner.delete(&path)).await?;
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        guarded(self.write("copy", to), self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    path: Path,
    store: Faulty,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let verdict = self.store.write("part", &self.path);
        let write = self.inner.put_part(data);
        Box::pin(guarded(verdict, write))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        guarded(self.store.write("complete", &self.path), self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        guarded(self.store.write("abort", &self.path), self.inner.abort()).await
    }
}
