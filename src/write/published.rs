//! What published files are like: codec, row groups, the order of their rows, and the encodings that a lake format asks
//! for. Which encoding a column gets otherwise is decided by [`super::encoding`].

use datafusion::arrow::datatypes::Schema;
use datafusion::parquet::arrow::ArrowSchemaConverter;
use datafusion::parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use datafusion::parquet::file::metadata::SortingColumn;
use datafusion::parquet::file::properties::WriterProperties;

use super::encoding::{FileEncoding, STAGING_ROW_GROUP_BYTES, builder};
use crate::config::{LakeKind, LakeTable, SortKey, WriteCompression};
use crate::error::{Error, Result};
use crate::types::width::is_wide;

/// No row group is larger, pages that are still open counted before compression.
const MAX_ROW_GROUP_BYTES: usize = 512 << 20;

/// Target size from which on staged row groups are small enough to deal files out evenly.
const COPIED_TARGET_BYTES: u64 = 8 * STAGING_ROW_GROUP_BYTES;

/// Sort keys within a partition: its partition columns are constant and not in the files.
pub(crate) fn sort_keys(lake: &LakeTable) -> Vec<&SortKey> {
    let is_partition = |key: &SortKey| lake.partitioned_by.iter().any(|(name, _)| *name == key.column);
    lake.sorted_by.iter().map(|(key, _)| key).filter(|key| !is_partition(key)).collect()
}

/// Writer properties of a table's lake files, whose columns are `schema`, without encodings.
///
/// # Errors
/// [`Error::Parquet`] for a type that Parquet does not have.
pub(crate) fn published_properties(lake: &LakeTable, schema: &Schema) -> Result<WriterProperties> {
    let failed = |source| Error::Parquet { uri: format!("schema of lake.{}", lake.name), source };
    let leaves = ArrowSchemaConverter::new().convert(schema).map_err(failed)?;
    let sorting = sort_keys(lake)
        .iter()
        .map_while(|key| {
            let leaf = leaves.columns().iter().position(|leaf| leaf.path().parts() == [key.column.clone()])?;
            Some(SortingColumn {
                column_idx: i32::try_from(leaf).ok()?,
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
        })
        .collect::<Vec<_>>();
    let compression = match lake.compression {
        WriteCompression::Uncompressed => Compression::UNCOMPRESSED,
        WriteCompression::Snappy => Compression::SNAPPY,
        WriteCompression::Lz4 => Compression::LZ4_RAW,
        WriteCompression::Gzip(level) => Compression::GZIP(GzipLevel::try_new(level.into()).map_err(failed)?),
        WriteCompression::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level.into()).map_err(failed)?),
    };
    let builder = match lake.kind {
        LakeKind::Parquet => builder(),
        // Iceberg's readers in Spark know only this one and dictionaries.
        LakeKind::Iceberg => builder().set_encoding(Encoding::PLAIN),
    };
    Ok(builder
        .set_compression(compression)
        .set_max_row_group_row_count(None)
        // The roll rule says where they end; this is for files that become much larger than they should.
        .set_max_row_group_bytes(Some(MAX_ROW_GROUP_BYTES))
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .build())
}

/// Writer properties of lake files that are made of staged pages; `None` if a table's files are too small for that, or
/// its rows too wide: pages of staged row groups are worth copying from 32 KiB on.
///
/// # Errors
/// [`Error::Parquet`] for a type that Parquet does not have.
pub(crate) fn copied_properties(lake: &LakeTable, schema: &Schema) -> Result<Option<WriterProperties>> {
    let fits = lake.target_file_size >= COPIED_TARGET_BYTES && !is_wide(schema);
    fits.then(|| published_properties(lake, schema)).transpose()
}

/// Encoding of a table's staging files.
///
/// # Errors
/// [`Error::Parquet`] for a type that Parquet does not have.
pub(crate) fn staging_encoding(lake: &LakeTable, schema: &Schema) -> Result<FileEncoding> {
    let first_key = sort_keys(lake).first().map(|key| key.column.as_str());
    FileEncoding::staging(schema, first_key, copied_properties(lake, schema)?)
        .map_err(|source| Error::Parquet { uri: format!("schema of lake.{}", lake.name), source })
}
