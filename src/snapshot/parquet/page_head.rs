//! The head of one page: what it holds, and where the page ends.
//!
//! The Parquet reader has this as a private type. Only the fields that count and measure are read, nothing of the
//! page's data and no statistics.
//!
//! Format: `PageHeader` in parquet.thrift. Pure.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::thrift::{I32, Rest, STRUCT, Stop};

/// A boolean field's type is its value.
const FALSE: u8 = 2;
const TRUE: u8 = 1;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// Values, also NULLs; rows are known in pages of the second version only.
    Data { values: u64, rows: Option<u64> },
    /// Values that others refer to.
    Dictionary,
    /// Nothing that a reader needs.
    Index,
}

/// The fields of a page header that count rows and measure bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageHead {
    pub(crate) kind: PageKind,
    /// Bytes of the head and of the page's data.
    pub(crate) bytes: usize,
    /// Bytes of the data when it is unpacked.
    pub(crate) unpacked: u64,
    /// Where a page of the second version says that it is not compressed.
    pub(crate) plain_at: Option<usize>,
}

/// The head of the page at the beginning of `bytes`; None if none is there that the page's data can follow.
pub(crate) fn page_head(bytes: &[u8]) -> Option<PageHead> {
    read(bytes).ok().flatten()
}

fn read(bytes: &[u8]) -> Result<Option<PageHead>, Stop> {
    let mut rest = Rest(bytes);
    let (mut kind, mut size, mut values, mut rows, mut last) = (None, None, None, None, 0);
    let (mut plain_at, mut unpacked) = (None, None);
    while let Some((field, of)) = rest.field(&mut last)? {
        match (field, of) {
            (1, I32) => kind = Some(rest.number()?),
            (2, I32) => unpacked = Some(rest.number()?),
            (3, I32) => size = Some(rest.number()?),
            (5 | 8, STRUCT) => {
                let mut last = 0;
                while let Some((inner, of)) = rest.field(&mut last)? {
                    match (field, inner, of) {
                        (_, 1, I32) => values = Some(rest.number()?),
                        (8, 3, I32) => rows = Some(rest.number()?),
                        (8, 7, FALSE) => plain_at = Some(bytes.len() - rest.0.len() - 1),
                        _ => rest.pass(of)?,
                    }
                }
            }
            _ => rest.pass(of)?,
        }
    }
    let whole = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let kind = match (kind, whole(values), whole(rows)) {
        (Some(0), Some(values), _) => PageKind::Data { values, rows: None },
        (Some(3), Some(values), Some(rows)) => PageKind::Data { values, rows: Some(rows) },
        (Some(2), ..) => PageKind::Dictionary,
        (Some(1), ..) => PageKind::Index,
        _ => return Ok(None),
    };
    let head = bytes.len() - rest.0.len();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= rest.0.len());
    let unpacked = whole(unpacked).unwrap_or(0);
    Ok(size.map(|size| PageHead { kind, bytes: head + size, unpacked, plain_at }))
}

/// Lets pages say that they are compressed, where heads say that they are not.
pub(crate) fn as_compressed(bytes: &Bytes, places: &[usize]) -> Bytes {
    let mut changed = BytesMut::from(bytes.as_ref());
    for &place in places {
        if let Some(head) = changed.get_mut(place) {
            *head = *head & 0xf0 | TRUE;
        }
    }
    changed.freeze()
}

/// Bytes of the shortest head.
const SHORTEST: usize = 7;

/// Writes heads of index pages without data over these places, which a reader passes over; None if one is too short.
pub(crate) fn blank(bytes: &Bytes, places: &[Range<usize>]) -> Option<Bytes> {
    let mut blanked = BytesMut::from(bytes.as_ref());
    for place in places {
        let head = filler(place.len())?;
        blanked.get_mut(place.clone())?.copy_from_slice(&head);
    }
    Some(blanked.freeze())
}

/// The head of an index page without data that is so long: a text in a field that no reader knows makes it so.
fn filler(length: usize) -> Option<Vec<u8>> {
    // Type 1, sizes of 0: fields 1 to 3, 32-bit integers.
    let mut head = vec![0x15, 0x02, 0x15, 0x00, 0x15, 0x00];
    match length.checked_sub(SHORTEST)? {
        0 => {}
        // A longer form of the last 0.
        1 => {
            head.pop();
            head.extend([0x80, 0x00]);
        }
        more => {
            // Field 9 of bytes: its type, their number, in as many bytes as are needed, and they.
            head.push(0x68);
            let mut count = more - 2;
            let mut digits = 1;
            while count >> (7 * digits) != 0 {
                digits += 1;
                count = (more - 1).checked_sub(digits)?;
            }
            for digit in 0..digits {
                let more = if digit + 1 < digits { 0x80 } else { 0 };
                head.push(u8::try_from(count >> (7 * digit) & 0x7f).ok()? | more);
            }
            head.resize(head.len() + count, 0);
        }
    }
    head.push(0);
    Some(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heads_of_both_versions_are_read_and_what_is_none_is_not() {
        // Data of version 1: 5 values in 9 bytes.
        let head = [0x15, 0, 0x15, 14, 0x15, 18, 0x2c, 0x15, 10, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        let page = [&head[..], &[7; 9]].concat();
        let expected = PageHead {
            kind: PageKind::Data { values: 5, rows: None },
            bytes: head.len() + 9,
            unpacked: 7,
            plain_at: None,
        };
        assert_eq!(page_head(&page), Some(expected));
        assert_eq!(page_head(&page[..page.len() - 1]), None);
        // Version 2: 5 values, 1 NULL, 3 rows.
        let head = [0x15, 6, 0x15, 0, 0x15, 0, 0x5c, 0x15, 10, 0x15, 2, 0x15, 6, 0x42, 0, 0];
        let kind = PageKind::Data { values: 5, rows: Some(3) };
        let expected = PageHead { kind, bytes: head.len(), unpacked: 0, plain_at: Some(13) };
        assert_eq!(page_head(&head), Some(expected));
        assert_eq!(page_head(b"PAR1"), None);
    }

    #[test]
    fn place_of_any_length_is_filled_by_one_page_without_data() {
        for length in (SHORTEST..400).chain([16_000, 16_384, 16_394, 16_395, 16_396, 3_000_000]) {
            let head = filler(length).unwrap();
            assert_eq!(head.len(), length);
            assert_eq!(
                page_head(&head),
                Some(PageHead { kind: PageKind::Index, bytes: length, unpacked: 0, plain_at: None }),
                "{length}"
            );
        }
        assert_eq!(filler(SHORTEST - 1), None);
    }

    proptest! {
        /// Whatever the bytes are, a head ends within them.
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(head) = page_head(&bytes) {
                prop_assert!(head.bytes <= bytes.len());
            }
        }
    }
}
