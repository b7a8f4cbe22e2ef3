//! Upper bounds of the memory for a row group, before it is decoded: a few KB can expand to gigabytes.
//!
//! ```text
//! row group     as stored                                                   no more than the memory
//! pages         the largest of each column, as their heads say              a quarter of it
//! batch         texts and bytes that its rows refer to in a dictionary      a quarter of it
//! value         a text or bytes                                             crate::types::width::most_value
//! ```
//!
//! Numbers in heads cost nothing to compare. Values are looked at only where they may be too large by these: where a
//! page is larger than a value may be, or an entry of a dictionary, once per row, is more than a batch may have. It
//! trusts what heads say of pages; the reader refuses pages that are not as long.

use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::parquet::basic::Type as PhysicalType;
use datafusion::parquet::column::page::{Page, PageReader};
use datafusion::parquet::column::reader::ColumnReaderImpl;
use datafusion::parquet::data_type::ByteArrayType;
use datafusion::parquet::errors::Result;

use super::pages::{PageCount, Pages};
use crate::types::width::{memory_of, most_value};

/// What the memory is divided by: a batch or a page is there as it came and as it is brought in order, beside others.
const SHARE: u64 = 4;

/// A limit that is so small that it is none: the program itself needs more.
const LEAST: u64 = 32 << 20;

/// Upper bounds of the memory that the row groups of a Parquet file need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatisticsBounds {
    memory: u64,
    share: u64,
    value: u64,
    batch_rows: usize,
}

/// What does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// In the row group, from 0.
    pub(crate) row: u64,
    pub(crate) what: &'static str,
    pub(crate) bytes: u64,
    pub(crate) most: u64,
}

impl StatisticsBounds {
    /// By the limit of the engine's pool; `None` without one.
    pub(crate) fn of(pool: &MemoryLimit, batch_rows: usize) -> Option<Self> {
        let memory = memory_of(pool)?;
        let (share, value) = ((memory / SHARE).max(LEAST), most_value(memory));
        Some(Self { memory: memory.max(LEAST), share, value, batch_rows })
    }

    /// The bytes of a row group's chunks that are read.
    pub(crate) fn stored(&self, bytes: u64) -> Option<TooLarge> {
        let what = "columns of a row group as they are stored";
        (bytes > self.memory).then_some(TooLarge { row: 0, what, bytes, most: self.memory })
    }

    /// The next chunk of a row group, whose largest pages so far have so many bytes.
    ///
    /// # Errors
    /// Those of the Parquet reader.
    pub(crate) fn check(&self, pages: &Pages<'_>, counted: &PageCount, unpacked: &mut u64) -> Result<Option<TooLarge>> {
        *unpacked = unpacked.saturating_add(counted.largest_page);
        let is_list = pages.column.column_descr().max_rep_level() > 0;
        let row = if is_list { 0 } else { counted.values_before };
        if *unpacked > self.share {
            let what = "pages that are read at once";
            return Ok(Some(TooLarge { row, what, bytes: *unpacked, most: self.share }));
        }
        match pages.column.column_type() {
            PhysicalType::FIXED_LEN_BYTE_ARRAY if counted.dictionary > 0 => {
                let width = u64::try_from(pages.column.column_descr().type_length()).unwrap_or(0);
                Ok(self.batch(0, width.saturating_mul(pages.rows.min(self.batch_rows as u64))))
            }
            PhysicalType::BYTE_ARRAY if self.may_be_large(pages, counted)? => self.look(pages, counted),
            _ => Ok(None),
        }
    }

    fn batch(&self, row: u64, bytes: u64) -> Option<TooLarge> {
        let what = "rows that are read together";
        (bytes > self.share).then_some(TooLarge { row, what, bytes, most: self.share })
    }

    /// Whether one value may be too large, or many that are one in the dictionary.
    fn may_be_large(&self, pages: &Pages<'_>, counted: &PageCount) -> Result<bool> {
        let rows = self.batch_rows as u64;
        if counted.largest_page > self.value {
            return Ok(true);
        }
        if counted.dictionary.saturating_mul(rows) <= self.share {
            return Ok(false);
        }
        let longest = match pages.reader()?.get_next_page()? {
            Some(Page::DictionaryPage { buf, .. }) => longest(&buf),
            _ => 0,
        };
        Ok(longest.saturating_mul(rows.min(pages.rows)) > self.share)
    }

    /// Looks at all values, few at a time: they are parts of pages, not copies.
    fn look(&self, pages: &Pages<'_>, counted: &PageCount) -> Result<Option<TooLarge>> {
        let column = pages.column.column_descr_ptr();
        let mut reader = ColumnReaderImpl::<ByteArrayType>::new(column, Box::new(pages.reader()?));
        let step = usize::try_from(self.share / counted.largest_page.max(1)).unwrap_or(usize::MAX);
        let (step, rows) = (step.max(1), self.batch_rows.max(1) as u64);
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        let (mut row, mut begin, mut bytes) = (0_u64, 0_u64, 0_u64);
        loop {
            values.clear();
            definitions.clear();
            repetitions.clear();
            if row == begin + rows {
                (begin, bytes) = (row, 0);
            }
            let step = usize::try_from(begin + rows - row).unwrap_or(usize::MAX).min(step);
            let (records, found, levels) =
                reader.read_records(step, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
            if records == 0 && levels == 0 && found == 0 {
                return Ok(None);
            }
            let lengths = values.iter().map(|value| value.len() as u64);
            if let Some(large) = lengths.clone().find(|length| *length > self.value) {
                return Ok(Some(TooLarge { row, what: "a value", bytes: large, most: self.value }));
            }
            bytes = bytes.saturating_add(lengths.sum());
            if let Some(large) = self.batch(begin, bytes) {
                return Ok(Some(large));
            }
            row += records as u64;
        }
    }
}

/// The longest entry of a dictionary: each has its length before it.
fn longest(mut entries: &[u8]) -> u64 {
    let mut longest = 0;
    while let Some((length, rest)) = entries.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        let Some(rest) = rest.get(length as usize..) else { break };
        entries = rest;
    }
    longest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::basic::{Compression, ZstdLevel};
    use datafusion::parquet::file::metadata::ParquetMetaDataReader;
    use datafusion::parquet::file::properties::WriterProperties;

    use super::*;

    /// What is found in the first column of a file with these rows.
    fn found(column: ArrayRef, dictionary: bool, memory: usize) -> Option<(u64, &'static str)> {
        let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(dictionary)
            .set_dictionary_page_size_limit(64 << 20)
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(file.len() < 200_000, "{}", file.len());
        let file = Bytes::from(file);
        let footer = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
        let group = footer.row_group(0);
        let (start, length) = group.column(0).byte_range();
        let bytes = file.slice(start as usize..(start + length) as usize);
        let rows = u64::try_from(group.num_rows()).unwrap();
        let (column, stated) = (group.column(0), bytes.len());
        let pages = Pages { column, rows, bytes: &bytes, stated, is_compressed: false };
        let bounds = StatisticsBounds::of(&MemoryLimit::Finite(memory / 4 * 3), 8192).unwrap();
        let counted = pages.count().unwrap();
        bounds.check(&pages, &counted, &mut 0).unwrap().map(|large| (large.row, large.what))
    }

    #[test]
    fn small_file_with_a_large_value_page_or_batch_is_known_before_it_is_read() {
        const MEMORY: usize = 128 << 20;
        let text = |lengths: &[usize]| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(lengths.iter().map(|length| "y".repeat(*length))))
        };
        assert_eq!(found(text(&[1, 7 << 20, 1]), false, MEMORY), None);
        assert_eq!(found(text(&[1, 9 << 20, 1]), false, MEMORY), Some((0, "a value")));
        assert_eq!(found(text(&[9 << 20]), true, MEMORY), Some((0, "a value")));
        assert_eq!(found(text(&[9 << 20]), true, 4 * MEMORY), None);
        let pages = found(text(&[33 << 20]), false, MEMORY).unwrap().1;
        assert!(pages.starts_with("pages"), "{pages}");
        // 4 KB in a dictionary, 8192 times, is the share; those of a batch count, not those of the file.
        assert_eq!(found(text(&vec![4096; 20_000]), true, MEMORY), None);
        let mut longer = vec![4096; 8192];
        longer.extend(vec![5000; 8000]);
        let batch = found(text(&longer), true, MEMORY);
        assert_eq!(batch, Some((8192, "rows that are read together")));
        assert_eq!(found(text(&longer), true, 2 * MEMORY), None);
        assert_eq!(found(Arc::new(Int64Array::from(vec![0; 100_000])), true, 1), None);
    }

    #[test]
    fn longest_entry_is_found_and_a_cut_dictionary_ends() {
        let entries = [&[2, 0, 0, 0][..], b"ab", &[3, 0, 0, 0], b"abc", &[0, 0, 0, 0]].concat();
        assert_eq!(longest(&entries), 3);
        assert_eq!(longest(&entries[..8]), 2);
        assert_eq!(longest(&[9, 0, 0, 0, 1]), 9);
        assert_eq!(longest(&[]), 0);
    }

    #[test]
    fn row_group_that_does_not_fit_as_it_is_stored_is_too_large() {
        let bounds = StatisticsBounds::of(&MemoryLimit::Finite(75 << 20), 8192).unwrap();
        assert!(bounds.stored(100 << 20).is_none() && bounds.stored((100 << 20) + 1).is_some());
        assert!(StatisticsBounds::of(&MemoryLimit::Infinite, 8192).is_none());
    }
}
