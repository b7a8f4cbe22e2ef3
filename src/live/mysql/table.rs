//! A table of the snapshot into Parquet files, one after another.
//!
//! Rows stream: in memory are one batch that is filled, two that wait, one row group and the parts of an upload,
//! whatever the size of the table. A batch ends by its rows or by its bytes, so that large values do not add up.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::catalog::MySqlColumn;
use super::cells::{MySqlCells, size};
use super::driver_error;
use super::session::{MySqlSession, text};
use super::snapshot::LockedTable;
use crate::live::fault::{LiveFault, named};
use crate::live::files::{RangeFiles, WrittenRange};
use crate::live::options::LiveOptions;
use crate::live::place::LivePlace;
use crate::snapshot::exports::live_manifest::LiveFile;

/// A batch of so many bytes is written before it has all of its rows. With the largest value of the protocol it is
/// still below what an Arrow array of texts holds.
const BATCH_BYTES: usize = 32 << 20;
/// Batches that wait for the writer.
const WAITING: usize = 2;

/// Columns of so many rows, which came in so many bytes.
struct ReadBatch {
    columns: Vec<ArrayRef>,
    rows: usize,
    bytes: usize,
}

/// Reads a table into its files; a table without rows has one.
///
/// # Errors
/// [`LiveFault`].
pub(super) async fn read(
    session: &mut MySqlSession,
    table: &LockedTable,
    place: &LivePlace,
    folder: &str,
    options: &LiveOptions,
) -> Result<Vec<LiveFile>, LiveFault> {
    let (sender, batches) = mpsc::channel::<ReadBatch>(WAITING);
    let range = WrittenRange {
        folder: folder.to_owned(),
        table: (table.table.schema.clone(), table.table.name.clone()),
        number: 1,
        part: table.table.full_name(),
        blocks: None,
    };
    let files = RangeFiles::create(place, options, schema(table), range)?;
    // Compressing goes on while rows arrive.
    let writer: JoinHandle<Result<Vec<LiveFile>, LiveFault>> = tokio::spawn(write(files, batches));
    match rows(session, table, options.batch_rows, &sender).await {
        // The writer says why it has ended.
        Ok(()) | Err(Ended::Writer) => drop(sender),
        Err(Ended::Reader(fault)) => {
            writer.abort();
            return Err(fault);
        }
    }
    writer.await.map_err(|error| LiveFault::WorkerLost {
        doing: format!("write {}", table.table.full_name()),
        reason: error.to_string(),
    })?
}

/// Writes the batches of a table until there are no more.
async fn write(mut files: RangeFiles, mut batches: mpsc::Receiver<ReadBatch>) -> Result<Vec<LiveFile>, LiveFault> {
    while let Some(ReadBatch { columns, rows, bytes }) = batches.recv().await {
        files.write(columns, rows, bytes as u64).await?;
    }
    files.finish().await
}

/// Rows of a table, as the server counts them.
///
/// # Errors
/// [`LiveFault`].
pub(super) async fn count(session: &mut MySqlSession, table: &LockedTable) -> Result<u64, LiveFault> {
    let name = table.table.full_name();
    let doing = format!("count {name}");
    let rows = session.rows(&format!("SELECT COUNT(*) FROM {}", table.table.sql())).await;
    let rows = rows.map_err(|error| driver_error::fault(&doing, Some(&name), &error))?;
    let count = rows.first().and_then(|row| text(row, 0)).and_then(|count| count.parse().ok());
    count.ok_or_else(|| LiveFault::Server {
        doing: format!("the server did not {doing}"),
        reason: "its answer is no number".to_owned(),
    })
}

/// Why there are no more batches.
enum Ended {
    Reader(LiveFault),
    Writer,
}

async fn rows(
    session: &mut MySqlSession,
    table: &LockedTable,
    batch_rows: usize,
    sender: &mpsc::Sender<ReadBatch>,
) -> Result<(), Ended> {
    let name = table.table.full_name();
    let doing = format!("read {name}");
    let failed = |error: mysql_async::Error| Ended::Reader(driver_error::fault(&doing, Some(&name), &error));
    let mut columns = cells(table).map_err(Ended::Reader)?;
    let expressions: Vec<String> = table.columns.iter().map(|column| column.expression()).collect();
    let select = format!("SELECT {} FROM {}", expressions.join(", "), table.table.sql());
    let mut result = session.conn().exec_iter(select, ()).await.map_err(failed)?;
    let (mut in_batch, mut bytes, mut before) = (0, 0, 0_u64);
    while let Some(row) = result.next().await.map_err(failed)? {
        bytes += add(&mut columns, &row, table, before + in_batch as u64 + 1).map_err(Ended::Reader)?;
        in_batch += 1;
        if in_batch >= batch_rows || bytes >= BATCH_BYTES {
            send(&mut columns, in_batch, bytes, sender).await?;
            before += in_batch as u64;
            (in_batch, bytes) = (0, 0);
        }
    }
    if in_batch > 0 {
        send(&mut columns, in_batch, bytes, sender).await?;
    }
    Ok(())
}

async fn send(
    cells: &mut [MySqlCells],
    rows: usize,
    bytes: usize,
    sender: &mpsc::Sender<ReadBatch>,
) -> Result<(), Ended> {
    let columns = cells.iter_mut().map(MySqlCells::finish).collect();
    sender.send(ReadBatch { columns, rows, bytes }).await.map_err(|_| Ended::Writer)
}

fn cells(table: &LockedTable) -> Result<Vec<MySqlCells>, LiveFault> {
    let cells = table.columns.iter().map(|column| {
        MySqlCells::new(column).ok_or_else(|| LiveFault::Table {
            table: table.table.full_name(),
            reason: format!("the column {:?} of type {} cannot be read", column.name, column.sql_type),
        })
    });
    cells.collect()
}

/// Adds a row; how many bytes it has.
fn add(columns: &mut [MySqlCells], row: &Row, table: &LockedTable, number: u64) -> Result<usize, LiveFault> {
    let place = || table.table.full_name();
    if row.len() != columns.len() {
        let reason = format!("row {number} has {} values for {} columns", row.len(), columns.len());
        return Err(LiveFault::Rows { place: place(), reason, column: None });
    }
    let mut bytes = 0;
    for (at, (cells, column)) in columns.iter_mut().zip(&table.columns).enumerate() {
        let value = row.as_ref(at).unwrap_or(&Value::NULL);
        bytes += size(value);
        cells.push(value).map_err(|misfit| LiveFault::Rows {
            place: place(),
            reason: format!("row {number}, column '{}': {}", column.name, misfit.describe(value)),
            // One that is text already is not helped by that.
            column: (column.arrow != DataType::Utf8).then(|| named(&column.name)),
        })?;
    }
    Ok(bytes)
}

fn schema(table: &LockedTable) -> SchemaRef {
    // NOT NULL is not believed: a view has none, and a column may have been altered under another SQL mode.
    let field = |column: &MySqlColumn| Field::new(&column.name, column.arrow.clone(), true);
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}
