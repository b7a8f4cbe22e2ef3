//! `snapshot."*"` and `lake."*"`: one statement for every table of an export.
//!
//! ```text
//! CREATE EXTERNAL TABLE snapshot."*" STORED AS PG_DUMP LOCATION 'shop.dump';
//! CREATE TABLE lake."*" AS SELECT * FROM snapshot."*";
//!      becomes, for an export with public.orders and public.users,
//! snapshot.orders OPTIONS ('table' 'public.orders'), snapshot.users ...; lake.orders AS SELECT * FROM snapshot.orders, ...
//! ```
//!
//! Which tables an export has is read elsewhere and kept in the texts of the project ([`ListedExport`]). Until then the
//! statements stay as they are. A table that has a statement of its own is left to it. `'table' 'public.*'` and
//! `'exclude' 'public.audit_*'` are globs of table names here. Pure.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use datafusion::sql::sqlparser::ast::{self, visit_relations_mut};
use glob::Pattern;
use serde::{Deserialize, Serialize};

use super::exclude::Exclude;
use super::export::{ExportKind, is_called};
use super::keys::{bad_value, location};
use super::options::FORMAT_PREFIX;
use crate::config::text::statement::{
    ExternalTable, LakeStatement, Name, PlacedQuery, PlacedText, Property, StatementKind,
};
use crate::config::text::walk::{SyntaxPart, walk};
use crate::error::{ConfigError, Position, Result};

/// The name that means all tables.
pub(crate) const EVERY: &str = "*";

/// A statement, its place, and the folder of its file.
pub(super) type PlacedStatement = (Position, StatementKind, PathBuf);

/// The tables that the export of a wildcard has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedExport {
    /// Its kind, as STORED AS names it.
    pub kind: String,
    /// Its LOCATION.
    pub location: String,
    /// Names of each table from the outermost on, such as `shop`, `public`, `orders`.
    pub tables: Vec<Vec<String>>,
}

/// Writes a statement per table where an export was listed.
///
/// # Errors
/// [`ConfigError`] for a wildcard that means nothing.
pub(super) fn expand(statements: Vec<PlacedStatement>, lists: &[ListedExport]) -> Result<Vec<PlacedStatement>> {
    if !statements.iter().any(|(_, kind, _)| name_of(kind).is_some_and(is_every)) {
        return Ok(statements);
    }
    let taken = OwnStatements::of(&statements)?;
    let mut expanded: Vec<PlacedStatement> = Vec::with_capacity(statements.len());
    let (mut names, mut are_listed) = (Vec::new(), true);
    for (at, kind, base) in &statements {
        let StatementKind::CreateExternalTable(table) = kind else { continue };
        if !is_every(&table.name) {
            continue;
        }
        let (kind, place) = place_of(table, at, base)?;
        let Some(list) = lists.iter().find(|list| list.kind == kind.name() && list.location == place) else {
            are_listed = false;
            continue;
        };
        let chosen = ChosenTables::of(table)?;
        let own: Vec<&OwnTable> = taken.exports.iter().filter(|own| own.kind == kind && own.place == place).collect();
        let is_meant = |table: &&Vec<String>| chosen.has(table) && !own.iter().any(|own| own.is(table, &list.tables));
        let meant: Vec<&Vec<String>> = list.tables.iter().filter(is_meant).collect();
        for (name, table_names) in table_names(&meant).into_iter().zip(&meant) {
            expanded.push((at.clone(), one_table(table, &name, &table_names.join(".")), base.clone()));
            names.push(name);
        }
    }
    for (at, kind, base) in statements {
        match kind {
            StatementKind::CreateExternalTable(table) if is_every(&table.name) && are_listed => {}
            StatementKind::CreateLakeTable(lake) if is_every(&lake.name) => {
                if !reads_every(&lake.query.run) {
                    let message = "lake.\"*\" must read snapshot.\"*\"".to_owned();
                    return Err(ConfigError::Plan { message }.at(&lake.query.at));
                }
                if !taken.has_wildcard {
                    let message = "no CREATE EXTERNAL TABLE snapshot.\"*\" says which tables these are".to_owned();
                    return Err(ConfigError::Plan { message }.at(&lake.query.at));
                }
                if !are_listed {
                    expanded.push((at, StatementKind::CreateLakeTable(lake), base));
                    continue;
                }
                for name in names.iter().filter(|name| !taken.lakes.contains(name)) {
                    expanded.push((at.clone(), one_lake(&lake, name), base.clone()));
                }
            }
            kind => expanded.push((at, kind, base)),
        }
    }
    Ok(expanded)
}

/// The tables that statements of their own describe.
struct OwnStatements {
    exports: Vec<OwnTable>,
    lakes: Vec<String>,
    has_wildcard: bool,
}

/// A table of an export that has a statement.
struct OwnTable {
    kind: ExportKind,
    place: String,
    /// As the statement calls it.
    table: String,
}

impl OwnTable {
    /// Whether it is this table: a whole name means one table, though it may be the last name of others.
    fn is(&self, names: &[String], all: &[Vec<String>]) -> bool {
        let is_whole = all.iter().any(|names| names.join(".") == self.table);
        if is_whole { names.join(".") == self.table } else { is_called(names, &self.table) }
    }
}

impl OwnStatements {
    fn of(statements: &[PlacedStatement]) -> Result<Self> {
        let mut own = Self { exports: Vec::new(), lakes: Vec::new(), has_wildcard: false };
        for (at, kind, base) in statements {
            match kind {
                StatementKind::CreateExternalTable(table) if is_every(&table.name) => own.has_wildcard = true,
                StatementKind::CreateExternalTable(table) => {
                    let kind = ExportKind::parse(&table.format.text).filter(|kind| !kind.is_running());
                    let Some(kind) = kind else { continue };
                    let (_, place) = place_of_kind(kind, table, at, base)?;
                    let name = option(table, "table").map(|value| value.text.clone());
                    let table = name.or_else(|| table.name.parts.last().cloned()).unwrap_or_default();
                    own.exports.push(OwnTable { kind, place, table });
                }
                StatementKind::CreateLakeTable(lake) => own.lakes.extend(lake.name.parts.last().cloned()),
                _ => {}
            }
        }
        Ok(own)
    }
}

/// Which tables of an export a wildcard means.
struct ChosenTables {
    only: Option<Pattern>,
    exclude: Exclude,
}

impl ChosenTables {
    fn of(table: &ExternalTable) -> Result<Self> {
        let a_glob = "a glob of table names, such as 'public.*'";
        let only = option(table, "table")
            .map(|value| Pattern::new(&value.text).map_err(|_| bad_value("table", value, a_glob)));
        let mut exclude = Exclude::default();
        if let Some(value) = option(table, "exclude") {
            let globs = "globs of table names with commas between them, such as 'public.audit_*, tmp_*'";
            exclude.add(&value.text).ok_or_else(|| bad_value("exclude", value, globs))?;
        }
        Ok(Self { only: only.transpose()?, exclude })
    }

    fn has(&self, names: &[String]) -> bool {
        let mut called = (0..names.len()).map(|from| names[from..].join("."));
        let is_left_out = called.clone().any(|name| self.exclude.has(&name));
        !is_left_out && self.only.as_ref().is_none_or(|only| called.any(|name| only.matches(&name)))
    }
}

fn name_of(kind: &StatementKind) -> Option<&Name> {
    match kind {
        StatementKind::CreateExternalTable(table) => Some(&table.name),
        StatementKind::CreateLakeTable(lake) => Some(&lake.name),
        StatementKind::CreateView(_) | StatementKind::SetVariable(_) => None,
    }
}

fn is_every(name: &Name) -> bool {
    name.parts.last().is_some_and(|part| part == EVERY)
}

/// The kind and the place of a wildcard's export.
fn place_of(table: &ExternalTable, at: &Position, base: &Path) -> Result<(ExportKind, String)> {
    let refused = |message: &str| Err(ConfigError::Plan { message: message.to_owned() }.at(at));
    let Some(kind) = ExportKind::parse(&table.format.text) else {
        return refused("snapshot.\"*\" means the tables of an export that names them, such as PG_DUMP or RDS_EXPORT");
    };
    if kind.is_one_table() {
        return refused("an export of DynamoDB or Redshift has one table; write its name in place of \"*\"");
    }
    if kind.is_running() {
        return refused("write a table for each one of a running database; snaplake init postgres://... does so");
    }
    if !table.columns.is_empty() {
        return refused("columns are of one table; write a statement of its own for it");
    }
    place_of_kind(kind, table, at, base)
}

fn place_of_kind(kind: ExportKind, table: &ExternalTable, at: &Position, base: &Path) -> Result<(ExportKind, String)> {
    match table.locations.as_slice() {
        [one, ..] => Ok((kind, location(one, base)?.to_string())),
        [] => Err(ConfigError::Plan { message: "expected a LOCATION".to_owned() }.at(at)),
    }
}

fn option<'t>(table: &'t ExternalTable, name: &str) -> Option<&'t PlacedText> {
    let is_it = |key: &str| key.to_lowercase().strip_prefix(FORMAT_PREFIX).unwrap_or(&key.to_lowercase()) == name;
    table.options.iter().find(|option| is_it(&option.key.text)).map(|option| &option.value)
}

/// What tables are called here: by their last name, or by as many of the last ones as make it unique.
fn table_names(tables: &[&Vec<String>]) -> Vec<String> {
    let called = |names: &[String], count: usize| names[names.len() - count.min(names.len())..].join("_");
    let name = |names: &&Vec<String>| {
        let is_unique = |count: &usize| {
            let name = called(names, *count);
            tables.iter().filter(|other| called(other, *count) == name).count() == 1
        };
        let count = (1..=names.len()).find(is_unique).unwrap_or(names.len());
        called(names, count)
    };
    tables.iter().map(name).collect()
}

/// The wildcard as the statement of one table.
fn one_table(wildcard: &ExternalTable, name: &str, table: &str) -> StatementKind {
    let mut one = wildcard.clone();
    let at = one.name.at.clone();
    set_name(&mut one.name, name);
    one.options.retain(|option| {
        let key = option.key.text.to_lowercase();
        !["table", "exclude"].contains(&key.strip_prefix(FORMAT_PREFIX).unwrap_or(&key))
    });
    let placed = |text: &str| PlacedText { text: text.to_owned(), at: at.clone() };
    one.options.push(Property { key: placed("table"), value: placed(table) });
    StatementKind::CreateExternalTable(Box::new(one))
}

fn one_lake(wildcard: &LakeStatement, name: &str) -> StatementKind {
    let mut one = wildcard.clone();
    set_name(&mut one.name, name);
    let PlacedQuery { run, shown, .. } = &mut one.query;
    for query in [run, shown] {
        let _ = visit_relations_mut(query, |relation| {
            if let Some(last) = every_part(relation) {
                *last = ast::Ident { value: name.to_owned(), quote_style: Some('"'), span: last.span };
            }
            ControlFlow::<()>::Continue(())
        });
    }
    StatementKind::CreateLakeTable(Box::new(one))
}

fn set_name(written: &mut Name, name: &str) {
    if let Some(last) = written.parts.last_mut() {
        name.clone_into(last);
    }
}

/// The `"*"` of `snapshot."*"`.
fn every_part(relation: &mut ast::ObjectName) -> Option<&mut ast::Ident> {
    match relation.0.as_mut_slice() {
        [ast::ObjectNamePart::Identifier(schema), ast::ObjectNamePart::Identifier(last)]
            if schema.value.eq_ignore_ascii_case("snapshot") && last.value == EVERY =>
        {
            Some(last)
        }
        _ => None,
    }
}

fn reads_every(query: &ast::Query) -> bool {
    let mut is_found = false;
    walk(query, &mut |part| match part {
        SyntaxPart::Relation(relation) if every_part(&mut relation.clone()).is_some() => {
            is_found = true;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    is_found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn whole_name_of_an_own_table_takes_no_other_one_with_the_same_last_name() {
        let own = |table: &str| OwnTable { kind: ExportKind::MySqlDump, place: String::new(), table: table.to_owned() };
        let all = [names("orders"), names("shop.orders"), names("shop.users")];
        let taken = |table: &str| all.iter().filter(|names| own(table).is(names, &all)).count();
        assert_eq!([taken("orders"), taken("shop.orders"), taken("users"), taken("other")], [1, 1, 1, 0]);
        assert!(own("orders").is(&all[0], &all) && !own("orders").is(&all[1], &all));
    }

    #[test]
    fn tables_with_one_last_name_have_as_many_names_as_make_them_unique() {
        let all = [names("a.x.t"), names("a.y.t"), names("a.x.u")];
        assert_eq!(table_names(&all.iter().collect::<Vec<_>>()), ["x_t", "y_t", "u"]);
    }
}
