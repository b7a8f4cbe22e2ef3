//! Live databases as a source of snapshots: `STORED AS POSTGRES`, `STORED AS MYSQL`.
//!
//! ```text
//! LOCATION -> address -> snapshot, catalogue -> rows -> Parquet files -> manifest
//! ```
//!
//! The tables of one database are exported once, as of one moment, into the staging root; from then on they are read as
//! Parquet like any other export ([`crate::snapshot::exports`]). What is of one kind of server is in its own folder;
//! the files here are for all. Nothing is written to the database, and no password is written anywhere.

mod earlier;
pub(crate) mod fault;
mod files;
pub(crate) mod job;
mod mysql;
mod options;
mod patience;
mod place;
pub(crate) mod postgres;
mod protection;
mod secret;
mod surroundings;
