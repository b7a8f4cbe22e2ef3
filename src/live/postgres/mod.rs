//! PostgreSQL: `STORED AS POSTGRES`.
//!
//! ```text
//! address -> holder (snapshot, catalogue, ranges) -> workers (COPY BINARY -> Parquet) -> manifest
//! ```

pub(crate) mod address;
mod catalog;
mod driver_error;
mod export;
mod holder;
mod password;
mod quote;
mod ranges;
mod service;
mod session;
pub(crate) mod survey;
mod tls;
mod types;
mod worker;
