//! DynamoDB's typed JSON: which attributes the sampled items have, and the SQL that takes their types off. Pure.
//!
//! ```text
//! {"Item":{"id":{"N":"7"},"tags":{"SS":["a"]},"at":{"M":{"zip":{"S":"1"}}}}}
//!   declared   "Item" STRUCT<id STRUCT<"N" VARCHAR>, tags STRUCT<"SS" VARCHAR[]>, at STRUCT<"M" STRUCT<zip STRUCT<"S" VARCHAR>>>>
//!   selected   CAST("Item"['id']['N'] AS BIGINT) AS id, "Item"['tags']['SS'] AS tags, named_struct('zip', ...) AS at
//! ```
//!
//! Only attributes of the sample are declared: what is not declared is not read, and no error either. Whole numbers are
//! BIGINT, since a cast to it fails on a fraction while one to DECIMAL(38,0) would round it.

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use serde_json::Value;

use crate::init::names::literal;
use crate::types::ident;

/// Attributes of an object that are distinguished; more of them are rather data than names.
const ATTRIBUTES: usize = 500;

/// Digits after the point of a number that has some.
const SCALE: usize = 10;

/// Which types an attribute has in the sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    /// S, B and BOOL, in the order of [`SCALARS`].
    scalars: [u64; SCALARS.len()],
    number: Option<NumberSize>,
    /// SS, NS and BS, in the order of [`SETS`].
    sets: [u64; SETS.len()],
    map: Option<DynamoMembers>,
    list: Option<Box<Self>>,
}

const SCALARS: [&str; 3] = ["S", "B", "BOOL"];
const SETS: [&str; 3] = ["SS", "NS", "BS"];

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
    items: u64,
}

/// One column of the SELECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwrapped {
    pub(crate) name: String,
    pub(crate) expr: String,
    pub(crate) note: Option<String>,
}

impl DynamoMembers {
    fn take(&mut self, object: &serde_json::Map<String, Value>) {
        for (name, value) in object {
            let known = self.0.iter().position(|(known, _)| known == name);
            let index = match known {
                Some(index) => index,
                None if self.0.len() < ATTRIBUTES => {
                    self.0.push((name.clone(), Shape::default()));
                    self.0.len() - 1
                }
                None => continue,
            };
            self.0[index].1.take(value);
        }
    }

    fn data_type(&self) -> Option<DataType> {
        let fields: Vec<Field> = self.0.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect();
        (!fields.is_empty()).then(|| DataType::Struct(Fields::from(fields)))
    }
}

impl Shape {
    fn take(&mut self, value: &Value) {
        for (tag, value) in value.as_object().into_iter().flatten() {
            let tag = tag.as_str();
            if let Some(index) = SCALARS.iter().position(|known| *known == tag) {
                self.scalars[index] += 1;
            } else if let Some(index) = SETS.iter().position(|known| *known == tag) {
                self.sets[index] += 1;
            }
            match (tag, value) {
                ("N", Value::String(text)) => self.number.get_or_insert_default().take(text),
                ("M", Value::Object(object)) => self.map.get_or_insert_default().take(object),
                ("L", Value::Array(values)) => {
                    let item = self.list.get_or_insert_default();
                    values.iter().for_each(|value| item.take(value));
                }
                _ => {}
            }
        }
    }

    /// The struct of the types that occur; text where none does.
    fn data_type(&self) -> DataType {
        let mut fields = Vec::new();
        let text = || DataType::new_list(DataType::Utf8, true);
        for (tag, times) in SCALARS.iter().zip(self.scalars) {
            let data_type = if *tag == "BOOL" { DataType::Boolean } else { DataType::Utf8 };
            fields.extend((times > 0).then(|| Field::new(*tag, data_type, true)));
        }
        fields.extend(self.number.map(|_| Field::new("N", DataType::Utf8, true)));
        for (tag, times) in SETS.iter().zip(self.sets) {
            fields.extend((times > 0).then(|| Field::new(*tag, text(), true)));
        }
        let map = self.map.as_ref().and_then(DynamoMembers::data_type);
        fields.extend(map.map(|data_type| Field::new("M", data_type, true)));
        let list = self.list.as_ref().map(|item| DataType::new_list(item.data_type(), true));
        fields.extend(list.map(|data_type| Field::new("L", data_type, true)));
        if fields.is_empty() {
            fields.push(Field::new("S", DataType::Utf8, true));
        }
        DataType::Struct(Fields::from(fields))
    }

    /// The value of an attribute that is at `at`, without its type.
    fn unwrapped(&self, at: &str) -> (String, Option<String>) {
        let member = |tag: &str| format!("{at}[{}]", literal(tag));
        let [text, bytes, boolean] = self.scalars.map(|times| times > 0);
        let number = self.number.map(|number| number.cast(&member("N")));
        let mut plain: Vec<(String, Option<String>)> = Vec::new();
        plain.extend(text.then(|| (member("S"), None)));
        plain.extend(number.clone());
        plain.extend(bytes.then(|| (member("B"), Some("base64; decode(..., 'base64') gives the bytes".to_owned()))));
        plain.extend(boolean.then(|| (member("BOOL"), None)));
        let mut nested: Vec<(String, Option<String>)> = Vec::new();
        for (tag, times) in SETS.iter().zip(self.sets) {
            nested.extend((times > 0).then(|| (member(tag), (*tag == "NS").then(|| "numbers, as text".to_owned()))));
        }
        if let Some(map) = self.map.as_ref().filter(|map| !map.0.is_empty()) {
            let inner = member("M");
            let fields = map.0.iter().map(|(name, shape)| {
                let name = literal(name);
                format!("{name}, {}", shape.unwrapped(&format!("{inner}[{name}]")).0)
            });
            let fields = fields.collect::<Vec<_>>().join(", ");
            nested.push((format!("CASE WHEN {inner} IS NOT NULL THEN named_struct({fields}) END"), None));
        }
        if self.list.is_some() {
            nested.push((member("L"), Some("a list; its values keep their types".to_owned())));
        }
        match (plain.as_slice(), nested.as_slice()) {
            ([], []) => (member("S"), Some("no value but NULL in the sample".to_owned())),
            ([one], []) | ([], [one]) => one.clone(),
            ([], [one, ..]) => (one.0.clone(), Some("other types occur, too, and are NULL here".to_owned())),
            (plain, nested) => {
                let mut types: Vec<String> = Vec::new();
                types.extend(text.then(|| member("S")));
                types.extend(number.map(|_| member("N")));
                types.extend(bytes.then(|| member("B")));
                types.extend(boolean.then(|| format!("CAST({} AS VARCHAR)", member("BOOL"))));
                let one_type = plain.len() == 1 && !nested.is_empty();
                let expr = if one_type { plain[0].0.clone() } else { format!("coalesce({})", types.join(", ")) };
                let note = if nested.is_empty() {
                    "values of several types, as text"
                } else {
                    "maps, lists or sets occur, too, and are NULL here"
                };
                (expr, Some(note.to_owned()))
            }
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

    fn cast(self, text: &str) -> (String, Option<String>) {
        let is_large = self.has_exponent || self.whole_digits + SCALE > 38 || self.scale > SCALE;
        match self.scale {
            _ if self.has_exponent => (text.to_owned(), Some("a number, as text: it has an exponent".to_owned())),
            0 if self.whole_digits <= 18 => (format!("CAST({text} AS BIGINT)"), None),
            0 if self.whole_digits <= 38 => (format!("CAST({text} AS DECIMAL(38,0))"), None),
            _ if is_large => (text.to_owned(), Some("a number, as text: it has too many digits".to_owned())),
            _ => (
                format!("CAST({text} AS DECIMAL(38,{SCALE}))"),
                Some(format!("more than {SCALE} digits after the point would be rounded")),
            ),
        }
    }
}

impl Attributes {
    /// Takes in a line of an export file; false if it is none.
    pub(crate) fn take(&mut self, line: &Value) -> bool {
        let Some(item) = line.get("Item").and_then(Value::as_object) else { return false };
        self.members.take(item);
        self.items += 1;
        true
    }

    /// The schema of the file's lines; None when no item has an attribute.
    pub(crate) fn schema(&self) -> Option<Schema> {
        Some(Schema::new(vec![Field::new("Item", self.members.data_type()?, true)]))
    }

    /// The columns of the SELECT.
    pub(crate) fn unwrapped(&self) -> Vec<Unwrapped> {
        let column = |(name, shape): &(String, Shape)| {
            let (expr, note) = shape.unwrapped(&format!("{}[{}]", ident("Item"), literal(name)));
            Unwrapped { name: name.clone(), expr, note }
        };
        self.members.0.iter().map(column).collect()
    }

    /// Whether there are more attributes than are distinguished.
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

    /// `name = expression` of each column.
    fn columns(lines: &[&str]) -> Vec<String> {
        let unwrapped = attributes(lines).unwrapped();
        unwrapped.iter().map(|column| format!("{} = {}", column.name, column.expr)).collect()
    }

    #[test]
    fn each_type_is_taken_off_in_its_own_way() {
        let line = r#"{"Item":{"id":{"N":"7"},"price":{"N":"1.25"},"name":{"S":"x"},"ok":{"BOOL":true},
            "raw":{"B":"eA=="},"tags":{"SS":["a"]},"none":{"NULL":true},"at":{"M":{"zip":{"S":"1"}}}}}"#;
        assert_eq!(
            columns(&[line]),
            [
                r#"id = CAST("Item"['id']['N'] AS BIGINT)"#,
                r#"price = CAST("Item"['price']['N'] AS DECIMAL(38,10))"#,
                r#"name = "Item"['name']['S']"#,
                r#"ok = "Item"['ok']['BOOL']"#,
                r#"raw = "Item"['raw']['B']"#,
                r#"tags = "Item"['tags']['SS']"#,
                r#"none = "Item"['none']['S']"#,
                r#"at = CASE WHEN "Item"['at']['M'] IS NOT NULL THEN named_struct('zip', "Item"['at']['M']['zip']['S']) END"#,
            ]
        );
    }

    #[test]
    fn attributes_of_several_types_become_text() {
        let lines = [r#"{"Item":{"v":{"N":"7"}}}"#, r#"{"Item":{"v":{"S":"x"}}}"#, r#"{"Item":{"v":{"BOOL":true}}}"#];
        let expected = r#"v = coalesce("Item"['v']['S'], "Item"['v']['N'], CAST("Item"['v']['BOOL'] AS VARCHAR))"#;
        assert_eq!(columns(&lines), [expected]);
        let schema = attributes(&lines).schema().unwrap();
        assert_eq!(
            sql_type(schema.field(0).data_type()).unwrap(),
            r#"STRUCT<v STRUCT<"S" VARCHAR, "BOOL" BOOLEAN, "N" VARCHAR>>"#
        );
    }

    #[test]
    fn numbers_that_no_type_holds_stay_text() {
        for (number, expected) in [
            ("123456789012345678", "BIGINT"),
            ("12345678901234567890", "DECIMAL(38,0)"),
            ("1E+40", "['N']"),
            ("0.12345678901", "['N']"),
            ("12345678901234567890123456789012.5", "['N']"),
        ] {
            let column = columns(&[&format!(r#"{{"Item":{{"n":{{"N":"{number}"}}}}}}"#)]).remove(0);
            assert!(column.contains(expected), "{number}: {column}");
        }
    }

    #[test]
    fn lists_of_several_types_keep_their_types() {
        let column = &attributes(&[r#"{"Item":{"l":{"L":[{"S":"a"},{"N":"1"},{"M":{"x":{"S":"y"}}}]}}}"#]);
        assert_eq!(column.unwrapped()[0].expr, r#""Item"['l']['L']"#);
        let schema = column.schema().unwrap();
        let expected = r#"STRUCT<l STRUCT<"L" STRUCT<"S" VARCHAR, "N" VARCHAR, "M" STRUCT<x STRUCT<"S" VARCHAR>>>[]>>"#;
        assert_eq!(sql_type(schema.field(0).data_type()).unwrap(), expected);
    }

    #[test]
    fn a_line_without_an_item_is_none() {
        assert!(!Attributes::default().take(&serde_json::json!({"Keys": {}})));
    }
}
