//! What of a run goes into one file: a partition, or the small partitions of a bundle.
//!
//! ```text
//! partition    a 9,000 rows   b 12   c 700   d 5,000   e 31     at least SHARED_FROM small ones, else each is a unit
//! bundle       -              7      3       -         7
//! units        a   d   3: c   7: b e
//! ```

use std::collections::BTreeMap;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::error::Result;

use super::collect::Run;
use crate::bundle::{SHARED_FROM, bundle_of};
use crate::partition;
use crate::session::BATCH_ROWS;
use crate::write::COPIED_ROWS;

/// See the module's head. Partitions are numbered as in their run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    Partition(usize),
    Bundle { number: u32, partitions: Vec<usize> },
}

/// The units of a run whose partitions have so many rows each and these values of the columns so named.
pub(super) fn units(rows: &[usize], names: &[String], values: &[ArrayRef]) -> Vec<Unit> {
    let is_small = |rows: usize| (rows as u64) < COPIED_ROWS;
    if rows.iter().filter(|&&rows| is_small(rows)).count() < SHARED_FROM {
        return (0..rows.len()).map(Unit::Partition).collect();
    }
    let (mut units, mut bundles) = (Vec::new(), BTreeMap::<u32, Vec<usize>>::new());
    for (number, &rows) in rows.iter().enumerate() {
        // A value that cannot be in a path is the writer's matter, which tells it.
        match partition::values_at(values, number) {
            Ok(values) if is_small(rows) => {
                let path = partition::path(names.iter().map(String::as_str), &values);
                bundles.entry(bundle_of(&path)).or_default().push(number);
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

/// The rows of some partitions in batches of whole partitions, each of which fits in a batch.
pub(super) struct BundleBatches<'a> {
    pub(super) run: &'a Run,
    pub(super) partitions: &'a [usize],
}

impl Iterator for BundleBatches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut places = Vec::new();
        while let Some((&first, others)) = self.partitions.split_first() {
            let partition = self.run.partition(first);
            if !places.is_empty() && places.len() + partition.rows > BATCH_ROWS {
                break;
            }
            if let Err(error) = partition.add_places(&mut places) {
                return Some(Err(error));
            }
            self.partitions = others;
        }
        (!places.is_empty()).then(|| self.run.gather(&places))
    }
}
