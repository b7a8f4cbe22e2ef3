//! One attempt at a task, and what it leaves for people who watch ([`trace`]).
//!
//! ```text
//! begins               nothing is written
//! lasts                after 1 second and then every 10 one PUT for all tasks of a step that this process runs; one DELETE at the end
//! fails                one HEAD, one GET and one PUT: why, and which attempt it was
//! succeeds             nothing; where an earlier run had failed at it, one DELETE
//! ```
//!
//! So a task that goes well costs no request of its own, however many there are. A process that was killed stops
//! giving signs of life, which a mark at the start of a task could not tell. What fails here fails silently: no task
//! depends on it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::future::{Either, join_all, select};
use md5::{Digest, Md5};

use super::event::Event;
use super::run::Pipeline;
use super::under_way::{Job, TaskUnderWay, lock};
use crate::error::describe::describe;
use crate::error::redact::REDACTOR;
use crate::error::{Error, Result};
use crate::manifest::Process;
use crate::manifest::trace::{self, Failure, RunningTask, RunningTasks, SIGN_OF_LIFE};
use crate::write::OnRows;

/// When a process first tells that it is running.
const FIRST_SIGN: Duration = Duration::from_secs(1);

/// An attempt that is under way; over when it is dropped.
pub(super) struct Attempt<'a> {
    pipeline: &'a Pipeline,
    number: u64,
    now: Arc<TaskUnderWay>,
    began: Instant,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        lock(&self.pipeline.attempts.running).remove(&self.number);
    }
}

impl Attempt<'_> {
    /// Counts the rows that are written.
    pub(super) fn on_rows(&self) -> OnRows {
        let (reporter, now) = (Arc::clone(&self.pipeline.reporter), Arc::clone(&self.now));
        Arc::new(move |rows| {
            now.rows.fetch_add(rows, Ordering::Relaxed);
            reporter.on(&Event::Rows(rows));
        })
    }

    /// Leaves word of a failure, or takes away that of an earlier one.
    pub(super) async fn end<T>(self, result: Result<T>) -> Result<T> {
        let job = &self.now.job;
        match &result {
            Ok(_) if job.has_failed => {
                trace::remove(&job.ledger, &job.ledger.layout().failed(job.step, job.group)).await;
            }
            Ok(_) => {}
            Err(error) => {
                let partition = match error {
                    Error::Task { partition, .. } => partition.clone(),
                    _ => None,
                };
                let failure = Failure {
                    group: job.group,
                    plan: job.plan.clone(),
                    attempt: 0,
                    at: text(Utc::now()),
                    seconds: self.began.elapsed().as_secs_f64(),
                    error: REDACTOR.redact(&describe(error)).into_owned(),
                    file: file_of(error).map(|file| REDACTOR.redact(file).into_owned()),
                    partition,
                };
                trace::failed(&job.ledger, job.step, failure).await;
                self.pipeline.reporter.on(&Event::Failed { table: &job.table, step: job.step, group: job.group });
            }
        }
        result
    }
}

impl Pipeline {
    /// Begins an attempt.
    pub(super) fn attempt(&self, job: Job) -> Attempt<'_> {
        let number = self.attempts.begun.fetch_add(1, Ordering::Relaxed);
        let now = Arc::new(TaskUnderWay { job, began: Utc::now(), rows: AtomicU64::new(0) });
        lock(&self.attempts.running).insert(number, Arc::clone(&now));
        Attempt { pipeline: self, number, now, began: Instant::now() }
    }

    /// Does the work and gives signs of life meanwhile.
    pub(super) async fn alive<T>(&self, work: impl Future<Output = T>) -> T {
        let output = match select(pin!(work), pin!(self.signs_of_life())).await {
            Either::Left((output, _)) => output,
            Either::Right((never, _)) => match never {},
        };
        let reported = std::mem::take(&mut *lock(&self.attempts.reported));
        join_all(reported.iter().map(|(ledger, place)| trace::remove(ledger, place))).await;
        output
    }

    async fn signs_of_life(&self) -> Infallible {
        let began = Md5::digest(format!("{} {:?}", std::process::id(), Utc::now().timestamp_nanos_opt()));
        let process: String = began.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        tokio::time::sleep(FIRST_SIGN).await;
        loop {
            self.sign_of_life(&process).await;
            tokio::time::sleep(SIGN_OF_LIFE).await;
        }
    }

    /// One PUT per table and step of which a task is running.
    async fn sign_of_life(&self, process: &str) {
        let mut all: BTreeMap<String, (Arc<TaskUnderWay>, Vec<RunningTask>)> = BTreeMap::new();
        for now in lock(&self.attempts.running).values() {
            let place = now.job.ledger.layout().running(now.job.step, process);
            let task = RunningTask {
                group: now.job.group,
                started_at: text(now.began),
                rows: now.rows.load(Ordering::Relaxed),
            };
            all.entry(place.uri()).or_insert_with(|| (Arc::clone(now), Vec::new())).1.push(task);
        }
        for (now, tasks) in all.into_values() {
            let Job { ledger, step, plan, .. } = &now.job;
            let place = ledger.layout().running(*step, process);
            self.attempts.remember(ledger, place);
            let running = RunningTasks { plan: plan.clone(), at: text(Utc::now()), process: Process::here(), tasks };
            trace::running(ledger, *step, process, running).await;
        }
    }
}

/// The snapshot file that an error or one of its causes names.
fn file_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    let boxed = || error.downcast_ref::<Box<Error>>().map(AsRef::as_ref);
    match error.downcast_ref::<Error>().or_else(boxed) {
        Some(
            Error::Task { file: Some(file), .. }
            | Error::ReadSnapshotFile { uri: file, .. }
            | Error::InvalidValue { uri: file, .. }
            | Error::Malformed { uri: file, .. }
            | Error::TooLarge { uri: file, .. }
            | Error::RowsDiffer { uri: file, .. }
            | Error::Contradiction { uri: file, .. }
            | Error::ColumnCase { uri: file, .. },
        ) => Some(file),
        _ => error.source().and_then(file_of),
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use crate::layout::Step;
    use object_store::memory::InMemory;

    use super::super::Reporter;
    use super::*;
    use crate::config::{S3Settings, Variables, load};
    use crate::inspect::StatusReader;
    use crate::session::{Engine, EngineOptions, Stores};
    use crate::staging::plan::commit;

    struct Silent;

    impl Reporter for Silent {
        fn on(&self, _: &Event<'_>) {}
    }

    async fn planned() -> (Arc<Pipeline>, Job) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.csv"), "a\n1\n").unwrap();
        let config = "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
            SET snaplake.staging = 's3://b/staging'; SET snaplake.datalake = 's3://b/lake';
            CREATE EXTERNAL TABLE snapshot.t STORED AS CSV LOCATION 't.csv';
            CREATE TABLE lake.t AS SELECT a FROM snapshot.t;";
        std::fs::write(folder.path().join("job.sql"), config).unwrap();
        let project = load(&folder.path().join("job.sql"), &Variables::default()).unwrap();
        let stores = Stores::new(S3Settings::default());
        stores.insert("s3://b", Arc::new(InMemory::new()));
        let pipeline = Pipeline::new(project, Engine::new(stores, EngineOptions::default()), Arc::new(Silent));
        let plan = commit(pipeline.plan().await.unwrap().remove(0)).await.unwrap();
        let job = Job {
            ledger: plan.ledger.clone(),
            table: "t".to_owned(),
            plan: plan.details.id.clone(),
            step: Step::StagingFileGroups,
            group: 1,
            has_failed: false,
        };
        (pipeline, job)
    }

    #[tokio::test]
    async fn running_task_is_seen_with_its_rows_until_its_process_ends_well() {
        let (pipeline, job) = planned().await;
        let running = async || StatusReader::new(&pipeline).read().await.unwrap().remove(0).stage.running;
        pipeline.sign_of_life("5f").await;
        assert_eq!(running().await, [], "nothing runs");
        let attempt = pipeline.attempt(job.clone());
        attempt.on_rows()(40);
        attempt.on_rows()(2);
        let output = pipeline
            .alive(async {
                pipeline.sign_of_life("5f").await;
                pipeline.sign_of_life("5f").await;
                running().await
            })
            .await;
        assert_eq!((output.len(), output[0].group, output[0].rows, output[0].is_alive), (1, 1, 42, true));
        assert_eq!(running().await, [], "its sign of life stays");
        drop(attempt);
        pipeline.sign_of_life("5f").await;
        assert_eq!(running().await, []);
        assert_eq!(job.ledger.look(job.step).await.unwrap().running, []);
    }
}
