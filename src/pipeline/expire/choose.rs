//! Which of a table's snapshots a rule drops. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Which snapshots are to be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpireRule {
    /// That of this time, RFC 3339 in UTC.
    Named(String),
    /// All that are older than so many complete ones.
    Keep(usize),
    /// All whose time is longer ago than this.
    OlderThan(Duration),
}

/// A snapshot, as a rule sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownSnapshot {
    /// As its folder has it.
    pub(super) time: String,
    pub(super) taken_at: DateTime<Utc>,
    /// Whether its lake is published and proven.
    pub(super) is_complete: bool,
}

/// The snapshots that are dropped, of all of a table, the oldest first.
///
/// # Errors
/// The snapshot that was named, if it is the newest complete one.
pub(super) fn choose<'a>(
    rule: &ExpireRule,
    all: &'a [KnownSnapshot],
    now: DateTime<Utc>,
) -> Result<Vec<&'a KnownSnapshot>, &'a KnownSnapshot> {
    let complete = || (0..all.len()).rev().filter(|&at| all[at].is_complete);
    let older_than = |kept: Option<usize>| all[..kept.unwrap_or(0)].iter();
    match rule {
        ExpireRule::Named(time) => match all.iter().position(|one| one.time == *time) {
            Some(at) if complete().next() == Some(at) => Err(&all[at]),
            at => Ok(at.map(|at| &all[at]).into_iter().collect()),
        },
        ExpireRule::Keep(count) => Ok(older_than(complete().nth(count.saturating_sub(1))).collect()),
        ExpireRule::OlderThan(age) => {
            let limit = TimeDelta::from_std(*age).ok().and_then(|age| now.checked_sub_signed(age));
            let is_old = |one: &&KnownSnapshot| limit.is_some_and(|limit| one.taken_at < limit);
            Ok(older_than(complete().next()).filter(is_old).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(day: u32) -> DateTime<Utc> {
        format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()
    }

    /// One a day, from the first of January on.
    fn snapshots(complete: &[bool]) -> Vec<KnownSnapshot> {
        let one = |(day, &is_complete): (u32, &bool)| {
            let taken_at = self::day(day);
            KnownSnapshot { time: taken_at.to_rfc3339(), taken_at, is_complete }
        };
        (1..).zip(complete).map(one).collect()
    }

    fn days(chosen: &[&KnownSnapshot]) -> Vec<u32> {
        chosen.iter().map(|one| one.time[8..10].parse().unwrap()).collect()
    }

    #[test]
    fn only_complete_snapshots_count_as_kept_and_those_after_them_are_kept_too() {
        let all = snapshots(&[true, false, true, false, true, false]);
        let keep = |count| days(&choose(&ExpireRule::Keep(count), &all, day(7)).unwrap());
        assert_eq!(
            [keep(0), keep(1), keep(2), keep(3), keep(4)],
            [vec![1, 2, 3, 4], vec![1, 2, 3, 4], vec![1, 2], vec![], vec![]]
        );
        let older = |days_ago: u64| {
            let rule = ExpireRule::OlderThan(Duration::from_secs(days_ago * 86_400));
            days(&choose(&rule, &all, day(7)).unwrap())
        };
        assert_eq!([older(0), older(4), older(5), older(100)], [vec![1, 2, 3, 4], vec![1, 2], vec![1], vec![]]);
    }

    #[test]
    fn without_a_complete_snapshot_nothing_expires() {
        let all = snapshots(&[false, false]);
        for rule in [ExpireRule::Keep(1), ExpireRule::OlderThan(Duration::ZERO)] {
            assert_eq!(choose(&rule, &all, day(9)), Ok(vec![]));
        }
        assert_eq!(days(&choose(&ExpireRule::Named(all[1].time.clone()), &all, day(9)).unwrap()), [2]);
    }

    proptest! {
        #[test]
        fn newest_complete_snapshot_is_never_chosen(
            complete in prop::collection::vec(any::<bool>(), 0..9),
            rule in prop_oneof![
                (0..12_usize).prop_map(ExpireRule::Keep),
                (0..12_u64).prop_map(|days| ExpireRule::OlderThan(Duration::from_secs(days * 86_400))),
                (1..10_u32).prop_map(|at| ExpireRule::Named(day(at).to_rfc3339())),
            ],
        ) {
            let all = snapshots(&complete);
            let newest = all.iter().rfind(|one| one.is_complete);
            match choose(&rule, &all, day(12)) {
                Ok(chosen) => prop_assert!(chosen.iter().all(|one| Some(*one) != newest)),
                Err(refused) => prop_assert_eq!(Some(refused), newest),
            }
        }
    }
}
