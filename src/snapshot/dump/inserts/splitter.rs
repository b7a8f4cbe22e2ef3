//! The rows of consecutive INSERT statements of one table, as spans into text, one batch after the other.
//!
//! ```text
//! INSERT INTO `t` VALUES (1,'it\'s',NULL),(2,'é',0xff);
//!                         ^  ^^^^^  -----  ^  ^  ^^^^    two rows of three values
//! ```
//!
//! [`InsertSplitter`] takes bytes in chunks of any size, keeps those of a batch as they came, and notes two positions
//! per value. Only values with escapes, and bytes, are written anew into a second buffer. A quoted value that is not
//! UTF-8 is given as `InsertField::Raw`: mysqldump without `--hex-blob` writes bytes so, and a text column must
//! refuse it.
//!
//! It knows no types: bits in plain quotes are a text of odd characters, and text that mydumper wrote in another
//! character set than UTF-8 is Raw, or, if its bytes happen to be UTF-8, Quoted. Nor does it see that statements at
//! the end of a file are lacking; only one that is cut is a fault ([`InsertSplitter::end`]).
//!
//! The first thing that breaks a rule is an [`InsertFault`], then and in every later call; the rows before it can
//! still be read. Memory is that of a batch of 32 MiB and one record, up to three times if all are bytes; a longer
//! record is a fault.

mod parse;
mod plain;

use crate::snapshot::dump::SqlFamily;
use crate::snapshot::dump::inserts::anew::write_raw;
use crate::snapshot::dump::inserts::fault::{InsertFault, MAX_TOKEN, WrongInsert, shown};
use crate::snapshot::dump::inserts::heads::HeadCursor;
use crate::snapshot::dump::inserts::records::{InsertRecords, InsertSpan};
use crate::snapshot::dump::inserts::values::OpenValue;

/// Bytes that a batch may have, but for its last record.
const MAX_BATCH: usize = 32 << 20;

/// Bytes that are copied at once: those after the end of a batch are copied for nothing.
const PIECE: usize = 128 << 10;

/// A record is never longer, so that all positions fit 30 bits, also those of bytes as hexadecimal digits.
const MAX_RECORD: usize = 400 << 20;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SplitterState {
    HeadStatement,
    /// A parenthesis opens the next row.
    Row,
    /// In a row, before a value.
    Values,
    AfterRow,
}

/// Why parsing stopped without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SplitStop {
    More,
    Full,
}

/// Splits the rows of one table.
#[derive(Debug)]
pub(crate) struct InsertSplitter {
    dialect: SqlFamily,
    /// 0 before the first column list or row is complete, if it was not given.
    columns: usize,
    limit: usize,
    /// The bytes of the batch, and of what is not complete.
    bytes: Vec<u8>,
    anew: Vec<u8>,
    /// The values of all columns, row by row.
    spans: Vec<InsertSpan>,
    /// Where bytes of the row that were written anew are in `bytes`.
    replaced: Vec<(usize, usize)>,
    /// The next byte that is not understood yet, and how far it was looked at from there.
    at: usize,
    state: SplitterState,
    open: OpenValue,
    /// How many spans and rows are of complete records, and where the last of them ends.
    complete: usize,
    rows: usize,
    end: usize,
    /// A value of the batch is bytes or a word.
    has_odd_values: bool,
    /// Parsing can begin anew here: after a row, or before a statement.
    resume: (usize, SplitterState),
    /// Of the first INSERT, and how the last one wrote it.
    head: Option<Head>,
    head_bytes: Vec<u8>,
    /// Before this batch.
    offset: u64,
    rows_before: u64,
    fault: Option<InsertFault>,
}

impl InsertSplitter {
    /// With 0 columns a row has as many as the column list, or as the first row. A record has at most `limit` bytes.
    pub(crate) fn new(dialect: SqlFamily, columns: usize, limit: usize) -> Self {
        Self {
            dialect,
            columns,
            limit: limit.min(MAX_RECORD),
            bytes: Vec::new(),
            anew: Vec::new(),
            spans: Vec::new(),
            replaced: Vec::new(),
            at: 0,
            state: SplitterState::HeadStatement,
            open: OpenValue::default(),
            complete: 0,
            rows: 0,
            end: 0,
            has_odd_values: false,
            resume: (0, SplitterState::HeadStatement),
            head: None,
            head_bytes: Vec::new(),
            offset: 0,
            rows_before: 0,
            fault: None,
        }
    }

    /// Complete rows of the batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[cfg(test)]
    /// Values of each row; 0 before it is known.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Whether the batch should not grow: it has `rows` rows, or many bytes.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.rows > 0 && (self.rows >= rows || self.end >= MAX_BATCH || self.at >= MAX_BATCH)
    }

    #[cfg(test)]
    /// The column list of the INSERTs; None if they have none, or before the first.
    pub(crate) fn names(&self) -> Option<&[String]> {
        self.head.as_ref()?.1.as_deref()
    }

    /// Takes in bytes and says how many; fewer than all when a batch of `rows` is full.
    pub(crate) fn push(&mut self, chunk: &[u8], rows: usize) -> Result<usize, InsertFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut taken = 0;
        for piece in chunk.chunks(PIECE) {
            if self.is_full(rows) {
                break;
            }
            let before = self.bytes.len();
            self.bytes.extend_from_slice(piece);
            let stop = match self.dialect {
                SqlFamily::MySql => self.parse::<true>(rows),
                SqlFamily::Postgres => self.parse::<false>(rows),
            };
            match stop.and_then(|stop| self.check_lengths().map(|()| stop)) {
                Ok(SplitStop::More) => taken += piece.len(),
                Ok(SplitStop::Full) => {
                    // What was there before is taken already, also if the batch ends in it.
                    let end = self.at.max(before);
                    self.bytes.truncate(end);
                    return Ok(taken + end - before);
                }
                Err(found) => return Err(self.fail(found)),
            }
            if self.rows == 0 && self.state == SplitterState::HeadStatement && self.resume.0 >= PIECE {
                self.forget(self.resume);
            }
        }
        Ok(taken)
    }

    /// Ends the input: after the last semicolon only blanks and comments may stand.
    pub(crate) fn end(&mut self) -> Result<(), InsertFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        // After a batch was forgotten, what is not complete is understood only now.
        let parsed = match self.dialect {
            SqlFamily::MySql => self.parse::<true>(usize::MAX),
            SqlFamily::Postgres => self.parse::<false>(usize::MAX),
        };
        if let Err(found) = parsed {
            return Err(self.fail(found));
        }
        let (at, length) = (self.at, self.bytes.len());
        let found = match self.state {
            SplitterState::HeadStatement => {
                // A last comment may lack its line end.
                self.bytes.push(b'\n');
                let is_blank = match self.dialect {
                    SqlFamily::MySql => is_blank::<true>(&self.bytes[at..]),
                    SqlFamily::Postgres => is_blank::<false>(&self.bytes[at..]),
                };
                self.bytes.truncate(length);
                if is_blank {
                    return Ok(());
                }
                format!("the input ends in a statement, '{}'", shown(&self.bytes, at))
            }
            SplitterState::Values if matches!(self.bytes.get(at), Some(b'\'' | b'"')) => {
                "the input ends in a quoted value, which begins here".to_owned()
            }
            SplitterState::Values => "the input ends in a row".to_owned(),
            SplitterState::Row | SplitterState::AfterRow => {
                "the input ends in an INSERT, which has no semicolon".to_owned()
            }
        };
        Err(self.fail(WrongInsert { at, reason: found }))
    }

    /// What is not complete may have `limit` bytes, and less if it is no row.
    fn check_lengths(&self) -> Result<(), WrongInsert> {
        let at = match self.state {
            SplitterState::Values => self.resume.0,
            _ => self.at,
        };
        let length = self.bytes.len() - at;
        if self.state == SplitterState::Values && length > self.limit {
            let reason = format!("a record begins here that does not end within {} bytes", self.limit);
            return Err(WrongInsert { at, reason });
        }
        if self.state != SplitterState::Values && length > MAX_TOKEN.max(PIECE) + PIECE {
            return Err(WrongInsert { at, reason: "a comment or statement begins here that is too long".to_owned() });
        }
        Ok(())
    }

    /// The complete rows.
    pub(crate) fn records(&mut self) -> Result<InsertRecords<'_>, InsertFault> {
        let Self { bytes, anew, spans, complete, end, .. } = self;
        let before = anew.len();
        let has_room = write_raw(&mut bytes[..*end], anew, &mut spans[..*complete]);
        self.has_odd_values |= self.anew.len() > before;
        // Both are UTF-8 by now.
        let (text, anew) = (std::str::from_utf8(&self.bytes[..self.end]), std::str::from_utf8(&self.anew));
        let (Ok(text), Ok(anew), true) = (text, anew, has_room) else {
            let reason = "a batch has too many bytes that are not UTF-8".to_owned();
            return Err(InsertFault::Statement { offset: self.offset, reason });
        };
        let spans = &self.spans[..self.complete];
        Ok(InsertRecords { text, anew, spans, columns: self.columns, has_odd_values: self.has_odd_values })
    }

    /// Forgets the complete rows.
    pub(crate) fn clear(&mut self) {
        if self.rows > 0 {
            self.forget(self.resume);
        }
    }

    /// Forgets what is before a place, and begins there anew.
    fn forget(&mut self, (at, state): (usize, SplitterState)) {
        self.bytes.drain(..at);
        self.offset += at as u64;
        self.rows_before += self.rows as u64;
        self.anew.clear();
        self.spans.clear();
        self.replaced.clear();
        (self.at, self.state, self.open) = (0, state, OpenValue::default());
        (self.complete, self.rows, self.end) = (0, 0, 0);
        self.has_odd_values = false;
        self.resume = (0, state);
    }

    /// Notes what is wrong; only the complete rows are kept.
    #[cold]
    fn fail(&mut self, wrong: WrongInsert) -> InsertFault {
        let WrongInsert { at, reason } = wrong;
        let offset = self.offset + at as u64;
        let fault = match self.state {
            SplitterState::Values => InsertFault::Row { row: self.rows_before + self.rows as u64 + 1, offset, reason },
            _ => InsertFault::Statement { offset, reason },
        };
        self.bytes.truncate(self.end);
        self.spans.truncate(self.complete);
        self.replaced.clear();
        (self.at, self.state, self.resume) = (self.end, SplitterState::AfterRow, (self.end, SplitterState::AfterRow));
        self.fault = Some(fault.clone());
        fault
    }
}

/// Whether only blanks and comments are left.
fn is_blank<const MYSQL: bool>(bytes: &[u8]) -> bool {
    let mut cursor = HeadCursor::<MYSQL> { bytes, at: 0 };
    while cursor.blank() == Ok(true) {}
    cursor.at == bytes.len()
}

/// The table of an INSERT, and its column list.
type Head = (Vec<String>, Option<Vec<String>>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::dump::inserts::rows_tests::{Owned, rows_of};

    fn quoted(text: &str) -> Owned {
        Owned::Quoted(text.to_owned())
    }

    fn bare(text: &str) -> Owned {
        Owned::Bare(text.to_owned())
    }

    #[test]
    fn rows_of_several_statements_are_one_stream() {
        let input = b"/*!40101 SET NAMES utf8mb4 */;\n-- one\n\
            INSERT INTO `t` (`a`,`b`) VALUES (1,'it\\'s'),\n(2,NULL);\n\
            LOCK TABLES `t` WRITE;\nINSERT INTO `t` (`a`,`b`) VALUES (3,_binary '\\0\xff'),\
            (4,'\xff\\n'),(5,'\xfe');\n-- end";
        let hex = |text: &str| text.to_owned();
        let expected = vec![
            vec![bare("1"), quoted("it's")],
            vec![bare("2"), Owned::Null],
            vec![bare("3"), Owned::Bytes(hex(r"\x00ff"))],
            vec![bare("4"), Owned::Raw(hex(r"\xff0a"))],
            vec![bare("5"), Owned::Raw(hex(r"\xfe"))],
        ];
        for batch in [1, 2, 3, 100] {
            for size in [1, 2, 3, 50, 1000] {
                let mut splitter = InsertSplitter::new(SqlFamily::MySql, 2, 1000);
                let (rows, ended) = rows_of(&mut splitter, input, &[size], batch);
                assert_eq!((rows, ended), (expected.clone(), Ok(())), "{batch} {size}");
                assert_eq!(splitter.names().unwrap(), ["a", "b"]);
            }
        }
    }

    #[test]
    fn rows_before_a_fault_can_be_read_and_the_fault_stays() {
        let mut splitter = InsertSplitter::new(SqlFamily::MySql, 1, 1000);
        let input = b"INSERT INTO t VALUES ('a\\'\xff'),('\xff'),(x'0g'),('c');";
        let fault = splitter.push(input, 100).unwrap_err();
        assert_eq!(splitter.push(b"more", 100), Err(fault.clone()));
        let records = splitter.records().unwrap();
        let found: Vec<Owned> = records.column(0).map(Owned::from).collect();
        assert_eq!(found, [Owned::Raw(r"\x6127ff".to_owned()), Owned::Raw(r"\xff".to_owned())]);
        splitter.clear();
        assert_eq!((splitter.rows(), splitter.end()), (0, Err(fault)));
    }

    #[test]
    fn a_record_longer_than_the_limit_is_a_fault_soon() {
        for value in [format!("'{}'", "a".repeat(600_000)), format!("0x{}", "0".repeat(600_000)), "1,".repeat(300_000)]
        {
            let mut splitter = InsertSplitter::new(SqlFamily::MySql, 0, 1000);
            let fault = splitter.push(format!("INSERT INTO t VALUES (1,{value}").as_bytes(), 10).unwrap_err();
            assert!(fault.to_string().contains("does not end within 1000 bytes") || value.len() == 600_000, "{fault}");
            assert!(splitter.bytes.capacity() < 4 * PIECE);
        }
        let (_, ended) = rows_of(
            &mut InsertSplitter::new(SqlFamily::MySql, 0, 30),
            b"INSERT INTO t VALUES ('aaaaaaaaaaaaaaaaa');",
            &[100],
            10,
        );
        assert!(ended.unwrap_err().to_string().contains("does not end within 30 bytes"));
    }

    #[test]
    fn statements_without_rows_take_no_memory_and_endless_ones_are_faults() {
        let mut splitter = InsertSplitter::new(SqlFamily::MySql, 1, 1000);
        for _ in 0..200 {
            let input = b"-- a comment\n".repeat(10_000);
            assert_eq!(splitter.push(&input, 10), Ok(input.len()));
        }
        assert!(splitter.bytes.len() < 2 * PIECE);
        for begin in ["/* ", "SET x = '", "INSERT INTO `", "INSERT INTO t VALUES (1) /* "] {
            let mut splitter = InsertSplitter::new(SqlFamily::MySql, 1, 1 << 30);
            assert!(splitter.push(begin.as_bytes(), 10).is_ok());
            let fault = (0..100).find_map(|_| splitter.push(&[b'x'; PIECE], 10).err()).unwrap();
            assert!(fault.to_string().contains("begins here that is too long"), "{fault}");
        }
    }

    #[test]
    fn a_batch_ends_by_its_bytes_too() {
        let row = format!("INSERT INTO t VALUES ('{}');\n", "x".repeat(1 << 20));
        let mut splitter = InsertSplitter::new(SqlFamily::MySql, 1, 2 << 20);
        let mut pushed = 0;
        while !splitter.is_full(1000) {
            let mut rest = row.as_bytes();
            while !rest.is_empty() && !splitter.is_full(1000) {
                rest = &rest[splitter.push(rest, 1000).unwrap()..];
            }
            pushed += 1;
        }
        assert_eq!((splitter.rows(), pushed), (32, 32));
        assert_eq!(splitter.push(b"x", 1000), Ok(0));
    }
}
