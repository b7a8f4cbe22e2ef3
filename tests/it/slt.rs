//! Runs `tests/slt/*.slt`: each over a project of its own, whose config is the `.sql` file of the same name.
//!
//! | statement | is |
//! | --- | --- |
//! | `snaplake STEP ...` | the program, `snaplake STEP CONFIG ...`; as a query, the lines of its standard output |
//! | `COPY ... TO 'name'` | DataFusion, to make a snapshot file below the project's folder |
//! | other SQL | `snaplake query CONFIG -c SQL` |
//!
//! Types of columns are checked: `I` integer, `R` float or decimal, `T` text, `B` boolean, `D` date, `P` timestamp. NULL is
//! printed as `NULL`, the empty text as `(empty)`.

use std::path::{Path, PathBuf};

use serde_json::{Deserializer, Value};
use sqllogictest::{ColumnType, DB, DBOutput, Runner, strict_column_validator};

use crate::support::{Work, copy};

/// One letter per family of types.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind(char);

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Self> {
        "IRTBDP?".contains(value).then_some(Self(value))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

impl Kind {
    fn of(arrow: &str) -> Self {
        const FAMILIES: [(&str, char); 8] = [
            ("Int", 'I'),
            ("UInt", 'I'),
            ("Float", 'R'),
            ("Decimal", 'R'),
            ("Utf8", 'T'),
            ("Boolean", 'B'),
            ("Date", 'D'),
            ("Timestamp", 'P'),
        ];
        Self(FAMILIES.iter().find(|(name, _)| arrow.starts_with(name)).map_or('?', |(_, letter)| *letter))
    }
}

/// What a statement that failed had to say.
#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

struct Database {
    project: Work,
    config: PathBuf,
    variables: Vec<String>,
}

impl Database {
    fn run(&self, step: &str, rest: &[&str]) -> Result<String, Failure> {
        let mut arguments = vec![step, self.config.to_str().unwrap()];
        arguments.extend(self.variables.iter().map(String::as_str));
        arguments.extend(rest);
        let outcome = self.project.run(&arguments);
        if outcome.code == 0 { Ok(outcome.stdout) } else { Err(Failure(outcome.stderr)) }
    }

    /// The rows as text; JSON tells NULL from the empty text, and DESCRIBE tells the columns, of which JSON omits NULLs.
    fn query(&self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        let sql = sql.trim_end_matches(';');
        let out = self.run("query", &["--format", "json", "-c", &format!("DESCRIBE {sql}"), "-c", sql])?;
        let mut documents = Deserializer::from_str(&out).into_iter::<Vec<Value>>();
        let mut next = || documents.next().transpose().map_err(|error| Failure(format!("{error} in: {out}")));
        let columns = next()?.unwrap_or_default();
        let text = |column: &Value, key: &str| column[key].as_str().unwrap_or_default().to_owned();
        let names: Vec<String> = columns.iter().map(|column| text(column, "column_name")).collect();
        let types = columns.iter().map(|column| Kind::of(&text(column, "data_type"))).collect();
        let rows = next()?.unwrap_or_default();
        let rows = rows.iter().map(|row| names.iter().map(|name| shown(row.get(name))).collect()).collect();
        Ok(DBOutput::Rows { types, rows })
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "NULL".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "(empty)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl DB for Database {
    type Error = Failure;
    type ColumnType = Kind;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        if sql.starts_with("COPY ") {
            copy(&self.project.path(""), sql).map_err(|error| Failure(error.to_string()))?;
            return Ok(DBOutput::StatementComplete(0));
        }
        let Some(command) = sql.strip_prefix("snaplake ") else { return self.query(sql) };
        let (step, rest) = command.split_once(' ').unwrap_or((command, ""));
        let out = Self::run(self, step, &rest.split_whitespace().collect::<Vec<_>>())?;
        Ok(DBOutput::Rows { types: vec![Kind('T')], rows: out.lines().map(|line| vec![line.to_owned()]).collect() })
    }

    fn engine_name(&self) -> &'static str {
        "snaplake"
    }
}

/// The config beside the file is copied into the project, so that its relative paths end there.
fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let config = std::fs::read_to_string(folder.join(name).with_extension("sql")).unwrap();
    let open = move || {
        let project = Work::config(&config);
        let config = project.path("config.sql");
        std::future::ready(Ok(Database { project, config, variables: Vec::new() }))
    };
    verify(open, &folder.join(name).with_extension("slt"));
}

fn verify<F: Fn() -> std::future::Ready<Result<Database, Failure>>>(open: F, script: &Path) {
    let mut runner = Runner::new(open);
    runner.with_column_validator(strict_column_validator);
    if let Err(error) = runner.run_file(script) {
        panic!("{}", error.display(false));
    }
}

#[test]
fn stage() {
    check("stage");
}

#[test]
fn publish() {
    check("publish");
}

#[test]
fn formats() {
    check("formats");
}

#[test]
fn partitions() {
    check("partitions");
}

#[test]
fn rowwise() {
    check("rowwise");
}

#[test]
fn query() {
    check("query");
}

#[test]
fn nycflights13() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = repository.join("configs/nycflights13.sql");
    let open = move || {
        let project = Work::config("");
        let variables =
            ["staging", "datalake"].map(|name| format!("--var={name}={}", project.path(name).display())).to_vec();
        std::future::ready(Ok(Database { project, config: config.clone(), variables }))
    };
    verify(open, &repository.join("tests/slt/nycflights13.slt"));
}

#[test]
fn every_script_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt/*.slt");
    let scripts = glob::glob(folder.to_str().unwrap()).unwrap().map(Result::unwrap);
    for script in scripts {
        let name = script.file_stem().unwrap().to_str().unwrap();
        assert!(include_str!("slt.rs").contains(&format!("fn {name}()")), "no test runs {}", script.display());
    }
}
