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

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::compaction::plan::PartitionDetails;
    use crate::error::Error;
    use crate::layout::Step;
    use crate::manifest::TaskDetails;
    use crate::pipeline::in_memory::Job;
    use crate::staging::plan::{PlanDetails, committed_head};

    #[tokio::test]
    async fn sums_of_published_files_are_those_of_their_tasks_and_files_of_other_bytes_are_refused() {
        let job = Job::published().await;
        let ledger = job.ledger().await;
        let plan: PlanDetails = committed_head(&ledger, "t").await.unwrap();
        let columns = LakeColumns::new(&plan.output_schema.decode().unwrap(), job.lake()).unwrap();
        let first = ledger.layout().manifest(Step::PartitionFileGroups, 1);
        let groups = ledger.head::<PartitionDetails>(&first).await.unwrap().unwrap().1.groups;
        let (mut written, mut files) = (ColumnSums::default(), Vec::new());
        for number in 1..=groups {
            let target = ledger.layout().manifest(Step::DatalakeFileGroups, number);
            let manifest = ledger.read::<TaskDetails>(&target).await.unwrap().unwrap();
            written.add(&manifest.details.checksums.unwrap());
            files.extend(manifest.files);
        }
        let engine = job.pipeline.engine();
        files.reverse();
        let found = sums(engine, &columns, &files).await.unwrap();
        assert_eq!(found.differing(&written), [] as [String; 0]);
        let some = sums(engine, &columns, &files[1..]).await.unwrap();
        assert_eq!(some.differing(&written), ["id", "v"]);
        let key = job.lake_files().await.remove(0);
        let bytes = job.store.get(&key.as_str().into()).await.unwrap().bytes().await.unwrap();
        job.put(&key, bytes).await;
        assert!(matches!(sums(engine, &columns, &files).await, Err(Error::Engine(_))));
    }
}
