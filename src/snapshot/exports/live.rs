//! The export of a running database, as the room `live` has put it into the staging folder: `STORED AS POSTGRES`,
//! `STORED AS MYSQL`.
//!
//! Its manifest names all files with their sizes and rows, so nothing is listed. Without a manifest the database was
//! not exported yet.

use object_store::ObjectStoreExt;

use super::live_manifest::{LiveManifest, LiveTable, VERSION};
use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::FileFormat;
use crate::error::ExportFault;
use crate::layout::{FilePartition, below, store_error};
use crate::manifest::FileEntry;

/// The manifest below the folder of an export.
pub(crate) const MANIFEST: &str = "live-export.json";

/// The tables of the export.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let at = place.folder().join(MANIFEST);
    let bytes = match place.store.get(&at.key()?).await {
        Ok(found) => found.bytes().await.map_err(|source| store_error("read", &at, source))?,
        Err(object_store::Error::NotFound { .. }) => return Err(ExportFault::NotExported.into()),
        Err(source) => return Err(store_error("read", &at, source).into()),
    };
    let metadata = |reason: String| ExportFault::Metadata { file: MANIFEST.to_owned(), reason };
    let manifest: LiveManifest = serde_json::from_slice(&bytes).map_err(|error| metadata(error.to_string()))?;
    if manifest.version != VERSION {
        return Err(metadata(format!("its version {} is not {VERSION}", manifest.version)).into());
    }
    let LiveManifest { source, snapshot, folder, tables, .. } = manifest;
    let system = match source.system.as_str() {
        "postgresql" => "PostgreSQL",
        "mysql" => "MySQL",
        "mariadb" => "MariaDB",
        other => other,
    };
    let lsn = snapshot.lsn.map(|lsn| format!(", LSN {lsn}"));
    let point = lsn.or_else(|| snapshot.binlog.map(|binlog| format!(", binary log {binlog}"))).unwrap_or_default();
    let note = format!("Exported from {system} {} at {}{point}.", source.server_version, snapshot.time);
    let table = |table: LiveTable| {
        let files = table.files.into_iter().map(|file| FileEntry {
            uri: place.folder().join(&below(&folder, &file.name)).uri().into(),
            etag: file.etag.unwrap_or_default().as_str().into(),
            size: file.size,
            n_record: Some(file.rows),
            partition: FilePartition::None,
        });
        let mut files: Vec<_> = files.collect();
        files.sort_by(|one, other| one.uri.cmp(&other.uri));
        ExportedTable {
            // A database of MySQL is its own and only schema.
            names: if table.schema == source.database && source.system != "postgresql" {
                vec![table.schema, table.name]
            } else {
                vec![source.database.clone(), table.schema, table.name]
            },
            format: FileFormat::Parquet,
            schema: None,
            files,
            notes: std::iter::once(note.clone()).chain(table.notes).collect(),
            is_part: false,
            unreadable: None,
            undeclared: None,
        }
    };
    Ok(tables.into_iter().map(table).collect())
}
