//! Finds where each data block of a custom archive begins and how long it is.
//!
//! pg_dump writes the offsets into the table of contents at the end, when its output is a file. Then a plan needs no
//! reading: a block ends where the next one begins. A dump made through a pipe (`pg_dump -Fc | ...`, and most hosted
//! backups) has no offsets; then [`BlockScan`] walks over the chunks from the first block on. pg_dump writes chunks
//! of some KiB (one chunk a row with `-Z0` before 16), so such a file is in effect read once, in windows of up to 8
//! MiB; only large chunks are jumped over. Nothing is uncompressed. Blocks of large objects are walked over as well.
//!
//! Every entry with data must have just one block, and every byte after the table of contents must belong to a
//! block: a missing, doubled or unknown block, a gap and a cut are faults.
//!
//! ```text
//! toc | 01 id 3397 (len, bytes) (len, bytes) 0 | 01 id 3399 (len, bytes) 0 | 03 id 3403 oid (len, bytes) 0 .. 0 |
//!       \____________ 3397: offset, length ____/
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::integer;
use super::entry::{DataAt, EntryKind};
use super::fault::ArchiveFault;
use super::toc::Toc;
use super::walk::{ArchiveWalk, WalkView};

/// The place of one block in the file, its head and its end mark included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataBlock {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The blocks of an archive by entry id.
pub(crate) type DataBlocks = BTreeMap<i32, DataBlock>;

/// How to come to the blocks of an archive.
#[derive(Debug)]
pub(crate) enum BlockPlan {
    /// The table of contents has all offsets.
    Known(DataBlocks),
    /// The file must be walked through.
    Scan(Box<BlockScan>),
}

/// Plans for a custom archive of `file_size` bytes.
pub(crate) fn plan(toc: &Toc, file_size: u64) -> Result<BlockPlan, ArchiveFault> {
    if toc.entries.iter().any(|e| e.data == DataAt::NotSet) {
        return Ok(BlockPlan::Scan(Box::new(BlockScan::new(toc, file_size))));
    }
    let mut starts: Vec<(u64, &super::entry::TocEntry)> = Vec::new();
    for entry in &toc.entries {
        if let DataAt::Offset(offset) = entry.data {
            starts.push((offset, entry));
        }
    }
    starts.sort_by_key(|(offset, _)| *offset);
    let mut blocks = DataBlocks::new();
    let mut behind = toc.data_start;
    for (n, (offset, entry)) in starts.iter().enumerate() {
        if *offset >= file_size {
            return Err(ArchiveFault::cut(format!("{} has its data at byte {offset}", entry.name()), file_size));
        }
        if n == 0 && *offset != behind || n > 0 && *offset <= behind {
            let what = format!("{} with its data at byte {offset}, out of order,", entry.name());
            return Err(ArchiveFault::damaged(what, behind));
        }
        let next = starts.get(n + 1).map_or(file_size, |(next, _)| *next);
        blocks.insert(entry.dump_id, DataBlock { offset: *offset, length: next.saturating_sub(*offset) });
        behind = *offset;
    }
    match (starts.is_empty(), toc.data_start.cmp(&file_size)) {
        (_, std::cmp::Ordering::Greater) => Err(ArchiveFault::cut("its table of contents is not complete", file_size)),
        (true, std::cmp::Ordering::Less) => Err(ArchiveFault::damaged("data that belongs to no entry", toc.data_start)),
        _ => Ok(BlockPlan::Known(blocks)),
    }
}

/// What stands at the place of the walk.
#[derive(Debug, Clone, Copy)]
enum WalkPart {
    Head,
    /// The id of a large object, or 0.
    Oid,
    Length {
        large_objects: bool,
    },
}

/// An entry that must have a block.
#[derive(Debug)]
struct WantedBytes {
    name: String,
    large_objects: bool,
    offset: Option<u64>,
}

/// Walks over the blocks of an archive without offsets.
#[derive(Debug)]
pub(crate) struct BlockScan {
    walk: ArchiveWalk,
    size: u64,
    int_size: usize,
    part: WalkPart,
    /// The entry and the begin of the block that the walk is in.
    open: (i32, u64),
    wanted: BTreeMap<i32, WantedBytes>,
    found: DataBlocks,
}

impl BlockScan {
    fn new(toc: &Toc, size: u64) -> Self {
        let mut wanted = BTreeMap::new();
        for entry in toc.entries.iter().filter(|e| e.data != DataAt::Nowhere) {
            let offset = if let DataAt::Offset(offset) = entry.data { Some(offset) } else { None };
            let large_objects = entry.kind() == EntryKind::LargeObjects;
            wanted.insert(entry.dump_id, WantedBytes { name: entry.name(), large_objects, offset });
        }
        let walk = ArchiveWalk::new(toc.data_start, size);
        let int_size = usize::from(toc.int_size);
        Self { walk, size, int_size, part: WalkPart::Head, open: (0, 0), wanted, found: DataBlocks::new() }
    }

    /// The range to read and to feed next; none when the walk is over.
    pub(crate) fn next_read(&self) -> Option<Range<u64>> {
        (!self.walk.at_end()).then(|| self.walk.ask())
    }

    /// Takes the bytes of the range that `next_read` gave.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), ArchiveFault> {
        let view = self.walk.view(bytes);
        while !self.walk.at_end() {
            if !self.step(&view)? {
                break;
            }
        }
        self.walk.done(&view)
    }

    /// The blocks, once `next_read` gives none.
    pub(crate) fn blocks(self) -> Result<DataBlocks, ArchiveFault> {
        if self.walk.at() > self.size {
            return Err(ArchiveFault::cut("its table of contents is not complete", self.size));
        }
        if !matches!(self.part, WalkPart::Head) {
            return Err(ArchiveFault::cut(
                format!("the block of entry {} is not complete", self.open.0),
                self.walk.at(),
            ));
        }
        match self.wanted.iter().find(|(id, _)| !self.found.contains_key(id)) {
            Some((_, wanted)) => Err(ArchiveFault::cut(format!("{} has no data block", wanted.name), self.size)),
            None => Ok(self.found),
        }
    }

    /// Reads one head, id or length; false when the view does not reach so far.
    fn step(&mut self, view: &WalkView<'_>) -> Result<bool, ArchiveFault> {
        let at = self.walk.at();
        let (size, what) = match self.part {
            WalkPart::Head => (2 + self.int_size, "the head of a data block"),
            WalkPart::Oid => (1 + self.int_size, "the id of a large object"),
            WalkPart::Length { .. } => (1 + self.int_size, "the length of a data chunk"),
        };
        let Some(raw) = self.walk.take(view, size, what)? else { return Ok(false) };
        let number = |raw: &[u8]| integer(raw).map_err(|e| ArchiveFault::damaged(e, at));
        match self.part {
            WalkPart::Head => self.head(raw[0], number(&raw[1..])?, at)?,
            WalkPart::Oid if number(raw)? == 0 => self.close()?,
            WalkPart::Oid => self.part = WalkPart::Length { large_objects: true },
            WalkPart::Length { large_objects } => match (u64::try_from(number(raw)?), large_objects) {
                (Err(_), _) => return Err(ArchiveFault::damaged("a data chunk with a negative length", at)),
                (Ok(0), true) => self.part = WalkPart::Oid,
                (Ok(0), false) => self.close()?,
                (Ok(n), _) => self.walk.skip(n, "a data chunk")?,
            },
        }
        Ok(true)
    }

    fn head(&mut self, kind: u8, id: i64, at: u64) -> Result<(), ArchiveFault> {
        let damaged = |what: String| Err(ArchiveFault::damaged(what, at));
        let Some((id, wanted)) = i32::try_from(id).ok().and_then(|id| Some((id, self.wanted.get(&id)?))) else {
            return damaged(format!("a block of type {kind} for entry {id}, which has no data or is not there,"));
        };
        self.part = match kind {
            1 if !wanted.large_objects => WalkPart::Length { large_objects: false },
            3 if wanted.large_objects => WalkPart::Oid,
            _ => return damaged(format!("a block of the wrong type {kind} for {}", wanted.name)),
        };
        if wanted.offset.is_some_and(|offset| offset != at) || self.found.contains_key(&id) {
            return damaged(format!("a second block, or one in the wrong place, for {}", wanted.name));
        }
        self.open = (id, at);
        Ok(())
    }

    fn close(&mut self) -> Result<(), ArchiveFault> {
        let (id, offset) = self.open;
        self.found.insert(id, DataBlock { offset, length: self.walk.at().saturating_sub(offset) });
        self.part = WalkPart::Head;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::ArchiveFormat;
    use super::super::made_tests::{Made, find_blocks, read_toc};
    use super::*;
    use proptest::prelude::*;

    const TABLES: [(i64, &str, &[u8]); 3] = [(20, "t", &[b'r'; 700]), (21, "u", b"\\.\n\n\n"), (22, "none", b"")];

    fn blocks(all: &[u8]) -> Result<DataBlocks, ArchiveFault> {
        find_blocks(&read_toc(all, ArchiveFormat::Custom, 4096)?, all).map(|(blocks, _)| blocks)
    }

    #[test]
    fn a_scan_finds_what_the_offsets_say() {
        for compression in 0..=3 {
            let made = Made::new(16, compression);
            let with = blocks(&made.custom(&TABLES, true, true)).unwrap();
            assert_eq!(with, blocks(&made.custom(&TABLES, false, true)).unwrap());
            assert_eq!(with.len(), 4);
        }
    }

    #[test]
    fn an_archive_without_data_needs_no_reads() {
        assert!(blocks(&Made::new(14, 1).custom(&[], true, false)).unwrap().is_empty());
    }

    #[test]
    fn large_chunks_are_jumped_over_and_small_ones_read_in_growing_windows() {
        let plain = vec![b'x'; 40 << 20];
        let reads = |chunk, plain: &[u8]| {
            let all = Made { chunk, ..Made::new(14, 0) }.custom(&[(20, "t", plain)], false, false);
            find_blocks(&read_toc(&all, ArchiveFormat::Custom, 4096).unwrap(), &all).unwrap().1
        };
        assert!(reads(4096, &plain) <= 12);
        assert!(reads(20 << 20, &plain) <= 4);
    }

    #[test]
    fn every_cut_of_a_piped_archive_is_a_fault() {
        let all = Made::new(16, 1).custom(&TABLES, false, true);
        for n in 0..all.len() {
            assert!(blocks(&all[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn a_cut_before_the_last_block_of_an_archive_with_offsets_is_a_fault() {
        let all = Made::new(16, 1).custom(&TABLES, true, false);
        let last = blocks(&all).unwrap()[&22].offset as usize;
        for n in 0..=last {
            assert!(matches!(blocks(&all[..n]), Err(ArchiveFault::Cut { .. })), "{n}");
        }
    }

    #[test]
    fn unknown_missing_doubled_and_appended_blocks_are_faults() {
        let made = Made::new(14, 0);
        let all = made.custom(&TABLES, false, false);
        let data = read_toc(&all, ArchiveFormat::Custom, 4096).unwrap().data_start as usize;
        let fault = |all: &[u8]| blocks(all).unwrap_err().to_string();
        let mut other = all.clone();
        other[data + 2] = 77;
        assert!(fault(&other).contains("for entry 77, which has no data or is not there, at byte"));
        other[data + 2] = 21;
        assert!(
            fault(&other).contains("a second block, or one in the wrong place, for entry 21 (TABLE DATA public.u)")
        );
        other[data] = 4;
        assert!(fault(&other).contains("a block of the wrong type 4 for entry 21"));
        let toc = made.toc(&TABLES, &[], false);
        assert_eq!(
            fault(&toc),
            format!("cut archive: entry 20 (TABLE DATA public.t) has no data block, and it ends at byte {}", toc.len())
        );
        // What pg_dump leaves behind when its output is opened for appending.
        assert!(blocks(&[&all[..], &toc].concat()).is_err());
    }

    #[test]
    fn offsets_out_of_order_or_with_a_gap_are_faults() {
        let made = Made::new(14, 0);
        let all = made.custom(&TABLES, true, false);
        let at = read_toc(&all, ArchiveFormat::Custom, 4096).unwrap().data_start;
        for offsets in [[at + 1, at + 2, at + 3], [at, at, at + 3], [5, at, at + 9]] {
            let mut other = made.toc(&TABLES, &offsets, false);
            other.extend_from_slice(&all[other.len()..]);
            assert!(matches!(blocks(&other), Err(ArchiveFault::Damaged { .. })), "{offsets:?}");
        }
    }

    proptest! {
        #[test]
        fn reads_that_give_less_than_asked_lead_to_the_same_blocks(most in 600_usize..5000) {
            let all = Made::new(16, 2).custom(&TABLES, false, true);
            let toc = read_toc(&all, ArchiveFormat::Custom, 4096).unwrap();
            let Ok(BlockPlan::Scan(mut scan)) = plan(&toc, all.len() as u64) else { panic!() };
            while let Some(range) = scan.next_read() {
                let start = range.start as usize;
                scan.feed(&all[start..(range.end as usize).min(start + most)]).unwrap();
            }
            prop_assert_eq!(scan.blocks().unwrap(), blocks(&all).unwrap());
        }
    }
}
