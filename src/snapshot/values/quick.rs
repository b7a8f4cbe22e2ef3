//! Values in their usual spelling, read without detours: `-12`, `3.50`, `2013-01-31`, `2013-01-31 05:00:00.25`.
//!
//! Each function gives what arrow's parser of the type gives, or None, which says nothing about the value: the caller
//! then asks that parser.

/// Digits that always fit an i64.
const DIGITS: usize = 18;

const POWERS: [i64; DIGITS + 1] = {
    let mut powers = [1; DIGITS + 1];
    let mut exponent = 1;
    while exponent <= DIGITS {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// Days of the months, from 1 on.
const LENGTHS: [i32; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A whole number: digits, perhaps after a minus.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = unsigned(text);
    let value = number(digits)?;
    Some(if is_negative { -value } else { value })
}

/// A decimal of at most `precision` digits, `scale` of them after the point, as the number that is stored for it.
#[inline]
pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i64> {
    let (is_negative, digits) = unsigned(text);
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = match digits.iter().rposition(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], Some(&digits[point + 1..])),
        None => (digits, None),
    };
    if whole.len() + scale > DIGITS {
        return None;
    }
    let places = fraction.map_or(0, <[u8]>::len);
    let beyond = fraction.map_or(Some(0), number)? * POWERS[scale.checked_sub(places)?];
    let value = number(whole)? * POWERS[scale] + beyond;
    let fits = POWERS.get(usize::from(precision)).is_none_or(|limit| value < *limit);
    fits.then_some(if is_negative { -value } else { value })
}

/// Days since 1970-01-01 of a date such as `2013-01-31`.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    // Eight bytes and two at once: with the dashes and the zeros taken off, digits are at most 9 and dashes 0.
    const ZERO: u64 = u64::from_le_bytes(*b"0000-00-");
    const MORE: u64 = u64::from_le_bytes([0x76, 0x76, 0x76, 0x76, 0x7f, 0x76, 0x76, 0x7f]);
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (front, back) = <&[u8; 10]>::try_from(text).ok()?.split_first_chunk::<8>()?;
    let front = u64::from_le_bytes(*front) ^ ZERO;
    let back = u16::from_le_bytes(*back.first_chunk()?) ^ 0x3030;
    if ((front.wrapping_add(MORE) | front) & HIGH) != 0 || ((back.wrapping_add(0x7676) | back) & 0x8080) != 0 {
        return None;
    }
    let [c, d, y, z, _, tens, ones, _] = front.to_le_bytes().map(i32::from);
    let year = c * 1000 + d * 100 + y * 10 + z;
    let month = tens * 10 + ones;
    let day = i32::from(back & 0xff) * 10 + i32::from(back >> 8);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(usize::try_from(month).ok()?)? + i32::from(is_leap && month == 2);
    if day < 1 || day > length {
        return None;
    }
    // Years from March on: a leap day is the last of its year, and months 3 to 7 and 8 to 12 have lengths alike.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(before_year + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// Seconds since 1970-01-01 and nanoseconds of a date, or of a date and time with at most nine digits of a second,
/// perhaps with a Z at the end, which is to be in UTC.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Option<(i64, u32)> {
    let (day, time) = text.split_at_checked(10)?;
    let midnight = i64::from(date(day)?) * 86_400;
    if time.is_empty() {
        return Some((midnight, 0));
    }
    let time = time.strip_suffix(b"Z").unwrap_or(time);
    let [b' ' | b'T', clock @ ..] = time else { return None };
    let (seconds, nanoseconds) = self::time(clock)?;
    Some((midnight + seconds, nanoseconds))
}

/// Seconds since midnight and nanoseconds of a time such as `05:00:00.25` with at most nine digits after the point.
#[inline]
pub(crate) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (time, fraction) = text.split_at_checked(8)?;
    if time[2] != b':' || time[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(time[0], time[1])?, two(time[3], time[4])?, two(time[6], time[7])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanoseconds = match fraction {
        [] => 0,
        [b'.', digits @ ..] if digits.len() <= 9 => number(digits)? * POWERS[9 - digits.len()],
        _ => return None,
    };
    Some((i64::from(hour * 3600 + minute * 60 + second), nanoseconds as u32))
}

#[inline]
fn unsigned(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

/// At least one digit and not too many.
#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    let mut value = 0;
    for byte in digits {
        value = value * 10 + i64::from(digit(*byte)?);
    }
    Some(value)
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<i32> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

#[inline]
fn digit(byte: u8) -> Option<i32> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(i32::from(value))
}
