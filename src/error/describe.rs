//! Formats an error with its causes. Each message is printed once, those of the engine in SQL terms.

use std::error::Error as _;

use super::Error;
use super::reworded;

/// The error, then its causes; a cause that its effect already quotes is left out.
pub(crate) fn describe(error: &Error) -> String {
    // Of ours only those that pass on the engine's words need other ones.
    let own = |error: &Error| {
        if matches!(error, Error::Engine(_)) { reworded(&error.to_string()) } else { error.to_string() }
    };
    let mut text = own(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let boxed = || error.downcast_ref::<Box<Error>>().map(AsRef::as_ref);
        let message = match error.downcast_ref::<Error>().or_else(boxed) {
            Some(error) => own(error),
            None => reworded(&error.to_string()),
        };
        if !text.contains(&message) {
            text.push_str("\n  because ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::TaskStep;
    use super::*;

    #[test]
    fn causes_are_printed_once_and_without_the_engines_prefixes() {
        let error = Error::Task {
            step: TaskStep::Stage,
            table: "t".into(),
            group: 3,
            partition: None,
            file: Some("s3://b/f".into()),
            source: Box::new(Error::Engine(datafusion::error::DataFusionError::Execution("no".into()))),
        };
        assert_eq!(describe(&error), "stage of lake.t group 3 failed at s3://b/f\n  because no");
    }
}
