//! Tables and views of a config: what their statements mean, with defaults applied and every key and value checked.
//!
//! Each function takes one statement and knows nothing of the others; what only shows in comparison (a name taken
//! twice, overlapping locations) is checked in `resolve`, what only the schema shows (columns) in `select`.

use std::path::Path;

use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::sql::sqlparser::ast;

use super::exclude::Exclude;
use super::export::ExportTable;
use super::invalid::OnInvalid;
use super::keys::{bad_value, bare_name, location, path_name};
use super::properties::Properties;
use super::rules::{Rule, rules};
use super::values::{self, EmptyPartition, FileFormat, GroupSize, LakeKind, SortKey, Undeclared, WriteCompression};
use super::written::WrittenSettings;
use crate::config::text::statement::{LakeStatement, PlacedQuery, ViewStatement};
use crate::config::text::unnamed::unnamed;
use crate::config::text::variables::Held;
use crate::error::{ConfigError, Position, Result};
use crate::layout::Location;

/// CREATE EXTERNAL TABLE snapshot.t: where its files are and how they are decoded.
#[derive(Debug, Clone)]
pub struct SnapshotTable {
    /// Bare name, folded to lower case unless it was quoted.
    pub name: String,
    /// Start of the statement.
    pub at: Position,
    /// Declared columns; `None`: infer from the files.
    pub declared: Option<SchemaRef>,
    /// PARTITIONED BY: columns that follow the others, whose values come from folder names.
    pub partitioned_by: Vec<FieldRef>,
    /// Globs of files that are left out, see [`super::exclude::Exclude`].
    pub exclude: Exclude,
    /// Whether files of a Delta, Iceberg or Hudi table are read as files of no table format.
    pub ignore_table_format: bool,
    /// What a column that a file has and `declared` does not is.
    pub undeclared: Undeclared,
    /// What becomes of a value that its column cannot hold.
    pub on_invalid: OnInvalid,
    /// STORED AS and OPTIONS. Of an export: what is known before it is looked at.
    pub format: FileFormat,
    /// The table of an export that has a manifest or catalogue of its own.
    pub export: Option<ExportTable>,
    /// LOCATION literals: files, folders, globs or snapshot manifests.
    pub locations: Vec<(Location, Position)>,
}

/// CREATE TABLE lake.t WITH (...) AS SELECT: what is published and how.
#[derive(Debug, Clone)]
pub struct LakeTable {
    /// Bare name, folded to lower case unless it was quoted.
    pub name: String,
    /// Start of the statement.
    pub at: Position,
    /// What the table is besides its files.
    pub kind: LakeKind,
    /// Partition columns, in path order.
    pub partitioned_by: Vec<(String, Position)>,
    /// What becomes of rows whose partition column is the empty text.
    pub empty_partition: EmptyPartition,
    /// Sort order of the rows of a partition.
    pub sorted_by: Vec<(SortKey, Position)>,
    /// Codec of the published files.
    pub compression: WriteCompression,
    /// Bytes that a published file should have.
    pub target_file_size: u64,
    /// A published file is only smaller when its partition is.
    pub min_file_size: u64,
    /// No published file is larger, unless one row group is.
    pub max_file_size: u64,
    /// Snapshot bytes per stage task.
    pub file_group_size: GroupSize,
    /// Replaces the path below `snaplake.datalake`.
    pub external_location: Option<Location>,
    /// Audits that are properties in WITH.
    pub rules: Vec<Rule>,
    /// The SELECT; its spans count in the file of `at`.
    pub query: Box<ast::Query>,
    /// Start of the SELECT.
    pub query_at: Position,
    /// The SELECT with `${env:NAME}` in place of its value: what is shown and kept.
    pub shown: Box<ast::Query>,
    /// The values that `shown` leaves out.
    pub held: Vec<Held>,
    /// Whether WITH has a value of the environment.
    pub with_held: bool,
}

/// CREATE VIEW: an audit, or a helper for SELECTs.
#[derive(Debug, Clone)]
pub struct View {
    /// `Some("audit")` or `None`.
    pub schema: Option<String>,
    /// Bare name, folded to lower case unless it was quoted.
    pub name: String,
    /// Start of the statement.
    pub at: Position,
    /// Start of its query.
    pub query_at: Position,
    /// Its query; its spans count in the file of `at`.
    pub query: Box<ast::Query>,
    /// The query with `${env:NAME}` in place of its value: what is shown and kept.
    pub shown: Box<ast::Query>,
    /// The values that `shown` leaves out.
    pub held: Vec<Held>,
}

impl View {
    /// `audit.name`, or the bare name of a helper.
    #[must_use]
    pub fn full_name(&self) -> String {
        self.schema.iter().chain([&self.name]).cloned().collect::<Vec<_>>().join(".")
    }
}

/// What CREATE VIEW means.
pub(super) fn view(at: &Position, statement: ViewStatement) -> Result<View> {
    let mut parts = statement.name.parts;
    let name = path_name(&parts.pop().unwrap_or_default(), &statement.name.at)?;
    let schema = match parts.as_slice() {
        [] => None,
        [schema] if schema == "audit" => Some("audit".to_owned()),
        _ => {
            let clause = "a view in another schema than audit";
            let reason = "write CREATE VIEW audit.name for an audit, or CREATE VIEW name for a helper";
            return Err(ConfigError::UnsupportedClause { clause, reason }.at(&statement.name.at));
        }
    };
    let PlacedQuery { run: query, shown, held, at: query_at, .. } = statement.query;
    unnamed(&shown, &held, &query_at)?;
    Ok(View { schema, name, at: at.clone(), query_at, query, shown, held })
}

/// What CREATE TABLE lake.t means; what its WITH leaves out comes from `settings`.
pub(super) fn lake_table(
    at: &Position,
    statement: LakeStatement,
    base: &Path,
    settings: &WrittenSettings,
) -> Result<LakeTable> {
    let name = bare_name("CREATE TABLE ... AS SELECT", "lake", &statement.name)?;
    let properties = Properties::new(&statement.properties, settings)?;
    let kind = match properties.own("format")? {
        None => LakeKind::Parquet,
        Some(format) => match format.text.to_ascii_lowercase().as_str() {
            "parquet" => LakeKind::Parquet,
            "iceberg" => LakeKind::Iceberg,
            _ => return Err(bad_value("format", format, "'PARQUET' or 'ICEBERG'")),
        },
    };
    let a_column = "a column name; compute it in the SELECT, such as month(d) AS month";
    let partitioned_by =
        properties.columns("partitioned_by", |text| values::column(text).ok_or(a_column), String::as_str)?;
    let a_key = "a column with ASC or DESC and NULLS FIRST or LAST, such as 'time_hour DESC'";
    let sorted_by = properties.columns("sorted_by", |text| SortKey::parse(text).ok_or(a_key), |key| &key.column)?;
    let sizes = properties.file_sizes(&name, at)?;
    let PlacedQuery { run: query, shown, held, at: query_at, .. } = statement.query;
    unnamed(&shown, &held, &query_at)?;
    let external_location = match properties.own("external_location")? {
        Some(written) if kind == LakeKind::Iceberg => {
            let expected = "left out: an Iceberg table lies below snaplake.datalake, with all its versions";
            return Err(bad_value("external_location", written, expected));
        }
        Some(written) => Some(location(written, base)?),
        None => None,
    };
    Ok(LakeTable {
        kind,
        partitioned_by,
        empty_partition: properties.empty_partition()?,
        sorted_by,
        compression: properties.compression()?,
        target_file_size: sizes.target,
        min_file_size: sizes.min,
        max_file_size: sizes.max,
        file_group_size: properties.group_size()?,
        external_location,
        rules: rules(&properties)?,
        with_held: statement.with_held,
        query,
        query_at,
        shown,
        held,
        at: at.clone(),
        name,
    })
}
