//! Prints reports as a web page or as JSON, and sends OpenLineage events.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::page::page;
use super::report::Report;
use super::rows::to_file;
use super::text::{count, say};
use crate::error::{Error, Result};
use crate::inspect::lineage::{Lineage, events, send};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    /// One page that needs no network.
    Html,
    /// One JSON document with everything.
    Json,
}

/// Where a report goes.
#[derive(Debug, Clone)]
pub(crate) struct PageOptions {
    pub(crate) format: PageFormat,
    /// `None`: standard output, unless only events are asked for; `-` is that, too.
    pub(crate) output: Option<PathBuf>,
    /// URL or file for OpenLineage events.
    pub(crate) openlineage: Option<String>,
}

impl PageOptions {
    /// Refuses what would fill a terminal with markup, before anything is read.
    ///
    /// # Errors
    /// [`Error::RowOutput`].
    pub(crate) fn check(&self) -> Result<()> {
        let is_shown = self.output.is_none() && self.openlineage.is_none() && self.format == PageFormat::Html;
        if is_shown && std::io::stdout().is_terminal() {
            return Err(Error::RowOutput {
                reason: "HTML cannot be printed to a terminal",
                help: "add -o report.html or --format json",
            });
        }
        Ok(())
    }
}

impl Report {
    /// Writes the page or the JSON, and sends or writes the events.
    ///
    /// # Errors
    /// [`Error::Io`]; those of [`send()`].
    pub(crate) async fn lineage(&self, lineage: &Lineage, options: &PageOptions) -> Result<()> {
        self.board.clear();
        if options.output.is_some() || options.openlineage.is_none() {
            let text = match options.format {
                PageFormat::Html => page(lineage),
                PageFormat::Json => {
                    let json = serde_json::to_string_pretty(lineage);
                    json.map_err(|error| Error::Io { action: "writing JSON".to_owned(), source: error.into() })? + "\n"
                }
            };
            self.whole(options.output.as_deref(), &text)?;
        }
        let Some(target) = &options.openlineage else { return Ok(()) };
        let events = events(lineage);
        if target.starts_with("http://") || target.starts_with("https://") {
            let sent = send(target, &events).await?;
            self.reported(&format!("sent {}", count(sent, "event")));
            return Ok(());
        }
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        self.whole(Some(Path::new(target)), &lines)
    }

    /// Writes a text whole or not at all; a closed pipe is the reader's choice.
    fn whole(&self, path: Option<&Path>, text: &str) -> Result<()> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            let mut out = std::io::stdout().lock();
            return match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    Err(Error::Io { action: "writing to standard output".to_owned(), source: error })
                }
                _ => Ok(()),
            };
        };
        let failed = |source| Error::Io { action: format!("writing {}", path.display()), source };
        let (mut file, temporary) = to_file(path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        if let Some((file, path)) = temporary {
            file.persist(path).map_err(|error| failed(error.error))?;
        }
        self.reported(&format!("wrote {}", path.display()));
        Ok(())
    }

    fn reported(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }
}
