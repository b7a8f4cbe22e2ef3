//! The export of a live database: once, consistently, into Parquet files and a manifest.
//!
//! ```text
//!   holder   snapshot ------------------------------------------------- COMMIT -> manifest
//!   workers        SET TRANSACTION SNAPSHOT, COPY range, COPY range ...
//! ```
//!
//! Guarantees: every file has rows of one and the same snapshot; a table's files together have as many rows as the
//! server counts in it; a manifest is there only if all of that went well. A connection that ends, of the holder or of
//! a worker, ends the export: nothing is patched together from two snapshots. It does not resume and does not repeat
//! by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::address::PgAddress;
use super::catalog::{LiveColumn, RelationKind};
use super::holder::{Holder, PlannedTable};
use super::worker::Worker;
use crate::live::fault::LiveFault;
use crate::live::options::{LiveEvent, LiveExport};
use crate::live::place::new_try;
use crate::session::Stores;
use crate::snapshot::exports::live_manifest::{LiveColumnEntry, LiveFile, LiveManifest, LiveTable, VERSION};

/// A piece of work: of the table with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadJob {
    Read { table: usize, range: usize },
    Count { table: usize },
}

/// What came of it.
enum Done {
    Files { table: usize, range: usize, files: Vec<LiveFile> },
    Counted { table: usize, rows: u64 },
}

type Queue = Arc<Mutex<VecDeque<ReadJob>>>;

impl LiveExport<PgAddress> {
    /// Exports, or finds the export that is there already.
    ///
    /// # Errors
    /// [`LiveFault`]. Then there is no manifest, and what was written is garbage.
    pub(crate) async fn run(self, stores: &Stores) -> Result<LiveManifest, LiveFault> {
        if let Some(there) = self.place.read().await? {
            self.check(&there, &self.address.database)?;
            return Ok(there);
        }
        let this = Arc::new(self);
        let holder =
            Holder::take(&this.address, &this.tables, this.options.range_bytes, this.options.lock_timeout).await?;
        this.tell(|| LiveEvent::Snapshot {
            snapshot: holder.snapshot.clone(),
            ranges: holder.tables.iter().map(|table| table.ranges.len()).sum(),
        });
        let folder = new_try();
        let tables = Arc::new(holder.tables.clone());
        let queue: Queue = Arc::new(Mutex::new(jobs(&tables, this.options.count)));
        let mut workers = JoinSet::new();
        let most = tables.iter().map(|table| table.ranges.len() + 1).sum::<usize>().max(1);
        for _ in 0..this.options.workers.clamp(1, most) {
            let (this, tables, queue) = (Arc::clone(&this), Arc::clone(&tables), Arc::clone(&queue));
            let (folder, id, lock) = (folder.clone(), holder.snapshot.id.clone(), holder.lock.clone());
            workers.spawn(async move { work(&this, &folder, &id, &lock, &tables, &queue).await });
        }
        // Leaving early drops the workers, which closes their connections.
        let mut done = Vec::new();
        loop {
            tokio::select! {
                reason = holder.session.lost() => return Err(LiveFault::HolderLost { reason }),
                ended = workers.join_next() => match ended {
                    Some(Ok(some)) => done.extend(some?),
                    Some(Err(error)) => {
                        return Err(LiveFault::WorkerLost { doing: "read".to_owned(), reason: error.to_string() });
                    }
                    None => break,
                },
            }
        }
        let (source, snapshot) = (holder.source.clone(), holder.snapshot.clone());
        holder.release().await?;
        let tables = entries(&tables, done)?;
        let manifest = LiveManifest { version: VERSION, source, snapshot, folder, tables };
        this.place.commit(&manifest, stores).await?;
        Ok(manifest)
    }
}

/// Large ones first, so that no long one is left at the end. A count reads no values and sends nothing.
fn jobs(tables: &[PlannedTable], count: bool) -> VecDeque<ReadJob> {
    const COUNT_SHARE: u64 = 8;
    let mut jobs = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let ranges = table.ranges.iter().enumerate();
        jobs.extend(ranges.map(|(range, found)| (found.bytes, ReadJob::Read { table: number, range })));
        // Counting a view may be expensive, and a foreign table may have other rows by then.
        let counted = !matches!(table.relation.kind, RelationKind::View | RelationKind::Foreign);
        if count && counted {
            let bytes: u64 = table.ranges.iter().map(|range| range.bytes).sum();
            jobs.push((bytes / COUNT_SHARE, ReadJob::Count { table: number }));
        }
    }
    jobs.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    jobs.into_iter().map(|(_, job)| job).collect()
}

async fn work(
    export: &LiveExport<PgAddress>,
    folder: &str,
    snapshot: &str,
    lock: &str,
    tables: &[PlannedTable],
    queue: &Queue,
) -> Result<Vec<Done>, LiveFault> {
    let worker = Worker::join(export, folder, snapshot, lock).await?;
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let mut done = Vec::new();
    while let Some(job) = next() {
        done.push(match job {
            ReadJob::Read { table, range } => {
                let files = match worker.read(&tables[table], range).await {
                    Ok(files) => files,
                    Err(fault) => return Err(worker.explain(fault).await),
                };
                let name = || tables[table].relation.full_name();
                for LiveFile { rows, size, .. } in &files {
                    export.tell(|| LiveEvent::Range { table: name(), rows: *rows, bytes: *size });
                }
                Done::Files { table, range, files }
            }
            ReadJob::Count { table } => Done::Counted { table, rows: worker.count(&tables[table]).await? },
        });
    }
    Ok(done)
}

/// The files of a table by range, and its rows as the server counts them.
type Found = (Vec<(usize, Vec<LiveFile>)>, Option<u64>);

fn entries(tables: &[PlannedTable], done: Vec<Done>) -> Result<Vec<LiveTable>, LiveFault> {
    let mut found: Vec<Found> = vec![(Vec::new(), None); tables.len()];
    for done in done {
        match done {
            Done::Files { table, range, files } => found[table].0.push((range, files)),
            Done::Counted { table, rows } => found[table].1 = Some(rows),
        }
    }
    let mut entries = Vec::new();
    for (table, (mut ranges, counted)) in tables.iter().zip(found) {
        ranges.sort_by_key(|(range, _)| *range);
        let files: Vec<LiveFile> = ranges.into_iter().flat_map(|(_, files)| files).collect();
        let rows = files.iter().map(|file| file.rows).sum();
        if let Some(counted) = counted.filter(|counted| *counted != rows) {
            return Err(LiveFault::Count { table: table.relation.full_name(), read: rows, counted });
        }
        let column = |column: &LiveColumn| LiveColumnEntry {
            name: column.name.clone(),
            sql_type: column.sql_type.clone(),
            printed: column.read.printed,
        };
        entries.push(LiveTable {
            schema: table.relation.schema.clone(),
            name: table.relation.name.clone(),
            kind: table.relation.kind.name().to_owned(),
            columns: table.columns.iter().map(column).collect(),
            rows,
            counted,
            notes: table.notes.clone(),
            files,
        });
    }
    entries.sort_by(|one, other| (&one.schema, &one.name).cmp(&(&other.schema, &other.name)));
    Ok(entries)
}
