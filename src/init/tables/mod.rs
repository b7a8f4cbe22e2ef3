//! What the files of one folder say of a table: form, columns, values, and the exports that are known by their
//! metadata.

pub(crate) mod columns;
pub(crate) mod dialect;
pub(crate) mod draft;
pub(crate) mod dynamo;
pub(crate) mod exported;
pub(crate) mod exports;
pub(crate) mod folder;
pub(crate) mod form;
pub(crate) mod found_table;
mod load;
mod mongo;
pub(crate) mod part;
pub(crate) mod profile;
mod program;
pub(crate) mod proposal;
pub(crate) mod propose;
pub(crate) mod schema;
pub(crate) mod trial;
mod typed;
