//! snaplake turns database snapshots into a query-ready data lake, in SQL.
//!
//! A snapshot is what a database export left behind: thousands of files in no useful order. The lake is
//! Hive-partitioned, sorted, in files of one good size, and proven complete. A config says how, in SQL:
//!
//! ```
//! use snaplake::config::{Variables, load};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("shop.sql");
//! std::fs::write(&path, "
//!     SET snaplake.database = 'shop';
//!     SET snaplake.snapshot_time = '2026-01-31T00:00:00Z';
//!     SET snaplake.staging = 'staging';
//!     SET snaplake.datalake = 'lake';
//!     CREATE EXTERNAL TABLE snapshot.orders STORED AS PARQUET LOCATION 'export/orders/';
//!     CREATE TABLE lake.orders WITH (partitioned_by = ARRAY['day'], sorted_by = ARRAY['id']) AS
//!     SELECT id, total, CAST(created_at AS DATE) AS day FROM snapshot.orders;
//! ")?;
//! let project = load(&path, &Variables::default())?;
//! assert_eq!(project.lakes[0].name, "orders");
//! # Ok(())
//! # }
//! ```
//!
//! # Code map
//!
//! ```text
//! cli                  arguments, one short function per subcommand; `print`, the only module that prints
//! init, inspect        a first config for an unknown location; what people ask for, read-only: plan, status, query, diff, lineage
//! pipeline             the steps in order, one task by its number, audits, the proof; repair, replan, clean
//! live, merge          before planning: running databases are exported; incremental exports become one with a full one
//! staging, compaction  first step: groups of snapshot files become sorted staging files; second step: these become lake files
//! lake                 what "published" means, the columns of a lake, its proof
//! snapshot             which files a LOCATION covers, their one schema, and how each format is read
//! write                the plan node that writes partitioned Parquet; its rows are the manifest's rows
//! session              stores, memory, engine sessions
//! config               SQL text to a checked project; every user error is born here, with its position
//! manifest             the ledger: what is done is what manifests are committed
//! concurrency, thrift  a bounded number of small jobs at once; the bytes of Parquet footers
//! layout               all storage paths; Hive partition values
//! error                every failure, with its place
//! types                types of columns in SQL, Arrow and Parquet
//! ```
//!
//! # Invariants
//!
//! Each room uses only rooms below it in the code map; within a room no two files or folders use each other in a
//! circle. Steps meet only in manifests: `staging` never uses `compaction`, nor the reverse. What calls itself pure
//! does no I/O and is not async. Only `cli::print` prints, only `layout` joins storage paths, only `layout::partition`
//! writes `key=value`. A test reads the sources and holds this.

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
pub mod cli;
pub mod compaction;
mod concurrency;
pub mod config;
pub mod error;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod init;
pub mod inspect;
mod lake;
pub mod layout;
mod live;
pub mod manifest;
mod merge;
pub mod pipeline;
pub mod session;
pub mod snapshot;
pub mod staging;
mod thrift;
mod types;
mod write;

pub use error::Verdict;
pub use error::{ConfigError, Error, Result};
pub use pipeline::{Event, Pipeline, Reporter};
