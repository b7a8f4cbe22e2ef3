//! The tables of a dump, out of its statements and the places of its data.
//!
//! ```text
//! CREATE TABLE statements  -> columns with types       (DdlCatalog)
//! ranges of data           -> entries of each table, read as COPY text or as INSERT statements
//! partitions of one table  -> the table, with the data of all of them
//! ```
//!
//! A table without a CREATE TABLE, as in a dump with `--data-only`, has text columns. A table whose rows cannot be
//! matched with columns is a fault that names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::ExportedTable;
use crate::config::{CsvOptions, FileFormat, InsertOptions, SqlFamily, TextOptions};
use crate::error::ExportFault;
use crate::manifest::FileEntry;
use crate::snapshot::dump::ddl::{DdlCatalog, DdlFault, DdlTable, TableKind};
use crate::snapshot::dump::inserts::settings::objection;
use crate::snapshot::dump::script::{DataForm, DumpName};

/// Deepest partitions of partitions that are followed.
const MAX_DEPTH: usize = 32;

/// A dump as far as it was looked at.
#[derive(Debug)]
pub(super) struct Dumped {
    /// Its name in messages.
    file: String,
    family: SqlFamily,
    ddl: DdlCatalog,
    data: BTreeMap<DumpName, TableData>,
    /// The database that `\\connect` names, and the tables of those before it.
    database: Option<String>,
    before: Vec<ExportedTable>,
    /// Why text in quotes, or all text, would be misread.
    objection: Option<String>,
    /// Whether the dump has TIMESTAMPs of MySQL in UTC.
    is_utc: bool,
}

/// The data of one table.
#[derive(Debug)]
struct TableData {
    columns: Option<Vec<String>>,
    form: DataForm,
    entries: Vec<FileEntry>,
}

impl Dumped {
    pub(super) fn new(file: &str, family: SqlFamily) -> Self {
        Self {
            file: file.to_owned(),
            family,
            ddl: DdlCatalog::new(family),
            data: BTreeMap::new(),
            database: None,
            before: Vec::new(),
            objection: None,
            is_utc: false,
        }
    }

    /// Takes in a statement.
    pub(super) fn add_statement(&mut self, text: &str) -> Result<(), ExportFault> {
        if let Some(database) = text.strip_prefix("\\connect") {
            // pg_dumpall: the same names may come again in another database.
            self.end_database()?;
            let name = database.split_whitespace().rfind(|word| !word.starts_with('-')).unwrap_or_default();
            let name = name.rsplit_once("dbname=").map_or(name, |(_, name)| name);
            self.database = Some(name.trim_matches(['"', '\'']).to_owned());
            return Ok(());
        }
        let first = text.trim_start().get(..4).unwrap_or_default();
        if first.eq_ignore_ascii_case("SET ") {
            let objection = match self.family {
                SqlFamily::MySql => objection::<true>(text.as_bytes()),
                SqlFamily::Postgres => objection::<false>(text.as_bytes()),
            };
            self.objection = self.objection.take().or(objection);
            let upper = text.to_ascii_uppercase();
            if self.family == SqlFamily::MySql && upper.contains("TIME_ZONE") && !upper.contains("@@TIME_ZONE") {
                self.is_utc = upper.contains("+00:00") || upper.contains("'UTC'");
                if !self.is_utc && !upper.contains('@') {
                    let reason = "its TIMESTAMPs are not in UTC; dump with --tz-utc".to_owned();
                    return Err(ExportFault::Metadata { file: self.file.clone(), reason });
                }
            }
        }
        self.ddl.add(text).map_err(|fault| self.unreadable(fault))
    }

    /// The rows of a table so far, if all of its data has their number.
    pub(super) fn rows(&self, schema: &str, table: &str) -> Option<u64> {
        let is_it = |name: &&DumpName| name.name == table && name.schema.as_deref().is_none_or(|of| of == schema);
        let Some(name) = self.data.keys().find(is_it) else { return Some(0) };
        self.data[name].entries.iter().map(|entry| entry.n_record).sum()
    }

    /// Takes in a piece of a table's data; None: it has no row.
    pub(super) fn add_data(
        &mut self,
        table: DumpName,
        columns: Option<Vec<String>>,
        form: DataForm,
        entry: Option<FileEntry>,
    ) -> Result<(), ExportFault> {
        let known = self.data.entry(table.clone()).or_insert_with(|| TableData {
            columns: columns.clone(),
            form,
            entries: Vec::new(),
        });
        if known.form != form || known.columns != columns {
            let reason = format!("the rows of {} are written in two ways", shown(&table));
            return Err(ExportFault::Metadata { file: self.file.clone(), reason });
        }
        known.entries.extend(entry);
        Ok(())
    }

    fn unreadable(&self, fault: DdlFault) -> ExportFault {
        ExportFault::Metadata { file: self.file.clone(), reason: fault.to_string() }
    }

    /// The tables with their data.
    pub(super) fn finish(mut self) -> Result<Vec<ExportedTable>, ExportFault> {
        self.end_database()?;
        Ok(self.before)
    }

    /// Ends the statements and data of one database.
    fn end_database(&mut self) -> Result<(), ExportFault> {
        let (file, family, database) = (self.file.clone(), self.family, self.database.take());
        let ddl = std::mem::replace(&mut self.ddl, DdlCatalog::new(family));
        let mut data = std::mem::take(&mut self.data);
        if let Some(reason) = self.objection.take().filter(|_| !data.is_empty()) {
            return Err(ExportFault::Metadata { file, reason });
        }
        let of_database = |names: Vec<String>| database.iter().cloned().chain(names).collect::<Vec<_>>();
        let mut tables = ddl.finish();
        if family == SqlFamily::MySql && !self.is_utc {
            tables.iter_mut().for_each(without_zone);
        }
        let mut found: Vec<(ExportedTable, Option<DumpName>)> = Vec::new();
        for table in &tables {
            if matches!(table.kind, TableKind::View) {
                continue;
            }
            let of = data.keys().find(|name| is_of(table, name)).cloned().and_then(|name| data.remove(&name));
            let parent = match &table.kind {
                TableKind::PartitionOf(parent) => {
                    Some(DumpName { schema: parent.schema.clone(), name: parent.name.clone() })
                }
                _ => None,
            };
            let names = of_database(table.schema.iter().chain([&table.name]).cloned().collect());
            found.push((exported(&file, family, names, Some(table), of)?, parent));
        }
        for (name, of) in data {
            let names = of_database(name.schema.iter().chain([&name.name]).cloned().collect());
            found.push((exported(&file, family, names, None, Some(of))?, None));
        }
        // Partitions have parents in their own database.
        self.before.extend(with_partitions(found));
        Ok(())
    }
}

/// TIMESTAMPs of a dump that does not say their zone are read as they are written.
fn without_zone(table: &mut DdlTable) {
    for column in &mut table.columns {
        if let DataType::Timestamp(_, zone) = &mut column.data_type {
            *zone = None;
        }
    }
}

/// Whether data under this name is the table's: a name without a schema is one that only one table can have.
fn is_of(table: &DdlTable, name: &DumpName) -> bool {
    table.name == name.name && (table.schema == name.schema || table.schema.is_none() || name.schema.is_none())
}

fn shown(name: &DumpName) -> String {
    name.schema.iter().chain([&name.name]).cloned().collect::<Vec<_>>().join(".")
}

/// One table with its columns and data.
fn exported(
    file: &str,
    family: SqlFamily,
    names: Vec<String>,
    ddl: Option<&DdlTable>,
    data: Option<TableData>,
) -> Result<ExportedTable, ExportFault> {
    let refused = |reason: String| ExportFault::Metadata { file: file.to_owned(), reason };
    let form = data.as_ref().map_or(DataForm::Copy, |data| data.form);
    let mut notes = Vec::new();
    let all = ddl.filter(|ddl| ddl.columns_known).map(|ddl| &ddl.columns);
    // Without a list, COPY has all columns but those that are generated, INSERT has all.
    let unlisted = || {
        let all = all?.iter().filter(|column| form == DataForm::Insert || column.generated.is_none());
        Some(all.map(|column| column.name.clone()).collect::<Vec<_>>())
    };
    let columns = match data.as_ref().and_then(|data| data.columns.clone()).or_else(unlisted) {
        Some(columns) => columns,
        // A table that inherits its columns from outside of the dump, and has no row here.
        None if data.as_ref().is_none_or(|data| data.entries.is_empty()) => Vec::new(),
        None => {
            return Err(refused(format!(
                "the columns of {} are neither in its INSERT nor in a CREATE TABLE",
                names.join(".")
            )));
        }
    };
    let mut fields = Vec::with_capacity(columns.len());
    for name in &columns {
        let known = ddl.and_then(|ddl| ddl.columns.iter().find(|column| column.name == *name));
        // pg_dump writes DEFAULT in the place of a generated column.
        if family == SqlFamily::Postgres && known.is_some_and(|column| column.generated.is_some()) {
            continue;
        }
        let data_type = known.map_or(DataType::Utf8, |column| column.data_type.clone());
        fields.push(Field::new(name, data_type, true));
    }
    let left: Vec<&str> = ddl
        .into_iter()
        .flat_map(|ddl| &ddl.columns)
        .filter(|column| column.generated.is_some())
        .map(|column| column.name.as_str())
        .filter(|name| !fields.iter().any(|field| field.name() == name))
        .collect();
    if !left.is_empty() {
        notes.push(format!("Generated columns are not in the dump: {}.", left.join(", ")));
    }
    if ddl.is_none() {
        notes.push("The dump has no CREATE TABLE of it, so all columns are text.".to_owned());
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let text = TextOptions::default();
    let format = match form {
        DataForm::Copy => {
            let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
            FileFormat::Csv(CsvOptions { columns, text, ..copy_text() })
        }
        DataForm::Insert => FileFormat::Inserts(InsertOptions { family, columns, text }),
    };
    let mut files = data.map(|data| data.entries).unwrap_or_default();
    files.sort_by(|one, other| one.uri.cmp(&other.uri));
    Ok(ExportedTable { names, format, schema: Some(schema), files, notes, is_part: false, unreadable: None })
}

/// The text form of PostgreSQL's COPY: tabs, backslash escapes, `\N` for NULL.
fn copy_text() -> CsvOptions {
    CsvOptions {
        has_header: false,
        delimiter: b'\t',
        quote: None,
        escape: Some(b'\\'),
        escape_sequences: true,
        terminator: Some(b'\n'),
        null_regex: Some(r"^\\N$".to_owned()),
        ..CsvOptions::default()
    }
}

/// A partitioned table gets the data of its partitions, if all of them have its columns in its order.
fn with_partitions(mut found: Vec<(ExportedTable, Option<DumpName>)>) -> Vec<ExportedTable> {
    let place = |found: &[(ExportedTable, Option<DumpName>)], name: &DumpName| {
        found.iter().position(|(table, _)| {
            let bare = table.names.last() == Some(&name.name);
            let schema = table.names.len().checked_sub(2).and_then(|at| table.names.get(at));
            bare && (name.schema.is_none() || schema == name.schema.as_ref())
        })
    };
    let (mut tops, mut apart): (Vec<(usize, usize)>, Vec<usize>) = (Vec::new(), Vec::new());
    for at in 0..found.len() {
        let mut top = found[at].1.as_ref().and_then(|parent| place(&found, parent));
        for _ in 0..MAX_DEPTH {
            match top.and_then(|top| found[top].1.as_ref()).and_then(|parent| place(&found, parent)) {
                Some(above) if Some(above) != top => top = Some(above),
                _ => break,
            }
        }
        let Some(top) = top.filter(|top| *top != at) else { continue };
        let part = found[at].0.clone();
        found[at].0.is_part = true;
        if part.files.is_empty() {
            continue;
        }
        let whole = &mut found[top].0;
        if whole.files.is_empty() {
            whole.format = part.format.clone();
            whole.schema = part.schema.clone();
        }
        if whole.schema == part.schema && whole.format == part.format {
            whole.files.extend(part.files);
            whole.files.sort_by(|one, other| one.uri.cmp(&other.uri));
        } else {
            let reason = "its partitions do not have the same columns in the same order; read each as a table";
            whole.unreadable = Some(format!("{}: {reason}", whole.name()));
            whole.is_part = true;
            apart.push(top);
        }
        tops.push((at, top));
    }
    // Partitions that cannot be one table are tables.
    for (at, _) in tops.into_iter().filter(|(_, top)| apart.contains(top)) {
        found[at].0.is_part = false;
    }
    found.into_iter().map(|(table, _)| table).collect()
}
