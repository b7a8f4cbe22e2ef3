//! Garbage of exports in the staging folder: tries that no manifest names.
//!
//! ```text
//! {staging}/{D}/_live/{snapshot}/{database}/live-export.json       the try that is the export
//! {staging}/{D}/_merged/{snapshot}/{table}/merged-export.json      the try that is the merge
//!                                          try-18f2c1a9b3d4e5f6/   all files of a try
//! ```
//!
//! Tries of all snapshots are looked at, where the config has such exports: nobody comes back to one that failed. A try
//! is garbage as a whole, and only if its newest file is old enough: one that goes on writes file after file. Beside a
//! manifest that cannot be read, nothing is garbage.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::{ListResult, ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use super::garbage::{Garbage, Why};
use super::local::{half_files, is_behind_link};
use super::table::unfinished;
use crate::concurrency::{read_tables, turn};
use crate::config::Project;
use crate::error::Result;
use crate::layout::{Location, store_error};
use crate::pipeline::event::Event;
use crate::pipeline::run::Pipeline;
use crate::session::Unfinished;
use crate::snapshot::exports::{live_manifest, merged, merged_manifest};

/// Names of manifests, and the version of each that is read.
const MANIFESTS: [(&str, u32); 2] =
    [("live-export.json", live_manifest::VERSION), (merged::MANIFEST, merged_manifest::VERSION)];

/// Garbage of the exports of a project, by uri. A part of the tables has none: all of them share a try.
///
/// # Errors
/// [`Error::Store`](crate::Error::Store), [`Error::Io`](crate::Error::Io).
pub(super) async fn find(pipeline: &Pipeline, youngest: DateTime<Utc>) -> Result<Vec<Garbage>> {
    let (project, stores) = (pipeline.project(), pipeline.engine().stores());
    let mut found = Vec::new();
    if project.lakes.len() < project.all_lakes().count() {
        return Ok(found);
    }
    for root in roots(project) {
        let store = stores.open(&root).await?;
        let uploads = unfinished(stores, &root).await;
        let tries = ExportTries { pipeline, store, root, uploads, youngest };
        found.extend(tries.find().await?);
    }
    found.sort_by(|a, b| a.uri.cmp(&b.uri));
    Ok(found)
}

/// The folders with the snapshots of exports.
fn roots(project: &Project) -> BTreeSet<Location> {
    let exports = project.snapshots.iter().filter_map(|table| {
        let export = table.export.as_ref()?;
        match &export.database {
            Some(database) => Some(project.settings.database_export(database)),
            None if export.merged.is_empty() => None,
            None => Some(project.settings.merged_export(&table.name)),
        }
    });
    exports.filter_map(|export| above(&above(&export)?)).collect()
}

fn above(folder: &Location) -> Option<Location> {
    folder.raw_key().rsplit_once('/').map(|(above, _)| folder.with_key(above))
}

fn name(folder: &Location) -> &str {
    folder.raw_key().rsplit('/').next().unwrap_or_default()
}

/// Whether a folder is called as a try.
fn is_try(folder: &Location) -> bool {
    let number = name(folder).strip_prefix("try-");
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What manifests of both kinds say of their try.
#[derive(Deserialize)]
struct NamedTry {
    version: u32,
    folder: String,
}

/// The tries below one folder.
struct ExportTries<'a> {
    pipeline: &'a Pipeline,
    store: Arc<dyn ObjectStore>,
    root: Location,
    /// Uploads below it that nobody ended.
    uploads: Vec<Unfinished>,
    youngest: DateTime<Utc>,
}

impl ExportTries<'_> {
    async fn find(&self) -> Result<Vec<Garbage>> {
        let snapshots = self.folders(&self.root).await?;
        let exports = read_tables(snapshots.into_iter().map(|snapshot| async move { self.folders(&snapshot).await }));
        let exports = exports.await?.into_iter().flatten();
        let found = read_tables(exports.map(|export| async move { self.of_export(&export).await })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn list(&self, folder: &Location) -> Result<ListResult> {
        let _turn = turn().await;
        let listed = self.store.list_with_delimiter(Some(&folder.key()?)).await;
        listed.map_err(|source| store_error("list", folder, source))
    }

    /// The folders in a folder.
    async fn folders(&self, folder: &Location) -> Result<Vec<Location>> {
        let listed = self.list(folder).await?;
        Ok(listed.common_prefixes.iter().map(|prefix| folder.with_key(prefix.as_ref())).collect())
    }

    /// Garbage in the folder of one export.
    async fn of_export(&self, export: &Location) -> Result<Vec<Garbage>> {
        let listed = self.list(export).await?;
        let folders = listed.common_prefixes.iter().map(|prefix| export.with_key(prefix.as_ref()));
        let mut tries: Vec<Location> = folders.filter(is_try).collect();
        for (manifest, version) in MANIFESTS {
            let is_there = listed.objects.iter().any(|object| object.location.filename() == Some(manifest));
            if tries.is_empty() || !is_there {
                continue;
            }
            let at = export.join(manifest);
            match self.named(&at, version).await? {
                Ok(named) => tries.retain(|folder| name(folder) != named),
                Err(reason) => {
                    let problem = format!("{at} cannot be read ({reason}), so no try beside it is listed as garbage");
                    let advice = "remove its folder when nothing reads the export any more";
                    self.pipeline.tell(&Event::Warned { table: name(export), problem: &problem, advice });
                    return Ok(Vec::new());
                }
            }
        }
        let mut found = Vec::new();
        for folder in &tries {
            found.extend(self.of_try(name(export), folder).await?);
        }
        Ok(found)
    }

    /// The folder that a manifest names, or why that is not known.
    async fn named(&self, at: &Location, version: u32) -> Result<std::result::Result<String, String>> {
        let _turn = turn().await;
        let failed = |source| store_error("read", at, source);
        let bytes = self.store.get(&at.key()?).await.map_err(failed)?.bytes().await.map_err(failed)?;
        Ok(match serde_json::from_slice::<NamedTry>(&bytes) {
            Ok(named) if named.version == version => Ok(named.folder),
            Ok(named) => Err(format!("its version {} is not {version}", named.version)),
            Err(error) => Err(error.to_string()),
        })
    }

    /// All files of a try, if none of them is young.
    async fn of_try(&self, export: &str, folder: &Location) -> Result<Vec<Garbage>> {
        let (mut found, mut newest) = (Vec::new(), DateTime::<Utc>::MIN_UTC);
        let mut add = |key: &str, bytes: u64, modified: DateTime<Utc>, why: Why, upload: Option<String>| {
            newest = newest.max(modified);
            found.push(Garbage { table: export.to_owned(), uri: folder.with_key(key).uri(), bytes, why, upload });
        };
        let failed = |source| store_error("list", folder, source);
        let mut listing = self.store.list(Some(&folder.key()?));
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            add(meta.location.as_ref(), meta.size, meta.last_modified, Why::Uncommitted, None);
        }
        for upload in self.uploads.iter().filter(|upload| folder.holds(&folder.with_key(&upload.key))) {
            add(&upload.key, 0, upload.at, Why::Unfinished, Some(upload.id.clone()));
        }
        if folder.is_local() {
            let mut half = |path: &Path, meta: &std::fs::Metadata| {
                let modified = meta.modified().map_or_else(|_| Utc::now(), DateTime::from);
                if let Some(path) = path.to_str() {
                    add(path.trim_start_matches('/'), meta.len(), modified, Why::Unfinished, None);
                }
            };
            half_files(Path::new(&folder.to_string()), &mut half)?;
            self.keep_linked(&mut found);
        }
        Ok(if newest <= self.youngest { found } else { Vec::new() })
    }

    /// Leaves out files behind links: those are not ours.
    fn keep_linked(&self, found: &mut Vec<Garbage>) {
        let (root, mut seen) = (PathBuf::from(self.root.to_string()), HashMap::new());
        found.retain(|file| {
            let path = Location::from_uri(&file.uri).map(|file| PathBuf::from(file.to_string()));
            path.is_ok_and(|path| !is_behind_link(&root, &path, &mut seen))
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::pipeline::in_memory::{Job, TABLE};

    const TABLES: &str = "
        CREATE EXTERNAL TABLE snapshot.t STORED AS POSTGRES LOCATION 'postgres://u@h:5432/shop';
        CREATE TABLE lake.t AS SELECT * FROM snapshot.t;
        CREATE EXTERNAL TABLE snapshot.u STORED AS DYNAMODB_EXPORT LOCATION ('s3://b/in/a/', 's3://b/in/b/');
        CREATE TABLE lake.u AS SELECT * FROM snapshot.u;";

    const LIVE: &str = "staging/d/_live/snapshot=2026-01-30T00:00:00Z/x";
    const MERGED: &str = "staging/d/_merged/snapshot=2026-01-31T00:00:00Z/u";

    async fn found(job: &Job, age: TimeDelta) -> Vec<(String, String)> {
        let garbage = find(&job.pipeline, Utc::now() - age).await.unwrap();
        assert!(garbage.iter().all(|file| (file.why, file.bytes) == (Why::Uncommitted, 1)));
        garbage.into_iter().map(|file| (file.table, file.uri)).collect()
    }

    /// A manifest that names the first of two tries, and a try without a manifest.
    async fn job() -> (Job, [(String, String); 2]) {
        let job = Job::new(TABLES);
        let named = format!("{LIVE}/try-0000000000000001/public/t/range-00001.parquet");
        let [failed, alone] = [
            format!("{LIVE}/try-00000000000000ff/public/t/range-00001.parquet"),
            format!("{MERGED}/try-0000000000000003/items-000-0001.json.zst"),
        ];
        let strangers = [
            format!("{LIVE}/notes/a"),
            format!("{LIVE}/try-1/a"),
            "staging/d/_live/try-0000000000000004/a".to_owned(),
            "staging/d/t/snapshot=2026-01-30T00:00:00Z/try-0000000000000005/a".to_owned(),
        ];
        for key in [named, failed.clone(), alone.clone()].iter().chain(&strangers) {
            job.put(key, "x").await;
        }
        let manifest = r#"{"version": 1, "folder": "try-0000000000000001", "tables": []}"#;
        job.put(&format!("{LIVE}/live-export.json"), manifest).await;
        (job, [("x".to_owned(), format!("s3://b/{failed}")), ("u".to_owned(), format!("s3://b/{alone}"))])
    }

    #[tokio::test]
    async fn try_that_no_manifest_names_is_garbage_when_it_is_old() {
        let (job, expected) = job().await;
        assert_eq!(found(&job, TimeDelta::zero()).await, expected);
        assert_eq!(found(&job, TimeDelta::hours(1)).await, []);
        let others = job.again(TABLE, "2026-01-31T00:00:00Z");
        assert_eq!(found(&others, TimeDelta::zero()).await, [], "the config has no such export");
    }

    #[tokio::test]
    async fn beside_a_manifest_that_cannot_be_read_nothing_is_garbage() {
        for (manifest, reason) in [("{", "EOF"), (r#"{"version": 7, "folder": "a"}"#, "its version 7 is not 1")] {
            let (job, [_, alone]) = job().await;
            job.put(&format!("{LIVE}/live-export.json"), manifest).await;
            assert_eq!(found(&job, TimeDelta::zero()).await, [alone]);
            let [warning] = &job.warnings()[..] else { panic!("{:?}", job.warnings()) };
            assert!(warning.contains("live-export.json cannot be read") && warning.contains(reason), "{warning}");
        }
    }
}
