//! Values of arguments, from text; a complaint says what to write.

use std::time::Duration;

use crate::config::{self, ByteSize, duration};
use crate::init;

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() { Err("the name is empty".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    let is_name = !text.trim().is_empty() && text != "." && text != "..";
    is_name.then(|| text.to_owned()).ok_or_else(|| "write a name".to_owned())
}

pub(super) fn time(text: &str) -> Result<String, String> {
    init::snapshot_time(text).ok_or_else(|| "write a time such as 2026-01-31T00:00:00Z".to_owned())
}

pub(super) fn max_rows(text: &str) -> Result<usize, String> {
    let number = if text == "inf" { Some(usize::MAX) } else { text.parse().ok() };
    number.ok_or_else(|| "write a number of rows, or inf".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a number from 1 on".to_owned())
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    ByteSize::parse(text).map(|size| size.0).ok_or_else(|| "write a size such as 512MB, 4GiB or 1000000".to_owned())
}

pub(super) fn against(text: &str) -> Result<String, String> {
    config::snapshot_time(text).ok_or_else(|| "write RFC 3339 with a zone, such as 2013-12-31T23:59:59Z".to_owned())
}

pub(super) fn age(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "write an age such as 0s, 30m, 12h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_without_a_value_is_refused() {
        assert_eq!(variable("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(variable("a").is_err() && variable("=a").is_err());
    }

    #[test]
    fn age_has_a_unit() {
        assert_eq!(age("90m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "5", "h", "1w", "-1h", "99999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
