//! Mistakes that people make in SELECT, WITH, OPTIONS, audits and `query`: each is reported in SQL's words, with what to
//! do.
//!
//! The snapshots are read by people; what no message may say is checked in each of them.

use std::fs;

use regex::Regex;

use crate::support::Work;

const COLUMNS: &str = "id BIGINT, day VARCHAR, price DECIMAL(10,2), seen TIMESTAMP(6), ok BOOLEAN, tags VARCHAR[]";

/// One table with all kinds of columns, as NDJSON.
fn shop(with: &str, select: &str, rest: &str) -> Work {
    let config = format!(
        "CREATE EXTERNAL TABLE snapshot.orders ({COLUMNS}) STORED AS JSON LOCATION 'export/';\n\
         CREATE TABLE lake.orders {with} AS\n{select};\n{rest}"
    );
    let row = r#"{"id": 1, "day": "mon", "price": 1.50, "seen": "2024-01-01T00:00:00", "ok": true, "tags": ["a"]}"#;
    Work::config(&config).file("export/a.json", format!("{row}\n"))
}

/// What a failed command says, which must be in our words.
#[track_caller]
fn reported(project: &Work, arguments: &[&str]) -> String {
    let outcome = project.run(arguments);
    assert_ne!(outcome.code, 0, "{arguments:?}: {}", outcome.stdout);
    let text = format!("exit {}: {}", outcome.code, outcome.stderr.trim_end());
    let foreign = Regex::new(
        r"DataFusion|[Ff]ile a bug|bug report|Internal error|\b(U?Int(8|16|32|64)|Float(32|64)|Utf8(View)?|LargeUtf8|Date32|Decimal128|List\(|Struct\(|Timestamp\(|TypeSignature|Coercion|caused by)\b",
    );
    assert!(!foreign.unwrap().is_match(&text), "{text}");
    assert_eq!(
        text.matches("\n  help: to continue, run the same command again").count(),
        0,
        "offered to run again: {text}"
    );
    text
}

/// One mistake per line, its message below it.
fn all(mistakes: &[&str], mut tell: impl FnMut(&str) -> String) -> String {
    mistakes.iter().map(|mistake| format!("{mistake}\n    {}\n", tell(mistake).replace('\n', "\n    "))).collect()
}

#[test]
fn mistakes_in_the_select() {
    let selects = [
        "SELECT id + day AS x FROM snapshot.orders",
        "SELECT id * tags AS x FROM snapshot.orders",
        "SELECT id, tags = 1 AS x FROM snapshot.orders",
        "SELECT id, ok > 3.5 AS x FROM snapshot.orders",
        "SELECT id, seen + 1 AS x FROM snapshot.orders",
        "SELECT id, CAST(ok AS DATE) AS x FROM snapshot.orders",
        "SELECT id, CAST(day AS BIGINT) AS x FROM snapshot.orders",
        "SELECT CAST(id * 300 AS TINYINT) AS x FROM snapshot.orders",
        "SELECT CAST(price * 1000 AS DECIMAL(4,2)) AS x FROM snapshot.orders",
        "SELECT id / 0 AS x FROM snapshot.orders",
        "SELECT id % 0 AS x FROM snapshot.orders",
        "SELECT CAST(day AS TIMESTAMP) AS x FROM snapshot.orders",
        "SELECT round(day, seen) AS x FROM snapshot.orders",
        "SELECT abs(day) AS x FROM snapshot.orders",
        "SELECT substr(id) AS x FROM snapshot.orders",
        "SELECT date_trunc('month', day, 1) AS x FROM snapshot.orders",
        "SELECT year(tags) AS x FROM snapshot.orders",
        "SELECT upper(tags) AS x FROM snapshot.orders",
        "SELECT uper(day) AS x FROM snapshot.orders",
        "SELECT CASE WHEN ok THEN id ELSE tags END AS x FROM snapshot.orders",
        "SELECT id FROM snapshot.orders WHERE day",
        "SELECT id FROM snapshot.orders WHERE NOT id",
        "SELECT id FROM snapshot.orders WHERE tags IN (1, 2)",
        "SELECT id FROM snapshot.orders WHERE id LIKE tags",
        "SELECT id, seen - day AS x FROM snapshot.orders",
        "SELECT id FROM snapshot.ordres",
        "SELECT idd FROM snapshot.orders",
        "SELECT o.idd FROM snapshot.orders AS o",
        "SELECT id, id FROM snapshot.orders",
        "SELECT id FORM snapshot.orders",
        "SELECT (id FROM snapshot.orders",
        "SELECT 'id FROM snapshot.orders",
        "SELECT id /* x FROM snapshot.orders",
    ];
    insta::assert_snapshot!(all(&selects, |select| reported(&shop("", select, ""), &["run", "config.sql", "-q"])));
}

#[test]
fn mistakes_of_aggregates_over_all_files() {
    let selects = [
        "SELECT sum(day) AS x FROM snapshot.orders",
        "SELECT avg(tags) AS x FROM snapshot.orders",
        "SELECT day, sum(id) AS x FROM snapshot.orders",
        "SELECT id FROM snapshot.orders UNION ALL SELECT tags FROM snapshot.orders",
        "SELECT id FROM snapshot.orders UNION ALL SELECT id, day FROM snapshot.orders",
        "SELECT id, row_number() OVER (ORDER BY x) AS x FROM snapshot.orders",
        "SELECT id FROM snapshot.orders ORDER BY 7",
    ];
    let with = "WITH (file_group_size = 'all')";
    insta::assert_snapshot!(all(&selects, |select| reported(&shop(with, select, ""), &["run", "config.sql", "-q"])));
}

#[test]
fn mistakes_in_with_options_and_audits() {
    let select = "SELECT * FROM snapshot.orders";
    let withs = [
        "WITH (partitioned_by = ARRAY['dya'])",
        "WITH (partitioned_by = 'day', sorted_by = ARRAY['id DSC'])",
        "WITH (target_file_size = 12MB)",
        "WITH (format = 'ORC')",
        "WITH (not_null = ARRAY['idd'])",
        "WITH (accepted_values = MAP {'day': 'mon', 'dy': 'x'})",
        "WITH (row_count_min = 'one')",
        "WITH (write_compression = 'zip')",
    ];
    let mut text = all(&withs, |with| reported(&shop(with, select, ""), &["run", "config.sql", "-q"]));
    let audits = [
        "CREATE VIEW audit.a AS SELECT id + day FROM staging.orders;",
        "CREATE VIEW audit.a AS SELECT sum(day) FROM staging.orders;",
        "CREATE VIEW audit.a AS SELECT idd FROM staging.orders;",
        "CREATE VIEW audit.a AS SELECT id FROM staging.order;",
        "CREATE VIEW audit.a AS SELECT 1 / (id - 1) AS x FROM staging.orders;",
        "CREATE VIEW audit.a AS SELECT CAST(day AS INT) AS x FROM staging.orders;",
    ];
    text += &all(&audits, |audit| reported(&shop("", select, audit), &["run", "config.sql", "-q"]));
    let options =
        ["(has_header 'yes')", "(delimiter 'ab')", "(format.delimeter ';')", "(compression 'rar')", "(null_regex '(')"];
    text += &all(&options, |options| {
        let table = "CREATE EXTERNAL TABLE snapshot.t (a INT) STORED AS CSV LOCATION 'export/' OPTIONS";
        let project = Work::config(&format!("{table} {options};\nCREATE TABLE lake.t AS SELECT a FROM snapshot.t;\n"));
        reported(&project.file("export/a.csv", "a\n1\n"), &["run", "config.sql", "-q"])
    });
    insta::assert_snapshot!(text);
}

#[test]
fn mistakes_in_query_name_the_tables_and_columns_that_there_are() {
    let project = shop("", "SELECT * FROM snapshot.orders", "");
    assert_eq!(project.run(&["run", "config.sql", "-q"]).code, 0);
    let queries = [
        "SELECT * FROM orders",
        "SELECT * FROM ordrs",
        "SELECT * FROM lake.ordrs",
        "SELECT * FROM lak.orders",
        "SELECT * FROM nothing_like_it",
        "SELECT idd FROM lake.orders",
        "SELECT o.dya FROM lake.orders AS o",
        "SELECT sum(day) FROM lake.orders",
        "SELECT id + day FROM lake.orders",
        "SELECT CAST(day AS INT) FROM lake.orders",
        "SELECT id / 0 FROM lake.orders",
        "SELECT nope(id) FROM lake.orders",
        "SELECT 'x FROM lake.orders",
        "SELECT id FROM lake.orders WHERE tags > 1",
        "DROP TABLE lake.orders",
        "SELEC 1",
        "SELECT id, FROM lake.orders LIMIT x",
        "SELECT (SELECT id FROM lake.orders) + tags FROM lake.orders",
    ];
    insta::assert_snapshot!(all(&queries, |query| reported(&project, &["query", "config.sql", "-c", query])));
}

#[test]
fn sql_without_its_option_is_reported_where_it_goes() {
    let project = shop("", "SELECT * FROM snapshot.orders", "");
    let outcome = project.run(&["query", "config.sql", "SELECT 1"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("tip: SQL follows -c: snaplake query CONFIG -c 'SELECT ...'"),
        "{}",
        outcome.stderr
    );
    let outcome = project.run(&["stauts", "config.sql"]);
    assert!(outcome.stderr.contains("'status'"), "{}", outcome.stderr);
}

#[test]
fn ending_of_the_output_says_its_format() {
    let project = shop("", "SELECT * FROM snapshot.orders", "");
    let write = |name: &str, more: &[&str]| {
        let arguments = [&["query", "config.sql", "-c", "SELECT 1 AS a", "-o", name], more].concat();
        let outcome = project.run(&arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        fs::read(project.path(name)).unwrap()
    };
    assert!(write("x.parquet", &[]).starts_with(b"PAR1"));
    assert_eq!(write("x.CSV", &[]), b"a\n1\n");
    assert_eq!(write("x.ndjson", &[]), b"{\"a\":1}\n");
    assert_eq!(write("y.parquet", &["--format", "csv"]), b"a\n1\n");
    assert!(write("x.txt", &[]).starts_with(b"+---+"));
}

#[test]
fn variable_that_nobody_uses_is_an_error_with_the_nearest_name() {
    let project = Work::config(
        "SET snaplake.models = 'models/*.sql';\n\
         CREATE EXTERNAL TABLE snapshot.t STORED AS CSV LOCATION '${export:-${folder:-in}}/';\n",
    )
    .file("models/t.sql", "CREATE TABLE lake.t WITH (target_file_size = '${size:-1MB}') AS SELECT * FROM snapshot.t;")
    .file("in/a.csv", "a\n1\n");
    let with = |variable: &str| project.run(&["plan", "config.sql", "-q", "--var", variable]);
    for used in ["export=in", "folder=in", "size=2MB"] {
        let outcome = with(used);
        assert_eq!(outcome.code, 0, "{used}: {}", outcome.stderr);
    }
    let outcome = with("exprot=in");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(outcome.stderr, @"
    error: --var exprot: config.sql and its models have no ${exprot}; did you mean 'export'?
      help: remove it, or use it in the config
    ");
}

#[test]
fn quote_that_is_missing_is_reported_where_its_text_begins() {
    let texts = [
        "SET snaplake.models = 'sql;\nSET snaplake.schema = 'x';\n",
        "SET snaplake.schema = 'x;\n-- it's\nSET snaplake.verify = 'count';\n",
        "CREATE VIEW v AS SELECT \"a FROM t;\n",
        "CREATE VIEW v AS SELECT 1 /* never\nFROM t;\n",
        "CREATE VIEW v AS SELECT $$a FROM t;\n",
        "SET snaplake.schema = 'a${b';\n",
        "SET snaplake.schema = 'a${b:-${c}';\n",
    ];
    insta::assert_snapshot!(all(&texts, |text| reported(&Work::config(text), &["plan", "config.sql"])));
}

#[test]
fn empty_and_short_parquet_files_are_called_so() {
    let config = "CREATE EXTERNAL TABLE snapshot.t STORED AS PARQUET LOCATION 'export/';\nCREATE TABLE lake.t AS SELECT * FROM snapshot.t;\n";
    let mut text = String::new();
    for bytes in ["", "PAR1", "not parquet at all"] {
        let project = Work::config(config).file("export/a.parquet", bytes);
        text += &format!("{bytes:?}\n{}\n", reported(&project, &["run", "config.sql", "-q"]));
    }
    insta::assert_snapshot!(text);
}
