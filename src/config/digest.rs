//! Hashes of values that may be secrets: they tell that a value changed, and are no way to find it out.
//!
//! A fast hash of a password is the password to whoever has a list of words, and manifests are read by many. So each
//! guess costs 100,000 rounds of HMAC-SHA-256 (PBKDF2, from `ring`, which TLS brings along), and a salt makes guesses
//! for one plan worthless for another: no table of hashes can be made beforehand. A plan's own salt is random; where a
//! hash has to come out the same again, as for names of files, the salt is what else is hashed there.

use std::num::NonZeroU32;

use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use ring::rand::{SecureRandom, SystemRandom};

/// About 20 ms of one core per guess.
pub(crate) const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// Bytes of a random salt.
const SALT: usize = 16;

/// Bytes of a hash.
const HASH: usize = 32;

/// A random salt; `None` where the system has no randomness to give.
pub(crate) fn salt() -> Option<String> {
    let mut bytes = [0; SALT];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

/// The slow hash of values, of which each counts with its name and its place.
pub(crate) fn slow<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>, salt: &str, rounds: NonZeroU32) -> String {
    let mut text = Vec::new();
    for part in values.into_iter().flat_map(|(name, value)| [name, value]) {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let mut hash = [0; HASH];
    derive(PBKDF2_HMAC_SHA256, rounds, salt.as_bytes(), &text, &mut hash);
    hex(&hash)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: NonZeroU32 = NonZeroU32::new(2).unwrap();

    #[test]
    fn hash_changes_with_value_name_place_salt_and_rounds_only() {
        let pair = [("a", "bc"), ("d", "")];
        let hash = slow(pair, "s", FEW);
        assert_eq!(hash, slow(pair, "s", FEW));
        for other in [
            slow([("a", "b"), ("cd", "")], "s", FEW),
            slow([("d", ""), ("a", "bc")], "s", FEW),
            slow([("a", "bc")], "s", FEW),
            slow(pair, "t", FEW),
            slow(pair, "s", NonZeroU32::MIN),
        ] {
            assert_ne!(hash, other);
        }
        assert_ne!(salt().unwrap(), salt().unwrap());
    }
}
