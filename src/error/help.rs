//! What a user can do about an error, and whether running the same command again is a part of that.
//!
//! An error says what went wrong and where; this module says what to do. Advice that depends on the machine is in
//! `advice`, and mistakes in a config name the solution themselves. An error without a known solution gets no advice:
//! advice that fails is worse than none.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::Error;

impl Error {
    /// What to do; none where nothing is known to help.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let own = |text: &str| Some(text.to_owned());
        match self {
            Self::Task { source, .. } | Self::Audit { source, .. } => source.help(),
            Self::NotUtf8 { .. } => own("save it as UTF-8"),
            Self::OpenStore { .. } => own("check credentials, region and endpoint"),
            Self::Store { source: object_store::Error::Precondition { .. }, .. } => Some(anew("")),
            Self::Store { source: object_store::Error::PermissionDenied { .. }, .. } => {
                own("let these credentials do it, or use others")
            }
            Self::Store { source: object_store::Error::Unauthenticated { .. }, .. } => {
                own("set credentials in the environment, a profile or a role")
            }
            Self::Store { source, .. } if is_circle(source) => own("remove the link that leads in a circle"),
            Self::ReadSnapshotFile { source, .. } if is_of_value(source) => {
                own("correct the value in its file, or declare a type that holds it and convert it in the SELECT")
            }
            Self::ReadSnapshotFile { source, .. } if says_empty(source) => {
                own("export it again, or move it out of the LOCATION")
            }
            Self::ReadSnapshotFile { source, .. } if says_twice(source) => {
                own("export it with a name of its own for each column, or move it out of the LOCATION")
            }
            Self::ReadSnapshotFile { .. } => {
                own("the file may be truncated or not of this format: export it again, or move it out of the LOCATION")
            }
            Self::NoSource { help, .. } => own(help),
            Self::EmptyFiles { .. } => own("export it again, or declare its columns in CREATE EXTERNAL TABLE"),
            Self::InvalidValue { .. } => own(
                "correct the value in its file, or declare a type that holds it and convert it in the SELECT; a word \
                 that means NULL in CSV is named by OPTIONS ('null_regex' '^(NA)?$')",
            ),
            Self::Malformed { .. } => own("correct the file there, or change the OPTIONS that say how it is written"),
            Self::TooLarge { .. } => {
                own("raise --memory-limit, or leave the column out of the SELECT and of CREATE EXTERNAL TABLE")
            }
            Self::SchemaConflict { .. } => own("declare the column in CREATE EXTERNAL TABLE to choose one type"),
            Self::ColumnInNoFile { nearest: Some(nearest), .. } => {
                Some(format!("write \"{nearest}\", or leave the column out of CREATE EXTERNAL TABLE"))
            }
            Self::ColumnInNoFile { .. } => own("leave it out of CREATE EXTERNAL TABLE"),
            Self::TooManyFolders { .. } => own("name a folder below it"),
            Self::OutputExists { .. } => own("add --force to replace it, or name another file with -o"),
            Self::ForeignModel { .. } => own("move it, or name another file with -o"),
            Self::OutputFile { .. } => own("name one that ends with .sql, such as configs/shop.sql"),
            Self::CommitConflict { .. } => own("use another snapshot_time or remove the old staging folder"),
            Self::PlanChanged { table, published: 0, .. } => Some(format!("undo the change, or {}", anew(table))),
            Self::PlanChanged { table, .. } => Some(taken_back("undo the change", table)),
            Self::PlanReplaced { table } => Some(format!(
                "if the config of this run is the right one, run it again with `--replan --table {table}` once no \
                 other run of the table goes on"
            )),
            Self::RowsDiffer { of, .. } if of.starts_with("snapshot.") => Some(anew("")),
            Self::RowsDiffer { .. } | Self::Validation { .. } => own(
                "`snaplake repair CONFIG` finds files and manifests that are gone or changed, and makes room for them to \
                 be made again by a run; `snaplake clean` lists files that are not the lake's",
            ),
            Self::NotConfirmed => own("add --yes to remove what is listed without a question"),
            Self::RunGoesOn { .. } => own(
                "wait until it ends, or stop it; a run on another machine is taken for dead 30 seconds after it was \
                 last seen",
            ),
            Self::LocationOwned { table, within: None, changed: Some(_), .. } => {
                Some(taken_back("set staging and config to what they were", table))
            }
            Self::LocationOwned { .. } | Self::LocationHolds { .. } => own(
                "give each table of each snapshot a folder of its own: set another snaplake.staging, snaplake.datalake or \
                 external_location",
            ),
            Self::OtherVersion { .. } => own(
                "use the version that wrote it; or set another snaplake.staging and snaplake.datalake, and run again",
            ),
            Self::Damaged { .. } | Self::ContentChanged { .. } => {
                own("`snaplake repair CONFIG` says what is damaged and makes it again from the staging files or the \
                 snapshot")
            }
            Self::AlreadyPublished { table, .. } => {
                Some(taken_back("run without --replan and with the config as it was", table))
            }
            Self::PublishedElsewhere { .. } => own(
                "set snaplake.datalake, or the table's external_location, to what it was, and take the table back then",
            ),
            Self::BeingReplanned { .. } => own("ask again when that run is over"),
            Self::UnusedVariable { .. } => own("leave it out, or write its name into the config"),
            Self::GroupNeedsTable { .. } => own("name it with --table"),
            Self::Endpoint { .. } => {
                own("give the address that takes events, such as http://127.0.0.1:5000/api/v1/lineage, and send them \
                 again: they stay the same")
            }
            Self::NotStaged { .. } => own("run `snaplake stage` first"),
            Self::NotPublished { .. } => own("run `snaplake publish` first"),
            Self::NotPlanned { .. } => own("run `snaplake stage` or `snaplake run` first"),
            Self::NotAudited { .. } => own("run `snaplake audit` first"),
            Self::ForeignFiles { table, .. } => {
                Some(format!("publish lake.{table} to an empty location or remove them"))
            }
            Self::Unstorable { column, data_type, .. } => finer(column, data_type),
            Self::PartitionText { column, value: "", .. } => Some(format!(
                "empty_partition = 'null' in WITH makes it NULL, 'keep' makes the folder all the same, 'error' is the \
                 default; or replace it in the SELECT, as with CASE WHEN {column} = '' THEN 'none' ELSE {column} END"
            )),
            Self::PartitionText { column, value, .. } => Some(format!(
                "make it NULL in the SELECT with nullif({column}, '{value}'), or replace it by another text"
            )),
            Self::PartitionValueTooLong { .. } => own("choose another partition column"),
            Self::Panicked { .. } => own("a file may be damaged: export it again, or move it out of the LOCATION"),
            Self::Timeout { .. } => own("if no store hangs, set a longer time or smaller groups (file_group_size)"),
            Self::NoConditionalPut { .. } => {
                own("if no two runs ever work on one table at once, SET snaplake.single_writer = true")
            }
            Self::NoChecksums { .. } => own("SET snaplake.verify = 'checksum' before a table is staged"),
            Self::Engine(error) => about_engine(error),
            _ => None,
        }
    }

    /// Whether the same command may do now, or after the help was followed, what it could not do: stores, disks and
    /// interruptions, never data or config.
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

/// How a value that its type in the lake cannot hold is stored all the same.
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
fn anew(table: &str) -> String {
    let only = if table.is_empty() { String::new() } else { format!(" --table {table}") };
    format!(
        "plan it anew with `snaplake run CONFIG --replan{only}` while nothing of it is published, or set a new \
         snaplake.snapshot_time"
    )
}

/// What can be done with a table that is published.
fn taken_back(keep: &str, table: &str) -> String {
    format!(
        "to keep it, {keep}, or set another snaplake.snapshot_time; to replace it, `snaplake run CONFIG --replan \
         --withdraw --table {table}` takes the published table back and plans it anew"
    )
}

fn arrow(error: &DataFusionError) -> Option<&ArrowError> {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => Some(error),
        _ => None,
    }
}

/// Whether a file was read well, but for one value.
fn is_of_value(error: &DataFusionError) -> bool {
    matches!(arrow(error), Some(ArrowError::ParseError(_) | ArrowError::CastError(_) | ArrowError::ComputeError(_)))
}

/// Whether a listing went over links without an end.
fn is_circle(error: &object_store::Error) -> bool {
    let said = error.to_string();
    ["File system loop found", "Too many levels of symbolic links"].iter().any(|words| said.contains(words))
}

fn says_empty(error: &DataFusionError) -> bool {
    matches!(error, DataFusionError::Execution(text) if text.starts_with("it is empty") || text.starts_with("it is too short"))
}

fn says_twice(error: &DataFusionError) -> bool {
    matches!(error, DataFusionError::Execution(text) if text.starts_with("the file has two columns named"))
}

fn about_engine(error: &DataFusionError) -> Option<String> {
    let help = match (error.find_root(), arrow(error)) {
        // Of the types of a function's arguments the engine complains so, too.
        (DataFusionError::Internal(said), _) if said.starts_with("Function '") => return None,
        (DataFusionError::Internal(_), _) => {
            "this is a bug in snaplake, not in your SQL: please report it with the statement"
        }
        (_, Some(ArrowError::CastError(text))) if text.starts_with("Casting from") => return None,
        (_, Some(ArrowError::InvalidArgumentError(text))) if text.contains("to store in a Decimal") => {
            "CAST to a DECIMAL with more digits; TRY_CAST gives NULL for what does not fit"
        }
        (_, Some(ArrowError::CastError(_) | ArrowError::ParseError(_))) => {
            "TRY_CAST gives NULL for what cannot be cast; or correct the values"
        }
        (_, Some(ArrowError::DivideByZero)) => "write NULLIF(divisor, 0) to get NULL there",
        (_, Some(ArrowError::ArithmeticOverflow(_))) => "CAST to a wider type before it is computed",
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
        // An error in an error, as the Parquet writer and the spill files make them.
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
    use super::*;

    fn task(source: Error) -> Error {
        Error::Task {
            step: "stage",
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
