//! The dictionaries of a file that lie behind batches which need them, as Polars writes them: its footer says where.
//!
//! One request for the file's end, and one for each such dictionary; most files have none. A footer that cannot be read
//! is no error here: the decoder reports it, with its place, when it gets there. What is taken ahead is held as long as
//! the file is read, as any dictionary is.

use std::ops::Range;

use arrow_ipc::{Block, root_as_footer};
use datafusion::arrow::buffer::Buffer;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::snapshot::batches::PartAhead;

/// Bytes read from the end of a file: holds most footers.
const END: u64 = 64 << 10;

/// The length of the footer and the magic behind it.
const TAIL: usize = 10;

/// Bytes of dictionaries that are taken ahead. A file with more of them is read as it comes.
const MOST: u64 = 2 << 30;

/// The dictionaries behind the first batch of a file of `size` bytes, in the footer's order.
///
/// # Errors
/// Those of the store.
pub(crate) async fn dictionaries(
    store: &dyn ObjectStore,
    key: &Path,
    size: u64,
) -> object_store::Result<Vec<PartAhead>> {
    if size <= TAIL as u64 {
        return Ok(Vec::new());
    }
    let start = size.saturating_sub(END);
    let mut end = store.get_range(key, start..size).await?;
    let Some(length) = footer_length(&end) else { return Ok(Vec::new()) };
    let Some(from) = size.checked_sub(length + TAIL as u64) else { return Ok(Vec::new()) };
    if from < start {
        end = store.get_range(key, from..size).await?;
    }
    let footer = end.len().checked_sub(length as usize + TAIL).and_then(|at| end.get(at..end.len() - TAIL));
    let Some(places) = footer.and_then(|footer| places(footer, from)) else { return Ok(Vec::new()) };
    let mut found = Vec::with_capacity(places.len());
    for (number, Range { start, end }) in places {
        found.push(PartAhead { number, at: start, bytes: store.get_range(key, start..end).await? });
    }
    Ok(found)
}

/// The length of the footer, if these are the last bytes of a file.
fn footer_length(end: &[u8]) -> Option<u64> {
    let (rest, magic) = end.split_last_chunk::<6>()?;
    let (_, length) = rest.split_last_chunk::<4>()?;
    (magic == b"ARROW1").then(|| u64::try_from(i32::from_le_bytes(*length)).ok())?
}

/// The messages of dictionaries behind the first batch, each with its number; they lie before `end`. None: the footer
/// is not to be trusted, or there are too many bytes.
fn places(footer: &[u8], end: u64) -> Option<Vec<(u64, Range<u64>)>> {
    // The table's words must be aligned, so it is copied to where they are.
    let aligned = Buffer::from(footer);
    let footer = root_as_footer(&aligned).ok()?;
    let batches: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
    let dictionaries: Vec<Block> = footer.dictionaries().into_iter().flatten().copied().collect();
    let Some(first) = batches.iter().map(Block::offset).min() else { return Some(Vec::new()) };
    let mut places = Vec::new();
    let mut bytes = 0_u64;
    for block in dictionaries.iter().filter(|block| block.offset() > first) {
        let start = u64::try_from(block.offset()).ok()?;
        let (head, body) = (u64::try_from(block.metaDataLength()).ok()?, u64::try_from(block.bodyLength()).ok()?);
        let length = head.checked_add(body)?;
        let to = start.checked_add(length).filter(|to| *to <= end)?;
        bytes = bytes.checked_add(length).filter(|bytes| *bytes <= MOST)?;
        let before = batches.iter().chain(&dictionaries).filter(|other| other.offset() < block.offset()).count();
        // The schema is the first message.
        places.push((before as u64 + 2, start..to));
    }
    Some(places)
}
