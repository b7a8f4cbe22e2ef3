//! One column chunk made of the pages of several.
//!
//! ```text
//! staged       [page page] [page page page]          copied as they are, one piece each
//! staged       [dictionary page page] [dictionary page]
//! published    [dictionary page page page]           one dictionary, indices numbered anew
//! ```
//!
//! Pages without a dictionary are not even looked at: their bytes go on, and what the page index says of them is
//! shifted. No value is decoded in either case; what the page index says of texts with a dictionary is found here
//! ([`Texts`]). Pages of the format's second version are refused: nobody here writes them.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::parquet::basic::{BoundaryOrder, Encoding, PageType};
use datafusion::parquet::column::page::{CompressedPage, Page, PageReader, PageWriter};
use datafusion::parquet::column::writer::ColumnCloseResult;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::page_index::offset_index::OffsetIndexMetaData;
use datafusion::parquet::file::reader::ChunkReader;
use datafusion::parquet::file::serialized_reader::SerializedPageReader;
use datafusion::parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use datafusion::parquet::schema::types::ColumnDescPtr;

use super::bounds::{ChunkBounds, PageBounds, compare, of_pages};
use super::codec::Codec;
use super::dictionary::Dictionary;
use super::indices;
use super::texts::Texts;
use crate::snapshot::parquet::part::FileTail;

/// A staged column chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StagedChunk<'a> {
    pub(crate) part: &'a FileTail,
    pub(crate) metadata: &'a ColumnChunkMetaData,
    pub(crate) pages: &'a OffsetIndexMetaData,
    pub(crate) index: &'a ColumnIndexMetaData,
    /// Rows of the row group.
    pub(crate) rows: i64,
}

/// A page of the chunk that is being made.
#[derive(Debug)]
struct PlacedPage {
    bytes: i64,
    rows: i64,
}

/// A lake column chunk made of the pages of staged chunks.
#[derive(Debug)]
pub(crate) struct Chunk {
    column: ColumnDescPtr,
    codec: Codec,
    pieces: Vec<Bytes>,
    placed: Vec<PlacedPage>,
    /// Bytes of all data pages, as stored.
    bytes: i64,
    uncompressed_bytes: i64,
    values: i64,
    rows: i64,
    encodings: Vec<Encoding>,
    /// Data pages by encoding.
    counts: Vec<(Encoding, i32)>,
    bounds: ChunkBounds,
    /// `None` once a part had none.
    page_bounds: Option<Vec<PageBounds>>,
    dictionary: Option<Dictionary>,
}

impl Chunk {
    pub(crate) fn new(column: ColumnDescPtr, codec: Codec) -> Self {
        Self {
            column,
            codec,
            pieces: Vec::new(),
            placed: Vec::new(),
            bytes: 0,
            uncompressed_bytes: 0,
            values: 0,
            rows: 0,
            encodings: Vec::new(),
            counts: Vec::new(),
            bounds: ChunkBounds::new(),
            page_bounds: Some(Vec::new()),
            dictionary: None,
        }
    }

    /// Bytes as stored, the dictionary not compressed yet.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.bytes.unsigned_abs() + self.dictionary_bytes() as u64
    }

    /// Bytes of the dictionary.
    pub(crate) fn dictionary_bytes(&self) -> usize {
        self.dictionary.as_ref().map_or(0, Dictionary::bytes)
    }

    /// Adds the pages of a staged chunk.
    ///
    /// # Errors
    /// For damaged chunks.
    pub(crate) fn add(&mut self, staged: StagedChunk<'_>) -> Result<()> {
        let metadata = staged.metadata;
        if *metadata.column_descr() != *self.column {
            return Err(ParquetError::General(format!("a staging file has another column '{}'", self.column.path())));
        }
        for encoding in metadata.encodings() {
            if !self.encodings.contains(&encoding) {
                self.encodings.push(encoding);
            }
        }
        let mut texts = Texts::unreported(&self.column, metadata);
        let has_dictionary = metadata.dictionary_page_offset().is_some();
        if texts.is_none() && !has_dictionary && metadata.compression_codec() == self.codec.name() {
            self.copy(staged)?;
        } else {
            self.rewrite(staged, texts.as_mut())?;
        }
        let found = texts.map(Texts::finish).transpose()?;
        let (statistics, pages) = match found {
            Some((ref statistics, pages)) => (Some(statistics), Some(pages)),
            None => (metadata.statistics(), of_pages(staged.index)),
        };
        self.bounds.add(&self.column, statistics, metadata.num_values());
        match (&mut self.page_bounds, pages) {
            (Some(all), Some(part)) => all.extend(part),
            (all, _) => *all = None,
        }
        self.values += metadata.num_values();
        self.rows += staged.rows;
        Ok(())
    }

    fn copy(&mut self, staged: StagedChunk<'_>) -> Result<()> {
        let metadata = staged.metadata;
        let (start, length) = metadata.byte_range();
        let length = usize::try_from(length).map_err(|error| ParquetError::External(error.into()))?;
        let locations = staged.pages.page_locations();
        if locations.iter().map(|page| i64::from(page.compressed_page_size)).sum::<i64>() != metadata.compressed_size()
        {
            return Err(ParquetError::General("pages of a staging file are not its column chunk".to_owned()));
        }
        // A copy: a slice would keep the whole part in memory until the row group ends.
        self.pieces.push(Bytes::copy_from_slice(&staged.part.get_bytes(start, length)?));
        for (page, location) in locations.iter().enumerate() {
            self.place(location.compressed_page_size.into(), rows_of(staged, page));
        }
        self.uncompressed_bytes += metadata.uncompressed_size();
        let data: Vec<Encoding> = metadata.encodings().filter(|encoding| *encoding != Encoding::RLE).collect();
        match data[..] {
            [encoding] => self.count(encoding, locations.len()),
            // Levels are run-length encoded, and booleans may be.
            _ => self.count(Encoding::RLE, locations.len()),
        }
        Ok(())
    }

    fn rewrite(&mut self, staged: StagedChunk<'_>, mut texts: Option<&mut Texts>) -> Result<()> {
        let reader = Arc::new(staged.part.clone());
        let rows = usize::try_from(staged.rows).unwrap_or(0);
        let locations = staged.pages.page_locations().clone();
        let mut pages = SerializedPageReader::new(reader, staged.metadata, rows, Some(locations))?;
        let (mut numbers, mut data_pages) = (Vec::new(), 0);
        while let Some(mut page) = pages.get_next_page()? {
            let encoding = page.encoding();
            match &mut page {
                Page::DictionaryPage { buf, num_values, .. } => {
                    if let Some(texts) = &mut texts {
                        texts.set_entries(buf, *num_values)?;
                    }
                    let dictionary = self.dictionary.get_or_insert_default();
                    numbers = dictionary.add(buf, *num_values, self.column.physical_type())?;
                }
                Page::DataPage { buf, num_values, .. } => {
                    let is_index = matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
                    let body = if is_index {
                        self.renumber(buf, *num_values, &numbers, texts.as_deref_mut())?
                    } else {
                        if let Some(texts) = &mut texts {
                            if encoding != Encoding::PLAIN {
                                return Err(ParquetError::NYI(format!("staged texts encoded as {encoding}")));
                            }
                            let (levels, body) = self.levels(buf)?;
                            texts.add_plain(&buf.slice_ref(body), levels, *num_values)?;
                        }
                        buf.to_vec()
                    };
                    let length = body.len();
                    *buf = self.codec.compress(body)?.into();
                    let (bytes, uncompressed) = serialize(CompressedPage::new(page, length))?;
                    self.place(i64::try_from(bytes.len()).unwrap_or(i64::MAX), rows_of(staged, data_pages));
                    self.uncompressed_bytes += uncompressed;
                    self.pieces.push(bytes);
                    self.count(encoding, 1);
                    data_pages += 1;
                }
                Page::DataPageV2 { .. } => {
                    return Err(ParquetError::NYI("staged data page of the second version".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Definition levels of a page, if it has any, and what comes after them.
    fn levels<'a>(&self, page: &'a [u8]) -> Result<(Option<&'a [u8]>, &'a [u8])> {
        let (mut levels, mut rest) = (None, page);
        for highest in [self.column.max_rep_level(), self.column.max_def_level()] {
            levels = None;
            if highest > 0 {
                let (length, after) = rest.split_first_chunk().ok_or_else(cut)?;
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let (these, others) = after.split_at_checked(length).ok_or_else(cut)?;
                (levels, rest) = (Some(these), others);
            }
        }
        Ok((levels, rest))
    }

    /// A data page of so many values with the numbers that its entries have in the whole dictionary.
    fn renumber(&self, page: &[u8], most_values: u32, numbers: &[u32], texts: Option<&mut Texts>) -> Result<Vec<u8>> {
        let (levels, rest) = self.levels(page)?;
        let mut renumbered = page[..page.len() - rest.len()].to_vec();
        let (width, indices) = rest.split_first().ok_or_else(cut)?;
        let mut values = Vec::new();
        indices::decode(indices, *width, most_values, &mut values)?;
        // What fills up the last group is 0 too, and there may be no entry.
        if values
            .iter()
            .any(|value| *value != 0 && usize::try_from(*value).map_or(true, |index| index >= numbers.len()))
        {
            return Err(cut());
        }
        if let Some(texts) = texts {
            texts.add_indices(&values, levels, most_values)?;
        }
        if numbers.iter().zip(0..).all(|(number, index)| *number == index) {
            return Ok(page.to_vec());
        }
        for value in &mut values {
            *value = numbers.get(*value as usize).copied().unwrap_or(0);
        }
        let width = indices::width_of(self.dictionary.as_ref().map_or(0, Dictionary::len));
        renumbered.push(width);
        indices::encode(&values, width, &mut renumbered);
        Ok(renumbered)
    }

    fn place(&mut self, bytes: i64, rows: i64) {
        self.bytes += bytes;
        self.placed.push(PlacedPage { bytes, rows });
    }

    fn count(&mut self, encoding: Encoding, pages: usize) {
        let pages = i32::try_from(pages).unwrap_or(i32::MAX);
        match self.counts.iter_mut().find(|(known, _)| *known == encoding) {
            Some((_, count)) => *count += pages,
            None => self.counts.push((encoding, pages)),
        }
    }

    /// The chunk's bytes, and what a row group needs to know of them.
    ///
    /// # Errors
    /// The codec's, and what is wrong with page bounds.
    pub(crate) fn finish(mut self) -> Result<(Vec<Bytes>, ColumnCloseResult)> {
        let counted = |page_type| move |(encoding, count)| PageEncodingStats { page_type, encoding, count };
        let mut counts: Vec<PageEncodingStats> = self.counts.into_iter().map(counted(PageType::DATA_PAGE)).collect();
        let mut data_start = 0;
        if let Some(dictionary) = self.dictionary {
            let (page, entries) = dictionary.into_page();
            let length = page.len();
            let page = Page::DictionaryPage {
                buf: self.codec.compress(page)?.into(),
                num_values: u32::try_from(entries).unwrap_or(u32::MAX),
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let (bytes, uncompressed) = serialize(CompressedPage::new(page, length))?;
            data_start = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            self.uncompressed_bytes += uncompressed;
            self.pieces.insert(0, bytes);
            counts.insert(0, counted(PageType::DICTIONARY_PAGE)((Encoding::PLAIN, 1)));
        }
        let mut offsets = OffsetIndexBuilder::new();
        let mut offset = data_start;
        for page in &self.placed {
            offsets.append_offset_and_size(offset, i32::try_from(page.bytes).unwrap_or(i32::MAX));
            offsets.append_row_count(page.rows);
            offset += page.bytes;
        }
        let mut metadata = ColumnChunkMetaData::builder(Arc::clone(&self.column))
            .set_compression_codec(self.codec.name())
            .set_encodings(self.encodings)
            .set_page_encoding_stats(counts)
            .set_num_values(self.values)
            .set_total_compressed_size(offset)
            .set_total_uncompressed_size(self.uncompressed_bytes)
            .set_data_page_offset(data_start)
            .set_dictionary_page_offset((data_start > 0).then_some(0));
        if let Some(statistics) = self.bounds.into_statistics(&self.column) {
            metadata = metadata.set_statistics(statistics);
        }
        let column_index = self.page_bounds.map(|pages| index(&self.column, pages)).transpose()?;
        let close = ColumnCloseResult {
            bytes_written: offset.unsigned_abs(),
            rows_written: self.rows.unsigned_abs(),
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index,
            offset_index: Some(offsets.build()),
        };
        Ok((self.pieces, close))
    }
}

fn cut() -> ParquetError {
    ParquetError::EOF("a page of indices is cut or damaged".to_owned())
}

/// Rows of a page: up to where the next begins.
fn rows_of(staged: StagedChunk<'_>, page: usize) -> i64 {
    let locations = staged.pages.page_locations();
    let begins = |page: usize| locations.get(page).map_or(staged.rows, |location| location.first_row_index);
    begins(page + 1) - begins(page)
}

/// Header and body of a page, and what both would be without compression.
fn serialize(page: CompressedPage) -> Result<(Bytes, i64)> {
    let mut sink = TrackedWrite::new(Vec::with_capacity(page.compressed_size() + 64));
    let written = SerializedPageWriter::new(&mut sink).write_page(page)?;
    Ok((sink.into_inner()?.into(), i64::try_from(written.uncompressed_size).unwrap_or(i64::MAX)))
}

fn index(column: &ColumnDescPtr, pages: Vec<PageBounds>) -> Result<ColumnIndexMetaData> {
    let mut builder = ColumnIndexBuilder::new(column.physical_type());
    let ranges: Vec<_> = pages.iter().filter_map(|page| page.0.as_ref()).collect();
    let all = |is: fn(std::cmp::Ordering) -> bool| {
        ranges.windows(2).all(|pair| {
            let compare = |one: &[u8], other: &[u8]| compare(column, one, other).is_some_and(is);
            compare(&pair[0].0, &pair[1].0) && compare(&pair[0].1, &pair[1].1)
        })
    };
    builder.set_boundary_order(if all(std::cmp::Ordering::is_le) {
        BoundaryOrder::ASCENDING
    } else if all(std::cmp::Ordering::is_ge) {
        BoundaryOrder::DESCENDING
    } else {
        BoundaryOrder::UNORDERED
    });
    for (range, nulls) in pages {
        let is_null = range.is_none();
        let (min, max) = range.unwrap_or_default();
        builder.append(is_null, min, max, nulls);
    }
    builder.build()
}
