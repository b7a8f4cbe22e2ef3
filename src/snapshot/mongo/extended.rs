//! Extended JSON as mongoexport writes it, as plain NDJSON: what is a number, a date or bytes in MongoDB is written as
//! such, and all else byte for byte.
//!
//! A value of extended JSON is an object within a record that has only the names of one ([`super::wrapper`]). The
//! search for one looks for `{`, white space, `"$`; quotes up to there are counted, so that nothing within a text is
//! taken for one. Everything else is not read at all: what is no JSON stays none, and the reader of JSON says so. A
//! file that is a list (`mongoexport --jsonArray`) becomes lines. Lines of what is written are those of the file; of a
//! list on one line, its records.
//!
//! At most one value is held, and at most as many bytes as [`ExtendedJsonToJson::new`] says.

use thiserror::Error;

use super::wrapper::{Unwrapped, is_blank, unwrap};

/// Up to so many bytes a value whose end is missing is looked at again whenever bytes come.
const SMALL: usize = 4096;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {reason}")]
pub(crate) struct ExtendedJsonFault {
    /// Line of the file, from 1.
    pub(crate) line: u64,
    /// Character of the line, from 1.
    pub(crate) column: u64,
    pub(crate) reason: String,
}

/// How records follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordSequence {
    /// Nothing but white space so far.
    Unknown,
    Lines,
    List(ListPlace),
}

/// Where a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListPlace {
    Start,
    Record {
        depth: usize,
    },
    AfterRecord,
    /// No line end was seen since the comma.
    AfterComma {
        owes_line: bool,
    },
    End,
}

/// Reads one file.
#[derive(Debug)]
pub(crate) struct ExtendedJsonToJson {
    sequence: RecordSequence,
    /// Of the next byte: it is in a text, and after a backslash.
    in_string: bool,
    is_escaped: bool,
    /// The value that was written last was one of extended JSON, and what follows it is not known.
    is_after_value: bool,
    /// The last byte that is no white space.
    previous: u8,
    /// What may be the beginning of a value.
    pending: Vec<u8>,
    /// It is looked at again when it has so many bytes.
    retry: usize,
    limit: usize,
    /// Line ends before the next byte, and characters of its own line.
    lines: u64,
    characters: u64,
    room: Vec<u8>,
}

/// What is wrong at a byte of a buffer.
struct WrongAt {
    at: usize,
    reason: String,
}

impl WrongAt {
    #[cold]
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }
}

impl ExtendedJsonToJson {
    /// A value may have so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            sequence: RecordSequence::Unknown,
            in_string: false,
            is_escaped: false,
            is_after_value: false,
            previous: 0,
            pending: Vec::new(),
            retry: 0,
            limit,
            lines: 0,
            characters: 0,
            room: Vec::new(),
        }
    }

    /// Takes in all bytes, and appends what is known to be plain JSON.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ExtendedJsonFault> {
        if self.pending.is_empty() {
            let used = self.read(bytes, out, false)?;
            self.pending.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            self.pending.extend_from_slice(bytes);
            if self.pending.len() < self.retry {
                return Ok(());
            }
            let mut pending = std::mem::take(&mut self.pending);
            let used = self.read(&pending, out, false)?;
            pending.drain(..used);
            self.pending = pending;
        }
        let held = self.pending.len();
        if held > self.limit {
            let reason = format!("a value begins here that does not end within {} bytes", self.limit);
            return Err(self.fault(&[], WrongAt::new(0, reason)));
        }
        // Looked at each time, a long value in short pieces would take the square of its length.
        self.retry = if held > SMALL { held + held / 4 } else { 0 };
        Ok(())
    }

    /// To be called when all bytes were pushed.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ExtendedJsonFault> {
        let pending = std::mem::take(&mut self.pending);
        self.read(&pending, out, true)?;
        let is_whole = match self.sequence {
            RecordSequence::Unknown | RecordSequence::List(ListPlace::End) => true,
            RecordSequence::Lines => !self.in_string,
            RecordSequence::List(_) => false,
        };
        let what = if self.in_string { "a text" } else { "the list" };
        let reason = format!("the file ends within {what}");
        if is_whole { Ok(()) } else { Err(self.fault(&[], WrongAt::new(0, reason))) }
    }

    /// Reads as far as it is clear what the bytes are, and says how far.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>, is_end: bool) -> Result<usize, ExtendedJsonFault> {
        let used = self.scan(bytes, out, is_end).map_err(|wrong| self.fault(bytes, wrong))?;
        let done = bytes.get(..used).unwrap_or_default();
        if let Some(last) = done.iter().rev().find(|byte| !is_blank(**byte)) {
            self.previous = *last;
        }
        (self.lines, self.characters) = self.place(done);
        Ok(used)
    }

    fn scan(&mut self, bytes: &[u8], out: &mut Vec<u8>, is_end: bool) -> Result<usize, WrongAt> {
        // Up to `at` all is written; up to `from` there is no value.
        let (mut at, mut from) = (0, 0);
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr(b'$', rest)) {
            from += found + 1;
            let Some(quote) = (from - 1).checked_sub(1).filter(|quote| *quote >= at && bytes[*quote] == b'"') else {
                continue;
            };
            let Some(open) = open_before(bytes, at, quote) else { continue };
            self.pass(bytes, at, open, out)?;
            at = open;
            if !self.may_begin(bytes, open) {
                continue;
            }
            match unwrap(&bytes[open..], out, &mut self.room) {
                Ok(Unwrapped::Value(length)) => {
                    let text = &bytes[open..open + length];
                    // Lines stay what they are.
                    out.extend(memchr::memchr_iter(b'\n', text).map(|_| b'\n'));
                    self.is_after_value = true;
                    at = open + length;
                    from = at;
                }
                Ok(Unwrapped::Incomplete) if !is_end => return Ok(open),
                Ok(Unwrapped::Incomplete | Unwrapped::Other) => {}
                Err(wrong) => return Err(WrongAt::new(open + wrong.at, wrong.reason)),
            }
        }
        let held = if is_end { None } else { open_before(bytes, at, without_quote(bytes, at)) };
        if let Some(open) = held {
            self.pass(bytes, at, open, out)?;
            at = open;
            if self.may_begin(bytes, open) {
                return Ok(open);
            }
        }
        self.pass(bytes, at, bytes.len(), out)?;
        Ok(bytes.len())
    }

    /// Whether the brace is outside of texts and within a record, where a value may be.
    #[inline]
    fn may_begin(&self, bytes: &[u8], open: usize) -> bool {
        let before = bytes[..open].iter().rev().find(|byte| !is_blank(**byte)).copied().unwrap_or(self.previous);
        let is_within = match self.sequence {
            RecordSequence::Unknown => false,
            RecordSequence::Lines => true,
            RecordSequence::List(place) => matches!(place, ListPlace::Record { .. }),
        };
        is_within && !self.in_string && !self.is_escaped && matches!(before, b':' | b',' | b'[')
    }

    /// Writes bytes that are no value.
    fn pass(&mut self, all: &[u8], from: usize, to: usize, out: &mut Vec<u8>) -> Result<(), WrongAt> {
        let Some(bytes) = all.get(from..to).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        if self.is_after_value
            && let Some(next) = bytes.iter().position(|byte| !is_blank(*byte))
        {
            // Else a number could be joined to the next one, or a text become a name.
            if !matches!(bytes[next], b',' | b'}' | b']') {
                return Err(WrongAt::new(from + next, "expected ',', '}' or ']'"));
            }
            self.is_after_value = false;
        }
        if self.sequence == RecordSequence::Unknown {
            let Some(first) = bytes.iter().position(|byte| !is_blank(*byte)) else {
                out.extend_from_slice(bytes);
                return Ok(());
            };
            if bytes[first] == b'[' {
                out.extend_from_slice(&bytes[..first]);
                self.sequence = RecordSequence::List(ListPlace::Start);
                return self.pass_list(all, from + first + 1, to, out);
            }
            self.sequence = RecordSequence::Lines;
        }
        match self.sequence {
            RecordSequence::List(_) => self.pass_list(all, from, to, out),
            RecordSequence::Unknown | RecordSequence::Lines => {
                out.extend_from_slice(bytes);
                self.count_quotes(bytes);
                Ok(())
            }
        }
    }

    /// Finds out whether the bytes end within a text.
    #[inline]
    fn count_quotes(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.is_escaped {
            rest = &rest[1..];
            self.is_escaped = false;
        }
        let (mut is_odd, mut has_escape) = (0_u8, 0_u8);
        for byte in rest {
            is_odd ^= u8::from(*byte == b'"');
            has_escape |= u8::from(*byte == b'\\');
        }
        if has_escape == 0 {
            self.in_string ^= is_odd == 1;
            return;
        }
        let mut at = 0;
        while let Some(found) = rest.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            at += found + 1;
            if rest[at - 1] == b'"' {
                self.in_string = !self.in_string;
            } else {
                self.is_escaped = at == rest.len();
                at += 1;
            }
        }
    }

    /// Writes a part of a list without its brackets and commas, which have lines between records instead.
    fn pass_list(&mut self, all: &[u8], from: usize, to: usize, out: &mut Vec<u8>) -> Result<(), WrongAt> {
        let RecordSequence::List(mut place) = self.sequence else { return Ok(()) };
        let (mut at, mut copied) = (from, from);
        while at < to {
            let byte = all[at];
            if self.is_escaped {
                self.is_escaped = false;
                at += 1;
                continue;
            }
            if self.in_string {
                match memchr::memchr2(b'"', b'\\', &all[at..to]) {
                    None => break,
                    Some(found) => {
                        at += found + 1;
                        (self.in_string, self.is_escaped) = (all[at - 1] != b'"', all[at - 1] == b'\\');
                    }
                }
                continue;
            }
            match (&mut place, byte) {
                (ListPlace::Record { .. }, b'"') => self.in_string = true,
                (ListPlace::Record { depth }, b'{' | b'[') => *depth += 1,
                (ListPlace::Record { depth }, b'}' | b']') => {
                    *depth -= 1;
                    if *depth == 0 {
                        place = ListPlace::AfterRecord;
                    }
                }
                (ListPlace::Record { .. }, _) => {}
                (ListPlace::AfterComma { owes_line }, b'\n') => *owes_line = false,
                (_, byte) if is_blank(byte) => {}
                (ListPlace::Start | ListPlace::AfterComma { .. }, b'{') => {
                    if place == (ListPlace::AfterComma { owes_line: true }) {
                        out.extend_from_slice(&all[copied..at]);
                        copied = at;
                        out.push(b'\n');
                    }
                    place = ListPlace::Record { depth: 1 };
                }
                (ListPlace::Start | ListPlace::AfterRecord, b']') | (ListPlace::AfterRecord, b',') => {
                    out.extend_from_slice(&all[copied..at]);
                    copied = at + 1;
                    place = if byte == b',' { ListPlace::AfterComma { owes_line: true } } else { ListPlace::End };
                }
                (ListPlace::Start, _) => return Err(WrongAt::new(at, "expected an object or ']'")),
                (ListPlace::AfterComma { .. }, _) => return Err(WrongAt::new(at, "expected an object")),
                (ListPlace::AfterRecord, _) => return Err(WrongAt::new(at, "expected ',' or ']'")),
                (ListPlace::End, _) => return Err(WrongAt::new(at, "the list has ended, and nothing may follow it")),
            }
            at += 1;
        }
        out.extend_from_slice(&all[copied..to]);
        self.sequence = RecordSequence::List(place);
        Ok(())
    }

    #[cold]
    fn fault(&self, bytes: &[u8], wrong: WrongAt) -> ExtendedJsonFault {
        let (lines, characters) = self.place(&bytes[..wrong.at.min(bytes.len())]);
        ExtendedJsonFault { line: lines + 1, column: characters + 1, reason: wrong.reason }
    }

    /// Lines and characters after these bytes.
    fn place(&self, bytes: &[u8]) -> (u64, u64) {
        let characters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
        match memchr::memrchr(b'\n', bytes) {
            Some(last) => {
                let lines = memchr::memchr_iter(b'\n', &bytes[..=last]).count() as u64;
                (self.lines + lines, characters(&bytes[last + 1..]))
            }
            None => (self.lines, self.characters + characters(bytes)),
        }
    }
}

/// The brace that is the last byte before `to`, but for white space, and not before `from`.
#[inline]
fn open_before(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let gap = bytes.get(from..to)?;
    let last = gap.iter().rposition(|byte| !is_blank(*byte))?;
    (gap[last] == b'{').then_some(from + last)
}

/// The end of the bytes, or of those before a quote at their end.
fn without_quote(bytes: &[u8], from: usize) -> usize {
    match bytes.get(from..).and_then(<[u8]>::last) {
        Some(b'"') => bytes.len() - 1,
        _ => bytes.len(),
    }
}
