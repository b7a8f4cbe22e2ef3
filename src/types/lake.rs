//! The type that a column has in staging and lake files: what Parquet has a type for, and readers know, at every depth.
//!
//! | Arrow | in files |
//! | --- | --- |
//! | `Timestamp(s)`, `Time32(s)` | milliseconds |
//! | `Timestamp` with any zone | the same instants, zone UTC |
//! | `Timestamp(ns)`, `Time64(ns)` that only a function returned | microseconds |
//! | `Date64` | `Date32` |
//! | `Float16` | `Float32` |
//! | `Decimal32`, `Decimal64`, `Decimal256` of at most 38 digits; of negative scale | `Decimal128`; of scale 0 |
//! | `Utf8View`, `BinaryView`, `Null` | `Utf8`, `Binary`, `Utf8` |
//! | `Dictionary`, `RunEndEncoded` | their values |
//! | `FixedSizeList`, `ListView`, `LargeListView` | `List`, `List`, `LargeList` |
//! | `Duration`, `Interval`, `Union`, a struct without fields, more than 38 digits or [`MAX_DEPTH`] levels | none: [`NoLakeType`] |
//!
//! All others stay. A mapping loses nothing: [`super::store`] refuses a value that the new type cannot hold. Which
//! column has which type is decided once, while planning; this module knows types only, not who asked for them.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};

/// Levels that a column may have: a list or struct of numbers has two. pyarrow opens no file whose Parquet schema has
/// more than 100, where a list has two; the schema that a file carries for Arrow's readers cannot be read back from 62
/// levels on.
pub(crate) const MAX_DEPTH: usize = 50;

/// Most digits of a decimal that readers share: a column of more makes the whole table unreadable to Spark and Polars.
const DECIMAL_DIGITS: u8 = 38;

/// Why a column cannot be stored, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoLakeType {
    /// Its path below the column: `.x`, `[]`; empty for the column itself.
    pub(crate) place: String,
    pub(crate) why: TypeProblem,
}

/// What is wrong with a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeProblem {
    /// Parquet has none like it; `cast` is a type that holds the same, with what a value of it is.
    NoneInParquet { kind: &'static str, cast: Option<(&'static str, &'static str)> },
    /// The table's format has none like it; `cast` is a type that it has.
    NoneInIceberg { kind: &'static str, cast: &'static str },
    /// A decimal of more digits than readers have, and its scale.
    TooManyDigits(u8, i8),
    /// Two fields of a struct have this name.
    FieldTwice(String),
    /// So many levels.
    TooDeep(usize),
}

impl NoLakeType {
    fn here(kind: &'static str, cast: Option<(&'static str, &'static str)>) -> Self {
        Self { place: String::new(), why: TypeProblem::NoneInParquet { kind, cast } }
    }

    fn below(mut self, step: &str) -> Self {
        self.place.insert_str(0, step);
        self
    }
}

impl fmt::Display for TypeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneInParquet { kind, .. } => write!(f, "is {kind}, for which Parquet has no type"),
            Self::NoneInIceberg { kind, .. } => write!(f, "is {kind}, for which Iceberg has no type"),
            Self::TooManyDigits(digits, scale) => {
                write!(
                    f,
                    "is a DECIMAL({digits},{scale}); Spark, Polars and others read at most {DECIMAL_DIGITS} digits"
                )
            }
            Self::FieldTwice(name) => write!(f, "is a STRUCT with two fields '{name}'"),
            Self::TooDeep(levels) => write!(f, "is nested {levels} levels deep; a lake column can have {MAX_DEPTH}"),
        }
    }
}

/// Whether nanoseconds stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nanoseconds {
    /// Somebody asked for them.
    Keep,
    /// They are no more than what a function gives.
    AsMicroseconds,
}

/// The type of a column in files.
///
/// # Errors
/// [`NoLakeType`] if there is none that holds all values of `data_type`.
pub(crate) fn lake_type(data_type: &DataType, nanoseconds: Nanoseconds) -> Result<DataType, NoLakeType> {
    let levels = depth(data_type);
    if levels > MAX_DEPTH {
        return Err(NoLakeType { place: String::new(), why: TypeProblem::TooDeep(levels) });
    }
    stored(data_type, nanoseconds)
}

fn stored(data_type: &DataType, nanoseconds: Nanoseconds) -> Result<DataType, NoLakeType> {
    let unit = |unit: TimeUnit| match (unit, nanoseconds) {
        (TimeUnit::Second, _) => TimeUnit::Millisecond,
        (TimeUnit::Nanosecond, Nanoseconds::AsMicroseconds) => TimeUnit::Microsecond,
        (unit, _) => unit,
    };
    let item = |item: &FieldRef| field(item, nanoseconds, "[]");
    Ok(match data_type {
        DataType::Null | DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView | DataType::FixedSizeBinary(0) => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(of) => DataType::Time64(unit(*of)),
        DataType::Timestamp(of, None) => DataType::Timestamp(unit(*of), None),
        DataType::Timestamp(of, Some(_)) => DataType::Timestamp(unit(*of), Some(Arc::from("UTC"))),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(*precision, *scale)?,
        DataType::Dictionary(_, values) => stored(values, nanoseconds)?,
        DataType::RunEndEncoded(_, values) => stored(values.data_type(), nanoseconds)?,
        DataType::List(of) | DataType::FixedSizeList(of, _) | DataType::ListView(of) => DataType::List(item(of)?),
        DataType::LargeList(of) | DataType::LargeListView(of) => DataType::LargeList(item(of)?),
        DataType::Struct(fields) if fields.is_empty() => {
            return Err(NoLakeType::here("a STRUCT without fields", None));
        }
        DataType::Struct(fields) => {
            for (index, field) in fields.iter().enumerate() {
                if fields.iter().take(index).any(|other| other.name() == field.name()) {
                    return Err(NoLakeType {
                        place: String::new(),
                        why: TypeProblem::FieldTwice(field.name().clone()),
                    });
                }
            }
            let fields = fields.iter().map(|of| field(of, nanoseconds, &format!(".{}", of.name())));
            DataType::Struct(fields.collect::<Result<_, _>>()?)
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(NoLakeType::here("a MAP without keys and values", None));
            };
            let steps = ["[key]", "[value]"].into_iter();
            let pair = pair.iter().zip(steps).map(|(of, step)| field(of, nanoseconds, step));
            let pair = DataType::Struct(pair.collect::<Result<_, _>>()?);
            DataType::Map(retyped(entries, pair), *sorted)
        }
        DataType::Duration(of) => {
            let cast = match of {
                TimeUnit::Second => "seconds",
                TimeUnit::Millisecond => "milliseconds",
                TimeUnit::Microsecond => "microseconds",
                TimeUnit::Nanosecond => "nanoseconds",
            };
            return Err(NoLakeType::here("a DURATION", Some(("BIGINT", cast))));
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            return Err(NoLakeType::here("an INTERVAL", Some(("VARCHAR", "text"))));
        }
        // What comes from a Parquet file has lost its months in the reader: no text of it would be right.
        DataType::Interval(_) => return Err(NoLakeType::here("an INTERVAL", None)),
        DataType::Union(_, _) => return Err(NoLakeType::here("a UNION", None)),
        other => other.clone(),
    })
}

fn field(of: &FieldRef, nanoseconds: Nanoseconds, step: &str) -> Result<FieldRef, NoLakeType> {
    let data_type = stored(of.data_type(), nanoseconds).map_err(|none| none.below(step))?;
    Ok(retyped(of, data_type))
}

fn retyped(of: &FieldRef, data_type: DataType) -> FieldRef {
    if *of.data_type() == data_type { Arc::clone(of) } else { Arc::new(Field::clone(of).with_data_type(data_type)) }
}

/// Parquet has no negative scale.
fn decimal(precision: u8, scale: i8) -> Result<DataType, NoLakeType> {
    let digits = precision.saturating_add(scale.min(0).unsigned_abs());
    if digits <= DECIMAL_DIGITS {
        return Ok(DataType::Decimal128(digits, scale.max(0)));
    }
    Err(NoLakeType { place: String::new(), why: TypeProblem::TooManyDigits(precision, scale) })
}

/// The items of a list of any layout; None if the type is no list.
pub(crate) fn list_item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

/// Levels of a type: 1 for a number, 2 for a list of numbers.
pub(crate) fn depth(data_type: &DataType) -> usize {
    if let Some(item) = list_item(data_type) {
        return 1 + depth(item.data_type());
    }
    1 + match data_type {
        DataType::Map(of, _) | DataType::RunEndEncoded(_, of) => depth(of.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| depth(field.data_type())).max().unwrap_or(0),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| depth(field.data_type())).max().unwrap_or(0),
        DataType::Dictionary(_, values) => depth(values),
        _ => 0,
    }
}

/// Whether a type, or one in it, satisfies `is`.
pub(crate) fn has(data_type: &DataType, is: &dyn Fn(&DataType) -> bool) -> bool {
    is(data_type)
        || list_item(data_type).is_some_and(|item| has(item.data_type(), is))
        || match data_type {
            DataType::Map(of, _) | DataType::RunEndEncoded(_, of) => has(of.data_type(), is),
            DataType::Struct(fields) => fields.iter().any(|field| has(field.data_type(), is)),
            DataType::Dictionary(_, values) => has(values, is),
            _ => false,
        }
}

/// Whether a type has nanoseconds.
pub(crate) fn has_nanoseconds(data_type: &DataType) -> bool {
    has(data_type, &|of| {
        matches!(of, DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Time64(TimeUnit::Nanosecond))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(levels: usize) -> DataType {
        (1..levels).fold(DataType::Int64, |of, _| DataType::new_list(of, true))
    }

    #[test]
    fn deep_types_are_refused_with_their_depth_and_without_overflowing_the_stack() {
        assert_eq!(lake_type(&lists(50), Nanoseconds::Keep), Ok(lists(50)));
        for levels in [51, 128, 1000] {
            let why = lake_type(&lists(levels), Nanoseconds::Keep).unwrap_err().why;
            assert_eq!(why.to_string(), format!("is nested {levels} levels deep; a lake column can have 50"));
        }
    }

    #[test]
    fn types_are_mapped_at_every_depth_and_refused_with_their_place() {
        use DataType::*;
        let keep = |of: &DataType| lake_type(of, Nanoseconds::Keep);
        let seconds = Timestamp(TimeUnit::Second, Some("+02:00".into()));
        let nested = Struct(vec![Field::new("x", DataType::new_list(seconds, false), true)].into());
        let millis = Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let expected = Struct(vec![Field::new("x", DataType::new_list(millis, false), true)].into());
        assert_eq!(keep(&nested), Ok(expected));
        let hopeless = Struct(vec![Field::new("x", DataType::new_list(Duration(TimeUnit::Second), true), true)].into());
        assert_eq!(keep(&hopeless).unwrap_err().place, ".x[]");
        let twice = Struct(vec![Field::new("x", Int8, true), Field::new("x", Int8, true)].into());
        assert_eq!(keep(&twice).unwrap_err().why.to_string(), "is a STRUCT with two fields 'x'");
        assert_eq!(keep(&Decimal128(5, -2)), Ok(Decimal128(7, 0)));
        assert_eq!(keep(&Decimal256(38, 4)), Ok(Decimal128(38, 4)));
        assert_eq!(keep(&Decimal256(40, 4)).unwrap_err().why, TypeProblem::TooManyDigits(40, 4));
        assert!(keep(&Decimal128(38, -1)).is_err());
        let nanos = Timestamp(TimeUnit::Nanosecond, None);
        assert_eq!(keep(&nanos), Ok(nanos.clone()));
        let micros = lake_type(&DataType::new_list(nanos, true), Nanoseconds::AsMicroseconds);
        assert_eq!(micros, Ok(DataType::new_list(Timestamp(TimeUnit::Microsecond, None), true)));
    }

    #[test]
    fn the_type_of_a_stored_column_is_its_own() {
        use DataType::*;
        let types = [
            Boolean,
            Int8,
            UInt64,
            Float32,
            Float64,
            Utf8,
            LargeUtf8,
            Binary,
            LargeBinary,
            FixedSizeBinary(3),
            Date32,
            Time32(TimeUnit::Millisecond),
            Time64(TimeUnit::Microsecond),
            Timestamp(TimeUnit::Microsecond, None),
            Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Decimal128(38, 10),
        ];
        for of in types {
            assert_eq!(lake_type(&of, Nanoseconds::AsMicroseconds), Ok(of));
        }
    }
}
