//! Makes archives for the tests, as pg_dump of any archive version would write them; and reads them whole.
//!
//! ```text
//! Made::new(16, 3).custom(&[(3396, "orders", b"1\tx\n\\.\n\n\n")], offsets: true)
//! ```

use std::io::Write;

use super::blocks::{BlockDecoder, BlockForm, BlockState};
use super::fault::ArchiveFault;
use super::format::ArchiveFormat;
use super::offsets::{BlockPlan, DataBlock, DataBlocks, plan};
use super::toc::{Fed, Toc, TocReader};

/// The settings of a made archive.
pub(crate) struct Made {
    pub(crate) minor: u8,
    /// 0 none, 1 gzip, 2 lz4, 3 zstd.
    pub(crate) compression: u8,
    pub(crate) int_size: usize,
    pub(crate) format: u8,
    /// Bytes of a data chunk.
    pub(crate) chunk: usize,
}

impl Made {
    pub(crate) fn new(minor: u8, compression: u8) -> Self {
        Self { minor, compression, int_size: 4, format: 1, chunk: 50 }
    }

    pub(crate) fn int(&self, n: i64, to: &mut Vec<u8>) {
        to.push(u8::from(n < 0));
        to.extend(n.unsigned_abs().to_le_bytes().iter().take(self.int_size));
    }

    fn text(&self, s: Option<&str>, to: &mut Vec<u8>) {
        self.int(s.map_or(-1, |s| s.len() as i64), to);
        to.extend_from_slice(s.unwrap_or_default().as_bytes());
    }

    fn entry(&self, id: i64, desc: &str, tag: &str, defn: &str, dep: Option<i64>, data: Result<u64, u8>) -> Vec<u8> {
        let mut to = Vec::new();
        let is_data = matches!(desc, "TABLE DATA" | "BLOBS");
        let copy = format!("COPY public.{tag} (a, b) FROM stdin;\n");
        self.int(id, &mut to);
        self.int(i64::from(is_data), &mut to);
        for s in ["1259", "16402", tag, desc] {
            self.text(Some(s), &mut to);
        }
        self.int(if is_data { 3 } else { 2 }, &mut to);
        self.text(Some(defn), &mut to);
        self.text(None, &mut to);
        self.text((desc == "TABLE DATA").then_some(copy.as_str()), &mut to);
        self.text(Some("public"), &mut to);
        self.text(Some(""), &mut to);
        if self.minor >= 14 {
            self.text(Some("heap"), &mut to);
        }
        if self.minor >= 16 {
            self.int(if desc == "TABLE" { i64::from(b'r') } else { 0 }, &mut to);
        }
        self.text(Some("owner"), &mut to);
        self.text(Some("false"), &mut to);
        if let Some(dep) = dep {
            self.text(Some(&dep.to_string()), &mut to);
        }
        self.text(None, &mut to);
        if self.format == 1 {
            to.push(match data {
                Ok(0) => 1,
                Ok(_) => 2,
                Err(state) => state,
            });
            to.extend_from_slice(&data.unwrap_or_default().to_le_bytes());
        } else {
            self.text(Some(&if is_data { format!("{id}.dat") } else { String::new() }), &mut to);
        }
        to
    }

    /// Head and table of contents; `offsets` are those of the tables, then that of the large objects.
    pub(crate) fn toc(&self, tables: &[(i64, &str, &[u8])], offsets: &[u64], blobs: bool) -> Vec<u8> {
        let mut to = b"PGDMP\x01".to_vec();
        to.extend_from_slice(&[self.minor, 0, self.int_size as u8, 8, self.format]);
        match self.minor {
            15.. => to.push(self.compression),
            _ => self.int(if self.compression == 0 { 0 } else { -1 }, &mut to),
        }
        for n in [55, 42, 15, 30, 10, 126, 0] {
            self.int(n, &mut to);
        }
        for s in ["shop", "15.18", "17.2"] {
            self.text(Some(s), &mut to);
        }
        self.int(tables.len() as i64 * 2 + 1 + i64::from(blobs), &mut to);
        to.extend(self.entry(1, "ENCODING", "ENCODING", "SET client_encoding = 'UTF8';\n", None, Err(3)));
        for (n, (id, name, _)) in tables.iter().enumerate() {
            let defn = format!("CREATE TABLE public.{name} (a integer, b text);\n");
            to.extend(self.entry(id + 1000, "TABLE", name, &defn, None, Err(3)));
            let offset = offsets.get(n).copied().unwrap_or(0);
            to.extend(self.entry(*id, "TABLE DATA", name, "", Some(id + 1000), Ok(offset)));
        }
        if blobs {
            let offset = offsets.last().copied().unwrap_or(0);
            to.extend(self.entry(9000, "BLOBS", "BLOBS", "", None, Ok(offset)));
        }
        to
    }

    fn pack(&self, plain: &[u8]) -> Vec<u8> {
        match self.compression {
            1 => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            2 => {
                let info = lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Linked);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            3 => zstd::encode_all(plain, 3).unwrap(),
            _ => plain.to_vec(),
        }
    }

    fn chunks(&self, plain: &[u8], to: &mut Vec<u8>) {
        for chunk in self.pack(plain).chunks(self.chunk) {
            self.int(chunk.len() as i64, to);
            to.extend_from_slice(chunk);
        }
        self.int(0, to);
    }

    /// A whole custom archive; with `blobs` a block of three large objects ends it, one of them empty.
    pub(crate) fn custom(&self, tables: &[(i64, &str, &[u8])], offsets: bool, blobs: bool) -> Vec<u8> {
        let start = self.toc(tables, &[], blobs).len() as u64;
        let (mut body, mut places) = (Vec::new(), Vec::new());
        for (id, _, plain) in tables {
            places.push(start + body.len() as u64);
            body.push(1);
            self.int(*id, &mut body);
            self.chunks(plain, &mut body);
        }
        if blobs {
            places.push(start + body.len() as u64);
            body.push(3);
            self.int(9000, &mut body);
            for (oid, plain) in [(16400, &b"large"[..]), (-2_147_480_000, &[9; 400]), (16401, b"")] {
                self.int(oid, &mut body);
                self.chunks(plain, &mut body);
            }
            self.int(0, &mut body);
        }
        let mut all = self.toc(tables, if offsets { &places } else { &[] }, blobs);
        all.extend_from_slice(&body);
        all
    }
}

/// Reads a table of contents in pieces of `step` bytes.
pub(crate) fn read_toc(all: &[u8], place: ArchiveFormat, step: usize) -> Result<Toc, ArchiveFault> {
    let mut reader = TocReader::new(place);
    for piece in all.chunks(step) {
        if let Fed::Done(toc) = reader.feed(piece)? {
            return Ok(*toc);
        }
    }
    Err(reader.cut())
}

/// Finds all blocks, and tells how many reads it took.
pub(crate) fn find_blocks(toc: &Toc, all: &[u8]) -> Result<(DataBlocks, usize), ArchiveFault> {
    match plan(toc, all.len() as u64)? {
        BlockPlan::Known(blocks) => Ok((blocks, 0)),
        BlockPlan::Scan(mut scan) => {
            let mut reads = 0;
            while let Some(range) = scan.next_read() {
                scan.feed(&all[range.start as usize..range.end as usize])?;
                reads += 1;
            }
            scan.blocks().map(|blocks| (blocks, reads))
        }
    }
}

/// Uncompresses one block from pieces of `step` bytes.
pub(crate) fn read_block(
    toc: &Toc,
    id: i32,
    block: DataBlock,
    all: &[u8],
    step: usize,
) -> Result<Vec<u8>, ArchiveFault> {
    let (mut decoder, mut whole, mut out) = (BlockDecoder::new(BlockForm::of(toc, id), block)?, Vec::new(), Vec::new());
    let end = (all.len() as u64).min(block.offset.saturating_add(block.length)) as usize;
    for piece in all[(block.offset as usize).min(end)..end].chunks(step) {
        let mut used = 0;
        loop {
            let progress = decoder.push(&piece[used..], &mut out)?;
            assert!(out.len() <= 6 << 20);
            whole.append(&mut out);
            used += progress.used;
            if progress.state != BlockState::Full {
                break;
            }
        }
    }
    decoder.finish()?;
    Ok(whole)
}

/// Everything: the table of contents, and the data of each table in the order of their ids.
pub(crate) fn read_all(all: &[u8], step: usize) -> Result<Vec<(i32, Vec<u8>)>, ArchiveFault> {
    let toc = read_toc(all, ArchiveFormat::Custom, step)?;
    let (blocks, _) = find_blocks(&toc, all)?;
    let mut tables = Vec::new();
    for entry in toc.table_data() {
        let block = blocks[&entry.dump_id];
        tables.push((entry.dump_id, read_block(&toc, entry.dump_id, block, all, step)?));
    }
    Ok(tables)
}
