//! What others see of a run: tasks that failed, with their attempts; tasks that are running; and what that costs in requests.

use std::process::Stdio;
use std::sync::Arc;

use insta::assert_snapshot;
use regex::Regex;
use serde_json::{Value, json};
use snaplake::Pipeline;
use snaplake::config::S3Settings;
use snaplake::inspect::{StatusReader, TableStatus};
use snaplake::layout::Step;
use snaplake::manifest::trace::{self, RunningTask, RunningTasks};
use snaplake::pipeline::TaskSpec;
use snaplake::pipeline::replan::{PublishedTables, replan};
use snaplake::session::Stores;

use crate::support::faulty::{Fault, Faulty, Stop};
use crate::support::{EVENTS, Work, events};

/// Text without what differs from run to run.
fn masked(text: &str, work: &Work) -> String {
    let folder = work.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let masks = [
        (regex::escape(&folder), "[dir]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z".to_owned(), "[time]"),
        (r#""seconds": [0-9.e-]+"#.to_owned(), r#""seconds": [s]"#),
        (r#""bytes_written": [0-9]+"#.to_owned(), r#""bytes_written": [bytes]"#),
        (r"[0-9.]+ (B|[KM]iB)".to_owned(), "[bytes]"),
        ("file://".to_owned(), ""),
    ];
    let mask = |text: String, (pattern, mask): &(String, &str)| {
        Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned()
    };
    masks.iter().fold(text.to_owned(), mask)
}

/// One file of three has a number that is none.
fn broken() -> Work {
    let work = Work::new(&format!("{EVENTS} CREATE VIEW token AS SELECT '${{api_token:-}}' AS token;"));
    work.write("export/part-0.csv", &events(0, 30));
    work.write("export/part-1.csv", &format!("{}none,2026-01-01,x\n", events(30, 30)));
    work.write("export/part-2.csv", &events(60, 30));
    work
}

#[test]
fn failed_task_is_named_by_run_and_status_with_its_file_attempt_and_what_to_do() {
    let work = broken();
    let run = |arguments: &[&str]| {
        let run = work.snaplake(&[arguments, &["--threads", "1"]].concat());
        masked(&format!("{}{}", run.stdout, run.stderr), &work)
    };
    assert_snapshot!(run(&["run", "--quiet", "--var", "export=export", "--var", "api_token=abc"]), @"
    error: stage of lake.events group 2 failed
      because [dir]/export/part-1.csv, row 31, column 'id': 'none' cannot be read as BIGINT
      help: correct the value in its file, or declare a type that holds it and convert it in the SELECT; if it is a word for NULL in CSV, write OPTIONS ('null_regex' '^(NA)?$')
    ");
    run(&["stage", "--quiet"]);
    assert_snapshot!(run(&["status"]), @"
    table   staged  published  running  failed  complete  rows staged     bytes  rows published  bytes
    events  1 of 3          -        0       1        no           30  [bytes]               -      -
    events: stage group 2 failed, attempt 2, [time]: stage of lake.events group 2 failed
      because [dir]/export/part-1.csv, row 31, column 'id': 'none' cannot be read as BIGINT
    ");
    assert_snapshot!("status_json", run(&["status", "--format", "json"]));
    // The command of an outside scheduler counts on.
    run(&["stage", "--table", "events", "--group", "2"]);
    let status = work.snaplake(&["status", "--format", "json"]).ok();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    let failures = status["tables"][0]["stage"]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{status:#}");
    assert_eq!(failures[0]["attempt"], 3, "{status:#}");
}

/// A bucket in memory with six files, and a process that works on it.
async fn bucket() -> (Work, Faulty) {
    let (work, store) = (Work::new(EVENTS), Faulty::default());
    for file in 0..6 {
        store.set(&format!("export/part-{file}.csv"), events(file * 15, 15)).await;
    }
    (work, store)
}

fn pipeline(work: &Work, store: &Faulty) -> Arc<Pipeline> {
    let stores = Stores::new(S3Settings::default());
    stores.insert("s3://bucket", Arc::new(store.clone()));
    work.pipeline(stores, &[("export", "s3://bucket/export"), ("out", "s3://bucket/out")])
}

async fn status(work: &Work, store: &Faulty) -> TableStatus {
    StatusReader::new(&pipeline(work, store)).read().await.unwrap().remove(0)
}

/// Number of the first write of a key that matches.
fn write_of(store: &Faulty, pattern: &str) -> usize {
    let pattern = Regex::new(pattern).unwrap();
    1 + store.writes().iter().position(|write| pattern.is_match(write)).unwrap()
}

async fn failures_are_counted_until_done(step: Step, data: &str) {
    let (work, store) = bucket().await;
    pipeline(&work, &store).run().await.unwrap();
    let stop = |at| Some(Stop { at, is_done: false, fault: Fault::Error });
    let first = stop(write_of(&store, data));
    for key in store.objects("out").await.into_keys() {
        store.unset(&key).await;
    }
    let seen = async || {
        let status = status(&work, &store).await;
        if step == Step::StagingFileGroups { status.stage } else { status.publish }
    };
    store.revive(first);
    pipeline(&work, &store).run().await.unwrap_err();
    let group = seen().await.failures[0].group;
    // The same task once more, as an outside scheduler does it.
    store.revive(stop(1));
    let job = pipeline(&work, &store);
    let task = TaskSpec::new(job.project(), "events", step.task(), group);
    job.run_task(&task).await.unwrap_err();
    let failed = seen().await;
    assert_eq!((failed.failed, failed.failures.len(), failed.failures[0].attempt), (1, 1, 2), "{failed:?}");
    let failure = &failed.failures[0];
    assert!(failure.error.contains(&format!("lake.events group {group}")), "{failure:?}");
    assert_eq!(failure.partition.is_some(), step == Step::DatalakeFileGroups, "{failure:?}");

    store.revive(None);
    pipeline(&work, &store).run().await.unwrap();
    let done = seen().await;
    assert_eq!((done.failed, done.total), (0, Some(done.done)), "{done:?}");
    assert!(!store.objects("out").await.keys().any(|key| key.contains("/failed-")));
    store.revive(None);
    pipeline(&work, &store).run().await.unwrap();
    assert_eq!(store.writes(), [""; 0], "a rerun wrote something");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_a_stage_task_are_counted_until_it_is_done_and_then_forgotten() {
    failures_are_counted_until_done(Step::StagingFileGroups, "out/staging/.*/datalake/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_a_publish_task_are_counted_until_it_is_done_and_then_forgotten() {
    failures_are_counted_until_done(Step::DatalakeFileGroups, "out/lake/.*[.]parquet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_never_decide_what_is_done() {
    let (work, store) = bucket().await;
    pipeline(&work, &store).stage().await.unwrap();
    let plan = pipeline(&work, &store).plan().await.unwrap().remove(0);
    let now = "2026-01-31T00:00:00Z".to_owned();
    let task = |group| RunningTask { group, started_at: now.clone(), rows: 5 };
    // One process tells of a task that is done and of one that is not; another one of another plan; and there is rubbish.
    let (at, tasks) = (|| now.clone(), || vec![task(1), task(9)]);
    let running = |plan: &str| RunningTasks { plan: plan.to_owned(), at: at(), process: None, tasks: tasks() };
    trace::running(&plan.ledger, Step::StagingFileGroups, "a", running(&plan.details.id)).await;
    trace::running(&plan.ledger, Step::StagingFileGroups, "b", running("another")).await;
    let folder = plan.ledger.layout().summaries(Step::StagingFileGroups);
    for name in ["failed-1.json", "failed-2.json", "running-c.json"] {
        store.set(&format!("{}/{name}", folder.raw_key()), "rubbish".to_owned()).await;
    }
    // A task that failed once and is done, and one of another plan.
    for (group, plan) in [(3, plan.details.id.as_str()), (9, "another")] {
        let failure = json!({
            "version": 1, "group": group, "plan": plan, "attempt": 1, "at": now, "seconds": 1.0, "error": "no",
            "file": null, "partition": null,
        });
        store.set(&format!("{}/failed-{group}.json", folder.raw_key()), failure.to_string()).await;
    }
    let seen = status(&work, &store).await;
    assert_eq!(seen.stage.failures, [], "{seen:?}");
    assert_eq!((seen.stage.done, seen.stage.total, seen.stage.failed), (3, Some(3), 0), "{seen:?}");
    let reported: Vec<(usize, bool)> = seen.stage.running.iter().map(|task| (task.group, task.is_alive)).collect();
    assert_eq!(reported, [(9, false)], "{seen:?}");
    pipeline(&work, &store).run().await.unwrap();
    assert!(status(&work, &store).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_a_status_are_those_of_the_validation_and_known_before_it() {
    let (work, store) = bucket().await;
    pipeline(&work, &store).stage().await.unwrap();
    let staged = status(&work, &store).await.stage.sums.unwrap();
    assert_eq!((staged.rows_read, staged.rows_written), (90, 90));
    let reader = &mut StatusReader::new(&pipeline(&work, &store));
    assert_eq!(reader.read().await.unwrap()[0].stage.sums, Some(staged));
    assert_eq!(reader.read().await.unwrap()[0].stage.sums, Some(staged), "counted twice");
    pipeline(&work, &store).publish().await.unwrap();
    let complete = reader.read().await.unwrap().remove(0);
    assert_eq!(complete.stage.sums, Some(staged), "by the validation");
    assert_eq!(complete.publish.sums.unwrap().rows_written, 90);
    assert_eq!(complete.publish.sums.unwrap().bytes_read, staged.bytes_written);
    // That of another plan says nothing.
    let objects = store.objects("out").await;
    let (key, text) = objects.iter().find(|(key, _)| key.ends_with("/validation.json")).unwrap();
    let mut validation: Value = serde_json::from_slice(text).unwrap();
    (validation["plan"], validation["rows_read"]) = ("another".into(), 7.into());
    store.set(key, validation.to_string()).await;
    assert_eq!(status(&work, &store).await.stage.sums, Some(staged));
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_a_plan_that_was_given_up_are_forgotten() {
    let (work, store) = bucket().await;
    pipeline(&work, &store).stage().await.unwrap();
    let reader = &mut StatusReader::new(&pipeline(&work, &store));
    let rows = |status: &TableStatus| status.stage.sums.unwrap().rows_read;
    assert_eq!(rows(&reader.read().await.unwrap()[0]), 90);
    store.set("export/part-0.csv", events(0, 17)).await;
    replan(&pipeline(&work, &store), PublishedTables::Keep).await.unwrap();
    pipeline(&work, &store).stage().await.unwrap();
    assert_eq!(rows(&reader.read().await.unwrap()[0]), 92);
}

#[test]
fn watch_prints_what_has_changed_and_ends_when_all_is_complete() {
    let work = Work::events(4, 40);
    let mut watch = work.command(&["status", "--watch"]);
    let watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    work.snaplake(&["run", "--quiet"]).ok();
    let output = watch.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(output.status.success(), "{text}");
    assert!(lines.last().unwrap().ends_with(", complete"), "{text}");
    assert!(lines.windows(2).all(|pair| pair[0] != pair[1]), "{text}");

    let again = work.snaplake(&["status", "--watch", "--format", "json"]).ok();
    let status: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again.stdout.lines().count(), 1);
    assert_eq!((&status["version"], &status["tables"][0]["complete"]), (&Value::from(1), &Value::from(true)));
}

#[test]
fn secret_in_the_error_of_a_failed_task_is_not_kept() {
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let work = Work::new(EVENTS);
    work.write("export/part-0.csv", &format!("{}{SECRET},2026-01-01,x\n", events(0, 30)));
    let run = work.command(&["run"]).env("AWS_SECRET_ACCESS_KEY", SECRET).output().unwrap();
    assert!(!run.status.success());
    let traces: Vec<Vec<u8>> =
        work.files("out").into_iter().filter(|(path, _)| path.contains("/failed-")).map(|(_, bytes)| bytes).collect();
    assert_eq!(traces.len(), 1);
    let text = String::from_utf8(traces[0].clone()).unwrap();
    assert!(text.contains("***") && !text.contains(SECRET), "{text}");
}

#[test]
fn plan_estimates_by_done_tasks_or_an_earlier_snapshot_and_else_not_at_all() {
    let work = Work::events(6, 15);
    let config = std::fs::read_to_string(work.path("job.sql")).unwrap();
    let plan = || -> Value {
        let run = work.snaplake(&["plan", "--format", "json"]).ok();
        serde_json::from_str::<Value>(&run.stdout).unwrap()["tables"][0].take()
    };
    assert_eq!(plan()["estimate"], Value::Null);
    work.snaplake(&["stage", "--table", "events", "--group", "1"]).ok();
    let some = plan();
    assert!(some["estimate"]["stage_seconds"].as_f64() > Some(0.0), "{some:#}");
    assert_eq!(some["estimate"]["publish_seconds"], Value::Null, "{some:#}");
    assert_eq!(
        (&some["partitions"]["count"], &some["partitions"]["all_known"]),
        (&3.into(), &false.into()),
        "{some:#}"
    );
    work.snaplake(&["run", "--quiet"]).ok();
    let done = plan();
    assert_eq!((&done["estimate"], &done["complete"]), (&Value::Null, &true.into()), "{done:#}");
    assert_eq!((&done["partitions"]["count"], &done["partitions"]["all_known"]), (&3.into(), &true.into()));
    let undone = done["tasks"].as_array().unwrap().iter().filter(|task| task["done"] != true).count();
    assert_eq!((undone, done["tasks"].as_array().unwrap().len()), (0, 6), "{done:#}");

    // The next snapshot knows what the one before took.
    work.write("job.sql", &config.replace("2026-01-31", "2026-02-28"));
    let next = plan();
    assert_eq!(next["estimate"]["of_snapshot"], "2026-01-31T00:00:00Z", "{next:#}");
    assert!(next["estimate"]["publish_seconds"].as_f64() > Some(0.0), "{next:#}");
}
