//! What a LOCATION covers: every file below it is read, listed as left out, or an error that names it.

use std::fs;

use serde_json::Value;

use crate::support::{Work, ok};

const LAKE: &str = "CREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n";

fn table(columns: &str, rest: &str) -> String {
    format!("CREATE EXTERNAL TABLE snapshot.t {columns} {rest};\n{LAKE}")
}

/// Adds a Parquet file of one row under any name.
fn parquet(project: Work, name: &str, select: &str) -> Work {
    let made = project.copy(&format!("COPY ({select}) TO 'made.parquet'"));
    let bytes = fs::read(made.path("made.parquet")).unwrap();
    fs::remove_file(made.path("made.parquet")).unwrap();
    made.file(name, bytes)
}

#[track_caller]
fn refused(project: &Work, words: &[&str]) {
    for command in ["plan", "run"] {
        let outcome = project.run(&[command, "config.sql"]);
        assert_ne!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
        for word in words {
            assert!(outcome.stderr.contains(word), "no '{word}' in: {}", outcome.stderr);
        }
    }
    assert_eq!(project.paths("lake"), [""; 0]);
}

/// The lake's rows as CSV, after a run.
#[track_caller]
fn rows(project: &Work, sql: &str) -> String {
    ok(project, &["run", "config.sql", "--quiet"]);
    ok(project, &["query", "config.sql", "--format", "csv", "-c", sql]).stdout
}

/// The same, where files that may have rows are left out.
#[track_caller]
fn rows_of_some(project: &Work, sql: &str) -> String {
    project.run(&["run", "config.sql", "--quiet"]).failed(5, &["not read"]);
    ok(project, &["query", "config.sql", "--format", "csv", "-c", sql]).stdout
}

fn json(project: &Work, arguments: &[&str]) -> Value {
    let all = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&ok(project, &all).stdout).unwrap()
}

#[test]
fn files_without_a_known_ending_are_read_when_their_content_says_so() {
    let mut project = Work::config(&table("", "STORED AS PARQUET LOCATION 'in/'"));
    for (number, name) in
        ["a.parquet", "b.parquet.gzip", "000000_0", "20240101_x_abc", "p/part-m-00000", "C.PARQUET", "q/0000_part_00"]
            .into_iter()
            .enumerate()
    {
        project = parquet(project, &format!("in/{name}"), &format!("SELECT {number} AS a"));
    }
    assert_eq!(rows(&project, "SELECT count(*) AS n, sum(a) AS s FROM lake.t"), "n,s\n7,21\n");
}

#[test]
fn text_without_a_known_ending_is_read_and_other_formats_are_left_out() {
    let csv = Work::config(&table("", "STORED AS CSV LOCATION 'in/'"))
        .file("in/a.CSV", "a\n1\n")
        .file("in/part-00000", "a\n2\n")
        .gzip("in/b.tsv.gz", "a\n3\n")
        .gzip("in/000000_0.gz", "a\n4\n")
        .file("in/events", "{\"a\":5}\n")
        .file("in/page", "<html></html>");
    assert_eq!(rows_of_some(&csv, "SELECT sum(a) AS s FROM lake.t"), "s\n10\n");
    let plan = json(&csv, &["plan", "config.sql"]);
    let left: Vec<(&str, u64)> = plan["tables"][0]["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| (left["reason"].as_str().unwrap(), left["files"].as_u64().unwrap()))
        .collect();
    assert_eq!(left, [("document", 1), ("other_format", 1)]);

    let json = Work::config(&table("", "STORED AS JSON LOCATION 'in/'"))
        .file("in/a", "{\"a\":1}\n")
        .gzip("in/b.log.gz", "{\"a\":2}\n")
        .file("in/c", "a,b\n1,2\n");
    assert_eq!(rows_of_some(&json, "SELECT sum(a) AS s FROM lake.t"), "s\n3\n");
}

#[test]
fn compression_that_no_name_says_is_that_of_the_content_if_all_files_are_alike() {
    let project = Work::config(&table("", "STORED AS CSV LOCATION 'in/'"))
        .gzip("in/000000_0", "a\n1\n")
        .gzip("in/000001_0", "a\n2\n");
    assert_eq!(rows(&project, "SELECT sum(a) AS s FROM lake.t"), "s\n3\n");
    let mixed = Work::config(&table("", "STORED AS CSV LOCATION 'in/'"))
        .gzip("in/000000_0", "a\n1\n")
        .file("in/000001_0", "a\n2\n");
    refused(&mixed, &["config.sql:5:", "in/000000_0", "how it is compressed"]);
}

#[test]
fn what_is_not_read_is_reported_by_plan_run_status_and_report() {
    let spark = "in/part-00000-5f0e1a-c000.snappy.parquet";
    let project = Work::config(&table("", "STORED AS PARQUET LOCATION 'in/'"))
        .file("in/_SUCCESS", "")
        .file("in/._SUCCESS.crc", "crc")
        .file("in/.part-00000.parquet.crc", "crc")
        .file("in/_temporary/0/part-1.parquet", "half")
        .file("in/README.md", "read")
        .file("in/Thumbs.db", "x")
        .file("in/desktop.ini", "x")
        .file("in/empty.parquet", "")
        .file("in/b.csv", "a\n1\n");
    let project = parquet(project, spark, "SELECT 1 AS a");
    let plan = ok(&project, &["plan", "config.sql"]).stdout;
    for line in [
        "snapshot.t: not read: 1 file (_SUCCESS): a mark, 2 files (._SUCCESS.crc, ...): hidden",
        "warning: lake.t: 6 files in the LOCATION of snapshot.t are not read (1 file (part-1.parquet): data, but hidden: \
         its name or that of a folder begins with '_' or '.', 1 file (empty.parquet): an empty file, 1 file (README.md): a document, 2 files (Thumbs.db, ...): a file of the operating system, 1 file (b.csv): of \
         another format); to accept that, list them in OPTIONS ('exclude' '...')",
    ] {
        assert!(plan.contains(line), "no {line} in {plan}");
    }
    let message = project.run(&["run", "config.sql"]).failed(5, &["2 files that may have rows were not read"]).stderr;
    assert!(message.contains("warning t: 6 files in the LOCATION of snapshot.t are not read"), "{message}");
    let status = json(&project, &["status", "config.sql"]);
    let report = json(&project, &["report", "config.sql"]);
    let lists = [&status["tables"][0]["left_out"], &report["tables"][0]["sources"][0]["left_out"]];
    for left in lists {
        let reasons: Vec<&str> = left.as_array().unwrap().iter().map(|l| l["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["mark", "hidden", "hidden_data", "empty", "document", "system", "other_format"]);
    }
    let people = ok(&project, &["status", "config.sql"]).stdout;
    assert!(people.contains("t: not read: snapshot.t 1 file (part-1.parquet): data, but hidden"), "{people}");
    assert!(people.contains("snapshot.t 1 file (empty.parquet): an empty file"), "{people}");
}

/// A listing of a local folder passes them over without a word.
#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_and_names_that_cannot_be_read_are_errors() {
    let made = |options: &str| {
        let project =
            Work::config(&table("", &format!("STORED AS CSV LOCATION 'in/' {options}"))).file("in/a.csv", "a\n1\n");
        std::os::unix::fs::symlink("nowhere.csv", project.path("in/gone.csv")).unwrap();
        std::os::unix::fs::symlink("a.csv", project.path("in/same.csv")).unwrap();
        project
    };
    refused(&made(""), &["config.sql:5:", "is not clear", "in/gone.csv", "leads to nothing", "('exclude' 'gone.csv')"]);
    // `same.csv` is another name of `a.csv`.
    assert_eq!(rows(&made("OPTIONS ('exclude' 'gone.csv')"), "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
    let reserved = made("OPTIONS ('exclude' 'gone.csv')").file("in/b.csv#1", "a\n3\n");
    refused(&reserved, &["is not clear", "in/b.csv#1", "# and digits", "rename it", "('exclude' '*.csv#1')"]);
    let named = Work::config(&table("", "STORED AS CSV LOCATION 'in/b.csv#1'")).file("in/b.csv#1", "a\n3\n");
    refused(&named, &["in/b.csv#1", "# and digits cannot be read; rename it"]);
    let glob = Work::config(&table("", "STORED AS CSV LOCATION 'in/*.csv'")).file("in/a.csv", "a\n1\n");
    std::os::unix::fs::symlink("nowhere", glob.path("in/x.txt")).unwrap();
    assert_eq!(rows(&glob, "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
}

#[test]
fn glob_that_is_the_name_of_a_file_or_folder_is_reported_with_how_to_write_it() {
    let made = |location: &str| {
        Work::config(&table("", &format!("STORED AS CSV LOCATION '{location}'"))).file("[in]/[x] a.csv", "a\n1\n")
    };
    refused(&made("[in]/[x] a.csv"), &["write '", "/[[]in[]]/[[]x[]] a.csv'"]);
    refused(&made("[in]/"), &["write '", "/[[]in[]]/**'"]);
    for location in ["[[]in[]]/[[]x[]] a.csv", "[[]in[]]/**"] {
        assert_eq!(rows(&made(location), "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
    }
}

#[test]
fn what_may_hold_rows_or_not_is_an_error_until_it_is_excluded() {
    let config = |options: &str| table("", &format!("STORED AS CSV LOCATION 'in/' {options}"));
    let files = |options: &str| {
        Work::config(&config(options))
            .file("in/a.csv", "a\n1\n")
            .file("in/a.csv.bak", "a\n1\n")
            .file("in/b.csv.bak", "a\n1\n")
            .file("in/old/all.zip", "PK")
    };
    refused(
        &files(""),
        &["config.sql:5:", "is not clear", "in/a.csv.bak and 2 more files: ", "OPTIONS ('exclude' '*.bak')"],
    );
    let excluded = files("OPTIONS ('exclude' '*.bak', 'exclude' 'old/')");
    assert_eq!(rows(&excluded, "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
    let plan = json(&excluded, &["plan", "config.sql"]);
    assert_eq!(plan["tables"][0]["warnings"].as_array().unwrap().len(), 0, "{plan}");
    assert_eq!(plan["tables"][0]["left_out"][0]["files"], 3);
    let binary = Work::config(&config("")).file("in/a.csv", "a\n1\n").file("in/x.dat", b"a\0b");
    refused(&binary, &["is not clear", "in/x.dat", "'*.dat'"]);
}

#[test]
fn a_file_or_glob_is_read_whatever_its_ending() {
    let one = Work::config(&table("", "STORED AS CSV LOCATION 'in/a.csv.bak'")).file("in/a.csv.bak", "a\n1\n");
    assert_eq!(rows(&one, "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
    let glob = Work::config(&table("", "STORED AS CSV LOCATION 'in/*'"))
        .file("in/a.sql", "a\n1\n")
        .file("in/_b", "a\n1\n")
        .file("in/c", "");
    assert_eq!(rows(&glob, "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
    let spelled = Work::config(&table("", "STORED AS CSV LOCATION 'in/_part-*'")).file("in/_part-1", "a\n1\n");
    assert_eq!(rows(&spelled, "SELECT count(*) AS n FROM lake.t"), "n\n1\n");
}

#[test]
fn location_without_a_file_says_what_is_there() {
    let project = Work::config(&table("", "STORED AS PARQUET LOCATION 'in/'"))
        .gzip("in/a.csv.gz", "a")
        .gzip("in/b.csv.gz", "a")
        .file("in/notes.md", "x")
        .file("in/_SUCCESS", "");
    refused(
        &project,
        &[
            "config.sql:5:62: [dir]/in/ has no PARQUET file for snapshot.t: 2 files *.csv.gz, 1 file *.md and 1 hidden file are there",
        ],
    );
    let empty = Work::config(&table("", "STORED AS CSV LOCATION 'in/'")).file("in/a.csv", "");
    refused(&empty, &["are empty; declare the columns"]);
}

#[test]
fn tables_with_a_log_are_refused_unless_all_their_rows_are_wanted() {
    for (location, log, name) in [
        ("in/", "in/_delta_log/00000000000000000000.json", "a Delta table"),
        ("in/", "in/metadata/v1.metadata.json", "an Iceberg table"),
        ("in/data/", "in/metadata/00001-a.metadata.json", "an Iceberg table"),
        ("in/", "in/.hoodie/hoodie.properties", "a Hudi table"),
        ("in/day=1/", "in/_delta_log/00000000000000000000.json", "a Delta table"),
        ("in/*.parquet", "in/_delta_log/00000000000000000000.json", "a Delta table"),
    ] {
        let folder = location.trim_end_matches("*.parquet");
        let project = |options: &str| {
            let config = table("", &format!("STORED AS PARQUET LOCATION '{location}' {options}"));
            parquet(Work::config(&config).file(log, "{}"), &format!("{folder}a.parquet"), "SELECT 1 AS a")
        };
        refused(&project(""), &["config.sql:5:", name, "ignore_table_format"]);
        let wanted = project("OPTIONS ('ignore_table_format' 'true')");
        assert_eq!(rows(&wanted, "SELECT count(*) AS n FROM lake.t"), "n\n1\n", "{location}");
        let init = wanted.run(&["init", "in", "-o", "found.sql"]);
        assert_eq!((init.code, init.stderr.contains(name)), (1, true), "{location} {}", init.stderr);
    }
}

#[test]
fn folders_become_columns_in_every_format() {
    let config = |columns: &str, format: &str| {
        let partitioned = "PARTITIONED BY (year INT, \"Month\" INT, town VARCHAR)";
        table(columns, &format!("{partitioned} STORED AS {format} LOCATION 'in/'"))
    };
    let [one, two] =
        ["in/year=2024/Month=01/town=K%C3%B6ln%20%2F%25", "in/year=__HIVE_DEFAULT_PARTITION__/Month=2/town=a b"];
    let sql = "SELECT a, year, \"Month\", town FROM lake.t ORDER BY a";
    let expected = "a,year,Month,town\n1,2024,1,Köln /%\n2,,2,a b\n";
    for columns in ["", "(a INT)"] {
        let csv = Work::config(&config(columns, "CSV"))
            .file(&format!("{one}/x.csv"), "a\n1\n")
            .file(&format!("{two}/x.csv"), "a\n2\n");
        assert_eq!(rows(&csv, sql), expected);
        let json = Work::config(&config(columns, "JSON"))
            .file(&format!("{one}/x.json"), "{\"a\":1}\n")
            .file(&format!("{two}/x.json"), "{\"a\":2}\n");
        assert_eq!(rows(&json, sql), expected);
        let mut project = Work::config(&config(columns, "PARQUET"));
        for (number, folder) in [one, two].into_iter().enumerate() {
            project = parquet(project, &format!("{folder}/x.parquet"), &format!("SELECT {} AS a", number + 1));
        }
        assert_eq!(rows(&project, sql), expected);
        let only = ok(
            &project,
            &["query", "config.sql", "--format", "csv", "-c", "SELECT town FROM snapshot.t WHERE year = 2024"],
        );
        assert_eq!(only.stdout, "town\nKöln /%\n");
    }
}

#[test]
fn folder_that_is_missing_or_holds_no_value_of_its_type_is_an_error_that_names_the_file() {
    let project = |path: &str| {
        Work::config(&table("(a INT)", "PARTITIONED BY (year INT) STORED AS CSV LOCATION 'in/'")).file(path, "a\n1\n")
    };
    refused(&project("in/x.csv"), &["in/x.csv is not in a folder year=..."]);
    refused(&project("in/Year=1/x.csv"), &["folder Year=...", "double quotes"]);
    refused(&project("in/year=now/x.csv"), &["in/year=now/x.csv: 'now'", "cannot be read as INT"]);
    let twice = Work::config(&table("(year INT)", "PARTITIONED BY (year INT) STORED AS CSV LOCATION 'in/'"));
    refused(&twice, &["column year is declared twice"]);
    let float = Work::config(&table("(a INT)", "PARTITIONED BY (x DOUBLE) STORED AS CSV LOCATION 'in/'"));
    refused(&float, &["config.sql:5:", "partition column 'x' has type DOUBLE"]);
}

#[test]
fn folders_that_nobody_declared_are_reported_and_a_column_of_the_file_gives_way() {
    let project = Work::config(&table("", "STORED AS CSV LOCATION 'in/'"))
        .file("in/year=2024/day=2024-01-31/code=007/x.csv", "a\n1\n");
    let plan = ok(&project, &["plan", "config.sql"]).stdout;
    let line = "values of the folder names year=, day=, code= in the LOCATION of snapshot.t are not read; \
                add PARTITIONED BY (year INT, day DATE, code VARCHAR) to CREATE EXTERNAL TABLE";
    assert!(plan.contains(line), "{plan}");
    assert!(ok(&project, &["run", "config.sql"]).stderr.contains("add PARTITIONED BY (year INT"));

    let both = Work::config(&table("", "PARTITIONED BY (a INT) STORED AS CSV LOCATION 'in/'"))
        .file("in/a=7/x.csv", "a,b\n1,2\n");
    assert!(
        ok(&both, &["plan", "config.sql"])
            .stdout
            .contains("column a of snapshot.t is in the files and in PARTITIONED BY")
    );
    assert_eq!(rows(&both, "SELECT a, b FROM lake.t"), "a,b\n7,2\n");
}

#[test]
fn lake_is_read_back_as_a_snapshot_with_the_same_rows() {
    let select = "SELECT CAST(column1 AS BIGINT) AS id, column2 AS town, CAST(column3 AS DATE) AS day, column4 AS n, \
                  CAST(column5 AS TIMESTAMP) AS at, CAST(column6 AS DECIMAL(9,2)) AS d FROM snapshot.t";
    let first = Work::config(&format!(
        "CREATE EXTERNAL TABLE snapshot.t (column1 INT, column2 VARCHAR, column3 VARCHAR, column4 INT, column5 VARCHAR,
         column6 VARCHAR) STORED AS CSV LOCATION 'in/';
         CREATE TABLE lake.t WITH (partitioned_by = ARRAY['town', 'day', 'n', 'at', 'd']) AS {select};"
    ))
    .file(
        "in/a.csv",
        "column1,column2,column3,column4,column5,column6\n\
         1,Köln,2024-01-31,7,2024-01-31 05:00:00.25,1.50\n2,a/b 100%,,-1,,-0.01\n3,x=y * , 1999-12-31,0,1969-07-20 20:17:40,\n\
         4,,,,,\n5,\"q\"\"uote\",0001-01-01,2147483647,2024-01-31,99.99\n"
            .replace(", 1999", ",1999"),
    );
    let all = "SELECT * FROM lake.t ORDER BY id";
    let before = rows(&first, all);
    let lake = first.path("lake").display().to_string();
    let back = Work::config(&format!(
        "CREATE EXTERNAL TABLE snapshot.t (id BIGINT)
         PARTITIONED BY (town VARCHAR, day DATE, n INT, at TIMESTAMP, d DECIMAL(9,2)) STORED AS PARQUET LOCATION '{lake}/';
         CREATE TABLE lake.t AS SELECT id, town, day, n, at, d FROM snapshot.t;"
    ));
    assert_eq!(rows(&back, all), before);
}

#[test]
fn declared_column_that_no_file_has_is_one_error_in_all_formats() {
    let config = |format: &str| table("(id INT, amt INT)", &format!("STORED AS {format} LOCATION 'in/'"));
    let csv = Work::config(&config("CSV")).file("in/a.csv", "id,amount\n1,2\n");
    let json = Work::config(&config("JSON")).file("in/a.json", "{\"id\":1,\"amount\":2}\n");
    let of_parquet = parquet(Work::config(&config("PARQUET")), "in/a.parquet", "SELECT 1 AS id, 2 AS amount");
    for project in [csv, json, of_parquet] {
        refused(
            &project,
            &["config.sql:5:1: column 'amt' is declared for snapshot.t, but no file has it; did you mean 'amount'?"],
        );
    }
    let nested = |format: &str| table("(id INT, o STRUCT<x INT>)", &format!("STORED AS {format} LOCATION 'in/'"));
    let json = Work::config(&nested("JSON")).file("in/a.json", "{\"id\":1,\"o\":{\"y\":1}}\n");
    let select = "SELECT 1 AS id, named_struct('y', 1) AS o";
    let of_parquet = parquet(Work::config(&nested("PARQUET")), "in/a.parquet", select);
    for project in [json, of_parquet] {
        refused(&project, &["column 'o.x' is declared for snapshot.t, but no file has it; did you mean 'o.y'?"]);
    }
}

#[test]
fn name_of_other_case_is_one_error_in_all_formats() {
    let config = |columns: &str, format: &str| table(columns, &format!("STORED AS {format} LOCATION 'in/'"));
    for columns in ["(id INT, a INT)", "(Id INT, a INT)"] {
        let csv = Work::config(&config(columns, "CSV")).file("in/a.csv", "Id,a\n1,2\n");
        let json = Work::config(&config(columns, "JSON")).file("in/a.json", "{\"Id\":1,\"a\":2}\n");
        let of_parquet =
            parquet(Work::config(&config(columns, "PARQUET")), "in/a.parquet", "SELECT 1 AS \"Id\", 2 AS a");
        for project in [csv, json, of_parquet] {
            refused(&project, &["config.sql:5:1: column 'id' is declared for snapshot.t, but ", "has 'Id'", "\"Id\""]);
        }
    }
}

#[test]
fn column_that_some_files_lack_is_reported_by_plan() {
    let text = |columns: &str| {
        Work::config(&table(columns, "STORED AS CSV LOCATION 'in/'"))
            .file("in/a.csv", "a,b\n1,2\n")
            .file("in/b.csv", "a\n1\n")
    };
    for project in [text(""), text("(a INT, b INT)")] {
        let plan = ok(&project, &["plan", "config.sql"]).stdout;
        assert!(plan.contains("1 of 2 inspected files of snapshot.t do not have column 'b', such as "), "{plan}");
        let plan = json(&project, &["plan", "config.sql"]);
        let lacking = &plan["tables"][0]["lacking_columns"][0];
        assert_eq!((lacking["column"].as_str(), lacking["files"].as_u64()), (Some("b"), Some(1)));
    }
}

#[test]
fn columns_that_differ_by_case_only_are_never_confused() {
    let config = |with: &str| {
        format!(
            "CREATE EXTERNAL TABLE snapshot.t (a INT, \"A\" INT, id INT) STORED AS CSV LOCATION 'in/';
             CREATE TABLE lake.t {with} AS SELECT a, \"A\", id FROM snapshot.t;"
        )
    };
    let project = |with: &str| Work::config(&config(with)).file("in/x.csv", "A,a,id\n1,30,1\n2,20,2\n3,20,3\n,10,4\n");
    let sorted = project("WITH (sorted_by = ARRAY['\"A\" DESC NULLS LAST'])");
    assert!(ok(&sorted, &["plan", "config.sql"]).stdout.contains("columns 'a' and 'A' of lake.t differ only in case"));
    assert_eq!(rows(&sorted, "SELECT a, \"A\", id FROM lake.t"), "a,A,id\n20,3,3\n20,2,2\n30,1,1\n10,,4\n");
    let sorted = project("WITH (sorted_by = ARRAY['a', 'id'])");
    assert_eq!(rows(&sorted, "SELECT id FROM lake.t"), "id\n4\n2\n3\n1\n");
    let by_upper = project("WITH (partitioned_by = ARRAY['\"A\"'])");
    ok(&by_upper, &["run", "config.sql", "--quiet"]);
    let folders = by_upper.paths("lake").into_iter().filter(|file| file.contains("/A=")).count();
    assert_eq!((folders, by_upper.paths("lake").iter().filter(|file| file.contains("/a=")).count()), (4, 0));
    assert_eq!(
        rows(&by_upper, "SELECT a, \"A\", id FROM lake.t ORDER BY id"),
        "a,A,id\n30,1,1\n20,2,2\n20,3,3\n10,,4\n"
    );
    assert_eq!(rows(&project("WITH (not_null = ARRAY['a'])"), "SELECT count(*) AS n FROM lake.t"), "n\n4\n");
    let outcome = project("WITH (not_null = ARRAY['\"A\"'])").run(&["run", "config.sql"]);
    assert_eq!((outcome.code != 0, outcome.stderr.contains("found 1 row")), (true, true), "{}", outcome.stderr);
    let unique = project("WITH (unique_key = ARRAY['\"A\"'])").run(&["run", "config.sql"]);
    assert_eq!(unique.code, 0, "{}", unique.stderr);
    let twice = project("WITH (unique_key = ARRAY['a'])").run(&["run", "config.sql"]);
    assert_ne!(twice.code, 0, "{}", twice.stderr);
}

#[test]
fn init_declares_what_folders_say() {
    let project = Work::config("")
        .file("in/year=2024/month=01/a.csv", "a,b\n1,x\n2,y\n")
        .file("in/year=2023/month=12/a.csv", "a,b\n3,z\n4,w\n");
    ok(&project, &["init", "in", "-o", "found.sql"]);
    let config = fs::read_to_string(project.path("found.sql")).unwrap();
    assert!(config.contains("PARTITIONED BY (year INT, month INT)\nSTORED AS CSV"), "{config}");
    ok(&project, &["run", "found.sql", "--quiet"]);
    let sql = "SELECT year, month, sum(a) AS s FROM lake.\"in\" GROUP BY ALL ORDER BY 1";
    let config = fs::read_to_string(project.path("found.sql")).unwrap();
    let name = config.split("snapshot.").nth(1).unwrap().split([' ', '(']).next().unwrap().to_owned();
    let read = ok(
        &project,
        &[
            "query",
            "found.sql",
            "--format",
            "csv",
            "-c",
            &sql.replace("\"in\"", &name).replace("GROUP BY ALL", "GROUP BY year, month"),
        ],
    );
    assert_eq!(read.stdout, "year,month,s\n2023,12,7\n2024,1,3\n");
}
