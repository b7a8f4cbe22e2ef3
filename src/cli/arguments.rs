//! What can be typed: the subcommands and their arguments. Each line of help is a doc comment here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::print::{LogFormat, OutputFormat, PageFormat, RowFormat};
use super::{help, values};

/// Turns database snapshots into a partitioned, sorted, proven data lake, in SQL.
#[derive(Debug, Parser)]
#[command(name = "snaplake", version, after_help = help::PROGRAM, max_term_width = 110)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look at a folder, bucket or prefix, and write a config and one SQL file per table.
    #[command(after_help = help::INIT)]
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
    #[command(after_help = help::AUDIT)]
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
        /// With --replan, also tables that are published: their files are removed from the lake first, _SUCCESS before
        /// all.
        #[arg(long, requires = "replan")]
        withdraw: bool,
    },
    /// Run tasks that `stage --print-tasks` or `publish --print-tasks` printed: they need no config, only the stores.
    #[command(after_help = help::TASK)]
    Task(TaskArguments),
    /// Show how far each table is: tasks done, running and failed, rows and bytes so far.
    #[command(after_help = help::STATUS)]
    Status {
        #[command(flatten)]
        common: Common,
        /// Show it again every 2 seconds until all tables are complete: in place on a terminal, else what has changed.
        #[arg(long)]
        watch: bool,
    },
    /// Show what changed since another snapshot: files and rows by partition and, by a key, rows.
    #[command(after_help = help::DIFF)]
    Diff {
        #[command(flatten)]
        common: Common,
        /// Time of the other snapshot, which is published too, such as 2013-12-30T23:59:59Z.
        #[arg(long, value_name = "TIME", value_parser = values::against)]
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
    #[command(after_help = help::CLEAN)]
    Clean {
        #[command(flatten)]
        common: Common,
        /// Remove what is listed, after a question on a terminal.
        #[arg(long)]
        remove: bool,
        /// Remove without a question; needed where there is no terminal.
        #[arg(short, long, requires = "remove")]
        yes: bool,
        /// Also the staging files of tables whose lake is complete.
        #[arg(long)]
        staging: bool,
        /// Only files of this age, such as 30m, 12h or 7d: younger ones may belong to a run that is under way.
        #[arg(long, default_value = "1h", value_name = "AGE", value_parser = values::age)]
        older_than: Duration,
    },
    /// Find manifests and staging files that a disk lost or changed, and make room for them to be made again by a run.
    #[command(after_help = help::REPAIR)]
    Repair {
        #[command(flatten)]
        common: Common,
    },
    /// Query snapshot.*, staging.*, lake.* and manifest.* with SQL, read-only; without SQL, a shell.
    #[command(after_help = help::QUERY)]
    Query {
        #[command(flatten)]
        common: CommonOptions,
        #[command(flatten)]
        query: Query,
    },
    /// Write a page about what was done: rows per step, files, partitions, tasks, columns, audits, lineage.
    #[command(after_help = help::REPORT)]
    Report {
        #[command(flatten)]
        common: CommonOptions,
        #[command(flatten)]
        page: Page,
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

/// What all commands that work on a config take.
#[derive(Debug, Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) options: CommonOptions,
    /// Result on standard output: a table for people, or JSON.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub(super) format: OutputFormat,
}

#[derive(Debug, Args)]
pub(super) struct CommonOptions {
    /// The config: SQL statements.
    pub(super) config: PathBuf,
    /// Only this lake table; can be repeated.
    #[arg(short, long = "table", value_name = "TABLE")]
    pub(super) tables: Vec<String>,
    /// Value of ${NAME} in the config's string literals; can be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = values::variable)]
    pub(super) variables: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    #[command(flatten)]
    pub(super) talk: Talk,
}

/// What limits the engine.
#[derive(Debug, Args)]
pub(super) struct EngineArguments {
    /// Memory to stay within, such as 512MB or 4GiB [default: 60 % of the machine or its cgroup].
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub(super) memory_limit: Option<u64>,
    /// Tasks at once, twice that while publishing to a remote store [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct TaskArguments {
    /// File with one task per line, as JSON; - is standard input.
    #[arg(default_value = "-")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) engine: EngineArguments,
    /// Result on standard output: text for people, or JSON.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub(super) format: OutputFormat,
    #[command(flatten)]
    pub(super) talk: Talk,
}

/// How much is said.
#[derive(Debug, Args)]
pub(super) struct Talk {
    /// Print only the result and errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Log what is done; twice for more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Form of log lines on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Folder, file or URL of the export: a path, s3://, gs:// or az://.
    pub(super) location: String,
    /// The config to write, such as configs/shop.sql.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Name of the database [default: from the export or the location].
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub(super) database: Option<String>,
    /// Its schema [default: from the export, else public].
    #[arg(long, value_name = "NAME", value_parser = values::name)]
    pub(super) schema: Option<String>,
    /// Time of the snapshot, RFC 3339 [default: from the export, else of the newest file].
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(super) snapshot_time: Option<String>,
    /// Replace files that exist.
    #[arg(long)]
    pub(super) force: bool,
    /// Result on standard output: a table for people, or JSON.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, value_name = "FORMAT")]
    pub(super) format: OutputFormat,
    #[command(flatten)]
    pub(super) talk: Talk,
}

#[derive(Debug, Args)]
pub(super) struct Query {
    /// Run this SQL and exit; can be repeated.
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub(super) commands: Vec<String>,
    /// Run the SQL of this file and exit; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Form of the rows [default: by the ending of -o FILE, else table].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<RowFormat>,
    /// Write the rows into this file, which appears when all is written.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Rows of a table to show, or inf for all [default: 40 on a terminal, otherwise all].
    #[arg(long, value_name = "N", value_parser = values::max_rows)]
    pub(super) maxrows: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct Page {
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = PageFormat::Html, value_name = "FORMAT")]
    pub(super) format: PageFormat,
    /// Write it into this file, which appears when all is written [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Send OpenLineage events to this URL, or write them into this file, one a line; without -o nothing else is written.
    #[arg(long, value_name = "URL|FILE")]
    pub(super) openlineage: Option<String>,
    /// Leave out the estimates of distinct values, which read up to 64 MiB of each lake table.
    #[arg(long)]
    pub(super) no_distinct: bool,
}

#[derive(Debug, Args)]
pub(super) struct Task {
    /// Run exactly this task of the table (a number from 1), for an outside scheduler; needs --table once.
    #[arg(long, value_name = "N")]
    pub(super) group: Option<usize>,
    /// Print the tasks that are not done instead of running them, one JSON document per line, for `snaplake task`.
    #[arg(long, conflicts_with = "group")]
    pub(super) print_tasks: bool,
}

impl Command {
    /// Whether a second run does what the first one did not.
    pub(super) fn goes_on(&self) -> bool {
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
            | Self::Diff { common, .. }
            | Self::Validate { common, .. }
            | Self::Repair { common }
            | Self::Clean { common, .. } => Some(&common.options),
            Self::Query { common, .. } | Self::Report { common, .. } => Some(common),
            Self::Init(_) | Self::Task(_) | Self::Completions { .. } => None,
        }
    }

    pub(super) fn talk(&self) -> Option<&Talk> {
        match self {
            Self::Init(arguments) => Some(&arguments.talk),
            Self::Task(arguments) => Some(&arguments.talk),
            other => other.options().map(|options| &options.talk),
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
