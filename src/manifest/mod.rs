//! Manifests: the pairs of files by which steps tell each other what they did, and by which a task commits.

pub mod codec;
mod data;
mod entry;
pub mod ledger;
pub mod statistics;
pub mod trace;

pub use codec::Manifest;
pub use entry::FileEntry;
pub(crate) use entry::{FilePart, bare_etag};
pub use ledger::{Commit, Extent, Ledger};
pub use statistics::{ColumnRange, ColumnRanges};
