//! PostgreSQL's numeric as it is sent: a sign, a weight and groups of four decimal digits.
//!
//! ```text
//! int16 groups | int16 weight | uint16 sign | uint16 display scale | int16 group, ...
//! value = sign * sum of group[i] * 10000^(weight - i)
//! ```
//!
//! It is read into decimals and doubles exactly or not at all, and printed as `numeric_out` does, with the display
//! scale's zeros. What no server sends (a group above 9999, digits beyond the display scale, an odd length) is a
//! misfit. Source: `numeric_send` and `get_str_from_var` in `numeric.c`.

use datafusion::arrow::datatypes::i256;

use super::fault::{Misfit, misfit};

const DAMAGED: &str = "it is no numeric value";
const BEYOND_SCALE: &str = "it has more decimal places than the type";
const TOO_LARGE: &str = "it has more digits than the type";
const SPECIAL: &str = "only text and floating-point columns hold it";

/// A numeric value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PgNumeric<'a> {
    NotANumber,
    Infinity,
    NegativeInfinity,
    Finite(NumericDigits<'a>),
}

/// The groups of a finite value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumericDigits<'a> {
    negative: bool,
    weight: i32,
    display_scale: u16,
    /// Two bytes each.
    groups: &'a [u8],
}

impl<'a> PgNumeric<'a> {
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Misfit> {
        let Some((head, groups)) = bytes.split_first_chunk::<8>() else { return misfit(DAMAGED) };
        let [n0, n1, w0, w1, s0, s1, d0, d1] = *head;
        let count = u16::from_be_bytes([n0, n1]);
        let display_scale = u16::from_be_bytes([d0, d1]);
        if groups.len() != usize::from(count) * 2 {
            return misfit(DAMAGED);
        }
        let negative = match u16::from_be_bytes([s0, s1]) {
            0 => false,
            0x4000 => true,
            0xc000 if count == 0 => return Ok(Self::NotANumber),
            0xd000 if count == 0 => return Ok(Self::Infinity),
            0xf000 if count == 0 => return Ok(Self::NegativeInfinity),
            _ => return misfit(DAMAGED),
        };
        let digits = NumericDigits { negative, weight: i32::from(i16::from_be_bytes([w0, w1])), display_scale, groups };
        digits.check()?;
        Ok(Self::Finite(digits))
    }

    /// As an integer of the given scale.
    #[inline]
    pub(crate) fn to_i128(self, scale: i32) -> Result<i128, Misfit> {
        match self {
            Self::Finite(digits) => digits.to_i128(scale),
            _ => misfit(SPECIAL),
        }
    }

    pub(crate) fn to_i256(self, scale: i32) -> Result<i256, Misfit> {
        match self {
            Self::Finite(digits) => digits.to_i256(scale),
            _ => misfit(SPECIAL),
        }
    }

    /// As the double that prints as this value again.
    pub(crate) fn to_f64(self, scratch: &mut String) -> Result<f64, Misfit> {
        let digits = match self {
            Self::NotANumber => return Ok(f64::NAN),
            Self::Infinity => return Ok(f64::INFINITY),
            Self::NegativeInfinity => return Ok(f64::NEG_INFINITY),
            Self::Finite(digits) => digits,
        };
        scratch.clear();
        digits.write(scratch);
        let Ok(value) = scratch.parse::<f64>() else { return misfit(DAMAGED) };
        let wanted = significant(scratch);
        let printed = format!("{value:e}");
        if value.is_finite() && significant(&printed) == wanted {
            return Ok(value);
        }
        misfit("a double does not hold all its digits")
    }

    pub(crate) fn write(self, out: &mut String) {
        match self {
            Self::NotANumber => out.push_str("NaN"),
            Self::Infinity => out.push_str("Infinity"),
            Self::NegativeInfinity => out.push_str("-Infinity"),
            Self::Finite(digits) => digits.write(out),
        }
    }
}

impl NumericDigits<'_> {
    #[inline]
    fn groups(&self) -> impl Iterator<Item = u16> {
        self.groups.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// Group of the given weight, 0 if it is not sent.
    fn group(&self, weight: i32) -> u16 {
        let at = usize::try_from(self.weight - weight).ok();
        let pair = at.and_then(|at| self.groups.as_chunks::<2>().0.get(at));
        pair.map_or(0, |pair| u16::from_be_bytes(*pair))
    }

    #[inline]
    fn check(&self) -> Result<(), Misfit> {
        if self.display_scale > 0x3fff || self.groups().any(|group| group > 9999) {
            return misfit(DAMAGED);
        }
        // Decimal places down to the end of the last group: at most three of them are beyond the display scale.
        let places = 4 * ((self.groups.len() / 2) as i32 - 1 - self.weight);
        let beyond = places - i32::from(self.display_scale);
        if beyond <= 0 {
            return Ok(());
        }
        let last = self.groups().last().unwrap_or(0);
        if beyond >= 4 && self.groups().any(|group| group != 0) {
            return self.check_slowly();
        }
        if beyond < 4 && !last.is_multiple_of(10_u16.pow(beyond.unsigned_abs())) {
            return misfit(DAMAGED);
        }
        Ok(())
    }

    /// Zero groups at the end, which a server does not send, but could.
    #[cold]
    fn check_slowly(&self) -> Result<(), Misfit> {
        for (at, group) in self.groups().enumerate() {
            let beyond = 4 * (at as i32 - self.weight) - i32::from(self.display_scale);
            let unit = if beyond <= 0 { 1 } else { 10_u32.pow(beyond.min(5).unsigned_abs()) };
            if !u32::from(group).is_multiple_of(unit) {
                return misfit(DAMAGED);
            }
        }
        Ok(())
    }

    #[inline]
    fn to_i128(self, scale: i32) -> Result<i128, Misfit> {
        const POWERS: [u64; 4] = [1, 10, 100, 1000];
        let mut total: u128 = 0;
        // Decimal places that a group's unit has left of the wanted scale.
        let mut places = 4 * self.weight + scale;
        let mut small: u64 = 0;
        let mut is_small = true;
        for (at, group) in self.groups().enumerate() {
            if at == 4 {
                total = u128::from(small);
                is_small = false;
            }
            let (by, add) = match places {
                0.. => (10_000, u64::from(group)),
                -3..=-1 => {
                    let unit = POWERS[places.unsigned_abs() as usize & 3];
                    if !u64::from(group).is_multiple_of(unit) {
                        return misfit(BEYOND_SCALE);
                    }
                    (10_000 / unit, u64::from(group) / unit)
                }
                _ if group == 0 => (1, 0),
                _ => return misfit(BEYOND_SCALE),
            };
            if is_small {
                small = small * by + add;
            } else {
                let sum = total.checked_mul(u128::from(by)).and_then(|total| total.checked_add(u128::from(add)));
                let Some(sum) = sum else { return misfit(TOO_LARGE) };
                total = sum;
            }
            places -= 4;
        }
        if is_small {
            total = u128::from(small);
        }
        // The last group's places, if zeros follow it.
        let zeros = (places + 4).max(0).unsigned_abs();
        if zeros > 0 && total != 0 {
            let power = 10_u128.checked_pow(zeros);
            let Some(product) = power.and_then(|power| total.checked_mul(power)) else { return misfit(TOO_LARGE) };
            total = product;
        }
        let Ok(value) = i128::try_from(total) else { return misfit(TOO_LARGE) };
        Ok(if self.negative { -value } else { value })
    }

    fn to_i256(self, scale: i32) -> Result<i256, Misfit> {
        match self.to_i128(scale) {
            Ok(value) => return Ok(i256::from_i128(value)),
            Err(Misfit(TOO_LARGE)) => {}
            Err(other) => return Err(other),
        }
        let mut total = i256::ZERO;
        let mut push = |by: i128, add: i128| {
            let sum = total.checked_mul(i256::from_i128(by)).and_then(|total| total.checked_add(i256::from_i128(add)));
            let Some(sum) = sum else { return misfit(TOO_LARGE) };
            total = sum;
            Ok(())
        };
        let mut places = 4 * self.weight + scale;
        for group in self.groups() {
            let group = i128::from(group);
            match places {
                0.. => push(10_000, group)?,
                -3..=-1 => {
                    let unit = 10_i128.pow(places.unsigned_abs());
                    if group % unit != 0 {
                        return misfit(BEYOND_SCALE);
                    }
                    push(10_000 / unit, group / unit)?;
                }
                _ if group == 0 => {}
                _ => return misfit(BEYOND_SCALE),
            }
            places -= 4;
        }
        // At most 77 of them keep a value that is not 0 in range.
        for _ in 0..(places + 4).clamp(0, 80) {
            push(10, 0)?;
        }
        Ok(if self.negative { total.wrapping_neg() } else { total })
    }

    fn write(self, out: &mut String) {
        if self.negative && self.groups().any(|group| group != 0) {
            out.push('-');
        }
        let mut is_first = true;
        for weight in (0..=self.weight).rev() {
            let group = self.group(weight);
            if is_first {
                if group == 0 {
                    continue;
                }
                let skip = if group < 10 {
                    3
                } else if group < 100 {
                    2
                } else {
                    usize::from(group < 1000)
                };
                push_group(group, skip, 4, out);
                is_first = false;
            } else {
                push_group(group, 0, 4, out);
            }
        }
        if is_first {
            out.push('0');
        }
        if self.display_scale == 0 {
            return;
        }
        out.push('.');
        let mut left = usize::from(self.display_scale);
        let mut weight = -1;
        while left > 0 {
            let count = left.min(4);
            push_group(self.group(weight), 0, count, out);
            left -= count;
            weight -= 1;
        }
    }
}

/// The digits `from..to` of the four of a group.
fn push_group(group: u16, from: usize, to: usize, out: &mut String) {
    let digits = [group / 1000 % 10, group / 100 % 10, group / 10 % 10, group % 10];
    for digit in digits.iter().take(to).skip(from) {
        out.push(char::from(b'0' + (*digit as u8)));
    }
}

/// Digits without zeros at both ends, and the decimal exponent of the first: equal for equal numbers.
fn significant(text: &str) -> (bool, Vec<u8>, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut exponent: i64 = exponent.parse().unwrap_or(0);
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    exponent += whole.len() as i64;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros);
    exponent -= zeros as i64;
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits.is_empty() {
        return (false, digits, 0);
    }
    (negative, digits, exponent)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The reference: a decimal text as a server sends it.
    pub(crate) fn numeric(text: &str) -> Vec<u8> {
        let (sign, digits) = text.strip_prefix('-').map_or((0_u16, text), |rest| (0x4000, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let scale = fraction.len();
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let fraction = format!("{fraction}{}", "0".repeat((4 - scale % 4) % 4));
        let mut weight = whole.len() as i64 / 4 - 1;
        let all = format!("{whole}{fraction}");
        let mut groups: Vec<u16> =
            all.as_bytes().chunks(4).map(|c| str::from_utf8(c).unwrap().parse().unwrap()).collect();
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        let sign = if groups.is_empty() { 0 } else { sign };
        let mut bytes = Vec::new();
        for part in [groups.len() as u16, weight as i16 as u16, sign, scale as u16].iter().chain(&groups) {
            bytes.extend_from_slice(&part.to_be_bytes());
        }
        bytes
    }

    fn printed(bytes: &[u8]) -> String {
        let mut out = String::new();
        PgNumeric::parse(bytes).unwrap().write(&mut out);
        out
    }

    #[test]
    fn text_has_the_display_scale() {
        for text in ["0", "0.00", "1", "-1.50", "10000", "100000000.0001", "0.00000001", "-12345.6789012", "9999"] {
            assert_eq!(printed(&numeric(text)), text);
        }
    }

    #[test]
    fn decimals_are_exact_or_a_misfit() {
        let read = |text: &str, scale| PgNumeric::parse(&numeric(text)).unwrap().to_i128(scale);
        assert_eq!(read("12.50", 1), Ok(125));
        assert_eq!(read("12.55", 1), misfit(BEYOND_SCALE));
        assert_eq!(read("-0.0001", 6), Ok(-100));
        assert_eq!(read("0.00000001", 6), misfit(BEYOND_SCALE));
        assert_eq!(read("12345678901234567890123456789012345678", 0), Ok(12345678901234567890123456789012345678));
        assert_eq!(read("1200", -2), Ok(12));
        assert_eq!(read("1210", -2), misfit(BEYOND_SCALE));
        assert_eq!(read("1000000000000000000000000000000000000000", 0), misfit(TOO_LARGE));
    }

    #[test]
    fn wide_decimals_are_exact() {
        let text = "9".repeat(76);
        let value = PgNumeric::parse(&numeric(&text)).unwrap().to_i256(0).unwrap();
        assert_eq!(value.to_string(), text);
        let text = format!("-{}.5", "9".repeat(74));
        let value = PgNumeric::parse(&numeric(&text)).unwrap().to_i256(1).unwrap();
        assert_eq!(value.to_string(), text.replace('.', ""));
    }

    #[test]
    fn a_double_must_print_as_the_value() {
        let read = |text: &str| PgNumeric::parse(&numeric(text)).unwrap().to_f64(&mut String::new());
        assert_eq!(read("0.10"), Ok(0.1));
        assert_eq!(read("-12345.678"), Ok(-12345.678));
        assert_eq!(read("0.00"), Ok(0.0));
        assert!(read("0.1000000000000000000001").is_err());
        assert!(read(&"9".repeat(400)).is_err());
    }

    #[test]
    fn digits_beyond_the_display_scale_are_damage() {
        let mut bytes = numeric("1.25");
        bytes[7] = 1;
        assert!(PgNumeric::parse(&bytes).is_err());
        bytes[7] = 2;
        bytes[8] = 0xff;
        assert!(PgNumeric::parse(&bytes).is_err());
    }
}
