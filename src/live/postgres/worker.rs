//! A connection that sees the held snapshot, and reads ranges into Parquet files one after another.
//!
//! In memory are one batch, one row group and the parts of an upload, whatever the size of the table. Locks are taken
//! at the start and not when a range is read: behind a waiting ALTER TABLE a reader would wait for the holder, and the
//! holder for the reader.

use std::sync::Arc;
use std::time::Duration;

use crate::snapshot::pg_binary::{PgBinaryColumn, PgBinaryDecoder, PgBinaryFault};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, pin_mut};

use super::address::PgAddress;
use super::catalog::{LiveColumn, RelationKind};
use super::holder::{PlannedTable, is_rewritten, lost_or_refused};
use super::quote::literal;
use super::ranges::TableRange;
use super::session::PgSession;
use crate::live::fault::{LiveFault, named};
use crate::live::files::{RangeFiles, WrittenRange};
use crate::live::options::{LiveExport, LiveOptions};
use crate::live::place::LivePlace;
use crate::snapshot::exports::live_manifest::LiveFile;

/// The server sends each row by itself; the decoder is quicker with many at once.
const CHUNK: usize = 64 << 10;

/// PostgreSQL's own limit of a value.
const MAX_RECORD: usize = 1 << 30;

/// One reader.
pub(crate) struct Worker<'a> {
    session: PgSession,
    place: &'a LivePlace,
    folder: &'a str,
    options: &'a LiveOptions,
}

impl<'a> Worker<'a> {
    /// # Errors
    /// [`LiveFault`].
    pub(crate) async fn join(
        export: &'a LiveExport<PgAddress>,
        folder: &'a str,
        snapshot: &str,
        lock: &str,
    ) -> Result<Self, LiveFault> {
        let session = PgSession::connect(&export.address).await?;
        let failed = |doing: &'static str| move |error| lost_or_refused(doing, &error);
        session.begin(export.options.lock_timeout).await.map_err(failed("begin a transaction"))?;
        let import = format!("SET TRANSACTION SNAPSHOT {}", literal(snapshot));
        session.client().batch_execute(&import).await.map_err(failed("import the snapshot"))?;
        session.client().batch_execute(lock).await.map_err(failed("lock the tables against TRUNCATE and ALTER"))?;
        Ok(Self { session, place: &export.place, folder, options: &export.options })
    }

    /// The same with what the server said when it ended the connection, which a COPY does not get to see.
    pub(crate) async fn explain(&self, fault: LiveFault) -> LiveFault {
        const LAST_WORDS: Duration = Duration::from_secs(1);
        match fault {
            LiveFault::WorkerLost { doing, reason } => {
                let reason = tokio::time::timeout(LAST_WORDS, self.session.lost()).await.unwrap_or(reason);
                LiveFault::WorkerLost { doing, reason }
            }
            other => other,
        }
    }

    /// Rows of a table, as the server counts them.
    ///
    /// # Errors
    /// [`LiveFault`].
    pub(crate) async fn count(&self, table: &PlannedTable) -> Result<u64, LiveFault> {
        let name = table.relation.full_name();
        let sql = format!("SELECT pg_catalog.count(*) FROM {}", table.relation.sql());
        let row = self.session.client().query_one(&sql, &[]).await;
        let count = row.and_then(|row| row.try_get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|error| lost_or_refused(&format!("count {name}"), &error))
    }

    /// Reads a range into its files.
    ///
    /// # Errors
    /// [`LiveFault`].
    pub(crate) async fn read(&self, table: &PlannedTable, number: usize) -> Result<Vec<LiveFile>, LiveFault> {
        let range = &table.ranges[number];
        let doing = format!("read {}", table.relation.full_name());
        let failed = |error| lost_or_refused(&doing, &error);
        let written = WrittenRange {
            folder: self.folder.to_owned(),
            table: (table.relation.schema.clone(), table.relation.name.clone()),
            number: number + 1,
            part: range.part.clone(),
            blocks: range.blocks.map(|blocks| (blocks.from, blocks.to)),
        };
        let mut files = RangeFiles::create(self.place, self.options, schema(table), written)?;
        let damaged = |fault: PgBinaryFault| {
            let column = match &fault {
                PgBinaryFault::Value(unfit) if !is_text(table, &unfit.column) => Some(named(&unfit.column)),
                _ => None,
            };
            LiveFault::Rows { place: place_of(table, range), reason: fault.to_string(), column }
        };
        let column = |column: &LiveColumn| {
            PgBinaryColumn::new(&column.name, column.read.arrow.clone(), column.read.wire.clone())
        };
        let columns: Vec<PgBinaryColumn> = table.columns.iter().map(column).collect();
        let mut decoder = PgBinaryDecoder::new(&columns, MAX_RECORD).map_err(damaged)?;

        let copy = self.session.client().copy_out(&copy_statement(table, range)).await.map_err(failed)?;
        pin_mut!(copy);
        let mut chunk = Vec::with_capacity(CHUNK);
        let (mut ended, mut bytes) = (false, 0_u64);
        while !ended {
            match copy.next().await {
                Some(row) => chunk.extend_from_slice(&row.map_err(failed)?),
                None => ended = true,
            }
            if chunk.len() < CHUNK && !ended {
                continue;
            }
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let used = decoder.push(rest, self.options.batch_rows).map_err(damaged)?;
                rest = rest.get(used..).unwrap_or_default();
                bytes += used as u64;
                if decoder.is_full(self.options.batch_rows)
                    && let Some((columns, rows)) = decoder.flush().map_err(damaged)?
                {
                    files.write(columns, rows, std::mem::take(&mut bytes)).await?;
                }
            }
            chunk.clear();
            chunk.shrink_to(CHUNK);
        }
        decoder.end().map_err(damaged)?;
        if let Some((columns, rows)) = decoder.flush().map_err(damaged)? {
            files.write(columns, rows, bytes).await?;
        }
        // A materialized view cannot be locked; after a refresh in between, newer rows are read.
        if table.relation.kind == RelationKind::Materialized && is_rewritten(&self.session, &table.relation).await? {
            return Err(LiveFault::Rewritten { table: table.relation.full_name() });
        }
        files.finish().await
    }
}

/// Whether a column is text already, which is no remedy for its values then.
fn is_text(table: &PlannedTable, name: &str) -> bool {
    table.columns.iter().any(|column| column.name == name && column.read.arrow == DataType::Utf8)
}

fn place_of(table: &PlannedTable, range: &TableRange) -> String {
    let from = range.blocks.map(|blocks| format!(" from block {} on", blocks.from)).unwrap_or_default();
    let name = table.relation.full_name();
    if range.part == name { format!("{name}{from}") } else { format!("{name}, partition {}{from}", range.part) }
}

/// `COPY (SELECT .. FROM ONLY "public"."orders" WHERE ctid < ..) TO STDOUT (FORMAT binary)`
fn copy_statement(table: &PlannedTable, range: &TableRange) -> String {
    let columns: Vec<String> =
        table.columns.iter().map(|column| column.read.expression(&column.name, &column.pg)).collect();
    let (columns, from, condition) = (columns.join(", "), &range.from, range.condition());
    format!("COPY (SELECT {columns} FROM {from}{condition}) TO STDOUT (FORMAT binary)")
}

/// The Arrow schema of a table.
fn schema(table: &PlannedTable) -> SchemaRef {
    // NOT NULL is not believed: from PostgreSQL 18 on it may be unproven.
    let field = |column: &LiveColumn| Field::new(&column.name, column.read.arrow.clone(), true);
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}
