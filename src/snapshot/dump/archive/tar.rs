//! Finds the members of a tar archive: name, offset and length. No content is read but what names a member.
//!
//! It reads ustar (pg_dump's own kind), GNU sizes in base 256 for members above 8 GiB, GNU long names and pax
//! records (`path`, `size`), so that a directory archive packed with `tar` is read as well. The check sum of each
//! head is checked. Links, devices, sparse members, a name that comes twice, a missing end mark and a cut are
//! faults.
//!
//! ```text
//! [head toc.dat 9856][9856 bytes, padded to 512][head 3397.dat ..][..] ... [head restore.sql ..][..][zeros][zeros]
//! ```

use std::collections::HashSet;
use std::ops::Range;

use super::fault::ArchiveFault;
use super::walk::{ArchiveWalk, WalkView};
use crate::layout::below;

const HEAD: usize = 512;
/// Names and pax records are some hundred bytes.
const MAX_EXTRA: u64 = 1 << 20;
/// A dump has a member for each table; a million keeps the list below some 100 MB.
const MAX_MEMBERS: usize = 1_000_000;

/// One file in a tar archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TarMember {
    /// Without a leading `./`.
    pub(crate) name: String,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TarPart {
    Head,
    /// The content of a long name or of pax records, of so many bytes.
    Extra {
        pax: bool,
        length: u64,
    },
    /// One block of zeros came.
    Zeros,
    Done,
}

/// Walks over the heads of a tar archive.
#[derive(Debug)]
pub(crate) struct TarScan {
    walk: ArchiveWalk,
    part: TarPart,
    members: Vec<TarMember>,
    names: HashSet<String>,
    /// What pax records or a long name say about the next member.
    next_name: Option<String>,
    next_size: Option<u64>,
}

impl TarScan {
    /// Begins at the first byte of an archive of `file_size` bytes.
    pub(crate) fn new(file_size: u64) -> Self {
        let walk = ArchiveWalk::new(0, file_size);
        Self { walk, part: TarPart::Head, members: Vec::new(), names: HashSet::new(), next_name: None, next_size: None }
    }

    /// The range to read and to feed next; none when the walk is over.
    pub(crate) fn next_read(&self) -> Option<Range<u64>> {
        (self.part != TarPart::Done && !self.walk.at_end()).then(|| self.walk.ask())
    }

    /// Takes the bytes of the range that `next_read` gave.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), ArchiveFault> {
        let view = self.walk.view(bytes);
        while self.part != TarPart::Done && !self.walk.at_end() {
            if !self.step(&view)? {
                break;
            }
        }
        self.walk.done(&view)
    }

    /// The members in the order of the archive, once `next_read` gives none.
    pub(crate) fn members(self) -> Result<Vec<TarMember>, ArchiveFault> {
        match self.part {
            TarPart::Done | TarPart::Zeros => Ok(self.members),
            _ => Err(ArchiveFault::cut("the tar archive has no end mark", self.walk.at())),
        }
    }

    fn step(&mut self, view: &WalkView<'_>) -> Result<bool, ArchiveFault> {
        let at = self.walk.at();
        if let TarPart::Extra { pax, length } = self.part {
            let n = usize::try_from(padded(length)).unwrap_or(usize::MAX);
            let Some(raw) = self.walk.take(view, n, "a long name or pax record")? else { return Ok(false) };
            let raw = &raw[..raw.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
            if pax {
                self.pax(raw, at)?
            } else {
                self.next_name = Some(text(raw, at)?)
            }
            self.part = TarPart::Head;
            return Ok(true);
        }
        let Some(head) = self.walk.take(view, HEAD, "a tar head")? else { return Ok(false) };
        if head.iter().all(|b| *b == 0) {
            self.part = if self.part == TarPart::Zeros { TarPart::Done } else { TarPart::Zeros };
        } else if self.part == TarPart::Zeros {
            return Err(ArchiveFault::damaged("a tar head after the end mark", at));
        } else {
            self.head(head, at)?;
        }
        Ok(true)
    }

    fn head(&mut self, head: &[u8], at: u64) -> Result<(), ArchiveFault> {
        check(head, at)?;
        let written = number(&head[124..136], at)?;
        let kind = head[156];
        let content = "the content of a tar member";
        match kind {
            b'x' | b'L' if written <= MAX_EXTRA => {
                self.part = TarPart::Extra { pax: kind == b'x', length: written };
            }
            b'g' | b'K' => self.walk.skip(padded(written), content)?,
            b'0' | 0 | b'7' => {
                let length = self.next_size.take().unwrap_or(written);
                let name = match self.next_name.take() {
                    Some(name) => name,
                    None => own_name(head, at)?,
                };
                self.member(name, length, at)?;
                self.walk.skip(padded(length), content)?;
            }
            b'5' => (self.next_name, self.next_size) = (None, None),
            kind => {
                let what = format!("a tar member of the type {:?}, which is no file,", char::from(kind));
                return Err(ArchiveFault::unread(what, at));
            }
        }
        Ok(())
    }

    fn member(&mut self, name: String, length: u64, at: u64) -> Result<(), ArchiveFault> {
        let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
        if self.members.len() >= MAX_MEMBERS {
            return Err(ArchiveFault::unread("a tar archive of more than a million members", at));
        }
        if !self.names.insert(name.clone()) {
            return Err(ArchiveFault::damaged(format!("a second tar member {name}"), at));
        }
        self.members.push(TarMember { name, offset: self.walk.at(), length });
        Ok(())
    }

    /// Reads records like `28 path=a/long/name\n`; the number is the length of the whole record.
    fn pax(&mut self, mut raw: &[u8], at: u64) -> Result<(), ArchiveFault> {
        let damaged = || ArchiveFault::damaged("a pax record that is none", at);
        while !raw.is_empty() {
            let space = raw.iter().take(20).position(|b| *b == b' ').ok_or_else(damaged)?;
            let length: usize = text(&raw[..space], at)?.parse().map_err(|_| damaged())?;
            let record = raw.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(damaged)?;
            raw = &raw[length..];
            if let Some(path) = record.strip_prefix(b"path=") {
                self.next_name = Some(text(path, at)?);
            } else if let Some(size) = record.strip_prefix(b"size=") {
                self.next_size = Some(text(size, at)?.parse().map_err(|_| damaged())?);
            } else if record.starts_with(b"GNU.sparse") {
                return Err(ArchiveFault::unread("a sparse tar member", at));
            }
        }
        Ok(())
    }
}

fn padded(length: u64) -> u64 {
    length.checked_next_multiple_of(HEAD as u64).unwrap_or(u64::MAX)
}

/// Compares the check sum of a head: the sum of its bytes, with blanks in the place of the sum itself.
fn check(head: &[u8], at: u64) -> Result<(), ArchiveFault> {
    let field = 148..156;
    let bytes = || head.iter().enumerate().map(|(n, b)| if field.contains(&n) { b' ' } else { *b });
    let unsigned: u64 = bytes().map(u64::from).sum();
    // Some old tars added signed bytes.
    let signed: i64 = bytes().map(|b| i64::from(b.cast_signed())).sum();
    let written = number(&head[field.clone()], at)?;
    if written == unsigned || i64::try_from(written) == Ok(signed) {
        return Ok(());
    }
    Err(ArchiveFault::damaged("a tar head with a wrong check sum", at))
}

/// A number of a head: octal digits, or base 256 when the first bit is set.
fn number(field: &[u8], at: u64) -> Result<u64, ArchiveFault> {
    let damaged = || ArchiveFault::damaged("a tar head with a number that is none", at);
    if field[0] == 0x80 {
        let (high, low) = field[1..].split_at(field.len().saturating_sub(9));
        let value = low.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        return if high.iter().all(|b| *b == 0) && value >> 63 == 0 { Ok(value) } else { Err(damaged()) };
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|b| matches!(b, b' ' | 0)).unwrap_or(digits.len());
    let digits = std::str::from_utf8(&digits[..end]).map_err(|_| damaged())?;
    match digits {
        "" => Ok(0),
        _ if !digits.bytes().all(|b| b.is_ascii_digit()) => Err(damaged()),
        _ => u64::from_str_radix(digits, 8).map_err(|_| damaged()),
    }
}

/// The name in a head; ustar has a prefix for long ones.
fn own_name(head: &[u8], at: u64) -> Result<String, ArchiveFault> {
    let name = text(&head[..100], at)?;
    let prefix = if &head[257..263] == b"ustar\0" { text(&head[345..500], at)? } else { String::new() };
    Ok(if prefix.is_empty() { name } else { below(&prefix, &name) })
}

/// A text up to its first zero byte.
fn text(raw: &[u8], at: u64) -> Result<String, ArchiveFault> {
    let end = raw.iter().position(|b| *b == 0).unwrap_or(raw.len());
    let text = std::str::from_utf8(&raw[..end]);
    text.map(str::to_owned).map_err(|_| ArchiveFault::unread("a tar member whose name is not UTF-8", at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The head of a member; `size` is the raw field.
    fn head(name: &str, kind: u8, size: &[u8]) -> Vec<u8> {
        let mut h = vec![0; HEAD];
        h[..name.len()].copy_from_slice(name.as_bytes());
        h[124..124 + size.len()].copy_from_slice(size);
        h[156] = kind;
        h[257..265].copy_from_slice(b"ustar\x0000");
        h[148..156].fill(b' ');
        let sum: u32 = h.iter().map(|b| u32::from(*b)).sum();
        h[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        h
    }

    fn file(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut all = head(name, kind, format!("{:011o}\0", content.len()).as_bytes());
        all.extend_from_slice(content);
        all.resize(all.len().next_multiple_of(HEAD), 0);
        all
    }

    fn scan(size: u64, mut read: impl FnMut(Range<u64>) -> Vec<u8>) -> Result<(Vec<TarMember>, usize), ArchiveFault> {
        let (mut tar, mut reads) = (TarScan::new(size), 0);
        while let Some(range) = tar.next_read() {
            tar.feed(&read(range))?;
            reads += 1;
        }
        tar.members().map(|m| (m, reads))
    }

    fn scan_bytes(all: &[u8]) -> Result<Vec<TarMember>, ArchiveFault> {
        scan(all.len() as u64, |r| all[r.start as usize..r.end as usize].to_vec()).map(|(m, _)| m)
    }

    fn sample() -> Vec<u8> {
        let long = format!("{}/x", "d".repeat(200));
        let size = format!("{} path={long}\n", long.len() + 10);
        [file("toc.dat", b'0', b"PGDMP"), file("x", b'x', size.as_bytes()), file("cut", b'0', &[7; 600])]
            .concat()
            .into_iter()
            .chain([0; 1024])
            .collect()
    }

    #[test]
    fn names_offsets_and_lengths_are_right() {
        let got = scan_bytes(&sample()).unwrap();
        assert_eq!(got[0], TarMember { name: "toc.dat".into(), offset: 512, length: 5 });
        assert_eq!((got[1].offset, got[1].length, got[1].name.len()), (2560, 600, 202));
    }

    #[test]
    fn member_above_8_gib_is_jumped_over_in_both_ways_of_writing_its_size() {
        let huge = 10_u64 << 30;
        let mut base256 = vec![0x80, 0, 0, 0];
        base256.extend_from_slice(&huge.to_be_bytes());
        let record = format!("20 size={huge}\n");
        let (gnu, pax) = (head("a.dat", b'0', &base256), file("p", b'x', record.as_bytes()));
        let pax = [pax, head("a.dat", b'0', b"00000000000\0")].concat();
        for heads in [gnu, pax] {
            let end = heads.len() as u64 + huge;
            let last = [file("b.dat", b'0', b"b"), vec![0; 1024]].concat();
            let at = |n: u64| match n.checked_sub(end) {
                Some(n) => last[n as usize],
                None => heads.get(n as usize).copied().unwrap_or(b'?'),
            };
            let (got, reads) = scan(end + last.len() as u64, |r| r.map(at).collect()).unwrap();
            assert_eq!(got[0].length, huge);
            assert_eq!((got[1].name.as_str(), reads), ("b.dat", 2));
        }
    }

    #[test]
    fn every_cut_before_the_end_mark_is_a_fault() {
        let all = sample();
        // The first block of zeros alone is enough of an end mark.
        for n in 0..all.len() - 512 {
            assert!(scan_bytes(&all[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn wrong_sum_second_name_and_link_are_faults() {
        let mut all = sample();
        all[3] ^= 1;
        assert_eq!(
            scan_bytes(&all).unwrap_err().to_string(),
            "damaged archive: a tar head with a wrong check sum at byte 0"
        );
        let twice = [file("a", b'0', b""), file("./a", b'0', b""), vec![0; 1024]].concat();
        assert_eq!(scan_bytes(&twice).unwrap_err().to_string(), "damaged archive: a second tar member a at byte 512");
        let link = [file("a", b'2', b""), vec![0; 1024]].concat();
        assert!(scan_bytes(&link).unwrap_err().to_string().starts_with("a tar member of the type '2'"));
    }

    #[test]
    fn negative_base_256_size_is_a_fault() {
        assert!(scan_bytes(&[head("a", b'0', &[0xff; 12]), vec![0; 1024]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn a_flipped_byte_in_a_head_is_a_fault(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut all = sample();
            let at = at.index(all.len());
            all[at] ^= flip;
            let got = scan_bytes(&all);
            // The sum covers the heads (0, 1024, 2048); flips in contents and padding do not matter here.
            let in_head = [0, 1024, 2048].iter().any(|h| (*h..*h + HEAD).contains(&at));
            // The blank and zero behind the sum itself say nothing.
            prop_assert!(!in_head || got.is_err() || got == scan_bytes(&sample()));
        }

        #[test]
        fn garbage_never_panics(all in prop::collection::vec(any::<u8>(), 0..3000)) {
            let _ = scan_bytes(&all);
        }
    }
}
