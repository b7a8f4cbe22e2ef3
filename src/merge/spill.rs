//! Records on the local disk, in buckets by the digest of their key: equal keys are in one bucket.
//!
//! ```text
//! changes of a bucket   block block ..    block: bytes unpacked, bytes packed (LZ4), records
//! items of a bucket     block ..          record: digest, time, export, lengths of keys and image, keys, image
//! ```
//!
//! Written by several threads at once, each with a buffer per bucket; a block is written whole. The folder is temporary
//! and ends with its value; it is where the system keeps temporary files (`TMPDIR`).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use super::key::KeyDigest;

/// Buckets of the first level at most, and of each other one, which every thread may have: each has two files open.
const MOST_BUCKETS: [usize; 2] = [128, 16];

/// Digest, time, export, whether there is an image, length of the keys, length of the image.
const HEAD: usize = 32 + 8 + 2 + 1 + 4 + 4;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpillRecord<'a> {
    pub(super) digest: KeyDigest,
    /// Of an item: 0.
    pub(super) written: i64,
    /// Index of the incremental export.
    pub(super) export: u16,
    pub(super) keys: &'a [u8],
    /// Of an item: its line; `None`: a delete.
    pub(super) image: Option<&'a [u8]>,
}

impl<'a> SpillRecord<'a> {
    fn append(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        out.extend_from_slice(&self.digest.0);
        out.extend_from_slice(&self.written.to_le_bytes());
        out.extend_from_slice(&self.export.to_le_bytes());
        out.push(u8::from(self.image.is_some()));
        let image = self.image.unwrap_or_default();
        out.extend_from_slice(&length(self.keys)?.to_le_bytes());
        out.extend_from_slice(&length(image)?.to_le_bytes());
        out.extend_from_slice(self.keys);
        out.extend_from_slice(image);
        Ok(())
    }

    /// The record at the beginning of these bytes, which are then those after it.
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (head, body) = rest.split_first_chunk::<HEAD>()?;
        let (digest, head) = head.split_first_chunk::<32>()?;
        let (written, head) = head.split_first_chunk::<8>()?;
        let (export, head) = head.split_first_chunk::<2>()?;
        let (has_image, head) = head.split_first()?;
        let (keys, head) = head.split_first_chunk::<4>()?;
        let image = u32::from_le_bytes(*head.first_chunk::<4>()?) as usize;
        let (keys, body) = body.split_at_checked(u32::from_le_bytes(*keys) as usize)?;
        let (image, body) = body.split_at_checked(image)?;
        *rest = body;
        Some(Self {
            digest: KeyDigest(*digest),
            written: i64::from_le_bytes(*written),
            export: u16::from_le_bytes(*export),
            keys,
            image: (*has_image == 1).then_some(image),
        })
    }
}

/// The records of one kind in one bucket.
#[derive(Debug)]
pub(super) struct SpillFile(Mutex<SpillState>);

#[derive(Debug)]
struct SpillState {
    file: File,
    records: u64,
}

impl SpillFile {
    fn create() -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        Ok(Self(Mutex::new(SpillState { file, records: 0 })))
    }

    fn write(&self, block: &[u8], records: u32) -> io::Result<()> {
        let packed = lz4_flex::block::compress(block);
        let length = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let mut bytes = Vec::with_capacity(packed.len() + 12);
        bytes.extend_from_slice(&length(block.len())?.to_le_bytes());
        bytes.extend_from_slice(&length(packed.len())?.to_le_bytes());
        bytes.extend_from_slice(&records.to_le_bytes());
        bytes.extend_from_slice(&packed);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.file.write_all(&bytes)?;
        state.records += u64::from(records);
        Ok(())
    }

    /// How many there are.
    pub(super) fn records(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).records
    }

    /// Hands out all records, in the order of their blocks.
    pub(super) fn read<E: From<io::Error>>(
        &self,
        mut each: impl FnMut(SpillRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its content is not what was written");
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.file.seek(SeekFrom::Start(0))?;
        let (mut packed, mut block) = (Vec::new(), Vec::new());
        let (mut read, stated) = (0, state.records);
        let mut file = BufReader::with_capacity(256 << 10, &state.file);
        while read < stated {
            let mut head = [0; 12];
            file.read_exact(&mut head)?;
            let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            block.resize(number(0) as usize, 0);
            packed.resize(number(4) as usize, 0);
            file.read_exact(&mut packed)?;
            let unpacked = lz4_flex::block::decompress_into(&packed, &mut block).map_err(io::Error::other)?;
            if unpacked != block.len() {
                return Err(damaged().into());
            }
            let mut rest = block.as_slice();
            for _ in 0..number(8) {
                each(SpillRecord::take(&mut rest).ok_or_else(damaged)?)?;
            }
            if !rest.is_empty() {
                return Err(damaged().into());
            }
            read += u64::from(number(8));
        }
        Ok(())
    }
}

/// The two files of a bucket.
#[derive(Debug)]
pub(super) struct SpillBucket {
    pub(super) changes: SpillFile,
    pub(super) items: SpillFile,
}

/// The buckets of one level; those of a bucket that was too large are of the next one.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) all: Vec<SpillBucket>,
    /// Where no other level looks into the digest.
    level: usize,
}

/// Levels that there may be.
pub(super) const MOST_LEVELS: usize = 4;

impl Buckets {
    /// Enough of them, or as many as may be, to have `most` of the records each.
    pub(super) fn new(records: u64, most: u64, level: usize) -> io::Result<Self> {
        // Hashing leaves some buckets fuller than others.
        let wanted = (records + records / 4) / most.max(1);
        let most = MOST_BUCKETS[level.min(1)];
        let count = usize::try_from(wanted).unwrap_or(most).clamp(1, most).next_power_of_two();
        let bucket = |_| Ok(SpillBucket { changes: SpillFile::create()?, items: SpillFile::create()? });
        let all = (0..count).map(bucket).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { all, level })
    }

    fn of(&self, digest: &KeyDigest) -> usize {
        // Four bytes a level, of which there are fewer than eight.
        let at = 4 * (self.level % 8);
        let number = digest.0[at..at + 4].iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        number & (self.all.len() - 1)
    }
}

/// What a filling puts into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpillKind {
    Changes,
    Items,
}

/// One thread's part of the writing.
pub(super) struct Filling<'b> {
    buckets: &'b Buckets,
    kind: SpillKind,
    buffers: Vec<(Vec<u8>, u32)>,
    /// Bytes that a buffer has before it is written.
    limit: usize,
}

impl<'b> Filling<'b> {
    /// With so many bytes for all buffers.
    pub(super) fn new(buckets: &'b Buckets, kind: SpillKind, bytes: usize) -> Self {
        let buffers = vec![(Vec::new(), 0); buckets.all.len()];
        Self { buckets, kind, limit: (bytes / buffers.len()).clamp(4 << 10, 64 << 10), buffers }
    }

    pub(super) fn push(&mut self, record: &SpillRecord<'_>) -> io::Result<()> {
        let index = self.buckets.of(&record.digest);
        let (buffer, records) = &mut self.buffers[index];
        record.append(buffer)?;
        *records += 1;
        if buffer.len() >= self.limit { self.write(index) } else { Ok(()) }
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        (0..self.buffers.len()).try_for_each(|index| self.write(index))
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let (buffer, records) = &mut self.buffers[index];
        if *records == 0 {
            return Ok(());
        }
        let SpillBucket { changes, items } = &self.buckets.all[index];
        let file = if self.kind == SpillKind::Changes { changes } else { items };
        file.write(buffer, *records)?;
        *records = 0;
        buffer.clear();
        buffer.shrink_to(2 * self.limit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_from_the_bucket_of_their_key() {
        let images: Vec<Vec<u8>> = (0..3000_usize).map(|number| vec![b'x'; number * 37 % 900]).collect();
        let digest = |number: usize| KeyDigest::of([&(number as u64).to_le_bytes()[..]]);
        let record = |number: usize| SpillRecord {
            digest: digest(number),
            written: number as i64,
            export: (number % 7) as u16,
            keys: &b"{\"a\":{\"S\":\"b\"}}"[..number % 10],
            image: (!number.is_multiple_of(5)).then_some(images[number].as_slice()),
        };
        let buckets = Buckets::new(3000, 100, 0).unwrap();
        assert_eq!(buckets.all.len(), 64);
        for part in 0..3 {
            let mut filling = Filling::new(&buckets, SpillKind::Changes, 1);
            (part * 1000..part * 1000 + 1000).for_each(|number| filling.push(&record(number)).unwrap());
            filling.finish().unwrap();
        }
        let mut seen = 0;
        for (index, bucket) in buckets.all.iter().enumerate() {
            assert_eq!(bucket.items.records(), 0);
            // Twice: reading begins anew.
            for _ in 0..2 {
                let read = bucket.changes.read(|found: SpillRecord<'_>| -> io::Result<()> {
                    assert_eq!(found, record(found.written as usize));
                    assert_eq!(buckets.of(&found.digest), index);
                    seen += 1;
                    Ok(())
                });
                read.unwrap();
            }
        }
        assert_eq!(seen, 6000);
    }

    #[test]
    fn buckets_of_the_next_level_part_those_of_one() {
        let (first, second) = (Buckets::new(1000, 100, 0).unwrap(), Buckets::new(1000, 100, 1).unwrap());
        let digests = (0_u64..2000).map(|number| KeyDigest::of([&number.to_le_bytes()[..]]));
        let of_one: Vec<usize> =
            digests.filter(|digest| first.of(digest) == 3).map(|digest| second.of(&digest)).collect();
        assert!((0..second.all.len()).all(|bucket| of_one.contains(&bucket)));
    }
}
