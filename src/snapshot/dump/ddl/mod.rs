//! Table columns with Arrow types from the DDL of a dump: what pg_dump, mysqldump, mydumper and SHOW CREATE TABLE
//! print.
//!
//! It does not parse SQL. A tokenizer (`lex`) knows names, strings, comments and marks of both dialects, and a list
//! reader (`list`) takes "name type rest" of each element of a CREATE TABLE. Expressions, keys and checks are only
//! skipped by their parentheses. ALTER TABLE .. ADD/DROP/MODIFY COLUMN is not followed: no dump tool prints it, and
//! a script that holds it has rows that do not fit the columns given here, which the reader of rows must refuse.
//!
//! ```text
//!   CREATE DOMAIN public.eur AS numeric(12,2);            types:  public.eur -> numeric(12,2)
//!   CREATE TABLE public.orders (                          table:  public.orders
//!       id bigint NOT NULL,                                 id   Int64, not null
//!       fee public.eur,                                     fee  Decimal128(12, 2)
//!       tags text[] DEFAULT ARRAY['a,b', 'c)'],             tags Utf8
//!       CHECK ((fee > 0))
//!   ) PARTITION BY RANGE (id);                              kind Partitioned
//! ```
//!
//! It fails on a CREATE TABLE that does not end and on a column without a type, never on a type that it does not
//! know: that is text, which holds whatever the server prints. Only what a statement names is remembered; each
//! statement is read once, from a borrowed text, without a token list.

mod catalog;
mod create;
mod lex;
mod list;
mod mysql;
mod names;
mod postgres;
#[cfg(test)]
mod read_tests;
mod resolve;
mod types;

use datafusion::arrow::datatypes::DataType;

pub(crate) use self::catalog::DdlCatalog;
pub(crate) use self::mysql::column_type as mysql_column_type;
pub(crate) use self::names::SqlName;

/// What a relation of the dump is, so that the reader knows whether rows are to be expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// Holds rows of its own. MySQL tables with a partition clause are here: their rows are dumped under their name.
    Table,
    /// PostgreSQL parent of partitions; it holds no rows.
    Partitioned,
    /// A partition, by ATTACH PARTITION or PARTITION OF, and its direct parent. A partition that is itself
    /// partitioned, or is a foreign table, is here too. A damaged dump may hold a ring of parents: who follows them
    /// must count.
    PartitionOf(SqlName),
    /// A view, with or without data; dumps hold no rows of it, and no columns are known.
    View,
    /// A foreign table; pg_dump leaves its rows out unless asked with `--include-foreign-data`.
    Foreign,
}

/// How a generated column is kept by its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generated {
    /// Computed on write (`STORED`, `PERSISTENT`).
    Stored,
    /// Computed on read (`VIRTUAL`, or neither word written).
    Virtual,
}

/// One relation of the dump, with its columns in the server's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DdlTable {
    /// Schema (PostgreSQL) or database (MySQL) as written, or from the `SET search_path` or `USE` before it.
    pub(crate) schema: Option<String>,
    /// Name without its quotes.
    pub(crate) name: String,
    /// See [`TableKind`].
    pub(crate) kind: TableKind,
    /// All columns in order: those of INHERITS, OF and PARTITION OF parents come first, as the servers order them.
    pub(crate) columns: Vec<DdlColumn>,
    /// False when columns may lack: a view, CREATE TABLE .. AS, or LIKE, INHERITS, OF, PARTITION OF of something
    /// that the statements do not hold. Rows may then only be read by a column list in the dump.
    pub(crate) columns_known: bool,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DdlColumn {
    /// Name without its quotes.
    pub(crate) name: String,
    /// The type as written, blanks normalized: `numeric(12,2)`, `int(10) unsigned`, `public."Order Status"[]`.
    pub(crate) declared: String,
    /// The Arrow type that holds every value of it, or Utf8 for the server's text.
    pub(crate) data_type: DataType,
    /// Written beside the column, by NOT NULL or PRIMARY KEY; constraints elsewhere are not looked at.
    pub(crate) not_null: bool,
    /// Set for a generated column (not for identity, AUTO_INCREMENT or MariaDB's ROW START/END columns).
    /// Whether a dump holds its values depends on the tool, not on the kind. Seen with PostgreSQL 15.18 and MariaDB
    /// 10.11.19 (STORED by both, VIRTUAL by MariaDB):
    ///
    /// | tool | generated columns |
    /// |---|---|
    /// | pg_dump, COPY | left out of the column list and of the rows; without a list (all generated) also |
    /// | pg_dump `--inserts` | no column list, the word `DEFAULT` in their place |
    /// | pg_dump `--column-inserts` | left out; `INSERT INTO t DEFAULT VALUES` when nothing is left |
    /// | mariadb-dump | values stand **in** the rows, and in the list with `-c` or an INVISIBLE column; `--tab` too |
    /// | mydumper | left out; an INSERT column list is then always there (ROW START/END are left out as well) |
    ///
    /// MySQL's own mysqldump leaves them out and writes a column list (from memory, no such server here). So: where
    /// there is a list, the list decides; a PostgreSQL COPY without one has no generated columns; an INSERT without
    /// one has all columns.
    pub(crate) generated: Option<Generated>,
    /// A MySQL text kind (char, varchar, text, enum, set) of the character set `binary`, so that it is Binary.
    pub(crate) is_binary_text: bool,
}

/// Why a statement gives no columns, with the text around.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DdlFault {
    /// Cut or damaged: a quote, comment or parenthesis is open, or the statement stops before its columns.
    #[error("the statement does not end: {what} is open at `{near}`")]
    Open {
        /// What is open.
        what: &'static str,
        /// The text around.
        near: String,
    },
    /// A column name with nothing after it that can be a type.
    #[error("column `{column}` of table `{table}` has no type, at `{near}`")]
    NoType {
        /// The column.
        column: String,
        /// The table, or the composite type.
        table: String,
        /// The text around.
        near: String,
    },
    /// Something else where a name must be.
    #[error("a name is missing at `{near}`")]
    NoName {
        /// The text around.
        near: String,
    },
    /// Its rows are those of a query, which nobody runs here.
    #[error("table `{table}` is made by a query (CREATE TABLE ... AS SELECT), so its rows are not in the dump")]
    OfQuery {
        /// The table.
        table: String,
    },
    /// Far more columns than any server allows.
    #[error("table `{table}` has more than {most} columns")]
    TooMany {
        /// The table, or the composite type.
        table: String,
        /// What is read at most.
        most: usize,
    },
}
