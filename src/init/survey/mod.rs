//! One listing of a location, and a bounded part of its files: which folders hold a table.

pub(crate) mod choose;
pub(crate) mod dated;
pub(crate) mod locate;
pub(crate) mod sample;
pub(crate) mod search;
pub(crate) mod tally;
