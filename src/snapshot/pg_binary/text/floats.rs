//! Floating-point numbers as PostgreSQL 12 and later prints them: the fewest digits that read as the number again.
//!
//! Three details differ from Rust's own text. An exponent is used below 1e-4 and from 1e15 (1e6 for real) on, with a
//! sign and two digits. A decimal that lies exactly between two numbers is not taken for the even one of them, so that
//! one digit more is printed. And of two decimals that are equally near to the number, the even one is printed. Source:
//! `double_to_shortest_decimal_bufn` in `d2s.c`, `f2s.c`.

use std::fmt::{LowerExp, Write as _};
use std::str::FromStr;

/// Room for 17 digits, a sign, a point and an exponent.
const ROOM: usize = 40;

/// A text of known largest length, without allocation.
struct ShortText {
    bytes: [u8; ROOM],
    length: usize,
}

impl ShortText {
    fn of(arguments: std::fmt::Arguments<'_>) -> Self {
        let mut text = Self { bytes: [0; ROOM], length: 0 };
        let _ = text.write_fmt(arguments);
        text
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl std::fmt::Write for ShortText {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        let end = self.length + part.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

pub(crate) fn write_f64(value: f64, out: &mut String) {
    if push_special(value, out) {
        return;
    }
    let bits = value.to_bits() & !(1 << 63);
    let number = Exact::of(bits & ((1 << 52) - 1), (bits >> 52) as i32, 52, 1075);
    shortest(value.abs(), number, 17).push(value.is_sign_negative(), 15, out);
}

pub(crate) fn write_f32(value: f32, out: &mut String) {
    if push_special(f64::from(value), out) {
        return;
    }
    let bits = value.to_bits() & !(1 << 31);
    let number = Exact::of(u64::from(bits & ((1 << 23) - 1)), (bits >> 23) as i32, 23, 150);
    shortest(value.abs(), number, 9).push(value.is_sign_negative(), 6, out);
}

/// The digits of a positive number; `most` of them always do.
fn shortest<T: LowerExp + FromStr + PartialEq>(value: T, number: Exact, most: usize) -> PgDigits {
    let reads_as_value = |text: &ShortText| text.as_str().parse().is_ok_and(|read: T| read == value);
    let mut digits = PgDigits::of(ShortText::of(format_args!("{value:e}")).as_str());
    // One digit more at a time.
    for places in 1..most {
        if !number.is_half_way(digits) {
            break;
        }
        let longer = ShortText::of(format_args!("{value:.places$e}"));
        if reads_as_value(&longer) {
            digits = PgDigits::of(longer.as_str());
        }
    }
    match number.even(digits) {
        Some(even) if reads_as_value(&even.text()) && !number.is_half_way(even) => even,
        _ => digits,
    }
}

fn push_special(value: f64, out: &mut String) -> bool {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if value == 0.0 {
        out.push_str(if value.is_sign_negative() { "-0" } else { "0" });
    } else {
        return false;
    }
    true
}

/// `digits * 10^ten`, of which the last digit is not 0.
#[derive(Debug, Clone, Copy)]
struct PgDigits {
    digits: u64,
    ten: i32,
    count: i32,
}

/// `mantissa * 2^exponent`. The distance to the smaller neighbour is half as large if the number is a power of two.
#[derive(Debug, Clone, Copy)]
struct Exact {
    mantissa: u64,
    exponent: i32,
    is_power: bool,
}

impl Exact {
    /// Of the fields of an IEEE 754 number: its fraction of `places` bits, and its exponent plus `bias`.
    fn of(fraction: u64, exponent: i32, places: u32, bias: i32) -> Self {
        let (mantissa, two) =
            if exponent == 0 { (fraction, 1 - bias) } else { (fraction | 1 << places, exponent - bias) };
        Self { mantissa, exponent: two, is_power: fraction == 0 && exponent > 1 }
    }

    /// Whether a decimal is half-way to a neighbour. Only numbers with an even mantissa are read from it.
    fn is_half_way(self, digits: PgDigits) -> bool {
        let Self { mantissa, exponent, is_power } = self;
        if !mantissa.is_multiple_of(2) {
            return false;
        }
        let below = if is_power { (mantissa * 4 - 1, exponent - 2) } else { (mantissa * 2 - 1, exponent - 1) };
        is_equal(digits.digits, digits.ten, mantissa * 2 + 1, exponent - 1)
            || is_equal(digits.digits, digits.ten, below.0, below.1)
    }

    /// The even one of the two decimals that are equally near, if these are not it.
    fn even(self, digits: PgDigits) -> Option<PgDigits> {
        if digits.digits.is_multiple_of(2) {
            return None;
        }
        let is_middle = |twice: u64| is_equal(twice, digits.ten, self.mantissa, self.exponent + 1);
        if is_middle(digits.digits * 2 - 1) {
            return Some(PgDigits { digits: digits.digits - 1, ..digits });
        }
        is_middle(digits.digits * 2 + 1).then(|| PgDigits { digits: digits.digits + 1, ..digits })
    }
}

/// Whether `a * 10^ten == b * 2^two`.
fn is_equal(a: u64, ten: i32, b: u64, two: i32) -> bool {
    if a == 0 || b == 0 {
        return false;
    }
    let (a_zeros, b_zeros) = (a.trailing_zeros(), b.trailing_zeros());
    if ten + a_zeros as i32 != two + b_zeros as i32 {
        return false;
    }
    let (a, b) = (u128::from(a >> a_zeros), u128::from(b >> b_zeros));
    let five = 5_u128.checked_pow(ten.unsigned_abs());
    let (a, b) = if ten >= 0 {
        (five.and_then(|five| a.checked_mul(five)), Some(b))
    } else {
        (Some(a), five.and_then(|five| b.checked_mul(five)))
    };
    a.is_some() && a == b
}

impl PgDigits {
    /// Of `d.ddde-12`.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let mut digits = 0_u64;
        let mut count = 0;
        for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
            digits = digits * 10 + u64::from(digit - b'0');
            count += 1;
        }
        while digits != 0 && digits.is_multiple_of(10) {
            digits /= 10;
            count -= 1;
        }
        Self { digits, ten: exponent - (count - 1), count }
    }

    fn text(self) -> ShortText {
        ShortText::of(format_args!("{}e{}", self.digits, self.ten))
    }

    fn push(self, is_negative: bool, fixed_up_to: i32, out: &mut String) {
        let Self { digits, ten, count } = self;
        if is_negative {
            out.push('-');
        }
        let exponent = ten + count - 1;
        let digits = ShortText::of(format_args!("{digits}"));
        let digits = digits.as_str();
        if !(-4..fixed_up_to).contains(&exponent) {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
            out.push_str(first);
            if !rest.is_empty() {
                out.push('.');
                out.push_str(rest);
            }
            let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs());
        } else if exponent < 0 {
            out.push_str("0.");
            (1..exponent.unsigned_abs()).for_each(|_| out.push('0'));
            out.push_str(digits);
        } else if ten >= 0 {
            out.push_str(digits);
            (0..ten).for_each(|_| out.push('0'));
        } else {
            let at = exponent.unsigned_abs() as usize + 1;
            let (whole, fraction) = digits.split_at_checked(at).unwrap_or((digits, ""));
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = String::new();
        write_f64(value, &mut out);
        out
    }

    fn real(value: f32) -> String {
        let mut out = String::new();
        write_f32(value, &mut out);
        out
    }

    #[test]
    fn exponents_begin_where_they_do_in_the_server() {
        assert_eq!(double(1e15), "1e+15");
        assert_eq!(double(123_456_789_012_345.0), "123456789012345");
        assert_eq!(double(0.0001), "0.0001");
        assert_eq!(double(-0.000_012_5), "-1.25e-05");
        assert_eq!(real(1e6), "1e+06");
        assert_eq!(real(123_456.0), "123456");
        assert_eq!(double(100.5), "100.5");
        assert_eq!(double(-0.0), "-0");
        assert_eq!(double(f64::MAX), "1.7976931348623157e+308");
    }

    #[test]
    fn a_decimal_between_two_numbers_gets_one_digit_more() {
        assert_eq!(real(33_554_448.0), "3.3554448e+07");
    }

    #[test]
    fn of_two_decimals_that_are_equally_near_the_even_one_is_printed() {
        assert_eq!(real("-1016.03887939453125".parse().unwrap()), "-1016.0389");
        assert_eq!(double("3557122163013.03125".parse().unwrap()), "3557122163013.0312");
        assert_eq!(double(2.0_f64.powi(-25)), "2.9802322387695312e-08");
    }
}
