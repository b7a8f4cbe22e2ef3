//! Objects, lists and maps of JSON as columns: one [`JsonNode`] per column and nested field, filled value by value.
//!
//! Attributes are found by name; where records are alike, the next attribute is the next field, and no name is looked
//! up. A field that an object does not have is filled up with NULL when its next value comes, so what is missing costs
//! nothing, and a field that is filled already occurs twice in its object, which is an error. Attributes that are not
//! declared are read for their syntax only, or are an error, as the option `undeclared` says. Each field knows whether
//! any object had it, null included, and whether one had it in other letters.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, FixedSizeListArray, LargeListArray, ListArray, MapArray, NullBufferBuilder, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::arrow::error::ArrowError;

use super::dynamo::{PlainRoom, TypedScalar, typed_scalar};
use super::leaf::{Leaf, Scalar, leaf};
use super::text::{Cursor, Fault, Unfit};
use crate::config::{ColumnSet, Undeclared};
use crate::snapshot::names::OtherCase;
use crate::types::type_name;

/// Room that all values share.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    name: String,
    text: String,
    open: Vec<u8>,
    undeclared: Undeclared,
    /// Columns that folders have, which an object may have too, as JSON writes their names.
    of_path: Vec<String>,
    /// Whether a value that does not fit is NULL, in the column that is being read.
    is_null_invalid: bool,
    /// Such values of that column.
    set_to_null: u64,
    unwrapped: PlainRoom,
}

impl Scratch {
    pub(crate) fn new(undeclared: Undeclared, of_path: &[String]) -> Self {
        let of_path = of_path.iter().map(|name| format!("\"{name}\"")).collect();
        Self { undeclared, of_path, ..Self::default() }
    }

    /// Whether an attribute that is not declared, with the colon after its name, is one too much.
    fn is_too_much(&self, name: &str) -> bool {
        let name = name.trim_end_matches(':').trim_end();
        self.undeclared == Undeclared::Error && !self.of_path.iter().any(|known| known == name)
    }
}

/// Whether the objects of a file have a declared field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Presence {
    /// No object could have had it.
    Unknown,
    /// No object had it.
    Absent,
    /// An object had it, if only with null.
    Present,
}

/// One column or nested field.
pub(crate) struct JsonNode {
    kind: JsonKind,
    data_type: DataType,
}

enum JsonKind {
    /// Nobody asks for it.
    Skipped,
    Leaf(Box<dyn Leaf>),
    Object(Box<Objects>),
    List(Box<Lists>),
    Map(Box<Maps>),
}

impl JsonNode {
    /// None: JSON cannot hold the type.
    pub(crate) fn new(data_type: &DataType) -> Option<Self> {
        let kind = match data_type {
            DataType::Struct(fields) => JsonKind::Object(Box::new(Objects::new(fields)?)),
            DataType::List(item) | DataType::LargeList(item) => JsonKind::List(Box::new(Lists::new(item, None)?)),
            DataType::FixedSizeList(item, size) => {
                JsonKind::List(Box::new(Lists::new(item, Some(usize::try_from(*size).ok()?))?))
            }
            DataType::Map(entries, is_sorted) => JsonKind::Map(Box::new(Maps::new(entries, *is_sorted)?)),
            other => JsonKind::Leaf(leaf(other)?),
        };
        Some(Self { kind, data_type: data_type.clone() })
    }

    fn skipped() -> Self {
        Self { kind: JsonKind::Skipped, data_type: DataType::Null }
    }

    /// Reads a value.
    fn read(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        let byte = cursor.token()?;
        match &mut self.kind {
            JsonKind::Skipped => return cursor.skip(&mut scratch.open, &mut scratch.text),
            _ if byte == b'n' => {
                cursor.word("null")?;
                self.nulls(1);
                return Ok(());
            }
            JsonKind::Object(objects) if byte == b'{' => {
                cursor.advance();
                return objects.read(cursor, scratch);
            }
            JsonKind::List(lists) if byte == b'[' => {
                let start = cursor.at();
                cursor.advance();
                let fits = lists.read(cursor, scratch)?;
                return if fits { Ok(()) } else { Err(self.unfit(cursor.since(start), None)) };
            }
            JsonKind::Map(maps) if byte == b'{' => {
                cursor.advance();
                return maps.read(cursor, scratch);
            }
            _ => {}
        }
        let start = cursor.at();
        let value = match byte {
            b'"' => {
                cursor.advance();
                Scalar::Text(cursor.string(&mut scratch.text)?)
            }
            b'-' | b'0'..=b'9' => Scalar::Number(cursor.number()?),
            b't' => cursor.word("true").map(|()| Scalar::Bool(true))?,
            b'f' => cursor.word("false").map(|()| Scalar::Bool(false))?,
            b'{' | b'[' => {
                cursor.skip(&mut scratch.open, &mut scratch.text)?;
                Scalar::Nested(cursor.since(start))
            }
            _ => return Err(cursor.no_value()),
        };
        self.push(value, scratch.is_null_invalid, &mut scratch.set_to_null)
    }

    /// Reads a value of DynamoDB, with its type around it.
    fn read_typed(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        if matches!(self.kind, JsonKind::Skipped) {
            return cursor.skip(&mut scratch.open, &mut scratch.text);
        }
        match typed_scalar(cursor) {
            Some(TypedScalar::Text(text)) => {
                self.push(Scalar::Text(text), scratch.is_null_invalid, &mut scratch.set_to_null)
            }
            Some(TypedScalar::Number(number)) => {
                self.push(Scalar::Number(number), scratch.is_null_invalid, &mut scratch.set_to_null)
            }
            Some(TypedScalar::Null) => {
                self.nulls(1);
                Ok(())
            }
            None => self.read_unwrapped(cursor, scratch),
        }
    }

    fn read_unwrapped(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        let start = cursor.at();
        let mut unwrapped = std::mem::take(&mut scratch.unwrapped);
        let plain = unwrapped.value(cursor);
        let read =
            plain.and_then(|text| self.read(&mut Cursor::new(text), scratch).map_err(|fault| fault.moved_to(start)));
        scratch.unwrapped = unwrapped;
        read
    }

    /// Adds a value that is not null; one that does not fit is an error, or NULL and counted.
    #[inline(always)]
    fn push(&mut self, value: Scalar<'_>, is_null_invalid: bool, set_to_null: &mut u64) -> Result<(), Fault> {
        match &mut self.kind {
            JsonKind::Leaf(leaf) => match leaf.push(value) {
                Ok(()) => return Ok(()),
                Err(reason) if !is_null_invalid => return Err(self.unfit(value.written(), reason)),
                Err(_) => {}
            },
            _ if !is_null_invalid => return Err(self.unfit(value.written(), None)),
            _ => {}
        }
        *set_to_null += 1;
        self.nulls(1);
        Ok(())
    }

    #[cold]
    fn unfit(&self, value: &str, reason: Option<&'static str>) -> Fault {
        let (value, data_type) = (value.to_owned(), type_name(&self.data_type));
        Fault::Value(Box::new(Unfit { path: Vec::new(), value, data_type, reason }))
    }

    fn nulls(&mut self, count: usize) {
        match &mut self.kind {
            JsonKind::Skipped => {}
            JsonKind::Leaf(leaf) => leaf.nulls(count),
            JsonKind::Object(objects) => {
                objects.nulls.append_n_nulls(count);
                objects.length += count;
            }
            JsonKind::List(lists) => lists.nulls(count),
            JsonKind::Map(maps) => {
                maps.nulls.append_n_nulls(count);
                maps.offsets.resize(maps.offsets.len() + count, maps.length as i32);
            }
        }
    }

    /// The values since the last call; only an incomplete record leaves more than `rows`.
    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let array = match &mut self.kind {
            JsonKind::Skipped => return Err(ArrowError::ComputeError("a skipped column has no values".to_owned())),
            JsonKind::Leaf(leaf) => leaf.finish()?,
            JsonKind::Object(objects) => objects.finish()?,
            JsonKind::List(lists) => lists.finish(&self.data_type)?,
            JsonKind::Map(maps) => maps.finish()?,
        };
        Ok(if array.len() == rows { array } else { array.slice(0, rows) })
    }

    fn fields<'a>(&'a self, path: &str, found: &mut Vec<(String, &'a Attribute, bool)>) {
        match &self.kind {
            JsonKind::Object(objects) => objects.fields(path, found),
            JsonKind::List(lists) => lists.item.fields(&format!("{path}[]"), found),
            JsonKind::Map(maps) => maps.value.fields(&format!("{path}.value"), found),
            JsonKind::Skipped | JsonKind::Leaf(_) => {}
        }
    }
}

/// A field of an object.
pub(crate) struct Attribute {
    name: String,
    /// No character of the name is escaped in JSON.
    is_plain: bool,
    node: JsonNode,
    /// Values so far.
    length: usize,
    is_present: bool,
    /// The name in other letters, as it was seen before the name itself was.
    other_case: Option<Box<str>>,
    /// Of a column of the table: whether values that do not fit are NULL, and how many were.
    is_null_invalid: bool,
    set_to_null: u64,
    /// Those of the last value.
    set_to_null_last: u64,
}

impl Attribute {
    fn new(name: &str, node: JsonNode) -> Self {
        let is_plain = !name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        Self {
            name: name.to_owned(),
            is_plain,
            node,
            length: 0,
            is_present: false,
            other_case: None,
            is_null_invalid: false,
            set_to_null: 0,
            set_to_null_last: 0,
        }
    }

    fn fill(&mut self, length: usize) {
        if self.length < length {
            self.node.nulls(length - self.length);
            self.length = length;
        }
    }

    fn finish(&mut self, length: usize) -> Result<ArrayRef, ArrowError> {
        self.fill(length);
        if self.length > length {
            // The last value is of a record that is read again.
            self.set_to_null -= self.set_to_null_last;
        }
        (self.length, self.set_to_null_last) = (0, 0);
        self.node.finish(length)
    }
}

/// Objects with fields of declared types.
pub(crate) struct Objects {
    columns: Vec<Attribute>,
    names: NameSlots,
    fields: Fields,
    nulls: NullBufferBuilder,
    length: usize,
    /// There was an object that is not null.
    is_any: bool,
}

impl Objects {
    /// None: JSON cannot hold the type of a field.
    pub(crate) fn new(fields: &Fields) -> Option<Self> {
        let columns = fields.iter().map(|field| Some(Attribute::new(field.name(), JsonNode::new(field.data_type())?)));
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let names = NameSlots::new(&columns);
        let nulls = NullBufferBuilder::new(0);
        Some(Self { columns, names, fields: fields.clone(), nulls, length: 0, is_any: false })
    }

    /// The same with columns in which values that do not fit are NULL.
    pub(crate) fn with_null_invalid(mut self, columns: &ColumnSet) -> Self {
        self.columns.iter_mut().for_each(|column| column.is_null_invalid = columns.holds(&column.name));
        self
    }

    /// How many values of each column are NULL because they do not fit.
    pub(crate) fn set_to_null(&self) -> impl Iterator<Item = (&str, u64)> {
        self.columns.iter().map(|column| (column.name.as_str(), column.set_to_null))
    }

    /// The same with further fields, for which only the presence is recorded.
    pub(crate) fn with_skipped<'a>(mut self, names: impl Iterator<Item = &'a str>) -> Self {
        self.columns.extend(names.map(|name| Attribute::new(name, JsonNode::skipped())));
        self.names = NameSlots::new(&self.columns);
        self
    }

    /// Reads an object after its first brace.
    pub(crate) fn read(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        self.read_as::<false>(cursor, scratch)
    }

    /// Reads an item of DynamoDB after its first brace: each value has its type around it.
    pub(crate) fn read_typed(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        self.read_as::<true>(cursor, scratch)
    }

    /// Reads a record of DynamoDB that is not written as most are, or has not one item only.
    #[cold]
    pub(crate) fn read_unwrapped(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        let start = cursor.at();
        let mut unwrapped = std::mem::take(&mut scratch.unwrapped);
        let read = unwrapped.record(cursor).and_then(|text| {
            let mut plain = Cursor::new(text);
            plain.advance();
            self.read(&mut plain, scratch).map_err(|fault| fault.moved_to(start))
        });
        scratch.unwrapped = unwrapped;
        read
    }

    #[inline(always)]
    fn read_as<const TYPED: bool>(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        self.is_any = true;
        let mut next = 0;
        let mut is_first = true;
        while cursor.member(is_first)? {
            is_first = false;
            let start = cursor.at() - 1;
            let position = match self.columns.get(next) {
                Some(column) if column.is_plain && cursor.is_name(&column.name) => Some(next),
                _ => {
                    let name = cursor.string(&mut scratch.name)?;
                    self.find(name)
                }
            };
            cursor.colon()?;
            let Some(position) = position else {
                if scratch.is_too_much(cursor.since(start)) {
                    return Err(cursor.wrong_at(start, undeclared(cursor.since(start))));
                }
                cursor.skip(&mut scratch.open, &mut scratch.text)?;
                continue;
            };
            let column = &mut self.columns[position];
            if column.length > self.length {
                return Err(cursor.wrong_at(start, format!("'{}' occurs twice in one object", column.name)));
            }
            column.fill(self.length);
            column.is_present = true;
            if column.is_null_invalid {
                (scratch.is_null_invalid, scratch.set_to_null) = (true, 0);
            }
            let read = match TYPED {
                true => column.node.read_typed(cursor, scratch),
                false => column.node.read(cursor, scratch),
            };
            if column.is_null_invalid {
                scratch.is_null_invalid = false;
            }
            read.map_err(|fault| fault.within(&column.name))?;
            if column.is_null_invalid {
                column.set_to_null += scratch.set_to_null;
                column.set_to_null_last = scratch.set_to_null;
            }
            column.length += 1;
            next = position + 1;
        }
        self.nulls.append_non_null();
        self.length += 1;
        Ok(())
    }

    fn find(&mut self, name: &str) -> Option<usize> {
        match self.names.find(&self.columns, name) {
            NameMatch::Exact(position) => Some(position),
            NameMatch::OtherCase(position) => {
                let column = &mut self.columns[position];
                if !column.is_present && column.other_case.is_none() {
                    column.other_case = Some(name.into());
                }
                None
            }
            NameMatch::Nothing => None,
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let (length, nulls) = (self.length, self.nulls.finish());
        let columns = self.finish_columns(length, self.fields.len())?;
        let objects = StructArray::try_new_with_length(self.fields.clone(), columns, nulls, length)?;
        Ok(Arc::new(objects))
    }

    /// The first columns since the last time, each of so many values.
    pub(crate) fn finish_columns(&mut self, length: usize, count: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        self.length = 0;
        self.nulls.finish();
        self.columns.iter_mut().skip(count).for_each(|column| column.length = 0);
        self.columns.iter_mut().take(count).map(|column| column.finish(length)).collect()
    }

    fn fields<'a>(&'a self, path: &str, found: &mut Vec<(String, &'a Attribute, bool)>) {
        for column in &self.columns {
            let path = if path.is_empty() { column.name.clone() } else { format!("{path}.{}", column.name) };
            column.node.fields(&path, found);
            found.push((path, column, self.is_any));
        }
    }

    /// All declared fields at any depth, as dotted paths, and whether a file so far has them.
    pub(crate) fn presence(&self) -> Vec<(String, Presence)> {
        let mut found = Vec::new();
        self.fields("", &mut found);
        let presence = |column: &Attribute, is_any| match (column.is_present, is_any) {
            (true, _) => Presence::Present,
            (false, true) => Presence::Absent,
            (false, false) => Presence::Unknown,
        };
        found.into_iter().map(|(path, column, is_any)| (path, presence(column, is_any))).collect()
    }

    /// An error if a file that was read to its end has a field in other letters only.
    pub(crate) fn check_names(&self) -> Result<(), OtherCase> {
        let mut found = Vec::new();
        self.fields("", &mut found);
        let other = found.iter().find_map(|(path, column, _)| match &column.other_case {
            Some(other) if !column.is_present => Some(OtherCase { column: path.clone(), found: other.to_string() }),
            _ => None,
        });
        other.map_or(Ok(()), Err)
    }
}

/// `name` is how it is written, with the colon after it.
#[cold]
fn undeclared(name: &str) -> String {
    let name = name.trim_end_matches(':').trim_end();
    format!("the attribute {name} is not declared; declare it, or set the option 'undeclared' 'ignore'")
}

/// Lists, of one length if that is declared.
struct Lists {
    item: JsonNode,
    field: FieldRef,
    size: Option<usize>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Items of all lists.
    length: usize,
}

impl Lists {
    fn new(item: &FieldRef, size: Option<usize>) -> Option<Self> {
        let (node, field) = (JsonNode::new(item.data_type())?, Arc::clone(item));
        Some(Self { item: node, field, size, offsets: vec![0], nulls: NullBufferBuilder::new(0), length: 0 })
    }

    /// Reads a list after its first bracket; false if it has another length than it should.
    fn read(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<bool, Fault> {
        let mut is_first = true;
        let before = self.length;
        while cursor.element(is_first)? {
            is_first = false;
            self.item.read(cursor, scratch).map_err(|fault| fault.within("[]"))?;
            self.length += 1;
        }
        self.offsets.push(self.length as i32);
        self.nulls.append_non_null();
        Ok(self.size.is_none_or(|size| self.length - before == size))
    }

    fn nulls(&mut self, count: usize) {
        if let Some(size) = self.size {
            self.item.nulls(count * size);
            self.length += count * size;
            (0..count).for_each(|_| self.offsets.push(self.length as i32));
        } else {
            self.offsets.resize(self.offsets.len() + count, self.length as i32);
        }
        self.nulls.append_n_nulls(count);
    }

    fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let items = self.item.finish(offsets.last().map_or(0, |end| *end as usize))?;
        self.length = 0;
        let (field, nulls) = (Arc::clone(&self.field), self.nulls.finish());
        if let DataType::FixedSizeList(_, size) = data_type {
            let lists = FixedSizeListArray::try_new_with_length(field, *size, items, nulls, offsets.len() - 1)?;
            return Ok(Arc::new(lists));
        }
        if let DataType::LargeList(_) = data_type {
            let offsets: Vec<i64> = offsets.into_iter().map(i64::from).collect();
            return Ok(Arc::new(LargeListArray::try_new(field, OffsetBuffer::new(offsets.into()), items, nulls)?));
        }
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets.into()), items, nulls)?))
    }
}

/// Objects whose names are values, too.
struct Maps {
    key: Box<dyn Leaf>,
    key_type: DataType,
    value: JsonNode,
    entries: FieldRef,
    pair: Fields,
    is_sorted: bool,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Entries of all maps.
    length: usize,
    names: HashSet<Box<str>>,
}

impl Maps {
    fn new(entries: &FieldRef, is_sorted: bool) -> Option<Self> {
        let DataType::Struct(pair) = entries.data_type() else { return None };
        let [key, value] = &pair[..] else { return None };
        Some(Self {
            key: leaf(key.data_type())?,
            key_type: key.data_type().clone(),
            value: JsonNode::new(value.data_type())?,
            entries: Arc::clone(entries),
            pair: pair.clone(),
            is_sorted,
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            length: 0,
            names: HashSet::new(),
        })
    }

    /// Reads an object after its first brace.
    fn read(&mut self, cursor: &mut Cursor<'_>, scratch: &mut Scratch) -> Result<(), Fault> {
        self.names.clear();
        let mut is_first = true;
        while cursor.member(is_first)? {
            is_first = false;
            let start = cursor.at() - 1;
            let name = cursor.string(&mut scratch.name)?;
            if !self.names.insert(name.into()) {
                return Err(cursor.wrong_at(start, format!("'{name}' occurs twice in one object")));
            }
            self.key.push(Scalar::Text(name)).map_err(|reason| {
                let (path, value, data_type) = (vec!["key".to_owned()], name.to_owned(), type_name(&self.key_type));
                Fault::Value(Box::new(Unfit { path, value, data_type, reason }))
            })?;
            cursor.colon()?;
            self.value.read(cursor, scratch).map_err(|fault| fault.within("value"))?;
            self.length += 1;
        }
        self.offsets.push(self.length as i32);
        self.nulls.append_non_null();
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let length = offsets.last().map_or(0, |end| *end as usize);
        self.length = 0;
        let keys = self.key.finish()?.slice(0, length);
        let pairs = StructArray::try_new(self.pair.clone(), vec![keys, self.value.finish(length)?], None)?;
        let entries = Arc::clone(&self.entries);
        let (offsets, nulls) = (OffsetBuffer::new(offsets.into()), self.nulls.finish());
        Ok(Arc::new(MapArray::try_new(entries, offsets, pairs, nulls, self.is_sorted)?))
    }
}

/// The positions of names. Names that differ by case only lie side by side, so that one look finds both.
struct NameSlots {
    /// A power of two, at least twice as many as names; positions from 1, 0 is empty.
    slots: Vec<u32>,
}

/// What there is of a name.
enum NameMatch {
    Exact(usize),
    OtherCase(usize),
    Nothing,
}

impl NameSlots {
    fn new(columns: &[Attribute]) -> Self {
        let mut slots = vec![0_u32; (columns.len() * 2).next_power_of_two().max(2)];
        for (position, column) in columns.iter().enumerate() {
            let mut slot = hash(&column.name) as usize & (slots.len() - 1);
            while slots[slot] != 0 {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = position as u32 + 1;
        }
        Self { slots }
    }

    fn find(&self, columns: &[Attribute], name: &str) -> NameMatch {
        let mut slot = hash(name) as usize & (self.slots.len() - 1);
        let mut found = NameMatch::Nothing;
        while let Some(position) = (self.slots[slot] as usize).checked_sub(1) {
            let known = &columns[position].name;
            if known == name {
                return NameMatch::Exact(position);
            }
            if matches!(found, NameMatch::Nothing) && known.eq_ignore_ascii_case(name) {
                found = NameMatch::OtherCase(position);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        found
    }
}

/// The same for names that differ by case only.
fn hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

/// A schema's fields, all of which may be null.
pub(crate) fn nullable(fields: &Fields) -> Fields {
    fields.iter().map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect()
}
