//! The steps through the program: what lies where, reruns, tasks by hand, and what is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use insta::assert_snapshot;

use crate::support::{Work, program};

const STAGED: &str = "staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/staging-file-groups";

fn repo(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

/// The lake that one undisturbed run makes, in the folder `expected`.
fn expected_lake(work: &Work) -> BTreeMap<String, Vec<u8>> {
    work.snaplake(&["run", "--var", "out=expected"]).ok();
    work.files("expected/lake")
}

fn groups(work: &Work, out: &str) -> usize {
    let summaries = work.files(&format!("{out}/{STAGED}/manifest-summary"));
    summaries.keys().filter(|name| name.starts_with("manifest-summary-")).count()
}

#[test]
fn folders_of_a_partitioned_and_an_unpartitioned_table_follow_the_design() {
    let work = Work::new(
        "CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
         STORED AS CSV LOCATION 'export/' OPTIONS ('format.has_header' 'true');
         CREATE TABLE lake.by_day WITH (partitioned_by = ARRAY['day', 'odd'], sorted_by = ARRAY['id']) AS
         SELECT id, day, note, id % 2 = 1 AS odd FROM snapshot.events WHERE day < '2026-01-03';
         CREATE TABLE lake.whole AS SELECT id, note FROM snapshot.events;",
    );
    work.write("export/part-0.csv", &crate::support::events(0, 12));
    work.write("export/part-1.csv", &crate::support::events(12, 12));
    work.snaplake(&["run"]).ok();
    assert_snapshot!(work.listing("out"), @"
    lake/shop/by_day/snapshot=2026-01-31T00:00:00Z/shop/public/by_day/_SUCCESS
    lake/shop/by_day/snapshot=2026-01-31T00:00:00Z/shop/public/by_day/day=2026-01-01/odd=false/000001-<hash>-0000.parquet
    lake/shop/by_day/snapshot=2026-01-31T00:00:00Z/shop/public/by_day/day=2026-01-01/odd=true/000002-<hash>-0000.parquet
    lake/shop/by_day/snapshot=2026-01-31T00:00:00Z/shop/public/by_day/day=2026-01-02/odd=false/000003-<hash>-0000.parquet
    lake/shop/by_day/snapshot=2026-01-31T00:00:00Z/shop/public/by_day/day=2026-01-02/odd=true/000004-<hash>-0000.parquet
    lake/shop/whole/snapshot=2026-01-31T00:00:00Z/shop/public/whole/000001-<hash>-0000.parquet
    lake/shop/whole/snapshot=2026-01-31T00:00:00Z/shop/public/whole/_SUCCESS
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/_snaplake.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/datalake/shop/public/by_day/day=2026-01-01/odd=false/000001-<hash>-000000.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/datalake/shop/public/by_day/day=2026-01-01/odd=true/000001-<hash>-000000.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/datalake/shop/public/by_day/day=2026-01-02/odd=false/000001-<hash>-000000.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/datalake/shop/public/by_day/day=2026-01-02/odd=true/000001-<hash>-000000.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-data/manifest-data-2.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-data/manifest-data-3.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-data/manifest-data-4.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-summary/manifest-summary-2.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-summary/manifest-summary-3.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-summary/manifest-summary-4.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/manifest-data.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/manifest-summary.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-data/manifest-data-2.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-data/manifest-data-3.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-data/manifest-data-4.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-summary/manifest-summary-2.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-summary/manifest-summary-3.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-summary/manifest-summary-4.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/snapshot-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/snapshot-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/staging-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/staging-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/by_day/snapshot=2026-01-31T00:00:00Z/manifests/validation.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/_snaplake.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/datalake/shop/public/whole/000001-<hash>-0000.parquet
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/manifest-data.parquet
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/manifest-summary.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/partition-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/snapshot-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/snapshot-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/staging-file-groups/manifest-data/manifest-data-1.parquet
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/staging-file-groups/manifest-summary/manifest-summary-1.json
    staging/shop/whole/snapshot=2026-01-31T00:00:00Z/manifests/validation.json
    ");
}

#[test]
fn rerun_says_so_and_touches_no_file() {
    let work = Work::events(4, 40);
    work.snaplake(&["run"]).ok();
    let before = stamps(&work);
    let again = work.snaplake(&["run"]).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    assert_eq!(stamps(&work), before);
}

fn stamps(work: &Work) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let stamp = |path: &str| std::fs::metadata(work.path("out").join(path)).unwrap().modified().unwrap();
    work.files("out").into_iter().map(|(path, bytes)| (path.clone(), (stamp(&path), bytes))).collect()
}

#[test]
fn groups_by_hand_in_any_order_then_publish_give_the_lake_of_run_byte_for_byte() {
    let work = Work::events(9, 30);
    let expected = expected_lake(&work);
    let count = groups(&work, "expected");
    assert!(count > 4, "{count} groups");
    let stage = |group: usize| {
        work.snaplake(&["stage", "--group", &group.to_string(), "--var", "out=by_hand"]).ok();
    };
    // The odd ones from the end, then the even ones.
    (1..=count).rev().filter(|group| group % 2 == 1).for_each(stage);
    work.snaplake(&["publish", "--var", "out=by_hand"]).failed(1, &["events"]);
    (1..=count).filter(|group| group % 2 == 0).for_each(stage);
    work.snaplake(&["publish", "--group", "2", "--var", "out=by_hand"]).ok();
    work.snaplake(&["publish", "--var", "out=by_hand"]).ok();
    assert_eq!(work.files("by_hand/lake"), expected);
    work.snaplake(&["stage", "--group", &(count + 1).to_string()]).failed(2, &["no stage group"]);
}

#[test]
fn lost_staging_summary_is_staged_again_and_the_lake_is_the_same() {
    let work = Work::events(6, 30);
    let expected = expected_lake(&work);
    work.snaplake(&["stage"]).ok();
    std::fs::remove_file(work.path(&format!("out/{STAGED}/manifest-summary/manifest-summary-2.json"))).unwrap();
    work.snaplake(&["publish"]).failed(1, &["events"]);
    let rerun = work.snaplake(&["run"]).ok();
    assert!(rerun.stderr.contains("stage   events: 1 of"), "{}", rerun.stderr);
    assert_eq!(work.files("out/lake"), expected);
}

#[test]
fn plan_whose_groups_were_packed_in_another_way_is_not_gone_on_with() {
    let work = Work::events(6, 30);
    work.snaplake(&["stage"]).ok();
    let summary = "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/manifest-summary.json";
    // As a version wrote it that did not say how it packs.
    work.edit_summary(summary, |text| {
        let (before, after) = text.split_once("\"packing\"").unwrap();
        let (_, after) = after.split_once(',').unwrap();
        format!("{before}{after}")
    });
    for arguments in [&["run"][..], &["publish"], &["stage", "--table", "events", "--group", "1"]] {
        work.snaplake(arguments).failed(1, &["another version of snaplake", "--replan"]);
    }
    assert!(work.files("out/lake").is_empty());
    work.snaplake(&["run", "--replan"]).ok();
}

#[test]
fn staging_file_that_no_summary_lists_is_not_data() {
    let work = Work::events(3, 30);
    let expected = expected_lake(&work);
    work.snaplake(&["stage"]).ok();
    let staged = work.files("out/staging").into_keys().find(|path| path.contains("/datalake/")).unwrap();
    let staged = work.path(&format!("out/staging/{staged}"));
    std::fs::copy(&staged, staged.with_file_name("000001-ffffffffffff-0009.parquet")).unwrap();
    std::fs::write(staged.with_file_name("000002-ffffffffffff-0000.parquet"), "half a file").unwrap();
    work.snaplake(&["publish"]).ok();
    assert_eq!(work.files("out/lake"), expected);
}

#[test]
fn foreign_file_in_the_lake_location_is_refused_and_nothing_is_written_there() {
    let work = Work::events(2, 30);
    let folder = "out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events";
    work.write(&format!("{folder}/day=2026-01-01/somebody.parquet"), "theirs");
    work.snaplake(&["run"]).failed(1, &["somebody.parquet", folder]);
    assert_eq!(work.files("out/lake").len(), 1);
}

#[test]
fn snapshot_file_that_changed_between_two_tasks_is_refused_by_name() {
    let work = Work::events(2, 40);
    work.snaplake(&["stage", "--group", "1"]).ok();
    for file in 0..2 {
        work.write(&format!("export/part-{file:05}.csv"), &crate::support::events(1000 + file, 40));
    }
    work.snaplake(&["stage", "--group", "2"]).failed(1, &["part-0000", "changed"]);
    assert_eq!(groups(&work, "out"), 1);
}

#[test]
fn two_runs_at_once_both_end_well_with_one_lake() {
    let work = Work::events(8, 200);
    let expected = expected_lake(&work);
    let mut runs =
        [(); 2].map(|()| work.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    assert!(runs.each_mut().map(|run| run.wait().unwrap().success()) == [true, true]);
    assert_eq!(work.files("out/lake"), expected);
}

#[test]
fn hostile_partition_keys_come_back_as_they_were_with_null_and_empty_apart() {
    let work = Work::new("");
    let config = repo("tests/data/hostile_keys/hostile_keys.sql");
    let snaplake = |command: &str, more: &[&str]| {
        let [staging, lake] = ["staging", "lake"].map(|part| work.path(part).to_str().unwrap().to_owned());
        let variables = [format!("staging={staging}"), format!("datalake={lake}")];
        let mut command_line = program();
        command_line.args([command, &config, "--var", &variables[0], "--var", &variables[1]]).args(more);
        crate::support::Run::from(command_line.output().unwrap()).ok()
    };
    snaplake("run", &[]);
    let sql = "SELECT id, k FROM lake.keys ORDER BY id";
    let read = snaplake("query", &["--format", "nd-json", "-c", sql]).stdout;
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        // The format leaves a NULL out.
        (row["id"].as_i64().unwrap(), row["k"].as_str().map(str::to_owned))
    };
    let source = std::fs::read_to_string(repo("tests/data/hostile_keys/keys.ndjson")).unwrap();
    let rows = |text: &str| text.lines().filter(|line| !line.is_empty()).map(row).collect::<Vec<_>>();
    assert_eq!(rows(&read), rows(&source));
}

#[test]
fn empty_table_is_published_and_reported_empty() {
    let work = Work::events(1, 0);
    let run = work.snaplake(&["run"]).ok();
    assert!(run.stdout.contains("lake.events is empty"), "{}", run.stdout);
    let lake = work.files("out/lake").into_keys().collect::<Vec<_>>();
    assert!(lake.iter().any(|path| path.ends_with("/_SUCCESS")), "{lake:?}");
}

#[test]
fn now_is_the_same_in_all_groups_and_on_a_rerun() {
    let work = Work::new(
        &crate::support::EVENTS.replace("SELECT id, day, note", "SELECT id, day, now() AS at, current_date() AS today"),
    );
    for file in 0..4 {
        work.write(&format!("export/part-{file}.csv"), &crate::support::events(file * 40, 40));
    }
    work.snaplake(&["stage", "--group", "1"]).ok();
    work.snaplake(&["run"]).ok();
    assert!(groups(&work, "out") > 1);
    let sql = "SELECT count(DISTINCT at), count(DISTINCT today), count(*) FROM lake.events";
    let read = work.snaplake(&["query", "--format", "csv", "-c", sql]).ok();
    assert!(read.stdout.contains("\n1,1,160\n"), "{}", read.stdout);
}

#[test]
fn flights_become_the_lake_that_the_readme_promises() {
    let work = Work::new("");
    let variables = ["staging", "lake"].map(|part| work.path(part).to_str().unwrap().to_owned());
    let mut run = program();
    run.args(["run", &repo("configs/nycflights13.sql"), "--format", "json"]);
    run.args(["--var", &format!("staging={}", variables[0]), "--var", &format!("datalake={}", variables[1])]);
    let run = crate::support::Run::from(run.output().unwrap()).ok();
    assert!(run.stdout.contains("336776"), "{}", run.stdout);
    let per_table =
        |table: &str| work.files("lake").keys().filter(|path| path.contains(&format!("/public/{table}/"))).count();
    let counts = ["airlines", "airports", "flights", "planes", "weather"].map(|table| (table, per_table(table)));
    // Files and _SUCCESS.
    assert_eq!(counts, [("airlines", 2), ("airports", 11), ("flights", 14), ("planes", 2), ("weather", 13)]);
}
