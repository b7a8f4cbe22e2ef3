//! The one schema of a snapshot table, merged from the schemas of all its files.
//!
//! Columns are matched by name. A column that only some files have is in the result; every column is nullable. Types
//! widen only where no value can change: integers to the narrowest integer that holds both, decimals to as many digits
//! before and after the point as any has, timestamps to the finest unit (not to nanoseconds, which end in 2262), times
//! likewise, and NULL to anything. Integers and floats are DOUBLE, unless integers of 64 bits are among them: then it
//! depends on the values, which text files know (`super::widen`). UTC is one zone, however it is spelled. All else is
//! [`Error::SchemaConflict`], which names the column, both files and both types. Names that differ by case are two
//! columns. The result, and whether there is a result, do not depend on the order of the files; only the order of the
//! columns does.
//!
//! Text of any layout is Utf8, bytes are Binary, lists are List and a dictionary counts as its values, so that files
//! of different writers agree. Metadata of schemas and fields is dropped. This module reads no file.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use super::clash::TypePlace;
use super::widen::{Members, Scope};
use crate::error::{Error, Result};

/// Merges the schemas of the files of one snapshot table, one file at a time.
#[derive(Debug)]
pub(crate) struct SchemaMerger {
    table: String,
    columns: Members,
    is_typed: bool,
    /// The fields added last: most files of a table have the same, and merging is idempotent.
    last: Option<Fields>,
}

impl SchemaMerger {
    /// A merger that has seen no file; `table` is the bare name that errors carry. The files are text, whose types are
    /// those that the values need.
    pub(crate) fn new(table: &str) -> Self {
        Self { table: table.to_owned(), columns: Members::default(), is_typed: false, last: None }
    }

    /// The same for files that state their types, such as Parquet.
    pub(crate) fn typed(table: &str) -> Self {
        Self { is_typed: true, ..Self::new(table) }
    }

    /// Takes in the schema of one file.
    ///
    /// # Errors
    /// [`Error::SchemaConflict`] when a column does not widen to a type that holds both, and
    /// [`Error::ReadSnapshotFile`] when the file has two columns of one name.
    pub(crate) fn add(&mut self, uri: &str, schema: &Schema) -> Result<()> {
        if self.last.as_ref() == Some(schema.fields()) {
            return Ok(());
        }
        if let Some(name) = duplicate(schema.fields().iter().map(|field| field.name().as_str())) {
            return Err(duplicate_column(&self.table, uri, name));
        }
        let place = if self.is_typed { TypePlace::typed(uri) } else { TypePlace::text(uri) };
        self.columns.merge(schema.fields().iter(), &place).map_err(|clash| clash.into_error(&self.table, &place))?;
        self.last = Some(schema.fields().clone());
        Ok(())
    }

    /// The merged schema; a column that was NULL in every file is text.
    pub(crate) fn finish(self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.fields(Scope::Table)))
    }
}

/// The first name that occurs twice.
pub(crate) fn duplicate<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// The error for a file with two columns of one name.
pub(crate) fn duplicate_column(table: &str, uri: &str, name: &str) -> Error {
    Error::ReadSnapshotFile {
        table: table.to_owned(),
        uri: uri.to_owned(),
        source: DataFusionError::Execution(format!("the file has two columns named '{name}'")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
    use proptest::prelude::*;

    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, t)| Field::new(*name, t.clone(), false)).collect::<Vec<_>>())
    }

    fn add_all(mut merger: SchemaMerger, schemas: &[Schema]) -> Result<SchemaRef> {
        for (number, schema) in schemas.iter().enumerate() {
            merger.add(&format!("file-{number}"), schema)?;
        }
        Ok(merger.finish())
    }

    fn merge(schemas: &[Schema]) -> Result<SchemaRef> {
        add_all(SchemaMerger::typed("t"), schemas)
    }

    /// The type of a column `c` that has these types in one file each.
    fn widen(types: &[DataType]) -> Result<DataType> {
        let schemas: Vec<_> = types.iter().map(|t| schema(&[("c", t.clone())])).collect();
        merge(&schemas).map(|merged| merged.field(0).data_type().clone())
    }

    /// The same for text files.
    fn widen_text(types: &[DataType]) -> Result<DataType> {
        let schemas: Vec<_> = types.iter().map(|t| schema(&[("c", t.clone())])).collect();
        add_all(SchemaMerger::new("t"), &schemas).map(|merged| merged.field(0).data_type().clone())
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, true)))
    }

    fn object(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(fields.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect())
    }

    #[test]
    fn new_columns_appear_in_order_and_are_nullable() {
        let merged = merge(&[
            schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]),
            schema(&[("c", DataType::Boolean), ("a", DataType::Int64)]),
        ])
        .unwrap();
        let names: Vec<_> = merged.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(merged.fields().iter().all(|field| field.is_nullable()));
    }

    #[test]
    fn numbers_widen_to_the_narrowest_type_that_holds_all() {
        use DataType::*;
        for (types, expected) in [
            (vec![Int8, Int32], Int32),
            (vec![UInt8, UInt16], UInt16),
            (vec![Int8, UInt8], Int16),
            (vec![UInt16, Int16, Int8], Int32),
            (vec![UInt32, Int8], Int64),
            (vec![Int32, Float32], Float64),
            (vec![UInt32, Float16], Float64),
            (vec![Float32, Float32], Float32),
            (vec![Float16, Float32], Float32),
            (vec![Float32, Float64], Float64),
            (vec![Decimal128(10, 2), Decimal128(20, 2)], Decimal128(20, 2)),
            (vec![Decimal64(18, 2), Decimal128(5, 2)], Decimal128(18, 2)),
            (vec![Decimal128(10, 2), Decimal128(10, 3)], Decimal128(11, 3)),
            (vec![Decimal32(9, 2), Decimal32(9, 3)], Decimal64(10, 3)),
            (vec![Decimal128(38, 0), Decimal128(38, 10)], Decimal256(48, 10)),
            (vec![Decimal128(5, -2), Decimal128(3, 1)], Decimal128(8, 1)),
        ] {
            assert_eq!(widen(&types).unwrap(), expected, "{types:?}");
            assert_eq!(widen_text(&types).unwrap(), expected, "{types:?}");
        }
    }

    #[test]
    fn integers_of_64_bits_and_floats_are_floats_whose_reader_checks_each_value() {
        use DataType::*;
        for (one, other) in [(Int64, Float32), (UInt64, Float64)] {
            for types in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
                assert_eq!(widen_text(&types).unwrap(), Float64);
                assert_eq!(widen(&types).unwrap(), Float64);
            }
            assert_eq!(widen(&[other.clone(), Int8, other]).unwrap(), Float64);
        }
    }

    #[test]
    fn times_widen_to_the_finest_unit_and_utc_is_one_zone() {
        use DataType::*;
        use TimeUnit::*;
        let zoned = |unit, zone: &str| Timestamp(unit, Some(zone.into()));
        for (types, expected) in [
            (vec![Timestamp(Second, None), Timestamp(Microsecond, None)], Timestamp(Microsecond, None)),
            (
                vec![zoned(Millisecond, "UTC"), zoned(Microsecond, "+00:00"), zoned(Second, "Z")],
                zoned(Microsecond, "UTC"),
            ),
            (vec![zoned(Microsecond, "Etc/UTC")], zoned(Microsecond, "UTC")),
            (vec![Timestamp(Nanosecond, None), Timestamp(Nanosecond, None)], Timestamp(Nanosecond, None)),
            (vec![Time32(Millisecond), Time64(Microsecond)], Time64(Microsecond)),
            (vec![Time32(Second), Time32(Millisecond)], Time32(Millisecond)),
        ] {
            assert_eq!(widen(&types).unwrap(), expected, "{types:?}");
        }
        let (micro, nano) = (Timestamp(Microsecond, None), Timestamp(Nanosecond, None));
        assert!(widen(&[micro.clone(), nano.clone()]).is_err() && widen(&[nano.clone(), micro.clone()]).is_err());
        assert_eq!(widen_text(&[nano.clone(), micro]).unwrap(), nano);
    }

    #[test]
    fn names_that_differ_by_case_are_two_columns_at_every_depth() {
        use DataType::*;
        let inner = |name: &str, t: DataType| schema(&[("o", object(&[(name, t)]))]);
        let merged = merge(&[schema(&[("id", Int64), ("Id", Utf8)]), schema(&[("Id", Utf8), ("ID", Boolean)])]);
        let names: Vec<_> = merged.unwrap().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["id", "Id", "ID"]);
        let merged = merge(&[inner("x", Int64), inner("X", Utf8)]).unwrap();
        assert_eq!(merged.field(0).data_type(), &object(&[("x", Int64), ("X", Utf8)]));
    }

    #[test]
    fn one_kind_of_text_bytes_lists_and_dictionaries() {
        use DataType::*;
        let dictionary = Dictionary(Box::new(Int32), Box::new(Utf8));
        let large = LargeList(Arc::new(Field::new("element", Int64, false)));
        assert_eq!(widen(&[Utf8View, LargeUtf8, dictionary]).unwrap(), Utf8);
        assert_eq!(widen(&[BinaryView, FixedSizeBinary(16)]).unwrap(), Binary);
        assert_eq!(widen(&[FixedSizeBinary(16), FixedSizeBinary(16)]).unwrap(), FixedSizeBinary(16));
        assert_eq!(widen(&[large, list(Int32), list(Null)]).unwrap(), list(Int64));
    }

    #[test]
    fn null_gives_way_and_alone_becomes_text() {
        use DataType::*;
        assert_eq!(widen(&[Null, Date32, Null]).unwrap(), Date32);
        assert_eq!(widen(&[Null, Null]).unwrap(), Utf8);
        assert_eq!(widen(&[list(Null)]).unwrap(), list(Utf8));
    }

    #[test]
    fn structs_merge_by_field() {
        use DataType::*;
        let merged =
            widen(&[object(&[("a", Int32), ("b", Utf8)]), object(&[("b", Utf8), ("a", Int64), ("c", Boolean)])]);
        assert_eq!(merged.unwrap(), object(&[("a", Int64), ("b", Utf8), ("c", Boolean)]));
    }

    #[test]
    fn conflict_names_both_files_where_the_types_were_set() {
        let int = |t| schema(&[("c", t)]);
        let error = merge(&[
            int(DataType::Null),
            int(DataType::Int32),
            int(DataType::Int64),
            int(DataType::Int8),
            int(DataType::Utf8View),
        ])
        .unwrap_err();
        assert_eq!(error.to_string(), "column 'c' of snapshot.t is BIGINT in file-2 but VARCHAR in file-4");
    }

    #[test]
    fn conflict_in_a_nested_field_names_its_path() {
        let orders = |t| schema(&[("orders", list(object(&[("price", t)])))]);
        let error = merge(&[orders(DataType::Int64), orders(DataType::Boolean)]).unwrap_err();
        assert!(error.to_string().starts_with("column 'orders[].price' of snapshot.t is BIGINT"), "{error}");
    }

    #[test]
    fn unlike_types_conflict() {
        use DataType::*;
        let zone = |zone: &str| Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        for (one, other) in [
            (UInt64, Int8),
            (Int64, Utf8),
            (Boolean, Int8),
            (Date32, Timestamp(TimeUnit::Second, None)),
            (zone("UTC"), zone("+01:00")),
            (zone("UTC"), Timestamp(TimeUnit::Microsecond, None)),
            (Decimal256(76, 0), Decimal256(76, 1)),
            (Decimal128(10, 2), Int64),
            (list(Utf8), Utf8),
            (object(&[]), list(Null)),
            (Utf8, Binary),
        ] {
            assert!(widen(&[one.clone(), other.clone()]).is_err(), "{one} {other}");
            assert!(widen(&[other.clone(), one.clone()]).is_err(), "{other} {one}");
        }
    }

    #[test]
    fn signed_and_uint64_conflict_even_when_a_float_came_first() {
        use DataType::*;
        let error = widen(&[Float64, UInt64, Int8]).unwrap_err().to_string();
        assert!(error.contains("is BIGINT UNSIGNED in file-1 but TINYINT in file-2"), "{error}");
        let error = widen(&[UInt64, Int8]).unwrap_err().to_string();
        assert!(error.contains("is BIGINT UNSIGNED in file-0 but TINYINT in file-1"), "{error}");
        assert!(widen(&[Int8, UInt64, Float64]).is_err());
        assert_eq!(widen_text(&[Int8, UInt64]).unwrap(), Utf8);
    }

    #[test]
    fn a_file_with_a_column_twice_is_refused() {
        let twice = schema(&[("c", DataType::Int64), ("c", DataType::Int64)]);
        assert!(matches!(merge(&[twice]), Err(Error::ReadSnapshotFile { .. })));
    }

    fn any_type() -> impl Strategy<Value = DataType> {
        use DataType::*;
        let leaf = prop::sample::select(vec![
            Null,
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
            LargeUtf8,
            Binary,
            FixedSizeBinary(2),
            FixedSizeBinary(4),
            Decimal128(10, 2),
            Decimal256(12, 2),
            Decimal128(10, 1),
            Date32,
            Decimal128(38, 3),
            Decimal256(76, 0),
            Timestamp(TimeUnit::Second, None),
            Timestamp(TimeUnit::Microsecond, None),
            Timestamp(TimeUnit::Nanosecond, None),
            Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
            Timestamp(TimeUnit::Second, Some("+01:00".into())),
            Time32(TimeUnit::Second),
            Time64(TimeUnit::Nanosecond),
        ]);
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(list),
                prop::collection::btree_map("[xy]", inner, 0..3)
                    .prop_map(|fields| Struct(fields.into_iter().map(|(name, t)| Field::new(name, t, true)).collect())),
            ]
        })
    }

    /// The same type with struct fields in order of name, since field order follows file order.
    fn canonical(data_type: &DataType) -> DataType {
        match data_type {
            DataType::List(item) => list(canonical(item.data_type())),
            DataType::Struct(fields) => {
                let sorted: BTreeMap<_, _> =
                    fields.iter().map(|field| (field.name().as_str(), canonical(field.data_type()))).collect();
                object(&sorted.into_iter().collect::<Vec<_>>())
            }
            other => other.clone(),
        }
    }

    fn outcome(merger: SchemaMerger, schemas: &[Schema]) -> Option<BTreeMap<String, DataType>> {
        let merged = add_all(merger, schemas).ok()?;
        Some(merged.fields().iter().map(|field| (field.name().clone(), canonical(field.data_type()))).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn order_of_files_does_not_matter(
            (files, shuffled) in prop::collection::vec(prop::collection::btree_map("[ab]", any_type(), 0..3), 1..5)
                .prop_flat_map(|files| (Just(files.clone()), Just(files).prop_shuffle()))
        ) {
            let schemas = |files: &[BTreeMap<String, DataType>]| -> Vec<Schema> {
                files.iter().map(|file| {
                    schema(&file.iter().map(|(name, t)| (name.as_str(), t.clone())).collect::<Vec<_>>())
                }).collect()
            };
            for new in [SchemaMerger::new, SchemaMerger::typed] {
                prop_assert_eq!(outcome(new("t"), &schemas(&files)), outcome(new("t"), &schemas(&shuffled)));
            }
        }
    }
}
