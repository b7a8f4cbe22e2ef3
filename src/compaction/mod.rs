//! Second step: the staging files of a partition become lake files of one good size.

pub(crate) mod copy;
pub(crate) mod merge;
pub mod plan;
pub(crate) mod prepare;
pub mod run;
