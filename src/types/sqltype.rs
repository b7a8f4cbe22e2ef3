//! Types in SQL's words: how a type is declared, and what messages call it. Pure.

use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::ident::ident;
use super::lake::list_item;

/// The SQL that means exactly this type; None if there is none.
pub(crate) fn sql_type(data_type: &DataType) -> Option<String> {
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
        DataType::Time32(unit @ (TimeUnit::Second | TimeUnit::Millisecond))
        | DataType::Time64(unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => format!("TIME({})", digits(*unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(*unit)),
        DataType::Timestamp(unit, Some(zone)) if is_utc(zone) => {
            format!("TIMESTAMP({}) WITH TIME ZONE", digits(*unit))
        }
        DataType::Decimal128(precision, scale) if (0..=i8::try_from(*precision).ok()?).contains(scale) => {
            format!("DECIMAL({precision},{scale})")
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

/// What messages call a type: as it is declared or, where SQL has no word for it, the nearest that people know.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => "VARCHAR".to_owned(),
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => "BYTEA".to_owned(),
        DataType::Float16 => "REAL".to_owned(),
        DataType::Date64 => "DATE".to_owned(),
        DataType::Timestamp(unit, Some(zone)) if !is_utc(zone) => {
            format!("TIMESTAMP({}) WITH TIME ZONE '{zone}'", digits(*unit))
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{} {}", ident(field.name()), type_name(field.data_type())));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP({}, {})", type_name(pair[0].data_type()), type_name(pair[1].data_type()))
            }
            _ => "MAP".to_owned(),
        },
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Interval(_) => "INTERVAL".to_owned(),
        other => match list_item(other) {
            Some(item) => format!("{}[]", type_name(item.data_type())),
            None => sql_type(other).unwrap_or_else(|| other.to_string()),
        },
    }
}

/// Whether a zone is UTC, which has several spellings.
pub(crate) fn is_utc(zone: &str) -> bool {
    const SPELLINGS: [&str; 10] =
        ["UTC", "+00:00", "Z", "Etc/UTC", "-00:00", "+0000", "+00", "Zulu", "Etc/Zulu", "Etc/UCT"];
    SPELLINGS.iter().any(|spelling| spelling.eq_ignore_ascii_case(zone))
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
            Time32(TimeUnit::Second),
            Time32(TimeUnit::Millisecond),
            Time64(TimeUnit::Microsecond),
            Time64(TimeUnit::Nanosecond),
            Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
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
            [FixedSizeBinary(2), Null, Timestamp(TimeUnit::Second, Some("+02:00".into())), Struct(Fields::empty())]
        {
            assert_eq!(sql_type(&other), None);
        }
    }

    #[test]
    fn every_type_has_a_name_of_sql() {
        use DataType::*;
        let item = |t| Arc::new(Field::new_list_field(t, true));
        for (data_type, name) in [
            (Decimal128(10, 2), "DECIMAL(10,2)"),
            (Decimal256(50, 10), "DECIMAL(50,10)"),
            (Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "TIMESTAMP(6) WITH TIME ZONE"),
            (Timestamp(TimeUnit::Second, None), "TIMESTAMP(0)"),
            (Time64(TimeUnit::Microsecond), "TIME(6)"),
            (List(item(LargeUtf8)), "VARCHAR[]"),
            (Struct(Fields::from(vec![Field::new("X", Utf8View, true)])), "STRUCT<\"X\" VARCHAR>"),
            (Dictionary(Box::new(Int32), Box::new(Utf8)), "VARCHAR"),
        ] {
            assert_eq!(type_name(&data_type), name);
        }
    }
}
