//! The schema of NDJSON text, found by walking every value without building any.
//!
//! One or more complete objects per line, blank lines are skipped. Integers are Int64, or UInt64 where one needs it and
//! none is negative; beyond 64 bits they are floats. Integers and floats are Float64. All else that differs, such as a
//! number here and a text there, is a conflict that names both lines.
//!
//! An object nests at most 128 deep, which is serde_json's limit. An attribute of null alone is Null.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, Read};

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::bytes::{ChunkReader, MAX_RECORD, Origin};
use super::clash::{Clash, Place};
use super::infer::Inferred;
use super::widen::{Members, Node};
use crate::error::Result;

/// Reads NDJSON to the end, or up to that many records.
pub(super) fn infer_json(reader: &mut ChunkReader, limit: Option<usize>, origin: &Origin) -> Result<Inferred> {
    let mut columns = Members::default();
    let mut walk = Walk { place: Place::file(&origin.uri), clash: RefCell::new(None) };
    let json_error = |line: u64, reason: &dyn fmt::Display| {
        let error = ArrowError::JsonError(format!("line {line}: {reason}"));
        origin.unreadable(DataFusionError::ArrowError(Box::new(error), None))
    };
    let limit = limit.map_or(u64::MAX, |limit| limit as u64);
    let (mut rows, mut number) = (0, 0);
    let mut line = Vec::new();
    let exact_rows = loop {
        if rows >= limit {
            break false;
        }
        line.clear();
        number += 1;
        let read = reader.take(MAX_RECORD as u64).read_until(b'\n', &mut line).map_err(|e| json_error(number, &e))?;
        if read == 0 {
            break true;
        }
        if read == MAX_RECORD && !line.ends_with(b"\n") {
            return Err(json_error(number, &format_args!("it is longer than {MAX_RECORD} bytes")));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        walk.place.set_line(number);
        let mut json = serde_json::Deserializer::from_slice(&line);
        loop {
            if let Err(error) = (Record { columns: &mut columns, walk: &walk }).deserialize(&mut json) {
                return Err(match walk.clash.take() {
                    Some(clash) => clash.into_error(&origin.table, &walk.place),
                    None => json_error(number, &error),
                });
            }
            rows += 1;
            if json.end().is_ok() {
                break;
            }
        }
    };
    Ok(Inferred { schema: Schema::new(columns.fields(&DataType::Null)), rows, exact_rows })
}

/// What every value of one line shares. A clash is left here on the way out, since serde's errors hold text only.
struct Walk {
    place: Place,
    clash: RefCell<Option<Box<Clash>>>,
}

impl Walk {
    fn stop<E: serde::de::Error>(&self, clash: Box<Clash>) -> E {
        self.clash.replace(Some(clash));
        E::custom("conflict")
    }

    /// Adds the name of the field that a failed value belongs to.
    fn within<E>(&self, error: E, name: &str) -> E {
        let inner = self.clash.take();
        self.clash.replace(inner.map(|clash| clash.within(name)));
        error
    }
}

/// A whole record: an object whose attributes are the columns.
struct Record<'a> {
    columns: &'a mut Members,
    walk: &'a Walk,
}

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object per line")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        visit_members(map, self.columns, self.walk)
    }
}

fn visit_members<'de, A: MapAccess<'de>>(mut map: A, members: &mut Members, walk: &Walk) -> Result<(), A::Error> {
    let mut hint = 0;
    while let Some(position) = map.next_key_seed(Name { members, hint, place: &walk.place })? {
        hint = position + 1;
        let (name, node) = members.get_mut(position);
        map.next_value_seed(Value { node, walk }).map_err(|error| walk.within(error, name))?;
    }
    Ok(())
}

/// The name of an attribute, which becomes its position among the members.
struct Name<'a> {
    members: &'a mut Members,
    hint: usize,
    place: &'a Place,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(self.members.find(name, self.hint, self.place))
    }
}

/// Any value: widens the node to hold it.
struct Value<'a> {
    node: &'a mut Node,
    walk: &'a Walk,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.node.merge(&DataType::Boolean, &self.walk.place).map_err(|clash| self.walk.stop(clash))
    }

    /// serde_json calls this for negative integers only.
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.node.signed(64, &self.walk.place).map_err(|clash| self.walk.stop(clash))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        let bits = if i64::try_from(value).is_ok() { 63 } else { 64 };
        self.node.unsigned(bits, &self.walk.place).map_err(|clash| self.walk.stop(clash))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.node.float(64, &self.walk.place).map_err(|clash| self.walk.stop(clash))
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.node.text(&self.walk.place).map_err(|clash| self.walk.stop(clash))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let walk = self.walk;
        let element = self.node.list(&walk.place).map_err(|clash| walk.stop::<A::Error>(clash))?;
        while items
            .next_element_seed(Value { node: element, walk })
            .map_err(|error| walk.within(error, "[]"))?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let walk = self.walk;
        let members = self.node.members(&walk.place).map_err(|clash| walk.stop::<A::Error>(clash))?;
        visit_members(map, members, walk)
    }
}
