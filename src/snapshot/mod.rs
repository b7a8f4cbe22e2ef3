//! Snapshot tables: which files they have, what schema these share, and how they are read.

mod ahead;
mod bytes;
mod clash;
mod columns;
mod convert;
mod count;
mod csv;
mod decode;
mod discover;
mod escapes;
mod fields;
mod footer;
mod guess;
mod head;
mod infer;
mod json;
mod json_body;
mod json_leaf;
mod json_split;
#[cfg(test)]
mod json_tests;
mod json_text;
mod json_tree;
mod numeral;
mod octets;
mod place;
mod presence;
mod quick;
mod scan;
mod schema;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod whole;
mod widen;

pub(crate) use bytes::compression_of;
pub(crate) use count::{CountRowsExec, CountedRows, CountedTable, counted_rows};
pub(crate) use discover::{discover, read_manifest as manifest_files};
pub(crate) use fields::{CsvField, Splitter};
pub(crate) use footer::read_footer;
pub(crate) use head::distinct;
pub(crate) use infer::{Inferred, infer};
pub use presence::ColumnPresence;
pub(crate) use schema::SchemaMerger;
pub use table::TableFiles;
pub(crate) use table::{FileListTable, Size, parquet_scan, register, staged_scan};
pub(crate) use text::column_presence;
