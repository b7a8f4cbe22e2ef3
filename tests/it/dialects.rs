//! `dialect` and `encoding`: text as programs write it, in other character sets.

use crate::support::{Work, ok};

/// The lake of one table as CSV, after a run.
#[track_caller]
fn rows(columns: &str, stored: &str, files: &[(&str, Vec<u8>)]) -> String {
    let table = format!(
        "CREATE EXTERNAL TABLE snapshot.t {columns} {stored};\nCREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n"
    );
    let mut work = Work::config(&table);
    for (name, bytes) in files {
        work = work.file(name, bytes.clone());
    }
    ok(&work, &["run", "config.sql", "--quiet"]);
    ok(&work, &["query", "config.sql", "--format", "csv", "-c", "SELECT * FROM lake.t"]).stdout
}

/// The same three columns with a dash for NULL.
#[track_caller]
fn rows_and_nulls(stored: &str, text: &str) -> String {
    let table = format!(
        "CREATE EXTERNAL TABLE snapshot.t (a BIGINT, b VARCHAR, c VARCHAR) {stored};\n\
         CREATE TABLE lake.t AS SELECT a, coalesce(b, '-') AS b, coalesce(c, '-') AS c FROM snapshot.t;\n"
    );
    let work = Work::config(&table).file("in/a.csv", text);
    ok(&work, &["run", "config.sql", "--quiet"]);
    ok(&work, &["query", "config.sql", "--format", "csv", "-c", "SELECT * FROM lake.t"]).stdout
}

#[test]
fn each_dialect_of_csv_keeps_null_and_the_empty_text_apart_as_far_as_it_can() {
    let columns = "(a BIGINT, b VARCHAR, c VARCHAR)";
    // Each file has the rows (1, 'x<tab>y', NULL) and (2, '', '\').
    for (dialect, text) in [
        ("postgres", "a,b,c\n1,x\ty,\n2,\"\",\\\n"),
        ("postgres_text", "1\tx\\ty\t\\N\n2\t\t\\\\\n"),
        ("mysql", "1\tx\\\ty\t\\N\n2\t\t\\\\\n"),
        ("mysql_batch", "a\tb\tc\n1\tx\\ty\tNULL\n2\t\t\\\\\n"),
        ("snowflake", "1,x\ty,\\N\n2,\"\",\\\n"),
        ("dms", "1,x\ty,NULL\n2,\"\",\\\n"),
    ] {
        let stored = format!("STORED AS CSV LOCATION 'in/' OPTIONS ('dialect' '{dialect}')");
        assert_eq!(rows_and_nulls(&stored, text), "a,b,c\n1,x\ty,-\n2,,\\\n", "{dialect}");
    }
    let redshift = "STORED AS CSV LOCATION 'in/' OPTIONS ('dialect' 'redshift')";
    let found = rows(columns, redshift, &[("in/t_000", b"1|a\\|b|c\\\\d\n".to_vec())]);
    assert_eq!(found, "a,b,c\n1,a|b,c\\d\n");
}

#[test]
fn option_that_is_written_wins_over_that_of_the_dialect() {
    let stored = "STORED AS CSV LOCATION 'in/' OPTIONS ('delimiter' ';', 'dialect' 'postgres_text')";
    assert_eq!(rows("(a BIGINT, b VARCHAR)", stored, &[("in/a.csv", b"1;\\N\n".to_vec())]), "a,b\n1,\n");
}

#[test]
fn dialect_that_is_not_known_is_refused_with_those_that_are() {
    let work = |format: &str| {
        Work::config(&format!(
            "CREATE EXTERNAL TABLE snapshot.t STORED AS {format} LOCATION 'in/' OPTIONS ('dialect' 'oracle');\n\
             CREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n"
        ))
    };
    work("CSV").run(&["plan", "config.sql"]).failed(2, &["oracle", "postgres_text"]);
    work("JSON").run(&["plan", "config.sql"]).failed(2, &["oracle", "dynamodb"]);
    work("PARQUET").run(&["plan", "config.sql"]).failed(2, &["dialect", "PARQUET"]);
}

#[test]
fn utf_16_is_read_by_its_mark_and_others_by_their_name() {
    let text = "a,b\n1,é日\n";
    let utf16 = |of: fn(u16) -> [u8; 2]| std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(of).collect();
    let (little, big): (Vec<u8>, Vec<u8>) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
    let stored = "STORED AS CSV LOCATION 'in/'";
    for bytes in [little, big] {
        assert_eq!(rows("", stored, &[("in/a.csv", bytes)]), text);
    }
    let latin = "STORED AS CSV LOCATION 'in/' OPTIONS ('encoding' 'latin1')";
    assert_eq!(rows("(a BIGINT, b VARCHAR)", latin, &[("in/a.csv", b"a,b\n1,\xe9t\xe9\n".to_vec())]), "a,b\n1,été\n");
    let json = "STORED AS JSON LOCATION 'in/' OPTIONS ('encoding' 'shift_jis')";
    assert_eq!(rows("", json, &[("in/a.json", b"{\"a\":\"\x93\xfa\"}\n".to_vec())]), "a\n日\n");
}

#[test]
fn byte_order_mark_wins_over_the_declared_set() {
    let stored = "STORED AS CSV LOCATION 'in/' OPTIONS ('encoding' 'latin1')";
    let text = "a,b\n1,é\n";
    let utf16 = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let files = [
        ("in/a.csv", b"a,b\n1,\xe9\n".to_vec()),
        ("in/b.csv", format!("\u{feff}{text}").into_bytes()),
        ("in/c.csv", utf16),
    ];
    assert_eq!(rows("(a BIGINT, b VARCHAR)", stored, &files), "a,b\n1,é\n1,é\n1,é\n");
}

#[test]
fn copy_text_of_a_server_on_windows_has_no_cr_in_its_values() {
    let stored = "STORED AS CSV LOCATION 'in/' OPTIONS ('dialect' 'postgres_text')";
    let found = rows("(a BIGINT, b VARCHAR)", stored, &[("in/a.txt", b"1\tx\\r\r\n2\ty\r\n".to_vec())]);
    assert_eq!(found, "a,b\n1,\"x\r\"\n2,y\n");
}

#[test]
fn bytes_that_are_no_character_of_the_declared_set_are_an_error() {
    let work = Work::config(
        "CREATE EXTERNAL TABLE snapshot.t (a VARCHAR) STORED AS CSV LOCATION 'in/' OPTIONS ('encoding' 'shift_jis');\n\
         CREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n",
    )
    .file("in/a.csv", b"a\n\x93\n");
    work.run(&["run", "config.sql"]).failed(1, &["in/a.csv", "no character of Shift_JIS"]);
}

#[test]
fn items_of_dynamodb_without_their_manifest_are_read_by_the_dialect() {
    let line =
        br#"{"Item":{"pk":{"S":"a"},"n":{"N":"7"},"raw":{"B":"aGk="},"m":{"M":{"x":{"L":[{"N":"1"},{"S":"b"}]}}}}}"#;
    let stored = "STORED AS JSON LOCATION 'in/' OPTIONS ('dialect' 'dynamodb')";
    let found = rows("(pk VARCHAR, n BIGINT, raw BYTEA, m VARCHAR)", stored, &[("in/a.json", line.to_vec())]);
    assert_eq!(found, "pk,n,raw,m\na,7,6869,\"{\"\"x\"\":[1,\"\"b\"\"]}\"\n");
}

/// Two tables of a folder: rows (1, 'x<tab>y', NULL), (2, '', '\'), and one that shows nothing of how it is written.
#[test]
fn init_finds_how_a_program_writes_null_and_escapes_and_run_reads_every_value() {
    for (program, first, second) in [
        ("postgres_text", "1\tx\\ty\t\\N\n2\t\t\\\\\n", "1\ta\n2\t\n"),
        ("mysql", "1\tx\\\ty\t\\N\n2\t\t\\\\\n", "1\ta\n2\t\n"),
        ("mysql_batch", "a\tb\tc\n1\tx\\ty\tNULL\n2\t\t\\\\\n", "a\tb\n1\ta\n2\t\n"),
        ("INTO OUTFILE, enclosed", "1,\"x\ty\",\\N\n2,\"\",\"\\\\\"\n3,\"\\\"\",\"a\\\nb\"\n", "1,\"a\"\n2,\"\"\n"),
        ("COPY text, other delimiter", "1|x\\ty|\\N\n2||\\\\\n", "1|a\n2|\n"),
        ("COPY csv, null", "a,b,c\n1,x\ty,\\N\n2,,\\\n", "a,b\n1,a\n2,\n"),
    ] {
        let work = Work::config("").file("in/one.txt", first).file("in/two.txt", second);
        ok(&work, &["init", "in", "-o", "found.sql", "--snapshot-time", "2026-01-01T00:00:00Z"]);
        ok(&work, &["run", "found.sql", "--quiet"]);
        let [a, b, c] = if first.starts_with('a') { ["a", "b", "c"] } else { ["column_1", "column_2", "column_3"] };
        let read = |table: &str, columns: &[&str]| {
            let columns: Vec<String> =
                columns.iter().map(|name| format!("coalesce(CAST({name} AS VARCHAR), '-')")).collect();
            let sql = format!(
                "SELECT concat_ws('|', {}) AS v FROM lake.{table} WHERE {a} < 3 ORDER BY {a}",
                columns.join(", ")
            );
            ok(&work, &["query", "found.sql", "--format", "csv", "-c", &sql]).stdout
        };
        assert_eq!(read("one", &[a, b, c]), "v\n1|x\ty|-\n2||\\\n", "{program}");
        assert_eq!(read("two", &[a, b]), "v\n1|a\n2|\n", "{program}");
    }
}
