//! What breaks a rule in INSERT statements, and where: the parts know a place in the batch, the splitter knows the
//! rest.

use thiserror::Error;

/// Bytes that something other than a quoted or hexadecimal value may have: the head of a statement, a number, blanks.
pub(crate) const MAX_TOKEN: usize = 1 << 20;

/// Columns that a table can have; no server allows more.
pub(crate) const MAX_COLUMNS: usize = 4096;

/// The first thing that is wrong; offsets count from the first byte that was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InsertFault {
    /// In a row of VALUES; the first row is 1.
    #[error("row {row} of the INSERT statements, at their byte {offset}: {reason}")]
    Row { row: u64, offset: u64, reason: String },
    /// Between two rows or two statements.
    #[error("byte {offset} of the INSERT statements: {reason}")]
    Statement { offset: u64, reason: String },
}

/// Why a part does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InsertHalt {
    /// The bytes end before it is known what they mean.
    More,
    /// Boxed, for the sake of results that are returned for every value.
    Wrong(Box<WrongInsert>),
}

/// A reason with its place in the bytes that the part was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongInsert {
    pub(crate) at: usize,
    pub(crate) reason: String,
}

#[cold]
pub(crate) fn wrong<T>(at: usize, reason: impl Into<String>) -> Result<T, InsertHalt> {
    Err(InsertHalt::Wrong(Box::new(WrongInsert { at, reason: reason.into() })))
}

/// A few characters of what is there, to be shown in a message.
pub(crate) fn shown(bytes: &[u8], at: usize) -> String {
    let rest = bytes.get(at..).unwrap_or_default();
    let text = String::from_utf8_lossy(&rest[..rest.len().min(64)]);
    text.chars().take(16).map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_has_no_control_characters() {
        assert_eq!(shown(b"a\nb\0\xff and much more text", 0), "a b \u{fffd} and much m");
        assert_eq!(shown(b"ab", 7), "");
    }
}
