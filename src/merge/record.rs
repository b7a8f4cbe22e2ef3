//! The lines of DynamoDB exports, as far as a merge has to know them: keys, times and where images are.
//!
//! A line of a full export has an `Item`; its key attributes are looked up by the names in `Keys` of the changes. A
//! line of an incremental export has `Metadata` with the time of the write, `Keys`, and `NewImage` unless the item was
//! deleted; `OldImage` is not used. Everything else of a line is checked as JSON only: it is carried over as it is and
//! read later. An image whose key attributes are not `Keys` is an error. Pure.
//!
//! Source: "DynamoDB table export output format" in the DynamoDB Developer Guide.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{KeyDigest, KeySchema, KeyType, add_number};
use crate::snapshot::json::text::{Cursor, Fault};
use crate::snapshot::values::numeral::Numeral;

/// The key attributes of the table, once a change has shown them.
pub(super) type SharedSchema = Arc<OnceLock<KeySchema>>;

/// One change of an item.
#[derive(Debug)]
pub(super) struct ChangeRecord<'a> {
    pub(super) digest: KeyDigest,
    /// `Metadata.WriteTimestampMicros`
    pub(super) written: i64,
    /// `Keys` as they are written.
    pub(super) keys: &'a str,
    /// `NewImage` as it is written; `None`: the item was deleted.
    pub(super) image: Option<&'a str>,
}

/// Reads records, with room for their parts.
#[derive(Debug)]
pub(super) struct RecordParser {
    schema: SharedSchema,
    /// The canonical value of each key attribute, if it was there.
    values: Vec<(bool, Vec<u8>)>,
    open: Vec<u8>,
    scratch: String,
}

const A_CHANGE: &str = "a record of an incremental export is an object with Metadata, Keys, NewImage and OldImage";
const AN_ITEM: &str = "a record of a full export is an object with Item";
const AN_ATTRIBUTE: &str = "expected an attribute with its type, such as {\"S\":\"a\"}";

impl RecordParser {
    pub(super) fn new(schema: SharedSchema) -> Self {
        Self { schema, values: Vec::new(), open: Vec::new(), scratch: String::new() }
    }

    /// Reads a record of a full export; `None`: no key attributes are known.
    pub(super) fn item(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<KeyDigest>, Fault> {
        open(cursor, AN_ITEM)?;
        let start = cursor.at();
        if !cursor.member(true)? || !cursor.is_name("Item") {
            return Err(cursor.wrong_at(start, AN_ITEM));
        }
        cursor.colon()?;
        let schema = Arc::clone(&self.schema);
        let digest = match schema.get() {
            Some(schema) => Some(self.key(cursor, schema, false)?),
            None => {
                cursor.skip(&mut self.open, &mut self.scratch)?;
                None
            }
        };
        let after = cursor.at();
        match cursor.member(false)? {
            true => Err(cursor.wrong_at(after, "a record with Item has no other member")),
            false => Ok(digest),
        }
    }

    /// Reads a record of an incremental export.
    pub(super) fn change<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<ChangeRecord<'a>, Fault> {
        const NAMES: [&str; 4] = ["Metadata", "Keys", "NewImage", "OldImage"];
        open(cursor, A_CHANGE)?;
        let start = cursor.at();
        let mut members: [Option<(usize, &'a str)>; 4] = [None; 4];
        let mut is_first = true;
        while cursor.member(is_first)? {
            is_first = false;
            let at = cursor.at() - 1;
            let name = cursor.string(&mut self.scratch)?;
            let Some(index) = NAMES.iter().position(|known| *known == name) else {
                return Err(cursor.wrong_at(at, A_CHANGE));
            };
            cursor.colon()?;
            cursor.token()?;
            let from = cursor.at();
            cursor.skip(&mut self.open, &mut self.scratch)?;
            if members[index].replace((from, cursor.since(from))).is_some() {
                return Err(cursor.wrong_at(at, format!("the record has two members {}", NAMES[index])));
            }
        }
        let [metadata, keys, image, _] = members;
        let missing = |name: &str| cursor.wrong_at(start, format!("the change has no {name}"));
        let (Some((at, metadata)), Some((keys_at, keys))) = (metadata, keys) else {
            return Err(missing(if metadata.is_none() { NAMES[0] } else { NAMES[1] }));
        };
        let written = self.written(metadata).map_err(|fault| shifted(fault, at))?;
        let schema = match self.schema.get() {
            Some(schema) => schema.clone(),
            None => {
                let found = self.schema_of(keys).map_err(|fault| shifted(fault, keys_at))?;
                self.schema.get_or_init(|| found).clone()
            }
        };
        let digest = self.key(&mut Cursor::new(keys), &schema, true).map_err(|fault| shifted(fault, keys_at))?;
        if let Some((at, image)) = image {
            let of_image = self.key(&mut Cursor::new(image), &schema, false).map_err(|fault| shifted(fault, at))?;
            if of_image != digest {
                return Err(cursor.wrong_at(at, "the image has another key than Keys"));
            }
        }
        Ok(ChangeRecord { digest, written, keys, image: image.map(|(_, image)| image) })
    }

    /// `{"WriteTimestampMicros":{"N":"1680109764000000"}}`; the number may also be a plain text.
    fn written(&mut self, text: &str) -> Result<i64, Fault> {
        const A_TIME: &str = "expected WriteTimestampMicros, a number of microseconds";
        let mut cursor = Cursor::new(text);
        open(&mut cursor, A_TIME)?;
        let (mut is_first, mut written) = (true, None);
        while cursor.member(is_first)? {
            is_first = false;
            let is_time = cursor.string(&mut self.scratch)? == "WriteTimestampMicros";
            cursor.colon()?;
            if !is_time || written.is_some() {
                cursor.skip(&mut self.open, &mut self.scratch)?;
                continue;
            }
            let typed = cursor.token()? == b'{';
            if typed {
                cursor.advance();
                if !cursor.member(true)? || !cursor.is_name("N") {
                    return Err(cursor.wrong(A_TIME));
                }
                cursor.colon()?;
            }
            if cursor.token()? != b'"' {
                return Err(cursor.wrong(A_TIME));
            }
            cursor.advance();
            let at = cursor.at();
            let micros = cursor.string(&mut self.scratch)?.parse().ok().filter(|micros: &i64| *micros > 0);
            written = Some(micros.ok_or_else(|| cursor.wrong_at(at, A_TIME))?);
            if typed && cursor.member(false)? {
                return Err(cursor.wrong(A_TIME));
            }
        }
        written.ok_or_else(|| cursor.wrong_at(0, A_TIME))
    }

    /// The names and types of `Keys`.
    fn schema_of(&mut self, keys: &str) -> Result<KeySchema, Fault> {
        let mut cursor = Cursor::new(keys);
        open(&mut cursor, "Keys is an object of attributes")?;
        let (mut is_first, mut attributes) = (true, Vec::new());
        while cursor.member(is_first)? {
            is_first = false;
            let name = cursor.string(&mut self.scratch)?.to_owned();
            cursor.colon()?;
            self.open.clear();
            let of = attribute(&mut cursor, &mut self.scratch, &mut self.open, &name)?;
            if attributes.iter().any(|(other, _)| *other == name) {
                return Err(cursor.wrong(format!("Keys has {name} twice")));
            }
            attributes.push((name, of));
        }
        if attributes.is_empty() {
            return Err(cursor.wrong_at(0, "Keys is empty"));
        }
        attributes.sort();
        Ok(KeySchema(attributes))
    }

    /// The key of an object of attributes; if it is `Keys`, it has no others.
    fn key(&mut self, cursor: &mut Cursor<'_>, schema: &KeySchema, is_keys: bool) -> Result<KeyDigest, Fault> {
        let KeySchema(attributes) = schema;
        self.values.resize_with(attributes.len(), Default::default);
        for (is_there, value) in &mut self.values {
            *is_there = false;
            value.clear();
        }
        open(cursor, "expected an object of attributes")?;
        let start = cursor.at() - 1;
        let mut is_first = true;
        while cursor.member(is_first)? {
            is_first = false;
            let at = cursor.at() - 1;
            let name = cursor.string(&mut self.scratch)?;
            let Some(index) = attributes.iter().position(|(known, _)| known == name) else {
                if is_keys {
                    let reason = format!("Keys has {name}, which is no key attribute in records before");
                    return Err(cursor.wrong_at(at, reason));
                }
                cursor.colon()?;
                cursor.skip(&mut self.open, &mut self.scratch)?;
                continue;
            };
            cursor.colon()?;
            let (name, of) = &attributes[index];
            let (is_there, value) = &mut self.values[index];
            if std::mem::replace(is_there, true) {
                return Err(cursor.wrong_at(at, format!("the key attribute {name} is there twice")));
            }
            let found = attribute(cursor, &mut self.scratch, value, name)?;
            if found != *of {
                let (found, of) = (found.name(), of.name());
                let reason = format!("the key attribute {name} is of type {found}, in records before of type {of}");
                return Err(cursor.wrong_at(at, reason));
            }
        }
        let missing = self.values.iter().position(|(is_there, _)| !is_there);
        if let Some((name, _)) = missing.and_then(|index| attributes.get(index)) {
            return Err(cursor.wrong_at(start, format!("the key attribute {name} is missing")));
        }
        Ok(KeyDigest::of(self.values.iter().map(|(_, value)| value.as_slice())))
    }
}

fn open(cursor: &mut Cursor<'_>, reason: &'static str) -> Result<(), Fault> {
    if cursor.token()? != b'{' {
        return Err(cursor.wrong(reason));
    }
    cursor.advance();
    Ok(())
}

/// Reads a key attribute and appends its canonical value.
fn attribute(cursor: &mut Cursor<'_>, scratch: &mut String, out: &mut Vec<u8>, name: &str) -> Result<KeyType, Fault> {
    open(cursor, AN_ATTRIBUTE)?;
    let at = cursor.at();
    if !cursor.member(true)? {
        return Err(cursor.wrong_at(at, AN_ATTRIBUTE));
    }
    let tag = KeyType::named(cursor.string(scratch)?);
    let tag = tag.ok_or_else(|| cursor.wrong_at(at, format!("the key attribute {name} is not of type S, N or B")))?;
    cursor.colon()?;
    if cursor.token()? != b'"' {
        return Err(cursor.wrong(AN_ATTRIBUTE));
    }
    cursor.advance();
    let at = cursor.at();
    let text = cursor.string(scratch)?;
    let is_right = match tag {
        KeyType::Text => {
            out.extend_from_slice(text.as_bytes());
            true
        }
        KeyType::Number => {
            Numeral::of_json(text).is_ok_and(|number| number.text().len() == text.len()) && add_number(text, out)
        }
        KeyType::Bytes => STANDARD.decode_vec(text, out).is_ok(),
    };
    if !is_right {
        let what = if tag == KeyType::Number { "number" } else { "base64" };
        return Err(cursor.wrong_at(at, format!("the key attribute {name} is no {what}")));
    }
    match cursor.member(false)? {
        true => Err(cursor.wrong("a value has one type")),
        false => Ok(tag),
    }
}

/// The fault of a part of a text, at its place in the whole.
fn shifted(mut fault: Fault, from: usize) -> Fault {
    if let Fault::Syntax(syntax) = &mut fault {
        syntax.at += from;
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> RecordParser {
        RecordParser::new(SharedSchema::default())
    }

    fn place(fault: Fault) -> (usize, String) {
        match fault {
            Fault::Syntax(syntax) => (syntax.at, syntax.reason),
            other => panic!("{other:?}"),
        }
    }

    const CHANGE: &str = r#"{"Metadata":{"WriteTimestampMicros":{"N":"17"}},"Keys":{"n":{"N":"1.0"},"b":{"B":"aGk="}},"NewImage":{"x":{"S":"}"},"b":{"B":"aGk="},"n":{"N":"1e0"}}}"#;

    #[test]
    fn a_change_and_its_item_have_one_digest_whatever_their_spelling() {
        let mut parser = parser();
        let change = parser.change(&mut Cursor::new(CHANGE)).unwrap();
        assert_eq!((change.written, change.keys), (17, r#"{"n":{"N":"1.0"},"b":{"B":"aGk="}}"#));
        assert!(change.image.unwrap().starts_with(r#"{"x":{"S":"}"}"#));
        let item = r#"{"Item": {"b": {"B": "aGk="}, "n": {"N": "10E-1"}, "y": {"L": []}}}"#;
        assert_eq!(parser.item(&mut Cursor::new(item)).unwrap(), Some(change.digest));
        let deleted =
            r#"{"Keys":{"b":{"B":"aGk="},"n":{"N":"1"}},"OldImage":{},"Metadata":{"WriteTimestampMicros":"18"}}"#;
        let deleted = parser.change(&mut Cursor::new(deleted)).unwrap();
        assert_eq!((deleted.digest, deleted.written, deleted.image), (change.digest, 18, None));
        let other = r#"{"Item":{"b":{"B":"aGk="},"n":{"N":"-1"}}}"#;
        assert_ne!(parser.item(&mut Cursor::new(other)).unwrap(), Some(change.digest));
    }

    #[test]
    fn an_item_without_known_key_attributes_has_no_digest() {
        assert_eq!(parser().item(&mut Cursor::new(r#"{"Item":{"a":{"S":"x"}}}"#)).unwrap(), None);
    }

    #[test]
    fn what_is_no_change_is_refused_at_its_place() {
        for (from, to, word) in [
            (r#""N":"17""#, r#""N":"x""#, "microseconds"),
            (r#""Metadata""#, r#""Meta""#, "Metadata, Keys, NewImage"),
            (r#"{"N":"1e0"}"#, r#"{"N":"2"}"#, "another key"),
            (r#","n":{"N":"1e0"}"#, "", "n is missing"),
            (r#"{"N":"1e0"}"#, r#"{"S":"1"}"#, "n is of type S"),
            (r#"{"N":"1.0"}"#, r#"{"BOOL":true}"#, "not of type S, N or B"),
            (r#"{"N":"1.0"}"#, r#"{"N":"1.0x"}"#, "n is no number"),
            (r#"{"B":"aGk="}},"NewImage""#, r#"{"B":"?"}},"NewImage""#, "b is no base64"),
            (r#""NewImage":{"x""#, r#""Keys":{},"NewImage":{"x""#, "two members Keys"),
            (r#""n":{"N":"1.0"}"#, r#""b":{"B":""}"#, "b twice"),
        ] {
            let text = CHANGE.replacen(from, to, 1);
            assert_ne!(text, CHANGE);
            let (at, reason) = place(parser().change(&mut Cursor::new(&text)).unwrap_err());
            assert!(reason.contains(word), "{reason}");
            assert!(at > 0 && at < text.len(), "{at} {reason}");
        }
        for (text, word) in [
            (r#"{"Keys":{"a":{"S":"b"}}}"#, "no Metadata"),
            (r#"{"Metadata":{"WriteTimestampMicros":{"N":"1"}}}"#, "no Keys"),
            (r#"{"Item":{"a":{"S":"b"}}}"#, "Metadata, Keys, NewImage"),
            (r#"{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{}}"#, "Keys is empty"),
        ] {
            let (_, reason) = place(parser().change(&mut Cursor::new(text)).unwrap_err());
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let mut parser = parser();
        parser.change(&mut Cursor::new(CHANGE)).unwrap();
        for (text, word) in [
            (r#"{"Item":{"n":{"N":"1"}}}"#, "b is missing"),
            (r#"{"Item":{"n":{"N":"1"},"b":{"B":"aGk="},"n":{"N":"2"}}}"#, "n is there twice"),
            (r#"{"Keys":{}}"#, "an object with Item"),
        ] {
            let (_, reason) = place(parser.item(&mut Cursor::new(text)).unwrap_err());
            assert!(reason.contains(word), "{reason}");
        }
    }
}
