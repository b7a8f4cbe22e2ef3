//! A table that `init` found: its files, columns and proposed partitions.

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, SchemaRef};

use super::profile::Profile;
use super::proposal::Proposal;
use crate::config::{ExportTable, FileFormat};
use crate::init::survey::read::Read;

/// One column of a proposed SELECT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Name in the lake.
    pub(crate) name: String,
    /// The text before AS; the column itself if there is nothing to change.
    pub(crate) expr: String,
    pub(crate) data_type: DataType,
    pub(crate) profile: Profile,
    /// What a person should know, in a few words.
    pub(crate) note: Option<String>,
    /// An expression that may be better, and why.
    pub(crate) alternative: Option<(String, String)>,
}

impl Default for Item {
    fn default() -> Self {
        Self {
            name: String::new(),
            expr: String::new(),
            data_type: DataType::Null,
            profile: Profile::default(),
            note: None,
            alternative: None,
        }
    }
}

/// Sizes that decide about partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableSize {
    /// Estimate of the published table.
    pub(crate) lake_bytes: u64,
    /// Whether all rows were read.
    pub(crate) is_whole: bool,
}

/// A table that was found, and what is proposed for it.
#[derive(Debug, Clone)]
pub(crate) struct FoundTable {
    /// Names from the shortest to the most exact; the last ones are taken where others clash.
    pub(crate) wishes: Vec<String>,
    /// Folder or file from the location on; empty for the location itself.
    pub(crate) folder: String,
    /// Literals for LOCATION, from the location on: folders end with a slash, globs are escaped.
    pub(crate) locations: Vec<String>,
    pub(crate) format: FileFormat,
    /// The table of an export with a manifest or catalogue of its own.
    pub(crate) export: Option<ExportTable>,
    /// Columns for CREATE EXTERNAL TABLE; None: those of the files.
    pub(crate) declared: Option<SchemaRef>,
    /// Columns in the names of folders, in the order of the path.
    pub(crate) partitioned_by: Vec<(String, DataType)>,
    pub(crate) items: Vec<Item>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Rows of the table, and whether that is exact.
    pub(crate) rows: (u64, bool),
    pub(crate) read: Read,
    pub(crate) newest: DateTime<Utc>,
    /// Lines for the comment above the table.
    pub(crate) notes: Vec<String>,
    pub(crate) proposal: Proposal,
}

impl FoundTable {
    /// The words after STORED AS.
    pub(crate) fn stored_as(&self) -> &'static str {
        self.export.as_ref().map_or(self.format.name(), |export| export.kind.name())
    }
}

/// A table and its name.
#[derive(Debug, Clone)]
pub(crate) struct NamedTable {
    pub(crate) name: String,
    pub(crate) found: FoundTable,
}
