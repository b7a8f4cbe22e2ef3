//! One bucket: the last change of each key, and the items that have none.
//!
//! ```text
//! changes   a map of the last change of each key: the greatest WriteTimestampMicros
//! items     no change of the key: given out; otherwise replaced or deleted
//! changes   once more: the image of each last put is given out
//! ```
//!
//! Two last changes with one time and other images are an error; the order of attributes and of a set's elements, and
//! the spelling of numbers, is no difference. An error, too, is an item that the full export has twice. A last change
//! that an export from before the full one has is in the full one already, and is not applied.
//!
//! Memory: one entry of the map per key. A bucket with more records than that allows is split by more of the digest.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;
use twox_hash::XxHash64;

use super::fault::{CONTRADICTION, scratch};
use super::key::{KeyDigest, add_number};
use super::spill::{Buckets, Filling, MOST_LEVELS, SpillBucket, SpillKind, SpillRecord};
use crate::error::{Error, ExportFault};
use crate::snapshot::exports::merged_manifest::MergedCounts;

/// Bytes that a key takes in the map while it grows, with all that belongs to it.
pub(super) const KEY_BYTES: u64 = 256;

/// Bytes of the buffers while a bucket is split.
const SPLIT_BUFFERS: usize = 8 << 20;

/// Why a bucket cannot be merged.
#[derive(Debug)]
pub(super) enum FoldFault {
    /// The local disk.
    Scratch(std::io::Error),
    /// The exports contradict each other.
    Contradiction(ExportFault),
    /// Nobody takes what is given out.
    Sink(Error),
}

impl From<std::io::Error> for FoldFault {
    fn from(error: std::io::Error) -> Self {
        Self::Scratch(error)
    }
}

impl From<Error> for FoldFault {
    fn from(error: Error) -> Self {
        Self::Sink(error)
    }
}

/// Takes the items of the table, as parts of their lines.
pub(super) trait ItemSink {
    fn item(&mut self, parts: [&[u8]; 3]) -> Result<(), Error>;
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    written: i64,
    /// Number of the change in the bucket.
    number: u64,
    /// Hash of its image.
    image: u64,
    is_put: bool,
    /// Whether another change has the same time and other bytes.
    is_tied: bool,
    /// Whether the full export has it already.
    is_known: bool,
    /// Whether the full export has the key.
    seen: bool,
}

/// What is needed to merge buckets.
#[derive(Debug, Clone)]
pub(super) struct Folding {
    /// Records of a bucket that is not split.
    pub(super) most: u64,
    /// Names of the incremental exports, and whether each ends before the full one.
    pub(super) exports: Vec<(String, bool)>,
}

impl Folding {
    /// Merges a bucket of a level.
    pub(super) fn fold(
        &self,
        bucket: &SpillBucket,
        level: usize,
        out: &mut impl ItemSink,
        counts: &mut MergedCounts,
    ) -> Result<(), FoldFault> {
        let records = bucket.changes.records() + bucket.items.records();
        if records <= self.most || level >= MOST_LEVELS {
            return self.fold_whole(bucket, out, counts);
        }
        let parts = Buckets::new(records, self.most, level + 1)?;
        for (kind, file) in [(SpillKind::Changes, &bucket.changes), (SpillKind::Items, &bucket.items)] {
            let mut filling = Filling::new(&parts, kind, SPLIT_BUFFERS);
            file.read(|record| filling.push(&record))?;
            filling.finish()?;
        }
        parts.all.iter().try_for_each(|part| self.fold(part, level + 1, out, counts))
    }

    fn fold_whole(
        &self,
        bucket: &SpillBucket,
        out: &mut impl ItemSink,
        counts: &mut MergedCounts,
    ) -> Result<(), FoldFault> {
        let mut keys = self.last_changes(bucket, counts)?;
        if keys.values().any(|last| last.is_tied) {
            self.check_ties(bucket, &keys)?;
        }
        bucket.items.read(|item| {
            counts.items += 1;
            let line = item.image.unwrap_or_default();
            let goes = match keys.entry(item.digest) {
                Entry::Vacant(free) => {
                    // No change has the number 0.
                    free.insert(Last { seen: true, ..Last::default() });
                    false
                }
                Entry::Occupied(mut key) => {
                    let key = key.get_mut();
                    if std::mem::replace(&mut key.seen, true) {
                        let item = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]).into_owned();
                        let reason = format!("the full export has two items of one key, one of them {item}");
                        return Err(contradiction(reason));
                    }
                    !key.is_known
                }
            };
            if goes {
                return Ok(());
            }
            counts.rows += 1;
            Ok(out.item([line, b"", b""])?)
        })?;
        let mut number = 0;
        bucket.changes.read(|change| {
            number += 1;
            let Some(last) = keys.get(&change.digest).filter(|last| last.number == number) else { return Ok(()) };
            match (last.is_known, change.image, last.seen) {
                (true, ..) => counts.known += 1,
                (false, None, true) => counts.deleted += 1,
                (false, None, false) => counts.deleted_before += 1,
                (false, Some(image), seen) => {
                    *if seen { &mut counts.replaced } else { &mut counts.added } += 1;
                    counts.rows += 1;
                    out.item([b"{\"Item\":", image, b"}"])?;
                }
            }
            Ok(())
        })
    }

    /// The last change of each key.
    fn last_changes(
        &self,
        bucket: &SpillBucket,
        counts: &mut MergedCounts,
    ) -> Result<HashMap<KeyDigest, Last>, FoldFault> {
        let mut keys: HashMap<KeyDigest, Last> = HashMap::new();
        let mut number = 0;
        bucket.changes.read(|change| -> Result<(), FoldFault> {
            number += 1;
            counts.changes += 1;
            let mut found = Last {
                written: change.written,
                number,
                image: change.image.map_or(0, |image| XxHash64::oneshot(0, image)),
                is_put: change.image.is_some(),
                is_tied: false,
                is_known: self.is_known(&change),
                seen: false,
            };
            match keys.entry(change.digest) {
                Entry::Vacant(free) => {
                    free.insert(found);
                }
                Entry::Occupied(mut key) => {
                    counts.superseded += 1;
                    let last = key.get_mut();
                    if found.written == last.written {
                        let differs = (found.image, found.is_put) != (last.image, last.is_put);
                        last.is_tied |= differs;
                        // One change in two exports: one of them is to be applied, if not both.
                        found.is_tied = last.is_tied;
                        if last.is_known && !found.is_known {
                            *last = found;
                        }
                    } else if found.written > last.written {
                        *last = found;
                    }
                }
            }
            Ok(())
        })?;
        Ok(keys)
    }

    fn is_known(&self, change: &SpillRecord<'_>) -> bool {
        self.exports.get(usize::from(change.export)).is_some_and(|(_, is_known)| *is_known)
    }

    /// Changes of one key with one time are one change, if they decide.
    fn check_ties(&self, bucket: &SpillBucket, keys: &HashMap<KeyDigest, Last>) -> Result<(), FoldFault> {
        let mut images: HashMap<KeyDigest, (u16, Option<Value>)> = HashMap::new();
        bucket.changes.read(|change| {
            let is_tied = keys.get(&change.digest).is_some_and(|last| last.is_tied && last.written == change.written);
            if !is_tied {
                return Ok(());
            }
            let image = change.image.and_then(canonical);
            match images.entry(change.digest) {
                Entry::Vacant(free) => {
                    free.insert((change.export, image));
                    Ok(())
                }
                Entry::Occupied(other) if other.get().1 == image => Ok(()),
                Entry::Occupied(other) => {
                    let name = |export: u16| {
                        self.exports.get(usize::from(export)).map(|(name, _)| name.as_str()).unwrap_or_default()
                    };
                    let key = String::from_utf8_lossy(&change.keys[..change.keys.len().min(SHOWN)]).into_owned();
                    let (one, other) = (name(other.get().0), name(change.export));
                    let places = if one == other { format!("twice in {one}") } else { format!("in {one} and {other}") };
                    let reason = format!(
                        "the key {key} has two different changes of the time {} in microseconds, {places}",
                        change.written
                    );
                    Err(contradiction(reason))
                }
            }
        })
    }
}

/// Bytes of a record that an error shows.
const SHOWN: usize = 300;

fn contradiction(reason: String) -> FoldFault {
    FoldFault::Contradiction(ExportFault::Unmergeable { reason, help: CONTRADICTION })
}

/// An image so that equal ones are equal: numbers by their value, sets sorted.
fn canonical(image: &[u8]) -> Option<Value> {
    let mut image: Value = serde_json::from_slice(image).ok()?;
    image.as_object_mut()?.values_mut().for_each(level);
    image.sort_all_objects();
    Some(image)
}

/// Levels one typed value.
fn level(value: &mut Value) {
    let number = |value: &mut Value| {
        let mut bytes = Vec::new();
        if value.as_str().is_some_and(|text| add_number(text, &mut bytes)) {
            *value = bytes.into_iter().map(Value::from).collect();
        }
    };
    let Some((tag, value)) = value.as_object_mut().and_then(|typed| typed.iter_mut().next()) else { return };
    match (tag.as_str(), value) {
        ("N", value) => number(value),
        ("M", Value::Object(members)) => members.values_mut().for_each(level),
        ("L", Value::Array(elements)) => elements.iter_mut().for_each(level),
        ("SS" | "BS" | "NS", Value::Array(elements)) => {
            if tag == "NS" {
                elements.iter_mut().for_each(number);
            }
            elements.sort_by_key(Value::to_string);
        }
        _ => {}
    }
}

/// A fault of a bucket, of the table.
pub(super) fn of_table(fault: FoldFault, contradiction: impl FnOnce(ExportFault) -> Error) -> Error {
    match fault {
        FoldFault::Scratch(source) => scratch("read or write", source),
        FoldFault::Contradiction(fault) => contradiction(fault),
        FoldFault::Sink(error) => error,
    }
}
