//! What a user can do about an error, and whether the same command can succeed when it is run again.
//!
//! An error message has the problem and its place; the help has the solution. Help about limits of the machine is in
//! `advice`, and help about a config is [`ConfigError::help`](super::ConfigError::help). An error without a known
//! solution has no help: wrong advice is worse than none.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::Error;

impl Error {
    /// What to do; none if no solution is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let own = |text: &str| Some(text.to_owned());
        match self {
            Self::Task { source, .. } | Self::Audit { source, .. } => source.help(),
            Self::Config { problem, .. } | Self::Query { problem } => problem.help(),
            Self::RowOutput { help, .. } => own(help),
            Self::Database { help, .. } | Self::DatabaseUnread { help, .. } => help.clone(),
            Self::UncertainFiles { exclude, .. } => Some(format!(
                "leave such files out with OPTIONS ('exclude' '{exclude}'), or name the files to read in LOCATION"
            )),
            Self::TableFormat { .. } => {
                own("export only the current rows; to read all rows, write OPTIONS ('ignore_table_format' 'true')")
            }
            Self::ColumnCase { found, .. } => Some(format!("declare it in double quotes: \"{found}\"")),
            Self::NoFolder { other_case: Some(name), .. } => Some(format!("declare it in double quotes: \"{name}\"")),
            Self::Misread { found, .. } => Some(format!("declare it {found} and convert it in the SELECT")),
            Self::NoFields { .. } => own("declare the columns of the table without it, or export the table without it"),
            Self::Contradiction { .. } => own("export it again"),
            Self::NotUtf8 { .. } => own("save it as UTF-8"),
            Self::OpenStore { .. } => own("check credentials, region and endpoint"),
            Self::Store { source: object_store::Error::Precondition { .. }, .. } => Some(plan_again("")),
            Self::Store { source: object_store::Error::PermissionDenied { .. }, .. } => {
                own("grant these credentials access, or use others")
            }
            Self::Store { source: object_store::Error::Unauthenticated { .. }, .. } => {
                own("set credentials in the environment, in a profile or by a role")
            }
            Self::Store { source, .. } if is_link_loop(source) => {
                own("remove the symbolic link that leads back to its own folder")
            }
            Self::ReadSnapshotFile { source, .. } if is_of_value(source) => {
                own("correct the value in its file, or declare a type that holds it and convert it in the SELECT")
            }
            Self::ReadSnapshotFile { source, .. } if is_empty_file(source) => {
                own("export it again, or move it out of the LOCATION")
            }
            Self::ReadSnapshotFile { source, .. } if has_duplicate_column(source) => {
                own("export it with unique column names, or move it out of the LOCATION")
            }
            Self::ReadSnapshotFile { .. } => {
                own("the file may be truncated or not of this format: export it again, or move it out of the LOCATION")
            }
            Self::NoSource { help, .. } => own(help),
            Self::Export { fault, .. } => own(fault.help()),
            Self::Iceberg { fault, .. } => own(fault.help()),
            Self::EmptyFiles { .. } => own("export it again, or declare its columns in CREATE EXTERNAL TABLE"),
            Self::InvalidValue { uri, .. } if is_part_of_dump(uri) => own(
                "declare the column as VARCHAR, with the others, in CREATE EXTERNAL TABLE, and convert it in the SELECT",
            ),
            Self::InvalidValue { .. } => own(
                "correct the value in its file, or declare a type that holds it and convert it in the SELECT; if it is \
                 a word for NULL in CSV, write OPTIONS ('null_regex' '^(NA)?$')",
            ),
            Self::Malformed { .. } => {
                own("correct the file at this place, or change the OPTIONS that describe its format")
            }
            Self::TooLarge { .. } => {
                own("raise --memory-limit, or leave the column out of the SELECT and of CREATE EXTERNAL TABLE")
            }
            Self::SchemaConflict { .. } => own("declare the column in CREATE EXTERNAL TABLE to choose one type"),
            Self::ColumnInNoFile { nearest: Some(nearest), .. } => {
                Some(format!("write \"{nearest}\", or leave the column out of CREATE EXTERNAL TABLE"))
            }
            Self::FilesLeftOut { .. } => {
                own("read them with a table of their own, or leave them out on purpose: OPTIONS ('exclude' '...')")
            }
            Self::FilesOfNoTable { .. } => own(
                "see above why; correct or convert them and run init again, write a table for them into the config, \
                 or go on without them",
            ),
            Self::UndeclaredColumn { .. } => own("declare it, or write OPTIONS ('undeclared' 'ignore')"),
            Self::ColumnInNoFile { .. } => own("leave it out of CREATE EXTERNAL TABLE"),
            Self::TooManyFolders { .. } => own("choose a folder inside it"),
            Self::OutputExists { .. } => own("add --force to replace it, or choose another file with -o"),
            Self::ForeignModel { .. } => own("move it, or choose another file with -o"),
            Self::OutputFile { .. } => own("choose a name that ends with .sql, such as configs/shop.sql"),
            Self::CommitConflict { .. } => own("use another snapshot_time or remove the old staging folder"),
            Self::PlanChanged { table, published: 0, .. } => Some(format!("undo the change, or {}", plan_again(table))),
            Self::PlanChanged { table, .. } => Some(withdraw("undo the change", table)),
            Self::PlanReplaced { table } => Some(format!(
                "if the config of this run is the right one, wait for the other run, then run again with \
                 `--replan --table {table}`"
            )),
            Self::RowsDiffer { of, .. } if of.starts_with("snapshot.") => Some(plan_again("")),
            Self::RowsDiffer { .. } | Self::Validation { .. } => own(
                "use `snaplake repair CONFIG` to find missing and changed files, so that the next run makes them again; \
                 use `snaplake clean CONFIG` to list files that no manifest lists",
            ),
            Self::TableOfExport { .. } => own("copy the file again, or make the export again"),
            Self::NewestSnapshot { table, .. } => Some(format!(
                "publish a newer snapshot first, or withdraw this one with `snaplake run CONFIG --replan --withdraw \
                 --table {table}`"
            )),
            Self::NoSuchSnapshot { .. } => own("list them with `snaplake snapshots CONFIG`"),
            Self::LinkedFolder { .. } => own("remove the files behind the link yourself"),
            Self::NotConfirmed => own("add --yes to remove the listed files without a question"),
            Self::RunGoesOn { .. } => own(
                "wait until it ends, or stop it; a run on another machine counts as dead 30 seconds after it was last \
                 seen",
            ),
            Self::LocationOwned { table, within: None, changed: Some(_), .. } => {
                Some(withdraw("restore the old staging folder and config", table))
            }
            Self::LocationOwned { .. } | Self::LocationHolds { .. } => {
                own("use a separate folder for each table of each snapshot: set another snaplake.staging, \
                 snaplake.datalake or external_location")
            }
            Self::TaskSpec { .. } => own(
                "pass the lines that `snaplake stage CONFIG --print-tasks` or `snaplake publish CONFIG --print-tasks` \
                 printed, unchanged",
            ),
            Self::OtherVersion { .. } => own(
                "use the version that wrote it, or set another snaplake.staging and snaplake.datalake and run again",
            ),
            Self::Damaged { .. } | Self::ContentChanged { .. } => {
                own("use `snaplake repair CONFIG` to list the damaged files and to make them again from the staging \
                 lake or the snapshot")
            }
            Self::AlreadyPublished { table, .. } => {
                Some(withdraw("run without --replan and with the old config", table))
            }
            Self::PublishedElsewhere { .. } => {
                own("restore the old snaplake.datalake or external_location of the table, then withdraw it")
            }
            Self::BeingReplanned { .. } => own("try again after that run has ended"),
            Self::UnusedVariable { .. } => own("remove it, or use it in the config"),
            Self::GroupNeedsTable { .. } => own("choose one with --table"),
            Self::Endpoint { .. } => {
                own("check that the URL is an OpenLineage endpoint, such as http://127.0.0.1:5000/api/v1/lineage; it \
                 is safe to send the events again")
            }
            Self::NotStaged { .. } => own("run `snaplake stage` first"),
            Self::NotPublished { .. } => own("run `snaplake publish` first"),
            Self::NotPlanned { .. } => own("run `snaplake stage` or `snaplake run` first"),
            Self::NotAudited { .. } => own("run `snaplake audit` first"),
            Self::ForeignFiles { table, .. } => {
                Some(format!("publish lake.{table} to an empty location, or remove these files"))
            }
            Self::Unstorable { column, data_type, .. } => finer(column, data_type),
            Self::PartitionText { column, value: "", .. } => Some(format!(
                "set empty_partition in WITH: 'null' writes NULL, 'keep' writes the folder, 'error' is the default; or \
                 replace it in the SELECT: CASE WHEN {column} = '' THEN 'none' ELSE {column} END"
            )),
            Self::PartitionText { column, value, .. } => Some(format!(
                "write nullif({column}, '{value}') in the SELECT to get NULL, or replace it with another text"
            )),
            Self::PartitionValueTooLong { .. } => own("choose another partition column"),
            Self::Panicked { .. } => own("a file may be damaged: export it again, or move it out of the LOCATION"),
            Self::Timeout { .. } => own("set a longer snaplake.task_timeout, or smaller groups with file_group_size"),
            Self::NoConditionalPut { .. } => {
                own("if only one run writes a table at a time, SET snaplake.single_writer = true")
            }
            Self::NoChecksums { .. } => own("SET snaplake.verify = 'checksum' before the table is staged"),
            Self::Engine(error) => engine_help(error),
            _ => None,
        }
    }

    /// Whether the same command can succeed when it is run again, perhaps after the help was followed. True for stores,
    /// disks and interruptions, never for data or config.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Task { source, .. } | Self::Audit { source, .. } => source.may_pass(),
            Self::Interrupted { .. } | Self::Timeout { .. } | Self::OpenStore { .. } | Self::Io { .. } => true,
            Self::Store { source, .. } => may_pass(source),
            Self::Engine(error) => may_pass(error),
            Self::Parquet { source, .. } => may_pass(source),
            _ => false,
        }
    }
}

/// Whether a uri names a part of a file, see `crate::layout::split`.
fn is_part_of_dump(uri: &str) -> bool {
    uri.rsplit_once('#').is_some_and(|(_, part)| part.contains('='))
}

/// The cast that stores a value which the type in the lake cannot hold.
fn finer(column: &str, data_type: &str) -> Option<String> {
    if column.contains(['.', '[']) {
        return None;
    }
    match data_type.split_once('(') {
        Some((time @ ("TIMESTAMP" | "TIME"), "6)")) => {
            Some(format!("CAST({column} AS {time}(9)) keeps all digits, CAST({column} AS {time}(6)) cuts them"))
        }
        None if data_type == "DATE" => Some(format!("CAST({column} AS TIMESTAMP) keeps the time of day")),
        _ => None,
    }
}

/// How to replace a plan while nothing of it is published.
fn plan_again(table: &str) -> String {
    let only = if table.is_empty() { String::new() } else { format!(" --table {table}") };
    format!(
        "use `snaplake run CONFIG --replan{only}` to plan it again while nothing of it is published, or set a new \
         snaplake.snapshot_time"
    )
}

/// How to keep or to replace a published table.
fn withdraw(keep: &str, table: &str) -> String {
    format!(
        "to keep the published table, {keep}, or set another snaplake.snapshot_time; to replace it, use \
         `snaplake run CONFIG --replan --withdraw --table {table}`"
    )
}

fn arrow(error: &DataFusionError) -> Option<&ArrowError> {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => Some(error),
        _ => None,
    }
}

/// Whether the file is readable except for one value.
fn is_of_value(error: &DataFusionError) -> bool {
    matches!(arrow(error), Some(ArrowError::ParseError(_) | ArrowError::CastError(_) | ArrowError::ComputeError(_)))
}

/// Whether a listing followed symbolic links in a circle.
fn is_link_loop(error: &object_store::Error) -> bool {
    let message = error.to_string();
    ["File system loop found", "Too many levels of symbolic links"].iter().any(|words| message.contains(words))
}

fn is_empty_file(error: &DataFusionError) -> bool {
    matches!(error, DataFusionError::Execution(text) if text.starts_with("it is empty") || text.starts_with("it is too short"))
}

fn has_duplicate_column(error: &DataFusionError) -> bool {
    matches!(error, DataFusionError::Execution(text) if text.starts_with("the file has two columns named"))
}

fn engine_help(error: &DataFusionError) -> Option<String> {
    let help = match (error.find_root(), arrow(error)) {
        // The engine reports wrong argument types of a function as an internal error, too.
        (DataFusionError::Internal(message), _) if message.starts_with("Function '") => return None,
        (DataFusionError::Internal(_), _) => {
            "this is a bug in snaplake, not in your SQL: please report it with the statement"
        }
        (_, Some(ArrowError::CastError(text))) if text.starts_with("Casting from") => return None,
        (_, Some(ArrowError::InvalidArgumentError(text))) if text.contains("to store in a Decimal") => {
            "CAST to a DECIMAL with more digits, or use TRY_CAST to get NULL for values that do not fit"
        }
        (_, Some(ArrowError::CastError(_) | ArrowError::ParseError(_))) => {
            "correct the values, or use TRY_CAST to get NULL for values that cannot be cast"
        }
        (_, Some(ArrowError::DivideByZero)) => "write NULLIF(divisor, 0) to get NULL instead",
        (_, Some(ArrowError::ArithmeticOverflow(_))) => "CAST to a wider type before the computation",
        _ => return None,
    };
    Some(help.to_owned())
}

fn may_pass(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<object_store::Error>() {
        use object_store::Error::{NotFound, NotImplemented, NotSupported, Precondition};
        return !matches!(error, NotFound { .. } | NotImplemented { .. } | NotSupported { .. } | Precondition { .. });
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let is_of_data = matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
        // The Parquet writer and the spill files wrap an error in an I/O error.
        let inner = error.get_ref().map(|inner| inner as &(dyn StdError + 'static));
        return inner.filter(|inner| inner.source().is_some()).map_or(!is_of_data, may_pass);
    }
    if matches!(error.downcast_ref(), Some(DataFusionError::ResourcesExhausted(_))) {
        return true;
    }
    match error.downcast_ref::<Error>() {
        Some(error) => error.may_pass(),
        None => error.source().is_some_and(may_pass),
    }
}

#[cfg(test)]
mod tests {
    use super::super::TaskStep;
    use super::*;

    fn task(source: Error) -> Error {
        Error::Task {
            step: TaskStep::Stage,
            table: "t".into(),
            group: 1,
            partition: None,
            file: None,
            source: Box::new(source),
        }
    }

    fn cast(text: &str) -> Error {
        Error::Engine(DataFusionError::ArrowError(Box::new(ArrowError::CastError(text.to_owned())), None))
    }

    #[test]
    fn running_again_is_offered_for_stores_and_disks_and_never_for_data() {
        let full = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(ErrorKind::StorageFull)),
        };
        let store = Error::Store { action: "write", uri: "u".into(), source: full };
        assert!(task(store).may_pass());
        let spill = DataFusionError::IoError(io::Error::from(ErrorKind::StorageFull));
        assert!(task(Error::Engine(spill)).may_pass());
        assert!(Error::Interrupted { signal: "SIGINT" }.may_pass());
        assert!(!task(cast("Cannot cast string 'x' to value of Int32 type")).may_pass());
        let cut = io::Error::from(ErrorKind::UnexpectedEof);
        let cut = Error::ReadSnapshotFile { table: "t".into(), uri: "u".into(), source: DataFusionError::IoError(cut) };
        assert!(!task(cut).may_pass());
        let zero = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert!(!task(Error::Engine(zero)).may_pass());
    }

    #[test]
    fn a_file_is_called_truncated_only_when_it_cannot_be_decoded() {
        let read = |source| Error::ReadSnapshotFile { table: "t".into(), uri: "u".into(), source }.help().unwrap();
        let value = ArrowError::ParseError("Error while parsing value 'x'".to_owned());
        assert!(!read(DataFusionError::ArrowError(Box::new(value), None)).contains("truncated"));
        assert!(read(DataFusionError::Execution("corrupt footer".into())).contains("may be truncated"));
        assert!(!read(DataFusionError::Execution("it is empty (0 bytes)".into())).contains("truncated"));
    }

    #[test]
    fn cast_is_advised_only_where_there_is_one() {
        assert!(cast("Cannot cast string 'x' to value of Int32 type").help().is_some());
        assert_eq!(cast("Casting from Boolean to Date32 not supported").help(), None);
    }
}
