//! Sorted runs become one: the plan node (exec), and passes where there are more runs than fit in memory.

pub(crate) mod exec;
pub(crate) mod passes;
