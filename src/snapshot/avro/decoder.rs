//! An object container file to record batches: bytes are pushed in chunks of any size, batches are taken when full.
//!
//! Each row is walked (checks, and where it ends), then handed to `arrow-avro` as one message: a prefix of five bytes
//! and the row's bytes, which lie in the unpacked block; nothing is copied unless columns are left out. Of a projection
//! only the bytes of its columns are handed on, so `arrow-avro` never resolves one schema against another.
//!
//! Memory: one packed and one unpacked block, and a batch, which is full at its rows or at 64 MB of row bytes.
//!
//! Fails on any damage that `container`, `codec` and `walk` find. After a fault the decoder must not be used.

use std::sync::Arc;

use arrow_avro::codec::Tz;
use arrow_avro::reader::{Decoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use datafusion::arrow::array::{Array, ArrayData, ArrayRef, NullArray, RecordBatch, RecordBatchOptions, make_array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, UnionFields};
use datafusion::arrow::error::ArrowError;

use super::codec::{AvroCodec, Unpack};
use super::container::{AvroBlock, AvroContainer, AvroHeader, Framed};
use super::fault::AvroFault;
use super::plain::{plain_type, quoted, spoken};
use super::schema::{AvroSchemaTree, AvroType, TypeId};
use super::walk::AvroWalk;

/// The message's prefix: the schema number 1.
const PREFIX: [u8; 5] = [0, 0, 0, 0, 1];
/// A batch is full at this many bytes of rows. With the largest block it stays below what 32-bit offsets can hold.
const BATCH_BYTES: usize = 64 << 20;
/// A row without bytes costs nothing, so a count of them can be any lie.
const MAX_EMPTY_ROWS: u64 = 1 << 32;
/// The longest block that can be allowed.
const MAX_BLOCK_BYTES: usize = 1 << 30;

/// How to read.
#[derive(Debug, Clone)]
pub(crate) struct AvroOptions {
    /// The columns wanted, in this order; all of the file if none is named.
    pub(crate) columns: Option<Vec<String>>,
    /// The most bytes of a block, packed and unpacked; at most 1 GB.
    pub(crate) block_bytes: usize,
}

impl Default for AvroOptions {
    fn default() -> Self {
        Self { columns: None, block_bytes: 256 << 20 }
    }
}

/// A column of the file.
#[derive(Debug, Clone)]
pub(crate) struct AvroColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type in the schema's words.
    pub(crate) avro: String,
    /// The Arrow field, or why the column cannot be read.
    pub(crate) field: Result<FieldRef, String>,
}

/// The decoder.
#[derive(Debug)]
pub(crate) struct AvroDecoder {
    options: AvroOptions,
    container: AvroContainer,
    open: Option<Open>,
    /// Rows handed out in batches.
    flushed: u64,
}

/// What is known once the header is whole.
#[derive(Debug)]
struct Open {
    tree: AvroSchemaTree,
    columns: Vec<AvroColumn>,
    codec: AvroCodec,
    schema: SchemaRef,
    /// Where each column of the batch comes from.
    sources: Vec<Source>,
    /// Of each column of the file: its type, and whether its bytes are handed on.
    fields: Vec<(TypeId, bool)>,
    hands_on_all: bool,
    /// None if no column has bytes.
    rows_of: Option<RowDecoder>,
    /// The block that is being read.
    block: AvroBlock,
    unpacked: Vec<u8>,
    at: usize,
    left: u64,
    /// The bytes of one row's wanted columns.
    picked: Vec<u8>,
    rows: usize,
    batch_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// A column of nulls.
    Nulls,
    /// This column of the decoder's batch.
    Decoded(usize),
}

#[derive(Debug)]
struct RowDecoder {
    json: String,
    decoder: Decoder,
    /// Its unions keep counting after a batch, so each batch needs a new one.
    is_for_one_batch: bool,
}

impl AvroDecoder {
    /// A decoder at the start of a file.
    pub(crate) fn new(mut options: AvroOptions) -> Self {
        options.block_bytes = options.block_bytes.min(MAX_BLOCK_BYTES);
        let container = AvroContainer::new(options.block_bytes, true);
        Self { options, container, open: None, flushed: 0 }
    }

    /// All columns of the file, those too that cannot be read, once the header is whole.
    pub(crate) fn columns(&self) -> Option<&[AvroColumn]> {
        self.open.as_ref().map(|open| open.columns.as_slice())
    }

    /// Whether the batch has `rows` rows, or as many bytes as it may.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_full(rows))
    }

    /// Takes bytes until `rows` rows are in the batch; gives how many it took. Once it is full, it must be flushed.
    pub(crate) fn push(&mut self, bytes: &[u8], rows: usize) -> Result<usize, AvroFault> {
        let mut rest = bytes;
        loop {
            if let Some(open) = &mut self.open {
                open.read_rows(rows, self.flushed)?;
                if open.is_full(rows) {
                    break;
                }
            }
            match self.container.next(&mut rest)? {
                Framed::More => break,
                Framed::Header(header) => {
                    self.open = Some(Open::new(header, self.options.columns.as_deref())?);
                    // So that the schema can be looked at before any row is read.
                    break;
                }
                Framed::Block(block) => {
                    if let Some(open) = &mut self.open {
                        open.begin(block, self.container.body(), self.options.block_bytes)?;
                    }
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// The batch so far, if it has rows.
    pub(crate) fn flush(&mut self) -> Result<Option<RecordBatch>, AvroFault> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let rows = open.rows;
        if rows == 0 {
            return Ok(None);
        }
        let first = self.flushed + 1;
        self.flushed += rows as u64;
        let last = self.flushed;
        open.flush().map(Some).map_err(|source| AvroFault::Arrow { first, last, source: source.into() })
    }

    /// The end of the file: it must end with a block, and all rows must have been taken.
    pub(crate) fn end(&self) -> Result<(), AvroFault> {
        self.container.end()?;
        match &self.open {
            Some(open) if open.left > 0 || open.rows > 0 => {
                Err(open.fault_of_block(format!("{} rows not taken", open.left + open.rows as u64)))
            }
            _ => Ok(()),
        }
    }
}

impl Open {
    fn new(header: AvroHeader, wanted: Option<&[String]>) -> Result<Self, AvroFault> {
        let tree = AvroSchemaTree::parse(&header.schema).map_err(|reason| AvroFault::Schema { reason })?;
        let mut columns = Vec::new();
        let mut jsons = Vec::new();
        for (name, id) in tree.columns() {
            let (json, field) = match column_field(&tree, name, *id) {
                Ok((json, field)) => (json, Ok(field)),
                Err(reason) => (None, Err(reason)),
            };
            jsons.push(json);
            columns.push(AvroColumn { name: name.clone(), avro: spoken(&tree, *id), field });
        }
        let order: Vec<usize> = match wanted {
            None => (0..columns.len()).collect(),
            Some(names) => names.iter().map(|name| place_of(&columns, name)).collect::<Result<_, _>>()?,
        };
        let mut fields: Vec<_> = tree.columns().iter().map(|(_, id)| (*id, false)).collect();
        let mut arrow = Vec::new();
        for &place in &order {
            let (Some(column), Some((_, is_wanted))) = (columns.get(place), fields.get_mut(place)) else { continue };
            let field = column.field.as_ref().map_err(|reason| AvroFault::Unsupported {
                column: column.name.clone(),
                avro: column.avro.clone(),
                reason: reason.clone(),
            })?;
            *is_wanted = jsons.get(place).is_some_and(Option::is_some);
            arrow.push(Arc::clone(field));
        }
        // The decoder has its columns in the file's order, whatever the order asked for.
        let mut json = String::from(r#"{"type":"record","name":"row","fields":["#);
        let mut handed = vec![None; fields.len()];
        let mut has_union = false;
        let of_file = fields.iter().zip(&columns).zip(&jsons).zip(&mut handed).filter(|(((f, _), _), _)| f.1);
        for (at, (((_, column), of), handed)) in of_file.enumerate() {
            let (of, is_union) = of.as_ref().map_or(("", false), |(json, is_union)| (json.as_str(), *is_union));
            has_union |= is_union;
            json.push_str(if at == 0 { "" } else { "," });
            json.push_str(&format!(r#"{{"name":{},"type":{of}}}"#, quoted(&column.name)));
            *handed = Some(at);
        }
        json.push_str("]}");
        let sources = order.iter().map(|place| match handed.get(*place) {
            Some(Some(at)) => Source::Decoded(*at),
            _ => Source::Nulls,
        });
        let rows_of = if handed.iter().any(Option::is_some) {
            let decoder = row_decoder(&json).map_err(|error| AvroFault::Schema { reason: error.to_string() })?;
            Some(RowDecoder { json, decoder, is_for_one_batch: has_union })
        } else {
            None
        };
        let hands_on_all = fields.iter().all(|(id, is_wanted)| *is_wanted || tree.get(*id) == &AvroType::Null);
        Ok(Self {
            sources: sources.collect(),
            tree,
            columns,
            codec: header.codec,
            schema: Arc::new(Schema::new(arrow)),
            fields,
            hands_on_all,
            rows_of,
            block: AvroBlock { number: 0, at: 0, rows: 0 },
            unpacked: Vec::new(),
            at: 0,
            left: 0,
            picked: Vec::new(),
            rows: 0,
            batch_bytes: 0,
        })
    }

    fn is_full(&self, rows: usize) -> bool {
        self.rows >= rows || self.batch_bytes >= BATCH_BYTES
    }

    fn fault_of_block(&self, reason: String) -> AvroFault {
        AvroFault::Block { block: self.block.number, at: self.block.at, reason }
    }

    /// Unpacks a block; its rows are read by `read_rows`.
    fn begin(&mut self, block: AvroBlock, body: &mut Vec<u8>, limit: usize) -> Result<(), AvroFault> {
        self.block = block;
        self.left = block.rows;
        self.at = 0;
        if self.codec == AvroCodec::Null {
            std::mem::swap(&mut self.unpacked, body);
        } else {
            self.codec.unpack(body, &mut self.unpacked, limit).map_err(|error| match error {
                Unpack::TooLong(bytes) => {
                    AvroFault::TooLong { block: block.number, at: block.at, what: "unpacked at least", bytes, limit }
                }
                Unpack::Damaged(reason) => self.fault_of_block(format!("it cannot be unpacked: {reason}")),
            })?;
        }
        let least = self.tree.least_row() as u64;
        if block.rows.saturating_mul(least) > self.unpacked.len() as u64 || (least == 0 && block.rows > MAX_EMPTY_ROWS)
        {
            let bytes = self.unpacked.len();
            return Err(self.fault_of_block(format!("{} rows in {bytes} bytes", block.rows)));
        }
        if block.rows == 0 {
            self.end_block()?;
        }
        Ok(())
    }

    /// Rows of the block, until the batch is full or the block is at its end. `before` rows were in earlier batches.
    fn read_rows(&mut self, rows: usize, before: u64) -> Result<(), AvroFault> {
        let mut walk = AvroWalk::new(&self.tree, &self.unpacked);
        while self.left > 0 && self.rows < rows && self.batch_bytes < BATCH_BYTES {
            let start = self.at;
            let mut end = start;
            self.picked.clear();
            for (place, (of, is_wanted)) in self.fields.iter().enumerate() {
                let next = walk.column(*of, end).map_err(|cause| AvroFault::Value {
                    row: before + self.rows as u64 + 1,
                    column: self.columns.get(place).map(|column| column.name.clone()).unwrap_or_default(),
                    block: self.block.number,
                    at: self.block.at,
                    inner: end,
                    cause,
                })?;
                if *is_wanted && !self.hands_on_all {
                    self.picked.extend_from_slice(self.unpacked.get(end..next).unwrap_or_default());
                }
                end = next;
            }
            if let Some(rows_of) = &mut self.rows_of {
                let whole = self.unpacked.get(start..end).unwrap_or_default();
                let row = if self.hands_on_all { whole } else { self.picked.as_slice() };
                let taken = rows_of.decoder.decode(&PREFIX).and_then(|_| rows_of.decoder.decode(row));
                let row_number = before + self.rows as u64 + 1;
                let source: Box<dyn std::error::Error + Send + Sync> = match taken {
                    Ok(taken) if taken == row.len() => {
                        self.at = end;
                        self.left -= 1;
                        self.rows += 1;
                        self.batch_bytes += row.len();
                        continue;
                    }
                    Ok(taken) => format!("{taken} bytes read of a row of {}", row.len()).into(),
                    Err(error) => Box::new(error),
                };
                return Err(AvroFault::Arrow { first: row_number, last: row_number, source });
            }
            self.at = end;
            self.left -= 1;
            self.rows += 1;
        }
        if self.left == 0 {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), AvroFault> {
        let left = self.unpacked.len() - self.at;
        if left > 0 {
            return Err(AvroFault::Left { block: self.block.number, at: self.block.at, left, rows: self.block.rows });
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.batch_bytes = 0;
        let decoded = match &mut self.rows_of {
            None => None,
            Some(rows_of) => {
                let batch = rows_of.decoder.flush().map_err(ArrowError::from)?;
                if rows_of.is_for_one_batch {
                    rows_of.decoder = row_decoder(&rows_of.json)?;
                }
                batch
            }
        };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.sources.len());
        for (source, field) in self.sources.iter().zip(self.schema.fields()) {
            arrays.push(match (source, &decoded) {
                (Source::Nulls, _) => Arc::new(NullArray::new(rows)),
                (Source::Decoded(at), Some(batch)) if *at < batch.num_columns() => {
                    without_notes(batch.column(*at), field.data_type())?
                }
                _ => return Err(ArrowError::ComputeError("a column is missing in the batch".to_string())),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

fn place_of(columns: &[AvroColumn], name: &str) -> Result<usize, AvroFault> {
    let place = columns.iter().position(|column| column.name == name);
    place.ok_or_else(|| AvroFault::NoColumn { column: name.to_string() })
}

type PlainSchema = Option<(String, bool)>;

/// The type's JSON, which nulls have none of, and the Arrow field.
fn column_field(tree: &AvroSchemaTree, name: &str, id: TypeId) -> Result<(PlainSchema, FieldRef), String> {
    if tree.get(id) == &AvroType::Null {
        return Ok((None, Arc::new(Field::new(name, DataType::Null, true))));
    }
    let plain = plain_type(tree, id)?;
    let json = format!(r#"{{"type":"record","name":"row","fields":[{{"name":{},"type":{}}}]}}"#, quoted(name), plain.0);
    let decoder = row_decoder(&json).map_err(|error| error.to_string())?;
    let field = decoder.schema().fields().first().map(plain_field).ok_or("no field")?;
    Ok((Some(plain), field))
}

fn row_decoder(json: &str) -> Result<Decoder, ArrowError> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(1), AvroSchema::new(json.to_string()))?;
    let builder = ReaderBuilder::new().with_writer_schema_store(store).with_tz(Tz::Utc);
    builder.with_batch_size(usize::MAX).build_decoder()
}

/// The field without the notes on Avro names that `arrow-avro` puts into its metadata, at any depth.
fn plain_field(field: &FieldRef) -> FieldRef {
    let of = match field.data_type() {
        DataType::List(items) => DataType::List(plain_field(items)),
        DataType::Map(entries, is_sorted) => DataType::Map(plain_field(entries), *is_sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect::<Fields>()),
        DataType::Union(fields, mode) => {
            let fields: UnionFields = fields.iter().map(|(id, field)| (id, plain_field(field))).collect();
            DataType::Union(fields, *mode)
        }
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), of, field.is_nullable()))
}

/// The array with `of`, which differs from its own type in the notes only.
fn without_notes(array: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    fn renamed(data: ArrayData, of: &DataType) -> Result<ArrayData, ArrowError> {
        let children: Vec<DataType> = match of {
            DataType::List(items) | DataType::Map(items, _) => vec![items.data_type().clone()],
            DataType::Struct(fields) => fields.iter().map(|field| field.data_type().clone()).collect(),
            DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.data_type().clone()).collect(),
            _ => return Ok(data),
        };
        let inner = data.child_data().iter().cloned().zip(&children).map(|(child, of)| renamed(child, of));
        let inner = inner.collect::<Result<Vec<_>, _>>()?;
        data.into_builder().data_type(of.clone()).child_data(inner).build()
    }
    if array.data_type() == of {
        return Ok(Arc::clone(array));
    }
    renamed(array.to_data(), of).map(make_array)
}
