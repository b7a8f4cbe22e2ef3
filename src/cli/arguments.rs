//! The subcommands and their arguments. The doc comments here are the help texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::print::{LogFormat, OutputFormat, PageFormat, RowFormat};
use super::{help, values};

/// Turns database snapshots into a query-ready data lake, in SQL.
#[derive(Debug, Parser)]
#[command(name = "snaplake", version, after_help = help::PROGRAM, max_term_width = 110)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Inspect an export and write a config and one SQL file per table.
    #[command(after_help = help::INIT)]
    Init(InitArguments),
    /// Show the plan, the progress, the estimated time and warnings. Writes nothing.
    Plan {
        #[command(flatten)]
        common: Common,
        /// Also print the query plans of a stage task and of a publish task of each table.
        #[arg(long)]
        explain: bool,
    },
    /// First step: write snapshot files as sorted, partitioned staging files.
    Stage {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        task: TaskArguments,
    },
    /// Run the audits over the staging lake: each must return no rows.
    #[command(after_help = help::AUDIT)]
    Audit {
        #[command(flatten)]
        common: Common,
    },
    /// Second step: audit the staging lake, compact it into the lake, validate the lake and write _SUCCESS.
    Publish {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        task: TaskArguments,
        /// Publish no table if an audit fails, instead of all but those that it blocks.
        #[arg(long, conflicts_with = "group")]
        fail_fast: bool,
    },
    /// Run both steps, with the audits between them. A rerun does only the missing tasks.
    Run {
        #[command(flatten)]
        common: Common,
        /// Plan again first, from the current files and config; refused for tables with published files.
        #[arg(long)]
        replan: bool,
        /// With --replan, also plan published tables again: remove _SUCCESS and their lake files first.
        #[arg(long, requires = "replan")]
        withdraw: bool,
        /// Publish no table if an audit fails, instead of all but those that it blocks.
        #[arg(long)]
        fail_fast: bool,
    },
    /// Run tasks printed by `stage --print-tasks` or `publish --print-tasks`, without the config file.
    #[command(after_help = help::TASK)]
    Task(SpecArguments),
    /// Show the progress of each table: tasks done, running and failed, rows and bytes.
    #[command(after_help = help::STATUS)]
    Status {
        #[command(flatten)]
        common: Common,
        /// Update every 2 seconds until all tables are complete; without a terminal, print only changed lines.
        #[arg(long)]
        watch: bool,
    },
    /// List the snapshots of each table, the newest first: time, state, rows, files and bytes of the lake.
    Snapshots {
        #[command(flatten)]
        common: Common,
    },
    /// Drop one snapshot of the tables: lake, staging files and manifests. Lists it; with --remove, removes it.
    #[command(after_help = help::DROP)]
    Drop {
        #[command(flatten)]
        common: Common,
        /// Time of the snapshot, such as 2026-01-30T00:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = values::against)]
        snapshot: String,
        #[command(flatten)]
        removal: Removal,
    },
    /// Drop old snapshots of the tables, never the newest complete one. Lists them; with --remove, removes them.
    #[command(after_help = help::EXPIRE)]
    Expire {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        rule: ExpireArguments,
        #[command(flatten)]
        removal: Removal,
    },
    /// Show the changes since another snapshot: files and rows per partition, and single rows by a key.
    #[command(after_help = help::DIFF)]
    Diff {
        #[command(flatten)]
        common: Common,
        /// Time of the other published snapshot, such as 2013-12-30T23:59:59Z.
        #[arg(long, value_name = "TIME", value_parser = values::against)]
        against: String,
        /// Key columns, separated by commas, to compare single rows too.
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
        key: Vec<String>,
        /// Number of example rows of each kind.
        #[arg(long, value_name = "N", default_value_t = 5)]
        samples: usize,
    },
    /// Prove the published lake: compare all manifests with each other and with the footers of the files.
    Validate {
        #[command(flatten)]
        common: Common,
        /// Read every published file and compare every value; the table must be staged with SET snaplake.verify =
        /// 'checksum'.
        #[arg(long)]
        deep: bool,
    },
    /// List files that no manifest lists, such as those of a killed run; with --remove, remove them.
    #[command(after_help = help::CLEAN)]
    Clean {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        removal: Removal,
        /// Also list the staging files of tables with a complete lake.
        #[arg(long)]
        staging: bool,
        /// Only files older than this, such as 30m, 12h or 7d: newer files may belong to an active run.
        #[arg(long, default_value = "1h", value_name = "AGE", value_parser = values::age)]
        older_than: Duration,
    },
    /// Find missing and damaged manifests and files, so that the next run makes them again.
    #[command(after_help = help::REPAIR)]
    Repair {
        #[command(flatten)]
        common: Common,
    },
    /// Query snapshot.*, staging.*, lake.* and manifest.* with read-only SQL; without SQL, start a shell.
    #[command(after_help = help::QUERY)]
    Query {
        #[command(flatten)]
        common: CommonOptions,
        #[command(flatten)]
        query: QueryArguments,
    },
    /// Write a report as a web page: rows per step, files, partitions, tasks, columns, audits, lineage.
    #[command(after_help = help::REPORT)]
    Report {
        #[command(flatten)]
        common: CommonOptions,
        #[command(flatten)]
        page: ReportArguments,
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

/// Options of the commands that read a config and print one result.
#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) options: CommonOptions,
    /// Format of the result on stdout.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub(super) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(super) struct CommonOptions {
    /// The config file.
    pub(super) config: PathBuf,
    /// Only this lake table; can be repeated.
    #[arg(short, long = "table", value_name = "TABLE")]
    pub(super) tables: Vec<String>,
    /// Value of ${NAME} in string literals of the config; can be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = values::variable)]
    pub(super) variables: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    #[command(flatten)]
    pub(super) verbosity: LogArguments,
}

/// Memory and threads of the engine.
#[derive(Debug, Args)]
pub(super) struct EngineArguments {
    /// Memory limit, such as 512MB or 4GiB [default: 60 % of the machine or its cgroup].
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(super) memory_limit: Option<u64>,
    /// Number of parallel tasks, doubled while publishing to a remote store [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct SpecArguments {
    /// File with one task per line, as JSON; - is standard input.
    #[arg(default_value = "-")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    /// Format of the result on standard output.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub(super) format: OutputFormat,
    #[command(flatten)]
    pub(super) verbosity: LogArguments,
}

/// How much is logged, and in which format.
#[derive(Debug, Args)]
pub(super) struct LogArguments {
    /// Print only the result and errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Print log lines; repeat for more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Format of log lines on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Folder, file or URL: a path, s3://, gs://, az://, or postgres:// for a database.
    pub(super) location: String,
    /// Config file to write, such as configs/shop.sql.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Name of the database [default: from the export or the location].
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub(super) database: Option<String>,
    /// Schema of the database [default: from the export, else public].
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub(super) schema: Option<String>,
    /// Time of the snapshot, RFC 3339 [default: from the export, else of the newest file].
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(super) snapshot_time: Option<String>,
    /// Replace existing files.
    #[arg(long)]
    pub(super) force: bool,
    /// Format of the result on stdout.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub(super) format: OutputFormat,
    #[command(flatten)]
    pub(super) verbosity: LogArguments,
}

#[derive(Debug, Args)]
pub(super) struct QueryArguments {
    /// Run this SQL and exit; can be repeated.
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub(super) commands: Vec<String>,
    /// Run the SQL of this file and exit; - is stdin.
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Format of the rows [default: from the file extension of -o FILE, else table].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<RowFormat>,
    /// Write the rows to this file; it appears when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Maximum number of printed rows, or inf for all [default: 40 on a terminal, otherwise all].
    #[arg(long, value_name = "N", value_parser = values::max_rows)]
    pub(super) maxrows: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// Format of the report.
    #[arg(long, value_enum, default_value_t = PageFormat::Html, value_name = "FORMAT")]
    pub(super) format: PageFormat,
    /// Write the report to this file; it appears when it is complete [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Send OpenLineage events to this URL, or write them to this file, one per line; without -o write no report.
    #[arg(long, value_name = "URL|FILE")]
    pub(super) openlineage: Option<String>,
    /// Do not estimate distinct values; the estimates read up to 64 MiB of each lake table.
    #[arg(long)]
    pub(super) no_distinct: bool,
}

/// Which snapshots are old.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ExpireArguments {
    /// Number of complete snapshots to keep; older ones expire.
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    pub(super) keep: Option<usize>,
    /// Snapshots whose time is longer ago than this expire, such as 30d.
    #[arg(long, value_name = "AGE", value_parser = values::age)]
    pub(super) older_than: Option<Duration>,
}

/// Whether what is listed is also removed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Removal {
    /// Remove the listed files, after a question on a terminal.
    #[arg(long)]
    pub(super) remove: bool,
    /// Remove without a question; required without a terminal.
    #[arg(short, long, requires = "remove")]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct TaskArguments {
    /// Run only the task with this number (from 1), for an outside scheduler; requires one --table.
    #[arg(long, value_name = "N")]
    pub(super) group: Option<usize>,
    /// Print the open tasks instead of running them: one JSON document per line, for `snaplake task`.
    #[arg(long, conflicts_with = "group")]
    pub(super) print_tasks: bool,
}

impl Command {
    /// Whether the same command continues after a failure.
    pub(super) fn is_resumable(&self) -> bool {
        matches!(self, Self::Stage { .. } | Self::Publish { .. } | Self::Run { .. } | Self::Task(_))
    }

    pub(super) fn options(&self) -> Option<&CommonOptions> {
        match self {
            Self::Plan { common, .. }
            | Self::Stage { common, .. }
            | Self::Audit { common }
            | Self::Publish { common, .. }
            | Self::Run { common, .. }
            | Self::Status { common, .. }
            | Self::Snapshots { common }
            | Self::Drop { common, .. }
            | Self::Expire { common, .. }
            | Self::Diff { common, .. }
            | Self::Validate { common, .. }
            | Self::Repair { common }
            | Self::Clean { common, .. } => Some(&common.options),
            Self::Query { common, .. } | Self::Report { common, .. } => Some(common),
            Self::Init(_) | Self::Task(_) | Self::Completions { .. } => None,
        }
    }

    pub(super) fn verbosity(&self) -> Option<&LogArguments> {
        match self {
            Self::Init(arguments) => Some(&arguments.verbosity),
            Self::Task(arguments) => Some(&arguments.verbosity),
            other => other.options().map(|options| &options.verbosity),
        }
    }

    pub(super) fn format(&self) -> OutputFormat {
        match self {
            Self::Plan { common, .. }
            | Self::Stage { common, .. }
            | Self::Audit { common }
            | Self::Publish { common, .. }
            | Self::Run { common, .. }
            | Self::Status { common, .. }
            | Self::Snapshots { common }
            | Self::Drop { common, .. }
            | Self::Expire { common, .. }
            | Self::Diff { common, .. }
            | Self::Validate { common, .. }
            | Self::Repair { common }
            | Self::Clean { common, .. } => common.format,
            Self::Init(arguments) => arguments.format,
            Self::Task(arguments) => arguments.format,
            Self::Query { .. } | Self::Report { .. } | Self::Completions { .. } => OutputFormat::Human,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
