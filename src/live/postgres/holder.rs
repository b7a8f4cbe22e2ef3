//! The connection that holds the snapshot, and what it finds out before any row is read.
//!
//! ```text
//!   1  names -> tables              in a transaction before
//!   2  BEGIN, LOCK TABLE            the first statement that takes a snapshot comes later, so nothing can be truncated
//!   3  pg_export_snapshot()         or altered between the snapshot and the reading
//!   4  columns, leaves, sizes       as the snapshot has them
//!   5  LOCK TABLE of the leaves     and the proof that no table was rewritten meanwhile
//! ```
//!
//! TRUNCATE and the forms of ALTER TABLE that rewrite a table do not heed snapshots: a table truncated after the
//! snapshot was taken reads as empty in it, without any error. ACCESS SHARE locks keep both away; SELECT takes the
//! same. A lock on a view is one on the tables behind it, but not on materialized views and foreign tables. It waits
//! for locks no longer than the options say, since all who come later wait behind it.

use std::time::Duration;

use super::address::PgAddress;
use super::catalog::{LiveColumn, Relation, RelationKind, columns, leaves, relations, resolve};
use super::driver_error::{is_lost, server_text};
use super::ranges::{TableRange, plan};
use super::session::PgSession;
use crate::live::fault::LiveFault;
use crate::live::options::WantedTable;
use crate::snapshot::exports::live_manifest::{LiveSnapshot, LiveSource};

/// Lowest version whose snapshots, catalogue and settings are as expected here.
const OLDEST: u32 = 110_000;

/// A table with all that is needed to read it.
#[derive(Debug, Clone)]
pub(crate) struct PlannedTable {
    pub(crate) relation: Relation,
    pub(crate) columns: Vec<LiveColumn>,
    pub(crate) ranges: Vec<TableRange>,
    pub(crate) notes: Vec<String>,
}

/// A held snapshot.
pub(crate) struct Holder {
    pub(crate) session: PgSession,
    pub(crate) source: LiveSource,
    pub(crate) snapshot: LiveSnapshot,
    pub(crate) tables: Vec<PlannedTable>,
    /// Statement that each reader begins with; empty where there is nothing to lock.
    pub(crate) lock: String,
}

impl Holder {
    /// # Errors
    /// [`LiveFault`].
    pub(crate) async fn take(
        address: &PgAddress,
        wanted: &[WantedTable],
        range_bytes: u64,
        lock_timeout: Duration,
    ) -> Result<Self, LiveFault> {
        let session = PgSession::connect(address).await?;
        if session.version() < OLDEST {
            let reason = format!("PostgreSQL {} is older than 11", session.version_text());
            let help = "dump it with pg_dump, and read it with STORED AS PG_DUMP".to_owned();
            return Err(LiveFault::Connect { reason, help });
        }
        let failed = |doing: &'static str| move |error| lost_or_refused(doing, &error);
        session.begin(lock_timeout).await.map_err(failed("begin a transaction"))?;
        let all = relations(session.client()).await.map_err(failed("list the tables"))?;
        session.client().batch_execute("COMMIT").await.map_err(failed("end a transaction"))?;
        let before = resolve_all(&all, &address.database, wanted)?;
        session.begin(lock_timeout).await.map_err(failed("begin a transaction"))?;
        let lock = lock_statement(before.iter().map(|(relation, _)| *relation));
        session.client().batch_execute(&lock).await.map_err(failed("lock the tables against TRUNCATE and ALTER"))?;
        let (snapshot, standby) = take_snapshot(&session).await.map_err(failed("export a snapshot"))?;

        let listed = relations(session.client()).await.map_err(failed("list the tables"))?;
        let after = resolve_all(&listed, &address.database, wanted)?;
        if let Some(one) = missing(&before, &after).or_else(|| missing(&after, &before)) {
            return Err(LiveFault::Rewritten { table: one.full_name() });
        }
        let mut tables = Vec::new();
        let mut locked: Vec<Relation> = after.iter().map(|(relation, _)| (*relation).clone()).collect();
        for (relation, text_columns) in &after {
            let table = plan_table(&session, relation, text_columns, range_bytes, &mut locked).await?;
            tables.push(table);
        }
        locked.sort_by_key(|relation| relation.oid);
        locked.dedup_by_key(|relation| relation.oid);
        let lock = lock_statement(locked.iter().filter(|relation| relation.readable));
        session.client().batch_execute(&lock).await.map_err(failed("lock the partitions"))?;
        check_files(&session, &locked).await?;

        let identifier = session
            .ask("SELECT system_identifier::text FROM pg_catalog.pg_control_system()")
            .await
            .map_err(failed("read the system identifier"))?;
        let source = LiveSource {
            system: "postgresql".to_owned(),
            server_version: session.version_text().to_owned(),
            system_identifier: identifier.and_then(|row| row.try_get(0).ok()),
            address: address.to_string(),
            database: address.database.clone(),
            standby,
        };
        Ok(Self { session, source, snapshot, tables, lock })
    }

    /// Proves that the snapshot was held until now, and lets it go.
    ///
    /// # Errors
    /// [`LiveFault::HolderLost`].
    pub(crate) async fn release(self) -> Result<(), LiveFault> {
        let ended = self.session.client().batch_execute("COMMIT").await;
        ended.map_err(|error| LiveFault::HolderLost { reason: server_text(&error) })
    }
}

/// A table that is wanted, and its columns that come as text.
type WantedRelation<'a> = (&'a Relation, Vec<String>);

/// Each table once, whatever names it is called by.
fn resolve_all<'a>(
    all: &'a [Relation],
    database: &str,
    wanted: &[WantedTable],
) -> Result<Vec<WantedRelation<'a>>, LiveFault> {
    let mut found: Vec<WantedRelation<'a>> = Vec::with_capacity(wanted.len());
    for WantedTable { name, text_columns } in wanted {
        let relation = resolve(all, database, name)?;
        match found.iter_mut().find(|(there, _)| there.oid == relation.oid) {
            Some((_, columns)) => columns.extend(text_columns.iter().cloned()),
            None => found.push((relation, text_columns.clone())),
        }
    }
    Ok(found)
}

/// A table of the ones that is not among the others.
fn missing<'a>(ones: &[WantedRelation<'a>], others: &[WantedRelation<'_>]) -> Option<&'a Relation> {
    let is_there = |one: &Relation| others.iter().any(|(other, _)| other.oid == one.oid);
    ones.iter().map(|(one, _)| *one).find(|one| !is_there(one))
}

/// Empty where there is nothing that can be locked.
fn lock_statement<'a>(relations: impl Iterator<Item = &'a Relation>) -> String {
    let names: Vec<String> = relations.filter(|relation| relation.kind.is_lockable()).map(Relation::sql).collect();
    if names.is_empty() { String::new() } else { format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", ")) }
}

async fn take_snapshot(session: &PgSession) -> Result<(LiveSnapshot, Option<bool>), tokio_postgres::Error> {
    let sql = "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.to_char(pg_catalog.clock_timestamp() \
        AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let row = session.client().query_one(sql, &[]).await?;
    let lsn = "SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
        ELSE pg_catalog.pg_current_wal_lsn() END)::text, pg_catalog.pg_is_in_recovery()";
    let lsn = session.ask(lsn).await?;
    let visible = session.ask("SELECT pg_catalog.txid_current_snapshot()::text").await?;
    let snapshot = LiveSnapshot {
        id: row.try_get(0)?,
        time: row.try_get(1)?,
        lsn: lsn.as_ref().and_then(|row| row.try_get(0).ok().flatten()),
        visible: visible.and_then(|row| row.try_get(0).ok()),
        binlog: None,
        gtid: None,
    };
    Ok((snapshot, lsn.and_then(|row| row.try_get(1).ok())))
}

async fn plan_table(
    session: &PgSession,
    relation: &Relation,
    text_columns: &[String],
    range_bytes: u64,
    locked: &mut Vec<Relation>,
) -> Result<PlannedTable, LiveFault> {
    let failed = |error| lost_or_refused(&format!("read the catalogue of {}", relation.full_name()), &error);
    let refused = |reason: String| LiveFault::Table { table: relation.full_name(), reason };
    let as_text = |name: &str| text_columns.iter().any(|column| column == name);
    let columns = columns(session.client(), relation.oid, &as_text).await.map_err(failed)?;
    if columns.is_empty() {
        return Err(refused("has no columns".to_owned()));
    }
    if let Some(none) = text_columns.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
        return Err(refused(format!("has no column {none:?}")));
    }
    let leaves = leaves(session.client(), relation.oid).await.map_err(failed)?;
    let (ranges, notes) = plan(relation, &leaves, session.version(), range_bytes);
    if relation.kind == RelationKind::Partitioned {
        locked.extend(leaves);
    }
    Ok(PlannedTable { relation: relation.clone(), columns, ranges, notes })
}

/// That the files of tables are still those of the snapshot: `pg_class` is read as of the snapshot, the function knows
/// them as they are now.
async fn check_files(session: &PgSession, tables: &[Relation]) -> Result<(), LiveFault> {
    for table in tables {
        if is_rewritten(session, table).await? {
            return Err(LiveFault::Rewritten { table: table.full_name() });
        }
    }
    Ok(())
}

/// Whether a table got other files since the snapshot was taken.
///
/// # Errors
/// [`LiveFault::Server`], [`LiveFault::WorkerLost`].
pub(crate) async fn is_rewritten(session: &PgSession, table: &Relation) -> Result<bool, LiveFault> {
    if !matches!(table.kind, RelationKind::Table | RelationKind::Materialized) {
        return Ok(false);
    }
    let sql = "SELECT pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode \
        FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relfilenode <> 0";
    let row = session.client().query_opt(sql, &[&table.oid]).await;
    let row = row.map_err(|error| lost_or_refused(&format!("check {}", table.full_name()), &error))?;
    Ok(row.is_some_and(|row| row.try_get(0).unwrap_or(true)))
}

/// A connection that is gone, or a statement that the server refused.
pub(crate) fn lost_or_refused(doing: &str, error: &tokio_postgres::Error) -> LiveFault {
    let reason = server_text(error);
    if is_lost(error) {
        LiveFault::WorkerLost { doing: doing.to_owned(), reason }
    } else {
        LiveFault::Server { doing: format!("the server refused to {doing}"), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::table;
    use super::*;

    #[test]
    fn table_with_two_names_is_read_once() {
        let all = [table("public", "orders", 1), Relation { oid: 2, ..table("public", "lines", 1) }];
        let wanted = |name: &str, column: &str| WantedTable { name: name.into(), text_columns: vec![column.into()] };
        let names = [wanted("orders", "a"), wanted("lines", "b"), wanted("public.orders", "c")];
        let found = resolve_all(&all, "shop", &names).unwrap();
        assert_eq!(found, [(&all[0], vec!["a".to_owned(), "c".to_owned()]), (&all[1], vec!["b".to_owned()])]);
        assert_eq!(missing(&found, &found), None);
        assert_eq!(missing(&found, &found[1..]), Some(&all[0]));
    }
}
