//! How a table might be partitioned and sorted, and why.

/// One partition column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartitionColumn {
    /// A column of the SELECT.
    Column(String),
    /// Year, month or day of a column, under a name of its own.
    Part { part: &'static str, column: String, is_text: bool, name: String },
}

impl PartitionColumn {
    /// Name of the partition column.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Column(name) | Self::Part { name, .. } => name,
        }
    }
}

/// A way to partition, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme {
    pub(crate) columns: Vec<PartitionColumn>,
    pub(crate) why: String,
}

/// What is proposed for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// Empty: none.
    pub(crate) partitions: Vec<PartitionColumn>,
    pub(crate) why_partitions: String,
    pub(crate) sorted_by: Vec<String>,
    pub(crate) why_sorted: String,
    pub(crate) alternatives: Vec<Scheme>,
}
