//! How a type is declared in CREATE EXTERNAL TABLE. Pure.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::names::ident;

/// The SQL that means exactly this type; None if there is none.
pub(super) fn sql_type(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "TINYINT UNSIGNED".to_owned(),
        DataType::UInt16 => "SMALLINT UNSIGNED".to_owned(),
        DataType::UInt32 => "INT UNSIGNED".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 => "VARCHAR".to_owned(),
        DataType::Binary => "BYTEA".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time64(TimeUnit::Nanosecond) => "TIME".to_owned(),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(*unit)),
        DataType::Decimal128(precision, scale) if (0..=i8::try_from(*precision).ok()?).contains(scale) => {
            format!("DECIMAL({precision}, {scale})")
        }
        DataType::List(item) if item.name() == "item" && item.is_nullable() => {
            format!("{}[]", sql_type(item.data_type())?)
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields: Option<Vec<String>> = fields
                .iter()
                .map(|field| Some(format!("{} {}", ident(field.name()), sql_type(field.data_type())?)))
                .collect();
            format!("STRUCT<{}>", fields?.join(", "))
        }
        _ => return None,
    })
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// A type in words for a comment.
pub(super) fn described(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => "VARCHAR".to_owned(),
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => "BYTEA".to_owned(),
        DataType::Timestamp(unit, Some(zone)) => format!("TIMESTAMP({}) {zone}", digits(*unit)),
        DataType::List(_) | DataType::LargeList(_) => "list".to_owned(),
        DataType::Struct(_) => "struct".to_owned(),
        DataType::Map(_, _) => "map".to_owned(),
        other => sql_type(other).unwrap_or_else(|| other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, Fields};

    use super::*;
    use crate::config::{Variables, load};

    #[test]
    fn a_declared_type_is_read_back_as_the_same_type() {
        use DataType::*;
        let inner = Struct(Fields::from(vec![
            Field::new("N", Utf8, true),
            Field::new("in", DataType::new_list(Int64, true), true),
        ]));
        let types = vec![
            Boolean,
            Int8,
            Int16,
            Int32,
            Int64,
            UInt8,
            UInt16,
            UInt32,
            UInt64,
            Float32,
            Float64,
            Utf8,
            Binary,
            Date32,
            Time64(TimeUnit::Nanosecond),
            Timestamp(TimeUnit::Second, None),
            Timestamp(TimeUnit::Millisecond, None),
            Timestamp(TimeUnit::Microsecond, None),
            Timestamp(TimeUnit::Nanosecond, None),
            Decimal128(38, 10),
            Decimal128(5, 0),
            DataType::new_list(DataType::new_list(Utf8, true), true),
            DataType::new_list(inner.clone(), true),
            Struct(Fields::from(vec![Field::new("a b", inner, true)])),
        ];
        let columns: Vec<_> = types.iter().enumerate().map(|(n, t)| format!("c{n} {}", sql_type(t).unwrap())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.sql");
        let settings = "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
            SET snaplake.staging = 's'; SET snaplake.datalake = 'l';";
        let tables = format!(
            "CREATE EXTERNAL TABLE snapshot.t ({}) STORED AS PARQUET LOCATION 'x/'; CREATE TABLE lake.t AS SELECT 1;",
            columns.join(", ")
        );
        std::fs::write(&path, format!("{settings} {tables}")).unwrap();
        let project = load(&path, &Variables::default()).unwrap();
        let declared = Arc::clone(project.snapshots[0].declared.as_ref().unwrap());
        let shown = |data_type: &DataType| data_type.to_string().replace("Utf8View", "Utf8");
        let read: Vec<_> = declared.fields().iter().map(|field| shown(field.data_type())).collect();
        assert_eq!(read, types.iter().map(shown).collect::<Vec<_>>());
    }

    #[test]
    fn types_without_words_have_none() {
        use DataType::*;
        for other in
            [FixedSizeBinary(2), Null, Timestamp(TimeUnit::Second, Some("UTC".into())), Struct(Fields::empty())]
        {
            assert_eq!(sql_type(&other), None);
        }
    }
}
