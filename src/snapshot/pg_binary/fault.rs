//! What is wrong with COPY BINARY data, and where.

use std::borrow::Cow;

use thiserror::Error;

/// Bytes of a damaged value that are shown.
const SHOWN: usize = 32;

/// The first thing that is wrong; offsets count from the first byte that was pushed, rows from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PgBinaryFault {
    /// A column that no decoder can be made for.
    #[error("column '{column}': {wire} cannot be read as {data_type}: {reason}")]
    Column {
        /// Its name.
        column: String,
        /// The SQL name of what is sent.
        wire: String,
        /// The Arrow type that is wanted.
        data_type: String,
        /// What to do about it.
        reason: Cow<'static, str>,
    },
    /// Before the first row.
    #[error("byte {offset} of COPY BINARY data: {reason}")]
    Header {
        /// Where.
        offset: u64,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// In or after a row.
    #[error("row {row} of COPY BINARY data, at byte {offset}: {reason}")]
    Row {
        /// Number of the row, from 1.
        row: u64,
        /// Where.
        offset: u64,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// A value that its column cannot hold, or that is no value of the type.
    #[error("{0}")]
    Value(Box<PgBinaryUnfit>),
}

/// A value that its column cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("row {row}, column '{column}': '{value}' cannot be read as {data_type}: {reason}")]
pub(crate) struct PgBinaryUnfit {
    /// Which row, from 1.
    pub(crate) row: u64,
    /// The column's name.
    pub(crate) column: String,
    /// As PostgreSQL prints it; the bytes as `\x..` if they are no value.
    pub(crate) value: String,
    /// The Arrow type that is wanted.
    pub(crate) data_type: String,
    /// What the type lacks.
    pub(crate) reason: &'static str,
}

/// Why a value cannot be read. Two words, for the sake of results that are returned for every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) &'static str);

#[cold]
pub(crate) fn misfit<T>(reason: &'static str) -> Result<T, Misfit> {
    Err(Misfit(reason))
}

/// The first bytes of a value that has no text.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("\\x");
    for byte in bytes.iter().take(SHOWN) {
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > SHOWN {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_value_is_shown_by_its_first_bytes() {
        assert_eq!(shown_bytes(&[0, 255]), "\\x00ff");
        assert_eq!(shown_bytes(&[7; 40]).len(), 2 + 64 + 3);
    }
}
