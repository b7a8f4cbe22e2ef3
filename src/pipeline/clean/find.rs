//! Garbage: files in a table's folders that no manifest lists; found, and removed if asked to.
//!
//! ```text
//! manifests/    a data file whose summary was never written, groups of a plan that was replaced, traces of tasks that are
//!               done since, or that nobody is running any more
//! staging       files of tasks that were not committed; all of them, if wanted, once the lake is complete
//! lake          files of tasks that were not committed, also of plans that were replaced where all else in the folder
//!               shows that it is this table's
//! exports       tries of running databases and of merges that no manifest names
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
use super::tries;
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

/// Garbage of all tables of the project, by table and uri, then that of its exports.
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
    let mut found: Vec<Garbage> = found.await?.into_iter().flatten().collect();
    found.extend(tries::find(pipeline, youngest).await?);
    Ok(found)
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

/// Published files that no readable plan names.
#[derive(Debug, Default)]
pub(crate) struct Unnamed {
    /// Files that only publish manifests name.
    pub(crate) files: HashSet<Arc<str>>,
    /// Whether the folder also has files that no readable manifest names, beside all those that manifests name.
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
    let is_here = !published.is_empty() && found.get() == published.len();
    // Where all names are known, what has another name was put there by somebody else.
    let has_strays = files.others > 0 && is_here && !listed.knows_all_names;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Step;
    use crate::pipeline::in_memory::{Job, TABLE};

    const ALL: CleanOptions = CleanOptions { staging: false, older_than: Duration::ZERO };

    /// Puts a file in place of another one's number, as a task that did not commit would.
    async fn put_uncommitted(job: &Job) -> String {
        let key = job.lake_files().await[0].replace("-0000.parquet", "-0009.parquet");
        job.put(&key, "half").await;
        format!("s3://b/{key}")
    }

    fn uris(garbage: &[Garbage]) -> Vec<&str> {
        garbage.iter().map(|file| file.uri.as_str()).collect()
    }

    #[test]
    fn age_beyond_all_times_leaves_nothing_old_enough() {
        let options = |older_than| CleanOptions { staging: true, older_than };
        assert_eq!(options(Duration::MAX).youngest(), None);
        assert_eq!(options(Duration::from_secs(60 * 60 * 24 * 366 * 400_000)).youngest(), None);
        assert!(options(Duration::from_secs(60)).youngest().is_some_and(|time| time < Utc::now()));
    }

    #[tokio::test]
    async fn published_table_has_no_garbage_and_then_the_files_that_nobody_committed() {
        let job = Job::published().await;
        assert_eq!(find(&job.pipeline, ALL).await.unwrap(), []);
        let uncommitted = put_uncommitted(&job).await;
        let found = find(&job.pipeline, ALL).await.unwrap();
        assert_eq!(uris(&found), [uncommitted.as_str()]);
        assert_eq!((found[0].why, found[0].bytes), (Why::Uncommitted, 4));
        let young = CleanOptions { older_than: Duration::from_secs(3600), ..ALL };
        assert_eq!(find(&job.pipeline, young).await.unwrap(), []);
    }

    #[tokio::test]
    async fn only_what_was_found_and_still_is_garbage_is_removed() {
        let job = Job::published().await;
        let before = job.keys("").await;
        let uncommitted = put_uncommitted(&job).await;
        let mut found = find(&job.pipeline, ALL).await.unwrap();
        // Something that is none, and something that came later.
        found.push(Garbage { uri: format!("s3://b/{}", job.lake_files().await[0]), ..found[0].clone() });
        let later = job.lake_files().await[0].replace("-0000.parquet", "-0008.parquet");
        job.put(&later, "half").await;
        let removed = remove(&job.pipeline, ALL, &found).await.unwrap();
        assert_eq!(uris(&removed), [uncommitted.as_str()]);
        job.delete(&later).await;
        assert_eq!(job.keys("").await, before);
    }

    #[tokio::test]
    async fn staging_files_go_only_when_asked_for_and_only_while_the_lake_is_complete() {
        let job = Job::published().await;
        let staging = CleanOptions { staging: true, ..ALL };
        let count = async |options| find(&job.pipeline, options).await.unwrap().len();
        let staged = job.keys("/datalake/").await.len();
        assert!(staged > 0);
        assert_eq!([count(ALL).await, count(staging).await], [0, staged]);
        job.delete(job.ledger().await.layout().success().raw_key()).await;
        assert_eq!(count(staging).await, 0);
    }

    #[tokio::test]
    async fn table_with_a_damaged_manifest_is_left_alone_with_a_warning() {
        let job = Job::published().await;
        put_uncommitted(&job).await;
        let data = job.ledger().await.layout().manifest(Step::StagingFileGroups, 1).data;
        job.put(data.raw_key(), "no parquet").await;
        assert_eq!(find(&job.pipeline, ALL).await.unwrap(), []);
        let [warning] = &job.warnings()[..] else { panic!("{:?}", job.warnings()) };
        assert!(warning.contains("manifest-data-1.parquet"), "{warning}");
    }

    #[tokio::test]
    async fn complete_lake_whose_manifests_were_lost_keeps_its_files() {
        let job = Job::published().await;
        let lake = job.lake_files().await;
        for key in job.keys("staging/").await {
            job.delete(&key).await;
        }
        assert_eq!(find(&job.pipeline, ALL).await.unwrap(), []);
        clear_lake(&job.pipeline, job.lake(), true).await.unwrap();
        assert_eq!(job.lake_files().await, lake);
    }

    #[tokio::test]
    async fn lake_that_this_table_is_writing_is_cleared_and_that_of_another_one_is_not() {
        for (is_ours, left) in [(true, 0), (false, 1)] {
            let job = Job::new(TABLE);
            job.put("export/1.csv", "id,k,v\n1,a,x\n").await;
            job.pipeline.stage().await.unwrap();
            let ledger = job.ledger().await;
            let stray = ledger.layout().lake().join("k=a/000007-0123456789ab-0000.parquet");
            job.put(stray.raw_key(), "x").await;
            job.put(ledger.layout().lake().join("k=a/part-0.parquet").raw_key(), "theirs").await;
            let mut owner = plan::owner_of_staging(job.pipeline.project(), job.lake()).of_lake("p", String::new());
            if !is_ours {
                owner.table = "u".to_owned();
            }
            HiveLake::open(job.pipeline.engine().stores(), ledger.layout()).await.unwrap().claim(&owner).await.unwrap();
            clear_lake(&job.pipeline, job.lake(), true).await.unwrap();
            assert_eq!(job.keys("000007-0123456789ab").await.len(), left, "{is_ours}");
            assert_eq!(job.keys("lake/d/t/").await.iter().filter(|key| key.ends_with("_snaplake.json")).count(), left);
            assert_eq!(job.keys("part-0.parquet").await.len(), 1);
        }
    }

    #[tokio::test]
    async fn lake_is_taken_back_with_the_names_that_no_plan_gives_unless_its_place_is_taken() {
        let job = Job::published().await;
        let ledger = job.ledger().await;
        let lake = job.lake_files().await;
        let mut published: HashSet<Arc<str>> = lake.iter().map(|key| format!("s3://b/{key}").into()).collect();
        let check =
            async |published: &HashSet<Arc<str>>| check_lake(&job.pipeline, &ledger, "t", published.clone()).await;
        let unnamed = check(&published).await.unwrap();
        assert!(unnamed.files.is_empty() && !unnamed.has_strays);
        let old = ledger.layout().lake().join("k=a/000007-0123456789ab-0000.parquet");
        job.put(old.raw_key(), "x").await;
        assert!(!check(&published).await.unwrap().has_strays, "somebody else's: all names of this lake are known");
        let first = ledger.layout().manifest(Step::PartitionFileGroups, 1).summary;
        let summary = ledger.read_file(&first).await.unwrap().unwrap();
        job.put(first.raw_key(), "").await;
        assert!(check(&published).await.unwrap().has_strays, "it may be a name that the damaged manifest had");
        ledger.write_file(&first, summary).await.unwrap();
        published.insert(old.uri().into());
        let unnamed = check(&published).await.unwrap();
        assert_eq!((unnamed.files, unnamed.has_strays), (HashSet::from([Arc::from(old.uri())]), false));
        for key in lake {
            job.delete(&key).await;
        }
        let error = check(&HashSet::new()).await.unwrap_err();
        assert!(matches!(error, Error::ForeignFiles { count: 1, .. }), "{error:?}");
    }
}
