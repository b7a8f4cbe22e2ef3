//! Reads the footer of a Parquet file that must still be as it was listed: one request for most files.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::claims::{FooterBounds, decode_footer, footer_bytes};
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::session::PinnedStore;
use crate::thrift::check_footer;

/// Bytes read from the end of a file: holds most footers.
pub(crate) const FOOTER_BYTES: usize = 64 << 10;

/// The end of a file of `size` bytes that somebody else wrote: its whole footer, if it has one.
///
/// # Errors
/// What the store says.
pub(crate) async fn read_end(store: &dyn ObjectStore, key: &Path, size: u64) -> object_store::Result<Bytes> {
    let start = size.saturating_sub(FOOTER_BYTES as u64);
    let end = store.get_range(key, start..size).await?;
    let missing = footer_bytes(&end).map_or(0, |length| length.saturating_sub(end.len()) as u64);
    if missing == 0 || missing > start {
        return Ok(end);
    }
    let first = store.get_range(key, start - missing..start).await?;
    Ok(Bytes::from([first, end].concat()))
}

/// The footer of a file that somebody else wrote, which lies at `location` in `store`.
///
/// # Errors
/// As [`read_footer`].
pub(crate) async fn read_foreign_footer(
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    file: &FileEntry,
    bounds: FooterBounds,
) -> Result<Arc<ParquetMetaData>> {
    let external = |error| DataFusionError::External(Box::new(error));
    let key = location.key().map_err(external)?;
    check_size(file)?;
    let pinned = PinnedStore::of_file(store, location, file).map_err(external)?;
    let end = read_end(&pinned, &key, file.size).await?;
    Ok(Arc::new(decode_footer(&end, bounds)?))
}

/// Bytes of a Parquet file at least: its magic twice, and the length of its footer.
const SHORTEST: u64 = 12;

fn check_size(file: &FileEntry) -> Result<()> {
    let what = match file.size {
        0 => "it is empty",
        1..SHORTEST => "it is too short to be Parquet",
        _ => return Ok(()),
    };
    Err(DataFusionError::Execution(format!("{what} ({} bytes)", file.size)))
}

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
    let external = |error| DataFusionError::External(Box::new(error));
    let key = location.key().map_err(external)?;
    check_size(file)?;
    let pinned = PinnedStore::of_file(store, location, file).map_err(external)?;
    let mut start = file.size.saturating_sub(FOOTER_BYTES as u64);
    let mut end = pinned.get_range(&key, start..file.size).await?;
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(policy);
    loop {
        check_footer(&end)?;
        match reader.try_parse_sized(&end, file.size) {
            Ok(()) => return Ok(Arc::new(reader.finish()?)),
            Err(ParquetError::NeedMoreData(wanted)) if wanted as u64 > file.size - start => {
                let more = file.size.saturating_sub(wanted as u64)..start;
                start = more.start;
                let first = pinned.get_range(&key, more).await?;
                end = Bytes::from([first, end].concat());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
