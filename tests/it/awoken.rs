//! What a task finds that stood still while others went on: staging files that were swapped, written again or moved away.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    coalesce_ranges,
};
use snaplake::Error;
use snaplake::config::S3Settings;
use snaplake::session::Stores;

use crate::support::Work;

type Meanwhile = Box<dyn FnOnce() + Send>;

/// When it happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Right before the first staging file is read; its hash was taken before.
    Read,
    /// Right before the first lake file is written; all rows were read before.
    Write,
    /// Right after the first lake file got its name.
    Show,
}

/// A disk on which something happens while a task stands still.
struct Awoken {
    inner: LocalFileSystem,
    at: At,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Awoken {
    fn happens(&self, at: At) {
        let meanwhile = if self.at == at { self.meanwhile.lock().unwrap().take() } else { None };
        meanwhile.into_iter().for_each(|happens| happens());
    }
}

impl fmt::Debug for Awoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awoken")
    }
}

impl fmt::Display for Awoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Awoken")
    }
}

#[async_trait]
impl ObjectStore for Awoken {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if path.as_ref().contains("/lake/") && path.as_ref().ends_with(".parquet") {
            self.happens(At::Write);
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let is_staged = path.as_ref().contains("/staging/") && path.as_ref().contains("/day=");
        if is_staged && !options.head {
            self.happens(At::Read);
        }
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = |range| async move { self.get_range(path, range).await };
        coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        if to.as_ref().contains("/lake/") {
            self.happens(At::Show);
        }
        Ok(())
    }
}

const PUBLISHED: &str =
    "out/staging/shop/events/snapshot=2026-01-31T00:00:00Z/manifests/datalake-file-groups/manifest-summary";

/// Three partitions of as many rows, published; one of them to be published once more, by a process that has not done so.
fn published() -> (Work, BTreeMap<String, Vec<u8>>) {
    let work = Work::events(2, 600);
    work.snaplake(&["run"]).ok();
    let mut lake = work.files("out/lake");
    lake.retain(|name, _| name.ends_with(".parquet"));
    fs::remove_file(work.path(&format!("{PUBLISHED}/manifest-summary-1.json"))).unwrap();
    (work, lake)
}

/// Publishes, while this happens.
async fn publish(work: &Work, at: At, meanwhile: impl FnOnce() + Send + 'static) -> std::result::Result<(), Error> {
    let store = Awoken { inner: LocalFileSystem::new(), at, meanwhile: Mutex::new(Some(Box::new(meanwhile))) };
    let store = Arc::new(store);
    let stores = Stores::new(S3Settings::default());
    stores.insert("file://", Arc::clone(&store) as _);
    let (export, out) = (work.path("export"), work.path("out"));
    let variables = [("export", export.to_str().unwrap()), ("out", out.to_str().unwrap())];
    let published = work.pipeline(stores, &variables).publish().await.map(drop);
    assert!(store.meanwhile.lock().unwrap().is_none(), "nothing happened");
    published
}

/// Staging files of a partition, in their order.
fn staged(work: &Work, day: &str) -> Vec<PathBuf> {
    let root = work.path("out/staging");
    let names = work.files("out/staging").into_keys().filter(|name| name.contains(day) && name.ends_with(".parquet"));
    names.map(|name| root.join(name)).collect()
}

fn swap(a: &FilePath, b: &FilePath) {
    let between = a.with_extension("between");
    fs::rename(a, &between).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(between, b).unwrap();
}

#[tokio::test]
async fn staging_files_that_are_swapped_after_their_hash_do_not_replace_what_is_published() {
    let (work, lake) = published();
    let (ours, other) = (staged(&work, "day=2026-01-01"), staged(&work, "day=2026-01-02"));
    assert_eq!(ours.len(), other.len());
    let error =
        publish(&work, At::Read, move || ours.iter().zip(&other).for_each(|(a, b)| swap(a, b))).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("ContentChanged") && text.contains("day=2026-01-01"), "{text}");
    let mut found = work.files("out/lake");
    found.retain(|name, _| name.ends_with(".parquet"));
    assert!(found == lake, "a published file was replaced");
}

#[tokio::test]
async fn staging_files_that_another_process_stages_again_meanwhile_are_read_from_the_start() {
    let (work, lake) = published();
    let files = staged(&work, "day=2026-01-01");
    let again = move || {
        for file in &files {
            let copy = file.with_extension("copy");
            fs::copy(file, &copy).unwrap();
            fs::rename(copy, file).unwrap();
        }
    };
    publish(&work, At::Read, again).await.unwrap();
    let mut found = work.files("out/lake");
    found.retain(|name, _| name.ends_with(".parquet"));
    assert!(found == lake);
    work.snaplake(&["validate"]).ok();
}

#[tokio::test]
async fn files_stay_that_were_published_from_the_staging_folder_after_it_was_moved() {
    let (work, lake) = published();
    work.write("moved.sql", &fs::read_to_string(work.path("job.sql")).unwrap().replace("${out:-out}/staging", "moved"));
    let (staging, moved) = (work.path("out/staging"), work.path("moved"));
    let config = work.path("moved.sql");
    let elsewhere = move || {
        fs::rename(&staging, &moved).unwrap();
        let ended = crate::support::program().arg("run").arg(config).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    publish(&work, At::Show, elsewhere).await.unwrap_err();
    let found = work.files("out/lake");
    assert!(found.keys().any(|name| name.ends_with("_SUCCESS")));
    assert!(lake.iter().all(|(name, bytes)| found.get(name) == Some(bytes)), "{:?}", found.keys());
}

#[tokio::test]
async fn file_of_a_plan_is_taken_back_when_the_next_plan_cuts_files_in_another_way() {
    let (work, _) = published();
    let config = fs::read_to_string(work.path("job.sql")).unwrap();
    work.write("other.sql", &config.replace("sorted_by", "target_file_size = '1kB', sorted_by"));
    let other = work.path("other.sql");
    let replaced = move || {
        let run = ["run", "--replan", "--withdraw"];
        let ended = crate::support::program().args(run).arg(other).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    let error = publish(&work, At::Write, replaced).await.unwrap_err();
    assert!(format!("{error:?}").contains("PlanReplaced"), "{error:?}");
    let valid = crate::support::program().arg("validate").arg(work.path("other.sql")).output().unwrap();
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
}

#[tokio::test]
async fn file_is_taken_back_when_a_run_with_another_codec_has_done_the_task_meanwhile() {
    let (work, _) = published();
    let config = fs::read_to_string(work.path("job.sql")).unwrap();
    work.write("other.sql", &config.replace("sorted_by", "write_compression = 'snappy', sorted_by"));
    let (other, staging) = (work.path("other.sql"), work.path(PUBLISHED));
    let replaced = move || {
        // The plan stays, and with it its id: only what the publish tasks do is planned anew.
        fs::remove_dir_all(staging.parent().unwrap()).unwrap();
        fs::remove_dir_all(staging.parent().unwrap().with_file_name("partition-file-groups")).unwrap();
        let lake = staging.ancestors().nth(7).unwrap().join("lake");
        fs::remove_dir_all(lake).unwrap();
        let ended = crate::support::program().arg("publish").arg(other).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    let error = format!("{:?}", publish(&work, At::Write, replaced).await.unwrap_err());
    assert!(error.contains("CommitConflict"), "{error}");
    let valid = crate::support::program().arg("validate").arg(work.path("other.sql")).output().unwrap();
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
}

#[tokio::test]
async fn complete_lake_stays_whose_config_has_another_lake_and_another_plan_now() {
    for step in ["plan", "run"] {
        let (work, lake) = published();
        let config = fs::read_to_string(work.path("job.sql")).unwrap();
        let config =
            config.replace("${out:-out}/lake", "${out:-out}/copy").replace("SELECT id,", "SELECT id + 1 AS id,");
        work.write("other.sql", &config);
        let (root, manifest) = (work.path(""), work.path(&format!("{PUBLISHED}/manifest-summary-1.json")));
        let job = work.path("job.sql");
        let replaced = move || {
            let run = |arguments: &[&str], config: &FilePath| {
                let ended = crate::support::program().args(arguments).arg(config).output().unwrap();
                assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            };
            // Another process has done the same task, and the lake is complete.
            run(&["run"], &job);
            assert!(manifest.is_file());
            let copied =
                std::process::Command::new("cp").args(["-r", "out/lake", "out/copy"]).current_dir(&root).status();
            assert!(copied.unwrap().success());
            let other = root.join("other.sql");
            run(&["run", "--replan", "--withdraw"], &other);
            if step == "plan" {
                // The new plan has no publish tasks yet.
                let manifests = manifest.ancestors().nth(3).unwrap();
                fs::remove_dir_all(manifests.join("partition-file-groups")).unwrap();
                fs::remove_dir_all(manifests.join("datalake-file-groups")).unwrap();
            }
        };
        publish(&work, At::Show, replaced).await.unwrap_err();
        let found = work.files("out/lake");
        assert!(found.keys().any(|name| name.ends_with("_SUCCESS")));
        assert!(lake.iter().all(|(name, bytes)| found.get(name) == Some(bytes)), "{step}: {:?}", found.keys());
    }
}
