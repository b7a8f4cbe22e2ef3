//! Text of another character set than UTF-8 as UTF-8: exactly, or an error with the byte that is none of its
//! characters.
//!
//! A mark at the beginning says that a file is UTF-8 or UTF-16, whatever is declared. Any other character set has to
//! be declared, since bytes do not show it. Names are those of the WHATWG Encoding Standard: `latin1` is windows-1252,
//! as it is in MySQL.

use std::fmt;
use std::io;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// One file on its way to UTF-8.
pub(crate) struct ToUtf8 {
    decoder: Decoder,
    /// Bytes before those that are next.
    at: u64,
}

impl fmt::Debug for ToUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToUtf8({})", self.decoder.encoding().name())
    }
}

impl ToUtf8 {
    /// None: the name is not known, or that of UTF-8.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Encoding::for_label(name.as_bytes()).filter(|encoding| *encoding != UTF_8).map(Self::new)
    }

    /// UTF-16, if the first bytes are its mark.
    pub(crate) fn of_mark(head: &[u8]) -> Option<Self> {
        match head {
            [0xff, 0xfe, ..] => Some(Self::new(UTF_16LE)),
            [0xfe, 0xff, ..] => Some(Self::new(UTF_16BE)),
            _ => None,
        }
    }

    fn new(encoding: &'static Encoding) -> Self {
        Self { decoder: encoding.new_decoder_with_bom_removal(), at: 0 }
    }

    /// Appends the bytes as UTF-8; `is_last` says that no more come.
    ///
    /// # Errors
    /// At the first bytes that are no character.
    pub(crate) fn push(&mut self, mut bytes: &[u8], is_last: bool, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let room = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
            let start = out.len();
            out.resize(start + room.max(16), 0);
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(bytes, &mut out[start..], is_last);
            out.truncate(start + written);
            self.at += read as u64;
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    let at = self.at.saturating_sub(u64::from(length) + u64::from(after));
                    let name = self.decoder.encoding().name();
                    let reason = format!("the bytes at {at} are no character of {name}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                }
            }
        }
    }
}

/// The beginning of a text as UTF-8, if its mark says that it is UTF-16; what is cut at its end is left out.
pub(crate) fn beginning(text: Vec<u8>) -> Vec<u8> {
    let Some(mut charset) = ToUtf8::of_mark(&text) else { return text };
    let mut out = Vec::new();
    // What is wrong is reported when the file is read.
    let _ = charset.push(&text, false, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(mut charset: ToUtf8, bytes: &[u8], chunk: usize) -> io::Result<String> {
        let mut out = Vec::new();
        for chunk in bytes.chunks(chunk) {
            charset.push(chunk, false, &mut out)?;
        }
        charset.push(&[], true, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn utf_16_is_known_by_its_mark_and_others_by_their_name() {
        let text = "a,é\n😀,\"日本\"\n";
        let little: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for chunk in [1, 2, 3, 100] {
            assert_eq!(decoded(ToUtf8::of_mark(&little).unwrap(), &little, chunk).unwrap(), text);
            assert_eq!(decoded(ToUtf8::of_mark(&big).unwrap(), &big, chunk).unwrap(), text);
            assert_eq!(decoded(ToUtf8::named("latin1").unwrap(), b"\xe9\x80", chunk).unwrap(), "é€");
            assert_eq!(decoded(ToUtf8::named("Shift_JIS").unwrap(), b"\x93\xfa", chunk).unwrap(), "日");
        }
        assert_eq!(beginning(little[..little.len() - 1].to_vec()), text.trim_end_matches('\n').as_bytes());
        assert!(ToUtf8::named("utf8").is_none() && ToUtf8::named("klingon").is_none());
    }

    #[test]
    fn bytes_that_are_no_character_are_an_error_with_their_place() {
        let lone = [0xff, 0xfe, b'a', 0, 0x00, 0xd8, b'b', 0];
        let error = decoded(ToUtf8::of_mark(&lone).unwrap(), &lone, 3).unwrap_err();
        assert_eq!(error.to_string(), "the bytes at 4 are no character of UTF-16LE");
        let error = decoded(ToUtf8::of_mark(&lone).unwrap(), &lone[..3], 3).unwrap_err();
        assert!(error.to_string().contains("no character"), "{error}");
    }
}
