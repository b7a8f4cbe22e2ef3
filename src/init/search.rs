//! Lists a location once, reads what describes exports, and looks into each folder of files.
//!
//! One pass over the listing, no listing per table; of contents a bounded part is read, see `sample`. Folders are
//! looked into side by side, a bounded number at once, with results in order of their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDateTime;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};

use super::choose::choose;
use super::followers::followers;
use super::names::{GENERIC, plain, split_ending};
use super::tables::found_table::NamedTable;
use crate::concurrency::spread;
use crate::config::{CsvOptions, ExportKind, ExportTable, FileFormat, SqlFamily, csv_dialect};
use crate::error::{Error, Result};
use crate::init::survey::dates::{date_in_folders, is_dated, without_date};
use crate::init::survey::locate::{HERE, locations};
use crate::init::survey::mongodump::mongodumps;
use crate::init::survey::read::Read;
use crate::init::survey::sample::SampleSource;
use crate::init::survey::tally::{GROUPS, Group, Key, ListedFile, Tally, is_mongo_metadata, key_of};
use crate::init::tables::columns::{columns_as_they_are, improve};
use crate::init::tables::exported::{FoundExport, propose_documents, propose_table, tables_of};
use crate::init::tables::exports::{Described, RdsTable, describe, rds_schema};
use crate::init::tables::folder::{Draft, FolderTables, KnownFolder, Refused, look_into};
use crate::init::tables::found_table::{FoundTable, TableSize};
use crate::init::tables::propose::propose;
use crate::layout::store_error;
use crate::layout::{Location, below, store_of};
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::dump::head::program_of;
use crate::snapshot::exports::{ExportedTable, UnreadableTable};
use crate::snapshot::files::content::{Content, inserted_rows, look};
use crate::snapshot::files::peek::HEAD;
use crate::snapshot::files::unlisted::unlisted;
use crate::snapshot::manifest_files;
use crate::snapshot::unpack;

/// Bytes of contents that are read of a location, more or less.
const BUDGET: u64 = 256 << 20;

/// Of one folder, at least and at most.
const FOLDER: (u64, u64) = (1 << 20, 16 << 20);

/// Bytes of one metadata file of an export; a larger one is none.
const CONTROL: u64 = 64 << 20;

/// Text of a dump in which its program is named.
const FIRST_TEXT: usize = 4 << 10;

/// Words in folder names that say where something is, not what.
const PLACES: [&str; 6] = ["manifests", "manifest", "manifest_summary", "snapshot_file_groups", "raw", "tables"];

/// All that was found below a location.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) tables: Vec<FoundTable>,
    pub(crate) tally: Tally,
    pub(crate) described: Vec<Described>,
    pub(crate) read: Read,
    /// What paths are below: the location, or the folder of the file that it is.
    pub(crate) root: Location,
    /// The date of the exports that were chosen among those of several dates.
    pub(crate) exported: Option<NaiveDateTime>,
}

/// Looks at `location`.
///
/// # Errors
/// [`Error::NothingFound`], [`Error::TooManyFolders`], [`Error::TableOfExport`], [`Error::Store`].
pub(crate) async fn survey(engine: &Arc<Engine>, location: &Location, name: &str) -> Result<Survey> {
    let store = engine.stores().open(location).await?;
    let (root, mut tally) = list(&store, location).await?;
    let source = SampleSource { store, root: root.clone() };
    tally.refuse_table_formats();
    tally.ignore_changes();
    let mut read = Read::default();
    let mut described = described(&source, &mut tally, &mut read).await?;
    let mut drafts = Vec::new();
    for manifest in &described {
        if let Described::Manifest { path } = manifest {
            drafts.extend(of_manifest(engine, &source, &mut tally, path, &mut read).await?);
        }
    }
    let mut tables: Vec<FoundTable> = Vec::new();
    for export in dumps(&source, &mut tally, &mut read).await? {
        let newest = tally.newest.unwrap_or_default();
        let here = export.path == HERE;
        let location = if here { source.root.clone() } else { source.root.join(&export.path) };
        match tables_of(engine, location, export.kind).await? {
            Err(reason) => tally.not_read(&format!("an export that cannot be read: {reason}"), 1, 0, &export.path),
            Ok(found) => {
                for table in found.into_iter().filter(|table| !table.is_part) {
                    if let Some(UnreadableTable { reason, may_have_rows }) = &table.unreadable {
                        let reason = format!("a table of a dump: {reason}");
                        tally.count(&reason, 1, 0, &export.path, *may_have_rows);
                        continue;
                    }
                    if table.schema.is_some() {
                        tables.push(propose_table(engine, &export, table, newest).await?);
                        continue;
                    }
                    let name = table.name();
                    match propose_documents(engine, &export, table, newest, &mut read).await? {
                        Ok(found) => tables.push(found),
                        Err(UnreadableTable { reason, may_have_rows }) => {
                            let reason = format!("{name} of a dump: {reason}");
                            tally.count(&reason, 1, 0, &export.path, may_have_rows);
                        }
                    }
                }
            }
        }
    }
    Box::pin(unloads(engine, &source, &mut tally, &described, &mut tables)).await?;
    let refused = refused(engine, &source, &described).await?;
    let followers = followers(engine, &source, &mut described, &mut tally, &mut read).await?;
    let (exported, dates) = choose(&source, &mut tally, &mut read).await?;
    let mut folders: BTreeMap<&str, Vec<(Key, Group)>> = BTreeMap::new();
    for (key, group) in tally.groups.iter().filter(|(key, _)| !tally.older.contains(key)) {
        folders.entry(&key.folder).or_default().push((key.clone(), group.clone()));
    }
    let budget = (BUDGET / folders.len().max(1) as u64).clamp(FOLDER.0, FOLDER.1);
    let jobs = folders.into_iter().map(|(folder, groups)| {
        let mut known = known(&described, folder);
        let merged = followers.iter().find(|merged| below(&merged.full, "data") == folder);
        known.changes = merged.map(|merged| merged.changes.clone()).unwrap_or_default();
        let (source, engine) = (source.clone(), Arc::clone(engine));
        async move { Box::pin(look_into(&source, &engine, groups, &known, budget)).await }
    });
    let looked: Vec<FolderTables> = spread(jobs.collect::<Vec<_>>(), engine.parallel_tasks()).try_collect().await?;
    for of_folder in looked {
        read.add(of_folder.read);
        for refused in of_folder.refused {
            // Its list of tables names it: without it the export is not whole.
            if let Some((_, ExportKind::Rds, Some(table))) = export_of(&described, &refused.folder) {
                let (file, reason) = (refused.example, refused.reason);
                return Err(Error::TableOfExport { table, file, reason });
            }
            let Refused { reason, files, bytes, example, may_have_rows, .. } = refused;
            tally.count(&reason, files, bytes, &example, may_have_rows);
        }
        drafts.extend(of_folder.drafts);
    }
    let mut per_folder: BTreeMap<String, usize> = BTreeMap::new();
    for draft in &drafts {
        *per_folder.entry(draft.found.folder.clone()).or_default() += 1;
    }
    for draft in drafts {
        let is_only = per_folder.get(&draft.found.folder) == Some(&1);
        let Draft { keys, group, mut found } = draft;
        found.notes.extend(keys.iter().filter_map(|key| dates.get(key).cloned()));
        found.wishes = wishes(&described, &keys, &group, &found, is_only, name);
        if let Some((export, kind, table)) = export_of(&described, &found.folder) {
            if let Some(reason) = refused.get(&export) {
                let reason = format!("an export that cannot be read: {reason}");
                tally.not_read(&reason, found.files, found.bytes, &found.folder);
                continue;
            }
            found.locations = vec![if export.is_empty() { HERE.to_owned() } else { below(&export, "") }];
            found.export = Some(ExportTable::of(kind, table));
            if let Some(merged) = followers.iter().find(|merged| merged.full == export) {
                merged.add_to(&mut found);
            }
        }
        if let Some(path) = unload_of(&described, &found.folder, &group) {
            found.locations = vec![path];
            let kind = ExportKind::RedshiftUnload;
            found.export = Some(ExportTable::of(kind, None));
        } else if let Some((path, table)) = load_of(&keys, &found.folder) {
            found.locations = vec![path];
            let kind = ExportKind::Dms;
            found.export = Some(ExportTable::of(kind, Some(table)));
        }
        if found.locations.is_empty() {
            let Some(locations) = locations(&tally, &keys, &group, &found.format) else {
                let example = group.sample().first().map(|file| file.path.clone()).unwrap_or_default();
                let reason =
                    "no pattern separates these files from the others in their folder; move them to a separate folder";
                tally.not_read(reason, found.files, found.bytes, &example);
                continue;
            };
            found.locations = locations;
        }
        tables.push(found);
    }
    empty_tables(&described, &refused, &mut tally, &mut tables, name);
    if tables.is_empty() {
        return Err(nothing(location, &tally));
    }
    Ok(Survey { tables, tally, described, read, root, exported })
}

/// The export that a folder is in, from the location on, its kind, and the name of the table there.
fn export_of(described: &[Described], folder: &str) -> Option<(String, ExportKind, Option<String>)> {
    if let Some((database, table)) = rds_export(described, folder) {
        let target = rds_table(described, database, table).map(|table| table.target.clone());
        let export = folder.strip_suffix(&below(database, table))?.trim_end_matches('/');
        return Some((export.to_owned(), ExportKind::Rds, Some(target?)));
    }
    match dynamo_export(described, folder)? {
        Described::Dynamo { folder: export, .. } => Some((export.clone(), ExportKind::DynamoDb, None)),
        _ => None,
    }
}

/// The manifest of the UNLOAD that wrote a group of files.
fn unload_of(described: &[Described], folder: &str, group: &Group) -> Option<String> {
    let of = described.iter().filter_map(|described| match described {
        Described::Unload { path, folder: of, prefix } if of == folder && group.prefix.starts_with(prefix.as_str()) => {
            Some((prefix.len(), path))
        }
        _ => None,
    });
    of.max().map(|(_, path)| path.clone())
}

/// Tables of text that Redshift unloaded: a verbose manifest has their columns, and how they are written is tried.
async fn unloads(
    engine: &Arc<Engine>,
    source: &SampleSource,
    tally: &mut Tally,
    described: &[Described],
    tables: &mut Vec<FoundTable>,
) -> Result<()> {
    for described in described {
        let Described::Unload { path, folder, prefix } = described else { continue };
        let export = FoundExport { path: path.clone(), kind: ExportKind::RedshiftUnload };
        let mut reason = "an UNLOAD of Redshift whose manifest has no columns; UNLOAD with MANIFEST VERBOSE".to_owned();
        match tables_of(engine, source.root.join(path), export.kind).await? {
            Err(fault) => reason = format!("an export that cannot be read: {fault}"),
            // The files of Parquet are looked into as others are.
            Ok(found) if found.iter().any(|table| table.format == FileFormat::Parquet) => continue,
            Ok(found) => {
                for table in found.into_iter().filter(|table| table.schema.is_some()) {
                    let FileFormat::Csv(of_export) = &table.format else { continue };
                    reason = "an UNLOAD of Redshift in another form than ESCAPE or FORMAT CSV".to_owned();
                    for (dialect, clause) in [("redshift", "ESCAPE"), ("redshift_csv", "FORMAT CSV")] {
                        let Some(csv) = csv_dialect(dialect) else { continue };
                        let format = FileFormat::Csv(CsvOptions { columns: of_export.columns.clone(), ..csv });
                        let as_written = ExportedTable { format, ..table.clone() };
                        let mut found =
                            propose_table(engine, &export, as_written, tally.newest.unwrap_or_default()).await?;
                        if found.read.rows > 0 {
                            reason.clear();
                            let note =
                                format!("The manifest does not say how the text is written: it looks like {clause}.");
                            found.notes.push(note);
                            tables.push(found);
                            break;
                        }
                    }
                }
            }
        }
        if !reason.is_empty() {
            tally.not_read(&reason, 1, 0, path);
        }
        tally.groups.retain(|key, group| key.folder != *folder || !group.prefix.starts_with(prefix.as_str()));
    }
    Ok(())
}

/// The folder of an export of DMS, and the name of its table in this folder.
fn load_of(keys: &[Key], folder: &str) -> Option<(String, String)> {
    if !keys.iter().all(Key::is_load) || keys.iter().any(|key| key.folder != folder) || folder.is_empty() {
        return None;
    }
    let (above, table) = folder.rsplit_once('/').unwrap_or(("", folder));
    let (export, schema) = above.rsplit_once('/').unwrap_or(("", above));
    let path = if export.is_empty() { HERE.to_owned() } else { below(export, "") };
    Some((path, if schema.is_empty() { table.to_owned() } else { [schema, table].join(".") }))
}

/// Why exports of RDS and DynamoDB cannot be read, by their folders.
async fn refused(
    engine: &Arc<Engine>,
    source: &SampleSource,
    described: &[Described],
) -> Result<BTreeMap<String, String>> {
    let mut refused = BTreeMap::new();
    for described in described {
        let (folder, kind) = match described {
            Described::RdsExport { folder, .. } => (folder, ExportKind::Rds),
            Described::Dynamo { folder, .. } => (folder, ExportKind::DynamoDb),
            _ => continue,
        };
        let location = source.root.with_key(source.root.join(folder).raw_key().trim_end_matches('/'));
        if let Err(reason) = tables_of(engine, location, kind).await? {
            refused.insert(folder.clone(), reason);
        }
    }
    Ok(refused)
}

/// The dumps among files that may be some, by what they begin with.
async fn dumps(source: &SampleSource, tally: &mut Tally, read: &mut Read) -> Result<Vec<FoundExport>> {
    let files = std::mem::take(&mut tally.dumps);
    let name_of = |file: &ListedFile| file.path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (notes, mut files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_mongo_metadata(&name_of(file)));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let folder_of = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let is_named = |file: &ListedFile, name: &str| file.path.rsplit('/').next() == Some(name);
    let mut found: Vec<FoundExport> = Vec::new();
    for folder in mongodumps(tally, notes) {
        let path = if folder.is_empty() { HERE.to_owned() } else { below(&folder, "") };
        found.push(FoundExport { path, kind: ExportKind::MongoDbDump });
    }
    let is_schema = |file: &&ListedFile| file.path.contains("-schema.sql");
    for file in &files {
        let folder = folder_of(&file.path);
        let path = if folder.is_empty() { HERE.to_owned() } else { below(&folder, "") };
        if found.iter().any(|other| other.path == path) {
            continue;
        }
        let has_rows =
            |file: &ListedFile| file.path.strip_suffix(".sql").is_some_and(|stem| tally.texts.contains(stem));
        let kind = match () {
            () if is_named(file, "toc.dat") => ExportKind::PgDump,
            // MySQL Shell, mysqldump --tab.
            () if is_named(file, "@.json") || has_rows(file) => ExportKind::MySqlDump,
            () if is_named(file, "metadata") || is_named(file, "metadata.partial") => {
                let has_schema = files.iter().filter(is_schema).any(|other| folder_of(&other.path) == folder);
                if !has_schema {
                    continue;
                }
                ExportKind::MySqlDump
            }
            () => continue,
        };
        // All files of a dump's folder are its own.
        tally.groups.retain(|key, _| key.folder != folder);
        found.push(FoundExport { path, kind });
    }
    let of_folder = |path: &str| {
        let folder = folder_of(path);
        let folder = if folder.is_empty() { HERE.to_owned() } else { below(&folder, "") };
        found.iter().any(|export| export.path == folder)
    };
    let (parts, alone): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| of_folder(&file.path));
    // A dump is read whole, to find out what its tables are.
    for part in parts {
        read.add(Read { files: 1, bytes: part.size, rows: 0, requests: 1 });
    }
    for file in alone {
        let head = source.head(&file, HEAD).await?;
        let kind = kind_of(&head, file.size > HEAD).await;
        let bytes = if kind.is_some() { file.size } else { head.len() as u64 };
        read.add(Read { files: 1, bytes, rows: 0, requests: 1 });
        match kind {
            Some(kind) => found.push(FoundExport { path: file.path, kind }),
            None => match inserted_rows(&head) {
                Some(reason) => tally.not_read(reason, 1, file.size, &file.path),
                None => tally.no_dump(&file),
            },
        }
    }
    Ok(found)
}

/// Which dump begins so.
async fn kind_of(head: &[u8], is_cut: bool) -> Option<ExportKind> {
    let unpacked;
    // Its text need not be UTF-8 throughout: values of binary columns are in it as they are.
    let text = match look(head, is_cut) {
        Content::PgDump => return Some(ExportKind::PgDump),
        Content::Packed(compression) => {
            unpacked = unpack(head, compression, is_cut, FIRST_TEXT).await.ok()?.0;
            &unpacked
        }
        _ => head,
    };
    Some(match program_of(text)? {
        SqlFamily::Postgres => ExportKind::PgDump,
        SqlFamily::MySql => ExportKind::MySqlDump,
    })
}

fn nothing(location: &Location, tally: &Tally) -> Error {
    let reasons = tally.ignored.iter().map(|(reason, ignored)| format!("{} ({reason})", ignored.example));
    let why = match (tally.files, location.store()) {
        (0, "file://") if std::fs::metadata(location.to_string()).is_err() => "it does not exist".to_owned(),
        (0, "file://") => "it holds no files".to_owned(),
        (0, _) => "no object has this prefix; check bucket, prefix and endpoint".to_owned(),
        (files, _) => {
            let few = reasons.take(5).collect::<Vec<_>>().join("; ");
            format!("none of its files ({files}) is one of a table: {few}")
        }
    };
    Error::NothingFound { location: location.to_string(), why }
}

async fn list(store: &Arc<dyn ObjectStore>, location: &Location) -> Result<(Location, Tally)> {
    let mut tally = Tally::default();
    let listed = |path: &str, meta: &object_store::ObjectMeta| ListedFile {
        path: path.to_owned(),
        size: meta.size,
        etag: meta.e_tag.as_deref().unwrap_or_default().trim_matches('"').to_owned(),
    };
    if !location.is_folder() {
        match store.head(&location.key()?).await {
            Ok(meta) => {
                let (folder, name) = location.raw_key().rsplit_once('/').unwrap_or(("", location.raw_key()));
                tally.add(listed(name, &meta), meta.last_modified);
                return Ok((location.with_key(folder), tally));
            }
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(store_error("read", location, source)),
        }
    }
    let folder = location.raw_key().trim_end_matches('/');
    let prefix = location.with_key(folder).key()?;
    let mut listing = store.list(Some(&prefix));
    while let Some(meta) = listing.next().await {
        let meta = meta.map_err(|source| store_error("list", location, source))?;
        let path = meta.location.as_ref().get(folder.len()..).unwrap_or_default();
        tally.add(listed(path.trim_start_matches('/'), &meta), meta.last_modified);
        if tally.groups.len() > GROUPS {
            return Err(Error::TooManyFolders { location: location.to_string(), limit: GROUPS });
        }
    }
    for (path, what) in unlisted(location, folder).await {
        tally.not_read(what, 1, 0, &path);
    }
    Ok((location.with_key(folder), tally))
}

/// What the metadata files say; those that say nothing are files as any other.
async fn described(source: &SampleSource, tally: &mut Tally, read: &mut Read) -> Result<Vec<Described>> {
    let mut files = std::mem::take(&mut tally.control);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let reads = files.into_iter().map(|file| async move {
        let bytes = source.head(&file, CONTROL).await?;
        Ok::<_, Error>((describe(&file.path, &bytes), file, bytes.len() as u64))
    });
    let reads: Vec<_> = futures::stream::iter(reads).buffered(8).try_collect().await?;
    let mut found = Vec::new();
    for (described, file, bytes) in reads {
        read.add(Read { files: 1, bytes, rows: 0, requests: 1 });
        let reason = match &described {
            Some(Described::Manifest { .. }) => "a manifest",
            _ => "metadata of an export",
        };
        tally.ignore(reason, &file.path, file.size);
        found.extend(described);
    }
    Ok(found)
}

/// The export that a folder lies in, and what follows after the export's own folder.
fn rds_export<'a>(described: &'a [Described], folder: &'a str) -> Option<(&'a str, &'a str)> {
    described.iter().find_map(|described| {
        let (Described::RdsExport { folder: export, .. } | Described::RdsTables { folder: export, .. }) = described
        else {
            return None;
        };
        let rest =
            if export.is_empty() { Some(folder) } else { folder.strip_prefix(export.as_str())?.strip_prefix('/') };
        let (database, table) = rest?.split_once('/')?;
        (!table.contains('/')).then_some((database, table))
    })
}

/// Database and schema of a folder of an RDS export.
pub(crate) fn rds_database(described: &[Described], folder: &str) -> Option<(String, Option<String>)> {
    let (database, table) = rds_export(described, folder)?;
    let schema = table.split_once('.').map(|(schema, _)| schema.to_owned());
    Some((database.to_owned(), schema))
}

/// The schema of an RDS export, if all tables have the same one and it says more than the database.
pub(crate) fn rds_schema_name(described: &[Described], tables: &[NamedTable]) -> Option<String> {
    let mut all = tables.iter().map(|table| rds_database(described, &table.found.folder));
    let (database, schema) = all.next()??;
    let is_same = all.all(|other| other.is_some_and(|(_, other)| other == schema));
    schema.filter(|schema| is_same && *schema != database && schema != "public")
}

fn rds_table<'a>(described: &'a [Described], database: &str, table: &str) -> Option<&'a RdsTable> {
    let tables = described.iter().filter_map(|described| match described {
        Described::RdsTables { tables, .. } => Some(tables),
        _ => None,
    });
    // Characters that paths do not take are underscores there.
    let same = |target: &str, name: &str| target.replace([' ', '\\', '`', '"'], "_") == name;
    let full = [database, table].join(".");
    tables.flatten().find(|known| same(&known.target, &full) || same(&known.target, table))
}

fn dynamo_export<'a>(described: &'a [Described], folder: &str) -> Option<&'a Described> {
    described.iter().find(
        |described| matches!(described, Described::Dynamo { folder: export, .. } if below(export, "data") == folder),
    )
}

fn known(described: &[Described], folder: &str) -> KnownFolder {
    let mut known = KnownFolder { is_dynamo: dynamo_export(described, folder).is_some(), ..KnownFolder::default() };
    if let Some((database, table)) = rds_export(described, folder) {
        let found = rds_table(described, database, table);
        if let Some(warning) = found.and_then(|table| table.warning.as_ref()) {
            known.notes.push(format!("The export warns: {warning}"));
        }
        if found.is_some_and(|table| !table.is_complete) {
            known.notes.push("According to the export, this table is not complete.".to_owned());
        }
        known.rds = Some(found.map(|table| table.columns.clone()).unwrap_or_default());
    }
    known
}

/// The last folder that says what is in it.
pub(crate) fn telling(folder: &str) -> Option<String> {
    let says = |name: &String| !GENERIC.contains(&name.as_str()) && !PLACES.contains(&name.as_str());
    without_date(folder).rsplit('/').filter(|name| !is_dated(name)).filter_map(plain).find(says)
}

/// Names that a table may get, the shortest first.
fn wishes(
    described: &[Described],
    keys: &[Key],
    group: &Group,
    found: &FoundTable,
    is_only: bool,
    location: &str,
) -> Vec<String> {
    let folder = found.folder.as_str();
    if let Some((database, table)) = rds_export(described, folder) {
        let bare = table.split_once('.').map_or(table, |(_, table)| table);
        return [Some(bare), Some(table), Some(&*[database, table].join("_"))]
            .into_iter()
            .flatten()
            .filter_map(plain)
            .collect();
    }
    if let Some(Described::Dynamo { table, .. }) = dynamo_export(described, folder) {
        return plain(table).into_iter().collect();
    }
    let files = group.sample();
    let file = files.first().map(|file| file.path.rsplit('/').next().unwrap_or_default());
    let of_file = file.filter(|_| group.files == 1).and_then(|name| plain(split_ending(name).0));
    let stems: Vec<&str> = keys.iter().map(|key| key.stem.as_str()).collect();
    let words = |stem: &str| stem.split('_').map(str::to_owned).collect::<Vec<_>>();
    let mut shared = words(stems[0]);
    for stem in &stems {
        let same = shared.iter().zip(words(stem)).take_while(|(a, b)| *a == b).count();
        shared.truncate(same);
    }
    // A date in a file's name is no part of the table's.
    let is_dated_name = keys.iter().all(|key| key.date.is_some()) && date_in_folders(folder).is_none();
    let of_names = plain(&shared.join("_")).filter(|_| group.files > 1 || is_dated_name).or(of_file);
    let of_folder = telling(folder).or_else(|| telling(location)).or_else(|| plain(location));
    let is_manifest = found.locations.first().is_some_and(|location| location.ends_with(".json"));
    // A folder that is only a date names no table.
    let is_named = without_date(folder).split('/').any(|part| !part.is_empty() && !is_dated(part));
    let name = match is_manifest || (is_only && is_named) {
        true => of_folder.or(of_names),
        false => of_names.or(of_folder),
    };
    let name = name.unwrap_or_else(|| "files".to_owned());
    let path: Vec<String> = folder.split('/').filter_map(plain).filter(|part| *part != name).collect();
    let exact = plain(&[path.as_slice(), std::slice::from_ref(&name)].concat().join("_"));
    let of_format = plain(&[name.as_str(), found.format.name()].join("_"));
    std::iter::once(name).chain(exact).chain(of_format).collect()
}

/// Tables of an RDS export that have no file: their mark is there.
fn empty_tables(
    described: &[Described],
    refused: &BTreeMap<String, String>,
    tally: &mut Tally,
    tables: &mut Vec<FoundTable>,
    location: &str,
) {
    for folder in std::mem::take(&mut tally.finished) {
        let is_known = tables.iter().any(|table| table.folder == folder)
            || tally.groups.keys().any(|key| key.folder == folder && tally.groups[key].files > 0);
        let Some((database, table)) = rds_export(described, &folder).filter(|_| !is_known) else { continue };
        if export_of(described, &folder).is_some_and(|(export, ..)| refused.contains_key(&export)) {
            continue;
        }
        let known = known(described, &folder);
        let columns = rds_table(described, database, table).and_then(|table| rds_schema(&table.columns));
        let Some(schema) = columns else {
            tally.ignore("an empty table, whose columns the export does not tell", &folder, 0);
            continue;
        };
        let export = export_of(described, &folder).map(|(export, kind, table)| {
            let place = if export.is_empty() { HERE.to_owned() } else { below(&export, "") };
            (place, ExportTable::of(kind, table))
        });
        let mut items = columns_as_they_are(&schema);
        items.iter_mut().for_each(|item| improve(item, known.rds.as_deref()));
        let proposal = propose(table, &items, TableSize { lake_bytes: 0, is_whole: true });
        let key = Key::of_folder(&folder);
        let newest = tally.newest.unwrap_or_default();
        let mut notes = known.notes;
        notes.push("The export of this table is empty: the columns are those that its metadata names.".to_owned());
        let mut found = FoundTable {
            wishes: Vec::new(),
            folder: folder.clone(),
            locations: vec![export.as_ref().map_or_else(|| below(&folder, ""), |(export, _)| export.clone())],
            export: export.map(|(_, export)| export),
            format: FileFormat::Parquet,
            declared: Some(Arc::new(schema)),
            partitioned_by: Vec::new(),
            items,
            files: 0,
            bytes: 0,
            rows: (0, true),
            read: Read::default(),
            newest,
            notes,
            proposal,
        };
        found.wishes = wishes(described, &[key], &Group::none(newest), &found, true, location);
        tables.push(found);
    }
}

/// The table whose files a manifest lists. Its files are taken from what was listed.
async fn of_manifest(
    engine: &Arc<Engine>,
    source: &SampleSource,
    tally: &mut Tally,
    path: &str,
    read: &mut Read,
) -> Result<Option<Draft>> {
    let summary = source.root.join(path);
    let files = match manifest_files(engine.stores(), &source.store, &summary).await {
        Ok(files) => files,
        Err(error) => {
            tally.not_read(&format!("a manifest that cannot be used: {error}"), 1, 0, path);
            return Ok(None);
        }
    };
    read.requests += 2;
    let Some(first) = files.first() else {
        tally.ignore("a manifest that lists no file", path, 0);
        return Ok(None);
    };
    if files.iter().any(|file| store_of(&file.uri) != store_of(&first.uri)) {
        tally.not_read("a manifest of files in several buckets", 1, 0, path);
        return Ok(None);
    }
    let store = Location::from_uri(&first.uri)?.with_key("");
    let (listed, covered) = taken(&files, &source.root)?;
    for (key, count) in covered {
        if tally.groups.get(&key).is_some_and(|group| group.files == count) {
            tally.groups.remove(&key);
        }
    }
    let group = Group::of(listed, tally.newest.unwrap_or_default());
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let key = Key::of_folder(folder);
    let inner = SampleSource { store: engine.stores().open(&store).await?, root: store };
    let looked = Box::pin(look_into(&inner, engine, vec![(key, group)], &KnownFolder::default(), FOLDER.1)).await?;
    read.add(looked.read);
    for refused in looked.refused {
        tally.not_read(&format!("a manifest's files: {}", refused.reason), refused.files, refused.bytes, path);
    }
    Ok(looked.drafts.into_iter().next().map(|mut draft| {
        draft.found.locations = vec![path.to_owned()];
        draft
    }))
}

/// The files of a manifest by raw key, and how many of them are in each group below `root`.
fn taken(files: &[FileEntry], root: &Location) -> Result<(Vec<ListedFile>, BTreeMap<Key, u64>)> {
    let mut covered: BTreeMap<Key, u64> = BTreeMap::new();
    let mut listed = Vec::with_capacity(files.len());
    for file in files {
        let location = Location::from_uri(&file.uri)?;
        if root.holds(&location) {
            let path = location.raw_key()[root.raw_key().len()..].trim_start_matches('/');
            *covered.entry(key_of(path)).or_default() += 1;
        }
        listed.push(ListedFile { path: location.raw_key().to_owned(), size: file.size, etag: file.etag.to_string() });
    }
    Ok((listed, covered))
}
