//! Dates in the names of files and folders. Pure.

use std::ops::{Range, RangeInclusive};

use chrono::{NaiveDate, NaiveDateTime};

use crate::init::names::{GENERIC, partition_key, split_ending};
use crate::layout::below;

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

/// The first date that folders are named by, and where it is: in one name, or as `2026/01/31`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(name: &str) -> String {
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
            assert_eq!(reported(name), date, "{name}");
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
}
