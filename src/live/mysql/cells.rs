//! Values of the binary protocol, straight into Arrow columns.
//!
//! Every value is exact or an error: integers keep their range, decimals their digits, dates are days that exist. A
//! zero date (`0000-00-00`), and a day such as `2024-02-31` that ALLOW_INVALID_DATES lets in, has no value in Arrow;
//! they are errors, never NULL. The server sends DATE, DATETIME and TIMESTAMP as numbers, so no text is parsed; TIME is
//! asked for as text. Format: "Binary Protocol Resultset" of the MySQL documentation.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use mysql_async::Value;

use super::catalog::{MySqlColumn, Sent};
use crate::snapshot::values::numeral::Numeral;
use crate::snapshot::values::quick;

/// Days from 0001-01-01 to 1970-01-01, counted as chrono does.
const EPOCH: i32 = 719_163;
/// Letters of a value that an error shows.
const SHOWN: usize = 80;

/// Why a value cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MySqlMisfit(&'static str);

const NO_DATE: MySqlMisfit = MySqlMisfit("is no day of the calendar");
const NO_TIME: MySqlMisfit = MySqlMisfit("is no time of a day");
const TOO_LARGE: MySqlMisfit = MySqlMisfit("is beyond the range of its type");
const OTHER_KIND: MySqlMisfit = MySqlMisfit("is not of the type that the catalogue has for the column");
const NOT_UTF8: MySqlMisfit = MySqlMisfit("is not UTF-8");

/// A column that grows.
pub(super) enum MySqlCells {
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt8(UInt8Builder),
    UInt16(UInt16Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Bits(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Micros(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

macro_rules! each {
    ($self:expr, $builder:ident => $body:expr) => {
        match $self {
            MySqlCells::Int8($builder) => $body,
            MySqlCells::Int16($builder) => $body,
            MySqlCells::Int32($builder) => $body,
            MySqlCells::Int64($builder) => $body,
            MySqlCells::UInt8($builder) => $body,
            MySqlCells::UInt16($builder) => $body,
            MySqlCells::UInt32($builder) => $body,
            MySqlCells::UInt64($builder) | MySqlCells::Bits($builder) => $body,
            MySqlCells::Float32($builder) => $body,
            MySqlCells::Float64($builder) => $body,
            MySqlCells::Decimal($builder, ..) => $body,
            MySqlCells::Date($builder) => $body,
            MySqlCells::Micros($builder) => $body,
            MySqlCells::Text($builder) => $body,
            MySqlCells::Bytes($builder) => $body,
        }
    };
}

impl MySqlCells {
    /// None for a type that no column of MySQL becomes.
    pub(super) fn new(column: &MySqlColumn) -> Option<Self> {
        Some(match &column.arrow {
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt8 => Self::UInt8(UInt8Builder::new()),
            DataType::UInt16 => Self::UInt16(UInt16Builder::new()),
            DataType::UInt32 => Self::UInt32(UInt32Builder::new()),
            DataType::UInt64 if column.sent == Sent::Bits => Self::Bits(UInt64Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(column.arrow.clone());
                Self::Decimal(builder, *precision, *scale)
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Micros(TimestampMicrosecondBuilder::new().with_data_type(column.arrow.clone()))
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Bytes(BinaryBuilder::new()),
            _ => return None,
        })
    }

    /// Adds a value.
    ///
    /// # Errors
    /// [`MySqlMisfit`]; then nothing was added.
    pub(super) fn push(&mut self, value: &Value) -> Result<(), MySqlMisfit> {
        if *value == Value::NULL {
            each!(self, builder => builder.append_null());
            return Ok(());
        }
        match self {
            Self::Int8(builder) => builder.append_value(integer(value)?),
            Self::Int16(builder) => builder.append_value(integer(value)?),
            Self::Int32(builder) => builder.append_value(integer(value)?),
            Self::Int64(builder) => builder.append_value(integer(value)?),
            Self::UInt8(builder) => builder.append_value(integer(value)?),
            Self::UInt16(builder) => builder.append_value(integer(value)?),
            Self::UInt32(builder) => builder.append_value(integer(value)?),
            Self::UInt64(builder) => builder.append_value(integer(value)?),
            Self::Bits(builder) => builder.append_value(bits(value)?),
            Self::Float32(builder) => match value {
                Value::Float(value) => builder.append_value(*value),
                _ => return Err(OTHER_KIND),
            },
            Self::Float64(builder) => match value {
                Value::Double(value) => builder.append_value(*value),
                Value::Float(value) => builder.append_value((*value).into()),
                _ => return Err(OTHER_KIND),
            },
            Self::Decimal(builder, precision, scale) => builder.append_value(decimal(value, *precision, *scale)?),
            Self::Date(builder) => builder.append_value(moment(value)?.0),
            Self::Micros(builder) => {
                let (days, micros) = moment(value)?;
                builder.append_value(i64::from(days) * 86_400_000_000 + micros);
            }
            Self::Text(builder) => match value {
                // The fewest digits that are this number and no other.
                Value::Float(value) => builder.append_value(value.to_string()),
                _ => builder.append_value(std::str::from_utf8(bytes(value)?).map_err(|_| NOT_UTF8)?),
            },
            Self::Bytes(builder) => builder.append_value(bytes(value)?),
        }
        Ok(())
    }

    /// What was added, as one array; the column is empty then.
    pub(super) fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}

impl MySqlMisfit {
    /// `'0000-00-00' is no day of the calendar`
    pub(super) fn describe(self, value: &Value) -> String {
        format!("'{}' {}", shown(value), self.0)
    }
}

/// The bytes of a value, for the size of a batch.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len() + size_of::<i32>(),
        _ => size_of::<i64>(),
    }
}

fn integer<T: TryFrom<i64> + TryFrom<u64>>(value: &Value) -> Result<T, MySqlMisfit> {
    match value {
        Value::Int(value) => T::try_from(*value).map_err(|_| TOO_LARGE),
        Value::UInt(value) => T::try_from(*value).map_err(|_| TOO_LARGE),
        _ => Err(OTHER_KIND),
    }
}

/// Up to eight bytes, the highest first.
fn bits(value: &Value) -> Result<u64, MySqlMisfit> {
    let bytes = bytes(value)?;
    if bytes.len() > size_of::<u64>() {
        return Err(TOO_LARGE);
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn decimal(value: &Value, precision: u8, scale: i8) -> Result<i128, MySqlMisfit> {
    let bytes = bytes(value)?;
    if let Some(value) = quick::decimal(bytes, precision, scale) {
        return Ok(value.into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| OTHER_KIND)?;
    let numeral = Numeral::of_text(text).ok_or(OTHER_KIND)?;
    numeral.decimal(precision, scale).ok_or(TOO_LARGE)
}

fn bytes(value: &Value) -> Result<&[u8], MySqlMisfit> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(OTHER_KIND),
    }
}

/// Days since 1970-01-01, and microseconds of the day.
fn moment(value: &Value) -> Result<(i32, i64), MySqlMisfit> {
    let Value::Date(year, month, day, hour, minute, second, micros) = *value else { return Err(OTHER_KIND) };
    let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).ok_or(NO_DATE)?;
    if hour > 23 || minute > 59 || second > 59 || micros > 999_999 {
        return Err(NO_TIME);
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Ok((chrono::Datelike::num_days_from_ce(&date) - EPOCH, seconds * 1_000_000 + i64::from(micros)))
}

/// A value as the server prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.chars().take(SHOWN).collect(),
            Err(_) => bytes.iter().take(SHOWN / 2).fold("\\x".to_owned(), |mut text, byte| {
                // Writing to a String does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            }),
        },
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Date(year, month, day, 0, 0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let fraction = if *micros == 0 { String::new() } else { format!(".{micros:06}") };
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}")
        }
        Value::Time(is_negative, days, hours, minutes, seconds, micros) => {
            let sign = if *is_negative { "-" } else { "" };
            format!("{sign}{:02}:{minutes:02}:{seconds:02}.{micros:06}", days * 24 + u32::from(*hours))
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::{
        Date32Type, Decimal128Type, Float32Type, Int8Type, TimestampMicrosecondType, UInt64Type,
    };

    use super::*;

    fn cells(sql_type: &str) -> MySqlCells {
        MySqlCells::new(&MySqlColumn::new("c".into(), sql_type.into(), Some("utf8mb4"), false).unwrap()).unwrap()
    }

    fn column(sql_type: &str, values: &[Value]) -> ArrayRef {
        let mut cells = cells(sql_type);
        for value in values {
            cells.push(value).unwrap();
        }
        cells.finish()
    }

    fn refused(sql_type: &str, value: &Value) -> String {
        cells(sql_type).push(value).unwrap_err().describe(value)
    }

    fn octets(text: &str) -> Value {
        Value::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn limits_of_each_type_are_exact_and_null_stays_null() {
        let found = column("bigint unsigned", &[Value::UInt(u64::MAX), Value::Int(7), Value::NULL]);
        assert_eq!(found.as_primitive::<UInt64Type>().iter().collect::<Vec<_>>(), [Some(u64::MAX), Some(7), None]);
        let found = column("tinyint", &[Value::Int(-128), Value::Int(127)]);
        assert_eq!(found.as_primitive::<Int8Type>().values()[..], [-128, 127]);
        let found = column("bit(64)", &[Value::Bytes(vec![0xff; 8]), Value::Bytes(vec![1, 0])]);
        assert_eq!(found.as_primitive::<UInt64Type>().values()[..], [u64::MAX, 256]);
        let found = column("float", &[Value::Float(0.1), Value::Float(f32::MAX)]);
        assert_eq!(found.as_primitive::<Float32Type>().values()[..], [0.1, f32::MAX]);
        let decimals = ["99999999999999999999999999999999999999", "-0.01", "-0.00"].map(octets);
        assert_eq!(
            column("decimal(38,0)", &decimals[..1]).as_primitive::<Decimal128Type>().value(0),
            10_i128.pow(38) - 1
        );
        assert_eq!(column("decimal(5,2)", &decimals[1..]).as_primitive::<Decimal128Type>().values()[..], [-1, 0]);
    }

    #[test]
    fn texts_keep_empty_apart_from_null_and_bytes_stay() {
        let found = column("text", &[octets(""), Value::NULL, octets("ünï 😀")]);
        assert_eq!(found.as_string::<i32>().iter().collect::<Vec<_>>(), [Some(""), None, Some("ünï 😀")]);
        let found = column("blob", &[Value::Bytes(vec![0, 255])]);
        assert_eq!(found.as_binary::<i32>().value(0), [0, 255]);
        assert_eq!(refused("text", &Value::Bytes(vec![b'a', 0xff])), "'\\x61ff' is not UTF-8");
    }

    #[test]
    fn float_as_text_has_the_digits_that_make_it() {
        let of = MySqlColumn::new("c".into(), "float".into(), None, true).unwrap();
        let mut cells = MySqlCells::new(&of).unwrap();
        let numbers = [0.1, 16_777_216.0, -1234.56, f32::MAX, f32::MIN_POSITIVE];
        for number in numbers {
            cells.push(&Value::Float(number)).unwrap();
        }
        let found = cells.finish();
        let texts: Vec<&str> = found.as_string::<i32>().iter().flatten().collect();
        assert_eq!(texts[..2], ["0.1", "16777216"]);
        assert_eq!(texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<f32>>(), numbers);
    }

    #[test]
    fn dates_are_days_that_exist_or_refused() {
        let found = column("date", &[Value::Date(1970, 1, 2, 0, 0, 0, 0), Value::Date(1000, 1, 1, 0, 0, 0, 0)]);
        assert_eq!(found.as_primitive::<Date32Type>().values()[..], [1, -354_285]);
        let late = Value::Date(9999, 12, 31, 23, 59, 59, 999_999);
        let found = column("timestamp(6)", &[late]);
        assert_eq!(found.as_primitive::<TimestampMicrosecondType>().values()[..], [253_402_300_799_999_999]);
        assert_eq!(found.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        let zero = Value::Date(0, 0, 0, 0, 0, 0, 0);
        assert_eq!(refused("date", &zero), "'0000-00-00' is no day of the calendar");
        assert_eq!(
            refused("datetime", &Value::Date(2024, 2, 30, 1, 2, 3, 0)),
            "'2024-02-30 01:02:03' is no day of the calendar"
        );
    }

    #[test]
    fn values_that_the_column_cannot_have_are_refused() {
        assert_eq!(refused("tinyint", &Value::Int(128)), "'128' is beyond the range of its type");
        assert_eq!(refused("int unsigned", &Value::Int(-1)), "'-1' is beyond the range of its type");
        assert_eq!(refused("decimal(3,1)", &octets("100.0")), "'100.0' is beyond the range of its type");
        assert!(refused("int", &octets("x")).starts_with("'x' is not of the type"));
    }
}
