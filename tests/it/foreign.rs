//! Parquet files that somebody else wrote: what they say about themselves and what they hold, from the command line.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::parquet::column::writer::ColumnWriter;
use datafusion::parquet::data_type::{ByteArray, DoubleType, Int64Type, Int96, Int96Type};
use datafusion::parquet::file::metadata::{
    FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::parser::parse_message_type;

use crate::support::Work;

/// A file of one row group, its columns written one after the other.
fn write(path: &Path, message: &str, columns: &[&dyn Fn(&mut ColumnWriter<'_>)]) {
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for write in columns {
        let mut column = group.next_column().unwrap().unwrap();
        write(column.untyped());
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn integers(values: &'static [i64]) -> impl Fn(&mut ColumnWriter<'_>) {
    move |column| match column {
        ColumnWriter::Int64ColumnWriter(writer) => assert!(writer.write_batch(values, None, None).is_ok()),
        _ => panic!("no {}", std::any::type_name::<Int64Type>()),
    }
}

fn doubles(values: &'static [f64]) -> impl Fn(&mut ColumnWriter<'_>) {
    move |column| match column {
        ColumnWriter::DoubleColumnWriter(writer) => assert!(writer.write_batch(values, None, None).is_ok()),
        _ => panic!("no {}", std::any::type_name::<DoubleType>()),
    }
}

/// Days after 1970 and nanoseconds.
fn moments(values: &'static [(u32, u32)]) -> impl Fn(&mut ColumnWriter<'_>) {
    move |column| {
        let made: Vec<Int96> = values
            .iter()
            .map(|(day, nanoseconds)| {
                let mut value = Int96::new();
                value.set_data(*nanoseconds, 0, 2_440_588 + day);
                value
            })
            .collect();
        match column {
            ColumnWriter::Int96ColumnWriter(writer) => assert!(writer.write_batch(&made, None, None).is_ok()),
            _ => panic!("no {}", std::any::type_name::<Int96Type>()),
        }
    }
}

/// A job over one folder, whose columns are declared so.
fn job(columns: &str) -> Work {
    let work = Work::new(&format!(
        "CREATE EXTERNAL TABLE snapshot.t {columns} STORED AS PARQUET LOCATION 'export/';
         CREATE TABLE lake.t AS SELECT * FROM snapshot.t;"
    ));
    work.write("export/keep", "");
    work
}

fn asked(work: &Work, sql: &str) -> String {
    work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout
}

#[test]
fn footer_that_says_one_row_less_stops_the_run_by_the_files_name() {
    let work = job("");
    let path = work.path("export/b.parquet");
    write(&work.path("export/a.parquet"), "message m { required int64 n; }", &[&integers(&[1, 2])]);
    write(&path, "message m { required int64 n; }", &[&integers(&[3, 4, 5])]);
    let bytes = Bytes::from(std::fs::read(&path).unwrap());
    let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let old = footer.file_metadata();
    let file = FileMetaData::new(old.version(), 2, None, None, old.schema_descr_ptr(), None);
    let group = footer.row_group(0).clone();
    let column = group.column(0).clone().into_builder().set_num_values(2).build().unwrap();
    let group = group.into_builder().set_num_rows(2).set_column_metadata(vec![column]).build().unwrap();
    let footer = ParquetMetaDataBuilder::new(file).set_row_groups(vec![group]).build();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let mut forged = bytes[..bytes.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut forged, &footer).finish().unwrap();
    std::fs::write(&path, forged).unwrap();
    let words = [
        "export/b.parquet of snapshot.t contradicts itself",
        "in row group 1, the footer says 2 values for column 'n', its pages hold 3",
    ];
    work.snaplake(&["run"]).failed(1, &words);
    assert!(work.files("out/lake").is_empty());
}

const MOMENTS: &[(u32, u32)] = &[(19_723, 123_456_000), (19_724, 123_456_789)];

#[test]
fn nanoseconds_of_int96_are_kept_where_they_are_declared_and_refused_elsewhere() {
    let work = job("(t TIMESTAMP(9))");
    write(&work.path("export/a.parquet"), "message m { required int96 t; }", &[&moments(MOMENTS)]);
    work.snaplake(&["run"]).ok();
    let found = asked(&work, "SELECT t FROM lake.t ORDER BY t");
    assert_eq!(found, "t\n2024-01-01T00:00:00.123456\n2024-01-02T00:00:00.123456789\n");
    for columns in ["", "(t TIMESTAMP(3))", "(t VARCHAR)"] {
        let work = job(columns);
        write(&work.path("export/a.parquet"), "message m { required int96 t; }", &[&moments(MOMENTS)]);
        let words = [
            "export/a.parquet, row 2, column 't': '2024-01-02 00:00:00.123456789' cannot be read as TIMESTAMP(6)",
            "it has nanoseconds; declare the column TIMESTAMP(9)",
        ];
        work.snaplake(&["run"]).failed(1, &words);
    }
}

#[test]
fn int96_beyond_nanoseconds_is_refused_where_they_are_declared() {
    let work = job("(t TIMESTAMP(9))");
    // 9999-12-31.
    write(&work.path("export/a.parquet"), "message m { required int96 t; }", &[&moments(&[(2_932_896, 0)])]);
    work.snaplake(&["run"]).failed(1, &["row 1, column 't': '9999-12-31 00:00:00", "reaches from 1677 to 2262"]);
}

#[test]
fn values_that_the_declared_type_does_not_hold_are_refused_by_row_and_the_others_are_read() {
    let message = "message m { required int64 id; required double v; }";
    let columns: [&dyn Fn(&mut ColumnWriter<'_>); 2] = [&integers(&[1, 2]), &doubles(&[1.25, 1.5])];
    for (declared, expected) in [
        ("(id INT, v DECIMAL(10,2))", Ok("id,v\n1,1.25\n2,1.50\n")),
        ("(id BIGINT, v DECIMAL(10,1))", Err("row 1, column 'v': '1.25' cannot be read as DECIMAL(10,1)")),
        ("(id BIGINT, v INT)", Err("row 1, column 'v': '1.25' cannot be read as INT")),
        ("(id VARCHAR, v REAL)", Ok("id,v\n1,1.25\n2,1.5\n")),
        ("(id BIGINT, v TIMESTAMP)", Err("column 'v' of snapshot.t is TIMESTAMP")),
        ("(id DATE, v DOUBLE)", Err("column 'id' of snapshot.t is DATE, but ")),
    ] {
        let work = job(declared);
        write(&work.path("export/a.parquet"), message, &columns);
        let run = work.snaplake(&["run"]);
        match expected {
            Ok(rows) => {
                run.ok();
                assert_eq!(asked(&work, "SELECT * FROM lake.t ORDER BY id"), rows, "{declared}");
            }
            Err(words) => {
                run.failed(1, &[words, "export/a.parquet"]);
            }
        }
    }
}

#[test]
fn group_without_fields_is_refused_by_its_name_before_anything_is_written() {
    let work = job("");
    let message = "message m { required int64 id; optional group g { optional group inner { } } required int64 z; }";
    write(&work.path("export/a.parquet"), message, &[&integers(&[1]), &integers(&[2])]);
    let words = ["column 'g.inner' of snapshot.t is a group without fields in", "export/a.parquet"];
    let run = work.snaplake(&["run"]).failed(1, &words);
    assert!(!run.stderr.contains("DataFusion"), "{}", run.stderr);
    assert!(work.files("out").is_empty());
}

#[test]
fn columns_beside_a_group_without_fields_are_read_where_they_are_declared() {
    for (group, refused) in [
        ("optional group g { optional group inner { } }", "g.inner"),
        ("optional group g { }", "g"),
        ("required group g { required int64 n; optional group inner { } }", "g.inner"),
    ] {
        let message = format!("message m {{ required int64 id; {group} required int64 z; }}");
        let (id, n, z) = (integers(&[1]), integers(&[5]), integers(&[2]));
        let all: [&dyn Fn(&mut ColumnWriter<'_>); 3] = [&id, &n, &z];
        let columns = if group.contains("int64") { all.to_vec() } else { vec![all[0], all[2]] };
        for (declared, row) in [("id BIGINT, z BIGINT", "id,z\n1,2\n"), ("z BIGINT", "z\n2\n")] {
            let work = job(&format!("({declared})"));
            write(&work.path("export/a.parquet"), &message, &columns);
            work.snaplake(&["run"]).ok();
            assert_eq!(asked(&work, "SELECT * FROM lake.t"), row, "{group} {declared}");
        }
        let work = job("(z BIGINT, g STRUCT<n BIGINT>)");
        write(&work.path("export/a.parquet"), &message, &columns);
        let words = [format!("column '{refused}' of snapshot.t is a group without fields"), "without it".to_owned()];
        work.snaplake(&["run"]).failed(1, &words.each_ref().map(String::as_str));
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_in_columns_of_text_with_their_row() {
    for (message, select) in [
        ("message m { required binary x; }", "x"),
        ("message m { required binary x; }", "octet_length(x) AS n"),
        ("message m { required binary x (JSON); }", "x"),
    ] {
        let work = Work::new(&format!(
            "CREATE EXTERNAL TABLE snapshot.t (x VARCHAR) STORED AS PARQUET LOCATION 'export/';
             CREATE TABLE lake.t AS SELECT {select} FROM snapshot.t;"
        ));
        work.write("export/keep", "");
        let texts = |values: &'static [&'static [u8]]| {
            move |column: &mut ColumnWriter<'_>| {
                let values: Vec<_> = values.iter().map(|value| ByteArray::from(value.to_vec())).collect();
                match column {
                    ColumnWriter::ByteArrayColumnWriter(writer) => {
                        assert!(writer.write_batch(&values, None, None).is_ok());
                    }
                    _ => panic!("no {}", std::any::type_name::<ByteArray>()),
                }
            }
        };
        write(&work.path("export/a.parquet"), message, &[&texts(&[b"\xc3\xbc", b"2"])]);
        write(&work.path("export/b.parquet"), message, &[&texts(&[b"1", b"a\xff"])]);
        let words = ["export/b.parquet, row 2, column 'x': '61ff' cannot be read as VARCHAR: it is not UTF-8 text"];
        work.snaplake(&["run"]).failed(1, &words);
    }
}
