//! The first record of a CSV file: the names of its columns, or how many there are.
//!
//! Names are those of the header, also the empty one. A name that an earlier column has gets a number, as in DuckDB: of
//! `a,a` the second column is `a_1`, or the next number if the header has that name too. So a file has no two columns
//! of one name, and a declaration can name each of them.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::datatypes::Schema;
use datafusion::error::{DataFusionError, Result};

use super::fields::Splitter;
use crate::snapshot::names::OtherCase;
use crate::snapshot::text::place::Malformed;
use crate::snapshot::text::target::Target;

/// The first record as texts, once it is complete.
///
/// # Errors
/// A NUL: no name has one, but each second byte of UTF-16 is one.
pub(crate) fn first_record(splitter: &mut Splitter) -> Result<Vec<String>, Malformed> {
    let names: Vec<_> = splitter.records(None)?.row(0).map(|field| field.text.to_owned()).collect();
    if names.iter().any(|name| name.contains('\0')) {
        let reason = "a name in the header has a NUL byte, as text in UTF-16 does; save the file as UTF-8".to_owned();
        return Err(Malformed { line: 1, column: 1, reason });
    }
    Ok(names)
}

/// The names of a header, each of them once.
pub(crate) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    if taken.len() == names.len() {
        return names;
    }
    // The next number of each name, so that names that are there often are not counted anew.
    let mut seen: HashMap<String, u64> = HashMap::with_capacity(names.len());
    let first_or_numbered = |name: String| {
        let Some(next) = seen.get_mut(&name) else {
            seen.insert(name.clone(), 1);
            return name;
        };
        loop {
            let numbered = format!("{name}_{next}");
            *next += 1;
            if taken.insert(numbered.clone()) {
                return numbered;
            }
        }
    };
    names.into_iter().map(first_or_numbered).collect()
}

/// A header of other columns, or of the same in other letters, must not become a table full of NULL.
pub(crate) fn check_header(table: &Schema, names: &[String]) -> Result<()> {
    let is_column = |name: &String| table.fields().iter().any(|field| field.name() == name);
    for field in table.fields().iter().filter(|field| !names.contains(field.name())) {
        if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(field.name()) && !is_column(name)) {
            let other = OtherCase { column: field.name().clone(), found: name.clone() };
            return Err(DataFusionError::External(Box::new(other)));
        }
    }
    if !table.fields().is_empty() && !names.iter().any(is_column) {
        let header: String = names.join(", ").chars().take(200).collect();
        let reason = format!("the header has no column of the table: {header}");
        return Err(DataFusionError::Execution(format!("{reason}; check the options delimiter and has_header")));
    }
    Ok(())
}

/// The table's first columns; a file without a header may have fewer, not more.
pub(crate) fn names_by_position(target: &Target, columns: usize) -> Result<Vec<String>> {
    let fields = target.table().fields();
    if columns > fields.len() {
        let reason = format!("the file has {columns} columns, the table only {}", fields.len());
        return Err(DataFusionError::Execution(reason));
    }
    Ok(fields[..columns].iter().map(|field| field.name().clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CsvOptions;

    #[test]
    fn utf_16_without_a_mark_is_an_error_not_a_table_of_nul_bytes() {
        for (text, is_read) in [("id\n1\n", true), ("i\0d\0\n\x001\0\n", false), ("\0a,\0b\n", false)] {
            let mut splitter = Splitter::new(&CsvOptions::default(), None);
            splitter.push(text.as_bytes(), 1).unwrap();
            let error = first_record(&mut splitter).err();
            assert_eq!(error.is_none(), is_read, "{text:?}");
            assert!(error.is_none_or(|error| error.to_string().contains("save the file as UTF-8")), "{text:?}");
        }
    }

    #[test]
    fn repeated_names_get_the_next_free_number_and_written_names_stay() {
        for (names, expected) in [
            (&["a", "b"][..], &["a", "b"][..]),
            (&["a", "a", "a"], &["a", "a_1", "a_2"]),
            (&["a", "a", "a_1"], &["a", "a_2", "a_1"]),
            (&["", "", "a"], &["", "_1", "a"]),
            (&["a", "A"], &["a", "A"]),
        ] {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(distinct(names), expected);
        }
    }
}
