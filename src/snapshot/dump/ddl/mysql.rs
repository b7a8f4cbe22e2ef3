//! MySQL and MariaDB types: their words, and the Arrow type that holds every value.
//!
//! Display widths mean nothing: `tinyint(1)` may hold 127 and stays Int8. `time` goes beyond a day and below zero,
//! so it is text. Zero dates and what a character set makes of bytes are the matter of the reader of rows.
//!
//! ```text
//!   int(5) unsigned zerofill -> UInt32      bit(8)              -> UInt64
//!   decimal(65,30)           -> Utf8        enum('a','it''s')   -> Utf8, or Binary by its character set
//! ```
//!
//! It fails only where a type does not end.

use super::DdlFault;
use super::lex::{Kind, Lexer};
use super::names::unquote;
use super::types::{Args, Declared, ReadType, SqlType, decimal, read_args};
use crate::snapshot::dump::SqlFamily;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

/// Words that begin what stands behind a type, so that a column that has only them has no type.
const NOT_TYPES: &[&str] = &[
    "as",
    "auto_increment",
    "check",
    "collate",
    "comment",
    "constraint",
    "default",
    "generated",
    "key",
    "not",
    "null",
    "primary",
    "references",
    "unique",
];

/// Second words of `double precision`, `char varying`, `long varchar`, `national char varying`.
const LONGER: &[(&str, &[&str])] = &[
    ("double", &["precision"]),
    ("national", &["char", "character", "varchar", "varcharacter"]),
    ("long", &["varchar", "varcharacter", "varbinary", "char", "character"]),
    ("char", &["varying"]),
    ("character", &["varying"]),
    ("nchar", &["varying", "varchar"]),
];

/// The Arrow type of a column's type alone, as `information_schema` has it, and whether it is text in a character set.
///
/// # Errors
/// [`DdlFault`] for a type that does not end.
pub(crate) fn column_type(text: &str) -> Result<(DataType, bool), DdlFault> {
    Ok(match read_type(&mut Lexer::new(text, SqlFamily::MySql))? {
        Some(ReadType { sql: SqlType::Arrow(arrow), is_text, .. }) => (arrow, is_text),
        _ => (DataType::Utf8, false),
    })
}

/// Reads the type of a column; None when nothing that can be one comes next.
pub(super) fn read_type(lexer: &mut Lexer<'_>) -> Result<Option<ReadType>, DdlFault> {
    let Some(first) = lexer.peek()? else { return Ok(None) };
    if !matches!(first.kind, Kind::Word | Kind::Name) || first.is_any(NOT_TYPES) {
        return Ok(None);
    }
    let mut declared = Declared::default();
    let mut words: Vec<String> = Vec::new();
    // At most `mariadb_schema.` and three words.
    while let Some(token) = lexer.next_token()? {
        declared.push(&token);
        let word = if token.kind == Kind::Name { unquote(token.text) } else { token.text.to_ascii_lowercase() };
        // MariaDB prints `mariadb_schema.date` where its Oracle mode would read another type.
        let next = lexer.peek()?;
        if words.is_empty()
            && word == "mariadb_schema"
            && let Some(point) = next.filter(|next| next.is_mark(b'.'))
        {
            declared.push(&point);
            lexer.next_token()?;
            continue;
        }
        let more =
            LONGER.iter().any(|(first, seconds)| *first == word && next.is_some_and(|next| next.is_any(seconds)));
        words.push(word);
        if !more {
            break;
        }
    }
    let Some(last) = words.last() else { return Ok(None) };
    let word = match words[0].as_str() {
        "long" if last == "varbinary" => "mediumblob",
        "long" => "mediumtext",
        "double" => "double",
        "national" => "varchar",
        _ => last,
    };
    let args = read_args(lexer, &mut declared)?;
    let mut unsigned = false;
    while let Some(sign) = lexer.peek()?.filter(|next| next.is_any(&["unsigned", "signed", "zerofill"])) {
        unsigned |= !sign.is("signed");
        declared.push(&sign);
        lexer.next_token()?;
    }
    let (arrow, is_text) = known(word, args, unsigned);
    Ok(Some(ReadType { declared: declared.into_text(), sql: SqlType::Arrow(arrow), is_text }))
}

/// The Arrow type of a type, and whether it is text in a character set. What is not known is text.
fn known(word: &str, args: Args, unsigned: bool) -> (DataType, bool) {
    let integer = |signed: DataType, without: DataType| if unsigned { without } else { signed };
    let arrow = match word {
        "tinyint" | "int1" | "bool" | "boolean" => integer(DataType::Int8, DataType::UInt8),
        "smallint" | "int2" => integer(DataType::Int16, DataType::UInt16),
        "mediumint" | "int3" | "middleint" | "int" | "integer" | "int4" => integer(DataType::Int32, DataType::UInt32),
        "bigint" | "int8" => integer(DataType::Int64, DataType::UInt64),
        "serial" | "bit" => DataType::UInt64,
        // float(30) asks for a double by its bits; float(7,3) is a float with a display form.
        "float" if args.count == 1 && !matches!(args.numbers[0], Some(..=24)) => DataType::Float64,
        "float" | "float4" => DataType::Float32,
        "double" | "real" | "float8" => DataType::Float64,
        "decimal" | "dec" | "fixed" | "numeric" => match (args.count, args.numbers) {
            // A precision of 0 means the default, as none does.
            (0, _) => decimal(10, 0),
            (1, [Some(precision), _]) => decimal(if precision == 0 { 10 } else { precision }, 0),
            (2, [Some(precision), Some(scale)]) => decimal(if precision == 0 { 10 } else { precision }, scale),
            _ => None,
        }
        .unwrap_or(DataType::Utf8),
        "date" => DataType::Date32,
        "datetime" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "year" => DataType::Int16,
        "binary" | "varbinary" | "blob" | "tinyblob" | "mediumblob" | "longblob" => DataType::Binary,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" | "vector" => DataType::Binary,
        "char" | "character" | "varchar" | "varcharacter" | "varying" | "nchar" | "nvarchar" | "text" | "tinytext"
        | "mediumtext" | "longtext" | "enum" | "set" => return (DataType::Utf8, true),
        _ => DataType::Utf8,
    };
    (arrow, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, DataType, bool) {
        let read = read_type(&mut Lexer::new(text, SqlFamily::MySql)).unwrap().unwrap();
        match read.sql {
            SqlType::Arrow(arrow) => (read.declared, arrow, read.is_text),
            SqlType::Named(name) => panic!("{name} is looked up"),
        }
    }

    #[test]
    fn each_type_gives_its_arrow_type_and_normal_text() {
        let us = TimeUnit::Microsecond;
        let cases: &[(&str, &str, DataType)] = &[
            ("tinyint(1) NOT NULL", "tinyint(1)", DataType::Int8),
            ("tinyint(3) unsigned", "tinyint(3) unsigned", DataType::UInt8),
            ("bool", "bool", DataType::Int8),
            ("smallint(5) UNSIGNED", "smallint(5) UNSIGNED", DataType::UInt16),
            ("mediumint(9)", "mediumint(9)", DataType::Int32),
            ("int(5) zerofill", "int(5) zerofill", DataType::UInt32),
            ("int signed", "int signed", DataType::Int32),
            ("bigint unsigned AUTO_INCREMENT", "bigint unsigned", DataType::UInt64),
            ("bigint", "bigint", DataType::Int64),
            ("serial", "serial", DataType::UInt64),
            ("bit(64)", "bit(64)", DataType::UInt64),
            ("float(7,3)", "float(7,3)", DataType::Float32),
            ("float(53)", "float(53)", DataType::Float64),
            ("double precision", "double precision", DataType::Float64),
            ("real unsigned", "real unsigned", DataType::Float64),
            ("decimal", "decimal", DataType::Decimal128(10, 0)),
            ("decimal(5) unsigned", "decimal(5) unsigned", DataType::Decimal128(5, 0)),
            ("decimal(38,10)", "decimal(38,10)", DataType::Decimal128(38, 10)),
            ("decimal(65, 30)", "decimal(65,30)", DataType::Utf8),
            ("date", "date", DataType::Date32),
            ("datetime(6)", "datetime(6)", DataType::Timestamp(us, None)),
            ("timestamp(3) NULL", "timestamp(3)", DataType::Timestamp(us, Some("UTC".into()))),
            ("time(6)", "time(6)", DataType::Utf8),
            ("year(4)", "year(4)", DataType::Int16),
            ("varbinary(20)", "varbinary(20)", DataType::Binary),
            ("longblob", "longblob", DataType::Binary),
            ("point NOT NULL", "point", DataType::Binary),
            ("long varbinary", "long varbinary", DataType::Binary),
            ("json", "json", DataType::Utf8),
            ("uuid", "uuid", DataType::Utf8),
            ("inet6", "inet6", DataType::Utf8),
            ("mariadb_schema.date", "mariadb_schema.date", DataType::Date32),
            ("`odd type`(3)", "`odd type`(3)", DataType::Utf8),
        ];
        for (text, declared, arrow) in cases {
            assert_eq!(read(text), ((*declared).to_owned(), arrow.clone(), false), "{text}");
        }
    }

    #[test]
    fn text_kinds_say_that_a_character_set_counts() {
        let cases = [
            ("char(5) BYTE", "char(5)"),
            ("national varchar(10)", "national varchar(10)"),
            ("character varying(3)", "character varying(3)"),
            ("long varchar", "long varchar"),
            ("enum('a, (b)','it''s','\\'') NOT NULL", "enum('a, (b)','it''s','\\'')"),
            ("set('p','q r')", "set('p','q r')"),
            ("longtext", "longtext"),
        ];
        for (text, declared) in cases {
            assert_eq!(read(text), (declared.to_owned(), DataType::Utf8, true), "{text}");
        }
    }

    #[test]
    fn no_type_is_none_and_a_cut_type_a_fault() {
        for text in ["", "NOT NULL", ", b int", "COMMENT 'x'", "'x'"] {
            assert!(read_type(&mut Lexer::new(text, SqlFamily::MySql)).unwrap().is_none(), "{text}");
        }
        for text in ["decimal(1", "enum('a'", "enum('a"] {
            assert!(read_type(&mut Lexer::new(text, SqlFamily::MySql)).is_err(), "{text}");
        }
    }
}
