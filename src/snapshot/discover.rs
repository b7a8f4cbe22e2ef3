//! Which files a snapshot table has, and the one schema that all of them fit.
//!
//! `listing` says which files the locations name, and what is left out. PARTITIONED BY adds columns from the names of
//! folders; where a file has such a column too, the folder's value is taken. Without declared columns the schema comes
//! from ALL files: Parquet footers, or every record of text files. With them it is checked that the files have them,
//! see `names`: in all footers, or in the beginnings of a few text files. This costs one LIST per folder and at most
//! one read per file, once per snapshot: the result is kept in the snapshot manifest.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::names::{Lacking, NameCheck, UnreadColumn};
use super::table::TableFiles;
use crate::concurrency::spread;
use crate::config::{FileFormat, OnInvalid, SnapshotTable};
use crate::error::{Error, Result, caught, nearest};
use crate::layout::FilePartition;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::session::{OpenStores, PinnedStore, Stores};
use crate::snapshot::exports::{ExportCatalogs, ExportedTable, exported};
use crate::snapshot::files::folders::FolderColumns;
use crate::snapshot::files::found::Doubtful;
use crate::snapshot::files::left_out::{LeftOut, LeftOutTally};
use crate::snapshot::files::listing::Listing;
use crate::snapshot::files::own::Own;
use crate::snapshot::files::same_file::other_names;
use crate::snapshot::parquet::claims::{FooterBounds, arrow_schema, check_rows, empty_group, without_empty_columns};
use crate::snapshot::parquet::exact::check_types;
use crate::snapshot::parquet::footer::read_foreign_footer;
use crate::snapshot::scan::heads::{names_of, some};
use crate::snapshot::scan::infer::infer;
use crate::snapshot::schema::drift::{TypeDrift, WidenedColumn};
use crate::snapshot::schema::merge::SchemaMerger;
use crate::types::type_name;

/// Footers read at once: small requests, so more than there are cores.
const FOOTERS_AT_ONCE: usize = 32;

/// How many files are looked into at once, of all tables that are discovered at the same time.
#[derive(Debug, Clone)]
pub(crate) struct PeekSlots {
    texts: Arc<Semaphore>,
    threads: usize,
    footers: Arc<Semaphore>,
    /// Catalogues of exports that were read.
    catalogs: ExportCatalogs,
}

impl PeekSlots {
    /// Of text files, which are read whole, one per thread.
    pub(crate) fn new(threads: usize) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let catalogs = ExportCatalogs::default();
        Self { texts: semaphore(threads), threads, footers: semaphore(FOOTERS_AT_ONCE), catalogs }
    }
}

/// A snapshot table as it was found.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// Its files, with one schema.
    pub(crate) table: TableFiles,
    /// What else planning found.
    pub(crate) coverage: Coverage,
}

/// What planning found about the files of a snapshot table, besides those that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Files below LOCATION that are not read, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Folders `k=v` that are not declared as columns: names, and types that hold all values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undeclared: Vec<(String, String)>,
    /// Columns that PARTITIONED BY declares and files have too: the folder's value is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<String>,
    /// Columns that some files lack, as far as files were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    /// Columns that files have and the table does not declare, as far as files were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<UnreadColumn>,
    /// Columns whose type is not the same in all files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<WidenedColumn>,
    /// What an export says of itself, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Finds the files of `table` and resolves its schema.
///
/// # Errors
/// [`Error::NoFiles`], [`Error::UncertainFiles`], [`Error::TableFormat`], [`Error::NoFolder`], [`Error::FolderValue`],
/// [`Error::ColumnInNoFile`], [`Error::ColumnCase`], [`Error::SchemaConflict`], [`Error::ReadSnapshotFile`],
/// [`Error::Manifest`], [`Error::Store`].
pub(crate) async fn discover(
    stores: &Stores,
    own: &Arc<Own>,
    table: &SnapshotTable,
    looks: &PeekSlots,
) -> Result<Discovered> {
    if let Some(found) = exported(stores, &looks.catalogs, table).await? {
        return discover_exported(stores, table, found, looks).await;
    }
    let mut listing = Listing::default();
    for (location, at) in &table.locations {
        listing.add(stores, own, table, location, at).await?;
    }
    let format = listing.format(table)?;
    let Listing { mut files, mut left_out, keys, .. } = listing;
    // Sorting is stable: of a file that two locations name, the last one is taken.
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    files.dedup_by(|later, kept| {
        let is_same = later.uri == kept.uri;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
    if !table.partitioned_by.is_empty() {
        let mut columns = FolderColumns::new(&table.name, &table.partitioned_by);
        for file in &mut files {
            file.partition = FilePartition::One(columns.of(&file.uri)?);
        }
    }
    files = read_once(table, files, &mut left_out).await?;
    let table = SnapshotTable { format, ..table.clone() };
    let Resolved { schema, files, lacking, unread, widened } = resolve(stores, &table, files, looks).await?;
    let schema = with_text(&schema, &table.on_invalid);
    check_named(&table, &schema)?;
    let is_of_folders = |name: &str| table.partitioned_by.iter().any(|field| field.name() == name);
    let (replaced, kept): (Vec<_>, Vec<_>) =
        schema.fields().iter().cloned().partition(|field| is_of_folders(field.name()));
    let mut undeclared = keys.finish();
    undeclared.retain(|(key, _)| !is_of_folders(key) && schema.field_with_name(key).is_err());
    let coverage = Coverage {
        left_out: left_out.finish(),
        undeclared,
        replaced: replaced.iter().map(|field| field.name().clone()).collect(),
        lacking,
        unread,
        widened,
        notes: Vec::new(),
    };
    let schema = if replaced.is_empty() { schema } else { Arc::new(Schema::new(kept)) };
    let SnapshotTable { name, format, partitioned_by: partition, on_invalid, .. } = table;
    let null_invalid = on_invalid.null;
    Ok(Discovered { table: TableFiles { name, format, schema, partition, null_invalid, files }, coverage })
}

/// The table of an export, whose files or byte ranges its own catalogue lists.
async fn discover_exported(
    stores: &Stores,
    table: &SnapshotTable,
    found: ExportedTable,
    looks: &PeekSlots,
) -> Result<Discovered> {
    let ExportedTable { mut format, schema, files, notes, .. } = found;
    if let FileFormat::Json(options) = &mut format {
        options.text.undeclared = table.undeclared;
    }
    if let (Some(declared), Some(schema)) = (&table.declared, &schema) {
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        if let Some(field) = declared.fields().iter().find(|field| names().all(|name| name != field.name())) {
            let (column, nearest) = (field.name().clone(), nearest(field.name(), names()));
            let at = table.at.clone();
            return Err(Error::ColumnInNoFile { at, table: table.name.clone(), column, nearest });
        }
    }
    let declared = table.declared.clone().or(schema).map(|schema| with_text(&schema, &table.on_invalid));
    let table = SnapshotTable { format, declared, ..table.clone() };
    let Resolved { schema, files, lacking, unread, widened } = resolve(stores, &table, files, looks).await?;
    let schema = with_text(&schema, &table.on_invalid);
    check_named(&table, &schema)?;
    let SnapshotTable { name, format, on_invalid, .. } = table;
    let coverage = Coverage { lacking, unread, widened, notes, ..Coverage::default() };
    let (partition, null_invalid) = (Vec::new(), on_invalid.null);
    Ok(Discovered { table: TableFiles { name, format, schema, partition, null_invalid, files }, coverage })
}

/// The schema with the columns as VARCHAR that are to keep what their type cannot hold.
fn with_text(schema: &SchemaRef, on_invalid: &OnInvalid) -> SchemaRef {
    if on_invalid.text.is_empty() {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| match on_invalid.text.contains(field.name()) {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The columns that `on_invalid` names are there.
fn check_named(table: &SnapshotTable, schema: &Schema) -> Result<()> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let unknown = table.on_invalid.columns().find(|column| names().all(|name| name != *column));
    let Some(column) = unknown else { return Ok(()) };
    let (at, table, nearest) = (table.at.clone(), table.name.clone(), nearest(column, names()));
    Err(Error::ColumnInNoFile { at, table, column: column.to_owned(), nearest })
}

/// Leaves out all names of a file but one.
///
/// # Errors
/// [`Error::UncertainFiles`] when its folders give it other values under each name.
async fn read_once(
    table: &SnapshotTable,
    files: Vec<FileEntry>,
    left_out: &mut LeftOutTally,
) -> Result<Vec<FileEntry>> {
    let others = other_names(&files).await;
    for &(other, read) in &others {
        let (other, read) = (&files[other], &files[read]);
        if other.partition != read.partition {
            let at = table.locations.first().map_or_else(|| table.at.clone(), |(_, at)| at.clone());
            let reason = format!(
                "it is another name of {}, whose folders give other values of the columns in PARTITIONED BY",
                read.uri
            );
            let (exclude, example) = (Doubtful::glob(&other.uri, &files), other.uri.to_string());
            return Err(Error::UncertainFiles { at, table: table.name.clone(), example, more: 0, reason, exclude });
        }
        left_out.add_other_name(&other.uri, other.size, &read.uri);
    }
    let mut others = others.into_iter().map(|(other, _)| other).peekable();
    let is_read = |index| others.next_if_eq(&index).is_none();
    Ok(files.into_iter().zip((0..).map(is_read)).filter_map(|(file, is_read)| is_read.then_some(file)).collect())
}

/// What one file says of itself.
struct InspectedFile {
    schema: Option<Schema>,
    rows: Option<u64>,
}

/// The schema and rows of a table's files.
struct Resolved {
    schema: SchemaRef,
    files: Vec<FileEntry>,
    lacking: Vec<Lacking>,
    unread: Vec<UnreadColumn>,
    widened: Vec<WidenedColumn>,
}

async fn resolve(
    stores: &Stores,
    table: &SnapshotTable,
    mut files: Vec<FileEntry>,
    looks: &PeekSlots,
) -> Result<Resolved> {
    let known = table.declared.is_some() && files.iter().all(|file| file.n_record.is_some());
    let is_text = !table.format.has_schema();
    let is_json_export = table.export.is_some() && matches!(table.format, FileFormat::Json(_));
    if let Some(declared) = table.declared.as_ref().filter(|_| known || is_text) {
        // A manifest that counts rows is taken at its word: none of its files is opened to plan.
        let (lacking, unread) = if known && !is_json_export {
            Default::default()
        } else {
            check_some(stores, table, &files, looks).await?
        };
        return Ok(Resolved { schema: Arc::clone(declared), files, lacking, unread, widened: Vec::new() });
    }
    let opened = stores.open_all(&files).await?;
    let (turns, at_once) = if is_text { (&looks.texts, looks.threads) } else { (&looks.footers, FOOTERS_AT_ONCE) };
    let shared = Arc::new(table.clone());
    let jobs = files.iter().map(|file| {
        let (opened, table, file, turns) = (Arc::clone(&opened), Arc::clone(&shared), file.clone(), Arc::clone(turns));
        async move {
            let _turn = turns.acquire_owned().await;
            caught(look_into(&opened, &table, &file)).await.map_err(|error| match error {
                Error::Panicked { .. } => Error::ReadSnapshotFile {
                    table: table.name.clone(),
                    uri: file.uri.to_string(),
                    source: DataFusionError::External(Box::new(error)),
                },
                error => error,
            })
        }
    });
    // What a file says is taken in at once and dropped: a million schemas do not fit into memory.
    let mut merger = if is_text { SchemaMerger::new(&table.name) } else { SchemaMerger::typed(&table.name) };
    let (mut names, mut drift) = (NameCheck::new(table), TypeDrift::default());
    let mut rows = Vec::with_capacity(files.len());
    let mut seen = spread(jobs, at_once);
    while let Some(seen) = seen.try_next().await? {
        let file = &files[rows.len()];
        if let Some(schema) = &seen.schema {
            names.add_schema(&file.uri, schema)?;
            match &table.declared {
                // Declared types win, so those of the files need not go together; that a name is there twice still
                // counts.
                Some(_) => merger.add(&file.uri, &names_only(schema))?,
                None => {
                    merger.add(&file.uri, schema)?;
                    // The type of a column in text files is that of its values.
                    if !is_text {
                        drift.add(&file.uri, schema);
                    }
                }
            }
        }
        rows.push(seen.rows);
    }
    drop(seen);
    for (file, rows) in files.iter_mut().zip(rows) {
        if let (Some(stated), Some(read)) = (file.n_record, rows)
            && stated != read
        {
            let (of, uri) = (format!("snapshot.{}", table.name), file.uri.to_string());
            return Err(Error::RowsDiffer { of, uri, statement: "the snapshot's manifest", stated, read });
        }
        file.n_record = rows.or(file.n_record);
    }
    let found = merger.finish();
    let (lacking, unread) = names.finish(true)?;
    let widened = drift.finish(&found);
    Ok(Resolved { schema: table.declared.clone().unwrap_or(found), files, lacking, unread, widened })
}

/// Compares the declared columns with those of some text files: these are not read while planning.
async fn check_some(
    stores: &Stores,
    table: &SnapshotTable,
    files: &[FileEntry],
    looks: &PeekSlots,
) -> Result<(Vec<Lacking>, Vec<UnreadColumn>)> {
    if matches!(&table.format, FileFormat::Csv(options) if !options.has_header) {
        return Ok(Default::default());
    }
    let chosen: Vec<FileEntry> = some(files).cloned().collect();
    let opened = stores.open_all(&chosen).await?;
    let shared = Arc::new(table.clone());
    let jobs = chosen.iter().map(|file| {
        let (opened, table, file) = (Arc::clone(&opened), Arc::clone(&shared), file.clone());
        let turns = Arc::clone(&looks.footers);
        async move {
            let _turn = turns.acquire_owned().await;
            names_of(opened.of(&Location::from_uri(&file.uri)?)?, &file, &table).await
        }
    });
    let mut names = NameCheck::new(table);
    let mut is_all = chosen.len() == files.len();
    let mut looked = std::pin::pin!(spread(jobs, FOOTERS_AT_ONCE));
    for file in &chosen {
        match looked.try_next().await?.flatten() {
            Some((found, is_whole)) => {
                names.add_names(&file.uri, &found, is_whole)?;
                is_all &= is_whole;
            }
            None => is_all = false,
        }
    }
    names.finish(is_all)
}

fn names_only(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|field| Field::new(field.name(), DataType::Null, true)).collect::<Vec<_>>())
}

async fn look_into(opened: &OpenStores, table: &SnapshotTable, file: &FileEntry) -> Result<InspectedFile> {
    let location = Location::from_uri(&file.uri)?;
    let unreadable = |source| Error::ReadSnapshotFile { table: table.name.clone(), uri: file.uri.to_string(), source };
    let store = opened.of(&location)?;
    if !matches!(table.format, FileFormat::Parquet) {
        let pinned = Arc::new(PinnedStore::of_file(store, &location, file)?);
        let inferred = infer(pinned, &location.key()?, &file.uri, &table.name, &table.format).await?;
        if table.format.has_schema() {
            check_declared(table, file, &inferred.schema)?;
        }
        return Ok(InspectedFile { schema: Some(inferred.schema), rows: inferred.exact_rows.then_some(inferred.rows) });
    }
    let footer = read_foreign_footer(store, &location, file, FooterBounds::Skipped).await.map_err(unreadable)?;
    let contradiction = |what| Error::Contradiction { table: table.name.clone(), uri: file.uri.to_string(), what };
    let rows = check_rows(&footer).map_err(contradiction)?;
    let root = footer.file_metadata().schema_descr().root_schema();
    if let Some(column) = empty_group(root, table.declared.as_deref()) {
        return Err(Error::NoFields { table: table.name.clone(), uri: file.uri.to_string(), column });
    }
    let of_parquet = |source: ParquetError| unreadable(source.into());
    let without = without_empty_columns(footer.file_metadata()).map_err(of_parquet)?;
    let file_metadata = without.as_ref().unwrap_or_else(|| footer.file_metadata());
    let schema = arrow_schema(file_metadata, table.declared.as_deref()).map_err(of_parquet)?;
    check_declared(table, file, &schema)?;
    Ok(InspectedFile { schema: Some(schema), rows: Some(rows) })
}

/// The columns of a file can be read as those that are declared.
fn check_declared(table: &SnapshotTable, file: &FileEntry, schema: &Schema) -> Result<()> {
    for field in table.declared.iter().flat_map(|declared| declared.fields()) {
        let Ok(found) = schema.field_with_name(field.name()) else { continue };
        check_types(found.data_type(), field.data_type()).map_err(|misread| Error::Misread {
            table: table.name.clone(),
            uri: file.uri.to_string(),
            column: format!("{}{}", field.name(), misread.path),
            found: type_name(&misread.from),
            wanted: type_name(&misread.to),
        })?;
    }
    Ok(())
}
