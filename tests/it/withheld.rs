//! Values of `${env:...}` in SELECTs, helper views and audits stand nowhere but in the rows that are made of them; a changed
//! value is noticed all the same.

use std::process::Command;

use snaplake::config::{Variables, load};
use snaplake::session::{Engine, EngineOptions, Stores};
use snaplake::staging::plan::{PlanDetails, Planner, StagePlan};

use crate::support::{Run, Work};

const VALUE: &str = "Hunter2hunter/2+x";

const JOB: &str = "
    CREATE EXTERNAL TABLE snapshot.t (id BIGINT, k VARCHAR) STORED AS CSV LOCATION 'export/'
    OPTIONS ('format.has_header' 'true');
    CREATE VIEW peppered AS SELECT id, k, md5(concat(k, '${env:PEPPER}')) AS h FROM snapshot.t;
    CREATE TABLE lake.t WITH (partitioned_by = ARRAY['k'], sorted_by = ARRAY['id'], not_null = ARRAY['id']) AS
    SELECT id, k, h, concat('x', upper('${env:PEPPER}')) = k AS is_known FROM peppered WHERE k <> '${env:PEPPER}y';
    CREATE VIEW audit.no_pepper AS SELECT id FROM staging.t WHERE h = '${env:PEPPER}' OR k = '${env:SHORT:-abc}';
";

/// All that commands say and keep for people.
const COMMANDS: [&[&str]; 18] = [
    &["plan", "-vvv", "--explain"],
    &["plan", "--explain", "--format", "json"],
    &["run", "-vvv"],
    &["run", "-vvv", "--log-format", "json", "--format", "json"],
    &["status", "-vvv", "--format", "json"],
    &["audit", "-vvv", "--format", "json"],
    &["validate", "--deep", "-vvv"],
    &["report", "-vvv"],
    &["report", "-v", "--format", "json"],
    &["report", "-vvv", "--openlineage", "-"],
    &["query", "-vvv", "-c", "SELECT * FROM lake.t", "-c", "SELECT h FROM peppered"],
    &["query", "-c", "SELECT * FROM manifest.tasks", "--format", "json"],
    &["query", "-c", "SELECT * FROM information_schema.views", "-c", "SELECT * FROM information_schema.columns"],
    &["query", "-c", "SHOW CREATE TABLE peppered", "-c", "SHOW CREATE TABLE audit.no_pepper"],
    &["query", "-vvv", "-c", "EXPLAIN ANALYZE VERBOSE SELECT count(*) FROM lake.t"],
    &["clean", "-vvv", "--older-than", "0s"],
    &["run", "-vvv", "--replan", "--withdraw"],
    &["run"],
];

fn work(job: &str) -> Work {
    let work = Work::new(&format!("SET snaplake.verify = 'checksum';{job}"));
    work.write("export/a.csv", "id,k\n1,a\n2,b\n");
    work
}

fn run(command: &mut Command, value: &str) -> Run {
    let run = Run::from(command.env("PEPPER", value).env("RUST_LOG", "trace").output().unwrap());
    for text in [&run.stdout, &run.stderr] {
        search(&format!("{command:?}").replace(VALUE, "*"), text.as_bytes());
    }
    run
}

#[track_caller]
fn search(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let encoded = VALUE.replace('/', "%2F").replace('+', "%2B");
    for needle in [VALUE, &VALUE.to_uppercase(), &VALUE.to_lowercase(), &encoded] {
        assert!(!text.contains(needle), "{what} shows {needle}:\n{text}");
    }
}

#[track_caller]
fn search_files(work: &Work) {
    for (path, bytes) in work.files("out") {
        search(&path, &bytes);
    }
}

#[test]
fn value_in_queries_is_in_nothing_that_is_reported_or_kept() {
    let work = work(JOB);
    for arguments in COMMANDS {
        run(&mut work.command(arguments), VALUE).ok();
        search_files(&work);
    }
    assert!(work.listing("out/lake").contains("_SUCCESS"));
    let plan = run(&mut work.command(&["plan", "--explain"]), VALUE).ok().stdout;
    assert!(plan.contains("${env:PEPPER}"), "{plan}");
    let views = run(&mut work.command(&["query", "-c", "SHOW CREATE TABLE peppered"]), VALUE).ok().stdout;
    assert!(views.contains("${env:PEPPER}"), "{views}");
    for select in ["EXPLAIN SELECT * FROM peppered", "EXPLAIN ANALYZE SELECT * FROM audit.no_pepper"] {
        run(&mut work.command(&["query", "-c", select]), VALUE).failed(1, &["EXPLAIN", "${env:PEPPER}", "view"]);
    }
}

#[test]
fn value_that_makes_a_task_fail_is_in_no_message_and_no_trace() {
    for (column, step) in [
        ("CAST(concat(k, '${env:PEPPER}') AS BIGINT)", "stage"),
        ("CAST('${env:PEPPER}' AS BIGINT)", "run"),
        ("CAST(upper(concat(k, '${env:PEPPER}')) AS DATE)", "run"),
    ] {
        let (before, rest) = JOB.split_once("SELECT id, k, h, concat").unwrap();
        let (_, after) = rest.split_once(';').unwrap();
        let work = work(&format!("{before}SELECT id, k, {column} AS h FROM snapshot.t;{after}"));
        let failed = run(&mut work.command(&[step, "-vvv"]), VALUE);
        assert_ne!(failed.code, 0, "{column}");
        assert!(failed.stderr.contains("***"), "{column}: {}", failed.stderr);
        search_files(&work);
        run(&mut work.command(&["status", "--format", "json"]), VALUE);
    }
}

#[test]
fn mistake_beside_a_value_is_reported_with_the_name_of_the_variable() {
    for (good, bad, words) in [
        ("<> '${env:PEPPER}y'", "= '${env:PEPPER}' '${env:PEPPER}'", &["${env:PEPPER}"][..]),
        ("AS h FROM snapshot.t", "FROM snapshot.t", &["${env:PEPPER}", "AS name"]),
        ("SELECT id FROM staging.t", "SELECT '${env:PEPPER}', id FROM staging.t", &["${env:PEPPER}", "AS name"]),
        ("AS is_known", "AS is_known, named_struct('${env:PEPPER}', id) AS s", &["${env:PEPPER}", "AS name"]),
        ("AS is_known", "AS is_known, CAST('${env:PEPPER}' AS TIMESTAMP) + 1 AS s", &[]),
    ] {
        assert!(JOB.contains(good));
        let work = work(&JOB.replace(good, bad));
        run(&mut work.command(&["run", "-vvv"]), VALUE).failed(2, words).failed(2, &["job.sql:"]);
        search_files(&work);
    }
}

#[test]
fn changed_value_is_a_changed_plan_and_the_same_value_gives_the_same_lake() {
    let work = work(JOB);
    let lake = || work.files("out/lake");
    run(&mut work.command(&["run"]), VALUE).ok();
    let first = lake();
    let plan = |work: &Work| {
        let files = work.files("out/staging");
        let (_, summary) = files.iter().find(|(path, _)| path.ends_with("manifests/manifest-summary.json")).unwrap();
        String::from_utf8(summary.clone()).unwrap()
    };
    let message = plan(&work);
    run(&mut work.command(&["run"]), "another pepper").failed(1, &["lake.t", "environment variable"]);
    assert!(run(&mut work.command(&["run"]), VALUE).ok().stderr.contains("nothing to do") || lake() == first);

    std::fs::remove_dir_all(work.path("out")).unwrap();
    run(&mut work.command(&["run"]), VALUE).ok();
    assert_eq!(lake(), first, "another lake from the same value");
    assert_ne!(plan(&work), message, "the salt is not random");

    std::fs::remove_dir_all(work.path("out")).unwrap();
    run(&mut work.command(&["run"]), "another pepper").ok();
    let data = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        files.keys().filter(|path| path.ends_with(".parquet")).cloned().collect::<Vec<_>>()
    };
    assert!(data(&lake()).iter().all(|path| !data(&first).contains(path)), "another value, the same names");
}

/// The plan of the job with this value.
async fn planned(
    work: &Work,
    environment: fn(&str) -> Option<String>,
) -> (Engine, snaplake::config::Project, StagePlan) {
    let project = load(&work.path("job.sql"), &Variables { environment, ..Variables::default() }).unwrap();
    let engine = Engine::new(Stores::new(project.settings.s3.clone()), EngineOptions::default());
    let plan = Planner::new(&engine, &project).plan(&project.lakes[0]).await.unwrap();
    (engine, project, plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_of_an_earlier_version_which_has_the_value_is_gone_on_with_while_it_is_the_same() {
    let work = work(JOB);
    let (engine, project, plan) = planned(&work, |name| (name == "PEPPER").then(|| VALUE.to_owned())).await;
    let check = |details: &PlanDetails| Planner::new(&engine, &project).check_unchanged(details, &project.lakes[0]);
    check(&plan.details).unwrap();
    let mut old = plan.details.clone();
    old.environment = None;
    check(&old).unwrap_err();
    old.select = old.select.replace("${env:PEPPER}", VALUE);
    check(&old).unwrap();
    old.select = old.select.replace(VALUE, "another");
    check(&old).unwrap_err();

    // Without variables nothing is new in a plan.
    work.write("job.sql", &std::fs::read_to_string(work.path("job.sql")).unwrap().replace("${env:", "$${env:"));
    let (.., plan) = planned(&work, |_| None).await;
    let text = serde_json::to_string(&plan.details).unwrap();
    assert!(!text.contains("\"environment\""), "{text}");
}
