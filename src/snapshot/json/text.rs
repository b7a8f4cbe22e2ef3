//! JSON text, token by token and by the letter of RFC 8259.
//!
//! [`Cursor`] walks over a text that is there as a whole, or up to where it is cut. It builds nothing: whoever calls it
//! says what becomes of a value. Strings without an escape are parts of the text. Depth is the caller's, but for
//! [`Cursor::skip`], which takes any.

use crate::snapshot::values::numeral::Numeral;

/// Why a value could not be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The text ends before the value does.
    Incomplete,
    /// The text is no JSON.
    Syntax(Box<Syntax>),
    /// The value is JSON, but not one of its column.
    Value(Box<Unfit>),
}

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// Byte of the text.
    pub(crate) at: usize,
    pub(crate) reason: String,
}

/// A value that its column cannot hold.
#[derive(Debug)]
pub(crate) struct Unfit {
    /// Names from the innermost field outwards.
    pub(crate) path: Vec<String>,
    pub(crate) value: String,
    /// As it is declared.
    pub(crate) data_type: String,
    pub(crate) reason: Option<&'static str>,
}

impl Fault {
    /// Adds the name of the field that a value belongs to.
    #[cold]
    pub(crate) fn within(mut self, name: &str) -> Self {
        if let Self::Value(unfit) = &mut self {
            unfit.path.push(name.to_owned());
        }
        self
    }
}

impl Fault {
    /// The fault of a text that was made of another one, at the place there.
    #[cold]
    pub(crate) fn moved_to(mut self, at: usize) -> Self {
        if let Self::Syntax(syntax) = &mut self {
            syntax.at = at;
        }
        self
    }
}

/// A place in a text.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte to read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from a place on that was read.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The text is no JSON, at the next byte.
    #[cold]
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Fault {
        self.wrong_at(self.at, reason)
    }

    #[cold]
    pub(crate) fn wrong_at(&self, at: usize, reason: impl Into<String>) -> Fault {
        Fault::Syntax(Box::new(Syntax { at, reason: reason.into() }))
    }

    #[cold]
    fn expected(&self, what: &str) -> Fault {
        let found = self.text[self.at..].chars().next().unwrap_or_default();
        self.wrong(format!("expected {what}, found {found:?}"))
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, which is not read.
    #[inline]
    pub(crate) fn token(&mut self) -> Result<u8, Fault> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(byte),
                None => return Err(Fault::Incomplete),
            }
        }
    }

    /// Reads a byte that [`Cursor::token`] has shown.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// Within an object: reads the quote before the next name, or the brace at the end, which is false.
    #[inline]
    pub(crate) fn member(&mut self, is_first: bool) -> Result<bool, Fault> {
        match self.token()? {
            b'}' => {
                self.at += 1;
                return Ok(false);
            }
            b',' if !is_first => {
                self.at += 1;
                if self.token()? != b'"' {
                    return Err(self.expected("a name in double quotes"));
                }
            }
            b'"' if is_first => {}
            _ if is_first => return Err(self.expected("a name in double quotes or '}'")),
            _ => return Err(self.expected("',' or '}'")),
        }
        self.at += 1;
        Ok(true)
    }

    /// Within a list: goes to the next value, or reads the bracket at the end, which is false.
    #[inline]
    pub(crate) fn element(&mut self, is_first: bool) -> Result<bool, Fault> {
        match self.token()? {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.expected("',' or ']'")),
        }
    }

    /// Reads this name and the quote after it, if they come next.
    #[inline]
    pub(crate) fn is_name(&mut self, name: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let is_next = rest.get(name.len()) == Some(&b'"') && rest.starts_with(name.as_bytes());
        if is_next {
            self.at += name.len() + 1;
        }
        is_next
    }

    #[inline]
    pub(crate) fn colon(&mut self) -> Result<(), Fault> {
        if self.token()? != b':' {
            return Err(self.expected("':'"));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string after its first quote; one that has escapes is written to `scratch`.
    #[inline]
    pub(crate) fn string<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, Fault>
    where
        'a: 's,
    {
        let start = self.at;
        self.at = special(self.text.as_bytes(), self.at);
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(&self.text[start..self.at - 1]);
        }
        scratch.clear();
        scratch.push_str(&self.text[start..self.at]);
        loop {
            match self.byte() {
                None => return Err(Fault::Incomplete),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(scratch);
                }
                Some(b'\\') => scratch.push(self.escape()?),
                Some(b'\n' | b'\r') => return Err(self.wrong("a line ends within a string; its quote is not closed")),
                Some(byte) => {
                    return Err(self.wrong(format!("a control character in a string; write it as \\u{byte:04x}")));
                }
            }
            let from = self.at;
            self.at = special(self.text.as_bytes(), self.at);
            scratch.push_str(&self.text[from..self.at]);
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 1;
        let byte = self.byte().ok_or(Fault::Incomplete)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = self.hex()?;
                if let 0xd800..0xdc00 = code {
                    for expected in [b'\\', b'u'] {
                        match self.byte() {
                            None => return Err(Fault::Incomplete),
                            Some(byte) if byte == expected => self.at += 1,
                            Some(_) => return Err(self.wrong_at(start, LONE)),
                        }
                    }
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.wrong_at(start, LONE));
                    }
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                char::from_u32(code).ok_or_else(|| self.wrong_at(start, LONE))?
            }
            _ => return Err(self.wrong_at(start, "an unknown escape in a string")),
        })
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.byte().ok_or(Fault::Incomplete)?;
            let digit = char::from(byte).to_digit(16).ok_or_else(|| self.expected("four hexadecimal digits"))?;
            (code, self.at) = (code * 16 + digit, self.at + 1);
        }
        Ok(code)
    }

    /// Reads a number, whose first byte [`Cursor::token`] has shown.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Numeral<'a>, Fault> {
        let rest = &self.text[self.at..];
        match Numeral::of_json(rest) {
            // It may go on where the text is cut.
            Ok(number) if number.text().len() < rest.len() => {
                self.at += number.text().len();
                Ok(number)
            }
            Err(right) if right < rest.len() => {
                self.at += right;
                Err(self.expected("the digits of a number"))
            }
            _ => Err(Fault::Incomplete),
        }
    }

    /// Reads `true`, `false` or `null`, whose first byte is next.
    #[inline]
    pub(crate) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        if word.as_bytes().starts_with(rest) { Err(Fault::Incomplete) } else { Err(self.expected("a value")) }
    }

    /// Reads these bytes, if they come next.
    #[inline]
    pub(crate) fn take<const N: usize>(&mut self, bytes: &[u8; N]) -> bool {
        // Of a fixed length, so that they are compared as numbers.
        let is_next = self.text.as_bytes()[self.at..].first_chunk::<N>() == Some(bytes);
        if is_next {
            self.at += N;
        }
        is_next
    }

    /// Reads a string and the brace after it, if no byte of it is escaped and the first quote was read: `abc"}`.
    #[inline]
    pub(crate) fn last_string(&mut self) -> Option<&'a str> {
        let end = special(self.text.as_bytes(), self.at);
        if self.text.as_bytes()[end..].first_chunk::<2>() != Some(b"\"}") {
            return None;
        }
        let text = &self.text[self.at..end];
        self.at = end + 2;
        Some(text)
    }

    /// Goes back to a place that was read.
    #[inline]
    pub(crate) fn back_to(&mut self, at: usize) {
        self.at = at.min(self.at);
    }

    /// What is next is no value.
    #[cold]
    pub(crate) fn no_value(&self) -> Fault {
        let rest = &self.text[self.at..];
        if rest.starts_with("NaN") || rest.starts_with("Infinity") {
            return self.wrong("NaN and Infinity are not JSON; write them in double quotes");
        }
        self.expected("a value")
    }

    /// Reads any value, of any depth; `open` is room for what is open.
    pub(crate) fn skip(&mut self, open: &mut Vec<u8>, scratch: &mut String) -> Result<(), Fault> {
        open.clear();
        loop {
            let opened = match self.token()? {
                byte @ (b'{' | b'[') => {
                    self.at += 1;
                    open.push(byte);
                    true
                }
                b'"' => {
                    self.at += 1;
                    self.string(scratch)?;
                    false
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                    false
                }
                b't' => self.word("true").map(|()| false)?,
                b'f' => self.word("false").map(|()| false)?,
                b'n' => self.word("null").map(|()| false)?,
                _ => return Err(self.no_value()),
            };
            let mut is_first = opened;
            loop {
                let goes_on = match open.last() {
                    None => return Ok(()),
                    Some(b'{') => {
                        let goes_on = self.member(is_first)?;
                        if goes_on {
                            self.string(scratch)?;
                            self.colon()?;
                        }
                        goes_on
                    }
                    Some(_) => self.element(is_first)?,
                };
                if goes_on {
                    break;
                }
                open.pop();
                is_first = false;
            }
        }
    }
}

const LONE: &str = "half of a surrogate pair, which is not a character";

/// The next byte that is a quote, a backslash or a control character, or the end.
#[inline]
fn special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut at = from;
    // The lowest bit that is set is right; those above it may be owed to a borrow.
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
        let word = u64::from_le_bytes(eight);
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        let found = (found | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skipped(text: &str) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(text);
        cursor.skip(&mut Vec::new(), &mut String::new()).map(|()| cursor.at())
    }

    #[test]
    fn what_is_no_json_is_refused_at_its_place() {
        for (text, at) in [
            ("{,}", 1),
            ("{\"a\":1,}", 7),
            ("{\"a\" 1}", 5),
            ("{\"a\":1 \"b\":2}", 7),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[01]", 2),
            ("[1.]", 3),
            ("[-]", 2),
            ("[tru]", 1),
            ("[NaN]", 1),
            ("[+1]", 1),
            ("{\"a\":'x'}", 5),
            ("[\"\u{1}\"]", 2),
            ("[\"a\nb\"]", 3),
            ("[\"\\x\"]", 2),
            ("[\"\\ud800\"]", 2),
            ("[\"\\ud800\\u0041\"]", 2),
            ("[\"\\udc00\"]", 2),
            ("[\"\\u12g4\"]", 6),
            ("{1:2}", 1),
            ("[}", 1),
        ] {
            match skipped(text) {
                Err(Fault::Syntax(syntax)) => assert_eq!(syntax.at, at, "{text}: {}", syntax.reason),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn strings_are_read_with_their_escapes() {
        let text = r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 end""#;
        let mut cursor = Cursor::new(text);
        cursor.advance();
        assert_eq!(cursor.string(&mut String::new()).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀 end");
        assert_eq!(cursor.at(), text.len());
    }

    #[test]
    fn a_hundred_thousand_brackets_need_no_stack() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(skipped(&text).unwrap(), 200_000);
        assert!(matches!(skipped(&text[..150_000]), Err(Fault::Incomplete)));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::{Value, json};
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|value| json!(value)),
            "\\PC{0,12}|[\"\\\\\u{1}-\u{1f}a]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"é]{0,10}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_json_is_read_to_its_end_and_no_part_of_it_is_whole(value in any_json(), cut in any::<usize>()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let text = format!("{text} ");
                prop_assert_eq!(skipped(&text).unwrap(), text.len() - 1);
                let cut = (0..=cut % (text.len() - 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap();
                prop_assert!(matches!(skipped(&text[..cut]), Err(Fault::Incomplete)), "{}", &text[..cut]);
            }
        }

        #[test]
        fn what_serde_json_refuses_is_refused(value in any_json(), at in any::<usize>(), by in "[\\[\\]{}\",:0-9.e\\-tfn\\\\ ]") {
            let text = value.to_string();
            let at = (0..=at % text.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let end = at + text[at..].chars().next().unwrap().len_utf8();
            let text = format!("{}{by}{} ", &text[..at], &text[end..]);
            let ours = skipped(&text).is_ok_and(|end| text[end..].trim().is_empty());
            prop_assert_eq!(ours, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn special_bytes_are_found_where_they_are(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let slowly = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
            prop_assert_eq!(special(&bytes, 0), slowly);
        }
    }
}
