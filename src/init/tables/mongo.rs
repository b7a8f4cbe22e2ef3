//! MongoDB's files without their dump: documents of BSON, and text whose values are certainly MongoDB's extended JSON.
//! Pure.
//!
//! ```text
//! {"_id":{"$oid":"65b9c1f2e4b0a1b2c3d4e5f6"},"at":{"$date":"2024-01-31T05:00:00Z"},"n":{"$numberLong":"7"}}
//! ```
//!
//! One such value shows it, if no value of these names has another form. A file whose values are all plain is not
//! recognized: mongoexport writes an `_id`, which mostly is an ObjectId. Documents may run over lines, and lie in an
//! array (`--jsonArray`). What a sample cuts off is left out.

use serde_json::Value;

use crate::config::{JsonDialect, JsonOptions, TextOptions};
use crate::init::survey::sample::SampledText;
use crate::snapshot::mongo::bson::{begins, whole_documents};

/// Documents of a file that are looked at.
const DOCUMENTS: usize = 100;

/// The samples as MongoDB's documents, less what was cut, with the names of the first one; None: they are none.
pub(crate) fn documents(texts: &mut [SampledText], options: &TextOptions) -> Option<(JsonOptions, Vec<String>)> {
    let dialect = dialect_of(&texts.first()?.bytes)?;
    if texts.iter().any(|text| dialect_of(&text.bytes) != Some(dialect)) {
        return None;
    }
    texts.iter_mut().filter(|text| text.is_cut).for_each(|text| match dialect {
        JsonDialect::Bson => text.bytes.truncate(whole_documents(&text.bytes)),
        _ => {
            let (_, end, is_array) = look(&text.bytes);
            text.bytes.truncate(end);
            text.bytes.extend(is_array.then_some(b']'));
        }
    });
    let names = if dialect == JsonDialect::Bson { Vec::new() } else { names(&texts.first()?.bytes) };
    Some((JsonOptions { dialect, text: options.clone() }, names))
}

fn dialect_of(bytes: &[u8]) -> Option<JsonDialect> {
    if begins(bytes) {
        return Some(JsonDialect::Bson);
    }
    let mut seen = Evidence::default();
    look(bytes).0.iter().for_each(|document| seen.take(document));
    (seen.is_some && !seen.is_otherwise).then_some(JsonDialect::MongoDb)
}

fn names(bytes: &[u8]) -> Vec<String> {
    match look(bytes).0.into_iter().next() {
        Some(Value::Object(members)) => members.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// The first documents, where the last whole one of all ends, and whether they are in an array.
fn look(bytes: &[u8]) -> (Vec<Value>, usize, bool) {
    let blank = |bytes: &[u8], at: usize| at + bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let start = blank(bytes, 0);
    let is_array = bytes.get(start) == Some(&b'[');
    let (mut first, mut end) = (Vec::new(), start + usize::from(is_array));
    let mut at = end;
    loop {
        at = blank(bytes, at);
        if bytes.get(at) != Some(&b'{') {
            break;
        }
        let mut document = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<Value>();
        let Some(Ok(value)) = document.next() else { break };
        at += document.byte_offset();
        end = at;
        if first.len() < DOCUMENTS {
            first.push(value);
        }
        at = blank(bytes, at);
        if is_array {
            if bytes.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
    }
    (first, end, is_array)
}

/// What values say of it.
#[derive(Default)]
struct Evidence {
    is_some: bool,
    /// A value has one of the names, and is none of MongoDB's.
    is_otherwise: bool,
}

impl Evidence {
    fn take(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.take(item)),
            Value::Object(members) => {
                for (name, of) in members {
                    let Some(holds) = fits(name, of) else {
                        self.take(of);
                        continue;
                    };
                    let holds = holds && members.len() == 1;
                    self.is_some |= holds;
                    self.is_otherwise |= !holds;
                }
            }
            _ => {}
        }
    }
}

/// Whether the value under a name of MongoDB has its form; None for other names.
fn fits(name: &str, value: &Value) -> Option<bool> {
    let text = value.as_str().unwrap_or_default();
    match name {
        "$oid" => Some(text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "$numberLong" => Some(text.parse::<i64>().is_ok()),
        "$date" => {
            let is_number = |value: &Value| value.is_i64() || fits("$numberLong", &value["$numberLong"]) == Some(true);
            let is_time = chrono::DateTime::parse_from_rfc3339(text).is_ok()
                || chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").is_ok();
            Some(is_time || is_number(value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8], is_cut: bool) -> Option<(JsonDialect, Vec<u8>)> {
        let mut texts = [SampledText { path: "f".to_owned(), bytes: text.to_vec(), is_cut }];
        let (options, _) = documents(&mut texts, &TextOptions::default())?;
        let [text] = texts;
        Some((options.dialect, text.bytes))
    }

    const OID: &str = r#"{"_id":{"$oid":"65b9c1f2e4b0a1b2c3d4e5f6"}}"#;

    #[test]
    fn extended_json_is_known_by_its_values_only() {
        let yes = [
            OID.to_owned(),
            format!("[{OID},\n{OID}]"),
            "{\n \"n\" : {\"$numberLong\":\"-7\"}\n}".to_owned(),
            r#"{"a":[{"b":{"$date":{"$numberLong":"1"}}}]}"#.to_owned(),
            r#"{"at":{"$date":"2024-01-31T05:00:00.250Z"}}"#.to_owned(),
        ];
        for text in yes {
            assert_eq!(found(text.as_bytes(), false), Some((JsonDialect::MongoDb, text.into_bytes())));
        }
        let no = [
            r#"{"_id":"65b9c1f2e4b0a1b2c3d4e5f6"}"#.to_owned(),
            r#"{"_id":{"$oid":"x"}}"#.to_owned(),
            r#"{"_id":{"$oid":"65b9c1f2e4b0a1b2c3d4e5f6","more":1}}"#.to_owned(),
            format!("{OID}\n{}", r#"{"_id":{"$oid":7}}"#),
            r#"{"text":"{\"$oid\":\"65b9c1f2e4b0a1b2c3d4e5f6\"}"}"#.to_owned(),
            "a,b\n1,2\n".to_owned(),
            String::new(),
        ];
        for text in no {
            assert_eq!(found(text.as_bytes(), false), None, "{text}");
        }
    }

    #[test]
    fn documents_that_a_sample_cuts_are_left_out() {
        let cut = |text: &str| String::from_utf8(found(text.as_bytes(), true).unwrap().1).unwrap();
        assert_eq!(cut(&format!("{OID}\n{OID}\n{{\"_id\":{{")), format!("{OID}\n{OID}"));
        assert_eq!(cut(&format!("[{OID},{OID},{{\"x")), format!("[{OID},{OID}]"));
        let document = b"\x0e\0\0\0\x10_id\0\x07\0\0\0\0";
        let whole = [&document[..], document].concat();
        let bytes = [&whole[..], &document[..9]].concat();
        assert_eq!(found(&bytes, true), Some((JsonDialect::Bson, whole)));
    }
}
