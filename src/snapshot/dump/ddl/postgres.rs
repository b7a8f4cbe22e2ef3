//! PostgreSQL types: their words, and the Arrow type that holds every value.
//!
//! What Arrow cannot hold exactly is text as the server prints it: money, intervals, arrays, ranges, numeric without
//! a precision. A type of another schema than pg_catalog is never a built-in one, whatever its name: `public.date`
//! may be a domain. Values beyond the Arrow type (NaN, infinity, years BC) are the matter of the reader of rows.
//!
//! ```text
//!   timestamp(3) with time zone -> Timestamp(us, "UTC")    public."Order Status"[] -> Utf8
//!   numeric(65,30)              -> Utf8, exact         public.eur              -> named, looked up later
//! ```
//!
//! It fails only where a type does not end.

use super::lex::{Kind, Lexer, Token};
use super::names::name_of;
use super::types::{Args, Declared, ReadType, SqlType, decimal, read_args};
use super::{DdlFault, SqlName};
use datafusion::arrow::datatypes::{DataType, TimeUnit};

/// Words that begin what stands behind a type, so that a column that has only them has no type.
const NOT_TYPES: &[&str] = &[
    "as",
    "check",
    "collate",
    "constraint",
    "default",
    "generated",
    "not",
    "null",
    "primary",
    "references",
    "unique",
    "with",
];

/// Words of the built-in types that are two or more words, by their first.
const LONGER: &[(&str, &str)] =
    &[("double", "precision"), ("character", "varying"), ("char", "varying"), ("bit", "varying"), ("nchar", "varying")];

/// Fields of an interval.
const FIELDS: &[&str] = &["year", "month", "day", "hour", "minute", "second", "to"];

/// Built-in types that are text; others that are not known are too, unless a domain has their name.
const TEXT: &[&str] = &[
    "text",
    "varchar",
    "character varying",
    "char varying",
    "char",
    "character",
    "bpchar",
    "name",
    "nchar",
    "nchar varying",
    "json",
    "jsonb",
    "jsonpath",
    "xml",
    "uuid",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "bit",
    "bit varying",
    "varbit",
    "money",
    "interval",
    "timetz",
    "tsvector",
    "tsquery",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "xid",
    "cid",
    "tid",
    "regclass",
    "regtype",
    "regproc",
];

/// Standard names that are grammar and not names of types: quoted, they mean something else.
const GRAMMAR: &[&str] =
    &["boolean", "smallint", "integer", "int", "bigint", "real", "float", "decimal", "dec", "serial"];

/// Reads the type of a column; None when nothing that can be one comes next.
pub(super) fn read_type(lexer: &mut Lexer<'_>) -> Result<Option<ReadType>, DdlFault> {
    let Some(first) = lexer.peek()? else { return Ok(None) };
    if !matches!(first.kind, Kind::Word | Kind::Name) || first.is_any(NOT_TYPES) {
        return Ok(None);
    }
    let mut declared = Declared::default();
    take(lexer, &mut declared)?;
    let mut quoted = first.kind == Kind::Name;
    let mut name = SqlName { schema: None, name: name_of(&first, lexer)? };
    while lexer.peek()?.is_some_and(|point| point.is_mark(b'.')) {
        take(lexer, &mut declared)?;
        let Some(token) = lexer.next_token()? else { return Err(lexer.open("a type", first.at)) };
        declared.push(&token);
        quoted = token.kind == Kind::Name;
        name = SqlName { schema: Some(name.name), name: name_of(&token, lexer)? };
    }
    let bare = name.schema.is_none() && !quoted;
    if bare {
        read_words(lexer, &mut declared, &mut name.name)?;
    }
    let args = read_args(lexer, &mut declared)?;
    let zoned = bare && matches!(name.name.as_str(), "time" | "timestamp") && read_zone(lexer, &mut declared)?;
    let mut sql = known(&name, quoted, args, zoned).map_or(SqlType::Named(name), SqlType::Arrow);
    if read_array(lexer, &mut declared)? {
        sql = SqlType::Arrow(DataType::Utf8);
    }
    Ok(Some(ReadType { declared: declared.into_text(), sql, is_text: false }))
}

/// Takes one token into the declared text.
fn take(lexer: &mut Lexer<'_>, declared: &mut Declared) -> Result<(), DdlFault> {
    if let Some(token) = lexer.next_token()? {
        declared.push(&token);
    }
    Ok(())
}

/// Reads the further words of a type of several words.
fn read_words(lexer: &mut Lexer<'_>, declared: &mut Declared, name: &mut String) -> Result<(), DdlFault> {
    let next_is = |lexer: &Lexer<'_>, words: &[&str]| -> Result<bool, DdlFault> {
        Ok(lexer.peek()?.is_some_and(|token: Token<'_>| token.is_any(words)))
    };
    if name == "national" && next_is(lexer, &["char", "character"])? {
        take(lexer, declared)?;
        *name = "char".to_owned();
    }
    if name == "interval" {
        while next_is(lexer, FIELDS)? {
            take(lexer, declared)?;
        }
    }
    for (first, second) in LONGER {
        if name == first && next_is(lexer, &[second])? {
            take(lexer, declared)?;
            *name = format!("{first} {second}");
            break;
        }
    }
    Ok(())
}

/// Reads `with time zone` (true) or `without time zone`. `WITH OPTIONS` stays.
fn read_zone(lexer: &mut Lexer<'_>, declared: &mut Declared) -> Result<bool, DdlFault> {
    for (word, zoned) in [("with", true), ("without", false)] {
        if lexer.clone().take_words(&[word, "time", "zone"])? {
            for _ in 0..3 {
                take(lexer, declared)?;
            }
            return Ok(zoned);
        }
    }
    Ok(false)
}

/// Reads `[]`, `[3][]` or `ARRAY[4]`; says whether there was one.
fn read_array(lexer: &mut Lexer<'_>, declared: &mut Declared) -> Result<bool, DdlFault> {
    let mut array = false;
    loop {
        match lexer.peek()? {
            Some(word) if word.is("array") && !array => take(lexer, declared)?,
            Some(open) if open.is_mark(b'[') => loop {
                match lexer.next_token()? {
                    None => return Err(lexer.open("a type", open.at)),
                    Some(token) => {
                        declared.push(&token);
                        if token.is_mark(b']') {
                            break;
                        }
                    }
                }
            },
            _ => return Ok(array),
        }
        array = true;
    }
}

/// The Arrow type of a built-in type, or None for a name that must be looked up.
fn known(name: &SqlName, quoted: bool, args: Args, zoned: bool) -> Option<DataType> {
    match name.schema.as_deref() {
        None | Some("pg_catalog") => {}
        Some(_) => return None,
    }
    let word = name.name.as_str();
    if quoted && GRAMMAR.contains(&word) {
        return None;
    }
    let timestamp = |zone: bool| DataType::Timestamp(TimeUnit::Microsecond, zone.then(|| "UTC".into()));
    Some(match word {
        "boolean" | "bool" => DataType::Boolean,
        "smallint" | "int2" | "smallserial" => DataType::Int16,
        "integer" | "int" | "int4" | "serial" | "serial4" => DataType::Int32,
        "bigint" | "int8" | "bigserial" | "serial8" => DataType::Int64,
        "real" | "float4" => DataType::Float32,
        "float" if matches!(args.numbers[0], Some(..=24)) => DataType::Float32,
        "float" | "double precision" | "float8" => DataType::Float64,
        "numeric" | "decimal" | "dec" => match (args.count, args.numbers) {
            (1, [Some(precision), _]) => decimal(precision, 0),
            (2, [Some(precision), Some(scale)]) => decimal(precision, scale),
            _ => None,
        }
        .unwrap_or(DataType::Utf8),
        "bytea" => DataType::Binary,
        "oid" => DataType::UInt32,
        "date" => DataType::Date32,
        "time" if zoned => DataType::Utf8,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => timestamp(zoned),
        "timestamptz" => timestamp(true),
        _ if TEXT.contains(&word) => DataType::Utf8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::dump::SqlFamily;

    fn read(text: &str) -> (String, SqlType) {
        let read = read_type(&mut Lexer::new(text, SqlFamily::Postgres)).unwrap().unwrap();
        (read.declared, read.sql)
    }

    #[test]
    fn each_type_gives_its_arrow_type_and_normal_text() {
        let us = TimeUnit::Microsecond;
        let cases: &[(&str, &str, DataType)] = &[
            ("int8 NOT NULL", "int8", DataType::Int64),
            ("smallint", "smallint", DataType::Int16),
            ("INTEGER DEFAULT 1", "INTEGER", DataType::Int32),
            ("double  precision", "double precision", DataType::Float64),
            ("float(24)", "float(24)", DataType::Float32),
            ("float(25)", "float(25)", DataType::Float64),
            ("real", "real", DataType::Float32),
            ("numeric ( 38 , 10 )", "numeric(38,10)", DataType::Decimal128(38, 10)),
            ("numeric(39)", "numeric(39)", DataType::Utf8),
            ("numeric(76,76)", "numeric(76,76)", DataType::Utf8),
            ("numeric(77,1)", "numeric(77,1)", DataType::Utf8),
            ("numeric(5,-2)", "numeric(5,-2)", DataType::Utf8),
            ("numeric(2,5)", "numeric(2,5)", DataType::Utf8),
            ("numeric(99999999999999999999,2)", "numeric(99999999999999999999,2)", DataType::Utf8),
            ("numeric", "numeric", DataType::Utf8),
            ("numeric(5,2)[]", "numeric(5,2)[]", DataType::Utf8),
            ("integer[3][]", "integer[3][]", DataType::Utf8),
            ("integer ARRAY[4]", "integer ARRAY[4]", DataType::Utf8),
            ("character varying(20)[]", "character varying(20)[]", DataType::Utf8),
            ("timestamp(3) with time zone", "timestamp(3) with time zone", DataType::Timestamp(us, Some("UTC".into()))),
            ("timestamp (0) without time zone", "timestamp(0) without time zone", DataType::Timestamp(us, None)),
            ("timestamp WITH OPTIONS", "timestamp", DataType::Timestamp(us, None)),
            ("pg_catalog.timestamptz(6)", "pg_catalog.timestamptz(6)", DataType::Timestamp(us, Some("UTC".into()))),
            ("time(2) with time zone", "time(2) with time zone", DataType::Utf8),
            ("time without time zone", "time without time zone", DataType::Time64(us)),
            ("interval day to second(3) NOT NULL", "interval day to second(3)", DataType::Utf8),
            ("bit varying(7)", "bit varying(7)", DataType::Utf8),
            ("\"char\" NOT NULL", "\"char\"", DataType::Utf8),
            ("pg_catalog.\"char\"", "pg_catalog.\"char\"", DataType::Utf8),
            ("national character varying(3)", "national character varying(3)", DataType::Utf8),
            ("bytea", "bytea", DataType::Binary),
            ("oid", "oid", DataType::UInt32),
            ("date", "date", DataType::Date32),
            ("boolean", "boolean", DataType::Boolean),
        ];
        for (text, declared, arrow) in cases {
            assert_eq!(read(text), ((*declared).to_owned(), SqlType::Arrow(arrow.clone())), "{text}");
        }
    }

    #[test]
    fn type_of_another_schema_or_a_quoted_grammar_word_is_looked_up() {
        let named = |schema: Option<&str>, name: &str| {
            SqlType::Named(SqlName { schema: schema.map(str::to_owned), name: name.to_owned() })
        };
        assert_eq!(read("public.date"), ("public.date".into(), named(Some("public"), "date")));
        let odd = named(Some("public"), "Order, (S)");
        assert_eq!(read("public.\"Order, (S)\" DEFAULT 1"), ("public.\"Order, (S)\"".into(), odd));
        assert_eq!(read("\"integer\""), ("\"integer\"".into(), named(None, "integer")));
        assert_eq!(read("public.geometry( Point, 4326 )").0, "public.geometry(Point,4326)");
        assert_eq!(read("\"int4\"").1, SqlType::Arrow(DataType::Int32));
    }

    #[test]
    fn no_type_is_none_and_a_cut_type_a_fault() {
        for text in ["", "NOT NULL", ", b int", ")", "12", "'x'", "DEFAULT 1"] {
            assert!(read_type(&mut Lexer::new(text, SqlFamily::Postgres)).unwrap().is_none(), "{text}");
        }
        for text in ["numeric(1", "numeric(1;", "integer[", "public."] {
            let read = read_type(&mut Lexer::new(text, SqlFamily::Postgres));
            assert!(!matches!(read, Ok(Some(_))), "{text}");
        }
    }
}
