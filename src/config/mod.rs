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

mod audits;
mod exclude;
mod external;
mod ident;
mod ignored;
mod nanoseconds;
pub mod options;
mod parse;
mod planner_error;
mod properties;
mod quotes;
mod resolve;
mod rowwise;
mod rules;
mod select;
mod settings;
mod sqltype;
mod star;
mod statement;
mod tables;
mod timetype;
mod tokens;
mod values;
mod variables;
mod withheld;
mod wording;

#[cfg(test)]
mod tests;

pub(crate) use audits::{check_rules, plan_audit, plan_rule};
pub use exclude::Exclude;
pub(crate) use ident::ident;
pub(crate) use ignored::{IgnoredClauses, placed};
pub(crate) use planner_error::unknown_column;
pub use resolve::{Project, load};
pub(crate) use rules::Counts;
pub use rules::{Check, Rule};
pub(crate) use select::{Select, StoredColumn, freeze_now, plan_select, plan_view};
pub(crate) use settings::normalised as snapshot_time;
pub use settings::{Durability, S3Settings, Settings, Verify};
pub(crate) use sqltype::{is_utc, sql_type, type_name};
pub(crate) use star::whole_scan;
pub use tables::{LakeTable, SnapshotTable, View};
pub(crate) use timetype::{CountSeconds, TimeTypes};
pub(crate) use values::duration;
pub use values::{
    ByteSize, Compression, CsvOptions, EmptyPartition, FileFormat, ForceNull, GroupSize, SortKey, TextOptions,
    WriteCompression,
};
pub use variables::{Held, Variables};
pub(crate) use wording::reworded;
