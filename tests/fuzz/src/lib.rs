//! What the fuzz targets share: a bound for single allocations, and snapshot files and exports read from memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::AssertUnwindSafe;
use std::ptr::null_mut;
use std::sync::{Arc, LazyLock};

use futures::FutureExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, path};
use snaplake::Result;
use snaplake::config::{Project, S3Settings, SnapshotTable, Variables, load};
use snaplake::session::{Engine, EngineOptions, Stores};
use snaplake::staging::plan::Planner;
use tokio::runtime::{Builder, Runtime};

/// More than any input of a fuzzer may ask for at once, in bytes. libFuzzer's own limit sees only memory that was touched.
const ALLOCATION: usize = 512 << 20;

/// The system's allocator, which refuses what only a damaged length asks for.
struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// SAFETY: all calls go to the system's allocator, or give the null pointer that means failure.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION { null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION { null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > ALLOCATION { null_mut() } else { unsafe { System.realloc(memory, layout, size) } }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Lets a panic reach who catches it, where libFuzzer would end the process at once; one that nobody catches still does.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|_| ()));
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// A config in a file of its own, below `/fuzz` in a folder that is gone afterwards.
///
/// # Errors
/// Those of [`load`].
pub fn project(text: &[u8]) -> Result<Project> {
    static FOLDER: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("snaplake-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for configs");
        folder
    });
    let path = FOLDER.join("job.sql");
    std::fs::write(&path, text).expect("a config is written");
    load(&path, &Variables::default())
}

/// An engine whose local files are those of `store`.
pub fn engine(store: Arc<dyn ObjectStore>) -> Engine {
    let stores = Stores::new(S3Settings::default());
    stores.insert("file://", store);
    Engine::new(stores, EngineOptions { memory_limit: Some(256 << 20), threads: Some(1) })
}

/// A config with one snapshot table of one file.
fn config(name: &str, columns: &str, stored_as: &str) -> Project {
    let text = format!(
        "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
         SET snaplake.staging = '/staging'; SET snaplake.datalake = '/lake';
         CREATE EXTERNAL TABLE snapshot.t {columns} STORED AS {stored_as};
         CREATE TABLE lake.t AS SELECT * FROM snapshot.t;"
    );
    let text = text.replace("LOCATION", &format!("LOCATION '/snapshot/{name}'"));
    project(text.as_bytes()).expect("the config of the target is right")
}

/// A snapshot table of one file, which each input replaces.
pub struct SnapshotFile {
    project: Project,
    engine: Engine,
    store: Arc<InMemory>,
    key: path::Path,
}

impl SnapshotFile {
    /// A table of one file of this name; `columns` are declared, unless they are empty.
    pub fn new(name: &str, columns: &str, stored_as: &str) -> Self {
        let project = config(name, columns, stored_as);
        let store = Arc::new(InMemory::new());
        let engine = engine(Arc::clone(&store) as _);
        let key = path::Path::from_iter(["snapshot", name]);
        let_panics_be_caught();
        Self { project, engine, store, key }
    }

    /// Plans the table and reads all its rows, as a stage task does. Whatever panics while planning ends the process.
    pub fn read(&self, bytes: &[u8]) {
        block_on(async {
            self.store.put(&self.key, bytes.to_vec().into()).await.expect("the store takes any bytes");
            let planner = Planner::new(&self.engine, &self.project);
            let Ok(Some(files)) = planner.find("t").await else { return };
            let rows = AssertUnwindSafe(snaplake::fuzz::read(&self.engine, &files)).catch_unwind().await;
            drop(rows);
        });
    }
}

/// A snapshot table of one file, which each input replaces, decoded without an engine: no thread, no plan, so that a
/// panic ends the process and a second has many inputs.
pub struct DecodedFile {
    table: SnapshotTable,
    store: Arc<dyn ObjectStore>,
    key: path::Path,
}

impl DecodedFile {
    /// As [`SnapshotFile::new`].
    pub fn new(name: &str, columns: &str, stored_as: &str) -> Self {
        let table = config(name, columns, stored_as).snapshots.remove(0);
        Self { table, store: Arc::new(InMemory::new()), key: path::Path::from_iter(["snapshot", name]) }
    }

    /// Reads all rows, in pieces of a size that the input says.
    pub fn read(&self, bytes: &[u8]) {
        block_on(async {
            self.store.put(&self.key, bytes.to_vec().into()).await.expect("the store takes any bytes");
            let rows = snaplake::fuzz::decode(&self.store, &self.table, bytes.len() as u64, piece(bytes)).await;
            drop(rows.map_err(|error| error.to_string()));
        });
    }
}

/// Reads all tables of an export that is one file.
pub fn read_export(kind: &str, bytes: &[u8]) {
    block_on(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = path::Path::from_iter(["snapshot", "f"]);
        store.put(&key, bytes.to_vec().into()).await.expect("the store takes any bytes");
        drop(snaplake::fuzz::export(kind, &store, "/snapshot/f", piece(bytes)).await);
    });
}

/// Small and large pieces: what a decoder keeps between two of them is searched, too.
fn piece(bytes: &[u8]) -> usize {
    [usize::MAX, 1, 7, 64][bytes.len() / 8 % 4]
}
