//! Where everything lies: the only module that joins storage paths.
//!
//! ```text
//! {staging}/{D}/{T}/snapshot={TIME}/          or another form of the time
//!     manifests/manifest-summary.json, manifest-data.parquet
//!     manifests/snapshot-file-groups/{manifest-summary,manifest-data}/...
//!     manifests/staging-file-groups/ partition-file-groups/ datalake-file-groups/
//!         manifest-summary/{manifest-summary-N.json, failed-N.json, running-*.json}
//!     manifests/validation.json, audits.json
//!     _snaplake.json                          whose the folder is
//!     audits/<audit>.parquet                  the first rows of an audit that failed
//!     datalake/{D}/{S}/{T}/{k1}={v1}/.../<file>.parquet
//! {datalake}/{D}/{T}/snapshot={TIME}/{D}/{S}/{T}/
//!     {k1}={v1}/.../<file>.parquet, _SUCCESS
//!     _snaplake.json                          whose the folder is
//! ```
//!
//! A [`Location`] is a store and a raw key: the key is never percent-encoded here, so a `%2F` that a partition value
//! brought along stays as it is. Nothing here touches a store.

pub(crate) mod bundle;
mod file_partition;
mod iceberg;
mod location;
mod owner;
pub mod partition;
mod relative;
mod snapshot_folder;
pub(crate) mod split;
mod step;
mod table;

pub use self::file_partition::FilePartition;
pub(crate) use self::iceberg::IcebergLayout;
pub use self::location::Location;
pub(crate) use self::location::store_error;
pub use self::owner::{OWNER, SUCCESS, completed, owned_by};
pub use self::relative::{below, store_of, written_from};
pub use self::snapshot_folder::{SnapshotFolder, snapshot_time};
pub use self::step::{Step, failed_number, is_lake_name, is_running, is_staging_name, lake_stem, manifest_number};
pub use self::table::{ManifestFiles, TableLayout};
pub(crate) use self::table::{database_export, merged_export};
