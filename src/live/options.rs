//! What is exported of a database, to where and how.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::place::LivePlace;
use crate::snapshot::exports::live_manifest::LiveSnapshot;

/// What is exported and to where.
#[derive(Debug, Clone)]
pub(crate) struct LiveExport<Address> {
    /// The database.
    pub(crate) address: Address,
    /// Its tables, each once.
    pub(crate) tables: Vec<WantedTable>,
    /// Where files and manifest go.
    pub(crate) place: LivePlace,
    /// How.
    pub(crate) options: LiveOptions,
    /// Who is told how far it is, if anybody.
    pub(crate) events: Option<UnboundedSender<LiveEvent>>,
}

/// A table that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedTable {
    /// `orders`, `public.orders`, `shop.public.orders`.
    pub(crate) name: String,
    /// Columns that come as text, whatever their type.
    pub(crate) text_columns: Vec<String>,
}

/// How far an export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LiveEvent {
    /// Before any row is read.
    Snapshot {
        /// The snapshot that is held.
        snapshot: LiveSnapshot,
        /// Ranges that will be read.
        ranges: usize,
    },
    /// A range has been read.
    Range {
        /// Its table.
        table: String,
        /// In it.
        rows: u64,
        /// Of its file.
        bytes: u64,
    },
}

/// How an export is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveOptions {
    /// Connections that read, beside the one that holds the snapshot.
    pub(crate) workers: usize,
    /// Bytes of a table, on the server, that go into one file.
    pub(crate) range_bytes: u64,
    /// Rows of a batch.
    pub(crate) batch_rows: usize,
    /// Bytes in memory at which a row group ends.
    pub(crate) row_group_bytes: usize,
    /// Zstandard level 1 instead of Snappy.
    pub(crate) zstd: bool,
    /// Whether the server counts each table in the same snapshot.
    pub(crate) count: bool,
    /// How long to wait for a lock, and so to let others wait behind it.
    pub(crate) lock_timeout: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            workers: 4,
            range_bytes: 256 << 20,
            batch_rows: 8192,
            row_group_bytes: 64 << 20,
            zstd: true,
            count: true,
            lock_timeout: Duration::from_secs(30),
        }
    }
}
