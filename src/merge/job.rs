//! The merges of a config: each is made once per snapshot, before its table is planned.
//!
//! Guarantees: a manifest is there only if every export is whole and all records went somewhere; it is written last and
//! only if there is none, so a process that dies leaves garbage that nobody reads, and a rerun begins anew. A merge
//! that is there is used if it is one of the very exports that the config names; exports that are gone since then are
//! not missed.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use object_store::{PutMode, PutOptions, PutPayload};
use tokio::sync::{mpsc, oneshot};

use super::chain::{ChainLink, ExportChain, PlacedExport, chain};
use super::fault::{refused, unmergeable};
use super::fold::{Folding, KEY_BYTES, of_table};
use super::read::{Readers, RecordKind};
use super::record::SharedSchema;
use super::sink::{PackedLines, write};
use super::spill::Buckets;
use crate::concurrency::spread;
use crate::config::Project;
use crate::error::{Error, Position, Result};
use crate::layout::{Location, store_error};
use crate::manifest::FileEntry;
use crate::session::{Engine, Stores};
use crate::snapshot::exports::merged_manifest::{MergedCounts, MergedFile, MergedManifest, MergedSource, VERSION};
use crate::snapshot::exports::{ExportPlace, dynamodb, merged};

/// What a merge brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergedExport {
    /// Name of the snapshot table, without `snapshot.`.
    pub(crate) table: String,
    /// How many there were.
    pub(crate) exports: usize,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When the table was as it is now, RFC 3339.
    pub(crate) time: String,
}

/// Merges the exports of each table of the config that has several, or finds their merge.
///
/// # Errors
/// [`Error::Export`], [`Error::Malformed`], [`Error::RowsDiffer`], [`Error::ReadSnapshotFile`], [`Error::Store`],
/// [`Error::Io`].
pub(crate) async fn merge_exports(project: &Project, engine: &Engine) -> Result<Vec<MergedExport>> {
    let mut all = Vec::new();
    for table in &project.snapshots {
        let Some(export) = table.export.as_ref().filter(|export| !export.merged.is_empty()) else { continue };
        let merge = Merge {
            table: &table.name,
            sources: &export.merged,
            folder: project.settings.merged_export(&table.name),
            stores: engine.stores(),
            at_once: engine.parallel_tasks(),
            bytes: engine.run_bytes(),
        };
        let manifest = Box::pin(merge.run()).await?;
        all.push(MergedExport {
            table: table.name.clone(),
            exports: manifest.sources.len(),
            rows: manifest.counts.rows,
            bytes: manifest.files.iter().map(|file| file.size).sum(),
            time: manifest.time,
        });
    }
    Ok(all)
}

/// The merge of one table.
pub(super) struct Merge<'m> {
    pub(super) table: &'m str,
    pub(super) sources: &'m [(Location, Position)],
    /// Where it is kept.
    pub(super) folder: Location,
    pub(super) stores: &'m Stores,
    /// Threads.
    pub(super) at_once: usize,
    /// Memory of each of them.
    pub(super) bytes: u64,
}

impl Merge<'_> {
    /// Merges, or finds the merge that is there already.
    ///
    /// # Errors
    /// As [`merge_exports`]. Then there is no manifest, and what was written is garbage.
    pub(super) async fn run(&self) -> Result<MergedManifest> {
        if let Some(there) = self.there().await? {
            return Ok(there);
        }
        let mut placed = Vec::with_capacity(self.sources.len());
        for (location, at) in self.sources {
            let place = ExportPlace { store: self.stores.open(location).await?, location: location.clone() };
            let export = dynamodb::read(&place).await.map_err(|trouble| self.refused((location, at), trouble))?;
            placed.push(PlacedExport { location: location.clone(), at: at.clone(), export });
        }
        let chain = chain(placed).map_err(|misplaced| {
            let (index, fault) = *misplaced;
            self.refused((&self.sources[index].0, &self.sources[index].1), fault)
        })?;
        let manifest = self.merge(&chain).await?;
        self.commit(manifest).await
    }

    fn refused(
        &self,
        (location, at): (&Location, &Position),
        trouble: impl Into<crate::snapshot::exports::Trouble>,
    ) -> Error {
        refused(self.table, at, location, trouble)
    }

    /// The merge that is there, if it is that of these exports.
    async fn there(&self) -> Result<Option<MergedManifest>> {
        const ANOTHER: &str = "another snapshot_time merges anew; or name the exports that were merged";
        let (at, place) = (&self.sources[0].1, self.place().await?);
        let read = merged::read(&place).await.map_err(|trouble| self.refused((&self.folder, at), trouble))?;
        let Some(there) = read else { return Ok(None) };
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        let wanted = sorted(self.sources.iter().map(|(location, _)| location.to_string()).collect());
        let found = sorted(there.sources.iter().map(|source| source.location.clone()).collect());
        if wanted != found {
            let reason = format!("for this snapshot_time, others were merged already: {}", found.join(", "));
            return Err(self.refused((&self.folder, at), unmergeable(reason, ANOTHER)));
        }
        for (location, at) in self.sources {
            let source = there.sources.iter().find(|source| source.location == location.to_string());
            let place = ExportPlace { store: self.stores.open(location).await?, location: location.clone() };
            let md5 = dynamodb::md5(&place).await.map_err(|trouble| self.refused((location, at), trouble))?;
            if md5.is_some_and(|md5| source.is_some_and(|source| source.md5 != md5)) {
                let reason = "it is another export than the one that was merged for this snapshot_time".to_owned();
                return Err(self.refused((location, at), unmergeable(reason, ANOTHER)));
            }
        }
        Ok(Some(there))
    }

    async fn place(&self) -> Result<ExportPlace> {
        Ok(ExportPlace { store: self.stores.open(&self.folder).await?, location: self.folder.clone() })
    }

    async fn merge(&self, chain: &ExportChain) -> Result<MergedManifest> {
        let of = |files: &[FileEntry]| files.iter().filter_map(|file| file.n_record).sum::<u64>();
        let records = of(&chain.full.export.files) + chain.links.iter().map(|link| of(&link.files)).sum::<u64>();
        let most = (self.bytes / KEY_BYTES).max(1);
        let scratch = |source| super::fault::scratch("make", source);
        let all: Vec<FileEntry> =
            chain.links.iter().map(|link| &link.files).chain([&chain.full.export.files]).flatten().cloned().collect();
        let readers = Readers {
            stores: self.stores.open_all(&all).await?,
            table: self.table.into(),
            schema: SharedSchema::default(),
            buckets: Arc::new(Buckets::new(records, most, 0).map_err(scratch)?),
            buffers: usize::try_from(self.bytes / 4).unwrap_or(usize::MAX),
            at_once: self.at_once,
        };
        let mut sources = Vec::with_capacity(self.sources.len());
        let changes = chain.links.iter().zip(0..).flat_map(|(link, export)| {
            let reading = RecordKind::Changes { export, from: link.from.micros, to: link.to.micros };
            link.files.iter().map(move |file| (file.clone(), reading))
        });
        let changes = readers.read(changes).await?;
        let items = chain.full.export.files.iter().map(|file| (file.clone(), RecordKind::Items));
        let items = readers.read(items).await?;
        sources.push(MergedSource {
            location: chain.full.location.to_string(),
            from: None,
            to: chain.full_time.text.clone(),
            md5: chain.full.export.md5.clone(),
            records: items.iter().sum(),
        });
        let mut read = changes.into_iter();
        for ChainLink { location, md5, from, to, files, .. } in &chain.links {
            sources.push(MergedSource {
                location: location.to_string(),
                from: Some(from.text.clone()),
                to: to.text.clone(),
                md5: md5.clone(),
                records: read.by_ref().take(files.len()).sum(),
            });
        }
        let folder = new_try();
        let (counts, files) = self.fold(chain, &readers.buckets, most, &folder).await?;
        Ok(MergedManifest {
            version: VERSION,
            table: chain.arn.clone(),
            time: chain.end.text.clone(),
            sources,
            counts,
            folder,
            files,
        })
    }

    /// Merges the buckets into files, several at once.
    async fn fold(
        &self,
        chain: &ExportChain,
        buckets: &Arc<Buckets>,
        most: u64,
        folder: &str,
    ) -> Result<(MergedCounts, Vec<MergedFile>)> {
        let store = self.stores.open(&self.folder).await?;
        let exports = chain.links.iter().map(|link| (link.location.to_string(), link.is_known)).collect();
        let folding = Folding { most, exports };
        let at: Vec<_> = chain.links.iter().map(|link| (link.location.clone(), link.at.clone())).collect();
        let (full, table) = ((chain.full.location.clone(), chain.full.at.clone()), self.table.to_owned());
        let place = at.into_iter().next().unwrap_or(full);
        let folder = self.folder.join(folder);
        let jobs: Vec<_> = (0..buckets.all.len())
            .map(|index| {
                let (buckets, folding) = (Arc::clone(buckets), folding.clone());
                let (store, folder, place, table) = (Arc::clone(&store), folder.clone(), place.clone(), table.clone());
                async move {
                    let (sender, receiver) = mpsc::channel(4);
                    let (done, folded) = oneshot::channel();
                    // Not on one of the runtime's threads for blocking work: those are few, and stores need them too.
                    std::thread::spawn(move || {
                        let (mut counts, mut out) = (MergedCounts::default(), PackedLines::new(sender));
                        let merged = folding.fold(&buckets.all[index], 0, &mut out, &mut counts);
                        let merged = merged.and_then(|()| Ok(out.finish(index == 0)?)).map(|()| counts);
                        // Nobody waits for it any more when the merge was given up.
                        let _ = done.send(merged);
                    });
                    let written = write(store, folder, index, receiver).await;
                    let folded =
                        folded.await.map_err(|error| Error::Engine(DataFusionError::External(error.into())))?;
                    let files = written?;
                    let (location, at) = place;
                    let counts =
                        folded.map_err(|fault| of_table(fault, |fault| refused(&table, &at, &location, fault)))?;
                    Ok((counts, files))
                }
            })
            .collect();
        let done: Vec<(MergedCounts, Vec<MergedFile>)> = spread(jobs, self.at_once).try_collect().await?;
        let (mut counts, mut files) = (MergedCounts::default(), Vec::new());
        for (of_bucket, written) in done {
            counts.add(&of_bucket);
            files.extend(written);
        }
        Ok((counts, files))
    }

    /// Makes a merge of what a try has written; or finds that another one was first.
    async fn commit(&self, manifest: MergedManifest) -> Result<MergedManifest> {
        if let Err(reason) = manifest.check() {
            let uri = self.folder.join(merged::MANIFEST).to_string();
            return Err(Error::Manifest { uri, reason });
        }
        let place = self.place().await?;
        let at = self.folder.join(merged::MANIFEST);
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::Manifest { uri: at.to_string(), reason: error.to_string() })?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match place.store.put_opts(&at.key()?, PutPayload::from(text), options).await {
            Ok(_) => Ok(manifest),
            Err(source @ object_store::Error::AlreadyExists { .. }) => {
                self.there().await?.ok_or_else(|| store_error("write", &at, source))
            }
            Err(source) => Err(store_error("write", &at, source)),
        }
    }
}

/// A folder name that no other try has.
fn new_try() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Seeded by the operating system, anew in each process.
    format!("try-{:016x}", RandomState::new().hash_one((since, std::process::id())))
}
