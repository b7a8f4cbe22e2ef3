//! Writing Hive-partitioned Parquet: the same plan node for both steps, with one open file per stream.
//!
//! ```text
//! LakeWriteExec        one row per finished file: uri, etag, size, n_record, partition   = the manifest's rows
//!   SortExec           partition columns, sort columns, ordinal: a total order, so a retry writes the same bytes
//!     OrdinalExec      numbers the rows as they come
//!       the SELECT
//! ```

mod columns;
mod exec;
mod ordinal;
mod roll;
mod upload;

pub(crate) use columns::LakeColumns;
pub(crate) use exec::{LakeWriteExec, OnRows, WriteSpec, collect_files, unwrap_engine};
pub(crate) use ordinal::OrdinalExec;
pub(crate) use roll::RollRule;
