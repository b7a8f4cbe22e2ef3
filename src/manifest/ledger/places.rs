//! Checks the owners of a table's folders, and whether its plan is still current.
//!
//! A process may sleep for hours and wake up beside another one that has planned the table anew; a folder may be a
//! copy, or be moved. What is asked here costs one or two small requests, and is asked before something is committed.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::concurrency::turn;
use crate::error::{Error, Result};
use crate::layout::store_error;
use crate::layout::{ManifestFiles, Step};
use crate::manifest::LakeContent;
use crate::manifest::moved::Roots;
use crate::manifest::owner::{self, FolderOwner};

/// What of a plan matters here.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    id: String,
    result: String,
}

/// The plan that a task belongs to; the rest of its details is left out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TaskPlan {
    pub(crate) plan: String,
}

/// What of the last proof matters here.
#[derive(Debug, Deserialize)]
struct LastProof {
    plan: String,
    valid: bool,
    content: LakeContent,
}

impl Ledger {
    /// Makes the staging folder that of a table of a snapshot, if it is nobody's.
    ///
    /// # Errors
    /// [`Error::LocationOwned`] if it is another one's, or lies in a folder of another one; [`Error::LocationHolds`] if
    /// a folder of another one lies in it; [`Error::Store`].
    pub(crate) async fn claim(&self, ours: &FolderOwner) -> Result<()> {
        let place = self.layout.staging_owner();
        let found = match owner::read(&self.store, &place).await? {
            Some(found) => found,
            None => {
                owner::refuse_around(&self.store, self.layout.root(), ours).await?;
                owner::refuse_inside(&self.store, self.layout.root(), ours).await?;
                owner::create(&self.store, &place, ours).await?
            }
        };
        if found == *ours {
            return Ok(());
        }
        if found.is_of_same_table(ours) {
            // The plan that comes is of another config file.
            return owner::write(&self.store, &place, ours).await;
        }
        let (table, location) = (ours.table.clone(), self.layout.root().to_string());
        Err(Error::LocationOwned { table, location, owner: found.name(), within: None, changed: None })
    }

    /// Whether the current plan is the one of this id: one HEAD, and one GET when it was written since the last time.
    ///
    /// # Errors
    /// [`Error::PlanReplaced`]; those of [`Ledger::head`].
    pub(crate) async fn check_plan(&self, table: &str, id: &str) -> Result<()> {
        let replaced = || Error::PlanReplaced { table: table.to_owned() };
        let plan = self.layout.snapshot_manifest();
        let found = self.plan_stamp().await?.ok_or_else(replaced)?;
        let known = Some((found, id.to_owned()));
        // Tasks that ask at once wait for one answer.
        let mut seen = self.plan_seen.lock().await;
        if *seen == known {
            return Ok(());
        }
        match self.head::<Plan>(&plan).await? {
            Some((_, plan)) if plan.id == id => {
                *seen = known;
                Ok(())
            }
            _ => Err(replaced()),
        }
    }

    /// What the current plan makes: [`PlanDetails::result`](crate::staging::plan::PlanDetails).
    ///
    /// # Errors
    /// Those of [`Ledger::head`].
    pub(crate) async fn plan_result(&self) -> Result<Option<String>> {
        Ok(self.head::<Plan>(&self.layout.snapshot_manifest()).await?.map(|(_, plan)| plan.result))
    }

    /// The error for a manifest that a run has committed all the same whose plan was replaced.
    pub(crate) fn of_another_plan(&self, step: Step, number: usize) -> Error {
        let uri = self.layout.manifest(step, number).summary.to_string();
        Error::Damaged { uri, reason: "it belongs to another plan".to_owned() }
    }

    /// Whether a committed manifest is of a plan.
    pub(super) async fn is_of_plan(&self, files: &ManifestFiles, plan: &str) -> Result<bool> {
        match self.head::<TaskPlan>(files).await {
            Ok(found) => Ok(found.is_some_and(|(_, details)| details.plan == plan)),
            Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What changes when a plan is committed, whether it can be read or not; `None` if there is none: one HEAD.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn plan_stamp(&self) -> Result<Option<String>> {
        let summary = self.layout.snapshot_manifest().summary;
        let _turn = turn().await;
        match self.store.head(&summary.key()?).await {
            Ok(meta) => Ok(Some(super::stamp(&meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(store_error("read", &summary, source)),
        }
    }

    /// Whether no plan was committed since a stamp was taken.
    ///
    /// # Errors
    /// [`Error::PlanReplaced`], [`Error::Store`].
    pub(crate) async fn check_stamp(&self, table: &str, stamp: &Option<String>) -> Result<()> {
        let is_same = self.plan_stamp().await? == *stamp;
        if is_same { Ok(()) } else { Err(Error::PlanReplaced { table: table.to_owned() }) }
    }

    /// Where the lake lay when its publish tasks were planned, if it is neither there now nor was moved whole to where
    /// the config says.
    ///
    /// # Errors
    /// Those of [`Ledger::head`].
    pub(crate) async fn lake_elsewhere(&self) -> Result<Option<String>> {
        let first = self.layout.manifest(Step::PartitionFileGroups, 1);
        let Some((head, _)) = self.head::<TaskPlan>(&first).await? else { return Ok(None) };
        let (Some(then), now) = (head.roots, self.roots()) else { return Ok(None) };
        Ok((then.lake != now.lake && !self.is_lake_moved().await?).then(|| then.lake.to_string()))
    }

    /// Where the files of a manifest with these roots lie now. A staging folder is wherever its manifests are; a lake
    /// was moved only if the current plan has published into the folder of the config.
    pub(super) async fn roots_now(&self, then: &Roots) -> Result<Roots> {
        let now = self.roots();
        if then.lake == now.lake || self.is_lake_moved().await? {
            return Ok(now);
        }
        Ok(Roots { lake: Arc::clone(&then.lake), ..now })
    }

    async fn is_lake_moved(&self) -> Result<bool> {
        let Some(store) = &self.lake_store else { return Ok(false) };
        let asked = self.lake_moved.get_or_try_init(|| async {
            let plan = self.head::<Plan>(&self.layout.snapshot_manifest()).await?;
            let Some((_, plan)) = plan else { return Ok(false) };
            if let Some(owner) = owner::read(store, &self.layout.lake_owner()).await? {
                return Ok::<_, Error>(plan.result == owner.plan);
            }
            // One that is complete is known by its files.
            let proof = self.read_file(&self.layout.validation()).await?;
            let proof = proof.and_then(|bytes| serde_json::from_slice::<LastProof>(&bytes).ok());
            let Some(proof) = proof.filter(|proof| proof.valid && proof.plan == plan.id) else { return Ok(false) };
            Ok(LakeContent::of_folder(store, self.layout.lake()).await? == proof.content)
        });
        Ok(*asked.await?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store::ObjectStore;
    use object_store::memory::InMemory;

    use super::*;
    use crate::layout::FilePartition;
    use crate::layout::{Location, SnapshotFolder, TableLayout};
    use crate::manifest::{FileEntry, Manifest};

    fn ledger(store: &Arc<dyn ObjectStore>, staging: &str, lake: &str) -> Ledger {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let layout = TableLayout::new(
            &at(staging),
            &at(lake),
            ("d", "public", "t"),
            (&SnapshotFolder::default(), "2026-01-31T00:00:00Z"),
            None,
        );
        Ledger::new(Arc::clone(store), layout).with_lake_store(Arc::clone(store))
    }

    fn staging_owner(table: &str) -> FolderOwner {
        FolderOwner::of_staging(("d", "public", table), "2026-01-31T00:00:00Z", "shop.sql")
    }

    async fn plan(ledger: &Ledger, id: &str) {
        let files = ledger.layout().snapshot_manifest();
        ledger
            .write(&files, &Manifest::new(Vec::new(), Plan { id: id.to_owned(), result: "r".to_owned() }))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn plan_that_another_run_replaced_or_removed_is_not_gone_on_with() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let ledger = ledger(&store, "s3://b/st", "s3://b/lake");
        plan(&ledger, "a").await;
        for _ in 0..2 {
            ledger.check_plan("t", "a").await.unwrap();
        }
        let is_replaced = async || matches!(ledger.check_plan("t", "a").await, Err(Error::PlanReplaced { .. }));
        plan(&ledger, "b").await;
        assert!(is_replaced().await);
        ledger.revoke(&ledger.layout().snapshot_manifest()).await.unwrap();
        assert!(is_replaced().await);
        plan(&ledger, "a").await;
        ledger.check_plan("t", "a").await.unwrap();
    }

    #[tokio::test]
    async fn staging_folder_of_another_table_or_inside_of_one_is_refused() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let outer = ledger(&store, "s3://b/st", "s3://b/lake");
        for _ in 0..2 {
            outer.claim(&staging_owner("t")).await.unwrap();
        }
        let refused = async |ledger: &Ledger, table| ledger.claim(&staging_owner(table)).await.unwrap_err().to_string();
        let message = refused(&outer, "other").await;
        assert!(message.contains("it is the folder of d.public.t of snapshot 2026-01-31T00:00:00Z (config shop.sql)"));
        let around = ledger(&store, "s3://b", "s3://b/lake");
        owner::write(&store, &around.layout().root().join("x/_snaplake.json"), &staging_owner("u")).await.unwrap();
        let message = refused(&around, "t").await;
        assert!(message.contains("/x, which is the folder of d.public.u"), "{message}");
        let inner = ledger(&store, &format!("{}/datalake", outer.layout().root()), "s3://b/lake");
        let message = refused(&inner, "t").await;
        assert!(message.contains("it is in s3://b/st/d/t/snapshot=2026-01-31T00:00:00Z, which is the"), "{message}");
    }

    #[tokio::test]
    async fn files_of_a_moved_lake_are_found_where_its_plan_owns_the_folder_and_else_stay() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let before = ledger(&store, "s3://b/st", "s3://b/lake");
        plan(&before, "a").await;
        let uri = before.layout().lake().join("k=1/f.parquet").uri();
        let file = FileEntry {
            uri: uri.as_str().into(),
            etag: "e".into(),
            size: 1,
            n_record: Some(1),
            partition: FilePartition::None,
        };
        for step in [Step::PartitionFileGroups, Step::DatalakeFileGroups] {
            let manifest = Manifest::new(vec![file.clone()], TaskPlan { plan: "a".to_owned() });
            before.write(&before.layout().manifest(step, 1), &manifest).await.unwrap();
        }
        let read = async |ledger: &Ledger| {
            let manifest = ledger.read::<TaskPlan>(&ledger.layout().manifest(Step::DatalakeFileGroups, 1)).await;
            manifest.unwrap().unwrap().files[0].uri.to_string()
        };
        let after = || ledger(&store, "s3://b/st", "s3://b/prod");
        assert_eq!(read(&after()).await, uri);
        assert_eq!(after().lake_elsewhere().await.unwrap(), Some(before.layout().lake().uri()));
        let owner = staging_owner("t").of_lake("r", String::new());
        owner::write(&store, &after().layout().lake_owner(), &owner).await.unwrap();
        assert_eq!(read(&after()).await, uri.replace("/lake/", "/prod/"));
        assert_eq!(after().lake_elsewhere().await.unwrap(), None);
        assert_eq!(read(&before).await, uri);
    }
}
