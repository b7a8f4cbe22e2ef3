//! The one schema of a snapshot table: how the types of its files become one (merge, widen, clash, guess), the columns
//! that folders add, and whether the files have what is declared (names, presence).

pub(crate) mod clash;
pub(crate) mod drift;
pub(crate) mod inferred;
pub(crate) mod merge;
pub(crate) mod widen;
