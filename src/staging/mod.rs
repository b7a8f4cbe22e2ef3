//! First step: snapshot files in groups become sorted, Hive-partitioned staging files.

mod order;
pub mod plan;
pub mod run;
mod sort;
