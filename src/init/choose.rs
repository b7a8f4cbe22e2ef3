//! Among exports of several dates, the newest: the others would give each row once more.
//!
//! Of each table that has files of several dates, a small part of the two newest is read and compared ([`compare`]).
//! Where the newest repeats the one before, it is used, and all earlier ones are left out; otherwise all are parts of
//! one table. If the rows do not show it, the other tables of the same dated folders decide, if they agree.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use indicatif::{HumanBytes, HumanCount};

use crate::error::Result;
use crate::init::survey::dated::{Kin, are_alike, compare, family};
use crate::init::survey::dates::date_in_folders;
use crate::init::survey::read::Read;
use crate::init::survey::sample::{SampleSource, sample};
use crate::init::survey::tally::{Group, Key, Tally};

/// Bytes that are read of each of the two groups that are compared.
const LOOK: u64 = 1 << 20;

/// Files of one table of several dates.
struct DatedFiles {
    /// By date, the newest last.
    keys: Vec<Key>,
    kin: Kin,
}

/// Marks older exports in `tally`, and merges parts. Gives the date of what is taken, and notes for the tables of keys.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub(crate) async fn choose(
    source: &SampleSource,
    tally: &mut Tally,
    read: &mut Read,
) -> Result<(Option<NaiveDateTime>, BTreeMap<Key, String>)> {
    let mut families: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
    for (key, group) in &tally.groups {
        if key.date.is_some() && group.files > 0 {
            families.entry(family(key)).or_default().push(key.clone());
        }
    }
    let mut all = Vec::new();
    for mut keys in families.into_values() {
        keys.sort_by(|a, b| a.date.cmp(&b.date).then_with(|| a.cmp(b)));
        let kin = match &keys[..] {
            [.., older, newer] if older.date < newer.date => look(source, tally, older, newer, read).await?,
            _ => Kin::Parts,
        };
        all.push(DatedFiles { keys, kin });
    }
    let newest = settle(&mut all);
    let mut notes = BTreeMap::new();
    for dates in &all {
        let (Some(last), kin) = (dates.keys.last(), dates.kin) else { continue };
        if kin == Kin::Full {
            notes.insert(last.clone(), leave_out(tally, &dates.keys));
        } else if let Some(newest) = newest.filter(|newest| dates.is_gone(*newest, &all)) {
            let reason = format!("only in an export before that of {}, which is taken", newest.date());
            dates.keys.iter().for_each(|key| set_aside(tally, key, &reason));
        } else {
            // Dates in the middle of a path part tables from each other.
            dates.keys.iter().for_each(|key| tally.merge_dates(&key.undated()));
            let undated = last.undated();
            if dates.keys.len() > 1 && dates.keys.iter().all(|key| key.undated() == undated) {
                notes.insert(undated, parts_note(&dates.keys, kin));
            }
        }
    }
    Ok((newest, notes))
}

impl DatedFiles {
    /// The folder in which the dated folders of this table and of those beside it are.
    fn above(&self) -> Option<String> {
        let key = self.keys.last()?;
        let (_, part) = date_in_folders(&key.folder)?;
        Some(key.folder[..part.start].trim_end_matches('/').to_owned())
    }

    /// Whether the table is in older exports only: a later export of the tables beside it is used.
    fn is_gone(&self, newest: NaiveDateTime, all: &[Self]) -> bool {
        let is_older = self.keys.last().is_some_and(|key| key.date < Some(newest));
        let is_beside =
            |other: &Self| other.kin == Kin::Full && other.above().is_some() && other.above() == self.above();
        self.kin != Kin::Full && self.keys.len() == 1 && is_older && all.iter().any(is_beside)
    }
}

async fn look(source: &SampleSource, tally: &Tally, older: &Key, newer: &Key, read: &mut Read) -> Result<Kin> {
    let (Some(older), Some(newer)) = (tally.groups.get(older), tally.groups.get(newer)) else {
        return Ok(Kin::Unknown);
    };
    if !are_alike(older, newer) {
        return Ok(Kin::Unknown);
    }
    let (a, b) = (sample(source, older, LOOK).await?, sample(source, newer, LOOK).await?);
    read.add(a.read);
    read.add(b.read);
    Ok(compare(&a.what, &b.what))
}

/// Lets the tables of the same folders decide where the rows do not show it. Returns the newest date that is used.
fn settle(all: &mut [DatedFiles]) -> Option<NaiveDateTime> {
    // A dated folder holds the export of all of its tables; a dated name is that of one table.
    let mut kins: BTreeMap<String, Vec<Kin>> = BTreeMap::new();
    for dates in all.iter().filter(|dates| dates.keys.len() > 1) {
        if let Some(above) = dates.above() {
            kins.entry(above).or_default().push(dates.kin);
        }
    }
    for dates in all.iter_mut().filter(|dates| dates.keys.len() > 1 && dates.kin == Kin::Unknown) {
        let beside = dates.above().and_then(|above| kins.get(&above));
        if beside.is_some_and(|kins| kins.contains(&Kin::Full) && !kins.contains(&Kin::Parts)) {
            dates.kin = Kin::Full;
        }
    }
    all.iter().filter(|dates| dates.kin == Kin::Full).filter_map(|dates| dates.keys.last()?.date).max()
}

/// Leaves out all but the newest; what the config says of it.
fn leave_out(tally: &mut Tally, keys: &[Key]) -> String {
    let day = |key: &Key| key.date.map(|date| date.date().to_string()).unwrap_or_default();
    let Some((last, older)) = keys.split_last() else { return String::new() };
    let mut left = Vec::new();
    for key in older {
        let reason = format!(
            "an export of {}, before that of {}, which is taken; name its folder or file to init for it, or as \
             LOCATION",
            day(key),
            day(last)
        );
        set_aside(tally, key, &reason);
        if let Some(group) = tally.groups.get(key) {
            left.push(format!("{} ({})", first(group), HumanBytes(group.bytes)));
        }
    }
    let few = left.iter().rev().take(3).cloned().collect::<Vec<_>>().join(", ");
    let more = left.len().saturating_sub(3);
    let more = if more > 0 { format!(" and {} more", HumanCount(more as u64)) } else { String::new() };
    format!(
        "Full exports of {} dates: this is the newest, of {}. Left out: {few}{more}. For another one change LOCATION \
         and snaplake.snapshot_time; a LOCATION with all of them gives each row once per export.",
        HumanCount(keys.len() as u64),
        day(last)
    )
}

/// Files that are no table's, but are still there for a LOCATION to avoid.
fn set_aside(tally: &mut Tally, key: &Key, reason: &str) {
    if let Some(group) = tally.groups.get(key) {
        let (files, bytes, example) = (group.files, group.bytes, first(group));
        tally.ignore_all(reason, files, bytes, &example);
        tally.older.insert(key.clone());
    }
}

fn parts_note(keys: &[Key], kin: Kin) -> String {
    let count = HumanCount(keys.len() as u64);
    let why = if kin == Kin::Parts { "their rows differ" } else { "their rows do not show which" };
    format!(
        "Files of {count} dates, taken as parts of one table: {why}. If each is a full export, name one as LOCATION."
    )
}

fn first(group: &Group) -> String {
    group.sample().first().map(|file| file.path.clone()).unwrap_or_default()
}
