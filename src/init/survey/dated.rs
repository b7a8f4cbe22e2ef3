//! Dates in paths, and whether files of several dates are parts of one table, or full exports of it, of which only one
//! is read. Pure but for what it is given to compare.
//!
//! ```text
//! 2026-01-30/orders.csv  2026-01-31/orders.csv      a folder per export
//! 2026/01/30/orders.csv  2026/01/31/orders.csv      likewise, in three folders
//! orders_20260130.csv    orders_20260131.csv        a file per export
//! orders/dt=2026-01-30/  orders/dt=2026-01-31/      partitions: never exports
//! ```
//!
//! Both have the same names, so the rows decide: a full export repeats most of the one before. If they do not show it,
//! the files are parts, since then nothing is lost. The config says in either case which was assumed.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::statistics::Statistics;

use super::sample::{Sampled, Text};
use super::tally::{Group, Key};
use crate::init::names::{GENERIC, partition_key, split_ending};
use crate::layout::below;

/// Lines that are compared of each side, at most.
const LINES: usize = 20_000;

/// What files of two dates are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kin {
    /// The later one repeats the earlier one.
    Full,
    Parts,
    Unknown,
}

/// The first date in a name, `2026-01-31`, `20260131` or `2026_01_31T0500`, with its time if there is one.
pub(crate) fn date_in(name: &str) -> Option<NaiveDateTime> {
    let bytes = name.as_bytes();
    (0..bytes.len()).find_map(|at| {
        let is_start = bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
        if is_start { parse(&bytes[at..]) } else { None }
    })
}

fn parse(bytes: &[u8]) -> Option<NaiveDateTime> {
    let mut rest = bytes;
    let mut number = |digits: usize, separators: &[u8]| {
        if let Some((first, after)) = rest.split_first()
            && separators.contains(first)
        {
            rest = after;
        }
        let (head, after) = rest.split_at_checked(digits)?;
        let value = std::str::from_utf8(head).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
        rest = after;
        value.parse::<u32>().ok()
    };
    let (year, month, day) = (number(4, b"")?, number(2, b"-_.")?, number(2, b"-_.")?);
    let day =
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).filter(|_| (1970..2200).contains(&year))?;
    // Fourteen digits, or a time after T, a space or one of the separators that names have.
    let time = number(2, b"T _-").and_then(|hour| {
        let (minute, second) = (number(2, b":-_."), number(2, b":-_."));
        day.and_hms_opt(hour, minute?, second.unwrap_or(0))
    });
    match time {
        Some(time) => Some(time),
        None => {
            let after = bytes.get(8..).filter(|_| bytes[4].is_ascii_digit()).or(bytes.get(10..)).unwrap_or_default();
            // A longer number is no date.
            (!after.first().is_some_and(u8::is_ascii_digit)).then(|| day.and_hms_opt(0, 0, 0)).flatten()
        }
    }
}

/// Whether a folder is named by a date and words that say nothing else: `2026-01-31`, `export_20260131`.
pub(crate) fn is_dated(folder: &str) -> bool {
    let says = |word: &str| word.bytes().any(|b| b.is_ascii_alphabetic()) && !GENERIC.contains(&word) && word.len() > 1;
    let lower = folder.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let of_date = |word: &str| word.bytes().filter(u8::is_ascii_digit).count() * 2 > word.len();
    partition_key(folder).is_none()
        && date_in(folder).is_some()
        && words.into_iter().all(|word| of_date(word) || !says(word))
}

/// The first date that folders are named by, and where it stands: in one name, or as `2026/01/31`.
pub(crate) fn date_in_folders(folder: &str) -> Option<(NaiveDateTime, Range<usize>)> {
    let mut start = 0;
    for part in folder.split('/') {
        let end = start + part.len();
        if is_dated(part) {
            return Some((date_in(part)?, start..end));
        }
        if let Some((date, length)) = nested_date(&folder[start..]) {
            return Some((date, start..start + length));
        }
        start = end + 1;
    }
    None
}

/// The date in the three folders that a path begins with, and their length.
fn nested_date(path: &str) -> Option<(NaiveDateTime, usize)> {
    let mut parts = path.split('/');
    let mut length = 0;
    let mut number = |digits: RangeInclusive<usize>| {
        let part = parts.next().filter(|part| digits.contains(&part.len()))?;
        length += part.len() + 1;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten()
    };
    let (year, month, day) = (number(4..=4)?, number(1..=2)?, number(1..=2)?);
    let date =
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).filter(|_| (1970..2200).contains(&year))?;
    Some((date.and_hms_opt(0, 0, 0)?, length - 1))
}

/// A folder without the part of it that is named by a date.
pub(crate) fn without_date(folder: &str) -> String {
    let Some((_, Range { start, end })) = date_in_folders(folder) else { return folder.to_owned() };
    let (before, after) = (folder[..start].trim_end_matches('/'), folder[end..].trim_start_matches('/'));
    match (before.is_empty(), after.is_empty()) {
        (true, _) => after.to_owned(),
        (false, true) => before.to_owned(),
        (false, false) => below(before, after),
    }
}

/// The date of a file, and the folder named by it; empty if it is the file's name that has the date.
pub(crate) fn date_of(path: &str) -> Option<(NaiveDateTime, &str)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some((date, part)) = date_in_folders(folder) {
        return Some((date, &path[..part.end]));
    }
    // Files in partitions are parts, whatever they are called.
    if folder.split('/').any(|part| partition_key(part).is_some()) {
        return None;
    }
    date_in(split_ending(name).0).map(|date| (date, ""))
}

/// What keys have in common that differ by their date only.
pub(crate) fn family(key: &Key) -> Key {
    Key { folder: without_date(&key.folder), date: None, ..key.clone() }
}

/// Whether two groups are about as large.
pub(crate) fn are_alike(older: &Group, newer: &Group) -> bool {
    let (small, large) = (older.bytes.min(newer.bytes), older.bytes.max(newer.bytes));
    small > 0 && large / small < 4
}

/// What the rows of two dates show.
pub(crate) fn compare(older: &Sampled, newer: &Sampled) -> Kin {
    match (older, newer) {
        (Sampled::Text { texts: older, .. }, Sampled::Text { texts: newer, .. }) => compare_lines(older, newer),
        (Sampled::Parquet(older), Sampled::Parquet(newer)) => {
            let footers =
                |files: &[(_, Arc<ParquetMetaData>)]| files.iter().map(|(_, f)| Arc::clone(f)).collect::<Vec<_>>();
            compare_footers(&footers(older), &footers(newer))
        }
        _ => Kin::Unknown,
    }
}

/// The lines of texts after their first one, which may be a header.
fn lines(texts: &[Text]) -> Vec<&[u8]> {
    let first = texts.iter().find_map(|text| of_text(text).next());
    texts.iter().flat_map(of_text).filter(|line| Some(*line) != first).take(LINES).collect()
}

/// The lines of a text, without the last one if it is cut.
fn of_text(text: &Text) -> impl Iterator<Item = &[u8]> {
    let end = if text.is_cut { text.bytes.iter().rposition(|b| *b == b'\n').unwrap_or(0) } else { text.bytes.len() };
    text.bytes[..end].split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty())
}

fn compare_lines(older: &[Text], newer: &[Text]) -> Kin {
    let (older, newer) = (lines(older), lines(newer));
    let field = |line: &&'_ [u8]| {
        let end = line.iter().position(|b| b",;|\t".contains(b)).unwrap_or(line.len());
        line[..end].to_vec()
    };
    let whole = share(older.iter().map(|line| line.to_vec()), newer.iter().map(|line| line.to_vec()));
    let keys = share(older.iter().map(field), newer.iter().map(field));
    match (whole, keys) {
        (Some(whole), _) if whole >= 0.3 => Kin::Full,
        (_, Some(keys)) if keys >= 0.5 => Kin::Full,
        (Some(_), _) => Kin::Parts,
        _ => Kin::Unknown,
    }
}

/// The share of the smaller side that the other side also has; None if the values are not unique enough to be keys.
#[expect(clippy::cast_precision_loss, reason = "a share of some thousand values")]
fn share(older: impl Iterator<Item = Vec<u8>>, newer: impl Iterator<Item = Vec<u8>>) -> Option<f64> {
    let distinct = |values: Vec<Vec<u8>>| {
        let count = values.len();
        let distinct: HashSet<Vec<u8>> = values.into_iter().collect();
        (count > 0 && distinct.len() * 10 >= count * 9).then_some(distinct)
    };
    let (older, newer) = (distinct(older.collect())?, distinct(newer.collect())?);
    let smaller = older.len().min(newer.len());
    Some(older.intersection(&newer).count() as f64 / smaller as f64)
}

/// Smallest and largest values of each column: where those of one date end before those of the other begin, they are
/// parts; where most begin with the same value, and the numbers of rows are alike, one repeats the other.
fn compare_footers(older: &[Arc<ParquetMetaData>], newer: &[Arc<ParquetMetaData>]) -> Kin {
    let rows = |files: &[Arc<ParquetMetaData>]| files.iter().map(|file| file.file_metadata().num_rows()).sum::<i64>();
    let (a, b) = (rows(older), rows(newer));
    if a <= 0 || b <= 0 || a.max(b) / a.min(b) >= 4 {
        return Kin::Unknown;
    }
    let columns = older.iter().chain(newer).map(|file| file.file_metadata().schema_descr().num_columns()).min();
    let (mut known, mut same) = (0, 0);
    for column in 0..columns.unwrap_or(0) {
        let (Some(a), Some(b)) = (range(older, column), range(newer, column)) else { continue };
        if a.1 < b.0 || b.1 < a.0 {
            return Kin::Parts;
        }
        known += 1;
        same += usize::from(a.0 == b.0);
    }
    if known == 0 {
        Kin::Unknown
    } else if same * 2 >= known {
        Kin::Full
    } else {
        Kin::Parts
    }
}

/// A value that can be compared with one of the same column.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum ColumnBound {
    Integer(i64),
    Number(f64),
    Text(Vec<u8>),
}

fn range(files: &[Arc<ParquetMetaData>], column: usize) -> Option<(ColumnBound, ColumnBound)> {
    let mut all: Option<(ColumnBound, ColumnBound)> = None;
    for group in files.iter().flat_map(|file| file.row_groups()) {
        let (low, high) = bounds(group.columns().get(column)?.statistics()?)?;
        all = Some(match all {
            None => (low, high),
            Some((min, max)) => (if low < min { low } else { min }, if high > max { high } else { max }),
        });
    }
    all
}

fn bounds(statistics: &Statistics) -> Option<(ColumnBound, ColumnBound)> {
    Some(match statistics {
        Statistics::Int32(s) => {
            (ColumnBound::Integer((*s.min_opt()?).into()), ColumnBound::Integer((*s.max_opt()?).into()))
        }
        Statistics::Int64(s) => (ColumnBound::Integer(*s.min_opt()?), ColumnBound::Integer(*s.max_opt()?)),
        Statistics::Float(s) => {
            (ColumnBound::Number((*s.min_opt()?).into()), ColumnBound::Number((*s.max_opt()?).into()))
        }
        Statistics::Double(s) => (ColumnBound::Number(*s.min_opt()?), ColumnBound::Number(*s.max_opt()?)),
        Statistics::ByteArray(s) => {
            (ColumnBound::Text(s.min_opt()?.data().to_vec()), ColumnBound::Text(s.max_opt()?.data().to_vec()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> String {
        date_in(name).map(|date| date.to_string()).unwrap_or_default()
    }

    #[test]
    fn dates_are_found_in_names_and_longer_numbers_are_none() {
        for (name, date) in [
            ("2026-01-31", "2026-01-31 00:00:00"),
            ("orders_20260131", "2026-01-31 00:00:00"),
            ("export-2026_01_31-full", "2026-01-31 00:00:00"),
            ("20260131T050607Z", "2026-01-31 05:06:07"),
            ("20260131050607", "2026-01-31 05:06:07"),
            ("2026-01-31_05-06", "2026-01-31 05:06:00"),
            ("2026-13-31", ""),
            ("202601311", ""),
            ("part-00001", ""),
            ("1234567890123", ""),
            ("orders", ""),
        ] {
            assert_eq!(told(name), date, "{name}");
        }
    }

    #[test]
    fn folders_named_by_a_date_alone_are_dated_and_partitions_are_not() {
        for folder in ["2026-01-31", "20260131", "export_2026-01-31", "snapshot-20260131T050607Z", "2026.01.31"] {
            assert!(is_dated(folder), "{folder}");
        }
        for folder in ["dt=2026-01-31", "orders_2026-01-31", "2026", "01", "orders"] {
            assert!(!is_dated(folder), "{folder}");
        }
        let folder = |path| date_of(path).map(|(_, folder)| folder);
        assert_eq!(folder("a/2026/01/31/orders/1.csv"), Some("a/2026/01/31"));
        assert_eq!(folder("2026/1/31/05/1.csv"), Some("2026/1/31"));
        assert_eq!([folder("2026/01/1.csv"), folder("2026/13/31/1.csv"), folder("26/01/31/1.csv")], [None; 3]);
        assert_eq!(without_date("a/2026/01/31/b"), "a/b");
        assert_eq!([without_date("2026/01/31"), without_date("a/2026-01-31"), without_date("a/b")], ["", "a", "a/b"]);
        assert_eq!(folder("a/2026-01-31/orders/1.csv"), Some("a/2026-01-31"));
        assert_eq!(folder("a/orders_20260131.csv"), Some(""));
        assert_eq!(folder("a/dt=2026-01-31/orders_20260131.csv"), None);
    }

    fn texts(text: String) -> Vec<Text> {
        vec![Text { path: "a".to_owned(), bytes: text.into_bytes(), is_cut: false }]
    }

    #[test]
    fn full_exports_repeat_rows_or_keys_and_parts_do_neither() {
        let rows = |ids: Range<u32>, note: &str| {
            texts(ids.fold("id,n\n".to_owned(), |text, id| format!("{text}{id},{note}{}\n", id * 7)))
        };
        assert_eq!(compare_lines(&rows(0..50, ""), &rows(0..55, "")), Kin::Full);
        assert_eq!(compare_lines(&rows(0..50, "a"), &rows(3..60, "b")), Kin::Full, "every row was changed");
        assert_eq!(compare_lines(&rows(0..50, ""), &rows(50..99, "")), Kin::Parts);
        let states = |text: &str| texts(format!("state\n{}", text.repeat(20)));
        assert_eq!(compare_lines(&states("on\noff\n"), &states("on\noff\n")), Kin::Unknown, "no row is named by it");
    }
}
