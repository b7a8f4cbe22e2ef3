//! The statements of a config as written, with the place of everything that an error may have to point at.
//!
//! These types hold what `parse` reads and judge nothing: a key may be unknown, a value wrong, a table in a schema
//! where it does not belong.

use datafusion::sql::sqlparser::ast;

use super::variables::Held;
use crate::error::Position;

/// Text and where it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlacedText {
    pub(crate) text: String,
    pub(crate) at: Position,
}

/// The parts of `schema.table`, folded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) parts: Vec<String>,
    pub(crate) at: Position,
}

/// The right side of a property.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    /// A string, number, boolean or bare word.
    One(PlacedText),
    /// `ARRAY[...]`.
    Many(Vec<PlacedText>),
    /// `MAP {'key': [...]}`.
    Map(Vec<(PlacedText, Vec<PlacedText>)>),
}

/// `key = value`, or `key value` in OPTIONS.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Property<V> {
    pub(crate) key: PlacedText,
    pub(crate) value: V,
}

/// One statement and its start.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) at: Position,
    pub(crate) kind: StatementKind,
}

/// The four statements of a config.
#[derive(Debug, Clone)]
pub(crate) enum StatementKind {
    /// `SET key = value`
    SetVariable(Property<PlacedText>),
    /// `CREATE EXTERNAL TABLE name (columns) STORED AS format LOCATION ... OPTIONS (...)`
    CreateExternalTable(Box<ExternalTable>),
    /// `CREATE TABLE name WITH (properties) AS query`
    CreateLakeTable(Box<LakeStatement>),
    /// `CREATE VIEW name AS query`
    CreateView(Box<ViewStatement>),
}

/// CREATE EXTERNAL TABLE as written.
#[derive(Debug, Clone)]
pub(crate) struct ExternalTable {
    pub(crate) name: Name,
    pub(crate) columns: Vec<ast::ColumnDef>,
    /// The names in PARTITIONED BY as they are written; `columns` has their types.
    pub(crate) partitions: Vec<String>,
    /// The place of PARTITIONED BY.
    pub(crate) partitions_at: Option<Position>,
    pub(crate) format: PlacedText,
    pub(crate) locations: Vec<PlacedText>,
    pub(crate) options: Vec<Property<PlacedText>>,
    /// Clauses of DataFusion's DDL that a snapshot has no use for.
    pub(crate) other_clauses: Vec<(&'static str, Position)>,
}

/// CREATE TABLE ... AS SELECT as written.
#[derive(Debug, Clone)]
pub(crate) struct LakeStatement {
    pub(crate) name: Name,
    pub(crate) properties: Vec<Property<Literal>>,
    pub(crate) query: PlacedQuery,
    /// Whether WITH has a value of the environment.
    pub(crate) with_held: bool,
}

/// CREATE VIEW as written.
#[derive(Debug, Clone)]
pub(crate) struct ViewStatement {
    pub(crate) name: Name,
    pub(crate) query: PlacedQuery,
}

/// A query, its start, and how it may be shown and kept.
#[derive(Debug, Clone)]
pub(crate) struct PlacedQuery {
    pub(crate) run: Box<ast::Query>,
    /// The same with `${env:NAME}` in place of its value.
    pub(crate) shown: Box<ast::Query>,
    pub(crate) held: Vec<Held>,
    /// What the environment gave.
    pub(crate) secrets: Vec<String>,
    pub(crate) at: Position,
}

impl PlacedQuery {
    /// A query that holds nothing back.
    pub(crate) fn new(query: Box<ast::Query>, at: Position) -> Self {
        Self { shown: query.clone(), run: query, held: Vec::new(), secrets: Vec::new(), at }
    }
}
