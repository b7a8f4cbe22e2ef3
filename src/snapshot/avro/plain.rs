//! A column's type in the words that `arrow-avro` reads right, or the reason why it is refused.
//!
//! `arrow-avro` never sees the file's own schema. It gets one written anew: each name resolved and its type in its
//! place, logical types only where they hold, no defaults, aliases, docs or other attributes. What it reads wrong, or
//! what has no Arrow type, is refused here, by column; a column that is not asked for is never refused.
//!
//! | Avro | Arrow |
//! | --- | --- |
//! | null (a column) | Null |
//! | boolean, int, long, float, double | Boolean, Int32, Int64, Float32, Float64 |
//! | bytes, fixed, uuid of a fixed | Binary, `FixedSizeBinary` |
//! | string, uuid of a string | Utf8, the text as written |
//! | date, time-millis, time-micros | Date32, Time32, Time64 |
//! | timestamp-*, local-timestamp-* | Timestamp with `UTC`, without a zone |
//! | decimal of bytes or of a fixed | Decimal128 up to 38 digits, Decimal256 up to 76 |
//! | duration | Interval (months, days, nanoseconds) |
//! | enum | Dictionary(Int32, Utf8) |
//! | array, map, record | List, Map, Struct |
//! | union of null and one type | that type, nullable |
//! | other unions of up to 127 types | Union, dense |
//! | refused | a type within itself, nulls within a record, an array or a map, records without fields, decimals of more than 76 digits or 32 bytes fixed, a nullable union |

use super::schema::{AvroSchemaTree, AvroType, TypeId};

/// A type used in many places is written once for each: a schema that doubles at each level must end.
const MAX_WRITTEN: usize = 20_000;
/// `arrow-avro` walks its schema by recursion.
const MAX_NESTED: usize = 64;

/// The JSON of a column's type, and whether it has a union that is not just a nullable type.
pub(super) fn plain_type(tree: &AvroSchemaTree, id: TypeId) -> Result<(String, bool), String> {
    let mut writing = Writing { tree, json: String::new(), written: 0, has_union: false };
    writing.write(id, 0)?;
    Ok((writing.json, writing.has_union))
}

/// The schema's words for a type, for a message: `array of decimal`.
pub(super) fn spoken(tree: &AvroSchemaTree, id: TypeId) -> String {
    match tree.get(id) {
        AvroType::Array(items) => format!("array of {}", tree.get(*items).word()),
        AvroType::Map(values) => format!("map of {}", tree.get(*values).word()),
        AvroType::Union(branches) => {
            let words: Vec<_> = branches.iter().map(|branch| tree.get(*branch).word()).collect();
            format!("union of {}", words.join(", "))
        }
        AvroType::Fixed { name, .. } | AvroType::Enum { name, .. } | AvroType::Record { name, .. } => {
            format!("{} {name}", tree.get(id).word())
        }
        of => of.word().to_string(),
    }
}

/// JSON text in its quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Writing<'a> {
    tree: &'a AvroSchemaTree,
    json: String,
    written: usize,
    has_union: bool,
}

impl Writing<'_> {
    fn put(&mut self, text: &str) {
        self.json.push_str(text);
    }

    fn write(&mut self, id: TypeId, depth: usize) -> Result<(), String> {
        self.written += 1;
        if self.written > MAX_WRITTEN {
            return Err(format!("more than {MAX_WRITTEN} types, each counted where it is used"));
        }
        if depth > MAX_NESTED {
            return Err(format!("it contains itself, or nests deeper than {MAX_NESTED} levels"));
        }
        match self.tree.get(id) {
            AvroType::Boolean => self.put(r#""boolean""#),
            AvroType::Int => self.put(r#""int""#),
            AvroType::Long => self.put(r#""long""#),
            AvroType::Float => self.put(r#""float""#),
            AvroType::Double => self.put(r#""double""#),
            AvroType::Bytes => self.put(r#""bytes""#),
            AvroType::String => self.put(r#""string""#),
            AvroType::Date => self.put(r#"{"type":"int","logicalType":"date"}"#),
            AvroType::TimeMillis => self.put(r#"{"type":"int","logicalType":"time-millis"}"#),
            AvroType::TimeMicros => self.put(r#"{"type":"long","logicalType":"time-micros"}"#),
            AvroType::Timestamp(name) => {
                let json = format!(r#"{{"type":"long","logicalType":"{name}"}}"#);
                self.put(&json);
            }
            AvroType::Fixed { size: 0, .. } => return Err("a fixed of no bytes".to_string()),
            AvroType::Fixed { name, size, .. } => self.fixed(name, *size, ""),
            AvroType::Duration { name } => self.fixed(name, 12, r#","logicalType":"duration""#),
            AvroType::Decimal { fixed, precision, scale } => {
                if *precision > 76 {
                    return Err("more than 76 digits, the most that Arrow has".to_string());
                }
                let logical = format!(r#","logicalType":"decimal","precision":{precision},"scale":{scale}"#);
                match fixed {
                    None => self.put(&format!(r#"{{"type":"bytes"{logical}}}"#)),
                    Some((_, size)) if *size > 32 => return Err("a decimal of more than 32 bytes".to_string()),
                    Some((name, size)) => self.fixed(name, *size, &logical),
                }
            }
            AvroType::Enum { name, symbols } => {
                if symbols.is_empty() {
                    return Err("an enum without symbols".to_string());
                }
                let symbols: Vec<_> = symbols.iter().map(|symbol| quoted(symbol)).collect();
                let json = format!(r#"{{"type":"enum","name":{},"symbols":[{}]}}"#, quoted(name), symbols.join(","));
                self.put(&json);
            }
            AvroType::Array(items) => {
                self.put(r#"{"type":"array","items":"#);
                self.write(*items, depth + 1)?;
                self.put("}");
            }
            AvroType::Map(values) => {
                self.put(r#"{"type":"map","values":"#);
                self.write(*values, depth + 1)?;
                self.put("}");
            }
            AvroType::Record { name, fields } => {
                if fields.is_empty() {
                    return Err("a record without fields".to_string());
                }
                self.put(&format!(r#"{{"type":"record","name":{},"fields":["#, quoted(name)));
                for (at, (field, of)) in fields.iter().enumerate() {
                    self.put(if at == 0 { "" } else { "," });
                    self.put(&format!(r#"{{"name":{},"type":"#, quoted(field)));
                    self.write(*of, depth + 1)?;
                    self.put("}");
                }
                self.put("]}");
            }
            AvroType::Union(branches) => self.union(branches, depth)?,
            AvroType::Null => return Err("null alone, within another type".to_string()),
            AvroType::Open => return Err("a type without a definition".to_string()),
        }
        Ok(())
    }

    fn fixed(&mut self, name: &str, size: usize, logical: &str) {
        let json = format!(r#"{{"type":"fixed","name":{},"size":{size}{logical}}}"#, quoted(name));
        self.put(&json);
    }

    fn union(&mut self, branches: &[TypeId], depth: usize) -> Result<(), String> {
        let is_null = |id: &TypeId| matches!(self.tree.get(*id), AvroType::Null);
        let is_nullable = branches.len() == 2 && branches.iter().filter(|id| is_null(id)).count() == 1;
        if !is_nullable {
            if branches.len() > 127 {
                return Err("a union of more than 127 types".to_string());
            }
            self.has_union = true;
        }
        self.put("[");
        for (at, branch) in branches.iter().enumerate() {
            self.put(if at == 0 { "" } else { "," });
            if matches!(self.tree.get(*branch), AvroType::Null) {
                self.put(r#""null""#);
            } else {
                self.write(*branch, depth + 1)?;
            }
        }
        self.put("]");
        Ok(())
    }
}
