//! The Parquet writer of an open file: the one that encodes all columns side by side, or that of wide tables.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{KeyValue, ParquetMetaData};
use datafusion::parquet::file::properties::WriterProperties;

use super::upload::Upload;
use super::wide::WideWriter;

/// The Parquet writer of an open file.
pub(crate) enum FileWriter {
    /// An encoder per column.
    Ordinary(Box<AsyncArrowWriter<Upload>>),
    /// One encoder.
    Wide(Box<WideWriter>),
}

impl FileWriter {
    pub(crate) fn ordinary(upload: Upload, schema: SchemaRef, properties: WriterProperties) -> Result<Self> {
        let options = ArrowWriterOptions::new().with_properties(properties);
        Ok(Self::Ordinary(Box::new(AsyncArrowWriter::try_new_with_options(upload, schema, options)?)))
    }

    pub(crate) async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match self {
            Self::Ordinary(writer) => writer.write(rows).await,
            Self::Wide(writer) => writer.write(rows).await,
        }
    }

    /// Ends the row group.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        match self {
            Self::Ordinary(writer) => writer.flush().await,
            Self::Wide(writer) => writer.flush().await,
        }
    }

    /// Ends the file; its last bytes are with the upload then.
    pub(crate) async fn finish(&mut self) -> Result<ParquetMetaData> {
        match self {
            Self::Ordinary(writer) => writer.finish().await,
            Self::Wide(writer) => writer.finish().await,
        }
    }

    pub(crate) fn append_key_value_metadata(&mut self, metadata: KeyValue) {
        match self {
            Self::Ordinary(writer) => writer.append_key_value_metadata(metadata),
            Self::Wide(writer) => writer.append_key_value_metadata(metadata),
        }
    }

    /// Bytes of ended row groups.
    pub(crate) fn bytes_written(&self) -> usize {
        match self {
            Self::Ordinary(writer) => writer.bytes_written(),
            Self::Wide(writer) => writer.bytes_written(),
        }
    }

    /// Bytes that the open row group will probably have.
    pub(crate) fn in_progress_size(&self) -> usize {
        match self {
            Self::Ordinary(writer) => writer.in_progress_size(),
            Self::Wide(writer) => writer.in_progress_size(),
        }
    }

    /// Bytes in the file of a byte of rows, of a wide table.
    pub(crate) fn stored_share(&self) -> Option<f64> {
        match self {
            Self::Ordinary(_) => None,
            Self::Wide(writer) => Some(writer.stored_share()),
        }
    }

    pub(crate) fn into_upload(self) -> Upload {
        match self {
            Self::Ordinary(writer) => writer.into_inner(),
            Self::Wide(writer) => writer.into_upload(),
        }
    }
}
