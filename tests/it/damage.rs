//! One row less than a footer, a manifest or a file states: found by `run` itself, with the file's name.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::parquet::arrow::ArrowWriter;
use snaplake::layout::FilePartition;
use snaplake::manifest::FileEntry;
use snaplake::manifest::codec::{encode_files, fingerprint};

use crate::support::{Run, Work, events};

const STAGED: &str = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/staging-file-groups";

const TABLES: &str = "
    CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
    STORED AS CSV LOCATION 'export/manifest-summary.json';
    CREATE TABLE lake.events WITH (partitioned_by = ARRAY['day']) AS SELECT id, day, note FROM snapshot.events;";

/// Three files of 20 rows, and a manifest that states `rows` for each.
fn listed(tables: &str, rows: [u64; 3], total: u64) -> Work {
    let work = Work::new(tables);
    let mut files = Vec::new();
    for (number, rows) in rows.into_iter().enumerate() {
        let name = format!("export/part-{number}.csv");
        work.write(&name, &events(number * 20, 20));
        let path = work.path(&name);
        files.push((format!("file://{}", path.display()), std::fs::metadata(&path).unwrap().len(), rows));
    }
    list(&work, files, total);
    work
}

/// Writes a manifest of files: uri, bytes and rows of each.
fn list(work: &Work, files: Vec<(String, u64, u64)>, total: u64) {
    let entry = |(uri, size, rows): (String, u64, u64)| FileEntry {
        uri: uri.into(),
        etag: "".into(),
        size,
        n_record: Some(rows),
        partition: FilePartition::None,
    };
    let files: Vec<FileEntry> = files.into_iter().map(entry).collect();
    let data = work.path("export/manifest-data.parquet");
    std::fs::write(&data, encode_files(&files, "data").unwrap()).unwrap();
    let size: u64 = files.iter().map(|file| file.size).sum();
    let summary = serde_json::json!({
        "manifest": format!("file://{}", data.display()), "size": size, "n_record": total,
        "fingerprint": fingerprint(&files), "details": {}
    });
    work.write("export/manifest-summary.json", &summary.to_string());
}

#[test]
fn rows_that_a_manifest_states_and_the_decoder_does_not_give_are_found_by_name() {
    listed(TABLES, [20, 20, 20], 60).snaplake(&["run"]).ok();
    for tables in [TABLES.to_owned(), TABLES.replace(" (id BIGINT, day VARCHAR, note VARCHAR)", "")] {
        for wrong in [19, 21] {
            let work = listed(&tables, [20, wrong, 20], 40 + wrong);
            let states = format!("states {wrong}");
            work.snaplake(&["run"]).failed(1, &["part-1.csv of snapshot.events has 20 rows", &states]);
            assert!(work.files("out/lake").is_empty());
        }
    }
}

/// A manifest that counts the rows of two Parquet files: nothing is opened to plan.
#[test]
fn parquet_column_that_no_file_of_a_counting_manifest_has_is_refused_before_anything_is_published() {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.t (id BIGINT, COLUMN VARCHAR, o STRUCT<FIELD BIGINT>)
         STORED AS PARQUET LOCATION 'export/manifest-summary.json';
         CREATE TABLE lake.t WITH (file_group_size = 1) AS SELECT * FROM snapshot.t;",
    );
    let mut files = Vec::new();
    for number in 0..2_i64 {
        let path = work.path(&format!("export/{number}.parquet"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let x: ArrayRef = Arc::new(Int64Array::from(vec![number]));
        let fields = vec![(Arc::new(Field::new("x", DataType::Int64, true)), Arc::clone(&x))];
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let mut columns = vec![("id", x), ("o", Arc::new(StructArray::from(fields)) as ArrayRef)];
        // The first file lacks a column.
        if number > 0 {
            columns.push(("name", text));
        }
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        files.push((format!("file://{}", path.display()), std::fs::metadata(&path).unwrap().len(), 1));
    }
    list(&work, files, 2);
    let config = std::fs::read_to_string(work.path("job.sql")).unwrap();
    let run = |column: &str, field: &str| {
        work.write("job.sql", &config.replace("COLUMN", column).replace("FIELD", field));
        work.snaplake(&["run"])
    };
    for (column, field, wrong) in [("nane", "x", "'nane'"), ("name", "z", "'o.z'")] {
        run(column, field).failed(1, &[&format!("column {wrong} is declared for snapshot.t, but no file has it")]);
        std::fs::remove_dir_all(work.path("out")).unwrap();
    }
    for (column, field) in [("\"Name\"", "x"), ("name", "\"X\"")] {
        run(column, field).failed(1, &["names are case-sensitive"]);
        std::fs::remove_dir_all(work.path("out")).unwrap();
    }
    run("name", "x").ok();
}

#[test]
fn manifest_whose_rows_do_not_add_up_is_refused() {
    listed(TABLES, [20, 20, 20], 61)
        .snaplake(&["run"])
        .failed(1, &["manifest-data.parquet", "its summary says 61 rows, its files have 60"]);
}

#[test]
fn lookup_table_that_gives_other_rows_than_its_manifest_states_is_found_too() {
    let tables = "
        CREATE EXTERNAL TABLE snapshot.names (id BIGINT, day VARCHAR, note VARCHAR)
        STORED AS CSV LOCATION 'export/manifest-summary.json';
        CREATE EXTERNAL TABLE snapshot.events (id BIGINT) STORED AS CSV LOCATION 'events.csv';
        CREATE TABLE lake.events AS SELECT e.id, n.note FROM snapshot.events AS e LEFT JOIN snapshot.names AS n ON n.id = e.id;";
    let work = listed(tables, [20, 20, 21], 61);
    work.write("events.csv", "id\n1\n2\n");
    work.snaplake(&["run"]).failed(1, &["part-2.csv of snapshot.names has 20 rows", "states 21"]);
}

#[test]
fn rows_that_a_limit_or_an_empty_join_does_not_read_are_no_difference() {
    let all = TABLES.replace("partitioned_by = ARRAY['day']", "file_group_size = 'all'");
    let limited = all.replace("FROM snapshot.events;", "FROM snapshot.events LIMIT 3;");
    listed(&limited, [20, 20, 20], 60).snaplake(&["run"]).ok();
    let ordered = all.replace("FROM snapshot.events;", "FROM snapshot.events ORDER BY id DESC LIMIT 3;");
    listed(&ordered, [20, 20, 20], 60).snaplake(&["run"]).ok();
    listed(&ordered, [20, 21, 20], 61).snaplake(&["run"]).failed(1, &["part-1.csv of snapshot.events has 20 rows"]);
    // The first file lacks a column that the second, of which the LIMIT reads no end, has.
    let two = "CREATE EXTERNAL TABLE snapshot.t (a INT, b INT) STORED AS CSV LOCATION 'in/';
        CREATE TABLE lake.t WITH (file_group_size = 'all') AS SELECT a, b FROM snapshot.t LIMIT 3;";
    let work = Work::new(two);
    work.write("in/1.csv", "a\n1\n2\n");
    work.write("in/2.csv", &format!("a,b\n{}", "3,4\n".repeat(20_000)));
    work.snaplake(&["run"]).ok();
    let none = TABLES.replace("FROM snapshot.events;", "FROM snapshot.events WHERE false;");
    listed(&none, [20, 20, 20], 60).snaplake(&["run"]).ok();
}

#[test]
fn staging_manifest_with_one_row_less_is_refused_by_name() {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
         STORED AS CSV LOCATION 'export/';
         CREATE TABLE lake.events WITH (partitioned_by = ARRAY['day']) AS SELECT id, day, note FROM snapshot.events;",
    );
    work.write("export/part-0.csv", &events(0, 20));
    work.snaplake(&["stage"]).ok();
    let change = |edit: &dyn Fn(&str) -> String| {
        work.edit_summary(&format!("{STAGED}/manifest-summary/manifest-summary-1.json"), edit);
    };
    change(&|text| text.replace("\"n_record\": 20", "\"n_record\": 19"));
    let found = |run: Run| run.failed(1, &["manifest-data-1.parquet", "19 rows, its files have", "20 rows"]);
    found(work.snaplake(&["publish"]));
    found(work.snaplake(&["run"]));
    change(&|text| text.replace("\"n_record\": 19", "\"n_record\": 20"));
    change(&|text| text.replace("\"rows_written\": 20", "\"rows_written\": 21"));
    work.snaplake(&["run"]).failed(3, &["rows given by the SELECT: 21, rows of staging files: 20"]);
}

#[test]
fn line_end_that_was_lost_is_found_by_file_and_line() {
    let work = Work::events(1, 20);
    let mut text = events(0, 20);
    let at = text.match_indices('\n').nth(7).unwrap().0;
    text.replace_range(at..=at, " ");
    work.write("export/part-00000.csv", &text);
    work.snaplake(&["run"]).failed(1, &["part-00000.csv", "line 8"]);
}
