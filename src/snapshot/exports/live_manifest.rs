//! The manifest of a live export: what was read from a running database, from when, and which files have it.
//!
//! It is written last and only if there is none: it IS the export. Files of a try that no manifest names are garbage.
//! It has no password and no address with one. Versioned: another version is refused, as are unknown keys.

use serde::{Deserialize, Serialize};

/// The version that this module writes and reads.
pub(crate) const VERSION: u32 = 1;

/// An export of one database at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveManifest {
    /// Of this form.
    pub(crate) version: u32,
    /// What was read.
    pub(crate) source: LiveSource,
    /// From when.
    pub(crate) snapshot: LiveSnapshot,
    /// The folder of the files, beside the manifest.
    pub(crate) folder: String,
    /// Sorted by schema and name.
    pub(crate) tables: Vec<LiveTable>,
}

/// A server and a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveSource {
    /// `postgresql`, `mysql` or `mariadb`
    pub(crate) system: String,
    /// As the server says it.
    pub(crate) server_version: String,
    /// The cluster's own number, where the server tells it.
    pub(crate) system_identifier: Option<String>,
    /// The address, without secrets.
    pub(crate) address: String,
    /// The database.
    pub(crate) database: String,
    /// Whether the server was a standby.
    pub(crate) standby: Option<bool>,
}

/// A point in the life of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveSnapshot {
    /// As `pg_export_snapshot()` named it; empty where snapshots have no names.
    pub(crate) id: String,
    /// The server's clock when it was taken, RFC 3339.
    pub(crate) time: String,
    /// The write-ahead log's end right after, or what a standby had replayed. Not an exact border: use `visible` for
    /// that.
    pub(crate) lsn: Option<String>,
    /// Exactly which transactions are in it: `xmin:xmax:in progress`.
    pub(crate) visible: Option<String>,
    /// MySQL and MariaDB: `file:position` of the binary log, exactly where the snapshot was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binlog: Option<String>,
    /// MySQL and MariaDB: the transactions that are in it, by their global identifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gtid: Option<String>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveTable {
    /// As the catalogue has it.
    pub(crate) schema: String,
    /// As the catalogue has it.
    pub(crate) name: String,
    /// `table`, `partitioned table`, `view`, `materialized view`, `foreign table`.
    pub(crate) kind: String,
    /// In the order of the table.
    pub(crate) columns: Vec<LiveColumnEntry>,
    /// Of all files.
    pub(crate) rows: u64,
    /// What the server counted in the same snapshot, where it was asked.
    pub(crate) counted: Option<u64>,
    /// What people should know.
    pub(crate) notes: Vec<String>,
    /// In the order of the ranges.
    pub(crate) files: Vec<LiveFile>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveColumnEntry {
    /// As the catalogue has it.
    pub(crate) name: String,
    /// As SQL writes it.
    pub(crate) sql_type: String,
    /// Whether the server printed it as text, because no exact type is in the lake or because it was asked so.
    pub(crate) printed: bool,
}

/// One file: rows of one range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveFile {
    /// Below the folder.
    pub(crate) name: String,
    /// The table or partition whose rows these are.
    pub(crate) part: String,
    /// First block and the one after the last, where it is a range of blocks.
    pub(crate) blocks: Option<(u64, Option<u64>)>,
    /// Of the file.
    pub(crate) size: u64,
    /// In it.
    pub(crate) rows: u64,
    /// As the store says it, without quotes.
    pub(crate) etag: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"{
  "version": 1,
  "source": {
    "system": "postgresql",
    "server_version": "15.18",
    "system_identifier": "7",
    "address": "postgres://u@db:5432/shop",
    "database": "shop",
    "standby": false
  },
  "snapshot": {
    "id": "00000003-0000001B-1",
    "time": "2026-11-30T18:45:00.000001Z",
    "lsn": "0/16B3748",
    "visible": "742:742:"
  },
  "folder": "try-1",
  "tables": [
    {
      "schema": "public",
      "name": "orders",
      "kind": "table",
      "columns": [
        {
          "name": "tags",
          "sql_type": "text[]",
          "printed": true
        }
      ],
      "rows": 2,
      "counted": 2,
      "notes": [],
      "files": [
        {
          "name": "public.orders/range-00001.parquet",
          "part": "public.orders",
          "blocks": [
            0,
            null
          ],
          "size": 100,
          "rows": 2,
          "etag": "x"
        }
      ]
    }
  ]
}"#;

    #[test]
    fn the_form_is_that_of_version_1() {
        let read: LiveManifest = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_string_pretty(&read).unwrap(), GOLDEN);
        assert_eq!(read.version, VERSION);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let text = GOLDEN.replace("\"etag\"", "\"tag\"");
        assert!(serde_json::from_str::<LiveManifest>(&text).is_err());
    }
}
