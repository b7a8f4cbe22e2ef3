//! Two types of one column that have no common type, and the places where they were seen.
//!
//! Types are widened in `super::widen`; this is only what becomes of a failure on its way to the user.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;

use crate::error::Error;
use crate::types::type_name;

/// Where a type was seen: a file, and the line where the file has lines of its own types (NDJSON).
#[derive(Debug, Clone)]
pub(crate) struct TypePlace {
    uri: Arc<str>,
    line: Option<u64>,
    is_typed: bool,
}

impl TypePlace {
    /// A text file, whose types are those that its values need.
    pub(crate) fn text(uri: &str) -> Self {
        Self { uri: uri.into(), line: None, is_typed: false }
    }

    /// A file that states its types; its values are not known yet.
    pub(crate) fn typed(uri: &str) -> Self {
        Self { is_typed: true, ..Self::text(uri) }
    }

    pub(crate) fn is_typed(&self) -> bool {
        self.is_typed
    }

    pub(crate) fn set_line(&mut self, line: u64) {
        self.line = Some(line);
    }
}

impl fmt::Display for TypePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            None => f.write_str(&self.uri),
            Some(line) => write!(f, "{} line {line}", self.uri),
        }
    }
}

/// Two types of one column that have no common type.
#[derive(Debug)]
pub(crate) struct Clash {
    /// Names from the innermost field outwards.
    path: Vec<String>,
    first: TypePlace,
    first_type: String,
    second_type: String,
}

impl Clash {
    pub(crate) fn new(first: &TypePlace, first_type: &DataType, second_type: &DataType) -> Box<Self> {
        let (first_type, second_type) = (in_words(first_type), in_words(second_type));
        Box::new(Self { path: Vec::new(), first: first.clone(), first_type, second_type })
    }

    /// The same with another first type, where it has no name.
    pub(crate) fn with_first(mut self: Box<Self>, words: &str) -> Box<Self> {
        words.clone_into(&mut self.first_type);
        self
    }

    /// The same with another second type, where the caller knows it better.
    pub(crate) fn with_second(mut self: Box<Self>, data_type: &DataType) -> Box<Self> {
        self.second_type = in_words(data_type);
        self
    }

    /// Adds the name of the field that holds the one at fault.
    pub(crate) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    /// The user's error; `second` is the place that was being read.
    pub(crate) fn into_error(self, table: &str, second: &TypePlace) -> Error {
        Error::SchemaConflict {
            table: table.to_owned(),
            column: dotted(self.path),
            first: self.first.to_string(),
            first_type: self.first_type,
            second: second.to_string(),
            second_type: self.second_type,
        }
    }
}

/// As SQL has it, without the fields of an object and the elements of a list that are not known yet.
fn in_words(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) if fields.is_empty() => "STRUCT".to_owned(),
        DataType::List(item) if item.data_type().is_null() => "a list".to_owned(),
        other => type_name(other),
    }
}

/// A dotted path of names that were added from the innermost field outwards.
pub(crate) fn dotted(mut path: Vec<String>) -> String {
    path.reverse();
    path.join(".").replace(".[]", "[]")
}
