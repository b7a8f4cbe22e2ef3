//! Reads row groups of a Parquet file ahead: while one is decoded, the next is on its way.
//!
//! ```text
//! asked for     group 0    group 1    group 2    group 3
//! requested     0          1  2       3          4            from the second in a row on: a query with a LIMIT has ended
//! ```
//!
//! The same columns are read of the next row group, if that is not too large. What was read ahead and is not what is
//! asked for next, as when a filter passes over row groups, is dropped, and nothing is read ahead until two are asked
//! for in a row again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::physical_plan::ParquetFileMetrics;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::path::Path;

use super::footer::read_end;
use super::guard::Guard;

/// Larger row groups are not read ahead: they would be held twice.
const AHEAD_BYTES: u64 = 8 << 20;

/// A file of several row groups, see the module's head.
pub(crate) struct ReadAhead {
    /// The engine's.
    pub(crate) reader: Box<dyn AsyncFileReader + Send>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) location: Path,
    pub(crate) size: u64,
    /// Of a file that is not our own.
    pub(crate) guard: Option<Guard>,
    /// Otherwise it reads what it is asked for.
    pub(crate) reads_ahead: bool,
    pub(crate) metrics: ParquetFileMetrics,
    pub(crate) file: Option<Arc<ParquetMetaData>>,
    /// The row group that was asked for last.
    pub(crate) last: Option<usize>,
    pub(crate) ahead: Option<Ahead>,
}

/// A row group on its way.
pub(crate) struct Ahead {
    ranges: Vec<Range<u64>>,
    bytes: SpawnedTask<object_store::Result<Vec<Bytes>>>,
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadAhead").field(&self.location).finish()
    }
}

impl ReadAhead {
    async fn ranges(&mut self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let bytes = match self.ahead.take().filter(|ahead| ahead.ranges == ranges) {
            None => self.reader.get_byte_ranges(ranges.clone()).await?,
            Some(ahead) => {
                let failed = |error: Box<dyn std::error::Error + Send + Sync>| ParquetError::External(error);
                let bytes = ahead.bytes.join_unwind().await.map_err(|error| failed(error.into()))?;
                let bytes = bytes.map_err(|error| failed(error.into()))?;
                self.metrics.bytes_scanned.add(bytes.iter().map(Bytes::len).sum());
                bytes
            }
        };
        let bytes = match &mut self.guard {
            Some(guard) => guard.check(&ranges, bytes)?,
            None => bytes,
        };
        if !self.reads_ahead {
            return Ok(bytes);
        }
        let expected = self.last.map(|last| last + 1);
        let found = self.file.as_deref().and_then(|file| next_group(file, &ranges, expected));
        self.last = found.as_ref().map(|(number, _)| *number);
        let next = found.map_or_else(Vec::new, |(_, next)| next);
        let length = next.iter().fold(0u64, |length, range| length.saturating_add(range.end - range.start));
        if self.last.is_some() && self.last == expected && (1..=AHEAD_BYTES).contains(&length) {
            let (store, location, wanted) = (Arc::clone(&self.store), self.location.clone(), next.clone());
            let bytes = SpawnedTask::spawn(async move { store.get_ranges(&location, &wanted).await });
            self.ahead = Some(Ahead { ranges: next, bytes });
        }
        Ok(bytes)
    }
}

/// The number of the row group, probably the expected one, of which `ranges` are whole columns; and where these are in
/// the next one, if there is one.
fn next_group(
    file: &ParquetMetaData,
    ranges: &[Range<u64>],
    expected: Option<usize>,
) -> Option<(usize, Vec<Range<u64>>)> {
    let first = ranges.first()?;
    let groups = file.row_groups();
    let has_first = |&number: &usize| {
        let is_first = |group: &RowGroupMetaData| (0..group.num_columns()).any(|column| is_place(group, column, first));
        groups.get(number).is_some_and(is_first)
    };
    let number = expected.into_iter().chain(0..groups.len()).find(has_first)?;
    let (group, next) = (&groups[number], groups.get(number + 1));
    let (mut column, mut places) = (0, Vec::new());
    for range in ranges {
        column += (column..group.num_columns()).position(|column| is_place(group, column, range))?;
        if let Some(next) = next {
            places.push(place(next, column)?);
        }
        column += 1;
    }
    Some((number, places))
}

fn is_place(group: &RowGroupMetaData, column: usize, range: &Range<u64>) -> bool {
    place(group, column).as_ref() == Some(range)
}

/// `None` if a damaged footer says that it is nowhere.
fn place(group: &RowGroupMetaData, column: usize) -> Option<Range<u64>> {
    if column >= group.num_columns() {
        return None;
    }
    let column = group.column(column);
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (start, length) = (u64::try_from(start).ok()?, u64::try_from(column.compressed_size()).ok()?);
    Some(start..start.checked_add(length)?)
}

impl AsyncFileReader for ReadAhead {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.reader.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        self.ranges(ranges).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let file = match &mut self.guard {
                None => self.reader.get_metadata(options).await?,
                Some(guard) => {
                    let failed = |error| ParquetError::External(Box::new(error));
                    let end = read_end(&self.store, &self.location, self.size).await.map_err(failed)?;
                    self.metrics.bytes_scanned.add(end.len());
                    let file = guard.admit(&end).map_err(|error| match error {
                        ParquetError::External(error) => ParquetError::External(error),
                        error => ParquetError::General(format!("footer of file {}: {error}", self.location)),
                    })?;
                    for range in guard.unasked() {
                        let bytes = self.reader.get_bytes(range.clone()).await?;
                        guard.check(&[range], vec![bytes])?;
                    }
                    file
                }
            };
            self.file = Some(Arc::clone(&file));
            Ok(file)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::datasource::listing::PartitionedFile;
    use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
    use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;
    use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    /// A reader that has nothing: what comes was read ahead.
    struct Nothing;

    impl AsyncFileReader for Nothing {
        fn get_bytes(&mut self, _: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
            async { Err(ParquetError::General("not read ahead".to_owned())) }.boxed()
        }

        fn get_metadata<'a>(
            &'a mut self,
            _: Option<&'a ArrowReaderOptions>,
        ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
            async { Err(ParquetError::General("not read ahead".to_owned())) }.boxed()
        }
    }

    /// Six row groups of two columns.
    async fn reader() -> (ReadAhead, Vec<u8>) {
        let column = |from: i64| Arc::new((from..from + 60).collect::<Int64Array>()) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("a", column(0)), ("b", column(1000))]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let (store, location): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), Path::from("f"));
        store.put(&location, bytes.clone().into()).await.unwrap();
        let file = PartitionedFile::new_from_meta(store.head(&location).await.unwrap());
        let metrics = ExecutionPlanMetricsSet::new();
        let engine = DefaultParquetFileReaderFactory::new(Arc::clone(&store));
        let reader = ReadAhead {
            reader: engine.create_reader(0, file, None, &metrics).unwrap(),
            store,
            metrics: ParquetFileMetrics::new(0, "f", &metrics),
            location,
            size: bytes.len() as u64,
            guard: None,
            reads_ahead: true,
            file: None,
            last: None,
            ahead: None,
        };
        (reader, bytes)
    }

    /// Asks for columns of a row group, checks what comes, and says which places are read ahead then.
    async fn ask(reader: &mut ReadAhead, bytes: &[u8], group: usize, columns: &[usize]) -> Result<Vec<Range<u64>>> {
        let file = reader.file.clone().unwrap();
        let ranges: Vec<Range<u64>> =
            columns.iter().map(|&column| place(file.row_group(group), column).unwrap()).collect();
        let found = reader.get_byte_ranges(ranges.clone()).await?;
        let whole = |number: u64| usize::try_from(number).unwrap();
        assert!(
            ranges.iter().zip(&found).all(|(range, found)| bytes[whole(range.start)..whole(range.end)] == found[..])
        );
        Ok(reader.ahead.as_ref().map_or_else(Vec::new, |ahead| ahead.ranges.clone()))
    }

    #[tokio::test]
    async fn row_group_is_read_ahead_from_the_second_in_a_row_on() {
        let (mut reader, bytes) = reader().await;
        let file = reader.get_metadata(None).await.unwrap();
        let places = |group: usize, columns: &[usize]| -> Vec<_> {
            columns.iter().map(|&column| place(file.row_group(group), column).unwrap()).collect()
        };
        assert_eq!(ask(&mut reader, &bytes, 0, &[0, 1]).await.unwrap(), []);
        assert_eq!(ask(&mut reader, &bytes, 1, &[0, 1]).await.unwrap(), places(2, &[0, 1]));
        let real = std::mem::replace(&mut reader.reader, Box::new(Nothing));
        assert_eq!(ask(&mut reader, &bytes, 2, &[0, 1]).await.unwrap(), places(3, &[0, 1]));
        assert!(ask(&mut reader, &bytes, 4, &[0, 1]).await.is_err());
        reader.reader = real;
        // Another place than expected, and fewer columns.
        assert_eq!(ask(&mut reader, &bytes, 0, &[1]).await.unwrap(), []);
        assert_eq!(ask(&mut reader, &bytes, 1, &[1]).await.unwrap(), places(2, &[1]));
        assert_eq!(ask(&mut reader, &bytes, 4, &[1]).await.unwrap(), []);
        assert_eq!(ask(&mut reader, &bytes, 5, &[1]).await.unwrap(), []);
    }

    #[tokio::test]
    async fn ranges_that_are_not_whole_columns_are_read_as_they_are() {
        let (mut reader, _) = reader().await;
        reader.get_metadata(None).await.unwrap();
        for _ in 0..3 {
            let found = reader.get_byte_ranges(vec![0..4, 0..2]).await.unwrap();
            assert_eq!(found, ["PAR1", "PA"]);
            assert!(reader.ahead.is_none() && reader.last.is_none());
        }
    }
}
