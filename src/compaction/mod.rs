//! Second step: the staging files of a partition become lake files of one good size.

mod copy;
pub(crate) mod merge;
mod passes;
pub mod plan;
pub(crate) mod prepare;
pub mod run;
