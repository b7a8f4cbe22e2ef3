//! What the values of settings, properties and options mean: sizes, formats, sort keys, compression.
//!
//! Each type reads the text a user writes and nothing else: no defaults from elsewhere, no files. A text that does not
//! fit gives `None`, or the words that say what would; the caller knows the key and the position.

use std::fmt;
use std::time::Duration;

use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};
use serde::{Deserialize, Serialize};

use super::export::SqlFamily;

/// A number of bytes, written as `128MB` (decimal), `128MiB` (binary) or a bare integer; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ByteSize(pub u64);

/// Units that text may end with, largest first where two would divide a size.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// Reads `128MB`, `128 MiB`, `1.5gb` or `134217728`; a part of a byte is cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.trim_start();
        let factor = match unit {
            "" => 1,
            _ => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let bare_point = number.contains('.') && fraction.is_empty();
        if whole.is_empty() || bare_point || fraction.contains('.') || (unit.is_empty() && !fraction.is_empty()) {
            return None;
        }
        let whole = whole.parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
        let part = match fraction.trim_end_matches('0') {
            "" => 0,
            digits if digits.len() <= 18 => {
                let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
                digits.parse::<u128>().ok()? * u128::from(factor) / scale
            }
            _ => return None,
        };
        u64::try_from(whole.checked_add(part)?).ok().filter(|bytes| *bytes > 0).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(&str, u64)| unit.1 > 1 && self.0 >= unit.1 && self.0.is_multiple_of(unit.1);
        match UNITS.iter().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// How many snapshot bytes one stage task reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupSize {
    /// At most this many, except for a single larger file.
    Bytes(u64),
    /// All files in one task, so that the SELECT need not be row-wise.
    All,
}

impl fmt::Display for GroupSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => ByteSize(*bytes).fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

/// How the files of a snapshot table are decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Delimited text.
    Csv(CsvOptions),
    /// JSON objects, one after the other.
    Json(JsonOptions),
    /// INSERT statements of an SQL dump.
    Inserts(InsertOptions),
    /// Avro object container files.
    Avro,
    /// Arrow IPC, as files or streams.
    Arrow,
    /// PostgreSQL's `COPY ... (FORMAT binary)`.
    PgBinary(TextOptions),
}

/// How the INSERT statements of a table in an SQL dump are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsertOptions {
    /// Dialect of the dump.
    pub family: SqlFamily,
    /// Columns of a row of VALUES, in their order.
    pub columns: Vec<String>,
    /// Those of them that are of type BIT: MySQL writes the bytes of the number.
    pub bits: Vec<String>,
    /// Compression, and which bytes of the file are read.
    pub text: TextOptions,
}

impl FileFormat {
    /// As written after STORED AS, such as `PARQUET`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Parquet => "PARQUET",
            Self::Csv(_) => "CSV",
            Self::Json(JsonOptions { dialect: JsonDialect::Bson, .. }) => "BSON",
            Self::Json(_) => "JSON",
            Self::Inserts(_) => "INSERT statements",
            Self::Avro => "AVRO",
            Self::Arrow => "ARROW",
            Self::PgBinary(_) => "PG_BINARY",
        }
    }

    /// Options that many formats share; `None` for a format that has none of them.
    pub(crate) fn text(&self) -> Option<&TextOptions> {
        match self {
            Self::Csv(options) => Some(&options.text),
            Self::Json(options) => Some(&options.text),
            Self::Inserts(options) => Some(&options.text),
            Self::PgBinary(options) => Some(options),
            Self::Parquet | Self::Avro | Self::Arrow => None,
        }
    }

    /// See [`Self::text`].
    pub(crate) fn text_mut(&mut self) -> Option<&mut TextOptions> {
        match self {
            Self::Csv(options) => Some(&mut options.text),
            Self::Json(options) => Some(&mut options.text),
            Self::Inserts(options) => Some(&mut options.text),
            Self::PgBinary(options) => Some(options),
            Self::Parquet | Self::Avro | Self::Arrow => None,
        }
    }

    /// Whether the bytes of a file are text.
    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::Json(options) => options.dialect != JsonDialect::Bson,
            Self::Csv(_) | Self::Inserts(_) => true,
            Self::Parquet | Self::Avro | Self::Arrow | Self::PgBinary(_) => false,
        }
    }

    /// Whether a file has the names and types of its columns, so that a schema costs no more than its head.
    pub(crate) fn has_schema(&self) -> bool {
        matches!(self, Self::Parquet | Self::Avro | Self::Arrow)
    }
}

/// Options of delimited text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// Whether the first line of each file holds the column names.
    pub has_header: bool,
    /// Byte between fields.
    pub delimiter: u8,
    /// Byte around fields that hold delimiters, quotes or line ends; `None`: no field is quoted.
    pub quote: Option<u8>,
    /// Byte before a quote inside a quoted field; `None`: a quote is doubled.
    pub escape: Option<u8>,
    /// Whether an escape works outside of quotes too, and forms sequences such as `\t`.
    pub escape_sequences: bool,
    /// Whether quotes that break the rules are text.
    pub lax_quotes: bool,
    /// Byte that ends a line; `None`: LF, CR or CRLF.
    pub terminator: Option<u8>,
    /// Lines that start with this byte are skipped.
    pub comment: Option<u8>,
    /// Fields that match this regular expression are NULL.
    pub null_regex: Option<String>,
    /// Columns in which quoted fields may be NULL too.
    pub force_null: ColumnSet,
    /// Columns of files without a header, in their order; empty: those of the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Those of `columns` whose fields are bytes, as an export says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coded: Vec<CodedColumn>,
    /// Compression and schema inference.
    pub text: TextOptions,
}

/// A column of a file without a header whose fields are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodedColumn {
    /// Its name.
    pub column: String,
    /// How the bytes are written.
    pub code: BytesCode,
    /// Whether the bytes are a number, the highest byte first: BIT of MySQL.
    pub is_bits: bool,
}

/// How bytes are written in a field of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BytesCode {
    /// As they are, but for escapes: they need not be UTF-8.
    Raw,
    /// Two hexadecimal digits each.
    Hex,
    /// Base64 of RFC 4648 with padding, perhaps in several lines.
    Base64,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            has_header: true,
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            escape_sequences: false,
            lax_quotes: false,
            terminator: None,
            comment: None,
            null_regex: None,
            force_null: ColumnSet::None,
            columns: Vec::new(),
            coded: Vec::new(),
            text: TextOptions::default(),
        }
    }
}

impl CsvOptions {
    /// The name of an option whose character means something else already, if there is one.
    pub(crate) fn clash(&self) -> Option<&'static str> {
        let ends = self.terminator.map_or([b'\n', b'\r'], |terminator| [terminator; 2]);
        let mut taken = ends.to_vec();
        let options = [
            ("format.delimiter", Some(self.delimiter)),
            ("format.quote", self.quote),
            ("format.escape", self.escape),
            ("format.comment", self.comment),
        ];
        let given = options.into_iter().filter_map(|(name, byte)| Some((name, byte?)));
        given
            .filter_map(|(name, byte)| {
                let is_taken = taken.contains(&byte);
                taken.push(byte);
                is_taken.then_some(name)
            })
            .next()
    }
}

/// Some columns of a table, such as those in which a quoted field may be NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnSet {
    /// No column.
    #[default]
    None,
    /// Every column.
    All,
    /// These columns.
    Columns(Vec<String>),
}

impl ColumnSet {
    /// Reads `true`, `false`, or column names with commas between.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match boolean(text) {
            Some(true) => Some(Self::All),
            Some(false) => Some(Self::None),
            None => columns(text).map(Self::Columns),
        }
    }

    /// Whether no column is one of them.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether this column is one of them.
    pub(crate) fn holds(&self, column: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Columns(columns) => columns.iter().any(|name| name == column),
        }
    }

    /// A column that is none of the table.
    pub(crate) fn unknown(&self, table: &Schema) -> Option<&str> {
        let Self::Columns(columns) = self else { return None };
        let is_column = |name: &&String| table.fields().iter().any(|field| field.name() == *name);
        columns.iter().find(|name| !is_column(name)).map(String::as_str)
    }
}

/// Options of JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JsonOptions {
    /// What the values of a record look like.
    #[serde(default, skip_serializing_if = "JsonDialect::is_plain")]
    pub dialect: JsonDialect,
    /// Compression, schema inference and names.
    #[serde(flatten)]
    pub text: TextOptions,
}

/// How a database writes values that JSON does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JsonDialect {
    /// As JSON has them.
    #[default]
    Plain,
    /// DynamoDB: each value with its type, such as `{"N": "7"}`.
    DynamoDb,
    /// MongoDB's extended JSON, as mongoexport writes it.
    MongoDb,
    /// No text: MongoDB's BSON, as mongodump writes it.
    Bson,
}

impl JsonDialect {
    /// As written in OPTIONS.
    pub(crate) const NAMES: &str = "plain, dynamodb or mongodb";

    /// As written in OPTIONS.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::DynamoDb => "dynamodb",
            Self::MongoDb => "mongodb",
            Self::Bson => "bson",
        }
    }

    /// Reads one of [`Self::NAMES`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "plain" => Some(Self::Plain),
            "dynamodb" => Some(Self::DynamoDb),
            "mongodb" => Some(Self::MongoDb),
            _ => None,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// Options that CSV and JSON share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextOptions {
    /// Compression of the files; `None`: by file name.
    pub compression: Option<Compression>,
    /// Records per table that schema inference reads; `None`: all.
    pub infer_records: Option<usize>,
    /// Character set of the files, by a name of the WHATWG Encoding Standard; `None`: UTF-8, or UTF-16 with its mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// Columns that a file has and the table does not declare.
    #[serde(default, skip_serializing_if = "Undeclared::is_ignored")]
    pub undeclared: Undeclared,
}

/// What a column of a file that is not declared is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undeclared {
    /// Not read.
    #[default]
    Ignore,
    /// An error.
    Error,
}

impl Undeclared {
    /// Reads `ignore` or `error`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "ignore" => Some(Self::Ignore),
            "error" => Some(Self::Error),
            _ => None,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_ignored(&self) -> bool {
        *self == Self::Ignore
    }
}

/// Compression of a text file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Plain text.
    None,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
}

/// One column of `sorted_by`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SortKey {
    /// Output column of the SELECT.
    pub column: String,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST; when not written, it follows DESC as in DataFusion.
    pub nulls_first: bool,
}

/// What a lake table is besides its published files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LakeKind {
    /// A folder of Parquet files per snapshot.
    #[default]
    Parquet,
    /// The same, and an Iceberg table whose versions are the snapshots.
    Iceberg,
}

/// Codec of the published Parquet files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteCompression {
    /// No compression.
    Uncompressed,
    /// Snappy.
    Snappy,
    /// Gzip, level 0 to 9.
    Gzip(u8),
    /// LZ4 raw blocks.
    Lz4,
    /// Zstandard, level 1 to 22.
    Zstd(u8),
}

/// As plans keep it: `zstd(3)`.
impl fmt::Display for WriteCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uncompressed => f.write_str("uncompressed"),
            Self::Snappy => f.write_str("snappy"),
            Self::Gzip(level) => write!(f, "gzip({level})"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Zstd(level) => write!(f, "zstd({level})"),
        }
    }
}

/// Reads a whole number of seconds, minutes, hours or days, such as `90s`, `30m`, `12h` or `7d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(unit).map(Duration::from_secs)
}

/// Reads `true` or `false`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Reads one ASCII character, or `\t`, `\n`, `\r` written as two.
pub(crate) fn byte(text: &str) -> Option<u8> {
    match (text, text.as_bytes()) {
        (r"\t", _) => Some(b'\t'),
        (r"\n", _) => Some(b'\n'),
        (r"\r", _) => Some(b'\r'),
        (_, [byte]) if byte.is_ascii() && *byte != 0 => Some(*byte),
        _ => None,
    }
}

/// Reads the compression of text files; `Some(None)` is `auto`.
pub(crate) fn compression(text: &str) -> Option<Option<Compression>> {
    Some(match text.to_ascii_lowercase().as_str() {
        "auto" => None,
        "uncompressed" | "none" => Some(Compression::None),
        "gzip" | "gz" => Some(Compression::Gzip),
        "zstd" | "zst" => Some(Compression::Zstd),
        "bzip2" | "bz2" => Some(Compression::Bzip2),
        "xz" => Some(Compression::Xz),
        _ => return None,
    })
}

impl GroupSize {
    /// Reads a size or `all`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.trim().eq_ignore_ascii_case("all") {
            return Some(Self::All);
        }
        ByteSize::parse(text).map(|size| Self::Bytes(size.0))
    }
}

/// What becomes of rows whose partition column is the empty text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EmptyPartition {
    /// The task fails: Spark cannot read a folder `k=`.
    #[default]
    Error,
    /// The value becomes NULL.
    Null,
    /// The folder is `k=`.
    Keep,
}

impl EmptyPartition {
    /// As the user writes it, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Error, Self::Null, Self::Keep].into_iter().find(|one| one.word().eq_ignore_ascii_case(text))
    }

    /// As the user writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Null => "null",
            Self::Keep => "keep",
        }
    }
}

impl WriteCompression {
    /// Reads a codec name; its level is the codec's default.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "uncompressed" | "none" => Self::Uncompressed,
            "snappy" => Self::Snappy,
            "gzip" => Self::Gzip(6),
            "lz4" | "lz4_raw" => Self::Lz4,
            "zstd" => Self::Zstd(3),
            _ => return None,
        })
    }

    /// This codec at another level; the error says which levels it has.
    pub(crate) fn with_level(self, text: &str) -> Result<Self, &'static str> {
        let level = text.trim().parse::<u8>().ok();
        match self {
            Self::Zstd(_) => {
                level.filter(|level| (1..=22).contains(level)).map(Self::Zstd).ok_or("a level of zstd from 1 to 22")
            }
            Self::Gzip(_) => level.filter(|level| *level <= 9).map(Self::Gzip).ok_or("a level of gzip from 0 to 9"),
            Self::Uncompressed | Self::Snappy | Self::Lz4 => Err("no level, since only zstd and gzip have levels"),
        }
    }
}

impl SortKey {
    /// Reads `column [ASC | DESC] [NULLS FIRST | NULLS LAST]`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let words = words(text)?;
        let (column, rest) = words.split_first()?;
        let column = fold(column);
        let keywords: Vec<Keyword> = rest
            .iter()
            .map(|word| if word.quote_style.is_none() { word.keyword } else { Keyword::NoKeyword })
            .collect();
        let (descending, nulls) = match keywords.as_slice() {
            [Keyword::ASC, nulls @ ..] => (false, nulls),
            [Keyword::DESC, nulls @ ..] => (true, nulls),
            nulls => (false, nulls),
        };
        let nulls_first = match nulls {
            [] => descending,
            [Keyword::NULLS, Keyword::FIRST] => true,
            [Keyword::NULLS, Keyword::LAST] => false,
            _ => return None,
        };
        Some(Self { column, descending, nulls_first })
    }
}

/// Reads one column name: folded to lower case unless it is double-quoted.
pub(crate) fn column(text: &str) -> Option<String> {
    match words(text)?.as_slice() {
        [word] => Some(fold(word)),
        _ => None,
    }
}

/// Reads column names with commas between, each as [`column()`] reads it.
fn columns(text: &str) -> Option<Vec<String>> {
    let mut columns = Vec::new();
    let mut is_name_next = true;
    for token in Tokenizer::new(&GenericDialect {}, text).tokenize().ok()? {
        match token {
            Token::Word(word) if is_name_next => columns.push(fold(&word)),
            Token::Comma if !is_name_next => {}
            Token::Whitespace(_) => continue,
            _ => return None,
        }
        is_name_next = !is_name_next;
    }
    (!is_name_next).then_some(columns)
}

/// The words of a text that consists of nothing else.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    for token in Tokenizer::new(&GenericDialect {}, text).tokenize().ok()? {
        match token {
            Token::Word(word) if word.quote_style.is_some() || !word.value.is_empty() => words.push(word),
            Token::Whitespace(_) => {}
            _ => return None,
        }
    }
    Some(words)
}

fn fold(word: &Word) -> String {
    if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_and_binary_units_differ_and_case_and_space_do_not_matter() {
        for (text, bytes) in [
            ("128MB", 128_000_000),
            ("128 mb", 128_000_000),
            ("128MiB", 134_217_728),
            ("1.5GB", 1_500_000_000),
            ("0.5KiB", 512),
            ("134217728", 134_217_728),
            ("7b", 7),
        ] {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn zero_garbage_and_overflow_are_not_sizes() {
        let bad =
            ["0", "0MB", "", "MB", "12 parsecs", "1.5", "1.MB", ".5MB", "1.2.3MB", "-1MB", "1e6", "99999999TB", "64M"];
        for text in bad {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_size_reads_back_as_itself(bytes in prop_oneof![1..=u64::MAX, (1..999_u64).prop_map(|n| n << 20)]) {
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).to_string()), Some(ByteSize(bytes)));
        }
    }

    #[test]
    fn sizes_print_in_the_largest_unit_that_divides_them() {
        assert_eq!(ByteSize(128_000_000).to_string(), "128MB");
        assert_eq!(ByteSize(134_217_728).to_string(), "128MiB");
        assert_eq!(ByteSize(1_234_567).to_string(), "1234567");
        assert_eq!(GroupSize::All.to_string(), "all");
    }

    #[test]
    fn sort_keys_default_to_nulls_as_datafusion_does() {
        let key = |column: &str, descending, nulls_first| {
            Some(SortKey { column: column.to_owned(), descending, nulls_first })
        };
        assert_eq!(SortKey::parse("Flight"), key("flight", false, false));
        assert_eq!(SortKey::parse("flight asc"), key("flight", false, false));
        assert_eq!(SortKey::parse("time_hour DESC"), key("time_hour", true, true));
        assert_eq!(SortKey::parse("time_hour DESC NULLS LAST"), key("time_hour", true, false));
        assert_eq!(SortKey::parse("\"Tail \"\"Num\" nulls first"), key("Tail \"Num", false, true));
    }

    #[test]
    fn expressions_and_lists_are_not_sort_keys_or_columns() {
        for text in ["", "a, b", "a DESC ASC", "a NULLS", "lower(a)", "a \"DESC\""] {
            assert_eq!(SortKey::parse(text), None, "{text}");
        }
        for text in ["month(ts)", "a b", "a.b", ""] {
            assert_eq!(column(text), None, "{text}");
        }
        assert_eq!(column(" Year "), Some("year".to_owned()));
        assert_eq!(column("\"\""), Some(String::new()));
    }

    #[test]
    fn level_belongs_to_its_codec() {
        assert_eq!(WriteCompression::parse("ZSTD").unwrap().with_level("9"), Ok(WriteCompression::Zstd(9)));
        assert_eq!(WriteCompression::Gzip(6).with_level("9"), Ok(WriteCompression::Gzip(9)));
        assert!(WriteCompression::Zstd(3).with_level("23").is_err());
        assert!(WriteCompression::Snappy.with_level("1").is_err());
    }

    #[test]
    fn force_null_is_all_columns_none_or_a_list() {
        assert_eq!(ColumnSet::parse("TRUE"), Some(ColumnSet::All));
        assert_eq!(ColumnSet::parse("false"), Some(ColumnSet::None));
        let list = ColumnSet::parse(r#"Id, "Total", "true""#).unwrap();
        assert_eq!(list, ColumnSet::Columns(vec!["id".into(), "Total".into(), "true".into()]));
        assert!(list.holds("id") && !list.holds("total"));
        for text in ["", "a b", "a,", ",a", "a,,b", "a.b"] {
            assert_eq!(ColumnSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_character_means_one_thing_only() {
        let csv = CsvOptions::default();
        assert_eq!(csv.clash(), None);
        assert_eq!(CsvOptions { quote: Some(b','), ..csv.clone() }.clash(), Some("format.quote"));
        assert_eq!(CsvOptions { delimiter: b'\r', ..csv.clone() }.clash(), Some("format.delimiter"));
        assert_eq!(CsvOptions { delimiter: b'\r', terminator: Some(b'\n'), ..csv.clone() }.clash(), None);
        assert_eq!(CsvOptions { comment: Some(b'"'), ..csv.clone() }.clash(), Some("format.comment"));
        assert_eq!(CsvOptions { comment: Some(b'"'), quote: None, ..csv.clone() }.clash(), None);
        assert_eq!(CsvOptions { escape: Some(b'~'), terminator: Some(b'~'), ..csv }.clash(), Some("format.escape"));
    }

    #[test]
    fn csv_bytes_are_one_ascii_character_or_an_escape() {
        assert_eq!(byte(r"\t"), Some(b'\t'));
        assert_eq!(byte("\t"), Some(b'\t'));
        assert_eq!(byte("|"), Some(b'|'));
        assert_eq!(byte("é"), None);
        assert_eq!(byte(""), None);
    }
}
