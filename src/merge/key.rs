//! The key of an item, so that equal keys are equal bytes: by DynamoDB's types and values, not by their spelling.
//!
//! ```text
//! {"pk":{"S":"a"},"sk":{"N":"1.0"}}  ->  S "a", N +1e0  ->  SHA-256
//! ```
//!
//! Numbers are compared as numbers (`1`, `1.0` and `1e0` are one), texts and bytes byte by byte. Two keys with one
//! digest are one key: SHA-256 has no known pair. Pure.

use ring::digest::{Context, SHA256};

/// A type that a key attribute may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyType {
    Text,
    Number,
    Bytes,
}

impl KeyType {
    /// As DynamoDB names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "S",
            Self::Number => "N",
            Self::Bytes => "B",
        }
    }

    /// The type of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Text, Self::Number, Self::Bytes].into_iter().find(|of| of.name() == name)
    }
}

/// The key attributes of a table, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeySchema(pub(super) Vec<(String, KeyType)>);

/// What stands for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyDigest(pub(super) [u8; 32]);

impl KeyDigest {
    /// That of the canonical bytes of all attributes, in the order of their names.
    pub(super) fn of<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let mut digest = Context::new(&SHA256);
        for value in values {
            digest.update(&(value.len() as u64).to_le_bytes());
            digest.update(value);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        Self(bytes)
    }
}

/// Appends the canonical bytes of a number of JSON; false: its exponent is none of DynamoDB's.
pub(super) fn add_number(text: &str, out: &mut Vec<u8>) -> bool {
    let (sign, text) = text.strip_prefix('-').map_or((b'+', text), |rest| (b'-', rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i32>() else { return false };
    let from = out.len() + 9;
    out.push(sign);
    out.extend([0; 8]);
    out.extend(whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0'));
    let mut exponent = i64::from(exponent) - fraction.len() as i64;
    while out.len() > from && out.last() == Some(&b'0') {
        out.pop();
        exponent += 1;
    }
    if out.len() == from {
        // Zero has one spelling: no sign, no exponent.
        out[from - 9] = b'0';
        return true;
    }
    out[from - 8..from].copy_from_slice(&exponent.to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert!(add_number(text, &mut bytes), "{text}");
        bytes
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for same in [
            &["1", "1.0", "1e0", "10E-1", "0.1e1", "1e+0", "1.000"][..],
            &["0", "-0", "0.00", "0e9", "-0e-5"],
            &["-12.5", "-125e-1", "-0.125e2", "-12.50"],
            &["1e125", "10e124", "0.01e127"],
            &["100", "1e2", "100.0", "0.1e3"],
        ] {
            assert!(same.iter().all(|text| canonical(text) == canonical(same[0])), "{same:?}");
        }
        assert_ne!(canonical("1"), canonical("-1"));
        assert_ne!(canonical("1"), canonical("10"));
        assert_ne!(canonical("0.1"), canonical("0.01"));
        assert!(!add_number("1e99999999999", &mut Vec::new()));
    }

    #[test]
    fn values_do_not_run_into_one_another() {
        assert_ne!(KeyDigest::of([&b"ab"[..], b"c"]), KeyDigest::of([&b"a"[..], b"bc"]));
        assert_ne!(KeyDigest::of([&b""[..], b"a"]), KeyDigest::of([&b"a"[..], b""]));
        assert_eq!(KeyDigest::of([&b"a"[..]]), KeyDigest::of([&b"a"[..]]));
    }

    proptest! {
        #[test]
        fn numbers_are_equal_if_and_only_if_their_values_are(
            one in -2000_i64..2000, other in -2000_i64..2000, shift in 0_i32..5, zeros in 0_usize..4,
        ) {
            // The same value with its point moved and zeros at its end.
            let digits = format!("{}{}", other, "0".repeat(zeros));
            let spelled = format!("{digits}e{}", -(zeros as i32));
            let moved = format!("{other}{}e{}", "0".repeat(shift as usize), -shift);
            prop_assert_eq!(canonical(&spelled), canonical(&other.to_string()));
            prop_assert_eq!(canonical(&moved), canonical(&other.to_string()));
            prop_assert_eq!(canonical(&one.to_string()) == canonical(&spelled), one == other);
        }
    }
}
