//! What `init` is asked for and what it gives: the same for files and for databases. Pure.

use std::path::PathBuf;

use super::names::distinct;
use super::survey::read::Read;
use super::tables::found_table::{FoundTable, NamedTable};
use super::tables::proposal::PartitionColumn;

/// Steps up that a relative path may have.
pub(super) const UP: usize = 4;

/// What the user asked for.
#[derive(Debug, Clone)]
pub(crate) struct InitOptions {
    /// Path or URL, or the address of a database.
    pub(crate) location: String,
    /// The config to write.
    pub(crate) output: PathBuf,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    /// RFC 3339.
    pub(crate) snapshot_time: Option<String>,
    /// Whether files may be replaced.
    pub(crate) force: bool,
}

/// What was found and written.
#[derive(Debug)]
pub(crate) struct Initialized {
    pub(crate) location: String,
    pub(crate) database: String,
    pub(crate) snapshot_time: String,
    pub(crate) config: PathBuf,
    /// All files that were written; the config is the last one.
    pub(crate) written: Vec<PathBuf>,
    pub(crate) tables: Vec<TableLine>,
    pub(crate) ignored: Vec<IgnoredLine>,
    /// Of the whole location.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) read: Read,
    /// Whether the location is a running database.
    pub(crate) is_database: bool,
}

/// A table in a few words.
#[derive(Debug)]
pub(crate) struct TableLine {
    pub(crate) table: String,
    pub(crate) format: &'static str,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Rows, and whether that is exact.
    pub(crate) rows: (u64, bool),
    pub(crate) columns: usize,
    pub(crate) partitioned_by: Vec<String>,
    pub(crate) sorted_by: Vec<String>,
    /// As in the config, from the location on.
    pub(crate) locations: Vec<String>,
}

/// Files that belong to no table, for one reason.
#[derive(Debug)]
pub(crate) struct IgnoredLine {
    pub(crate) reason: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) example: String,
    /// Whether rows may be in them that the config does not read.
    pub(crate) may_have_rows: bool,
}

/// The tables with their names, in order of these.
pub(super) fn named(tables: Vec<FoundTable>) -> Vec<NamedTable> {
    let wishes: Vec<Vec<String>> = tables.iter().map(|table| table.wishes.clone()).collect();
    let names = distinct(&wishes);
    let mut named: Vec<NamedTable> =
        names.into_iter().zip(tables).map(|(name, found)| NamedTable { name, found }).collect();
    named.sort_by(|a, b| a.name.cmp(&b.name));
    named
}

/// What is said of a table.
pub(super) fn line(NamedTable { name, found }: &NamedTable) -> TableLine {
    let proposal = &found.proposal;
    TableLine {
        table: name.clone(),
        format: found.stored_as(),
        files: found.files,
        bytes: found.bytes,
        rows: found.rows,
        columns: found.items.len(),
        partitioned_by: proposal.partitions.iter().map(PartitionColumn::name).map(str::to_owned).collect(),
        sorted_by: proposal.sorted_by.clone(),
        locations: found.locations.clone(),
    }
}
