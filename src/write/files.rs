//! The rows that come out of [`LakeWriteExec`](super::LakeWriteExec), one per file, as entries of a manifest.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, stream};

use crate::layout::FilePartition;
use crate::manifest::FileEntry;

/// Schema of the rows that come out: one per file.
pub(crate) fn output_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("uri", DataType::Utf8, false),
        Field::new("etag", DataType::Utf8, false),
        Field::new("size", DataType::UInt64, false),
        Field::new("n_record", DataType::UInt64, false),
        Field::new("partition", DataType::Utf8, false),
        Field::new("column_statistics", DataType::Utf8, false),
    ]))
}

/// Runs a plan that ends in [`LakeWriteExec`](super::exec::LakeWriteExec) and gives its rows as manifest entries,
/// each with its column statistics, in the order of their uris.
pub(crate) async fn collect_files(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<Vec<(FileEntry, String)>> {
    let streams = 0..plan.output_partitioning().partition_count();
    let streams = streams.map(|stream| plan.execute(stream, Arc::clone(&context))).collect::<Result<Vec<_>>>()?;
    let mut batches = stream::select_all(streams);
    let (mut files, mut failed) = (Vec::new(), None);
    while let Some(batch) = batches.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                // The others end soon, and by themselves: none leaves half an upload behind. Which one is reported,
                // when several fail, is chance.
                failed.get_or_insert(error);
                continue;
            }
        };
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let number = |column: usize| batch.column(column).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let file = FileEntry {
                uri: text(0).value(row).into(),
                etag: text(1).value(row).into(),
                size: number(2).value(row),
                n_record: Some(number(3).value(row)),
                partition: FilePartition::parse(Some(text(4).value(row)))
                    .map_err(|error| DataFusionError::External(Box::new(error)))?,
            };
            files.push((file, text(5).value(row).to_owned()));
        }
    }
    files.sort_unstable_by(|(one, _), (other, _)| one.uri.cmp(&other.uri));
    failed.map_or(Ok(files), Err)
}
