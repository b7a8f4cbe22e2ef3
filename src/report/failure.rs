//! What went wrong, with its causes, what can be done about it, and the exit code.

use std::error::Error as _;
use std::process::ExitCode;

use super::Report;
use super::text::say;
use crate::advice::advice;
use crate::error::Error;

impl Report {
    /// Prints an error with its causes and gives the program's exit code.
    #[must_use]
    pub(crate) fn failed(&self, error: &Error) -> ExitCode {
        self.bar.finish_and_clear();
        if let Error::AuditsFailed { verdicts } = error {
            self.failed_audits(verdicts);
        }
        say(&format!("error: {}", describe(error)));
        if let Some(advice) = advice(error) {
            say(&format!("  so {advice}"));
        }
        ExitCode::from(exit_code(error))
    }
}

/// The error, then its causes; a cause that its effect already quotes is left out.
fn describe(error: &Error) -> String {
    let mut text = clean(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = clean(&error.to_string());
        if !text.contains(&message) {
            text.push_str("\n  because ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The engine's messages, without the prefixes that name its own parts.
fn clean(message: &str) -> String {
    const PREFIXES: [&str; 11] = [
        "Arrow error: ",
        "Execution error: ",
        "External error: ",
        "External: ",
        "Parquet error: ",
        "Error during planning: ",
        "Object Store error: ",
        "Schema error: ",
        "Compute error: ",
        "Invalid argument error: ",
        "sql parser error: ",
    ];
    let mut text = message.trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.to_owned()
}

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Config { .. }
        | Error::ReadConfig { .. }
        | Error::NotUtf8 { .. }
        | Error::Location { .. }
        | Error::NoSuchGroup { .. }
        | Error::GroupNeedsTable { .. }
        | Error::OutputExists { .. }
        | Error::ForeignModel { .. }
        | Error::OutputFile { .. }
        | Error::RowOutput { .. } => 2,
        Error::Validation { .. } => 3,
        Error::AuditsFailed { .. } => 4,
        Error::Interrupted { signal: "SIGTERM" } => 143,
        Error::Interrupted { .. } => 130,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_printed_once_and_without_the_engines_prefixes() {
        let error = Error::Task {
            step: "stage",
            table: "t".into(),
            group: 3,
            file: Some("s3://b/f".into()),
            source: Box::new(Error::Engine(datafusion::error::DataFusionError::Execution("no".into()))),
        };
        assert_eq!(describe(&error), "stage of lake.t group 3 failed at s3://b/f\n  because no");
    }

    #[test]
    fn exit_codes_tell_config_from_failure_and_from_validation() {
        let validation = Error::Validation { table: "t".into(), reason: "r".into() };
        let config = Error::NotUtf8 { path: "p".into(), offset: 1 };
        let interrupted = |signal| exit_code(&Error::Interrupted { signal });
        assert_eq!([exit_code(&validation), exit_code(&config)], [3, 2]);
        assert_eq!([interrupted("SIGINT"), interrupted("SIGTERM")], [130, 143]);
        assert_eq!(exit_code(&Error::NotPlanned { table: "t".into() }), 1);
    }
}
