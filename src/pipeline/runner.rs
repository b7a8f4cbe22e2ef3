//! Where the tasks of a step run: in this process, or wherever another runner takes their specs.

use futures::future::BoxFuture;

use super::planned_task::PlannedTask;
use super::task_report::TaskReport;
use crate::error::Result;

/// Runs tasks of one step.
pub trait TaskRunner: Send + Sync {
    /// Runs tasks, and reports in their order. After the first error no further task is started; those under way end
    /// and commit.
    ///
    /// A runner of other processes sends [`PlannedTask::spec`]; each may run more than once, since a task commits once.
    fn run(&self, tasks: Vec<PlannedTask>) -> BoxFuture<'static, Result<Vec<TaskReport>>>;
}
