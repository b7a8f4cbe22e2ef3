//! `on_invalid` and `undeclared`: what becomes of values and columns that the config does not provide for, in each
//! format.

use std::fs;

use serde_json::Value;

use crate::support::{Work, ok};

const LAKE: &str = "CREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n";

fn work(columns: &str, rest: &str) -> Work {
    Work::config(&format!("CREATE EXTERNAL TABLE snapshot.t {columns} {rest};\n{LAKE}"))
}

/// The lake as CSV.
#[track_caller]
fn lake(work: &Work, sql: &str) -> String {
    ok(work, &["query", "config.sql", "--format", "csv", "-c", sql]).stdout
}

fn validation(work: &Work) -> Value {
    let run = ok(work, &["validate", "config.sql", "--format", "json"]);
    serde_json::from_str(&run.stdout).unwrap()
}

const TYPES: &str = "(id BIGINT, day DATE, price DECIMAL(5,2))";

/// The same three rows in each format: the second has a day and the third a price that the types do not hold.
fn formats() -> Vec<(&'static str, Work)> {
    let on_invalid = "OPTIONS ('on_invalid' 'null')";
    let csv = "id,day,price\n1,2024-02-29,1.50\n2,0000-00-00,2\n3,2024-03-01,1.239\n";
    let json = "{\"id\":1,\"day\":\"2024-02-29\",\"price\":1.50}\n{\"id\":2,\"day\":\"0000-00-00\",\"price\":2}\n\
                {\"id\":3,\"day\":\"2024-03-01\",\"price\":\"1.239\"}\n";
    let sql = "-- MySQL dump 10.13\nCREATE TABLE `t` (`id` bigint, `day` date, `price` decimal(5,2));\n\
               SET NAMES utf8mb4;\nINSERT INTO `t` VALUES (1,'2024-02-29',1.50),(2,'0000-00-00',2),\
               (3,'2024-03-01',1.239);\n-- Dump completed on 2024-03-01\n";
    let parquet = "COPY (SELECT * FROM (VALUES (1, '2024-02-29', '1.50'), (2, '0000-00-00', '2'), \
                   (3, '2024-03-01', '1.239')) AS t(id, day, price)) TO 'in/a.parquet'";
    let of =
        |format: &str, location: &str| work(TYPES, &format!("STORED AS {format} LOCATION '{location}' {on_invalid}"));
    let dump = work("", &format!("STORED AS MYSQL_DUMP LOCATION 'in/t.sql' {on_invalid}"));
    vec![
        ("CSV", of("CSV", "in/").file("in/a.csv", csv)),
        ("JSON", of("JSON", "in/").file("in/a.json", json)),
        ("PARQUET", of("PARQUET", "in/").file("in/x", "").copy(parquet)),
        ("MYSQL_DUMP", dump.file("in/t.sql", sql)),
    ]
}

#[test]
fn values_that_do_not_fit_are_null_and_counted_in_each_format() {
    for (format, work) in formats() {
        let run = ok(&work, &["run", "config.sql"]);
        let expected = "id,day,price\n1,2024-02-29,1.50\n2,,2.00\n3,2024-03-01,\n";
        assert_eq!(lake(&work, "SELECT * FROM lake.t ORDER BY id"), expected, "{format}");
        let warning = "values of snapshot.t are NULL because their type cannot hold them (day: 1, price: 1)";
        assert!(run.stderr.contains(warning), "{format}: {}", run.stderr);
        let counted = &validation(&work)["tables"][0]["validation"]["set_to_null"];
        assert_eq!((counted["day"].as_u64(), counted["price"].as_u64()), (Some(1), Some(1)), "{format}");
        // Without the option, the first such value is an error with its place.
        let config = fs::read_to_string(work.path("config.sql")).unwrap();
        let strict = config.replace("OPTIONS ('on_invalid' 'null')", "").replace("'shop'", "'strict'");
        work.write("strict.sql", &strict);
        work.run(&["run", "strict.sql"]).failed(1, &["row 2, column 'day': '0000-00-00' cannot be read as DATE"]);
    }
}

#[test]
fn answers_are_given_per_column() {
    let csv = "id,day,price\n1,0000-00-00,x\n2,2024-03-01,3\n";
    let options = "STORED AS CSV LOCATION 'in/' OPTIONS ('on_invalid' 'day = null, price = text')";
    let work = work(TYPES, options).file("in/a.csv", csv);
    ok(&work, &["run", "config.sql"]);
    assert_eq!(lake(&work, "SELECT * FROM lake.t ORDER BY id"), "id,day,price\n1,,x\n2,2024-03-01,3\n");
    work.write("in/b.csv", "id,day,price\nthree,2024-03-01,3\n");
    work.run(&["run", "config.sql", "--replan", "--withdraw"]).failed(1, &["b.csv", "row 1, column 'id': 'three'"]);
}

#[test]
fn column_that_an_answer_names_must_be_there() {
    let options = "STORED AS CSV LOCATION 'in/' OPTIONS ('on_invalid' 'prize = null')";
    let work = work(TYPES, options).file("in/a.csv", "id,day,price\n");
    work.run(&["plan", "config.sql"]).failed(1, &["prize", "price"]);
    let wrong = self::work(TYPES, "STORED AS CSV LOCATION 'in/' OPTIONS ('on_invalid' 'day: null')");
    wrong.run(&["plan", "config.sql"]).failed(2, &["on_invalid", "day = null"]);
}

#[test]
fn column_that_is_not_declared_is_listed_or_refused_in_each_format() {
    let files = |work: Work, format: &str| match format {
        "CSV" => work.file("in/a.csv", "id,later\n1,x\n"),
        "JSON" => work.file("in/a.json", "{\"id\":1,\"later\":{\"x\":1}}\n"),
        _ => work.file("in/x", "").copy("COPY (SELECT 1 AS id, 'x' AS later) TO 'in/a.parquet'"),
    };
    for format in ["CSV", "JSON", "PARQUET"] {
        let ignored = files(work("(id BIGINT)", &format!("STORED AS {format} LOCATION 'in/'")), format);
        let plan: Value =
            serde_json::from_str(&ok(&ignored, &["plan", "config.sql", "--format", "json"]).stdout).unwrap();
        assert_eq!(plan["tables"][0]["unread_columns"][0]["column"], "later", "{format}");
        let run = ok(&ignored, &["run", "config.sql"]);
        assert!(run.stderr.contains("columns that are not declared, so they are not read: later"), "{}", run.stderr);
        let options = format!("STORED AS {format} LOCATION 'in/' OPTIONS ('undeclared' 'error')");
        let refused = files(work("(id BIGINT)", &options), format);
        refused.run(&["plan", "config.sql"]).failed(1, &["does not declare the column 'later'", "in/a."]);
    }
}

#[test]
fn attribute_that_comes_late_in_a_file_is_refused_where_it_is_read() {
    let mut text: String = (0..20_000).map(|n| format!("{{\"id\":{n},\"o\":{{\"x\":1}}}}\n")).collect();
    text += "{\"id\":1,\"o\":{\"x\":1,\"y\":2}}\n";
    let columns = "(id BIGINT, o STRUCT<x BIGINT>)";
    let work = work(columns, "STORED AS JSON LOCATION 'in/' OPTIONS ('undeclared' 'error')").file("in/a.json", &*text);
    work.run(&["run", "config.sql"]).failed(1, &["line 20001", "the attribute \"y\" is not declared"]);
}

#[test]
fn run_that_left_out_files_which_may_have_rows_has_an_exit_code_of_its_own() {
    let work = work("(id BIGINT)", "STORED AS CSV LOCATION 'in/'")
        .file("in/a.csv", "id\n1\n")
        .file("in/b.json", "{\"id\":2}\n")
        .file("in/README.md", "read me");
    work.run(&["run", "config.sql"]).failed(5, &["1 files that may have rows were not read", "b.json", "exclude"]);
    assert_eq!(lake(&work, "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
    let config = fs::read_to_string(work.path("config.sql")).unwrap();
    work.write("config.sql", &config.replace("LOCATION 'in/'", "LOCATION 'in/' OPTIONS ('exclude' '*.json')"));
    ok(&work, &["run", "config.sql", "--replan", "--withdraw"]);
}
