//! Footers that the Parquet reader does not understand, in words that it does (docs/upstream.md).
//!
//! * pyarrow before 0.8 marked columns that are NULL alone with 24 as converted type, a number that the format does not
//!   have. Today this is the logical type UNKNOWN.
//! * Dremio kept notes of its own as fields 14 and above of a column chunk, numbers that the format has given to others
//!   since. The reader takes them for those, whatever type they have. They are left out.
//!
//! A footer has no place that depends on its own length, so parts of it can be written anew. Only footers that could
//! not be read come here.
//!
//! Format: `FileMetaData` in parquet.thrift. Pure.

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

/// `ColumnMetaData`: types of its fields from 14 on.
const LATER: [(i16, u8); 4] = [(14, 6), (15, I32), (16, STRUCT), (17, STRUCT)];

/// The footer as it is meant; None if nothing is to be mended, or it is no footer.
pub(crate) fn mended_footer(footer: &[u8]) -> Option<Vec<u8>> {
    let edits = edits(footer).ok()?;
    if edits.is_empty() {
        return None;
    }
    let (mut mended, mut copied) = (Vec::with_capacity(footer.len()), 0);
    for (place, bytes) in edits {
        mended.extend_from_slice(footer.get(copied..place.start)?);
        mended.extend_from_slice(&bytes);
        copied = place.end;
    }
    mended.extend_from_slice(footer.get(copied..)?);
    Some(mended)
}

/// A field of a struct: its number, its type, and where its value is.
type Field = (i16, u8, Range<usize>);

/// A struct's fields, and where it is.
type StructFields = (Vec<Field>, Range<usize>);

type Edit = (Range<usize>, Vec<u8>);

/// From the footer's beginning to its end.
fn edits(footer: &[u8]) -> Result<Vec<Edit>, Stop> {
    let mut edits = Vec::new();
    for (field, kind, value) in fields_at(footer, 0)?.0 {
        match (field, kind) {
            (2, LIST) => {
                for (fields, place) in structs(footer, value)? {
                    let old = fields.iter().find(|(field, kind, _)| (*field, *kind) == (CONVERTED, I32));
                    let is_old = old.is_some_and(|(_, _, value)| matches!(number(footer, value), Ok(OLD_NULL)));
                    if is_old {
                        let kept = |field: &Field| field.0 != CONVERTED && field.0 != LOGICAL;
                        edits.push((place, written(footer, &fields, kept, Some((LOGICAL, STRUCT, &UNKNOWN)))));
                    }
                }
            }
            (4, LIST) => {
                for (group, _) in structs(footer, value)? {
                    for (_, _, chunks) in group.into_iter().filter(|(field, kind, _)| (*field, *kind) == (1, LIST)) {
                        for (chunk, _) in structs(footer, chunks)? {
                            let metadata = chunk.into_iter().find(|(field, kind, _)| (*field, *kind) == (3, STRUCT));
                            let Some((_, _, place)) = metadata else { continue };
                            let (fields, place) = fields_at(footer, place.start)?;
                            let kept = |field: &Field| field.0 < LATER[0].0 || LATER.contains(&(field.0, field.1));
                            if !fields.iter().all(kept) {
                                edits.push((place, written(footer, &fields, kept, None)));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(edits)
}

fn number(footer: &[u8], value: &Range<usize>) -> Result<i64, Stop> {
    Rest(&footer[value.clone()]).number()
}

/// The fields of the struct that begins there.
fn fields_at(footer: &[u8], start: usize) -> Result<StructFields, Stop> {
    let mut rest = Rest(footer.get(start..).ok_or(Stop::NotThrift)?);
    let (mut fields, mut last) = (Vec::new(), 0);
    while let Some((field, kind)) = rest.field(&mut last)? {
        let from = footer.len() - rest.0.len();
        rest.pass(kind)?;
        fields.push((field, kind, from..footer.len() - rest.0.len()));
    }
    Ok((fields, start..footer.len() - rest.0.len()))
}

/// The structs of the list that is there.
fn structs(footer: &[u8], list: Range<usize>) -> Result<Vec<StructFields>, Stop> {
    let mut rest = Rest(&footer[list.clone()]);
    let (of, count) = rest.list()?;
    if of != STRUCT {
        return Ok(Vec::new());
    }
    let mut at = list.end - rest.0.len();
    let mut all = Vec::new();
    for _ in 0..count {
        let found = fields_at(footer, at)?;
        at = found.1.end;
        all.push(found);
    }
    Ok(all)
}

/// The struct with the fields that are kept, and another one behind them.
fn written(footer: &[u8], fields: &[Field], kept: impl Fn(&Field) -> bool, more: Option<(i16, u8, &[u8])>) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::new(), 0);
    let values = fields.iter().filter(|field| kept(field)).map(|(field, kind, value)| {
        let value = &footer[value.clone()];
        (*field, *kind, value)
    });
    for (field, kind, value) in values.chain(more) {
        match u8::try_from(field - last) {
            Ok(step @ 1..=15) => bytes.push(step << 4 | kind),
            // The long form: the number itself, in at most three bytes.
            _ => {
                bytes.push(kind);
                let mut zigzag = ((field << 1) ^ (field >> 15)).cast_unsigned();
                while zigzag >= 0x80 {
                    bytes.push(zigzag.to_le_bytes()[0] | 0x80);
                    zigzag >>= 7;
                }
                bytes.push(zigzag.to_le_bytes()[0]);
            }
        }
        bytes.extend_from_slice(value);
        last = field;
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer of one column, with rows and a row group of one chunk with this metadata.
    fn footer(column: &[u8], chunk: &[u8]) -> Vec<u8> {
        // Version; a list of two structs: the root with its name and one child, and the column.
        let root = [0x48, 1, b'r', 0x15, 2, 0];
        let group = [&[0x19, 0x1c, 0x3c][..], chunk, &[0, 0x16, 6, 0]].concat();
        [&[0x15, 2, 0x19, 0x2c][..], &root, column, &[0x16, 6, 0x19, 0x1c], &group, &[0]].concat()
    }

    const COLUMN: [u8; 8] = [0x15, 2, 0x25, 2, 0x18, 1, b'n', 0];

    #[test]
    fn old_mark_becomes_the_logical_type_and_all_else_stays() {
        // INT32, optional, named n; converted type; field id 9.
        let old = footer(&[0x15, 2, 0x25, 2, 0x18, 1, b'n', 0x25, 48, 0x35, 18, 0], &[0x15, 2, 0]);
        let new = footer(&[0x15, 2, 0x25, 2, 0x18, 1, b'n', 0x55, 18, 0x1c, 0xbc, 0, 0, 0], &[0x15, 2, 0]);
        assert_eq!(mended_footer(&old), Some(new.clone()));
        assert_eq!(mended_footer(&new), None);
    }

    #[test]
    fn later_fields_of_another_type_are_left_out() {
        // Field 13, a list of nothing as 15, and field 16, a struct.
        let old = footer(&COLUMN, &[0x15, 2, 0xc9, 0x0c, 0x29, 0x1c, 0x15, 2, 0, 0x1c, 0, 0]);
        let new = footer(&COLUMN, &[0x15, 2, 0xc9, 0x0c, 0x3c, 0, 0]);
        assert_eq!(mended_footer(&old), Some(new.clone()));
        assert_eq!(mended_footer(&new), None);
    }

    #[test]
    fn other_converted_types_and_rubbish_stay() {
        assert_eq!(mended_footer(&footer(&[0x15, 12, 0x25, 2, 0x18, 1, b'n', 0x25, 0, 0], &[0])), None);
        assert_eq!(mended_footer(b"nothing"), None);
        assert_eq!(mended_footer(&[]), None);
    }
}
