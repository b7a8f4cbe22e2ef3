//! `${...}` in string literals.
//!
//! ```text
//! ${name}            a value given with --var
//! ${env:NAME}        an environment variable
//! ${name:-default}   the default where there is no value or an empty one, as in a shell
//! ${a:-${b:-c}}      a default may hold variables, which count only where it is taken
//! $${                the text ${ itself
//! ```
//!
//! A value is not searched for variables again. What the environment gave may be a secret, so that each text is also
//! known as it may be shown and kept ([`Replaced::shown`]): with `${env:NAME}` itself in place of the value. A variable
//! without a value, one without its `}`, or `${` that is no variable, is an error at its own place in the literal.
//! Which names a text uses is noted, so that a `--var` that nobody uses can be reported.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::tokenizer::Location;

use crate::error::{ConfigError, nearest};

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

/// Variables in the default of a variable in the default of ...: more are a mistake, and would need a deep stack.
const DEPTH: usize = 16;

/// A text with its variables replaced.
#[derive(Default, Clone)]
pub(crate) struct Replaced {
    /// What the engine sees.
    pub(crate) text: String,
    /// The same with `${env:NAME}` as it is written, whatever its value is.
    pub(crate) shown: String,
    /// The variables that `shown` leaves.
    pub(crate) held: Vec<Held>,
    /// What the environment gave, defaults not counted.
    pub(crate) secrets: Vec<String>,
}

/// A `${env:NAME}` or `${env:NAME:-default}` as it is written, and what it represents.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// As written.
    pub variable: String,
    /// Its value, which is never shown or kept.
    pub value: String,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.variable)
    }
}

impl Replaced {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), shown: text.to_owned(), ..Self::default() }
    }

    fn push(&mut self, more: &Self) {
        self.text.push_str(&more.text);
        self.shown.push_str(&more.shown);
        self.held.extend_from_slice(&more.held);
        self.secrets.extend_from_slice(&more.secrets);
    }
}

/// A mistake and where it is.
type Problem = (ConfigError, Location);

impl Variables {
    /// The text of a single-quoted literal that starts at `start` with its variables replaced; the names in it are
    /// added to `used`.
    pub(crate) fn replace(
        &self,
        text: &str,
        start: Location,
        used: &mut BTreeSet<String>,
    ) -> Result<Replaced, Problem> {
        let mut literal = Expansion { variables: self, text, start, used };
        literal.text(0, 0)?.0
    }

    /// The given variable that is not among those that are used, with the nearest that is.
    pub(crate) fn unused(&self, used: &BTreeSet<String>) -> Option<(&str, Option<String>)> {
        let name = self.named.keys().find(|name| !used.contains(*name))?;
        let free = used.iter().filter(|name| !self.named.contains_key(*name)).map(String::as_str);
        Some((name, nearest(name, free)))
    }

    fn value(&self, key: &str, has_default: bool) -> Result<Option<String>, ConfigError> {
        let environment = key.strip_prefix("env:");
        let name = environment.unwrap_or(key);
        let found = match environment {
            Some(name) => (self.environment)(name),
            None => self.named.get(name).cloned(),
        };
        match (found.filter(|value| !has_default || !value.is_empty()), environment) {
            (None, Some(_)) if !has_default => Err(ConfigError::UndefinedEnvironment { name: name.to_owned() }),
            (None, None) if !has_default => Err(ConfigError::UndefinedVariable { name: name.to_owned() }),
            (found, _) => Ok(found),
        }
    }
}

/// Whether a key can be one of a variable.
fn is_key(key: &str) -> bool {
    let name = key.strip_prefix("env:").unwrap_or(key);
    let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// A literal whose variables are being replaced.
struct Expansion<'a> {
    variables: &'a Variables,
    text: &'a str,
    start: Location,
    used: &'a mut BTreeSet<String>,
}

impl Expansion<'_> {
    fn problem(&self, problem: ConfigError, at: usize) -> Problem {
        (problem, place(&self.text[..at], self.start))
    }

    /// The text from `at` to the end of the literal or, inside of a variable, up to `}`; and where that is. A variable
    /// without a value is a mistake of the text only: nobody may want it.
    fn text(&mut self, mut at: usize, depth: usize) -> Result<(Result<Replaced, Problem>, usize), Problem> {
        let mut done = Ok(Replaced::default());
        loop {
            let rest = &self.text[at..];
            let is_mark = |(index, c): &(usize, char)| match c {
                '}' => depth > 0,
                '$' => rest[*index..].starts_with("${") || rest[*index..].starts_with("$${"),
                _ => false,
            };
            let found = rest.char_indices().find(is_mark);
            let before = found.map_or(rest, |(index, _)| &rest[..index]);
            if let Ok(done) = &mut done {
                done.push(&Replaced::plain(before));
            }
            at += before.len();
            match found {
                None => return Ok((done, at)),
                Some((_, '}')) => return Ok((done, at)),
                Some(_) if self.text[at..].starts_with("$${") => {
                    if let Ok(done) = &mut done {
                        done.push(&Replaced::plain("${"));
                    }
                    at += 3;
                }
                Some(_) => {
                    let (value, end) = self.variable(at, depth + 1)?;
                    done = done.and_then(|mut done| value.map(|value| done.push(&value)).map(|()| done));
                    at = end;
                }
            }
        }
    }

    /// The value of the variable whose `${` is at `at`, and the place after its `}`.
    fn variable(&mut self, at: usize, depth: usize) -> Result<(Result<Replaced, Problem>, usize), Problem> {
        let inner = &self.text[at + 2..];
        let open = || ConfigError::OpenVariable { text: self.text[at..].lines().next().unwrap_or_default().to_owned() };
        let key_length = inner.find(['}', ':']).filter(|end| inner[*end..].starts_with('}'));
        // The colon of `env:` is one of the key, that of `:-` is not.
        let key_length = key_length.or_else(|| {
            let default = inner.find(":-");
            let close = inner.find('}');
            default.filter(|default| close.is_none_or(|close| *default < close)).or(close)
        });
        let Some(key_length) = key_length else { return Err(self.problem(open(), at)) };
        let key = &inner[..key_length];
        let after = at + 2 + key_length;
        let has_default = self.text[after..].starts_with(":-");
        let (default, end) = match has_default {
            true if depth > DEPTH => {
                let text = format!("${{{key}:-");
                return Err(self.problem(ConfigError::BadVariable { text }, at));
            }
            true => self.text(after + 2, depth)?,
            false => (Ok(Replaced::default()), after),
        };
        if !self.text[end..].starts_with('}') {
            return Err(self.problem(open(), at));
        }
        if !is_key(key) {
            let text = self.text[at..=end].to_owned();
            return Err(self.problem(ConfigError::BadVariable { text }, at));
        }
        if !key.starts_with("env:") {
            self.used.insert(key.to_owned());
        }
        let is_environment = key.starts_with("env:");
        let value = match self.variables.value(key, has_default) {
            Ok(Some(value)) if is_environment => {
                Ok(Replaced { secrets: vec![value.clone()], ..Replaced::plain(&value) })
            }
            Ok(Some(value)) => Ok(Replaced::plain(&value)),
            Ok(None) => default,
            Err(problem) => Err(self.problem(problem, at)),
        };
        let variable = &self.text[at..=end];
        let value = value.map(|value| match is_environment {
            true => {
                let held = vec![Held { variable: variable.to_owned(), value: value.text.clone() }];
                Replaced { shown: variable.to_owned(), held, ..value }
            }
            false => value,
        });
        Ok((value, end + 1))
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

    fn replaced(text: &str) -> Result<String, Problem> {
        variables().replace(text, START, &mut BTreeSet::new()).map(|replaced| replaced.text)
    }

    #[test]
    fn value_of_the_environment_is_held_back_from_what_is_shown() {
        for (text, shown, held, secrets) in [
            ("a${bucket}b", "as3://bb", vec![], 0),
            ("${env:HOME}/${env:HOME}", "${env:HOME}/${env:HOME}", vec!["${env:HOME}"; 2], 2),
            ("${env:NONE:-a}", "${env:NONE:-a}", vec!["${env:NONE:-a}"], 0),
            ("x${none:-${env:HOME}y}", "x${env:HOME}y", vec!["${env:HOME}"], 1),
            ("${env:NONE:-${env:HOME}}", "${env:NONE:-${env:HOME}}", vec!["${env:NONE:-${env:HOME}}"], 1),
            ("$${env:HOME}", "${env:HOME}", vec![], 0),
        ] {
            let found = variables().replace(text, START, &mut BTreeSet::new()).unwrap();
            let variables: Vec<&str> = found.held.iter().map(|held| held.variable.as_str()).collect();
            assert_eq!((found.shown.as_str(), variables, found.secrets.len()), (shown, held, secrets), "{text}");
            assert!(!format!("{:?}", found.held).contains("/home/me"));
        }
    }

    #[test]
    fn defaults_may_hold_variables_which_count_only_where_they_are_taken() {
        for (text, expected) in [
            ("${none:-${bucket}}", "s3://b"),
            ("${none:-${other:-c}}/x", "c/x"),
            ("${none:-${env:HOME}/x}/y", "/home/me/x/y"),
            ("${bucket:-${none}}", "s3://b"),
            ("${empty:-a${none:-b}c}", "abc"),
            ("${none:-$${bucket}}", "${bucket}"),
            ("${none:-a{b}c}", "a{bc}"),
            ("${none:-${none:-}}", ""),
        ] {
            assert_eq!(replaced(text).unwrap(), expected, "{text}");
        }
        let (problem, at) = replaced("x${none:-${other}}").unwrap_err();
        assert_eq!(problem, ConfigError::UndefinedVariable { name: "other".to_owned() });
        assert_eq!(at, Location { line: 3, column: 20 });
    }

    #[test]
    fn variable_without_its_brace_is_reported_where_it_opens() {
        for (text, column) in
            [("${", 11), ("a ${bucket", 13), ("${none:-${bucket}", 11), ("${none:-${bucket", 19), ("${a:-b", 11)]
        {
            let (problem, at) = replaced(text).unwrap_err();
            assert!(matches!(problem, ConfigError::OpenVariable { .. }), "{text}: {problem}");
            assert_eq!(at, Location { line: 3, column }, "{text}");
        }
        assert!(replaced(&"${a:-".repeat(100_000)).is_err());
    }

    #[test]
    fn names_that_nobody_uses_are_known_with_the_nearest_free_one() {
        let mut used = BTreeSet::new();
        variables().replace("${bucket:-${bukket}} ${empty} ${env:HOME} ${nestd:-1}", START, &mut used).unwrap();
        assert_eq!(variables().unused(&used), Some(("nested", Some("nestd".to_owned()))));
        used.insert("nested".to_owned());
        assert_eq!(variables().unused(&used), None);
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
            assert_eq!(replaced(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn undefined_variable_is_reported_at_its_own_place() {
        let (problem, at) = replaced("it's\n ${bucket} ${none}").unwrap_err();
        assert_eq!(problem, ConfigError::UndefinedVariable { name: "none".to_owned() });
        assert_eq!(at, Location { line: 4, column: 12 });
        let (problem, at) = replaced("it's ${env:NONE}").unwrap_err();
        assert_eq!(problem, ConfigError::UndefinedEnvironment { name: "NONE".to_owned() });
        assert_eq!(at, Location { line: 3, column: 17 });
    }

    #[test]
    fn open_brace_without_a_name_is_refused() {
        for text in ["${}", "${1}", "${env:}", "${a b}", "${:-x}"] {
            let (problem, _) = replaced(text).unwrap_err();
            assert!(matches!(problem, ConfigError::BadVariable { .. }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_without_variables_stays_as_it_is(text in "[^{]*") {
            prop_assert_eq!(replaced(&text).unwrap(), text);
        }
    }
}
