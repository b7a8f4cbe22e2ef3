//! One value of a row of VALUES: where it begins and ends, and how it is to be read. Nothing is copied here.
//!
//! ```text
//! (1, 'it\'s', NULL, 0x00ff)
//!  ^ Bare      ^ Null
//!     ^^^^^^^ Text, to be undone    ^^^^^^ Hex
//! ```
//!
//! Literals only: a number, a string, bytes, bits, NULL, TRUE, FALSE and DEFAULT. What a server would have to compute
//! (a call, an operator, a cast that may cut, strings side by side) is [`InsertHalt::Wrong`], never guessed. It
//! knows no types.

use memchr::{memchr, memchr2};

use crate::snapshot::dump::inserts::fault::{InsertHalt, MAX_TOKEN, shown, wrong};
use crate::snapshot::dump::inserts::settings::is_utf8;

/// How a value is written. The place of [`SqlValue`] is what is between quotes, or after `0x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueForm {
    Null,
    /// A number or a word.
    Bare,
    /// What is between quotes is the text.
    Text,
    /// With backslashes, or this quote doubled.
    Escaped(u8),
    /// With doubled quotes only.
    Doubled,
    /// As in `E'..'`.
    CStyle,
    /// As `Escaped`, but said to be bytes.
    Binary(u8),
    /// Digits of bytes.
    Hex,
    /// Digits of the bytes of a text.
    HexText,
    /// A number in MySQL.
    Bits,
    /// Text in PostgreSQL.
    BitText,
}

/// A value's place, and where the comma or parenthesis after it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SqlValue {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) how: ValueForm,
    pub(crate) next: usize,
}

/// How far a value that is not complete was looked at, so that no byte is looked at twice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OpenValue {
    /// 0: not at all.
    pub(crate) scanned: usize,
    /// It has an escape or a doubled quote.
    pub(crate) is_marred: bool,
}

/// The value that begins at `at`, which is no blank. `open` is that of the last try, or empty.
#[inline(always)]
pub(crate) fn value<const MYSQL: bool>(bytes: &[u8], at: usize, open: &mut OpenValue) -> Result<SqlValue, InsertHalt> {
    match bytes.get(at) {
        Some(quote @ b'\'') => quoted::<MYSQL>(bytes, at + 1, *quote, open),
        Some(quote @ b'"') if MYSQL => quoted::<MYSQL>(bytes, at + 1, *quote, open),
        Some(b'0'..=b'9' | b'-' | b'+' | b'.') => number::<MYSQL>(bytes, at, open),
        Some(b'N') if matches!(bytes.get(at..at + 5), Some(b"NULL," | b"NULL)")) => {
            Ok(SqlValue { start: at, end: at, how: ValueForm::Null, next: at + 4 })
        }
        Some(_) => other::<MYSQL>(bytes, at, open),
        None => Err(InsertHalt::More),
    }
}

/// Where the next byte is that is no blank, or the end.
#[inline(always)]
pub(crate) fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

#[inline(always)]
fn quoted<const MYSQL: bool>(
    bytes: &[u8],
    start: usize,
    quote: u8,
    open: &mut OpenValue,
) -> Result<SqlValue, InsertHalt> {
    let end = quote_end::<MYSQL>(bytes, start, quote, open)?;
    let how = match (open.is_marred, MYSQL) {
        (false, _) => ValueForm::Text,
        (true, true) => ValueForm::Escaped(quote),
        (true, false) => ValueForm::Doubled,
    };
    match bytes.get(end + 1) {
        Some(b',' | b')') => Ok(SqlValue { start, end, how, next: end + 1 }),
        _ => after_quoted::<MYSQL>(bytes, SqlValue { start, end, how, next: end + 1 }),
    }
}

/// Where the quote is that ends a value; known only with the byte after it.
#[inline(always)]
fn quote_end<const BACKSLASH: bool>(
    bytes: &[u8],
    start: usize,
    quote: u8,
    open: &mut OpenValue,
) -> Result<usize, InsertHalt> {
    let mut at = start.max(open.scanned);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let found = find::<BACKSLASH>(rest, quote);
        let Some(found) = found else {
            open.scanned = bytes.len().max(at);
            return Err(InsertHalt::More);
        };
        at += found;
        let is_quote = !BACKSLASH || bytes[at] == quote;
        match bytes.get(at + 1) {
            None => {
                open.scanned = at;
                return Err(InsertHalt::More);
            }
            Some(next) if is_quote && *next != quote => return Ok(at),
            // A doubled quote, or a character after a backslash.
            Some(_) => {
                open.is_marred = true;
                at += 2;
            }
        }
    }
}

/// Bytes that are looked at without a call: most values are short.
const NEAR: usize = 32;

/// Where the quote is, or with `BACKSLASH` that.
#[inline(always)]
pub(crate) fn find<const BACKSLASH: bool>(bytes: &[u8], quote: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    // The lowest high bit that is set is of the first byte that is zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let quotes = ONES * u64::from(quote);
    let (words, _) = bytes.as_chunks::<8>();
    let mut near = 0;
    for word in words.iter().take(NEAR / 8) {
        let word = u64::from_le_bytes(*word);
        let mut found = zeros(word ^ quotes);
        if BACKSLASH {
            found |= zeros(word ^ (ONES * 0x5c));
        }
        if found != 0 {
            return Some(near + (found.trailing_zeros() / 8) as usize);
        }
        near += 8;
    }
    let rest = &bytes[near..];
    let found = if BACKSLASH { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
    found.map(|found| near + found)
}

/// What follows a quoted value: blanks, or a cast of PostgreSQL.
#[cold]
fn after_quoted<const MYSQL: bool>(bytes: &[u8], value: SqlValue) -> Result<SqlValue, InsertHalt> {
    let mut at = skip_blanks(bytes, value.next);
    while !MYSQL && bytes.get(at) == Some(&b':') {
        match bytes.get(at + 1) {
            None => return Err(InsertHalt::More),
            Some(b':') => {}
            Some(_) => return wrong(at, "a colon follows a value"),
        }
        let start = skip_blanks(bytes, at + 2);
        let end = type_name(bytes, start)?;
        at = skip_blanks(bytes, end);
    }
    Ok(SqlValue { next: delimiter(bytes, value.next, at)?, ..value })
}

/// The end of a plain type name that begins at `start`, perhaps of a schema.
fn type_name(bytes: &[u8], start: usize) -> Result<usize, InsertHalt> {
    let mut at = start;
    loop {
        let part = at;
        at = word_end(bytes, at)?;
        let name = &bytes[part..at];
        if name.is_empty() || name[0].is_ascii_digit() {
            return wrong(start, format!("the cast to '{}' is of a type that is not plain", shown(bytes, start)));
        }
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            continue;
        }
        // A length that is not written is 1, and a name is 63 bytes.
        let cuts: [&[u8]; 6] = [b"char", b"character", b"nchar", b"bit", b"name", b"national"];
        let cuts = cuts.iter().any(|word| name.eq_ignore_ascii_case(word));
        return match cuts {
            true => wrong(start, format!("the cast to '{}' may cut the value", shown(bytes, start))),
            false => Ok(at),
        };
    }
}

/// Where a word ends; not known before another byte follows it.
fn word_end(bytes: &[u8], start: usize) -> Result<usize, InsertHalt> {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
    match length {
        Some(length) => Ok(start + length),
        None if rest.len() > MAX_TOKEN => wrong(start, "a value of letters without an end"),
        None => Err(InsertHalt::More),
    }
}

/// Where the comma or parenthesis is that has to follow a value, after blanks.
#[inline(always)]
fn delimiter(bytes: &[u8], value_end: usize, at: usize) -> Result<usize, InsertHalt> {
    match bytes.get(at) {
        Some(b',' | b')') => Ok(at),
        _ => delimiter_after_blanks(bytes, value_end, at),
    }
}

#[cold]
fn delimiter_after_blanks(bytes: &[u8], value_end: usize, at: usize) -> Result<usize, InsertHalt> {
    let next = skip_blanks(bytes, at);
    match bytes.get(next) {
        Some(b',' | b')') => Ok(next),
        Some(_) => wrong(next, format!("'{}' follows a value; only literals are read", shown(bytes, next))),
        None if next - value_end > MAX_TOKEN => wrong(value_end, "blanks without an end follow a value"),
        None => Err(InsertHalt::More),
    }
}

#[inline(always)]
fn number<const MYSQL: bool>(bytes: &[u8], start: usize, open: &mut OpenValue) -> Result<SqlValue, InsertHalt> {
    let digits = |mut at: usize| {
        while matches!(bytes.get(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        at
    };
    let first = start + usize::from(matches!(bytes[start], b'-' | b'+'));
    let mut at = digits(first);
    let mut count = at - first;
    if bytes.get(at) == Some(&b'.') {
        let end = digits(at + 1);
        count += end - at - 1;
        at = end;
    }
    if count > 0 && matches!(bytes.get(at), Some(b',' | b')')) {
        return Ok(SqlValue { start, end: at, how: ValueForm::Bare, next: at });
    }
    long_number::<MYSQL>(bytes, start, (at, count), open)
}

/// A number with an exponent, before blanks or at the end of the bytes; or MySQL's `0x` and `0b`.
#[inline(never)]
fn long_number<const MYSQL: bool>(
    bytes: &[u8],
    start: usize,
    (mut at, count): (usize, usize),
    open: &mut OpenValue,
) -> Result<SqlValue, InsertHalt> {
    if at - start > MAX_TOKEN {
        return wrong(start, "a number has too many digits");
    }
    if MYSQL && at == start + 1 && bytes[start] == b'0' && matches!(bytes.get(at), Some(b'x' | b'b')) {
        let how = if bytes[at] == b'x' { ValueForm::Hex } else { ValueForm::Bits };
        return digits_of_bytes(bytes, at + 1, how, open);
    }
    let is_exponent = count > 0 && matches!(bytes.get(at), Some(b'e' | b'E'));
    let mut has_digit = count > 0;
    if is_exponent {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
        let rest = bytes.get(at..).unwrap_or_default();
        let digits = rest.iter().take(MAX_TOKEN).take_while(|byte| byte.is_ascii_digit()).count();
        has_digit = digits > 0;
        at += digits;
    }
    match bytes.get(at) {
        None => Err(InsertHalt::More),
        Some(_) if !has_digit => wrong(start, format!("'{}' is not a number", shown(bytes, start))),
        Some(_) => Ok(SqlValue { start, end: at, how: ValueForm::Bare, next: delimiter(bytes, at, at)? }),
    }
}

/// The digits after `0x` or `0b`, which may be many.
fn digits_of_bytes(bytes: &[u8], start: usize, how: ValueForm, open: &mut OpenValue) -> Result<SqlValue, InsertHalt> {
    let from = start.max(open.scanned);
    let rest = bytes.get(from..).unwrap_or_default();
    match rest.iter().position(|byte| !byte.is_ascii_hexdigit()) {
        Some(length) => {
            // Known until the value is complete: blanks may follow that end with the bytes.
            open.scanned = from + length;
            let end = from + length;
            Ok(SqlValue { start, end, how, next: delimiter(bytes, end, end)? })
        }
        None => {
            open.scanned = from.max(bytes.len());
            Err(InsertHalt::More)
        }
    }
}

/// A value that begins with a letter or an underscore.
#[cold]
fn other<const MYSQL: bool>(bytes: &[u8], start: usize, open: &mut OpenValue) -> Result<SqlValue, InsertHalt> {
    let end = word_end(bytes, start)?;
    let word = &bytes[start..end];
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let quote = |at: usize| match bytes.get(at) {
        Some(b'\'') => Some(b'\''),
        Some(b'"') if MYSQL => Some(b'"'),
        _ => None,
    };
    if let (Some(found), [letter]) = (quote(end), word) {
        let how = match (letter.to_ascii_lowercase(), MYSQL) {
            (b'x', true) => Some(ValueForm::Hex),
            (b'b', true) => Some(ValueForm::Bits),
            (b'b', false) => Some(ValueForm::BitText),
            (b'e', false) => Some(ValueForm::CStyle),
            _ => None,
        };
        if let Some(how) = how {
            return prefixed::<MYSQL>(bytes, end + 1, (found, how), open);
        }
    }
    if MYSQL && word.starts_with(b"_") {
        return introduced(bytes, (start, end), open);
    }
    if is("NULL") {
        return Ok(SqlValue { start, end: start, how: ValueForm::Null, next: delimiter(bytes, end, end)? });
    }
    if is("TRUE") || is("FALSE") || is("DEFAULT") {
        return Ok(SqlValue { start, end, how: ValueForm::Bare, next: delimiter(bytes, end, end)? });
    }
    // A letter before a quote is a form that is not read, as X'..' of PostgreSQL's bits.
    let is_form = word.len() == 1 && quote(end).is_some();
    let is_typed = if MYSQL { is("DATE") || is("TIME") || is("TIMESTAMP") } else { !word.is_empty() && !is_form };
    if is_typed {
        // DATE '2024-02-29', or in PostgreSQL any type.
        let name = if MYSQL { Ok(end) } else { type_name(bytes, start) };
        if name == Err(InsertHalt::More) {
            return Err(InsertHalt::More);
        }
        let at = skip_blanks(bytes, *name.as_ref().unwrap_or(&end));
        if at >= bytes.len() && at - start <= MAX_TOKEN {
            return Err(InsertHalt::More);
        }
        if let Some(found) = quote(at) {
            return name.and_then(|_| quoted::<MYSQL>(bytes, at + 1, found, open));
        }
    }
    wrong(start, format!("a value begins with '{}'; only literals are read", shown(bytes, start)))
}

/// A quoted value after a letter that says how it is written.
fn prefixed<const MYSQL: bool>(
    bytes: &[u8],
    start: usize,
    (quote, how): (u8, ValueForm),
    open: &mut OpenValue,
) -> Result<SqlValue, InsertHalt> {
    let end = match how {
        ValueForm::CStyle => quote_end::<true>(bytes, start, quote, open)?,
        _ => quote_end::<MYSQL>(bytes, start, quote, open)?,
    };
    // E'..' without any escape is its text.
    let how = if how == ValueForm::CStyle && !open.is_marred { ValueForm::Text } else { how };
    after_quoted::<MYSQL>(bytes, SqlValue { start, end, how, next: end + 1 })
}

/// MySQL's value after a character set, as `_binary '..'`.
fn introduced(bytes: &[u8], (start, end): (usize, usize), open: &mut OpenValue) -> Result<SqlValue, InsertHalt> {
    let name = String::from_utf8_lossy(&bytes[start + 1..end]).to_ascii_lowercase();
    if !is_utf8(&name) {
        return wrong(start, format!("a value of the character set '{name}', which is not read"));
    }
    let is_binary = name == "binary";
    let at = skip_blanks(bytes, end);
    let value = match bytes.get(at..).unwrap_or_default() {
        [] if at - start <= MAX_TOKEN => return Err(InsertHalt::More),
        [quote @ (b'\'' | b'"'), ..] => quoted::<true>(bytes, at + 1, *quote, open)?,
        [_] => return Err(InsertHalt::More),
        [b'0', b'x', ..] => digits_of_bytes(bytes, at + 2, ValueForm::Hex, open)?,
        [b'x' | b'X', quote @ (b'\'' | b'"'), ..] => prefixed::<true>(bytes, at + 2, (*quote, ValueForm::Hex), open)?,
        _ => return wrong(start, format!("'{}' is not a value after a character set", shown(bytes, at))),
    };
    let how = match value.how {
        // The quote is where the value begins.
        ValueForm::Text | ValueForm::Escaped(_) if is_binary => ValueForm::Binary(bytes[value.start - 1]),
        ValueForm::Hex if !is_binary => ValueForm::HexText,
        how => how,
    };
    Ok(SqlValue { how, ..value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mysql: bool, text: &str) -> Result<(String, ValueForm), String> {
        let bytes = text.as_bytes();
        let read = |bytes: &[u8], open: &mut OpenValue| match mysql {
            true => value::<true>(bytes, 0, open),
            false => value::<false>(bytes, 0, open),
        };
        // Known too little with fewer bytes, and the same with what was known then.
        let (whole, mut open) = (read(bytes, &mut OpenValue::default()), OpenValue::default());
        let length = whole.as_ref().map_or(0, |value| value.next);
        for end in 0..length {
            assert_eq!(
                read(&bytes[..=end - usize::from(end == length)][..end], &mut open),
                Err(InsertHalt::More),
                "{text}"
            );
        }
        match whole {
            Ok(value) => {
                assert_eq!(read(bytes, &mut open), Ok(value), "{text}");
                Ok((text[value.start..value.end].to_owned(), value.how))
            }
            Err(InsertHalt::More) => Err("more".to_owned()),
            Err(InsertHalt::Wrong(wrong)) => Err(format!("{}: {}", wrong.at, wrong.reason)),
        }
    }

    fn same(mysql: bool, cases: &[(&str, &str, ValueForm)]) {
        for (text, place, how) in cases {
            for delimiter in [",1", ")", "  ,", "\n)"] {
                let text = format!("{text}{delimiter}");
                assert_eq!(read(mysql, &text), Ok(((*place).to_owned(), *how)), "{text}");
            }
        }
    }

    #[test]
    fn literals_of_both_dialects() {
        for mysql in [true, false] {
            for number in ["0", "-5", "+5", "1.25", "-.5", "5.", "1e5", "1.5E-300", "-1e+300", "0000"] {
                same(mysql, &[(number, number, ValueForm::Bare)]);
            }
            same(
                mysql,
                &[("NULL", "", ValueForm::Null), ("null", "", ValueForm::Null), ("true", "true", ValueForm::Bare)],
            );
            same(mysql, &[("FALSE", "FALSE", ValueForm::Bare), ("DEFAULT", "DEFAULT", ValueForm::Bare)]);
            same(mysql, &[("''", "", ValueForm::Text), ("'a),(\"é'", "a),(\"é", ValueForm::Text)]);
            same(mysql, &[("DATE '2024-02-29'", "2024-02-29", ValueForm::Text)]);
        }
    }

    #[test]
    fn literals_of_mysql() {
        same(
            true,
            &[
                (r"'it\'s'", r"it\'s", ValueForm::Escaped(b'\'')),
                (r"'it''s'", r"it''s", ValueForm::Escaped(b'\'')),
                (r#""say \"it's""#, r#"say \"it's"#, ValueForm::Escaped(b'"')),
                (r"'a\\'", r"a\\", ValueForm::Escaped(b'\'')),
                (r#""it's""#, "it's", ValueForm::Text),
                ("0x00fF", "00fF", ValueForm::Hex),
                ("0x", "", ValueForm::Hex),
                ("x'00fF'", "00fF", ValueForm::Hex),
                ("X''", "", ValueForm::Hex),
                ("0b01", "01", ValueForm::Bits),
                ("b'01'", "01", ValueForm::Bits),
                ("_binary '\\0'", "\\0", ValueForm::Binary(b'\'')),
                ("_binary\"a'\"", "a'", ValueForm::Binary(b'"')),
                ("_BINARY 0xff", "ff", ValueForm::Hex),
                ("_binary x'ff'", "ff", ValueForm::Hex),
                ("_utf8mb4'é'", "é", ValueForm::Text),
                ("_utf8mb4 0x61", "61", ValueForm::HexText),
                ("_utf8 X'61'", "61", ValueForm::HexText),
            ],
        );
    }

    #[test]
    fn literals_of_postgresql() {
        same(
            false,
            &[
                (r"'C:\new\'", r"C:\new\", ValueForm::Text),
                (r"'it''s'", r"it''s", ValueForm::Doubled),
                (r"E'it\'s'", r"it\'s", ValueForm::CStyle),
                (r"e'plain'", "plain", ValueForm::Text),
                ("B'0101'", "0101", ValueForm::BitText),
                ("'paid'::public.order_status", "paid", ValueForm::Text),
                ("'1'  :: text::bigint", "1", ValueForm::Text),
                ("timestamptz '2024-02-29 00:00:00+00'", "2024-02-29 00:00:00+00", ValueForm::Text),
                ("pg_catalog.json '{}'", "{}", ValueForm::Text),
            ],
        );
    }

    #[test]
    fn what_is_no_literal_is_wrong_at_its_place() {
        for (mysql, text, expected) in [
            (true, "now(),", "0: a value begins with 'now(),'; only literals are read"),
            (true, "1+1,", "1: '+1,' follows a value"),
            (true, "1.2.3,", "3: '.3,' follows"),
            (true, "-,", "0: '-,' is not a number"),
            (true, "1e,", "0: '1e,' is not a number"),
            (true, "-0x00,", "2: 'x00,' follows"),
            (true, "0x0g,", "3: 'g,' follows"),
            (true, "'a' 'b',", "4: ''b',' follows"),
            (true, "'a'b,", "3: 'b,' follows"),
            (true, "_latin1'a',", "0: a value of the character set 'latin1', which is not read"),
            (true, "_utf8mb4 1,", "0: '1,' is not a value after"),
            (true, "E'a',", "0: a value begins with"),
            (true, "'a'::text,", "3: '::text,' follows"),
            (true, "\\N,", "0: a value begins with '\\N,'"),
            (true, "/* */ 1,", "0: a value begins with"),
            (true, ",", "0: a value begins with ','"),
            (true, ")", "0: a value begins with ')'"),
            (true, "(SELECT 1),", "0: a value begins with"),
            (true, "NULL 1,", "5: '1,' follows"),
            (false, "\"a\",", "0: a value begins with"),
            (false, "0x00,", "1: 'x00,' follows"),
            (false, "X'00',", "0: a value begins with 'X'00','"),
            (false, "'a'::varchar(2),", "12: '(2),' follows"),
            (false, "'a'::int[],", "8: '[],' follows"),
            (false, "'a'::\"char\",", "5: the cast to '\"char\",' is of a type that is not plain"),
            (false, "'a'::char,", "5: the cast to 'char,' may cut the value"),
            (false, "pg_catalog.bit '11',", "0: a value begins with 'pg_catalog.bit '"),
            (false, "bit '11',", "0: the cast to 'bit '11',' may cut"),
            (false, "'a':b,", "3: a colon follows"),
            (false, "1::bigint,", "1: '::bigint,' follows"),
            (false, "ARRAY[1],", "0: a value begins with"),
            (false, "'a'||'b',", "3: '||'b',' follows"),
        ] {
            let error = read(mysql, text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn tokens_without_an_end_are_wrong_before_they_are_large() {
        let long = |begin: &str, sign: &str| format!("{begin}{}", sign.repeat(MAX_TOKEN + 8));
        for text in [long("1", "1"), long("", "a"), long("1", " "), long("'a'", " "), long("_binary", " ")] {
            assert!(
                value::<true>(text.as_bytes(), 0, &mut OpenValue::default())
                    .is_err_and(|halt| halt != InsertHalt::More)
            );
        }
        let text = long("json", " ");
        assert!(
            value::<false>(text.as_bytes(), 0, &mut OpenValue::default()).is_err_and(|halt| halt != InsertHalt::More)
        );
    }
}
