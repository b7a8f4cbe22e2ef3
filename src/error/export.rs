//! Why an export cannot be read: it is not complete, not what STORED AS says, or does not have the table.

use thiserror::Error;

/// What is wrong with a database export.
#[derive(Debug, Error)]
pub enum ExportFault {
    /// The file that every export of the kind has is missing.
    #[error("it has no {expected}")]
    NotFound {
        /// The file, such as `export_info_*.json`.
        expected: &'static str,
    },
    /// The export says that it is not complete.
    #[error("{file} has the status {status}, not {expected}")]
    Status {
        /// The file that says so.
        file: String,
        /// Its word.
        status: String,
        /// The word of a complete export.
        expected: &'static str,
    },
    /// A table of the export is not complete by the export's own manifest.
    #[error("{table} has the status {status} in {file}, not COMPLETE")]
    TableStatus {
        /// Table as the export names it.
        table: String,
        /// Its status.
        status: String,
        /// The file that says so.
        file: String,
    },
    /// A file that marks the end of a part is missing.
    #[error("{folder} has no {mark}, so the export did not finish it")]
    Unfinished {
        /// The folder.
        folder: String,
        /// Name of the mark.
        mark: &'static str,
    },
    /// Something that the manifest names is not there.
    #[error("{manifest} lists {what}, which is not there")]
    Missing {
        /// The manifest.
        manifest: String,
        /// The file or folder.
        what: String,
    },
    /// One of several numbered things is not there.
    #[error("{place} has no {what}, though it has others")]
    Gap {
        /// Where it should be.
        place: String,
        /// What is missing.
        what: String,
    },
    /// Two numbers of the export differ.
    #[error("{one} has {found} {unit}, but {other} has {stated}")]
    Counts {
        /// What was counted.
        one: String,
        /// Its number.
        found: u64,
        /// What is counted.
        unit: &'static str,
        /// What states another number.
        other: String,
        /// The other number.
        stated: u64,
    },
    /// A file is not as its checksum says.
    #[error("{file} has the MD5 {found}, but {manifest} has {stated}")]
    Checksum {
        /// Its name in the export.
        file: String,
        /// What it is.
        found: String,
        /// Where another one is stated.
        manifest: String,
        /// What is stated.
        stated: String,
    },
    /// A metadata file cannot be read.
    #[error("{file}: {reason}")]
    Metadata {
        /// Its name in the export.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The export is of a form that is not read.
    #[error("{what} is not read")]
    Unread {
        /// The form.
        what: String,
        /// What to do.
        help: &'static str,
    },
    /// The rows of a table cannot be read from this export.
    #[error("{reason}")]
    Table {
        /// The table, and why.
        reason: String,
    },
    /// The config has to say what the export does not.
    #[error("{reason}")]
    Unwritten {
        /// What it does not say, and how to.
        reason: String,
    },
    /// The dump ends too early or is damaged.
    #[error("{file} is not a whole dump: {reason}")]
    Cut {
        /// The dump.
        file: String,
        /// What shows it.
        reason: String,
    },
    /// A running database whose tables were not exported yet.
    #[error("the database was not exported yet")]
    NotExported,
    /// Exports that are to be merged and were not yet.
    #[error("the exports were not merged yet")]
    NotMerged,
    /// Exports that cannot be merged: they are not of one table, or not of one stretch of time.
    #[error("{reason}")]
    Unmergeable {
        /// What does not go together, with both sides.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// The export has no such table.
    #[error("it has no table {name}{}", among(tables))]
    NoTable {
        /// As asked for.
        name: String,
        /// The tables that it has.
        tables: Vec<String>,
    },
    /// Several tables of the export have this name.
    #[error("it has several tables {name}: {}", tables.join(", "))]
    Ambiguous {
        /// As asked for.
        name: String,
        /// Their whole names.
        tables: Vec<String>,
    },
}

/// Names that are shown.
const SHOWN: usize = 8;

fn among(tables: &[String]) -> String {
    let more = if tables.len() > SHOWN { ", .." } else { "" };
    let shown: Vec<&str> = tables.iter().take(SHOWN).map(String::as_str).collect();
    if shown.is_empty() { ", and no other one".to_owned() } else { format!("; it has {}{more}", shown.join(", ")) }
}

impl ExportFault {
    /// What to do.
    pub(super) fn help(&self) -> &str {
        match self {
            Self::NotFound { .. } => "name the folder or file that the export wrote, as a whole, in LOCATION",
            Self::Status { .. } | Self::TableStatus { .. } | Self::Unfinished { .. } => {
                "wait until the export is complete, or export again"
            }
            Self::Missing { .. } | Self::Gap { .. } | Self::Checksum { .. } | Self::Cut { .. } => {
                "copy the export again, as a whole; if it is the original, export again"
            }
            Self::Counts { .. } | Self::Metadata { .. } => "export again",
            Self::Unread { help, .. } => help,
            Self::NotExported => "`snaplake run` exports it first; `snaplake plan` shows its tables after that",
            Self::NotMerged => "`snaplake run` merges them first; `snaplake plan` shows the table after that",
            Self::Unmergeable { help, .. } => help,
            Self::Unwritten { .. } => "docs/exports.md has the options of each export",
            Self::Table { .. } => "leave the table out of the config, or read it from another export",
            Self::NoTable { .. } | Self::Ambiguous { .. } => {
                "name the table as the export does: OPTIONS ('table' 'schema.table')"
            }
        }
    }
}
