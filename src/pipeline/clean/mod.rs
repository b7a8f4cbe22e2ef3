//! Removes what nobody lists: files of tasks that never committed, tries of exports that never became one, halves of
//! files, staging files of complete tables.

mod find;
mod garbage;
mod listed;
mod local;
mod table;
mod tries;

pub use self::find::{CleanOptions, find, remove};
pub(crate) use self::find::{Unnamed, check_lake, clear_lake, remove_published};
pub use self::garbage::{Garbage, Why};
pub(in crate::pipeline) use self::local::{half_files, is_behind_link};
