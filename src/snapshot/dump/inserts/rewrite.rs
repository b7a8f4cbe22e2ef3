//! Values that are not read as they are written: escapes that are undone, and bytes in PostgreSQL's hexadecimal form.
//!
//! ```text
//! 'it\'s'        it's           0x00FF           \x00ff
//! E'\u00e9'      é              _binary '\0a'    \x0061
//! b'0101'        5 (MySQL)      B'0101'          0101 (PostgreSQL)
//! ```
//!
//! MySQL: `\0 \b \n \r \t \Z` are control characters, `\%` and `\_` keep their backslash, and any other character
//! after a backslash is itself. PostgreSQL: a backslash is a character, but in `E'..'` it is as in C. Everything is
//! appended to one buffer; a value that cannot be undone is reported with its place.

use memchr::memchr2;

/// The two digits of each byte.
static PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let (mut pairs, mut byte) = ([[0; 2]; 256], 0);
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Appends what is between MySQL's quotes, which are of one kind.
pub(crate) fn undo_mysql(raw: &[u8], quote: u8, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = memchr2(quote, b'\\', &raw[at..]) {
        out.extend_from_slice(&raw[at..at + found]);
        at += found;
        match (raw[at], raw.get(at + 1)) {
            (b'\\', Some(next @ (b'%' | b'_'))) => out.extend([b'\\', *next]),
            (b'\\', Some(next)) => out.push(meaning(*next)),
            // The second of two quotes. None is the last byte once the end is found.
            (byte, _) => out.push(byte),
        }
        at = (at + 2).min(raw.len());
    }
    out.extend_from_slice(&raw[at..]);
}

/// What a character means after MySQL's backslash.
fn meaning(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 0x08,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 0x1a,
        other => other,
    }
}

/// Appends what is between PostgreSQL's plain quotes.
pub(crate) fn undo_doubled(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\'', &raw[at..]) {
        out.extend_from_slice(&raw[at..=at + found]);
        at = (at + found + 2).min(raw.len());
    }
    out.extend_from_slice(&raw[at..]);
}

/// Appends what is between the quotes of `E'..'`; fails with the place of an escape that PostgreSQL refuses.
pub(crate) fn undo_c_style(raw: &[u8], out: &mut Vec<u8>) -> Result<(), (usize, &'static str)> {
    let mut at = 0;
    while let Some(found) = memchr2(b'\'', b'\\', &raw[at..]) {
        out.extend_from_slice(&raw[at..at + found]);
        at += found;
        let next = raw.get(at + 1).copied();
        at += match (raw[at], next) {
            (b'\\', Some(b'u' | b'U')) => code_point(raw, at, out)?,
            (b'\\', Some(b'0'..=b'7')) => number(raw, at, (at + 1, 3, 8), out)?,
            (b'\\', Some(b'x')) if raw.get(at + 2).is_some_and(u8::is_ascii_hexdigit) => {
                number(raw, at, (at + 2, 2, 16), out)?
            }
            (b'\\', Some(next)) => {
                out.push(match next {
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                });
                2
            }
            (byte, _) => {
                out.push(byte);
                2
            }
        };
        at = at.min(raw.len());
    }
    out.extend_from_slice(&raw[at..]);
    Ok(())
}

/// One byte by up to `most` digits of a base at `from`; gives the length of the whole escape.
fn number(
    raw: &[u8],
    at: usize,
    (from, most, base): (usize, usize, u32),
    out: &mut Vec<u8>,
) -> Result<usize, (usize, &'static str)> {
    let digits = raw[from..].iter().take(most).map_while(|byte| char::from(*byte).to_digit(base));
    let (count, value) = digits.fold((0, 0), |(count, value), digit| (count + 1, value * base + digit));
    // As PostgreSQL does, `\777` is cut to eight bits.
    match (value & 0xff) as u8 {
        0 => Err((at, "PostgreSQL's text has no NUL")),
        byte => {
            out.push(byte);
            Ok(from - at + count)
        }
    }
}

/// One character by its number, or by the two of a surrogate pair; gives the length of the escape.
fn code_point(raw: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, (usize, &'static str)> {
    let fault = (at, "the escape is not a Unicode character");
    let (first, length) = unit(raw, at).ok_or(fault)?;
    let (code, length) = match first {
        0xd800..=0xdbff => match unit(raw, at + length) {
            Some((second @ 0xdc00..=0xdfff, more)) => {
                (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), length + more)
            }
            _ => return Err(fault),
        },
        code => (code, length),
    };
    let character = char::from_u32(code).filter(|character| *character != '\0').ok_or(fault)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(length)
}

/// The number of `\uXXXX` or `\UXXXXXXXX`, and its length.
fn unit(raw: &[u8], at: usize) -> Option<(u32, usize)> {
    let digits = match raw.get(at..at + 2)? {
        b"\\u" => 4,
        b"\\U" => 8,
        _ => return None,
    };
    let mut value = 0_u32;
    for byte in raw.get(at + 2..at + 2 + digits)? {
        value = (value << 4) | char::from(*byte).to_digit(16)?;
    }
    Some((value, 2 + digits))
}

/// Turns the bytes from `from` on into `\x` and their digits.
pub(crate) fn to_hex(out: &mut Vec<u8>, from: usize) {
    let count = out.len() - from;
    out.resize(from + 2 + 2 * count, 0);
    // From the end, so that no byte is overwritten before it is read.
    for number in (0..count).rev() {
        let byte = out[from + number];
        let to = from + 2 + 2 * number;
        out[to..to + 2].copy_from_slice(&PAIRS[usize::from(byte)]);
    }
    out[from..from + 2].copy_from_slice(b"\\x");
}

/// Appends `\x` and the digits of bytes.
pub(crate) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    let from = out.len();
    out.resize(from + 2 * bytes.len(), 0);
    let (pairs, _) = out[from..].as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

/// Appends the bytes that pairs of digits are; with an odd number of digits the first has one. Fails with the place
/// of what is no digit.
pub(crate) fn push_unhexed(digits: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let digit = |at: usize| char::from(digits[at]).to_digit(16).map(|digit| digit as u8).ok_or(at);
    let odd = digits.len() % 2;
    if odd == 1 {
        out.push(digit(0)?);
    }
    for at in (odd..digits.len()).step_by(2) {
        out.push(digit(at)? << 4 | digit(at + 1)?);
    }
    Ok(())
}

/// Appends `\x` and digits that are written already, in lower case. Fails with the place of what is no digit.
pub(crate) fn push_hex_digits(digits: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    if let Some(at) = digits.iter().position(|byte| !byte.is_ascii_hexdigit()) {
        return Err(at);
    }
    out.extend_from_slice(if digits.len() % 2 == 1 { b"\\x0" } else { b"\\x" });
    out.extend(digits.iter().map(u8::to_ascii_lowercase));
    Ok(())
}

/// The number that MySQL's bits are; fails with the place of what is no bit, or of the 65th one.
pub(crate) fn bits(digits: &[u8]) -> Result<u64, (usize, &'static str)> {
    let mut value = 0_u64;
    for (at, digit) in digits.iter().enumerate() {
        match digit {
            b'0' | b'1' if at < 64 => value = value << 1 | u64::from(digit - b'0'),
            b'0' | b'1' => return Err((at, "a BIT value has more than 64 bits")),
            _ => return Err((at, "a BIT value is of 0 and 1")),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(undo: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = b"<".to_vec();
        undo(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn mysql_s_escapes_are_undone_and_unknown_ones_are_the_character() {
        let raw = br#"\0\'\"\b\n\r\t\Z\\\%\_\a\x''""%_"#;
        assert_eq!(text(|out| undo_mysql(raw, b'\'', out)), "<\0'\"\u{8}\n\r\t\u{1a}\\\\%\\_ax'\"\"%_");
        assert_eq!(text(|out| undo_mysql(br#"''"""#, b'"', out)), "<''\"");
    }

    #[test]
    fn postgresql_s_plain_quotes_know_only_doubled_quotes() {
        assert_eq!(text(|out| undo_doubled(br"a\n''b''''", out)), r"<a\n'b''");
        assert_eq!(text(|out| undo_doubled(b"''", out)), "<'");
    }

    #[test]
    fn escapes_of_e_quotes_are_those_of_c_and_of_unicode() {
        let undone = |raw: &str| {
            let mut out = Vec::new();
            undo_c_style(raw.as_bytes(), &mut out).map(|()| out)
        };
        assert_eq!(undone(r"\b\f\n\r\t\v\'\\''").unwrap(), b"\x08\x0c\n\r\tv'\\'");
        assert_eq!(undone(r"\1018\x41g\x4\xg\777").unwrap(), b"A8Ag\x04xg\xff");
        assert_eq!(undone(r"\u00e9\U0001F600\uD83D\uDE00").unwrap(), "é😀😀".as_bytes());
        for (raw, at) in
            [(r"a\u00e", 1), (r"\uD83D", 0), (r"\uD83Dx", 0), (r"\uDE00", 0), (r"a\0", 1), (r"\x00", 0), (r"\u0000", 0)]
        {
            assert_eq!(undone(raw).unwrap_err().0, at, "{raw}");
        }
    }

    #[test]
    fn bytes_are_written_as_hexadecimal_digits() {
        assert_eq!(text(|out| push_hex(&[0, 255, 0x1a], out)), r"<\x00ff1a");
        let in_place = |bytes: &[u8]| {
            text(|out| {
                out.extend_from_slice(bytes);
                to_hex(out, 1);
            })
        };
        assert_eq!((in_place(&[0, 255, 7]), in_place(&[])), (r"<\x00ff07".to_owned(), r"<\x".to_owned()));
        assert_eq!(text(|out| push_hex_digits(b"00fF", out).unwrap()), r"<\x00ff");
        assert_eq!(text(|out| push_hex_digits(b"ABC", out).unwrap()), r"<\x0abc");
        assert_eq!(push_hex_digits(b"0g", &mut Vec::new()), Err(1));
        assert_eq!(text(|out| push_unhexed(b"16162", out).unwrap()), "<\u{1}ab");
        assert_eq!(push_unhexed(b"001g", &mut Vec::new()), Err(3));
    }

    #[test]
    fn bits_are_a_number_of_at_most_64() {
        assert_eq!((bits(b""), bits(b"0101"), bits(&[b'1'; 64])), (Ok(0), Ok(5), Ok(u64::MAX)));
        assert_eq!((bits(&[b'0'; 65]).unwrap_err().0, bits(b"012").unwrap_err().0), (64, 2));
    }
}
