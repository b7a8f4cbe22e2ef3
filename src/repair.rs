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
//! Lake files, and staging files that publish tasks still need, are compared with their manifests: by their content on a local
//! disk, by etag and size in a store. Nothing is removed but manifests that cannot be used. Refuses while another process
//! works on the plan.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::layout::{Location, Step};
use crate::manifest::ledger::store_error;
use crate::manifest::{FileEntry, Ledger, Manifest, bare_etag, trace};
use crate::pipeline::Pipeline;
use crate::replan::plan_again;
use crate::session::check_content;
use crate::staging::plan::{self, GroupDetails, PlanDetails, StagePlan};

/// Something that was damaged, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Lake table.
    pub table: String,
    /// What is damaged, with its file.
    pub problem: String,
    /// What was done, or is to do.
    pub action: String,
    /// Whether nothing but a run is left to do.
    pub done: bool,
}

/// What of a manifest matters here.
#[derive(Debug, Serialize, Deserialize)]
struct OfPlan {
    plan: String,
}

/// Repairs all tables of the project.
///
/// # Errors
/// [`Error::RunGoesOn`]; those of planning and of the ledger.
pub async fn repair(pipeline: &Pipeline) -> Result<Vec<Repair>> {
    let mut all = Vec::new();
    for lake in &pipeline.project().lakes {
        let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
        let table = Table { pipeline, lake, ledger, found: Vec::new() };
        all.extend(table.repair().await?);
    }
    pipeline.engine().stores().settle().await?;
    Ok(all)
}

struct Table<'a> {
    pipeline: &'a Pipeline,
    lake: &'a LakeTable,
    ledger: Ledger,
    found: Vec<Repair>,
}

impl Table<'_> {
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
        let published = self.tasks(Step::DatalakeFileGroups, &id, "publish").await?;
        let published = self.lake_files(published).await?;
        let grouped = self.partition_groups(&id).await?;
        self.tasks(Step::StagingFileGroups, &id, "stage").await?;
        self.staging_files(grouped, &published).await?;
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
        for (number, problem) in self.unusable(step, 1..=plan.groups.len(), &plan.details.id).await? {
            let files = plan.groups.of(number - 1).cloned().collect();
            let (table, plan) = (self.lake.name.clone(), plan.details.id.clone());
            let manifest = Manifest::new(files, GroupDetails { table, group: number, plan });
            self.ledger.write(&self.ledger.layout().manifest(step, number), &manifest).await?;
            self.tell(problem, "written again from the plan".to_owned(), true);
        }
        Ok(())
    }

    /// Revokes manifests of tasks that cannot be used; gives the numbers of the others.
    async fn tasks(&mut self, step: Step, plan: &str, task: &str) -> Result<BTreeSet<usize>> {
        let mut done = self.ledger.done(step).await?;
        for (number, problem) in self.unusable(step, done.clone(), plan).await? {
            self.ledger.revoke(&self.ledger.layout().manifest(step, number)).await?;
            done.remove(&number);
            self.tell(problem, format!("{task} group {number} is to be done again"), true);
        }
        Ok(done)
    }

    /// The groups of staging files by number; none if they are to be made again.
    async fn partition_groups(&mut self, plan: &str) -> Result<Vec<(usize, Vec<FileEntry>)>> {
        let step = Step::PartitionFileGroups;
        let done = self.ledger.done(step).await?;
        let unusable = self.unusable(step, done.clone(), plan).await?;
        if let Some((_, problem)) = unusable.into_iter().next() {
            self.ledger.revoke_all(step).await?;
            self.tell(problem, "the publish tasks are to be planned again".to_owned(), true);
            return Ok(Vec::new());
        }
        let mut groups = Vec::new();
        let mut manifests = self.ledger.read_all::<OfPlan>(step, done);
        while let Some((number, manifest)) = manifests.try_next().await? {
            groups.extend(manifest.map(|manifest| (number, manifest.files)));
        }
        Ok(groups)
    }

    /// Revokes publish tasks of which a lake file is gone or changed; gives the numbers of the others.
    async fn lake_files(&mut self, mut published: BTreeSet<usize>) -> Result<BTreeSet<usize>> {
        let ledger = self.ledger.clone();
        let folder = HiveLake::open(self.pipeline.engine().stores(), ledger.layout()).await?;
        for (number, problem) in self.changed_files(Step::DatalakeFileGroups, published.clone(), None).await? {
            // Readers must not take a lake for whole that is not.
            folder.withdraw().await?;
            self.ledger.revoke(&self.ledger.layout().manifest(Step::DatalakeFileGroups, number)).await?;
            published.remove(&number);
            self.tell(problem, format!("publish group {number} is to be done again"), true);
        }
        Ok(published)
    }

    /// Revokes stage tasks of which publish tasks still need a file that is gone or changed.
    async fn staging_files(
        &mut self,
        grouped: Vec<(usize, Vec<FileEntry>)>,
        published: &BTreeSet<usize>,
    ) -> Result<()> {
        let unpublished = grouped.iter().filter(|(number, _)| !published.contains(number));
        let needed: HashSet<Arc<str>> =
            unpublished.flat_map(|(_, files)| files).map(|file| Arc::clone(&file.uri)).collect();
        let needed = (!grouped.is_empty()).then_some(&needed);
        let step = Step::StagingFileGroups;
        let done = self.ledger.done(step).await?;
        for (number, problem) in self.changed_files(step, done, needed).await? {
            self.ledger.revoke(&self.ledger.layout().manifest(step, number)).await?;
            self.tell(problem, format!("stage group {number} is to be done again"), true);
        }
        Ok(())
    }

    /// Tasks of which a file is gone or changed, each with its first such file; of all files, or of those of a set.
    async fn changed_files(
        &self,
        step: Step,
        numbers: BTreeSet<usize>,
        of: Option<&HashSet<Arc<str>>>,
    ) -> Result<Vec<(usize, String)>> {
        let mut found = Vec::new();
        for number in numbers {
            let target = self.ledger.layout().manifest(step, number);
            let Some(manifest) = self.ledger.read::<OfPlan>(&target).await? else { continue };
            for file in manifest.files.iter().filter(|file| of.is_none_or(|of| of.contains(&file.uri))) {
                if let Some(problem) = self.changed(file).await? {
                    found.push((number, problem));
                    break;
                }
            }
        }
        Ok(found)
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

    /// Manifests of these numbers that are damaged or of another plan, each with what is wrong.
    async fn unusable(
        &self,
        step: Step,
        numbers: impl IntoIterator<Item = usize>,
        plan: &str,
    ) -> Result<Vec<(usize, String)>> {
        let mut found = Vec::new();
        for number in numbers {
            let target = self.ledger.layout().manifest(step, number);
            match self.ledger.read::<OfPlan>(&target).await {
                Ok(Some(manifest)) if manifest.details.plan == plan => {}
                Ok(Some(_)) => found.push((number, format!("manifest {} is of another plan", target.summary))),
                Ok(None) if step == Step::SnapshotFileGroups => {
                    found.push((number, format!("manifest {} is gone", target.summary)));
                }
                Ok(None) => {}
                Err(error @ Error::Damaged { .. }) => found.push((number, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}
