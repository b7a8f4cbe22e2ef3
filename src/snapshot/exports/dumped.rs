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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{ExportedTable, UnreadableTable};
use crate::config::{CsvOptions, FileFormat, InsertOptions, SqlFamily, TextOptions};
use crate::error::ExportFault;
use crate::manifest::FileEntry;
use crate::snapshot::dump::ddl::{DdlCatalog, DdlFault, DdlTable, TableKind};
use crate::snapshot::dump::inserts::settings::{is_utf8, objection};
use crate::snapshot::dump::script::{DataForm, DumpName};

/// Deepest partitions of partitions that are followed.
const MAX_DEPTH: usize = 32;

/// Why the columns of a table with TIMESTAMPs of MySQL have to be declared.
pub(super) const UNZONED: &str =
    "the dump does not say in which time zone its TIMESTAMPs are; declare the columns, these as TIMESTAMP";

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
    /// Why quotes, and why all text, would be misread from here on.
    mode: Option<String>,
    charset: Option<String>,
    /// Whether TIMESTAMPs of MySQL are in UTC from here on, and before the last SET; None: it is not known.
    zone: [Option<bool>; 2],
    /// Tables with rows whose zone is not known.
    unzoned: BTreeSet<DumpName>,
    /// Whether text is in the bytes of its column, and the tables that have columns of another charset than UTF-8.
    is_binary: bool,
    other_charsets: BTreeMap<DumpName, String>,
    /// Tables that others inherit from, and these.
    heirs: BTreeMap<String, Vec<String>>,
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
            mode: None,
            charset: None,
            zone: [None; 2],
            unzoned: BTreeSet::new(),
            is_binary: false,
            other_charsets: BTreeMap::new(),
            heirs: BTreeMap::new(),
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
            let upper = text.to_ascii_uppercase();
            if upper.contains("SQL_MODE") || upper.contains("CONFORMING") {
                self.mode = objection;
            } else if ["NAMES", "CHARSET", "CHARACTER SET", "CLIENT_ENCODING"].iter().any(|word| upper.contains(word)) {
                self.charset = objection;
            }
            self.is_binary |= self.family == SqlFamily::MySql && upper.contains("NAMES BINARY");
            if self.family == SqlFamily::MySql && upper.contains("TIME_ZONE") && !upper.contains("@@TIME_ZONE") {
                // A variable sets it back: events are written in a zone of their own.
                let is_back = upper.contains('@');
                let is_utc = upper.contains("+00:00") || upper.contains("'UTC'");
                self.zone = if is_back { [self.zone[1]; 2] } else { [Some(is_utc), self.zone[0]] };
            }
        }
        if text.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("CREATE ")) {
            self.note_table(text)?;
        }
        self.ddl.add(text).map_err(|fault| self.unreadable(fault))
    }

    /// What a CREATE TABLE says besides its columns.
    fn note_table(&mut self, text: &str) -> Result<(), ExportFault> {
        let mut alone = DdlCatalog::new(self.family);
        alone.add(text).map_err(|fault| self.unreadable(fault))?;
        let Some(table) = alone.finish().into_iter().find(|table| !matches!(table.kind, TableKind::View)) else {
            return Ok(());
        };
        let schema = table.schema.or_else(|| self.ddl.namespace().map(str::to_owned));
        let name = DumpName { schema, name: table.name };
        if self.data.get(&name).is_some_and(|data| !data.entries.is_empty()) {
            let reason = format!("it creates {} again after rows of it: several dumps in one file", shown(&name));
            return Err(ExportFault::Metadata { file: self.file.clone(), reason });
        }
        if let Some(charset) = other_charset(text).filter(|_| self.family == SqlFamily::MySql) {
            self.other_charsets.insert(name.clone(), charset);
        }
        if self.family == SqlFamily::Postgres
            && let Some((_, parents)) = text.rsplit_once("INHERITS (")
        {
            for parent in parents.split(')').next().unwrap_or_default().split(',') {
                let parent = parent.rsplit('.').next().unwrap_or_default().trim().trim_matches('"').to_owned();
                self.heirs.entry(parent).or_default().push(name.name.clone());
            }
        }
        Ok(())
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
        let mode = self.mode.as_ref().filter(|_| form == DataForm::Insert);
        if let Some(reason) = mode.or(self.charset.as_ref()).filter(|_| entry.is_some()) {
            return Err(ExportFault::Metadata { file: self.file.clone(), reason: reason.clone() });
        }
        if self.family == SqlFamily::MySql && entry.is_some() {
            match self.zone[0] {
                Some(true) => {}
                None => drop(self.unzoned.insert(table.clone())),
                Some(false) => {
                    let reason = "its TIMESTAMPs are not in UTC; dump with --tz-utc".to_owned();
                    return Err(ExportFault::Metadata { file: self.file.clone(), reason });
                }
            }
        }
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
        let of_database = |names: Vec<String>| database.iter().cloned().chain(names).collect::<Vec<_>>();
        let mut tables = ddl.finish();
        let names = std::mem::take(&mut self.unzoned);
        let mut unzoned = BTreeSet::new();
        for table in &mut tables {
            if names.iter().any(|name| is_of(table, name)) && without_zone(table) {
                unzoned.insert((table.schema.clone(), table.name.clone()));
            }
        }
        // COPY is written for a table without rows too, INSERT is not.
        let is_copy = family == SqlFamily::Postgres && data.values().any(|data| data.form == DataForm::Copy);
        let is_without_data = data.is_empty();
        let (charsets, heirs) = (std::mem::take(&mut self.other_charsets), std::mem::take(&mut self.heirs));
        let mut found: Vec<(ExportedTable, Option<DumpName>)> = Vec::new();
        for table in &tables {
            if matches!(table.kind, TableKind::View) {
                continue;
            }
            let has_data = data.keys().any(|name| is_of(table, name));
            let reason = match &table.kind {
                TableKind::Foreign if !has_data => {
                    Some(("it is a foreign table, whose rows are not in the dump".to_owned(), false))
                }
                TableKind::Partitioned => None,
                TableKind::PartitionOf(_) if tables.iter().any(|other| is_parent(table, other)) => None,
                _ if !has_data && (is_copy || is_without_data) => Some(("the dump has no data of it".to_owned(), false)),
                _ => charsets.get(&DumpName { schema: table.schema.clone(), name: table.name.clone() }).filter(|_| self.is_binary && has_data).map(|charset| {
                    let reason = format!(
                        "it has text in {charset}, which the dump has as bytes; dump with mysqldump, which writes UTF-8"
                    );
                    (reason, true)
                }),
            };
            let of = data.keys().find(|name| is_of(table, name)).cloned().and_then(|name| data.remove(&name));
            let parent = match &table.kind {
                TableKind::PartitionOf(parent) => {
                    Some(DumpName { schema: parent.schema.clone(), name: parent.name.clone() })
                }
                _ => None,
            };
            let names = of_database(table.schema.iter().chain([&table.name]).cloned().collect());
            let mut one = exported(&file, family, names, Some(table), of)?;
            one.undeclared = unzoned.contains(&(table.schema.clone(), table.name.clone())).then(|| UNZONED.to_owned());
            one.unreadable = reason.map(|(reason, may_have_rows)| {
                let reason = format!("{}: {reason}", one.name());
                UnreadableTable { reason, may_have_rows }
            });
            if let Some(heirs) = heirs.get(&table.name) {
                one.notes.push(format!("Tables inherit from it, and have rows of their own: {}.", heirs.join(", ")));
            }
            found.push((one, parent));
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

/// TIMESTAMPs of a dump that does not say their zone are read as they are written. Whether the table has one.
pub(super) fn without_zone(table: &mut DdlTable) -> bool {
    let mut has_one = false;
    for column in &mut table.columns {
        if let DataType::Timestamp(_, zone) = &mut column.data_type {
            has_one |= zone.take().is_some();
        }
    }
    has_one
}

/// Whether a table has another one as a partition.
fn is_parent(table: &DdlTable, other: &DdlTable) -> bool {
    let TableKind::PartitionOf(parent) = &other.kind else { return false };
    parent.name == table.name && (parent.schema.is_none() || parent.schema == table.schema)
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
            // PostgreSQL escapes each CR of a value: one before LF is of the line end.
            FileFormat::Csv(CsvOptions { columns, text, terminator: None, ..copy_text() })
        }
        DataForm::Insert => {
            let of_type = |name: &String| ddl.and_then(|ddl| ddl.columns.iter().find(|column| column.name == *name));
            let is_bit = |name: &String| {
                family == SqlFamily::MySql
                    && of_type(name).is_some_and(|column| column.declared.to_ascii_lowercase().starts_with("bit"))
            };
            let bits = columns.iter().filter(|name| is_bit(name)).cloned().collect();
            FileFormat::Inserts(InsertOptions { family, columns, bits, text })
        }
    };
    let mut files = data.map(|data| data.entries).unwrap_or_default();
    files.sort_by(|one, other| one.uri.cmp(&other.uri));
    Ok(ExportedTable {
        names,
        format,
        schema: Some(schema),
        files,
        notes,
        is_part: false,
        unreadable: None,
        undeclared: None,
    })
}

/// The text form of PostgreSQL's COPY and of MySQL's INTO OUTFILE: tabs, backslash escapes, `\N` for NULL.
pub(super) fn copy_text() -> CsvOptions {
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

/// A partitioned table gets the data of its partitions, and of theirs, if all have its columns in its order.
fn with_partitions(mut found: Vec<(ExportedTable, Option<DumpName>)>) -> Vec<ExportedTable> {
    let place = |found: &[(ExportedTable, Option<DumpName>)], name: &DumpName| {
        found.iter().position(|(table, _)| {
            let bare = table.names.last() == Some(&name.name);
            let schema = table.names.len().checked_sub(2).and_then(|at| table.names.get(at));
            bare && (name.schema.is_none() || schema == name.schema.as_ref())
        })
    };
    let leaves: Vec<ExportedTable> = found.iter().map(|(table, _)| table.clone()).collect();
    // With --load-via-partition-root it has the rows of all of them.
    let has_own = |at: usize| !leaves[at].files.is_empty();
    let mut apart: Vec<usize> = Vec::new();
    for (at, part) in leaves.iter().enumerate() {
        let mut below = at;
        for _ in 0..MAX_DEPTH {
            let Some(above) = found[below].1.as_ref().and_then(|parent| place(&found, parent)) else { break };
            if above == at {
                break;
            }
            found[at].0.is_part = true;
            let whole = &mut found[above].0;
            if let Some(reason) = part.unreadable.as_ref().filter(|_| !has_own(above)) {
                whole.unreadable.get_or_insert_with(|| reason.clone());
            } else if !part.files.is_empty() {
                if whole.files.is_empty() {
                    whole.format = part.format.clone();
                    whole.schema = part.schema.clone();
                }
                if whole.schema == part.schema && whole.format == part.format {
                    whole.files.extend(part.files.iter().cloned());
                    whole.files.sort_by(|one, other| one.uri.cmp(&other.uri));
                } else {
                    let reason = "its partitions do not have the same columns in the same order; read each as a table";
                    let reason = format!("{}: {reason}", whole.name());
                    // The partitions are tables then.
                    whole.unreadable = Some(UnreadableTable { reason, may_have_rows: false });
                    apart.push(above);
                }
            }
            below = above;
        }
    }
    // Partitions of what cannot be one table are tables.
    for at in 0..found.len() {
        let parent = found[at].1.as_ref().and_then(|parent| place(&found, parent));
        if parent.is_some_and(|parent| apart.contains(&parent)) {
            found[at].0.is_part = false;
        }
    }
    found.into_iter().map(|(table, _)| table).collect()
}

/// A charset that a CREATE TABLE of MySQL names and that is not UTF-8 or bytes.
pub(super) fn other_charset(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    ["CHARSET=", "CHARSET ", "CHARACTER SET "].iter().find_map(|words| {
        upper.match_indices(words).find_map(|(at, words)| {
            let name: String =
                upper[at + words.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let is_known = is_utf8(&name) || name.is_empty();
            (!is_known).then(|| name.to_ascii_lowercase())
        })
    })
}
