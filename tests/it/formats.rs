//! Binary formats: Avro, Arrow IPC, COPY BINARY of PostgreSQL and BSON of MongoDB, each with bytes of the tests' own.

use std::fs;
use std::sync::Arc;

use arrow_avro::writer::AvroWriter;
use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};

use crate::support::{Work, ok};

fn work(columns: &str, stored: &str) -> Work {
    Work::config(&format!(
        "CREATE EXTERNAL TABLE snapshot.t {columns} {stored};\nCREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n"
    ))
}

#[track_caller]
fn rows(work: &Work, sql: &str) -> String {
    ok(work, &["run", "config.sql", "--quiet"]);
    ok(work, &["query", "config.sql", "--format", "csv", "-c", sql]).stdout
}

/// Three rows with a NULL, an empty text, and a decimal.
fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("note", Arc::new(StringArray::from(vec![Some("é, \"x\""), None, Some("")]))),
        (
            "price",
            Arc::new(Decimal128Array::from(vec![Some(150), None, Some(-7)]).with_precision_and_scale(9, 2).unwrap()),
        ),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

const SQL: &str = "SELECT id, coalesce(note, '-') AS note, price, at FROM lake.t ORDER BY id";
const EXPECTED: &str = "id,note,price,at\n1,\"é, \"\"x\"\"\",1.50,1970-01-01T00:00:00.000001Z\n2,-,,\n3,,-0.07,1969-12-31T23:59:59.999999Z\n";

fn avro(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = AvroWriter::new(&mut bytes, batch.schema().as_ref().clone()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn avro_and_arrow_are_read_with_the_types_of_the_files_or_those_that_are_declared() {
    let declared = "(price DECIMAL(12,4), at TIMESTAMP WITH TIME ZONE, id INT, note VARCHAR)";
    for (stored, name, bytes) in [
        ("AVRO", "in/a.avro", avro(&batch())),
        ("ARROW", "in/a.arrow", file(&batch())),
        ("ARROW", "in/b.arrows", stream(&batch())),
        ("ARROW", "in/part-0", stream(&batch())),
    ] {
        let stored = format!("STORED AS {stored} LOCATION 'in/'");
        let undeclared = work("", &stored).file(name, bytes.clone());
        assert_eq!(rows(&undeclared, SQL), EXPECTED, "{name}");
        let other = work(declared, &stored).file(name, bytes.clone());
        let expected = EXPECTED.replace("1.50", "1.5000").replace("-0.07", "-0.0700");
        assert_eq!(rows(&other, SQL), expected, "{name}");
        // A cut is an error, wherever it is.
        for end in [bytes.len() / 2, bytes.len() - 1] {
            let cut = work("", &stored).file(name, &bytes[..end]);
            cut.run(&["run", "config.sql"]).failed(1, &[name]);
        }
    }
}

#[test]
fn value_that_a_declared_type_does_not_hold_is_an_error_with_its_row_or_null() {
    let strict =
        work("(id BIGINT, price DECIMAL(9,1))", "STORED AS AVRO LOCATION 'in/'").file("in/a.avro", avro(&batch()));
    strict.run(&["run", "config.sql"]).failed(1, &["in/a.avro", "row 3, column 'price': '-0.07' cannot be read as"]);
    let null = "STORED AS ARROW LOCATION 'in/' OPTIONS ('on_invalid' 'price = null')";
    let null = work("(id BIGINT, price DECIMAL(9,1))", null).file("in/a.arrow", file(&batch()));
    assert_eq!(rows(&null, "SELECT * FROM lake.t ORDER BY id"), "id,price\n1,1.5\n2,\n3,\n");
}

#[test]
fn init_finds_avro_and_arrow() {
    let work = Work::config("").file("in/a/x.avro", avro(&batch())).file("in/b/y.feather", file(&batch()));
    ok(&work, &["init", "in", "-o", "found.sql"]);
    ok(&work, &["run", "found.sql"]);
    for table in ["a", "b"] {
        let sql = SQL.replace("lake.t", &format!("lake.{table}"));
        let found = ok(&work, &["query", "found.sql", "--format", "csv", "-c", &sql]).stdout;
        assert_eq!(found, EXPECTED, "{}", fs::read_to_string(work.path("found.sql")).unwrap());
    }
}

#[test]
fn avro_schema_of_a_file_that_has_a_type_which_is_not_read_names_the_column() {
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},
        {"name":"next","type":["null",{"type":"record","name":"n","fields":[{"name":"n","type":["null","n"]}]}]}]}"#;
    // Built by hand: a header and one block of one row, (7, null).
    let mut bytes = b"Obj\x01\x02\x16avro.schema".to_vec();
    let length = schema.len() as u64 * 2;
    bytes.extend([(length & 0x7f | 0x80) as u8, (length >> 7) as u8]);
    bytes.extend(schema.as_bytes());
    bytes.extend(b"\x00");
    bytes.extend([9; 16]);
    bytes.extend([2, 4, 14, 0]);
    bytes.extend([9; 16]);
    let one = work("(id BIGINT)", "STORED AS AVRO LOCATION 'in/'").file("in/a.avro", bytes.clone());
    assert_eq!(rows(&one, "SELECT * FROM lake.t"), "id\n7\n");
    let both = work("(id BIGINT, next VARCHAR)", "STORED AS AVRO LOCATION 'in/'").file("in/a.avro", bytes);
    let run = both.run(&["run", "config.sql"]);
    assert!(run.code == 1 && run.stderr.contains("next"), "{}", run.stderr);
}

/// `COPY (SELECT ...) TO ... (FORMAT binary)` of (int8, text, numeric).
fn copy_binary() -> Vec<u8> {
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let field = |bytes: &mut Vec<u8>, value: Option<&[u8]>| match value {
        Some(value) => {
            bytes.extend((value.len() as i32).to_be_bytes());
            bytes.extend(value);
        }
        None => bytes.extend((-1_i32).to_be_bytes()),
    };
    // numeric 1.50: one group before the point, one behind it, a scale of 2.
    let price: Vec<u8> = [2_i16, 0, 0, 2, 1, 5000].iter().flat_map(|part| part.to_be_bytes()).collect();
    for (id, note, price) in [(1_i64, Some("é"), Some(&price)), (2, None, None), (3, Some(""), Some(&price))] {
        bytes.extend(3_i16.to_be_bytes());
        field(&mut bytes, Some(&id.to_be_bytes()));
        field(&mut bytes, note.map(str::as_bytes));
        field(&mut bytes, price.map(Vec::as_slice));
    }
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

#[test]
fn copy_binary_is_read_by_the_declared_columns_and_a_cut_or_another_width_is_an_error() {
    let columns = "(id BIGINT, note VARCHAR, price DECIMAL(9,2))";
    let stored = "STORED AS PG_BINARY LOCATION 'in/t.bin'";
    let sql = "SELECT id, coalesce(note, '-') AS note, price FROM lake.t ORDER BY id";
    let whole = work(columns, stored).file("in/t.bin", copy_binary());
    assert_eq!(rows(&whole, sql), "id,note,price\n1,é,1.50\n2,-,\n3,,1.50\n");
    let mut cut = copy_binary();
    cut.truncate(cut.len() - 2);
    work(columns, stored).file("in/t.bin", cut).run(&["run", "config.sql"]).failed(1, &["t.bin", "trailer"]);
    let wrong = work("(id BOOLEAN, note VARCHAR, price DECIMAL(9,2))", stored).file("in/t.bin", copy_binary());
    wrong.run(&["run", "config.sql"]).failed(1, &["row 1, column 'id'"]);
    let fewer = work("(id BIGINT)", stored).file("in/t.bin", copy_binary());
    fewer.run(&["run", "config.sql"]).failed(1, &["3 fields"]);
    work("", stored).run(&["plan", "config.sql"]).failed(2, &["needs columns"]);
    let policy = format!("{stored} OPTIONS ('on_invalid' 'price = text')");
    work(columns, &policy).run(&["plan", "config.sql"]).failed(2, &["on_invalid", "PG_BINARY"]);
}

/// A document of BSON with these elements: type, name, bytes.
fn document(elements: &[(u8, &str, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, name, value) in elements {
        body.push(*kind);
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(value);
    }
    body.push(0);
    [&(body.len() as i32 + 4).to_le_bytes()[..], &body].concat()
}

fn documents() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as i32 + 1).to_le_bytes()[..], text.as_bytes(), b"\0"].concat();
    let one = document(&[
        (0x07, "_id", (1..=12).collect()),
        (0x12, "n", i64::MAX.to_le_bytes().to_vec()),
        (0x02, "note", text("é \"x\"")),
        (0x09, "at", 1_500_i64.to_le_bytes().to_vec()),
        (0x05, "raw", vec![2, 0, 0, 0, 0, 0xff, 0x00]),
        (0x03, "o", document(&[(0x01, "x", 1.5_f64.to_le_bytes().to_vec())])),
    ]);
    let two = document(&[(0x07, "_id", (2..=13).collect()), (0x02, "note", text("")), (0x0a, "at", Vec::new())]);
    [one, two].concat()
}

const MONGO: &str =
    "(_id VARCHAR, n BIGINT, note VARCHAR, at TIMESTAMP(3) WITH TIME ZONE, raw BYTEA, o STRUCT<x DOUBLE>)";
const MONGO_SQL: &str = "SELECT _id, n, coalesce(note, '-') AS note, at, raw, o['x'] AS x FROM lake.t ORDER BY _id";
const MONGO_ROWS: &str = "_id,n,note,at,raw,x\n0102030405060708090a0b0c,9223372036854775807,\"é \"\"x\"\"\",1970-01-01T00:00:01.500Z,ff00,1.5\n\
    02030405060708090a0b0c0d,,,,,\n";

#[test]
fn bson_and_extended_json_of_the_same_documents_are_the_same_rows() {
    let json = "{\"_id\":{\"$oid\":\"0102030405060708090a0b0c\"},\"n\":{\"$numberLong\":\"9223372036854775807\"},\
                \"note\":\"é \\\"x\\\"\",\"at\":{\"$date\":{\"$numberLong\":\"1500\"}},\
                \"raw\":{\"$binary\":{\"base64\":\"/wA=\",\"subType\":\"00\"}},\"o\":{\"x\":{\"$numberDouble\":\"1.5\"}}}\n\
                {\"_id\":{\"$oid\":\"02030405060708090a0b0c0d\"},\"note\":\"\",\"at\":null}\n";
    let bson = work(MONGO, "STORED AS BSON LOCATION 'in/'").file("in/t.bson", documents());
    assert_eq!(rows(&bson, MONGO_SQL), MONGO_ROWS);
    let stored = "STORED AS JSON LOCATION 'in/' OPTIONS ('dialect' 'mongodb')";
    let lines = work(MONGO, stored).file("in/t.json", json);
    assert_eq!(rows(&lines, MONGO_SQL), MONGO_ROWS);
    let list = work(MONGO, stored).file("in/t.json", format!("[{}]", json.trim().replace('\n', ",\n")));
    assert_eq!(rows(&list, MONGO_SQL), MONGO_ROWS);
    let mut cut = documents();
    cut.pop();
    let cut = work(MONGO, "STORED AS BSON LOCATION 'in/'").file("in/t.bson", cut);
    cut.run(&["run", "config.sql"]).failed(1, &["t.bson", "document 2"]);
}

#[test]
fn mongodump_is_read_by_its_metadata_and_a_part_that_is_missing_is_an_error() {
    let metadata =
        |name: &str| format!("{{\"indexes\":[],\"uuid\":\"a\",\"collectionName\":\"{name}\",\"type\":\"collection\"}}");
    let stored = "STORED AS MONGODB_DUMP LOCATION 'dump/' OPTIONS ('table' 'shop.orders')";
    let dump = |stored: &str| {
        work(MONGO, stored)
            .gzip("dump/shop/orders.bson.gz", "")
            .file("dump/shop/orders.metadata.json", metadata("orders"))
            .file("dump/shop/other.bson", documents())
            .file("dump/shop/other.metadata.json", metadata("other"))
    };
    let other = dump(&stored.replace("shop.orders", "other"));
    assert_eq!(rows(&other, MONGO_SQL), MONGO_ROWS);
    let partial = dump(&stored.replace("shop.orders", "other"));
    fs::remove_file(partial.path("dump/shop/orders.bson.gz")).unwrap();
    partial.run(&["plan", "config.sql"]).failed(1, &["orders.metadata.json has no documents beside it"]);
    let archive = work(MONGO, stored).file("dump/shop.archive", b"\x6d\xe2\x99\x81");
    archive.run(&["plan", "config.sql"]).failed(1, &["is an archive of mongodump"]);
}
