//! Garbage of one table: what lies in its folders, is not listed, and has a name that only this table gives.

use std::collections::{HashMap, HashSet};
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::garbage::{Garbage, Why};
use super::listed::TableManifests;
use super::local::{half_files, identities, identity, is_behind_link};
use crate::error::Result;
use crate::layout::store_error;
use crate::layout::{Location, TableLayout, is_lake_name, is_staging_name};
use crate::manifest::owner;
use crate::session::{Stores, Unfinished};

/// Whose a lake's folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LakeOwnership {
    /// This table owns it, according to its owner file.
    Certain,
    /// This table's, if all files that it has published lie there.
    ByItsFiles,
    /// Perhaps another one's.
    No,
}

impl LakeOwnership {
    pub(super) fn certain(is_certain: bool) -> Self {
        if is_certain { Self::Certain } else { Self::No }
    }
}

/// A table whose garbage is looked for.
pub(super) struct CleanTable<'a> {
    pub(super) name: &'a str,
    pub(super) layout: &'a TableLayout,
    pub(super) listed: TableManifests,
    /// Whether all staging files are garbage.
    pub(super) drop_staging: bool,
    /// Whether the lake's folder is this table's, so that all files there with names as we give them are.
    pub(super) owns_lake: LakeOwnership,
    /// Whether what lies in the lake's folder is complete without being listed: its staging folder was moved or lost.
    pub(super) keeps_lake: bool,
}

impl CleanTable<'_> {
    /// Garbage below one folder.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Io`].
    pub(super) async fn find(
        &self,
        stores: &Stores,
        folder: &Location,
        youngest: DateTime<Utc>,
    ) -> Result<Vec<Garbage>> {
        let store = stores.open(folder).await?;
        let mut garbage = self.garbage(&store, folder, youngest).await?;
        let uploads = self.uploads(stores, folder, youngest).await;
        garbage.extend(uploads.into_iter().map(|upload| Garbage {
            table: self.name.to_owned(),
            uri: folder.with_key(&upload.key).uri(),
            bytes: 0,
            why: Why::Unfinished,
            upload: Some(upload.id),
        }));
        Ok(garbage)
    }

    /// Uploads of this table that nobody ended. Not every user may list them, nor does every server.
    async fn uploads(&self, stores: &Stores, folder: &Location, youngest: DateTime<Utc>) -> Vec<Unfinished> {
        let mut uploads = stores.unfinished(folder).await.unwrap_or_else(|error| {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%folder, why, "multipart uploads cannot be listed; a lifecycle rule of the bucket ends them");
            Vec::new()
        });
        let is_ours = |key: &str| !self.layout.lake().holds(&folder.with_key(key)) || self.listed.names(key);
        uploads.retain(|upload| upload.at <= youngest && is_ours(&upload.key));
        uploads
    }

    /// Garbage below one folder: one LIST, and a look at the disk where it is local.
    async fn garbage(
        &self,
        store: &Arc<dyn ObjectStore>,
        folder: &Location,
        youngest: DateTime<Utc>,
    ) -> Result<Vec<Garbage>> {
        let (mut found, mut others, mut listed) = (Vec::new(), Vec::new(), 0);
        let own = [self.layout.root(), self.layout.lake()].map(|folder| folder.raw_key().trim_end_matches('/'));
        let mut add = |location: &Location, bytes: u64, modified: DateTime<Utc>, half: bool| {
            if let Some(why) = self.why(location, half)
                && modified <= youngest
            {
                found.push(Garbage { table: self.name.to_owned(), uri: location.uri(), bytes, why, upload: None });
            }
        };
        let failed = |source| store_error("list", folder, source);
        let mut listing = store.list(Some(&folder.key()?));
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            let location = folder.with_key(meta.location.as_ref());
            if let Some(inner) = owner::marked(&meta.location).filter(|inner| !own.contains(inner)) {
                others.push(folder.with_key(inner).uri_of_folder());
            }
            listed += usize::from(self.listed.files.contains(location.uri().as_str()));
            add(&location, meta.size, meta.last_modified, false);
        }
        if folder.store() == "file://" {
            let mut half = |path: &Path, meta: &std::fs::Metadata| {
                let modified = meta.modified().map_or_else(|_| Utc::now(), DateTime::from);
                if let Some(path) = path.to_str() {
                    add(&folder.with_key(path.trim_start_matches('/')), meta.len(), modified, true);
                }
            };
            half_files(Path::new(&folder.to_string()), &mut half)?;
            self.keep_linked(folder, &mut found);
        }
        // Another table's folder in ours.
        found.retain(|file| !others.iter().any(|other| file.uri.starts_with(other)));
        if self.owns_lake == LakeOwnership::ByItsFiles && listed < self.listed.files_in(self.layout.lake()) {
            found.retain(|file| !self.is_stray(&file.uri));
        }
        Ok(found)
    }

    /// Leaves out what is not surely ours: files behind links, and other names of files that manifests list.
    fn keep_linked(&self, folder: &Location, found: &mut Vec<Garbage>) {
        if found.is_empty() {
            return;
        }
        let root = PathBuf::from(folder.to_string());
        let listed =
            if self.drop_staging { HashSet::new() } else { identities(self.listed.files.iter().map(AsRef::as_ref)) };
        let mut seen = HashMap::new();
        found.retain(|file| {
            let Ok(location) = Location::from_uri(&file.uri) else { return false };
            let path = PathBuf::from(location.to_string());
            !is_behind_link(&root, &path, &mut seen)
                && identity(&path).is_none_or(|identity| file.why == Why::Published || !listed.contains(&identity))
        });
    }

    /// Whether a plan that was replaced has left a file in the lake.
    fn is_stray(&self, uri: &str) -> bool {
        let name = uri.rsplit('/').next().unwrap_or_default();
        let is_in_lake = || Location::from_uri(uri).is_ok_and(|file| self.layout.lake().holds(&file));
        self.owns_lake != LakeOwnership::No && is_lake_name(name) && !self.listed.names(uri) && is_in_lake()
    }

    /// Why a file is garbage, if it is.
    fn why(&self, location: &Location, is_half: bool) -> Option<Why> {
        let uri = location.uri();
        if self.layout.lake().holds(location) {
            let name = uri.rsplit('/').next().unwrap_or_default();
            let is_mark = || ["_SUCCESS#", "_snaplake.json#"].iter().any(|mark| name.starts_with(mark));
            let is_ours = self.listed.names(&uri) || self.is_stray(&uri) || (is_half && is_mark());
            return match is_half {
                false if self.keeps_lake => None,
                _ if !is_ours || self.listed.files.contains(uri.as_str()) => None,
                true => Some(Why::Unfinished),
                false => Some(Why::Uncommitted),
            };
        }
        if is_half {
            return Some(Why::Unfinished);
        }
        if self.layout.staging_data().holds(location) {
            let is_ours = uri.rsplit('/').next().is_some_and(is_staging_name);
            return match self.listed.files.contains(uri.as_str()) {
                false => is_ours.then_some(Why::Uncommitted),
                true => self.drop_staging.then_some(Why::Published),
            };
        }
        (!self.listed.has_manifest(self.layout, &uri)).then_some(Why::Uncommitted)
    }
}
