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
//! another place, so files are found by their way from the manifest. Each is asked for, and nothing is listed: beside
//! the manifest may be a whole bucket. Parquet is known by its first bytes. Of text nothing says whether it was written
//! with ESCAPE, ADDQUOTES or as CSV, so the config does. Format: "UNLOAD" of the Redshift Database Developer Guide.

use std::pin::pin;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};
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

/// Files that are asked for at once.
const AT_ONCE: usize = 16;

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
    let found = find(place, &folder, name, &manifest.entries).await?;
    if let Some((path, _)) =
        found.iter().find(|(path, _)| path.split('/').rev().skip(1).any(|folder| folder.contains('=')))
    {
        let help = "read the folder with STORED AS PARQUET and PARTITIONED BY, or unload without PARTITION BY";
        return Err(ExportFault::Unread { what: format!("{path}, of an UNLOAD with PARTITION BY,"), help }.into());
    }
    let mut files: Vec<FileEntry> = Vec::with_capacity(found.len());
    for ((path, meta), of) in found.iter().zip(&manifest.entries) {
        let stated = of.meta.as_ref().and_then(|meta| meta.content_length);
        if let Some(stated) = stated.filter(|stated| *stated != meta.size) {
            let (one, other) = ((*path).to_owned(), name.to_owned());
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

/// The files with their paths from the manifest's folder on. That folder had another name when the urls were written:
/// it is the deepest folder of all urls from which on each file is there.
async fn find<'a>(
    place: &ExportPlace,
    folder: &Location,
    manifest: &str,
    entries: &'a [UnloadEntry],
) -> Result<Vec<(&'a str, ObjectMeta)>, Trouble> {
    let keys: Vec<&str> = entries.iter().map(|entry| key_of(&entry.url)).collect();
    let mut missing = None;
    for shared in shared_folders(&keys) {
        let paths: Vec<&str> = keys.iter().map(|key| key[shared.len()..].trim_start_matches('/')).collect();
        match heads(place, folder, &paths).await? {
            Ok(metas) => return Ok(paths.into_iter().zip(metas).collect()),
            Err(first) => missing = missing.or(Some(first)),
        }
    }
    let Some(first) = missing else { return Ok(Vec::new()) };
    Err(ExportFault::Missing { manifest: manifest.to_owned(), what: entries[first].url.clone() }.into())
}

/// The files with these paths from a folder on; or the number of the first one that is not there.
async fn heads(
    place: &ExportPlace,
    folder: &Location,
    paths: &[&str],
) -> Result<Result<Vec<ObjectMeta>, usize>, Trouble> {
    let files: Vec<_> = paths.iter().map(|path| ExportPlace { location: folder.join(path), ..place.clone() }).collect();
    let asked = files.into_iter().map(|file| async move { file.head().await });
    let mut answers = pin!(futures::stream::iter(asked).buffered(AT_ONCE));
    let mut metas = Vec::with_capacity(paths.len());
    while let Some(meta) = answers.try_next().await? {
        match meta {
            Some(meta) => metas.push(meta),
            None => return Ok(Err(metas.len())),
        }
    }
    Ok(Ok(metas))
}

/// The folders that hold all keys, the deepest one first, and the bucket last; none without a key.
fn shared_folders<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let Some(&first) = keys.first() else { return Vec::new() };
    let above = |folder: &'a str| folder.rsplit_once('/').map_or("", |(above, _)| above);
    let holds = |folder: &str| {
        let is_below = |key: &&str| key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        folder.is_empty() || keys.iter().all(is_below)
    };
    let mut shared = above(first);
    while !holds(shared) {
        shared = above(shared);
    }
    let mut folders = vec![shared];
    while !shared.is_empty() {
        shared = above(shared);
        folders.push(shared);
    }
    folders
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
    use object_store::memory::InMemory;
    use object_store::path::Path as Key;

    use super::*;
    use crate::layout::below;

    fn entries(urls: &[&str]) -> Vec<UnloadEntry> {
        urls.iter().map(|url| UnloadEntry { url: (*url).to_owned(), meta: None }).collect()
    }

    /// The paths at which these files are found below `in/`.
    async fn found(entries: &[UnloadEntry], files: &[&str]) -> Result<Vec<String>, String> {
        let store = InMemory::new();
        for file in files {
            store.put(&Key::from(below("in", file)), "x".into()).await.unwrap();
        }
        let location = Location::parse("s3://b/in/o_manifest", std::path::Path::new("/")).unwrap();
        let folder = location.with_key("in");
        let place = ExportPlace { store: Arc::new(store), location };
        match find(&place, &folder, "o_manifest", entries).await {
            Ok(found) => {
                for (path, meta) in &found {
                    assert_eq!(meta.location.as_ref(), below("in", path));
                }
                Ok(found.into_iter().map(|(path, _)| path.to_owned()).collect())
            }
            Err(Trouble::Fault(ExportFault::Missing { what, .. })) => Err(what),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn files_are_found_by_their_way_from_the_manifest() {
        let two = entries(&["s3://b/x/y/o_0000_part_00", "s3://b/x/y/o_0001_part_00"]);
        let names = ["o_0000_part_00", "o_0001_part_00"];
        assert_eq!(found(&two, &names).await.unwrap(), names);
        let below_it = ["y/o_0000_part_00", "y/o_0001_part_00"];
        assert_eq!(found(&two, &below_it).await.unwrap(), below_it);
        let from_the_bucket = ["x/y/o_0000_part_00", "x/y/o_0001_part_00"];
        assert_eq!(found(&two, &from_the_bucket).await.unwrap(), from_the_bucket);
        assert_eq!(found(&two, &["o_0000_part_00"]).await.unwrap_err(), "s3://b/x/y/o_0001_part_00");
        assert_eq!(found(&two, &[]).await.unwrap_err(), "s3://b/x/y/o_0000_part_00");
        let parts = entries(&["s3://b/x/d=1/0000.parquet", "s3://b/x/d=2/0000.parquet"]);
        assert_eq!(found(&parts, &["d=1/0000.parquet", "d=2/0000.parquet"]).await.unwrap().len(), 2);
        assert_eq!(found(&entries(&[]), &[]).await.unwrap(), Vec::<String>::new());
        let many: Vec<String> = (0..50).map(|number| format!("o_{number:04}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(found(&entries(&many), &many).await.unwrap(), many);
        assert_eq!(found(&entries(&many), &many[..49]).await.unwrap_err(), "o_0049");
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
