//! Changes of rows between two snapshots: how many, and some of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Rows by what happened to them. A changed row counts where it is now, a removed one where it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RowChanges {
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) changed: u64,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Added,
    Removed,
    Changed,
}

/// A row that is not as it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RowSample {
    pub(crate) change: Change,
    /// Its key.
    pub(crate) key: BTreeMap<String, Value>,
    /// Of a changed row the columns that changed, else all but the key.
    pub(crate) before: BTreeMap<String, Value>,
    pub(crate) after: BTreeMap<String, Value>,
}
