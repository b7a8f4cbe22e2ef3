//! Two snapshots with known changes, and what `diff` says of them.

use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{Work, program};

const SETTINGS: &str = "
    SET snaplake.database = 'shop';
    SET snaplake.snapshot_time = '${time}';
    SET snaplake.staging = 'out/staging';
    SET snaplake.datalake = 'out/lake';
";

const TABLES: &str = "
    CREATE EXTERNAL TABLE snapshot.orders STORED AS NDJSON LOCATION '${export}/';
    CREATE TABLE lake.orders WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id']) AS
    SELECT id, day, amount, note, tags FROM snapshot.orders;
";

/// The row of an order, with NULLs here and there and a list.
fn row(id: u32) -> Value {
    json!({
        "id": if id == 7 { Value::Null } else { json!(id) },
        "day": if id % 10 == 9 { Value::Null } else { json!(format!("2026-01-0{}", id % 3 + 1)) },
        "amount": if id.is_multiple_of(5) { Value::Null } else { json!(f64::from(id) / 4.0) },
        "note": if id.is_multiple_of(4) { Value::Null } else { json!(format!("note {id}")) },
        "tags": [id % 2, id % 3],
    })
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// Two published snapshots: of the first `rows`, and after `change`.
fn published(tables: &str, rows: u32, change: impl FnOnce(&mut Vec<Value>)) -> Work {
    let work = Work::new("");
    work.write("job.sql", &format!("{SETTINGS}{tables}"));
    let mut all: Vec<Value> = (0..rows).map(row).collect();
    work.write("one/a.json", &lines(&all));
    change(&mut all);
    let half = all.len() / 2;
    work.write("two/a.json", &lines(&all[..half]));
    work.write("two/b.json", &lines(&all[half..]));
    for (time, export) in [("2026-01-30T00:00:00Z", "one"), ("2026-01-31T00:00:00Z", "two")] {
        work.snaplake(&["run", "--quiet", "--var", &format!("time={time}"), "--var", &format!("export={export}")]).ok();
    }
    work
}

fn diff(work: &Work, arguments: &[&str]) -> crate::support::Run {
    let now = ["--var", "time=2026-01-31T00:00:00Z", "--var", "export=two", "--against", "2026-01-30T01:00:00+01:00"];
    work.snaplake(&[&["diff"], &now[..], arguments].concat())
}

fn diff_json(work: &Work, arguments: &[&str]) -> Value {
    let text = diff(work, &[arguments, &["--format", "json"]].concat()).ok().stdout;
    serde_json::from_str::<Value>(&text).unwrap()["tables"][0].take()
}

/// Sizes of Parquet files.
fn masked(text: &str) -> String {
    let bytes = Regex::new(r"[0-9.]+ (B|[KM]iB)( -> [0-9.]+ (B|[KM]iB))?").unwrap().replace_all(text, "[bytes]");
    Regex::new(r" {2,}").unwrap().replace_all(&bytes, "  ").into_owned()
}

/// Adds two rows, removes two, changes four: a value, NULL to a value, a value to NULL, the partition.
fn known(all: &mut Vec<Value>) {
    all.retain(|row| row["id"] != 3 && row["id"] != 19);
    all.push(row(60));
    all.push(row(69));
    for row in all {
        match row["id"].as_u64() {
            Some(6) => row["note"] = json!("another"),
            Some(12) => row["note"] = json!("not NULL"),
            Some(15) => row["tags"] = Value::Null,
            Some(18) => row["day"] = json!("2026-01-02"),
            _ => {}
        }
    }
}

#[test]
fn snapshots_are_listed_with_state_and_size_the_newest_first() {
    let work = published(TABLES, 60, known);
    let staged = ["stage", "--quiet", "--var", "time=2026-02-01T00:00:00Z", "--var", "export=two"];
    work.snaplake(&staged).ok();
    let list = |format: &str| {
        let now = ["snapshots", "--var", "time=2026-01-31T00:00:00Z", "--var", "export=two", "--format", format];
        work.snaplake(&now).ok().stdout
    };
    let completed = Regex::new(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n").unwrap();
    assert_snapshot!(completed.replace_all(&masked(&list("human")), "[completed]\n"), @r"
    table  snapshot  state  rows  files  bytes  completed
    orders  2026-02-01T00:00:00Z  staged  -  -  -  -
    orders  2026-01-31T00:00:00Z  complete  60  4  [bytes]  [completed]
    orders  2026-01-30T00:00:00Z  complete  60  4  [bytes]  [completed]
    ");
    let views: Value = serde_json::from_str(&list("json")).unwrap();
    let told =
        |key: &str| views["snapshots"].as_array().unwrap().iter().map(|view| view[key].clone()).collect::<Vec<_>>();
    assert_eq!(told("state"), ["staged", "complete", "complete"]);
    assert_eq!(told("rows"), [Value::Null, json!(60), json!(60)]);
    assert_eq!(told("is_current"), [false, true, false]);
}

#[test]
fn known_changes_are_counted_by_partition_and_shown() {
    let work = published(TABLES, 60, known);
    assert_snapshot!(masked(&diff(&work, &["--key", "id", "--samples", "2"]).ok().stdout), @"
    table  rows  files  bytes  partitions  added  removed  changed
    orders  60  4  [bytes]  3 of 4 differ  2  2  4

    lake.orders:
    partition  rows  files  bytes  added  removed  changed
    day=2026-01-01  18 -> 17  1  [bytes]  1  1  3
    day=2026-01-02  18 -> 19  1  [bytes]  0  0  1
    day=__HIVE_DEFAULT_PARTITION__  6  1  [bytes]  1  1  0

    lake.orders, example rows:
    + id 60: amount NULL, day 2026-01-01, note NULL, tags [0, 0]
    + id 69: amount 17.25, day NULL, note note 69, tags [1, 0]
    - id 19: amount 4.75, day NULL, note note 19, tags [1, 1]
    - id 3: amount 0.75, day 2026-01-01, note note 3, tags [1, 0]
    ~ id 6: note note 6 -> another
    ~ id 12: note NULL -> not NULL
    ");
    let found = diff_json(&work, &["--key", "id", "--samples", "9"]);
    assert_eq!(found["rows"], json!({"added": 2, "removed": 2, "changed": 4}), "{found:#}");
    assert_eq!((&found["before"]["rows"], &found["after"]["rows"]), (&json!(60), &json!(60)));
    let samples = found["samples"].as_array().unwrap();
    let of = |id: &str| samples.iter().find(|sample| sample["key"]["id"] == id).unwrap();
    assert_eq!(samples.len(), 8);
    assert_eq!((&of("12")["before"], &of("12")["after"]), (&json!({"note": null}), &json!({"note": "not NULL"})));
    assert_eq!((&of("15")["before"], &of("15")["after"]), (&json!({"tags": "[1, 0]"}), &json!({"tags": null})));
    assert_eq!((&of("18")["before"]["day"], &of("18")["after"]["day"]), (&json!("2026-01-01"), &json!("2026-01-02")));
    assert_eq!((&of("3")["change"], &of("60")["change"]), (&json!("removed"), &json!("added")));
}

#[test]
fn same_rows_in_other_files_and_order_are_no_change_and_are_not_read() {
    let work = published(TABLES, 60, |all| all.reverse());
    let found = diff_json(&work, &[]);
    assert_eq!((&found["same_partitions"], &found["partitions"]), (&json!(4), &json!([])), "{found:#}");
    // A file that is gone would be an error if it were opened.
    let files = work.files("out/lake").into_keys().filter(|path| path.ends_with(".parquet"));
    files.for_each(|file| std::fs::remove_file(work.path("out/lake").join(file)).unwrap());
    let found = diff_json(&work, &["--key", "id"]);
    assert_eq!(found["rows"], json!({"added": 0, "removed": 0, "changed": 0}), "{found:#}");
    assert!(masked(&diff(&work, &[]).ok().stdout).contains("identical"));
}

#[test]
fn without_a_key_partitions_are_compared_by_their_files_alone() {
    let work = published(TABLES, 60, |all| all[0]["note"] = json!("x"));
    let found = diff_json(&work, &[]);
    assert_eq!((&found["same_partitions"], &found["rows"], &found["samples"]), (&json!(3), &Value::Null, &json!([])));
    assert_eq!(found["partitions"][0]["partition"], "day=2026-01-01");
}

#[test]
fn files_of_one_size_and_number_of_rows_may_differ() {
    let tables =
        TABLES.replace("sorted_by = ARRAY['id']", "sorted_by = ARRAY['id'], write_compression = 'uncompressed'");
    let work = published(&tables, 60, |all| all[6]["amount"] = json!(1000.5));
    let found = diff_json(&work, &[]);
    let partition = &found["partitions"][0];
    assert_eq!(partition["before"], partition["after"], "{found:#}");
    assert_eq!((&found["same_partitions"], &partition["partition"]), (&json!(3), &json!("day=2026-01-01")));
}

#[test]
fn partitions_that_come_and_go_are_reported() {
    let work = published(TABLES, 60, |all| {
        all.retain(|row| row["day"] != "2026-01-02");
        all.push(json!({"id": 99, "day": "2026-02-01", "amount": 1.0, "note": null, "tags": [1]}));
    });
    let found = diff_json(&work, &["--key", "id"]);
    let reported = found["partitions"].as_array().unwrap().iter().map(|partition| {
        let rows = |side: &str| partition[side]["rows"].to_string();
        format!("{} {} {} {}", partition["partition"], rows("before"), rows("after"), partition["rows"])
    });
    assert_snapshot!(reported.collect::<Vec<_>>().join("\n"), @r#"
    "day=2026-01-02" 18 0 {"added":0,"removed":18,"changed":0}
    "day=2026-02-01" 0 1 {"added":1,"removed":0,"changed":0}
    "#);
}

#[test]
fn columns_that_come_and_go_are_reported_and_the_others_compared() {
    let tables = TABLES.replace("partitioned_by = ARRAY['day'], ", "");
    let work = published(&tables, 60, |all| all[8]["amount"] = json!(1000.5));
    let config = std::fs::read_to_string(work.path("job.sql")).unwrap();
    let select = "CAST(amount AS DECIMAL(9, 2)) AS amount, note, 1 AS extra FROM";
    work.write("job.sql", &config.replace("amount, note, tags FROM", select));
    let (time, export) = ("time=2026-02-01T00:00:00Z", "export=two");
    work.snaplake(&["run", "--quiet", "--var", time, "--var", export]).ok();
    let against = ["--against", "2026-01-30T00:00:00Z", "--key", "id,day", "--format", "json"];
    let run = work.snaplake(&[&["diff", "--var", time, "--var", export], &against[..]].concat()).ok();
    let found = serde_json::from_str::<Value>(&run.stdout).unwrap()["tables"][0].take();
    assert_eq!(found["rows"], json!({"added": 0, "removed": 0, "changed": 1}), "{found:#}");
    assert_eq!(found["samples"][0]["key"]["id"], "8", "{found:#}");
    assert_eq!(found["partitions"][0]["partition"], "");
    let retyped = json!([["amount", "DOUBLE", "DECIMAL(9,2)"]]);
    let columns = json!({"added": ["extra"], "removed": ["tags"], "retyped": retyped, "perhaps_renamed": []});
    assert_eq!(found["columns"], columns);
    assert_eq!(found["sources"], json!([]));
}

#[test]
fn columns_of_the_snapshot_that_come_go_and_change_their_type_are_reported_before_those_of_the_lake() {
    let tables = "CREATE EXTERNAL TABLE snapshot.orders STORED AS NDJSON LOCATION '${export}/';
        CREATE TABLE lake.orders AS SELECT * FROM snapshot.orders;";
    let work = published(tables, 9, |all| {
        for row in all {
            let row = row.as_object_mut().unwrap();
            let note = row.remove("note").unwrap();
            row.insert("remark".to_owned(), note);
            row.insert("id".to_owned(), json!("x"));
        }
    });
    let text = diff(&work, &[]).ok().stdout;
    for line in ["snapshot.orders: added remark", "snapshot.orders: removed note", "lake.orders: added remark"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("snapshot.orders: the type of id changed from BIGINT to VARCHAR"), "{text}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let work = published(TABLES, 20, |all| all.push(row(7)));
    let config = std::fs::read_to_string(work.path("job.sql")).unwrap();
    work.write("other.sql", &config.replace("ARRAY['day']", "ARRAY['day', 'note']"));
    let (time, export) = ("time=2026-02-01T00:00:00Z", "export=two");
    let other = |command: &str, more: &[&str]| {
        let other =
            [command, work.path("other.sql").to_str().unwrap(), "--var", time, "--var", export].map(str::to_owned);
        program().args(other).args(more).current_dir(work.path("")).output().unwrap()
    };
    assert!(other("run", &["--quiet"]).status.success());
    let other = String::from_utf8(other("diff", &["--against", "2026-01-31T00:00:00Z"]).stderr).unwrap();
    let message = [
        diff(&work, &["--key", "id"]),
        diff(&work, &["--key", "nr"]),
        work.snaplake(&[
            "diff",
            "--var",
            "time=2026-01-31T00:00:00Z",
            "--var",
            "export=two",
            "--against",
            "2026-01-01T00:00:00Z",
        ]),
    ];
    let message = message.map(|run| run.failed(1, &[]).stderr);
    // The last task of the other snapshot is not done.
    let done = work.files("out/staging").into_keys().filter(|path| {
        path.contains("2026-01-30") && path.contains("datalake-file-groups") && path.ends_with("summary-4.json")
    });
    done.for_each(|path| std::fs::remove_file(work.path("out/staging").join(path)).unwrap());
    let half = diff(&work, &[]).failed(1, &[]).stderr;
    let folder = work.path("").to_string_lossy().trim_end_matches('/').to_owned();
    assert_snapshot!([message.concat(), other, half].concat().replace(&folder, "[dir]"), @"
    error: lake.orders cannot be compared with its snapshot of 2026-01-30T00:00:00Z: the key (id) is not unique in the config's snapshot, where 1 of its values name more than one row; name more columns with --key
    error: lake.orders cannot be compared with its snapshot of 2026-01-30T00:00:00Z: key column 'nr' is not in both
    error: lake.orders cannot be compared with its snapshot of 2026-01-01T00:00:00Z: [dir]/out/staging/shop/orders/snapshot=2026-01-01T00:00:00Z is not published; the staging folder has snapshots of: 2026-01-30T00:00:00Z, 2026-01-31T00:00:00Z, 2026-02-01T00:00:00Z
    error: lake.orders cannot be compared with its snapshot of 2026-01-31T00:00:00Z: it was partitioned by other columns
    error: lake.orders cannot be compared with its snapshot of 2026-01-30T00:00:00Z: only 3 of 4 groups of [dir]/out/staging/shop/orders/snapshot=2026-01-30T00:00:00Z are published
    ");
    let wrong = program().args(["diff", "x.sql", "--against", "yesterday"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn rows_beyond_the_memory_are_compared_all_the_same() {
    let select = "SELECT id, day, repeat(note, 40) AS words, unnest(range(0, 300)) AS v";
    let tables = TABLES.replace("SELECT id, day, amount, note, tags", select);
    let work = published(&tables, 400, |all| {
        all.remove(5);
        all[50]["note"] = json!("z");
    });
    let found = diff_json(&work, &["--key", "id,v", "--memory-limit", "64MB"]);
    assert_eq!(found["rows"], json!({"added": 0, "removed": 300, "changed": 300}), "{found:#}");
}
