//! What can be wrong with an Avro file, with its place: the byte offset in the file, the block and the row from 1.

use thiserror::Error;

/// Why a file could not be read to its end.
#[derive(Debug, Error)]
pub(crate) enum AvroFault {
    /// The first four bytes are not `Obj` 1.
    #[error("not an avro object container file: it starts with {found:02x?} instead of 'Obj' and 1")]
    Magic {
        /// The bytes found.
        found: Vec<u8>,
    },
    /// The header is damaged.
    #[error("avro header damaged at byte {at}: {reason}")]
    Header {
        /// Offset in the file.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// The schema cannot be read.
    #[error("avro schema: {reason}")]
    Schema {
        /// What is wrong.
        reason: String,
    },
    /// The codec is none that this reads.
    #[error("avro codec '{codec}' is not supported (null, deflate, snappy, zstandard, bzip2 and xz are)")]
    Codec {
        /// The name in the header.
        codec: String,
    },
    /// A column was asked for that the file does not have.
    #[error("column '{column}' is not in the avro schema")]
    NoColumn {
        /// The name asked for.
        column: String,
    },
    /// A column has a type that cannot be read exactly.
    #[error("column '{column}': the avro type {avro} is not supported: {reason}")]
    Unsupported {
        /// The column.
        column: String,
        /// Its type as in the schema.
        avro: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The framing of a block is damaged.
    #[error("avro block {block} damaged at byte {at}: {reason}")]
    Block {
        /// The block, from 1.
        block: u64,
        /// Offset in the file.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// A block is longer than allowed, packed or unpacked.
    #[error("avro block {block} at byte {at} has {what} {bytes} bytes, more than the limit of {limit} bytes a block")]
    TooLong {
        /// The block, from 1.
        block: u64,
        /// Offset of the block in the file.
        at: u64,
        /// `at least` where the true length was not looked for.
        what: &'static str,
        /// The bytes.
        bytes: u64,
        /// The limit `block_bytes`.
        limit: usize,
    },
    /// A row holds what it must not.
    #[error("row {row}, column '{column}' (avro block {block} at byte {at}, unpacked byte {inner}): {cause}")]
    Value {
        /// The row, from 1.
        row: u64,
        /// The column.
        column: String,
        /// The block, from 1.
        block: u64,
        /// Offset of the block in the file.
        at: u64,
        /// Offset in the unpacked block.
        inner: usize,
        /// What is wrong.
        cause: AvroValueFault,
    },
    /// The rows of a block do not use exactly its bytes.
    #[error("avro block {block} at byte {at} has {left} bytes after its {rows} rows")]
    Left {
        /// The block, from 1.
        block: u64,
        /// Offset of the block in the file.
        at: u64,
        /// Bytes left.
        left: usize,
        /// The block's rows by its count.
        rows: u64,
    },
    /// The file ends too early.
    #[error("the avro file is cut: it ends at byte {at}, in {inside}")]
    Cut {
        /// Length of the file.
        at: u64,
        /// Where it ends.
        inside: String,
    },
    /// `arrow-avro` refused what the checks let through.
    #[error("avro rows {first} to {last}: {source}")]
    Arrow {
        /// First row of the batch, from 1.
        first: u64,
        /// Last row read.
        last: u64,
        /// Its reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum AvroValueFault {
    /// The block ends within the value.
    #[error("the block ends within the value")]
    Cut,
    /// A number of more than 64 bits, or of more than 32 for an int.
    #[error("a number of more than {0} bits")]
    Wide(u8),
    /// A length below zero.
    #[error("a length of {0}")]
    Length(i64),
    /// Neither 0 nor 1.
    #[error("a boolean of {0}")]
    Boolean(u8),
    /// Not UTF-8.
    #[error("text that is not utf-8: {0}")]
    Utf8(String),
    /// No such branch.
    #[error("branch {index} of a union of {branches}")]
    Branch {
        /// The index read.
        index: i64,
        /// How many there are.
        branches: usize,
    },
    /// No such symbol.
    #[error("symbol {index} of an enum of {symbols}")]
    Symbol {
        /// The index read.
        index: i32,
        /// How many there are.
        symbols: usize,
    },
    /// A decimal of more digits than its type has.
    #[error("the decimal {value} has more than {precision} digits")]
    Decimal {
        /// The unscaled value, as a number or in hexadecimal.
        value: String,
        /// The digits allowed.
        precision: u8,
    },
    /// A time of the day outside of the day.
    #[error("the time of day {0} is outside of a day")]
    Time(i64),
    /// A duration whose months or days have no place in an interval.
    #[error("a duration of {months} months and {days} days, more than an interval holds")]
    Duration {
        /// Months.
        months: u32,
        /// Days.
        days: u32,
    },
    /// The byte length before the items of an array or a map is wrong.
    #[error("{used} bytes of items where their head says {said}")]
    Items {
        /// The bytes by the head.
        said: i64,
        /// The bytes used.
        used: usize,
    },
    /// An array that claims more items than there can be.
    #[error("an array or map that claims {0} items")]
    Count(u64),
    /// Records in records without end.
    #[error("values that nest deeper than {0} levels")]
    Deep(usize),
}
