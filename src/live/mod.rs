//! Live databases as a source of snapshots: `STORED AS POSTGRES`.
//!
//! ```text
//! LOCATION -> address -> holder (snapshot, catalogue, ranges) -> workers (COPY BINARY -> Parquet) -> manifest
//! ```
//!
//! The tables of one database are exported once, as of one moment, into the staging root; from then on they are read as
//! Parquet like any other export ([`crate::snapshot::exports`]). Nothing is written to the database, and no password is
//! written anywhere.

mod address;
mod catalog;
mod export;
pub(crate) mod fault;
mod holder;
pub(crate) mod job;
mod options;
mod place;
mod quote;
mod ranges;
mod secret;
mod service;
mod session;
mod surroundings;
pub(crate) mod survey;
mod tls;
mod types;
mod worker;
