//! The Parquet files of a range while they are written, batch by batch.
//!
//! A file ends when it has so many bytes of the server: others can share the work on its rows, and every store takes a
//! file of that size.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;

use super::fault::{LiveFault, WriteFault};
use super::options::LiveOptions;
use super::place::{LivePlace, file_name};
use crate::snapshot::exports::live_manifest::LiveFile;

/// A range of rows, as its files have it.
pub(crate) struct WrittenRange {
    /// Of the try.
    pub(crate) folder: String,
    /// Schema and name of the table.
    pub(crate) table: (String, String),
    /// Counts from 1.
    pub(crate) number: usize,
    /// The table or partition whose rows these are.
    pub(crate) part: String,
    /// First block and the one after the last, where it is a range of blocks.
    pub(crate) blocks: Option<(u64, Option<u64>)>,
}

/// The files of a range, one after another. A range without rows has one.
pub(crate) struct RangeFiles {
    place: LivePlace,
    options: LiveOptions,
    schema: SchemaRef,
    range: WrittenRange,
    /// The file that is written now, with its name.
    open: Option<(String, RangeFile)>,
    /// Of the server, in that file.
    bytes: u64,
    done: Vec<LiveFile>,
}

impl RangeFiles {
    /// # Errors
    /// [`LiveFault::Write`].
    pub(crate) fn create(
        place: &LivePlace,
        options: &LiveOptions,
        schema: SchemaRef,
        range: WrittenRange,
    ) -> Result<Self, LiveFault> {
        let (place, options) = (place.clone(), options.clone());
        let mut files = Self { place, options, schema, range, open: None, bytes: 0, done: Vec::new() };
        files.open = Some(files.new_file()?);
        Ok(files)
    }

    /// Writes columns of so many rows, which the server sent in so many bytes.
    ///
    /// # Errors
    /// [`LiveFault::Write`].
    pub(crate) async fn write(&mut self, columns: Vec<ArrayRef>, rows: usize, bytes: u64) -> Result<(), LiveFault> {
        let (name, mut file) = match self.open.take() {
            Some(open) => open,
            None => self.new_file()?,
        };
        file.write(columns, rows).await.map_err(|source| LiveFault::Write { path: name.clone(), source })?;
        self.bytes += bytes;
        if self.bytes >= self.options.range_bytes {
            self.end_file(name, file).await?;
        } else {
            self.open = Some((name, file));
        }
        Ok(())
    }

    /// Ends the last file: all of the range.
    ///
    /// # Errors
    /// [`LiveFault::Write`].
    pub(crate) async fn finish(mut self) -> Result<Vec<LiveFile>, LiveFault> {
        if let Some((name, file)) = self.open.take() {
            self.end_file(name, file).await?;
        }
        Ok(self.done)
    }

    fn new_file(&self) -> Result<(String, RangeFile), LiveFault> {
        let (schema, table) = &self.range.table;
        let name = file_name(schema, table, self.range.number, self.done.len() + 1);
        let wrong = |source: WriteFault| LiveFault::Write { path: name.clone(), source };
        let path = self.place.file(&self.range.folder, &name).map_err(|error| wrong(error.into()))?;
        let file = RangeFile::create(&self.place, path, Arc::clone(&self.schema), &self.options).map_err(wrong)?;
        Ok((name, file))
    }

    async fn end_file(&mut self, name: String, file: RangeFile) -> Result<(), LiveFault> {
        let finished = file.finish(&self.place).await;
        let (size, rows, etag) = finished.map_err(|source| LiveFault::Write { path: name.clone(), source })?;
        self.done.push(LiveFile { name, part: self.range.part.clone(), blocks: self.range.blocks, size, rows, etag });
        self.bytes = 0;
        Ok(())
    }
}

/// A Parquet file on its way.
struct RangeFile {
    writer: AsyncArrowWriter<BufWriter>,
    schema: SchemaRef,
    path: Path,
    rows: u64,
    row_group_bytes: usize,
}

impl RangeFile {
    fn create(place: &LivePlace, path: Path, schema: SchemaRef, options: &LiveOptions) -> Result<Self, WriteFault> {
        let properties = WriterProperties::builder()
            .set_compression(if options.zstd { Compression::ZSTD(ZstdLevel::try_new(1)?) } else { Compression::SNAPPY })
            .build();
        let sink = BufWriter::new(Arc::clone(&place.store), path.clone());
        let writer = AsyncArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties))?;
        Ok(Self { writer, schema, path, rows: 0, row_group_bytes: options.row_group_bytes })
    }

    /// Writes columns of so many rows.
    async fn write(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<(), WriteFault> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.writer.write(&batch).await?;
        self.rows += rows as u64;
        if self.writer.memory_size() >= self.row_group_bytes {
            self.writer.flush().await?;
        }
        Ok(())
    }

    /// Ends the file: its bytes, rows and tag in the store.
    ///
    /// # Errors
    /// [`WriteFault`], also when the store has not all of its bytes.
    async fn finish(mut self, place: &LivePlace) -> Result<(u64, u64, Option<String>), WriteFault> {
        self.writer.finish().await?;
        let size = self.writer.bytes_written() as u64;
        let stored = place.store.head(&self.path).await?;
        if stored.size != size {
            let source = format!("{} bytes were stored of {size}", stored.size).into();
            return Err(object_store::Error::Generic { store: "live export", source }.into());
        }
        let etag = stored.e_tag.map(|etag| etag.trim_matches('"').to_owned());
        Ok((size, self.rows, etag))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int32Array;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use object_store::memory::InMemory;

    use super::*;

    /// Names and rows of the files after batches of so many bytes, of one row each.
    async fn written(batches: &[u64]) -> Vec<(String, u64)> {
        let place = LivePlace { store: Arc::new(InMemory::new()), folder: "live".into() };
        let options = LiveOptions { range_bytes: 100, ..LiveOptions::default() };
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
        let table = ("public".to_owned(), "t".to_owned());
        let range = WrittenRange { folder: "try".to_owned(), table, number: 2, part: "public.t".into(), blocks: None };
        let mut files = RangeFiles::create(&place, &options, schema, range).unwrap();
        for bytes in batches {
            files.write(vec![Arc::new(Int32Array::from(vec![1]))], 1, *bytes).await.unwrap();
        }
        files.finish().await.unwrap().into_iter().map(|file| (file.name, file.rows)).collect()
    }

    #[tokio::test]
    async fn file_ends_when_it_has_its_bytes_and_a_range_without_rows_has_one() {
        let file = |name: &str, rows: u64| (format!("public/t/range-00002{name}.parquet"), rows);
        assert_eq!(written(&[]).await, [file("", 0)]);
        assert_eq!(written(&[60, 40]).await, [file("", 2)]);
        assert_eq!(written(&[60, 60, 500, 1]).await, [file("", 2), file("_00002", 1), file("_00003", 1)]);
    }
}
