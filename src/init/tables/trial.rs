//! Runs a proposed SELECT over the sample, as a stage task would over the snapshot, and looks at its rows.
//!
//! So what is written has run once: a column that a value does not fit, or an expression that is none, is found here.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Date32Type, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::profile::{Dates, Profile, Profiler, between};
use super::schema::root_cause;
use crate::config::{ColumnSet, Compression, FileFormat};
use crate::error::Result;
use crate::init::survey::sample::{FOOTER, SampledText};
use crate::layout::FilePartition;
use crate::layout::below;
use crate::manifest::FileEntry;
use crate::session::{Engine, EngineOptions, Stores};
use crate::snapshot::{FileListTable, ScanSize, TableFiles, register, rows_of_groups};
use crate::types::ident;

/// Where the sample of text is.
const STORE: &str = "s3://sample";

/// Rows of a Parquet file that are looked at when not all are.
const ROWS: usize = 20_000;

/// Parquet files of which rows are looked at when not all are.
const FILES: usize = 8;

/// Parquet files up to this size are read in one request.
const SMALL: u64 = 1 << 20;

/// What came out, by expression.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) columns: Vec<(DataType, Profile)>,
    /// Rows that were looked at.
    pub(crate) rows: u64,
    /// Bytes and requests for them, beyond what was sampled before.
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
    /// Whether all rows of the files given were looked at.
    pub(crate) is_whole: bool,
}

/// Runs `SELECT expressions` over texts.
///
/// # Errors
/// When the engine cannot be set up. That a value does not fit is the inner error, in words.
pub(crate) async fn over_texts(
    texts: &[SampledText],
    format: FileFormat,
    schema: &SchemaRef,
    expressions: &[String],
) -> Result<std::result::Result<Outcome, String>> {
    let (store, stores) = (Arc::new(InMemory::new()), Stores::default());
    let mut files = Vec::with_capacity(texts.len());
    for (number, text) in texts.iter().enumerate() {
        // Memory does not fail; a file that were missing would fail below.
        let _ = store.put(&Path::from(number.to_string()), text.bytes.clone().into()).await;
        files.push(FileEntry {
            uri: below(STORE, &number.to_string()).into(),
            etag: "".into(),
            size: text.bytes.len() as u64,
            n_record: None,
            partition: FilePartition::None,
        });
    }
    stores.insert(STORE, store);
    let mut format = format;
    if let Some(text) = format.text_mut() {
        text.compression = Some(Compression::None);
    }
    let engine = Engine::new(stores, EngineOptions { memory_limit: None, threads: Some(1) });
    files.retain(|file| file.size > 0);
    let table = TableFiles {
        name: "t".to_owned(),
        format,
        schema: Arc::clone(schema),
        partition: Vec::new(),
        null_invalid: ColumnSet::None,
        files,
    };
    let mut trial = Trial::new(expressions);
    let ran = trial.run(&engine, table, None).await?;
    let name = |reason: String| match texts.len() {
        1 => format!("{reason} ({})", texts[0].path),
        _ => reason,
    };
    Ok(ran.map(|()| trial.finish(true)).map_err(name))
}

/// Runs `SELECT expressions` over Parquet files: over all rows if the files have no more than `budget` bytes, else over
/// rows of some files, without the columns that would take more.
///
/// # Errors
/// As [`over_texts`].
pub(crate) async fn over_parquet(
    engine: &Engine,
    files: &[(FileEntry, Arc<ParquetMetaData>)],
    schema: &SchemaRef,
    budget: u64,
) -> Result<std::result::Result<Outcome, String>> {
    let table = |files: Vec<FileEntry>| TableFiles {
        name: "t".to_owned(),
        format: FileFormat::Parquet,
        schema: Arc::clone(schema),
        partition: Vec::new(),
        null_invalid: ColumnSet::None,
        files,
    };
    let bytes: u64 = files.iter().map(|(file, _)| file.size).sum();
    let names: Vec<String> = schema.fields().iter().map(|field| ident(field.name())).collect();
    if bytes <= budget {
        let mut trial = Trial::new(&names);
        let all = files.iter().map(|(file, _)| file.clone()).collect();
        let ran = trial.run(engine, table(all), None).await?;
        // The footers were read before.
        let bytes = files.iter().map(|(file, _)| file.size.saturating_sub(FOOTER)).sum();
        return Ok(ran.map(|()| Outcome { bytes, requests: files.len() as u64, ..trial.finish(true) }));
    }
    let with_rows: Vec<_> = files.iter().filter(|(_, footer)| footer.num_row_groups() > 0).collect();
    let count = with_rows.len().min(FILES);
    let chosen: Vec<_> = (0..count).map(|n| with_rows[n * with_rows.len() / count]).collect();
    let columns = affordable(&chosen, schema, budget);
    let expressions: Vec<String> = columns.iter().map(|(index, _)| names[*index].clone()).collect();
    let mut trial = Trial::new(&expressions);
    let mut outcome = Outcome { columns: Vec::new(), rows: 0, bytes: 0, requests: 0, is_whole: false };
    for (file, _) in chosen.iter().filter(|_| !expressions.is_empty()) {
        if let Err(reason) = trial.run(engine, table(vec![file.clone()]), Some(ROWS)).await? {
            return Ok(Err(reason));
        }
        outcome.bytes += if file.size <= SMALL { file.size } else { 0 };
        outcome.requests += 1;
    }
    outcome.bytes += columns.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let looked_at = trial.finish(false);
    outcome.rows = looked_at.rows;
    let mut found =
        columns.iter().zip(looked_at.columns).map(|((index, _), column)| (*index, column)).collect::<Vec<_>>();
    outcome.columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| match found.iter().position(|(of, _)| *of == index) {
            Some(at) => found.swap_remove(at).1,
            None => (field.data_type().clone(), Profile::default()),
        })
        .collect();
    for (index, (_, profile)) in outcome.columns.iter_mut().enumerate() {
        if let Some(found) = days(files, schema, index).filter(|_| profile.rows > 0) {
            let rows: u64 = files.iter().map(|(_, footer)| rows_of_groups(footer)).sum();
            let top = u128::from(found.top_month) * u128::from(profile.rows) / u128::from(rows.max(1));
            profile.dates = Some(Dates { top_month: u64::try_from(top).unwrap_or(profile.rows), ..found });
        }
    }
    Ok(Ok(outcome))
}

/// The days of a column by what the footers say of each row group: a sample of rows begins where files begin.
fn days(files: &[(FileEntry, Arc<ParquetMetaData>)], schema: &SchemaRef, column: usize) -> Option<Dates> {
    let field = schema.field(column);
    if !matches!(field.data_type(), DataType::Date32 | DataType::Timestamp(_, _)) {
        return None;
    }
    let mut parts = Vec::new();
    for (_, footer) in files {
        let groups = footer.row_groups();
        let converter =
            StatisticsConverter::try_new(field.name(), schema, footer.file_metadata().schema_descr()).ok()?;
        let ends = [converter.row_group_mins(groups), converter.row_group_maxes(groups)];
        let [first, last] = ends.map(|ends| cast(&ends.ok()?, &DataType::Date32).ok());
        let (first, last) = (first?, last?);
        let (first, last) = (first.as_primitive::<Date32Type>(), last.as_primitive::<Date32Type>());
        for ((first, last), group) in first.iter().zip(last).zip(groups) {
            parts.push((first?, last?, u64::try_from(group.num_rows()).ok()?));
        }
    }
    between(&parts)
}

/// Columns, smallest first, as long as the first row groups of the files have together no more than `budget` bytes of
/// them; in their order, each with its bytes.
fn affordable(files: &[&(FileEntry, Arc<ParquetMetaData>)], schema: &SchemaRef, budget: u64) -> Vec<(usize, u64)> {
    let bytes = |name: &str| {
        let of_file = |footer: &Arc<ParquetMetaData>| {
            let chunks = footer.row_group(0).columns().iter();
            let of_column = chunks.filter(|chunk| chunk.column_path().parts().first().is_some_and(|part| part == name));
            of_column.map(|chunk| u64::try_from(chunk.compressed_size()).unwrap_or(0)).sum::<u64>()
        };
        files.iter().map(|(_, footer)| of_file(footer)).sum::<u64>()
    };
    let mut columns: Vec<_> = schema.fields().iter().map(|field| bytes(field.name())).enumerate().collect();
    columns.sort_by_key(|(index, bytes)| (*bytes, *index));
    let mut total = 0;
    columns.retain(|(_, bytes)| {
        total += bytes;
        total <= budget
    });
    columns.sort_unstable();
    columns
}

/// Reads all columns of the first rows of a table's first entry. An error of the engine is the inner one.
///
/// # Errors
/// When the engine cannot be set up.
pub(crate) async fn over_entries(
    engine: &Engine,
    table: &TableFiles,
) -> Result<std::result::Result<Outcome, DataFusionError>> {
    let names: Vec<String> = table.schema.fields().iter().map(|field| ident(field.name())).collect();
    let first = table.files.first().cloned().into_iter().collect();
    let mut trial = Trial::new(&names);
    let session = engine.task_session(&table.files).await?;
    let list = FileListTable::of_export(TableFiles { files: first, ..table.clone() }, ScanSize::AsListed);
    register(&session, "snapshot", "t", list)?;
    let ran = Box::pin(trial.look(&session, Some(ROWS))).await;
    let is_whole = table.files.len() == 1 && trial.rows < ROWS as u64;
    Ok(ran.map(|()| trial.finish(is_whole)))
}

struct Trial<'a> {
    expressions: &'a [String],
    profiler: Option<Profiler>,
    types: Vec<DataType>,
    rows: u64,
}

impl<'a> Trial<'a> {
    fn new(expressions: &'a [String]) -> Self {
        Self { expressions, profiler: None, types: Vec::new(), rows: 0 }
    }

    async fn run(
        &mut self,
        engine: &Engine,
        table: TableFiles,
        limit: Option<usize>,
    ) -> Result<std::result::Result<(), String>> {
        let session = engine.task_session(&table.files).await?;
        register(&session, "snapshot", "t", FileListTable::of_export(table, ScanSize::AsListed))?;
        let ran = Box::pin(self.look(&session, limit)).await;
        Ok(ran.map_err(|error| root_cause(&error)))
    }

    async fn look(&mut self, session: &SessionContext, limit: Option<usize>) -> datafusion::error::Result<()> {
        let numbered = self.expressions.iter().enumerate().map(|(number, expr)| format!("{expr} AS c{number}"));
        let sql = format!("SELECT {} FROM snapshot.t", numbered.collect::<Vec<_>>().join(", "));
        let frame = session.sql(&sql).await?.limit(0, limit)?;
        let schema = Arc::clone(frame.schema().inner());
        let profiler = self.profiler.get_or_insert_with(|| Profiler::new(&schema));
        self.types = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let mut rows = frame.execute_stream().await?;
        while let Some(batch) = rows.try_next().await? {
            self.rows += batch.num_rows() as u64;
            profiler.add(&batch);
        }
        Ok(())
    }

    fn finish(self, is_whole: bool) -> Outcome {
        let profiles = self.profiler.map(Profiler::finish).unwrap_or_default();
        let columns = self.types.into_iter().zip(profiles).collect();
        Outcome { columns, rows: self.rows, bytes: 0, requests: 0, is_whole }
    }
}
