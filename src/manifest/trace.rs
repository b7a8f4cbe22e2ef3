//! Traces of tasks that are running or failed: small files beside the summaries, for people who watch.
//!
//! ```text
//! manifest-summary/manifest-summary-1.json    done: the only kind that counts
//!                  failed-2.json              the last attempt failed: why, and which attempt it was
//!                  running-5f3a09c1.json      what one process is at, written anew every 10 seconds
//! ```
//!
//! Nothing decides by a trace: a task is done when its summary exists, whatever is here. So a trace that cannot be
//! written or read is no error, one of a task that is done is passed over, and so is one of another plan. There are
//! never more than one per task and one per process, and `clean` knows them. No trace names a host or holds a secret.
//! Only who would give up a plan asks whether a process is at work on it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Ledger;
pub use super::process::Process;
use crate::error::{Error, Result};
use crate::layout::{Location, Step};

/// Form of the traces.
const VERSION: u32 = 1;

/// Longest error text that is kept, in bytes.
const ERROR_BYTES: usize = 4096;

/// Why the last attempt at a task failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Group number.
    pub group: usize,
    /// Id of the plan that the task belongs to.
    pub plan: String,
    /// How often the task failed so far.
    pub attempt: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Wall time until then.
    pub seconds: f64,
    /// The error with its causes, without secrets.
    pub error: String,
    /// The snapshot file at fault, where one was found.
    pub file: Option<String>,
    /// Hive path of the partition, of a publish task.
    pub partition: Option<String>,
}

/// What one process is running of one step of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTasks {
    /// Id of the plan that the tasks belong to.
    pub plan: String,
    /// When this was written, RFC 3339.
    pub at: String,
    /// The process, where the system can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The tasks.
    pub tasks: Vec<RunningTask>,
}

impl RunningTasks {
    /// Whether the process is taken to live: one of this machine if it is there and not stopped, one of another machine
    /// by how long ago it wrote this. Clocks may differ by a little.
    #[must_use]
    pub fn is_alive(&self, now: DateTime<Utc>) -> bool {
        let silence = DateTime::parse_from_rfc3339(&self.at).map(|at| now.signed_duration_since(at));
        let longest = TimeDelta::from_std(LONGEST_SILENCE).unwrap_or_default();
        let is_recent = silence.is_ok_and(|silence| silence < longest);
        is_recent && self.process.as_ref().and_then(Process::is_there).unwrap_or(true)
    }
}

/// How often a process reports its running tasks.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A process that was silent for so long is taken for dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Refuses to give up a plan of which another process says that it is running tasks.
///
/// # Errors
/// [`Error::RunGoesOn`]; those of the ledger.
pub(crate) async fn refuse_running(ledger: &Ledger, table: &str) -> Result<()> {
    let now = Utc::now();
    for step in [Step::StagingFileGroups, Step::DatalakeFileGroups] {
        for place in ledger.look(step).await?.running {
            let reported = read::<RunningTasks>(ledger, &place).await.filter(|reported| reported.is_alive(now));
            if let Some(RunningTasks { at, tasks, .. }) = reported {
                let (table, step) = (table.to_owned(), step.task());
                return Err(Error::RunGoesOn { table, step, tasks: tasks.len(), at });
            }
        }
    }
    Ok(())
}

/// A task that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTask {
    /// Group number.
    pub group: usize,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// Rows that it has written so far.
    pub rows: u64,
}

#[derive(Serialize, Deserialize)]
struct VersionedTrace<T> {
    version: u32,
    #[serde(flatten)]
    trace: T,
}

/// Leaves word of a failed attempt, unless the task is done all the same: one HEAD, one GET and one PUT.
/// `failure.attempt` is set to one more than what is there.
pub async fn failed(ledger: &Ledger, step: Step, mut failure: Failure) {
    if ledger.is_committed(&ledger.layout().manifest(step, failure.group)).await.unwrap_or(true) {
        return;
    }
    let place = ledger.layout().failed(step, failure.group);
    let before = read::<Failure>(ledger, &place).await.filter(|before| before.plan == failure.plan);
    failure.attempt = before.map_or(0, |before| before.attempt) + 1;
    failure.error.truncate(failure.error.floor_char_boundary(ERROR_BYTES));
    write(ledger, &place, failure).await;
}

/// Tells what a process is running: one PUT.
pub async fn running(ledger: &Ledger, step: Step, process: &str, running: RunningTasks) {
    write(ledger, &ledger.layout().running(step, process), running).await;
}

/// Takes a trace away: one DELETE.
pub async fn remove(ledger: &Ledger, place: &Location) {
    if let Err(error) = ledger.remove_file(place).await {
        tracing::debug!(%error, "a trace stays that should go; nothing decides by it");
    }
}

/// A trace, if it is there and can be read.
pub async fn read<T: DeserializeOwned>(ledger: &Ledger, place: &Location) -> Option<T> {
    let bytes = ledger.read_file(place).await.ok()??;
    let found: VersionedTrace<T> = serde_json::from_slice(&bytes).ok()?;
    (found.version == VERSION).then_some(found.trace)
}

async fn write(ledger: &Ledger, place: &Location, trace: impl Serialize) {
    let Ok(bytes) = serde_json::to_vec_pretty(&VersionedTrace { version: VERSION, trace }) else { return };
    if let Err(error) = ledger.write_file(place, bytes.into()).await {
        tracing::debug!(%error, "a trace could not be written; nothing decides by it");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::layout::{SnapshotFolder, TableLayout};

    const STEP: Step = Step::StagingFileGroups;

    fn ledger() -> Ledger {
        let at = Location::parse("s3://b/st", Path::new("/")).unwrap();
        let layout = TableLayout::new(
            &at,
            &at,
            ("d", "public", "t"),
            (&SnapshotFolder::default(), "2013-01-01T00:00:00Z"),
            None,
        );
        Ledger::new(Arc::new(InMemory::new()), layout)
    }

    fn failure(plan: &str, error: &str) -> Failure {
        Failure {
            group: 2,
            plan: plan.to_owned(),
            attempt: 0,
            at: "2013-01-01T00:00:00Z".to_owned(),
            seconds: 0.5,
            error: error.to_owned(),
            file: None,
            partition: None,
        }
    }

    #[tokio::test]
    async fn attempts_of_one_plan_are_counted_and_their_text_is_bounded() {
        let ledger = ledger();
        let place = ledger.layout().failed(STEP, 2);
        for (plan, attempt) in [("a", 1), ("a", 2), ("b", 1)] {
            failed(&ledger, STEP, failure(plan, &"é".repeat(5000))).await;
            let found = read::<Failure>(&ledger, &place).await.unwrap();
            assert_eq!((found.attempt, found.error.len()), (attempt, 4096));
        }
        assert_eq!(ledger.look(STEP).await.unwrap().failed, [2].into());
        remove(&ledger, &place).await;
        remove(&ledger, &place).await;
        assert!(ledger.look(STEP).await.unwrap().failed.is_empty());
    }

    #[tokio::test]
    async fn damaged_trace_and_one_of_another_version_are_passed_over() {
        let ledger = ledger();
        let place = ledger.layout().failed(STEP, 2);
        for text in ["", "{}", r#"{"version": 2, "plan": "a", "at": "", "tasks": []}"#] {
            ledger.write_file(&place, bytes::Bytes::from_static(text.as_bytes())).await.unwrap();
            assert_eq!(read::<RunningTasks>(&ledger, &place).await, None, "{text}");
        }
        failed(&ledger, STEP, failure("a", "e")).await;
        assert_eq!(read::<Failure>(&ledger, &place).await.unwrap().attempt, 1);
    }

    #[tokio::test]
    async fn neither_makes_a_task_done() {
        let ledger = ledger();
        failed(&ledger, STEP, failure("a", "e")).await;
        let at = "2013-01-01T00:00:00Z".into();
        let now = RunningTasks { plan: "a".into(), at, process: None, tasks: Vec::new() };
        running(&ledger, STEP, "5f", now.clone()).await;
        let seen = ledger.look(STEP).await.unwrap();
        assert!(seen.done.is_empty());
        assert_eq!(seen.running, [ledger.layout().running(STEP, "5f")]);
        assert_eq!(read::<RunningTasks>(&ledger, &seen.running[0]).await, Some(now));
    }

    #[test]
    fn process_is_taken_to_live_until_it_misses_three_signs_or_is_gone() {
        let now = DateTime::parse_from_rfc3339("2026-01-31T00:01:00Z").unwrap().with_timezone(&Utc);
        let is_alive = |at: &str, process: Option<Process>| {
            RunningTasks { plan: "a".into(), at: at.into(), process, tasks: Vec::new() }.is_alive(now)
        };
        assert!(is_alive("2026-01-31T00:00:31Z", None));
        assert!(!is_alive("2026-01-31T00:00:29Z", None));
        assert!(is_alive("2026-01-31T00:01:05Z", None), "a clock that is ahead");
        assert!(!is_alive("soon", None));
        if let Some(here) = Process::here() {
            assert!(is_alive("2026-01-31T00:00:31Z", Some(here.clone())));
            let (gone, far) = (Process { began: 1, ..here.clone() }, Process { machine: "ab".into(), ..here });
            assert!(!is_alive("2026-01-31T00:00:31Z", Some(gone)));
            assert!(is_alive("2026-01-31T00:00:31Z", Some(far)));
        }
    }

    #[tokio::test]
    async fn plan_with_a_living_process_is_not_given_up() {
        let ledger = ledger();
        refuse_running(&ledger, "t").await.unwrap();
        let reported = |at: DateTime<Utc>| RunningTasks {
            plan: "a".into(),
            at: at.to_rfc3339(),
            process: None,
            tasks: Vec::new(),
        };
        running(&ledger, STEP, "5f", reported(Utc::now() - TimeDelta::seconds(40))).await;
        refuse_running(&ledger, "t").await.unwrap();
        running(&ledger, STEP, "5e", reported(Utc::now())).await;
        assert!(matches!(refuse_running(&ledger, "t").await, Err(Error::RunGoesOn { .. })));
    }
}
