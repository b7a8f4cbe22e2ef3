//! MongoDB's values as plain JSON, for both readers of its exports, so that both write the same for the same value.
//!
//! What JSON lacks is text from which the column that is declared for it reads the value again: a date in ISO 8601 with
//! milliseconds and Z, bytes in hexadecimal, an ObjectId as 24 digits, a UUID as text, NaN and the infinities as words.
//! Nothing is rounded. What does get lost is the subtype of binary values: all but UUIDs are only their bytes.

use std::str::Utf8Error;

const HEX: &[u8; 16] = b"0123456789abcdef";

const DAY: i64 = 86_400_000;

/// Subtypes of binary values: a UUID as some drivers once wrote it, and a UUID.
pub(crate) const LEGACY_UUID: u8 = 3;
pub(crate) const UUID: u8 = 4;

/// Whether a text stands in JSON as it is, which only ASCII does here.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    // Without an early end, so that it is done by many bytes at a time.
    let odd = |byte: u8| (byte.wrapping_sub(0x20) > 0x5e) | (byte == b'"') | (byte == b'\\');
    !text.iter().fold(false, |any, byte| any | odd(*byte))
}

/// A text in double quotes.
#[inline]
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Utf8Error> {
    out.push(b'"');
    put_content(out, text)?;
    out.push(b'"');
    Ok(())
}

/// A text without the quotes around it.
#[inline]
pub(crate) fn put_content(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Utf8Error> {
    if is_plain(text) {
        out.extend_from_slice(text);
        return Ok(());
    }
    std::str::from_utf8(text)?;
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high(byte), low(byte)]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

pub(crate) fn put_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest number that is this DOUBLE and no other; it always has a point or an exponent.
pub(crate) fn put_double(out: &mut Vec<u8>, value: f64) {
    let word = match value {
        _ if value.is_nan() => NAN,
        f64::INFINITY => INFINITY,
        f64::NEG_INFINITY => NEGATIVE_INFINITY,
        _ => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
            return;
        }
    };
    out.extend_from_slice(word);
}

pub(crate) const NAN: &[u8] = b"\"NaN\"";
pub(crate) const INFINITY: &[u8] = b"\"Infinity\"";
pub(crate) const NEGATIVE_INFINITY: &[u8] = b"\"-Infinity\"";

/// Milliseconds since 1970-01-01 as `"2013-01-31T05:00:00.250Z"`. Years beyond 9999 and below 0 have a sign, which a
/// TIMESTAMP column refuses.
pub(crate) fn put_date(out: &mut Vec<u8>, milliseconds: i64) {
    let (days, clock) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    out.push(b'"');
    if (0..10_000).contains(&year) {
        put_digits::<4>(out, year);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        let digits = year.unsigned_abs();
        if digits < 1_000 {
            put_digits::<4>(out, digits as i64);
        } else {
            out.extend_from_slice(itoa::Buffer::new().format(digits).as_bytes());
        }
    }
    let seconds = clock / 1_000;
    for (mark, value) in [(b'-', month), (b'-', day), (b'T', seconds / 3_600)] {
        out.push(mark);
        put_digits::<2>(out, value);
    }
    for value in [seconds / 60 % 60, seconds % 60] {
        out.push(b':');
        put_digits::<2>(out, value);
    }
    out.push(b'.');
    put_digits::<3>(out, clock % 1_000);
    out.extend_from_slice(b"Z\"");
}

/// Year, month and day of a day since 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a date; the other way round.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn put_digits<const N: usize>(out: &mut Vec<u8>, mut value: i64) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Bytes as hexadecimal text, or as a UUID where they are one.
///
/// A legacy UUID is written in the order of its bytes, as Python's driver did; those of Java and C# stored theirs in
/// other orders, of which the file says nothing.
pub(crate) fn put_binary(out: &mut Vec<u8>, subtype: u8, bytes: &[u8]) {
    match <&[u8; 16]>::try_from(bytes) {
        Ok(uuid) if matches!(subtype, LEGACY_UUID | UUID) => {
            out.push(b'"');
            for (index, part) in [&uuid[..4], &uuid[4..6], &uuid[6..8], &uuid[8..10], &uuid[10..]].iter().enumerate() {
                if index > 0 {
                    out.push(b'-');
                }
                put_digits_of(out, part);
            }
            out.push(b'"');
        }
        _ => put_hex(out, bytes),
    }
}

/// Bytes as hexadecimal text.
#[inline]
pub(crate) fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    put_digits_of(out, bytes);
    out.push(b'"');
}

#[inline]
fn put_digits_of(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|byte| [high(*byte), low(*byte)]));
}

fn high(byte: u8) -> u8 {
    HEX[usize::from(byte >> 4)]
}

fn low(byte: u8) -> u8 {
    HEX[usize::from(byte & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn date(milliseconds: i64) -> String {
        written(|out| put_date(out, milliseconds))
    }

    #[test]
    fn dates_have_milliseconds_and_odd_years_a_sign() {
        assert_eq!(date(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(date(-1), "\"1969-12-31T23:59:59.999Z\"");
        assert_eq!(date(253_402_300_799_999), "\"9999-12-31T23:59:59.999Z\"");
        assert_eq!(date(253_402_300_800_000), "\"+10000-01-01T00:00:00.000Z\"");
        assert_eq!(date(-62_167_219_200_000), "\"0000-01-01T00:00:00.000Z\"");
        assert_eq!(date(-62_167_219_200_001), "\"-0001-12-31T23:59:59.999Z\"");
        assert_eq!(date(i64::MAX), "\"+292278994-08-17T07:12:55.807Z\"");
        assert_eq!(date(i64::MIN), "\"-292275055-05-16T16:47:04.192Z\"");
    }

    #[test]
    fn days_and_dates_are_the_inverse_of_each_other() {
        for days in (-1_000_000..3_000_000).step_by(37) {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn texts_are_escaped_where_json_needs_it() {
        let text = written(|out| put_text(out, "a\"\\\n\r\t\u{0}\u{1f}é\u{7f}".as_bytes()).unwrap());
        assert_eq!(text, "\"a\\\"\\\\\\n\\r\\t\\u0000\\u001fé\u{7f}\"");
        assert!(put_text(&mut Vec::new(), b"\xff").is_err());
    }

    #[test]
    fn doubles_are_never_whole_and_words_where_they_are_no_numbers() {
        for (value, text) in [(1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (f64::NAN, "\"NaN\"")] {
            assert_eq!(written(|out| put_double(out, value)), text);
        }
        for value in [1e20, 1e300, 5e-324, f64::MAX, 123_456_789_012_345_680.0] {
            let text = written(|out| put_double(out, value));
            assert!(text.contains(['.', 'e']), "{text}");
            assert_eq!(text.parse(), Ok(value));
        }
    }

    #[test]
    fn sixteen_bytes_are_a_uuid_only_by_their_subtype() {
        let bytes: Vec<u8> = (0..16).collect();
        let uuid = "\"00010203-0405-0607-0809-0a0b0c0d0e0f\"";
        assert_eq!(written(|out| put_binary(out, UUID, &bytes)), uuid);
        assert_eq!(written(|out| put_binary(out, LEGACY_UUID, &bytes)), uuid);
        assert_eq!(written(|out| put_binary(out, 0, &bytes)), uuid.replace('-', ""));
        assert_eq!(written(|out| put_binary(out, UUID, &bytes[..2])), "\"0001\"");
    }
}
