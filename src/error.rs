//! Every way in which snaplake can fail, with the place that it failed at.
//!
//! Two families: [`ConfigError`] is a mistake in the user's SQL and always travels with a [`Position`]; all other
//! variants of [`Error`] name the file, table, group or URL at hand and keep their source. Nothing here prints, and no
//! message carries a credential.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use futures::FutureExt;

use crate::verdict::Verdict;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Place in a config or model file, printed as `file:line:column`; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The file as the user wrote it on the command line, or relative to the config.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What went wrong while planning or running, with the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mistake in the user's SQL.
    #[error("{at}: {problem}")]
    Config {
        /// Where it stands.
        at: Position,
        /// What it is.
        problem: Box<ConfigError>,
    },
    /// A config or model file could not be read.
    #[error("cannot read config file {path}")]
    ReadConfig {
        /// The file.
        path: String,
        #[source]
        /// Why.
        source: std::io::Error,
    },
    /// A config or model file is not text.
    #[error("{path} is not UTF-8 text (byte {offset}); save it as UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
        /// First wrong byte, from 0.
        offset: usize,
    },
    /// A URL or path that no store can be made of.
    #[error("cannot use location '{location}': {reason}")]
    Location {
        /// The text as written.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Credentials, region or endpoint of a store could not be set up.
    #[error("cannot open the store of {url}; check credentials, region and endpoint")]
    OpenStore {
        /// Scheme and bucket.
        url: String,
        #[source]
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request to a store failed.
    #[error("{action} {uri} failed{}", store_hint(source))]
    Store {
        /// `read`, `write`, `list`, ...
        action: &'static str,
        /// Object or prefix.
        uri: String,
        #[source]
        /// Why.
        source: object_store::Error,
    },
    /// A LOCATION matches nothing.
    #[error(
        "no file matches {location} of snapshot.{table}; check the path, and the file extension for the format {format}"
    )]
    NoFiles {
        /// Snapshot table.
        table: String,
        /// As resolved.
        location: String,
        /// PARQUET, CSV or JSON.
        format: &'static str,
    },
    /// A snapshot file cannot be decoded.
    #[error("cannot read {uri} of snapshot.{table}; the file may be truncated or not of this format")]
    ReadSnapshotFile {
        /// Snapshot table.
        table: String,
        /// The file.
        uri: String,
        #[source]
        /// Why.
        source: DataFusionError,
    },
    /// Two files of one table have a column with types that do not merge.
    #[error(
        "column '{column}' of snapshot.{table} is {first_type} in {first} but {second_type} in {second}; \
         declare the column in CREATE EXTERNAL TABLE to choose one type"
    )]
    SchemaConflict {
        /// Snapshot table.
        table: String,
        /// Column, dotted for nested fields.
        column: String,
        /// File that was seen first.
        first: String,
        /// Its type.
        first_type: String,
        /// File that differs.
        second: String,
        /// Its type.
        second_type: String,
    },
    /// A snapshot manifest given as LOCATION, or one of our own, does not hold what it must.
    #[error("manifest {uri} cannot be used: {reason}")]
    Manifest {
        /// Its summary or data file.
        uri: String,
        /// What is wrong.
        reason: String,
    },
    /// Manifest bytes that are not Parquet or not JSON.
    #[error("manifest {uri} cannot be decoded")]
    DecodeManifest {
        /// Its summary or data file.
        uri: String,
        #[source]
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A location in which `init` sees no table.
    #[error("no table was found in {location}: {why}")]
    NothingFound {
        /// As resolved.
        location: String,
        /// What is there instead.
        why: String,
    },
    /// A location with more groups of files than `init` tells apart.
    #[error("{location} has more than {limit} folders and kinds of files; name a folder below it")]
    TooManyFolders {
        /// As resolved.
        location: String,
        /// How many may be.
        limit: usize,
    },
    /// `init` would replace a file.
    #[error("{path} exists; add --force to replace it, or name another file with -o")]
    OutputExists {
        /// The file.
        path: String,
    },
    /// `init` would write beside models that its config would take in.
    #[error("{path} lies where the models go, and the config would take it in; move it, or name another file with -o")]
    ForeignModel {
        /// The file.
        path: String,
    },
    /// `-o` names no file of SQL.
    #[error("'{path}' is not a file to write a config to; name one that ends with .sql, such as configs/shop.sql")]
    OutputFile {
        /// As given.
        path: String,
    },
    /// Somebody committed something else under the same task.
    #[error(
        "{uri} exists with other content (fingerprint {theirs}, ours {ours}); \
         another run wrote this task from other input: use another snapshot_time or remove the old staging folder"
    )]
    CommitConflict {
        /// Manifest summary.
        uri: String,
        /// Fingerprint in the store.
        theirs: String,
        /// Fingerprint of this run.
        ours: String,
    },
    /// The config no longer says what the staged plan was made from.
    #[error(
        "lake.{table} was planned {planned_at} with another {what}; plan it anew with `snaplake run --replan` while \
         nothing of it is published, or set a new snaplake.snapshot_time"
    )]
    PlanChanged {
        /// Lake table.
        table: String,
        /// When the plan was committed.
        planned_at: String,
        /// SELECT, properties, ...
        what: &'static str,
    },
    /// A new plan was asked for, but files of the old one are published.
    #[error(
        "lake.{table} cannot be planned anew: {done} of its publish groups are done in {location}; go on without \
         --replan (or name other tables with --table), or set a new snaplake.snapshot_time"
    )]
    AlreadyPublished {
        /// Lake table.
        table: String,
        /// Publish groups with a manifest.
        done: usize,
        /// Lake location.
        location: String,
    },
    /// A declared column that none of the files has.
    #[error("column '{column}' is declared for snapshot.{table}, but no file has it{}", did_you_mean(nearest))]
    ColumnInNoFile {
        /// Snapshot table.
        table: String,
        /// As declared.
        column: String,
        /// The nearest column of the files.
        nearest: Option<String>,
    },
    /// A task number beyond the plan.
    #[error("lake.{table} has no {step} group {number}; the plan has groups 1 to {count}")]
    NoSuchGroup {
        /// Lake table.
        table: String,
        /// `stage` or `publish`.
        step: &'static str,
        /// Asked for.
        number: usize,
        /// Planned.
        count: usize,
    },
    /// `--group` without naming the table.
    #[error("--group runs one task of one table, but the config has {count}; name it with --table")]
    GroupNeedsTable {
        /// Lake tables chosen.
        count: usize,
    },
    /// Rows of a query that cannot go where they are asked to go.
    #[error("{reason}")]
    RowOutput {
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A step was asked for whose input is not complete.
    #[error("lake.{table} is not staged: {missing} of {total} stage groups are not done; run `snaplake stage` first")]
    NotStaged {
        /// Lake table.
        table: String,
        /// Groups without a manifest.
        missing: usize,
        /// Groups planned.
        total: usize,
    },
    /// Validation was asked for before everything was published.
    #[error("lake.{table} is not published: {done} of {total} publish groups are done; run `snaplake publish` first")]
    NotPublished {
        /// Lake table.
        table: String,
        /// Groups with a manifest.
        done: usize,
        /// Groups planned; 0 when nothing is planned.
        total: usize,
    },
    /// Nothing was planned yet.
    #[error("lake.{table} is not planned yet; run `snaplake stage` or `snaplake run` first")]
    NotPlanned {
        /// Lake table.
        table: String,
    },
    /// The lake location holds files of somebody else.
    #[error(
        "{location} holds files that this snapshot did not write ({count}, such as {example}); \
         publish lake.{table} to an empty location or remove them"
    )]
    ForeignFiles {
        /// Lake table.
        table: String,
        /// Lake location.
        location: String,
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// A partition value that no path can hold.
    #[error(
        "lake.{table}: partition column '{column}' makes a folder name of {length} bytes (its value starts with '{start}'); file systems allow at most {limit}, so choose another partition column"
    )]
    PartitionValueTooLong {
        /// Lake table.
        table: String,
        /// Partition column.
        column: String,
        /// Encoded bytes.
        length: usize,
        /// First characters.
        start: String,
        /// Limit in bytes.
        limit: usize,
    },
    /// A partition value that cannot be told from NULL, or has no text.
    #[error("lake.{table}: a value of the partition columns ({columns}) cannot stand in a path")]
    PartitionValue {
        /// Lake table.
        table: String,
        /// Its partition columns.
        columns: String,
        /// Why.
        #[source]
        source: datafusion::arrow::error::ArrowError,
    },
    /// A task failed while the engine ran.
    #[error("{step} of lake.{table} group {group}{} failed{}", in_partition(partition), at_file(file))]
    Task {
        /// `stage` or `publish`.
        step: &'static str,
        /// Lake table.
        table: String,
        /// Group number.
        group: usize,
        /// Hive path of the partition, of a publish task of a partitioned table.
        partition: Option<String>,
        /// The snapshot file that fails on its own, when one was found.
        file: Option<String>,
        #[source]
        /// Why.
        source: Box<Self>,
    },
    /// A library under us gave up in its own way, as decoders do over some damaged files.
    #[error("{message}: a decoder or encoder panicked; a file may be damaged")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// A task took longer than the user allows.
    #[error(
        "not done within snaplake.task_timeout, {seconds} s; if no store hangs, set a longer time or smaller groups \
         (file_group_size), then run the same command again"
    )]
    Timeout {
        /// What the user allows.
        seconds: u64,
    },
    /// The query engine failed.
    #[error(transparent)]
    Engine(#[from] DataFusionError),
    /// Parquet could not be written or read.
    #[error("parquet {uri}")]
    Parquet {
        /// The file.
        uri: String,
        #[source]
        /// Why.
        source: ParquetError,
    },
    /// Rows in and rows out differ.
    #[error("validation of lake.{table} failed: {reason}")]
    Validation {
        /// Lake table.
        table: String,
        /// What differs, with both numbers.
        reason: String,
    },
    /// Audits found rows.
    #[error("{}", audits_failed(verdicts))]
    AuditsFailed {
        /// What all audits came to, also those that passed.
        verdicts: Vec<Verdict>,
    },
    /// An audit could not be run to its end.
    #[error("{audit} could not run, so nothing was published")]
    Audit {
        /// Its name.
        audit: String,
        #[source]
        /// Why.
        source: Box<Self>,
    },
    /// A task was asked for whose table has not passed its audits.
    #[error(
        "lake.{table} is not audited: {} did not run over what is staged now; run `snaplake audit` first",
        audits.join(", ")
    )]
    NotAudited {
        /// Lake table.
        table: String,
        /// Audits that have to run.
        audits: Vec<String>,
    },
    /// A store that would let two runs commit one task.
    #[error(
        "{store} does not honour conditional PUT (If-None-Match), which keeps two runs from committing the same task; \
         if no two runs ever work on one table at once, SET snaplake.single_writer = true"
    )]
    NoConditionalPut {
        /// Scheme and bucket.
        store: String,
    },
    /// A deep validation has nothing to compare with.
    #[error(
        "lake.{table} has no checksums of {tasks} tasks, so its values cannot be proven; \
         SET snaplake.verify = 'checksum' before a table is staged"
    )]
    NoChecksums {
        /// Lake table.
        table: String,
        /// Tasks that ran without.
        tasks: usize,
    },
    /// Two snapshots of a table that cannot be compared.
    #[error("lake.{table} cannot be compared with its snapshot of {against}: {reason}")]
    NoDiff {
        /// Lake table.
        table: String,
        /// Time of the other snapshot.
        against: String,
        /// Why not.
        reason: String,
    },
    /// The user asked to stop.
    #[error("interrupted by {signal}; run the same command again to continue")]
    Interrupted {
        /// `SIGINT` or `SIGTERM`.
        signal: &'static str,
    },
    /// A local file or terminal could not be used.
    #[error("{action} failed")]
    Io {
        /// What was tried, with the path.
        action: String,
        #[source]
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// What a panic said.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Self::Panicked { message: text.unwrap_or_default().to_owned() }
    }
}

/// A panic as an error.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())))
}

fn in_partition(partition: &Option<String>) -> String {
    partition.as_ref().map(|partition| format!(" ({partition})")).unwrap_or_default()
}

fn audits_failed(verdicts: &[Verdict]) -> String {
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.passed()).collect();
    let found = failed.iter().map(|verdict| {
        let rows = if verdict.rows == 1 { "row" } else { "rows" };
        format!("{} found {} {rows}", verdict.audit, verdict.rows)
    });
    let found = found.collect::<Vec<_>>().join(", ");
    format!("{} of {} audits failed, so nothing was published: {found}", failed.len(), verdicts.len())
}

/// What is not done in time as an error; what it has begun is dropped.
pub(crate) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(Error::Timeout { seconds: limit.as_secs() }))
}

fn at_file(file: &Option<String>) -> String {
    file.as_ref().map(|file| format!(" at {file}")).unwrap_or_default()
}

/// What the user can do about a store's answer; empty when the source says enough.
fn store_hint(source: &object_store::Error) -> &'static str {
    match source {
        other if other.to_string().contains("NoSuchBucket") => ": the bucket does not exist",
        object_store::Error::NotFound { .. } => ": it does not exist",
        object_store::Error::Precondition { .. } => {
            ": it was changed after it was planned; plan anew with `snaplake run --replan` while nothing is published, \
             or set a new snaplake.snapshot_time"
        }
        object_store::Error::PermissionDenied { .. } => ": the credentials do not allow it",
        object_store::Error::Unauthenticated { .. } => ": the credentials are missing or wrong",
        _ => "",
    }
}

/// A mistake in the user's SQL; [`Error::Config`] adds where.
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
    /// `${` without `}` or with an empty name.
    #[error(
        "'{text}' is not a variable; write ${{name}}, ${{name:-default}} or ${{env:NAME}}, and $${{ for the text ${{ itself"
    )]
    BadVariable {
        /// As written.
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
        /// Arrow type.
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
    #[error("column '{column}' has type {data_type}, which Parquet cannot hold; CAST it in the SELECT")]
    ColumnType {
        /// Column.
        column: String,
        /// Arrow type.
        data_type: String,
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

impl ConfigError {
    /// This mistake at a place.
    #[must_use]
    pub fn at(self, at: &Position) -> Error {
        Error::Config { at: at.clone(), problem: Box::new(self) }
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// The known name nearest to what the user wrote, unless it is too far off to be a typing error.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(written.chars().count()) / 3)
        .min_by_key(|(distance, name)| (*distance, name.len()))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_a_transposition_and_ignores_strangers() {
        assert_eq!(nearest("partiitoned_by", ["sorted_by", "partitioned_by"]), Some("partitioned_by".into()));
        assert_eq!(nearest("zzz", ["sorted_by", "partitioned_by"]), None);
    }
}
