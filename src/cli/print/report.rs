//! How results and messages are printed in this process, and where log lines go.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;

use super::progress::Board;

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

/// Verbosity.
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
    pub(super) quiet: bool,
    /// Whether what happens is reported in lines of text: not between log lines in JSON, which somebody parses.
    pub(super) lines: bool,
    pub(super) format: OutputFormat,
    pub(super) board: Board,
}

impl Report {
    /// Sets up logging for the process, and the bars if standard error is a terminal.
    #[must_use]
    pub(crate) fn new(verbosity: Verbosity, format: OutputFormat) -> Arc<Self> {
        let show = !verbosity.quiet && verbosity.log == LogFormat::Text && std::io::stderr().is_terminal();
        let board = Board::new(show);
        let level = match (verbosity.quiet, verbosity.verbose) {
            (true, _) => "error",
            // The AWS SDK warns of each place in which it finds no region or credentials, before it finds them.
            (false, 0) => "warn,aws_config=error",
            (false, 1) => "warn,snaplake=info",
            (false, 2) => "info,snaplake=debug",
            // The parser logs each token of a config.
            (false, _) => "debug,sqlparser=info",
        };
        let above = board.above();
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
        Arc::new(Self { quiet: verbosity.quiet, lines, format, board })
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
}
