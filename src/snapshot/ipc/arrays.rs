//! The nodes and buffers of one message to arrays.
//!
//! Each place and length is held against the message's body, each array is validated in full (offsets, UTF-8, indexes,
//! null counts), decimals against their digits too. Compressed buffers grow with the bytes that are really there, and
//! all of one message together may not unpack to more than the limit.

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use arrow_ipc::{CompressionType, FieldNode, MetadataVersion, RecordBatch as FbBatch};
use datafusion::arrow::array::{Array, ArrayData, ArrayRef, AsArray, UnionArray, make_array, new_empty_array};
use datafusion::arrow::array::{BufferSpec, layout};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, UnionMode};

use super::columns::IpcColumn;

/// More rows of a batch, or values of a column, are a lie.
pub(super) const MAX_ROWS: usize = i32::MAX as usize;

/// Why a column could not be read.
#[derive(Debug)]
pub(super) enum Spoilt {
    /// The message unpacks to more bytes than it may.
    TooLong(u64),
    Damaged(String),
}

fn spoilt<T>(reason: impl Into<String>) -> Result<T, Spoilt> {
    Err(Spoilt::Damaged(reason.into()))
}

/// Reads the arrays of one message in their order.
#[derive(Debug)]
pub(super) struct ArrayReader<'a> {
    body: &'a Buffer,
    nodes: VecDeque<FieldNode>,
    buffers: VecDeque<arrow_ipc::Buffer>,
    variadic: VecDeque<i64>,
    packing: Option<CompressionType>,
    version: MetadataVersion,
    /// Bytes that may still be unpacked.
    room: usize,
    limit: usize,
    dictionaries: &'a HashMap<i64, ArrayRef>,
}

impl<'a> ArrayReader<'a> {
    pub(super) fn new(
        batch: FbBatch<'_>,
        body: &'a Buffer,
        version: MetadataVersion,
        limit: usize,
        dictionaries: &'a HashMap<i64, ArrayRef>,
    ) -> Result<Self, String> {
        let packing = match batch.compression() {
            None => None,
            Some(of) if matches!(of.codec(), CompressionType::LZ4_FRAME | CompressionType::ZSTD) => Some(of.codec()),
            Some(of) => return Err(format!("the compression {:?} is not supported", of.codec())),
        };
        Ok(Self {
            body,
            nodes: batch.nodes().into_iter().flatten().copied().collect(),
            buffers: batch.buffers().into_iter().flatten().copied().collect(),
            variadic: batch.variadicBufferCounts().into_iter().flatten().collect(),
            packing,
            version,
            room: limit,
            limit,
            dictionaries,
        })
    }

    /// All columns must have used all that the message has.
    pub(super) fn end(&self) -> Result<(), String> {
        let left = (self.nodes.len(), self.buffers.len(), self.variadic.len());
        if left == (0, 0, 0) {
            return Ok(());
        }
        Err(format!("{} nodes, {} buffers and {} counts more than its columns have", left.0, left.1, left.2))
    }

    /// The next column, which must have `rows` rows if they are known.
    pub(super) fn column(&mut self, of: &IpcColumn, rows: Option<usize>) -> Result<ArrayRef, Spoilt> {
        let data = self.array(of, rows)?;
        Ok(make_array(data))
    }

    fn array(&mut self, of: &IpcColumn, rows: Option<usize>) -> Result<ArrayData, Spoilt> {
        let Some(node) = self.nodes.pop_front() else { return spoilt("a node is missing") };
        let (Ok(len), Ok(null_count)) = (usize::try_from(node.length()), usize::try_from(node.null_count())) else {
            return spoilt("a length below zero");
        };
        // Nulls and structs have no bytes of their own that would bound a claim.
        if len > MAX_ROWS || null_count > len {
            return spoilt(format!("{len} values, {null_count} of them null"));
        }
        if rows.is_some_and(|rows| rows != len) {
            return spoilt(format!("{len} values in a batch of {} rows", rows.unwrap_or_default()));
        }
        let spec = layout(&of.of);
        let mut builder = ArrayData::builder(of.of.clone()).len(len).align_buffers(true);
        let is_old_union = matches!(of.of, DataType::Union(..)) && self.version < MetadataVersion::V5;
        if spec.can_contain_null_mask || is_old_union {
            let mask = self.buffer()?;
            if is_old_union {
                if null_count > 0 {
                    return spoilt("a union with nulls of its own, as before version 1.0");
                }
            } else {
                builder = builder.nulls(nulls(mask, len, null_count)?);
            }
        }
        let mut buffers = Vec::with_capacity(spec.buffers.len());
        for spec in &spec.buffers {
            let bytes = self.buffer()?;
            // Validation panics at a part of a value behind the last one.
            let width = match spec {
                BufferSpec::FixedWidth { byte_width, .. } => *byte_width,
                _ => 0,
            };
            let part = bytes.len().checked_rem(width).unwrap_or(0);
            buffers.push(bytes.slice_with_length(0, bytes.len() - part));
        }
        if spec.variadic {
            let more = self.variadic.pop_front().and_then(|more| usize::try_from(more).ok());
            let Some(more) = more.filter(|more| *more <= self.buffers.len()) else {
                return spoilt("a count of buffers that is missing or wrong");
            };
            for _ in 0..more {
                buffers.push(self.buffer()?);
            }
        }
        builder = builder.buffers(buffers);
        if let DataType::Dictionary(_, values) = &of.of {
            let known = of.dictionary.and_then(|id| self.dictionaries.get(&id)).cloned();
            // Without any value but null, the dictionary may be left out; with one, its index is out of range.
            let values = known.unwrap_or_else(|| new_empty_array(values));
            builder = builder.add_child_data(values.to_data());
        }
        let of_whole = matches!(of.of, DataType::Struct(_) | DataType::Union(_, UnionMode::Sparse)).then_some(len);
        for part in &of.parts {
            builder = builder.add_child_data(self.array(part, of_whole)?);
        }
        let data = builder.build().map_err(|error| Spoilt::Damaged(error.to_string()))?;
        check_values(&data)?;
        Ok(data)
    }

    /// Steps over a column that is not wanted.
    pub(super) fn skip(&mut self, of: &IpcColumn) -> Result<(), Spoilt> {
        if self.nodes.pop_front().is_none() {
            return spoilt("a node is missing");
        }
        let spec = layout(&of.of);
        let is_old_union = matches!(of.of, DataType::Union(..)) && self.version < MetadataVersion::V5;
        let mut count = spec.buffers.len() + usize::from(spec.can_contain_null_mask || is_old_union);
        if spec.variadic {
            let more = self.variadic.pop_front().and_then(|more| usize::try_from(more).ok());
            let Some(more) = more else { return spoilt("a count of buffers that is missing or wrong") };
            count = count.saturating_add(more);
        }
        if count > self.buffers.len() {
            return spoilt("a buffer is missing");
        }
        self.buffers.drain(..count);
        of.parts.iter().try_for_each(|part| self.skip(part))
    }

    fn buffer(&mut self) -> Result<Buffer, Spoilt> {
        let Some(place) = self.buffers.pop_front() else { return spoilt("a buffer is missing") };
        let (Ok(at), Ok(len)) = (usize::try_from(place.offset()), usize::try_from(place.length())) else {
            return spoilt("a buffer at a place below zero");
        };
        if len == 0 {
            return Ok(Buffer::from([]));
        }
        if at.checked_add(len).is_none_or(|end| end > self.body.len()) {
            return spoilt(format!("a buffer of {len} bytes at byte {at} of a body of {}", self.body.len()));
        }
        let bytes = self.body.slice_with_length(at, len);
        match self.packing {
            None => Ok(bytes),
            Some(packing) => self.unpack(&bytes, packing),
        }
    }

    /// The unpacked length in eight bytes, -1 for bytes that are not packed, then the packed bytes.
    fn unpack(&mut self, bytes: &Buffer, packing: CompressionType) -> Result<Buffer, Spoilt> {
        let Some((said, packed)) = bytes.split_first_chunk::<8>() else {
            return spoilt("a compressed buffer without its length");
        };
        let said = i64::from_le_bytes(*said);
        if said == -1 {
            return Ok(bytes.slice(8));
        }
        let Ok(said) = usize::try_from(said) else { return spoilt(format!("a compressed buffer of {said} bytes")) };
        if said > self.room {
            return Err(Spoilt::TooLong((self.limit - self.room) as u64 + said as u64));
        }
        let mut out = Vec::new();
        let most = said as u64 + 1;
        let read = if packing == CompressionType::LZ4_FRAME {
            lz4_flex::frame::FrameDecoder::new(packed).take(most).read_to_end(&mut out)
        } else {
            zstd::stream::read::Decoder::with_buffer(packed).and_then(|from| from.take(most).read_to_end(&mut out))
        };
        match read {
            Ok(read) if read == said => {}
            Ok(read) => return spoilt(format!("a compressed buffer of {read} bytes or more where it says {said}")),
            Err(error) => return spoilt(format!("a compressed buffer: {error}")),
        }
        self.room -= said;
        Ok(Buffer::from_vec(out))
    }
}

/// The nulls by their mask. A mask that shows nulls where the node says that there are none is damage.
fn nulls(mask: Buffer, len: usize, null_count: usize) -> Result<Option<NullBuffer>, Spoilt> {
    if null_count == 0 && mask.is_empty() {
        return Ok(None);
    }
    if mask.len() < len.div_ceil(8) {
        return spoilt(format!("a null mask of {} bytes for {len} values", mask.len()));
    }
    let nulls = NullBuffer::new(BooleanBuffer::new(mask, 0, len));
    if nulls.null_count() != null_count {
        return spoilt(format!("{} nulls where {null_count} are said to be", nulls.null_count()));
    }
    Ok(Some(nulls).filter(|_| null_count > 0))
}

/// What full validation leaves out: digits of decimals, and which part a union's values are of.
fn check_values(data: &ArrayData) -> Result<(), Spoilt> {
    if let (DataType::Union(fields, _), [ids, offsets @ ..]) = (data.data_type(), data.buffers()) {
        let ids = ScalarBuffer::new(ids.clone(), data.offset(), data.len());
        let offsets = offsets.first().map(|offsets| ScalarBuffer::new(offsets.clone(), data.offset(), data.len()));
        let parts = data.child_data().iter().cloned().map(make_array).collect();
        UnionArray::try_new(fields.clone(), ids, offsets, parts).map_err(|error| Spoilt::Damaged(error.to_string()))?;
    }
    let check = |array: &ArrayRef| match array.data_type() {
        DataType::Decimal32(p, _) => array.as_primitive::<Decimal32Type>().validate_decimal_precision(*p),
        DataType::Decimal64(p, _) => array.as_primitive::<Decimal64Type>().validate_decimal_precision(*p),
        DataType::Decimal128(p, _) => array.as_primitive::<Decimal128Type>().validate_decimal_precision(*p),
        DataType::Decimal256(p, _) => array.as_primitive::<Decimal256Type>().validate_decimal_precision(*p),
        _ => Ok(()),
    };
    if data.data_type().is_decimal() {
        check(&make_array(data.clone())).map_err(|error| Spoilt::Damaged(error.to_string()))?;
    }
    Ok(())
}
