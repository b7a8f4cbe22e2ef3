//! Where the records of an NDJSON file begin and end, and what is wrong in which line.
//!
//! [`RecordSplitter`] takes a file's bytes in chunks of any size and gives a [`RecordReader`] one record after the
//! other. Records are objects: one per line, several on a line, or one over several lines. A line that is there as a
//! whole is read at once, where it lies; of the rest of a chunk, and of a file with records over several lines, the end
//! of each record is looked for first. So every byte is copied at most once, and read at most twice. A record has at
//! most as many bytes as a [`RecordLimit`] says.

use datafusion::error::{DataFusionError, Result};

use super::text::{Cursor, Fault, Syntax};
use crate::error::InvalidValue;
use crate::snapshot::schema::clash::dotted;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::place::Malformed;

/// What becomes of the records of a file.
pub(crate) trait RecordReader {
    /// Whether it wants to know lines, which are counted for it.
    const NEEDS_LINES: bool = false;

    /// The next record begins in this line, from 1.
    fn at_line(&mut self, _: u64) {}

    /// Reads one record, whose first byte is next.
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault>;

    /// Forgets what it has taken of a record that turned out to be incomplete.
    fn forget(&mut self);

    /// Whether it wants no record now.
    fn is_full(&self) -> bool;

    /// The number of the record that was read last, or not to its end, from 1.
    fn row(&self) -> u64;
}

/// Splits one file.
#[derive(Debug, Default)]
pub(crate) struct RecordSplitter {
    /// A record whose end is missing.
    pending: Vec<u8>,
    /// The state of the search for its end.
    scan: Option<EndScan>,
    /// The file has records over several lines.
    has_long_records: bool,
    /// Lines that have ended before the next byte, and characters of its own line.
    lines: u64,
    characters: u64,
    limit: RecordLimit,
}

impl RecordSplitter {
    pub(crate) fn new(limit: RecordLimit) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes in bytes, and says how many: all of them, unless `records` is full.
    pub(crate) fn push<R: RecordReader>(&mut self, chunk: &[u8], records: &mut R) -> Result<usize> {
        let mut used = 0;
        while used < chunk.len() && !records.is_full() {
            let rest = &chunk[used..];
            used += if self.scan.is_some() {
                self.complete(rest, records)?
            } else if let Some(end) = memchr::memrchr(b'\n', rest).filter(|_| !self.has_long_records) {
                self.lines(&rest[..=end], records)?
            } else {
                self.begin(rest, records)?
            };
        }
        Ok(used)
    }

    /// To be called when all bytes were pushed.
    pub(crate) fn finish<R: RecordReader>(&mut self, records: &mut R) -> Result<()> {
        if self.scan.take().is_none() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.record(&pending, records)
    }

    /// Reads complete lines, as long as their records are wanted.
    fn lines<R: RecordReader>(&mut self, bytes: &[u8], records: &mut R) -> Result<usize> {
        let text = valid_part(bytes);
        let mut cursor = Cursor::new(text);
        let (mut end, mut line) = (0, self.lines + 1);
        while !records.is_full() && cursor.token().is_ok() {
            if R::NEEDS_LINES {
                line += newlines(&bytes[end..cursor.at()]);
                records.at_line(line);
            }
            match records.read(&mut cursor) {
                Ok(()) => end = cursor.at(),
                Err(Fault::Incomplete) if text.len() == bytes.len() => {
                    records.forget();
                    self.has_long_records = true;
                    self.move_on(&bytes[..end]);
                    return Ok(end);
                }
                Err(fault) => return Err(self.error(text, fault, records)),
            }
        }
        let end = cursor.at();
        if end == text.len() && text.len() < bytes.len() {
            return Err(self.error(text, Fault::Incomplete, records));
        }
        self.move_on(&bytes[..end]);
        Ok(end)
    }

    /// Reads complete records wherever their lines end, and keeps the one that is not complete.
    fn begin<R: RecordReader>(&mut self, bytes: &[u8], records: &mut R) -> Result<usize> {
        let mut used = 0;
        while !records.is_full() {
            let blank = bytes[used..].iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
            self.move_on(&bytes[used..used + blank]);
            used += blank;
            let rest = &bytes[used..];
            let mut scan = EndScan::default();
            let end = match rest.first() {
                None => break,
                Some(b'{') => scan.find(rest),
                // It is no record, which its first bytes show.
                Some(_) => Some(rest.len().min(16)),
            };
            let Some(end) = end else {
                self.pending.extend_from_slice(rest);
                self.scan = Some(scan);
                return Ok(bytes.len());
            };
            self.record(&rest[..end], records)?;
            used += end;
        }
        Ok(used)
    }

    /// Goes on with a record that was begun.
    fn complete<R: RecordReader>(&mut self, bytes: &[u8], records: &mut R) -> Result<usize> {
        let end = self.scan.as_mut().and_then(|scan| scan.find(bytes));
        self.pending.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        let RecordLimit { bytes: most, advice } = self.limit;
        if self.pending.len() > most {
            let reason = format!("a record begins here that does not end within {most} bytes, {advice}");
            return Err(self.error("", Fault::Syntax(Box::new(Syntax { at: 0, reason })), records));
        }
        if end.is_some() {
            let mut pending = std::mem::take(&mut self.pending);
            self.record(&pending, records)?;
            pending.clear();
            (self.pending, self.scan) = (pending, None);
        }
        Ok(end.unwrap_or(bytes.len()))
    }

    /// Reads bytes that are one record, as long as they are right.
    fn record<R: RecordReader>(&mut self, bytes: &[u8], records: &mut R) -> Result<()> {
        let text = valid_part(bytes);
        let mut cursor = Cursor::new(text);
        records.at_line(self.lines + 1);
        match records.read(&mut cursor) {
            Ok(()) if cursor.at() == bytes.len() => {}
            Ok(()) => return Err(self.error(text, cursor.wrong("expected the end of the record"), records)),
            Err(Fault::Incomplete) if text.len() == bytes.len() => {
                let reason = "the file ends within a record".to_owned();
                let fault = Fault::Syntax(Box::new(Syntax { at: text.trim_ascii_end().len(), reason }));
                return Err(self.error(text, fault, records));
            }
            Err(fault) => return Err(self.error(text, fault, records)),
        }
        self.move_on(bytes);
        Ok(())
    }

    /// With the line and the row; incomplete is a text that ends where its bytes are no UTF-8.
    #[cold]
    fn error(&self, text: &str, fault: Fault, records: &impl RecordReader) -> DataFusionError {
        let (at, reason) = match fault {
            Fault::Value(unfit) => {
                return DataFusionError::External(Box::new(InvalidValue {
                    row: records.row(),
                    column: dotted(unfit.path),
                    value: unfit.value,
                    data_type: unfit.data_type,
                    reason: unfit.reason,
                }));
            }
            Fault::Syntax(syntax) => (syntax.at, syntax.reason),
            Fault::Incomplete => (text.len(), "the text is not UTF-8".to_owned()),
        };
        let (lines, characters) = self.place(&text.as_bytes()[..at.min(text.len())]);
        DataFusionError::External(Box::new(Malformed { line: lines + 1, column: characters + 1, reason }))
    }

    fn move_on(&mut self, bytes: &[u8]) {
        (self.lines, self.characters) = self.place(bytes);
    }

    /// Lines and characters after these bytes.
    fn place(&self, bytes: &[u8]) -> (u64, u64) {
        let characters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
        match memchr::memrchr(b'\n', bytes) {
            Some(last) => (self.lines + newlines(&bytes[..=last]), characters(&bytes[last + 1..])),
            None => (self.lines, self.characters + characters(bytes)),
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The bytes up to the first that is no UTF-8.
fn valid_part(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Looks for the end of an object by its brackets and quotes alone.
#[derive(Debug, Default)]
struct EndScan {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl EndScan {
    /// The bytes up to the end of the object, or of the line on which a string is not closed: no record goes on there.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    _ => {}
                }
                if *byte == b'\n' {
                    return Some(at + 1);
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}
