//! The folder of MySQL Shell's `util.dumpInstance()`, `dumpSchemas()` or `dumpTables()`.
//!
//! ```text
//! @.json                       schemas, character set, tzUtc
//! @.done.json                  written last: bytes of each table, of newer versions also its rows, and bytes of each file
//! shop.json                    tables of a schema
//! shop@orders.json             columns, how files are written, which columns are in base64 or hexadecimal digits
//! shop@orders.sql              CREATE TABLE
//! shop@orders.tsv.zst          all rows, or in chunks:
//! shop@orders@0.tsv.zst        the first chunk
//! shop@orders@@1.tsv.zst       the last one
//! shop@orders@0.tsv.zst.idx    offsets in the unpacked file, the last of which is its size
//! ```
//!
//! A dump is complete once it has `@.done.json`, all files that the others name, chunks without a gap up to the last
//! one, and files that unpack to as many bytes as the dump says; the latter shows when they are read. Format: source
//! of MySQL Shell, modules/util/dump, and "Dump Utilities" of its manual.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::mysql_text::{TextTable, is_bit, table_sql, unreadable};
use super::{ExportPlace, ExportedTable, Trouble};
use crate::config::{BytesCode, CodedColumn, CsvOptions};
use crate::error::ExportFault;
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::snapshot::dump::inserts::settings::is_utf8;
use crate::snapshot::files::named::entry;
use crate::snapshot::split::Split;

const BEGUN: &str = "@.json";
const DONE: &str = "@.done.json";

/// Small files that are read at once.
const AT_ONCE: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShellBegun {
    schemas: Vec<String>,
    #[serde(default)]
    basenames: HashMap<String, String>,
    default_character_set: Option<String>,
    tz_utc: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShellDone {
    #[serde(default)]
    table_data_bytes: BTreeMap<String, BTreeMap<String, u64>>,
    #[serde(default)]
    table_rows: BTreeMap<String, BTreeMap<String, u64>>,
    #[serde(default)]
    chunk_file_bytes: HashMap<String, u64>,
}

#[derive(Deserialize)]
struct ShellSchema {
    tables: Vec<String>,
    #[serde(default)]
    basenames: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShellTable {
    options: ShellDialect,
    #[serde(default = "yes")]
    includes_data: bool,
    #[serde(default = "yes")]
    includes_ddl: bool,
    extension: String,
    #[serde(default)]
    partitions: Vec<String>,
    /// Of partitions.
    #[serde(default)]
    basenames: HashMap<String, String>,
    /// A condition: the dump does not have all rows.
    #[serde(rename = "where")]
    condition: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShellDialect {
    columns: Vec<String>,
    #[serde(default)]
    decode_columns: HashMap<String, String>,
    default_character_set: Option<String>,
    fields_terminated_by: String,
    #[serde(default)]
    fields_enclosed_by: String,
    #[serde(default)]
    fields_escaped_by: String,
    lines_terminated_by: String,
}

fn yes() -> bool {
    true
}

/// Whether a folder is one.
pub(super) fn is_one(listed: &[(String, ObjectMeta)]) -> bool {
    listed.iter().any(|(path, _)| path == BEGUN)
}

/// The folder of a dump.
struct ShellDump<'a> {
    place: &'a ExportPlace,
    folder: &'a Location,
    files: HashMap<&'a str, &'a ObjectMeta>,
    done: ShellDone,
    is_utc: Option<bool>,
}

/// The tables of the dump.
pub(super) async fn catalog(
    place: &ExportPlace,
    folder: &Location,
    listed: &[(String, ObjectMeta)],
) -> Result<Vec<ExportedTable>, Trouble> {
    let files: HashMap<&str, &ObjectMeta> = listed.iter().map(|(path, meta)| (path.as_str(), meta)).collect();
    let unfinished = || ExportFault::Unfinished { folder: folder.to_string(), mark: DONE };
    if !files.contains_key(DONE) {
        return Err(unfinished().into());
    }
    if let Some(path) = files.keys().filter(|path| path.ends_with(".dumping")).min() {
        let reason = "it is the beginning of a file that was not finished".to_owned();
        return Err(ExportFault::Cut { file: (*path).to_owned(), reason }.into());
    }
    let begun: ShellBegun = parsed(BEGUN, &place.get(&folder.join(BEGUN)).await?)?;
    let done: ShellDone = parsed(DONE, &place.get(&folder.join(DONE)).await?)?;
    refuse_charset(begun.default_character_set.as_deref())?;
    let dump = ShellDump { place, folder, files, done, is_utc: begun.tz_utc };
    let mut named = Vec::new();
    for schema in begun.schemas {
        let base = begun.basenames.get(&schema).unwrap_or(&schema);
        let file = format!("{base}.json");
        let ShellSchema { tables, basenames } = dump.json(BEGUN, &file).await?;
        for table in tables {
            let base = basenames.get(&table).cloned().unwrap_or_else(|| format!("{base}@{table}"));
            named.push((schema.clone(), table, base, file.clone()));
        }
    }
    for (schema, tables) in &dump.done.table_data_bytes {
        if let Some(table) =
            tables.keys().find(|table| !named.iter().any(|(of, name, ..)| of == schema && name == *table))
        {
            let what = format!("{schema}.{table}, whose {schema}@{table}.json");
            return Err(ExportFault::Missing { manifest: DONE.to_owned(), what }.into());
        }
    }
    let tables = named.iter().map(|(schema, table, base, list)| dump.table(schema, table, base, list));
    futures::stream::iter(tables).buffered(AT_ONCE).try_collect().await
}

fn parsed<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, ExportFault> {
    serde_json::from_slice(bytes)
        .map_err(|error| ExportFault::Metadata { file: file.to_owned(), reason: error.to_string() })
}

fn refuse_charset(charset: Option<&str>) -> Result<(), ExportFault> {
    let Some(charset) = charset.filter(|charset| !is_utf8(charset) || charset.eq_ignore_ascii_case("binary")) else {
        return Ok(());
    };
    let help = "dump again with the option defaultCharacterSet: 'utf8mb4'";
    Err(ExportFault::Unread { what: format!("a dump in the character set {charset}"), help })
}

impl ShellDump<'_> {
    /// A file that `list` names.
    async fn bytes(&self, list: &str, file: &str) -> Result<bytes::Bytes, Trouble> {
        if !self.files.contains_key(file) {
            return Err(ExportFault::Missing { manifest: list.to_owned(), what: file.to_owned() }.into());
        }
        self.place.get(&self.folder.join(file)).await
    }

    async fn json<T: DeserializeOwned>(&self, list: &str, file: &str) -> Result<T, Trouble> {
        Ok(parsed(file, &self.bytes(list, file).await?)?)
    }

    async fn table(&self, schema: &str, table: &str, base: &str, list: &str) -> Result<ExportedTable, Trouble> {
        let file = format!("{base}.json");
        let info: ShellTable = self.json(list, &file).await?;
        let names = vec![schema.to_owned(), table.to_owned()];
        if !info.includes_data {
            return Ok(unreadable(names, "the dump has no data of it", false));
        }
        refuse_charset(info.options.default_character_set.as_deref())?;
        let csv = csv_options(&info.options, &info.extension)?;
        let mut ddl = None;
        if info.includes_ddl {
            let sql = format!("{base}.sql");
            let found = table_sql(&sql, &self.bytes(&file, &sql).await?)?;
            let none = || ExportFault::Metadata { file: sql.clone(), reason: "it creates no table".to_owned() };
            ddl = Some(found.table.ok_or_else(none)?);
        }
        let mut coded = Vec::new();
        for (column, function) in &info.options.decode_columns {
            let code = match function.as_str() {
                "FROM_BASE64" => BytesCode::Base64,
                "UNHEX" => BytesCode::Hex,
                other => {
                    let reason = format!("the values of {column} are for the function {other}, which is not known");
                    return Ok(unreadable(names, &reason, true));
                }
            };
            let declared = ddl.iter().flat_map(|ddl| &ddl.columns).find(|of| of.name == *column);
            let is_bits = declared.is_some_and(|column| is_bit(&column.declared));
            coded.push(CodedColumn { column: column.clone(), code, is_bits });
        }
        coded.sort_by(|one, other| one.column.cmp(&other.column));
        let files = self.files_of(schema, table, base, &info).await?;
        let columns = &info.options.columns;
        let text = TextTable { names, ddl, is_utc: self.is_utc, columns, coded, csv, files };
        let mut exported = text.exported();
        if let Some(condition) = info.condition.filter(|condition| !condition.is_empty()) {
            exported.notes.push(format!("The dump has only the rows where {condition}."));
        }
        Ok(exported)
    }

    /// The files of a table, which are all there.
    async fn files_of(
        &self,
        schema: &str,
        table: &str,
        base: &str,
        info: &ShellTable,
    ) -> Result<Vec<FileEntry>, Trouble> {
        let bases: Vec<String> = match &*info.partitions {
            [] => vec![base.to_owned()],
            partitions => {
                let of = |name: &String| info.basenames.get(name).cloned().unwrap_or_else(|| format!("{base}@{name}"));
                partitions.iter().map(of).collect()
            }
        };
        let mut names = Vec::new();
        for base in &bases {
            names.extend(chunks(base, &info.extension, |name| self.files.contains_key(name))?);
        }
        let sizes: Vec<u64> =
            futures::stream::iter(names.iter().map(|name| self.size_of(name))).buffered(AT_ONCE).try_collect().await?;
        let stated =
            |all: &BTreeMap<String, BTreeMap<String, u64>>| all.get(schema).and_then(|of| of.get(table)).copied();
        let found = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        if let Some(stated) = stated(&self.done.table_data_bytes).filter(|stated| *stated != found) {
            let (one, other) = (format!("all files of {schema}.{table}"), DONE.to_owned());
            return Err(ExportFault::Counts { one, found, unit: "bytes", other, stated }.into());
        }
        // Of several files it is not known which has how many.
        let rows = stated(&self.done.table_rows).filter(|_| names.len() == 1);
        let is_plain = !info.extension.ends_with(".zst") && !info.extension.ends_with(".gz");
        let mut entries = Vec::with_capacity(names.len());
        for (name, size) in names.iter().zip(sizes) {
            let Some(meta) = self.files.get(name.as_str()) else { continue };
            let found = entry(self.folder, meta);
            if is_plain && size != meta.size {
                let reason = format!("it has {} bytes, but the dump says {size}", meta.size);
                return Err(ExportFault::Cut { file: name.clone(), reason }.into());
            }
            entries.push(FileEntry { uri: Split::Sized(size).uri(&found.uri).into(), n_record: rows, ..found });
        }
        Ok(entries)
    }

    /// The bytes that a file unpacks to.
    async fn size_of(&self, name: &str) -> Result<u64, Trouble> {
        if let Some(size) = self.done.chunk_file_bytes.get(name) {
            return Ok(*size);
        }
        let index = format!("{name}.idx");
        // Versions that do not write it have the size in the other file.
        let bytes = self.bytes(name, &index).await?;
        let Some(last) = bytes.last_chunk::<8>().filter(|_| bytes.len() % 8 == 0) else {
            let reason = format!("it has {} bytes, and not 8 for each offset", bytes.len());
            return Err(ExportFault::Cut { file: index, reason }.into());
        };
        Ok(u64::from_be_bytes(*last))
    }
}

/// The files of a table or partition in their order: all rows in one, or chunks from 0 on, of which the last is
/// marked.
fn chunks(base: &str, extension: &str, has: impl Fn(&str) -> bool) -> Result<Vec<String>, ExportFault> {
    let whole = format!("{base}.{extension}");
    let mut names = Vec::new();
    loop {
        let number = names.len();
        let [more, last] = ["@", "@@"].map(|mark| format!("{base}{mark}{number}.{extension}"));
        match (has(&more), has(&last)) {
            (true, false) => names.push(more),
            (false, true) => {
                names.push(last);
                break;
            }
            (false, false) if number == 0 && has(&whole) => return Ok(vec![whole]),
            (false, false) if number == 0 => {
                return Err(ExportFault::Missing { manifest: format!("{base}.json"), what: whole });
            }
            (false, false) => {
                let what = format!("chunk {number} of {base}");
                return Err(ExportFault::Gap { place: "the folder".to_owned(), what });
            }
            (true, true) => {
                let reason = format!("{more} is there, too: the files of two dumps");
                return Err(ExportFault::Metadata { file: last, reason });
            }
        }
    }
    let after = ["@", "@@"].map(|mark| format!("{base}{mark}{}.{extension}", names.len()));
    match after.into_iter().chain([whole]).find(|name| has(name)) {
        Some(other) => {
            let reason = format!("{} is there, too: the files of two dumps", names[names.len() - 1]);
            Err(ExportFault::Metadata { file: other, reason })
        }
        None => Ok(names),
    }
}

/// How the files are written.
fn csv_options(dialect: &ShellDialect, extension: &str) -> Result<CsvOptions, ExportFault> {
    let unread = |what: String| ExportFault::Unread { what, help: "dump again with the default dialect" };
    let byte = |text: &str| match text.as_bytes() {
        [] => Ok(None),
        [byte] if byte.is_ascii() => Ok(Some(*byte)),
        _ => Err(unread(format!("a dump with {text:?} as a separator"))),
    };
    if extension.starts_with("json") {
        return Err(unread("a dump as JSON".to_owned()));
    }
    let terminator = match dialect.lines_terminated_by.as_str() {
        "\n" => Some(b'\n'),
        // Line ends in values are escaped.
        "\r\n" => None,
        other => return Err(unread(format!("a dump with lines that end with {other:?}"))),
    };
    let (delimiter, quote, escape) =
        (byte(&dialect.fields_terminated_by)?, byte(&dialect.fields_enclosed_by)?, byte(&dialect.fields_escaped_by)?);
    let (Some(delimiter), Some(b'\\')) = (delimiter, escape) else {
        return Err(unread("a dump without a separator, or without backslashes as escapes".to_owned()));
    };
    let csv = CsvOptions {
        has_header: false,
        delimiter,
        quote,
        escape,
        escape_sequences: true,
        terminator,
        null_regex: Some(r"^\\N$".to_owned()),
        ..CsvOptions::default()
    };
    match csv.clash() {
        None => Ok(csv),
        Some(_) => Err(unread("a dump whose separators are not different characters".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_end_with_the_one_that_is_marked() {
        let of = |names: &[&str]| chunks("s@t", "tsv", |name| names.contains(&name)).map_err(|error| error.to_string());
        assert_eq!(of(&["s@t.tsv"]).unwrap(), ["s@t.tsv"]);
        assert_eq!(of(&["s@t@@0.tsv"]).unwrap(), ["s@t@@0.tsv"]);
        assert_eq!(of(&["s@t@@2.tsv", "s@t@0.tsv", "s@t@1.tsv"]).unwrap(), ["s@t@0.tsv", "s@t@1.tsv", "s@t@@2.tsv"]);
        for (names, error) in [
            (&["s@u.tsv"][..], "s@t.json lists s@t.tsv, which is not there"),
            (&["s@t@0.tsv"], "the folder has no chunk 1 of s@t, though it has others"),
            (&["s@t@0.tsv", "s@t@@2.tsv"], "the folder has no chunk 1 of s@t, though it has others"),
            (&["s@t@@1.tsv", "s@t.tsv.zst"], "s@t.json lists s@t.tsv, which is not there"),
            (&["s@t@@0.tsv", "s@t@1.tsv"], "s@t@1.tsv: s@t@@0.tsv is there, too: the files of two dumps"),
            (&["s@t@@0.tsv", "s@t.tsv"], "s@t.tsv: s@t@@0.tsv is there, too: the files of two dumps"),
            (&["s@t@@0.tsv", "s@t@0.tsv"], "s@t@@0.tsv: s@t@0.tsv is there, too: the files of two dumps"),
        ] {
            assert_eq!(of(names).unwrap_err(), error);
        }
    }
}
