//! The engine of one process: one memory pool for all tasks, and a session per task.
//!
//! Memory: of the limit, the pool has three quarters (sorts and joins spill when it is full); the rest is for what the
//! pool does not see: open row groups of the writers, decode and upload buffers.
//!
//! Sessions are set up for repeatable results: one partition per task, no work stealing between files, plain strings.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::catalog::MemorySchemaProvider;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use super::functions;
use super::stores::Stores;
use super::{ContentCheck, Pin, PinnedStore};
use crate::config::{CountSeconds, IgnoredClauses, TimeTypes};
use crate::error::Result;
use crate::layout::Location;
use crate::layout::split::is_whole_file;
use crate::manifest::FileEntry;
use crate::types::width::{BATCH_ROWS, pool_bytes};

/// Limits of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineOptions {
    /// Bytes; default 60 % of what the machine or its cgroup has.
    pub memory_limit: Option<u64>,
    /// Tasks at once; default one per core.
    pub threads: Option<usize>,
}

/// Memory, threads and stores, shared by all tasks of a process.
#[derive(Debug)]
pub struct Engine {
    stores: Stores,
    pool: Arc<dyn MemoryPool>,
    memory_bytes: u64,
    threads: usize,
}

/// Larger runs are not sorted faster. Smaller ones mean more staging files, which cost more than the rows in them when
/// there are thousands of partitions.
const MAX_RUN_BYTES: u64 = 640 << 20;

/// See [`Engine::task_parts`].
pub const PARTS: usize = 8;

/// Bytes in memory per byte of a file: what is small must be so unpacked, too.
const EXPANSION: u64 = 64;

/// What a task takes however little it reads: its session, its buffers.
const TASK_BYTES: u64 = 8 << 20;

/// A file is taken to have no less.
const FILE_BYTES: u64 = 16 << 10;

/// A row group of a lake file, and its bytes once more.
const WRITTEN_BYTES: u64 = 128 << 20;

/// Schemas in which config and queries name tables.
pub(crate) const SCHEMAS: [&str; 5] = ["snapshot", "staging", "lake", "manifest", "audit"];

impl Engine {
    /// Takes its limits once; later changes of the machine are not seen.
    #[must_use]
    pub fn new(stores: Stores, options: EngineOptions) -> Self {
        let memory_bytes = options.memory_limit.unwrap_or_else(|| machine_memory() / 10 * 6).max(64 << 20);
        let threads = options
            .threads
            .or_else(|| std::thread::available_parallelism().ok().map(NonZeroUsize::get))
            .unwrap_or(1)
            .max(1);
        let pool_bytes = usize::try_from(pool_bytes(memory_bytes)).unwrap_or(usize::MAX);
        let pool = FairSpillPool::new(pool_bytes);
        let pool: Arc<dyn MemoryPool> =
            Arc::new(TrackConsumersPool::new(pool, const { NonZeroUsize::new(3).unwrap() }));
        Self { stores, pool, memory_bytes, threads }
    }

    /// The stores of this process.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Tasks that may run at once: one per thread, and not more than the memory can hold sorting.
    #[must_use]
    pub fn parallel_tasks(&self) -> usize {
        let by_memory = usize::try_from(self.memory_bytes / (96 << 20)).unwrap_or(usize::MAX);
        self.threads.min(by_memory).max(1)
    }

    /// Publish tasks that may run at once: each may hold a row group of a lake file, and its bytes once more. Of those
    /// that wait for a `remote` store half of the time there are two per thread, where memory is no question.
    #[must_use]
    pub fn publish_tasks(&self, remote: bool) -> usize {
        let by_memory = |bytes: u64| usize::try_from(self.memory_bytes / bytes).unwrap_or(usize::MAX);
        let busy = self.parallel_tasks().min(by_memory(192 << 20)).max(1);
        let waiting = (2 * self.parallel_tasks()).min(by_memory(512 << 20));
        if remote { busy.max(waiting) } else { busy }
    }

    /// Bytes of a sorted run for plans that this process makes: half of what a task may have, and no more than pays.
    #[must_use]
    pub fn run_bytes(&self) -> u64 {
        (self.memory_bytes / (2 * self.parallel_tasks() as u64)).clamp(16 << 20, MAX_RUN_BYTES)
    }

    /// Stage tasks that may run at once when each holds a run of so many bytes.
    #[must_use]
    pub fn tasks_at_once(&self, run_bytes: u64) -> usize {
        let by_memory = usize::try_from(self.memory_bytes / (2 * run_bytes).max(1)).unwrap_or(usize::MAX);
        self.parallel_tasks().min(by_memory).max(1)
    }

    /// How much of what an engine can do at once a task is, in [`PARTS`] of one of `at_once` tasks. One that waits for
    /// a `remote` store most of its time, and reads so little that its memory is a small part of its share, is one
    /// part; all others are whole.
    #[must_use]
    pub fn task_parts<'a>(
        &self,
        remote: bool,
        at_once: usize,
        files: impl IntoIterator<Item = &'a FileEntry>,
    ) -> usize {
        let part = self.memory_bytes / (at_once.max(1) * PARTS) as u64;
        let with = |bytes: u64, file: &FileEntry| {
            Some(bytes.saturating_add(file.size.max(FILE_BYTES).saturating_mul(EXPANSION))).filter(|sum| *sum <= part)
        };
        if remote && files.into_iter().try_fold(TASK_BYTES, with).is_some() { 1 } else { PARTS }
    }

    /// Bytes that the merge of a publish task may need for its runs: what the row group that it writes leaves of its
    /// share, no less than a third and no more than half.
    #[must_use]
    pub fn merge_bytes(&self, remote: bool) -> u64 {
        let share = self.memory_bytes / self.publish_tasks(remote) as u64;
        share.saturating_sub(WRITTEN_BYTES).clamp(share / 3, share / 2)
    }

    /// A session that can read `files` and nothing else, each as it was planned.
    ///
    /// # Errors
    /// Those of [`Stores::open`], and [`crate::error::Error::Engine`] when no folder for spilling can be made.
    pub async fn task_session(&self, files: impl IntoIterator<Item = &FileEntry>) -> Result<SessionContext> {
        self.batch_session(files, BATCH_ROWS).await
    }

    /// A task's session that reads so many rows at once.
    pub(crate) async fn batch_session(
        &self,
        files: impl IntoIterator<Item = &FileEntry>,
        batch_rows: usize,
    ) -> Result<SessionContext> {
        self.session(Pins::unchecked(files)?, 1, batch_rows).await
    }

    /// A session for queries over all `files`, using all threads that the memory allows: what merges the sorted rows of
    /// several threads cannot spill, nor what merges their runs.
    ///
    /// # Errors
    /// As [`Engine::task_session`].
    pub async fn query_session(&self, files: impl IntoIterator<Item = &FileEntry>) -> Result<SessionContext> {
        self.session_of_threads(Pins::unchecked(files)?).await
    }

    /// A session for queries that compares the content of local files before it reads them.
    ///
    /// # Errors
    /// As [`Engine::task_session`].
    pub(crate) async fn checked_query_session<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a FileEntry, ContentCheck)>,
    ) -> Result<SessionContext> {
        self.session_of_threads(Pins::of(files)?).await
    }

    async fn session_of_threads(&self, pins: Pins) -> Result<SessionContext> {
        let by_memory = |bytes: u64| usize::try_from(self.memory_bytes / bytes).unwrap_or(usize::MAX);
        let threads = self.threads.min(by_memory(256 << 20)).max(1);
        self.session(pins, threads, by_memory(128 << 10).clamp(BATCH_ROWS / 8, BATCH_ROWS)).await
    }

    async fn session(&self, pins: Pins, partitions: usize, batch_rows: usize) -> Result<SessionContext> {
        let registry = DefaultObjectStoreRegistry::new();
        for (url, StorePins { location, pins, checks }) in pins.0 {
            let inner = self.stores.open(&location).await?;
            let store = PinnedStore::new(inner, pins, location.is_local()).with_content_checks(checks);
            let store: Arc<dyn ObjectStore> = Arc::new(store);
            if let Ok(url) = Url::parse(&url) {
                registry.register_store(&url, store);
            }
        }
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&self.pool))
            .with_object_store_registry(Arc::new(registry))
            .build_arc()?;
        let mut config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_information_schema(true)
            .with_batch_size(batch_rows);
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        options.execution.parquet.schema_force_view_types = false;
        options.execution.enable_file_stream_work_stealing = false;
        options.execution.collect_statistics = false;
        // Every sort reserves this much beforehand; with a small limit the default of 10 MiB would be all there is.
        let reservation = self.memory_bytes / 24 / self.parallel_tasks() as u64;
        options.execution.sort_spill_reservation_bytes =
            usize::try_from(reservation.clamp(1 << 20, 32 << 20)).unwrap_or(10 << 20);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_type_planner(Arc::new(TimeTypes))
            .with_relation_planners(vec![Arc::new(IgnoredClauses)])
            .with_analyzer_rule(Arc::new(CountSeconds))
            .build();
        let context = SessionContext::new_with_state(state);
        for function in functions::aliases() {
            context.register_udf(function);
        }
        if let Some(catalog) = context.catalog("datafusion") {
            for schema in SCHEMAS {
                catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
            }
        }
        Ok(context)
    }
}

/// Memory of the machine or of this process's cgroup, whichever is less, in bytes.
fn machine_memory() -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo")
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map(|kib| kib << 10);
    let cgroup = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|path| read(path)?.trim().parse::<u64>().ok());
    machine.unwrap_or(UNKNOWN).min(cgroup.unwrap_or(u64::MAX))
}

/// What a session may read, by store.
#[derive(Default)]
struct Pins(HashMap<String, StorePins>);

struct StorePins {
    location: Location,
    pins: HashMap<Path, Pin>,
    checks: Vec<(Path, ContentCheck)>,
}

impl Pins {
    fn of<'a>(files: impl IntoIterator<Item = (&'a FileEntry, ContentCheck)>) -> Result<Self> {
        let mut all = Self::default();
        for (file, check) in files {
            let location = Location::from_uri(&file.uri)?;
            let key = location.key()?;
            let of_store = all.0.entry(location.store().to_owned());
            let of_store = of_store.or_insert_with(|| StorePins {
                location: location.clone(),
                pins: HashMap::new(),
                checks: Vec::new(),
            });
            // Several parts of a file are pinned once.
            of_store.pins.insert(
                key.clone(),
                Pin { etag: Arc::clone(&file.etag), size: is_whole_file(&file.uri).then_some(file.size) },
            );
            if location.is_local() {
                of_store.checks.push((key, check));
            }
        }
        Ok(all)
    }

    fn unchecked<'a>(files: impl IntoIterator<Item = &'a FileEntry>) -> Result<Self> {
        Self::of(files.into_iter().map(|file| (file, ContentCheck::Never)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FilePartition;

    fn engine(memory_limit: u64, threads: usize) -> Engine {
        Engine::new(Stores::default(), EngineOptions { memory_limit: Some(memory_limit), threads: Some(threads) })
    }

    #[test]
    fn small_memory_means_fewer_tasks_at_once() {
        assert_eq!(engine(128 << 20, 8).parallel_tasks(), 1);
        assert_eq!(engine(8 << 30, 8).parallel_tasks(), 8);
        assert_eq!((engine(512_000_000, 8).parallel_tasks(), engine(512_000_000, 8).publish_tasks(false)), (5, 2));
    }

    #[test]
    fn twice_as_many_publish_tasks_wait_for_a_remote_store_if_memory_allows() {
        let large = engine(8 << 30, 2);
        assert_eq!((large.publish_tasks(false), large.publish_tasks(true)), (2, 4));
        assert_eq!(large.merge_bytes(false), 2 * large.merge_bytes(true));
        assert_eq!(engine(512_000_000, 2).publish_tasks(true), 2);
    }

    #[test]
    fn small_tasks_of_a_remote_store_are_a_part_of_one_where_memory_is_no_question() {
        let file = |size| FileEntry {
            uri: "s3://b/f".into(),
            etag: "e".into(),
            size,
            n_record: None,
            partition: FilePartition::None,
        };
        let (large, small) = (engine(8 << 30, 2), [file(1), file(1 << 20)]);
        assert_eq!(large.task_parts(true, 2, &small), 1);
        assert_eq!(large.task_parts(false, 2, &small), PARTS);
        assert_eq!(large.task_parts(true, 2, &[file(9 << 20)]), PARTS);
        assert_eq!(large.task_parts(true, 2, &vec![file(1); 600]), PARTS, "many small files are not small");
        assert_eq!(engine(64 << 20, 2).task_parts(true, 1, &small[..1]), PARTS, "there is no room for two tasks");
    }

    #[test]
    fn merge_has_what_the_row_group_leaves() {
        assert_eq!(engine(64 << 20, 1).merge_bytes(false), (64 << 20) / 3);
        assert_eq!(engine(512 << 20, 2).merge_bytes(false), 128 << 20);
        assert_eq!(engine(400 << 20, 2).merge_bytes(false), 72 << 20);
        assert_eq!(engine(8 << 30, 2).merge_bytes(false), 2 << 30);
    }

    #[tokio::test]
    async fn date_aliases_give_the_parts_of_dates_timestamps_and_text() {
        let session = engine(64 << 20, 1).task_session([]).await.unwrap();
        let sql = "SELECT year(DATE '2013-02-03') y, month(TIMESTAMP '2013-02-03T04:05:06') m, day('2013-02-03') d, \
                   hour(TIMESTAMP '2013-02-03T04:05:06') h, month(CAST(NULL AS TIMESTAMP)) n";
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        assert!(text.contains("| 2013 | 2 | 3 | 4 |   |"), "{text}");
    }
}
