//! First step: snapshot files in groups become sorted, Hive-partitioned staging files.

pub(crate) mod collect;
pub mod groups;
pub(crate) mod order;
pub mod plan;
pub mod run;
mod runs;
mod sort;
mod units;
