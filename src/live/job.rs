//! The databases of a config: each is exported once per snapshot, before its tables are planned.

use std::collections::BTreeMap;

use super::fault::LiveFault;
use super::mysql::address::MySqlAddress;
use super::options::{LiveExport, LiveOptions, WantedTable};
use super::place::LivePlace;
use super::postgres::address::PgAddress;
use super::surroundings::Surroundings;
use crate::config::{DatabaseUrl, ExportKind, Project, SnapshotTable};
use crate::error::{Error, Result};
use crate::session::Stores;

/// What an export brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExportedDatabase {
    /// Without a password.
    pub(crate) address: String,
    pub(crate) tables: usize,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When the database was as it was exported, RFC 3339.
    pub(crate) time: String,
}

/// Exports each database of the config, or finds its export; `threads` of them read at once.
///
/// # Errors
/// [`Error::Database`], [`Error::Store`].
pub(crate) async fn export_databases(
    project: &Project,
    stores: &Stores,
    threads: usize,
) -> Result<Vec<ExportedDatabase>> {
    let mut databases: BTreeMap<&DatabaseUrl, Vec<&SnapshotTable>> = BTreeMap::new();
    for table in &project.snapshots {
        if let Some(database) = table.export.as_ref().and_then(|export| export.database.as_ref()) {
            databases.entry(database).or_default().push(table);
        }
    }
    let mut exported = Vec::with_capacity(databases.len());
    for (database, tables) in databases {
        exported.push(export(project, stores, threads, database, &tables).await?);
    }
    Ok(exported)
}

async fn export(
    project: &Project,
    stores: &Stores,
    threads: usize,
    database: &DatabaseUrl,
    tables: &[&SnapshotTable],
) -> Result<ExportedDatabase> {
    let at = tables.first().map_or_else(|| project.start.clone(), |table| table.at.clone());
    let failed = |address: String, fault: LiveFault| {
        let help = fault.help();
        Error::Database { at: at.clone(), address, source: fault.into(), help }
    };
    let mut wanted: Vec<WantedTable> = Vec::new();
    for table in tables {
        let name = table.export.as_ref().and_then(|export| export.table.clone()).unwrap_or_else(|| table.name.clone());
        let text = table.on_invalid.text.iter().cloned();
        match wanted.iter_mut().find(|wanted| wanted.name == name) {
            Some(wanted) => wanted.text_columns.extend(text),
            None => wanted.push(WantedTable { name, text_columns: text.collect() }),
        }
    }
    let folder = project.settings.database_export(database);
    let place = LivePlace { store: stores.open(&folder).await?, folder: folder.key()? };
    let options = LiveOptions { workers: threads, ..LiveOptions::default() };
    let surroundings = Surroundings::of_process();
    let (url, base) = (&database.url, &database.folder);
    let unreadable = |fault| failed("the database".to_owned(), fault);
    let is_mysql = tables.iter().any(|table| table.export.as_ref().is_some_and(|of| of.kind == ExportKind::MySql));
    let manifest = if is_mysql {
        let address = MySqlAddress::parse(url, base, &surroundings).map_err(unreadable)?;
        let name = address.to_string();
        let export = LiveExport { address, tables: wanted, place, options, events: None };
        Box::pin(export.run(stores)).await.map_err(|fault| failed(name, fault))?
    } else {
        let address = PgAddress::parse(url, base, &surroundings).map_err(unreadable)?;
        let name = address.to_string();
        let export = LiveExport { address, tables: wanted, place, options, events: None };
        Box::pin(export.run(stores)).await.map_err(|fault| failed(name, fault))?
    };
    let files = || manifest.tables.iter().flat_map(|table| &table.files);
    Ok(ExportedDatabase {
        address: manifest.source.address.clone(),
        tables: manifest.tables.len(),
        rows: files().map(|file| file.rows).sum(),
        bytes: files().map(|file| file.size).sum(),
        time: manifest.snapshot.time.clone(),
    })
}
