//! A crash at every write, before it and after it; then a rerun, which must make the same lake.
//!
//! The break points are found by counting the writes of an undisturbed run, so that none is forgotten: whatever the program
//! does to a store is one. What a real `kill -9` leaves on a real disk is the matter of `tests/outside/soak.py`.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use snaplake::config::S3Settings;
use snaplake::error::TaskStep;
use snaplake::layout::Step;
use snaplake::manifest::Manifest;
use snaplake::pipeline::TaskSpec;
use snaplake::session::Stores;
use snaplake::staging::plan::{GroupDetails, commit};
use snaplake::{Error, Pipeline};

use crate::merges::{Scope, change, export};
use crate::support::faulty::{Fault, Faulty, Stop};
use crate::support::{EVENTS, Work, events};

/// One bucket in memory with an export, and a config to read it.
pub(crate) struct Job {
    work: Work,
    pub(crate) store: Faulty,
    variables: Vec<(&'static str, &'static str)>,
}

impl Job {
    pub(crate) async fn new(tables: &str, files: usize, rows: usize) -> Self {
        let job = Self {
            work: Work::new(tables),
            store: Faulty::default(),
            variables: vec![("export", "s3://bucket/export"), ("out", "s3://bucket/out")],
        };
        for file in 0..files {
            job.store.set(&format!("export/part-{file}.csv"), events(file * rows, rows)).await;
        }
        job
    }

    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        let stores = Stores::new(S3Settings::default());
        stores.insert("s3://bucket", Arc::new(self.store.clone()));
        self.work.pipeline(stores, &self.variables)
    }

    /// One process; a panic is the end of it.
    async fn run(&self) -> Result<usize, Option<Error>> {
        let pipeline = self.pipeline();
        match AssertUnwindSafe(pipeline.run()).catch_unwind().await {
            Ok(Ok(reports)) => Ok(reports.iter().map(|report| report.tasks).sum()),
            Ok(Err(error)) => Err(Some(error)),
            Err(_) => Err(None),
        }
    }

    /// Lake and staging files with their content, manifests by name: they tell times.
    pub(crate) async fn outcome(&self) -> BTreeMap<String, Bytes> {
        let mut objects = self.store.objects("out").await;
        // Whoever is killed cannot take its sign of life away; nothing depends on it.
        objects.retain(|key, _| !key.contains("/running-"));
        for (_, content) in objects.iter_mut().filter(|(key, _)| key.contains("/manifests/")) {
            *content = Bytes::new();
        }
        objects
    }

    pub(crate) async fn clear(&self) {
        self.store.revive(None);
        for key in self.store.objects("out").await.into_keys() {
            self.store.unset(&key).await;
        }
    }
}

/// Stops at each of the `stops`, runs again, and compares.
async fn check(job: &Job, expected: &BTreeMap<String, Bytes>, stops: &[Stop], prepare: impl AsyncFn()) {
    assert!(!stops.is_empty());
    for stop in stops {
        job.clear().await;
        prepare().await;
        job.store.revive(Some(*stop));
        let broken = job.run().await;
        let writes = job.store.writes();
        let at = writes.get(stop.at - 1).cloned().unwrap_or_default();
        match broken {
            Err(_) => {}
            Ok(_) if stop.fault != Fault::Error => panic!("{stop:?} at {at} did not stop the run"),
            Ok(_) => {
                assert!(is_made_good(&job.store, *stop), "{stop:?} at {at} was passed over in silence");
                assert_eq!(different(&job.outcome().await, expected), [] as [&str; 0], "{stop:?} at {at}");
            }
        }
        job.store.revive(None);
        if let Err(error) = job.run().await {
            panic!("{stop:?} at {at}: the rerun failed: {error:?}");
        }
        assert_eq!(different(&job.outcome().await, expected), [] as [&str; 0], "{stop:?} at {at}");
        job.store.revive(None);
        assert_eq!(job.run().await.map_err(|error| format!("{error:?}")), Ok(0), "{stop:?} at {at}");
        assert_eq!(job.store.writes(), [] as [String; 0], "{stop:?} at {at}: a third run wrote something");
    }
}

/// Keys of what is not the same.
fn different(found: &BTreeMap<String, Bytes>, expected: &BTreeMap<String, Bytes>) -> Vec<String> {
    let differs = |key: &&String| found.get(*key) != expected.get(*key);
    found.keys().chain(expected.keys()).filter(differs).cloned().collect()
}

/// Whether a run that ended well although a write failed has made it once more, or has looked and found it done.
fn is_made_good(store: &Faulty, stop: Stop) -> bool {
    let writes = store.writes();
    let write = &writes[stop.at - 1];
    let key = write.split_once(' ').map_or("", |(_, key)| key);
    writes[stop.at..].contains(write) || (stop.is_done && store.was_looked_at(key))
}

/// Both sides of these writes.
fn around(writes: impl IntoIterator<Item = usize>, faults: &[Fault]) -> Vec<Stop> {
    let sides = |at| [false, true].map(|is_done| (at, is_done));
    let stops = writes.into_iter().flat_map(sides);
    stops.flat_map(|(at, is_done)| faults.iter().map(move |&fault| Stop { at, is_done, fault })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_stopped_at_any_write_gives_the_same_lake_when_run_again() {
    let job = Job::new(EVENTS, 6, 15).await;
    job.run().await.unwrap();
    let (expected, writes) = (job.outcome().await, job.store.writes().len());
    assert!(writes > 35, "{writes} writes");
    let stops = around(1..=writes, &[Fault::Error, Fault::Panic, Fault::Death]);
    check(&job, &expected, &stops, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_with_audits_stopped_at_any_write_gives_the_same_lake_when_run_again() {
    let rules = "WITH (not_null = ARRAY['id'], unique_key = ARRAY['id'], ";
    let job = Job::new(&EVENTS.replace("WITH (", rules), 4, 15).await;
    job.run().await.unwrap();
    let (expected, writes) = (job.outcome().await, job.store.writes());
    let at = writes.iter().position(|write| write.ends_with("/audits.json")).unwrap() + 1;
    assert!(writes[at..].iter().all(|write| !write.contains("/staging-file-groups/")), "{writes:?}");
    assert!(writes[..at].iter().all(|write| !write.contains("/lake/")), "{writes:?}");
    let stops = around(at - 1..=at + 1, &[Fault::Error, Fault::Panic, Fault::Death]);
    check(&job, &expected, &stops, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_whose_partitions_share_staging_files_can_be_stopped_and_gives_the_same_lake() {
    // Two groups with rows of nearly a thousand partitions each.
    let by_number = EVENTS.replace("SELECT id, day, note", "SELECT id, id % 997 AS day, note");
    let by_number = by_number.replace("-2000}", "-200000}");
    let job = Job::new(&by_number, 2, 2_500).await;
    job.run().await.unwrap();
    let (expected, writes) = (job.outcome().await, job.store.writes());
    assert!(writes.iter().filter(|write| write.contains("/bundle-")).count() > 200);
    let stops = around((1..=writes.len()).step_by(writes.len() / 7), &[Fault::Panic, Fault::Death]);
    check(&job, &expected, &stops, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_that_replaces_another_one_can_be_stopped_at_any_write() {
    let mut job = Job::new(EVENTS, 6, 15).await;
    job.variables.push(("group", "100000"));
    job.run().await.unwrap();
    let expected = job.outcome().await;
    let old = Job { work: Work::new(EVENTS), store: job.store.clone(), variables: job.variables[..2].to_vec() };
    let plan_of_old = async || {
        commit(old.pipeline().plan().await.unwrap().remove(0)).await.unwrap();
    };
    job.clear().await;
    plan_of_old().await;
    job.store.revive(None);
    job.run().await.unwrap();
    let writes = job.store.writes().len();
    // Group manifests of the old plan that the new one has no use for stay where they are: nothing counts them.
    let stops = around(1..=writes, &[Fault::Death]);
    let mut expected_with_old = expected;
    expected_with_old.extend(job.outcome().await.into_iter().filter(|(key, _)| key.contains("/snapshot-file-groups/")));
    check(&job, &expected_with_old, &stops, plan_of_old).await;
}

/// One staging file of several parts.
const LARGE: &str = "
    CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
    STORED AS CSV LOCATION '${export}/' OPTIONS ('format.has_header' 'true');
    CREATE TABLE lake.events WITH (sorted_by = ARRAY['id']) AS SELECT id, note FROM snapshot.events;
";

#[tokio::test(flavor = "multi_thread")]
async fn upload_in_parts_can_be_stopped_at_any_part() {
    let job = Job::new(LARGE, 2, 190_000).await;
    job.run().await.unwrap();
    let expected = job.outcome().await;
    let writes = job.store.writes();
    let kinds = ["begin ", "part ", "complete "];
    let count = |kind: &str| writes.iter().filter(|write| write.starts_with(kind)).count();
    let [begun, parts, completed] = kinds.map(count);
    assert!(begun >= 1 && parts >= 2 && completed >= 1, "{writes:?}");
    let is_of_upload = |at: &usize| kinds.iter().any(|kind| writes[at - 1].starts_with(kind));
    let stop = |at| Stop { at, is_done: false, fault: Fault::Death };
    let stops: Vec<Stop> = (1..=writes.len()).filter(is_of_upload).map(stop).collect();
    check(&job, &expected, &stops, async || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stage_task_ends_well_where_a_planner_that_lost_has_just_written_its_own_groups() {
    let job = Job::new(EVENTS, 6, 15).await;
    // The other one cuts groups in its own way, so that a mistake shows in the rows.
    let mut other = Job { work: Work::new(EVENTS), store: job.store.clone(), variables: job.variables.clone() };
    other.variables.push(("group", "100000"));
    let (won, lost) =
        (job.pipeline().plan().await.unwrap().remove(0), other.pipeline().plan().await.unwrap().remove(0));
    assert_ne!(won.groups.len(), lost.groups.len());
    let won = commit(won).await.unwrap();
    for (group, files) in (1..).zip(lost.groups.iter()) {
        let details = GroupDetails { table: "events".to_owned(), group, plan: lost.details.id.clone() };
        let target = lost.ledger.layout().manifest(Step::SnapshotFileGroups, group);
        lost.ledger.write(&target, &Manifest::new(files.cloned().collect(), details)).await.unwrap();
    }
    for group in 1..=won.groups.len() {
        let pipeline = job.pipeline();
        let task = TaskSpec::new(pipeline.project(), "events", TaskStep::Stage, group);
        assert!(pipeline.run_task(&task).await.unwrap().ran, "group {group}");
    }
    assert_eq!(job.pipeline().run().await.unwrap()[0].validation.footer_rows, 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_of_exports_stopped_at_any_write_gives_the_same_rows_when_run_again() {
    let tables = "
        CREATE EXTERNAL TABLE snapshot.users (pk VARCHAR, v BIGINT) STORED AS DYNAMODB_EXPORT
        LOCATION ('${export}/AWSDynamoDB/full/', '${export}/AWSDynamoDB/a/');
        CREATE TABLE lake.users WITH (sorted_by = ARRAY['pk']) AS SELECT pk, v FROM snapshot.users;
    ";
    let job = Job::new(tables, 0, 0).await;
    let key = |number: usize| format!(r#"{{"pk":{{"S":"{number:03}"}}}}"#);
    let item = |number: usize| format!("{{\"Item\":{}}}\n", key(number));
    let put = |number: usize| {
        let image = format!(r#"{{"pk":{{"S":"{number:03}"}},"v":{{"N":"{number}"}}}}"#);
        change(1, number as u64, &key(number), (!number.is_multiple_of(3)).then_some(image.as_str()))
    };
    let full = export("full", "users", &Scope::Full(1), &[&(0..60).map(item).collect::<String>()]);
    let changes = export("a", "users", &Scope::Incremental(1, 2), &[&(40..80).map(put).collect::<String>()]);
    for (key, bytes) in full.into_iter().chain(changes) {
        job.store.set(&format!("export/{key}"), bytes).await;
    }
    // Names of files are those of a try, so contents are compared.
    let lake = async || -> Vec<Bytes> {
        let mut all: Vec<Bytes> = job
            .store
            .objects("out/lake")
            .await
            .into_iter()
            .filter(|(key, _)| key.ends_with(".parquet"))
            .map(|(_, of)| of)
            .collect();
        all.sort();
        all
    };
    job.run().await.unwrap();
    let (expected, writes) = (lake().await, job.store.writes());
    let at = writes.iter().position(|write| write.ends_with("/merged-export.json")).unwrap() + 1;
    assert!(writes[..at].iter().all(|write| write.contains("/_merged/")), "{writes:?}");
    for stop in around(1..=at + 2, &[Fault::Error, Fault::Panic, Fault::Death]) {
        job.clear().await;
        job.store.revive(Some(stop));
        let _ = job.run().await;
        job.store.revive(None);
        if let Err(error) = job.run().await {
            panic!("{stop:?}: the rerun failed: {error:?}");
        }
        assert!(lake().await == expected, "{stop:?}");
    }
}
