//! What the tasks of a table have committed: their files, and what they say of themselves.
//!
//! Runs go on while this is read, so that the order matters ([`CommittedTable::read`]):
//!
//! ```text
//! plan -> lake -> partition file groups -> staging -> snapshot file groups -> is it still the plan? no: once more
//! ```
//!
//! What a task commits is not changed while its plan is current, and a step's manifests are older than those of the
//! next one. So whatever is in the lake is in what is read after it, and all is of one plan: manifests of another one,
//! as a replaced plan or a process that does not know of it leaves them, are passed over. Of the lake only partitions
//! are seen that are whole: several tasks share one that is large and has no order.

use std::collections::{BTreeMap, HashSet};

use futures::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compaction::plan::PartitionDetails;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::layout::Step;
use crate::manifest::{Extent, FileEntry, Ledger, TaskDetails};
use crate::staging::plan::{GroupDetails, Planner, StagePlan};

/// Details that say which plan their manifest belongs to.
pub(crate) trait OfPlan: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Id of the plan.
    fn plan(&self) -> &str;
}

impl OfPlan for GroupDetails {
    fn plan(&self) -> &str {
        &self.plan
    }
}

impl OfPlan for PartitionDetails {
    fn plan(&self) -> &str {
        &self.plan
    }
}

impl OfPlan for TaskDetails {
    fn plan(&self) -> &str {
        &self.plan
    }
}

/// The manifests of one step.
#[derive(Debug)]
pub(crate) struct Committed<D> {
    /// In the order of their tasks.
    pub(crate) files: Vec<FileEntry>,
    /// The task of each file.
    pub(crate) groups: Vec<u64>,
    /// What is known of the columns of each file; empty where it was not asked for.
    pub(crate) statistics: Vec<String>,
    /// By their number.
    pub(crate) tasks: BTreeMap<usize, CommittedTask<D>>,
}

impl<D> Default for Committed<D> {
    fn default() -> Self {
        Self { files: Vec::new(), groups: Vec::new(), statistics: Vec::new(), tasks: BTreeMap::new() }
    }
}

/// One manifest: a task, or what one is to do.
#[derive(Debug)]
pub(crate) struct CommittedTask<D> {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Rows, where they are known of all files.
    pub(crate) rows: Option<u64>,
    /// As in the manifest's summary.
    pub(crate) details: D,
}

impl<D> CommittedTask<D> {
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a FileEntry>, details: D) -> Self {
        files.fold(Self { files: 0, bytes: 0, rows: Some(0), details }, |sum, file| Self {
            files: sum.files + 1,
            bytes: sum.bytes + file.size,
            rows: sum.rows.zip(file.n_record).map(|(sum, rows)| sum + rows),
            ..sum
        })
    }
}

/// How often a table is read whose plan is replaced meanwhile.
const ATTEMPTS: usize = 5;

/// All that a planned table has, of one plan.
pub(super) struct CommittedTable {
    pub(super) plan: StagePlan,
    pub(super) snapshot_groups: Committed<GroupDetails>,
    pub(super) staged: Committed<TaskDetails>,
    /// Empty until the last of them is committed.
    pub(super) partitions: Committed<PartitionDetails>,
    pub(super) published: Committed<TaskDetails>,
}

impl CommittedTable {
    /// See the module's head; `None` if the table is not planned.
    ///
    /// # Errors
    /// Those of planning and of the ledger; [`Error::BeingReplanned`].
    pub(super) async fn read(planner: &Planner<'_>, lake: &LakeTable) -> Result<Option<Self>> {
        Self::read_while(planner, lake, async |_| ()).await
    }

    /// What happens after a step was read, tests say.
    async fn read_while(
        planner: &Planner<'_>,
        lake: &LakeTable,
        meanwhile: impl AsyncFn(Step),
    ) -> Result<Option<Self>> {
        for _ in 0..ATTEMPTS {
            let Some(plan) = planner.committed(lake).await? else { return Ok(None) };
            let published = Committed::read(&plan, Step::DatalakeFileGroups).await?;
            meanwhile(Step::DatalakeFileGroups).await;
            let partitions = Committed::read(&plan, Step::PartitionFileGroups).await?;
            meanwhile(Step::PartitionFileGroups).await;
            let staged = Committed::read(&plan, Step::StagingFileGroups).await?;
            meanwhile(Step::StagingFileGroups).await;
            let snapshot_groups = Committed::read(&plan, Step::SnapshotFileGroups).await?;
            meanwhile(Step::SnapshotFileGroups).await;
            if is_current(&plan).await? {
                let partitions = if is_whole(&partitions) { partitions } else { Committed::default() };
                return Ok(Some(Self { plan, snapshot_groups, staged, partitions, published }));
            }
        }
        Err(Error::BeingReplanned { table: lake.name.clone() })
    }
}

/// Whether the plan is the one in the store.
async fn is_current(plan: &StagePlan) -> Result<bool> {
    match plan.ledger.check_plan(&plan.lake.name, &plan.details.id).await {
        Err(Error::PlanReplaced { .. }) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Whether partition file groups are all there: the first one is written last.
fn is_whole(partitions: &Committed<PartitionDetails>) -> bool {
    let first = partitions.tasks.get(&1);
    first.is_some_and(|first| (1..=first.details.groups).all(|number| partitions.tasks.contains_key(&number)))
}

impl<D: OfPlan> Committed<D> {
    /// What is committed of the plan now.
    ///
    /// # Errors
    /// Those of the ledger.
    async fn read(plan: &StagePlan, step: Step) -> Result<Self> {
        let writes = matches!(step, Step::StagingFileGroups | Step::DatalakeFileGroups);
        let extent = if writes { Extent::Statistics } else { Extent::Files };
        let done = plan.ledger.done(step).await?;
        let is_of_plan = |details: &D| details.plan() == plan.details.id;
        Self::that(&plan.ledger, step, done, extent, is_of_plan).await
    }

    /// Leaves out the files of partitions of which not all tasks are done.
    pub(super) fn retain_whole_partitions(&mut self, planned: &BTreeMap<usize, CommittedTask<PartitionDetails>>) {
        let mut open: HashSet<&str> = HashSet::new();
        let mut is_planned = false;
        for (number, task) in planned {
            is_planned = true;
            if self.tasks.contains_key(number) {
                continue;
            }
            let PartitionDetails { partition, bundled, .. } = &task.details;
            match bundled.is_empty() {
                true => drop(open.insert(partition)),
                false => open.extend(bundled.iter().map(|bundled| bundled.partition.as_str())),
            }
        }
        if is_planned && open.is_empty() {
            return;
        }
        let kept: Vec<bool> = (self.files.iter())
            .map(|file| is_planned && !open.contains(file.partition.path().unwrap_or_default()))
            .collect();
        let mut is_kept = kept.iter();
        self.files.retain(|_| is_kept.next() == Some(&true));
        let mut is_kept = kept.iter();
        self.groups.retain(|_| is_kept.next() == Some(&true));
        let mut is_kept = kept.iter();
        self.statistics.retain(|_| is_kept.next() == Some(&true));
    }

    /// The manifests of these numbers, as far as they are committed.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(crate) async fn of(
        ledger: &Ledger,
        step: Step,
        done: impl IntoIterator<Item = usize>,
        extent: Extent,
    ) -> Result<Self> {
        Self::that(ledger, step, done, extent, |_| true).await
    }

    /// Those of the manifests whose details are as wanted.
    async fn that(
        ledger: &Ledger,
        step: Step,
        done: impl IntoIterator<Item = usize>,
        extent: Extent,
        is_wanted: impl Fn(&D) -> bool,
    ) -> Result<Self> {
        let mut manifests = ledger.read_all_extent::<D>(step, done, extent);
        let mut all = Self::default();
        while let Some((number, manifest)) = manifests.try_next().await? {
            // Revoked since it was listed.
            let Some(manifest) = manifest.filter(|manifest| is_wanted(&manifest.details)) else { continue };
            all.tasks.insert(number, CommittedTask::of(manifest.files.iter(), manifest.details));
            all.groups.extend(std::iter::repeat_n(number as u64, manifest.files.len()));
            all.files.extend(manifest.files);
            all.statistics.extend(manifest.statistics);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::compaction::plan::BundledPartition;
    use crate::config::{Project, S3Settings, Variables, load};
    use crate::layout::FilePartition;
    use crate::manifest::Manifest;
    use crate::session::{Engine, EngineOptions, Stores};
    use crate::staging::plan::commit;

    struct Job {
        engine: Engine,
        project: Project,
        _folder: tempfile::TempDir,
    }

    impl Job {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("t.csv"), "id,k\n1,a\n").unwrap();
            let config = "SET snaplake.database = 'd'; SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
                SET snaplake.staging = 's3://b/staging'; SET snaplake.datalake = 's3://b/lake';
                CREATE EXTERNAL TABLE snapshot.t (id INT, k VARCHAR) STORED AS CSV LOCATION 't.csv';
                CREATE TABLE lake.t WITH (partitioned_by = ARRAY['k']) AS SELECT id, k FROM snapshot.t;";
            std::fs::write(folder.path().join("job.sql"), config).unwrap();
            let project = load(&folder.path().join("job.sql"), &Variables::default()).unwrap();
            let stores = Stores::new(S3Settings::default());
            stores.insert("s3://b", Arc::new(InMemory::new()));
            Self { engine: Engine::new(stores, EngineOptions::default()), project, _folder: folder }
        }

        fn planner(&self) -> Planner<'_> {
            Planner::new(&self.engine, &self.project)
        }

        /// A new plan in place of the one that is there, of which nothing stays.
        async fn plan(&self) -> StagePlan {
            let plan = self.planner().plan_anew(&self.project.lakes[0]).await.unwrap();
            for step in [Step::DatalakeFileGroups, Step::PartitionFileGroups, Step::StagingFileGroups] {
                plan.ledger.revoke_all(step).await.unwrap();
            }
            commit(plan).await.unwrap()
        }

        async fn state(&self, meanwhile: impl AsyncFn(Step)) -> Result<Option<CommittedTable>> {
            CommittedTable::read_while(&self.planner(), &self.project.lakes[0], meanwhile).await
        }
    }

    async fn put(plan: &StagePlan, step: Step, number: usize, partition: &str, details: impl OfPlan) {
        let file = FileEntry {
            uri: format!("s3://b/{step:?}-{number}.parquet").into(),
            etag: "".into(),
            size: 1,
            n_record: Some(10),
            partition: FilePartition::one(partition),
        };
        let manifest = Manifest::new(vec![file], details);
        plan.ledger.commit(&plan.ledger.layout().manifest(step, number), &manifest).await.unwrap();
    }

    /// Commits a task.
    async fn done(plan: &StagePlan, step: Step, number: usize, partition: &str) {
        let details = TaskDetails { plan: plan.details.id.clone(), ..TaskDetails::default() };
        put(plan, step, number, partition, details).await;
    }

    /// Commits the groups of the second step, the first one last.
    async fn groups(plan: &StagePlan, partitions: &[&[&str]]) {
        for (index, names) in partitions.iter().enumerate().rev() {
            let bundled = |partition: &&str| BundledPartition {
                partition: (*partition).to_owned(),
                number: index + 1,
                first_row: 0,
                rows: 5,
            };
            let details = PartitionDetails {
                table: "t".to_owned(),
                group: index + 1,
                groups: partitions.len(),
                partition: names.join(" "),
                first_row: 0,
                lake_number: None,
                bundled: if names.len() > 1 { names.iter().map(bundled).collect() } else { Vec::new() },
                plan: plan.details.id.clone(),
                properties: String::new(),
            };
            put(plan, Step::PartitionFileGroups, index + 1, names[0], details).await;
        }
    }

    /// Groups of the lake whose files are seen, and groups that are staged.
    fn seen(state: Option<CommittedTable>) -> (Vec<u64>, Vec<u64>) {
        let CommittedTable { mut published, partitions, staged, .. } = state.unwrap();
        published.retain_whole_partitions(&partitions.tasks);
        assert_eq!(published.files.len(), published.groups.len());
        (published.groups, staged.groups)
    }

    #[tokio::test]
    async fn partition_is_seen_when_all_its_tasks_are_done() {
        let job = Job::new();
        let plan = job.plan().await;
        groups(&plan, &[&["k=a"], &["k=a"], &["k=b"], &["k=c", "k=d"], &["k=d"]]).await;
        let seen = async || seen(job.state(async |_| ()).await.unwrap()).0;
        assert!(seen().await.is_empty());
        for (number, partition, expected) in [
            (1, "k=a", vec![]),
            (3, "k=b", vec![3]),
            (5, "k=d", vec![3]),
            (2, "k=a", vec![1, 2, 3]),
            (4, "k=d", vec![1, 2, 3, 4, 5]),
        ] {
            done(&plan, Step::DatalakeFileGroups, number, partition).await;
            assert_eq!(seen().await, expected, "{number}");
        }
    }

    #[tokio::test]
    async fn publish_that_goes_on_meanwhile_shows_no_half_and_nothing_that_is_not_staged() {
        let job = Job::new();
        let plan = job.plan().await;
        for step in [Step::DatalakeFileGroups, Step::PartitionFileGroups, Step::StagingFileGroups] {
            let state = job.state(async |read| {
                // All at once, when this step was read.
                if read == step && plan.ledger.done(Step::StagingFileGroups).await.unwrap().is_empty() {
                    done(&plan, Step::StagingFileGroups, 1, "k=a").await;
                    groups(&plan, &[&["k=a"], &["k=a"]]).await;
                    done(&plan, Step::DatalakeFileGroups, 1, "k=a").await;
                    done(&plan, Step::DatalakeFileGroups, 2, "k=a").await;
                }
            });
            let (lake, staged) = seen(state.await.unwrap());
            assert!(lake.is_empty() && staged.len() <= 1, "{step:?}: {lake:?} {staged:?}");
            assert_eq!(seen(job.state(async |_| ()).await.unwrap()), (vec![1, 2], vec![1]));
            for step in [Step::DatalakeFileGroups, Step::PartitionFileGroups, Step::StagingFileGroups] {
                plan.ledger.revoke_all(step).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn plan_that_is_replaced_meanwhile_is_read_from_the_start() {
        let all =
            [Step::DatalakeFileGroups, Step::PartitionFileGroups, Step::StagingFileGroups, Step::SnapshotFileGroups];
        for step in all {
            let job = Job::new();
            let old = job.plan().await;
            groups(&old, &[&["k=a"], &["k=b"]]).await;
            for number in [1, 2] {
                done(&old, Step::DatalakeFileGroups, number, "k=a").await;
            }
            let state = job.state(async |read| {
                if read == step
                    && job.planner().committed(&job.project.lakes[0]).await.unwrap().unwrap().details.id
                        == old.details.id
                {
                    let new = job.plan().await;
                    groups(&new, &[&["k=b"], &["k=a"]]).await;
                    done(&new, Step::StagingFileGroups, 1, "k=b").await;
                    done(&new, Step::DatalakeFileGroups, 1, "k=b").await;
                }
            });
            let state = state.await.unwrap().unwrap();
            assert_ne!(state.plan.details.id, old.details.id, "{step:?}");
            assert_eq!(seen(Some(state)), (vec![1], vec![1]), "{step:?}");
        }
        // Each time it is read.
        let job = Job::new();
        job.plan().await;
        let state = job.state(async |read| {
            if read == Step::SnapshotFileGroups {
                job.plan().await;
            }
        });
        assert!(matches!(state.await, Err(Error::BeingReplanned { .. })));
    }

    #[tokio::test]
    async fn what_a_process_of_an_old_plan_commits_is_passed_over() {
        let job = Job::new();
        let old = job.plan().await;
        let plan = job.plan().await;
        groups(&plan, &[&["k=a"], &["k=a"], &["k=b"]]).await;
        done(&plan, Step::StagingFileGroups, 1, "k=a").await;
        done(&plan, Step::DatalakeFileGroups, 1, "k=a").await;
        done(&plan, Step::DatalakeFileGroups, 3, "k=b").await;
        done(&old, Step::StagingFileGroups, 2, "k=a").await;
        done(&old, Step::DatalakeFileGroups, 2, "k=a").await;
        assert_eq!(seen(job.state(async |_| ()).await.unwrap()), (vec![3], vec![1]));
        // It is unknown how many tasks a partition has while groups are missing.
        plan.ledger.revoke(&plan.ledger.layout().manifest(Step::PartitionFileGroups, 3)).await.unwrap();
        assert_eq!(seen(job.state(async |_| ()).await.unwrap()).0, Vec::<u64>::new());
    }
}
