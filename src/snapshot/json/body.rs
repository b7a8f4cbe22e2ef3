//! The records of one NDJSON file as batches of the table's columns.
//!
//! An attribute that is missing or null is NULL, one that is not declared is read for its syntax only, and so are
//! columns that nobody asks for. A value that its column cannot hold exactly, a name that occurs twice in one object
//! and text that is no JSON are errors with row, or line and column. A file that has a declared column in other letters
//! only is an error at its end: until then the column may come.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};

use super::dialect::{PlainJson, dialect_of};
use super::dynamo::ITEM_ALONE;
use super::split::{RecordReader, RecordSplitter};
use super::text::{Cursor, Fault};
use super::tree::{JsonNode, Objects, Presence, Scratch, nullable};
use crate::config::JsonDialect;
use crate::snapshot::text::bytes::RecordLimit;
use crate::snapshot::text::target::{BATCH_BYTES, Target};

/// The records of one file.
pub(crate) struct JsonBody {
    /// What the bytes go through first; None: they are plain JSON.
    plain: Option<PlainJson>,
    splitter: RecordSplitter,
    batch: Batch,
}

/// Records since the last batch.
struct Batch {
    root: Objects,
    scratch: Scratch,
    /// Columns that are asked for, which are the first ones.
    wanted: usize,
    /// Records that a batch has.
    limit: usize,
    rows: usize,
    bytes: usize,
    /// Records in the batches before.
    since: u64,
    /// Records of this batch that were set apart, since the one after them was incomplete.
    apart: Option<Result<Vec<ArrayRef>, ArrowError>>,
    apart_rows: usize,
    /// Values have their types around them, as DynamoDB writes them.
    is_typed: bool,
}

/// The first column of a type that JSON cannot hold, if there is one.
pub(crate) fn unheld(target: &Target) -> Option<&FieldRef> {
    target.output().fields().iter().find(|field| JsonNode::new(field.data_type()).is_none())
}

impl JsonBody {
    pub(crate) fn new(target: &Target, rows: usize, limit: RecordLimit) -> Result<Self> {
        let fields = nullable(target.output().fields());
        let root = Objects::new(&fields)
            .ok_or_else(|| DataFusionError::Internal("a column has a type that JSON cannot hold".to_owned()))?;
        let others = target.table().fields().iter().map(|field| field.name().as_str());
        let others = others.filter(|name| target.output().field_with_name(name).is_err());
        let batch = Batch {
            root: root.with_skipped(others).with_null_invalid(target.null_invalid()),
            scratch: Scratch::new(target.undeclared(), target.of_path()),
            wanted: fields.len(),
            limit: rows,
            rows: 0,
            bytes: 0,
            since: 0,
            apart: None,
            apart_rows: 0,
            is_typed: dialect_of(target.format()) == Some(JsonDialect::DynamoDb),
        };
        // The types of DynamoDB are taken off while values are read, which costs less than a text without them.
        let plain = if batch.is_typed { None } else { PlainJson::new(target.format(), limit) };
        Ok(Self { plain, splitter: RecordSplitter::new(limit), batch })
    }

    /// Goes on with batches of another size, between two batches.
    pub(crate) fn restart(&mut self, rows: usize) {
        self.batch.limit = rows;
    }

    /// Takes in bytes and says how many; fewer than all when a batch is full.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<usize> {
        let Some(plain) = &mut self.plain else { return self.splitter.push(bytes, &mut self.batch) };
        let mut used = 0;
        if plain.rest().is_empty() {
            plain.push(bytes)?;
            used = bytes.len();
        }
        let read = self.splitter.push(plain.rest(), &mut self.batch)?;
        plain.advance(read);
        Ok(used)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// To be called when all bytes were decoded, until a batch is not full.
    pub(crate) fn end(&mut self) -> Result<()> {
        if let Some(plain) = &mut self.plain {
            for _ in 0..2 {
                let read = self.splitter.push(plain.rest(), &mut self.batch)?;
                plain.advance(read);
                if !plain.rest().is_empty() {
                    return Ok(());
                }
                plain.end()?;
            }
        }
        self.splitter.finish(&mut self.batch)?;
        self.batch.root.check_names().map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The records so far, if any.
    pub(crate) fn flush(&mut self, target: &Target) -> Result<Option<RecordBatch>> {
        let batch = &mut self.batch;
        let rows = std::mem::take(&mut batch.rows);
        if rows == 0 {
            return Ok(None);
        }
        let mut columns = batch.root.finish_columns(rows - batch.apart_rows, batch.wanted)?;
        if let Some(apart) = batch.apart.take() {
            let both = apart?.into_iter().zip(columns).map(|(first, second)| concat(&[&first, &second]));
            columns = both.collect::<Result<_, _>>()?;
        }
        batch.apart_rows = 0;
        batch.bytes = 0;
        batch.since += rows as u64;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(target.output()), columns, &options)?))
    }

    /// How many values of each column are NULL because they do not fit.
    pub(crate) fn set_to_null(&self) -> impl Iterator<Item = (&str, u64)> {
        self.batch.root.set_to_null()
    }

    /// The declared columns and nested fields, as dotted paths, and whether the file has them so far.
    pub(crate) fn presence(&self) -> Vec<(String, Presence)> {
        self.batch.root.presence()
    }
}

impl Batch {
    /// Reads `{"Item":{...}}`, or what an incremental export has.
    fn read_typed(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if !cursor.take(b"{\"Item\":{") {
            return self.root.read_unwrapped(cursor, &mut self.scratch);
        }
        self.root.read_typed(cursor, &mut self.scratch)?;
        let after = cursor.at();
        match cursor.member(false)? {
            true => Err(cursor.wrong_at(after, ITEM_ALONE)),
            false => Ok(()),
        }
    }
}

impl RecordReader for Batch {
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let start = cursor.at();
        if self.is_typed {
            self.read_typed(cursor)?;
        } else {
            match cursor.token()? {
                b'{' => cursor.advance(),
                b'[' => return Err(cursor.wrong(A_LIST)),
                _ => return Err(cursor.wrong(NO_OBJECT)),
            }
            self.root.read(cursor, &mut self.scratch)?;
        }
        self.rows += 1;
        self.bytes += cursor.at() - start;
        Ok(())
    }

    fn forget(&mut self) {
        // A splitter does this once per file.
        let columns = self.root.finish_columns(self.rows, self.wanted);
        (self.apart, self.apart_rows) = (Some(columns), self.rows);
    }

    fn is_full(&self) -> bool {
        self.rows >= self.limit || self.bytes >= BATCH_BYTES
    }

    fn row(&self) -> u64 {
        self.since + self.rows as u64 + 1
    }
}

pub(crate) const A_LIST: &str = "a record must be an object, this is a list; NDJSON has one object per line, which \
                                 jq -c '.[]' makes from a list";
pub(crate) const NO_OBJECT: &str = "a record must be an object, such as {\"id\": 1}";
