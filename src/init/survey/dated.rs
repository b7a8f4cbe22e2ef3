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
use std::sync::Arc;

use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::statistics::Statistics;

use super::dates::without_date;
use super::sample::{Sampled, SampledText};
use super::tally::{Group, Key};

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
fn lines(texts: &[SampledText]) -> Vec<&[u8]> {
    let first = texts.iter().find_map(|text| of_text(text).next());
    texts.iter().flat_map(of_text).filter(|line| Some(*line) != first).take(LINES).collect()
}

/// The lines of a text, without the last one if it is cut.
fn of_text(text: &SampledText) -> impl Iterator<Item = &[u8]> {
    let end = if text.is_cut { text.bytes.iter().rposition(|b| *b == b'\n').unwrap_or(0) } else { text.bytes.len() };
    text.bytes[..end].split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty())
}

fn compare_lines(older: &[SampledText], newer: &[SampledText]) -> Kin {
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
    use std::ops::Range;

    use super::*;

    fn texts(text: String) -> Vec<SampledText> {
        vec![SampledText { path: "a".to_owned(), bytes: text.into_bytes(), is_cut: false }]
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
