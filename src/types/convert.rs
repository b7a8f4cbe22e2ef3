//! Values of one type as the type that files have: exact, or an error with the value.
//!
//! Nested values keep their offsets and NULLs; what changes are the leaves. Each batch is converted as a whole, and
//! looked at value by value only when one does not fit.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray, new_null_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// A value that the type of the files cannot hold.
#[derive(Debug)]
pub(crate) struct Unstorable {
    /// Its path below the column: `.x`, `[]`.
    pub(crate) place: String,
    /// The value as text; what the engine says where there is none.
    pub(crate) value: String,
    /// The type that it should have become.
    pub(crate) data_type: DataType,
}

impl Unstorable {
    fn below(mut self, step: &str) -> Self {
        self.place.insert_str(0, step);
        self
    }

    fn of_kernel(error: &ArrowError, to: &DataType) -> Self {
        Self { place: String::new(), value: error.to_string(), data_type: to.clone() }
    }
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: '{}' is no {}", self.place, self.value, self.data_type)
    }
}

/// The values of a column as `to`, which [`lake_type`](super::lake::lake_type) gave for their type.
///
/// # Errors
/// The first value that `to` cannot hold exactly.
pub(crate) fn store(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unstorable> {
    if values.data_type() == to {
        return Ok(Arc::clone(values));
    }
    let failed = |error: ArrowError| Unstorable::of_kernel(&error, to);
    match (values.data_type(), to) {
        (DataType::Null, _) => Ok(new_null_array(to, values.len())),
        (DataType::Dictionary(_, plain), _) => plainly(values, plain, to),
        (DataType::RunEndEncoded(_, plain), _) => plainly(values, plain.data_type(), to),
        (DataType::FixedSizeList(item, _) | DataType::ListView(item), DataType::List(_)) => {
            plainly(values, &DataType::List(Arc::clone(item)), to)
        }
        (DataType::LargeListView(item), DataType::LargeList(_)) => {
            plainly(values, &DataType::LargeList(Arc::clone(item)), to)
        }
        (DataType::List(_), DataType::List(item)) => lists(values.as_list::<i32>(), item),
        (DataType::LargeList(_), DataType::LargeList(item)) => lists(values.as_list::<i64>(), item),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let step = |field: &Field| format!(".{}", field.name());
            structs(values.as_struct(), fields.iter(), step).map(|values| Arc::new(values) as ArrayRef)
        }
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => {
            let DataType::Struct(pair) = entries.data_type() else { return leaves(values, to) };
            let maps = values.as_map();
            let steps = |field: &Field| if field.name() == pair[0].name() { "[key]" } else { "[value]" }.to_owned();
            let (offsets, from, length) = narrowed(maps.offsets());
            let pairs = structs(&maps.entries().slice(from, length), pair.iter(), steps)?;
            let maps = MapArray::try_new(Arc::clone(entries), offsets, pairs, maps.nulls().cloned(), *sorted);
            Ok(Arc::new(maps.map_err(failed)?))
        }
        _ => leaves(values, to),
    }
}

/// By way of a type that differs in layout only.
fn plainly(values: &ArrayRef, plain: &DataType, to: &DataType) -> Result<ArrayRef, Unstorable> {
    let plain = cast_with_options(values, plain, &STRICT).map_err(|error| Unstorable::of_kernel(&error, to))?;
    store(&plain, to)
}

fn lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>, item: &FieldRef) -> Result<ArrayRef, Unstorable> {
    let (offsets, from, length) = narrowed(lists.offsets());
    let items = store(&lists.values().slice(from, length), item.data_type()).map_err(|value| value.below("[]"))?;
    let stored = GenericListArray::<O>::try_new(Arc::clone(item), offsets, items, lists.nulls().cloned());
    Ok(Arc::new(stored.map_err(|error| Unstorable::of_kernel(&error, item.data_type()))?))
}

/// The offsets from 0, and the range of values that they span: a slice of lists has the values of all.
pub(crate) fn narrowed<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, usize, usize) {
    let (first, last) = (offsets.first().copied().unwrap_or_default(), offsets.last().copied().unwrap_or_default());
    let (from, length) = (first.as_usize(), (last - first).as_usize());
    if from == 0 {
        return (offsets.clone(), from, length);
    }
    let moved: Vec<O> = offsets.iter().map(|offset| *offset - first).collect();
    (OffsetBuffer::new(moved.into()), from, length)
}

fn structs<'a>(
    values: &StructArray,
    fields: impl ExactSizeIterator<Item = &'a FieldRef> + Clone,
    step: impl Fn(&Field) -> String,
) -> Result<StructArray, Unstorable> {
    let columns = values.columns().iter().zip(fields.clone());
    let columns = columns
        .map(|(column, field)| store(column, field.data_type()).map_err(|value| value.below(&step(field))))
        .collect::<Result<Vec<_>, _>>()?;
    let fields = fields.cloned().collect();
    StructArray::try_new(fields, columns, values.nulls().cloned())
        .map_err(|error| Unstorable::of_kernel(&error, values.data_type()))
}

const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };
const LENIENT: CastOptions<'static> = CastOptions { safe: true, format_options: FormatOptions::new() };

fn leaves(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unstorable> {
    let failed = |error: ArrowError| Unstorable::of_kernel(&error, to);
    let stored = cast_with_options(values, to, &LENIENT).map_err(failed)?;
    if stored.null_count() > values.null_count() {
        let misfit = (0..values.len()).find(|&row| stored.is_null(row) && values.is_valid(row));
        return Err(unstorable(values, misfit.unwrap_or(0), to));
    }
    if may_cut(values.data_type(), to) {
        let back = cast_with_options(&stored, values.data_type(), &LENIENT).map_err(failed)?;
        let differ = distinct(&back, values).map_err(failed)?;
        if let Some(row) = (0..differ.len()).find(|&row| differ.value(row)) {
            return Err(unstorable(values, row, to));
        }
    }
    Ok(stored)
}

/// Whether a value can be larger or finer than its new type, without being cast to NULL.
fn may_cut(from: &DataType, to: &DataType) -> bool {
    matches!(
        (from, to),
        (DataType::Date64, _)
            | (DataType::Time32(TimeUnit::Second), _)
            | (DataType::Time64(TimeUnit::Nanosecond), DataType::Time64(TimeUnit::Microsecond))
            | (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(TimeUnit::Microsecond, _))
    )
}

fn unstorable(values: &ArrayRef, row: usize, to: &DataType) -> Unstorable {
    let text = ArrayFormatter::try_new(values, &FormatOptions::new())
        .and_then(|values| values.value(row).try_to_string())
        // A date of a year that no calendar has is still a number.
        .or_else(|_| {
            let number = cast_with_options(values, &DataType::Int64, &LENIENT)?;
            ArrayFormatter::try_new(&number, &FormatOptions::new())?.value(row).try_to_string()
        });
    let value = text.unwrap_or_else(|error| error.to_string());
    Unstorable { place: String::new(), value, data_type: to.clone() }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Date32Array, Date64Array, Int64Array, ListArray, TimestampMillisecondArray, TimestampNanosecondArray,
        TimestampSecondArray,
    };
    use datafusion::arrow::compute::concat;
    use datafusion::arrow::datatypes::Int64Type;

    use super::super::lake::{Nanoseconds, lake_type};
    use super::*;

    const DAY: i64 = 86_400_000;

    fn stored(values: impl Array + 'static, nanoseconds: Nanoseconds) -> Result<ArrayRef, Unstorable> {
        let values: ArrayRef = Arc::new(values);
        let to = lake_type(values.data_type(), nanoseconds).unwrap();
        store(&values, &to)
    }

    #[test]
    fn seconds_become_milliseconds_and_those_that_overflow_are_an_error_with_the_value() {
        let good = stored(TimestampSecondArray::from(vec![Some(1), None, Some(-1)]), Nanoseconds::Keep).unwrap();
        assert_eq!(good.as_ref(), &TimestampMillisecondArray::from(vec![Some(1000), None, Some(-1000)]));
        let bad = stored(TimestampSecondArray::from(vec![Some(1), Some(i64::MAX)]), Nanoseconds::Keep).unwrap_err();
        assert_eq!(bad.value, i64::MAX.to_string());
    }

    #[test]
    fn dates_with_a_time_and_dates_beyond_the_type_are_errors() {
        let good = stored(Date64Array::from(vec![Some(2 * DAY), None, Some(-DAY)]), Nanoseconds::Keep).unwrap();
        assert_eq!(good.as_ref(), &Date32Array::from(vec![Some(2), None, Some(-1)]));
        for bad in [1, DAY + 1, -1, i64::MAX / DAY * DAY, DAY << 33] {
            assert!(stored(Date64Array::from(vec![0, bad]), Nanoseconds::Keep).is_err(), "{bad}");
        }
    }

    #[test]
    fn nanoseconds_become_microseconds_without_loss() {
        let values = |value| TimestampNanosecondArray::from(vec![None, Some(value)]);
        assert!(stored(values(-1_000), Nanoseconds::AsMicroseconds).is_ok());
        let bad = stored(values(1_704_067_200_000_000_001), Nanoseconds::AsMicroseconds).unwrap_err();
        assert_eq!(bad.value, "2024-01-01T00:00:00.000000001");
        assert_eq!(stored(values(1), Nanoseconds::Keep).unwrap().data_type().to_string(), "Timestamp(ns)");
    }

    #[test]
    fn slices_of_nested_values_keep_offsets_and_nulls_and_see_no_value_of_others() {
        let dates = |days: &[Option<i64>]| {
            let lists = days.iter().map(|day| day.map(|day| vec![Some(day), None]));
            let numbers: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
            let to = DataType::new_list(DataType::Date64, true);
            let values = Arc::new(Int64Array::clone(numbers.as_list::<i32>().values().as_primitive::<Int64Type>()));
            let values = cast_with_options(&(values as ArrayRef), &DataType::Date64, &STRICT).unwrap();
            let list = numbers.as_list::<i32>();
            let DataType::List(item) = &to else { unreachable!() };
            let list = ListArray::new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned());
            Arc::new(list) as ArrayRef
        };
        let all = dates(&[Some(1), Some(DAY), None, Some(-DAY), Some(3)]);
        let to = DataType::new_list(DataType::Date32, true);
        let good = store(&all.slice(1, 3), &to).unwrap();
        let one = |day| store(&dates(&[day]), &to).unwrap();
        let (a, b, c) = (one(Some(DAY)), one(None), one(Some(-DAY)));
        assert_eq!(&good, &concat(&[a.as_ref(), b.as_ref(), c.as_ref()]).unwrap());
        let bad = store(&all, &to).unwrap_err();
        assert_eq!((bad.place.as_str(), bad.data_type), ("[]", DataType::Date32));
    }
}
