//! Tests of the whole scanner on texts made here: faults, any cut into chunks, prefixes, random rows.

use crate::snapshot::dump::SqlFamily;
use proptest::prelude::*;

use super::*;

/// Events of a text that is pushed in chunks of these sizes, repeated; and the fault, if there is one.
pub(super) fn scan_by(
    text: &[u8],
    split: u64,
    family: Option<SqlFamily>,
    sizes: &[usize],
) -> (Vec<DumpEvent>, Result<(), DumpFault>) {
    let mut scanner = family.map_or_else(|| DumpScanner::new(split), |f| DumpScanner::with_family(split, f));
    let (mut events, mut at) = (Vec::new(), 0);
    for size in sizes.iter().cycle() {
        if at == text.len() {
            break;
        }
        let next = text.len().min(at + (*size).max(1));
        if let Err(fault) = scanner.push(&text[at..next], &mut events) {
            let again = scanner.push(b"x", &mut events).and_then(|()| scanner.end(&mut events));
            assert_eq!(again, Err(fault.clone()), "a fault stays");
            return (events, Err(fault));
        }
        at = next;
    }
    let end = scanner.end(&mut events);
    (events, end)
}

fn scan(text: &str) -> Result<Vec<DumpEvent>, DumpFault> {
    let (events, end) = scan_by(text.as_bytes(), u64::MAX, None, &[usize::MAX >> 1]);
    end.map(|()| events)
}

fn fault(text: &str) -> DumpFault {
    scan(text).expect_err(text)
}

/// One line an event: what matters of it, with the bytes of data.
fn show(text: &str, events: &[DumpEvent]) -> Vec<String> {
    let one = |event: &DumpEvent| match event {
        DumpEvent::Statement { text, line } => format!("{line}: {text}"),
        DumpEvent::Complete => "complete".to_owned(),
        DumpEvent::Data { table, columns, form, bytes, rows } => {
            let schema = table.schema.as_ref().map_or(String::new(), |s| format!("{s}."));
            let columns = columns.as_ref().map_or(String::new(), |c| format!("({})", c.join("|")));
            let data = &text[bytes.start as usize..bytes.end as usize];
            format!("{schema}{}{columns} {form:?} {rows} {data:?}", table.name)
        }
    };
    events.iter().map(one).collect()
}

fn shown(text: &str) -> Vec<String> {
    show(text, &scan(text).unwrap_or_else(|fault| panic!("{text}: {fault}")))
}

const PG: &str = r#"--
-- PostgreSQL database dump
--
\restrict k'ey
SET standard_conforming_strings = on;
\connect "a b"
CREATE FUNCTION f() RETURNS int AS $q$ begin insert into t values (';', $$x$$); end $q$;
CREATE FUNCTION g() BEGIN ATOMIC
 INSERT INTO t VALUES (1);
END;
CREATE TABLE public."Mixed ""Case" (a int, -- it's
  b text DEFAULT E'\';');
COPY public."Mixed ""Case" ("a,b", c) FROM stdin;
1	'
\\.
\.

COPY t FROM stdin;
\.
INSERT INTO public.t VALUES (1, '\');
INSERT INTO public.t VALUES (2, 'a;b''(');

INSERT INTO public.t (x) VALUES
	(3),
	(4) ON CONFLICT DO NOTHING;
-- comment
INSERT INTO public.t (x) VALUES (5);
-- PostgreSQL database dump complete
\unrestrict k'ey
"#;

const MY: &str = r#"/*M!999999\- enable the sandbox mode */
-- MySQL dump 10.13  Distrib 8.0
/*!40101 SET NAMES utf8mb4 */;
# it's a comment
INSERT INTO `a``b` VALUES (1,'\'); (','x'),
(2,"\"",NULL);
-- Current Database: `d;b`
USE `d;b`;
CREATE TABLE `t` (`a` int) COMMENT='it\'s;';
LOCK TABLES `t` WRITE;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
REPLACE INTO `t` (`a`,`c d`) VALUES (0x3b,_binary '\\');
INSERT IGNORE INTO `t` (`a`, `c d`) VALUES (1,-2)
,
(-3,4);
UNLOCK TABLES;
DELIMITER ;;
/*!50003 CREATE*/ /*!50003 TRIGGER x BEGIN INSERT INTO `t` VALUES (9); END */;;
DELIMITER ;
/*!50001 CREATE VIEW `v` AS SELECT 1 */;
INSERT INTO other.`t` VALUES ();
-- Dump completed on 2026-11-30 15:42:56
"#;

#[test]
fn postgres_dump_gives_its_events() {
    let expected = [
        "5: SET standard_conforming_strings = on",
        "6: \\connect \"a b\"",
        "11: CREATE TABLE public.\"Mixed \"\"Case\" (a int, -- it's\n  b text DEFAULT E'\\';')",
        "public.Mixed \"Case(a,b|c) Copy 2 \"1\\t'\\n\\\\\\\\.\\n\"",
        "t Copy 0 \"\"",
        "public.t Insert 2 \"INSERT INTO public.t VALUES (1, '\\\\');\\nINSERT INTO public.t VALUES (2, 'a;b''(');\"",
        "public.t(x) Insert 2 \"INSERT INTO public.t (x) VALUES\\n\\t(3),\\n\\t(4) ON CONFLICT DO NOTHING;\"",
        "public.t(x) Insert 1 \"INSERT INTO public.t (x) VALUES (5);\"",
        "complete",
    ];
    assert_eq!(shown(PG), expected);
    assert_eq!(shown(&format!("\u{feff}{PG}")), expected);
}

#[test]
fn mysql_dump_gives_its_events() {
    let rows = "INSERT INTO `a``b` VALUES (1,'\\'); (','x'),\n(2,\"\\\"\",NULL);";
    let more = "REPLACE INTO `t` (`a`,`c d`) VALUES (0x3b,_binary '\\\\');\n\
                INSERT IGNORE INTO `t` (`a`, `c d`) VALUES (1,-2)\n,\n(-3,4);";
    let expected = [
        "3: SET NAMES utf8mb4".to_owned(),
        format!("a`b Insert 2 {rows:?}"),
        "8: USE `d;b`".to_owned(),
        "9: CREATE TABLE `t` (`a` int) COMMENT='it\\'s;'".to_owned(),
        format!("d;b.t(a|c d) Insert 3 {more:?}"),
        "20: CREATE VIEW `v` AS SELECT 1".to_owned(),
        "other.t Insert 1 \"INSERT INTO other.`t` VALUES ();\"".to_owned(),
        "complete".to_owned(),
    ];
    assert_eq!(shown(MY), expected);
}

#[test]
fn crlf_gives_the_same_events_with_longer_ranges() {
    for (text, rows) in [(PG, vec![2, 0, 2, 2, 1]), (MY, vec![2, 3, 1])] {
        let events = scan(&text.replace('\n', "\r\n")).unwrap();
        let found: Vec<u64> = events
            .iter()
            .filter_map(|e| if let DumpEvent::Data { rows, .. } = e { Some(*rows) } else { None })
            .collect();
        assert_eq!(found, rows);
        assert_eq!(events.last(), Some(&DumpEvent::Complete));
    }
}

#[test]
fn table_that_has_rows_is_not_removed() {
    let rows = "-- MySQL dump 1\nUSE d;\nDROP TABLE IF EXISTS t;\nINSERT INTO t VALUES (1);\n";
    for (last, what) in [
        ("DROP TABLE u, d.t;", "DROP"),
        ("TRUNCATE t;", "TRUNCATE"),
        ("RENAME TABLE `t` TO u;", "RENAME"),
        ("ALTER TABLE t RENAME AS u;", "ALTER"),
    ] {
        let fault = scan(&format!("{rows}{last}\n"));
        assert_eq!(fault, Err(DumpFault::RowsRemoved { line: 5, what, table: "t".into() }), "{last}");
    }
    for last in ["DROP TABLE e.t;", "USE e; TRUNCATE t;", "ALTER TABLE t RENAME INDEX a TO b;"] {
        assert!(scan(&format!("{rows}{last}\n")).is_ok(), "{last}");
    }
}

#[test]
fn pieces_are_cut_by_size_and_lose_nothing() {
    let copy = "COPY t FROM stdin;\n1\n2\n3\n4\n\\.\n";
    let events = scan_by(copy.as_bytes(), 4, None, &[3]).0;
    assert_eq!(show(copy, &events), ["t Copy 2 \"1\\n2\\n\"", "t Copy 2 \"3\\n4\\n\""]);
    let insert = "-- MySQL dump 1\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\nINSERT INTO t VALUES (3);\n";
    let events = scan_by(insert.as_bytes(), 40, None, &[7]).0;
    let two = "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);";
    assert_eq!(
        show(insert, &events),
        [format!("t Insert 2 {two:?}"), "t Insert 1 \"INSERT INTO t VALUES (3);\"".into()]
    );
}

#[test]
fn family_follows_from_the_text_or_is_forced() {
    let family = |text: &str, forced| {
        let mut scanner = DumpScanner::with_family(1, forced);
        let mut found = DumpScanner::new(1);
        for s in [&mut scanner, &mut found] {
            s.push(text.as_bytes(), &mut Vec::new()).unwrap();
        }
        assert_eq!(scanner.family(), Some(forced));
        found.family()
    };
    for pg in
        ["-- PostgreSQL database dump\n", "\\restrict x\n", "SET client_encoding = 'UTF8';", "COPY t FROM stdin;\n"]
    {
        assert_eq!(family(pg, SqlFamily::Postgres), Some(SqlFamily::Postgres), "{pg}");
    }
    for my in ["-- MariaDB dump 10.19  Distrib\n", "/*!40101 SET x */;", "USE `a`;", "DELIMITER ;;\n", "# x\n"] {
        assert_eq!(family(my, SqlFamily::MySql), Some(SqlFamily::MySql), "{my}");
    }
    assert_eq!(family("INSERT INTO t VALUES ('a''b');", SqlFamily::MySql), None);
    let text = r"INSERT INTO t VALUES ('\'),('a');";
    assert_eq!(fault(text), DumpFault::UnknownFamily { line: 1 });
    let forced = |f| scan_by(text.as_bytes(), 1, Some(f), &[9]);
    assert!(matches!(forced(SqlFamily::Postgres).0[..], [DumpEvent::Data { rows: 2, .. }]));
    assert!(forced(SqlFamily::MySql).1.is_err());
}

#[test]
fn settings_of_postgres_change_quotes_and_schema() {
    let text = "SET standard_conforming_strings = off;\nSET search_path = audit, pg_catalog;\n\
                INSERT INTO t VALUES ('\\'');\nSET search_path = '';\nCOPY t FROM stdin;\n\\.\n";
    let events = shown(text);
    assert_eq!(events[2], "audit.t Insert 1 \"INSERT INTO t VALUES ('\\\\'');\"");
    assert_eq!(events[4], "t Copy 0 \"\"");
}

#[test]
fn cut_dumps_are_faults_with_the_line_of_what_is_open() {
    let not = |what, line| DumpFault::NotEnded { what, line };
    assert_eq!(fault("\n\nCOPY t FROM stdin;\n1\n"), not("COPY block", 3));
    assert_eq!(fault("COPY t FROM stdin;"), not("COPY block", 1));
    assert_eq!(fault("COPY t FROM stdin;\n1\n\\"), not("COPY block", 1));
    assert_eq!(fault("\nINSERT INTO t VALUES (1)"), not("statement", 2));
    assert_eq!(fault("\nINSERT INTO t VALUES ('1)"), not("statement with an open quote", 2));
    assert_eq!(fault("\nCREATE TABLE t (a"), not("statement", 2));
    assert_eq!(fault("CREATE TABLE t (\n a text DEFAULT 'x"), not("quote", 2));
    assert_eq!(fault("\n/* x"), not("comment", 2));
    assert_eq!(fault("\nDO $x$ begin $$;"), not("dollar quote", 2));
    assert_eq!(shown("COPY t FROM stdin;\n1\n\\."), ["t Copy 1 \"1\\n\""], "only the line end is missing");
}

#[test]
fn statements_that_hide_rows_are_faults() {
    for text in
        ["INSERT INTO t SELECT 1;", "INSERT INTO t DEFAULT VALUES;", "INSERT INTO t SET a = 1;", "REPLACE t TABLE x;"]
    {
        assert_eq!(fault(&format!("\n{text}")), DumpFault::NoValues { line: 2 }, "{text}");
    }
    for text in ["COPY t FROM '/x';", "COPY t FROM stdin WITH (FORMAT csv);", "COPY t FROM stdin; 1\n"] {
        assert!(matches!(fault(text), DumpFault::OddCopy { line: 1, .. }), "{text}");
    }
    for text in ["LOAD DATA INFILE 'x' INTO TABLE t;", "DELETE FROM t;", "\\i x.sql\n", "\\copy t from x", "\\.\n"] {
        assert!(matches!(fault(text), DumpFault::RowsElsewhere { line: 1, .. }), "{text}");
    }
    for text in [
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a=VALUES(a);",
        "INSERT INTO t VALUES ROW(1);",
        "INSERT INTO t VALUES (1) RETURNING a;",
        "/*!50000 INSERT INTO t VALUES (1) */;",
        "DELIMITER ;;\nINSERT INTO t VALUES (1);;",
    ] {
        assert!(matches!(fault(text), DumpFault::OddInsert { .. }), "{text}");
    }
    let body = "USE `x`;\nCREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN INSERT INTO t VALUES (1); END;";
    assert_eq!(fault(body), DumpFault::BareRoutine { line: 2 });
    let gbk = DumpFault::Charset { line: 1, charset: "gbk".into() };
    assert_eq!(fault("/*!40101 SET NAMES gbk */;"), gbk);
    assert_eq!(fault("\nDELIMITER \n"), DumpFault::OddDelimiter { line: 2 });
}

#[test]
fn text_that_is_not_utf8_is_a_fault_and_rows_are_not_looked_at() {
    let bad = |text: &[u8]| scan_by(text, 1, None, &[5]).1;
    assert_eq!(bad(b"\nCREATE TABLE t (\xe4 int);"), Err(DumpFault::NotUtf8 { line: 2 }));
    assert_eq!(bad(b"COPY \"\xe4\" FROM stdin;\n\\.\n"), Err(DumpFault::NotUtf8 { line: 1 }));
    assert_eq!(bad(b"INSERT INTO `\xe4` VALUES (1);"), Err(DumpFault::NotUtf8 { line: 1 }));
    assert_eq!(bad(b"COPY t FROM stdin;\n\xe4\n\\.\nINSERT INTO t VALUES ('\xff');"), Ok(()));
    let utf16: Vec<u8> = "\u{feff}SET a = 1;\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(bad(&utf16).is_err());
}

#[test]
fn pg_dumpall_is_complete_only_at_its_own_end() {
    let inner = "-- PostgreSQL database dump\n-- PostgreSQL database dump complete\n";
    let text = format!("-- PostgreSQL database cluster dump\n\\connect a\n{inner}\\connect b\n{inner}");
    assert_eq!(shown(&text), ["2: \\connect a", "5: \\connect b"]);
    assert_eq!(shown(&format!("{text}-- PostgreSQL database cluster dump complete\n")).last().unwrap(), "complete");
}

#[test]
fn each_prefix_is_a_fault_or_not_complete() {
    for (text, mark) in [(PG, "database dump complete"), (MY, "-- Dump completed")] {
        let whole = text.find(mark).unwrap() + mark.len();
        for len in 0..whole {
            let (events, end) = scan_by(&text.as_bytes()[..len], u64::MAX, None, &[len.max(1)]);
            assert!(end.is_err() || !events.contains(&DumpEvent::Complete), "{len}");
        }
    }
}

/// Value as SQL of the family; the text is any, the family's quoting is applied.
fn value(text: &str, kind: u8, family: SqlFamily) -> String {
    let doubled = text.replace('\'', "''");
    match (kind % 5, family) {
        (0, _) => "NULL".to_owned(),
        (1, _) => format!("-{}", text.len()),
        (2, SqlFamily::MySql) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        (3, SqlFamily::MySql) => format!("_binary '{}'", doubled.replace('\\', "\\\\")),
        (_, SqlFamily::MySql) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        (2, SqlFamily::Postgres) => format!("E'{}'", doubled.replace('\\', "\\\\")),
        (3, SqlFamily::Postgres) => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        (_, SqlFamily::Postgres) => format!("'{doubled}'"),
    }
}

fn family() -> impl Strategy<Value = SqlFamily> {
    prop_oneof![Just(SqlFamily::Postgres), Just(SqlFamily::MySql)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn chunks_do_not_change_events(
        my in any::<bool>(), crlf in any::<bool>(), sizes in prop::collection::vec(1usize..40, 1..12),
        split in 1u64..200, cut in 0usize..2000,
    ) {
        let text = if my { MY } else { PG };
        let text = if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
        let text = &text.as_bytes()[..text.len().saturating_sub(cut / 2)];
        prop_assert_eq!(scan_by(text, split, None, &sizes), scan_by(text, split, None, &[text.len()]));
    }

    #[test]
    fn damaged_dumps_do_not_panic_and_chunks_do_not_matter(
        my in any::<bool>(), at in 0usize..1200, bytes in prop::collection::vec(any::<u8>(), 0..6),
        size in 1usize..20,
    ) {
        let mut text = if my { MY } else { PG }.as_bytes().to_vec();
        let at = at.min(text.len() - 6);
        text.splice(at..at + bytes.len() / 2, bytes);
        prop_assert_eq!(scan_by(&text, 9, None, &[size]), scan_by(&text, 9, None, &[text.len()]));
    }

    #[test]
    fn any_signs_do_not_panic_and_chunks_do_not_matter(
        text in "(INSERT INTO |COPY | VALUES|FROM stdin;|\\\\\\.|[-'\"`;(),$*/!#\\\\\nEM5x ]){0,40}",
        size in 1usize..9, forced in prop::option::of(family()),
    ) {
        let text = text.as_bytes();
        prop_assert_eq!(scan_by(text, 9, forced, &[size]), scan_by(text, 9, forced, &[text.len().max(1)]));
    }

    #[test]
    fn rows_and_ranges_of_random_inserts_are_found(
        family in family(), split in 1u64..300, sizes in prop::collection::vec(1usize..64, 1..5),
        statements in prop::collection::vec(
            (0u8..2, prop::collection::vec(
                prop::collection::vec(("[ -~\n\té\\\\'\"`;()]{0,12}", any::<u8>()), 1..4), 1..4,
            )),
            1..8,
        ),
    ) {
        let mut text = String::new();
        // Table, start, end and rows of each statement: the plain truth.
        let mut truth: Vec<(String, u64, u64, u64)> = Vec::new();
        for (table, rows) in &statements {
            let start = text.len() as u64;
            let tuples: Vec<String> = rows.iter().map(|row| {
                let values: Vec<String> = row.iter().map(|(t, kind)| value(t, *kind, family)).collect();
                format!("({})", values.join(","))
            }).collect();
            text.push_str(&format!("INSERT INTO t{table} VALUES {};", tuples.join(",\n")));
            truth.push((format!("t{table}"), start, text.len() as u64, rows.len() as u64));
            text.push('\n');
        }
        // Neighbours of one table are one range, until it has the size.
        let mut ranges: Vec<(String, u64, u64, u64)> = Vec::new();
        for (table, start, end, rows) in truth {
            match ranges.last_mut() {
                Some(last) if last.0 == table && last.2 - last.1 < split => (last.2, last.3) = (end, last.3 + rows),
                _ => ranges.push((table, start, end, rows)),
            }
        }
        let (events, end) = scan_by(text.as_bytes(), split, Some(family), &sizes);
        prop_assert_eq!(end, Ok(()));
        let found: Vec<_> = events.into_iter().map(|event| match event {
            DumpEvent::Data { table, bytes, rows, .. } => (table.name, bytes.start, bytes.end, rows),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(found, ranges);
    }
}
