//! What CREATE EXTERNAL TABLE means: declared columns, format and its options, locations.
//!
//! DataFusion's statement is taken as it is, less the clauses that make no sense for a finished set of files. Nothing
//! is looked up in a store: whether a location holds files is found out while planning.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::planner::{ContextProvider, TypePlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast::ColumnDef;

use super::dialects;
use super::exclude::Exclude;
use super::export::{AddressForm, DatabaseUrl, ExportKind, ExportTable};
use super::invalid::OnInvalid;
use super::keys::{bad_value, bare_name, known_key, location};
use super::options::{FORMAT_PREFIX, JSON_OPTIONS, SNAPSHOT_OPTIONS};
use super::tables::SnapshotTable;
use super::timetype::TimeTypes;
use super::values::{self, ColumnSet, CsvOptions, FileFormat, JsonDialect, JsonOptions, TextOptions, Undeclared};
use crate::config::text::parse::lower_first;
use crate::config::text::statement::{ExternalTable, PlacedText, Property};
use crate::error::redact::REDACTOR;
use crate::error::{ConfigError, Position, Result};
use crate::layout::Location;
use crate::layout::partition;
use crate::types::sqltype::type_name;

/// What CREATE EXTERNAL TABLE means.
pub(super) fn snapshot_table(at: &Position, statement: ExternalTable, base: &Path) -> Result<SnapshotTable> {
    let name = bare_name("CREATE EXTERNAL TABLE", "snapshot", &statement.name)?;
    if let Some((clause, at)) = statement.other_clauses.first() {
        let reason = match *clause {
            "WITH ORDER" => "a snapshot has no order; sort the lake with WITH (sorted_by = ARRAY[...])",
            _ => "a snapshot is a finished set of files",
        };
        return Err(ConfigError::UnsupportedClause { clause, reason }.at(at));
    }
    let (format, options) = file_format(&statement.format, &statement.options)?;
    let DeclaredColumns { declared, partitioned_by } = columns(&statement, at)?;
    if let (FileFormat::PgBinary(_), None) = (&format, &declared) {
        let message = "STORED AS PG_BINARY needs columns: the files have neither names nor types".to_owned();
        return Err(ConfigError::Plan { message }.at(at));
    }
    let is_running = options.export.is_some_and(ExportKind::is_running);
    if is_running && declared.is_none() && options.on_invalid.null != ColumnSet::None {
        let message =
            "on_invalid: a running database has no NULL for invalid values; write 'column = text', and convert \
                       it in the SELECT"
                .to_owned();
        return Err(ConfigError::Plan { message }.at(at));
    }
    let mut locations: Vec<(Location, Position)> = Vec::new();
    let mut database = None;
    for written in &statement.locations {
        if let Some(form) = options.export.and_then(ExportKind::address) {
            database = Some(database_url(written, form, base)?);
            continue;
        }
        let location = location(written, base)?;
        if let Some((_, first)) = locations.iter().find(|(other, _)| *other == location) {
            let (name, first) = (written.text.clone(), first.clone());
            return Err(ConfigError::Duplicate { kind: "location", name, first }.at(&written.at));
        }
        locations.push((location, written.at.clone()));
    }
    if let (FileFormat::Csv(csv), Some(schema)) = (&format, &declared)
        && let Some(name) = csv.force_null.unknown(schema)
    {
        let message = format!("force_null names the column {name}, which is not declared");
        return Err(ConfigError::Plan { message }.at(at));
    }
    let LocationOptions { export, table, exclude, ignore_table_format, undeclared, on_invalid, is_text_known } =
        options;
    let mut export = export.map(|kind| ExportTable { kind, table, database, merged: Vec::new(), is_text_known });
    if let (Some(export), [_, (_, second), ..]) = (&mut export, &*locations) {
        if export.kind != ExportKind::DynamoDb {
            let reason = "an export is at one place; write a table for each export";
            return Err(ConfigError::UnsupportedClause { clause: "a second LOCATION", reason }.at(second));
        }
        // A full export and incremental ones: where their merge is, the settings say.
        export.merged.clone_from(&locations);
    }
    Ok(SnapshotTable {
        name,
        at: at.clone(),
        declared,
        partitioned_by,
        exclude,
        ignore_table_format,
        undeclared,
        on_invalid,
        format,
        export,
        locations,
    })
}

/// The address of a database.
fn database_url(written: &PlacedText, form: &AddressForm, base: &Path) -> Result<DatabaseUrl> {
    DatabaseUrl::parse(&written.text, form, base).map_err(|reason| {
        let location = REDACTOR.redact(&written.text).into_owned();
        ConfigError::BadLocation { location, reason }.at(&written.at)
    })
}

/// The words after STORED AS.
const FORMATS: &str = "PARQUET, CSV, JSON, AVRO, ARROW, BSON, PG_BINARY, RDS_EXPORT, DYNAMODB_EXPORT, PG_DUMP, MYSQL_DUMP, MONGODB_DUMP, \
     REDSHIFT_UNLOAD, DMS_EXPORT, POSTGRES or MYSQL";

/// Options that say which files are read, not how.
#[derive(Default)]
struct LocationOptions {
    export: Option<ExportKind>,
    table: Option<String>,
    exclude: Exclude,
    ignore_table_format: bool,
    undeclared: Undeclared,
    on_invalid: OnInvalid,
    /// An option says how text is written, or the kind of export does.
    is_text_known: bool,
}

fn file_format(stored_as: &PlacedText, options: &[Property<PlacedText>]) -> Result<(FileFormat, LocationOptions)> {
    let export = ExportKind::parse(&stored_as.text);
    let name = match stored_as.text.to_uppercase().as_str() {
        "PARQUET" => "PARQUET",
        "CSV" => "CSV",
        "JSON" | "NDJSON" => "JSON",
        "AVRO" => "AVRO",
        "ARROW" => "ARROW",
        "PG_BINARY" => "PG_BINARY",
        "BSON" => "BSON",
        _ => match export {
            Some(ExportKind::DynamoDb) => "JSON",
            Some(kind) if kind.takes_csv_options() => "CSV",
            Some(_) => "PARQUET",
            None => return Err(bad_value("STORED AS", stored_as, FORMATS)),
        },
    };
    let stored = export.map_or(name, ExportKind::name);
    let (mut csv, mut of_location) = (CsvOptions::default(), LocationOptions::default());
    let takes_options = export.is_none_or(ExportKind::takes_csv_options);
    if export == Some(ExportKind::Dms) {
        csv = dialects::csv("dms").unwrap_or(csv);
    }
    let mut dialect = JsonDialect::Plain;
    let written = options.iter().find(|option| {
        known_key("option", SNAPSHOT_OPTIONS, FORMAT_PREFIX, &option.key)
            .is_ok_and(|option| option.name == "format.dialect")
    });
    if let (Some(Property { value, .. }), "CSV") = (written, name) {
        csv = dialects::csv(&value.text).ok_or_else(|| bad_value("dialect", value, dialects::NAMES))?;
    }
    let mut seen: Vec<(&str, &Position)> = Vec::new();
    for Property { key, value } in options {
        let option = known_key("option", SNAPSHOT_OPTIONS, FORMAT_PREFIX, key)?;
        if option.name == "exclude" {
            let a_glob = "globs with commas between them, such as '*.bak, old/'";
            of_location.exclude.add(&value.text).ok_or_else(|| bad_value("exclude", value, a_glob))?;
            continue;
        }
        if let Some((_, first)) = seen.iter().find(|(name, _)| *name == option.name) {
            let (name, first) = (option.name.to_owned(), (*first).clone());
            return Err(ConfigError::Duplicate { kind: "option", name, first }.at(&key.at));
        }
        seen.push((option.name, &key.at));
        if option.name == "ignore_table_format" {
            let is_ignored = values::boolean(&value.text);
            of_location.ignore_table_format =
                is_ignored.ok_or_else(|| bad_value(option.name, value, "true or false"))?;
            continue;
        }
        if option.name == "on_invalid" && name != "PG_BINARY" {
            let expected = "error, null, or an answer per column, such as 'day = null, note = text'";
            of_location.on_invalid =
                OnInvalid::parse(&value.text).ok_or_else(|| bad_value(option.name, value, expected))?;
            continue;
        }
        if option.name == "undeclared" {
            let undeclared = Undeclared::parse(&value.text);
            of_location.undeclared = undeclared.ok_or_else(|| bad_value(option.name, value, "ignore or error"))?;
            continue;
        }
        of_location.is_text_known |= option.name.starts_with(FORMAT_PREFIX);
        if option.name == "format.dialect" && takes_options && ["CSV", "JSON"].contains(&name) {
            if name == "JSON" {
                let read = JsonDialect::parse(&value.text);
                dialect = read.ok_or_else(|| bad_value("dialect", value, JsonDialect::NAMES))?;
            }
            continue;
        }
        if option.name == "table" && export.is_some() {
            of_location.table = Some(value.text.clone());
            continue;
        }
        let is_held = match name {
            "CSV" => true,
            "JSON" => JSON_OPTIONS.contains(&option.name),
            "PG_BINARY" => option.name == "format.compression",
            "BSON" => ["format.compression", "format.schema_infer_max_rec"].contains(&option.name),
            _ => false,
        };
        if !takes_options || option.name == "table" || !is_held {
            return Err(ConfigError::OptionNotForFormat { option: option.name, format: stored }.at(&key.at));
        }
        set_option(&mut csv, option.name, value)?;
    }
    let of = |name: &str| {
        options.iter().zip(&seen).find(|(_, (option, _))| *option == name).map(|(option, _)| &option.value)
    };
    // A quote that escapes itself is doubled.
    csv.escape = csv.escape.filter(|escape| csv.quote != Some(*escape));
    if of("format.escape_sequences").is_none() {
        csv.escape_sequences = csv.escape == Some(b'\\');
    }
    if let Some(name) = csv.clash() {
        let written = of(name).or_else(|| of("format.delimiter")).or_else(|| of("format.terminator"));
        let expected = "a character of its own: delimiter, quote, escape, comment and line ends must differ";
        return Err(bad_value(name, written.unwrap_or(stored_as), expected));
    }
    of_location.export = export;
    of_location.is_text_known |= export != Some(ExportKind::RedshiftUnload);
    csv.text.undeclared = of_location.undeclared;
    let format = match name {
        "PARQUET" => FileFormat::Parquet,
        "AVRO" => FileFormat::Avro,
        "ARROW" => FileFormat::Arrow,
        "PG_BINARY" => FileFormat::PgBinary(csv.text),
        "BSON" => FileFormat::Json(JsonOptions { dialect: JsonDialect::Bson, text: csv.text }),
        "JSON" => FileFormat::Json(JsonOptions { dialect, text: csv.text }),
        _ => FileFormat::Csv(csv),
    };
    Ok((format, of_location))
}

fn set_option(csv: &mut CsvOptions, name: &'static str, value: &PlacedText) -> Result<()> {
    let bad = |expected| bad_value(name, value, expected);
    let byte = || values::byte(&value.text).ok_or_else(|| bad("one ASCII character, such as ';' or '\\t'"));
    let boolean = || values::boolean(&value.text).ok_or_else(|| bad("true or false"));
    let TextOptions { compression, infer_records, charset, .. } = &mut csv.text;
    match name {
        "format.has_header" => csv.has_header = boolean()?,
        "format.delimiter" => csv.delimiter = byte()?,
        "format.quote" => csv.quote = if value.text.is_empty() { None } else { Some(byte()?) },
        "format.lax_quotes" => csv.lax_quotes = boolean()?,
        "format.escape" => csv.escape = if value.text.is_empty() { None } else { Some(byte()?) },
        "format.escape_sequences" => csv.escape_sequences = boolean()?,
        "format.force_null" => {
            csv.force_null = ColumnSet::parse(&value.text)
                .ok_or_else(|| bad("true, false, or names of columns, such as 'id, day'"))?;
        }
        // CR LF is what a reader without a terminator takes for one line end.
        "format.terminator" => {
            csv.terminator = if [r"\r\n", "\r\n"].contains(&value.text.as_str()) { None } else { Some(byte()?) }
        }
        "format.comment" => csv.comment = Some(byte()?),
        "format.null_regex" => {
            regex::Regex::new(&value.text).map_err(|_| bad("a regular expression, such as '^(NA)?$'"))?;
            csv.null_regex = Some(value.text.clone());
        }
        "format.compression" => {
            *compression =
                values::compression(&value.text).ok_or_else(|| bad("gzip, zstd, bzip2, xz, uncompressed or auto"))?;
        }
        "format.encoding" => {
            let is_known = encoding_rs::Encoding::for_label(value.text.as_bytes()).is_some();
            *charset = Some(is_known.then(|| value.text.to_lowercase()).ok_or_else(|| bad("a name such as latin1"))?);
        }
        "format.schema_infer_max_rec" => {
            let records = value.text.parse().ok().filter(|records| *records > 0);
            *infer_records = Some(records.ok_or_else(|| bad("a number of records, such as 10000"))?);
        }
        _ => {
            boolean()?;
        }
    }
    Ok(())
}

/// The columns of the files, and those of the folders.
struct DeclaredColumns {
    declared: Option<SchemaRef>,
    partitioned_by: Vec<FieldRef>,
}

/// Parts the columns: the parser puts those that PARTITIONED BY declares after the others. `PARTITIONED BY (year)` may
/// also name a column of the list of columns.
fn columns(statement: &ExternalTable, at: &Position) -> Result<DeclaredColumns> {
    let place = statement.partitions_at.as_ref().unwrap_or(at);
    let written = |column: &ColumnDef| column.name.to_string();
    let mut of_folders = Vec::new();
    for name in &statement.partitions {
        let column = statement.columns.iter().find(|column| written(column) == *name).ok_or_else(|| {
            let message = format!("PARTITIONED BY column {name} has no type; write PARTITIONED BY ({name} INT)");
            ConfigError::Plan { message }.at(place)
        })?;
        of_folders.push(column.clone());
    }
    // Together, so that a name that is in both is reported.
    declared(statement.columns.clone(), &at.file)?;
    let of_files = statement.columns.iter().filter(|column| !statement.partitions.contains(&written(column)));
    let partitioned_by = declared(of_folders, &at.file)?.map_or_else(Vec::new, |schema| schema.fields().to_vec());
    if let Some(field) = partitioned_by.iter().find(|field| !partition::is_allowed(field.data_type())) {
        let (column, data_type) = (field.name().clone(), type_name(field.data_type()));
        return Err(ConfigError::PartitionType { column, data_type }.at(place));
    }
    Ok(DeclaredColumns { declared: declared(of_files.cloned().collect(), &at.file)?, partitioned_by })
}

/// The Arrow schema of declared columns; `None` without any.
fn declared(columns: Vec<ColumnDef>, file: &Arc<str>) -> Result<Option<SchemaRef>> {
    let types = Types(ConfigOptions::default());
    let planner = SqlToRel::new(&types);
    let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
    for column in columns {
        let start = column.name.span.start;
        let at = Position { file: Arc::clone(file), line: start.line, column: start.column };
        let name = column.name.to_string();
        let schema = planner.build_schema(vec![column]).map_err(|error| {
            let message = format!("column {name}: {}", lower_first(&error.find_root().message()));
            ConfigError::Plan { message }.at(&at)
        })?;
        for field in schema.fields() {
            if fields.iter().any(|other| other.name() == field.name()) {
                let message = format!("column {name} is declared twice");
                return Err(ConfigError::Plan { message }.at(&at));
            }
            fields.push(Arc::clone(field));
        }
    }
    Ok((!fields.is_empty()).then(|| Arc::new(Schema::new(fields))))
}

/// SQL types need a planner, which needs a catalog: this one is empty.
struct Types(ConfigOptions);

impl ContextProvider for Types {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>, DataFusionError> {
        Err(DataFusionError::Plan(format!("no table {name}")))
    }

    fn get_function_meta(&self, _name: &str) -> Option<Arc<ScalarUDF>> {
        None
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(TimeTypes))
    }

    fn options(&self) -> &ConfigOptions {
        &self.0
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
