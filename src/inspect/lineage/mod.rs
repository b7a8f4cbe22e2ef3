//! Data of a report, from manifests: snapshot files, tasks, lake files and their row counts.
//!
//! ```text
//! snapshot file --stage_group--> stage task --stage_group--> staging file --publish_group--> publish task
//!                                                                                     --publish_group--> lake file
//! ```
//!
//! Nothing is listed but the summaries, which say what is done; nothing is read but manifests, the records beside them,
//! and, for the estimate of distinct values, a bounded part of the lake ([`distinct`]). Only a table that is not
//! planned is looked at as `plan` does: its export is listed, and footers are read. It works at any time: what is not
//! there yet is missing in the result, and is no error. All files of the chosen tables are in memory at once, as they
//! are for a query. The result is printed by `report`, and becomes OpenLineage events here ([`mod@events`], sent by
//! [`mod@send`]).

pub(crate) mod distinct;
pub(crate) mod events;
pub(crate) mod gather;
pub(crate) mod model;
pub(crate) mod send;

pub(crate) use self::events::events;
pub(crate) use self::gather::{Options, gather};
pub(crate) use self::model::{File, Lineage, LineagePartition, LineageTask, TableLineage};
pub(crate) use self::send::send;
