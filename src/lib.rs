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
//! # Code map, in the order of the data's path
//!
//! ```text
//! main, cli, report     arguments; one short function per subcommand; the only module that prints
//! lineage               how the lakes were made, from their manifests, also as OpenLineage events
//! query                 the tables of all steps in one SQL session, read-only: which files a filter leaves (prune), what
//!                       manifests answer (index), the schema `manifest` (manifests)
//! clean, repair, replan files that no manifest lists; what a disk lost or changed of our own files; new plans for what is
//!                       not published yet, or is taken back
//! diff                  what changed between two snapshots
//! init                  looks at an unknown location and proposes a config for it; pure but for survey, choose, sample,
//!                       schema, folder, draft, trial and files
//! bench, fuzz           what the micro benches and the fuzz targets call; only with the features of these names
//! pipeline, validate    the steps in order, concurrency, resume; the proof that no row is lost
//! audit                 queries over what is staged that must return no rows, or nothing is published
//! snapshot              which files a LOCATION covers (named, listing, cover, told, left_out, same_file), which are no
//!                       source (sources, own, outputs), which came later (arrivals), their columns (folders, names,
//!                       presence) and their one schema (infer, guess, widen, schema); how rows are read and counted (table, count):
//!                       CSV (csv, fields, columns), NDJSON (json_*) and Parquet of others (guard, claims, pages, bounds, exact)
//! group                 file groups of bounded size (pure)
//! staging               plan: the SELECT, checked, and its groups; run: one group becomes sorted staging files,
//!                       cut into runs that fit in memory (runs), whose rows are brought together by partition (collect),
//!                       put in order (order, pure) and given out file by file (units, pure) by two streams (sort)
//! compaction            plan: staging files of one partition or bundle (pure); run: their pages are copied (copy) into
//!                       lake files where runs do not interleave, else they are merged (merge), in passes where memory is
//!                       little
//! lake                  what "published" means
//! write                 the plan node that writes partitioned Parquet, its rows are the manifest's rows; wide tables column by
//!                       column (wide); or files made of staged pages (assemble)
//! session               stores, memory, engine sessions
//! causes                an error and its causes as text, the engine's in SQL's words (pure)
//! config                SQL text to a checked project; every user error is born here, with its position
//! manifest              the ledger: what is done is what manifests are committed
//! layout, partition     all storage paths; Hive partition values
//! lake_type             the type that a column has in files: one that Parquet has, without loss (pure)
//! bundle                which small partitions share staging files, and what manifests say of these (pure)
//! checksum              sums over the values of columns, in any order (pure)
//! thrift                Thrift's compact protocol; which Parquet footers are refused before they are read (pure)
//! advice                what to do about a limit of the machine (pure)
//! redact, digest        secrets in messages; hashes of what may be one
//! spread                many small jobs on all threads, a bounded number at once
//! width                 which tables are wide, and how many rows their batches have (pure)
//! error, verdict        every failure, with its place; the result of an audit
//! ```
//!
//! # Invariants
//!
//! Each module uses only modules below it in the code map. Steps meet only in manifests: `staging` never uses
//! `compaction`, nor the reverse. `group`, `compaction::plan` and `config::parse` do no I/O and are not async. Only
//! `report` prints, only `layout` joins storage paths, only `partition` writes `key=value`. A test reads the sources and
//! holds this.

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
pub mod manifest;
pub mod pipeline;
pub mod session;
pub mod snapshot;
pub mod staging;
mod thrift;
mod types;
mod write;

pub use error::verdict::Verdict;
pub use error::{ConfigError, Error, Result};
pub use pipeline::{Event, Pipeline, Reporter};
