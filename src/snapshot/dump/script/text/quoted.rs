//! Reads bytes inside of quotes and dollar quotes; a doubled quote does not end one.
//!
//! A backslash is a fault while the family is not known and the two would read it differently.
//!
//! ```text
//! 'it''s'     Quote .. QuoteEnd, Quote .. QuoteEnd
//! $x$ ; $x$   Tag, Dollar
//! ```

use super::super::DumpFault;
use super::super::quote::{Backslash, is_word};
use super::{TextMode, TextScan, TextStep};
use crate::snapshot::dump::SqlFamily;

impl TextScan {
    /// Reads a byte of a quote; `None` lets it be read again in another mode.
    pub(super) fn quoted(&mut self, b: u8) -> Result<Option<TextStep>, DumpFault> {
        match self.mode {
            TextMode::Quote { quote, backslash } => {
                self.put(b)?;
                if b == quote {
                    self.mode = TextMode::QuoteEnd { quote, backslash };
                } else if b == b'\\' {
                    match backslash {
                        Backslash::Plain => {}
                        Backslash::Escape => self.mode = TextMode::Escaped { quote, backslash },
                        Backslash::Unsure => return Err(DumpFault::UnknownFamily { line: self.line }),
                    }
                }
                return Ok(Some(TextStep::More));
            }
            TextMode::Escaped { quote, backslash } => {
                self.put(b)?;
                self.mode = TextMode::Quote { quote, backslash };
                return Ok(Some(TextStep::More));
            }
            TextMode::QuoteEnd { quote, backslash } if b == quote => {
                self.put(b)?;
                self.mode = TextMode::Quote { quote, backslash };
                return Ok(Some(TextStep::More));
            }
            TextMode::QuoteEnd { .. } => self.mode = TextMode::Code,
            TextMode::Tag { from } => {
                if b == b'$' {
                    self.put(b)?;
                    self.rules.family = Some(self.rules.family.unwrap_or(SqlFamily::Postgres));
                    self.enter(TextMode::Dollar { from, body: self.buf.len() });
                    return Ok(Some(TextStep::More));
                }
                let first = self.buf.len() == from + 1;
                if is_word(b) && !(first && b.is_ascii_digit()) {
                    self.put(b)?;
                    return Ok(Some(TextStep::More));
                }
                self.mode = TextMode::Code;
            }
            TextMode::Dollar { from, body } => {
                self.put(b)?;
                if b == b'$' && self.buf.len() - body >= body - from && self.buf.ends_with(&self.buf[from..body]) {
                    self.enter(TextMode::Code);
                }
                return Ok(Some(TextStep::More));
            }
            _ => self.mode = TextMode::Code,
        }
        Ok(None)
    }
}
