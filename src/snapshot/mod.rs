//! Snapshot tables: which files they have, what schema these share, and how they are read.

pub(crate) mod avro;
pub(crate) mod batches;
mod block;
mod count;
pub(crate) mod csv;
mod discover;
pub(crate) mod dump;
pub(crate) mod exports;
pub(crate) mod files;
pub(crate) mod ipc;
pub(crate) mod json;
pub(crate) mod mongo;
pub(crate) mod names;
pub(crate) mod parquet;
pub(crate) mod pg_binary;
pub(crate) mod presence;
pub(crate) mod scan;
pub(crate) mod schema;
pub(crate) mod split;
pub(crate) mod sql;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod values;

pub(crate) use self::count::{CountRowsExec, CountedRows, CountedTable, counted_rows};
pub(crate) use self::csv::fields::{CsvField, Splitter};
pub(crate) use self::csv::head::distinct;
pub use self::discover::Coverage;
pub(crate) use self::discover::{Discovered, PeekSlots, discover};
pub(crate) use self::files::arrivals::{AsPlanned, Present, SnapshotChanges};
pub use self::files::left_out::{LeftOut, LeftOutReason};
pub(crate) use self::files::named::read_manifest as manifest_files;
pub(crate) use self::files::own::Own;
pub(crate) use self::files::peek::{Unpacked, unpack};
pub use self::names::{Lacking, UnreadColumn};
pub(crate) use self::parquet::claims::{FooterBounds, arrow_schema, rows_of_groups};
pub(crate) use self::parquet::footer::{read_footer, read_foreign_footer};
pub use self::presence::ColumnPresence;
#[cfg(feature = "bench")]
pub(crate) use self::scan::decode::decode_file;
pub(crate) use self::scan::text::column_presence;
pub use self::schema::drift::WidenedColumn;
pub(crate) use self::schema::inferred::Inferred;
pub(crate) use self::schema::merge::SchemaMerger;
pub use self::table::TableFiles;
pub(crate) use self::table::{FileListTable, ScanSize, parquet_scan, register, staged_scan};
pub(crate) use self::text::bytes::{BYTE_ORDER_MARK, compression_of};
