//! Files of an export whose footers say what is not so: no row is lost by it, or the file is refused by name.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, Int64Builder, ListBuilder, RecordBatch,
    StringArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::data_type::ByteArray;
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use datafusion::parquet::file::properties::{WriterProperties, WriterVersion};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;
use tempfile::TempDir;

use super::claims::footer_bytes;
use crate::config::{ColumnSet, FileFormat};
use crate::error::unwrap_engine;
use crate::layout::FilePartition;
use crate::manifest::FileEntry;
use crate::snapshot::{FileListTable, ScanSize, TableFiles, register};
use crate::thrift::Rest;

/// A Parquet file with row groups of so many rows.
fn file(batch: &RecordBatch, rows_per_group: usize, version: WriterVersion) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows_per_group))
        .set_writer_version(version)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// The file with another footer.
fn forged(bytes: &[u8], forge: impl Fn(&ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let bytes = Bytes::copy_from_slice(bytes);
    let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let tail: [u8; 8] = bytes[bytes.len() - 8..].try_into().unwrap();
    let length = u32::from_le_bytes(tail[..4].try_into().unwrap()) as usize;
    let mut made = bytes[..bytes.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut made, &forge(&footer)).finish().unwrap();
    made
}

fn with_rows(footer: &ParquetMetaData, rows: i64) -> ParquetMetaDataBuilder {
    let old = footer.file_metadata();
    let (kept, orders) = (old.key_value_metadata().cloned(), old.column_orders().cloned());
    let created_by = old.created_by().map(ToOwned::to_owned);
    let file = FileMetaData::new(old.version(), rows, created_by, kept, old.schema_descr_ptr(), orders);
    ParquetMetaDataBuilder::new(file)
}

fn with_columns(
    footer: &ParquetMetaData,
    change: impl Fn(usize, usize, ColumnChunkMetaData) -> ColumnChunkMetaData,
) -> ParquetMetaData {
    let groups = footer.row_groups().iter().enumerate().map(|(number, group)| {
        let columns = group.columns().iter().enumerate();
        let columns = columns.map(|(column, chunk)| change(number, column, chunk.clone())).collect();
        group.clone().into_builder().set_column_metadata(columns).build().unwrap()
    });
    with_rows(footer, footer.file_metadata().num_rows()).set_row_groups(groups.collect()).build()
}

/// One row less in the last row group, in all that the footer says.
fn with_one_row_less(footer: &ParquetMetaData) -> ParquetMetaData {
    let last = footer.num_row_groups() - 1;
    let fewer = |number: usize, _: usize, chunk: ColumnChunkMetaData| match number == last {
        true => {
            let values = chunk.num_values() - 1;
            chunk.into_builder().set_num_values(values).build().unwrap()
        }
        false => chunk,
    };
    let changed = with_columns(footer, fewer);
    let mut groups: Vec<RowGroupMetaData> = changed.row_groups().to_vec();
    let group = groups.pop().unwrap();
    let rows = group.num_rows() - 1;
    groups.push(group.into_builder().set_num_rows(rows).build().unwrap());
    with_rows(footer, footer.file_metadata().num_rows() - 1).set_row_groups(groups).build()
}

/// A table `t` of files with these bytes, and what has to live as long.
fn table(files: &[Vec<u8>], schema: SchemaRef, threads: usize) -> (SessionContext, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SessionConfig::new().with_target_partitions(threads).with_batch_size(100);
    config.options_mut().optimizer.repartition_file_min_size = 1;
    let session = SessionContext::new_with_config(config);
    let entries = files.iter().enumerate().map(|(number, bytes)| {
        let path = folder.path().join(format!("f{number}.parquet"));
        std::fs::write(&path, bytes).unwrap();
        let uri = format!("file://{}", path.display()).into();
        FileEntry { uri, etag: "e".into(), size: bytes.len() as u64, n_record: None, partition: FilePartition::None }
    });
    let files = TableFiles {
        name: "t".to_owned(),
        format: FileFormat::Parquet,
        schema,
        partition: Vec::new(),
        null_invalid: ColumnSet::None,
        files: entries.collect(),
    };
    register(&session, "public", "t", FileListTable::of_export(files, ScanSize::Driving)).unwrap();
    (session, folder)
}

async fn ask(session: &SessionContext, query: &str) -> Result<RecordBatch> {
    let frame = session.sql(query).await?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    Ok(concat_batches(&schema, &frame.collect().await?)?)
}

async fn message(session: &SessionContext, query: &str) -> String {
    match ask(session, query).await {
        Ok(rows) => format!("{} rows", rows.num_rows()),
        Err(error) => unwrap_engine(error).to_string(),
    }
}

fn numbers(rows: i64) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("text {n}"))));
    RecordBatch::try_from_iter([("n", n), ("text", text)]).unwrap()
}

/// What a footer says of a column chunk's values.
#[derive(Debug, Clone, Copy)]
enum Claim {
    Right,
    Nothing,
    NoNullCount,
    /// All NULL, or none.
    Nulls(bool),
    /// Bounds in which the values are not, maybe deprecated ones.
    Bounds(i64, bool),
}

fn claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        Just(Claim::Right),
        Just(Claim::Nothing),
        Just(Claim::NoNullCount),
        any::<bool>().prop_map(Claim::Nulls),
        (-50i64..50, any::<bool>()).prop_map(|(at, deprecated)| Claim::Bounds(at, deprecated)),
    ]
}

fn claimed(chunk: ColumnChunkMetaData, claim: Claim) -> ColumnChunkMetaData {
    let rows = chunk.num_values().unsigned_abs();
    let (nulls, at, deprecated) = match claim {
        Claim::Right => return chunk,
        Claim::Nothing => return chunk.into_builder().clear_statistics().build().unwrap(),
        Claim::NoNullCount => (None, None, false),
        Claim::Nulls(all) => (Some(if all { rows } else { 0 }), None, false),
        Claim::Bounds(at, deprecated) => (Some(0), Some(at), deprecated),
    };
    let statistics = match chunk.statistics() {
        Some(Statistics::Int64(old)) => {
            let bound = |old: Option<&i64>| at.or(old.copied());
            Statistics::int64(bound(old.min_opt()), bound(old.max_opt()), None, nulls, deprecated)
        }
        Some(Statistics::Double(old)) => {
            let bound = |old: Option<&f64>| at.map(|at| at as f64).or(old.copied());
            Statistics::double(bound(old.min_opt()), bound(old.max_opt()), None, nulls, deprecated)
        }
        Some(Statistics::ByteArray(old)) => {
            let bound =
                |old: Option<&ByteArray>| at.map(|at| ByteArray::from(at.to_string().into_bytes())).or(old.cloned());
            Statistics::byte_array(bound(old.min_opt()), bound(old.max_opt()), None, nulls, deprecated)
        }
        _ => return chunk.into_builder().clear_statistics().build().unwrap(),
    };
    chunk.into_builder().set_statistics(statistics).build().unwrap()
}

const PREDICATES: [&str; 30] = [
    "i = 3",
    "i <> 3",
    "i < 0",
    "i >= 5",
    "i IN (1, 2, 3)",
    "i NOT IN (1, 2)",
    "i IS NULL",
    "i IS NOT NULL",
    "i BETWEEN -5 AND 5",
    "i NOT BETWEEN -5 AND 5",
    "abs(i) = 4",
    "i % 3 = 0",
    "f = 0",
    "f IN (0.0, 1.0)",
    "f IN (-0.0)",
    "f > 1000",
    "f < -1000",
    "f <> f",
    "isnan(f)",
    "f IS NULL OR f > 2",
    "s = 'b'",
    "s LIKE 'a%'",
    "s NOT LIKE '%b%'",
    "s > 'é'",
    "s IS NULL AND i IS NOT NULL",
    "NOT (s = 'a' OR i > 0)",
    "upper(s) = 'A'",
    "d = 1.5",
    "d < 0 OR d IS NULL",
    "CASE WHEN i > 0 THEN s IS NULL ELSE true END",
];

/// Rows that a scan without statistics gives too, though what they say may change its plan.
const QUERIES: [&str; 4] = [
    "SELECT id FROM {t} ORDER BY i DESC NULLS LAST, id LIMIT 3",
    "SELECT {t}.id FROM {t} JOIN (VALUES (1), (2), (40)) v(x) ON {t}.i = v.x",
    "SELECT count(*) AS id FROM {t}",
    "SELECT max(i) AS id FROM {t}",
];

fn rows() -> impl Strategy<Value = RecordBatch> {
    let float = prop_oneof![
        Just(f64::NAN),
        Just(-0.0),
        Just(0.0),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        (-5i32..5).prop_map(f64::from)
    ];
    let text = prop_oneof![Just("a"), Just("b"), Just("ab"), Just(""), Just("é"), Just("\u{10ffff}"), Just("ｚ")];
    let row =
        (prop::option::of(-8i64..8), prop::option::of(float), prop::option::of(text), prop::option::of(-300i128..300));
    prop::collection::vec(row, 1..20).prop_map(|rows| {
        let ids = Int64Array::from_iter_values(0..rows.len() as i64);
        let i: Int64Array = rows.iter().map(|row| row.0).collect();
        let f: Float64Array = rows.iter().map(|row| row.1).collect();
        let s: StringArray = rows.iter().map(|row| row.2).collect();
        let d: Decimal128Array = rows.iter().map(|row| row.3).collect();
        let d = d.with_precision_and_scale(10, 2).unwrap();
        let columns: [(&str, ArrayRef, bool); 5] = [
            ("id", Arc::new(ids), false),
            ("i", Arc::new(i), true),
            ("f", Arc::new(f), true),
            ("s", Arc::new(s), true),
            ("d", Arc::new(d), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    })
}

fn ids(batch: &RecordBatch) -> Vec<Option<i64>> {
    let mut ids: Vec<_> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
    ids.sort_unstable();
    ids
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever a footer says of its values, a query gives the rows that it gives over the same rows in memory.
    #[test]
    fn statistics_remove_no_row(
        batch in rows(),
        claims in prop::collection::vec(claim(), 5 * 7),
        per_group in 1usize..8,
        threads in 1usize..3,
    ) {
        let bytes = file(&batch, per_group, WriterVersion::PARQUET_1_0);
        let bytes = forged(&bytes, |footer| {
            with_columns(footer, |group, column, chunk| claimed(chunk, claims[(group * 5 + column) % claims.len()]))
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (session, _folder) = table(&[bytes], batch.schema(), threads);
            session.register_batch("memory", batch).unwrap();
            let filtered = PREDICATES.iter().map(|predicate| format!("SELECT id FROM {{t}} WHERE {predicate}"));
            for query in filtered.chain(QUERIES.map(str::to_owned)) {
                let found = ask(&session, &query.replace("{t}", "t")).await.unwrap();
                let expected = ask(&session, &query.replace("{t}", "memory")).await.unwrap();
                assert_eq!(ids(&found), ids(&expected), "{query}");
            }
        });
    }
}

#[tokio::test]
async fn no_filter_reaches_the_scan_and_no_count_comes_from_a_footer() {
    let (session, _folder) = table(&[file(&numbers(30), 10, WriterVersion::PARQUET_1_0)], numbers(1).schema(), 1);
    for query in [
        "EXPLAIN SELECT n FROM t WHERE n > 5 AND text = 'x'",
        "EXPLAIN SELECT n FROM t ORDER BY n LIMIT 3",
        "EXPLAIN SELECT t.n FROM t JOIN (VALUES (1)) v(x) ON t.n = v.x",
        "EXPLAIN SELECT count(*) FROM t",
    ] {
        let plan = ask(&session, query).await.unwrap();
        let plan = plan.column(1).as_string::<i32>().value(1).to_owned();
        let scan = plan.lines().find(|line| line.contains("file_type=parquet")).unwrap_or_else(|| panic!("{plan}"));
        assert!(!scan.contains("predicate"), "{plan}");
        assert!(plan.contains("of an export"), "{plan}");
    }
}

#[tokio::test]
async fn footer_that_says_one_row_less_is_found_whatever_is_asked_for() {
    // Small files, which are read whole, and large ones, of which parts are read.
    for (rows, per_group) in [(250, 100), (400_000, 100_000)] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let bytes = file(&numbers(rows), per_group, version);
            let schema = Arc::new(Schema::new(vec![
                Field::new("n", DataType::Int64, true),
                Field::new("text", DataType::Utf8, true),
                Field::new("lacking", DataType::Int64, true),
            ]));
            for threads in [1, 3] {
                let (session, _folder) = table(std::slice::from_ref(&bytes), Arc::clone(&schema), threads);
                assert_eq!(message(&session, "SELECT * FROM t").await, format!("{rows} rows"));
                assert_eq!(message(&session, "SELECT lacking FROM t").await, format!("{rows} rows"));
                let (session, _folder) = table(&[forged(&bytes, with_one_row_less)], Arc::clone(&schema), threads);
                for query in [
                    "SELECT * FROM t",
                    "SELECT text FROM t",
                    "SELECT count(*) FROM t",
                    "SELECT 1 FROM t",
                    "SELECT lacking FROM t",
                ] {
                    let message = message(&session, query).await;
                    assert!(message.contains("f0.parquet of snapshot.t contradicts itself"), "{query}: {message}");
                }
            }
        }
    }
}

#[tokio::test]
async fn footer_of_lists_that_says_one_row_less_is_found() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in 0..50 {
        lists.values().append_slice(&vec![row; (row % 4) as usize]);
        lists.append(true);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    let batch = RecordBatch::try_from_iter([("l", lists)]).unwrap();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let bytes = file(&batch, 20, version);
        let (session, _folder) = table(std::slice::from_ref(&bytes), batch.schema(), 1);
        assert_eq!(message(&session, "SELECT * FROM t").await, "50 rows");
        let fewer_rows = |footer: &ParquetMetaData| {
            let groups = footer.row_groups().iter().cloned().map(|group| {
                let rows = group.num_rows() - 1;
                group.into_builder().set_num_rows(rows).build().unwrap()
            });
            with_rows(footer, 47).set_row_groups(groups.collect()).build()
        };
        let (session, _folder) = table(&[forged(&bytes, fewer_rows)], batch.schema(), 1);
        let message = message(&session, "SELECT * FROM t").await;
        assert!(
            message.contains("in row group 1, the footer says 19 rows, the pages of column 'l.list.item' hold 20"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn rows_of_the_file_and_of_its_row_groups_are_compared() {
    let bytes = file(&numbers(30), 10, WriterVersion::PARQUET_1_0);
    for (stated, expected) in [(0, "30 rows"), (29, "its footer says 29 rows, its row groups 30")] {
        let mut changed = bytes.clone();
        // Field 3 of the footer: the reader's own writer would add up the row groups.
        let length = footer_bytes(&bytes).unwrap();
        let mut rest = Rest(&bytes[bytes.len() - length..]);
        let mut last = 0;
        while let Some((field, kind)) = rest.field(&mut last).unwrap() {
            if field == 3 {
                break;
            }
            rest.pass(kind).unwrap();
        }
        let at = bytes.len() - rest.0.len();
        assert_eq!(changed[at], 30 << 1);
        changed[at] = stated << 1;
        let (session, _folder) = table(&[changed], numbers(1).schema(), 1);
        let message = message(&session, "SELECT * FROM t").await;
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn value_that_does_not_fit_is_named_with_its_file_and_row_however_a_file_is_divided() {
    let mut values: Vec<i64> = (0..100_000).collect();
    values[77_777] = 1 << 40;
    let batch = |values: Vec<i64>| {
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(values.iter().map(|n| format!("text {n}"))));
        let n: ArrayRef = Arc::new(Int64Array::from(values));
        RecordBatch::try_from_iter([("n", n), ("text", text)]).unwrap()
    };
    let good = file(&batch((0..1000).collect()), 100, WriterVersion::PARQUET_1_0);
    let bad = file(&batch(values), 9_000, WriterVersion::PARQUET_1_0);
    let declared = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]));
    for threads in [1, 4] {
        let (session, _folder) = table(&[good.clone(), bad.clone()], Arc::clone(&declared), threads);
        let message = message(&session, "SELECT n FROM t").await;
        assert!(
            message.ends_with("f1.parquet, row 77778, column 'n': '1099511627776' cannot be read as INT"),
            "{message}"
        );
    }
    let (session, _folder) = table(&[good], declared, 2);
    assert_eq!(message(&session, "SELECT n FROM t WHERE n >= 0").await, "1000 rows");
}

#[tokio::test]
async fn type_that_means_something_else_is_refused_with_both_names() {
    let bytes = file(&numbers(3), 10, WriterVersion::PARQUET_1_0);
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    let declared = Arc::new(Schema::new(vec![Field::new("n", moment, true)]));
    let (session, _folder) = table(&[bytes], declared, 1);
    let message = message(&session, "SELECT n FROM t").await;
    assert!(message.starts_with("column 'n' of snapshot.t is TIMESTAMP(6), but file:///"), "{message}");
}

#[tokio::test]
async fn column_that_a_file_lacks_is_null_and_all_others_come_as_declared() {
    let bytes = file(&numbers(3), 10, WriterVersion::PARQUET_1_0);
    let fields = vec![Field::new("lacking", DataType::Utf8, true), Field::new("n", DataType::Utf8, true)];
    let (session, _folder) = table(&[bytes], Arc::new(Schema::new(fields)), 1);
    let found = ask(&session, "SELECT * FROM t").await.unwrap();
    assert_eq!(found.column(0).null_count(), 3);
    assert_eq!(found.column(1).as_string_view().iter().flatten().collect::<Vec<_>>(), ["0", "1", "2"]);
}
