//! Thrift's compact protocol, as far as footers and page headers have to be looked at before the Parquet reader does.
//!
//! [`check_footer`] refuses footers that would keep that reader busy for far longer than their size: the reader skips
//! lists of booleans without reading a byte, however many are claimed (docs/upstream.md). No field of a footer is a
//! list of booleans (`FileMetaData` in parquet.thrift), so one that has any is refused, and so is what the reader may
//! understand in another way than this module: numbers longer than they can be, things nested deeper than any footer's.
//! All else ends where its bytes end. What is not Thrift at all is left to the reader, which says it better.
//!
//! [`Rest`] hands out the fields of a struct one by one. It knows no field's meaning. Page indexes are not looked at.
//!
//! Format: the Thrift project, `doc/specs/thrift-compact-protocol.md`. Pure.

use datafusion::parquet::errors::ParquetError;

/// Structs and lists within each other; a footer of the format has about ten.
const DEPTH: u8 = 64;

/// Length of the footer, and `PAR1`, at the end of a file.
const TAIL: usize = 8;

/// Looks at the footer of a file of which `end` is the whole or the last bytes.
///
/// # Errors
/// A list of booleans in the footer, or what no footer has.
pub(crate) fn check_footer(end: &[u8]) -> Result<(), ParquetError> {
    let Some((before, [a, b, c, d, ..])) = end.split_last_chunk::<TAIL>() else { return Ok(()) };
    let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
    let Some(start) = before.len().checked_sub(length) else { return Ok(()) };
    let mut rest = Rest(&before[start..]);
    match rest.skip(STRUCT, DEPTH) {
        Err(Stop::Refused(what)) => Err(ParquetError::General(format!("its footer has {what}, which no footer has"))),
        Ok(()) | Err(Stop::NotThrift) => Ok(()),
    }
}

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(&'static str),
    NotThrift,
}

type ThriftResult<T> = Result<T, Stop>;

/// Types of fields and elements that are distinguished here.
pub(crate) const I32: u8 = 5;
pub(crate) const LIST: u8 = 9;
pub(crate) const STRUCT: u8 = 12;

fn is_boolean(kind: u8) -> bool {
    matches!(kind, 1 | 2)
}

/// What has not been read yet.
#[derive(Debug)]
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl Rest<'_> {
    /// The next field of a struct: its number and type; None at the struct's end. `last` is the number before, at first
    /// 0.
    pub(crate) fn field(&mut self, last: &mut i16) -> ThriftResult<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head & 0x0f == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => i16::try_from(self.number()?).map_err(|_| Stop::NotThrift)?,
            step => last.checked_add(i16::from(step)).ok_or(Stop::NotThrift)?,
        };
        Ok(Some((*last, head & 0x0f)))
    }

    /// An integer of 16, 32 or 64 bits.
    pub(crate) fn number(&mut self) -> ThriftResult<i64> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// The type and number of a list's elements.
    pub(crate) fn list(&mut self) -> ThriftResult<(u8, u64)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((head & 0x0f, count))
    }

    /// Passes over a value.
    pub(crate) fn pass(&mut self, kind: u8) -> ThriftResult<()> {
        self.skip(kind, DEPTH)
    }

    fn byte(&mut self) -> ThriftResult<u8> {
        let (first, rest) = self.0.split_first().ok_or(Stop::NotThrift)?;
        self.0 = rest;
        Ok(*first)
    }

    fn bytes(&mut self, count: u64) -> ThriftResult<()> {
        let count = usize::try_from(count).map_err(|_| Stop::NotThrift)?;
        self.0 = self.0.get(count..).ok_or(Stop::NotThrift)?;
        Ok(())
    }

    fn varint(&mut self) -> ThriftResult<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Stop::Refused("a number of more than ten bytes"))
    }

    /// Each element takes a byte or more: the loops end where the bytes end.
    fn skip(&mut self, kind: u8, depth: u8) -> ThriftResult<()> {
        let depth = depth.checked_sub(1).ok_or(Stop::Refused("things nested 64 deep"))?;
        match kind {
            1 | 2 => Ok(()),
            3 => self.bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.bytes(8),
            8 => {
                let length = self.varint()?;
                self.bytes(length)
            }
            9 | 10 => {
                let (kind, count) = self.list()?;
                if is_boolean(kind) && count > 0 {
                    return Err(Stop::Refused("a list of booleans"));
                }
                (0..count).try_for_each(|_| self.skip(kind, depth))
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                let (key, value) = (kinds >> 4, kinds & 0x0f);
                if is_boolean(key) && is_boolean(value) {
                    return Err(Stop::Refused("a list of booleans"));
                }
                (0..count).try_for_each(|_| {
                    self.skip(key, depth)?;
                    self.skip(value, depth)
                })
            }
            STRUCT => loop {
                let field = self.byte()?;
                if field & 0x0f == 0 {
                    return Ok(());
                }
                if field >> 4 == 0 {
                    self.varint()?;
                }
                self.skip(field & 0x0f, depth)?;
            },
            13 => self.bytes(16),
            _ => Err(Stop::NotThrift),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::FilePartition;
    use crate::manifest::FileEntry;
    use crate::manifest::codec::{decode_files, encode_files};

    fn with_tail(footer: &[u8]) -> Vec<u8> {
        [footer, &u32::try_from(footer.len()).unwrap().to_le_bytes(), b"PAR1"].concat()
    }

    /// A manifest of ours, and the same with fields before the end of its footer's struct.
    fn manifest(more: &[u8]) -> Vec<u8> {
        let file = FileEntry {
            uri: "file:///a".into(),
            etag: "e".into(),
            size: 1,
            n_record: Some(1),
            partition: FilePartition::None,
        };
        let bytes = encode_files(&[file], "m").unwrap();
        let (body, tail) = bytes.split_at(bytes.len() - TAIL);
        let length = u32::from_le_bytes(tail[..4].try_into().unwrap()) as usize;
        let (data, footer) = body.split_at(body.len() - length);
        let footer = [&footer[..length - 1], more, &[0]].concat();
        [data, &with_tail(&footer)].concat()
    }

    #[test]
    fn real_footer_passes_and_one_with_millions_of_booleans_does_not() {
        assert!(check_footer(&manifest(&[])).is_ok());
        for list in [&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07][..], &[0x19, 0x21], &[0x1b, 0xff, 0x7f, 0x12]] {
            let error = check_footer(&manifest(list)).unwrap_err().to_string();
            assert!(error.contains("a list of booleans"), "{error}");
        }
        // Within other things: a struct, a list of lists.
        assert!(check_footer(&manifest(&[0x1c, 0x19, 0x21, 0])).is_err());
        assert!(check_footer(&manifest(&[0x19, 0x19, 0xf1, 0x09])).is_err());
    }

    #[test]
    fn number_without_an_end_and_deep_nesting_are_refused_since_the_reader_is_resumable() {
        let booleans = [0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07];
        let number = [&[0xf6][..], &[0x80; 10], &[0], &booleans].concat();
        let deep = [&[0xf9][..], &[0x19; 70], &booleans[1..]].concat();
        for (footer, word) in [(number, "ten bytes"), (deep, "nested")] {
            let error = check_footer(&manifest(&footer)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn manifest_whose_footer_would_take_seconds_to_skip_is_refused_with_its_name() {
        let lists: Vec<u8> = (0..3).flat_map(|_| [0xf9, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07]).collect();
        let message =
            crate::error::describe::describe(&decode_files(manifest(&lists).into(), "m.parquet").unwrap_err());
        assert!(message.contains("m.parquet") && message.contains("a list of booleans"), "{message}");
    }

    #[test]
    fn field_that_is_a_boolean_or_not_known_is_none_of_its_business() {
        assert!(check_footer(&manifest(&[0x11, 0x12, 0x18, 1, b'x', 0x17, 0, 0, 0, 0, 0, 0, 0, 0])).is_ok());
    }

    proptest! {
        /// Whatever the bytes are, it ends, without a panic, and is content with what is shorter than a tail.
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = check_footer(&with_tail(&bytes));
            let _ = check_footer(&bytes);
            prop_assert!(check_footer(&bytes[..bytes.len().min(7)]).is_ok());
        }
    }
}
