//! The tables of one folder: what its groups of files are, which of them are one table, and what each table is like.
//!
//! Groups are one table if their files have the same form and columns, and their names or the number of columns say so;
//! two lists of codes and names stay two tables. A group that is none is refused with a reason, and the others go on.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::ParquetMetaData;
use indicatif::HumanCount;

use super::content::{TextKind, text_kind};
use super::dialect::{self, NoTable};
use super::dynamo::Attributes;
use super::exports::{RdsColumn, better};
use super::facts::{Found, Item, Read, Size};
use super::names::{ident, is_packed};
use super::profile::Profile;
use super::propose::propose;
use super::sample::{Sampled, Source, Text, sample};
use super::schema::{self, Columns};
use super::sqltype::sql_type;
use super::tally::{Group, Key};
use super::trial::{Outcome, over_parquet, over_texts};
use crate::config::{CsvOptions, FileFormat, TextOptions};
use crate::error::Result;
use crate::layout::below;
use crate::manifest::FileEntry;
use crate::session::Engine;
use crate::snapshot::SchemaMerger;

/// Columns from which on equal ones are no accident.
const SAME_COLUMNS: usize = 4;

/// What is known of a folder before its files are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The columns as the database had them.
    pub(super) rds: Option<Vec<RdsColumn>>,
    /// Whether the files are DynamoDB's typed JSON.
    pub(super) is_dynamo: bool,
    pub(super) notes: Vec<String>,
}

/// A table without its place and names.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) keys: Vec<Key>,
    pub(super) group: Group,
    pub(super) found: Found,
}

/// A group that is no table.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) example: String,
}

/// What a folder came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) drafts: Vec<Draft>,
    pub(super) refused: Vec<Refused>,
    pub(super) read: Read,
}

/// A group and what was read of it.
struct Part {
    keys: Vec<Key>,
    group: Group,
    data: Data,
    columns: Vec<String>,
    read: Read,
    is_whole: bool,
}

enum Data {
    Parquet(Vec<(FileEntry, Arc<ParquetMetaData>)>, SchemaRef),
    Csv(Vec<Text>, CsvOptions),
    Json(Vec<Text>, TextOptions),
}

/// Looks into the files of a folder's groups; reads about `budget` bytes of them.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(super) async fn look_into(
    source: &Source,
    engine: &Engine,
    groups: Vec<(Key, Group)>,
    known: &Known,
    budget: u64,
) -> Result<Looked> {
    let mut looked = Looked::default();
    let mut parts: Vec<Part> = Vec::new();
    let share = budget / groups.len().max(1) as u64;
    for (key, group) in groups {
        if group.files == 0 {
            looked.refused.push(refused(&group, &key, "files of no bytes".to_owned()));
            continue;
        }
        let sampled = sample(source, &group, share).await?;
        looked.read.add(sampled.read);
        let data = match sampled.what {
            Sampled::Unusable(reason) => Err(reason),
            Sampled::Parquet(files) => parquet(files),
            Sampled::Text { texts, compression } => text(texts, compression, &key, known),
        };
        match data {
            Err(reason) => looked.refused.push(refused(&group, &key, reason)),
            Ok((data, columns)) => {
                let (read, is_whole) = (sampled.read, sampled.is_whole);
                let part = Part { keys: vec![key], group, data, columns, read, is_whole };
                match parts.iter_mut().find(|other| other.is_same_table(&part)) {
                    Some(other) => other.merge(part),
                    None => parts.push(part),
                }
            }
        }
    }
    for part in parts {
        let (keys, group) = (part.keys.clone(), part.group.clone());
        match draft(engine, part, known, budget, &mut looked.read).await? {
            Ok(found) => looked.drafts.push(Draft { keys, group, found }),
            Err(reason) => looked.refused.push(refused(&group, &keys[0], reason)),
        }
    }
    Ok(looked)
}

fn refused(group: &Group, key: &Key, reason: String) -> Refused {
    let none = || below(&key.folder, &group.prefix);
    let first = group.sample().first().map_or_else(none, |file| file.path.clone());
    let files = group.files + group.empty;
    Refused { reason, files, bytes: group.bytes, example: first }
}

type Looks = std::result::Result<(Data, Vec<String>), String>;

fn parquet(files: Vec<(FileEntry, Arc<ParquetMetaData>)>) -> Looks {
    let mut merger = SchemaMerger::new("t");
    for (file, footer) in &files {
        let footer = footer.file_metadata();
        let schema = parquet_to_arrow_schema(footer.schema_descr(), footer.key_value_metadata());
        let merged = schema.map_err(|error| error.to_string()).and_then(|schema| {
            merger.add(&file.uri, &schema).map_err(|error| format!("its files do not go together: {error}"))
        });
        merged?;
    }
    let schema = merger.finish();
    if schema.fields().is_empty() {
        return Err("Parquet without columns".to_owned());
    }
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    Ok((Data::Parquet(files, schema), columns))
}

fn text(mut texts: Vec<Text>, compression: Option<crate::config::Compression>, key: &Key, known: &Known) -> Looks {
    texts.retain(|text| !text.bytes.iter().all(u8::is_ascii_whitespace));
    let Some(first) = texts.first() else { return Err("files without a line".to_owned()) };
    let kind = text_kind(&String::from_utf8_lossy(&first.bytes), first.is_cut);
    let options = TextOptions { compression, infer_records: None };
    match kind {
        TextKind::Other(reason) => Err(reason.to_owned()),
        TextKind::Ndjson => {
            texts.iter_mut().for_each(cut_after_line);
            let first = texts.first().and_then(|text| first_object(&text.bytes)).unwrap_or_default();
            Ok((Data::Json(texts, options), first))
        }
        TextKind::Lines if known.is_dynamo => Err("neither a line of DynamoDB's JSON nor an empty file".to_owned()),
        TextKind::Lines => {
            let views: Vec<_> = texts.iter().map(view).collect();
            let is_named = [".csv", ".tsv"].iter().any(|ending| key.ending.starts_with(ending));
            let csv = dialect::detect(&views, is_named).map_err(|problem| match problem {
                NoTable::NoFields => "text that is no table".to_owned(),
                NoTable::Ragged { record, fields, expected } => {
                    format!(
                        "text whose records differ: fields of the first one {expected}, of record {record} {fields}"
                    )
                }
            })?;
            let csv = CsvOptions { text: options, ..csv };
            let mut columns = Vec::new();
            dialect::walk(views[0], &csv, |record| {
                columns = record
                    .iter()
                    .enumerate()
                    .map(|(index, field)| match csv.has_header {
                        true => String::from_utf8_lossy(field).into_owned(),
                        false => (index + 1).to_string(),
                    })
                    .collect();
                false
            });
            for text in texts.iter_mut().filter(|text| text.is_cut) {
                let complete = dialect::walk(view(text), &csv, |_| true);
                text.bytes.truncate(complete);
            }
            Ok((Data::Csv(texts, csv), columns))
        }
    }
}

fn view(text: &Text) -> dialect::Text<'_> {
    dialect::Text { bytes: &text.bytes, is_cut: text.is_cut }
}

fn cut_after_line(text: &mut Text) {
    if text.is_cut {
        let end = text.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        text.bytes.truncate(end);
    }
}

fn first_object(bytes: &[u8]) -> Option<Vec<String>> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Map<_, serde_json::Value>>();
    Some(values.next()?.ok()?.into_iter().map(|(name, _)| name).collect())
}

impl Part {
    /// Whether the files of both are rows of one table.
    fn is_same_table(&self, other: &Self) -> bool {
        let stems = || self.keys.iter().flat_map(|key| other.keys.iter().map(move |other| (&key.stem, &other.stem)));
        let words = |stem: &str| stem.split('_').map(str::to_owned).collect::<Vec<_>>();
        let is_one_stem = stems().any(|(a, b)| a == b);
        let are_alike = stems().any(|(a, b)| words(a)[0] == words(b)[0] || a.is_empty() || b.is_empty());
        let has_form = match (&self.data, &other.data) {
            (Data::Parquet(_, a), Data::Parquet(_, b)) => a.fields() == b.fields() || do_merge(a, b),
            (Data::Csv(_, a), Data::Csv(_, b)) => a == b,
            (Data::Json(_, a), Data::Json(_, b)) => a == b,
            _ => false,
        };
        let (small, large) = match self.columns.len() < other.columns.len() {
            true => (&self.columns, &other.columns),
            false => (&other.columns, &self.columns),
        };
        let shared = small.iter().filter(|name| large.contains(name)).count();
        let is_same = shared == large.len();
        let is_near = shared > 0 && shared * 2 >= small.len();
        // Folders of partitions hold one table, whatever its files are called; newer ones may have more columns.
        let is_keyed = !self.group.keys.is_empty() && self.group.keys == other.group.keys;
        let is_part = is_keyed && shared == small.len();
        has_form && (is_part || (is_same && (are_alike || large.len() >= SAME_COLUMNS)) || (is_near && is_one_stem))
    }

    fn merge(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.group.merge(other.group);
        self.read.add(other.read);
        self.is_whole &= other.is_whole;
        match (&mut self.data, other.data) {
            (Data::Parquet(files, schema), Data::Parquet(more, other)) => {
                files.extend(more);
                let mut merger = SchemaMerger::new("t");
                if merger.add("", schema).and_then(|()| merger.add("", &other)).is_ok() {
                    *schema = merger.finish();
                }
            }
            (Data::Csv(texts, _), Data::Csv(more, _)) | (Data::Json(texts, _), Data::Json(more, _)) => {
                texts.extend(more);
            }
            _ => {}
        }
    }
}

fn do_merge(a: &Schema, b: &Schema) -> bool {
    let mut merger = SchemaMerger::new("t");
    merger.add("", a).and_then(|()| merger.add("", b)).is_ok()
}

type Drafted = std::result::Result<Found, String>;

async fn draft(engine: &Engine, part: Part, known: &Known, budget: u64, read: &mut Read) -> Result<Drafted> {
    let Part { keys, group, data, read: sampled, is_whole, columns } = part;
    let mut notes = known.notes.clone();
    let seen_columns = columns;
    let mut drafted = match data {
        Data::Parquet(files, schema) => of_parquet(engine, &files, schema, is_whole, budget).await?,
        Data::Csv(texts, options) => of_csv(&texts, options, is_whole).await?,
        Data::Json(texts, options) if known.is_dynamo => of_dynamo(&texts, options).await?,
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
    let stems = keys.iter().map(|key| &key.stem).collect::<std::collections::BTreeSet<_>>().len();
    if stems > 1 {
        notes.push(format!("{stems} kinds of file names with the same columns are taken as one table."));
    }
    for key in &group.keys {
        if !seen_columns.contains(key) {
            notes
                .push(format!("Folders are named {key}=..., but no file has a column {key}: it is not in this table."));
        }
    }
    notes.append(&mut table.notes);
    if !is_whole && !matches!(table.format, FileFormat::Parquet) {
        let (rows, files) = (HumanCount(table.outcome.rows), HumanCount(total.files));
        notes.push(format!(
            "Types come from {rows} rows at the beginning of {files} files; a value further on that does not"
        ));
        notes.push("fit is an error that names it: declare that column VARCHAR then.".to_owned());
    }
    let size = Size { lake_bytes, is_whole: is_whole && table.outcome.is_whole };
    let stem = keys[0].stem.clone();
    let name = if stem.is_empty() { keys[0].folder.rsplit('/').next().unwrap_or_default().to_owned() } else { stem };
    let proposal = propose(&name, &items, size);
    let mut read = total;
    read.rows = table.outcome.rows;
    Ok(Ok(Found {
        wishes: Vec::new(),
        folder: keys[0].folder.clone(),
        locations: Vec::new(),
        format: table.format.clone(),
        declared: table.declared.take(),
        items,
        left_out: std::mem::take(&mut table.left_out),
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
struct Table {
    format: FileFormat,
    declared: Option<SchemaRef>,
    items: Vec<Item>,
    left_out: Vec<(String, String)>,
    notes: Vec<String>,
    outcome: Outcome,
    exact_rows: Option<u64>,
    estimated_rows: Option<u64>,
}

impl Table {
    fn is_packed(&self) -> bool {
        let text = match &self.format {
            FileFormat::Csv(options) => &options.text,
            FileFormat::Json(options) => options,
            FileFormat::Parquet => return false,
        };
        text.compression.is_some_and(|compression| compression != crate::config::Compression::None)
    }
}

type Tabled = std::result::Result<Table, String>;

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
    let rows: u64 = files.iter().map(|(_, footer)| u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0)).sum();
    let is_declarable = has_all && schema.fields().iter().all(|field| sql_type(field.data_type()).is_some());
    let items = columns_as_they_are(&schema);
    let mut notes = Vec::new();
    if !is_declarable {
        let why = if has_all { "some types have no SQL name" } else { "only some footers were read" };
        notes.push(format!("Columns and types come from the files when the snapshot is planned ({why})."));
    }
    let estimated = (!has_all).then_some(rows);
    Ok(Ok(Table {
        format: FileFormat::Parquet,
        declared: is_declarable.then_some(schema),
        items,
        left_out: Vec::new(),
        notes,
        outcome: Outcome { is_whole: outcome.is_whole && has_all, ..outcome },
        exact_rows: has_all.then_some(rows),
        estimated_rows: estimated,
    }))
}

async fn of_csv(texts: &[Text], mut options: CsvOptions, is_whole: bool) -> Result<Tabled> {
    let views: Vec<_> = texts.iter().map(|text| dialect::Text { is_cut: false, ..view(text) }).collect();
    let values = dialect::values(&views, &options, is_whole);
    options.null_regex = values.null_regex;
    let columns = match schema::csv(texts, &options, &values.codes).await {
        Ok(columns) => columns,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut notes = Vec::new();
    if !values.null_words.is_empty() {
        notes.push(format!("NULL is written {}.", values.null_words.join(" or ")));
    }
    if !options.has_header {
        notes.push("The first line holds values, not names: give the columns names here.".to_owned());
    }
    let format = FileFormat::Csv(options);
    of_text(texts, format, columns, notes).await
}

async fn of_json(texts: &[Text], options: TextOptions) -> Result<Tabled> {
    match schema::json(texts).await {
        Ok(columns) => of_text(texts, FileFormat::Json(options), columns, Vec::new()).await,
        Err(reason) => Ok(Err(reason)),
    }
}

async fn of_dynamo(texts: &[Text], options: TextOptions) -> Result<Tabled> {
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
    let Some(schema) = attributes.schema() else { return Ok(Err("no item has an attribute".to_owned())) };
    let schema = Arc::new(schema);
    let items: Vec<Item> = attributes
        .unwrapped()
        .into_iter()
        .map(|column| Item { name: column.name, expr: column.expr, note: column.note, ..Item::default() })
        .collect();
    let mut notes = vec![
        "Attributes that no sampled item has are not read. To get one, declare it inside \"Item\" in the config with the".to_owned(),
        "type that its items say (S, N, BOOL, M, L, ...), and select it as the others here.".to_owned(),
    ];
    if attributes.is_full() {
        notes.push("There are more attributes than are listed here.".to_owned());
    }
    let expressions: Vec<String> = items.iter().map(|item| item.expr.clone()).collect();
    let format = FileFormat::Json(options);
    let outcome = match over_texts(texts, format.clone(), &schema, &expressions).await? {
        Ok(outcome) => outcome,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(Ok(Table {
        format,
        declared: Some(schema),
        items,
        left_out: Vec::new(),
        notes,
        outcome,
        exact_rows: None,
        estimated_rows: None,
    }))
}

async fn of_text(texts: &[Text], format: FileFormat, columns: Columns, notes: Vec<String>) -> Result<Tabled> {
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
    let left_out = columns.left_out;
    Ok(Ok(Table {
        format,
        declared: Some(schema),
        items,
        left_out,
        notes,
        outcome,
        exact_rows: None,
        estimated_rows: None,
    }))
}

/// A SELECT of all columns.
pub(super) fn columns_as_they_are(schema: &Schema) -> Vec<Item> {
    let item = |name: &str, data_type: &DataType| Item {
        name: name.to_owned(),
        expr: ident(name),
        data_type: data_type.clone(),
        ..Item::default()
    };
    schema.fields().iter().map(|field| item(field.name(), field.data_type())).collect()
}

/// Adds what may be a better type.
pub(super) fn improve(item: &mut Item, rds: Option<&[RdsColumn]>) {
    let is_text = matches!(item.data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let is_bytes = matches!(item.data_type, DataType::Binary | DataType::BinaryView | DataType::LargeBinary);
    let original = rds.into_iter().flatten().find(|column| column.name == item.name);
    if let Some(original) = original.filter(|_| is_text || is_bytes) {
        if let Some((cast, why)) = better(&original.original, is_text) {
            item.alternative = Some((cast.replace("{}", &item.expr), why.to_owned()));
        }
        if !["text", "character varying", "varchar"].contains(&original.original.to_lowercase().as_str()) {
            item.note = item.note.take().or_else(|| Some(format!("{} in the database", original.original)));
        }
    }
    let Profile { dates, .. } = &item.profile;
    if item.alternative.is_none() && is_text && dates.as_ref().is_some_and(|dates| dates.is_text) {
        let cast = format!("try_cast({} AS TIMESTAMP)", item.expr);
        item.alternative = Some((cast, "all values are times; another one would become NULL".to_owned()));
    }
    if item.alternative.is_none() && is_bytes {
        let cast = format!("CAST({} AS VARCHAR)", item.expr);
        item.alternative = Some((cast, "if the bytes are text, as those of CHAR in an export of MySQL".to_owned()));
    }
}
