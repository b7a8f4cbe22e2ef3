//! Reading and committing manifests: what is done is what summaries exist, nothing else.
//!
//! How a commit is made is in `commit`, the requests for single files are in `store`. The ledger keeps no state.

mod commit;
mod places;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::DateTime;
use futures::{Stream, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OnceCell};

pub use self::commit::Commit;
pub(crate) use self::places::TaskPlan;
pub(crate) use self::store::delete_all;
use super::codec::{self, Manifest, SummaryHead};
use super::moved::Roots;
use crate::concurrency::{spread, turn};
use crate::error::{Error, Result};
use crate::layout::{
    Location, ManifestFiles, Step, TableLayout, failed_number, is_running, manifest_number, store_error,
};

/// Manifests read or written at once in a store that is far away.
const AT_ONCE: usize = 64;

/// On a local disk more threads only wait for one another at the folder.
const AT_ONCE_LOCAL: usize = 8;

/// How much of a manifest is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Its list of files.
    Files,
    /// And what it says of the columns of each file.
    Statistics,
}

/// What one listing of a step's summaries shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummaryListing {
    /// Numbers of committed summaries: what is done.
    pub done: BTreeSet<usize>,
    /// Numbers of tasks that failed and are not done since.
    pub failed: BTreeSet<usize>,
    /// What processes tell of the tasks that they are running.
    pub running: Vec<Location>,
}

/// The manifests of one table of one snapshot.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Arc<dyn ObjectStore>,
    layout: Arc<TableLayout>,
    single_writer: bool,
    /// The store of the lake.
    lake_store: Option<Arc<dyn ObjectStore>>,
    /// Whether the lake is where the config says although its manifests name another place, once that was asked.
    lake_moved: Arc<OnceCell<bool>>,
    /// What the plan's summary looked like when it was last read, and the plan's id.
    plan_seen: Arc<Mutex<Option<(String, String)>>>,
}

impl Ledger {
    /// `store` is the one of the staging location.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, layout: TableLayout) -> Self {
        Self {
            store,
            layout: Arc::new(layout),
            single_writer: false,
            lake_store: None,
            lake_moved: Arc::default(),
            plan_seen: Arc::default(),
        }
    }

    /// Can tell whether the lake was moved: `store` is the one of its location.
    #[must_use]
    pub fn with_lake_store(self, store: Arc<dyn ObjectStore>) -> Self {
        Self { lake_store: Some(store), ..self }
    }

    /// Does without the store's "create if absent": the user sees to it that there is one writer.
    #[must_use]
    pub fn with_single_writer(self, single_writer: bool) -> Self {
        Self { single_writer, ..self }
    }

    /// Paths of this table.
    #[must_use]
    pub fn layout(&self) -> &TableLayout {
        &self.layout
    }

    /// The same table's manifests of another snapshot.
    #[must_use]
    pub fn beside(&self, layout: TableLayout) -> Self {
        Self { layout: Arc::new(layout), lake_moved: Arc::default(), plan_seen: Arc::default(), ..self.clone() }
    }

    /// Times of all snapshots of this table in the staging location, in order: one LIST.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn snapshot_times(&self) -> Result<Vec<String>> {
        let folder = self.layout.snapshots();
        let _turn = turn().await;
        let listed = self.store.list_with_delimiter(Some(&folder.key()?)).await;
        let prefixes = match listed {
            Ok(listed) => listed.common_prefixes,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(source) => return Err(store_error("list", folder, source)),
        };
        let times = prefixes.iter().filter_map(|prefix| self.layout.time_of(prefix.filename()?));
        let mut times: Vec<String> = times.collect();
        // As times, not as texts: a fraction of a second stands before the Z.
        times.sort_by_cached_key(|time| DateTime::parse_from_rfc3339(time).ok());
        Ok(times)
    }

    /// The numbers of the summaries that a step has committed: one LIST of its manifest folder.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn done(&self, step: Step) -> Result<BTreeSet<usize>> {
        self.look(step).await.map(|seen| seen.done)
    }

    /// The committed tasks of a step and the records of its other tasks, from one LIST of its manifest folder.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn look(&self, step: Step) -> Result<SummaryListing> {
        let folder = self.layout.summaries(step);
        let failed = |source| store_error("list", &folder, source);
        let mut seen = SummaryListing::default();
        let _turn = turn().await;
        let mut listing = self.store.list(Some(&folder.key()?));
        while let Some(meta) = listing.try_next().await.map_err(failed)? {
            let name = meta.location.filename().unwrap_or_default();
            if let Some(number) = manifest_number(name) {
                seen.done.insert(number);
            } else if let Some(number) = failed_number(name) {
                seen.failed.insert(number);
            } else if is_running(name) {
                seen.running.push(folder.with_key(meta.location.as_ref()));
            }
        }
        seen.failed.retain(|number| !seen.done.contains(number));
        Ok(seen)
    }

    /// The summaries that a step has committed, by number: a text each that changes when one is written anew.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn summaries(&self, step: Step) -> Result<BTreeMap<usize, String>> {
        let folder = self.layout.summaries(step);
        let failed = |source| store_error("list", &folder, source);
        let stamp = |meta: ObjectMeta| {
            let number = meta.location.filename().and_then(manifest_number)?;
            Some((number, stamp(&meta)))
        };
        let _turn = turn().await;
        let listing = self.store.list(Some(&folder.key()?));
        listing.try_filter_map(|meta| async move { Ok(stamp(meta)) }).try_collect().await.map_err(failed)
    }

    /// Head and details of a committed manifest, without its file list; `None` if it is not committed.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Damaged`]; [`Error::Manifest`] for one of another version, or not of ours.
    pub async fn head<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
    ) -> Result<Option<(SummaryHead, D)>> {
        let Some(bytes) = self.get(&files.summary).await? else { return Ok(None) };
        Manifest::decode_summary(&bytes, &files.summary.uri()).map(Some).map_err(damaged)
    }

    /// A committed manifest; `None` if it is not committed.
    ///
    /// # Errors
    /// As [`Ledger::head`], and [`Error::Damaged`] when summary and data do not belong together.
    pub async fn read<D: Serialize + DeserializeOwned>(&self, files: &ManifestFiles) -> Result<Option<Manifest<D>>> {
        self.read_extent(files, Extent::Files).await
    }

    async fn read_extent<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        extent: Extent,
    ) -> Result<Option<Manifest<D>>> {
        let Some((head, details)) = self.head(files).await? else { return Ok(None) };
        let uri = files.data.uri();
        let broken = |reason: String| Error::Damaged { uri: uri.clone(), reason };
        let bytes = self.get(&files.data).await?;
        let bytes = bytes.ok_or_else(|| broken("its summary exists but the file does not".to_owned()))?;
        codec::check_data(&head, &bytes, &uri)?;
        let (list, statistics) = match extent {
            Extent::Files => (codec::decode_files(bytes, &uri).map_err(damaged)?, Vec::new()),
            Extent::Statistics => codec::decode_with_statistics(bytes, &uri).map_err(damaged)?,
        };
        // The fingerprint does not cover it.
        if let Some(file) = list.iter().find(|file| !file.has_sound_parts()) {
            return Err(broken(format!("the rows of the partitions of {} are not those of the file", file.uri)));
        }
        let mut manifest = Manifest { files: list, statistics, details };
        if manifest.fingerprint() != head.fingerprint {
            return Err(broken("its files do not have the fingerprint of its summary".to_owned()));
        }
        // The fingerprint covers neither.
        if (manifest.size(), manifest.n_record()) != (head.size, head.n_record) {
            let shown = |rows: Option<u64>| rows.map_or_else(|| "unknown".to_owned(), |rows| rows.to_string());
            return Err(broken(format!(
                "its summary says {} bytes and {} rows, its files have {} bytes and {} rows",
                head.size,
                shown(head.n_record),
                manifest.size(),
                shown(manifest.n_record())
            )));
        }
        if let Some(roots) = &head.roots {
            roots.moved_to(&self.roots_now(roots).await?, &mut manifest.files);
        }
        Ok(Some(manifest))
    }

    /// Where the files of this table lie.
    fn roots(&self) -> Roots {
        Roots::of(&self.layout)
    }

    fn at_once(&self) -> usize {
        if self.is_local() { AT_ONCE_LOCAL } else { AT_ONCE }
    }

    fn is_local(&self) -> bool {
        self.layout.root().store() == "file://"
    }

    /// Manifests of a step with their numbers, in the order of `numbers`; `None` where one is not committed.
    ///
    /// # Errors
    /// Those of [`Ledger::read`], from the stream.
    pub fn read_all<D: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: Step,
        numbers: impl IntoIterator<Item = usize>,
    ) -> impl Stream<Item = Result<(usize, Option<Manifest<D>>)>> {
        self.read_all_extent(step, numbers, Extent::Files)
    }

    /// Manifests as [`Ledger::read_all`] gives them, with as much of them as is asked for.
    ///
    /// # Errors
    /// Those of [`Ledger::read`], from the stream.
    pub fn read_all_extent<D: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: Step,
        numbers: impl IntoIterator<Item = usize>,
        extent: Extent,
    ) -> impl Stream<Item = Result<(usize, Option<Manifest<D>>)>> {
        let reads = numbers.into_iter().map(move |number| {
            let ledger = self.clone();
            async move { Ok((number, ledger.read_extent::<D>(&ledger.layout.manifest(step, number), extent).await?)) }
        });
        spread(reads, self.at_once())
    }

    /// Heads and details of a step's manifests, without their file lists; those that are not committed are left out.
    ///
    /// # Errors
    /// Those of [`Ledger::head`], from the stream.
    pub fn heads<D: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: Step,
        numbers: impl IntoIterator<Item = usize>,
    ) -> impl Stream<Item = Result<(usize, SummaryHead, D)>> {
        let reads = numbers.into_iter().map(move |number| {
            let ledger = self.clone();
            async move { Ok((number, ledger.head::<D>(&ledger.layout.manifest(step, number)).await?)) }
        });
        let found =
            |(number, head): (usize, Option<(SummaryHead, D)>)| head.map(|(head, details)| (number, head, details));
        spread(reads, self.at_once()).try_filter_map(move |read| std::future::ready(Ok(found(read))))
    }
}

/// What changes when a small file is written anew.
fn stamp(meta: &ObjectMeta) -> String {
    meta.e_tag.clone().unwrap_or_else(|| format!("{} {}", meta.last_modified, meta.size))
}

/// What cannot be decoded of a manifest of ours.
fn damaged(error: Error) -> Error {
    match error {
        Error::DecodeManifest { uri, source } => Error::Damaged { uri, reason: source.to_string() },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use object_store::memory::InMemory;
    use serde::Deserialize;

    use super::super::FileEntry;
    use super::*;
    use crate::layout::FilePartition;
    use crate::layout::SnapshotFolder;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Note {
        seconds: f64,
    }

    fn ledger() -> Ledger {
        let at = Location::parse("s3://b/st", Path::new("/")).unwrap();
        let layout = TableLayout::new(
            &at,
            &at,
            ("d", "public", "t"),
            (&SnapshotFolder::default(), "2013-01-01T00:00:00Z"),
            None,
        );
        Ledger::new(Arc::new(InMemory::new()), layout)
    }

    fn manifest(etag: &str, seconds: f64) -> Manifest<Note> {
        let file = FileEntry {
            uri: "s3://b/f".into(),
            etag: etag.into(),
            size: 1,
            n_record: Some(1),
            partition: FilePartition::one(""),
        };
        Manifest::new(vec![file], Note { seconds })
    }

    #[tokio::test]
    async fn second_commit_of_the_same_files_is_already_done_and_keeps_the_first() {
        let ledger = ledger();
        let files = ledger.layout().manifest(Step::StagingFileGroups, 2);
        assert!(ledger.read::<Note>(&files).await.unwrap().is_none());
        assert_eq!(ledger.commit(&files, &manifest("1", 1.0)).await.unwrap(), Commit::New);
        assert_eq!(ledger.commit(&files, &manifest("1", 9.0)).await.unwrap(), Commit::Already);
        assert_eq!(ledger.read::<Note>(&files).await.unwrap().unwrap(), manifest("1", 1.0));
        assert_eq!(ledger.done(Step::StagingFileGroups).await.unwrap(), BTreeSet::from([2]));
        assert!(ledger.done(Step::DatalakeFileGroups).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn commit_of_other_files_is_a_conflict_that_names_both_fingerprints() {
        let ledger = ledger();
        let files = ledger.layout().manifest(Step::StagingFileGroups, 1);
        ledger.commit(&files, &manifest("1", 1.0)).await.unwrap();
        let error = ledger.commit(&files, &manifest("2", 1.0)).await.unwrap_err().to_string();
        assert!(
            error.contains(&manifest("1", 1.0).fingerprint()) && error.contains("manifest-summary-1.json"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn data_without_summary_is_not_committed() {
        let ledger = ledger();
        let files = ledger.layout().manifest(Step::StagingFileGroups, 1);
        ledger.write_file(&files.data, Bytes::from_static(b"x")).await.unwrap();
        assert!(ledger.read::<Note>(&files).await.unwrap().is_none());
        assert!(ledger.done(Step::StagingFileGroups).await.unwrap().is_empty());
    }
}
