//! The second step's plan in the store: made from the manifests of the first, once.
//!
//! Group manifests are written from the last to the first; the first is the commit, so where it exists all others do.
//! The grouping is pure, so two processes that prepare at once write the same.

use std::collections::{BTreeSet, HashMap};

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::plan::{PartitionDetails, PartitionGroup, group};
use super::run::{file_stems, properties_text};
use crate::config::LakeTable;
use crate::error::{Error, Position, Result, TaskStep, difference};
use crate::lake::HiveLake;
use crate::layout::{Step, lake_stem};
use crate::manifest::ledger::SummaryListing;
use crate::manifest::owner::FolderOwner;
use crate::manifest::{FileEntry, Ledger, Manifest};
use crate::session::Stores;
use crate::snapshot::ColumnPresence;

/// What has to be known of the first step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StagedTable<'a> {
    /// Id of the plan that it belongs to.
    pub(crate) plan: &'a str,
    /// [`PlanDetails::result`](crate::staging::plan::PlanDetails) of the plan.
    pub(crate) result: &'a str,
    /// When that was planned, for errors.
    pub(crate) planned_at: &'a str,
    /// What the file at the root of the lake is to say.
    pub(crate) owner: &'a FolderOwner,
    /// Number of snapshot file groups.
    pub(crate) groups: usize,
    /// Driving snapshot table and where it is declared, for errors.
    pub(crate) driving: (&'a str, &'a Position),
    /// What the tasks staged that this process ran itself, by group.
    pub(crate) known: &'a HashMap<usize, StagedGroup>,
}

/// What one stage task left.
#[derive(Debug, Clone)]
pub(crate) struct StagedGroup {
    /// Staging files.
    pub(crate) files: Vec<FileEntry>,
    /// Which columns its snapshot files have.
    pub(crate) columns: ColumnPresence,
}

/// The planned second step of one table.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Number of partition file groups.
    pub(crate) total: usize,
    /// Groups that are to be run, by number.
    pub(crate) todo: Vec<(usize, PartitionGroup)>,
    /// Groups of these at which an earlier attempt failed.
    pub(crate) failed: BTreeSet<usize>,
}

/// Reads the second step's plan, or makes it if all stage tasks are done; `only` limits what is to do to one group.
/// Where something is to do, the lake's folder is then that of the plan, and it has no mark.
///
/// # Errors
/// [`Error::NotStaged`], [`Error::PlanChanged`], [`Error::NoSuchGroup`], [`Error::ForeignFiles`],
/// [`Error::LocationOwned`], [`Error::LocationHolds`]; those of the ledger.
pub(crate) async fn prepare(
    stores: &Stores,
    ledger: &Ledger,
    lake: &LakeTable,
    staged: StagedTable<'_>,
    only: Option<usize>,
) -> Result<Prepared> {
    let first = ledger.layout().manifest(Step::PartitionFileGroups, 1);
    let committed = ledger.head::<PartitionDetails>(&first).await?.map(|(_, details)| details);
    let (total, groups, is_new) = match committed {
        Some(details) => {
            let changed = async |what, change| {
                let published = ledger.done(Step::DatalakeFileGroups).await?.len();
                let (table, planned_at) = (lake.name.clone(), staged.planned_at.to_owned());
                Err(Error::PlanChanged { table, planned_at, what, change, published })
            };
            if details.plan != staged.plan {
                return changed("plan", None).await;
            }
            let properties = properties_text(lake);
            if details.properties != properties {
                return changed("file size or compression", difference(&details.properties, &properties)).await;
            }
            if let Some(lake) = ledger.lake_elsewhere().await? {
                let change = Some((lake, ledger.layout().lake().to_string()));
                return changed("lake location", change).await;
            }
            (details.groups, None, false)
        }
        None => {
            let files = staging_files(ledger, lake, staged).await?;
            let groups = group(files, !lake.sorted_by.is_empty(), lake.target_file_size);
            (groups.len(), Some(groups), true)
        }
    };
    let mut todo: BTreeSet<usize> = (1..=total).collect();
    if let Some(only) = only {
        if !todo.contains(&only) {
            return Err(Error::NoSuchGroup {
                table: lake.name.clone(),
                step: TaskStep::Publish,
                number: only,
                count: total,
            });
        }
        todo = BTreeSet::from([only]);
    }
    let SummaryListing { done, failed, .. } = ledger.look(Step::DatalakeFileGroups).await?;
    todo.retain(|number| !done.contains(number));
    let folder = HiveLake::open(stores, ledger.layout()).await?;
    if todo.is_empty() && !is_new {
        folder.check_owner(&lake.name, staged.result, None).await?;
        return Ok(Prepared { total, todo: Vec::new(), failed });
    }
    let is_claimed = folder.is_claimed(staged.owner).await?;
    let groups = match groups {
        Some(groups) => groups.into_iter().enumerate().map(|(index, group)| (index + 1, group)).collect(),
        None => {
            let is_alone = only.is_some() && is_claimed;
            let wanted = if is_alone { todo.iter().copied().collect() } else { (1..=total).collect::<Vec<_>>() };
            read_groups(ledger, staged.plan, &wanted).await?
        }
    };
    if is_new || only.is_none() || !is_claimed {
        let properties = properties_text(lake);
        let stems = groups.iter().flat_map(|(_, group)| file_stems(staged.result, &properties, group));
        let stems: BTreeSet<String> = stems.collect();
        let files = folder.files(|key| stems.contains(lake_stem(key))).await?;
        folder.refuse_inner(&lake.name, &files).await?;
        folder.refuse_others(&lake.name, &files)?;
    }
    ledger.check_plan(&lake.name, staged.plan).await?;
    if folder.is_complete().await? {
        // Another run may have done it all meanwhile.
        let done = ledger.done(Step::DatalakeFileGroups).await?;
        todo.retain(|number| !done.contains(number));
        if !todo.is_empty() {
            // Before a byte of the lake changes.
            folder.withdraw().await?;
        }
    }
    if !is_claimed && !todo.is_empty() {
        folder.claim(staged.owner).await?;
    }
    if is_new {
        commit(ledger, lake, staged.plan, &groups).await?;
    }
    let todo = groups.into_iter().filter(|(number, _)| todo.contains(number)).collect();
    Ok(Prepared { total, todo, failed })
}

/// Staging files of all stage tasks, from their manifests.
async fn staging_files(ledger: &Ledger, lake: &LakeTable, staged: StagedTable<'_>) -> Result<Vec<FileEntry>> {
    /// What must fit; the rest of a stage task's details is not this step's business.
    #[derive(Serialize, Deserialize)]
    struct StagedColumns {
        plan: String,
        #[serde(default)]
        columns: ColumnPresence,
    }
    let (mut files, mut missing, mut columns) = (Vec::new(), 0, ColumnPresence::default());
    let unknown = (1..=staged.groups).filter(|number| !staged.known.contains_key(number));
    let mut manifests = ledger.read_all::<StagedColumns>(Step::StagingFileGroups, unknown);
    while let Some((number, manifest)) = manifests.try_next().await? {
        match manifest {
            None => missing += 1,
            Some(manifest) if manifest.details.plan == staged.plan => {
                files.extend(manifest.files);
                columns.add(&manifest.details.columns);
            }
            Some(_) => return Err(ledger.of_another_plan(Step::StagingFileGroups, number)),
        }
    }
    if missing > 0 {
        return Err(Error::NotStaged { table: lake.name.clone(), missing, total: staged.groups });
    }
    for group in staged.known.values() {
        files.extend(group.files.iter().cloned());
        columns.add(&group.columns);
    }
    let (table, at) = staged.driving;
    columns.check(table, at)?;
    Ok(files)
}

async fn read_groups(ledger: &Ledger, plan: &str, numbers: &[usize]) -> Result<Vec<(usize, PartitionGroup)>> {
    let mut groups = Vec::with_capacity(numbers.len());
    let mut manifests = ledger.read_all::<PartitionDetails>(Step::PartitionFileGroups, numbers.iter().copied());
    while let Some((number, manifest)) = manifests.try_next().await? {
        let manifest = manifest.ok_or_else(|| Error::Damaged {
            uri: ledger.layout().manifest(Step::PartitionFileGroups, number).summary.to_string(),
            reason: "it is missing although the first group's exists".to_owned(),
        })?;
        if manifest.details.plan != plan {
            return Err(ledger.of_another_plan(Step::PartitionFileGroups, number));
        }
        groups.push((number, manifest.details.into_group(manifest.files)));
    }
    Ok(groups)
}

async fn commit(ledger: &Ledger, lake: &LakeTable, plan: &str, groups: &[(usize, PartitionGroup)]) -> Result<()> {
    let properties = properties_text(lake);
    let manifest = |number: usize, group: &PartitionGroup| {
        let details = PartitionDetails {
            table: lake.name.clone(),
            group: number,
            groups: groups.len(),
            partition: group.partition.clone(),
            first_row: group.first_row,
            lake_number: (group.number != number).then_some(group.number),
            bundled: group.bundled.clone(),
            plan: plan.to_owned(),
            properties: properties.clone(),
        };
        Manifest::new(group.files.clone(), details)
    };
    let Some(((_, first), others)) = groups.split_first() else { return Ok(()) };
    let others = others.iter().map(|(number, group)| (*number, manifest(*number, group)));
    ledger.write_of_plan(Step::PartitionFileGroups, others, &lake.name, plan).await?;
    ledger.write_of_plan(Step::PartitionFileGroups, [(1, manifest(1, first))], &lake.name, plan).await
}
