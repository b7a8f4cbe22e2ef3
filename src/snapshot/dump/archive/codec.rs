//! Uncompresses one stream (zlib, lz4 frame, zstd, or nothing) from pieces, with bounded output for each call.
//!
//! A few bytes can stand for gigabytes, so a call stops once about `limit` bytes came out; the caller takes them and
//! calls again. Memory is what the format needs: 32 KiB of window for zlib, up to 4 MiB blocks for lz4, up to 128
//! MiB of window for zstd (`--compress=zstd:long`); larger zstd windows are refused. Gzip heads are not read here: a
//! custom archive holds bare zlib streams.
//!
//! ```text
//! push([78 9C ..], limit 1 MiB)  ->  used 3000, more to come: call again with the rest
//! ```

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::format::ArchiveCompression;
use super::lz4::Lz4;

/// zstd takes 2^27 bytes of window as its own largest default, and pg_dump's `long` mode is just that.
const ZSTD_WINDOW_LOG: u32 = 27;
const SCRATCH: usize = 64 << 10;

/// One stream being uncompressed.
pub(crate) struct BlockCodec {
    stream: Stream,
    /// No bytes came so far: an empty stream, which pg_dump 16 and later write for an empty large object.
    untouched: bool,
    ended: bool,
    /// Output is waiting in the decoder though all input is used.
    pending: bool,
}

enum Stream {
    Plain,
    Zlib(Decompress, Vec<u8>),
    Lz4(Box<Lz4>),
    Zstd(Box<Decoder<'static>>, Vec<u8>),
}

impl BlockCodec {
    /// Begins a stream.
    pub(crate) fn new(compression: ArchiveCompression) -> Result<Self, String> {
        let stream = match compression {
            ArchiveCompression::None => Stream::Plain,
            ArchiveCompression::Gzip => Stream::Zlib(Decompress::new(true), vec![0; SCRATCH]),
            ArchiveCompression::Lz4 => Stream::Lz4(Box::new(Lz4::new())),
            ArchiveCompression::Zstd => {
                let mut decoder = Decoder::new().map_err(|e| e.to_string())?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(|e| e.to_string())?;
                Stream::Zstd(Box::new(decoder), vec![0; SCRATCH])
            }
        };
        Ok(Self { stream, untouched: true, ended: false, pending: false })
    }

    /// Whether the stream may end here.
    pub(crate) fn complete(&self) -> bool {
        !self.pending && (self.untouched || self.ended || matches!(self.stream, Stream::Plain))
    }

    /// Whether a call without input would give output.
    pub(crate) fn pending(&self) -> bool {
        self.pending
    }

    /// Uncompresses into `out` until `input` is used up or about `limit` bytes came; gives the bytes used.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<usize, String> {
        self.untouched &= input.is_empty();
        let (start, mut used) = (out.len(), 0);
        match &mut self.stream {
            Stream::Plain => {
                used = input.len().min(limit);
                out.extend_from_slice(&input[..used]);
            }
            Stream::Lz4(lz4) => {
                used = lz4.push(input, out, limit)?;
                self.ended = lz4.ended();
            }
            Stream::Zlib(zlib, scratch) => {
                while (used < input.len() || self.pending) && out.len() - start < limit {
                    if self.ended {
                        return Err("bytes after the end of the compressed data".to_owned());
                    }
                    let (before, had) = (zlib.total_in(), zlib.total_out());
                    let status = zlib
                        .decompress(&input[used..], scratch, FlushDecompress::None)
                        .map_err(|e| format!("compressed data that does not decode ({e})"))?;
                    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                    let (read, written) = (count(zlib.total_in() - before), count(zlib.total_out() - had));
                    used += read;
                    out.extend_from_slice(&scratch[..written]);
                    self.ended = status == Status::StreamEnd;
                    self.pending = !self.ended && written == scratch.len();
                    if read == 0 && written == 0 && !self.ended && used < input.len() {
                        return Err("compressed data that does not go on".to_owned());
                    }
                }
            }
            Stream::Zstd(decoder, scratch) => {
                while (used < input.len() || self.pending) && out.len() - start < limit {
                    let mut from = InBuffer::around(&input[used..]);
                    let mut to = OutBuffer::around(scratch.as_mut_slice());
                    let left = decoder
                        .run(&mut from, &mut to)
                        .map_err(|e| format!("compressed data that does not decode ({e})"))?;
                    let (read, written) = (from.pos(), to.pos());
                    used += read;
                    out.extend_from_slice(&scratch[..written]);
                    self.ended = left == 0;
                    self.pending = !self.ended && written == scratch.len();
                    if read == 0 && written == 0 && used < input.len() {
                        return Err("compressed data that does not go on".to_owned());
                    }
                }
            }
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    pub(crate) fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn all(kind: ArchiveCompression, packed: &[u8], step: usize, limit: usize) -> Result<(Vec<u8>, usize), String> {
        let (mut codec, mut whole, mut most) = (BlockCodec::new(kind)?, Vec::new(), 0);
        for piece in packed.chunks(step) {
            let mut used = 0;
            loop {
                let mut out = Vec::new();
                used += codec.push(&piece[used..], &mut out, limit)?;
                most = most.max(out.len());
                whole.extend_from_slice(&out);
                if used == piece.len() && !codec.pending() {
                    break;
                }
            }
        }
        if codec.complete() { Ok((whole, most)) } else { Err("cut".to_owned()) }
    }

    #[test]
    fn bombs_come_out_in_bounded_pieces() {
        let plain = vec![b'x'; 20 << 20];
        let packs = [
            (ArchiveCompression::Gzip, zlib(&plain)),
            (ArchiveCompression::Zstd, zstd::encode_all(&plain[..], 1).unwrap()),
        ];
        for (kind, packed) in packs {
            for step in [1, 1000, usize::MAX] {
                let (whole, most) = all(kind, &packed, step, 1 << 20).unwrap();
                assert!(whole == plain && most <= (1 << 20) + (128 << 10), "{kind:?} {step} {most}");
            }
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let plain = b"1\tone\n2\ttwo\n\\.\n\n\n".repeat(50);
        let packs = [
            (ArchiveCompression::Gzip, zlib(&plain)),
            (ArchiveCompression::Zstd, zstd::encode_all(&plain[..], 1).unwrap()),
        ];
        for (kind, packed) in packs {
            for n in 1..packed.len() {
                assert!(all(kind, &packed[..n], 16, 1 << 20).is_err(), "{kind:?} {n}");
            }
        }
    }

    #[test]
    fn bytes_after_a_zlib_stream_are_an_error() {
        let packed = [zlib(b"abc"), b"x".to_vec()].concat();
        assert!(all(ArchiveCompression::Gzip, &packed, 100, 100).is_err());
    }

    #[test]
    fn a_zstd_window_above_128_mib_is_refused() {
        // Magic, no single segment, window log 10 + 18 = 28, then an empty last block.
        let packed = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 0x01, 0x00, 0x00];
        assert!(all(ArchiveCompression::Zstd, &packed, 100, 100).is_err());
    }
}
