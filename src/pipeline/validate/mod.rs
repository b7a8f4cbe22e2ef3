//! Proof that no row got lost or doubled: every hop's manifests against the next, and the footers of the published
//! files.
//!
//! ```text
//! planned = read | selected = staged = partition groups = published = footers
//! ```
//!
//! Each number has its own source: what footers and manifests of the snapshot state; what the decoders gave; what the
//! SELECT gave; the manifests of staging files, of partition groups and of lake files; the footers of the lake files.
//! The SELECT between "read" and "selected" may filter or join: that difference is counted, not judged.
//! All others must be zero, and the lake's folder has no other file. Where tasks kept checksums of what they gave and
//! wrote, these must agree too, and a deep validation compares them with what is in the files now (`deep`). The
//! result is kept as `validation.json`; a difference is an error, and the mark of a complete table is not put, or taken
//! away. A store that cannot be asked is an error too, but says nothing about the lake.

pub(crate) mod deep;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::parquet::file::metadata::PageIndexPolicy;
use futures::TryStreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::deep::PublishedTask;
use crate::compaction::plan::PartitionDetails;
use crate::concurrency::{room, spread, turn};
use crate::config::LakeTable;
use crate::error::{Error, Result};
use crate::lake::HiveLake;
use crate::lake::LakeColumns;
use crate::layout::store_error;
use crate::layout::{Location, Step};
use crate::manifest::checksum::ColumnSums;
use crate::manifest::{FileEntry, LakeContent, Ledger, Manifest, TaskDetails};
use crate::session::{ContentCheck, Engine, OpenStores, check_file};
use crate::snapshot::read_footer;
use crate::staging::plan::PlanDetails;
use crate::staging::run::StageDetails;

/// Form of `validation.json`.
pub(crate) const VERSION: u32 = 1;

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// Files, rows and bytes of one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Number of files.
    pub files: u64,
    /// Rows, where all are known.
    pub rows: Option<u64>,
    /// Bytes.
    pub bytes: u64,
}

impl Hop {
    /// All of these files.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = &'a FileEntry>) -> Self {
        let mut hop = Self::default();
        hop.add(files);
        hop
    }

    fn add<'a>(&mut self, files: impl IntoIterator<Item = &'a FileEntry>) {
        for file in files {
            self.files += 1;
            self.rows = self.rows.zip(file.n_record).map(|(a, b)| a + b);
            self.bytes += file.size;
        }
    }
}

impl Default for Hop {
    fn default() -> Self {
        Self { files: 0, rows: Some(0), bytes: 0 }
    }
}

/// What validation found; the content of `validation.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Format of this record.
    pub version: u32,
    /// Name of the lake table, without `lake.`.
    pub table: String,
    /// Which plan it is the result of.
    pub plan: String,
    /// Whether nothing differs.
    pub valid: bool,
    /// What differs.
    pub differences: Vec<String>,
    /// Snapshot files as planned.
    pub snapshot: Hop,
    /// Rows that came out of the decoders of stage tasks.
    pub rows_read: u64,
    /// Whether every stage task read its files to the end; a LIMIT, or a join with nothing, may stop earlier.
    pub read_all: bool,
    /// Rows that the SELECT gave.
    pub rows_selected: u64,
    /// Rows read but not given; `None` when a join or unnest gave more than were read.
    pub rows_filtered: Option<u64>,
    /// Staging files.
    pub staging: Hop,
    /// Lake files, by their manifests.
    pub lake: Hop,
    /// Rows in the footers of the lake files.
    pub footer_rows: u64,
    /// Partitions of the lake.
    pub partitions: u64,
    /// Whether checksums of all values were compared: those that the SELECT gave, and those that publish tasks found in
    /// what they had published.
    #[serde(default)]
    pub checksums: bool,
    /// Whether the published files were read once more for it.
    #[serde(default)]
    pub deep: bool,
    /// Values that are NULL because the type of their column in the snapshot cannot hold them, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_to_null: BTreeMap<String, u64>,
    /// The files that were proven. Kept with it, and not shown.
    #[serde(default, skip_serializing)]
    pub(crate) content: Option<LakeContent>,
}

/// The form of `validation.json`.
#[derive(Debug, Serialize)]
struct ValidationFile<'a> {
    #[serde(flatten)]
    validation: &'a Validation,
    content: Option<LakeContent>,
}

/// What is to be proven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) lake: &'a LakeTable,
    pub(crate) ledger: &'a Ledger,
    /// Whether the published files are read whole.
    pub(crate) deep: bool,
}

/// Compares all hops of a published table, writes the result beside the manifests, and marks the table as complete or
/// not.
///
/// # Errors
/// [`Error::Validation`] when something differs; [`Error::NotPlanned`], [`Error::NotStaged`] when it is too early;
/// [`Error::NoChecksums`] when a deep one has nothing to compare with.
pub(crate) async fn validate(proof: Proof<'_>) -> Result<Validation> {
    let (ledger, table) = (proof.ledger, proof.lake.name.as_str());
    let mark = HiveLake::open(proof.engine.stores(), ledger.layout()).await?;
    let validation = compare(proof, &mark).await?;
    let kept = ValidationFile { validation: &validation, content: validation.content };
    let text = serde_json::to_vec_pretty(&kept).map_err(|source| Error::DecodeManifest {
        uri: ledger.layout().validation().to_string(),
        source: source.into(),
    })?;
    ledger.write_file(&ledger.layout().validation(), text.into()).await?;
    if validation.valid {
        // The mark takes its place.
        mark.disown().await?;
        mark.complete().await?;
        // A folder can be moved away between the proof and the mark.
        if ledger.layout().lake().is_local() && Some(mark.content().await?) != validation.content {
            mark.withdraw().await?;
            let reason = format!("the files in {} changed while they were validated", ledger.layout().lake());
            return Err(Error::Validation { table: table.to_owned(), reason });
        }
        Ok(validation)
    } else {
        mark.withdraw().await?;
        Err(Error::Validation { table: table.to_owned(), reason: validation.differences.join("; ") })
    }
}

async fn compare(proof: Proof<'_>, published_to: &HiveLake<'_>) -> Result<Validation> {
    let Proof { engine, lake: LakeTable { name: table, .. }, ledger, deep } = proof;
    let layout = ledger.layout();
    let plan = ledger.read::<PlanDetails>(&layout.snapshot_manifest()).await?;
    let mut plan = plan.ok_or_else(|| Error::NotPlanned { table: table.clone() })?;
    let snapshot = Hop::of(&std::mem::take(&mut plan.files));
    let first = ledger.read::<PartitionDetails>(&layout.manifest(Step::PartitionFileGroups, 1)).await?;
    let groups = first.as_ref().map_or(0, |first| first.details.groups);
    let _room = room(plan.details.groups + groups).await;
    let mut differences = Differences::default();

    let (mut staging, mut rows_read, mut read_all, mut rows_selected) = (Hop::default(), 0, true, 0);
    let mut partitions = PartitionRows::default();
    let (mut selected, mut without_sums) = (ColumnSums::default(), 0);
    let mut set_to_null: BTreeMap<String, u64> = BTreeMap::new();
    let mut stranger = None;
    let mut of_plan = |id: &str, step, group| {
        if id != plan.details.id {
            stranger.get_or_insert((step, group));
        }
    };
    let total = plan.details.groups;
    let staged = each::<StageDetails>(ledger, Step::StagingFileGroups, 1..=total, |manifest| {
        of_plan(&manifest.details.task.plan, Step::StagingFileGroups, manifest.details.task.group);
        rows_read += manifest.details.task.rows_read;
        read_all &= manifest.details.read_all;
        rows_selected += manifest.details.task.rows_written;
        for (column, values) in manifest.details.columns.set_to_null {
            *set_to_null.entry(column).or_default() += values;
        }
        staging.add(&manifest.files);
        partitions.stage(&manifest.files);
        match &manifest.details.task.checksums {
            Some(sums) => selected.add(sums),
            None => without_sums += 1,
        }
    })
    .await?;
    if staged < total {
        return Err(Error::NotStaged { table: table.clone(), missing: total - staged, total });
    }
    if let Some(rows) = snapshot.rows.filter(|_| read_all) {
        differences.compare("rows of the snapshot files", rows, "rows read by stage tasks", rows_read);
    }
    differences.compare("rows given by the SELECT", rows_selected, "rows of staging files", staging.rows.unwrap_or(0));

    let mut grouped = Hop::default();
    let mut add_group = |manifest: Manifest<PartitionDetails>| {
        of_plan(&manifest.details.plan, Step::PartitionFileGroups, manifest.details.group);
        grouped.add(&manifest.files);
    };
    first.into_iter().for_each(&mut add_group);
    each(ledger, Step::PartitionFileGroups, 2..=groups, add_group).await?;
    let (mut files, mut published, mut written) = (Vec::new(), Vec::new(), ColumnSums::default());
    let done = each::<TaskDetails>(ledger, Step::DatalakeFileGroups, 1..=groups, |manifest| {
        of_plan(&manifest.details.plan, Step::DatalakeFileGroups, manifest.details.group);
        match manifest.details.checksums {
            None => without_sums += 1,
            Some(sums) => {
                written.add(&sums);
                if deep {
                    let (partition, files) = (manifest.details.partition, manifest.files.clone());
                    published.push(PublishedTask { partition, files, sums });
                }
            }
        }
        files.extend(manifest.files);
    })
    .await?;
    if groups == 0 || done < groups {
        return Err(Error::NotPublished { table: table.clone(), done, total: groups });
    }
    if let Some((step, group)) = stranger {
        // A run whose plan was replaced has left it: it says nothing about the lake.
        return Err(ledger.of_another_plan(step, group));
    }
    differences.compare(
        "rows of staging files",
        staging.rows.unwrap_or(0),
        "rows of partition groups",
        grouped.rows.unwrap_or(0),
    );
    differences.compare("staging files", staging.files, "files in partition groups", grouped.files);
    partitions.publish(&files);
    let lake = Hop::of(&files);
    differences.compare(
        "rows of partition groups",
        grouped.rows.unwrap_or(0),
        "rows of lake files",
        lake.rows.unwrap_or(0),
    );
    if staging.rows == lake.rows {
        // Otherwise more is wrong than where rows are.
        differences.0.extend(partitions.difference());
    }

    if without_sums == 0 {
        for column in selected.differing(&written) {
            differences.0.push(format!("column '{column}': its values are not those that the SELECT gave"));
        }
    }
    let check = content_check(ledger, published_to).await?;
    let footers = footers(engine, &files, check, &mut differences).await?;
    differences.compare("rows of lake files", lake.rows.unwrap_or(0), "rows in their footers", footers);
    let content = LakeContent::of(layout.lake(), &files);
    if content.is_none() {
        differences.0.push(format!("published files that do not lie in {}", layout.lake()));
    }
    let listed: HashSet<&str> = files.iter().map(|file| &*file.uri).collect();
    let found = published_to.files(|key| listed.contains(layout.lake().with_key(key).uri().as_str())).await?;
    if found.is_of_others() {
        // Neither the files nor a mark beside them are ours to judge.
        published_to.refuse_others(table, &found)?;
    }
    if let Some(example) = &found.example {
        let count = found.others;
        let (files, are) = if count == 1 { ("file", "is") } else { ("files", "are") };
        differences.0.push(format!(
            "{count} {files} in the lake {are} in no manifest, so readers would see extra rows: {example}; \
             `snaplake clean --remove` removes the files of this table"
        ));
    }
    if deep {
        if without_sums > 0 {
            return Err(Error::NoChecksums { table: table.clone(), tasks: without_sums });
        }
        let columns = LakeColumns::new(plan.details.output_schema.decode()?.as_ref(), proof.lake)?;
        differences.0.extend(deep::differences(engine, &columns, &published).await?);
    }
    Ok(Validation {
        version: VERSION,
        table: table.clone(),
        plan: plan.details.id,
        valid: differences.0.is_empty(),
        differences: differences.0,
        snapshot,
        rows_read,
        read_all,
        rows_selected,
        rows_filtered: rows_read.checked_sub(rows_selected),
        staging,
        lake,
        footer_rows: footers,
        set_to_null,
        partitions: partitions.0.len() as u64,
        checksums: without_sums == 0,
        deep,
        content,
    })
}

/// What was proven and has not changed since is not hashed again, nor is what a run has just written.
async fn content_check(ledger: &Ledger, lake: &HiveLake<'_>) -> Result<ContentCheck> {
    if !ledger.layout().lake().is_local() {
        return Ok(ContentCheck::Never);
    }
    if let Some(proven) = lake.completed_at().await? {
        return Ok(ContentCheck::IfChangedAfter(proven));
    }
    let last = ledger.read_file(&ledger.layout().validation()).await?;
    let last = last.and_then(|last| serde_json::from_slice::<Validation>(&last).ok());
    Ok(if last.is_some_and(|last| !last.valid) { ContentCheck::Always } else { ContentCheck::Never })
}

/// Rows of each partition, by its Hive path: staged, and published.
#[derive(Debug, Default)]
struct PartitionRows(HashMap<Arc<str>, (u64, u64)>);

impl PartitionRows {
    fn stage(&mut self, files: &[FileEntry]) {
        files.iter().flat_map(FileEntry::parts).for_each(|part| self.of(part.partition).0 += part.rows);
    }

    fn publish(&mut self, files: &[FileEntry]) {
        files.iter().flat_map(FileEntry::parts).for_each(|part| self.of(part.partition).1 += part.rows);
    }

    fn of(&mut self, path: &str) -> &mut (u64, u64) {
        self.0.entry(path.into()).or_default()
    }

    /// The first partition that has other rows than were staged, and how many do.
    fn difference(&self) -> Option<String> {
        let differing = || self.0.iter().filter(|(_, (staged, published))| staged != published);
        let (path, (staged, published)) = differing().min_by_key(|(path, _)| Arc::clone(path))?;
        let others = match differing().count() {
            1 => String::new(),
            several => format!("; and {} more", several - 1),
        };
        Some(format!(
            "partition {path} has other rows than were staged: {staged} staged, {published} published{others}"
        ))
    }
}

#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare(&mut self, left: &str, left_value: u64, right: &str, right_value: u64) {
        if left_value != right_value {
            self.0.push(format!("{left}: {left_value}, {right}: {right_value}"));
        }
    }
}

/// Hands the committed manifests of a step to `take`, one after the other; gives their number.
async fn each<D: Serialize + DeserializeOwned + Send + 'static>(
    ledger: &Ledger,
    step: Step,
    numbers: RangeInclusive<usize>,
    mut take: impl FnMut(Manifest<D>),
) -> Result<usize> {
    let mut committed = 0;
    let mut manifests = ledger.read_all::<D>(step, numbers);
    while let Some((_, manifest)) = manifests.try_next().await? {
        if let Some(manifest) = manifest {
            committed += 1;
            take(manifest);
        }
    }
    Ok(committed)
}

/// Rows in the footers of all files; a file that is gone, changed or has other rows is a difference.
async fn footers(
    engine: &Engine,
    files: &[FileEntry],
    check: ContentCheck,
    differences: &mut Differences,
) -> Result<u64> {
    let opened = engine.stores().open_all(files).await?;
    let reads = files.iter().map(|file| {
        let (file, opened) = (file.clone(), Arc::clone(&opened));
        async move {
            let _turn = turn().await;
            Ok((footer_rows(&opened, &file, check).await, file))
        }
    });
    let mut reads = spread(reads, AT_ONCE);
    let mut sum = 0;
    while let Some((rows, file)) = reads.try_next().await? {
        let location = Location::from_uri(&file.uri)?;
        match rows {
            Ok(rows) => {
                differences.compare(
                    &format!("{location}: rows in its manifest"),
                    file.n_record.unwrap_or(0),
                    "in its footer",
                    rows,
                );
                sum += rows;
            }
            Err(error) if let Some(source) = store_failure(error.as_ref()) => {
                return Err(store_error("read", &location, source));
            }
            Err(error) => differences.0.push(format!("{location} is gone, changed or unreadable: {error}")),
        }
    }
    Ok(sum)
}

async fn footer_rows(
    opened: &OpenStores,
    file: &FileEntry,
    check: ContentCheck,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let location = Location::from_uri(&file.uri)?;
    check_file(file, check).await?;
    let footer = read_footer(opened.of(&location)?, &location, file, PageIndexPolicy::Skip).await?;
    Ok(u64::try_from(footer.file_metadata().num_rows())?)
}

/// Why the store gave no answer; `None` if it did, and the file is not what it should be.
fn store_failure(error: &(dyn std::error::Error + 'static)) -> Option<object_store::Error> {
    use object_store::Error::{Generic, NotFound, PermissionDenied, Precondition, Unauthenticated};
    let found = error.downcast_ref::<object_store::Error>();
    match found {
        None => error.source().and_then(store_failure),
        Some(NotFound { .. } | Precondition { .. }) => None,
        Some(PermissionDenied { path, source }) => {
            Some(PermissionDenied { path: path.clone(), source: source.to_string().into() })
        }
        Some(Unauthenticated { path, source }) => {
            Some(Unauthenticated { path: path.clone(), source: source.to_string().into() })
        }
        Some(other) => Some(Generic { store: "store", source: other.to_string().into() }),
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::config::S3Settings;
    use crate::layout::FilePartition;
    use crate::layout::{SnapshotFolder, TableLayout};
    use crate::pipeline::in_memory::{Job, TABLE};
    use crate::session::Stores;

    fn file(partition: &str, rows: u64) -> FileEntry {
        let (uri, etag) = (format!("s3://b/{partition}").into(), "e".into());
        FileEntry { uri, etag, size: 1, n_record: Some(rows), partition: FilePartition::one(partition) }
    }

    #[test]
    fn partition_with_other_rows_than_were_staged_is_reported_though_all_rows_are_there() {
        let mut partitions = PartitionRows::default();
        partitions.stage(&[file("k=1*5,k=2*3", 8), file("k=2", 2), file("k=3", 7)]);
        partitions.publish(&[file("k=1", 5), file("k=2", 5), file("k=3", 7)]);
        assert_eq!(partitions.difference(), None);
        partitions.publish(&[file("k=4", 1)]);
        assert_eq!(
            partitions.difference().unwrap(),
            "partition k=4 has other rows than were staged: 0 staged, 1 published"
        );
        partitions.stage(&[file("k=2", 1)]);
        assert_eq!(
            partitions.difference().unwrap(),
            "partition k=2 has other rows than were staged: 6 staged, 5 published; and 1 more"
        );
    }

    /// The proof of the one table of a job.
    async fn proof(job: &Job, deep: bool) -> Result<Validation> {
        let ledger = job.ledger().await;
        validate(Proof { engine: job.pipeline.engine(), lake: job.lake(), ledger: &ledger, deep }).await
    }

    /// What differs; the lake is not marked as complete then.
    async fn differences(job: &Job, deep: bool) -> String {
        let error = proof(job, deep).await.unwrap_err();
        let Error::Validation { reason, .. } = error else { panic!("{error:?}") };
        assert_eq!(job.keys("_SUCCESS").await, [] as [&str; 0], "{reason}");
        reason
    }

    /// Replaces what a committed task says.
    async fn edit<D: Serialize + DeserializeOwned + Send + 'static>(
        job: &Job,
        step: Step,
        number: usize,
        edit: impl Fn(&mut Manifest<D>),
    ) {
        let ledger = job.ledger().await;
        let target = ledger.layout().manifest(step, number);
        let mut manifest = ledger.read::<D>(&target).await.unwrap().unwrap();
        edit(&mut manifest);
        ledger.write(&target, &manifest).await.unwrap();
    }

    #[tokio::test]
    async fn published_table_is_proven_hop_by_hop_and_marked() {
        let job = Job::published().await;
        job.delete(&job.keys("_SUCCESS").await[0]).await;
        for deep in [false, true] {
            let found = proof(&job, deep).await.unwrap();
            assert!(found.valid && found.checksums && found.read_all && found.differences.is_empty());
            assert_eq!((found.snapshot.files, found.rows_read, found.rows_selected), (2, 3, 3));
            assert_eq!((found.rows_filtered, found.staging.rows, found.lake.rows), (Some(0), Some(3), Some(3)));
            assert_eq!((found.footer_rows, found.partitions, found.deep), (3, 2, deep));
            assert_eq!(job.keys("_SUCCESS").await.len(), 1);
        }
    }

    #[tokio::test]
    async fn lake_file_that_is_gone_or_was_replaced_is_named_and_the_mark_goes() {
        let job = Job::published().await;
        let files = job.lake_files().await;
        let bytes = job.store.get(&files[0].as_str().into()).await.unwrap().bytes().await.unwrap();
        job.put(&files[0], bytes).await;
        let message = differences(&job, false).await;
        assert!(message.contains(&format!("{} is gone, changed or unreadable", files[0])), "{message}");
        assert!(!message.contains(&files[1]), "{message}");
        job.delete(&files[1]).await;
        let message = differences(&job, false).await;
        assert!(message.contains(&format!("{} is gone, changed or unreadable", files[1])), "{message}");
    }

    #[tokio::test]
    async fn file_more_in_the_folder_is_a_difference_and_a_folder_of_others_is_not_judged() {
        let job = Job::published().await;
        let files = job.lake_files().await;
        let more = files[0].replace("-0000.parquet", "-0009.parquet");
        job.put(&more, "x").await;
        let message = differences(&job, false).await;
        assert!(message.contains("1 file in the lake is in no manifest") && message.contains("-0009"), "{message}");
        for key in &files {
            job.delete(key).await;
        }
        let mark = files[0].split("/k=").next().unwrap().to_owned() + "/_SUCCESS";
        job.put(&mark, "").await;
        assert!(matches!(proof(&job, false).await, Err(Error::ForeignFiles { count: 1, .. })));
        assert_eq!(job.keys("_SUCCESS").await, [mark]);
    }

    #[tokio::test]
    async fn rows_that_a_task_counted_and_nobody_finds_are_reported_with_both_numbers() {
        let job = Job::published().await;
        edit::<StageDetails>(&job, Step::StagingFileGroups, 1, |of| of.details.task.rows_written += 1).await;
        let message = differences(&job, false).await;
        assert_eq!(message, "rows given by the SELECT: 4, rows of staging files: 3");
        let job = Job::published().await;
        edit::<TaskDetails>(&job, Step::DatalakeFileGroups, 1, |of| of.files[0].n_record = Some(7)).await;
        let message = differences(&job, false).await;
        assert!(message.contains("rows of partition groups: 3, rows of lake files: 8"), "{message}");
        assert!(message.contains("rows in its manifest: 7, in its footer: 2"), "{message}");
    }

    #[tokio::test]
    async fn rows_in_another_partition_than_they_were_staged_for_are_reported() {
        let job = Job::published().await;
        edit::<TaskDetails>(&job, Step::DatalakeFileGroups, 1, |of| of.files[0].partition = FilePartition::one("k=z"))
            .await;
        let message = differences(&job, false).await;
        assert_eq!(message, "partition k=a has other rows than were staged: 2 staged, 0 published; and 1 more");
    }

    #[tokio::test]
    async fn values_that_are_not_those_of_the_select_are_reported_by_column_and_deeply_by_partition() {
        let job = Job::published().await;
        let sums = |text: &str| serde_json::from_str::<ColumnSums>(text).unwrap();
        let text = std::sync::Mutex::new(String::new());
        edit::<TaskDetails>(&job, Step::DatalakeFileGroups, 1, |of| {
            let mut value = serde_json::to_value(of.details.checksums.as_ref().unwrap()).unwrap();
            value["v"] = value["id"].clone();
            *text.lock().unwrap() = value.to_string();
            of.details.checksums = Some(sums(&value.to_string()));
        })
        .await;
        assert!(text.into_inner().unwrap().contains("\"v\""));
        assert_eq!(differences(&job, false).await, "column 'v': its values are not those that the SELECT gave");
        let message = differences(&job, true).await;
        assert!(message.contains("partition k=a: values of column 'v' were changed in s3://b/lake/"), "{message}");
        assert_eq!(message.matches("were changed").count(), 1, "{message}");
    }

    #[tokio::test]
    async fn table_without_checksums_is_proven_by_its_rows_and_not_deeply() {
        let job = Job::new(&TABLE.replace("'checksum'", "'count'"));
        job.put("export/1.csv", "id,k,v\n1,a,x\n2,b,y\n").await;
        job.pipeline.run().await.unwrap();
        assert!(!proof(&job, false).await.unwrap().checksums);
        assert!(matches!(proof(&job, true).await, Err(Error::NoChecksums { tasks: 3, .. })));
    }

    #[tokio::test]
    async fn what_is_not_complete_or_of_another_plan_is_no_difference_and_the_mark_stays() {
        let job = Job::published().await;
        let ledger = job.ledger().await;
        edit::<TaskDetails>(&job, Step::DatalakeFileGroups, 1, |of| of.details.plan = "old".to_owned()).await;
        let error = proof(&job, false).await.unwrap_err();
        assert!(!matches!(error, Error::Validation { .. }) && error.to_string().contains("-1.json"), "{error:?}");
        ledger.revoke(&ledger.layout().manifest(Step::DatalakeFileGroups, 1)).await.unwrap();
        assert!(matches!(proof(&job, false).await, Err(Error::NotPublished { done: 1, total: 2, .. })));
        ledger.revoke(&ledger.layout().manifest(Step::StagingFileGroups, 2)).await.unwrap();
        assert!(matches!(proof(&job, false).await, Err(Error::NotStaged { missing: 1, total: 2, .. })));
        ledger.revoke(&ledger.layout().snapshot_manifest()).await.unwrap();
        assert!(matches!(proof(&job, false).await, Err(Error::NotPlanned { .. })));
        assert_eq!(job.keys("_SUCCESS").await.len(), 1);
    }

    #[tokio::test]
    async fn local_content_is_read_if_it_changed_after_the_proof_or_if_there_was_none_that_held() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Location::parse(&format!("{}/{name}", folder.path().display()), folder.path()).unwrap();
        let (table, time) = (("d", "public", "t"), "2026-01-31T00:00:00Z");
        let layout = TableLayout::new(&at("st"), &at("lake"), table, (&SnapshotFolder::default(), time), None);
        let stores = Stores::new(S3Settings::default());
        let ledger = Ledger::new(stores.open(layout.root()).await.unwrap(), layout.clone());
        let lake = HiveLake::open(&stores, &layout).await.unwrap();
        let check = async || content_check(&ledger, &lake).await.unwrap();
        assert!(matches!(check().await, ContentCheck::Never), "a run has just written it");
        let mut found = proof(&Job::published().await, false).await.unwrap();
        for valid in [true, false] {
            found.valid = valid;
            let text = serde_json::to_vec(&found).unwrap();
            ledger.write_file(&layout.validation(), text.into()).await.unwrap();
            assert_eq!(matches!(check().await, ContentCheck::Always), !valid);
        }
        lake.complete().await.unwrap();
        let proven = lake.completed_at().await.unwrap().unwrap();
        assert!(matches!(check().await, ContentCheck::IfChangedAfter(time) if time == proven));
    }

    #[test]
    fn rows_of_a_hop_are_unknown_once_those_of_a_file_are() {
        let known = [file("k=1", 5), file("k=2", 3)];
        assert_eq!(Hop::of(&known), Hop { files: 2, rows: Some(8), bytes: 2 });
        let unknown = FileEntry { n_record: None, ..file("k=3", 0) };
        let mut hop = Hop::of([&known[0], &unknown]);
        hop.add(&known);
        assert_eq!(hop, Hop { files: 4, rows: None, bytes: 4 });
        assert_eq!(Hop::of([]), Hop { files: 0, rows: Some(0), bytes: 0 });
    }

    #[test]
    fn file_that_is_gone_or_replaced_says_something_of_the_lake_and_a_store_that_fails_does_not() {
        use object_store::Error::{Generic, NotFound, PermissionDenied, Precondition};
        let message = |error: object_store::Error| store_failure(&error).map(|error| error.to_string());
        let (path, source) = (|| "p".to_owned(), || "no answer".into());
        assert_eq!(message(NotFound { path: path(), source: source() }), None);
        assert_eq!(message(Precondition { path: path(), source: source() }), None);
        assert!(message(PermissionDenied { path: path(), source: source() }).is_some());
        let generic = || Generic { store: "S3", source: source() };
        assert!(message(generic()).unwrap().contains("no answer"));
        // Wherever it is in the chain of causes.
        let nested = datafusion::parquet::errors::ParquetError::External(Box::new(generic()));
        assert!(store_failure(&nested).is_some());
        assert!(store_failure(&std::io::Error::other("no footer")).is_none());
    }
}
