//! What both steps agree on about pages that are copied from staging files into lake files: which rows are staged so,
//! and the mark of a file that says how.

use datafusion::parquet::basic::{Compression, LogicalType};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::schema::types::{ColumnDescriptor, ColumnPath};

/// Rows of a partition in one run from which on their pages are worth copying: fewer make pages that compress badly.
pub(crate) const COPIED_ROWS: u64 = 4096;

/// Key of a staging file's footer; its value says which lake files can take the file's pages.
pub(crate) const PAGES_KEY: &str = "snaplake.pages";

/// What decides, besides the rows, how published pages look: codec and level, as staging files keep it.
pub(crate) fn pages_mark(published: &WriterProperties) -> String {
    match published.compression(&ColumnPath::new(Vec::new())) {
        Compression::UNCOMPRESSED => "uncompressed".to_owned(),
        Compression::SNAPPY => "snappy".to_owned(),
        Compression::GZIP(level) => format!("gzip({})", level.compression_level()),
        Compression::ZSTD(level) => format!("zstd({})", level.compression_level()),
        Compression::LZ4_RAW => "lz4".to_owned(),
        // No lake is written with these.
        Compression::LZO | Compression::BROTLI(_) | Compression::LZ4 => "another codec".to_owned(),
    }
}

/// Whether a column holds texts and is not nested: statistics of these are taken from the dictionary when pages are
/// copied.
pub(crate) fn is_plain_text(column: &ColumnDescriptor) -> bool {
    column.logical_type_ref() == Some(&LogicalType::String) && column.path().parts().len() == 1
}
