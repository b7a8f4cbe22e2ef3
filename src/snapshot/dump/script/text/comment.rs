//! Reads the bytes that begin, hold and end a comment.
//!
//! Comments between statements are told, comments inside of a statement belong to its text. `/*! .. */` is no
//! comment for MySQL: what it holds is read as text, and its signs are left out where the statement begins with one.
//!
//! ```text
//! /*   Slash, Open -> Block          /*!40101   Slash, Open -> Version -> Code, one level deeper
//! --   Dash, TwoDashes -> Line       --1        Dash, TwoDashes -> Code (MySQL)
//! ```

use super::super::DumpFault;
use super::{NOTE_LIMIT, TextMode, TextScan, TextStep};
use crate::snapshot::dump::SqlFamily;

impl TextScan {
    /// Reads a byte of what is, or may be, a comment; `None` lets it be read again in another mode.
    pub(super) fn comment(&mut self, b: u8) -> Result<Option<TextStep>, DumpFault> {
        match self.mode {
            TextMode::Dash if b == b'-' => {
                self.put(b)?;
                self.note.clear();
                self.enter(if self.my() { TextMode::TwoDashes } else { TextMode::Line });
                return Ok(Some(TextStep::More));
            }
            TextMode::TwoDashes if b <= b' ' => self.mode = TextMode::Line,
            TextMode::Slash if b == b'*' => {
                self.put(b)?;
                self.mode = TextMode::Open;
                return Ok(Some(TextStep::More));
            }
            TextMode::Dash | TextMode::TwoDashes | TextMode::Slash => {
                // No comment after all: the signs belong to a statement.
                if !self.begun {
                    self.begin(self.mark.1);
                    self.put(if self.mode == TextMode::Slash { b'/' } else { b'-' })?;
                    if self.mode == TextMode::TwoDashes {
                        self.put(b'-')?;
                    }
                }
                self.mode = TextMode::Code;
            }
            TextMode::Line => return self.line_comment(b).map(Some),
            TextMode::Open | TextMode::OpenM if b == b'!' && !self.pg() => {
                self.rules.family = Some(SqlFamily::MySql);
                self.put(b)?;
                self.mode = TextMode::Version { digits: 0, version: 0 };
                return Ok(Some(TextStep::More));
            }
            TextMode::Open if b == b'M' && !self.pg() => {
                self.put(b)?;
                self.mode = TextMode::OpenM;
                return Ok(Some(TextStep::More));
            }
            TextMode::Open | TextMode::OpenM => self.enter(TextMode::CopyBlock { depth: 1, before: 0 }),
            TextMode::Version { digits, version } if digits < 6 && b.is_ascii_digit() => {
                self.put(b)?;
                let version = version * 10 + u32::from(b - b'0');
                self.mode = TextMode::Version { digits: digits + 1, version };
                return Ok(Some(TextStep::More));
            }
            // No server is so new: `/*M!999999\- enable the sandbox mode */` is for the client.
            TextMode::Version { version: 999_999, .. } => self.enter(TextMode::CopyBlock { depth: 1, before: 0 }),
            TextMode::Version { .. } => {
                self.exec = self.exec.saturating_add(1);
                if !self.begun {
                    self.begin(self.mark.1);
                    self.unwrap = true;
                } else if self.unwrap {
                    self.buf.truncate(self.mark.0);
                    self.put(b' ')?;
                }
                self.enter(TextMode::Code);
            }
            TextMode::CopyBlock { depth, before } => return self.block_comment(b, depth, before).map(Some),
            _ => self.mode = TextMode::Code,
        }
        Ok(None)
    }

    fn line_comment(&mut self, b: u8) -> Result<TextStep, DumpFault> {
        self.put(b)?;
        if b == b'\n' {
            self.mode = TextMode::Code;
            return Ok(if self.begun { TextStep::More } else { TextStep::Comment });
        }
        if !self.begun && self.note.len() < NOTE_LIMIT {
            self.note.push(b);
        }
        Ok(TextStep::More)
    }

    fn block_comment(&mut self, b: u8, depth: u32, before: u8) -> Result<TextStep, DumpFault> {
        self.put(b)?;
        self.mode = match (before, b) {
            (b'*', b'/') if depth == 1 => {
                self.mode = TextMode::Code;
                self.note.clear();
                return Ok(if self.begun { TextStep::More } else { TextStep::Comment });
            }
            (b'*', b'/') => TextMode::CopyBlock { depth: depth - 1, before: 0 },
            // Only PostgreSQL's comments have comments inside.
            (b'/', b'*') if self.pg() => TextMode::CopyBlock { depth: depth.saturating_add(1), before: 0 },
            _ => TextMode::CopyBlock { depth, before: b },
        };
        Ok(TextStep::More)
    }
}
