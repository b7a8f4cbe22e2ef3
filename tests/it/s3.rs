//! The store suite over S3, and the main job with input, staging and lake on S3.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::stores::{QUOTED, conformance};
use crate::support::s3_server::Server;
use crate::support::{EVENTS, Run, Work, events, mask};

conformance!(QUOTED, name => (Server::of_test(name).store(), ()));

/// A server with the export of a few files, and the config to read it.
async fn job(name: &str) -> (Server, Work) {
    let (server, work) = (Server::of_test(name), Work::new(EVENTS));
    let store = server.store();
    for file in 0..4 {
        let path = Path::from(format!("export/part-{file:05}.csv"));
        store.put(&path, PutPayload::from(events(file * 40, 40))).await.unwrap();
    }
    (server, work)
}

fn snaplake(server: &Server, work: &Work, arguments: &[&str]) -> Run {
    let [export, out] = ["export", "out"].map(|part| format!("{part}={}/{part}", server.url()));
    let mut command = work.command(arguments);
    server.configure(command.args(["--var", &export, "--var", &out]));
    command.output().unwrap().into()
}

async fn objects(store: &dyn ObjectStore, folder: &str) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    for meta in store.list(Some(&Path::from(folder))).try_collect::<Vec<_>>().await.unwrap() {
        found.insert(meta.location.to_string(), store.get(&meta.location).await.unwrap().bytes().await.unwrap());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn job_with_input_staging_and_lake_on_s3_gives_a_lake_that_reads_back() {
    let (server, work) = job("job").await;
    snaplake(&server, &work, &["stage"]).ok();
    let read = ["query", "--format", "csv", "-c"];
    let sql = "SELECT day, count(*) AS n, count(DISTINCT id) AS ids FROM staging.events GROUP BY day ORDER BY day";
    let staged = snaplake(&server, &work, &[read.as_slice(), &[sql]].concat()).ok();
    snaplake(&server, &work, &["run"]).ok();
    let sql = sql.replace("staging.", "lake.");
    let published = snaplake(&server, &work, &[read.as_slice(), &[sql.as_str()]].concat()).ok();
    assert_eq!(published.stdout.trim(), "day,n,ids\n2026-01-01,54,54\n2026-01-02,53,53\n2026-01-03,53,53");
    assert_eq!(staged.stdout, published.stdout);

    let lake = objects(&server.store(), "out/lake").await;
    let table = "out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events";
    let expected = ["_SUCCESS", "day=2026-01-01/000001", "day=2026-01-02/000002", "day=2026-01-03/000003"];
    let expected = expected.map(|name| match name {
        "_SUCCESS" => format!("{table}/{name}"),
        file => format!("{table}/{file}-<hash>-0000.parquet"),
    });
    assert_eq!(lake.keys().map(|key| mask(key)).collect::<Vec<_>>(), expected);

    let again = snaplake(&server, &work, &["run"]).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    assert!(objects(&server.store(), "out/lake").await == lake, "a rerun changed the lake");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_on_s3_are_merged_with_those_that_passes_made_of_others_to_the_same_bytes() {
    let config =
        EVENTS.replace("ARRAY['id'], file_group_size = '${group:-2000}'", "ARRAY['note DESC'], file_group_size = 1");
    assert_ne!(config, EVENTS);
    let (server, work) = (Server::of_test("passes"), Work::new(&config));
    let store = server.store();
    for file in 0..40 {
        let path = Path::from(format!("export/part-{file:05}.csv"));
        store.put(&path, PutPayload::from(events(file * 3_000, 20_000))).await.unwrap();
    }
    let lake = async |out: &str, memory: &str| {
        let [export, to] = [format!("export={}/export", server.url()), format!("out={}/{out}", server.url())];
        let arguments = ["run", "--memory-limit", memory, "--threads", "1", "--var", &export, "--var", &to];
        let mut command = work.command(&arguments);
        server.configure(&mut command);
        Run::from(command.output().unwrap()).ok();
        let summaries = objects(&server.store(), &format!("{out}/staging")).await;
        let spilled = summaries.iter().filter(|(key, _)| key.contains("datalake-file-groups/manifest-summary"));
        let spilled = spilled.map(|(_, summary)| serde_json::from_slice::<serde_json::Value>(summary).unwrap());
        let spilled: u64 = spilled.map(|summary| summary["details"]["bytes_spilled"].as_u64().unwrap()).sum();
        (objects(&server.store(), &format!("{out}/lake")).await.into_values().collect::<Vec<_>>(), spilled)
    };
    let ((rich, none), (poor, spilled)) = (lake("rich", "2GB").await, lake("poor", "64MB").await);
    assert!(none == 0 && rich.len() == 4, "{none} {}", rich.len());
    // Some of the runs, not all of them.
    let staged: usize = objects(&server.store(), "poor/staging").await.values().map(Bytes::len).sum();
    assert!(spilled > 0 && spilled < staged as u64, "{spilled} of {staged}");
    assert!(poor == rich, "the lakes differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn job_on_s3_and_local_folders_at_once_gives_the_same_rows() {
    let (server, work) = job("mixed").await;
    let mixed = |arguments: &[&str]| {
        let export = format!("export={}/export", server.url());
        let mut command = work.command(arguments);
        server.configure(command.args(["--var", &export]));
        Run::from(command.output().unwrap()).ok()
    };
    mixed(&["run"]);
    let read = mixed(&["query", "--format", "csv", "-c", "SELECT count(*), count(DISTINCT id) FROM lake.events"]);
    assert!(read.stdout.contains("\n160,160\n"), "{}", read.stdout);
    assert_eq!(work.files("out/lake").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_object_that_changed_between_two_tasks_is_refused_by_name() {
    let (server, work) = job("changed").await;
    snaplake(&server, &work, &["stage", "--group", "1"]).ok();
    for file in 0..4 {
        let path = Path::from(format!("export/part-{file:05}.csv"));
        server.store().put(&path, PutPayload::from(events(1000 + file, 40))).await.unwrap();
    }
    let url = format!("{}/export/part-0000", server.url());
    snaplake(&server, &work, &["stage", "--group", "2"]).failed(1, &[&url, "changed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_on_s3_both_end_well_with_one_lake() {
    let (server, work) = job("race").await;
    let (server, work) = (&server, &work);
    let runs = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| snaplake(server, work, &["run"]))).map(|run| run.join().unwrap())
    });
    for run in runs {
        run.ok();
    }
    assert_eq!(objects(&server.store(), "out/lake").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_with_the_url_and_without_the_secret() {
    let (server, work) = job("credentials").await;
    let wrong = Server { secret: "not-the-secret-0123456789".to_owned(), ..server.clone() };
    let run = snaplake(&wrong, &work, &["run", "-v"]).failed(1, &[&server.url(), "credentials"]);
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(&wrong.secret) && !text.contains(&server.secret), "{text}");
    }
    let run = snaplake(&Server { key: "nobody".to_owned(), ..server.clone() }, &work, &["run"]);
    run.failed(1, &[&server.url()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_bucket_is_named() {
    let (server, work) = job("bucket").await;
    let missing = Server { bucket: "no-such-bucket-here".to_owned(), ..server };
    snaplake(&missing, &work, &["run"]).failed(1, &["s3://no-such-bucket-here/", "NoSuchBucket"]);
}
