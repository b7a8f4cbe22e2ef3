//! Database exports that say themselves what belongs to them: which tables, files and rows.
//!
//! ```text
//! LOCATION -> catalog   the export's own manifest or table of contents, checked: nothing is missing, nothing unfinished
//!          -> tables    each with its files or byte ranges, their format, and columns where the export has their types
//! ```
//!
//! One kind of export is one file or folder here, and an arm in [`catalog`]; nothing else depends on the kind. An
//! export that is not complete by its own words is an error before anything is planned ([`ExportFault`]).

pub(crate) mod dms;
mod dumped;
pub(crate) mod dynamodb;
pub(crate) mod every_table;
mod live;
pub(crate) mod live_manifest;
pub(crate) mod merged;
pub(crate) mod merged_manifest;
mod mongodb_dump;
mod mysql_dump;
mod mysql_shell;
mod mysql_tab;
mod mysql_text;
mod pg_dump;
mod rds;
mod redshift;
mod sql_script;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::OnceCell;

use crate::config::{CsvOptions, ExportKind, FileFormat, SnapshotTable, is_called};
use crate::error::{Error, ExportFault, Position, Result};
use crate::layout::{Location, store_error};
use crate::manifest::FileEntry;
use crate::session::Stores;

/// Why the rows of a table are not read.
#[derive(Debug, Clone)]
pub(crate) struct UnreadableTable {
    /// With the name of the table.
    pub(crate) reason: String,
    /// Whether rows may be lost with it: not where the export has none, or other tables have them.
    pub(crate) may_have_rows: bool,
}

/// A table as the export has it.
#[derive(Debug, Clone)]
pub(crate) struct ExportedTable {
    /// Its names from the outermost on, such as `shop`, `public`, `orders`.
    pub(crate) names: Vec<String>,
    pub(crate) format: FileFormat,
    /// Its columns, where the export has their types; otherwise the files have them.
    pub(crate) schema: Option<SchemaRef>,
    /// Sorted by uri.
    pub(crate) files: Vec<FileEntry>,
    /// What people should know, in sentences.
    pub(crate) notes: Vec<String>,
    /// Whether another table has its rows: it is a partition of that.
    pub(crate) is_part: bool,
    /// Why its rows cannot be read, where that is so.
    pub(crate) unreadable: Option<UnreadableTable>,
    /// Why its columns have to be declared, where that is so.
    pub(crate) undeclared: Option<String>,
}

impl ExportedTable {
    /// `public.orders`
    pub(crate) fn name(&self) -> String {
        self.names.join(".")
    }

    /// Whether people may call it so: by its whole name, or by its last names.
    fn is_called(&self, name: &str) -> bool {
        is_called(&self.names, name)
    }
}

/// The place of an export.
#[derive(Debug, Clone)]
pub(crate) struct ExportPlace {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) location: Location,
}

impl ExportPlace {
    /// LOCATION as a folder.
    fn folder(&self) -> Location {
        self.location.with_key(self.location.raw_key().trim_end_matches('/'))
    }

    /// The file that LOCATION names, if it does.
    async fn head(&self) -> std::result::Result<Option<ObjectMeta>, Trouble> {
        if self.location.is_folder() {
            return Ok(None);
        }
        match self.store.head(&self.location.key()?).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(store_error("read", &self.location, source).into()),
        }
    }

    async fn get(&self, location: &Location) -> std::result::Result<bytes::Bytes, Trouble> {
        let failed = |source| store_error("read", location, source);
        Ok(self.store.get(&location.key()?).await.map_err(failed)?.bytes().await.map_err(failed)?)
    }

    /// All objects below a folder, with their paths from it on, sorted.
    async fn list(&self, folder: &Location) -> std::result::Result<Vec<(String, ObjectMeta)>, Trouble> {
        let failed = |source| store_error("list", folder, source);
        let prefix = folder.key()?;
        let objects: Vec<ObjectMeta> = self.store.list(Some(&prefix)).try_collect().await.map_err(failed)?;
        let skip = folder.raw_key().trim_end_matches('/').len();
        let path = |meta: &ObjectMeta| meta.location.as_ref()[skip..].trim_start_matches('/').to_owned();
        let mut paths: Vec<_> = objects.into_iter().map(|meta| (path(&meta), meta)).collect();
        paths.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(paths)
    }
}

/// Why a catalogue could not be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    Fault(ExportFault),
    Other(Box<Error>),
}

impl From<ExportFault> for Trouble {
    fn from(fault: ExportFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// The tables of an export, if it is complete. `wanted` says which ones: the files of others need not be listed.
async fn catalog(
    kind: ExportKind,
    place: &ExportPlace,
    wanted: &(dyn Fn(&[String]) -> bool + Sync),
) -> std::result::Result<Vec<ExportedTable>, Trouble> {
    match kind {
        ExportKind::Rds => rds::catalog(place, wanted).await,
        ExportKind::DynamoDb => dynamodb::catalog(place).await,
        ExportKind::PgDump => pg_dump::catalog(place).await,
        ExportKind::MySqlDump => mysql_dump::catalog(place).await,
        ExportKind::MongoDbDump => mongodb_dump::catalog(place).await,
        ExportKind::RedshiftUnload => redshift::catalog(place).await,
        ExportKind::Dms => dms::catalog(place).await,
        ExportKind::Postgres | ExportKind::MySql => live::catalog(place).await,
    }
}

/// The table of an export that a snapshot table is.
///
/// # Errors
/// [`Error::Export`], [`Error::Store`].
pub(crate) async fn exported(
    stores: &Stores,
    catalogs: &ExportCatalogs,
    table: &SnapshotTable,
) -> Result<Option<ExportedTable>> {
    let (Some(export), Some((location, at))) = (&table.export, table.locations.first()) else { return Ok(None) };
    let name = export.table.as_deref().unwrap_or(&table.name);
    let place = ExportPlace { store: stores.open(location).await?, location: location.clone() };
    let refused = |fault| refused(table, location, at, fault);
    // The export of one table is that table, whatever it is called.
    let is_one = export.kind.is_one_table();
    let called = |names: &[String]| is_called(names, name);
    let read = async {
        let found = match export.merged.is_empty() {
            true => catalog(export.kind, &place, &called).await,
            false => merged::catalog(&place).await,
        };
        match found {
            Ok(tables) => Ok(Arc::new(tables)),
            Err(Trouble::Fault(fault)) => Err(refused(fault)),
            Err(Trouble::Other(error)) => Err(*error),
        }
    };
    // What RDS has of a table is listed for that table only.
    let tables = match export.kind {
        ExportKind::Rds => read.await?,
        kind => Arc::clone(catalogs.get(kind, location).get_or_try_init(|| read).await?),
    };
    let found: Vec<&ExportedTable> = tables.iter().filter(|table| is_one || table.is_called(name)).collect();
    let found = match *found {
        [] => {
            let tables = tables.iter().map(ExportedTable::name).collect();
            return Err(refused(ExportFault::NoTable { name: name.to_owned(), tables }));
        }
        [one] => one,
        _ => match found.iter().find(|table| table.name() == name) {
            Some(exact) => exact,
            None => {
                let tables = found.iter().map(|table| table.name()).collect();
                return Err(refused(ExportFault::Ambiguous { name: name.to_owned(), tables }));
            }
        },
    };
    let undeclared = found.undeclared.as_ref().filter(|_| table.declared.is_none());
    if let Some(reason) = found.unreadable.as_ref().map(|unreadable| &unreadable.reason).or(undeclared) {
        return Err(refused(ExportFault::Table { reason: reason.clone() }));
    }
    let mut found = found.clone();
    if let (FileFormat::Csv(of_export), FileFormat::Csv(written)) = (&mut found.format, &table.format)
        && export.kind.takes_csv_options()
    {
        if !export.is_text_known {
            let reason = "the files are text, and the export does not say how it is written; say so with an option, \
                          such as OPTIONS ('dialect' 'redshift')";
            return Err(refused(ExportFault::Unwritten { reason: reason.to_owned() }));
        }
        written_format(of_export, found.schema.as_ref(), written, table).map_err(refused)?;
    }
    Ok(Some(found))
}

/// The format of text files of which the export says no more than the columns, if it says these.
fn written_format(
    of_export: &mut CsvOptions,
    schema: Option<&SchemaRef>,
    written: &CsvOptions,
    table: &SnapshotTable,
) -> std::result::Result<(), ExportFault> {
    let columns = if written.has_header { Vec::new() } else { std::mem::take(&mut of_export.columns) };
    if !written.has_header && schema.is_none() && table.declared.is_none() {
        let reason = "the files are text without names of columns; declare all columns in their order, or set the option \
                      'has_header' 'true' if the first line has the names";
        return Err(ExportFault::Unwritten { reason: reason.to_owned() });
    }
    *of_export = CsvOptions { columns, ..written.clone() };
    Ok(())
}

/// The catalogues that were read while tables are planned side by side: a dump is scanned once for all of its tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExportCatalogs(Arc<Mutex<HashMap<(ExportKind, Location), Catalog>>>);

/// A catalogue that is read once, or not yet.
type Catalog = Arc<OnceCell<Arc<Vec<ExportedTable>>>>;

impl ExportCatalogs {
    fn get(&self, kind: ExportKind, location: &Location) -> Catalog {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((kind, location.clone())).or_default())
    }
}

fn refused(table: &SnapshotTable, location: &Location, at: &Position, fault: ExportFault) -> Error {
    Error::Export { at: at.clone(), table: table.name.clone(), location: location.to_string(), fault }
}

/// The tables of the export at a location, whichever.
///
/// # Errors
/// [`Trouble`].
pub(crate) async fn all_tables(
    kind: ExportKind,
    place: &ExportPlace,
) -> std::result::Result<Vec<ExportedTable>, Trouble> {
    catalog(kind, place, &|_| true).await
}
