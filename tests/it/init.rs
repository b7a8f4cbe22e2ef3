//! `snaplake init`: an unknown folder becomes a config that runs unchanged, and gives the rows that the files hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use object_store::{ObjectStore, ObjectStoreExt};
use regex::Regex;

use crate::support::s3_server::Server;
use crate::support::{Run, Work};

const TIME: [&str; 2] = ["--snapshot-time", "2026-01-31T00:00:00Z"];

/// A folder without a config.
fn empty() -> Work {
    let project = Work::config("");
    fs::remove_file(project.path("config.sql")).unwrap();
    project
}

#[track_caller]
fn ok(outcome: Run) -> Run {
    assert_eq!(outcome.code, 0, "{}\n{}", outcome.stdout, outcome.stderr);
    outcome
}

/// The config is written, and the location has files that may have rows and are of no table.
#[track_caller]
fn init_but_for_some(project: &Work, location: &str) -> Run {
    project.run(&["init", location, "-o", "configs/x.sql"]).failed(5, &["are of no table in the config", "help:"])
}

#[track_caller]
fn init(project: &Work, location: &str) -> Run {
    ok(project.run(&["init", location, "-o", "configs/x.sql"]))
}

/// Rows as CSV, without the header.
#[track_caller]
fn rows(project: &Work, sql: &str) -> String {
    let found = ok(project.run(&["query", "configs/x.sql", "--format", "csv", "-c", sql]));
    found.stdout.split_once('\n').map(|(_, rows)| rows.trim_end().to_owned()).unwrap_or_default()
}

/// What init wrote, by name.
fn written(project: &Work) -> BTreeMap<String, String> {
    let files = [project.paths("configs"), project.paths("sql")].concat();
    files.into_iter().map(|name| (name.clone(), fs::read_to_string(project.path(&name)).unwrap())).collect()
}

/// Tables that init proposes.
fn tables(project: &Work) -> Vec<String> {
    let names = project.paths("sql/x");
    names.iter().map(|name| name.trim_start_matches("sql/x/").trim_end_matches(".sql").to_owned()).collect()
}

/// Runs the config as it is, and compares each lake table that is its snapshot table with it.
#[track_caller]
fn run_and_compare(project: &Work, same: &[&str]) {
    ok(project.run(&["run", "configs/x.sql"]));
    for table in same {
        let differ = |one: &str, other: &str| {
            let sql = format!(
                "SELECT count(*) FROM (SELECT * FROM {one}.\"{table}\" EXCEPT ALL SELECT * FROM {other}.\"{table}\")"
            );
            rows(project, &sql)
        };
        assert_eq!((differ("snapshot", "lake"), differ("lake", "snapshot")), ("0".into(), "0".into()), "{table}");
    }
}

fn nycflights13() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nycflights13").to_str().unwrap().to_owned()
}

#[test]
fn nycflights13_is_found_and_runs_and_reads_well() {
    let (project, location) = (empty(), nycflights13());
    let arguments = ["init", &location, "-o", "configs/x.sql", TIME[0], TIME[1]];
    let reported = ok(project.run(&arguments));
    assert_eq!(tables(&project), ["airlines", "airports", "flights", "planes", "weather"]);
    run_and_compare(&project, &["airlines", "airports", "flights", "planes", "weather"]);
    assert_eq!(rows(&project, "SELECT count(*), sum(distance) FROM lake.flights"), "336776,350217607");

    let first = written(&project);
    let path = Regex::new(r"(/|\.\./)[^ '}]*tests/data/nycflights13").unwrap();
    let masked = |text: &str| path.replace_all(text, "[data]").into_owned();
    insta::assert_snapshot!(
        "nycflights13_reported",
        masked(&format!("{}--- standard error\n{}", reported.stdout, reported.stderr))
    );
    for name in ["configs/x.sql", "sql/x/flights.sql", "sql/x/airports.sql", "sql/x/weather.sql"] {
        let snapshot = format!("nycflights13_{}", name.rsplit('/').next().unwrap().trim_end_matches(".sql"));
        insta::assert_snapshot!(snapshot, masked(&first[name]));
    }
    ok(project.run(&[arguments.as_slice(), &["--force"]].concat()));
    assert_eq!(written(&project), first, "the same input gives other bytes");
}

const EXPORT_INFO: &str =
    r#"{"exportTaskIdentifier":"exp-1","snapshotTime":"2024-01-31 05:06:07.891 UTC","status":"COMPLETE"}"#;

fn original(columns: &[(&str, &str, &str)]) -> String {
    let column = |(name, original, exported): &(&str, &str, &str)| {
        format!(r#"{{"columnName":"{name}","originalType":"{original}","expectedExportedType":"{exported}"}}"#)
    };
    columns.iter().map(column).collect::<Vec<_>>().join(",")
}

fn rds_export() -> Work {
    let part = |number: usize| format!("part-0000{number}-5f0e1c3a-9d1e-beef-cafe-0123456789a{number}-c000.gz.parquet");
    let orders = original(&[
        ("id", "bigint", "int64"),
        ("price", "numeric", "binary (UTF8)"),
        ("created_at", "timestamp with time zone", "binary (UTF8)"),
        ("code", "character", "binary"),
    ]);
    let empty_columns = original(&[("id", "bigint", "int64"), ("at", "timestamp", "int64 (TIMESTAMP_MICRO)")]);
    let table = |target: &str, columns: &str| {
        format!(
            r#"{{"target":"{target}","status":"COMPLETE","schemaMetadata":{{"originalTypeMappings":[{columns}]}}}}"#
        )
    };
    let tables = [
        table("shop.public.orders", &orders),
        table("shop.public.Empty One", &empty_columns),
        r#"{"target":"shop.audit.log","status":"COMPLETE","warningMessage":"a row was too large"}"#.to_owned(),
        table("shop.audit.gone", ""),
    ];
    let orders = |number: usize, from: usize| {
        format!(
            "COPY (SELECT value AS id, (value / 4.0)::VARCHAR AS price, '2024-01-0' || (value % 9 + 1)::VARCHAR || ' 10:00:00+00' \
             AS created_at, arrow_cast('c' || (value % 3)::VARCHAR, 'Binary') AS code FROM generate_series({from}, {}) AS t(value)) \
             TO 'rds/exp-1/shop/public.orders/{number}/{}' STORED AS PARQUET",
            from + 99,
            part(number)
        )
    };
    let log = |file: usize| {
        format!("COPY (SELECT {file} AS n, 'x' AS line) TO 'rds/exp-1/shop/audit.log/{}' STORED AS PARQUET", part(file))
    };
    empty()
        .file("rds/exp-1/export_info_exp-1.json", EXPORT_INFO)
        .file(
            "rds/exp-1/export_tables_info_exp-1_from_1_to_4.json",
            format!(r#"{{"perTableStatus":[{}]}}"#, tables.join(",")),
        )
        .file("rds/exp-1/shop/public.orders/1/_SUCCESS", "")
        .file("rds/exp-1/shop/public.orders/2/_SUCCESS", "")
        .file("rds/exp-1/shop/public.Empty_One/1/_SUCCESS", "")
        .file("rds/exp-1/shop/audit.gone/_SUCCESS", "")
        .file("rds/exp-1/shop/audit.log/_SUCCESS", "")
        .copy(&orders(1, 1))
        .copy(&orders(2, 101))
        .copy(&log(1))
        .copy(&log(2))
}

#[test]
fn rds_export_is_known_by_its_metadata_and_empty_tables_have_columns() {
    let project = rds_export();
    let reported = init(&project, "rds");
    assert_eq!(tables(&project), ["empty_one", "log", "orders"]);
    assert!(reported.stdout.contains("audit.gone") && reported.stdout.contains("does not tell"), "{}", reported.stdout);
    run_and_compare(&project, &["empty_one", "log", "orders"]);
    assert_eq!(rows(&project, "SELECT count(*), min(id), max(id) FROM lake.orders"), "200,1,200");
    assert_eq!(rows(&project, "SELECT count(*) FROM lake.empty_one"), "0");
    let written = written(&project);
    let config = &written["configs/x.sql"];
    for text in [
        "SET snaplake.database      = 'shop';",
        "'2024-01-31T05:06:07Z';  -- from the export",
        "STORED AS RDS_EXPORT\nLOCATION '${snapshot:-../rds}/exp-1/'\nOPTIONS ('table' 'shop.public.orders');",
        "-- The export warns: a row was too large",
    ] {
        assert!(config.contains(text), "no {text} in {config}");
    }
    insta::assert_snapshot!("rds_orders", written["sql/x/orders.sql"]);
}

#[test]
fn rds_export_that_is_not_complete_is_no_table_and_its_reason_is_shown() {
    let project = rds_export();
    project.write("rds/exp-1/export_info_exp-1.json", &EXPORT_INFO.replace("COMPLETE", "FAILED"));
    let run = project.run(&["init", "rds", "-o", "configs/x.sql"]);
    run.failed(1, &["export_info_exp-1.json has the status FAILED, not COMPLETE"]);
    assert!(!project.path("configs/x.sql").exists());
}

#[test]
fn table_of_an_rds_export_whose_files_cannot_be_read_is_refused_with_the_file() {
    let project = rds_export();
    for number in [1, 2] {
        let file = project.path(&format!("rds/exp-1/shop/public.orders/{number}"));
        let file = fs::read_dir(file)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.is_file() && !path.ends_with("_SUCCESS"));
        let file = file.unwrap();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    }
    let run = project.run(&["init", "rds", "-o", "configs/x.sql"]);
    run.failed(
        1,
        &["shop.public.orders, which the export lists, cannot be read", "public.orders/1/part-00001", "help:"],
    );
    assert!(!project.path("configs/x.sql").exists());
}

fn dynamo_export() -> Work {
    let folder = "AWSDynamoDB/01706659200000-a1b2c3d4";
    let item = |n: usize| {
        let mixed = if n.is_multiple_of(2) { format!(r#"{{"N":"{n}"}}"#) } else { format!(r#"{{"S":"s{n}"}}"#) };
        format!(
            "{{\"Item\":{{\"pk\":{{\"S\":\"k{n}\"}},\"price\":{{\"N\":\"{n}.25\"}},\"count\":{{\"N\":\"{n}\"}},\"mixed\":{mixed},\
             \"tags\":{{\"SS\":[\"a\",\"b\"]}},\"at\":{{\"M\":{{\"zip code\":{{\"S\":\"0{n}\"}}}}}},\"ok\":{{\"BOOL\":true}}}}}}\n"
        )
    };
    let summary = r#"{"version":"2020-06-30","tableArn":"arn:aws:dynamodb:eu-west-1:1:table/Shop.Orders",
        "exportTime":"2024-01-31T00:00:00.123Z","itemCount":20,"outputFormat":"DYNAMODB_JSON",
        "manifestFilesS3Key":"AWSDynamoDB/01706659200000-a1b2c3d4/manifest-files.json"}"#;
    let work = empty()
        .file(&format!("export/{folder}/_started"), "")
        .file(&format!("export/{folder}/manifest-summary.json"), summary)
        .gzip(
            &format!("export/{folder}/data/ajqzu7adbm4jzcuotgvmvpk7p4.json.gz"),
            (0..10).map(item).collect::<String>(),
        )
        .gzip(
            &format!("export/{folder}/data/bbqzu7adbm4jzcuotgvmvpk7p4.json.gz"),
            (10..20).map(item).collect::<String>(),
        )
        .gzip(&format!("export/{folder}/data/ccqzu7adbm4jzcuotgvmvpk7p4.json.gz"), "");
    let sum = |path: &str| STANDARD.encode(Md5::digest(fs::read(work.path(path)).unwrap()));
    let line = |(name, items): (&str, u64)| {
        let (key, path) = (format!("{folder}/data/{name}.json.gz"), format!("export/{folder}/data/{name}.json.gz"));
        format!("{{\"itemCount\":{items},\"md5Checksum\":\"{}\",\"dataFileS3Key\":\"{key}\"}}\n", sum(&path))
    };
    let files =
        [("ajqzu7adbm4jzcuotgvmvpk7p4", 10), ("bbqzu7adbm4jzcuotgvmvpk7p4", 10), ("ccqzu7adbm4jzcuotgvmvpk7p4", 0)];
    work.write(&format!("export/{folder}/manifest-files.json"), &files.map(line).concat());
    for name in ["summary", "files"] {
        let sum = sum(&format!("export/{folder}/manifest-{name}.json"));
        work.write(&format!("export/{folder}/manifest-{name}.md5"), &sum);
    }
    work
}

#[test]
fn dynamodb_export_with_a_changed_or_missing_file_is_refused_and_nothing_is_published() {
    let data = "export/AWSDynamoDB/01706659200000-a1b2c3d4/data/ajqzu7adbm4jzcuotgvmvpk7p4.json.gz";
    let work = dynamo_export();
    init(&work, "export");
    let whole = fs::read(work.path(data)).unwrap();
    let mut changed = whole.clone();
    // A byte of the gzip header that no reader looks at.
    changed[9] ^= 1;
    fs::write(work.path(data), changed).unwrap();
    work.run(&["run", "configs/x.sql"]).failed(1, &["has the MD5", "ajqzu7adbm4jzcuotgvmvpk7p4"]);
    fs::remove_file(work.path(data)).unwrap();
    work.run(&["run", "configs/x.sql", "--replan"]).failed(1, &["manifest-files.json lists", "not there"]);
    assert!(!work.path("out").join("x/datalake").exists());
}

#[test]
fn dynamodb_export_is_unwrapped() {
    let project = dynamo_export();
    init(&project, "export");
    assert_eq!(tables(&project), ["shop_orders"]);
    run_and_compare(&project, &[]);
    let sql = "SELECT count(*), sum(price), sum(count), min(mixed), max(mixed), max(\"at\"['zip code']), min(tags[2]) FROM lake.shop_orders";
    assert_eq!(rows(&project, sql), "20,195.0000000000,190,0,s9,09,b");
    let written = written(&project);
    assert!(written["configs/x.sql"].contains("'2024-01-31T00:00:00Z';  -- from the export"));
    insta::assert_snapshot!("dynamo_orders", written["sql/x/shop_orders.sql"]);
}

fn messy() -> Work {
    let events: String = (0..50)
        .map(|n| format!("{{\"id\":{n},\"kind\":\"k{}\",\"v\":{}}}\n", n % 3, if n == 7 { "\"x\"" } else { "1.5" }))
        .collect();
    empty()
        .file("in/customers.csv", "id,Full Name,zip\n1,Ann,01234\n2,\"Bo, jr.\",94110\n")
        .file("in/orders_2024-01.csv", "order;total\n1;2,5\n2;N/A\n")
        .file("in/orders_2024-02.csv", "order;total\n3;7,5\n")
        .file("in/events.ndjson", &events)
        .copy("COPY (SELECT 1 AS a, 'x' AS \"B b\") TO 'in/things.parquet' STORED AS PARQUET")
        .gzip("in/packed/part-1", "a\tb\n1\tNA\nNA\t2\n")
        .gzip("in/packed/part-2", "a\tb\n3\t4\n")
        .file("in/Strange [x]/One.Two Ünï.csv", "k|v\n'a|b'|'1'\n'c'|'2'\n")
        .file("in/logs/dt=2024-01-01/a.json", "{\"n\":1}\n")
        .file("in/logs/dt=2024-01-02/b.json", "{\"n\":2,\"m\":{\"x\":[1]}}\n")
        .file("in/lies/data.csv", "{\"j\":1}\n{\"j\":2}\n")
        .file("in/select/table.csv", "from,where\n1,2\n")
        .file("in/README.txt", "These, are\nthe files\n")
        .file("in/shop.xml", "<?xml version=\"1.0\"?>\n<mysqldump><row/></mysqldump>\n")
        .file("in/rows.sql", "INSERT INTO t VALUES (1);\n")
        .file("in/schema.sql", "CREATE TABLE t (a int);\n")
        .file("in/array.json", "[{\"a\":1}]")
        .file("in/report.csv", "a,b\n1\n")
        .file("in/book.xlsx", b"PK\x03\x04....")
        .file("in/empty.csv", "")
}

#[test]
fn messy_folder_gives_what_is_a_table_and_says_what_is_not() {
    let project = messy();
    let reported = init_but_for_some(&project, "in");
    let found = ["customers", "events", "lies", "logs", "orders", "packed", "select", "strange_x", "things"];
    assert_eq!(tables(&project), found, "{}\n{}", reported.stdout, written(&project)["configs/x.sql"]);
    run_and_compare(&project, &found);
    for (sql, expected) in [
        ("SELECT count(*), min(zip) FROM lake.customers", "2,01234"),
        ("SELECT count(*), min(v) FROM lake.events", "50,1.5"),
        ("SELECT sum(\"order\"), count(total) FROM lake.orders", "6,3"),
        ("SELECT sum(a), sum(b) FROM lake.packed", "4,6"),
        ("SELECT max(v), min(k) FROM lake.strange_x", "2,a|b"),
        ("SELECT sum(n), max(m['x'][1]) FROM lake.logs", "3,1"),
        ("SELECT sum(j) FROM lake.lies", "3"),
        ("SELECT \"from\" FROM lake.\"select\"", "1"),
    ] {
        assert_eq!(rows(&project, sql), expected, "{sql}");
    }
    for (name, reason) in [
        ("ignored README.txt", "a document"),
        ("ignored schema.sql", "code or settings"),
        ("not read shop.xml", "dump with mysqldump without --xml"),
        ("not read rows.sql", "SQL statements with rows"),
        ("not read array.json", "a JSON array"),
        ("report.csv", "records differ"),
        ("book.xlsx", "Excel"),
        ("empty.csv", "no bytes"),
    ] {
        let line =
            reported.stdout.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{}", reported.stdout));
        assert!(line.contains(reason), "{line}");
    }
    assert!(
        written(&project)["configs/x.sql"].contains("PARTITIONED BY (dt DATE)"),
        "{}",
        written(&project)["configs/x.sql"]
    );
}

#[test]
fn files_of_one_folder_with_other_columns_are_other_tables_though_their_names_are_alike() {
    let project = empty()
        .file("export/items_sold.csv", "id,sku\n1,a\n2,b\n")
        .file("export/items_bought.csv", "nr,price\n1,2.5\n2,3.5\n");
    init(&project, "export");
    assert_eq!(tables(&project), ["items_bought", "items_sold"]);
}

#[test]
fn a_large_table_is_partitioned_by_year_and_runs() {
    let project = empty().copy(
        "COPY (SELECT value AS id, to_timestamp_seconds(1600000000 + value * 100) AS ordered_at, \
         md5(value::VARCHAR) || md5((value + 1)::VARCHAR) AS note FROM generate_series(1, 400000) AS t(value)) \
         TO 'in/orders/part-0.parquet' STORED AS PARQUET OPTIONS (compression 'uncompressed')",
    );
    init(&project, "in");
    let model = &written(&project)["sql/x/orders.sql"];
    for text in
        ["partitioned_by = ARRAY['year'],", "sorted_by      = ARRAY['ordered_at', 'id']", "  year(ordered_at) AS year,"]
    {
        assert!(model.contains(text), "no {text} in {model}");
    }
    run_and_compare(&project, &[]);
    let sql = "SELECT year, count(*), min(id), max(id) FROM lake.orders GROUP BY year ORDER BY year";
    assert_eq!(rows(&project, sql), "2020,94591,1,94591\n2021,305409,94592,400000");
}

#[test]
fn a_location_may_be_one_file_or_a_manifest_or_hold_the_config() {
    let project = empty().file("data/orders.csv", "id,day\n1,mon\n2,tue\n");
    init(&project, "data/orders.csv");
    run_and_compare(&project, &["orders"]);

    let project = empty().file("orders.csv", "id,day\n1,mon\n").file("customers.csv", "name,city\nx,y\n");
    ok(project.run(&["init", ".", "-o", "x.sql"]));
    let out = ok(project.run(&["plan", "x.sql", "--format", "json"])).stdout;
    assert!(!out.contains("[dir]/out"), "what is written lies in the snapshot: {out}");

    let project = empty().copy("COPY (SELECT 1 AS id) TO 'files/a.parquet' STORED AS PARQUET");
    let (uri, bytes) = (project.path("files/a.parquet"), fs::read(project.path("files/a.parquet")).unwrap());
    let list = format!(
        "COPY (SELECT 'file://{}' AS uri, '' AS etag, {}::BIGINT AS size, 1::BIGINT AS n_record) TO 'lists/manifest-data.parquet' STORED AS PARQUET",
        uri.display(),
        bytes.len()
    );
    let data = project.path("lists/manifest-data.parquet");
    let summary = format!(
        r#"{{"manifest":"file://{}","size":{},"n_record":1,"fingerprint":"x","details":{{}}}}"#,
        data.display(),
        bytes.len()
    );
    let project = project.copy(&list).file("lists/manifest-summary.json", summary);
    init(&project, ".");
    assert!(written(&project)["configs/x.sql"].contains("lists/manifest-summary.json'"));
    assert_eq!(project.paths("sql/x").len(), 1, "{:?}", written(&project));
    ok(project.run(&["plan", "configs/x.sql"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn prefix_on_s3_is_listed_once_and_runs_from_there() {
    let server = Server::of_test("init");
    let store = server.store();
    for file in 0..3 {
        let text: String = (0..50).map(|n| format!("{},d{}\n", file * 50 + n, n % 3)).collect();
        put(store.as_ref(), &format!("shop/orders/part-{file}.csv"), &format!("id,day\n{text}")).await;
    }
    put(store.as_ref(), "shop/customers/c.json", "{\"id\":1}\n").await;
    let project = empty();
    let run = |arguments: &[&str]| {
        let mut command = project.here(arguments);
        server.configure(&mut command);
        ok(project.masked(&command.output().unwrap()))
    };
    let url = format!("{}/shop", server.url());
    let reported = run(&["init", &url, "-o", "configs/x.sql", "--format", "json"]).stdout;
    let reported: serde_json::Value = serde_json::from_str(&reported).unwrap();
    // One HEAD of the location as an object, one LIST, a look at the start of each group, and four files.
    assert_eq!(reported["requests"]["sent"], 1 + 1 + 2 + 4, "{reported}");
    assert_eq!((&reported["database"], reported["tables"].as_array().unwrap().len()), (&"shop".into(), 2));
    run(&["run", "configs/x.sql"]);
    let sql = "SELECT count(*), count(DISTINCT id) FROM lake.orders";
    let found = run(&["query", "configs/x.sql", "--format", "csv", "-c", sql]).stdout;
    assert!(found.contains("\n150,150"), "{found}");
}

async fn put(store: &dyn ObjectStore, path: &str, text: &str) {
    store.put(&path.into(), text.to_owned().into()).await.unwrap();
}

#[test]
fn mistakes_are_reported_with_what_to_do_and_nothing_is_written() {
    let project = empty().file("in/a.csv", "id,x\n1,2\n").file("none/README.md", "x").file("bad/a.json", "[1]");
    fs::create_dir_all(project.path("hollow")).unwrap();
    let failed = |arguments: &[&str], code: i32, words: &[&str]| {
        let outcome = project.run(&[&["init"], arguments].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{}", outcome.stderr);
        for word in words {
            assert!(outcome.stderr.contains(word), "no '{word}' in {}", outcome.stderr);
        }
    };
    failed(&["hollow", "-o", "x.sql"], 1, &["[dir]/hollow: it holds no files"]);
    failed(&["nowhere", "-o", "x.sql"], 1, &["[dir]/nowhere: it does not exist"]);
    failed(&["none", "-o", "x.sql"], 1, &["README.md (a document)"]);
    failed(&["bad", "-o", "x.sql"], 1, &["a.json (a JSON array; write one object per line"]);
    failed(&["ftp://x/y", "-o", "x.sql"], 2, &["s3://, gs://, az://"]);
    failed(&["in", "-o", "configs"], 2, &["ends with .sql"]);
    failed(&["in"], 2, &["--output"]);
    failed(&["in", "-o", "x.sql", "--snapshot-time", "today"], 2, &["2026-01-31T00:00:00Z"]);
    failed(&["in", "-o", "x.sql", "--database", ""], 2, &["write a name"]);
    failed(&["in*", "-o", "x.sql"], 2, &["glob"]);
    assert!(!project.path("x.sql").exists() && !project.path("sql").exists());

    let project = project.file("sql/x/other.sql", "SELECT 1");
    let outcome = project.run(&["init", "in", "-o", "x.sql", "--force"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("other.sql") && outcome.stderr.contains("move it"), "{}", outcome.stderr);
    fs::remove_file(project.path("sql/x/other.sql")).unwrap();
    ok(project.run(&["init", "in", "-o", "x.sql"]));
    let before = fs::read(project.path("x.sql")).unwrap();
    let outcome = project.run(&["init", "in", "-o", "x.sql"]);
    assert!(
        outcome.code == 2 && outcome.stderr.contains("x.sql already exists\n  help: add --force"),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read(project.path("x.sql")).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = empty().file("in/locked/a.csv", "id,x\n1,2\n");
    let locked = project.path("in/locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything, and has no such mistake to make.
    let is_root = fs::read_dir(&locked).is_ok();
    let outcome = project.run(&["init", "in", "-o", "x.sql"]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        is_root || (outcome.code == 1 && outcome.stderr.contains("locked") && outcome.stderr.contains("readable")),
        "{}",
        outcome.stderr
    );
}

/// An export in a folder of its own: orders and customers as CSV, all rows of `ids`.
fn exported(project: Work, folder: &str, ids: std::ops::Range<u32>, note: &str) -> Work {
    let table =
        |name: &str| ids.clone().fold(format!("id,{name}\n"), |text, id| format!("{text}{id},{note}{}\n", id * 7));
    let file = |name: &str| format!("{folder}/{name}");
    project.file(&file("orders/part-1.csv"), table("total")).file(&file("customers.csv"), table("name"))
}

#[test]
fn full_exports_by_date_are_reported_and_the_newest_is_taken() {
    let project = exported(empty(), "exports/shop/2026-01-30", 0..50, "old ");
    let project = exported(project, "exports/shop/2026-01-31", 0..55, "new ");
    let project = project.file("exports/shop/2026-01-30/gone.csv", "id,x\n1,2\n2,3\n");
    let outcome = init(&project, "exports/shop");
    assert_eq!(tables(&project), ["customers", "orders"]);
    insta::assert_snapshot!(outcome.stdout);
    let config = &written(&project)["configs/x.sql"];
    insta::assert_snapshot!(config.lines().filter(|line| !line.contains("It read")).collect::<Vec<_>>().join("\n"));
    run_and_compare(&project, &["orders", "customers"]);
    assert_eq!(rows(&project, "SELECT count(*), count(DISTINCT id), min(total) FROM lake.orders"), "55,55,new 0");
    // The other one, as the message says.
    ok(project.run(&["init", "exports/shop/2026-01-30", "-o", "configs/x.sql", "--force"]));
    let config = &written(&project)["configs/x.sql"];
    assert!(config.contains("'shop'") && config.contains("'2026-01-30T00:00:00Z'"), "{config}");
}

#[test]
fn full_exports_by_file_name_are_reported_and_parts_are_taken_together() {
    let rows_of =
        |ids: std::ops::Range<u32>| ids.fold("id,n\n".to_owned(), |text, id| format!("{text}{id},{}\n", id * 7));
    let project = empty();
    let project = project.file("in/stock_20260130.csv", rows_of(0..50)).file("in/stock_20260131.csv", rows_of(0..55));
    let project = project.file("in/days_20260130.csv", rows_of(0..50)).file("in/days_20260131.csv", rows_of(50..99));
    let project =
        project.file("in/logs/2026-01-30/a.csv", rows_of(0..50)).file("in/logs/2026-01-31/a.csv", rows_of(50..99));
    let project = project
        .file("in/keyed/dt=2026-01-30/a.csv", rows_of(0..50))
        .file("in/keyed/dt=2026-01-31/a.csv", rows_of(0..50));
    init(&project, "in");
    assert_eq!(tables(&project), ["days", "keyed", "logs", "stock"]);
    run_and_compare(&project, &["days", "keyed", "logs", "stock"]);
    let count = |table: &str| rows(&project, &format!("SELECT count(*) FROM lake.{table}"));
    assert_eq!(["stock", "days", "logs", "keyed"].map(count), ["55", "99", "99", "100"]);
    let config = &written(&project)["configs/x.sql"];
    assert!(config.contains("Full exports of 2 dates: this is the newest, of 2026-01-31."), "{config}");
    assert_eq!(config.matches("taken as parts of one table: their rows differ").count(), 2, "{config}");
}

#[test]
fn parquet_exports_by_date_are_compared_by_their_footers() {
    let write = |project: Work, file: &str, from: u32, to: u32| {
        let sql = format!("COPY (SELECT value AS id, value * 3 AS n FROM generate_series({from}, {to})) TO '{file}'");
        fs::create_dir_all(project.path(file).parent().unwrap()).unwrap();
        project.copy(&sql)
    };
    let project = write(empty(), "in/2026-01-30/items/a.parquet", 1, 900);
    let project = write(project, "in/2026-01-31/items/a.parquet", 1, 1000);
    let project = write(project, "in/days/2026-01-30/a.parquet", 1, 900);
    let project = write(project, "in/days/2026-01-31/a.parquet", 901, 1000);
    let project = write(project, "in/days/2026-02-01/a.parquet", 1001, 1900);
    init(&project, "in");
    run_and_compare(&project, &["items", "days"]);
    assert_eq!(
        rows(&project, "SELECT (SELECT count(*) FROM lake.items) AS items, (SELECT count(*) FROM lake.days) AS days"),
        "1000,1900"
    );
}

/// A document of MongoDB as BSON: `_id` and `n`, and `note` unless it is empty.
fn bson(id: u8, n: i64, note: &str) -> Vec<u8> {
    let mut body = [&b"\x07_id\0"[..], &[id; 12], b"\x12n\0", &n.to_le_bytes()].concat();
    if !note.is_empty() {
        body.extend([b"\x02note\0", &(note.len() as i32 + 1).to_le_bytes()[..], note.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    [&(body.len() as i32 + 4).to_le_bytes()[..], &body].concat()
}

fn bsons(count: u8) -> Vec<u8> {
    (1..=count).flat_map(|id| bson(id, i64::MAX - i64::from(id), if id % 2 == 0 { "é" } else { "" })).collect()
}

#[test]
fn a_mongodump_is_one_export_whose_collections_run_as_they_are() {
    let notes = |name: &str| format!(r#"{{"indexes":[],"uuid":"a","collectionName":"{name}","type":"collection"}}"#);
    let project = empty()
        .file("in/dump/prelude.json", r#"{"ServerVersion":"7.0.1","ToolVersion":"100.12.0"}"#)
        .file("in/dump/shop/orders_1.bson", bsons(7))
        .file("in/dump/shop/orders_1.metadata.json", notes("orders_1"))
        .file("in/dump/shop/orders_2.bson", bsons(3))
        .file("in/dump/shop/orders_2.metadata.json", notes("orders_2"))
        .file("in/dump/shop/none.bson", "")
        .file("in/dump/shop/none.metadata.json", notes("none"))
        .file("in/days.csv", "id,day\n1,2024-01-31\n");
    let reported = init(&project, "in");
    assert!(reported.stdout.contains("shop.none of a dump: the collection is empty"), "{}", reported.stdout);
    assert_eq!(tables(&project), ["days", "orders_1", "orders_2"]);
    let config = &written(&project)["configs/x.sql"];
    for line in ["STORED AS MONGODB_DUMP", "OPTIONS ('table' 'shop.orders_1', 'undeclared' 'error');", "/dump/'"] {
        assert!(config.contains(line), "{config}");
    }
    ok(project.run(&["run", "configs/x.sql"]));
    let sums = "SELECT count(*), count(note), max(n), min(_id) FROM lake.orders_1";
    assert_eq!(rows(&project, sums), "7,3,9223372036854775806,010101010101010101010101");
    assert_eq!(rows(&project, "SELECT count(*) FROM lake.orders_2"), "3");
}

#[test]
fn files_of_mongodb_are_known_by_what_is_in_them_and_copy_binary_is_listed_with_what_to_do() {
    let line =
        |id: u8| format!(r#"{{"_id":{{"$oid":"{}"}},"n":{{"$numberLong":"{id}"}}}}"#, format!("{id:02x}").repeat(12));
    let copy = [&b"PGCOPY\n\xff\r\n\0"[..], &[0; 8], &[0, 1, 0, 0, 0, 1, 1], &[0xff, 0xff]].concat();
    let project = empty()
        .file("in/orders/a.bson", bsons(5))
        .gzip("in/packed/b.bson.gz", bsons(4))
        .file("in/lines/c.json", format!("{}\n{}\n", line(1), line(2)))
        .file("in/list/d.json", format!("[{},\n{}]\n", line(3), line(4)))
        .file("in/plain/e.json", "{\"id\":{\"$id\":\"x\"}}\n")
        .file("in/binary/f.bin", copy);
    let reported = init_but_for_some(&project, "in");
    let advice = "not read binary/f.bin: COPY BINARY of PostgreSQL; read it with STORED AS PG_BINARY, and declare";
    assert!(reported.stdout.contains(advice), "{}", reported.stdout);
    let files = written(&project);
    let config = &files["configs/x.sql"];
    assert_eq!(config.matches("STORED AS BSON").count(), 2, "{config}");
    assert_eq!(config.matches("'format.dialect' 'mongodb'").count(), 2, "{config}");
    assert_eq!(tables(&project), ["lines", "list", "orders", "packed", "plain"]);
    run_and_compare(&project, &["lines", "list", "orders", "packed", "plain"]);
    assert_eq!(rows(&project, "SELECT count(*), count(note), max(n) FROM lake.packed"), "4,2,9223372036854775806");
    assert_eq!(rows(&project, "SELECT sum(n), max(_id) FROM lake.list"), "7,040404040404040404040404");
}

#[test]
fn a_database_that_cannot_be_looked_at_is_an_error_without_a_secret() {
    let project = empty();
    let secret = project.run(&["init", "postgres://reader:geheim@127.0.0.1:1/shop", "-o", "configs/x.sql"]);
    let secret = secret.failed(2, &["PGPASSWORD"]);
    assert!(!secret.stderr.contains("geheim") && !secret.stdout.contains("geheim"), "{}", secret.stderr);
    project.run(&["init", "postgres://reader@127.0.0.1:1/shop", "-o", "configs/x.sql"]).failed(1, &["cannot connect"]);
    assert_eq!(project.paths("configs"), Vec::<String>::new());
}
