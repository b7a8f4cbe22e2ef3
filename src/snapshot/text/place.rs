//! What is wrong with the syntax of a text file, and where: line and column as an editor counts them.
//!
//! Lines are those of the file: a line end inside of a quoted field counts. Nothing is counted before something is
//! wrong.

use std::fmt;

/// Text that breaks the rules of its format, at a place of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Line of the file, from 1.
    pub(crate) line: u64,
    /// Character of the line, from 1.
    pub(crate) column: u64,
    /// What is wrong, and what to do.
    pub(crate) reason: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

impl std::error::Error for Malformed {}

/// A part of a file that begins at the start of a line, or between CR and LF.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextPart<'a> {
    pub(crate) bytes: &'a [u8],
    /// Number of its first line.
    pub(crate) line: u64,
    /// Whether the byte before it is the CR of a line end.
    pub(crate) is_after_cr: bool,
    /// The bytes that end a line; CR LF is one line end if both do.
    pub(crate) ends: [u8; 2],
}

impl TextPart<'_> {
    /// Line and column of the byte at `at`.
    pub(crate) fn locate(&self, at: usize) -> (u64, u64) {
        let (mut line, mut start, mut is_after_cr) = (self.line, 0, self.is_after_cr);
        let before = &self.bytes[..at.min(self.bytes.len())];
        for (index, byte) in before.iter().enumerate() {
            if self.ends.contains(byte) {
                line += u64::from(!(is_after_cr && *byte == b'\n'));
                start = index + 1;
            }
            is_after_cr = *byte == b'\r' && self.ends.contains(byte);
        }
        let characters = before[start..].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        (line, characters as u64 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_cr_or_both_and_columns_are_characters() {
        let part = |bytes, line, is_after_cr| TextPart { bytes, line, is_after_cr, ends: [b'\n', b'\r'] };
        let text = "aé\r\n\nb\rcd".as_bytes();
        let places: Vec<_> = [0, 3, 4, 5, 6, 7, 8, 9].map(|at| part(text, 1, false).locate(at)).to_vec();
        assert_eq!(places, [(1, 1), (1, 3), (2, 1), (2, 1), (3, 1), (3, 2), (4, 1), (4, 2)]);
        assert_eq!(part(b"\nx", 7, true).locate(1), (7, 1));
        assert_eq!(part(b"\nx", 7, false).locate(1), (8, 1));
        let other = TextPart { bytes: b"a\r\n~b", line: 1, is_after_cr: false, ends: [b'~'; 2] };
        assert_eq!(other.locate(4), (2, 1));
    }
}
