//! Statements beside the INSERTs: which are skipped, and which would change what the values mean.
//!
//! `SET`, `LOCK TABLES`, `ALTER TABLE .. DISABLE KEYS` and the like change no row. But a session that says
//! `NO_BACKSLASH_ESCAPES`, or a character set that is not UTF-8, makes the same quotes other texts: that is refused,
//! for this reader has one meaning only. Variables (`SET NAMES @saved`) cannot be known and are taken as harmless.

/// Character sets whose texts are UTF-8, or bytes that are looked at one by one.
pub(crate) fn is_utf8(name: &str) -> bool {
    ["utf8", "utf8mb3", "utf8mb4", "ascii", "binary"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Why a statement without its end cannot be skipped; None if it can.
pub(crate) fn objection<const MYSQL: bool>(statement: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(statement);
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_' || sign == '@';
    let mut words = text.split(|sign| !is_part(sign)).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    let rest: Vec<&str> = words.collect();
    let has = |name: &str| rest.iter().any(|word| word.eq_ignore_ascii_case(name));
    match first.as_str() {
        "SET" if MYSQL => mysql_setting(&rest),
        "SET" => postgres_setting(&rest),
        "LOCK" | "UNLOCK" if MYSQL && (has("TABLES") || has("TABLE")) => None,
        "COMMIT" | "BEGIN" if rest.is_empty() => None,
        "START" if has("TRANSACTION") => None,
        // Of a sequence.
        "SELECT" if !MYSQL && rest.first() == Some(&"pg_catalog") && rest.get(1) == Some(&"setval") => None,
        // Of keys in MySQL, of triggers in PostgreSQL; nothing that changes columns.
        "ALTER" if has("TABLE") && (has("DISABLE") || has("ENABLE")) && (has("KEYS") || has("TRIGGER")) => None,
        _ => Some(format!("the statement '{}' is not one that is skipped between INSERTs", first_words(&text))),
    }
}

fn first_words(text: &str) -> String {
    text.trim().chars().take(24).map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

fn mysql_setting(words: &[&str]) -> Option<String> {
    for (at, word) in words.iter().enumerate() {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        let next = words.get(at + 1).copied();
        let charset = match next {
            _ if is("NO_BACKSLASH_ESCAPES") => {
                return Some("the dump is of the mode NO_BACKSLASH_ESCAPES, which is not read".to_owned());
            }
            Some(name) if is("NAMES") || is("CHARSET") || is("character_set_client") => Some(name),
            Some(of) if is("CHARACTER") && of.eq_ignore_ascii_case("SET") => words.get(at + 2).copied(),
            _ => None,
        };
        if let Some(name) = charset.filter(|name| !name.starts_with('@') && !is_utf8(name)) {
            return Some(format!("the dump is of the character set '{name}', which is not read"));
        }
    }
    None
}

fn postgres_setting(words: &[&str]) -> Option<String> {
    for (at, word) in words.iter().enumerate() {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        let mut after = words[at + 1..].iter().filter(|word| !word.eq_ignore_ascii_case("TO"));
        let value = after.next().map(|value| value.to_ascii_uppercase()).unwrap_or_default();
        if is("standard_conforming_strings") && !["ON", "TRUE", "1", "YES"].contains(&value.as_str()) {
            return Some("the dump is of standard_conforming_strings = off, which is not read".to_owned());
        }
        let is_encoding = is("client_encoding") || is("NAMES");
        if is_encoding && !["UTF8", "UTF", "UNICODE", "SQL_ASCII"].contains(&value.as_str()) {
            return Some(format!("the dump is of the encoding '{value}', which is not read"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_change_no_row_are_skipped() {
        for text in [
            "SET NAMES utf8mb4",
            "SET NAMES binary",
            "SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT",
            "SET character_set_client = @saved_cs_client",
            "SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'",
            "set autocommit=0",
            "commit",
            "LOCK TABLES `a;b` WRITE",
            "UNLOCK TABLES",
            "ALTER TABLE `t` DISABLE KEYS",
        ] {
            assert_eq!(objection::<true>(text.as_bytes()), None, "{text}");
        }
        for text in [
            "SET client_encoding = 'UTF8'",
            "SET client_encoding TO 'utf-8'",
            "SET standard_conforming_strings = on",
            "SET SESSION AUTHORIZATION 'me'",
            "ALTER TABLE public.t DISABLE TRIGGER ALL",
            "SELECT pg_catalog.setval('public.t_id_seq', 1, true)",
        ] {
            assert_eq!(objection::<false>(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn statements_that_change_values_or_rows_are_not() {
        for text in [
            "SET NAMES latin1",
            "SET NAMES 'latin1' COLLATE x",
            "SET character_set_client = cp1251",
            "SET CHARACTER SET koi8r",
            "SET sql_mode='ANSI,NO_BACKSLASH_ESCAPES'",
            "DELETE FROM t",
            "UPDATE t SET a = 1",
            "ALTER TABLE t DROP a",
            "INSERT INTO t SELECT 1",
            "",
        ] {
            assert!(objection::<true>(text.as_bytes()).is_some(), "{text}");
        }
        for text in
            ["SET client_encoding = 'LATIN1'", "set standard_conforming_strings to off", "LOCK TABLE t", "SELECT 1"]
        {
            assert!(objection::<false>(text.as_bytes()).is_some(), "{text}");
        }
    }
}
