//! Runs a project: the steps in order (run), one task by its number (task), the audits and the proof between them, and
//! what puts a table right again (repair, replan, clean).

pub(crate) mod arrivals;
mod attempt;
pub(crate) mod audit;
mod audits;
pub mod clean;
pub(crate) mod covered;
mod event;
pub mod expire;
mod local_runner;
mod place;
mod planned_task;
mod publish;
pub mod repair;
pub mod replan;
mod run;
mod runner;
mod stage;
mod table_report;
mod task;
mod task_report;
mod task_spec;
mod under_way;
pub mod validate;
mod versions;
mod warning;

pub use self::audit::{AuditState, AuditStatus, AuditView};
pub use self::event::{Event, Reporter};
pub use self::planned_task::PlannedTask;
pub use self::run::Pipeline;
pub(crate) use self::run::not_planned;
#[cfg(test)]
pub(crate) use self::run::tests as in_memory;
pub use self::runner::TaskRunner;
pub use self::table_report::TableReport;
pub use self::task::run_task;
pub use self::task_report::TaskReport;
pub use self::task_spec::TaskSpec;
pub use self::warning::Warning;
