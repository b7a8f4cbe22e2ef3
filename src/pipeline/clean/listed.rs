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
    /// Whether `stems` is complete: the manifests of all planned publish tasks were readable.
    pub(super) knows_all_names: bool,
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
        let (mut first, mut named) = (None, 0);
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
                    named += 1;
                }
                Ok(_) => {}
                Err(error) => failed(error)?,
            }
        }
        self.knows_all_names = first == Some(named);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layout::SnapshotFolder;
    use crate::pipeline::in_memory::{Job, TABLE};

    impl TableManifests {
        /// As manifests of these numbers would make it.
        pub(crate) fn of(live: &[(Step, &[usize])], files: &[&str], stems: &[&str]) -> Self {
            Self {
                files: files.iter().map(|&uri| uri.into()).collect(),
                live: live.iter().map(|(step, numbers)| (*step, numbers.iter().copied().collect())).collect(),
                plan: None,
                stems: stems.iter().map(|&stem| stem.to_owned()).collect(),
                knows_all_names: true,
            }
        }
    }

    fn layout() -> TableLayout {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let (table, time) = (("d", "public", "t"), "2026-01-31T00:00:00Z");
        TableLayout::new(&at("s3://b/st"), &at("s3://b/lake"), table, (&SnapshotFolder::default(), time), None)
    }

    /// Two stage tasks of which the first is done, one publish task that is not.
    const HALF_DONE: [(Step, &[usize]); 4] = [
        (Step::SnapshotFileGroups, &[1, 2]),
        (Step::StagingFileGroups, &[1]),
        (Step::PartitionFileGroups, &[1]),
        (Step::DatalakeFileGroups, &[]),
    ];

    #[test]
    fn manifests_of_committed_tasks_stay_and_those_of_no_task_go() {
        let (listed, layout) = (TableManifests::of(&HALF_DONE, &[], &[]), layout());
        for (step, number, stays) in [
            (Step::SnapshotFileGroups, 2, true),
            (Step::SnapshotFileGroups, 3, false),
            (Step::StagingFileGroups, 1, true),
            (Step::StagingFileGroups, 2, false),
            (Step::PartitionFileGroups, 1, true),
            (Step::PartitionFileGroups, 2, false),
            (Step::DatalakeFileGroups, 1, false),
        ] {
            let files = layout.manifest(step, number);
            for file in [files.summary, files.data] {
                assert_eq!(listed.has_manifest(&layout, &file.uri()), stays, "{file}");
            }
        }
    }

    #[test]
    fn trace_of_a_failed_task_stays_until_it_is_done_or_no_task_of_the_plan() {
        let (listed, layout) = (TableManifests::of(&HALF_DONE, &[], &[]), layout());
        for (step, number, stays) in [
            (Step::StagingFileGroups, 1, false),
            (Step::StagingFileGroups, 2, true),
            (Step::StagingFileGroups, 3, false),
            (Step::DatalakeFileGroups, 1, true),
            (Step::DatalakeFileGroups, 2, false),
        ] {
            let trace = layout.failed(step, number);
            assert_eq!(listed.has_manifest(&layout, &trace.uri()), stays, "{trace}");
        }
        // Its age alone tells whether somebody is still running it.
        assert!(!listed.has_manifest(&layout, &layout.running(Step::StagingFileGroups, "5f").uri()));
    }

    #[test]
    fn file_below_manifests_that_nobody_of_us_wrote_is_nobodys_garbage() {
        let (listed, layout) = (TableManifests::of(&[], &[], &[]), layout());
        let manifests = layout.manifests();
        for path in [
            "manifest-summary.json",
            "audits.json",
            "notes.txt",
            "staging-file-groups/manifest-summary/notes.txt",
            "staging-file-groups/manifest-summary/manifest-summary-x.json",
            "staging-file-groups/manifest-summary/manifest-summary-1.json.bak",
            "staging-file-groups/notes/manifest-summary-1.json",
            "other-groups/manifest-summary/manifest-summary-1.json",
            "other-groups/manifest-summary/running-5f.json",
        ] {
            assert!(listed.has_manifest(&layout, &manifests.join(path).uri()), "{path}");
        }
        assert!(listed.has_manifest(&layout, &layout.staging_owner().uri()));
        // The data of a plan whose summary was never written.
        assert!(!listed.has_manifest(&layout, &layout.snapshot_manifest().data.uri()));
    }

    #[test]
    fn table_is_published_when_all_its_groups_are_and_has_any() {
        let (planned, done) = (Step::PartitionFileGroups, Step::DatalakeFileGroups);
        for (live, is_published) in [
            (vec![(planned, &[1, 2][..]), (done, &[1, 2][..])], true),
            (vec![(planned, &[1, 2]), (done, &[1, 2, 3])], true),
            (vec![(planned, &[1, 2]), (done, &[1, 3])], false),
            (vec![(planned, &[]), (done, &[])], false),
            (vec![(planned, &[1])], false),
            (vec![(done, &[1])], false),
        ] {
            assert_eq!(TableManifests::of(&live, &[], &[]).is_published(), is_published, "{live:?}");
        }
    }

    #[test]
    fn file_is_the_plans_by_the_first_part_of_its_name_alone() {
        let listed = TableManifests::of(&[], &[], &["000001-5f3a09c1d2e4"]);
        for name in ["k=1/000001-5f3a09c1d2e4-0000.parquet", ".000001-5f3a09c1d2e4-0007.parquet#1"] {
            assert!(listed.names(name), "{name}");
        }
        for name in ["000002-5f3a09c1d2e4-0000.parquet", "000001-5f3a09c1d2e5-0000.parquet", "5f3a09c1d2e4", ""] {
            assert!(!listed.names(name), "{name}");
        }
    }

    #[test]
    fn files_of_a_folder_are_not_those_of_one_whose_name_begins_alike() {
        let listed =
            TableManifests::of(&[], &["s3://b/lake/a", "s3://b/lake/k=1/b", "s3://b/lake2/c", "s3://b/lake"], &[]);
        assert_eq!(listed.files_in(&Location::parse("s3://b/lake", Path::new("/")).unwrap()), 2);
    }

    #[tokio::test]
    async fn published_table_lists_all_its_files_and_knows_their_names() {
        let job = Job::published().await;
        let (listed, _room) = TableManifests::read(&job.ledger().await).await.unwrap();
        let lake = job.lake_files().await;
        assert!(!lake.is_empty() && listed.is_published());
        for key in job.keys("-0000").await.iter().filter(|key| key.ends_with(".parquet")) {
            assert!(listed.files.contains(format!("s3://b/{key}").as_str()), "{key}");
        }
        assert!(lake.iter().all(|key| listed.names(key)));
        let (names, _room) = TableManifests::read_names(&job.ledger().await).await.unwrap();
        assert!(names.files.is_empty() && lake.iter().all(|key| names.names(key)));
    }

    #[tokio::test]
    async fn damaged_manifest_ends_a_reading_of_all_and_is_passed_over_where_names_are_enough() {
        let job = Job::published().await;
        let ledger = job.ledger().await;
        let lake = job.lake_files().await;
        let damage = async |files: crate::layout::ManifestFiles| job.put(files.data.raw_key(), "no parquet").await;
        damage(ledger.layout().manifest(Step::DatalakeFileGroups, 1)).await;
        assert!(matches!(TableManifests::read(&ledger).await, Err(Error::Damaged { .. })));
        let (names, _room) = TableManifests::read_names(&ledger).await.unwrap();
        assert!(lake.iter().all(|key| names.names(key)));
        damage(ledger.layout().manifest(Step::PartitionFileGroups, 1)).await;
        assert!(matches!(TableManifests::read(&ledger).await, Err(Error::Damaged { .. })));
        let (names, _room) = TableManifests::read_names(&ledger).await.unwrap();
        let known = lake.iter().filter(|key| names.names(key)).count();
        assert_eq!(known, lake.len() - 1, "names of the other group are still known");
    }

    #[tokio::test]
    async fn table_without_a_plan_lists_nothing() {
        let (listed, room) = TableManifests::read(&Job::new(TABLE).ledger().await).await.unwrap();
        assert!(listed.plan.is_none() && listed.files.is_empty() && !listed.is_published() && room.is_none());
    }
}
