//! Runs a project: the steps in order (run), one task by its number (task), the audits and the proof between them, and what puts a
//! table right again (repair, replan, clean).

pub(crate) mod arrivals;
mod attempt;
pub(crate) mod audit;
mod audits;
pub mod clean;
pub(crate) mod covered;
mod event;
mod place;
mod publish;
pub mod repair;
pub mod replan;
mod run;
mod stage;
mod table_report;
mod task;
mod under_way;
pub mod validate;
mod warning;

pub use self::audit::{AuditState, AuditStatus, AuditView};
pub use self::event::{Event, Reporter};
pub use self::run::Pipeline;
pub(crate) use self::run::not_planned;
#[cfg(test)]
pub(crate) use self::run::tests as in_memory;
pub use self::table_report::TableReport;
pub use self::task::TaskSpec;
pub use self::warning::Warning;
