//! What Redshift's `UNLOAD ... MANIFEST` wrote: `STORED AS REDSHIFT_UNLOAD`, with the manifest as LOCATION.
//!
//! ```text
//! orders_manifest            entries: url, meta.content_length, and with MANIFEST VERBOSE meta.record_count;
//!                            schema.elements: name, type; meta: the sums
//! orders_0000_part_00        pipe-delimited text, CSV or Parquet, perhaps packed
//! ```
//!
//! An UNLOAD is complete if each file of the manifest is there with its size, and the sums are as it says; rows are
//! compared with record_count when they are read. Urls are those of the bucket that was written to; a copy is in
//! another place, so files are found by their way from the manifest. Parquet is known by its first bytes. Of text
//! nothing says whether it was written with ESCAPE, ADDQUOTES or as CSV, so the config does. Format: "UNLOAD" of the
//! Redshift Database Developer Guide.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::Deserialize;

use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::{CsvOptions, FileFormat, SqlFamily};
use crate::error::ExportFault;
use crate::layout::{Location, store_error};
use crate::manifest::FileEntry;
use crate::snapshot::dump::ddl::DdlCatalog;
use crate::snapshot::files::named::entry;

/// Bytes of a manifest.
const MANIFEST: u64 = 256 << 20;

#[derive(Deserialize)]
struct UnloadManifest {
    entries: Vec<UnloadEntry>,
    schema: Option<Elements>,
    meta: Option<UnloadMeta>,
}

#[derive(Deserialize)]
struct UnloadEntry {
    url: String,
    meta: Option<UnloadMeta>,
}

#[derive(Deserialize, Default)]
struct UnloadMeta {
    content_length: Option<u64>,
    record_count: Option<u64>,
}

#[derive(Deserialize)]
struct Elements {
    elements: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    name: String,
    #[serde(rename = "type")]
    data_type: ElementType,
}

#[derive(Deserialize)]
struct ElementType {
    base: String,
    precision: Option<u8>,
    scale: Option<i8>,
}

/// The one table, if it is complete.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let Some(head) = place.head().await? else {
        return Err(ExportFault::NotFound { expected: "manifest: LOCATION is not a file" }.into());
    };
    let key = place.location.raw_key();
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    let metadata = |reason: String| ExportFault::Metadata { file: name.to_owned(), reason };
    if head.size > MANIFEST {
        return Err(metadata(format!("it has {} bytes, which no manifest has", head.size)).into());
    }
    let bytes = place.get(&place.location).await?;
    let manifest: UnloadManifest = serde_json::from_slice(&bytes).map_err(|error| metadata(error.to_string()))?;
    check_sums(&manifest, name)?;
    let schema = manifest.schema.as_ref().map(columns).transpose().map_err(metadata)?;
    let folder = place.location.with_key(folder);
    let listed: HashMap<String, ObjectMeta> = place.list(&folder).await?.into_iter().collect();
    let paths = paths(&manifest.entries, &listed).map_err(|what| missing(name, what))?;
    if let Some(path) = paths.iter().find(|path| path.split('/').rev().skip(1).any(|folder| folder.contains('='))) {
        let help = "read the folder with STORED AS PARQUET and PARTITIONED BY, or unload without PARTITION BY";
        return Err(ExportFault::Unread { what: format!("{path}, of an UNLOAD with PARTITION BY,"), help }.into());
    }
    let mut files: Vec<FileEntry> = Vec::with_capacity(paths.len());
    for (path, of) in paths.iter().zip(&manifest.entries) {
        let meta = listed.get(path.as_str()).ok_or_else(|| missing(name, of.url.clone()))?;
        let stated = of.meta.as_ref().and_then(|meta| meta.content_length);
        if let Some(stated) = stated.filter(|stated| *stated != meta.size) {
            let (one, other) = (path.clone(), name.to_owned());
            return Err(ExportFault::Counts { one, found: meta.size, unit: "bytes", other, stated }.into());
        }
        let n_record = of.meta.as_ref().and_then(|meta| meta.record_count);
        files.push(FileEntry { n_record, ..entry(&folder, meta) });
    }
    files.sort_by(|one, other| one.uri.cmp(&other.uri));
    if let Some([twice, _]) = files.array_windows().find(|[one, other]| one.uri == other.uri) {
        return Err(metadata(format!("it lists {} twice", twice.uri)).into());
    }
    let mut notes = Vec::new();
    if files.iter().any(|file| file.n_record.is_none()) {
        notes.push("The manifest has no row counts; UNLOAD with MANIFEST VERBOSE writes them.".to_owned());
    }
    let is_parquet = is_parquet(place, &files).await?;
    let columns = schema.iter().flat_map(|schema| schema.fields()).map(|field| field.name().clone()).collect();
    let text = FileFormat::Csv(CsvOptions { has_header: false, columns, ..CsvOptions::default() });
    Ok(vec![ExportedTable {
        names: vec![name.trim_end_matches("manifest").trim_end_matches(['_', '-', '.']).to_owned()],
        format: if is_parquet { FileFormat::Parquet } else { text },
        // Parquet files have types of their own.
        schema: schema.filter(|_| !is_parquet),
        files,
        notes,
        is_part: false,
        unreadable: None,
        undeclared: None,
    }])
}

fn missing(manifest: &str, what: String) -> ExportFault {
    ExportFault::Missing { manifest: manifest.to_owned(), what }
}

/// A number of a file, or a sum of them.
type Number = fn(&UnloadMeta) -> Option<u64>;

/// The sums of a manifest are those of its files.
fn check_sums(manifest: &UnloadManifest, name: &str) -> Result<(), ExportFault> {
    let Some(stated) = &manifest.meta else { return Ok(()) };
    let numbers: [(Number, &'static str); 2] =
        [(|meta| meta.content_length, "bytes"), (|meta| meta.record_count, "rows")];
    for (number, unit) in numbers {
        let mut of_files = manifest.entries.iter().map(|entry| entry.meta.as_ref().and_then(number));
        let sum = of_files.try_fold(0_u64, |sum, number| Some(sum.saturating_add(number?)));
        if let (Some(stated), Some(found)) = (number(stated), sum)
            && stated != found
        {
            let (one, other) = (format!("all files of {name}"), "its sum".to_owned());
            return Err(ExportFault::Counts { one, found, unit, other, stated });
        }
    }
    Ok(())
}

/// The columns of a verbose manifest; types are those of PostgreSQL, and what is not one of them is text.
fn columns(schema: &Elements) -> Result<SchemaRef, String> {
    let mut fields = Vec::with_capacity(schema.elements.len());
    for Element { name, data_type: ElementType { base, precision, scale } } in &schema.elements {
        let args = match (precision, scale) {
            (Some(precision), Some(scale)) if ["numeric", "decimal"].contains(&base.as_str()) => {
                format!("({precision},{scale})")
            }
            _ => String::new(),
        };
        let mut ddl = DdlCatalog::new(SqlFamily::Postgres);
        let is_plain = base.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ' || c == '_');
        let known = is_plain.then(|| ddl.add(&format!("CREATE TABLE t (c {base}{args})")).ok()).flatten();
        let tables = ddl.finish();
        let column = known.and_then(|()| tables.first()?.columns.first());
        // Bytes are hexadecimal digits in text.
        let data_type =
            column.map(|column| column.data_type.clone()).filter(|data_type| *data_type != DataType::Binary);
        fields.push(Field::new(name, data_type.unwrap_or(DataType::Utf8), true));
    }
    if let Some(at) = (1..fields.len()).find(|at| fields[..*at].iter().any(|other| other.name() == fields[*at].name()))
    {
        return Err(format!("its schema has the column {} twice", fields[at].name()));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The paths of files from the manifest's folder on. That folder had another name when the urls were written: it is
/// the deepest folder of all urls from which on each file is there.
fn paths(entries: &[UnloadEntry], listed: &HashMap<String, ObjectMeta>) -> Result<Vec<String>, String> {
    let keys: Vec<&str> = entries.iter().map(|entry| key_of(&entry.url)).collect();
    let Some(first) = keys.first() else { return Ok(Vec::new()) };
    let mut shared = first.rsplit_once('/').map_or("", |(folder, _)| folder);
    while !keys
        .iter()
        .all(|key| shared.is_empty() || key.strip_prefix(shared).is_some_and(|rest| rest.starts_with('/')))
    {
        shared = shared.rsplit_once('/').map_or("", |(folder, _)| folder);
    }
    let deepest = shared;
    loop {
        let paths: Vec<&str> = keys.iter().map(|key| key[shared.len()..].trim_start_matches('/')).collect();
        if paths.iter().all(|path| listed.contains_key(*path)) {
            return Ok(paths.into_iter().map(str::to_owned).collect());
        }
        if shared.is_empty() {
            break;
        }
        shared = shared.rsplit_once('/').map_or("", |(folder, _)| folder);
    }
    let is_there = |key: &str| listed.contains_key(key[deepest.len()..].trim_start_matches('/'));
    let missing = keys.iter().position(|key| !is_there(key)).unwrap_or(0);
    Err(entries[missing].url.clone())
}

/// The key of `s3://bucket/key`.
fn key_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(_, key)| key)
}

/// Whether the first file that is not empty begins as Parquet does: no text that was written by UNLOAD is that.
async fn is_parquet(place: &ExportPlace, files: &[FileEntry]) -> Result<bool, Trouble> {
    let Some(file) = files.iter().find(|file| file.size >= 4) else { return Ok(false) };
    let location = Location::from_uri(&file.uri)?;
    let failed = |source| store_error("read", &location, source);
    let head = place.store.get_range(&location.key()?, 0..4).await.map_err(failed)?;
    Ok(&head[..] == b"PAR1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(urls: &[&str]) -> Vec<UnloadEntry> {
        urls.iter().map(|url| UnloadEntry { url: (*url).to_owned(), meta: None }).collect()
    }

    fn listed(paths: &[&str]) -> HashMap<String, ObjectMeta> {
        let meta = |path: &str| ObjectMeta {
            location: path.into(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: 1,
            e_tag: None,
            version: None,
        };
        paths.iter().map(|path| ((*path).to_owned(), meta(path))).collect()
    }

    #[test]
    fn files_are_found_by_their_way_from_the_manifest() {
        let two = entries(&["s3://b/x/y/o_0000_part_00", "s3://b/x/y/o_0001_part_00"]);
        let found = paths(&two, &listed(&["o_0000_part_00", "o_0001_part_00", "o_manifest"])).unwrap();
        assert_eq!(found, ["o_0000_part_00", "o_0001_part_00"]);
        let found = paths(&two, &listed(&["y/o_0000_part_00", "y/o_0001_part_00"])).unwrap();
        assert_eq!(found, ["y/o_0000_part_00", "y/o_0001_part_00"]);
        assert_eq!(paths(&two, &listed(&["o_0000_part_00"])).unwrap_err(), "s3://b/x/y/o_0001_part_00");
        let parts = entries(&["s3://b/x/d=1/0000.parquet", "s3://b/x/d=2/0000.parquet"]);
        assert_eq!(paths(&parts, &listed(&["d=1/0000.parquet", "d=2/0000.parquet"])).unwrap().len(), 2);
        assert_eq!(paths(&entries(&[]), &listed(&[])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn types_of_a_verbose_manifest_are_those_of_the_lake() {
        let elements = r#"{"elements": [{"name": "a", "type": {"base": "integer"}}, {"name": "b", "type": {"base": "numeric",
            "precision": 18, "scale": 4}}, {"name": "c", "type": {"base": "character varying", "max_length": 25}},
            {"name": "d", "type": {"base": "timestamp with time zone"}}, {"name": "e", "type": {"base": "super"}},
            {"name": "f", "type": {"base": "binary varying"}}, {"name": "g", "type": {"base": "x) y"}}]}"#;
        let schema = columns(&serde_json::from_str(elements).unwrap()).unwrap();
        let types: Vec<String> = schema.fields().iter().map(|field| field.data_type().to_string()).collect();
        assert_eq!(types, ["Int32", "Decimal128(18, 4)", "Utf8", "Timestamp(µs, \"UTC\")", "Utf8", "Utf8", "Utf8"]);
    }
}
