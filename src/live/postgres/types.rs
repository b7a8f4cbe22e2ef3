//! PostgreSQL types of columns: the Arrow type that holds every value, and how the column is asked for.
//!
//! What Arrow cannot hold exactly is asked for as text, written by the type's own output function, as COPY's text
//! format and psql print it. A cast to text would not do: that of char(n) loses blanks, that of inet adds a netmask,
//! and users may define their own.
//!
//! ```text
//!   integer        "id"                                  Int32
//!   numeric(12,2)  "total"                               Decimal128(12, 2)
//!   text[]         pg_catalog.array_out("tags")::text    Utf8
//! ```
//!
//! Values beyond the Arrow type (infinity, NaN, years BC) are the matter of the decoder; a column that has some can be
//! asked for as text.

use crate::snapshot::pg_binary::{PgWire, wire_of_oid};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};

use super::quote::{identifier, qualified};

/// A type as the catalogue has it, domains resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgType {
    /// Of the base type; the numbers of built-in types never change.
    pub(crate) oid: u32,
    pub(crate) typmod: i32,
    /// Schema and name of the output function.
    pub(crate) output: (String, String),
    /// Schema and name of the type itself where the column's is a domain over it: some output functions take no
    /// domains.
    pub(crate) base: Option<(String, String)>,
}

/// Numbers of built-in types, from `pg_type.dat`.
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const BYTEA: u32 = 17;
    pub(super) const NAME: u32 = 19;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const TEXT: u32 = 25;
    pub(super) const OID: u32 = 26;
    pub(super) const JSON: u32 = 114;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIME: u32 = 1083;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const UUID: u32 = 2950;
    pub(super) const JSONB: u32 = 3802;
}

/// How a column comes and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgReading {
    /// What the server sends.
    pub(crate) wire: PgWire,
    /// What it is in the lake.
    pub(crate) arrow: DataType,
    /// Whether the server writes it as text.
    pub(crate) printed: bool,
}

impl PgReading {
    /// How a type is read. `as_text` is the user's wish.
    pub(crate) fn of(sql: &PgType, as_text: bool) -> Self {
        let found = if as_text { None } else { built_in(sql) };
        found.map_or(Self { wire: PgWire::Text, arrow: DataType::Utf8, printed: true }, |(wire, arrow)| Self {
            wire,
            arrow,
            printed: false,
        })
    }

    /// The column in the list of a SELECT.
    pub(crate) fn expression(&self, column: &str, sql: &PgType) -> String {
        let name = identifier(column);
        if self.printed {
            let (schema, function) = &sql.output;
            let cast = sql.base.as_ref().map(|(schema, base)| format!("::{}", qualified(schema, base)));
            format!("{}({name}{})::pg_catalog.text", qualified(schema, function), cast.unwrap_or_default())
        } else {
            name
        }
    }
}

fn built_in(sql: &PgType) -> Option<(PgWire, DataType)> {
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let arrow = match sql.oid {
        oid::BOOL => DataType::Boolean,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 | oid::OID => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => decimal(sql.typmod).unwrap_or(DataType::Utf8),
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => micros(None),
        oid::TIMESTAMPTZ => micros(Some("UTC")),
        oid::BYTEA => DataType::Binary,
        // The wire has the blanks of char(n), and json as it was written.
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::JSONB | oid::UUID => DataType::Utf8,
        _ => return None,
    };
    Some((wire_of_oid(sql.oid), arrow))
}

/// The decimal that holds numeric(p,s); none for numeric without a precision, and for more digits than Arrow has.
///
/// From PostgreSQL 15 on the scale may be negative, or greater than the precision: neither is a decimal of Parquet.
fn decimal(typmod: i32) -> Option<DataType> {
    let bits = u32::try_from(typmod.checked_sub(4)?).ok()?;
    let precision = bits >> 16;
    let scale = i32::try_from((bits & 0x7ff) ^ 1024).ok()? - 1024;
    let digits = match u32::try_from(scale) {
        Ok(scale) => precision.max(scale),
        Err(_) => precision + scale.unsigned_abs(),
    };
    let (digits, scale) = (u8::try_from(digits).ok()?, i8::try_from(scale.max(0)).ok()?);
    match digits {
        1..=DECIMAL128_MAX_PRECISION => Some(DataType::Decimal128(digits, scale)),
        0 => None,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typmod(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn numerics_become_decimals_that_parquet_has() {
        for ((precision, scale), expected) in [
            ((12, 2), Some(DataType::Decimal128(12, 2))),
            ((38, 10), Some(DataType::Decimal128(38, 10))),
            ((65, 30), None),
            ((77, 0), None),
            ((2, -3), Some(DataType::Decimal128(5, 0))),
            ((3, 5), Some(DataType::Decimal128(5, 5))),
            ((1000, 0), None),
        ] {
            assert_eq!(decimal(typmod(precision, scale)), expected, "numeric({precision},{scale})");
        }
        assert_eq!(decimal(-1), None);
    }

    #[test]
    fn what_arrow_cannot_hold_is_printed_by_its_output_function() {
        let sql =
            PgType { oid: 1009, typmod: -1, output: ("pg_catalog".to_owned(), "array_out".to_owned()), base: None };
        let read = PgReading::of(&sql, false);
        assert_eq!(read.expression("a\"b", &sql), "\"pg_catalog\".\"array_out\"(\"a\"\"b\")::pg_catalog.text");
        let date =
            PgType { oid: oid::DATE, typmod: -1, output: ("pg_catalog".to_owned(), "date_out".to_owned()), base: None };
        assert_eq!(PgReading::of(&date, false).arrow, DataType::Date32);
        assert_eq!(PgReading::of(&date, true).arrow, DataType::Utf8);
    }
}
