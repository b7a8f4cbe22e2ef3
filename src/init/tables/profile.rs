//! What sampled values say of a column: how many differ, how many are NULL, which days they cover. Pure.
//!
//! Distinct values are counted exactly up to a bound, by hash; days are counted each on its own, so that months and
//! years follow from them. Memory is bounded by the bounds, not by the rows.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use chrono::{Datelike, NaiveDate, TimeDelta};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Date32Type, Schema, TimeUnit};
use datafusion::common::hash_utils::{RandomState, create_hashes};

/// Limit of the distinct values that are counted over all columns of a table.
const DISTINCT: usize = 1 << 20;

/// Limit of the distinct values that are counted per column.
const DISTINCT_OF_COLUMN: usize = 1 << 16;

/// Different days that are counted.
const DAYS: usize = 1 << 15;

/// Days that represent a part of which only the ends are known.
const POINTS: i64 = 400;

/// What the sampled values of a column are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) rows: u64,
    pub(crate) nulls: u64,
    /// Different values; at least so many if `is_capped`.
    pub(crate) distinct: u64,
    pub(crate) is_capped: bool,
    /// Whether no two rows have the same value, as far as they were distinguished.
    pub(crate) is_unique: bool,
    /// Rows of the most frequent value.
    pub(crate) top: u64,
    pub(crate) dates: Option<Dates>,
}

/// The days of a column of dates, timestamps, or text that is all dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dates {
    /// Whether they are written as text.
    pub(crate) is_text: bool,
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
    /// Different ones among the values, the rarest at both ends left out.
    pub(crate) years: u64,
    pub(crate) months: u64,
    pub(crate) days: u64,
    /// Between first and last, both included.
    pub(crate) months_between: u64,
    /// Rows of the most frequent month.
    pub(crate) top_month: u64,
}

/// Takes in batches of one table.
#[derive(Debug)]
pub(crate) struct Profiler {
    columns: Vec<ValueCounts>,
    limit: usize,
}

#[derive(Debug, Default)]
struct ValueCounts {
    rows: u64,
    nulls: u64,
    values: HashMap<u64, u64>,
    is_capped: bool,
    repeats: bool,
    days: BTreeMap<i32, u64>,
    /// Some value is no day.
    is_no_date: bool,
    is_text: bool,
}

impl Profiler {
    pub(crate) fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|_| ValueCounts::default()).collect::<Vec<_>>();
        let limit = (DISTINCT / columns.len().max(1)).clamp(1 << 10, DISTINCT_OF_COLUMN);
        Self { columns, limit }
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        for (counts, column) in self.columns.iter_mut().zip(batch.columns()) {
            counts.add(column, self.limit);
        }
    }

    pub(crate) fn finish(self) -> Vec<Profile> {
        self.columns.into_iter().map(ValueCounts::finish).collect()
    }
}

impl ValueCounts {
    fn add(&mut self, column: &ArrayRef, limit: usize) {
        self.rows += column.len() as u64;
        self.nulls += column.logical_null_count() as u64;
        let nulls = column.logical_nulls();
        let is_value = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let mut hashes = vec![0; column.len()];
        // A type without a hash has no distinct values to speak of.
        if create_hashes([column], &RandomState::with_seed(0), &mut hashes).is_err() {
            self.is_capped = true;
            self.repeats = true;
        } else {
            for (_, hash) in hashes.iter().enumerate().filter(|(row, _)| is_value(*row)) {
                let has_room = self.values.len() < limit;
                match self.values.entry(*hash) {
                    Entry::Occupied(mut times) => {
                        *times.get_mut() += 1;
                        self.repeats = true;
                    }
                    Entry::Vacant(place) if has_room => {
                        place.insert(1);
                    }
                    Entry::Vacant(_) => self.is_capped = true,
                }
            }
        }
        self.add_days(column);
    }

    fn add_days(&mut self, column: &ArrayRef) {
        if self.is_no_date {
            return;
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let cast = |column: &ArrayRef, to: &DataType| cast_with_options(column, to, &options).ok();
        let days = match column.data_type() {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => cast(column, &DataType::Date32),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                self.is_text = true;
                let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                looks_like_dates(column)
                    .then(|| cast(column, &micros))
                    .flatten()
                    .and_then(|c| cast(&c, &DataType::Date32))
            }
            _ => None,
        };
        let Some(days) = days.filter(|days| days.logical_null_count() == column.logical_null_count()) else {
            self.is_no_date = true;
            self.days.clear();
            return;
        };
        for day in days.as_primitive::<Date32Type>().iter().flatten() {
            *self.days.entry(day).or_default() += 1;
        }
        self.is_no_date = self.days.len() > DAYS;
    }

    fn finish(self) -> Profile {
        let top = self.values.values().copied().max().unwrap_or(0);
        Profile {
            rows: self.rows,
            nulls: self.nulls,
            distinct: self.values.len() as u64,
            is_capped: self.is_capped,
            is_unique: !self.repeats && self.rows > self.nulls,
            top,
            dates: if self.is_no_date { None } else { dates(&self.days, self.is_text) },
        }
    }
}

/// Whether the first value is long enough for a date and begins like one; most text is not worth more.
fn looks_like_dates(column: &ArrayRef) -> bool {
    let Ok(text) = cast_with_options(column, &DataType::Utf8, &CastOptions::default()) else { return false };
    let text = text.as_string::<i32>();
    text.iter().flatten().next().is_none_or(|first| {
        first.len() >= 10
            && first.is_ascii()
            && first.as_bytes()[..4].iter().all(u8::is_ascii_digit)
            && &first[4..5] == "-"
    })
}

/// The days of rows of which only the first and last day of each part is known, and how many they are: as if they were
/// spread evenly between.
pub(crate) fn between(parts: &[(i32, i32, u64)]) -> Option<Dates> {
    let mut days: BTreeMap<i32, u64> = BTreeMap::new();
    for (first, last, rows) in parts.iter().filter(|(first, last, _)| first <= last) {
        let span = i64::from(*last) - i64::from(*first);
        let points = (span + 1).min(POINTS);
        for point in 0..points {
            let day = i64::from(*first) + if points > 1 { span * point / (points - 1) } else { 0 };
            *days.entry(i32::try_from(day).ok()?).or_default() += (rows / points.unsigned_abs()).max(1);
        }
    }
    dates(&days, false)
}

/// Half a percent of the rows at each end is ignored, because of values such as 1970-01-01 and 9999-12-31.
fn dates(days: &BTreeMap<i32, u64>, is_text: bool) -> Option<Dates> {
    let rows: u64 = days.values().sum();
    let date = |day: i32| NaiveDate::default().checked_add_signed(TimeDelta::try_days(i64::from(day))?);
    let cut = rows / 200;
    let mut before = 0;
    let (mut years, mut months, mut count) = (BTreeMap::new(), BTreeMap::<(i32, u32), u64>::new(), 0);
    let (mut first, mut last) = (None, None);
    for (day, times) in days {
        let inside = before + times > cut && before < rows - cut;
        before += times;
        let Some(date) = date(*day).filter(|_| inside) else { continue };
        first = first.or(Some(date));
        last = Some(date);
        *years.entry(date.year()).or_insert(0_u64) += times;
        *months.entry((date.year(), date.month())).or_default() += times;
        count += 1;
    }
    let (first, last) = (first?, last?);
    let number = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
    Some(Dates {
        is_text,
        first,
        last,
        years: years.len() as u64,
        months: months.len() as u64,
        days: count,
        months_between: u64::try_from(number(last) - number(first) + 1).unwrap_or(1),
        top_month: months.values().copied().max().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Int64Array, StringArray};
    use datafusion::arrow::datatypes::Field;
    use proptest::prelude::*;

    use super::*;

    fn profile(columns: Vec<ArrayRef>) -> Vec<Profile> {
        let fields: Vec<_> =
            columns.iter().enumerate().map(|(n, c)| Field::new(format!("c{n}"), c.data_type().clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let mut profiler = Profiler::new(&schema);
        profiler.add(&RecordBatch::try_new(schema, columns).unwrap());
        profiler.finish()
    }

    #[test]
    fn values_nulls_and_repetitions_are_counted() {
        let found = profile(vec![Arc::new(Int64Array::from(vec![Some(1), Some(1), None, Some(2)]))]);
        let Profile { rows, nulls, distinct, is_unique, top, .. } = &found[0];
        assert_eq!((*rows, *nulls, *distinct, *is_unique, *top), (4, 1, 2, false, 2));
        assert!(profile(vec![Arc::new(Int64Array::from(vec![1, 2]))])[0].is_unique);
    }

    #[test]
    fn text_of_dates_has_days_and_other_text_has_none() {
        let text = |values: &[&str]| profile(vec![Arc::new(StringArray::from(values.to_vec()))]).remove(0).dates;
        let dates = text(&["2024-01-31", "2024-03-01 10:00:00", "2024-03-02T10:00:00Z"]).unwrap();
        assert_eq!((dates.months, dates.months_between, dates.days, dates.top_month), (2, 3, 3, 2));
        assert_eq!(text(&["2024-01-31", "unknown"]), None);
        assert_eq!(text(&["12345678901", "0000-00-00"]), None);
    }

    #[test]
    fn parts_of_which_the_ends_are_known_are_spread_over_their_days() {
        let year = |n: i32| (18_993 + 365 * n, 18_993 + 365 * n + 364, 1_000_000);
        let found = between(&[year(0), year(1)]).unwrap();
        assert_eq!((found.first.year(), found.last.year(), found.years, found.months), (2022, 2023, 2, 24));
        assert!(found.top_month * 10 < 2_000_000, "{found:?}");
        assert_eq!(between(&[(5, 4, 1)]), None);
        assert_eq!(between(&[(5, 5, 1)]).unwrap().days, 1);
    }

    #[test]
    fn rare_days_at_both_ends_do_not_count() {
        let mut days: BTreeMap<i32, u64> = (19_000..19_100).map(|day| (day, 100)).collect();
        days.insert(0, 1);
        days.insert(2_932_896, 1);
        let found = dates(&days, false).unwrap();
        assert_eq!((found.days, found.first.year(), found.last.year()), (100, 2022, 2022));
    }

    proptest! {
        /// A profile does not depend on how rows are cut into batches.
        #[test]
        fn batches_do_not_matter(values in prop::collection::vec(prop::option::of(0..20_i64), 1..60), cut in 0..60_usize) {
            let batch = |values: &[Option<i64>]| {
                RecordBatch::try_from_iter([("c", Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)]).unwrap()
            };
            let whole = batch(&values);
            let cut = cut.min(values.len());
            let (mut one, mut two) = (Profiler::new(&whole.schema()), Profiler::new(&whole.schema()));
            one.add(&whole);
            two.add(&batch(&values[..cut]));
            two.add(&batch(&values[cut..]));
            prop_assert_eq!(one.finish(), two.finish());
        }
    }
}
