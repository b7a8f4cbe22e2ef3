//! A group of files and what was read of it.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::file::metadata::ParquetMetaData;

use super::exports::RdsColumn;
use crate::config::{CsvOptions, FileFormat, JsonOptions};
use crate::init::survey::read::Read;
use crate::init::survey::sample::SampledText;
use crate::init::survey::tally::{Group, Key};
use crate::manifest::FileEntry;

/// What is known of a folder before its files are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownFolder {
    /// The columns as the database had them.
    pub(crate) rds: Option<Vec<RdsColumn>>,
    /// Whether the files are DynamoDB's typed JSON.
    pub(crate) is_dynamo: bool,
    /// Beginnings of files of changes that are merged onto its items.
    pub(crate) changes: Vec<Vec<u8>>,
    pub(crate) notes: Vec<String>,
}

/// A group and what was read of it.
pub(crate) struct SampledGroup {
    pub(crate) keys: Vec<Key>,
    pub(crate) group: Group,
    pub(crate) data: Data,
    pub(crate) columns: Vec<String>,
    pub(crate) read: Read,
    pub(crate) is_whole: bool,
}

/// Sampled files of one form.
pub(crate) enum Data {
    Parquet(Vec<(FileEntry, Arc<ParquetMetaData>)>, SchemaRef),
    /// Of another format whose files have a schema.
    Typed(Vec<FileEntry>, SchemaRef, FileFormat),
    Csv(Vec<SampledText>, CsvOptions),
    Json(Vec<SampledText>, JsonOptions),
}
