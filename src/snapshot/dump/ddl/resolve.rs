//! Looks up what names point to once all statements are there: domains, parents of columns, partitions, views.
//!
//! It does not follow a ring of domains or parents, and gives columns that come from other tables only up to a
//! budget, so that a hostile dump of short statements cannot ask for much memory; what is left out is said by
//! `columns_known`. It never fails: what is not found is text, or is said the same way.
//!
//! ```text
//!   parent (id, a)        child (b) INHERITS (parent)      ->  child: id, a, b
//!   eur2 -> eur -> numeric(12,2)                           ->  Decimal128(12, 2)
//! ```

use super::catalog::DdlCatalog;
use super::create::{RawTable, UserType};
use super::list::{Charset, RawColumn};
use super::types::SqlType;
use super::{DdlColumn, DdlTable, TableKind};
use datafusion::arrow::datatypes::DataType;
use std::collections::{HashMap, HashSet};

/// Domains of domains that are followed; more is a ring.
const MAX_DOMAINS: usize = 64;

/// Columns that all tables together may get from parents and types.
const MAX_INHERITED: usize = 1_000_000;

impl DdlCatalog {
    /// All tables and views in the order of their first statements, with domains, parents and partitions looked up.
    pub(crate) fn finish(self) -> Vec<DdlTable> {
        finish(self)
    }
}

/// See [`DdlCatalog::finish`].
fn finish(catalog: DdlCatalog) -> Vec<DdlTable> {
    let mut done: Vec<Option<DdlTable>> = catalog.tables.iter().map(|_| None).collect();
    let mut budget = MAX_INHERITED;
    for place in parents_first(&catalog) {
        let table = build(&catalog, &done, place, &mut budget);
        done[place] = Some(table);
    }
    let mut tables: Vec<DdlTable> = done.into_iter().flatten().collect();
    for (partition, parent) in &catalog.attached {
        if let Some(&place) = catalog.places.find(partition, None) {
            tables[place].kind = TableKind::PartitionOf(parent.clone());
        }
    }
    let mut seen = HashSet::new();
    for view in &catalog.views {
        if !seen.insert(view) {
            continue;
        }
        let kind = TableKind::View;
        let (schema, name) = (view.schema.clone(), view.name.clone());
        let made = DdlTable { schema, name, kind, columns: Vec::new(), columns_known: false };
        match catalog.places.exact(view) {
            Some(&place) => tables[place] = made,
            None => tables.push(made),
        }
    }
    tables
}

/// The places of the tables that this one takes columns from.
fn parents(catalog: &DdlCatalog, table: &RawTable) -> Vec<Option<usize>> {
    let home = table.name.schema.as_deref();
    table.parents.iter().map(|parent| catalog.places.find(parent, home).copied()).collect()
}

/// All places, each behind its parents; in a ring, one of its tables comes before its parent.
fn parents_first(catalog: &DdlCatalog) -> Vec<usize> {
    let mut order = Vec::with_capacity(catalog.tables.len());
    let mut entered = vec![false; catalog.tables.len()];
    let mut stack = Vec::new();
    for start in 0..catalog.tables.len() {
        stack.push((start, false));
        // A stack of its own: a long chain of parents must not end the program's.
        while let Some((place, parents_done)) = stack.pop() {
            if parents_done {
                order.push(place);
            } else if !entered[place] {
                entered[place] = true;
                stack.push((place, true));
                let above = parents(catalog, &catalog.tables[place]);
                stack.extend(above.into_iter().flatten().map(|parent| (parent, false)));
            }
        }
    }
    order
}

/// Columns in which one of the same name joins the one above, as servers merge those of parents.
#[derive(Default)]
struct MergedColumns {
    columns: Vec<DdlColumn>,
    by_name: HashMap<String, usize>,
}

impl MergedColumns {
    /// Adds a column, or only its NOT NULL to the one above.
    fn add(&mut self, column: DdlColumn) {
        if !self.join(&column.name, column.not_null) {
            self.by_name.insert(column.name.clone(), self.columns.len());
            self.columns.push(column);
        }
    }

    /// Adds NOT NULL to a column that is there; says whether it is.
    fn join(&mut self, name: &str, not_null: bool) -> bool {
        let above = self.by_name.get(name).and_then(|&place| self.columns.get_mut(place));
        above.map(|above| above.not_null |= not_null).is_some()
    }
}

/// A table with its parents' columns first.
fn build(catalog: &DdlCatalog, done: &[Option<DdlTable>], place: usize, budget: &mut usize) -> DdlTable {
    let raw = &catalog.tables[place];
    let home = raw.name.schema.as_deref();
    let mut known = raw.columns_known;
    let mut merged = MergedColumns::default();
    for parent in parents(catalog, raw) {
        let Some(parent) = parent.and_then(|parent| done[parent].as_ref()) else {
            known = false;
            continue;
        };
        known &= parent.columns_known && parent.columns.len() <= *budget;
        for column in parent.columns.iter().take(*budget) {
            merged.add(column.clone());
        }
        *budget = budget.saturating_sub(parent.columns.len());
    }
    if let Some(name) = &raw.of_type {
        match catalog.types.find(name, home) {
            Some(UserType::Composite(attributes)) if attributes.len() <= *budget => {
                *budget -= attributes.len();
                let typed = attributes.iter().filter_map(|column| resolve(catalog, home, column));
                typed.for_each(|column| merged.add(column));
            }
            _ => known = false,
        }
    }
    let inherits = !raw.parents.is_empty() || raw.of_type.is_some();
    for column in &raw.columns {
        match resolve(catalog, home, column) {
            Some(column) if inherits => merged.add(column),
            // Two columns of one name stay two: the list of a damaged dump is shown as it is.
            Some(column) => merged.columns.push(column),
            // OF and PARTITION OF lists name columns that are there already.
            None => known &= merged.join(&column.name, column.not_null),
        }
    }
    let (schema, name) = (raw.name.schema.clone(), raw.name.name.clone());
    DdlTable { schema, name, kind: raw.kind.clone(), columns: merged.columns, columns_known: known }
}

/// A column with its Arrow type; None when it names no type.
fn resolve(catalog: &DdlCatalog, home: Option<&str>, raw: &RawColumn) -> Option<DdlColumn> {
    let read = raw.read.as_ref()?;
    let is_binary_text = read.is_text && raw.charset == Charset::Binary;
    Some(DdlColumn {
        name: raw.name.clone(),
        declared: read.declared.clone(),
        data_type: if is_binary_text { DataType::Binary } else { arrow(catalog, home, &read.sql) },
        not_null: raw.not_null,
        generated: raw.generated,
        is_binary_text,
    })
}

/// Follows domains to a known type; all else is text.
fn arrow(catalog: &DdlCatalog, home: Option<&str>, sql: &SqlType) -> DataType {
    let mut at = sql;
    for _ in 0..MAX_DOMAINS {
        match at {
            SqlType::Arrow(arrow) => return arrow.clone(),
            SqlType::Named(name) => match catalog.types.find(name, home) {
                Some(UserType::Domain(base)) => at = base,
                _ => break,
            },
        }
    }
    DataType::Utf8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::dump::SqlFamily;

    fn read(statements: &[&str]) -> Vec<DdlTable> {
        let mut catalog = DdlCatalog::new(SqlFamily::Postgres);
        statements.iter().for_each(|statement| catalog.add(statement).unwrap());
        catalog.finish()
    }

    fn types(table: &DdlTable) -> Vec<DataType> {
        table.columns.iter().map(|column| column.data_type.clone()).collect()
    }

    fn names(table: &DdlTable) -> Vec<&str> {
        table.columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn domains_give_their_base_type_with_and_without_schema() {
        let tables = read(&[
            "CREATE TABLE public.t (a public.eur, b public.eur2, c eur3, d public.eur[], e public.ints, f public.mood,
                g public.date, h date, i other.eur, j public.nowhere, k public.\"Big Int\")",
            "CREATE DOMAIN public.eur2 AS public.eur DEFAULT 0",
            "CREATE DOMAIN public.eur AS numeric(12,2) NOT NULL CONSTRAINT c CHECK ((VALUE > 0))",
            "CREATE DOMAIN eur3 eur2",
            "CREATE DOMAIN public.ints AS integer[]",
            "CREATE TYPE public.mood AS ENUM ('a,)', 'b')",
            "CREATE DOMAIN public.date AS integer",
            "CREATE DOMAIN public.\"Big Int\" AS bigint COLLATE \"C\"",
        ]);
        let eur = DataType::Decimal128(12, 2);
        let text = DataType::Utf8;
        let want = [
            eur.clone(),
            eur.clone(),
            eur,
            text.clone(),
            text.clone(),
            text.clone(),
            DataType::Int32,
            DataType::Date32,
            text.clone(),
            text,
            DataType::Int64,
        ];
        assert_eq!(types(&tables[0]), want);
    }

    #[test]
    fn same_domain_name_in_two_schemas_follows_the_table_or_is_text() {
        let domains = ["CREATE DOMAIN a.d AS integer", "CREATE DOMAIN b.d AS bigint"];
        let table = |name: &str| read(&[domains[0], domains[1], &format!("CREATE TABLE {name} (x d)")]).remove(0);
        assert_eq!(types(&table("a.t")), [DataType::Int32]);
        assert_eq!(types(&table("b.t")), [DataType::Int64]);
        assert_eq!(types(&table("c.t")), [DataType::Utf8]);
    }

    #[test]
    fn columns_of_parents_come_first_and_merge() {
        let tables = read(&[
            "CREATE TABLE a.child2 (a text NOT NULL, c integer) INHERITS (a.child, a.side)",
            "CREATE TABLE a.child (b date) INHERITS (a.parent)",
            "CREATE TABLE a.parent (id integer NOT NULL, a text)",
            "CREATE TABLE a.side (b date, s bigint)",
            "CREATE TABLE a.orphan (x integer) INHERITS (a.gone)",
            "CREATE TABLE a.typed OF a.pt (y WITH OPTIONS NOT NULL, CONSTRAINT c CHECK (x > 0))",
            "CREATE TYPE a.pt AS (x integer, y numeric(5,2)[])",
            "CREATE TABLE a.untyped OF a.gone",
            "CREATE TABLE a.copy (LIKE a.parent)",
        ]);
        assert_eq!(names(&tables[0]), ["id", "a", "b", "s", "c"]);
        assert!(tables[0].columns[1].not_null && tables[0].columns_known);
        assert_eq!(names(&tables[1]), ["id", "a", "b"]);
        assert!(!tables[1].columns[1].not_null);
        assert_eq!(names(&tables[5]), ["x", "y"]);
        assert!(tables[5].columns[1].not_null && !tables[5].columns[0].not_null);
        let unknown: Vec<_> = tables.iter().filter(|table| !table.columns_known).map(|table| &table.name).collect();
        assert_eq!(unknown, ["orphan", "untyped", "copy"]);
    }

    #[test]
    fn mysql_like_copies_all_columns() {
        let mut catalog = DdlCatalog::new(SqlFamily::MySql);
        catalog.add("CREATE TABLE `b` LIKE `a`").unwrap();
        catalog.add("CREATE TABLE `a` (`x` int)").unwrap();
        assert_eq!(names(&catalog.finish()[0]), ["x"]);
    }

    #[test]
    fn rings_and_long_chains_end() {
        let tables = read(&[
            "CREATE DOMAIN a AS b",
            "CREATE DOMAIN b AS a",
            "CREATE TABLE t (x a)",
            "CREATE TABLE r1 (x integer) INHERITS (r2)",
            "CREATE TABLE r2 (y integer) INHERITS (r1)",
            "CREATE TABLE own () INHERITS (own)",
        ]);
        assert_eq!(types(&tables[0]), [DataType::Utf8]);
        assert!(tables[1..].iter().all(|table| !table.columns_known));

        let mut catalog = DdlCatalog::new(SqlFamily::Postgres);
        let count = 20_000;
        for table in (1..count).rev() {
            let text = format!("CREATE TABLE t{table} (c{table} int) INHERITS (t{})", table - 1);
            catalog.add(&text).unwrap();
        }
        catalog.add("CREATE TABLE t0 (c0 int)").unwrap();
        let tables = catalog.finish();
        let all: usize = tables.iter().map(|table| table.columns.len()).sum();
        assert!(all <= MAX_INHERITED + count);
        assert!(!tables[0].columns_known && tables[count - 1].columns_known);
    }
}
