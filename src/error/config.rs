//! Mistakes in the user's SQL, and where they stand.

use super::position::Position;
use super::words::did_you_mean;

/// A mistake in the user's SQL; [`Error::Config`](crate::Error::Config) adds where.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The parser's own words, without its position.
    #[error("{message}")]
    Syntax {
        /// sqlparser's message.
        message: String,
    },
    /// A statement that is SQL but not ours.
    #[error(
        "{statement} is not a statement of a snaplake config; use SET, CREATE EXTERNAL TABLE snapshot.t, CREATE TABLE lake.t WITH (...) AS SELECT, or CREATE VIEW"
    )]
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
    #[error("'{value}' is not a value of {key}: expected {expected}")]
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
        /// Which.
        name: String,
        /// The other place.
        first: Position,
    },
    /// A required key is missing.
    #[error("{key} is not set; add: SET {key} = {example};")]
    Missing {
        /// Key.
        key: &'static str,
        /// A value that would do.
        example: &'static str,
    },
    /// `${name}` without a value.
    #[error("variable '{name}' has no value; pass --var {name}=... or write ${{{name}:-default}}")]
    UndefinedVariable {
        /// Its name.
        name: String,
    },
    /// `${env:NAME}` without a value.
    #[error("environment variable '{name}' is not set; export it or write ${{env:{name}:-default}}")]
    UndefinedEnvironment {
        /// Its name.
        name: String,
    },
    /// `${...}` with something that is no name.
    #[error(
        "'{text}' is not a variable; write ${{name}}, ${{name:-default}} or ${{env:NAME}}, and $${{ for the text ${{ itself"
    )]
    BadVariable {
        /// As written.
        text: String,
    },
    /// `${name` without `}`.
    #[error("'{text}' has no closing brace; write ${{name}}, or $${{ for the text ${{ itself")]
    OpenVariable {
        /// The rest of its line.
        text: String,
    },
    /// A table in a schema where it does not belong.
    #[error("{statement} must name a table in schema {schema}, such as {schema}.{table}")]
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
        /// Lake table.
        table: String,
        /// The nearest selected one.
        nearest: Option<String>,
    },
    /// A partition column of a type that has no single text form.
    #[error(
        "partition column '{column}' has type {data_type}, which has no single text form; use an integer, text, boolean, date, timestamp or decimal (CAST it in the SELECT)"
    )]
    PartitionType {
        /// Column.
        column: String,
        /// Type in SQL.
        data_type: String,
    },
    /// All selected columns are partition columns.
    #[error("all columns of lake.{table} are partition columns; a file needs at least one other column")]
    OnlyPartitionColumns {
        /// Lake table.
        table: String,
    },
    /// Two selected columns of one name.
    #[error("the SELECT of lake.{table} yields column '{column}' twice; give one another name with AS")]
    DuplicateColumn {
        /// Lake table.
        table: String,
        /// Column.
        column: String,
    },
    /// The SELECT cannot run group by group.
    #[error(
        "the SELECT of lake.{table} is not row-wise: {clause}; a row-wise SELECT runs once per file group. To run it once over all files, write WITH (file_group_size = 'all')"
    )]
    NotRowWise {
        /// Lake table.
        table: String,
        /// The clause at fault, such as `GROUP BY`.
        clause: String,
    },
    /// The SELECT reads no snapshot table.
    #[error("the SELECT of lake.{table} reads no snapshot table; select from snapshot.<table>")]
    NoDrivingTable {
        /// Lake table.
        table: String,
    },
    /// A function that gives other rows on a retry.
    #[error(
        "function {function}() gives another value on each run, so a retry would write other rows; compute it from the data instead"
    )]
    Volatile {
        /// Function.
        function: String,
    },
    /// A column or field is named after a value of the environment.
    #[error(
        "a column's name would hold the value of {variable}, and names are kept and shown; give the column a name of its own: ... AS name"
    )]
    NamedByValue {
        /// As written.
        variable: String,
    },
    /// bucketed_by and bucket_count.
    #[error(
        "'{name}' is not supported: snaplake partitions and sorts, it does not bucket; use partitioned_by and sorted_by"
    )]
    Bucketing {
        /// Property.
        name: String,
    },
    /// Two lake tables write to places of which one holds the other.
    #[error(
        "lake.{table} would be published to {location}, which overlaps the location of lake.{other}; give one another external_location"
    )]
    OverlappingLocation {
        /// Lake table.
        table: String,
        /// Its location.
        location: String,
        /// The other lake table.
        other: String,
    },
    /// Text that no location can be made of.
    #[error("'{location}' is not a location: {reason}")]
    BadLocation {
        /// As written.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A lake table would write where something else lies.
    #[error("lake.{table} would be {action} {location}, which overlaps {holder}; choose another folder")]
    LocationTaken {
        /// Lake table.
        table: String,
        /// `published to` or `staged in`.
        action: &'static str,
        /// Its location.
        location: String,
        /// What lies there, with its location.
        holder: String,
    },
    /// File sizes that contradict each other.
    #[error(
        "min_file_size {min}, target_file_size {target} and max_file_size {max} of lake.{table} must not decrease in this order"
    )]
    SizeOrder {
        /// Lake table.
        table: String,
        /// Smallest size.
        min: String,
        /// Wanted size.
        target: String,
        /// Largest size.
        max: String,
    },
    /// SQL that is right elsewhere.
    #[error("{clause} is not supported here: {reason}")]
    UnsupportedClause {
        /// The clause.
        clause: &'static str,
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// A column of a type that Parquet has no place for.
    #[error("column '{column}' {why}; {advice}")]
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
    #[error("the SELECT of lake.{table} reads {name}; it may read snapshot tables and views over them")]
    ForeignTable {
        /// Lake table.
        table: String,
        /// What it reads.
        name: String,
    },
    /// An audit that waits for what waits for it.
    #[error(
        "audit.{audit} reads lake.{table} and holds back its publication, so it could never run; read staging.{table} instead"
    )]
    AuditOfPublished {
        /// Audit.
        audit: String,
        /// Lake table.
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
    #[error(
        "the config defines no lake table; add CREATE TABLE lake.t WITH (...) AS SELECT ..., or SET snaplake.models = 'sql/*.sql'"
    )]
    NoLakeTables,
    /// A models glob that matches no file.
    #[error("no model file matches '{pattern}'")]
    NoModels {
        /// As resolved.
        pattern: String,
    },
    /// The planner's own words.
    #[error("{message}")]
    Plan {
        /// DataFusion's message.
        message: String,
    },
}
