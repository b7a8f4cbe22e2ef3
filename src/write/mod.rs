//! Writing Hive-partitioned Parquet: the same plan node for both steps, with one open file per stream.
//!
//! ```text
//! LakeWriteExec      one row per finished file: uri, etag, size, n_record, partition   = the manifest's rows
//!   ...              rows sorted by partition, in an order that a retry repeats, so it writes the same bytes
//! ```

mod columns;
mod encoding;
mod exec;
mod metrics;
mod parts;
mod roll;
mod size;
mod upload;
mod writer;

pub(crate) use columns::LakeColumns;
pub(crate) use encoding::{FileEncoding, STAGING_ROW_GROUP_BYTES, builder};
pub(crate) use exec::{LakeWriteExec, Numbering, OnRows, WriteSpec, collect_files, unwrap_engine};
pub(crate) use metrics::Operator;
pub(crate) use metrics::{bytes_spilled, operators};
pub(crate) use parts::uploads_ended;
pub(crate) use roll::RollRule;
pub(crate) use size::used_bytes;
