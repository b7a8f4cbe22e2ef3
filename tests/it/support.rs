//! What the tests share: a folder with a generated export, the program, and file trees that can be compared.

pub(crate) mod faulty;
pub(crate) mod proxy;
pub(crate) mod s3_server;
pub(crate) mod seed;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use flate2::Compression;
use flate2::write::GzEncoder;
use snaplake::config::{Variables, load};
use snaplake::session::{Engine, EngineOptions, Stores};
use snaplake::{Event, Pipeline, Reporter};
use tempfile::TempDir;

/// Settings of every config; `--var out=...`, a folder or a URL, puts the same job elsewhere.
pub(crate) const SETTINGS: &str = "
    SET snaplake.database = 'shop';
    SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
    SET snaplake.staging = '${out:-out}/staging';
    SET snaplake.datalake = '${out:-out}/lake';
";

/// The same for `config.sql`, which is run in its folder and whose messages are compared: paths are short, and what a test adds
/// starts in line 5.
const IN_FOLDER: &str = "SET snaplake.database = 'shop';
SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
SET snaplake.staging = 'staging';
SET snaplake.datalake = 'lake';
";

/// Events by day, in groups of a few files.
pub(crate) const EVENTS: &str = "
    CREATE EXTERNAL TABLE snapshot.events (id BIGINT, day VARCHAR, note VARCHAR)
    STORED AS CSV LOCATION '${export:-export}/' OPTIONS ('format.has_header' 'true');
    CREATE TABLE lake.events WITH (
      partitioned_by = ARRAY['day'], sorted_by = ARRAY['id'], file_group_size = '${group:-2000}'
    ) AS SELECT id, day, note FROM snapshot.events;
";

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    /// -1 after a signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Run {
    /// Exit code 0, or all output.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// This exit code and these words on standard error.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no '{word}' in: {}", self.stderr);
        }
        self
    }
}

/// The program with nothing on its input.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snaplake"));
    command.stdin(Stdio::null());
    command
}

/// A temporary folder with one config and its input.
#[derive(Debug)]
pub(crate) struct Work(TempDir);

impl Work {
    /// `tables` is the config without its settings.
    pub(crate) fn new(tables: &str) -> Self {
        let work = Self(tempfile::tempdir().unwrap());
        work.write("job.sql", &format!("{SETTINGS}{tables}"));
        work
    }

    /// With `config.sql` for [`Work::run`]; `tables` as above.
    pub(crate) fn config(tables: &str) -> Self {
        Self(tempfile::tempdir().unwrap()).file("config.sql", format!("{IN_FOLDER}{tables}"))
    }

    /// The config [`EVENTS`] with `files` files of `rows` rows.
    pub(crate) fn events(files: usize, rows: usize) -> Self {
        let work = Self::new(EVENTS);
        for file in 0..files {
            work.write(&format!("export/part-{file:05}.csv"), &events(file * rows, rows));
        }
        work
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds or replaces a file.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        self
    }

    /// Adds a file as gzip of a text.
    pub(crate) fn gzip(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(content.as_ref()).unwrap();
        let bytes = gzip.finish().unwrap();
        self.file(name, bytes)
    }

    /// Cuts a file in half.
    pub(crate) fn truncate(self, name: &str) -> Self {
        let bytes = fs::read(self.path(name)).unwrap();
        self.file(name, &bytes[..bytes.len() / 2])
    }

    /// Adds files with DataFusion's `COPY ... TO 'name'`.
    pub(crate) fn copy(self, sql: &str) -> Self {
        copy(&self.path(""), sql).unwrap();
        self
    }

    /// A command with the config after the subcommand.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg(arguments[0]).arg(self.path("job.sql")).args(&arguments[1..]);
        command
    }

    pub(crate) fn snaplake(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().unwrap().into()
    }

    /// The program in the folder, with these arguments and no others.
    pub(crate) fn here(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).current_dir(self.path("")).env_remove("RUST_LOG").env("COLUMNS", "110");
        command
    }

    /// Runs the program in the folder; see [`Work::masked`].
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.masked(&self.here(arguments).output().unwrap())
    }

    /// What the program printed, with `[dir]` for the folder.
    pub(crate) fn masked(&self, output: &Output) -> Run {
        let folder = self.path("").to_string_lossy().trim_end_matches('/').to_owned();
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "[dir]").replace(&folder[1..], "[dir]");
        Run { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Paths of all files below a folder, in order.
    pub(crate) fn paths(&self, folder: &str) -> Vec<String> {
        self.files(folder).keys().map(|path| format!("{}/{path}", folder.trim_end_matches('/'))).collect()
    }

    /// All files below a folder: relative path and content.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.path(folder);
        let mut found = BTreeMap::new();
        collect(&root, &root, &mut found);
        found
    }

    /// Edits a manifest's summary, as something would that also knows its check.
    pub(crate) fn edit_summary(&self, path: &str, edit: impl Fn(&str) -> String) {
        let path = self.path(path);
        let text = fs::read_to_string(&path).unwrap();
        let (message, _) = text.rsplit_once(",\n    \"check\": ").unwrap();
        let message = edit(message);
        let check = content_tag(message.as_bytes());
        fs::write(&path, format!("{message},\n    \"check\": \"{check}\"\n  }}\n}}\n")).unwrap();
    }

    /// Relative paths below a folder, hashes masked.
    pub(crate) fn listing(&self, folder: &str) -> String {
        self.files(folder).keys().fold(String::new(), |mut text, path| {
            writeln!(text, "{}", mask(path)).unwrap();
            text
        })
    }

    /// A job in this process over `stores`.
    pub(crate) fn pipeline(&self, stores: Stores, variables: &[(&str, &str)]) -> Arc<Pipeline> {
        let named = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let project = load(&self.path("job.sql"), &Variables { named, ..Variables::default() }).unwrap();
        let engine = Engine::new(stores, EngineOptions { memory_limit: Some(1 << 30), threads: Some(2) });
        Pipeline::new(project, engine, Arc::new(Silent))
    }
}

/// Runs `COPY ... TO 'name'` with `name` below `folder`; `[dir]` is the folder, whose files can be read as `'[dir]/name'`.
pub(crate) fn copy(folder: &Path, sql: &str) -> Result<(), datafusion::error::DataFusionError> {
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let sql = sql.replace("TO '", &format!("TO '{folder}/")).replace("[dir]", folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { SessionContext::new().enable_url_table().sql(&sql).await?.collect().await.map(|_| ()) })
}

/// What a command came to that must end well.
#[track_caller]
pub(crate) fn ok(work: &Work, arguments: &[&str]) -> Run {
    work.run(arguments).ok()
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(relative, fs::read(&path).unwrap());
        }
    }
}

/// `000001-0123456789ab-0000.parquet` becomes `000001-<hash>-0000.parquet`.
pub(crate) fn mask(path: &str) -> String {
    let is_hash = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    path.split('-').map(|part| if is_hash(part) { "<hash>" } else { part }).collect::<Vec<_>>().join("-")
}

/// CSV with a header: ids that jump about and are never alike, three days, a note that does not compress.
pub(crate) fn events(from: usize, rows: usize) -> String {
    let mut text = "id,day,note\n".to_owned();
    for row in from..from + rows {
        let id = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let note = (id ^ (id >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        writeln!(text, "{},2026-01-0{},{note:016x}{:016x}", id >> 1, row % 3 + 1, note.rotate_left(31) ^ id).unwrap();
    }
    text
}

/// A reporter that keeps to itself.
#[derive(Debug)]
pub(crate) struct Silent;

impl Reporter for Silent {
    fn on(&self, _: &Event<'_>) {}
}

/// Hash of a file's content as manifests have it.
pub(crate) fn content_tag(bytes: &[u8]) -> String {
    format!("xxh64-{:016x}", twox_hash::XxHash64::oneshot(0, bytes))
}
