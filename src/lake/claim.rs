//! Whose a lake's folder is, before anything is written into it and before it is called complete.
//!
//! ```text
//! no owner                        none around it and none in it either: it is ours from now on
//! a plan of the same result       ours: the same files are written, also when its staging folder was lost
//! anything else                   refused
//! ```
//!
//! The check is made before the first task of a process, before each task and before each commit. It does not lock: two
//! processes that claim a folder at once are distinguished by the store's "create if absent".

use super::HiveLake;
use crate::error::{Error, Result, difference};
use crate::manifest::owner::{self, FolderOwner};

impl HiveLake<'_> {
    /// Whose the folder is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn owner(&self) -> Result<Option<FolderOwner>> {
        owner::read(&self.store, &self.layout.lake_owner()).await
    }

    /// Whether the folder is that of a plan already; if not, it may become it. Nothing is written.
    ///
    /// # Errors
    /// [`Error::LocationOwned`] if it is another one's, or lies in a folder of another one.
    pub(crate) async fn is_claimed(&self, ours: &FolderOwner) -> Result<bool> {
        let Some(found) = self.owner().await? else {
            owner::refuse_around(&self.store, self.layout.lake(), ours).await?;
            return Ok(false);
        };
        let is_same_table = found.is_of_same_table(ours);
        if is_same_table && (&found.plan, &found.properties) == (&ours.plan, &ours.properties) {
            return Ok(true);
        }
        let changed = if !is_same_table {
            None
        } else if found.plan == ours.plan {
            difference(&found.properties, &ours.properties)
        } else {
            Some((format!("plan {}", found.plan), format!("plan {}", ours.plan)))
        };
        let (table, location) = (ours.table.clone(), self.layout.lake().to_string());
        Err(Error::LocationOwned { table, location, owner: found.name(), within: None, changed })
    }

    /// Makes the folder that of a plan, after [`HiveLake::is_claimed`].
    ///
    /// # Errors
    /// [`Error::LocationOwned`] if another one was faster.
    pub(crate) async fn claim(&self, ours: &FolderOwner) -> Result<()> {
        let place = self.layout.lake_owner();
        let found = owner::create(&self.store, &place, ours).await?;
        if found == *ours { Ok(()) } else { self.is_claimed(ours).await.map(drop) }
    }

    /// Marks the folder of a lake that is being withdrawn as this table's, unless it has an owner.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn claim_again(&self, staging: &FolderOwner) -> Result<()> {
        let ours = staging.clone().of_lake("", String::new());
        owner::create(&self.store, &self.layout.lake_owner(), &ours).await.map(drop)
    }

    /// Whether the folder is still that of a plan, given by its result, and its files are still cut and compressed so,
    /// if that is known. A complete lake has no owner.
    ///
    /// # Errors
    /// [`Error::LocationOwned`].
    pub(crate) async fn check_owner(&self, table: &str, plan: &str, properties: Option<&str>) -> Result<()> {
        let Some(found) = self.owner().await? else { return Ok(()) };
        let changed = properties.filter(|ours| found.properties != **ours);
        if found.plan == plan && changed.is_none() {
            return Ok(());
        }
        let changed = changed.and_then(|ours| difference(&found.properties, ours));
        let (table, location) = (table.to_owned(), self.layout.lake().to_string());
        Err(Error::LocationOwned { table, location, owner: found.name(), within: None, changed })
    }

    /// Gives the folder up.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn disown(&self) -> Result<()> {
        self.delete(&self.layout.lake_owner()).await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;
    use crate::layout::{Location, SnapshotFolder, TableLayout};

    fn layout() -> TableLayout {
        let at = |text| Location::parse(text, Path::new("/")).unwrap();
        let (table, time) = (("d", "public", "t"), "2026-01-31T00:00:00Z");
        TableLayout::new(&at("s3://b/st"), &at("s3://b/lake"), table, (&SnapshotFolder::default(), time), None)
    }

    fn owner(table: &str, plan: &str, properties: &str) -> FolderOwner {
        let staging = FolderOwner::of_staging(("d", "public", table), "2026-01-31T00:00:00Z", "shop.sql");
        staging.of_lake(plan, properties.to_owned())
    }

    fn lake(layout: &TableLayout) -> HiveLake<'_> {
        HiveLake { store: Arc::new(InMemory::new()), layout }
    }

    /// What changed between the owner and us; `None` for another table.
    fn changed(error: Error) -> Option<(String, String)> {
        let Error::LocationOwned { within: None, changed, .. } = error else { panic!("{error:?}") };
        changed
    }

    #[tokio::test]
    async fn folder_of_nobody_is_free_and_stays_so_until_it_is_claimed() {
        let layout = layout();
        let lake = lake(&layout);
        for _ in 0..2 {
            assert!(!lake.is_claimed(&owner("t", "p", "x")).await.unwrap());
        }
        lake.claim(&owner("t", "p", "x")).await.unwrap();
        assert!(lake.is_claimed(&owner("t", "p", "x")).await.unwrap());
        lake.disown().await.unwrap();
        assert!(!lake.is_claimed(&owner("t", "q", "y")).await.unwrap());
    }

    #[tokio::test]
    async fn same_result_of_another_config_is_ours_and_anything_else_is_refused_with_what_changed() {
        let layout = layout();
        let lake = lake(&layout);
        lake.claim(&owner("t", "p", "target 1 zstd")).await.unwrap();
        let mut renamed = owner("t", "p", "target 1 zstd");
        renamed.config = "copy.sql".to_owned();
        assert!(lake.is_claimed(&renamed).await.unwrap());
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        for (ours, expected) in [
            (owner("t", "q", "target 1 zstd"), pair("plan p", "plan q")),
            (owner("t", "p", "target 2 zstd"), pair("1", "2")),
            (owner("u", "p", "target 1 zstd"), None),
        ] {
            assert_eq!(changed(lake.is_claimed(&ours).await.unwrap_err()), expected, "{ours:?}");
        }
    }

    #[tokio::test]
    async fn folder_in_that_of_another_table_is_refused_and_nothing_is_written() {
        let layout = layout();
        let lake = lake(&layout);
        let around = layout.lake().with_key("lake/_snaplake.json");
        owner::write(&lake.store, &around, &owner("u", "p", "x")).await.unwrap();
        let error = lake.is_claimed(&owner("t", "p", "x")).await.unwrap_err();
        assert!(
            matches!(&error, Error::LocationOwned { within: Some(within), .. } if within == "s3://b/lake"),
            "{error:?}"
        );
        assert_eq!(lake.owner().await.unwrap(), None);
    }

    #[tokio::test]
    async fn claim_that_comes_second_is_refused_unless_it_is_of_the_same_plan() {
        let layout = layout();
        let lake = lake(&layout);
        lake.claim(&owner("t", "p", "x")).await.unwrap();
        lake.claim(&owner("t", "p", "x")).await.unwrap();
        assert!(lake.claim(&owner("t", "q", "x")).await.is_err());
        assert_eq!(lake.owner().await.unwrap(), Some(owner("t", "p", "x")));
    }

    #[tokio::test]
    async fn lake_that_is_taken_back_keeps_the_owner_that_it_has() {
        let layout = layout();
        let lake = lake(&layout);
        let staging = FolderOwner::of_staging(("d", "public", "t"), "2026-01-31T00:00:00Z", "shop.sql");
        lake.claim_again(&staging).await.unwrap();
        assert_eq!(lake.owner().await.unwrap(), Some(owner("t", "", "")));
        lake.disown().await.unwrap();
        lake.claim(&owner("u", "p", "x")).await.unwrap();
        lake.claim_again(&staging).await.unwrap();
        assert_eq!(lake.owner().await.unwrap(), Some(owner("u", "p", "x")));
    }

    #[tokio::test]
    async fn owner_of_another_plan_or_of_other_properties_stops_a_commit_and_none_does_not() {
        let layout = layout();
        let lake = lake(&layout);
        lake.check_owner("t", "p", Some("target 1")).await.unwrap();
        lake.claim(&owner("t", "p", "target 1")).await.unwrap();
        for (plan, properties, is_right) in [
            ("p", Some("target 1"), true),
            ("p", None, true),
            ("p", Some("target 2"), false),
            ("q", Some("target 1"), false),
            ("q", None, false),
        ] {
            let checked = lake.check_owner("t", plan, properties).await;
            assert_eq!(checked.is_ok(), is_right, "{plan} {properties:?}: {checked:?}");
        }
        let damaged: Arc<dyn ObjectStore> = Arc::clone(&lake.store);
        damaged.put(&layout.lake_owner().key().unwrap(), "{".into()).await.unwrap();
        lake.check_owner("t", "q", None).await.unwrap();
    }
}
