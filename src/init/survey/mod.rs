//! One listing of a location, and a bounded part of its files: which folders hold a table.

pub(crate) mod dated;
pub(crate) mod dates;
pub(crate) mod locate;
pub(crate) mod mongodump;
pub(crate) mod read;
pub(crate) mod sample;
pub(crate) mod tally;
