//! What a running database has, for a proposal: its tables with columns, keys and sizes. No row is read.
//!
//! Asked is what the export will be asked, with the same rights: a table that this user may not read is there, too, and
//! says so. Sizes and rows are those that the server remembers.

use datafusion::arrow::datatypes::DataType;
use tokio_postgres::Client;

use super::address::PgAddress;
use super::catalog::{Relation, RelationKind, columns, relations};
use super::holder::lost_or_refused;
use super::session::PgSession;
use crate::config::DatabaseUrl;
use crate::live::fault::LiveFault;
use crate::live::options::LiveOptions;
use crate::live::surroundings::Surroundings;

/// A database and what is in it.
#[derive(Debug)]
pub(crate) struct LiveSurvey {
    /// Without a password.
    pub(crate) address: String,
    pub(crate) database: String,
    /// As the server says it.
    pub(crate) version: String,
    /// Its clock, RFC 3339 in seconds.
    pub(crate) time: String,
    /// By schema and name, without the partitions of others.
    pub(crate) tables: Vec<SurveyedTable>,
}

/// One table.
#[derive(Debug)]
pub(crate) struct SurveyedTable {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) left_out: Option<NotProposed>,
    /// What a person should know of it, in sentences.
    pub(crate) notes: Vec<String>,
    /// Names and types in the lake.
    pub(crate) columns: Vec<(String, DataType)>,
    /// Columns of the primary key.
    pub(crate) key: Vec<String>,
    /// With those of its partitions.
    pub(crate) bytes: u64,
    /// About so many; None: the server does not know.
    pub(crate) rows: Option<u64>,
}

/// Looks at the database.
///
/// # Errors
/// [`LiveFault`].
pub(crate) async fn survey(url: &DatabaseUrl) -> Result<LiveSurvey, LiveFault> {
    let address = PgAddress::parse(&url.url, &url.folder, &Surroundings::of_process())?;
    let session = PgSession::connect(&address).await?;
    let failed = |doing: &'static str| move |error| lost_or_refused(doing, &error);
    let lock_timeout = LiveOptions::default().lock_timeout;
    session.begin(lock_timeout).await.map_err(failed("begin a transaction"))?;
    let client = session.client();
    let clock = "SELECT pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', \
        'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let time = client.query_one(clock, &[]).await.and_then(|row| row.try_get(0));
    let time: String = time.map_err(failed("tell the time"))?;
    let all = relations(client).await.map_err(failed("list the tables"))?;
    let mut tables = Vec::new();
    for relation in all.iter().filter(|relation| !relation.is_part) {
        tables.push(
            table(client, relation)
                .await
                .map_err(|error| lost_or_refused(&format!("read the catalogue of {}", relation.full_name()), &error))?,
        );
    }
    client.batch_execute("COMMIT").await.map_err(failed("end a transaction"))?;
    let (database, version) = (address.database.clone(), session.version_text().to_owned());
    Ok(LiveSurvey { address: address.to_string(), database, version, time, tables })
}

async fn table(client: &Client, relation: &Relation) -> Result<SurveyedTable, tokio_postgres::Error> {
    let mut found = SurveyedTable {
        schema: relation.schema.clone(),
        name: relation.name.clone(),
        left_out: left_out(relation),
        notes: Vec::new(),
        columns: Vec::new(),
        key: Vec::new(),
        bytes: 0,
        rows: None,
    };
    if found.left_out.is_some() {
        return Ok(found);
    }
    if relation.row_security {
        found
            .notes
            .push("It has row security: where that hides rows from this user, the export is refused.".to_owned());
    }
    if relation.kind == RelationKind::Partitioned {
        found.notes.push("It has the rows of all its partitions, which are not proposed as tables.".to_owned());
    } else if relation.parent {
        found.notes.push("It has the rows of the tables that inherit from it, too.".to_owned());
    }
    let read = columns(client, relation.oid, &|_| false).await?;
    for column in read.iter().filter(|column| column.read.printed) {
        found
            .notes
            .push(format!("{} is {} there, and text here, as the server prints it.", column.name, column.sql_type));
    }
    found.columns = read.into_iter().map(|column| (column.name, column.read.arrow)).collect();
    if found.columns.is_empty() {
        found.left_out = Some(NotProposed::NoColumns);
    }
    found.key = key(client, relation.oid).await?;
    (found.bytes, found.rows) = size(client, relation.oid).await?;
    Ok(found)
}

/// Why a relation is not proposed as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotProposed {
    /// The user may not read it.
    Forbidden,
    View,
    Materialized,
    Foreign,
    NoColumns,
}

impl NotProposed {
    /// What it is, and what to do about it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Forbidden => "this user may not read it; GRANT SELECT on it, and USAGE on its schema",
            Self::View => "a view; name it in the config to export it as well",
            Self::Materialized => "a materialized view; name it in the config to export it as well",
            Self::Foreign => {
                "a foreign table, whose rows no snapshot covers; name it in the config to export it as well"
            }
            Self::NoColumns => "a table without columns",
        }
    }
}

/// Why a relation is no table to copy, unless people say so.
fn left_out(relation: &Relation) -> Option<NotProposed> {
    match relation.kind {
        _ if !relation.readable => Some(NotProposed::Forbidden),
        RelationKind::View => Some(NotProposed::View),
        RelationKind::Materialized => Some(NotProposed::Materialized),
        RelationKind::Foreign => Some(NotProposed::Foreign),
        RelationKind::Table | RelationKind::Partitioned => None,
    }
}

async fn key(client: &Client, oid: u32) -> Result<Vec<String>, tokio_postgres::Error> {
    const SQL: &str = "SELECT a.attname::text FROM pg_catalog.pg_index i \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
        WHERE i.indrelid = $1 AND i.indisprimary \
        ORDER BY pg_catalog.array_position(i.indkey::smallint[], a.attnum)";
    client.query(SQL, &[&oid]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Bytes and rows of a table and of all that hold rows of it.
async fn size(client: &Client, oid: u32) -> Result<(u64, Option<u64>), tokio_postgres::Error> {
    const SQL: &str = "WITH RECURSIVE tree AS (SELECT $1::oid AS oid UNION \
          SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON tree.oid = i.inhparent) \
        SELECT coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::bigint, \
          sum(nullif(c.reltuples, -1))::bigint \
        FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid WHERE c.relkind = 'r'";
    let row = client.query_one(SQL, &[&oid]).await?;
    let bytes: i64 = row.try_get(0)?;
    let rows: Option<i64> = row.try_get(1)?;
    Ok((bytes.unsigned_abs(), rows.and_then(|rows| u64::try_from(rows).ok())))
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::table;
    use super::*;

    #[test]
    fn tables_are_proposed_and_all_else_is_named_with_what_to_do() {
        let of = |kind, readable| left_out(&Relation { kind, readable, ..table("public", "t", 1) });
        assert_eq!(of(RelationKind::Table, true), None);
        assert_eq!(of(RelationKind::Partitioned, true), None);
        assert!(of(RelationKind::Table, false).is_some_and(|why| why.words().contains("GRANT SELECT")));
        for kind in [RelationKind::View, RelationKind::Materialized, RelationKind::Foreign] {
            assert!(of(kind, true).is_some_and(|why| why.words().contains("name it in the config")), "{kind:?}");
        }
    }
}
