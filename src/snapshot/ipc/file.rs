//! One file or stream of Arrow IPC for a scan: its schema first, then the columns that are wanted.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use super::decoder::{IpcDecoder, IpcOptions};
use crate::snapshot::batches::{BatchDecoder, PartAhead};

/// Rows that are given at once.
const ROWS: usize = 8192;

/// One file.
pub(crate) struct ArrowFile {
    decoder: IpcDecoder,
    /// Up to the schema, which is read once more for the columns that are chosen; None after that.
    head: Option<Vec<u8>>,
    ahead: Vec<PartAhead>,
}

impl ArrowFile {
    pub(crate) fn new() -> Self {
        Self { decoder: IpcDecoder::new(IpcOptions::default()), head: Some(Vec::new()), ahead: Vec::new() }
    }
}

impl BatchDecoder for ArrowFile {
    fn push(&mut self, bytes: &[u8]) -> Result<usize> {
        let Some(head) = &mut self.head else { return self.decoder.push(bytes, ROWS).map_err(external) };
        if self.decoder.schema().is_some() {
            return Ok(0);
        }
        let used = self.decoder.push(bytes, ROWS).map_err(external)?;
        head.extend_from_slice(&bytes[..used]);
        Ok(used)
    }

    fn take_ahead(&mut self, ahead: Vec<PartAhead>) {
        self.ahead = ahead;
    }

    fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    fn choose(&mut self, columns: Vec<String>) -> Result<()> {
        let Some(head) = self.head.take() else { return Ok(()) };
        let options = IpcOptions { columns: Some(columns), ..IpcOptions::default() };
        self.decoder = IpcDecoder::new(options).with_ahead(std::mem::take(&mut self.ahead));
        let used = self.decoder.push(&head, ROWS).map_err(external)?;
        if used < head.len() {
            return Err(DataFusionError::Internal("the head of an Arrow file was read in two ways".to_owned()));
        }
        Ok(())
    }

    fn next(&mut self, _: bool) -> Result<Option<RecordBatch>> {
        self.decoder.flush().map_err(external)
    }

    fn end(&mut self) -> Result<()> {
        self.decoder.end().map_err(external)
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
