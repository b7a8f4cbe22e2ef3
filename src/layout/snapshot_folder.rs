//! The folder of a snapshot: its name is made from the snapshot's time, and the time can be read back from the name.
//!
//! ```text
//! default                        snapshot=2021-01-01T08:30:00Z
//! 'snapshot=%Y%m%dT%H%M%SZ'      snapshot=20210101T083000Z      no colon, which Windows and Hadoop's globs do not take
//! ```
//!
//! A form that gives two times one name is refused: their lakes would share a folder. Times are UTC.

use std::fmt::Write as _;

use chrono::format::StrftimeItems;
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};

/// What the default form puts before the time.
const PREFIX: &str = "snapshot=";

/// The longest name that all file systems take, bytes.
const LONGEST: usize = 255;

/// Names the folders of snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotFolder {
    /// In `strftime` letters; `None` for the default.
    form: Option<String>,
}

impl SnapshotFolder {
    /// A form in the letters of `strftime`; `None` if it does not name `time` as one folder, or not to its last digit.
    #[must_use]
    pub fn parse(form: &str, time: DateTime<Utc>) -> Option<Self> {
        let folder = Self { form: Some(form.to_owned()) };
        let mut name = String::new();
        if StrftimeItems::new(form).any(|item| matches!(item, chrono::format::Item::Error)) {
            return None;
        }
        write!(name, "{}", time.format(form)).ok()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "=-_.:+, ".contains(c);
        let is_hidden = name.starts_with(['.', '_', ' ']) || name.ends_with([' ', '.']);
        let is_name = !is_hidden && name.len() <= LONGEST && name.chars().all(is_plain);
        // A form without seconds would do for a full minute, and not for the next snapshot.
        let reads_back = |time: DateTime<Utc>| {
            let text = snapshot_time(time)?;
            (folder.time(&time.format(form).to_string())? == text).then_some(())
        };
        let is_whole = reads_back(time).is_some() && reads_back(time + TimeDelta::seconds(1)).is_some();
        (is_name && is_whole).then_some(folder)
    }

    /// The form, if it is not the default.
    #[must_use]
    pub fn form(&self) -> Option<&str> {
        self.form.as_deref()
    }

    /// The folder of the snapshot of this time, which is written as [`snapshot_time`] writes it.
    #[must_use]
    pub fn name(&self, time: &str) -> String {
        match (&self.form, time.parse::<DateTime<Utc>>()) {
            (Some(form), Ok(time)) => time.format(form).to_string(),
            _ => format!("{PREFIX}{time}"),
        }
    }

    /// The time that a folder's name says, as [`snapshot_time`] writes it; `None` for other folders.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<String> {
        let time = match &self.form {
            None => name.strip_prefix(PREFIX)?.parse().ok()?,
            Some(form) => NaiveDateTime::parse_from_str(name, form).ok()?.and_utc(),
        };
        snapshot_time(time)
    }
}

/// RFC 3339 in UTC, with `Z`, and a fraction only when it is not zero; `None` for leap seconds and years of five
/// digits, which do not read back as themselves.
#[must_use]
pub fn snapshot_time(time: DateTime<Utc>) -> Option<String> {
    if time.nanosecond() >= 1_000_000_000 || !(0..=9999).contains(&time.year()) {
        return None;
    }
    let seconds = time.format("%Y-%m-%dT%H:%M:%S");
    let fraction = format!(".{:09}", time.nanosecond());
    Some(format!("{seconds}{}Z", fraction.trim_end_matches('0').trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIME: &str = "2021-01-01T08:30:00Z";

    fn parse(form: &str, time: &str) -> Option<SnapshotFolder> {
        SnapshotFolder::parse(form, time.parse().unwrap())
    }

    #[test]
    fn default_has_the_time_as_people_write_it() {
        let folder = SnapshotFolder::default();
        assert_eq!(folder.name(TIME), "snapshot=2021-01-01T08:30:00Z");
        assert_eq!(folder.name("2021-01-01T08:30:00.5Z"), "snapshot=2021-01-01T08:30:00.5Z");
        assert_eq!(folder.time("snapshot=2021-01-01T08:30:00Z").as_deref(), Some(TIME));
        for other in ["snapshot=1", "2021-01-01T08:30:00Z", "snapshot=2021-01-01T08%3A30%3A00Z", ""] {
            assert_eq!(folder.time(other), None, "{other}");
        }
    }

    #[test]
    fn forms_name_one_folder_and_can_be_read_back() {
        for (form, name) in [
            ("snapshot=%Y%m%dT%H%M%SZ", "snapshot=20210101T083000Z"),
            ("dt=%Y-%m-%d %H.%M.%S", "dt=2021-01-01 08.30.00"),
            ("%FT%T", "2021-01-01T08:30:00"),
        ] {
            let folder = parse(form, TIME).unwrap_or_else(|| panic!("{form} is refused"));
            assert_eq!(folder.name(TIME), name);
            assert_eq!(folder.time(name).as_deref(), Some(TIME));
        }
        assert!(parse("%Y%m%dT%H%M%S", "2021-01-01T08:30:00.5Z").is_none(), "the fraction would be lost");
        assert!(parse("%Y%m%dT%H%M%S%.f", "2021-01-01T08:30:00.5Z").is_some());
    }

    #[test]
    fn forms_that_name_no_folder_or_several_times_are_refused() {
        let long = "x".repeat(250);
        for form in
            ["", "snapshot", "%Y-%m-%d", "%Y%m%dT%H%M", "%Y/%m/%dT%H%M%S", "../%FT%T", "%Q%FT%T", ".%FT%T", "_%FT%T"]
        {
            assert!(parse(form, TIME).is_none(), "{form}");
        }
        for form in [format!("{long}%FT%T"), "a%%b%FT%T".to_owned(), "%FT%T\n".to_owned(), "é%FT%T".to_owned()] {
            assert!(parse(&form, TIME).is_none(), "{form}");
        }
    }

    proptest! {
        #[test]
        fn name_of_any_time_reads_back(seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let time = DateTime::from_timestamp(seconds, nanos).unwrap();
            let text = snapshot_time(time).unwrap();
            let folder = SnapshotFolder::default();
            prop_assert_eq!(folder.time(&folder.name(&text)), Some(text.clone()));
            if let Some(folder) = SnapshotFolder::parse("s=%Y%m%dT%H%M%S%.fZ", time) {
                prop_assert_eq!(folder.time(&folder.name(&text)), Some(text));
            }
        }
    }
}
