//! The command line: `arguments` with their `values` and `help`, and one short function per subcommand in `commands`.
//! This file has the frame around them: threads, signals, the exit code.
//!
//! Exit codes: 0 success, 1 failure, 2 usage or config, 3 validation failed, 4 an audit failed, 5 published, but files
//! that may have rows were not read, 130 interrupted (143 by SIGTERM).

mod arguments;
mod commands;
mod help;
mod order;
pub(crate) mod print;
mod values;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use self::arguments::{Cli, Command};
use self::print::{Report, Verbosity};
use crate::error::{Error, caught};
use crate::write::uploads_ended;

/// How long a stopped run waits until the store has forgotten its unfinished uploads.
const ABORT_TIME: Duration = Duration::from_secs(10);

/// All subcommands with their arguments and help texts; the docs list them.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

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

/// Threads that wait for local files. Each keeps memory of what it read: with eight instead of four on two cores,
/// merges of hundreds of runs need a fifth more. More than a few per core do not make a disk faster.
fn blocking_threads() -> usize {
    2 * std::thread::available_parallelism().map_or(2, NonZeroUsize::get)
}

/// Runs the program with these arguments, the first of which is its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = order::subcommand_first(&Cli::command(), arguments.into_iter().collect());
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return Report::usage(&with_tip(error, &arguments)),
    };
    let Some(logs) = cli.command.verbosity() else { return completions(&cli.command) };
    let verbosity = Verbosity { quiet: logs.quiet, verbose: logs.verbose, log: logs.log_format };
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
        // Ignores SIGPIPE, so that a closed pipe is an I/O error.
        #[cfg(unix)]
        let _pipe = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::pipe());
        tokio::select! {
            result = Box::pin(caught(commands::run(&cli.command, &report))) => result,
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
        Err(error) => report.failed(&error, cli.command.is_resumable().then_some(&arguments)),
    }
}

/// SQL where no option asks for it gets the option.
fn with_tip(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let is_sql = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.trim().contains(char::is_whitespace),
        _ => false,
    };
    let is_query = arguments.get(1).is_some_and(|verb| verb == "query");
    if error.kind() == ErrorKind::UnknownArgument && is_query && is_sql {
        let tip = StyledStr::from("SQL follows -c: snaplake query CONFIG -c 'SELECT ...'");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn completions(command: &Command) -> ExitCode {
    if let Command::Completions { shell } = command {
        Report::completions(*shell, &mut Cli::command());
    }
    ExitCode::SUCCESS
}
