//! Exports that are merged before they are read: a full export of a DynamoDB table and incremental ones.
//!
//! ```text
//! LOCATIONs -> chain    one table, one full export, no hole in time
//!           -> records  changes, then items, by the digest of their key into buckets on the local disk
//!           -> fold     bucket by bucket: the last change of each key, and the items that have none
//!           -> sink     files of a full export in the staging folder, then the manifest
//! ```
//!
//! A merge is made once per snapshot; from there on it is read like a full export ([`crate::snapshot::exports`]). Lines
//! are carried over as they are. Memory does not grow with items or changes: a bucket that is too large is split again.

mod chain;
mod fault;
mod fold;
pub(crate) mod job;
mod key;
mod read;
mod record;
mod sink;
mod spill;
#[cfg(test)]
mod tests;
