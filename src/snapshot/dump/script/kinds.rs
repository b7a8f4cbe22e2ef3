//! Says what is to be done with a statement that is neither INSERT nor COPY, and with comments and psql commands.
//!
//! It looks at the first words only. What moves rows in a way the scanner does not follow (UPDATE, LOAD DATA, `\i`)
//! is refused, all that is not known is skipped.
//!
//! ```text
//! CREATE TABLE ..   keep      CREATE INDEX ..  skip      LOAD DATA ..  refuse
//! ```

use super::DumpName;
use super::words::StatementWords;
use crate::snapshot::dump::SqlFamily;

/// What to do with a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StatementVerdict {
    /// Hand it out.
    Keep,
    /// It has no meaning for the data.
    Skip,
    /// It changes rows, or takes them from elsewhere; with its first word.
    Refuse(&'static str),
    /// It removes or renames these tables, which must have no rows yet; with its first word.
    Remove(&'static str, Vec<DumpName>),
}

/// Words that can stand between CREATE and the kind of thing that is created.
const BEFORE_KIND: [&str; 19] = [
    "or",
    "replace",
    "global",
    "local",
    "temp",
    "temporary",
    "unlogged",
    "foreign",
    "materialized",
    "recursive",
    "algorithm",
    "undefined",
    "merge",
    "temptable",
    "definer",
    "sql",
    "security",
    "invoker",
    "force",
];

/// Judges a statement by its first words.
pub(super) fn judge(text: &[u8], family: Option<SqlFamily>) -> StatementVerdict {
    let mut words = StatementWords::new(text, family);
    let Some(first) = words.word() else { return StatementVerdict::Skip };
    let keep = |yes| if yes { StatementVerdict::Keep } else { StatementVerdict::Skip };
    match first.to_ascii_lowercase().as_slice() {
        b"set" | b"use" => StatementVerdict::Keep,
        b"create" => keep(creates(&mut words)),
        b"alter" if words.take("table") => alters(&mut words),
        b"load" if words.take("data") || words.take("xml") => StatementVerdict::Refuse("LOAD"),
        b"update" if !in_catalog(&mut words) => StatementVerdict::Refuse("UPDATE"),
        b"delete" if words.take("from") && !in_catalog(&mut words) => StatementVerdict::Refuse("DELETE"),
        b"merge" => StatementVerdict::Refuse("MERGE"),
        b"with" => StatementVerdict::Refuse("WITH"),
        b"call" => StatementVerdict::Refuse("CALL"),
        // That of MySQL only computes.
        b"do" if family != Some(SqlFamily::MySql) => StatementVerdict::Refuse("DO"),
        b"drop" if is_table(&mut words) => StatementVerdict::Remove("DROP", listed(&mut words)),
        b"truncate" => {
            let _ = words.take("table");
            StatementVerdict::Remove("TRUNCATE", listed(&mut words))
        }
        b"rename" if words.take("table") => StatementVerdict::Remove("RENAME", renamed(&mut words)),
        _ => StatementVerdict::Skip,
    }
}

fn is_table(words: &mut StatementWords) -> bool {
    let _ = words.take("temporary") || words.take("foreign");
    words.take("table")
}

/// The tables of DROP and TRUNCATE: `[IF EXISTS] [ONLY] a, b [CASCADE]`.
fn listed(words: &mut StatementWords) -> Vec<DumpName> {
    let _ = words.take("if") && words.take("exists");
    let mut tables = Vec::new();
    loop {
        let _ = words.take("only");
        let Ok(table) = words.name() else { return tables };
        tables.push(table);
        let _ = words.sign(b'*');
        if !words.sign(b',') {
            return tables;
        }
    }
}

/// The tables that get another name: of `a TO b, c TO d` those are `a` and `c`.
fn renamed(words: &mut StatementWords) -> Vec<DumpName> {
    let mut tables = Vec::new();
    while let Ok(table) = words.name() {
        tables.push(table);
        if !(words.take("to") && words.name().is_ok() && words.sign(b',')) {
            break;
        }
    }
    tables
}

fn creates(words: &mut StatementWords) -> bool {
    // A view of MySQL has `ALGORITHM = x DEFINER = user SQL SECURITY y` before VIEW; 40 things are more than that.
    for _ in 0..40 {
        let Some(word) = words.word() else {
            if !words.skip_other() {
                return false;
            }
            continue;
        };
        let is = |list: &[&str]| list.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
        if is(&["table", "type", "domain", "view", "schema"]) {
            return true;
        }
        if !is(&BEFORE_KIND) {
            return false;
        }
    }
    false
}

fn alters(words: &mut StatementWords) -> StatementVerdict {
    let _ = words.take("if") && words.take("exists");
    let _ = words.take("only");
    let Ok(table) = words.name() else { return StatementVerdict::Skip };
    if words.take("attach") && words.take("partition") {
        return StatementVerdict::Keep;
    }
    // RENAME COLUMN, INDEX and the like leave the rows where they are.
    let is_moved =
        (words.take("rename") && (words.take("to") || words.take("as"))) || (words.take("set") && words.take("schema"));
    if is_moved { StatementVerdict::Remove("ALTER", vec![table]) } else { StatementVerdict::Skip }
}

/// Old pg_dump changes its own catalogs (`UPDATE pg_catalog.pg_class ..`), which holds no user's row.
fn in_catalog(words: &mut StatementWords) -> bool {
    words.name().is_ok_and(|name| name.schema.as_deref().unwrap_or(&name.name).starts_with("pg_"))
}

/// Whether a statement begins the body of a trigger, routine or event of MySQL. Without DELIMITER nobody can say
/// where such a body ends: its own statements have a `;` too, and an INSERT in it is no row of the dump.
pub(super) fn begins_body(text: &[u8]) -> bool {
    let mut words = StatementWords::new(text, Some(SqlFamily::MySql));
    if !words.take("create") {
        return false;
    }
    let mut routine = false;
    loop {
        let Some(word) = words.word() else {
            if !words.skip_other() {
                return false;
            }
            continue;
        };
        let is = |list: &[&str]| list.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
        if routine && is(&["begin"]) {
            return true;
        }
        routine |= is(&["trigger", "procedure", "function", "event", "package"]);
        if !routine && is(&["table", "view", "database", "index", "sequence", "user", "role"]) {
            return false;
        }
    }
}

/// Value of `SET [SESSION|LOCAL] name = value` or `TO value`: the first word or quoted text of it.
pub(super) fn setting(text: &[u8], name: &str) -> Option<String> {
    let mut words = StatementWords::new(text, Some(SqlFamily::Postgres));
    if !words.take("set") {
        return None;
    }
    let _ = words.take("session") || words.take("local");
    if !words.take(name) || !(words.sign(b'=') || words.take("to")) {
        return None;
    }
    if words.sign(b'\'') {
        // An empty search path is written as ''.
        let rest = words.word().unwrap_or_default();
        return String::from_utf8(rest.to_vec()).ok();
    }
    words.ident().ok()
}

/// Charset of `SET NAMES` or `SET client_encoding`, if its letters can have a backslash as their second byte.
pub(super) fn unsafe_charset(text: &[u8]) -> Option<String> {
    let mut words = StatementWords::new(text, Some(SqlFamily::MySql));
    let named = (words.take("set") && words.take("names")).then(|| {
        let _ = words.sign(b'\'') || words.sign(b'"');
        String::from_utf8_lossy(words.word().unwrap_or_default()).into_owned()
    });
    let charset = named.or_else(|| setting(text, "client_encoding"))?;
    let known = ["big5", "gbk", "sjis", "cp932", "gb18030", "johab", "uhc", "shift_jis_2004", "shiftjis", "mskanji"];
    known.iter().any(|name| charset.eq_ignore_ascii_case(name)).then_some(charset)
}

/// Database that `USE db` names.
pub(super) fn used_database(text: &[u8]) -> Option<String> {
    let mut words = StatementWords::new(text, Some(SqlFamily::MySql));
    if words.take("use") { words.ident().ok() } else { None }
}

/// What a comment between statements says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommentNote {
    /// The top of a dump of this family.
    Top(SqlFamily),
    /// The top of a pg_dumpall: it has dumps inside of it.
    ClusterTop,
    /// The end of a dump.
    End,
    /// The end of a pg_dumpall.
    ClusterEnd,
    /// Database of the tables that follow.
    Database(String),
    /// Anything else.
    Other,
}

/// Reads the text of a `--` comment, without the dashes.
pub(super) fn note(comment: &[u8]) -> CommentNote {
    let Ok(text) = std::str::from_utf8(comment) else { return CommentNote::Other };
    let text = text.trim();
    match text {
        "PostgreSQL database dump" => return CommentNote::Top(SqlFamily::Postgres),
        "PostgreSQL database cluster dump" => return CommentNote::ClusterTop,
        "PostgreSQL database dump complete" => return CommentNote::End,
        "PostgreSQL database cluster dump complete" => return CommentNote::ClusterEnd,
        _ => {}
    }
    if text == "Dump completed" || text.starts_with("Dump completed on") {
        CommentNote::End
    } else if text.starts_with("MySQL dump ") || text.starts_with("MariaDB dump ") {
        CommentNote::Top(SqlFamily::MySql)
    } else if let Some(name) = text.strip_prefix("Current Database: ") {
        StatementWords::new(name.as_bytes(), Some(SqlFamily::MySql))
            .ident()
            .map_or(CommentNote::Other, CommentNote::Database)
    } else {
        CommentNote::Other
    }
}

/// psql commands that pg_dump writes or that do nothing to rows; `\connect` is handed out.
pub(super) fn judge_meta(line: &[u8]) -> StatementVerdict {
    match line.split(u8::is_ascii_whitespace).next().unwrap_or_default() {
        b"\\connect" | b"\\c" => StatementVerdict::Keep,
        b"\\restrict" | b"\\unrestrict" | b"\\encoding" | b"\\set" | b"\\unset" | b"\\echo" | b"\\pset" => {
            StatementVerdict::Skip
        }
        b"\\timing" | b"\\qecho" | b"\\warn" => StatementVerdict::Skip,
        b"\\." => StatementVerdict::Refuse("\\."),
        _ => StatementVerdict::Refuse("a psql command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_judged_by_their_first_words() {
        let judge = |text: &str| judge(text.as_bytes(), None);
        for text in [
            "CREATE TABLE t (a int)",
            "create unlogged table if not exists t (a int)",
            "CREATE TYPE public.e AS ENUM ('a')",
            "CREATE DOMAIN d AS int",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
            "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1",
            "CREATE SCHEMA audit",
            "ALTER TABLE ONLY public.m ATTACH PARTITION public.m1 FOR VALUES FROM (1) TO (2)",
            "SET NAMES utf8mb4",
            "USE `shop`",
        ] {
            assert_eq!(judge(text), StatementVerdict::Keep, "{text}");
        }
        for text in [
            "CREATE INDEX type ON t (a)",
            "CREATE FUNCTION view() RETURNS int",
            "CREATE TRIGGER t AFTER INSERT ON x",
            "CREATE DEFINER=`a`@`b` TRIGGER t",
            "CREATE DATABASE shop",
            "ALTER TABLE t ADD CONSTRAINT attach PRIMARY KEY (a)",
            "ALTER INDEX i ATTACH PARTITION j",
            "LOAD 'plpgsql'",
            "UPDATE pg_catalog.pg_class SET reltriggers = 0",
            "SELECT pg_catalog.setval('s', 1)",
            "ALTER TABLE t RENAME COLUMN to TO b",
            "DROP VIEW IF EXISTS v",
            "",
        ] {
            assert_eq!(judge(text), StatementVerdict::Skip, "{text}");
        }
        for text in [
            "LOAD DATA INFILE 'x' INTO TABLE t",
            "UPDATE t SET a = 1",
            "DELETE FROM t",
            "WITH x AS (SELECT 1) ..",
            "CALL p()",
            "DO $$ x $$",
        ] {
            assert!(matches!(judge(text), StatementVerdict::Refuse(_)), "{text}");
        }
    }

    #[test]
    fn statements_that_remove_tables_name_them() {
        let cases = [
            ("DROP TABLE IF EXISTS `a`, d.`b c` CASCADE", "DROP", vec![(None, "a"), (Some("d"), "b c")]),
            ("truncate only a, b", "TRUNCATE", vec![(None, "a"), (None, "b")]),
            ("TRUNCATE TABLE a", "TRUNCATE", vec![(None, "a")]),
            ("RENAME TABLE a TO b, d.c TO d.e", "RENAME", vec![(None, "a"), (Some("d"), "c")]),
            ("ALTER TABLE ONLY s.a RENAME TO b", "ALTER", vec![(Some("s"), "a")]),
            ("ALTER TABLE a SET SCHEMA s", "ALTER", vec![(None, "a")]),
        ];
        for (text, word, tables) in cases {
            let tables = tables.into_iter().map(|(schema, name): (Option<&str>, &str)| DumpName {
                schema: schema.map(str::to_owned),
                name: name.to_owned(),
            });
            assert_eq!(judge(text.as_bytes(), None), StatementVerdict::Remove(word, tables.collect()), "{text}");
        }
    }

    #[test]
    fn charsets_with_a_backslash_in_a_letter_are_named() {
        assert_eq!(unsafe_charset(b"SET NAMES gbk"), Some("gbk".into()));
        assert_eq!(unsafe_charset(b"SET NAMES 'SJIS' COLLATE x"), Some("SJIS".into()));
        assert_eq!(unsafe_charset(b"SET client_encoding = 'BIG5'"), Some("BIG5".into()));
        for fine in ["SET NAMES utf8mb4", "SET NAMES binary", "SET client_encoding = 'UTF8'", "SET gbk = 1"] {
            assert_eq!(unsafe_charset(fine.as_bytes()), None, "{fine}");
        }
    }

    #[test]
    fn bodies_are_known_by_their_begin() {
        assert!(begins_body(b"CREATE DEFINER=`a`@`b` trigger t before insert on u for each row begin insert into l"));
        assert!(!begins_body(b"CREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET new.`begin` = 1"));
        assert!(!begins_body(b"CREATE TABLE t (event int, begin int)"));
        assert!(!begins_body(b"BEGIN"));
    }

    #[test]
    fn notes_of_real_dumps_are_known() {
        assert_eq!(note(b" PostgreSQL database dump\r"), CommentNote::Top(SqlFamily::Postgres));
        assert_eq!(note(b" MariaDB dump 10.19  Distrib 10.11"), CommentNote::Top(SqlFamily::MySql));
        assert_eq!(note(b" Dump completed on 2026-11-30 15:42:56"), CommentNote::End);
        assert_eq!(note(b" Current Database: `a``b`"), CommentNote::Database("a`b".into()));
        assert_eq!(note(b" Name: Dump completed; Type: TABLE"), CommentNote::Other);
        assert_eq!(note(b" \xff"), CommentNote::Other);
    }

    #[test]
    fn settings_are_read() {
        assert_eq!(
            setting(b"SET standard_conforming_strings = off", "standard_conforming_strings"),
            Some("off".into())
        );
        assert_eq!(setting(b"SET search_path TO \"A b\", pg_catalog", "search_path"), Some("A b".into()));
        assert_eq!(setting(b"SET search_path = ''", "search_path"), Some(String::new()));
        assert_eq!(setting(b"SET search_paths = a", "search_path"), None);
    }
}
