//! What changed between two snapshots of a table: files, columns, and rows by their key.

mod changes;
mod columns;
mod rows;
mod snapshots;

pub(crate) use self::changes::{Change, RowChanges, RowSample};
pub(crate) use self::columns::ColumnChanges;
pub(crate) use self::snapshots::{DataSize, DiffOptions, TableDiff, diff};
