//! The smallest and largest value and the NULLs of each column of one file, for its manifest.
//!
//! A file that has statistics in its footer is not looked at twice: they are read off the footer with which the writer
//! ends. Where the footer has none (columns of staging files), and for floats, whose footers pass over NaN, each batch
//! is looked at as it is written. Types that do not print in one way (binary, nested) are counted for NULLs only.
//!
//! Nobody looks at rows whose pages are copied. So a staging file says which of its float columns are plain, that is
//! have neither NaN nor a negative zero: of these the footer says all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};

use crate::layout::partition;
use crate::manifest::{ColumnRange, ColumnRanges};

/// Key of a staging file's footer: its plain float columns, as a JSON array of names.
const PLAIN_KEY: &str = "snaplake.plain_floats";

/// Looks at the rows of one file.
pub(crate) struct FileRanges {
    columns: Vec<RangeColumn>,
}

/// What was seen of one column.
struct RangeColumn {
    name: String,
    /// Whether the footer will say it.
    in_footer: bool,
    has_order: bool,
    nulls: u64,
    /// Whether one of the floats is a negative zero.
    has_negative_zero: bool,
    /// From the first batch on: its type may be another form of the file's.
    extremes: Option<(MinAccumulator, MaxAccumulator)>,
}

impl FileRanges {
    /// For a file of these columns, of which its footer will have statistics, or will not.
    pub(crate) fn new(schema: &Schema, in_footer: impl Fn(&str) -> bool) -> Self {
        let column = |name: &str, data_type: &DataType| RangeColumn {
            name: name.to_owned(),
            in_footer: in_footer(name) && has_order(data_type) && !data_type.is_floating(),
            has_order: has_order(data_type),
            nulls: 0,
            has_negative_zero: false,
            extremes: None,
        };
        Self { columns: schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect() }
    }

    /// Looks at rows that are written; their columns are those of the file.
    pub(crate) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        for (column, values) in self.columns.iter_mut().zip(rows.columns()).filter(|(column, _)| !column.in_footer) {
            column.nulls += values.null_count() as u64;
            if column.has_order && values.null_count() < values.len() {
                column.add(values)?;
            }
        }
        Ok(())
    }

    /// What is known when the writer has ended the file with this footer.
    pub(crate) fn finish(self, schema: &Schema, footer: &ParquetMetaData) -> Result<ColumnRanges> {
        let mut ranges = ColumnRanges::new();
        let leaves = leaves(footer);
        for (index, column) in self.columns.into_iter().enumerate() {
            let name = column.name.clone();
            let leaf = leaves.get(&index).copied();
            let range =
                if column.in_footer { of_footer(schema.field(index), leaf, footer)? } else { Some(column.finish()?) };
            ranges.extend(range.map(|range| (name, range.bounded())));
        }
        Ok(ranges)
    }

    /// For the footer of a staging file of these columns: which of them are plain floats. `None` if it has no floats.
    pub(crate) fn plain_floats(&mut self, schema: &Schema) -> Result<Option<KeyValue>> {
        let is_float = |data_type: &DataType| matches!(data_type, DataType::Float32 | DataType::Float64);
        let (mut plain, mut any) = (Vec::new(), false);
        for (field, column) in schema.fields().iter().zip(&mut self.columns) {
            if is_float(field.data_type()) {
                any = true;
                if column.is_plain()? {
                    plain.push(column.name.as_str());
                }
            }
        }
        Ok(any.then(|| KeyValue::new(PLAIN_KEY.to_owned(), serde_json::json!(plain).to_string())))
    }

    /// What the footer says of a file whose pages were copied, of whose float columns these are plain in all of its
    /// parts. Nobody has looked at the values of others, which may be NaN.
    pub(crate) fn of_copy(schema: &Schema, footer: &ParquetMetaData, plain: &BTreeSet<String>) -> Result<ColumnRanges> {
        let mut ranges = ColumnRanges::new();
        let leaves = leaves(footer);
        for (index, field) in schema.fields().iter().enumerate().filter(|(_, field)| has_order(field.data_type())) {
            let Some(mut range) = of_footer(field, leaves.get(&index).copied(), footer)? else { continue };
            if field.data_type().is_floating() {
                range.is_exact &= plain.contains(field.name());
                // So a footer has either zero, and in exact ranges there is no negative one.
                if range.is_exact && range.min.as_deref() == Some("-0.0") {
                    range.min = Some("0.0".to_owned());
                }
            }
            ranges.insert(field.name().clone(), range.bounded());
        }
        Ok(ranges)
    }
}

/// The plain float columns that a staging file's footer names.
pub(crate) fn plain_floats(footer: &ParquetMetaData) -> BTreeSet<String> {
    let keys = footer.file_metadata().key_value_metadata();
    let names = keys.and_then(|keys| keys.iter().find(|key| key.key == PLAIN_KEY)?.value.as_deref());
    names.and_then(|names| serde_json::from_str(names).ok()).unwrap_or_default()
}

impl RangeColumn {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let data_type = values.data_type();
        if self.extremes.is_none() {
            self.extremes = Some((MinAccumulator::try_new(data_type)?, MaxAccumulator::try_new(data_type)?));
        }
        if let Some((min, max)) = &mut self.extremes {
            let (smallest, largest) = match values.as_string_view_opt().and_then(extremes) {
                Some((smallest, largest)) => (values.slice(smallest, 1), values.slice(largest, 1)),
                None => (Arc::clone(values), Arc::clone(values)),
            };
            min.update_batch(&[smallest])?;
            max.update_batch(&[largest])?;
        }
        self.has_negative_zero |= has_negative_zero(values);
        Ok(())
    }

    /// Whether no value is NaN or a negative zero.
    fn is_plain(&mut self) -> Result<bool> {
        let Some((min, max)) = &mut self.extremes else { return Ok(true) };
        Ok(!self.has_negative_zero && !is_nan(&min.evaluate()?) && !is_nan(&max.evaluate()?))
    }

    fn finish(self) -> Result<ColumnRange> {
        let Some((mut min, mut max)) = self.extremes else {
            return Ok(ColumnRange { nulls: self.nulls, min: None, max: None, is_exact: self.has_order });
        };
        range(self.nulls, &min.evaluate()?, &max.evaluate()?, true)
    }
}

/// Rows of a smallest and a largest text. Its first four bytes, which are in the view, distinguish nearly every one
/// from both.
fn extremes(texts: &StringViewArray) -> Option<(usize, usize)> {
    let start = |view: u128| {
        let [_, _, _, _, a, b, c, d, ..] = view.to_le_bytes();
        u32::from_be_bytes([a, b, c, d])
    };
    let is_valid = |row: usize| texts.nulls().is_none_or(|nulls| nulls.is_valid(row));
    let first = (0..texts.len()).find(|&row| is_valid(row))?;
    let (mut low, mut high) = (first, first);
    let mut starts = (start(texts.views()[first]), start(texts.views()[first]));
    for (row, &view) in texts.views().iter().enumerate().skip(first + 1) {
        // As most texts of few are: short, or read from a dictionary.
        if view == texts.views()[low] || view == texts.views()[high] {
            continue;
        }
        let of_row = start(view);
        if (starts.0 < of_row && of_row < starts.1) || !is_valid(row) {
            continue;
        }
        if of_row < starts.0 || (of_row == starts.0 && texts.value(row) < texts.value(low)) {
            (low, starts.0) = (row, of_row);
        }
        if of_row > starts.1 || (of_row == starts.1 && texts.value(row) > texts.value(high)) {
            (high, starts.1) = (row, of_row);
        }
    }
    Some((low, high))
}

/// Whether values of this type have an order and print in one way.
fn has_order(data_type: &DataType) -> bool {
    data_type.is_floating() || (!matches!(data_type, DataType::Dictionary(_, _)) && partition::is_allowed(data_type))
}

/// The first leaf of each column of a file, by the column's index.
fn leaves(footer: &ParquetMetaData) -> HashMap<usize, usize> {
    let schema = footer.file_metadata().schema_descr();
    // From the last one on, so that the first one stays.
    (0..schema.num_columns()).rev().map(|leaf| (schema.get_column_root_idx(leaf), leaf)).collect()
}

/// The statistics of all row groups of a leaf together; nothing if one of them has none.
fn of_footer(field: &Field, leaf: Option<usize>, footer: &ParquetMetaData) -> Result<Option<ColumnRange>> {
    let Some(leaf) = leaf else { return Ok(None) };
    let converter = StatisticsConverter::from_column_index(leaf, field, footer.file_metadata().schema_descr())?;
    let groups = footer.row_groups();
    let (mins, maxs) = (converter.row_group_mins(groups)?, converter.row_group_maxes(groups)?);
    let nulls = converter.row_group_null_counts(groups)?;
    let exact = (converter.row_group_is_min_value_exact(groups)?, converter.row_group_is_max_value_exact(groups)?);
    // Only texts are ever cut, and only of them the footer says whether they are.
    let is_text = matches!(mins.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let mut is_exact = true;
    for (group, rows) in groups.iter().map(RowGroupMetaData::num_rows).enumerate() {
        if nulls.is_null(group) {
            return Ok(None);
        }
        if u64::try_from(rows).is_ok_and(|rows| rows == nulls.value(group)) {
            continue;
        }
        if mins.is_null(group) || maxs.is_null(group) {
            return Ok(None);
        }
        let is_value = |exact: &BooleanArray| exact.is_valid(group) && exact.value(group);
        is_exact &= !is_text || (is_value(&exact.0) && is_value(&exact.1));
    }
    let (mut min, mut max) = (MinAccumulator::try_new(mins.data_type())?, MaxAccumulator::try_new(maxs.data_type())?);
    min.update_batch(&[mins])?;
    max.update_batch(&[maxs])?;
    range(nulls.iter().flatten().sum(), &min.evaluate()?, &max.evaluate()?, is_exact).map(Some)
}

fn has_negative_zero(values: &ArrayRef) -> bool {
    fn any<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, is_it: impl Fn(T::Native) -> bool) -> bool {
        match values.nulls() {
            None => values.values().iter().fold(false, |found, &value| found | is_it(value)),
            Some(_) => values.iter().flatten().any(is_it),
        }
    }
    if let Some(values) = values.as_primitive_opt::<Float64Type>() {
        return any(values, |value| value.to_bits() == (-0.0f64).to_bits());
    }
    values
        .as_primitive_opt::<Float32Type>()
        .is_some_and(|values| any(values, |value| value.to_bits() == (-0.0f32).to_bits()))
}

fn is_nan(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float16(value) => value.is_some_and(|value| value.is_nan()),
        ScalarValue::Float32(value) => value.is_some_and(f32::is_nan),
        ScalarValue::Float64(value) => value.is_some_and(f64::is_nan),
        _ => false,
    }
}

fn range(nulls: u64, min: &ScalarValue, max: &ScalarValue, is_exact: bool) -> Result<ColumnRange> {
    let (min_text, max_text) = (text(min)?, text(max)?);
    let is_reported = min.is_null() == min_text.is_none() && max.is_null() == max_text.is_none();
    let is_exact = is_exact && is_reported && !is_nan(min) && !is_nan(max);
    Ok(ColumnRange { nulls, min: min_text, max: max_text, is_exact })
}

/// Times of any zone as those of UTC, which no change of clocks makes ambiguous. `None` also for what no calendar has.
fn text(value: &ScalarValue) -> Result<Option<String>> {
    let value = match value.data_type() {
        DataType::Timestamp(unit, Some(_)) => value.cast_to(&DataType::Timestamp(unit, Some("+00:00".into())))?,
        _ => value.clone(),
    };
    Ok(partition::text(&value.to_array()?, 0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use super::*;

    /// What is found in a file of several row groups, by looking at each batch and from the footer.
    fn both(batch: &RecordBatch) -> [ColumnRanges; 2] {
        [false, true].map(|has_footer| {
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
            let mut writer = ArrowWriter::try_new(std::io::sink(), batch.schema(), Some(properties)).unwrap();
            let mut ranges = FileRanges::new(&batch.schema(), |_| has_footer);
            for row in 0..batch.num_rows() {
                writer.write(&batch.slice(row, 1)).unwrap();
                ranges.add(&batch.slice(row, 1)).unwrap();
            }
            ranges.finish(&batch.schema(), &writer.close().unwrap()).unwrap()
        })
    }

    fn shown(range: &ColumnRange) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let exact = if range.is_exact { "" } else { " inexact" };
        format!("{} nulls, {} to {}{exact}", range.nulls, text(&range.min), text(&range.max))
    }

    #[test]
    fn footer_and_batches_say_the_same_of_every_type() {
        let long = "ä".repeat(50);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a_int", Arc::new(Int64Array::from(vec![None, Some(-5), Some(40), Some(7), None]))),
            ("b_date", Arc::new(Date32Array::from(vec![Some(0), Some(-1), Some(20_000), None, None]))),
            ("c_time", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), Some(0), None, None, Some(2_000_000)]))),
            (
                "d_decimal",
                Arc::new(
                    Decimal128Array::from(vec![Some(-105), Some(99_999), None, None, None])
                        .with_precision_and_scale(12, 2)
                        .unwrap(),
                ),
            ),
            ("e_bool", Arc::new(BooleanArray::from(vec![Some(true), None, None, Some(false), None]))),
            ("f_text", Arc::new(StringArray::from(vec![Some("b"), None, Some(""), Some("é"), Some("a")]))),
            ("g_view", Arc::new(StringViewArray::from(vec![Some("longer than twelve"), None, Some("m"), None, None]))),
            ("h_empty", Arc::new(Int64Array::from(vec![None::<i64>; 5]))),
            ("i_bytes", Arc::new(BinaryArray::from(vec![Some(b"x".as_slice()), None, None, None, None]))),
            ("j_long", Arc::new(StringArray::from(vec![Some(long.as_str()), None, None, None, None]))),
        ];
        let [looked, footer] = both(&RecordBatch::try_from_iter(columns).unwrap());
        let text: Vec<String> = looked.iter().map(|(name, range)| format!("{name}: {}", shown(range))).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        a_int: 2 nulls, -5 to 40
        b_date: 2 nulls, 1969-12-31 to 2024-10-04
        c_time: 2 nulls, 1970-01-01 00:00:00 to 1970-01-01 00:00:02
        d_decimal: 3 nulls, -1.05 to 999.99
        e_bool: 3 nulls, false to true
        f_text: 1 nulls,  to é
        g_view: 3 nulls, longer than twelve to m
        h_empty: 5 nulls, - to -
        i_bytes: 4 nulls, - to - inexact
        j_long: 4 nulls, ääääääääääääääääääääääääääääääää to äääääääääääääääääääääääääääääääå inexact
        ");
        assert_eq!(looked, footer);
    }

    #[test]
    fn floats_with_nan_have_no_exact_range_whatever_the_footer_says() {
        let of = |values: Vec<Option<f64>>| {
            let column: ArrayRef = Arc::new(Float64Array::from(values));
            both(&RecordBatch::try_from_iter([("x", column)]).unwrap()).map(|ranges| shown(&ranges["x"]))
        };
        let plain = "1 nulls, -0.5 to 1e300";
        assert_eq!(of(vec![Some(1e300), None, Some(-0.5)]), [plain, plain]);
        let nan = "0 nulls, 1.0 to NaN inexact";
        assert_eq!(of(vec![Some(1.0), Some(f64::NAN)]), [nan, nan]);
    }

    #[test]
    fn floats_are_plain_without_nan_and_negative_zero_and_null_does_not_matter() {
        let is_plain = |values: Vec<Option<f64>>| {
            let narrow = values.iter().map(|value| value.map(|value| value as f32)).collect::<Float32Array>();
            let columns: [(&str, ArrayRef); 2] =
                [("wide", Arc::new(Float64Array::from(values))), ("narrow", Arc::new(narrow))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let mut ranges = FileRanges::new(&batch.schema(), |_| true);
            (0..batch.num_rows()).for_each(|row| ranges.add(&batch.slice(row, 1)).unwrap());
            ranges.plain_floats(&batch.schema()).unwrap().unwrap().value.unwrap()
        };
        let (all, none) = (r#"["wide","narrow"]"#, "[]");
        assert_eq!(is_plain(vec![Some(1.5), Some(0.0), Some(-3.0), Some(f64::NEG_INFINITY)]), all);
        assert_eq!(is_plain(vec![None, Some(0.0)]), all);
        assert_eq!(is_plain(vec![None]), all);
        for odd in [-0.0, f64::NAN, -f64::NAN] {
            assert_eq!(is_plain(vec![Some(-1.0), Some(odd), None, Some(2.0)]), none, "{odd}");
        }
        let whole = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        assert!(FileRanges::new(&whole.schema(), |_| false).plain_floats(&whole.schema()).unwrap().is_none());
    }

    proptest! {
        /// The texts found are the smallest and the largest, whatever their length, also behind NULLs and in a slice.
        #[test]
        fn extremes_of_views_are_those_of_all_texts(
            texts in prop::collection::vec(
                prop::option::of(prop_oneof!["[ab\\x00é]{0,14}", "same[ab]{2}", "same[ab]{9}"]), 1..40
            ),
            from in 0usize..4
        ) {
            let all: StringViewArray = texts.iter().map(Option::as_deref).collect();
            let from = from.min(texts.len());
            let slice = all.slice(from, texts.len() - from);
            let found = extremes(&slice).map(|(low, high)| (slice.value(low).to_owned(), slice.value(high).to_owned()));
            let valid = || texts[from..].iter().flatten().cloned();
            prop_assert_eq!(found, valid().min().zip(valid().max()));
        }
    }
}
