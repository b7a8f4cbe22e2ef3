//! What of a run goes into one file: a partition, or the small partitions of a bundle.
//!
//! ```text
//! partition    a 9,000 rows   b 12   c 700   d 5,000   e 31     enough small ones: else each is a unit
//! bundle       -              7      3       -         7
//! units        a   d   c   7: b e
//! ```

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::cmp::not_distinct;
use datafusion::arrow::datatypes::Schema;

use super::order::RunOrder;
use crate::layout::bundle::{SHARED_FROM, bundle_of};
use crate::layout::partition;
use crate::write::COPIED_ROWS;

/// Partitions of fewer rows than this are small however short the run is.
const MIN_LIMIT: f64 = 256.0;

/// The rows of a run that one staging file gets: a partition or a bundle. Partitions are numbered as in their run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    Partition(usize),
    Bundle { number: u32, partitions: Vec<usize> },
}

/// Which partitions share files.
#[derive(Debug)]
pub(super) struct Sharing {
    /// Of the partition columns.
    names: Vec<String>,
    bundles: u32,
}

impl Sharing {
    pub(super) fn new(order: &RunOrder, schema: &Schema) -> Self {
        let names = order.partition.iter().map(|&column| schema.field(column).name().clone());
        Self { names: names.collect(), bundles: order.bundles }
    }

    /// The units of a run whose partitions have so many rows each, and these values. Of a last run, which is not
    /// full, a partition is small when it would be in a full one: one that is large in others keeps its own files.
    #[expect(clippy::cast_precision_loss, reason = "a limit")]
    pub(super) fn units(&self, rows: &[usize], values: &[ArrayRef], fullness: f64) -> Vec<Unit> {
        let limit = (COPIED_ROWS as f64 * fullness.min(1.0)).max(MIN_LIMIT);
        let is_small = |rows: usize| (rows as f64) < limit;
        let small = rows.iter().filter(|&&rows| is_small(rows)).count();
        if self.bundles == 0 || small < SHARED_FROM * self.bundles as usize {
            return (0..rows.len()).map(Unit::Partition).collect();
        }
        let (mut units, mut bundles) = (Vec::new(), BTreeMap::<u32, Vec<usize>>::new());
        for (number, path) in self.paths(values, rows.len()).into_iter().enumerate() {
            match path {
                Some(path) if is_small(rows[number]) => {
                    bundles.entry(bundle_of(&path, self.bundles)).or_default().push(number);
                }
                _ => units.push(Unit::Partition(number)),
            }
        }
        units.extend(bundles.into_iter().map(|(number, partitions)| match partitions[..] {
            [only] => Unit::Partition(only),
            _ => Unit::Bundle { number, partitions },
        }));
        units
    }

    /// Hive paths of partitions. `None` for a value that cannot be in a path (the writer reports the error), or that
    /// its text does not give back: rows in a file and rows below a path would be two partitions.
    fn paths(&self, values: &[ArrayRef], count: usize) -> Vec<Option<String>> {
        let texts: Vec<_> = (0..count).map(|number| partition::values_at(values, number).ok()).collect();
        let mut come_back = vec![true; count];
        for (column, values) in values.iter().enumerate() {
            let texts: StringArray =
                texts.iter().map(|texts| texts.as_ref().and_then(|texts| texts[column].as_deref())).collect();
            // A text that is not one of the type becomes NULL.
            let same = cast(&texts, values.data_type()).and_then(|back| not_distinct(&back, values));
            let same = same.unwrap_or_else(|_| BooleanArray::from(vec![false; count]));
            come_back.iter_mut().zip(same.iter()).for_each(|(all, same)| *all &= same == Some(true));
        }
        let path = |values| partition::path(self.names.iter().map(String::as_str), values);
        texts
            .iter()
            .zip(come_back)
            .map(|(texts, comes_back)| Some(path(texts.as_ref().filter(|_| comes_back)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int32Array, TimestampMicrosecondArray};

    use super::*;
    use crate::layout::partition::NULL_SEGMENT;

    /// With two bundles, so that eight small partitions share.
    fn sharing() -> Sharing {
        Sharing { names: vec!["k".to_owned()], bundles: 2 }
    }

    fn numbers(count: i32) -> Vec<ArrayRef> {
        vec![Arc::new((0..count).collect::<Int32Array>())]
    }

    /// Partitions that share, and those that do not.
    fn split(units: Vec<Unit>) -> (Vec<usize>, Vec<usize>) {
        let (mut shared, mut alone) = (Vec::new(), Vec::new());
        for unit in units {
            match unit {
                Unit::Partition(number) => alone.push(number),
                Unit::Bundle { number, partitions } => {
                    assert!(number < 2 && partitions.len() > 1 && partitions.is_sorted());
                    shared.extend(partitions);
                }
            }
        }
        shared.sort_unstable();
        (shared, alone)
    }

    #[test]
    fn small_partitions_share_when_there_are_enough() {
        assert_eq!(split(sharing().units(&[5; 8], &numbers(8), 1.0)), ((0..8).collect(), vec![]));
        assert_eq!(split(sharing().units(&[5; 7], &numbers(7), 1.0)), (vec![], (0..7).collect()));
        let none = Sharing { bundles: 0, ..sharing() };
        assert_eq!(split(none.units(&[5; 8], &numbers(8), 1.0)), (vec![], (0..8).collect()));
    }

    #[test]
    fn large_partition_has_a_file_to_itself_also_in_a_run_that_is_not_full() {
        let mut rows = [5; 10];
        rows[3] = 4096;
        rows[4] = 4095;
        assert_eq!(split(sharing().units(&rows, &numbers(10), 1.0)), (vec![0, 1, 2, 4, 5, 6, 7, 8, 9], vec![3]));
        rows[4] = 410;
        rows[3] = 409;
        assert_eq!(split(sharing().units(&rows, &numbers(10), 0.1)), (vec![0, 1, 2, 3, 5, 6, 7, 8, 9], vec![4]));
    }

    #[test]
    fn value_that_has_no_path_or_does_not_come_back_from_it_stays_alone() {
        let texts = (0..9).map(|n| if n == 2 { NULL_SEGMENT.to_owned() } else { n.to_string() });
        let texts: ArrayRef = Arc::new(texts.map(Some).collect::<StringArray>());
        assert_eq!(split(sharing().units(&[5; 9], &[texts], 1.0)).1, [2]);
        // 10000-01-01 prints with a sign, which nothing reads.
        let mut times: Vec<i64> = (0..9).collect();
        times[8] = 253_402_300_800_000_000;
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times));
        assert_eq!(split(sharing().units(&[5; 9], &[times], 1.0)).1, [8]);
    }
}
