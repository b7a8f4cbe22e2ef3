//! Smallest and largest text of each page of a column chunk, by the numbers of its dictionary's entries.
//!
//! ```text
//! entries    0 = MAIL  1 = AIR  2 = RAIL
//! page       0 2 2 0 0 2                     has entries 0 and 2: from MAIL to RAIL
//! ```
//!
//! The Parquet writer compares each text of a page with two others to find the same. So staging files say nothing of
//! such columns but the first sort key ([`crate::write::encoding`]), and it is found here, while indices are numbered
//! anew. Long texts are cut to bounds, as the Parquet writer does. Fails for damaged pages, and for texts that are not
//! UTF-8.

use bytes::Bytes;
use datafusion::parquet::basic::Type;
use datafusion::parquet::data_type::ByteArray;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::ColumnChunkMetaData;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
use datafusion::parquet::schema::types::ColumnDescriptor;

use super::bounds::PageBounds;
use super::dictionary::split_entry;
use super::indices;
use crate::manifest::ColumnRange;
use crate::write::copyable::is_plain_text;

/// Texts of one column chunk.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    entries: Vec<Bytes>,
    pages: Vec<PageBounds>,
    range: Option<(Bytes, Bytes)>,
    nulls: u64,
}

impl Texts {
    /// For a staged chunk of which its file says nothing.
    pub(crate) fn unreported(column: &ColumnDescriptor, chunk: &ColumnChunkMetaData) -> Option<Self> {
        (chunk.statistics().is_none() && is_plain_text(column)).then(Self::default)
    }

    /// The entries of the chunk's dictionary page.
    ///
    /// # Errors
    /// When the page ends within an entry.
    pub(crate) fn set_entries(&mut self, page: &Bytes, entries: u32) -> Result<()> {
        self.entries = split_texts(page).take(usize::try_from(entries).unwrap_or(usize::MAX)).collect::<Result<_>>()?;
        Ok(())
    }

    /// Adds a page of indices. `levels` are its definition levels, of so many values, NULLs counted; nothing where
    /// there are no NULLs.
    ///
    /// # Errors
    /// For damaged pages.
    pub(crate) fn add_indices(&mut self, indices: &[u32], levels: Option<&[u8]>, values: u32) -> Result<()> {
        let present = present(levels, values)?;
        let mut is_used = vec![false; self.entries.len()];
        // What fills up the last group is no value.
        for index in indices.get(..present).ok_or_else(cut)? {
            *is_used.get_mut(usize::try_from(*index).unwrap_or(usize::MAX)).ok_or_else(cut)? = true;
        }
        let used = self.entries.iter().zip(is_used).filter(|(_, is_used)| *is_used).map(|(entry, _)| entry.clone());
        let range = extremes(used);
        self.add(range, u64::from(values) - present as u64)
    }

    /// Adds a page of texts, which follow where a dictionary has become too large.
    ///
    /// # Errors
    /// For damaged pages.
    pub(crate) fn add_plain(&mut self, texts: &Bytes, levels: Option<&[u8]>, values: u32) -> Result<()> {
        let present = present(levels, values)?;
        let texts: Vec<Bytes> = split_texts(texts).take(present).collect::<Result<_>>()?;
        if texts.len() < present {
            return Err(cut());
        }
        self.add(extremes(texts.into_iter()), u64::from(values) - present as u64)
    }

    fn add(&mut self, range: Option<(Bytes, Bytes)>, nulls: u64) -> Result<()> {
        let bounds = range.as_ref().map(bounded).transpose()?;
        let bounds = bounds.map(|(min, max)| (min.0, max.0));
        self.pages.push((bounds, i64::try_from(nulls).unwrap_or(i64::MAX)));
        self.nulls += nulls;
        let both = self.range.take().into_iter().chain(range);
        self.range = extremes(both.flat_map(|(min, max)| [min, max]));
        Ok(())
    }

    /// What the chunk's footer and its column index would say.
    ///
    /// # Errors
    /// For texts that are none.
    pub(crate) fn finish(self) -> Result<(Statistics, Vec<PageBounds>)> {
        let bounds = self.range.as_ref().map(bounded).transpose()?;
        let (min, max) = bounds.map_or((None, None), |(min, max)| (Some(min), Some(max)));
        let is_exact = |bound: &Option<(Vec<u8>, bool)>| bound.as_ref().is_some_and(|bound| bound.1);
        let (min_is_exact, max_is_exact) = (is_exact(&min), is_exact(&max));
        let value = |bound: Option<(Vec<u8>, bool)>| bound.map(|bound| ByteArray::from(bound.0));
        let statistics = ValueStatistics::new(value(min), value(max), None, Some(self.nulls), false)
            .with_min_is_exact(min_is_exact)
            .with_max_is_exact(max_is_exact);
        Ok((Statistics::ByteArray(statistics), self.pages))
    }
}

/// Values that are not NULL.
fn present(levels: Option<&[u8]>, values: u32) -> Result<usize> {
    let all = usize::try_from(values).unwrap_or(usize::MAX);
    let Some(levels) = levels else { return Ok(all) };
    let mut defined = Vec::new();
    indices::decode(levels, 1, values, &mut defined)?;
    Ok(defined.get(..all).ok_or_else(cut)?.iter().filter(|level| **level == 1).count())
}

/// The texts of a PLAIN page, without their lengths.
fn split_texts(page: &Bytes) -> impl Iterator<Item = Result<Bytes>> {
    let mut rest = page.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = split_entry(&rest, Type::BYTE_ARRAY).map(|(entry, _)| entry.len());
        Some(length.ok_or_else(cut).map(|length| rest.split_to(length).slice(4..)))
    })
}

fn extremes(texts: impl Iterator<Item = Bytes>) -> Option<(Bytes, Bytes)> {
    texts.fold(None, |range, text| {
        Some(match range {
            None => (text.clone(), text),
            Some((min, max)) if text < min => (text, max),
            Some((min, max)) if text > max => (min, text),
            Some(range) => range,
        })
    })
}

/// A bound, and whether it is a value.
type TextBound = (Vec<u8>, bool);

fn bounded((min, max): &(Bytes, Bytes)) -> Result<(TextBound, TextBound)> {
    let text =
        |bytes: &Bytes| String::from_utf8(bytes.to_vec()).map_err(|error| ParquetError::External(Box::new(error)));
    let range = ColumnRange { nulls: 0, min: Some(text(min)?), max: Some(text(max)?), is_exact: true }.bounded();
    // Where no shorter text is larger, the text itself is the bound.
    let bound = |cut: Option<String>, whole: &Bytes| {
        let bound = cut.map_or_else(|| whole.to_vec(), String::into_bytes);
        let is_value = bound == *whole;
        (bound, is_value)
    };
    Ok((bound(range.min, min), bound(range.max, max)))
}

fn cut() -> ParquetError {
    ParquetError::EOF("a page of texts is cut or damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::basic::{Compression, ZstdLevel};
    use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
    use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
    use datafusion::parquet::schema::types::ColumnPath;
    use proptest::prelude::*;

    use super::super::chunk::{Chunk, StagedChunk};
    use super::super::codec::Codec;
    use super::*;
    use crate::snapshot::parquet::part::FileTail;

    fn plain(texts: &[&str]) -> Bytes {
        let entry = |text: &&str| [&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
        texts.iter().flat_map(entry).collect::<Vec<u8>>().into()
    }

    /// What a chunk says of texts whose staging file does, or does not, and how many pages that file has.
    fn reported(
        texts: &[Option<String>],
        by_file: bool,
        dictionary_bytes: usize,
    ) -> (Option<Statistics>, Option<ColumnIndexMetaData>, usize) {
        let columns: [(&str, ArrayRef, bool); 2] = [
            ("text", Arc::new(texts.iter().map(Option::as_deref).collect::<StringArray>()), true),
            ("id", Arc::new(Int64Array::from_iter_values(0..texts.len() as i64)), true),
        ];
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let kind = if by_file { EnabledStatistics::Page } else { EnabledStatistics::None };
        let properties = WriterProperties::builder()
            .set_column_statistics_enabled(ColumnPath::from("text"), kind)
            .set_dictionary_page_size_limit(dictionary_bytes)
            .set_data_page_row_count_limit(8)
            .set_write_batch_size(8)
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        let bytes: Bytes = writer.into_inner().unwrap().into();
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        let file = reader.parse_and_finish(&bytes).unwrap();
        let part = FileTail { start: 0, bytes };
        let pages = &file.offset_index().unwrap()[0][0];
        let staged = StagedChunk {
            part: &part,
            metadata: file.row_group(0).column(0),
            pages,
            index: &file.column_index().unwrap()[0][0],
            rows: texts.len() as i64,
        };
        assert_eq!(
            Texts::unreported(&file.file_metadata().schema_descr().column(0), staged.metadata).is_none(),
            by_file
        );
        let codec = Codec::new(Compression::ZSTD(ZstdLevel::default())).unwrap();
        let mut chunk = Chunk::new(file.file_metadata().schema_descr().column(0), codec);
        chunk.add(staged).unwrap();
        let close = chunk.finish().unwrap().1;
        (close.metadata.statistics().cloned(), close.column_index, pages.page_locations().len())
    }

    #[test]
    fn page_has_the_range_of_the_entries_that_it_uses() {
        let mut texts = Texts::default();
        texts.set_entries(&plain(&["MAIL", "AIR", "RAIL"]), 3).unwrap();
        texts.add_indices(&[0, 2, 2, 0, 0, 2, 0, 0], None, 6).unwrap();
        // Seven NULLs in front of entry 1: a run of zeros and one of ones.
        texts.add_indices(&[1, 0, 0, 0, 0, 0, 0, 0], Some(&[14, 0, 2, 1]), 8).unwrap();
        let (statistics, pages) = texts.finish().unwrap();
        assert_eq!(pages[0], (Some((b"MAIL".to_vec(), b"RAIL".to_vec())), 0));
        assert_eq!(pages[1], (Some((b"AIR".to_vec(), b"AIR".to_vec())), 7));
        let range = (statistics.min_bytes_opt(), statistics.max_bytes_opt(), statistics.null_count_opt());
        assert_eq!(range, (Some(b"AIR".as_slice()), Some(b"RAIL".as_slice()), Some(7)));
    }

    #[test]
    fn damaged_pages_are_errors() {
        let page = plain(&["MAIL", "AIR"]);
        let mut texts = Texts::default();
        assert!(texts.set_entries(&page.slice(..page.len() - 1), 2).is_err());
        texts.set_entries(&page, 2).unwrap();
        assert!(texts.add_indices(&[2], None, 1).is_err(), "no such entry");
        assert!(texts.add_indices(&[1], None, 2).is_err(), "too few indices");
        assert!(texts.add_indices(&[1], Some(&[2, 1]), 2).is_err(), "too few levels");
        assert!(texts.add_plain(&page, None, 3).is_err(), "too few texts");
        assert!(bounded(&(Bytes::from_static(&[0xff]), Bytes::from_static(b"a"))).is_err(), "no text");
    }

    proptest! {
        /// What is found is what the Parquet writer says: of texts with and without a dictionary or with both, of
        /// NULLs, of pages of nothing else, and of texts that are too long for an index.
        #[test]
        fn same_is_found_as_the_parquet_writer_says(
            texts in prop::collection::vec(
                prop_oneof![
                    Just(None),
                    "[ab]{0,2}".prop_map(Some),
                    "[aé]{1,3}".prop_map(|text| Some(text.repeat(40))),
                    Just(Some("\u{10ffff}".repeat(20))),
                ],
                1..60,
            ),
            all_null in 0usize..20, dictionary_bytes in prop_oneof![Just(1 << 20), 8usize..200],
        ) {
            let mut texts = texts;
            texts.extend(std::iter::repeat_n(None, all_null));
            prop_assert_eq!(reported(&texts, false, dictionary_bytes), reported(&texts, true, dictionary_bytes));
        }
    }
}
