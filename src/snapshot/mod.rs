//! Snapshot tables: which files they have, what schema these share, and how they are read.

mod adapt;
mod ahead;
mod bytes;
mod claims;
mod clash;
mod columns;
mod convert;
mod count;
mod csv;
mod decode;
mod discover;
mod escapes;
mod exact;
#[cfg(test)]
mod export_tests;
mod fields;
mod footer;
mod guard;
mod guess;
mod head;
mod infer;
mod int96;
mod json;
mod octets;
mod old_footer;
mod page_head;
mod pages;
mod place;
mod quick;
mod scalar;
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
pub(crate) use claims::{FooterBounds, arrow_schema, rows_of_groups};
pub(crate) use count::{CountRowsExec, CountedRows, CountedTable, counted_rows};
pub(crate) use discover::{discover, read_manifest as manifest_files};
pub(crate) use fields::{CsvField, Splitter};
pub(crate) use footer::{read_footer, read_foreign_footer};
pub(crate) use head::distinct;
pub(crate) use infer::{Inferred, infer};
pub(crate) use schema::SchemaMerger;
pub use table::TableFiles;
pub(crate) use table::{FileListTable, Size, parquet_scan, register, staged_scan};
