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

/// Uploads below a folder that nobody ended. Not every user may list them, nor does every server.
pub(super) async fn unfinished(stores: &Stores, folder: &Location) -> Vec<Unfinished> {
    stores.unfinished(folder).await.unwrap_or_else(|error| {
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%folder, why, "multipart uploads cannot be listed; a lifecycle rule of the bucket ends them");
        Vec::new()
    })
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
    /// [`Error::Store`](crate::Error::Store), [`Error::Io`](crate::Error::Io).
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

    /// Uploads of this table that nobody ended.
    async fn uploads(&self, stores: &Stores, folder: &Location, youngest: DateTime<Utc>) -> Vec<Unfinished> {
        let mut uploads = unfinished(stores, folder).await;
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

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use object_store::memory::InMemory;
    use object_store::path::Path as Key;
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;
    use crate::layout::{SnapshotFolder, Step};

    const OURS: &str = "000001-5f3a09c1d2e4";
    const LISTED: &str = "000001-5f3a09c1d2e4-0000.parquet";
    /// A name that the plan gives, of a file that no manifest lists.
    const UNLISTED: &str = "000001-5f3a09c1d2e4-0001.parquet";
    /// A name that an earlier plan gave.
    const STRAY: &str = "000007-0123456789ab-0000.parquet";
    const STAGED: &str = "000001-5f3a09c1d2e4-000000.parquet";

    fn layout() -> TableLayout {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let (table, time) = (("d", "public", "t"), "2026-01-31T00:00:00Z");
        TableLayout::new(&at("s3://b/st"), &at("s3://b/lake"), table, (&SnapshotFolder::default(), time), None)
    }

    /// With one published and one staged file.
    fn table(layout: &TableLayout) -> CleanTable<'_> {
        let files = [layout.lake().join(LISTED).uri(), layout.staging_data().join(STAGED).uri()];
        let listed = TableManifests::of(&[(Step::StagingFileGroups, &[1])], &[&files[0], &files[1]], &[OURS]);
        let (drop_staging, keeps_lake) = (false, false);
        CleanTable { name: "t", layout, listed, drop_staging, owns_lake: LakeOwnership::Certain, keeps_lake }
    }

    #[test]
    fn file_in_the_lake_is_garbage_only_under_a_name_of_ours_that_no_manifest_lists() {
        let layout = layout();
        let why = |table: &CleanTable<'_>, name: &str| table.why(&layout.lake().join(name), false);
        let foreign = ["part-0.parquet", "_SUCCESS", "_snaplake.json", "_SUCCESS#1", LISTED];
        let table = table(&layout);
        for name in foreign {
            assert_eq!(why(&table, name), None, "{name}");
        }
        for name in [UNLISTED, STRAY] {
            assert_eq!(why(&table, name), Some(Why::Uncommitted), "{name}");
        }
        let not_ours = CleanTable { owns_lake: LakeOwnership::No, ..self::table(&layout) };
        assert_eq!([why(&not_ours, UNLISTED), why(&not_ours, STRAY)], [Some(Why::Uncommitted), None]);
        // Its manifests are gone, so nothing tells its files from garbage.
        let lost = CleanTable { keeps_lake: true, ..self::table(&layout) };
        assert_eq!([why(&lost, UNLISTED), why(&lost, STRAY)], [None, None]);
    }

    #[test]
    fn half_file_is_unfinished_and_in_the_lake_only_if_it_is_ours() {
        let layout = layout();
        let table = CleanTable { keeps_lake: true, owns_lake: LakeOwnership::No, ..table(&layout) };
        let ours = [format!("{UNLISTED}#1"), "_SUCCESS#1".to_owned(), "_snaplake.json#12".to_owned()];
        for name in &ours {
            assert_eq!(table.why(&layout.lake().join(name), true), Some(Why::Unfinished), "{name}");
        }
        for name in ["part-0.parquet#1", "x_SUCCESS#1"] {
            assert_eq!(table.why(&layout.lake().join(name), true), None, "{name}");
        }
        // All below the staging folder is this table's.
        assert_eq!(table.why(&layout.staging_data().join("part-0.parquet#1"), true), Some(Why::Unfinished));
        assert_eq!(table.why(&layout.manifests().join("audits.json#3"), true), Some(Why::Unfinished));
    }

    #[test]
    fn staging_file_is_garbage_if_unlisted_or_if_the_lake_is_complete_and_that_is_asked_for() {
        let layout = layout();
        let kept = table(&layout);
        let dropped = CleanTable { drop_staging: true, ..table(&layout) };
        for (name, by_default, once_published) in [
            (STAGED, None, Some(Why::Published)),
            ("000002-5f3a09c1d2e4-000000.parquet", Some(Why::Uncommitted), Some(Why::Uncommitted)),
            ("notes.txt", None, None),
        ] {
            let file = layout.staging_data().join(name);
            assert_eq!([kept.why(&file, false), dropped.why(&file, false)], [by_default, once_published], "{name}");
        }
        let manifest = |number| layout.manifest(Step::StagingFileGroups, number).data;
        let why = [manifest(1), manifest(2)].map(|file| kept.why(&file, false));
        assert_eq!(why, [None, Some(Why::Uncommitted)]);
    }

    /// Names of the garbage below the lake's folder, which holds these files.
    async fn found(table: &CleanTable<'_>, keys: &[&str], age: TimeDelta) -> Vec<String> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let root = table.layout.lake().raw_key().trim_end_matches('/').to_owned();
        for key in keys {
            store.put(&Key::from(format!("{root}/{key}")), PutPayload::from("123")).await.unwrap();
        }
        let garbage = table.garbage(&store, table.layout.lake(), Utc::now() - age).await.unwrap();
        assert!(garbage.iter().all(|file| file.table == "t" && file.bytes == 3));
        let name = |file: &Garbage| file.uri.rsplit('/').next().unwrap().to_owned();
        garbage.iter().map(name).collect()
    }

    #[tokio::test]
    async fn file_that_is_too_young_is_none() {
        let layout = layout();
        let table = table(&layout);
        assert_eq!(found(&table, &[LISTED, UNLISTED], TimeDelta::hours(-1)).await, [UNLISTED]);
        assert_eq!(found(&table, &[LISTED, UNLISTED], TimeDelta::hours(1)).await, [] as [&str; 0]);
    }

    #[tokio::test]
    async fn folder_of_another_owner_in_the_lake_is_left_alone() {
        let layout = layout();
        let table = table(&layout);
        for mark in ["inner/_SUCCESS", "inner/_snaplake.json"] {
            let (inner, beside) = (format!("inner/{UNLISTED}"), format!("inner2/{UNLISTED}"));
            let keys = [&inner, &beside, mark, "_SUCCESS", "_snaplake.json"];
            assert_eq!(found(&table, &keys, TimeDelta::hours(-1)).await, [UNLISTED], "{mark}");
        }
    }

    #[tokio::test]
    async fn strays_are_garbage_only_where_all_published_files_show_that_the_folder_is_ours() {
        let layout = layout();
        let table = CleanTable { owns_lake: LakeOwnership::ByItsFiles, ..table(&layout) };
        let young = TimeDelta::hours(-1);
        assert_eq!(found(&table, &[LISTED, UNLISTED, STRAY], young).await, [UNLISTED, STRAY]);
        assert_eq!(found(&table, &[UNLISTED, STRAY], young).await, [UNLISTED]);
    }
}
