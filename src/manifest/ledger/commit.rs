//! Writing manifests: data first, then the summary, which is the commit.
//!
//! ```text
//! commit:  data files -> manifest data -> manifest summary (create if absent)
//!                                                      |-- created: committed
//!                                                      |-- exists, same fingerprint: somebody else did the same
//!                                                      '-- exists, other fingerprint: CommitConflict
//! ```
//!
//! A crash between the steps leaves files that no summary lists: garbage, never data.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::PutMode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Ledger;
use super::store::{already_exists, delete_all, no_conditional_put};
use crate::concurrency::{apart, spread};
use crate::error::{Error, Result};
use crate::layout::{ManifestFiles, Step};
use crate::manifest::codec::{self, Manifest};

/// Manifests that are written into a local folder one after another by one thread.
const LOCAL_CHUNK: usize = 256;

/// Threads that do so at once: more would wait for each other's folder.
const LOCAL_CHUNKS_AT_ONCE: usize = 2;

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

impl Ledger {
    /// Writes manifests of a step that another one commits, as [`Ledger::write`] does.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn write_all<D: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
        step: Step,
        manifests: impl IntoIterator<Item = (usize, Manifest<D>)>,
    ) -> Result<()> {
        self.write_each(step, manifests, None).await
    }

    /// Writes manifests of a plan where there are none, and over those of other plans while it is the current plan.
    ///
    /// # Errors
    /// [`Error::PlanReplaced`]; those of [`Ledger::commit`].
    pub(crate) async fn write_of_plan<D: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
        step: Step,
        manifests: impl IntoIterator<Item = (usize, Manifest<D>)>,
        table: &str,
        plan: &str,
    ) -> Result<()> {
        self.write_each(step, manifests, Some((table.into(), plan.into()))).await
    }

    async fn write_each<D: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
        step: Step,
        manifests: impl IntoIterator<Item = (usize, Manifest<D>)>,
        of: Option<(Arc<str>, Arc<str>)>,
    ) -> Result<()> {
        let mut manifests = manifests.into_iter();
        if !self.is_local() {
            let writes = manifests.map(|(number, manifest)| {
                let (ledger, of) = (self.clone(), of.clone());
                async move { ledger.write_one(&ledger.layout.manifest(step, number), &manifest, of.as_ref()).await }
            });
            return spread(writes, self.at_once()).try_collect().await;
        }
        let chunks = std::iter::from_fn(|| {
            let chunk: Vec<_> = manifests.by_ref().take(LOCAL_CHUNK).collect();
            (!chunk.is_empty()).then_some(chunk)
        });
        let writes = chunks.map(|chunk| {
            let (ledger, of) = (self.clone(), of.clone());
            apart(move || {
                block_on(async {
                    for (number, manifest) in chunk {
                        let files = ledger.layout.manifest(step, number);
                        ledger.write_one(&files, &manifest, of.as_ref()).await?;
                    }
                    Ok(())
                })
            })
        });
        spread(writes, LOCAL_CHUNKS_AT_ONCE).try_collect().await
    }

    async fn write_one<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
        of: Option<&(Arc<str>, Arc<str>)>,
    ) -> Result<()> {
        let Some((table, plan)) = of else { return self.write(files, manifest).await };
        match self.commit(files, manifest).await {
            Ok(Commit::New) => return Ok(()),
            Ok(Commit::Already) | Err(Error::CommitConflict { .. } | Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        if self.is_of_plan(files, plan).await? {
            return Ok(());
        }
        self.check_plan(table, plan).await?;
        self.write(files, manifest).await
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
        self.commit_as(files, manifest, &manifest.fingerprint()).await
    }

    /// `ours` is the manifest's fingerprint, which takes a while over a million files.
    async fn commit_as<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
        ours: &str,
    ) -> Result<Commit> {
        // A store's client does not repeat a conditional write whose answer was lost. Here the answer can be found out.
        for _ in 1..COMMIT_ATTEMPTS {
            match self.try_commit(files, manifest, ours).await {
                Err(Error::Store { source: object_store::Error::Generic { source, .. }, uri, .. }) => {
                    tracing::warn!(uri, source, "a commit failed; trying again");
                }
                other => return other,
            }
        }
        self.try_commit(files, manifest, ours).await
    }

    async fn try_commit<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
        ours: &str,
    ) -> Result<Commit> {
        let (data, summary) = self.encode(files, manifest, ours)?;
        match self.put(&files.data, data.clone(), PutMode::Create).await {
            Err(error) if already_exists(&error) => {
                // Either a task that was committed before, whose data must stay, or what a crash left behind.
                if let Some(commit) = self.compare::<D>(files, ours).await? {
                    return Ok(commit);
                }
                self.put(&files.data, data, PutMode::Overwrite).await?;
            }
            other => other?,
        }
        match self.put(&files.summary, summary, PutMode::Create).await {
            Err(error) if already_exists(&error) => {
                let gone =
                    || Error::Manifest { uri: files.summary.uri(), reason: "it was there and is gone".to_owned() };
                self.compare::<D>(files, ours).await?.ok_or_else(gone)
            }
            other => other.map(|()| Commit::New),
        }
    }

    /// Commits as [`Ledger::commit`] does, and then tries to create the summary once more, which a store must refuse:
    /// one that overwrites instead would let two runs commit the same task. To be called for a table's first manifest.
    ///
    /// # Errors
    /// [`Error::NoConditionalPut`], after which the manifest is not committed; those of [`Ledger::commit`].
    pub async fn commit_first<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
    ) -> Result<Commit> {
        let ours = manifest.fingerprint();
        let commit = self.commit_as(files, manifest, &ours).await?;
        if commit == Commit::Already || self.single_writer {
            return Ok(commit);
        }
        let (_, summary) = self.encode(files, manifest, &ours)?;
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
            // Who reaches the same folders by another path names the same files otherwise.
            Some((head, _))
                if head.roots.as_ref().is_some_and(|roots| *roots != self.roots())
                    && self.read::<D>(files).await?.is_some_and(|theirs| theirs.fingerprint() == ours) =>
            {
                Ok(Some(Commit::Already))
            }
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
        let (data, summary) = self.encode(files, manifest, &manifest.fingerprint())?;
        self.put(&files.data, data, PutMode::Overwrite).await?;
        self.put(&files.summary, summary, PutMode::Overwrite).await
    }

    /// Both files of a manifest.
    fn encode<D: Serialize + DeserializeOwned>(
        &self,
        files: &ManifestFiles,
        manifest: &Manifest<D>,
        fingerprint: &str,
    ) -> Result<(Bytes, Bytes)> {
        let uri = files.data.uri();
        let data = codec::encode_with_statistics(&manifest.files, &manifest.statistics, &uri)?;
        let summary = manifest.encode_summary(&uri, &data, fingerprint, &self.roots())?;
        Ok((data, summary))
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
}
