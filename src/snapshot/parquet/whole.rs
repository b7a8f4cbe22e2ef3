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
use super::guard::{Export, Guard};
use crate::thrift::check_footer;

/// Files up to this size are read whole: a second request would take longer than the bytes of columns not asked for.
const SMALL_FILE_BYTES: u64 = 1 << 20;

/// Opens small files as [`WholeFile`], all others as the engine does, but [reading ahead](ReadAhead).
#[derive(Debug)]
pub(crate) struct WholeFiles {
    store: Arc<dyn ObjectStore>,
    others: DefaultParquetFileReaderFactory,
    ahead: bool,
    export: Option<Arc<Export>>,
}

impl WholeFiles {
    /// `ahead`: whether row groups of large files are read ahead; `export`: what the files belong to, if they are not
    /// our own.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, ahead: bool, export: Option<Arc<Export>>) -> Self {
        Self { others: DefaultParquetFileReaderFactory::new(Arc::clone(&store)), store, ahead, export }
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
        let guard = self.export.as_ref().map(|export| Guard::new(export, &file));
        if file.object_meta.size <= SMALL_FILE_BYTES {
            return Ok(Box::new(WholeFile { store: Arc::clone(&self.store), file, bytes: None, guard }));
        }
        let (reads_ahead, location) = (self.ahead && is_whole(&file), file.object_meta.location.clone());
        let size = file.object_meta.size;
        let reader = self.others.create_reader(partition, file, footer_bytes, metrics)?;
        if !reads_ahead && guard.is_none() {
            return Ok(reader);
        }
        Ok(Box::new(ReadAhead {
            reader,
            store: Arc::clone(&self.store),
            metrics: ParquetFileMetrics::new(partition, location.as_ref(), metrics),
            location,
            size,
            guard,
            reads_ahead,
            file: None,
            last: None,
            ahead: None,
        }))
    }
}

/// Whether all row groups of a file are wanted, and not those of a part: the engine gives each file a range, also of
/// all its bytes.
fn is_whole(file: &PartitionedFile) -> bool {
    let has_end = |end: i64| u64::try_from(end).is_ok_and(|end| end >= file.object_meta.size);
    file.range.as_ref().is_none_or(|range| range.start <= 0 && has_end(range.end))
}

/// A file whose bytes are fetched once, when the first of them is asked for.
struct WholeFile {
    store: Arc<dyn ObjectStore>,
    file: PartitionedFile,
    bytes: Option<Bytes>,
    guard: Option<Guard>,
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
            let parts = ranges.iter().map(|range| part(bytes, range)).collect::<ParquetResult<Vec<_>>>()?;
            match &mut self.guard {
                Some(guard) => guard.check(&ranges, parts),
                None => Ok(parts),
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let location = self.file.object_meta.location.clone();
            let bytes = self.bytes().await?.clone();
            let of_file = |error| match error {
                ParquetError::External(error) => ParquetError::External(error),
                error => ParquetError::General(format!("footer of file {location}: {error}")),
            };
            if let Some(guard) = &mut self.guard {
                let footer = guard.admit(&bytes).map_err(of_file)?;
                for range in guard.unasked() {
                    guard.check(std::slice::from_ref(&range), vec![part(&bytes, &range)?])?;
                }
                return Ok(footer);
            }
            let policy = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::column_index_policy);
            let reader = ParquetMetaDataReader::new().with_page_index_policy(policy);
            let footer = check_footer(&bytes).and_then(|()| reader.parse_and_finish(&bytes));
            footer.map(Arc::new).map_err(of_file)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    use datafusion::datasource::physical_plan::FileScanConfig;
    use datafusion::datasource::source::DataSourceExec;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use object_store::ObjectMeta;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;
    use crate::config::{ColumnSet, FileFormat};
    use crate::layout::FilePartition;
    use crate::manifest::FileEntry;
    use crate::snapshot::{FileListTable, ScanSize, TableFiles, register};

    async fn reader(bytes: Bytes) -> WholeFile {
        let (store, location) = (Arc::new(InMemory::new()), Path::from("f"));
        store.put(&location, bytes.into()).await.unwrap();
        let object_meta: ObjectMeta = store.head(&location).await.unwrap();
        WholeFile { store, file: PartitionedFile::new_from_meta(object_meta), bytes: None, guard: None }
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

    /// The files of a scan as the engine's planner leaves it for so many threads: whether each is whole.
    async fn planned(threads: usize) -> Vec<bool> {
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
        let (uri, etag) = ("file:///export/large.parquet".into(), "e".into());
        let file = FileEntry { uri, etag, size: 1 << 30, n_record: None, partition: FilePartition::None };
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let files = TableFiles {
            name: "t".to_owned(),
            format: FileFormat::Parquet,
            schema,
            partition: Vec::new(),
            null_invalid: ColumnSet::None,
            files: vec![file],
        };
        register(&session, "public", "t", FileListTable::of_export(files, ScanSize::AsListed)).unwrap();
        let plan = session.sql("SELECT sum(n) FROM t").await.unwrap().create_physical_plan().await.unwrap();
        let mut whole = Vec::new();
        plan.apply(|node| {
            if let Some(scan) = node.downcast_ref::<DataSourceExec>() {
                let scan = scan.data_source().downcast_ref::<FileScanConfig>().unwrap();
                whole.extend(scan.file_groups.iter().flat_map(|group| group.files()).map(is_whole));
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        whole
    }

    #[tokio::test]
    async fn file_that_one_thread_reads_is_whole_and_one_that_several_share_is_not() {
        assert_eq!(planned(1).await, [true]);
        assert_eq!(planned(3).await, [false; 3]);
    }

    #[tokio::test]
    async fn bytes_beyond_the_end_and_garbage_are_errors() {
        let mut reader = reader(Bytes::from_static(b"nothing")).await;
        assert!(reader.get_bytes(0..8).await.is_err());
        assert!(reader.get_metadata(None).await.unwrap_err().to_string().contains("footer of file f"));
    }
}
