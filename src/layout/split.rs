//! The uri of a part of a stored file, or of a file with a checksum: that of the file, `#` and what it is.
//!
//! ```text
//! s3://b/in/shop.sql#bytes=4096-70123      file s3://b/in/shop.sql, split bytes=4096-70123
//! ```
//!
//! Here is only what tells the two apart; `crate::snapshot::split` knows what a split means. A file whose name ends
//! like a split cannot be read: listings report it.

/// The words that a split begins with.
const KINDS: [&str; 6] = ["bytes=", "unpacked=", "copy=", "block=", "md5=", "size="];

/// The uri of the file, and the split; None if the uri has none.
pub(crate) fn split_of(uri: &str) -> Option<(&str, &str)> {
    let (file, split) = uri.rsplit_once('#')?;
    KINDS.iter().any(|kind| split.starts_with(kind)).then_some((file, split))
}

/// The uri of the file.
pub(crate) fn file_uri(uri: &str) -> &str {
    split_of(uri).map_or(uri, |(file, _)| file)
}

/// Whether the entry with this uri is a whole file.
pub(crate) fn is_whole_file(uri: &str) -> bool {
    split_of(uri).is_none_or(|(_, split)| split.starts_with("md5=") || split.starts_with("size="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_word_after_the_last_hash_is_a_split() {
        assert_eq!(split_of("s3://b/a#1#bytes=1-2"), Some(("s3://b/a#1", "bytes=1-2")));
        assert!(
            is_whole_file("s3://b/a#md5=00") && is_whole_file("s3://b/a#size=9") && !is_whole_file("s3://b/a#copy=0-1")
        );
        for uri in ["s3://b/a", "s3://b/a#b", "s3://b/a#bytes/c"] {
            assert_eq!((file_uri(uri), is_whole_file(uri)), (uri, true));
        }
    }
}
