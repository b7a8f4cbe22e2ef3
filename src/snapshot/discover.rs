//! Which files a snapshot table has, and the one schema that all of them fit.
//!
//! A LOCATION is a file, a folder (all files of the format below it), a glob, or a snapshot manifest. Names that start
//! with `_` or `.` and files of no bytes hold no rows. Without declared columns the schema comes from ALL files: Parquet
//! footers, or every record of text files. This costs one LIST per folder and one read per file, once per snapshot: the
//! result is kept in the snapshot manifest.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::claims::{FooterBounds, arrow_schema, check_rows, empty_group};
use super::exact::check_types;
use super::footer::read_foreign_footer;
use super::infer::infer;
use super::schema::SchemaMerger;
use super::table::TableFiles;
use crate::config::{FileFormat, SnapshotTable, type_name};
use crate::error::{Error, Result, caught, nearest};
use crate::layout::{Location, store_of};
use crate::manifest::codec::{decode_files, decode_foreign_summary};
use crate::manifest::ledger::store_error;
use crate::manifest::{FileEntry, bare_etag};
use crate::session::{OpenStores, PinnedStore, Stores};
use crate::spread::spread;

/// Footers read at once: small requests, so more than there are cores.
const FOOTERS_AT_ONCE: usize = 32;

/// File name endings per format, without a compression's.
fn extensions(format: &FileFormat) -> &'static [&'static str] {
    match format {
        FileFormat::Parquet => &["parquet", "parq", "pq"],
        FileFormat::Csv(_) => &["csv", "tsv", "txt"],
        FileFormat::Json(_) => &["json", "ndjson", "jsonl"],
    }
}

/// Compressions that a text file's name may end with.
const COMPRESSIONS: [&str; 4] = [".gz", ".zst", ".bz2", ".xz"];

/// Finds the files of `table` and resolves its schema; `threads` text files are inferred at once.
///
/// # Errors
/// [`Error::NoFiles`], [`Error::SchemaConflict`], [`Error::ReadSnapshotFile`], [`Error::Manifest`], [`Error::Store`].
pub(crate) async fn discover(stores: &Stores, table: &SnapshotTable, threads: usize) -> Result<TableFiles> {
    let mut files = Vec::new();
    for (location, _) in &table.locations {
        let store = stores.open(location).await?;
        let mut listed = list(stores, &store, location, table).await?;
        if files.is_empty() {
            files = listed;
        } else {
            files.append(&mut listed);
        }
    }
    // Sorting is stable: of a file that two locations name, the last one is taken.
    files.sort_by(|a, b| a.uri.cmp(&b.uri));
    files.dedup_by(|later, kept| {
        let is_same = later.uri == kept.uri;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
    files.retain(|file| file.size > 0);
    let (schema, files) = resolve(stores, table, files, threads).await?;
    Ok(TableFiles { name: table.name.clone(), format: table.format.clone(), schema, files })
}

/// Whether a location names a summary in the form of `s3manifesto`.
fn is_manifest(location: &Location) -> bool {
    let name = location.raw_key().rsplit('/').next().unwrap_or_default();
    name.starts_with("manifest-summary") && name.ends_with(".json")
}

async fn list(
    stores: &Stores,
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    table: &SnapshotTable,
) -> Result<Vec<FileEntry>> {
    if is_manifest(location) {
        return read_manifest(stores, store, location).await;
    }
    let key = location.raw_key();
    let none =
        || Error::NoFiles { table: table.name.clone(), location: location.to_string(), format: table.format.name() };
    if let Some(wildcard) = key.find(['*', '?', '[']) {
        let pattern = Pattern::new(key).map_err(|_| Error::Location {
            location: location.to_string(),
            reason: "it is not a glob; use *, **, ? and [abc]",
        })?;
        let folder = key[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder);
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let files = list_folder(store, location, folder, |path| pattern.matches_with(path, options)).await?;
        return if files.is_empty() { Err(none()) } else { Ok(files) };
    }
    if !location.is_folder() {
        match store.head(&location.key()?).await {
            Ok(meta) => return Ok(vec![entry(location, &meta)]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(store_error("read", location, source)),
        }
    }
    let extensions = extensions(&table.format);
    let mut finished = false;
    let files = list_folder(store, location, key, |path| {
        let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
        finished |= name == "_success";
        let name = COMPRESSIONS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        extensions.iter().any(|extension| name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.')))
    })
    .await?;
    // An export of an empty table leaves its mark and no file; without declared columns there is no schema to go by.
    if files.is_empty() && !(finished && table.declared.is_some()) {
        return Err(none());
    }
    Ok(files)
}

async fn list_folder(
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    folder: &str,
    mut wanted: impl FnMut(&str) -> bool,
) -> Result<Vec<FileEntry>> {
    let prefix = object_store::path::Path::parse(folder.trim_end_matches('/')).map_err(|_| Error::Location {
        location: location.to_string(),
        reason: "its key has empty, '.' or '..' parts",
    })?;
    let below = folder.trim_end_matches('/').len();
    let mut listing = store.list(Some(&prefix));
    let mut files = Vec::new();
    while let Some(meta) = listing.next().await {
        let meta = meta.map_err(|source| store_error("list", location, source))?;
        let path = meta.location.as_ref();
        let hidden = path[below.min(path.len())..].split('/').any(|part| part.starts_with(['_', '.']));
        if wanted(path) && !hidden {
            files.push(entry(location, &meta));
        }
    }
    Ok(files)
}

fn entry(location: &Location, meta: &ObjectMeta) -> FileEntry {
    FileEntry {
        uri: location.with_key(meta.location.as_ref()).uri().into(),
        etag: bare_etag(meta.e_tag.as_deref().unwrap_or_default()).into(),
        size: meta.size,
        n_record: None,
        partition: None,
    }
}

/// The files that a manifest lists, given the location of its summary.
///
/// # Errors
/// [`Error::Manifest`], [`Error::Store`], [`Error::Location`].
pub(crate) async fn read_manifest(
    stores: &Stores,
    store: &Arc<dyn ObjectStore>,
    location: &Location,
) -> Result<Vec<FileEntry>> {
    let get = async |store: &Arc<dyn ObjectStore>, location: &Location| {
        let failed = |source| store_error("read", location, source);
        store.get(&location.key()?).await.map_err(failed)?.bytes().await.map_err(failed)
    };
    let head = decode_foreign_summary(&get(store, location).await?, &location.to_string())?;
    let data = if head.manifest.contains("://") {
        Location::from_uri(&head.manifest)?
    } else {
        Location::parse(&head.manifest, std::path::Path::new("/"))?
    };
    let mut files = decode_files(get(&stores.open(&data).await?, &data).await?, &data.to_string())?;
    let rows = files.iter().map(|file| file.n_record).sum::<Option<u64>>();
    if let (Some(stated), Some(listed)) = (head.n_record, rows)
        && stated != listed
    {
        let reason = format!("its summary says {stated} rows, its files have {listed}");
        return Err(Error::Manifest { uri: data.to_string(), reason });
    }
    let size: u64 = files.iter().map(|file| file.size).sum();
    if size != head.size {
        let reason = format!("its summary says {} bytes, its files have {size}", head.size);
        return Err(Error::Manifest { uri: data.to_string(), reason });
    }
    // Each bucket, and each key with a query: what cannot be read, or holds a credential, gets into no manifest of ours.
    for of_store in files.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
        Location::from_uri(&of_store[0].uri)?;
    }
    for file in files.iter().filter(|file| file.uri.contains('?')) {
        Location::from_uri(&file.uri)?;
    }
    files.iter_mut().for_each(|file| file.partition = None);
    Ok(files)
}

/// What one file says of itself.
struct Seen {
    schema: Option<Schema>,
    rows: Option<u64>,
}

async fn resolve(
    stores: &Stores,
    table: &SnapshotTable,
    mut files: Vec<FileEntry>,
    threads: usize,
) -> Result<(SchemaRef, Vec<FileEntry>)> {
    let known = table.declared.is_some() && files.iter().all(|file| file.n_record.is_some());
    let is_text = !matches!(table.format, FileFormat::Parquet);
    if known || (is_text && table.declared.is_some()) {
        let schema = table.declared.clone().unwrap_or_else(|| Arc::new(Schema::empty()));
        return Ok((schema, files));
    }
    let opened = stores.open_all(&files).await?;
    let at_once = if is_text { threads } else { FOOTERS_AT_ONCE };
    let shared = Arc::new(table.clone());
    let jobs = files.iter().map(|file| {
        let (opened, table, file) = (Arc::clone(&opened), Arc::clone(&shared), file.clone());
        async move {
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
    let mut merger = SchemaMerger::new(&table.name);
    let mut rows = Vec::with_capacity(files.len());
    let mut seen = spread(jobs, at_once);
    while let Some(seen) = seen.try_next().await? {
        let file = &files[rows.len()];
        match &seen.schema {
            // Declared types win, so those of the files need not go together; their names still count.
            Some(schema) if table.declared.is_some() => merger.add(&file.uri, &names_only(schema))?,
            Some(schema) => merger.add(&file.uri, schema)?,
            None => {}
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
    let Some(declared) = &table.declared else { return Ok((found, files)) };
    let missing = declared.fields().iter().find(|field| found.field_with_name(field.name()).is_err());
    match missing {
        Some(field) if !is_text && !files.is_empty() => Err(Error::ColumnInNoFile {
            table: table.name.clone(),
            column: field.name().clone(),
            nearest: nearest(field.name(), found.fields().iter().map(|field| field.name().as_str())),
        }),
        _ => Ok((Arc::clone(declared), files)),
    }
}

fn names_only(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(|field| Field::new(field.name(), DataType::Null, true)).collect::<Vec<_>>())
}

async fn look_into(opened: &OpenStores, table: &SnapshotTable, file: &FileEntry) -> Result<Seen> {
    let location = Location::from_uri(&file.uri)?;
    let unreadable = |source| Error::ReadSnapshotFile { table: table.name.clone(), uri: file.uri.to_string(), source };
    let store = opened.of(&location)?;
    if !matches!(table.format, FileFormat::Parquet) {
        let pinned = Arc::new(PinnedStore::of_file(store, &location, file)?);
        let inferred = infer(pinned, &location.key()?, &file.uri, &table.name, &table.format).await?;
        return Ok(Seen { schema: Some(inferred.schema), rows: inferred.exact_rows.then_some(inferred.rows) });
    }
    let footer = read_foreign_footer(store, &location, file, FooterBounds::Skipped).await.map_err(unreadable)?;
    let contradiction = |what| Error::Contradiction { table: table.name.clone(), uri: file.uri.to_string(), what };
    let rows = check_rows(&footer).map_err(contradiction)?;
    if let Some(column) = empty_group(footer.file_metadata().schema_descr().root_schema()) {
        return Err(Error::NoFields { table: table.name.clone(), uri: file.uri.to_string(), column });
    }
    let schema = arrow_schema(footer.file_metadata(), table.declared.as_deref());
    let schema = schema.map_err(|source| unreadable(source.into()))?;
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
    Ok(Seen { schema: Some(schema), rows: Some(rows) })
}
