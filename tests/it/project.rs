//! A project in a temporary folder, and the program that works on it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use datafusion::prelude::SessionContext;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Stands above each config; what a test adds starts in line 5.
const HEAD: &str = "SET snaplake.database = 'shop';
SET snaplake.snapshot_time = '2024-01-01T00:00:00Z';
SET snaplake.staging = 'staging';
SET snaplake.datalake = 'lake';
";

/// A folder with `config.sql` and the snapshot that it reads.
pub(crate) struct Project(tempfile::TempDir);

/// How the program ended and what it said; the project's folder is written `[dir]`.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Project {
    pub(crate) fn new(config: &str) -> Self {
        Self(tempfile::tempdir().unwrap()).file("config.sql", format!("{HEAD}{config}"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    /// Adds or replaces a file.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        self
    }

    /// Adds a file as gzip of a text.
    pub(crate) fn gzip(self, name: &str, content: &str) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(content.as_bytes()).unwrap();
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

    /// Runs the program in the folder.
    pub(crate) fn snaplake(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().unwrap();
        self.outcome(&output)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snaplake"));
        command.args(arguments).current_dir(self.path("")).env_remove("RUST_LOG").env("COLUMNS", "110");
        command
    }

    pub(crate) fn outcome(&self, output: &Output) -> Outcome {
        let folder = self.path("").to_string_lossy().trim_end_matches('/').to_owned();
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "[dir]").replace(&folder[1..], "[dir]");
        Outcome { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// All files below a folder, by path.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let (root, pattern) = (self.path(""), self.path(folder).join("**/*"));
        let found = glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap).filter(|path| path.is_file());
        found.map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()).collect()
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
pub(crate) fn ok(project: &Project, arguments: &[&str]) -> Outcome {
    let outcome = project.snaplake(arguments);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    outcome
}
