//! `snaplake init postgres://..`: a config with a table for each table of a running database.
//!
//! ```text
//! URL -> survey (live)   the catalogue of the database: columns, keys, sizes; no row
//!     -> propose         order by the primary key; partitions are for people to choose, since no value was seen
//!     -> render, files   as for files
//! ```
//!
//! Partitioned tables are one table. Views and foreign tables are listed and not proposed. A password in the URL is
//! refused, as in a config.

use std::path::Path;

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;

use super::files::{self, Output};
use super::names::plain;
use super::outcome::{IgnoredLine, InitOptions, Initialized, UP, line, named};
use super::render::{self, Frame};
use super::tables::found_table::{FoundTable, Item};
use super::tables::proposal::Proposal;
use crate::config::{DatabaseUrl, ExportKind, ExportTable, FileFormat};
use crate::error::redact::REDACTOR;
use crate::error::{Error, Result};
use crate::init::survey::read::Read;
use crate::layout::{Location, below, written_from};
use crate::live::postgres::survey::{LiveSurvey, NotProposed, SurveyedTable, survey};
use crate::types::ident;

/// Tables that are named where the database has none to propose.
const SHOWN: usize = 5;

/// Whether a location is the address of a database.
pub(super) fn is_database(location: &str) -> bool {
    has_scheme(location, &["postgres", "postgresql", "mysql", "mariadb"])
}

fn has_scheme(location: &str, schemes: &[&str]) -> bool {
    location.split_once("://").is_some_and(|(scheme, _)| schemes.iter().any(|one| one.eq_ignore_ascii_case(scheme)))
}

/// Looks at a database and writes what it proposes.
///
/// # Errors
/// [`Error::Location`], [`Error::DatabaseUnread`], [`Error::NothingFound`], and those of files as in [`super::init`].
pub(super) async fn init(options: &InitOptions, output: Output) -> Result<Initialized> {
    let home = files::folder(&options.output);
    let refused = |reason| Error::Location { location: REDACTOR.redact(&options.location).into_owned(), reason };
    if has_scheme(&options.location, &["mysql", "mariadb"]) {
        return Err(refused(
            "init looks into PostgreSQL only; write a table STORED AS MYSQL for each one, see docs/exports.md",
        ));
    }
    let form = ExportKind::Postgres.address().ok_or_else(|| refused("it is no running database"))?;
    let url = DatabaseUrl::parse(&options.location, form, home).map_err(refused)?;
    let found = Box::pin(survey(&url)).await.map_err(|fault| {
        let help = fault.help();
        Error::DatabaseUnread { source: fault.into(), help }
    })?;
    let LiveSurvey { address, database, version, time, tables } = found;
    let (left_out, proposed): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.left_out.is_some());
    if proposed.is_empty() {
        let why =
            |table: &SurveyedTable| format!("{} ({})", full_name(table), table.left_out.map_or("", NotProposed::words));
        let few = left_out.iter().take(SHOWN).map(why).collect::<Vec<_>>().join("; ");
        let why = if few.is_empty() { "it has no table".to_owned() } else { format!("it has no table to read: {few}") };
        return Err(Error::NothingFound { location: address, why });
    }
    let (bytes, newest) = (proposed.iter().map(|table| table.bytes).sum(), newest(&time));
    let tables = named(proposed.into_iter().map(|table| propose(table, newest)).collect());
    let name = options.database.clone().unwrap_or_else(|| plain(&database).unwrap_or_else(|| "snapshot".to_owned()));
    let place = |path: &Path| Location::parse(&path.to_string_lossy(), Path::new("."));
    let out = place(&files::project(&options.output))?.join("out").join(&plain(&name).unwrap_or_else(|| name.clone()));
    let home = place(home)?;
    let written = |to: &Location| written_from(&home, to, UP);
    let (time, why_time) = match &options.snapshot_time {
        Some(time) => (time.clone(), "as given"),
        None => (time, "when `init` looked; each run of another time exports the database again"),
    };
    let frame = Frame {
        location: address.clone(),
        base: url.url.clone(),
        config: options.output.display().to_string(),
        database: name.clone(),
        schema: options.schema.clone(),
        time: time.clone(),
        why_time,
        staging: written(&out.join("staging")),
        datalake: written(&out.join("datalake")),
        models: below(&written(&place(&output.models)?), "*.sql"),
        files: 0,
        bytes,
        read: Read::default(),
        server: Some(format!("PostgreSQL {version}")),
    };
    let config = render::config(&frame, &tables);
    let texts: Vec<(String, String)> =
        tables.iter().map(|table| (format!("{}.sql", table.name), render::model(table))).collect();
    let written = output.write(&config, &texts, options.force)?;
    let ignored = left_out.iter().map(|table| IgnoredLine {
        reason: table.left_out.map_or("", NotProposed::words).to_owned(),
        may_have_rows: table.left_out == Some(NotProposed::Forbidden),
        files: 1,
        bytes: 0,
        example: full_name(table),
    });
    Ok(Initialized {
        location: address,
        database: name,
        snapshot_time: time,
        config: output.config,
        written,
        tables: tables.iter().map(line).collect(),
        ignored: ignored.collect(),
        files: 0,
        bytes,
        read: Read::default(),
        is_database: true,
    })
}

fn full_name(table: &SurveyedTable) -> String {
    format!("{}.{}", table.schema, table.name)
}

fn newest(time: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(time).map(|time| time.to_utc()).unwrap_or_default()
}

fn propose(table: SurveyedTable, newest: DateTime<Utc>) -> FoundTable {
    let whole_name = full_name(&table);
    let item = |(name, data_type): (String, _)| Item { expr: ident(&name), name, data_type, ..Item::default() };
    let items: Vec<Item> = table.columns.into_iter().map(item).collect();
    let (why_sorted, sorted_by) = match table.key.as_slice() {
        [] => ("Not sorted: it has no primary key.".to_owned(), Vec::new()),
        key => ("Sorted by its primary key.".to_owned(), key.to_vec()),
    };
    let why_partitions =
        format!("Not partitioned: {} in the database, of which no row was looked at.", HumanBytes(table.bytes));
    let proposal = Proposal { partitions: Vec::new(), why_partitions, sorted_by, why_sorted, alternatives: Vec::new() };
    let names = [table.name.clone(), format!("{}_{}", table.schema, table.name)];
    FoundTable {
        wishes: names.iter().filter_map(|name| plain(name)).collect(),
        folder: String::new(),
        locations: vec![String::new()],
        export: Some(ExportTable::of(ExportKind::Postgres, Some(whole_name))),
        format: FileFormat::Parquet,
        declared: None,
        partitioned_by: Vec::new(),
        items,
        files: 0,
        bytes: table.bytes,
        rows: (table.rows.unwrap_or(0), false),
        read: Read::default(),
        newest,
        notes: table.notes,
        proposal,
    }
}
