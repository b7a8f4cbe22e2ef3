//! The head and the table of contents of a pg_dump archive.
//!
//! [`TocReader`] takes the first bytes of a custom archive, or of the `toc.dat` of a directory or tar archive, in
//! pieces of any size, until the last entry is there. It reads versions 1.12 (PostgreSQL 9.0) to 1.16 (17, 18). It
//! does not read the data, and it does not read what the statements mean.
//!
//! Memory: the texts (a few MB) and some 300 bytes an entry, below ten times the bytes that came, whatever the
//! lengths in them say; at most 64 MiB for one entry and 1 GiB for all. Everything else is a [`ArchiveFault`].
//!
//! ```text
//! PGDMP 1 14 0 | 4 8 | 1 custom | compression | date | "shop" "15.18" "15.18" | 34 entries ... | data blocks
//! ```

use std::collections::HashSet;
use std::fmt;

use super::cursor::{CursorStop, MAX_ENTRY, TocCursor};
use super::entry::{DataAt, EntryKind, TocEntry};
use super::fault::ArchiveFault;
use super::format::{ArchiveCompression, ArchiveFormat};

/// The largest table of contents that is read.
const MAX_TOC: u64 = 1 << 30;

/// When the dump began, in the local time of the machine that made it; unchecked, for showing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DumpTime {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl fmt::Display for DumpTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// A whole table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toc {
    /// Major, minor, revision of the archive format.
    pub(crate) version: (u8, u8, u8),
    pub(crate) format: ArchiveFormat,
    pub(crate) compression: ArchiveCompression,
    /// Bytes of an integer; the data blocks need it too.
    pub(crate) int_size: u8,
    pub(crate) database: String,
    pub(crate) server_version: String,
    pub(crate) dump_version: String,
    pub(crate) created: DumpTime,
    pub(crate) entries: Vec<TocEntry>,
    /// The first byte after the table of contents: there the data blocks of a custom archive begin.
    pub(crate) data_start: u64,
}

impl Toc {
    /// The entries that have rows.
    pub(crate) fn table_data(&self) -> impl Iterator<Item = &TocEntry> {
        self.entries.iter().filter(|e| e.kind() == EntryKind::TableData && e.data != DataAt::Nowhere)
    }

    #[cfg(test)]
    /// The definition of the table whose data `data` is; none in a dump made with `--data-only`.
    pub(crate) fn table_of(&self, data: &TocEntry) -> Option<&TocEntry> {
        let table = |e: &&TocEntry| {
            matches!(e.kind(), EntryKind::Table | EntryKind::ForeignTable | EntryKind::MaterializedView)
        };
        let mut tables = self.entries.iter().filter(table);
        tables.find(|e| data.dependencies.contains(&e.dump_id) && e.tag == data.tag && e.namespace == data.namespace)
    }

    /// The encoding of all texts and data, as in `SET client_encoding = 'UTF8';`.
    pub(crate) fn encoding(&self) -> Option<String> {
        self.setting("ENCODING")
    }

    fn setting(&self, desc: &str) -> Option<String> {
        let defn = self.entries.iter().find(|e| e.desc == desc)?.defn.as_ref()?.lossy().into_owned();
        let (_, value) = defn.split_once('\'')?;
        Some(value.split_once('\'')?.0.to_owned())
    }
}

/// What a piece of input led to.
#[derive(Debug)]
pub(crate) enum Fed {
    /// The table of contents goes on.
    More,
    /// It is complete; bytes behind `data_start` were not looked at.
    Done(Box<Toc>),
}

/// Reads a table of contents from pieces.
pub(crate) struct TocReader {
    place: ArchiveFormat,
    /// What came and is not yet read; `base` is its place in the file.
    buf: Vec<u8>,
    base: u64,
    /// No try before the buffer is so long: else a long entry would be read anew for each piece.
    need: usize,
    head: Option<(Toc, u8, usize)>,
    ids: HashSet<i32>,
}

impl TocReader {
    /// Begins at the first byte; `place` says where the bytes were found.
    pub(crate) fn new(place: ArchiveFormat) -> Self {
        Self { place, buf: Vec::new(), base: 0, need: 0, head: None, ids: HashSet::new() }
    }

    /// Takes the next bytes of the file. After `Done` or a fault the reader is of no more use.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Fed, ArchiveFault> {
        self.buf.extend_from_slice(bytes);
        let mut used = 0;
        while self.buf.len() - used >= self.need {
            self.need = 0;
            match self.step(used) {
                Ok((read, None)) => used += read,
                Ok((_, Some(toc))) => return Ok(Fed::Done(toc)),
                Err(CursorStop::ArchiveFault(fault)) => return Err(fault),
                Err(CursorStop::More(need)) if need <= MAX_ENTRY => self.need = need,
                Err(CursorStop::More(need)) => {
                    let what = format!("an entry of {need} bytes or more, above the limit of 64 MiB");
                    return Err(ArchiveFault::unread(what, self.base + used as u64));
                }
            }
        }
        self.buf.drain(..used);
        self.base += used as u64;
        if self.base > MAX_TOC {
            return Err(ArchiveFault::unread("a table of contents above the limit of 1 GiB", self.base));
        }
        Ok(Fed::More)
    }

    /// The fault of a file that ended before `feed` said `Done`.
    pub(crate) fn cut(&self) -> ArchiveFault {
        let end = self.base + self.buf.len() as u64;
        match &self.head {
            None => ArchiveFault::cut("its head is not complete", end),
            Some((toc, _, count)) => {
                let what = format!("its table of contents has {} of {count} entries", toc.entries.len());
                ArchiveFault::cut(what, end)
            }
        }
    }

    /// Reads the head or one entry from `from` on; gives the bytes used, and the table of contents when it is whole.
    fn step(&mut self, from: usize) -> Result<(usize, Option<Box<Toc>>), CursorStop> {
        let bytes = self.buf.get(from..).unwrap_or_default();
        let base = self.base + from as u64;
        let mut c = TocCursor::new(bytes, base, 4);
        match &mut self.head {
            None => self.head = Some(read_head(&mut c, self.place)?),
            Some((toc, off_size, _)) => {
                c.int_size = toc.int_size;
                let entry = TocEntry::read(&mut c, toc.version.1, *off_size, self.place)?;
                if !self.ids.insert(entry.dump_id) {
                    return Err(
                        ArchiveFault::damaged(format!("a second entry with the id {}", entry.dump_id), base).into()
                    );
                }
                toc.entries.push(entry);
            }
        }
        let end = c.place();
        let used = c.used();
        let whole = self.head.take_if(|(toc, _, count)| toc.entries.len() >= *count);
        Ok((used, whole.map(|(toc, ..)| Box::new(Toc { data_start: end, ..toc }))))
    }
}

/// Reads from the magic to the number of entries: an empty table of contents, the offset size and that number.
fn read_head(c: &mut TocCursor<'_>, place: ArchiveFormat) -> Result<(Toc, u8, usize), CursorStop> {
    if c.take(5)? != b"PGDMP" {
        return Err(ArchiveFault::NotAnArchive.into());
    }
    let version = (c.byte()?, c.byte()?, c.byte()?);
    match version {
        (1, 12..=16, _) => {}
        (1, 17.., _) | (2.., ..) => return Err(ArchiveFault::Newer { major: version.0, minor: version.1 }.into()),
        _ => return Err(ArchiveFault::Older { major: version.0, minor: version.1 }.into()),
    }
    let (int_size, off_size, format) = (c.byte()?, c.byte()?, c.byte()?);
    if !(4..=8).contains(&int_size) || !(4..=8).contains(&off_size) {
        let what = format!("integers of {int_size} and offsets of {off_size} bytes (4 to 8 are read)");
        return Err(ArchiveFault::damaged(what, 8).into());
    }
    c.int_size = int_size;
    check_format(format, place)?;
    let at = c.place();
    let compression = match if version.1 >= 15 { i64::from(c.byte()?) } else { c.int()? } {
        0 => ArchiveCompression::None,
        // Before 1.15 the number is the gzip level, -1 for the default one.
        level if version.1 < 15 && (-1..=9).contains(&level) => ArchiveCompression::Gzip,
        1 => ArchiveCompression::Gzip,
        2 => ArchiveCompression::Lz4,
        3 => ArchiveCompression::Zstd,
        n => return Err(ArchiveFault::damaged(format!("an unknown compression {n}"), at).into()),
    };
    let (second, minute, hour, day, month, year) = (c.int()?, c.int()?, c.int()?, c.int()?, c.int()?, c.int()?);
    // Daylight saving or not: nothing depends on it.
    c.int()?;
    let created = DumpTime { year: year + 1900, month: month + 1, day, hour, minute, second };
    let [database, server_version, dump_version] = [line(c)?, line(c)?, line(c)?];
    let at = c.place();
    let count = usize::try_from(c.int()?).map_err(|_| ArchiveFault::damaged("a negative number of entries", at))?;
    let (entries, format) = (Vec::new(), place);
    let toc = Toc {
        version,
        format,
        compression,
        int_size,
        database,
        server_version,
        dump_version,
        created,
        entries,
        data_start: 0,
    };
    Ok((toc, off_size, count))
}

/// Holds the format byte against the place where the table of contents was found.
fn check_format(format: u8, place: ArchiveFormat) -> Result<(), ArchiveFault> {
    let what = match (format, place) {
        // pg_dump writes 3 (tar) into the toc.dat of a directory too; 5 would be its own number.
        (1, ArchiveFormat::Custom) | (3, ArchiveFormat::Tar) | (3 | 5, ArchiveFormat::Directory) => return Ok(()),
        (3 | 5, ArchiveFormat::Custom) => {
            "the toc.dat of a directory or tar archive without its data (give the whole directory):".to_owned()
        }
        (1, _) => "a toc.dat that is a custom archive".to_owned(),
        (n, _) => format!("an unknown archive format {n}"),
    };
    Err(ArchiveFault::unread(what, 10))
}

/// A text of the head, for showing only: bytes that are not UTF-8 do no harm there.
fn line(c: &mut TocCursor<'_>) -> Result<String, CursorStop> {
    Ok(String::from_utf8_lossy(c.text()?.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::made_tests::{Made, read_toc};
    use super::*;
    use proptest::prelude::*;

    const TABLES: [(i64, &str, &[u8]); 2] = [(20, "t", b"1\tx\n\\.\n\n\n"), (21, "u", b"\\.\n\n\n")];

    #[test]
    fn versions_1_12_to_1_16_are_read_in_pieces_of_any_size() {
        for minor in 12..=16 {
            let all = Made::new(minor, 1).toc(&TABLES, &[], false);
            for step in [1, 13, all.len()] {
                let toc = read_toc(&all, ArchiveFormat::Custom, step).unwrap();
                assert_eq!((toc.version, toc.compression), ((1, minor, 0), ArchiveCompression::Gzip));
                assert_eq!((toc.database.as_str(), toc.server_version.as_str()), ("shop", "15.18"));
                assert_eq!(toc.created.to_string(), "2026-11-30 15:42:55");
                assert_eq!((toc.entries.len(), toc.data_start), (5, all.len() as u64));
                let data = toc.table_data().next().unwrap();
                assert_eq!(toc.table_of(data).unwrap().dump_id, 1020);
                let copy = data.copy_stmt.as_ref().unwrap();
                assert_eq!(copy.str(), Ok("COPY public.t (a, b) FROM stdin;\n"));
                assert_eq!(toc.entries[1].relkind, (minor >= 16).then_some('r'));
                assert_eq!(toc.entries[1].table_am.is_some(), minor >= 14);
                assert_eq!(toc.encoding().as_deref(), Some("UTF8"));
            }
        }
    }

    #[test]
    fn compression_byte_of_1_15_and_level_before_are_both_read() {
        let kinds =
            [ArchiveCompression::None, ArchiveCompression::Gzip, ArchiveCompression::Lz4, ArchiveCompression::Zstd];
        for (n, kind) in (0..).zip(kinds) {
            let all = Made::new(15, n).toc(&TABLES, &[], false);
            assert_eq!(read_toc(&all, ArchiveFormat::Custom, 100).unwrap().compression, kind);
        }
        let all = Made::new(15, 4).toc(&TABLES, &[], false);
        let fault = read_toc(&all, ArchiveFormat::Custom, 100).unwrap_err();
        assert_eq!(fault.to_string(), "damaged archive: an unknown compression 4 at byte 11");
        let all = Made::new(14, 0).toc(&TABLES, &[], false);
        assert_eq!(read_toc(&all, ArchiveFormat::Custom, 100).unwrap().compression, ArchiveCompression::None);
    }

    #[test]
    fn integers_of_eight_bytes_are_read() {
        let made = Made { int_size: 8, ..Made::new(13, 1) };
        assert_eq!(read_toc(&made.toc(&TABLES, &[], true), ArchiveFormat::Custom, 9).unwrap().entries.len(), 6);
    }

    #[test]
    fn other_versions_and_other_files_are_faults_that_say_so() {
        let fault = |all: &[u8]| read_toc(all, ArchiveFormat::Custom, 100).unwrap_err().to_string();
        assert_eq!(
            fault(&Made::new(17, 1).toc(&TABLES, &[], false)),
            "written by pg_dump of a newer archive version 1.17; this program reads up to 1.16"
        );
        assert!(fault(&Made::new(11, 1).toc(&TABLES, &[], false)).starts_with("archive version 1.11 is of pg_dump"));
        assert!(fault(b"-- PostgreSQL database dump").starts_with("not a pg_dump archive"));
        assert_eq!(fault(b""), "cut archive: its head is not complete, and it ends at byte 0");
    }

    #[test]
    fn format_byte_is_held_against_the_place() {
        let of = |format| Made { format, ..Made::new(14, 1) }.toc(&TABLES, &[], false);
        let toc = read_toc(&of(3), ArchiveFormat::Directory, 100).unwrap();
        assert_eq!(toc.table_data().next().unwrap().data, DataAt::File("20.dat".into()));
        assert_eq!(read_toc(&of(3), ArchiveFormat::Tar, 100).unwrap().format, ArchiveFormat::Tar);
        for (format, place) in
            [(3, ArchiveFormat::Custom), (1, ArchiveFormat::Tar), (5, ArchiveFormat::Tar), (9, ArchiveFormat::Custom)]
        {
            assert!(matches!(read_toc(&of(format), place, 100), Err(ArchiveFault::Unread { .. })));
        }
    }

    #[test]
    fn data_file_name_that_leaves_the_archive_is_a_fault() {
        let made = Made { format: 3, ..Made::new(14, 1) };
        let mut all = made.toc(&[(20, "t", b"")], &[], false);
        let at = all.windows(6).position(|w| w == b"20.dat").unwrap();
        all[at..at + 6].copy_from_slice(b"../../");
        let fault = read_toc(&all, ArchiveFormat::Directory, 100).unwrap_err().to_string();
        assert!(fault.contains("no plain name"), "{fault}");
    }

    #[test]
    fn two_entries_with_one_id_are_a_fault() {
        let all = Made::new(14, 1).toc(&[(20, "t", b""), (20, "u", b"")], &[], false);
        assert!(
            read_toc(&all, ArchiveFormat::Custom, 100).unwrap_err().to_string().contains("second entry with the id")
        );
    }

    #[test]
    fn every_cut_says_how_many_entries_are_there() {
        let all = Made::new(16, 1).toc(&TABLES, &[], false);
        for n in 0..all.len() {
            assert!(matches!(read_toc(&all[..n], ArchiveFormat::Custom, 64), Err(ArchiveFault::Cut { .. })), "{n}");
        }
        assert_eq!(
            read_toc(&all[..all.len() - 1], ArchiveFormat::Custom, 64).unwrap_err().to_string(),
            format!("cut archive: its table of contents has 4 of 5 entries, and it ends at byte {}", all.len() - 1)
        );
    }

    proptest! {
        #[test]
        fn flips_and_cuts_give_a_fault_or_a_toc(
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
            cut in any::<prop::sample::Index>(), minor in 12_u8..=16, step in 1_usize..300,
        ) {
            let mut all = Made::new(minor, 1).toc(&TABLES, &[], true);
            for (at, flip) in flips {
                let at = at.index(all.len());
                all[at] ^= flip;
            }
            all.truncate(cut.index(all.len()) + 1);
            let got = read_toc(&all, ArchiveFormat::Custom, step);
            // Pieces do not matter: the same bytes give the same answer.
            prop_assert_eq!(&got, &read_toc(&all, ArchiveFormat::Custom, all.len()));
            if let Ok(toc) = got {
                // Every entry took at least 80 bytes of input, and a vector has at most twice the room it needs.
                let held = toc.entries.capacity() * size_of::<TocEntry>();
                prop_assert!(held <= 10 * all.len(), "{} {}", held, all.len());
            }
        }
    }
}
