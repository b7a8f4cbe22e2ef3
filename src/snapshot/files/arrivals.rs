//! What is below the LOCATIONs of a snapshot table now, compared with what was planned: files that arrived since, and
//! planned ones that are gone or were replaced.
//!
//! One LIST per LOCATION, with the rules of planning for what is data. A file whose name says nothing is opened only if
//! the plan neither reads it nor shows that it was left out. A file that has only got another name is no arrival. Not
//! seen is a file that its name or its content did not let in when it was planned, and that has become data since under
//! the same name, unless it was empty.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::TryStreamExt;

use super::left_out::{LeftOut, LeftOutReason};
use super::listing::Listing;
use super::named::{NamedFiles, entry, named};
use super::same_file::other_names;
use super::verdict::{ContentVerdict, contents};
use crate::config::SnapshotTable;
use crate::error::Result;
use crate::layout::split::file_uri;
use crate::layout::{Location, store_error, store_of};
use crate::manifest::FileEntry;
use crate::manifest::fingerprint;
use crate::session::Stores;

/// Names that are shown.
const EXAMPLES: usize = 3;

/// The files of a table's locations as they are now.
#[derive(Debug)]
pub(crate) struct Present {
    /// Those that are data by their names, sorted by uri.
    files: Vec<FileEntry>,
    /// Those whose names say nothing.
    unknown: Vec<FileEntry>,
    /// Those that may hold rows or not: planning refuses them, so they are all new.
    doubtful: FewNames,
    /// Whether a manifest lists files, which shows nothing of the files themselves.
    is_listed: bool,
    /// Whether these are the stored files of an export, of which a table may have parts.
    of_export: bool,
}

/// What has changed since a table was planned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SnapshotChanges {
    /// Files that the plan does not have.
    pub(crate) arrived: FewNames,
    /// Planned files that are still to be read, but are gone or other ones now.
    pub(crate) changed: FewNames,
}

/// A number of files, and the first of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FewNames {
    pub(crate) files: u64,
    names: BTreeSet<String>,
}

impl FewNames {
    fn add(&mut self, uri: &str, files: u64) {
        self.files += files;
        self.names.insert(uri.rsplit('/').next().unwrap_or_default().to_owned());
        if self.names.len() > EXAMPLES {
            self.names.pop_last();
        }
    }

    /// `a.csv, b.csv, ...`
    pub(crate) fn reported(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let more = if self.files > names.len() as u64 { ", ..." } else { "" };
        [names.join(", ").as_str(), more].concat()
    }
}

/// A table as it was planned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsPlanned<'a> {
    pub(crate) files: &'a [FileEntry],
    pub(crate) left_out: &'a [LeftOut],
}

impl Present {
    /// Lists the locations of a table.
    ///
    /// # Errors
    /// [`crate::Error::Store`], [`crate::Error::Manifest`], [`crate::Error::Location`].
    pub(crate) async fn look(stores: &Stores, table: &SnapshotTable) -> Result<Self> {
        if table.export.is_some() {
            return Self::look_at_export(stores, table).await;
        }
        let (mut listing, mut unknown, mut doubtful) = (Listing::default(), Vec::new(), FewNames::default());
        for (location, at) in &table.locations {
            let found = listing.look(stores, table, (location, at)).await?;
            unknown.extend(found.unknown);
            if let Some(found) = found.doubtful {
                doubtful.add(&found.uri, found.more + 1);
            }
        }
        let Listing { mut files, is_listed, .. } = listing;
        files.sort_by(|a, b| a.uri.cmp(&b.uri));
        files.dedup_by(|a, b| a.uri == b.uri);
        Ok(Self { files, unknown, doubtful, is_listed, of_export: false })
    }

    /// The stored files of an export. Which of them a table has is for its catalogue to say, which is not read again:
    /// a complete export gets no more files.
    async fn look_at_export(stores: &Stores, table: &SnapshotTable) -> Result<Self> {
        let (mut files, mut is_listed) = (Vec::new(), false);
        for (location, _) in &table.locations {
            // The data of an incremental DynamoDB export is in another folder than its manifest.
            is_listed |= table.export.as_ref().is_some_and(|export| export.kind.names_its_files());
            let store = stores.open(location).await?;
            match named(stores, &store, location).await? {
                NamedFiles::Manifest(_) => is_listed = true,
                NamedFiles::File(file) => files.push(file),
                NamedFiles::Folder(folder, _) if !is_listed => {
                    let failed = |source| store_error("list", location, source);
                    let mut listed = store.list(Some(&location.with_key(&folder).key()?));
                    while let Some(meta) = listed.try_next().await.map_err(failed)? {
                        files.push(entry(location, &meta));
                    }
                }
                NamedFiles::Folder(..) => {}
            }
        }
        let (unknown, doubtful) = (Vec::new(), FewNames::default());
        Ok(Self { files, unknown, doubtful, is_listed, of_export: true })
    }

    /// Whether these are the very files of a plan, by its fingerprint, besides those that it left out.
    pub(crate) fn is(&self, fingerprint_of_plan: &str, left_out: &[LeftOut]) -> bool {
        if self.of_export {
            return false;
        }
        let left_out = by_content(left_out);
        let unknown = self.unknown.iter().filter(|file| !left_out.contains(&*file.uri));
        let mut files: Vec<FileEntry> = self.files.iter().chain(unknown).cloned().collect();
        files.sort_by(|a, b| a.uri.cmp(&b.uri));
        files.dedup_by(|a, b| a.uri == b.uri);
        self.doubtful.files == 0 && fingerprint(&files) == fingerprint_of_plan
    }

    /// What has changed; `is_needed` says whether a planned file is still to be read.
    ///
    /// # Errors
    /// [`crate::Error::Store`] for a file that has to be opened.
    pub(crate) async fn since(
        self,
        stores: &Stores,
        table: &SnapshotTable,
        planned: AsPlanned<'_>,
        is_needed: impl Fn(&str) -> bool,
    ) -> Result<SnapshotChanges> {
        let Self { files, unknown, doubtful, is_listed, of_export } = self;
        let is_planned = |uri: &str| planned.files.binary_search_by(|file| (*file.uri).cmp(uri)).is_ok();
        let mut arrivals = SnapshotChanges { arrived: doubtful, ..SnapshotChanges::default() };
        let new: Vec<&FileEntry> = files.iter().filter(|file| !of_export && !is_planned(&file.uri)).collect();
        // With the planned ones: another name of one of these is none.
        let mut all: Vec<FileEntry> = planned.files.to_vec();
        all.extend(new.iter().map(|file| (*file).clone()));
        let others: HashSet<usize> =
            if new.is_empty() { HashSet::new() } else { other_names_since(&all, planned.files.len()).await };
        for (index, file) in new.iter().enumerate() {
            if !others.contains(&(planned.files.len() + index)) {
                arrivals.arrived.add(&file.uri, 1);
            }
        }
        let left_out = by_content(planned.left_out);
        let to_open: Vec<FileEntry> =
            unknown.iter().filter(|file| !is_planned(&file.uri) && !left_out.contains(&*file.uri)).cloned().collect();
        for of_store in to_open.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
            let store = stores.open(&Location::from_uri(&of_store[0].uri)?).await?;
            let mut reported = std::pin::pin!(contents(&store, &table.format, of_store));
            for file in of_store {
                let Some(reported) = reported.try_next().await? else { break };
                if matches!(reported, ContentVerdict::Data(_) | ContentVerdict::Uncertain(_)) {
                    arrivals.arrived.add(&file.uri, 1);
                }
            }
        }
        if !is_listed {
            let now: HashMap<&str, &str> = files.iter().chain(&unknown).map(|file| (&*file.uri, &*file.etag)).collect();
            for file in planned.files.iter().filter(|file| is_needed(&file.uri)) {
                if now.get(file_uri(&file.uri)).is_none_or(|etag| **etag != *file.etag) {
                    arrivals.changed.add(&file.uri, 1);
                }
            }
        }
        Ok(arrivals)
    }
}

/// Files that were left out for what they are, not for what they are called, as far as a plan names them.
fn by_content(left_out: &[LeftOut]) -> HashSet<&str> {
    let reasons = [LeftOutReason::OtherFormat, LeftOutReason::Document, LeftOutReason::OtherName];
    let left_out = left_out.iter().filter(|left| reasons.contains(&left.reason));
    left_out.flat_map(|left| &left.examples).map(String::as_str).collect()
}

/// Which of `files` from `first` on are another name of one before it, or of each other.
async fn other_names_since(files: &[FileEntry], first: usize) -> HashSet<usize> {
    let mut others = HashSet::new();
    for (other, read) in other_names(files).await {
        if other >= first {
            others.insert(other);
        } else if read >= first {
            // The new name leads over no link, as the planned one does.
            others.insert(read);
        }
    }
    others
}
