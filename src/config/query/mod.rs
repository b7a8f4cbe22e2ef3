//! The SELECT of a lake table, audits and views, planned by DataFusion and checked: what it may use, the types it
//! gives, and the errors of the planner in the words of the config.

pub(crate) mod audits;
pub(crate) mod ignored;
pub(crate) mod nanoseconds;
pub(crate) mod planner_error;
pub(crate) mod rowwise;
pub(crate) mod select;
pub(crate) mod star;
pub(crate) mod withheld;
