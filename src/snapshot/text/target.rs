//! What the files of one scan of text are decoded to.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::error::{DataFusionError, Result};

use crate::config::{ColumnSet, FileFormat, Undeclared};

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
    /// Columns that folders have: those of a file are not read.
    of_path: Vec<String>,
    /// Columns whose values are NULL where their type cannot hold them.
    null_invalid: ColumnSet,
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
            FileFormat::Json(_)
            | FileFormat::Inserts(_)
            | FileFormat::Avro
            | FileFormat::Arrow
            | FileFormat::PgBinary(_) => None,
            FileFormat::Parquet => return Err(DataFusionError::Internal("a parquet file is not text".to_owned())),
        };
        if let FileFormat::Csv(options) = &format
            && let Some(name) = options.force_null.unknown(&table)
        {
            return Err(DataFusionError::Plan(format!("force_null names the column '{name}', which the table lacks")));
        }
        Ok(Self { format, null_regex, table, output, of_path: Vec::new(), null_invalid: ColumnSet::None })
    }

    /// With columns that the folders of the files have.
    pub(crate) fn with_path(self, columns: &[FieldRef]) -> Self {
        Self { of_path: columns.iter().map(|field| field.name().clone()).collect(), ..self }
    }

    /// With columns whose values are NULL where their type cannot hold them.
    pub(crate) fn set_null_invalid(&mut self, null_invalid: ColumnSet) {
        self.null_invalid = null_invalid;
    }

    /// Columns whose values are NULL where their type cannot hold them.
    pub(crate) fn null_invalid(&self) -> &ColumnSet {
        &self.null_invalid
    }

    /// Whether a value that the column cannot hold is NULL, rather than an error.
    pub(crate) fn is_null_invalid(&self, column: &str) -> bool {
        self.null_invalid.holds(column)
    }

    /// The names of the columns that folders have.
    pub(crate) fn of_path(&self) -> &[String] {
        &self.of_path
    }

    /// What a column of a file that is not declared is.
    pub(crate) fn undeclared(&self) -> Undeclared {
        self.format.text().map_or(Undeclared::Ignore, |text| text.undeclared)
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
