//! Every way in which snaplake can fail, with the place that it failed at.
//!
//! Two families: [`ConfigError`] is a mistake in the user's SQL and always travels with a [`Position`]; all other
//! variants of [`Error`] name the file, table, group or URL at hand and keep their source. Nothing here prints, and no
//! message carries a credential.

pub(crate) mod advice;
mod caught;
mod config;
pub(crate) mod describe;
mod difference;
mod engine;
mod export;
mod help;
mod iceberg;
mod kinds;
mod message;
mod position;
pub(crate) mod redact;
mod task_step;
mod value;
mod verdict;
pub(crate) mod wording;

pub(crate) use self::caught::{caught, within};
pub use self::config::ConfigError;
pub(crate) use self::difference::difference;
pub(crate) use self::engine::unwrap_engine;
pub use self::export::ExportFault;
pub use self::iceberg::IcebergFault;
pub use self::kinds::{Error, Result};
pub use self::message::nearest;
pub use self::position::Position;
pub use self::task_step::TaskStep;
pub use self::value::InvalidValue;
pub use self::verdict::Verdict;
pub(crate) use self::wording::reworded;
