//! Sums over every value of published files, as any reader finds them.

use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::LakeColumns;
use crate::error::Result;
use crate::error::unwrap_engine;
use crate::manifest::FileEntry;
use crate::manifest::checksum::{Checksum, ColumnSums};
use crate::session::Engine;
use crate::snapshot::parquet_scan;
use crate::types::width::batch_rows;

/// Reads files, one batch at a time, and adds up the values of their columns.
///
/// # Errors
/// A file that cannot be read, or is not the one that its entry describes.
pub(crate) async fn sums(engine: &Engine, columns: &LakeColumns, files: &[FileEntry]) -> Result<ColumnSums> {
    let checksum = Arc::new(Checksum::of_all(&columns.file));
    let session = engine.batch_session(files, batch_rows(&columns.file)).await?;
    let scan = parquet_scan(&session, &columns.file, &[files.to_vec()]).map_err(unwrap_engine)?;
    let mut rows = execute_stream(scan, session.task_ctx()).map_err(unwrap_engine)?;
    let task = {
        let checksum = Arc::clone(&checksum);
        // On a thread of its own, so that as many groups are decoded at once as there are threads.
        SpawnedTask::spawn(async move {
            while let Some(batch) = rows.next().await {
                checksum.add(&batch?)?;
            }
            Ok::<_, DataFusionError>(())
        })
    };
    let read = task.join_unwind().await;
    read.unwrap_or_else(|error| Err(DataFusionError::ExecutionJoin(Box::new(error)))).map_err(unwrap_engine)?;
    Ok(checksum.sums())
}
