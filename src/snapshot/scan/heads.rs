//! The names that the beginnings of text files have, where columns are declared and the files are not read while
//! planning.
//!
//! A bounded number of files is looked at, spread evenly over the list: one request each. The header of a CSV file has
//! all its names, the first records of an NDJSON file have some. What cannot be read here is left to the task that
//! reads the file.

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;

use crate::config::{CsvOptions, FileFormat, SnapshotTable};
use crate::error::Result;
use crate::manifest::FileEntry;
use crate::snapshot::csv::fields::Splitter;
use crate::snapshot::csv::head::{distinct, first_record};
use crate::snapshot::files::peek::{HEAD, Peeked, peek};
use crate::snapshot::json::dialect::PlainJson;
use crate::snapshot::names::NameTree;
use crate::snapshot::text::bytes::{BYTE_ORDER_MARK, RecordLimit};

/// Files that are looked at.
pub(crate) const HEADS: usize = 16;

/// The names of a file, and whether these are all.
pub(crate) type HeadNames = Option<(NameTree, bool)>;

/// At most [`HEADS`] of the files, spread evenly.
pub(crate) fn some(files: &[FileEntry]) -> impl Iterator<Item = &FileEntry> {
    let count = files.len().min(HEADS);
    (0..count).map(move |number| &files[number * files.len() / count])
}

/// Looks at a file; `None` if its beginning does not show its names.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn names_of(
    store: &Arc<dyn ObjectStore>,
    file: &FileEntry,
    table: &SnapshotTable,
) -> Result<HeadNames> {
    let columns = table.declared.as_ref().map(|schema| schema.fields().clone()).unwrap_or_default();
    let Peeked { text, is_cut, .. } = peek(store, file, HEAD).await?;
    let Ok(text) = text else { return Ok(None) };
    let text = Bytes::from(text);
    let text = if text.starts_with(BYTE_ORDER_MARK) { text.slice(BYTE_ORDER_MARK.len()..) } else { text };
    Ok(match &table.format {
        FileFormat::Parquet
        | FileFormat::Inserts(_)
        | FileFormat::Avro
        | FileFormat::Arrow
        | FileFormat::PgBinary(_) => None,
        FileFormat::Csv(options) => {
            let names = header(&text, is_cut, options);
            // A header of entirely other columns is an error of the task, which names the options that may be wrong.
            let is_of_table = |name: &String| columns.iter().any(|field| field.name().eq_ignore_ascii_case(name));
            names.filter(|names| names.iter().any(is_of_table)).map(|names| (NameTree::of_names(names), true))
        }
        FileFormat::Json(_) => match PlainJson::new(&table.format, RecordLimit::default()) {
            None => of_json(&text, is_cut),
            // What is wrong is reported when the file is read.
            Some(mut plain) => match plain.push(&text) {
                Ok(()) => of_json(plain.rest(), is_cut),
                Err(_) => None,
            },
        },
    })
}

/// The first record, if all of it is there.
fn header(text: &[u8], is_cut: bool, options: &CsvOptions) -> Option<Vec<String>> {
    let mut splitter = Splitter::new(options, None);
    let mut at = 0;
    while at < text.len() && splitter.rows() == 0 {
        at += splitter.push(&text[at..], 1).ok()?;
    }
    if splitter.rows() == 0 && !is_cut {
        splitter.end().ok()?;
    }
    (splitter.rows() > 0).then(|| first_record(&mut splitter).ok().map(distinct))?
}

fn of_json(text: &[u8], is_cut: bool) -> HeadNames {
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
