//! The schema of a file: its JSON to a tree of types in which each name is resolved.
//!
//! By the Avro specification 1.11.1. A logical type that is unknown or does not fit its type is ignored, as the
//! specification says. Names are resolved with their namespaces; a type may contain itself, so types are numbered.
//! Defaults, aliases and docs are not looked at: nothing is resolved against a reader's schema.
//!
//! Fails on: what is not JSON or not a schema, names not defined or defined twice, a top level that is not a record.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Types beyond this are not a schema that a program wrote.
const MAX_TYPES: usize = 100_000;
/// Depth of the JSON at which the walk over it stops, so that it cannot use up the stack.
const MAX_DEPTH: usize = 200;

/// The number of a type in its schema.
pub(super) type TypeId = usize;

/// One type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AvroType {
    Null,
    Boolean,
    Int,
    Date,
    TimeMillis,
    Long,
    TimeMicros,
    /// By its logical type's name.
    Timestamp(&'static str),
    Float,
    Double,
    Bytes,
    String,
    Fixed {
        name: String,
        size: usize,
        is_uuid: bool,
    },
    Decimal {
        fixed: Option<(String, usize)>,
        precision: u8,
        scale: u8,
    },
    Duration {
        name: String,
    },
    Enum {
        name: String,
        symbols: Vec<String>,
    },
    Array(TypeId),
    Map(TypeId),
    Record {
        name: String,
        fields: Vec<(String, TypeId)>,
    },
    Union(Vec<TypeId>),
    /// Named, its definition still being read. None is left in a schema.
    Open,
}

/// All types of a schema; the top one is a record.
#[derive(Debug)]
pub(super) struct AvroSchemaTree {
    types: Vec<AvroType>,
    top: TypeId,
    /// The fewest bytes that a value of each type takes.
    least: Vec<usize>,
}

impl AvroSchemaTree {
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(json).map_err(|error| format!("not JSON: {error}"))?;
        let mut reading = SchemaReading { types: Vec::new(), names: HashMap::new() };
        let top = reading.read(&json, "", 0)?;
        let types = reading.types;
        if !matches!(types.get(top), Some(AvroType::Record { .. })) {
            let found = types.get(top).map_or("nothing", AvroType::word);
            return Err(format!("the rows are of the type {found}, not records"));
        }
        let least = least_bytes(&types);
        Ok(Self { types, top, least })
    }

    pub(super) fn get(&self, id: TypeId) -> &AvroType {
        self.types.get(id).unwrap_or(&AvroType::Open)
    }

    /// The fields of the rows.
    pub(super) fn columns(&self) -> &[(String, TypeId)] {
        match self.get(self.top) {
            AvroType::Record { fields, .. } => fields,
            _ => &[],
        }
    }

    /// The fewest bytes that a value takes, 0 for nulls and for records of them.
    pub(super) fn least_bytes(&self, id: TypeId) -> usize {
        self.least.get(id).copied().unwrap_or(0)
    }

    /// The fewest bytes that a row takes.
    pub(super) fn least_row(&self) -> usize {
        self.least_bytes(self.top)
    }
}

impl AvroType {
    /// The type's name for a message.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Date => "date",
            Self::TimeMillis => "time-millis",
            Self::Long => "long",
            Self::TimeMicros => "time-micros",
            Self::Timestamp(name) => name,
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Fixed { .. } => "fixed",
            Self::Decimal { .. } => "decimal",
            Self::Duration { .. } => "duration",
            Self::Enum { .. } => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record { .. } => "record",
            Self::Union(_) => "union",
            Self::Open => "unfinished",
        }
    }
}

struct SchemaReading {
    types: Vec<AvroType>,
    names: HashMap<String, TypeId>,
}

impl SchemaReading {
    fn add(&mut self, of: AvroType) -> Result<TypeId, String> {
        if self.types.len() >= MAX_TYPES {
            return Err(format!("more than {MAX_TYPES} types"));
        }
        self.types.push(of);
        Ok(self.types.len() - 1)
    }

    fn read(&mut self, json: &Value, space: &str, depth: usize) -> Result<TypeId, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nests deeper than {MAX_DEPTH} levels"));
        }
        match json {
            Value::String(name) => self.named(name, space),
            Value::Array(branches) => self.union(branches, space, depth),
            Value::Object(object) => self.object(object, space, depth),
            other => Err(format!("{other} is not a type")),
        }
    }

    fn named(&mut self, name: &str, space: &str) -> Result<TypeId, String> {
        if let Some(of) = primitive(name, None) {
            return self.add(of);
        }
        let full = full_name(name, None, space);
        // Old writers name a type of no namespace from within one.
        let found = self.names.get(&full).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| format!("the type '{full}' is not defined"))
    }

    fn union(&mut self, branches: &[Value], space: &str, depth: usize) -> Result<TypeId, String> {
        if branches.is_empty() {
            return Err("a union without branches".to_string());
        }
        let branches: Vec<TypeId> =
            branches.iter().map(|branch| self.read(branch, space, depth + 1)).collect::<Result<_, _>>()?;
        let mut seen = HashSet::new();
        for &branch in &branches {
            let of = self.types.get(branch).unwrap_or(&AvroType::Open);
            if matches!(of, AvroType::Union(_)) {
                return Err("a union directly within a union".to_string());
            }
            if matches!(of, AvroType::Null) && !seen.insert("null") {
                return Err("a union with two nulls".to_string());
            }
        }
        self.add(AvroType::Union(branches))
    }

    fn object(&mut self, object: &Map<String, Value>, space: &str, depth: usize) -> Result<TypeId, String> {
        let word = match object.get("type") {
            Some(Value::String(word)) => word.as_str(),
            // {"type": {"type": ...}} and {"type": [...]}: the outer object says nothing more.
            Some(inner) => return self.read(inner, space, depth + 1),
            None => return Err("a type without 'type'".to_string()),
        };
        let logical = object.get("logicalType").and_then(Value::as_str);
        if word == "bytes"
            && let Some((precision, scale)) = decimal(object, logical, None)
        {
            return self.add(AvroType::Decimal { fixed: None, precision, scale });
        }
        if let Some(of) = primitive(word, logical) {
            return self.add(of);
        }
        match word {
            "array" => {
                let items = object.get("items").ok_or("an array without 'items'")?;
                let items = self.read(items, space, depth + 1)?;
                self.add(AvroType::Array(items))
            }
            "map" => {
                let values = object.get("values").ok_or("a map without 'values'")?;
                let values = self.read(values, space, depth + 1)?;
                self.add(AvroType::Map(values))
            }
            "record" | "error" | "enum" | "fixed" => self.define(word, object, logical, space, depth),
            name => self.named(name, space),
        }
    }

    fn define(
        &mut self,
        word: &str,
        object: &Map<String, Value>,
        logical: Option<&str>,
        space: &str,
        depth: usize,
    ) -> Result<TypeId, String> {
        let name = object.get("name").and_then(Value::as_str).ok_or_else(|| format!("a {word} without a name"))?;
        let name = full_name(name, object.get("namespace").and_then(Value::as_str), space);
        let id = self.add(AvroType::Open)?;
        if self.names.insert(name.clone(), id).is_some() {
            return Err(format!("the type '{name}' is defined twice"));
        }
        let of = match word {
            "enum" => {
                let symbols = object.get("symbols").and_then(Value::as_array).ok_or("an enum without 'symbols'")?;
                let symbols: Vec<String> = symbols.iter().filter_map(Value::as_str).map(str::to_string).collect();
                let mut seen = HashSet::new();
                if let Some(twice) = symbols.iter().find(|symbol| !seen.insert(symbol.as_str())) {
                    return Err(format!("the enum '{name}' has the symbol '{twice}' twice"));
                }
                AvroType::Enum { name, symbols }
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64).ok_or("a fixed without 'size'")?;
                let size = usize::try_from(size).ok().filter(|&size| i32::try_from(size).is_ok());
                let size = size.ok_or_else(|| format!("the fixed '{name}' is too large"))?;
                match decimal(object, logical, Some(size)) {
                    Some((precision, scale)) => AvroType::Decimal { fixed: Some((name, size)), precision, scale },
                    None if logical == Some("duration") && size == 12 => AvroType::Duration { name },
                    None => AvroType::Fixed { name, size, is_uuid: logical == Some("uuid") && size == 16 },
                }
            }
            _ => {
                let fields = object.get("fields").and_then(Value::as_array).ok_or("a record without 'fields'")?;
                let inner = name.rsplit_once('.').map_or("", |(space, _)| space).to_string();
                let mut seen = HashSet::new();
                let mut read = Vec::with_capacity(fields.len());
                for field in fields {
                    let field_name = field.get("name").and_then(Value::as_str).ok_or("a field without a name")?;
                    if !seen.insert(field_name) {
                        return Err(format!("the record '{name}' has the field '{field_name}' twice"));
                    }
                    let of = field.get("type").ok_or_else(|| format!("the field '{field_name}' has no type"))?;
                    let of =
                        self.read(of, &inner, depth + 1).map_err(|reason| format!("field '{field_name}': {reason}"))?;
                    read.push((field_name.to_string(), of));
                }
                AvroType::Record { name, fields: read }
            }
        };
        if let Some(open) = self.types.get_mut(id) {
            *open = of;
        }
        Ok(id)
    }
}

fn primitive(word: &str, logical: Option<&str>) -> Option<AvroType> {
    Some(match (word, logical) {
        ("int", Some("date")) => AvroType::Date,
        ("int", Some("time-millis")) => AvroType::TimeMillis,
        ("long", Some("time-micros")) => AvroType::TimeMicros,
        ("long", Some("timestamp-millis")) => AvroType::Timestamp("timestamp-millis"),
        ("long", Some("timestamp-micros")) => AvroType::Timestamp("timestamp-micros"),
        ("long", Some("timestamp-nanos")) => AvroType::Timestamp("timestamp-nanos"),
        ("long", Some("local-timestamp-millis")) => AvroType::Timestamp("local-timestamp-millis"),
        ("long", Some("local-timestamp-micros")) => AvroType::Timestamp("local-timestamp-micros"),
        ("long", Some("local-timestamp-nanos")) => AvroType::Timestamp("local-timestamp-nanos"),
        ("null", _) => AvroType::Null,
        ("boolean", _) => AvroType::Boolean,
        ("int", _) => AvroType::Int,
        ("long", _) => AvroType::Long,
        ("float", _) => AvroType::Float,
        ("double", _) => AvroType::Double,
        ("bytes", _) => AvroType::Bytes,
        // A uuid too: its text is kept as it is written.
        ("string", _) => AvroType::String,
        _ => return None,
    })
}

/// Precision and scale, if the attributes are those of a decimal that fits its type.
fn decimal(object: &Map<String, Value>, logical: Option<&str>, size: Option<usize>) -> Option<(u8, u8)> {
    if logical != Some("decimal") {
        return None;
    }
    let precision = u8::try_from(object.get("precision")?.as_u64()?).unwrap_or(u8::MAX);
    let scale = match object.get("scale") {
        None => 0,
        Some(scale) => u8::try_from(scale.as_u64()?).unwrap_or(u8::MAX),
    };
    // 8n - 1 bits hold at least this many digits: a decimal that cannot be in its fixed is none.
    let fits = size.is_none_or(|size| u64::from(precision) <= (8 * size as u64).saturating_sub(1) * 30103 / 100_000);
    (precision > 0 && scale <= precision && fits).then_some((precision, scale))
}

fn full_name(name: &str, own: Option<&str>, space: &str) -> String {
    if name.contains('.') {
        return name.trim_start_matches('.').to_string();
    }
    match own.unwrap_or(space) {
        "" => name.to_string(),
        space => format!("{space}.{name}"),
    }
}

/// The fewest bytes of each type: starting from 0, raised until nothing changes. A record within itself without an end
/// would rise for ever, so it is stopped; such a type has no values at all.
fn least_bytes(types: &[AvroType]) -> Vec<usize> {
    const STOP: usize = 1 << 20;
    let mut least = vec![0usize; types.len()];
    for _ in 0..64 {
        let mut is_changed = false;
        for (id, of) in types.iter().enumerate() {
            let at = |id: &TypeId| least.get(*id).copied().unwrap_or(0);
            let bytes = match of {
                AvroType::Null | AvroType::Open => 0,
                AvroType::Float => 4,
                AvroType::Double => 8,
                AvroType::Fixed { size, .. } | AvroType::Decimal { fixed: Some((_, size)), .. } => *size,
                AvroType::Duration { .. } => 12,
                AvroType::Record { fields, .. } => {
                    fields.iter().fold(0usize, |sum, (_, id)| sum.saturating_add(at(id))).min(STOP)
                }
                AvroType::Union(branches) => 1 + branches.iter().map(at).min().unwrap_or(0),
                _ => 1,
            };
            if let Some(old) = least.get_mut(id)
                && *old != bytes
            {
                *old = bytes;
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<AvroSchemaTree, String> {
        let json = format!(r#"{{"type":"record","name":"a.b.R","fields":[{{"name":"x","type":{json}}}]}}"#);
        AvroSchemaTree::parse(json.as_bytes())
    }

    fn first(json: &str) -> AvroType {
        let tree = of(json).unwrap();
        tree.get(tree.columns()[0].1).clone()
    }

    #[test]
    fn logical_types_that_do_not_fit_are_ignored() {
        assert_eq!(first(r#"{"type":"string","logicalType":"date"}"#), AvroType::String);
        assert_eq!(first(r#"{"type":"bytes","logicalType":"decimal"}"#), AvroType::Bytes);
        assert_eq!(first(r#"{"type":"bytes","logicalType":"decimal","precision":3,"scale":4}"#), AvroType::Bytes);
        let small = r#"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5}"#;
        assert!(matches!(first(small), AvroType::Fixed { size: 2, .. }));
    }

    #[test]
    fn a_decimal_at_the_edge_of_its_fixed_is_a_decimal() {
        for (size, precision) in [(1, 2), (2, 4), (4, 9), (8, 18), (16, 38), (32, 76)] {
            let json = |precision| {
                format!(
                    r#"{{"type":"fixed","name":"F","size":{size},"logicalType":"decimal","precision":{precision}}}"#
                )
            };
            assert!(matches!(first(&json(precision)), AvroType::Decimal { .. }), "{size} {precision}");
            assert!(matches!(first(&json(precision + 1)), AvroType::Fixed { .. }), "{size} {precision}");
        }
    }

    #[test]
    fn names_are_found_by_namespace_and_dotted_name() {
        let json = r#"{"type":"record","name":"R","namespace":"n","fields":[
            {"name":"a","type":{"type":"enum","name":"E","symbols":["A"]}},
            {"name":"b","type":"n.E"},{"name":"c","type":"E"},
            {"name":"d","type":{"type":"record","name":"m.S","fields":[
                {"name":"x","type":{"type":"fixed","name":"F","size":3}},{"name":"y","type":"m.F"},{"name":"z","type":"F"}]}},
            {"name":"e","type":["null","m.S"]}]}"#;
        let tree = AvroSchemaTree::parse(json.as_bytes()).unwrap();
        let ids: Vec<_> = tree.columns().iter().map(|(_, id)| *id).collect();
        assert_eq!((ids[0], ids[0]), (ids[1], ids[2]));
        assert_eq!(tree.least_row(), 1 + 1 + 1 + 9 + 1);
    }

    #[test]
    fn a_type_that_contains_itself_is_read() {
        let tree = of(r#"["null","a.b.R"]"#).unwrap();
        assert_eq!(tree.least_row(), 1);
        assert!(of(r#""a.b.R""#).is_ok());
    }

    #[test]
    fn schemas_that_are_none_are_refused() {
        for (json, reason) in [
            (r#""nope""#, "not defined"),
            ("3", "not a type"),
            ("[]", "without branches"),
            (r#"[["int"]]"#, "within a union"),
            (r#"{"type":"array"}"#, "without 'items'"),
            (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "twice"),
            (r#"{"type":"fixed","name":"E","size":9999999999}"#, "too large"),
        ] {
            let error = of(json).unwrap_err();
            assert!(error.contains(reason), "{json}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert!(AvroSchemaTree::parse(deep.as_bytes()).is_err());
        assert!(AvroSchemaTree::parse(br#""int""#).unwrap_err().contains("not records"));
    }
}
