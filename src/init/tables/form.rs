//! Which form the sampled files of one group have, and which columns.

use std::sync::Arc;

use datafusion::parquet::file::metadata::ParquetMetaData;

use super::dialect::{self, NoTable};
use super::load::of_load;
use super::mongo;
use super::part::{Data, KnownFolder};
use super::program::of_program;
use crate::config::{Compression, CsvOptions, JsonOptions, TextOptions};
use crate::init::survey::sample::SampledText;
use crate::init::survey::tally::Key;
use crate::manifest::FileEntry;
use crate::snapshot::files::content::{TextKind, text_kind};
use crate::snapshot::{SchemaMerger, arrow_schema, distinct};

pub(crate) type FormResult = Result<(Data, Vec<String>), String>;

pub(crate) fn parquet(files: Vec<(FileEntry, Arc<ParquetMetaData>)>) -> FormResult {
    let mut merger = SchemaMerger::typed("t");
    for (file, footer) in &files {
        let schema = arrow_schema(footer.file_metadata(), None);
        let merged = schema.map_err(|error| error.to_string()).and_then(|schema| {
            merger.add(&file.uri, &schema).map_err(|error| format!("its files cannot be one table: {error}"))
        });
        merged?;
    }
    let schema = merger.finish();
    if schema.fields().is_empty() {
        return Err("Parquet without columns".to_owned());
    }
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    Ok((Data::Parquet(files, schema), columns))
}

pub(crate) fn text(
    mut texts: Vec<SampledText>,
    compression: Option<Compression>,
    key: &Key,
    known: &KnownFolder,
) -> FormResult {
    texts.retain(|text| !text.bytes.iter().all(u8::is_ascii_whitespace));
    let options = TextOptions { compression, ..TextOptions::default() };
    if let Some((json, names)) = mongo::documents(&mut texts, &options).filter(|_| !known.is_dynamo) {
        return Ok((Data::Json(texts, json), names));
    }
    let Some(first) = texts.first() else { return Err("files without a line".to_owned()) };
    let kind = text_kind(&String::from_utf8_lossy(&first.bytes), first.is_cut);
    match kind {
        TextKind::Document(reason) | TextKind::Other(reason) => Err(reason.to_owned()),
        TextKind::Ndjson => {
            texts.iter_mut().for_each(cut_after_line);
            let first = texts.first().and_then(|text| first_object(&text.bytes)).unwrap_or_default();
            Ok((Data::Json(texts, JsonOptions { text: options, ..JsonOptions::default() }), first))
        }
        TextKind::Lines if known.is_dynamo => Err("neither a line of DynamoDB's JSON nor an empty file".to_owned()),
        TextKind::Lines => {
            let views: Vec<_> = texts.iter().map(view).collect();
            let is_named = [".csv", ".tsv"].iter().any(|ending| key.ending.starts_with(ending));
            let written = match key.is_load() {
                true => of_load(&views),
                false => of_program(&views).map_or_else(|| dialect::detect(&views, is_named), Ok),
            };
            let csv = written.map_err(|problem| match problem {
                NoTable::NoFields => "text that is no table".to_owned(),
                NoTable::Ragged { record, fields, expected } => {
                    format!(
                        "text whose records differ: fields of the first one {expected}, of record {record} {fields}"
                    )
                }
                NoTable::Broken(what) => format!("text that breaks the rules of CSV ({what})"),
            })?;
            let csv = CsvOptions { text: options, ..csv };
            let mut columns = Vec::new();
            dialect::walk(views[0], &csv, |record| {
                columns = match csv.has_header {
                    true => distinct(record.iter().map(|field| field.text.to_owned()).collect()),
                    false => (1..=record.len()).map(|number| number.to_string()).collect(),
                };
                false
            });
            for text in texts.iter_mut().filter(|text| text.is_cut) {
                let walked = dialect::walk(view(text), &csv, |_| true);
                // What is wrong stays, to be reported.
                if walked.broken.is_none() {
                    text.bytes.truncate(walked.complete);
                }
            }
            Ok((Data::Csv(texts, csv), columns))
        }
    }
}

pub(crate) fn view(text: &SampledText) -> dialect::DialectText<'_> {
    dialect::DialectText { bytes: &text.bytes, is_cut: text.is_cut }
}

fn cut_after_line(text: &mut SampledText) {
    if text.is_cut {
        let end = text.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        text.bytes.truncate(end);
    }
}

fn first_object(bytes: &[u8]) -> Option<Vec<String>> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Map<_, serde_json::Value>>();
    Some(values.next()?.ok()?.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_that_was_cut_is_left_out_and_the_end_of_a_file_is_not() {
        let cut = |bytes: &[u8], is_cut| {
            let mut text = SampledText { path: "a".to_owned(), bytes: bytes.to_vec(), is_cut };
            cut_after_line(&mut text);
            String::from_utf8(text.bytes).unwrap()
        };
        assert_eq!(cut(b"{\"a\": 1}\n{\"a\":", true), "{\"a\": 1}\n");
        assert_eq!(cut(b"{\"a\": 1}\n{\"a\": 2}", false), "{\"a\": 1}\n{\"a\": 2}");
        assert_eq!(cut(b"{\"a\":", true), "");
    }
}
