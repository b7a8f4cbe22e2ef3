//! What "published" means, per table format; today the one format is a folder of Hive-partitioned Parquet.

mod claim;
pub(crate) mod columns;
mod hive;
mod iceberg;
mod sums;

pub(crate) use self::columns::LakeColumns;
pub(crate) use self::hive::HiveLake;
pub(crate) use self::iceberg::{CompleteSnapshot, IcebergTable};
pub(crate) use self::sums::sums;
