//! Decodes LZ4 frames from pieces of any size.
//!
//! `lz4_flex` reads frames from a `Read`, which cannot pause in the middle; here bytes come when they come. So this
//! module reads the frame itself (head, blocks, check sums) and leaves only the single block to `lz4_flex`. Linked
//! blocks, which pg_dump writes, see the last 64 KiB of output. Memory: one block in and out (at most 4 MiB each).
//! Dictionaries, skippable and legacy frames are faults, as pg_dump writes none.
//!
//! ```text
//! 04 22 4D 18 | flags, block size, head sum | length, block | length, block | 00 00 00 00 | content sum
//! ```

const WINDOW: usize = 64 << 10;

/// What the next `need` bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lz4Part {
    Head,
    Length,
    DataBlock { packed: bool },
    Sum,
}

/// The state between two pieces.
pub(crate) struct Lz4 {
    part: Lz4Part,
    /// The bytes of `part` that came so far.
    buf: Vec<u8>,
    need: usize,
    max_block: usize,
    linked: bool,
    block_sums: bool,
    content_sum: Option<Xxh32>,
    content_size: Option<u64>,
    produced: u64,
    /// The last 64 KiB of output of a frame with linked blocks.
    dict: Vec<u8>,
    plain: Vec<u8>,
    ended: bool,
}

impl Lz4 {
    /// Begins before a frame.
    pub(crate) fn new() -> Self {
        Self {
            part: Lz4Part::Head,
            buf: Vec::new(),
            need: 7,
            max_block: 0,
            linked: false,
            block_sums: false,
            content_sum: None,
            content_size: None,
            produced: 0,
            dict: Vec::new(),
            plain: Vec::new(),
            ended: false,
        }
    }

    /// Whether the last frame is complete.
    pub(crate) fn ended(&self) -> bool {
        self.ended && self.buf.is_empty()
    }

    /// Decodes into `out` until `input` is used up or at least `limit` bytes came; gives the bytes used.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<usize, String> {
        let (start, mut used) = (out.len(), 0);
        while used < input.len() && out.len() - start < limit {
            let n = (self.need - self.buf.len()).min(input.len() - used);
            self.buf.extend_from_slice(&input[used..used + n]);
            used += n;
            if self.buf.len() == self.need {
                self.part(out)?;
            }
        }
        Ok(used)
    }

    /// Handles a part whose bytes are all there, and says what comes next.
    fn part(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let word = |b: &[u8]| b.iter().take(4).rev().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        match self.part {
            Lz4Part::Head => {
                self.ended = false;
                let whole = head_size(&self.buf)?;
                if whole > self.buf.len() {
                    self.need = whole;
                    return Ok(());
                }
                self.head()?;
                self.await_part(Lz4Part::Length, 4);
            }
            Lz4Part::Length => match word(&self.buf) {
                0 if self.content_size.is_some_and(|size| size != self.produced) => {
                    return Err("an lz4 frame that does not have the size it says".to_owned());
                }
                0 if self.content_sum.is_some() => self.await_part(Lz4Part::Sum, 4),
                0 => self.end(),
                length => {
                    let size = (length & 0x7fff_ffff) as usize;
                    if size > self.max_block {
                        return Err(format!("an lz4 block of {size} bytes in a frame with at most {}", self.max_block));
                    }
                    let sum = if self.block_sums { 4 } else { 0 };
                    self.await_part(Lz4Part::DataBlock { packed: length >> 31 == 0 }, size + sum);
                }
            },
            Lz4Part::DataBlock { packed } => {
                let size = self.need - if self.block_sums { 4 } else { 0 };
                let (block, sum) = self.buf.split_at(size);
                if self.block_sums && Xxh32::of(block) != word(sum) {
                    return Err("an lz4 block with a wrong check sum".to_owned());
                }
                let plain = if packed {
                    self.plain.resize(self.max_block, 0);
                    let n = lz4_flex::block::decompress_into_with_dict(block, &mut self.plain, &self.dict)
                        .map_err(|e| format!("an lz4 block that does not decode ({e})"))?;
                    &self.plain[..n]
                } else {
                    block
                };
                out.extend_from_slice(plain);
                self.produced += plain.len() as u64;
                if let Some(sum) = &mut self.content_sum {
                    sum.update(plain);
                }
                if self.linked {
                    self.dict.extend_from_slice(&plain[plain.len().saturating_sub(WINDOW)..]);
                    let old = self.dict.len().saturating_sub(WINDOW);
                    self.dict.drain(..old);
                }
                self.await_part(Lz4Part::Length, 4);
            }
            Lz4Part::Sum => {
                if self.content_sum.as_ref().is_some_and(|sum| sum.finish() != word(&self.buf)) {
                    return Err("an lz4 frame with a wrong check sum".to_owned());
                }
                self.end();
            }
        }
        Ok(())
    }

    fn await_part(&mut self, part: Lz4Part, need: usize) {
        self.buf.clear();
        (self.part, self.need) = (part, need);
    }

    fn end(&mut self) {
        self.await_part(Lz4Part::Head, 7);
        self.ended = true;
    }

    /// Takes the settings of a frame from its head.
    fn head(&mut self) -> Result<(), String> {
        let (flags, sizes) = (self.buf[4], self.buf[5]);
        let Some((sum, fields)) = self.buf[4..].split_last() else { return Err("an empty lz4 head".to_owned()) };
        if (Xxh32::of(fields) >> 8 & 0xff) as u8 != *sum {
            return Err("an lz4 frame whose head has a wrong check sum".to_owned());
        }
        self.max_block = match sizes >> 4 & 7 {
            n @ 4..=7 => 1 << (8 + 2 * n),
            n => return Err(format!("an unknown lz4 block size {n}")),
        };
        self.linked = flags & 0x20 == 0;
        self.block_sums = flags & 0x10 != 0;
        self.content_size = (flags & 8 != 0).then(|| fields[2..].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)));
        self.content_sum = (flags & 4 != 0).then(Xxh32::new);
        self.produced = 0;
        self.dict.clear();
        Ok(())
    }
}

/// How long the head of a frame is, told by its first seven bytes.
fn head_size(head: &[u8]) -> Result<usize, String> {
    if head[..4] != [0x04, 0x22, 0x4d, 0x18] {
        return Err("data that is no lz4 frame".to_owned());
    }
    let flags = head[4];
    if flags >> 6 != 1 || flags & 3 != 0 {
        return Err(format!("an lz4 frame of an unknown version or with a dictionary (flags {flags:#x})"));
    }
    Ok(if flags & 8 != 0 { 15 } else { 7 })
}

const P1: u32 = 2_654_435_761;
const P2: u32 = 2_246_822_519;
const P3: u32 = 3_266_489_917;
const P4: u32 = 668_265_263;
const P5: u32 = 374_761_393;

/// The check sum of LZ4 frames (xxHash, 32 bits, seed 0).
struct Xxh32 {
    lanes: [u32; 4],
    rest: Vec<u8>,
    length: u64,
}

impl Xxh32 {
    fn new() -> Self {
        let lanes = [P1.wrapping_add(P2), P2, 0, 0_u32.wrapping_sub(P1)];
        Self { lanes, rest: Vec::with_capacity(16), length: 0 }
    }

    fn of(bytes: &[u8]) -> u32 {
        let mut sum = Self::new();
        sum.update(bytes);
        sum.finish()
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.rest.is_empty() {
            let n = bytes.len().min(16 - self.rest.len());
            self.rest.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.rest.len() < 16 {
                return;
            }
            stripe(&mut self.lanes, &self.rest);
            self.rest.clear();
        }
        let stripes = bytes.chunks_exact(16);
        self.rest.extend_from_slice(stripes.remainder());
        stripes.for_each(|s| stripe(&mut self.lanes, s));
    }

    fn finish(&self) -> u32 {
        let [a, b, c, d] = self.lanes;
        let long = a.rotate_left(1).wrapping_add(b.rotate_left(7)).wrapping_add(c.rotate_left(12));
        let mut h = if self.length >= 16 { long.wrapping_add(d.rotate_left(18)) } else { P5 };
        // The length counts modulo 2^32.
        h = h.wrapping_add((self.length & 0xffff_ffff) as u32);
        let words = self.rest.chunks_exact(4);
        let bytes = words.remainder();
        for w in words {
            let w = u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
            h = h.wrapping_add(w.wrapping_mul(P3)).rotate_left(17).wrapping_mul(P4);
        }
        for b in bytes {
            h = h.wrapping_add(u32::from(*b).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
        }
        h = (h ^ h >> 15).wrapping_mul(P2);
        h = (h ^ h >> 13).wrapping_mul(P3);
        h ^ h >> 16
    }
}

fn stripe(lanes: &mut [u32; 4], bytes: &[u8]) {
    for (lane, w) in lanes.iter_mut().zip(bytes.chunks_exact(4)) {
        let w = u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
        *lane = lane.wrapping_add(w.wrapping_mul(P2)).rotate_left(13).wrapping_mul(P1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use proptest::prelude::*;
    use std::io::Write;

    fn frame(plain: &[u8], linked: bool, sums: bool, big: bool) -> Vec<u8> {
        let info = FrameInfo::new()
            .block_mode(if linked { BlockMode::Linked } else { BlockMode::Independent })
            .block_size(if big { BlockSize::Max1MB } else { BlockSize::Max64KB })
            .block_checksums(sums)
            .content_checksum(sums)
            .content_size(sums.then_some(plain.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(packed: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let (mut lz4, mut out) = (Lz4::new(), Vec::new());
        for piece in packed.chunks(step) {
            let mut used = 0;
            while used < piece.len() {
                used += lz4.push(&piece[used..], &mut out, 1 << 20)?;
            }
        }
        if lz4.ended() { Ok(out) } else { Err("cut".to_owned()) }
    }

    /// Text whose repetitions reach back over several blocks.
    fn text(n: u32) -> Vec<u8> {
        (0..n).flat_map(|i| format!("{}\t{}\n", i % 977, i.wrapping_mul(P1) % 5003).into_bytes()).collect()
    }

    #[test]
    fn frames_of_all_kinds_in_pieces_of_all_sizes_are_equal() {
        let plain = text(60_000);
        for bits in 0..8 {
            let packed = frame(&plain, bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            for step in [1, 7, 4096, usize::MAX] {
                assert!(decode(&packed, step).unwrap() == plain, "{bits} {step}");
            }
        }
    }

    #[test]
    fn two_frames_one_after_the_other_are_both_read() {
        let two = [frame(b"one", true, true, false), frame(b"two", true, false, false)].concat();
        assert_eq!(decode(&two, 5).unwrap(), b"onetwo");
    }

    #[test]
    fn known_sums_are_right() {
        assert_eq!(Xxh32::of(b""), 0x02cc_5d05);
        assert_eq!(Xxh32::of(b"abc"), 0x32d1_53ff);
    }

    #[test]
    fn every_cut_is_an_error_and_never_a_shorter_text() {
        let packed = frame(&text(3000), true, false, false);
        for n in 0..packed.len() {
            assert!(decode(&packed[..n], 4096).is_err(), "{n}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_byte_never_panics(at in any::<prop::sample::Index>(), flip in 1_u8.., sums in any::<bool>()) {
            let plain = text(2000);
            let mut packed = frame(&plain, true, sums, false);
            let at = at.index(packed.len());
            packed[at] ^= flip;
            let got = decode(&packed, 1000);
            prop_assert!(!sums || got.is_err() || got == Ok(plain));
        }
    }
}
