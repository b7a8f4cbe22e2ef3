//! The beginning of a file, unpacked: what it is, and its first lines. One request for most files.

use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncReadExt;

use super::content::{Content, look};
use crate::config::Compression;
use crate::error::Result;
use crate::layout::Location;
use crate::layout::store_error;
use crate::manifest::FileEntry;
use crate::session::PinnedStore;
use crate::snapshot::text::bytes::unpacked;
use crate::snapshot::text::charset::beginning;

/// Bytes of a file that are read: a header, or enough lines to recognize its format.
pub(crate) const HEAD: u64 = 64 << 10;

/// Text that is kept of them when they are packed.
const TEXT: usize = 1 << 20;

/// The beginning of a file.
#[derive(Debug)]
pub(crate) struct Peeked {
    /// What its first bytes are.
    pub(crate) content: Content,
    /// Its text, unpacked; what it is instead is in the error.
    pub(crate) text: std::result::Result<Vec<u8>, String>,
    /// Whether there is more than this text.
    pub(crate) is_cut: bool,
}

/// Reads so many first bytes of `file`, which must still be as it was listed.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn peek(store: &Arc<dyn ObjectStore>, file: &FileEntry, bytes: u64) -> Result<Peeked> {
    let location = Location::from_uri(&file.uri)?;
    let pinned = PinnedStore::of_file(store, &location, file)?;
    let got = pinned.get_range(&location.key()?, 0..file.size.min(bytes)).await;
    let head = got.map_err(|source| store_error("read", &location, source))?;
    let is_cut = file.size > head.len() as u64;
    let content = look(&head, is_cut);
    let (text, is_cut) = match content {
        Content::Packed(compression) => match unpack(&head, compression, is_cut, TEXT).await {
            Ok((text, is_cut)) => match look(&text, is_cut) {
                Content::Text => (Ok(beginning(text)), is_cut),
                Content::Parquet => (Err("a compressed Parquet file; unpack it".to_owned()), is_cut),
                Content::PgDump => (Err("a compressed archive of pg_dump; unpack it".to_owned()), is_cut),
                Content::PgBinary => (Err("packed COPY BINARY of PostgreSQL".to_owned()), is_cut),
                Content::Avro | Content::Arrow => {
                    (Err("a compressed file of Avro or Arrow; unpack it".to_owned()), is_cut)
                }
                Content::Packed(_) => (Err("a file that was compressed twice; unpack it once".to_owned()), is_cut),
                Content::Foreign(what) | Content::Other(what) => (Err(what.to_owned()), is_cut),
            },
            Err(reason) => (Err(reason), is_cut),
        },
        Content::Text => (Ok(beginning(head.to_vec())), is_cut),
        Content::Parquet => (Err("Parquet".to_owned()), is_cut),
        other => (Err(other.advice().unwrap_or_default().to_owned()), is_cut),
    };
    Ok(Peeked { content, text, is_cut })
}

/// Text, and whether there is more; or why there is none.
pub(crate) type Unpacked = std::result::Result<(Vec<u8>, bool), String>;

/// At most `limit` bytes of text, and whether there is more; or why there is none.
pub(crate) async fn unpack(bytes: &[u8], compression: Compression, is_cut: bool, limit: usize) -> Unpacked {
    let mut reader = unpacked(bytes, compression);
    let mut text = Vec::new();
    // A decoder that meets the cut gives nothing of the buffer that it was filling: small ones lose little.
    let mut buffer = vec![0; 4 << 10];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => return Ok((text, is_cut)),
            Ok(read) => text.extend_from_slice(&buffer[..read]),
            Err(_) if is_cut => return Ok((text, true)),
            Err(error) => return Err(format!("it cannot be decompressed: {error}")),
        }
        if text.len() > limit {
            return Ok((text, true));
        }
    }
}
