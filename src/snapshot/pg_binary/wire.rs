//! How PostgreSQL sends a column: the binary form of its type, by the type's number or guessed from an Arrow type.
//!
//! Numbers are those of `pg_type.dat`. It knows no types of extensions but by their name, and no composite, range,
//! geometric and text search types: [`PgWire::Other`] is refused when a decoder is made.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};

/// The binary form of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PgWire {
    /// boolean: one byte.
    Bool,
    /// smallint.
    Int2,
    /// integer.
    Int4,
    /// bigint.
    Int8,
    /// real.
    Float4,
    /// double precision.
    Float8,
    /// numeric: groups of four decimal digits.
    Numeric,
    /// text, varchar, bpchar (with its padding), json, xml, name, citext, enums: the text itself.
    Text,
    /// Text of a file that does not tell types: bytes that are rather those of another type are refused.
    Untyped,
    /// "char": one byte of any value.
    Char,
    /// jsonb: the byte 1, then text.
    Jsonb,
    /// bytea.
    Bytea,
    /// date: days since 2000-01-01.
    Date,
    /// time: microseconds.
    Time,
    /// time with time zone: microseconds, and seconds west of Greenwich.
    TimeTz,
    /// timestamp: microseconds since 2000-01-01.
    Timestamp,
    /// timestamp with time zone: the same, in UTC.
    TimestampTz,
    /// interval: microseconds, days, months.
    Interval,
    /// uuid: 16 bytes.
    Uuid,
    /// oid, xid, cid: an unsigned integer.
    Oid,
    /// money: an integer without its scale.
    Money,
    /// inet.
    Inet,
    /// cidr.
    Cidr,
    /// macaddr, macaddr8.
    MacAddr,
    /// bit, varbit: the number of bits, then bytes.
    Bit,
    /// An array of any number of dimensions.
    Array(Box<Self>),
    /// Any other type, by its name.
    Other(String),
}

impl PgWire {
    /// The SQL name of the type.
    pub(crate) fn name(&self) -> String {
        let name = match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric => "numeric",
            Self::Text | Self::Untyped => "text",
            Self::Char => "\"char\"",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::TimeTz => "time with time zone",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamp with time zone",
            Self::Interval => "interval",
            Self::Uuid => "uuid",
            Self::Oid => "oid",
            Self::Money => "money",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::MacAddr => "macaddr",
            Self::Bit => "bit varying",
            Self::Array(of) => return format!("{}[]", of.name()),
            Self::Other(name) => name,
        };
        name.to_owned()
    }
}

/// The binary form of a type that every server has; any other number is [`PgWire::Other`].
///
/// Enums, domains and citext have numbers of their own in each database: whoever reads pg_type says
/// [`PgWire::Text`] for enums and citext, and the base type's form for a domain.
pub(crate) fn wire_of_oid(oid: u32) -> PgWire {
    let array = |of: PgWire| PgWire::Array(Box::new(of));
    match oid {
        16 => PgWire::Bool,
        17 => PgWire::Bytea,
        18 => PgWire::Char,
        // name, text, json, xml, bpchar, varchar.
        19 | 25 | 114 | 142 | 1042 | 1043 => PgWire::Text,
        20 => PgWire::Int8,
        21 => PgWire::Int2,
        23 => PgWire::Int4,
        // oid, xid, cid.
        26 | 28 | 29 => PgWire::Oid,
        700 => PgWire::Float4,
        701 => PgWire::Float8,
        790 => PgWire::Money,
        774 | 829 => PgWire::MacAddr,
        869 => PgWire::Inet,
        650 => PgWire::Cidr,
        1082 => PgWire::Date,
        1083 => PgWire::Time,
        1266 => PgWire::TimeTz,
        1114 => PgWire::Timestamp,
        1184 => PgWire::TimestampTz,
        1186 => PgWire::Interval,
        1560 | 1562 => PgWire::Bit,
        1700 => PgWire::Numeric,
        2950 => PgWire::Uuid,
        3802 => PgWire::Jsonb,
        1000 => array(PgWire::Bool),
        1001 => array(PgWire::Bytea),
        1002 => array(PgWire::Char),
        199 | 143 | 1003 | 1009 | 1014 | 1015 => array(PgWire::Text),
        1016 => array(PgWire::Int8),
        1005 => array(PgWire::Int2),
        1007 => array(PgWire::Int4),
        1028 | 1011 | 1012 => array(PgWire::Oid),
        1021 => array(PgWire::Float4),
        1022 => array(PgWire::Float8),
        791 => array(PgWire::Money),
        775 | 1040 => array(PgWire::MacAddr),
        1041 => array(PgWire::Inet),
        651 => array(PgWire::Cidr),
        1182 => array(PgWire::Date),
        1183 => array(PgWire::Time),
        1270 => array(PgWire::TimeTz),
        1115 => array(PgWire::Timestamp),
        1185 => array(PgWire::TimestampTz),
        1187 => array(PgWire::Interval),
        1561 | 1563 => array(PgWire::Bit),
        1231 => array(PgWire::Numeric),
        2951 => array(PgWire::Uuid),
        3807 => array(PgWire::Jsonb),
        _ => PgWire::Other(format!("type {oid}")),
    }
}

/// What a column of a file probably is, which does not tell: that which PostgreSQL itself would read from it.
///
/// A guess that the bytes contradict is an error then; but a number of as many bytes as another is taken for it, as an
/// int8 for a timestamp.
pub(crate) fn wire_of_arrow(data_type: &DataType) -> Option<PgWire> {
    Some(match data_type {
        DataType::Boolean => PgWire::Bool,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgWire::Int2,
        DataType::Int32 | DataType::UInt16 => PgWire::Int4,
        DataType::Int64 | DataType::UInt64 => PgWire::Int8,
        DataType::UInt32 => PgWire::Oid,
        DataType::Float32 => PgWire::Float4,
        DataType::Float64 => PgWire::Float8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => PgWire::Numeric,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PgWire::Untyped,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => PgWire::Bytea,
        DataType::Date32 => PgWire::Date,
        DataType::Time32(_) | DataType::Time64(_) => PgWire::Time,
        DataType::Timestamp(_, None) => PgWire::Timestamp,
        DataType::Timestamp(_, Some(_)) => PgWire::TimestampTz,
        DataType::Interval(IntervalUnit::MonthDayNano) => PgWire::Interval,
        DataType::List(of) => PgWire::Array(Box::new(wire_of_arrow(of.data_type())?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_known_is_another_type_by_its_number() {
        assert_eq!(wire_of_oid(600), PgWire::Other("type 600".to_owned()));
        assert_eq!(wire_of_oid(1007).name(), "integer[]");
    }

    #[test]
    fn a_file_is_read_by_the_declared_types() {
        assert_eq!(wire_of_arrow(&DataType::Utf8View), Some(PgWire::Untyped));
        assert_eq!(wire_of_arrow(&DataType::Int64), Some(PgWire::Int8));
        assert_eq!(wire_of_arrow(&DataType::Null), None);
    }
}
