//! The tables of the schema `manifest`: files, tasks and column statistics, as manifests say them.
//!
//! | table | a row is |
//! | --- | --- |
//! | `snapshot_files`, `snapshot_file_groups` | a snapshot file; in the second with the stage task that reads it |
//! | `staging_files`, `lake_files` | a file that a task wrote |
//! | `partition_file_groups` | a staging file with the publish task that reads it |
//! | `tasks` | a task, planned or done |
//! | `column_statistics` | a column of a file of `staging_files` or `lake_files`, joined by `uri` |

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use super::committed::{Committed, CommittedTask};
use super::index::{ColumnTexts, FileIndex};
use crate::layout::Step;
use crate::manifest::{FileEntry, TaskDetails};

/// A row of a table of files: lake table, group, file.
pub(super) type FileRow = (String, Option<u64>, FileEntry);

/// One file a row.
pub(super) fn files(rows: &[FileRow]) -> Result<MemTable> {
    one_batch(vec![
        texts("table_name", rows, |row| Some(&row.0)),
        numbers("group_number", rows, |row| row.1),
        texts("uri", rows, |row| Some(&row.2.uri)),
        texts("etag", rows, |row| Some(&row.2.etag)),
        numbers("size", rows, |row| Some(row.2.size)),
        numbers("n_record", rows, |row| row.2.n_record),
        texts("partition", rows, |row| row.2.partition.text()),
    ])
}

/// A row of `tasks`.
pub(super) struct TaskRow {
    table: String,
    step: Step,
    group: usize,
    partition: Option<String>,
    reads: CommittedTask<()>,
    wrote: Option<CommittedTask<TaskDetails>>,
}

impl TaskRow {
    /// The tasks of a step: what each reads, for which partition, and those that are done.
    pub(super) fn of_step(
        table: &str,
        step: Step,
        planned: impl IntoIterator<Item = (usize, Option<String>, CommittedTask<()>)>,
        mut done: Committed<TaskDetails>,
    ) -> Vec<Self> {
        let rows = planned.into_iter().map(|(group, partition, reads)| Self {
            table: table.to_owned(),
            step,
            group,
            partition,
            reads,
            wrote: done.tasks.remove(&group),
        });
        rows.collect()
    }

    fn details(&self) -> Option<&TaskDetails> {
        self.wrote.as_ref().map(|wrote| &wrote.details)
    }
}

/// One task a row.
pub(super) fn tasks(rows: &[TaskRow]) -> Result<MemTable> {
    let seconds: Float64Array = rows.iter().map(|row| row.details().map(|details| details.seconds)).collect();
    one_batch(vec![
        texts("table_name", rows, |row| Some(&row.table)),
        texts("step", rows, |row| Some(row.step.task().name())),
        numbers("group_number", rows, |row| Some(row.group as u64)),
        texts("partition", rows, |row| row.partition.as_deref()),
        texts("state", rows, |row| Some(if row.wrote.is_some() { "done" } else { "open" })),
        numbers("files_read", rows, |row| Some(row.reads.files)),
        numbers("bytes_read", rows, |row| Some(row.reads.bytes)),
        numbers("rows_read", rows, |row| row.details().map(|details| details.rows_read).or(row.reads.rows)),
        numbers("files_written", rows, |row| row.wrote.as_ref().map(|wrote| wrote.files)),
        numbers("bytes_written", rows, |row| row.wrote.as_ref().map(|wrote| wrote.bytes)),
        numbers("rows_written", rows, |row| row.wrote.as_ref().and_then(|wrote| wrote.rows)),
        numbers("bytes_spilled", rows, |row| row.details().map(|details| details.bytes_spilled)),
        (Field::new("seconds", DataType::Float64, true), Arc::new(seconds)),
    ])
}

type NamedColumn = (Field, ArrayRef);

fn texts<R>(name: &str, rows: &[R], value: fn(&R) -> Option<&str>) -> NamedColumn {
    (Field::new(name, DataType::Utf8, true), Arc::new(rows.iter().map(value).collect::<StringArray>()))
}

fn numbers<R>(name: &str, rows: &[R], value: fn(&R) -> Option<u64>) -> NamedColumn {
    (Field::new(name, DataType::UInt64, true), Arc::new(rows.iter().map(value).collect::<UInt64Array>()))
}

fn one_batch(columns: Vec<NamedColumn>) -> Result<MemTable> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    MemTable::try_new(schema, vec![vec![batch]])
}

/// Column statistics of all tables, made while they are read: a million files have many columns.
#[derive(Debug)]
pub(super) struct StatisticsStream {
    schema: SchemaRef,
    tables: Vec<(String, Arc<FileIndex>)>,
}

impl StatisticsStream {
    /// `tables` are lake tables with the files of a step.
    pub(super) fn table(tables: Vec<(String, Arc<FileIndex>)>) -> Result<StreamingTable> {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![
            text("table_name"),
            text("uri"),
            text("column_name"),
            Field::new("nulls", DataType::UInt64, true),
            text("min_value"),
            text("max_value"),
            Field::new("is_exact", DataType::Boolean, true),
        ]));
        StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(Self { schema, tables })])
    }
}

impl PartitionStream for StatisticsStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let batches = self.tables.clone().into_iter().flat_map(move |(table, index)| {
            let names = index.texts().map(|texts| texts.keys().cloned().map(Ok).collect::<Vec<_>>());
            let names = names.unwrap_or_else(|error| vec![Err(error)]);
            let schema = Arc::clone(&schema);
            names.into_iter().map(move |name| {
                let name = name?;
                of_column(&schema, &table, &name, &index.files, &index.texts()?[&name])
            })
        });
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
    }
}

/// A row per file.
fn of_column(
    schema: &SchemaRef,
    table: &str,
    column: &str,
    files: &[FileEntry],
    texts: &ColumnTexts,
) -> Result<RecordBatch> {
    let all = |text: &str| ScalarValue::from(text).to_array_of_size(files.len());
    let columns: Vec<ArrayRef> = vec![
        all(table)?,
        Arc::new(StringArray::from_iter_values(files.iter().map(|file| &file.uri))),
        all(column)?,
        Arc::new(texts.nulls.clone()),
        Arc::new(texts.min.clone()),
        Arc::new(texts.max.clone()),
        Arc::new(texts.is_exact.clone()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
