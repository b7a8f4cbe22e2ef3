//! The export of a MySQL or MariaDB database: once, consistently, into Parquet files and a manifest.
//!
//! Guarantees: every file has rows of one and the same snapshot; a table has as many rows as the server counts in it; a
//! manifest is there only if all of that went well. If the connection ends, the snapshot is gone: nothing is patched
//! together from two. It does not resume and does not repeat by itself.

use super::address::MySqlAddress;
use super::catalog::MySqlColumn;
use super::driver_error::server_text;
use super::snapshot::{LockedTable, Snapshot};
use super::table::{count, read};
use crate::live::fault::LiveFault;
use crate::live::options::{LiveEvent, LiveExport};
use crate::live::place::new_try;
use crate::session::Stores;
use crate::snapshot::exports::live_manifest::{LiveColumnEntry, LiveFile, LiveManifest, LiveTable, VERSION};

impl LiveExport<MySqlAddress> {
    /// Exports, or finds the export that is there already.
    ///
    /// # Errors
    /// [`LiveFault`]. Then there is no manifest, and what was written is garbage.
    pub(crate) async fn run(self, stores: &Stores) -> Result<LiveManifest, LiveFault> {
        if let Some(there) = self.place.read().await? {
            self.check(&there, &self.address.database)?;
            return Ok(there);
        }
        let Snapshot { mut session, source, snapshot, tables } =
            Snapshot::take(&self.address, &self.tables, &self.options).await?;
        self.tell(|| LiveEvent::Snapshot { snapshot: snapshot.clone(), ranges: tables.len() });
        let folder = new_try();
        let mut entries = Vec::with_capacity(tables.len());
        for table in tables {
            let name = table.table.full_name();
            let files = read(&mut session, &table, &self.place, &folder, &self.options).await?;
            for LiveFile { rows, size, .. } in &files {
                self.tell(|| LiveEvent::Range { table: name.clone(), rows: *rows, bytes: *size });
            }
            let rows = files.iter().map(|file| file.rows).sum();
            // Counting a view may be expensive.
            let is_counted = self.options.count && !table.table.is_view();
            let counted = if is_counted { Some(count(&mut session, &table).await?) } else { None };
            if let Some(counted) = counted.filter(|counted| *counted != rows) {
                return Err(LiveFault::Count { table: name, read: rows, counted });
            }
            entries.push(entry(table, files, rows, counted));
        }
        // Proves that the transaction was there until now.
        session.commit().await.map_err(|error| LiveFault::HolderLost { reason: server_text(&error) })?;
        entries.sort_by(|one, other| (&one.schema, &one.name).cmp(&(&other.schema, &other.name)));
        let manifest = LiveManifest { version: VERSION, source, snapshot, folder, tables: entries };
        self.place.commit(&manifest, stores).await?;
        Ok(manifest)
    }
}

fn entry(table: LockedTable, files: Vec<LiveFile>, rows: u64, counted: Option<u64>) -> LiveTable {
    let LockedTable { table, columns, notes } = table;
    let column =
        |column: MySqlColumn| LiveColumnEntry { name: column.name, sql_type: column.sql_type, printed: column.printed };
    LiveTable {
        kind: if table.is_view() { "view" } else { "table" }.to_owned(),
        schema: table.schema,
        name: table.name,
        columns: columns.into_iter().map(column).collect(),
        rows,
        counted,
        notes,
        files,
    }
}
