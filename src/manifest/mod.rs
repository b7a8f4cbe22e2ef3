//! Manifests: the pairs of files by which steps tell each other what they did, and by which a task commits.

pub mod checksum;
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

pub use self::codec::Manifest;
pub(crate) use self::content::LakeContent;
pub(crate) use self::data::decode_files;
pub use self::entry::FileEntry;
pub(crate) use self::entry::{CONTENT_TAG, FilePart, bare_etag, fingerprint};
pub use self::ledger::{Commit, Extent, Ledger};
pub use self::moved::Roots;
pub(crate) use self::process::Process;
pub use self::statistics::{ColumnRange, ColumnRanges};
pub use self::task::{Operator, TaskDetails};
