//! Garbage: files in a table's folders that no manifest lists; found, and removed if asked to.
//!
//! ```text
//! manifests/    a data file whose summary was never written, groups of a plan that was replaced, traces of tasks that are
//!               done since, or that nobody is running any more
//! staging       files of tasks that were not committed; all of them, if wanted, once the lake is complete
//! lake          files of tasks that were not committed, also of plans that were replaced where all else in the folder
//!               shows that it is this table's
//! local         half files, whose names end in '#' and a number
//! S3            multipart uploads that nobody ended
//! ```
//!
//! A file that a manifest lists is never touched, under whatever name; nor is a file in the lake's folder whose name is
//! not of our form, a file behind a link, or one in a folder of another owner in ours. A table whose manifests cannot
//! be read, are of another snapshot, or name another lake is left alone and reported. A task that is still running has
//! written files that no manifest lists yet: therefore the age, below which nothing counts as garbage. Not seen:
//! unended uploads to Google and Azure, and to servers that do not list them.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStore;

use super::garbage::{Garbage, Why};
use super::listed::TableManifests;
use super::table::{CleanTable, LakeOwnership};
use crate::concurrency::read_tables;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::{Location, store_of};
use crate::manifest::ledger::delete_all;
use crate::manifest::{Ledger, trace};
use crate::pipeline::event::Event;
use crate::pipeline::run::Pipeline;
use crate::session::{Stores, Unfinished};
use crate::staging::plan;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanOptions {
    /// Take the staging files of complete tables for garbage.
    pub staging: bool,
    /// Younger files may belong to a task that is running.
    pub older_than: Duration,
}

impl CleanOptions {
    /// The latest time of what is old enough; `None` for an age beyond all times.
    fn youngest(&self) -> Option<DateTime<Utc>> {
        TimeDelta::from_std(self.older_than).ok().and_then(|age| Utc::now().checked_sub_signed(age))
    }
}

/// Age of files that a run which goes on has surely ended with.
const RUNNING: TimeDelta = TimeDelta::hours(1);

/// Garbage of all tables of the project, by table and uri.
///
/// # Errors
/// [`Error::Store`], [`Error::Io`]; those of the ledger.
pub async fn find(pipeline: &Pipeline, options: CleanOptions) -> Result<Vec<Garbage>> {
    let Some(youngest) = options.youngest() else { return Ok(Vec::new()) };
    let found = read_tables(pipeline.project().lakes.iter().map(|lake| async move {
        let mut found = of_table(pipeline, lake, options, youngest).await?;
        found.sort_by(|a, b| a.uri.cmp(&b.uri));
        Ok(found)
    }));
    Ok(found.await?.into_iter().flatten().collect())
}

/// Removes what [`find`] found, as far as it is still garbage; gives what was removed.
///
/// # Errors
/// As [`find`].
pub async fn remove(pipeline: &Pipeline, options: CleanOptions, found: &[Garbage]) -> Result<Vec<Garbage>> {
    let known: HashSet<(&str, &Option<String>)> = found.iter().map(|file| (file.uri.as_str(), &file.upload)).collect();
    let mut garbage = find(pipeline, options).await?;
    garbage.retain(|file| known.contains(&(file.uri.as_str(), &file.upload)));
    remove_all(pipeline.engine().stores(), &garbage).await?;
    Ok(garbage)
}

async fn of_table(
    pipeline: &Pipeline,
    lake: &LakeTable,
    options: CleanOptions,
    youngest: DateTime<Utc>,
) -> Result<Vec<Garbage>> {
    let (engine, project) = (pipeline.engine(), pipeline.project());
    let ledger = plan::ledger(engine, project, lake).await?;
    let left_alone = |problem: &str, advice: &str| {
        pipeline.tell(&Event::Warned { table: &lake.name, problem, advice });
        Ok(Vec::new())
    };
    let (listed, _room) = match TableManifests::read(&ledger).await {
        Ok(listed) => listed,
        Err(error @ Error::Damaged { .. }) => {
            let problem = format!("{error}, so no file of the table is listed as garbage");
            return left_alone(&problem, "`snaplake repair` makes it again");
        }
        Err(error) => return Err(error),
    };
    // What a run that goes on has written is not listed yet.
    let youngest = match trace::refuse_running(&ledger, &lake.name).await {
        Err(Error::RunGoesOn { .. }) => youngest.min(Utc::now() - RUNNING),
        other => other.map(|()| youngest)?,
    };
    let place = match &listed.plan {
        Some(plan) => pipeline.check_place_of(&ledger, lake, plan).await,
        None => Ok(()),
    };
    if let Err(error @ (Error::PlanChanged { .. } | Error::LocationOwned { .. })) = place {
        let problem = format!("{error}, so no file of the table is listed as garbage");
        return left_alone(&problem, &error.help().unwrap_or_default());
    }
    place?;
    let stands = match &listed.plan {
        Some(plan) if options.staging => pipeline.stands(&ledger, &plan.id).await?.is_some(),
        _ => false,
    };
    let layout = ledger.layout();
    let folder = HiveLake::open(engine.stores(), layout).await?;
    let result = listed.plan.as_ref().map(|plan| &plan.result);
    let owns_lake = match folder.owner().await? {
        Some(owner) => LakeOwnership::certain(Some(&owner.plan) == result),
        None if listed.is_published() => LakeOwnership::ByItsFiles,
        None => LakeOwnership::No,
    };
    let keeps_lake = !listed.is_published() && folder.is_complete().await?;
    let table = CleanTable { name: &lake.name, layout, listed, drop_staging: stands, owns_lake, keeps_lake };
    let mut found = Vec::new();
    for folder in [layout.root(), layout.lake()] {
        found.extend(table.find(engine.stores(), folder, youngest).await?);
    }
    Ok(found)
}

/// Removes the files that publish tasks of a table wrote into its lake and did not commit, of any age; if `all`, also
/// those of plans that are no more, where the folder's owner is this table. The folder is nobody's then.
///
/// # Errors
/// As [`find`].
pub(crate) async fn clear_lake(pipeline: &Pipeline, lake: &LakeTable, all: bool) -> Result<()> {
    let (engine, project) = (pipeline.engine(), pipeline.project());
    let ledger = plan::ledger(engine, project, lake).await?;
    let layout = ledger.layout();
    let folder = HiveLake::open(engine.stores(), layout).await?;
    let is_ours = match folder.owner().await? {
        Some(owner) if !owner.is_of_same_table(&plan::owner_of_staging(project, lake)) => return Ok(()),
        owner => owner.is_some(),
    };
    let (listed, _room) = TableManifests::read_names(&ledger).await?;
    if all && is_ours {
        folder.withdraw().await?;
    } else if folder.is_complete().await? {
        // Of a plan whose staging folder was lost: it is published, and stays.
        return Ok(());
    }
    let owns_lake = LakeOwnership::certain(all && is_ours);
    let table = CleanTable { name: &lake.name, layout, listed, drop_staging: false, owns_lake, keeps_lake: false };
    let found = table.find(engine.stores(), layout.lake(), Utc::now()).await?;
    remove_all(engine.stores(), &found).await?;
    if is_ours { folder.disown().await } else { Ok(()) }
}

/// Published files of which the manifests that can be read do not know all.
#[derive(Debug, Default)]
pub(crate) struct Unnamed {
    /// Those that only publish manifests name.
    pub(crate) files: HashSet<Arc<str>>,
    /// Whether no manifest names some that lie among all those that publish manifests name.
    pub(crate) has_strays: bool,
}

/// Refuses to take a lake back whose place another one has taken, or in whose folder another one lies; gives the
/// published files whose names no plan gives that can be read.
///
/// # Errors
/// [`Error::ForeignFiles`], [`Error::LocationHolds`]; those of the ledger.
pub(crate) async fn check_lake(
    pipeline: &Pipeline,
    ledger: &Ledger,
    table: &str,
    mut published: HashSet<Arc<str>>,
) -> Result<Unnamed> {
    let (listed, _room) = TableManifests::read_names(ledger).await?;
    let lake = ledger.layout().lake();
    let found = Cell::new(0);
    let is_ours = |key: &str| {
        let is_published = published.contains(lake.with_key(key).uri().as_str());
        found.set(found.get() + usize::from(is_published));
        is_published || listed.names(key)
    };
    let folder = HiveLake::open(pipeline.engine().stores(), ledger.layout()).await?;
    let files = folder.files(is_ours).await?;
    folder.refuse_inner(table, &files).await?;
    if files.is_of_others() {
        folder.refuse_others(table, &files)?;
    }
    let has_strays = files.others > 0 && !published.is_empty() && found.get() == published.len();
    published.retain(|uri| !listed.names(uri));
    Ok(Unnamed { files: published, has_strays })
}

/// Removes published files of a table's lake.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn remove_published(
    pipeline: &Pipeline,
    ledger: &Ledger,
    published: &HashSet<Arc<str>>,
) -> Result<()> {
    if published.is_empty() {
        return Ok(());
    }
    let lake = ledger.layout().lake();
    let keys = published.iter().map(|uri| Location::from_uri(uri)?.key()).collect::<Result<Vec<_>>>()?;
    delete_all(&pipeline.engine().stores().open(lake).await?, lake, keys).await
}

async fn remove_all(stores: &Stores, garbage: &[Garbage]) -> Result<()> {
    let location = |file: &Garbage| Location::from_uri(&file.uri);
    for of_store in garbage.chunk_by(|a, b| a.table == b.table) {
        let (half, whole): (Vec<&Garbage>, Vec<&Garbage>) =
            of_store.iter().partition(|file| file.why == Why::Unfinished);
        for file in half {
            let at = location(file)?;
            if let Some(id) = &file.upload {
                let upload = Unfinished { key: at.raw_key().to_owned(), id: id.clone(), at: Utc::now() };
                stores.abort(&at, &upload).await?;
                continue;
            }
            let path = at.to_string();
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { action: format!("removing {path}"), source });
                }
                _ => {}
            }
        }
        // Staging and lake may be in two stores.
        for files in whole.chunk_by(|a, b| store_of(&a.uri) == store_of(&b.uri)) {
            let folder = location(files[0])?;
            let store: Arc<dyn ObjectStore> = stores.open(&folder).await?;
            let keys = files.iter().map(|file| location(file)?.key()).collect::<Result<Vec<_>>>()?;
            delete_all(&store, &folder, keys).await?;
        }
    }
    Ok(())
}
