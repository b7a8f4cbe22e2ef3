//! DynamoDB: incremental exports that are merged onto a full one, from LOCATIONs to the lake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use std::io::Write as _;

use crate::support::{Work, ok};

/// What an export is of.
pub(crate) enum Scope {
    /// Of the hour.
    Full(u32),
    /// From an hour to another.
    Incremental(u32, u32),
}

/// The files of an export, by their keys: manifests in a folder of its own, data of incremental ones in the shared one.
pub(crate) fn export(id: &str, table: &str, scope: &Scope, files: &[&str]) -> Vec<(String, Vec<u8>)> {
    let folder = format!("AWSDynamoDB/{id}");
    let hour = |hour: &u32| format!("2026-01-01T{hour:02}:00:00.000Z");
    let (data, times) = match scope {
        Scope::Full(of) => (format!("{folder}/data"), format!(r#""exportTime":"{}""#, hour(of))),
        Scope::Incremental(from, to) => (
            "AWSDynamoDB/data".to_owned(),
            format!(
                r#""exportType":"INCREMENTAL_EXPORT","outputView":"NEW_AND_OLD_IMAGES","exportFromTime":"{}","exportToTime":"{}""#,
                hour(from),
                hour(to)
            ),
        ),
    };
    let (mut all, mut list, mut items) = (Vec::new(), String::new(), 0);
    for (number, text) in files.iter().enumerate() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        let bytes = gzip.finish().unwrap();
        let (key, count) = (format!("{data}/{id}{number}.json.gz"), text.lines().count());
        let md5 = STANDARD.encode(Md5::digest(&bytes));
        list += &format!("{{\"itemCount\":{count},\"md5Checksum\":\"{md5}\",\"dataFileS3Key\":\"{key}\"}}\n");
        items += count;
        all.push((key, bytes));
    }
    let summary = format!(
        r#"{{"tableArn":"arn:aws:dynamodb:eu-west-1:1:table/{table}","tableId":"7","itemCount":{items},"outputFormat":"DYNAMODB_JSON","manifestFilesS3Key":"{folder}/manifest-files.json",{times}}}"#
    );
    for (name, text) in [("summary", summary), ("files", list)] {
        all.push((format!("{folder}/manifest-{name}.md5"), STANDARD.encode(Md5::digest(&text)).into()));
        all.push((format!("{folder}/manifest-{name}.json"), text.into()));
    }
    all
}

/// A change at a microsecond of an hour.
pub(crate) fn change(hour: u32, micros: u64, keys: &str, image: Option<&str>) -> String {
    // The beginning of 2026.
    let written = (1_767_225_600 + u64::from(hour) * 3600) * 1_000_000 + micros;
    let image = image.map(|image| format!(r#","OldImage":{{}},"NewImage":{image}"#)).unwrap_or_default();
    format!(r#"{{"Metadata":{{"WriteTimestampMicros":{{"N":"{written}"}}}},"Keys":{keys}{image}}}"#) + "\n"
}

const TABLE: &str = "LOCATION ('in/AWSDynamoDB/full/', 'in/AWSDynamoDB/a/', 'in/AWSDynamoDB/b/')";

fn config(columns: &str, location: &str, options: &str) -> Work {
    Work::config(&format!(
        "CREATE EXTERNAL TABLE snapshot.users {columns} STORED AS DYNAMODB_EXPORT\n{location} {options};\n\
         CREATE TABLE lake.users WITH (sorted_by = ARRAY['pk']) AS SELECT * FROM snapshot.users;\n"
    ))
}

fn with(work: Work, files: Vec<(String, Vec<u8>)>) -> Work {
    files.into_iter().fold(work, |work, (key, bytes)| work.file(&format!("in/{key}"), bytes))
}

fn full() -> Vec<(String, Vec<u8>)> {
    let item =
        |pk: &str, rest: &str| format!("{{\"Item\":{{\"pk\":{{\"S\":\"{pk}\"}},\"sk\":{{\"N\":\"1\"}}{rest}}}}}\n");
    let first = [item("kept", r#","v":{"N":"1.50"}"#), item("updated", r#","v":{"N":"1"}"#)].concat();
    let second = [item("deleted", ""), item("again", r#","v":{"N":"2"}"#)].concat();
    export("full", "users", &Scope::Full(1), &[&first, "", &second])
}

fn key(pk: &str, sk: &str) -> String {
    format!(r#"{{"pk":{{"S":"{pk}"}},"sk":{{"N":"{sk}"}}}}"#)
}

/// A put of an item with one more attribute.
fn put(hour: u32, micros: u64, pk: &str, sk: &str, v: &str) -> String {
    let image = format!(r#"{{"v":{{"N":"{v}"}},"sk":{{"N":"{sk}"}},"pk":{{"S":"{pk}"}}}}"#);
    change(hour, micros, &key(pk, "1.0"), Some(&image))
}

fn first() -> Vec<(String, Vec<u8>)> {
    let changes = [
        put(1, 5, "updated", "1", "2"),
        change(1, 6, &key("deleted", "1"), None),
        change(2, 7, &key("again", "1"), None),
        put(2, 8, "new", "1", "3"),
    ];
    export("a", "users", &Scope::Incremental(1, 3), &[&changes.concat()])
}

fn second() -> Vec<(String, Vec<u8>)> {
    let changes =
        [put(3, 1, "updated", "1e0", "3.25"), put(4, 2, "again", "1", "4"), change(4, 3, &key("gone", "1"), None)];
    export("b", "users", &Scope::Incremental(3, 5), &[&changes.concat(), ""])
}

fn rows(work: &Work) -> String {
    ok(work, &["query", "config.sql", "--format", "csv", "-c", "SELECT pk, sk, v FROM lake.users ORDER BY pk"]).stdout
}

#[test]
fn full_and_incremental_exports_are_the_table_at_the_end_of_the_last_one() {
    let work = with(config("", TABLE, ""), [full(), first(), second()].concat());
    work.run(&["plan", "config.sql"]).failed(1, &["the exports were not merged yet", "snaplake run"]);
    let said = work.run(&["run", "config.sql"]).ok();
    let said = [said.stdout, said.stderr].concat();
    assert!(said.contains("merge   users as of 2026-01-01T05:00:00.000Z: 3 exports, 4 rows"), "{said}");
    assert_eq!(rows(&work), "pk,sk,v\nagain,1.0,4.0\nkept,1.0,1.5\nnew,1.0,3.0\nupdated,1.0,3.25\n");
    let plan = work.run(&["plan", "config.sql"]).ok();
    let plan = [plan.stdout, plan.stderr].concat();
    for note in
        ["4 items, and 2 incremental with 7 changes", "Items: 4 - 1 deleted + 1 added = 4.", "2 were superseded"]
    {
        assert!(plan.contains(note), "no {note} in {plan}");
    }
    // A rerun uses the merge, whatever became of the exports.
    std::fs::remove_dir_all(work.path("in")).unwrap();
    ok(&work, &["run", "config.sql"]);
}

#[test]
fn declared_columns_keep_their_types_and_an_undeclared_attribute_is_an_error() {
    let exports = || [full(), first(), second()].concat();
    let columns = "(pk VARCHAR, sk BIGINT, v DECIMAL(5,2))";
    let work = with(config(columns, TABLE, "OPTIONS ('undeclared' 'error')"), exports());
    ok(&work, &["run", "config.sql", "--quiet"]);
    assert_eq!(rows(&work), "pk,sk,v\nagain,1,4.00\nkept,1,1.50\nnew,1,3.00\nupdated,1,3.25\n");
    let work = with(config("(pk VARCHAR, sk BIGINT)", TABLE, "OPTIONS ('undeclared' 'error')"), exports());
    work.run(&["run", "config.sql"]).failed(1, &["'v'"]);
}

#[test]
fn one_incremental_export_alone_stays_a_row_per_change() {
    let work = Work::config(
        "CREATE EXTERNAL TABLE snapshot.t STORED AS DYNAMODB_EXPORT LOCATION 'in/AWSDynamoDB/a/';\n\
         CREATE TABLE lake.t AS SELECT \"Keys\" FROM snapshot.t;\n",
    );
    let work = with(work, first());
    ok(&work, &["run", "config.sql", "--quiet"]);
    let count = ok(&work, &["query", "config.sql", "--format", "csv", "-c", "SELECT count(*) AS n FROM lake.t"]);
    assert_eq!(count.stdout, "n\n4\n");
}

#[test]
fn exports_that_do_not_go_together_are_refused_and_nothing_is_published() {
    let incremental = |from, to| export("b", "users", &Scope::Incremental(from, to), &["\n"]);
    let another = || export("b", "users", &Scope::Full(4), &[""]);
    let other = || export("b", "orders", &Scope::Incremental(3, 4), &[""]);
    let anew = || {
        let mut files = incremental(3, 4);
        let (_, summary) = files.iter_mut().find(|(key, _)| key.ends_with("b/manifest-summary.json")).unwrap();
        *summary =
            String::from_utf8(std::mem::take(summary)).unwrap().replace(r#""tableId":"7""#, r#""tableId":"8""#).into();
        files
    };
    let ion = || {
        let mut files = incremental(3, 4);
        let (_, summary) = files.iter_mut().find(|(key, _)| key.ends_with("b/manifest-summary.json")).unwrap();
        *summary = String::from_utf8(std::mem::take(summary)).unwrap().replace("DYNAMODB_JSON", "ION").into();
        files
    };
    let missing = || second().into_iter().filter(|(key, _)| key != "AWSDynamoDB/data/b0.json.gz").collect();
    let tie = || export("b", "users", &Scope::Incremental(2, 5), &[&put(2, 8, "new", "1", "9")]);
    type Files = Vec<(String, Vec<u8>)>;
    let cases: [(Files, &[&str]); 7] = [
        (incremental(4, 5), &["2026-01-01T04:00:00.000Z", "2026-01-01T03:00:00.000Z", "AWSDynamoDB/b"]),
        (another(), &["it is a full export, as is", "AWSDynamoDB/full"]),
        (other(), &["table/orders", "table/users"]),
        (anew(), &["made anew"]),
        (ion(), &["the output format ION is not read"]),
        (missing(), &["AWSDynamoDB/data/b0.json.gz, which is not there"]),
        (tie(), &["two different changes", r#"{"pk":{"S":"new"},"sk":{"N":"1.0"}}"#, "help: export again"]),
    ];
    for (files, words) in cases {
        let work = with(config("", TABLE, ""), [full(), first(), files].concat());
        work.run(&["run", "config.sql"]).failed(1, words);
        assert!(!work.path("lake").exists(), "{words:?}");
        assert!(!work.paths(".").iter().any(|path| path.ends_with("merged-export.json")), "{words:?}");
    }
    let work =
        with(config("", "LOCATION ('in/AWSDynamoDB/a/', 'in/AWSDynamoDB/b/')", ""), [first(), second()].concat());
    work.run(&["run", "config.sql"]).failed(1, &["no export is a full one"]);
}

#[test]
fn a_damaged_merge_is_refused() {
    let work = with(config("", TABLE, ""), [full(), first(), second()].concat());
    ok(&work, &["run", "config.sql", "--quiet"]);
    let path = work.paths(".").into_iter().find(|path| path.ends_with("merged-export.json")).unwrap();
    let text = std::fs::read_to_string(work.path(&path)).unwrap();
    std::fs::write(work.path(&path), text.replacen("\"added\": 1", "\"added\": 2", 1)).unwrap();
    work.run(&["run", "config.sql"]).failed(1, &["merged-export.json", "changes that went somewhere: 8, but 7"]);
}

#[test]
fn init_proposes_one_table_of_all_exports_with_the_attributes_that_only_changes_have() {
    let late = put(4, 5, "late", "1", "5").replace(r#"{"v":"#, r#"{"extra":{"S":"x"},"v":"#);
    let changes = export("b", "users", &Scope::Incremental(3, 5), &[&late]);
    let apart = export("c", "users", &Scope::Incremental(6, 7), &[&put(6, 5, "apart", "1", "6")]);
    let work = with(config("", TABLE, ""), [full(), first(), changes, apart].concat());
    work.run(&["init", "in", "-o", "new.sql"]).ok();
    let text = std::fs::read_to_string(work.path("new.sql")).unwrap();
    for words in [
        "AWSDynamoDB/full/',\n  '${snapshot:-in}/AWSDynamoDB/a/',\n  '${snapshot:-in}/AWSDynamoDB/b/'\n)",
        "Incremental exports (2, 5 changes) are merged onto the full one: the table as of 2026-01-01T05:00:00Z.",
        "Not merged: AWSDynamoDB/c.",
        "SET snaplake.snapshot_time = '2026-01-01T05:00:00Z'",
        "OPTIONS ('undeclared' 'error')",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    work.run(&["run", "new.sql", "--quiet"]).ok();
    let sql = "SELECT pk, extra FROM lake.users ORDER BY pk";
    let found = work.run(&["query", "new.sql", "--format", "csv", "-c", sql]).ok().stdout;
    assert_eq!(found, "pk,extra\nkept,\nlate,x\nnew,\nupdated,\n");
}
