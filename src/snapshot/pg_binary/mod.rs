//! Rows of PostgreSQL's `COPY ... (FORMAT binary)`, from a file or a connection, as Arrow columns.
//!
//! ```text
//! PGCOPY\n\377\r\n\0 | int32 flags | int32 length of extension, extension
//! per row: int16 fields, per field: int32 length (-1: NULL), bytes
//! int16 -1
//! ```
//!
//! [`PgBinaryDecoder`] takes bytes in chunks of any size and gives batches. The format has no types: each
//! [`PgBinaryColumn`] says how its values are sent ([`PgWire`]), told by the server's catalog ([`wire_of_oid`]) or
//! guessed from the wanted type (`wire_of_arrow`).
//!
//! Every value is exact, or a [`PgBinaryFault`] with its row, column, text and reason; so is data without its trailer,
//! and data behind it. After a fault there are no more rows, also none of those before it that were not flushed yet.
//! Infinite dates, 24:00:00 and NaN as decimals are such faults; a text column holds them all.
//!
//! It does not read composite, range, geometric and text search types, which are to be cast to text in the COPY query,
//! nor rows with OIDs. Two types of equal width cannot be told apart: a file's int8 that is declared TIMESTAMP is one.
//! Memory is that of a batch of 32 MiB (and of texts of one block of 256 rows), and of one row.
//!
//! Source of the format: "Binary Format" in PostgreSQL's documentation of COPY, and the `*_send` functions.

pub(crate) mod body;
mod cells;
mod columns;
mod decoder;
mod fault;
mod header;
mod numeric;
mod sink;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub(crate) use self::decoder::{PgBinaryColumn, PgBinaryDecoder};
pub(crate) use self::fault::PgBinaryFault;
pub(crate) use self::wire::{PgWire, wire_of_oid};
