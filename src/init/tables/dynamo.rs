//! DynamoDB's typed JSON: which attributes the sampled items have, and the columns that hold them. Pure.
//!
//! ```text
//! {"Item":{"id":{"N":"7"},"tags":{"SS":["a"]},"at":{"M":{"zip":{"S":"1"}}}}}
//!   id BIGINT, tags VARCHAR[], at STRUCT<zip VARCHAR>
//! ```
//!
//! Whole numbers are BIGINT or DECIMAL(38,0), others DECIMAL(38,10), as far as these hold what was seen. An attribute
//! of several types, and a map whose keys are rather data than names, are VARCHAR: the reader gives their JSON. Nothing
//! is said of attributes that no sampled item has; the config refuses them by `undeclared`.

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use serde_json::Value;

/// Attributes of an item that are distinguished.
const ATTRIBUTES: usize = 2_000;

/// Keys of a map that are names; more of them are data.
const KEYS: usize = 64;

/// Digits after the point of a number that has some.
const SCALE: usize = 10;

/// Digits of a DECIMAL.
const DIGITS: usize = 38;

/// Which types an attribute has in the sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    has_text: bool,
    has_bytes: bool,
    has_boolean: bool,
    number: Option<NumberSize>,
    map: Option<DynamoMembers>,
    /// Of lists and sets.
    list: Option<Box<Self>>,
}

/// How large the numbers of an attribute are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NumberSize {
    whole_digits: usize,
    scale: usize,
    has_exponent: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct DynamoMembers(Vec<(String, Shape)>);

/// The attributes of sampled items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    members: DynamoMembers,
}

impl DynamoMembers {
    fn take(&mut self, object: &serde_json::Map<String, Value>, most: usize) {
        for (name, value) in object {
            let known = self.0.iter().position(|(known, _)| known == name);
            let index = match known {
                Some(index) => index,
                None if self.0.len() < most => {
                    self.0.push((name.clone(), Shape::default()));
                    self.0.len() - 1
                }
                None => continue,
            };
            self.0[index].1.take(value);
        }
    }
}

impl Shape {
    fn take(&mut self, value: &Value) {
        for (tag, value) in value.as_object().into_iter().flatten() {
            match (tag.as_str(), value) {
                ("S", _) => self.has_text = true,
                ("B", _) => self.has_bytes = true,
                ("BOOL", _) => self.has_boolean = true,
                ("N", Value::String(text)) => self.number.get_or_insert_default().take(text),
                ("M", Value::Object(object)) => self.map.get_or_insert_default().take(object, KEYS + 1),
                ("L", Value::Array(values)) => {
                    let item = self.list.get_or_insert_default();
                    values.iter().for_each(|value| item.take(value));
                }
                (set @ ("SS" | "NS" | "BS"), Value::Array(values)) => {
                    let item = self.list.get_or_insert_default();
                    let tag = &set[..1];
                    values.iter().for_each(|value| item.take(&serde_json::json!({ tag: value })));
                }
                _ => {}
            }
        }
    }

    /// The type that holds all of it, and what people should know.
    fn column(&self) -> (DataType, Option<&'static str>) {
        let Self { has_text, has_bytes, has_boolean, number, map, list } = self;
        let kinds = [*has_text, *has_bytes, *has_boolean, number.is_some(), map.is_some(), list.is_some()];
        match kinds.iter().filter(|is_there| **is_there).count() {
            0 => return (DataType::Utf8, Some("no value but NULL in the sample")),
            1 => {}
            _ => return (DataType::Utf8, Some("text, because values have several types; lists and maps are JSON")),
        }
        match (number, map, list) {
            (Some(number), _, _) => number.column(),
            (_, Some(DynamoMembers(members)), _) if members.is_empty() => (DataType::Utf8, Some("JSON of empty maps")),
            (_, Some(DynamoMembers(members)), _) if members.len() > KEYS => {
                (DataType::Utf8, Some("JSON, because the maps have many keys"))
            }
            (_, Some(DynamoMembers(members)), _) => {
                let field = |(name, shape): &(String, Self)| Field::new(name, shape.column().0, true);
                (DataType::Struct(members.iter().map(field).collect::<Fields>()), None)
            }
            (_, _, Some(item)) => (DataType::new_list(item.column().0, true), None),
            _ if *has_bytes => (DataType::Binary, None),
            _ if *has_boolean => (DataType::Boolean, None),
            _ => (DataType::Utf8, None),
        }
    }
}

impl NumberSize {
    fn take(&mut self, text: &str) {
        let digits = text.trim_start_matches(['-', '+']);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        self.has_exponent |= digits.contains(['e', 'E']);
        self.whole_digits = self.whole_digits.max(whole.trim_start_matches('0').len());
        self.scale = self.scale.max(fraction.trim_end_matches('0').len());
    }

    fn column(self) -> (DataType, Option<&'static str>) {
        match self.scale {
            _ if self.has_exponent => (DataType::Utf8, Some("a number, as text: it has an exponent")),
            0 if self.whole_digits <= 18 => (DataType::Int64, None),
            0 if self.whole_digits <= DIGITS => (DataType::Decimal128(38, 0), None),
            1..=SCALE if self.whole_digits + SCALE <= DIGITS => (DataType::Decimal128(38, 10), None),
            _ => (DataType::Utf8, Some("a number, as text: it has too many digits")),
        }
    }
}

impl Attributes {
    /// Takes in a line of an export file; false if it is none.
    pub(crate) fn take(&mut self, line: &Value) -> bool {
        let Some(item) = line.get("Item").and_then(Value::as_object) else { return false };
        self.members.take(item, ATTRIBUTES);
        true
    }

    /// Takes in the image of a line of an incremental export, if it has one.
    pub(crate) fn take_change(&mut self, line: &Value) {
        if let Some(image) = line.get("NewImage").and_then(Value::as_object) {
            self.members.take(image, ATTRIBUTES);
        }
    }

    /// The columns; None when no item has an attribute.
    pub(crate) fn schema(&self) -> Option<Schema> {
        let DynamoMembers(members) = &self.members;
        let field = |(name, shape): &(String, Shape)| Field::new(name, shape.column().0, true);
        (!members.is_empty()).then(|| Schema::new(members.iter().map(field).collect::<Vec<_>>()))
    }

    /// What people should know of a column.
    pub(crate) fn note(&self, name: &str) -> Option<&'static str> {
        self.members.0.iter().find(|(known, _)| known == name).and_then(|(_, shape)| shape.column().1)
    }

    /// Whether there may be more attributes than are distinguished.
    pub(crate) fn is_full(&self) -> bool {
        self.members.0.len() >= ATTRIBUTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::sql_type;

    fn attributes(lines: &[&str]) -> Attributes {
        let mut attributes = Attributes::default();
        for line in lines {
            assert!(attributes.take(&serde_json::from_str(line).unwrap()), "{line}");
        }
        attributes
    }

    /// `name TYPE` of each column.
    fn columns(lines: &[&str]) -> Vec<String> {
        let schema = attributes(lines).schema().unwrap();
        schema
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), sql_type(field.data_type()).unwrap()))
            .collect()
    }

    #[test]
    fn each_type_has_a_column() {
        let line = r#"{"Item":{"id":{"N":"7"},"price":{"N":"1.25"},"name":{"S":"x"},"ok":{"BOOL":true},
            "raw":{"B":"eA=="},"tags":{"SS":["a"]},"sizes":{"NS":["1","2.5"]},"none":{"NULL":true},
            "at":{"M":{"zip":{"S":"1"}}},"l":{"L":[{"N":"1"}]}}}"#;
        let expected = [
            "id BIGINT",
            "price DECIMAL(38,10)",
            "name VARCHAR",
            "ok BOOLEAN",
            "raw BYTEA",
            "tags VARCHAR[]",
            "sizes DECIMAL(38,10)[]",
            "none VARCHAR",
            "at STRUCT<zip VARCHAR>",
            "l BIGINT[]",
        ];
        assert_eq!(columns(&[line]), expected);
    }

    #[test]
    fn attributes_of_several_types_and_maps_of_many_keys_are_text() {
        let lines = [r#"{"Item":{"v":{"N":"7"},"l":{"L":[{"S":"a"},{"M":{}}]}}}"#, r#"{"Item":{"v":{"M":{}}}}"#];
        assert_eq!(columns(&lines), ["v VARCHAR", "l VARCHAR[]"]);
        assert!(attributes(&lines).note("v").unwrap().contains("several types"));
        let keys: Vec<String> = (0..=KEYS).map(|n| format!(r#""k{n}":{{"S":"x"}}"#)).collect();
        assert_eq!(columns(&[&format!(r#"{{"Item":{{"m":{{"M":{{{}}}}}}}}}"#, keys.join(","))]), ["m VARCHAR"]);
    }

    #[test]
    fn numbers_that_no_type_holds_stay_text() {
        for (number, expected) in [
            ("123456789012345678", "BIGINT"),
            ("12345678901234567890", "DECIMAL(38,0)"),
            ("1E+40", "VARCHAR"),
            ("0.12345678901", "VARCHAR"),
            ("12345678901234567890123456789012.5", "VARCHAR"),
        ] {
            assert_eq!(columns(&[&format!(r#"{{"Item":{{"n":{{"N":"{number}"}}}}}}"#)]), [format!("n {expected}")]);
        }
    }

    #[test]
    fn a_line_without_an_item_is_none() {
        assert!(!Attributes::default().take(&serde_json::json!({"Keys": {}})));
    }
}
