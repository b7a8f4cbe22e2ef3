//! Scans the CSV and NDJSON files of one snapshot table.
//!
//! [`TextScanExec`] is a leaf with one output partition: it reads an explicit list of files, one after the other, each
//! with one GET that carries the planned etag. Nothing is listed, and no schema is inferred: the table's schema is
//! given, and every file is brought to it.
//!
//! CSV: columns are matched by the names in each file's header, so files may have other orders, lack columns (NULL) or
//! have more (ignored); a header without any column of the table is an error. Without a header they are matched by
//! position; a file may have fewer columns, not more. A field that is empty and not quoted is NULL for every type,
//! unless `null_regex` is set: then the unquoted fields that match it are NULL and nothing else. A quoted field is
//! never NULL, unless `force_null` says so: `""` is the empty text, and an error in a number. Blank lines are skipped,
//! but in a file of one column they are rows. `crate::snapshot::csv::fields` has the rules of syntax,
//! `crate::snapshot::csv::columns` those of values.
//!
//! NDJSON: an attribute that is missing or null is NULL, unknown ones are ignored. `crate::snapshot::json::text` has
//! the rules of syntax, `crate::snapshot::json::leaf` those of values, `crate::snapshot::json::tree` those of names.
//!
//! Timestamps without an offset are in the zone of their column, else in UTC. No value loses a digit.
//!
//! Every failure names its file: an [`Error`] inside [`DataFusionError::External`], which is [`Error::Store`] if the
//! store failed, [`Error::InvalidValue`] with row, column and value, [`Error::Malformed`] with line and column, and
//! [`Error::ReadSnapshotFile`] for all else. Rows count from 1 without the header.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream;
use object_store::ObjectStore;
use object_store::path::Path;

use super::decode::{FileDecoder, Pace, target};
use super::node::FileScanExec;
use crate::config::{ColumnSet, Compression, FileFormat};
use crate::error::Error;
use crate::snapshot::ipc::ahead::dictionaries;
use crate::snapshot::json::tree::Presence;
use crate::snapshot::presence::{ColumnPresence, PresenceCounter};
use crate::snapshot::split::Split;
use crate::snapshot::text::bytes::{Chunks, Origin, RecordLimit, Request};
use crate::snapshot::text::target::Target;

/// One file of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextFile {
    /// Key in the store.
    pub(crate) location: Path,
    /// Sent as If-Match, as the store itself spells it; None if the store given to the task checks it.
    pub(crate) e_tag: Option<String>,
    /// Name in errors.
    pub(crate) uri: String,
    /// Planned size in bytes; another size is an error.
    pub(crate) size: u64,
    /// Its rows, where the plan has them; other rows are an error.
    pub(crate) rows: Option<u64>,
    /// Which bytes of the file are read; None: all.
    pub(crate) split: Option<Split>,
    /// The same for all rows: those of the columns in its path.
    pub(crate) values: Vec<ScalarValue>,
}

/// Leaf plan node that reads a list of CSV or NDJSON files.
#[derive(Debug)]
pub(crate) struct TextScanExec {
    store_url: ObjectStoreUrl,
    files: Arc<[TextFile]>,
    table: Arc<str>,
    target: Arc<Target>,
    columns: Arc<Assembly>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
    metrics: ExecutionPlanMetricsSet,
    presence: PresenceCounter,
}

impl TextScanExec {
    /// A scan of these files of one store, in this order. `schema` is that of all files, the columns of their paths
    /// follow; `projection` are the positions of the columns to read.
    ///
    /// # Errors
    /// When the format cannot hold a column's type, or `null_regex` is not a regular expression.
    pub(crate) fn new(
        store_url: ObjectStoreUrl,
        files: Vec<TextFile>,
        table: String,
        (schema, of_path): (SchemaRef, &[FieldRef]),
        projection: Option<&Vec<usize>>,
        format: FileFormat,
    ) -> Result<Self> {
        let (columns, of_file) = Assembly::new(&schema, of_path, projection)?;
        let of_file = if of_path.is_empty() { projection } else { Some(&of_file) };
        let target = Arc::new(target(format, schema, of_file)?.with_path(of_path));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&columns.output)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let statistics = Arc::new(Statistics::new_unknown(&columns.output));
        let presence = PresenceCounter::new(&table);
        Ok(Self {
            store_url,
            files: files.into(),
            table: table.into(),
            target,
            columns: Arc::new(columns),
            properties: Arc::new(properties),
            statistics,
            metrics: ExecutionPlanMetricsSet::new(),
            presence,
        })
    }

    /// With columns whose values are NULL where their type cannot hold them.
    pub(crate) fn with_null_invalid(mut self, columns: ColumnSet) -> Self {
        if let Some(target) = Arc::get_mut(&mut self.target) {
            target.set_null_invalid(columns);
        }
        self
    }

    /// Tells the optimizer how much the scan yields, in terms of the projected columns.
    pub(crate) fn with_statistics(self, statistics: Statistics) -> Self {
        Self { statistics: Arc::new(statistics), ..self }
    }
}

/// What the scans of a snapshot table counted in an executed plan.
pub(crate) fn column_presence(plan: &Arc<dyn ExecutionPlan>, table: &str) -> ColumnPresence {
    let mut presence = ColumnPresence::default();
    if let Some(scan) = plan.downcast_ref::<TextScanExec>() {
        scan.presence.add_to(&mut presence, table);
    } else if let Some(scan) = plan.downcast_ref::<FileScanExec>()
        && let Some(export) = &scan.export
    {
        export.add_to(&mut presence, table);
    }
    for child in plan.children() {
        presence.add(&column_presence(child, table));
    }
    presence
}

/// How the columns of an output batch are put together.
#[derive(Debug)]
struct Assembly {
    output: SchemaRef,
    /// Empty if no column comes from the path.
    sources: Vec<ColumnSource>,
}

/// Where a column comes from.
#[derive(Debug, Clone, Copy)]
enum ColumnSource {
    /// The decoded batch.
    File(usize),
    /// The values of the path.
    Path(usize),
}

impl Assembly {
    /// With the positions of the columns that the files have to give.
    fn new(schema: &SchemaRef, of_path: &[FieldRef], projection: Option<&Vec<usize>>) -> Result<(Self, Vec<usize>)> {
        let of_all = schema.fields().iter().chain(of_path).cloned().collect::<Vec<_>>();
        let all = Arc::new(Schema::new_with_metadata(of_all, schema.metadata().clone()));
        let wanted = projection.map_or_else(|| (0..all.fields().len()).collect(), Clone::clone);
        let (mut of_file, mut sources) = (Vec::new(), Vec::new());
        for &column in &wanted {
            if let Some(column) = column.checked_sub(schema.fields().len()) {
                sources.push(ColumnSource::Path(column));
            } else {
                sources.push(ColumnSource::File(of_file.len()));
                of_file.push(column);
            }
        }
        if of_file.len() == wanted.len() {
            sources.clear();
        }
        let output = if projection.is_some() { Arc::new(all.project(&wanted)?) } else { all };
        Ok((Self { output, sources }, of_file))
    }

    /// Adds the columns of the path, whose values are those of the batch's file.
    fn assemble(&self, batch: RecordBatch, values: &[ScalarValue]) -> Result<RecordBatch, Error> {
        if self.sources.is_empty() {
            return Ok(batch);
        }
        let rows = batch.num_rows();
        let columns = self.sources.iter().map(|from| match from {
            ColumnSource::File(column) => Ok(Arc::clone(batch.column(*column))),
            ColumnSource::Path(column) => values[*column].to_array_of_size(rows),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options);
        batch.map_err(|error| Error::Engine(error.into()))
    }
}

impl DisplayAs for TextScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.target.format().name();
        let columns: Vec<_> = self.columns.output.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "TextScanExec: format={format}, files={}, projection=[{}]", self.files.len(), columns.join(", "))
    }
}

impl ExecutionPlan for TextScanExec {
    fn name(&self) -> &'static str {
        "TextScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!("TextScanExec has no partition {partition}")));
        }
        let scan = RunningScan {
            store: context.runtime_env().object_store(&self.store_url)?,
            files: Arc::clone(&self.files),
            next: 0,
            open: None,
            table: Arc::clone(&self.table),
            target: Arc::clone(&self.target),
            presence: self.presence.clone(),
            columns: Arc::clone(&self.columns),
            pace: Pace::new(context.session_config().batch_size())
                .with_records(RecordLimit::of(&context.memory_pool().memory_limit())),
            scanned: MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition),
            baseline: BaselineMetrics::new(&self.metrics, partition),
        };
        let batches = stream::try_unfold(scan, |mut scan| async move {
            let batch = scan.next().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(batch.map(|batch| (batch, scan)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns.output), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&self.statistics))
    }
}

/// A running scan.
struct RunningScan {
    store: Arc<dyn ObjectStore>,
    files: Arc<[TextFile]>,
    next: usize,
    open: Option<OpenText>,
    table: Arc<str>,
    target: Arc<Target>,
    presence: PresenceCounter,
    columns: Arc<Assembly>,
    pace: Pace,
    scanned: Count,
    baseline: BaselineMetrics,
}

/// The file that is being read.
struct OpenText {
    origin: Origin,
    chunks: Chunks,
    chunk: Bytes,
    decoder: FileDecoder,
    is_at_end: bool,
    /// Rows so far.
    rows: u64,
}

impl RunningScan {
    async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        // Decoding never waits where the store answers at once, and others want this thread too.
        tokio::task::yield_now().await;
        loop {
            let Some(open) = &mut self.open else {
                if self.next == self.files.len() {
                    self.baseline.done();
                    return Ok(None);
                }
                self.open = Some(self.open_next().await?);
                continue;
            };
            if !open.is_at_end && open.chunk.is_empty() {
                match open.chunks.next().await? {
                    Some(chunk) => open.chunk = chunk,
                    None => open.is_at_end = true,
                }
            }
            let timer = self.baseline.elapsed_compute().timer();
            let batch = if open.is_at_end { open.decoder.finish() } else { open.decoder.push(&mut open.chunk) };
            let batch = batch.map_err(|error| open.origin.unreadable(error))?;
            let batch =
                batch.map(|batch| self.columns.assemble(batch, &self.files[self.next - 1].values)).transpose()?;
            timer.done();
            if let Some(line) = open.decoder.take_long_field() {
                let uri = open.origin.uri.as_ref();
                tracing::warn!(
                    uri,
                    line,
                    "a quoted field of more than 100 lines; if quotes are plain text in this file, set the option \
                     'quote' ''"
                );
            }
            if let Some(batch) = batch {
                open.rows += batch.num_rows() as u64;
                self.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if open.is_at_end {
                if let Some(stated) = self.files[self.next - 1].rows.filter(|stated| *stated != open.rows) {
                    let (of, uri) = (format!("snapshot.{}", self.table), open.origin.uri.to_string());
                    let statement = "the export";
                    return Err(Error::RowsDiffer { of, uri, statement, stated, read: open.rows });
                }
                self.pace = open.decoder.pace();
                for (column, values) in open.decoder.set_to_null() {
                    self.presence.add_set_to_null(column, values);
                }
                if let Some(fields) = open.decoder.presence() {
                    let of =
                        |presence| fields.iter().filter(move |(_, of)| *of == presence).map(|(name, _)| name.as_str());
                    // A file without records says nothing.
                    if of(Presence::Present).chain(of(Presence::Absent)).next().is_some() {
                        self.presence.add_file(of(Presence::Absent), of(Presence::Unknown));
                    }
                } else if let Some(absent) = open.decoder.absent() {
                    let fields = self.target.output().fields();
                    let absent =
                        absent.iter().filter_map(|column| fields.get(*column)).map(|field| field.name().as_str());
                    self.presence.add_file(absent, []);
                }
                self.open = None;
            }
        }
    }

    async fn open_next(&mut self) -> Result<OpenText, Error> {
        let file = &self.files[self.next];
        self.next += 1;
        let origin = Origin { table: Arc::clone(&self.table), uri: file.uri.as_str().into() };
        let request = Request {
            location: &file.location,
            e_tag: file.e_tag.as_deref(),
            size: Some(file.size),
            compression: self.compression(),
            split: file.split.as_ref(),
            charset: self.target.format().text().and_then(|text| text.charset.as_deref()),
            is_raw: !self.target.format().is_text(),
        };
        let chunks = Chunks::open(self.store.as_ref(), request, origin.clone(), self.scanned.clone()).await?;
        let mut decoder = FileDecoder::new(Arc::clone(&self.target), self.pace).map_err(|e| origin.unreadable(e))?;
        if matches!(self.target.format(), FileFormat::Arrow) {
            let ahead = dictionaries(self.store.as_ref(), &file.location, file.size).await;
            decoder.take_ahead(ahead.map_err(|source| origin.unavailable(source))?);
        }
        Ok(OpenText { origin, chunks, chunk: Bytes::new(), decoder, is_at_end: false, rows: 0 })
    }

    fn compression(&self) -> Option<Compression> {
        match self.target.format().text() {
            Some(text) => text.compression,
            // Avro and Arrow pack their blocks, whatever a name ends with.
            None => Some(Compression::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::{DataType, Int64Type};
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use object_store::ObjectStoreExt;
    use object_store::chunked::ChunkedStore;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::super::decode::{tests::json_format, tests::lines, tests::schema};
    use super::*;
    use crate::config::CsvOptions;
    use crate::snapshot::text::bytes::{tests::PACKED, tests::pack};

    fn csv() -> FileFormat {
        FileFormat::Csv(CsvOptions::default())
    }

    fn url() -> ObjectStoreUrl {
        ObjectStoreUrl::parse("memory://").unwrap()
    }

    fn context(store: Arc<dyn ObjectStore>) -> Arc<TaskContext> {
        let context = SessionContext::new_with_config(SessionConfig::new().with_batch_size(1000));
        context.runtime_env().register_object_store(url().as_ref(), store);
        context.task_ctx()
    }

    async fn put(store: &dyn ObjectStore, name: &str, bytes: Vec<u8>) -> TextFile {
        let (location, size) = (Path::from(name), bytes.len() as u64);
        let put = store.put(&location, bytes.into()).await.unwrap();
        TextFile {
            location,
            e_tag: put.e_tag,
            uri: format!("memory:///{name}"),
            size,
            rows: None,
            split: None,
            values: Vec::new(),
        }
    }

    fn table() -> SchemaRef {
        schema(&[("a", DataType::Int64), ("b", DataType::Utf8)])
    }

    fn scan(files: Vec<TextFile>, projection: Option<&Vec<usize>>, format: FileFormat) -> Arc<TextScanExec> {
        Arc::new(TextScanExec::new(url(), files, "t".to_owned(), (table(), &[]), projection, format).unwrap())
    }

    async fn rows(store: Arc<dyn ObjectStore>, scan: Arc<TextScanExec>) -> Result<RecordBatch> {
        let output = Arc::clone(scan.target.output());
        let batches = collect(scan, context(store)).await?;
        assert!(batches.iter().all(|batch| batch.num_rows() <= 1000));
        Ok(concat_batches(&output, &batches)?)
    }

    #[tokio::test]
    async fn files_of_all_compressions_are_read_in_order_from_memory_and_disk() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(local)];
        for store in stores {
            let (mut files, mut stored) = (Vec::new(), 0);
            for (number, (extension, compression)) in PACKED.into_iter().enumerate() {
                let header = if number % 2 == 0 { "b,a\n" } else { "other,a,b\n" };
                let lines = (0..3000).map(|row| {
                    let a = number * 3000 + row;
                    if number % 2 == 0 { format!("\"x\n{a}\",{a}\n") } else { format!(",{a},\"x\n{a}\"\n") }
                });
                let text = header.to_owned() + &lines.collect::<String>();
                let bytes = pack(compression, text.as_bytes()).await;
                stored += bytes.len();
                files.push(put(store.as_ref(), &format!("f{number}.csv{extension}"), bytes).await);
            }
            files.push(put(store.as_ref(), "empty.csv.gz", Vec::new()).await);
            let scan = scan(files, None, csv());
            let all = rows(Arc::clone(&store), Arc::clone(&scan)).await.unwrap();
            assert_eq!(all.num_rows(), 15_000);
            assert!(all.column(0).as_primitive::<Int64Type>().values().iter().copied().eq(0..15_000));
            assert!(all.column(1).as_string::<i32>().iter().enumerate().all(|(a, b)| b == Some(&format!("x\n{a}"))));
            let metrics = scan.metrics().unwrap();
            assert_eq!(metrics.output_rows(), Some(15_000));
            assert_eq!(metrics.sum_by_name("bytes_scanned").unwrap().as_usize(), stored);
        }
    }

    #[tokio::test]
    async fn json_of_tiny_chunks_is_read_whole() {
        let memory = Arc::new(InMemory::new());
        let text = "\u{feff}{\"a\":1,\"b\":\"é\\u00e9\"}\n\n{\"b\":2}\n{\"a\":3}";
        let file = put(memory.as_ref(), "f.ndjson", text.into()).await;
        let all = rows(Arc::new(ChunkedStore::new(memory, 1)), scan(vec![file], None, json_format())).await.unwrap();
        assert_eq!(lines(&all), ["1|éé", "|2", "3|"]);
    }

    #[tokio::test]
    async fn no_columns_give_the_number_of_rows() {
        let store = Arc::new(InMemory::new());
        let text = "a,b\n".to_owned() + &"1,\"x\ny\"\n".repeat(2500);
        let files =
            vec![put(store.as_ref(), "f.csv", text.into()).await, put(store.as_ref(), "g.csv", "a\n7".into()).await];
        let batches = collect(scan(files, Some(&vec![]), csv()), context(store)).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2501);
        assert!(batches.iter().all(|batch| batch.num_columns() == 0));
    }

    /// The error of a scan over these files, one of which fails.
    async fn failure(store: Arc<dyn ObjectStore>, files: Vec<TextFile>) -> Error {
        let error = rows(store, scan(files, None, csv())).await.unwrap_err();
        let DataFusionError::External(error) = error else { panic!("{error}") };
        *error.downcast::<Error>().unwrap()
    }

    #[tokio::test]
    async fn a_value_that_does_not_fit_names_file_value_column_and_row() {
        let store = Arc::new(InMemory::new());
        let good = put(store.as_ref(), "good.csv", "a,b\n1,x\n".into()).await;
        let bad = put(store.as_ref(), "bad.csv", "b,a\nx,1\ny,N/A\n".into()).await;
        let error = failure(store, vec![good, bad]).await;
        assert_eq!(error.to_string(), "memory:///bad.csv, row 2, column 'a': 'N/A' cannot be read as BIGINT");
    }

    #[tokio::test]
    async fn a_truncated_file_is_an_error_not_fewer_rows() {
        let store = Arc::new(InMemory::new());
        let text = "a,b\n".to_owned() + &"1,x\n".repeat(10_000);
        for (extension, compression) in &PACKED[1..] {
            let mut packed = pack(*compression, text.as_bytes()).await;
            packed.pop();
            let file = put(store.as_ref(), &format!("f.csv{extension}"), packed).await;
            let error = failure(Arc::clone(&store) as _, vec![file]).await;
            assert!(matches!(error, Error::ReadSnapshotFile { .. }), "{extension} {error}");
        }
        let mut file = put(store.as_ref(), "f.csv", text[..100].into()).await;
        file.size = text.len() as u64;
        assert!(matches!(failure(store, vec![file]).await, Error::Store { .. }));
    }

    #[tokio::test]
    async fn a_file_that_changed_since_it_was_planned_is_an_error_that_names_it() {
        let store = Arc::new(InMemory::new());
        let planned = put(store.as_ref(), "f.csv", "a\n1\n".into()).await;
        put(store.as_ref(), "f.csv", "a\n2\n".into()).await;
        let error = failure(store, vec![planned]).await;
        assert!(error.to_string().starts_with("read memory:///f.csv failed: it changed"), "{error}");
    }

    #[test]
    fn display_names_format_files_and_columns() {
        let file = TextFile {
            location: Path::from("f"),
            e_tag: None,
            uri: "f".to_owned(),
            size: 1,
            rows: None,
            split: None,
            values: Vec::new(),
        };
        let scan = scan(vec![file; 3], Some(&vec![1, 0]), csv());
        let shown = displayable(scan.as_ref()).one_line().to_string();
        assert_eq!(shown.trim(), "TextScanExec: format=CSV, files=3, projection=[b, a]");
    }
}
