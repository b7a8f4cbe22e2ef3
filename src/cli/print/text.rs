//! Text in columns, numbers with their nouns, and the two ways out of the program.

use std::io::Write;

use indicatif::HumanCount;
use serde_json::Value;

use crate::error::redact::REDACTOR;

pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// Columns side by side, the first one left, all others right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text in so many characters at most.
pub(super) fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `1 file`, `2 files`.
pub(super) fn count(number: usize, noun: &str) -> String {
    count_u64(number as u64, noun)
}

pub(super) fn count_u64(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// To standard output; a closed pipe is the reader's choice, not an error.
pub(super) fn print(text: &str) {
    let _ = is_printed(text);
}

/// To standard output, and whether somebody still reads it.
pub(super) fn is_printed(text: &str) -> bool {
    writeln!(std::io::stdout(), "{text}").is_ok()
}

/// To standard error.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", REDACTOR.redact(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_aligned_by_characters() {
        let rows = [["a", "n"], ["é", "10"], ["ccc", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a     n\né    10\nccc   7");
    }

    #[test]
    fn cut_text_is_no_wider_than_asked_for() {
        assert_eq!([cut("éééé", 4), cut("éééé", 3)], ["éééé", "éé…"]);
    }
}
