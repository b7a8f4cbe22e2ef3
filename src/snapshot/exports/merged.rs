//! The merge of several exports of one table, as the room `merge` has put it into the staging folder: a full export of
//! DynamoDB and incremental ones, `STORED AS DYNAMODB_EXPORT` with several LOCATIONs.
//!
//! Its files are read as those of a full export: the same lines, each file with its MD5 and its rows. Without a
//! manifest the exports were not merged yet; one whose sums are wrong is refused.

use object_store::ObjectStoreExt;

use super::merged_manifest::{MergedCounts, MergedManifest, VERSION};
use super::{ExportPlace, ExportedTable, Trouble, dynamodb};
use crate::error::ExportFault;
use crate::layout::{FilePartition, below, store_error};
use crate::manifest::FileEntry;
use crate::snapshot::split::Split;

/// The manifest below the folder of a merge.
pub(crate) const MANIFEST: &str = "merged-export.json";

/// The one table of the merge.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    let Some(manifest) = read(place).await? else { return Err(ExportFault::NotMerged.into()) };
    let notes = notes(&manifest);
    let MergedManifest { table, folder, files, .. } = manifest;
    let mut entries: Vec<_> = files
        .into_iter()
        .map(|file| {
            let uri = place.folder().join(&below(&folder, &file.name)).uri();
            FileEntry {
                uri: Split::Whole { md5: file.md5 }.uri(&uri).into(),
                etag: file.etag.unwrap_or_default().as_str().into(),
                size: file.size,
                n_record: Some(file.rows),
                partition: FilePartition::None,
            }
        })
        .collect();
    entries.sort_by(|one, other| one.uri.cmp(&other.uri));
    Ok(vec![dynamodb::table(&table, entries, notes)])
}

/// The merge that is there, if any.
///
/// # Errors
/// [`Trouble`]: the store fails, or the manifest is not one of this version, or does not add up.
pub(crate) async fn read(place: &ExportPlace) -> Result<Option<MergedManifest>, Trouble> {
    let at = place.folder().join(MANIFEST);
    let bytes = match place.store.get(&at.key()?).await {
        Ok(found) => found.bytes().await.map_err(|source| store_error("read", &at, source))?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(store_error("read", &at, source).into()),
    };
    let metadata = |reason: String| ExportFault::Metadata { file: MANIFEST.to_owned(), reason };
    let manifest: MergedManifest = serde_json::from_slice(&bytes).map_err(|error| metadata(error.to_string()))?;
    if manifest.version != VERSION {
        return Err(metadata(format!("its version {} is not {VERSION}", manifest.version)).into());
    }
    manifest.check().map_err(metadata)?;
    Ok(Some(manifest))
}

/// What was merged, and where the records went.
fn notes(manifest: &MergedManifest) -> Vec<String> {
    let mut notes = Vec::new();
    let full = manifest.sources.iter().find(|source| source.from.is_none());
    let at = full.map(|full| full.to.as_str()).unwrap_or_default();
    let MergedCounts { items, changes, superseded, known, replaced, added, deleted, deleted_before, rows } =
        manifest.counts;
    let exports = manifest.sources.len().saturating_sub(1);
    notes.push(format!(
        "Merged as of {}: a full export of {at} with {items} items, and {exports} incremental with {changes} changes.",
        manifest.time
    ));
    notes.push(format!(
        "Changes: {replaced} replaced an item, {added} added one, {deleted} deleted one, {deleted_before} deleted one \
         that the full export does not have, {superseded} were superseded, {known} were in the full export already."
    ));
    notes.push(format!("Items: {items} - {deleted} deleted + {added} added = {rows}."));
    for source in &manifest.sources {
        if source.from.is_some() && full.is_some_and(|full| is_before(&source.to, &full.to)) {
            let (location, to) = (&source.location, &source.to);
            notes.push(format!("{location} ends at {to}, before the full export: it changes nothing."));
        }
    }
    notes
}

/// Whether a time is no later than another one.
fn is_before(one: &str, other: &str) -> bool {
    let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    time(one).zip(time(other)).is_some_and(|(one, other)| one <= other)
}

#[cfg(test)]
mod tests {
    use super::super::merged_manifest::tests::manifest;
    use super::*;

    #[test]
    fn notes_say_where_records_went_and_what_changes_nothing() {
        let notes = notes(&manifest());
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(notes[0].contains("5 items, and 1 incremental with 6 changes"), "{notes:?}");
        assert_eq!(notes[2], "Items: 5 - 1 deleted + 1 added = 5.");
        assert!(notes[3].starts_with("/b ends at"), "{notes:?}");
    }
}
