//! Network addresses as text.
//!
//! ```text
//! byte family (2: four bytes, 3: sixteen) | byte prefix length | byte is cidr | byte length | address
//! ```
//!
//! Source: `network_send` in `network.c`, and `inet_net_ntop.c` for the zeros of IPv6 that `::` stands for.

use std::fmt::Write as _;

use super::super::fault::{Misfit, misfit};
use super::push_hex;

const NO_ADDRESS: &str = "it is no network address";

/// `has_prefix`: also a prefix length of all bits is printed.
pub(crate) fn write_address(bytes: &[u8], has_prefix: bool, out: &mut String) -> Result<(), Misfit> {
    let (length, most) = match bytes {
        [2, prefix @ 0..=32, 0 | 1, 4, a, b, c, d] => {
            let _ = write!(out, "{a}.{b}.{c}.{d}");
            (*prefix, 32)
        }
        [3, prefix @ 0..=128, 0 | 1, 16, address @ ..] if address.len() == 16 => {
            let mut words = [0_u16; 8];
            for (word, pair) in words.iter_mut().zip(address.as_chunks::<2>().0) {
                *word = u16::from_be_bytes(*pair);
            }
            push_words(words, out);
            (*prefix, 128)
        }
        _ => return misfit(NO_ADDRESS),
    };
    if has_prefix || length != most {
        let _ = write!(out, "/{length}");
    }
    Ok(())
}

pub(crate) fn write_mac(bytes: &[u8], out: &mut String) -> Result<(), Misfit> {
    if !matches!(bytes.len(), 6 | 8) {
        return misfit("it is no MAC address");
    }
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        push_hex(&[*byte], out);
    }
    Ok(())
}

fn push_words(words: [u16; 8], out: &mut String) {
    let (base, length) = longest_zeros(words);
    let has_v4 = base == 0 && (length == 6 || (length == 7 && words[7] != 1) || (length == 5 && words[5] == 0xffff));
    for (at, word) in words.iter().enumerate() {
        if length > 0 && (base..base + length).contains(&at) {
            if at == base {
                out.push(':');
            }
            continue;
        }
        if at > 0 {
            out.push(':');
        }
        if at == 6 && has_v4 {
            let ([a, b], [c, d]) = (words[6].to_be_bytes(), words[7].to_be_bytes());
            let _ = write!(out, "{a}.{b}.{c}.{d}");
            return;
        }
        let _ = write!(out, "{word:x}");
    }
    if length > 0 && base + length == 8 {
        out.push(':');
    }
}

/// The first of the longest runs of at least two words that are 0.
fn longest_zeros(words: [u16; 8]) -> (usize, usize) {
    let mut best = (0, 0);
    let mut run = 0;
    for (at, word) in words.iter().enumerate() {
        run = if *word == 0 { run + 1 } else { 0 };
        if run >= 2 && run > best.1 {
            best = (at + 1 - run, run);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(words: [u16; 8]) -> String {
        let mut out = String::new();
        push_words(words, &mut out);
        out
    }

    #[test]
    fn zeros_of_ipv6_are_left_out_once() {
        assert_eq!(v6([0; 8]), "::");
        assert_eq!(v6([0, 0, 0, 0, 0, 0, 0, 1]), "::1");
        assert_eq!(v6([0x2001, 0, 0, 1, 0, 0, 0, 1]), "2001:0:0:1::1");
        assert_eq!(v6([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304]), "::ffff:1.2.3.4");
        assert_eq!(v6([1, 0, 0, 0, 0, 0, 0, 0]), "1::");
    }

    #[test]
    fn bytes_of_another_length_are_no_address() {
        assert!(write_address(&[2, 33, 0, 4, 1, 2, 3, 4], true, &mut String::new()).is_err());
        assert!(write_address(&[2, 32, 0, 4, 1, 2, 3], true, &mut String::new()).is_err());
    }
}
