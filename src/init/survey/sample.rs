//! Reads a bounded part of the files of one group: all of them when they are few and small, else footers, or the first
//! bytes of some.
//!
//! Text is given unpacked, up to a bound. Nothing here knows a table or a column. A store that fails is an error; a
//! file that cannot be used is a reason.

use std::sync::Arc;

use datafusion::parquet::file::metadata::ParquetMetaData;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};

use super::read::Read;
use super::tally::{Group, ListedFile};
use crate::config::{Compression, FileFormat};
use crate::error::Result;
use crate::layout::FilePartition;

use crate::layout::Location;
use crate::layout::store_error;
use crate::manifest::FileEntry;
use crate::snapshot::files::content::{Content, look};
use crate::snapshot::mongo::bson::begins;
use crate::snapshot::text::charset::beginning;
use crate::snapshot::{FooterBounds, Unpacked, compression_of, read_foreign_footer, unpack};

/// Files of which the first bytes are read when not all can be.
const HEADS: usize = 16;

/// Fewest first bytes of a file.
const HEAD: u64 = 64 << 10;

/// What is read instead if nothing can be unpacked from the first bytes: a block of bzip2 or xz may be large.
const LONG_HEAD: u64 = 8 << 20;

/// Bytes of text of one group.
const TEXT: usize = 64 << 20;

/// Reads at once per group.
const AT_ONCE: usize = 8;

/// Bytes that a footer takes, more or less.
pub(crate) const FOOTER: u64 = 64 << 10;

/// The text of a file, or its beginning.
#[derive(Debug)]
pub(crate) struct SampledText {
    /// From the location on.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether the file goes on.
    pub(crate) is_cut: bool,
}

/// What the files of a group are.
#[derive(Debug)]
pub(crate) enum Sampled {
    Parquet(Vec<(FileEntry, Arc<ParquetMetaData>)>),
    /// Of another format whose files have a schema.
    Typed(Vec<FileEntry>, FileFormat),
    /// With the option `compression`, if the file names lie.
    Text {
        texts: Vec<SampledText>,
        compression: Option<Compression>,
    },
    /// They cannot be used, for this reason.
    Unusable(String),
}

/// A part of a group's files, read.
#[derive(Debug)]
pub(crate) struct GroupSample {
    pub(crate) what: Sampled,
    pub(crate) read: Read,
    /// Whether this is all that the files hold.
    pub(crate) is_whole: bool,
}

/// Where files are read from.
#[derive(Debug, Clone)]
pub(crate) struct SampleSource {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// What paths are below.
    pub(crate) root: Location,
}

impl SampleSource {
    fn location(&self, file: &ListedFile) -> Location {
        self.root.join(&file.path)
    }

    /// The file as an entry of a list.
    pub(crate) fn entry(&self, file: &ListedFile) -> FileEntry {
        FileEntry {
            uri: self.location(file).uri().into(),
            etag: file.etag.as_str().into(),
            size: file.size,
            n_record: None,
            partition: FilePartition::None,
        }
    }

    /// The first bytes of a file.
    pub(crate) async fn head(&self, file: &ListedFile, bytes: u64) -> Result<bytes::Bytes> {
        let location = self.location(file);
        let range = 0..file.size.min(bytes);
        let got = self.store.get_range(&location.key()?, range).await;
        got.map_err(|source| store_error("read", &location, source))
    }
}

/// Reads of the files of `group` about `budget` bytes at most.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn sample(source: &SampleSource, group: &Group, budget: u64) -> Result<GroupSample> {
    let files = group.sample();
    let has_all = files.len() as u64 == group.files;
    if files.first().is_some_and(|file| is_parquet_name(&file.path)) {
        return parquet(source, &files, has_all).await;
    }
    let is_whole = has_all && group.bytes <= budget;
    let (files, head) = if is_whole {
        (files, u64::MAX)
    } else {
        let count = files.len().min(HEADS);
        let spread: Vec<&ListedFile> = (0..count).map(|n| files[n * files.len() / count]).collect();
        (spread, (budget / count.max(1) as u64).max(HEAD))
    };
    let Some(first) = files.first() else { return Ok(unusable("it is empty", Read::default())) };
    let start = source.head(first, 8).await?;
    let format = match look(&start, first.size > 8) {
        Content::Parquet => return parquet(source, &group.sample(), has_all).await,
        Content::Avro => Some(FileFormat::Avro),
        Content::Arrow => Some(FileFormat::Arrow),
        _ => None,
    };
    if let Some(format) = format {
        let entries = group.sample().into_iter().map(|file| source.entry(file)).collect();
        let read = Read { files: files.len() as u64, bytes: 0, rows: 0, requests: 1 };
        return Ok(GroupSample { what: Sampled::Typed(entries, format), read, is_whole: has_all });
    }
    text(source, &files, head, is_whole).await
}

fn is_parquet_name(path: &str) -> bool {
    let lower = path.to_lowercase();
    [".parquet", ".parq", ".pq"].iter().any(|ending| lower.ends_with(ending))
}

fn unusable(reason: impl Into<String>, read: Read) -> GroupSample {
    GroupSample { what: Sampled::Unusable(reason.into()), read, is_whole: false }
}

async fn parquet(source: &SampleSource, files: &[&ListedFile], has_all: bool) -> Result<GroupSample> {
    let footers: Vec<BoxFuture<'_, _>> = files
        .iter()
        .map(|file| {
            let file = *file;
            async move {
                let entry = source.entry(file);
                let location = source.location(file);
                let footer = read_foreign_footer(&source.store, &location, &entry, FooterBounds::Read).await;
                (file, entry, footer)
            }
            .boxed()
        })
        .collect();
    let footers: Vec<_> = futures::stream::iter(footers).buffered(AT_ONCE).collect().await;
    let mut read = Read::default();
    let mut found = Vec::with_capacity(footers.len());
    for (file, entry, footer) in footers {
        read.requests += 1;
        read.bytes += file.size.min(FOOTER);
        match footer {
            Ok(footer) => found.push((entry, footer)),
            Err(error) => {
                let head = source.head(file, HEAD).await?;
                let reason = match look(&head, file.size > HEAD) {
                    Content::Packed(_) => "a compressed Parquet file; decompress it".to_owned(),
                    Content::Text => "text, under a name of Parquet; rename it".to_owned(),
                    Content::Parquet => format!("a Parquet file that cannot be read: {}", error.strip_backtrace()),
                    other => other.advice().unwrap_or_default().to_owned(),
                };
                return Ok(unusable(reason, read));
            }
        }
    }
    read.files = found.len() as u64;
    Ok(GroupSample { what: Sampled::Parquet(found), read, is_whole: has_all })
}

/// A file's text or why there is none, what its first bytes are, and what was read.
type TextOf<'a> = (&'a ListedFile, Content, Unpacked, Read);

async fn text_of<'a>(source: &SampleSource, file: &'a ListedFile, head: u64, limit: usize) -> Result<TextOf<'a>> {
    let bytes = source.head(file, head).await?;
    let mut read = Read { files: 1, bytes: bytes.len() as u64, rows: 0, requests: 1 };
    let is_cut = file.size > bytes.len() as u64;
    // A document's length may look like the mark of a packed file.
    let content = if begins(&bytes) { Content::Text } else { look(&bytes, is_cut) };
    let Content::Packed(compression) = content else {
        return Ok((file, content, Ok((bytes.to_vec(), is_cut)), read));
    };
    let mut text = unpack(&bytes, compression, is_cut, limit).await;
    if is_cut && text.as_ref().is_ok_and(|(text, _)| text.is_empty()) {
        let bytes = source.head(file, LONG_HEAD).await?;
        read = Read { bytes: bytes.len() as u64, requests: 2, ..read };
        text = unpack(&bytes, compression, file.size > bytes.len() as u64, limit).await;
    }
    Ok((file, content, text, read))
}

async fn text(source: &SampleSource, files: &[&ListedFile], head: u64, is_whole: bool) -> Result<GroupSample> {
    let limit = TEXT / files.len().max(1);
    let reads: Vec<BoxFuture<'_, Result<_>>> =
        files.iter().map(|file| text_of(source, file, head, limit).boxed()).collect();
    let results: Vec<_> = futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let (mut texts, mut read, mut is_whole) = (Vec::new(), Read::default(), is_whole);
    let mut packed: Option<Option<Compression>> = None;
    for (file, content, text, of_file) in results {
        read.add(of_file);
        let compression = match content {
            Content::Packed(compression) => Some(compression),
            Content::Text => None,
            Content::Parquet => return Ok(unusable("some files are Parquet and some are text, under one name", read)),
            other => return Ok(unusable(other.advice().unwrap_or_default(), read)),
        };
        if packed.is_some_and(|other| other != compression) && !text.as_ref().is_ok_and(|(text, _)| text.is_empty()) {
            return Ok(unusable("some files are compressed and some are not, under one ending; rename them", read));
        }
        packed = packed.or(Some(compression));
        let (bytes, is_cut) = match text {
            Ok(text) => text,
            Err(reason) => return Ok(unusable(reason, read)),
        };
        let is_bson = begins(&bytes);
        match look(&bytes, is_cut) {
            _ if is_bson => {}
            Content::Text => {}
            Content::Parquet => return Ok(unusable("a compressed Parquet file; decompress it", read)),
            Content::Packed(_) => return Ok(unusable("a file that was compressed twice; decompress it once", read)),
            Content::PgDump => return Ok(unusable("a compressed archive of pg_dump; unpack it", read)),
            other => return Ok(unusable(other.advice().unwrap_or_default(), read)),
        }
        is_whole &= !is_cut;
        let bytes = if is_bson { bytes } else { beginning(bytes) };
        texts.push(SampledText { path: file.path.clone(), bytes, is_cut });
    }
    let actual = packed.flatten().unwrap_or(Compression::None);
    let names_agree = files.iter().all(|file| {
        let key = object_store::path::Path::from(file.path.as_str());
        let key = if file.path.is_empty() { source.location(file).key().unwrap_or(key) } else { key };
        compression_of(&key) == actual
    });
    let compression = (!names_agree).then_some(actual);
    Ok(GroupSample { what: Sampled::Text { texts, compression }, read, is_whole })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use chrono::DateTime;
    use object_store::memory::InMemory;

    use super::super::tally::Tally;
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    async fn sampled(files: &[(&str, Vec<u8>)], budget: u64) -> GroupSample {
        let store = Arc::new(InMemory::new());
        let mut tally = Tally::default();
        for (path, bytes) in files {
            store.put(&format!("x/{path}").into(), bytes.clone().into()).await.unwrap();
            let file = ListedFile { path: (*path).to_owned(), size: bytes.len() as u64, etag: String::new() };
            tally.add(file, DateTime::UNIX_EPOCH);
        }
        let root = Location::from_uri("s3://b/x").unwrap();
        let group = tally.groups.into_values().next().unwrap();
        sample(&SampleSource { store, root }, &group, budget).await.unwrap()
    }

    fn lines(bytes: usize) -> Vec<u8> {
        (0..bytes / 12).flat_map(|n| format!("{n:010},\n").into_bytes()).collect()
    }

    #[tokio::test]
    async fn small_files_are_read_whole_and_large_ones_within_the_budget() {
        let files = [("a-1.csv", lines(1_000)), ("a-2.csv", lines(1_000))];
        let whole = sampled(&files, 1 << 20).await;
        assert!(
            whole.is_whole && matches!(&whole.what, Sampled::Text { texts, compression: None } if texts.len() == 2)
        );
        let files: Vec<_> = (0..40).map(|n| (format!("a-{n}.csv"), lines(1 << 20))).collect();
        let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        let part = sampled(&files, 2 << 20).await;
        assert!(!part.is_whole && part.read.bytes <= 2 << 20, "{:?}", part.read);
        let Sampled::Text { texts, .. } = part.what else { panic!() };
        assert!(texts.len() == HEADS && texts.iter().all(|text| text.is_cut));
    }

    #[tokio::test]
    async fn compression_is_found_by_content_and_a_cut_file_gives_its_beginning() {
        let text = lines(3 << 20);
        let sample = sampled(&[("a.dat", gzip(&text))], 1 << 17).await;
        let Sampled::Text { texts, compression } = sample.what else { panic!() };
        assert_eq!(compression, Some(Compression::Gzip));
        assert!(texts[0].is_cut && texts[0].bytes.len() > 100_000 && text.starts_with(&texts[0].bytes));
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_give_a_reason() {
        for (name, bytes, word) in [
            ("a.parquet", gzip(b"PAR1"), "compressed Parquet"),
            ("a.parquet", b"a,b\n".to_vec(), "rename"),
            ("a.csv", gzip(&gzip(b"a,b\n")), "twice"),
            ("a.csv.gz", gzip(&lines(1000))[..50].to_vec(), "cannot be decompressed"),
            ("a.csv", b"PK\x03\x04".to_vec(), "zip"),
        ] {
            let Sampled::Unusable(reason) = sampled(&[(name, bytes)], 1 << 20).await.what else { panic!("{name}") };
            assert!(reason.contains(word), "{reason}");
        }
        let mixed = [("a-1.csv", b"a,b\n".to_vec()), ("a-2.csv", gzip(b"a,b\n"))];
        let Sampled::Unusable(reason) = sampled(&mixed, 1 << 20).await.what else { panic!() };
        assert!(reason.contains("rename them"), "{reason}");
    }
}
