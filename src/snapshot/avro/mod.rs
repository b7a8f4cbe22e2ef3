//! Avro object container files: bytes pushed in chunks of any size to Arrow record batches.
//!
//! ```text
//! container  the header and the framing of the blocks: counts, lengths, sync markers
//! codec      one block unpacked, of bounded size
//! schema     the schema's JSON to a tree of types, each name resolved
//! plain      a type in the words that `arrow-avro` reads right, or the reason why it is refused
//! walk       checks the bytes of one row against the tree, and finds where it ends
//! leaf       the checks of single values
//! decoder    all of it together: rows to a batch, by `arrow-avro`
//! fault      what can be wrong, with the place
//! ```
//!
//! `arrow-avro` builds the columns. What it reads without a word although it is wrong (a union's branch that is not
//! there, a decimal beyond its precision, a duration beyond its type) is found before it, by `walk`, with row and
//! column.

mod codec;
mod container;
mod decoder;
mod fault;
pub(crate) mod file;
mod leaf;
mod plain;
mod schema;
#[cfg(test)]
mod tests;
mod walk;
