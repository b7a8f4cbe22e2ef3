//! The footer of a file that somebody else wrote: what it says about rows is compared, and known mistakes are put
//! right.
//!
//! Statistics are not read: they may be missing, cut, of an unknown order, or wrong, and would remove rows (`scan`).
//! Known mistakes of old writers in offsets and lengths, which other readers correct, are corrected here
//! (docs/upstream.md).
//!
//! Fails where the footer's own numbers differ. What the pages hold is counted when they are read (`guard`).

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::parquet::arrow::{ARROW_SCHEMA_META_KEY, parquet_to_arrow_schema};
use datafusion::parquet::basic::Type as PhysicalType;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy, RowGroupMetaData,
};

use datafusion::parquet::schema::types::{SchemaDescriptor, Type as ParquetType};

use super::old_footer::mended_footer;
use crate::thrift::check_footer;
use crate::types::lake::list_item;

/// Length of the footer, and `PAR1`, at the end of a file.
const TAIL: usize = 8;

/// Bytes by which old files of parquet-mr may state too small a chunk: the head of its dictionary.
const OLD_HEAD: u64 = 100;

/// Bytes of a file's end that its footer takes; None if there is no footer that this program reads.
pub(crate) fn footer_bytes(end: &[u8]) -> Option<usize> {
    let (_, tail) = end.split_last_chunk::<TAIL>()?;
    let [a, b, c, d, magic @ ..] = tail;
    (magic == b"PAR1").then(|| TAIL.saturating_add(u32::from_le_bytes([*a, *b, *c, *d]) as usize))
}

/// What is decoded of the statistics in a footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FooterBounds {
    /// For guesses.
    Read,
    /// Where rows are read.
    Skipped,
}

/// Decodes a file's footer; `end` holds at least all of it.
///
/// # Errors
/// Those of the Parquet reader.
pub(crate) fn decode_footer(end: &Bytes, bounds: FooterBounds) -> Result<ParquetMetaData> {
    check_footer(end)?;
    let mut options = ParquetMetaDataOptions::new().with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    if bounds == FooterBounds::Skipped {
        options = options.with_column_stats_policy(ParquetStatisticsPolicy::SkipAll);
    }
    let read =
        |end: &Bytes| ParquetMetaDataReader::new().with_metadata_options(Some(options.clone())).parse_and_finish(end);
    read(end).or_else(|error| {
        let length = footer_bytes(end).filter(|length| *length <= end.len()).unwrap_or(TAIL.min(end.len()));
        let Some(mut footer) = mended_footer(&end[end.len() - length..end.len().saturating_sub(TAIL)]) else {
            return Err(error);
        };
        let length = u32::try_from(footer.len()).map_err(|error| ParquetError::General(error.to_string()))?;
        footer.extend(length.to_le_bytes());
        footer.extend(b"PAR1");
        read(&Bytes::from(footer))
    })
}

/// Rows of a file, unchecked.
pub(crate) fn rows_of_groups(footer: &ParquetMetaData) -> u64 {
    footer.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
}

/// Rows of a file: those of its row groups.
///
/// # Errors
/// Numbers of the footer that differ.
pub(crate) fn check_rows(footer: &ParquetMetaData) -> std::result::Result<u64, String> {
    let mut rows = 0u64;
    for (number, group) in footer.row_groups().iter().enumerate() {
        let of_group = u64::try_from(group.num_rows())
            .map_err(|_| format!("row group {} has {} rows by its footer", number + 1, group.num_rows()))?;
        rows = rows.saturating_add(of_group);
        for column in group.columns().iter().filter(|column| column.column_descr().max_rep_level() == 0) {
            if column.num_values() != group.num_rows() {
                return Err(format!(
                    "its footer says {of_group} rows for row group {}, but {} values for column '{}'",
                    number + 1,
                    column.num_values(),
                    column.column_path().parts().join(".")
                ));
            }
        }
    }
    let of_file = footer.file_metadata().num_rows();
    // Some writers leave it at 0, which says nothing.
    if of_file != 0 && u64::try_from(of_file) != Ok(rows) {
        return Err(format!("its footer says {of_file} rows, its row groups {rows}"));
    }
    Ok(rows)
}

/// The first group without fields in one of the columns that are wanted, dotted; None: all are. Arrow passes over such
/// groups, and the engine then takes one column for another.
pub(crate) fn empty_group(root: &ParquetType, wanted: Option<&Schema>) -> Option<String> {
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted.field_with_name(name).is_ok());
    let columns = root.get_fields().iter().filter(|field| field.is_group() && is_wanted(field.name()));
    columns.into_iter().find_map(|field| match field.get_fields() {
        [] => Some(field.name().to_owned()),
        _ => empty_below(field).map(|inner| format!("{}.{inner}", field.name())),
    })
}

fn empty_below(group: &ParquetType) -> Option<String> {
    group.get_fields().iter().filter(|field| field.is_group()).find_map(|field| {
        let name = field.name();
        match field.get_fields() {
            [] => Some(name.to_owned()),
            _ => empty_below(field).map(|inner| format!("{name}.{inner}")),
        }
    })
}

/// A footer without its columns that have no fields at any depth, and so no values; None: there are no such columns.
///
/// # Errors
/// Those of the Parquet reader.
pub(crate) fn without_empty_columns(file: &FileMetaData) -> Result<Option<FileMetaData>> {
    let root = file.schema_descr().root_schema();
    let kept: Vec<_> = root.get_fields().iter().filter(|field| has_values(field)).cloned().collect();
    if kept.len() == root.get_fields().len() {
        return Ok(None);
    }
    let root = ParquetType::group_type_builder(root.name()).with_fields(kept).build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    // What the writer embedded for Arrow has one column for each of those that were there.
    let mut reported = file.key_value_metadata().cloned();
    if let Some(reported) = &mut reported {
        reported.retain(|pair| pair.key != ARROW_SCHEMA_META_KEY);
    }
    let (created_by, orders) = (file.created_by().map(ToOwned::to_owned), file.column_orders().cloned());
    Ok(Some(FileMetaData::new(file.version(), file.num_rows(), created_by, reported, schema, orders)))
}

fn has_values(field: &ParquetType) -> bool {
    !field.is_group() || field.get_fields().iter().any(|field| has_values(field))
}

/// The columns of a file as Arrow reads them: old timestamps are of microseconds, or of nanoseconds where they are
/// declared so.
///
/// # Errors
/// Those of the Parquet reader.
pub(crate) fn arrow_schema(file: &FileMetaData, declared: Option<&Schema>) -> Result<Schema> {
    let descriptor = file.schema_descr();
    let schema = parquet_to_arrow_schema(descriptor, file.key_value_metadata())?;
    // What the writer embedded of them says nothing about the digits that they have.
    let bare = parquet_to_arrow_schema(descriptor, None)?;
    let Some(micros) = Int96Coercer::new(descriptor, &bare, &INT96_UNIT).coerce() else { return Ok(schema) };
    let fields = schema.fields().iter().zip(bare.fields()).zip(micros.fields()).map(|((field, nanos), micros)| {
        if nanos == micros {
            return Arc::clone(field);
        }
        let declared = declared.and_then(|declared| declared.field_with_name(field.name()).ok());
        with_unit(micros, nanos, declared)
    });
    Ok(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Unit of the timestamps that old writers store as INT96. Nanoseconds reach from 1677 to 2262 only: a value beyond,
/// such as 9999-12-31 for "never", is more frequent than one with nanoseconds.
const INT96_UNIT: TimeUnit = TimeUnit::Microsecond;

/// The one field with the other's timestamps where they are declared to be of nanoseconds.
fn with_unit(micros: &FieldRef, nanos: &FieldRef, declared: Option<&Field>) -> FieldRef {
    let declared = declared.map(Field::data_type);
    let data_type = match (micros.data_type(), nanos.data_type(), declared) {
        (_, DataType::Timestamp(..), Some(DataType::Timestamp(TimeUnit::Nanosecond, _))) => nanos.data_type().clone(),
        (DataType::Struct(of_micros), DataType::Struct(of_nanos), Some(DataType::Struct(declared))) => {
            let fields = of_micros.iter().zip(of_nanos).map(|(micros, nanos)| {
                let declared = declared.iter().find(|field| field.name() == micros.name());
                with_unit(micros, nanos, declared.map(AsRef::as_ref))
            });
            DataType::Struct(fields.collect::<Fields>())
        }
        (DataType::List(micros), DataType::List(nanos), Some(DataType::List(declared))) => {
            DataType::List(with_unit(micros, nanos, Some(declared)))
        }
        _ => return Arc::clone(micros),
    };
    Arc::new(micros.as_ref().clone().with_data_type(data_type))
}

/// The types of the columns that Parquet stores, in its order.
pub(crate) fn leaves<'a>(fields: &'a Fields, found: &mut Vec<&'a DataType>) {
    for field in fields {
        leaf(field.data_type(), found);
    }
}

fn leaf<'a>(data_type: &'a DataType, found: &mut Vec<&'a DataType>) {
    match data_type {
        DataType::Struct(fields) => leaves(fields, found),
        DataType::Map(entries, _) => leaf(entries.data_type(), found),
        other => match list_item(other) {
            Some(item) => leaf(item.data_type(), found),
            None => found.push(other),
        },
    }
}

/// Whether a file has old timestamps.
pub(crate) fn has_int96(file: &FileMetaData) -> bool {
    file.schema_descr().columns().iter().any(|column| column.physical_type() == PhysicalType::INT96)
}

/// A footer with the places of its chunks put right, and how many bytes each had by the footer if that was changed.
pub(crate) type PlacedChunks = (Vec<RowGroupMetaData>, Option<Vec<Vec<u64>>>);

/// Puts right what the footer says of places in a file of that size; None: nothing is wrong.
///
/// # Errors
/// A place that is not in the file.
pub(crate) fn places(footer: &ParquetMetaData, size: u64) -> Result<std::result::Result<Option<PlacedChunks>, String>> {
    let is_old = footer.file_metadata().created_by().is_some_and(is_old_parquet_mr);
    let (mut groups, mut stated, mut is_changed) = (Vec::new(), Vec::new(), is_old);
    for (number, group) in footer.row_groups().iter().enumerate() {
        let (mut columns, mut of_group) = (Vec::new(), Vec::new());
        for column in group.columns() {
            let Some((dictionary, start, length)) = place(column, size) else {
                let name = column.column_path().parts().join(".");
                return Ok(Err(format!(
                    "its footer places column '{name}' of row group {} where the file, of {size} bytes, has none",
                    number + 1
                )));
            };
            let longer = if is_old { (length + OLD_HEAD).min(size - start) } else { length };
            let is_other = dictionary != column.dictionary_page_offset() || longer != length;
            if is_other || is_changed {
                is_changed = true;
                let column = column.clone().into_builder().set_dictionary_page_offset(dictionary);
                columns.push(column.set_total_compressed_size(longer.cast_signed()).build()?);
            }
            of_group.push(length);
        }
        if is_changed {
            // Those before the first that is wrong are as they were.
            let before = group.columns()[..group.num_columns() - columns.len()].iter().cloned();
            let columns = before.chain(columns).collect();
            if groups.is_empty() {
                groups.extend(footer.row_groups()[..number].iter().cloned());
            }
            groups.push(group.clone().into_builder().set_column_metadata(columns).build()?);
        }
        if is_old {
            stated.push(of_group);
        }
    }
    Ok(Ok(is_changed.then_some((groups, is_old.then_some(stated)))))
}

/// Where a chunk's dictionary and its first page begin, and its length; None if it is not within the file.
fn place(column: &ColumnChunkMetaData, size: u64) -> Option<(Option<i64>, u64, u64)> {
    // A dictionary at 0, where the file's magic is, or behind the data it is for, is none: the first page decides.
    let dictionary = column.dictionary_page_offset().filter(|at| (1..column.data_page_offset()).contains(at));
    let start = u64::try_from(dictionary.unwrap_or_else(|| column.data_page_offset())).ok()?;
    let length = u64::try_from(column.compressed_size()).ok()?;
    start.checked_add(length).filter(|end| *end <= size)?;
    Some((dictionary, start, length))
}

/// Before 3.0, the C++ library compressed pages of the second version and marked them as not compressed
/// (ARROW-10353). Files of Arrow 1 and 2 say 1.5.1-SNAPSHOT.
pub(crate) fn compresses_all_pages(created_by: &str) -> bool {
    let version = created_by.strip_prefix("parquet-cpp-arrow version ");
    match version.or_else(|| created_by.strip_prefix("parquet-cpp version ")) {
        Some(version) => version_of(version) < (3, 0, 0),
        None => false,
    }
}

fn version_of(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// Before 1.2.9, parquet-mr did not count the head of a chunk's dictionary (PARQUET-816).
fn is_old_parquet_mr(created_by: &str) -> bool {
    let Some(rest) = created_by.strip_prefix("parquet-mr") else { return false };
    let Some(version) = rest.trim_start().strip_prefix("version ") else { return rest.trim().is_empty() };
    version_of(version) < (1, 2, 9)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::ParquetMetaDataBuilder;

    use super::*;

    fn footer() -> (ParquetMetaData, u64) {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("n", Arc::clone(&column)), ("m", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        for _ in 0..2 {
            writer.write(&batch).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
        (decode_footer(&Bytes::from(bytes.clone()), FooterBounds::Skipped).unwrap(), bytes.len() as u64)
    }

    fn with(
        footer: &ParquetMetaData,
        rows: i64,
        created_by: &str,
        change: impl Fn(usize, ColumnChunkMetaData) -> ColumnChunkMetaData,
    ) -> ParquetMetaData {
        let old = footer.file_metadata();
        let created_by = Some(created_by.to_owned());
        let file = FileMetaData::new(old.version(), rows, created_by, None, old.schema_descr_ptr(), None);
        let groups = footer.row_groups().iter().enumerate().map(|(number, group)| {
            let columns = group.columns().iter().map(|column| change(number, column.clone())).collect();
            group.clone().into_builder().set_column_metadata(columns).build().unwrap()
        });
        ParquetMetaDataBuilder::new(file).set_row_groups(groups.collect()).build()
    }

    fn same(_: usize, column: ColumnChunkMetaData) -> ColumnChunkMetaData {
        column
    }

    #[test]
    fn statistics_are_not_even_read() {
        assert!(footer().0.row_groups().iter().all(|group| group.columns().iter().all(|c| c.statistics().is_none())));
    }

    #[test]
    fn rows_that_differ_are_found_and_a_total_of_zero_says_nothing() {
        let (footer, _) = footer();
        assert_eq!(check_rows(&footer), Ok(6));
        assert_eq!(check_rows(&with(&footer, 0, "x", same)), Ok(6));
        for rows in [5, 7, -1] {
            let message = check_rows(&with(&footer, rows, "x", same)).unwrap_err();
            assert_eq!(message, format!("its footer says {rows} rows, its row groups 6"));
        }
        let fewer = |number: usize, column: ColumnChunkMetaData| match number {
            1 => column.into_builder().set_num_values(2).build().unwrap(),
            _ => column,
        };
        let message = check_rows(&with(&footer, 6, "x", fewer)).unwrap_err();
        assert_eq!(message, "its footer says 3 rows for row group 2, but 2 values for column 'n'");
    }

    #[test]
    fn places_are_put_right_and_those_outside_of_the_file_are_found() {
        let (footer, size) = footer();
        assert!(places(&footer, size).unwrap().unwrap().is_none());
        let at_zero = |number: usize, column: ColumnChunkMetaData| match number {
            1 => column.into_builder().set_dictionary_page_offset(Some(0)).build().unwrap(),
            _ => column,
        };
        let (groups, stated) = places(&with(&footer, 6, "x", at_zero), size).unwrap().unwrap().unwrap();
        assert!(stated.is_none() && groups.len() == 2 && groups[1].num_columns() == 2);
        assert_eq!(groups[0].column(0).byte_range(), footer.row_group(0).column(0).byte_range());
        assert_eq!(groups[1].column(0).byte_range().0, footer.row_group(1).column(0).data_page_offset() as u64);
        let old = with(&footer, 6, "parquet-mr version 1.2.5-cdh4.5.0 (build )", same);
        let (groups, stated) = places(&old, size).unwrap().unwrap().unwrap();
        let length = footer.row_group(1).column(1).byte_range().1;
        assert_eq!(stated.unwrap()[1][1], length);
        assert_eq!(groups[1].column(1).byte_range().1, length + OLD_HEAD);
        assert!(places(&footer, 20).unwrap().unwrap_err().contains("places column 'n' of row group 1"));
        let negative = |_: usize, column: ColumnChunkMetaData| {
            column.into_builder().set_total_compressed_size(-1).build().unwrap()
        };
        assert!(places(&with(&footer, 6, "x", negative), size).unwrap().is_err());
    }

    #[test]
    fn group_without_fields_is_found_by_its_path() {
        let of = |message: &str| {
            let schema = datafusion::parquet::schema::parser::parse_message_type(message).unwrap();
            empty_group(&schema, None)
        };
        assert_eq!(of("message m { required int32 a; optional group g { optional group h { } } }"), Some("g.h".into()));
        assert_eq!(of("message m { optional group g { required int32 a; } }"), None);
    }

    #[test]
    fn versions_of_parquet_mr_are_kept_apart() {
        for old in ["parquet-mr", "parquet-mr version 1.2.5-cdh4.5.0 (build )", "parquet-mr version 1.2.8"] {
            assert!(is_old_parquet_mr(old), "{old}");
        }
        assert!(compresses_all_pages("parquet-cpp version 1.5.1-SNAPSHOT"));
        assert!(compresses_all_pages("parquet-cpp-arrow version 2.0.0"));
        assert!(!compresses_all_pages("parquet-cpp-arrow version 3.0.0") && !compresses_all_pages("parquet-mr"));
        for new in ["parquet-mr version 1.2.9", "parquet-mr version 1.12.0 (build a)", "impala version 1.0", ""] {
            assert!(!is_old_parquet_mr(new), "{new}");
        }
    }
}
