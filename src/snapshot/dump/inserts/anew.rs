//! Values that are written anew, each once: into one buffer, as text or as the digits of bytes.
//!
//! What is between quotes is text if it is UTF-8. The check comes after the escapes are undone, for values that have
//! some; all others are checked together when the batch is read ([`write_raw`]), since nearly all batches are UTF-8.

use crate::snapshot::dump::inserts::fault::{InsertHalt, wrong};
use crate::snapshot::dump::inserts::records::{ANEW, BARE, BYTES, InsertSpan, POSITION, QUOTED, RAW};
use crate::snapshot::dump::inserts::rewrite::{
    bits, push_hex, push_hex_digits, push_unhexed, to_hex, undo_c_style, undo_doubled, undo_mysql,
};
use crate::snapshot::dump::inserts::values::{SqlValue, ValueForm};

/// Appends a value that is not read as it is written; nothing if it is wrong.
pub(crate) fn write(bytes: &[u8], value: SqlValue, out: &mut Vec<u8>) -> Result<InsertSpan, InsertHalt> {
    let SqlValue { start, end, how, .. } = value;
    let raw = bytes.get(start..end).unwrap_or_default();
    let from = out.len();
    let span = match append(raw, how, out) {
        Ok(kind) => place(from, out.len(), kind).ok_or((0, "a value is too long")),
        Err(found) => Err(found),
    };
    span.or_else(|(at, reason)| {
        out.truncate(from);
        wrong(start + at, reason)
    })
}

/// The kind of what was appended, or what is wrong and where.
fn append(raw: &[u8], how: ValueForm, out: &mut Vec<u8>) -> Result<u32, (usize, &'static str)> {
    const NO_DIGIT: &str = "a value of bytes is of hexadecimal digits";
    let from = out.len();
    match how {
        ValueForm::Escaped(quote) => undo_mysql(raw, quote, out),
        ValueForm::Doubled => undo_doubled(raw, out),
        ValueForm::CStyle => undo_c_style(raw, out)?,
        ValueForm::HexText => push_unhexed(raw, out).map_err(|at| (at, NO_DIGIT))?,
        ValueForm::Binary(quote) => {
            undo_mysql(raw, quote, out);
            to_hex(out, from);
            return Ok(BYTES);
        }
        ValueForm::Hex => {
            push_hex_digits(raw, out).map_err(|at| (at, NO_DIGIT))?;
            return Ok(BYTES);
        }
        ValueForm::Bits => {
            out.extend_from_slice(bits(raw)?.to_string().as_bytes());
            return Ok(BARE);
        }
        ValueForm::BitText => match raw.iter().position(|byte| !matches!(byte, b'0' | b'1')) {
            Some(at) => return Err((at, "a bit string is of 0 and 1")),
            None => out.extend_from_slice(raw),
        },
        ValueForm::Null | ValueForm::Bare | ValueForm::Text => out.extend_from_slice(raw),
    }
    if std::str::from_utf8(&out[from..]).is_ok() {
        return Ok(QUOTED);
    }
    to_hex(out, from);
    Ok(RAW)
}

/// None if a position has too many bits.
fn place(start: usize, end: usize, kind: u32) -> Option<InsertSpan> {
    let fits = end <= POSITION as usize;
    fits.then_some(InsertSpan { start: start as u32 | ANEW, end: end as u32 | kind })
}

/// Writes anew the values that are not UTF-8, and makes blanks of all such bytes. False: there is no room for them.
#[must_use]
pub(crate) fn write_raw(bytes: &mut [u8], out: &mut Vec<u8>, spans: &mut [InsertSpan]) -> bool {
    let (mut at, mut number) = (0, 0);
    while let Err(error) = std::str::from_utf8(&bytes[at..]) {
        let wrong = at + error.valid_up_to();
        // Values written anew are nowhere in `bytes`; the others are in the order of their places.
        let is_before = |span: &InsertSpan| span.start & ANEW != 0 || span.range().end <= wrong;
        while spans.get(number).is_some_and(is_before) {
            number += 1;
        }
        let range = match spans.get_mut(number).filter(|span| span.range().contains(&wrong)) {
            Some(span) => {
                let (range, from) = (span.range(), out.len());
                push_hex(&bytes[range.clone()], out);
                let Some(place) = place(from, out.len(), RAW) else { return false };
                *span = place;
                range
            }
            // In a comment or the like.
            None => wrong..error.error_len().map_or(bytes.len(), |length| wrong + length),
        };
        at = range.end;
        bytes[range].fill(b' ');
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, kind: u32) -> InsertSpan {
        InsertSpan { start: start as u32, end: end as u32 | kind }
    }

    #[test]
    fn a_value_that_is_wrong_leaves_nothing_behind() {
        let mut out = b"kept".to_vec();
        for (text, how) in [
            ("ffzz", ValueForm::HexText),
            ("zz", ValueForm::Hex),
            (r"ab\0", ValueForm::CStyle),
            ("012", ValueForm::Bits),
        ] {
            let value = SqlValue { start: 0, end: text.len(), how, next: text.len() };
            assert!(write(text.as_bytes(), value, &mut out).is_err());
            assert_eq!(out, b"kept");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_become_digits_in_values_and_blanks_elsewhere() {
        let mut bytes = b"\xff '\xc3\xa9','a\xffb\xfe','\xc3' \xe2\x82".to_vec();
        let mut spans = [span(3, 5, QUOTED), InsertSpan::NULL, span(8, 12, QUOTED), span(15, 16, QUOTED)];
        let mut out = Vec::new();
        assert!(write_raw(&mut bytes, &mut out, &mut spans));
        assert_eq!(String::from_utf8(bytes).unwrap(), "  'é','    ',' '   ");
        assert_eq!(out, br"\x61ff62fe\xc3");
        assert_eq!(
            spans,
            [span(3, 5, QUOTED), InsertSpan::NULL, place(0, 10, RAW).unwrap(), place(10, 14, RAW).unwrap()]
        );
    }

    #[test]
    fn positions_that_do_not_fit_are_none() {
        assert_eq!((place(0, 1 << 30, RAW), place(0, POSITION as usize, RAW).is_some()), (None, true));
    }
}
