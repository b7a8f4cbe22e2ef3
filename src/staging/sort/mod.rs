//! Rows of a task, brought together by partition and sorted, in runs that fit in memory.

mod bundles;
pub(crate) mod collect;
pub(crate) mod exec;
pub(crate) mod order;
pub(crate) mod runs;
pub(crate) mod units;
