//! Walks byte by byte through the text outside of data and says where a statement, a comment or a psql line ends.
//!
//! It knows quotes, dollar quotes, comments, `/*! */`, DELIMITER and the bodies of `BEGIN ATOMIC`; it knows nothing
//! of what a statement means, but for the words INSERT, COPY and VALUES. A statement is kept whole, at most
//! [`LIMIT`] bytes. It fails at a longer one, and at the end of the text inside of something.
//!
//! ```text
//! /*!40101 SET NAMES utf8 */;      -> Statement, text "SET NAMES utf8"
//! INSERT INTO t VALUES (1);        -> Values at the blank after VALUES
//! ```

mod comment;
mod quoted;
#[cfg(test)]
mod tests;

use super::DumpFault;
use super::fault::LIMIT;
use super::quote::{Backslash, QuoteRules, is_word};
use crate::snapshot::dump::SqlFamily;

/// Longest part of a comment or command line that is kept.
const NOTE_LIMIT: usize = 4096;

/// What one byte brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextStep {
    /// Nothing to do.
    More,
    /// A comment between statements has ended; its text is in [`TextScan::note`], if it is a `--` comment.
    Comment,
    /// A psql line has ended; it is in [`TextScan::note`].
    Meta,
    /// A statement has ended.
    Statement,
    /// The byte is not taken: VALUES of an INSERT stands before it.
    Values,
}

/// First word of a statement, as far as the scanner has to know it before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScannedKind {
    /// INSERT or REPLACE.
    Insert,
    /// COPY.
    Copy,
    /// Any other.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextMode {
    Code,
    Quote {
        quote: u8,
        backslash: Backslash,
    },
    Escaped {
        quote: u8,
        backslash: Backslash,
    },
    /// After a closing quote: the same quote again means that it was a doubled one.
    QuoteEnd {
        quote: u8,
        backslash: Backslash,
    },
    Dash,
    /// MySQL wants a blank after `--`.
    TwoDashes,
    Slash,
    /// After `/*`.
    Open,
    /// After `/*M`.
    OpenM,
    Version {
        digits: u8,
        version: u32,
    },
    Line,
    CopyBlock {
        depth: u32,
        before: u8,
    },
    /// After `$`, before the second one; the tag begins at this index of the text.
    Tag {
        from: usize,
    },
    /// Between `$tag$` and `$tag$`; `from..body` is the tag with its signs.
    Dollar {
        from: usize,
        body: usize,
    },
    Meta,
    Delimiter,
}

/// Last bare word, in lower case; longer words than any that matters are cut.
#[derive(Debug, Default, Clone, Copy)]
struct TextWord {
    bytes: [u8; 12],
    len: usize,
}

impl TextWord {
    fn push(&mut self, b: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = b.to_ascii_lowercase();
        }
        self.len += 1;
    }

    fn is(&self, want: &str) -> bool {
        self.bytes.get(..self.len) == Some(want.as_bytes())
    }
}

/// State in the text outside of data.
#[derive(Debug)]
pub(super) struct TextScan {
    /// How quotes are read; the family is found on the way.
    pub(super) rules: QuoteRules,
    /// Line of the next byte, from 1.
    pub(super) line: u64,
    /// Text of the last comment or psql line.
    pub(super) note: Vec<u8>,
    mode: TextMode,
    mode_line: u64,
    /// Statement so far; empty and not begun between statements.
    buf: Vec<u8>,
    begun: bool,
    start: u64,
    start_line: u64,
    kind: ScannedKind,
    /// The statement began with `/*!`: the signs of these comments are left out.
    unwrap: bool,
    /// `/*!` comments that are open.
    exec: u32,
    /// Where a comment may have begun: index in `buf`, offset in the text.
    mark: (usize, u64),
    word: TextWord,
    words: u32,
    prefix_e: bool,
    after_begin: bool,
    paren: u32,
    /// Depth of BEGIN ATOMIC and CASE.
    atomic: u32,
    /// Bytes since the last quote or comment: a delimiter cannot reach over one.
    run: usize,
    delimiter: Vec<u8>,
    /// The last byte was a line end.
    line_ended: bool,
}

impl TextScan {
    /// Starts at the first line, with the family if it is forced.
    pub(super) fn new(family: Option<SqlFamily>) -> Self {
        Self {
            rules: QuoteRules { family, std_strings: true },
            line: 1,
            note: Vec::new(),
            mode: TextMode::Code,
            mode_line: 1,
            buf: Vec::new(),
            begun: false,
            start: 0,
            start_line: 1,
            kind: ScannedKind::Other,
            unwrap: false,
            exec: 0,
            mark: (0, 0),
            word: TextWord::default(),
            words: 0,
            prefix_e: false,
            after_begin: false,
            paren: 0,
            atomic: 0,
            run: 0,
            delimiter: b";".to_vec(),
            line_ended: false,
        }
    }

    /// Whether no statement, comment or line is open.
    pub(super) fn idle(&self) -> bool {
        !self.begun && self.mode == TextMode::Code
    }

    /// Whether a lone `;` ends statements, as in all text that holds data.
    pub(super) fn plain_delimiter(&self) -> bool {
        self.delimiter == b";"
    }

    /// Text of the statement so far, its kind, the offset and the line of its first byte.
    pub(super) fn statement(&self) -> (&[u8], ScannedKind, u64, u64) {
        (&self.buf, self.kind, self.start, self.start_line)
    }

    /// Whether the statement stands in a `/*!` comment.
    pub(super) fn wrapped(&self) -> bool {
        self.unwrap || self.exec > 0
    }

    /// Whether the command that was just read had a line end.
    pub(super) fn after_line_end(&self) -> bool {
        self.line_ended
    }

    /// Forgets the statement.
    pub(super) fn clear(&mut self) {
        self.buf.clear();
        self.buf.shrink_to(1 << 20);
        (self.begun, self.unwrap, self.prefix_e, self.after_begin) = (false, false, false, false);
        (self.exec, self.words, self.paren, self.atomic, self.run) = (0, 0, 0, 0, 0);
        (self.kind, self.mode, self.word) = (ScannedKind::Other, TextMode::Code, TextWord::default());
    }

    /// Reads the byte at offset `pos`.
    pub(super) fn step(&mut self, b: u8, pos: u64) -> Result<TextStep, DumpFault> {
        let step = self.byte(b, pos)?;
        self.line_ended = b == b'\n' && step != TextStep::Values;
        self.line += u64::from(self.line_ended);
        Ok(step)
    }

    /// Says that the text ends here; a last comment or command line may have no line end.
    pub(super) fn end(&mut self) -> Result<TextStep, DumpFault> {
        let step = match self.mode {
            TextMode::Line if !self.begun => TextStep::Comment,
            TextMode::TwoDashes if !self.begun => TextStep::More,
            TextMode::Meta => TextStep::Meta,
            TextMode::Code if !self.begun => TextStep::More,
            TextMode::Delimiter => TextStep::More,
            TextMode::Quote { .. } | TextMode::Escaped { .. } => {
                return Err(DumpFault::NotEnded { what: "quote", line: self.mode_line });
            }
            TextMode::CopyBlock { .. } => return Err(DumpFault::NotEnded { what: "comment", line: self.mode_line }),
            TextMode::Dollar { .. } => return Err(DumpFault::NotEnded { what: "dollar quote", line: self.mode_line }),
            _ => {
                let line = if self.begun { self.start_line } else { self.line };
                return Err(DumpFault::NotEnded { what: "statement", line });
            }
        };
        self.mode = TextMode::Code;
        Ok(step)
    }

    fn my(&self) -> bool {
        self.rules.family == Some(SqlFamily::MySql)
    }

    fn pg(&self) -> bool {
        self.rules.family == Some(SqlFamily::Postgres)
    }

    fn begin(&mut self, pos: u64) {
        if !self.begun {
            (self.begun, self.start, self.start_line) = (true, pos, self.line);
        }
    }

    /// Keeps a byte of the statement; bytes of comments before it are not kept.
    fn put(&mut self, b: u8) -> Result<(), DumpFault> {
        if self.begun {
            if self.buf.len() >= LIMIT {
                return Err(DumpFault::TooLong { line: self.start_line });
            }
            self.buf.push(b);
        }
        Ok(())
    }

    fn enter(&mut self, mode: TextMode) {
        (self.mode, self.mode_line) = (mode, self.line);
        self.run = 0;
    }

    fn byte(&mut self, b: u8, pos: u64) -> Result<TextStep, DumpFault> {
        loop {
            // Each way either takes the byte, or changes the mode and lets the byte be read again.
            let taken = match self.mode {
                TextMode::Code if is_word(b) && !(b == b'$' && self.word.len == 0 && !self.my()) => {
                    self.begin(pos);
                    self.word.push(b);
                    Some(self.put_code(b)?)
                }
                TextMode::Code if self.word.len == 0 => Some(self.sign(b, pos)?),
                TextMode::Code => self.word_ended(b)?,
                TextMode::Quote { .. } | TextMode::Escaped { .. } | TextMode::QuoteEnd { .. } => self.quoted(b)?,
                TextMode::Tag { .. } | TextMode::Dollar { .. } => self.quoted(b)?,
                TextMode::Meta | TextMode::Delimiter => Some(self.command_line(b)?),
                _ => self.comment(b)?,
            };
            if let Some(step) = taken {
                return Ok(step);
            }
        }
    }

    /// Keeps a byte outside of quotes and looks whether a statement ends with it.
    fn put_code(&mut self, b: u8) -> Result<TextStep, DumpFault> {
        self.put(b)?;
        self.run += 1;
        if self.delimiter.last() != Some(&b) || self.run < self.delimiter.len() || !self.buf.ends_with(&self.delimiter)
        {
            return Ok(TextStep::More);
        }
        // `;` can stand inside of a rule's parentheses, an SQL body of PostgreSQL, or a `/*!` comment.
        if self.exec > 0 || (!self.my() && (self.paren > 0 || self.atomic > 0)) {
            return Ok(TextStep::More);
        }
        self.buf.truncate(self.buf.len() - self.delimiter.len());
        self.buf.truncate(self.buf.trim_ascii_end().len());
        Ok(TextStep::Statement)
    }

    /// Reads a byte outside of quotes that belongs to no word.
    fn sign(&mut self, b: u8, pos: u64) -> Result<TextStep, DumpFault> {
        let e_prefix = std::mem::take(&mut self.prefix_e);
        match b {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => {
                if !self.buf.is_empty() {
                    return self.put_code(b);
                }
                return Ok(TextStep::More);
            }
            b'\\' if !self.begun && !self.my() => {
                self.note.clear();
                self.note.push(b);
                self.rules.family = Some(SqlFamily::Postgres);
                self.enter(TextMode::Meta);
                return Ok(TextStep::More);
            }
            b'#' if !self.pg() && (self.my() || !self.begun) => {
                self.rules.family = Some(SqlFamily::MySql);
                self.note.clear();
                self.put(b)?;
                self.enter(TextMode::Line);
                return Ok(TextStep::More);
            }
            b'/' if self.exec > 0 && self.run > 0 && self.buf.last() == Some(&b'*') => {
                self.exec -= 1;
                self.run = 0;
                if self.unwrap {
                    self.buf.pop();
                    self.put(b' ')?;
                } else {
                    self.put(b)?;
                }
                return Ok(TextStep::More);
            }
            b'-' | b'/' => {
                self.mark = (self.buf.len(), pos);
                let step = self.put_code(b)?;
                if step == TextStep::More {
                    self.mode = if b == b'-' { TextMode::Dash } else { TextMode::Slash };
                }
                return Ok(step);
            }
            _ => {}
        }
        self.begin(pos);
        match b {
            b'\'' | b'"' => self.open_quote(b, e_prefix),
            b'`' if !self.pg() => {
                self.rules.family = Some(SqlFamily::MySql);
                self.open_quote(b, false);
            }
            b'$' => self.mode = TextMode::Tag { from: self.buf.len() },
            b'(' => self.paren = self.paren.saturating_add(1),
            b')' => self.paren = self.paren.saturating_sub(1),
            _ => {}
        }
        if self.mode == TextMode::Code {
            return self.put_code(b);
        }
        self.put(b)?;
        Ok(TextStep::More)
    }

    fn open_quote(&mut self, quote: u8, e_prefix: bool) {
        let backslash = self.rules.backslash(quote, e_prefix);
        self.enter(TextMode::Quote { quote, backslash });
    }

    /// Acts on the word that ends before `b`; the byte is read again unless VALUES is found.
    fn word_ended(&mut self, b: u8) -> Result<Option<TextStep>, DumpFault> {
        let word = std::mem::take(&mut self.word);
        self.words = self.words.saturating_add(1);
        self.prefix_e = word.is("e");
        if self.words == 1 {
            if word.is("delimiter") && !self.pg() && self.exec == 0 && b.is_ascii_whitespace() {
                self.clear();
                self.rules.family = Some(SqlFamily::MySql);
                self.note.clear();
                self.enter(TextMode::Delimiter);
                return Ok(None);
            }
            self.kind = match () {
                () if word.is("insert") || word.is("replace") => ScannedKind::Insert,
                () if word.is("copy") => ScannedKind::Copy,
                () => ScannedKind::Other,
            };
        } else if self.kind == ScannedKind::Insert && self.paren == 0 && word.is("values") {
            return Ok(Some(TextStep::Values));
        }
        if !self.my() {
            if word.is("atomic") && self.after_begin && is_routine(&self.buf) {
                self.atomic += 1;
            } else if self.atomic > 0 && word.is("case") {
                self.atomic = self.atomic.saturating_add(1);
            } else if word.is("end") {
                self.atomic = self.atomic.saturating_sub(1);
            }
            self.after_begin = word.is("begin");
        }
        Ok(None)
    }

    /// Reads a byte of a psql line or a DELIMITER line; both end with the line.
    fn command_line(&mut self, b: u8) -> Result<TextStep, DumpFault> {
        if b != b'\n' {
            if self.note.len() < NOTE_LIMIT {
                self.note.push(b);
            }
            return Ok(TextStep::More);
        }
        if std::mem::replace(&mut self.mode, TextMode::Code) == TextMode::Meta {
            return Ok(TextStep::Meta);
        }
        let delimiter = self.note.trim_ascii();
        if delimiter.is_empty() || delimiter.len() > 32 || delimiter.contains(&b'\\') {
            return Err(DumpFault::OddDelimiter { line: self.line });
        }
        self.delimiter = delimiter.to_vec();
        Ok(TextStep::Comment)
    }
}

/// Whether a statement creates a function or procedure; only these have BEGIN ATOMIC.
fn is_routine(text: &[u8]) -> bool {
    let mut words = super::words::StatementWords::new(text, Some(SqlFamily::Postgres));
    let created = words.take("create");
    let _ = words.take("or") && words.take("replace");
    created && (words.take("function") || words.take("procedure"))
}
