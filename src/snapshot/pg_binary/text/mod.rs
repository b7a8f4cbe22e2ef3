//! Binary values as the text that PostgreSQL casts them to, with `DateStyle = ISO`, `IntervalStyle = postgres` and
//! `TimeZone = UTC`.
//!
//! A cast differs from what COPY prints in text form in three types: boolean is `true`, not `t`; inet always has its
//! prefix length; and the padding of `char(n)`, which is text in binary form, is kept here as COPY keeps it. Elements
//! of arrays are as COPY prints them, also in a cast of the array. The server leaves an xml declaration that names the
//! encoding out of the binary form; a cast has it.
//!
//! Bytes that are no value of the type are a misfit, never a text.

mod array;
pub(crate) mod floats;
mod network;
pub(crate) mod times;

use std::fmt::Write as _;

use super::fault::{Misfit, misfit};
use super::numeric::PgNumeric;
use super::wire::PgWire;

pub(crate) use array::PgArray;

const LENGTH: &str = "it has another length than values of the type";
pub(crate) const NOT_UTF8: &str = "it is bytes that are no UTF-8 text; declare the column BYTEA, or by its type";
const NUL: &str = "no text has zero bytes; it is another type, by which the column must be declared";
const MAYBE_JSONB: &str = "it begins with byte 1, as jsonb does; cast the column to text in the COPY query";

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgForm {
    /// A cast to text.
    Cast,
    /// An element of an array.
    Element,
}

/// All bytes, if they are as many.
#[inline]
pub(crate) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Misfit> {
    match bytes.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) => misfit(LENGTH),
    }
}

/// An integer of 2, 4 or 8 bytes: the width tells which.
#[inline]
pub(crate) fn integer(bytes: &[u8]) -> Result<i64, Misfit> {
    match *bytes {
        [a, b, c, d] => Ok(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        [a, b] => Ok(i64::from(i16::from_be_bytes([a, b]))),
        _ => misfit(LENGTH),
    }
}

pub(crate) fn boolean(bytes: &[u8]) -> Result<bool, Misfit> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => misfit("it is no boolean"),
    }
}

/// UTF-8 text.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Misfit> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => misfit(NOT_UTF8),
    }
}

/// UTF-8 text of a column whose type is not told.
#[inline]
pub(crate) fn untyped(bytes: &[u8]) -> Result<&str, Misfit> {
    if bytes.first() == Some(&1) {
        return misfit(MAYBE_JSONB);
    }
    if memchr::memchr(0, bytes).is_some() {
        return misfit(NUL);
    }
    utf8(bytes)
}

/// The text of jsonb.
#[inline]
pub(crate) fn jsonb(bytes: &[u8]) -> Result<&str, Misfit> {
    match bytes.split_first() {
        Some((1, text)) => utf8(text),
        _ => misfit("it is no jsonb of version 1"),
    }
}

/// Appends the text of a value; at an error `out` may have a part of it. It grows beyond `limit` by one element.
pub(crate) fn write_text(
    wire: &PgWire,
    bytes: &[u8],
    form: PgForm,
    limit: usize,
    out: &mut String,
) -> Result<(), Misfit> {
    match wire {
        PgWire::Text => out.push_str(utf8(bytes)?),
        PgWire::Untyped => out.push_str(untyped(bytes)?),
        PgWire::Jsonb => out.push_str(jsonb(bytes)?),
        PgWire::Bool => out.push_str(match (boolean(bytes)?, form) {
            (true, PgForm::Cast) => "true",
            (false, PgForm::Cast) => "false",
            (true, PgForm::Element) => "t",
            (false, PgForm::Element) => "f",
        }),
        PgWire::Int2 | PgWire::Int4 | PgWire::Int8 => {
            let _ = write!(out, "{}", integer(bytes)?);
        }
        PgWire::Oid => {
            let _ = write!(out, "{}", u32::from_be_bytes(exactly(bytes)?));
        }
        PgWire::Float4 => floats::write_f32(f32::from_be_bytes(exactly(bytes)?), out),
        PgWire::Float8 if bytes.len() == 4 => floats::write_f32(f32::from_be_bytes(exactly(bytes)?), out),
        PgWire::Float8 => floats::write_f64(f64::from_be_bytes(exactly(bytes)?), out),
        PgWire::Numeric => PgNumeric::parse(bytes)?.write(out),
        PgWire::Char => char_byte(bytes, out)?,
        PgWire::Bytea => {
            if bytes.len() > limit / 2 {
                return misfit("its text is longer than a record may be");
            }
            out.push_str("\\x");
            push_hex(bytes, out);
        }
        PgWire::Date => times::write_date(i32::from_be_bytes(exactly(bytes)?), out)?,
        PgWire::Time => times::write_time(i64::from_be_bytes(exactly(bytes)?), out)?,
        PgWire::TimeTz => times::write_time_tz(exactly(bytes)?, out)?,
        PgWire::Timestamp => times::write_timestamp(i64::from_be_bytes(exactly(bytes)?), "", out)?,
        PgWire::TimestampTz => times::write_timestamp(i64::from_be_bytes(exactly(bytes)?), "+00", out)?,
        PgWire::Interval => times::write_interval(exactly(bytes)?, out),
        PgWire::Uuid => {
            let bytes: [u8; 16] = exactly(bytes)?;
            for (at, byte) in bytes.iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    out.push('-');
                }
                push_hex(&[*byte], out);
            }
        }
        PgWire::Inet => network::write_address(bytes, form == PgForm::Cast, out)?,
        PgWire::Cidr => network::write_address(bytes, true, out)?,
        PgWire::MacAddr => network::write_mac(bytes, out)?,
        PgWire::Bit => bits(bytes, limit, out)?,
        PgWire::Array(of) => PgArray::parse(bytes, of)?.write(of, limit, out)?,
        PgWire::Money | PgWire::Other(_) => return misfit("the server's locale decides on its text"),
    }
    Ok(())
}

pub(crate) fn push_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// "char" has any byte: 0 is the empty text, and those that are no ASCII are octal.
fn char_byte(bytes: &[u8], out: &mut String) -> Result<(), Misfit> {
    match exactly(bytes)? {
        [0] => {}
        [byte @ 1..=127] => out.push(char::from(byte)),
        [byte] => {
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    Ok(())
}

fn bits(bytes: &[u8], limit: usize, out: &mut String) -> Result<(), Misfit> {
    let Some((count, bytes)) = bytes.split_first_chunk::<4>() else { return misfit(LENGTH) };
    let Ok(count) = usize::try_from(i32::from_be_bytes(*count)) else { return misfit(LENGTH) };
    if bytes.len() != count.div_ceil(8) {
        return misfit(LENGTH);
    }
    if count > limit {
        return misfit("its text is longer than a record may be");
    }
    for at in 0..count {
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        out.push(if byte >> (7 - at % 8) & 1 == 1 { '1' } else { '0' });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(wire: &PgWire, bytes: &[u8]) -> Result<String, Misfit> {
        let mut out = String::new();
        write_text(wire, bytes, PgForm::Cast, 1000, &mut out).map(|()| out)
    }

    #[test]
    fn texts_are_those_of_a_cast() {
        assert_eq!(text(&PgWire::Bool, &[1]).unwrap(), "true");
        assert_eq!(text(&PgWire::Bit, &[0, 0, 0, 3, 0b1010_0000]).unwrap(), "101");
        assert_eq!(text(&PgWire::Bytea, &[0, 0xab]).unwrap(), "\\x00ab");
        assert_eq!(text(&PgWire::Char, &[0xe9]).unwrap(), "\\351");
        assert_eq!(text(&PgWire::Oid, &[0xff; 4]).unwrap(), "4294967295");
        assert_eq!(text(&PgWire::Jsonb, b"\x01{}").unwrap(), "{}");
        let uuid: Vec<u8> = (0..16).collect();
        assert_eq!(text(&PgWire::Uuid, &uuid).unwrap(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn bytes_of_another_type_are_no_text() {
        assert_eq!(text(&PgWire::Untyped, &[0, 0, 0, 65]), misfit(NUL));
        assert_eq!(text(&PgWire::Untyped, b"\x01{}"), misfit(MAYBE_JSONB));
        assert_eq!(text(&PgWire::Untyped, &[0xff, 0xfe]), misfit(NOT_UTF8));
        assert_eq!(text(&PgWire::Int8, &[1, 2, 3]), misfit(LENGTH));
    }
}
