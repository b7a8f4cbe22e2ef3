//! Whether a folder is a table of Delta, Iceberg or Hudi, as the names in it say. Pure, but for one look above the
//! folder.
//!
//! The data files of such a table are those of all its versions: rows that were deleted or replaced are still in them,
//! and only the table's log says which. A LOCATION may also lie inside of one: `t/data/` of Iceberg, a partition of
//! Delta. That costs at most one listing of a folder of its own, and only where the name of the folder says so.

use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::Result;
use crate::layout::Location;
use crate::layout::store_error;

/// A table of a format with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TableFormat {
    Delta,
    Iceberg,
    Hudi,
}

impl TableFormat {
    /// With its article.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delta => "a Delta table",
            Self::Iceberg => "an Iceberg table",
            Self::Hudi => "a Hudi table",
        }
    }
}

/// The table that a file belongs to as a part of its log: the format, and how long the path of its folder is.
pub(crate) fn table_of(path: &str) -> Option<(TableFormat, usize)> {
    let mut start = 0;
    for part in path.split('/') {
        let end = start + part.len();
        let is_folder = end < path.len();
        let folder = start.saturating_sub(1);
        if is_folder && part == "_delta_log" {
            return Some((TableFormat::Delta, folder));
        }
        if (is_folder && part == ".hoodie") || part.starts_with(".hoodie_partition_metadata") {
            return Some((TableFormat::Hudi, folder));
        }
        if is_folder && part == "metadata" {
            let name = &path[end + 1..];
            let is_metadata = [".metadata.json", ".metadata.json.gz"].iter().any(|ending| name.ends_with(ending));
            if (is_metadata || name == "version-hint.text") && !name.contains('/') {
                return Some((TableFormat::Iceberg, folder));
            }
        }
        start = end + 1;
    }
    None
}

/// The table above a folder, if its name is one that folders in tables have; and what shows it.
///
/// # Errors
/// Those of the listing.
pub(crate) async fn table_above(
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    folder: &str,
) -> Result<Option<(TableFormat, String)>> {
    let Some(log) = log_above(folder) else { return Ok(None) };
    let Ok(prefix) = Path::parse(&log) else { return Ok(None) };
    // The first page has it: a log is a folder of its own.
    let mut listing = store.list(Some(&prefix)).take(1_000);
    while let Some(found) = listing.next().await {
        let found = found.map_err(|source| store_error("list", &location.with_key(&log), source))?;
        if let Some((format, _)) = table_of(found.location.as_ref()) {
            return Ok(Some((format, found.location.to_string())));
        }
    }
    Ok(None)
}

/// Where the log of a table would be that this folder is a part of.
fn log_above(folder: &str) -> Option<String> {
    let mut root = folder.trim_end_matches('/');
    let mut is_partition = false;
    while let Some((above, last)) = root.rsplit_once('/')
        && last.contains('=')
    {
        (root, is_partition) = (above, true);
    }
    let above = |folder: &str, log: &str| Location::from_uri("file:///").ok().map(|l| l.with_key(folder).join(log));
    let log = match root.rsplit_once('/') {
        Some((table, "data")) => above(table, "metadata"),
        _ if is_partition => above(root, "_delta_log"),
        _ => None,
    };
    log.map(|location| location.raw_key().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_their_folders() {
        for (path, expected) in [
            ("_delta_log/00000000000000000000.json", Some((TableFormat::Delta, 0))),
            ("a/b/_delta_log/_last_checkpoint", Some((TableFormat::Delta, 3))),
            ("t/metadata/v1.metadata.json", Some((TableFormat::Iceberg, 1))),
            ("t/metadata/00001-5f0e.metadata.json.gz", Some((TableFormat::Iceberg, 1))),
            ("metadata/version-hint.text", Some((TableFormat::Iceberg, 0))),
            (".hoodie/hoodie.properties", Some((TableFormat::Hudi, 0))),
            ("t/dt=1/.hoodie_partition_metadata", Some((TableFormat::Hudi, 6))),
            ("metadata/notes.json", None),
            ("metadata/a/x.metadata.json", None),
            ("_delta_log", None),
            ("a.parquet", None),
        ] {
            assert_eq!(table_of(path), expected, "{path}");
        }
    }

    #[test]
    fn only_folders_that_tables_have_are_looked_above() {
        let log = |folder: &str| log_above(folder).unwrap_or_default();
        assert_eq!(log("w/t/data/"), "w/t/metadata");
        assert_eq!(log("w/t/data/day=1/hour=2"), "w/t/metadata");
        assert_eq!(log("w/t/day=1/"), "w/t/_delta_log");
        assert_eq!([log("w/t/"), log("data/"), log("")], ["", "", ""]);
    }
}
