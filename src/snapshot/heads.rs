//! The names that the beginnings of text files have, where columns are declared and the files are not read while planning.
//!
//! A bounded number of files is looked at, spread evenly over the list: one request each. The header of a CSV file has all its
//! names, the first records of an NDJSON file have some. What cannot be read here is left to the task that reads the file.

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;

use super::head::Head;
use super::names::NameTree;
use super::peek::{HEAD, Peeked, peek};
use crate::config::FileFormat;
use crate::error::Result;
use crate::manifest::FileEntry;

/// Files that are looked at.
pub(super) const HEADS: usize = 16;

/// The names of a file, and whether these are all.
pub(super) type Names = Option<(NameTree, bool)>;

/// At most [`HEADS`] of the files, spread evenly.
pub(super) fn some(files: &[FileEntry]) -> impl Iterator<Item = &FileEntry> {
    let count = files.len().min(HEADS);
    (0..count).map(move |number| &files[number * files.len() / count])
}

/// Looks at a file; `None` if its beginning does not tell.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(super) async fn names_of(store: &Arc<dyn ObjectStore>, file: &FileEntry, format: &FileFormat) -> Result<Names> {
    let Peeked { text, is_cut, .. } = peek(store, file, HEAD).await?;
    let Ok(text) = text else { return Ok(None) };
    let text = Bytes::from(text);
    let text = if text.starts_with(b"\xef\xbb\xbf") { text.slice(3..) } else { text };
    Ok(match format {
        FileFormat::Parquet => None,
        FileFormat::Csv(options) => {
            let mut head = Head::new(options);
            let mut rest = text;
            let names = match head.push(&mut rest) {
                Ok(None) if !is_cut => head.finish().ok().flatten().map(|(names, _)| names),
                names => names.ok().flatten(),
            };
            names.map(|names| (NameTree::of_names(names), true))
        }
        FileFormat::Json(_) => of_json(&text, is_cut),
    })
}

fn of_json(text: &[u8], is_cut: bool) -> Names {
    let end = if is_cut { text.iter().rposition(|byte| *byte == b'\n')? } else { text.len() };
    let mut names = NameTree::default();
    let (mut is_whole, mut is_seen) = (!is_cut, false);
    for record in serde_json::Deserializer::from_slice(&text[..end]).into_iter::<serde_json::Value>() {
        match record {
            Ok(record) => names.add(&record),
            Err(_) => {
                is_whole = false;
                break;
            }
        }
        is_seen = true;
    }
    is_seen.then_some((names, is_whole))
}
