//! A table over an explicit list of files: nothing is listed, no schema is inferred when it is read.
//!
//! The same provider serves a stage task (one file group), the tables that every task reads whole, and queries over
//! staging and lake files. Partition values come typed from paths, or from staging files that hold several partitions.
//! Filters are left to the engine, and which files
//! to read to the caller.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::common::{Statistics, TableReference};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::SessionContext;
use object_store::{ObjectMeta, ObjectStore};

use super::presence::PresenceCounter;
use crate::config::{ColumnSet, FileFormat};
use crate::error::Error;
use crate::layout::Location;
use crate::layout::partition;
use crate::layout::split::split_of;
use crate::manifest::FileEntry;
use crate::snapshot::parquet::adapt::ExactReading;
use crate::snapshot::parquet::bounds::StatisticsBounds;
use crate::snapshot::parquet::footer::FOOTER_BYTES;
use crate::snapshot::parquet::guard::Export;
use crate::snapshot::parquet::whole::WholeFiles;
use crate::snapshot::scan::node::FileScanExec;
use crate::snapshot::scan::text::{TextFile, TextScanExec};
use crate::snapshot::split::Split;

/// Files of one table, decoded alike.
#[derive(Debug, Clone)]
pub struct TableFiles {
    /// Bare table name.
    pub name: String,
    /// How to decode them.
    pub format: FileFormat,
    /// Columns of the files; a file may lack some.
    pub schema: SchemaRef,
    /// Columns that follow these: their values are in each file's [`FileEntry::partition`], or in a file of several
    /// partitions.
    pub partition: Vec<Arc<Field>>,
    /// Columns whose values are NULL where the column's type cannot hold them.
    pub null_invalid: ColumnSet,
    /// The files, sorted by uri.
    pub files: Vec<FileEntry>,
}

/// What the optimizer knows about a table's size: it decides which side of a join is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanSize {
    /// Larger than anything else: it streams, the others are held.
    Driving,
    /// As the manifest says.
    AsListed,
}

/// Files of one store, with their locations.
type OfStore<'a> = (ObjectStoreUrl, Vec<(Location, &'a FileEntry)>);

/// Table provider over an explicit list of files.
#[derive(Debug)]
pub(crate) struct FileListTable {
    table: TableFiles,
    /// With the columns of the partition.
    schema: SchemaRef,
    size: ScanSize,
    known: Option<Statistics>,
    of_manifest: Option<Arc<str>>,
    may_be_nan: Arc<[String]>,
    is_export: bool,
}

impl FileListTable {
    /// Files that somebody else wrote: what they say about themselves is checked, and no statistics of theirs are used.
    /// Their columns are read as the table's types exactly, or not at all. All else as in [`Self::new`].
    pub(crate) fn of_export(table: TableFiles, size: ScanSize) -> Self {
        Self { is_export: true, may_be_nan: Arc::default(), ..Self::new(table, size) }
    }

    /// Our own files.
    pub(crate) fn new(mut table: TableFiles, size: ScanSize) -> Self {
        table.schema = match table.format {
            FileFormat::Parquet => with_views(&table.schema),
            FileFormat::Csv(_) | FileFormat::Inserts(_) => with_text_views(&table.schema),
            FileFormat::Json(_) | FileFormat::Avro | FileFormat::Arrow | FileFormat::PgBinary(_) => table.schema,
        };
        let fields: Vec<_> = table.schema.fields().iter().chain(&table.partition).cloned().collect();
        let floats = table.schema.fields().iter().filter(|field| field.data_type().is_floating());
        let may_be_nan = floats.map(|field| field.name().clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { schema, table, size, known: None, of_manifest: None, may_be_nan, is_export: false }
    }

    /// Tells what EXPLAIN shows of these files, and which float columns may be NaN in them; otherwise it is all.
    pub(crate) fn of_manifest(self, message: String, may_be_nan: Vec<String>) -> Self {
        Self { of_manifest: Some(message.into()), may_be_nan: may_be_nan.into(), ..self }
    }

    /// Tells the optimizer what is known of Parquet files that lie in one store, column by column: the engine answers
    /// from what is exact without reading a file.
    pub(crate) fn with_statistics(self, statistics: Statistics) -> Self {
        Self { known: Some(statistics), ..self }
    }

    fn statistics(&self) -> Statistics {
        if let Some(known) = &self.known {
            return known.clone();
        }
        let mut statistics = Statistics::new_unknown(&self.schema);
        let files = &self.table.files;
        let bytes = files.iter().map(|file| file.size).sum::<u64>();
        let rows = files.iter().map(|file| file.n_record).sum::<Option<u64>>();
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (rows, bytes) = match self.size {
            ScanSize::Driving => (usize::MAX / 1024, usize::MAX / 1024),
            // Without counts, an export has about this many bytes per row; only the comparison matters.
            ScanSize::AsListed => (rows.map_or_else(|| whole(bytes / 64), whole), whole(bytes)),
        };
        statistics.num_rows = Precision::Inexact(rows);
        statistics.total_byte_size = Precision::Inexact(bytes);
        statistics
    }

    /// Files that one scan can read each, in order: of one store, partition columns in all of their paths or in none.
    fn by_scan(&self) -> Result<Vec<OfStore<'_>>> {
        let mut scans: Vec<OfStore<'_>> = Vec::new();
        for file in &self.table.files {
            let location = Location::from_uri(&file.uri).map_err(external)?;
            let url = ObjectStoreUrl::parse(location.store())?;
            let fits = |(known, files): &&mut OfStore<'_>| {
                *known == url && files.first().is_some_and(|(_, other)| is_bundled(other) == is_bundled(file))
            };
            match scans.iter_mut().find(fits) {
                Some((_, files)) => files.push((location, file)),
                None => scans.push((url, vec![(location, file)])),
            }
        }
        Ok(scans)
    }

    fn parquet(
        &self,
        url: ObjectStoreUrl,
        files: &[(Location, &FileEntry)],
        (state, partitions): (&dyn Session, usize),
        projection: Option<&Vec<usize>>,
        presence: Option<&PresenceCounter>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let is_bundled = files.first().is_some_and(|(_, file)| is_bundled(file));
        let mut groups = vec![Vec::new(); partitions.clamp(1, files.len().max(1))];
        let count = groups.len();
        for (index, (location, file)) in files.iter().enumerate() {
            let mut partitioned = partitioned_file(location, file)?;
            if !is_bundled && !self.table.partition.is_empty() {
                partitioned = partitioned.with_partition_values(partition_values(file, &self.table.partition)?);
            }
            // Contiguous slices keep the order of the list within a group.
            groups[index * count / files.len()].push(partitioned);
        }
        let table = if is_bundled {
            TableSchema::builder(Arc::clone(&self.schema)).build()
        } else {
            TableSchema::builder(Arc::clone(&self.table.schema))
                .with_table_partition_cols(self.table.partition.clone())
                .build()
        };
        let export = presence.map(|presence| {
            let bounds =
                StatisticsBounds::of(&state.runtime_env().memory_pool.memory_limit(), state.config().batch_size());
            Arc::new(Export { bounds, ..self.export(&url, projection, presence.clone()) })
        });
        let adapter = export.as_ref().map(|export| {
            let (table, presence) = (Arc::clone(&export.table), export.presence.clone());
            Arc::new(ExactReading { table, null_invalid: self.table.null_invalid.clone(), presence }) as _
        });
        let source = parquet_source(table, state.runtime_env().object_store(&url)?, true, export);
        let config = FileScanConfigBuilder::new(url, source)
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_statistics(self.statistics())
            .with_projection_indices(projection.cloned())?
            .with_expr_adapter(adapter)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn export(&self, url: &ObjectStoreUrl, projection: Option<&Vec<usize>>, presence: PresenceCounter) -> Export {
        let fields = self.schema.fields();
        let name = |field: &Arc<Field>| field.name().clone();
        let read = match projection {
            Some(columns) => columns.iter().filter_map(|&column| fields.get(column)).map(name).collect(),
            None => fields.iter().map(name).collect(),
        };
        let store = url.as_str().to_owned();
        let (table, schema) = (self.table.name.as_str().into(), Arc::clone(&self.table.schema));
        Export { table, store, schema, read, presence, bounds: None }
    }

    /// The column to read where none is asked for: rows are counted by what is read of them.
    fn cheapest(&self) -> Option<usize> {
        let width =
            |column: &usize| self.table.schema.field(*column).data_type().primitive_width().unwrap_or(usize::MAX);
        (0..self.table.schema.fields().len()).min_by_key(width)
    }
}

#[async_trait]
impl TableProvider for FileListTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let is_parquet = matches!(self.table.format, FileFormat::Parquet);
        if is_parquet
            && self.is_export
            && projection.is_some_and(Vec::is_empty)
            && let Some(column) = self.cheapest()
        {
            let one = self.scan(state, Some(&vec![column]), &[], None).await?;
            return Ok(Arc::new(ProjectionExec::try_new(Vec::<ProjectionExpr>::new(), one)?));
        }
        let partitions = state.config().target_partitions();
        let mut scans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let by_scan = self.by_scan()?;
        let partitions = (partitions / by_scan.len().max(1)).max(1);
        let export = (is_parquet && self.is_export).then(|| PresenceCounter::new(&self.table.name));
        for (url, files) in by_scan {
            if matches!(self.table.format, FileFormat::Parquet) {
                scans.push(self.parquet(url, &files, (state, partitions), projection, export.as_ref())?);
                continue;
            }
            for part in files.chunks(files.len().div_ceil(partitions)) {
                let TableFiles { name, schema, partition, format, null_invalid, .. } = &self.table;
                let texts = part.iter().map(|(location, file)| text_file(location, file, partition));
                let texts = texts.collect::<Result<_>>()?;
                let scan = TextScanExec::new(
                    url.clone(),
                    texts,
                    name.clone(),
                    (Arc::clone(schema), partition),
                    projection,
                    format.clone(),
                )?
                .with_null_invalid(null_invalid.clone());
                let scan = Arc::new(scan.with_statistics(self.statistics().project(projection)));
                scans.push(scan);
            }
        }
        let input = match scans.len() {
            0 => {
                let schema = match projection {
                    Some(columns) => Arc::new(self.schema.project(columns)?),
                    None => Arc::clone(&self.schema),
                };
                Arc::new(EmptyExec::new(schema))
            }
            1 => scans.swap_remove(0),
            _ => UnionExec::try_new(scans)?,
        };
        if self.of_manifest.is_none() && export.is_none() && (!is_parquet || self.may_be_nan.is_empty()) {
            return Ok(input);
        }
        let (of_manifest, may_be_nan) = (self.of_manifest.clone(), Arc::clone(&self.may_be_nan));
        Ok(Arc::new(FileScanExec { input, of_manifest, export, may_be_nan }))
    }
}

fn parquet_source(
    table: TableSchema,
    store: Arc<dyn ObjectStore>,
    ahead: bool,
    export: Option<Arc<Export>>,
) -> Arc<ParquetSource> {
    let readers = Arc::new(WholeFiles::new(store, ahead, export));
    let source = ParquetSource::new(table).with_metadata_size_hint(FOOTER_BYTES);
    Arc::new(source.with_parquet_file_reader_factory(readers))
}

/// Text and binary columns in the form in which Parquet is decoded and rows are moved without copying them.
fn with_views(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        DataType::Binary => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Text columns in the form of a declared VARCHAR, whatever a dump's types became: short values are not copied twice.
fn with_text_views(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// A scan of Parquet files of one store, each group in its order, as an own partition; text comes as views.
pub(crate) fn parquet_scan(
    session: &SessionContext,
    schema: &Schema,
    groups: &[Vec<FileEntry>],
) -> Result<Arc<dyn ExecutionPlan>> {
    scan_groups(session, TableSchema::builder(with_views(schema)).build(), groups, &|_| Ok(Vec::new()))
}

/// A scan of staging files of one store, each as an own partition: these columns, then those of the partition, from the
/// path of a file or, where it holds several partitions, from the file. Text comes as views.
pub(crate) fn staged_scan(
    session: &SessionContext,
    file: &Schema,
    partition: &[Arc<Field>],
    files: &[FileEntry],
) -> Result<Arc<dyn ExecutionPlan>> {
    let partition = with_views(&Schema::new(partition.to_vec()));
    let all: Vec<_> = file.fields().iter().chain(partition.fields()).cloned().collect();
    // Neighbours are scanned together: the order of the files stays.
    let scans = files.chunk_by(|a, b| has_path(a) == has_path(b)).map(|files| {
        let groups: Vec<Vec<FileEntry>> = files.iter().map(|file| vec![file.clone()]).collect();
        if !files.first().is_some_and(has_path) {
            return parquet_scan(session, &Schema::new(all.clone()), &groups);
        }
        let table = TableSchema::builder(with_views(file)).with_table_partition_cols(partition.fields().to_vec());
        scan_groups(session, table.build(), &groups, &|file| partition_values(file, partition.fields()))
    });
    one_after_the_other(scans.collect::<Result<_>>()?, &with_views(&Schema::new(all.clone())))
}

/// Whether a file holds several partitions.
fn is_bundled(file: &FileEntry) -> bool {
    file.partition.is_many()
}

/// Whether all rows of a file are of the partition that its path says.
fn has_path(file: &FileEntry) -> bool {
    file.partition.path().is_some_and(|path| !path.is_empty())
}

/// A partition per group. The files of a group are of one store, those of groups may be of several.
fn scan_groups(
    session: &SessionContext,
    table: TableSchema,
    groups: &[Vec<FileEntry>],
    values: &dyn Fn(&FileEntry) -> Result<Vec<ScalarValue>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let store = |files: &Vec<FileEntry>| {
        files.first().and_then(|file| Some(Location::from_uri(&file.uri).ok()?.store().to_owned()))
    };
    let of_stores = groups.chunk_by(|one, other| store(one) == store(other));
    let scans = of_stores.map(|groups| scan_of_store(session, table.clone(), groups, values));
    one_after_the_other(scans.collect::<Result<_>>()?, table.table_schema())
}

/// The partitions of all scans, in their order.
fn one_after_the_other(mut scans: Vec<Arc<dyn ExecutionPlan>>, schema: &SchemaRef) -> Result<Arc<dyn ExecutionPlan>> {
    match scans.len() {
        0 => Ok(Arc::new(EmptyExec::new(Arc::clone(schema)))),
        1 => Ok(scans.swap_remove(0)),
        _ => UnionExec::try_new(scans),
    }
}

fn scan_of_store(
    session: &SessionContext,
    table: TableSchema,
    groups: &[Vec<FileEntry>],
    values: &dyn Fn(&FileEntry) -> Result<Vec<ScalarValue>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(first) = groups.iter().flatten().next() else {
        return Ok(Arc::new(EmptyExec::new(Arc::clone(table.table_schema()))));
    };
    let url = ObjectStoreUrl::parse(Location::from_uri(&first.uri).map_err(external)?.store())?;
    let groups = groups
        .iter()
        .map(|files| {
            let files = files.iter().map(|file| {
                let location = Location::from_uri(&file.uri).map_err(external)?;
                Ok(partitioned_file(&location, file)?.with_partition_values(values(file)?))
            });
            Ok(FileGroup::new(files.collect::<Result<_>>()?))
        })
        .collect::<Result<Vec<_>>>()?;
    // A merge holds a row group of each run as it is.
    let source = parquet_source(table, session.runtime_env().object_store(&url)?, false, None);
    Ok(DataSourceExec::from_data_source(FileScanConfigBuilder::new(url, source).with_file_groups(groups).build()))
}

/// Values of the partition columns, from the path.
fn partition_values(file: &FileEntry, fields: &[Arc<Field>]) -> Result<Vec<ScalarValue>> {
    let path = file.partition.path().unwrap_or_default();
    let values = partition::parse_path(path).unwrap_or_default();
    if values.len() != fields.len() {
        return Err(DataFusionError::Execution(format!(
            "file {} has the partition '{path}', which does not fit the table's {} partition columns",
            file.uri,
            fields.len()
        )));
    }
    values.iter().zip(fields).map(|(value, field)| partition::typed(value.as_deref(), field.data_type())).collect()
}

/// Puts a table into a session under `schema.name`.
pub(crate) fn register(session: &SessionContext, schema: &str, name: &str, table: FileListTable) -> Result<()> {
    session.register_table(TableReference::partial(schema, name), Arc::new(table)).map(|_| ())
}

fn partitioned_file(location: &Location, file: &FileEntry) -> Result<PartitionedFile> {
    Ok(PartitionedFile::new_from_meta(ObjectMeta {
        location: location.key().map_err(external)?,
        last_modified: DateTime::UNIX_EPOCH,
        size: file.size,
        e_tag: Some(file.etag.to_string()),
        version: None,
    }))
}

fn text_file(location: &Location, file: &FileEntry, partition: &[Arc<Field>]) -> Result<TextFile> {
    let unknown = || DataFusionError::Internal(format!("{} is a part of a file that is not understood", file.uri));
    let split = split_of(&file.uri).map(|_| Split::of(&file.uri).ok_or_else(unknown)).transpose()?;
    let split = split.map(|(_, split)| split);
    let values = if partition.is_empty() { Vec::new() } else { partition_values(file, partition)? };
    // The store is pinned: it adds the planned etag to every request by itself.
    Ok(TextFile {
        location: location.key().map_err(external)?,
        e_tag: None,
        uri: file.uri.to_string(),
        size: file.size,
        rows: split.as_ref().and(file.n_record),
        split,
        values,
    })
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
