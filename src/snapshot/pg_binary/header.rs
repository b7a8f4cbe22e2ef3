//! The header of COPY BINARY data: a signature, flags, and an extension that is passed over by its length.
//!
//! Source: "Binary Format" in the documentation of COPY. The upper sixteen flags are critical: what sets one that is
//! not known cannot be read. Of these, bit 16 says that rows begin with an OID (`WITH OIDS`, up to PostgreSQL 11).

use super::fault::PgBinaryFault;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Signature, flags, and the extension's length.
const LENGTH: usize = SIGNATURE.len() + 8;

const WITH_OIDS: u32 = 1 << 16;
const CRITICAL: u32 = 0xffff_0000;

/// A header of which some bytes may be there.
#[derive(Debug, Default)]
pub(crate) struct PgBinaryHead {
    bytes: [u8; LENGTH],
    length: usize,
    /// Bytes of the extension that are still to come.
    extension: u64,
}

impl PgBinaryHead {
    /// Takes in bytes that begin at `offset`; says how many, and whether the header is complete.
    pub(crate) fn push(&mut self, bytes: &[u8], offset: u64) -> Result<(usize, bool), PgBinaryFault> {
        let mut taken = 0;
        for byte in bytes.iter().take(LENGTH - self.length) {
            let wrong =
                |reason: &'static str| PgBinaryFault::Header { offset: offset + taken as u64, reason: reason.into() };
            if SIGNATURE.get(self.length).is_some_and(|expected| expected != byte) {
                return Err(wrong("it is not the signature of COPY with FORMAT binary"));
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
            }
            self.length += 1;
            taken += 1;
            if self.length == LENGTH {
                self.complete()?;
            }
        }
        let rest = (bytes.len() - taken) as u64;
        let passed = rest.min(self.extension);
        self.extension -= passed;
        Ok((taken + passed as usize, self.length == LENGTH && self.extension == 0))
    }

    fn complete(&mut self) -> Result<(), PgBinaryFault> {
        let at = SIGNATURE.len();
        let wrong = |at: usize, reason: String| PgBinaryFault::Header { offset: at as u64, reason: reason.into() };
        let [.., f0, f1, f2, f3, l0, l1, l2, l3] = self.bytes;
        let flags = u32::from_be_bytes([f0, f1, f2, f3]);
        if flags & CRITICAL == WITH_OIDS {
            return Err(wrong(at, "the rows have OIDs (WITH OIDS), which are not read; write the copy without".into()));
        }
        if flags & CRITICAL != 0 {
            return Err(wrong(at, format!("the flags {flags:#010x} have a critical bit that is not known")));
        }
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        match u64::try_from(length) {
            Ok(length) => self.extension = length,
            Err(_) => return Err(wrong(at + 4, format!("the header extension has the length {length}"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u32, extension: i32) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(extension.to_be_bytes());
        bytes
    }

    #[test]
    fn an_extension_is_passed_over() {
        let mut bytes = header(1, 3);
        bytes.extend(b"abcREST");
        assert_eq!(PgBinaryHead::default().push(&bytes, 0), Ok((22, true)));
        let mut head = PgBinaryHead::default();
        let parts: Vec<_> = bytes.iter().take(22).map(|byte| head.push(&[*byte], 0).unwrap()).collect();
        assert_eq!(parts.iter().filter(|(_, is_done)| *is_done).count(), 1);
    }

    #[test]
    fn critical_flags_are_refused_and_oids_by_name() {
        let fault =
            |flags, extension| PgBinaryHead::default().push(&header(flags, extension), 0).unwrap_err().to_string();
        assert!(fault(WITH_OIDS, 0).contains("WITH OIDS"));
        assert!(fault(1 << 20, 0).contains("0x00100000"));
        assert!(fault(0, -5).contains("length -5"));
        assert!(PgBinaryHead::default().push(b"PGDMP", 0).is_err());
    }
}
