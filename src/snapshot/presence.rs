//! Which declared columns the files of a scan have: a column that no file has must not become a column of NULLs.
//!
//! Names are checked while a table is planned, as far as files are looked at then: not all text files, and none where a
//! manifest counts the rows. So each stage task counts, and who publishes adds up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Position, Result};

/// Number of files with known columns, and the columns that some of them lack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnPresence {
    /// Files with a header, or with records that name their columns.
    pub files: u64,
    /// Declared columns that some of these files lack, and how many lack them; nested ones are dotted.
    pub absent: BTreeMap<String, u64>,
    /// Nested columns of which some of these files cannot tell: no record had the object that they are in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, u64>,
    /// Whether there are more files, which were not read to their end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
    /// Values that are NULL because their column's type cannot hold them, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_to_null: BTreeMap<String, u64>,
}

impl ColumnPresence {
    /// Takes in one file.
    fn add_file<'a>(&mut self, absent: impl IntoIterator<Item = &'a str>, unknown: impl IntoIterator<Item = &'a str>) {
        self.files += 1;
        for column in absent {
            *self.absent.entry(column.to_owned()).or_default() += 1;
        }
        for column in unknown {
            *self.unknown.entry(column.to_owned()).or_default() += 1;
        }
    }

    /// Takes in what was counted of other files.
    pub(crate) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.is_partial |= other.is_partial;
        for (all, of_other) in [
            (&mut self.absent, &other.absent),
            (&mut self.unknown, &other.unknown),
            (&mut self.set_to_null, &other.set_to_null),
        ] {
            for (column, files) in of_other {
                *all.entry(column.clone()).or_default() += files;
            }
        }
    }

    /// Refuses a column of snapshot table `table`, declared at `at`, that no file has.
    ///
    /// # Errors
    /// [`Error::ColumnInNoFile`].
    pub(crate) fn check(&self, table: &str, at: &Position) -> Result<()> {
        let Some(column) = self.in_no_file() else { return Ok(()) };
        let (table, column) = (table.to_owned(), column.to_owned());
        Err(Error::ColumnInNoFile { at: at.clone(), table, column, nearest: None })
    }

    fn in_no_file(&self) -> Option<&str> {
        if self.is_partial {
            return None;
        }
        let unknown = |column: &str| self.unknown.get(column).copied().unwrap_or(0);
        let in_none = |(column, files): &(&String, &u64)| **files + unknown(column) == self.files;
        self.absent.iter().find(in_none).map(|(column, _)| column.as_str())
    }
}

/// What the scans of one snapshot table count while they run.
#[derive(Debug, Clone)]
pub(crate) struct PresenceCounter {
    table: Arc<str>,
    counted: Arc<Mutex<ColumnPresence>>,
}

impl PresenceCounter {
    pub(crate) fn new(table: &str) -> Self {
        Self { table: table.into(), counted: Arc::default() }
    }

    /// Takes in one file.
    pub(crate) fn add_file<'a>(
        &self,
        absent: impl IntoIterator<Item = &'a str>,
        unknown: impl IntoIterator<Item = &'a str>,
    ) {
        self.lock().add_file(absent, unknown);
    }

    /// Takes in values of a column that are NULL because its type cannot hold them.
    pub(crate) fn add_set_to_null(&self, column: &str, values: u64) {
        if values > 0 {
            *self.lock().set_to_null.entry(column.to_owned()).or_default() += values;
        }
    }

    /// Adds what was counted so far to `presence`, if it is of that table.
    pub(crate) fn add_to(&self, presence: &mut ColumnPresence, table: &str) {
        if *self.table == *table {
            presence.add(&self.lock());
        }
    }

    fn lock(&self) -> MutexGuard<'_, ColumnPresence> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_in_no_file_only_if_every_file_lacks_it() {
        let mut one = ColumnPresence::default();
        assert_eq!(one.in_no_file(), None);
        one.add_file(["a", "b"], []);
        assert_eq!(one.in_no_file(), Some("a"));
        let mut other = ColumnPresence::default();
        other.add_file(["b"], []);
        one.add(&other);
        assert_eq!((one.in_no_file(), one.files, one.absent["a"]), (Some("b"), 2, 1));
        one.add_file([], ["b"]);
        assert_eq!(one.in_no_file(), Some("b"));
        let rest = ColumnPresence { is_partial: true, ..ColumnPresence::default() };
        let mut partial = one.clone();
        partial.add(&rest);
        assert_eq!(partial.in_no_file(), None);
        one.add_file([], []);
        assert_eq!(one.in_no_file(), None);
    }
}
