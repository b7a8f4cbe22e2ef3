//! How two types become one that holds both, and which place made a type what it is.
//!
//! A [`Node`] is the type of one column so far. It only grows, and growing by the same types gives the same type in
//! any order; that is why numbers remember every sort that they have seen. When there is no common type, a [`Clash`]
//! says where the first one came from. Pure: no I/O, and nothing here knows a file format.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::clash::{Clash, Place};

/// Named nodes in order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Members {
    nodes: Vec<(String, Node)>,
    index: HashMap<String, usize>,
}

impl Members {
    /// Position of the member, which is added if there is none; `hint` is where it stands if files are alike.
    pub(super) fn find(&mut self, name: &str, hint: usize, place: &Place) -> usize {
        if self.nodes.get(hint).is_some_and(|(known, _)| known == name) {
            return hint;
        }
        if let Some(position) = self.index.get(name) {
            return *position;
        }
        self.index.insert(name.to_owned(), self.nodes.len());
        self.nodes.push((name.to_owned(), Node::null(place)));
        self.nodes.len() - 1
    }

    /// The member at a position that [`Members::find`] gave.
    pub(super) fn get_mut(&mut self, position: usize) -> (&str, &mut Node) {
        let (name, node) = &mut self.nodes[position];
        (name, node)
    }

    /// Takes in the fields of one file's struct or schema.
    pub(super) fn merge<'a>(
        &mut self,
        fields: impl Iterator<Item = &'a FieldRef>,
        place: &Place,
    ) -> Result<(), Box<Clash>> {
        for (hint, field) in fields.enumerate() {
            let position = self.find(field.name(), hint, place);
            let (name, node) = self.get_mut(position);
            node.merge(field.data_type(), place).map_err(|clash| clash.within(name))?;
        }
        Ok(())
    }

    /// All members as nullable fields; `null` is the type of those that never had a value.
    pub(super) fn fields(&self, null: &DataType) -> Fields {
        self.nodes.iter().map(|(name, node)| Field::new(name, node.data_type(null), true)).collect()
    }
}

/// One column or nested field: the type so far, and the place that made it so.
#[derive(Debug)]
pub(super) struct Node {
    kind: Kind,
    place: Place,
}

#[derive(Debug)]
enum Kind {
    Null,
    Number(Number),
    Decimal {
        bits: u16,
        precision: u8,
        scale: i8,
    },
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
struct Number {
    signed: Option<(u8, Place)>,
    unsigned: Option<(u8, Place)>,
    float: Option<u8>,
}

impl Number {
    fn data_type(&self) -> DataType {
        let signed = self.signed.as_ref().map(|(bits, _)| *bits);
        let unsigned = self.unsigned.as_ref().map(|(bits, _)| *bits);
        match (self.float, signed, unsigned) {
            (Some(bits), None, None) => float_type(bits),
            (Some(_), _, _) => DataType::Float64,
            (None, signed, None) => signed_type(signed.unwrap_or(8)),
            (None, None, Some(bits)) => unsigned_type(bits),
            // A signed type needs one bit more than the unsigned one that it holds.
            (None, Some(signed), Some(unsigned)) => signed_type(signed.max(unsigned + 1)),
        }
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
    Decimal { bits: u16, precision: u8, scale: i8 },
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
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            other => Self::Other(other),
        }
    }
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

impl Node {
    /// A column of which no value was seen yet.
    pub(super) fn null(place: &Place) -> Self {
        Self { kind: Kind::Null, place: place.clone() }
    }

    /// Widens this type so that it holds the other one too.
    pub(super) fn merge(&mut self, data_type: &DataType, place: &Place) -> Result<(), Box<Clash>> {
        match Incoming::of(data_type) {
            Incoming::Null => Ok(()),
            Incoming::Signed(bits) => self.signed(bits, place),
            Incoming::Unsigned(bits) => self.unsigned(bits, place),
            Incoming::Float(bits) => self.float(bits, place),
            Incoming::Text => self.text(place),
            Incoming::List(item) => {
                let element = self.list(place).map_err(|clash| clash.with_second(data_type))?;
                element.merge(item.data_type(), place).map_err(|clash| clash.within("[]"))
            }
            Incoming::Struct(fields) => {
                let members = self.members(place).map_err(|clash| clash.with_second(data_type))?;
                members.merge(fields.iter(), place)
            }
            Incoming::Map(key, value, is_sorted) => {
                self.set_if_null(place, || Kind::Map {
                    key: Box::new(Self::null(place)),
                    value: Box::new(Self::null(place)),
                    sorted: is_sorted,
                });
                let Kind::Map { key: keys, value: values, sorted } = &mut self.kind else {
                    return Err(self.clash(data_type.clone()));
                };
                *sorted &= is_sorted;
                keys.merge(key.data_type(), place).map_err(|clash| clash.within("key"))?;
                values.merge(value.data_type(), place).map_err(|clash| clash.within("value"))
            }
            Incoming::Decimal { bits, precision, scale } => {
                self.set_if_null(place, || Kind::Decimal { bits, precision, scale });
                match &mut self.kind {
                    Kind::Decimal { bits: b, precision: p, scale: s } if *s == scale => {
                        if *b < bits || *p < precision {
                            (*b, *p) = (bits.max(*b), precision.max(*p));
                            self.place = place.clone();
                        }
                        Ok(())
                    }
                    _ => Err(self.clash(data_type.clone())),
                }
            }
            Incoming::Bytes(size) => {
                self.set_if_null(place, || Kind::Bytes(size));
                match &mut self.kind {
                    Kind::Bytes(known) if *known == size => Ok(()),
                    Kind::Bytes(known) => {
                        *known = None;
                        self.place = place.clone();
                        Ok(())
                    }
                    _ => Err(self.clash(data_type.clone())),
                }
            }
            Incoming::Other(other) => {
                self.set_if_null(place, || Kind::Other(other.clone()));
                match &self.kind {
                    Kind::Other(known) if known == other => Ok(()),
                    _ => Err(self.clash(other.clone())),
                }
            }
        }
    }

    /// Widens to hold text.
    pub(super) fn text(&mut self, place: &Place) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || Kind::Text);
        if matches!(self.kind, Kind::Text) { Ok(()) } else { Err(self.clash(DataType::Utf8)) }
    }

    /// Widens to hold a signed integer of that many bits.
    pub(super) fn signed(&mut self, bits: u8, place: &Place) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || Kind::Number(Number::default()));
        let Kind::Number(number) = &mut self.kind else { return Err(self.clash(signed_type(bits))) };
        if number.signed.as_ref().is_some_and(|(known, _)| *known >= bits) {
            return Ok(());
        }
        if let Some((64, first)) = &number.unsigned {
            return Err(Clash::new(first, DataType::UInt64, signed_type(bits)));
        }
        let before = number.data_type();
        number.signed = Some((bits, place.clone()));
        if number.data_type() != before {
            self.place = place.clone();
        }
        Ok(())
    }

    /// Widens to hold an unsigned integer of that many bits (63: one that fits Int64 as well).
    pub(super) fn unsigned(&mut self, bits: u8, place: &Place) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || Kind::Number(Number::default()));
        let Kind::Number(number) = &mut self.kind else { return Err(self.clash(unsigned_type(bits))) };
        if number.unsigned.as_ref().is_some_and(|(known, _)| *known >= bits) {
            return Ok(());
        }
        if let (64, Some((known, first))) = (bits, &number.signed) {
            return Err(Clash::new(first, signed_type(*known), DataType::UInt64));
        }
        let before = number.data_type();
        number.unsigned = Some((bits, place.clone()));
        if number.data_type() != before {
            self.place = place.clone();
        }
        Ok(())
    }

    /// Widens to hold a float of that many bits.
    pub(super) fn float(&mut self, bits: u8, place: &Place) -> Result<(), Box<Clash>> {
        self.set_if_null(place, || Kind::Number(Number::default()));
        let Kind::Number(number) = &mut self.kind else { return Err(self.clash(float_type(bits))) };
        if number.float.is_none_or(|known| known < bits) {
            let before = number.data_type();
            number.float = Some(bits);
            if number.data_type() != before {
                self.place = place.clone();
            }
        }
        Ok(())
    }

    /// The members of what must be a struct.
    pub(super) fn members(&mut self, place: &Place) -> Result<&mut Members, Box<Clash>> {
        self.set_if_null(place, || Kind::Struct(Members::default()));
        if !matches!(self.kind, Kind::Struct(_)) {
            return Err(self.clash(DataType::Struct(Fields::empty())));
        }
        match &mut self.kind {
            Kind::Struct(members) => Ok(members),
            _ => unreachable!("checked above"),
        }
    }

    /// The element of what must be a list.
    pub(super) fn list(&mut self, place: &Place) -> Result<&mut Self, Box<Clash>> {
        self.set_if_null(place, || Kind::List(Box::new(Self::null(place))));
        if !matches!(self.kind, Kind::List(_)) {
            return Err(self.clash(list_of(DataType::Null)));
        }
        match &mut self.kind {
            Kind::List(element) => Ok(element),
            _ => unreachable!("checked above"),
        }
    }

    fn set_if_null(&mut self, place: &Place, kind: impl FnOnce() -> Kind) {
        if matches!(self.kind, Kind::Null) {
            self.kind = kind();
            self.place = place.clone();
        }
    }

    fn clash(&self, second: DataType) -> Box<Clash> {
        Clash::new(&self.place, self.data_type(&DataType::Null), second)
    }

    fn data_type(&self, null: &DataType) -> DataType {
        match &self.kind {
            Kind::Null => null.clone(),
            Kind::Number(number) => number.data_type(),
            Kind::Decimal { bits: 32, precision, scale } => DataType::Decimal32(*precision, *scale),
            Kind::Decimal { bits: 64, precision, scale } => DataType::Decimal64(*precision, *scale),
            Kind::Decimal { bits: 128, precision, scale } => DataType::Decimal128(*precision, *scale),
            Kind::Decimal { precision, scale, .. } => DataType::Decimal256(*precision, *scale),
            Kind::Text => DataType::Utf8,
            Kind::Bytes(None) => DataType::Binary,
            Kind::Bytes(Some(size)) => DataType::FixedSizeBinary(*size),
            Kind::List(element) => list_of(element.data_type(null)),
            Kind::Struct(members) => DataType::Struct(members.fields(null)),
            Kind::Map { key, value, sorted } => {
                let key = Field::new("key", key.data_type(null), false);
                let value = Field::new("value", value.data_type(null), true);
                let entries = Field::new("entries", DataType::Struct(Fields::from(vec![key, value])), false);
                DataType::Map(Arc::new(entries), *sorted)
            }
            Kind::Other(data_type) => data_type.clone(),
        }
    }
}
