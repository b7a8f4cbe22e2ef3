//! Tables of exports that have a manifest or catalogue of their own: dumps, whose tables are found in them, and the
//! exports of RDS and DynamoDB, whose tables are found as those of other files are.
//!
//! The columns of a dump's table have the types of its CREATE TABLE. A trial reads rows of it; a column with a value
//! that its type cannot hold, such as 'infinity' in a DATE, is declared as text, and the config says so.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;

use super::columns::{columns_as_they_are, improve};
use super::folder::{Refused, look_into};
use super::found_table::{FoundTable, TableSize};
use super::part::KnownFolder;
use super::propose::propose;
use super::trial::{Outcome, over_entries};
use crate::config::{ColumnSet, ExportKind, ExportTable};
use crate::error::{Error, Result};
use crate::init::names::plain;
use crate::init::survey::read::Read;
use crate::init::survey::sample::SampleSource;
use crate::init::survey::tally::{Group, Key, ListedFile};
use crate::layout::Location;
use crate::session::Engine;
use crate::snapshot::TableFiles;
use crate::snapshot::exports::{ExportPlace, ExportedTable, Trouble, UnreadableTable, all_tables};

/// Bytes of a table that are read to find its columns.
const DOCUMENTS: u64 = 16 << 20;

/// Columns that are declared as text one after the other, at most.
const MAX_TEXT: usize = 64;

/// An export below the location: its path from there on, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundExport {
    pub(crate) path: String,
    pub(crate) kind: ExportKind,
}

/// The tables of an export, or why it cannot be read.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn tables_of(
    engine: &Engine,
    location: Location,
    kind: ExportKind,
) -> Result<std::result::Result<Vec<ExportedTable>, String>> {
    let store = engine.stores().open(&location).await?;
    match all_tables(kind, &ExportPlace { store, location }).await {
        Ok(tables) => Ok(Ok(tables)),
        Err(Trouble::Fault(fault)) => Ok(Err(fault.to_string())),
        Err(Trouble::Other(error)) => Err(*error),
    }
}

/// The proposal for one table of a dump.
///
/// # Errors
/// [`Error::Store`], [`Error::Engine`].
pub(crate) async fn propose_table(
    engine: &Engine,
    export: &FoundExport,
    table: ExportedTable,
    newest: DateTime<Utc>,
) -> Result<FoundTable> {
    let name = table.names.last().cloned().unwrap_or_default();
    let whole_name = table.name();
    let ExportedTable { names, format, schema, files, mut notes, undeclared, .. } = table;
    if let Some(reason) = &undeclared {
        notes.push(format!("Declared, since {reason}."));
    }
    let schema = schema.unwrap_or_else(|| Arc::new(Schema::empty()));
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let counted = files.iter().map(|file| file.n_record).sum::<Option<u64>>();
    let count = files.len() as u64;
    let list = TableFiles {
        name: "t".to_owned(),
        format: format.clone(),
        schema,
        partition: Vec::new(),
        null_invalid: ColumnSet::None,
        files,
    };
    let (schema, outcome, as_text) = trial(engine, list).await?;
    for (column, why) in &as_text {
        notes.push(format!("Column {column} is declared as text: {why}."));
    }
    let mut items = columns_as_they_are(&schema);
    let (mut sampled, mut is_whole) = (0, counted == Some(0));
    if let Some(outcome) = outcome {
        (sampled, is_whole) = (outcome.rows, outcome.is_whole);
        for (item, (data_type, profile)) in items.iter_mut().zip(outcome.columns) {
            (item.data_type, item.profile) = (data_type, profile);
            improve(item, None);
        }
    }
    let proposal = propose(&name, &items, TableSize { lake_bytes: bytes.saturating_mul(15) / 100, is_whole });
    let shortest = (1..=names.len()).map(|count| names[names.len() - count..].join("_"));
    Ok(FoundTable {
        wishes: shortest.filter_map(|name| plain(&name)).collect(),
        folder: export.path.clone(),
        locations: vec![export.path.clone()],
        export: Some(ExportTable::of(export.kind, Some(whole_name))),
        format,
        declared: (!as_text.is_empty() || undeclared.is_some()).then_some(schema),
        partitioned_by: Vec::new(),
        items,
        files: count,
        bytes,
        rows: counted.map_or((sampled, is_whole), |rows| (rows, true)),
        read: Read { files: 0, bytes: 0, rows: sampled, requests: 0 },
        newest,
        notes,
        proposal,
    })
}

/// The proposal for a table whose columns only its rows show, as those of MongoDB; or why there is none.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn propose_documents(
    engine: &Arc<Engine>,
    export: &FoundExport,
    table: ExportedTable,
    newest: DateTime<Utc>,
    read: &mut Read,
) -> Result<std::result::Result<FoundTable, UnreadableTable>> {
    let whole_name = table.name();
    if let Some(reason) = table.undeclared {
        let may_have_rows = table.files.iter().any(|file| file.size > 0);
        return Ok(Err(UnreadableTable { reason, may_have_rows }));
    }
    let none = |reason: &str| UnreadableTable { reason: reason.to_owned(), may_have_rows: false };
    let Some(first) = table.files.first() else { return Ok(Err(none("it has no file"))) };
    let root = Location::from_uri(&first.uri)?.with_key("");
    let source = SampleSource { store: engine.stores().open(&root).await?, root };
    let mut files = Vec::with_capacity(table.files.len());
    for file in &table.files {
        let path = Location::from_uri(&file.uri)?.raw_key().to_owned();
        files.push(ListedFile { path, size: file.size, etag: file.etag.to_string() });
    }
    let groups = vec![(Key::of_folder(&whole_name), Group::of(files, newest))];
    let looked = Box::pin(look_into(&source, engine, groups, &KnownFolder::default(), DOCUMENTS)).await?;
    read.add(looked.read);
    let Some(draft) = looked.drafts.into_iter().next() else {
        let refused = looked.refused.into_iter().next();
        let unreadable = |Refused { reason, may_have_rows, .. }| UnreadableTable { reason, may_have_rows };
        return Ok(Err(refused.map_or_else(|| none("it has no document"), unreadable)));
    };
    let mut found = draft.found;
    let names = &table.names;
    let shortest = (1..=names.len()).map(|count| names[names.len() - count..].join("_"));
    found.wishes = shortest.filter_map(|name| plain(&name)).collect();
    found.notes.splice(0..0, table.notes);
    found.folder.clone_from(&export.path);
    found.locations = vec![export.path.clone()];
    found.export = Some(ExportTable::of(export.kind, Some(whole_name)));
    Ok(Ok(found))
}

/// Reads rows of the table, with columns as text where their type does not hold a value.
async fn trial(engine: &Engine, mut table: TableFiles) -> Result<(SchemaRef, Option<Outcome>, Vec<(String, String)>)> {
    let mut as_text: Vec<(String, String)> = Vec::new();
    if table.files.is_empty() || table.schema.fields().is_empty() {
        return Ok((table.schema, None, as_text));
    }
    loop {
        let error = match over_entries(engine, &table).await? {
            Ok(outcome) => return Ok((table.schema, Some(outcome), as_text)),
            Err(error) => error,
        };
        let Some((column, why)) = wrong_value(&error).filter(|_| as_text.len() < MAX_TEXT) else {
            as_text.clear();
            return Ok((table.schema, None, as_text));
        };
        let fields = table.schema.fields().iter().map(|field| {
            let is_it = *field.name() == column && *field.data_type() != DataType::Utf8;
            if is_it { Field::new(field.name(), DataType::Utf8, true) } else { field.as_ref().clone() }
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        if schema == *table.schema {
            return Ok((table.schema, None, Vec::new()));
        }
        as_text.push((column, why));
        table.schema = Arc::new(schema);
    }
}

/// The column with a value that its type cannot hold, and that value.
fn wrong_value(error: &DataFusionError) -> Option<(String, String)> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(Error::InvalidValue { value, .. }) = error.downcast_ref::<Error>() {
            let why = format!("'{}' cannot be read as {}", value.value, value.data_type);
            return Some((value.column.clone(), why));
        }
        source = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    None
}
