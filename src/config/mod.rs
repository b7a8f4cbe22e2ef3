//! Configuration: a list of SQL statements, from text to a checked [`Project`].
//!
//! ```text
//! text -> parse (tokens, variables)      statements with places
//!      -> resolve (settings, tables)     Project: defaults, absolute paths, folded names
//!      -> select (planner, rowwise)      one logical plan per lake table, proven to give the same rows group by group
//! ```
//!
//! Every mistake of the user becomes [`Error::Config`](crate::error::Error::Config) with `file:line:column`. Only
//! [`load`] reads files; nothing here touches a store or lists a snapshot.

mod dialects;
pub(crate) mod digest;
mod exclude;
mod export;
mod external;
mod invalid;
mod keys;
pub mod options;
mod properties;
pub(crate) mod query;
mod resolve;
mod rules;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod texts;
mod timetype;
mod values;
mod wildcard;
mod written;

pub(crate) use self::dialects::csv as csv_dialect;
pub use self::exclude::Exclude;
pub(crate) use self::export::is_called;
pub use self::export::{DatabaseUrl, ExportKind, ExportTable, SqlFamily};
pub use self::invalid::OnInvalid;
pub(crate) use self::query::audits::{check_rules, plan_audit, plan_rule};
pub(crate) use self::query::ignored::{IgnoredClauses, placed};
pub(crate) use self::query::planner_error::unknown_column;
pub(crate) use self::query::select::{Select, StoredColumn, freeze_now, plan_select, plan_view};
pub(crate) use self::query::star::whole_scan;
pub use self::resolve::{Project, load, load_texts};
pub(crate) use self::rules::StagedCounts;
pub use self::rules::{Check, Rule};
pub(crate) use self::settings::normalised as snapshot_time;
pub use self::settings::{Durability, S3Settings, Settings, Verify};
pub use self::tables::{LakeTable, SnapshotTable, View};
pub use self::text::variables::{Held, Variables};
pub use self::texts::{ConfigText, ConfigTexts};
pub(crate) use self::timetype::{CountSeconds, TimeTypes};
pub(crate) use self::values::duration;
pub use self::values::{
    ByteSize, BytesCode, CodedColumn, ColumnSet, Compression, CsvOptions, EmptyPartition, FileFormat, GroupSize,
    InsertOptions, JsonDialect, JsonOptions, LakeKind, SortKey, TextOptions, Undeclared, WriteCompression,
};
pub use self::wildcard::ListedExport;
