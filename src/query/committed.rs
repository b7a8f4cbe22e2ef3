//! What the tasks of one step of a table have committed: their files, and what they say of themselves.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde_json::Value;

use crate::error::Result;
use crate::layout::Step;
use crate::manifest::{Extent, FileEntry, Ledger};
use crate::staging::plan::StagePlan;

/// The manifests of one step.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// In the order of their tasks.
    pub(crate) files: Vec<FileEntry>,
    /// The task of each file.
    pub(crate) groups: Vec<u64>,
    /// What is known of the columns of each file; empty where it was not asked for.
    pub(crate) statistics: Vec<String>,
    /// By their number.
    pub(crate) tasks: BTreeMap<usize, Task>,
}

/// One manifest: a task, or what one is to do.
#[derive(Debug, Default)]
pub(crate) struct Task {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Rows, where they are known of all files.
    pub(crate) rows: Option<u64>,
    /// As in the manifest's summary.
    pub(crate) details: Value,
}

impl Task {
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a FileEntry>, details: Value) -> Self {
        files.fold(Self { rows: Some(0), details, ..Self::default() }, |sum, file| Self {
            files: sum.files + 1,
            bytes: sum.bytes + file.size,
            rows: sum.rows.zip(file.n_record).map(|(sum, rows)| sum + rows),
            ..sum
        })
    }
}

impl Committed {
    /// What is committed now.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(super) async fn read(plan: &StagePlan, step: Step) -> Result<Self> {
        let writes = matches!(step, Step::StagingFileGroups | Step::DatalakeFileGroups);
        let extent = if writes { Extent::Statistics } else { Extent::Files };
        Self::of(&plan.ledger, step, plan.ledger.done(step).await?, extent).await
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
        let mut manifests = ledger.read_all_extent::<Value>(step, done, extent);
        let mut all = Self::default();
        while let Some((number, manifest)) = manifests.try_next().await? {
            // Revoked since it was listed.
            let Some(manifest) = manifest else { continue };
            all.tasks.insert(number, Task::of(manifest.files.iter(), manifest.details));
            all.groups.extend(std::iter::repeat_n(number as u64, manifest.files.len()));
            all.files.extend(manifest.files);
            all.statistics.extend(manifest.statistics);
        }
        Ok(all)
    }
}
