//! Arrays as text: braces, quotes where an element needs them, and bounds where one does not begin at 1.
//!
//! ```text
//! int32 dimensions | int32 flags | uint32 element type
//! per dimension: int32 length, int32 lower bound
//! per element: int32 length (-1: NULL), bytes
//! ```
//!
//! The number of the element type must be that of the declared one, where it is one that every server has. Source:
//! `array_send` and `array_out` in `arrayfuncs.c`.

use std::fmt::Write as _;

use super::super::fault::{Misfit, misfit};
use super::super::wire::{PgWire, wire_of_oid};
use super::{PgForm, write_text};

/// The server's own limit.
const MAX_DIMENSIONS: usize = 6;

const DAMAGED: &str = "it is no array";
const OTHER_TYPE: &str = "its elements are of another type";

/// An array whose elements are not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PgArray<'a> {
    dimensions: usize,
    lengths: [usize; MAX_DIMENSIONS],
    bounds: [i32; MAX_DIMENSIONS],
    elements: &'a [u8],
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], Misfit> {
    match bytes.split_first_chunk::<N>() {
        Some((head, rest)) => {
            *bytes = rest;
            Ok(head)
        }
        None => misfit(DAMAGED),
    }
}

impl<'a> PgArray<'a> {
    pub(crate) fn parse(mut bytes: &'a [u8], of: &PgWire) -> Result<Self, Misfit> {
        let dimensions = i32::from_be_bytes(*take(&mut bytes)?);
        let Some(dimensions) = usize::try_from(dimensions).ok().filter(|count| *count <= MAX_DIMENSIONS) else {
            return misfit(DAMAGED);
        };
        if !matches!(i32::from_be_bytes(*take(&mut bytes)?), 0 | 1) {
            return misfit(DAMAGED);
        }
        match wire_of_oid(u32::from_be_bytes(*take(&mut bytes)?)) {
            PgWire::Other(_) => {}
            wire if is_same(&wire, of) => {}
            _ => return misfit(OTHER_TYPE),
        }
        let mut array = Self { dimensions, lengths: [0; MAX_DIMENSIONS], bounds: [1; MAX_DIMENSIONS], elements: &[] };
        for (length, bound) in array.lengths.iter_mut().zip(&mut array.bounds).take(dimensions) {
            let count = i32::from_be_bytes(*take(&mut bytes)?);
            *bound = i32::from_be_bytes(*take(&mut bytes)?);
            // Also the last index must be an int32.
            match usize::try_from(count) {
                Ok(count) if count > 0 => *length = count,
                _ => return misfit(DAMAGED),
            }
            if bound.checked_add(count - 1).is_none() {
                return misfit(DAMAGED);
            }
        }
        array.elements = bytes;
        // Each element has four bytes at least: lengths that promise more are no reason to loop.
        let count = array.lengths.iter().take(dimensions).try_fold(1_usize, |all, length| all.checked_mul(*length));
        let count = if dimensions == 0 { Some(0) } else { count };
        if count.is_none_or(|count| count > bytes.len() / 4) {
            return misfit(DAMAGED);
        }
        if dimensions == 0 && !bytes.is_empty() {
            return misfit(DAMAGED);
        }
        Ok(array)
    }

    /// The elements of an array of at most one dimension, which begins at 1; others are no lists.
    pub(crate) fn list(self) -> Result<PgElements<'a>, Misfit> {
        if self.dimensions > 1 {
            return misfit("it has several dimensions; only a text column holds them");
        }
        if self.bounds.first() != Some(&1) {
            return misfit("it does not begin at 1; only a text column holds its bounds");
        }
        Ok(PgElements { bytes: self.elements, left: self.lengths.first().copied().unwrap_or(0) })
    }

    pub(crate) fn write(self, of: &PgWire, limit: usize, out: &mut String) -> Result<(), Misfit> {
        if self.dimensions == 0 {
            out.push_str("{}");
            return Ok(());
        }
        let (lengths, bounds) = (self.lengths.iter().take(self.dimensions), self.bounds.iter().take(self.dimensions));
        if bounds.clone().any(|bound| *bound != 1) {
            for (length, bound) in lengths.clone().zip(bounds) {
                let _ = write!(out, "[{bound}:{}]", i64::from(*bound) + *length as i64 - 1);
            }
            out.push('=');
        }
        let count = lengths.clone().product();
        let mut elements = PgElements { bytes: self.elements, left: count };
        let mut indices = [0_usize; MAX_DIMENSIONS];
        let start = out.len();
        (0..self.dimensions).for_each(|_| out.push('{'));
        while let Some(element) = elements.next()? {
            match element {
                None => out.push_str("NULL"),
                Some(bytes) => push_element(of, bytes, limit, out)?,
            }
            if out.len() - start > limit {
                return misfit("its text is longer than a record may be");
            }
            // Closes the dimensions that are complete, and opens them again if elements follow.
            let mut closed = 0;
            for (index, length) in indices.iter_mut().zip(&self.lengths).take(self.dimensions).rev() {
                *index += 1;
                if *index < *length {
                    break;
                }
                *index = 0;
                out.push('}');
                closed += 1;
            }
            if closed < self.dimensions {
                out.push(',');
                (0..closed).for_each(|_| out.push('{'));
            }
        }
        Ok(())
    }
}

/// The elements, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PgElements<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> PgElements<'a> {
    /// The next one, which may be NULL; None at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Option<&'a [u8]>>, Misfit> {
        if self.left == 0 {
            return if self.bytes.is_empty() { Ok(None) } else { misfit(DAMAGED) };
        }
        self.left -= 1;
        let length = i32::from_be_bytes(*take(&mut self.bytes)?);
        if length == -1 {
            return Ok(Some(None));
        }
        let split = usize::try_from(length).ok().and_then(|length| self.bytes.split_at_checked(length));
        let Some((element, rest)) = split else { return misfit(DAMAGED) };
        self.bytes = rest;
        Ok(Some(Some(element)))
    }
}

fn is_same(sent: &PgWire, declared: &PgWire) -> bool {
    use PgWire::{Float4, Float8, Int2, Int4, Int8, Text, TimestampTz, Untyped};
    match declared {
        Untyped => *sent == Text,
        // The width tells.
        Int2 | Int4 | Int8 => matches!(sent, Int2 | Int4 | Int8),
        Float4 | Float8 => matches!(sent, Float4 | Float8),
        PgWire::Timestamp | TimestampTz => matches!(sent, PgWire::Timestamp | TimestampTz),
        other => sent == other,
    }
}

fn push_element(of: &PgWire, bytes: &[u8], limit: usize, out: &mut String) -> Result<(), Misfit> {
    let start = out.len();
    write_text(of, bytes, PgForm::Element, limit, out)?;
    let text = out.get(start..).unwrap_or("");
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    let is_plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(byte));
    if is_plain {
        return Ok(());
    }
    // Written anew behind itself, then moved down.
    let end = out.len();
    out.push('"');
    let mut at = start;
    while let Some(sign) = out.get(at..end).and_then(|rest| rest.chars().next()) {
        if matches!(sign, '"' | '\\') {
            out.push('\\');
        }
        out.push(sign);
        at += sign.len_utf8();
    }
    out.push('"');
    out.drain(start..end);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The reference: an array of text as a server sends it.
    pub(crate) fn array(shape: &[(i32, i32)], element: u32, elements: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = (shape.len() as i32).to_be_bytes().to_vec();
        bytes.extend(i32::from(elements.contains(&None)).to_be_bytes());
        bytes.extend(element.to_be_bytes());
        for (length, bound) in shape {
            bytes.extend(length.to_be_bytes());
            bytes.extend(bound.to_be_bytes());
        }
        for element in elements {
            bytes.extend(element.map_or(-1, |element| element.len() as i32).to_be_bytes());
            bytes.extend_from_slice(element.unwrap_or_default());
        }
        bytes
    }

    fn text(bytes: &[u8]) -> Result<String, Misfit> {
        let mut out = String::new();
        PgArray::parse(bytes, &PgWire::Text)?.write(&PgWire::Text, 1000, &mut out)?;
        Ok(out)
    }

    #[test]
    fn elements_are_quoted_where_they_must_be() {
        let elements: [Option<&[u8]>; 6] = [Some(b"a"), None, Some(b""), Some(b"null"), Some(b"q\"\\"), Some(b"x y")];
        assert_eq!(text(&array(&[(6, 1)], 25, &elements)).unwrap(), r#"{a,NULL,"","null","q\"\\","x y"}"#);
        assert_eq!(text(&array(&[], 25, &[])).unwrap(), "{}");
    }

    #[test]
    fn dimensions_nest_and_show_bounds_that_are_not_1() {
        let elements: Vec<Option<&[u8]>> = vec![Some(b"1"), Some(b"2"), Some(b"3"), Some(b"4")];
        assert_eq!(text(&array(&[(2, 1), (2, 1)], 25, &elements)).unwrap(), "{{1,2},{3,4}}");
        assert_eq!(text(&array(&[(2, 0), (2, -1)], 25, &elements)).unwrap(), "[0:1][-1:0]={{1,2},{3,4}}");
    }

    #[test]
    fn lengths_that_promise_more_than_there_is_are_damage() {
        assert_eq!(text(&array(&[(i32::MAX, 1), (i32::MAX, 1)], 25, &[])), misfit(DAMAGED));
        assert_eq!(text(&array(&[(1, 1)], 23, &[Some(b"a")])), misfit(OTHER_TYPE));
        let mut bytes = array(&[(1, 1)], 25, &[Some(b"a")]);
        bytes.push(0);
        assert_eq!(text(&bytes), misfit(DAMAGED));
    }
}
