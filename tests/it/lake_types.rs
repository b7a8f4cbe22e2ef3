//! What becomes of every type that a SELECT can give: the table of `docs/types.md` is made from a lake that has them
//! all.

use std::fs::File;
use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{LogicalType, TimeUnit};
use datafusion::parquet::schema::types::Type;

use crate::support::{Work, program};

const START: &str = "<!-- types -->\n";
const END: &str = "<!-- /types -->";

/// Cells of a row that this test knows; the others are what readers see, which `tests/outside/check_types.py` looks at.
const KNOWN: usize = 3;

/// The lake of `tests/data/types`, published to a folder of its own.
fn lake(work: &Work) -> PathBuf {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/types/types.sql");
    let var = |name: &str| format!("{name}={}", work.path(name).display());
    let run =
        program().arg("run").arg(config).args(["--var", &var("staging"), "--var", &var("datalake")]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let files = work.files("datalake").into_keys();
    work.path("datalake").join(files.into_iter().find(|file| file.ends_with(".parquet")).unwrap())
}

/// A Parquet type: how values are stored, and what they mean.
fn parquet(of: &Type) -> String {
    let info = of.get_basic_info();
    let meaning = match info.logical_type_ref() {
        None if of.is_primitive() => None,
        None => return format!("group {{{}}}", fields(of)),
        Some(LogicalType::String) => Some("STRING".to_owned()),
        Some(LogicalType::List) => return format!("LIST of {}", parquet(&of.get_fields()[0].get_fields()[0])),
        Some(LogicalType::Map) => {
            let pair = of.get_fields()[0].get_fields();
            return format!("MAP of {}, {}", parquet(&pair[0]), parquet(&pair[1]));
        }
        Some(LogicalType::Decimal(decimal)) => Some(format!("DECIMAL({},{})", decimal.precision, decimal.scale)),
        Some(LogicalType::Integer(int)) => {
            Some(format!("{}({})", if int.is_signed { "INT" } else { "UINT" }, int.bit_width))
        }
        Some(LogicalType::Date) => Some("DATE".to_owned()),
        Some(LogicalType::Time(time)) => Some(format!("TIME({})", unit(&time.unit))),
        Some(LogicalType::Timestamp(time)) => {
            let utc = if time.is_adjusted_to_u_t_c { "UTC" } else { "local" };
            Some(format!("TIMESTAMP({}, {utc})", unit(&time.unit)))
        }
        Some(other) => Some(format!("{other:?}")),
    };
    let stored = match of {
        Type::PrimitiveType { physical_type, type_length, .. } if *type_length > 0 => {
            format!("{physical_type}({type_length})")
        }
        _ => of.get_physical_type().to_string(),
    };
    meaning.map_or_else(|| stored.clone(), |meaning| format!("{stored} {meaning}"))
}

fn unit(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::MILLIS => "ms",
        TimeUnit::MICROS => "us",
        TimeUnit::NANOS => "ns",
    }
}

fn fields(of: &Type) -> String {
    of.get_fields().iter().map(|field| format!("{} {}", field.name(), parquet(field))).collect::<Vec<_>>().join(", ")
}

/// The first cells of each row, the first of which is the name of a column.
fn rows(file: &Path) -> Vec<[String; KNOWN]> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let arrow = reader.schema().fields().iter().map(|field| arrow(field.data_type()));
    let parquet =
        reader.parquet_schema().root_schema().get_fields().iter().map(|of| (of.name().to_owned(), parquet(of)));
    arrow.zip(parquet).skip(1).map(|(arrow, (name, parquet))| [name, arrow, parquet]).collect()
}

fn arrow(of: &DataType) -> String {
    of.to_string().replace("µs", "us")
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

fn line(known: &[String; KNOWN], others: &[String]) -> String {
    let known = known.iter().map(|cell| format!("`{cell}`"));
    let others =
        others.iter().map(|cell| if cell.is_empty() || cell == "?" { "?".to_owned() } else { format!("`{cell}`") });
    format!("| {} |\n", known.chain(others).collect::<Vec<_>>().join(" | "))
}

#[test]
fn docs_say_what_becomes_of_every_type() {
    let work = Work::new("");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/types.md");
    let docs = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = docs.split_once(START).expect("docs/types.md has <!-- types -->");
    let (table, after) = rest.split_once(END).expect("docs/types.md has <!-- /types -->");
    let mut lines = table.lines();
    let head = [lines.next().unwrap(), lines.next().unwrap()];
    let readers = cells(head[0]).len() - KNOWN;
    let old: Vec<Vec<String>> = lines.map(cells).collect();
    let others = |name: &str| {
        let row = old.iter().find(|row| row[0] == name).map(|row| row[KNOWN..].to_vec());
        row.unwrap_or_else(|| vec!["?".to_owned(); readers])
    };
    let rows: String = rows(&lake(&work)).iter().map(|known| line(known, &others(&known[0]))).collect();
    let expected = format!("{}\n{}\n{rows}", head[0], head[1]);
    if table == expected {
        return;
    }
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(&path, [before, START, &expected, END, after].concat()).unwrap();
        return;
    }
    panic!(
        "docs/types.md does not say what the lake of tests/data/types has. Run\n\n    \
         UPDATE_TYPES=1 cargo test --release docs_say\n\nor put this between the marks:\n\n{expected}"
    );
}

/// A table of two rows, with this SELECT.
fn job(select: &str) -> Work {
    let work = Work::new(&format!(
        "CREATE EXTERNAL TABLE snapshot.t (id INT, s VARCHAR) STORED AS CSV LOCATION 'export/';
         CREATE TABLE lake.t AS SELECT {select} FROM snapshot.t;"
    ));
    work.write("export/a.csv", "id,s\n1,2024-01-01T00:00:00.123456789\n2,x\n");
    work
}

/// What `run` refuses, and at which column of the last line of the config.
#[track_caller]
fn refused(select: &str, words: &[&str]) {
    let work = job(select);
    work.snaplake(&["plan"]).failed(2, words);
    assert!(work.files("out").is_empty());
}

#[test]
fn types_without_one_in_parquet_are_refused_at_their_place_with_a_cast_that_works() {
    refused(
        "id, INTERVAL '1' MONTH AS v",
        &["column 'v' is an INTERVAL, for which Parquet has no type", "CAST(v AS VARCHAR) AS v, its text"],
    );
    let duration = "TIMESTAMP '2024-01-02T00:00:00' - TIMESTAMP '2024-01-01T00:00:00'";
    refused(&format!("id, {duration} AS v"), &["column 'v' is a DURATION", "CAST(v AS BIGINT) AS v, its microseconds"]);
    refused(&format!("id, named_struct('x', {duration}) AS v"), &["column 'v.x' is a DURATION", "leave it out"]);
    refused("id, arrow_cast(id, 'Interval(YearMonth)') AS v", &["column 'v' is an INTERVAL"]);
    refused(
        "id, CAST(id AS DECIMAL(40,2)) AS v",
        &[
            "column 'v' is a DECIMAL(40,2)",
            "read at most 38 digits",
            "write CAST(v AS DECIMAL(38,2)) AS v, which fails",
        ],
    );
    let work = job(&format!("id, CAST({duration} AS BIGINT) AS v, CAST(INTERVAL '1' MONTH AS VARCHAR) AS w"));
    work.snaplake(&["run"]).ok();
    let rows = work.snaplake(&["query", "--format", "csv", "-c", "SELECT v, w FROM lake.t WHERE id = 1"]).ok();
    assert_eq!(rows.stdout, "v,w\n86400000000,1 mons\n");
}

#[test]
fn place_of_a_refused_column_is_that_of_its_expression() {
    let work = job("id,\n  INTERVAL '1' MONTH AS v");
    work.snaplake(&["plan"]).failed(2, &["job.sql:8:12: column 'v'"]);
}

#[test]
fn values_that_the_type_in_the_lake_cannot_hold_are_errors_with_table_column_value_and_file() {
    let work = job("id, to_timestamp('2024-01-01T00:00:00.123456789') AS v");
    let reported = [
        "lake.t, column 'v': '2024-01-01T00:00:00.123456789' cannot be stored as TIMESTAMP(6) without loss",
        "CAST(v AS TIMESTAMP(9)) keeps all digits",
        "export/a.csv",
    ];
    work.snaplake(&["run"]).failed(1, &reported);
    let work = job("id, arrow_cast(arrow_cast(1704110400000, 'Timestamp(ms)'), 'Date64') AS v");
    work.snaplake(&["run"])
        .failed(1, &["column 'v'", "cannot be stored as DATE without loss", "CAST(v AS TIMESTAMP) keeps"]);
    let work = job("id, arrow_cast(9223372036854775807, 'Timestamp(s)') AS v");
    work.snaplake(&["run"]).failed(1, &["column 'v': '9223372036854775807' cannot be stored as TIMESTAMP(3)"]);
}

#[test]
fn timestamp_without_digits_is_microseconds_of_text_dates_and_seconds() {
    let select = "CAST('2024-01-01' AS TIMESTAMP) AS a, DATE '2024-01-01'::timestamp AS b, CAST(1704067200 AS TIMESTAMP) AS c, \
                  CAST(id + 1704067199 AS TIMESTAMP) AS d, TIMESTAMP '2024-01-01 00:00:00' AS e, try_cast(s AS TIMESTAMP) AS f, \
                  CAST('9999-12-31' AS TIMESTAMP) AS g, id";
    let work = job(select);
    work.snaplake(&["run"]).ok();
    let query = "SELECT DISTINCT a = b AND a = c AND a = d AND a = e AS same, arrow_typeof(c) AS t, f, g FROM lake.t WHERE id = 1";
    let rows = work.snaplake(&["query", "--format", "csv", "-c", query]).ok();
    assert_eq!(rows.stdout, "same,t,f,g\ntrue,Timestamp(µs),2024-01-01T00:00:00.123456,9999-12-31T00:00:00\n");
    let query = "SELECT CAST(0 AS TIMESTAMP) AS a, CAST(1 AS TIMESTAMP(6)) AS b, arrow_typeof(TIME '01:02:03') AS c";
    let rows = work.snaplake(&["query", "--format", "csv", "-c", query]).ok();
    assert_eq!(rows.stdout, "a,b,c\n1970-01-01T00:00:00,1970-01-01T00:00:00.000001,Time64(µs)\n");
}

#[test]
fn nanoseconds_are_kept_where_somebody_asked_for_them() {
    let work = job("id, CAST(s AS TIMESTAMP(9)) AS asked, to_timestamp('2024-01-01') AS given, now() AS at");
    work.write("export/a.csv", "id,s\n1,2024-01-01T00:00:00.123456789\n");
    let plan = work.snaplake(&["plan"]).ok();
    assert!(
        !plan.stdout.contains("nanoseconds") && !plan.stderr.contains("nanoseconds"),
        "{}{}",
        plan.stdout,
        plan.stderr
    );
    work.snaplake(&["run"]).ok();
    let query = "SELECT asked, arrow_typeof(asked) AS a, arrow_typeof(given) AS b, arrow_typeof(at) AS c FROM lake.t";
    let rows = work.snaplake(&["query", "--format", "csv", "-c", query]).ok();
    assert_eq!(rows.stdout, "asked,a,b,c\n2024-01-01T00:00:00.123456789,Timestamp(ns),Timestamp(µs),Timestamp(µs)\n");
}

#[test]
fn zones_are_utc_whatever_their_spelling() {
    let work = job("id, CAST('2024-01-01T00:00:00+02:00' AS TIMESTAMPTZ) AS a, \
         arrow_cast(TIMESTAMP '2024-01-01T00:00:00', 'Timestamp(µs, \"+00:00\")') AS b");
    work.snaplake(&["run"]).ok();
    let query = "SELECT DISTINCT a, arrow_typeof(a) AS t, arrow_typeof(b) AS u FROM lake.t";
    let rows = work.snaplake(&["query", "--format", "csv", "-c", query]).ok();
    assert_eq!(
        rows.stdout,
        "a,t,u\n2023-12-31T22:00:00Z,\"Timestamp(µs, \"\"UTC\"\")\",\"Timestamp(µs, \"\"UTC\"\")\"\n"
    );
}

/// A JSON file whose column `a` has so many levels.
fn deep(levels: usize, select: &str) -> Work {
    let work = Work::new(&format!(
        "CREATE EXTERNAL TABLE snapshot.t STORED AS JSON LOCATION 'export/';
         CREATE TABLE lake.t AS SELECT {select} FROM snapshot.t;"
    ));
    let lists = levels - 1;
    work.write("export/a.json", &format!("{{\"id\":1,\"a\":{}1{}}}\n", "[".repeat(lists), "]".repeat(lists)));
    work
}

#[test]
fn deep_columns_are_carried_to_a_limit_and_then_refused_by_name_but_need_not_be_selected() {
    for levels in [2, 49, 50] {
        deep(levels, "*").snaplake(&["run"]).ok();
    }
    for levels in [51, 60, 61, 62, 64, 100, 120] {
        let reported = format!("column 'a' is nested {levels} levels deep; a lake column can have 50");
        deep(levels, "*").snaplake(&["run"]).failed(2, &[&reported]);
        let work = deep(levels, "id");
        work.snaplake(&["run"]).ok();
        work.snaplake(&["run"]).ok();
    }
}

/// A table partitioned by `k`, of these texts.
fn partitioned(texts: &[&str], with: &str) -> Work {
    let work = Work::new(&format!(
        "CREATE EXTERNAL TABLE snapshot.t (id INT, k VARCHAR) STORED AS JSON LOCATION 'export/';
         CREATE TABLE lake.t WITH (partitioned_by = ARRAY['k']{with}) AS SELECT * FROM snapshot.t;"
    ));
    let rows = texts.iter().enumerate();
    let rows: String = rows.map(|(id, k)| format!("{}\n", serde_json::json!({ "id": id, "k": k }))).collect();
    work.write("export/a.json", &rows);
    work
}

#[test]
fn empty_partition_says_what_becomes_of_empty_texts() {
    let texts = ["a", "", "b"];
    let reported =
        ["lake.t: partition column 'k' has an empty text", "set empty_partition in WITH", "'keep'", "export/a.json"];
    partitioned(&texts, "").snaplake(&["run"]).failed(1, &reported);
    partitioned(&texts, ", empty_partition = 'error'").snaplake(&["run"]).failed(1, &reported);
    for (choice, shown) in [("null", "0,[a]\n1,\n2,[b]\n"), ("keep", "0,[a]\n1,[]\n2,[b]\n")] {
        let work = partitioned(&texts, &format!(", empty_partition = '{choice}'"));
        work.snaplake(&["run"]).ok();
        let query = "SELECT id, '[' || k || ']' AS k FROM lake.t ORDER BY id";
        assert_eq!(work.snaplake(&["query", "--format", "csv", "-c", query]).ok().stdout, format!("id,k\n{shown}"));
        let folder = if choice == "null" { "/k=__HIVE_DEFAULT_PARTITION__/" } else { "/k=/" };
        assert!(work.files("out/lake").into_keys().any(|file| file.contains(folder)), "{choice}");
        // What is planned is planned with it.
        let config = std::fs::read_to_string(work.path("job.sql")).unwrap();
        work.write("job.sql", &config.replace(&format!("empty_partition = '{choice}'"), "empty_partition = 'error'"));
        work.snaplake(&["run"]).failed(1, &["another empty_partition"]);
    }
    let wrong = partitioned(&texts, ", empty_partition = 'nul'").snaplake(&["plan"]);
    wrong.failed(2, &["invalid value 'nul' for empty_partition: expected 'error', 'null' or 'keep'"]);
}

#[test]
fn word_for_null_as_a_text_is_refused_with_what_to_do() {
    let work = partitioned(&["a", "__HIVE_DEFAULT_PARTITION__"], "");
    work.snaplake(&["run"]).failed(
        1,
        &[
            "partition column 'k' has the text __HIVE_DEFAULT_PARTITION__",
            "nullif(k, '__HIVE_DEFAULT_PARTITION__')",
            "export/a.json",
        ],
    );
}

#[test]
fn partition_folders_keep_characters_beyond_ascii_and_are_found_again() {
    let texts = [
        "é",
        "e\u{301}",
        "日本/x",
        "%C3%A9",
        "\u{85}",
        "\u{2028}x",
        "\u{202E}abc",
        "\u{1F468}\u{200D}\u{1F4BB}",
        "\u{FFFE}",
        "\u{FEFF}",
        "\u{A0}",
        "a\u{0}b",
        "\t\n",
        "\u{7f}",
        "Ünï=cödé",
        ".",
        "..",
        "\u{10FFFF}",
    ];
    let work = partitioned(&texts, "");
    work.snaplake(&["run"]).ok();
    let same = "SELECT count(*) FROM (SELECT id, k FROM lake.t INTERSECT SELECT id, k FROM snapshot.t)";
    let count = format!("count(*)\n{}\n", texts.len());
    assert_eq!(work.snaplake(&["query", "--format", "csv", "-c", same]).ok().stdout, count);
    let one = "SELECT id FROM lake.t WHERE k = 'é'";
    assert_eq!(work.snaplake(&["query", "--format", "csv", "-c", one]).ok().stdout, "id\n0\n");
    let folders: Vec<String> = work.files("out/lake").into_keys().filter(|file| file.ends_with(".parquet")).collect();
    assert_eq!(folders.len(), texts.len());
    assert!(folders.iter().any(|file| file.contains("/k=日本%2Fx/")), "{folders:?}");
    work.snaplake(&["validate"]).ok();
    work.snaplake(&["clean"]).ok();
    assert_eq!(work.snaplake(&["query", "--format", "csv", "-c", same]).ok().stdout, count);
}

#[test]
fn folder_names_are_limited_in_bytes() {
    // 126 characters of two bytes, and `k=`.
    let fits = "é".repeat(126);
    partitioned(&[&fits], "").snaplake(&["run"]).ok();
    let long = "é".repeat(127);
    partitioned(&[&long], "").snaplake(&["run"]).failed(1, &["has 256 bytes"]);
}
