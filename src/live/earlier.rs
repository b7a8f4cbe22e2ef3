//! An export that is there already: whether it is the one that is wanted.

use std::fmt::Display;

use super::fault::LiveFault;
use super::options::{LiveEvent, LiveExport, WantedTable};
use crate::snapshot::exports::live_manifest::LiveManifest;

impl<Address: Display> LiveExport<Address> {
    /// Checks that an existing export has the wanted tables and columns.
    pub(crate) fn check(&self, there: &LiveManifest, database: &str) -> Result<(), LiveFault> {
        let time = &there.snapshot.time;
        let refused = |table: &str, reason: String| LiveFault::Table { table: table.to_owned(), reason };
        if there.source.address != self.address.to_string() {
            let reason = format!("{} is an export of {}", self.place.manifest(), there.source.address);
            return Err(refused(database, reason));
        }
        for WantedTable { name, text_columns } in &self.tables {
            let mut named = there.tables.iter().filter(|table| is_called(&table.schema, &table.name, database, name));
            let (Some(table), None) = (named.next(), named.next()) else {
                let reason = format!("is not in the export of {time}, which has one moment for all tables");
                return Err(refused(name, reason));
            };
            let is_printed =
                |name: &&String| table.columns.iter().any(|column| column.name == **name && column.printed);
            if let Some(column) = text_columns.iter().find(|name| !is_printed(name)) {
                let reason = format!("the column {column:?} is not text in the export of {time}");
                return Err(refused(name, reason));
            }
        }
        Ok(())
    }

    /// Nobody needs to listen.
    pub(crate) fn tell(&self, event: impl FnOnce() -> LiveEvent) {
        if let Some(events) = &self.events {
            let _ = events.send(event());
        }
    }
}

/// Whether a table may be called so.
pub(crate) fn is_called(schema: &str, table: &str, database: &str, name: &str) -> bool {
    let full = format!("{schema}.{table}");
    table == name || full == name || name.strip_prefix(database).and_then(|rest| rest.strip_prefix('.')) == Some(&full)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::super::options::LiveOptions;
    use super::super::place::LivePlace;
    use super::*;
    use crate::snapshot::exports::live_manifest::{LiveSnapshot, LiveSource, VERSION};

    #[test]
    fn an_export_of_another_server_is_refused_even_if_its_database_has_the_same_name() {
        let (wanted, other) = ("postgres://u@one.example:5432/shop", "postgres://u@two.example:5432/shop");
        let export = LiveExport {
            address: wanted,
            tables: Vec::new(),
            place: LivePlace { store: Arc::new(InMemory::new()), folder: "live".into() },
            options: LiveOptions::default(),
            events: None,
        };
        let there = |of: &str| LiveManifest {
            version: VERSION,
            source: LiveSource {
                system: "postgresql".to_owned(),
                server_version: "15".to_owned(),
                system_identifier: None,
                address: of.to_owned(),
                database: "shop".to_owned(),
                standby: None,
            },
            snapshot: LiveSnapshot { time: "2024-01-01T00:00:00Z".to_owned(), ..LiveSnapshot::default() },
            folder: "try".to_owned(),
            tables: Vec::new(),
        };
        assert!(export.check(&there(wanted), "shop").is_ok());
        let refused = export.check(&there(other), "shop").map_err(|fault| fault.to_string());
        assert!(refused.is_err_and(|reason| reason.contains("is an export of postgres://u@two.example:5432/shop")));
    }
}
