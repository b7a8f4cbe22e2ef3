//! Reads CREATE TABLE, VIEW, DOMAIN and TYPE, each to what the catalog must remember of it.
//!
//! All that stands behind the column list is skipped but INHERITS, PARTITION BY and MySQL's character set. AS SELECT is
//! a fault. Functions, triggers and the like are left alone at their first words, so their bodies are never read.
//!
//! ```text
//!   CREATE UNLOGGED TABLE IF NOT EXISTS a.b  ( .. )  INHERITS (a.p) PARTITION BY RANGE (x)
//!          skipped        skipped       name list    parents        kind
//! ```
//!
//! It fails on a CREATE TABLE that does not end, and as the list reader does.

use super::lex::{Depth, Kind, Lexer};
use super::list::{Charset, List, RawColumn, read_list};
use super::names::{name_of, read_name};
use super::types::SqlType;
use super::{DdlFault, SqlName, TableKind, postgres};
use crate::snapshot::dump::SqlFamily;
use datafusion::arrow::datatypes::DataType;

/// A table as its statement tells, before parents and domains are looked up.
#[derive(Debug)]
pub(super) struct RawTable {
    /// Full name.
    pub(super) name: SqlName,
    /// As far as this statement tells; ATTACH PARTITION may stand in another one.
    pub(super) kind: TableKind,
    /// Its own columns.
    pub(super) columns: Vec<RawColumn>,
    /// Tables whose columns come first: of INHERITS, PARTITION OF and a whole-table LIKE.
    pub(super) parents: Vec<SqlName>,
    /// The composite type of `OF type`, whose columns come first.
    pub(super) of_type: Option<SqlName>,
    /// False for LIKE in a list.
    pub(super) columns_known: bool,
}

/// What a type statement made.
#[derive(Debug)]
pub(super) enum UserType {
    /// A domain over another type.
    Domain(SqlType),
    /// A composite with its attributes; its values are text, but tables may be made OF it.
    Composite(Vec<RawColumn>),
    /// An enum, a range or a base type: text.
    Other,
}

/// What a statement adds to the catalog.
#[derive(Debug)]
pub(super) enum Created {
    /// A table or foreign table.
    Table(RawTable),
    /// A view, also materialized.
    View(SqlName),
    /// A domain or type.
    Type(SqlName, UserType),
    /// Nothing that matters.
    Nothing,
}

/// Words and marks that stand between CREATE and the kind of thing. MySQL prints `ALGORITHM=UNDEFINED
/// DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW`.
const BETWEEN: &[&str] = &[
    "or",
    "replace",
    "global",
    "local",
    "temporary",
    "temp",
    "unlogged",
    "foreign",
    "recursive",
    "materialized",
    "algorithm",
    "undefined",
    "merge",
    "temptable",
    "definer",
    "current_user",
    "sql",
    "security",
    "invoker",
];

/// Reads what follows CREATE.
pub(super) fn read_create(lexer: &mut Lexer<'_>) -> Result<Created, DdlFault> {
    let mut foreign = false;
    let postgres = lexer.family == SqlFamily::Postgres;
    let mut before_at = false;
    while let Some(token) = lexer.next_token()? {
        let between = match token.kind {
            Kind::Word if token.is("table") => return read_table(lexer, foreign),
            Kind::Word if token.is("view") => {
                skip_if_not_exists(lexer)?;
                return read_name(lexer).map(Created::View);
            }
            Kind::Word if postgres && token.is("domain") => return read_domain(lexer),
            Kind::Word if postgres && token.is("type") => return read_user_type(lexer),
            Kind::Word => token.is_any(BETWEEN) || before_at,
            Kind::Mark(mark) => matches!(mark, b'=' | b'@' | b'(' | b')'),
            // The quoted user of DEFINER.
            Kind::Name | Kind::Text => true,
            Kind::Number => false,
        };
        if !between {
            break;
        }
        foreign |= token.is("foreign");
        before_at = token.is_mark(b'=') || token.is_mark(b'@');
    }
    Ok(Created::Nothing)
}

/// Takes IF NOT EXISTS.
fn skip_if_not_exists(lexer: &mut Lexer<'_>) -> Result<(), DdlFault> {
    lexer.take_words(&["if", "not", "exists"]).map(drop)
}

/// Reads what follows CREATE TABLE.
fn read_table(lexer: &mut Lexer<'_>, foreign: bool) -> Result<Created, DdlFault> {
    skip_if_not_exists(lexer)?;
    // ONLY is reserved in PostgreSQL alone.
    if lexer.family == SqlFamily::Postgres {
        lexer.take_word("only")?;
    }
    let name = read_name(lexer)?;
    let kind = if foreign { TableKind::Foreign } else { TableKind::Table };
    let mut table =
        RawTable { name, kind, columns: Vec::new(), parents: Vec::new(), of_type: None, columns_known: true };
    let mut typed = true;
    if lexer.take_words(&["partition", "of"])? {
        typed = false;
        let parent = read_name(lexer)?;
        table.kind = TableKind::PartitionOf(parent.clone());
        table.parents.push(parent);
    } else if lexer.take_word("of")? {
        typed = false;
        table.of_type = Some(read_name(lexer)?);
    } else if lexer.take_word("like")? {
        typed = false;
        table.parents.push(read_name(lexer)?);
    }
    let list = if lexer.take_mark(b'(')? { Some(read_list(lexer, typed, &table.name.name)?) } else { None };
    let listed = list.is_some() || !typed;
    let List { columns, has_like } = list.unwrap_or_default();
    table.columns = columns;
    table.columns_known = !has_like;
    read_tail(lexer, &mut table, listed)?;
    Ok(Created::Table(table))
}

/// Reads from behind the column list to the end. `listed` says that the columns have been told.
fn read_tail(lexer: &mut Lexer<'_>, table: &mut RawTable, listed: bool) -> Result<(), DdlFault> {
    let mut depth = Depth::default();
    let mut before = [None, None];
    let mut charset = Charset::Unset;
    let postgres = lexer.family == SqlFamily::Postgres;
    while let Some(token) = lexer.next_token()? {
        if token.is_mark(b';') {
            break;
        }
        if depth.outside(&token) {
            charset.note(before, &token);
            if token.is("inherits") && postgres && lexer.take_mark(b'(')? {
                read_parents(lexer, &mut table.parents)?;
            } else if token.is("partition") && postgres && lexer.take_word("by")? {
                // A partition that is partitioned stays PartitionOf: who follows parents needs the link.
                if table.kind == TableKind::Table {
                    table.kind = TableKind::Partitioned;
                }
            } else if token.is_any(&["select", "as"]) {
                return Err(DdlFault::OfQuery { table: table.name.name.clone() });
            }
        }
        // CHARSET = x is as good as CHARSET x.
        if !token.is_mark(b'=') {
            before = [before[1], Some(token)];
        }
    }
    if !depth.is_zero() || !listed {
        return Err(lexer.open("a CREATE TABLE", usize::MAX));
    }
    if charset == Charset::Binary {
        for column in &mut table.columns {
            if column.charset == Charset::Unset {
                column.charset = Charset::Binary;
            }
        }
    }
    Ok(())
}

/// Reads the names of INHERITS to its parenthesis.
fn read_parents(lexer: &mut Lexer<'_>, parents: &mut Vec<SqlName>) -> Result<(), DdlFault> {
    loop {
        parents.push(read_name(lexer)?);
        if lexer.take_mark(b')')? {
            return Ok(());
        }
        if !lexer.take_mark(b',')? {
            return Err(lexer.open("an INHERITS", usize::MAX));
        }
    }
}

/// Reads what follows CREATE DOMAIN. A domain that cannot be read is text.
fn read_domain(lexer: &mut Lexer<'_>) -> Result<Created, DdlFault> {
    let name = read_name(lexer)?;
    lexer.take_word("as")?;
    let base = postgres::read_type(lexer)?.map_or(SqlType::Arrow(DataType::Utf8), |read| read.sql);
    Ok(Created::Type(name, UserType::Domain(base)))
}

/// Reads what follows CREATE TYPE. Only composites have something to read.
fn read_user_type(lexer: &mut Lexer<'_>) -> Result<Created, DdlFault> {
    let name = read_name(lexer)?;
    let made = if lexer.take_word("as")? && lexer.take_mark(b'(')? {
        UserType::Composite(read_list(lexer, true, &name.name)?.columns)
    } else {
        UserType::Other
    };
    Ok(Created::Type(name, made))
}

/// Reads what follows ALTER: the partition and its parent of ATTACH PARTITION, or nothing.
pub(super) fn read_alter(lexer: &mut Lexer<'_>) -> Result<Option<(SqlName, SqlName)>, DdlFault> {
    if lexer.family == SqlFamily::MySql || !lexer.take_word("table")? {
        return Ok(None);
    }
    lexer.take_words(&["if", "exists"])?;
    lexer.take_word("only")?;
    let parent = read_name(lexer)?;
    if !lexer.take_words(&["attach", "partition"])? {
        return Ok(None);
    }
    Ok(Some((read_name(lexer)?, parent)))
}

/// The schema or database that USE, SET search_path or set_config makes the current one: `Some(None)` for none,
/// None for any other statement.
pub(super) fn read_namespace(first: &str, lexer: &mut Lexer<'_>) -> Result<Option<Option<String>>, DdlFault> {
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    if lexer.family == SqlFamily::MySql {
        return Ok(if is("use") {
            lexer.next_token()?.map(|name| name_of(&name, lexer)).transpose()?.map(Some)
        } else {
            None
        });
    }
    if is("set") {
        lexer.take_word("session")?;
        if !lexer.take_word("search_path")? || !(lexer.take_mark(b'=')? || lexer.take_word("to")?) {
            return Ok(None);
        }
        return Ok(Some(lexer.next_token()?.and_then(|token| match token.kind {
            Kind::Text => first_schema(token.text.trim_matches('\'')),
            _ => first_schema(token.text),
        })));
    }
    let config = is("select") && {
        if lexer.take_word("pg_catalog")? {
            lexer.take_mark(b'.')?;
        }
        lexer.take_word("set_config")? && lexer.take_mark(b'(')?
    };
    if !config || lexer.next_token()?.is_none_or(|name| name.text != "'search_path'") || !lexer.take_mark(b',')? {
        return Ok(None);
    }
    Ok(Some(lexer.next_token()?.and_then(|path| first_schema(path.text.trim_matches('\'')))))
}

/// The first schema of a search path, if it is one that tables are made in.
fn first_schema(path: &str) -> Option<String> {
    let mut lexer = Lexer::new(path, SqlFamily::Postgres);
    let token = lexer.next_token().ok()??;
    let name = name_of(&token, &lexer).ok()?;
    let outside = matches!(name.as_str(), "pg_catalog" | "$user" | "") || token.is("default");
    (!outside).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::read_tests::{read, shown};
    use super::*;

    #[test]
    fn kinds_of_postgres_tables_are_told_apart_in_any_order() {
        let tables = read(
            SqlFamily::Postgres,
            &[
                "ALTER TABLE ONLY public.m ATTACH PARTITION public.m1 FOR VALUES FROM (0) TO (9);",
                "CREATE UNLOGGED TABLE public.u ();",
                "CREATE TABLE public.m1 (id integer) PARTITION BY LIST (id);",
                "CREATE TABLE public.m (\n    id integer,\n    at date\n)\nPARTITION BY RANGE (at);",
                "CREATE TABLE ONLY public.m2 PARTITION OF public.m (id NOT NULL) FOR VALUES IN ('a,(');",
                "CREATE FOREIGN TABLE public.f (id integer OPTIONS (force_null 'true') NOT NULL) SERVER s",
                "CREATE VIEW public.v AS SELECT 1 AS one;",
                "CREATE MATERIALIZED VIEW public.mv AS SELECT 1 WITH NO DATA;",
                "CREATE FUNCTION public.fn() RETURNS int AS $$ create table ( $$;",
                "ALTER TABLE public.m OWNER TO postgres;",
            ],
        );
        let parent = || TableKind::PartitionOf(SqlName { schema: Some("public".into()), name: "m".into() });
        let got: Vec<_> = tables.iter().map(|table| (table.name.as_str(), table.kind.clone())).collect();
        let want = [
            ("u", TableKind::Table),
            ("m1", parent()),
            ("m", TableKind::Partitioned),
            ("m2", parent()),
            ("f", TableKind::Foreign),
            ("v", TableKind::View),
            ("mv", TableKind::View),
        ];
        assert_eq!(got, want);
        assert_eq!(shown(&tables[3]), ["id integer!", "at date"]);
        let unknown: Vec<_> = tables.iter().filter(|table| !table.columns_known).map(|table| &table.name).collect();
        assert_eq!(unknown, ["v", "mv"]);
    }

    #[test]
    fn table_of_a_query_is_a_fault() {
        for text in [
            "CREATE TABLE q AS SELECT 1",
            "CREATE TABLE q (a int) AS TABLE t",
            "CREATE TABLE q (a int) SELECT * FROM t",
        ] {
            for family in [SqlFamily::Postgres, SqlFamily::MySql] {
                let fault = crate::snapshot::dump::ddl::DdlCatalog::new(family).add(text);
                assert_eq!(fault, Err(DdlFault::OfQuery { table: "q".into() }), "{text}");
            }
        }
    }

    #[test]
    fn view_replaces_its_placeholder_whichever_comes_first() {
        let placeholder = "/*!50001 CREATE TABLE `v` (\n  `id` tinyint NOT NULL\n) ENGINE=MyISAM */;";
        let view = "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`view`@`%` SQL SECURITY DEFINER */\n\
                    /*!50001 VIEW `v` AS select 'it''s (' AS `id` */;";
        for statements in [[placeholder, view], [view, placeholder]] {
            let tables = read(SqlFamily::MySql, &statements);
            assert_eq!((tables.len(), &tables[0].kind, tables[0].columns.len()), (1, &TableKind::View, 0));
        }
        let other = ["CREATE DEFINER=`a`@`b` PROCEDURE `view`() select 1", "CREATE USER 'view'@'x'"];
        assert!(read(SqlFamily::MySql, &other).is_empty());
    }
}
