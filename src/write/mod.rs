//! Writing Hive-partitioned Parquet: the same plan node for both steps, with one open file per stream.
//!
//! ```text
//! LakeWriteExec      one row per finished file: uri, etag, size, n_record, partition, column statistics   = the manifest's rows
//!   ...              rows sorted by partition, in an order that a retry repeats, so it writes the same bytes
//! ```
//!
//! Where staged rows need no merging, lake files are made of their pages instead ([`Assembler`]).

mod assemble;
mod bounds;
mod chunk;
mod codec;
mod columns;
mod dictionary;
mod encoding;
mod exec;
mod indices;
mod landing;
mod metrics;
mod open;
mod parts;
mod planned;
mod published;
mod ranges;
mod roll;
mod run_rows;
mod size;
mod texts;
mod upload;
mod wide;
mod writer;

pub(crate) use assemble::{Assembler, StagedRowGroup};
pub(crate) use bounds::compare;
pub(crate) use chunk::Part;
pub(crate) use columns::LakeColumns;
#[cfg(test)]
pub(crate) use encoding::STAGING_ROW_GROUP_BYTES;
pub(crate) use encoding::{COPIED_ROWS, FileEncoding, MERGED_PAGE_ROWS, PAGE_ROWS};
pub(crate) use exec::{
    Bundled, LakeWriteExec, Numbering, OnRows, PlannedPartition, WriteSpec, collect_files, unwrap_engine,
};
pub(crate) use metrics::{bytes_spilled, operators};
pub(crate) use parts::uploads_ended;
pub(crate) use published::{copied_properties, published_properties, sort_keys, staging_encoding};
#[cfg(any(test, feature = "bench"))]
pub(crate) use ranges::Ranges;
pub(crate) use roll::RollRule;
pub(crate) use run_rows::RunRows;
pub(crate) use size::used_bytes;
pub(crate) use wide::staging_row_group_bytes;
