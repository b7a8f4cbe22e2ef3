//! One block unpacked, of bounded size.
//!
//! A block that unpacks to more than the limit is an error as soon as the limit is passed; the memory grows with the
//! bytes that are really there. Bytes after the end of the packed data are damage, and snappy's checksum is checked.

use std::io::{Read, Result as IoResult};

/// How the blocks of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AvroCodec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

/// Why a block could not be unpacked.
#[derive(Debug)]
pub(super) enum Unpack {
    /// It has at least this many bytes.
    TooLong(u64),
    /// What is wrong with it.
    Damaged(String),
}

impl AvroCodec {
    /// By the name in the header; a header without one means `null`.
    pub(super) fn of(name: Option<&[u8]>) -> Result<Self, String> {
        Ok(match name {
            None | Some(b"null" | b"") => Self::Null,
            Some(b"deflate") => Self::Deflate,
            Some(b"snappy") => Self::Snappy,
            Some(b"zstandard") => Self::Zstandard,
            Some(b"bzip2") => Self::Bzip2,
            Some(b"xz") => Self::Xz,
            Some(other) => return Err(other.escape_ascii().to_string().chars().take(80).collect()),
        })
    }

    /// Unpacks `packed` into `out`, which is cleared first.
    pub(super) fn unpack(self, packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), Unpack> {
        out.clear();
        match self {
            Self::Null => {
                out.extend_from_slice(packed);
                Ok(())
            }
            Self::Snappy => snappy(packed, out, limit),
            Self::Deflate => {
                let mut from = flate2::bufread::DeflateDecoder::new(packed);
                read_all(&mut from, out, limit)?;
                // fastavro packs with zlib, then takes off the header and only the last of four bytes of checksum.
                match from.into_inner() {
                    [] => Ok(()),
                    left if adler2::adler32_slice(out).to_be_bytes().starts_with(left) => Ok(()),
                    left => none_left(left),
                }
            }
            Self::Bzip2 => {
                let mut from = bzip2::bufread::BzDecoder::new(packed);
                read_all(&mut from, out, limit)?;
                none_left(from.into_inner())
            }
            Self::Xz => {
                let mut from = liblzma::bufread::XzDecoder::new(packed);
                read_all(&mut from, out, limit)?;
                none_left(from.into_inner())
            }
            Self::Zstandard => {
                // Frames one after another are one text, so none can be left.
                let mut from = zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?;
                read_all(&mut from, out, limit)
            }
        }
    }
}

fn read_all(from: &mut impl Read, out: &mut Vec<u8>, limit: usize) -> Result<(), Unpack> {
    let read: IoResult<usize> = from.take(limit as u64 + 1).read_to_end(out);
    let read = read.map_err(damaged)?;
    if read > limit { Err(Unpack::TooLong(read as u64)) } else { Ok(()) }
}

fn none_left(left: &[u8]) -> Result<(), Unpack> {
    match left.len() {
        0 => Ok(()),
        left => Err(Unpack::Damaged(format!("{left} bytes after the end of its packed data"))),
    }
}

fn damaged(error: impl std::fmt::Display) -> Unpack {
    Unpack::Damaged(error.to_string())
}

/// Raw snappy and the CRC-32 of the unpacked bytes, big-endian.
fn snappy(packed: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), Unpack> {
    let Some((packed, checksum)) = packed.split_last_chunk::<4>() else {
        return Err(damaged("shorter than its checksum"));
    };
    let stated = snap::raw::decompress_len(packed).map_err(damaged)?;
    if stated > limit {
        return Err(Unpack::TooLong(stated as u64));
    }
    // Three bytes copy at most 64: a longer claim is a lie that must not be allocated.
    if stated > packed.len().saturating_mul(32) + 64 {
        return Err(damaged(format!("{} bytes cannot unpack to {stated}", packed.len())));
    }
    out.resize(stated, 0);
    let unpacked = snap::raw::Decoder::new().decompress(packed, out).map_err(damaged)?;
    out.truncate(unpacked);
    let mut sum = flate2::Crc::new();
    sum.update(out);
    if sum.sum() == u32::from_be_bytes(*checksum) { Ok(()) } else { Err(damaged("wrong snappy checksum")) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_block_that_unpacks_beyond_the_limit_is_refused() {
        let zeros = vec![0u8; 1 << 20];
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&zeros).unwrap();
        let packed = packed.finish().unwrap();
        let mut out = Vec::new();
        assert!(AvroCodec::Deflate.unpack(&packed, &mut out, 1 << 20).is_ok());
        assert!(matches!(AvroCodec::Deflate.unpack(&packed, &mut out, (1 << 20) - 1), Err(Unpack::TooLong(_))));
        let zstd = zstd::encode_all(&zeros[..], 3).unwrap();
        assert!(matches!(AvroCodec::Zstandard.unpack(&zstd, &mut out, 1000), Err(Unpack::TooLong(1001))));
    }

    #[test]
    fn snappy_lies_are_refused_without_allocating() {
        // Claims 4 GB - 1 in two bytes of data.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0];
        let mut out = Vec::new();
        assert!(matches!(AvroCodec::Snappy.unpack(&lie, &mut out, usize::MAX), Err(Unpack::Damaged(_))));
        assert_eq!(out.capacity(), 0);
        let mut good = snap::raw::Encoder::new().compress_vec(b"hello hello").unwrap();
        good.extend([0; 4]);
        assert!(matches!(AvroCodec::Snappy.unpack(&good, &mut out, 100), Err(Unpack::Damaged(_))));
    }

    #[test]
    fn deflate_may_end_with_a_part_of_the_checksum_of_its_data_and_of_no_other() {
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(b"abc").unwrap();
        let packed = packed.finish().unwrap();
        let mut out = Vec::new();
        for end in packed.len() - 4..=packed.len() {
            assert!(AvroCodec::Deflate.unpack(&packed[2..end], &mut out, 100).is_ok());
            assert_eq!(out, b"abc");
        }
        for place in packed.len() - 4..packed.len() {
            let mut wrong = packed.clone();
            wrong[place] ^= 1;
            assert!(matches!(AvroCodec::Deflate.unpack(&wrong[2..], &mut out, 100), Err(Unpack::Damaged(_))));
        }
    }

    #[test]
    fn bytes_after_the_packed_data_are_damage() {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(b"abc").unwrap();
        let mut packed = packed.finish().unwrap();
        packed.push(0);
        let mut out = Vec::new();
        assert!(matches!(AvroCodec::Deflate.unpack(&packed, &mut out, 100), Err(Unpack::Damaged(_))));
    }
}
