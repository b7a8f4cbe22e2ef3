//! The command line: clap types and one short function per subcommand.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or config, 3 validation failed, 4 an audit failed, 130 interrupted (143 by
//! SIGTERM).

use std::ffi::OsString;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::clean::{CleanOptions, clean};
use crate::config::{self, ByteSize, Variables, duration, load};
use crate::diff::{DiffOptions, diff};
use crate::error::{Error, Result, caught};
use crate::init::{InitOptions, init, snapshot_time};
use crate::layout::Step;
use crate::pipeline::{Pipeline, StatusReader, TaskSpec};
use crate::query::QuerySession;
use crate::replan::replan;
use crate::report::{LogFormat, OutputFormat, Report, RowFormat, RowOptions, Verbosity};
use crate::session::{Engine, EngineOptions, Stores};
use crate::write::{unwrap_engine, uploads_ended};

const EXAMPLES: &str = "\
Examples:
  snaplake init s3://bucket/export -o configs/shop.sql   look at an export and write a config for it
  snaplake plan configs/shop.sql                     what would be done; writes nothing
  snaplake run configs/shop.sql                      stage, publish, validate; again: only what is missing
  snaplake run configs/shop.sql --table orders --memory-limit 2GB
  snaplake stage configs/shop.sql                    the first half; then look at it:
  snaplake query configs/shop.sql -c 'SELECT count(*) FROM staging.orders'
  snaplake audit configs/shop.sql                    what must return no rows; publish and run do it too
  snaplake publish configs/shop.sql                  the second half
  snaplake plan configs/shop.sql --format json       the task list for an outside scheduler; its workers run
  snaplake stage configs/shop.sql --table orders --group 7

Exit codes: 0 done, 1 failed, 2 usage or config, 3 validation failed, 4 an audit failed,
            130 interrupted (143 by SIGTERM)";

/// Turns database snapshots into a partitioned, sorted, proven data lake, in SQL.
#[derive(Debug, Parser)]
#[command(name = "snaplake", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at a folder, bucket or prefix, and write a config and one SQL file per table.
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArguments),
    /// Show what would be done, what is done, how long the rest takes, and what will cost trouble. Writes nothing.
    Plan {
        #[command(flatten)]
        common: Common,
        /// Also print the engine's plans of a stage task and of a publish task of each table.
        #[arg(long)]
        explain: bool,
    },
    /// First half: snapshot files become sorted, partitioned staging files.
    Stage {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        task: Task,
    },
    /// Run the audits over what is staged: each must return no rows.
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit {
        #[command(flatten)]
        common: Common,
    },
    /// Second half: audit what is staged, make it the lake, validate that and mark it with _SUCCESS.
    Publish {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        task: Task,
    },
    /// Both halves with the audits between them. A rerun does only what is missing.
    Run {
        #[command(flatten)]
        common: Common,
        /// First plan anew, from the files and the config as they are now; refused for tables that are partly published.
        #[arg(long)]
        replan: bool,
    },
    /// Show how far each table is: tasks done, running and failed, rows and bytes so far.
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        #[command(flatten)]
        common: Common,
        /// Show it again every 2 seconds until all tables are complete: in place on a terminal, else what has changed.
        #[arg(long)]
        watch: bool,
    },
    /// Show what changed since another snapshot: files and rows by partition and, by a key, rows.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff {
        #[command(flatten)]
        common: Common,
        /// Time of the other snapshot, which is published too, such as 2013-12-30T23:59:59Z.
        #[arg(long, value_name = "TIME", value_parser = parse_against)]
        against: String,
        /// Column that names a row, or several with commas between: rows are compared too.
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
        key: Vec<String>,
        /// Rows of each kind that are shown.
        #[arg(long, value_name = "N", default_value_t = 5)]
        samples: usize,
    },
    /// Prove the published lake: all manifests against each other and against the files' footers.
    Validate {
        #[command(flatten)]
        common: Common,
        /// Read every published file and compare every value; needs SET snaplake.verify = 'checksum' when staging.
        #[arg(long)]
        deep: bool,
    },
    /// List files that no manifest lists, such as what a killed run left; with --remove, remove them.
    #[command(after_help = CLEAN_EXAMPLES)]
    Clean {
        #[command(flatten)]
        common: Common,
        /// Remove what is listed.
        #[arg(long)]
        remove: bool,
        /// Also the staging files of tables whose lake is complete.
        #[arg(long)]
        staging: bool,
        /// Only files of this age, such as 30m, 12h or 7d: younger ones may belong to a run that is under way.
        #[arg(long, default_value = "1h", value_name = "AGE", value_parser = parse_age)]
        older_than: Duration,
    },
    /// Query snapshot.*, staging.*, lake.* and manifest.* with SQL, read-only; without SQL, a shell.
    #[command(after_help = QUERY_EXAMPLES)]
    Query {
        #[command(flatten)]
        common: CommonOptions,
        #[command(flatten)]
        query: Query,
    },
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  snaplake completions bash > ~/.local/share/bash-completion/completions/snaplake"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const AUDIT_EXAMPLES: &str = "\
Examples:
  snaplake audit configs/shop.sql
  snaplake audit configs/shop.sql --table orders          only the audits that hold back this table
  snaplake query configs/shop.sql -c 'SELECT * FROM audit.orders_have_a_customer'

An audit is CREATE VIEW audit.name AS SELECT ..., or a property in WITH, such as not_null = ARRAY['id'].
The first 1,000 rows that one finds are kept as a Parquet file in the staging folder. One that passed does
not run again until what is staged or its text has changed.";

const INIT_EXAMPLES: &str = "\
Examples:
  snaplake init export -o configs/shop.sql                what it found, and what to type next
  snaplake init s3://bucket/exports/shop/ -o configs/shop.sql --database shop
  snaplake init gs://bucket/export -o configs/shop.sql --snapshot-time 2026-01-31T00:00:00Z --force

The models go to sql/shop/ beside the folder configs, else beside the config. It reads file names, Parquet
footers, and a bounded part of the files, some hundred MB at most, and tries each SELECT on that. It knows
Parquet, CSV and NDJSON by content, plain or compressed, exports of RDS, Aurora and DynamoDB, and manifests of
s3manifesto. Everything in the files is a proposal: change it.";

const QUERY_EXAMPLES: &str = "\
Examples:
  snaplake query configs/shop.sql                           a shell: \\d lists the tables, \\? all commands
  snaplake query configs/shop.sql -c 'SELECT day, count(*) FROM staging.orders GROUP BY day' --format csv
  snaplake query configs/shop.sql -f report.sql -o report.parquet --format parquet
  echo 'SELECT * FROM lake.orders' | snaplake query configs/shop.sql --format ndjson | head
  snaplake query configs/shop.sql -c 'SELECT table_name, partition, n_record, size FROM manifest.lake_files'
  snaplake query configs/shop.sql -c \"SELECT * FROM manifest.tasks WHERE state = 'open'\"
  snaplake query configs/shop.sql -c 'EXPLAIN SELECT * FROM lake.orders WHERE day = 3'

Tables of manifest: snapshot_files, snapshot_file_groups, staging_files, partition_file_groups,
lake_files, tasks, column_statistics. EXPLAIN says how many files of a table are read.";

const STATUS_EXAMPLES: &str = "\
Examples:
  snaplake status configs/shop.sql
  snaplake status configs/shop.sql --watch                    beside a run in another terminal
  snaplake status configs/shop.sql --watch --format json      one JSON document a line, at each change

What is done is what manifests say. Running and failed tasks are known from small files beside them, which
their processes write: every 10 seconds while tasks run, and when one fails.";

const DIFF_EXAMPLES: &str = "\
Examples:
  snaplake diff configs/shop.sql --against 2026-01-30T00:00:00Z                 partitions whose files differ
  snaplake diff configs/shop.sql --against 2026-01-30T00:00:00Z --table orders --key id

Partitions whose files are the same, byte for byte, are not read.";

const CLEAN_EXAMPLES: &str = "\
Examples:
  snaplake clean configs/shop.sql                         what a killed run left behind
  snaplake clean configs/shop.sql --remove --older-than 0s  remove it at once: nothing else is running
  snaplake clean configs/shop.sql --remove --staging      free the staging files of published tables

Multipart uploads to S3 that a killed run began are listed and aborted, too, if the credentials may list them.";

/// What all commands that work on a config take.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    options: CommonOptions,
    /// Result on standard output: a table for people, or JSON.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    format: OutputFormat,
}

#[derive(Debug, Args)]
struct CommonOptions {
    /// The config: SQL statements.
    config: PathBuf,
    /// Only this lake table; can be repeated.
    #[arg(short, long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Value of ${NAME} in the config's string literals; can be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_variable)]
    variables: Vec<(String, String)>,
    /// Memory to stay within, such as 512MB or 4GiB [default: 60 % of the machine or its cgroup].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory_limit: Option<u64>,
    /// Tasks at once [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    talk: Talk,
}

/// How much is said.
#[derive(Debug, Args)]
struct Talk {
    /// Print only the result and errors.
    #[arg(short, long)]
    quiet: bool,
    /// Log what is done; twice for more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Form of log lines on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
struct InitArguments {
    /// Folder, file or URL of the export: a path, s3://, gs:// or az://.
    location: String,
    /// The config to write, such as configs/shop.sql.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name of the database [default: from the export or the location].
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    database: Option<String>,
    /// Its schema [default: from the export, else public].
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    schema: Option<String>,
    /// Time of the snapshot, RFC 3339 [default: from the export, else of the newest file].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    snapshot_time: Option<String>,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
    /// Result on standard output: a table for people, or JSON.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    format: OutputFormat,
    #[command(flatten)]
    talk: Talk,
}

#[derive(Debug, Args)]
struct Query {
    /// Run this SQL and exit; can be repeated.
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    commands: Vec<String>,
    /// Run the SQL of this file and exit; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the rows.
    #[arg(long, value_enum, default_value_t = RowFormat::Table, value_name = "FORMAT")]
    format: RowFormat,
    /// Write the rows into this file, which appears when all is written.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rows of a table to show, or inf for all [default: 40 on a terminal, otherwise all].
    #[arg(long, value_name = "N", value_parser = parse_max_rows)]
    maxrows: Option<usize>,
}

#[derive(Debug, Args)]
struct Task {
    /// Run exactly this task of the table (a number from 1), for an outside scheduler; needs --table once.
    #[arg(long, value_name = "N")]
    group: Option<usize>,
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() { Err("the name is empty".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

fn parse_name(text: &str) -> Result<String, String> {
    let is_name = !text.trim().is_empty() && text != "." && text != "..";
    is_name.then(|| text.to_owned()).ok_or_else(|| "write a name".to_owned())
}

fn parse_time(text: &str) -> Result<String, String> {
    snapshot_time(text).ok_or_else(|| "write a time such as 2026-01-31T00:00:00Z".to_owned())
}

fn parse_max_rows(text: &str) -> Result<usize, String> {
    let number = if text == "inf" { Some(usize::MAX) } else { text.parse().ok() };
    number.ok_or_else(|| "write a number of rows, or inf".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    ByteSize::parse(text).map(|size| size.0).ok_or_else(|| "write a size such as 512MB, 4GiB or 1000000".to_owned())
}

fn parse_against(text: &str) -> Result<String, String> {
    config::snapshot_time(text).ok_or_else(|| "write RFC 3339 with a zone, such as 2013-12-31T23:59:59Z".to_owned())
}

fn parse_age(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "write an age such as 0s, 30m, 12h or 7d".to_owned())
}

/// How often a watch looks.
const WATCH_TIME: Duration = Duration::from_secs(2);

/// How long a stopped run waits until the store has forgotten its unfinished uploads.
const ABORT_TIME: Duration = Duration::from_secs(10);

/// The signal that asks the process to end, when it comes.
async fn interrupted() -> &'static str {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        return tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        };
    }
    let _ = tokio::signal::ctrl_c().await;
    "SIGINT"
}

/// Threads that wait for local files. Each keeps memory of what it read, so a hundred of them, which the runtime would
/// start for a hundred runs, need more of it than the runs; more than a few per core do not make a disk faster.
fn blocking_threads() -> usize {
    4 + 2 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Runs the program with these arguments, the first of which is its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return Report::usage(&error),
    };
    let Some(talk) = cli.command.talk() else { return completions(&cli.command) };
    let verbosity = Verbosity { quiet: talk.quiet, verbose: talk.verbose, log: talk.log_format };
    let report = Report::new(verbosity, cli.command.format());
    // Each panic becomes an error with a place; its own words are those of a defect, and are for logs.
    std::panic::set_hook(Box::new(|panic| tracing::debug!(%panic)));
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(blocking_threads()).build()
        {
            Ok(runtime) => runtime,
            Err(source) => {
                return report.failed(&Error::Io { action: "starting threads".to_owned(), source }, None);
            }
        };
    let result = runtime.block_on(async {
        tokio::select! {
            result = Box::pin(caught(run(&cli.command, &report))) => result,
            signal = interrupted() => Err(Error::Interrupted { signal }),
        }
    });
    if matches!(result, Err(Error::Interrupted { .. })) && !runtime.block_on(uploads_ended(ABORT_TIME)) {
        tracing::warn!("some multipart uploads could not be aborted in time; a lifecycle rule of the bucket ends them");
    }
    // Threads that still decode or compress are of no use to anybody now.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report.failed(&error, cli.command.goes_on().then_some(&arguments)),
    }
}

impl Command {
    /// Whether a second run does what the first one did not.
    fn goes_on(&self) -> bool {
        matches!(self, Self::Stage { .. } | Self::Publish { .. } | Self::Run { .. })
    }

    fn options(&self) -> Option<&CommonOptions> {
        match self {
            Self::Plan { common, .. }
            | Self::Stage { common, .. }
            | Self::Audit { common }
            | Self::Publish { common, .. }
            | Self::Run { common, .. }
            | Self::Status { common, .. }
            | Self::Diff { common, .. }
            | Self::Validate { common, .. }
            | Self::Clean { common, .. } => Some(&common.options),
            Self::Query { common, .. } => Some(common),
            Self::Init(_) | Self::Completions { .. } => None,
        }
    }

    fn talk(&self) -> Option<&Talk> {
        match self {
            Self::Init(arguments) => Some(&arguments.talk),
            other => other.options().map(|options| &options.talk),
        }
    }

    fn format(&self) -> OutputFormat {
        match self {
            Self::Plan { common, .. }
            | Self::Stage { common, .. }
            | Self::Audit { common }
            | Self::Publish { common, .. }
            | Self::Run { common, .. }
            | Self::Status { common, .. }
            | Self::Diff { common, .. }
            | Self::Validate { common, .. }
            | Self::Clean { common, .. } => common.format,
            Self::Init(arguments) => arguments.format,
            Self::Query { .. } | Self::Completions { .. } => OutputFormat::Human,
        }
    }
}

async fn run(command: &Command, report: &Arc<Report>) -> Result<()> {
    if let Command::Init(arguments) = command {
        return init_config(arguments, report).await;
    }
    let Some(options) = command.options() else { return Ok(()) };
    let variables = Variables { named: options.variables.iter().cloned().collect(), ..Variables::default() };
    let mut project = load(&options.config, &variables)?;
    if !options.tables.is_empty() {
        project.select_tables(&options.tables)?;
    }
    let engine_options =
        EngineOptions { memory_limit: options.memory_limit, threads: options.threads.map(usize::from) };
    let engine = Engine::new(Stores::new(project.settings.s3.clone()), engine_options);
    let pipeline = Pipeline::new(project, engine, Arc::clone(report) as _);
    let requests = || pipeline.engine().stores().requests();
    match command {
        Command::Plan { explain, .. } => plan(&pipeline, report, &options.config, *explain).await,
        Command::Stage { task: Task { group: Some(group) }, .. } => {
            one_task(&pipeline, report, Step::StagingFileGroups, *group).await
        }
        Command::Publish { task: Task { group: Some(group) }, .. } => {
            one_task(&pipeline, report, Step::DatalakeFileGroups, *group).await
        }
        Command::Stage { .. } => {
            pipeline.stage().await?;
            report.statuses(&pipeline.status().await?);
            Ok(())
        }
        Command::Audit { .. } => pipeline.audit().await.map(|verdicts| report.audits(&verdicts)),
        Command::Publish { .. } => pipeline.publish().await.map(|tables| report.tables(&tables, &requests())),
        Command::Run { replan: is_new, .. } => {
            if *is_new {
                replan(&pipeline).await?;
            }
            pipeline.run().await.map(|tables| report.tables(&tables, &requests()))
        }
        Command::Status { watch, .. } => status(&pipeline, report, *watch).await,
        Command::Diff { against, key, samples, .. } => {
            let options = DiffOptions { against: against.clone(), key: key.clone(), samples: *samples };
            Box::pin(diff(&pipeline, &options)).await.map(|diffs| report.diffs(&diffs, against))
        }
        Command::Validate { deep, .. } => {
            pipeline.validate(*deep).await.map(|tables| report.validations(&tables, &requests()))
        }
        Command::Clean { remove, staging, older_than, .. } => {
            let options = CleanOptions { remove: *remove, staging: *staging, older_than: *older_than };
            clean(&pipeline, options).await.map(|garbage| report.garbage(&garbage, options.remove))
        }
        Command::Query { query: options, .. } => query(&pipeline, report, options).await,
        Command::Init(_) | Command::Completions { .. } => Ok(()),
    }
}

async fn init_config(arguments: &InitArguments, report: &Arc<Report>) -> Result<()> {
    let engine = Arc::new(Engine::new(Stores::default(), EngineOptions::default()));
    let options = InitOptions {
        location: arguments.location.clone(),
        output: arguments.output.clone(),
        database: arguments.database.clone(),
        schema: arguments.schema.clone(),
        snapshot_time: arguments.snapshot_time.clone(),
        force: arguments.force,
    };
    let found = Box::pin(init(&engine, &options)).await?;
    report.initialized(&found, &engine.stores().requests());
    Ok(())
}

async fn plan(pipeline: &Arc<Pipeline>, report: &Report, config: &std::path::Path, explain: bool) -> Result<()> {
    let plans = pipeline.plan().await?;
    let mut views = Vec::new();
    for plan in &plans {
        views.push(pipeline.plan_view(plan, explain).await?);
    }
    report.plans(&views, config);
    Ok(())
}

async fn status(pipeline: &Arc<Pipeline>, report: &Report, watch: bool) -> Result<()> {
    let mut reader = StatusReader::new(pipeline);
    if !watch {
        report.statuses(&reader.read().await?);
        return Ok(());
    }
    let mut watch = report.watch();
    loop {
        let statuses = reader.read().await?;
        if !report.watched(&mut watch, &statuses) || statuses.iter().all(|status| status.complete) {
            return Ok(());
        }
        tokio::time::sleep(WATCH_TIME).await;
    }
}

async fn one_task(pipeline: &Arc<Pipeline>, report: &Report, step: Step, group: usize) -> Result<()> {
    let [lake] = pipeline.project().lakes.as_slice() else {
        return Err(Error::GroupNeedsTable { count: pipeline.project().lakes.len() });
    };
    let spec = TaskSpec { table: lake.name.clone(), step, group };
    let is_new = pipeline.run_task(&spec).await?;
    report.task(&spec, is_new);
    Ok(())
}

async fn query(pipeline: &Arc<Pipeline>, report: &Report, query: &Query) -> Result<()> {
    let options = RowOptions { format: query.format, output: query.output.clone(), max_rows: query.maxrows };
    let is_input = query.file.as_ref().is_some_and(|file| file.as_os_str() == "-");
    let sql = match &query.file {
        _ if !query.commands.is_empty() => Some(query.commands.join(";\n")),
        Some(file) if !is_input => Some(read_sql(&file.display().to_string(), || std::fs::read_to_string(file))?),
        None if std::io::stdin().is_terminal() => None,
        _ => Some(read_sql("standard input", || std::io::read_to_string(std::io::stdin()))?),
    };
    let Some(sql) = sql else {
        let session = QuerySession::open(pipeline).await?;
        return report.shell(&session, &options).await;
    };
    // Mistakes are told before anything is looked up.
    let statements = QuerySession::parse(&sql).map_err(unwrap_engine)?;
    let session = QuerySession::open(pipeline).await?;
    report.query(&session, statements, &options).await
}

fn read_sql(name: &str, read: impl FnOnce() -> std::io::Result<String>) -> Result<String> {
    read().map_err(|source| Error::Io { action: format!("reading {name}"), source })
}

fn completions(command: &Command) -> ExitCode {
    if let Command::Completions { shell } = command {
        Report::completions(*shell, &mut Cli::command());
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn variable_without_a_value_is_refused() {
        assert_eq!(parse_variable("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_variable("a").is_err() && parse_variable("=a").is_err());
    }

    #[test]
    fn age_has_a_unit() {
        assert_eq!(parse_age("90m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "5", "h", "1w", "-1h", "99999999999999999d"] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
    }
}
