//! What changed between two snapshots of a table: files, columns, and rows by their key.

mod changes;
mod rows;
mod snapshots;

pub(crate) use self::changes::{Change, RowChanges, Sample};
pub(crate) use self::snapshots::{Content, DiffOptions, TableDiff, diff};
