//! What "published" means, per table format: a folder of Hive-partitioned Parquet per snapshot, and an Iceberg table
//! whose versions these are.

mod claim;
pub(crate) mod columns;
mod field_ids;
mod hive;
mod iceberg;
mod sums;

pub(crate) use self::columns::LakeColumns;
pub(crate) use self::hive::HiveLake;
pub(crate) use self::iceberg::{CompleteSnapshot, IcebergTable};
pub(crate) use self::sums::sums;
