//! Every type that Arrow and Parquet have: a column of it arrives in the lake with equal values and NULLs, or its table is
//! refused while planning by an error that names the column and the type. Never a panic, never half a lake.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Int64Array, Int64Builder, MapBuilder, RecordBatch, StringArray, StringBuilder, new_null_array,
};
use datafusion::arrow::compute::{can_cast_types, cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::column::writer::ColumnWriter;
use datafusion::parquet::data_type::{ByteArray, FixedLenByteArray, Int64Type, Int96, Int96Type};
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::parser::parse_message_type;

use crate::support::Work;

/// All kinds of [`DataType`], with all units.
fn types() -> Vec<DataType> {
    use DataType::*;
    let item = |of: DataType| Arc::new(Field::new("item", of, true));
    let pair = Fields::from(vec![Field::new("a", Int32, true), Field::new("b", Utf8, true)]);
    let entries = Fields::from(vec![Field::new("keys", Utf8, false), Field::new("values", Int64, true)]);
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types = vec![Null, Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64];
    types.extend([Float16, Float32, Float64, Date32, Date64]);
    types.extend([Time32(units[0]), Time32(units[1]), Time64(units[2]), Time64(units[3])]);
    for unit in units {
        types.extend([Timestamp(unit, None), Timestamp(unit, Some("UTC".into())), Duration(unit)]);
        types.push(Timestamp(unit, Some("Europe/Berlin".into())));
    }
    types.extend([IntervalUnit::YearMonth, IntervalUnit::DayTime, IntervalUnit::MonthDayNano].map(Interval));
    types.extend([Utf8, LargeUtf8, Utf8View, Binary, LargeBinary, BinaryView, FixedSizeBinary(4)]);
    types.extend([Decimal32(9, 2), Decimal64(18, 2), Decimal128(38, 2), Decimal256(76, 2)]);
    types.extend([List(item(Int64)), LargeList(item(Utf8)), FixedSizeList(item(Int32), 2)]);
    types.extend([ListView(item(Int64)), LargeListView(item(Int64))]);
    types.extend([Struct(pair), List(item(List(item(Float64))))]);
    types.push(Map(Arc::new(Field::new("entries", Struct(entries), false)), false));
    types.push(Dictionary(Box::new(Int32), Box::new(Utf8)));
    types.push(RunEndEncoded(
        Arc::new(Field::new("run_ends", Int32, false)),
        Arc::new(Field::new("values", Utf8, true)),
    ));
    types
}

/// Some values and a NULL; numbers that differ where numbers can become this type.
fn values(of: &DataType) -> Option<ArrayRef> {
    if let DataType::Map(..) = of {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for row in 0..4 {
            maps.keys().append_value("k");
            maps.values().append_option((row > 0).then_some(row));
            maps.append(row < 3).ok()?;
        }
        let maps: ArrayRef = Arc::new(maps.finish());
        return cast(&maps, of).ok();
    }
    // A date is a whole day in milliseconds too.
    let unit = if *of == DataType::Date64 { 86_400_000 } else { 1 };
    let numbers = [Some(7 * unit), Some(unit), Some(120 * unit), None];
    let from: [ArrayRef; 2] = [
        Arc::new(Int64Array::from(numbers.to_vec())),
        Arc::new(numbers.iter().map(|number| number.map(|number| number.to_string())).collect::<StringArray>()),
    ];
    let converted =
        from.iter().filter(|from| can_cast_types(from.data_type(), of)).find_map(|from| cast(from, of).ok());
    converted.or_else(|| {
        let some = ScalarValue::new_default(of).ok()?.to_array_of_size(3).ok()?;
        concat(&[&some, &new_null_array(of, 1)]).ok()
    })
}

/// What became of one type.
#[derive(Debug, PartialEq)]
enum Outcome {
    Equal,
    Refused,
    /// The Parquet writer of the export has no form for it, so no snapshot has it.
    NoExport,
}

/// A job whose only file is at `export/t.parquet`.
fn job() -> Work {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 'export/';
         CREATE TABLE lake.t AS SELECT * FROM snapshot.t;",
    );
    work.write("export/keep", "");
    work
}

/// The column `v` of a file.
fn column(path: &Path) -> ArrayRef {
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batch = reader.next().unwrap().unwrap();
    Arc::clone(batch.column_by_name("v").unwrap())
}

/// Runs the job and compares the column `v` before and after.
fn outcome(work: &Work, of: &str) -> Outcome {
    let run = work.snaplake(&["run"]);
    if run.code != 0 {
        assert!(run.stderr.contains("column 'v'"), "{of}: the error does not name the column: {}", run.stderr);
        assert!(work.files("out").is_empty(), "{of}: refused, but not while planning: {}", run.stderr);
        return Outcome::Refused;
    }
    let lake = work.files("out/lake").into_keys().find(|file| file.ends_with(".parquet")).unwrap();
    let (before, after) = (column(&work.path("export/t.parquet")), column(&work.path("out/lake").join(lake)));
    if before.data_type() == &DataType::Null {
        assert_eq!(after.null_count(), before.len(), "{of}");
        return Outcome::Equal;
    }
    // The lake may hold an equal type, such as text in another layout; its values are then compared as the first type.
    let equal = cast(&after, before.data_type());
    let equal = equal.unwrap_or_else(|error| panic!("{of}: {} {error}", after.data_type()));
    assert_eq!(&equal, &before, "{of}");
    Outcome::Equal
}

fn arrow_outcome(of: &DataType) -> Outcome {
    let Some(column) = values(of) else { return Outcome::NoExport };
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("v", of.clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![ids, column]).unwrap();
    let work = job();
    let written = ArrowWriter::try_new(File::create(work.path("export/t.parquet")).unwrap(), batch.schema(), None)
        .and_then(|mut writer| writer.write(&batch).and_then(|()| writer.close()));
    if written.is_err() { Outcome::NoExport } else { outcome(&work, &of.to_string()) }
}

#[test]
fn every_arrow_type_arrives_with_equal_values_or_is_refused_by_name() {
    let mut all: Vec<(String, Outcome)> = types().iter().map(|of| (of.to_string(), arrow_outcome(of))).collect();
    all.retain(|(_, outcome)| *outcome != Outcome::Equal);
    insta::assert_debug_snapshot!(all);
}

/// Physical types with every annotation that each can have.
const PARQUET: [(&str, &[&str]); 9] = [
    ("boolean", &[""]),
    (
        "int32",
        &[
            "",
            "(INT_8)",
            "(INT_16)",
            "(INT_32)",
            "(UINT_8)",
            "(UINT_16)",
            "(UINT_32)",
            "(DATE)",
            "(TIME_MILLIS)",
            "(TIME(MILLIS,false))",
            "(DECIMAL(9,2))",
            "(INTEGER(8,true))",
            "(INTEGER(16,false))",
            "(UNKNOWN)",
        ],
    ),
    (
        "int64",
        &[
            "",
            "(INT_64)",
            "(UINT_64)",
            "(TIME_MICROS)",
            "(TIME(MICROS,false))",
            "(TIME(NANOS,true))",
            "(TIMESTAMP_MILLIS)",
            "(TIMESTAMP_MICROS)",
            "(TIMESTAMP(MILLIS,false))",
            "(TIMESTAMP(MICROS,false))",
            "(TIMESTAMP(NANOS,true))",
            "(TIMESTAMP(NANOS,false))",
            "(DECIMAL(18,2))",
        ],
    ),
    ("int96", &[""]),
    ("float", &[""]),
    ("double", &[""]),
    ("byte_array", &["", "(UTF8)", "(STRING)", "(ENUM)", "(JSON)", "(BSON)", "(DECIMAL(20,2))"]),
    ("fixed_len_byte_array(16)", &["", "(UUID)", "(DECIMAL(38,2))"]),
    ("fixed_len_byte_array(12)", &["(INTERVAL)", "(DECIMAL(28,2))"]),
];

/// And some that fit one length only.
const FIXED: [(&str, &str); 3] = [
    ("fixed_len_byte_array(2)", "(FLOAT16)"),
    ("fixed_len_byte_array(5)", "(DECIMAL(10,2))"),
    ("fixed_len_byte_array(32)", "(DECIMAL(76,2))"),
];

/// A file of the column `v` of this type, with two values and a NULL.
fn write_parquet(path: &Path, physical: &str, annotation: &str) {
    let text = format!("message t {{ required int64 id; optional {physical} v {annotation}; }}");
    let schema = Arc::new(parse_message_type(&text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut ids = group.next_column().unwrap().unwrap();
    ids.typed::<Int64Type>().write_batch(&[1, 2, 3], None, None).unwrap();
    ids.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let levels: Option<&[i16]> = Some(if annotation == "(UNKNOWN)" { &[0, 0, 0] } else { &[1, 0, 1] });
    let wrote = match column.untyped() {
        ColumnWriter::BoolColumnWriter(writer) => writer.write_batch(&[true, false], levels, None),
        ColumnWriter::Int32ColumnWriter(writer) if annotation == "(UNKNOWN)" => writer.write_batch(&[], levels, None),
        ColumnWriter::Int32ColumnWriter(writer) => writer.write_batch(&[7, 120], levels, None),
        ColumnWriter::Int64ColumnWriter(writer) => writer.write_batch(&[7, 1_234_567], levels, None),
        ColumnWriter::Int96ColumnWriter(writer) => {
            writer.write_batch(&[int96(2_456_658), int96(2_440_588)], levels, None)
        }
        ColumnWriter::FloatColumnWriter(writer) => writer.write_batch(&[1.5, f32::NAN], levels, None),
        ColumnWriter::DoubleColumnWriter(writer) => writer.write_batch(&[1.5, -0.0], levels, None),
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let texts = if annotation.contains("DECIMAL") { ["\0a", "1"] } else { ["{\"a\": 1}", ""] };
            writer.write_batch(&texts.map(ByteArray::from), levels, None)
        }
        ColumnWriter::FixedLenByteArrayColumnWriter(writer) => {
            let length: usize = physical[21..physical.len() - 1].parse().unwrap();
            let value = |byte: u8| FixedLenByteArray::from([vec![0; length - 1], vec![byte]].concat());
            writer.write_batch(&[value(7), value(60)], levels, None)
        }
    };
    wrote.unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Noon of a day of the Julian calendar.
fn int96(day: u32) -> Int96 {
    let nanos: u64 = 12 * 60 * 60 * 1_000_000_000;
    let mut value = Int96::new();
    value.set_data(nanos as u32, (nanos >> 32) as u32, day);
    value
}

#[test]
fn every_parquet_type_arrives_with_equal_values_or_is_refused_by_name() {
    let all = PARQUET.iter().flat_map(|(physical, annotations)| annotations.iter().map(move |of| (*physical, *of)));
    let mut found = Vec::new();
    for (physical, annotation) in all.chain(FIXED) {
        let work = job();
        write_parquet(&work.path("export/t.parquet"), physical, annotation);
        match outcome(&work, &format!("{physical} {annotation}")) {
            Outcome::Equal => {}
            other => found.push(format!("{physical} {annotation}: {other:?}")),
        }
    }
    // The reader of INTERVAL drops its months, and few programs read decimals of more than 38 digits.
    assert_eq!(
        found,
        ["fixed_len_byte_array(12) (INTERVAL): Refused", "fixed_len_byte_array(32) (DECIMAL(76,2)): Refused"]
    );
}

#[test]
fn int96_timestamps_beyond_what_nanoseconds_hold_keep_their_value() {
    let work = job();
    write_parquet(&work.path("export/t.parquet"), "int96", "");
    let path = work.path("export/far.parquet");
    let schema = Arc::new(parse_message_type("message t { required int64 id; optional int96 v; }").unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut ids = group.next_column().unwrap().unwrap();
    ids.typed::<Int64Type>().write_batch(&[4, 5], None, None).unwrap();
    ids.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // 9999-12-31 and 0001-01-01, which exports write for "never".
    column.typed::<Int96Type>().write_batch(&[int96(5_373_484), int96(1_721_426)], Some(&[1, 1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    work.snaplake(&["run"]).ok();
    let sql = "SELECT id, v FROM lake.t ORDER BY id";
    insta::assert_snapshot!(work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout, @r"
    id,v
    1,2013-12-31T12:00:00
    2,
    3,1970-01-01T12:00:00
    4,9999-12-31T12:00:00
    5,0001-01-01T12:00:00
    ");
}

#[test]
fn select_of_a_type_that_parquet_lacks_is_refused_by_column_and_type() {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.t (id BIGINT) STORED AS CSV LOCATION 'export/';
         CREATE TABLE lake.t AS SELECT id, INTERVAL '1' MONTH AS v FROM snapshot.t;",
    );
    work.write("export/a.csv", "id\n1\n");
    work.snaplake(&["run"]).failed(2, &["column 'v' is an INTERVAL", "write CAST(v AS VARCHAR) AS v"]);
    assert!(work.files("out").is_empty());
}
