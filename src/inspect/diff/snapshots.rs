//! What changed between two snapshots of a table: by their manifests, and by rows where a key is given.
//!
//! ```text
//! manifests    partition by partition: files, rows, bytes before and after; files of the same etags hold the same rows
//! rows         of the other partitions only: full join by the key, all columns compared, NULL equal to NULL ([`rows`])
//! ```
//!
//! Both snapshots must be published. Partitions whose files are the same, byte for byte, are never read. A row that has
//! moved to another partition is a changed one: both of its partitions differ. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use futures::TryStreamExt;
use serde::Serialize;

use super::changes::{RowChanges, RowSample};
use super::columns::{ColumnChanges, SourceChanges};
use super::rows::{Compared, Comparison};
use crate::compaction::plan::PartitionDetails;
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::LakeColumns;
use crate::layout::Step;
use crate::manifest::{FileEntry, Ledger};
use crate::pipeline::Pipeline;
use crate::staging::plan::{self, PlanDetails};
use serde_json::Value;

/// What is to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiffOptions {
    /// Time of the other snapshot, as settings have it.
    pub(crate) against: String,
    /// Columns that name a row; without any, rows are not compared.
    pub(crate) key: Vec<String>,
    /// Rows of each kind that are shown.
    pub(crate) samples: usize,
}

/// What changed in one table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TableDiff {
    pub(crate) table: String,
    pub(crate) before: DataSize,
    pub(crate) after: DataSize,
    pub(crate) columns: ColumnChanges,
    /// The same of the snapshot tables that it is made from.
    pub(crate) sources: Vec<SourceChanges>,
    /// Partitions whose files are the same.
    pub(crate) same_partitions: usize,
    /// All others.
    pub(crate) partitions: Vec<PartitionDiff>,
    /// Over all partitions; `None` without a key.
    pub(crate) rows: Option<RowChanges>,
    pub(crate) samples: Vec<RowSample>,
}

/// Files, rows and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DataSize {
    pub(crate) files: usize,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// A partition whose files differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PartitionDiff {
    /// Hive path.
    pub(crate) partition: String,
    pub(crate) before: DataSize,
    pub(crate) after: DataSize,
    /// `None` without a key.
    pub(crate) rows: Option<RowChanges>,
}

/// One of the two snapshots.
struct Side {
    details: PlanDetails,
    columns: LakeColumns,
    schema: SchemaRef,
    partitions: BTreeMap<String, Vec<FileEntry>>,
}

/// What changed in every table of the project since the other snapshot.
///
/// # Errors
/// [`Error::NoDiff`]; those of the ledger and of reading the lakes.
pub(crate) async fn diff(pipeline: &Pipeline, options: &DiffOptions) -> Result<Vec<TableDiff>> {
    let mut all = Vec::new();
    for lake in &pipeline.project().lakes {
        all.push(table(pipeline, lake, options).await?);
    }
    Ok(all)
}

async fn table(pipeline: &Pipeline, lake: &LakeTable, options: &DiffOptions) -> Result<TableDiff> {
    let no_diff = |reason| Error::NoDiff { table: lake.name.clone(), against: options.against.clone(), reason };
    let ledger = plan::ledger(pipeline.engine(), pipeline.project(), lake).await?;
    let other = ledger.beside(pipeline.project().layout_at(lake, &options.against));
    let before = Side::read(other, lake, &no_diff).await?;
    if before.details.snapshot_time != options.against {
        return Err(no_diff(format!("its folder has the snapshot of {}", before.details.snapshot_time)));
    }
    let after = Side::read(ledger, lake, &no_diff).await?;
    if before.partition_columns() != after.partition_columns() {
        return Err(no_diff("it was partitioned by other columns".to_owned()));
    }
    let names: BTreeSet<&String> = before.partitions.keys().chain(after.partitions.keys()).collect();
    let is_same = |name: &str| Side::identity(&before, name) == Side::identity(&after, name);
    let (same, differing): (Vec<&String>, Vec<&String>) = names.into_iter().partition(|name| is_same(name));
    let partition = |name: &&String| PartitionDiff {
        partition: (*name).clone(),
        before: before.content(name),
        after: after.content(name),
        rows: None,
    };
    let mut diff = TableDiff {
        table: lake.name.clone(),
        before: before.contents(),
        after: after.contents(),
        columns: ColumnChanges::between(&before.schema, &after.schema),
        sources: sources(&before.details, &after.details)?,
        same_partitions: same.len(),
        partitions: differing.iter().map(partition).collect(),
        rows: None,
        samples: Vec::new(),
    };
    if options.key.is_empty() {
        return Ok(diff);
    }
    for column in &options.key {
        if before.schema.index_of(column).is_err() || after.schema.index_of(column).is_err() {
            return Err(no_diff(format!("key column '{column}' is not in both")));
        }
    }
    let files = |side: &Side| differing.iter().flat_map(|name| side.files(name)).cloned().collect();
    let rows = Comparison {
        engine: pipeline.engine(),
        before: (&before.columns, files(&before)),
        after: (&after.columns, files(&after)),
        key: &options.key,
        samples: options.samples,
    };
    let Compared { mut partitions, samples } = rows.compare(&no_diff).await?;
    let mut total = RowChanges::default();
    for partition in &mut diff.partitions {
        let changes = partitions.remove(&partition.partition).unwrap_or_default();
        total.added += changes.added;
        total.removed += changes.removed;
        total.changed += changes.changed;
        partition.rows = Some(changes);
    }
    diff.rows = Some(total);
    diff.samples = samples;
    Ok(diff)
}

impl Side {
    async fn read(ledger: Ledger, lake: &LakeTable, no_diff: &impl Fn(String) -> Error) -> Result<Self> {
        let layout = ledger.layout();
        let head = ledger.head::<PlanDetails>(&layout.snapshot_manifest()).await?;
        let first = ledger.head::<PartitionDetails>(&layout.manifest(Step::PartitionFileGroups, 1)).await?;
        let (Some((_, details)), Some((_, first))) = (head, first) else {
            let known = ledger.snapshot_times().await?;
            return Err(no_diff(format!(
                "{} is not published; the staging folder has snapshots of: {}",
                layout.root(),
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        };
        let done = ledger.done(Step::DatalakeFileGroups).await?;
        if done.len() < first.groups {
            let (done, all) = (done.len(), first.groups);
            return Err(no_diff(format!("only {done} of {all} groups of {} are published", layout.root())));
        }
        let schema = details.output_schema.decode()?;
        let columns =
            LakeColumns::new(&schema, lake).map_err(|_| no_diff("it was partitioned by other columns".to_owned()))?;
        let mut partitions: BTreeMap<String, Vec<FileEntry>> = BTreeMap::new();
        let mut manifests = ledger.read_all::<Value>(Step::DatalakeFileGroups, done);
        while let Some((_, manifest)) = manifests.try_next().await? {
            for file in manifest.into_iter().flat_map(|manifest| manifest.files) {
                let partition = file.partition.path().unwrap_or_default().to_owned();
                partitions.entry(partition).or_default().push(file);
            }
        }
        drop(manifests);
        Ok(Self { details, columns, schema, partitions })
    }

    /// Of the text that a plan keeps for comparison.
    fn partition_columns(&self) -> &str {
        let ordering = &self.details.ordering;
        ordering.split_once(" sorted_by").map_or(ordering, |(partitions, _)| partitions)
    }

    fn files(&self, partition: &str) -> &[FileEntry] {
        self.partitions.get(partition).map_or(&[], Vec::as_slice)
    }

    /// What is the same for the same files, in whatever order and wherever they lie.
    fn identity(&self, partition: &str) -> Vec<(u64, &str, Option<u64>)> {
        let files = self.files(partition).iter();
        let mut identity: Vec<_> = files.map(|file| (file.size, file.etag.as_ref(), file.n_record)).collect();
        identity.sort_unstable();
        identity
    }

    fn content(&self, partition: &str) -> DataSize {
        let files = self.files(partition);
        DataSize {
            files: files.len(),
            rows: files.iter().filter_map(|file| file.n_record).sum(),
            bytes: files.iter().map(|file| file.size).sum(),
        }
    }

    fn contents(&self) -> DataSize {
        let all = self.partitions.keys().map(|partition| self.content(partition));
        all.fold(DataSize::default(), |a, b| DataSize {
            files: a.files + b.files,
            rows: a.rows + b.rows,
            bytes: a.bytes + b.bytes,
        })
    }
}

/// The columns of the snapshot tables that both read, where they differ.
fn sources(before: &PlanDetails, after: &PlanDetails) -> Result<Vec<SourceChanges>> {
    let all = |details: &PlanDetails| -> Result<Vec<(String, Schema)>> {
        let sources = details.whole.iter().map(|(source, _)| source).chain([&details.driving]);
        sources.map(|source| Ok((source.table.clone(), Schema::new(source.columns()?)))).collect()
    };
    let (before, mut changes) = (all(before)?, Vec::new());
    for (table, after) in all(after)? {
        let Some((_, before)) = before.iter().find(|(name, _)| *name == table) else { continue };
        let columns = ColumnChanges::between(before, &after);
        if !columns.is_empty() {
            changes.push(SourceChanges { table, columns });
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::diff::Change;
    use crate::layout::FilePartition;
    use crate::pipeline::in_memory::{Job, TABLE};

    const JANUARY: &str = "2026-01-31T00:00:00Z";
    const FEBRUARY: &str = "2026-02-28T00:00:00Z";

    fn options(key: &[&str]) -> DiffOptions {
        let key = key.iter().map(|&name| name.to_owned()).collect();
        DiffOptions { against: JANUARY.to_owned(), key, samples: 9 }
    }

    /// The table of January, and a job for that of February.
    async fn january() -> (Job, Job) {
        let old = Job::published().await;
        let new = old.again(TABLE, FEBRUARY);
        (old, new)
    }

    /// Why there is no diff.
    async fn refused(job: &Job, key: &[&str]) -> String {
        let error = diff(&job.pipeline, &options(key)).await.unwrap_err();
        let Error::NoDiff { table, against, reason } = error else { panic!("{error:?}") };
        assert_eq!((table.as_str(), against.as_str()), ("t", JANUARY));
        reason
    }

    #[tokio::test]
    async fn partition_is_the_same_by_size_etag_and_rows_of_its_files_in_any_order_and_place() {
        let job = Job::published().await;
        let mut side = Side::read(job.ledger().await, job.lake(), &|_| panic!("it is published")).await.unwrap();
        let file = |uri: &str, etag: &str, size, rows| FileEntry {
            uri: uri.into(),
            etag: etag.into(),
            size,
            n_record: Some(rows),
            partition: FilePartition::one("k=a"),
        };
        let mut identity = |files: Vec<FileEntry>| {
            side.partitions.insert("k=a".to_owned(), files);
            let identity = side.identity("k=a").into_iter();
            identity.map(|(size, etag, rows)| (size, etag.to_owned(), rows)).collect::<Vec<_>>()
        };
        let here = identity(vec![file("1", "x", 10, 1), file("2", "y", 20, 2)]);
        assert_eq!(identity(vec![file("b/2", "y", 20, 2), file("b/1", "x", 10, 1)]), here);
        for other in [
            vec![file("1", "x", 10, 1)],
            vec![file("1", "x", 10, 1), file("2", "z", 20, 2)],
            vec![file("1", "x", 10, 1), file("2", "y", 21, 2)],
            vec![file("1", "x", 10, 1), file("2", "y", 20, 3)],
            vec![file("1", "x", 10, 1), file("2", "y", 20, 2), file("3", "y", 20, 2)],
        ] {
            assert_ne!(identity(other.clone()), here, "{other:?}");
        }
        assert_eq!(side.identity("k=none"), []);
        assert_eq!(side.content("k=none"), DataSize::default());
    }

    #[tokio::test]
    async fn rows_that_were_added_removed_changed_or_moved_are_counted_in_their_partitions() {
        let (_, new) = january().await;
        new.delete("export/2.csv").await;
        new.put("export/1.csv", "id,k,v\n1,c,x\n2,b,\n4,a,w\n").await;
        new.pipeline.run().await.unwrap();
        let found = diff(&new.pipeline, &options(&["id"])).await.unwrap().remove(0);
        let changes = |added, removed, changed| RowChanges { added, removed, changed };
        let by_partition: Vec<_> =
            found.partitions.iter().map(|of| (of.partition.as_str(), of.before.rows, of.after.rows, of.rows)).collect();
        assert_eq!(
            by_partition,
            [
                ("k=a", 2, 1, Some(changes(1, 1, 0))),
                ("k=b", 1, 1, Some(changes(0, 0, 1))),
                ("k=c", 0, 1, Some(changes(0, 0, 1))),
            ]
        );
        assert_eq!(found.rows, Some(changes(1, 1, 2)));
        assert_eq!((found.before.rows, found.after.rows, found.same_partitions), (3, 3, 0));
        let moved = found.samples.iter().find(|sample| sample.key["id"] == "1").unwrap();
        assert_eq!((moved.change, &moved.before["k"], &moved.after["k"]), (Change::Changed, &"a".into(), &"c".into()));
        assert!(!moved.before.contains_key("v"), "{moved:?}");
        let without_key = diff(&new.pipeline, &options(&[])).await.unwrap().remove(0);
        assert_eq!((without_key.rows, without_key.partitions[0].rows, without_key.partitions.len()), (None, None, 3));
    }

    #[tokio::test]
    async fn partitions_of_the_same_files_are_the_same_and_are_not_read() {
        let job = Job::published().await;
        let itself = DiffOptions { key: vec!["v".to_owned()], ..options(&[]) };
        for key in job.lake_files().await {
            job.put(&key, "whoever reads it fails").await;
        }
        let found = diff(&job.pipeline, &itself).await.unwrap().remove(0);
        assert_eq!((found.same_partitions, found.partitions.len(), found.rows), (2, 0, Some(RowChanges::default())));
    }

    #[tokio::test]
    async fn key_that_names_two_rows_is_refused_with_the_snapshot_in_which_it_does() {
        let (_, new) = january().await;
        new.put("export/1.csv", "id,k,v\n1,a,x\n7,b,y\n").await;
        new.put("export/2.csv", "id,k,v\n1,a,z\n,a,n\n,a,m\n").await;
        new.pipeline.run().await.unwrap();
        let reason = refused(&new, &["id"]).await;
        // Of a key a NULL is like another one.
        assert!(reason.contains("(id) is not unique in the config's snapshot, where 2 of its values"), "{reason}");
        let reason = refused(&new, &["k"]).await;
        assert!(reason.contains("(k) is not unique in the other snapshot, where 1 of"), "{reason}");
        let reason = refused(&new, &["id", "nothing"]).await;
        assert!(reason.contains("key column 'nothing' is not in both"), "{reason}");
        assert_eq!(diff(&new.pipeline, &options(&["id", "v"])).await.unwrap()[0].rows.unwrap().added, 4);
    }

    #[tokio::test]
    async fn null_in_a_key_is_a_value_that_both_snapshots_may_have() {
        let old = Job::new(TABLE);
        old.put("export/1.csv", "id,k,v\n,a,x\n2,a,\n").await;
        old.pipeline.run().await.unwrap();
        let new = old.again(TABLE, FEBRUARY);
        new.put("export/1.csv", "id,k,v\n,a,y\n2,a,\n").await;
        new.pipeline.run().await.unwrap();
        let found = diff(&new.pipeline, &options(&["id"])).await.unwrap().remove(0);
        assert_eq!(found.rows, Some(RowChanges { changed: 1, ..RowChanges::default() }));
    }

    #[tokio::test]
    async fn snapshot_that_is_not_published_is_refused_with_those_that_there_are() {
        let (old, new) = january().await;
        let reason = refused(&new, &[]).await;
        assert!(
            reason.ends_with(&format!("is not published; the staging folder has snapshots of: {JANUARY}")),
            "{reason}"
        );
        new.pipeline.run().await.unwrap();
        let ledger = old.ledger().await;
        ledger.revoke(&ledger.layout().manifest(Step::DatalakeFileGroups, 2)).await.unwrap();
        let reason = refused(&new, &[]).await;
        assert!(reason.contains("only 1 of 2 groups"), "{reason}");
    }

    #[tokio::test]
    async fn tables_partitioned_by_other_columns_are_refused_and_sorted_otherwise_they_are_not() {
        let (old, _) = january().await;
        for (with, is_refused) in [
            ("partitioned_by = ARRAY['v']", true),
            ("partitioned_by = ARRAY['k', 'v']", true),
            ("partitioned_by = ARRAY['k'], sorted_by = ARRAY['id']", false),
        ] {
            let new = old.again(&TABLE.replace("partitioned_by = ARRAY['k']", with), FEBRUARY);
            for key in new.keys("snapshot=2026-02-28").await {
                new.delete(&key).await;
            }
            new.pipeline.run().await.unwrap();
            if is_refused {
                assert_eq!(refused(&new, &[]).await, "it was partitioned by other columns", "{with}");
            } else {
                diff(&new.pipeline, &options(&[])).await.unwrap();
            }
        }
    }
}
