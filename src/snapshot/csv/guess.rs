//! The type of a CSV column that is not declared: the narrowest that keeps every value as it is written, else text.
//!
//! Types are Boolean (`true`, `false`), Int64, Float64, Date32 and Timestamp. What another type would change makes the
//! column text: leading zeros and a plus (`01234`, `+1`), integers beyond 64 bits, an integer beyond 2^53 among floats,
//! more digits than a double gives back, a timestamp with more than nine digits of a second, timestamps of which some
//! have an offset and some have none. `NaN` and `inf` are floats among other numbers. `1.50` is a float, and a date
//! among timestamps is its midnight: the text changes, the value does not.
//!
//! Timestamps are microseconds, or nanoseconds where a value needs them, whatever the shortest value shows: parts of
//! one export must not differ because one has whole seconds only. If all have an offset, and not all the zero one, they
//! are instants in UTC. Quotes say nothing of a type: many programs quote all that they write. A quoted empty field is
//! text.

use std::io::Write;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::snapshot::values::quick;
use crate::snapshot::values::times::{Instant, in_unit, instant};

/// Integers up to this one are exact in a double.
const EXACT: u64 = 1 << 53;

/// Any number of so many digits comes back from a double, and no number of more than those does for sure.
const SAFE_DIGITS: usize = 15;
const MOST_DIGITS: usize = 17;

/// What the values of a column are so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Guess {
    seen: u16,
}

const BOOLEAN: u16 = 1;
const INTEGER: u16 = 1 << 1;
/// An integer that a double does not hold.
const LARGE: u16 = 1 << 2;
const FLOAT: u16 = 1 << 3;
/// `NaN` or `inf`.
const NO_NUMBER: u16 = 1 << 4;
const DATE: u16 = 1 << 5;
const TIMESTAMP: u16 = 1 << 6;
/// More than six digits of a second.
const FINE: u16 = 1 << 7;
/// Too early or late for nanoseconds.
const FAR: u16 = 1 << 8;
const BARE: u16 = 1 << 9;
const ZERO_OFFSET: u16 = 1 << 10;
const OFFSET: u16 = 1 << 11;
const TEXT: u16 = 1 << 12;

impl Guess {
    /// Takes in a value that is not NULL.
    #[inline]
    pub(crate) fn add(&mut self, text: &str) {
        if self.seen & TEXT == 0 {
            self.seen |= kind(text);
        }
    }

    /// The type of all values; Null if there were none.
    pub(crate) fn data_type(self) -> DataType {
        const NUMBERS: u16 = INTEGER | LARGE | FLOAT | NO_NUMBER;
        const TIMES: u16 = DATE | TIMESTAMP | FINE | FAR | BARE | ZERO_OFFSET | OFFSET;
        let is = |kinds: u16| self.seen & !kinds == 0;
        let has = |kinds: u16| self.seen & kinds != 0;
        if self.seen == 0 {
            return DataType::Null;
        }
        let is_float = is(NUMBERS) && has(INTEGER | FLOAT) && !has(LARGE);
        match self.seen {
            BOOLEAN => DataType::Boolean,
            _ if is(INTEGER | LARGE) => DataType::Int64,
            _ if is_float => DataType::Float64,
            DATE => DataType::Date32,
            _ if is(TIMES) => self.timestamp(),
            _ => DataType::Utf8,
        }
    }

    fn timestamp(self) -> DataType {
        let has = |kinds: u16| self.seen & kinds != 0;
        let unit = if has(FINE) { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
        let has_both = has(BARE | DATE) && has(OFFSET | ZERO_OFFSET);
        if has_both || (has(FINE) && has(FAR)) {
            return DataType::Utf8;
        }
        DataType::Timestamp(unit, has(OFFSET).then(|| "+00:00".into()))
    }
}

fn kind(text: &str) -> u16 {
    let bytes = text.as_bytes();
    match bytes {
        [b'0'..=b'9' | b'-' | b'.', ..] => match number(bytes) {
            TEXT => time(text),
            number => number,
        },
        b"NaN" | b"nan" | b"inf" => NO_NUMBER,
        _ if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => BOOLEAN,
        _ => TEXT,
    }
}

fn number(text: &[u8]) -> u16 {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if whole > 1 && digits[0] == b'0' {
        return TEXT;
    }
    if whole == digits.len() && whole > 0 {
        let value = quick::integer(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok());
        return match value {
            // Only a float has a negative zero.
            Some(0) if digits.len() < text.len() => FLOAT,
            Some(value) if value.unsigned_abs() <= EXACT => INTEGER,
            Some(_) => INTEGER | LARGE,
            None => TEXT,
        };
    }
    if text == b"-inf" { NO_NUMBER } else { float(text, digits, whole) }
}

/// Digits with a point, an exponent or both. `digits` begin after the sign, with `whole` digits.
fn float(text: &[u8], digits: &[u8], whole: usize) -> u16 {
    let rest = &digits[whole..];
    let places = match rest {
        [b'.', places @ ..] => places.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let mantissa = whole + places + usize::from(rest.first() == Some(&b'.'));
    let has_form = whole + places > 0
        && match &digits[mantissa..] {
            [] => true,
            [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
                !exponent.is_empty() && exponent.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        };
    if !has_form {
        return TEXT;
    }
    let significant = || digits[..mantissa].iter().filter(|byte| **byte != b'.');
    let zeros = significant().take_while(|byte| **byte == b'0').count();
    let trailing = significant().rev().take_while(|byte| **byte == b'0').count();
    let count = significant().count();
    if zeros == count {
        return FLOAT;
    }
    let count = count - zeros - trailing;
    let value: Option<f64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let Some(value) = value.filter(|value| value.is_finite() && *value != 0.0) else { return TEXT };
    // Numbers that are not normal have fewer digits.
    let is_safe = count <= SAFE_DIGITS && value.is_normal();
    let comes_back = || {
        let mut written = [0_u8; 48];
        let mut room = written.as_mut_slice();
        if write!(room, "{:.*e}", count - 1, value.abs()).is_err() {
            return false;
        }
        let written = written.iter().take_while(|byte| **byte != b'e').filter(|byte| **byte != b'.');
        written.eq(significant().skip(zeros).take(count))
    };
    if is_safe || (count <= MOST_DIGITS && comes_back()) { FLOAT } else { TEXT }
}

fn utc() -> Option<Tz> {
    "+00:00".parse().ok()
}

fn time(text: &str) -> u16 {
    let bytes = text.as_bytes();
    if bytes.len() == 10 {
        return if quick::date(bytes).is_some() { DATE } else { TEXT };
    }
    // Others are written as a time by nobody: `20130131`, `2013-01-31 050000`.
    let is_usual = bytes.len() >= 19 && matches!(bytes[10], b' ' | b'T') && bytes[13] == b':' && bytes[16] == b':';
    if !is_usual {
        return TEXT;
    }
    let (found, offset) = match quick::timestamp(bytes) {
        Some((seconds, nanoseconds)) => {
            let has_offset = bytes.ends_with(b"Z");
            (Instant { seconds, nanoseconds, has_offset }, if has_offset { ZERO_OFFSET } else { BARE })
        }
        None => match instant(text, None) {
            Ok(found) => (found, if found.has_offset { ZERO_OFFSET } else { BARE }),
            Err(_) => match utc().ok_or(None).and_then(|utc| instant(text, Some(&utc))) {
                Ok(found) => (found, OFFSET),
                Err(_) => return TEXT,
            },
        },
    };
    let nanoseconds = i64::from(found.nanoseconds);
    let fine = if nanoseconds % 1000 != 0 { FINE } else { 0 };
    let far = if in_unit(TimeUnit::Nanosecond, found.seconds, nanoseconds).is_err() { FAR } else { 0 };
    TIMESTAMP | offset | fine | far
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(values: &[&str]) -> DataType {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.add(value));
        guess.data_type()
    }

    #[test]
    fn a_type_is_the_narrowest_that_holds_all_values() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        for (values, expected) in [
            (&[][..], DataType::Null),
            (&["true", "FALSE"], DataType::Boolean),
            (&["1", "-9223372036854775808", "0"], DataType::Int64),
            (&["1", "2.5", "1e3", "-.5", "5.", "-0"], DataType::Float64),
            (&["9007199254740992", "0.5", "NaN", "-inf"], DataType::Float64),
            (&["0.1234567890123456", "0.10000000000000001", "1.7976931348623157e308"], DataType::Float64),
            (&["2013-01-31"], DataType::Date32),
            (&["2013-01-31", "2013-01-31 05:00:00"], micros.clone()),
            (&["2013-01-31 05:00:00Z", "2013-01-31T05:00:00+00"], micros.clone()),
            (&["2013-01-31 05:00:00.123456000", "9999-12-31 00:00:00"], micros),
            (&["2013-01-31 05:00:00.1234567"], nanos),
            (&["2013-01-31 05:00:00+01", "2013-01-31 05:00:00Z"], zoned),
        ] {
            assert_eq!(guessed(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_value_that_another_type_would_change_makes_the_column_text() {
        for values in [
            &["01234"][..],
            &["-01"],
            &["00"],
            &["+1"],
            &["007.5"],
            &["9223372036854775808"],
            &["9007199254740993", "0.5"],
            &["0.123456789012345678"],
            &["0.12345678901234567"],
            &["1e400"],
            &["1e-400"],
            &["1.23e-322"],
            &["1", "true"],
            &["1", "2013-01-31"],
            &["NaN"],
            &["1", "x"],
            &["2013-02-30"],
            &["20130131x"],
            &["2013-01-31 05:00:60"],
            &["2013-01-31 05:00:00.1234567891"],
            &["2013-01-31 05:00:00.1234567", "0001-01-01 00:00:00"],
            &["2013-01-31 05:00:00", "2013-01-31 05:00:00Z"],
            &["2013-01-31", "2013-01-31 05:00:00+01:00"],
            &["1-2"],
            &["."],
            &["-"],
            &["e5"],
            &["1e"],
            &[""],
        ] {
            assert_eq!(guessed(values), DataType::Utf8, "{values:?}");
        }
    }
}
