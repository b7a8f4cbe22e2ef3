//! Files of merged items: a thread merges buckets and packs lines, a task writes what it packed.
//!
//! Each file is zstd, has about [`FILE_BYTES`] of text, and its MD5 and rows are kept for the manifest. A few MiB are
//! on their way at once. What is written is compared with the size that the store says.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::buffered::BufWriter;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::fold::ItemSink;
use crate::error::{Error, Result};
use crate::layout::{Location, store_error};
use crate::snapshot::exports::merged_manifest::MergedFile;

/// Bytes of text in a file: large enough to be read well, small enough that a thread reads several.
const FILE_BYTES: usize = 256 << 20;

/// Packed bytes that are handed over at once.
const PART_BYTES: usize = 1 << 20;

/// Bytes of one upload of a part.
const UPLOAD_BYTES: usize = 8 << 20;

/// What is handed over.
pub(super) enum SinkPart {
    Bytes(Bytes),
    /// The file ends here.
    End {
        rows: u64,
        md5: String,
    },
}

/// Packs lines.
pub(super) struct PackedLines {
    parts: mpsc::Sender<SinkPart>,
    open: Option<OpenPack>,
    /// Files that have ended.
    files: usize,
}

struct OpenPack {
    encoder: zstd::Encoder<'static, Vec<u8>>,
    md5: Md5,
    rows: u64,
    text: usize,
}

/// Nobody listens any more: whoever did has an error of its own.
fn cut(source: std::io::Error) -> Error {
    Error::Io { action: "pack a file of a merge".to_owned(), source }
}

impl PackedLines {
    pub(super) fn new(parts: mpsc::Sender<SinkPart>) -> Self {
        Self { parts, open: None, files: 0 }
    }

    fn send(&self, part: SinkPart) -> Result<()> {
        self.parts.blocking_send(part).map_err(|_| cut(std::io::ErrorKind::BrokenPipe.into()))
    }

    /// Ends the last file; there is one even if there are no items, if there has to be one.
    pub(super) fn finish(mut self, has_file: bool) -> Result<()> {
        if has_file && self.files == 0 && self.open.is_none() {
            self.open = Some(OpenPack::new()?);
        }
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(OpenPack { encoder, mut md5, rows, .. }) = self.open.take() else { return Ok(()) };
        let packed = encoder.finish().map_err(cut)?;
        md5.update(&packed);
        self.files += 1;
        self.send(SinkPart::Bytes(packed.into()))?;
        let md5 = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.send(SinkPart::End { rows, md5 })
    }
}

impl OpenPack {
    fn new() -> Result<Self> {
        let encoder = zstd::Encoder::new(Vec::new(), 1).map_err(cut)?;
        Ok(Self { encoder, md5: Md5::new(), rows: 0, text: 0 })
    }
}

impl ItemSink for PackedLines {
    fn item(&mut self, parts: [&[u8]; 3]) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenPack::new()?),
        };
        for part in parts {
            open.encoder.write_all(part).map_err(cut)?;
            open.text += part.len();
        }
        open.encoder.write_all(b"\n").map_err(cut)?;
        open.rows += 1;
        let is_full = open.text >= FILE_BYTES;
        if open.encoder.get_ref().len() >= PART_BYTES {
            let packed = std::mem::take(open.encoder.get_mut());
            open.md5.update(&packed);
            self.send(SinkPart::Bytes(packed.into()))?;
        }
        if is_full { self.end() } else { Ok(()) }
    }
}

/// Writes the files of one thread into a folder; their names begin with a number of the bucket.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn write(
    store: Arc<dyn ObjectStore>,
    folder: Location,
    bucket: usize,
    mut parts: mpsc::Receiver<SinkPart>,
) -> Result<Vec<MergedFile>> {
    let mut files = Vec::new();
    let mut open: Option<(String, Location, BufWriter, u64)> = None;
    while let Some(part) = parts.recv().await {
        let (name, location, mut writer, size) = match open.take() {
            Some(open) => open,
            None => {
                let name = format!("items-{bucket:03}-{:04}.json.zst", files.len() + 1);
                let location = folder.join(&name);
                let writer = BufWriter::with_capacity(Arc::clone(&store), location.key()?, UPLOAD_BYTES);
                (name, location, writer.with_max_concurrency(2), 0)
            }
        };
        match part {
            SinkPart::Bytes(bytes) => {
                let size = size + bytes.len() as u64;
                writer.put(bytes).await.map_err(|source| store_error("write", &location, source))?;
                open = Some((name, location, writer, size));
            }
            SinkPart::End { rows, md5 } => {
                let failed = |source: std::io::Error| {
                    let generic =
                        |source: std::io::Error| object_store::Error::Generic { store: "merge", source: source.into() };
                    store_error("write", &location, source.downcast().unwrap_or_else(generic))
                };
                writer.shutdown().await.map_err(failed)?;
                let stored = store.head(&location.key()?).await;
                let stored = stored.map_err(|source| store_error("read", &location, source))?;
                if stored.size != size {
                    let source = format!("{} bytes were stored of {size}", stored.size).into();
                    let source = object_store::Error::Generic { store: "merge", source };
                    return Err(store_error("write", &location, source));
                }
                let etag = stored.e_tag.map(|etag| etag.trim_matches('"').to_owned());
                files.push(MergedFile { name, size, rows, md5, etag });
            }
        }
    }
    Ok(files)
}
