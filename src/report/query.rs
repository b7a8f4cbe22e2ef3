//! Rows of queries, and the shell.

use std::io::IsTerminal;
use std::sync::Arc;

use datafusion_cli::exec::{exec_from_commands, exec_from_repl};
use datafusion_cli::object_storage::instrumented::InstrumentedObjectStoreRegistry;
use datafusion_cli::print_format::PrintFormat;
use datafusion_cli::print_options::{MaxRows, PrintOptions};

use super::Report;
use super::failure::is_broken_pipe;
use crate::error::{Error, Result};
use crate::query::QuerySession;

impl Report {
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
}
