//! The loop that writes: batches in, files out, one open at a time.
//!
//! A batch that holds several partitions is cut where they change, unless they share a file. The open file is ended
//! when the partition, the bundle or the run changes, or when the roll rule says so; each file that was ended becomes
//! one row for the manifest. Rows go to the encoder in slices of about [`SLICE_BYTES`], or a 16th of a small target,
//! between which the file's size is looked at; where slices end depends on the rows alone. A file that was ended lands
//! in the background (`landing`), while the next is encoded. A failed write aborts its upload.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::EnabledStatistics;
use datafusion::parquet::schema::types::ColumnPath;
use datafusion::physical_plan::metrics::Count;
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::estimate::{SETTLED_ROWS, SizeEstimate, sample};
use super::files::output_schema;
use super::landing::{Landed, Landing, Landings};
use super::open::FileWriter;
use super::planned::OpenPartition;
use super::ranges::FileRanges;
use super::run_rows::RunRows;
use super::size::used_bytes;
use super::spec::{Numbering, RowsOwner, WriteSpec};
use super::wide::{LAKE_GROUP_BYTES, STAGING_GROUP_BYTES, WideWriter, share_of};
use crate::error::Error;
use crate::layout::FilePartition;
use crate::layout::Location;
use crate::layout::bundle;
use crate::layout::partition::{self as hive, SEGMENT_LIMIT};
use crate::manifest::statistics::encode_ranges;
use crate::types::width::is_wide;

/// Bytes in memory after which the size of the open file is looked at again.
const SLICE_BYTES: usize = 1 << 20;

/// The same for wide tables: a slice has one array per column.
const WIDE_SLICE_BYTES: usize = 8 << 20;

/// Indices into the input.
#[derive(Debug)]
pub(crate) struct WriterColumns {
    partition: Vec<usize>,
    file: Vec<usize>,
    /// Of files that hold several partitions.
    bundled: Vec<usize>,
}

impl WriterColumns {
    pub(crate) fn of(input: &Schema, spec: &WriteSpec) -> Result<Self> {
        // By name in one go: a wide table is searched for thousands of them.
        let mut by_name = HashMap::new();
        for (index, field) in input.fields().iter().enumerate() {
            by_name.entry(field.name().as_str()).or_insert(index);
        }
        let index_of = |name: &str| match by_name.get(name) {
            Some(index) => Ok(*index),
            None => Ok(input.index_of(name)?),
        };
        let partition = spec.partition_columns.iter().map(|name| index_of(name)).collect::<Result<_>>()?;
        let of =
            |schema: &SchemaRef| schema.fields().iter().map(|field| index_of(field.name())).collect::<Result<Vec<_>>>();
        let bundled = spec.bundled.as_ref().map_or(Ok(Vec::new()), |bundled| of(&bundled.schema))?;
        Ok(Self { partition, file: of(&spec.file_schema)?, bundled })
    }
}

struct OpenFile {
    owner: RowsOwner,
    run: u32,
    /// What its manifest says: Hive paths, of a bundle with their rows.
    partitions: Vec<(String, u64)>,
    schema: SchemaRef,
    may_be_copied: bool,
    location: Location,
    writer: FileWriter,
    rows: u64,
    ranges: FileRanges,
    /// Rows per slice.
    step: usize,
}

impl OpenFile {
    fn expected_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }
}

/// State of one stream that is being written.
pub(crate) struct Writer {
    spec: Arc<WriteSpec>,
    columns: WriterColumns,
    open: Option<OpenFile>,
    landings: Landings,
    /// Partition and number of the file that was opened last: one partition never uses a number twice.
    last: Option<(RowsOwner, u32)>,
    planned: Option<OpenPartition>,
    /// Planned partitions that have all their rows.
    planned_ended: usize,
    rows_left: Option<u64>,
    estimate: SizeEstimate,
    output: Sender<Result<RecordBatch>>,
    rows_written: Count,
    bytes_written: Count,
}

impl Writer {
    pub(crate) fn new(
        spec: Arc<WriteSpec>,
        columns: WriterColumns,
        output: Sender<Result<RecordBatch>>,
        rows_written: Count,
        bytes_written: Count,
    ) -> Self {
        let rows_left = spec.total_rows;
        let estimate = SizeEstimate::AsExpected;
        Self {
            spec,
            columns,
            open: None,
            landings: Landings::default(),
            last: None,
            planned: None,
            planned_ended: 0,
            rows_left,
            estimate,
            output,
            rows_written,
            bytes_written,
        }
    }

    /// Writes all rows, and sends a manifest row per file.
    pub(crate) async fn run(mut self, mut input: SendableRecordBatchStream) -> Result<()> {
        let result = self.write_all(&mut input).await;
        if result.is_err() {
            if let Some(open) = self.open.take() {
                open.writer.into_upload().abort().await;
            }
            self.landings.wait().await;
        }
        result
    }

    async fn write_all(&mut self, input: &mut SendableRecordBatchStream) -> Result<()> {
        while let Some(batch) = input.next().await {
            self.write_batch(&batch?).await?;
        }
        self.end_all_planned().await?;
        if self.open.is_none() && self.spec.write_empty && self.rows_written.value() == 0 {
            let empty = RecordBatch::new_empty(Arc::clone(&self.spec.file_schema));
            self.open(RowsOwner::Partition(Vec::new()), RunRows::ALWAYS_IN_ORDER, &empty)?;
        }
        self.finish().await?;
        while let Some(landed) = self.landings.next().await? {
            self.tell(landed).await?;
        }
        Ok(())
    }

    async fn write_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if let Some(checksum) = &self.spec.checksum {
            checksum.add(batch)?;
        }
        let keys: Vec<ArrayRef> =
            self.columns.partition.iter().map(|&column| Arc::clone(batch.column(column))).collect();
        let of = match self.spec.numbering {
            Numbering::Runs => RunRows::of(batch),
            Numbering::Rolling(_) => RunRows::ALWAYS_IN_ORDER,
        };
        let parts = hive::split(&keys, batch.num_rows()).map_err(|source| {
            let columns = self.spec.partition_columns.join(", ");
            external(Error::PartitionValue { table: self.spec.table.clone(), columns, source })
        })?;
        if let Some(number) = of.bundle {
            let rows = batch.project(&self.columns.bundled)?;
            self.write_rows(&rows, &RowsOwner::Bundle(number), of).await?;
            for (range, values) in parts {
                let path = self.path(&values)?;
                self.open.iter_mut().for_each(|open| open.partitions.push((path.clone(), range.len() as u64)));
            }
        } else {
            let rows = batch.project(&self.columns.file)?;
            for (range, values) in parts {
                let (rows, owner) = (rows.slice(range.start, range.len()), RowsOwner::Partition(values));
                if self.spec.planned.is_empty() {
                    self.write_rows(&rows, &owner, of).await?;
                } else {
                    self.write_planned(rows, owner).await?;
                }
            }
        }
        (self.spec.on_rows)(batch.num_rows() as u64);
        Ok(())
    }

    /// Rows of a planned partition. They are cut into batches as if it were alone, so that what is written does not
    /// depend on what else is published with it.
    async fn write_planned(&mut self, rows: RecordBatch, owner: RowsOwner) -> Result<()> {
        if self.planned.as_ref().is_some_and(|planned| planned.owner != owner) {
            self.end_planned().await?;
        }
        if self.planned.is_none() {
            let RowsOwner::Partition(values) = &owner else {
                return Err(DataFusionError::Internal("a bundle within a bundle".to_owned()));
            };
            let path = self.path(values)?;
            let Some(of) = self.spec.planned.get(&path) else {
                return Err(DataFusionError::Internal(format!("rows of partition {path}, which is not planned")));
            };
            self.rows_left = Some(of.rows);
            self.estimate = SizeEstimate::AsExpected;
            self.planned = Some(OpenPartition::new(owner, path, rows.schema(), of.rows));
        }
        if let Some(planned) = &mut self.planned {
            planned.push(rows)?;
        }
        self.write_completed().await
    }

    async fn write_completed(&mut self) -> Result<()> {
        while let Some(planned) = &mut self.planned
            && let Some(rows) = planned.next_batch()
        {
            let owner = planned.owner.clone();
            self.write_rows(&rows, &owner, RunRows::ALWAYS_IN_ORDER).await?;
        }
        Ok(())
    }

    /// Ends the planned partition, if there is one.
    async fn end_planned(&mut self) -> Result<()> {
        if let Some(planned) = &mut self.planned {
            planned.end()?;
            self.write_completed().await?;
            self.planned = None;
            self.planned_ended += 1;
        }
        Ok(())
    }

    /// Ends the last planned partition; each must have come.
    async fn end_all_planned(&mut self) -> Result<()> {
        self.end_planned().await?;
        let (ended, planned) = (self.planned_ended, self.spec.planned.len());
        if ended != planned {
            return Err(DataFusionError::Internal(format!("rows of {ended} partitions came, {planned} were staged")));
        }
        Ok(())
    }

    /// Rows of one owner.
    async fn write_rows(&mut self, rows: &RecordBatch, owner: &RowsOwner, of: RunRows) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.owner != *owner || open.run != of.run) {
            self.finish().await?;
        }
        let mut done = 0;
        while done < rows.num_rows() {
            if self.open.is_none() {
                self.open(owner.clone(), of, &rows.slice(done, rows.num_rows() - done))?;
            }
            // Never the case; but rows that no file takes must not pass for filtered ones.
            let Some(open) = &mut self.open else {
                return Err(DataFusionError::Internal("rows without an open file".to_owned()));
            };
            let step = open.step.min(rows.num_rows() - done);
            let slice = rows.slice(done, step);
            open.ranges.add(&slice)?;
            if let Err(source) = open.writer.write(&slice).await {
                return Err(upload_error(&open.location, source));
            }
            open.rows += step as u64;
            done += step;
            self.rows_written.add(step);
            self.rows_left = self.rows_left.map(|left| left.saturating_sub(step as u64));
            if let Numbering::Rolling(rule) = self.spec.numbering {
                let bytes = self.estimate.correct(open.expected_bytes(), open.rows);
                if rule.is_full(bytes, open.rows, self.rows_left) {
                    self.finish().await?;
                } else if self.spec.is_published {
                    let share = open.writer.in_progress_size() as u128;
                    let in_group = u128::from(bytes) * share / u128::from(open.expected_bytes().max(1));
                    let in_group = u64::try_from(in_group).unwrap_or(bytes);
                    if rule.ends_row_group(in_group, bytes, open.rows, self.rows_left)
                        && let Err(source) = open.writer.flush().await
                    {
                        return Err(upload_error(&open.location, source));
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens the next file; `first` are rows that it will begin with.
    fn open(&mut self, owner: RowsOwner, of: RunRows, first: &RecordBatch) -> Result<()> {
        let spec = Arc::clone(&self.spec);
        let number = match (&spec.numbering, &self.last) {
            (Numbering::Runs, _) => of.run,
            (Numbering::Rolling(_), Some((last, number))) if *last == owner => number + 1,
            _ => 0,
        };
        let (folder, partitions, schema, encoding) = match (&owner, &spec.bundled) {
            (RowsOwner::Partition(values), _) => {
                let path = self.path(values)?;
                (path.clone(), vec![(path, 0)], &spec.file_schema, &spec.encoding)
            }
            (RowsOwner::Bundle(number), Some(bundled)) => {
                (bundle::folder(*number), Vec::new(), &bundled.schema, &bundled.encoding)
            }
            (RowsOwner::Bundle(_), None) => {
                return Err(DataFusionError::Internal("a bundle in a table that has none".to_owned()));
            }
        };
        let (location, upload) = spec.create(&folder, number).map_err(external)?;
        let properties = encoding.properties(first, self.rows_left.unwrap_or(0), of.in_order.into())?;
        let row_bytes = used_bytes(first) / first.num_rows().max(1);
        if let (SizeEstimate::AsExpected, Numbering::Rolling(rule), Some(rows)) =
            (self.estimate, spec.numbering, self.rows_left)
            && rows.saturating_mul(row_bytes as u64) > rule.target_bytes
        {
            self.estimate = if is_wide(schema) {
                SizeEstimate::Share(share_of(first, properties.clone())?)
            } else {
                sample(first, schema, properties.clone())?
            };
        }
        let has_statistics =
            |column: &str| properties.statistics_enabled(&ColumnPath::from(column)) != EnabledStatistics::None;
        let ranges = FileRanges::new(schema, has_statistics);
        let (writer, most) = if is_wide(schema) {
            let share = if let SizeEstimate::Share(share) = self.estimate { share } else { 1.0 };
            let bytes = if spec.is_published { LAKE_GROUP_BYTES } else { STAGING_GROUP_BYTES };
            let writer = WideWriter::new(upload, schema, properties, bytes, share)?;
            (FileWriter::Wide(Box::new(writer)), WIDE_SLICE_BYTES)
        } else {
            (FileWriter::ordinary(upload, Arc::clone(schema), properties)?, SLICE_BYTES)
        };
        let slice_bytes = match spec.numbering {
            Numbering::Runs => most,
            Numbering::Rolling(rule) => usize::try_from(rule.target_bytes / 16).unwrap_or(most).min(most),
        };
        self.last = Some((owner.clone(), number));
        self.open = Some(OpenFile {
            owner,
            run: of.run,
            partitions,
            schema: Arc::clone(schema),
            may_be_copied: encoding.may_be_copied(),
            location,
            writer,
            rows: 0,
            ranges,
            step: (slice_bytes / row_bytes.max(1)).clamp(64, 8192),
        });
        Ok(())
    }

    /// Hive path of a partition.
    ///
    /// # Errors
    /// [`Error::PartitionValueTooLong`].
    fn path(&self, values: &hive::Values) -> Result<String> {
        self.check_length(values)?;
        let columns = &self.spec.partition_columns;
        if columns.is_empty() {
            return Ok(self.spec.fixed_partition.clone());
        }
        Ok(hive::path(columns.iter().map(String::as_str), values))
    }

    fn check_length(&self, values: &[Option<String>]) -> Result<()> {
        for (column, value) in self.spec.partition_columns.iter().zip(values) {
            let length = hive::segment(column, value.as_deref()).len();
            if length > SEGMENT_LIMIT {
                return Err(external(Error::PartitionValueTooLong {
                    table: self.spec.table.clone(),
                    column: column.clone(),
                    length,
                    start: value.iter().flat_map(|value| value.chars()).take(40).collect(),
                    limit: SEGMENT_LIMIT,
                }));
            }
        }
        Ok(())
    }

    /// Ends the open file and lets it land.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    async fn finish(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let expected = open.expected_bytes();
        let plain = if open.may_be_copied { open.ranges.plain_floats(&open.schema) } else { Ok(None) };
        let ended = match plain {
            Ok(plain) => {
                plain.into_iter().for_each(|plain| open.writer.append_key_value_metadata(plain));
                open.writer.finish().await.map_err(|source| upload_error(&open.location, source))
            }
            Err(error) => Err(error),
        };
        let share = open.writer.stored_share();
        let mut upload = open.writer.into_upload();
        let ranges = ended.and_then(|footer| open.ranges.finish(&open.schema, &footer));
        let statistics = match ranges {
            Ok(ranges) => encode_ranges(&ranges),
            Err(error) => {
                upload.abort().await;
                return Err(error);
            }
        };
        let bytes = upload.bytes();
        let ratio = |of: u64| bytes as f64 / of.max(1) as f64;
        let per_expected = if open.rows >= SETTLED_ROWS { ratio(expected) } else { 1.0 };
        self.estimate = match share {
            Some(share) => SizeEstimate::Share(share),
            None => SizeEstimate::Learnt { per_row: ratio(open.rows), per_expected },
        };
        let OpenFile { location, partitions, rows, .. } = open;
        let partition = match open.owner {
            RowsOwner::Partition(_) => FilePartition::one(partitions.first().map_or("", |(path, _)| path)),
            RowsOwner::Bundle(_) => FilePartition::many(partitions.iter().map(|(path, rows)| (path.as_str(), *rows))),
        };
        self.landings.add(Landing { location, partition, rows, statistics }, upload);
        while let Some(landed) = self.landings.next_if_many().await? {
            self.tell(landed).await?;
        }
        Ok(())
    }

    /// Sends the manifest row of a file.
    async fn tell(&mut self, file: Landed) -> Result<()> {
        self.bytes_written.add(usize::try_from(file.stored.bytes).unwrap_or(usize::MAX));
        let row = RecordBatch::try_new(
            output_schema(),
            vec![
                Arc::new(StringArray::from(vec![file.location.uri()])) as Arc<dyn Array>,
                Arc::new(StringArray::from(vec![file.stored.etag])),
                Arc::new(UInt64Array::from(vec![file.stored.bytes])),
                Arc::new(UInt64Array::from(vec![file.rows])),
                Arc::new(StringArray::from(vec![file.partition.text()])),
                Arc::new(StringArray::from(vec![file.statistics])),
            ],
        )?;
        // Nobody listens any more when the task was cancelled; then nothing of it is committed.
        let _ = self.output.send(Ok(row)).await;
        Ok(())
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A store's refusal comes wrapped by the Parquet writer; anything else is the writer's own.
fn upload_error(location: &Location, source: ParquetError) -> DataFusionError {
    match source {
        ParquetError::External(inner) => match inner.downcast::<object_store::Error>() {
            Ok(source) => external(Error::Store { action: "write", uri: location.to_string(), source: *source }),
            Err(inner) => external(Error::Parquet { uri: location.to_string(), source: ParquetError::External(inner) }),
        },
        source => external(Error::Parquet { uri: location.to_string(), source }),
    }
}
