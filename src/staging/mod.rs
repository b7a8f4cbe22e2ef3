//! First step: snapshot files in groups become sorted, Hive-partitioned staging files.

pub mod plan;
pub mod run;
pub(crate) mod sort;
