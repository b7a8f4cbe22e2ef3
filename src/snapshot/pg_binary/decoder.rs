//! The rows of COPY BINARY data as columns, block by block.
//!
//! Bytes come in chunks of any size. Rows that a chunk has as a whole are decoded where they are: their values are
//! noted as spans, and then each column takes its own of them in one loop. Only a row that a chunk's end cuts is
//! copied, in pieces as large as the bytes that arrive, whatever lengths it claims.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;

use super::cells::{CellSpan, PgCells};
use super::columns::sink;
use super::fault::{Misfit, PgBinaryFault, PgBinaryUnfit, shown_bytes};
use super::header::PgBinaryHead;
use super::sink::Sink;
use super::text::{PgForm, write_text};
use super::wire::PgWire;

/// Rows of a block: its spans stay in the cache, and texts that are longer than their binary form stay few.
const BLOCK_ROWS: usize = 256;

/// Bytes of a block, but for its last row.
const BLOCK_BYTES: usize = 256 << 10;

/// Bytes that a batch may have, but for its last block.
const MAX_BATCH: usize = 32 << 20;

/// A record is never longer, so that spans fit 32 bits, and texts Arrow's offsets.
const MAX_RECORD: usize = 400 << 20;

/// The buffer of cut rows is given back if it grew beyond.
const KEPT_BUFFER: usize = 1 << 20;

/// Characters of a value that a fault keeps.
const MAX_SHOWN: usize = 1 << 10;

/// A column as it is sent and as it is wanted.
#[derive(Debug, Clone)]
pub(crate) struct PgBinaryColumn {
    name: String,
    /// None: it is passed over.
    wanted: Option<(DataType, PgWire)>,
}

impl PgBinaryColumn {
    /// A column that is decoded.
    pub(crate) fn new(name: impl Into<String>, data_type: DataType, wire: PgWire) -> Self {
        Self { name: name.into(), wanted: Some((data_type, wire)) }
    }

    /// A column that the rows have, but the batches do not; its values may be anything.
    pub(crate) fn passed_over(name: impl Into<String>) -> Self {
        Self { name: name.into(), wanted: None }
    }
}

/// Columns as they are decoded, and their rows.
pub(crate) type PgBinaryBatch = (Vec<ArrayRef>, usize);

#[derive(Debug)]
struct DecodedColumn {
    at: usize,
    name: String,
    data_type: DataType,
    wire: PgWire,
    sink: Box<dyn Sink>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecoderState {
    Header,
    Rows,
    /// After the trailer.
    Ended,
}

/// Why a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockEnd {
    /// It has enough rows.
    Full,
    /// The bytes end in a row, of which at least so many bytes are needed to go on.
    More { needed: usize },
    /// The trailer, which is taken too.
    Trailer,
}

/// A row that is not complete.
#[derive(Debug, Clone, Copy, Default)]
struct OpenRow {
    /// How far it was looked at from the block's begin.
    at: usize,
    /// Its spans so far; None before its field count.
    fields: Option<usize>,
}

/// Decodes the rows of one COPY.
#[derive(Debug)]
pub(crate) struct PgBinaryDecoder {
    wanted: Vec<DecodedColumn>,
    /// Of a row.
    columns: usize,
    limit: usize,
    head: PgBinaryHead,
    state: DecoderState,
    /// Bytes of a row that a chunk's end cut.
    cut: Vec<u8>,
    /// Of the rows of the block, and of one that is not complete.
    spans: Vec<CellSpan>,
    open: OpenRow,
    /// Bytes that the cut row has to have before it is looked at again.
    needed: usize,
    rows: usize,
    rows_before: u64,
    /// Bytes before the block.
    offset: u64,
    batch_bytes: usize,
    fault: Option<PgBinaryFault>,
}

impl PgBinaryDecoder {
    /// Rows have these columns, in this order; a row has at most `limit` bytes.
    ///
    /// # Errors
    /// When a column cannot be read as the type that is wanted.
    pub(crate) fn new(columns: &[PgBinaryColumn], limit: usize) -> Result<Self, PgBinaryFault> {
        let limit = limit.min(MAX_RECORD);
        let mut wanted = Vec::new();
        for (at, PgBinaryColumn { name, wanted: column }) in columns.iter().enumerate() {
            let Some((data_type, wire)) = column else { continue };
            let sink = sink(wire, data_type, limit.max(1 << 20)).map_err(|reason| PgBinaryFault::Column {
                column: name.clone(),
                wire: wire.name(),
                data_type: data_type.to_string(),
                reason: reason.into(),
            })?;
            let (name, data_type, wire) = (name.clone(), data_type.clone(), wire.clone());
            wanted.push(DecodedColumn { at, name, data_type, wire, sink });
        }
        Ok(Self {
            wanted,
            columns: columns.len(),
            limit,
            head: PgBinaryHead::default(),
            state: DecoderState::Header,
            cut: Vec::new(),
            spans: Vec::new(),
            open: OpenRow::default(),
            needed: 0,
            rows: 0,
            rows_before: 0,
            offset: 0,
            batch_bytes: 0,
            fault: None,
        })
    }

    /// Whether the batch should not grow: it has `rows` rows, or many bytes.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.rows > 0 && (self.rows >= rows || self.batch_bytes >= MAX_BATCH)
    }

    /// Takes in bytes and says how many; fewer than all when a batch of `rows` is full.
    ///
    /// # Errors
    /// When the data is damaged or a column cannot hold a value: then and in every later call.
    pub(crate) fn push(&mut self, bytes: &[u8], rows: usize) -> Result<usize, PgBinaryFault> {
        self.check()?;
        match self.take(bytes, rows.max(1)) {
            Ok(used) => Ok(used),
            Err(fault) => {
                self.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// Ends the data, which must have had its trailer.
    ///
    /// # Errors
    /// When it had none, so that rows are lacking.
    pub(crate) fn end(&mut self) -> Result<(), PgBinaryFault> {
        self.check()?;
        let fault = match self.state {
            DecoderState::Ended => return Ok(()),
            DecoderState::Header => {
                PgBinaryFault::Header { offset: self.offset, reason: "the data ends in its header".into() }
            }
            DecoderState::Rows if self.cut.is_empty() => {
                self.wrong(0, self.rows, "the data ends without its trailer, so rows may be lacking")
            }
            DecoderState::Rows => self.wrong(self.cut.len(), self.rows, "the data ends in a row"),
        };
        self.fault = Some(fault.clone());
        Err(fault)
    }

    /// The rows so far, if any.
    ///
    /// # Errors
    /// When the decoder failed before.
    pub(crate) fn flush(&mut self) -> Result<Option<PgBinaryBatch>, PgBinaryFault> {
        self.check()?;
        if self.rows == 0 {
            return Ok(None);
        }
        let columns = self.wanted.iter_mut().map(|column| column.sink.finish()).collect();
        let rows = std::mem::take(&mut self.rows);
        self.rows_before += rows as u64;
        self.batch_bytes = 0;
        Ok(Some((columns, rows)))
    }

    fn check(&self) -> Result<(), PgBinaryFault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn take(&mut self, bytes: &[u8], rows: usize) -> Result<usize, PgBinaryFault> {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            if self.is_full(rows) {
                break;
            }
            used += match self.state {
                DecoderState::Header => {
                    let (taken, is_done) = self.head.push(rest, self.offset)?;
                    self.offset += taken as u64;
                    if is_done {
                        self.state = DecoderState::Rows;
                    }
                    taken
                }
                DecoderState::Rows if self.cut.is_empty() => {
                    let most = rows.saturating_sub(self.rows).clamp(1, BLOCK_ROWS);
                    self.take_block(rest, most)?
                }
                DecoderState::Rows => self.take_cut(rest)?,
                DecoderState::Ended => return Err(self.wrong(0, self.rows, "bytes follow the trailer")),
            };
        }
        Ok(used)
    }

    /// Rows that are there as a whole; the rest of the bytes is kept if it is less than a row.
    fn take_block(&mut self, bytes: &[u8], most: usize) -> Result<usize, PgBinaryFault> {
        let (end, rows, used) = self.split(bytes, most)?;
        self.decode(bytes, rows, used)?;
        match end {
            BlockEnd::Full => Ok(used),
            BlockEnd::Trailer => {
                self.state = DecoderState::Ended;
                Ok(used)
            }
            BlockEnd::More { needed } => {
                let rest = bytes.get(used..).unwrap_or_default();
                self.cut.extend_from_slice(rest);
                self.needed = needed;
                Ok(used + rest.len())
            }
        }
    }

    /// Bytes of the row that was cut, until it is complete.
    fn take_cut(&mut self, bytes: &[u8]) -> Result<usize, PgBinaryFault> {
        let lacking = self.needed.saturating_sub(self.cut.len());
        let taken = lacking.min(bytes.len());
        self.cut.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if taken < lacking {
            return Ok(taken);
        }
        let mut cut = std::mem::take(&mut self.cut);
        let (end, rows, used) = self.split(&cut, 1)?;
        if let BlockEnd::More { needed } = end {
            self.needed = needed;
            self.cut = cut;
            return Ok(taken);
        }
        self.decode(&cut, rows, used)?;
        if end == BlockEnd::Trailer {
            self.state = DecoderState::Ended;
        }
        if cut.capacity() <= KEPT_BUFFER {
            cut.clear();
            self.cut = cut;
        }
        Ok(taken)
    }

    /// Notes the spans of complete rows, and says how many they are and how many bytes they have. A row that is not
    /// complete stays in `open`, relative to its own begin.
    ///
    /// A fault in a row is one only if the rows before it have none.
    fn split(&mut self, bytes: &[u8], most: usize) -> Result<(BlockEnd, usize, usize), PgBinaryFault> {
        let (mut rows, mut start) = (0, 0);
        let mut at = self.open.at;
        let mut fields = self.open.fields;
        let end = loop {
            if fields.is_none() {
                if rows == most || start >= BLOCK_BYTES {
                    break BlockEnd::Full;
                }
                let Some(count) = read::<2>(bytes, at) else { break BlockEnd::More { needed: at + 2 } };
                match i16::from_be_bytes(count) {
                    -1 => {
                        start = at + 2;
                        break BlockEnd::Trailer;
                    }
                    count if usize::try_from(count) == Ok(self.columns) => {}
                    count => {
                        let reason = format!("the row has {count} fields, where {} columns are", self.columns);
                        return Err(self.wrong_after(bytes, rows, at, reason));
                    }
                }
                at += 2;
                fields = Some(0);
            }
            let mut seen = fields.unwrap_or(0);
            let mut needed = None;
            while seen < self.columns {
                let Some(length) = read::<4>(bytes, at) else {
                    needed = Some(at + 4);
                    break;
                };
                let length = i32::from_be_bytes(length);
                let Ok(length) = usize::try_from(length) else {
                    if length != -1 {
                        let reason = format!("a field has the length {length}");
                        return Err(self.wrong_after(bytes, rows, at, reason));
                    }
                    self.spans.push(CellSpan::NULL);
                    at += 4;
                    seen += 1;
                    continue;
                };
                let end = at + 4 + length;
                if end - start > self.limit {
                    let reason = format!("the row is longer than {} bytes", self.limit);
                    return Err(self.wrong_after(bytes, rows, at, reason));
                }
                if end > bytes.len() {
                    needed = Some(end);
                    break;
                }
                self.spans.push(CellSpan::new(at + 4, length));
                at = end;
                seen += 1;
            }
            fields = Some(seen);
            if let Some(needed) = needed {
                break BlockEnd::More { needed };
            }
            rows += 1;
            start = at;
            fields = None;
        };
        self.open = OpenRow { at: at - start.min(at), fields };
        let end = match end {
            BlockEnd::More { needed } => BlockEnd::More { needed: needed - start },
            other => {
                self.open = OpenRow::default();
                other
            }
        };
        Ok((end, rows, start))
    }

    /// Hands the block's values to the columns.
    fn decode(&mut self, bytes: &[u8], rows: usize, used: usize) -> Result<(), PgBinaryFault> {
        let complete = rows * self.columns;
        let mut first: Option<(usize, usize, Misfit)> = None;
        if rows > 0 {
            let spans = self.spans.get(..complete).unwrap_or_default();
            for (index, column) in self.wanted.iter_mut().enumerate() {
                let cells = PgCells { bytes, spans, columns: self.columns, column: column.at };
                if let Err((row, misfit)) = column.sink.take(cells)
                    && first.is_none_or(|(first, ..)| row < first)
                {
                    first = Some((row, index, misfit));
                }
            }
        }
        if let Some((row, index, misfit)) = first {
            return Err(self.unfit(bytes, row, index, misfit));
        }
        // What is left are the spans of an open row, of which only NULLs are short; they move with its bytes.
        self.spans.drain(..complete.min(self.spans.len()));
        for span in &mut self.spans {
            span.move_down(used);
        }
        self.rows += rows;
        self.offset += used as u64;
        self.batch_bytes += used;
        if rows > 0 {
            let texts: usize = self.wanted.iter().map(|column| column.sink.text_bytes()).sum();
            self.batch_bytes = self.batch_bytes.max(texts);
        }
        Ok(())
    }

    /// A fault in the row after `rows` rows of the block, unless one of them has one.
    #[cold]
    fn wrong_after(&mut self, bytes: &[u8], rows: usize, at: usize, reason: String) -> PgBinaryFault {
        let wrong = self.wrong(at, self.rows + rows, reason);
        self.decode(bytes, rows, 0).err().unwrap_or(wrong)
    }

    #[cold]
    fn wrong(&self, at: usize, rows: usize, reason: impl Into<std::borrow::Cow<'static, str>>) -> PgBinaryFault {
        let row = self.rows_before + rows as u64 + 1;
        PgBinaryFault::Row { row, offset: self.offset + at as u64, reason: reason.into() }
    }

    #[cold]
    fn unfit(&self, bytes: &[u8], row: usize, index: usize, misfit: Misfit) -> PgBinaryFault {
        let Some(column) = self.wanted.get(index) else { return self.wrong(0, row, misfit.0) };
        let cells = PgCells { bytes, spans: &self.spans, columns: self.columns, column: column.at };
        let bytes = cells.iter().nth(row).flatten().unwrap_or_default();
        let mut value = String::new();
        if write_text(&column.wire, bytes, PgForm::Cast, MAX_SHOWN, &mut value).is_err() {
            value = shown_bytes(bytes);
        }
        if let Some((end, _)) = value.char_indices().nth(MAX_SHOWN) {
            value.truncate(end);
            value.push_str("...");
        }
        PgBinaryFault::Value(Box::new(PgBinaryUnfit {
            row: self.rows_before + (self.rows + row) as u64 + 1,
            column: column.name.clone(),
            value,
            data_type: column.data_type.to_string(),
            reason: misfit.0,
        }))
    }
}

#[inline]
fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}
