//! What can be wrong with Arrow IPC, with its place: the byte offset and the message from 1.

use thiserror::Error;

/// Why a stream or file could not be read to its end.
#[derive(Debug, Error)]
pub(crate) enum IpcFault {
    /// Feather of version 1 is another format.
    #[error("feather version 1 ('FEA1') is not supported: write it again as version 2, which is arrow ipc")]
    Feather,
    /// Neither a stream nor a file.
    #[error("not arrow ipc: it starts with {found:02x?}")]
    Start {
        /// The bytes found.
        found: Vec<u8>,
    },
    /// A message is damaged.
    #[error("arrow ipc message {message} damaged at byte {at}: {reason}")]
    Message {
        /// The message, from 1; the schema is the first.
        message: u64,
        /// Its offset.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// Something that the format has and this does not read.
    #[error("arrow ipc message {message} at byte {at}: {what} is not supported")]
    Unsupported {
        /// The message, from 1.
        message: u64,
        /// Its offset.
        at: u64,
        /// What it is.
        what: String,
    },
    /// A message is longer than allowed, packed or unpacked.
    #[error(
        "arrow ipc message {message} at byte {at} has {bytes} bytes, more than the limit of {limit} bytes a message"
    )]
    TooLong {
        /// The message, from 1.
        message: u64,
        /// Its offset.
        at: u64,
        /// The bytes.
        bytes: u64,
        /// The limit `message_bytes`.
        limit: usize,
    },
    /// A column of a batch is damaged.
    #[error("row {row} and on, column '{column}' (arrow ipc message {message} at byte {at}): {reason}")]
    Column {
        /// The batch's first row, from 1.
        row: u64,
        /// The column.
        column: String,
        /// The message, from 1.
        message: u64,
        /// Its offset.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// The bytes end too early.
    #[error("the arrow ipc {form} is cut: it ends at byte {at}, {inside}")]
    Cut {
        /// `stream` or `file`.
        form: &'static str,
        /// Its length.
        at: u64,
        /// Where it ends.
        inside: String,
    },
    /// Bytes after the end marker of a stream.
    #[error("{form} of arrow ipc ended, but bytes follow at byte {at}")]
    After {
        /// `stream` or `file`.
        form: &'static str,
        /// Offset of the first of them.
        at: u64,
    },
    /// The footer of a file does not say what is in the file.
    #[error("arrow ipc footer at byte {at}: {reason}")]
    Footer {
        /// Its offset.
        at: u64,
        /// What is wrong.
        reason: String,
    },
}
