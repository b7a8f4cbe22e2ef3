//! What a task runs in: the stores it reads and writes, the memory it may use, and the engine set up for exact,
//! repeatable results.

mod attempts;
mod content;
mod engine;
mod functions;
mod local;
mod pinned;
mod stores;
mod unfinished;

pub use attempts::Requests;
pub(crate) use content::{check_content, check_file, is_any_replaced, pin_content};
pub use engine::{Engine, EngineOptions, PARTS};
pub(crate) use pinned::{ContentCheck, Pin, PinnedStore};
pub(crate) use stores::OpenStores;
pub use stores::Stores;
pub(crate) use unfinished::Unfinished;
