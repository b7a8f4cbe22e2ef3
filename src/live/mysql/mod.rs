//! MySQL and MariaDB: `STORED AS MYSQL`.
//!
//! ```text
//! address, option file -> session (one snapshot) -> catalogue -> rows (binary protocol -> Parquet) -> manifest
//! ```

pub(crate) mod address;
mod catalog;
mod cells;
mod driver_error;
mod export;
mod option_file;
mod session;
mod snapshot;
mod table;
