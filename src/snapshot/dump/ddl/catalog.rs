//! Collects tables and types from statements, in any order.
//!
//! Each statement is read at once and only what is needed is kept; names that point to other statements (domains,
//! parents, partitions) are looked up when all are there. A second CREATE of a name replaces the first, as the
//! script would with its DROP; a view replaces its placeholder table, which mydumper and old mysqldumps print.
//!
//! ```text
//!   add("CREATE TABLE a.t (x a.eur)")       finish() -> [a.t: x Decimal128(12, 2)]
//!   add("INSERT INTO a.t VALUES ('..")      (its first word only is read)
//!   add("CREATE DOMAIN a.eur AS numeric(12,2)")
//! ```
//!
//! Only USE, SET search_path and set_config depend on the order: they give bare names that follow their schema. An
//! unreadable CREATE TABLE, VIEW, DOMAIN, TYPE or ATTACH is a fault and changes nothing.

use super::create::{Created, RawTable, UserType, read_alter, read_create, read_namespace};
use super::lex::Lexer;
use super::names::NameMap;
use super::{DdlFault, SqlName, TableKind};
use crate::snapshot::dump::SqlFamily;

/// What the statements made so far.
#[derive(Debug)]
pub(crate) struct DdlCatalog {
    family: SqlFamily,
    namespace: Option<String>,
    pub(super) tables: Vec<RawTable>,
    /// Places in `tables`.
    pub(super) places: NameMap<usize>,
    pub(super) types: NameMap<UserType>,
    pub(super) views: Vec<SqlName>,
    /// Partition and parent of ATTACH PARTITION.
    pub(super) attached: Vec<(SqlName, SqlName)>,
}

impl DdlCatalog {
    /// An empty catalog for statements of one dialect.
    pub(crate) fn new(family: SqlFamily) -> Self {
        Self {
            family,
            namespace: None,
            tables: Vec::new(),
            places: NameMap::new(),
            types: NameMap::new(),
            views: Vec::new(),
            attached: Vec::new(),
        }
    }

    /// Takes in one statement, with or without its `;`. Of statements that it does not need it reads the first words
    /// only, however long they are.
    pub(crate) fn add(&mut self, statement: &str) -> Result<(), DdlFault> {
        let mut lexer = Lexer::new(statement, self.family);
        let Some(first) = lexer.next_token()? else { return Ok(()) };
        if first.is("create") {
            let created = read_create(&mut lexer)?;
            self.put(created);
        } else if first.is("alter") {
            if let Some((partition, parent)) = read_alter(&mut lexer)? {
                self.attached.push((self.home(partition), self.home(parent)));
            }
        } else if first.is_any(&["use", "set", "select"])
            && let Some(namespace) = read_namespace(first.text, &mut lexer)?
        {
            self.namespace = namespace;
        }
        Ok(())
    }

    /// The schema or database of bare names at this place of the dump, so that INSERT and COPY can be matched.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Keeps what a statement made.
    fn put(&mut self, created: Created) {
        match created {
            Created::Table(mut table) => {
                table.name = self.home(table.name);
                if let TableKind::PartitionOf(parent) = table.kind {
                    table.kind = TableKind::PartitionOf(self.home(parent));
                }
                match self.places.exact(&table.name) {
                    Some(&place) => self.tables[place] = table,
                    None => {
                        self.places.put(table.name.clone(), self.tables.len());
                        self.tables.push(table);
                    }
                }
            }
            Created::View(name) => self.views.push(self.home(name)),
            Created::Type(name, made) => self.types.put(self.home(name), made),
            Created::Nothing => {}
        }
    }

    /// A name in the current schema, if it has none of its own.
    fn home(&self, name: SqlName) -> SqlName {
        SqlName { schema: name.schema.or_else(|| self.namespace.clone()), name: name.name }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_tests::read;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bare_names_follow_use_and_search_path() {
        let create = "CREATE TABLE t (a int)";
        let schemas = |family, statements: &[&str]| -> Vec<Option<String>> {
            read(family, statements).into_iter().map(|table| table.schema).collect()
        };
        let mut catalog = DdlCatalog::new(SqlFamily::MySql);
        catalog.add("USE `a``b`;").unwrap();
        assert_eq!(catalog.namespace(), Some("a`b"));
        let mysql = [create, "USE `shop, 2`;", create, "USE other;", create, "CREATE TABLE `shop`.`t` (a int)"];
        let some = |text: &str| Some(text.to_owned());
        let got = schemas(SqlFamily::MySql, &mysql);
        assert_eq!(got, [None, some("shop, 2"), some("other"), some("shop")]);
        let postgres = [
            "SET search_path = \"Audit\", pg_catalog;",
            create,
            "SET search_path TO public;",
            create,
            "SELECT pg_catalog.set_config('search_path', '', false);",
            create,
            "SET search_path = pg_catalog;",
            create,
            "SELECT set_config('search_path', 'x, public', false);",
            create,
            "SELECT pg_catalog.setval('a.b', 1);",
        ];
        let got = schemas(SqlFamily::Postgres, &postgres);
        assert_eq!(got, [some("Audit"), some("public"), None, some("x")]);
    }

    #[test]
    fn cut_or_typeless_tables_are_faults_and_change_nothing() {
        let mut catalog = DdlCatalog::new(SqlFamily::Postgres);
        let whole = "CREATE TABLE public.t (a numeric(5,2) DEFAULT '(' CHECK ((a > 1)), \"b c\" text[]) WITH (x=1)";
        for cut in 0..whole.len() - 11 {
            let result = catalog.add(&whole[..cut]);
            let started = cut > "CREATE TABLE".len() - 1;
            assert_eq!(result.is_err(), started && cut < whole.len() - 11, "{}", &whole[..cut]);
        }
        let fault = catalog.add("CREATE TABLE t (a int, b").unwrap_err();
        let want = "the statement does not end: a column list is open at `CREATE TABLE t (a int, b`";
        assert_eq!(fault.to_string(), want);
        assert!(catalog.add("CREATE TABLE t (a int; CREATE TABLE u (b int)").is_err());
        let fault = catalog.add("CREATE TABLE public.t (\n    a integer,\n    b NOT NULL\n);").unwrap_err();
        let want = "column `b` of table `t` has no type, at `public.t ( a integer, b NOT NULL );`";
        assert_eq!(fault.to_string(), want);
        let fault = catalog.add("CREATE TABLE t (a integer, 12 text)").unwrap_err();
        assert_eq!(fault.to_string(), "a name is missing at `CREATE TABLE t (a integer, 12 text)`");
        let many = format!("CREATE TABLE t ({}b int)", "a int,".repeat(20_000));
        assert!(matches!(catalog.add(&many), Err(DdlFault::TooMany { .. })));
        assert!(catalog.finish().is_empty());
    }

    #[test]
    fn statements_that_are_not_needed_are_not_read() {
        let mut catalog = DdlCatalog::new(SqlFamily::MySql);
        for text in ["", ";", "-- only this", "INSERT INTO `t` VALUES ('cut", "\\connect 'x", "CREATE TRIGGER x 'cut"] {
            catalog.add(text).unwrap();
        }
        assert!(catalog.finish().is_empty());
    }

    const PIECES: &[&str] = &[
        "CREATE",
        "TABLE",
        "VIEW",
        "TYPE",
        "DOMAIN",
        "AS",
        "OF",
        "PARTITION",
        "BY",
        "ATTACH",
        "ALTER",
        "INHERITS",
        "LIKE",
        "(",
        ")",
        ",",
        ".",
        ";",
        "a",
        "b",
        "\"q",
        "\"",
        "`",
        "'",
        "$$",
        "[",
        "]",
        "integer",
        "time",
        "with",
        "zone",
        "numeric",
        "9999999999999999999999",
        "-",
        "/*",
        "*/",
        "/*!",
        "/*!50001 ",
        "--",
        "\n",
        "#",
        "ü",
        "=",
        "\\",
        "enum",
        "NOT NULL",
        "SELECT",
        "SET search_path",
        "set_config",
        "USE",
        "ENGINE",
        "CHARSET",
        "\0",
    ];

    proptest! {
        #[test]
        fn any_text_gives_a_result_or_a_fault(
            mysql: bool,
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..30),
            text in "\\PC{0,40}",
            blank in prop::sample::select(vec!["", " "]),
        ) {
            let mut catalog = DdlCatalog::new(if mysql { SqlFamily::MySql } else { SqlFamily::Postgres });
            let joined = pieces.join(blank);
            let whole = [&joined, &text].map(|text| text.to_owned());
            let within = [("CREATE TABLE ", ""), ("CREATE TABLE t (", ")"), ("CREATE TYPE t AS (", ""),
                ("ALTER TABLE ", ""), ("CREATE DOMAIN a AS ", ""), ("CREATE TABLE t (a ", "")];
            let within = within.iter().flat_map(|(before, behind)| {
                [&joined, &text].map(|text| format!("{before}{text}{behind}"))
            });
            for statement in within.chain(whole) {
                let _ = catalog.add(&statement);
            }
            catalog.finish();
        }
    }
}
