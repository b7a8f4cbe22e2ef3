//! Incremental exports of DynamoDB that go on from a full one: `init` proposes one table for all of them.

use std::sync::Arc;

use super::survey::read::Read;
use super::survey::sample::{SampleSource, Sampled, sample};
use super::survey::tally::{Group, ListedFile, Tally};
use super::tables::exported::tables_of;
use super::tables::exports::{Described, DynamoSpan};
use super::tables::found_table::FoundTable;
use crate::config::ExportKind;
use crate::error::Result;
use crate::layout::{Location, below};
use crate::session::Engine;

/// Bytes that are read of the changes of one table.
const CHANGES: u64 = 4 << 20;

/// What is merged onto a full export.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followers {
    /// Folder of the full export.
    pub(crate) full: String,
    /// Folders of the incremental ones, in the order of time.
    folders: Vec<String>,
    /// One that is later and does not go on from them.
    apart: Option<String>,
    /// The end of the last one, as the export writes it.
    end: Option<String>,
    files: u64,
    bytes: u64,
    records: u64,
    /// Beginnings of their files.
    pub(crate) changes: Vec<Vec<u8>>,
}

/// The followers of each full export that has some. Incremental exports that follow none are no longer described if
/// there is a full one: they say nothing about its time.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn followers(
    engine: &Arc<Engine>,
    source: &SampleSource,
    described: &mut Vec<Described>,
    tally: &mut Tally,
    read: &mut Read,
) -> Result<Vec<Followers>> {
    let mut all = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for found in described.iter() {
        let Described::Dynamo { folder, time, span, .. } = found else { continue };
        if span.is_incremental || !is_newest(described, span) {
            continue;
        }
        let mut followers = Followers { full: folder.clone(), end: time.clone(), ..Followers::default() };
        let mut listed: Vec<ListedFile> = Vec::new();
        let mut end = span.to;
        for (folder, time, to) in after(described, span) {
            let location = source.root.with_key(source.root.join(folder).raw_key().trim_end_matches('/'));
            // One that cannot be read is a hole.
            let Ok(tables) = tables_of(engine, location, ExportKind::DynamoDb).await? else { break };
            for file in tables.iter().flat_map(|table| &table.files) {
                followers.files += 1;
                followers.bytes += file.size;
                followers.records += file.n_record.unwrap_or_default();
                let key = Location::from_uri(&file.uri)?;
                let path = key.raw_key().get(source.root.raw_key().trim_end_matches('/').len()..).unwrap_or_default();
                let (path, etag) = (path.trim_start_matches('/').to_owned(), file.etag.to_string());
                paths.push(path.clone());
                listed.push(ListedFile { path, size: file.size, etag });
            }
            followers.folders.push(folder.to_owned());
            (followers.end, end) = (time.clone().or(followers.end), end.max(Some(to)));
        }
        followers.apart = described.iter().find_map(|other| match other {
            Described::Dynamo { folder, span: of, .. } => {
                let is_later = of.is_incremental && of.arn == span.arn && of.to > end;
                (is_later && !followers.folders.contains(folder)).then(|| folder.clone())
            }
            _ => None,
        });
        if followers.folders.is_empty() {
            all.extend(followers.apart.is_some().then_some(followers));
            continue;
        }
        let sampled = sample(source, &Group::of(listed, tally.newest.unwrap_or_default()), CHANGES).await?;
        read.add(sampled.read);
        if let Sampled::Text { texts, .. } = sampled.what {
            followers.changes = texts.into_iter().map(|text| text.bytes).collect();
        }
        all.push(followers);
    }
    let has_full = described.iter().any(|of| matches!(of, Described::Dynamo { span, .. } if !span.is_incremental));
    let is_merged = |folder: &String| all.iter().any(|followers| followers.folders.contains(folder));
    described.retain(|of| match of {
        Described::Dynamo { folder, span, .. } => !span.is_incremental || !has_full || is_merged(folder),
        _ => true,
    });
    // Their files lie in one folder, with those of other tables; it is no table if all of them are merged.
    let of_folder = |folder: &str| {
        paths.iter().filter(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder) == folder).count() as u64
    };
    tally.groups.retain(|key, group| group.files == 0 || group.files + group.empty != of_folder(&key.folder));
    Ok(all)
}

/// Whether no other full export of the table is newer.
fn is_newest(described: &[Described], of: &DynamoSpan) -> bool {
    described.iter().all(|other| match other {
        Described::Dynamo { span, .. } => span.is_incremental || span.arn != of.arn || span.to <= of.to,
        _ => true,
    })
}

/// The incremental exports that go on from a full one without a hole: folder, time as text, end.
fn after<'d>(
    described: &'d [Described],
    full: &DynamoSpan,
) -> Vec<(&'d str, &'d Option<String>, chrono::DateTime<chrono::Utc>)> {
    let mut later = Vec::new();
    for other in described {
        if let Described::Dynamo { folder, time, span, .. } = other
            && span.is_incremental
            && span.arn == full.arn
            && let (Some(from), Some(to)) = (span.from, span.to)
            && Some(to) > full.to
        {
            later.push((from, to, folder, time));
        }
    }
    later.sort();
    let (mut end, mut chain) = (full.to, Vec::new());
    for (from, to, folder, time) in later {
        if Some(from) > end {
            break;
        }
        end = end.max(Some(to));
        chain.push((folder.as_str(), time, to));
    }
    chain
}

impl Followers {
    /// Makes the table of the full export that of all of them.
    pub(crate) fn add_to(&self, found: &mut FoundTable) {
        found.locations.extend(self.folders.iter().map(|folder| below(folder, "")));
        found.files += self.files;
        found.bytes += self.bytes;
        found.rows = (found.rows.0, self.records == 0 && found.rows.1);
        if let Some(folder) = &self.apart {
            found.notes.push(format!(
                "Not merged: {folder}. Before it is a hole in time, or an incremental export that cannot be read."
            ));
        }
        if self.folders.is_empty() {
            return;
        }
        let (exports, changes) = (self.folders.len(), self.records);
        let end = self.end.as_deref().unwrap_or_default();
        found.notes.push(format!(
            "Incremental exports ({exports}, {changes} changes) are merged onto the full one: the table as of {end}."
        ));
    }
}
