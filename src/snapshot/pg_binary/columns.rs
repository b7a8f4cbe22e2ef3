//! Which sink reads what PostgreSQL sends into the Arrow type that is wanted.
//!
//! Whatever is not in [`sink`] is refused when the decoder is made. A value that the type cannot hold exactly is a
//! misfit: nothing is rounded, cut or wrapped. Integers and floats are taken by their width, so that an int4 fits a
//! wider column.

use datafusion::arrow::array::ArrowPrimitiveType;
use datafusion::arrow::array::builder::{
    BinaryBuilder, BinaryViewBuilder, LargeBinaryBuilder, LargeStringBuilder, StringBuilder, StringViewBuilder,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::fault::{Misfit, misfit};
use super::numeric::PgNumeric;
use super::sink::{BoolSink, BytesSink, FixedBytesSink, ListSink, PgBytes, PrimitiveSink, Sink, WrittenSink};
use super::text::times::{self, DAY_MICROS, EPOCH_DAYS, EPOCH_MICROS, PgMoment};
use super::text::{exactly, integer, jsonb, untyped, utf8};
use super::wire::PgWire;

const OUT_OF_RANGE: &str = "it is out of the type's range";
const TOO_FINE: &str = "it has more decimal places of a second than the type";
const INFINITE: &str = "the type has no infinity";
const CAST: &str = "no such conversion is exact; cast the column to text in the COPY query, or declare another type";

/// A sink, or why there is none.
pub(crate) fn sink(wire: &PgWire, wanted: &DataType, limit: usize) -> Result<Box<dyn Sink>, &'static str> {
    use PgWire as W;
    match wire {
        W::Other(_) => return Err("its binary form is not known; cast the column to text in the COPY query"),
        W::Array(of) if matches!(**of, W::Array(_)) => {
            return Err("arrays of arrays do not exist; dimensions are part of one array");
        }
        W::Array(of) if matches!(**of, W::Other(_)) => {
            return Err("the binary form of its elements is not known; cast the column to text in the COPY query");
        }
        W::Money | W::Array(_) if is_text(wanted) && (*wire == W::Money || is_money_array(wire)) => {
            return Err(
                "the server's locale decides on the text of money; cast it to numeric or text in the COPY query",
            );
        }
        _ => {}
    }
    Ok(match (wire, wanted) {
        (_, DataType::Utf8) => text::<StringBuilder>(wire, limit),
        (_, DataType::LargeUtf8) => text::<LargeStringBuilder>(wire, limit),
        (_, DataType::Utf8View) => text::<StringViewBuilder>(wire, limit),
        (W::Bool, DataType::Boolean) => Box::new(BoolSink::default()),
        (W::Bytea | W::Text, DataType::Binary) => binary::<BinaryBuilder>(),
        (W::Bytea | W::Text, DataType::LargeBinary) => binary::<LargeBinaryBuilder>(),
        (W::Bytea | W::Text, DataType::BinaryView) => binary::<BinaryViewBuilder>(),
        (W::Uuid, DataType::FixedSizeBinary(16)) => FixedBytesSink::boxed(16),
        (W::Bytea, DataType::FixedSizeBinary(width @ 0..)) => FixedBytesSink::boxed(*width),
        (W::Date, DataType::Date32) => PrimitiveSink::<Date32Type, _>::boxed(wanted, date),
        (W::Interval, DataType::Interval(IntervalUnit::MonthDayNano)) => {
            PrimitiveSink::<IntervalMonthDayNanoType, _>::boxed(wanted, interval)
        }
        (W::Array(of), DataType::List(field)) => ListSink::boxed(field, of, sink(of, field.data_type(), limit)?),
        (W::Float4 | W::Float8, DataType::Float64) => PrimitiveSink::<Float64Type, _>::boxed(wanted, float64),
        (W::Float4 | W::Float8, DataType::Float32) => PrimitiveSink::<Float32Type, _>::boxed(wanted, float32),
        (W::Numeric, DataType::Float64) => {
            let mut scratch = String::new();
            PrimitiveSink::<Float64Type, _>::boxed(wanted, move |b| PgNumeric::parse(b)?.to_f64(&mut scratch))
        }
        (W::Time, DataType::Time32(_) | DataType::Time64(_)) => return time(wanted),
        (W::Timestamp | W::TimestampTz | W::Date, DataType::Timestamp(unit, _)) => {
            let read = if *wire == W::Date { date_micros } else { micros };
            match unit {
                TimeUnit::Second => {
                    PrimitiveSink::<TimestampSecondType, _>::boxed(wanted, move |b| coarser(read(b)?, 1_000_000))
                }
                TimeUnit::Millisecond => {
                    PrimitiveSink::<TimestampMillisecondType, _>::boxed(wanted, move |b| coarser(read(b)?, 1000))
                }
                TimeUnit::Microsecond => PrimitiveSink::<TimestampMicrosecondType, _>::boxed(wanted, read),
                TimeUnit::Nanosecond => {
                    PrimitiveSink::<TimestampNanosecondType, _>::boxed(wanted, move |b| nanos(read(b)?))
                }
            }
        }
        (W::Int2 | W::Int4 | W::Int8 | W::Oid | W::Money | W::Numeric, _) => return number(wire, wanted),
        _ => return Err(CAST),
    })
}

fn is_text(wanted: &DataType) -> bool {
    matches!(wanted, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_money_array(wire: &PgWire) -> bool {
    matches!(wire, PgWire::Array(of) if **of == PgWire::Money)
}

fn text<B: PgBytes<str>>(wire: &PgWire, limit: usize) -> Box<dyn Sink> {
    match wire {
        PgWire::Text => BytesSink::<B, str, _>::boxed(utf8),
        PgWire::Untyped => BytesSink::<B, str, _>::boxed(untyped),
        PgWire::Jsonb => BytesSink::<B, str, _>::boxed(jsonb),
        _ => WrittenSink::<B>::boxed(wire, limit),
    }
}

fn binary<B: PgBytes<[u8]>>() -> Box<dyn Sink> {
    BytesSink::<B, [u8], _>::boxed(|bytes| Ok(bytes))
}

/// Integers and decimals.
fn number(wire: &PgWire, wanted: &DataType) -> Result<Box<dyn Sink>, &'static str> {
    match wire {
        PgWire::Oid => whole(wanted, |bytes| Ok(i64::from(u32::from_be_bytes(exactly(bytes)?)))),
        // Its scale is not sent, so there is no decimal.
        PgWire::Money if *wanted == DataType::Int64 => whole(wanted, |bytes| Ok(i64::from_be_bytes(exactly(bytes)?))),
        PgWire::Money => Err("its scale is not sent: only BIGINT holds it, in units of the smallest coin"),
        PgWire::Numeric => match wanted {
            DataType::Decimal128(precision, scale) => Ok(decimal128(wanted, *precision, i32::from(*scale))),
            DataType::Decimal256(precision, scale) => Ok(decimal256(wanted, *precision, i32::from(*scale))),
            _ => whole(wanted, |bytes| match i64::try_from(PgNumeric::parse(bytes)?.to_i128(0)?) {
                Ok(value) => Ok(value),
                Err(_) => misfit(OUT_OF_RANGE),
            }),
        },
        _ => match wanted {
            DataType::Decimal128(precision, scale @ 0..) => {
                let (precision, by) = (*precision, 10_i128.checked_pow(u32::from(scale.unsigned_abs())));
                Ok(PrimitiveSink::<Decimal128Type, _>::boxed(wanted, move |bytes| {
                    let value = by.and_then(|by| i128::from(integer(bytes).ok()?).checked_mul(by));
                    within128(value.ok_or(Misfit(OUT_OF_RANGE)), precision)
                }))
            }
            _ => whole(wanted, integer),
        },
    }
}

fn whole<F>(wanted: &DataType, read: F) -> Result<Box<dyn Sink>, &'static str>
where
    F: Fn(&[u8]) -> Result<i64, Misfit> + Send + 'static,
{
    fn narrow<T, F>(wanted: &DataType, read: F) -> Box<dyn Sink>
    where
        T: ArrowPrimitiveType,
        T::Native: TryFrom<i64>,
        F: Fn(&[u8]) -> Result<i64, Misfit> + Send + 'static,
    {
        PrimitiveSink::<T, _>::boxed(wanted, move |bytes| match T::Native::try_from(read(bytes)?) {
            Ok(value) => Ok(value),
            Err(_) => misfit(OUT_OF_RANGE),
        })
    }
    Ok(match wanted {
        DataType::Int8 => narrow::<Int8Type, _>(wanted, read),
        DataType::Int16 => narrow::<Int16Type, _>(wanted, read),
        DataType::Int32 => narrow::<Int32Type, _>(wanted, read),
        DataType::Int64 => PrimitiveSink::<Int64Type, _>::boxed(wanted, read),
        DataType::UInt8 => narrow::<UInt8Type, _>(wanted, read),
        DataType::UInt16 => narrow::<UInt16Type, _>(wanted, read),
        DataType::UInt32 => narrow::<UInt32Type, _>(wanted, read),
        DataType::UInt64 => narrow::<UInt64Type, _>(wanted, read),
        _ => return Err(CAST),
    })
}

#[inline]
fn within128(value: Result<i128, Misfit>, precision: u8) -> Result<i128, Misfit> {
    const MOST: [i128; 39] = {
        let mut powers = [1_i128; 39];
        let mut at = 1;
        while at < 39 {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    let value = value?;
    match MOST.get(usize::from(precision)) {
        Some(most) if value < *most && value > -*most => Ok(value),
        _ => misfit("it has more digits than the type"),
    }
}

fn decimal128(wanted: &DataType, precision: u8, scale: i32) -> Box<dyn Sink> {
    PrimitiveSink::<Decimal128Type, _>::boxed(wanted, move |bytes| {
        within128(PgNumeric::parse(bytes)?.to_i128(scale), precision)
    })
}

fn decimal256(wanted: &DataType, precision: u8, scale: i32) -> Box<dyn Sink> {
    let most = i256::from_i128(10).checked_pow(u32::from(precision)).unwrap_or(i256::MAX);
    PrimitiveSink::<Decimal256Type, _>::boxed(wanted, move |bytes| {
        let value = PgNumeric::parse(bytes)?.to_i256(scale)?;
        if value < most && value > most.wrapping_neg() { Ok(value) } else { misfit("it has more digits than the type") }
    })
}

#[inline]
fn float64(bytes: &[u8]) -> Result<f64, Misfit> {
    if bytes.len() == 4 {
        return Ok(f64::from(f32::from_be_bytes(exactly(bytes)?)));
    }
    Ok(f64::from_be_bytes(exactly(bytes)?))
}

fn float32(bytes: &[u8]) -> Result<f32, Misfit> {
    if bytes.len() == 4 {
        return Ok(f32::from_be_bytes(exactly(bytes)?));
    }
    let value = f64::from_be_bytes(exactly(bytes)?);
    #[expect(clippy::cast_possible_truncation, reason = "compared below")]
    let narrow = value as f32;
    if f64::from(narrow) == value || value.is_nan() {
        Ok(narrow)
    } else {
        misfit("a real does not hold all its digits")
    }
}

fn date(bytes: &[u8]) -> Result<i32, Misfit> {
    match PgMoment::date(i32::from_be_bytes(exactly(bytes)?))? {
        PgMoment::Finite(days) => days.checked_add(EPOCH_DAYS).ok_or(Misfit(OUT_OF_RANGE)),
        _ => misfit(INFINITE),
    }
}

fn date_micros(bytes: &[u8]) -> Result<i64, Misfit> {
    i64::from(date(bytes)?).checked_mul(DAY_MICROS).ok_or(Misfit(OUT_OF_RANGE))
}

/// Microseconds since 1970: the last 52 years of the server's range do not fit.
#[inline]
fn micros(bytes: &[u8]) -> Result<i64, Misfit> {
    match PgMoment::timestamp(i64::from_be_bytes(exactly(bytes)?))? {
        PgMoment::Finite(micros) => micros.checked_add(EPOCH_MICROS).ok_or(Misfit(OUT_OF_RANGE)),
        _ => misfit(INFINITE),
    }
}

fn nanos(micros: i64) -> Result<i64, Misfit> {
    micros.checked_mul(1000).ok_or(Misfit(OUT_OF_RANGE))
}

fn coarser(micros: i64, by: i64) -> Result<i64, Misfit> {
    if micros % by == 0 { Ok(micros / by) } else { misfit(TOO_FINE) }
}

fn time(wanted: &DataType) -> Result<Box<dyn Sink>, &'static str> {
    fn of_day(bytes: &[u8]) -> Result<i64, Misfit> {
        match times::time(i64::from_be_bytes(exactly(bytes)?))? {
            DAY_MICROS => misfit("the type ends before 24:00:00"),
            micros => Ok(micros),
        }
    }
    fn small(bytes: &[u8], by: i64) -> Result<i32, Misfit> {
        i32::try_from(coarser(of_day(bytes)?, by)?).map_err(|_| Misfit(OUT_OF_RANGE))
    }
    Ok(match wanted {
        DataType::Time64(TimeUnit::Microsecond) => PrimitiveSink::<Time64MicrosecondType, _>::boxed(wanted, of_day),
        DataType::Time64(TimeUnit::Nanosecond) => {
            PrimitiveSink::<Time64NanosecondType, _>::boxed(wanted, |bytes| nanos(of_day(bytes)?))
        }
        DataType::Time32(TimeUnit::Second) => {
            PrimitiveSink::<Time32SecondType, _>::boxed(wanted, |bytes| small(bytes, 1_000_000))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            PrimitiveSink::<Time32MillisecondType, _>::boxed(wanted, |bytes| small(bytes, 1000))
        }
        _ => return Err(CAST),
    })
}

fn interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, Misfit> {
    let (micros, days, months) = times::interval(exactly(bytes)?);
    match micros.checked_mul(1000) {
        Some(nanos) => Ok(IntervalMonthDayNano::new(months, days, nanos)),
        None => misfit(OUT_OF_RANGE),
    }
}
