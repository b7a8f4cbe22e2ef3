//! What happens, while it happens: on a terminal a line per table with both steps and a bar for all of them; otherwise
//! lines of text. Log lines go above the bars.
//!
//! ```text
//! airlines  stage [==========] 1 of 1   publish [==========] 1 of 1
//! flights   stage [======    ] 8 of 13  publish [          ] -
//! [=======================>                ] 4.88 MiB/7.86 MiB 412,000 rows/s eta 1s
//! ```

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::{count, cut};
use crate::error::redact::REDACTOR;
use crate::layout::Step;

/// Widest bar of a step, in characters; a narrower one than [`MIN_BAR`] says nothing.
const MAX_BAR: usize = 20;
const MIN_BAR: usize = 4;

/// The bars of all tables.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) bars: MultiProgress,
    /// Bytes of the step that is under way.
    pub(super) total: ProgressBar,
    pub(super) is_shown: bool,
    state: Mutex<ProgressState>,
}

#[derive(Debug, Default)]
pub(super) struct ProgressState {
    tables: Vec<Line>,
    /// Lines on the terminal.
    shown: Vec<ProgressBar>,
    /// Rows since the step began.
    rows: u64,
    /// Whether the bars were taken away for good: tasks that are being stopped may still tell something.
    is_over: bool,
}

/// A table as the board shows it.
#[derive(Debug, Default, Clone)]
pub(super) struct Line {
    table: String,
    stage: Tasks,
    publish: Tasks,
    pub(super) is_complete: bool,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tasks {
    /// `None` before they are planned.
    pub(super) total: Option<usize>,
    pub(super) done: usize,
    pub(super) failed: usize,
}

impl Board {
    /// Hidden, or on standard error.
    pub(super) fn new(is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        // Nothing is drawn before the first step begins.
        let total = ProgressBar::new(0);
        let template = "[{wide_bar}] {bytes}/{total_bytes}{prefix} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            total.set_style(style.progress_chars("=> "));
        }
        let total = bars.add(total);
        Self { bars, total, is_shown, state: Mutex::default() }
    }

    /// Where log lines go.
    pub(super) fn above(&self) -> AboveBars {
        AboveBars(self.bars.clone())
    }

    /// Takes all bars away, for good.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_over, true) {
            return;
        }
        for bar in state.shown.drain(..) {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
        // Lines of bars that were above others may be left.
        let _ = self.bars.clear();
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step of a table begins.
    pub(crate) fn begin(&self, table: &str, step: Step, tasks: Tasks, bytes: u64) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        *state.tasks(table, step) = tasks;
        if self.total.position() >= self.total.length().unwrap_or(0) {
            self.total.reset();
            self.total.set_length(0);
            state.rows = 0;
        }
        self.total.inc_length(bytes);
        self.draw(&mut state);
    }

    /// So many more bytes are done, and something has changed.
    pub(crate) fn change(&self, bytes: u64, change: impl FnOnce(&mut ProgressState)) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        self.total.inc(bytes);
        change(&mut state);
        self.draw(&mut state);
    }

    fn draw(&self, state: &mut ProgressState) {
        if !self.is_shown {
            return;
        }
        let (height, width) = Term::stderr().size();
        let lines = lines(&state.tables, usize::from(width), usize::from(height));
        while state.shown.len() > lines.len() {
            state.shown.pop().iter().for_each(|bar| bar.finish_and_clear());
        }
        while state.shown.len() < lines.len() {
            let bar = self.bars.insert_before(&self.total, ProgressBar::no_length());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            state.shown.push(bar);
        }
        state.shown.iter().zip(lines).for_each(|(bar, line)| bar.set_message(line));
    }

    pub(crate) fn add_rows(&self, written: u64) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        state.rows += written;
        let seconds = self.total.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let speed = (state.rows as f64 / seconds) as u64;
        self.total.set_prefix(format!(" {} rows/s", HumanCount(speed)));
    }
}

impl ProgressState {
    pub(crate) fn line(&mut self, table: &str) -> &mut Line {
        let at = self.tables.iter().position(|line| line.table == table).unwrap_or_else(|| {
            self.tables.push(Line { table: table.to_owned(), ..Line::default() });
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }

    pub(crate) fn tasks(&mut self, table: &str, step: Step) -> &mut Tasks {
        let line = self.line(table);
        match step {
            Step::SnapshotFileGroups | Step::StagingFileGroups => &mut line.stage,
            Step::PartitionFileGroups | Step::DatalakeFileGroups => &mut line.publish,
        }
    }
}

impl Line {
    /// Tables with something to do go first, complete ones last.
    fn rank(&self) -> u8 {
        let is_left = |tasks: Tasks| tasks.total.is_some_and(|total| tasks.done < total);
        match (is_left(self.stage) || is_left(self.publish), self.is_complete) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        }
    }
}

/// A line per table, as many as have room above the total and the cursor; the others are counted in the last one.
fn lines(tables: &[Line], width: usize, height: usize) -> Vec<String> {
    let room = height.saturating_sub(2).max(1);
    let mut chosen: Vec<usize> = (0..tables.len()).collect();
    if tables.len() > room {
        chosen.sort_by_key(|&table| tables[table].rank());
        chosen.truncate(room - 1);
        chosen.sort_unstable();
    }
    let chosen: Vec<&Line> = chosen.into_iter().map(|table| &tables[table]).collect();
    let name = chosen.iter().map(|line| line.table.chars().count()).max().unwrap_or(0).min(width / 4);
    let number =
        |tasks: &Tasks| tasks.total.map_or_else(|| "-".to_owned(), |total| format!("{} of {total}", tasks.done));
    let numbers = chosen.iter().flat_map(|line| [number(&line.stage), number(&line.publish)]);
    let digits = numbers.map(|number| number.len()).max().unwrap_or(0);
    let failed = |line: &Line| match line.stage.failed + line.publish.failed {
        0 => String::new(),
        failed => format!("  {failed} failed"),
    };
    let reported = chosen.iter().map(|line| failed(line).len()).max().unwrap_or(0);
    let fixed = name + "  stage [] ".len() + "  publish [] ".len() + 2 * digits + reported;
    let bar = (width.saturating_sub(fixed) / 2).min(MAX_BAR);
    let mut lines: Vec<String> = Vec::new();
    for line in &chosen {
        let step = |tasks: &Tasks| {
            let number = number(tasks);
            if bar < MIN_BAR {
                return format!("{number:digits$}");
            }
            let filled = tasks.total.map_or(0, |total| (bar * tasks.done).checked_div(total).unwrap_or(bar));
            format!("[{}{}] {number:digits$}", "=".repeat(filled), " ".repeat(bar - filled.min(bar)))
        };
        let table = cut(&line.table, name);
        let (stage, publish, failed) = (step(&line.stage), step(&line.publish), failed(line));
        let text = format!("{table:name$}  stage {stage}  publish {publish}{failed}");
        lines.push(cut(text.trim_end(), width));
    }
    if chosen.len() < tables.len() {
        let complete = tables.iter().filter(|line| line.is_complete).count();
        let more = tables.len() - chosen.len();
        lines.push(cut(&format!("and {}, {complete} complete", count(more, "more table")), width));
    }
    lines
}

/// Log lines go above the bars, not through them.
#[derive(Clone)]
pub(super) struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // A whole event comes in one write, so that no secret is cut in two.
        let text = String::from_utf8_lossy(bytes);
        self.0.suspend(|| std::io::stderr().write_all(REDACTOR.redact(&text).as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(table: &str, stage: (usize, usize), publish: Option<(usize, usize)>) -> Line {
        let tasks = |(done, total)| Tasks { total: Some(total), done, failed: 0 };
        let publish = publish.map_or_else(Tasks::default, tasks);
        Line { table: table.to_owned(), stage: tasks(stage), publish, is_complete: false }
    }

    #[test]
    fn lines_show_both_steps_in_the_width_there_is() {
        let failed = Tasks { failed: 1, ..line("", (1, 2), None).stage };
        let tables = [
            line("airlines", (1, 1), Some((0, 1))),
            Line { stage: failed, ..line("flights_with_a_long_name", (8, 13), None) },
            line("empty", (0, 0), Some((0, 0))),
        ];
        let shown = |width| lines(&tables, width, 24).join("\n");
        insta::assert_snapshot!([110, 60, 40].map(shown).join("\n\n"), @"
        airlines                  stage [====================] 1 of 1  publish [                    ] 0 of 1
        flights_with_a_long_name  stage [==========          ] 1 of 2  publish [                    ] -       1 failed
        empty                     stage [====================] 0 of 0  publish [====================] 0 of 0

        airlines         stage 1 of 1  publish 0 of 1
        flights_with_a…  stage 1 of 2  publish -       1 failed
        empty            stage 0 of 0  publish 0 of 0

        airlines    stage 1 of 1  publish 0 of 1
        flights_w…  stage 1 of 2  publish -    …
        empty       stage 0 of 0  publish 0 of 0
        ");
        for width in 10..120 {
            assert!(lines(&tables, width, 24).iter().all(|line| line.chars().count() <= width), "{width}");
        }
    }

    #[test]
    fn tables_without_room_are_counted_and_those_with_nothing_to_do_make_room() {
        let mut tables: Vec<Line> = (0..20).map(|n| line(&format!("t{n}"), (n % 2, 1), None)).collect();
        tables[1].is_complete = true;
        assert_eq!(lines(&tables, 80, 22).len(), 20);
        let shown = lines(&tables, 80, 8);
        let names: Vec<&str> = shown.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, ["t0", "t2", "t4", "t6", "t8", "and"]);
        assert_eq!(shown[5], "and 15 more tables, 1 complete");
        let shown = lines(&tables, 80, 19);
        assert!(shown[1].starts_with("t2 "), "complete tables go first: {shown:?}");
    }
}
