//! Finds what a disk lost or changed of our own files, and makes room for it to be made again.
//!
//! ```text
//! the plan                     nothing published: planned anew; else left to `run --replan --withdraw`
//! snapshot file groups         written again from the plan
//! a stage task's manifest,     revoked: the next run stages the group again, from the same snapshot files into the same
//!   or a staging file          staging files
//! partition file groups        all revoked: the next run makes them again from the staging manifests, the same
//! a publish task's manifest,   revoked: the next run writes the same lake files again, after it took `_SUCCESS` away
//!   or a lake file
//! ```
//!
//! Lake files, and staging files that publish tasks still need, are compared with their manifests: by their content on
//! a local disk, by etag and size in a store. Nothing is removed but manifests that cannot be used. Refuses while
//! another process works on the plan.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use serde::Serialize;

use super::Pipeline;
use super::replan::plan_again;
use crate::concurrency::write_tables;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::store_error;
use crate::layout::{Location, Step};
use crate::manifest::ledger::TaskPlan;
use crate::manifest::{FileEntry, Ledger, Manifest, bare_etag, trace};
use crate::session::check_content;
use crate::staging::plan::{self, GroupDetails, PlanDetails, StagePlan};

/// Manifests of a table that are read at once.
const AT_ONCE: usize = 8;

/// Something that was damaged, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Name of the lake table with the damage.
    pub table: String,
    /// What is damaged, with its file.
    pub problem: String,
    /// What was done, or is to do.
    pub action: String,
    /// Whether nothing but a run is left to do.
    pub done: bool,
}

/// Repairs all tables of the project.
///
/// # Errors
/// [`Error::RunGoesOn`]; those of planning and of the ledger.
pub async fn repair(pipeline: &Pipeline) -> Result<Vec<Repair>> {
    let repaired = write_tables(pipeline.project().lakes.iter().map(|lake| async move {
        let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
        RepairTable { pipeline, lake, ledger, found: Vec::new() }.repair().await
    }));
    let repaired = repaired.await?;
    pipeline.engine().stores().settle().await?;
    Ok(repaired.into_iter().flatten().collect())
}

/// Files that a manifest lists, or what is wrong with it; `None` if it is not committed.
type ListedFiles = Result<Option<Vec<FileEntry>>, String>;

struct RepairTable<'a> {
    pipeline: &'a Pipeline,
    lake: &'a LakeTable,
    ledger: Ledger,
    found: Vec<Repair>,
}

impl RepairTable<'_> {
    async fn repair(mut self) -> Result<Vec<Repair>> {
        let read = self.ledger.read::<PlanDetails>(&self.ledger.layout().snapshot_manifest()).await;
        if !matches!(read, Ok(None)) {
            trace::refuse_running(&self.ledger, &self.lake.name).await?;
        }
        let plan = match read {
            Ok(None) => return Ok(self.found),
            Ok(Some(manifest)) => manifest,
            Err(error @ Error::Damaged { .. }) => {
                self.replan(&error).await?;
                return Ok(self.found);
            }
            Err(error) => return Err(error),
        };
        match self.pipeline.check_place(&self.ledger, self.lake).await {
            // It is among what is repaired.
            Err(Error::Damaged { .. }) => {}
            other => other?,
        }
        let id = plan.details.id.clone();
        let plan = plan::of_manifest(self.pipeline.project(), self.lake, self.ledger.clone(), plan)?;
        self.snapshot_groups(&plan).await?;
        let published = self.tasks(Step::DatalakeFileGroups, &id, |_| true).await?;
        let needed = self.partition_groups(&id, &published).await?;
        let is_needed = |file: &FileEntry| needed.as_ref().is_none_or(|needed| needed.contains(&file.uri));
        self.tasks(Step::StagingFileGroups, &id, is_needed).await?;
        Ok(self.found)
    }

    fn tell(&mut self, problem: String, action: String, done: bool) {
        self.found.push(Repair { table: self.lake.name.clone(), problem, action, done });
    }

    /// A plan that cannot be read says nothing about what is staged.
    async fn replan(&mut self, error: &Error) -> Result<()> {
        let published = self.ledger.done(Step::DatalakeFileGroups).await?.len();
        if published > 0 {
            let action = format!(
                "{published} publish tasks are done, so nothing was changed; `snaplake run CONFIG --replan --withdraw \
                 --table {}` takes the lake back and plans it anew",
                self.lake.name
            );
            self.tell(error.to_string(), action, false);
            return Ok(());
        }
        plan_again(self.pipeline, self.lake).await?;
        self.tell(error.to_string(), "planned anew; all of it is to be staged".to_owned(), true);
        Ok(())
    }

    async fn snapshot_groups(&mut self, plan: &StagePlan) -> Result<()> {
        let step = Step::SnapshotFileGroups;
        let mut damaged = Vec::new();
        let mut manifests = self.read(step, 1..=plan.groups.len(), &plan.details.id);
        while let Some((number, manifest)) = manifests.try_next().await? {
            let target = self.ledger.layout().manifest(step, number);
            let is_gone = || format!("manifest {} is gone", target.summary);
            damaged.extend(manifest.transpose().unwrap_or_else(|| Err(is_gone())).err().map(|found| (number, found)));
        }
        drop(manifests);
        for (number, problem) in damaged {
            let files = plan.groups.of(number - 1).cloned().collect();
            let (table, plan) = (self.lake.name.clone(), plan.details.id.clone());
            let manifest = Manifest::new(files, GroupDetails { table, group: number, plan });
            self.ledger.write(&self.ledger.layout().manifest(step, number), &manifest).await?;
            self.tell(problem, "written again from the plan".to_owned(), true);
        }
        Ok(())
    }

    /// Revokes tasks whose manifest cannot be used, or of which a file that matters is gone or changed; gives the
    /// numbers of the others.
    async fn tasks(&mut self, step: Step, plan: &str, matters: impl Fn(&FileEntry) -> bool) -> Result<BTreeSet<usize>> {
        let mut done = self.ledger.done(step).await?;
        let (mut damaged, mut lost_files) = (Vec::new(), false);
        let mut manifests = self.read(step, done.clone(), plan);
        while let Some((number, manifest)) = manifests.try_next().await? {
            match manifest {
                Err(problem) => damaged.push((number, problem)),
                Ok(None) => {}
                Ok(Some(files)) => {
                    for file in files.iter().filter(|file| matters(file)) {
                        if let Some(problem) = self.changed(file).await? {
                            damaged.push((number, problem));
                            lost_files = true;
                            break;
                        }
                    }
                }
            }
        }
        drop(manifests);
        if lost_files && step == Step::DatalakeFileGroups {
            // Readers must not take a lake for whole that is not.
            HiveLake::open(self.pipeline.engine().stores(), self.ledger.layout()).await?.withdraw().await?;
        }
        for (number, problem) in damaged {
            self.ledger.revoke(&self.ledger.layout().manifest(step, number)).await?;
            done.remove(&number);
            self.tell(problem, format!("{} group {number} is to be done again", step.task()), true);
        }
        Ok(done)
    }

    /// Staging files that publish tasks still need; `None` for all, as the tasks are to be planned again.
    async fn partition_groups(&mut self, plan: &str, published: &BTreeSet<usize>) -> Result<Option<HashSet<Arc<str>>>> {
        let step = Step::PartitionFileGroups;
        let done = self.ledger.done(step).await?;
        let (mut needed, mut damaged) = ((!done.is_empty()).then(HashSet::new), None);
        let mut manifests = self.read(step, done, plan);
        while let Some((number, manifest)) = manifests.try_next().await? {
            match manifest {
                Err(problem) => damaged = damaged.or(Some(problem)),
                Ok(Some(files)) if !published.contains(&number) => {
                    needed.get_or_insert_default().extend(files.into_iter().map(|file| file.uri));
                }
                Ok(_) => {}
            }
        }
        drop(manifests);
        let Some(problem) = damaged else { return Ok(needed) };
        self.ledger.revoke_all(step).await?;
        self.tell(problem, "the publish tasks are to be planned again".to_owned(), true);
        Ok(None)
    }

    /// The files of manifests by number.
    fn read(
        &self,
        step: Step,
        numbers: impl IntoIterator<Item = usize> + 'static,
        plan: &str,
    ) -> impl Stream<Item = Result<(usize, ListedFiles)>> + 'static {
        let (ledger, plan) = (self.ledger.clone(), plan.to_owned());
        let reads = numbers.into_iter().map(move |number| {
            let (ledger, plan) = (ledger.clone(), plan.clone());
            async move {
                match ledger.read::<TaskPlan>(&ledger.layout().manifest(step, number)).await {
                    Ok(None) => Ok((number, Ok(None))),
                    Ok(Some(manifest)) if manifest.details.plan == plan => Ok((number, Ok(Some(manifest.files)))),
                    Ok(Some(_)) => Ok((number, Err(ledger.of_another_plan(step, number).to_string()))),
                    Err(error @ Error::Damaged { .. }) => Ok((number, Err(error.to_string()))),
                    Err(error) => Err(error),
                }
            }
        });
        futures::stream::iter(reads).buffered(AT_ONCE)
    }

    /// How a file differs from what was written.
    async fn changed(&self, file: &FileEntry) -> Result<Option<String>> {
        let location = Location::from_uri(&file.uri)?;
        if location.is_local() {
            return match check_content(std::slice::from_ref(file)).await {
                Err(error @ Error::ContentChanged { .. }) => Ok(Some(error.to_string())),
                other => other.map(|()| None),
            };
        }
        let store = self.pipeline.engine().stores().open(&location).await?;
        match store.head(&location.key()?).await {
            Ok(found) => {
                let etag = found.e_tag.as_deref().map(bare_etag).unwrap_or_default();
                let is_same = found.size == file.size && (etag.is_empty() || etag == &*file.etag);
                Ok((!is_same).then(|| format!("{location} is not what was written: its etag is '{etag}'")))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Some(format!("{location} is gone"))),
            Err(source) => Err(store_error("read", &location, source)),
        }
    }
}
