//! Walks over the tuples after VALUES and counts them; decodes no value.
//!
//! It is strict between tuples: a comma, a `;` or `ON CONFLICT DO NOTHING`, nothing else. A quote that was read
//! wrong does not stay unseen this way. A comment, a `;`, `$` or `\` that stands bare in a tuple is a fault, as no
//! dump program writes it.
//!
//! ```text
//! INSERT INTO t VALUES (1,'it''s'),(2,f('x'));
//!                     ^ starts here          ^ ends here, 2 rows
//! ```
//!
//! MySQL writes long statements of many tuples: their plain text is walked through 64 bytes at a time. The walk by
//! bytes has the rest, and the last word on what is odd.

use super::quote::{Backslash, QuoteRules, is_word};
use crate::snapshot::block::{BLOCK, escaped, inside, marks};
use crate::snapshot::dump::SqlFamily;
use crate::snapshot::dump::inserts::values::find;

/// Longest tail after the last tuple; there is only one that is accepted.
const TAIL: &[u8] = b"ON CONFLICT DO NOTHING";

/// Why a statement cannot be read; the scanner adds the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OddTuple {
    /// Text for [`DumpFault::OddInsert`](super::DumpFault::OddInsert).
    Why(&'static str),
    /// Backslash in a quote of a text whose family is not known.
    SqlFamily,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TupleAt {
    /// After VALUES or a comma: a tuple has to come.
    Open,
    /// In a tuple, outside of quotes.
    Row,
    /// In a quote.
    Quote,
    /// In a quote, after a backslash.
    Escaped,
    /// After a tuple.
    Closed,
    /// In the words after the last tuple.
    Tail,
}

/// State inside of one INSERT statement, after its VALUES.
#[derive(Debug)]
pub(super) struct InsertScan {
    rules: QuoteRules,
    at: TupleAt,
    quote: u8,
    backslash: Backslash,
    depth: u32,
    rows: u64,
    tail: Vec<u8>,
    /// The two bytes before the chunk: an E before a quote can stand in the chunk before.
    before: [u8; 2],
}

/// Bytes at which the walk through a tuple has to look.
const LOOK: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b"'\"`();-*#$\\";
    let mut n = 0;
    while n < bytes.len() {
        table[bytes[n] as usize] = true;
        n += 1;
    }
    table
};

impl InsertScan {
    /// Starts right after VALUES.
    pub(super) fn new(rules: QuoteRules) -> Self {
        let (quote, backslash) = (0, Backslash::Plain);
        Self { rules, at: TupleAt::Open, quote, backslash, depth: 0, rows: 0, tail: Vec::new(), before: [b' '; 2] }
    }

    /// Tuples so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the text, if it ends here, ends inside of a quote.
    pub(super) fn in_quote(&self) -> bool {
        matches!(self.at, TupleAt::Quote | TupleAt::Escaped)
    }

    /// Reads on from `chunk[from..]`. Gives the index after the `;` when the statement ends in this chunk, or the
    /// index of the byte that is odd.
    pub(super) fn scan(&mut self, chunk: &[u8], from: usize) -> Result<Option<usize>, (usize, OddTuple)> {
        let mut i = from;
        while i < chunk.len() {
            if self.is_plain() {
                i = self.in_blocks(chunk, i);
                if i == chunk.len() {
                    break;
                }
            }
            match self.at {
                TupleAt::Quote => i = self.in_string(chunk, i)?,
                TupleAt::Escaped => {
                    self.at = TupleAt::Quote;
                    i += 1;
                }
                TupleAt::Row => i = self.in_row(chunk, i)?,
                TupleAt::Open => {
                    match chunk[i] {
                        b'(' => {
                            self.depth = 1;
                            self.at = TupleAt::Row;
                        }
                        b' ' | b'\t' | b'\r' | b'\n' => {}
                        _ => return Err((i, OddTuple::Why("a tuple has to follow here"))),
                    }
                    i += 1;
                }
                TupleAt::Closed => {
                    match chunk[i] {
                        b',' => self.at = TupleAt::Open,
                        b';' => return Ok(Some(i + 1)),
                        b' ' | b'\t' | b'\r' | b'\n' => {}
                        b'O' | b'o' => {
                            self.tail.push(b'O');
                            self.at = TupleAt::Tail;
                        }
                        _ => return Err((i, OddTuple::Why("only a comma or a semicolon can follow a tuple"))),
                    }
                    i += 1;
                }
                TupleAt::Tail => {
                    if self.in_tail(chunk[i]).map_err(|odd| (i, odd))? {
                        return Ok(Some(i + 1));
                    }
                    i += 1;
                }
            }
        }
        match *chunk {
            [.., a, b] => self.before = [a, b],
            [b] => self.before = [self.before[1], b],
            [] => {}
        }
        Ok(None)
    }

    /// Whether the text is that of a tuple of MySQL, outside of nested parentheses and of quotes other than `'`.
    fn is_plain(&self) -> bool {
        let is_tuple = match self.at {
            TupleAt::Row => true,
            TupleAt::Quote | TupleAt::Escaped => self.quote == b'\'',
            TupleAt::Open | TupleAt::Closed | TupleAt::Tail => false,
        };
        is_tuple && self.depth == 1 && self.rules.family == Some(SqlFamily::MySql)
    }

    /// Walks through whole blocks of plain text, up to a byte that the walk by bytes has to judge.
    fn in_blocks(&mut self, chunk: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(block) = chunk.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            let mut quotes = marks(block, b"'");
            let mut is_escaped = self.at == TupleAt::Escaped;
            if is_escaped || block.iter().fold(false, |found, byte| found | (*byte == b'\\')) {
                quotes &= !escaped(marks(block, b"\\"), &mut is_escaped);
            }
            let starts_inside = self.at != TupleAt::Row;
            let inside = inside(quotes) ^ if starts_inside { u64::MAX } else { 0 };
            // As `open` would leave it.
            (self.quote, self.backslash) = (b'\'', Backslash::Escape);
            let mut found = marks(block, b"\"`();-*#$\\") & !inside;
            while found != 0 {
                let bit = found.trailing_zeros() as usize % BLOCK;
                found &= found - 1;
                match block[bit] {
                    b')' => {
                        self.rows += 1;
                        if block.get(bit + 1..bit + 3) != Some(b",(") {
                            self.at = TupleAt::Closed;
                            self.depth = 0;
                            return at + bit + 1;
                        }
                        // The parenthesis that opens the next tuple.
                        found &= found - 1;
                    }
                    b'-' if self.byte_before(chunk, at + bit, 1) != b'-' => {}
                    _ => {
                        self.at = TupleAt::Row;
                        return at + bit;
                    }
                }
            }
            self.at = match inside >> (BLOCK - 1) {
                0 => TupleAt::Row,
                _ if is_escaped => TupleAt::Escaped,
                _ => TupleAt::Quote,
            };
            at += BLOCK;
        }
        at
    }

    /// Walks to the next byte that matters in a tuple and acts on it.
    fn in_row(&mut self, chunk: &[u8], from: usize) -> Result<usize, (usize, OddTuple)> {
        let Some(len) = chunk[from..].iter().position(|&b| LOOK[b as usize]) else { return Ok(chunk.len()) };
        let i = from + len;
        match chunk[i] {
            b'(' => self.depth = self.depth.saturating_add(1),
            b')' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.rows += 1;
                    self.at = TupleAt::Closed;
                }
            }
            quote @ (b'\'' | b'"') => self.open(quote, chunk, i),
            b'`' if self.rules.family != Some(SqlFamily::Postgres) => self.open(b'`', chunk, i),
            b'-' if self.byte_before(chunk, i, 1) != b'-' => {}
            b'*' if self.byte_before(chunk, i, 1) != b'/' => {}
            b'-' | b'*' | b'#' => return Err((i, OddTuple::Why("a comment inside of a tuple"))),
            b';' => return Err((i, OddTuple::Why("a semicolon inside of a tuple"))),
            _ => return Err((i, OddTuple::Why("a byte inside of a tuple that no dump program writes"))),
        }
        Ok(i + 1)
    }

    fn open(&mut self, quote: u8, chunk: &[u8], i: usize) {
        // A quote right after a quote is a doubled one: the string goes on, with its E.
        if self.byte_before(chunk, i, 1) != quote || self.quote != quote {
            let e_prefix = matches!(self.byte_before(chunk, i, 1), b'E' | b'e')
                && !is_word(self.byte_before(chunk, i, 2))
                && quote == b'\'';
            self.backslash = self.rules.backslash(quote, e_prefix);
            self.quote = quote;
        }
        self.at = TupleAt::Quote;
    }

    fn in_string(&mut self, chunk: &[u8], from: usize) -> Result<usize, (usize, OddTuple)> {
        let rest = &chunk[from..];
        let found = match self.backslash {
            Backslash::Plain => find::<false>(rest, self.quote),
            Backslash::Escape | Backslash::Unsure => find::<true>(rest, self.quote),
        };
        let Some(len) = found else { return Ok(chunk.len()) };
        let i = from + len;
        if chunk[i] == self.quote {
            self.at = TupleAt::Row;
        } else if self.backslash == Backslash::Unsure {
            return Err((i, OddTuple::SqlFamily));
        } else {
            self.at = TupleAt::Escaped;
        }
        Ok(i + 1)
    }

    /// Whether the statement ends with `b`.
    fn in_tail(&mut self, b: u8) -> Result<bool, OddTuple> {
        let odd = OddTuple::Why("only ON CONFLICT DO NOTHING can follow the last tuple");
        match b {
            b';' => {
                if self.tail.trim_ascii_end() != TAIL {
                    return Err(odd);
                }
                return Ok(true);
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                if self.tail.last() != Some(&b' ') {
                    self.tail.push(b' ');
                }
            }
            _ => self.tail.push(b.to_ascii_uppercase()),
        }
        if self.tail.len() > TAIL.len() + 1 { Err(odd) } else { Ok(false) }
    }

    fn byte_before(&self, chunk: &[u8], i: usize, back: usize) -> u8 {
        match i.checked_sub(back) {
            Some(n) => chunk[n],
            None => self.before[(2 + i) - back],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(family: Option<SqlFamily>, text: &str, step: usize) -> Result<Option<(usize, u64)>, (usize, OddTuple)> {
        let mut scan = InsertScan::new(QuoteRules { family, std_strings: true });
        for (n, chunk) in text.as_bytes().chunks(step).enumerate() {
            match scan.scan(chunk, 0) {
                Ok(None) => {}
                Ok(Some(end)) => return Ok(Some((n * step + end, scan.rows()))),
                Err((i, odd)) => return Err((n * step + i, odd)),
            }
        }
        Ok(None)
    }

    fn ends_after(family: SqlFamily, text: &str, rows: u64) {
        for step in 1..=text.len() {
            assert_eq!(run(Some(family), text, step), Ok(Some((text.len(), rows))), "{text} by {step}");
        }
    }

    #[test]
    fn tuples_are_counted_in_any_chunks() {
        ends_after(SqlFamily::MySql, r#" (1,'a\'),(',0xff,_binary '\\'),("x\"),(",b'1'),((2),'a''),(');"#, 3);
        ends_after(SqlFamily::MySql, "\n(1,-2),\r\n\t(3,NULL);", 2);
        ends_after(SqlFamily::Postgres, r" (1, '\', '(', E'\'),(', DATE'\', E'a''\'' , B'01');", 1);
        ends_after(SqlFamily::Postgres, " (1,'a'::\"x'y\") on  conflict\ndo nothing ;", 1);
    }

    #[test]
    fn odd_places_are_named() {
        let why = |text: &str| match run(Some(SqlFamily::MySql), text, 3) {
            Err((i, OddTuple::Why(why))) => (i, why),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(why(" 1").0, 1);
        assert_eq!(why(" (1) x").0, 5);
        assert_eq!(why(" (1;").1, "a semicolon inside of a tuple");
        for comment in ["(1 -- it's", "(1 /* it's", "(1 # it's"] {
            assert_eq!(why(comment).1, "a comment inside of a tuple");
        }
        assert!(why("(1) ON DUPLICATE KEY UPDATE a=VALUES(a);").1.starts_with("only ON CONFLICT"));
    }

    #[test]
    fn unknown_family_faults_only_at_a_backslash() {
        assert_eq!(run(None, "('a''b');", 2), Ok(Some((9, 1))));
        assert_eq!(run(None, r"('a\');", 2), Err((3, OddTuple::SqlFamily)));
    }

    proptest! {
        /// In chunks of one byte no block is whole.
        #[test]
        fn blocks_give_what_the_walk_by_bytes_gives(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "(1,", "'a'", "'it''s'", r"'it\'s'", r"'\\'", r"\", "'),('", "),(", ")", ",(", "(", ",", "-1", "--", "/*",
                    "#", "\"a'\"", "`", ";", "NULL", "0123456789", "'é'", "now()", " ", "'",
                ]),
                0..60,
            ),
            filler in 0..70_usize,
        ) {
            let text = format!("('{}'),(1,{})", "x".repeat(filler), parts.concat());
            let by_bytes = run(Some(SqlFamily::MySql), &text, 1);
            for step in [text.len(), 64, 65, 100] {
                prop_assert_eq!(run(Some(SqlFamily::MySql), &text, step), by_bytes, "{}", text);
            }
        }
    }

    #[test]
    fn cut_statement_does_not_end() {
        let text = r"(1,'\'),('),(2)";
        for len in 0..text.len() {
            assert_eq!(run(Some(SqlFamily::MySql), &text[..len], 4), Ok(None));
        }
    }
}
