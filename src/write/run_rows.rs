//! What a stage task says of its rows besides their values, in columns that only the writer sees.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::datatypes::UInt32Type;

/// Of all rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunRows {
    /// The run's number.
    pub(crate) run: u32,
    /// Rows that their partition has in this run, if they came in order; else 0.
    pub(crate) in_order: u32,
    /// The bundle that they belong to; otherwise they are of one partition, which has a file to itself.
    pub(crate) bundle: Option<u32>,
}

impl RunRows {
    /// Names of the columns. They are last and are found by their index, so a user's column may have such a name too.
    pub(crate) const COLUMNS: [&'static str; 3] = ["__run", "__in_order", "__bundle"];

    /// Rows without an order are in order, all of them; how many is not known.
    pub(crate) const ALWAYS_IN_ORDER: Self = Self { run: 0, in_order: 1 << 20, bundle: None };

    /// The columns for so many rows. Bundles are counted from 1 in them, 0 is none.
    pub(crate) fn columns(self, rows: usize) -> impl Iterator<Item = ArrayRef> {
        let bundle = self.bundle.map_or(0, |bundle| bundle + 1);
        let column = move |value| Arc::new(UInt32Array::from_value(value, rows)) as ArrayRef;
        [self.run, self.in_order, bundle].into_iter().map(column)
    }

    /// What the last columns of a batch that has rows say.
    pub(crate) fn of(batch: &RecordBatch) -> Self {
        let first = batch.num_columns() - Self::COLUMNS.len();
        let [run, in_order, bundle] =
            [0, 1, 2].map(|column| batch.column(first + column).as_primitive::<UInt32Type>().value(0));
        Self { run, in_order, bundle: bundle.checked_sub(1) }
    }
}
