//! From the types that arrow's CSV decoder makes to the types of the table, without losing a digit.
//!
//! Most types are decoded directly. The others are decoded as text first: types that arrow's decoder lacks, which are
//! cast, and types that it would decode with loss. It cuts decimals at their scale; here `1.239` is no DECIMAL(10,2) and
//! `1.5` is no BIGINT, while `1.20` and `1.0` are. Booleans may be written as in SQL (`t`, `f`, `yes`, `no`, `1`, `0`). A
//! value that does not fit is an error that names it. NDJSON needs none of this.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Int8Type, Int16Type,
    Int32Type, Int64Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::FormatOptions;

/// A value that does not fit its column.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Row in the batch, if it is known.
    pub(super) row: Option<usize>,
    pub(super) error: ArrowError,
}

/// The type that arrow's CSV decoder is asked for; None if CSV cannot hold the type.
pub(super) fn csv_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Null
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(_, _)
        | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => Some(data_type.clone()),
        // Arrow would cast text to a list of one text.
        nested if nested.is_nested() => None,
        other => can_cast_types(&DataType::Utf8, other).then_some(DataType::Utf8),
    }
}

/// Makes the table's type of a decoded column.
pub(super) fn convert(column: ArrayRef, data_type: &DataType) -> Result<ArrayRef, Misfit> {
    if column.data_type() == data_type {
        return Ok(column);
    }
    match data_type {
        DataType::Int8 => integers::<Int8Type>(&column),
        DataType::Int16 => integers::<Int16Type>(&column),
        DataType::Int32 => integers::<Int32Type>(&column),
        DataType::Int64 => integers::<Int64Type>(&column),
        DataType::UInt8 => integers::<UInt8Type>(&column),
        DataType::UInt16 => integers::<UInt16Type>(&column),
        DataType::UInt32 => integers::<UInt32Type>(&column),
        DataType::UInt64 => integers::<UInt64Type>(&column),
        DataType::Decimal32(precision, scale) => decimals::<Decimal32Type>(&column, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimals::<Decimal64Type>(&column, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimals::<Decimal128Type>(&column, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals::<Decimal256Type>(&column, *precision, *scale),
        other => {
            let options = CastOptions { safe: false, format_options: FormatOptions::default() };
            cast_with_options(&column, other, &options).map_err(|error| Misfit { row: None, error })
        }
    }
}

fn integers<T>(column: &ArrayRef) -> Result<ArrayRef, Misfit>
where
    T: ArrowPrimitiveType + Parser,
    T::Native: TryFrom<i64>,
{
    each::<T>(column, |text| T::parse(text).or_else(|| whole(text)?.try_into().ok()), "")
}

/// The integer that a JSON number such as `1.0` or `2e3` is, if a float holds it exactly.
fn whole(text: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value: f64 = text.parse().ok()?;
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

fn decimals<T: DecimalType>(column: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef, Misfit> {
    let array = each::<T>(column, |text| decimal::<T>(text, precision, scale), " without loss")?;
    let array = array.as_primitive::<T>().clone().with_precision_and_scale(precision, scale);
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| Misfit { row: None, error })
}

/// The decimal that a text is, if none of its digits is lost.
pub(super) fn decimal<T: DecimalType>(text: &str, precision: u8, scale: i8) -> Option<T::Native> {
    let value = parse_decimal::<T>(text, precision, scale).ok()?;
    (decimal_places(text) <= i64::from(scale)).then_some(value)
}

/// Decimal places that a number needs: 2 for `1.230`, -2 for `1200`.
fn decimal_places(number: &str) -> i64 {
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], number[at + 1..].parse().unwrap_or(0)),
        None => (number, 0),
    };
    let fraction = mantissa.find('.').map_or(0, |point| mantissa.len() - point - 1);
    let zeros = mantissa.bytes().rev().filter(|byte| *byte != b'.').take_while(|byte| *byte == b'0').count();
    fraction as i64 - zeros as i64 - exponent
}

fn each<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    parse: impl Fn(&str) -> Option<T::Native>,
    how: &str,
) -> Result<ArrayRef, Misfit> {
    let texts = column.as_string::<i32>();
    let values = texts.iter().enumerate().map(|(row, text)| match text {
        None => Ok(None),
        Some(text) => parse(text).map(Some).ok_or_else(|| Misfit {
            row: Some(row),
            error: ArrowError::ParseError(format!("'{text}' cannot be read as {}{how}", T::DATA_TYPE)),
        }),
    });
    Ok(Arc::new(values.collect::<Result<PrimitiveArray<T>, _>>()?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{BooleanArray, Decimal128Array, Int64Array, StringArray};

    use super::*;

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn decimal_places_counts_what_is_needed() {
        for (number, places) in
            [("1.230", 2), ("1200", -2), ("1", 0), ("-0.05", 2), ("1.5e1", 0), ("125e-2", 2), ("100e-2", 0), ("1.", 0)]
        {
            assert_eq!(decimal_places(number), places, "{number}");
        }
    }

    #[test]
    fn decimals_keep_all_digits_or_fail_with_value_and_row() {
        let to = DataType::Decimal128(5, 2);
        let fine = convert(texts(&["1.5", "-0.250", "7", "1e2"]), &to).unwrap();
        let expected = Decimal128Array::from(vec![150, -25, 700, 10000]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(fine.as_primitive::<Decimal128Type>(), &expected);
        for bad in ["1.239", "12345.6", "abc", "", "125e-3"] {
            let misfit = convert(texts(&["1", bad]), &to).unwrap_err();
            assert_eq!(misfit.row, Some(1));
            assert!(misfit.error.to_string().contains(&format!("'{bad}'")), "{}", misfit.error);
        }
    }

    #[test]
    fn integers_take_whole_numbers_of_any_spelling_and_nothing_else() {
        let fine = convert(texts(&["1.0", "2e3", "-7", "9223372036854775807"]), &DataType::Int64).unwrap();
        assert_eq!(fine.as_primitive::<Int64Type>(), &Int64Array::from(vec![1, 2000, -7, i64::MAX]));
        for bad in ["1.5", "9223372036854775808", "1e300", "true", "NaN"] {
            assert!(convert(texts(&[bad]), &DataType::Int64).is_err(), "{bad}");
        }
        assert!(convert(texts(&["300"]), &DataType::UInt8).is_err());
    }

    #[test]
    fn booleans_are_read_as_in_sql() {
        let fine = convert(texts(&["t", "FALSE", "yes", "0"]), &DataType::Boolean).unwrap();
        assert_eq!(fine.as_boolean(), &BooleanArray::from(vec![true, false, true, false]));
        assert!(convert(texts(&["maybe"]), &DataType::Boolean).is_err());
    }

    #[test]
    fn csv_holds_no_nested_types() {
        let list = DataType::new_list(DataType::Int64, true);
        assert_eq!(csv_type(&list), None);
        assert_eq!(csv_type(&DataType::Boolean), Some(DataType::Utf8));
        assert_eq!(csv_type(&DataType::Date32), Some(DataType::Date32));
    }
}
