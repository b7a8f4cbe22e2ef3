//! Reads the footer of a Parquet file that must still be as it was listed: one request for most files.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use object_store::{ObjectMeta, ObjectStore};

use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::session::PinnedStore;

/// Bytes read from the end of a file: holds most footers.
pub(super) const FOOTER_BYTES: usize = 64 << 10;

/// The footer of `file`, which lies at `location` in `store`.
///
/// # Errors
/// What the store or the Parquet reader says; a changed file is a failed precondition.
pub(crate) async fn read_footer(
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    file: &FileEntry,
    policy: PageIndexPolicy,
) -> Result<Arc<ParquetMetaData>> {
    let key = location.key().map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;
    let pinned = PinnedStore::of_file(store, location, file)
        .map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;
    let meta =
        ObjectMeta { location: key, last_modified: DateTime::UNIX_EPOCH, size: file.size, e_tag: None, version: None };
    DFParquetMetadata::new(&pinned, &meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_page_index_policy(Some(policy))
        .fetch_metadata()
        .await
}
