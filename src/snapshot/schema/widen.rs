//! How two types become one that holds both, and which place made a type what it is.
//!
//! A [`Node`] is the type of one column so far. It only grows, and growing by the same types gives the same type in
//! any order; that is why numbers remember every sort that they have seen. When there is no common type, a [`Clash`]
//! says where the first one came from. Pure: no I/O, and nothing here knows a file format.
//!
//! A type is never one that changes a value. Integers and floats are Float64. Where only types are known, the reader
//! checks each integer, since a float holds every integer of 53 bits and not all others. Where the values of a text
//! file are known, the type is a float only if it holds each of them, else the text of the numbers as they are written.
//! What a file's types do not say about its numbers is in the metadata of its fields, for the files after it
//! ([`Scope::File`]).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

use super::clash::{Clash, TypePlace};
use crate::types::is_utc;

/// Metadata of a field of numbers: [`DIGITS`] or [`AS_TEXT`].
const NUMBERS: &str = "snaplake.numbers";

/// Some of the integers have more digits than a float keeps.
const DIGITS: &str = "digits";

/// The text is that of numbers, which no number type holds all.
const AS_TEXT: &str = "text";

/// Digits of the widest decimal.
const MAX_PRECISION: i16 = 76;

/// What a merged type is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One file, whose types are merged with those of others: a column without a value is Null.
    File,
    /// The whole table: a column without a value is text.
    Table,
}

/// Named nodes in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Members {
    nodes: Vec<Member>,
    index: HashMap<String, usize>,
    /// Objects so far, so that each member knows whether the last one had it.
    objects: u64,
}

#[derive(Debug)]
struct Member {
    name: String,
    node: Node,
    object: u64,
}

impl Members {
    /// Position of the member, which is added if there is none; `hint` is where it is if files are alike.
    pub(crate) fn find(&mut self, name: &str, hint: usize, place: &TypePlace) -> usize {
        if self.nodes.get(hint).is_some_and(|member| member.name == name) {
            return hint;
        }
        if let Some(position) = self.index.get(name) {
            return *position;
        }
        self.index.insert(name.to_owned(), self.nodes.len());
        self.nodes.push(Member { name: name.to_owned(), node: Node::null(place), object: 0 });
        self.nodes.len() - 1
    }

    /// Begins an object.
    pub(crate) fn next_object(&mut self) {
        self.objects += 1;
    }

    /// Marks a member as present in the object; false if it was marked before.
    pub(crate) fn see(&mut self, position: usize) -> bool {
        let member = &mut self.nodes[position];
        std::mem::replace(&mut member.object, self.objects) != self.objects
    }

    /// The member at a position that [`Members::find`] gave.
    pub(crate) fn get_mut(&mut self, position: usize) -> (&str, &mut Node) {
        let member = &mut self.nodes[position];
        (&member.name, &mut member.node)
    }

    /// Takes in the fields of one file's struct or schema.
    pub(crate) fn merge<'a>(
        &mut self,
        fields: impl Iterator<Item = &'a FieldRef>,
        place: &TypePlace,
    ) -> Result<(), Box<Clash>> {
        for (hint, field) in fields.enumerate() {
            let position = self.find(field.name(), hint, place);
            let (name, node) = self.get_mut(position);
            node.merge(field, place).map_err(|clash| clash.within(name))?;
        }
        Ok(())
    }

    /// All members as nullable fields.
    pub(crate) fn fields(&self, scope: Scope) -> Fields {
        self.nodes.iter().map(|member| member.node.field(&member.name, scope)).collect()
    }
}

/// One column or nested field: the type so far, and the place that made it so.
#[derive(Debug)]
pub(crate) struct Node {
    kind: TypeKind,
    place: TypePlace,
}

#[derive(Debug)]
enum TypeKind {
    Null,
    Number(NumberNode),
    /// Digits before and after the point.
    Decimal {
        bits: u16,
        whole: i16,
        scale: i8,
    },
    Timestamp {
        unit: TimeUnit,
        zone: Option<Arc<str>>,
    },
    Time(TimeUnit),
    Text,
    /// The length, if all were fixed-size and of one size.
    Bytes(Option<i32>),
    List(Box<Node>),
    Struct(Members),
    Map {
        key: Box<Node>,
        value: Box<Node>,
        sorted: bool,
    },
    Other(DataType),
}

/// The numbers of one column. Each sort is kept apart with its place, since "a signed one and a UInt64" is a conflict
/// whether a float came before, between or after them.
#[derive(Debug, Default)]
struct NumberNode {
    signed: Option<(u8, TypePlace)>,
    unsigned: Option<(u8, TypePlace)>,
    float: Option<(u8, TypePlace)>,
    /// An integer that a float may not hold.
    long: Option<TypePlace>,
    /// A number that no number type holds.
    has_more: bool,
}

impl NumberNode {
    /// No number type holds all of them.
    fn is_text(&self) -> bool {
        let has_u64 = self.unsigned.as_ref().is_some_and(|(bits, _)| *bits == 64);
        self.has_more || (has_u64 && self.signed.is_some()) || (self.float.is_some() && self.long.is_some())
    }

    fn data_type(&self) -> DataType {
        if self.is_text() {
            return DataType::Utf8;
        }
        let signed = self.signed.as_ref().map(|(bits, _)| *bits);
        let unsigned = self.unsigned.as_ref().map(|(bits, _)| *bits);
        match (self.float.as_ref(), signed, unsigned) {
            (Some((bits, _)), None, None) => float_type(*bits),
            (Some(_), _, _) => DataType::Float64,
            (None, signed, None) => signed_type(signed.unwrap_or(8)),
            (None, None, Some(bits)) => unsigned_type(bits),
            // A signed type needs one bit more than the unsigned one that it holds.
            (None, Some(signed), Some(unsigned)) => signed_type(signed.max(unsigned + 1)),
        }
    }

    /// Takes in an integer that a float does not hold.
    fn long(&mut self, is_long: bool, place: &TypePlace) {
        if is_long && self.long.is_none() {
            self.long = Some(place.clone());
        }
    }

    /// What the type does not say.
    fn remark(&self) -> Option<&'static str> {
        let is_integer = self.float.is_none() && self.long.is_some();
        if self.is_text() { Some(AS_TEXT) } else { is_integer.then_some(DIGITS) }
    }
}

fn float_type(bits: u8) -> DataType {
    match bits {
        16 => DataType::Float16,
        32 => DataType::Float32,
        _ => DataType::Float64,
    }
}

/// The narrowest signed integer type of at least that many bits.
fn signed_type(bits: u8) -> DataType {
    match bits {
        0..=8 => DataType::Int8,
        9..=16 => DataType::Int16,
        17..=32 => DataType::Int32,
        _ => DataType::Int64,
    }
}

/// 63 bits is what JSON text gives that has no sign and fits Int64: signed unless a larger number comes.
fn unsigned_type(bits: u8) -> DataType {
    match bits {
        8 => DataType::UInt8,
        16 => DataType::UInt16,
        32 => DataType::UInt32,
        63 => DataType::Int64,
        _ => DataType::UInt64,
    }
}

/// A type as the rules see it.
#[derive(Debug, Clone, Copy)]
enum Incoming<'a> {
    Null,
    Signed(u8),
    Unsigned(u8),
    Float(u8),
    Numbers,
    Decimal { bits: u16, precision: u8, scale: i8 },
    Timestamp(TimeUnit, Option<&'a Arc<str>>),
    Time(TimeUnit),
    Text,
    Bytes(Option<i32>),
    List(&'a Field),
    Struct(&'a Fields),
    Map(&'a Field, &'a Field, bool),
    Other(&'a DataType),
}

impl<'a> Incoming<'a> {
    fn of(data_type: &'a DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Int8 => Self::Signed(8),
            DataType::Int16 => Self::Signed(16),
            DataType::Int32 => Self::Signed(32),
            DataType::Int64 => Self::Signed(64),
            DataType::UInt8 => Self::Unsigned(8),
            DataType::UInt16 => Self::Unsigned(16),
            DataType::UInt32 => Self::Unsigned(32),
            DataType::UInt64 => Self::Unsigned(64),
            DataType::Float16 => Self::Float(16),
            DataType::Float32 => Self::Float(32),
            DataType::Float64 => Self::Float(64),
            DataType::Decimal32(precision, scale) => Self::Decimal { bits: 32, precision: *precision, scale: *scale },
            DataType::Decimal64(precision, scale) => Self::Decimal { bits: 64, precision: *precision, scale: *scale },
            DataType::Decimal128(precision, scale) => Self::Decimal { bits: 128, precision: *precision, scale: *scale },
            DataType::Decimal256(precision, scale) => Self::Decimal { bits: 256, precision: *precision, scale: *scale },
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytes(None),
            DataType::FixedSizeBinary(size) => Self::Bytes(Some(*size)),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => Self::List(item),
            DataType::Struct(fields) => Self::Struct(fields),
            DataType::Map(entries, sorted) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => Self::Map(&pair[0], &pair[1], *sorted),
                _ => Self::Other(data_type),
            },
            DataType::Timestamp(unit, zone) => Self::Timestamp(*unit, zone.as_ref()),
            DataType::Time32(unit) | DataType::Time64(unit) => Self::Time(*unit),
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            other => Self::Other(other),
        }
    }
}

impl Node {
    /// A column of which no value was seen yet.
    pub(crate) fn null(place: &TypePlace) -> Self {
        Self { kind: TypeKind::Null, place: place.clone() }
    }

    /// Widens this type so that it holds the field's too.
    pub(crate) fn merge(&mut self, field: &Field, place: &TypePlace) -> Result<(), Box<Clash>> {
        let data_type = field.data_type();
        let remark = field.metadata().get(NUMBERS).map(String::as_str);
        let incoming = if remark == Some(AS_TEXT) { Incoming::Numbers } else { Incoming::of(data_type) };
        match incoming {
            Incoming::Null => Ok(()),
            Incoming::Numbers => self.numbers(place),
            Incoming::Signed(bits) => self.signed(bits, remark.is_some(), place),
            Incoming::Unsigned(bits) => self.unsigned(bits, remark.is_some(), place),
            Incoming::Float(bits) => self.float(bits, place),
            Incoming::Text => self.text(place),
            Incoming::List(item) => {
                let element = self.list(place).map_err(|clash| clash.with_second(data_type))?;
                element.merge(item, place).map_err(|clash| clash.within("[]"))
            }
            Incoming::Struct(fields) => {
                let members = self.members(place).map_err(|clash| clash.with_second(data_type))?;
                members.merge(fields.iter(), place)
            }
            Incoming::Map(key, value, is_sorted) => {
                self.set_if_null(place, || TypeKind::Map {
                    key: Box::new(Self::null(place)),
                    value: Box::new(Self::null(place)),
                    sorted: is_sorted,
                });
                let TypeKind::Map { key: keys, value: values, sorted } = &mut self.kind else {
                    return Err(self.clash(data_type));
                };
                *sorted &= is_sorted;
                keys.merge(key, place).map_err(|clash| clash.within("key"))?;
                values.merge(value, place).map_err(|clash| clash.within("value"))
            }
            Incoming::Decimal { bits, precision, scale } => self.decimal((bits, precision, scale), data_type, place),
            Incoming::Timestamp(unit, zone) => self.timestamp(unit, zone, data_type, place),
            Incoming::Time(unit) => {
                self.set_if_null(place, || TypeKind::Time(unit));
                match &mut self.kind {
                    TypeKind::Time(known) if *known >= unit => Ok(()),
                    TypeKind::Time(known) => {
                        *known = unit;
                        self.place = place.clone();
                        Ok(())
                    }
                    _ => Err(self.clash(data_type)),
                }
            }
            Incoming::Bytes(size) => {
                self.set_if_null(place, || TypeKind::Bytes(size));
                match &mut self.kind {
                    TypeKind::Bytes(known) if *known == size => Ok(()),
                    TypeKind::Bytes(known) => {
                        *known = None;
                        self.place = place.clone();
                        Ok(())
                    }
                    _ => Err(self.clash(data_type)),
                }
            }
            Incoming::Other(other) => {
                self.set_if_null(place, || TypeKind::Other(other.clone()));
                match &self.kind {
                    TypeKind::Other(known) if known == other => Ok(()),
                    _ => Err(self.clash(other)),
                }
            }
        }
    }

    /// Decimals widen to as many digits before and after the point as any of them has.
    fn decimal(
        &mut self,
        (bits, precision, scale): (u16, u8, i8),
        data_type: &DataType,
        place: &TypePlace,
    ) -> Result<(), Box<Clash>> {
        let whole = i16::from(precision) - i16::from(scale);
        self.set_if_null(place, || TypeKind::Decimal { bits, whole, scale });
        let TypeKind::Decimal { bits: b, whole: w, scale: s } = &mut self.kind else {
            return Err(self.clash(data_type));
        };
        let wider = (bits.max(*b), whole.max(*w), scale.max(*s));
        if wider.1 + i16::from(wider.2) > MAX_PRECISION {
            return Err(self.clash(data_type));
        }
        if (*b, *w, *s) != wider {
            (*b, *w, *s) = wider;
            self.place = place.clone();
        }
        Ok(())
    }

    /// Timestamps of one zone widen to the finest unit. Nanoseconds end in 2262, so only where values are known, and
    /// each is checked again when it is read, may they take in others.
    fn timestamp(
        &mut self,
        unit: TimeUnit,
        zone: Option<&Arc<str>>,
        data_type: &DataType,
        place: &TypePlace,
    ) -> Result<(), Box<Clash>> {
        let zone = zone.map(|zone| if is_utc(zone) { Arc::from("UTC") } else { Arc::clone(zone) });
        self.set_if_null(place, || TypeKind::Timestamp { unit, zone: zone.clone() });
        let is_nano = |unit: TimeUnit| unit == TimeUnit::Nanosecond;
        match &mut self.kind {
            TypeKind::Timestamp { zone: known, .. } if *known != zone => Err(self.clash(data_type)),
            TypeKind::Timestamp { unit: known, .. } if place.is_typed() && is_nano(*known) != is_nano(unit) => {
                Err(self.clash(data_type))
            }
            TypeKind::Timestamp { unit: known, .. } => {
                if *known < unit {
                    *known = unit;
                    self.place = place.clone();
                }
                Ok(())
            }
            _ => Err(self.clash(data_type)),
        }
    }

    /// Widens to hold text.
    pub(crate) fn text(&mut self, place: &TypePlace) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || TypeKind::Text);
        if matches!(self.kind, TypeKind::Text) { Ok(()) } else { Err(self.clash(&DataType::Utf8)) }
    }

    /// Widens to hold booleans.
    pub(crate) fn boolean(&mut self, place: &TypePlace) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || TypeKind::Other(DataType::Boolean));
        let is_boolean = matches!(self.kind, TypeKind::Other(DataType::Boolean));
        if is_boolean { Ok(()) } else { Err(self.clash(&DataType::Boolean)) }
    }

    /// Widens to hold numbers that no number type holds, as text.
    pub(crate) fn numbers(&mut self, place: &TypePlace) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || TypeKind::Number(NumberNode::default()));
        let TypeKind::Number(number) = &mut self.kind else { return Err(self.clash(&DataType::Float64)) };
        number.has_more = true;
        Ok(())
    }

    /// Widens to hold a signed integer of that many bits; `is_long`: a float may not hold it.
    pub(crate) fn signed(&mut self, bits: u8, is_long: bool, place: &TypePlace) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || TypeKind::Number(NumberNode::default()));
        let TypeKind::Number(number) = &mut self.kind else { return Err(self.clash(&signed_type(bits))) };
        if number.signed.as_ref().is_some_and(|(known, _)| *known >= bits) && (!is_long || number.long.is_some()) {
            return Ok(());
        }
        if let Some((64, first)) = &number.unsigned
            && place.is_typed()
        {
            return Err(Clash::new(first, &DataType::UInt64, &signed_type(bits)));
        }
        let before = number.data_type();
        number.long(is_long, place);
        if number.signed.as_ref().is_none_or(|(known, _)| *known < bits) {
            number.signed = Some((bits, place.clone()));
        }
        if number.data_type() != before {
            self.place = place.clone();
        }
        Ok(())
    }

    /// Widens to hold an unsigned integer of that many bits (63: one that fits Int64 as well).
    pub(crate) fn unsigned(&mut self, bits: u8, is_long: bool, place: &TypePlace) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || TypeKind::Number(NumberNode::default()));
        let TypeKind::Number(number) = &mut self.kind else { return Err(self.clash(&unsigned_type(bits))) };
        if number.unsigned.as_ref().is_some_and(|(known, _)| *known >= bits) && (!is_long || number.long.is_some()) {
            return Ok(());
        }
        if let (64, Some((known, first))) = (bits, &number.signed)
            && place.is_typed()
        {
            return Err(Clash::new(first, &signed_type(*known), &DataType::UInt64));
        }
        let before = number.data_type();
        number.long(is_long, place);
        if number.unsigned.as_ref().is_none_or(|(known, _)| *known < bits) {
            number.unsigned = Some((bits, place.clone()));
        }
        if number.data_type() != before {
            self.place = place.clone();
        }
        Ok(())
    }

    /// Widens to hold a float of that many bits.
    pub(crate) fn float(&mut self, bits: u8, place: &TypePlace) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || TypeKind::Number(NumberNode::default()));
        let TypeKind::Number(number) = &mut self.kind else { return Err(self.clash(&float_type(bits))) };
        if number.float.as_ref().is_none_or(|(known, _)| *known < bits) {
            let before = number.data_type();
            number.float = Some((bits, place.clone()));
            if number.data_type() != before {
                self.place = place.clone();
            }
        }
        Ok(())
    }

    /// The members of what must be a struct.
    pub(crate) fn members(&mut self, place: &TypePlace) -> Result<&mut Members, Box<Clash>> {
        self.set_if_null(place, || TypeKind::Struct(Members::default()));
        if !matches!(self.kind, TypeKind::Struct(_)) {
            return Err(self.clash(&DataType::Struct(Fields::empty())));
        }
        match &mut self.kind {
            TypeKind::Struct(members) => Ok(members),
            _ => unreachable!("checked above"),
        }
    }

    /// The element of what must be a list.
    pub(crate) fn list(&mut self, place: &TypePlace) -> Result<&mut Self, Box<Clash>> {
        self.set_if_null(place, || TypeKind::List(Box::new(Self::null(place))));
        if !matches!(self.kind, TypeKind::List(_)) {
            return Err(self.clash(&DataType::new_list(DataType::Null, true)));
        }
        match &mut self.kind {
            TypeKind::List(element) => Ok(element),
            _ => unreachable!("checked above"),
        }
    }

    fn set_if_null(&mut self, place: &TypePlace, kind: impl FnOnce() -> TypeKind) {
        if matches!(self.kind, TypeKind::Null) {
            self.kind = kind();
            self.place = place.clone();
        }
    }

    #[cold]
    fn clash(&self, second: &DataType) -> Box<Clash> {
        let clash = Clash::new(&self.place, &self.data_type(Scope::File), second);
        match &self.kind {
            TypeKind::Number(number) if number.is_text() => clash.with_first("a number"),
            _ => clash,
        }
    }

    fn field(&self, name: &str, scope: Scope) -> Field {
        let field = Field::new(name, self.data_type(scope), true);
        match &self.kind {
            TypeKind::Number(number) if scope == Scope::File => {
                let remark = number.remark().map(|remark| (NUMBERS.to_owned(), remark.to_owned()));
                field.with_metadata(remark.into_iter().collect())
            }
            _ => field,
        }
    }

    fn data_type(&self, scope: Scope) -> DataType {
        match &self.kind {
            TypeKind::Null if scope == Scope::File => DataType::Null,
            TypeKind::Null | TypeKind::Text => DataType::Utf8,
            TypeKind::Number(number) => number.data_type(),
            TypeKind::Decimal { bits, whole, scale } => decimal_type(*bits, *whole, *scale),
            TypeKind::Timestamp { unit, zone } => DataType::Timestamp(*unit, zone.clone()),
            TypeKind::Time(unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => DataType::Time32(*unit),
            TypeKind::Time(unit) => DataType::Time64(*unit),
            TypeKind::Bytes(None) => DataType::Binary,
            TypeKind::Bytes(Some(size)) => DataType::FixedSizeBinary(*size),
            TypeKind::List(element) => DataType::List(Arc::new(element.field(Field::LIST_FIELD_DEFAULT_NAME, scope))),
            TypeKind::Struct(members) => DataType::Struct(members.fields(scope)),
            TypeKind::Map { key, value, sorted } => {
                let pair = vec![key.field("key", scope).with_nullable(false), value.field("value", scope)];
                let entries = Field::new("entries", DataType::Struct(Fields::from(pair)), false);
                DataType::Map(Arc::new(entries), *sorted)
            }
            TypeKind::Other(data_type) => data_type.clone(),
        }
    }
}

/// The narrowest decimal of at least so many bits with so many digits before and after the point.
fn decimal_type(bits: u16, whole: i16, scale: i8) -> DataType {
    let precision = (whole + i16::from(scale)).clamp(1, MAX_PRECISION) as u8;
    match (bits, precision) {
        (32, ..=9) => DataType::Decimal32(precision, scale),
        (..=64, ..=18) => DataType::Decimal64(precision, scale),
        (..=128, ..=38) => DataType::Decimal128(precision, scale),
        _ => DataType::Decimal256(precision, scale),
    }
}
