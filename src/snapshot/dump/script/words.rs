//! Reads words, names and column lists out of one statement that is whole in memory; it is no SQL parser.
//!
//! It gives `None` or [`HeadFault`] where the text is not what it looks for, and never guesses.
//!
//! ```text
//! INSERT INTO `a``b`.t (x, "y z") VALUES
//!             ^^^^^^^^ name        columns: x, y z
//! ```

use super::DumpName;
use super::quote::is_word;
use crate::snapshot::dump::SqlFamily;

/// Why the head of a COPY or INSERT cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeadFault {
    /// It is another form of the statement.
    Shape,
    /// A name is not UTF-8.
    NotUtf8,
}

/// Table and columns that the head of a COPY or INSERT names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DataHead {
    /// Table, with a schema only where the text has it.
    pub(super) table: DumpName,
    /// Columns, where listed.
    pub(super) columns: Option<Vec<String>>,
}

/// Place in the text of a statement.
pub(super) struct StatementWords<'a> {
    text: &'a [u8],
    at: usize,
    family: Option<SqlFamily>,
}

impl<'a> StatementWords<'a> {
    /// Starts at the first byte.
    pub(super) fn new(text: &'a [u8], family: Option<SqlFamily>) -> Self {
        Self { text, at: 0, family }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments; a comment without an end takes the rest.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let rest = &rest[blank..];
            let comment = if rest.starts_with(b"--") {
                rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |n| n + 1)
            } else if rest.starts_with(b"/*") {
                memchr::memmem::find(&rest[2..], b"*/").map_or(rest.len(), |n| n + 4)
            } else {
                0
            };
            self.at += blank + comment;
            if comment == 0 {
                return;
            }
        }
    }

    /// Next bare word; stays where it is if something else comes.
    pub(super) fn word(&mut self) -> Option<&'a [u8]> {
        self.skip();
        let rest = self.rest();
        let len = rest.iter().take_while(|&&b| is_word(b)).count();
        self.at += len;
        (len > 0).then(|| &rest[..len])
    }

    /// Takes the next word if it is `want` in any case.
    pub(super) fn take(&mut self, want: &str) -> bool {
        let start = self.at;
        let found = self.word().is_some_and(|word| word.eq_ignore_ascii_case(want.as_bytes()));
        if !found {
            self.at = start;
        }
        found
    }

    /// Takes the next byte if it is `want`.
    pub(super) fn sign(&mut self, want: u8) -> bool {
        self.skip();
        let found = self.rest().first() == Some(&want);
        self.at += usize::from(found);
        found
    }

    /// Skips one quoted thing or one sign; `false` at the end of the text.
    pub(super) fn skip_other(&mut self) -> bool {
        self.skip();
        match self.rest().first() {
            None => false,
            Some(b'`' | b'"' | b'\'') => {
                self.at += 1 + self.rest()[1..].iter().position(|b| *b == self.rest()[0]).map_or(0, |n| n + 1);
                true
            }
            Some(_) => {
                self.at += 1;
                true
            }
        }
    }

    /// Whether nothing but white space and comments is left.
    pub(super) fn at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    /// One part of a name: bare, "double quoted" or `backquoted`.
    pub(super) fn ident(&mut self) -> Result<String, HeadFault> {
        self.skip();
        let bytes = match self.rest().first() {
            Some(&quote @ (b'"' | b'`')) => self.quoted(quote)?,
            _ => {
                let word = self.word().ok_or(HeadFault::Shape)?;
                // PostgreSQL folds a bare name to lower case, MySQL keeps it.
                if self.family == Some(SqlFamily::Postgres) { word.to_ascii_lowercase() } else { word.to_vec() }
            }
        };
        String::from_utf8(bytes).map_err(|_| HeadFault::NotUtf8)
    }

    /// Text of the quote that begins here, with doubled quotes made single.
    pub(super) fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, HeadFault> {
        self.at += 1;
        let mut name = Vec::new();
        loop {
            let rest = self.rest();
            let len = memchr::memchr(quote, rest).ok_or(HeadFault::Shape)?;
            name.extend_from_slice(&rest[..len]);
            self.at += len + 1;
            if self.rest().first() != Some(&quote) {
                return if name.is_empty() { Err(HeadFault::Shape) } else { Ok(name) };
            }
            name.push(quote);
            self.at += 1;
        }
    }

    /// Name of a table, with or without a schema.
    pub(super) fn name(&mut self) -> Result<DumpName, HeadFault> {
        let first = self.ident()?;
        if !self.sign(b'.') {
            return Ok(DumpName { schema: None, name: first });
        }
        let name = self.ident()?;
        if self.sign(b'.') { Err(HeadFault::Shape) } else { Ok(DumpName { schema: Some(first), name }) }
    }

    fn columns(&mut self) -> Result<Option<Vec<String>>, HeadFault> {
        if !self.sign(b'(') {
            return Ok(None);
        }
        let mut columns = Vec::new();
        if self.sign(b')') {
            return Ok(Some(columns));
        }
        loop {
            columns.push(self.ident()?);
            if self.sign(b')') {
                return Ok(Some(columns));
            }
            if !self.sign(b',') {
                return Err(HeadFault::Shape);
            }
        }
    }
}

/// Reads `INSERT|REPLACE [LOW_PRIORITY|DELAYED|HIGH_PRIORITY] [IGNORE] [INTO] table [(columns)]
/// [OVERRIDING SYSTEM|USER VALUE] VALUES`, which is the whole of `text`.
pub(super) fn insert_head(text: &[u8], family: Option<SqlFamily>) -> Result<DataHead, HeadFault> {
    let mut words = StatementWords::new(text, family);
    if !(words.take("insert") || words.take("replace")) {
        return Err(HeadFault::Shape);
    }
    let _ = words.take("low_priority") || words.take("delayed") || words.take("high_priority");
    let _ = words.take("ignore");
    let _ = words.take("into");
    let table = words.name()?;
    let columns = words.columns()?;
    if words.take("overriding") && !((words.take("system") || words.take("user")) && words.take("value")) {
        return Err(HeadFault::Shape);
    }
    if words.take("values") && words.at_end() { Ok(DataHead { table, columns }) } else { Err(HeadFault::Shape) }
}

/// Reads `COPY table [(columns)] FROM stdin`, which is the whole of `text`: options would change the format.
pub(super) fn copy_head(text: &[u8], family: Option<SqlFamily>) -> Result<DataHead, HeadFault> {
    let mut words = StatementWords::new(text, family);
    if !words.take("copy") {
        return Err(HeadFault::Shape);
    }
    let table = words.name()?;
    let columns = words.columns()?;
    let whole = words.take("from") && words.take("stdin") && words.at_end();
    if whole { Ok(DataHead { table, columns }) } else { Err(HeadFault::Shape) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(schema: Option<&str>, name: &str) -> DumpName {
        DumpName { schema: schema.map(str::to_owned), name: name.to_owned() }
    }

    fn cols(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|n| (*n).to_owned()).collect())
    }

    #[test]
    fn insert_heads_of_all_programs_are_read() {
        let my = |text: &str| insert_head(text.as_bytes(), Some(SqlFamily::MySql)).unwrap();
        let pg = |text: &str| insert_head(text.as_bytes(), Some(SqlFamily::Postgres)).unwrap();
        assert_eq!(my("INSERT INTO `a``b` VALUES"), DataHead { table: named(None, "a`b"), columns: None });
        let head = my("REPLACE INTO `d`.`t` (`x`, `y z`,`a,b`)\nVALUES");
        assert_eq!(head, DataHead { table: named(Some("d"), "t"), columns: cols(&["x", "y z", "a,b"]) });
        assert_eq!(my("INSERT  IGNORE INTO T VALUES").table, named(None, "T"));
        let head = pg("INSERT INTO public.\"Mixed \"\"Case\" OVERRIDING SYSTEM VALUE VALUES");
        assert_eq!(head.table, named(Some("public"), "Mixed \"Case"));
        assert_eq!(pg("insert /* c */ into Public.Größe -- x\n values").table, named(Some("public"), "größe"));
    }

    #[test]
    fn other_inserts_are_refused() {
        for text in
            ["INSERT INTO t SELECT 1 VALUES", "INSERT INTO t DEFAULT VALUES", "INSERT INTO a.b.c VALUES", "INSERT"]
        {
            assert_eq!(insert_head(text.as_bytes(), None), Err(HeadFault::Shape), "{text}");
        }
        assert_eq!(insert_head(b"INSERT INTO `\xff` VALUES", None), Err(HeadFault::NotUtf8));
    }

    #[test]
    fn copy_heads_are_read_and_options_refused() {
        let head = copy_head(b"COPY public.\"Mixed Case\" (\"a,b\", c) FROM stdin", Some(SqlFamily::Postgres)).unwrap();
        assert_eq!(head, DataHead { table: named(Some("public"), "Mixed Case"), columns: cols(&["a,b", "c"]) });
        assert_eq!(copy_head(b"COPY t  FROM STDIN", None).unwrap().columns, None);
        for text in
            ["COPY t FROM stdin WITH CSV", "COPY t TO stdout", "COPY t FROM '$$PATH$$/1.dat'", "COPY (SELECT 1)"]
        {
            assert_eq!(copy_head(text.as_bytes(), None), Err(HeadFault::Shape), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
        ) {
            let _ = insert_head(&[b"INSERT INTO ".as_slice(), &text].concat(), None);
            let _ = copy_head(&[b"COPY ".as_slice(), &text].concat(), None);
            let mut words = StatementWords::new(&text, None);
            while words.word().is_some() || words.skip_other() {}
        }

        #[test]
        fn quoted_names_come_back(name in "[a-z`\" .,()é]{1,12}") {
            let (back, double) = (name.replace('`', "``"), name.replace('"', "\"\""));
            let quoted = format!("INSERT INTO `{back}`.\"{double}\" VALUES");
            let head = insert_head(quoted.as_bytes(), Some(SqlFamily::MySql)).unwrap();
            proptest::prop_assert_eq!(head.table, named(Some(&name), &name));
        }
    }
}
