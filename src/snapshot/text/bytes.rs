//! The text of one snapshot file as a stream of bytes: opened, decompressed, without a byte order mark.
//!
//! Nothing holds a whole file: chunks are a few hundred KiB. Gzip, zstd, bzip2 and xz files may consist of several
//! members, as parallel compressors write them. An end that comes too early is always an error: a compressed member
//! that is cut, and a store that sends fewer bytes than it announced. A cut that falls between two members, or in a
//! plain file, shows only in the file's size, so the size is compared with the planned one.
//!
//! Failures of the store are [`Error::Store`], all others [`Error::ReadSnapshotFile`], or [`Error::InvalidValue`] and
//! [`Error::Malformed`] where the place is known; all name the file.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder, ZstdDecoder};
use bytes::{Buf, Bytes, BytesMut};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_plan::metrics::Count;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::StreamReader;

use super::charset::ToUtf8;
use super::copy_data::CopyData;
use super::place::Malformed;
use crate::config::Compression;
use crate::error::{Error, InvalidValue, Result};
use crate::snapshot::dump::archive::blocks::{BlockDecoder, BlockState};
use crate::snapshot::dump::archive::offsets::DataBlock;
use crate::snapshot::names::OtherCase;
use crate::snapshot::split::Split;
use crate::types::width::{memory_of, most_value};

/// Bytes per chunk: large enough that a chunk's overhead is nothing, small enough to hold several per open file.
const CHUNK: usize = 256 * 1024;

/// How long a record may be: what has no end by then is not text of the declared format, or does not fit into memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordLimit {
    pub(crate) bytes: usize,
    /// Whose limit it is, and what to do about it.
    pub(crate) advice: &'static str,
}

impl Default for RecordLimit {
    /// That of files that are looked at before anything is read.
    fn default() -> Self {
        Self { bytes: 64 << 20, advice: "the most where columns are found out; declare them if the record is right" }
    }
}

impl RecordLimit {
    /// That of files that are read, by the limit of the engine's pool.
    pub(crate) fn of(limit: &MemoryLimit) -> Self {
        let Some(memory) = memory_of(limit) else { return Self::default() };
        let bytes = usize::try_from(most_value(memory)).unwrap_or(usize::MAX);
        Self { bytes, advice: "the most that --memory-limit leaves room for; raise it if the record is right" }
    }
}

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The compression that the last extension of a file name represents.
pub(crate) fn compression_of(location: &Path) -> Compression {
    match location.extension().map(str::to_ascii_lowercase).as_deref() {
        Some("gz" | "gzip") => Compression::Gzip,
        Some("zst" | "zstd") => Compression::Zstd,
        Some("bz2") => Compression::Bzip2,
        Some("xz") => Compression::Xz,
        _ => Compression::None,
    }
}

/// Bytes as they were before they were compressed.
pub(crate) type UnpackedReader<'a> = Box<dyn AsyncRead + Send + Unpin + 'a>;

/// Unpacks bytes, also those of several members.
pub(crate) fn unpacked<'a>(
    packed: impl AsyncBufRead + Send + Unpin + 'a,
    compression: Compression,
) -> UnpackedReader<'a> {
    macro_rules! decoder {
        ($decoder:ident) => {{
            let mut decoder = $decoder::new(packed);
            decoder.multiple_members(true);
            Box::new(decoder)
        }};
    }
    match compression {
        Compression::None => Box::new(packed),
        Compression::Gzip => decoder!(GzipDecoder),
        Compression::Zstd => decoder!(ZstdDecoder),
        Compression::Bzip2 => decoder!(BzDecoder),
        Compression::Xz => decoder!(XzDecoder),
    }
}

/// The names that an error about one snapshot file carries.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) table: Arc<str>,
    pub(crate) uri: Arc<str>,
}

impl Origin {
    /// The file's content is wrong. An error that has its own place becomes an error of that kind.
    pub(crate) fn unreadable(&self, source: DataFusionError) -> Error {
        let source = match source {
            DataFusionError::External(source) => match source.downcast::<InvalidValue>() {
                Ok(value) => {
                    return Error::InvalidValue { table: self.table.to_string(), uri: self.uri.to_string(), value };
                }
                Err(source) => match source.downcast::<Malformed>() {
                    Ok(malformed) => return self.malformed(*malformed),
                    Err(source) => match source.downcast::<OtherCase>() {
                        Ok(other) => return other.into_error(self.table.to_string(), self.uri.to_string()),
                        Err(source) => DataFusionError::External(source),
                    },
                },
            },
            other => other,
        };
        Error::ReadSnapshotFile { table: self.table.to_string(), uri: self.uri.to_string(), source }
    }

    pub(crate) fn malformed(&self, Malformed { line, column, reason }: Malformed) -> Error {
        Error::Malformed { table: self.table.to_string(), uri: self.uri.to_string(), line, column, reason }
    }

    /// The store failed to give the file, or the file changed.
    pub(crate) fn unavailable(&self, source: object_store::Error) -> Error {
        Error::Store { action: "read", uri: self.uri.to_string(), source }
    }

    /// An error that came through a reader: the store's own error is taken out again.
    fn io(&self, error: io::Error) -> Error {
        match error.downcast::<object_store::Error>() {
            Ok(source) => self.unavailable(source),
            Err(error) => self.unreadable(DataFusionError::IoError(error)),
        }
    }
}

/// What to open.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) location: &'a Path,
    /// Sent as If-Match, as the store itself spells it.
    pub(crate) e_tag: Option<&'a str>,
    /// Planned size, if it was planned.
    pub(crate) size: Option<u64>,
    /// None: by file name.
    pub(crate) compression: Option<Compression>,
    /// Which bytes of the file are read; None: all.
    pub(crate) split: Option<&'a Split>,
    /// Character set of the text; None: UTF-8, or UTF-16 with its mark.
    pub(crate) charset: Option<&'a str>,
    /// Whether the bytes are given as they are: no text, or one whose places count a byte order mark.
    pub(crate) is_raw: bool,
}

/// The open file.
pub(crate) struct Chunks {
    source: ByteSource,
    origin: Origin,
    started: bool,
    charset: Option<ToUtf8>,
}

enum ByteSource {
    Plain(BoxStream<'static, io::Result<Bytes>>),
    Packed {
        reader: UnpackedReader<'static>,
        buffer: BytesMut,
    },
    /// COPY data of a pg_dump archive up to its end mark.
    Copy {
        of: Box<Self>,
        data: CopyData,
    },
    /// A data block of a pg_dump archive, unpacked.
    Block {
        of: Box<Self>,
        decoder: Box<BlockDecoder>,
        input: Bytes,
    },
    /// A part of another source: bytes to pass over, and bytes to give.
    Window {
        of: Box<Self>,
        skip: u64,
        rest: u64,
    },
    /// All of another source, which has so many bytes in all, and how many came.
    Sized {
        of: Box<Self>,
        size: u64,
        found: u64,
    },
}

impl Chunks {
    /// Opens the file with one GET. `scanned` counts the stored bytes as they arrive.
    pub(crate) async fn open(
        store: &dyn ObjectStore,
        request: Request<'_>,
        origin: Origin,
        scanned: Count,
    ) -> Result<Self> {
        let range = request.split.and_then(Split::stored);
        if range.as_ref().is_some_and(Range::is_empty) {
            let nothing = ByteSource::Plain(stream::empty().boxed());
            // COPY data has an end mark even without rows: then this is an error.
            let is_copy = matches!(request.split, Some(Split::Copy(_) | Split::Block(..)));
            let copy = |of| ByteSource::Copy { of: Box::new(of), data: CopyData::default() };
            let source = if is_copy { copy(nothing) } else { nothing };
            return Ok(Self { source, origin, started: true, charset: None });
        }
        let options = GetOptions {
            if_match: request.e_tag.map(str::to_owned),
            range: range.clone().map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let got = store.get_opts(request.location, options).await.map_err(|e| origin.unavailable(e))?;
        let size = range.as_ref().map_or(got.meta.size, |_| got.range.end - got.range.start);
        // What a part of an unpacked file counts for in a plan is no size of anything stored.
        let planned = request.size.filter(|_| !matches!(request.split, Some(Split::Unpacked(_))));
        if let Some(planned) = planned.filter(|planned| *planned != size) {
            let source = format!("it has {size} bytes, planned were {planned}").into();
            let path = request.location.to_string();
            return Err(origin.unavailable(object_store::Error::Precondition { path, source }));
        }
        let stored = match got.payload {
            // Chunks of the store's own stream are so small that handing them over costs more than reading them.
            GetResultPayload::File(file, _) => local_chunks(file, got.range).boxed(),
            GetResultPayload::Stream(stream) => stream.map_err(io::Error::other).boxed(),
        };
        let stored = counted(stored, size, scanned).boxed();
        let stored = match request.split {
            Some(Split::Whole { md5 }) => with_md5(stored, md5.clone()).boxed(),
            _ => stored,
        };
        let is_plain = matches!(request.split, Some(Split::Bytes(_) | Split::Block(..)));
        let compression = request.compression.unwrap_or_else(|| compression_of(request.location));
        // A file of no bytes is an empty table under every compression, though no compressor writes it.
        let compression = if size == 0 || is_plain { Compression::None } else { compression };
        let mut source = ByteSource::new(stored, compression);
        match request.split {
            Some(Split::Unpacked(range)) => source = ByteSource::window(source, range.clone()),
            Some(Split::Copy(_)) => source = ByteSource::Copy { of: Box::new(source), data: CopyData::default() },
            Some(Split::Block(range, form)) => {
                let block = DataBlock { offset: range.start, length: range.end - range.start };
                let decoder = BlockDecoder::new(*form, block);
                let decoder = decoder.map_err(|fault| origin.unreadable(DataFusionError::External(fault.into())))?;
                let block = ByteSource::Block { of: Box::new(source), decoder: Box::new(decoder), input: Bytes::new() };
                source = ByteSource::Copy { of: Box::new(block), data: CopyData::default() };
            }
            Some(Split::Sized(size)) => source = ByteSource::Sized { of: Box::new(source), size: *size, found: 0 },
            None | Some(Split::Whole { .. } | Split::Bytes(_)) => {}
        }
        // A byte order mark is at the beginning of a file only.
        let started = request.is_raw || !matches!(request.split, None | Some(Split::Whole { .. }));
        let charset = request.charset.and_then(ToUtf8::named);
        Ok(Self { source, origin, started, charset })
    }

    /// The next bytes, never empty; None at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let chunk = self.pull_text().await?;
            let Some(charset) = &mut self.charset else { return Ok(chunk) };
            let mut text = Vec::new();
            let pushed = match &chunk {
                Some(bytes) => charset.push(bytes, false, &mut text),
                None => charset.push(&[], true, &mut text),
            };
            pushed.map_err(|error| self.origin.io(error))?;
            if chunk.is_none() {
                self.charset = None;
            }
            if !text.is_empty() {
                return Ok(Some(text.into()));
            }
        }
    }

    /// The next bytes, without the mark at the beginning of UTF-8.
    async fn pull_text(&mut self) -> Result<Option<Bytes>> {
        if self.started {
            return self.pull().await;
        }
        self.started = true;
        let mut head = BytesMut::new();
        while head.len() < BYTE_ORDER_MARK.len() {
            match self.pull().await? {
                Some(chunk) => head.extend_from_slice(&chunk),
                None => break,
            }
        }
        // What the file says of itself counts more than what is declared for all files.
        if head.starts_with(BYTE_ORDER_MARK) {
            self.charset = None;
            head.advance(BYTE_ORDER_MARK.len());
        } else if let Some(charset) = ToUtf8::of_mark(&head) {
            self.charset = Some(charset);
        }
        if head.is_empty() { self.pull().await } else { Ok(Some(head.freeze())) }
    }

    async fn pull(&mut self) -> Result<Option<Bytes>> {
        self.source.next().await.map_err(|error| self.origin.io(error))
    }

    /// Runs `consume` on a thread of its own while this task feeds it; it may stop before the end. Not on one of the
    /// runtime's threads for blocking work: those are few, and reading the file needs them too.
    pub(crate) async fn read_with<T, F>(mut self, consume: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut ChunkReader) -> T + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(2);
        let (done, consumed) = oneshot::channel();
        std::thread::spawn(move || {
            // Nobody waits for it any more when this task was cancelled.
            let _ = done.send(consume(&mut ChunkReader { receiver, chunk: Bytes::new(), is_at_end: false }));
        });
        let mut fed = Ok(());
        loop {
            match self.next().await {
                Ok(Some(chunk)) => {
                    if sender.send(chunk).await.is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    fed = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        let result = consumed.await.map_err(|gone| Error::Engine(DataFusionError::External(Box::new(gone))))?;
        // What the consumer made of a part of the file is worth nothing when the rest could not be read.
        fed.map(|()| result)
    }
}

impl ByteSource {
    fn new(stored: BoxStream<'static, io::Result<Bytes>>, compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain(stored),
            packed => Self::Packed { reader: unpacked(StreamReader::new(stored), packed), buffer: BytesMut::new() },
        }
    }

    fn window(of: Self, range: Range<u64>) -> Self {
        Self::Window { of: Box::new(of), skip: range.start, rest: range.end - range.start }
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Plain(stream) => loop {
                match stream.try_next().await? {
                    Some(chunk) if chunk.is_empty() => {}
                    chunk => return Ok(chunk),
                }
            },
            Self::Copy { of, data } => loop {
                let Some(chunk) = Box::pin(of.next()).await? else { return data.finish().map(|()| None) };
                let rows = data.rows(chunk)?;
                if !rows.is_empty() {
                    return Ok(Some(rows));
                }
            },
            Self::Block { of, decoder, input } => loop {
                let mut out = Vec::with_capacity(CHUNK);
                let progress = decoder.push(input, &mut out).map_err(io::Error::other)?;
                input.advance(progress.used);
                if !out.is_empty() {
                    return Ok(Some(out.into()));
                }
                match progress.state {
                    BlockState::Done => return Ok(None),
                    BlockState::Full => {}
                    BlockState::More => match Box::pin(of.next()).await? {
                        Some(chunk) => *input = chunk,
                        None => return decoder.finish().map(|()| None).map_err(io::Error::other),
                    },
                }
            },
            Self::Window { of, skip, rest } => loop {
                if *rest == 0 {
                    return Ok(None);
                }
                let Some(mut chunk) = Box::pin(of.next()).await? else {
                    let reason = format!("it ends {rest} bytes too early");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                };
                let passed = usize::try_from(*skip).unwrap_or(usize::MAX).min(chunk.len());
                chunk.advance(passed);
                *skip -= passed as u64;
                chunk.truncate(usize::try_from(*rest).unwrap_or(usize::MAX));
                *rest -= chunk.len() as u64;
                if !chunk.is_empty() {
                    return Ok(Some(chunk));
                }
            },
            Self::Sized { of, size, found } => {
                let chunk = Box::pin(of.next()).await?;
                *found += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                if *found > *size || (chunk.is_none() && *found < *size) {
                    let more = if chunk.is_some() { "at least " } else { "" };
                    let reason = format!("it unpacks to {more}{found} bytes, but the export says {size}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
                Ok(chunk)
            }
            Self::Packed { reader, buffer } => {
                // A chunk that the caller has dropped leaves its room to this one.
                buffer.reserve(CHUNK);
                let read = reader.read_buf(buffer).await?;
                Ok((read > 0).then(|| buffer.split().freeze()))
            }
        }
    }
}

fn local_chunks(mut file: std::fs::File, range: Range<u64>) -> impl futures::Stream<Item = io::Result<Bytes>> + Send {
    let sought = if range.start == 0 { Ok(0) } else { file.seek(SeekFrom::Start(range.start)) };
    let rest = range.end - range.start;
    stream::try_unfold((sought.map(|_| file), rest), |(file, rest)| async move {
        let mut file = file?;
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK);
            file.by_ref().take(rest.min(CHUNK as u64)).read_to_end(&mut chunk)?;
            Ok::<_, io::Error>((Bytes::from(chunk), file))
        });
        let (chunk, file) = read.await.map_err(io::Error::other)??;
        let rest = rest.saturating_sub(chunk.len() as u64);
        Ok((!chunk.is_empty()).then_some((chunk, (Ok(file), rest))))
    })
}

/// Fails at the end if the bytes do not have this MD5.
fn with_md5(
    stored: BoxStream<'static, io::Result<Bytes>>,
    stated: String,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((stored, Md5::new(), stated), |(mut stored, mut hash, stated)| async move {
        if let Some(chunk) = stored.try_next().await? {
            hash.update(&chunk);
            return Ok(Some((chunk, (stored, hash, stated))));
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found == stated {
            return Ok(None);
        }
        Err(io::Error::other(format!("it has the MD5 {found}, but the export's manifest has {stated}")))
    })
}

/// Counts the bytes and fails if there are not as many as the store announced.
fn counted(
    stored: BoxStream<'static, io::Result<Bytes>>,
    size: u64,
    scanned: Count,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((stored, 0), move |(mut stored, before)| {
        let scanned = scanned.clone();
        async move {
            match stored.try_next().await? {
                Some(chunk) => {
                    scanned.add(chunk.len());
                    let after = before + chunk.len() as u64;
                    Ok(Some((chunk, (stored, after))))
                }
                None if before == size => Ok(None),
                None => {
                    let reason = format!("the store sent {before} of {size} bytes");
                    Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason))
                }
            }
        }
    })
}

/// The bytes of [`Chunks`] on a blocking thread.
pub(crate) struct ChunkReader {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
    is_at_end: bool,
}

impl BufRead for ChunkReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && !self.is_at_end {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => self.is_at_end = true,
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(buffer.len());
        buffer[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;

    /// The bytes as a file of that compression.
    pub(crate) async fn pack(compression: FileCompressionType, bytes: &[u8]) -> Vec<u8> {
        let bytes = stream::iter([Ok(Bytes::copy_from_slice(bytes))]).boxed();
        let packed: Vec<Bytes> = compression.convert_to_compress_stream(bytes).unwrap().try_collect().await.unwrap();
        packed.concat()
    }

    pub(crate) const PACKED: [(&str, FileCompressionType); 5] = [
        ("", FileCompressionType::UNCOMPRESSED),
        (".gz", FileCompressionType::GZIP),
        (".zst", FileCompressionType::ZSTD),
        (".bz2", FileCompressionType::BZIP2),
        (".xz", FileCompressionType::XZ),
    ];

    async fn read(store: &dyn ObjectStore, name: &str, size: Option<u64>) -> Result<Vec<u8>> {
        let location = Path::from(name);
        let request = Request {
            location: &location,
            e_tag: None,
            size,
            compression: None,
            split: None,
            charset: None,
            is_raw: false,
        };
        let origin = Origin { table: "t".into(), uri: format!("store/{name}").into() };
        let scanned = Count::new();
        let mut chunks = Chunks::open(store, request, origin, scanned.clone()).await?;
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().await? {
            assert!(!chunk.is_empty());
            all.extend_from_slice(&chunk);
        }
        assert_eq!(scanned.value() as u64, store.head(&location).await.unwrap().size);
        Ok(all)
    }

    fn text() -> Vec<u8> {
        (0..100_000).flat_map(|number| format!("{number},some text\n").into_bytes()).collect()
    }

    #[tokio::test]
    async fn every_compression_is_read_by_name_also_with_several_members() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let stores: [&dyn ObjectStore; 2] = [&InMemory::new(), &local];
        for store in stores {
            for (extension, compression) in PACKED {
                let text = text();
                let (one, two) = text.split_at(text.len() / 3);
                let members = [pack(compression, one).await, pack(compression, two).await].concat();
                let name = format!("part{extension}");
                store.put(&Path::from(name.as_str()), members.into()).await.unwrap();
                assert!(read(store, &name, None).await.unwrap() == text, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_cut_compressed_file_is_an_error_wherever_it_is_cut() {
        let store = InMemory::new();
        for (extension, compression) in &PACKED[1..] {
            let packed = pack(*compression, &text()).await;
            for length in [1, 5, packed.len() / 2, packed.len() - 5, packed.len() - 1] {
                let name = format!("cut{extension}");
                store.put(&Path::from(name.as_str()), packed[..length].to_vec().into()).await.unwrap();
                let error = read(&store, &name, None).await.unwrap_err();
                assert!(
                    matches!(&error, Error::ReadSnapshotFile { uri, .. } if uri.contains(&name)),
                    "{name} {length}: {error}"
                );
            }
        }
    }

    #[tokio::test]
    async fn skippable_zstd_frames_are_skipped() {
        let store = InMemory::new();
        let (_, zstd) = PACKED[2];
        let frame: &[u8] = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc";
        let packed = [frame, &pack(zstd, b"one").await, frame, &pack(zstd, b"two").await, frame].concat();
        store.put(&Path::from("f.zst"), packed.into()).await.unwrap();
        assert_eq!(read(&store, "f.zst", None).await.unwrap(), b"onetwo");
    }

    #[tokio::test]
    async fn a_cut_second_member_is_an_error() {
        let store = InMemory::new();
        for (extension, compression) in &PACKED[1..] {
            let packed = pack(*compression, &text()).await;
            for length in [1, 3, packed.len() / 2, packed.len() - 1] {
                let name = format!("cut{extension}");
                let members = [&packed[..], &packed[..length]].concat();
                store.put(&Path::from(name.as_str()), members.into()).await.unwrap();
                assert!(read(&store, &name, None).await.is_err(), "{name} {length}");
            }
        }
    }

    #[tokio::test]
    async fn a_damaged_gzip_file_is_an_error() {
        let store = InMemory::new();
        let mut packed = pack(FileCompressionType::GZIP, &text()).await;
        let middle = packed.len() / 2;
        packed[middle] ^= 0x55;
        store.put(&Path::from("bad.gz"), packed.into()).await.unwrap();
        assert!(matches!(read(&store, "bad.gz", None).await, Err(Error::ReadSnapshotFile { .. })));
    }

    #[tokio::test]
    async fn empty_files_and_empty_members_give_no_bytes() {
        let store = InMemory::new();
        for (extension, compression) in PACKED {
            let name = format!("none{extension}");
            store.put(&Path::from(name.as_str()), Bytes::new().into()).await.unwrap();
            assert_eq!(read(&store, &name, Some(0)).await.unwrap(), b"", "{name}");
            store.put(&Path::from(name.as_str()), pack(compression, b"").await.into()).await.unwrap();
            assert_eq!(read(&store, &name, None).await.unwrap(), b"", "{name}");
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_left_out_at_the_start_only() {
        let store = InMemory::new();
        for (stored, text) in [("\u{feff}a\u{feff}", "a\u{feff}"), ("\u{feff}", ""), ("ab", "ab")] {
            store.put(&Path::from("bom"), stored.into()).await.unwrap();
            assert_eq!(read(&store, "bom", None).await.unwrap(), text.as_bytes());
            let tiny = object_store::chunked::ChunkedStore::new(Arc::new(InMemory::new()), 1);
            tiny.put(&Path::from("bom"), stored.into()).await.unwrap();
            assert_eq!(read(&tiny, "bom", None).await.unwrap(), text.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_missing_and_a_changed_file_are_errors_of_the_store() {
        let store = InMemory::new();
        let error = read(&store, "missing", None).await.unwrap_err();
        assert_eq!(error.to_string(), "read store/missing failed: it does not exist");
        store.put(&Path::from("new"), "12345".into()).await.unwrap();
        let error = read(&store, "new", Some(4)).await.unwrap_err();
        assert!(error.to_string().starts_with("read store/new failed: it changed after it was planned"), "{error}");
        let location = Path::from("new");
        let request = Request {
            location: &location,
            e_tag: Some("other"),
            size: None,
            compression: None,
            split: None,
            charset: None,
            is_raw: false,
        };
        let origin = Origin { table: "t".into(), uri: "store/new".into() };
        let error = Chunks::open(&store, request, origin, Count::new()).await.err().unwrap();
        assert!(error.to_string().contains("it changed"), "{error}");
    }
}
