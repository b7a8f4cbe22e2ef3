//! Checks the bytes of one row against the schema and finds where it ends, field by field.
//!
//! It refuses what `arrow-avro` would take without a word, and gives the column. What it lets through, `arrow-avro`
//! reads as it is. Values without bytes are counted, so that a few bytes cannot claim more of them than a batch holds.

use super::fault::AvroValueFault as Cause;
use super::leaf;
use super::schema::{AvroSchemaTree, AvroType, TypeId};

/// Types that contain themselves can nest as deep as a block is long.
const MAX_DEPTH: usize = 128;
/// Items without bytes of one column's value.
const MAX_EMPTY_ITEMS: u64 = 1 << 20;

/// Walks over the rows of one block.
#[derive(Debug)]
pub(super) struct AvroWalk<'a> {
    tree: &'a AvroSchemaTree,
    bytes: &'a [u8],
    /// Items without bytes since the column's value began.
    empty_items: u64,
}

impl<'a> AvroWalk<'a> {
    pub(super) fn new(tree: &'a AvroSchemaTree, bytes: &'a [u8]) -> Self {
        Self { tree, bytes, empty_items: 0 }
    }

    /// Where the column's value from `at` ends.
    #[inline]
    pub(super) fn column(&mut self, of: TypeId, at: usize) -> Result<usize, Cause> {
        self.empty_items = 0;
        self.value(of, at, 0)
    }

    fn value(&mut self, of: TypeId, at: usize, depth: usize) -> Result<usize, Cause> {
        let bytes = self.bytes;
        match self.tree.get(of) {
            AvroType::Null => Ok(at),
            AvroType::Boolean => leaf::boolean(bytes, at),
            AvroType::Int | AvroType::Date => Ok(leaf::int(bytes, at)?.1),
            AvroType::Long | AvroType::Timestamp(_) => Ok(leaf::long(bytes, at)?.1),
            AvroType::Float => leaf::fixed(bytes, at, 4),
            AvroType::Double => leaf::fixed(bytes, at, 8),
            AvroType::Bytes => Ok(leaf::sized(bytes, at)?.1),
            AvroType::String => leaf::text(bytes, at),
            AvroType::Fixed { size, .. } => leaf::fixed(bytes, at, *size),
            AvroType::TimeMillis => {
                let (value, end) = leaf::int(bytes, at)?;
                leaf::time(i64::from(value), 1).map(|()| end)
            }
            AvroType::TimeMicros => {
                let (value, end) = leaf::long(bytes, at)?;
                leaf::time(value, 1000).map(|()| end)
            }
            AvroType::Decimal { fixed: None, precision, .. } => {
                let (value, end) = leaf::sized(bytes, at)?;
                leaf::decimal(value, *precision).map(|()| end)
            }
            AvroType::Decimal { fixed: Some((_, size)), precision, .. } => {
                let end = leaf::fixed(bytes, at, *size)?;
                leaf::decimal(bytes.get(at..end).unwrap_or_default(), *precision).map(|()| end)
            }
            AvroType::Duration { .. } => {
                let end = leaf::fixed(bytes, at, 12)?;
                leaf::duration(bytes.get(at..end).unwrap_or_default()).map(|()| end)
            }
            AvroType::Enum { symbols, .. } => {
                let (index, end) = leaf::int(bytes, at)?;
                match usize::try_from(index) {
                    Ok(place) if place < symbols.len() => Ok(end),
                    _ => Err(Cause::Symbol { index, symbols: symbols.len() }),
                }
            }
            AvroType::Union(branches) => {
                let (index, end) = leaf::long(bytes, at)?;
                match usize::try_from(index).ok().and_then(|place| branches.get(place)) {
                    Some(branch) => self.value(*branch, end, deeper(depth)?),
                    None => Err(Cause::Branch { index, branches: branches.len() }),
                }
            }
            AvroType::Record { fields, .. } => {
                let depth = deeper(depth)?;
                fields.iter().try_fold(at, |at, (_, of)| self.value(*of, at, depth))
            }
            AvroType::Array(items) => self.items(*items, false, at, deeper(depth)?),
            AvroType::Map(values) => self.items(*values, true, at, deeper(depth)?),
            AvroType::Open => Err(Cause::Deep(MAX_DEPTH)),
        }
    }

    /// Blocks of items, each behind its count. A count below zero is followed by the bytes of its items.
    fn items(&mut self, of: TypeId, has_keys: bool, mut at: usize, depth: usize) -> Result<usize, Cause> {
        let least = self.tree.least_bytes(of).saturating_add(usize::from(has_keys));
        loop {
            let (count, start) = leaf::long(self.bytes, at)?;
            at = start;
            if count == 0 {
                return Ok(at);
            }
            let said = if count < 0 {
                let (said, start) = leaf::long(self.bytes, at)?;
                at = start;
                Some((said, at))
            } else {
                None
            };
            let count = count.unsigned_abs();
            if least == 0 {
                self.empty_items = self.empty_items.saturating_add(count);
                if self.empty_items > MAX_EMPTY_ITEMS {
                    return Err(Cause::Count(count));
                }
            } else if count.saturating_mul(least as u64) > (self.bytes.len() - at) as u64 {
                return Err(Cause::Count(count));
            }
            for _ in 0..count {
                if has_keys {
                    at = leaf::text(self.bytes, at)?;
                }
                at = self.value(of, at, depth)?;
            }
            if let Some((said, start)) = said
                && usize::try_from(said) != Ok(at - start)
            {
                return Err(Cause::Items { said, used: at - start });
            }
        }
    }
}

fn deeper(depth: usize) -> Result<usize, Cause> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(Cause::Deep(MAX_DEPTH)) }
}
