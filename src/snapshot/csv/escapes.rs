//! Fields that are not written as they are read: doubled quotes and escape sequences.
//!
//! With `escape_sequences` an escape means what MySQL and PostgreSQL's text format write with it: `\b \f \n \r \t \v`
//! are control characters, `\0` is NUL, `\Z` is 0x1A, and before any other character but an ASCII letter or digit it
//! makes that character a part of the field. Other letters and digits are an error: no program writes them, and
//! programs read them differently (`\x41`, `\101`). Without, an escape is before a quote or an escape inside of
//! quotes, and before all else it is text, as in PostgreSQL's CSV.

use crate::config::CsvOptions;

/// What is to be undone in a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escapes {
    /// As far as the file is quoted.
    quote: Option<u8>,
    escape: Option<u8>,
    sequences: bool,
}

impl Escapes {
    pub(crate) fn new(options: &CsvOptions) -> Self {
        Self { quote: options.quote, escape: options.escape, sequences: options.escape_sequences }
    }

    /// Appends the field that is written as `raw`, without the quotes around it. Fails with the place of a sequence
    /// that is none.
    pub(crate) fn undo(&self, raw: &[u8], is_quoted: bool, out: &mut Vec<u8>) -> Result<(), usize> {
        let quote = self.quote.filter(|_| is_quoted);
        let (Some(one), Some(other)) = (quote.or(self.escape), self.escape.or(quote)) else {
            out.extend_from_slice(raw);
            return Ok(());
        };
        let mut at = 0;
        while let Some(found) = raw[at..].iter().position(|byte| *byte == one || *byte == other) {
            out.extend_from_slice(&raw[at..at + found]);
            at += found;
            let (byte, next) = (raw[at], raw.get(at + 1).copied());
            if Some(byte) == self.escape {
                match next {
                    Some(next) if self.sequences => out.push(meaning(next).ok_or(at)?),
                    Some(next) if Some(next) == self.quote || Some(next) == self.escape => out.push(next),
                    Some(next) => out.extend([byte, next]),
                    None => return Err(at),
                }
                at += 2;
            } else {
                out.push(byte);
                at += if next == quote { 2 } else { 1 };
            }
        }
        out.extend_from_slice(&raw[at..]);
        Ok(())
    }
}

/// What a character means after an escape.
fn meaning(byte: u8) -> Option<u8> {
    Some(match byte {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'0' => 0,
        b'Z' => 0x1a,
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(options: &CsvOptions, raw: &str, is_quoted: bool) -> Result<String, usize> {
        let mut out = Vec::new();
        Escapes::new(options).undo(raw.as_bytes(), is_quoted, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn sequences_are_those_that_mysql_and_postgresql_write() {
        let options = CsvOptions { escape: Some(b'\\'), escape_sequences: true, ..CsvOptions::default() };
        for is_quoted in [false, true] {
            let text = undone(&options, r#"a\tb\\c\nd\re\bf\fg\vh\0i\Zj\"k\,l\'"#, is_quoted).unwrap();
            assert_eq!(text, "a\tb\\c\nd\re\u{8}f\u{c}g\u{b}h\0i\u{1a}j\"k,l'");
            for (raw, at) in [(r"\x41", 0), (r"ab\101", 2), (r"\N", 0), ("\\é", 0), ("a\\", 1)] {
                assert_eq!(undone(&options, raw, is_quoted), Err(at), "{raw}");
            }
        }
    }

    #[test]
    fn an_escape_without_sequences_is_text_but_before_quotes_and_itself() {
        let options = CsvOptions { escape: Some(b'\\'), ..CsvOptions::default() };
        assert_eq!(undone(&options, r#"C:\new \"x\" \\ ""y"""#, true).unwrap(), r#"C:\new "x" \ "y""#);
        assert_eq!(undone(&CsvOptions::default(), r#"a\n ""b"""#, true).unwrap(), r#"a\n "b""#);
    }
}
