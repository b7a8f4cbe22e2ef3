//! Columns of plain values out of JSON's numbers, texts, booleans and, where text is declared, whole objects and lists.
//!
//! A value becomes exactly what it is, or nothing: `1.0` is a BIGINT, `1.5` is none, `1704067200` is no TIMESTAMP. Text
//! in double quotes may represent a number, a boolean as SQL writes it (`t`, `no`, `on`, `0`), a date or a time, and
//! for bytes if it is hexadecimal, with or without `\x` before it. Where text is declared, numbers, booleans, objects
//! and lists are the text that is written.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder,
    LargeBinaryBuilder, LargeStringBuilder, NullArray, NullBufferBuilder, PrimitiveArray, StringArray, StringBuilder,
    StringViewBuilder,
};
use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::FormatOptions;

use crate::snapshot::text::target::TEXT_BLOCK;
use crate::snapshot::values::numeral::{Numeral, TOO_MANY_DIGITS};
use crate::snapshot::values::times::{self, ColumnZone, Reason, TOO_LARGE};

/// A value, or why there is none.
type Fit<T> = Result<T, Reason>;

/// A value that is not null.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    Number(Numeral<'a>),
    Text(&'a str),
    Bool(bool),
    /// An object or a list, as it is written.
    Nested(&'a str),
}

impl<'a> Scalar<'a> {
    /// As it is written, without the quotes of a text.
    pub(crate) fn written(&self) -> &'a str {
        match self {
            Self::Number(number) => number.text(),
            Self::Text(text) | Self::Nested(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
        }
    }

    #[inline]
    fn number(&self) -> Fit<Numeral<'a>> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => Numeral::of_text(text).ok_or(None),
            Self::Bool(_) | Self::Nested(_) => Err(None),
        }
    }

    #[inline]
    fn text(&self) -> Fit<&'a str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(_) => Err(Some("it is a number, not a text")),
            Self::Bool(_) | Self::Nested(_) => Err(None),
        }
    }
}

/// The values of one column, or of one nested field, in the making.
pub(crate) trait Leaf: Send {
    fn push(&mut self, value: Scalar<'_>) -> Fit<()>;
    fn nulls(&mut self, count: usize);
    /// The values since the last time.
    fn finish(&mut self) -> Result<ArrayRef, ArrowError>;
}

/// None: JSON cannot hold the type.
pub(crate) fn leaf(data_type: &DataType) -> Option<Box<dyn Leaf>> {
    Some(match data_type {
        DataType::Null => Box::new(NullLeaf(0)),
        DataType::Boolean => Box::new(Booleans(BooleanBuilder::new())),
        DataType::Int8 => integers::<Int8Type>(),
        DataType::Int16 => integers::<Int16Type>(),
        DataType::Int32 => integers::<Int32Type>(),
        DataType::Int64 => integers::<Int64Type>(),
        DataType::UInt8 => integers::<UInt8Type>(),
        DataType::UInt16 => integers::<UInt16Type>(),
        DataType::UInt32 => integers::<UInt32Type>(),
        DataType::UInt64 => integers::<UInt64Type>(),
        DataType::Float32 => primitives::<Float32Type>(data_type, |value| match special(&value) {
            Some(special) => Ok(special as f32),
            None => float(&value.number()?, Numeral::real),
        }),
        DataType::Float64 => primitives::<Float64Type>(data_type, |value| match special(&value) {
            Some(special) => Ok(special),
            None => float(&value.number()?, Numeral::double),
        }),
        DataType::Decimal32(precision, scale) => decimals::<Decimal32Type>(data_type, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimals::<Decimal64Type>(data_type, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimals::<Decimal128Type>(data_type, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals::<Decimal256Type>(data_type, *precision, *scale),
        DataType::Date32 => primitives::<Date32Type>(data_type, |value| times::date(value.text()?)),
        DataType::Date64 => primitives::<Date64Type>(data_type, |value| times::date_in_milliseconds(value.text()?)),
        DataType::Time32(TimeUnit::Second) => times::<Time32SecondType>(data_type, TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond) => times::<Time32MillisecondType>(data_type, TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond) => times::<Time64MicrosecondType>(data_type, TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond) => times::<Time64NanosecondType>(data_type, TimeUnit::Nanosecond),
        DataType::Timestamp(unit, zone) => {
            let (unit, zone) = (*unit, ColumnZone::new(zone.as_deref())?);
            let read = move |value: Scalar<'_>| zone.timestamp(value.text()?, unit);
            match unit {
                TimeUnit::Second => primitives::<TimestampSecondType>(data_type, read),
                TimeUnit::Millisecond => primitives::<TimestampMillisecondType>(data_type, read),
                TimeUnit::Microsecond => primitives::<TimestampMicrosecondType>(data_type, read),
                TimeUnit::Nanosecond => primitives::<TimestampNanosecondType>(data_type, read),
            }
        }
        DataType::Utf8 => Box::new(StringBuilder::new()),
        DataType::LargeUtf8 => Box::new(LargeStringBuilder::new()),
        DataType::Utf8View => Box::new(StringViewBuilder::new().with_fixed_block_size(TEXT_BLOCK)),
        DataType::Binary => Box::new(Bytes { builder: BinaryBuilder::new(), bytes: Vec::new(), size: None }),
        DataType::LargeBinary => Box::new(Bytes { builder: LargeBinaryBuilder::new(), bytes: Vec::new(), size: None }),
        DataType::BinaryView => Box::new(Bytes { builder: BinaryViewBuilder::new(), bytes: Vec::new(), size: None }),
        DataType::FixedSizeBinary(size) => {
            let builder = FixedSizeBinaryBuilder::new(*size);
            Box::new(Bytes { builder, bytes: Vec::new(), size: usize::try_from(*size).ok() })
        }
        other if !other.is_nested() && can_cast_types(&DataType::Utf8, other) => {
            Box::new(Cast { texts: StringBuilder::new(), data_type: other.clone() })
        }
        _ => return None,
    })
}

/// What a DOUBLE has beside numbers, which JSON has as text only.
fn special(value: &Scalar<'_>) -> Option<f64> {
    let Scalar::Text(text) = value else { return None };
    let (text, sign) = match text.as_bytes() {
        [b'-', ..] => (&text[1..], -1.0),
        [b'+', ..] => (&text[1..], 1.0),
        _ => (*text, 1.0),
    };
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match () {
        () if is("nan") => Some(f64::NAN),
        () if is("inf") || is("infinity") => Some(f64::INFINITY * sign),
        () => None,
    }
}

#[inline]
fn float<'a, F>(number: &Numeral<'a>, read: impl Fn(&Numeral<'a>) -> Option<F>) -> Fit<F> {
    read(number).ok_or(Some(if number.has_many_digits() { TOO_MANY_DIGITS } else { TOO_LARGE }))
}

fn integers<T: ArrowPrimitiveType>() -> Box<dyn Leaf>
where
    T::Native: TryFrom<i64> + TryFrom<i128>,
{
    primitives::<T>(&T::DATA_TYPE, |value| {
        let number = value.number()?;
        match number.small() {
            Some(value) => T::Native::try_from(value).map_err(|_| None),
            None => number.integer().and_then(|value| T::Native::try_from(value).ok()).ok_or(None),
        }
    })
}

fn decimals<T: ArrowPrimitiveType>(data_type: &DataType, precision: u8, scale: i8) -> Box<dyn Leaf>
where
    T::Native: DecimalCast,
{
    primitives::<T>(data_type, move |value| value.number()?.decimal(precision, scale).ok_or(None))
}

fn times<T: ArrowPrimitiveType>(data_type: &DataType, unit: TimeUnit) -> Box<dyn Leaf>
where
    T::Native: TryFrom<i64>,
{
    primitives::<T>(data_type, move |value| {
        times::time(value.text()?, unit).and_then(|value| T::Native::try_from(value).map_err(|_| None))
    })
}

fn primitives<T: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(Scalar<'_>) -> Fit<T::Native> + Send + 'static,
) -> Box<dyn Leaf> {
    let (values, nulls) = (Vec::new(), NullBufferBuilder::new(0));
    Box::new(Primitives::<T, _> { values, nulls, read, data_type: data_type.clone() })
}

struct Primitives<T: ArrowPrimitiveType, R> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    read: R,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType, R: Fn(Scalar<'_>) -> Fit<T::Native> + Send> Leaf for Primitives<T, R> {
    fn push(&mut self, value: Scalar<'_>) -> Fit<()> {
        self.values.push((self.read)(value)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::Native::usize_as(0));
        self.nulls.append_n_nulls(count);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let values = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, values);
        let array = PrimitiveArray::<T>::try_new(values.into(), self.nulls.finish())?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

struct NullLeaf(usize);

impl Leaf for NullLeaf {
    fn push(&mut self, _: Scalar<'_>) -> Fit<()> {
        Err(None)
    }

    fn nulls(&mut self, count: usize) {
        self.0 += count;
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(NullArray::new(std::mem::take(&mut self.0))))
    }
}

struct Booleans(BooleanBuilder);

impl Leaf for Booleans {
    fn push(&mut self, value: Scalar<'_>) -> Fit<()> {
        let is = |text: &str, words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        let value = match value {
            Scalar::Bool(value) => value,
            Scalar::Text(text) if is(text, ["true", "t", "yes", "y", "on"]) || text == "1" => true,
            Scalar::Text(text) if is(text, ["false", "f", "no", "n", "off"]) || text == "0" => false,
            Scalar::Text(_) | Scalar::Number(_) | Scalar::Nested(_) => return Err(None),
        };
        self.0.append_value(value);
        Ok(())
    }

    fn nulls(&mut self, count: usize) {
        self.0.append_nulls(count);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.0.finish()))
    }
}

macro_rules! texts {
    ($($builder:ty),+) => {
        $(impl Leaf for $builder {
            fn push(&mut self, value: Scalar<'_>) -> Fit<()> {
                self.append_value(value.written());
                Ok(())
            }

            fn nulls(&mut self, count: usize) {
                (0..count).for_each(|_| self.append_null());
            }

            fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
                Ok(Arc::new(self.finish()))
            }
        })+
    };
}

texts!(StringBuilder, LargeStringBuilder, StringViewBuilder);

struct Bytes<B> {
    builder: B,
    /// Room for one value.
    bytes: Vec<u8>,
    /// Bytes that every value has.
    size: Option<usize>,
}

impl<B> Bytes<B> {
    fn read(&mut self, value: Scalar<'_>) -> Fit<()> {
        const NOT_HEX: &str = "it is not hexadecimal";
        let text = value.text()?.as_bytes();
        let digits = text.strip_prefix(b"\\x").unwrap_or(text);
        self.bytes.clear();
        let (pairs, rest) = digits.as_chunks::<2>();
        for [high, low] in pairs {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Some(NOT_HEX));
            self.bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        }
        if !rest.is_empty() {
            return Err(Some("its last byte has one hexadecimal digit"));
        }
        match self.size {
            Some(size) if size != self.bytes.len() => Err(Some("it has the wrong number of bytes")),
            _ => Ok(()),
        }
    }
}

macro_rules! bytes {
    ($($builder:ty),+) => {
        $(impl Leaf for Bytes<$builder> {
            fn push(&mut self, value: Scalar<'_>) -> Fit<()> {
                self.read(value)?;
                let _ = self.builder.append_value(&self.bytes);
                Ok(())
            }

            fn nulls(&mut self, count: usize) {
                (0..count).for_each(|_| self.builder.append_null());
            }

            fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
                Ok(Arc::new(self.builder.finish()))
            }
        })+
    };
}

bytes!(BinaryBuilder, LargeBinaryBuilder, BinaryViewBuilder, FixedSizeBinaryBuilder);

/// Rare types, such as intervals: arrow reads them.
struct Cast {
    texts: StringBuilder,
    data_type: DataType,
}

impl Cast {
    fn cast(&self, texts: &StringArray) -> Result<ArrayRef, ArrowError> {
        let options = CastOptions { safe: false, format_options: FormatOptions::default() };
        cast_with_options(texts, &self.data_type, &options)
    }
}

impl Leaf for Cast {
    fn push(&mut self, value: Scalar<'_>) -> Fit<()> {
        let text = value.text()?;
        self.cast(&StringArray::from(vec![text])).map_err(|_| None)?;
        self.texts.append_value(text);
        Ok(())
    }

    fn nulls(&mut self, count: usize) {
        (0..count).for_each(|_| self.texts.append_null());
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let texts = self.texts.finish();
        self.cast(&texts)
    }
}
