//! Mistakes in the user's SQL: what is wrong, and what to write instead.

use super::message::did_you_mean;
use super::position::Position;

/// A mistake in the user's SQL; [`Error::Config`](crate::Error::Config) adds where.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The SQL parser's message, without its position.
    #[error("{message}")]
    Syntax {
        /// sqlparser's message.
        message: String,
    },
    /// An SQL statement that a config cannot contain.
    #[error("{statement} is not a statement of a snaplake config")]
    UnsupportedStatement {
        /// Its first words.
        statement: String,
    },
    /// Unknown SET key, WITH property or OPTIONS key.
    #[error("unknown {kind} '{name}'{}", did_you_mean(nearest))]
    UnknownKey {
        /// `setting`, `property`, `option`.
        kind: &'static str,
        /// As written.
        name: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A value that the key does not take.
    #[error("invalid value '{value}' for {key}: expected {expected}")]
    BadValue {
        /// Key or property.
        key: String,
        /// As written.
        value: String,
        /// What is taken, with an example.
        expected: &'static str,
    },
    /// Set twice.
    #[error("{kind} '{name}' is defined twice; the first is at {first}")]
    Duplicate {
        /// `setting`, `table`, `property`, ...
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was defined first.
        first: Position,
    },
    /// A required key is missing.
    #[error("{key} is not set")]
    Missing {
        /// Key.
        key: &'static str,
        /// An example of a value.
        example: &'static str,
    },
    /// `${name}` without a value.
    #[error("variable '{name}' has no value")]
    UndefinedVariable {
        /// Its name.
        name: String,
    },
    /// `${env:NAME}` without a value.
    #[error("environment variable '{name}' is not set")]
    UndefinedEnvironment {
        /// Its name.
        name: String,
    },
    /// `${...}` with something that is no name.
    #[error("'{text}' is not a variable")]
    BadVariable {
        /// As written.
        text: String,
    },
    /// `${name` without `}`.
    #[error("'{text}' has no closing brace")]
    OpenVariable {
        /// The rest of its line.
        text: String,
    },
    /// A table in a schema where it does not belong.
    #[error("{statement} must name a table in schema {schema}")]
    WrongSchema {
        /// CREATE EXTERNAL TABLE, CREATE TABLE, ...
        statement: &'static str,
        /// `snapshot` or `lake`.
        schema: &'static str,
        /// Bare name.
        table: String,
    },
    /// A table or column that does not exist.
    #[error("{kind} '{name}' does not exist{}", did_you_mean(nearest))]
    NotFound {
        /// `table`, `column`, `function`.
        kind: &'static str,
        /// As written.
        name: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A partition or sort column that the SELECT does not yield.
    #[error("{property} column '{column}' is not in the SELECT of lake.{table}{}", did_you_mean(nearest))]
    ColumnNotSelected {
        /// `partitioned_by` or `sorted_by`.
        property: &'static str,
        /// As written.
        column: String,
        /// Name of the lake table, without `lake.`.
        table: String,
        /// The nearest selected one.
        nearest: Option<String>,
    },
    /// A partition column of a type that has no single text form.
    #[error("partition column '{column}' has type {data_type}, which cannot be written as a folder name")]
    PartitionType {
        /// Column.
        column: String,
        /// Type in SQL.
        data_type: String,
    },
    /// All selected columns are partition columns.
    #[error("all columns of lake.{table} are partition columns, so its files would have no column")]
    OnlyPartitionColumns {
        /// Name of the lake table, without `lake.`.
        table: String,
    },
    /// Two selected columns of one name.
    #[error("the SELECT of lake.{table} has two columns named '{column}'")]
    DuplicateColumn {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Column.
        column: String,
    },
    /// The SELECT cannot run group by group.
    #[error("the SELECT of lake.{table} is not row-wise: {clause}")]
    NotRowWise {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// The clause at fault, such as `GROUP BY`.
        clause: String,
    },
    /// The SELECT reads no snapshot table.
    #[error("the SELECT of lake.{table} reads no snapshot table")]
    NoDrivingTable {
        /// Name of the lake table, without `lake.`.
        table: String,
    },
    /// A function that returns different values on a retry.
    #[error("function {function}() returns a different value on each run, so a retry would write different rows")]
    Volatile {
        /// Function.
        function: String,
    },
    /// A column or field is named after a value of the environment.
    #[error("the name of a column would contain the value of {variable}, and column names are not secret")]
    NamedByValue {
        /// As written.
        variable: String,
    },
    /// bucketed_by and bucket_count.
    #[error("'{name}' is not supported: snaplake does not bucket")]
    Bucketing {
        /// Property.
        name: String,
    },
    /// The location of one lake table is inside that of another.
    #[error("lake.{table} would be published to {location}, which overlaps the location of lake.{other}")]
    OverlappingLocation {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Its location.
        location: String,
        /// The other lake table.
        other: String,
    },
    /// An invalid location.
    #[error("'{location}' is not a location: {reason}")]
    BadLocation {
        /// As written.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A lake table would write into a folder that has another use.
    #[error("lake.{table} would be {action} {location}, which overlaps {holder}")]
    LocationTaken {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// `published to` or `staged in`.
        action: &'static str,
        /// Its location.
        location: String,
        /// What has that folder, with its location.
        holder: String,
    },
    /// File sizes that contradict each other.
    #[error(
        "lake.{table} needs min_file_size <= target_file_size <= max_file_size, but they are {min}, {target} and {max}"
    )]
    SizeOrder {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Smallest size.
        min: String,
        /// Wanted size.
        target: String,
        /// Largest size.
        max: String,
    },
    /// SQL that is valid, but not here.
    #[error("{clause} is not supported here: {reason}")]
    UnsupportedClause {
        /// The clause.
        clause: &'static str,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// A column of a type that Parquet has no place for.
    #[error("column '{column}' {why}")]
    ColumnType {
        /// Column, dotted for nested fields.
        column: String,
        /// What is wrong with its type.
        why: String,
        /// What to do.
        advice: String,
    },
    /// An option of one format given to another.
    #[error("option '{option}' does not apply to STORED AS {format}")]
    OptionNotForFormat {
        /// Key.
        option: &'static str,
        /// PARQUET, CSV or JSON.
        format: &'static str,
    },
    /// A lake table that reads something else than snapshot tables.
    #[error("the SELECT of lake.{table} reads {name}, which is not a snapshot table")]
    ForeignTable {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// The table that it reads.
        name: String,
    },
    /// An audit of a published table, which would have to run before the publication.
    #[error("audit.{audit} reads lake.{table}, which is published only after this audit has run")]
    AuditOfPublished {
        /// Audit.
        audit: String,
        /// Name of the lake table, without `lake.`.
        table: String,
    },
    /// `--table` names nothing.
    #[error("the config has no table lake.{name}{}", did_you_mean(nearest))]
    NoSuchTable {
        /// As given.
        name: String,
        /// The nearest one.
        nearest: Option<String>,
    },
    /// A config without lake tables.
    #[error("the config defines no lake table")]
    NoLakeTables,
    /// A models glob that matches no file.
    #[error("no model file matches '{pattern}'")]
    NoModels {
        /// As resolved.
        pattern: String,
    },
    /// The planner's message.
    #[error("{message}")]
    Plan {
        /// DataFusion's message.
        message: String,
    },
}

impl ConfigError {
    /// What to write instead; none if the message says enough.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::UnsupportedStatement { .. } => {
                "use SET, CREATE EXTERNAL TABLE snapshot.t, CREATE TABLE lake.t WITH (...) AS SELECT, or CREATE VIEW"
                    .to_owned()
            }
            Self::Missing { key, example } => format!("add SET {key} = {example};"),
            Self::UndefinedVariable { name } => format!("pass --var {name}=... or write ${{{name}:-default}}"),
            Self::UndefinedEnvironment { name } => format!("export it or write ${{env:{name}:-default}}"),
            Self::BadVariable { .. } => {
                "write ${name}, ${name:-default} or ${env:NAME}; write $${ for the text ${".to_owned()
            }
            Self::OpenVariable { .. } => "write ${name}; write $${ for the text ${".to_owned(),
            Self::WrongSchema { schema, table, .. } => format!("write {schema}.{table}"),
            Self::PartitionType { .. } => {
                "CAST it to an integer, text, boolean, date, timestamp or decimal in the SELECT".to_owned()
            }
            Self::OnlyPartitionColumns { .. } => "select another column, or remove one from partitioned_by".to_owned(),
            Self::DuplicateColumn { .. } => "rename one of them with AS".to_owned(),
            Self::NotRowWise { .. } => {
                "a row-wise SELECT runs once per file group; write WITH (file_group_size = 'all') to run it once over all \
                 files"
                    .to_owned()
            }
            Self::NoDrivingTable { .. } => "select from snapshot.<table>".to_owned(),
            Self::Volatile { .. } => "compute the value from the data".to_owned(),
            Self::NamedByValue { .. } => "name the column: ... AS name".to_owned(),
            Self::Bucketing { .. } => "use partitioned_by and sorted_by".to_owned(),
            Self::OverlappingLocation { .. } => "set another external_location for one of the two tables".to_owned(),
            Self::LocationTaken { .. } => "choose another folder".to_owned(),
            Self::ColumnType { advice, .. } => advice.clone(),
            Self::ForeignTable { .. } => "read snapshot tables, or views over them".to_owned(),
            Self::AuditOfPublished { table, .. } => format!("read staging.{table}"),
            Self::NoLakeTables => {
                "add CREATE TABLE lake.t WITH (...) AS SELECT ..., or SET snaplake.models = 'sql/*.sql'".to_owned()
            }
            _ => return None,
        };
        Some(help)
    }
}
