//! Dates, times and intervals as text in PostgreSQL's ISO style, and the limits that the server itself has.
//!
//! Source: `EncodeDateTime`, `EncodeTimezone` and `EncodeInterval` in `datetime.c`; limits in `timestamp.h`. From
//! PostgreSQL 17 on an interval can be infinite; the bytes of that are the largest interval before.

use std::fmt::Write as _;

use super::super::fault::{Misfit, misfit};

/// Days from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_DAYS: i32 = 10_957;

/// The same in microseconds.
pub(crate) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY_MICROS;

pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// 4714-11-24 BC, and the day after 5874897-12-31.
const FIRST_DAY: i32 = -2_451_545;
const END_DAY: i32 = 2_145_031_949;

/// The same day, and 294277-01-01.
const FIRST_MICROS: i64 = -211_813_488_000_000_000;
const END_MICROS: i64 = 9_223_371_331_200_000_000;

const OUT_OF_RANGE: &str = "it is beyond the server's own range";

/// A date or timestamp that may be infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgMoment<T> {
    Infinity,
    NegativeInfinity,
    /// Since 2000-01-01.
    Finite(T),
}

impl PgMoment<i32> {
    #[inline]
    pub(crate) fn date(days: i32) -> Result<Self, Misfit> {
        match days {
            i32::MAX => Ok(Self::Infinity),
            i32::MIN => Ok(Self::NegativeInfinity),
            FIRST_DAY..END_DAY => Ok(Self::Finite(days)),
            _ => misfit(OUT_OF_RANGE),
        }
    }
}

impl PgMoment<i64> {
    #[inline]
    pub(crate) fn timestamp(micros: i64) -> Result<Self, Misfit> {
        match micros {
            i64::MAX => Ok(Self::Infinity),
            i64::MIN => Ok(Self::NegativeInfinity),
            FIRST_MICROS..END_MICROS => Ok(Self::Finite(micros)),
            _ => misfit(OUT_OF_RANGE),
        }
    }
}

/// Microseconds of a day, of which 24:00:00 is the last.
#[inline]
pub(crate) fn time(micros: i64) -> Result<i64, Misfit> {
    if (0..=DAY_MICROS).contains(&micros) { Ok(micros) } else { misfit(OUT_OF_RANGE) }
}

pub(crate) fn write_date(days: i32, out: &mut String) -> Result<(), Misfit> {
    match PgMoment::date(days)? {
        PgMoment::Infinity => out.push_str("infinity"),
        PgMoment::NegativeInfinity => out.push_str("-infinity"),
        PgMoment::Finite(days) => {
            let is_bc = push_day(i64::from(days), out);
            out.push_str(if is_bc { " BC" } else { "" });
        }
    }
    Ok(())
}

/// `zone` is what follows the time.
pub(crate) fn write_timestamp(micros: i64, zone: &str, out: &mut String) -> Result<(), Misfit> {
    match PgMoment::timestamp(micros)? {
        PgMoment::Infinity => out.push_str("infinity"),
        PgMoment::NegativeInfinity => out.push_str("-infinity"),
        PgMoment::Finite(micros) => {
            let is_bc = push_day(micros.div_euclid(DAY_MICROS), out);
            out.push(' ');
            push_time(micros.rem_euclid(DAY_MICROS), out);
            out.push_str(zone);
            out.push_str(if is_bc { " BC" } else { "" });
        }
    }
    Ok(())
}

pub(crate) fn write_time(micros: i64, out: &mut String) -> Result<(), Misfit> {
    push_time(time(micros)?, out);
    Ok(())
}

pub(crate) fn write_time_tz(bytes: [u8; 12], out: &mut String) -> Result<(), Misfit> {
    let [a, b, c, d, e, f, g, h, west @ ..] = bytes;
    write_time(i64::from_be_bytes([a, b, c, d, e, f, g, h]), out)?;
    let west = i32::from_be_bytes(west);
    let seconds = west.unsigned_abs();
    if seconds >= 16 * 3600 {
        return misfit(OUT_OF_RANGE);
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{}{hours:02}", if west <= 0 { '+' } else { '-' });
    if minutes != 0 || seconds != 0 {
        let _ = write!(out, ":{minutes:02}");
    }
    if seconds != 0 {
        let _ = write!(out, ":{seconds:02}");
    }
    Ok(())
}

/// Microseconds, days and months of an interval.
pub(crate) fn interval(bytes: [u8; 16]) -> (i64, i32, i32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, months @ ..] = bytes;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), i32::from_be_bytes([i, j, k, l]), i32::from_be_bytes(months))
}

pub(crate) fn write_interval(bytes: [u8; 16], out: &mut String) {
    let (micros, days, months) = match interval(bytes) {
        (i64::MAX, i32::MAX, i32::MAX) => return out.push_str("infinity"),
        (i64::MIN, i32::MIN, i32::MIN) => return out.push_str("-infinity"),
        parts => parts,
    };
    let mut is_zero = true;
    let mut is_before = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if is_zero { "" } else { " " };
        let plus = if is_before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        is_before = value < 0;
        is_zero = false;
    }
    if !is_zero && micros == 0 {
        return;
    }
    out.push_str(if is_zero { "" } else { " " });
    out.push_str(if micros < 0 {
        "-"
    } else if is_before {
        "+"
    } else {
        ""
    });
    push_clock(micros.unsigned_abs(), out);
}

fn push_time(micros: i64, out: &mut String) {
    push_clock(micros.unsigned_abs(), out);
}

/// Hours, minutes, seconds and the decimal places that are not 0.
fn push_clock(micros: u64, out: &mut String) {
    let seconds = micros / 1_000_000;
    push_padded(seconds / 3600, 2, out);
    out.push(':');
    push_padded(seconds / 60 % 60, 2, out);
    out.push(':');
    push_padded(seconds % 60, 2, out);
    let mut fraction = micros % 1_000_000;
    if fraction == 0 {
        return;
    }
    let mut places = 6;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    out.push('.');
    push_padded(fraction, places, out);
}

/// Pushes the day, and says whether it is before year 1.
fn push_day(days: i64, out: &mut String) -> bool {
    // Days since 0000-03-01, in eras of 400 years that begin in March.
    let days = days + i64::from(EPOCH_DAYS) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (shown, is_bc) = if year <= 0 { (1 - year, true) } else { (year, false) };
    push_padded(shown.unsigned_abs(), 4, out);
    out.push('-');
    push_padded(month.unsigned_abs(), 2, out);
    out.push('-');
    push_padded(day.unsigned_abs(), 2, out);
    is_bc
}

fn push_padded(number: u64, width: usize, out: &mut String) {
    if width == 2 && number < 100 {
        out.push(char::from(b'0' + (number / 10) as u8));
        out.push(char::from(b'0' + (number % 10) as u8));
        return;
    }
    let _ = write!(out, "{number:0width$}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn dates_reach_from_bc_to_far() {
        let date = |days| text(|out| write_date(days, out).unwrap());
        assert_eq!(date(0), "2000-01-01");
        assert_eq!(date(59), "2000-02-29");
        assert_eq!(date(FIRST_DAY), "4714-11-24 BC");
        assert_eq!(date(END_DAY - 1), "5874897-12-31");
        assert_eq!(date(i32::MIN), "-infinity");
        assert!(write_date(END_DAY, &mut String::new()).is_err());
    }

    #[test]
    fn timestamps_have_the_places_that_they_need() {
        let stamp = |micros| text(|out| write_timestamp(micros, "+00", out).unwrap());
        assert_eq!(stamp(1_500_000), "2000-01-01 00:00:01.5+00");
        assert_eq!(stamp(-1), "1999-12-31 23:59:59.999999+00");
        assert_eq!(stamp(FIRST_MICROS), "4714-11-24 00:00:00+00 BC");
        assert_eq!(stamp(END_MICROS - 1), "294276-12-31 23:59:59.999999+00");
    }

    #[test]
    fn intervals_repeat_the_sign_where_it_changes() {
        let of = |micros: i64, days: i32, months: i32| {
            let mut bytes = micros.to_be_bytes().to_vec();
            bytes.extend(days.to_be_bytes());
            bytes.extend(months.to_be_bytes());
            text(|out| write_interval(bytes.try_into().unwrap(), out))
        };
        assert_eq!(of(0, 0, 0), "00:00:00");
        assert_eq!(of(-1, 3, -14), "-1 years -2 mons +3 days -00:00:00.000001");
        assert_eq!(of(3_600_000_000, -1, 1), "1 mon -1 days +01:00:00");
        assert_eq!(of(0, 1, 12), "1 year 1 day");
    }
}
