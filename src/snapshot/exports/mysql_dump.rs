//! Dumps of MySQL and MariaDB: `STORED AS MYSQL_DUMP`.
//!
//! ```text
//! LOCATION 'shop.sql', 'shop.sql.gz'   mysqldump, mariadb-dump: all tables of one or more databases
//! LOCATION 'dump/'                     mydumper: DB.TABLE-schema.sql, DB.TABLE[.NNNNN].sql, metadata
//!                                      MySQL Shell: @.json and others, see [`super::mysql_shell`]
//!                                      mysqldump --tab: TABLE.sql and TABLE.txt, see [`super::mysql_tab`]
//! ```
//!
//! A dump of mysqldump is complete once it has its last line; one that was made with `--skip-comments` has no such
//! line. mydumper writes `metadata` last, and `metadata.partial` until then. Statements and escapes: "mysqldump" of
//! the MySQL Reference Manual; file names: documentation of mydumper.

use std::collections::BTreeMap;

use object_store::ObjectMeta;

use super::dumped::Dumped;
use super::sql_script::{SqlFile, scan};
use super::{ExportPlace, ExportedTable, Trouble, mysql_shell, mysql_tab};
use crate::config::SqlFamily;
use crate::error::ExportFault;
use crate::layout::Location;

const METADATA: &str = "metadata";

/// The tables of the dump.
pub(super) async fn catalog(place: &ExportPlace) -> Result<Vec<ExportedTable>, Trouble> {
    if let Some(meta) = place.head().await? {
        let name = place.location.raw_key().rsplit('/').next().unwrap_or_default();
        let file = SqlFile { location: place.location.clone(), meta: &meta, name, family: SqlFamily::MySql };
        let (dumped, end) = scan(place, &file, Dumped::new(name, SqlFamily::MySql)).await?;
        if end.has_head && !end.is_complete {
            let reason = "it does not end with '-- Dump completed'".to_owned();
            return Err(ExportFault::Cut { file: name.to_owned(), reason }.into());
        }
        let mut tables = dumped.finish()?;
        if !end.is_complete {
            let note = "The dump has no comments, so nothing shows whether it is whole.";
            tables.iter_mut().for_each(|table| table.notes.push(note.to_owned()));
        }
        return Ok(tables);
    }
    let folder = place.folder();
    let listed = place.list(&folder).await?;
    if mysql_shell::is_one(&listed) {
        return mysql_shell::catalog(place, &folder, &listed).await;
    }
    if mysql_tab::is_one(&listed) {
        return mysql_tab::catalog(place, &folder, &listed).await;
    }
    of_mydumper(place, &folder, &listed).await
}

/// A folder of mydumper.
async fn of_mydumper(
    place: &ExportPlace,
    folder: &Location,
    listed: &[(String, ObjectMeta)],
) -> Result<Vec<ExportedTable>, Trouble> {
    let has = |name: &str| listed.iter().any(|(path, _)| path == name);
    if has("metadata.partial") {
        return Err(ExportFault::Unfinished { folder: folder.to_string(), mark: METADATA }.into());
    }
    if !has(METADATA) {
        let expected =
            "metadata of mydumper, @.json of MySQL Shell, or pairs of .sql and .txt, and is no file of mysqldump";
        return Err(ExportFault::NotFound { expected }.into());
    }
    check_numbers(listed.iter().map(|(path, _)| path.as_str()))?;
    if let Some((path, _)) = listed.iter().find(|(path, meta)| meta.size == 0 && role(path).is_some()) {
        return Err(ExportFault::Cut { file: path.clone(), reason: "it is empty".to_owned() }.into());
    }
    let is_data = |path: &str| path.contains(".sql") || path.ends_with(".dat");
    if let Some((path, _)) = listed.iter().find(|(path, _)| role(path).is_none() && is_data(path)) {
        let help = "unpack it, or dump again with --compress, which writes .gz or .zst";
        return Err(ExportFault::Unread { what: format!("{path}, whose ending is not known,"), help }.into());
    }
    let metadata = place.get(&folder.join(METADATA)).await?;
    let counts = stated_rows(&String::from_utf8_lossy(&metadata));
    let mut tables: Vec<ExportedTable> = Vec::new();
    // The files of a database share its statements; each has its own name in messages.
    let mut by_database: BTreeMap<String, Dumped> = BTreeMap::new();
    for (path, meta) in listed {
        let Some((database, role)) = role(path) else { continue };
        if role == Role::Skipped {
            continue;
        }
        let location: Location = folder.join(path);
        let file = SqlFile { location, meta, name: path, family: SqlFamily::MySql };
        let mut dumped = by_database.remove(database).unwrap_or_else(|| Dumped::new(path, SqlFamily::MySql));
        dumped.add_statement(&format!("USE `{}`", database.replace('`', "``")))?;
        let (dumped, _) = scan(place, &file, dumped).await?;
        by_database.insert(database.to_owned(), dumped);
    }
    for (database, dumped) in by_database {
        check_counts(&dumped, &database, &counts)?;
        tables.extend(dumped.finish()?);
    }
    if tables.is_empty() {
        return Err(ExportFault::NotFound { expected: "*-schema.sql, as mydumper writes them" }.into());
    }
    Ok(tables)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A CREATE TABLE, or rows.
    Table,
    /// Nothing that has rows: databases, triggers, routines.
    Skipped,
}

/// What a file of mydumper is, by its name: `shop.orders-schema.sql`, `shop.orders.00001.sql.gz`.
fn role(path: &str) -> Option<(&str, Role)> {
    let bare = [".gz", ".zst"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    let stem = bare.strip_suffix(".sql")?;
    let skipped = ["-schema-create", "-schema-triggers", "-schema-post", "-schema-sequence"];
    if skipped.iter().any(|ending| stem.ends_with(ending)) {
        return Some((stem.split('.').next().unwrap_or(stem), Role::Skipped));
    }
    let (database, _) = stem.split_once('.')?;
    Some((database, Role::Table))
}

/// Pieces of a table are numbered one after the other, from 0 or 1 on: one that is missing leaves a gap.
fn check_numbers<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), ExportFault> {
    let mut pieces: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for path in paths.filter(|path| matches!(role(path), Some((_, Role::Table)))) {
        let bare = [".gz", ".zst"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
        let Some((table, number)) = bare.strip_suffix(".sql").and_then(|stem| stem.rsplit_once('.')) else { continue };
        if let Some(number) = number.parse().ok().filter(|_| number.len() >= 4) {
            pieces.entry(table).or_default().push(number);
        }
    }
    for (table, mut numbers) in pieces {
        numbers.sort_unstable();
        let first = numbers.first().copied().unwrap_or(0).min(1);
        if let Some((missing, _)) = (first..).zip(&numbers).find(|(expected, found)| expected != *found) {
            let what = format!("piece {missing} of {table}");
            return Err(ExportFault::Gap { place: "the folder".to_owned(), what });
        }
    }
    Ok(())
}

/// Rows by database and table, as `metadata` of newer versions has them: ``[`shop`.`orders`]`` and `rows = 20000`.
fn stated_rows(metadata: &str) -> Vec<(String, String, u64)> {
    let mut found = Vec::new();
    let mut table: Option<(String, String)> = None;
    for line in metadata.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let name = name.trim_matches('`').split_once("`.`");
            table = name.map(|(database, table)| (database.to_owned(), table.to_owned()));
        } else if let (Some((key, value)), Some((database, table))) = (line.split_once('='), &table)
            && key.trim().eq_ignore_ascii_case("rows")
            && let Ok(rows) = value.trim().parse()
        {
            found.push((database.clone(), table.clone(), rows));
        }
    }
    found
}

/// Compares the rows that were found with those that `metadata` has.
fn check_counts(dumped: &Dumped, database: &str, counts: &[(String, String, u64)]) -> Result<(), ExportFault> {
    for (_, table, stated) in counts.iter().filter(|(of, ..)| of == database) {
        if let Some(found) = dumped.rows(database, table).filter(|found| found != stated) {
            let (one, other) = (format!("{database}.{table}"), METADATA.to_owned());
            return Err(ExportFault::Counts { one, found, unit: "rows", other, stated: *stated });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piece_that_is_missing_is_named() {
        let names = |numbers: &[u32]| numbers.iter().map(|n| format!("s.t.{n:05}.sql.gz")).collect::<Vec<_>>();
        for (numbers, missing) in [(&[0, 1, 2][..], None), (&[1, 2], None), (&[0, 2], Some("1")), (&[3], Some("1"))] {
            let names = names(numbers);
            let error = check_numbers(names.iter().map(String::as_str)).err().map(|error| error.to_string());
            let expected = missing.map(|at| format!("the folder has no piece {at} of s.t, though it has others"));
            assert_eq!(error, expected, "{numbers:?}");
        }
    }

    #[test]
    fn rows_of_each_table_are_in_the_metadata_of_newer_versions() {
        let text = "# Started dump at: 2026-01-01\n[config]\nquote_character = BACKTICK\n\n[`shop`.`a`]\nreal_table_name=a\nrows = 12\n[master]\nrows = 9\n";
        assert_eq!(stated_rows(text), [("shop".to_owned(), "a".to_owned(), 12)]);
    }
}
