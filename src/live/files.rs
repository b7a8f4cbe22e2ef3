//! A Parquet file of an export while it is written, batch by batch.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;

use super::fault::WriteFault;
use super::options::LiveOptions;
use super::place::LivePlace;

/// A Parquet file on its way.
pub(crate) struct RangeFile {
    writer: AsyncArrowWriter<BufWriter>,
    schema: SchemaRef,
    path: Path,
    rows: u64,
    row_group_bytes: usize,
}

impl RangeFile {
    /// # Errors
    /// [`WriteFault`].
    pub(crate) fn create(
        place: &LivePlace,
        path: Path,
        schema: SchemaRef,
        options: &LiveOptions,
    ) -> Result<Self, WriteFault> {
        let properties = WriterProperties::builder()
            .set_compression(if options.zstd { Compression::ZSTD(ZstdLevel::try_new(1)?) } else { Compression::SNAPPY })
            .build();
        let sink = BufWriter::new(Arc::clone(&place.store), path.clone());
        let writer = AsyncArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties))?;
        Ok(Self { writer, schema, path, rows: 0, row_group_bytes: options.row_group_bytes })
    }

    /// Writes columns of so many rows, if there are any.
    ///
    /// # Errors
    /// [`WriteFault`].
    pub(crate) async fn write(&mut self, batch: Option<(Vec<ArrayRef>, usize)>) -> Result<(), WriteFault> {
        let Some((columns, rows)) = batch else { return Ok(()) };
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
    pub(crate) async fn finish(mut self, place: &LivePlace) -> Result<(u64, u64, Option<String>), WriteFault> {
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
