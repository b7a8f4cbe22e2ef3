//! Warnings about files of a snapshot that came, went or changed after they were planned.
//!
//! | code | when |
//! | --- | --- |
//! | `late_files` | files below LOCATION arrived after planning, and so are not read |
//! | `changed_files` | planned files that stage tasks still have to read are gone, or were replaced |
//!
//! An export that is deleted after all is staged is no warning, nor is a store that cannot be asked.

use std::collections::HashSet;

use futures::StreamExt;

use super::run::Pipeline;
use super::warning::Warning;
use crate::error::Result;
use crate::manifest::FileEntry;
use crate::snapshot::{AsPlanned, Present, SnapshotChanges};
use crate::staging::plan::{PlannedSource, StagePlan};

/// Tables that are looked at at once.
pub(crate) const AT_ONCE: usize = 16;

impl Pipeline {
    /// Of plans that were committed before, with the numbers of their stage tasks to do.
    pub(super) async fn arrivals(&self, plans: &[(&StagePlan, &[usize])]) -> Vec<Vec<Warning>> {
        let all = plans
            .iter()
            .map(|(plan, todo)| async move { logged(&plan.lake.name, self.of_plan(plan, todo, None).await) });
        futures::stream::iter(all).buffered(AT_ONCE).collect().await
    }

    /// Of one plan, with the numbers of its stage tasks to do.
    pub(crate) async fn of_plan(
        &self,
        plan: &StagePlan,
        todo: &[usize],
        present: Option<Present>,
    ) -> Result<Vec<Warning>> {
        let needed: HashSet<&str> =
            todo.iter().flat_map(|number| plan.groups.of(number - 1)).map(|file| &*file.uri).collect();
        let is_needed = |uri: &str| needed.contains(uri);
        let (lake, driving) = (&plan.lake.name, &plan.details.driving);
        let mut found = self.of_source(lake, driving, plan.groups.files(), present, is_needed).await?;
        found.extend(self.of_whole(lake, &plan.details.whole, !todo.is_empty()).await?);
        Ok(found)
    }

    /// Of the snapshot tables that every task reads whole.
    pub(crate) async fn of_whole(
        &self,
        lake: &str,
        whole: &[(PlannedSource, Vec<FileEntry>)],
        is_todo: bool,
    ) -> Result<Vec<Warning>> {
        let mut found = Vec::new();
        for (source, files) in whole {
            found.extend(self.of_source(lake, source, files, None, |_| is_todo).await?);
        }
        Ok(found)
    }

    async fn of_source(
        &self,
        lake: &str,
        source: &PlannedSource,
        files: &[FileEntry],
        present: Option<Present>,
        is_needed: impl Fn(&str) -> bool,
    ) -> Result<Vec<Warning>> {
        let Some(table) = self.project.snapshot(&source.table) else { return Ok(Vec::new()) };
        let stores = self.engine.stores();
        let planned = AsPlanned { files, left_out: &source.coverage.left_out };
        let present = match present {
            Some(present) => present,
            None => Present::look(stores, table).await?,
        };
        Ok(warnings(lake, &source.table, &present.since(stores, table, planned, is_needed).await?))
    }
}

/// Nothing that is found here stops anybody.
pub(crate) fn logged(table: &str, found: Result<Vec<Warning>>) -> Vec<Warning> {
    found.unwrap_or_else(|error| {
        tracing::debug!(table, %error, "not compared with the snapshot as it is now");
        Vec::new()
    })
}

/// Whether to warn before tasks run, because they will fail.
pub(super) fn is_urgent(warning: &Warning) -> bool {
    warning.code == "changed_files"
}

fn warnings(lake: &str, source: &str, SnapshotChanges { arrived, changed }: &SnapshotChanges) -> Vec<Warning> {
    let count = |files: u64| if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let verb = |files: u64, one: &'static str, more: &'static str| if files == 1 { one } else { more };
    let again = format!("`snaplake run CONFIG --replan --table {lake}`");
    let late = (arrived.files > 0).then(|| Warning {
        code: "late_files",
        problem: format!(
            "{} in the LOCATION of snapshot.{source} arrived after planning ({}) and {} not read",
            count(arrived.files),
            arrived.reported(),
            verb(arrived.files, "is", "are"),
        ),
        advice: format!(
            "to read the current files, use {again}, with --withdraw if the table is published; or set a new \
             snaplake.snapshot_time"
        )
        .into(),
    });
    let changed = (changed.files > 0).then(|| Warning {
        code: "changed_files",
        problem: format!(
            "{} of snapshot.{source} {} missing or replaced since planning and {} not staged yet ({})",
            count(changed.files),
            verb(changed.files, "is", "are"),
            verb(changed.files, "is", "are"),
            changed.reported(),
        ),
        advice: format!("restore the planned files, or plan again with {again}").into(),
    });
    changed.into_iter().chain(late).collect()
}
