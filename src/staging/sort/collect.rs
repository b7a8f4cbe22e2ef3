//! The rows of one run, brought together by partition piece by piece, while a piece is in cache.
//!
//! ```text
//! partition, key    2c 1e 2a 1b | 2b 1f 1h 2d       two pieces, as they came
//! by partition      1e 1b  2c 2a | 1f 1h  2b 2d     four stretches, each of rows as they came
//! given out         1: b e f h   2: a b c d         stretches of a partition one after another, sorted where they must be
//! ```
//!
//! One gather over a whole run reads each cache line as often as it has partitions; in a piece it is read once.
//! Stretches of a partition that came in order, as most exports do, are given out as they are where they are long.
//! Others are gathered once more, a batch of one partition at a time, by the sorted places of their rows.
//!
//! Memory: the run, one piece more while it is ordered, and of each row of a partition its key and place while that is
//! sorted. No I/O, nothing is spilled, and where runs end is the caller's matter. Fails only for types that have no
//! order.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{BatchCoalescer, concat, interleave_record_batch, take_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;

use super::order::{Keys, PartitionNumbers, PartitionOrder, Ranked, RunOrder, by_partition, sorted};
use super::units::{Sharing, Unit};
use crate::types::width::batch_rows;

/// Rows of a stretch from which on it is given out as it is: with fewer, less is gained than the writer needs for each
/// batch, which looks at the first one to choose encodings.
const LONG_STRETCH: usize = 512;

/// Pieces of a full run: enough that one more of them in memory does not matter, and few, so that its stretches are
/// long.
pub(crate) const PIECES: usize = 8;

/// Rows of one partition in one piece, as they came.
#[derive(Debug, Clone)]
struct Stretch {
    partition: u32,
    piece: usize,
    rows: Range<u32>,
}

/// A run of fewer than 2^32 rows that is being collected.
pub(crate) struct Collector {
    incoming: BatchCoalescer,
    /// What the rows of `incoming` need by themselves, and with how much of it a piece ends before it has all its rows.
    incoming_bytes: usize,
    piece_bytes: usize,
    /// Of what is given out.
    batch_rows: usize,
    sharing: Sharing,
    partitions: PartitionNumbers,
    keys: Option<Keys>,
    arrivals: PartitionOrder,
    pieces: Vec<RecordBatch>,
    /// Bytes of the pieces.
    bytes: usize,
    stretches: Vec<Stretch>,
}

impl Collector {
    /// Pieces have so many rows, and fewer where these need more than `piece_bytes`.
    ///
    /// # Errors
    /// For types that have no order.
    pub(crate) fn new(order: &RunOrder, schema: &SchemaRef, piece_rows: usize, piece_bytes: usize) -> Result<Self> {
        Ok(Self {
            incoming: BatchCoalescer::new(Arc::clone(schema), piece_rows),
            incoming_bytes: 0,
            piece_bytes,
            batch_rows: batch_rows(schema),
            sharing: Sharing::new(order, schema),
            partitions: PartitionNumbers::new(order, schema)?,
            keys: Keys::new(order, schema)?,
            arrivals: PartitionOrder::default(),
            pieces: Vec::new(),
            bytes: 0,
            stretches: Vec::new(),
        })
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.stretches.capacity() * size_of::<Stretch>() + self.incoming.size()
    }

    /// Adds rows, which need so many bytes by themselves.
    ///
    /// # Errors
    /// For types that have no order, or cannot be gathered.
    pub(crate) fn push(&mut self, batch: RecordBatch, bytes: usize) -> Result<()> {
        let rows = batch.num_rows();
        self.incoming.push_batch(batch)?;
        self.add_pieces()?;
        let left = self.incoming.get_buffered_rows();
        // No more rows than this batch has are left: those before it are in a piece.
        self.incoming_bytes = if left <= rows { bytes / rows.max(1) * left } else { self.incoming_bytes + bytes };
        if self.incoming_bytes > self.piece_bytes { self.end_piece() } else { Ok(()) }
    }

    fn end_piece(&mut self) -> Result<()> {
        self.incoming_bytes = 0;
        self.incoming.finish_buffered_batch()?;
        self.add_pieces()
    }

    fn add_pieces(&mut self) -> Result<()> {
        while let Some(rows) = self.incoming.next_completed_batch() {
            let numbers = self.partitions.number(&rows)?;
            let (places, found) = by_partition(&numbers, self.partitions.count());
            let is_ordered = places.is_sorted();
            let piece = if is_ordered { rows } else { take_record_batch(&rows, &UInt32Array::from(places))? };
            if let Some(keys) = &self.keys
                && found.iter().any(|&(partition, _)| self.arrivals.in_order(partition))
            {
                let keys = keys.encode(&keys.columns(&piece))?;
                found.iter().for_each(|(partition, rows)| self.arrivals.see(*partition, &keys, rows.clone()));
            }
            let of_piece = |(partition, rows)| Stretch { partition, piece: self.pieces.len(), rows };
            self.stretches.extend(found.into_iter().map(of_piece));
            self.bytes += piece.get_array_memory_size();
            self.pieces.push(piece);
        }
        Ok(())
    }

    /// Ends the run, which is so full, of 1.
    ///
    /// # Errors
    /// For types that have no order.
    pub(crate) fn finish(mut self, fullness: f64) -> Result<SortedRun> {
        self.end_piece()?;
        let Ranked { ranks, values } = self.partitions.ranked()?;
        // A stable sort: pieces stay as they came.
        self.stretches.sort_by_key(|stretch| ranks[stretch.partition as usize]);
        let (mut partitions, mut rows) = (Vec::<Range<usize>>::new(), Vec::new());
        for stretches in self.stretches.chunk_by(|a, b| a.partition == b.partition) {
            let start = partitions.last().map_or(0, |last| last.end);
            partitions.push(start..start + stretches.len());
            rows.push(stretches.iter().map(|stretch| stretch.rows.len()).sum());
        }
        let units = self.sharing.units(&rows, &values, fullness);
        let Self { pieces, stretches, keys, arrivals, batch_rows, .. } = self;
        Ok(SortedRun { pieces, stretches, partitions, units, batch_rows, keys, arrivals })
    }
}

/// A run, partition by partition.
pub(crate) struct SortedRun {
    pieces: Vec<RecordBatch>,
    /// In the order of their partitions.
    stretches: Vec<Stretch>,
    /// The stretches of each partition.
    partitions: Vec<Range<usize>>,
    /// What of it goes into one file.
    pub(super) units: Vec<Unit>,
    /// Of its batches, at most.
    pub(super) batch_rows: usize,
    keys: Option<Keys>,
    arrivals: PartitionOrder,
}

impl SortedRun {
    /// How many partitions it has rows of.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn count(&self) -> usize {
        self.partitions.len()
    }

    /// A partition; they are numbered in their order.
    pub(crate) fn partition(&self, number: usize) -> RunPartition<'_> {
        RunPartition::new(self, &self.stretches[self.partitions[number].clone()])
    }

    /// The rows at these places: of a piece, each.
    ///
    /// # Errors
    /// For types that cannot be gathered.
    pub(super) fn gather(&self, places: &[(usize, usize)]) -> Result<RecordBatch> {
        let pieces: Vec<&RecordBatch> = self.pieces.iter().collect();
        Ok(interleave_record_batch(&pieces, places)?)
    }
}

/// The rows of one partition in one run.
pub(crate) struct RunPartition<'a> {
    run: &'a SortedRun,
    stretches: &'a [Stretch],
    /// Rows before each stretch.
    starts: Vec<usize>,
    /// Of all stretches.
    pub(crate) rows: usize,
    /// Whether they came in order.
    pub(crate) came_in_order: bool,
}

impl<'a> RunPartition<'a> {
    fn new(run: &'a SortedRun, stretches: &'a [Stretch]) -> Self {
        let mut rows = 0;
        let starts = stretches
            .iter()
            .map(|stretch| {
                rows += stretch.rows.len();
                rows - stretch.rows.len()
            })
            .collect();
        let came_in_order = stretches.first().is_none_or(|stretch| run.arrivals.in_order(stretch.partition));
        Self { run, stretches, starts, rows, came_in_order }
    }

    /// Its rows in order.
    ///
    /// # Errors
    /// For types that cannot be gathered.
    pub(crate) fn batches(&self) -> Result<SortedBatches<'_>> {
        let places = if self.came_in_order { None } else { self.sorted()? };
        let first = self.stretches.first().map_or(0, |stretch| stretch.rows.len());
        let whole = self.came_in_order && first.min(self.rows / self.stretches.len().max(1)) >= LONG_STRETCH;
        Ok(SortedBatches { partition: self, places, whole, given: 0 })
    }

    /// Appends piece and row of all its rows in order.
    ///
    /// # Errors
    /// For types that cannot be gathered.
    pub(super) fn add_places(&self, places: &mut Vec<(usize, usize)>) -> Result<()> {
        match if self.came_in_order { None } else { self.sorted()? } {
            Some(sorted) => places.extend(sorted.into_iter().map(|row| self.place(row as usize))),
            None => places.extend(self.places(0, self.rows)),
        }
        Ok(())
    }

    /// The places of its rows in their order, as keys say.
    fn sorted(&self) -> Result<Option<Vec<u32>>> {
        let Some(keys) = &self.run.keys else { return Ok(None) };
        let of_stretch = |stretch: &Stretch| {
            let piece = keys.columns(&self.run.pieces[stretch.piece]);
            piece.iter().map(|column| column.slice(stretch.rows.start as usize, stretch.rows.len())).collect::<Vec<_>>()
        };
        let of_stretches: Vec<Vec<ArrayRef>> = self.stretches.iter().map(of_stretch).collect();
        let columns = (0..keys.columns.len())
            .map(|column| concat(&of_stretches.iter().map(|columns| columns[column].as_ref()).collect::<Vec<_>>()))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let keys = keys.encode(&columns)?;
        drop((of_stretches, columns));
        Ok(Some(sorted(&keys)))
    }

    /// The stretch that a place in the partition, as it came, is in.
    fn stretch_of(&self, place: usize) -> usize {
        self.starts.partition_point(|&start| start <= place) - 1
    }

    /// Piece and row of a place.
    fn place(&self, place: usize) -> (usize, usize) {
        let at = self.stretch_of(place);
        let Stretch { piece, rows, .. } = &self.stretches[at];
        (*piece, rows.start as usize + place - self.starts[at])
    }

    /// Pieces and rows of so many places.
    fn places(&self, from: usize, length: usize) -> Vec<(usize, usize)> {
        let first = self.stretch_of(from);
        let mut places = Vec::with_capacity(length);
        for (stretch, start) in self.stretches[first..].iter().zip(&self.starts[first..]) {
            let skipped = from.saturating_sub(*start);
            let left = (stretch.rows.len() - skipped).min(length - places.len());
            let row = stretch.rows.start as usize + skipped;
            places.extend((row..row + left).map(|row| (stretch.piece, row)));
            if places.len() == length {
                break;
            }
        }
        places
    }
}

/// The rows of one partition in order, in batches of at most [`batch_rows`].
pub(crate) struct SortedBatches<'a> {
    partition: &'a RunPartition<'a>,
    /// Places of the rows in their order, if they did not come in it.
    places: Option<Vec<u32>>,
    /// Whether stretches are given out as they are.
    whole: bool,
    given: usize,
}

impl Iterator for SortedBatches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let RunPartition { run, stretches, starts, rows, .. } = self.partition;
        let (from, left) = (self.given, rows - self.given);
        if left == 0 {
            return None;
        }
        if self.whole {
            let at = self.partition.stretch_of(from);
            let Stretch { piece, rows, .. } = &stretches[at];
            let row = from - starts[at];
            let length = (rows.len() - row).min(run.batch_rows);
            self.given += length;
            return Some(Ok(run.pieces[*piece].slice(rows.start as usize + row, length)));
        }
        let length = left.min(run.batch_rows);
        self.given += length;
        let places: Vec<(usize, usize)> = match &self.places {
            Some(places) => places[from..from + length].iter().map(|&row| self.partition.place(row as usize)).collect(),
            None => self.partition.places(from, length),
        };
        Some(run.gather(&places))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        AsArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Int32Array, Int64Array, StringArray,
        StringViewArray, TimestampMicrosecondArray,
    };
    use datafusion::arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices};
    use datafusion::arrow::datatypes::Int32Type;
    use proptest::prelude::*;

    use super::*;
    use crate::types::width::BATCH_ROWS;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    /// What a run gives out, by partition: its rows, and whether they came in order.
    fn collected(order: &RunOrder, rows: &RecordBatch, step: usize, piece: usize) -> Vec<(RecordBatch, bool)> {
        let mut collector = Collector::new(order, rows.schema_ref(), piece, usize::MAX).unwrap();
        for start in (0..rows.num_rows()).step_by(step) {
            collector.push(rows.slice(start, step.min(rows.num_rows() - start)), 0).unwrap();
        }
        let run = collector.finish(1.0).unwrap();
        let of_partition = |partition: RunPartition<'_>| {
            let batches: Vec<RecordBatch> = partition.batches().unwrap().map(Result::unwrap).collect();
            assert!(batches.iter().all(|batch| (1..=BATCH_ROWS).contains(&batch.num_rows())));
            let given = concat_batches(rows.schema_ref(), &batches).unwrap();
            assert_eq!(given.num_rows(), partition.rows);
            (given, partition.came_in_order)
        };
        (0..run.count()).map(|number| of_partition(run.partition(number))).collect()
    }

    #[test]
    fn rows_are_given_out_as_drawn_above() {
        let rows = batch(vec![
            ("partition", Arc::new(Int32Array::from(vec![2, 1, 2, 1, 2, 1, 1, 2]))),
            ("key", Arc::new(StringArray::from(vec!["c", "e", "a", "b", "b", "f", "h", "d"]))),
        ]);
        let order = RunOrder { partition: vec![0], keys: vec![(1, SortOptions::default())], bundles: 0 };
        let keys = |(rows, in_order): (RecordBatch, bool)| {
            (rows.column(1).as_string::<i32>().iter().flatten().collect::<String>(), in_order)
        };
        let given: Vec<_> = collected(&order, &rows, 3, 4).into_iter().map(keys).collect();
        assert_eq!(given, [("befh".to_owned(), false), ("abcd".to_owned(), false)]);
    }

    #[test]
    fn long_stretches_in_order_are_given_out_without_a_copy() {
        let count = i32::try_from(4 * LONG_STRETCH).unwrap();
        let rows = batch(vec![
            ("partition", Arc::new((0..count).map(|row| row % 2).collect::<Int32Array>())),
            ("key", Arc::new((0..count).collect::<Int32Array>())),
        ]);
        let order = RunOrder { partition: vec![0], keys: vec![(1, SortOptions::default())], bundles: 0 };
        let mut collector = Collector::new(&order, rows.schema_ref(), 2 * LONG_STRETCH, usize::MAX).unwrap();
        collector.push(rows, 0).unwrap();
        let run = collector.finish(1.0).unwrap();
        for partition in (0..run.count()).map(|number| run.partition(number)) {
            let batches: Vec<RecordBatch> = partition.batches().unwrap().map(Result::unwrap).collect();
            assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [LONG_STRETCH; 2]);
            let address = |batch: &RecordBatch| batch.column(1).as_primitive::<Int32Type>().values().inner().data_ptr();
            let of_pieces: Vec<_> = run.pieces.iter().map(address).collect();
            assert_eq!(batches.iter().map(address).collect::<Vec<_>>(), of_pieces);
        }
    }

    #[test]
    fn piece_ends_with_its_rows_or_earlier_with_its_bytes() {
        let order = RunOrder { partition: vec![0], keys: Vec::new(), bundles: 0 };
        let pieces = |row_bytes: usize| {
            let rows = batch(vec![("partition", Arc::new(Int32Array::from(vec![1; 100])))]);
            let mut collector = Collector::new(&order, rows.schema_ref(), 250, 400).unwrap();
            (0..10).for_each(|_| collector.push(rows.clone(), 100 * row_bytes).unwrap());
            let run = collector.finish(1.0).unwrap();
            run.pieces.iter().map(RecordBatch::num_rows).collect::<Vec<_>>()
        };
        assert_eq!(pieces(1), [250; 4]);
        assert_eq!(pieces(2), [250, 250, 250, 250]);
        assert_eq!(pieces(3), [200; 5]);
        assert_eq!(pieces(5), [100; 10]);
    }

    /// Rows whose partitions and keys depend on their number; other columns are of many types.
    fn many_rows(count: i64, partition: impl Fn(i64) -> i32, key: impl Fn(i64) -> i64) -> RecordBatch {
        let zone: Arc<str> = "Europe/Rome".into();
        let valid = |row: i64| (row % 7 > 0).then_some(row);
        let fixed = (0..count).map(|row| valid(row).map(i64::to_le_bytes));
        batch(vec![
            ("partition", Arc::new((0..count).map(&partition).collect::<Int32Array>())),
            ("key", Arc::new((0..count).map(&key).collect::<Int64Array>())),
            ("row", Arc::new((0..count).collect::<Int64Array>())),
            (
                "text",
                Arc::new(
                    (0..count)
                        .map(|row| valid(row).map(|row| format!("a long text {row}")))
                        .collect::<StringViewArray>(),
                ),
            ),
            ("flag", Arc::new((0..count).map(|row| valid(row).map(|row| row % 3 == 0)).collect::<BooleanArray>())),
            ("fixed", Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 8).unwrap())),
            (
                "price",
                Arc::new(
                    (0..count)
                        .map(|row| valid(row).map(i128::from))
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(20, 2)
                        .unwrap(),
                ),
            ),
            ("at", Arc::new((0..count).map(valid).collect::<TimestampMicrosecondArray>().with_timezone(zone))),
        ])
    }

    #[test]
    fn many_rows_are_given_out_in_order_whether_stretches_are_long_or_short() {
        let count = 40_000;
        let scrambled = |row: i64| (row * 7919) % 40_009;
        let all: Vec<(&str, RecordBatch)> = vec![
            ("long", many_rows(count, |row| i32::from(row % 2 == 0), |row| row)),
            ("one", many_rows(count, |_| 0, |row| row / 3)),
            ("the first is short", many_rows(count, |row| i32::from(!(14_900..=30_000).contains(&row)), |row| row)),
            ("short", many_rows(count, |row| i32::try_from(row % 400).unwrap(), |row| row)),
            ("shuffled", many_rows(count, |row| i32::from(row % 3 == 0), scrambled)),
        ];
        let order = RunOrder { partition: vec![0], keys: vec![(1, SortOptions::default())], bundles: 0 };
        for (name, rows) in all {
            let column = |place: usize| SortColumn { values: Arc::clone(rows.column(place)), options: None };
            let sorted = lexsort_to_indices(&[column(0), column(1), column(2)], None).unwrap();
            let expected = take_record_batch(&rows, &sorted).unwrap();
            let given = collected(&order, &rows, BATCH_ROWS, 15_000);
            let all = concat_batches(rows.schema_ref(), given.iter().map(|(rows, _)| rows)).unwrap();
            assert_eq!(all, expected, "{name}");
            assert!(given.iter().all(|(_, in_order)| *in_order == (name != "shuffled")), "{name}");
        }
    }

    proptest! {
        /// However rows are cut into batches and pieces, what is given out is what a generic sort by partition columns,
        /// keys and row number gives; a partition ends where its values change; and only rows that are in order are
        /// reported as sorted.
        #[test]
        fn run_equals_a_generic_sort(
            values in prop::collection::vec(
                (prop::option::of(0i32..4), prop::option::of("[ab]{0,2}"), prop::option::of("[a-c]{0,20}"), -3i32..3), 1..200),
            is_sorted in any::<bool>(),
            key in (any::<bool>(), any::<bool>()),
            other in (any::<bool>(), any::<bool>()),
            partition_columns in 0usize..3,
            sort_keys in 0usize..3,
            step in 1usize..100,
            piece in 1usize..200,
        ) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(values.iter().map(|row| row.0).collect::<Int32Array>()),
                Arc::new(values.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
                Arc::new(values.iter().map(|row| row.2.as_deref()).collect::<StringViewArray>()),
                Arc::new(values.iter().map(|row| Some(row.3)).collect::<Int32Array>()),
            ];
            let keys = [(2, SortOptions::new(key.0, key.1)), (3, SortOptions::new(other.0, other.1))];
            let order = RunOrder { partition: (0..partition_columns).collect(), keys: keys[..sort_keys].to_vec(), bundles: 0 };
            let mut rows = batch(["p", "q", "k", "l"].into_iter().zip(columns).collect());
            let sort_column = |rows: &RecordBatch, column: usize, options| {
                SortColumn { values: Arc::clone(rows.column(column)), options: Some(options) }
            };
            if is_sorted && sort_keys > 0 {
                let by_key: Vec<_> = order.keys.iter().map(|&(column, options)| sort_column(&rows, column, options)).collect();
                rows = take_record_batch(&rows, &lexsort_to_indices(&by_key, None).unwrap()).unwrap();
            }
            let number: ArrayRef = Arc::new((0..).take(rows.num_rows()).collect::<Int32Array>());
            let numbered = rows.columns().iter().cloned().chain([number]);
            let rows = batch(["p", "q", "k", "l", "n"].into_iter().zip(numbered).collect());

            let by_partition: Vec<_> = order.partition.iter()
                .map(|&column| sort_column(&rows, column, SortOptions::new(false, true))).collect();
            let mut sort = by_partition.clone();
            sort.extend(order.keys.iter().map(|&(column, options)| sort_column(&rows, column, options)));
            sort.push(sort_column(&rows, 4, SortOptions::default()));
            let expected = take_record_batch(&rows, &lexsort_to_indices(&sort, None).unwrap()).unwrap();

            let given = collected(&order, &rows, step, piece);
            let all = concat_batches(rows.schema_ref(), given.iter().map(|(rows, _)| rows)).unwrap();
            prop_assert_eq!(&all, &expected);
            let text = |row: usize| format!("{:?}", expected.project(&order.partition).unwrap().slice(row, 1).columns());
            let ends: Vec<usize> =
                (1..=rows.num_rows()).filter(|&row| row == rows.num_rows() || text(row - 1) != text(row)).collect();
            let mut end = 0;
            let found: Vec<usize> = given.iter().map(|(rows, _)| { end += rows.num_rows(); end }).collect();
            prop_assert_eq!(found, ends);
            for (rows, came_in_order) in given {
                prop_assert_eq!(came_in_order, rows.column(4).as_primitive::<Int32Type>().values().is_sorted());
            }
        }
    }
}
