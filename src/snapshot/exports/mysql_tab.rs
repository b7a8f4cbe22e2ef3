//! The folder of `mysqldump --tab` or `mariadb-dump --tab`: a pair of files for each table.
//!
//! ```text
//! orders.sql   CREATE TABLE, '-- Dump completed' at its end
//! orders.txt   its rows, by SELECT ... INTO OUTFILE: tabs, lines, backslash escapes, \N
//! view.sql     a view has no rows
//! ```
//!
//! A file of rows is read once to plan: where rows end, so that tasks read pieces of it side by side, and how many
//! there are. One that ends within a row was cut; one that was cut between two rows looks whole, which the notes say.
//! The options `--fields-...` and `--lines-...` are not in the files: rows that do not look as by default are
//! refused, see [`unlike_default`]. So are escapes that the server does not write by default: where it writes none,
//! the `\n` of `C:\new` is no line end. Bytes of a column are as the server stores them, so text in another character
//! set than UTF-8 is refused, and binary columns are exact. A BIT of more than 3 bits is refused: the server writes
//! its bytes without escapes, so some are tabs, line ends or `\N`. Format: "mysqldump" and "SELECT ... INTO" of the
//! MySQL Reference Manual.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::Range;

use datafusion::arrow::datatypes::DataType;
use datafusion::physical_plan::metrics::Count;
use object_store::ObjectMeta;

use super::dumped::copy_text;
use super::mysql_text::{TableSql, TextTable, is_bit, is_text, table_sql, unreadable};
use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::{BytesCode, CodedColumn, Compression};
use crate::error::ExportFault;
use crate::layout::{FilePartition, Location};
use crate::manifest::{FileEntry, bare_etag};
use crate::snapshot::dump::ddl::{DdlColumn, DdlTable};
use crate::snapshot::split::Split;
use crate::snapshot::text::bytes::{Chunks, Origin, Request};

/// Bytes of an entry.
const ENTRY: u64 = 32 << 20;

/// Bytes at the beginning of a file of rows that are looked at.
const HEAD: usize = 64 << 10;

/// Bytes of a file of SQL: a definition, and triggers.
const SQL: u64 = 64 << 20;

/// Bits of a BIT none of whose values has the byte of a tab, a line end or a backslash.
const MOST_BITS: u32 = 3;

/// Whether a folder is one: it has a pair of files, and not those of other programs.
pub(super) fn is_one(listed: &[(String, ObjectMeta)]) -> bool {
    let has = |name: &str| listed.binary_search_by(|(path, _)| path.as_str().cmp(name)).is_ok();
    !has("metadata")
        && !has("metadata.partial")
        && listed.iter().any(|(path, _)| sql_of(path).is_some_and(|sql| has(&sql)))
}

/// `orders.sql`, of `orders.txt`.
fn sql_of(path: &str) -> Option<String> {
    path.strip_suffix(".txt").filter(|stem| !stem.contains('/')).map(|stem| format!("{stem}.sql"))
}

/// The tables of the folder.
pub(super) async fn catalog(
    place: &ExportPlace,
    folder: &Location,
    listed: &[(String, ObjectMeta)],
) -> Result<Vec<ExportedTable>, Trouble> {
    let files: BTreeMap<&str, &ObjectMeta> = listed.iter().map(|(path, meta)| (path.as_str(), meta)).collect();
    let mut others = Vec::new();
    for path in files.keys() {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_packed = [".gz", ".zst", ".bz2", ".xz"].iter().any(|ending| path.ends_with(ending));
        if is_packed && !path.contains('/') {
            let help = "unpack the files of the folder";
            return Err(ExportFault::Unread { what: format!("{path}, which is packed,"), help }.into());
        }
        if let Some(sql) = sql_of(path).filter(|sql| !files.contains_key(sql.as_str())) {
            let help = "dump the table again with its .sql, or move the file to another folder";
            return Err(ExportFault::Unread { what: format!("{path}, which has no {sql},"), help }.into());
        }
        let is_known = !path.contains('/') && (path.ends_with(".sql") || path.ends_with(".txt"));
        if !is_known && !name.starts_with(['.', '_']) {
            others.push(*path);
        }
    }
    let mut tables = Vec::new();
    for (path, meta) in &files {
        let Some(stem) = path.strip_suffix(".sql").filter(|stem| !stem.contains('/')) else { continue };
        if meta.size > SQL {
            let reason = format!("it has {} bytes, which no definition of a table has", meta.size);
            return Err(ExportFault::Metadata { file: (*path).to_owned(), reason }.into());
        }
        let text = place.get(&folder.join(path)).await?;
        let sql = table_sql(path, &text)?;
        if text.is_empty() || (sql.has_head && !sql.is_complete) {
            let reason = "it does not end with '-- Dump completed'".to_owned();
            return Err(ExportFault::Cut { file: (*path).to_owned(), reason }.into());
        }
        if sql.is_view {
            continue;
        }
        let rows = format!("{stem}.txt");
        let meta = files.get(rows.as_str()).copied();
        tables.extend(table(place, folder, sql, (&rows, meta)).await?);
    }
    if !others.is_empty() {
        let more = if others.len() > 3 { ", .." } else { "" };
        let note = format!(
            "Not read, since they are no .sql or .txt of the folder: {}{more}.",
            others[..others.len().min(3)].join(", ")
        );
        tables.iter_mut().for_each(|table| table.notes.push(note.clone()));
    }
    Ok(tables)
}

/// One table; None: the file of SQL creates none.
async fn table(
    place: &ExportPlace,
    folder: &Location,
    sql: TableSql,
    (name, meta): (&str, Option<&ObjectMeta>),
) -> Result<Option<ExportedTable>, Trouble> {
    let TableSql { table: ddl, is_utc, charset, is_complete, .. } = sql;
    let Some(ddl) = ddl else {
        return match meta {
            None => Ok(None),
            Some(_) => {
                let reason = "its .sql creates no table".to_owned();
                Err(ExportFault::Metadata { file: name.to_owned(), reason }.into())
            }
        };
    };
    let names = vec![ddl.name.clone()];
    let refused = |reason: &str| Ok(Some(unreadable(names.clone(), reason, true)));
    let Some(meta) = meta else {
        return refused(&format!("the dump has no data of it: {name} is not there"));
    };
    if let Some(column) = ddl.columns.iter().find(|column| bits(&column.declared) > MOST_BITS) {
        let DdlColumn { name: column, declared, .. } = column;
        return refused(&format!(
            "the server writes {column}, which is {declared}, without escapes, so its values cannot be told from tabs and line ends; \
             dump with mysqldump without --tab"
        ));
    }
    if let Some(charset) = charset.filter(|_| ddl.columns.iter().any(|column| is_text(&column.declared))) {
        return refused(&format!(
            "it has text in {charset}, which {name} has as bytes; dump with mysqldump without --tab, which writes UTF-8"
        ));
    }
    let location = folder.join(name);
    let found = scan(place, &location, meta, name).await?;
    let Some(columns) = columns_of(&ddl, found.fields) else {
        let (fields, columns) = (found.fields, ddl.columns.len());
        return refused(&format!(
            "the first row of {name} has {fields} values, the table has {columns} columns; only files of the default \
             options --fields-... and --lines-... are read"
        ));
    };
    let of = |name: &String| ddl.columns.iter().find(|column| column.name == *name);
    let texts: Vec<bool> = columns.iter().map(|name| of(name).is_some_and(may_have_quotes)).collect();
    let escape = || found.escape.map(|byte| format!("a backslash is before {}", byte.escape_ascii()));
    if let Some(what) = unlike_default(&found.head, &texts).map(str::to_owned).or_else(escape) {
        return refused(&format!(
            "{what} in {name}; only files of the default options --fields-... and --lines-... are read"
        ));
    }
    let coded: Vec<CodedColumn> = columns.iter().filter_map(|name| coded(of(name)?)).collect();
    let has_bytes = coded.iter().any(|coded| !coded.is_bits);
    let etag = bare_etag(meta.e_tag.as_deref().unwrap_or_default()).to_owned();
    let files = found.pieces.into_iter().map(|(bytes, rows)| FileEntry {
        size: bytes.end - bytes.start,
        uri: Split::Bytes(bytes).uri(&location.uri()).into(),
        etag: etag.as_str().into(),
        n_record: Some(rows),
        partition: FilePartition::None,
    });
    let files = files.collect();
    let text = TextTable { names, is_utc, columns: &columns, coded, csv: copy_text(), files, ddl: Some(ddl) };
    let mut table = text.exported();
    table.notes.push(format!("{name} has no count of its rows: a file that was cut between two rows looks whole."));
    if !is_complete {
        table.notes.push("The dump has no comments, so nothing shows whether its .sql is whole.".to_owned());
    }
    if has_bytes {
        let note = "A dump with --default-character-set has other bytes in its binary columns, which nothing shows.";
        table.notes.push(note.to_owned());
    }
    Ok(Some(table))
}

/// The columns of a file by the values of its first row; None: it has another number of them. MariaDB writes
/// generated columns, MySQL does not.
fn columns_of(ddl: &DdlTable, fields: usize) -> Option<Vec<String>> {
    let all: Vec<String> = ddl.columns.iter().map(|column| column.name.clone()).collect();
    let stored = ddl.columns.iter().filter(|column| column.generated.is_none()).map(|column| column.name.clone());
    let stored: Vec<String> = stored.collect();
    [all, stored].into_iter().find(|columns| columns.len() == fields || fields == 0)
}

/// Whether a value may begin with a quote as it is: texts, bytes and JSON. Numbers and times never do.
fn may_have_quotes(column: &DdlColumn) -> bool {
    let word = column.declared.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let is_plain = ["decimal", "dec", "fixed", "numeric", "time"].iter().any(|plain| word.eq_ignore_ascii_case(plain));
    !is_plain && matches!(column.data_type, DataType::Utf8 | DataType::Binary)
}

/// How the bytes of a column are written, if it has bytes.
fn coded(column: &DdlColumn) -> Option<CodedColumn> {
    let is_bits = is_bit(&column.declared);
    let is_coded = is_bits || column.data_type == DataType::Binary;
    is_coded.then(|| CodedColumn { column: column.name.clone(), code: BytesCode::Raw, is_bits })
}

/// The bits of a BIT: `bit(8)`; 0 of other types.
fn bits(declared: &str) -> u32 {
    let number = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(number, _)| number.trim());
    if is_bit(declared) { number.map_or(1, |number| number.parse().unwrap_or(u32::MAX)) } else { 0 }
}

/// What a file of rows is.
#[derive(Debug, Default)]
struct ScannedRows {
    /// Whole rows, and how many.
    pieces: Vec<(Range<u64>, u64)>,
    /// Values of the first row; 0 without rows.
    fields: usize,
    head: Vec<u8>,
    /// What follows a backslash, the first time that this is nothing the server writes by default.
    escape: Option<u8>,
}

/// Reads a file of rows once.
async fn scan(place: &ExportPlace, location: &Location, meta: &ObjectMeta, name: &str) -> Result<ScannedRows, Trouble> {
    let key = location.key()?;
    let request = Request {
        location: &key,
        e_tag: None,
        size: Some(meta.size),
        compression: Some(Compression::None),
        split: None,
        charset: None,
        is_raw: true,
    };
    let origin = Origin { table: "".into(), uri: location.uri().into() };
    let chunks = Chunks::open(place.store.as_ref(), request, origin, Count::new()).await?;
    let scanned = chunks.read_with(|reader| {
        let mut rows = RowScan::default();
        loop {
            let bytes = reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok::<_, std::io::Error>(rows);
            }
            rows.push(bytes);
            let used = bytes.len();
            reader.consume(used);
        }
    });
    let cut = |reason: String| ExportFault::Cut { file: name.to_owned(), reason };
    let scanned = scanned.await?.map_err(|error| cut(error.to_string()))?;
    Ok(scanned.end().ok_or_else(|| cut("it ends within a row".to_owned()))?)
}

/// What a backslash has begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum TabEscape {
    #[default]
    None,
    /// The next byte is escaped; at the beginning of a value `N` makes it NULL.
    First,
    Inner,
    /// NULL: the value ends here.
    Null,
}

/// Where rows end.
#[derive(Debug, Default)]
struct RowScan {
    found: ScannedRows,
    /// Bytes so far, where the piece begins, its rows, and where its last row ends.
    at: u64,
    start: u64,
    rows: u64,
    end: u64,
    /// The last byte so far, and where the last escape ended.
    last: u8,
    escaped: u64,
    open: TabEscape,
    has_row: bool,
}

impl RowScan {
    fn push(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.found.head.len()).min(bytes.len());
        self.found.head.extend_from_slice(&bytes[..room]);
        let mut skip = self.escape(bytes, 0);
        while let Some(next) = bytes.get(skip..).and_then(|rest| self.next_mark(rest)) {
            let place = skip + next;
            match bytes[place] {
                b'\\' => {
                    self.open = if self.is_first(bytes, place) { TabEscape::First } else { TabEscape::Inner };
                    skip = self.escape(bytes, place + 1);
                    continue;
                }
                b'\t' => self.found.fields += 1,
                _ => {
                    self.found.fields += usize::from(!self.has_row);
                    self.has_row = true;
                    self.rows += 1;
                    self.end = self.at + place as u64 + 1;
                    if self.end - self.start >= ENTRY {
                        self.cut();
                    }
                }
            }
            skip = place + 1;
        }
        self.at += bytes.len() as u64;
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Whether a value begins at a place.
    fn is_first(&self, bytes: &[u8], place: usize) -> bool {
        let before = if place > 0 { bytes[place - 1] } else { self.last };
        let at = self.at + place as u64;
        at == 0 || (matches!(before, b'\t' | b'\n') && at != self.escaped)
    }

    /// Takes in how an escape goes on at a place; gives where the next byte that may mean something is. By default the
    /// server escapes backslashes, tabs, line ends and NUL, and NULL is `\N` alone.
    fn escape(&mut self, bytes: &[u8], place: usize) -> usize {
        let Some(byte) = bytes.get(place).copied() else { return place };
        match self.open {
            TabEscape::None => place,
            TabEscape::First if byte == b'N' => {
                self.open = TabEscape::Null;
                self.escape(bytes, place + 1)
            }
            TabEscape::First | TabEscape::Inner => {
                self.open = TabEscape::None;
                self.escaped = self.at + place as u64 + 1;
                self.note_unless(matches!(byte, b'\\' | b'\t' | b'\n' | b'0'), byte);
                place + 1
            }
            TabEscape::Null => {
                self.open = TabEscape::None;
                self.note_unless(matches!(byte, b'\t' | b'\n'), b'N');
                place
            }
        }
    }

    fn note_unless(&mut self, is_default: bool, byte: u8) {
        if !is_default {
            self.found.escape.get_or_insert(byte);
        }
    }

    fn next_mark(&self, rest: &[u8]) -> Option<usize> {
        if self.has_row { memchr::memchr2(b'\\', b'\n', rest) } else { memchr::memchr3(b'\\', b'\n', b'\t', rest) }
    }

    fn cut(&mut self) {
        if self.rows > 0 {
            self.found.pieces.push((self.start..self.end, self.rows));
        }
        (self.start, self.rows) = (self.end, 0);
    }

    /// None: it ends within a row.
    fn end(mut self) -> Option<ScannedRows> {
        self.cut();
        (self.end == self.at && self.open == TabEscape::None).then_some(self.found)
    }
}

/// What of the first rows is not as by default, if it is seen: with `--lines-terminated-by='\r\n'` each row ends with
/// CR, with `--fields-enclosed-by` or `--fields-optionally-enclosed-by` each text is in quotes, and so are numbers or
/// times. By chance texts may look so too: then mysqldump without --tab is the way.
fn unlike_default(head: &[u8], texts: &[bool]) -> Option<&'static str> {
    let rows = rows_of(head);
    let last = |row: &Vec<&[u8]>| row.last().is_some_and(|field| field.ends_with(b"\r"));
    if !rows.is_empty() && rows.iter().all(last) {
        return Some("all rows end with CR LF");
    }
    let is_enclosed =
        |field: &[u8]| field.len() > 1 && field.first() == field.last() && [b'"', b'\''].contains(&field[0]);
    let fields = || rows.iter().flat_map(|row| row.iter().copied().zip(texts)).filter(|(field, _)| *field != br"\N");
    if fields().any(|(field, is_text)| !is_text && is_enclosed(field)) {
        return Some("numbers or times are in quotes");
    }
    let mut texts = fields().filter(|(_, is_text)| **is_text).peekable();
    texts.peek()?;
    texts.all(|(field, _)| is_enclosed(field)).then_some("all texts are in quotes")
}

/// The whole rows of a text, as they are written.
fn rows_of(text: &[u8]) -> Vec<Vec<&[u8]>> {
    let (mut rows, mut row, mut start, mut at) = (Vec::new(), Vec::new(), 0, 0);
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'\t' | b'\n' => {
                row.push(&text[start..at]);
                start = at + 1;
                if text[at] == b'\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            _ => {}
        }
        at += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SqlFamily;
    use crate::snapshot::dump::ddl::DdlCatalog;

    fn scanned(text: &[u8], chunk: usize) -> Option<ScannedRows> {
        let mut rows = RowScan::default();
        text.chunks(chunk).for_each(|chunk| rows.push(chunk));
        rows.end()
    }

    #[test]
    fn rows_end_at_lines_that_no_escape_is_before() {
        let text = b"1\ta\\\tb\\\n\\\\\tx\n2\t\\\\\\\\\\\n\t\\N\n";
        for chunk in 1..text.len() {
            let found = scanned(text, chunk).unwrap();
            assert_eq!((found.fields, found.pieces), (3, vec![(0..text.len() as u64, 2)]), "{chunk}");
        }
        assert_eq!(scanned(b"", 9).unwrap().pieces, []);
        for cut in [&b"1\ta\n2"[..], b"1\ta\n2\tb\\\n", b"1\\", b"1\ta\n\\N"] {
            assert!(scanned(cut, 2).is_none(), "{cut:?}");
        }
    }

    #[test]
    fn files_of_other_options_are_seen() {
        let texts = [false, true];
        assert_eq!(unlike_default(b"1\ta\r\n2\tb\n", &texts), None);
        assert_eq!(unlike_default(b"1\ta\r\n2\tb\r\n", &texts), Some("all rows end with CR LF"));
        assert_eq!(unlike_default(b"1\t\"a\"\n2\t\\N\n", &texts), Some("all texts are in quotes"));
        assert_eq!(unlike_default(b"1\t\"a\"\n2\t\"\n", &texts), None);
        assert_eq!(unlike_default(b"1\t\\N\n", &texts), None);
        assert_eq!(unlike_default(b"\"{\\\"a\\\": 1}\"\n", &[true]), Some("all texts are in quotes"));
        assert_eq!(unlike_default(b"\"2024-01-01\"\tb\n", &texts), Some("numbers or times are in quotes"));
        assert_eq!(unlike_default(b"1\n", &[false]), None);
    }

    #[test]
    fn values_that_never_begin_with_a_quote_are_numbers_and_times() {
        let sql = "CREATE TABLE t (a json, b longblob, c varbinary(3), d enum('x'), e uuid, f int, g decimal(65,30), \
                   h time(3), i date, j datetime, k bit(2), l year)";
        let mut ddl = DdlCatalog::new(SqlFamily::MySql);
        ddl.add(sql).unwrap();
        let tables = ddl.finish();
        let texts: Vec<&str> =
            tables[0].columns.iter().filter(|column| may_have_quotes(column)).map(|column| &*column.name).collect();
        assert_eq!(texts, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn escapes_that_the_server_does_not_write_by_default_are_seen() {
        let escape = |text: &[u8]| {
            let found: Vec<_> = (1..=text.len()).map(|chunk| scanned(text, chunk).unwrap().escape).collect();
            assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
            found[0]
        };
        for text in [&b"1\ta\\\\b\\\tc\\\nd\\0\n"[..], b"\\N\t\\N\n\\N\tx\n", b"\\\\N\tN\n", b"\\\t\\\n\\\\\n"] {
            assert_eq!(escape(text), None, "{text:?}");
        }
        for (text, byte) in [
            (&b"1\tC:\\new\n"[..], b'n'),
            (b"1\t\\rest\n", b'r'),
            (b"1\tC:\\N\n", b'N'),
            (b"1\t\\Nine\n", b'N'),
            (b"1\t\\N\\N\n", b'N'),
            (b"1\ta\\\t\\N\n", b'N'),
            (b"1\t{\\\"a\\\": 1}\n", b'"'),
        ] {
            assert_eq!(escape(text), Some(byte), "{text:?}");
        }
    }
}
