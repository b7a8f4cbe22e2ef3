//! What the tests of this module share.

use super::{DdlCatalog, DdlTable, Generated};
use crate::snapshot::dump::SqlFamily;

/// The tables of some statements.
pub(super) fn read(family: SqlFamily, statements: &[&str]) -> Vec<DdlTable> {
    let mut catalog = DdlCatalog::new(family);
    statements.iter().for_each(|statement| catalog.add(statement).unwrap());
    catalog.finish()
}

/// The table of one statement.
pub(super) fn one(family: SqlFamily, statement: &str) -> DdlTable {
    read(family, &[statement]).remove(0)
}

/// `name type` of each column, `!` for not null, `=` for stored and `~` for virtual columns.
pub(super) fn shown(table: &DdlTable) -> Vec<String> {
    let show = |column: &super::DdlColumn| {
        let generated = match column.generated {
            Some(Generated::Stored) => "=",
            Some(Generated::Virtual) => "~",
            None => "",
        };
        let not_null = if column.not_null { "!" } else { "" };
        format!("{} {}{not_null}{generated}", column.name, column.declared)
    };
    table.columns.iter().map(show).collect()
}
