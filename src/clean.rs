//! Garbage: files in a table's folders that no manifest lists; found, and removed if asked to.
//!
//! ```text
//! manifests/    a data file whose summary was never written, groups of a plan that was replaced, traces of tasks that are
//!               done since, or that nobody is running any more
//! staging       files of tasks that were not committed; all of them, if wanted, once the lake is complete
//! lake          files of tasks that were not committed, known by the names that this plan gives
//! local         half files, whose names end in '#' and a number
//! S3            multipart uploads that nobody ended
//! ```
//!
//! A file that a manifest lists is never touched, nor is a file in the lake's folder whose name this plan does not give. A task
//! that is still running has written files that no manifest lists yet: therefore the age, below which nothing counts
//! as garbage. Not seen: unended uploads to Google and Azure, and to servers that do not list them.

use std::collections::{BTreeSet, HashSet};
use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use tokio::sync::SemaphorePermit;

use crate::compaction::plan::PartitionDetails;
use crate::compaction::run::file_stems;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::{Location, Step, TableLayout, failed_number, is_running};
use crate::manifest::ledger::{delete_all, store_error};
use crate::manifest::{Ledger, Manifest};
use crate::pipeline::Pipeline;
use crate::session::{Stores, Unfinished};
use crate::spread::{room, write_tables};
use crate::staging::plan::{self, PlanDetails};

/// What to look for, and what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanOptions {
    /// Remove what was found.
    pub remove: bool,
    /// Take the staging files of complete tables for garbage.
    pub staging: bool,
    /// Younger files may belong to a task that is running.
    pub older_than: Duration,
}

impl CleanOptions {
    /// The latest time of what is old enough; `None` for an age beyond all times.
    fn youngest(&self) -> Option<DateTime<Utc>> {
        chrono::TimeDelta::from_std(self.older_than).ok().and_then(|age| Utc::now().checked_sub_signed(age))
    }
}

/// Why a file is garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No manifest lists it.
    Uncommitted,
    /// Half a local file, or a multipart upload that nobody ended.
    Unfinished,
    /// A staging file of a complete lake table.
    Published,
}

/// A file that may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Lake table.
    pub table: String,
    /// The file.
    pub uri: String,
    /// Bytes.
    pub bytes: u64,
    /// Why.
    pub why: Why,
    /// The server's name for a multipart upload that nobody ended; its bytes are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

/// Garbage of all tables of the project, by uri; removed if the options say so.
///
/// # Errors
/// [`Error::Store`], [`Error::Io`]; those of the ledger.
pub async fn clean(pipeline: &Pipeline, options: CleanOptions) -> Result<Vec<Garbage>> {
    let found = write_tables(pipeline.project().lakes.iter().map(|lake| async move {
        let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
        let is_complete = HiveLake::open(pipeline.engine().stores(), ledger.layout()).await?.is_complete().await?;
        let (listed, _room) = Listed::read(&ledger).await?;
        let table =
            Table { name: &lake.name, layout: ledger.layout(), listed, drop_staging: options.staging && is_complete };
        let mut found = Vec::new();
        for folder in [table.layout.root(), table.layout.lake()] {
            found.extend(table.clean(pipeline, folder, options).await?);
        }
        found.sort_by(|a, b| a.uri.cmp(&b.uri));
        Ok(found)
    }));
    Ok(found.await?.into_iter().flatten().collect())
}

/// Removes the files that publish tasks of a table wrote into its lake and did not commit, of any age.
///
/// # Errors
/// As [`clean`].
pub(crate) async fn clear_lake(pipeline: &Pipeline, lake: &LakeTable) -> Result<()> {
    let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
    let (listed, _room) = Listed::read(&ledger).await?;
    let table = Table { name: &lake.name, layout: ledger.layout(), listed, drop_staging: false };
    let options = CleanOptions { remove: true, staging: false, older_than: Duration::ZERO };
    table.clean(pipeline, table.layout.lake(), options).await.map(drop)
}

/// What the manifests of a table say.
#[derive(Debug, Default)]
struct Listed {
    /// Staging and lake files.
    files: HashSet<Arc<str>>,
    /// Committed numbers by step; of the planning steps, those that the plan has.
    live: Vec<(Step, BTreeSet<usize>)>,
    is_planned: bool,
    /// First parts of the names that lake files of this plan have.
    stems: BTreeSet<String>,
}

impl Listed {
    /// With the room that it takes.
    async fn read(ledger: &Ledger) -> Result<(Self, Option<SemaphorePermit<'static>>)> {
        let layout = ledger.layout();
        let Some((_, plan)) = ledger.head::<PlanDetails>(&layout.snapshot_manifest()).await? else {
            return Ok((Self::default(), None));
        };
        let mut listed = Self { is_planned: true, ..Self::default() };
        listed.live.push((Step::SnapshotFileGroups, (1..=plan.groups).collect()));
        let first = ledger.read::<PartitionDetails>(&layout.manifest(Step::PartitionFileGroups, 1)).await?;
        let groups: BTreeSet<usize> = first.iter().flat_map(|first| 1..=first.details.groups).collect();
        let room = room(plan.groups + groups.len()).await;
        let mut add = |manifest: Manifest<PartitionDetails>| {
            listed.stems.extend(file_stems(&plan.result, &manifest.details.into_group(manifest.files)));
        };
        first.into_iter().for_each(&mut add);
        let mut plans = ledger.read_all(Step::PartitionFileGroups, groups.iter().copied().skip(1));
        while let Some((_, manifest)) = plans.try_next().await? {
            manifest.into_iter().for_each(&mut add);
        }
        drop(plans);
        listed.live.push((Step::PartitionFileGroups, groups));
        for step in [Step::StagingFileGroups, Step::DatalakeFileGroups] {
            let done = ledger.done(step).await?;
            listed.add_files(ledger, step, &done).await?;
            listed.live.push((step, done));
        }
        Ok((listed, room))
    }

    async fn add_files(&mut self, ledger: &Ledger, step: Step, numbers: &BTreeSet<usize>) -> Result<()> {
        /// Details are of no interest here.
        #[derive(Debug, Serialize, Deserialize)]
        struct Nothing {}
        let mut manifests = ledger.read_all::<Nothing>(step, numbers.iter().copied());
        while let Some((_, manifest)) = manifests.try_next().await? {
            self.files.extend(manifest.into_iter().flat_map(|manifest| manifest.files).map(|file| file.uri));
        }
        Ok(())
    }

    /// Whether the number of a trace is among those of a step.
    fn has(&self, step: Step, trace: &str) -> bool {
        let numbers = self.live.iter().find(|(live, _)| *live == step).map(|(_, numbers)| numbers);
        numbers.zip(failed_number(trace)).is_some_and(|(numbers, number)| numbers.contains(&number))
    }

    /// Whether a file below `manifests/` is part of a manifest; one that nobody of us wrote is nobody's garbage.
    fn has_manifest(&self, layout: &TableLayout, uri: &str) -> bool {
        let Some(below) = uri.strip_prefix(&layout.manifests().uri()).map(|below| below.trim_start_matches('/')) else {
            return true;
        };
        let number = |name: &str| {
            let name = name.strip_prefix("manifest-summary-").or_else(|| name.strip_prefix("manifest-data-"))?;
            name.strip_suffix(".json").or_else(|| name.strip_suffix(".parquet"))?.parse::<usize>().ok()
        };
        match below.split('/').collect::<Vec<_>>()[..] {
            ["manifest-data.parquet"] => self.is_planned,
            [folder, "manifest-summary", name] if is_running(name) => !STEPS.iter().any(|step| step.folder() == folder),
            [folder, "manifest-summary", name] if failed_number(name).is_some() => {
                let step = TASKS.iter().find(|(_, step)| step.folder() == folder);
                step.is_none_or(|(planned, step)| self.has(*planned, name) && !self.has(*step, name))
            }
            [folder, "manifest-summary" | "manifest-data", name] => {
                let Some(number) = number(name) else { return true };
                let Some(step) = STEPS.iter().find(|step| step.folder() == folder) else { return true };
                self.live.iter().any(|(live, numbers)| live == step && numbers.contains(&number))
            }
            _ => true,
        }
    }
}

const STEPS: [Step; 4] =
    [Step::SnapshotFileGroups, Step::StagingFileGroups, Step::PartitionFileGroups, Step::DatalakeFileGroups];

/// Steps of which tasks are done, after those that plan them.
const TASKS: [(Step, Step); 2] =
    [(Step::SnapshotFileGroups, Step::StagingFileGroups), (Step::PartitionFileGroups, Step::DatalakeFileGroups)];

struct Table<'a> {
    name: &'a str,
    layout: &'a TableLayout,
    listed: Listed,
    drop_staging: bool,
}

impl Table<'_> {
    /// Garbage below one folder, removed if the options say so.
    async fn clean(&self, pipeline: &Pipeline, folder: &Location, options: CleanOptions) -> Result<Vec<Garbage>> {
        let store = pipeline.engine().stores().open(folder).await?;
        let Some(youngest) = options.youngest() else { return Ok(Vec::new()) };
        let mut garbage = self.garbage(&store, folder, youngest).await?;
        let uploads = self.uploads(pipeline.engine().stores(), folder, youngest).await;
        if options.remove {
            remove(&store, folder, &garbage).await?;
            for upload in &uploads {
                pipeline.engine().stores().abort(folder, upload).await?;
            }
        }
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
        let is_ours = |key: &str| !self.layout.lake().holds(&folder.with_key(key)) || self.is_named_by_plan(key);
        uploads.retain(|upload| upload.at <= youngest && is_ours(&upload.key));
        uploads
    }

    /// Whether the name of a lake file, or of one that is not whole, is one that the plan gives.
    fn is_named_by_plan(&self, key: &str) -> bool {
        let name = key.rsplit('/').next().unwrap_or_default().trim_start_matches('.');
        self.listed.stems.contains(name.rsplit_once('-').map_or("", |(stem, _)| stem))
    }

    /// Garbage below one folder: one LIST, and a look at the disk where it is local.
    async fn garbage(
        &self,
        store: &Arc<dyn ObjectStore>,
        folder: &Location,
        youngest: DateTime<Utc>,
    ) -> Result<Vec<Garbage>> {
        let mut found = Vec::new();
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
            add(&folder.with_key(meta.location.as_ref()), meta.size, meta.last_modified, false);
        }
        if folder.store() == "file://" {
            let mut half = |path: &Path, meta: &std::fs::Metadata| {
                let modified = meta.modified().map_or_else(|_| Utc::now(), DateTime::from);
                if let Some(path) = path.to_str() {
                    add(&folder.with_key(path.trim_start_matches('/')), meta.len(), modified, true);
                }
            };
            half_files(Path::new(&folder.to_string()), &mut half)?;
        }
        Ok(found)
    }

    /// Why a file is garbage, if it is.
    fn why(&self, location: &Location, is_half: bool) -> Option<Why> {
        let uri = location.uri();
        if self.layout.lake().holds(location) {
            let is_mark = || uri.rsplit('/').next().is_some_and(|name| name.starts_with("_SUCCESS#"));
            let is_ours = self.is_named_by_plan(&uri) || (is_half && is_mark());
            return match is_half {
                _ if !is_ours || self.listed.files.contains(uri.as_str()) => None,
                true => Some(Why::Unfinished),
                false => Some(Why::Uncommitted),
            };
        }
        if is_half {
            return Some(Why::Unfinished);
        }
        if self.layout.staging_data().holds(location) {
            return match self.listed.files.contains(uri.as_str()) {
                false => Some(Why::Uncommitted),
                true => self.drop_staging.then_some(Why::Published),
            };
        }
        (!self.listed.has_manifest(self.layout, &uri)).then_some(Why::Uncommitted)
    }
}

/// Files that a killed process was writing: the store's client hides them from listings.
fn half_files(folder: &Path, take: &mut impl FnMut(&Path, &std::fs::Metadata)) -> Result<()> {
    let failed = |source| Error::Io { action: format!("reading the folder {}", folder.display()), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // Links are not followed: what lies behind them is not ours.
        let meta = entry.metadata().map_err(failed)?;
        if meta.is_dir() {
            half_files(&entry.path(), take)?;
        } else if entry
            .file_name()
            .to_str()
            .and_then(|name| name.rsplit_once('#'))
            .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        {
            take(&entry.path(), &meta);
        }
    }
    Ok(())
}

async fn remove(store: &Arc<dyn ObjectStore>, folder: &Location, garbage: &[Garbage]) -> Result<()> {
    let (half, whole): (Vec<&Garbage>, Vec<&Garbage>) = garbage.iter().partition(|file| file.why == Why::Unfinished);
    for file in half {
        let path = Location::from_uri(&file.uri)?.to_string();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io { action: format!("removing {path}"), source });
            }
            _ => {}
        }
    }
    let keys = whole.iter().map(|file| Location::from_uri(&file.uri)?.key()).collect::<Result<Vec<_>>>()?;
    delete_all(store, folder, keys).await
}
