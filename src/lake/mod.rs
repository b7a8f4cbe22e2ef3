//! What "published" means, per table format; today the one format is a folder of Hive-partitioned Parquet.

mod claim;
mod hive;
mod sums;

pub(crate) use hive::HiveLake;
pub(crate) use sums::sums;
