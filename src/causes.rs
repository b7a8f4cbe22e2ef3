//! An error and its causes as text for people: each said once, without the names that the engine gives to its own parts.

use std::error::Error as _;

use crate::error::Error;

/// The error, then its causes; a cause that its effect already quotes is left out.
pub(crate) fn describe(error: &Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_printed_once_and_without_the_engines_prefixes() {
        let error = Error::Task {
            step: "stage",
            table: "t".into(),
            group: 3,
            partition: None,
            file: Some("s3://b/f".into()),
            source: Box::new(Error::Engine(datafusion::error::DataFusionError::Execution("no".into()))),
        };
        assert_eq!(describe(&error), "stage of lake.t group 3 failed at s3://b/f\n  because no");
    }
}
