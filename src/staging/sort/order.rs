//! The order of one run: by partition, within a partition by the sort keys, ties as they came.
//!
//! Partitions are numbered as they are met, and a counting sort brings their rows together. Whether the rows of a
//! partition came in order is known while they are collected; only where they did not, keys are sorted: of one
//! partition at a time, which stay in cache. Keys are compared in the row format of `arrow_row`, by their first 16
//! bytes where these differ.
//!
//! Pure: no I/O.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use crate::layout::bundle;

/// Rows whose partitions are numbered at once: few enough that their keys stay in cache.
const INTERN_ROWS: usize = 8192;

/// What to order by, as indices of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunOrder {
    /// Partition columns, ascending, NULL first.
    pub(crate) partition: Vec<usize>,
    /// Sort keys within a partition.
    pub(crate) keys: Vec<(usize, SortOptions)>,
    /// Bundles that small partitions fall into; 0 if they share no files.
    pub(crate) bundles: u32,
}

/// Numbers partitions in the order in which they are met.
pub(super) struct PartitionNumbers {
    columns: Vec<usize>,
    /// `None` without partition columns: then all rows are of partition 0.
    values: Option<Box<dyn GroupValues>>,
}

impl PartitionNumbers {
    pub(super) fn new(order: &RunOrder, schema: &Schema) -> Result<Self> {
        let columns = order.partition.clone();
        if columns.is_empty() {
            return Ok(Self { columns, values: None });
        }
        let values = new_group_values(Arc::new(schema.project(&columns)?), &GroupOrdering::None)?;
        Ok(Self { columns, values: Some(values) })
    }

    /// Partitions met so far.
    pub(super) fn count(&self) -> usize {
        self.values.as_ref().map_or(1, |values| values.len())
    }

    /// The number of each row's partition.
    pub(super) fn number(&mut self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let Some(values) = &mut self.values else { return Ok(vec![0; rows.num_rows()]) };
        let keys = rows.project(&self.columns)?;
        let (mut numbers, mut of_slice) = (Vec::with_capacity(rows.num_rows()), Vec::new());
        for start in (0..rows.num_rows()).step_by(INTERN_ROWS) {
            let slice = keys.slice(start, INTERN_ROWS.min(rows.num_rows() - start));
            values.intern(slice.columns(), &mut of_slice)?;
            // There are no more partitions than rows, of which a run has fewer than 2^32.
            numbers.extend(of_slice.iter().map(|&number| u32::try_from(number).unwrap_or(u32::MAX)));
        }
        Ok(numbers)
    }

    /// Their order.
    ///
    /// # Errors
    /// For types that have no order.
    pub(super) fn ranked(self) -> Result<Ranked> {
        let Some(mut values) = self.values else { return Ok(Ranked { ranks: vec![0], values: Vec::new() }) };
        let values = values.emit(EmitTo::All)?;
        let column = |values: &ArrayRef| SortColumn { values: Arc::clone(values), options: Some(bundle::ORDER) };
        let sorted = lexsort_to_indices(&values.iter().map(column).collect::<Vec<_>>(), None)?;
        let mut ranks = vec![0; sorted.len()];
        for (rank, number) in (0..).zip(sorted.values()) {
            ranks[*number as usize] = rank;
        }
        let values = values.iter().map(|values| take(values, &sorted, None));
        Ok(Ranked { ranks, values: values.collect::<std::result::Result<_, _>>()? })
    }
}

/// Partitions in their order.
pub(super) struct Ranked {
    /// The place of each partition.
    pub(super) ranks: Vec<u32>,
    /// Values of the partition columns, one per place.
    pub(super) values: Vec<ArrayRef>,
}

/// Rows brought together by partition, in each as they came; and where those of each partition are, of `count`.
pub(super) fn by_partition(numbers: &[u32], count: usize) -> (Vec<u32>, Vec<(u32, Range<u32>)>) {
    let mut ends = vec![0u32; count];
    for &number in numbers {
        ends[number as usize] += 1;
    }
    let (mut next, mut found) = (0, Vec::new());
    for (number, end) in (0..).zip(&mut ends) {
        let start = next;
        next += std::mem::replace(end, start);
        if next > start {
            found.push((number, start..next));
        }
    }
    // Now each entry is its partition's start; placing the rows moves it to the end.
    let mut rows = vec![0u32; numbers.len()];
    for (row, &number) in (0..).zip(numbers) {
        let place = &mut ends[number as usize];
        rows[*place as usize] = row;
        *place += 1;
    }
    (rows, found)
}

/// Encodes sort keys.
pub(super) struct Keys {
    pub(super) columns: Vec<usize>,
    converter: RowConverter,
}

impl Keys {
    /// `None` without keys.
    ///
    /// # Errors
    /// For types that have no order.
    pub(super) fn new(order: &RunOrder, schema: &Schema) -> Result<Option<Self>> {
        if order.keys.is_empty() {
            return Ok(None);
        }
        let field = |&(column, options): &(usize, SortOptions)| {
            SortField::new_with_options(schema.field(column).data_type().clone(), options)
        };
        let converter = RowConverter::new(order.keys.iter().map(field).collect())?;
        Ok(Some(Self { columns: order.keys.iter().map(|&(column, _)| column).collect(), converter }))
    }

    /// The key columns of a batch.
    pub(super) fn columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.columns.iter().map(|&column| Arc::clone(rows.column(column))).collect()
    }

    pub(super) fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }
}

/// Which partitions came in order so far.
#[derive(Debug, Default)]
pub(super) struct PartitionOrder {
    /// The last key of each partition, empty before the first; `None` when one was smaller than the one before.
    last: Vec<Option<Vec<u8>>>,
}

impl PartitionOrder {
    pub(super) fn in_order(&self, partition: u32) -> bool {
        self.last.get(partition as usize).is_none_or(Option::is_some)
    }

    /// Looks at the next rows of a partition.
    pub(super) fn see(&mut self, partition: u32, keys: &Rows, rows: Range<u32>) {
        let place = partition as usize;
        if place >= self.last.len() {
            self.last.resize(place + 1, Some(Vec::new()));
        }
        let Some(last) = &mut self.last[place] else { return };
        let mut before = (prefix(last), last.as_slice());
        for row in rows {
            let key = keys.row(row as usize);
            let key = (prefix(key.data()), key.data());
            // Encoded keys compare as their bytes do; no key is empty.
            if key < before {
                self.last[place] = None;
                return;
            }
            before = key;
        }
        *last = before.1.to_vec();
    }
}

/// The places of encoded keys in their order, equal ones as they came.
pub(super) fn sorted(keys: &Rows) -> Vec<u32> {
    let key = |row: u32| keys.row(row as usize);
    let mut places: Vec<_> = (0..).zip(keys).map(|(row, key)| (prefix(key.data()), row)).collect();
    let compare = |a: &(Prefix, u32), b: &(Prefix, u32)| -> Ordering {
        a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))).then(a.1.cmp(&b.1))
    };
    places.sort_unstable_by(compare);
    places.into_iter().map(|(_, row)| row).collect()
}

/// The first 16 bytes of a key.
type Prefix = (u64, u64);

/// As numbers that compare as the bytes do; a shorter key is filled up with zeros.
fn prefix(key: &[u8]) -> Prefix {
    let part = |from: usize| {
        let mut bytes = [0; 8];
        let part = key.get(from..key.len().min(from + 8)).unwrap_or_default();
        bytes[..part.len()].copy_from_slice(part);
        u64::from_be_bytes(bytes)
    };
    (part(0), part(8))
}
