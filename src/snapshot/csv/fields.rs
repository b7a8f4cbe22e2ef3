//! Where the fields of CSV records begin and end, found 64 bytes at a time, by strict rules.
//!
//! [`Splitter`] takes a file's bytes in chunks of any size and notes two positions per field, and whether it was
//! quoted; the bytes of a batch are kept as they came. Only a field that has a doubled quote or an escape is written
//! anew. It knows neither types nor NULL.
//!
//! The rules: a field is quoted if it begins with a quote; it then ends at the next quote that is neither doubled nor
//! escaped, which a delimiter, a line end or the end of the file must follow. A quote in any other field is an error.
//! With `lax_quotes` it is text, and so is a quote in a quoted field that nothing of these follows; nothing is dropped.
//! All records have as many fields as the first one. Blank lines are skipped, but in a file of one column they are its
//! empty field. What breaks a rule is [`Malformed`], which names its place; a quote that is never closed is reported
//! where it opens.

use regex::Regex;

use super::coded::Code;
use super::escapes::Escapes;
use crate::config::CsvOptions;
use crate::snapshot::block::{self, BLOCK};
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::place::{Malformed, TextPart};

/// Bytes that a batch may have, but for its last record: a batch of wide records ends before it has all its rows.
const MAX_BATCH: usize = 32 << 20;

/// Bytes that are taken at once, so that all positions fit 30 bits.
const MAX_PIECE: usize = 16 << 20;

/// No byte is there.
const NOWHERE: u32 = u32::MAX;

/// A quoted field of more line ends than this is suspicious: a quote may have been text.
const LONG_FIELD: u32 = 100;

/// Bytes that mean something in a dialect without escape and comments, and in any.
const FEW: usize = 4;
const ALL: usize = 6;

const QUOTED: u32 = 1 << 31;
const ESCAPED: u32 = 1 << 30;
const FLAGS: u32 = QUOTED | ESCAPED;

/// A field's place in the text of [`CsvRecords`], and how it was written in the upper bits of `end`.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.end & !FLAGS) as usize
    }
}

/// Where in a record the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldState {
    /// Before a field, or in one that is not quoted.
    Plain,
    Quoted,
    /// After a quote in a quoted field, which closes it or is the first of two.
    Closed,
    /// In a line that is skipped.
    Comment,
}

/// The bytes that mean something. What a dialect lacks is as its delimiter, which is looked for first.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    delimiter: u8,
    quote: u8,
    escape: u8,
    comment: u8,
    ends: [u8; 2],
    /// Escapes work outside of quotes too.
    sequences: bool,
    lax: bool,
    has_header: bool,
    has_few: bool,
}

/// Splits the records of one file, one batch after the other.
#[derive(Debug)]
pub(crate) struct Splitter {
    dialect: Dialect,
    escapes: Escapes,
    /// 0 before the first record is complete.
    columns: usize,
    /// The bytes of the batch, and of a record that is not complete.
    bytes: Vec<u8>,
    /// The fields of all columns, row by row.
    spans: Vec<Span>,
    /// Those of them that have to be written anew, and room for that.
    marred: Vec<usize>,
    anew: Vec<u8>,
    /// Columns whose fields are bytes.
    codes: Vec<Code>,
    state: FieldState,
    /// Where the field of the next byte begins, with its quote.
    start: u32,
    /// Where the quote is that made the state [`FieldState::Closed`].
    quote_at: u32,
    /// The field is to be written anew.
    is_marred: bool,
    /// A byte after an escape, at this position, means nothing.
    escaped_at: u32,
    /// An LF at this position belongs to the CR before it.
    cr_at: u32,
    /// How many spans the complete records have.
    complete: usize,
    /// Line of the first byte of the batch, and whether it follows a CR.
    line: u64,
    is_after_cr: bool,
    /// Line ends in the batch that end no record.
    other_lines: u64,
    /// Blank lines before the first record.
    blank: usize,
    /// Line ends in the quoted field.
    lines_in_field: u32,
    /// Line of the first quoted field that is suspiciously long.
    long_field: Option<u64>,
    /// What broke a rule, and where.
    fault: Option<(u32, String)>,
    limit: RecordLimit,
}

impl Splitter {
    /// The columns are those of the first record, or as many as given.
    pub(crate) fn new(options: &CsvOptions, columns: Option<usize>) -> Self {
        let delimiter = options.delimiter;
        let dialect = Dialect {
            delimiter,
            quote: options.quote.unwrap_or(delimiter),
            escape: options.escape.unwrap_or(delimiter),
            comment: options.comment.unwrap_or(delimiter),
            ends: options.terminator.map_or([b'\n', b'\r'], |terminator| [terminator; 2]),
            sequences: options.escape_sequences && options.escape.is_some(),
            lax: options.lax_quotes,
            has_header: options.has_header,
            has_few: options.escape.is_none() && options.comment.is_none(),
        };
        Self {
            dialect,
            escapes: Escapes::new(options),
            columns: columns.unwrap_or(0),
            bytes: Vec::new(),
            spans: Vec::new(),
            marred: Vec::new(),
            anew: Vec::new(),
            codes: Code::of(options),
            state: FieldState::Plain,
            start: 0,
            quote_at: 0,
            is_marred: false,
            escaped_at: NOWHERE,
            cr_at: NOWHERE,
            complete: 0,
            line: 1,
            is_after_cr: false,
            other_lines: 0,
            blank: 0,
            lines_in_field: 0,
            long_field: None,
            fault: None,
            limit: RecordLimit::default(),
        }
    }

    /// With another limit of a record's length.
    pub(crate) fn with_limit(self, limit: RecordLimit) -> Self {
        Self { limit, ..self }
    }

    /// Complete records.
    pub(crate) fn rows(&self) -> usize {
        self.complete.checked_div(self.columns).unwrap_or(0)
    }

    /// Fields of each record; 0 before the first one is complete.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Whether the batch should not grow: it has `rows` records, or many bytes, and ends with a record.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        let is_between = self.start as usize == self.bytes.len() && self.spans.len() == self.complete;
        is_between && (self.rows() >= rows || (self.bytes.len() >= MAX_BATCH && self.complete > 0))
    }

    /// Line where a quoted field of suspiciously many lines begins, once.
    pub(crate) fn take_long_field(&mut self) -> Option<u64> {
        self.long_field.take()
    }

    /// Whether the bytes so far end inside of such a field.
    pub(crate) fn is_in_long_field(&self) -> bool {
        self.state == FieldState::Quoted && self.lines_in_field > LONG_FIELD
    }

    /// Lets the next record have any number of fields, between two records.
    pub(crate) fn forget_columns(&mut self) {
        self.columns = 0;
    }

    /// Takes in bytes and says how many: all, or up to the end of a record that makes the batch full. The first record
    /// of a file is a batch of its own.
    pub(crate) fn push(&mut self, chunk: &[u8], rows: usize) -> Result<usize, Malformed> {
        let chunk = &chunk[..chunk.len().min(MAX_PIECE)];
        let taken = match self.dialect.has_few {
            true => self.scan::<FEW>(chunk, rows),
            false => self.scan::<ALL>(chunk, rows),
        };
        self.bytes.extend_from_slice(&chunk[..taken.unwrap_or(chunk.len())]);
        let Some(taken) = taken else { return Err(self.malformed()) };
        let RecordLimit { bytes: most, advice } = self.limit;
        if self.bytes.len() > most && self.bytes.len() - self.record_start() as usize > most {
            let within = format!("that does not end within {most} bytes, {advice}");
            let _ = match self.state {
                FieldState::Quoted => {
                    let quotes = "if quotes are plain text in these files, set the option 'quote' ''";
                    self.fail(self.start, format!("a quoted field begins here {within}; {quotes}"))
                }
                _ => self.fail(self.record_start(), format!("a record begins here {within}")),
            };
            return Err(self.malformed());
        }
        Ok(taken)
    }

    /// None: something is wrong.
    fn scan<const MARKS: usize>(&mut self, chunk: &[u8], rows: usize) -> Option<usize> {
        let full = rows * self.columns;
        let marks = self.dialect.marks::<MARKS>();
        let base = self.bytes.len() as u32;
        let mut padded = [0; BLOCK];
        for (number, part) in chunk.chunks(BLOCK).enumerate() {
            let bytes = <&[u8; BLOCK]>::try_from(part).unwrap_or_else(|_| {
                padded[..part.len()].copy_from_slice(part);
                &padded
            });
            let mut found = block::marks(bytes, &marks);
            if part.len() < BLOCK {
                found &= (1 << part.len()) - 1;
            }
            while found != 0 {
                let at = found.trailing_zeros() as usize;
                found &= found - 1;
                let place = base + (number * BLOCK + at) as u32;
                let is_end = self.step::<MARKS>(bytes[at % BLOCK], place)?;
                if is_end && (self.spans.len() >= full || place as usize >= MAX_BATCH) {
                    return Some(number * BLOCK + at + 1);
                }
            }
        }
        Some(chunk.len())
    }

    /// A byte that may mean something, and whether a record ends there; None if it is wrong.
    #[inline(always)]
    fn step<const MARKS: usize>(&mut self, byte: u8, at: u32) -> Option<bool> {
        match self.state {
            FieldState::Plain => {
                if MARKS == ALL && self.escaped_at == at {
                    self.skip_line_end(byte, at);
                } else if byte == self.dialect.delimiter {
                    self.field::<MARKS>(at);
                } else if self.dialect.ends.contains(&byte) {
                    return self.end_of_record::<MARKS>(byte, at);
                } else if byte == self.dialect.quote {
                    if at == self.start {
                        (self.state, self.lines_in_field) = (FieldState::Quoted, 0);
                    } else if !self.dialect.lax {
                        return self.stray_quote(at);
                    }
                } else if MARKS == ALL && byte == self.dialect.escape {
                    if self.dialect.sequences {
                        (self.is_marred, self.escaped_at) = (true, at + 1);
                    }
                } else if MARKS == ALL && at == self.start && self.spans.len() == self.complete {
                    self.state = FieldState::Comment;
                }
            }
            FieldState::Quoted => self.step_in_quotes::<MARKS>(byte, at),
            FieldState::Closed => {
                let follows = at == self.quote_at + 1;
                if follows && byte == self.dialect.delimiter {
                    self.quoted_field(at);
                } else if follows && self.dialect.ends.contains(&byte) {
                    self.quoted_field(at);
                    self.note_cr(byte, at);
                    return self.complete_record();
                } else if follows && byte == self.dialect.quote {
                    (self.state, self.is_marred) = (FieldState::Quoted, true);
                } else if self.dialect.lax {
                    (self.state, self.is_marred) = (FieldState::Quoted, true);
                    self.step_in_quotes::<MARKS>(byte, at);
                } else {
                    return self.text_after_quote();
                }
            }
            FieldState::Comment => {
                if self.dialect.ends.contains(&byte) {
                    self.skip_line_end(byte, at);
                    (self.state, self.start) = (FieldState::Plain, at + 1);
                }
            }
        }
        Some(false)
    }

    #[inline(always)]
    fn step_in_quotes<const MARKS: usize>(&mut self, byte: u8, at: u32) {
        if MARKS == ALL && self.escaped_at == at {
            self.line_in_field(byte, at);
        } else if byte == self.dialect.quote {
            (self.state, self.quote_at) = (FieldState::Closed, at);
        } else if MARKS == ALL && byte == self.dialect.escape && byte != self.dialect.delimiter {
            (self.is_marred, self.escaped_at) = (true, at + 1);
        } else if self.dialect.ends.contains(&byte) {
            self.line_in_field(byte, at);
        }
    }

    #[inline(always)]
    fn field<const MARKS: usize>(&mut self, at: u32) {
        let mut end = at;
        if MARKS == ALL && self.is_marred {
            self.marred.push(self.spans.len());
            self.is_marred = false;
            end |= ESCAPED;
        }
        self.spans.push(Span { start: self.start, end });
        self.start = at + 1;
    }

    /// Ends a field that began with a quote before `at`.
    #[inline(always)]
    fn quoted_field(&mut self, at: u32) {
        if self.is_marred {
            self.marred.push(self.spans.len());
        }
        if self.lines_in_field > LONG_FIELD && self.long_field.is_none() {
            self.long_field = Some(self.line_of_field());
        }
        self.spans.push(Span { start: self.start + 1, end: self.quote_at | QUOTED });
        (self.state, self.is_marred, self.start) = (FieldState::Plain, false, at + 1);
    }

    #[inline(always)]
    fn end_of_record<const MARKS: usize>(&mut self, byte: u8, at: u32) -> Option<bool> {
        if self.start == at && self.spans.len() == self.complete {
            if byte == b'\n' && self.cr_at == at {
                self.start = at + 1;
                return Some(false);
            }
            if self.columns != 1 {
                self.note_cr(byte, at);
                self.blank += usize::from(self.columns == 0);
                self.other_lines += 1;
                self.start = at + 1;
                return Some(false);
            }
        }
        if MARKS == ALL && byte == b'\n' && self.cr_at == at {
            // The CR was escaped: one line end in both.
            self.other_lines -= 1;
        }
        self.note_cr(byte, at);
        self.field::<MARKS>(at);
        self.complete_record()
    }

    #[inline(always)]
    fn complete_record(&mut self) -> Option<bool> {
        if self.spans.len() - self.complete != self.columns {
            return self.other_length();
        }
        self.complete = self.spans.len();
        Some(true)
    }

    /// The first record, or one of another length than that.
    #[cold]
    fn other_length(&mut self) -> Option<bool> {
        let fields = self.spans.len() - self.complete;
        if self.columns != 0 {
            let reason = format!("the record has {}, expected are {}", count(fields), self.columns);
            return self.fail(self.record_start(), reason);
        }
        self.columns = fields;
        if fields == 1 && !self.dialect.has_header {
            // Only now it is known that they are records.
            self.spans.splice(0..0, std::iter::repeat_n(Span { start: 0, end: 0 }, self.blank));
            self.marred.iter_mut().for_each(|field| *field += self.blank);
            self.other_lines -= self.blank as u64;
        }
        self.blank = 0;
        self.complete = self.spans.len();
        Some(true)
    }

    #[inline(always)]
    fn note_cr(&mut self, byte: u8, at: u32) {
        if byte == b'\r' {
            self.cr_at = at + 1;
        }
    }

    /// A line end that ends no record.
    fn skip_line_end(&mut self, byte: u8, at: u32) -> bool {
        let is_line_end = self.dialect.ends.contains(&byte) && !(byte == b'\n' && self.cr_at == at);
        if is_line_end {
            self.note_cr(byte, at);
            self.other_lines += 1;
        }
        is_line_end
    }

    fn line_in_field(&mut self, byte: u8, at: u32) {
        if self.skip_line_end(byte, at) {
            self.lines_in_field += 1;
        }
    }

    /// Ends a last record that has no line end.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        let at = self.bytes.len() as u32;
        let ended = match self.state {
            FieldState::Plain if self.is_marred && self.escaped_at == at => {
                self.fail(at - 1, "the file ends with an escape character".to_owned())
            }
            FieldState::Plain if self.start == at && self.spans.len() == self.complete => Some(true),
            FieldState::Plain => {
                self.field::<ALL>(at);
                self.complete_record()
            }
            FieldState::Closed if self.quote_at + 1 == at => {
                self.quoted_field(at);
                self.complete_record()
            }
            FieldState::Closed if !self.dialect.lax => self.text_after_quote(),
            FieldState::Closed | FieldState::Quoted => self.unclosed(),
            FieldState::Comment => {
                self.state = FieldState::Plain;
                Some(true)
            }
        };
        self.start = at;
        ended.map(|_| ()).ok_or_else(|| self.malformed())
    }

    #[cold]
    fn fail(&mut self, at: u32, reason: String) -> Option<bool> {
        self.fault = Some((at, reason));
        None
    }

    #[cold]
    fn stray_quote(&mut self, at: u32) -> Option<bool> {
        let reason = "a quote inside an unquoted field; quote such fields, or, if quotes are plain text in \
                      these files, set the option 'quote' '' or 'lax_quotes' 'true'";
        self.fail(at, reason.to_owned())
    }

    #[cold]
    fn text_after_quote(&mut self) -> Option<bool> {
        let reason = "text follows the closing quote of a field; double quotes inside of quotes, or, if quotes are plain \
                      text in these files, set the option 'quote' '' or 'lax_quotes' 'true'";
        self.fail(self.quote_at + 1, reason.to_owned())
    }

    #[cold]
    fn unclosed(&mut self) -> Option<bool> {
        let reason = "a quoted field begins here that never ends; if quotes are plain text in these files, set the option \
                      'quote' ''";
        self.fail(self.start, reason.to_owned())
    }

    /// What is wrong, with its place; the records before it can still be read.
    fn malformed(&mut self) -> Malformed {
        let (at, reason) = self.fault.take().unwrap_or_default();
        let found = self.at(at as usize, reason);
        let end = self.record_start() as usize;
        self.bytes.truncate(end);
        self.spans.truncate(self.complete);
        let complete = self.complete;
        self.marred.retain(|field| *field < complete);
        found
    }

    fn at(&self, at: usize, reason: String) -> Malformed {
        let (line, column) = self.part().locate(at);
        Malformed { line, column, reason }
    }

    fn part(&self) -> TextPart<'_> {
        let Self { bytes, line, is_after_cr, .. } = self;
        TextPart { bytes, line: *line, is_after_cr: *is_after_cr, ends: self.dialect.ends }
    }

    /// Where the record begins that is not complete.
    fn record_start(&self) -> u32 {
        match self.spans.get(self.complete) {
            Some(first) => first.start - u32::from(first.end & QUOTED != 0),
            None => self.start,
        }
    }

    /// The line where the quoted field began that ends now.
    #[cold]
    fn line_of_field(&self) -> u64 {
        self.line + self.rows() as u64 + self.other_lines - u64::from(self.lines_in_field)
    }

    /// The complete records, to be called between two records. A field that is written with escapes is not written anew
    /// if `null_regex` matches what is written.
    pub(crate) fn records(&mut self, null_regex: Option<&Regex>) -> Result<CsvRecords<'_>, Malformed> {
        let written = self.bytes.len();
        self.anew.clear();
        for number in 0..self.marred.len() {
            let field = self.marred[number];
            let span = self.spans[field];
            let raw = &self.bytes[span.range()];
            let is_quoted = span.end & QUOTED != 0;
            let is_null = |regex: &Regex| std::str::from_utf8(raw).is_ok_and(|raw| regex.is_match(raw));
            if !is_quoted && null_regex.is_some_and(is_null) {
                self.spans[field].end &= !ESCAPED;
                continue;
            }
            let from = written + self.anew.len();
            if let Err(at) = self.escapes.undo(raw, is_quoted, &mut self.anew) {
                let shown: String = String::from_utf8_lossy(&raw[at..]).chars().take(2).collect();
                let null = if raw.len() == 2 && raw.ends_with(b"N") {
                    "; if it means NULL, set the option 'null_regex' '^\\\\N$'"
                } else {
                    "; if the character is plain text in these files, leave out the option 'escape', or set \
                     'escape_sequences' 'false' if it only escapes quotes"
                };
                return Err(self.at(span.start as usize + at, format!("'{shown}' is not an escape sequence{null}")));
            }
            let end = (written + self.anew.len()) as u32;
            self.spans[field] = Span { start: from as u32, end: end | (span.end & FLAGS) };
            if self.codes.iter().any(|code| code.column == field % self.columns.max(1)) {
                blank(&mut self.bytes[span.range()]);
            }
        }
        self.marred.clear();
        self.bytes.extend_from_slice(&self.anew);
        self.write_coded(null_regex, written)?;
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => Ok(CsvRecords { text, spans: &self.spans[..self.complete], columns: self.columns }),
            Err(error) => Err(self.not_utf8(error.valid_up_to())),
        }
    }

    /// Writes the fields of bytes as [`super::columns`] reads them.
    fn write_coded(&mut self, null_regex: Option<&Regex>, written: usize) -> Result<(), Malformed> {
        for number in 0..self.codes.len() {
            let code = self.codes[number];
            for field in (code.column..self.complete).step_by(self.columns.max(1)) {
                let span = self.spans[field];
                let is_bare = span.end & FLAGS == 0;
                let raw = self.bytes.get(span.range()).unwrap_or_default();
                let is_null = |regex: &Regex| std::str::from_utf8(raw).is_ok_and(|raw| regex.is_match(raw));
                if is_bare && null_regex.map_or(raw.is_empty(), is_null) {
                    continue;
                }
                self.anew.clear();
                if let Err(reason) = code.write(raw, &mut self.anew) {
                    // Fields that were written anew are no longer at their place in the file.
                    let row = field - code.column;
                    let fields = self.spans[field..=field].iter().chain(&self.spans[row..]);
                    let at = fields.map(|span| span.start as usize).find(|start| *start < written).unwrap_or(written);
                    return Err(self.at(at, format!("value {} of the record: {reason}", code.column + 1)));
                }
                let from = self.bytes.len();
                if from + self.anew.len() >= ESCAPED as usize {
                    let reason = "its binary values are too long to be read".to_owned();
                    return Err(self.at(span.start as usize, reason));
                }
                blank(&mut self.bytes[span.range()]);
                self.bytes.extend_from_slice(&self.anew);
                self.spans[field] = Span { start: from as u32, end: self.bytes.len() as u32 | ESCAPED };
            }
        }
        Ok(())
    }

    #[cold]
    fn not_utf8(&self, at: usize) -> Malformed {
        let byte = self.bytes.get(at).copied().unwrap_or_default();
        // Files that were packed keep their names when the store packs them.
        let packed = match self.bytes.get(..4) {
            _ if self.line > 1 => None,
            Some([0x1F, 0x8B, ..]) => Some("gzip"),
            Some([0x28, 0xB5, 0x2F, 0xFD]) => Some("zstd"),
            Some([0xFD, b'7', b'z', b'X']) => Some("xz"),
            _ => None,
        };
        let advice = match packed {
            Some(codec) => format!("the file is packed by {codec}: set the option 'compression' '{codec}'"),
            None => "save the file as UTF-8".to_owned(),
        };
        self.at(at, format!("the byte 0x{byte:02X} is not UTF-8; {advice}"))
    }

    /// Forgets the batch, between two records.
    pub(crate) fn clear(&mut self) {
        self.line += self.rows() as u64 + self.other_lines;
        self.is_after_cr = self.cr_at != NOWHERE && self.cr_at == self.start;
        self.cr_at = if self.is_after_cr { 0 } else { NOWHERE };
        self.other_lines = 0;
        self.bytes.clear();
        self.spans.clear();
        self.marred.clear();
        self.escaped_at = NOWHERE;
        (self.start, self.complete) = (0, 0);
    }
}

/// Bytes that were written anew, and need not be text, are looked at no more. Line ends stay: lines are counted.
fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
}

fn count(fields: usize) -> String {
    format!("{fields} field{}", if fields == 1 { "" } else { "s" })
}

impl Dialect {
    fn marks<const MARKS: usize>(&self) -> [u8; MARKS] {
        let all = [self.delimiter, self.quote, self.ends[0], self.ends[1], self.escape, self.comment];
        std::array::from_fn(|mark| all[mark])
    }
}

/// A field as it is read, and how it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CsvField<'a> {
    pub(crate) text: &'a str,
    flags: u32,
}

impl<'a> CsvField<'a> {
    /// A field that is written as it is.
    pub(crate) fn bare(text: &'a str) -> Self {
        Self { text, flags: 0 }
    }

    /// A field that is never NULL.
    pub(crate) fn quoted(text: &'a str) -> Self {
        Self { text, flags: QUOTED }
    }
}

impl CsvField<'_> {
    pub(crate) fn is_quoted(self) -> bool {
        self.flags & QUOTED != 0
    }

    /// Whether it is written without quotes, and without escapes that were undone.
    #[inline(always)]
    pub(crate) fn is_bare(self) -> bool {
        self.flags == 0
    }
}

/// The records of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CsvRecords<'a> {
    text: &'a str,
    spans: &'a [Span],
    columns: usize,
}

impl<'a> CsvRecords<'a> {
    /// The fields of a column.
    pub(crate) fn column(&self, column: usize) -> impl ExactSizeIterator<Item = CsvField<'a>> + Clone + use<'a> {
        let text = self.text;
        let places = self.spans.chunks_exact(self.columns.max(1));
        places.map(move |row| read(text, row[column]))
    }

    /// The fields of a record.
    pub(crate) fn row(&self, row: usize) -> impl ExactSizeIterator<Item = CsvField<'a>> + Clone + use<'a> {
        let text = self.text;
        self.spans[row * self.columns..(row + 1) * self.columns].iter().map(move |span| read(text, *span))
    }
}

#[inline(always)]
fn read(text: &str, span: Span) -> CsvField<'_> {
    CsvField { text: &text[span.range()], flags: span.end & FLAGS }
}
