//! `OPTIONS ('on_invalid' '...')`: what becomes of a value that the type of its column cannot hold. Pure.
//!
//! ```text
//! 'error'                     it ends the task, with file, row, column and value: the default
//! 'null'                      it is NULL, in every column; how many were is in the validation and the report
//! 'day = null, note = text'   so for these columns, and an error in the others
//! ```
//!
//! A column that is `text` is VARCHAR, whatever its type is in the export: so each value is kept as it is written.

use serde::Serialize;

use super::values::ColumnSet;

/// The columns with an answer of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OnInvalid {
    /// Those whose values become NULL.
    pub null: ColumnSet,
    /// Those that are VARCHAR.
    pub text: Vec<String>,
}

impl OnInvalid {
    /// Reads the option; None if it is written in another way.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "error" => return Some(Self::default()),
            "null" => return Some(Self { null: ColumnSet::All, text: Vec::new() }),
            _ => {}
        }
        let (mut null, mut as_text) = (Vec::new(), Vec::new());
        for part in text.split(',') {
            let (column, answer) = part.rsplit_once('=')?;
            let column = column.trim();
            let column = match column.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')) {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => column.to_lowercase(),
            };
            if column.is_empty() {
                return None;
            }
            match answer.trim() {
                "error" => {}
                "null" => null.push(column),
                "text" => as_text.push(column),
                _ => return None,
            }
        }
        let null = if null.is_empty() { ColumnSet::None } else { ColumnSet::Columns(null) };
        Some(Self { null, text: as_text })
    }

    /// The columns that are named.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        let named = match &self.null {
            ColumnSet::Columns(columns) => columns.as_slice(),
            ColumnSet::None | ColumnSet::All => &[],
        };
        named.iter().chain(&self.text).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_for_all_columns_or_for_those_that_are_named() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let of = |null, text: &[&str]| Some(OnInvalid { null, text: columns(text) });
        assert_eq!(OnInvalid::parse("error"), of(ColumnSet::None, &[]));
        assert_eq!(OnInvalid::parse(" null "), of(ColumnSet::All, &[]));
        let mixed = "Day = null, \"A \"\"b\"\"\"=text, x=error,y =null";
        assert_eq!(OnInvalid::parse(mixed), of(ColumnSet::Columns(columns(&["day", "y"])), &["A \"b\""]));
        for wrong in ["", "text", "day", "day=", "=null", "day=nil", "day=null,"] {
            assert_eq!(OnInvalid::parse(wrong), None, "{wrong}");
        }
    }
}
