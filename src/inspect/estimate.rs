//! How long what is missing will take: from the times of tasks that were done, or not at all.
//!
//! ```text
//! seconds of done tasks / bytes that they read  *  bytes that are left  /  tasks at once
//! ```
//!
//! Times are taken from this snapshot's own tasks, else from the latest other snapshot of the table in the same staging
//! folder. Where neither has any, there is no estimate. Another machine, or another number of tasks at once, makes it
//! wrong.

use std::time::Duration;

use futures::TryStreamExt;

use super::views::{GroupView, PublishView};
use crate::config::Project;
use crate::error::Result;
use crate::layout::Step;
use crate::manifest::{Ledger, TaskDetails};
use crate::pipeline::Pipeline;
use crate::staging::plan::StagePlan;

/// Tasks of a step whose times are read when they are not known anyway: more do not make the estimate better.
const SAMPLE: usize = 64;

/// How long the rest of a table will take.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeEstimate {
    /// Seconds of stage tasks that are left.
    pub stage_seconds: f64,
    /// Seconds of publish tasks that are left; `None` if no publish task was ever done.
    pub publish_seconds: Option<f64>,
    /// Tasks at once that it supposes.
    pub tasks_at_once: usize,
    /// Time of the snapshot whose tasks it is made from; if publish tasks are of an earlier one, that one's.
    pub of_snapshot: String,
    /// Number of these tasks.
    pub of_tasks: usize,
}

/// What tasks of one step took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Timings {
    tasks: usize,
    time: Duration,
    bytes_read: u64,
    bytes_written: u64,
}

impl Timings {
    pub(super) fn add(&mut self, task: &TaskDetails, bytes_written: u64) {
        self.tasks += 1;
        // A manifest with a senseless number is not worth an error here.
        self.time += Duration::try_from_secs_f64(task.seconds).unwrap_or_default();
        self.bytes_read += task.bytes_read;
        self.bytes_written += bytes_written;
    }

    /// Time of one task after the other for so many bytes.
    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_nanos(scaled(u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX), bytes, self.bytes_read))
    }

    /// Bytes that so many bytes become.
    fn written_for(&self, bytes: u64) -> u64 {
        scaled(self.bytes_written, bytes, self.bytes_read)
    }

    /// Reads some tasks of a step.
    async fn read(ledger: &Ledger, step: Step) -> Result<Self> {
        let mut timings = Self::default();
        let done = ledger.done(step).await?;
        let mut heads = std::pin::pin!(ledger.heads::<TaskDetails>(step, done.into_iter().take(SAMPLE)));
        while let Some((_, head, details)) = heads.try_next().await? {
            timings.add(&details, head.size);
        }
        Ok(timings)
    }
}

/// `value * part / whole`.
fn scaled(value: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

/// What is left to do.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Stage tasks.
    stage_tasks: usize,
    /// Their snapshot bytes.
    stage_bytes: u64,
    /// Bytes of all snapshot files.
    bytes: u64,
    /// Bytes of the staging files that are there.
    staged_bytes: u64,
    /// Publish tasks that are left, and all of them; both 1 if they are not known.
    publish_tasks: (usize, usize),
    tasks_at_once: usize,
    publish_at_once: usize,
}

impl Left {
    /// The estimate by the times of `stage` and `publish` tasks.
    fn estimate(self, of_snapshot: String, stage: Timings, publish: Timings) -> Option<TimeEstimate> {
        if stage.tasks == 0 {
            return None;
        }
        let whole = |tasks: usize| u32::try_from(tasks).unwrap_or(u32::MAX).max(1);
        let staging_bytes = if self.stage_tasks == 0 { self.staged_bytes } else { stage.written_for(self.bytes) };
        let (left, all) = self.publish_tasks;
        let publish_time =
            publish.time_for(scaled(staging_bytes, left as u64, all as u64)) / whole(self.publish_at_once);
        Some(TimeEstimate {
            stage_seconds: (stage.time_for(self.stage_bytes) / whole(self.tasks_at_once.min(self.stage_tasks)))
                .as_secs_f64(),
            publish_seconds: (publish.tasks > 0).then_some(publish_time.as_secs_f64()),
            tasks_at_once: self.tasks_at_once,
            of_snapshot,
            of_tasks: stage.tasks + publish.tasks,
        })
    }
}

impl Pipeline {
    /// `staged` are the times of the stage tasks that are done.
    pub(super) async fn estimate(
        &self,
        plan: &StagePlan,
        groups: &[GroupView],
        publish: &PublishView,
        staged: Timings,
    ) -> Result<Option<TimeEstimate>> {
        let todo = || groups.iter().filter(|group| !group.done);
        let published = publish.done.len();
        let left = Left {
            stage_tasks: todo().count(),
            stage_bytes: todo().map(|group| group.bytes).sum(),
            bytes: plan.bytes(),
            staged_bytes: staged.bytes_written,
            publish_tasks: publish.total.map_or((1, 1), |total| (total.saturating_sub(published), total)),
            tasks_at_once: self.engine.tasks_at_once(plan.details.run_bytes),
            publish_at_once: self.engine.publish_tasks(plan.ledger.layout().is_remote()),
        };
        if left.stage_tasks == 0 && publish.total == Some(published) {
            return Ok(None);
        }
        let merged = match published {
            0 => Timings::default(),
            _ => Timings::read(&plan.ledger, Step::DatalakeFileGroups).await?,
        };
        if staged.tasks > 0 && merged.tasks > 0 {
            return Ok(left.estimate(plan.details.snapshot_time.clone(), staged, merged));
        }
        let earlier = earlier(&self.project, plan).await.unwrap_or_else(|error| {
            // Not every user may list a whole staging folder.
            tracing::debug!(%error, "no earlier snapshot to estimate by");
            None
        });
        let Some((time, ledger)) = earlier else {
            return Ok(left.estimate(plan.details.snapshot_time.clone(), staged, merged));
        };
        let other = Timings::read(&ledger, Step::StagingFileGroups).await?;
        let merged = Timings::read(&ledger, Step::DatalakeFileGroups).await?;
        Ok(left.estimate(time, if staged.tasks > 0 { staged } else { other }, merged))
    }
}

/// The latest other snapshot of a table in its staging folder: one LIST.
async fn earlier(project: &Project, plan: &StagePlan) -> Result<Option<(String, Ledger)>> {
    let times = plan.ledger.snapshot_times().await?;
    let other = times.into_iter().rfind(|time| *time != plan.details.snapshot_time);
    Ok(other.map(|time| {
        let ledger = plan.ledger.beside(project.layout_at(&plan.lake, &time));
        (time, ledger)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_that_of_done_tasks_by_bytes() {
        let of = |tasks, seconds, bytes_read, bytes_written| Timings {
            tasks,
            time: Duration::from_secs(seconds),
            bytes_read,
            bytes_written,
        };
        let (stage, publish) = (of(4, 40, 400, 200), of(2, 5, 100, 50));
        let left = Left {
            stage_tasks: 6,
            stage_bytes: 600,
            bytes: 1000,
            staged_bytes: 200,
            publish_tasks: (1, 1),
            tasks_at_once: 2,
            publish_at_once: 2,
        };
        let seconds = |left: Left, publish| {
            let estimate = left.estimate("t".to_owned(), stage, publish).unwrap();
            format!("{:.2} {:.2?}", estimate.stage_seconds, estimate.publish_seconds)
        };
        // 600 bytes at 0.1 s, by two; 1000 bytes make 500 of staging, at 0.05 s, by two.
        assert_eq!(seconds(left, publish), "30.00 Some(12.50)");
        let half = Left { stage_tasks: 0, stage_bytes: 0, staged_bytes: 400, publish_tasks: (2, 4), ..left };
        assert_eq!(seconds(half, publish), "0.00 Some(5.00)");
        assert_eq!(seconds(left, Timings::default()), "30.00 None");
        assert_eq!(left.estimate("t".to_owned(), Timings::default(), publish), None);
    }
}
