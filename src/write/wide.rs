//! Writes a Parquet file of many columns: one column after the other.
//!
//! ```text
//! rows      [a b c ...] [a b c ...]          collected, by column, until they are a row group
//! encoded   a a | b b | c c | ...            one encoder at a time, then its column's rows are freed
//! ```
//!
//! The Parquet writer's own way is an encoder per column for as long as a row group is open, each with its buffers, its
//! dictionary and its compressor: about 1 MiB each before the first row. That is the better way for tables of some
//! columns, whose rows need more memory than what is encoded of them; with thousands of columns it is GBs for three
//! rows.
//!
//! A row group of the same rows has the same bytes. Only the ends of row groups differ: they depend on the memory that
//! the rows need, and on the size of the row groups before.
//!
//! Memory: the rows of a row group, as `group_bytes` says, and its bytes, which grow while the rows become fewer. It
//! uploads what is complete, and does not abort an upload that failed: that is the caller's matter.

use std::io::Sink;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use datafusion::parquet::arrow::async_writer::AsyncFileWriter;
use datafusion::parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaData};
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::types::{SchemaDescriptor, Type};

use super::encoding::STAGING_ROW_GROUP_BYTES;
use super::size::used_bytes;
use super::upload::Upload;
use crate::types::width::is_wide;

/// Rows, in memory, of the row groups of staging files: chunks of a few KB, and a merge holds a row group per run.
pub(crate) const STAGING_GROUP_BYTES: usize = 16 << 20;

/// Rows, in memory, of the row groups of lake files: with their bytes once more, what a merge leaves room for.
pub(crate) const LAKE_GROUP_BYTES: usize = 64 << 20;

/// Bytes that an array may hold on to besides its rows.
const SLACK_BYTES: usize = 4096;

/// Parquet writer for wide tables that encodes one column after the other.
pub(crate) struct WideWriter {
    upload: Upload,
    groups: RowGroups,
}

impl WideWriter {
    /// Row groups need up to `group_bytes` in memory; `stored` is the bytes in the file per byte of rows, as far as is
    /// known.
    pub(crate) fn new(
        upload: Upload,
        schema: &SchemaRef,
        properties: WriterProperties,
        group_bytes: usize,
        stored: f64,
    ) -> Result<Self> {
        Ok(Self { upload, groups: RowGroups::new(schema, properties, group_bytes, stored)? })
    }

    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.groups.collect(rows)?;
        if self.groups.held_bytes >= self.groups.group_bytes { self.flush().await } else { Ok(()) }
    }

    /// Ends the row group.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.groups.end()?;
        self.send().await
    }

    pub(crate) async fn finish(&mut self) -> Result<ParquetMetaData> {
        self.flush().await?;
        let footer = self.groups.file.finish()?;
        self.send().await?;
        Ok(footer)
    }

    async fn send(&mut self) -> Result<()> {
        let bytes = std::mem::take(self.groups.file.inner_mut());
        if bytes.is_empty() { Ok(()) } else { self.upload.write(Bytes::from(bytes)).await }
    }

    pub(crate) fn append_key_value_metadata(&mut self, metadata: KeyValue) {
        self.groups.file.append_key_value_metadata(metadata);
    }

    pub(crate) fn bytes_written(&self) -> usize {
        self.groups.file.bytes_written()
    }

    /// Bytes that the collected rows will probably have in the file.
    pub(crate) fn in_progress_size(&self) -> usize {
        self.groups.in_progress_size()
    }

    /// Bytes in the file of a byte of rows.
    pub(crate) fn stored_share(&self) -> f64 {
        self.groups.stored
    }

    pub(crate) fn into_upload(self) -> Upload {
        self.upload
    }
}

/// Bytes of the row groups of staging files, as stored, at most.
pub(crate) fn staging_row_group_bytes(schema: &Schema) -> u64 {
    if is_wide(schema) { STAGING_GROUP_BYTES as u64 } else { STAGING_ROW_GROUP_BYTES }
}

/// Bytes in the file per byte of these rows.
pub(crate) fn share_of(rows: &RecordBatch, properties: WriterProperties) -> Result<f64> {
    let mut groups = RowGroups::new(&rows.schema(), properties, usize::MAX, 1.0)?;
    groups.collect(rows)?;
    groups.end()?;
    Ok(groups.stored)
}

/// The file, and the row group that is being collected.
struct RowGroups {
    file: SerializedFileWriter<Vec<u8>>,
    schema: SchemaRef,
    properties: WriterPropertiesPtr,
    /// Rows of each column.
    columns: Vec<Vec<ArrayRef>>,
    held_bytes: usize,
    group_bytes: usize,
    stored: f64,
}

impl RowGroups {
    fn new(schema: &SchemaRef, mut properties: WriterProperties, group_bytes: usize, stored: f64) -> Result<Self> {
        let leaves = ArrowSchemaConverter::new().with_coerce_types(properties.coerce_types()).convert(schema)?;
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let properties = Arc::new(properties);
        let file = SerializedFileWriter::new(Vec::new(), leaves.root_schema_ptr(), Arc::clone(&properties))?;
        let columns = vec![Vec::new(); schema.fields().len()];
        Ok(Self { file, schema: Arc::clone(schema), properties, columns, held_bytes: 0, group_bytes, stored })
    }

    fn collect(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.held_bytes += used_bytes(rows);
        let mut places = None;
        for (column, array) in self.columns.iter_mut().zip(rows.columns()) {
            column.push(alone(array, &mut places)?);
        }
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    fn in_progress_size(&self) -> usize {
        (self.held_bytes as f64 * self.stored) as usize
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn end(&mut self) -> Result<()> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        let before = self.file.bytes_written();
        let fields = self.file.schema_descr().root_schema().get_fields().to_vec();
        let mut group = self.file.next_row_group()?;
        for ((root, field), arrays) in fields.into_iter().zip(self.schema.fields()).zip(&mut self.columns) {
            let arrays = std::mem::take(arrays);
            let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
            for chunk in encode(root, schema, arrays, &self.properties)? {
                chunk.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
        self.stored = (self.file.bytes_written() - before) as f64 / self.held_bytes as f64;
        self.held_bytes = 0;
        Ok(())
    }
}

/// The chunks of one column; a nested column has several.
fn encode(
    root: Arc<Type>,
    schema: SchemaRef,
    arrays: Vec<ArrayRef>,
    properties: &WriterPropertiesPtr,
) -> Result<Vec<ArrowColumnChunk>> {
    let alone = Type::group_type_builder("schema").with_fields(vec![root]).build()?;
    let leaves = SchemaDescriptor::new(Arc::new(alone));
    let file: SerializedFileWriter<Sink> =
        SerializedFileWriter::new(std::io::sink(), leaves.root_schema_ptr(), Arc::clone(properties))?;
    let mut writers = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema)).create_column_writers(0)?;
    let field = schema.field(0);
    for array in arrays {
        for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, &array)?) {
            writer.write(&leaf)?;
        }
    }
    writers.into_iter().map(|writer| writer.close()).collect()
}

/// The rows of an array, which may be a slice of a much larger one, without what others hold.
fn alone(array: &ArrayRef, places: &mut Option<UInt32Array>) -> Result<ArrayRef> {
    let length = u32::try_from(array.len()).map_err(|error| ParquetError::External(error.into()))?;
    let fair = array.to_data().get_slice_memory_size().map_or(usize::MAX, |bytes| 2 * bytes + SLACK_BYTES);
    if array.get_array_memory_size() <= fair {
        return Ok(Arc::clone(array));
    }
    let places = places.get_or_insert_with(|| UInt32Array::from_iter_values(0..length));
    Ok(take(array, places, None)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::arrow::array::{BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray};
    use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
    use datafusion::parquet::arrow::ArrowWriter;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use proptest::prelude::*;

    use super::super::encoding::{FileEncoding, builder};
    use super::*;

    /// Rows of all kinds of columns: flat, text, nested, with NULLs.
    fn rows(from: i64, count: i64) -> RecordBatch {
        let numbers = || (from..from + count).map(|n| (n % 7 != 3).then_some(n * 31 % 1000));
        let inner: ArrayRef = Arc::new(Int64Array::from_iter(numbers()));
        let texts: ArrayRef = Arc::new(StringArray::from_iter(numbers().map(|n| n.map(|n| format!("text {n}")))));
        let of_struct = |name: &str, array: &ArrayRef| {
            (Arc::new(Field::new(name, array.data_type().clone(), true)), Arc::clone(array))
        };
        let lists = numbers().map(|n| n.map(|n| (0..n % 4).map(|item| i32::try_from(item).ok())));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("number", Arc::clone(&inner)),
            ("text", Arc::clone(&texts)),
            ("price", Arc::new(Float64Array::from_iter(numbers().map(|n| n.map(|n| n as f64 / 3.0))))),
            ("flag", Arc::new(BooleanArray::from_iter(numbers().map(|n| n.map(|n| n % 2 == 0))))),
            ("both", Arc::new(StructArray::from(vec![of_struct("a", &inner), of_struct("b", &texts)]))),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
            ("nothing", Arc::new(Int64Array::new_null(usize::try_from(count).unwrap()))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    async fn written(batches: &[RecordBatch], properties: WriterProperties, group_bytes: usize) -> Bytes {
        let store = Arc::new(InMemory::new());
        let upload = Upload::new(Arc::clone(&store) as Arc<dyn ObjectStore>, Path::from("f"), true);
        let mut writer = WideWriter::new(upload, &batches[0].schema(), properties, group_bytes, 1.0).unwrap();
        for batch in batches {
            writer.write(batch).await.unwrap();
        }
        let footer = writer.finish().await.unwrap();
        assert_eq!(footer.file_metadata().num_rows(), batches.iter().map(|b| b.num_rows() as i64).sum::<i64>());
        writer.into_upload().land().await.unwrap();
        store.get(&Path::from("f")).await.unwrap().bytes().await.unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// A row group has the bytes that the Parquet writer gives it by itself, whatever the batches are.
        #[test]
        fn bytes_are_those_of_the_parquet_writer(counts in prop::collection::vec(0i64..3000, 1..5), is_lake: bool) {
            let mut from = 0;
            let batches: Vec<RecordBatch> = counts.iter().map(|&count| {
                from += count;
                rows(from - count, count)
            }).collect();
            let schema = batches[0].schema();
            let encoding = if is_lake {
                FileEncoding::lake(&schema, builder().build()).unwrap()
            } else {
                FileEncoding::merged(&schema).unwrap()
            };
            let properties = encoding.properties(&batches[0], 10_000, 0).unwrap();
            let properties = properties.into_builder().set_max_row_group_bytes(None).build();
            let mut expected = ArrowWriter::try_new(Vec::new(), schema, Some(properties.clone())).unwrap();
            for batch in &batches {
                expected.write(batch).unwrap();
            }
            let expected = expected.into_inner().unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(written(&batches, properties, usize::MAX));
            prop_assert!(found == expected, "{} bytes instead of {}", found.len(), expected.len());
        }
    }

    #[tokio::test]
    async fn row_group_ends_when_its_rows_need_the_bytes() {
        let batches: Vec<RecordBatch> = (0..8).map(|n| rows(n * 1000, 1000)).collect();
        let properties = FileEncoding::merged(&batches[0].schema()).unwrap().properties(&batches[0], 0, 0).unwrap();
        let file = written(&batches, properties, 2 * used_bytes(&batches[0]) - 1000).await;
        let reader = datafusion::parquet::file::reader::SerializedFileReader::new(file).unwrap();
        let groups = datafusion::parquet::file::reader::FileReader::metadata(&reader).row_groups();
        let rows: BTreeSet<i64> = groups.iter().map(|group| group.num_rows()).collect();
        assert!((3..=4).contains(&groups.len()) && rows.iter().all(|rows| *rows <= 3000), "{rows:?}");
    }

    #[test]
    fn slice_of_a_large_array_is_copied_and_a_whole_one_is_not() {
        let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let mut places = None;
        assert!(Arc::ptr_eq(&alone(&array, &mut places).unwrap(), &array) && places.is_none());
        let slice = array.slice(500, 10);
        let copy = alone(&slice, &mut places).unwrap();
        assert_eq!(&copy, &slice);
        assert!(copy.get_array_memory_size() < 1000);
    }

    #[test]
    fn what_rows_come_to_is_known_from_a_few() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let nulls = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::new_null(8000))]).unwrap();
        assert!(share_of(&nulls, builder().build()).unwrap() < 0.01);
    }
}
