//! Typed columns out of the fields of CSV records: each value exactly, or an error that says which one cannot be.
//!
//! A value in its usual spelling is read by [`crate::snapshot::values::quick`], any other by arrow's parser of the type
//! as far as that loses nothing. Without `null_regex` a field that is empty and not quoted is NULL; with it, those that
//! it matches and that are not quoted. `force_null` takes quoted fields too.
//!
//! Judgement calls: a float is the nearest one to its text, but no infinity and no zero for a number that is none; a
//! boolean is written as in SQL (`t`, `FALSE`, `yes`, `off`, `0`); bytes are those of the text, unless it has a
//! backslash: then it is what PostgreSQL writes, `\x6869` or `\\` and `\134`.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanArray, LargeStringBuilder, NullArray, NullBufferBuilder,
    PrimitiveArray, StringBuilder, StringViewBuilder,
};
use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, FieldRef, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use regex::Regex;

use super::fields::CsvField;
use crate::error::InvalidValue;
use crate::snapshot::text::target::TEXT_BLOCK;
use crate::snapshot::values::numeral::{Numeral, TOO_MANY_DIGITS};
use crate::snapshot::values::times::{self, ColumnZone, Reason, TOO_LARGE};
use crate::snapshot::values::{octets, quick};
use crate::types::type_name;

/// Which fields of a column are NULL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nulls<'r> {
    /// None: the empty field.
    pub(crate) regex: Option<&'r Regex>,
    /// Quoted fields too.
    pub(crate) force: bool,
}

impl Nulls<'_> {
    /// Whether a field is NULL.
    #[inline(always)]
    pub(crate) fn is_null(&self, field: CsvField<'_>) -> bool {
        let may_be = field.is_bare() || (self.force && field.is_quoted());
        may_be && self.regex.map_or(field.text.is_empty(), |regex| regex.is_match(field.text))
    }
}

/// The first value of a column that cannot be read.
#[derive(Debug)]
pub(crate) struct Misread {
    /// In the batch, from 0.
    pub(crate) row: usize,
    pub(crate) value: String,
    pub(crate) reason: Reason,
}

/// Keeps the value of the first row that is wrong: `row` counts from the rows before the batch.
pub(crate) fn keep_first(first: &mut Option<InvalidValue>, field: &FieldRef, misread: Misread, rows_before: u64) {
    let row = rows_before + misread.row as u64 + 1;
    if first.as_ref().is_none_or(|first| row < first.row) {
        let (column, data_type) = (field.name().clone(), type_name(field.data_type()));
        *first = Some(InvalidValue { row, column, value: misread.value, data_type, reason: misread.reason });
    }
}

/// Whether a field of CSV can hold a value of this type.
pub(crate) fn can_hold(data_type: &DataType) -> bool {
    // Arrow would cast text to a list of one text.
    *data_type == DataType::Null || (!data_type.is_nested() && can_cast_types(&DataType::Utf8, data_type))
}

/// The column in its type.
pub(crate) fn column<'a>(
    fields: impl ExactSizeIterator<Item = CsvField<'a>> + Clone,
    data_type: &DataType,
    nulls: Nulls<'_>,
) -> Result<ArrayRef, Misread> {
    let cells = Cells { fields, nulls };
    match data_type {
        DataType::Null => Ok(Arc::new(NullArray::new(cells.fields.len()))),
        DataType::Boolean => booleans(cells),
        DataType::Int8 => integers::<Int8Type>(cells),
        DataType::Int16 => integers::<Int16Type>(cells),
        DataType::Int32 => integers::<Int32Type>(cells),
        DataType::Int64 => integers::<Int64Type>(cells),
        DataType::UInt8 => integers::<UInt8Type>(cells),
        DataType::UInt16 => integers::<UInt16Type>(cells),
        DataType::UInt32 => integers::<UInt32Type>(cells),
        DataType::UInt64 => integers::<UInt64Type>(cells),
        DataType::Float16 => {
            cells.array::<Float16Type>(|text| float(text, Float16Type::parse(text), |value| f64::from(value.to_f32())))
        }
        DataType::Float32 => cells.array::<Float32Type>(|text| match Numeral::of_text(text) {
            Some(number) => number.real().ok_or_else(|| inexact(&number)),
            None => float(text, Float32Type::parse(text), f64::from),
        }),
        DataType::Float64 => cells.array::<Float64Type>(|text| match Numeral::of_text(text) {
            Some(number) => number.double().ok_or_else(|| inexact(&number)),
            None => float(text, Float64Type::parse(text), |value| value),
        }),
        DataType::Decimal32(precision, scale) => decimals::<Decimal32Type>(cells, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimals::<Decimal64Type>(cells, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimals::<Decimal128Type>(cells, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals::<Decimal256Type>(cells, *precision, *scale),
        DataType::Date32 => cells.array::<Date32Type>(times::date),
        DataType::Date64 => cells.array::<Date64Type>(times::date_in_milliseconds),
        DataType::Time32(TimeUnit::Second) => {
            cells.array::<Time32SecondType>(|text| small_time(text, TimeUnit::Second))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            cells.array::<Time32MillisecondType>(|text| small_time(text, TimeUnit::Millisecond))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            cells.array::<Time64MicrosecondType>(|text| times::time(text, TimeUnit::Microsecond))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            cells.array::<Time64NanosecondType>(|text| times::time(text, TimeUnit::Nanosecond))
        }
        DataType::Timestamp(TimeUnit::Second, zone) => timestamps::<TimestampSecondType>(cells, zone.as_ref()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            timestamps::<TimestampMillisecondType>(cells, zone.as_ref())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            timestamps::<TimestampMicrosecondType>(cells, zone.as_ref())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => timestamps::<TimestampNanosecondType>(cells, zone.as_ref()),
        DataType::Binary => bytes(cells),
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let column = bytes(cells.clone())?;
            cells.cast(&column, data_type)
        }
        DataType::Utf8View => {
            let mut texts = StringViewBuilder::with_capacity(cells.fields.len()).with_fixed_block_size(TEXT_BLOCK);
            cells.each(|text| texts.append_option(text));
            Ok(Arc::new(texts.finish()))
        }
        DataType::LargeUtf8 => {
            let mut texts = LargeStringBuilder::with_capacity(cells.fields.len(), 0);
            cells.each(|text| texts.append_option(text));
            Ok(Arc::new(texts.finish()))
        }
        other => {
            let mut texts = StringBuilder::with_capacity(cells.fields.len(), 0);
            cells.clone().each(|text| texts.append_option(text));
            let texts: ArrayRef = Arc::new(texts.finish());
            if *other == DataType::Utf8 { Ok(texts) } else { cells.cast(&texts, other) }
        }
    }
}

/// The same where it is not in the path of all rows. Each iterator that [`column()`] gets compiles it with every type
/// once more.
pub(crate) fn column_of(fields: &[CsvField<'_>], data_type: &DataType, nulls: Nulls<'_>) -> Result<ArrayRef, Misread> {
    column(fields.iter().copied(), data_type, nulls)
}

/// The column in its type, with NULL where that cannot hold the value; and how many these are.
#[cold]
pub(crate) fn column_or_null<'a>(
    fields: impl ExactSizeIterator<Item = CsvField<'a>>,
    data_type: &DataType,
    nulls: Nulls<'_>,
) -> Result<(ArrayRef, u64), Misread> {
    const PLAIN: Nulls<'static> = Nulls { regex: None, force: false };
    let mut invalid = 0;
    let kept = fields.map(|field| {
        if nulls.is_null(field) {
            return CsvField::bare("");
        }
        let field = CsvField::quoted(field.text);
        let is_valid = column_of(&[field], data_type, PLAIN).is_ok();
        invalid += u64::from(!is_valid);
        if is_valid { field } else { CsvField::bare("") }
    });
    let kept: Vec<_> = kept.collect();
    Ok((column_of(&kept, data_type, PLAIN)?, invalid))
}

/// The fields of one column.
#[derive(Clone)]
struct Cells<'r, I> {
    fields: I,
    nulls: Nulls<'r>,
}

impl<'a, I: ExactSizeIterator<Item = CsvField<'a>> + Clone> Cells<'_, I> {
    /// None is NULL.
    #[inline(always)]
    fn each(self, mut take: impl FnMut(Option<&'a str>)) {
        match self.nulls {
            Nulls { regex: None, force: false } => {
                self.fields.for_each(|field| {
                    let is_null = field.text.is_empty() && field.is_bare();
                    take((!is_null).then_some(field.text));
                });
            }
            nulls => self.fields.for_each(|field| take((!nulls.is_null(field)).then_some(field.text))),
        }
    }

    #[inline(always)]
    fn array<T: ArrowPrimitiveType>(
        self,
        parse: impl Fn(&str) -> Result<T::Native, Reason>,
    ) -> Result<ArrayRef, Misread> {
        Ok(Arc::new(self.primitive::<T>(parse)?))
    }

    #[inline(always)]
    fn primitive<T: ArrowPrimitiveType>(
        self,
        parse: impl Fn(&str) -> Result<T::Native, Reason>,
    ) -> Result<PrimitiveArray<T>, Misread> {
        let rows = self.fields.len();
        let (mut values, mut nulls) = (Vec::with_capacity(rows), NullBufferBuilder::new(rows));
        let mut all_fit = true;
        self.clone().each(|text| match text {
            None => {
                nulls.append_null();
                values.push(T::Native::default());
            }
            Some(text) => {
                let value = parse(text).ok();
                all_fit &= value.is_some();
                nulls.append_non_null();
                values.push(value.unwrap_or_default());
            }
        });
        if !all_fit {
            return Err(self.misread(&|_, text| parse(text).err()));
        }
        Ok(PrimitiveArray::new(values.into(), nulls.finish()))
    }

    /// A type that is cast from another: what becomes NULL does not fit.
    fn cast(self, column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, Misread> {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let cast = cast_with_options(column, data_type, &options);
        match cast {
            Ok(cast) if cast.null_count() == column.null_count() => Ok(cast),
            Ok(cast) => Err(self.misread(&|row, _| cast.is_null(row).then_some(None))),
            Err(_) => Err(self.misread(&|_, _| Some(None))),
        }
    }

    /// The first value that is wrong; `why` gives the reason for one that is.
    #[cold]
    fn misread(self, why: &dyn Fn(usize, &str) -> Option<Reason>) -> Misread {
        let Nulls { regex, .. } = self.nulls;
        let mut fields = self.fields.enumerate().filter(|(_, field)| !self.nulls.is_null(*field));
        let found = fields.find_map(|(row, field)| Some((row, field, why(row, field.text)?)));
        let Some((row, field, reason)) = found else {
            return Misread { row: 0, value: String::new(), reason: None };
        };
        let empty = || match (field.is_quoted(), regex) {
            (true, _) => {
                "it is empty but quoted, and so not NULL; the option 'force_null' takes quoted fields as NULL too"
            }
            (false, _) => "it is empty, which null_regex does not match; '^(NA)?$' matches NA and the empty field",
        };
        let reason = if field.text.is_empty() { Some(empty()) } else { reason };
        Misread { row, value: field.text.to_owned(), reason }
    }
}

fn integers<'a, T>(cells: Cells<'_, impl ExactSizeIterator<Item = CsvField<'a>> + Clone>) -> Result<ArrayRef, Misread>
where
    T: ArrowPrimitiveType + Parser,
    T::Native: TryFrom<i64>,
{
    cells.array::<T>(|text| {
        let value = quick::integer(text.as_bytes()).and_then(|value| T::Native::try_from(value).ok());
        value.or_else(|| T::parse(text)).ok_or_else(|| {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_integer.then_some(TOO_LARGE)
        })
    })
}

/// Why no float of the type gives a number back.
#[cold]
fn inexact(number: &Numeral<'_>) -> Reason {
    Some(if number.has_many_digits() { TOO_MANY_DIGITS } else { TOO_LARGE })
}

/// A float that is not beyond its type's range: neither infinite nor zero unless it is written so.
#[inline(always)]
fn float<T: Copy>(text: &str, value: Option<T>, widen: impl Fn(T) -> f64) -> Result<T, Reason> {
    let value = value.ok_or(None)?;
    let wide = widen(value);
    if wide.is_normal() || !is_beyond(text, wide) { Ok(value) } else { Err(Some(TOO_LARGE)) }
}

#[cold]
fn is_beyond(text: &str, value: f64) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let has_digit = mantissa.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0');
    has_digit && (value.is_infinite() || value == 0.0)
}

fn decimals<'a, T>(
    cells: Cells<'_, impl ExactSizeIterator<Item = CsvField<'a>> + Clone>,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef, Misread>
where
    T: DecimalType,
    T::Native: TryFrom<i64> + DecimalCast,
{
    let array = cells.clone().primitive::<T>(|text| {
        let value = quick::decimal(text.as_bytes(), precision, scale).and_then(|v| T::Native::try_from(v).ok());
        value.or_else(|| decimal(text, precision, scale)).ok_or(None)
    })?;
    match array.with_precision_and_scale(precision, scale) {
        Ok(array) => Ok(Arc::new(array)),
        Err(_) => Err(cells.misread(&|_, _| Some(None))),
    }
}

/// The decimal that a text is; None if it has more digits than the type, or is no number.
pub(crate) fn decimal<T: DecimalCast>(text: &str, precision: u8, scale: i8) -> Option<T> {
    let number = Numeral::of_text(text)?;
    // White space around a number is none of a decimal's.
    if number.text() == text { number.decimal(precision, scale) } else { None }
}

fn timestamps<'a, T: ArrowTimestampType>(
    cells: Cells<'_, impl ExactSizeIterator<Item = CsvField<'a>> + Clone>,
    zone: Option<&Arc<str>>,
) -> Result<ArrayRef, Misread> {
    let Some(of_column) = ColumnZone::new(zone.map(AsRef::as_ref)) else {
        return Err(cells.misread(&|_, _| Some(Some("the zone of the column is not known"))));
    };
    let array = cells.primitive::<T>(|text| of_column.timestamp(text, T::UNIT))?;
    Ok(Arc::new(array.with_timezone_opt(zone.cloned())))
}

fn small_time(text: &str, unit: TimeUnit) -> Result<i32, Reason> {
    i32::try_from(times::time(text, unit)?).map_err(|_| None)
}

fn booleans<'a>(cells: Cells<'_, impl ExactSizeIterator<Item = CsvField<'a>> + Clone>) -> Result<ArrayRef, Misread> {
    let mut values = Vec::with_capacity(cells.fields.len());
    let mut all_fit = true;
    cells.clone().each(|text| {
        let value = text.map(boolean);
        all_fit &= value != Some(None);
        values.push(value.flatten());
    });
    if !all_fit {
        return Err(cells.misread(&|_, text| boolean(text).is_none().then_some(None)));
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

/// The words of PostgreSQL, and their beginnings.
#[inline]
fn boolean(text: &str) -> Option<bool> {
    let mut lower = [0; 5];
    let lower = lower.get_mut(..text.len())?;
    lower.copy_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
    match &*lower {
        b"t" | b"tr" | b"tru" | b"true" | b"y" | b"ye" | b"yes" | b"on" | b"1" => Some(true),
        b"f" | b"fa" | b"fal" | b"fals" | b"false" | b"n" | b"no" | b"of" | b"off" | b"0" => Some(false),
        _ => None,
    }
}

fn bytes<'a>(cells: Cells<'_, impl ExactSizeIterator<Item = CsvField<'a>> + Clone>) -> Result<ArrayRef, Misread> {
    let mut found = BinaryBuilder::with_capacity(cells.fields.len(), 0);
    let (mut buffer, mut all_fit) = (Vec::new(), true);
    cells.clone().each(|text| match text {
        None => found.append_null(),
        Some(text) if !text.contains('\\') => found.append_value(text),
        Some(text) => {
            buffer.clear();
            all_fit &= octets::decode(text.as_bytes(), &mut buffer);
            found.append_value(&buffer);
        }
    });
    if !all_fit {
        let reason =
            "after a backslash PostgreSQL writes 'x' and hexadecimal digits, three octal digits or a backslash";
        return Err(
            cells.misread(&|_, text| (!octets::decode(text.as_bytes(), &mut Vec::new())).then_some(Some(reason)))
        );
    }
    Ok(Arc::new(found.finish()))
}
