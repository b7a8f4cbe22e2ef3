//! Tables of MySQL whose rows are text files: what `mysqldump --tab` and MySQL Shell have in common.
//!
//! ```text
//! TABLE.sql   CREATE TABLE      -> columns with types, and what the session of the dump was
//! TABLE.txt   SELECT .. INTO OUTFILE: tabs, backslash escapes, \N
//! ```
//!
//! It reads no rows. A file of SQL that is cut, or that names another character set, is an [`ExportFault`].

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::dumped::{UNZONED, other_charset, without_zone};
use super::{ExportedTable, UnreadableTable};
use crate::config::{CodedColumn, CsvOptions, FileFormat, SqlFamily};
use crate::error::ExportFault;
use crate::manifest::FileEntry;
use crate::snapshot::dump::ddl::{DdlCatalog, DdlTable, TableKind};
use crate::snapshot::dump::head::program_of;
use crate::snapshot::dump::inserts::settings::objection;
use crate::snapshot::dump::script::{DumpEvent, DumpFault, DumpScanner};

/// What a file of SQL says about one table.
#[derive(Debug)]
pub(super) struct TableSql {
    /// None: it has none, or a view.
    pub(super) table: Option<DdlTable>,
    pub(super) is_view: bool,
    /// Whether TIMESTAMPs are in UTC, where it says so.
    pub(super) is_utc: Option<bool>,
    /// Another character set than UTF-8 that the CREATE TABLE names.
    pub(super) charset: Option<String>,
    /// The dump program says that the file is whole.
    pub(super) is_complete: bool,
    /// The first line names mysqldump, which also writes a mark at the end.
    pub(super) has_head: bool,
}

/// Reads a file of SQL that has the definition of one table.
pub(super) fn table_sql(name: &str, bytes: &[u8]) -> Result<TableSql, ExportFault> {
    let metadata = |reason: String| ExportFault::Metadata { file: name.to_owned(), reason };
    let mut events = Vec::new();
    let mut scanner = DumpScanner::with_family(u64::MAX, SqlFamily::MySql);
    let scanned = scanner.push(bytes, &mut events).and_then(|()| scanner.end(&mut events));
    scanned.map_err(|fault| match fault {
        DumpFault::NotEnded { .. } => ExportFault::Cut { file: name.to_owned(), reason: fault.to_string() },
        _ => metadata(fault.to_string()),
    })?;
    let mut ddl = DdlCatalog::new(SqlFamily::MySql);
    let has_head = program_of(bytes).is_some();
    let (mut is_utc, mut charset, mut is_complete, mut has_table) = (None, None, false, false);
    for event in events {
        let text = match event {
            DumpEvent::Statement { text, .. } => text,
            DumpEvent::Complete => {
                is_complete = true;
                continue;
            }
            DumpEvent::Data { .. } => return Err(metadata("it has INSERT statements, too".to_owned())),
        };
        let upper = text.trim_start().to_ascii_uppercase();
        // What triggers are created in, after the table, is nothing of its rows.
        if upper.starts_with("SET ") && !has_table {
            if let Some(reason) = objection::<true>(text.as_bytes()) {
                return Err(metadata(reason));
            }
            if is_utc.is_none() && upper.contains("TIME_ZONE") && !upper.contains('@') {
                is_utc = Some(upper.contains("+00:00") || upper.contains("'UTC'"));
            }
        }
        if upper.starts_with("CREATE ") {
            has_table = true;
            charset = charset.or_else(|| other_charset(&text));
            ddl.add(&text).map_err(|fault| metadata(fault.to_string()))?;
        }
    }
    let mut tables = ddl.finish();
    let is_view = tables.iter().any(|table| table.kind == TableKind::View);
    tables.retain(|table| table.kind != TableKind::View && !is_view);
    if tables.len() > 1 {
        return Err(metadata("it creates several tables".to_owned()));
    }
    let table = tables.pop();
    if table.as_ref().is_some_and(|table| !table.columns_known) {
        return Err(metadata("its CREATE TABLE does not list the columns".to_owned()));
    }
    Ok(TableSql { table, is_view, is_utc, charset, is_complete, has_head })
}

/// Whether a column of MySQL is text in a character set.
pub(super) fn is_text(declared: &str) -> bool {
    let word = declared.trim_start().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let word = word.to_ascii_lowercase();
    ["char", "varchar", "text", "tinytext", "mediumtext", "longtext", "enum", "set", "national", "nchar", "nvarchar"]
        .contains(&word.as_str())
}

/// Whether a column of MySQL is of type BIT.
pub(super) fn is_bit(declared: &str) -> bool {
    declared.trim_start().to_ascii_lowercase().starts_with("bit")
}

/// The table whose files have these columns, in their order.
pub(super) struct TextTable<'a> {
    pub(super) names: Vec<String>,
    /// None: all columns are text.
    pub(super) ddl: Option<DdlTable>,
    pub(super) is_utc: Option<bool>,
    pub(super) columns: &'a [String],
    pub(super) coded: Vec<CodedColumn>,
    pub(super) csv: CsvOptions,
    pub(super) files: Vec<FileEntry>,
}

impl TextTable<'_> {
    pub(super) fn exported(self) -> ExportedTable {
        let Self { names, mut ddl, is_utc, columns, coded, csv, mut files } = self;
        let is_unzoned = is_utc != Some(true) && ddl.as_mut().is_some_and(without_zone);
        let all = || ddl.iter().flat_map(|ddl| &ddl.columns);
        let field = |name: &String| {
            let of_table = all().find(|column| column.name == *name).map(|column| column.data_type.clone());
            let bytes = coded.iter().any(|coded| coded.column == *name && !coded.is_bits).then_some(DataType::Binary);
            Field::new(name, of_table.or(bytes).unwrap_or(DataType::Utf8), true)
        };
        let fields: Vec<Field> = columns.iter().map(field).collect();
        let mut notes = Vec::new();
        let generated = all().filter(|column| column.generated.is_some() && !columns.contains(&column.name));
        let left: Vec<&str> = generated.map(|column| column.name.as_str()).collect();
        if !left.is_empty() {
            notes.push(format!("Generated columns are not in the dump: {}.", left.join(", ")));
        }
        if ddl.is_none() {
            notes.push("The dump has no CREATE TABLE of it, so its columns are text.".to_owned());
        }
        files.sort_by(|one, other| one.uri.cmp(&other.uri));
        ExportedTable {
            names,
            format: FileFormat::Csv(CsvOptions { columns: columns.to_vec(), coded, ..csv }),
            schema: Some(Arc::new(Schema::new(fields))),
            files,
            notes,
            is_part: false,
            unreadable: None,
            undeclared: is_unzoned.then(|| UNZONED.to_owned()),
        }
    }
}

/// A table whose rows are not read.
pub(super) fn unreadable(names: Vec<String>, reason: &str, may_have_rows: bool) -> ExportedTable {
    let reason = format!("{}: {reason}", names.join("."));
    ExportedTable {
        names,
        format: FileFormat::Csv(CsvOptions::default()),
        schema: None,
        files: Vec::new(),
        notes: Vec::new(),
        is_part: false,
        unreadable: Some(UnreadableTable { reason, may_have_rows }),
        undeclared: None,
    }
}
