//! The steps of [`InsertSplitter`] through its bytes: statement, row, values, what follows a row.
//!
//! A step that lacks bytes changes nothing but how far they were looked at, and is taken again with more of them.
//! Places where parsing can begin anew are noted in `resume`; no step goes back before the last of them.

use std::borrow::Cow;

use super::{Head, InsertSplitter, MAX_BATCH, SplitStop, SplitterState};
use crate::snapshot::dump::inserts::anew::write;
use crate::snapshot::dump::inserts::fault::{InsertHalt, MAX_COLUMNS, WrongInsert, shown, wrong};
use crate::snapshot::dump::inserts::heads::{AfterRow, HeadCursor, HeadStatement};
use crate::snapshot::dump::inserts::records::{BARE, InsertSpan, QUOTED, RAW};
use crate::snapshot::dump::inserts::values::{OpenValue, ValueForm, skip_blanks, value};

impl InsertSplitter {
    /// Until the bytes end or the batch is full. What is understood is behind `at`.
    pub(super) fn parse<const MYSQL: bool>(&mut self, rows: usize) -> Result<SplitStop, WrongInsert> {
        loop {
            let step = match self.state {
                SplitterState::HeadStatement if self.rows > 0 && self.at >= MAX_BATCH => return Ok(SplitStop::Full),
                SplitterState::HeadStatement => self.statement::<MYSQL>(),
                SplitterState::Row => self.open_row::<MYSQL>(),
                SplitterState::Values => self.values::<MYSQL>(rows),
                SplitterState::AfterRow => self.after_row::<MYSQL>(),
            };
            match step {
                Ok(()) if self.state == SplitterState::AfterRow && (self.rows >= rows || self.at >= MAX_BATCH) => {
                    return Ok(SplitStop::Full);
                }
                Ok(()) => {}
                Err(InsertHalt::More) => return Ok(SplitStop::More),
                Err(InsertHalt::Wrong(wrong)) => return Err(*wrong),
            }
        }
    }

    fn statement<const MYSQL: bool>(&mut self) -> Result<(), InsertHalt> {
        let mut cursor = HeadCursor::<MYSQL> { bytes: &self.bytes, at: self.at };
        while cursor.blank()? {
            self.at = cursor.at;
        }
        self.resume = (self.at, SplitterState::HeadStatement);
        let rest = &self.bytes[self.at..];
        let length = self.head_bytes.len();
        if length > 0 && rest.starts_with(&self.head_bytes) && matches!(rest.get(length), Some(b' ' | b'\n' | b'(')) {
            self.at += length;
            self.state = SplitterState::Row;
            return Ok(());
        }
        match cursor.statement()? {
            HeadStatement::Skipped => {}
            HeadStatement::Insert { table, names } => {
                let found = (table, names);
                match &self.head {
                    Some(head) if *head == found => {}
                    Some(head) => return wrong(self.at, difference(head, &found)),
                    None => {
                        let count = found.1.as_ref().map_or(self.columns, Vec::len);
                        if self.columns != 0 && self.columns != count {
                            let reason =
                                format!("the column list has {}, expected are {}", names_of(count), self.columns);
                            return wrong(self.at, reason);
                        }
                        self.columns = count;
                        self.head = Some(found);
                    }
                }
                self.state = SplitterState::Row;
                self.head_bytes.clear();
                self.head_bytes.extend_from_slice(self.bytes[self.at..cursor.at].trim_ascii_end());
            }
        }
        self.at = cursor.at;
        Ok(())
    }

    fn open_row<const MYSQL: bool>(&mut self) -> Result<(), InsertHalt> {
        let mut cursor = HeadCursor::<MYSQL> { bytes: &self.bytes, at: self.at };
        while cursor.blank()? {
            self.at = cursor.at;
        }
        match self.bytes.get(self.at) {
            Some(b'(') => {
                self.at += 1;
                self.state = SplitterState::Values;
                Ok(())
            }
            Some(_) => wrong(self.at, format!("'{}' where a row should begin", shown(&self.bytes, self.at))),
            None => Err(InsertHalt::More),
        }
    }

    fn after_row<const MYSQL: bool>(&mut self) -> Result<(), InsertHalt> {
        // What mysqldump writes between rows.
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let opened = if rest.starts_with(b",(") { 2 } else { usize::from(rest.starts_with(b",\n(")) * 3 };
        if opened > 0 {
            self.at += opened;
            self.state = SplitterState::Values;
            return Ok(());
        }
        let mut cursor = HeadCursor::<MYSQL> { bytes: &self.bytes, at: self.at };
        let after = cursor.after()?;
        self.at = cursor.at;
        self.state = SplitterState::Row;
        if after == AfterRow::End {
            self.state = SplitterState::HeadStatement;
            self.resume = (self.at, SplitterState::HeadStatement);
        }
        Ok(())
    }

    /// The values of a row, from the next on, and those of plain rows after it.
    fn values<const MYSQL: bool>(&mut self, rows: usize) -> Result<(), InsertHalt> {
        loop {
            if self.open.scanned == 0 && self.plain_values::<MYSQL>(rows)? {
                return Ok(());
            }
            self.any_value::<MYSQL>()?;
            if self.bytes.get(self.at) == Some(&b')') {
                return self.complete_row();
            }
            self.at += 1;
        }
    }

    /// Values that a row may have; those before are of complete rows.
    pub(super) fn most_spans(&self) -> usize {
        self.complete + if self.columns > 0 { self.columns } else { MAX_COLUMNS }
    }

    /// One value, however it is written.
    fn any_value<const MYSQL: bool>(&mut self) -> Result<(), InsertHalt> {
        let most = self.most_spans();
        let Self { bytes, anew, spans, replaced, open, has_odd_values, .. } = self;
        let bytes = bytes.as_slice();
        self.at = skip_blanks(bytes, self.at);
        let value = value::<MYSQL>(bytes, self.at, open)?;
        *open = OpenValue::default();
        if spans.len() >= most {
            return wrong(value.start, format!("the row has more than {} values", most - self.complete));
        }
        let span = match value.how {
            ValueForm::Text => InsertSpan::of(value.start, value.end, QUOTED),
            ValueForm::Bare => {
                *has_odd_values |= bytes[value.start].is_ascii_alphabetic();
                InsertSpan::of(value.start, value.end, BARE)
            }
            ValueForm::Null => InsertSpan::NULL,
            how => {
                let span = write(bytes, value, anew)?;
                *has_odd_values |= span.kind() != QUOTED;
                if span.kind() == RAW || matches!(how, ValueForm::Binary(_)) {
                    replaced.push((value.start, value.end));
                }
                span
            }
        };
        spans.push(span);
        self.at = value.next;
        Ok(())
    }

    /// Ends the row at its parenthesis.
    pub(super) fn complete_row(&mut self) -> Result<(), InsertHalt> {
        let count = self.spans.len() - self.complete;
        if self.columns != count && self.columns != 0 {
            let reason = format!("the row has {count} value{}, expected are {}", plural(count), self.columns);
            return wrong(self.at, reason);
        }
        self.columns = count;
        self.at += 1;
        if self.at - self.resume.0 > self.limit {
            return self.too_long();
        }
        // What is written anew as digits need not be UTF-8 where it was.
        for (start, end) in self.replaced.drain(..) {
            self.bytes[start..end].fill(b' ');
        }
        self.complete = self.spans.len();
        self.rows += 1;
        self.end = self.at;
        self.state = SplitterState::AfterRow;
        self.resume = (self.at, SplitterState::AfterRow);
        Ok(())
    }

    #[cold]
    fn too_long(&self) -> Result<(), InsertHalt> {
        wrong(self.resume.0, format!("a record begins here that does not end within {} bytes", self.limit))
    }
}

#[cold]
fn difference(first: &Head, other: &Head) -> String {
    if first.0 != other.0 {
        return format!("an INSERT of '{}' among those of '{}'", other.0.join("."), first.0.join("."));
    }
    let list = |head: &Head| match &head.1 {
        Some(names) => Cow::Owned(format!("the column list ({})", names.join(", "))),
        None => Cow::Borrowed("no column list"),
    };
    format!("an INSERT with {}, where those before have {}", list(other), list(first))
}

fn names_of(count: usize) -> String {
    format!("{count} name{}", plural(count))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use crate::snapshot::dump::SqlFamily;
    use crate::snapshot::dump::inserts::rows_tests::{Owned, TestRows, read};

    fn mysql(input: &str) -> Result<TestRows, String> {
        read(SqlFamily::MySql, 0, input.as_bytes()).map_err(|fault| fault.to_string())
    }

    fn quoted(text: &str) -> Owned {
        Owned::Quoted(text.to_owned())
    }

    fn bare(text: &str) -> Owned {
        Owned::Bare(text.to_owned())
    }

    #[test]
    fn values_of_bytes_bits_and_charsets() {
        let rows =
            mysql("INSERT INTO t VALUES (0x00FF,x'aB',_binary 'it\\'s',b'0101',_utf8mb4 0xC3A9,_utf8 0xff,'\0')");
        assert!(rows.unwrap_err().contains("has no semicolon"));
        let rows =
            mysql("INSERT INTO t VALUES (0x00FF,x'aB',_binary 'it\\'s',b'0101',_utf8mb4 0xC3A9,_utf8 0xff,'\0');");
        let bytes = |text: &str| Owned::Bytes(text.to_owned());
        let expected = vec![
            bytes(r"\x00ff"),
            bytes(r"\xab"),
            bytes(r"\x69742773"),
            bare("5"),
            quoted("é"),
            Owned::Raw(r"\xff".to_owned()),
            quoted("\0"),
        ];
        assert_eq!(rows.unwrap(), [expected]);
        let rows = read(SqlFamily::Postgres, 3, br"INSERT INTO t VALUES (B'0101', E'a\n''b\xff', '\x00ff');").unwrap();
        assert_eq!(rows, [[quoted("0101"), Owned::Raw(r"\x610a2762ff".to_owned()), quoted(r"\x00ff")]]);
    }

    #[test]
    fn faults_name_the_row_or_the_byte() {
        for (input, expected) in [
            (
                "INSERT INTO t VALUES (1,2),(1);",
                "row 2 of the INSERT statements, at their byte 29: the row has 1 value, ex",
            ),
            (
                "INSERT INTO t VALUES (1),(1,2);",
                "row 2 of the INSERT statements, at their byte 28: the row has more than 1",
            ),
            (
                "INSERT INTO t (a) VALUES (1,2);",
                "row 1 of the INSERT statements, at their byte 28: the row has more than 1",
            ),
            ("INSERT INTO t VALUES (1),x(2);", "byte 25 of the INSERT statements: 'x(2);' where a row should begin"),
            ("INSERT INTO t VALUES (1)(2);", "byte 24 of the INSERT statements: '(2);' follows a row"),
            ("INSERT INTO t VALUES (1),;", "byte 25 of the INSERT statements: ';' where a row"),
            ("INSERT INTO t VALUES (1),(", "row 2 of the INSERT statements, at their byte 26: the input ends in a row"),
            ("INSERT INTO t VALUES ('a\\'", "byte 22: the input ends in a quoted value, which begins here"),
            (
                "INSERT INTO t VALUES (1),",
                "byte 25 of the INSERT statements: the input ends in an INSERT, which has no",
            ),
            ("INSERT INTO t VAL", "byte 0 of the INSERT statements: the input ends in a statement, 'INSERT INTO t VA'"),
            ("/* x ", "byte 0 of the INSERT statements: the input ends in a statement"),
            ("INSERT INTO t VALUES (1);INSERT INTO u VALUES (1);", "an INSERT of 'u' among those of 't'"),
            (
                "INSERT INTO t(a) VALUES (1);INSERT INTO t(b) VALUES (1);",
                "the column list (b), where those before have the co",
            ),
            (
                "INSERT INTO t(a) VALUES (1);INSERT INTO t VALUES (1);",
                "no column list, where those before have the column",
            ),
            (
                "INSERT INTO t VALUES (1); SET NAMES latin1;",
                "byte 26 of the INSERT statements: the dump is of the character",
            ),
            ("INSERT INTO t VALUES (0xfg);", "row 1 of the INSERT statements, at their byte 25: 'g);' follows"),
            ("INSERT INTO t VALUES (x'0g');", "byte 25: a value of bytes is of hexadecimal digits"),
            ("INSERT INTO t VALUES ();", "row 1 of the INSERT statements, at their byte 22: a value begins with ')"),
            ("INSERT INTO t VALUES (1,);", "a value begins with ')"),
        ] {
            let error = mysql(input).unwrap_err();
            assert!(error.contains(expected), "{input}: {error}");
        }
        let error = read(SqlFamily::MySql, 3, b"INSERT INTO t (a, b) VALUES (1, 2);").unwrap_err().to_string();
        assert!(error.contains("the column list has 2 names, expected are 3"), "{error}");
    }
}
