//! What stands around the rows: comments, statements that are skipped, the head of an INSERT and its end.
//!
//! ```text
//! INSERT INTO `shop`.`t` (`a`, `b`) VALUES (..),(..);
//! ----------------------------------------        --  the head, and the end
//! ```
//!
//! A head is read as a whole, so its bytes are looked at anew when more of them come; they are few, and `MAX_TOKEN`
//! bounds them. What is not known here is wrong: an INSERT of a SELECT, `ON DUPLICATE KEY UPDATE`, an executable
//! comment that holds a statement with rows.

use memchr::memmem;

use crate::snapshot::dump::inserts::fault::{InsertHalt, MAX_COLUMNS, shown, wrong};
use crate::snapshot::dump::inserts::settings::objection;

/// Reads forward in bytes that may end anywhere.
pub(crate) struct HeadCursor<'b, const MYSQL: bool> {
    pub(crate) bytes: &'b [u8],
    pub(crate) at: usize,
}

/// What a statement is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeadStatement {
    /// It has no rows.
    Skipped,
    /// The rows of a table follow; the names are those of its column list.
    Insert { table: Vec<String>, names: Option<Vec<String>> },
}

/// What follows a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterRow {
    Comma,
    End,
}

impl<const MYSQL: bool> HeadCursor<'_, MYSQL> {
    fn peek(&self) -> Result<u8, InsertHalt> {
        self.bytes.get(self.at).copied().ok_or(InsertHalt::More)
    }

    fn starts_with(&self, text: &[u8]) -> Result<bool, InsertHalt> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.len() < text.len() && text.starts_with(rest) {
            true => Err(InsertHalt::More),
            false => Ok(rest.starts_with(text)),
        }
    }

    /// Skips one run of blanks or one comment, and says whether there was one.
    pub(crate) fn blank(&mut self) -> Result<bool, InsertHalt> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first() {
            Some(b' ' | b'\n' | b'\t' | b'\r') => {
                self.at = crate::snapshot::dump::inserts::values::skip_blanks(self.bytes, self.at);
                return Ok(true);
            }
            Some(b'#') if MYSQL => {}
            Some(b'/') if self.starts_with(b"/*")? => {
                if MYSQL && (self.starts_with(b"/*!")? || self.starts_with(b"/*M!")?) {
                    return Ok(false);
                }
                self.at = self.comment_end()?;
                return Ok(true);
            }
            // In MySQL `--` needs a blank after it.
            Some(b'-') if self.starts_with(b"--")? => {
                if MYSQL && !rest.get(2).ok_or(InsertHalt::More)?.is_ascii_whitespace() {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
        self.at += memchr::memchr(b'\n', rest).ok_or(InsertHalt::More)? + 1;
        Ok(true)
    }

    fn blanks(&mut self) -> Result<(), InsertHalt> {
        while self.blank()? {}
        Ok(())
    }

    /// After the `*/` of the comment here. Those of PostgreSQL hold others.
    fn comment_end(&self) -> Result<usize, InsertHalt> {
        let mut at = self.at + 2;
        let mut depth = 1;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let end = memmem::find(rest, b"*/").ok_or(InsertHalt::More)?;
            let begin = if MYSQL { None } else { memmem::find(&rest[..end], b"/*") };
            match begin {
                Some(begin) => {
                    depth += 1;
                    at += begin + 2;
                }
                None => {
                    depth -= 1;
                    at += end + 2;
                }
            }
            if depth == 0 {
                return Ok(at);
            }
        }
    }

    /// The statement here, as far as its rows.
    pub(crate) fn statement(&mut self) -> Result<HeadStatement, InsertHalt> {
        let start = self.at;
        if self.peek()? == b';' {
            self.at += 1;
            return Ok(HeadStatement::Skipped);
        }
        if self.peek()? == b'/' {
            return self.executable_comment();
        }
        let word = self.word()?;
        match word.to_ascii_uppercase().as_str() {
            "INSERT" => self.insert(),
            "REPLACE" if MYSQL => self.insert(),
            "" => wrong(start, format!("'{}' is not a statement", shown(self.bytes, start))),
            _ => {
                let end = self.statement_end()?;
                match objection::<MYSQL>(&self.bytes[start..end]) {
                    Some(reason) => wrong(start, reason),
                    None => {
                        self.at = end + 1;
                        Ok(HeadStatement::Skipped)
                    }
                }
            }
        }
    }

    /// `/*!40000 ALTER TABLE .. */`: the server reads what is in it.
    fn executable_comment(&mut self) -> Result<HeadStatement, InsertHalt> {
        let start = self.at;
        let prefix = if self.starts_with(b"/*!")? { 3 } else { 4 };
        if !self.starts_with(b"/*")? {
            return wrong(start, format!("'{}' is not a statement", shown(self.bytes, start)));
        }
        let end = self.comment_end()?;
        let inner = self.bytes.get(start + prefix..end - 2).unwrap_or_default();
        let digits = inner.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let inner = &inner[digits..];
        // MariaDB's first line keeps old clients from reading on.
        let has_statement = !inner.trim_ascii().is_empty() && !inner.starts_with(b"\\-");
        if let Some(reason) = has_statement.then(|| objection::<MYSQL>(inner)).flatten() {
            return wrong(start, reason);
        }
        self.at = end;
        Ok(HeadStatement::Skipped)
    }

    /// Where the semicolon is that ends the statement.
    fn statement_end(&self) -> Result<usize, InsertHalt> {
        let mut at = self.at;
        loop {
            match self.bytes.get(at).ok_or(InsertHalt::More)? {
                b';' => return Ok(at),
                quote @ (b'\'' | b'"' | b'`') => {
                    at += 1;
                    loop {
                        match self.bytes.get(at).ok_or(InsertHalt::More)? {
                            b'\\' if MYSQL && *quote != b'`' => at += 2,
                            byte if byte == quote => break,
                            _ => at += 1,
                        }
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// A word without quotes, perhaps empty.
    fn word(&mut self) -> Result<&str, InsertHalt> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80;
        let length = rest.iter().position(|byte| !is_part(byte)).ok_or(InsertHalt::More)?;
        self.at += length;
        match std::str::from_utf8(&rest[..length]) {
            Ok(word) => Ok(word),
            Err(_) => wrong(start, "a name that is not UTF-8"),
        }
    }

    /// The word here if it is the given one.
    fn keyword(&mut self, name: &str) -> Result<bool, InsertHalt> {
        let start = self.at;
        let is = self.word()?.eq_ignore_ascii_case(name);
        match is {
            true => self.blanks()?,
            false => self.at = start,
        }
        Ok(is)
    }

    fn require(&mut self, name: &str) -> Result<(), InsertHalt> {
        match self.keyword(name)? {
            true => Ok(()),
            false => wrong(self.at, format!("'{}' where {name} is expected", shown(self.bytes, self.at))),
        }
    }

    /// The rest of an INSERT up to its first row.
    fn insert(&mut self) -> Result<HeadStatement, InsertHalt> {
        self.blanks()?;
        while MYSQL
            && (self.keyword("IGNORE")?
                || self.keyword("DELAYED")?
                || self.keyword("LOW_PRIORITY")?
                || self.keyword("HIGH_PRIORITY")?)
        {}
        self.require("INTO")?;
        let mut table = vec![self.name()?];
        while self.peek()? == b'.' {
            self.at += 1;
            self.blanks()?;
            table.push(self.name()?);
        }
        let names = if self.peek()? == b'(' { Some(self.names()?) } else { None };
        if !MYSQL && self.keyword("OVERRIDING")? {
            if !self.keyword("SYSTEM")? {
                self.require("USER")?;
            }
            self.require("VALUE")?;
        }
        if !(MYSQL && self.keyword("VALUE")?) {
            self.require("VALUES")?;
        }
        Ok(HeadStatement::Insert { table, names })
    }

    /// The column list, and blanks after it.
    fn names(&mut self) -> Result<Vec<String>, InsertHalt> {
        let mut names = Vec::new();
        loop {
            self.at += 1;
            self.blanks()?;
            names.push(self.name()?);
            match self.peek()? {
                _ if names.len() > MAX_COLUMNS => return wrong(self.at, "the column list has too many names"),
                b',' => {}
                b')' => break,
                _ => return wrong(self.at, format!("'{}' in a column list", shown(self.bytes, self.at))),
            }
        }
        self.at += 1;
        self.blanks()?;
        Ok(names)
    }

    /// A name, and blanks after it. PostgreSQL's names without quotes are in lower case.
    fn name(&mut self) -> Result<String, InsertHalt> {
        let start = self.at;
        let name = match self.peek()? {
            quote @ b'"' => self.quoted_name(quote)?,
            quote @ b'`' if MYSQL => self.quoted_name(quote)?,
            _ if MYSQL => self.word()?.to_owned(),
            _ => self.word()?.to_ascii_lowercase(),
        };
        if name.is_empty() {
            return wrong(start, format!("'{}' where a name is expected", shown(self.bytes, start)));
        }
        self.blanks()?;
        Ok(name)
    }

    fn quoted_name(&mut self, quote: u8) -> Result<String, InsertHalt> {
        let start = self.at;
        let mut name = Vec::new();
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let length = memchr::memchr(quote, rest).ok_or(InsertHalt::More)?;
            name.extend_from_slice(&rest[..length]);
            self.at += length + 1;
            if self.peek()? != quote {
                break;
            }
            name.push(quote);
            self.at += 1;
        }
        String::from_utf8(name).or_else(|_| wrong(start, "a name that is not UTF-8"))
    }

    /// What follows a row, and its bytes. Only of PostgreSQL's clauses one is without effect on an empty table.
    pub(crate) fn after(&mut self) -> Result<AfterRow, InsertHalt> {
        self.blanks()?;
        let start = self.at;
        match self.peek()? {
            b',' => {
                self.at += 1;
                return Ok(AfterRow::Comma);
            }
            b';' => {
                self.at += 1;
                return Ok(AfterRow::End);
            }
            _ => {}
        }
        let known = !MYSQL && self.keyword("ON")? && self.keyword("CONFLICT")? && self.keyword("DO")?;
        if known && self.keyword("NOTHING")? && self.peek()? == b';' {
            self.at += 1;
            return Ok(AfterRow::End);
        }
        wrong(start, format!("'{}' follows a row, where a comma or a semicolon is expected", shown(self.bytes, start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement<const MYSQL: bool>(text: &str) -> Result<(HeadStatement, usize), InsertHalt> {
        let read = |text: &str| {
            let mut cursor = HeadCursor::<MYSQL> { bytes: text.as_bytes(), at: 0 };
            cursor.blanks()?;
            cursor.statement().map(|found| (found, cursor.at))
        };
        let whole = read(text);
        // With fewer bytes it is not known, as far as a statement needs them.
        if let Ok((_, end)) = &whole {
            for cut in (0..text[..*end].trim_end().len()).filter(|cut| text.is_char_boundary(*cut)) {
                assert_eq!(read(&text[..cut]), Err(InsertHalt::More), "{text} at {cut}");
            }
        }
        whole
    }

    fn insert(table: &[&str], names: Option<&[&str]>) -> HeadStatement {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        HeadStatement::Insert { table: owned(table), names: names.map(owned) }
    }

    #[test]
    fn heads_that_the_dump_programs_write() {
        for (text, expected) in [
            ("INSERT INTO `t` VALUES (", insert(&["t"], None)),
            ("INSERT INTO `a``b`.`t` (`x y`, `ü`)\nVALUES\n(", insert(&["a`b", "t"], Some(&["x y", "ü"]))),
            ("INSERT  IGNORE INTO `t` VALUES (", insert(&["t"], None)),
            ("REPLACE INTO t(a,b)values(", insert(&["t"], Some(&["a", "b"]))),
            ("insert delayed ignore into \"T\" value (", insert(&["T"], None)),
            ("-- '\n# '\n/* ' */ INSERT INTO t VALUES (", insert(&["t"], None)),
        ] {
            assert_eq!(statement::<true>(text).unwrap().0, expected, "{text}");
        }
        for (text, expected) in [
            ("INSERT INTO public.\"Mixed \"\"Case\" VALUES (", insert(&["public", "Mixed \"Case"], None)),
            ("INSERT INTO s.t (a, \"B c\") OVERRIDING SYSTEM VALUE VALUES (", insert(&["s", "t"], Some(&["a", "B c"]))),
            ("INSERT INTO T OVERRIDING USER VALUE VALUES\n\t(", insert(&["t"], None)),
            ("/* a /* b */ c */ INSERT INTO t VALUES (", insert(&["t"], None)),
            ("/*!40101 SET a */INSERT INTO t VALUES (", insert(&["t"], None)),
        ] {
            assert_eq!(statement::<false>(text).unwrap().0, expected, "{text}");
        }
    }

    #[test]
    fn statements_without_rows_are_skipped_with_their_quotes() {
        for text in [
            ";",
            "/*!40000 ALTER TABLE `t` DISABLE KEYS */;",
            "/*M!999999\\- enable the sandbox mode */ ",
            "/*!40101 SET NAMES binary*/;",
            "LOCK TABLES `a;b` WRITE;",
            "SET x = 'a;\\';b', y = \";\";",
            "UNLOCK TABLES;",
        ] {
            let (found, end) = statement::<true>(text).unwrap();
            assert_eq!(
                (found, &text[end..]),
                (HeadStatement::Skipped, text[end..].trim_start_matches(char::is_alphabetic))
            );
        }
        assert_eq!(statement::<false>("SET x = 'a;\\';").unwrap().0, HeadStatement::Skipped);
    }

    #[test]
    fn what_has_rows_in_another_way_is_wrong() {
        for text in [
            "INSERT INTO t SELECT 1;",
            "INSERT INTO t SET a = 1;",
            "INSERT t VALUES (1);",
            "INSERT INTO t PARTITION (p) VALUES (1);",
            "INSERT INTO t (a b) VALUES (1);",
            "INSERT INTO t () VALUES ();",
            "INSERT INTO `` VALUES (1);",
            "/*!50000 INSERT INTO t VALUES (1) */;",
            "/*! DELETE FROM t */;",
            "DELETE FROM t;",
            "/x",
            "--1\n",
            "(1)",
        ] {
            assert!(matches!(statement::<true>(text), Err(InsertHalt::Wrong(_))), "{text}");
        }
        for text in ["INSERT INTO t DEFAULT VALUES;", "REPLACE INTO t VALUES (1);", "\\.\n", "COPY t FROM stdin;"] {
            assert!(matches!(statement::<false>(text), Err(InsertHalt::Wrong(_))), "{text}");
        }
    }

    #[test]
    fn after_a_row_only_what_adds_no_meaning() {
        fn after<const MYSQL: bool>(text: &str) -> Result<AfterRow, InsertHalt> {
            HeadCursor::<MYSQL> { bytes: text.as_bytes(), at: 0 }.after()
        }
        assert_eq!((after::<true>(" ,"), after::<true>("\n;")), (Ok(AfterRow::Comma), Ok(AfterRow::End)));
        assert_eq!(after::<false>("\nON CONFLICT DO NOTHING;"), Ok(AfterRow::End));
        assert_eq!(after::<false>(" ON CONFLICT DO NOTH"), Err(InsertHalt::More));
        for text in [" ON CONFLICT DO UPDATE SET a = 1;", " ON CONFLICT (a) DO NOTHING;", " RETURNING a;", "x", "("] {
            assert!(matches!(after::<false>(&format!("{text} ")), Err(InsertHalt::Wrong(_))), "{text}");
        }
        for text in [" ON DUPLICATE KEY UPDATE a = 1;", " ON CONFLICT DO NOTHING;", " AS new;"] {
            assert!(matches!(after::<true>(text), Err(InsertHalt::Wrong(_))), "{text}");
        }
    }
}
