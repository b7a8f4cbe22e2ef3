//! Events of a run, as changes of the bars or as lines of text.

use indicatif::{HumanBytes, HumanCount};

use super::audits;
use super::progress::Tasks;
use super::report::Report;
use super::text::{count, say};
use crate::pipeline::{Event, Reporter};

impl Report {
    /// A line of text for people, above the bars.
    pub(super) fn line(&self, text: &str) {
        if self.lines {
            self.board.bars.suspend(|| say(text));
        }
    }

    /// A line about what the bars show anyway.
    fn line_without_bars(&self, text: &str) {
        if !self.board.is_shown {
            self.line(text);
        }
    }
}

impl Reporter for Report {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::Step { table, step, tasks, done, files, bytes } => {
                let todo = tasks - done;
                let before = if done > 0 { format!(", {done} done before") } else { String::new() };
                let size = HumanBytes(bytes);
                self.line_without_bars(&format!(
                    "{:7} {table}: {todo} of {}{before}; {}, {size}",
                    step.task(),
                    count(tasks, "task"),
                    count(files, "file")
                ));
                self.board.begin(table, step, Tasks { total: Some(tasks), done, failed: 0 }, bytes);
            }
            Event::Exported { address, time, tables, rows, bytes, seconds } => self.line(&format!(
                "export  {address} as of {time}: {}, {} rows, {}, {seconds:.1} s",
                count(tables, "table"),
                HumanCount(rows),
                HumanBytes(bytes)
            )),
            Event::Merged { table, time, exports, rows, bytes, seconds } => self.line(&format!(
                "merge   {table} as of {time}: {}, {} rows, {}, {seconds:.1} s",
                count(exports, "export"),
                HumanCount(rows),
                HumanBytes(bytes)
            )),
            Event::Warned { table, problem, advice } => self.line(&format!("warning {table}: {problem}; {advice}")),
            Event::Rows(written) => self.board.add_rows(written),
            Event::Task { table, step, bytes, .. } => {
                self.board.change(bytes, |state| state.tasks(table, step).done += 1);
            }
            Event::Failed { table, step, .. } => self.board.change(0, |state| state.tasks(table, step).failed += 1),
            Event::Audit { audit, verdict: None } => self.board.total.set_prefix(format!(" audit {audit}")),
            Event::Audit { audit, verdict: Some(verdict) } => {
                self.line(&format!("audit   {audit}: {}", audits::outcome(verdict)));
            }
            Event::Complete { table, rows } => {
                let rows = HumanCount(rows);
                self.line_without_bars(&format!("valid   {table}: {rows} rows in and out agree, _SUCCESS written"));
                self.board.change(0, |state| state.line(table).is_complete = true);
            }
        }
    }
}
