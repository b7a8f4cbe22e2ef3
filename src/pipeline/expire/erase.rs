//! Removes all files of one snapshot of a table, in an order that a crash may cut.
//!
//! ```text
//! version of the table -> _SUCCESS -> lake files -> staging files, audits, manifests -> the plan -> the owner file
//! ```
//!
//! Removed are files below the two folders of the snapshot with names that we give. Others stay, and so do files behind
//! links.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use object_store::path::Path as Key;

use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::store_error;
use crate::layout::{Location, is_lake_name};
use crate::manifest::ledger::delete_all;
use crate::manifest::{Ledger, owner, trace};
use crate::pipeline::Pipeline;
use crate::pipeline::clean::{half_files, is_behind_link};
use crate::staging::plan::{self, PlanDetails};

/// Files that are listed before they are removed.
const AT_ONCE: usize = 10_000;

/// Folders of a lake that name database, schema, table and snapshot.
const LAKE_DEPTH: usize = 4;

/// What lies in folders.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FolderSize {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Refuses a snapshot whose folders are not surely its own, or that a process is working on.
///
/// # Errors
/// [`Error::RunGoesOn`], [`Error::LocationOwned`], [`Error::LocationHolds`], [`Error::PlanChanged`],
/// [`Error::LinkedFolder`]; those of the ledger.
pub(super) async fn refuse(pipeline: &Pipeline, lake: &LakeTable, ledger: &Ledger, time: &str) -> Result<()> {
    let layout = ledger.layout();
    trace::refuse_running(ledger, &lake.name).await?;
    for location in [layout.root(), layout.lake()] {
        if location.is_local() && ancestors(location, LAKE_DEPTH).any(|folder| folder.is_symlink()) {
            return Err(Error::LinkedFolder { table: lake.name.clone(), location: location.to_string() });
        }
    }
    let mut ours = plan::owner_of_staging(pipeline.project(), lake);
    ours.snapshot = time.to_owned();
    let store = pipeline.engine().stores().open(layout.root()).await?;
    let found = owner::read(&store, &layout.staging_owner()).await?;
    if let Some(found) = found.filter(|found| !found.is_of_same_table(&ours)) {
        let (table, location) = (lake.name.clone(), layout.root().to_string());
        return Err(Error::LocationOwned { table, location, owner: found.name(), within: None, changed: None });
    }
    let plan = match ledger.head::<PlanDetails>(&layout.snapshot_manifest()).await {
        Ok(plan) => plan.map(|(_, plan)| plan),
        Err(Error::Damaged { .. }) => None,
        Err(error) => return Err(error),
    };
    if let Some(plan) = plan {
        let (table, planned_at) = (lake.name.clone(), plan.planned_at);
        let changed = |what, change| Error::PlanChanged { table, planned_at, what, change, published: 0 };
        if plan.snapshot_time != time {
            return Err(changed("snapshot time", Some((plan.snapshot_time, time.to_owned()))));
        }
        if let Some(then) = ledger.lake_elsewhere().await? {
            return Err(changed("lake location", Some((then, layout.lake().to_string()))));
        }
    }
    let folder = HiveLake::open(pipeline.engine().stores(), layout).await?;
    let files = folder.files(is_ours).await?;
    folder.refuse_inner(&lake.name, &files).await
}

/// Files that [`erase`] removes, and their bytes.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn size(pipeline: &Pipeline, ledger: &Ledger) -> Result<FolderSize> {
    let mut size = FolderSize::default();
    for (folder, is_lake) in [(ledger.layout().root(), false), (ledger.layout().lake(), true)] {
        let store = pipeline.engine().stores().open(folder).await?;
        let mut listing = store.list(Some(&folder.key()?));
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", folder, source))? {
            if !is_lake || is_ours(meta.location.as_ref()) || is_mark(ledger, &folder.with_key(meta.location.as_ref()))
            {
                size.files += 1;
                size.bytes += meta.size;
            }
        }
    }
    Ok(size)
}

/// Removes the snapshot, of which nothing is complete from the first step on.
///
/// # Errors
/// [`Error::Store`], [`Error::Io`].
pub(super) async fn erase(pipeline: &Pipeline, lake: &LakeTable, ledger: &Ledger, time: &str) -> Result<()> {
    let layout = ledger.layout();
    if let Some(table) = pipeline.versions(lake, layout).await? {
        table.forget(time).await?;
    }
    let lake = HiveLake::open(pipeline.engine().stores(), layout).await?;
    lake.withdraw().await?;
    remove_files(pipeline, layout.lake(), &|location| is_ours(location.raw_key())).await?;
    lake.disown().await?;
    let (plan, owner) = (layout.snapshot_manifest().summary, layout.staging_owner());
    remove_files(pipeline, layout.root(), &|location| *location != plan && *location != owner).await?;
    // A plan makes the folder a snapshot; its owner file says whose it is to the end.
    remove_files(pipeline, layout.root(), &|location| *location == plan).await?;
    remove_files(pipeline, layout.root(), &|_| true).await?;
    for (folder, depth) in [(layout.lake(), LAKE_DEPTH), (layout.root(), 1)] {
        if folder.is_local() {
            remove_empty_folders(folder, depth);
        }
    }
    Ok(())
}

fn is_ours(key: &str) -> bool {
    is_lake_name(key.rsplit('/').next().unwrap_or_default())
}

fn is_mark(ledger: &Ledger, location: &Location) -> bool {
    [ledger.layout().success(), ledger.layout().lake_owner()].contains(location)
}

/// Removes the chosen files below a folder, some thousand at a time.
async fn remove_files(pipeline: &Pipeline, folder: &Location, is_chosen: &impl Fn(&Location) -> bool) -> Result<()> {
    let store = pipeline.engine().stores().open(folder).await?;
    let failed = |source| store_error("list", folder, source);
    let (root, mut seen) = (PathBuf::from(folder.to_string()), HashMap::new());
    let mut is_linked =
        |location: &Location| folder.is_local() && is_behind_link(&root, Path::new(&location.to_string()), &mut seen);
    loop {
        let mut keys: Vec<Key> = Vec::new();
        let mut listing = store.list(Some(&folder.key()?));
        while keys.len() < AT_ONCE
            && let Some(meta) = listing.try_next().await.map_err(failed)?
        {
            let location = folder.with_key(meta.location.as_ref());
            if is_chosen(&location) && !is_linked(&location) {
                keys.push(meta.location);
            }
        }
        drop(listing);
        if keys.is_empty() {
            break;
        }
        delete_all(&store, folder, keys).await?;
    }
    if folder.is_local() {
        let mut half = Vec::new();
        half_files(&root, &mut |path, _| half.push(path.to_path_buf()))?;
        let of_file = |path: &Path| {
            let name = path.to_str()?.rsplit_once('#')?.0;
            Some(folder.with_key(name.trim_start_matches('/')))
        };
        for path in half.into_iter().filter(|path| of_file(path).is_some_and(|file| is_chosen(&file))) {
            std::fs::remove_file(&path)
                .map_err(|source| Error::Io { action: format!("removing {}", path.display()), source })?;
        }
    }
    Ok(())
}

/// The folder, and those around it, so many in all.
fn ancestors(folder: &Location, count: usize) -> impl Iterator<Item = PathBuf> {
    let path = PathBuf::from(folder.to_string());
    let all: Vec<PathBuf> = path.ancestors().take(count).map(Path::to_path_buf).collect();
    all.into_iter()
}

/// Removes the empty folders below a folder, then it and those around it; one that is not empty stays.
fn remove_empty_folders(folder: &Location, depth: usize) {
    fn below(folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                below(&entry.path());
                let _ = std::fs::remove_dir(entry.path());
            }
        }
    }
    below(Path::new(&folder.to_string()));
    for path in ancestors(folder, depth) {
        if std::fs::remove_dir(&path).is_err() {
            break;
        }
    }
}
