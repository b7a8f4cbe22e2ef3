//! Dates and times in any spelling that is read, exact or refused with the reason.
//!
//! The spellings are those of arrow's parsers, which drop what a type cannot hold: digits beyond a nanosecond, a leap
//! second, the time of a date, an offset. Here these are reasons to refuse a value. A zero offset is not: in a column
//! without zone `2013-01-31 05:00:00Z` is `2013-01-31 05:00:00`.

use chrono::{DateTime, Utc};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::compute::kernels::cast_utils::{Parser, string_to_datetime, string_to_time_nanoseconds};
use datafusion::arrow::datatypes::{Date32Type, TimeUnit};

use super::quick;
use crate::types::is_utc;

/// Why a value is refused, where value and type do not show it.
pub(crate) type Reason = Option<&'static str>;

pub(crate) const TOO_FINE: &str = "it has more digits of a second than the type";
pub(crate) const TOO_LARGE: &str = "it is beyond the range of the type";
const LEAP: &str = "it is a leap second, which the type lacks";
const TIME_OF_DAY: &str = "it has a time of day";
const OFFSET: &str = "it has an offset, which the type lacks; declare the column as TIMESTAMP WITH TIME ZONE";

const DAY: i64 = 86_400;

/// Seconds since 1970-01-01 and nanoseconds, and whether an offset or a zone is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    pub(crate) has_offset: bool,
}

/// A date, or a date and time, in this zone where none is written; without a zone, no offset but zero is taken.
pub(crate) fn instant(text: &str, zone: Option<&Tz>) -> Result<Instant, Reason> {
    if let Some((shorter, beyond)) = seconds_of_offset(text) {
        let found = instant(shorter, zone)?;
        let is_held = zone.is_some() || beyond == 0;
        return if is_held { Ok(Instant { seconds: found.seconds - beyond, ..found }) } else { Err(Some(OFFSET)) };
    }
    let parsed = match zone {
        Some(zone) => string_to_datetime(zone, text).map(|time| time.with_timezone(&Utc)),
        None => string_to_datetime(&Utc, text),
    };
    let time: DateTime<Utc> = parsed.map_err(|_| None)?;
    if time.timestamp_subsec_nanos() >= 1_000_000_000 {
        return Err(Some(LEAP));
    }
    // What was parsed begins with a date and one more character of ASCII.
    let clock = text.get(11..).unwrap_or_default();
    let end = clock.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(clock.len());
    if is_finer_than_nanoseconds(&clock[..end]) {
        return Err(Some(TOO_FINE));
    }
    let has_offset = end < clock.len();
    if zone.is_none() && has_offset && string_to_datetime(&Utc, &text[..11 + end]).ok() != Some(time) {
        return Err(Some(OFFSET));
    }
    Ok(Instant { seconds: time.timestamp(), nanoseconds: time.timestamp_subsec_nanos(), has_offset })
}

/// The text without the seconds of its offset, and these: PostgreSQL writes `+00:19:32` for local mean time.
fn seconds_of_offset(text: &str) -> Option<(&str, i64)> {
    let (before, offset) = text.split_at_checked(text.len().checked_sub(9)?)?;
    match offset.as_bytes() {
        [sign @ (b'+' | b'-'), h, i, b':', m, n, b':', s, t]
            if [h, i, m, n, s, t].into_iter().all(u8::is_ascii_digit) && before.len() > 10 =>
        {
            let seconds = i64::from(s - b'0') * 10 + i64::from(t - b'0');
            let seconds = if *sign == b'-' { -seconds } else { seconds };
            (seconds.abs() < 60).then(|| (&text[..text.len() - 3], seconds))
        }
        _ => None,
    }
}

/// A number of the unit, if it is a whole one.
#[inline(always)]
pub(crate) fn in_unit(unit: TimeUnit, seconds: i64, nanoseconds: i64) -> Result<i64, Reason> {
    let (per_second, nanoseconds_each) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    if nanoseconds % nanoseconds_each != 0 {
        return Err(Some(TOO_FINE));
    }
    let parts = nanoseconds / nanoseconds_each;
    // The first nanoseconds that fit lie in a second that does not.
    let whole = i128::from(seconds) * i128::from(per_second) + i128::from(parts);
    i64::try_from(whole).map_err(|_| Some(TOO_LARGE))
}

/// The zone of a column of timestamps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnZone {
    zone: Option<Tz>,
    /// UTC, or none.
    is_utc: bool,
}

impl ColumnZone {
    /// None: the zone is not known.
    pub(crate) fn new(zone: Option<&str>) -> Option<Self> {
        let parsed = zone.map(str::parse).transpose().ok()?;
        Some(Self { zone: parsed, is_utc: zone.is_none_or(is_utc) })
    }

    /// A timestamp as the number that is stored for it.
    #[inline]
    pub(crate) fn timestamp(&self, text: &str, unit: TimeUnit) -> Result<i64, Reason> {
        let usual = if self.is_utc { quick::timestamp(text.as_bytes()) } else { None };
        match usual {
            Some((seconds, nanoseconds)) => in_unit(unit, seconds, i64::from(nanoseconds)),
            None => {
                let found = instant(text, self.zone.as_ref())?;
                in_unit(unit, found.seconds, i64::from(found.nanoseconds))
            }
        }
    }
}

/// Days since 1970-01-01 of a date, which may have a time if that is midnight.
#[inline]
pub(crate) fn date(text: &str) -> Result<i32, Reason> {
    quick::date(text.as_bytes()).map_or_else(|| unusual_date(text), Ok)
}

/// Milliseconds since 1970-01-01 of such a date.
pub(crate) fn date_in_milliseconds(text: &str) -> Result<i64, Reason> {
    date(text).map(|days| i64::from(days) * DAY * 1_000)
}

fn unusual_date(text: &str) -> Result<i32, Reason> {
    if text.len() <= 10 || text.starts_with(['+', '-']) {
        return Date32Type::parse(text).ok_or(None);
    }
    let Instant { seconds, nanoseconds, .. } = instant(text, None)?;
    if seconds % DAY != 0 || nanoseconds != 0 {
        return Err(Some(TIME_OF_DAY));
    }
    i32::try_from(seconds / DAY).map_err(|_| Some(TOO_LARGE))
}

/// A time of day as the number that is stored for it.
pub(crate) fn time(text: &str, unit: TimeUnit) -> Result<i64, Reason> {
    if let Some((seconds, nanoseconds)) = quick::time(text.as_bytes()) {
        return in_unit(unit, seconds, i64::from(nanoseconds));
    }
    let nanoseconds = string_to_time_nanoseconds(text).map_err(|_| None)?;
    if text.contains(":60") {
        return Err(Some(LEAP));
    }
    if is_finer_than_nanoseconds(text) {
        return Err(Some(TOO_FINE));
    }
    in_unit(unit, nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}

/// Whether there are more than nine digits after the point, and the ones beyond are not all zeros.
fn is_finer_than_nanoseconds(clock: &str) -> bool {
    let Some((_, fraction)) = clock.split_once('.') else { return false };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    digits.skip(9).any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(text: &str, zone: Option<&Tz>, unit: TimeUnit) -> Result<i64, Reason> {
        let found = instant(text, zone)?;
        let number = in_unit(unit, found.seconds, i64::from(found.nanoseconds));
        if zone.is_none() {
            assert_eq!(ColumnZone::new(None).unwrap().timestamp(text, unit), number, "{text}");
        }
        number
    }

    #[test]
    fn offset_may_have_seconds() {
        let zone: Tz = "UTC".parse().unwrap();
        let at = |text| instant(text, Some(&zone)).map(|instant| instant.seconds);
        let plain = at("1937-01-01 00:00:00+00:00").unwrap();
        assert_eq!(at("1937-01-01 00:00:00+00:19:32"), Ok(plain - 19 * 60 - 32));
        assert_eq!(at("1937-01-01 00:00:00.5-00:19:32"), Ok(plain + 19 * 60 + 32));
        assert_eq!(at("1937-01-01 00:00:00+00:19:60"), Err(None));
        assert_eq!(instant("1937-01-01 00:00:00+00:00:01", None), Err(Some(OFFSET)));
        assert_eq!(instant("1937-01-01 00:00:00+00:00:00", None).map(|instant| instant.seconds), Ok(plain));
    }

    #[test]
    fn digits_that_the_unit_lacks_are_refused_unless_they_are_zeros() {
        let micros = |text| timestamp(text, None, TimeUnit::Microsecond);
        assert_eq!(micros("1970-01-01 00:00:01.123456000000"), Ok(1_123_456));
        assert_eq!(micros("1970-01-01 00:00:01.1234567"), Err(Some(TOO_FINE)));
        assert_eq!(micros("1970-01-01 00:00:01.1234560001"), Err(Some(TOO_FINE)));
        assert_eq!(timestamp("1970-01-01 00:00:01.5", None, TimeUnit::Second), Err(Some(TOO_FINE)));
        assert_eq!(timestamp("1677-09-21 00:12:43.145224192", None, TimeUnit::Nanosecond), Ok(i64::MIN));
        assert_eq!(timestamp("1677-09-21 00:12:43", None, TimeUnit::Nanosecond), Err(Some(TOO_LARGE)));
        assert_eq!(time("00:00:01.500", TimeUnit::Millisecond), Ok(1_500));
        assert_eq!(time("00:00:01.5001", TimeUnit::Millisecond), Err(Some(TOO_FINE)));
        assert_eq!(time("1:30 PM", TimeUnit::Second), Ok(48_600));
    }

    #[test]
    fn an_offset_is_for_columns_with_a_zone_and_zero_for_all() {
        let utc: Tz = "+00:00".parse().unwrap();
        let seconds = |text, zone| timestamp(text, zone, TimeUnit::Second);
        for text in ["1970-01-01T00:00:07Z", "1970-01-01 00:00:07+00", "1970-01-01 00:00:07 -00:00"] {
            assert_eq!((seconds(text, None), seconds(text, Some(&utc))), (Ok(7), Ok(7)), "{text}");
        }
        assert_eq!(seconds("1970-01-01 05:00:07+05", None), Err(Some(OFFSET)));
        assert_eq!(seconds("1970-01-01 05:00:07+05", Some(&utc)), Ok(7));
    }

    #[test]
    fn leap_seconds_midnight_of_the_next_day_and_times_of_dates_are_refused() {
        assert_eq!(timestamp("2016-12-31 23:59:60", None, TimeUnit::Second), Err(Some(LEAP)));
        assert_eq!(time("23:59:60", TimeUnit::Second), Err(Some(LEAP)));
        assert_eq!(time("24:00:00", TimeUnit::Second), Err(None));
        assert_eq!(time("3600", TimeUnit::Second), Err(None));
        assert_eq!(timestamp("2016-12-31 24:00:00", None, TimeUnit::Second), Err(None));
        assert_eq!((date("1970-01-02"), date("1970-01-02 00:00:00.000Z")), (Ok(1), Ok(1)));
        assert_eq!(date("1970-01-02 00:00:01"), Err(Some(TIME_OF_DAY)));
        assert_eq!(date("1970-01-02T00:00:00+05:00"), Err(Some(OFFSET)));
        assert_eq!((date("19700102"), date("+10000-01-01"), date("17000")), (Ok(1), Ok(2_932_897), Err(None)));
    }
}
