//! Assembles lake files from staged pages without decoding, sorting or encoding.
//!
//! ```text
//! staging files    [row group] [row group]   [row group]        in their order, which the caller has found
//! lake file        [row group of 64 MiB or more         ] ...   each column's pages one after another (`chunk`)
//! ```
//!
//! A row group that was not staged for this (`encoding` says which are) is encoded first, by itself, and then taken
//! like the others. A row group of the lake ends when it is large enough, or a dictionary is; a file ends where the
//! roll rule says so, always between two staged row groups. What is written depends on the staging files alone.
//!
//! Memory: the bytes of one lake row group, twice. It does not commit anything; a failed write aborts its upload.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatchReader;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use datafusion::parquet::arrow::{ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::types::ColumnPath;

use super::chunk::{Chunk, StagedChunk};
use super::codec::Codec;
use crate::error::unwrap_engine;
use crate::error::{Error, Result};
use crate::layout::FilePartition;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::manifest::statistics::encode_ranges;
use crate::snapshot::parquet::part::FileTail;
use crate::write::copyable::{COPIED_ROWS, PAGES_KEY, pages_mark};
use crate::write::encoding::FileEncoding;
use crate::write::landing::{Landed, Landing, Landings};
use crate::write::ranges::{FileRanges, plain_floats};
use crate::write::upload::Upload;
use crate::write::{Numbering, WriteSpec};

/// A dictionary that is larger costs more than it saves. Those of staged row groups have up to 1 MiB.
const DICTIONARY_BYTES: usize = 8 << 20;

/// A staged row group, and the bytes of its file that hold it.
#[derive(Debug, Clone)]
pub(crate) struct StagedRowGroup {
    pub(crate) file: Arc<ParquetMetaData>,
    pub(crate) number: usize,
    pub(crate) part: FileTail,
}

struct OpenCopy {
    location: Location,
    writer: SerializedFileWriter<Vec<u8>>,
    upload: Upload,
    rows: u64,
}

/// Writes lake files from staged pages without decoding them.
pub(crate) struct Assembler<'a> {
    spec: &'a WriteSpec,
    /// For rows that are encoded here.
    encoding: FileEncoding,
    properties: WriterPropertiesPtr,
    mark: String,
    open: Option<OpenCopy>,
    /// Columns of the row group that is being collected.
    chunks: Vec<Chunk>,
    rows: u64,
    /// Float columns that are plain in all that the file is made of; `None` while that is nothing.
    plain: Option<BTreeSet<String>>,
    files: u32,
    rows_left: u64,
    landings: Landings,
    done: Vec<(FileEntry, String)>,
}

impl<'a> Assembler<'a> {
    /// For files as `spec` says, of so many rows in all; `encoding` is that of the staging files.
    pub(crate) fn new(spec: &'a WriteSpec, encoding: FileEncoding, properties: WriterProperties, rows: u64) -> Self {
        let mark = pages_mark(&properties);
        let mut properties = properties;
        add_encoded_arrow_schema_to_metadata(&spec.file_schema, &mut properties);
        Self {
            spec,
            encoding,
            properties: Arc::new(properties),
            mark,
            open: None,
            chunks: Vec::new(),
            rows: 0,
            plain: None,
            files: 0,
            rows_left: rows,
            landings: Landings::default(),
            done: Vec::new(),
        }
    }

    /// Adds the rows of a row group.
    ///
    /// # Errors
    /// [`Error::Parquet`] for a damaged one, and those of the store.
    pub(crate) async fn add(&mut self, staged: &StagedRowGroup, uri: &str) -> Result<()> {
        let failed = |source| Error::Parquet { uri: uri.to_owned(), source };
        let plain = plain_floats(&staged.file);
        if self.fits(&staged.file) {
            return self.take(staged, &plain, uri).await;
        }
        let (file, bytes) = self.encode(staged).map_err(failed)?;
        for number in 0..file.num_row_groups() {
            let part = FileTail { start: 0, bytes: bytes.clone() };
            self.take(&StagedRowGroup { file: Arc::clone(&file), number, part }, &plain, uri).await?;
        }
        Ok(())
    }

    /// Ends all files, and gives each with its column statistics.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn finish(mut self) -> Result<Vec<(FileEntry, String)>> {
        self.end_file().await?;
        while let Some(landed) = self.landings.next().await.map_err(unwrap_engine)? {
            self.done.push(entry(landed));
        }
        Ok(self.done)
    }

    /// Lets the store forget what is not whole, after an error.
    pub(crate) async fn abort(mut self) {
        if let Some(mut open) = self.open.take() {
            open.upload.abort().await;
        }
        self.landings.wait().await;
    }

    /// Whether the file's pages are as they are to be published.
    fn fits(&self, file: &ParquetMetaData) -> bool {
        let keys = file.file_metadata().key_value_metadata();
        let mark = keys.and_then(|keys| keys.iter().find(|key| key.key == PAGES_KEY));
        mark.is_some_and(|mark| mark.value.as_deref() == Some(&self.mark))
            && file.column_index().is_some()
            && file.offset_index().is_some()
    }

    fn encode(&self, staged: &StagedRowGroup) -> ParquetResult<(Arc<ParquetMetaData>, Bytes)> {
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&staged.file), Default::default())?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(staged.part.clone(), metadata)
            .with_row_groups(vec![staged.number])
            .build()?;
        let rows = staged.file.row_group(staged.number).num_rows().unsigned_abs();
        let schema = reader.schema();
        let mut writer = None;
        for batch in reader {
            let batch = batch?;
            let writer = match &mut writer {
                Some(writer) => writer,
                None => {
                    let properties = self.encoding.properties(&batch, rows, rows.max(COPIED_ROWS));
                    let properties = properties.map_err(|error| ParquetError::External(error.into()))?;
                    writer.insert(ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?)
                }
            };
            writer.write(&batch)?;
        }
        let bytes: Bytes = match writer {
            Some(writer) => writer.into_inner()?.into(),
            None => return Err(ParquetError::EOF("a row group without rows".to_owned())),
        };
        let file =
            ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required).parse_and_finish(&bytes)?;
        Ok((Arc::new(file), bytes))
    }

    async fn take(&mut self, staged: &StagedRowGroup, plain: &BTreeSet<String>, uri: &str) -> Result<()> {
        self.take_pages(staged).map_err(|source| Error::Parquet { uri: uri.to_owned(), source })?;
        let rows = staged.file.row_group(staged.number).num_rows().unsigned_abs();
        self.rows += rows;
        match &mut self.plain {
            Some(all) => all.retain(|column| plain.contains(column)),
            None => self.plain = Some(plain.clone()),
        }
        self.rows_left = self.rows_left.saturating_sub(rows);
        (self.spec.on_rows)(rows);
        let bytes: u64 = self.chunks.iter().map(Chunk::stored_bytes).sum();
        let full_dictionary = self.chunks.iter().any(|chunk| chunk.dictionary_bytes() > DICTIONARY_BYTES);
        let before = self.open.as_ref().map_or((0, 0), |open| (open.upload.bytes(), open.rows));
        let Numbering::Rolling(rule) = self.spec.numbering else { return Ok(()) };
        let (in_file, rows, left) = (before.0 + bytes, before.1 + self.rows, Some(self.rows_left));
        if rule.is_full(in_file, rows, left) {
            self.end_file().await
        } else if full_dictionary || rule.ends_row_group(bytes, in_file, rows, left) {
            self.end_row_group().await
        } else {
            Ok(())
        }
    }

    fn take_pages(&mut self, staged: &StagedRowGroup) -> ParquetResult<()> {
        let group = staged.file.row_group(staged.number);
        let no_index = || ParquetError::General("a staging file has no page index".to_owned());
        let index = staged.file.column_index().and_then(|all| all.get(staged.number)).ok_or_else(no_index)?;
        let pages = staged.file.offset_index().and_then(|all| all.get(staged.number)).ok_or_else(no_index)?;
        if self.chunks.is_empty() {
            let leaves = ArrowSchemaConverter::new().convert(&self.spec.file_schema)?;
            let codec = || Codec::new(self.properties.compression(&ColumnPath::new(Vec::new())));
            self.chunks = leaves
                .columns()
                .iter()
                .map(|leaf| Ok(Chunk::new(Arc::clone(leaf), codec()?)))
                .collect::<ParquetResult<_>>()?;
        }
        if group.columns().len() != self.chunks.len()
            || index.len() != self.chunks.len()
            || pages.len() != self.chunks.len()
        {
            return Err(ParquetError::General("a staging file has other columns than the lake".to_owned()));
        }
        let rows = group.num_rows();
        let columns = group.columns().iter().zip(pages).zip(index);
        for (chunk, ((metadata, pages), index)) in self.chunks.iter_mut().zip(columns) {
            chunk.add(StagedChunk { part: &staged.part, metadata, pages, index, rows })?;
        }
        Ok(())
    }

    async fn end_row_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        let rows = std::mem::take(&mut self.rows);
        let uri = open.location.to_string();
        let bytes = write_row_group(&mut open.writer, std::mem::take(&mut self.chunks))
            .map_err(|source| Error::Parquet { uri, source })?;
        open.rows += rows;
        let pushed = open.upload.push(bytes.into()).await;
        let location = self.open.insert(open).location.to_string();
        pushed.map_err(|source| Error::Store { action: "write", uri: location, source })
    }

    fn open_file(&mut self) -> Result<OpenCopy> {
        let (location, upload) = self.spec.create(&self.spec.fixed_partition, self.files)?;
        self.files += 1;
        let failed = |source| Error::Parquet { uri: location.to_string(), source };
        let leaves = ArrowSchemaConverter::new().convert(&self.spec.file_schema).map_err(failed)?;
        let properties = Arc::clone(&self.properties);
        let writer = SerializedFileWriter::new(Vec::new(), leaves.root_schema_ptr(), properties).map_err(failed)?;
        Ok(OpenCopy { location, writer, upload, rows: 0 })
    }

    async fn end_file(&mut self) -> Result<()> {
        self.end_row_group().await?;
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let plain = self.plain.take().unwrap_or_default();
        let uri = open.location.to_string();
        let footer = open.writer.finish().map(|footer| (footer, std::mem::take(open.writer.inner_mut())));
        let ended = match footer {
            Ok((footer, bytes)) => match open.upload.push(bytes.into()).await {
                Ok(()) => FileRanges::of_copy(&self.spec.file_schema, &footer, &plain).map_err(unwrap_engine),
                Err(source) => Err(Error::Store { action: "write", uri, source }),
            },
            Err(source) => Err(Error::Parquet { uri, source }),
        };
        let statistics = match ended {
            Ok(ranges) => encode_ranges(&ranges),
            Err(error) => {
                open.upload.abort().await;
                return Err(error);
            }
        };
        let partition = FilePartition::one(&self.spec.fixed_partition);
        self.landings.add(Landing { location: open.location, partition, rows: open.rows, statistics }, open.upload);
        while let Some(landed) = self.landings.next_if_many().await.map_err(unwrap_engine)? {
            self.done.push(entry(landed));
        }
        Ok(())
    }
}

/// The bytes that a row group adds to its file.
fn write_row_group(writer: &mut SerializedFileWriter<Vec<u8>>, chunks: Vec<Chunk>) -> ParquetResult<Vec<u8>> {
    let bytes: u64 = chunks.iter().map(Chunk::stored_bytes).sum();
    writer.inner_mut().reserve(usize::try_from(bytes).unwrap_or(0));
    let mut group = writer.next_row_group()?;
    for chunk in chunks {
        let (pieces, close) = chunk.finish()?;
        group.append_column(&Bytes::from(pieces.concat()), close)?;
    }
    group.close()?;
    Ok(std::mem::take(writer.inner_mut()))
}

fn entry(file: Landed) -> (FileEntry, String) {
    let entry = FileEntry {
        uri: file.location.uri().into(),
        etag: file.stored.etag.into(),
        size: file.stored.bytes,
        n_record: Some(file.rows),
        partition: file.partition,
    };
    (entry, file.statistics)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use datafusion::arrow::array::{
        ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
        StringArray, UInt32Array,
    };
    use datafusion::arrow::compute::concat_batches;
    use datafusion::arrow::datatypes::Int32Type;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use datafusion::parquet::basic::{Compression, ZstdLevel};
    use datafusion::parquet::file::metadata::RowGroupMetaData;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use proptest::prelude::*;

    use super::*;
    use crate::write::RollRule;
    use crate::write::encoding::builder;

    /// Rows with values of many kinds, NULLs and NaN among them; few or many different ones.
    fn batch(from: i64, rows: i64, distinct: i64) -> RecordBatch {
        let numbers = || (from..from + rows).map(move |row| row.wrapping_mul(7919) % distinct);
        let some = |number: i64| (number % 5 != 3).then_some(number);
        let list =
            numbers().map(|n| (n % 4 != 0).then(|| (0..n % 3).map(move |item| Some(i32::try_from(n * item).unwrap()))));
        let decimals = Decimal128Array::from_iter(numbers().map(|n| some(n).map(|n| i128::from(n) - 40)));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(from..from + rows))),
            ("number", Arc::new(Int32Array::from_iter(numbers().map(|n| some(n).map(|n| n as i32 - 9))))),
            ("unsigned", Arc::new(UInt32Array::from_iter_values(numbers().map(|n| u32::MAX - n as u32)))),
            ("text", Arc::new(StringArray::from_iter(numbers().map(|n| some(n).map(|n| format!("text {n}")))))),
            (
                "price",
                Arc::new(Float64Array::from_iter(
                    numbers().map(|n| Some(if n == 1 { f64::NAN } else { -n as f64 / 4.0 })),
                )),
            ),
            ("decimal", Arc::new(decimals.clone().with_precision_and_scale(9, 2).unwrap())),
            ("large_decimal", Arc::new(decimals.with_precision_and_scale(38, 2).unwrap())),
            ("flag", Arc::new(BooleanArray::from_iter(numbers().map(|n| some(n).map(|n| n % 2 == 0))))),
            ("nothing", Arc::new(Int64Array::from_iter(numbers().map(|_| None::<i64>)))),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(list))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    fn published() -> WriterProperties {
        builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
    }

    fn encoding(batch: &RecordBatch) -> FileEncoding {
        FileEncoding::staging(&batch.schema(), Some("id"), Some(published())).unwrap()
    }

    /// A staging file, to be copied or to be merged.
    fn staged(batch: &RecordBatch, in_order: u64) -> Vec<StagedRowGroup> {
        let properties = encoding(batch).properties(batch, in_order, in_order).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        // Two row groups.
        writer.write(&batch.slice(0, batch.num_rows() / 2)).unwrap();
        writer.flush().unwrap();
        writer.write(&batch.slice(batch.num_rows() / 2, batch.num_rows().div_ceil(2))).unwrap();
        let bytes: Bytes = writer.into_inner().unwrap().into();
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let file = Arc::new(reader.parse_and_finish(&bytes).unwrap());
        let group = |number| StagedRowGroup {
            file: Arc::clone(&file),
            number,
            part: FileTail { start: 0, bytes: bytes.clone() },
        };
        (0..file.num_row_groups()).map(group).collect()
    }

    async fn assembled(schema: &RecordBatch, parts: Vec<StagedRowGroup>, target_bytes: u64) -> Vec<Bytes> {
        let store = Arc::new(InMemory::new());
        let rows = parts.iter().map(|part| part.file.row_group(part.number).num_rows().unsigned_abs()).sum();
        let spec = WriteSpec {
            table: "t".to_owned(),
            store: Arc::clone(&store) as _,
            folder: Location::from_uri("s3://b/lake").unwrap(),
            file_stem: "000001-ab".to_owned(),
            partition_columns: Vec::new(),
            fixed_partition: "k=1".to_owned(),
            planned: HashMap::new(),
            bundled: None,
            file_schema: schema.schema(),
            encoding: FileEncoding::lake(&schema.schema(), published()).unwrap(),
            numbering: Numbering::Rolling(RollRule {
                target_bytes,
                min_bytes: target_bytes / 4 * 3,
                max_bytes: target_bytes.saturating_mul(2),
            }),
            total_rows: Some(rows),
            is_published: true,
            write_empty: false,
            checksum: None,
            on_rows: Arc::new(|_| ()),
        };
        let mut lake = Assembler::new(&spec, encoding(schema), published(), rows);
        for part in &parts {
            lake.add(part, "f").await.unwrap();
        }
        let mut files = Vec::new();
        for (entry, _) in lake.finish().await.unwrap() {
            assert_eq!(entry.partition.path(), Some("k=1"));
            let key = Location::from_uri(&entry.uri).unwrap().key().unwrap();
            let bytes = store.get(&key).await.unwrap().bytes().await.unwrap();
            assert_eq!(entry.size, bytes.len() as u64);
            files.push(bytes);
        }
        files
    }

    fn read(file: &Bytes) -> RecordBatch {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap();
        let schema = reader.schema();
        concat_batches(&schema, &reader.collect::<Result<Vec<_>, _>>().unwrap()).unwrap()
    }

    fn footer(file: &Bytes) -> ParquetMetaData {
        ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required).parse_and_finish(file).unwrap()
    }

    /// What the Parquet writer says of these rows by itself.
    fn expected_footer(rows: &RecordBatch) -> ParquetMetaData {
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(published())).unwrap();
        writer.write(rows).unwrap();
        footer(&writer.into_inner().unwrap().into())
    }

    /// First row and smallest id of each page; ids count rows.
    fn ids_of_pages(footer: &ParquetMetaData) -> Vec<(i64, i64)> {
        let bounds = super::super::bounds::of_pages(&footer.column_index().unwrap()[0][0]).unwrap();
        let ids = bounds.into_iter().map(|page| i64::from_le_bytes(page.0.unwrap().0.try_into().unwrap()));
        let pages = footer.offset_index().unwrap()[0][0].page_locations();
        pages.iter().map(|page| page.first_row_index).zip(ids).collect()
    }

    #[tokio::test]
    async fn pages_of_all_kinds_are_copied_and_statistics_are_those_of_all_rows() {
        // The second part has other entries in its dictionaries, the third is encoded here, the fourth has no
        // dictionary. It has several pages in a row group.
        let parts = [batch(0, 900, 40), batch(900, 2000, 300), batch(2900, 700, 40), batch(3600, 40_000, 1 << 20)];
        let all = concat_batches(&parts[0].schema(), &parts).unwrap();
        let groups = [
            staged(&parts[0], COPIED_ROWS),
            staged(&parts[1], COPIED_ROWS),
            staged(&parts[2], 0),
            staged(&parts[3], COPIED_ROWS),
        ];
        let files = assembled(&all, groups.concat(), u64::MAX).await;
        assert_eq!(files.len(), 1);
        assert_eq!(read(&files[0]), all);
        let (footer, expected) = (footer(&files[0]), expected_footer(&all));
        let (group, expected): (&RowGroupMetaData, _) = (footer.row_group(0), expected.row_group(0));
        assert_eq!((footer.num_row_groups(), group.num_rows()), (1, 43_600));
        for (copied, written) in group.columns().iter().zip(expected.columns()) {
            let path = copied.column_path();
            assert_eq!(copied.statistics(), written.statistics(), "{path}");
            assert_eq!(copied.num_values(), written.num_values(), "{path}");
            assert_eq!(copied.compression_codec(), written.compression_codec(), "{path}");
            assert!(copied.offset_index_offset().is_some(), "{path}");
        }
        assert!(ids_of_pages(&footer).iter().all(|(first_row, id)| first_row == id));
        assert!(ids_of_pages(&footer).len() > 2 * 4);
        let text = group.columns().iter().find(|column| column.column_path().string() == "text").unwrap();
        assert!(text.dictionary_page_offset().is_some());
    }

    #[tokio::test]
    async fn table_of_texts_alone_has_statistics_and_page_index_though_its_staging_files_have_neither() {
        let text = |from| batch(from, 9000, 40).project(&[3]).unwrap();
        let parts = [text(0), text(9000)];
        let groups = parts.each_ref().map(|part| staged(part, COPIED_ROWS)).concat();
        assert!(groups.iter().all(|group| group.file.row_group(group.number).column(0).statistics().is_none()));
        let all = concat_batches(&parts[0].schema(), &parts).unwrap();
        let files = assembled(&all, groups, u64::MAX).await;
        assert_eq!(read(&files[0]), all);
        let (footer, expected) = (footer(&files[0]), expected_footer(&all));
        let column = |footer: &ParquetMetaData| footer.row_group(0).column(0).clone();
        assert_eq!(column(&footer).statistics(), column(&expected).statistics());
        assert!(column(&footer).column_index_offset().is_some() && column(&footer).offset_index_offset().is_some());
    }

    #[tokio::test]
    async fn files_end_between_row_groups_near_the_target() {
        let parts: Vec<RecordBatch> = (0..40).map(|part| batch(part * 1000, 1000, 1 << 20)).collect();
        let groups: Vec<StagedRowGroup> = parts.iter().flat_map(|part| staged(part, COPIED_ROWS)).collect();
        let target = 80_000;
        let files = assembled(&parts[0], groups, target).await;
        let sizes: Vec<u64> = files.iter().map(|file| file.len() as u64).collect();
        assert!(
            sizes.len() > 3 && sizes.iter().all(|size| (target * 3 / 4..target * 9 / 5).contains(size)),
            "{sizes:?}"
        );
        let rows: Vec<RecordBatch> = files.iter().map(read).collect();
        assert_eq!(
            concat_batches(&parts[0].schema(), &rows).unwrap(),
            concat_batches(&parts[0].schema(), &parts).unwrap()
        );
    }

    #[tokio::test]
    async fn bytes_that_were_spoiled_are_an_error_that_names_the_file() {
        let rows = batch(0, 2000, 40);
        let mut group = staged(&rows, COPIED_ROWS).swap_remove(0);
        group.part.bytes = group.part.bytes.slice(..group.part.bytes.len() / 8);
        let spec_rows = vec![group];
        let failed = tokio::spawn(async move { assembled(&batch(0, 1, 1), spec_rows, u64::MAX).await }).await;
        let panic = failed.unwrap_err().into_panic();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("Parquet") && text.contains("not within what was read"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However rows are cut into staging files, and whatever these files' form, the lake has the same rows in the
        /// same order, and page bounds that hold for the rows of each page.
        #[test]
        fn rows_are_conserved_in_order(parts in prop::collection::vec((1i64..1500, 1i64..400, any::<bool>()), 1..6)) {
            let (mut from, mut batches, mut groups) = (0, Vec::new(), Vec::new());
            for (rows, distinct, is_copied) in parts {
                let batch = batch(from, rows, distinct);
                from += rows;
                groups.extend(staged(&batch, if is_copied { COPIED_ROWS } else { 0 }).into_iter().filter(|group| {
                    group.file.row_group(group.number).num_rows() > 0
                }));
                batches.push(batch);
            }
            let all = concat_batches(&batches[0].schema(), &batches).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let files = runtime.block_on(assembled(&all, groups, u64::MAX));
            prop_assert_eq!(&read(&files[0]), &all);
            let footer = footer(&files[0]);
            prop_assert!(ids_of_pages(&footer).iter().all(|(first_row, id)| first_row == id));
        }
    }
}
