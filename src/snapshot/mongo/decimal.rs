//! Decimals of MongoDB: IEEE 754-2008 decimal128 in its binary integer encoding, with every digit.
//!
//! The spelling is that of MongoDB's own tools, which is a number of JSON: `1.50`, `-0`, `1.2E-6150`. What is not
//! finite is a word. A coefficient of more than 34 digits is refused: the standard says zero, some drivers show the
//! digits, so nobody knows what was meant. The second form of the encoding, which has only such coefficients, is zero
//! for all.
//!
//! Format: <https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md>.

use super::plain::{INFINITY, NAN, NEGATIVE_INFINITY};

const BIAS: i32 = 6176;

/// Bits of the coefficient where its first three bits are not left out.
const COEFFICIENT: u128 = (1 << 113) - 1;

const LARGEST: u128 = 10_u128.pow(34) - 1;

/// The decimal as a number, or as a text in quotes; false: it has too many digits, and nothing was written.
pub(crate) fn put_decimal(out: &mut Vec<u8>, bytes: [u8; 16]) -> bool {
    let bits = u128::from_le_bytes(bytes);
    let is_negative = bits >> 127 == 1;
    match bits >> 122 & 31 {
        0b11111 => out.extend_from_slice(NAN),
        0b11110 => out.extend_from_slice(if is_negative { NEGATIVE_INFINITY } else { INFINITY }),
        // A coefficient that begins with the bits 100 is beyond the largest, and all readers take it for zero.
        0b11000.. => put_finite(out, is_negative, 0, (bits >> 111 & 0x3fff) as i32 - BIAS),
        _ if bits & COEFFICIENT > LARGEST => return false,
        _ => put_finite(out, is_negative, bits & COEFFICIENT, (bits >> 113 & 0x3fff) as i32 - BIAS),
    }
    true
}

fn put_finite(out: &mut Vec<u8>, is_negative: bool, coefficient: u128, exponent: i32) {
    if is_negative {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(coefficient).as_bytes();
    // The power of ten of the first digit.
    let magnitude = exponent + digits.len() as i32 - 1;
    if exponent > 0 || magnitude < -6 {
        let (first, others) = digits.split_at(1);
        out.extend_from_slice(first);
        if !others.is_empty() {
            out.push(b'.');
            out.extend_from_slice(others);
        }
        out.extend_from_slice(if magnitude < 0 { b"E" } else { b"E+" });
        out.extend_from_slice(itoa::Buffer::new().format(magnitude).as_bytes());
        return;
    }
    if exponent == 0 {
        out.extend_from_slice(digits);
    } else if magnitude >= 0 {
        let (whole, fraction) = digits.split_at(magnitude as usize + 1);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-magnitude - 1) as usize));
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bits: u128) -> Option<String> {
        let mut out = Vec::new();
        put_decimal(&mut out, bits.to_le_bytes()).then(|| String::from_utf8(out).unwrap())
    }

    fn finite(coefficient: u128, exponent: i32) -> String {
        text(coefficient | ((exponent + BIAS) as u128) << 113).unwrap()
    }

    #[test]
    fn finite_decimals_keep_every_digit_and_their_exponent() {
        for (coefficient, exponent, expected) in [
            (150, -2, "1.50"),
            (0, 0, "0"),
            (0, 3, "0E+3"),
            (0, -6, "0.000000"),
            (0, -7, "0E-7"),
            (1, 3, "1E+3"),
            (12, -7, "0.0000012"),
            (12, -8, "1.2E-7"),
            (LARGEST, 6111, "9.999999999999999999999999999999999E+6144"),
            (1, -6176, "1E-6176"),
            (LARGEST, 0, "9999999999999999999999999999999999"),
            (12_345, -5, "0.12345"),
        ] {
            assert_eq!(finite(coefficient, exponent), expected);
        }
        assert_eq!(text(1 << 127 | 5 | (BIAS as u128) << 113).unwrap(), "-5");
    }

    #[test]
    fn what_is_not_finite_is_a_word_and_too_many_digits_are_refused() {
        assert_eq!(text(31 << 122).unwrap(), "\"NaN\"");
        assert_eq!(text(63 << 122 | 7).unwrap(), "\"NaN\"");
        assert_eq!(text(30 << 122).unwrap(), "\"Infinity\"");
        assert_eq!(text(62 << 122).unwrap(), "\"-Infinity\"");
        assert_eq!(text(24 << 122 | (BIAS as u128) << 111 | 7).unwrap(), "0");
        assert_eq!(text((LARGEST + 1) | ((BIAS as u128) << 113)), None);
    }
}
