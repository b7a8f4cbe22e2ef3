//! The rows of a bundle's partitions, in batches of whole partitions.

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result;

use super::collect::SortedRun;

/// The rows of some partitions in batches of whole partitions, each of which fits in a batch.
pub(super) struct BundleBatches<'a> {
    pub(super) run: &'a SortedRun,
    pub(super) partitions: &'a [usize],
}

impl Iterator for BundleBatches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut places = Vec::new();
        while let Some((&first, others)) = self.partitions.split_first() {
            let partition = self.run.partition(first);
            if !places.is_empty() && places.len() + partition.rows > self.run.batch_rows {
                break;
            }
            self.partitions = others;
            if let Err(error) = partition.add_places(&mut places) {
                return Some(Err(error));
            }
        }
        (!places.is_empty()).then(|| self.run.gather(&places))
    }
}
