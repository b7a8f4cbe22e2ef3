//! The SQL that is written: a config, and a model per table, with the reasons as comments. Pure, and the same for the
//! same facts.

use std::fmt::Write as _;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use indicatif::{HumanBytes, HumanCount};

use super::names::{comment, escaped, literal};
use crate::config::{
    ColumnSet, Compression, CsvOptions, ExportKind, FileFormat, JsonDialect, JsonOptions, TextOptions, csv_dialect,
};
use crate::init::survey::locate::HERE;
use crate::init::survey::read::Read;
use crate::init::tables::found_table::{FoundTable, Item, NamedTable};
use crate::init::tables::profile::Profile;
use crate::init::tables::proposal::{PartitionColumn, Scheme};
use crate::layout::below;
use crate::types::ident;
use crate::types::{sql_type, type_name};

/// Columns that a comment behind code may start at, at most.
const COMMENT_AT: usize = 60;

/// Characters of a type that stand on one line.
const WIDE: usize = 80;

/// What the config says beside its tables.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// As the user named it.
    pub(super) location: String,
    /// From the config's folder on, or a URL, without a slash at the end.
    pub(super) base: String,
    /// The config as the user named it.
    pub(super) config: String,
    pub(super) database: String,
    /// Why it is this one.
    pub(super) schema: Option<String>,
    pub(super) time: String,
    pub(super) why_time: &'static str,
    pub(super) staging: String,
    pub(super) datalake: String,
    pub(super) models: String,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) read: Read,
    /// What a running database is, if the tables are of one.
    pub(super) server: Option<String>,
}

fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// The config.
pub(super) fn config(frame: &Frame, tables: &[NamedTable]) -> String {
    let mut text = String::new();
    let tables_found = count(tables.len() as u64, "table");
    let (files, bytes) = (count(frame.files, "file"), HumanBytes(frame.bytes));
    let config = comment(&frame.config);
    let found = format!("{tables_found} that `snaplake init` found in {}", comment(&frame.location));
    let mut lines = match &frame.server {
        None => vec![
            format!("{found}: {files}, {bytes}."),
            format!(
                "It read {} of them. The config is a proposal: review and change it.",
                HumanBytes(frame.read.bytes)
            ),
            String::new(),
            format!("    snaplake plan {config}     show the plan; writes nothing"),
            format!("    snaplake run {config}      stage, audit, publish, validate; a rerun does the rest"),
        ],
        Some(server) => vec![
            format!("{found}: {}, about {bytes}.", comment(server)),
            "It read the catalogue and no row. The config is a proposal: review and change it.".to_owned(),
            String::new(),
            format!(
                "    snaplake run {config}      export once, stage, audit, publish, validate; a rerun does the rest"
            ),
            format!("    snaplake plan {config}     show the plan of what was exported; writes nothing"),
        ],
    };
    let snapshot = if frame.server.is_some() { "postgres://user@host/database" } else { "s3://bucket/export" };
    lines.extend([
        String::new(),
        "To use other locations:".to_owned(),
        format!("    --var snapshot={snapshot}  --var staging=s3://bucket/staging  --var datalake=s3://bucket/lake"),
    ]);
    for line in lines {
        push_comment(&mut text, &line);
    }
    text.push('\n');
    push_line(&mut text, &format!("SET snaplake.database      = {};", literal(&frame.database)));
    if let Some(schema) = &frame.schema {
        push_line(&mut text, &format!("SET snaplake.schema        = {};", literal(schema)));
    }
    push_line(&mut text, &format!("SET snaplake.snapshot_time = {};  -- {}", literal(&frame.time), frame.why_time));
    push_line(&mut text, &format!("SET snaplake.staging       = '${{staging:-{}}}';", escaped(&frame.staging)));
    push_line(&mut text, &format!("SET snaplake.datalake      = '${{datalake:-{}}}';", escaped(&frame.datalake)));
    push_line(&mut text, &format!("SET snaplake.models        = {};", literal(&frame.models)));
    for table in tables {
        text.push('\n');
        snapshot_table(&mut text, frame, table);
    }
    text
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn push_comment(text: &mut String, line: &str) {
    push_line(text, format!("-- {line}").trim_end());
}

fn snapshot_table(text: &mut String, frame: &Frame, NamedTable { name, found }: &NamedTable) {
    // A name may have a line end.
    push_comment(text, &comment(&format!("{}.", about(found))));
    for note in &found.notes {
        push_comment(text, &comment(note));
    }
    let table = ident(name);
    match &found.declared {
        None => push_line(text, &format!("CREATE EXTERNAL TABLE snapshot.{table}")),
        Some(schema) => {
            push_line(text, &format!("CREATE EXTERNAL TABLE snapshot.{table} ("));
            let names: Vec<String> = schema.fields().iter().map(|field| ident(field.name())).collect();
            let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(40);
            for (index, (name, field)) in names.iter().zip(schema.fields()).enumerate() {
                let comma = if index + 1 < names.len() { "," } else { "" };
                let data_type = declared(field.data_type());
                push_line(text, &format!("  {name:<width$} {data_type}{comma}"));
            }
            push_line(text, ")");
        }
    }
    if !found.partitioned_by.is_empty() {
        let columns = found.partitioned_by.iter().map(|(name, data_type)| [ident(name), declared(data_type)].join(" "));
        push_line(text, &format!("PARTITIONED BY ({})", columns.collect::<Vec<_>>().join(", ")));
    }
    push_line(text, &format!("STORED AS {}", found.stored_as()));
    let locations: Vec<String> =
        found.locations.iter().map(|location| location_literal(&frame.base, location)).collect();
    let mut options: Vec<(String, String)> = match &found.export {
        Some(export) if !export.kind.takes_csv_options() => Vec::new(),
        of_export => {
            let options = options(&found.format, of_export.is_some()).into_iter();
            options.map(|(key, value)| (format!("format.{key}"), value)).collect()
        }
    };
    let table = found.export.as_ref().and_then(|export| export.table.clone());
    options.splice(0..0, table.map(|table| ("table".to_owned(), table)));
    // What the sample did not have, or a later export has, must not go missing.
    let has_names = match &found.format {
        FileFormat::Json(_) => true,
        FileFormat::Csv(csv) => csv.has_header && found.export.is_none(),
        _ => false,
    };
    if has_names && found.declared.is_some() {
        options.push(("undeclared".to_owned(), "error".to_owned()));
    }
    let end = if options.is_empty() { ";" } else { "" };
    match locations.as_slice() {
        [one] => push_line(text, &format!("LOCATION {one}{end}")),
        many => push_line(text, &format!("LOCATION (\n  {}\n){end}", many.join(",\n  "))),
    }
    if !options.is_empty() {
        let options = options.iter().map(|(key, value)| format!("'{key}' {}", literal(value)));
        push_line(text, &format!("OPTIONS ({});", options.collect::<Vec<_>>().join(", ")));
    }
}

/// The type of a column, one line per field if it has many.
fn declared(data_type: &DataType) -> String {
    let whole = sql_type(data_type).unwrap_or_else(|| "VARCHAR".to_owned());
    let DataType::Struct(fields) = data_type else { return whole };
    if whole.len() <= WIDE {
        return whole;
    }
    let field = |field: &FieldRef| Some(format!("\n    {} {}", ident(field.name()), sql_type(field.data_type())?));
    let lines: Vec<String> = fields.iter().filter_map(field).collect();
    format!("STRUCT<{}\n  >", lines.join(","))
}

/// `13 files, 7.86 MiB, CSV: 336,776 rows`.
fn about(found: &FoundTable) -> String {
    let rows = match found.rows {
        (rows, true) => count(rows, "row"),
        (rows, false) => format!("about {}", count(rows, "row")),
    };
    let (files, bytes) = (count(found.files, "file"), HumanBytes(found.bytes));
    let format = found.stored_as();
    if let Some(export) = found.export.as_ref().filter(|export| export.kind == ExportKind::Postgres) {
        let rows = if found.rows.0 > 0 { format!(", {rows}") } else { String::new() };
        return format!("{}, {bytes} in the database{rows}", export.table.as_deref().unwrap_or_default());
    }
    let (files, table) = match &found.export {
        Some(export) if matches!(export.kind, ExportKind::PgDump | ExportKind::MySqlDump) => {
            (count(found.files, "part"), export.table.as_deref().unwrap_or_default())
        }
        Some(export) if export.kind == ExportKind::MongoDbDump => (files, export.table.as_deref().unwrap_or_default()),
        _ => (files, ""),
    };
    let table = if table.is_empty() { String::new() } else { format!("{table}, ") };
    format!("{table}{files}, {bytes}, {format}: {rows}")
}

fn location_literal(base: &str, location: &str) -> String {
    let is_plain = !base.contains(['}', '$']);
    let rest = if location == HERE { "" } else { location };
    let whole = if location.is_empty() { base.to_owned() } else { below(base, rest) };
    match whole.strip_prefix(base).filter(|_| is_plain) {
        Some(rest) => format!("'${{snapshot:-{}}}{}'", escaped(base), escaped(rest)),
        None => literal(&whole),
    }
}

/// Dialects by which files are known, and those of exports.
const DIALECTS: [&str; 3] = ["postgres_text", "mysql", "mysql_batch"];
const EXPORT_DIALECTS: [&str; 3] = ["redshift", "redshift_csv", "dms"];

/// The dialect with just these options, of those in which exports write text.
fn dialect(csv: &CsvOptions, is_export: bool) -> Option<&'static str> {
    let written = CsvOptions { columns: Vec::new(), coded: Vec::new(), text: TextOptions::default(), ..csv.clone() };
    let mut names = DIALECTS.iter().chain(is_export.then_some(&EXPORT_DIALECTS).into_iter().flatten()).copied();
    names.find(|name| csv_dialect(name).is_some_and(|csv| csv == written))
}

/// Options that a table needs, in the order of the reference; those of an export are a dialect, if there is one.
fn options(format: &FileFormat, is_export: bool) -> Vec<(&'static str, String)> {
    let mut options = match format {
        FileFormat::Csv(csv) => match dialect(csv, is_export) {
            Some(name) => vec![("dialect", name.to_owned())],
            None => csv_options(csv),
        },
        FileFormat::Json(JsonOptions { dialect, .. }) => {
            let is_named = !matches!(dialect, JsonDialect::Plain | JsonDialect::Bson);
            is_named.then(|| ("dialect", dialect.name().to_owned())).into_iter().collect()
        }
        _ => Vec::new(),
    };
    let name = format.text().and_then(|text| text.compression).map(|compression| match compression {
        Compression::None => "uncompressed",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::Bzip2 => "bzip2",
        Compression::Xz => "xz",
    });
    options.extend(name.map(|name| ("compression", name.to_owned())));
    options
}

/// Those that are not as they are without a word.
fn csv_options(csv: &CsvOptions) -> Vec<(&'static str, String)> {
    let byte = |byte: u8| match byte {
        b'\t' => r"\t".to_owned(),
        b'\n' => r"\n".to_owned(),
        b'\r' => r"\r".to_owned(),
        byte => char::from(byte).to_string(),
    };
    let default = CsvOptions::default();
    let mut options = vec![("has_header", csv.has_header.to_string())];
    options.extend((csv.delimiter != default.delimiter).then(|| ("delimiter", byte(csv.delimiter))));
    let quote = csv.quote.map(byte).unwrap_or_default();
    options.extend((csv.quote != default.quote).then_some(("quote", quote)));
    options.extend(csv.escape.map(|escape| ("escape", byte(escape))));
    options.extend(csv.escape.map(|_| ("escape_sequences", csv.escape_sequences.to_string())));
    options.extend(csv.terminator.map(|terminator| ("terminator", byte(terminator))));
    options.extend(csv.comment.map(|comment| ("comment", byte(comment))));
    options.extend(csv.null_regex.clone().map(|pattern| ("null_regex", pattern)));
    options.extend(match &csv.force_null {
        ColumnSet::None => None,
        ColumnSet::All => Some(("force_null", "true".to_owned())),
        ColumnSet::Columns(names) => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            Some(("force_null", names.join(", ")))
        }
    });
    options
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The model of one table.
pub(super) fn model(NamedTable { name, found }: &NamedTable) -> String {
    let mut text = String::new();
    let proposal = &found.proposal;
    push_comment(&mut text, &comment(&format!("{name}: {}.", about(found))));
    let sampled = found.read.rows;
    if sampled > 0 && (sampled, true) != found.rows {
        push_comment(&mut text, &format!("The comments describe a sample of {}.", count(sampled, "row")));
    }
    push_comment(&mut text, &comment(&proposal.why_partitions));
    push_comment(&mut text, &comment(&proposal.why_sorted));
    text.push('\n');
    push_line(&mut text, &format!("CREATE TABLE lake.{}", ident(name)));
    push_line(&mut text, "WITH (");
    for scheme in &proposal.alternatives {
        push_line(
            &mut text,
            &format!(
                "  -- partitioned_by = {},  -- {}",
                array(scheme.columns.iter().map(PartitionColumn::name)),
                comment(&scheme.why)
            ),
        );
    }
    let mut properties = vec![("format", "'PARQUET'".to_owned())];
    if !proposal.partitions.is_empty() {
        properties.push(("partitioned_by", array(proposal.partitions.iter().map(PartitionColumn::name))));
    }
    if !proposal.sorted_by.is_empty() {
        properties.push(("sorted_by", array(proposal.sorted_by.iter().map(String::as_str))));
    }
    let width = properties.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (index, (key, value)) in properties.iter().enumerate() {
        let comma = if index + 1 < properties.len() { "," } else { "" };
        push_line(&mut text, &format!("  {key:<width$} = {value}{comma}"));
    }
    push_line(&mut text, ") AS");
    push_line(&mut text, "SELECT");
    for Scheme { columns, .. } in &proposal.alternatives {
        let parts: Vec<String> = columns.iter().filter_map(|column| part(column, &found.items)).collect();
        if !parts.is_empty() {
            push_line(&mut text, &format!("  -- {},", parts.join(", ")));
        }
    }
    select(&mut text, found);
    let _ = writeln!(text, "FROM snapshot.{};", ident(name));
    text
}

/// `ARRAY['year', '"Order Id"']`
fn array<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| literal(&ident(name))).collect();
    format!("ARRAY[{}]", names.join(", "))
}

/// A part of a date as an item of the SELECT.
fn part(partition: &PartitionColumn, items: &[Item]) -> Option<String> {
    let PartitionColumn::Part { part, column, is_text, name } = partition else { return None };
    let item = items.iter().find(|item| item.name == *column)?;
    let date = if *is_text { format!("try_cast({} AS TIMESTAMP)", item.expr) } else { item.expr.clone() };
    Some(format!("{part}({date}) AS {}", ident(name)))
}

fn select(text: &mut String, found: &FoundTable) {
    let parts = found.proposal.partitions.iter().filter_map(|column| part(column, &found.items));
    let parts: Vec<(String, String)> = parts.map(|part| (part, String::new())).collect();
    let columns = found.items.iter().map(|item| {
        let name = ident(&item.name);
        let code = if item.expr == name { name } else { format!("{} AS {name}", item.expr) };
        (code, figures(item))
    });
    let lines: Vec<(String, String)> = parts.into_iter().chain(columns).collect();
    let width = lines.iter().map(|(code, _)| code.chars().count() + 1).filter(|width| *width <= COMMENT_AT).max();
    let width = width.unwrap_or(COMMENT_AT);
    let first = lines.len() - found.items.len();
    for (index, (code, figures)) in lines.iter().enumerate() {
        let item = index.checked_sub(first).map(|index| &found.items[index]);
        if let Some((expr, why)) = item.and_then(|item| item.alternative.as_ref()) {
            let name = item.map(|item| ident(&item.name)).unwrap_or_default();
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            push_line(text, &comment(&format!("  -- {expr} AS {name},  -- instead of the next line{why}")));
        }
        let comma = if index + 1 < lines.len() { "," } else { "" };
        let code = format!("{code}{comma}");
        let line =
            if figures.is_empty() { format!("  {code}") } else { format!("  {code:<width$}  -- {}", comment(figures)) };
        push_line(text, &line);
    }
}

/// `BIGINT, 1,318 values, 2 % NULL; a note`
fn figures(item: &Item) -> String {
    let Profile { rows, nulls, distinct, is_capped, is_unique, .. } = item.profile;
    let mut text = type_name(&item.data_type);
    if rows > 0 && nulls == rows {
        text.push_str(", all NULL");
    } else if rows > 0 {
        if is_unique && rows > 1 {
            text.push_str(", unique");
        } else if !is_capped {
            let _ = write!(text, ", {}", count(distinct, "value"));
        } else if distinct > 0 {
            let _ = write!(text, ", more than {} values", HumanCount(distinct));
        }
        if nulls > 0 {
            let share = nulls * 100 / rows;
            let share = if share == 0 { "under 1".to_owned() } else { share.to_string() };
            let _ = write!(text, ", {share} % NULL");
        }
    }
    if let Some(note) = &item.note {
        let _ = write!(text, "; {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use datafusion::arrow::datatypes::{Field, Schema};
    use proptest::prelude::*;

    use super::*;
    use crate::config::{ExportTable, Variables, load};
    use crate::init::tables::found_table::TableSize;
    use crate::init::tables::propose::propose;

    fn frame() -> Frame {
        Frame {
            location: "export".into(),
            base: "../export".into(),
            config: "configs/shop.sql".into(),
            database: "shop".into(),
            schema: None,
            time: "2024-01-31T00:00:00Z".into(),
            why_time: "time of the newest file",
            staging: "../out/staging".into(),
            datalake: "../out/datalake".into(),
            models: "models/*.sql".into(),
            files: 2,
            bytes: 2_000,
            read: Read { files: 2, bytes: 2_000, rows: 20, requests: 2 },
            server: None,
        }
    }

    fn table(name: &str, columns: &[&str], options: CsvOptions, locations: &[&str]) -> NamedTable {
        let field = |name: &&str| Field::new(*name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let items: Vec<Item> = columns
            .iter()
            .map(|name| Item {
                name: (*name).to_owned(),
                expr: ident(name),
                data_type: DataType::Int64,
                profile: Profile { rows: 20, nulls: 1, distinct: 7, top: 3, ..Profile::default() },
                ..Item::default()
            })
            .collect();
        let proposal = propose(name, &items, TableSize { lake_bytes: 1_000, is_whole: true });
        let found = FoundTable {
            wishes: Vec::new(),
            folder: String::new(),
            locations: locations.iter().map(|location| (*location).to_owned()).collect(),
            export: None,
            format: FileFormat::Csv(options),
            declared: Some(schema),
            partitioned_by: Vec::new(),
            items,
            files: 2,
            bytes: 2_000,
            rows: (20, true),
            read: Read { files: 2, bytes: 2_000, rows: 20, requests: 2 },
            newest: DateTime::UNIX_EPOCH,
            notes: vec!["NULL is written NA.".into()],
            proposal,
        };
        NamedTable { name: name.to_owned(), found }
    }

    #[test]
    fn config_and_model_read_well() {
        let mut named = table(
            "orders",
            &["id", "Total"],
            CsvOptions { null_regex: Some("^NA$".into()), ..CsvOptions::default() },
            &["orders/"],
        );
        named.found.items[1].alternative = Some(("CAST(\"Total\" AS DECIMAL(18,2))".into(), "exact".into()));
        insta::assert_snapshot!(config(&frame(), std::slice::from_ref(&named)));
        insta::assert_snapshot!(model(&named));
    }

    /// The format of the only table, as the config that is written says it.
    fn read_back(named: &NamedTable) -> FileFormat {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("shop.sql");
        std::fs::create_dir(home.path().join("models")).unwrap();
        std::fs::write(&path, config(&frame(), std::slice::from_ref(named))).unwrap();
        std::fs::write(home.path().join("models/t.sql"), model(named)).unwrap();
        load(&path, &Variables::default()).unwrap().snapshots[0].format.clone()
    }

    #[test]
    fn text_of_an_export_is_read_in_the_dialect_that_was_tried() {
        for (kind, name) in [
            (ExportKind::RedshiftUnload, "redshift"),
            (ExportKind::RedshiftUnload, "redshift_csv"),
            (ExportKind::Dms, "dms"),
        ] {
            let dialect = csv_dialect(name).unwrap();
            let changed = CsvOptions { has_header: true, delimiter: b';', ..dialect.clone() };
            for options in [dialect, changed] {
                let mut named = table("orders", &["id"], options.clone(), &["in/orders_manifest"]);
                named.found.export = Some(ExportTable::of(kind, Some("shop.orders".into())));
                assert_eq!(read_back(&named), FileFormat::Csv(options), "{name}");
            }
        }
        let mut named = table("orders", &["id"], csv_dialect("redshift_csv").unwrap(), &["in/orders_manifest"]);
        named.found.export = Some(ExportTable::of(ExportKind::RedshiftUnload, None));
        let written = config(&frame(), std::slice::from_ref(&named));
        assert!(written.contains("OPTIONS ('format.dialect' 'redshift_csv');"), "{written}");
    }

    proptest! {
        /// Whatever names and options a table has: what is written is read back as these, and nothing in a name ends
        /// a literal, a comment or a variable.
        #[test]
        fn what_is_written_is_read_back(
            name in "[a-zé$' {}]{1,8}",
            columns in prop::collection::btree_set("[a-zA-Zé$'\"{} \n-]{1,8}", 1..5),
            folder in "[a-zé$' {}-]{1,8}/",
            null in prop::option::of("[a-z$'{}]{1,5}"),
        ) {
            prop_assume!(name.trim() == name);
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let null_regex = null.map(|word| regex::escape(&word));
            let options = CsvOptions { null_regex, delimiter: b'\t', has_header: false, ..CsvOptions::default() };
            let named = table(&name, &columns, options.clone(), &[&folder]);
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("shop.sql");
            std::fs::create_dir(home.path().join("models")).unwrap();
            std::fs::write(&path, config(&frame(), std::slice::from_ref(&named))).unwrap();
            std::fs::write(home.path().join("models/t.sql"), model(&named)).unwrap();
            let project = load(&path, &Variables::default()).unwrap();
            prop_assert_eq!(&project.lakes[0].name, &name);
            let snapshot = &project.snapshots[0];
            prop_assert_eq!(&snapshot.format, &FileFormat::Csv(options));
            let declared: Vec<_> = snapshot.declared.as_ref().unwrap().fields().iter().map(|field| field.name().clone()).collect();
            prop_assert_eq!(declared, columns);
            prop_assert!(snapshot.locations[0].0.uri().ends_with(&below("export", &folder)));
        }
    }
}
