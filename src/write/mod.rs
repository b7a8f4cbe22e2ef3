//! Writing Hive-partitioned Parquet: the same plan node for both steps, with one open file per stream.
//!
//! ```text
//! LakeWriteExec      one row per finished file: uri, etag, size, n_record, partition, column statistics   = the manifest's rows
//!   ...              rows sorted by partition, in an order that a retry repeats, so it writes the same bytes
//! ```
//!
//! Where staged rows need no merging, lake files are made of their pages instead (`compaction::copy`); `copyable` is
//! what both steps agree on about these.

pub(crate) mod copyable;
pub(crate) mod encoding;
mod estimate;
mod exec;
mod files;
pub(crate) mod landing;
mod open;
mod parts;
mod planned;
mod published;
pub(crate) mod ranges;
mod roll;
mod run_rows;
mod size;
pub(crate) mod spec;
pub(crate) mod upload;
mod wide;
mod writer;

pub(crate) use self::copyable::COPIED_ROWS;
#[cfg(test)]
pub(crate) use self::encoding::STAGING_ROW_GROUP_BYTES;
pub(crate) use self::encoding::{FileEncoding, MERGED_PAGE_ROWS, PAGE_ROWS};
pub(crate) use self::exec::LakeWriteExec;
pub(crate) use self::files::collect_files;
pub(crate) use self::parts::uploads_ended;
pub(crate) use self::published::{copied_properties, published_properties, sort_keys, staging_encoding};
#[cfg(any(test, feature = "bench"))]
pub(crate) use self::ranges::FileRanges;
pub(crate) use self::roll::RollRule;
pub(crate) use self::run_rows::RunRows;
pub(crate) use self::size::used_bytes;
pub(crate) use self::spec::{Bundled, Numbering, OnRows, PlannedPartition, WriteSpec};
pub(crate) use self::wide::staging_row_group_bytes;
