//! One Avro file for a scan: its schema first, then the columns that are wanted.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};

use super::decoder::{AvroDecoder, AvroOptions};
use crate::snapshot::batches::BatchDecoder;

/// Rows of a batch.
const ROWS: usize = 8192;

/// One file.
pub(crate) struct AvroFile {
    decoder: AvroDecoder,
    /// The header, which is read once more for the columns that are chosen; None after that.
    head: Option<Vec<u8>>,
}

impl AvroFile {
    pub(crate) fn new() -> Self {
        // Without a column, a file of which some cannot be read has a schema, too.
        let options = AvroOptions { columns: Some(Vec::new()), ..AvroOptions::default() };
        Self { decoder: AvroDecoder::new(options), head: Some(Vec::new()) }
    }
}

impl BatchDecoder for AvroFile {
    fn push(&mut self, bytes: &[u8]) -> Result<usize> {
        let Some(head) = &mut self.head else { return self.decoder.push(bytes, ROWS).map_err(external) };
        if self.decoder.columns().is_some() {
            return Ok(0);
        }
        let used = self.decoder.push(bytes, ROWS).map_err(external)?;
        head.extend_from_slice(&bytes[..used]);
        Ok(used)
    }

    fn schema(&self) -> Option<SchemaRef> {
        let fields = self.decoder.columns()?.iter().filter_map(|column| column.field.clone().ok());
        Some(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    fn choose(&mut self, columns: Vec<String>) -> Result<()> {
        let Some(head) = self.head.take() else { return Ok(()) };
        self.decoder = AvroDecoder::new(AvroOptions { columns: Some(columns), ..AvroOptions::default() });
        let used = self.decoder.push(&head, ROWS).map_err(external)?;
        if used < head.len() {
            return Err(DataFusionError::Internal("a header of Avro was read in two ways".to_owned()));
        }
        Ok(())
    }

    fn next(&mut self, is_last: bool) -> Result<Option<RecordBatch>> {
        // Rows of the block that was pushed before.
        self.decoder.push(&[], ROWS).map_err(external)?;
        if is_last || self.decoder.is_full(ROWS) { self.decoder.flush().map_err(external) } else { Ok(None) }
    }

    fn end(&mut self) -> Result<()> {
        self.decoder.end().map_err(external)
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
