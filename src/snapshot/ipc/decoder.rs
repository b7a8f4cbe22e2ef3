//! Arrow IPC to record batches: bytes are pushed in chunks of any size, each message's batch is taken when it is whole.
//!
//! A stream must end with its end marker, unless the options say otherwise: without one, a stream cut between two
//! messages looks whole, and its rows would be lost without a word. A file's footer must list exactly the batches and
//! dictionaries that were read. A dictionary of a file may lie behind the batches that use it: whoever reads the file
//! hands it in ahead ([`super::ahead`]).
//!
//! Memory: one message and its batch, and the dictionaries. After a fault the decoder must not be used.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::{Block, Message, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{Schema, SchemaRef};

use super::arrays::{ArrayReader, MAX_ROWS, Spoilt};
use super::columns::IpcColumns;
use super::fault::IpcFault;
use super::frame::{IpcFramed, IpcFrames, IpcMessage};
use crate::snapshot::batches::PartAhead;

/// How to read.
#[derive(Debug, Clone)]
pub(crate) struct IpcOptions {
    /// The columns wanted, in this order; all if none is named.
    pub(crate) columns: Option<Vec<String>>,
    /// The most bytes of a message, packed and unpacked.
    pub(crate) message_bytes: usize,
    /// Whether a stream must end with its end marker. A file always must.
    pub(crate) needs_end_marker: bool,
}

impl Default for IpcOptions {
    fn default() -> Self {
        Self { columns: None, message_bytes: 2 << 30, needs_end_marker: true }
    }
}

/// The decoder.
#[derive(Debug)]
pub(crate) struct IpcDecoder {
    options: IpcOptions,
    frames: IpcFrames,
    message: Option<IpcMessage>,
    columns: Option<IpcColumns>,
    /// The schema of the batches, and of each column of them its place in the stream.
    wanted: Option<(SchemaRef, Vec<usize>)>,
    dictionaries: HashMap<i64, ArrayRef>,
    batches: Vec<Block>,
    dictionary_blocks: Vec<Block>,
    /// Dictionaries to be taken before the first batch, and where those lie that were.
    ahead: Vec<PartAhead>,
    taken: Vec<u64>,
    ready: Option<RecordBatch>,
    /// Rows of the batch that is handed out at once.
    batch_rows: usize,
    rows_before: u64,
}

impl IpcDecoder {
    /// A decoder at the start of a stream or file; which of them it is, the first bytes say.
    pub(crate) fn new(options: IpcOptions) -> Self {
        Self {
            frames: IpcFrames::new(options.message_bytes),
            options,
            message: None,
            columns: None,
            wanted: None,
            dictionaries: HashMap::new(),
            batches: Vec::new(),
            dictionary_blocks: Vec::new(),
            ahead: Vec::new(),
            taken: Vec::new(),
            ready: None,
            batch_rows: usize::MAX,
            rows_before: 0,
        }
    }

    /// With dictionaries of the file that lie behind its first batch.
    pub(crate) fn with_ahead(self, ahead: Vec<PartAhead>) -> Self {
        Self { ahead, ..self }
    }

    /// The schema of the batches, once the schema's message is whole.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.wanted.as_ref().map(|(schema, _)| Arc::clone(schema))
    }

    /// Whether a batch waits, of however many rows.
    #[cfg(test)]
    pub(crate) fn is_full(&self, _rows: usize) -> bool {
        self.ready.is_some()
    }

    /// Takes bytes until a batch is whole; gives how many it took. `flush` then gives at most `rows` rows at once.
    pub(crate) fn push(&mut self, bytes: &[u8], rows: usize) -> Result<usize, IpcFault> {
        self.batch_rows = rows.max(1);
        let mut rest = bytes;
        while self.ready.is_none() {
            match self.frames.next(&mut rest)? {
                IpcFramed::More => break,
                IpcFramed::Metadata(message) => {
                    let table = table(&message)?;
                    self.frames.expect_body(table.bodyLength())?;
                    self.message = Some(message);
                }
                IpcFramed::Body(body) => {
                    let Some(message) = self.message.take() else { continue };
                    let is_schema = self.columns.is_none();
                    self.take(&message, &body)?;
                    if is_schema {
                        // So that the schema can be looked at before any row is read.
                        break;
                    }
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// The batch that waits, or its next rows.
    pub(crate) fn flush(&mut self) -> Result<Option<RecordBatch>, IpcFault> {
        let Some(batch) = self.ready.take() else { return Ok(None) };
        let rows = batch.num_rows();
        if rows <= self.batch_rows {
            return Ok(Some(batch));
        }
        self.ready = Some(batch.slice(self.batch_rows, rows - self.batch_rows));
        Ok(Some(batch.slice(0, self.batch_rows)))
    }

    /// The end of the bytes.
    pub(crate) fn end(&self) -> Result<(), IpcFault> {
        let footer = self.frames.end(self.options.needs_end_marker)?;
        let Some(columns) = &self.columns else {
            let inside = "before its schema".to_string();
            return Err(IpcFault::Cut { form: self.frames.form(), at: 0, inside });
        };
        if let Some(batch) = &self.ready {
            let inside = format!("with {} rows not taken", batch.num_rows());
            return Err(IpcFault::Cut { form: self.frames.form(), at: 0, inside });
        }
        let Some((at, footer)) = footer else { return Ok(()) };
        let fault = |reason: String| IpcFault::Footer { at, reason };
        // The table's words must be aligned, so it is copied to where they are.
        let aligned = Buffer::from(footer);
        let footer = root_as_footer(&aligned).map_err(|error| fault(error.to_string()))?;
        let listed: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
        let dictionaries: Vec<Block> = footer.dictionaries().into_iter().flatten().copied().collect();
        let pairs = [("batches", &listed, &self.batches), ("dictionaries", &dictionaries, &self.dictionary_blocks)];
        for (what, listed, read) in pairs {
            if listed.len() != read.len() {
                return Err(fault(format!("it lists {} {what}, but {} are in the file", listed.len(), read.len())));
            }
            if let Some(place) = listed.iter().zip(read).position(|(listed, read)| listed != read) {
                return Err(fault(format!("of the {what}, number {} is not where it says", place + 1)));
            }
        }
        let schema = footer.schema().ok_or_else(|| fault("it has no schema".to_string()))?;
        if IpcColumns::of(schema).map_err(fault)?.schema != columns.schema {
            return Err(fault("its schema is not that of the file's beginning".to_string()));
        }
        Ok(())
    }

    fn take(&mut self, message: &IpcMessage, body: &Buffer) -> Result<(), IpcFault> {
        let table = table(message)?;
        let damaged =
            |reason: &str| IpcFault::Message { message: message.number, at: message.at, reason: reason.to_string() };
        let no_table = || damaged("it lacks the table that its kind has");
        let kind = table.header_type();
        let block = || {
            let head = i32::try_from(message.head_len).unwrap_or(i32::MAX);
            Block::new(i64::try_from(message.at).unwrap_or(i64::MAX), head, table.bodyLength())
        };
        if self.columns.is_none() && kind != MessageHeader::Schema {
            return Err(damaged(&format!("a {kind:?} before the schema")));
        }
        match kind {
            MessageHeader::Schema if self.columns.is_some() => Err(damaged("a second schema")),
            MessageHeader::Schema => {
                let schema = table.header_as_schema().ok_or_else(no_table)?;
                let columns = IpcColumns::of(schema).map_err(|what| IpcFault::Unsupported {
                    message: message.number,
                    at: message.at,
                    what,
                })?;
                self.wanted = Some(self.choose(&columns).map_err(|name| damaged(&format!("no column '{name}'")))?);
                self.columns = Some(columns);
                Ok(())
            }
            MessageHeader::DictionaryBatch => {
                self.dictionary_blocks.push(block());
                if self.taken.contains(&message.at) {
                    return Ok(());
                }
                let of = table.header_as_dictionary_batch().ok_or_else(no_table)?;
                self.dictionary(message, of, body, table.version())
            }
            MessageHeader::RecordBatch => {
                self.batches.push(block());
                for ahead in std::mem::take(&mut self.ahead) {
                    self.dictionary_ahead(&ahead)?;
                }
                let batch = table.header_as_record_batch().ok_or_else(no_table)?;
                self.batch(message, batch, body, table.version())
            }
            MessageHeader::Tensor | MessageHeader::SparseTensor => {
                let what = "a tensor".to_string();
                Err(IpcFault::Unsupported { message: message.number, at: message.at, what })
            }
            _ => Err(damaged("of a kind that is not known")),
        }
    }

    /// The schema and the places of the columns wanted.
    fn choose(&self, columns: &IpcColumns) -> Result<(SchemaRef, Vec<usize>), String> {
        let all = columns.schema.fields();
        let Some(names) = &self.options.columns else {
            return Ok((Arc::clone(&columns.schema), (0..all.len()).collect()));
        };
        let places = names.iter().map(|name| {
            let place = all.iter().position(|field| field.name() == name);
            place.ok_or_else(|| name.clone())
        });
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<_> = places.iter().filter_map(|place| all.get(*place).cloned()).collect();
        Ok((Arc::new(Schema::new_with_metadata(fields, columns.schema.metadata().clone())), places))
    }

    fn dictionary(
        &mut self,
        message: &IpcMessage,
        of: arrow_ipc::DictionaryBatch<'_>,
        body: &Buffer,
        version: MetadataVersion,
    ) -> Result<(), IpcFault> {
        let (number, at) = (message.number, message.at);
        let damaged = |reason: String| IpcFault::Message { message: number, at, reason };
        let id = of.id();
        let data = of.data().ok_or_else(|| damaged("a dictionary without values".to_string()))?;
        let column = self.columns.as_ref().and_then(|columns| columns.dictionaries.get(&id));
        let column = column.ok_or_else(|| damaged(format!("dictionary {id} is of no column")))?;
        let rows = usize::try_from(data.length()).map_err(|_| damaged("a length below zero".to_string()))?;
        let limit = self.options.message_bytes;
        let spoilt = |error| match error {
            Spoilt::TooLong(bytes) => IpcFault::TooLong { message: number, at, bytes, limit },
            Spoilt::Damaged(reason) => damaged(format!("dictionary {id}: {reason}")),
        };
        let reader = ArrayReader::new(data, body, version, limit, &self.dictionaries);
        let mut reader = reader.map_err(damaged)?;
        let values = reader.column(column, Some(rows)).map_err(spoilt)?;
        reader.end().map_err(damaged)?;
        let values = match (self.dictionaries.get(&id), of.isDelta()) {
            (Some(old), true) => concat(&[old.as_ref(), values.as_ref()])
                .map_err(|error| damaged(format!("dictionary {id}: {error}")))?,
            (None, true) => return Err(damaged(format!("values to add to dictionary {id}, which is not there"))),
            (Some(_), false) if self.frames.form() == "file" => {
                return Err(damaged(format!("dictionary {id} for a second time, which a file must not have")));
            }
            (_, false) => values,
        };
        self.dictionaries.insert(id, values);
        Ok(())
    }

    /// Takes in a dictionary before its turn.
    fn dictionary_ahead(&mut self, ahead: &PartAhead) -> Result<(), IpcFault> {
        let damaged =
            |reason: &str| IpcFault::Message { message: ahead.number, at: ahead.at, reason: reason.to_string() };
        let mut frames = IpcFrames::within(self.options.message_bytes, ahead.at, ahead.number - 1);
        let mut bytes = &ahead.bytes[..];
        let IpcFramed::Metadata(message) = frames.next(&mut bytes)? else {
            return Err(damaged("no whole message where the footer has a dictionary"));
        };
        let table = table(&message)?;
        frames.expect_body(table.bodyLength())?;
        let IpcFramed::Body(body) = frames.next(&mut bytes)? else {
            return Err(damaged("no whole message where the footer has a dictionary"));
        };
        let of = table.header_as_dictionary_batch();
        let of = of.ok_or_else(|| damaged("no dictionary where the footer has one"))?;
        self.taken.push(ahead.at);
        self.dictionary(&message, of, &body, table.version())
    }

    fn batch(
        &mut self,
        message: &IpcMessage,
        batch: arrow_ipc::RecordBatch<'_>,
        body: &Buffer,
        version: MetadataVersion,
    ) -> Result<(), IpcFault> {
        let (number, at) = (message.number, message.at);
        let damaged = |reason: String| IpcFault::Message { message: number, at, reason };
        let rows = usize::try_from(batch.length()).ok().filter(|rows| *rows <= MAX_ROWS);
        let rows = rows.ok_or_else(|| damaged(format!("a batch of {} rows", batch.length())))?;
        let (Some(columns), Some((schema, places))) = (&self.columns, &self.wanted) else { return Ok(()) };
        let limit = self.options.message_bytes;
        let mut reader = ArrayReader::new(batch, body, version, limit, &self.dictionaries).map_err(damaged)?;
        let mut arrays = Vec::with_capacity(columns.columns.len());
        for (place, column) in columns.columns.iter().enumerate() {
            let spoilt = |error| match error {
                Spoilt::TooLong(bytes) => IpcFault::TooLong { message: number, at, bytes, limit },
                Spoilt::Damaged(reason) => IpcFault::Column {
                    row: self.rows_before + 1,
                    column: columns.schema.fields().get(place).map(|field| field.name().clone()).unwrap_or_default(),
                    message: number,
                    at,
                    reason,
                },
            };
            arrays.push(if places.contains(&place) {
                Some(reader.column(column, Some(rows)).map_err(spoilt)?)
            } else {
                reader.skip(column).map_err(spoilt)?;
                None
            });
        }
        reader.end().map_err(damaged)?;
        let arrays = places.iter().filter_map(|place| arrays.get(*place).cloned().flatten()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
            .map_err(|error| damaged(error.to_string()))?;
        self.rows_before += rows as u64;
        if rows > 0 {
            self.ready = Some(batch);
        }
        Ok(())
    }
}

fn table(message: &IpcMessage) -> Result<Message<'_>, IpcFault> {
    let table = root_as_message(&message.metadata).map_err(|error| IpcFault::Message {
        message: message.number,
        at: message.at,
        reason: error.to_string(),
    })?;
    if table.version() < MetadataVersion::V4 || table.version() > MetadataVersion::V5 {
        let what = format!("the metadata version {:?}", table.version());
        return Err(IpcFault::Unsupported { message: message.number, at: message.at, what });
    }
    Ok(table)
}
