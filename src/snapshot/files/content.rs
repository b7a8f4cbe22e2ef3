//! What a file is, as its first bytes say: endings lie. Pure.

use crate::config::{Compression, SqlFamily};
use crate::snapshot::dump::head::program_of;

/// What the first bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Parquet,
    Packed(Compression),
    /// An archive of pg_dump, in its custom form or as tar.
    PgDump,
    Avro,
    Arrow,
    /// PostgreSQL's `COPY ... (FORMAT binary)`.
    PgBinary,
    /// UTF-8 text, or UTF-16 with its mark, or nothing.
    Text,
    /// Data or a document in a format that is not read, and what to do about it.
    Foreign(&'static str),
    /// What it is, and what to do about it.
    Other(&'static str),
}

impl Content {
    /// What a file is that belongs to no table of text or Parquet, and what to do about it.
    pub(crate) fn advice(self) -> Option<&'static str> {
        match self {
            Self::PgDump => Some(DUMP),
            Self::Avro => Some("Avro; read it with STORED AS AVRO"),
            Self::Arrow => Some("Arrow IPC; read it with STORED AS ARROW"),
            Self::PgBinary => {
                Some("COPY BINARY of PostgreSQL; read it with STORED AS PG_BINARY, and declare its columns")
            }
            Self::Foreign(what) | Self::Other(what) => Some(what),
            Self::Parquet | Self::Packed(_) | Self::Text => None,
        }
    }
}

/// What an archive of pg_dump is, and what to do about it.
pub(crate) const DUMP: &str = "an archive of pg_dump; read it with STORED AS PG_DUMP";

/// What kind of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    /// One JSON object per line.
    Ndjson,
    /// Perhaps delimited text.
    Lines,
    /// XML or HTML.
    Document(&'static str),
    /// What it is, and what to do about it.
    Other(&'static str),
}

const MAGIC: &[(&[u8], Content)] = &[
    (b"PAR1", Content::Parquet),
    (b"PARE", Content::Parquet),
    (b"\x1f\x8b", Content::Packed(Compression::Gzip)),
    (b"\x28\xb5\x2f\xfd", Content::Packed(Compression::Zstd)),
    (b"BZh", Content::Packed(Compression::Bzip2)),
    (b"\xfd7zXZ\0", Content::Packed(Compression::Xz)),
    (b"PGDMP", Content::PgDump),
    (b"PGCOPY\n\xff\r\n\0", Content::PgBinary),
    (b"\xff\xff\xff\xff", Content::Arrow),
    (b"7z\xbc\xaf\x27\x1c", Content::Other("a 7z archive; unpack it")),
    (b"ORC", Content::Foreign("ORC, which is not read; export as Parquet")),
    (b"Obj\x01", Content::Avro),
    (b"ARROW1", Content::Arrow),
    (b"PK\x03\x04", Content::Other("a zip archive or an Excel file; unpack it or save it as CSV")),
    (b"SQLite format 3\0", Content::Foreign("an SQLite database; export its tables as CSV")),
    (b"%PDF", Content::Foreign("a PDF document")),
    (b"\x04\x22\x4d\x18", Content::Other("compressed with LZ4, which is not read; unpack it")),
    (b"\xff\x06\0\0sNaPpY", Content::Other("compressed with Snappy, which is not read; unpack it")),
    (b"\xe0\x01\x00\xea", Content::Foreign("binary Ion; export as DYNAMODB_JSON")),
    (b"\xff\xfe", Content::Text),
    (b"\xfe\xff", Content::Text),
];

/// What a file is that begins with these bytes; `is_cut` says that it goes on.
pub(crate) fn look(bytes: &[u8], is_cut: bool) -> Content {
    if let Some((_, content)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return *content;
    }
    if bytes.get(257..262) == Some(b"ustar") {
        let is_dump = bytes.starts_with(b"toc.dat\0") || bytes.starts_with(b"./toc.dat\0");
        return if is_dump { Content::PgDump } else { Content::Other("a tar archive; unpack it") };
    }
    match std::str::from_utf8(bytes) {
        _ if bytes.contains(&0) => Content::Other("binary data of a kind that is not known"),
        Ok(_) => Content::Text,
        // A character that the cut has halved.
        Err(error) if is_cut && error.error_len().is_none() => Content::Text,
        Err(_) => Content::Other("text that is not UTF-8; name its character set in OPTIONS ('encoding' '...')"),
    }
}

/// What kind of text it is; `is_cut` says that it goes on.
pub(crate) fn text_kind(text: &str, is_cut: bool) -> TextKind {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if text.starts_with("$ion_1_0") {
        return TextKind::Other("Ion text; export as DYNAMODB_JSON");
    }
    if text.starts_with('[') && (is_cut || is_json(text)) {
        return TextKind::Other("a JSON array; write one object per line, as `jq -c '.[]'` does");
    }
    if text.starts_with('{') {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let has_line = is_json(first)
            || serde_json::Deserializer::from_str(first)
                .into_iter::<serde::de::IgnoredAny>()
                .all(|value| value.is_ok());
        if has_line {
            return TextKind::Ndjson;
        }
        return TextKind::Other("JSON over several lines; write one object per line, as `jq -c .` does");
    }
    if let Some(kind) = dump_kind(text) {
        return TextKind::Other(kind);
    }
    if text.starts_with("<?xml") {
        return TextKind::Document("XML, which is not read; export as CSV, or dump with mysqldump without --xml");
    }
    if text.starts_with("<!DOCTYPE") || text.starts_with("<html") {
        return TextKind::Document("HTML, which is not read");
    }
    TextKind::Lines
}

/// Text that is statements, not rows.
fn dump_kind(text: &str) -> Option<&'static str> {
    match program_of(text.as_bytes()) {
        Some(SqlFamily::Postgres) => return Some("a dump of pg_dump; read it with STORED AS PG_DUMP"),
        Some(SqlFamily::MySql) => return Some("a dump of mysqldump; read it with STORED AS MYSQL_DUMP"),
        None => {}
    }
    is_sql(text).then_some("SQL statements; read a dump with STORED AS PG_DUMP or MYSQL_DUMP, or export as CSV")
}

/// Whether it begins as SQL does, and creates tables or inserts rows.
fn is_sql(text: &str) -> bool {
    let head = text.get(..4096).unwrap_or(text);
    let words = ["CREATE TABLE ", "INSERT INTO ", "/*!40", "SET SQL_MODE", "DROP TABLE ", "-- "];
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let is_sql = words.iter().any(|word| first.starts_with(word));
    is_sql && (head.contains("CREATE TABLE ") || head.contains("INSERT INTO "))
}

/// Why statements with rows are not read, if the head of a file has some.
pub(crate) fn inserted_rows(head: &[u8]) -> Option<&'static str> {
    memchr::memmem::find(head, b"INSERT INTO ")
        .map(|_| "SQL statements with rows, of no known program; read them with STORED AS PG_DUMP or MYSQL_DUMP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide_not_names() {
        assert_eq!(look(b"PAR1....", true), Content::Parquet);
        assert_eq!(look(b"\x1f\x8b\x08", true), Content::Packed(Compression::Gzip));
        assert_eq!(look("a,b\n1,é".as_bytes(), false), Content::Text);
        assert_eq!(look(&"a,é".as_bytes()[..3], true), Content::Text);
        for bytes in [&b"a,\xe9\n"[..], b"a\0b", b"PK\x03\x04", &"a,é".as_bytes()[..3]] {
            assert!(matches!(look(bytes, false), Content::Other(_)), "{bytes:?}");
        }
    }

    #[test]
    fn json_is_read_only_one_object_per_line() {
        assert_eq!(text_kind("\u{feff}\n{\"a\":1}\n{\"a\":2}", false), TextKind::Ndjson);
        assert_eq!(text_kind("{\"a\":1} {\"a\":2}\n", false), TextKind::Ndjson);
        assert_eq!(text_kind("a,b\n", false), TextKind::Lines);
        for (text, word) in [("[{\"a\":1}]", "array"), ("{\n \"a\": 1\n}", "several lines"), ("<?xml?>", "XML")] {
            let (TextKind::Other(reason) | TextKind::Document(reason)) = text_kind(text, false) else {
                panic!("{text}")
            };
            assert!(reason.contains(word), "{reason}");
        }
    }
}
