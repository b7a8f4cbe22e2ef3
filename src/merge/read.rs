//! Reads the files of the exports and puts their records into buckets: changes first, since they show the key.
//!
//! The MD5 and the rows of each file are compared with the manifest. The time of a change must be in the stretch of its
//! export. Errors name file, line and column.

use std::sync::Arc;

use datafusion::physical_plan::metrics::Count;
use futures::TryStreamExt;

use super::fault::scratch;
use super::key::KeyDigest;
use super::record::{RecordParser, SharedSchema};
use super::spill::{Buckets, Filling, SpillKind, SpillRecord};
use crate::concurrency::spread;
use crate::error::{Error, Result};
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::session::OpenStores;
use crate::snapshot::json::text::{Cursor, Fault};
use crate::snapshot::split::Split;
use crate::snapshot::text::bytes::{Chunks, Origin, Request};
use crate::snapshot::text::place::Malformed;

/// Bytes of a line at most: DynamoDB has items of 400 KB, of which a line has two, and base64.
const MOST_LINE: usize = 16 << 20;

/// What the files of one export are read as.
#[derive(Debug, Clone, Copy)]
pub(super) enum RecordKind {
    /// Items of the full export.
    Items,
    /// Changes of an incremental one, of this index, written from a time on and before another.
    Changes { export: u16, from: i64, to: i64 },
}

/// What all readers share.
#[derive(Clone)]
pub(super) struct Readers {
    pub(super) stores: Arc<OpenStores>,
    pub(super) table: Arc<str>,
    pub(super) schema: SharedSchema,
    pub(super) buckets: Arc<Buckets>,
    /// Bytes of the buffers of one reader.
    pub(super) buffers: usize,
    /// How many read at once.
    pub(super) at_once: usize,
}

impl Readers {
    /// Reads all of these files; the records of each.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::RowsDiffer`], [`Error::ReadSnapshotFile`], [`Error::Store`], [`Error::Io`].
    pub(super) async fn read(&self, files: impl IntoIterator<Item = (FileEntry, RecordKind)>) -> Result<Vec<u64>> {
        let jobs: Vec<_> = files
            .into_iter()
            .enumerate()
            .map(|(number, (file, reading))| {
                let readers = self.clone();
                async move { readers.read_file(number, &file, reading).await }
            })
            .collect();
        spread(jobs, self.at_once).try_collect().await
    }

    async fn read_file(&self, number: usize, file: &FileEntry, reading: RecordKind) -> Result<u64> {
        let location = Location::from_uri(&file.uri)?;
        let store = self.stores.of(&location)?;
        let split = Split::of(&file.uri).map(|(_, split)| split);
        let origin = Origin { table: Arc::clone(&self.table), uri: location.uri().as_str().into() };
        let request = Request {
            location: &location.key()?,
            e_tag: None,
            size: Some(file.size),
            compression: None,
            split: split.as_ref(),
            charset: None,
            is_raw: false,
        };
        let mut chunks = Chunks::open(store.as_ref(), request, origin.clone(), Count::new()).await?;
        let kind = if matches!(reading, RecordKind::Items) { SpillKind::Items } else { SpillKind::Changes };
        let mut lines = Lines {
            origin: &origin,
            number,
            reading,
            parser: RecordParser::new(Arc::clone(&self.schema)),
            filling: Filling::new(&self.buckets, kind, self.buffers),
            pending: Vec::new(),
            line: 0,
            records: 0,
        };
        while let Some(chunk) = chunks.next().await? {
            lines.push(&chunk)?;
            tokio::task::yield_now().await;
        }
        let read = lines.finish()?;
        match file.n_record {
            Some(stated) if stated != read => {
                let (of, uri) = (format!("snapshot.{}", self.table), location.uri());
                Err(Error::RowsDiffer { of, uri, statement: "the export", stated, read })
            }
            _ => Ok(read),
        }
    }
}

/// The lines of one file.
struct Lines<'b> {
    origin: &'b Origin,
    /// Of the file.
    number: usize,
    reading: RecordKind,
    parser: RecordParser,
    filling: Filling<'b>,
    /// A line whose end is missing.
    pending: Vec<u8>,
    /// Lines that have ended.
    line: u64,
    records: u64,
}

impl Lines<'_> {
    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            if self.pending.is_empty() {
                self.line(line)?;
            } else {
                let mut pending = std::mem::take(&mut self.pending);
                pending.extend_from_slice(line);
                self.line(&pending)?;
                pending.clear();
                self.pending = pending;
            }
            bytes = &rest[1..];
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() > MOST_LINE {
            let reason = format!("the line does not end within {MOST_LINE} bytes");
            return Err(self.malformed(&[], 0, reason));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<u64> {
        let last = std::mem::take(&mut self.pending);
        self.line(&last)?;
        self.filling.finish().map_err(|source| scratch("write", source))?;
        Ok(self.records)
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => return Err(self.malformed(line, error.valid_up_to(), "the text is not UTF-8".to_owned())),
        };
        let mut cursor = Cursor::new(text);
        while cursor.token().is_ok() {
            let start = cursor.at();
            self.records += 1;
            if let Err(fault) = self.record(&mut cursor)? {
                let (at, reason) = match fault {
                    Fault::Syntax(syntax) => (syntax.at, syntax.reason),
                    Fault::Incomplete | Fault::Value(_) => (start, "the record does not end on its line".to_owned()),
                };
                return Err(self.malformed(line, at, reason));
            }
        }
        self.line += 1;
        Ok(())
    }

    /// Reads a record and puts it into its bucket.
    fn record(&mut self, cursor: &mut Cursor<'_>) -> Result<std::result::Result<(), Fault>> {
        let start = cursor.at();
        let record = match self.reading {
            RecordKind::Items => match self.parser.item(cursor) {
                Ok(digest) => {
                    // Without changes no key is known, and each item is one of its own.
                    let own = || {
                        KeyDigest::of(
                            [(self.number as u64).to_le_bytes(), self.records.to_le_bytes()]
                                .iter()
                                .map(|part| &part[..]),
                        )
                    };
                    let digest = digest.unwrap_or_else(own);
                    let line = cursor.since(start).as_bytes();
                    SpillRecord { digest, written: 0, export: 0, keys: &[], image: Some(line) }
                }
                Err(fault) => return Ok(Err(fault)),
            },
            RecordKind::Changes { export, from, to } => match self.parser.change(cursor) {
                Ok(change) if !(from..to).contains(&change.written) => {
                    let reason = format!(
                        "WriteTimestampMicros {} is not in the time of the export, from {from} on and before {to}",
                        change.written
                    );
                    return Ok(Err(cursor.wrong_at(start, reason)));
                }
                Ok(change) => SpillRecord {
                    digest: change.digest,
                    written: change.written,
                    export,
                    keys: change.keys.as_bytes(),
                    image: change.image.map(str::as_bytes),
                },
                Err(fault) => return Ok(Err(fault)),
            },
        };
        self.filling.push(&record).map_err(|source| scratch("write", source))?;
        Ok(Ok(()))
    }

    #[cold]
    fn malformed(&self, line: &[u8], at: usize, reason: String) -> Error {
        let before = &line[..at.min(line.len())];
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64 + 1;
        self.origin.malformed(Malformed { line: self.line + 1, column, reason })
    }
}
