//! The framing of Arrow IPC: magic, messages, end marker, footer, pushed in chunks of any size.
//!
//! ```text
//! message  ff ff ff ff (not before version 0.15), length: i32, that many bytes of metadata, body
//! stream   messages, end marker: a message of length 0
//! file     'ARROW1' 0 0, a stream, footer, its length: i32, 'ARROW1'
//! ```
//!
//! A file of Polars begins with the schema's metadata as it is, without a length before it: readers of files have the
//! schema from the footer. It is read up to the first message, and the footer, which must have the same schema and
//! exactly the messages that followed, shows that this was right.
//!
//! Memory is taken as the bytes come, never by a length that is only claimed.

use datafusion::arrow::buffer::{Buffer, MutableBuffer};

use super::fault::IpcFault;

const CONTINUATION: [u8; 4] = [0xff; 4];
/// Metadata longer than this is none that a program wrote. Any four letters taken as a length are above it.
const MAX_METADATA: usize = 256 << 20;
/// No metadata is that short. In its place is the root's offset of metadata without a length.
const SHORT: usize = 32;

/// One message.
#[derive(Debug)]
pub(super) struct IpcMessage {
    /// From 1.
    pub(super) number: u64,
    /// Offset of its head.
    pub(super) at: u64,
    /// Bytes of head and metadata.
    pub(super) head_len: u64,
    pub(super) metadata: Buffer,
}

/// What the bytes so far have come to.
#[derive(Debug)]
pub(super) enum IpcFramed {
    /// The chunk is used up.
    More,
    /// The metadata of a message; its body's length must be given to `expect_body`.
    Metadata(IpcMessage),
    /// The body of that message.
    Body(Buffer),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum IpcAwait {
    Start,
    FileMagic,
    Prefix,
    Length,
    Metadata,
    /// Four bytes more of a schema without a length.
    BareSchema,
    Body,
    /// The end of a stream.
    Nothing,
    Footer,
}

/// The reader of the frames.
#[derive(Debug)]
pub(super) struct IpcFrames {
    awaits: IpcAwait,
    is_file: bool,
    at: u64,
    part: MutableBuffer,
    left: usize,
    /// A schema without a length, as far as it was read.
    bare: MutableBuffer,
    /// Whether the continuation mark of the next message was read to find the end of a schema.
    has_mark: bool,
    number: u64,
    message_at: u64,
    limit: usize,
}

/// How a file begins; zeros may follow.
const MAGIC: &[u8; 8] = b"ARROW1\0\0";

impl IpcFrames {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            awaits: IpcAwait::Start,
            is_file: false,
            at: 0,
            part: MutableBuffer::new(0),
            left: 4,
            bare: MutableBuffer::new(0),
            has_mark: false,
            number: 0,
            message_at: 0,
            limit,
        }
    }

    /// At a message of a file, of which `number` is the one before.
    pub(super) fn within(limit: usize, at: u64, number: u64) -> Self {
        Self { awaits: IpcAwait::Prefix, is_file: true, at, number, ..Self::new(limit) }
    }

    pub(super) fn form(&self) -> &'static str {
        if self.is_file { "file" } else { "stream" }
    }

    /// Takes bytes off `chunk` until something is whole.
    pub(super) fn next(&mut self, chunk: &mut &[u8]) -> Result<IpcFramed, IpcFault> {
        loop {
            // A body of no bytes is whole at once.
            if self.left == 0 && self.awaits != IpcAwait::Nothing && self.awaits != IpcAwait::Footer {
                let part = std::mem::replace(&mut self.part, MutableBuffer::new(0));
                if let Some(framed) = self.take(part.into())? {
                    return Ok(framed);
                }
                continue;
            }
            if chunk.is_empty() {
                return Ok(IpcFramed::More);
            }
            match self.awaits {
                IpcAwait::Nothing => return Err(IpcFault::After { form: self.form(), at: self.at }),
                IpcAwait::Footer => {
                    if self.part.len() + chunk.len() > MAX_METADATA {
                        return Err(IpcFault::Footer { at: self.message_at, reason: "too long".to_string() });
                    }
                    self.part.extend_from_slice(chunk);
                    self.at += chunk.len() as u64;
                    *chunk = &[];
                }
                _ => {
                    let (now, rest) = chunk.split_at_checked(self.left.min(chunk.len())).unwrap_or_default();
                    self.part.extend_from_slice(now);
                    self.at += now.len() as u64;
                    self.left -= now.len();
                    *chunk = rest;
                }
            }
        }
    }

    /// How long the body of the message is that was given last.
    pub(super) fn expect_body(&mut self, len: i64) -> Result<(), IpcFault> {
        let bytes = u64::try_from(len).ok().filter(|len| *len == 0 || !self.has_mark);
        let bytes = bytes.ok_or_else(|| self.damaged(format!("a body of {len} bytes")))?;
        self.left = usize::try_from(bytes).ok().filter(|&len| len <= self.limit).ok_or(IpcFault::TooLong {
            message: self.number,
            at: self.message_at,
            bytes,
            limit: self.limit,
        })?;
        self.awaits = IpcAwait::Body;
        Ok(())
    }

    /// The end of the bytes. Of a file, the footer and its offset.
    pub(super) fn end(&self, needs_end_marker: bool) -> Result<Option<(u64, &[u8])>, IpcFault> {
        let cut = |inside: &str| {
            let inside = inside.to_string();
            Err(IpcFault::Cut { form: self.form(), at: self.at, inside })
        };
        match self.awaits {
            IpcAwait::Nothing => Ok(None),
            IpcAwait::Footer => {
                let bytes = self.part.as_slice();
                let Some((bytes, magic)) = bytes.split_last_chunk::<6>() else { return cut("in its footer") };
                let Some((footer, len)) = bytes.split_last_chunk::<4>() else { return cut("in its footer") };
                if magic != b"ARROW1" {
                    return cut("in its footer, without 'ARROW1' at the end");
                }
                if usize::try_from(i32::from_le_bytes(*len)) != Ok(footer.len()) {
                    let reason = format!("its length is {} where {} follow", i32::from_le_bytes(*len), footer.len());
                    return Err(IpcFault::Footer { at: self.message_at, reason });
                }
                Ok(Some((self.message_at, footer)))
            }
            IpcAwait::Prefix if self.part.is_empty() && !self.is_file && !needs_end_marker => Ok(None),
            IpcAwait::Prefix if self.part.is_empty() => cut("after a message, without the end marker"),
            IpcAwait::Start | IpcAwait::FileMagic => cut("at its start"),
            _ => cut("in a message"),
        }
    }

    fn damaged(&self, reason: String) -> IpcFault {
        IpcFault::Message { message: self.number, at: self.message_at, reason }
    }

    fn take(&mut self, part: Buffer) -> Result<Option<IpcFramed>, IpcFault> {
        let four: [u8; 4] = part.as_slice().try_into().unwrap_or_default();
        match self.awaits {
            IpcAwait::Start => match &four {
                b"FEA1" => return Err(IpcFault::Feather),
                start if MAGIC.starts_with(start) => {
                    self.is_file = true;
                    self.awaits = IpcAwait::FileMagic;
                    self.left = 4;
                }
                _ => {
                    let len = i32::from_le_bytes(four);
                    if four != CONTINUATION && !usize::try_from(len).is_ok_and(|len| len <= MAX_METADATA) {
                        return Err(IpcFault::Start { found: four.to_vec() });
                    }
                    self.prefix(four)?;
                }
            },
            IpcAwait::FileMagic => {
                if !MAGIC.ends_with(&four) {
                    return Err(IpcFault::Start { found: [&MAGIC[..4], &four].concat() });
                }
                self.awaits = IpcAwait::Prefix;
                self.left = 4;
            }
            IpcAwait::Prefix => {
                self.message_at = self.at - 4;
                self.prefix(four)?;
            }
            IpcAwait::Length => self.length(four)?,
            IpcAwait::Metadata => return Ok(Some(self.metadata(part))),
            // Messages begin at multiples of eight bytes.
            IpcAwait::BareSchema if four == CONTINUATION && self.bare.len().is_multiple_of(8) => {
                let bare = std::mem::replace(&mut self.bare, MutableBuffer::new(0));
                self.has_mark = true;
                return Ok(Some(self.metadata(bare.into())));
            }
            IpcAwait::BareSchema => {
                if self.bare.len() > MAX_METADATA {
                    return Err(self.damaged("a schema without an end".to_string()));
                }
                self.bare.extend_from_slice(&four);
                self.left = 4;
            }
            IpcAwait::Body => {
                self.left = 4;
                self.awaits = IpcAwait::Prefix;
                if std::mem::take(&mut self.has_mark) {
                    self.message_at = self.at - 4;
                    self.awaits = IpcAwait::Length;
                }
                return Ok(Some(IpcFramed::Body(part)));
            }
            IpcAwait::Nothing | IpcAwait::Footer => {}
        }
        Ok(None)
    }

    fn metadata(&mut self, metadata: Buffer) -> IpcFramed {
        self.awaits = IpcAwait::Nothing;
        let head_len = self.at - self.message_at;
        IpcFramed::Metadata(IpcMessage { number: self.number, at: self.message_at, head_len, metadata })
    }

    fn prefix(&mut self, four: [u8; 4]) -> Result<(), IpcFault> {
        if four == CONTINUATION {
            self.awaits = IpcAwait::Length;
            self.left = 4;
            return Ok(());
        }
        self.length(four)
    }

    fn length(&mut self, four: [u8; 4]) -> Result<(), IpcFault> {
        let len = i32::from_le_bytes(four);
        if len == 0 && self.is_file && self.number == 0 {
            // Some writers fill up to 64 bytes before the first message.
            self.awaits = IpcAwait::Prefix;
            self.left = 4;
            return Ok(());
        }
        if len == 0 {
            self.message_at = self.at;
            self.awaits = if self.is_file { IpcAwait::Footer } else { IpcAwait::Nothing };
            return Ok(());
        }
        self.number += 1;
        if self.is_file && self.number == 1 && usize::try_from(len).is_ok_and(|len| len <= SHORT) {
            self.bare.extend_from_slice(&four);
            self.awaits = IpcAwait::BareSchema;
            self.left = 4;
            return Ok(());
        }
        self.left = match usize::try_from(len) {
            Ok(len) if len <= MAX_METADATA => len,
            _ => return Err(self.damaged(format!("metadata of {len} bytes"))),
        };
        self.awaits = IpcAwait::Metadata;
        Ok(())
    }
}
