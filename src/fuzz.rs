//! What the fuzz targets of `tests/fuzz` call and the crate does not show: nothing here is part of the program.

use datafusion::common::TableReference;
use futures::StreamExt;

use crate::error::Result;
use crate::session::Engine;
use crate::snapshot::{FileListTable, ScanSize, TableFiles, register};

/// Reads all rows of a snapshot table as a stage task does, and says how many there are.
///
/// # Errors
/// Those of stores and decoders.
pub async fn read(engine: &Engine, table: &TableFiles) -> Result<u64> {
    let session = engine.task_session(&table.files).await?;
    register(&session, "snapshot", &table.name, FileListTable::of_export(table.clone(), ScanSize::Driving))?;
    let name = TableReference::partial("snapshot", table.name.as_str());
    let mut batches = session.table(name).await?.execute_stream().await?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}
