//! What a decoder of files that have a schema of their own gives to a scan.
//!
//! A format is one folder beside this file: its decoder, and an implementation of [`BatchDecoder`] for one file.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;

/// A message of a file that is needed before its turn.
#[derive(Debug, Clone)]
pub(crate) struct PartAhead {
    /// Which message of the file it is, from 1.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) at: u64,
    pub(crate) bytes: Bytes,
}

/// A decoder of one file in its own schema.
pub(crate) trait BatchDecoder: Send {
    /// Takes in bytes and says how many; none where columns are to be chosen or batches to be taken first.
    ///
    /// # Errors
    /// When the file is damaged.
    fn push(&mut self, bytes: &[u8]) -> Result<usize>;

    /// Takes in parts of an Arrow file that are needed before their turn, before any byte is pushed.
    fn take_ahead(&mut self, _: Vec<PartAhead>) {}

    /// The columns of the file that can be read, once its head was read.
    fn schema(&self) -> Option<SchemaRef>;

    /// Goes on with these columns alone, once the schema is known.
    ///
    /// # Errors
    /// When one of them cannot be read.
    fn choose(&mut self, columns: Vec<String>) -> Result<()>;

    /// The next batch, if one is full; at the end of the file also one that is not.
    ///
    /// # Errors
    /// When its bytes are damaged.
    fn next(&mut self, is_last: bool) -> Result<Option<RecordBatch>>;

    /// All bytes were pushed, and all batches taken.
    ///
    /// # Errors
    /// When the file is cut.
    fn end(&mut self) -> Result<()>;
}
