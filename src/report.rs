//! The only file that prints: results to standard output, talk to standard error.
//!
//! On a terminal a bar shows bytes, rows per second and the time left; otherwise there are only lines. `--format json`
//! turns each result into one JSON document. Errors are printed with their causes, each once.

use std::error::Error as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use datafusion_cli::exec::{exec_from_commands, exec_from_repl};
use datafusion_cli::object_storage::instrumented::InstrumentedObjectStoreRegistry;
use datafusion_cli::print_format::PrintFormat;
use datafusion_cli::print_options::{MaxRows, PrintOptions};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::advice::advice;
use crate::clean::{Garbage, Why};
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::pipeline::{Event, PlanView, Reporter, TableReport, TableStatus, TaskSpec};
use crate::query::QuerySession;
use crate::redact::Redactor;
use crate::session::Requests;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A table.
    Human,
    /// One JSON document.
    Json,
}

/// How log lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verbosity {
    /// Only results and errors.
    pub(crate) quiet: bool,
    /// 0: warnings; 1: what is done; 2: details.
    pub(crate) verbose: u8,
    /// Form of log lines.
    pub(crate) log: LogFormat,
}

/// Prints what happens and what came of it.
#[derive(Debug)]
pub(crate) struct Report {
    quiet: bool,
    /// Whether what happens is told in lines of text: not between log lines in JSON, which somebody parses.
    lines: bool,
    format: OutputFormat,
    bar: ProgressBar,
    rows: Mutex<u64>,
}

/// Whatever is said to people goes through it.
static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::of_environment);

/// Log lines go above the bar, not through it.
#[derive(Clone)]
struct AboveBar(ProgressBar);

impl Write for AboveBar {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // A whole event comes in one write, so that no secret is cut in two.
        let text = String::from_utf8_lossy(bytes);
        self.0.suspend(|| std::io::stderr().write_all(REDACTOR.redact(&text).as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl Report {
    /// Sets up logging for the process, and the bar if standard error is a terminal.
    #[must_use]
    pub(crate) fn new(verbosity: Verbosity, format: OutputFormat) -> Arc<Self> {
        let show = !verbosity.quiet && verbosity.log == LogFormat::Text && std::io::stderr().is_terminal();
        let target = if show { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{msg:30} [{bar:24}] {bytes:>10}/{total_bytes:10} {prefix} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let level = match (verbosity.quiet, verbosity.verbose) {
            (true, _) => "error",
            // The AWS SDK warns of each place in which it finds no region or credentials, before it finds them.
            (false, 0) => "warn,aws_config=error",
            (false, 1) => "warn,snaplake=info",
            (false, 2) => "info,snaplake=debug",
            // The parser tells each token of a config.
            (false, _) => "debug,sqlparser=info",
        };
        let above = AboveBar(bar.clone());
        let log = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(level))
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(move || above.clone());
        // A second report in one process keeps the first one's logging.
        let _ = match verbosity.log {
            LogFormat::Text => log.try_init(),
            LogFormat::Json => log.json().try_init(),
        };
        let lines = !verbosity.quiet && verbosity.log == LogFormat::Text;
        Arc::new(Self { quiet: verbosity.quiet, lines, format, bar, rows: Mutex::new(0) })
    }

    /// Wrong arguments, or `--help`, which is not wrong.
    #[must_use]
    pub(crate) fn usage(error: &clap::Error) -> ExitCode {
        // A closed pipe is nobody's error here.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
    }

    /// Prints a shell's completion script.
    pub(crate) fn completions(shell: clap_complete::Shell, command: &mut clap::Command) {
        // Into memory first: the generator panics when a pipe is closed.
        let mut script = Vec::new();
        clap_complete::generate(shell, command, "snaplake", &mut script);
        let _ = std::io::stdout().write_all(&script);
    }

    /// Prints an error with its causes and gives the program's exit code.
    #[must_use]
    pub(crate) fn failed(&self, error: &Error) -> ExitCode {
        self.bar.finish_and_clear();
        say(&format!("error: {}", describe(error)));
        if let Some(advice) = advice(error) {
            say(&format!("  so {advice}"));
        }
        ExitCode::from(exit_code(error))
    }

    /// What `run` or `publish` came to.
    pub(crate) fn tables(&self, reports: &[TableReport], requests: &Requests) {
        self.validations(reports, requests);
        if self.format == OutputFormat::Human && reports.iter().all(|report| report.tasks == 0) {
            print("nothing to do: all tables are complete");
        }
    }

    /// What `validate` came to.
    pub(crate) fn validations(&self, reports: &[TableReport], requests: &Requests) {
        self.bar.finish_and_clear();
        let failed: u64 = requests.failed.values().sum();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = reports.iter().map(report_json).collect();
            let requests = json!({ "sent": requests.sent, "failed": requests.failed });
            return print(&pretty(&json!({ "version": 1, "tables": tables, "requests": requests })));
        }
        if failed > 0 {
            let kinds: Vec<String> = requests.failed.iter().map(|(kind, times)| format!("{kind}: {times}")).collect();
            self.line(&format!(
                "{} of {} failed and were sent again ({})",
                HumanCount(failed),
                count_u64(requests.sent, "request"),
                kinds.join(", ")
            ));
        }
        let mut rows = vec![
            ["table", "rows in", "rows out", "files", "bytes", "partitions", "seconds"].map(str::to_owned).to_vec(),
        ];
        for report in reports {
            let (from, to) = (&report.validation.snapshot, &report.validation.lake);
            rows.push(vec![
                report.table.clone(),
                HumanCount(report.validation.rows_read).to_string(),
                HumanCount(report.validation.footer_rows).to_string(),
                format!("{} -> {}", HumanCount(from.files), HumanCount(to.files)),
                format!("{} -> {}", HumanBytes(from.bytes), HumanBytes(to.bytes)),
                HumanCount(report.validation.partitions).to_string(),
                format!("{:.1}", report.seconds),
            ]);
        }
        print(&table(&rows));
        for report in reports.iter().filter(|report| report.validation.footer_rows == 0) {
            print(&format!("lake.{} is empty: its snapshot or its SELECT has no rows", report.table));
        }
    }

    /// What `status` and `stage` came to.
    pub(crate) fn statuses(&self, statuses: &[TableStatus]) {
        self.bar.finish_and_clear();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = statuses.iter().map(status_json).collect();
            return print(&pretty(&json!({ "version": 1, "tables": tables })));
        }
        let mut rows = vec![["table", "planned", "staged", "published", "complete"].map(str::to_owned).to_vec()];
        for status in statuses {
            rows.push(vec![
                status.table.clone(),
                status.planned_at.clone().unwrap_or_else(|| "no".to_owned()),
                format!("{} of {}", status.staged.0, status.staged.1),
                format!("{} of {}", status.published.0, status.published.1),
                if status.complete { "yes" } else { "no" }.to_owned(),
            ]);
        }
        print(&table(&rows));
    }

    /// What `plan` found.
    pub(crate) fn plans(&self, plans: &[PlanView], config: &Path) {
        self.bar.finish_and_clear();
        if self.format == OutputFormat::Json {
            let tables: Vec<Value> = plans.iter().map(|plan| plan_json(plan, config)).collect();
            return print(&pretty(&json!({ "version": 1, "tables": tables })));
        }
        let mut rows = vec![
            ["table", "from", "files", "bytes", "rows", "stage groups", "publish groups"].map(str::to_owned).to_vec(),
        ];
        for plan in plans {
            rows.push(vec![
                plan.table.clone(),
                plan.driving.clone(),
                HumanCount(plan.files as u64).to_string(),
                HumanBytes(plan.bytes).to_string(),
                plan.rows.map_or_else(|| "?".to_owned(), |rows| HumanCount(rows).to_string()),
                format!("{} ({} done)", plan.groups.len(), plan.groups.iter().filter(|group| group.done).count()),
                plan.publish
                    .map_or_else(|| "known after stage".to_owned(), |(done, total)| format!("{total} ({done} done)")),
            ]);
        }
        print(&table(&rows));
        for plan in plans {
            print(&format!("lake.{} -> {}", plan.table, plan.location));
        }
        for plan in plans {
            if let Some(explain) = &plan.explain {
                print(&format!("\nlake.{}, stage group 1:\n{}", plan.table, explain.stage));
                print(&format!("lake.{}, publish of a partition with two runs:\n{}", plan.table, explain.publish));
            }
        }
    }

    /// What a single task came to.
    pub(crate) fn task(&self, task: &TaskSpec, is_new: bool) {
        self.bar.finish_and_clear();
        let step = step_name(task.step);
        match self.format {
            OutputFormat::Json => print(&pretty(
                &json!({ "version": 1, "table": task.table, "step": step, "group": task.group, "ran": is_new }),
            )),
            OutputFormat::Human => {
                let what = if is_new { "done" } else { "nothing to do, it was done before" };
                print(&format!("lake.{} {step} group {}: {what}", task.table, task.group));
            }
        }
    }

    /// What `clean` found: a line per file, to be piped on; how many, to standard error.
    pub(crate) fn garbage(&self, garbage: &[Garbage], removed: bool) {
        self.bar.finish_and_clear();
        if self.format == OutputFormat::Json {
            return print(&pretty(&json!({ "version": 1, "removed": removed, "files": garbage })));
        }
        for file in garbage {
            let why = match file.why {
                Why::Uncommitted => "uncommitted",
                Why::Unfinished => "unfinished",
                Why::Published => "published",
            };
            print(&format!("{why:11}  {:>10}  {}", HumanBytes(file.bytes).to_string(), file.uri));
        }
        if !self.quiet {
            let bytes = HumanBytes(garbage.iter().map(|file| file.bytes).sum());
            let what = if removed { "removed" } else { "nothing removed, add --remove" };
            say(&match garbage {
                [] => "no garbage".to_owned(),
                _ => format!("{}, {bytes}: {what}", count(garbage.len(), "file")),
            });
        }
    }

    /// Runs SQL and prints its rows; without commands, the shell.
    ///
    /// # Errors
    /// [`Error::Engine`], [`Error::Io`].
    pub(crate) async fn query(&self, session: &QuerySession, commands: &[String], format: PrintFormat) -> Result<()> {
        let terminal = std::io::stdout().is_terminal();
        let mut options = PrintOptions {
            format,
            quiet: self.quiet || !commands.is_empty() || !terminal,
            maxrows: if commands.is_empty() { MaxRows::Limited(40) } else { MaxRows::Unlimited },
            color: terminal,
            instrumented_registry: Arc::new(InstrumentedObjectStoreRegistry::new()),
        };
        if commands.is_empty() {
            return Box::pin(exec_from_repl(session, &mut options))
                .await
                .map_err(|error| Error::Io { action: "the shell".to_owned(), source: std::io::Error::other(error) });
        }
        match Box::pin(exec_from_commands(session, commands.to_vec(), &options)).await {
            Err(error) if is_broken_pipe(&error) => Ok(()),
            result => result.map_err(crate::write::unwrap_engine),
        }
    }

    fn line(&self, text: &str) {
        if self.lines {
            self.bar.suspend(|| say(text));
        }
    }
}

impl Reporter for Report {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Step { table, step, tasks, done, files, bytes } => {
                let todo = tasks - done;
                let before = if done > 0 { format!(", {done} done before") } else { String::new() };
                let size = HumanBytes(bytes);
                self.line(&format!(
                    "{step:7} {table}: {todo} of {}{before}; {}, {size}",
                    count(tasks, "task"),
                    count(files, "file")
                ));
                if self.bar.position() >= self.bar.length().unwrap_or(0) {
                    self.bar.reset();
                    self.bar.set_length(0);
                    *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = 0;
                }
                self.bar.inc_length(bytes);
                self.bar.set_message(format!("{step} {table}"));
            }
            Event::Rows(written) => {
                let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                *rows += written;
                let seconds = self.bar.elapsed().max(Duration::from_millis(1)).as_secs_f64();
                #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let speed = (*rows as f64 / seconds) as u64;
                self.bar.set_prefix(format!("{:>14} rows/s", HumanCount(speed).to_string()));
            }
            Event::Task { table, step, bytes, .. } => {
                self.bar.set_message(format!("{step} {table}"));
                self.bar.inc(bytes);
            }
            Event::Complete { table, rows } => {
                self.line(&format!("valid   {table}: {} rows in and out agree, _SUCCESS written", HumanCount(rows)));
            }
        }
    }
}

/// Whether somebody stopped reading, as `head` does.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe) || error.source().is_some_and(is_broken_pipe)
}

/// The error, then its causes; a cause that its effect already quotes is left out.
fn describe(error: &Error) -> String {
    let mut text = clean(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = clean(&error.to_string());
        if !text.contains(&message) {
            text.push_str("\n  because ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The engine's messages, without the prefixes that name its own parts.
fn clean(message: &str) -> String {
    const PREFIXES: [&str; 11] = [
        "Arrow error: ",
        "Execution error: ",
        "External error: ",
        "External: ",
        "Parquet error: ",
        "Error during planning: ",
        "Object Store error: ",
        "Schema error: ",
        "Compute error: ",
        "Invalid argument error: ",
        "sql parser error: ",
    ];
    let mut text = message.trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.to_owned()
}

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Config { .. }
        | Error::ReadConfig { .. }
        | Error::NotUtf8 { .. }
        | Error::Location { .. }
        | Error::NoSuchGroup { .. }
        | Error::GroupNeedsTable { .. }
        | Error::OutputFormat { .. } => 2,
        Error::Validation { .. } => 3,
        Error::Interrupted { signal: "SIGTERM" } => 143,
        Error::Interrupted { .. } => 130,
        _ => 1,
    }
}

fn report_json(report: &TableReport) -> Value {
    json!({
        "table": report.table,
        "location": report.location,
        "tasks_run": report.tasks,
        "seconds": report.seconds,
        "validation": report.validation,
    })
}

fn status_json(status: &TableStatus) -> Value {
    json!({
        "table": status.table,
        "location": status.location,
        "planned_at": status.planned_at,
        "stage": { "done": status.staged.0, "total": status.staged.1 },
        "publish": { "done": status.published.0, "total": status.published.1 },
        "complete": status.complete,
    })
}

fn plan_json(plan: &PlanView, config: &Path) -> Value {
    let command = |step: &str, group: usize| {
        let config = config.display().to_string();
        json!(["snaplake", step, config, "--table", plan.table, "--group", group.to_string()])
    };
    let stage = plan.groups.iter().map(|group| {
        json!({
            "step": "stage", "group": group.number, "files": group.files, "bytes": group.bytes, "done": group.done,
            "command": command("stage", group.number),
        })
    });
    json!({
        "table": plan.table,
        "driving": plan.driving,
        "reads_whole": plan.whole,
        "planned_at": plan.planned_at,
        "files": plan.files,
        "bytes": plan.bytes,
        "rows": plan.rows,
        "columns": plan.columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect::<Vec<_>>(),
        "staging": plan.staging,
        "location": plan.location,
        "tasks": stage.collect::<Vec<_>>(),
        "publish": plan.publish.map(|(done, total)| json!({
            "done": done, "total": total,
            "commands": (1..=total).map(|group| command("publish", group)).collect::<Vec<_>>(),
        })),
        "explain": plan.explain.as_ref().map(|explain| json!({ "stage": explain.stage, "publish": explain.publish })),
    })
}

fn step_name(step: Step) -> &'static str {
    if step == Step::StagingFileGroups { "stage" } else { "publish" }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// Columns side by side, the first one left, all others right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `1 file`, `2 files`.
fn count(number: usize, noun: &str) -> String {
    count_u64(number as u64, noun)
}

fn count_u64(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// To standard output; a closed pipe is the reader's choice, not an error.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// To standard error.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", REDACTOR.redact(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_aligned_by_characters() {
        let rows = [["a", "n"], ["é", "10"], ["ccc", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a     n\né    10\nccc   7");
    }

    #[test]
    fn causes_are_printed_once_and_without_the_engines_prefixes() {
        let error = Error::Task {
            step: "stage",
            table: "t".into(),
            group: 3,
            file: Some("s3://b/f".into()),
            source: Box::new(Error::Engine(datafusion::error::DataFusionError::Execution("no".into()))),
        };
        assert_eq!(describe(&error), "stage of lake.t group 3 failed at s3://b/f\n  because no");
    }

    #[test]
    fn exit_codes_tell_config_from_failure_and_from_validation() {
        let validation = Error::Validation { table: "t".into(), reason: "r".into() };
        let config = Error::NotUtf8 { path: "p".into(), offset: 1 };
        let interrupted = |signal| exit_code(&Error::Interrupted { signal });
        assert_eq!([exit_code(&validation), exit_code(&config)], [3, 2]);
        assert_eq!([interrupted("SIGINT"), interrupted("SIGTERM")], [130, 143]);
        assert_eq!(exit_code(&Error::NotPlanned { table: "t".into() }), 1);
    }
}
