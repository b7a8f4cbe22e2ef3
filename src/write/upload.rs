//! One file on its way into a store: small ones as a single PUT, large ones as a multipart upload.
//!
//! Keeps what the store answers (its etag), the bytes and a hash of the content, which is what a manifest row needs and
//! what `object_store`'s own buffered writer throws away. The end of an upload is a step of its own, so the next file
//! can be encoded while this one lands. A failed upload is aborted (`parts`), so no parts stay behind; a file becomes
//! visible only when it is whole. Object stores do that by themselves. A killed process leaves half a local file beside
//! the place where it belongs, so in a folder that others read a local file has a name with a dot until then, which
//! readers of data folders pass over.

use std::hash::Hasher;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use datafusion::parquet::arrow::async_writer::AsyncFileWriter;
use datafusion::parquet::errors::{ParquetError, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use twox_hash::XxHash64;

use super::parts::{PART_BYTES, PARTS_IN_FLIGHT, Parts};
use crate::manifest::{CONTENT_TAG, bare_etag};

/// What is known of a file after its last byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) etag: String,
    pub(crate) bytes: u64,
}

/// Sink of a Parquet writer; what the writer has completed is stored by [`Upload::land`].
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// Where the bytes go first, if not to `path`.
    hidden: Option<Path>,
    /// Etags of local files follow inode and time instead of the content, so two writers of the same bytes would
    /// differ.
    content_etag: bool,
    buffer: BytesMut,
    multipart: Option<Parts>,
    hash: XxHash64,
    bytes: u64,
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, content_etag: bool) -> Self {
        Self {
            store,
            path,
            hidden: None,
            content_etag,
            buffer: BytesMut::new(),
            multipart: None,
            hash: XxHash64::with_seed(0),
            bytes: 0,
        }
    }

    /// Writes to `hidden`, and gives the file its name when it is whole.
    pub(crate) fn by_way_of(self, hidden: Path) -> Self {
        Self { hidden: Some(hidden), ..self }
    }

    fn target(&self) -> &Path {
        self.hidden.as_ref().unwrap_or(&self.path)
    }

    /// Bytes of the file so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes in memory until the upload has landed.
    pub(crate) fn held_bytes(&self) -> usize {
        if self.multipart.is_some() { PARTS_IN_FLIGHT * PART_BYTES } else { self.buffer.len() }
    }

    /// Gives up: the store forgets the parts that it has.
    pub(crate) async fn abort(&mut self) {
        if let Some(multipart) = self.multipart.take() {
            multipart.abort().await;
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// Those of the store, for bytes sent before.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> object_store::Result<()> {
        self.hash.write(&bytes);
        self.bytes += bytes.len() as u64;
        if let Some(multipart) = &mut self.multipart {
            return multipart.push(bytes).await;
        }
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= PART_BYTES {
            let parts = Parts::new(self.store.put_multipart(self.target()).await?);
            self.multipart.insert(parts).push(self.buffer.split().freeze()).await?;
        }
        Ok(())
    }

    /// Stores what is left and makes the file visible, or aborts the upload.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn land(mut self) -> object_store::Result<Stored> {
        let result = self.finish().await;
        if result.is_err() {
            self.abort().await;
        }
        result
    }

    async fn finish(&mut self) -> object_store::Result<Stored> {
        let answered = match self.multipart.take() {
            Some(multipart) => match multipart.finish().await {
                Ok(answer) => answer.e_tag,
                // The answer was lost, or is not one that the client knows; the file may be whole all the same.
                Err(error) => match self.store.head(self.target()).await {
                    Ok(found) if found.size == self.bytes => found.e_tag,
                    _ => return Err(error),
                },
            },
            None => {
                let payload = PutPayload::from(self.buffer.split().freeze());
                self.store.put(self.target(), payload).await?.e_tag
            }
        };
        if let Some(hidden) = &self.hidden {
            show(&self.store, hidden, &self.path, self.bytes).await?;
        }
        let known = |etag: Option<String>| etag.filter(|etag| !bare_etag(etag).is_empty());
        let mut etag = known(answered).filter(|_| !self.content_etag);
        if etag.is_none() && !self.content_etag {
            // Some stores do not say it when an upload ends.
            etag = known(self.store.head(&self.path).await?.e_tag);
        }
        let content = || format!("{CONTENT_TAG}{:016x}", self.hash.finish());
        let etag = etag.map_or_else(content, |etag| bare_etag(&etag).to_owned());
        Ok(Stored { etag, bytes: self.bytes })
    }
}

/// Gives a whole file its name.
async fn show(store: &Arc<dyn ObjectStore>, hidden: &Path, path: &Path, bytes: u64) -> object_store::Result<()> {
    match store.rename(hidden, path).await {
        // Another writer of the same task took it for its own, which has the same bytes.
        Err(error @ object_store::Error::NotFound { .. }) => match store.head(path).await {
            Ok(found) if found.size == bytes => Ok(()),
            _ => Err(error),
        },
        other => other,
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.push(bytes).map(|result| result.map_err(external)).boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<()>> {
        futures::future::ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;

    async fn stored(pieces: &[usize], content_etag: bool) -> (Stored, Bytes) {
        let store = Arc::new(InMemory::new());
        let mut upload = Upload::new(Arc::clone(&store) as _, Path::from("f"), content_etag);
        for (seed, length) in pieces.iter().enumerate() {
            let byte = u8::try_from(seed % 251).unwrap();
            upload.write(Bytes::from(vec![byte; *length])).await.unwrap();
        }
        let outcome = upload.land().await.unwrap();
        (outcome, store.get(&Path::from("f")).await.unwrap().bytes().await.unwrap())
    }

    #[tokio::test]
    async fn small_and_multipart_files_arrive_whole_with_their_size() {
        for pieces in [vec![10, 5], vec![PART_BYTES - 1, 2, PART_BYTES * 2, 7], vec![PART_BYTES], vec![]] {
            let (outcome, bytes) = stored(&pieces, false).await;
            let expected: Vec<u8> =
                pieces.iter().enumerate().flat_map(|(seed, n)| vec![u8::try_from(seed).unwrap(); *n]).collect();
            assert!(bytes == expected, "{pieces:?}");
            assert_eq!(outcome.bytes, bytes.len() as u64);
            assert!(!outcome.etag.is_empty());
        }
    }

    #[tokio::test]
    async fn content_etag_depends_on_the_bytes_alone() {
        let (one, _) = stored(&[3, 4], true).await;
        let (other, _) = stored(&[3, 4], true).await;
        let (different, _) = stored(&[4, 3], true).await;
        assert_eq!(one, other);
        assert!(one.etag.starts_with(CONTENT_TAG));
        assert_ne!(one.etag, different.etag);
    }

    #[tokio::test]
    async fn hidden_file_has_its_name_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        let visible = || {
            let names = std::fs::read_dir(folder.path().join("k=1")).into_iter().flatten();
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| !name.starts_with('.'))
        };
        for length in [10, PART_BYTES + 10] {
            let upload = || {
                Upload::new(Arc::clone(&store) as _, Path::from("k=1/f.parquet"), true)
                    .by_way_of(Path::from("k=1/.f.parquet"))
            };
            let (mut one, mut other) = (upload(), upload());
            for upload in [&mut one, &mut other] {
                upload.write(Bytes::from(vec![7; length])).await.unwrap();
                assert_eq!(visible().count(), 0);
            }
            one.land().await.unwrap();
            assert_eq!(visible().collect::<Vec<_>>(), ["f.parquet"]);
            other.land().await.unwrap();
            assert_eq!(std::fs::read(folder.path().join("k=1/f.parquet")).unwrap(), vec![7; length]);
            std::fs::remove_dir_all(folder.path().join("k=1")).unwrap();
        }
    }
}
