//! A `.bson` file of mongodump as NDJSON: documents one after the other, each of which becomes one line.
//!
//! The file has no head, no count and no end mark: a document begins with its own length. So a file that is cut within
//! a document is an error, and one that is cut between two is not seen here; whoever calls knows the file's size.
//! Line `n` of what is written is document `n`. At most the bytes of one document are held.
//!
//! Format: <https://bsonspec.org/spec.html>; the largest document is `BSONObjMaxInternalSize` of MongoDB's server.

use thiserror::Error;

use super::document::{BsonDamage, BsonName, DocumentWalk, SHORTEST};

/// 16 MiB for what people store, 16 KiB for what the server adds to it.
pub(crate) const LONGEST: usize = (16 << 20) + (16 << 10);

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("byte {offset}, document {document}: {damage}")]
pub(crate) struct BsonFault {
    /// Byte of the file, from 0.
    pub(crate) offset: u64,
    /// From 1.
    pub(crate) document: u64,
    #[source]
    pub(crate) damage: BsonDamage,
}

/// Whether a file that begins with these bytes is one: its first document is one, or as far as it is there begins with
/// the `_id` that a stored document begins with.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let Some(length) = length_of(bytes).filter(|length| *length > SHORTEST) else { return false };
    if let Some(document) = bytes.get(..length) {
        return DocumentWalk::new(document, &mut Vec::new(), &mut Vec::new()).write().is_ok();
    }
    matches!(bytes.get(4..), Some([0x01..=0x13, b'_', b'i', b'd', 0, ..]))
}

/// How many of these bytes are whole documents, by their lengths.
pub(crate) fn whole_documents(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(end) =
        bytes.get(at..).and_then(length_of).map(|length| at + length).filter(|end| *end <= bytes.len())
    {
        at = end;
    }
    at
}

/// The length that a document has in its first bytes, if it can be one.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    (SHORTEST..=LONGEST).contains(&length).then_some(length)
}

/// Turns one file into lines.
#[derive(Debug, Default)]
pub(crate) struct BsonToJson {
    /// A document whose end is missing.
    pending: Vec<u8>,
    /// Where the next document begins.
    offset: u64,
    /// Documents so far.
    documents: u64,
    names: Vec<BsonName>,
}

impl BsonToJson {
    /// Takes in all bytes, and appends the lines of the documents that they complete. After an error `out` has the
    /// lines of the documents before it.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BsonFault> {
        let mut rest = bytes;
        if !self.pending.is_empty() {
            let mut pending = std::mem::take(&mut self.pending);
            rest = fill(&mut pending, 4, rest);
            let Some(length) = self.length(&pending)? else {
                self.pending = pending;
                return Ok(());
            };
            rest = fill(&mut pending, length, rest);
            if pending.len() == length {
                self.document(&pending, out)?;
                pending.clear();
            }
            self.pending = pending;
        }
        while let Some(length) = self.length(rest)? {
            let Some((document, after)) = rest.split_at_checked(length) else { break };
            self.document(document, out)?;
            rest = after;
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// To be called when all bytes were pushed.
    pub(crate) fn end(&self) -> Result<(), BsonFault> {
        let cut = self.offset + self.pending.len() as u64;
        if self.pending.is_empty() { Ok(()) } else { Err(self.fault(cut, BsonDamage::Cut)) }
    }

    /// The length of a document, once it is there, and if it can be one.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, BsonFault> {
        let Some(length) = bytes.first_chunk() else { return Ok(None) };
        let length = i32::from_le_bytes(*length);
        match usize::try_from(length) {
            Ok(length @ SHORTEST..=LONGEST) => Ok(Some(length)),
            _ => {
                let damage = BsonDamage::DocumentLength { length: length.into(), most: LONGEST };
                Err(self.fault(self.offset, damage))
            }
        }
    }

    fn document(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BsonFault> {
        let before = out.len();
        if let Err(wrong) = DocumentWalk::new(bytes, out, &mut self.names).write() {
            out.truncate(before);
            return Err(self.fault(self.offset + wrong.at as u64, wrong.damage));
        }
        out.push(b'\n');
        self.offset += bytes.len() as u64;
        self.documents += 1;
        Ok(())
    }

    #[cold]
    fn fault(&self, offset: u64, damage: BsonDamage) -> BsonFault {
        BsonFault { offset, document: self.documents + 1, damage }
    }
}

/// Appends bytes until there are so many, as far as they go, and gives the others.
fn fill<'a>(pending: &mut Vec<u8>, length: usize, bytes: &'a [u8]) -> &'a [u8] {
    let missing = length.saturating_sub(pending.len()).min(bytes.len());
    let (taken, rest) = bytes.split_at(missing);
    pending.extend_from_slice(taken);
    rest
}
