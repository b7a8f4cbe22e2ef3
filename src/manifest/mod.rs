//! Manifests: the pairs of files by which steps tell each other what they did, and by which a task commits.

pub mod codec;
pub mod ledger;

pub use codec::{FileEntry, Manifest};
pub use ledger::{Commit, Ledger};
