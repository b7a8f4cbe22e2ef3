//! Knows what a backslash means inside of a quote; keeps no state and cannot fail.
//!
//! ```text
//! 'a\'      whole in PostgreSQL, open in MySQL
//! E'a\''    whole in PostgreSQL
//! "a\""     open in PostgreSQL (a name), whole in MySQL (a string)
//! ```

use crate::snapshot::dump::SqlFamily;

/// What a backslash does in the quote that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backslash {
    /// It is a byte like others.
    Plain,
    /// It takes the next byte with it.
    Escape,
    /// The family is not known yet; a backslash must not come.
    Unsure,
}

/// Rules that hold at one place of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuoteRules {
    /// Family, as soon as the text tells.
    pub(super) family: Option<SqlFamily>,
    /// PostgreSQL's `standard_conforming_strings`.
    pub(super) std_strings: bool,
}

impl QuoteRules {
    /// Meaning of a backslash in the quote that `quote` opens; `e_prefix` tells that an `E` stands before it.
    pub(super) fn backslash(self, quote: u8, e_prefix: bool) -> Backslash {
        match (quote, self.family) {
            (b'`', _) => Backslash::Plain,
            (_, Some(SqlFamily::MySql)) => Backslash::Escape,
            (b'\'', _) if e_prefix => Backslash::Escape,
            (_, None) => Backslash::Unsure,
            (b'\'', Some(SqlFamily::Postgres)) if !self.std_strings => Backslash::Escape,
            (_, Some(SqlFamily::Postgres)) => Backslash::Plain,
        }
    }
}

/// Byte that can stand in a bare word; bytes of UTF-8 letters count, as both servers let them.
pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backslash_follows_family_quote_and_prefix() {
        let rules = |family, std_strings| QuoteRules { family, std_strings };
        let pg = rules(Some(SqlFamily::Postgres), true);
        assert_eq!(pg.backslash(b'\'', false), Backslash::Plain);
        assert_eq!(pg.backslash(b'\'', true), Backslash::Escape);
        assert_eq!(pg.backslash(b'"', false), Backslash::Plain);
        assert_eq!(rules(Some(SqlFamily::Postgres), false).backslash(b'\'', false), Backslash::Escape);
        assert_eq!(rules(Some(SqlFamily::Postgres), false).backslash(b'"', false), Backslash::Plain);
        let my = rules(Some(SqlFamily::MySql), true);
        assert_eq!(my.backslash(b'\'', false), Backslash::Escape);
        assert_eq!(my.backslash(b'"', false), Backslash::Escape);
        assert_eq!(my.backslash(b'`', false), Backslash::Plain);
        assert_eq!(rules(None, true).backslash(b'\'', false), Backslash::Unsure);
    }
}
