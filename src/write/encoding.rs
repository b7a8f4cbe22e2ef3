//! How the columns of a file are encoded.
//!
//! | | staging, to be merged | lake: read often; staging, to be copied |
//! | --- | --- | --- |
//! | integers, dates, timestamps, decimals | differences, bit-packed, no codec | dictionary where values repeat, else differences |
//! | text, binary | plain, LZ4 | dictionary where values repeat, else all lengths, then all bytes |
//! | floats, booleans | plain, no codec | dictionary where values repeat, else plain |
//! | statistics, indexes | of the first sort key | chunk and page statistics, page index |
//! | rows per page | 20,000; of bundles 2,048 | 20,000 |
//!
//! Differences are `DELTA_BINARY_PACKED`, lengths `DELTA_LENGTH_BYTE_ARRAY` of the Parquet format
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>). The Parquet writer by itself tries a
//! dictionary for every column and gives up when it has grown to 1 MiB: for keys, prices and comments that is most of
//! the time of writing, and leaves a useless dictionary in the file. So whether values repeat is looked up first, in a
//! sample of the rows that a file begins with; a wrong guess costs size, never a value. The guess depends on these rows
//! alone.
//!
//! Many rows of a partition that came in order will probably not be merged with others. They are staged as they will be
//! published, so that the second step copies their pages ([`crate::compaction::copy::assemble`]); only columns with a
//! dictionary are not compressed yet, since their indices still change, and have no statistics if they are texts
//! ([`crate::compaction::copy::texts`]).

use std::collections::HashSet;

use datafusion::arrow::array::{Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowSchemaConverter;
use datafusion::parquet::basic::{Compression, Encoding, Type};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use datafusion::parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor};

use super::copyable::{COPIED_ROWS, PAGES_KEY, is_plain_text, pages_mark};

/// Row groups of staging files: large enough to read well, small enough to hold one per run that is merged.
pub(crate) const STAGING_ROW_GROUP_BYTES: u64 = 4 << 20;

/// Rows that are looked at to choose an encoding.
const SAMPLE_ROWS: usize = 512;

/// Fewer rows say nothing, and their file is small however it is encoded.
const MIN_SAMPLE_ROWS: usize = 64;

/// Rows per page, at most: the Parquet writer's own default.
pub(crate) const PAGE_ROWS: u64 = 20_000;

/// Rows per page, about, of files of bundles and of passes: a merge holds a page of each column of each run, of
/// hundreds.
pub(crate) const MERGED_PAGE_ROWS: u64 = 2048;

/// Encoding of the files of one task.
#[derive(Debug, Clone)]
pub(crate) struct FileEncoding {
    /// For rows that will be merged; `None` in lake files.
    merged: Option<WriterProperties>,
    /// For published rows; `None` in staging files of which none is copied.
    published: Option<LakeEncoding>,
}

impl FileEncoding {
    /// For rows that are merged, in no certain order, with those of many other files at once: pages are small.
    ///
    /// # Errors
    /// [`ParquetError`] for a type that Parquet does not have.
    pub(crate) fn merged(schema: &Schema) -> std::result::Result<Self, ParquetError> {
        let leaves = ArrowSchemaConverter::new().convert(schema)?;
        let page_rows = usize::try_from(MERGED_PAGE_ROWS).unwrap_or(usize::MAX);
        let properties = to_be_merged(&leaves).set_data_page_row_count_limit(page_rows).build();
        Ok(Self { merged: Some(properties), published: None })
    }

    /// For staging files that are sorted by this column first, if by any; rows in order are staged as `copied` says.
    ///
    /// # Errors
    /// [`ParquetError`] for a type that Parquet does not have.
    pub(crate) fn staging(
        schema: &Schema,
        first_key: Option<&str>,
        copied: Option<WriterProperties>,
    ) -> std::result::Result<Self, ParquetError> {
        let leaves = ArrowSchemaConverter::new().convert(schema)?;
        let mut merged = to_be_merged(&leaves);
        let first_key = first_key.map(ColumnPath::from);
        if let Some(key) = &first_key {
            merged = merged.set_column_statistics_enabled(key.clone(), EnabledStatistics::Chunk);
        }
        let published = copied.map(|properties| LakeEncoding { properties, leaves, first_key });
        Ok(Self { merged: Some(merged.build()), published })
    }

    /// For lake files, `properties` saying all but the encodings.
    ///
    /// # Errors
    /// [`ParquetError`] for a type that Parquet does not have.
    pub(crate) fn lake(schema: &Schema, properties: WriterProperties) -> std::result::Result<Self, ParquetError> {
        let leaves = ArrowSchemaConverter::new().convert(schema)?;
        Ok(Self { merged: None, published: Some(LakeEncoding { properties, leaves, first_key: None }) })
    }

    /// Whether pages of these files may be published as they are.
    pub(crate) fn may_be_copied(&self) -> bool {
        self.merged.is_some() && self.published.is_some()
    }

    /// Properties of a file that begins with these rows, of so many that are still to come, so many of which came in
    /// order.
    pub(crate) fn properties(&self, first: &RecordBatch, rows: u64, in_order: u64) -> Result<WriterProperties> {
        match (&self.merged, &self.published) {
            (None, Some(published)) => published.properties(first, rows),
            (Some(_), Some(published)) if in_order >= COPIED_ROWS => published.to_be_copied(first, in_order),
            (Some(merged), _) => Ok(merged.clone()),
            (None, None) => Ok(builder().build()),
        }
    }
}

/// What is fast to write and to read once.
fn to_be_merged(leaves: &SchemaDescriptor) -> WriterPropertiesBuilder {
    let mut builder = builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(usize::try_from(STAGING_ROW_GROUP_BYTES).ok());
    for leaf in leaves.columns() {
        builder = match leaf.physical_type() {
            Type::INT32 | Type::INT64 => {
                builder.set_column_encoding(leaf.path().clone(), Encoding::DELTA_BINARY_PACKED)
            }
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => {
                builder.set_column_compression(leaf.path().clone(), Compression::LZ4_RAW)
            }
            _ => builder,
        };
    }
    builder
}

/// The form of lake files.
#[derive(Debug, Clone)]
struct LakeEncoding {
    properties: WriterProperties,
    leaves: SchemaDescriptor,
    /// The column whose statistics say in which order runs are.
    first_key: Option<ColumnPath>,
}

impl LakeEncoding {
    fn properties(&self, first: &RecordBatch, rows: u64) -> Result<WriterProperties> {
        if first.num_rows() < MIN_SAMPLE_ROWS {
            return Ok(self.properties.clone());
        }
        let mut builder = self.properties.clone().into_builder();
        for (index, leaf) in self.leaves.columns().iter().enumerate() {
            // Nested values keep what the Parquet writer does by itself.
            let [name] = leaf.path().parts() else { continue };
            // Not by name: thousands of columns would be searched thousands of times.
            let Some(column) = first.columns().get(self.leaves.get_column_root_idx(index)) else { continue };
            if column.data_type().is_nested() {
                continue;
            }
            let sample = ValueSample::of(column)?;
            // A dictionary of texts is worth more than one of numbers, which are short as differences too.
            if sample.values_repeat() || (leaf.physical_type() == Type::BYTE_ARRAY && sample.distinct() <= rows / 4) {
                continue;
            }
            let path = ColumnPath::from(name.as_str());
            builder = match leaf.physical_type() {
                // An encoding that was asked for stays.
                _ if self.properties.encoding(&path).is_some() => builder,
                Type::INT32 | Type::INT64 => builder.set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED),
                Type::BYTE_ARRAY => builder.set_column_encoding(path.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY),
                _ => builder,
            }
            .set_column_dictionary_enabled(path, false);
        }
        Ok(builder.build())
    }

    /// Row groups that a merge can hold too, and pages of even size.
    fn to_be_copied(&self, first: &RecordBatch, rows: u64) -> Result<WriterProperties> {
        let properties = self.properties(first, rows)?;
        let pages = rows.div_ceil(PAGE_ROWS).max(1);
        let mut builder = properties
            .clone()
            .into_builder()
            .set_max_row_group_bytes(usize::try_from(STAGING_ROW_GROUP_BYTES).ok())
            .set_key_value_metadata(Some(vec![KeyValue::new(PAGES_KEY.to_owned(), pages_mark(&properties))]))
            .set_data_page_row_count_limit(usize::try_from(rows.div_ceil(pages)).unwrap_or(usize::MAX));
        let has_dictionary = |leaf: &&ColumnDescPtr| {
            !matches!(leaf.physical_type(), Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY)
                && properties.dictionary_enabled(leaf.path())
        };
        let of_dictionary: Vec<_> = self.leaves.columns().iter().filter(has_dictionary).collect();
        for leaf in &of_dictionary {
            builder = builder.set_column_compression(leaf.path().clone(), Compression::UNCOMPRESSED);
        }
        // What the statistics of texts say is found more cheaply in the dictionary, when pages are copied.
        let is_text = |leaf: &&&ColumnDescPtr| is_plain_text(leaf) && self.first_key.as_ref() != Some(leaf.path());
        for leaf in of_dictionary.iter().filter(is_text) {
            builder = builder.set_column_statistics_enabled(leaf.path().clone(), EnabledStatistics::None);
        }
        Ok(builder.build())
    }
}

/// A builder that names us in the file.
pub(crate) fn builder() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_created_by(concat!("snaplake ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// What a few values from all over a column say of it.
#[derive(Debug, Clone, Copy)]
struct ValueSample {
    values: u64,
    distinct: u64,
}

impl ValueSample {
    fn of(column: &dyn Array) -> Result<Self> {
        let step = column.len().div_ceil(SAMPLE_ROWS);
        let rows = (0..column.len()).step_by(step).filter_map(|row| u32::try_from(row).ok());
        let sample = take(column, &UInt32Array::from_iter_values(rows), None)?;
        let mut hashes = vec![0; sample.len()];
        create_hashes([&sample], &RandomState::with_seed(0), &mut hashes)?;
        let distinct: HashSet<u64> =
            hashes.into_iter().enumerate().filter(|&(row, _)| sample.is_valid(row)).map(|(_, hash)| hash).collect();
        Ok(Self { values: (sample.len() - sample.null_count()) as u64, distinct: distinct.len() as u64 })
    }

    /// Whether a value occurs twice in the sample, on average.
    fn values_repeat(self) -> bool {
        self.distinct * 2 <= self.values
    }

    /// Distinct values of the column by the number of coincidences: of `n` values out of `d`, about `n^2 / 2d` are not
    /// the first of their kind (the birthday problem). Too few coincidences say nothing.
    fn distinct(self) -> u64 {
        match self.values - self.distinct {
            0..8 => u64::MAX,
            coincidences => self.values * self.values / (2 * coincidences),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    /// The finalizer of splitmix64: a sample of it has coincidences as a random one has.
    fn scrambled(row: i64) -> u64 {
        let mixed = row.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32
    }

    fn rows(rows: i64) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("key", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("kind", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 7)))),
            ("text", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("no {row}"))))),
            ("word", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("no {}", row % 9))))),
            (
                "name",
                Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("no {}", scrambled(row) % 2000)))),
            ),
            ("price", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 3.0)))),
            ("empty", Arc::new(Int64Array::from_iter((0..rows).map(|_| None::<i64>)))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn encodings(count: i64) -> Vec<(bool, Option<Encoding>)> {
        let batch = rows(count);
        let lake = FileEncoding::lake(&batch.schema(), builder().build()).unwrap();
        let chosen = lake.properties(&batch, 100 * count as u64, 0).unwrap();
        let names = ["key", "kind", "text", "word", "name", "price", "empty"].map(ColumnPath::from);
        names.iter().map(|name| (chosen.dictionary_enabled(name), chosen.encoding(name))).collect()
    }

    #[test]
    fn values_that_repeat_get_a_dictionary_and_others_none() {
        let (key, text) = (Encoding::DELTA_BINARY_PACKED, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        let dictionary = (true, None);
        assert_eq!(
            encodings(5000),
            [(false, Some(key)), dictionary, (false, Some(text)), dictionary, dictionary, (false, None), dictionary]
        );
    }

    #[test]
    fn encoding_that_is_asked_for_is_that_of_all_columns_without_a_dictionary() {
        let batch = rows(5000);
        let asked = builder().set_encoding(Encoding::PLAIN).build();
        let chosen = FileEncoding::lake(&batch.schema(), asked).unwrap().properties(&batch, 500_000, 0).unwrap();
        for (name, has_dictionary) in [("key", false), ("kind", true), ("text", false), ("word", true)] {
            let name = ColumnPath::from(name);
            assert_eq!(chosen.encoding(&name), Some(Encoding::PLAIN), "{name}");
            assert_eq!(chosen.dictionary_enabled(&name), has_dictionary, "{name}");
        }
    }

    #[test]
    fn pages_of_rows_that_are_merged_with_many_others_are_small() {
        let batch = rows(20_000);
        let properties = FileEncoding::merged(&batch.schema()).unwrap().properties(&batch, 0, 0).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let file = SerializedFileReader::new(Bytes::from(file)).unwrap();
        let group = file.get_row_group(0).unwrap();
        for column in 0..batch.num_columns() {
            let pages = group.get_column_page_reader(column).unwrap().map(|page| u64::from(page.unwrap().num_values()));
            let pages: Vec<u64> = pages.collect();
            assert!(pages.iter().all(|&rows| rows < 2 * MERGED_PAGE_ROWS), "{column}: {pages:?}");
            assert_eq!(pages.iter().sum::<u64>(), 20_000);
        }
    }

    #[test]
    fn staged_texts_with_a_dictionary_have_no_statistics_unless_runs_are_ordered_by_them() {
        let batch = rows(5000);
        let has_statistics = |first_key| {
            let staging = FileEncoding::staging(&batch.schema(), first_key, Some(builder().build())).unwrap();
            let chosen = staging.properties(&batch, 500_000, 500_000).unwrap();
            ["key", "kind", "text", "word", "name"]
                .map(|name| chosen.statistics_enabled(&ColumnPath::from(name)) != EnabledStatistics::None)
        };
        assert_eq!(has_statistics(None), [true, true, true, false, false]);
        assert_eq!(has_statistics(Some("word")), [true, true, true, true, false]);
    }

    #[test]
    fn few_rows_keep_the_writers_default() {
        assert!(encodings(10).iter().all(|column| *column == (true, None)));
    }
}
