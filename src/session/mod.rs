//! What a task runs in: the stores it reads and writes, the memory it may use, and the engine set up for exact,
//! repeatable results.

mod attempts;
mod content;
mod engine;
mod functions;
mod local;
mod node;
mod operators;
mod pin;
mod pinned;
mod stores;
mod unfinished;

pub use self::attempts::Requests;
pub(crate) use self::content::{check_content, check_file, is_any_replaced, pin_content};
pub use self::engine::{Engine, EngineOptions, PARTS};
pub(crate) use self::node::node_above;
pub(crate) use self::operators::{bytes_spilled, operators};
pub(crate) use self::pin::{ContentCheck, Pin};
pub(crate) use self::pinned::PinnedStore;
pub(crate) use self::stores::OpenStores;
pub use self::stores::Stores;
pub(crate) use self::unfinished::Unfinished;
