//! A part of a stored file as an entry of its own, and what is known of its bytes: a table of a dump is a byte range, a
//! file of a DynamoDB export has an MD5.
//!
//! ```text
//! file:///in/shop.sql#bytes=4096-70123            these bytes of the file
//! file:///in/shop.sql.gz#unpacked=4096-70123      these bytes of what it unpacks to
//! file:///in/shop.tar#copy=4096-70123             COPY data with its end mark, perhaps packed as the name says
//! file:///in/shop.dump#block=4096-70123;17;4;gzip  data block 17 of a pg_dump archive: COPY data with its end mark
//! s3://b/data/x.json.gz#md5=19e66074..            the whole file, with this MD5
//! s3://b/data/x.tsv.zst#size=4096                 the whole file, which unpacks to so many bytes
//! ```
//!
//! `crate::layout::split` finds the split in a uri.

use std::fmt;
use std::ops::Range;

use crate::layout::split::split_of;
use crate::snapshot::dump::archive::blocks::BlockForm;
use crate::snapshot::dump::archive::format::ArchiveCompression;

/// Which bytes of a file belong to an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Split {
    /// All of them, and their MD5 as hex digits.
    Whole { md5: String },
    /// All of them, and how many they are once they are unpacked.
    Sized(u64),
    /// Stored bytes.
    Bytes(Range<u64>),
    /// Bytes of the unpacked file.
    Unpacked(Range<u64>),
    /// Stored bytes that are COPY data with its end mark, packed as the name of the file says.
    Copy(Range<u64>),
    /// Stored bytes that are a data block of a pg_dump archive.
    Block(Range<u64>, BlockForm),
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { md5 } => write!(f, "md5={md5}"),
            Self::Sized(size) => write!(f, "size={size}"),
            Self::Bytes(range) => write!(f, "bytes={}-{}", range.start, range.end),
            Self::Unpacked(range) => write!(f, "unpacked={}-{}", range.start, range.end),
            Self::Copy(range) => write!(f, "copy={}-{}", range.start, range.end),
            Self::Block(range, BlockForm { id, int_size, compression }) => {
                write!(f, "block={}-{};{id};{int_size};{}", range.start, range.end, compression.name())
            }
        }
    }
}

impl Split {
    /// The uri of an entry: that of the file and the split.
    pub(crate) fn uri(&self, file: &str) -> String {
        format!("{file}#{self}")
    }

    /// The stored bytes that it is, if it is a range of them.
    pub(crate) fn stored(&self) -> Option<Range<u64>> {
        match self {
            Self::Bytes(range) | Self::Copy(range) | Self::Block(range, _) => Some(range.clone()),
            Self::Whole { .. } | Self::Sized(_) | Self::Unpacked(_) => None,
        }
    }

    /// The uri of the file and the split of an entry; None if it has none.
    pub(crate) fn of(uri: &str) -> Option<(&str, Self)> {
        let (file, text) = split_of(uri)?;
        let (kind, value) = text.split_once('=')?;
        if kind == "md5" {
            let is_md5 = value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
            return is_md5.then(|| (file, Self::Whole { md5: value.to_owned() }));
        }
        if kind == "size" {
            return Some((file, Self::Sized(value.parse().ok()?)));
        }
        let (value, form) = value.split_once(';').map_or((value, None), |(value, form)| (value, Some(form)));
        let (start, end) = value.split_once('-')?;
        let range: Range<u64> = start.parse().ok()?..end.parse().ok()?;
        let split = match kind {
            "bytes" => Self::Bytes(range.clone()),
            "unpacked" => Self::Unpacked(range.clone()),
            "copy" => Self::Copy(range.clone()),
            "block" => {
                let mut form = form?.split(';');
                let (id, int_size) = (form.next()?.parse().ok()?, form.next()?.parse().ok()?);
                let compression = ArchiveCompression::parse(form.next()?)?;
                Self::Block(range.clone(), BlockForm { id, int_size, compression })
            }
            _ => return None,
        };
        (range.start <= range.end).then_some((file, split))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_comes_back_from_its_uri() {
        let md5 = "19e66074914254bf29855712bb37a600".to_owned();
        let form = BlockForm { id: 17, int_size: 4, compression: ArchiveCompression::Gzip };
        let block = Split::Block(7..u64::MAX, form);
        let ranges = [Split::Bytes(4..9), Split::Unpacked(0..0), Split::Copy(0..1), block];
        for split in [Split::Whole { md5 }, Split::Sized(0)].into_iter().chain(ranges) {
            let uri = split.uri("s3://b/a#bytes=1-2");
            assert_eq!(Split::of(&uri), Some(("s3://b/a#bytes=1-2", split)));
        }
    }

    #[test]
    fn name_with_a_hash_is_no_split() {
        for uri in ["s3://b/a", "s3://b/a#b", "s3://b/a#bytes=9-1", "s3://b/a#bytes=-1", "s3://b/a#md5=xyz"] {
            assert_eq!(Split::of(uri), None, "{uri}");
        }
    }
}
