//! One transaction that sees the database as of one moment, and holds its tables as they are.
//!
//! ```text
//!   list the tables
//!   START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY      rows are those of this moment
//!   SELECT * FROM each LIMIT 0                                 metadata locks: no ALTER, DROP, TRUNCATE from here on
//!   list the tables again                                      another definition than before is an error
//! ```
//!
//! A definition that changed in between without a trace in the catalogue is one that the engine knows: it answers that
//! the table's definition has changed (error 1412). There is one connection: neither MySQL nor MariaDB can give another
//! connection the same snapshot, and equal positions of the binary log do not prove it, since there are changes that
//! are not logged. Sources: "START TRANSACTION", "Consistent Nonlocking Reads" and "Metadata Locking" of the MySQL
//! Reference Manual; "Enhancements for START TRANSACTION WITH CONSISTENT SNAPSHOT" of the MariaDB documentation.

use mysql_async::Error;

use super::address::MySqlAddress;
use super::catalog::{MySqlColumn, MySqlTable, columns, resolve, tables};
use super::driver_error;
use super::session::{MySqlSession, text};
use crate::live::fault::LiveFault;
use crate::live::options::{LiveOptions, WantedTable};
use crate::snapshot::exports::live_manifest::{LiveSnapshot, LiveSource};

/// A table with all that is needed to read it.
#[derive(Debug, Clone)]
pub(super) struct LockedTable {
    pub(super) table: MySqlTable,
    pub(super) columns: Vec<MySqlColumn>,
    pub(super) notes: Vec<String>,
}

/// A held snapshot.
pub(super) struct Snapshot {
    pub(super) session: MySqlSession,
    pub(super) source: LiveSource,
    pub(super) snapshot: LiveSnapshot,
    pub(super) tables: Vec<LockedTable>,
}

impl Snapshot {
    /// # Errors
    /// [`LiveFault`].
    pub(super) async fn take(
        address: &MySqlAddress,
        wanted: &[WantedTable],
        options: &LiveOptions,
    ) -> Result<Self, LiveFault> {
        let mut session = MySqlSession::connect(address, options.lock_timeout).await?;
        let failed = |doing: &'static str| move |error: Error| driver_error::fault(doing, None, &error);
        // The server may write the name in another case than the address.
        let database = session.rows("SELECT DATABASE()").await.map_err(failed("name the database"))?;
        let database = database.first().and_then(|row| text(row, 0)).unwrap_or_else(|| address.database.clone());
        let listed = tables(&mut session, &database).await.map_err(failed("list the tables"))?;
        let before = resolve_all(&listed, wanted)?;
        let start = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        session.execute(start).await.map_err(failed("start a transaction with a snapshot"))?;
        let snapshot = position(&mut session).await.map_err(failed("tell the time of the snapshot"))?;
        for (table, _) in &before {
            let name = table.full_name();
            let lock = format!("SELECT * FROM {} LIMIT 0", table.sql());
            let locked = session.execute(&lock).await;
            locked.map_err(|error| driver_error::fault(&format!("read {name}"), Some(&name), &error))?;
        }
        let listed = tables(&mut session, &database).await.map_err(failed("list the tables"))?;
        let after = resolve_all(&listed, wanted)?;
        let mut planned = Vec::with_capacity(after.len());
        for ((table, text_columns), (before, _)) in after.into_iter().zip(before) {
            if table != before {
                return Err(LiveFault::Rewritten { table: before.full_name() });
            }
            planned.push(plan(&mut session, &table, &text_columns).await?);
        }
        let identifier = if session.is_mariadb { "SELECT @@global.server_uid" } else { "SELECT @@global.server_uuid" };
        let identifier = session.ask(identifier).await.map_err(failed("tell its server id"))?;
        let source = LiveSource {
            system: if session.is_mariadb { "mariadb" } else { "mysql" }.to_owned(),
            server_version: session.version.clone(),
            system_identifier: identifier.first().and_then(|row| text(row, 0)),
            address: address.to_string(),
            database,
            standby: None,
        };
        Ok(Self { session, source, snapshot, tables: planned })
    }
}

/// Each table once, with its columns that come as text, whatever names it is called by.
fn resolve_all(listed: &[MySqlTable], wanted: &[WantedTable]) -> Result<Vec<(MySqlTable, Vec<String>)>, LiveFault> {
    let mut all: Vec<(MySqlTable, Vec<String>)> = Vec::with_capacity(wanted.len());
    for WantedTable { name, text_columns } in wanted {
        let table = resolve(listed, name)?;
        if let Some(reason) = table.without_snapshot() {
            return Err(LiveFault::Table { table: table.full_name(), reason });
        }
        match all.iter_mut().find(|(there, _)| there == table) {
            Some((_, columns)) => columns.extend(text_columns.iter().cloned()),
            None => all.push((table.clone(), text_columns.clone())),
        }
    }
    Ok(all)
}

/// The time, and where the binary log was, which MariaDB and Percona Server know exactly.
async fn position(session: &mut MySqlSession) -> Result<LiveSnapshot, Error> {
    let time = session.rows("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')").await?;
    let status = session.ask("SHOW SESSION STATUS LIKE 'binlog\\_snapshot\\_%'").await?;
    let value = |name: &str| {
        let is_called = |row: &&mysql_async::Row| text(row, 0).is_some_and(|found| found.eq_ignore_ascii_case(name));
        status.iter().find(is_called).and_then(|row| text(row, 1)).filter(|value| !value.is_empty())
    };
    let (file, at) = (value("binlog_snapshot_file"), value("binlog_snapshot_position"));
    let binlog = file.zip(at).map(|(file, at)| format!("{file}:{at}"));
    let gtid = match binlog.as_deref().and_then(|binlog| binlog.rsplit_once(':')) {
        Some((file, at)) if session.is_mariadb && at.bytes().all(|byte| byte.is_ascii_digit()) => {
            let sql = format!("SELECT BINLOG_GTID_POS('{}', {at})", file.replace('\\', "\\\\").replace('\'', "''"));
            session.ask(&sql).await?.first().and_then(|row| text(row, 0)).filter(|gtid| !gtid.is_empty())
        }
        _ => None,
    };
    let time = time.first().and_then(|row| text(row, 0)).unwrap_or_default();
    Ok(LiveSnapshot { time, binlog, gtid, ..LiveSnapshot::default() })
}

async fn plan(
    session: &mut MySqlSession,
    table: &MySqlTable,
    text_columns: &[String],
) -> Result<LockedTable, LiveFault> {
    let name = table.full_name();
    let refused = |reason: String| LiveFault::Table { table: name.clone(), reason };
    let columns = columns(session, table, text_columns).await;
    let columns =
        columns.map_err(|error| driver_error::fault("list the columns", Some(&name), &error))?.map_err(refused)?;
    if columns.is_empty() {
        return Err(refused("has no columns".to_owned()));
    }
    if let Some(none) = text_columns.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
        return Err(refused(format!("has no column {none:?}")));
    }
    let mut notes = Vec::new();
    if table.is_view() {
        notes.push(
            "a view: rows that it has from tables without snapshots, such as those of MyISAM, are of when they were read"
                .to_owned(),
        );
    }
    if table.kind == "SYSTEM VERSIONED" {
        notes.push("a system-versioned table: its rows are those of now, without their history".to_owned());
    }
    Ok(LockedTable { table: table.clone(), columns, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_two_names_is_read_once() {
        let table = MySqlTable {
            schema: "shop".into(),
            name: "t".into(),
            kind: "BASE TABLE".into(),
            engine: Some("InnoDB".into()),
            created: None,
        };
        let wanted = |name: &str, column: &str| WantedTable { name: name.into(), text_columns: vec![column.into()] };
        let all = resolve_all(std::slice::from_ref(&table), &[wanted("t", "a"), wanted("shop.t", "b")]).unwrap();
        assert_eq!(all, [(table.clone(), vec!["a".to_owned(), "b".to_owned()])]);
        let plain = MySqlTable { engine: Some("MyISAM".into()), ..table };
        let error = resolve_all(&[plain], &[wanted("t", "a")]).unwrap_err().to_string();
        assert!(error.starts_with("shop.t: its engine MyISAM"), "{error}");
    }
}
