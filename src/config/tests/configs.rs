//! Whole configs: the result of valid ones, and the positions of errors in the others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::config::resolve::from_text;
use crate::config::*;
use crate::error::{Error, Result};

const HEAD: &str = "SET snaplake.database = 'nyc'; SET snaplake.snapshot_time = '2014-01-01T00:59:59+01:00';
SET snaplake.staging = '../target/staging'; SET snaplake.datalake = 's3://bucket/lake/';
CREATE EXTERNAL TABLE snapshot.flights STORED AS CSV LOCATION '../data/flights/';
";
const LAKE: &str = "CREATE TABLE lake.flights AS SELECT * FROM snapshot.flights;";

fn refused(text: &str) -> String {
    match from_text(text) {
        Ok(project) => format!("NOT REFUSED: {project:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_apply_and_paths_start_at_the_folder_of_the_file() {
    let project = from_text(&format!("{HEAD}{LAKE}")).unwrap();
    let settings = &project.settings;
    assert_eq!((settings.database.as_str(), settings.schema.as_str()), ("nyc", "public"));
    assert_eq!(settings.snapshot_time, "2013-12-31T23:59:59Z");
    assert_eq!(settings.time().to_rfc3339(), "2013-12-31T23:59:59+00:00");
    assert_eq!(settings.staging.uri(), "file:///repo/target/staging");
    assert_eq!(settings.datalake.uri(), "s3://bucket/lake/");
    let snapshot = project.snapshot("flights").unwrap();
    assert_eq!(snapshot.format, FileFormat::Csv(CsvOptions::default()));
    assert_eq!(snapshot.locations[0].0.uri(), "file:///repo/data/flights/");
    assert_eq!(snapshot.locations[0].1.to_string(), "a.sql:3:63");
    assert_eq!(snapshot.declared, None);
    let lake = &project.lakes[0];
    assert_eq!(lake.at.to_string(), "a.sql:4:1");
    assert_eq!((lake.target_file_size, lake.min_file_size, lake.max_file_size), (128_000_000, 96_000_000, 230_400_000));
    assert_eq!(lake.file_group_size, GroupSize::Bytes(96_000_000));
    assert_eq!(lake.compression, WriteCompression::Zstd(3));
    assert_eq!(lake.shown.to_string(), "SELECT * FROM snapshot.flights");
}

#[test]
fn properties_of_the_table_win_over_settings_and_names_fold_unless_quoted() {
    let project = from_text(&format!(
        "{HEAD}SET snaplake.target_file_size = '64MiB'; SET snaplake.write_compression = 'gzip';
SET snaplake.compression_level = 9; SET snaplake.file_group_size = ALL;
CREATE TABLE IF NOT EXISTS lake.Flights WITH (
  partitioned_by = ARRAY['Year', '\"Month\"'], sorted_by = 'Time_Hour DESC', write_compression = 'snappy',
  max_file_size = 100000000, external_location = 'out') AS SELECT 1 /* comment */ AS x;
CREATE TABLE lake.\"Other\" AS SELECT 1 AS x;
CREATE OR REPLACE VIEW audit.a AS SELECT 1; CREATE VIEW helper AS SELECT 1;"
    ))
    .unwrap();
    let [flights, other] = project.lakes.as_slice() else { panic!("{:?}", project.lakes) };
    assert_eq!((flights.name.as_str(), other.name.as_str()), ("flights", "Other"));
    let partitions: Vec<&str> = flights.partitioned_by.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(partitions, ["year", "Month"]);
    assert_eq!(flights.sorted_by[0].0.column, "time_hour");
    assert_eq!((flights.compression, other.compression), (WriteCompression::Snappy, WriteCompression::Gzip(9)));
    assert_eq!((flights.target_file_size, flights.max_file_size), (64 << 20, 100_000_000));
    assert_eq!(flights.file_group_size, GroupSize::All);
    assert_eq!(flights.external_location.as_ref().map(ToString::to_string), Some("/repo/configs/out".to_owned()));
    assert_eq!(flights.shown.to_string(), "SELECT 1 AS x");
    assert_eq!(project.views[0].schema.as_deref(), Some("audit"));
    assert_eq!((project.views[1].schema.as_deref(), project.views[1].name.as_str()), (None, "helper"));
}

#[test]
fn declared_columns_and_options_of_a_snapshot_table_are_read() {
    let project = from_text(&format!(
        "{HEAD}{LAKE}
CREATE EXTERNAL TABLE snapshot.planes (Tailnum TEXT NOT NULL, \"Year\" SMALLINT, at TIMESTAMP, cost DECIMAL(10, 2))
STORED AS CSV LOCATION ('s3://b/planes/*.csv.gz', 's3://b/more.json')
OPTIONS (has_header false, 'format.delimiter' '\\t', format.compression 'GZIP', FORMAT.null_regex '^(NA)?$',
  format.schema_infer_max_rec 100, format.newlines_in_values true, format.quote '''');
CREATE EXTERNAL TABLE snapshot.airports STORED AS NDJSON LOCATION 'airports' OPTIONS (compression zstd)"
    ))
    .unwrap();
    let planes = project.snapshot("planes").unwrap();
    let fields: Vec<String> = planes
        .declared
        .iter()
        .flat_map(|schema| schema.fields())
        .map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    assert_eq!(
        fields,
        ["tailnum Utf8View false", "Year Int16 true", "at Timestamp(µs) true", "cost Decimal128(10, 2) true"]
    );
    let text = TextOptions { compression: Some(Compression::Gzip), infer_records: Some(100), ..TextOptions::default() };
    let csv = CsvOptions {
        has_header: false,
        delimiter: b'\t',
        quote: Some(b'\''),
        null_regex: Some("^(NA)?$".to_owned()),
        text,
        ..CsvOptions::default()
    };
    assert_eq!(planes.format, FileFormat::Csv(csv));
    assert_eq!(planes.locations.len(), 2);
    let airports = project.snapshot("airports").unwrap();
    let text = TextOptions { compression: Some(Compression::Zstd), ..TextOptions::default() };
    assert_eq!(
        (airports.format.name(), &airports.format),
        ("JSON", &FileFormat::Json(JsonOptions { text, ..JsonOptions::default() }))
    );
}

#[test]
fn wrong_settings_are_reported_at_their_place() {
    let reported = [
        "",
        "SET snaplake.databse = 'x';",
        "SET datafusion.execution.batch_size = 1;",
        "SET database = 'x';",
        "SET snaplake.database = 'a';\nSET snaplake.database = 'b';",
        "SET snaplake.database = 'a'; SET snaplake.snapshot_time = '2013-12-31'; SET snaplake.staging = 'a'; SET snaplake.datalake = 'b';",
        "SET snaplake.database = '..'; SET snaplake.snapshot_time = '2013-12-31T00:00:00Z'; SET snaplake.staging = 'a'; SET snaplake.datalake = 'b';",
        "SET snaplake.database = 'a'; SET snaplake.snapshot_time = '2013-12-31T00:00:00Z'; SET snaplake.staging = 'ftp://x/y'; SET snaplake.datalake = 'b';",
        &format!("{HEAD}SET snaplake.min_file_size = 'big'; {LAKE}"),
        &format!("{HEAD}SET snaplake.compression_level = 23; {LAKE}"),
        &format!("{HEAD}SET snaplake.task_timeout = 5; {LAKE}"),
        &format!("{HEAD}SET snaplake.task_timeout = '0s'; {LAKE}"),
        &format!("{HEAD}SET snaplake.s3_endpoint = 'http://localhost:9000'; {LAKE}"),
        &format!("{HEAD}SET snaplake.s3_endpoint = 'https://key:secret@minio/x'; {LAKE}"),
        HEAD,
    ]
    .map(refused)
    .join("\n");
    insta::assert_snapshot!(reported, @"
    a.sql:1:1: snaplake.database is not set
    a.sql:1:5: unknown setting 'snaplake.databse'; did you mean 'snaplake.database'?
    a.sql:1:5: unknown setting 'datafusion.execution.batch_size'
    a.sql:1:5: unknown setting 'database'; did you mean 'snaplake.database'?
    a.sql:2:5: setting 'snaplake.database' is defined twice; the first is at a.sql:1:5
    a.sql:1:59: invalid value '2013-12-31' for snaplake.snapshot_time: expected RFC 3339 with a zone, such as '2013-12-31T23:59:59Z'
    a.sql:1:25: expected a name, found '..'
    a.sql:1:106: 'ftp://x/y' is not a location: its scheme is not one of s3://, gs://, az://, file://
    a.sql:4:30: invalid value 'big' for snaplake.min_file_size: expected a size such as '128MB', '128MiB' or a number of bytes
    a.sql:4:34: invalid value '23' for snaplake.compression_level: expected a level of zstd from 1 to 22
    a.sql:4:29: invalid value '5' for snaplake.task_timeout: expected a time such as '90s', '30m', '2h' or '1d'
    a.sql:4:29: invalid value '0s' for snaplake.task_timeout: expected a time such as '90s', '30m', '2h' or '1d'
    a.sql:4:28: invalid value 'http://localhost:9000' for snaplake.s3_endpoint: expected an https:// URL, or an http:// URL together with SET snaplake.s3_allow_http = true
    a.sql:4:28: invalid value 'https://***@minio/x' for snaplake.s3_endpoint: expected a URL without credentials, which come from the environment
    a.sql:1:1: the config defines no lake table
    ");
}

#[test]
fn wrong_tables_are_reported_at_their_place() {
    let lake = |with: &str| format!("{HEAD}CREATE TABLE lake.f WITH (\n  {with}) AS SELECT 1 AS x");
    let reported = [
        &lake("partiitoned_by = ARRAY['a']"),
        &lake("format = 'ORC'"),
        &lake("format = ARRAY['PARQUET']"),
        &lake("format = 'PARQUET', format = 'PARQUET'"),
        &lake("bucketed_by = ARRAY['a'], bucket_count = 4"),
        &lake("partitioned_by = ARRAY['a', 'b', 'A']"),
        &lake("partitioned_by = ARRAY['month(ts)']"),
        &lake("sorted_by = ARRAY['a DSC']"),
        &lake("target_file_size = '12 parsecs'"),
        &lake("target_file_size = '100MB', min_file_size = '200MB'"),
        &lake("max_file_size = '1MB'"),
        &lake("file_group_size = 'none'"),
        &lake("write_compression = 'brotli'"),
        &lake("write_compression = 'snappy', compression_level = 3"),
        &lake("external_location = 's3:///x'"),
        &lake("external_location = '../target/staging/nyc'"),
        &lake("external_location = '../data'"),
        &lake("external_location = 's3://key:secret@bucket/x'"),
        &format!("{HEAD}CREATE EXTERNAL TABLE snapshot.x STORED AS CSV LOCATION '../target'; {LAKE}"),
        &format!("{HEAD}CREATE TABLE f AS SELECT 1"),
        &format!("{HEAD}CREATE TABLE snapshot.f AS SELECT 1"),
        &format!("{HEAD}{LAKE}\nCREATE TABLE lake.FLIGHTS AS SELECT 1"),
        &format!("{HEAD}{LAKE}\nCREATE TABLE lake.g WITH (external_location = 's3://bucket/lake') AS SELECT 1"),
        &format!("{HEAD}{LAKE}\nCREATE VIEW staging.v AS SELECT 1"),
        &format!("{HEAD}{LAKE}\nCREATE VIEW v AS SELECT 1; CREATE VIEW V AS SELECT 1"),
    ]
    .map(|text| refused(text))
    .join("\n");
    insta::assert_snapshot!(reported, @"
    a.sql:5:3: unknown property 'partiitoned_by'; did you mean 'partitioned_by'?
    a.sql:5:12: invalid value 'ORC' for format: expected 'PARQUET' or 'ICEBERG'
    a.sql:5:3: format takes one value, not an array
    a.sql:5:23: property 'format' is defined twice; the first is at a.sql:5:3
    a.sql:5:3: 'bucketed_by' is not supported: snaplake does not bucket
    a.sql:5:36: column 'a' is defined twice; the first is at a.sql:5:26
    a.sql:5:26: invalid value 'month(ts)' for partitioned_by: expected a column name; compute it in the SELECT, such as month(d) AS month
    a.sql:5:21: invalid value 'a DSC' for sorted_by: expected a column with ASC or DESC and NULLS FIRST or LAST, such as 'time_hour DESC'
    a.sql:5:22: invalid value '12 parsecs' for target_file_size: expected a size such as '128MB', '128MiB' or a number of bytes
    a.sql:5:47: lake.f needs min_file_size <= target_file_size <= max_file_size, but they are 200MB, 100MB and 180MB
    a.sql:5:19: lake.f needs min_file_size <= target_file_size <= max_file_size, but they are 96MB, 128MB and 1MB
    a.sql:5:21: invalid value 'none' for file_group_size: expected a size such as '128MB' or '1GiB', or 'all'
    a.sql:5:23: invalid value 'brotli' for write_compression: expected 'zstd', 'snappy', 'gzip', 'lz4' or 'uncompressed'
    a.sql:5:53: invalid value '3' for compression_level: expected no level, since only zstd and gzip have levels
    a.sql:5:23: 's3:///x' is not a location: it names no bucket
    a.sql:4:1: lake.f would be published to /repo/target/staging/nyc, which overlaps the staging folder /repo/target/staging/nyc/f/snapshot=2013-12-31T23:59:59Z
    a.sql:4:1: lake.f would be published to /repo/data, which overlaps snapshot.flights at /repo/data/flights/
    a.sql:5:23: 's3://***@bucket/x' is not a location: write credentials into the environment, not into a URL
    a.sql:4:70: lake.flights would be staged in /repo/target/staging/nyc/flights/snapshot=2013-12-31T23:59:59Z, which overlaps snapshot.x at /repo/target
    a.sql:4:14: CREATE TABLE ... AS SELECT must name a table in schema lake
    a.sql:4:14: CREATE TABLE ... AS SELECT must name a table in schema lake
    a.sql:5:1: table 'lake.flights' is defined twice; the first is at a.sql:4:1
    a.sql:5:1: lake.g would be published to s3://bucket/lake, which overlaps the location of lake.flights
    a.sql:5:13: a view in another schema than audit is not supported here: write CREATE VIEW audit.name for an audit, or CREATE VIEW name for a helper
    a.sql:5:28: view 'v' is defined twice; the first is at a.sql:5:1
    ");
}

#[test]
fn options_of_quotes_escapes_and_null_depend_on_one_another() {
    let csv = |options: &str| {
        let table = format!("CREATE EXTERNAL TABLE snapshot.x STORED AS CSV LOCATION 'x' OPTIONS ({options});");
        match from_text(&format!("{HEAD}{LAKE}{table}")).unwrap().snapshot("x").unwrap().format.clone() {
            FileFormat::Csv(csv) => csv,
            other => panic!("{other:?}"),
        }
    };
    let default = CsvOptions::default();
    assert_eq!(csv("quote ''"), CsvOptions { quote: None, ..default.clone() });
    assert_eq!(csv("escape '\"'"), default);
    let escape = Some(b'\\');
    assert_eq!(csv("escape '\\'"), CsvOptions { escape, escape_sequences: true, ..default.clone() });
    assert_eq!(csv("escape_sequences false, escape '\\'"), CsvOptions { escape, ..default.clone() });
    assert_eq!(csv("escape '^'"), CsvOptions { escape: Some(b'^'), ..default.clone() });
    let force_null = ColumnSet::Columns(vec!["a".to_owned(), "B".to_owned()]);
    assert_eq!(csv("lax_quotes true, force_null 'a, \"B\"'"), CsvOptions { lax_quotes: true, force_null, ..default });
}

#[test]
fn address_of_a_running_database_is_of_its_kind_and_without_a_password() {
    for (stored_as, location, reason) in [
        ("MYSQL", "mysql://u:geheim@h/d", "write the password into ~/.my.cnf or MYSQL_PWD, not into a URL"),
        ("MYSQL", "mariadb://u@h/d?password=geheim", "write the password into ~/.my.cnf or MYSQL_PWD, not into a URL"),
        ("MYSQL", "postgres://u@h/d", "its scheme is not mysql:// or mariadb://"),
        ("MYSQL", "exports/shop/", "it is no URL such as mysql://user@host:3306/database"),
        ("POSTGRES", "postgres://u:geheim@h/d", "write the password into PGPASSWORD or ~/.pgpass, not into a URL"),
        ("POSTGRES", "mysql://u@h/d", "its scheme is not postgres://"),
    ] {
        let table = format!("CREATE EXTERNAL TABLE snapshot.flights STORED AS {stored_as} LOCATION '{location}'");
        let error = refused(&format!("{table};\n{HEAD}{LAKE}"));
        assert!(error.contains(reason) && !error.contains("geheim"), "{error}");
    }
}

#[test]
fn wrong_snapshot_tables_are_reported_at_their_place() {
    let table = |name: &str, rest: &str| refused(&format!("CREATE EXTERNAL TABLE {name} {rest};\n{HEAD}{LAKE}"));
    let reported = [
        table("flights", "STORED AS CSV LOCATION 'x'"),
        table("lake.x", "STORED AS CSV LOCATION 'x'"),
        table("snapshot.x", "STORED AS ORC LOCATION 'x'"),
        table("snapshot.x", "STORED AS CSV LOCATION ''"),
        table("snapshot.x", "STORED AS CSV LOCATION ('a', './a')"),
        table("snapshot.x", "STORED AS CSV PARTITIONED BY (a) LOCATION 'x'"),
        table("snapshot.x", "STORED AS CSV WITH ORDER (a) LOCATION 'x'"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (has_heder true)"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (format.delimter ';')"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (delimiter ';;')"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (null_regex '(')"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (delimiter ';', format.delimiter ',')"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (delimiter '\"')"),
        table("snapshot.x", "STORED AS CSV LOCATION 'x' OPTIONS (quote '~', comment '~')"),
        table("snapshot.x (a INT)", "STORED AS CSV LOCATION 'x' OPTIONS (force_null 'a b')"),
        table("snapshot.x (a INT)", "STORED AS CSV LOCATION 'x' OPTIONS (force_null 'a, b')"),
        table("snapshot.x", "STORED AS PARQUET LOCATION 'x' OPTIONS (compression gzip)"),
        table("snapshot.x", "STORED AS JSON LOCATION 'x' OPTIONS (delimiter ';')"),
        table("snapshot.x (a INT, b GEOMETRY)", "STORED AS CSV LOCATION 'x'"),
        table("snapshot.x (a INT, A INT)", "STORED AS CSV LOCATION 'x'"),
        table("snapshot.flights", "STORED AS CSV LOCATION 'x'"),
    ]
    .join("\n");
    insta::assert_snapshot!(reported, @r#"
    a.sql:1:23: CREATE EXTERNAL TABLE must name a table in schema snapshot
    a.sql:1:23: CREATE EXTERNAL TABLE must name a table in schema snapshot
    a.sql:1:44: invalid value 'ORC' for STORED AS: expected PARQUET, CSV, JSON, AVRO, ARROW, BSON, PG_BINARY, RDS_EXPORT, DYNAMODB_EXPORT, PG_DUMP, MYSQL_DUMP, MONGODB_DUMP, REDSHIFT_UNLOAD, DMS_EXPORT, POSTGRES or MYSQL
    a.sql:1:57: '' is not a location: it is empty
    a.sql:1:63: location './a' is defined twice; the first is at a.sql:1:58
    a.sql:1:48: PARTITIONED BY column a has no type; write PARTITIONED BY (a INT)
    a.sql:1:48: WITH ORDER is not supported here: a snapshot has no order; sort the lake with WITH (sorted_by = ARRAY[...])
    a.sql:1:70: unknown option 'has_heder'; did you mean 'has_header'?
    a.sql:1:70: unknown option 'format.delimter'; did you mean 'format.delimiter'?
    a.sql:1:80: invalid value ';;' for format.delimiter: expected one ASCII character, such as ';' or '\t'
    a.sql:1:81: invalid value '(' for format.null_regex: expected a regular expression, such as '^(NA)?$'
    a.sql:1:85: option 'format.delimiter' is defined twice; the first is at a.sql:1:70
    a.sql:1:80: invalid value '"' for format.quote: expected a character of its own: delimiter, quote, escape, comment and line ends must differ
    a.sql:1:89: invalid value '~' for format.comment: expected a character of its own: delimiter, quote, escape, comment and line ends must differ
    a.sql:1:89: invalid value 'a b' for format.force_null: expected true, false, or names of columns, such as 'id, day'
    a.sql:1:1: force_null names the column b, which is not declared
    a.sql:1:74: option 'format.compression' does not apply to STORED AS PARQUET
    a.sql:1:71: option 'format.delimiter' does not apply to STORED AS JSON
    a.sql:1:42: column b: unsupported SQL type GEOMETRY
    a.sql:1:42: column A is declared twice
    a.sql:4:1: table 'snapshot.flights' is defined twice; the first is at a.sql:1:1
    "#);
}

fn load_from(folder: &Path, variables: &Variables) -> Result<Project> {
    load(&folder.join("configs/nyc.sql"), variables)
}

#[test]
fn model_files_are_read_by_name_with_paths_of_their_own_and_without_the_config_itself() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("configs/sql")).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("configs/nyc.sql", &format!("{HEAD}SET snaplake.models = '${{models:-../configs/**/*.sql}}';"));
    write("configs/sql/b.sql", "CREATE TABLE lake.b WITH (external_location = 'out/b') AS SELECT 1 AS x");
    write("configs/sql/a.sql", "\u{feff}CREATE TABLE lake.a AS SELECT 1 AS x");
    write("configs/sql/.#a.sql", "not sql");
    let mut project = load_from(folder.path(), &Variables::default()).unwrap();
    let names: Vec<&str> = project.lakes.iter().map(|lake| lake.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(&*project.lakes[0].at.file, folder.path().join("configs/sql/a.sql").to_str().unwrap());
    assert!(project.lakes[1].external_location.as_ref().unwrap().uri().ends_with("/configs/sql/out/b"));

    let error = project.select_tables(&["lake.c".to_owned()]).unwrap_err().to_string();
    assert!(error.ends_with("nyc.sql:1:1: the config has no table lake.c; did you mean 'a'?"), "{error}");
    project.select_tables(&["lake.b".to_owned()]).unwrap();
    assert_eq!(project.lakes.len(), 1);

    let named = BTreeMap::from([("models".to_owned(), "none/*.sql".to_owned())]);
    let error = load_from(folder.path(), &Variables { named, environment: |_| None }).unwrap_err().to_string();
    assert!(error.contains("nyc.sql:4:23: no model file matches '"), "{error}");
}

#[test]
fn files_that_are_missing_or_not_text_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(load_from(folder.path(), &Variables::default()), Err(Error::ReadConfig { .. })));
    fs::create_dir_all(folder.path().join("configs")).unwrap();
    fs::write(folder.path().join("configs/nyc.sql"), b"SET \xff").unwrap();
    assert!(matches!(load_from(folder.path(), &Variables::default()), Err(Error::NotUtf8 { offset: 4, .. })));
}
