//! Events of a running pipeline; it prints nothing itself.

use crate::error::Verdict;
use crate::layout::Step;

/// Receives the events of a pipeline; called from many threads.
pub trait Reporter: Send + Sync {
    /// Something happened.
    fn on(&self, event: &Event<'_>);
}

/// An event for a [`Reporter`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step of a table begins, with so much to do; `done` of `tasks` were done before.
    Step {
        /// Name of the lake table, without `lake.`.
        table: &'a str,
        /// The step, by where its tasks commit.
        step: Step,
        /// Tasks of the step.
        tasks: usize,
        /// Of these, done by earlier runs.
        done: usize,
        /// Input files of the tasks to run.
        files: usize,
        /// Input bytes of the tasks to run.
        bytes: u64,
    },
    /// A running database was exported, by this run or an earlier one.
    Exported {
        /// Without a password.
        address: &'a str,
        /// When the database was as it was exported, RFC 3339.
        time: &'a str,
        /// Tables of the export.
        tables: usize,
        /// Their rows.
        rows: u64,
        /// Bytes of their files.
        bytes: u64,
        /// Wall time of this run; next to nothing if an earlier one exported it.
        seconds: f64,
    },
    /// Incremental exports were merged onto a full one, by this run or an earlier one.
    Merged {
        /// Name of the snapshot table, without `snapshot.`.
        table: &'a str,
        /// When the table was as it is now, RFC 3339.
        time: &'a str,
        /// Exports that were merged.
        exports: usize,
        /// Rows of the table.
        rows: u64,
        /// Bytes of its files.
        bytes: u64,
        /// Wall time of this run; next to nothing if an earlier one merged them.
        seconds: f64,
    },
    /// Something about the files of a table that will be staged.
    Warned {
        /// Name of the lake table, without `lake.`.
        table: &'a str,
        /// What it is.
        problem: &'a str,
        /// What to do.
        advice: &'a str,
    },
    /// Rows were written.
    Rows(u64),
    /// A task is committed.
    Task {
        /// Name of the lake table, without `lake.`.
        table: &'a str,
        /// The step, by where its tasks commit.
        step: Step,
        /// Group number.
        group: usize,
        /// Input files.
        files: usize,
        /// Input bytes.
        bytes: u64,
        /// Rows written.
        rows: u64,
        /// Wall time.
        seconds: f64,
    },
    /// An attempt at a task failed.
    Failed {
        /// Name of the lake table, without `lake.`.
        table: &'a str,
        /// The step, by where its tasks commit.
        step: Step,
        /// Group number.
        group: usize,
    },
    /// An audit begins, or has ended.
    Audit {
        /// Its name.
        audit: &'a str,
        /// Its result; `None` when it begins.
        verdict: Option<&'a Verdict>,
    },
    /// A table was validated and is complete.
    Complete {
        /// Name of the lake table, without `lake.`.
        table: &'a str,
        /// Rows of its lake files.
        rows: u64,
    },
}
