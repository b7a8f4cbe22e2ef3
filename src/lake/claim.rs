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

    /// Says that a lake which is taken back is this table's, unless the folder has an owner.
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
