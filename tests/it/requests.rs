//! Requests to the store per step, pinned: a step reads what manifests say and lists no data folder to find out.
//!
//! The store is in memory behind a wrapper that counts. A multipart upload counts one PUT per request of it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use insta::assert_snapshot;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    coalesce_ranges,
};
use snaplake::Pipeline;
use snaplake::config::S3Settings;
use snaplake::error::TaskStep;
use snaplake::inspect::StatusReader;
use snaplake::layout::{FilePartition, OWNER, Step};
use snaplake::manifest::codec::encode_files;
use snaplake::manifest::{FileEntry, Manifest};
use snaplake::pipeline::TaskSpec;
use snaplake::pipeline::clean::{CleanOptions, find};
use snaplake::pipeline::replan::{PublishedTables, replan};
use snaplake::session::Stores;
use snaplake::staging::plan::commit;

use crate::support::{EVENTS, Work, events};

/// Requests so far: method and key.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Log {
    fn add(&self, method: &'static str, key: impl fmt::Display) {
        self.0.lock().unwrap().push((method, key.to_string()));
    }

    fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A store that speaks HTTP's etags, which are in quotes, and counts requests.
#[derive(Debug)]
struct Counting {
    inner: InMemory,
    log: Log,
    /// Reads under way, and the most that ever were.
    reads: (AtomicUsize, AtomicUsize),
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.log.add("PUT", path);
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.log.add("PUT", path);
        let inner = self.inner.put_multipart_opts(path, options).await?;
        Ok(Box::new(CountingUpload { inner, path: path.clone(), log: self.log.clone() }))
    }

    async fn get_opts(&self, path: &Path, mut options: GetOptions) -> Result<GetResult> {
        self.log.add(if options.head { "HEAD" } else { "GET" }, path);
        options.if_match = options.if_match.map(|etag| etag.trim_matches('"').to_owned());
        self.reads.1.fetch_max(self.reads.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Who asks for more meanwhile gets the turn to do so.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.reads.0.fetch_sub(1, Ordering::SeqCst);
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = |range| async move { self.get_range(path, range).await };
        coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.log.add("DELETE", "");
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.log.add("LIST", prefix.cloned().unwrap_or_default());
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.log.add("LIST", prefix.cloned().unwrap_or_default());
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.log.add("PUT", to);
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    path: Path,
    log: Log,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.log.add("PUT", &self.path);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.log.add("PUT", &self.path);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.log.add("DELETE", &self.path);
        self.inner.abort().await
    }
}

/// Six files in groups of two, three partitions, all in one bucket in memory.
struct Bucket {
    work: Work,
    store: Arc<Counting>,
    seen: Vec<(&'static str, String)>,
    report: String,
}

impl Bucket {
    async fn new() -> Self {
        let bucket = Self::of(EVENTS);
        for file in 0..6 {
            bucket.put(&format!("export/part-{file}.csv"), events(file * 15, 15)).await;
        }
        bucket
    }

    /// An empty bucket and a config.
    fn of(tables: &str) -> Self {
        let store = Arc::new(Counting { inner: InMemory::new(), log: Log::default(), reads: Default::default() });
        Self { work: Work::new(tables), store, seen: Vec::new(), report: String::new() }
    }

    /// Puts a file without counting it.
    async fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.store.inner.put(&Path::from(key), PutPayload::from(bytes.into())).await.unwrap();
    }

    /// One command in a process of its own, and a line with what it asked of the store.
    async fn command<F: Future>(&mut self, name: &str, run: impl FnOnce(Arc<Pipeline>) -> F) -> F::Output {
        let (output, counts) = self.counted(run).await;
        self.tell(name, &counts);
        output
    }

    fn tell(&mut self, name: &str, counts: &BTreeMap<&str, usize>) {
        let count = |method| format!("{method} {}", counts.get(method).unwrap_or(&0));
        let line = ["GET", "LIST", "HEAD", "PUT", "DELETE"].map(count).join(", ");
        self.report.push_str(&format!("{name}: {line}\n"));
    }

    /// One command in a process of its own, and what it asked of the store by method.
    async fn counted<F: Future>(
        &mut self,
        run: impl FnOnce(Arc<Pipeline>) -> F,
    ) -> (F::Output, BTreeMap<&'static str, usize>) {
        let stores = Stores::new(S3Settings::default());
        stores.insert("s3://bucket", Arc::clone(&self.store) as _);
        let variables = [("export", "s3://bucket/export"), ("out", "s3://bucket/out")];
        let output = run(self.work.pipeline(stores, &variables)).await;
        let requests = self.store.log.take();
        let mut counts = BTreeMap::new();
        requests.iter().for_each(|(method, _)| *counts.entry(*method).or_insert(0) += 1);
        self.seen.extend(requests);
        (output, counts)
    }
}

fn staged(job: &Pipeline, group: usize) -> TaskSpec {
    TaskSpec::new(job.project(), "events", TaskStep::Stage, group)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_each_step_are_as_few_as_they_were() {
    let mut bucket = Bucket::new().await;
    bucket.command("plan", |job| async move { job.plan().await.unwrap() }).await;
    bucket.command("stage", |job| async move { job.stage().await.unwrap() }).await;
    bucket.command("stage again", |job| async move { job.stage().await.unwrap() }).await;
    bucket.command("publish", |job| async move { job.publish().await.unwrap() }).await;
    bucket.command("run again", |job| async move { job.run().await.unwrap() }).await;
    // A new plan asks for owners above its LOCATION; an old one lists it for files that came later.
    assert_snapshot!(bucket.report, @r"
    plan: GET 7, LIST 1, HEAD 1, PUT 0, DELETE 0
    stage: GET 20, LIST 3, HEAD 8, PUT 25, DELETE 0
    stage again: GET 2, LIST 2, HEAD 0, PUT 0, DELETE 0
    publish: GET 54, LIST 3, HEAD 16, PUT 18, DELETE 1
    run again: GET 6, LIST 4, HEAD 1, PUT 0, DELETE 0
    ");
}

/// A look at the snapshot is one LIST; the plan's list of files is read only when something has changed.
#[tokio::test(flavor = "multi_thread")]
async fn status_lists_the_snapshot_once_and_opens_nothing_of_it() {
    let mut bucket = Bucket::new().await;
    bucket.put("export/note", "<html></html>").await;
    bucket.command("stage", |job| async move { job.stage().await.unwrap() }).await;
    bucket.report.clear();
    bucket.command("status", |job| async move { job.status().await.unwrap() }).await;
    bucket.put("export/late.csv", events(0, 1)).await;
    bucket.seen.clear();
    let status = bucket.command("status later", |job| async move { job.status().await.unwrap() }).await;
    assert_eq!(status[0].warnings[0].code, "late_files");
    let of_export: Vec<_> = bucket.seen.iter().filter(|(_, key)| key.starts_with("export")).collect();
    assert_eq!(of_export, [&("LIST", "export".to_owned())]);
    assert_snapshot!(bucket.report, @"
    status: GET 4, LIST 2, HEAD 1, PUT 0, DELETE 0
    status later: GET 6, LIST 2, HEAD 1, PUT 0, DELETE 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_tasks_by_hand_do_not_grow_with_the_other_groups() {
    let mut bucket = Bucket::new().await;
    for group in 1..=3 {
        let name = format!("stage {group}");
        assert!(
            bucket.command(&name, |job| async move { job.run_task(&staged(&job, group)).await.unwrap().ran }).await
        );
    }
    let ran = bucket.command("stage 3 again", |job| async move { job.run_task(&staged(&job, 3)).await }).await;
    assert!(!ran.unwrap().ran);
    assert_snapshot!(bucket.report, @"
    stage 1: GET 19, LIST 2, HEAD 7, PUT 15, DELETE 0
    stage 2: GET 6, LIST 0, HEAD 2, PUT 5, DELETE 0
    stage 3: GET 6, LIST 0, HEAD 2, PUT 5, DELETE 0
    stage 3 again: GET 1, LIST 0, HEAD 1, PUT 0, DELETE 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_folders_are_listed_for_strangers_alone_and_data_files_never_asked_for_their_size() {
    let mut bucket = Bucket::new().await;
    bucket.command("run", |job| async move { job.run().await.unwrap() }).await;
    bucket.command("run again", |job| async move { job.run().await.unwrap() }).await;
    let looks = bucket.seen.iter().filter(|(method, _)| ["LIST", "HEAD"].contains(method));
    let looks = looks.filter(|(_, key)| !key.contains("/manifests/") && !key.ends_with("/_SUCCESS"));
    let looks = looks.fold(String::new(), |text, (method, key)| format!("{text}{method} {key}\n"));
    // The snapshot's files when they are planned, with owners above them, and once more when it was planned before; the
    // staging folder for folders of somebody else in it, once; the lake's folder for files of somebody else, before it is
    // published and after, and for what a complete one holds.
    assert_snapshot!(looks, @"
    LIST export
    HEAD _snaplake.json
    LIST out/staging/shop/events/snapshot=2026-01-31T00:00:00Z
    LIST out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events
    LIST out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events
    LIST export
    LIST out/lake/shop/events/snapshot=2026-01-31T00:00:00Z/shop/public/events
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_local_folders_work_in_one_config() {
    let mut bucket = Bucket::new().await;
    let stores = Stores::new(S3Settings::default());
    stores.insert("s3://bucket", Arc::clone(&bucket.store) as _);
    let reports = bucket.work.pipeline(stores, &[("export", "s3://bucket/export")]).run().await.unwrap();
    assert_eq!(reports[0].validation.footer_rows, 90);
    assert_eq!(bucket.work.files("out/lake").len(), 4);
    assert!(bucket.store.log.take().iter().all(|(_, key)| key.starts_with("export") || key == OWNER));
    bucket.command("run", |job| async move { job.run().await.unwrap() }).await;
    assert!(bucket.seen.iter().any(|(method, key)| *method == "PUT" && key.ends_with("/_SUCCESS")));
}

/// A table whose files a manifest of somebody else lists, rows and all: none of them is looked at to plan.
const LISTED: &str = "
    CREATE EXTERNAL TABLE snapshot.orders (id BIGINT, day VARCHAR)
    STORED AS PARQUET LOCATION '${export}/manifest-summary.json';
    CREATE TABLE lake.orders WITH (
      partitioned_by = ARRAY['day'], sorted_by = ARRAY['id'], file_group_size = '1MB'
    ) AS SELECT id, day FROM snapshot.orders;
";

impl Bucket {
    /// [`LISTED`] with so many snapshot files of 10 KB, of which 100 make a group.
    async fn listed(files: u64) -> Self {
        let bucket = Self::of(LISTED);
        let entry = |number: u64| FileEntry {
            uri: format!("s3://bucket/orders/part-{number:08}.parquet").into(),
            etag: format!("{number:032x}").into(),
            size: 10_000,
            n_record: Some(5),
            partition: FilePartition::None,
        };
        let list: Vec<FileEntry> = (0..files).map(entry).collect();
        bucket.put("export/manifest-data.parquet", encode_files(&list, "s3://bucket/export").unwrap()).await;
        let data = "s3://bucket/export/manifest-data.parquet";
        let summary = format!(r#"{{"manifest": "{data}", "size": {}, "n_record": {}}}"#, files * 10_000, files * 5);
        bucket.put("export/manifest-summary.json", summary).await;
        bucket
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_reads_one_manifest_and_writes_one_pair_per_group_however_many_files() {
    let mut bucket = Bucket::listed(20_000).await;
    let plan = bucket.command("plan", |job| async move { job.plan().await.unwrap().remove(0) }).await;
    assert_eq!((plan.groups.len(), plan.files(), plan.bytes()), (200, 20_000, 200_000_000));
    bucket.command("commit", |_| async { commit(plan).await.unwrap() }).await;
    let again = bucket.command("plan again", |job| async move { job.plan().await.unwrap().remove(0) }).await;
    assert!(again.committed && again.groups.len() == 200 && again.files() == 20_000);
    assert_snapshot!(bucket.report, @"
    plan: GET 3, LIST 0, HEAD 2, PUT 0, DELETE 0
    commit: GET 6, LIST 1, HEAD 4, PUT 404, DELETE 0
    plan again: GET 2, LIST 0, HEAD 0, PUT 0, DELETE 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_plan_reads_one_pair_per_stage_task_and_writes_one_per_partition() {
    let (tasks, partitions) = (4, 1_000);
    let mut bucket = Bucket::listed(400).await;
    let plan = bucket.command("plan", |job| async move { commit(job.plan().await.unwrap().remove(0)).await.unwrap() });
    let plan = plan.await;
    for task in 1..=tasks {
        let entry = |partition: usize| FileEntry {
            uri: format!("s3://bucket/out/day={partition:04}/{task:06}-0000.parquet").into(),
            etag: "e".into(),
            size: 1_000,
            n_record: Some(2),
            partition: FilePartition::one(&format!("day={partition:04}")),
        };
        let details = serde_json::json!({"table": "orders", "group": task, "plan": plan.details.id});
        let manifest = Manifest::new((0..partitions).map(entry).collect(), details);
        let target = plan.ledger.layout().manifest(Step::StagingFileGroups, task);
        plan.ledger.commit(&target, &manifest).await.unwrap();
    }
    bucket.store.log.take();
    // The task itself fails, for there are no staging files, after the plan of all tasks is committed.
    bucket.report.clear();
    bucket
        .command("publish 1", |job| async move {
            let spec = TaskSpec::new(job.project(), "orders", TaskStep::Publish, 1);
            job.run_task(&spec).await.unwrap_err()
        })
        .await;
    let pairs = |step: &str, method: &str| {
        let of_step = |(m, key): &&(&str, String)| *m == method && key.contains(&format!("/{step}/"));
        bucket.seen.iter().filter(of_step).count()
    };
    assert_eq!(pairs("staging-file-groups", "GET"), 2 * tasks);
    assert_eq!(pairs("partition-file-groups", "PUT"), 2 * partitions);
    assert_eq!(pairs("partition-file-groups", "GET"), 1);
}

/// Tables of one group of two files and three partitions each.
impl Bucket {
    async fn of_many(tables: usize) -> Self {
        let table = |number: usize| {
            format!(
                "CREATE EXTERNAL TABLE snapshot.t{number:02} (id BIGINT, day VARCHAR, note VARCHAR)
                 STORED AS CSV LOCATION '${{export}}/t{number:02}/' OPTIONS ('format.has_header' 'true');
                 CREATE TABLE lake.t{number:02} WITH (
                   partitioned_by = ARRAY['day'], sorted_by = ARRAY['id'], not_null = ARRAY['id']
                 ) AS SELECT id, day, note FROM snapshot.t{number:02};"
            )
        };
        let bucket = Self::of(&(0..tables).map(table).collect::<String>());
        for (table, file) in (0..tables).flat_map(|table| [(table, 0), (table, 1)]) {
            bucket.put(&format!("export/t{table:02}/part-{file}.csv"), events(file * 15, 15)).await;
        }
        bucket
    }

    /// What a command asks of the store per table: each table the same.
    async fn each<F: Future>(&mut self, name: &str, tables: usize, run: impl FnOnce(Arc<Pipeline>) -> F) -> F::Output {
        self.store.reads.1.store(0, Ordering::SeqCst);
        let (output, mut counts) = self.counted(run).await;
        for (method, count) in &mut counts {
            assert_eq!(*count % tables, 0, "{name}: {method} {count}");
            *count /= tables;
        }
        self.tell(name, &counts);
        output
    }

    fn most_reads(&self) -> usize {
        self.store.reads.1.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tables_are_asked_at_once_and_cost_no_more_requests_each_than_one() {
    let look = CleanOptions { staging: false, older_than: std::time::Duration::ZERO };
    let mut reports = Vec::new();
    for tables in [1, 40] {
        let mut bucket = Bucket::of_many(tables).await;
        let at_once = |bucket: &Bucket| {
            let most = bucket.most_reads();
            assert!(tables == 1 || (32..=128).contains(&most), "{most} at once: {}", bucket.report);
        };
        bucket.each("plan", tables, |job| async move { job.plan().await.unwrap() }).await;
        at_once(&bucket);
        bucket.each("run", tables, |job| async move { job.run().await.unwrap() }).await;
        at_once(&bucket);
        bucket.each("run again", tables, |job| async move { job.run().await.unwrap() }).await;
        at_once(&bucket);
        bucket.each("status", tables, |job| async move { StatusReader::new(&job).read().await.unwrap() }).await;
        at_once(&bucket);
        bucket.each("validate", tables, |job| async move { job.validate(false).await.unwrap() }).await;
        at_once(&bucket);
        bucket.each("clean", tables, |job| async move { find(&job, look).await.unwrap() }).await;
        at_once(&bucket);
        let anew = |job: Arc<Pipeline>| async move { replan(&job, PublishedTables::Withdraw).await.unwrap() };
        bucket.each("replan", tables, anew).await;
        at_once(&bucket);
        reports.push(bucket.report);
    }
    assert_eq!(reports[0], reports[1]);
    assert_snapshot!(reports[1], @"
    plan: GET 3, LIST 1, HEAD 2, PUT 0, DELETE 0
    run: GET 54, LIST 7, HEAD 23, PUT 30, DELETE 1
    run again: GET 8, LIST 5, HEAD 1, PUT 0, DELETE 0
    status: GET 7, LIST 5, HEAD 1, PUT 0, DELETE 0
    validate: GET 22, LIST 1, HEAD 0, PUT 2, DELETE 1
    clean: GET 18, LIST 7, HEAD 0, PUT 0, DELETE 0
    replan: GET 25, LIST 14, HEAD 10, PUT 6, DELETE 9
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tables_that_fail_the_first_in_the_config_is_reported() {
    let mut bucket = Bucket::of_many(40).await;
    for table in [31, 17, 18] {
        bucket.put(&format!("export/t{table}/part-0.csv"), "id,day,note\nx,1,1\n").await;
    }
    let error = bucket.command("stage", |job| async move { job.stage().await.err().unwrap() }).await;
    assert!(error.to_string().contains("t17"), "{error}");
    let mut bucket = Bucket::of_many(40).await;
    for (table, file) in [31, 17, 18].iter().flat_map(|table| [(table, 0), (table, 1)]) {
        bucket.store.inner.delete(&Path::from(format!("export/t{table}/part-{file}.csv"))).await.unwrap();
    }
    let error = bucket.command("plan", |job| async move { job.plan().await.err().unwrap() }).await;
    assert!(error.to_string().contains("t17"), "{error}");
}
