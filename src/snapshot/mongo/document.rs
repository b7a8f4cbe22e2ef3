//! One BSON document as one JSON object.
//!
//! | BSON | JSON |
//! |---|---|
//! | double | the shortest number that is it, with a point or an exponent; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | int32, int64, decimal128 | a number with every digit; decimals that are not finite as doubles |
//! | string, symbol, JavaScript | a text |
//! | document, array | an object, a list |
//! | binary | hexadecimal text; UUIDs (subtypes 3 and 4) as such |
//! | ObjectId | 24 hexadecimal digits |
//! | UTC datetime | `"2013-01-31T05:00:00.250Z"` |
//! | null, undefined | null |
//! | regular expression | `"/pattern/options"` |
//! | timestamp | `{"t":seconds,"i":ordinal}` |
//! | DBPointer | `{"$ref":namespace,"$id":ObjectId}` |
//! | JavaScript with scope | `{"$code":text,"$scope":object}` |
//! | MinKey, MaxKey | `{"$minKey":1}`, `{"$maxKey":1}` |
//!
//! A name that occurs twice in one object, text that is no UTF-8, a length that does not fit, an unknown type, more
//! than [`MAX_DEPTH`] levels: all are errors. Names within arrays are not looked at, as MongoDB does not.
//!
//! Format: <https://bsonspec.org/spec.html>.

use thiserror::Error;

use super::decimal::put_decimal;
use super::plain::{put_binary, put_content, put_date, put_double, put_hex, put_integer, put_text};

/// Documents and arrays within one another; MongoDB takes 100.
pub(crate) const MAX_DEPTH: usize = 128;

/// A document of no elements.
pub(crate) const SHORTEST: usize = 5;

/// Up to so many names of an object are compared as they come, more are sorted at its end.
const FEW_NAMES: usize = 32;

/// Binary values whose bytes have their length before them once more.
const OLD_BINARY: u8 = 2;

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BsonDamage {
    #[error("a document claims a length of {length} bytes, which is not from 5 to {most}")]
    DocumentLength { length: i64, most: usize },
    #[error("a nested document claims a length of {0} bytes, which does not fit into the document around it")]
    NestedLength(i64),
    #[error("a value claims a length of {0} bytes, which does not fit into its document")]
    ValueLength(i64),
    #[error("a {0} does not end with a zero byte")]
    Terminator(&'static str),
    #[error("the document ends within an element")]
    Short,
    #[error("bytes follow the last element of a document")]
    Surplus,
    #[error("'{0}' occurs twice in one object")]
    Twice(String),
    #[error("a {0} is not UTF-8")]
    Encoding(&'static str),
    #[error("a boolean is {0}, which is neither 0 nor 1")]
    Boolean(u8),
    #[error("a decimal has more than 34 digits")]
    Decimal,
    #[error("an element has the unknown type 0x{0:02x}")]
    Type(u8),
    #[error("documents nest more than {MAX_DEPTH} deep")]
    Depth,
    #[error("the file ends within a document")]
    Cut,
}

/// Where it is: a byte of the document.
#[derive(Debug)]
pub(crate) struct DamageAt {
    pub(crate) at: usize,
    pub(crate) damage: BsonDamage,
}

type ValueWalk<T> = Result<T, DamageAt>;

/// A name of an object that is open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BsonName {
    at: u32,
    hash: u32,
}

/// Walks over one document that is there as a whole.
pub(crate) struct DocumentWalk<'a> {
    bytes: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// Names of all objects that are open; room that all documents share.
    names: &'a mut Vec<BsonName>,
}

/// What a document is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueShape {
    Object,
    List,
}

impl<'a> DocumentWalk<'a> {
    pub(crate) fn new(bytes: &'a [u8], out: &'a mut Vec<u8>, names: &'a mut Vec<BsonName>) -> Self {
        names.clear();
        Self { bytes, at: 0, out, names }
    }

    /// Writes the document as an object.
    pub(crate) fn write(mut self) -> ValueWalk<()> {
        self.nested(self.bytes.len(), ValueShape::Object, 1)?;
        if self.at < self.bytes.len() { Err(self.wrong(BsonDamage::Surplus)) } else { Ok(()) }
    }

    #[cold]
    fn wrong(&self, damage: BsonDamage) -> DamageAt {
        DamageAt { at: self.at, damage }
    }

    #[inline]
    fn take<const N: usize>(&mut self, end: usize) -> ValueWalk<[u8; N]> {
        let taken = self.bytes.get(self.at..end).and_then(|rest| rest.first_chunk::<N>());
        let taken = taken.ok_or_else(|| self.wrong(BsonDamage::Short))?;
        self.at += N;
        Ok(*taken)
    }

    #[inline]
    fn int32(&mut self, end: usize) -> ValueWalk<i32> {
        self.take(end).map(i32::from_le_bytes)
    }

    /// So many bytes.
    #[inline]
    fn span(&mut self, length: i64, end: usize) -> ValueWalk<&'a [u8]> {
        let bytes = self.bytes;
        let to = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length)).filter(|to| *to <= end);
        let Some(found) = to.and_then(|to| bytes.get(self.at..to)) else {
            return Err(self.wrong(BsonDamage::ValueLength(length)));
        };
        self.at += found.len();
        Ok(found)
    }

    /// A text with its length before it and a zero byte after it.
    #[inline]
    fn text(&mut self, end: usize) -> ValueWalk<&'a [u8]> {
        let start = self.at;
        let length = self.int32(end)?;
        if length < 1 {
            self.at = start;
            return Err(self.wrong(BsonDamage::ValueLength(length.into())));
        }
        let found = self.span(length.into(), end)?;
        match found.split_last() {
            Some((0, text)) => Ok(text),
            _ => Err(self.wrong(BsonDamage::Terminator("text"))),
        }
    }

    /// A text up to a zero byte.
    #[inline]
    fn terminated(&mut self, what: &'static str, end: usize) -> ValueWalk<&'a [u8]> {
        let bytes = self.bytes;
        let rest = bytes.get(self.at..end).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == 0) else {
            return Err(self.wrong(BsonDamage::Terminator(what)));
        };
        self.at += length + 1;
        Ok(&rest[..length])
    }

    #[inline]
    fn put_text(&mut self, text: &[u8], what: &'static str) -> ValueWalk<()> {
        put_text(self.out, text).map_err(|_| self.wrong(BsonDamage::Encoding(what)))
    }

    /// A document or an array, whose length is next and which ends at `end` at the latest.
    fn nested(&mut self, end: usize, shape: ValueShape, depth: usize) -> ValueWalk<()> {
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.wrong(BsonDamage::Depth));
        }
        let length = self.int32(end)?;
        let own_end = usize::try_from(length).ok().filter(|length| *length >= SHORTEST);
        let own_end = own_end.and_then(|length| start.checked_add(length)).filter(|own_end| *own_end <= end);
        let Some(own_end) = own_end else {
            self.at = start;
            return Err(self.wrong(BsonDamage::NestedLength(length.into())));
        };
        let last = own_end - 1;
        if self.bytes.get(last) != Some(&0) {
            self.at = last;
            return Err(self.wrong(BsonDamage::Terminator("document")));
        }
        let first_name = self.names.len();
        self.out.push(if shape == ValueShape::Object { b'{' } else { b'[' });
        let mut is_first = true;
        while self.at < last {
            let [kind] = self.take(last)?;
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            let name_at = self.at;
            let name = self.terminated("name", last)?;
            if shape == ValueShape::Object {
                self.name(name, name_at, first_name)?;
            }
            self.value(kind, last, depth)?;
        }
        self.at = own_end;
        if shape == ValueShape::Object {
            self.check_names(first_name)?;
        }
        self.out.push(if shape == ValueShape::Object { b'}' } else { b']' });
        Ok(())
    }

    /// Writes a name, which must be new in its object.
    #[inline]
    fn name(&mut self, name: &[u8], at: usize, first_name: usize) -> ValueWalk<()> {
        let hash = hash(name);
        let known = &self.names[first_name..];
        if known.len() < FEW_NAMES {
            let is_like = known.iter().fold(false, |any, other| any | (other.hash == hash));
            if is_like && known.iter().any(|other| other.hash == hash && self.name_at(*other) == name) {
                self.at = at;
                return Err(self.twice(name));
            }
        }
        self.names.push(BsonName { at: at as u32, hash });
        self.out.push(b'"');
        put_content(self.out, name).map_err(|_| DamageAt { at, damage: BsonDamage::Encoding("name") })?;
        self.out.extend_from_slice(b"\":");
        Ok(())
    }

    fn name_at(&self, name: BsonName) -> &'a [u8] {
        let rest = self.bytes.get(name.at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Compares the names of an object that has many, and forgets them.
    fn check_names(&mut self, first: usize) -> ValueWalk<()> {
        if self.names.len() - first > FEW_NAMES {
            let mut names = self.names.split_off(first);
            names.sort_unstable_by_key(|name| (self.name_at(*name), name.at));
            let twice = names.windows(2).find(|pair| self.name_at(pair[0]) == self.name_at(pair[1]));
            if let Some([_, second]) = twice {
                self.at = second.at as usize;
                return Err(self.twice(self.name_at(*second)));
            }
        }
        self.names.truncate(first);
        Ok(())
    }

    #[cold]
    fn twice(&self, name: &[u8]) -> DamageAt {
        self.wrong(BsonDamage::Twice(String::from_utf8_lossy(name).into_owned()))
    }

    #[inline]
    fn value(&mut self, kind: u8, end: usize, depth: usize) -> ValueWalk<()> {
        match kind {
            0x01 => {
                let value = f64::from_le_bytes(self.take(end)?);
                put_double(self.out, value);
            }
            0x02 | 0x0d | 0x0e => {
                let text = self.text(end)?;
                self.put_text(text, "text")?;
            }
            0x03 => self.nested(end, ValueShape::Object, depth + 1)?,
            0x04 => self.nested(end, ValueShape::List, depth + 1)?,
            0x05 => self.binary(end)?,
            0x06 | 0x0a => self.out.extend_from_slice(b"null"),
            0x07 => {
                let id: [u8; 12] = self.take(end)?;
                put_hex(self.out, &id);
            }
            0x08 => match self.take(end)? {
                [0] => self.out.extend_from_slice(b"false"),
                [1] => self.out.extend_from_slice(b"true"),
                [other] => {
                    self.at -= 1;
                    return Err(self.wrong(BsonDamage::Boolean(other)));
                }
            },
            0x09 => {
                let milliseconds = i64::from_le_bytes(self.take(end)?);
                put_date(self.out, milliseconds);
            }
            0x0b => self.expression(end)?,
            0x0c => {
                let namespace = self.text(end)?;
                self.out.extend_from_slice(b"{\"$ref\":");
                self.put_text(namespace, "namespace")?;
                self.out.extend_from_slice(b",\"$id\":");
                let id: [u8; 12] = self.take(end)?;
                put_hex(self.out, &id);
                self.out.push(b'}');
            }
            0x0f => self.scoped(end, depth)?,
            0x10 => {
                let value = self.int32(end)?;
                put_integer(self.out, value.into());
            }
            0x11 => {
                let ordinal = u32::from_le_bytes(self.take(end)?);
                let seconds = u32::from_le_bytes(self.take(end)?);
                put_timestamp(self.out, seconds, ordinal);
            }
            0x12 => {
                let value = i64::from_le_bytes(self.take(end)?);
                put_integer(self.out, value);
            }
            0x13 => {
                let bytes = self.take(end)?;
                if !put_decimal(self.out, bytes) {
                    self.at -= 16;
                    return Err(self.wrong(BsonDamage::Decimal));
                }
            }
            0x7f => self.out.extend_from_slice(b"{\"$maxKey\":1}"),
            0xff => self.out.extend_from_slice(b"{\"$minKey\":1}"),
            _ => return Err(self.wrong(BsonDamage::Type(kind))),
        }
        Ok(())
    }

    fn binary(&mut self, end: usize) -> ValueWalk<()> {
        let length = self.int32(end)?;
        let [subtype] = self.take(end)?;
        let mut bytes = self.span(length.into(), end)?;
        if subtype == OLD_BINARY {
            let inner = bytes.split_first_chunk().map(|(length, inner)| (i32::from_le_bytes(*length), inner));
            bytes = match inner {
                Some((length, inner)) if usize::try_from(length) == Ok(inner.len()) => inner,
                _ => return Err(self.wrong(BsonDamage::ValueLength(length.into()))),
            };
        }
        put_binary(self.out, subtype, bytes);
        Ok(())
    }

    fn expression(&mut self, end: usize) -> ValueWalk<()> {
        let wrong = BsonDamage::Encoding("regular expression");
        let pattern = self.terminated("regular expression", end)?;
        let options = self.terminated("regular expression", end)?;
        self.out.extend_from_slice(b"\"/");
        put_content(self.out, pattern).map_err(|_| self.wrong(wrong.clone()))?;
        self.out.push(b'/');
        put_content(self.out, options).map_err(|_| self.wrong(wrong))?;
        self.out.push(b'"');
        Ok(())
    }

    /// JavaScript with the variables that it sees.
    fn scoped(&mut self, end: usize, depth: usize) -> ValueWalk<()> {
        let start = self.at;
        let length = self.int32(end)?;
        let own_end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let Some(own_end) = own_end.filter(|own_end| *own_end <= end) else {
            return Err(self.wrong(BsonDamage::ValueLength(length.into())));
        };
        let code = self.text(own_end)?;
        self.out.extend_from_slice(b"{\"$code\":");
        self.put_text(code, "text")?;
        self.out.extend_from_slice(b",\"$scope\":");
        self.nested(own_end, ValueShape::Object, depth + 1)?;
        self.out.push(b'}');
        if self.at == own_end { Ok(()) } else { Err(self.wrong(BsonDamage::ValueLength(length.into()))) }
    }
}

/// MongoDB's own kind of timestamps, of its log of operations.
pub(crate) fn put_timestamp(out: &mut Vec<u8>, seconds: u32, ordinal: u32) {
    out.extend_from_slice(b"{\"t\":");
    put_integer(out, seconds.into());
    out.extend_from_slice(b",\"i\":");
    put_integer(out, ordinal.into());
    out.push(b'}');
}

/// Only to tell names apart that differ; names that are alike are compared.
#[inline]
fn hash(name: &[u8]) -> u32 {
    let (words, rest) = name.as_chunks::<4>();
    let mix = |hash: u32, word: u32| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b1);
    let hash = words.iter().fold(name.len() as u32, |hash, word| mix(hash, u32::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, (*byte).into()))
}
