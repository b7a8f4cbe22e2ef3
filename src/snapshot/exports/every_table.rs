//! Lists the tables of exports that `snapshot."*"` means, so that the config has a statement for each.
//!
//! A partition is part of its table, so it is no table here. A table that cannot be read is one: planning refuses it by
//! name, until the config excludes it. Listing reads what planning reads again: of a plain SQL dump, the whole file.

use super::{ExportPlace, Trouble, all_tables, refused};
use crate::config::{ListedExport, Project};
use crate::error::{ConfigError, Result};
use crate::session::Stores;

/// The project with a statement for each table of its exports; the same one if it has no `snapshot."*"`.
///
/// # Errors
/// [`Error::Export`](crate::error::Error::Export), [`Error::Store`](crate::error::Error::Store),
/// [`Error::Config`](crate::error::Error::Config).
pub(crate) async fn with_every_table(project: Project, stores: &Stores) -> Result<Project> {
    let mut lists = Vec::new();
    for table in project.wildcards() {
        let (Some(export), Some((location, at))) = (&table.export, table.locations.first()) else { continue };
        let place = ExportPlace { store: stores.open(location).await?, location: location.clone() };
        let tables = all_tables(export.kind, &place).await.map_err(|trouble| match trouble {
            Trouble::Fault(fault) => refused(table, location, at, fault),
            Trouble::Other(error) => *error,
        })?;
        let tables: Vec<_> = tables.into_iter().filter(|table| !table.is_part).map(|table| table.names).collect();
        if tables.is_empty() {
            let message = format!("the export at {location} has no table");
            return Err(ConfigError::Plan { message }.at(at));
        }
        let location = location.to_string();
        lists.push(ListedExport { kind: export.kind.name().to_owned(), location, tables });
    }
    if lists.is_empty() { Ok(project) } else { project.with_exports(lists) }
}
