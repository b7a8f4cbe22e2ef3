//! Two types of one column that have no common type, and the places where they were seen.
//!
//! Types are widened in `super::widen`; this is only what becomes of a failure on its way to the user.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;

use crate::config::type_name;
use crate::error::Error;

/// Where a type was seen: a file, and the line where the file has lines of its own types (NDJSON).
#[derive(Debug, Clone)]
pub(super) struct Place {
    uri: Arc<str>,
    line: Option<u64>,
}

impl Place {
    pub(super) fn file(uri: &str) -> Self {
        Self { uri: uri.into(), line: None }
    }

    pub(super) fn set_line(&mut self, line: u64) {
        self.line = Some(line);
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            None => f.write_str(&self.uri),
            Some(line) => write!(f, "{} line {line}", self.uri),
        }
    }
}

/// Two types of one column that have no common type.
#[derive(Debug)]
pub(super) struct Clash {
    /// Names from the innermost field outwards.
    path: Vec<String>,
    first: Place,
    first_type: DataType,
    second_type: DataType,
}

impl Clash {
    pub(super) fn new(first: &Place, first_type: DataType, second_type: DataType) -> Box<Self> {
        Box::new(Self { path: Vec::new(), first: first.clone(), first_type, second_type })
    }

    /// The same with another second type, where the caller knows it better.
    pub(super) fn with_second(mut self: Box<Self>, data_type: &DataType) -> Box<Self> {
        self.second_type = data_type.clone();
        self
    }

    /// Adds the name of the field that holds the one at fault.
    pub(super) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    /// The user's error; `second` is the place that was being read.
    pub(super) fn into_error(mut self, table: &str, second: &Place) -> Error {
        self.path.reverse();
        Error::SchemaConflict {
            table: table.to_owned(),
            column: self.path.join(".").replace(".[]", "[]"),
            first: self.first.to_string(),
            first_type: type_name(&self.first_type),
            second: second.to_string(),
            second_type: type_name(&self.second_type),
        }
    }
}
