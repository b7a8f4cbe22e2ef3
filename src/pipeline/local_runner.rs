//! Runs tasks in this process.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::planned_task::{PlannedTask, TaskInput};
use super::run::Pipeline;
use super::runner::TaskRunner;
use super::task_report::TaskReport;
use crate::concurrency::{in_order, on_any_thread};
use crate::error::Result;
use crate::session::PARTS;

/// Runs tasks on the threads of this process, as many at once as threads and memory allow; small ones that wait for a
/// remote store count as a part of one.
struct LocalRunner(Arc<Pipeline>);

impl LocalRunner {
    fn at_once(&self, tasks: &[PlannedTask]) -> usize {
        let engine = &self.0.engine;
        let staged = tasks.iter().filter(|task| matches!(task.input, TaskInput::Stage { .. }));
        let staged = staged.map(|task| engine.tasks_at_once(task.input.head().details.run_bytes)).min();
        // Merges of a local table take the memory that is theirs when no more tasks than threads go on.
        staged.unwrap_or_else(|| engine.publish_tasks(tasks.iter().all(|task| task.input.is_remote())))
    }
}

impl TaskRunner for LocalRunner {
    fn run(&self, tasks: Vec<PlannedTask>) -> BoxFuture<'static, Result<Vec<TaskReport>>> {
        let (pipeline, at_once) = (Arc::clone(&self.0), self.at_once(&tasks));
        Box::pin(async move {
            // A task that is not started yet is not even made: there may be one per partition.
            let jobs = tasks.into_iter().map(|task| {
                let parts =
                    pipeline.engine.task_parts(task.input.is_remote(), at_once, task.input.files(task.spec.group));
                let pipeline = Arc::clone(&pipeline);
                (parts, on_any_thread(async move { pipeline.run_planned(task).await }))
            });
            let mut reports = Vec::new();
            let ran = in_order(jobs, at_once.saturating_mul(PARTS), |report| reports.push(report));
            pipeline.alive(Box::pin(ran)).await?;
            Ok(reports)
        })
    }
}

impl Pipeline {
    /// Runs tasks of one step, where this pipeline runs them.
    pub(super) async fn run_tasks(self: &Arc<Self>, tasks: Vec<PlannedTask>) -> Result<Vec<TaskReport>> {
        match &self.runner {
            Some(runner) => runner.run(tasks).await,
            None => LocalRunner(Arc::clone(self)).run(tasks).await,
        }
    }
}
