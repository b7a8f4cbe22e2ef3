//! Reads the published files once more and compares every value, by checksum, with what was written.
//!
//! One task per partition file group, as many at once as threads and memory allow; a task holds one batch at a time. A file
//! that cannot be read is a difference like any other, said with its name.

use std::sync::Arc;

use datafusion::physical_plan::execute_stream;
use futures::{StreamExt, TryStreamExt};

use crate::checksum::{Checksum, ColumnSums};
use crate::error::{Error, Result};
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::parquet_scan;
use crate::write::{LakeColumns, unwrap_engine};

/// Files of one publish task, and the sums of what it wrote.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) partition: String,
    pub(super) files: Vec<FileEntry>,
    pub(super) sums: ColumnSums,
}

/// What differs, in words.
///
/// # Errors
/// Those of opening stores; what is wrong with a file is no error.
pub(super) async fn differences(
    engine: &Engine,
    columns: &LakeColumns,
    published: &[Published],
) -> Result<Vec<String>> {
    let reads = futures::stream::iter(published).map(|group| async move {
        let of = if group.partition.is_empty() { String::new() } else { format!("partition {}: ", group.partition) };
        let first = group.files.first().map_or("no file", |file| &*file.uri);
        let place = match group.files.len() {
            0 | 1 => first.to_owned(),
            files => format!("one of {files} files, the first of which is {first}"),
        };
        let said = match sums(engine, columns, &group.files).await {
            Err(error) => vec![format!("{of}cannot read {place}: {error}")],
            Ok(found) => {
                let changed = found.differing(&group.sums).into_iter();
                changed.map(|column| format!("{of}values of column '{column}' were changed in {place}")).collect()
            }
        };
        Ok::<_, Error>(said)
    });
    let said: Vec<Vec<String>> = reads.buffered(engine.parallel_tasks()).try_collect().await?;
    Ok(said.into_iter().flatten().collect())
}

async fn sums(engine: &Engine, columns: &LakeColumns, files: &[FileEntry]) -> Result<ColumnSums> {
    let checksum = Arc::new(Checksum::of_all(&columns.file));
    let session = engine.task_session(files).await?;
    let scan = parquet_scan(&session, &columns.file, &[files.to_vec()]).map_err(unwrap_engine)?;
    let mut rows = execute_stream(scan, session.task_ctx()).map_err(unwrap_engine)?;
    let task = {
        let checksum = Arc::clone(&checksum);
        // On a thread of its own, so that as many groups are decoded at once as there are threads.
        datafusion::common::runtime::SpawnedTask::spawn(async move {
            while let Some(batch) = rows.next().await {
                checksum.add(&batch?)?;
            }
            Ok::<_, datafusion::error::DataFusionError>(())
        })
    };
    let read = task.join_unwind().await;
    read.unwrap_or_else(|error| Err(datafusion::error::DataFusionError::ExecutionJoin(Box::new(error))))
        .map_err(unwrap_engine)?;
    Ok(checksum.sums())
}
