//! The type that a column of an Iceberg table has in its files: of the lake's types those that Iceberg (format version
//! 2) has, at every depth. Pure.
//!
//! | in other lakes | in an Iceberg table |
//! | --- | --- |
//! | `Int8`, `Int16`, `UInt8`, `UInt16` | `Int32` |
//! | `UInt32` | `Int64` |
//! | `UInt64` | `Decimal128(20, 0)` |
//! | `Time32(ms)`, `Timestamp(ms)` | microseconds |
//! | `Time64(ns)`, `Timestamp(ns)` | none: [`NoLakeType`] |
//!
//! All others stay. Each value of the old type is one of the new.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use super::lake::{NoLakeType, TypeProblem};

/// The type in files of an Iceberg table for a type in files of other lakes.
///
/// # Errors
/// [`NoLakeType`] for nanoseconds.
pub(crate) fn iceberg_type(of: &DataType) -> Result<DataType, NoLakeType> {
    let field = |of: &FieldRef, step: &str| -> Result<FieldRef, NoLakeType> {
        let data_type = iceberg_type(of.data_type()).map_err(|mut none| {
            none.place.insert_str(0, step);
            none
        })?;
        Ok(Arc::new(Field::clone(of).with_data_type(data_type)))
    };
    let nanoseconds = |kind, cast| {
        let why = TypeProblem::NoneInIceberg { kind, cast };
        Err(NoLakeType { place: String::new(), why })
    };
    Ok(match of {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Time32(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond) => return nanoseconds("a TIME in nanoseconds", "VARCHAR"),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            return nanoseconds("a TIMESTAMP in nanoseconds", "TIMESTAMP(6)");
        }
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::List(item) => DataType::List(field(item, "[]")?),
        DataType::LargeList(item) => DataType::LargeList(field(item, "[]")?),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|of| field(of, &format!(".{}", of.name())));
            DataType::Struct(fields.collect::<Result<_, _>>()?)
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return Ok(of.clone()) };
            let pair = pair.iter().zip(["[key]", "[value]"]).map(|(of, step)| field(of, step));
            let pair = DataType::Struct(pair.collect::<Result<_, _>>()?);
            DataType::Map(Arc::new(Field::clone(entries).with_data_type(pair)), *sorted)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_without_a_like_in_iceberg_become_wider_ones_at_every_depth() {
        let item = |of| Arc::new(Field::new("item", of, true));
        for (of, expected) in [
            (DataType::Int8, DataType::Int32),
            (DataType::UInt64, DataType::Decimal128(20, 0)),
            (DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), utc()),
            (DataType::List(item(DataType::UInt32)), DataType::List(item(DataType::Int64))),
            (DataType::Utf8, DataType::Utf8),
        ] {
            assert_eq!(iceberg_type(&of).unwrap(), expected);
        }
        let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let nested = DataType::Struct(vec![Field::new("t", nanoseconds, true)].into());
        let none = iceberg_type(&nested).unwrap_err();
        assert_eq!(none.place, ".t");
        assert!(none.why.to_string().contains("Iceberg"), "{}", none.why);
    }

    fn utc() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }
}
