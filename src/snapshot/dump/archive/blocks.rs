//! Decodes one data block of a custom archive from pieces of any size: out come the uncompressed bytes.
//!
//! The caller reads the range of a block ([`super::offsets::DataBlock`]) and pushes its bytes. Memory is the codec's,
//! and one push adds about 1 MiB to `out` (an lz4 block of up to 4 MiB may be on top), however well the data is
//! packed. Rows are not read here. The block of a table holds `COPY` text and ends with a line `\.` and two empty
//! lines; with `--inserts` it holds SQL and ends with two empty lines. Blocks of large objects (type 3) are faults.
//! So are a wrong id, an unknown type, a stream that ends early or late, and a block whose length is not the one
//! that was planned.
//!
//! ```text
//! 01 | id 3396 | 4096, bytes | 4096, bytes | 17, bytes | 0
//!                 \_____ one zlib, lz4 or zstd stream ____/
//! ```

use super::codec::BlockCodec;
use super::cursor::integer;
use super::fault::ArchiveFault;
use super::format::ArchiveCompression;
use super::offsets::DataBlock;
use super::toc::Toc;

/// How much one push may add to the output, about.
const STEP: usize = 1 << 20;

/// What a push led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockState {
    /// All input is used: push the next bytes.
    More,
    /// The output is full: take it, and push the unused input again (also when none is left).
    Full,
    /// The block is complete.
    Done,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockProgress {
    /// Bytes of the input that need not come again.
    pub(crate) used: usize,
    pub(crate) state: BlockState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockPart {
    Head,
    Length,
    Chunk(u64),
    Done,
}

/// Decodes one block.
pub(crate) struct BlockDecoder {
    id: i32,
    int_size: usize,
    block: DataBlock,
    /// Bytes of the block that are behind.
    behind: u64,
    part: BlockPart,
    /// A head or a length that came in part: at most ten bytes.
    buf: Vec<u8>,
    codec: BlockCodec,
}

/// How a block is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockForm {
    /// Dump id of its entry.
    pub(crate) id: i32,
    /// Bytes of an integer.
    pub(crate) int_size: u8,
    /// Of its bytes.
    pub(crate) compression: ArchiveCompression,
}

impl BlockForm {
    /// Of the block of an entry.
    pub(crate) fn of(toc: &Toc, id: i32) -> Self {
        Self { id, int_size: toc.int_size, compression: toc.compression }
    }
}

impl BlockDecoder {
    /// Begins the block that stands at `block`.
    pub(crate) fn new(form: BlockForm, block: DataBlock) -> Result<Self, ArchiveFault> {
        let codec = BlockCodec::new(form.compression).map_err(|e| ArchiveFault::unread(e, block.offset))?;
        let (id, int_size) = (form.id, usize::from(form.int_size));
        Ok(Self { id, int_size, block, behind: 0, part: BlockPart::Head, buf: Vec::with_capacity(10), codec })
    }

    /// Takes the next bytes of the block and appends what they stand for to `out`.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<BlockProgress, ArchiveFault> {
        let (start, mut used) = (out.len(), 0);
        let state = loop {
            let room = STEP.saturating_sub(out.len() - start);
            if self.part == BlockPart::Done {
                break BlockState::Done;
            } else if room == 0 {
                break BlockState::Full;
            } else if used == input.len() && !self.codec.pending() {
                break BlockState::More;
            }
            let rest = &input[used..];
            let n = match self.part {
                // What the decoder still holds comes before anything new.
                _ if self.codec.pending() => self.decode(&[], out, room)?,
                BlockPart::Chunk(left) => {
                    let n = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let n = self.decode(&rest[..n], out, room)?;
                    let left = left - n as u64;
                    self.part = if left == 0 { BlockPart::Length } else { BlockPart::Chunk(left) };
                    n
                }
                BlockPart::Head => self.gather(rest, 2 + self.int_size),
                _ => self.gather(rest, 1 + self.int_size),
            };
            used += n;
            self.behind += n as u64;
            self.part = self.gathered()?;
        };
        Ok(BlockProgress { used, state })
    }

    /// The fault of a file that ended before the block was complete; nothing after `Done`.
    pub(crate) fn finish(&self) -> Result<(), ArchiveFault> {
        if self.part == BlockPart::Done {
            return Ok(());
        }
        Err(ArchiveFault::cut(format!("the data of entry {} is not complete", self.id), self.at()))
    }

    fn at(&self) -> u64 {
        self.block.offset.saturating_add(self.behind)
    }

    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>, room: usize) -> Result<usize, ArchiveFault> {
        let at = self.at();
        let id = self.id;
        self.codec.push(input, out, room).map_err(|e| ArchiveFault::damaged(format!("entry {id}: {e}"), at))
    }

    /// Adds to the small buffer until it has `whole` bytes.
    fn gather(&mut self, rest: &[u8], whole: usize) -> usize {
        let n = rest.len().min(whole.saturating_sub(self.buf.len()));
        self.buf.extend_from_slice(&rest[..n]);
        n
    }

    /// Reads the small buffer when it is full, and says what comes next.
    fn gathered(&mut self) -> Result<BlockPart, ArchiveFault> {
        let whole = match self.part {
            BlockPart::Head => 2 + self.int_size,
            BlockPart::Length => 1 + self.int_size,
            other => return Ok(other),
        };
        if self.buf.len() < whole || self.codec.pending() {
            return Ok(self.part);
        }
        let at = self.at().saturating_sub(whole as u64);
        let part = if self.part == BlockPart::Head { self.head(at)? } else { self.length(at)? };
        self.buf.clear();
        Ok(part)
    }

    fn head(&self, at: u64) -> Result<BlockPart, ArchiveFault> {
        let id = integer(&self.buf[1..]).map_err(|e| ArchiveFault::damaged(e, at + 1))?;
        match self.buf[0] {
            _ if id != i64::from(self.id) => Err(ArchiveFault::damaged(
                format!("a block of entry {id} where that of entry {} should be", self.id),
                at,
            )),
            1 => Ok(BlockPart::Length),
            3 => Err(ArchiveFault::unread(format!("entry {id} is large objects, not the data of a table,"), at)),
            kind => Err(ArchiveFault::damaged(format!("a block of the unknown type {kind} for entry {id}"), at)),
        }
    }

    fn length(&self, at: u64) -> Result<BlockPart, ArchiveFault> {
        let length = integer(&self.buf).map_err(|e| ArchiveFault::damaged(e, at))?;
        let damaged = |what: String| Err(ArchiveFault::damaged(what, at));
        match u64::try_from(length) {
            Err(_) => damaged(format!("a chunk of entry {} with the length {length}", self.id)),
            Ok(0) if !self.codec.complete() => {
                damaged(format!("the end of entry {} inside its compressed data", self.id))
            }
            Ok(0) if self.behind != self.block.length => {
                let (id, got, planned) = (self.id, self.behind, self.block.length);
                damaged(format!("the end of entry {id} after {got} bytes instead of {planned}"))
            }
            Ok(0) => Ok(BlockPart::Done),
            Ok(n) if n > self.block.length.saturating_sub(self.behind) => {
                damaged(format!("a chunk of {n} bytes that leads out of the block of entry {}", self.id))
            }
            Ok(n) => Ok(BlockPart::Chunk(n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::ArchiveFormat;
    use super::super::made_tests::{Made, find_blocks, read_all, read_block, read_toc};
    use super::*;
    use proptest::prelude::*;

    fn rows(n: u32) -> Vec<u8> {
        let mut all: Vec<u8> = (0..n).flat_map(|i| format!("{i}\tname {}\n", i % 17).into_bytes()).collect();
        all.extend_from_slice(b"\\.\n\n\n");
        all
    }

    #[test]
    fn all_compressions_and_versions_give_the_rows_back() {
        let plain = rows(2000);
        for (minor, compression) in [(12, 0), (13, 1), (14, 1), (15, 0), (15, 2), (16, 1), (16, 2), (16, 3)] {
            for (offsets, step) in [(true, 1), (false, 7), (true, 4096), (false, 1 << 20)] {
                let tables = [(20, "t", &plain[..]), (21, "e", b"\\.\n\n\n"), (22, "none", b"")];
                let all = Made::new(minor, compression).custom(&tables, offsets, true);
                let got = read_all(&all, step).unwrap();
                let want: Vec<(i32, Vec<u8>)> = tables.iter().map(|t| (t.0 as i32, t.2.to_vec())).collect();
                assert!(got == want, "1.{minor} {compression} {step}");
            }
        }
    }

    #[test]
    fn a_block_that_unpacks_a_thousandfold_comes_in_bounded_pieces() {
        let plain = vec![b'x'; 30 << 20];
        for compression in 0..=3 {
            let all = Made { chunk: 100_000, ..Made::new(16, compression) }.custom(&[(20, "t", &plain)], true, false);
            // The reader asserts the bound of each push.
            assert!(read_all(&all, all.len()).unwrap()[0].1 == plain);
        }
    }

    #[test]
    fn the_block_of_another_entry_is_a_fault() {
        let all = Made::new(14, 0).custom(&[(20, "t", b"1\n"), (21, "u", b"2\n")], true, true);
        let toc = read_toc(&all, ArchiveFormat::Custom, 100).unwrap();
        let (blocks, _) = find_blocks(&toc, &all).unwrap();
        let fault = |id, of| read_block(&toc, id, blocks[&of], &all, 100).unwrap_err().to_string();
        let at = blocks[&21].offset;
        assert_eq!(
            fault(20, 21),
            format!("damaged archive: a block of entry 21 where that of entry 20 should be at byte {at}")
        );
        assert!(fault(9000, 9000).starts_with("entry 9000 is large objects, not the data of a table,"));
    }

    #[test]
    fn a_block_longer_or_shorter_than_planned_is_a_fault() {
        let all = Made::new(16, 3).custom(&[(20, "t", b"1\n"), (21, "u", b"2\n")], true, false);
        let toc = read_toc(&all, ArchiveFormat::Custom, 100).unwrap();
        let block = find_blocks(&toc, &all).unwrap().0[&20];
        for length in [block.length - 1, block.length + 1] {
            let planned = DataBlock { length, ..block };
            assert!(read_block(&toc, 20, planned, &all, 100).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn flips_and_cuts_never_give_other_rows_silently(
            at in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<bool>(), compression in 0_u8..=3,
            offsets in any::<bool>(), step in 1_usize..500,
        ) {
            let plain = rows(40);
            let mut all = Made::new(16, compression).custom(&[(20, "t", &plain), (21, "u", &plain)], offsets, true);
            let at = at.index(all.len());
            let toc_end = read_toc(&all, ArchiveFormat::Custom, 100).unwrap().data_start as usize;
            if cut { all.truncate(at) } else { all[at] ^= flip }
            let got = read_all(&all, step);
            if cut {
                // A cut inside the large objects of an archive with offsets is not seen by who does not read them.
                let seen = !offsets || at < toc_end || got.is_err() || got.as_ref().is_ok_and(|t| t[1].1 == plain);
                prop_assert!(seen);
                prop_assert!(offsets || got.is_err());
            } else if let Ok(tables) = got && compression == 1 && at >= toc_end {
                // Only zlib has a check sum in pg_dump's hands.
                prop_assert!(tables.iter().all(|(_, rows)| *rows == plain));
            }
        }
    }
}
