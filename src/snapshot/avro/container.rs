//! The header and the framing of the blocks of an object container file, pushed in chunks of any size.
//!
//! ```text
//! header   'Obj' 1, a map of metadata (avro.schema, avro.codec), sync marker of 16 bytes
//! block    rows: long, length: long, that many bytes, sync marker
//! ```
//!
//! Rows are not looked at. Every sync marker, count and length is checked, and the end must be at the end of a block.
//! A file cut exactly there cannot be told from a whole one: nothing in the format says how many blocks there are.

use super::codec::AvroCodec;
use super::fault::AvroFault;

const MAGIC: [u8; 4] = *b"Obj\x01";
/// Metadata longer than this is none that a program wrote.
const MAX_HEADER: usize = 64 << 20;

/// What the header says.
#[derive(Debug)]
pub(super) struct AvroHeader {
    pub(super) schema: Vec<u8>,
    pub(super) codec: AvroCodec,
}

/// One block, as its frame says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AvroBlock {
    /// From 1.
    pub(super) number: u64,
    /// Offset of its head in the file.
    pub(super) at: u64,
    pub(super) rows: u64,
}

/// What the bytes so far have come to.
#[derive(Debug)]
pub(super) enum Framed {
    /// The chunk is used up.
    More,
    Header(AvroHeader),
    /// A whole block, its sync marker checked. Its bytes are in `body`, if they are kept.
    Block(AvroBlock),
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum AvroAwait {
    Magic,
    Entries,
    EntryBytes,
    KeyLen,
    Key,
    ValueLen,
    Value,
    HeaderSync,
    Rows,
    Len,
    Body,
    Sync,
}

/// The reader of the frames.
#[derive(Debug)]
pub(super) struct AvroContainer {
    awaits: AvroAwait,
    /// Offset in the file.
    at: u64,
    number: Varint,
    /// Where the number began.
    number_at: u64,
    /// Bytes gathered for what comes next.
    part: Vec<u8>,
    /// Bytes that are still to come of it.
    left: usize,
    entries: u64,
    /// Where the entries must end, if their head says so.
    entries_end: Option<u64>,
    key: Vec<u8>,
    header_bytes: usize,
    schema: Option<Vec<u8>>,
    codec: Option<Vec<u8>>,
    sync: [u8; 16],
    block: AvroBlock,
    /// The bytes of the last whole block.
    body: Vec<u8>,
    keeps_bodies: bool,
    block_bytes: usize,
}

#[derive(Debug, Default)]
struct Varint {
    value: u64,
    count: u32,
}

impl AvroContainer {
    /// Without `keeps_bodies`, bodies are stepped over.
    pub(super) fn new(block_bytes: usize, keeps_bodies: bool) -> Self {
        Self {
            awaits: AvroAwait::Magic,
            at: 0,
            number: Varint::default(),
            number_at: 0,
            part: Vec::new(),
            left: MAGIC.len(),
            entries: 0,
            entries_end: None,
            key: Vec::new(),
            header_bytes: 0,
            schema: None,
            codec: None,
            sync: [0; 16],
            block: AvroBlock { number: 0, at: 0, rows: 0 },
            body: Vec::new(),
            keeps_bodies,
            block_bytes,
        }
    }

    /// The bytes of the block that was given last.
    pub(super) fn body(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// Takes bytes off `chunk` until a header or a block is whole.
    pub(super) fn next(&mut self, chunk: &mut &[u8]) -> Result<Framed, AvroFault> {
        while !chunk.is_empty() {
            match self.awaits {
                AvroAwait::Entries
                | AvroAwait::EntryBytes
                | AvroAwait::KeyLen
                | AvroAwait::ValueLen
                | AvroAwait::Rows
                | AvroAwait::Len => {
                    if self.number.count == 0 {
                        self.number_at = self.at;
                        if self.awaits == AvroAwait::Rows {
                            self.block.at = self.at;
                            self.block.number += 1;
                        }
                    }
                    let Some((byte, rest)) = chunk.split_first() else { break };
                    *chunk = rest;
                    self.at += 1;
                    match self.number.push(*byte) {
                        Ok(Some(value)) => self.take_number(value)?,
                        Ok(None) => {}
                        Err(()) => return Err(self.fault("a number of more than 64 bits".to_string())),
                    }
                }
                AvroAwait::Body if !self.keeps_bodies => {
                    let taken = self.left.min(chunk.len());
                    *chunk = chunk.get(taken..).unwrap_or_default();
                    self.at += taken as u64;
                    self.left -= taken;
                }
                _ => {
                    let taken = self.left.min(chunk.len());
                    let (now, rest) = chunk.split_at_checked(taken).unwrap_or_default();
                    self.part.extend_from_slice(now);
                    *chunk = rest;
                    self.at += taken as u64;
                    self.left -= taken;
                }
            }
            // Parts of no length are whole at once.
            while self.left == 0
                && let Some(framed) = self.take_part()?
            {
                if !matches!(framed, Framed::More) {
                    return Ok(framed);
                }
            }
        }
        Ok(Framed::More)
    }

    /// The end of the file.
    pub(super) fn end(&self) -> Result<(), AvroFault> {
        if self.awaits == AvroAwait::Rows && self.number.count == 0 {
            return Ok(());
        }
        let inside = match self.awaits {
            AvroAwait::Rows | AvroAwait::Len | AvroAwait::Body | AvroAwait::Sync => {
                format!("block {}", self.block.number)
            }
            _ => "its header".to_string(),
        };
        Err(AvroFault::Cut { at: self.at, inside })
    }

    fn fault(&self, reason: String) -> AvroFault {
        match self.awaits {
            AvroAwait::Rows | AvroAwait::Len | AvroAwait::Body | AvroAwait::Sync => {
                AvroFault::Block { block: self.block.number, at: self.at, reason }
            }
            _ => AvroFault::Header { at: self.at, reason },
        }
    }

    fn take_number(&mut self, value: i64) -> Result<(), AvroFault> {
        match self.awaits {
            AvroAwait::Entries => {
                if self.entries_end.is_some_and(|end| end != self.number_at) {
                    return Err(self.fault("the metadata's byte length is wrong".to_string()));
                }
                self.entries_end = None;
                self.entries = value.unsigned_abs();
                self.awaits = match value {
                    0 => {
                        self.left = 16;
                        AvroAwait::HeaderSync
                    }
                    1.. => AvroAwait::KeyLen,
                    _ => AvroAwait::EntryBytes,
                };
            }
            AvroAwait::EntryBytes => {
                let bytes = u64::try_from(value).map_err(|_| self.fault(format!("metadata of {value} bytes")))?;
                self.entries_end = Some(self.at.saturating_add(bytes));
                self.awaits = AvroAwait::KeyLen;
            }
            AvroAwait::KeyLen | AvroAwait::ValueLen => {
                let room = MAX_HEADER - self.header_bytes.min(MAX_HEADER);
                self.left = usize::try_from(value)
                    .ok()
                    .filter(|&len| len <= room)
                    .ok_or_else(|| self.fault(format!("metadata of {value} bytes, at most {MAX_HEADER} are read")))?;
                // Each entry counts, so that endless entries without bytes end.
                self.header_bytes += self.left + 1;
                self.awaits = if self.awaits == AvroAwait::KeyLen { AvroAwait::Key } else { AvroAwait::Value };
            }
            AvroAwait::Rows => {
                self.block.rows = u64::try_from(value).map_err(|_| self.fault(format!("a block of {value} rows")))?;
                self.awaits = AvroAwait::Len;
            }
            _ => {
                let len = u64::try_from(value).map_err(|_| self.fault(format!("a block of {value} bytes")))?;
                self.left = match usize::try_from(len) {
                    Ok(len) if len <= self.block_bytes || !self.keeps_bodies => len,
                    _ => {
                        return Err(AvroFault::TooLong {
                            block: self.block.number,
                            at: self.block.at,
                            what: "packed",
                            bytes: len,
                            limit: self.block_bytes,
                        });
                    }
                };
                self.awaits = AvroAwait::Body;
            }
        }
        Ok(())
    }

    /// What the gathered part is, if a part is awaited.
    fn take_part(&mut self) -> Result<Option<Framed>, AvroFault> {
        match self.awaits {
            AvroAwait::Magic => {
                if self.part != MAGIC {
                    return Err(AvroFault::Magic { found: std::mem::take(&mut self.part) });
                }
                self.awaits = AvroAwait::Entries;
            }
            AvroAwait::Key => {
                self.key = std::mem::take(&mut self.part);
                self.awaits = AvroAwait::ValueLen;
            }
            AvroAwait::Value => {
                let value = std::mem::take(&mut self.part);
                let place = match self.key.as_slice() {
                    b"avro.schema" => Some(&mut self.schema),
                    b"avro.codec" => Some(&mut self.codec),
                    _ => None,
                };
                if let Some(place) = place
                    && place.replace(value).is_some()
                {
                    return Err(self.fault(format!("'{}' twice", self.key.escape_ascii())));
                }
                self.entries -= 1;
                self.awaits = if self.entries == 0 { AvroAwait::Entries } else { AvroAwait::KeyLen };
            }
            AvroAwait::HeaderSync => {
                self.sync = self.part.as_slice().try_into().unwrap_or_default();
                self.part.clear();
                let schema = self.schema.take().ok_or_else(|| self.fault("no 'avro.schema'".to_string()))?;
                let codec = AvroCodec::of(self.codec.take().as_deref()).map_err(|codec| AvroFault::Codec { codec })?;
                self.awaits = AvroAwait::Rows;
                return Ok(Some(Framed::Header(AvroHeader { schema, codec })));
            }
            AvroAwait::Body => {
                std::mem::swap(&mut self.body, &mut self.part);
                self.left = 16;
                self.awaits = AvroAwait::Sync;
            }
            AvroAwait::Sync => {
                if self.part != self.sync {
                    return Err(self.fault("its sync marker is not that of the header".to_string()));
                }
                self.awaits = AvroAwait::Rows;
                self.part.clear();
                return Ok(Some(Framed::Block(self.block)));
            }
            _ => return Ok(None),
        }
        self.part.clear();
        Ok(Some(Framed::More))
    }
}

impl Varint {
    fn push(&mut self, byte: u8) -> Result<Option<i64>, ()> {
        if self.count == 9 && byte > 1 {
            return Err(());
        }
        if self.count == 0 {
            self.value = 0;
        }
        self.value |= u64::from(byte & 0x7f) << (7 * self.count);
        self.count += 1;
        if byte >= 0x80 {
            return Ok(None);
        }
        self.count = 0;
        Ok(Some((self.value >> 1).cast_signed() ^ -((self.value & 1).cast_signed())))
    }
}
