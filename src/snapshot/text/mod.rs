//! What CSV and NDJSON have in common below their records: the bytes of a file, unpacked, and where in it something is
//! wrong.

pub(crate) mod bytes;
pub(crate) mod charset;
pub(crate) mod copy_data;
pub(crate) mod place;
pub(crate) mod target;
