//! Where the fields of CSV records begin and end, found 64 bytes at a time.
//!
//! [`Splitter`] takes a file's bytes in chunks of any size and notes two positions per field; the bytes of a batch are
//! kept as they came. Only a field that has a doubled or escaped quote, or text after its closing quote, is written
//! anew, by `csv_core`. It reads what `csv_core` reads, which decides what is right: dialects with comments, or where
//! one byte means two things, and whatever is wrong with a record are left to it ([`Splitter::new`], [`Split`]). It
//! knows neither types nor NULL.

use crate::config::CsvOptions;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Positions have 32 bits, and written-anew fields come on top of a batch's bytes.
const MAX_BYTES: usize = 1 << 30;

/// A field's place in the text of [`Records`].
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// So many bytes were taken: all, or up to the end of the last record that the batch has room for.
    Taken(usize),
    /// Nothing was taken: a record has not as many fields as it should have, or is too long for positions of 32 bits.
    Refused,
}

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a field, or in one that does not begin with a quote.
    Plain,
    Quoted,
    /// After a quote in a quoted field, which closes it or is the first of two.
    Closed,
    /// In text after a closing quote.
    Tail,
}

/// The bytes that mean something.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    ends: [u8; 2],
}

/// Splits the records of one file, one batch after the other.
#[derive(Debug)]
pub(super) struct Splitter {
    dialect: Dialect,
    unescape: csv_core::Reader,
    columns: usize,
    /// The bytes of the batch, and of a record that is not complete.
    bytes: Vec<u8>,
    /// The fields of all columns, row by row.
    spans: Vec<Span>,
    /// Those of them that have to be written anew.
    marred: Vec<usize>,
    state: State,
    /// Where the field of the next byte begins.
    start: u32,
    /// Where the quote is that made the state [`State::Closed`].
    quote_at: u32,
    /// The field is to be written anew.
    is_marred: bool,
    /// A byte after an escape, at this position, means nothing.
    escaped_at: Option<u32>,
    /// How many spans the complete records have.
    complete: usize,
}

impl Splitter {
    /// None: `csv_core` has to read the file.
    pub(super) fn new(options: &CsvOptions, columns: usize) -> Option<Self> {
        let ends = options.terminator.map_or([b'\n', b'\r'], |terminator| [terminator; 2]);
        let dialect = Dialect { delimiter: options.delimiter, quote: options.quote, escape: options.escape, ends };
        let mut special = vec![dialect.delimiter, dialect.quote, ends[0]];
        special.extend(options.escape);
        special.extend((ends[1] != ends[0]).then_some(ends[1]));
        let are_ascii = special.is_ascii();
        special.sort_unstable();
        let are_distinct = special.windows(2).all(|pair| pair[0] != pair[1]);
        let mut unescape = csv_core::ReaderBuilder::new();
        unescape.delimiter(options.delimiter).quote(options.quote).escape(options.escape);
        if let Some(terminator) = options.terminator {
            unescape.terminator(csv_core::Terminator::Any(terminator));
        }
        (are_ascii && are_distinct && options.comment.is_none() && columns > 0).then(|| Self {
            dialect,
            unescape: unescape.build(),
            columns,
            bytes: Vec::new(),
            spans: Vec::new(),
            marred: Vec::new(),
            state: State::Plain,
            start: 0,
            quote_at: 0,
            is_marred: false,
            escaped_at: None,
            complete: 0,
        })
    }

    /// Complete records.
    pub(super) fn rows(&self) -> usize {
        self.complete / self.columns
    }

    /// The bytes since the last batch, of which [`Splitter::rows`] records are complete.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes in bytes until there are `rows` complete records.
    pub(super) fn push(&mut self, chunk: &[u8], rows: usize) -> Split {
        if self.bytes.len() + chunk.len() > MAX_BYTES {
            return Split::Refused;
        }
        let full = rows * self.columns;
        let marks = self.dialect.marks();
        let base = self.bytes.len() as u32;
        let mut padded = [0; BLOCK];
        for (number, part) in chunk.chunks(BLOCK).enumerate() {
            let block = <&[u8; BLOCK]>::try_from(part).unwrap_or_else(|_| {
                padded[..part.len()].copy_from_slice(part);
                &padded
            });
            let mut found = specials(block, &marks);
            if part.len() < BLOCK {
                found &= (1 << part.len()) - 1;
            }
            while found != 0 {
                let at = found.trailing_zeros() as usize;
                found &= found - 1;
                let Some(is_end) = self.step(block[at % BLOCK], base + (number * BLOCK + at) as u32) else {
                    return Split::Refused;
                };
                if is_end && self.spans.len() == full {
                    let taken = number * BLOCK + at + 1;
                    self.bytes.extend_from_slice(&chunk[..taken]);
                    return Split::Taken(taken);
                }
            }
        }
        if self.spans.len() - self.complete > self.columns {
            return Split::Refused;
        }
        self.bytes.extend_from_slice(chunk);
        Split::Taken(chunk.len())
    }

    /// A byte that may mean something, and whether a record ends there; None if that has too few or many fields.
    #[inline(always)]
    fn step(&mut self, byte: u8, at: u32) -> Option<bool> {
        match self.state {
            State::Plain => {
                if byte == self.dialect.delimiter {
                    self.field(self.start, at, at + 1);
                } else if self.dialect.ends.contains(&byte) {
                    return self.end_of_record(self.start, at);
                } else if byte == self.dialect.quote && at == self.start {
                    self.state = State::Quoted;
                }
            }
            State::Quoted => {
                if self.escaped_at.take_if(|escaped| *escaped <= at).is_some_and(|escaped| escaped == at) {
                    return Some(false);
                }
                if byte == self.dialect.quote {
                    (self.state, self.quote_at) = (State::Closed, at);
                } else if self.dialect.escape == Some(byte) {
                    (self.is_marred, self.escaped_at) = (true, Some(at + 1));
                }
            }
            State::Closed => {
                let follows = at == self.quote_at + 1;
                if follows && byte == self.dialect.delimiter {
                    self.quoted_field(at);
                } else if follows && self.dialect.ends.contains(&byte) {
                    return self.end_of_quoted_record(at);
                } else if follows && byte == self.dialect.quote {
                    (self.state, self.is_marred) = (State::Quoted, true);
                } else {
                    (self.state, self.is_marred) = (State::Tail, true);
                    return self.step_in_tail(byte, at);
                }
            }
            State::Tail => return self.step_in_tail(byte, at),
        }
        Some(false)
    }

    fn step_in_tail(&mut self, byte: u8, at: u32) -> Option<bool> {
        if byte == self.dialect.delimiter {
            self.quoted_field(at);
        } else if self.dialect.ends.contains(&byte) {
            return self.end_of_quoted_record(at);
        }
        Some(false)
    }

    #[inline(always)]
    fn field(&mut self, start: u32, end: u32, next: u32) {
        self.spans.push(Span { start, end });
        self.start = next;
    }

    /// Ends a field that began with a quote before `at`. One that is to be written anew keeps its quotes until then.
    fn quoted_field(&mut self, at: u32) {
        if self.is_marred {
            self.marred.push(self.spans.len());
            self.field(self.start, at, at + 1);
        } else {
            self.field(self.start + 1, self.quote_at, at + 1);
        }
        (self.state, self.is_marred) = (State::Plain, false);
    }

    fn end_of_quoted_record(&mut self, at: u32) -> Option<bool> {
        self.quoted_field(at);
        self.complete_record()
    }

    #[inline(always)]
    fn end_of_record(&mut self, start: u32, at: u32) -> Option<bool> {
        if start == at && self.spans.len() == self.complete {
            // A blank line, or the second byte of a line end.
            self.start = at + 1;
            return Some(false);
        }
        self.field(start, at, at + 1);
        self.complete_record()
    }

    #[inline(always)]
    fn complete_record(&mut self) -> Option<bool> {
        let fields = self.spans.len() - self.complete;
        self.complete = self.spans.len();
        (fields == self.columns).then_some(true)
    }

    /// Ends a last record that has no line end. False: `csv_core` has to read the batch.
    pub(super) fn end(&mut self) -> bool {
        let at = self.bytes.len() as u32;
        match self.state {
            State::Plain => {
                let is_between = self.start == at && self.spans.len() == self.complete;
                is_between || self.end_of_record(self.start, at) == Some(true)
            }
            State::Closed if self.quote_at + 1 == at => self.end_of_quoted_record(at) == Some(true),
            State::Quoted | State::Closed | State::Tail => false,
        }
    }

    /// The complete records, to be called between two records. None if their bytes are not UTF-8.
    pub(super) fn records(&mut self) -> Option<Records<'_>> {
        for field in &self.marred {
            let Span { start, end } = self.spans[*field];
            let (from, to) = (self.bytes.len(), (end - start) as usize);
            // What is written anew is never longer.
            self.bytes.resize(from + to, 0);
            let (raw, written) = self.bytes.split_at_mut(from);
            let raw = &raw[start as usize..end as usize];
            self.unescape.reset();
            let (_, _, length) = self.unescape.read_field(raw, written);
            self.bytes.truncate(from + length);
            self.spans[*field] = Span { start: from as u32, end: (from + length) as u32 };
        }
        self.marred.clear();
        let text = std::str::from_utf8(&self.bytes).ok()?;
        Some(Records { text, spans: &self.spans[..self.complete], columns: self.columns })
    }

    /// Forgets the batch, between two records.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.marred.clear();
        (self.start, self.complete) = (0, 0);
    }
}

impl Dialect {
    fn marks(&self) -> [u8; 5] {
        [self.delimiter, self.quote, self.escape.unwrap_or(self.delimiter), self.ends[0], self.ends[1]]
    }
}

/// One bit for each byte of the block that is one of the marks. The first loop is a few vector instructions; the
/// multiplication gathers the lowest bits of eight bytes.
#[inline(always)]
fn specials(block: &[u8; BLOCK], marks: &[u8; 5]) -> u64 {
    let [a, b, c, d, e] = *marks;
    let mut is_special = [0_u8; BLOCK];
    for (is_special, byte) in is_special.iter_mut().zip(block) {
        *is_special = u8::from((*byte == a) | (*byte == b) | (*byte == c) | (*byte == d) | (*byte == e));
    }
    let (words, _) = is_special.as_chunks::<8>();
    words.iter().enumerate().fold(0, |bits, (number, word)| {
        let gathered = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits | (gathered << (8 * number))
    })
}

/// The records of one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records<'a> {
    text: &'a str,
    spans: &'a [Span],
    columns: usize,
}

impl<'a> Records<'a> {
    /// The fields of a column.
    pub(super) fn column(&self, column: usize) -> impl ExactSizeIterator<Item = &'a str> + Clone + use<'a> {
        let text = self.text;
        let places = self.spans.chunks_exact(self.columns);
        places.map(move |row| &text[row[column].start as usize..row[column].end as usize])
    }
}
