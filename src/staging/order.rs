//! The order of one run: by partition, within a partition by the sort keys, ties as they came.
//!
//! ```text
//! rows      0  1  2  3  4  5        by partition (counting)      by key within each
//! month     2  1  2  1  1  2   ->   1 3 4 | 0 2 5           ->   4 1 3 | 2 0 5
//! key       e  c  a  d  b  f
//! ```
//!
//! One pass numbers the partitions, a counting sort brings their rows together, and only then keys are compared: on few
//! rows at a time, which stay in cache, and not at all where a partition is in order already (most exports are in the
//! order of the primary key). Keys are compared in the row format of `arrow_row`, by their first 16 bytes where these differ.
//!
//! Pure: no I/O, no memory but two numbers per row and the encoded keys.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortColumn, SortOptions, lexsort_to_indices};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;

/// Rows whose partitions are numbered at once: few enough that their keys stay in cache.
const INTERN_ROWS: usize = 8192;

/// What to order by, as indices of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunOrder {
    /// Partition columns, ascending, NULL first.
    pub(crate) partition: Vec<usize>,
    /// Sort keys within a partition.
    pub(crate) keys: Vec<(usize, SortOptions)>,
}

/// Row numbers in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ordered {
    pub(crate) rows: Vec<u32>,
    pub(crate) partitions: Vec<Stretch>,
}

/// Rows of one partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Where they end in [`Ordered::rows`].
    pub(crate) end: usize,
    /// Whether they came in order.
    pub(crate) came_in_order: bool,
}

impl RunOrder {
    /// Orders a run of fewer than 2^32 rows.
    ///
    /// # Errors
    /// For types that have no order.
    pub(crate) fn apply(&self, run: &RecordBatch) -> Result<Ordered> {
        let mut ordered = self.by_partition(run)?;
        if !self.keys.is_empty() {
            let keys = Keys::new(self.encode_keys(run)?);
            let (mut start, mut buffer) = (0, Vec::new());
            for partition in &mut ordered.partitions {
                partition.came_in_order = keys.sort(&mut ordered.rows[start..partition.end], &mut buffer);
                start = partition.end;
            }
        }
        Ok(ordered)
    }

    fn by_partition(&self, run: &RecordBatch) -> Result<Ordered> {
        let count = u32::try_from(run.num_rows()).unwrap_or(u32::MAX);
        if self.partition.is_empty() {
            let all = Stretch { end: run.num_rows(), came_in_order: true };
            return Ok(Ordered { rows: (0..count).collect(), partitions: vec![all] });
        }
        let keys = run.project(&self.partition)?;
        let schema = Arc::new(Schema::new(keys.schema().fields().clone()));
        let mut partitions = new_group_values(schema, &GroupOrdering::None)?;
        let mut ids: Vec<u32> = Vec::with_capacity(run.num_rows());
        let mut batch_ids = Vec::new();
        for start in (0..run.num_rows()).step_by(INTERN_ROWS) {
            let slice = keys.slice(start, INTERN_ROWS.min(run.num_rows() - start));
            partitions.intern(slice.columns(), &mut batch_ids)?;
            // There are no more partitions than rows.
            ids.extend(batch_ids.iter().map(|&id| u32::try_from(id).unwrap_or(u32::MAX)));
        }
        let ranks = ranks(partitions.emit(EmitTo::All)?)?;
        let mut ends = vec![0usize; ranks.len()];
        for &id in &ids {
            ends[ranks[id as usize]] += 1;
        }
        let mut next = 0;
        for end in &mut ends {
            next += std::mem::replace(end, next);
        }
        // Now each entry is its partition's start; placing the rows moves it to the end.
        let mut rows = vec![0u32; ids.len()];
        for (row, &id) in (0..count).zip(&ids) {
            let place = &mut ends[ranks[id as usize]];
            rows[*place] = row;
            *place += 1;
        }
        let partitions = ends.into_iter().map(|end| Stretch { end, came_in_order: true }).collect();
        Ok(Ordered { rows, partitions })
    }

    fn encode_keys(&self, run: &RecordBatch) -> Result<Rows> {
        let schema = run.schema();
        let field = |&(column, options): &(usize, SortOptions)| {
            SortField::new_with_options(schema.field(column).data_type().clone(), options)
        };
        let converter = RowConverter::new(self.keys.iter().map(field).collect())?;
        let columns: Vec<ArrayRef> = self.keys.iter().map(|&(column, _)| Arc::clone(run.column(column))).collect();
        Ok(converter.convert_columns(&columns)?)
    }
}

/// The place of each distinct partition in their order.
fn ranks(values: Vec<ArrayRef>) -> Result<Vec<usize>> {
    let columns: Vec<SortColumn> =
        values.into_iter().map(|values| SortColumn { values, options: Some(SortOptions::new(false, true)) }).collect();
    let sorted = lexsort_to_indices(&columns, None)?;
    let mut ranks = vec![0; sorted.len()];
    for (rank, id) in sorted.values().iter().enumerate() {
        ranks[*id as usize] = rank;
    }
    Ok(ranks)
}

/// Encoded keys by row, with their first 16 bytes at hand.
struct Keys {
    rows: Rows,
    prefixes: Vec<(u64, u64)>,
}

/// First 16 bytes of a key, and its row.
type Prefixed = ((u64, u64), u32);

impl Keys {
    fn new(rows: Rows) -> Self {
        let prefixes = rows.iter().map(|row| prefix(row.data())).collect();
        Self { rows, prefixes }
    }

    /// Sorts row numbers, which stand in ascending order, by their keys; equal keys stay in order. Whether they were sorted
    /// before.
    fn sort(&self, rows: &mut [u32], buffer: &mut Vec<Prefixed>) -> bool {
        let prefixed = |row: u32| (self.prefixes[row as usize], row);
        if rows.is_sorted_by(|&a, &b| self.compare(prefixed(a), prefixed(b)) == Ordering::Less) {
            return true;
        }
        buffer.clear();
        buffer.extend(rows.iter().map(|&row| prefixed(row)));
        buffer.sort_unstable_by(|&a, &b| self.compare(a, b));
        for (row, sorted) in rows.iter_mut().zip(buffer.iter()) {
            *row = sorted.1;
        }
        false
    }

    /// By key, then by row.
    fn compare(&self, a: Prefixed, b: Prefixed) -> Ordering {
        a.0.cmp(&b.0).then_with(|| self.rows.row(a.1 as usize).cmp(&self.rows.row(b.1 as usize))).then(a.1.cmp(&b.1))
    }
}

/// The first 16 bytes as numbers that compare as the bytes do; a shorter key is filled up with zeros.
fn prefix(key: &[u8]) -> (u64, u64) {
    let part = |from: usize| {
        let mut bytes = [0; 8];
        let part = key.get(from..key.len().min(from + 8)).unwrap_or_default();
        bytes[..part.len()].copy_from_slice(part);
        u64::from_be_bytes(bytes)
    };
    (part(0), part(8))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray, Int32Array, StringArray, UInt32Array};
    use datafusion::arrow::compute::take;
    use proptest::prelude::*;

    use super::*;

    fn run(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    #[test]
    fn rows_are_ordered_as_drawn_above() {
        let run = run(vec![
            ("month", Arc::new(Int32Array::from(vec![2, 1, 2, 1, 1, 2]))),
            ("key", Arc::new(StringArray::from(vec!["e", "c", "a", "d", "b", "f"]))),
        ]);
        let order = RunOrder { partition: vec![0], keys: vec![(1, SortOptions::default())] };
        let ordered = order.apply(&run).unwrap();
        assert_eq!(
            (ordered.rows, ordered.partitions.iter().map(|partition| partition.end).collect()),
            (vec![4, 1, 3, 2, 0, 5], vec![3, 6])
        );
        assert!(ordered.partitions.iter().all(|partition| !partition.came_in_order));
    }

    proptest! {
        /// The order is that of a generic sort by partition columns, keys and row number; partitions end where a
        /// partition value changes.
        #[test]
        fn order_equals_a_generic_sort(
            rows in prop::collection::vec(
                (prop::option::of(0i32..4), prop::option::of("[ab]{0,2}"), prop::option::of("[a-c]{0,20}"), -3i32..3), 1..200),
            key in (any::<bool>(), any::<bool>()),
            other in (any::<bool>(), any::<bool>()),
            partition_columns in 0usize..3,
            sort_keys in 0usize..3,
        ) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>()),
                Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
                Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>()),
                Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Int32Array>()),
            ];
            let run = run(["p", "q", "k", "l"].into_iter().zip(columns.iter().cloned()).collect());
            let keys = [(2, SortOptions::new(key.0, key.1)), (3, SortOptions::new(other.0, other.1))];
            let order = RunOrder { partition: (0..partition_columns).collect(), keys: keys[..sort_keys].to_vec() };
            let ordered = order.apply(&run).unwrap();

            let mut sort: Vec<SortColumn> = order.partition.iter().map(|&column| (column, SortOptions::new(false, true)))
                .chain(order.keys.iter().copied())
                .map(|(column, options)| SortColumn { values: Arc::clone(&columns[column]), options: Some(options) })
                .collect();
            let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows.len() as u32));
            sort.push(SortColumn { values: numbers, options: None });
            let expected = lexsort_to_indices(&sort, None).unwrap();
            prop_assert_eq!(&ordered.rows[..], &expected.values()[..]);

            let partitions: Vec<ArrayRef> =
                order.partition.iter().map(|&column| take(&columns[column], &expected, None).unwrap()).collect();
            let text = |row: usize| -> Vec<String> {
                partitions.iter().map(|p| match p.as_string_opt::<i32>() {
                    Some(text) => format!("{:?}", text.is_valid(row).then(|| text.value(row))),
                    None => { let n: &Int32Array = p.as_primitive(); format!("{:?}", n.is_valid(row).then(|| n.value(row))) }
                }).collect()
            };
            let ends: Vec<usize> = (1..=rows.len()).filter(|&row| row == rows.len() || text(row - 1) != text(row)).collect();
            prop_assert_eq!(ordered.partitions.iter().map(|partition| partition.end).collect::<Vec<_>>(), ends);
            let mut start = 0;
            for partition in &ordered.partitions {
                prop_assert_eq!(partition.came_in_order, ordered.rows[start..partition.end].is_sorted());
                start = partition.end;
            }
        }
    }
}
