//! A decimal number as it is written, and the values that are exactly it.
//!
//! `1.50` is 15 times a power of ten, whatever its spelling. A type either holds that number or it does not: integers
//! and decimals hold it with every digit, a float holds it if the float, written with as many digits, is the number
//! again. So `0.1` is a DOUBLE, as is `0.1000000000000000055511151231257827` (that DOUBLE's own digits), and
//! `9007199254740993` is not. Pure.

use std::fmt::{self, Write};

use datafusion::arrow::compute::kernels::cast::DecimalCast;
use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::datatypes::{Float32Type, Float64Type, i256};

/// Why a number does not fit.
pub(crate) const TOO_MANY_DIGITS: &str = "it has more digits than the type keeps";

/// Digits that an u64 holds whatever they are.
const U64_DIGITS: u32 = 19;

/// Digits that an u128 holds whatever they are.
const U128_DIGITS: usize = 38;

/// Digits that an i256 holds whatever they are.
const I256_DIGITS: usize = 76;

/// Digits that every DOUBLE and every REAL gives back.
const DOUBLE_DIGITS: u32 = 15;
const REAL_DIGITS: u32 = 6;

/// Powers of ten that a DOUBLE and a REAL hold exactly.
const DOUBLE_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
const REAL_POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// Powers of ten that [`rounds_to`] multiplies with.
const POWERS: [u128; 23] = {
    let mut powers = [1; 23];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// More digits than the exact digits of any DOUBLE, which has at most 767.
const LONGEST_DOUBLE: usize = 800;

/// A number as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numeral<'a> {
    text: &'a str,
    is_negative: bool,
    /// All digits as one integer, if there are at most [`U64_DIGITS`] of them.
    mantissa: u64,
    /// Digits from the first that is not zero on.
    digits: u32,
    /// The number is its digits times ten to this.
    exponent: i32,
}

impl<'a> Numeral<'a> {
    /// A number of JSON at the beginning of a text. Err: so many bytes are right, and what follows is wrong, or
    /// missing.
    pub(crate) fn of_json(text: &'a str) -> Result<Self, usize> {
        Self::scan(text, true)
    }

    /// The number that a text is, with white space around it; leading zeros, a plus and a bare point are allowed.
    pub(crate) fn of_text(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let number = Self::scan(text, false).ok()?;
        (number.text.len() == text.len()).then_some(number)
    }

    /// As it is written.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    #[inline]
    fn scan(text: &'a str, is_json: bool) -> Result<Self, usize> {
        let bytes = text.as_bytes();
        let mut at = 0;
        let is_negative = bytes.first() == Some(&b'-');
        at += usize::from(is_negative || (!is_json && bytes.first() == Some(&b'+')));
        let mut mantissa = 0_u64;
        let whole = at;
        at = take(bytes, at, &mut mantissa);
        let mut any = at > whole;
        if is_json && (!any || (at - whole > 1 && bytes[whole] == b'0')) {
            return Err(if any { whole + 1 } else { at });
        }
        let (integers, mut places) = (at - whole, 0);
        if bytes.get(at) == Some(&b'.') {
            let end = take(bytes, at + 1, &mut mantissa);
            places = end - at - 1;
            any |= places > 0;
            if is_json && places == 0 {
                return Err(at + 1);
            }
            at = end;
        }
        if !any {
            return Err(at);
        }
        let zeros = bytes[whole..at].iter().take_while(|byte| matches!(byte, b'0' | b'.'));
        let zeros = zeros.filter(|byte| **byte == b'0').count();
        let digits = u32::try_from(integers + places - zeros).unwrap_or(u32::MAX);
        let mut exponent = -(places as i64);
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            let sign = bytes.get(at).copied();
            at += usize::from(matches!(sign, Some(b'+' | b'-')));
            let (first, mut value) = (at, 0_i64);
            while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
                value = (value * 10 + i64::from(digit)).min(1 << 32);
                at += 1;
            }
            if at == first {
                return Err(at);
            }
            exponent += if sign == Some(b'-') { -value } else { value };
        }
        let exponent = exponent.clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32;
        Ok(Self { text: &text[..at], is_negative, mantissa, digits, exponent })
    }

    /// Neither a point nor an exponent.
    pub(crate) fn is_whole(&self) -> bool {
        self.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    }

    /// More digits than every REAL gives back.
    pub(crate) fn has_many_digits(&self) -> bool {
        self.digits > REAL_DIGITS
    }

    /// A whole number of at most 18 digits in its usual spelling.
    #[inline]
    pub(crate) fn small(&self) -> Option<i64> {
        let value = self.mantissa as i64;
        (self.exponent == 0 && self.digits < U64_DIGITS).then_some(if self.is_negative { -value } else { value })
    }

    /// The integer that it is, of at most 38 digits.
    pub(crate) fn integer(&self) -> Option<i128> {
        if let Some(value) = self.small() {
            return Some(value.into());
        }
        self.signed(self.shifted(0)?)
    }

    /// As a decimal of that many digits, `scale` of them after the point: the integer that is stored for it.
    #[inline]
    pub(crate) fn decimal<T: DecimalCast>(&self, precision: u8, scale: i8) -> Option<T> {
        if usize::from(precision) > U128_DIGITS {
            return T::from_decimal(self.long_decimal(precision, scale)?);
        }
        let value = self.shifted(scale)?;
        let fits = 10_u128.checked_pow(precision.into()).is_none_or(|limit| value < limit);
        if fits { T::from_decimal(self.signed(value)?) } else { None }
    }

    /// The same for decimals of more than 38 digits.
    fn long_decimal(&self, precision: u8, scale: i8) -> Option<i256> {
        if self.digits == 0 {
            return Some(i256::ZERO);
        }
        let mut digits = String::with_capacity(I256_DIGITS);
        let fits = self.significant(|place, digit| {
            if place > I256_DIGITS {
                return false;
            }
            digits.extend(std::iter::repeat_n('0', place - 1 - digits.len()));
            digits.push(char::from(digit));
            true
        });
        let shift = usize::try_from(self.exponent_of(digits.len()) + i64::from(scale)).ok()?;
        if !fits || digits.len().saturating_add(shift) > usize::from(precision) {
            return None;
        }
        digits.extend(std::iter::repeat_n('0', shift));
        let value = i256::from_string(&digits)?;
        if self.is_negative { value.checked_neg() } else { Some(value) }
    }

    /// The DOUBLE that it is.
    #[inline]
    pub(crate) fn double(&self) -> Option<f64> {
        let power = self.exponent.unsigned_abs() as usize;
        if self.digits <= DOUBLE_DIGITS && power < DOUBLE_POWERS.len() {
            let digits = self.mantissa as f64;
            let value = if self.exponent < 0 { digits / DOUBLE_POWERS[power] } else { digits * DOUBLE_POWERS[power] };
            return Some(if self.is_negative { -value } else { value });
        }
        let value = Float64Type::parse(self.text).or_else(|| self.text.parse().ok())?;
        let is_exact = self.digits <= DOUBLE_DIGITS && value.is_normal() || self.is_written(value);
        (is_exact && value.is_finite()).then_some(value)
    }

    /// The REAL that it is.
    pub(crate) fn real(&self) -> Option<f32> {
        let power = self.exponent.unsigned_abs() as usize;
        if self.digits <= REAL_DIGITS && power < REAL_POWERS.len() {
            let digits = self.mantissa as f32;
            let value = if self.exponent < 0 { digits / REAL_POWERS[power] } else { digits * REAL_POWERS[power] };
            return Some(if self.is_negative { -value } else { value });
        }
        let value = Float32Type::parse(self.text).or_else(|| self.text.parse().ok())?;
        let is_exact = self.digits <= REAL_DIGITS && value.is_normal() || self.is_written(value.into());
        (is_exact && value.is_finite()).then_some(value)
    }

    /// The number times ten to that power, without its sign, if it is an integer of at most 38 digits.
    #[inline]
    fn shifted(&self, power: i8) -> Option<u128> {
        let power = i64::from(power);
        if self.digits == 0 {
            return Some(0);
        }
        let mut value = u128::from(self.mantissa);
        let mut shift = i64::from(self.exponent) + power;
        if self.digits > U64_DIGITS || shift < 0 {
            let exponent;
            (value, exponent) = self.reduced()?;
            shift = exponent + power;
        }
        value.checked_mul(10_u128.checked_pow(u32::try_from(shift).ok()?)?)
    }

    /// Its digits without zeros at the end, and the exponent that then belongs to them; not for zero.
    fn reduced(&self) -> Option<(u128, i64)> {
        let (mut value, mut kept) = (0_u128, 0);
        let fits = self.significant(|place, digit| {
            if place > U128_DIGITS {
                return false;
            }
            value = value * 10_u128.pow((place - kept) as u32) + u128::from(digit - b'0');
            kept = place;
            true
        });
        fits.then(|| (value, self.exponent_of(kept)))
    }

    /// The exponent that belongs to its first digits, if all others are zeros.
    fn exponent_of(&self, digits: usize) -> i64 {
        i64::from(self.exponent) + i64::from(self.digits) - digits as i64
    }

    /// Gives each digit that is not zero with its place, 1 for the first of them, until `take` returns false. Zeros
    /// between are left out, so that those at the end are no digits. Returns whether all were taken.
    fn significant(&self, mut take: impl FnMut(usize, u8) -> bool) -> bool {
        let digits = self.text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit);
        let digits = digits.skip_while(|digit| *digit == b'0').zip(1_usize..);
        digits.filter(|(digit, _)| *digit != b'0').all(|(digit, place)| take(place, digit))
    }

    fn signed(&self, value: u128) -> Option<i128> {
        let value = i128::try_from(value).ok()?;
        Some(if self.is_negative { -value } else { value })
    }

    /// Whether the value, written with as many digits, is this number.
    fn is_written(&self, value: f64) -> bool {
        if self.digits == 0 || !value.is_finite() {
            return self.digits == 0;
        }
        if self.digits <= U64_DIGITS {
            // Zeros at the end are no digits that a float would have to keep.
            let (mut digits, mut exponent) = (self.mantissa, self.exponent);
            while digits.is_multiple_of(10) {
                (digits, exponent) = (digits / 10, exponent + 1);
            }
            if let Some(is_near) = rounds_to(value, digits, exponent) {
                return is_near;
            }
        }
        let mut wanted = Digits::default();
        if !self.significant(|place, digit| wanted.put(place, digit)) {
            return false;
        }
        let digits = wanted.length;
        let mut written = Digits::default();
        if write!(written, "{:.*e}", digits - 1, value.abs()).is_err() {
            return false;
        }
        // The first digit is before the point.
        let magnitude = i64::from(self.exponent) + i64::from(self.digits) - 1;
        let exponent = if written.is_negative { -written.exponent } else { written.exponent };
        exponent == magnitude && written.bytes[..written.length] == wanted.bytes[..digits]
    }
}

/// Appends the digits from a place on to the integer and gives the place behind them.
#[inline]
fn take(bytes: &[u8], mut at: usize, integer: &mut u64) -> usize {
    while let Some(value) = bytes.get(at..).and_then(|rest| eight_digits(rest.first_chunk()?)) {
        *integer = integer.wrapping_mul(100_000_000).wrapping_add(value);
        at += 8;
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        *integer = integer.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// Eight digits as one number: pairs, then fours, then all are added with one multiplication each.
#[inline]
fn eight_digits(text: &[u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(*text);
    let values = word.wrapping_sub(0x3030_3030_3030_3030);
    if (word.wrapping_add(0x4646_4646_4646_4646) | values) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (values * 10).wrapping_add(values >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

/// Whether the nearest multiple of ten to the exponent is the digits times it; None if that needs more than 128 bits.
#[inline]
fn rounds_to(value: f64, digits: u64, exponent: i32) -> Option<bool> {
    if exponent == 0 && value.abs() < 1e18 && value.abs() as u64 == digits {
        return Some(true);
    }
    let bits = value.to_bits();
    let biased = (bits >> 52 & 0x7ff) as i32;
    if biased == 0 || !(-22..0).contains(&exponent) {
        return None;
    }
    let shift = 1075 - biased;
    if !(1..=126).contains(&shift) {
        return None;
    }
    let fraction = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    let scaled = fraction * POWERS[exponent.unsigned_abs() as usize];
    let (whole, rest, half) = (scaled >> shift, scaled & ((1 << shift) - 1), 1_u128 << (shift - 1));
    let digits = u128::from(digits);
    Some((digits == whole && rest <= half) || (digits == whole + 1 && rest >= half))
}

/// Decimal digits on the stack, and the exponent that formatting appends to them.
struct Digits {
    bytes: [u8; LONGEST_DOUBLE],
    length: usize,
    exponent: i64,
    /// Of the exponent.
    is_negative: bool,
    is_in_exponent: bool,
}

impl Default for Digits {
    fn default() -> Self {
        Self { bytes: [b'0'; LONGEST_DOUBLE], length: 0, exponent: 0, is_negative: false, is_in_exponent: false }
    }
}

impl Digits {
    /// Sets the digit at a place, 1 for the first; those before it that were not set are zeros. False if there is no
    /// such place.
    fn put(&mut self, place: usize, digit: u8) -> bool {
        let Some(slot) = self.bytes.get_mut(place - 1) else { return false };
        *slot = digit;
        self.length = place;
        true
    }
}

impl Write for Digits {
    /// A number such as `1.25e-7`, or any part of it: formatting writes several.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'e' => self.is_in_exponent = true,
                b'-' => self.is_negative = true,
                b'0'..=b'9' if self.is_in_exponent => self.exponent = self.exponent * 10 + i64::from(byte - b'0'),
                b'0'..=b'9' => {
                    self.put(self.length + 1, byte);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Numeral<'_> {
        Numeral::of_json(text).unwrap()
    }

    #[test]
    fn numbers_of_json_are_read_to_their_end_and_others_refused() {
        for (text, end) in [("0", 1), ("-0", 2), ("10,", 2), ("1.5e-7 ", 6), ("1E+2}", 4), ("0.0", 3)] {
            assert_eq!(json(text).text(), &text[..end]);
        }
        for (text, right) in [("01", 1), ("-", 1), ("1.", 2), ("1.e1", 2), ("1e", 2), ("1e+", 3), ("+1", 0), (".5", 0)]
        {
            assert_eq!(Numeral::of_json(text).map(|n| n.text().len()), Err(right), "{text}");
        }
        for text in ["007", "+1", ".5", "5.", " 7\n", "1e3"] {
            assert!(Numeral::of_text(text).is_some(), "{text}");
        }
        for text in ["", ".", "-", "1 2", "0x1", "1e", "NaN", "1_000"] {
            assert!(Numeral::of_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn eight_digits_are_read_at_once_and_nothing_else_is() {
        assert_eq!(eight_digits(b"00000000"), Some(0));
        assert_eq!(eight_digits(b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(b"99999999"), Some(99_999_999));
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"90909090";
                text[place] = byte;
                let expected = std::str::from_utf8(&text).ok().filter(|text| !text.contains('+'));
                assert_eq!(eight_digits(&text), expected.and_then(|text| text.parse().ok()), "{text:?}");
            }
        }
        for text in
            ["12345678.", "123456789", "0000000012345678.12345678", ".00000000012345678", "0.0", "00012345678e2"]
        {
            let number = Numeral::of_text(text).unwrap();
            let digits: String = text.split('e').next().unwrap().chars().filter(char::is_ascii_digit).collect();
            let digits = digits.trim_start_matches('0');
            assert_eq!(
                (number.mantissa.to_string().as_str(), number.digits as usize),
                match digits {
                    "" => ("0", 0),
                    _ => (digits, digits.len()),
                }
            );
        }
        assert!(Numeral::of_text("1234567x").is_none() && Numeral::of_text("12345678x").is_none());
    }

    #[test]
    fn integers_are_exact_in_any_spelling() {
        for (text, value) in [
            ("7", Some(7)),
            ("-0.0", Some(0)),
            ("1.0", Some(1)),
            ("-2e3", Some(-2000)),
            ("125e-2", None),
            ("1200e-2", Some(12)),
            ("1.00000000000000000001", None),
            ("1.00000000000000000000", Some(1)),
            ("18446744073709551616", Some(1 << 64)),
            ("9223372036854775807.000", Some(i64::MAX.into())),
            ("1e38", Some(10_i128.pow(38))),
            ("1e39", None),
            ("1e999999999999", None),
            ("0e999999999999", Some(0)),
        ] {
            assert_eq!(json(text).integer(), value, "{text}");
        }
    }

    #[test]
    fn decimals_keep_every_digit_or_are_none() {
        for (text, precision, scale, value) in [
            ("1.5", 5, 2, Some(150)),
            ("-0.250", 5, 2, Some(-25)),
            ("1e2", 5, 2, Some(10000)),
            ("999.99", 5, 2, Some(99999)),
            ("1000", 5, 2, None),
            ("1.239", 5, 2, None),
            ("125e-3", 5, 2, None),
            ("1200", 5, -2, Some(12)),
            ("1250", 5, -2, None),
            ("99999999999999999999999999999999999999", 38, 0, Some(10_i128.pow(38) - 1)),
        ] {
            assert_eq!(json(text).decimal::<i128>(precision, scale), value, "{text}");
            assert_eq!(json(text).long_decimal(precision, scale), value.map(i256::from_i128), "{text}");
        }
        let long = "9".repeat(76);
        assert_eq!(json(&long).long_decimal(76, 0).unwrap().to_string(), long);
        assert_eq!(json(&format!("{long}.0")).long_decimal(76, 0).unwrap().to_string(), long);
        assert_eq!(json(&format!("{long}9")).long_decimal(76, 0), None);
    }

    #[test]
    fn a_double_is_what_gives_the_number_back() {
        for text in [
            "0.1",
            "-0",
            "0e5",
            "9007199254740992",
            "9007199254740994",
            "0.10000000000000001",
            "0.1000000000000000055511151231257827",
            "0.10000000000000000000000000",
            "1.7976931348623157e308",
            "5e-324",
            "4.9e-324",
            "2.2250738585072014E-308",
            "1e23",
            "123456789012345680000",
            "0.30000000000000004",
            "100000000000000000000000",
        ] {
            assert_eq!(json(text).double(), text.parse().ok(), "{text}");
        }
        for text in [
            "9007199254740993",
            "12345678901234567890",
            "3.14159265358979323846",
            "1e309",
            "1e-400",
            "1e-324",
            "3e-324",
            "0.12345678901234567890123",
            "1e999999999999",
        ] {
            assert_eq!(json(text).double(), None, "{text}");
        }
        assert_eq!(json("0.10000000149011612").real(), Some(0.1));
        assert_eq!(json("16777216").real(), Some(16_777_216.0));
        for text in ["16777217", "0.12345678901", "1e39", "1e-46"] {
            assert_eq!(json(text).real(), None, "{text}");
        }
    }

    #[test]
    fn a_digit_at_any_place_counts_and_zeros_at_the_end_do_not() {
        for zeros in [15, 36, 37, 74, 75, 766, 797, 798, 799, 800, 5000] {
            let last = |digit: char| format!("1.{}{digit}", "0".repeat(zeros));
            let (far, zero) = (last('5'), last('0'));
            assert_eq!(json(&zero).double(), Some(1.0), "{zeros}");
            assert_eq!(json(&zero).real(), Some(1.0), "{zeros}");
            assert_eq!(json(&zero).integer(), Some(1), "{zeros}");
            assert_eq!(json(&zero).long_decimal(76, 0), Some(i256::ONE), "{zeros}");
            assert_eq!(json(&far).double(), None, "{zeros}");
            assert_eq!(json(&far).real(), None, "{zeros}");
            assert_eq!(json(&far).integer(), None, "{zeros}");
            assert_eq!(json(&far).long_decimal(76, 0), None, "{zeros}");
        }
    }

    /// Whether the double, written with that many digits, is the number: by formatting alone.
    fn is_written_slowly(text: &str, value: f64) -> bool {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits: String = mantissa.bytes().filter(u8::is_ascii_digit).map(char::from).collect();
        let digits = digits.trim_start_matches('0');
        let point = mantissa.find('.').map_or(0, |at| mantissa.len() - at - 1) as i64;
        let zeros = (digits.len() - digits.trim_end_matches('0').len()) as i64;
        let digits = digits.trim_end_matches('0');
        let exponent = exponent.parse::<i64>().unwrap() - point + zeros;
        let written = format!("{:.*e}", digits.len() - 1, value.abs());
        let (shown, power) = written.split_once('e').unwrap();
        // Halfway between two numbers, both are right: programs round up, or to the even one.
        let exact = format!("{:.1100e}", value.abs()).replace('.', "");
        let rest = exact.split('e').next().unwrap().split_at(digits.len()).1.trim_end_matches('0');
        let up = |text: &str| (text.parse::<u128>().unwrap() + 1).to_string();
        let is_next = rest == "5" && (up(&exact[..digits.len()]) == digits || exact[..digits.len()] == *digits);
        (is_next || shown.replace('.', "") == digits)
            && power.parse::<i64>().unwrap() == exponent + digits.len() as i64 - 1
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn doubles_as_every_program_writes_them_are_read_back(bits in any::<u64>(), digits in 16_usize..30) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value:e}"), format!("{value:.digits$e}"), format!("{value:?}"), format!("{value}")] {
                prop_assert_eq!(json(&text).double().map(f64::to_bits), Some(bits), "{}", text);
            }
        }

        #[test]
        fn a_number_is_a_double_exactly_if_it_is_written_so(
            digits in "[1-9][0-9]{15,20}", point in 0_usize..16, exponent in -30_i32..30
        ) {
            let text = format!("{}.{}e{exponent}", &digits[..point.max(1)], &digits[point.max(1)..]);
            let value: f64 = text.parse().unwrap();
            prop_assert_eq!(json(&text).double().is_some(), is_written_slowly(&text, value), "{}", text);
            let plain = format!("{}.{}", &digits[..point.max(1)], &digits[point.max(1)..]);
            let value: f64 = plain.parse().unwrap();
            prop_assert_eq!(json(&plain).double().is_some(), is_written_slowly(&plain, value), "{}", plain);
        }

        #[test]
        fn integers_and_decimals_agree_with_i128(value in any::<i64>(), zeros in 0_usize..6, scale in 0_i8..6) {
            let text = value.to_string();
            prop_assert_eq!(json(&text).integer(), Some(value.into()));
            let spelled = format!("{value}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(json(&spelled).integer(), Some(value.into()));
            let expected = i128::from(value) * 10_i128.pow(scale as u32);
            prop_assert_eq!(json(&text).decimal::<i128>(38, scale), Some(expected));
            prop_assert_eq!(json(&spelled).long_decimal(76, scale), Some(i256::from_i128(expected)));
        }
    }
}
