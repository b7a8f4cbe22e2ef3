//! `snaplake init`: looks at a folder, bucket or prefix, and writes a config and one model per table that run as they
//! are.
//!
//! ```text
//! LOCATION -> survey   one listing (tally), metadata (exports), a bounded part of the files (sample, dialect)
//!          -> choose   the newest of full exports of several dates (dated)
//!          -> folder   which files are one table (form)
//!          -> draft    its columns (columns, schema, dynamo), from a trial of its SELECT (trial, profile)
//!          -> propose  partitions and order
//!          -> locate   a LOCATION that means these files only
//!          -> render   SQL with the reasons as comments
//!          -> files    all files or none
//!
//! postgres://.. -> database   the catalogue of a running database, then render and files
//! ```
//!
//! `survey`, `choose`, `database`, `sample`, `schema`, `folder`, `draft`, `trial` and `files` do I/O; all else is pure,
//! and the same facts give the same bytes. It proposes and does not decide: whatever people know better they change in
//! the files. A snapshot is never written to. Files that cannot be used are listed with the reason, and do not keep
//! others from being found; it fails when no table is found, when the store does, and when files are in the way.

pub(crate) mod choose;
mod database;
mod files;
mod followers;
mod names;
mod outcome;
mod render;
pub(crate) mod search;
pub(crate) mod survey;
pub(crate) mod tables;

use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDateTime;

use self::files::Output;
use self::names::plain;
use self::outcome::{IgnoredLine, UP, line, named};
pub(crate) use self::outcome::{InitOptions, Initialized};
use self::render::Frame;
use self::search::{Survey, survey, telling};
use self::survey::dates::{date_in, is_dated};
use self::tables::exports::Described;
use self::tables::found_table::NamedTable;
use crate::error::{Error, Result};
use crate::layout::{Location, below, written_from};
use crate::session::Engine;

/// A time of a snapshot as configs have it; None if the text is none.
pub(crate) fn snapshot_time(text: &str) -> Option<String> {
    tables::exports::time(text)
}

/// Looks at a location and writes what it proposes.
///
/// # Errors
/// [`Error::NothingFound`], [`Error::TooManyFolders`], [`Error::OutputExists`], [`Error::ForeignModel`],
/// [`Error::OutputFile`], [`Error::Location`], [`Error::Store`], [`Error::Io`], [`Error::DatabaseUnread`].
pub(crate) async fn init(engine: &Arc<Engine>, options: &InitOptions) -> Result<Initialized> {
    let stem = options.output.file_stem().and_then(|stem| plain(&stem.to_string_lossy()));
    let output = Output::new(&options.output, stem.as_deref().unwrap_or("lake"))?;
    output.check(options.force)?;
    if database::is_database(&options.location) {
        return database::init(options, output).await;
    }
    let location = Location::parse(&options.location, Path::new("."))?;
    if location.to_string().contains(['*', '?', '[']) {
        let reason = "LOCATION would take its '*', '?' or '[' for a glob; name a folder above it, or rename it";
        return Err(Error::Location { location: options.location.clone(), reason });
    }
    let name = location.to_string().trim_end_matches('/').to_owned();
    let name = name.split_once("://").map_or(name.as_str(), |(_, name)| name).to_owned();
    let Survey { tables, tally, described, read, root, exported } = survey(engine, &location, &name).await?;
    let tables = named(tables);
    let rds = tables.iter().find_map(|table| search::rds_database(&described, &table.found.folder));
    let database = options.database.clone().or_else(|| rds.map(|(database, _)| database)).or_else(|| telling(&name));
    let database = database.unwrap_or_else(|| "snapshot".to_owned());
    let exported = exported.or_else(|| name.rsplit('/').next().filter(|name| is_dated(name)).and_then(date_in));
    let (time, why_time) = time(options, &described, exported, &tables);
    let home = Location::parse(&files::folder(&options.output).to_string_lossy(), Path::new("."))?;
    let out = Location::parse(&files::project(&options.output).to_string_lossy(), Path::new("."))?;
    // Beside the snapshot if the config lies in it: what is written must not be taken for a part of it.
    let out = if root.overlaps(&out) && !out.holds(&root) {
        let above = root.raw_key().trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
        out.with_key(above)
    } else {
        out
    };
    let out = out.join("out").join(&plain(&database).unwrap_or_else(|| "lake".to_owned()));
    let written = |to: &Location| written_from(&home, to, UP);
    let models = Location::parse(&output.models.to_string_lossy(), Path::new("."))?;
    let frame = Frame {
        location: options.location.clone(),
        base: written(&root),
        config: options.output.display().to_string(),
        database: database.clone(),
        schema: options.schema.clone().or_else(|| search::rds_schema_name(&described, &tables)),
        time: time.clone(),
        why_time,
        staging: written(&out.join("staging")),
        datalake: written(&out.join("datalake")),
        models: below(&written(&models), "*.sql"),
        files: tally.files,
        bytes: tally.bytes,
        read,
        server: None,
    };
    let config = render::config(&frame, &tables);
    let texts: Vec<(String, String)> =
        tables.iter().map(|table| (format!("{}.sql", table.name), render::model(table))).collect();
    let written = output.write(&config, &texts, options.force)?;
    let ignored = tally.ignored.into_iter().map(|(reason, ignored)| IgnoredLine {
        reason,
        files: ignored.files,
        bytes: ignored.bytes,
        example: ignored.example,
        may_have_rows: ignored.may_have_rows,
    });
    Ok(Initialized {
        location: options.location.clone(),
        database,
        snapshot_time: time,
        config: output.config,
        written,
        tables: tables.iter().map(line).collect(),
        ignored: ignored.collect(),
        files: tally.files,
        bytes: tally.bytes,
        read,
        is_database: false,
    })
}

/// When the snapshot was taken, and how that is known.
fn time(
    options: &InitOptions,
    described: &[Described],
    dated: Option<NaiveDateTime>,
    tables: &[NamedTable],
) -> (String, &'static str) {
    if let Some(time) = &options.snapshot_time {
        return (time.clone(), "as given");
    }
    let merged = described.iter().filter_map(|described| match described {
        Described::Dynamo { time, span, .. } if span.is_incremental => time.clone(),
        _ => None,
    });
    // The table is as of the end of the last one that is merged.
    let exported = merged.max().or_else(|| {
        described.iter().find_map(|described| match described {
            Described::RdsExport { time, .. } | Described::Dynamo { time, .. } => time.clone(),
            _ => None,
        })
    });
    if let Some(time) = exported {
        return (time, "from the export");
    }
    if let Some(date) = dated {
        return (tables::exports::seconds(date.and_utc()), "the date in the export's path");
    }
    let newest = tables.iter().map(|table| table.found.newest).max().unwrap_or_default();
    (tables::exports::seconds(newest), "time of the newest file")
}
