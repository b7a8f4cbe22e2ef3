//! Parquet files that somebody else wrote: their footers and pages are checked before a value is decoded, and columns
//! are read as the table declares them.

pub(crate) mod adapt;
pub(crate) mod ahead;
pub(crate) mod bounds;
pub(crate) mod claims;
pub(crate) mod exact;
#[cfg(test)]
pub(crate) mod export_tests;
pub(crate) mod footer;
pub(crate) mod guard;
pub(crate) mod int96;
pub(crate) mod old_footer;
pub(crate) mod page_head;
pub(crate) mod pages;
pub(crate) mod part;
pub(crate) mod scalar;
pub(crate) mod whole;
