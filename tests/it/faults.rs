//! Stores that fail now and then: it costs time, never rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use snaplake::config::S3Settings;
use snaplake::session::Stores;

use crate::support::faulty::{Fault, Faulty, Stop};
use crate::support::proxy::{Proxy, Weather};
use crate::support::s3_server::Server;
use crate::support::{EVENTS, Run, Work, events};

/// One request in 20 is spoiled.
const EVERY: usize = 20;

struct Job {
    server: Server,
    work: Work,
}

impl Job {
    async fn new(name: &str) -> Self {
        let job = Self { server: Server::of_test(name), work: Work::new(EVENTS) };
        for file in 0..16 {
            let path = Path::from(format!("export/part-{file:05}.csv"));
            job.server.store().put(&path, PutPayload::from(events(file * 40, 40))).await.unwrap();
        }
        job
    }

    fn snaplake(&self, endpoint: &str, out: &str, arguments: &[&str]) -> Run {
        let server = Server { endpoint: endpoint.to_owned(), ..self.server.clone() };
        let variables = [format!("export={}/export", server.url()), format!("out={}/{out}", server.url())];
        let mut command = self.work.command(arguments);
        server.configure(command.args(["--var", &variables[0], "--var", &variables[1]]));
        command.env("AWS_TIMEOUT", "2s").output().unwrap().into()
    }

    async fn lake(&self, out: &str) -> BTreeMap<String, Bytes> {
        let store = self.server.store();
        let mut found = BTreeMap::new();
        let mut listing = store.list(Some(&Path::from(format!("{out}/lake"))));
        while let Some(meta) = futures::StreamExt::next(&mut listing).await {
            let path = meta.unwrap().location;
            let key = path.to_string().trim_start_matches(out).to_owned();
            found.insert(key, store.get(&path).await.unwrap().bytes().await.unwrap());
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the table of what each fault costs, with --nocapture")]
async fn one_failure_in_twenty_requests_costs_time_and_never_rows() {
    let job = Job::new("faults").await;
    let mut seconds = BTreeMap::new();
    for step in ["stage", "publish"] {
        let started = Instant::now();
        job.snaplake(&job.server.endpoint, "calm", &[step]).ok();
        seconds.insert(step, started.elapsed().as_secs_f64());
    }
    let expected = job.lake("calm").await;
    assert!(expected.len() > 3);
    let weathers = [
        ("500", Weather::Status(500)),
        ("503 SlowDown", Weather::Status(503)),
        ("429", Weather::Status(429)),
        ("500, but done", Weather::Done(500)),
        ("reset", Weather::Reset),
        ("reset, but done", Weather::DoneReset),
        ("half bodies", Weather::HalfBody),
        ("hangs", Weather::Hang(Duration::from_secs(5))),
        ("late by 300 ms", Weather::Slow(Duration::from_millis(300))),
    ];
    for (number, (name, weather)) in weathers.into_iter().enumerate() {
        let out = format!("out{number}");
        for step in ["stage", "publish"] {
            let proxy = Proxy::start(&job.server.endpoint, EVERY, weather);
            let (started, mut runs) = (Instant::now(), 1);
            while job.snaplake(&proxy.endpoint, &out, &[step]).code != 0 {
                runs += 1;
                assert!(runs < 5, "{name}: {step} never ended well");
            }
            let (requests, spoiled) = proxy.counts();
            assert!(spoiled > 0, "{name}: {step} saw no fault in {requests} requests");
            let extra = started.elapsed().as_secs_f64() - seconds[step];
            println!("{name:16} {step:8} {runs} run(s), {spoiled} of {requests} requests spoiled, {extra:+.1} s");
        }
        assert!(job.lake(&out).await == expected, "{name}: another lake");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_requests_are_counted_in_the_result() {
    let job = Job::new("counted").await;
    let proxy = Proxy::start(&job.server.endpoint, EVERY, Weather::Status(503));
    let run = job.snaplake(&proxy.endpoint, "out", &["run"]).ok();
    assert!(run.stderr.contains("failed and were retried (503: "), "{}", run.stderr);
    let run = job.snaplake(&proxy.endpoint, "json", &["run", "--format", "json"]).ok();
    let result: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(result["requests"]["failed"]["503"].as_u64() > Some(3), "{result:#}");
}

#[test]
fn endpoint_that_nobody_listens_at_is_named_at_once() {
    let work = Work::new(EVENTS);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server {
        endpoint: format!("http://{closed}"),
        bucket: "b".to_owned(),
        prefix: "p".to_owned(),
        key: "k".to_owned(),
        secret: "s".to_owned(),
    };
    let export = format!("export={}/export", server.url());
    let mut command = work.command(&["plan", "--var", &export]);
    server.configure(&mut command);
    let run = Run::from(command.env("AWS_MAX_RETRIES", "0").output().unwrap());
    let run = run.failed(1, &["a request failed", "no connection", "s3://b/p/export"]);
    assert!(run.stderr.contains("127.0.0.1"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn store_without_conditional_put_is_refused_unless_one_writer_is_promised() {
    for single_writer in [false, true] {
        let work = Work::new(&format!("SET snaplake.single_writer = {single_writer};{EVENTS}"));
        let store = Faulty::default();
        store.forget_conditions();
        for file in 0..4 {
            store.set(&format!("export/part-{file}.csv"), events(file * 15, 15)).await;
        }
        let stores = Stores::new(S3Settings::default());
        stores.insert("s3://bucket", Arc::new(store.clone()));
        let job = work.pipeline(stores, &[("export", "s3://bucket/export"), ("out", "s3://bucket/out")]);
        let run = job.run().await;
        if single_writer {
            assert_eq!(run.unwrap()[0].validation.footer_rows, 60);
        } else {
            let error = run.unwrap_err();
            assert!(error.to_string().contains("s3://bucket does not support conditional PUT"), "{error}");
            assert!(error.help().is_some_and(|help| help.contains("snaplake.single_writer")), "{error}");
            assert!(!store.objects("out").await.keys().any(|key| key.contains("/datalake/")), "it staged all the same");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn task_that_a_store_keeps_waiting_is_given_up_in_time_and_named() {
    let job = crate::crash::Job::new(&format!("SET snaplake.task_timeout = '2s';{EVENTS}"), 6, 15).await;
    job.pipeline().run().await.unwrap();
    let (expected, writes) = (job.outcome().await, job.store.writes());
    // Data and commits of both steps. What comes before the first of a kind is always as much.
    for (part, words) in [
        ("put out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/datalake", "stage of lake.events group"),
        ("put out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/staging", "stage of lake.events group"),
        (
            "put out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events/day=",
            "publish of lake.events group",
        ),
    ] {
        job.clear().await;
        let at = writes.iter().position(|write| write.starts_with(part)).unwrap() + 1;
        job.store.revive(Some(Stop { at, is_done: false, fault: Fault::Hang }));
        let run = tokio::time::timeout(Duration::from_secs(60), job.pipeline().run()).await;
        let error = run.expect("the run waits for ever").unwrap_err();
        assert!(error.to_string().contains(words), "{part}: {error}");
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("longer than snaplake.task_timeout (2 s)"), "{part}: {why}");
        job.store.revive(None);
        job.pipeline().run().await.unwrap();
        assert!(job.outcome().await == expected, "{part}");
    }
}
