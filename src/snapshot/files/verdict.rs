//! Classifies files with unclear names by their first bytes: data of the table, another format, or a document. One
//! request per file.

use std::sync::Arc;

use futures::Stream;
use object_store::ObjectStore;

use super::content::{Content, DUMP, TextKind, text_kind};
use super::peek::{HEAD, Peeked, peek};
use crate::concurrency::{spread, turn};
use crate::config::{Compression, FileFormat};
use crate::error::Result;
use crate::manifest::FileEntry;

/// Files that are looked into at once: small requests, so more than there are cores.
const AT_ONCE: usize = 32;

/// First bytes that distinguish Parquet from all else.
const MAGIC: u64 = 4 << 10;

/// Classifies files in their order, with one request each.
pub(crate) fn contents(
    store: &Arc<dyn ObjectStore>,
    format: &FileFormat,
    files: &[FileEntry],
) -> impl Stream<Item = Result<ContentVerdict>> {
    let bytes = if format.has_schema() { MAGIC } else { HEAD };
    let jobs = files.iter().map(move |file| {
        let (store, file, format) = (Arc::clone(store), file.clone(), format.clone());
        async move {
            let _turn = turn().await;
            Ok(verdict_of(&format, &peek(&store, &file, bytes).await?))
        }
    });
    spread(jobs, AT_ONCE)
}

/// Classification of a file by its content.
#[derive(Debug)]
pub(crate) enum ContentVerdict {
    /// Data of the table, so compressed.
    Data(Compression),
    OtherFormat,
    Document,
    /// Why it is not clear.
    Uncertain(String),
}

fn verdict_of(format: &FileFormat, peeked: &Peeked) -> ContentVerdict {
    let packed = match peeked.content {
        Content::Packed(packed) => packed,
        _ => Compression::None,
    };
    let is_parquet = matches!(format, FileFormat::Parquet);
    let is_binary = !format.is_text();
    match (peeked.content, format) {
        (Content::Avro, FileFormat::Avro)
        | (Content::Arrow, FileFormat::Arrow)
        | (Content::PgBinary, FileFormat::PgBinary(_)) => return ContentVerdict::Data(Compression::None),
        (Content::Avro | Content::Arrow | Content::PgBinary, _) => return ContentVerdict::OtherFormat,
        _ => {}
    }
    let text = match (peeked.content, &peeked.text) {
        (Content::Parquet, _) if is_parquet => return ContentVerdict::Data(packed),
        (Content::PgDump, _) => return ContentVerdict::Uncertain(DUMP.to_owned()),
        (Content::Packed(_), Err(reason)) => return ContentVerdict::Uncertain(reason.clone()),
        (Content::Packed(_), Ok(_)) if is_binary => return ContentVerdict::OtherFormat,
        (Content::Other(what), _) if !is_binary => return ContentVerdict::Uncertain(what.to_owned()),
        (_, Ok(text)) if !is_binary => String::from_utf8_lossy(text),
        _ => return ContentVerdict::OtherFormat,
    };
    if text.trim().is_empty() {
        return ContentVerdict::Data(packed);
    }
    let is_one_long_line = peeked.is_cut && !text.contains('\n');
    match (text_kind(&text, peeked.is_cut), format) {
        (TextKind::Document(_), _) => ContentVerdict::Document,
        (TextKind::Lines, FileFormat::Csv(_)) | (TextKind::Ndjson, FileFormat::Json(_)) => ContentVerdict::Data(packed),
        (TextKind::Other(_), FileFormat::Json(_)) if is_one_long_line && text.trim_start().starts_with('{') => {
            ContentVerdict::Data(packed)
        }
        (TextKind::Other(what), _) => ContentVerdict::Uncertain(what.to_owned()),
        _ => ContentVerdict::OtherFormat,
    }
}
