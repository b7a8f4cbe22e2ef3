//! What a task runs in: the stores it reads and writes, the memory it may use, and the engine set up for exact,
//! repeatable results.

mod attempts;
mod engine;
mod functions;
mod pinned;
mod stores;
mod unfinished;
mod width;

pub use attempts::Requests;
pub(crate) use engine::BATCH_ROWS;
pub use engine::{Engine, EngineOptions};
pub(crate) use pinned::{CONTENT_TAG, Pin, PinnedStore};
pub(crate) use stores::OpenStores;
pub use stores::Stores;
pub(crate) use unfinished::Unfinished;
pub(crate) use width::{batch_rows, is_wide};
