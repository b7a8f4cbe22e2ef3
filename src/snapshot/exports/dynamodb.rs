//! DynamoDB exports to S3: `STORED AS DYNAMODB_EXPORT`, with the folder of one export as LOCATION.
//!
//! ```text
//! AWSDynamoDB/ID/manifest-summary.json    itemCount, outputFormat, and the key of the next one
//! AWSDynamoDB/ID/manifest-files.json      a line per data file: key, itemCount, md5Checksum
//! AWSDynamoDB/ID/*.md5, *.checksum        MD5 of these two, in base64
//! AWSDynamoDB/ID/data/*.json.gz           one item per line; of an incremental export in AWSDynamoDB/data/
//! ```
//!
//! An export is complete if the list of files is as its MD5 says, the counts of the files add up, and each data file is
//! there. While a data file is read its MD5 and its rows are compared with the manifest. Keys are those of the bucket
//! that was exported to; a copy has them below another folder, so data files are found by their way from the manifest.
//! An incremental export alone is read as it is: one row per changed item with its images. The room `merge` merges
//! several exports, see [`super::merged`].
//! Format: "DynamoDB table export output format" of the DynamoDB Developer Guide.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::Deserialize;

use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::{FileFormat, JsonDialect, JsonOptions};
use crate::error::ExportFault;
use crate::layout::{Location, below, store_error};
use crate::manifest::FileEntry;
use crate::snapshot::files::named::entry;
use crate::snapshot::split::Split;

const SUMMARY: &str = "manifest-summary.json";
const FILES: &str = "manifest-files.json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DynamoSummary {
    table_arn: Option<String>,
    manifest_files_s3_key: Option<String>,
    item_count: Option<u64>,
    output_format: Option<String>,
    export_type: Option<String>,
    export_time: Option<String>,
    export_from_time: Option<String>,
    export_to_time: Option<String>,
    output_view: Option<String>,
    table_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataFile {
    item_count: Option<u64>,
    md5_checksum: Option<String>,
    #[serde(rename = "dataFileS3Key")]
    key: String,
}

/// An export that is complete.
#[derive(Debug, Clone)]
pub(crate) struct DynamoExport {
    /// Of the table, as AWS names it.
    pub(crate) arn: String,
    /// Another one if a table of the same name was made anew.
    pub(crate) table_id: Option<String>,
    pub(crate) scope: DynamoScope,
    /// MD5 of the list of its files, in base64.
    pub(crate) md5: String,
    /// Sorted by uri, each with its rows.
    pub(crate) files: Vec<FileEntry>,
    /// What people should know, in sentences.
    pub(crate) notes: Vec<String>,
}

/// What an export has, times as it writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DynamoScope {
    /// All items of one moment; old exports do not say which.
    Full { time: Option<String> },
    /// The last change of each item from a time on, up to another one that is not included.
    Incremental { from: Option<String>, to: Option<String>, view: Option<String> },
}

/// The one table of the export, if it is complete.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let DynamoExport { arn, scope, files, mut notes, .. } = read(place).await?;
    if let DynamoScope::Incremental { .. } = scope {
        let note = "An incremental export: a row per changed item, with its keys and images; it is not merged with a \
                    full one.";
        notes.push(note.to_owned());
    }
    Ok(vec![table(&arn, files, notes)])
}

/// What is read of the files of a table.
pub(super) fn table(arn: &str, files: Vec<FileEntry>, notes: Vec<String>) -> ExportedTable {
    let name = arn.rsplit("table/").next().unwrap_or_default().split('/').next().unwrap_or_default();
    ExportedTable {
        names: vec![name.to_owned()],
        format: FileFormat::Json(JsonOptions { dialect: JsonDialect::DynamoDb, ..JsonOptions::default() }),
        schema: None,
        files,
        notes,
        is_part: false,
        unreadable: None,
        undeclared: None,
    }
}

/// The export at a place, if it is complete.
///
/// # Errors
/// [`Trouble`].
pub(crate) async fn read(place: &ExportPlace) -> Result<DynamoExport, Trouble> {
    let folder = folder(place);
    let listed: HashMap<String, ObjectMeta> = place.list(&folder).await?.into_iter().collect();
    if !listed.contains_key(SUMMARY) {
        return Err(ExportFault::NotFound { expected: SUMMARY }.into());
    }
    let (summary, edited) = checked(place, &folder, SUMMARY, &listed).await?;
    let summary: DynamoSummary = serde_json::from_slice(&summary).map_err(|error| metadata(SUMMARY, &error))?;
    if let Some(format) = summary.output_format.as_ref().filter(|format| *format != "DYNAMODB_JSON") {
        let help = "export again with the output format DYNAMODB_JSON";
        return Err(ExportFault::Unread { what: format!("the output format {format}"), help }.into());
    }
    if !listed.contains_key(FILES) {
        return Err(ExportFault::Missing { manifest: SUMMARY.to_owned(), what: FILES.to_owned() }.into());
    }
    let (bytes, changed) = checked(place, &folder, FILES, &listed).await?;
    if let Some(fault) = changed {
        return Err(fault.into());
    }
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let files: Vec<DataFile> =
        lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(|error| metadata(FILES, &error))?;
    let counted = files.iter().map(|file| file.item_count).sum::<Option<u64>>();
    if let (Some(stated), Some(found)) = (summary.item_count, counted)
        && stated != found
    {
        let (one, other) = ("all files of manifest-files.json".to_owned(), SUMMARY.to_owned());
        return Err(ExportFault::Counts { one, found, unit: "items", other, stated }.into());
    }
    let of_manifest = summary.manifest_files_s3_key.as_deref().unwrap_or_default();
    let entries = entries(place, &folder, &listed, of_manifest, &files).await?;
    // People take account numbers out of it. Nothing is lost by that: the list of files has an MD5 of its own.
    let notes = edited.map(|fault| format!("The summary of the export was edited: {fault}."));
    let is_incremental = summary.export_type.as_deref().is_some_and(|kind| kind.starts_with("INCREMENTAL"));
    let scope = match is_incremental {
        true => DynamoScope::Incremental {
            from: summary.export_from_time,
            to: summary.export_to_time,
            view: summary.output_view,
        },
        false => DynamoScope::Full { time: summary.export_time },
    };
    Ok(DynamoExport {
        arn: summary.table_arn.unwrap_or_default(),
        table_id: summary.table_id,
        scope,
        md5: STANDARD.encode(Md5::digest(&bytes)),
        files: entries,
        notes: notes.into_iter().collect(),
    })
}

/// The MD5 of the list of files, in base64; `None`: there is none any more.
///
/// # Errors
/// [`Trouble`].
pub(crate) async fn md5(place: &ExportPlace) -> Result<Option<String>, Trouble> {
    let at = folder(place).join(FILES);
    match place.store.get(&at.key()?).await {
        Ok(found) => {
            let bytes = found.bytes().await.map_err(|source| store_error("read", &at, source))?;
            Ok(Some(STANDARD.encode(Md5::digest(&bytes))))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(store_error("read", &at, source).into()),
    }
}

/// The folder of the export: LOCATION, or that of the manifest that it names.
fn folder(place: &ExportPlace) -> Location {
    let key = place.location.raw_key();
    let folder = key.strip_suffix(SUMMARY).or_else(|| key.strip_suffix(FILES)).unwrap_or(key);
    place.location.with_key(folder.trim_end_matches('/'))
}

fn metadata(file: &str, error: &serde_json::Error) -> ExportFault {
    ExportFault::Metadata { file: file.to_owned(), reason: error.to_string() }
}

/// A manifest, and its fault if it is not as its MD5 says.
async fn checked(
    place: &ExportPlace,
    folder: &Location,
    name: &str,
    listed: &HashMap<String, ObjectMeta>,
) -> Result<(bytes::Bytes, Option<ExportFault>), Trouble> {
    let bytes = place.get(&folder.join(name)).await?;
    let sums = ["md5", "checksum"].map(|ending| format!("{}.{ending}", name.trim_end_matches(".json")));
    if let Some(sum) = sums.into_iter().find(|sum| listed.contains_key(sum)) {
        let stated = place.get(&folder.join(&sum)).await?;
        let stated = String::from_utf8_lossy(&stated).trim().to_owned();
        let found = STANDARD.encode(Md5::digest(&bytes));
        if stated != found {
            let fault = ExportFault::Checksum { file: name.to_owned(), found, manifest: sum, stated };
            return Ok((bytes, Some(fault)));
        }
    }
    Ok((bytes, None))
}

/// The data files, which are all there. They are where the manifest is, seen from its key.
async fn entries(
    place: &ExportPlace,
    folder: &Location,
    listed: &HashMap<String, ObjectMeta>,
    of_manifest: &str,
    files: &[DataFile],
) -> Result<Vec<FileEntry>, Trouble> {
    let from = of_manifest.rsplit_once('/').map_or("", |(from, _)| from);
    let mut of_others: HashMap<String, HashMap<String, ObjectMeta>> = HashMap::new();
    let mut entries = Vec::with_capacity(files.len());
    for file in files {
        let (up, rest) = relative(from, &file.key);
        let missing = || ExportFault::Missing { manifest: FILES.to_owned(), what: file.key.clone() };
        let (base, meta) = if up == 0 {
            (folder.clone(), listed.get(rest))
        } else {
            let mut above = folder.raw_key();
            for _ in 0..up {
                above = above.rsplit_once('/').map_or("", |(above, _)| above);
            }
            let (inner, name) = rest.rsplit_once('/').unwrap_or(("", rest));
            let base = folder.with_key(&below(above, inner));
            if !of_others.contains_key(base.raw_key()) {
                of_others.insert(base.raw_key().to_owned(), place.list(&base).await?.into_iter().collect());
            }
            let meta = of_others.get(base.raw_key()).and_then(|files| files.get(name));
            (base, meta)
        };
        let found = entry(&base, meta.ok_or_else(missing)?);
        let md5 = file.md5_checksum.as_deref().and_then(|text| STANDARD.decode(text).ok());
        let Some(md5) = md5.filter(|md5| md5.len() == 16) else {
            let reason = format!("{} has no md5Checksum", file.key);
            return Err(ExportFault::Metadata { file: FILES.to_owned(), reason }.into());
        };
        let md5 = md5.iter().map(|byte| format!("{byte:02x}")).collect();
        if file.item_count.is_none() {
            let reason = format!("{} has no itemCount", file.key);
            return Err(ExportFault::Metadata { file: FILES.to_owned(), reason }.into());
        }
        entries.push(FileEntry {
            uri: Split::Whole { md5 }.uri(&found.uri).into(),
            n_record: file.item_count,
            ..found
        });
    }
    entries.sort_by(|one, other| one.uri.cmp(&other.uri));
    if let Some([twice, _]) = entries.array_windows().find(|[one, other]| one.uri == other.uri) {
        let reason = format!("it lists {} twice", twice.uri);
        return Err(ExportFault::Metadata { file: FILES.to_owned(), reason }.into());
    }
    Ok(entries)
}

/// The way from a folder to a key: so many folders up, then this path.
fn relative<'k>(from: &str, key: &'k str) -> (usize, &'k str) {
    let mut rest = key;
    let mut folders = from.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(folder) = folders.peek() {
        let Some(after) = rest.strip_prefix(*folder).and_then(|after| after.strip_prefix('/')) else { break };
        rest = after;
        folders.next();
    }
    (folders.count(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_found_by_its_way_from_the_manifest() {
        assert_eq!(relative("p/AWSDynamoDB/01-a", "p/AWSDynamoDB/01-a/data/x.gz"), (0, "data/x.gz"));
        assert_eq!(relative("p/AWSDynamoDB/01-a", "p/AWSDynamoDB/data/x.gz"), (1, "data/x.gz"));
        assert_eq!(relative("", "data/x.gz"), (0, "data/x.gz"));
    }
}
