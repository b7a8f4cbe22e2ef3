//! Partitions that are published together: of each it is known beforehand how many rows come, and no other may.
//!
//! ```text
//! in        [1 1 1 1 2 2 2 3]   [3 3 4 4 ...        batches of a merge
//! out       [1 1 1 1]  [2 2 2]  [3 3 3]  ...        batches of each partition as if it were alone
//! ```
//!
//! So what is written does not depend on what else is published with a partition. Fewer or more rows than were staged
//! are an error before anything is committed.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use super::spec::RowsOwner;
use crate::types::width::batch_rows;

/// A planned partition that is being written.
pub(crate) struct OpenPartition {
    pub(super) owner: RowsOwner,
    /// Hive path.
    path: String,
    batches: BatchCoalescer,
    /// Rows that are still to come.
    left: u64,
}

impl OpenPartition {
    /// A partition of which so many rows must come.
    pub(super) fn new(owner: RowsOwner, path: String, schema: SchemaRef, rows: u64) -> Self {
        let batch_rows = batch_rows(&schema);
        Self { owner, path, batches: BatchCoalescer::new(schema, batch_rows), left: rows }
    }

    /// Takes rows.
    ///
    /// # Errors
    /// When more come than were staged.
    pub(super) fn push(&mut self, rows: RecordBatch) -> Result<()> {
        let left = self.left.checked_sub(rows.num_rows() as u64);
        self.left = left.ok_or_else(|| self.wrong("more"))?;
        Ok(self.batches.push_batch(rows)?)
    }

    /// The next batch that is as long as it would be if the partition were written alone.
    pub(super) fn next_batch(&mut self) -> Option<RecordBatch> {
        self.batches.next_completed_batch()
    }

    /// Makes what is left a batch.
    ///
    /// # Errors
    /// When fewer rows came than were staged.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.left > 0 {
            return Err(self.wrong("fewer"));
        }
        Ok(self.batches.finish_buffered_batch()?)
    }

    /// For a partition that has other rows than its staging files' manifests say.
    fn wrong(&self, how: &str) -> DataFusionError {
        DataFusionError::Internal(format!("partition {} has {how} rows than were staged", self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};
    use datafusion::arrow::compute::concat_batches;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::parquet::file::properties::WriterProperties;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::super::{FileEncoding, LakeWriteExec, Numbering, PlannedPartition, RollRule, WriteSpec, collect_files};
    use super::*;
    use crate::layout::Location;
    use crate::manifest::FileEntry;
    use crate::types::width::BATCH_ROWS;

    /// Rows of two columns, of which the first is the partition's.
    fn rows(partitions: &[i64]) -> RecordBatch {
        let numbers = (0..).take(partitions.len()).collect::<Int64Array>();
        let columns: [(&str, ArrayRef); 2] =
            [("k", Arc::new(Int64Array::from(partitions.to_vec()))), ("n", Arc::new(numbers))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// Publishes rows where so many of each partition were staged.
    async fn publish(partitions: &[i64], planned: &[(&str, u64)]) -> Result<Vec<FileEntry>> {
        Ok(publish_batches(vec![rows(partitions)], planned).await?.0)
    }

    async fn publish_batches(
        batches: Vec<RecordBatch>,
        planned: &[(&str, u64)],
    ) -> Result<(Vec<FileEntry>, Arc<InMemory>)> {
        let schema = batches[0].schema();
        let file_schema = Arc::new(schema.project(&[1]).unwrap());
        let store = Arc::new(InMemory::new());
        let planned = planned.iter().map(|(path, rows)| {
            ((*path).to_owned(), PlannedPartition { file_stem: format!("of-{path}"), rows: *rows })
        });
        let spec = WriteSpec {
            table: "t".to_owned(),
            store: Arc::clone(&store) as _,
            folder: Location::from_uri("s3://b/lake").unwrap(),
            file_stem: String::new(),
            partition_columns: vec!["k".to_owned()],
            fixed_partition: String::new(),
            planned: planned.collect::<HashMap<_, _>>(),
            bundled: None,
            encoding: FileEncoding::lake(&file_schema, WriterProperties::default()).unwrap(),
            file_schema,
            numbering: Numbering::Rolling(RollRule { target_bytes: 1 << 20, min_bytes: 1 << 19, max_bytes: 1 << 21 }),
            total_rows: None,
            is_published: true,
            write_empty: false,
            checksum: None,
            on_rows: Arc::new(|_| ()),
        };
        let input = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
        let files = collect_files(Arc::new(LakeWriteExec::new(input, Arc::new(spec))), Arc::default()).await?;
        Ok((files.into_iter().map(|(file, _)| file).collect(), store))
    }

    #[tokio::test]
    async fn bytes_of_a_partition_do_not_depend_on_what_comes_before_it_in_a_batch() {
        let content = async |batches: Vec<RecordBatch>, planned: &[(&str, u64)]| {
            let (_, store) = publish_batches(batches, planned).await.unwrap();
            store.get(&"lake/k=2/of-k=2-0000.parquet".into()).await.unwrap().bytes().await.unwrap()
        };
        let second = rows(&[2; 20_000]);
        let alone = (0..20_000).step_by(BATCH_ROWS).map(|at| second.slice(at, BATCH_ROWS.min(20_000 - at)));
        let alone = content(alone.collect(), &[("k=2", 20_000)]).await;
        // Ten rows are too few to choose an encoding by.
        for before in [10, BATCH_ROWS - 10] {
            let first = rows(&vec![1; before]);
            let all = concat_batches(&second.schema(), [&first, &second]).unwrap();
            let cut = (0..all.num_rows()).step_by(BATCH_ROWS);
            let cut = cut.map(|at| all.slice(at, BATCH_ROWS.min(all.num_rows() - at))).collect();
            assert!(content(cut, &[("k=1", before as u64), ("k=2", 20_000)]).await == alone, "after {before} rows");
        }
    }

    #[tokio::test]
    async fn planned_partitions_get_their_rows_under_their_names() {
        let files = publish(&[1, 1, 2], &[("k=1", 2), ("k=2", 1)]).await.unwrap();
        let seen: Vec<_> = files.iter().map(|file| (&*file.uri, file.n_record)).collect();
        assert_eq!(
            seen,
            [("s3://b/lake/k=1/of-k=1-0000.parquet", Some(2)), ("s3://b/lake/k=2/of-k=2-0000.parquet", Some(1))]
        );
    }

    #[tokio::test]
    async fn planned_partition_with_other_rows_than_were_staged_is_refused() {
        let cases = [
            (vec![1, 1], vec![("k=1", 3)], "partition k=1 has fewer rows"),
            (vec![1, 1, 2], vec![("k=1", 3), ("k=2", 1)], "partition k=1 has fewer rows"),
            (vec![1, 1], vec![("k=1", 1)], "partition k=1 has more rows"),
            (vec![1, 2], vec![("k=1", 1)], "rows of partition k=2, which is not planned"),
            (vec![1], vec![("k=1", 1), ("k=2", 1)], "rows of 1 partitions came, 2 were staged"),
        ];
        for (partitions, planned, message) in cases {
            let error = publish(&partitions, &planned).await.unwrap_err().to_string();
            assert!(error.contains(message), "{message}: {error}");
        }
    }
}
