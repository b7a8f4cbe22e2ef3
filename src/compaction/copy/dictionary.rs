//! The dictionary of a column chunk that is made of several: entries of each are numbered anew.
//!
//! ```text
//! first chunk     0 = MAIL  1 = RAIL           together   0 = MAIL  1 = RAIL  2 = SHIP
//! second chunk    0 = SHIP  1 = MAIL           0 becomes 2, 1 becomes 0
//! ```
//!
//! Entries are compared as they are stored, so `0.0` and `-0.0`, or two NaN, stay apart.

use std::collections::HashMap;

use datafusion::parquet::basic::Type;
use datafusion::parquet::errors::{ParquetError, Result};

/// Entries in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// As stored in a dictionary page, encoded PLAIN.
    plain: Vec<u8>,
    numbers: HashMap<Box<[u8]>, u32>,
}

impl Dictionary {
    /// Adds the entries of a page; the new number of each.
    ///
    /// # Errors
    /// When the page has fewer entries than it says.
    pub(crate) fn add(&mut self, page: &[u8], entries: u32, of: Type) -> Result<Vec<u32>> {
        let mut rest = page;
        let mut numbers = Vec::new();
        for _ in 0..entries {
            let (entry, others) = split_entry(rest, of).ok_or_else(cut)?;
            rest = others;
            let number = match self.numbers.get(entry) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.numbers.len()).map_err(|_| cut())?;
                    self.numbers.insert(entry.into(), number);
                    self.plain.extend_from_slice(entry);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Bytes of the page.
    pub(crate) fn bytes(&self) -> usize {
        self.plain.len()
    }

    /// The page, and its number of entries.
    pub(crate) fn into_page(self) -> (Vec<u8>, usize) {
        (self.plain, self.numbers.len())
    }
}

fn cut() -> ParquetError {
    ParquetError::EOF("a dictionary page ends within an entry".to_owned())
}

/// The first entry of a PLAIN page, and what comes after it; `None` when the page ends before.
pub(crate) fn split_entry(page: &[u8], of: Type) -> Option<(&[u8], &[u8])> {
    page.split_at_checked(entry_length(page, of)?)
}

/// Bytes of the first entry of a PLAIN page.
fn entry_length(rest: &[u8], of: Type) -> Option<usize> {
    match of {
        Type::INT32 | Type::FLOAT => Some(4),
        Type::INT64 | Type::DOUBLE => Some(8),
        Type::INT96 => Some(12),
        Type::BYTE_ARRAY => {
            let length = u32::from_le_bytes(*rest.first_chunk()?);
            usize::try_from(length).ok()?.checked_add(4)
        }
        // The Parquet writer makes no dictionaries of these.
        Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(entries: &[&str]) -> Vec<u8> {
        let entry = |text: &&str| [&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
        entries.iter().flat_map(entry).collect()
    }

    #[test]
    fn entries_are_numbered_as_drawn_above() {
        let mut both = Dictionary::default();
        assert_eq!(both.add(&texts(&["MAIL", "RAIL"]), 2, Type::BYTE_ARRAY).unwrap(), [0, 1]);
        assert_eq!(both.add(&texts(&["SHIP", "MAIL"]), 2, Type::BYTE_ARRAY).unwrap(), [2, 0]);
        assert_eq!((both.len(), both.bytes()), (3, 24));
        assert_eq!(both.into_page(), (texts(&["MAIL", "RAIL", "SHIP"]), 3));
    }

    #[test]
    fn numbers_are_compared_as_they_are_stored() {
        let page: Vec<u8> = [0.0f64, -0.0, f64::NAN, 0.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(Dictionary::default().add(&page, 4, Type::DOUBLE).unwrap(), [0, 1, 2, 0]);
    }

    #[test]
    fn page_that_is_cut_is_an_error() {
        let page = texts(&["MAIL"]);
        for (page, entries, of) in [
            (&page[..7], 1, Type::BYTE_ARRAY),
            (&page, 2, Type::BYTE_ARRAY),
            (&page, 2, Type::INT64),
            (&page[..3], 1, Type::BYTE_ARRAY),
            (&page, 1, Type::BOOLEAN),
        ] {
            assert!(Dictionary::default().add(page, entries, of).is_err(), "{page:?} {of}");
        }
    }
}
