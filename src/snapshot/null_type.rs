//! Columns of old files that are NULL alone, in the words of today.
//!
//! pyarrow before 0.8 marked them with 24 as converted type, a number that the format does not have; the Parquet reader refuses
//! the whole file for it. The same is said today by the logical type UNKNOWN. A footer has no place that depends on its own
//! length, so one can be put for the other.
//!
//! Format: `SchemaElement` and `LogicalType` in parquet.thrift. Pure.

use std::ops::Range;

use crate::thrift::{I32, LIST, Rest, STRUCT, Stop};

/// `SchemaElement.converted_type`.
const CONVERTED: i16 = 6;
/// `SchemaElement.logicalType`.
const LOGICAL: i16 = 10;
/// The number that old files have there.
const OLD_NULL: i64 = 24;
/// A union of which field 11 is set: an empty struct.
const UNKNOWN: [u8; 3] = [0xbc, 0x00, 0x00];

/// The footer without such marks; None if it has none, or is no footer.
pub(super) fn without_old_nulls(footer: &[u8]) -> Option<Vec<u8>> {
    let mut changed = Vec::new();
    let mut copied = 0;
    for element in elements(footer).ok()?.into_iter().filter(Element::is_old_null) {
        changed.extend_from_slice(&footer[copied..element.place.start]);
        copied = element.place.end;
        let mut last = 0;
        for (field, kind, value) in element.fields.iter().filter(|(field, ..)| *field != CONVERTED && *field != LOGICAL)
        {
            put_head(&mut changed, *field, *kind, &mut last);
            changed.extend_from_slice(&footer[value.clone()]);
        }
        put_head(&mut changed, LOGICAL, STRUCT, &mut last);
        changed.extend_from_slice(&UNKNOWN);
        changed.push(0);
    }
    if copied == 0 {
        return None;
    }
    changed.extend_from_slice(&footer[copied..]);
    Some(changed)
}

/// A column or group of the schema, and where in the footer it is.
struct Element {
    place: Range<usize>,
    converted: Option<i64>,
    fields: Vec<(i16, u8, Range<usize>)>,
}

impl Element {
    fn is_old_null(&self) -> bool {
        // In the order of their numbers, so that they can be written anew.
        self.converted == Some(OLD_NULL) && self.fields.is_sorted_by_key(|(field, ..)| *field)
    }
}

/// Field 2 of the footer.
fn elements(footer: &[u8]) -> Result<Vec<Element>, Stop> {
    let mut rest = Rest(footer);
    let mut last = 0;
    while let Some((field, kind)) = rest.field(&mut last)? {
        if (field, kind) != (2, LIST) {
            rest.pass(kind)?;
            continue;
        }
        let (of, count) = rest.list()?;
        if of != STRUCT {
            break;
        }
        return (0..count).map(|_| element(footer, &mut rest)).collect();
    }
    Ok(Vec::new())
}

fn element(footer: &[u8], rest: &mut Rest<'_>) -> Result<Element, Stop> {
    let at = |rest: &Rest<'_>| footer.len() - rest.0.len();
    let (start, mut converted, mut fields, mut last) = (at(rest), None, Vec::new(), 0);
    while let Some((field, kind)) = rest.field(&mut last)? {
        let from = at(rest);
        match (field, kind) {
            (CONVERTED, I32) => converted = Some(rest.number()?),
            _ => rest.pass(kind)?,
        }
        fields.push((field, kind, from..at(rest)));
    }
    Ok(Element { place: start..at(rest), converted, fields })
}

/// Numbers of a schema's fields differ by less than 16.
fn put_head(bytes: &mut Vec<u8>, field: i16, kind: u8, last: &mut i16) {
    let step = u8::try_from(field - *last).unwrap_or(0) & 0x0f;
    bytes.push(step << 4 | kind);
    *last = field;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of version 1 with one row group's worth of rubbish behind its schema.
    fn footer(column: &[u8]) -> Vec<u8> {
        // Version; a list of two structs: the root with its name and one child, and the column.
        let root = [0x48, 1, b'r', 0x15, 2, 0];
        [&[0x15, 2, 0x19, 0x2c][..], &root, column, &[0x16, 6, 0]].concat()
    }

    #[test]
    fn old_mark_becomes_the_logical_type_and_all_else_stays() {
        // INT32, optional, named n; converted type; field id 9.
        let old = footer(&[0x15, 2, 0x25, 2, 0x18, 1, b'n', 0x25, 48, 0x35, 18, 0]);
        let new = footer(&[0x15, 2, 0x25, 2, 0x18, 1, b'n', 0x55, 18, 0x1c, 0xbc, 0, 0, 0]);
        assert_eq!(without_old_nulls(&old), Some(new.clone()));
        assert_eq!(without_old_nulls(&new), None);
    }

    #[test]
    fn other_converted_types_and_rubbish_stay() {
        assert_eq!(without_old_nulls(&footer(&[0x15, 12, 0x25, 2, 0x18, 1, b'n', 0x25, 0, 0])), None);
        assert_eq!(without_old_nulls(b"nothing"), None);
        assert_eq!(without_old_nulls(&[]), None);
    }
}
