//! The rows of a COPY block out of the data of a pg_dump archive, which ends with a line `\.` and empty lines.
//!
//! Rows never have such a line: a backslash in data is doubled. Data without it was cut, which is an error.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

/// Passes rows on until the line `\.`.
#[derive(Debug)]
pub(crate) struct CopyData {
    /// The last line so far, if the next bytes may make it the end.
    carry: BytesMut,
    /// Whether the next byte begins a line.
    at_line: bool,
    has_ended: bool,
}

impl Default for CopyData {
    fn default() -> Self {
        Self { carry: BytesMut::new(), at_line: true, has_ended: false }
    }
}

impl CopyData {
    /// The rows of a chunk, which may be none.
    ///
    /// # Errors
    /// When something else than empty lines follows the end.
    pub(crate) fn rows(&mut self, chunk: Bytes) -> io::Result<Bytes> {
        let mut data = chunk;
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(&data);
            data = self.carry.split().freeze();
        }
        if !self.has_ended {
            let end = if self.at_line && data.starts_with(b"\\.\n") {
                Some(0)
            } else {
                memchr::memmem::find(&data, b"\n\\.\n").map(|at| at + 1)
            };
            let Some(end) = end else {
                let last = memchr::memrchr(b'\n', &data);
                let line = match last {
                    Some(newline) => newline + 1,
                    None if self.at_line => 0,
                    None => data.len(),
                };
                if matches!(&data[line..], b"\\" | b"\\.") {
                    self.carry = BytesMut::from(&data[line..]);
                    data.truncate(line);
                    self.at_line = true;
                } else if !data.is_empty() {
                    self.at_line = data.ends_with(b"\n");
                }
                return Ok(data);
            };
            self.has_ended = true;
            let mut rest = data.split_off(end);
            rest.advance(3);
            Self::check_rest(&rest)?;
            return Ok(data);
        }
        Self::check_rest(&data)?;
        Ok(Bytes::new())
    }

    fn check_rest(rest: &[u8]) -> io::Result<()> {
        if rest.iter().all(|byte| matches!(byte, b'\n' | b'\r')) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "something follows the end of the COPY data"))
    }

    /// # Errors
    /// When the end has not come.
    pub(crate) fn finish(&self) -> io::Result<()> {
        if self.has_ended {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, r"the COPY data does not end with \., so it was cut"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], chunk: usize) -> io::Result<Vec<u8>> {
        let (mut data, mut rows) = (CopyData::default(), Vec::new());
        for piece in text.chunks(chunk) {
            rows.extend_from_slice(&data.rows(Bytes::copy_from_slice(piece))?);
        }
        data.finish().map(|()| rows)
    }

    #[test]
    fn rows_end_at_the_mark_however_they_are_cut() {
        for (text, rows) in [
            (&b"1\ta\n\\\\.\n\\.x\nx\\.\n\\.\n\n\n"[..], &b"1\ta\n\\\\.\n\\.x\nx\\.\n"[..]),
            (b"\\.\n\n\n", b""),
            (b"\\N\n\\.\n", b"\\N\n"),
        ] {
            for chunk in 1..=text.len() {
                assert_eq!(read(text, chunk).unwrap(), rows, "{chunk}");
            }
        }
    }

    #[test]
    fn data_without_its_end_or_with_more_after_it_is_an_error() {
        for text in [&b""[..], b"1\n", b"1\n\\.", b"1\n\\.\n2\n"] {
            assert!((1..=text.len().max(1)).all(|chunk| read(text, chunk).is_err()), "{text:?}");
        }
    }
}
