//! What the files of one scan of text are decoded to.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use crate::config::FileFormat;

/// Text bytes that one batch is made of, more or less: rows of any width use the same memory.
pub(crate) const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Blocks of the buffer that texts of more than 12 bytes are copied to.
pub(crate) const TEXT_BLOCK: u32 = 256 * 1024;

/// What all files of one scan are decoded to.
#[derive(Debug)]
pub(crate) struct Target {
    format: FileFormat,
    null_regex: Option<regex::Regex>,
    /// All columns of the table; files without a header are matched to them by position.
    table: SchemaRef,
    /// The columns that are asked for.
    output: SchemaRef,
}

impl Target {
    /// # Errors
    /// When an option is wrong.
    pub(crate) fn new(format: FileFormat, table: SchemaRef, projection: Option<&Vec<usize>>) -> Result<Self> {
        let output = match projection {
            Some(columns) => Arc::new(table.project(columns)?),
            None => Arc::clone(&table),
        };
        let null_regex = match &format {
            FileFormat::Csv(options) => options.null_regex.as_deref().map(null_regex).transpose()?,
            FileFormat::Json(_) | FileFormat::Inserts(_) => None,
            FileFormat::Parquet => return Err(DataFusionError::Internal("a parquet file is not text".to_owned())),
        };
        if let FileFormat::Csv(options) = &format
            && let Some(name) = options.force_null.unknown(&table)
        {
            return Err(DataFusionError::Plan(format!("force_null names the column '{name}', which the table lacks")));
        }
        Ok(Self { format, null_regex, table, output })
    }

    /// The columns that are asked for.
    pub(crate) fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// How the files are written.
    pub(crate) fn format(&self) -> &FileFormat {
        &self.format
    }

    /// All columns of the table.
    pub(crate) fn table(&self) -> &SchemaRef {
        &self.table
    }

    /// What counts as NULL in CSV; None: the empty field.
    pub(crate) fn null_regex(&self) -> Option<&regex::Regex> {
        self.null_regex.as_ref()
    }

    /// The output batch: `slots` says where each column is in the decoded one, None if the file does not have it.
    pub(crate) fn assemble(&self, decoded: &[ArrayRef], rows: usize, slots: &[Option<usize>]) -> Result<RecordBatch> {
        let columns = self.output.fields().iter().zip(slots).map(|(field, slot)| match slot {
            None => new_null_array(field.data_type(), rows),
            Some(slot) => Arc::clone(&decoded[*slot]),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.output), columns.collect(), &options)?)
    }
}

/// The compiled `null_regex` option.
pub(crate) fn null_regex(pattern: &str) -> Result<regex::Regex, DataFusionError> {
    regex::Regex::new(pattern).map_err(|e| DataFusionError::Configuration(format!("null_regex '{pattern}': {e}")))
}
