//! One compaction task: the sorted runs of a partition become lake files. They are copied where they do not interleave
//! (`copy`), otherwise merged:
//!
//! ```text
//! LakeWriteExec          rolls at the target size
//!   MergeRunsExec        equal keys keep the order of the stage tasks
//!     DataSourceExec     one partition per run
//! ```
//!
//! The merge streams: memory is some batches per run and one open row group. Nothing is sorted again; a partition of
//! more runs than the memory holds batches of is merged in `merge::passes`. Partitions that share staging files are
//! merged together, by partition first, and cut apart by the writer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use datafusion::arrow::compute::SortOptions;
use datafusion::parquet::file::metadata::PageIndexPolicy;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::future::try_join;
use md5::{Digest, Md5};

use super::copy::Assembler;
use super::copy::runs as copy;
use super::plan::{PartitionDetails, PartitionGroup};
use crate::compaction::merge::exec::MergeRunsExec;
use crate::compaction::merge::passes::{Merged, Passes, RunScan};
use crate::config::{LakeTable, Verify};
use crate::error::unwrap_engine;
use crate::error::{Error, Result, TaskStep, caught, within};
use crate::lake::LakeColumns;
use crate::lake::{HiveLake, sums};
use crate::layout::bundle;
use crate::layout::{Location, Step};
use crate::manifest::checksum::ColumnSums;
use crate::manifest::ledger::delete_all;
use crate::manifest::{FileEntry, Ledger, Manifest, Operator, Roots, TaskDetails};
use crate::session::operators;
use crate::session::{Engine, is_any_replaced, pin_content};
use crate::snapshot::{parquet_scan, read_footer};
use crate::write::{
    FileEncoding, LakeWriteExec, Numbering, OnRows, PlannedPartition, RollRule, WriteSpec, collect_files,
    copied_properties, published_properties, sort_keys, staging_encoding,
};

/// How often a task starts if another process replaces its staging files while it reads them.
const READ_ATTEMPTS: usize = 3;

/// A compaction task's surroundings.
#[derive(Clone, Copy)]
pub(crate) struct CompactTask<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) lake: &'a LakeTable,
    pub(crate) ledger: &'a Ledger,
    pub(crate) columns: &'a LakeColumns,
    /// Id of the plan that it belongs to.
    pub(crate) plan: &'a str,
    /// [`PlanDetails::result`](crate::staging::plan::PlanDetails) of that plan.
    pub(crate) result: &'a str,
    /// Group number, from 1.
    pub(crate) number: usize,
    pub(crate) group: &'a PartitionGroup,
    pub(crate) verify: Verify,
    /// Time after which it is given up.
    pub(crate) timeout: Option<Duration>,
}

impl CompactTask<'_> {
    /// Runs and commits the task.
    ///
    /// # Errors
    /// [`Error::Task`].
    pub(crate) async fn run(&self, on_rows: OnRows) -> Result<Manifest<TaskDetails>> {
        let failed = |source| Error::Task {
            step: TaskStep::Publish,
            table: self.lake.name.clone(),
            group: self.number,
            partition: Some(self.group.partition.clone()).filter(|partition| !partition.is_empty()),
            file: None,
            source: Box::new(source),
        };
        within(self.timeout, Box::pin(caught(self.write_and_commit(on_rows)))).await.map_err(failed)
    }

    async fn write_and_commit(&self, on_rows: OnRows) -> Result<Manifest<TaskDetails>> {
        let (started, started_at) = (Instant::now(), Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
        self.ledger.check_plan(&self.lake.name, self.plan).await?;
        let written = self.write(&on_rows).await?;
        let files = written.files;
        if let Err(error) = self.check_place().await {
            self.take_back(files.iter().map(|(file, _)| file)).await?;
            return Err(error);
        }
        let (rows_read, rows_written) = self.check_rows(&files).await?;
        let checksums = self.sums_of(&files).await?;
        let details = TaskDetails {
            table: self.lake.name.clone(),
            group: self.number,
            partition: self.group.partition.clone(),
            plan: self.plan.to_owned(),
            rows_read,
            rows_written,
            bytes_read: self.group.files.iter().map(|file| file.size).sum(),
            bytes_spilled: written.bytes_spilled,
            seconds: started.elapsed().as_secs_f64(),
            started_at,
            checksums,
            operators: written.operators,
        };
        let manifest = Manifest::with_statistics(files, details);
        let target = self.ledger.layout().manifest(Step::DatalakeFileGroups, self.number);
        match self.ledger.commit(&target, &manifest).await {
            Ok(_) => Ok(manifest),
            Err(error @ Error::CommitConflict { .. }) => {
                self.take_back(&manifest.files).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the lake files from staging files with the content that was staged.
    ///
    /// If another process stages the same group meanwhile, a local file has the same bytes in another inode. The task
    /// then starts again, compares the files with their hashes again, and fails if the bytes differ.
    async fn write(&self, on_rows: &OnRows) -> Result<Written> {
        let mut attempt = 1;
        loop {
            let files = pin_content(self.engine.stores(), &self.group.files).await?;
            let group = PartitionGroup { files, ..self.group.clone() };
            let pinned = CompactTask { group: &group, ..*self };
            let written = match pinned.copied(on_rows).await {
                Ok(None) => pinned.merged(Arc::clone(on_rows)).await,
                Ok(Some(written)) => Ok(written),
                Err(error) => Err(error),
            };
            match written {
                Err(_) if attempt < READ_ATTEMPTS && is_any_replaced(self.engine.stores(), &group.files).await? => {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn made_by(&self) -> String {
        made_by(self.result, &properties_text(self.lake))
    }

    /// Whether plan and lake are still the ones that it belongs to: another run may have replaced them since.
    async fn check_place(&self) -> Result<()> {
        let lake = HiveLake::open(self.engine.stores(), self.ledger.layout()).await?;
        let properties = properties_text(self.lake);
        let owner = lake.check_owner(&self.lake.name, self.result, Some(&properties));
        try_join(self.ledger.check_plan(&self.lake.name, self.plan), owner).await.map(drop)
    }

    /// Removes what was written for a plan that was replaced, so that it does not stay beside the files of the next
    /// one. A plan of the same result that cuts files alike gives them the same names and bytes. If no plan publishes
    /// into this folder now, a complete lake stays as it is: its staging folder was moved, or the config has another
    /// lake.
    async fn take_back<'a>(&self, files: impl IntoIterator<Item = &'a FileEntry>) -> Result<()> {
        let layout = self.ledger.layout();
        let lake = HiveLake::open(self.engine.stores(), layout).await?;
        let first = layout.manifest(Step::PartitionFileGroups, 1);
        let publishes = match self.ledger.head::<PartitionDetails>(&first).await {
            Err(Error::Damaged { .. }) => None,
            other => other?,
        };
        let here = Roots::of(layout).lake;
        let publishes = publishes.filter(|(head, _)| head.roots.as_ref().is_none_or(|roots| roots.lake == here));
        let is_needed = match (self.ledger.plan_result().await?, publishes) {
            (Some(result), Some((_, now))) => result == self.result && now.properties == properties_text(self.lake),
            _ => lake.is_complete().await? || lake.owner().await?.is_some_and(|owner| owner.plan == self.result),
        };
        if is_needed {
            return Ok(());
        }
        let folder = layout.lake();
        let keys = files.into_iter().map(|file| Location::from_uri(&file.uri)?.key()).collect::<Result<_>>()?;
        delete_all(&self.engine.stores().open(folder).await?, folder, keys).await
    }

    /// Rows that manifests state of the staging files, and rows written: the same, or an error that names the file at
    /// fault.
    async fn check_rows(&self, written: &[(FileEntry, String)]) -> Result<(u64, u64)> {
        let stated = self.group.files.iter().filter_map(|file| file.n_record).sum();
        let rows = written.iter().filter_map(|(file, _)| file.n_record).sum();
        if stated == rows {
            return Ok((stated, rows));
        }
        let opened = self.engine.stores().open_all(&self.group.files).await?;
        for file in &self.group.files {
            let location = Location::from_uri(&file.uri)?;
            let footer = read_footer(opened.of(&location)?, &location, file, PageIndexPolicy::Skip).await?;
            let read = u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
            if let Some(stated) = file.n_record.filter(|stated| *stated != read) {
                let (of, uri) = (format!("staging.{}", self.lake.name), file.uri.to_string());
                return Err(Error::RowsDiffer { of, uri, statement: "its manifest", stated, read });
            }
        }
        Err(Error::RowsLost { table: self.lake.name.clone(), given: stated, written: rows })
    }

    /// Copies the pages of runs that do not interleave; `None` if the runs must be merged.
    async fn copied(&self, on_rows: &OnRows) -> Result<Option<Written>> {
        if !self.group.bundled.is_empty() {
            return Ok(None);
        }
        let keys = self.merge_keys()?;
        let key = keys
            .first()
            .map(|&(column, options)| (self.columns.file.field(column).name().as_str(), options, keys.len() == 1));
        let Some(properties) = copied_properties(self.lake, &self.columns.file)? else { return Ok(None) };
        let Some(runs) = copy::order(self.engine, &self.group.files, key).await? else { return Ok(None) };
        let spec = self.spec(Arc::clone(on_rows)).await?;
        let encoding = staging_encoding(self.lake, &self.columns.file)?;
        let lake = Assembler::new(&spec, encoding, properties, runs.rows());
        let (files, operator) = copy::copy(runs, lake).await?;
        Ok(Some(Written { files, operators: vec![operator], bytes_spilled: 0 }))
    }

    /// Adds up what readers of the lake will see, where that is asked for: not what was given to the writer.
    async fn sums_of(&self, files: &[(FileEntry, String)]) -> Result<Option<ColumnSums>> {
        if self.verify != Verify::Checksum {
            return Ok(None);
        }
        let files: Vec<FileEntry> = files.iter().map(|(file, _)| file.clone()).collect();
        sums(self.engine, self.columns, &files).await.map(Some)
    }

    async fn merged(&self, on_rows: OnRows) -> Result<Written> {
        let Planned { session, plan, runs } = self.plan(on_rows).await?;
        let files = collect_files(Arc::clone(&plan), session.task_ctx()).await.map_err(unwrap_engine)?;
        Ok(Written { files, operators: operators(&plan), bytes_spilled: runs.bytes_spilled })
    }

    /// The merge as a physical plan.
    pub(crate) async fn plan(&self, on_rows: OnRows) -> Result<Planned> {
        let merge_keys = self.merge_keys()?;
        let runs = self.runs(&merge_keys).await?;
        let session = self.engine.batch_session(&runs.files, runs.batches.rows).await?;
        let input = self.all_rows(&session, &runs, merge_keys)?;
        let spec = self.spec(on_rows).await?;
        Ok(Planned { session, plan: Arc::new(LakeWriteExec::new(input, Arc::new(spec))), runs })
    }

    /// Where and how lake files are written.
    async fn spec(&self, on_rows: OnRows) -> Result<WriteSpec> {
        let schema = &self.columns.file;
        let folder = self.ledger.layout().lake().clone();
        // They are in the rows of a bundle only.
        let partition_columns = self.columns.partition.iter().filter(|_| !self.group.bundled.is_empty());
        Ok(WriteSpec {
            table: self.lake.name.clone(),
            store: self.engine.stores().open(&folder).await?,
            folder,
            file_stem: file_stem(&self.made_by(), self.group),
            partition_columns: partition_columns.map(|field| field.name().clone()).collect(),
            fixed_partition: self.group.partition.clone(),
            planned: planned(&self.made_by(), self.group),
            bundled: None,
            file_schema: Arc::clone(schema),
            encoding: FileEncoding::lake(schema, published_properties(self.lake, schema)?)
                .map_err(|source| Error::Parquet { uri: format!("schema of lake.{}", self.lake.name), source })?,
            numbering: Numbering::Rolling(RollRule {
                target_bytes: self.lake.target_file_size,
                min_bytes: self.lake.min_file_size,
                max_bytes: self.lake.max_file_size,
            }),
            total_rows: self.group.files.iter().map(|file| file.n_record).sum(),
            is_published: true,
            checksum: None,
            // An unpartitioned table without rows still has its columns; a partition without rows does not exist.
            write_empty: self.columns.partition.is_empty(),
            on_rows,
        })
    }

    /// The group's staging files, or longer runs that were made of them.
    async fn runs(&self, keys: &[(usize, SortOptions)]) -> Result<Merged> {
        if keys.is_empty() {
            return Ok(Merged::all(&self.group.files, &self.columns.file));
        }
        let files = in_task_order(&self.group.files);
        let budget = self.engine.merge_bytes(self.ledger.layout().is_remote());
        let passes = Passes { engine: self.engine, budget, table: &self.lake.name, scan: self.run_scan(), keys };
        passes.merge(&files).await
    }

    fn run_scan(&self) -> RunScan<'_> {
        RunScan { columns: self.columns, with_partition: !self.group.bundled.is_empty() }
    }

    /// All rows of these runs in their order.
    fn all_rows(
        &self,
        session: &SessionContext,
        runs: &Merged,
        keys: Vec<(usize, SortOptions)>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if keys.is_empty() {
            let one_after_another = std::slice::from_ref(&runs.files);
            return parquet_scan(session, &self.columns.file, one_after_another).map_err(unwrap_engine);
        }
        // Also of one run: where batches end then depends on the rows alone, and so do the bytes that are written.
        Ok(Arc::new(MergeRunsExec::new(self.run_scan().of(session, &runs.files)?, keys, runs.batches.reading)))
    }

    /// Columns that runs are sorted by.
    fn merge_keys(&self) -> Result<Vec<(usize, SortOptions)>> {
        let index = |name: &str| self.columns.file.index_of(name).map_err(|error| Error::Engine(error.into()));
        let of_partition = (self.columns.file.fields().len()..).zip(&self.columns.partition);
        let of_partition = of_partition.filter(|_| !self.group.bundled.is_empty());
        let of_partition = of_partition.map(|(column, _)| Ok((column, bundle::ORDER)));
        let keys = sort_keys(self.lake).into_iter();
        let keys = keys.map(|key| Ok((index(&key.column)?, SortOptions::new(key.descending, key.nulls_first))));
        of_partition.chain(keys).collect()
    }
}

/// What a task has written.
struct Written {
    /// With their column statistics.
    files: Vec<(FileEntry, String)>,
    operators: Vec<Operator>,
    bytes_spilled: u64,
}

/// A task that can be run.
pub(crate) struct Planned {
    pub(crate) session: SessionContext,
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// What the plan reads, kept until it has run.
    runs: Merged,
}

/// Runs in the order that equal keys keep: that of the stage tasks, and thereby of the files' names. Those of a
/// bundle lie in several folders.
fn in_task_order(files: &[FileEntry]) -> Vec<FileEntry> {
    fn name(file: &FileEntry) -> &str {
        file.uri.rsplit('/').next().unwrap_or_default()
    }
    let mut files = files.to_vec();
    files.sort_by(|a, b| name(a).cmp(name(b)));
    files
}

/// First part of the names of a group's lake files, for each partition one: its number, and a hash of what decides its
/// rows and how they are cut into files. Not of the staging files, so memory and store make no difference.
pub(crate) fn file_stems(result: &str, properties: &str, group: &PartitionGroup) -> Vec<String> {
    stems(&made_by(result, properties), group)
}

fn made_by(result: &str, properties: &str) -> String {
    format!("{result} {properties}")
}

fn stems(made_by: &str, group: &PartitionGroup) -> Vec<String> {
    if group.bundled.is_empty() {
        return vec![file_stem(made_by, group)];
    }
    group.bundled.iter().map(|of| stem(made_by, of.number, &of.partition, of.first_row, of.rows)).collect()
}

fn file_stem(made_by: &str, group: &PartitionGroup) -> String {
    let rows = group.files.iter().filter_map(|file| file.n_record).sum();
    stem(made_by, group.number, &group.partition, group.first_row, rows)
}

fn stem(made_by: &str, number: usize, partition: &str, first_row: u64, rows: u64) -> String {
    let text = format!("{made_by} {partition} {first_row} {rows}");
    let hash: String = Md5::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{number:06}-{hash}")
}

/// What comes of each partition of a bundle.
fn planned(made_by: &str, group: &PartitionGroup) -> HashMap<String, PlannedPartition> {
    let planned = group
        .bundled
        .iter()
        .zip(stems(made_by, group))
        .map(|(of, file_stem)| (of.partition.clone(), PlannedPartition { file_stem, rows: of.rows }));
    planned.collect()
}

/// Text of what decides the form of lake files; a change after planning is refused.
pub(crate) fn properties_text(lake: &LakeTable) -> String {
    format!(
        "target {} min {} max {} {}",
        lake.target_file_size, lake.min_file_size, lake.max_file_size, lake.compression
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::FilePartition;

    fn group(staging: &str) -> PartitionGroup {
        let uri = format!("{staging}/k=1/000001-ab-000000.parquet");
        let file = FileEntry {
            uri: uri.into(),
            etag: staging.into(),
            size: 1,
            n_record: Some(1),
            partition: FilePartition::one("k=1"),
        };
        PartitionGroup { partition: "k=1".into(), first_row: 0, number: 1, bundled: Vec::new(), files: vec![file] }
    }

    #[test]
    fn runs_in_several_folders_are_in_the_order_of_their_tasks() {
        let file = |uri: &str| FileEntry { uri: uri.into(), ..group("s3://b").files[0].clone() };
        let uris = ["b/bundle-1/000002-a-000000", "b/bundle-1/000003-c-000001", "b/k=1/000001-z-000000"];
        let ordered = in_task_order(&uris.map(file));
        let ordered: Vec<&str> = ordered.iter().map(|file| &*file.uri).collect();
        assert_eq!(ordered, [uris[2], uris[0], uris[1]]);
    }

    #[test]
    fn file_stem_depends_on_the_rows_and_not_on_where_staging_lies() {
        assert_eq!(file_stem("r", &group("s3://b")), file_stem("r", &group("file:///x")));
        assert_ne!(file_stem("r", &group("s3://b")), file_stem("other", &group("s3://b")));
        let later = PartitionGroup { first_row: 5, ..group("s3://b") };
        assert_ne!(file_stem("r", &group("s3://b")), file_stem("r", &later));
    }
}
