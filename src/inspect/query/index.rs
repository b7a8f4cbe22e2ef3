//! Statistics of the files of one table, from manifests: one row per file.
//!
//! ```text
//! file  rows  month   id: nulls  min  max  exact
//!    0    10      2           0    1   99  yes
//!    1    10      3           2   50   99  yes        a partition column has one value per file, which is both extremes
//!    2    20    3 4           0    7   80  yes        or one per partition, in a staging file of several
//! ```
//!
//! Texts are parsed when a table is asked for the first time. What is not known is NULL: it keeps a file from being
//! passed over, and the engine from answering without reading it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{
    Array, ArrayBuilder, ArrayRef, BooleanArray, BooleanBuilder, StringArray, StringBuilder, UInt32Array, UInt64Array,
    UInt64Builder, new_null_array,
};
use datafusion::arrow::compute::{can_cast_types, cast, sort_to_indices, take};
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;

use crate::layout::partition;
use crate::manifest::statistics::decode_ranges;
use crate::manifest::{ColumnRange, FileEntry, FilePart};

/// The ranges of one column of the files as their manifests say them.
#[derive(Debug)]
pub(super) struct ColumnTexts {
    pub(super) nulls: UInt64Array,
    pub(super) min: StringArray,
    pub(super) max: StringArray,
    pub(super) is_exact: BooleanArray,
}

/// Texts of one column that are being gathered.
#[derive(Default)]
struct Builders {
    nulls: UInt64Builder,
    min: StringBuilder,
    max: StringBuilder,
    is_exact: BooleanBuilder,
}

impl Builders {
    /// What is known of the file in this row; nothing is known of those before that were left out.
    fn append(&mut self, row: usize, range: &ColumnRange) {
        self.skip_to(row);
        self.nulls.append_value(range.nulls);
        self.min.append_option(range.min.as_deref());
        self.max.append_option(range.max.as_deref());
        self.is_exact.append_value(range.is_exact);
    }

    fn skip_to(&mut self, row: usize) {
        while self.nulls.len() < row {
            self.nulls.append_null();
            self.min.append_null();
            self.max.append_null();
            self.is_exact.append_null();
        }
    }

    fn finish(mut self, rows: usize) -> ColumnTexts {
        self.skip_to(rows);
        ColumnTexts {
            nulls: self.nulls.finish(),
            min: self.min.finish(),
            max: self.max.finish(),
            is_exact: self.is_exact.finish(),
        }
    }
}

/// What is known of one column over all files, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) nulls: Option<u64>,
    /// No value is smaller; `None` where that is not known of all files, or no file has a value.
    pub(crate) min: Option<String>,
    /// No value is larger.
    pub(crate) max: Option<String>,
    /// Whether both are values of the column, not only bounds of them.
    pub(crate) is_exact: bool,
}

/// The ranges of one column with its own type.
#[derive(Debug)]
pub(super) struct TypedRanges {
    pub(super) nulls: UInt64Array,
    pub(super) min: ArrayRef,
    pub(super) max: ArrayRef,
    pub(super) is_exact: BooleanArray,
}

/// Statistics of the files of one table, as columns with one row per file.
#[derive(Debug)]
pub(crate) struct FileIndex {
    /// In the order of their manifests.
    pub(super) files: Arc<[FileEntry]>,
    /// Columns of the files, then those in their paths.
    pub(super) schema: SchemaRef,
    /// The columns in their paths.
    pub(super) partition: Vec<FieldRef>,
    /// Whether each file is of one partition.
    pub(super) one_partition_each: bool,
    /// As [`crate::manifest::Manifest::statistics`].
    statistics: Vec<String>,
    texts: OnceLock<BTreeMap<String, ColumnTexts>>,
}

impl FileIndex {
    /// `statistics` has a text per file, or none at all; the last fields of `schema` are those of `partition`.
    pub(crate) fn new(
        files: Arc<[FileEntry]>,
        statistics: Vec<String>,
        schema: SchemaRef,
        partition: Vec<FieldRef>,
    ) -> Self {
        let one_partition_each = !files.iter().any(|file| file.partition.is_many());
        Self { files, schema, partition, one_partition_each, statistics, texts: OnceLock::new() }
    }

    /// The ranges of every column that are known of any file, by name.
    ///
    /// # Errors
    /// When a manifest holds something else.
    pub(super) fn texts(&self) -> Result<&BTreeMap<String, ColumnTexts>> {
        if let Some(texts) = self.texts.get() {
            return Ok(texts);
        }
        let mut columns: BTreeMap<String, Builders> = BTreeMap::new();
        for (row, (text, file)) in self.statistics.iter().zip(self.files.iter()).enumerate() {
            let ranges = decode_ranges(text, &file.uri).map_err(|error| DataFusionError::External(Box::new(error)))?;
            for (name, range) in ranges {
                columns.entry(name).or_default().append(row, &range);
            }
        }
        let texts = columns.into_iter().map(|(name, column)| (name, column.finish(self.files.len())));
        Ok(self.texts.get_or_init(|| texts.collect()))
    }

    /// Values of a partition column, one per part.
    ///
    /// # Errors
    /// When a path does not have such a value.
    pub(super) fn values(&self, position: usize) -> Result<ArrayRef> {
        let values = self.files.iter().flat_map(|file| {
            file.parts().map(|FilePart { partition: path, .. }| {
                let values = partition::parse_path(path).filter(|values| values.len() == self.partition.len());
                values.map(|mut values| values.swap_remove(position)).ok_or_else(|| {
                    DataFusionError::Execution(format!("file {} has the partition '{path}' of another table", file.uri))
                })
            })
        });
        let values = values.collect::<Result<StringArray>>()?;
        partition::typed_column(&values, self.partition[position].data_type())
    }

    /// The position of the file of each part.
    pub(super) fn parts(&self) -> UInt32Array {
        let files = (0..).zip(self.files.iter());
        UInt32Array::from_iter_values(files.flat_map(|(position, file)| file.parts().map(move |_| position)))
    }

    /// The ranges of a partition column, one per file.
    fn partition_ranges(&self, position: usize) -> Result<TypedRanges> {
        let values = self.values(position)?;
        let is_exact = BooleanArray::from(vec![true; self.files.len()]);
        if self.one_partition_each {
            let null = |(row, file): (usize, &FileEntry)| if values.is_null(row) { file.n_record } else { Some(0) };
            let nulls = self.files.iter().enumerate().map(null).collect();
            return Ok(TypedRanges { nulls, min: Arc::clone(&values), max: values, is_exact });
        }
        let order = sort_to_indices(&values, None, None)?;
        let mut ranks = vec![0; values.len()];
        (0..values.len()).zip(order.values()).for_each(|(rank, part)| ranks[*part as usize] = rank);
        let (mut part, mut nulls, mut min, mut max) = (0, Vec::new(), Vec::new(), Vec::new());
        for file in self.files.iter() {
            let parts: Vec<FilePart<'_>> = file.parts().collect();
            let with_value = || (part..part + parts.len()).filter(|&part| values.is_valid(part));
            // Positions of parts, of which there are no more than 32 bits count.
            let place = |part: Option<usize>| part.and_then(|part| u32::try_from(part).ok());
            min.push(place(with_value().min_by_key(|&part| ranks[part])));
            max.push(place(with_value().max_by_key(|&part| ranks[part])));
            let of_null = parts.iter().enumerate().filter(|(number, _)| values.is_null(part + number));
            let of_null: u64 = of_null.map(|(_, part)| part.rows).sum();
            nulls.push(of_null);
            part += parts.len();
        }
        let take = |places: Vec<Option<u32>>| take(&values, &UInt32Array::from(places), None);
        Ok(TypedRanges { nulls: nulls.into(), min: take(min)?, max: take(max)?, is_exact })
    }

    /// The ranges of a column in the files at these positions; `None` if nothing is known of it.
    ///
    /// # Errors
    /// As [`FileIndex::texts`] and [`FileIndex::values`].
    pub(super) fn ranges(&self, name: &str, kept: &UInt32Array) -> Result<Option<TypedRanges>> {
        let of_partition = self.partition.iter().position(|field| field.name() == name);
        let ranges = match (of_partition, self.texts()?.get(name), self.schema.field_with_name(name)) {
            (Some(position), ..) => self.partition_ranges(position)?,
            (None, Some(texts), Ok(field)) => TypedRanges::of_texts(texts, field.data_type())?,
            _ => return Ok(None),
        };
        ranges.take(kept).map(Some)
    }

    /// What is known of a column over all files.
    ///
    /// # Errors
    /// As [`FileIndex::ranges`].
    pub(crate) fn range(&self, name: &str) -> Result<Range> {
        let all = UInt32Array::from_iter_values((0..).take(self.files.len()));
        Ok(self.ranges(name, &all)?.map(|ranges| ranges.for_people()).transpose()?.unwrap_or_default())
    }

    /// Float columns of which a value may be NaN in one of the files at these positions.
    ///
    /// # Errors
    /// As [`FileIndex::ranges`].
    pub(super) fn may_be_nan(&self, kept: &UInt32Array) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for field in self.schema.fields().iter().filter(|field| field.data_type().is_floating()) {
            let ranges = self.ranges(field.name(), kept)?;
            if ranges.is_none_or(|ranges| ranges.is_exact.true_count() < ranges.is_exact.len()) {
                names.push(field.name().clone());
            }
        }
        Ok(names)
    }

    /// What is known of all rows of the files at these positions, for the columns that are asked for.
    ///
    /// # Errors
    /// As [`FileIndex::ranges`].
    pub(super) fn statistics(&self, kept: &UInt32Array, projection: Option<&Vec<usize>>) -> Result<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        let files = || kept.values().iter().map(|&row| &self.files[row as usize]);
        statistics.total_byte_size = Precision::Inexact(whole(files().map(|file| file.size).sum()));
        let Some(rows) = files().map(|file| file.n_record).sum::<Option<u64>>() else { return Ok(statistics) };
        statistics.num_rows = Precision::Exact(whole(rows));
        for (position, field) in self.schema.fields().iter().enumerate() {
            if projection.is_none_or(|projection| projection.contains(&position))
                && let Some(ranges) = self.ranges(field.name(), kept)?
            {
                statistics.column_statistics[position] = ranges.of_all()?;
            }
        }
        Ok(statistics)
    }
}

impl TypedRanges {
    fn of_texts(texts: &ColumnTexts, data_type: &DataType) -> Result<Self> {
        let (min, max) = (typed(&texts.min, data_type)?, typed(&texts.max, data_type)?);
        // A text that is not one of the type says nothing.
        let is_reported =
            |row| min.is_null(row) == texts.min.is_null(row) && max.is_null(row) == texts.max.is_null(row);
        let is_exact: BooleanArray = texts
            .is_exact
            .iter()
            .enumerate()
            .map(|(row, exact)| Some(exact == Some(true) && is_reported(row)))
            .collect();
        // There may be NaN, which is larger than all.
        let is_unbound = data_type.is_floating() && is_exact.true_count() < is_exact.len();
        let bounds = |array: ArrayRef| {
            if !is_unbound {
                return Ok(array);
            }
            let not_exact = datafusion::arrow::compute::not(&is_exact)?;
            datafusion::arrow::compute::nullif(&array, &not_exact)
        };
        Ok(Self { nulls: texts.nulls.clone(), min: bounds(min)?, max: bounds(max)?, is_exact })
    }

    fn take(&self, kept: &UInt32Array) -> Result<Self> {
        let of = |array: &dyn Array| Ok::<_, DataFusionError>(take(array, kept, None)?);
        Ok(Self {
            nulls: of(&self.nulls)?.to_data().into(),
            min: of(&self.min)?,
            max: of(&self.max)?,
            is_exact: of(&self.is_exact)?.to_data().into(),
        })
    }

    /// The range over all files.
    fn of_all(&self) -> Result<ColumnStatistics> {
        let mut all = ColumnStatistics::new_unknown();
        if self.nulls.null_count() == 0 {
            all.null_count = Precision::Exact(whole(self.nulls.values().iter().sum()));
        }
        if self.is_exact.null_count() == 0 && self.is_exact.true_count() == self.is_exact.len() {
            let mut min = MinAccumulator::try_new(self.min.data_type())?;
            let mut max = MaxAccumulator::try_new(self.max.data_type())?;
            min.update_batch(std::slice::from_ref(&self.min))?;
            max.update_batch(std::slice::from_ref(&self.max))?;
            all.min_value = exact(min.evaluate()?);
            all.max_value = exact(max.evaluate()?);
        }
        Ok(all)
    }
}

impl TypedRanges {
    fn for_people(&self) -> Result<Range> {
        let nulls = (self.nulls.null_count() == 0).then(|| self.nulls.values().iter().sum());
        // A file without a value has no extremes, exactly; one of which they are not known spoils those of all.
        let is_known = |array: &ArrayRef| {
            (0..array.len()).all(|row| array.is_valid(row) || (self.is_exact.is_valid(row) && self.is_exact.value(row)))
        };
        let mut min = MinAccumulator::try_new(self.min.data_type())?;
        let mut max = MaxAccumulator::try_new(self.max.data_type())?;
        let text = |array: &ArrayRef, of: &mut dyn Accumulator| {
            if !is_known(array) {
                return Ok(None);
            }
            of.update_batch(std::slice::from_ref(array))?;
            Ok::<_, DataFusionError>(partition::text(&of.evaluate()?.to_array()?, 0)?)
        };
        let (min, max) = (text(&self.min, &mut min)?, text(&self.max, &mut max)?);
        let is_exact = self.is_exact.null_count() == 0 && self.is_exact.true_count() == self.is_exact.len();
        Ok(Range { nulls, min, max, is_exact })
    }
}

fn exact(value: ScalarValue) -> Precision<ScalarValue> {
    if value.is_null() { Precision::Absent } else { Precision::Exact(value) }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Texts of a manifest with the column's type, NULL where one is not of it.
fn typed(texts: &StringArray, data_type: &DataType) -> Result<ArrayRef> {
    if let DataType::Timestamp(unit, Some(_)) = data_type {
        // Written as of UTC.
        return Ok(cast(&cast(texts, &DataType::Timestamp(*unit, Some("+00:00".into())))?, data_type)?);
    }
    // Values with parts are in no range.
    if !can_cast_types(texts.data_type(), data_type) {
        return Ok(new_null_array(data_type, texts.len()));
    }
    Ok(cast(texts, data_type)?)
}
