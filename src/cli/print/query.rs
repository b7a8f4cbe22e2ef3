//! Rows of queries, and the shell.

use std::io::IsTerminal;
use std::sync::Arc;

use datafusion::sql::parser::Statement;
use datafusion_cli::exec::exec_from_repl;
use datafusion_cli::object_storage::instrumented::InstrumentedObjectStoreRegistry;
use datafusion_cli::print_format::PrintFormat;
use datafusion_cli::print_options::{MaxRows, PrintOptions};

use super::report::Report;
use super::rows::{ROWS_ON_SCREEN, RowFormat, RowOptions, Rows, Shown};
use super::text::{count, say};
use crate::error::unwrap_engine;
use crate::error::{Error, Result};
use crate::inspect::query::QuerySession;

impl Report {
    /// Runs statements one after the other and prints their rows.
    ///
    /// # Errors
    /// The first statement's that fails; those of [`Rows`].
    pub(crate) async fn query(
        &self,
        session: &QuerySession,
        statements: Vec<Statement>,
        options: &RowOptions,
    ) -> Result<()> {
        let mut out = Rows::open(options)?;
        for statement in statements {
            let rows = Box::pin(session.run(statement)).await.map_err(unwrap_engine)?;
            match out.write(session, rows).await? {
                Shown::All => {}
                Shown::First(rows) if !self.quiet => {
                    say(&format!("the first {}; there are more: --maxrows inf shows all", count(rows, "row")));
                }
                Shown::First(_) => {}
                Shown::Closed => return Ok(()),
            }
        }
        out.finish()
    }

    /// A shell, until the user leaves it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) async fn shell(&self, session: &QuerySession, options: &RowOptions) -> Result<()> {
        let format = match options.format {
            RowFormat::Table => PrintFormat::Table,
            RowFormat::Csv => PrintFormat::Csv,
            RowFormat::Tsv => PrintFormat::Tsv,
            RowFormat::Json => PrintFormat::Json,
            RowFormat::Ndjson => PrintFormat::NdJson,
            RowFormat::Parquet => {
                return Err(Error::RowOutput {
                    reason: "Parquet cannot be printed to a terminal",
                    help: "add -c SQL and -o FILE",
                });
            }
        };
        if options.output.is_some() {
            return Err(Error::RowOutput {
                reason: "-o cannot be used with the interactive shell",
                help: "add -c SQL or -f FILE",
            });
        }
        let mut options = PrintOptions {
            format,
            quiet: self.quiet,
            maxrows: MaxRows::Limited(options.max_rows.unwrap_or(ROWS_ON_SCREEN)),
            color: std::io::stdout().is_terminal(),
            instrumented_registry: Arc::new(InstrumentedObjectStoreRegistry::new()),
        };
        Box::pin(exec_from_repl(session, &mut options))
            .await
            .map_err(|error| Error::Io { action: "the shell".to_owned(), source: std::io::Error::other(error) })
    }
}
