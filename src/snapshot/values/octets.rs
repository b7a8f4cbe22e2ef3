//! The bytes of a BYTEA as PostgreSQL writes them: `\x6869`, or text in which a backslash is before three octal
//! digits or another backslash.

/// Appends the bytes; false if the text is written in neither way.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    match text {
        [b'\\', b'x', digits @ ..] => hexadecimal(digits, out),
        _ => escaped(text, out),
    }
}

/// Pairs of digits, perhaps with white space between them.
fn hexadecimal(mut text: &[u8], out: &mut Vec<u8>) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    loop {
        match text {
            [] => return true,
            [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] => text = rest,
            [high, low, rest @ ..] => {
                let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
                out.push(high << 4 | low);
                text = rest;
            }
            [_] => return false,
        }
    }
}

fn escaped(mut text: &[u8], out: &mut Vec<u8>) -> bool {
    loop {
        match text {
            [] => return true,
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                text = rest;
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                text = rest;
            }
            [b'\\', ..] => return false,
            [byte, rest @ ..] => {
                out.push(*byte);
                text = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_of_postgresql_s_forms_are_read_and_nothing_else() {
        let bytes = |text: &str| {
            let mut out = Vec::new();
            decode(text.as_bytes(), &mut out).then_some(out)
        };
        assert_eq!(bytes(r"\x6869"), Some(b"hi".to_vec()));
        assert_eq!(bytes(r"\xDE ad"), Some(vec![0xde, 0xad]));
        assert_eq!(bytes(r"\x"), Some(vec![]));
        assert_eq!(bytes(r"a\\b\134\000é"), Some("a\\b\\\0é".as_bytes().to_vec()));
        for wrong in [r"\x6", r"\x6g", r"\X41", r"C:\new", r"\400", r"\1", "\\"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
