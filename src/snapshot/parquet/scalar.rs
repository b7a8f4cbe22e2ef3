//! Values without parts, read as another type exactly or not at all.
//!
//! The engine's casts cut: 1.5 becomes 1, microseconds become milliseconds, text becomes NULL. Here a value is cast
//! and, where the pair of types can lose something, cast back and compared:
//!
//! ```text
//! Float64 1.5 -> Int32 1 -> Float64 1.0      1.5 cannot be read as INT
//! ```
//!
//! A number is no moment in time. Text is read as a field of CSV is (`columns`). A float is the decimal that its
//! shortest text says, 0.1 and not 0.1000000015. A moment with a zone is read as one without by its time in UTC, and
//! one without as one with a zone as if it were in UTC. Pure.

use std::fmt::{Display, Write};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, LargeBinaryArray, PrimitiveBuilder,
    make_array,
};
use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type,
    Float64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{FormatOptions, array_value_to_string};

use crate::snapshot::csv::columns::{self, Nulls};
use crate::snapshot::csv::fields::CsvField;

pub(crate) const NOT_UTF8: &str = "it is not UTF-8 text";

/// How values of one type are read as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The cast loses nothing; what it cannot do is NULL.
    Plain,
    /// Cast back and compared.
    AndBack,
    /// Texts, that are parsed.
    Text,
    /// Floats as decimals, by their shortest text.
    Shortest,
}

fn is_text(data_type: &DataType) -> bool {
    data_type.is_string()
}

fn is_bytes(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(data_type, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

fn is_moment(data_type: &DataType) -> bool {
    use DataType::{Date32, Date64, Timestamp};
    matches!(data_type, Date32 | Date64 | Timestamp(..))
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

/// None: a value of the one means nothing as the other, or it is a type with parts.
pub(crate) fn way(from: &DataType, to: &DataType) -> Option<Way> {
    use DataType::{Duration, Float32, Float64, Null};
    let can = |way: Way| (can_cast_types(from, to) && !from.is_nested() && !to.is_nested()).then_some(way);
    let is_same_kind = (is_moment(from) && is_moment(to))
        || (is_time(from) && is_time(to))
        || matches!((from, to), (Duration(_), Duration(_)))
        || (is_number(from) && is_number(to));
    match (from, to) {
        (Null, _) => can(Way::Plain),
        (from, to) if is_text(to) && !matches!(from, DataType::FixedSizeBinary(_)) => can(Way::Plain),
        (from, to) if is_bytes(to) && (is_text(from) || is_bytes(from)) => can(Way::Plain),
        (from, to) if is_text(from) && (is_number(to) || is_moment(to) || is_time(to)) => can(Way::Text),
        (Float32, Float64) => Some(Way::Plain),
        (from, to) if from.is_floating() && to.is_decimal() => Some(Way::Shortest),
        (from, to) if is_wider(from, to) => Some(Way::Plain),
        _ if is_same_kind && can_cast_types(to, from) => can(Way::AndBack),
        _ => None,
    }
}

/// Integers that a wider type holds all of.
fn is_wider(from: &DataType, to: &DataType) -> bool {
    let (Some(a), Some(b)) = (from.primitive_width(), to.primitive_width()) else { return false };
    a < b
        && (from.is_signed_integer() && to.is_signed_integer()
            || from.is_unsigned_integer() && to.is_integer()
            || from.is_integer() && *to == DataType::Float64)
}

/// What cannot be cast is NULL.
pub(crate) fn safe_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: true, format_options: FormatOptions::default() })
}

/// The array as that type.
///
/// # Errors
/// The inner one is the first row that cannot be read so, and why where its value does not say it.
pub(crate) fn cast_exactly(
    array: &ArrayRef,
    to: &DataType,
    way: Way,
) -> Result<Result<ArrayRef, (usize, Option<&'static str>)>, ArrowError> {
    // A zone says how a moment is shown, not which it is: without one, it is shown in UTC.
    let (source, shown) = (without_zone(array)?, to);
    let to = plain(to);
    let cast = match way {
        Way::Text => match parsed(&source, shown)? {
            Ok(values) => return Ok(Ok(values)),
            Err(misread) => return Ok(Err((misread.row, misread.reason.filter(|_| !misread.value.is_empty())))),
        },
        Way::Shortest => shortest(&source, &to)?,
        // The cast divides by a power of ten that a float does not have.
        _ if to.is_floating() && scale_of(source.data_type()) > EXACT_POWER => {
            safe_cast(&safe_cast(&source, &DataType::Utf8)?, &to)?
        }
        // A text has the zone.
        _ if is_text(&to) => safe_cast(&in_utc(array)?, &to)?,
        _ => safe_cast(&source, &to)?,
    };
    if let Some(row) = new_null(&source, &cast) {
        let reason = (is_bytes(source.data_type()) && is_text(&to)).then_some(NOT_UTF8);
        return Ok(Err((row, reason)));
    }
    let lost = match way {
        Way::AndBack if to.is_floating() && source.data_type().is_decimal() => {
            changed(&source, &shortest(&cast, source.data_type())?)?
        }
        Way::AndBack => changed(&source, &safe_cast(&cast, source.data_type())?)?,
        _ => None,
    };
    match lost {
        Some(row) => Ok(Err((row, None))),
        None => with_type(&cast, shown).map(Ok),
    }
}

/// Powers of ten up to this one are exact as Float64.
const EXACT_POWER: i8 = 22;

fn scale_of(data_type: &DataType) -> i8 {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256};
    match data_type {
        Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) | Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

/// A type of moments without its zone.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, None),
        other => other.clone(),
    }
}

/// Moments with a zone as those of UTC, which needs no list of zones to be shown.
fn in_utc(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => with_type(array, &DataType::Timestamp(*unit, Some("UTC".into()))),
        _ => Ok(Arc::clone(array)),
    }
}

fn without_zone(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    with_type(array, &plain(array.data_type()))
}

/// The same values under another type of the same layout.
fn with_type(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    Ok(make_array(array.to_data().into_builder().data_type(data_type.clone()).build()?))
}

fn new_null(before: &ArrayRef, after: &ArrayRef) -> Option<usize> {
    if before.logical_null_count() == after.logical_null_count() {
        return None;
    }
    let (before, after) = (before.logical_nulls(), after.logical_nulls()?);
    (0..after.len()).find(|&row| after.is_null(row) && before.as_ref().is_none_or(|nulls| nulls.is_valid(row)))
}

/// The first row in which the two differ.
fn changed(before: &ArrayRef, back: &ArrayRef) -> Result<Option<usize>, ArrowError> {
    Ok(match before.data_type() {
        DataType::Float16 => changed_float::<Float16Type>(before, back, |value| value.to_f64()),
        DataType::Float32 => changed_float::<Float32Type>(before, back, f64::from),
        DataType::Float64 => changed_float::<Float64Type>(before, back, |value| value),
        _ => first(&distinct(before, back)?),
    })
}

/// NaN is NaN, and a zero is a zero.
fn changed_float<T: ArrowPrimitiveType>(
    before: &ArrayRef,
    back: &ArrayRef,
    f64: fn(T::Native) -> f64,
) -> Option<usize> {
    let (before, back) = (before.as_primitive::<T>(), back.as_primitive::<T>());
    let same = |row: usize| {
        let (a, b) = (f64(before.value(row)), f64(back.value(row)));
        back.is_valid(row) && (a == b || a.is_nan() && b.is_nan())
    };
    (0..before.len()).find(|&row| before.is_valid(row) && !same(row))
}

fn first(found: &BooleanArray) -> Option<usize> {
    if found.true_count() == 0 {
        return None;
    }
    (0..found.len()).find(|&row| found.value(row))
}

/// The first text that is not UTF-8, as hexadecimal digits, of a reader that did not look: it makes texts of plain
/// bytes.
pub(crate) fn not_text(texts: &ArrayRef) -> Option<(usize, String)> {
    fn found<'a>(bytes: &'a (dyn Array + 'a), value: impl Fn(usize) -> &'a [u8]) -> Option<(usize, String)> {
        let row = (0..bytes.len()).find(|&row| bytes.is_valid(row) && std::str::from_utf8(value(row)).is_err())?;
        Some((row, array_value_to_string(bytes, row).unwrap_or_default()))
    }
    match texts.data_type() {
        DataType::Utf8 => {
            let bytes = BinaryArray::from(texts.as_string::<i32>().clone());
            found(&bytes, |row| bytes.value(row))
        }
        DataType::LargeUtf8 => {
            let bytes = LargeBinaryArray::from(texts.as_string::<i64>().clone());
            found(&bytes, |row| bytes.value(row))
        }
        DataType::Utf8View => {
            let bytes = texts.as_string_view().clone().to_binary_view();
            found(&bytes, |row| bytes.value(row))
        }
        _ => None,
    }
}

/// Texts as a field of CSV is read; none is empty but one that says so.
fn parsed(texts: &ArrayRef, to: &DataType) -> Result<Result<ArrayRef, columns::Misread>, ArrowError> {
    let texts = safe_cast(texts, &DataType::Utf8View)?;
    let texts = texts.as_string_view();
    let field = |row: usize| match texts.is_null(row) {
        true => CsvField::bare(""),
        false => CsvField::quoted(texts.value(row)),
    };
    let fields: Vec<_> = (0..texts.len()).map(field).collect();
    Ok(columns::column_of(&fields, to, Nulls { regex: None, force: false }))
}

/// Floats as decimals; what needs more digits, or is no number, is NULL.
fn shortest(floats: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match to {
        DataType::Decimal32(precision, scale) => as_decimals::<Decimal32Type>(floats, *precision, *scale),
        DataType::Decimal64(precision, scale) => as_decimals::<Decimal64Type>(floats, *precision, *scale),
        DataType::Decimal128(precision, scale) => as_decimals::<Decimal128Type>(floats, *precision, *scale),
        DataType::Decimal256(precision, scale) => as_decimals::<Decimal256Type>(floats, *precision, *scale),
        _ => safe_cast(floats, to),
    }
}

fn as_decimals<D: DecimalType>(floats: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef, ArrowError>
where
    D::Native: DecimalCast,
{
    match floats.data_type() {
        DataType::Float16 => of_floats::<Float16Type, D, _>(floats, precision, scale, |value| value.to_f64()),
        DataType::Float32 => of_floats::<Float32Type, D, _>(floats, precision, scale, |value| value),
        _ => of_floats::<Float64Type, D, _>(floats, precision, scale, |value| value),
    }
}

fn of_floats<F: ArrowPrimitiveType, D: DecimalType, V: Display>(
    floats: &ArrayRef,
    precision: u8,
    scale: i8,
    shown: fn(F::Native) -> V,
) -> Result<ArrayRef, ArrowError>
where
    D::Native: DecimalCast,
{
    let floats = floats.as_primitive::<F>();
    let (mut values, mut text) = (PrimitiveBuilder::<D>::with_capacity(floats.len()), String::new());
    for float in floats {
        let value = float.and_then(|float| {
            text.clear();
            write!(text, "{}", shown(float)).ok()?;
            columns::decimal(&text, precision, scale)
        });
        values.append_option(value);
    }
    Ok(Arc::new(values.finish().with_precision_and_scale(precision, scale)?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
        StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
        UInt64Array,
    };
    use datafusion::arrow::datatypes::TimeUnit;
    use proptest::prelude::*;

    use super::*;

    fn read(array: impl Array + 'static, to: &DataType) -> Result<ArrayRef, usize> {
        let array: ArrayRef = Arc::new(array);
        let way = way(array.data_type(), to).unwrap_or_else(|| panic!("{} {to}", array.data_type()));
        cast_exactly(&array, to, way).unwrap().map_err(|(row, _)| row)
    }

    #[track_caller]
    fn equal(array: impl Array + 'static, expected: impl Array + 'static) {
        let expected: ArrayRef = Arc::new(expected);
        assert_eq!(&read(array, expected.data_type()).unwrap(), &expected);
    }

    fn decimal(values: Vec<i128>, precision: u8, scale: i8) -> Decimal128Array {
        Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap()
    }

    const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

    #[test]
    fn numbers_that_fit_are_read_and_all_others_are_found() {
        equal(Int64Array::from(vec![Some(7), None]), Int32Array::from(vec![Some(7), None]));
        assert_eq!(read(Int64Array::from(vec![1, 1 << 40]), &DataType::Int32), Err(1));
        assert_eq!(read(Int64Array::from(vec![-1]), &DataType::UInt64), Err(0));
        assert_eq!(read(UInt64Array::from(vec![u64::MAX]), &DataType::Int64), Err(0));
        equal(Float64Array::from(vec![2.0, -0.0]), Int64Array::from(vec![2, 0]));
        for bad in [1.5, f64::NAN, f64::INFINITY, 9_223_372_036_854_775_808.0, -1e300] {
            assert_eq!(read(Float64Array::from(vec![0.0, bad]), &DataType::Int64), Err(1), "{bad}");
        }
        equal(Float64Array::from(vec![0.5, f64::NEG_INFINITY]), Float32Array::from(vec![0.5, f32::NEG_INFINITY]));
        assert!(read(Float64Array::from(vec![f64::NAN]), &DataType::Float32).is_ok());
        assert_eq!(read(Float64Array::from(vec![0.1]), &DataType::Float32), Err(0));
        assert_eq!(read(Float64Array::from(vec![1e300]), &DataType::Float32), Err(0));
        equal(Int64Array::from(vec![1 << 53]), Float64Array::from(vec![9_007_199_254_740_992.0]));
        assert_eq!(read(Int64Array::from(vec![(1 << 53) + 1]), &DataType::Float64), Err(0));
        assert_eq!(read(Int64Array::from(vec![i64::MAX]), &DataType::Float64), Err(0));
        equal(Int16Array::from(vec![1, 0]), BooleanArray::from(vec![true, false]));
        assert_eq!(read(Int16Array::from(vec![1, 2]), &DataType::Boolean), Err(1));
    }

    #[test]
    fn decimals_keep_all_digits() {
        let to = DataType::Decimal128(10, 2);
        equal(decimal(vec![15_000], 10, 4), decimal(vec![150], 10, 2));
        assert_eq!(read(decimal(vec![15_001], 10, 4), &to), Err(0));
        assert_eq!(read(decimal(vec![10i128.pow(20)], 38, 2), &to), Err(0));
        equal(Float64Array::from(vec![1.1, -0.05]), decimal(vec![110, -5], 10, 2));
        assert_eq!(read(Float64Array::from(vec![1.239]), &to), Err(0));
        // By the shortest text, whatever the number of places.
        equal(Float32Array::from(vec![0.1]), decimal(vec![1_000_000_000], 38, 10));
        equal(Float64Array::from(vec![0.1]), decimal(vec![10i128.pow(29)], 38, 30));
        equal(decimal(vec![10i128.pow(29)], 38, 30), Float64Array::from(vec![0.1]));
        equal(decimal(vec![99_999], 5, 2), Float32Array::from(vec![999.99]));
        assert_eq!(read(Float64Array::from(vec![f64::NAN]), &to), Err(0));
        equal(decimal(vec![200], 10, 2), Int32Array::from(vec![2]));
        assert_eq!(read(decimal(vec![250], 10, 2), &DataType::Int32), Err(0));
        equal(decimal(vec![30], 10, 2), Float64Array::from(vec![0.3]));
        assert_eq!(read(decimal(vec![12_345_678_901_234_567_891], 20, 2), &DataType::Float64), Err(0));
        equal(StringArray::from(vec!["1.50", "1e2", "-7"]), decimal(vec![150, 10_000, -700], 10, 2));
        for bad in ["1.239", "x", "", "12345678901", "125e-3"] {
            assert_eq!(read(StringArray::from(vec![bad]), &to), Err(0), "{bad}");
        }
    }

    #[test]
    fn moments_keep_all_digits_and_are_no_numbers() {
        let micros = TimestampMicrosecondArray::from;
        equal(micros(vec![1_500_000]), TimestampMillisecondArray::from(vec![1_500]));
        assert_eq!(read(micros(vec![1_500_001]), &DataType::Timestamp(TimeUnit::Millisecond, None)), Err(0));
        assert_eq!(read(micros(vec![-1]), &DataType::Timestamp(TimeUnit::Second, None)), Err(0));
        equal(micros(vec![-86_400_000_000]), Date32Array::from(vec![-1]));
        assert_eq!(read(micros(vec![1]), &DataType::Date32), Err(0));
        equal(TimestampNanosecondArray::from(vec![5_000]), micros(vec![5]));
        assert_eq!(read(TimestampNanosecondArray::from(vec![5_001]), &MICROS), Err(0));
        // 9999-12-31 is beyond nanoseconds.
        assert_eq!(
            read(micros(vec![253_402_214_400_000_000]), &DataType::Timestamp(TimeUnit::Nanosecond, None)),
            Err(0)
        );
        assert_eq!(read(Date32Array::from(vec![2_932_896]), &DataType::Timestamp(TimeUnit::Nanosecond, None)), Err(0));
        equal(Date32Array::from(vec![2_932_896]), micros(vec![253_402_214_400_000_000]));
        for (from, to) in [(DataType::Int64, MICROS), (MICROS, DataType::Int64), (DataType::Int32, DataType::Date32)] {
            assert_eq!(way(&from, &to), None, "{from} {to}");
        }
    }

    #[test]
    fn zone_comes_and_goes_without_moving_a_moment() {
        let in_zone = |zone: &str| TimestampMicrosecondArray::from(vec![7_200_000_000]).with_timezone(zone);
        equal(in_zone("Europe/Berlin"), TimestampMicrosecondArray::from(vec![7_200_000_000]));
        equal(TimestampMicrosecondArray::from(vec![7_200_000_000]), in_zone("+02:00"));
        equal(in_zone("America/New_York"), TimestampMillisecondArray::from(vec![7_200_000]).with_timezone("UTC"));
    }

    #[test]
    fn texts_say_no_more_than_the_type_holds() {
        equal(StringViewArray::from(vec!["7", "-1"]), Int32Array::from(vec![7, -1]));
        for bad in ["x", "", "1.5", "3000000000"] {
            assert_eq!(read(StringArray::from(vec!["1", bad]), &DataType::Int32), Err(1), "{bad}");
        }
        let moments = StringArray::from(vec!["1970-01-01 00:00:00.0000010", "1970-01-01T00:00:00Z"]);
        equal(moments, TimestampMicrosecondArray::from(vec![1, 0]));
        assert_eq!(read(StringArray::from(vec!["1970-01-01 00:00:00.1234567"]), &MICROS), Err(0));
        for bad in ["1970-01-01T00:00:00+02:00", "7", "1970-01-01 23:59:60"] {
            assert_eq!(read(StringArray::from(vec![bad]), &MICROS), Err(0), "{bad}");
        }
        // A number is no time of day.
        for time in [DataType::Time64(TimeUnit::Microsecond), DataType::Time32(TimeUnit::Millisecond)] {
            assert_eq!(read(StringArray::from(vec!["03:04:05", "7"]), &time), Err(1));
        }
        equal(StringArray::from(vec![None, Some("7")]), Int32Array::from(vec![None, Some(7)]));
        equal(StringArray::from(vec!["1970-01-02"]), Date32Array::from(vec![1]));
        assert_eq!(read(StringArray::from(vec!["1970-01-02 10:00:00"]), &DataType::Date32), Err(0));
    }

    #[test]
    fn everything_is_read_as_text_but_bytes_that_are_none() {
        equal(Int64Array::from(vec![Some(-7), None]), StringArray::from(vec![Some("-7"), None]));
        equal(decimal(vec![150], 10, 2), StringArray::from(vec!["1.50"]));
        equal(TimestampNanosecondArray::from(vec![1]), StringArray::from(vec!["1970-01-01T00:00:00.000000001"]));
        let in_zone = TimestampMicrosecondArray::from(vec![0]).with_timezone("Europe/Berlin");
        equal(in_zone, StringArray::from(vec!["1970-01-01T00:00:00Z"]));
        equal(BinaryArray::from(vec![&b"ab"[..]]), StringArray::from(vec!["ab"]));
        assert_eq!(read(BinaryArray::from(vec![&[0xff][..]]), &DataType::Utf8View), Err(0));
    }

    proptest! {
        /// A float read as an integer is that number, or is refused: arithmetic on 128 bits says which.
        #[test]
        fn floats_are_integers_or_refused(value in any::<f64>()) {
            let found = read(Float64Array::from(vec![value]), &DataType::Int64);
            let whole = value.fract() == 0.0 && value.abs() < 2f64.powi(70);
            let expected = whole.then_some(value as i128).and_then(|value| i64::try_from(value).ok());
            match expected {
                Some(expected) => {
                    let expected: ArrayRef = Arc::new(Int64Array::from(vec![expected]));
                    prop_assert_eq!(&found.unwrap(), &expected);
                }
                None => prop_assert_eq!(found.unwrap_err(), 0),
            }
        }

        /// An integer read as a float is the same number on 128 bits, or is refused.
        #[test]
        fn integers_are_floats_or_refused(value in any::<i64>(), shift in 0u32..64) {
            let value = value >> shift;
            let found = read(Int64Array::from(vec![value]), &DataType::Float64);
            let is_exact = (value as f64) as i128 == i128::from(value);
            prop_assert_eq!(found.is_ok(), is_exact);
        }

        /// A float read as a decimal is what its text says.
        #[test]
        fn floats_are_decimals_by_their_text(value in -10i64.pow(9)..10i64.pow(9), places in 0i32..7) {
            let float = value as f64 / 10f64.powi(places);
            let found = read(Float64Array::from(vec![float]), &DataType::Decimal128(30, 6));
            let expected: ArrayRef = Arc::new(decimal(vec![i128::from(value) * 10i128.pow((6 - places) as u32)], 30, 6));
            prop_assert_eq!(&found.unwrap(), &expected);
        }

        /// A decimal read with fewer places keeps its value, or is refused.
        #[test]
        fn decimals_are_cut_only_where_zeros_stand(value in -10i64.pow(12)..10i64.pow(12), fewer in 0i8..4) {
            let found = read(decimal(vec![i128::from(value)], 18, 4), &DataType::Decimal128(18, 4 - fewer));
            let unit = 10i64.pow(u32::from(fewer.unsigned_abs()));
            prop_assert_eq!(found.is_ok(), value % unit == 0);
        }
    }
}
