//! The data file of a manifest: Parquet, one row per file.
//!
//! Small ones are written without compression, dictionaries and statistics, since there may be one per partition and
//! what these set up costs more than the rows. Large ones are written in slices, so that no second copy of the whole
//! list is in memory.

use std::panic::catch_unwind;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::arrow::{ArrowWriter, ProjectionMask};
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;

use super::codec::undecodable;
use super::{FileEntry, bare_etag};
use crate::error::{Error, Result};
use crate::layout::FilePartition;
use crate::thrift::check_footer;

/// Rows that are encoded and decoded at once.
const SLICE: usize = 65_536;

const PARTITION: &str = "partition";
const STATISTICS: &str = "column_statistics";

/// Manifests of fewer files than this are written plain.
const SMALL: usize = 512;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields())));

static SCHEMA_WITH_PARTITION: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = fields();
    fields.push(Field::new(PARTITION, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
});

static SCHEMA_WITH_STATISTICS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = fields();
    fields.extend([PARTITION, STATISTICS].map(|name| Field::new(name, DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
});

fn fields() -> Vec<Field> {
    vec![
        Field::new("uri", DataType::Utf8, false),
        Field::new("etag", DataType::Utf8, false),
        Field::new("size", DataType::Int64, false),
        Field::new("n_record", DataType::Int64, true),
    ]
}

fn properties(files: usize) -> WriterProperties {
    // Uris and etags hardly ever repeat, so a dictionary of them is a second copy.
    let properties = WriterProperties::builder()
        .set_created_by("snaplake".to_owned())
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    if files < SMALL {
        return properties.build();
    }
    properties
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(ColumnPath::from(PARTITION), true)
        .set_max_row_group_row_count(Some(2 * SLICE))
        .build()
}

/// The data file. The same files give the same bytes.
///
/// # Errors
/// [`Error::Parquet`] if encoding fails.
pub fn encode_files(files: &[FileEntry], uri: &str) -> Result<Bytes> {
    encode_with_statistics(files, &[], uri)
}

/// The data file with what is known of the columns of each file, if anything is.
///
/// # Errors
/// As [`encode_files`].
pub fn encode_with_statistics(files: &[FileEntry], statistics: &[String], uri: &str) -> Result<Bytes> {
    let failed = |source| Error::Parquet { uri: uri.to_owned(), source };
    let schema = if !statistics.is_empty() {
        &SCHEMA_WITH_STATISTICS
    } else if !files.iter().all(|file| file.partition.is_none()) {
        &SCHEMA_WITH_PARTITION
    } else {
        &SCHEMA
    };
    // The columns have the plain types that Parquet's own schema says: no copy of the Arrow schema is needed.
    let options = ArrowWriterOptions::new().with_properties(properties(files.len())).with_skip_arrow_metadata(true);
    // Growing by doubling would hold a large file twice.
    let mut bytes = Vec::with_capacity(1_024 + 32 * files.len());
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, Arc::clone(schema), options).map_err(failed)?;
    for (index, slice) in files.chunks(SLICE).enumerate() {
        let of_slice = statistics.get(index * SLICE..).unwrap_or_default();
        writer.write(&batch(schema, slice, of_slice).map_err(|source| failed(source.into()))?).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(bytes.into())
}

/// `statistics` may go on after the last file.
fn batch(
    schema: &SchemaRef,
    files: &[FileEntry],
    statistics: &[String],
) -> Result<RecordBatch, datafusion::arrow::error::ArrowError> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(files.iter().map(|file| &file.uri))),
        Arc::new(StringArray::from_iter_values(files.iter().map(|file| &file.etag))),
        Arc::new(Int64Array::from_iter_values(files.iter().map(|file| number(file.size)))),
        Arc::new(files.iter().map(|file| file.n_record.map(number)).collect::<Int64Array>()),
    ];
    if schema.fields().len() > columns.len() {
        columns.push(Arc::new(files.iter().map(|file| file.partition.text()).collect::<StringArray>()));
    }
    if schema.fields().len() > columns.len() {
        let texts = (0..files.len()).map(|file| statistics.get(file).filter(|text| !text.is_empty()));
        columns.push(Arc::new(texts.collect::<StringArray>()));
    }
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Reads a data file, ours or any with `uri`, `etag`, `size` and optionally `n_record`, `partition`. The result is
/// sorted by uri.
///
/// # Errors
/// [`Error::DecodeManifest`] when it is not Parquet, [`Error::Manifest`] when a column is missing or NULL.
pub fn decode_files(bytes: Bytes, uri: &str) -> Result<Vec<FileEntry>> {
    Ok(decode_caught(bytes, uri, false)?.0)
}

/// Reads a data file and what it says of the columns of each file: as many texts as files, empty where it says nothing.
///
/// # Errors
/// As [`decode_files`].
pub fn decode_with_statistics(bytes: Bytes, uri: &str) -> Result<(Vec<FileEntry>, Vec<String>)> {
    decode_caught(bytes, uri, true)
}

fn decode_caught(bytes: Bytes, uri: &str, with_statistics: bool) -> Result<(Vec<FileEntry>, Vec<String>)> {
    // Over some damaged files the decoder panics.
    let decoded = catch_unwind(|| decode(bytes, uri, with_statistics));
    decoded.unwrap_or_else(|panic| Err(undecodable(uri, Error::panicked(panic.as_ref()))))
}

fn decode(bytes: Bytes, uri: &str, with_statistics: bool) -> Result<(Vec<FileEntry>, Vec<String>)> {
    check_footer(&bytes).map_err(|source| undecodable(uri, source))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|source| undecodable(uri, source))?;
    let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let wanted =
        ["uri", "etag", "size", "n_record", PARTITION].into_iter().chain(with_statistics.then_some(STATISTICS));
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
    let builder = builder.with_projection(mask).with_batch_size(SLICE.min(rows.max(1)));
    let reader = builder.build().map_err(|source| undecodable(uri, source))?;
    // The footer's count is a hint: a damaged one must not ask for all memory.
    let mut files = Vec::with_capacity(rows.min(1 << 20));
    let mut statistics = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|source| undecodable(uri, source))?;
        decode_batch(&batch, uri, &mut files)?;
        if with_statistics {
            let column = batch.column_by_name(STATISTICS).map(|column| cast(column, &DataType::Utf8)).transpose();
            let column = column.map_err(|source| undecodable(uri, source))?;
            let texts = column.as_ref().map(|column| column.as_string::<i32>());
            let text = |row| texts.filter(|texts| texts.is_valid(row)).map_or("", |texts| texts.value(row)).to_owned();
            statistics.extend((0..batch.num_rows()).map(text));
        }
    }
    if !with_statistics {
        files.sort_unstable_by(|a: &FileEntry, b| a.uri.cmp(&b.uri));
        return Ok((files, statistics));
    }
    let mut both: Vec<(FileEntry, String)> = files.into_iter().zip(statistics).collect();
    both.sort_unstable_by(|(a, _), (b, _)| a.uri.cmp(&b.uri));
    Ok(both.into_iter().unzip())
}

fn decode_batch(batch: &RecordBatch, uri: &str, files: &mut Vec<FileEntry>) -> Result<()> {
    let missing =
        |name: &str| Error::Manifest { uri: uri.to_owned(), reason: format!("column '{name}' is missing or NULL") };
    let column = |name: &str, data_type: DataType| {
        let column = batch.column_by_name(name).map(|column| cast(column, &data_type));
        column.transpose().map_err(|source| undecodable(uri, source))
    };
    let uris = column("uri", DataType::Utf8)?.ok_or_else(|| missing("uri"))?;
    let etags = column("etag", DataType::Utf8)?;
    let sizes = column("size", DataType::UInt64)?.ok_or_else(|| missing("size"))?;
    let rows = column("n_record", DataType::UInt64)?;
    let partitions = column(PARTITION, DataType::Utf8)?;
    let (uris, etags) = (uris.as_string::<i32>(), etags.as_ref().map(|etags| etags.as_string::<i32>()));
    let (sizes, rows) =
        (sizes.as_primitive::<UInt64Type>(), rows.as_ref().map(|rows| rows.as_primitive::<UInt64Type>()));
    let partitions = partitions.as_ref().map(|partitions| partitions.as_string::<i32>());
    if uris.null_count() > 0 {
        return Err(missing("uri"));
    }
    if sizes.null_count() > 0 {
        return Err(missing("size"));
    }
    // Files of one partition are together and share its text.
    let mut last = FilePartition::None;
    for row in 0..batch.num_rows() {
        let text = partitions.filter(|partitions| partitions.is_valid(row)).map(|partitions| partitions.value(row));
        if last.text() != text {
            last = FilePartition::parse(text).map_err(|source| undecodable(uri, source))?;
        }
        let etag = etags.filter(|etags| etags.is_valid(row)).map_or("", |etags| etags.value(row));
        files.push(FileEntry {
            uri: Arc::from(uris.value(row)),
            etag: Arc::from(bare_etag(etag)),
            size: sizes.value(row),
            n_record: rows.filter(|rows| rows.is_valid(row)).map(|rows| rows.value(row)),
            partition: last.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(uri: &str, etag: &str, n_record: Option<u64>) -> FileEntry {
        FileEntry { uri: uri.into(), etag: etag.into(), size: 5, n_record, partition: FilePartition::None }
    }

    fn many(count: usize) -> Vec<FileEntry> {
        let partition = |number: usize| FilePartition::one(&format!("k={}", number / 10));
        let entry = |number: usize| FileEntry {
            partition: partition(number),
            ..file(&format!("s3://b/{number:07}"), "e", Some(1))
        };
        (0..count).map(entry).collect()
    }

    #[test]
    fn partition_column_is_written_only_where_there_is_one() {
        let mut entry = file("s3://b/a", "1", None);
        entry.partition = FilePartition::one("k=1");
        let back = decode_files(encode_files(&[entry.clone()], "u").unwrap(), "u").unwrap();
        assert_eq!(back, vec![entry]);
    }

    #[test]
    fn list_of_several_slices_round_trips_and_files_of_a_partition_share_its_text() {
        let files = many(3 * SLICE + 1);
        let bytes = encode_files(&files, "u").unwrap();
        assert_eq!(bytes, encode_files(&files, "u").unwrap());
        let back = decode_files(bytes, "u").unwrap();
        assert_eq!(back, files);
        let text = |number: usize| match back[number].partition.clone() {
            FilePartition::One(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(Arc::ptr_eq(&text(0), &text(9)) && !Arc::ptr_eq(&text(9), &text(10)));
    }

    #[test]
    fn small_list_is_plain_and_a_large_one_is_compressed() {
        let bytes = |count: usize| encode_files(&many(count), "u").unwrap().len();
        assert!(bytes(1) < 1_500, "{}", bytes(1));
        assert!(bytes(SMALL) < bytes(SMALL - 1) / 2);
    }

    #[test]
    fn statistics_stay_with_their_file_and_are_read_only_when_asked_for() {
        let files = [file("s3://b/b", "2", Some(1)), file("s3://b/a", "1", Some(1))];
        let texts = ["{\"k\":1}".to_owned(), String::new()];
        let bytes = encode_with_statistics(&files, &texts, "u").unwrap();
        let (sorted, statistics) = decode_with_statistics(bytes.clone(), "u").unwrap();
        assert_eq!(sorted, [files[1].clone(), files[0].clone()]);
        assert_eq!(statistics, [texts[1].clone(), texts[0].clone()]);
        assert_eq!(decode_files(bytes, "u").unwrap(), sorted);
        let plain = encode_files(&files, "u").unwrap();
        assert_eq!(decode_with_statistics(plain, "u").unwrap().1, ["", ""]);
    }

    #[test]
    fn garbage_is_an_error_that_names_the_file() {
        let error = decode_files(Bytes::from_static(b"PAR1 nothing"), "s3://b/x").unwrap_err();
        assert!(error.to_string().contains("s3://b/x"));
    }

    #[test]
    fn any_flipped_bit_gives_a_list_or_an_error_that_names_the_file() {
        let bytes = encode_files(&many(3), "u").unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut spoiled = bytes.to_vec();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            if let Err(error) = decode_files(spoiled.into(), "s3://b/x") {
                assert!(error.to_string().contains("s3://b/x"), "{bit}: {error}");
            }
        }
    }

    proptest! {
        /// Any list comes back as it was, sorted by uri.
        #[test]
        fn any_list_round_trips(
            files in prop::collection::btree_map(
                "\\PC{1,12}",
                ("[a-z0-9]{0,6}", 0u64..=i64::MAX as u64, prop::option::of(0u64..9), prop::option::of("[a-c]=[^/*,\"]{0,3}")),
                0..40,
            )
        ) {
            let files: Vec<FileEntry> = files.into_iter().map(|(uri, (etag, size, n_record, partition))| FileEntry {
                uri: uri.into(), etag: etag.into(), size, n_record, partition: partition.map_or(FilePartition::None, |text: String| FilePartition::one(&text)),
            }).collect();
            prop_assert_eq!(decode_files(encode_files(&files, "u").unwrap(), "u").unwrap(), files);
        }
    }
}
