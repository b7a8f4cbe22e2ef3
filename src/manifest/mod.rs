//! Manifests: the pairs of files by which steps tell each other what they did, and by which a task commits.

pub mod codec;
mod content;
mod data;
mod entry;
pub mod ledger;
mod moved;
pub(crate) mod owner;
mod process;
pub mod statistics;
mod task;
pub mod trace;
pub(crate) mod version;

pub use codec::Manifest;
pub(crate) use content::LakeContent;
pub use entry::FileEntry;
pub(crate) use entry::{CONTENT_TAG, FilePart, bare_etag};
pub use ledger::{Commit, Extent, Ledger};
pub use moved::Roots;
pub use statistics::{ColumnRange, ColumnRanges};
pub use task::{Operator, TaskDetails};
