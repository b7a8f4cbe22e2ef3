//! Reading and committing manifests: what is done is what summaries exist, nothing else.
//!
//! ```text
//! commit:  data files -> manifest data -> manifest summary (create if absent)
//!                                                      |-- created: committed
//!                                                      |-- exists, same fingerprint: somebody else did the same
//!                                                      '-- exists, other fingerprint: CommitConflict
//! ```
//!
//! A crash between the steps leaves files that no summary lists: garbage, never data. The ledger keeps no state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::FileEntry;
use super::codec::{self, Manifest, SummaryHead};
use crate::error::{Error, Result};
use crate::layout::{Location, ManifestFiles, Step, TableLayout, failed_number, is_running, manifest_number};
use crate::partition;
use crate::spread::spread;

/// Manifests read or written at once in a store that is far away.
const AT_ONCE: usize = 64;

/// On a local disk more threads only wait for one another at the folder.
const AT_ONCE_LOCAL: usize = 8;

/// How often a commit is tried whose requests fail for no reason of ours.
const COMMIT_ATTEMPTS: usize = 3;

/// Who wrote a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// This call.
    New,
    /// Somebody else, with the same content.
    Already,
}

/// What one listing of a step's summaries shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
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
}

impl Ledger {
    /// `store` is the one of the staging location.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, layout: TableLayout) -> Self {
        Self { store, layout: Arc::new(layout), single_writer: false }
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
        Self { layout: Arc::new(layout), ..self.clone() }
    }

    /// Times of all snapshots of this table in the staging location, in order: one LIST.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn snapshot_times(&self) -> Result<Vec<String>> {
        let folder = self.layout.snapshots();
        let listed = self.store.list_with_delimiter(Some(&folder.key()?)).await;
        let prefixes = match listed {
            Ok(listed) => listed.common_prefixes,
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            Err(source) => return Err(store_error("list", folder, source)),
        };
        let time = |prefix: &Key| partition::parse_path(prefix.filename()?)?.pop()?;
        let mut times: Vec<String> = prefixes.iter().filter_map(time).collect();
        times.sort_unstable();
        Ok(times)
    }

    /// The numbers of the summaries that a step has committed: one LIST of its manifest folder.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn done(&self, step: Step) -> Result<BTreeSet<usize>> {
        self.look(step).await.map(|seen| seen.done)
    }

    /// What a step has committed, and what tells of its other tasks: one LIST of its manifest folder.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn look(&self, step: Step) -> Result<Seen> {
        let folder = self.layout.summaries(step);
        let failed = |source| store_error("list", &folder, source);
        let mut seen = Seen::default();
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
            Some((number, meta.e_tag.unwrap_or_else(|| format!("{} {}", meta.last_modified, meta.size))))
        };
        let listing = self.store.list(Some(&folder.key()?));
        listing.try_filter_map(|meta| async move { Ok(stamp(meta)) }).try_collect().await.map_err(failed)
    }

    /// Head and details of a committed manifest, without its file list; `None` if it is not committed.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DecodeManifest`], [`Error::Manifest`].
    pub async fn head<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
    ) -> Result<Option<(SummaryHead, D)>> {
        let Some(bytes) = self.get(&files.summary).await? else { return Ok(None) };
        Manifest::decode_summary(&bytes, &files.summary.uri()).map(Some)
    }

    /// A committed manifest; `None` if it is not committed.
    ///
    /// # Errors
    /// As [`Ledger::head`], and [`Error::Manifest`] when summary and data do not belong together.
    pub async fn read<D: Serialize + DeserializeOwned>(&self, files: &ManifestFiles) -> Result<Option<Manifest<D>>> {
        self.read_with(files, |bytes, uri| Ok((codec::decode_files(bytes, uri)?, Vec::new()))).await
    }

    /// A committed manifest with what it says of the columns of its files.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub async fn read_with_statistics<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
    ) -> Result<Option<Manifest<D>>> {
        self.read_with(files, codec::decode_with_statistics).await
    }

    async fn read_with<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        decode: impl Fn(Bytes, &str) -> Result<(Vec<FileEntry>, Vec<String>)>,
    ) -> Result<Option<Manifest<D>>> {
        let Some((head, details)) = self.head(files).await? else { return Ok(None) };
        let uri = files.data.uri();
        let bytes = self.get(&files.data).await?.ok_or_else(|| Error::Manifest {
            uri: uri.clone(),
            reason: "its summary exists but the file does not".to_owned(),
        })?;
        let (list, statistics) = decode(bytes, &uri)?;
        let manifest = Manifest { files: list, statistics, details };
        if manifest.fingerprint() != head.fingerprint {
            return Err(Error::Manifest {
                uri,
                reason: "its files do not have the fingerprint of its summary".to_owned(),
            });
        }
        Ok(Some(manifest))
    }

    fn at_once(&self) -> usize {
        if self.layout.root().store() == "file://" { AT_ONCE_LOCAL } else { AT_ONCE }
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
        let reads = numbers.into_iter().map(move |number| {
            let ledger = self.clone();
            async move { Ok((number, ledger.read::<D>(&ledger.layout.manifest(step, number)).await?)) }
        });
        spread(reads, self.at_once())
    }

    /// Manifests as [`Ledger::read_all`] gives them, with what they say of the columns of their files.
    ///
    /// # Errors
    /// Those of [`Ledger::read`], from the stream.
    pub fn read_all_with_statistics<D: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: Step,
        numbers: impl IntoIterator<Item = usize>,
    ) -> impl Stream<Item = Result<(usize, Option<Manifest<D>>)>> {
        let reads = numbers.into_iter().map(move |number| {
            let ledger = self.clone();
            async move {
                let files = ledger.layout.manifest(step, number);
                Ok((number, ledger.read_with_statistics::<D>(&files).await?))
            }
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

    /// Writes manifests of a step that another one commits, as [`Ledger::write`] does.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn write_all<D: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
        step: Step,
        manifests: impl IntoIterator<Item = (usize, Manifest<D>)>,
    ) -> Result<()> {
        let writes = manifests.into_iter().map(|(number, manifest)| {
            let ledger = self.clone();
            async move { ledger.write(&ledger.layout.manifest(step, number), &manifest).await }
        });
        spread(writes, self.at_once()).try_collect().await
    }

    /// Writes the data file, then the summary if nobody has: the summary is the commit.
    ///
    /// # Errors
    /// [`Error::CommitConflict`] if another content is committed; [`Error::Store`].
    pub async fn commit<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
    ) -> Result<Commit> {
        // A store's client does not repeat a conditional write whose answer was lost. Here the answer can be found out.
        for _ in 1..COMMIT_ATTEMPTS {
            match self.try_commit(files, manifest).await {
                Err(Error::Store { source: object_store::Error::Generic { source, .. }, uri, .. }) => {
                    tracing::warn!(uri, source, "a commit failed; trying again");
                }
                other => return other,
            }
        }
        self.try_commit(files, manifest).await
    }

    async fn try_commit<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
    ) -> Result<Commit> {
        let ours = manifest.fingerprint();
        let data = codec::encode_with_statistics(&manifest.files, &manifest.statistics, &files.data.uri())?;
        match self.put(&files.data, data.clone(), PutMode::Create).await {
            Err(error) if already_exists(&error) => {
                // Either a task that was committed before, whose data must stay, or what a crash left behind.
                if let Some(commit) = self.compare::<D>(files, &ours).await? {
                    return Ok(commit);
                }
                self.put(&files.data, data, PutMode::Overwrite).await?;
            }
            other => other?,
        }
        let summary = manifest.encode_summary(&files.data.uri(), &ours)?;
        match self.put(&files.summary, summary, PutMode::Create).await {
            Err(error) if already_exists(&error) => {
                let gone =
                    || Error::Manifest { uri: files.summary.uri(), reason: "it was there and is gone".to_owned() };
                self.compare::<D>(files, &ours).await?.ok_or_else(gone)
            }
            other => other.map(|()| Commit::New),
        }
    }

    /// Commits as [`Ledger::commit`] does, and then tries to create the summary once more, which a store must refuse: one
    /// that overwrites instead would let two runs commit the same task. To be called for a table's first manifest.
    ///
    /// # Errors
    /// [`Error::NoConditionalPut`], after which the manifest is not committed; those of [`Ledger::commit`].
    pub async fn commit_first<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
    ) -> Result<Commit> {
        let commit = self.commit(files, manifest).await?;
        if commit == Commit::Already || self.single_writer {
            return Ok(commit);
        }
        let summary = manifest.encode_summary(&files.data.uri(), &manifest.fingerprint())?;
        match self.put(&files.summary, summary, PutMode::Create).await {
            Err(error) if already_exists(&error) => Ok(commit),
            Err(error) => Err(error),
            Ok(()) => {
                self.revoke(files).await?;
                Err(no_conditional_put(&files.summary))
            }
        }
    }

    /// `None` if nothing is committed yet.
    async fn compare<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        ours: &str,
    ) -> Result<Option<Commit>> {
        match self.head::<D>(files).await? {
            None => Ok(None),
            Some((head, _)) if head.fingerprint == ours => Ok(Some(Commit::Already)),
            Some((head, _)) => Err(Error::CommitConflict {
                uri: files.summary.to_string(),
                theirs: head.fingerprint,
                ours: ours.to_owned(),
            }),
        }
    }

    /// Writes a manifest that another one commits: data then summary, both replaced.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn write<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
    ) -> Result<()> {
        let data = codec::encode_with_statistics(&manifest.files, &manifest.statistics, &files.data.uri())?;
        self.put(&files.data, data, PutMode::Overwrite).await?;
        let summary = manifest.encode_summary(&files.data.uri(), &manifest.fingerprint())?;
        self.put(&files.summary, summary, PutMode::Overwrite).await
    }

    /// Makes a committed manifest uncommitted: from now on it is garbage. Its data file stays.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke(&self, files: &ManifestFiles) -> Result<()> {
        self.remove_file(&files.summary).await
    }

    /// Makes all committed manifests of a step uncommitted, the first one before all others. Their data files stay.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke_all(&self, step: Step) -> Result<()> {
        let mut numbers = self.done(step).await?;
        let Some(first) = numbers.pop_first() else { return Ok(()) };
        self.revoke(&self.layout.manifest(step, first)).await?;
        let others = numbers.into_iter().map(|number| self.layout.manifest(step, number).summary.key());
        delete_all(&self.store, &self.layout.summaries(step), others.collect::<Result<_>>()?).await
    }

    /// Replaces a small file beside the manifests.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn write_file(&self, location: &Location, bytes: Bytes) -> Result<()> {
        self.put(location, bytes, PutMode::Overwrite).await
    }

    /// Removes a small file beside the manifests, if it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_file(&self, location: &Location) -> Result<()> {
        match self.store.delete(&location.key()?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(store_error("delete", location, source)),
        }
    }

    /// Whether a manifest is committed: one HEAD.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_committed(&self, files: &ManifestFiles) -> Result<bool> {
        match self.store.head(&files.summary.key()?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(store_error("read", &files.summary, source)),
        }
    }

    /// A small file beside the manifests; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn read_file(&self, location: &Location) -> Result<Option<Bytes>> {
        self.get(location).await
    }

    async fn get(&self, location: &Location) -> Result<Option<Bytes>> {
        let failed = |source| store_error("read", location, source);
        match self.store.get(&location.key()?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    async fn put(&self, location: &Location, bytes: Bytes, mut mode: PutMode) -> Result<()> {
        if self.single_writer && mode == PutMode::Create {
            mode = PutMode::Overwrite;
            match self.store.head(&location.key()?).await {
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(store_error("read", location, source)),
                Ok(found) => {
                    let (path, source) = (found.location.to_string(), "it was there before".into());
                    return Err(store_error("write", location, object_store::Error::AlreadyExists { path, source }));
                }
            }
        }
        let is_create = mode == PutMode::Create;
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(&location.key()?, PutPayload::from(bytes), options).await.map(|_| ()).map_err(|source| {
            match source {
                object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. } if is_create => {
                    no_conditional_put(location)
                }
                source => store_error("write", location, source),
            }
        })
    }
}

fn no_conditional_put(location: &Location) -> Error {
    Error::NoConditionalPut { store: location.store().to_owned() }
}

fn already_exists(error: &Error) -> bool {
    matches!(error, Error::Store { source: object_store::Error::AlreadyExists { .. }, .. })
}

/// Deletes what is there of `keys`, all of which lie below `folder`.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn delete_all(store: &Arc<dyn ObjectStore>, folder: &Location, keys: Vec<Key>) -> Result<()> {
    let mut removals = store.delete_stream(futures::stream::iter(keys).map(Ok).boxed());
    while let Some(removed) = removals.next().await {
        match removed {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(store_error("delete", folder, source)),
        }
    }
    Ok(())
}

/// A store's error with what was tried on what.
pub(crate) fn store_error(action: &'static str, location: &Location, source: object_store::Error) -> Error {
    Error::Store { action, uri: location.to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store::memory::InMemory;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Note {
        seconds: f64,
    }

    fn ledger() -> Ledger {
        let at = Location::parse("s3://b/st", Path::new("/")).unwrap();
        let layout = TableLayout::new(&at, &at, ("d", "public", "t"), "2013-01-01T00:00:00Z", None);
        Ledger::new(Arc::new(InMemory::new()), layout)
    }

    fn manifest(etag: &str, seconds: f64) -> Manifest<Note> {
        let file = FileEntry {
            uri: "s3://b/f".into(),
            etag: etag.into(),
            size: 1,
            n_record: Some(1),
            partition: Some("".into()),
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
