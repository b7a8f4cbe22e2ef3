//! Rows per batch, by the width of a row; and how large a single value may be, by the memory.
//!
//! A batch of [`BATCH_ROWS`] rows of a table of some columns needs a few MB, one of 5,000 columns hundreds. So batches
//! of a wide table have fewer rows. How many is decided by the columns alone: what is written depends on it, and not on
//! the memory.

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::memory_pool::MemoryLimit;

/// Rows that operators handle at once, of a table of ordinary width.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Columns up to which a table is of ordinary width, those within nested ones counted.
const ORDINARY_COLUMNS: usize = 128;

/// Bytes of a batch of a wide table, about: columns of a few KB, which are worth the cost of an array.
const BATCH_BYTES: usize = 8 << 20;

/// Fewer rows cost more than they save.
const MIN_ROWS: usize = 64;

/// What is a text, bytes or a record on its way from a file to the lake: it is there as it came, decoded, in order,
/// encoded and compressed, beside those of other tasks and rows.
const COPIES: u64 = 32;

/// A value of so many bytes always fits.
const SMALL_VALUE: u64 = 8 << 20;

/// A larger one is no value of a table, whatever the memory.
const LARGEST_VALUE: u64 = 256 << 20;

/// What of `--memory-limit` the engine's pool has; the rest is for what no pool counts.
pub(crate) fn pool_bytes(memory: u64) -> u64 {
    memory / 4 * 3
}

/// The `--memory-limit` that a pool with this limit comes from.
pub(crate) fn memory_of(pool: &MemoryLimit) -> Option<u64> {
    let MemoryLimit::Finite(pool) = pool else { return None };
    Some((*pool as u64).saturating_add(*pool as u64 / 3))
}

/// Bytes that one value of a Parquet file, or one record of a text file, may have with so much memory.
pub(crate) fn most_value(memory: u64) -> u64 {
    (memory / COPIES).clamp(SMALL_VALUE, LARGEST_VALUE)
}

/// Whether a table has so many columns that what is held once per column matters.
pub(crate) fn is_wide(schema: &Schema) -> bool {
    schema.flattened_fields().len() > ORDINARY_COLUMNS
}

/// Rows that operators handle at once, of a table of these columns.
pub(crate) fn batch_rows(schema: &Schema) -> usize {
    if !is_wide(schema) {
        return BATCH_ROWS;
    }
    let width = |field: &&Field| match field.data_type() {
        DataType::Boolean => 1,
        // What a view needs, or an offset and some letters.
        kind => kind.primitive_width().unwrap_or(16),
    };
    let row_bytes: usize = schema.flattened_fields().iter().map(width).sum();
    (BATCH_BYTES / row_bytes.max(1)).clamp(MIN_ROWS, BATCH_ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_may_have_its_part_of_the_memory_within_bounds() {
        let most = |memory: u64| {
            let pool = MemoryLimit::Finite(usize::try_from(pool_bytes(memory)).unwrap());
            memory_of(&pool).map(most_value).unwrap()
        };
        assert_eq!([64 << 20, 512_000_000, 64 << 30].map(most), [8 << 20, 16_000_000, 256 << 20]);
        assert_eq!(memory_of(&MemoryLimit::Infinite), None);
    }

    fn integers(columns: usize) -> Schema {
        Schema::new((0..columns).map(|n| Field::new(format!("c{n}"), DataType::Int64, true)).collect::<Vec<_>>())
    }

    #[test]
    fn batches_of_ordinary_tables_have_all_rows_and_those_of_wide_ones_some_bytes() {
        assert_eq!(batch_rows(&integers(128)), BATCH_ROWS);
        assert_eq!([129, 1000, 5000, 50_000].map(|columns| batch_rows(&integers(columns))), [8128, 1048, 209, 64]);
    }

    #[test]
    fn fields_of_a_struct_make_a_table_wide() {
        let fields = integers(5000).fields().clone();
        let schema = Schema::new(vec![Field::new("s", DataType::Struct(fields), true)]);
        assert!(is_wide(&schema) && batch_rows(&schema) < 300);
    }
}
