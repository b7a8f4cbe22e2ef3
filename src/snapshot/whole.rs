//! Reads small Parquet files whole: one request per file instead of one for its footer and one for its columns.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::error::Result;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectStore, ObjectStoreExt};

use super::ahead::ReadAhead;
use crate::thrift::check_footer;

/// Files up to this size are read whole: a second request would take longer than the bytes of columns not asked for.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// Opens small files as [`WholeFile`], all others as the engine does, but [reading ahead](ReadAhead).
#[derive(Debug)]
pub(super) struct WholeFiles {
    store: Arc<dyn ObjectStore>,
    others: DefaultParquetFileReaderFactory,
    ahead: bool,
}

impl WholeFiles {
    /// `ahead`: whether row groups of large files are read ahead.
    pub(super) fn new(store: Arc<dyn ObjectStore>, ahead: bool) -> Self {
        Self { others: DefaultParquetFileReaderFactory::new(Arc::clone(&store)), store, ahead }
    }
}

impl ParquetFileReaderFactory for WholeFiles {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_bytes: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        // A part of a file ends before its last row group; the engine also calls a whole one a part.
        let size = file.object_meta.size;
        let is_whole = file
            .range
            .as_ref()
            .is_none_or(|range| range.start <= 0 && u64::try_from(range.end).is_ok_and(|end| end >= size));
        if size > SMALL_FILE_BYTES && !(self.ahead && is_whole) {
            return self.others.create_reader(partition, file, footer_bytes, metrics);
        }
        if file.object_meta.size > SMALL_FILE_BYTES {
            let location = file.object_meta.location.clone();
            return Ok(Box::new(ReadAhead {
                reader: self.others.create_reader(partition, file, footer_bytes, metrics)?,
                store: Arc::clone(&self.store),
                metrics: ParquetFileMetrics::new(partition, location.as_ref(), metrics),
                location,
                file: None,
                last: None,
                ahead: None,
            }));
        }
        Ok(Box::new(WholeFile { store: Arc::clone(&self.store), file, bytes: None }))
    }
}

/// A file whose bytes are fetched once, when the first of them is asked for.
struct WholeFile {
    store: Arc<dyn ObjectStore>,
    file: PartitionedFile,
    bytes: Option<Bytes>,
}

impl fmt::Debug for WholeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WholeFile").field(&self.file.object_meta.location).finish()
    }
}

impl WholeFile {
    async fn bytes(&mut self) -> ParquetResult<&Bytes> {
        let failed = |error: object_store::Error| ParquetError::External(Box::new(error));
        let bytes = match self.bytes.take() {
            Some(bytes) => bytes,
            None => {
                let answer = self.store.get(&self.file.object_meta.location).await.map_err(failed)?;
                answer.bytes().await.map_err(failed)?
            }
        };
        Ok(self.bytes.insert(bytes))
    }
}

fn part(bytes: &Bytes, range: &Range<u64>) -> ParquetResult<Bytes> {
    let outside = |_| ParquetError::EOF(format!("bytes {range:?} of a file of {} bytes", bytes.len()));
    let (start, end) = (usize::try_from(range.start).map_err(outside)?, usize::try_from(range.end).map_err(outside)?);
    if start > end || end > bytes.len() {
        return Err(ParquetError::EOF(format!("bytes {range:?} of a file of {} bytes", bytes.len())));
    }
    Ok(bytes.slice(start..end))
}

impl AsyncFileReader for WholeFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { part(self.bytes().await?, &range) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move {
            let bytes = self.bytes().await?;
            ranges.iter().map(|range| part(bytes, range)).collect()
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let location = self.file.object_meta.location.clone();
            let bytes = self.bytes().await?;
            let policy = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::column_index_policy);
            let reader = ParquetMetaDataReader::new().with_page_index_policy(policy);
            let footer = check_footer(bytes).and_then(|()| reader.parse_and_finish(bytes));
            footer.map(Arc::new).map_err(|error| ParquetError::General(format!("footer of file {location}: {error}")))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use object_store::ObjectMeta;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;

    async fn reader(bytes: Bytes) -> WholeFile {
        let (store, location) = (Arc::new(InMemory::new()), Path::from("f"));
        store.put(&location, bytes.into()).await.unwrap();
        let object_meta: ObjectMeta = store.head(&location).await.unwrap();
        WholeFile { store, file: PartitionedFile::new_from_meta(object_meta), bytes: None }
    }

    #[tokio::test]
    async fn footer_and_ranges_come_from_one_request() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut reader = reader(bytes.clone().into()).await;
        assert_eq!(reader.get_metadata(None).await.unwrap().file_metadata().num_rows(), 3);
        // What is asked for from now on is in memory.
        reader.store = Arc::new(InMemory::new());
        assert_eq!(reader.get_bytes(0..4).await.unwrap(), "PAR1");
        let end = bytes.len() as u64;
        assert_eq!(reader.get_byte_ranges(vec![0..1, end - 4..end]).await.unwrap(), ["P", "PAR1"]);
    }

    #[tokio::test]
    async fn bytes_beyond_the_end_and_garbage_are_errors() {
        let mut reader = reader(Bytes::from_static(b"nothing")).await;
        assert!(reader.get_bytes(0..8).await.is_err());
        assert!(reader.get_metadata(None).await.unwrap_err().to_string().contains("footer of file f"));
    }
}
