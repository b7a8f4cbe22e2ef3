//! A lake table as an Iceberg table (format version 2) in a folder: its versions are the published snapshots.
//!
//! ```text
//! {datalake}/{D}/{T}/metadata/v2.metadata.json            created if absent: this is the commit
//!                       |-- tag 2026-01-31T00:00:00Z      snap-..-2.avro -> ..-m0.avro -> snapshot=2026-01-31T.../..parquet
//!                       '-- tag 2026-01-30T00:00:00Z, main of version 1
//! ```
//!
//! The data files are those that the table's manifests list, where they were published and proven; nothing is copied.
//! A version is written once a snapshot is complete, and not again by a rerun: the plan's id is in it. Two writers: one
//! of them finds the version taken, reads it, and tries the next one. A crash leaves files that no version names, and
//! the next run writes them again.
//!
//! It does not write through a catalog, and refuses a table that one has taken over. Partition columns are in the
//! metadata only, not in the files. Files have the ids of their columns.

mod avro;
mod manifest;
mod metadata;
mod read;
mod types;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use twox_hash::XxHash64;

use self::manifest::{ManifestHead, ManifestWriter, PublishedFile, WrittenManifest, manifest_list};
use self::metadata::{FormIds, NewSnapshot, TableForm, TableMetadata};
use super::LakeColumns;
use super::field_ids::id_of;
use crate::concurrency::turn;
use crate::config::LakeTable;
use crate::error::{Error, IcebergFault, Result};
use crate::layout::{IcebergLayout, Location, Step, partition, store_error};
use crate::manifest::statistics::decode_ranges;
use crate::manifest::{FileEntry, LakeContent, Ledger, TaskDetails};
use crate::session::Stores;

/// Files that one manifest lists.
const MANIFEST_FILES: u64 = 20_000;

/// How often a version is tried that others were faster to write.
const ATTEMPTS: usize = 20;

/// A table's folder.
#[derive(Debug)]
pub(crate) struct IcebergTable<'a> {
    store: Arc<dyn ObjectStore>,
    layout: IcebergLayout,
    lake: &'a LakeTable,
    /// Whether the store need not know conditional writes.
    single_writer: bool,
}

/// A snapshot that is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompleteSnapshot<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) columns: &'a LakeColumns,
    /// Id of its plan.
    pub(crate) plan: &'a str,
    /// RFC 3339, UTC.
    pub(crate) time: &'a str,
}

/// A version as it lies in the folder.
#[derive(Debug)]
struct FoundVersion {
    number: u64,
    /// Whether the hint names it; a crash may have left it behind.
    is_hinted: bool,
    table: TableMetadata,
}

/// The manifests of a snapshot, and what they come to.
#[derive(Debug)]
struct SnapshotManifests {
    /// What they were written with.
    ids: FormIds,
    manifests: Vec<WrittenManifest>,
}

impl<'a> IcebergTable<'a> {
    /// Opens the store of the table's folder.
    ///
    /// # Errors
    /// Those of [`Stores::open`].
    pub(crate) async fn open(
        stores: &Stores,
        layout: IcebergLayout,
        lake: &'a LakeTable,
        single_writer: bool,
    ) -> Result<Self> {
        let store = stores.open(layout.root()).await?;
        Ok(Self { store, layout, lake, single_writer })
    }

    /// Refuses columns that cannot be those of the next version.
    ///
    /// # Errors
    /// [`Error::Iceberg`], [`Error::Store`].
    pub(crate) async fn check(&self, columns: &LakeColumns) -> Result<()> {
        let (_, mut table) = self.following(self.newest().await?, "");
        self.take_form(&mut table, columns).map(drop)
    }

    /// Makes a complete snapshot a version of the table; says whether it was none before.
    ///
    /// # Errors
    /// [`Error::Iceberg`], [`Error::Store`], [`Error::NoConditionalPut`]; those of the ledger.
    pub(crate) async fn publish(&self, snapshot: CompleteSnapshot<'_>) -> Result<bool> {
        let mut files: Option<SnapshotManifests> = None;
        for _ in 0..ATTEMPTS {
            let found = self.newest().await?;
            if let Some(found) = &found
                && found.table.has(snapshot.time, snapshot.plan)
            {
                self.hint_at(found).await?;
                return Ok(false);
            }
            let (number, mut table) = self.following(found, snapshot.plan);
            let ids = self.take_form(&mut table, snapshot.columns)?;
            let written = match files.take().filter(|files| files.ids == ids) {
                Some(written) => written,
                None => self.write_manifests(snapshot, &ids).await?,
            };
            let id = snapshot_id(snapshot);
            let list = self.layout.manifest_list(id, number);
            let spec = ids.spec["spec-id"].as_i64().unwrap_or_default();
            let bytes = manifest_list(&written.manifests, spec, id, table.current(), table.next_sequence());
            self.put(&list, bytes).await?;
            let sum = |of: fn(&WrittenManifest) -> u64| written.manifests.iter().map(of).sum();
            let new = NewSnapshot {
                id,
                plan: snapshot.plan,
                time: snapshot.time,
                manifest_list: &list.uri(),
                now: Utc::now().timestamp_millis(),
                files: sum(|manifest| manifest.files),
                rows: sum(|manifest| manifest.rows),
                bytes: sum(|manifest| manifest.bytes),
            };
            table.add(&new, &ids);
            if self.commit(number, &table).await? {
                return Ok(true);
            }
            files = Some(written);
        }
        Err(self.fault(IcebergFault::Busy(ATTEMPTS)))
    }

    /// The snapshot times that are versions, with their sequence numbers.
    ///
    /// # Errors
    /// [`Error::Iceberg`], [`Error::Store`].
    pub(crate) async fn times(&self) -> Result<BTreeMap<String, i64>> {
        Ok(self.newest().await?.map(|found| found.table.times()).unwrap_or_default())
    }

    /// Compares the files that the version of a snapshot lists with those that its tasks published.
    ///
    /// # Errors
    /// [`Error::Iceberg`] when they differ, or there is none; those of the ledger.
    pub(crate) async fn check_files(&self, snapshot: &CompleteSnapshot<'_>) -> Result<()> {
        let found = self.newest().await?;
        let list = found.as_ref().and_then(|found| found.table.manifest_list(snapshot.time, snapshot.plan));
        let Some(list) = list else { return Err(self.fault(IcebergFault::NoVersion)) };
        let mut listed = LakeContent::default();
        let unreadable =
            |file: &str, reason: String| self.fault(IcebergFault::Metadata { file: file.to_owned(), reason });
        let read = async |file: &str| {
            let bytes = self.get(&Location::from_uri(file)?).await?;
            bytes.ok_or_else(|| unreadable(file, "it is not there".to_owned()))
        };
        for manifest in read::manifests(read(list).await?).map_err(|reason| unreadable(list, reason))? {
            let bytes = read(&manifest).await?;
            read::add_files(bytes, &mut listed).map_err(|reason| unreadable(&manifest, reason))?;
        }
        let (ledger, mut published) = (snapshot.ledger, LakeContent::default());
        let done = ledger.done(Step::DatalakeFileGroups).await?;
        let mut tasks = pin!(ledger.read_all::<TaskDetails>(Step::DatalakeFileGroups, done));
        while let Some(task) = tasks.next().await {
            let (_, Some(task)) = task? else { continue };
            task.files.iter().for_each(|file| published.add(&file.uri, file.size));
        }
        if listed == published {
            return Ok(());
        }
        Err(self.fault(IcebergFault::OtherFiles { listed: listed.files, published: published.files }))
    }

    /// Takes the snapshot of a time out of the table, before its files go; nothing if it is in none.
    ///
    /// # Errors
    /// As [`IcebergTable::publish`].
    pub(crate) async fn forget(&self, time: &str) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let Some(found) = self.newest().await? else { return Ok(()) };
            self.hint_at(&found).await?;
            let (number, mut table) = self.following(Some(found), "");
            if !table.forget(time) || self.commit(number, &table).await? {
                return Ok(());
            }
        }
        Err(self.fault(IcebergFault::Busy(ATTEMPTS)))
    }

    /// Gives a version the columns, partitions and order of the lake table.
    fn take_form(&self, table: &mut TableMetadata, columns: &LakeColumns) -> Result<FormIds> {
        let all = columns.bundled();
        let form = TableForm {
            columns: all.fields(),
            partition: columns.partition.iter().map(|column| column.name().as_str()).collect(),
            sorted_by: self.lake.sorted_by.iter().map(|(key, _)| key).collect(),
        };
        table.take_form(&form).map_err(|fault| self.fault(fault))
    }

    /// The number and the beginnings of the version after `found`.
    fn following(&self, found: Option<FoundVersion>, plan: &str) -> (u64, TableMetadata) {
        match found {
            None => {
                let root = self.layout.root().uri();
                (1, TableMetadata::new(&root, &uuid(&root, plan)))
            }
            Some(FoundVersion { number, mut table, .. }) => {
                let since = table.updated();
                table.follows(&self.layout.metadata(number).uri(), since);
                (number + 1, table)
            }
        }
    }

    /// The newest version: from the hint on, which a crash may have left behind.
    async fn newest(&self) -> Result<Option<FoundVersion>> {
        let hint = self.get(&self.layout.version_hint()).await?;
        let hint = hint.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim().parse::<u64>().ok());
        let mut number = match hint {
            Some(number) => number,
            None => self.listed().await?,
        };
        let mut newest: Option<Bytes> = match number {
            0 => None,
            number => self.get(&self.layout.metadata(number)).await?,
        };
        if newest.is_none() && number > 0 {
            let file = self.layout.metadata(number).uri();
            return Err(self.fault(IcebergFault::Metadata { file, reason: "it is not there".to_owned() }));
        }
        while let Some(next) = self.get(&self.layout.metadata(number + 1)).await? {
            (number, newest) = (number + 1, Some(next));
        }
        let Some(bytes) = newest else { return Ok(None) };
        let file = || self.layout.metadata(number).uri();
        let table = TableMetadata::parse(&bytes)
            .map_err(|reason| self.fault(IcebergFault::Metadata { file: file(), reason }))?;
        Ok(Some(FoundVersion { number, is_hinted: hint == Some(number), table }))
    }

    /// Lets the hint name a version that was written before a crash.
    async fn hint_at(&self, found: &FoundVersion) -> Result<()> {
        if found.is_hinted {
            return Ok(());
        }
        self.put(&self.layout.version_hint(), Bytes::from(found.number.to_string())).await
    }

    /// The highest version in the folder, 0 without one: only where there is no hint.
    async fn listed(&self) -> Result<u64> {
        let folder = self.layout.folder();
        let mut listing = self.store.list(Some(&folder.key()?));
        let mut highest = 0;
        while let Some(meta) = listing.try_next().await.map_err(|source| store_error("list", &folder, source))? {
            match IcebergLayout::version_of(meta.location.as_ref()) {
                Some(Ok(version)) => highest = highest.max(version),
                Some(Err(file)) => return Err(self.fault(IcebergFault::OfCatalog { file })),
                None => {}
            }
        }
        Ok(highest)
    }

    /// Writes the manifests of all files of the snapshot, some thousand files at a time.
    async fn write_manifests(&self, snapshot: CompleteSnapshot<'_>, ids: &FormIds) -> Result<SnapshotManifests> {
        let parts = ids.spec["fields"].as_array().into_iter().flatten();
        let parts = parts.map(|part| part["field-id"].as_i64().unwrap_or_default());
        let head = Arc::new(ManifestHead {
            schema: ids.schema.clone(),
            spec: ids.spec.clone(),
            partition: snapshot.columns.partition.iter().cloned().zip(parts).collect(),
            columns: snapshot.columns.file.fields().iter().map(|column| (Arc::clone(column), id_of(column))).collect(),
            sort_order: ids.sort_order,
            snapshot: snapshot_id(snapshot),
        });
        let schema = ids.schema["schema-id"].as_u64().unwrap_or_default();
        let (ledger, step) = (snapshot.ledger, Step::DatalakeFileGroups);
        let (mut manifests, mut writer) = (Vec::new(), ManifestWriter::new(&head));
        let done = ledger.done(step).await?;
        let mut tasks = pin!(ledger.read_all::<TaskDetails>(step, done));
        while let Some(task) = tasks.next().await {
            let (_, Some(task)) = task? else { continue };
            for (at, file) in task.files.iter().enumerate() {
                let statistics = task.statistics.get(at).map_or("", String::as_str);
                let ranges = decode_ranges(statistics, &file.uri)?;
                writer.add(&PublishedFile {
                    uri: &file.uri,
                    bytes: file.size,
                    rows: file.n_record.unwrap_or_default(),
                    partition: partition_of(snapshot, file)?,
                    ranges: &ranges,
                });
                if writer.files() == MANIFEST_FILES {
                    let full = std::mem::replace(&mut writer, ManifestWriter::new(&head));
                    manifests.push(self.write_manifest(full, head.snapshot, schema, manifests.len()).await?);
                }
            }
        }
        if writer.files() > 0 || manifests.is_empty() {
            manifests.push(self.write_manifest(writer, head.snapshot, schema, manifests.len()).await?);
        }
        Ok(SnapshotManifests { ids: ids.clone(), manifests })
    }

    async fn write_manifest(
        &self,
        writer: ManifestWriter,
        snapshot: i64,
        schema: u64,
        number: usize,
    ) -> Result<WrittenManifest> {
        let place = self.layout.manifest(snapshot, schema, number);
        let (bytes, written) = writer.finish(place.uri());
        self.put(&place, bytes).await?;
        Ok(written)
    }

    /// Creates the metadata of a version; false if others were faster, or the store gave no clear answer.
    async fn commit(&self, number: u64, table: &TableMetadata) -> Result<bool> {
        let place = self.layout.metadata(number);
        let mut mode = PutMode::Create;
        if self.single_writer {
            if self.get(&place).await?.is_some() {
                return Ok(false);
            }
            mode = PutMode::Overwrite;
        }
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.put_opts(&place.key()?, PutPayload::from(table.text()), options).await;
        match put {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                return Ok(false);
            }
            // A conditional write whose answer was lost may have been done: what is there is read again.
            Err(object_store::Error::Generic { .. }) if self.get(&place).await?.is_some() => return Ok(false),
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                return Err(Error::NoConditionalPut { store: place.store().to_owned() });
            }
            Err(source) => return Err(store_error("write", &place, source)),
        }
        // Readers go on from there to the newest version.
        self.put(&self.layout.version_hint(), Bytes::from(number.to_string())).await?;
        Ok(true)
    }

    async fn get(&self, place: &Location) -> Result<Option<Bytes>> {
        let failed = |source| store_error("read", place, source);
        let _turn = turn().await;
        match self.store.get(&place.key()?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    async fn put(&self, place: &Location, bytes: Bytes) -> Result<()> {
        let _turn = turn().await;
        let put = self.store.put(&place.key()?, PutPayload::from(bytes)).await;
        put.map(drop).map_err(|source| store_error("write", place, source))
    }

    fn fault(&self, fault: IcebergFault) -> Error {
        let (table, location) = (self.lake.name.clone(), self.layout.root().to_string());
        Error::Iceberg { table, location, fault }
    }
}

/// The partition values of a published file, which its path has.
fn partition_of(snapshot: CompleteSnapshot<'_>, file: &FileEntry) -> Result<Vec<ScalarValue>> {
    let root = snapshot.ledger.layout().lake().uri_of_folder();
    let path = file.uri.strip_prefix(&root).and_then(|path| path.rsplit_once('/')).map_or("", |(folder, _)| folder);
    let values = partition::parse_path(path).unwrap_or_default();
    let columns = snapshot.columns.partition.iter().zip(values);
    columns
        .map(|(column, value)| partition::typed(value.as_deref(), column.data_type()).map_err(Error::Engine))
        .collect()
}

/// The same for the same snapshot of the same plan, so that a crash is followed by the same names.
#[expect(clippy::cast_possible_wrap, reason = "the sign is cut off")]
fn snapshot_id(snapshot: CompleteSnapshot<'_>) -> i64 {
    let hash = XxHash64::oneshot(0, format!("{} {}", snapshot.plan, snapshot.time).as_bytes());
    ((hash & u64::MAX >> 1) as i64).max(1)
}

/// An id for a new table, in the form of a UUID.
fn uuid(root: &str, plan: &str) -> String {
    let mut bytes: [u8; 16] = Md5::digest(format!("{root} {plan}")).into();
    // Version 8, by a hash of our own choice; the variant of RFC 9562.
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x80, bytes[8] & 0x3f | 0x80);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].map(hex).join("-")
}
