//! The only place that prints: results to standard output, talk to standard error.
//!
//! On a terminal bars show all tables, rows per second and the time left; otherwise there are only lines. `--format
//! json` turns each result into one JSON document. Errors are printed with their causes, each once.

pub(crate) mod audits;
pub(crate) mod diff;
mod events;
pub(crate) mod failure;
pub(crate) mod init;
pub(crate) mod lineage;
pub(crate) mod outcome;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod query;
mod report;
pub(crate) mod rows;
pub(crate) mod snapshots;
pub(crate) mod status;
pub(crate) mod text;

pub(crate) use self::lineage::{PageFormat, PageOptions};
pub(crate) use self::report::{LogFormat, OutputFormat, Report, Verbosity};
pub(crate) use self::rows::{RowFormat, RowOptions};
