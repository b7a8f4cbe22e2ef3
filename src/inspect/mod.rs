//! What a person wants to see, read-only: plans before they run, how far they are, the rows of every step, what changed
//! between two snapshots, and how a lake was made. Nothing below uses this room.

mod arrived;
pub(crate) mod diff;
mod estimate;
pub(crate) mod lineage;
mod plan;
pub(crate) mod query;
pub(crate) mod snapshots;
mod status;
mod views;
mod warnings;

pub use self::estimate::TimeEstimate;
pub use self::plan::{Explain, PlanView};
pub(crate) use self::status::InspectedTable;
pub use self::status::{RunningStatus, StatusReader, StepStatus, Sums, TableStatus};
pub use self::views::{GroupView, PartitionView, PartitionsView, PublishView};
