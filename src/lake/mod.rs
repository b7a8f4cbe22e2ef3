//! What "published" means, per table format; today the one format is a folder of Hive-partitioned Parquet.

mod hive;

pub(crate) use hive::HiveLake;
