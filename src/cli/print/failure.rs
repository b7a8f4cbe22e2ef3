//! Prints an error with its causes and its help, and maps it to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use super::report::Report;
use super::text::say;
use crate::error::Error;
use crate::error::advice::advice;
use crate::error::describe::describe;
use crate::error::redact::is_secret;

impl Report {
    /// Prints an error with its causes and its help, and returns the exit code.
    ///
    /// `arguments` are those of a command that continues where it stopped when it is run again.
    #[must_use]
    pub(crate) fn failed(&self, error: &Error, arguments: Option<&[OsString]>) -> ExitCode {
        self.board.clear();
        if let Error::AuditsFailed { verdicts, published } = error {
            self.failed_audits(verdicts, published);
        }
        let mut text = format!("error: {}", describe(error));
        let help = advice(error).map(str::to_owned).or_else(|| error.help());
        let again = arguments.filter(|_| error.may_pass()).map(|arguments| {
            format!("to continue, run the same command again (finished tasks are kept): {}", command(arguments))
        });
        for help in help.into_iter().chain(again) {
            text.push_str("\n  help: ");
            text.push_str(&help);
        }
        say(&text);
        ExitCode::from(exit_code(error))
    }
}

/// The command line, without the values of variables with a secret name.
fn command(arguments: &[OsString]) -> String {
    let mut words = vec!["snaplake".to_owned()];
    let mut is_variable = false;
    for argument in arguments.iter().skip(1) {
        let text = argument.to_string_lossy();
        let (flag, variable) = match text.strip_prefix("--var=") {
            Some(variable) => ("--var=", variable),
            None => ("", &*text),
        };
        let masked = match variable.split_once('=') {
            Some((name, _)) if (is_variable || !flag.is_empty()) && is_secret(name) => format!("{flag}{name}=***"),
            _ => text.clone().into_owned(),
        };
        is_variable = text == "--var";
        words.push(quoted(&masked));
    }
    words.join(" ")
}

/// A word, quoted for a shell if needed.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+=.,:/@%*".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Config { .. }
        | Error::ReadConfig { .. }
        | Error::NotUtf8 { .. }
        | Error::Location { .. }
        | Error::UnusedVariable { .. }
        | Error::NoSuchGroup { .. }
        | Error::GroupNeedsTable { .. }
        | Error::OutputExists { .. }
        | Error::ForeignModel { .. }
        | Error::OutputFile { .. }
        | Error::RowOutput { .. } => 2,
        Error::Validation { .. } => 3,
        Error::AuditsFailed { .. } => 4,
        Error::FilesLeftOut { .. } | Error::FilesOfNoTable { .. } => 5,
        Error::Interrupted { signal: "SIGTERM" } => 143,
        Error::Interrupted { .. } => 130,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_quoted_and_has_no_secret() {
        let words =
            ["/bin/x", "run", "a b.sql", "--var", "out=s3://b/x", "--var", "api_token=abc", "--var=password=x y"];
        let words = words.map(OsString::from);
        assert_eq!(command(&words), "snaplake run 'a b.sql' --var out=s3://b/x --var api_token=*** --var=password=***");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn exit_codes_differ_for_config_failure_and_validation() {
        let validation = Error::Validation { table: "t".into(), reason: "r".into() };
        let config = Error::NotUtf8 { path: "p".into(), offset: 1 };
        let interrupted = |signal| exit_code(&Error::Interrupted { signal });
        assert_eq!([exit_code(&validation), exit_code(&config)], [3, 2]);
        assert_eq!([interrupted("SIGINT"), interrupted("SIGTERM")], [130, 143]);
        assert_eq!(exit_code(&Error::NotPlanned { table: "t".into() }), 1);
        let unused = Error::UnusedVariable { name: "n".into(), config: "c".into(), nearest: Some("m".into()) };
        assert_eq!(
            (exit_code(&unused), unused.to_string()),
            (2, "--var n: c and its models have no ${n}; did you mean 'm'?".into())
        );
    }
}
