//! Arrow IPC, as a stream and as a file: bytes pushed in chunks of any size to record batches.
//!
//! ```text
//! frame    the framing: magic, lengths, messages, end marker, footer
//! columns  the schema's message to columns, checked before `arrow-ipc` turns it into Arrow types
//! arrays   the nodes and buffers of one message to arrays, checked and validated in full
//! decoder  all of it together, dictionaries too
//! ahead    dictionaries that lie behind the batches which need them, by the footer
//! fault    what can be wrong, with the place
//! ```
//!
//! Of `arrow-ipc` only the messages' tables and the schema's conversion are used. Its `StreamDecoder` panics on many a
//! damaged message, allocates what a compressed buffer claims, and does not look at the footer.

pub(crate) mod ahead;
mod arrays;
mod columns;
mod decoder;
mod fault;
pub(crate) mod file;
mod frame;
#[cfg(test)]
mod tests;
