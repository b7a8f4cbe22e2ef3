//! A value that its column cannot hold exactly: row, column, value and type, in words.

use std::fmt;

/// Characters of a value that a message keeps.
const SHOWN: usize = 100;

/// A value, its place, and the type that it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue {
    /// Record of the file, from 1, without the header.
    pub row: u64,
    /// Column, dotted for nested fields: `o.x`, `l[]`.
    pub column: String,
    /// The value as it is written in the file.
    pub value: String,
    /// The type as it is declared, in SQL: `DECIMAL(10,2)`.
    pub data_type: String,
    /// Why, where the two do not say it: `it has digits beyond the sixth decimal place`.
    pub reason: Option<&'static str>,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, column, value, data_type, reason } = self;
        let end = value.char_indices().nth(SHOWN).map(|(end, _)| end);
        let (shown, cut) = end.map_or((value.as_str(), ""), |end| (&value[..end], "..."));
        write!(f, "row {row}, column '{column}': '{shown}{cut}' cannot be read as {data_type}")?;
        reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl std::error::Error for InvalidValue {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_and_reasons_follow() {
        let value = |value: &str, reason| InvalidValue {
            row: 7,
            column: "o.p".into(),
            value: value.into(),
            data_type: "DECIMAL(10,2)".into(),
            reason,
        };
        assert_eq!(value("1.239", None).to_string(), "row 7, column 'o.p': '1.239' cannot be read as DECIMAL(10,2)");
        let long = value(&"é".repeat(101), Some("it is no number")).to_string();
        assert!(long.contains(&format!("'{}...'", "é".repeat(100))), "{long}");
        assert!(long.ends_with("DECIMAL(10,2): it is no number"), "{long}");
    }
}
