//! Counts what the pages of a column chunk hold, before they are decoded.
//!
//! If a footer claims fewer rows than its pages hold, the reader stops at the claimed number and silently loses the
//! others. The heads of the pages are small and say how many values follow, so they are added up.
//!
//! It also overwrites bytes that are not data and that the reader cannot handle (docs/upstream.md):
//!
//! ```text
//! [dictionary][5 values][0 values][7 values][rubbish]      what old writers left in a chunk of 12 values
//! [dictionary][5 values][........][7 values][.......]      index pages without data, which the reader passes over
//! ```
//!
//! Nothing is decoded, but for a chunk of lists if there is no other to count the rows by. Fails with what is wrong;
//! the caller adds the file.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use datafusion::parquet::data_type::DataType;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::ColumnChunkMetaData;
use datafusion::parquet::file::serialized_reader::SerializedPageReader;

use super::page_head::{PageKind, as_compressed, blank, page_head};
use super::part::FileTail;

/// A column chunk with its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages<'a> {
    pub(crate) column: &'a ColumnChunkMetaData,
    /// Rows of the row group, as the footer says.
    pub(crate) rows: u64,
    pub(crate) bytes: &'a Bytes,
    /// So many of them are the chunk's by the footer; those after them may be those of others.
    pub(crate) stated: usize,
    /// Whether its pages are compressed even if they say that they are not.
    pub(crate) is_compressed: bool,
}

/// What was found in a chunk that holds what its footer says.
#[derive(Debug)]
pub(crate) struct PageCount {
    /// The chunk, if its bytes had to be changed.
    pub(crate) mended: Option<Bytes>,
    /// Whether its rows are counted too, not only its values.
    pub(crate) has_rows: bool,
    /// Bytes of its largest page when that is unpacked, values before that page, and bytes of its dictionary.
    pub(crate) largest_page: u64,
    pub(crate) values_before: u64,
    pub(crate) dictionary: u64,
}

impl Pages<'_> {
    /// Adds up the pages.
    ///
    /// # Errors
    /// The inner one says what the footer claims, and what is there.
    pub(crate) fn count(&self) -> std::result::Result<PageCount, String> {
        let wanted = u64::try_from(self.column.num_values()).unwrap_or(0);
        let (mut at, mut values, mut rows, mut has_rows) = (0, 0u64, 0u64, true);
        let (mut blanks, mut plain): (Vec<Range<usize>>, Vec<usize>) = (Vec::new(), Vec::new());
        let (mut largest_page, mut values_before, mut dictionary) = (0, 0, 0);
        while at < self.bytes.len() {
            if values >= wanted && at >= self.stated {
                blanks.push(at..self.bytes.len());
                break;
            }
            let Some(head) = page_head(&self.bytes[at..]) else {
                if values < wanted {
                    return Err(format!("the page at byte {at} of {} has no readable head", self.place()));
                }
                blanks.push(at..self.bytes.len());
                break;
            };
            plain.extend(head.plain_at.filter(|_| self.is_compressed).map(|place| at + place));
            if head.unpacked > largest_page {
                (largest_page, values_before) = (head.unpacked, values);
            }
            let page = at..at + head.bytes;
            at = page.end;
            match head.kind {
                PageKind::Data { values: 0, .. } | PageKind::Index => blanks.push(page),
                PageKind::Data { values: more, rows: of_page } => {
                    values = values.saturating_add(more);
                    rows = rows.saturating_add(of_page.unwrap_or(0));
                    has_rows &= of_page.is_some();
                }
                PageKind::Dictionary => dictionary = head.unpacked,
            }
        }
        if values != wanted {
            return Err(format!("the footer says {wanted} values for {}, its pages hold {values}", self.place()));
        }
        // Heads of lists say it rightly or, in files of Arrow before 3, say the number of values.
        let is_list = self.column.column_descr().max_rep_level() > 0;
        has_rows = if is_list { has_rows && rows == self.rows } else { true };
        let changed = (!plain.is_empty()).then(|| as_compressed(self.bytes, &plain));
        let mended = if blanks.is_empty() { changed } else { blank(changed.as_ref().unwrap_or(self.bytes), &blanks) };
        Ok(PageCount { mended, has_rows, largest_page, values_before, dictionary })
    }

    /// Counts the rows of a chunk of lists by where they begin.
    ///
    /// # Errors
    /// Those of the Parquet reader; the inner one says what the footer claims, and what is there.
    pub(crate) fn count_rows(&self) -> Result<std::result::Result<(), String>> {
        let found = match get_column_reader(self.column.column_descr_ptr(), Box::new(self.reader()?)) {
            ColumnReader::BoolColumnReader(reader) => records(reader)?,
            ColumnReader::Int32ColumnReader(reader) => records(reader)?,
            ColumnReader::Int64ColumnReader(reader) => records(reader)?,
            ColumnReader::Int96ColumnReader(reader) => records(reader)?,
            ColumnReader::FloatColumnReader(reader) => records(reader)?,
            ColumnReader::DoubleColumnReader(reader) => records(reader)?,
            ColumnReader::ByteArrayColumnReader(reader) => records(reader)?,
            ColumnReader::FixedLenByteArrayColumnReader(reader) => records(reader)?,
        };
        Ok(if found == self.rows { Ok(()) } else { Err(self.other_rows(found)) })
    }

    /// Reads the pages.
    ///
    /// # Errors
    /// For a codec that is not known.
    pub(crate) fn reader(&self) -> Result<SerializedPageReader<FileTail>> {
        let part = FileTail { start: self.column.byte_range().0, bytes: self.bytes.clone() };
        SerializedPageReader::new(Arc::new(part), self.column, usize::try_from(self.rows)?, None)
    }

    fn place(&self) -> String {
        format!("column '{}'", self.column.column_path().parts().join("."))
    }

    fn other_rows(&self, found: u64) -> String {
        format!("the footer says {} rows, the pages of {} hold {found}", self.rows, self.place())
    }
}

/// Records that are decoded together.
const RECORDS: usize = 4096;

/// Decodes all records, since skipping would believe the pages' heads.
fn records<T: DataType>(mut reader: ColumnReaderImpl<T>) -> Result<u64> {
    let (mut values, mut definitions, mut repetitions, mut all) = (Vec::new(), Vec::new(), Vec::new(), 0);
    loop {
        values.clear();
        definitions.clear();
        repetitions.clear();
        let (records, _, levels) =
            reader.read_records(RECORDS, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
        if records == 0 && levels == 0 {
            return Ok(all);
        }
        all += records as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, Int64Builder, ListBuilder, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
    use datafusion::parquet::file::properties::{WriterProperties, WriterVersion};

    use super::*;

    fn file(column: ArrayRef, version: WriterVersion) -> (Bytes, ParquetMetaData) {
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_data_page_row_count_limit(10)
            .set_write_batch_size(10)
            .build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let bytes = Bytes::from(bytes);
        let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        (bytes, footer)
    }

    fn numbers() -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(0..35))
    }

    fn lists() -> ArrayRef {
        let mut lists = ListBuilder::new(Int64Builder::new());
        for row in 0..35 {
            lists.values().append_slice(&vec![row; (row % 3) as usize]);
            lists.append(row % 5 > 0);
        }
        Arc::new(lists.finish())
    }

    fn chunk(bytes: &Bytes, footer: &ParquetMetaData) -> Bytes {
        let (start, length) = footer.row_group(0).column(0).byte_range();
        bytes.slice(start as usize..(start + length) as usize)
    }

    fn claiming(footer: &ParquetMetaData, values: i64) -> ColumnChunkMetaData {
        footer.row_group(0).column(0).clone().into_builder().set_num_values(values).build().unwrap()
    }

    const VERSIONS: [WriterVersion; 2] = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];

    #[test]
    fn pages_that_hold_what_the_footer_says_pass_and_all_others_are_found() {
        for version in VERSIONS {
            let (bytes, footer) = file(numbers(), version);
            let bytes = chunk(&bytes, &footer);
            for claimed in [35, 34, 36, 30, 25, 0] {
                let column = claiming(&footer, claimed);
                let pages = Pages {
                    column: &column,
                    rows: claimed as u64,
                    bytes: &bytes,
                    stated: bytes.len(),
                    is_compressed: false,
                };
                let found = pages.count();
                assert_eq!(found.is_ok(), claimed == 35, "{claimed} {found:?}");
                let Err(error) = found else { continue };
                assert_eq!(error, format!("the footer says {claimed} values for column 'n', its pages hold 35"));
            }
        }
    }

    #[test]
    fn rows_of_lists_are_counted_by_pages_or_by_where_they_begin() {
        for version in VERSIONS {
            let (bytes, footer) = file(lists(), version);
            let bytes = chunk(&bytes, &footer);
            let column = footer.row_group(0).column(0);
            for claimed in [35, 34, 36] {
                let pages = Pages { column, rows: claimed, bytes: &bytes, stated: bytes.len(), is_compressed: false };
                let of_heads = pages.count().map(|counted| counted.has_rows);
                match version {
                    WriterVersion::PARQUET_1_0 => assert_eq!(of_heads, Ok(false)),
                    _ => assert_eq!(of_heads, Ok(claimed == 35)),
                }
                assert_eq!(pages.count_rows().unwrap().is_ok(), claimed == 35);
            }
        }
    }

    /// A file of one column chunk, which is these bytes.
    fn read(chunk: &Bytes, footer: &ParquetMetaData) -> Option<Vec<i64>> {
        let (group, start) = (footer.row_group(0), footer.row_group(0).column(0).byte_range().0);
        let column = group.column(0).clone().into_builder().set_total_compressed_size(chunk.len() as i64);
        let group: RowGroupMetaData =
            group.clone().into_builder().set_column_metadata(vec![column.build().unwrap()]).build().unwrap();
        let footer = footer.clone().into_builder().set_row_groups(vec![group]).set_offset_index(None).build();
        let bytes = Bytes::from([&vec![0; start as usize][..], chunk].concat());
        let metadata = datafusion::parquet::arrow::arrow_reader::ArrowReaderMetadata::try_new(
            Arc::new(footer),
            Default::default(),
        );
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata.unwrap()).build().unwrap();
        let mut values = Vec::new();
        for batch in reader {
            let batch = batch.ok()?;
            let column: &Int64Array = batch.column(0).as_any().downcast_ref().unwrap();
            values.extend(column.values());
        }
        Some(values)
    }

    #[test]
    fn empty_pages_and_what_follows_the_last_one_are_covered_up() {
        for version in VERSIONS {
            let (bytes, footer) = file(numbers(), version);
            let whole = chunk(&bytes, &footer);
            let column = footer.row_group(0).column(0);
            let first_data = (column.data_page_offset() - column.byte_range().0 as i64) as usize;
            let cut = first_data + page_head(&whole[first_data..]).unwrap().bytes;
            // A page of version 1 without values.
            let empty = [0x15, 0, 0x15, 0, 0x15, 0, 0x2c, 0x15, 0, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
            let made = Bytes::from([&whole[..cut], &empty, &whole[cut..], b"rubbish, not a page"].concat());
            let expected: Vec<i64> = (0..35).collect();
            assert_ne!(read(&made, &footer), Some(expected.clone()), "the reader has learnt it: this can go");
            let pages = Pages { column, rows: 35, bytes: &made, stated: made.len(), is_compressed: false };
            let mended = pages.count().unwrap().mended.unwrap();
            assert_eq!(mended.len(), made.len());
            assert_eq!(read(&mended, &footer), Some(expected.clone()));
            // Pages of the next column, fetched since an old writer gives sizes that are too small.
            let more = Bytes::from([&whole[..], &whole[..cut]].concat());
            let pages = Pages { column, rows: 35, bytes: &more, stated: whole.len() - 20, is_compressed: false };
            assert_eq!(read(&pages.count().unwrap().mended.unwrap(), &footer), Some(expected));
        }
    }

    #[test]
    fn damaged_head_before_the_last_value_is_found() {
        let (bytes, footer) = file(numbers(), WriterVersion::PARQUET_1_0);
        let whole = chunk(&bytes, &footer);
        let cut = whole.slice(..whole.len() - 1);
        let column = footer.row_group(0).column(0);
        let error =
            Pages { column, rows: 35, bytes: &cut, stated: cut.len(), is_compressed: false }.count().unwrap_err();
        assert!(error.contains("has no readable head"), "{error}");
    }
}
