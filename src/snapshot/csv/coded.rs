//! Fields that are bytes: as they are, in hexadecimal digits or in base64. They are written anew in the one form in
//! which columns of bytes are read, `\\x6869`, and numbers of BIT as numbers. Text in that form stays what it is, so
//! a column of bytes that is declared as VARCHAR has it too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::{BytesCode, CsvOptions};

/// A column of bytes, by its place in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    pub(crate) column: usize,
    code: BytesCode,
    is_bits: bool,
}

impl Code {
    /// The columns of bytes of a file.
    pub(crate) fn of(options: &CsvOptions) -> Vec<Self> {
        let of = |name: &str| options.coded.iter().find(|coded| coded.column == name);
        let columns = options.columns.iter().enumerate();
        columns
            .filter_map(|(column, name)| of(name).map(|of| Self { column, code: of.code, is_bits: of.is_bits }))
            .collect()
    }

    /// Writes a field without its escapes anew, or says what is wrong with it.
    pub(crate) fn write(self, field: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let decoded;
        let bytes = match self.code {
            BytesCode::Raw => field,
            BytesCode::Hex => {
                decoded = hexadecimal(field).ok_or("it is not hexadecimal digits, two for each byte")?;
                &decoded
            }
            BytesCode::Base64 => {
                // MySQL breaks it into lines.
                let lines: Vec<u8> = field.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
                decoded = STANDARD.decode(lines).map_err(|error| format!("it is not base64: {error}"))?;
                &decoded
            }
        };
        if !self.is_bits {
            out.extend_from_slice(b"\\x");
            out.extend(
                bytes
                    .iter()
                    .flat_map(|byte| [byte >> 4, byte & 15])
                    .map(|digit| b"0123456789abcdef"[usize::from(digit)]),
            );
            return Ok(());
        }
        let mut number = [0; 8];
        let at = number.len().checked_sub(bytes.len()).filter(|at| *at < 8);
        let at = at.ok_or_else(|| format!("it has {} bytes, and a BIT has 1 to 8", bytes.len()))?;
        number[at..].copy_from_slice(bytes);
        out.extend_from_slice(u64::from_be_bytes(number).to_string().as_bytes());
        Ok(())
    }
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(code: BytesCode, is_bits: bool, field: &[u8]) -> Result<String, String> {
        let mut out = Vec::new();
        Code { column: 0, code, is_bits }.write(field, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn bytes_of_every_code_are_written_in_one_form() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(written(BytesCode::Raw, false, b"\\x41\xff\0"), ok(r"\x5c783431ff00"));
        assert_eq!(written(BytesCode::Raw, false, b""), ok(r"\x"));
        assert_eq!(written(BytesCode::Hex, false, b"DEadbeef"), ok(r"\xdeadbeef"));
        assert_eq!(written(BytesCode::Base64, false, b"3q2+\n7w=="), ok(r"\xdeadbeef"));
        assert_eq!(written(BytesCode::Raw, true, b"\x01\x00"), ok("256"));
        assert_eq!(written(BytesCode::Base64, true, b"//////////8="), ok("18446744073709551615"));
    }

    #[test]
    fn field_that_is_not_of_its_code_is_an_error() {
        assert!(written(BytesCode::Hex, false, b"abc").unwrap_err().contains("hexadecimal"));
        assert!(written(BytesCode::Hex, false, b"xy").unwrap_err().contains("hexadecimal"));
        assert!(written(BytesCode::Base64, false, b"a").unwrap_err().contains("base64"));
        assert!(written(BytesCode::Base64, false, b"3q2-7w==").unwrap_err().contains("base64"));
        assert!(written(BytesCode::Raw, true, b"").unwrap_err().contains("0 bytes"));
        assert!(written(BytesCode::Raw, true, b"123456789").unwrap_err().contains("9 bytes"));
    }
}
