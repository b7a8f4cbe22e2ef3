//! Typed columns out of the fields of CSV records.
//!
//! A value in its usual spelling is read by [`super::quick`], any other by the parser that arrow's CSV decoder, or
//! [`super::convert`], uses for the type. What neither can read makes the whole column None: the caller then has arrow
//! decode the batch, whose error names the value.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    ArrayRef, ArrowPrimitiveType, NullArray, NullBufferBuilder, PrimitiveArray, StringBuilder, StringViewBuilder,
};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use datafusion::arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use regex::Regex;

use super::convert::decimal;
use super::quick;

/// Blocks of the buffer that texts of more than 12 bytes are copied to.
const TEXT_BLOCK: u32 = 256 * 1024;

/// The column as the type itself, or as a text if arrow's decoder lacks the type.
pub(super) fn column<'a>(
    fields: impl ExactSizeIterator<Item = &'a str>,
    data_type: &DataType,
    null_regex: Option<&Regex>,
) -> Option<ArrayRef> {
    let cells = Cells { fields, null_regex };
    match data_type {
        DataType::Null => Some(Arc::new(NullArray::new(cells.fields.len()))),
        DataType::Int8 => integers::<Int8Type>(cells),
        DataType::Int16 => integers::<Int16Type>(cells),
        DataType::Int32 => integers::<Int32Type>(cells),
        DataType::Int64 => integers::<Int64Type>(cells),
        DataType::UInt8 => integers::<UInt8Type>(cells),
        DataType::UInt16 => integers::<UInt16Type>(cells),
        DataType::UInt32 => integers::<UInt32Type>(cells),
        DataType::UInt64 => integers::<UInt64Type>(cells),
        DataType::Float16 => parsed::<Float16Type>(cells),
        DataType::Float32 => parsed::<Float32Type>(cells),
        DataType::Float64 => parsed::<Float64Type>(cells),
        DataType::Decimal32(precision, scale) => decimals::<Decimal32Type>(cells, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimals::<Decimal64Type>(cells, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimals::<Decimal128Type>(cells, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals::<Decimal256Type>(cells, *precision, *scale),
        DataType::Date32 => {
            array::<Date32Type>(cells.values(|text| quick::date(text.as_bytes()).or_else(|| Date32Type::parse(text)))?)
        }
        DataType::Date64 => parsed::<Date64Type>(cells),
        DataType::Time32(TimeUnit::Second) => parsed::<Time32SecondType>(cells),
        DataType::Time32(TimeUnit::Millisecond) => parsed::<Time32MillisecondType>(cells),
        DataType::Time64(TimeUnit::Microsecond) => parsed::<Time64MicrosecondType>(cells),
        DataType::Time64(TimeUnit::Nanosecond) => parsed::<Time64NanosecondType>(cells),
        DataType::Timestamp(TimeUnit::Second, zone) => timestamps::<TimestampSecondType>(cells, zone.as_ref()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            timestamps::<TimestampMillisecondType>(cells, zone.as_ref())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            timestamps::<TimestampMicrosecondType>(cells, zone.as_ref())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => timestamps::<TimestampNanosecondType>(cells, zone.as_ref()),
        DataType::Utf8View => {
            let mut texts = StringViewBuilder::with_capacity(cells.fields.len()).with_fixed_block_size(TEXT_BLOCK);
            cells.each(|text| texts.append_option(text));
            Some(Arc::new(texts.finish()))
        }
        _ => {
            let mut texts = StringBuilder::with_capacity(cells.fields.len(), 0);
            cells.each(|text| texts.append_option(text));
            Some(Arc::new(texts.finish()))
        }
    }
}

/// The fields of one column.
struct Cells<'r, I> {
    fields: I,
    null_regex: Option<&'r Regex>,
}

/// The values of a column, and which of them are valid.
struct Values<N> {
    values: Vec<N>,
    nulls: NullBufferBuilder,
}

impl<'a, I: ExactSizeIterator<Item = &'a str>> Cells<'_, I> {
    /// None is NULL.
    #[inline(always)]
    fn each(self, mut take: impl FnMut(Option<&'a str>)) {
        match self.null_regex {
            None => self.fields.for_each(|text| take((!text.is_empty()).then_some(text))),
            Some(regex) => self.fields.for_each(|text| take((!regex.is_match(text)).then_some(text))),
        }
    }

    /// None if one of them cannot be read.
    #[inline(always)]
    fn values<N: Copy + Default>(self, parse: impl Fn(&str) -> Option<N>) -> Option<Values<N>> {
        let rows = self.fields.len();
        let (mut values, mut nulls) = (Vec::with_capacity(rows), NullBufferBuilder::new(rows));
        let mut all_fit = true;
        self.each(|text| match text {
            None => {
                nulls.append_null();
                values.push(N::default());
            }
            Some(text) => {
                let value = parse(text);
                all_fit &= value.is_some();
                nulls.append_non_null();
                values.push(value.unwrap_or_default());
            }
        });
        all_fit.then_some(Values { values, nulls })
    }
}

fn primitive<T: ArrowPrimitiveType>(mut found: Values<T::Native>) -> PrimitiveArray<T> {
    PrimitiveArray::new(found.values.into(), found.nulls.finish())
}

#[expect(clippy::unnecessary_wraps, reason = "every column may be one that cannot be read")]
fn array<T: ArrowPrimitiveType>(found: Values<T::Native>) -> Option<ArrayRef> {
    Some(Arc::new(primitive::<T>(found)))
}

fn parsed<'a, T: ArrowPrimitiveType + Parser>(
    cells: Cells<'_, impl ExactSizeIterator<Item = &'a str>>,
) -> Option<ArrayRef> {
    array::<T>(cells.values(T::parse)?)
}

fn integers<'a, T>(cells: Cells<'_, impl ExactSizeIterator<Item = &'a str>>) -> Option<ArrayRef>
where
    T: ArrowPrimitiveType + Parser,
    T::Native: TryFrom<i64>,
{
    array::<T>(cells.values(|text| {
        let value = quick::integer(text.as_bytes()).and_then(|value| T::Native::try_from(value).ok());
        value.or_else(|| T::parse(text))
    })?)
}

fn decimals<'a, T>(
    cells: Cells<'_, impl ExactSizeIterator<Item = &'a str>>,
    precision: u8,
    scale: i8,
) -> Option<ArrayRef>
where
    T: DecimalType,
    T::Native: TryFrom<i64>,
{
    let found = cells.values(|text| {
        let value = quick::decimal(text.as_bytes(), precision, scale).and_then(|v| T::Native::try_from(v).ok());
        value.or_else(|| decimal::<T>(text, precision, scale))
    })?;
    let array = primitive::<T>(found).with_precision_and_scale(precision, scale).ok()?;
    Some(Arc::new(array))
}

fn timestamps<'a, T: ArrowTimestampType>(
    cells: Cells<'_, impl ExactSizeIterator<Item = &'a str>>,
    zone: Option<&Arc<str>>,
) -> Option<ArrayRef> {
    let name = zone.map_or("+00:00", |zone| zone.as_ref());
    let parsed_zone: Tz = name.parse().ok()?;
    let is_utc = matches!(name, "+00:00" | "UTC");
    let found = cells.values(|text| {
        let usual = if is_utc { quick::timestamp(text.as_bytes()) } else { None };
        let value = usual.and_then(|(seconds, nanoseconds)| of_unit(T::UNIT, seconds, i64::from(nanoseconds)));
        value.or_else(|| {
            let time = string_to_datetime(&parsed_zone, text).ok()?;
            match T::UNIT {
                TimeUnit::Second => Some(time.timestamp()),
                TimeUnit::Millisecond => Some(time.timestamp_millis()),
                TimeUnit::Microsecond => Some(time.timestamp_micros()),
                TimeUnit::Nanosecond => time.timestamp_nanos_opt(),
            }
        })
    })?;
    Some(Arc::new(primitive::<T>(found).with_timezone_opt(zone.cloned())))
}

fn of_unit(unit: TimeUnit, seconds: i64, nanoseconds: i64) -> Option<i64> {
    let (per_second, nanoseconds_each) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    seconds.checked_mul(per_second)?.checked_add(nanoseconds / nanoseconds_each)
}
