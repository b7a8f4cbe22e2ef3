//! Rows of a query, to standard output or into a file, as they come: only a table for people is held, to align it.
//!
//! A file appears under its name when it is whole. A closed pipe is the reader's choice: the query ends, and that is no
//! error.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::json::{ArrayWriter, LineDelimitedWriter};
use datafusion::arrow::util::display::FormatOptions;
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion_cli::cli_context::CliSessionContext;
use futures::{Stream, StreamExt};
use tempfile::NamedTempFile;

use crate::error::unwrap_engine;
use crate::error::{Error, Result};
use crate::inspect::query::QuerySession;

/// Rows of a table on a terminal, unless `--maxrows` says otherwise.
pub(super) const ROWS_ON_SCREEN: usize = 40;

/// Row groups of a Parquet file: what is held in memory before it is written.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// Aligned columns, for people.
    Table,
    /// Comma-separated, with a header.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
    /// One array of objects; a NULL has no key.
    Json,
    /// One object a line; a NULL has no key.
    #[value(alias = "nd-json", alias = "jsonl")]
    Ndjson,
    /// A Parquet file; needs -o or a pipe.
    Parquet,
}

impl RowFormat {
    /// The format that the ending of a file's name means.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Where rows go, and how.
#[derive(Debug, Clone)]
pub(crate) struct RowOptions {
    pub(crate) format: RowFormat,
    /// `None`: standard output.
    pub(crate) output: Option<PathBuf>,
    /// `None`: what fits a screen on a terminal, otherwise all.
    pub(crate) max_rows: Option<usize>,
}

/// Receives the results of one command.
pub(super) struct Rows {
    format: RowFormat,
    max_rows: usize,
    out: Out,
    temporary: Option<(NamedTempFile, PathBuf)>,
    name: String,
    results: usize,
}

/// What became of one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of it.
    All,
    /// So many first rows; there are more.
    First(usize),
    /// The reader has closed the pipe.
    Closed,
}

/// Remembers why writing failed: the writers above it tell only in words.
#[derive(Clone)]
struct Out {
    to: Arc<Mutex<Box<dyn Write + Send>>>,
    failure: Arc<Mutex<Option<std::io::Error>>>,
}

impl Out {
    fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Arc::new(Mutex::new(Box::new(BufWriter::new(to)))), failure: Arc::default() }
    }

    fn noted<T>(&self, result: std::io::Result<T>) -> std::io::Result<T> {
        result.map_err(|error| {
            let copy = std::io::Error::new(error.kind(), error.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            copy
        })
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.to.lock().unwrap_or_else(PoisonError::into_inner).flush();
        self.noted(flushed)
    }
}

impl Rows {
    /// Opens what the rows go to.
    ///
    /// # Errors
    /// [`Error::RowOutput`] for Parquet on a terminal; [`Error::Io`].
    pub(super) fn open(options: &RowOptions) -> Result<Self> {
        let is_terminal = options.output.is_none() && std::io::stdout().is_terminal();
        if options.format == RowFormat::Parquet && is_terminal {
            return Err(Error::RowOutput {
                reason: "Parquet cannot be printed to a terminal",
                help: "add -o FILE or a pipe",
            });
        }
        let name = options.output.as_deref().map_or("standard output".to_owned(), |path| path.display().to_string());
        let (out, temporary) = match &options.output {
            None => (Out::new(std::io::stdout()), None),
            Some(path) => to_file(path)
                .map_err(|source| Error::Io { action: format!("opening {name}"), source })
                .map(|(file, temporary)| (Out::new(file), temporary))?,
        };
        let max_rows = options.max_rows.unwrap_or(if is_terminal { ROWS_ON_SCREEN } else { usize::MAX });
        Ok(Self { format: options.format, max_rows, out, temporary, name, results: 0 })
    }

    /// Writes one result.
    ///
    /// # Errors
    /// Those of the query; [`Error::Io`]; [`Error::RowOutput`] for a second result in one Parquet file.
    pub(super) async fn write(&mut self, session: &QuerySession, rows: SendableRecordBatchStream) -> Result<Shown> {
        let written = self.write_as(session, rows).await;
        let written = match written {
            Ok(shown) => self.out.flush().map(|()| shown).map_err(DataFusionError::from),
            Err(error) => Err(error),
        };
        let failure = self.out.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Shown::Closed),
            Some(source) => Err(Error::Io { action: format!("writing to {}", self.name), source }),
            None => written.map_err(unwrap_engine),
        }
    }

    async fn write_as(
        &mut self,
        session: &QuerySession,
        mut rows: SendableRecordBatchStream,
    ) -> Result<Shown, DataFusionError> {
        let schema = rows.schema();
        if schema.fields().is_empty() {
            // SET and its kin.
            while rows.next().await.transpose()?.is_some() {}
            return Ok(Shown::All);
        }
        self.results += 1;
        // A query that fails at once says nothing; one without rows has a header.
        let first = rows.next().await.transpose()?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)));
        let mut rows = futures::stream::iter([Ok(first)]).chain(rows);
        let mut out = self.out.clone();
        match self.format {
            RowFormat::Table => return self.write_table(session, rows).await,
            RowFormat::Csv | RowFormat::Tsv => {
                let delimiter = if self.format == RowFormat::Csv { b',' } else { b'\t' };
                let mut writer = csv::WriterBuilder::new().with_delimiter(delimiter).build(out);
                while let Some(batch) = rows.next().await {
                    writer.write(&batch?)?;
                }
            }
            RowFormat::Json => {
                let mut writer = ArrayWriter::new(out.clone());
                while let Some(batch) = rows.next().await {
                    writer.write(&batch?)?;
                }
                writer.finish()?;
                writeln!(out)?;
            }
            RowFormat::Ndjson => {
                let mut writer = LineDelimitedWriter::new(out);
                while let Some(batch) = rows.next().await {
                    writer.write(&batch?)?;
                }
                writer.finish()?;
            }
            RowFormat::Parquet => {
                if self.results > 1 {
                    let (reason, help) = ("a Parquet file has the rows of one statement", "give one statement");
                    return Err(DataFusionError::External(Box::new(Error::RowOutput { reason, help })));
                }
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .build();
                // Types of the engine's own, such as views of text, are nothing for other readers.
                let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                let mut writer = ArrowWriter::try_new_with_options(out, schema, options)?;
                while let Some(batch) = rows.next().await {
                    writer.write(&batch?)?;
                }
                writer.close()?;
            }
        }
        Ok(Shown::All)
    }

    async fn write_table(
        &mut self,
        session: &QuerySession,
        mut rows: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Unpin,
    ) -> Result<Shown, DataFusionError> {
        let context = session.task_ctx();
        let reservation = MemoryConsumer::new("the rows of a table").register(context.memory_pool());
        let (mut batches, mut left) = (Vec::new(), self.max_rows);
        let mut shown = Shown::All;
        while let Some(batch) = rows.next().await.transpose()? {
            if batch.num_rows() > left {
                shown = Shown::First(self.max_rows);
                batches.push(batch.slice(0, left));
                break;
            }
            reservation.try_grow(get_record_batch_memory_size(&batch))?;
            left -= batch.num_rows();
            batches.push(batch);
        }
        let options: FormatOptions<'_> = (&context.session_config().options().format).try_into()?;
        writeln!(self.out, "{}", pretty_format_batches_with_options(&batches, &options)?)?;
        Ok(shown)
    }

    /// Gives a file its name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn finish(self) -> Result<()> {
        let Some((file, path)) = self.temporary else { return Ok(()) };
        file.persist(path)
            .map(drop)
            .map_err(|error| Error::Io { action: format!("writing {}", self.name), source: error.error })
    }
}

/// A file that gets its name when it is whole; a device or pipe is written to as it is.
pub(super) fn to_file(path: &Path) -> std::io::Result<(File, Option<(NamedTempFile, PathBuf)>)> {
    // `/dev/stdout` leads to a file when standard output goes there.
    if path.starts_with("/dev") || path.metadata().is_ok_and(|known| !known.is_file()) {
        return Ok((File::options().write(true).open(path)?, None));
    }
    // Of a link, the file that it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".snaplake-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    Ok((temporary.reopen()?, Some((temporary, path))))
}
