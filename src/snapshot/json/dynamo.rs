//! The JSON of DynamoDB exports as plain JSON: each value without the type around it.
//!
//! ```text
//! {"Item":{"id":{"N":"7"},"tags":{"SS":["a"]},"at":{"M":{"zip":{"S":"1"}}},"raw":{"B":"eA=="}}}
//! {"id":7,"tags":["a"],"at":{"zip":"1"},"raw":"\\x78"}
//! ```
//!
//! A number keeps its digits. Bytes become the hexadecimal digits that a BYTEA column reads. A line of a full export
//! has one member, `Item`, whose attributes become the members of the record. A line of an incremental export keeps its
//! members `Metadata`, `Keys`, `NewImage` and `OldImage`. A value without a type, or of a type that DynamoDB does not
//! have, is an error with line and column; so is a record that does not end on its line. Nothing is looked up by name,
//! and a name that occurs twice is left for the reader to refuse.
//!
//! Source: "DynamoDB table export output format" in the DynamoDB Developer Guide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::text::{Cursor, Fault, Syntax};
use crate::snapshot::text::place::{Malformed, TextPart};
use crate::snapshot::values::numeral::Numeral;

/// Values within one another: DynamoDB has at most 32.
const MAX_DEPTH: usize = 64;

/// Why a record cannot be read.
pub(super) const ITEM_ALONE: &str = "a record with Item has no other member";

/// The state between two chunks of one file.
#[derive(Debug, Default)]
pub(crate) struct DynamoToPlain {
    /// A line whose end is missing.
    pending: Vec<u8>,
    /// Lines that have ended.
    lines: u64,
    /// Room for texts and bytes.
    scratch: String,
    raw: Vec<u8>,
}

impl DynamoToPlain {
    /// Takes in a chunk and appends the records that end in it to `out`, one per line.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !self.pending.is_empty() {
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.pending.extend_from_slice(bytes);
                return Ok(());
            };
            let mut line = std::mem::take(&mut self.pending);
            line.extend_from_slice(&bytes[..=end]);
            self.records(&line, out)?;
            line.clear();
            self.pending = line;
            bytes = &bytes[end + 1..];
        }
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.records(&bytes[..end], out)?;
        self.pending.extend_from_slice(&bytes[end..]);
        Ok(())
    }

    /// To be called when all bytes were pushed: the last line may have no end.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let line = std::mem::take(&mut self.pending);
        self.records(&line, out)
    }

    /// Bytes that are held until their line ends.
    pub(crate) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Complete lines.
    fn records(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let part = TextPart { bytes, line: self.lines + 1, is_after_cr: false, ends: [b'\n'; 2] };
        let malformed = |at: usize, reason: String| {
            let (line, column) = part.locate(at);
            Malformed { line, column, reason }
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| malformed(error.valid_up_to(), "the text is not UTF-8".to_owned()))?;
        let mut cursor = Cursor::new(text);
        while cursor.token().is_ok() {
            let start = cursor.at();
            let mut record = Unwrapping { cursor: &mut cursor, out, scratch: &mut self.scratch, raw: &mut self.raw };
            if let Err(fault) = record.record() {
                let (at, reason) = match fault {
                    Fault::Syntax(syntax) => (syntax.at, syntax.reason),
                    Fault::Incomplete | Fault::Value(_) => (start, "the record does not end on its line".to_owned()),
                };
                return Err(malformed(at, reason));
            }
            if text[start..cursor.at()].contains('\n') {
                return Err(malformed(start, "the record does not end on its line".to_owned()));
            }
            out.push(b'\n');
        }
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(())
    }
}

/// Room to unwrap one value after another.
#[derive(Debug, Default)]
pub(crate) struct PlainRoom {
    plain: Vec<u8>,
    scratch: String,
    raw: Vec<u8>,
}

impl PlainRoom {
    /// The record that is next, as plain JSON.
    ///
    /// # Errors
    /// [`Fault`] at its place.
    pub(crate) fn record(&mut self, cursor: &mut Cursor<'_>) -> Result<&str, Fault> {
        self.plain.clear();
        let Self { plain: out, scratch, raw } = self;
        Unwrapping { cursor, out, scratch, raw }.record()?;
        self.text(cursor)
    }

    /// The typed value that is next, as plain JSON.
    ///
    /// # Errors
    /// [`Fault`] at its place.
    pub(crate) fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<&str, Fault> {
        self.plain.clear();
        let Self { plain: out, scratch, raw } = self;
        Unwrapping { cursor, out, scratch, raw }.value(0)?;
        self.text(cursor)
    }

    fn text(&mut self, cursor: &Cursor<'_>) -> Result<&str, Fault> {
        // A number at the end might go on.
        self.plain.push(b' ');
        // Its parts are texts.
        std::str::from_utf8(&self.plain).map_err(|_| cursor.wrong("the text is not UTF-8"))
    }
}

/// A typed value without escapes.
#[derive(Debug)]
pub(crate) enum TypedScalar<'a> {
    Text(&'a str),
    Number(Numeral<'a>),
    Null,
}

/// Reads `{"S":"a"}`, `{"N":"1"}` or `{"NULL":true}` where it is written so, without blanks. Most of an export is; all
/// else is for [`PlainRoom::value`].
#[inline]
pub(crate) fn typed_scalar<'a>(cursor: &mut Cursor<'a>) -> Option<TypedScalar<'a>> {
    let start = cursor.at();
    let found = if cursor.take(b"{\"S\":\"") {
        cursor.last_string().map(TypedScalar::Text)
    } else if cursor.take(b"{\"N\":\"") {
        cursor.last_string().and_then(|text| {
            let number = Numeral::of_json(text).ok().filter(|number| number.text().len() == text.len());
            number.map(TypedScalar::Number)
        })
    } else {
        cursor.take(b"{\"NULL\":true}").then_some(TypedScalar::Null)
    };
    if found.is_none() {
        cursor.back_to(start);
    }
    found
}

/// One record on its way out.
struct Unwrapping<'u, 'a> {
    cursor: &'u mut Cursor<'a>,
    out: &'u mut Vec<u8>,
    scratch: &'u mut String,
    raw: &'u mut Vec<u8>,
}

impl Unwrapping<'_, '_> {
    fn record(&mut self) -> Result<(), Fault> {
        self.open(b'{', "a record of a DynamoDB export is an object")?;
        let start = self.cursor.at();
        let names = "a DynamoDB record is an object with Item, or with Metadata, Keys, NewImage and OldImage";
        if !self.cursor.member(true)? {
            return Err(self.cursor.wrong_at(start, names));
        }
        if self.cursor.is_name("Item") {
            self.cursor.colon()?;
            self.attributes(0)?;
            let after = self.cursor.at();
            return match self.cursor.member(false)? {
                true => Err(self.cursor.wrong_at(after, ITEM_ALONE)),
                false => Ok(()),
            };
        }
        self.out.push(b'{');
        let mut is_first = true;
        loop {
            let start = self.cursor.at() - 1;
            let name = self.cursor.string(self.scratch)?;
            let name = ["Metadata", "Keys", "NewImage", "OldImage"].into_iter().find(|known| *known == name);
            let name = name.ok_or_else(|| self.cursor.wrong_at(start, names))?;
            if !std::mem::replace(&mut is_first, false) {
                self.out.push(b',');
            }
            self.out.extend([b"\"", name.as_bytes(), b"\":"].concat());
            self.cursor.colon()?;
            if name == "Metadata" {
                self.metadata()?
            } else {
                self.attributes(0)?
            }
            if !self.cursor.member(false)? {
                self.out.push(b'}');
                return Ok(());
            }
        }
    }

    fn open(&mut self, bracket: u8, reason: &'static str) -> Result<(), Fault> {
        if self.cursor.token()? != bracket {
            return Err(self.cursor.wrong(reason));
        }
        self.cursor.advance();
        Ok(())
    }

    /// `{"WriteTimestampMicros":{"N":"1680109764000000"}}`; the number may also be a plain text.
    fn metadata(&mut self) -> Result<(), Fault> {
        self.members(|own| {
            if own.cursor.token()? == b'{' {
                return own.value(0);
            }
            own.open(b'"', "expected a time in microseconds, as text")?;
            own.number()
        })
    }

    /// An object whose members are typed values.
    fn attributes(&mut self, depth: usize) -> Result<(), Fault> {
        self.members(|own| own.value(depth))
    }

    /// An object whose names are kept.
    fn members(&mut self, mut value: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open(b'{', "expected an object of attributes")?;
        self.out.push(b'{');
        let mut is_first = true;
        while self.cursor.member(is_first)? {
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            self.text()?;
            self.cursor.colon()?;
            self.out.push(b':');
            value(self)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A typed value, such as `{"S":"a"}`.
    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        const WHAT: &str = "expected a value with its type, such as {\"S\":\"a\"}";
        let start = self.cursor.at();
        if depth > MAX_DEPTH {
            return Err(self.cursor.wrong("values nest deeper than DynamoDB allows"));
        }
        self.open(b'{', WHAT)?;
        if !self.cursor.member(true)? {
            return Err(self.cursor.wrong_at(start, WHAT));
        }
        let at = self.cursor.at();
        let tag = self.cursor.string(self.scratch)?;
        let tag = ["S", "N", "BOOL", "M", "L", "NULL", "SS", "NS", "B", "BS"].into_iter().find(|known| *known == tag);
        let tag = tag.ok_or_else(|| {
            self.cursor
                .wrong_at(at, "DynamoDB has no such type; its types are S, N, B, BOOL, NULL, M, L, SS, NS and BS")
        })?;
        self.cursor.colon()?;
        match tag {
            "S" => self.open(b'"', "S is a text").and_then(|()| self.text())?,
            "N" => self.open(b'"', "N is a number in double quotes").and_then(|()| self.number())?,
            "B" => self.open(b'"', "B is base64 in double quotes").and_then(|()| self.bytes())?,
            "BOOL" => {
                let word = if self.cursor.token()? == b't' { "true" } else { "false" };
                self.cursor.word(word)?;
                self.out.extend_from_slice(word.as_bytes());
            }
            "NULL" => {
                let word = if self.cursor.token()? == b't' { "true" } else { "false" };
                self.cursor.word(word)?;
                self.out.extend_from_slice(b"null");
            }
            "M" => self.attributes(depth + 1)?,
            "L" => self.list(|own| own.value(depth + 1))?,
            "SS" => self.list(|own| own.open(b'"', "SS has texts").and_then(|()| own.text()))?,
            "NS" => self.list(|own| own.open(b'"', "NS has numbers in double quotes").and_then(|()| own.number()))?,
            _ => self.list(|own| own.open(b'"', "BS has base64 in double quotes").and_then(|()| own.bytes()))?,
        }
        let after = self.cursor.at();
        match self.cursor.member(false)? {
            true => Err(self.cursor.wrong_at(after, "a value has one type")),
            false => Ok(()),
        }
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open(b'[', "expected a list")?;
        self.out.push(b'[');
        let mut is_first = true;
        while self.cursor.element(is_first)? {
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            item(self)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A string after its first quote, as it is written.
    fn text(&mut self) -> Result<(), Fault> {
        let start = self.cursor.at() - 1;
        self.cursor.string(self.scratch)?;
        self.out.extend_from_slice(self.cursor.since(start).as_bytes());
        Ok(())
    }

    /// A number in quotes, after the first one, without them.
    fn number(&mut self) -> Result<(), Fault> {
        let start = self.cursor.at();
        let text = self.cursor.string(self.scratch)?;
        match Numeral::of_json(text) {
            Ok(number) if number.text().len() == text.len() => {
                self.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            _ => {
                let reason = format!("'{text}' is no number");
                Err(Fault::Syntax(Box::new(Syntax { at: start, reason })))
            }
        }
    }

    /// Base64 in quotes, after the first one, as `"\\x.."`.
    fn bytes(&mut self) -> Result<(), Fault> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let start = self.cursor.at();
        let text = self.cursor.string(self.scratch)?;
        self.raw.clear();
        if STANDARD.decode_vec(text, self.raw).is_err() {
            return Err(Fault::Syntax(Box::new(Syntax { at: start, reason: "the text is no base64".to_owned() })));
        }
        self.out.extend_from_slice(b"\"\\\\x");
        let digits = self.raw.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        self.out.extend(digits);
        self.out.push(b'"');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::config::{FileFormat, JsonDialect, JsonOptions};
    use crate::snapshot::scan::decode::tests::{decode, json_format, schema};

    /// In chunks of that size.
    fn plain(text: &[u8], chunk: usize) -> Result<String, Malformed> {
        let (mut plain, mut out) = (DynamoToPlain::default(), Vec::new());
        for chunk in text.chunks(chunk) {
            plain.push(chunk, &mut out)?;
        }
        plain.end(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_type_is_taken_off() {
        let line = r#"{"Item":{"id":{"N":"-7.50"},"s":{"S":"a\"\u00e9"},"ok":{"BOOL":true},"raw":{"B":"aGk="},"none":{"NULL":true},
"#.trim_end().to_owned() + r#""ss":{"SS":["a"]},"ns":{"NS":["1","1E+40"]},"bs":{"BS":["","eA=="]},"m":{"M":{"x y":{"L":[{"S":"N"},{"M":{}}]}}}}}"#;
        let expected = r#"{"id":-7.50,"s":"a\"\u00e9","ok":true,"raw":"\\x6869","none":null,"ss":["a"],"ns":[1,1E+40],"bs":["\\x","\\x78"],"m":{"x y":["N",{}]}}"#;
        assert_eq!(plain(line.as_bytes(), 1).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn changes_keep_their_members() {
        let line = r#"{"Metadata":{"WriteTimestampMicros":{"N":"1680109764000000"}},"Keys":{"pk":{"S":"A"}},"NewImage":{"pk":{"S":"A"},"n":{"N":"1"}}}"#;
        let expected =
            r#"{"Metadata":{"WriteTimestampMicros":1680109764000000},"Keys":{"pk":"A"},"NewImage":{"pk":"A","n":1}}"#;
        assert_eq!(plain(line.as_bytes(), 7).unwrap(), format!("{expected}\n"));
        let as_text = line.replace(r#"{"N":"1680109764000000"}"#, r#""1680109764000000""#);
        assert_eq!(plain(as_text.as_bytes(), 7).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn what_is_no_typed_value_is_refused_at_its_place() {
        for (text, line, column, word) in [
            ("{\"Item\":{\"a\":{\"N\":\"1\"}}}\n{\"Item\":{\"a\":1}}", 2, 14, "with its type"),
            ("{\"Item\":{\"a\":{\"X\":1}}}", 1, 16, "no such type"),
            ("{\"Item\":{\"a\":{\"N\":\"x\"}}}", 1, 20, "'x' is no number"),
            ("{\"Item\":{\"a\":{\"N\":\"1\",\"S\":\"b\"}}}", 1, 22, "one type"),
            ("{\"Item\":{\"a\":{\"B\":\"?\"}}}", 1, 20, "base64"),
            ("{\"Item\":{},\"Keys\":{}}", 1, 11, "no other member"),
            ("{\"id\":1}", 1, 2, "Item"),
            ("{\"Item\":{\"a\":{\"S\":\"b\"", 1, 1, "does not end"),
            ("{\"Item\":\n{}}", 1, 1, "does not end"),
            ("[1]", 1, 1, "an object"),
        ] {
            let error = plain(text.as_bytes(), 3).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
            assert!(error.reason.contains(word), "{text}: {error}");
        }
    }

    fn typed() -> impl Strategy<Value = (Value, Value)> {
        let leaf = prop_oneof![
            "\\PC{0,8}|[\"\\\\\n]{0,4}".prop_map(|text| (json!({"S": text}), json!(text))),
            any::<i64>().prop_map(|number| (json!({"N": number.to_string()}), json!(number))),
            any::<bool>().prop_map(|truth| (json!({"BOOL": truth}), json!(truth))),
            Just((json!({"NULL": true}), Value::Null)),
            prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                (json!({"B": STANDARD.encode(&bytes)}), json!(format!("\\x{digits}")))
            }),
            prop::collection::vec("[a-c]{1,3}", 1..4).prop_map(|texts| (json!({"SS": texts}), json!(texts))),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                    let (typed, plain): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                    (json!({"L": typed}), json!(plain))
                }),
                prop::collection::btree_map("[a-c\"é]{0,6}", inner, 0..4).prop_map(|members| {
                    let (mut typed, mut plain) = (Map::new(), Map::new());
                    for (name, (value, unwrapped)) in members {
                        typed.insert(name.clone(), value);
                        plain.insert(name, unwrapped);
                    }
                    (json!({"M": typed}), json!(plain))
                }),
            ]
        })
    }

    /// A type of a column, as declared for any attribute.
    fn column_type() -> impl Strategy<Value = DataType> {
        let item = Field::new("a", DataType::Utf8, true);
        prop::sample::select(vec![
            DataType::Utf8,
            DataType::Int64,
            DataType::Boolean,
            DataType::Binary,
            DataType::new_list(DataType::Utf8, true),
            DataType::Struct(vec![item].into()),
        ])
    }

    proptest! {
        #[test]
        fn typed_items_are_read_as_plain_ones_are(
            items in prop::collection::vec(prop::collection::btree_map("[a-c]", typed(), 0..4), 0..4),
            types in prop::collection::vec(column_type(), 3),
            has_blanks in any::<bool>(),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut text = String::new();
            for item in items {
                let typed: Map<String, Value> = item.into_iter().map(|(name, (value, _))| (name, value)).collect();
                text += &format!("{}\n", json!({"Item": typed}));
            }
            if has_blanks {
                text = text.replace(":{", ": {").replace("\"}", "\" }");
            }
            let end = cut.map_or(text.len(), |cut| cut.index(text.len() + 1));
            let text = &text[..text.floor_char_boundary(end)];
            let schema = schema(&[("a", types[0].clone()), ("b", types[1].clone()), ("c", types[2].clone())]);
            let options = JsonOptions { dialect: JsonDialect::DynamoDb, ..JsonOptions::default() };
            let found = decode(&FileFormat::Json(options), &schema, None, text);
            let expected = plain(text.as_bytes(), 7).map(|plain| decode(&json_format(), &schema, None, &plain));
            match (found, expected) {
                (Ok(found), Ok(Ok(expected))) => prop_assert_eq!(found, expected),
                (Err(_), Ok(Err(_)) | Err(_)) => {}
                (found, expected) => prop_assert!(false, "{text}: {found:?}, not {expected:?}"),
            }
        }

        #[test]
        fn any_item_comes_back_without_its_types(
            items in prop::collection::vec(prop::collection::btree_map("[a-z]{1,4}", typed(), 0..4), 0..5),
            chunk in 1_usize..50,
            cut in any::<prop::sample::Index>(),
        ) {
            let (mut text, mut expected) = (String::new(), Vec::new());
            for item in items {
                let (mut typed, mut plain) = (Map::new(), Map::new());
                for (name, (value, unwrapped)) in item {
                    typed.insert(name.clone(), value);
                    plain.insert(name, unwrapped);
                }
                text += &format!("{}\n", json!({"Item": typed}));
                expected.push(Value::from(plain));
            }
            let found = plain(text.as_bytes(), chunk).unwrap();
            let found: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(&found, &expected);
            // A part of a file gives the records of whole lines, or an error.
            let cut = cut.index(text.len() + 1);
            if let Ok(part) = plain(&text.as_bytes()[..cut], chunk) {
                let whole = text[..cut].trim_end().split('\n').filter(|line| !line.is_empty()).count();
                prop_assert_eq!(part.lines().count(), whole);
            }
        }
    }
}
