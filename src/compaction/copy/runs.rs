//! Runs that do not interleave are not merged: their pages are copied, one run after the other.
//!
//! ```text
//! run 0   keys 1..50    run 1   keys 51..90    run 2   keys 91..99       0 1 2, copied
//! run 0   keys 1..50    run 1   keys 40..90                              merged
//! ```
//!
//! Exports are mostly in the order of a key, and without an order asked for no runs interleave. What the runs' keys are
//! is read from the footers of the staging files: smallest and largest value of the first sort key. Keys that may be
//! NULL or NaN are not in these, so such runs are merged; so are runs of few rows, whose pages are not worth copying.
//!
//! Read are small files whole (and few of them only once, for their keys too), large ones row group by row group, one
//! ahead of what is being written.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::compute::SortOptions;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::parquet::basic::Type;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::parquet::schema::types::ColumnDescPtr;
use datafusion::prelude::SessionContext;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};

use super::assemble::{Assembler, StagedRowGroup};
use super::bounds::compare;
use crate::error::{Error, Result};
use crate::layout::Location;
use crate::manifest::{FileEntry, Operator};
use crate::session::Engine;
use crate::snapshot::parquet::part::FileTail;
use crate::snapshot::read_footer;
use crate::thrift::check_footer;
use crate::write::COPIED_ROWS;

/// Files up to this size are read with one request.
const WHOLE_FILE_BYTES: u64 = 8 << 20;

/// Footers on their way at once.
const FOOTERS_AT_ONCE: usize = 8;

/// Files or row groups that are read at once, the one being written included.
const READ_AHEAD: usize = 2;

/// Runs of a partition that together are no larger are read once: what is read for their keys is kept.
const KEPT_BYTES: u64 = 16 << 20;

/// Runs that can be copied, in this order.
pub(crate) struct InOrder<'a> {
    session: SessionContext,
    runs: Vec<(&'a FileEntry, Option<CopyRun<'a>>)>,
}

impl InOrder<'_> {
    /// Rows of all runs.
    pub(crate) fn rows(&self) -> u64 {
        self.runs.iter().filter_map(|(run, _)| run.n_record).sum()
    }
}

/// The order in which the runs can be copied; `None` when they must be merged. `key` is the first sort key, and whether
/// it is the only one.
///
/// # Errors
/// Those of reading footers or small runs, and of opening a session.
pub(crate) async fn order<'a>(
    engine: &Engine,
    runs: &'a [FileEntry],
    key: Option<(&str, SortOptions, bool)>,
) -> Result<Option<InOrder<'a>>> {
    let Some(rows) = runs.iter().map(|run| run.n_record).sum::<Option<u64>>() else { return Ok(None) };
    if runs.is_empty() || rows < COPIED_ROWS * runs.len() as u64 {
        return Ok(None);
    }
    let session = engine.task_session(runs).await?;
    let Some((column, options, is_only)) = key.filter(|_| runs.len() > 1) else {
        return Ok(Some(InOrder { session, runs: runs.iter().map(|run| (run, None)).collect() }));
    };
    let runtime = session.runtime_env();
    let is_kept = runs.iter().map(|run| run.size).sum::<u64>() <= KEPT_BYTES;
    let (mut ranges, mut opened) = (Vec::with_capacity(runs.len()), Vec::new());
    // Where runs interleave, the first two mostly do: then nothing else is read.
    for part in [&runs[..2], &runs[2..]] {
        let found: Vec<_> = part.iter().map(|run| KeyRange::read(&runtime, run, column, is_kept)).collect();
        let mut found = stream::iter(found).buffered(FOOTERS_AT_ONCE);
        while let Some((range, run)) = found.try_next().await? {
            let Some(range) = range else { return Ok(None) };
            ranges.push(range);
            opened.push(run);
        }
        if ranges.len() < runs.len() && in_order(&ranges, options.descending, is_only).is_none() {
            return Ok(None);
        }
    }
    let Some(order) = in_order(&ranges, options.descending, is_only) else { return Ok(None) };
    let runs = order.into_iter().map(|run| (&runs[run], opened[run].take())).collect();
    Ok(Some(InOrder { session, runs }))
}

/// Smallest and largest value of a column in a run.
#[derive(Debug, Clone, PartialEq)]
struct KeyRange {
    column: ColumnDescPtr,
    min: Vec<u8>,
    max: Vec<u8>,
}

impl KeyRange {
    /// By the footer. A run that is to be kept comes with it; of others only the range stays.
    async fn read<'a>(
        runtime: &RuntimeEnv,
        run: &'a FileEntry,
        name: &str,
        is_kept: bool,
    ) -> Result<(Option<Self>, Option<CopyRun<'a>>)> {
        if is_kept {
            let run = CopyRun::open(runtime, run).await?;
            return Ok((Self::of(&run.file, name), Some(run)));
        }
        let (store, location) = located(runtime, run)?;
        let file = footer(&store, &location, run, PageIndexPolicy::Skip).await?;
        Ok((Self::of(&file, name), None))
    }

    fn of(file: &ParquetMetaData, name: &str) -> Option<Self> {
        let schema = file.file_metadata().schema_descr();
        let leaf = schema.columns().iter().position(|column| column.path().parts() == [name])?;
        let column = schema.column(leaf);
        // Their smallest and largest values say nothing of NaN.
        if matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE) {
            return None;
        }
        let mut range: Option<Self> = None;
        for group in file.row_groups() {
            let statistics = group.column(leaf).statistics()?;
            if statistics.null_count_opt() != Some(0) {
                return None;
            }
            let (min, max) = (statistics.min_bytes_opt()?, statistics.max_bytes_opt()?);
            range = Some(match range {
                None => Self { column: Arc::clone(&column), min: min.to_vec(), max: max.to_vec() },
                Some(mut range) => {
                    if compare(&column, min, &range.min)?.is_lt() {
                        range.min = min.to_vec();
                    }
                    if compare(&column, max, &range.max)?.is_gt() {
                        range.max = max.to_vec();
                    }
                    range
                }
            });
        }
        range
    }

    /// Whether all rows of this run come before those of the other. Where keys are equal, the earlier run comes first,
    /// unless more keys decide.
    fn is_before(&self, other: &Self, descending: bool, ties: bool) -> bool {
        let (end, start) = if descending { (&other.max, &self.min) } else { (&self.max, &other.min) };
        compare(&self.column, end, start).is_some_and(|order| order.is_lt() || ties && order.is_eq())
    }
}

/// Numbers of the runs, one after the other.
fn in_order(ranges: &[KeyRange], descending: bool, is_only_key: bool) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    let mut comparable = true;
    order.sort_by(|&one, &other| {
        let (one, other) = (&ranges[one], &ranges[other]);
        let (low, high) = if descending { (&other.max, &one.max) } else { (&one.min, &other.min) };
        let order = compare(&one.column, low, high);
        comparable &= order.is_some();
        order.unwrap_or(std::cmp::Ordering::Equal)
    });
    let is_before = |pair: &[usize]| {
        let ties = is_only_key && pair[0] < pair[1];
        ranges[pair[0]].is_before(&ranges[pair[1]], descending, ties)
    };
    (comparable && order.windows(2).all(is_before)).then_some(order)
}

/// Gives all row groups of `runs` to `lake`; what that took.
///
/// # Errors
/// Those of the stores, and [`Error::Parquet`] for damaged files.
pub(crate) async fn copy(runs: InOrder<'_>, mut lake: Assembler<'_>) -> Result<(Vec<(FileEntry, String)>, Operator)> {
    let mut operator = Operator { operator: "CopyPages".to_owned(), ..Operator::default() };
    if let Err(error) = add_all(runs, &mut lake, &mut operator).await {
        lake.abort().await;
        return Err(error);
    }
    let files = lake.finish().await?;
    operator.bytes_written = files.iter().map(|(file, _)| file.size).sum();
    Ok((files, operator))
}

async fn add_all(runs: InOrder<'_>, lake: &mut Assembler<'_>, operator: &mut Operator) -> Result<()> {
    let runtime = &runs.session.runtime_env();
    let open = async |(entry, run)| match run {
        Some(run) => Ok(run),
        None => CopyRun::open(runtime, entry).await,
    };
    let opened: Vec<_> = runs.runs.into_iter().map(open).collect();
    let mut opened = stream::iter(opened).buffered(READ_AHEAD);
    while let Some(run) = opened.try_next().await? {
        let parts: Vec<_> = (0..run.file.num_row_groups()).map(|number| run.part(number)).collect();
        let mut parts = stream::iter(parts).buffered(READ_AHEAD);
        let mut number = 0;
        while let Some(part) = parts.try_next().await? {
            let started = Instant::now();
            let rows = run.file.row_group(number).num_rows();
            operator.bytes_read += part.bytes.len() as u64;
            operator.rows += rows.unsigned_abs();
            lake.add(&StagedRowGroup { file: Arc::clone(&run.file), number, part }, &run.entry.uri).await?;
            operator.seconds += started.elapsed().as_secs_f64();
            number += 1;
        }
    }
    Ok(())
}

/// A staging file whose footer has been read.
struct CopyRun<'a> {
    store: Arc<dyn ObjectStore>,
    location: Location,
    entry: &'a FileEntry,
    file: Arc<ParquetMetaData>,
    /// All bytes of a small file.
    whole: Option<FileTail>,
}

impl<'a> CopyRun<'a> {
    async fn open(runtime: &RuntimeEnv, entry: &'a FileEntry) -> Result<Self> {
        let (store, location) = located(runtime, entry)?;
        let policy = PageIndexPolicy::Optional;
        if entry.size > WHOLE_FILE_BYTES {
            let file = footer(&store, &location, entry, policy).await?;
            return Ok(Self { store, location, entry, file, whole: None });
        }
        let answer = store.get(&location.key()?).await;
        let bytes = match answer {
            Ok(answer) => answer.bytes().await,
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|source| unread(entry, source))?;
        let file = check_footer(&bytes)
            .and_then(|()| ParquetMetaDataReader::new().with_page_index_policy(policy).parse_and_finish(&bytes));
        let file = Arc::new(file.map_err(|source| Error::Parquet { uri: entry.uri.to_string(), source })?);
        Ok(Self { store, location, entry, file, whole: Some(FileTail { start: 0, bytes }) })
    }

    /// The bytes that hold a row group.
    async fn part(&self, number: usize) -> Result<FileTail> {
        if let Some(whole) = &self.whole {
            return Ok(whole.clone());
        }
        let ranges = self.file.row_group(number).columns().iter().map(|column| {
            let (start, length) = column.byte_range();
            start..start.saturating_add(length)
        });
        let all = ranges.reduce(|one, other| Range { start: one.start.min(other.start), end: one.end.max(other.end) });
        let all = all.unwrap_or(0..0);
        let bytes = self.store.get_range(&self.location.key()?, all.clone()).await;
        Ok(FileTail { start: all.start, bytes: bytes.map_err(|source| unread(self.entry, source))? })
    }
}

/// Where a run is, in a store that gives it as it was planned or not at all.
fn located(runtime: &RuntimeEnv, run: &FileEntry) -> Result<(Arc<dyn ObjectStore>, Location)> {
    let location = Location::from_uri(&run.uri)?;
    let store = runtime.object_store(ObjectStoreUrl::parse(location.store())?)?;
    Ok((store, location))
}

async fn footer(
    store: &Arc<dyn ObjectStore>,
    location: &Location,
    run: &FileEntry,
    policy: PageIndexPolicy,
) -> Result<Arc<ParquetMetaData>> {
    Ok(read_footer(store, location, run, policy).await?)
}

fn unread(run: &FileEntry, source: object_store::Error) -> Error {
    Error::Store { action: "read", uri: run.uri.to_string(), source }
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::schema::types::{ColumnDescriptor, ColumnPath, Type as SchemaType};
    use proptest::prelude::*;

    use super::*;

    fn range(min: i64, max: i64) -> KeyRange {
        let column = SchemaType::primitive_type_builder("k", Type::INT64).build().unwrap();
        let column = Arc::new(ColumnDescriptor::new(Arc::new(column), 0, 0, ColumnPath::from("k")));
        KeyRange { column, min: min.to_le_bytes().to_vec(), max: max.to_le_bytes().to_vec() }
    }

    #[test]
    fn runs_are_copied_or_merged_as_drawn_above() {
        assert_eq!(in_order(&[range(1, 50), range(51, 90), range(91, 99)], false, true), Some(vec![0, 1, 2]));
        assert_eq!(in_order(&[range(1, 50), range(40, 90)], false, true), None);
    }

    #[test]
    fn equal_keys_are_copied_in_the_order_of_the_runs_if_no_other_key_decides() {
        let ranges = [range(5, 9), range(1, 5), range(9, 9)];
        assert_eq!(in_order(&ranges[..2], false, true), None);
        assert_eq!(in_order(&[range(1, 5), range(5, 9), range(9, 9)], false, true), Some(vec![0, 1, 2]));
        assert_eq!(in_order(&[range(1, 5), range(5, 9)], false, false), None);
        assert_eq!(in_order(&[range(5, 9), range(-1, 5)], true, true), Some(vec![0, 1]));
    }

    proptest! {
        /// Where an order is found, the runs one after the other are the stable sort of all their rows.
        #[test]
        fn order_is_that_of_a_stable_sort(
            runs in prop::collection::vec(prop::collection::vec(-20i64..20, 1..4), 1..5),
            descending: bool,
        ) {
            let sort = |rows: &mut Vec<(i64, usize)>| {
                rows.sort_by_key(|row| if descending { -row.0 } else { row.0 });
            };
            let runs: Vec<Vec<(i64, usize)>> = runs.into_iter().enumerate().map(|(run, keys)| {
                let mut rows: Vec<_> = keys.into_iter().map(|key| (key, run)).collect();
                sort(&mut rows);
                rows
            }).collect();
            let keys = |run: &Vec<(i64, usize)>| run.iter().map(|row| row.0).collect::<Vec<_>>();
            let ranges: Vec<KeyRange> =
                runs.iter().map(keys).map(|keys| range(*keys.iter().min().unwrap(), *keys.iter().max().unwrap())).collect();
            let mut expected = runs.concat();
            sort(&mut expected);
            match in_order(&ranges, descending, true) {
                Some(order) => {
                    let copied: Vec<_> = order.iter().flat_map(|run| runs[*run].clone()).collect();
                    prop_assert_eq!(copied, expected);
                }
                None => {
                    let one_after_the_other = expected.chunk_by(|one, other| one.1 == other.1).count() == runs.len();
                    prop_assert!(!one_after_the_other, "{:?}", runs);
                }
            }
        }
    }
}
