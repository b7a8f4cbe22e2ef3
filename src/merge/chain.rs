//! Whether exports go together: one table, one full export, and incremental ones without a hole in time. Pure.
//!
//! ```text
//! full            |F
//! incremental  [------)          begins before F: right, the full export has what is before
//!                  [------)      overlaps: right, the last change counts
//!                           [--) a hole: refused, with both times
//! ```

use chrono::DateTime;

use super::fault::unmergeable;
use crate::error::{ExportFault, Position};
use crate::layout::Location;
use crate::manifest::FileEntry;
use crate::snapshot::exports::dynamodb::{DynamoExport, DynamoScope};

/// One LOCATION and what is there.
#[derive(Debug, Clone)]
pub(super) struct PlacedExport {
    pub(super) location: Location,
    pub(super) at: Position,
    pub(super) export: DynamoExport,
}

/// A time as the export writes it and in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExportTime {
    pub(super) text: String,
    pub(super) micros: i64,
}

/// An incremental export.
#[derive(Debug, Clone)]
pub(super) struct ChainLink {
    pub(super) location: Location,
    pub(super) at: Position,
    pub(super) md5: String,
    /// Not after the end of those before it.
    pub(super) from: ExportTime,
    /// Not included.
    pub(super) to: ExportTime,
    /// Whether it ends before the full export, which has all of it.
    pub(super) is_known: bool,
    pub(super) files: Vec<FileEntry>,
}

/// Exports that go together.
#[derive(Debug, Clone)]
pub(super) struct ExportChain {
    /// The name of the table, as AWS writes it.
    pub(super) arn: String,
    pub(super) full: PlacedExport,
    pub(super) full_time: ExportTime,
    /// In the order of time.
    pub(super) links: Vec<ChainLink>,
    /// The end of the last one.
    pub(super) end: ExportTime,
}

/// A fault, and the index of the export it is about.
pub(super) type Misplaced = (usize, ExportFault);

/// Orders the exports, if they go together.
///
/// # Errors
/// What does not, with the index of the export.
pub(super) fn chain(exports: Vec<PlacedExport>) -> Result<ExportChain, Box<Misplaced>> {
    const ONE_TABLE: &str = "name exports of one table in LOCATION";
    let wrong = |index: usize, reason: String, help| Box::new((index, unmergeable(reason, help)));
    let first = &exports[0].export;
    for (index, PlacedExport { export, .. }) in exports.iter().enumerate() {
        if export.arn != first.arn || export.arn.is_empty() {
            let reason = format!("it is of the table {:?}, another export of {:?}", export.arn, first.arn);
            return Err(wrong(index, reason, ONE_TABLE));
        }
        if let (Some(one), Some(other)) = (&export.table_id, &first.table_id)
            && one != other
        {
            let reason = format!("its table has the id {one}, that of another export {other}: it was made anew");
            return Err(wrong(index, reason, ONE_TABLE));
        }
    }
    let is_full = |index: &usize| matches!(exports[*index].export.scope, DynamoScope::Full { .. });
    let fulls: Vec<usize> = (0..exports.len()).filter(is_full).collect();
    let full = match *fulls {
        [one] => one,
        [] => {
            let help = "name the full export that they follow, too; an incremental one alone needs a table of its own";
            return Err(wrong(0, "no export is a full one".to_owned(), help));
        }
        [first, second, ..] => {
            let reason = format!("it is a full export, as is {}", exports[first].location);
            return Err(wrong(second, reason, "name one full export, and the incremental ones after it"));
        }
    };
    let DynamoScope::Full { time: full_time } = &exports[full].export.scope else {
        return Err(wrong(full, "no export is a full one".to_owned(), ONE_TABLE));
    };
    let full_time = time("exportTime", full_time.as_deref()).map_err(|fault| Box::new((full, fault)))?;
    let mut links: Vec<(usize, ChainLink)> = Vec::with_capacity(exports.len());
    let mut of_full = None;
    for (index, placed) in exports.into_iter().enumerate() {
        let (from, to) = match &placed.export.scope {
            DynamoScope::Full { .. } => {
                of_full = Some(placed);
                continue;
            }
            DynamoScope::Incremental { from, to, view } => {
                let known = ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"];
                if let Some(view) = view.as_ref().filter(|view| !known.contains(&view.as_str())) {
                    let help = "export again with the view type NEW_IMAGE or NEW_AND_OLD_IMAGES";
                    let what = format!("the view type {view}");
                    return Err(Box::new((index, ExportFault::Unread { what, help })));
                }
                let misplaced = |fault| Box::new((index, fault));
                let from = time("exportFromTime", from.as_deref()).map_err(misplaced)?;
                let to = time("exportToTime", to.as_deref()).map_err(misplaced)?;
                (from, to)
            }
        };
        if from.micros >= to.micros {
            let reason = format!("its exportFromTime {} is not before its exportToTime {}", from.text, to.text);
            return Err(wrong(index, reason, "export again"));
        }
        let PlacedExport { location, at, export } = placed;
        let is_known = to.micros <= full_time.micros;
        let link = ChainLink { location, at, md5: export.md5, from, to, is_known, files: export.files };
        links.push((index, link));
    }
    links.sort_by_key(|(index, link)| (link.from.micros, link.to.micros, *index));
    let mut end = full_time.clone();
    for (index, link) in &links {
        if link.from.micros > end.micros {
            let reason = format!(
                "it begins at {}, but those before it end at {}: changes between the two are missing",
                link.from.text, end.text
            );
            return Err(wrong(*index, reason, "name the incremental export of that time in LOCATION, too"));
        }
        if link.to.micros > end.micros {
            end = link.to.clone();
        }
    }
    let Some(full) = of_full else { return Err(wrong(full, "no export is a full one".to_owned(), ONE_TABLE)) };
    let links = links.into_iter().map(|(_, link)| link).collect();
    Ok(ExportChain { arn: full.export.arn.clone(), full, full_time, links, end })
}

/// A time of a manifest.
fn time(name: &str, text: Option<&str>) -> Result<ExportTime, ExportFault> {
    let read = text.and_then(|text| Some((text, DateTime::parse_from_rfc3339(text).ok()?)));
    let Some((text, time)) = read else {
        let reason = format!("its {name} is {}, which is no time", text.unwrap_or("missing"));
        return Err(ExportFault::Metadata { file: "manifest-summary.json".to_owned(), reason });
    };
    Ok(ExportTime { text: text.to_owned(), micros: time.timestamp_micros() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(name: &str, scope: DynamoScope) -> PlacedExport {
        PlacedExport {
            location: Location::parse(name, std::path::Path::new("/in")).unwrap(),
            at: Position { file: "a.sql".into(), line: 1, column: 1 },
            export: DynamoExport {
                arn: "arn:aws:dynamodb:eu-west-1:1:table/users".to_owned(),
                table_id: Some("1".to_owned()),
                scope,
                md5: String::new(),
                files: Vec::new(),
                notes: Vec::new(),
            },
        }
    }

    fn hour(hour: u32) -> Option<String> {
        Some(format!("2026-01-01T{hour:02}:00:00.000Z"))
    }

    fn full(of: u32) -> PlacedExport {
        placed("full", DynamoScope::Full { time: hour(of) })
    }

    fn part(from: u32, to: u32) -> PlacedExport {
        let scope = DynamoScope::Incremental { from: hour(from), to: hour(to), view: Some("NEW_IMAGE".to_owned()) };
        placed(&format!("from{from}"), scope)
    }

    fn reason(exports: Vec<PlacedExport>) -> (usize, String) {
        let (index, fault) = *chain(exports).unwrap_err();
        (index, fault.to_string())
    }

    #[test]
    fn any_order_of_exports_that_touch_or_overlap_is_a_chain() {
        for exports in [
            vec![full(2), part(2, 4), part(4, 6)],
            vec![part(4, 6), full(2), part(1, 5)],
            vec![part(5, 6), part(2, 6), full(3)],
            // One that ends before the full export is no part of it, and makes no hole.
            vec![part(0, 1), part(2, 6), full(2)],
        ] {
            let chain = chain(exports).unwrap();
            assert_eq!(Some(chain.end.text), hour(6));
            assert!(chain.links.is_sorted_by_key(|link| link.from.micros));
            assert!(chain.links.iter().all(|link| link.is_known == (link.to.micros <= chain.full_time.micros)));
        }
        assert_eq!(Some(chain(vec![full(2)]).unwrap().end.text), hour(2));
    }

    #[test]
    fn a_hole_names_both_times() {
        let (index, reason) = reason(vec![part(5, 6), full(2), part(2, 4)]);
        assert_eq!(index, 0);
        assert!(reason.contains("2026-01-01T05:00:00.000Z") && reason.contains("2026-01-01T04:00:00.000Z"), "{reason}");
        let (index, reason) = self::reason(vec![full(2), part(3, 4)]);
        assert_eq!(index, 1);
        assert!(reason.contains("T03:00:00.000Z") && reason.contains("T02:00:00.000Z"), "{reason}");
    }

    #[test]
    fn what_is_no_chain_is_refused_at_its_export() {
        assert_eq!(reason(vec![full(1), part(1, 2), full(3)]).0, 2);
        assert!(reason(vec![part(1, 2), part(2, 3)]).1.contains("no export is a full one"));
        let mut other = part(1, 2);
        other.export.arn += "2";
        assert!(reason(vec![full(1), other]).1.contains("table/users2"));
        let mut anew = part(1, 2);
        anew.export.table_id = Some("2".to_owned());
        assert!(reason(vec![full(1), anew]).1.contains("made anew"));
        assert!(reason(vec![full(1), part(2, 2)]).1.contains("not before"));
        let old = placed("full", DynamoScope::Full { time: None });
        assert!(reason(vec![old, part(1, 2)]).1.contains("exportTime is missing"));
        let keys = DynamoScope::Incremental { from: hour(1), to: hour(2), view: Some("KEYS_ONLY".to_owned()) };
        assert!(reason(vec![full(1), placed("x", keys)]).1.contains("KEYS_ONLY"));
    }
}
