//! What happens, while it happens: lines, a bar, and log lines above it.

use std::io::Write;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar};

use super::text::{REDACTOR, count, say};
use super::{Report, audits};
use crate::pipeline::{Event, Reporter};

/// Log lines go above the bar, not through it.
#[derive(Clone)]
pub(super) struct AboveBar(pub(super) ProgressBar);

impl Write for AboveBar {
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

impl Report {
    pub(super) fn line(&self, text: &str) {
        if self.lines {
            self.bar.suspend(|| say(text));
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
                self.line(&format!(
                    "{step:7} {table}: {todo} of {}{before}; {}, {size}",
                    count(tasks, "task"),
                    count(files, "file")
                ));
                if self.bar.position() >= self.bar.length().unwrap_or(0) {
                    self.bar.reset();
                    self.bar.set_length(0);
                    *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = 0;
                }
                self.bar.inc_length(bytes);
                self.bar.set_message(format!("{step} {table}"));
            }
            Event::Rows(written) => {
                let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                *rows += written;
                let seconds = self.bar.elapsed().max(Duration::from_millis(1)).as_secs_f64();
                #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let speed = (*rows as f64 / seconds) as u64;
                self.bar.set_prefix(format!("{:>14} rows/s", HumanCount(speed).to_string()));
            }
            Event::Task { table, step, bytes, .. } => {
                self.bar.set_message(format!("{step} {table}"));
                self.bar.inc(bytes);
            }
            Event::Audit { audit, verdict: None } => self.bar.set_message(format!("audit {audit}")),
            Event::Audit { audit, verdict: Some(verdict) } => {
                self.line(&format!("audit   {audit}: {}", audits::outcome(verdict)));
            }
            Event::Complete { table, rows } => {
                self.line(&format!("valid   {table}: {} rows in and out agree, _SUCCESS written", HumanCount(rows)));
            }
        }
    }
}
