//! The folder of a mongodump: `STORED AS MONGODB_DUMP`, with the folder as LOCATION.
//!
//! ```text
//! dump/shop/orders.bson              documents, also as .bson.gz
//! dump/shop/orders.metadata.json     written before them, with the collection's whole name
//! ```
//!
//! A collection of which one of the two is missing is an error, where the dump shows it ([`crate::snapshot::mongo`]). A
//! dump has no counts and no mark at its end, which the notes of each table say. Archives (`--archive`) are refused.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::{FileFormat, JsonDialect, JsonOptions};
use crate::error::ExportFault;
use crate::snapshot::files::named::entry;
use crate::snapshot::mongo::mongodump::{DumpFile, MongoContent, MongoTable, read_mongodump};

/// Bytes of a file of metadata; those of many indexes are a few KB.
const METADATA: u64 = 16 << 20;

/// The collections of the dump.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let folder = place.folder();
    let listed = place.list(&folder).await?;
    let files: Vec<_> = listed.iter().map(|(path, meta)| DumpFile { path, size: meta.size }).collect();
    let mut texts: HashMap<&str, String> = HashMap::new();
    for (path, meta) in &listed {
        let bare = path.strip_suffix(".gz").unwrap_or(path);
        if !bare.ends_with(".json") || meta.size > METADATA {
            continue;
        }
        let bytes = place.get(&folder.join(path)).await?;
        let metadata = |reason: String| ExportFault::Metadata { file: path.clone(), reason };
        let text = if bare == path {
            String::from_utf8(bytes.to_vec()).map_err(|error| metadata(error.to_string()))?
        } else {
            let mut text = String::new();
            let read = MultiGzDecoder::new(&bytes[..]).take(METADATA).read_to_string(&mut text);
            read.map_err(|error| metadata(error.to_string()))?;
            text
        };
        texts.insert(path, text);
    }
    let texts = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let dump = read_mongodump(&files, &texts);
    if let Some(fault) = dump.faults.into_iter().next() {
        return Err(ExportFault::Table { reason: fault.to_string() }.into());
    }
    if dump.tables.is_empty() {
        return Err(ExportFault::NotFound { expected: "*.bson" }.into());
    }
    let metas: HashMap<&str, _> = listed.iter().map(|(path, meta)| (path.as_str(), meta)).collect();
    let notes = dump.notes;
    let tables = dump.tables.into_iter().filter(|table| !table.is_internal || table.content == MongoContent::Buckets);
    let table = |table: MongoTable| {
        let files = metas.get(table.path.as_str()).filter(|meta| meta.size > 0).map(|meta| entry(&folder, meta));
        let mut notes = notes.clone();
        notes.push("This dump has no counts: documents that are missing at the end of a file do not show.".to_owned());
        if table.content == MongoContent::Buckets {
            let note = "The documents are buckets of a time series, in the form of the server.";
            notes.push(note.to_owned());
        }
        let names = [table.database, table.collection].into_iter().filter(|name| !name.is_empty());
        ExportedTable {
            names: names.collect(),
            format: FileFormat::Json(JsonOptions { dialect: JsonDialect::Bson, ..JsonOptions::default() }),
            schema: None,
            files: files.into_iter().collect(),
            notes,
            is_part: false,
            unreadable: None,
            undeclared: (table.size == 0).then(|| "the collection is empty".to_owned()),
        }
    };
    Ok(tables.map(table).collect())
}
