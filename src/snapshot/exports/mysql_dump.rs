//! Dumps of MySQL and MariaDB: `STORED AS MYSQL_DUMP`.
//!
//! ```text
//! LOCATION 'shop.sql', 'shop.sql.gz'   mysqldump, mariadb-dump: all tables of one or more databases
//! LOCATION 'dump/'                     mydumper: DB.TABLE-schema.sql, DB.TABLE[.NNNNN].sql, metadata
//! ```
//!
//! A dump of mysqldump is complete once it has its last line; one that was made with `--skip-comments` has no such line.
//! mydumper writes `metadata` last, and `metadata.partial` until then. Statements and escapes: "mysqldump" of the MySQL
//! Reference Manual; file names: documentation of mydumper.

use super::dumped::Dumped;
use super::sql_script::{SqlFile, scan};
use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::SqlFamily;
use crate::error::ExportFault;
use crate::layout::Location;

const METADATA: &str = "metadata";

/// The tables of the dump.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    if let Some(meta) = place.head().await? {
        let name = place.location.raw_key().rsplit('/').next().unwrap_or_default();
        let file = SqlFile { location: place.location.clone(), meta: &meta, name, family: SqlFamily::MySql };
        let (dumped, end) = scan(place, &file, Dumped::new(name, SqlFamily::MySql)).await?;
        if end.has_head && !end.is_complete {
            let reason = "it does not end with '-- Dump completed'".to_owned();
            return Err(ExportFault::Cut { file: name.to_owned(), reason }.into());
        }
        let mut tables = dumped.finish()?;
        if !end.is_complete {
            let note = "The dump has no comments, so nothing shows whether it is whole.";
            tables.iter_mut().for_each(|table| table.notes.push(note.to_owned()));
        }
        return Ok(tables);
    }
    of_folder(place).await
}

/// A folder of mydumper.
async fn of_folder(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let folder = place.folder();
    let listed = place.list(&folder).await?;
    let has = |name: &str| listed.iter().any(|(path, _)| path == name);
    if has("metadata.partial") {
        return Err(ExportFault::Unfinished { folder: folder.to_string(), mark: METADATA }.into());
    }
    if !has(METADATA) {
        return Err(
            ExportFault::NotFound { expected: "metadata, as mydumper writes it, and is no file of mysqldump" }.into()
        );
    }
    let mut tables: Vec<ExportedTable> = Vec::new();
    // The files of a database share its statements; each has its own name in messages.
    let mut by_database: std::collections::BTreeMap<String, Dumped> = std::collections::BTreeMap::new();
    for (path, meta) in &listed {
        let Some((database, role)) = role(path) else { continue };
        if role == Role::Skipped {
            continue;
        }
        let location: Location = folder.join(path);
        let file = SqlFile { location, meta, name: path, family: SqlFamily::MySql };
        let mut dumped = by_database.remove(database).unwrap_or_else(|| Dumped::new(path, SqlFamily::MySql));
        dumped.add_statement(&format!("USE `{}`", database.replace('`', "``")))?;
        let (dumped, _) = scan(place, &file, dumped).await?;
        by_database.insert(database.to_owned(), dumped);
    }
    for dumped in by_database.into_values() {
        tables.extend(dumped.finish()?);
    }
    if tables.is_empty() {
        return Err(ExportFault::NotFound { expected: "*-schema.sql, as mydumper writes them" }.into());
    }
    Ok(tables)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A CREATE TABLE, or rows.
    Table,
    /// Nothing that has rows: databases, views, triggers, routines.
    Skipped,
}

/// What a file of mydumper is, by its name: `shop.orders-schema.sql`, `shop.orders.00001.sql.gz`.
fn role(path: &str) -> Option<(&str, Role)> {
    let bare = [".gz", ".zst"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    let stem = bare.strip_suffix(".sql")?;
    let skipped = ["-schema-create", "-schema-view", "-schema-triggers", "-schema-post", "-schema-sequence"];
    if skipped.iter().any(|ending| stem.ends_with(ending)) {
        return Some((stem.split('.').next().unwrap_or(stem), Role::Skipped));
    }
    let (database, _) = stem.split_once('.')?;
    Some((database, Role::Table))
}
