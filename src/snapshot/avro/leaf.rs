//! The checks of single values in a row's bytes: numbers, lengths, text, decimals, times, durations.
//!
//! Nothing is decoded into a column here. Each function takes the bytes from `at` and gives where the value ends.

use super::fault::AvroValueFault as Cause;

/// Milliseconds of a day.
const DAY_MILLIS: i64 = 86_400_000;

/// A number in zigzag form, and where it ends.
#[inline]
pub(super) fn long(bytes: &[u8], at: usize) -> Result<(i64, usize), Cause> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest {
        [first, ..] if *first < 0x80 => Ok((zigzag(u64::from(*first)), at + 1)),
        _ => long_of_many(rest, at),
    }
}

fn long_of_many(rest: &[u8], at: usize) -> Result<(i64, usize), Cause> {
    let mut value = 0u64;
    for (count, byte) in rest.iter().take(10).enumerate() {
        if count == 9 && *byte > 1 {
            return Err(Cause::Wide(64));
        }
        value |= u64::from(byte & 0x7f) << (7 * count);
        if *byte < 0x80 {
            return Ok((zigzag(value), at + count + 1));
        }
    }
    Err(if rest.len() < 10 { Cause::Cut } else { Cause::Wide(64) })
}

#[inline]
fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// A number of at most 32 bits, and where it ends.
#[inline]
pub(super) fn int(bytes: &[u8], at: usize) -> Result<(i32, usize), Cause> {
    let (value, end) = long(bytes, at)?;
    i32::try_from(value).map(|value| (value, end)).map_err(|_| Cause::Wide(32))
}

/// Where `len` bytes from `at` end.
#[inline]
pub(super) fn fixed(bytes: &[u8], at: usize, len: usize) -> Result<usize, Cause> {
    match at.checked_add(len) {
        Some(end) if end <= bytes.len() => Ok(end),
        _ => Err(Cause::Cut),
    }
}

/// Bytes behind their length, and where they end.
#[inline]
pub(super) fn sized(bytes: &[u8], at: usize) -> Result<(&[u8], usize), Cause> {
    let (len, start) = long(bytes, at)?;
    let end = usize::try_from(len).map_err(|_| Cause::Length(len)).and_then(|len| fixed(bytes, start, len))?;
    Ok((bytes.get(start..end).unwrap_or_default(), end))
}

/// Where a text ends, which must be UTF-8.
#[inline]
pub(super) fn text(bytes: &[u8], at: usize) -> Result<usize, Cause> {
    let (text, end) = sized(bytes, at)?;
    match std::str::from_utf8(text) {
        Ok(_) => Ok(end),
        Err(_) => Err(Cause::Utf8(text.escape_ascii().to_string().chars().take(80).collect())),
    }
}

/// A boolean is one byte, 0 or 1.
#[inline]
pub(super) fn boolean(bytes: &[u8], at: usize) -> Result<usize, Cause> {
    match bytes.get(at) {
        Some(0 | 1) => Ok(at + 1),
        Some(other) => Err(Cause::Boolean(*other)),
        None => Err(Cause::Cut),
    }
}

/// A decimal's two's complement, which must have at most `precision` digits. No bytes at all are 0, as other readers
/// take it.
pub(super) fn decimal(value: &[u8], precision: u8) -> Result<(), Cause> {
    if precision > 76 {
        // Refused as a column; only stepped over.
        return Ok(());
    }
    let is_negative = value.first().is_some_and(|first| first & 0x80 != 0);
    let sign = if is_negative { 0xff } else { 0 };
    let mut short = value;
    // Bytes that only repeat the sign.
    while let [first, rest @ ..] = short
        && *first == sign
        && rest.first().is_some_and(|next| (next & 0x80 != 0) == is_negative)
    {
        short = rest;
    }
    let too_many = |value: String| Err(Cause::Decimal { value, precision });
    if short.len() <= 16 {
        let mut wide = [sign; 16];
        if let Some(place) = wide.get_mut(16 - short.len()..) {
            place.copy_from_slice(short);
        }
        let number = i128::from_be_bytes(wide);
        if precision < 39 && number.unsigned_abs() >= 10u128.pow(u32::from(precision)) {
            return too_many(number.to_string());
        }
        return Ok(());
    }
    let digits =
        || format!("0x{}", short.iter().take(40).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")));
    if precision < 39 || short.len() > 32 {
        return too_many(digits());
    }
    let mut wide = [sign; 32];
    if let Some(place) = wide.get_mut(32 - short.len()..) {
        place.copy_from_slice(short);
    }
    let number = datafusion::arrow::datatypes::i256::from_be_bytes(wide);
    let limit = datafusion::arrow::datatypes::i256::from_i128(10).checked_pow(u32::from(precision));
    let fits = limit.is_some_and(|limit| number < limit && number > -limit);
    if fits { Ok(()) } else { too_many(digits()) }
}

/// A time of the day in milliseconds, or in microseconds.
pub(super) fn time(value: i64, per_milli: i64) -> Result<(), Cause> {
    if (0..DAY_MILLIS * per_milli).contains(&value) { Ok(()) } else { Err(Cause::Time(value)) }
}

/// Twelve bytes of months, days and milliseconds, each without a sign; an interval's months and days have one.
pub(super) fn duration(value: &[u8]) -> Result<(), Cause> {
    let [m0, m1, m2, m3, d0, d1, d2, d3, ..] = *value else { return Err(Cause::Cut) };
    let months = u32::from_le_bytes([m0, m1, m2, m3]);
    let days = u32::from_le_bytes([d0, d1, d2, d3]);
    let fits = i32::try_from(months).is_ok() && i32::try_from(days).is_ok();
    if fits { Ok(()) } else { Err(Cause::Duration { months, days }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_their_width_are_refused() {
        assert_eq!(long(&[0xff; 11], 0), Err(Cause::Wide(64)));
        assert_eq!(long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], 0), Err(Cause::Wide(64)));
        let least = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(long(&least, 0), Ok((i64::MIN, 10)));
        assert_eq!(long(&[0x80], 0), Err(Cause::Cut));
        assert_eq!(long(&[], 5), Err(Cause::Cut));
        assert_eq!(int(&[0xff, 0xff, 0xff, 0xff, 0x0f], 0), Ok((i32::MIN, 5)));
        assert_eq!(int(&[0x80, 0x80, 0x80, 0x80, 0x10], 0), Err(Cause::Wide(32)));
    }

    #[test]
    fn decimals_are_held_to_their_digits() {
        assert_eq!(decimal(&[], 1), Ok(()));
        assert_eq!(decimal(&[9], 1), Ok(()));
        assert_eq!(decimal(&[0xf7], 1), Ok(()));
        assert!(decimal(&[10], 1).is_err());
        assert!(decimal(&[0xf6], 1).is_err());
        let most = (10i128.pow(38) - 1).to_be_bytes();
        assert_eq!(decimal(&most, 38), Ok(()));
        assert!(decimal(&10i128.pow(38).to_be_bytes(), 38).is_err());
        // Signs repeated beyond the width.
        assert_eq!(decimal(&[[0; 40].as_slice(), &most].concat(), 38), Ok(()));
        assert_eq!(decimal(&[[0xff; 40].as_slice(), &[0xf7]].concat(), 1), Ok(()));
        assert!(decimal(&[[0x7f].as_slice(), &[0xff; 31]].concat(), 76).is_err());
        let ten_76 = datafusion::arrow::datatypes::i256::from_i128(10).checked_pow(76).unwrap();
        let one = datafusion::arrow::datatypes::i256::from_i128(1);
        assert_eq!(decimal(&(ten_76 - one).to_be_bytes(), 76), Ok(()));
        assert_eq!(decimal(&(one - ten_76).to_be_bytes(), 76), Ok(()));
        assert!(decimal(&ten_76.to_be_bytes(), 76).is_err());
        assert!(decimal(&(-ten_76).to_be_bytes(), 76).is_err());
    }
}
