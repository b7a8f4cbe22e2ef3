//! One value of extended JSON, such as `{"$oid":"5d505646cf6d4fe581014ab2"}`, as plain JSON.
//!
//! An object is such a value if it has no other names. Version 2 in both its forms and the strict form of version 1 are
//! read. An object of which only the names are right is an error; all other objects are not touched, among them
//! references (`{"$ref":..,"$id":..}`), code with a scope, and operators of queries (`{"$regex":..}` without options).
//! Names that are written with escapes are not recognized, which no exporter does.
//!
//! Format: <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::document::put_timestamp;
use super::plain::{INFINITY, NAN, NEGATIVE_INFINITY, days_of, put_binary, put_date, put_integer};

/// What an object turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwrapped {
    /// A value, which was written; so many bytes were read.
    Value(usize),
    /// No value of extended JSON.
    Other,
    /// The text ends before that is known.
    Incomplete,
}

/// An object with the names of a value, and not its contents.
#[derive(Debug)]
pub(crate) struct IllFormed {
    /// Byte of the object.
    pub(crate) at: usize,
    pub(crate) reason: String,
}

/// Why the walk over an object ends early.
#[derive(Debug)]
enum UnwrapStop {
    Incomplete,
    /// It is no JSON, about which the reader of JSON says more.
    NotJson,
}

/// A name and its value as they are written, the name without its quotes.
#[derive(Debug, Clone, Copy)]
struct WrapperMember<'a> {
    name: &'a [u8],
    value: &'a [u8],
    at: usize,
}

/// Members of an object.
#[derive(Debug)]
enum WrapperMembers<'a> {
    One(WrapperMember<'a>),
    Two(WrapperMember<'a>, WrapperMember<'a>),
    Others,
}

/// Reads the object at the beginning of a text and appends its value to `out`; `room` is room for bytes.
#[inline]
pub(crate) fn unwrap(text: &[u8], out: &mut Vec<u8>, room: &mut Vec<u8>) -> Result<Unwrapped, IllFormed> {
    if let Some(length) = usual(text, out) {
        return Ok(Unwrapped::Value(length));
    }
    let mut walk = ObjectWalk { text, at: 0 };
    match walk.members(is_known) {
        Ok(WrapperMembers::One(member)) => {
            let Some(result) = single(&member, out, room) else { return Ok(Unwrapped::Other) };
            result.map_err(|wanted| ill_formed(&member, wanted))?;
        }
        Ok(WrapperMembers::Two(first, second)) => {
            let (first, second) = if second.name < first.name { (second, first) } else { (first, second) };
            match (first.name, second.name, content(first.value), content(second.value)) {
                (b"$binary", b"$type", Some(base64), Some(subtype)) => {
                    binary(base64, subtype, out, room).map_err(|wanted| ill_formed(&first, wanted))?;
                }
                (b"$options", b"$regex", Some(options), Some(pattern)) => expression(pattern, options, out),
                _ => return Ok(Unwrapped::Other),
            }
        }
        Ok(WrapperMembers::Others) | Err(UnwrapStop::NotJson) => return Ok(Unwrapped::Other),
        Err(UnwrapStop::Incomplete) => return Ok(Unwrapped::Incomplete),
    }
    Ok(Unwrapped::Value(walk.at))
}

/// The three values that most exports are full of, as every exporter writes them; None says nothing.
#[inline]
fn usual(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    if let Some((id, [b'"', b'}', ..])) = text.strip_prefix(b"{\"$oid\":\"").and_then(|rest| rest.split_at_checked(24))
    {
        let is_id = id.iter().fold(true, |all, byte| all & matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id {
            put_raw(out, id);
            return Some(9 + 24 + 2);
        }
        return None;
    }
    let (start, digits) = match text.get(..16)? {
        [b'{', b'"', b'$', b'n', b'u', b'm', b'b', b'e', b'r', b'L', b'o', b'n', b'g', b'"', b':', b'"'] => (16, 18),
        [b'{', b'"', b'$', b'n', b'u', b'm', b'b', b'e', b'r', b'I', b'n', b't', b'"', b':', b'"', _] => (15, 9),
        _ => return None,
    };
    let rest = text.get(start..)?;
    let sign = usize::from(rest.first() == Some(&b'-'));
    let length = rest.get(sign..)?.iter().take(digits + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let is_usual = (1..=digits).contains(&length) && (length == 1 || rest.get(sign) != Some(&b'0'));
    let number = rest.get(..sign + length)?;
    let is_end = rest.get(sign + length..)?.starts_with(b"\"}");
    if !is_usual || !is_end || number == b"-0" {
        return None;
    }
    out.extend_from_slice(number);
    Some(start + number.len() + 2)
}

#[cold]
fn ill_formed(member: &WrapperMember<'_>, wanted: &str) -> IllFormed {
    let value = String::from_utf8_lossy(member.value);
    let mut shown: String = value.chars().take(60).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    let reason = format!("{} must have {wanted}, not {shown}", String::from_utf8_lossy(member.name));
    IllFormed { at: member.at, reason }
}

/// Whether a value's first name may be this.
fn is_known(name: &[u8]) -> bool {
    matches!(
        name,
        b"$oid"
            | b"$date"
            | b"$numberInt"
            | b"$numberLong"
            | b"$numberDouble"
            | b"$numberDecimal"
            | b"$binary"
            | b"$type"
            | b"$uuid"
            | b"$timestamp"
            | b"$regularExpression"
            | b"$regex"
            | b"$options"
            | b"$code"
            | b"$symbol"
            | b"$minKey"
            | b"$maxKey"
            | b"$undefined"
            | b"$dbPointer"
    )
}

type Wanted = Result<(), &'static str>;

/// A value of one member; None: it is none.
fn single(member: &WrapperMember<'_>, out: &mut Vec<u8>, room: &mut Vec<u8>) -> Option<Wanted> {
    let text = content(member.value);
    Some(match member.name {
        b"$oid" => object_id(text, out),
        b"$date" => date(member.value, out),
        b"$numberInt" => {
            integer(text, i32::MIN.into(), i32::MAX.into(), out).ok_or("a whole number of 32 bits in quotes")
        }
        b"$numberLong" => integer(text, i64::MIN, i64::MAX, out).ok_or("a whole number of 64 bits in quotes"),
        b"$numberDouble" => number(text, true, out).ok_or("a number, NaN, Infinity or -Infinity in quotes"),
        b"$numberDecimal" => number(text, false, out).ok_or("a number, NaN, Infinity or -Infinity in quotes"),
        b"$binary" => binary_object(member.value, out, room),
        b"$uuid" => uuid(text, out).ok_or("32 hexadecimal digits with four hyphens in quotes"),
        b"$timestamp" => timestamp(member.value, out).ok_or("t and i, whole numbers of 32 bits"),
        b"$regularExpression" => match pair(member.value, b"options", b"pattern") {
            Some((options, pattern)) => match (content(options), content(pattern)) {
                (Some(options), Some(pattern)) => {
                    expression(pattern, options, out);
                    Ok(())
                }
                _ => Err("a pattern and options, both texts"),
            },
            None => Err("a pattern and options, both texts"),
        },
        b"$code" | b"$symbol" => text.map(|text| put_raw(out, text)).ok_or("a text"),
        b"$minKey" if member.value == b"1" => written(out, b"{\"$minKey\":1}"),
        b"$maxKey" if member.value == b"1" => written(out, b"{\"$maxKey\":1}"),
        b"$minKey" | b"$maxKey" => Err("the number 1"),
        b"$undefined" if member.value == b"true" => written(out, b"null"),
        b"$undefined" => Err("the word true"),
        b"$dbPointer" => pointer(member.value, out).ok_or("$ref and $id, a text and an ObjectId"),
        _ => return None,
    })
}

fn written(out: &mut Vec<u8>, text: &[u8]) -> Wanted {
    out.extend_from_slice(text);
    Ok(())
}

/// A text as it is written, with its escapes.
fn put_raw(out: &mut Vec<u8>, content: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(content);
    out.push(b'"');
}

fn expression(pattern: &[u8], options: &[u8], out: &mut Vec<u8>) {
    for part in [&b"\"/"[..], pattern, b"/", options, b"\""] {
        out.extend_from_slice(part);
    }
}

fn object_id(text: Option<&[u8]>, out: &mut Vec<u8>) -> Wanted {
    match text {
        Some(id) if id.len() == 24 && id.iter().all(u8::is_ascii_hexdigit) => {
            out.push(b'"');
            out.extend(id.iter().map(u8::to_ascii_lowercase));
            out.push(b'"');
            Ok(())
        }
        _ => Err("24 hexadecimal digits in quotes"),
    }
}

fn integer(text: Option<&[u8]>, least: i64, most: i64, out: &mut Vec<u8>) -> Option<()> {
    let value = int64(text?).filter(|value| (least..=most).contains(value))?;
    put_integer(out, value);
    Some(())
}

fn int64(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if is_whole { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// A number of JSON as it is written; a DOUBLE gets a point, so that it is not taken for an integer.
fn number(text: Option<&[u8]>, is_double: bool, out: &mut Vec<u8>) -> Option<()> {
    let text = text?;
    match text {
        b"NaN" => out.extend_from_slice(NAN),
        b"Infinity" => out.extend_from_slice(INFINITY),
        b"-Infinity" => out.extend_from_slice(NEGATIVE_INFINITY),
        _ => {
            let is_whole = number_shape(text)?;
            out.extend_from_slice(text);
            if is_double && is_whole {
                out.extend_from_slice(b".0");
            }
        }
    }
    Some(())
}

/// Whether a number of JSON has neither a point nor an exponent; None: it is none.
fn number_shape(text: &[u8]) -> Option<bool> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with(b"0")) {
        return None;
    }
    rest = rest.get(whole..)?;
    let is_whole = rest.is_empty();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let places = digits(fraction);
        rest = fraction.get(places..).filter(|_| places > 0)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = if let [b'+' | b'-', others @ ..] = exponent { others } else { exponent };
        let places = digits(exponent);
        rest = exponent.get(places..).filter(|_| places > 0)?;
    }
    rest.is_empty().then_some(is_whole)
}

fn date(value: &[u8], out: &mut Vec<u8>) -> Wanted {
    const WANTED: &str = "a date and time with at most three digits after the second, or milliseconds";
    let milliseconds = if let Some(text) = content(value) {
        date_of(text)
    } else if value.first() == Some(&b'{') {
        match (ObjectWalk { text: value, at: 0 }).members(|name| name == b"$numberLong") {
            Ok(WrapperMembers::One(inner)) => content(inner.value).and_then(int64),
            _ => None,
        }
    } else {
        int64(value)
    };
    put_date(out, milliseconds.ok_or(WANTED)?);
    Ok(())
}

/// Milliseconds since 1970-01-01 of `2013-01-31T05:00:00.25Z`, or with an offset such as `+0100` or `-03:30`.
fn date_of(text: &[u8]) -> Option<i64> {
    let shape = text.first_chunk::<19>()?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', _, _] = shape else { return None };
    let year = digits(&shape[..4])?;
    let [month, day] = [digits(&shape[5..7])?, digits(&shape[8..10])?];
    let [hour, minute, second] = [digits(&shape[11..13])?, digits(&shape[14..16])?, digits(&shape[17..])?];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut milliseconds = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let places = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, after) = fraction.split_at_checked(places)?;
        let (kept, lost) = fraction.split_at(places.min(3));
        if places == 0 || lost.iter().any(|digit| *digit != b'0') {
            return None;
        }
        milliseconds = digits(kept)? * [0, 100, 10, 1][kept.len()];
        rest = after;
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, others @ ..] => {
            let minutes = match others {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => digits(&[*m1, *m2])?,
                _ => return None,
            };
            let hours = digits(&[*h1, *h2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_of(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60;
    Some(seconds * 1_000 + milliseconds)
}

/// A few digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn binary_object(value: &[u8], out: &mut Vec<u8>, room: &mut Vec<u8>) -> Wanted {
    let parts =
        pair(value, b"base64", b"subType").and_then(|(base64, subtype)| Some((content(base64)?, content(subtype)?)));
    let (base64, subtype) = parts.ok_or("base64 and subType, both texts")?;
    binary(base64, subtype, out, room)
}

fn binary(base64: &[u8], subtype: &[u8], out: &mut Vec<u8>, room: &mut Vec<u8>) -> Wanted {
    // Old versions wrote the user's own subtypes as negative numbers.
    let digits = if subtype.len() == 8 { subtype.strip_prefix(b"ffffff").unwrap_or(subtype) } else { subtype };
    let subtype = match digits {
        [_] | [_, _] if digits.iter().all(u8::is_ascii_hexdigit) => {
            std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
        }
        _ => None,
    };
    let subtype = subtype.ok_or("a subtype of two hexadecimal digits in quotes")?;
    room.clear();
    STANDARD.decode_vec(base64, room).map_err(|_| "bytes in base64")?;
    put_binary(out, subtype, room);
    Ok(())
}

fn uuid(text: Option<&[u8]>, out: &mut Vec<u8>) -> Option<()> {
    let text = text.filter(|text| text.len() == 36)?;
    let is_right = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    if !text.iter().enumerate().all(is_right) {
        return None;
    }
    out.push(b'"');
    out.extend(text.iter().map(u8::to_ascii_lowercase));
    out.push(b'"');
    Some(())
}

fn timestamp(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (ordinal, seconds) = pair(value, b"i", b"t")?;
    let part = |value| int64(value).and_then(|value| u32::try_from(value).ok());
    put_timestamp(out, part(seconds)?, part(ordinal)?);
    Some(())
}

fn pointer(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (id, namespace) = pair(value, b"$id", b"$ref")?;
    let namespace = content(namespace)?;
    let Ok(WrapperMembers::One(id)) = (ObjectWalk { text: id, at: 0 }).members(|name| name == b"$oid") else {
        return None;
    };
    let before = out.len();
    out.extend_from_slice(b"{\"$ref\":");
    put_raw(out, namespace);
    out.extend_from_slice(b",\"$id\":");
    if object_id(content(id.value), out).is_err() {
        out.truncate(before);
        return None;
    }
    out.push(b'}');
    Some(())
}

/// The values of an object with these two names, of which the first is less.
fn pair<'a>(value: &'a [u8], less: &[u8], greater: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let Ok(WrapperMembers::Two(first, second)) = (ObjectWalk { text: value, at: 0 }).members(|_| true) else {
        return None;
    };
    match (first.name, second.name) {
        (a, b) if a == less && b == greater => Some((first.value, second.value)),
        (a, b) if a == greater && b == less => Some((second.value, first.value)),
        _ => None,
    }
}

/// A text without its quotes, and without regard for its escapes.
fn content(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Walks over an object that may be cut.
struct ObjectWalk<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> ObjectWalk<'a> {
    /// Up to two members, if the first has a name that is asked for.
    fn members(&mut self, is_wanted: impl Fn(&[u8]) -> bool) -> Result<WrapperMembers<'a>, UnwrapStop> {
        self.byte(b'{')?;
        let first = self.name()?;
        if !is_wanted(first.0) {
            return Ok(WrapperMembers::Others);
        }
        let first = self.member(first)?;
        match self.token()? {
            b'}' => {
                self.at += 1;
                return Ok(WrapperMembers::One(first));
            }
            b',' => self.at += 1,
            _ => return Err(UnwrapStop::NotJson),
        }
        let second = self.name()?;
        let second = self.member(second)?;
        match self.token()? {
            b'}' => {
                self.at += 1;
                Ok(WrapperMembers::Two(first, second))
            }
            _ => Ok(WrapperMembers::Others),
        }
    }

    fn name(&mut self) -> Result<(&'a [u8], usize), UnwrapStop> {
        self.token()?;
        let at = self.at;
        Ok((self.string()?, at))
    }

    fn member(&mut self, (name, at): (&'a [u8], usize)) -> Result<WrapperMember<'a>, UnwrapStop> {
        self.byte(b':')?;
        Ok(WrapperMember { name, value: self.value()?, at })
    }

    /// The next byte that is no white space, which is not read.
    fn token(&mut self) -> Result<u8, UnwrapStop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| is_blank(**byte)).count();
        self.at += blank;
        rest.get(blank).copied().ok_or(UnwrapStop::Incomplete)
    }

    fn byte(&mut self, wanted: u8) -> Result<(), UnwrapStop> {
        if self.token()? != wanted {
            return Err(UnwrapStop::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// A text, whose quote is next, without its quotes.
    fn string(&mut self) -> Result<&'a [u8], UnwrapStop> {
        self.byte(b'"')?;
        let text = self.text;
        let start = self.at;
        loop {
            let rest = text.get(self.at..).unwrap_or_default();
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(UnwrapStop::Incomplete)?;
            self.at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return Ok(text.get(start..self.at - 1).unwrap_or_default());
            }
            self.at += 1;
        }
    }

    /// Any value as it is written; one that is not closed by its own kind of bracket is no matter here.
    fn value(&mut self) -> Result<&'a [u8], UnwrapStop> {
        let first = self.token()?;
        let (text, start) = (self.text, self.at);
        if matches!(first, b'{' | b'[') {
            let mut depth = 0_usize;
            loop {
                match self.token()? {
                    b'"' => {
                        self.string()?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                self.at += 1;
                if depth == 0 {
                    break;
                }
            }
        } else if first == b'"' {
            self.string()?;
        } else {
            let rest = text.get(start..).unwrap_or_default();
            let is_end = |byte: &u8| is_blank(*byte) || matches!(byte, b',' | b'}' | b']' | b'"' | b':' | b'{' | b'[');
            let length = rest.iter().position(is_end).ok_or(UnwrapStop::Incomplete)?;
            if length == 0 {
                return Err(UnwrapStop::NotJson);
            }
            self.at += length;
        }
        Ok(text.get(start..self.at).unwrap_or_default())
    }
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests;
