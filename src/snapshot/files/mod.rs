//! Which files a LOCATION covers, which of them are data, and why the others are left out. Nothing is left out without
//! being counted.

pub(crate) mod arrivals;
pub(crate) mod content;
pub(crate) mod cover;
pub(crate) mod folders;
pub(crate) mod found;
pub(crate) mod left_out;
pub(crate) mod listing;
pub(crate) mod named;
pub(crate) mod outputs;
pub(crate) mod own;
pub(crate) mod peek;
pub(crate) mod same_file;
pub(crate) mod sources;
pub(crate) mod table_format;
pub(crate) mod unlisted;
pub(crate) mod verdict;
