//! What becomes of files whose names say nothing: their first bytes tell whether they are data of the table. One request
//! for each.

use std::sync::Arc;

use futures::Stream;
use object_store::ObjectStore;

use super::content::{Content, TextKind, text_kind};
use super::peek::{HEAD, Peeked, peek};
use crate::concurrency::{spread, turn};
use crate::config::{Compression, FileFormat};
use crate::error::Result;
use crate::manifest::FileEntry;

/// Files that are looked into at once: small requests, so more than there are cores.
const AT_ONCE: usize = 32;

/// First bytes that distinguish Parquet from all else.
const MAGIC: u64 = 4 << 10;

/// What the contents of files say, in their order; one request each.
pub(crate) fn contents(
    store: &Arc<dyn ObjectStore>,
    format: &FileFormat,
    files: &[FileEntry],
) -> impl Stream<Item = Result<Told>> {
    let bytes = if matches!(format, FileFormat::Parquet) { MAGIC } else { HEAD };
    let jobs = files.iter().map(move |file| {
        let (store, file, format) = (Arc::clone(store), file.clone(), format.clone());
        async move {
            let _turn = turn().await;
            Ok(told(&format, &peek(&store, &file, bytes).await?))
        }
    });
    spread(jobs, AT_ONCE)
}

/// What the content of a file says.
#[derive(Debug)]
pub(crate) enum Told {
    /// Data of the table, so compressed.
    Data(Compression),
    OtherFormat,
    Document,
    /// Why it is not clear.
    Uncertain(String),
}

fn told(format: &FileFormat, peeked: &Peeked) -> Told {
    let packed = match peeked.content {
        Content::Packed(packed) => packed,
        _ => Compression::None,
    };
    let is_parquet = matches!(format, FileFormat::Parquet);
    let text = match (peeked.content, &peeked.text) {
        (Content::Parquet, _) if is_parquet => return Told::Data(packed),
        (Content::Packed(_), Err(reason)) => return Told::Uncertain(reason.clone()),
        (Content::Packed(_), Ok(_)) if is_parquet => return Told::OtherFormat,
        (Content::Other(what), _) if !is_parquet => return Told::Uncertain(what.to_owned()),
        (_, Ok(text)) if !is_parquet => String::from_utf8_lossy(text),
        _ => return Told::OtherFormat,
    };
    if text.trim().is_empty() {
        return Told::Data(packed);
    }
    let is_one_long_line = peeked.is_cut && !text.contains('\n');
    match (text_kind(&text, peeked.is_cut), format) {
        (TextKind::Document(_), _) => Told::Document,
        (TextKind::Lines, FileFormat::Csv(_)) | (TextKind::Ndjson, FileFormat::Json(_)) => Told::Data(packed),
        (TextKind::Other(_), FileFormat::Json(_)) if is_one_long_line && text.trim_start().starts_with('{') => {
            Told::Data(packed)
        }
        (TextKind::Other(what), _) => Told::Uncertain(what.to_owned()),
        _ => Told::OtherFormat,
    }
}
