//! The tables of a database, by its own catalogue.
//!
//! Listed are tables, partitioned tables, views, materialized views and foreign tables of all schemas but the system's.
//! Columns are those that a SELECT shows: generated ones too, dropped ones not. Everything is asked by numbers and
//! bound texts, so no name can become SQL here. Only catalogue tables that every PostgreSQL and its kin has are read.

use tokio_postgres::{Client, Error, Row};

use super::quote::qualified;
use super::types::{PgReading, PgType};
use crate::live::earlier::is_called;
use crate::live::fault::LiveFault;

/// What a relation is, by the letters of `pg_class.relkind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelationKind {
    /// `r`
    Table,
    /// `p`
    Partitioned,
    /// `v`
    View,
    /// `m`
    Materialized,
    /// `f`
    Foreign,
}

impl RelationKind {
    fn of(letter: &str) -> Option<Self> {
        Some(match letter {
            "r" => Self::Table,
            "p" => Self::Partitioned,
            "v" => Self::View,
            "m" => Self::Materialized,
            "f" => Self::Foreign,
            _ => return None,
        })
    }

    /// In messages and manifests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Partitioned => "partitioned table",
            Self::View => "view",
            Self::Materialized => "materialized view",
            Self::Foreign => "foreign table",
        }
    }

    /// Whether LOCK TABLE takes it.
    pub(crate) fn is_lockable(self) -> bool {
        matches!(self, Self::Table | Self::Partitioned | Self::View)
    }
}

/// A table, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// Its number, which stays when it is renamed.
    pub(crate) oid: u32,
    /// As the catalogue has it.
    pub(crate) schema: String,
    /// As the catalogue has it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: RelationKind,
    /// Whether another table has its rows.
    pub(crate) is_part: bool,
    /// Whether this user may read it.
    pub(crate) readable: bool,
    /// Whether rows may be hidden from some users.
    pub(crate) row_security: bool,
    /// Whether it is stored in blocks that `ctid` counts.
    pub(crate) heap: bool,
    /// Whether tables inherit from it now.
    pub(crate) parent: bool,
    /// Blocks of its own rows.
    pub(crate) blocks: u64,
    /// All its bytes, those of long values too, without indexes.
    pub(crate) bytes: u64,
}

impl Relation {
    /// `public.orders`, for messages.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// For SQL.
    pub(crate) fn sql(&self) -> String {
        qualified(&self.schema, &self.name)
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveColumn {
    /// As the catalogue has it.
    pub(crate) name: String,
    /// As SQL writes it, such as `numeric(12,2)` or `shop."Order Status"[]`.
    pub(crate) sql_type: String,
    /// How it is read.
    pub(crate) read: PgReading,
    pub(crate) pg: PgType,
}

/// The privilege on a table that is gone meanwhile is NULL.
const COLUMNS_OF_RELATION: &str = "c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition, \
    coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT') \
      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false), \
    c.relrowsecurity, coalesce((SELECT am.amname = 'heap' FROM pg_catalog.pg_am am WHERE am.oid = c.relam), true), \
    EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)";

/// All tables that this user can see.
///
/// # Errors
/// Those of the server.
pub(crate) async fn relations(client: &Client) -> Result<Vec<Relation>, Error> {
    let sql = format!(
        "SELECT {COLUMNS_OF_RELATION}, 0::bigint, 0::bigint \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' \
         AND n.nspname <> ALL ('{{pg_catalog,information_schema,pg_toast}}') \
         ORDER BY 2, 3"
    );
    client.query(&sql, &[]).await?.iter().filter_map(|row| relation(row).transpose()).collect()
}

/// A table and all that hold rows of it (leaf partitions), with their sizes.
///
/// # Errors
/// Those of the server.
pub(crate) async fn leaves(client: &Client, oid: u32) -> Result<Vec<Relation>, Error> {
    let sql = format!(
        "WITH RECURSIVE tree AS (SELECT $1::oid AS oid UNION \
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON tree.oid = i.inhparent) \
         SELECT {COLUMNS_OF_RELATION}, \
           CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) \
             / pg_catalog.current_setting('block_size')::bigint ELSE 0 END, \
           CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END \
         FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind <> 'p' ORDER BY 2, 3"
    );
    client.query(&sql, &[&oid]).await?.iter().filter_map(|row| relation(row).transpose()).collect()
}

/// None for kinds of relations that have no rows of their own.
fn relation(row: &Row) -> Result<Option<Relation>, Error> {
    let Some(kind) = RelationKind::of(row.try_get(3)?) else { return Ok(None) };
    let size = |at: usize| row.try_get::<_, Option<i64>>(at).map(|size| size.unwrap_or(0).unsigned_abs());
    Ok(Some(Relation {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind,
        is_part: row.try_get(4)?,
        readable: row.try_get(5)?,
        row_security: row.try_get(6)?,
        heap: row.try_get(7)?,
        parent: row.try_get(8)?,
        blocks: size(9)?,
        bytes: size(10)?,
    }))
}

/// The columns of a table in their order, domains resolved. Those that `as_text` names come as text.
///
/// # Errors
/// Those of the server.
pub(crate) async fn columns(
    client: &Client,
    oid: u32,
    as_text: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<LiveColumn>, Error> {
    const SQL: &str = "WITH RECURSIVE base AS ( \
          SELECT a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) AS declared, \
            a.atttypmod AS typmod, t.oid, false AS domain \
          FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
          WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped \
        UNION ALL \
          SELECT base.attnum, base.attname, base.declared, t.typtypmod, t.typbasetype, true \
          FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE t.typtype = 'd') \
        SELECT base.attname::text, base.declared, base.oid, base.typmod, n.nspname::text, p.proname::text, \
          base.domain, tn.nspname::text, t.typname::text \
        FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid \
        JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
        JOIN pg_catalog.pg_proc p ON p.oid = t.typoutput \
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE t.typtype <> 'd' ORDER BY base.attnum";
    let rows = client.query(SQL, &[&oid]).await?;
    let read = rows.iter().map(|row| {
        let name: String = row.try_get(0)?;
        let base = if row.try_get(6)? { Some((row.try_get(7)?, row.try_get(8)?)) } else { None };
        let output = (row.try_get(4)?, row.try_get(5)?);
        let pg = PgType { oid: row.try_get(2)?, typmod: row.try_get(3)?, output, base };
        let read = PgReading::of(&pg, as_text(&name));
        Ok(LiveColumn { name, sql_type: row.try_get(1)?, read, pg })
    });
    read.collect()
}

/// The table that a name means: `orders`, `public.orders` or `shop.public.orders`.
///
/// # Errors
/// [`LiveFault::NoTable`], [`LiveFault::Ambiguous`], and [`LiveFault::Table`] for one that this user may not read.
pub(crate) fn resolve<'a>(relations: &'a [Relation], database: &str, name: &str) -> Result<&'a Relation, LiveFault> {
    let is_called = |relation: &&Relation| is_called(&relation.schema, &relation.name, database, name);
    let found: Vec<&Relation> = relations.iter().filter(is_called).collect();
    let found = match *found {
        [] => {
            let tables = relations.iter().filter(|table| !table.is_part).map(Relation::full_name).collect();
            return Err(LiveFault::NoTable { name: name.to_owned(), tables });
        }
        [one] => one,
        _ => match found.iter().find(|relation| relation.full_name() == name) {
            Some(exact) => exact,
            None => {
                let tables = found.iter().map(|relation| relation.full_name()).collect();
                return Err(LiveFault::Ambiguous { name: name.to_owned(), tables });
            }
        },
    };
    if !found.readable {
        let reason = "this user may not read it: GRANT SELECT on it (and USAGE on its schema)".to_owned();
        return Err(LiveFault::Table { table: found.full_name(), reason });
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn table(schema: &str, name: &str, blocks: u64) -> Relation {
        Relation {
            oid: 1,
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind: RelationKind::Table,
            is_part: false,
            readable: true,
            row_security: false,
            heap: true,
            parent: false,
            blocks,
            bytes: blocks * 8192,
        }
    }

    #[test]
    fn a_name_means_one_table_or_is_refused() {
        let all = [table("a", "t", 0), table("b", "t", 0), table("b", "u.v", 0)];
        assert_eq!(resolve(&all, "shop", "b.t").unwrap().schema, "b");
        assert_eq!(resolve(&all, "shop", "shop.a.t").unwrap().schema, "a");
        assert_eq!(resolve(&all, "shop", "u.v").unwrap().name, "u.v");
        let error = resolve(&all, "shop", "t").unwrap_err().to_string();
        assert_eq!(error, "\"t\" may be a.t or b.t: write one of these");
        let error = resolve(&all, "shop", "x").unwrap_err().to_string();
        assert_eq!(error, "there is no table \"x\"; there are a.t, b.t, b.u.v");
    }
}
