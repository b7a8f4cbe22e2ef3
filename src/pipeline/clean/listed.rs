//! What the manifests of a table list, and the names that its plan gives.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tokio::sync::SemaphorePermit;

use crate::compaction::plan::PartitionDetails;
use crate::compaction::run::file_stems;
use crate::concurrency::room;
use crate::error::{Error, Result};
use crate::layout::{Location, Step, TableLayout, failed_number, is_running, lake_stem};
use crate::manifest::{Ledger, TaskDetails};
use crate::staging::plan::PlanDetails;

/// What the manifests of a table say.
#[derive(Debug, Default)]
pub(super) struct TableManifests {
    /// Staging and lake files.
    pub(super) files: HashSet<Arc<str>>,
    /// Committed numbers by step; of the planning steps, those that the plan has.
    live: Vec<(Step, BTreeSet<usize>)>,
    /// The current plan.
    pub(super) plan: Option<PlanDetails>,
    /// First parts of the names that lake files of this plan have.
    stems: BTreeSet<String>,
}

impl TableManifests {
    /// With the room that it takes.
    ///
    /// # Errors
    /// [`Error::Damaged`] for any manifest that cannot be read; those of the ledger.
    pub(super) async fn read(ledger: &Ledger) -> Result<(Self, Option<SemaphorePermit<'static>>)> {
        let mut listed = Self::default();
        let room = listed.read_plan(ledger, Err).await?;
        for step in [Step::StagingFileGroups, Step::DatalakeFileGroups] {
            if listed.plan.is_some() {
                let done = ledger.done(step).await?;
                listed.add_files(ledger, step, &done).await?;
                listed.live.push((step, done));
            }
        }
        Ok((listed, room))
    }

    /// The plan and the names that it gives, as far as they can be read; lists no files.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(super) async fn read_names(ledger: &Ledger) -> Result<(Self, Option<SemaphorePermit<'static>>)> {
        let mut listed = Self::default();
        let skip = |error| if matches!(error, Error::Damaged { .. }) { Ok(()) } else { Err(error) };
        let room = listed.read_plan(ledger, skip).await?;
        Ok((listed, room))
    }

    /// What to do about a manifest that cannot be read, `failed` says.
    async fn read_plan(
        &mut self,
        ledger: &Ledger,
        failed: impl Fn(Error) -> Result<()>,
    ) -> Result<Option<SemaphorePermit<'static>>> {
        let layout = ledger.layout();
        let plan = match ledger.head::<PlanDetails>(&layout.snapshot_manifest()).await {
            Ok(Some((_, plan))) => plan,
            Ok(None) => return Ok(None),
            Err(error) => return failed(error).map(|()| None),
        };
        self.live.push((Step::SnapshotFileGroups, (1..=plan.groups).collect()));
        let groups = ledger.done(Step::PartitionFileGroups).await?;
        let room = room(plan.groups + groups.len()).await;
        let mut first = None;
        let mut plans = pin!(ledger.read_all::<PartitionDetails>(Step::PartitionFileGroups, groups.iter().copied()));
        while let Some(read) = plans.next().await {
            match read {
                Ok((number, Some(manifest))) if manifest.details.plan == plan.id => {
                    if number == 1 {
                        first = Some(manifest.details.groups);
                    }
                    let properties = manifest.details.properties.clone();
                    let group = manifest.details.into_group(manifest.files);
                    self.stems.extend(file_stems(&plan.result, &properties, &group));
                }
                Ok(_) => {}
                Err(error) => failed(error)?,
            }
        }
        self.live.push((Step::PartitionFileGroups, first.into_iter().flat_map(|groups| 1..=groups).collect()));
        self.plan = Some(plan);
        Ok(room)
    }

    async fn add_files(&mut self, ledger: &Ledger, step: Step, numbers: &BTreeSet<usize>) -> Result<()> {
        let mut manifests = ledger.read_all::<TaskDetails>(step, numbers.iter().copied());
        while let Some((_, manifest)) = manifests.try_next().await? {
            self.files.extend(manifest.into_iter().flat_map(|manifest| manifest.files).map(|file| file.uri));
        }
        Ok(())
    }

    /// Whether the name of a lake file, or of one that is not whole, is one that the plan gives.
    pub(super) fn names(&self, key: &str) -> bool {
        self.stems.contains(lake_stem(key))
    }

    /// Whether all publish tasks are done: what is not listed then is none of the lake's.
    pub(super) fn is_published(&self) -> bool {
        let of = |step| self.live.iter().find(|(live, _)| *live == step).map(|(_, numbers)| numbers);
        let groups = of(Step::PartitionFileGroups).filter(|groups| !groups.is_empty());
        groups.zip(of(Step::DatalakeFileGroups)).is_some_and(|(groups, done)| groups.is_subset(done))
    }

    /// Number of files that lie in a folder.
    pub(super) fn files_in(&self, folder: &Location) -> usize {
        let root = folder.uri_of_folder();
        self.files.iter().filter(|uri| uri.starts_with(&root)).count()
    }

    /// Whether the number of a trace is among those of a step.
    fn has(&self, step: Step, trace: &str) -> bool {
        let numbers = self.live.iter().find(|(live, _)| *live == step).map(|(_, numbers)| numbers);
        numbers.zip(failed_number(trace)).is_some_and(|(numbers, number)| numbers.contains(&number))
    }

    /// Whether a file below `manifests/` is part of a manifest; one that nobody of us wrote is nobody's garbage.
    pub(super) fn has_manifest(&self, layout: &TableLayout, uri: &str) -> bool {
        let Some(below) = uri.strip_prefix(&layout.manifests().uri()).map(|below| below.trim_start_matches('/')) else {
            return true;
        };
        let number = |name: &str| {
            let name = name.strip_prefix("manifest-summary-").or_else(|| name.strip_prefix("manifest-data-"))?;
            name.strip_suffix(".json").or_else(|| name.strip_suffix(".parquet"))?.parse::<usize>().ok()
        };
        match below.split('/').collect::<Vec<_>>()[..] {
            ["manifest-data.parquet"] => self.plan.is_some(),
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
