//! Reads the integers, offsets and texts of an archive out of a byte slice that may end too early.
//!
//! An archive writes an integer as a sign byte (0 or 1) and `int_size` bytes of magnitude, low byte first. A text is
//! an integer length and its bytes; a negative length is no text at all (NULL). The cursor never waits and never
//! allocates before the bytes are there: it answers `CursorStop::More` with the length that it needs, and the caller
//! tries again from the same place with a longer slice.
//!
//! ```text
//! 00 05 00 00 00 'o' 'w' 'n' 'e' 'r'     the text "owner"
//! 01 01 00 00 00                         -1: no text
//! ```

use super::fault::ArchiveFault;

/// The largest text, and the largest entry, that is read: 64 MiB, far above any real definition.
///
/// Without it a damaged length would make the reader keep a whole dump in memory while it waits for the text's end.
pub(crate) const MAX_ENTRY: usize = 64 << 20;

/// Why the cursor stopped.
#[derive(Debug)]
pub(crate) enum CursorStop {
    /// The slice must be at least so long, from its first byte on.
    More(usize),
    /// More bytes would not help.
    ArchiveFault(ArchiveFault),
}

impl From<ArchiveFault> for CursorStop {
    fn from(fault: ArchiveFault) -> Self {
        Self::ArchiveFault(fault)
    }
}

/// A place in a byte slice; `base` is where the slice stands in the file.
pub(crate) struct TocCursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
    pub(crate) int_size: u8,
}

impl<'a> TocCursor<'a> {
    /// Begins at the first byte of `bytes`.
    pub(crate) fn new(bytes: &'a [u8], base: u64, int_size: u8) -> Self {
        Self { bytes, at: 0, base, int_size }
    }

    /// How many bytes of the slice are behind.
    pub(crate) fn used(&self) -> usize {
        self.at
    }

    /// The place in the file.
    pub(crate) fn place(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], CursorStop> {
        let end = self.at.saturating_add(n);
        let got = self.bytes.get(self.at..end).ok_or(CursorStop::More(end))?;
        self.at = end;
        Ok(got)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, CursorStop> {
        Ok(self.take(1)?[0])
    }

    /// The next integer.
    pub(crate) fn int(&mut self) -> Result<i64, CursorStop> {
        let place = self.place();
        let raw = self.take(1 + usize::from(self.int_size))?;
        Ok(integer(raw).map_err(|what| ArchiveFault::damaged(what, place))?)
    }

    /// The next text, or nothing where the archive says NULL.
    pub(crate) fn text(&mut self) -> Result<Option<&'a [u8]>, CursorStop> {
        let place = self.place();
        let length = self.int()?;
        if length < 0 {
            return Ok(None);
        }
        match usize::try_from(length) {
            Ok(n) if n <= MAX_ENTRY => self.take(n).map(Some),
            _ => {
                Err(ArchiveFault::unread(format!("a text of {length} bytes, above the limit of 64 MiB"), place).into())
            }
        }
    }
}

/// The value of one written integer: the sign byte, then the magnitude.
///
/// # Errors
/// A sign that is neither 0 nor 1, or a magnitude of more than 32 bits: every pg_dump writes a C `int`.
pub(crate) fn integer(raw: &[u8]) -> Result<i64, &'static str> {
    let (sign, magnitude) = match raw.split_first() {
        Some((0, rest)) => (1, rest),
        Some((1, rest)) => (-1, rest),
        _ => return Err("an integer with a sign byte that is neither 0 nor 1"),
    };
    let low = magnitude.iter().take(4).rev().fold(0_i64, |n, b| n << 8 | i64::from(*b));
    // Large object ids above 2^31 come as the negated int, whose magnitude still has 32 bits.
    if low > 1 << 31 || magnitude.iter().skip(4).any(|b| *b != 0) {
        return Err("an integer of more than 31 bits");
    }
    Ok(sign * low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_of_negative_length_is_none() {
        let mut c = TocCursor::new(&[1, 1, 0, 0, 0], 0, 4);
        assert!(matches!(c.text(), Ok(None)));
    }

    #[test]
    fn short_text_asks_for_its_end_and_not_for_more() {
        let mut c = TocCursor::new(&[0, 5, 0, 0, 0, b'o'], 100, 4);
        assert!(matches!(c.text(), Err(CursorStop::More(10))));
    }

    #[test]
    fn huge_text_is_a_fault_before_any_wait() {
        let mut c = TocCursor::new(&[0, 0, 0, 0, 0x7f], 100, 4);
        let Err(CursorStop::ArchiveFault(f)) = c.text() else { panic!() };
        assert_eq!(f.to_string(), "a text of 2130706432 bytes, above the limit of 64 MiB at byte 100");
    }

    #[test]
    fn wrong_sign_and_too_many_bits_are_damage() {
        assert!(integer(&[2, 0, 0, 0, 0]).is_err());
        assert!(integer(&[0, 1, 0, 0, 0x80]).is_err());
        assert!(integer(&[0, 1, 0, 0, 0, 1, 0, 0, 0]).is_err());
        assert!(integer(&[]).is_err());
    }

    proptest! {
        #[test]
        fn integer_reads_what_write_int_writes(n in any::<i32>(), size in 4_usize..=8) {
            let mut raw = vec![u8::from(n < 0)];
            raw.extend(u64::from(n.unsigned_abs()).to_le_bytes().iter().take(size));
            prop_assert_eq!(integer(&raw), Ok(i64::from(n)));
        }
    }
}
