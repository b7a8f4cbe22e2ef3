//! Tasks from their specs alone: in another process, without the config, and by a runner of our own.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use snaplake::config::{S3Settings, Variables, load};
use snaplake::error::Result;
use snaplake::pipeline::{PlannedTask, TaskReport, TaskRunner, TaskSpec, run_task};
use snaplake::session::{Engine, EngineOptions, Stores};
use snaplake::{Error, Pipeline};

use crate::support::{Run, Silent, Work, program};

/// Runs `snaplake task` with these lines, in a folder of its own.
fn task(lines: &str, arguments: &[&str]) -> Run {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = program();
    command.arg("task").args(arguments).current_dir(elsewhere.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn tasks_run_from_their_specs_in_other_processes_after_the_config_is_gone() {
    let work = Work::events(3, 40);
    work.snaplake(&["run", "--var", "out=expected"]).ok();
    let stage = work.snaplake(&["stage", "--print-tasks"]).ok().stdout;
    assert!(stage.lines().count() >= 2, "{stage}");
    assert!(stage.lines().all(|line| line.len() < 4096 && line.starts_with("{\"version\":1,")), "{stage}");
    let config = fs::read_to_string(work.path("job.sql")).unwrap();
    fs::remove_file(work.path("job.sql")).unwrap();
    for line in stage.lines() {
        assert!(task(line, &[]).ok().stdout.ends_with(": done\n"));
    }
    let again = task(&stage, &["--format", "json"]).ok().stdout;
    assert_eq!(again.matches("\"ran\":false").count(), stage.lines().count(), "{again}");
    work.write("job.sql", &config);
    assert_eq!(work.snaplake(&["stage", "--print-tasks"]).ok().stdout, "");
    let publish = work.snaplake(&["publish", "--print-tasks"]).ok().stdout;
    assert_eq!(publish.lines().count(), 3, "{publish}");
    fs::remove_file(work.path("job.sql")).unwrap();
    task(&publish, &[]).ok();
    work.write("job.sql", &config);
    work.snaplake(&["publish"]).ok();
    assert!(work.files("out/lake") == work.files("expected/lake"));
}

#[test]
fn spec_keeps_variables_models_and_relative_folders_but_no_value_of_the_environment() {
    let work = Work::new("");
    let secret = "hunter22-hunter22";
    work.write("export/a.csv", "id,who\n1,hunter22-hunter22\n2,b\n");
    work.write("configs/job.sql", "SET snaplake.database = 'shop'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
        SET snaplake.staging = '../${out}/staging'; SET snaplake.datalake = '../${out}/lake'; SET snaplake.models = '../sql/*.sql';");
    work.write(
        "sql/t.sql",
        "CREATE EXTERNAL TABLE snapshot.t (id BIGINT, who VARCHAR) STORED AS CSV LOCATION '../export/'
        OPTIONS ('format.has_header' 'true');
        CREATE TABLE lake.t AS SELECT id FROM snapshot.t WHERE who = '${env:WHO}';",
    );
    let mut command = program();
    command
        .args(["stage", "configs/job.sql", "--print-tasks", "--var", "out=made"])
        .current_dir(work.path(""))
        .env("WHO", secret);
    let printed = Run::from(command.output().unwrap()).ok().stdout;
    assert!(printed.contains("${env:WHO}") && !printed.contains(secret), "{printed}");
    work.write("task.json", &printed);
    let run = |who: Option<&str>| {
        let mut command = program();
        command.args(["task", "task.json"]).current_dir(work.path("")).env_remove("WHO");
        if let Some(who) = who {
            command.env("WHO", who);
        }
        Run::from(command.output().unwrap())
    };
    run(None).failed(2, &["sql/t.sql:3", "WHO"]);
    run(Some("another")).failed(1, &["value of an environment variable"]);
    run(Some(secret)).ok();
    assert!(
        work.files("made/staging")
            .keys()
            .any(|name| name.ends_with("000000.parquet") || name.ends_with("0000.parquet"))
    );
}

#[test]
fn what_is_no_task_is_refused_with_what_to_do() {
    task("{\"version\":9,\"written_by\":\"snaplake 9.9.9\"}", &[]).failed(1, &["snaplake 9.9.9", "version 9"]);
    task("hello", &[]).failed(1, &["not a task", "help: pass the lines"]);
    task("{\"version\":1,\"written_by\":\"x\",\"table\":\"t\",\"step\":\"merge\",\"group\":1,\"config\":{}}", &[])
        .failed(1, &["merge"]);
    assert_eq!(task("", &[]).ok().stdout, "");
    let work = Work::events(1, 6);
    let line = work.snaplake(&["stage", "--print-tasks"]).ok().stdout;
    task(&line.replace("\"group\":1,", "\"group\":7,"), &[]).failed(2, &["lake.events", "7"]);
    task(&line.replace("\"table\":\"events\"", "\"table\":\"others\""), &[]).failed(1, &["others"]);
}

/// Runs each task as another process would: from the JSON of its spec, with an engine of its own.
#[derive(Debug, Default)]
struct Remote(Arc<Mutex<Vec<String>>>);

impl TaskRunner for Remote {
    fn run(&self, tasks: Vec<PlannedTask>) -> BoxFuture<'static, Result<Vec<TaskReport>>> {
        let seen = Arc::clone(&self.0);
        Box::pin(async move {
            let mut reports = Vec::new();
            for task in tasks {
                let json = task.spec.to_json()?;
                let spec = TaskSpec::from_json(&json)?;
                assert_eq!(spec, task.spec);
                seen.lock().unwrap().push(format!("{} {}", spec.step, spec.group));
                let engine = Arc::new(Engine::new(Stores::new(S3Settings::default()), EngineOptions::default()));
                let report = serde_json::to_string(&run_task(&spec, &engine).await?).unwrap();
                reports.push(serde_json::from_str(&report).unwrap());
            }
            Ok(reports)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_with_a_runner_of_other_processes_makes_the_same_lake() {
    let work = Work::events(3, 40);
    work.snaplake(&["run", "--var", "out=expected"]).ok();
    let named = [("export", "export"), ("out", "out")]
        .map(|(name, folder)| (name.to_owned(), work.path(folder).to_str().unwrap().to_owned()));
    let project = load(&work.path("job.sql"), &Variables { named: named.into(), ..Variables::default() }).unwrap();
    let engine = Engine::new(Stores::new(S3Settings::default()), EngineOptions::default());
    let remote = Remote::default();
    let seen = Arc::clone(&remote.0);
    let pipeline = Pipeline::with_runner(project, engine, Arc::new(Silent), Arc::new(remote));
    let reports = pipeline.run().await.unwrap();
    assert_eq!(reports[0].validation.footer_rows, 120);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), reports[0].tasks);
    assert!(seen.contains(&"stage 2".to_owned()) && seen.contains(&"publish 3".to_owned()), "{seen:?}");
    assert!(work.files("out/lake") == work.files("expected/lake"));
    let other = pipeline.project().lakes[0].name.clone();
    let spec = TaskSpec::new(pipeline.project(), &other, snaplake::error::TaskStep::Stage, 99);
    let engine = Arc::new(Engine::new(Stores::default(), EngineOptions::default()));
    assert!(matches!(run_task(&spec, &engine).await, Err(Error::NoSuchGroup { number: 99, .. })));
}
