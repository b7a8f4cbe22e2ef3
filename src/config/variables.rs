//! `${...}` in string literals.
//!
//! `${name}` is a value given with `--var`, `${env:NAME}` an environment variable; after `:-` stands a default, which
//! also replaces an empty value, as in a shell. `$${` is the text `${` itself. A value is not searched for variables
//! again. A variable without a value, or `${` that is no variable, is an error at its own place in the literal.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::tokenizer::Location;

use crate::error::ConfigError;

/// Where the values of `${name}` and `${env:NAME}` come from.
#[derive(Debug, Clone)]
pub struct Variables {
    /// Values given with `--var name=value`.
    pub named: BTreeMap<String, String>,
    /// Reads one environment variable; a function, so that tests need no real environment.
    pub environment: fn(&str) -> Option<String>,
}

impl Default for Variables {
    fn default() -> Self {
        Self { named: BTreeMap::new(), environment: |name| std::env::var(name).ok() }
    }
}

impl Variables {
    /// The text of a single-quoted literal that starts at `start` with its variables replaced.
    pub(crate) fn replace(&self, text: &str, start: Location) -> Result<String, (ConfigError, Location)> {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(found) = rest.find("${") {
            let before = &rest[..found];
            if let Some(kept) = before.strip_suffix('$') {
                done.push_str(kept);
                done.push_str("${");
                rest = &rest[found + 2..];
                continue;
            }
            done.push_str(before);
            let at = || place(&text[..text.len() - rest.len() + found], start);
            let Some(length) = rest[found..].find('}') else {
                return Err((ConfigError::BadVariable { text: rest[found..].to_owned() }, at()));
            };
            let inner = &rest[found + 2..found + length];
            done.push_str(&self.value(inner).map_err(|problem| (problem, at()))?);
            rest = &rest[found + length + 1..];
        }
        done.push_str(rest);
        Ok(done)
    }

    fn value(&self, inner: &str) -> Result<String, ConfigError> {
        let (key, default) = match inner.split_once(":-") {
            Some((key, default)) => (key, Some(default)),
            None => (inner, None),
        };
        let environment = key.strip_prefix("env:");
        let name = environment.unwrap_or(key);
        let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        if !first || !name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
            return Err(ConfigError::BadVariable { text: format!("${{{inner}}}") });
        }
        let found = match environment {
            Some(name) => (self.environment)(name),
            None => self.named.get(name).cloned(),
        };
        match (found.filter(|value| default.is_none() || !value.is_empty()), default, environment) {
            (Some(value), _, _) => Ok(value),
            (None, Some(default), _) => Ok(default.to_owned()),
            (None, None, Some(_)) => Err(ConfigError::UndefinedEnvironment { name: name.to_owned() }),
            (None, None, None) => Err(ConfigError::UndefinedVariable { name: name.to_owned() }),
        }
    }
}

/// The place after `before`, the first part of a literal that starts at `start`: a quote in it was written twice.
fn place(before: &str, start: Location) -> Location {
    let mut at = Location { line: start.line, column: start.column + 1 };
    for c in before.chars() {
        match c {
            '\n' => at = Location { line: at.line + 1, column: 1 },
            '\'' => at.column += 2,
            _ => at.column += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Location = Location { line: 3, column: 10 };

    fn variables() -> Variables {
        let named = [("bucket", "s3://b"), ("empty", ""), ("nested", "${bucket}")];
        Variables {
            named: named.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            environment: |name| (name == "HOME").then(|| "/home/me".to_owned()),
        }
    }

    #[test]
    fn names_environment_and_defaults_are_replaced_once() {
        for (text, expected) in [
            ("${bucket}/x/${bucket}", "s3://b/x/s3://b"),
            ("${env:HOME}", "/home/me"),
            ("${env:NONE:-a:-b}", "a:-b"),
            ("${none:-}", ""),
            ("${empty}", ""),
            ("${empty:-full}", "full"),
            ("${nested}", "${bucket}"),
            ("$${bucket} $1", "${bucket} $1"),
        ] {
            assert_eq!(variables().replace(text, START).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn undefined_variable_is_reported_at_its_own_place() {
        let (problem, at) = variables().replace("it's\n ${bucket} ${none}", START).unwrap_err();
        assert_eq!(problem, ConfigError::UndefinedVariable { name: "none".to_owned() });
        assert_eq!(at, Location { line: 4, column: 12 });
        let (problem, at) = variables().replace("it's ${env:NONE}", START).unwrap_err();
        assert_eq!(problem, ConfigError::UndefinedEnvironment { name: "NONE".to_owned() });
        assert_eq!(at, Location { line: 3, column: 17 });
    }

    #[test]
    fn open_brace_without_a_name_is_refused() {
        for text in ["${", "${}", "${1}", "${env:}", "${a b}", "${:-x}"] {
            let (problem, _) = variables().replace(text, START).unwrap_err();
            assert!(matches!(problem, ConfigError::BadVariable { .. }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_without_variables_stays_as_it_is(text in "[^{]*") {
            prop_assert_eq!(variables().replace(&text, START).unwrap(), text);
        }
    }
}
