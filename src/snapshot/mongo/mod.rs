//! What MongoDB's tools leave behind, as plain NDJSON: the files of mongodump and of mongoexport.

pub(crate) mod bson;
pub(crate) mod decimal;
pub(crate) mod document;
pub(crate) mod extended;
pub(crate) mod mongodump;
pub(crate) mod plain;
pub(crate) mod wrapper;
