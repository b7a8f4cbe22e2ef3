//! All errors of snaplake, each with its place: a file, a table or a position in the config.

use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;

use super::config::ConfigError;
use super::export::ExportFault;
use super::iceberg::IcebergFault;
use super::message::{
    and_more, at_file, at_place, audits_failed, belongs, counted, did_you_mean, from_to, in_partition, other_folder,
    partition_text, published_groups, store_hint, was_planned,
};
use super::position::Position;
use super::task_step::TaskStep;
use super::value::InvalidValue;
use super::verdict::Verdict;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong while planning or running, with the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mistake in the user's SQL.
    #[error("{at}: {problem}")]
    Config {
        /// Position in the config.
        at: Position,
        /// What it is.
        problem: Box<ConfigError>,
    },
    /// A config or model file could not be read.
    #[error("cannot read config file {path}")]
    ReadConfig {
        /// Path of the file, as given.
        path: String,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A config or model file is not text.
    #[error("{path} is not UTF-8 text (byte {offset})")]
    NotUtf8 {
        /// Path of the file, as given.
        path: String,
        /// First wrong byte, from 0.
        offset: usize,
    },
    /// An invalid URL or path.
    #[error("cannot use location '{location}': {reason}")]
    Location {
        /// The text as written.
        location: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Credentials, region or endpoint of a store could not be set up.
    #[error("cannot open the store of {url}")]
    OpenStore {
        /// Scheme and bucket.
        url: String,
        /// Error of the library.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request to a store failed.
    #[error("{action} {uri} failed{}", store_hint(source))]
    Store {
        /// `read`, `write`, `list`, ...
        action: &'static str,
        /// Object or prefix.
        uri: String,
        /// Error of the store.
        #[source]
        source: object_store::Error,
    },
    /// A LOCATION matches nothing.
    #[error("{at}: {location} has no {format} file for snapshot.{table}: {found}")]
    NoFiles {
        /// The LOCATION.
        at: Position,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// As resolved.
        location: String,
        /// PARQUET, CSV or JSON.
        format: &'static str,
        /// What is there instead: number of files per file extension.
        found: String,
    },
    /// Files that may or may not have rows of a table.
    #[error(
        "{at}: it is not clear whether snapshot.{table} has rows in {example}{}: {reason}",
        and_more(*more)
    )]
    UncertainFiles {
        /// The LOCATION.
        at: Position,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// The first of them.
        example: String,
        /// How many others there are.
        more: u64,
        /// Why it is not clear.
        reason: String,
        /// A glob that means them.
        exclude: String,
    },
    /// A LOCATION in a table of Delta, Iceberg or Hudi.
    #[error("{at}: {location} is {format} ({evidence}), and its folder also has files with deleted and replaced rows")]
    TableFormat {
        /// The LOCATION.
        at: Position,
        /// The table's folder.
        location: String,
        /// `a Delta table`, ...
        format: &'static str,
        /// What shows it.
        evidence: String,
    },
    /// A LOCATION in a folder that snaplake writes.
    #[error("{at}: LOCATION {location} of snapshot.{table} {problem}")]
    NoSource {
        /// The LOCATION.
        at: Position,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// As resolved.
        location: String,
        /// Why it is no source.
        problem: String,
        /// What to do.
        help: &'static str,
    },
    /// A file outside of the folders of a partition column.
    #[error(
        "{uri} is not in a folder {column}=..., but PARTITIONED BY of snapshot.{table} declares column '{column}'{}",
        other_folder(other_case)
    )]
    NoFolder {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// As declared.
        column: String,
        /// The same name in other letters, if a folder has it.
        other_case: Option<String>,
    },
    /// The name of a folder holds a value that its column cannot hold exactly.
    #[error(
        "{uri}: '{value}' in the name of its folder cannot be read as {data_type}, the type of column '{column}' in \
         PARTITIONED BY of snapshot.{table}"
    )]
    FolderValue {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// A file in the folder.
        uri: String,
        /// Column.
        column: String,
        /// As decoded.
        value: String,
        /// The type in SQL.
        data_type: String,
    },
    /// A declared column that a file has in other letters.
    #[error(
        "{}column '{column}' is declared for snapshot.{table}, but {uri} has '{found}': names are case-sensitive",
        at_place(at)
    )]
    ColumnCase {
        /// CREATE EXTERNAL TABLE, if the config is at hand.
        at: Option<Position>,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// As declared, dotted for nested fields.
        column: String,
        /// URI of the file.
        uri: String,
        /// The name that it has, without those of the fields around it.
        found: String,
    },
    /// A snapshot file cannot be decoded.
    #[error("cannot read {uri} of snapshot.{table}")]
    ReadSnapshotFile {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// Error of the reader.
        #[source]
        source: DataFusionError,
    },
    /// Files without a byte or a line, so that nothing says which columns there are.
    #[error("all files of snapshot.{table} are empty, so it has no columns")]
    EmptyFiles {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
    },
    /// A value that its column cannot hold exactly.
    #[error("{uri}, {value}")]
    InvalidValue {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        #[source]
        /// Row, column, value and type.
        value: Box<InvalidValue>,
    },
    /// A file that gives other rows than its footer or its manifest states.
    #[error("{uri} of {of} has {read} rows, but {statement} states {stated}: one of the two is damaged")]
    RowsDiffer {
        /// Table with its schema, such as `snapshot.orders`.
        of: String,
        /// URI of the file.
        uri: String,
        /// What states the number of rows.
        statement: &'static str,
        /// Rows that it states.
        stated: u64,
        /// Rows that came out of the decoder.
        read: u64,
    },
    /// A database export that is not complete, or not what the config says.
    #[error("{at}: snapshot.{table} cannot be read from the export at {location}: {fault}")]
    Export {
        /// The literal of LOCATION.
        at: Position,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// Where the export is.
        location: String,
        /// What is wrong with it.
        fault: ExportFault,
    },
    /// An Iceberg table whose version of the snapshot was not written, or is wrong.
    #[error("lake.{table}: version of this snapshot in the Iceberg table at {location}: {fault}")]
    Iceberg {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Folder of the table.
        location: String,
        /// What is wrong, and what to do about it.
        fault: IcebergFault,
    },
    /// A task that wrote other rows than it was given.
    #[error("lake.{table}: {written} of {given} rows were written, so nothing was committed")]
    RowsLost {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Rows of the SELECT, or of staging files.
        given: u64,
        /// Rows of the files.
        written: u64,
    },
    /// A file's column of a type that says something else than the table's.
    #[error(
        "column '{column}' of snapshot.{table} is {wanted}, but {uri} has {found}, which cannot be read as {wanted}"
    )]
    Misread {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// Column, dotted for nested fields.
        column: String,
        /// Its type in the file.
        found: String,
        /// Its type in the table.
        wanted: String,
    },
    /// A column without values.
    #[error("column '{column}' of snapshot.{table} is a group without fields in {uri}, so it has no values")]
    NoFields {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// Column, dotted for nested fields.
        column: String,
    },
    /// A file whose metadata contradicts itself or its content.
    #[error("{uri} of snapshot.{table} contradicts itself, so rows may be missing: {what}")]
    Contradiction {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// Both numbers, and of what they are.
        what: String,
    },
    /// A part of a snapshot file that needs more memory than there is.
    #[error("{uri}, row {row}, column '{column}': {what} of {bytes} bytes is too large: --memory-limit allows {most}")]
    TooLarge {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// First row of it, from 1.
        row: u64,
        /// The column, or that with most of it.
        column: String,
        /// What is too large.
        what: &'static str,
        /// Its bytes, or those of a part that is too large already.
        bytes: u64,
        /// How many it may have.
        most: u64,
    },
    /// Text that breaks the rules of its format.
    #[error("{uri}, line {line}, column {column}: {reason}")]
    Malformed {
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// URI of the file.
        uri: String,
        /// Line of the file, from 1.
        line: u64,
        /// Character of the line, from 1.
        column: u64,
        /// What is wrong.
        reason: String,
    },
    /// Two files of one table have a column with types that do not merge.
    #[error("column '{column}' of snapshot.{table} is {first_type} in {first} but {second_type} in {second}")]
    SchemaConflict {
        /// Name of the snapshot table, without `snapshot.`.
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
        /// Error of the library.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A manifest of snaplake that is missing or changed.
    #[error("manifest {uri} is damaged: {reason}")]
    Damaged {
        /// Its summary or data file.
        uri: String,
        /// What shows it.
        reason: String,
    },
    /// A location in which `init` finds no table.
    #[error("found no table in {location}: {why}")]
    NothingFound {
        /// As resolved.
        location: String,
        /// What is there instead.
        why: String,
    },
    /// A location with more groups of files than `init` can handle.
    #[error("{location} has more than {limit} folders and kinds of files")]
    TooManyFolders {
        /// As resolved.
        location: String,
        /// How many may be.
        limit: usize,
    },
    /// `init` would replace a file.
    #[error("{path} already exists")]
    OutputExists {
        /// Path of the file, as given.
        path: String,
    },
    /// `init` would write beside models that its config would take in.
    #[error("{path} is in the folder for models, so the config would read it")]
    ForeignModel {
        /// Path of the file, as given.
        path: String,
    },
    /// `-o` names no file of SQL.
    #[error("'{path}' is not the name of an SQL file")]
    OutputFile {
        /// As given.
        path: String,
    },
    /// Another run committed other content for the same task.
    #[error(
        "{uri} already exists with other content (fingerprint {theirs}, not {ours}): another run did this task with \
         other input"
    )]
    CommitConflict {
        /// Manifest summary.
        uri: String,
        /// Fingerprint in the store.
        theirs: String,
        /// Fingerprint of this run.
        ours: String,
    },
    /// The config changed after the plan was committed.
    #[error("lake.{table} {} {planned_at} with another {what}{}", was_planned(*published), from_to(change))]
    PlanChanged {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// When the plan was committed.
        planned_at: String,
        /// SELECT, properties, ...
        what: &'static str,
        /// What it was, and what the config says now, where that is short enough to be shown.
        change: Option<(String, String)>,
        /// Publish groups with a manifest.
        published: usize,
    },
    /// Another run replaced the plan of the table during this run.
    #[error("lake.{table}: another run replaced the plan during this run, so this run stops")]
    PlanReplaced {
        /// Name of the lake table, without `lake.`.
        table: String,
    },
    /// A plan cannot be replaced, because another run of it is active.
    #[error(
        "lake.{table} cannot be planned again: another run of its plan is active ({} of step {step}, last seen at {at})",
        counted(*tasks, "task")
    )]
    RunGoesOn {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Of its tasks.
        step: TaskStep,
        /// Tasks that it is running.
        tasks: usize,
        /// When it was last seen, RFC 3339.
        at: String,
    },
    /// A document with the format version of another snaplake.
    #[error("{uri} was written by {} in version {version} of its form; this program reads version {reads}",
            written_by.as_deref().unwrap_or("another snaplake"))]
    OtherVersion {
        /// The document.
        uri: String,
        /// Version of its form.
        version: u32,
        /// Program and version, if the document has them.
        written_by: Option<String>,
        /// The version of the form that this program reads.
        reads: u32,
    },
    /// A file that changed after snaplake wrote it.
    #[error("{uri} changed after it was written: it has {found}, but its manifest has {written}")]
    ContentChanged {
        /// URI of the file.
        uri: String,
        /// Bytes and hash now, or that it is gone.
        found: String,
        /// Bytes and hash when it was written.
        written: String,
    },
    /// Files were not removed, because there is no terminal to confirm.
    #[error("nothing was removed: stdin is not a terminal, so nobody can confirm")]
    NotConfirmed,
    /// Files of a table that an export lists cannot be read.
    #[error("{table}, which the export lists, cannot be read: {file}: {reason}")]
    TableOfExport {
        /// Its name in the export.
        table: String,
        /// The first of the files.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A snapshot is to be dropped that readers have now.
    #[error("snapshot {snapshot_time} of lake.{table} is the newest complete one, and is not dropped")]
    NewestSnapshot {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Its time.
        snapshot_time: String,
    },
    /// A snapshot is to be dropped that no table has.
    #[error("no table has a snapshot {snapshot_time}")]
    NoSuchSnapshot {
        /// Its time.
        snapshot_time: String,
    },
    /// A folder whose files are to be removed is a link, or is in one.
    #[error("lake.{table}: {location} is a link or lies behind one, so nothing was removed")]
    LinkedFolder {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// The folder.
        location: String,
    },
    /// A folder to write into is that of another table, snapshot, config or plan.
    #[error("lake.{table} cannot be written to {location}: {} {owner}{}", belongs(within), from_to(changed))]
    LocationOwned {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// The folder.
        location: String,
        /// Table, snapshot and config whose it is.
        owner: String,
        /// The folder around it whose owner that is, if it is not its own.
        within: Option<String>,
        /// How the lake there differs, if it is of the same table and snapshot.
        changed: Option<(String, String)>,
    },
    /// A folder to write into holds one of another table, snapshot or config.
    #[error("lake.{table} cannot be written to {location}: it contains {inner}, which is the folder of {owner}")]
    LocationHolds {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// The folder.
        location: String,
        /// The folder in it.
        inner: String,
        /// Whose that is.
        owner: String,
    },
    /// A new plan was asked for, but files of the old one are published.
    #[error("lake.{table} cannot be planned again: {} in {location}", published_groups(*done))]
    AlreadyPublished {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Publish groups with a manifest.
        done: usize,
        /// Lake location.
        location: String,
    },
    /// A published table to take back is not where the config says.
    #[error("lake.{table} cannot be withdrawn: it is published at {uri}, which is not in {location}")]
    PublishedElsewhere {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// A published file.
        uri: String,
        /// Lake location.
        location: String,
    },
    /// A value given with `--var` that the config has no use for.
    #[error("--var {name}: {config} and its models have no ${{{name}}}{}", did_you_mean(nearest))]
    UnusedVariable {
        /// Its name.
        name: String,
        /// The config.
        config: String,
        /// The nearest name without a value.
        nearest: Option<String>,
    },
    /// A declared column that none of the files has.
    #[error("{at}: column '{column}' is declared for snapshot.{table}, but no file has it{}", did_you_mean(nearest))]
    ColumnInNoFile {
        /// CREATE EXTERNAL TABLE.
        at: Position,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// As declared.
        column: String,
        /// The nearest column of the files.
        nearest: Option<String>,
    },
    /// A file has a column that the table does not declare, and `undeclared` is `error`.
    #[error("{at}: snapshot.{table} does not declare the column '{column}' of {uri}")]
    UndeclaredColumn {
        /// CREATE EXTERNAL TABLE.
        at: Position,
        /// Name of the snapshot table, without `snapshot.`.
        table: String,
        /// As the file has it, dotted for nested fields.
        column: String,
        /// A file that has it.
        uri: String,
    },
    /// All is published, but files that may have rows were not read.
    #[error("published, but {files} files that may have rows were not read, such as {example}")]
    FilesLeftOut {
        /// How many.
        files: u64,
        /// One of them.
        example: String,
    },
    /// A config is written, but of files that may have rows it reads none.
    #[error("files that may have rows are of no table in the config: {files}, such as {example}")]
    FilesOfNoTable {
        /// How many.
        files: u64,
        /// One of them.
        example: String,
    },
    /// A running database could not be exported.
    #[error("{at}: {address} was not exported")]
    Database {
        /// CREATE EXTERNAL TABLE.
        at: Position,
        /// The database, without a password.
        address: String,
        /// What the export met.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What to do, if that is known.
        help: Option<String>,
    },
    /// A running database could not be looked at.
    #[error("the database cannot be looked at")]
    DatabaseUnread {
        /// What the look met.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What to do, if that is known.
        help: Option<String>,
    },
    /// A task number beyond the plan.
    #[error("lake.{table} has no {step} group {number}: the plan has groups 1 to {count}")]
    NoSuchGroup {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Of its tasks.
        step: TaskStep,
        /// Asked for.
        number: usize,
        /// Planned.
        count: usize,
    },
    /// `--group` without naming the table.
    #[error("--group runs one task of one table, but the config has {count} tables")]
    GroupNeedsTable {
        /// Lake tables chosen.
        count: usize,
    },
    /// An OpenLineage endpoint that did not take an event.
    #[error("sent {sent} of {total} events to {url}: {reason}")]
    Endpoint {
        /// Its address, without secrets.
        url: String,
        /// Events that it took.
        sent: usize,
        /// All events.
        total: usize,
        /// What went wrong.
        reason: String,
    },
    /// The plan of a table was replaced repeatedly while it was read.
    #[error("lake.{table}: another run is planning it again")]
    BeingReplanned {
        /// Name of the lake table, without `lake.`.
        table: String,
    },
    /// A mistake in the SQL of a query.
    #[error("{problem}")]
    Query {
        /// What it is.
        problem: Box<ConfigError>,
    },
    /// Rows of a query that cannot go where they are asked to go.
    #[error("{reason}")]
    RowOutput {
        /// Why the rows cannot go there.
        reason: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// A step was asked for whose input is not complete.
    #[error("lake.{table} is not staged: {missing} of {total} stage groups are missing")]
    NotStaged {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Groups without a manifest.
        missing: usize,
        /// Groups planned.
        total: usize,
    },
    /// Validation was asked for before everything was published.
    #[error("lake.{table} is not published: {done} of {total} publish groups are done")]
    NotPublished {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Groups with a manifest.
        done: usize,
        /// Groups planned; 0 when nothing is planned.
        total: usize,
    },
    /// Nothing was planned yet.
    #[error("lake.{table} is not planned yet")]
    NotPlanned {
        /// Name of the lake table, without `lake.`.
        table: String,
    },
    /// The lake location holds files of somebody else.
    #[error("{location} has {} that this snapshot did not write, such as {example}", counted(*count, "file"))]
    ForeignFiles {
        /// Name of the lake table, without `lake.`.
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
        "lake.{table}: the folder name of partition column '{column}' has {length} bytes (its value starts with \
         '{start}'): file systems allow at most {limit}"
    )]
    PartitionValueTooLong {
        /// Name of the lake table, without `lake.`.
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
    /// A value of the SELECT that the type of its column in the lake cannot hold exactly.
    #[error("lake.{table}, column '{column}': '{value}' cannot be stored as {data_type} without loss")]
    Unstorable {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Column, dotted for nested fields.
        column: String,
        /// The value.
        value: String,
        /// The type in the lake.
        data_type: String,
    },
    /// A text that partitions a table, and that no folder can hold apart.
    #[error("lake.{table}: {}", partition_text(column, value))]
    PartitionText {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Partition column.
        column: String,
        /// Empty, or Hive's word for NULL.
        value: &'static str,
    },
    /// A partition value without a text, or with the text of NULL.
    #[error("lake.{table}: a value of the partition columns ({columns}) cannot be a folder name")]
    PartitionValue {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Its partition columns.
        columns: String,
        /// Error of the conversion to text.
        #[source]
        source: datafusion::arrow::error::ArrowError,
    },
    /// A task failed while the engine ran.
    #[error("{step} of lake.{table} group {group}{} failed{}", in_partition(partition), at_file(file))]
    Task {
        /// Of its tasks.
        step: TaskStep,
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Group number.
        group: usize,
        /// Hive path of the partition, of a publish task of a partitioned table.
        partition: Option<String>,
        /// The snapshot file that fails on its own, when one was found.
        file: Option<String>,
        /// Error of the task.
        #[source]
        source: Box<Self>,
    },
    /// A library under us gave up in its own way, as decoders do over some damaged files.
    #[error("{message}: a decoder or encoder panicked")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
    /// A task took longer than the user allows.
    #[error("the task took longer than snaplake.task_timeout ({seconds} s)")]
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
        /// URI of the file.
        uri: String,
        /// Error of the Parquet library.
        #[source]
        source: ParquetError,
    },
    /// Rows in and rows out differ.
    #[error("validation of lake.{table} failed: {reason}")]
    Validation {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// What differs, with both numbers.
        reason: String,
    },
    /// Audits found rows.
    #[error("{}", audits_failed(verdicts, published))]
    AuditsFailed {
        /// Results of all audits, including those that passed.
        verdicts: Vec<Verdict>,
        /// Names of the lake tables that were published, because none of those that failed holds them back.
        published: Vec<String>,
    },
    /// An audit could not be run to its end.
    #[error("{audit} could not run, so nothing was published")]
    Audit {
        /// Its name.
        audit: String,
        /// Error of the task.
        #[source]
        source: Box<Self>,
    },
    /// A task was asked for whose table has not passed its audits.
    #[error(
        "lake.{table} is not audited: {} has not run over the current staging lake",
        audits.join(", ")
    )]
    NotAudited {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Audits that have to run.
        audits: Vec<String>,
    },
    /// A store that would let two runs commit one task.
    #[error("{store} does not support conditional PUT (If-None-Match), so two runs could commit the same task")]
    NoConditionalPut {
        /// Scheme and bucket.
        store: String,
    },
    /// A deep validation has nothing to compare with.
    #[error("lake.{table} has no checksums of {}, so its values cannot be proven", counted(*tasks, "task"))]
    NoChecksums {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Tasks that ran without.
        tasks: usize,
    },
    /// Two snapshots of a table that cannot be compared.
    #[error("lake.{table} cannot be compared with its snapshot of {against}: {reason}")]
    NoDiff {
        /// Name of the lake table, without `lake.`.
        table: String,
        /// Time of the other snapshot.
        against: String,
        /// Why not.
        reason: String,
    },
    /// The text is not a task, or a task cannot be written as JSON.
    #[error("this text is not a task from `--print-tasks`")]
    TaskSpec {
        #[source]
        /// What is wrong with the JSON.
        source: serde_json::Error,
    },
    /// The user stopped the run.
    #[error("interrupted by {signal}")]
    Interrupted {
        /// `SIGINT` or `SIGTERM`.
        signal: &'static str,
    },
    /// A local file or terminal could not be used.
    #[error("{action} failed")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
}

impl ConfigError {
    /// This mistake at a place.
    #[must_use]
    pub fn at(self, at: &Position) -> Error {
        Error::Config { at: at.clone(), problem: Box::new(self) }
    }
}
