//! A table of one folder: its columns with their types and values, from a trial of its SELECT over what was sampled.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::parquet::file::metadata::ParquetMetaData;
use indicatif::HumanCount;

use super::columns::{columns_as_they_are, improve};
use super::dialect;
use super::dynamo::Attributes;
use super::form::view;
use super::found_table::{FoundTable, Item, TableSize};
use super::part::{Data, KnownFolder, SampledGroup};
use super::propose::propose;
use super::schema::{self, ProposedColumns};
use super::trial::{Outcome, over_entries, over_parquet, over_texts};
use crate::config::{ColumnSet, Compression, CsvOptions, FileFormat, JsonDialect, JsonOptions, TextOptions};
use crate::error::Result;
use crate::init::names::is_packed;
use crate::init::survey::read::Read;
use crate::init::survey::sample::SampledText;
use crate::init::survey::tally::Key;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::{TableFiles, rows_of_groups};
use crate::types::{ident, sql_type};

type Drafted = std::result::Result<FoundTable, String>;

pub(crate) async fn draft(
    engine: &Engine,
    part: SampledGroup,
    known: &KnownFolder,
    budget: u64,
    read: &mut Read,
) -> Result<Drafted> {
    let SampledGroup { keys, group, data, read: sampled, is_whole, columns } = part;
    let mut notes = known.notes.clone();
    let seen_columns = columns;
    let mut drafted = match data {
        Data::Parquet(files, schema) => of_parquet(engine, &files, schema, is_whole, budget).await?,
        Data::Typed(files, schema, format) => of_typed(engine, files, schema, format, is_whole).await?,
        Data::Csv(texts, options) => of_csv(&texts, options, is_whole, keys.iter().all(Key::is_load)).await?,
        Data::Json(texts, options) if known.is_dynamo => of_dynamo(&texts, &known.changes, options.text).await?,
        Data::Json(texts, options) => of_json(&texts, options).await?,
    };
    let table = match &mut drafted {
        Ok(table) => table,
        Err(reason) => return Ok(Err(std::mem::take(reason))),
    };
    let Outcome { rows, bytes, requests, .. } = table.outcome;
    let more = Read { files: 0, bytes, rows, requests };
    read.add(more);
    let mut total = sampled;
    total.add(more);
    let mut items = std::mem::take(&mut table.items);
    for (item, (data_type, profile)) in items.iter_mut().zip(std::mem::take(&mut table.outcome.columns)) {
        (item.data_type, item.profile) = (data_type, profile);
        improve(item, known.rds.as_deref());
    }
    let exact = table.exact_rows.or((is_whole && table.outcome.is_whole).then_some(rows));
    let estimate = |rows: u64| {
        let part = u128::from(rows) * u128::from(group.bytes) / u128::from(sampled.bytes.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    let rows =
        exact.map_or_else(|| (table.estimated_rows.unwrap_or_else(|| estimate(rows)), false), |rows| (rows, true));
    let is_packed = keys.iter().any(|key| is_packed(&key.ending)) || table.is_packed();
    let lake_bytes = match (&table.format, is_packed) {
        (FileFormat::Parquet, _) => group.bytes,
        (_, true) => group.bytes.saturating_mul(60) / 100,
        (_, false) => group.bytes.saturating_mul(15) / 100,
    };
    let stems = keys.iter().map(|key| &key.stem).collect::<BTreeSet<_>>().len();
    if stems > 1 {
        notes.push(format!("{stems} kinds of file names have the same columns and are read as one table."));
    }
    let mut of_folders: Vec<_> = group.keys.iter().filter(|(key, _)| !seen_columns.contains(key)).collect();
    of_folders.sort_by_key(|(_, (place, _))| *place);
    let partitioned_by: Vec<(String, DataType)> =
        of_folders.into_iter().map(|(key, (_, seen))| (key.clone(), seen.data_type())).collect();
    if !partitioned_by.is_empty() {
        let names: Vec<String> = partitioned_by.iter().map(|(name, _)| ident(name)).collect();
        let (column, are) = if names.len() == 1 { ("Column", "is") } else { ("Columns", "are") };
        notes.push(format!("{column} {} {are} read from folder names, not from the files.", names.join(", ")));
    }
    notes.append(&mut table.notes);
    if !is_whole && !table.format.has_schema() {
        let (rows, files) = (HumanCount(table.outcome.rows), HumanCount(total.files));
        notes.push(format!(
            "The types are from the first {rows} rows of {files} files. A later value that does not fit is an"
        ));
        notes.push("error that names the column: declare it as VARCHAR.".to_owned());
    }
    let size = TableSize { lake_bytes, is_whole: is_whole && table.outcome.is_whole };
    let stem = keys[0].stem.clone();
    let name = if stem.is_empty() { keys[0].folder.rsplit('/').next().unwrap_or_default().to_owned() } else { stem };
    let proposal = propose(&name, &items, size);
    items.extend(partitioned_by.iter().map(|(name, data_type)| Item {
        name: name.clone(),
        expr: ident(name),
        data_type: data_type.clone(),
        ..Item::default()
    }));
    let mut read = total;
    read.rows = table.outcome.rows;
    Ok(Ok(FoundTable {
        wishes: Vec::new(),
        folder: keys[0].folder.clone(),
        locations: Vec::new(),
        export: None,
        format: table.format.clone(),
        declared: table.declared.take(),
        partitioned_by,
        items,
        files: group.files,
        bytes: group.bytes,
        rows,
        read,
        newest: group.newest,
        notes,
        proposal,
    }))
}

/// What one form of files gives.
struct DraftTable {
    format: FileFormat,
    declared: Option<SchemaRef>,
    items: Vec<Item>,
    notes: Vec<String>,
    outcome: Outcome,
    exact_rows: Option<u64>,
    estimated_rows: Option<u64>,
}

impl DraftTable {
    fn is_packed(&self) -> bool {
        let compression = self.format.text().and_then(|text| text.compression);
        compression.is_some_and(|compression| compression != Compression::None)
    }
}

type Tabled = std::result::Result<DraftTable, String>;

async fn of_parquet(
    engine: &Engine,
    files: &[(FileEntry, Arc<ParquetMetaData>)],
    schema: SchemaRef,
    has_all: bool,
    budget: u64,
) -> Result<Tabled> {
    let outcome = match over_parquet(engine, files, &schema, budget).await? {
        Ok(outcome) => outcome,
        Err(reason) => return Ok(Err(reason)),
    };
    let rows: u64 = files.iter().map(|(_, footer)| rows_of_groups(footer)).sum();
    let is_declarable = has_all && schema.fields().iter().all(|field| sql_type(field.data_type()).is_some());
    let items = columns_as_they_are(&schema);
    let mut notes = Vec::new();
    if !is_declarable {
        let why = if has_all { "some types have no SQL name" } else { "only some footers were read" };
        notes.push(format!("Columns and types are read from the files when the snapshot is planned ({why})."));
    }
    let estimated = (!has_all).then_some(rows);
    Ok(Ok(DraftTable {
        format: FileFormat::Parquet,
        declared: is_declarable.then_some(schema),
        items,
        notes,
        outcome: Outcome { is_whole: outcome.is_whole && has_all, ..outcome },
        exact_rows: has_all.then_some(rows),
        estimated_rows: estimated,
    }))
}

async fn of_typed(
    engine: &Engine,
    files: Vec<FileEntry>,
    schema: SchemaRef,
    format: FileFormat,
    has_all: bool,
) -> Result<Tabled> {
    let is_one = files.len() == 1;
    let table = TableFiles {
        name: "t".to_owned(),
        format: format.clone(),
        schema: Arc::clone(&schema),
        partition: Vec::new(),
        null_invalid: ColumnSet::None,
        files,
    };
    let outcome = match over_entries(engine, &table).await? {
        Ok(outcome) => outcome,
        Err(error) => return Ok(Err(schema::root_cause(&error))),
    };
    let is_declarable = has_all && schema.fields().iter().all(|field| sql_type(field.data_type()).is_some());
    let items = columns_as_they_are(&schema);
    let note = "Columns and types are read from the files when the snapshot is planned.".to_owned();
    Ok(Ok(DraftTable {
        format,
        declared: is_declarable.then_some(schema),
        items,
        notes: if is_declarable { Vec::new() } else { vec![note] },
        outcome: Outcome { is_whole: outcome.is_whole && is_one && has_all, ..outcome },
        exact_rows: None,
        estimated_rows: None,
    }))
}

/// What is NULL in a load of DMS is known; in other texts the values show it.
async fn of_csv(texts: &[SampledText], mut options: CsvOptions, is_whole: bool, is_load: bool) -> Result<Tabled> {
    let views: Vec<_> = texts.iter().map(|text| dialect::DialectText { is_cut: false, ..view(text) }).collect();
    let values = dialect::values(&views, &options, is_whole);
    let is_program = options.escape_sequences;
    if !is_load && !is_program {
        (options.null_regex, options.force_null) = (values.null_regex, values.force_null);
    }
    let columns = match schema::csv(texts, &options, &values.codes).await {
        Ok(columns) => columns,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut notes = Vec::new();
    if is_load {
        notes.push("NULL is written NULL, as DMS does by default; an empty field is the empty text.".to_owned());
    } else if is_program {
        let null = if options.null_regex.as_deref() == Some("^NULL$") { "NULL" } else { r"\N" };
        notes.push(format!("NULL is written {null}. Backslash escapes are undone; an empty field is the empty text."));
    } else if !values.null_words.is_empty() {
        notes.push(format!("NULL is written {}.", values.null_words.join(" or ")));
        if values.null_words.contains(&r"\N") {
            let note = "Backslashes are text here: no row that was read shows that they are escapes. If COPY text or INTO \
                        OUTFILE wrote the files, add 'escape' '\\' and 'escape_sequences' 'true' to OPTIONS.";
            notes.push(note.to_owned());
        }
    }
    if options.quote.is_none() && !is_program {
        notes.push("Quotes are text here, because they do not follow the rules of CSV.".to_owned());
    }
    if is_load && options.has_header {
        notes.push("All files begin with the same line, which is taken for column names.".to_owned());
    }
    if !options.has_header {
        notes.push("The first line has values, not column names: name the columns here.".to_owned());
    }
    let format = FileFormat::Csv(options);
    of_text(texts, format, columns, notes).await
}

async fn of_json(texts: &[SampledText], options: JsonOptions) -> Result<Tabled> {
    let notes = match options.dialect {
        JsonDialect::MongoDb => vec!["Values have MongoDB's types around them: extended JSON.".to_owned()],
        _ => Vec::new(),
    };
    let format = FileFormat::Json(options);
    match schema::json(texts, &format).await {
        Ok(columns) => of_text(texts, format, columns, notes).await,
        Err(reason) => Ok(Err(reason)),
    }
}

async fn of_dynamo(texts: &[SampledText], changes: &[Vec<u8>], options: TextOptions) -> Result<Tabled> {
    let mut attributes = Attributes::default();
    for text in texts {
        for line in serde_json::Deserializer::from_slice(&text.bytes).into_iter() {
            let is_item = line.as_ref().is_ok_and(|line| attributes.take(line));
            if !is_item {
                return Ok(Err(
                    "a line without an Item: an incremental export, which has no one row per item".to_owned()
                ));
            }
        }
    }
    for bytes in changes {
        // The last line may be cut.
        for line in serde_json::Deserializer::from_slice(bytes).into_iter().map_while(|line| line.ok()) {
            attributes.take_change(&line);
        }
    }
    let Some(schema) = attributes.schema() else { return Ok(Err("no item has an attribute".to_owned())) };
    let schema = Arc::new(schema);
    let mut items = columns_as_they_are(&schema);
    for item in &mut items {
        item.note = attributes.note(&item.name).map(str::to_owned);
    }
    let mut notes = Vec::new();
    if attributes.is_full() {
        notes.push("The items have more attributes than are listed here: declare those that you want.".to_owned());
    }
    let expressions: Vec<String> = items.iter().map(|item| item.expr.clone()).collect();
    let format = FileFormat::Json(JsonOptions { dialect: JsonDialect::DynamoDb, text: options });
    let outcome = match over_texts(texts, format.clone(), &schema, &expressions).await? {
        Ok(outcome) => outcome,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(Ok(DraftTable { format, declared: Some(schema), items, notes, outcome, exact_rows: None, estimated_rows: None }))
}

async fn of_text(
    texts: &[SampledText],
    format: FileFormat,
    columns: ProposedColumns,
    notes: Vec<String>,
) -> Result<Tabled> {
    let schema = Arc::new(schema::schema(&columns));
    if schema.fields().is_empty() {
        return Ok(Err("no column was found in it".to_owned()));
    }
    let mut items = columns_as_they_are(&schema);
    for (name, note) in &columns.notes {
        items.iter_mut().filter(|item| item.name == *name).for_each(|item| item.note = Some(note.clone()));
    }
    let expressions: Vec<String> = items.iter().map(|item| item.expr.clone()).collect();
    let outcome = match over_texts(texts, format.clone(), &schema, &expressions).await? {
        Ok(outcome) => outcome,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(Ok(DraftTable { format, declared: Some(schema), items, notes, outcome, exact_rows: None, estimated_rows: None }))
}
